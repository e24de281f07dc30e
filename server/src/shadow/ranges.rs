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
    /// Physical memory that was mapped.
    Mapping {
        /// The memory.
        memory: u64,
        /// Devices of the lease that reach it, a bit each.
        devices: u64,
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
            Owner::Global { .. } | Owner::Twin { .. } | Owner::Mapping { .. } => None,
        }
    }

    /// Bytes that it takes from the share.
    pub fn reserved(&self) -> u64 {
        match self.owner {
            Owner::Allocation { reserved, .. } => reserved,
            Owner::Global { .. } | Owner::Twin { .. } | Owner::Mapping { .. } => 0,
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

    /// Whether all of `len` bytes from `address` lie in one range, or in mappings one behind the
    /// other, each of which some device reaches.
    ///
    /// # Errors
    /// `INVALID_VALUE`, which the driver gives for an address that is none of its own.
    pub fn check(&self, address: u64, len: u64) -> Result<(), CuError> {
        if len == 0 {
            return Ok(());
        }
        let end = address.checked_add(len).ok_or(CuError::INVALID_VALUE)?;
        let mut reached = address;
        while let Some(range) = self.find(reached) {
            let is_mapping = match range.owner {
                Owner::Mapping { devices: 0, .. } => break,
                Owner::Mapping { .. } => true,
                _ => false,
            };
            reached = range.address.saturating_add(range.len);
            if end <= reached {
                return Ok(());
            }
            if !is_mapping {
                break;
            }
        }
        Err(CuError::INVALID_VALUE)
    }

    /// The range that an address lies in.
    pub fn find(&self, address: u64) -> Option<&Range> {
        let (_, range) = self.by_address.range(..=address).next_back()?;
        (address - range.address < range.len).then_some(range)
    }

    /// The mappings that a range is made of.
    ///
    /// # Errors
    /// `INVALID_VALUE` unless it is made of whole ones.
    pub fn mappings(&self, address: u64, len: u64) -> Result<Vec<Range>, CuError> {
        const BAD: CuError = CuError::INVALID_VALUE;
        let end = address.checked_add(len).filter(|&end| end > address);
        let (end, mut reached, mut found) = (end.ok_or(BAD)?, address, Vec::new());
        while reached < end {
            let range = self.by_address.get(&reached).ok_or(BAD)?;
            if !matches!(range.owner, Owner::Mapping { .. }) {
                return Err(BAD);
            }
            reached = range.address.saturating_add(range.len);
            found.push(*range);
        }
        if reached == end { Ok(found) } else { Err(BAD) }
    }

    /// Takes a mapping out.
    pub fn remove_mapping(&mut self, address: u64) {
        self.by_address.remove(&address);
    }

    /// A device reaches, or reaches no more, the mappings in a range.
    pub fn set_access(&mut self, address: u64, len: u64, device: u16, is_on: bool) {
        let end = address.saturating_add(len);
        for (_, range) in self.by_address.range_mut(address..end) {
            if let Owner::Mapping { devices, .. } = &mut range.owner {
                let bit = 1_u64.checked_shl(u32::from(device)).unwrap_or(0);
                *devices = if is_on {
                    *devices | bit
                } else {
                    *devices & !bit
                };
            }
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
            Owner::Mapping { .. } => false,
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

    #[test]
    fn mappings_one_behind_the_other_are_reached_as_one() {
        let mut ranges = ranges();
        for address in [0x8000, 0x8100] {
            let (memory, devices) = (address, 0);
            ranges.insert(Range {
                address,
                len: 0x100,
                owner: Owner::Mapping { memory, devices },
            });
        }
        let bad = Err(CuError::INVALID_VALUE);
        assert_eq!(ranges.check(0x8000, 1), bad, "nobody reaches it");
        ranges.set_access(0x8000, 0x200, 1, true);
        assert_eq!(ranges.check(0x8080, 0x180), Ok(()));
        assert_eq!(ranges.check(0x8080, 0x181), bad);
        assert_eq!(
            ranges.mappings(0x8000, 0x200).map(|found| found.len()),
            Ok(2)
        );
        for (address, len) in [
            (0x8000, 0x180),
            (0x8080, 0x80),
            (0x1000, 0x100),
            (0x8000, 0),
        ] {
            assert!(ranges.mappings(address, len).is_err(), "{address:#x}");
        }
        ranges.remove_mapping(0x8000);
        assert_eq!(ranges.check(0x8080, 0x180), bad);
        assert_eq!(ranges.check(0x8100, 0x100), Ok(()));
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
