//! Pinned host memory: pages that copies and kernels may read and write while the program goes on.
//!
//! To a CPU all memory is the same; what counts is that the driver knows these ranges, so that an
//! asynchronous copy from or to them really is one, and kernels reach them at the same address
//! (unified addressing). Registered ranges are the application's own memory.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use crate::config::PAGE_LEN;
use crate::raw::{self, Mapping, lock};
use crate::vmm;
use crate::windows::{self, EVERY_DEVICE, Window};

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
    /// CU_MEMHOSTALLOC_* flags; those of CU_MEMHOSTREGISTER_* have the same numbers.
    pub(crate) flags: u32,
    /// Whether the memory is the application's.
    pub(crate) is_registered: bool,
    /// Number of the context that owns it.
    pub(crate) context: u64,
    /// Device of that context, as seen.
    pub(crate) device: i32,
}

/// A pinned range's memory, which stays as long as somebody has this.
#[derive(Debug)]
pub(crate) struct Range {
    about: PinnedRange,
    _mapping: Option<Mapping>,
    /// Mappings of virtual memory, if it is that.
    _pieces: Vec<Arc<dyn Any + Send + Sync>>,
}

/// What keeps `len` bytes at `address` mapped if they are virtual memory that a device may use.
fn mapped(address: u64, len: usize) -> Option<Arc<Range>> {
    let pieces = vmm::hold(address, len as u64)?;
    let about = PinnedRange {
        address,
        len: len as u64,
        flags: 0,
        is_registered: false,
        context: 0,
        device: 0,
    };
    Some(Arc::new(Range {
        about,
        _mapping: None,
        _pieces: pieces,
    }))
}

/// Why memory is not registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// Some of it is pinned already.
    Known,
    /// Not all of it is memory that can be read and written.
    Unmapped,
}

impl Pinned {
    /// Allocates; `address` of `about` is filled in. `None` if the system has no room.
    pub(crate) fn allocate(&self, about: PinnedRange) -> Option<u64> {
        let len = about.len.checked_next_multiple_of(PAGE_LEN)?;
        let mapping = Mapping::new(usize::try_from(len).ok()?, 0).ok()?;
        let address = mapping.address();
        let about = PinnedRange { address, ..about };
        let range = Arc::new(Range {
            about,
            _mapping: Some(mapping),
            _pieces: Vec::new(),
        });
        let window = Window {
            len,
            devices: EVERY_DEVICE,
            readers: 0,
            keep: Some(range.clone()),
        };
        lock(&self.ranges).insert(address, range);
        windows::open(address, window);
        Some(address)
    }

    /// Takes memory of the application in. The application keeps it mapped until it is
    /// unregistered.
    ///
    /// # Errors
    /// [`Unfit`].
    pub(crate) fn register(&self, about: PinnedRange) -> Result<(), Unfit> {
        if !raw::is_writable(about.address, about.len) {
            return Err(Unfit::Unmapped);
        }
        let mut ranges = lock(&self.ranges);
        let end = about.address + about.len;
        let before = ranges.range(..end).next_back();
        if before.is_some_and(|(start, range)| start + range.about.len > about.address) {
            return Err(Unfit::Known);
        }
        // Managed or virtual memory: its window must not be replaced by this one.
        if windows::overlaps(about.address, about.len) {
            return Err(Unfit::Known);
        }
        let range = Range {
            about,
            _mapping: None,
            _pieces: Vec::new(),
        };
        ranges.insert(about.address, Arc::new(range));
        let window = Window {
            len: about.len,
            devices: EVERY_DEVICE,
            readers: 0,
            keep: None,
        };
        windows::open(about.address, window);
        Ok(())
    }

    /// Takes the range that starts at `address` out; false if none does. Kernels and copies that
    /// have begun may still use it: memory of the driver stays for them, for registered memory the
    /// caller waits.
    pub(crate) fn free(&self, address: u64) -> bool {
        let mut ranges = lock(&self.ranges);
        let found = ranges.remove(&address);
        if found.is_some() {
            windows::close(address);
        }
        found.is_some()
    }

    /// Takes out all that a context owns: whether some of it was registered, so that the caller
    /// has to wait for whatever may still use it.
    pub(crate) fn free_context(&self, context: u64) -> bool {
        let mut ranges = lock(&self.ranges);
        let (owned, others) = std::mem::take(&mut *ranges)
            .into_iter()
            .partition(|(_, range)| range.about.context == context);
        *ranges = others;
        let owned: BTreeMap<u64, Arc<Range>> = owned;
        for &address in owned.keys() {
            windows::close(address);
        }
        owned.values().any(|range| range.about.is_registered)
    }

    /// The range that `address` lies in.
    pub(crate) fn find(&self, address: u64) -> Option<PinnedRange> {
        self.range(address).map(|range| range.about)
    }

    /// The memory of `len` bytes at `address`, if all of them are pinned.
    pub(crate) fn hold(&self, address: u64, len: usize) -> Option<Arc<Range>> {
        let Some(range) = self.range(address) else {
            return mapped(address, len);
        };
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
            is_registered: false,
            context: 1,
            device: 0,
        };
        let address = pinned.allocate(about).unwrap();
        assert_eq!(pinned.find(address + 99).unwrap().flags, 4);
        assert!(pinned.find(address + 100).is_none());
        assert!(pinned.hold(address, 100).is_some());
        assert!(pinned.hold(address + 1, 100).is_none());
        assert!(!pinned.free(address + 1));
        assert!(!pinned.free_context(2));
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

    #[test]
    fn memory_is_registered_once() {
        let pinned = Pinned::default();
        let mapping = Mapping::new(1 << 16, 0).unwrap();
        let about = PinnedRange {
            address: mapping.address() + 100,
            len: 1000,
            flags: 0,
            is_registered: true,
            context: 1,
            device: 0,
        };
        let at = |offset: u64, len| PinnedRange {
            address: mapping.address() + offset,
            len,
            ..about
        };
        assert_eq!(pinned.register(about), Ok(()));
        assert!(windows::holds(about.address, 1000));
        assert_eq!(pinned.register(about), Err(Unfit::Known));
        assert_eq!(pinned.register(at(0, 101)), Err(Unfit::Known));
        assert_eq!(pinned.register(at(1099, 1)), Err(Unfit::Known));
        assert_eq!(pinned.register(at(1100, 1)), Ok(()), "right behind it");
        assert_eq!(pinned.register(at(0, 100)), Ok(()), "right before it");
        assert_eq!(pinned.register(at(1 << 15, 1 << 40)), Err(Unfit::Unmapped));
        assert!(pinned.free(about.address));
        assert!(!windows::holds(about.address, 1));
        assert!(pinned.free_context(1));
        assert!(!windows::holds(mapping.address(), 1));
    }
}
