//! Pinned host memory: pages that copies may read and write while the program goes on.
//!
//! To a CPU all memory is the same; what counts is that the driver knows these ranges, so that an
//! asynchronous copy from or to them really is one.

use std::collections::BTreeMap;
use std::sync::Mutex;

use crate::config::PAGE_LEN;
use crate::raw::{Mapping, lock};

/// The pinned ranges of the process.
#[derive(Debug, Default)]
pub(crate) struct Pinned {
    ranges: Mutex<BTreeMap<u64, Range>>,
}

/// One pinned range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PinnedRange {
    /// First address.
    pub(crate) address: u64,
    /// Bytes asked for.
    pub(crate) len: u64,
    /// CU_MEMHOSTALLOC_* flags.
    pub(crate) flags: u32,
    /// Number of the context that owns it.
    pub(crate) context: u64,
    /// Device of that context, as seen.
    pub(crate) device: i32,
}

#[derive(Debug)]
struct Range {
    about: PinnedRange,
    _mapping: Mapping,
}

impl Pinned {
    /// Allocates; `address` of `about` is filled in. `None` if the system has no room.
    pub(crate) fn allocate(&self, about: PinnedRange) -> Option<u64> {
        let len = about.len.checked_next_multiple_of(PAGE_LEN)?;
        let mapping = Mapping::new(usize::try_from(len).ok()?, 0).ok()?;
        let address = mapping.address();
        let about = PinnedRange { address, ..about };
        let range = Range {
            about,
            _mapping: mapping,
        };
        lock(&self.ranges).insert(address, range);
        Some(address)
    }

    /// Frees the range that starts at `address`; false if none does.
    pub(crate) fn free(&self, address: u64) -> bool {
        lock(&self.ranges).remove(&address).is_some()
    }

    /// Frees all that a context owns.
    pub(crate) fn free_context(&self, context: u64) {
        lock(&self.ranges).retain(|_, range| range.about.context != context);
    }

    /// The range that `address` lies in.
    pub(crate) fn find(&self, address: u64) -> Option<PinnedRange> {
        let ranges = lock(&self.ranges);
        let (_, range) = ranges.range(..=address).next_back()?;
        (address - range.about.address < range.about.len).then_some(range.about)
    }

    /// Whether all of `len` bytes at `address` are pinned.
    pub(crate) fn covers(&self, address: u64, len: usize) -> bool {
        self.find(address).is_some_and(|range| {
            let rest = range.len - (address - range.address);
            len as u64 <= rest
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_found_by_any_address_in_them() {
        let pinned = Pinned::default();
        let about = PinnedRange {
            address: 0,
            len: 100,
            flags: 4,
            context: 1,
            device: 0,
        };
        let address = pinned.allocate(about).unwrap();
        assert_eq!(pinned.find(address + 99).unwrap().flags, 4);
        assert!(pinned.find(address + 100).is_none());
        assert!(pinned.covers(address, 100));
        assert!(!pinned.covers(address + 1, 100));
        assert!(!pinned.free(address + 1));
        pinned.free_context(2);
        assert!(pinned.free(address));
        assert!(!pinned.free(address), "freed once");
        assert!(
            pinned
                .allocate(PinnedRange {
                    len: u64::MAX,
                    ..about
                })
                .is_none()
        );
    }
}
