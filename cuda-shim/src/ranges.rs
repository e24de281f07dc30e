//! The range table: which addresses of this process are device memory and which pinned host memory.
//!
//! Device and host addresses share one space, so the direction of a copy, the proof of a copy's or
//! memset's bounds and every pointer attribute come from this table and never from the worker.

use std::collections::BTreeMap;

use flexdirect_wire::abi::CuError;

/// What an address range is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An allocation of device memory, to be freed by its base address.
    Device,
    /// A variable of a module: freed with the module of this handle.
    Global(u64),
    /// Pinned host memory.
    Pinned(Pinned),
    /// The device address of pinned host memory, which begins here, where that has another one.
    Alias(u64),
    /// Memory that host and devices use at one address, to be freed by that.
    Managed,
    /// Physical memory that was mapped, and the devices that reach it, a bit each.
    Mapped(u64),
    /// Such a variable of a module or library.
    ManagedGlobal(u64),
}

/// What is known of pinned memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pinned {
    /// Flags with which it was allocated or registered.
    pub(crate) flags: u32,
    /// Whether it is the application's own memory.
    pub(crate) is_registered: bool,
    /// Device address of its twin, or 0.
    pub(crate) device: u64,
}

/// One range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    /// First address.
    pub(crate) start: u64,
    /// Bytes.
    pub(crate) len: u64,
    pub(crate) kind: Kind,
    /// Context in which it was made.
    pub(crate) context: u64,
    /// Device ordinal as the application sees it.
    pub(crate) ordinal: usize,
    /// Number of the allocation, unique in the process.
    pub(crate) id: u64,
}

impl Range {
    /// Whether it is device memory.
    pub(crate) fn is_device(&self) -> bool {
        !matches!(self.kind, Kind::Pinned(_))
    }

    /// What is known of it as pinned memory, if it is that.
    pub(crate) fn pinned(&self) -> Option<Pinned> {
        match self.kind {
            Kind::Pinned(pinned) => Some(pinned),
            _ => None,
        }
    }

    /// Whether it is managed memory.
    pub(crate) fn is_managed(&self) -> bool {
        matches!(self.kind, Kind::Managed | Kind::ManagedGlobal(_))
    }

    /// Whether host and device use it both.
    pub(crate) fn is_shared(&self) -> bool {
        match self.kind {
            Kind::Pinned(pinned) => pinned.device != 0,
            Kind::Alias(_) | Kind::Managed | Kind::ManagedGlobal(_) => true,
            Kind::Device | Kind::Global(_) | Kind::Mapped(_) => false,
        }
    }

    /// Whether it is physical memory that was mapped.
    pub(crate) fn is_mapped(&self) -> bool {
        matches!(self.kind, Kind::Mapped(_))
    }

    /// Whether all of `len` bytes from `address`, which lies in it, do.
    pub(crate) fn holds(&self, address: u64, len: u64) -> bool {
        let offset = address - self.start;
        offset < self.len && len <= self.len - offset
    }
}

/// Every range, by its first address. Ranges do not overlap, but for a variable in another.
#[derive(Debug, Default)]
pub(crate) struct Ranges {
    by_start: BTreeMap<u64, Range>,
    last_id: u64,
    /// How many of them are pinned memory.
    pinned: usize,
}

impl Ranges {
    /// Takes a range in; its number is chosen here.
    pub(crate) fn insert(&mut self, mut range: Range) {
        self.last_id += 1;
        range.id = self.last_id;
        self.pinned += usize::from(range.pinned().is_some());
        if let Some(before) = self.by_start.insert(range.start, range) {
            self.pinned -= usize::from(before.pinned().is_some());
        }
    }

    /// Whether there is pinned memory.
    pub(crate) fn has_pinned(&self) -> bool {
        self.pinned > 0
    }

    /// Whether some of `len` bytes from `start` on lie in a range.
    pub(crate) fn overlaps(&self, start: u64, len: u64) -> bool {
        let before_end = self.by_start.range(..start.saturating_add(len)).next_back();
        before_end.is_some_and(|(_, range)| range.start.saturating_add(range.len) > start)
    }

    /// Pinned memory that begins at `start` has a twin at the device address `device`.
    pub(crate) fn set_twin(&mut self, start: u64, device: u64) {
        let Some(range) = self.by_start.get_mut(&start) else {
            return;
        };
        if let Kind::Pinned(pinned) = &mut range.kind {
            pinned.device = device;
        }
        let alias = Range {
            start: device,
            kind: Kind::Alias(start),
            ..*range
        };
        if device != start {
            self.by_start.insert(device, alias);
        }
    }

    /// The range that an address lies in.
    pub(crate) fn find(&self, address: u64) -> Option<&Range> {
        let (_, range) = self.by_start.range(..=address).next_back()?;
        range.holds(address, 1).then_some(range)
    }

    /// The device range that all of `len` bytes from `address` on lie in, or the first of several
    /// mappings one behind the other that they lie in.
    ///
    /// # Errors
    /// `INVALID_VALUE` when there is none: the proof that a posted copy or memset needs.
    pub(crate) fn device(&self, address: u64, len: u64) -> Result<&Range, CuError> {
        let range = self.find(address).filter(|range| range.is_device());
        range
            .filter(|range| {
                if range.is_mapped() {
                    self.is_mapped(address, len)
                } else {
                    range.holds(address, len)
                }
            })
            .ok_or(CuError::INVALID_VALUE)
    }

    /// Whether all of `len` bytes from `address` on are mapped, each to some device.
    fn is_mapped(&self, address: u64, len: u64) -> bool {
        let Some(end) = address.checked_add(len) else {
            return false;
        };
        let mut reached = address;
        while let Some(range) = self.find(reached) {
            if !matches!(range.kind, Kind::Mapped(devices) if devices != 0) {
                return false;
            }
            reached = range.start + range.len;
            if reached >= end {
                return true;
            }
        }
        false
    }

    /// A device has, or has no more, access to the mappings in a range.
    pub(crate) fn set_access(&mut self, address: u64, len: u64, ordinal: usize, is_on: bool) {
        let end = address.saturating_add(len);
        for (_, range) in self.by_start.range_mut(address..end) {
            if let Kind::Mapped(devices) = &mut range.kind {
                let bit = 1 << ordinal;
                *devices = if is_on {
                    *devices | bit
                } else {
                    *devices & !bit
                };
            }
        }
    }

    /// Whether all of `len` bytes from `address` on are pinned host memory.
    pub(crate) fn is_pinned(&self, address: u64, len: u64) -> bool {
        self.find(address)
            .is_some_and(|range| range.pinned().is_some() && range.holds(address, len))
    }

    /// Takes out the range that starts at `address`, if it `fits`.
    pub(crate) fn remove(&mut self, address: u64, fits: impl Fn(Kind) -> bool) -> Option<Range> {
        let range = *self.by_start.get(&address)?;
        if !fits(range.kind) {
            return None;
        }
        if let Some(pinned) = range.pinned() {
            self.pinned -= 1;
            if pinned.device != 0 && pinned.device != address {
                self.by_start.remove(&pinned.device);
            }
        }
        self.by_start.remove(&address)
    }

    /// Takes out all ranges that `ends` chooses.
    pub(crate) fn remove_all(&mut self, ends: impl Fn(&Range) -> bool) -> Vec<Range> {
        let mut ended = Vec::new();
        self.by_start.retain(|_, range| {
            let is_ended = ends(range);
            ended.extend(is_ended.then_some(*range));
            !is_ended
        });
        self.pinned -= ended.iter().filter_map(Range::pinned).count();
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn range(start: u64, len: u64, kind: Kind) -> Range {
        Range {
            start,
            len,
            kind,
            context: 1,
            ordinal: 0,
            id: 0,
        }
    }

    fn ranges() -> Ranges {
        let mut ranges = Ranges::default();
        ranges.insert(range(0x1000, 0x100, Kind::Device));
        ranges.insert(range(0x1100, 0x100, Kind::Pinned(Pinned::default())));
        ranges.insert(range(0x2000, 4, Kind::Global(7)));
        ranges
    }

    #[test]
    fn an_address_is_in_its_range_only() {
        let ranges = ranges();
        assert_eq!(ranges.find(0xfff), None);
        assert_eq!(ranges.find(0x1000).unwrap().id, 1);
        assert_eq!(ranges.find(0x10ff).unwrap().id, 1);
        assert_eq!(ranges.find(0x1100).unwrap().id, 2);
        assert_eq!(ranges.find(0x1200), None);
        assert_eq!(ranges.find(u64::MAX), None);
    }

    #[test]
    fn bounds_are_proved() {
        let ranges = ranges();
        assert!(ranges.device(0x1000, 0x100).is_ok());
        assert_eq!(ranges.device(0x1000, 0x101), Err(CuError::INVALID_VALUE));
        assert_eq!(ranges.device(0x1001, u64::MAX), Err(CuError::INVALID_VALUE));
        assert_eq!(
            ranges.device(0x1100, 1),
            Err(CuError::INVALID_VALUE),
            "pinned is not device"
        );
        assert!(ranges.is_pinned(0x1180, 0x80));
        assert!(!ranges.is_pinned(0x1180, 0x81));
    }

    #[test]
    fn a_range_is_freed_once_by_its_base() {
        let mut ranges = ranges();
        let is_device = |kind| kind == Kind::Device;
        assert_eq!(ranges.remove(0x1001, is_device), None);
        assert_eq!(
            ranges.remove(0x2000, is_device),
            None,
            "a variable is not freed"
        );
        assert!(ranges.remove(0x1000, is_device).is_some());
        assert_eq!(ranges.remove(0x1000, is_device), None);
        ranges.remove_all(|range| range.kind == Kind::Global(7));
        assert_eq!(ranges.find(0x2000), None);
    }

    #[test]
    fn mappings_one_behind_the_other_are_one_while_they_are_reached() {
        let mut ranges = ranges();
        ranges.insert(range(0x4000, 0x100, Kind::Mapped(0)));
        ranges.insert(range(0x4100, 0x100, Kind::Mapped(0)));
        let within = (0x4080, 0x100);
        let check = |ranges: &Ranges| ranges.device(within.0, within.1).map(|range| range.start);
        assert!(check(&ranges).is_err(), "no device reaches it");
        ranges.set_access(0x4000, 0x100, 3, true);
        assert!(check(&ranges).is_err(), "not the second");
        ranges.set_access(0x4000, 0x200, 0, true);
        assert_eq!(check(&ranges), Ok(0x4000));
        assert!(ranges.device(0x4080, 0x181).is_err(), "over its end");
        ranges.set_access(0x4100, 0x100, 0, false);
        assert!(check(&ranges).is_err(), "the second again");
    }

    proptest! {
        #[test]
        fn the_table_agrees_with_a_list(
            starts in proptest::collection::btree_set(0u64..64, 0..20),
            address in 0u64..2048,
            len in 0u64..64,
        ) {
            let mut ranges = Ranges::default();
            let list: Vec<_> = starts.iter().map(|&start| (start * 32, 1 + start % 32)).collect();
            for &(start, len) in &list {
                ranges.insert(range(start, len, Kind::Device));
            }
            let inside = |&&(start, end): &&(u64, u64)| {
                start <= address && address < start + end && address + len <= start + end
            };
            prop_assert_eq!(ranges.device(address, len).is_ok(), list.iter().any(|r| inside(&r)));
        }
    }
}
