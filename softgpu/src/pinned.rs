//! Pinned host memory: pages that copies may read and write while the program goes on.
//!
//! To a CPU all memory is the same; what counts is that the driver knows these ranges, so that an
//! asynchronous copy from or to them really is one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use crate::config::PAGE_LEN;
use crate::raw::{Mapping, lock};

/// The pinned ranges of the process.
#[derive(Debug, Default)]
pub(crate) struct Pinned {
    ranges: Mutex<BTreeMap<u64, Arc<Range>>>,
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

/// A pinned range's memory, which stays as long as somebody has this.
#[derive(Debug)]
pub(crate) struct Range {
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
        lock(&self.ranges).insert(address, Arc::new(range));
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
        self.range(address).map(|range| range.about)
    }

    /// The memory of `len` bytes at `address`, if all of them are pinned.
    pub(crate) fn hold(&self, address: u64, len: usize) -> Option<Arc<Range>> {
        let range = self.range(address)?;
        let rest = range.about.len - (address - range.about.address);
        (len as u64 <= rest).then_some(range)
    }

    fn range(&self, address: u64) -> Option<Arc<Range>> {
        let ranges = lock(&self.ranges);
        let (_, range) = ranges.range(..=address).next_back()?;
        (address - range.about.address < range.about.len).then(|| Arc::clone(range))
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
        assert!(pinned.hold(address, 100).is_some());
        assert!(pinned.hold(address + 1, 100).is_none());
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
