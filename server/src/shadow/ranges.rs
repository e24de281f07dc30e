//! The session's device memory: every address in a copy or memset is checked against this table.
//!
//! Kernels reach what they like within the worker's own process; copies and memsets do not, so that
//! an address which a client made up is answered with a code and never handed to the driver.

use std::collections::BTreeMap;

use flexdirect_wire::{CuError, ShadowHandle};

/// What a range of device memory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// An allocation of the client's.
    Allocation {
        /// Context in which it was made.
        context: ShadowHandle,
        /// Device of the lease that it lies on.
        device: u16,
        /// Bytes that it takes from the share.
        reserved: u64,
    },
    /// A global of a module or library.
    Global {
        /// The module or library.
        parent: ShadowHandle,
        /// Context that it lies in.
        context: ShadowHandle,
    },
    /// A twin of the client's pinned memory.
    Twin {
        /// Context in which it is pinned.
        context: ShadowHandle,
    },
}

/// One range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// First byte.
    pub address: u64,
    /// Bytes.
    pub len: u64,
    /// What it is.
    pub owner: Owner,
}

impl Range {
    /// Device of an allocation.
    pub fn device(&self) -> Option<u16> {
        match self.owner {
            Owner::Allocation { device, .. } => Some(device),
            Owner::Global { .. } | Owner::Twin { .. } => None,
        }
    }

    /// Bytes that it takes from the share.
    pub fn reserved(&self) -> u64 {
        match self.owner {
            Owner::Allocation { reserved, .. } => reserved,
            Owner::Global { .. } | Owner::Twin { .. } => 0,
        }
    }
}

/// All device memory that the session may name.
#[derive(Debug, Default)]
pub struct Ranges {
    by_address: BTreeMap<u64, Range>,
}

impl Ranges {
    /// Enters a range. A global within an allocation, or known already, changes nothing.
    pub fn insert(&mut self, range: Range) {
        let is_global = matches!(range.owner, Owner::Global { .. });
        if is_global && self.check(range.address, range.len).is_ok() {
            return;
        }
        self.by_address.insert(range.address, range);
    }

    /// Whether all of `len` bytes from `address` lie in one range.
    ///
    /// # Errors
    /// `INVALID_VALUE`, which the driver gives for an address that is none of its own.
    pub fn check(&self, address: u64, len: u64) -> Result<(), CuError> {
        if len == 0 {
            return Ok(());
        }
        let end = address.checked_add(len).ok_or(CuError::INVALID_VALUE)?;
        let before = self.by_address.range(..=address).next_back();
        match before {
            Some((_, range)) if end <= range.address.saturating_add(range.len) => Ok(()),
            _ => Err(CuError::INVALID_VALUE),
        }
    }

    /// Takes out the allocation that starts at `address`.
    ///
    /// # Errors
    /// `INVALID_VALUE` when none does.
    pub fn remove_allocation(&mut self, address: u64) -> Result<Range, CuError> {
        match self.by_address.get(&address) {
            Some(range) if matches!(range.owner, Owner::Allocation { .. }) => {}
            _ => return Err(CuError::INVALID_VALUE),
        }
        self.by_address
            .remove(&address)
            .ok_or(CuError::INVALID_VALUE)
    }

    /// Takes out the twin that starts at `address`.
    ///
    /// # Errors
    /// `INVALID_VALUE` when none does.
    pub fn remove_twin(&mut self, address: u64) -> Result<Range, CuError> {
        match self.by_address.get(&address) {
            Some(range) if matches!(range.owner, Owner::Twin { .. }) => {}
            _ => return Err(CuError::INVALID_VALUE),
        }
        self.by_address
            .remove(&address)
            .ok_or(CuError::INVALID_VALUE)
    }

    /// Takes out what ended with a context, module or library.
    pub fn remove_owned(&mut self, owner: ShadowHandle) -> Vec<Range> {
        self.remove_where(|range| match range.owner {
            Owner::Allocation { context, .. } | Owner::Twin { context } => context == owner,
            Owner::Global { parent, context } => parent == owner || context == owner,
        })
    }

    /// Takes out everything.
    pub fn remove_all(&mut self) -> Vec<Range> {
        self.remove_where(|_| true)
    }

    fn remove_where(&mut self, picks: impl Fn(&Range) -> bool) -> Vec<Range> {
        let owned: Vec<Range> = self.by_address.values().copied().filter(picks).collect();
        for range in &owned {
            self.by_address.remove(&range.address);
        }
        owned
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OWNER: Owner = Owner::Allocation {
        context: ShadowHandle::NULL,
        device: 0,
        reserved: 0,
    };

    fn ranges() -> Ranges {
        let mut ranges = Ranges::default();
        ranges.insert(Range {
            address: 0x1000,
            len: 0x100,
            owner: OWNER,
        });
        ranges.insert(Range {
            address: 0x1100,
            len: 0x100,
            owner: OWNER,
        });
        ranges
    }

    #[test]
    fn a_copy_stays_within_one_range() {
        let ranges = ranges();
        assert!(ranges.check(0x1000, 0x100).is_ok());
        assert!(ranges.check(0x10ff, 1).is_ok());
        assert!(ranges.check(0xdead, 0).is_ok(), "nothing is copied");
        for (address, len) in [(0xfff, 1), (0x1000, 0x101), (0x1200, 1), (u64::MAX, 2)] {
            assert_eq!(
                ranges.check(address, len),
                Err(CuError::INVALID_VALUE),
                "{address:#x}"
            );
        }
    }

    #[test]
    fn only_the_start_of_an_allocation_is_freed() {
        let mut ranges = ranges();
        let parent = ShadowHandle(5);
        let context = ShadowHandle::NULL;
        let global = Owner::Global { parent, context };
        ranges.insert(Range {
            address: 0x5000,
            len: 4,
            owner: global,
        });
        assert_eq!(
            ranges.remove_allocation(0x1001),
            Err(CuError::INVALID_VALUE)
        );
        assert_eq!(
            ranges.remove_allocation(0x5000),
            Err(CuError::INVALID_VALUE)
        );
        assert!(ranges.remove_allocation(0x1000).is_ok());
        assert_eq!(
            ranges.remove_allocation(0x1000),
            Err(CuError::INVALID_VALUE),
            "freed twice"
        );
        assert_eq!(ranges.remove_owned(parent).len(), 1);
        assert!(ranges.check(0x5000, 4).is_err());
    }

    proptest! {
        #[test]
        fn what_is_checked_lies_inside(address in 0xf00_u64..0x1400, len in 1_u64..0x300) {
            let inside = |start: u64| address >= start && address + len <= start + 0x100;
            let expected = inside(0x1000) || inside(0x1100);
            prop_assert_eq!(ranges().check(address, len).is_ok(), expected);
        }
    }
}
