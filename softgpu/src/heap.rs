//! The heap of device-side `malloc` and `free`: one range of a context, of the size that
//! CU_LIMIT_MALLOC_HEAP_SIZE says, taken when a kernel first asks.

use std::collections::BTreeMap;
use std::sync::Mutex;

use crate::arena::{Arena, Purpose};
use crate::exec;
use crate::raw::lock;

/// A context's heap.
#[derive(Debug, Default)]
pub(crate) struct DeviceHeap(Mutex<Option<Ranges>>);

#[derive(Debug)]
struct Ranges {
    /// Used ranges by address: lengths.
    used: BTreeMap<u64, u64>,
    /// Unused ranges by address: lengths. Neighbours are always merged.
    free: BTreeMap<u64, u64>,
}

impl DeviceHeap {
    /// Whether it has its memory, so that its size cannot change any more.
    pub(crate) fn is_taken(&self) -> bool {
        lock(&self.0).is_some()
    }

    /// Forgets everything: its context's memory is freed as a whole.
    pub(crate) fn forget(&self) {
        *lock(&self.0) = None;
    }
}

/// A context's heap as one launch uses it.
pub(crate) struct HeapOf<'h> {
    /// The heap.
    pub(crate) heap: &'h DeviceHeap,
    /// The device's memory, and whose the heap is.
    pub(crate) arena: &'h Arena,
    /// Number of the context.
    pub(crate) context: u64,
    /// CU_LIMIT_MALLOC_HEAP_SIZE in bytes.
    pub(crate) len: u64,
}

impl exec::Heap for HeapOf<'_> {
    fn allocate(&self, len: u64) -> Option<u64> {
        let mut ranges = lock(&self.heap.0);
        if ranges.is_none() {
            let whole = self.arena.allocate(self.len, self.context, Purpose::Module);
            *ranges = Some(Ranges::new(whole.ok()?.address, self.len));
        }
        ranges.as_mut()?.allocate(len)
    }

    fn free(&self, address: u64) {
        if let Some(ranges) = lock(&self.heap.0).as_mut() {
            ranges.release(address);
        }
    }
}

impl Ranges {
    fn new(address: u64, len: u64) -> Self {
        Self {
            used: BTreeMap::new(),
            free: BTreeMap::from([(address, len & !(GRANULE - 1))]),
        }
    }

    fn allocate(&mut self, len: u64) -> Option<u64> {
        let len = len.max(1).checked_next_multiple_of(GRANULE)?;
        let fit = self.free.iter().find(|(_, free)| **free >= len);
        let (&address, &free) = fit?;
        self.free.remove(&address);
        if free > len {
            self.free.insert(address + len, free - len);
        }
        self.used.insert(address, len);
        Some(address)
    }

    fn release(&mut self, address: u64) {
        let Some(len) = self.used.remove(&address) else {
            return;
        };
        let (mut start, mut end) = (address, address + len);
        if let Some((&before, &before_len)) = self.free.range(..start).next_back()
            && before + before_len == start
        {
            self.free.remove(&before);
            start = before;
        }
        if let Some(after_len) = self.free.remove(&end) {
            end += after_len;
        }
        self.free.insert(start, end - start);
    }
}

/// What device-side `malloc` aligns to, in bytes (CUDA C++ Programming Guide, "Dynamic Global
/// Memory Allocation and Operations").
const GRANULE: u64 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_freed_can_be_had_again() {
        let mut ranges = Ranges::new(4096, 64);
        let parts: Vec<u64> = (0..4).filter_map(|_| ranges.allocate(9)).collect();
        assert_eq!(parts, [4096, 4112, 4128, 4144]);
        assert_eq!(
            ranges.allocate(0),
            None,
            "full, and nothing takes some room"
        );
        assert_eq!(ranges.allocate(u64::MAX), None);
        for index in [1, 1, 3, 2, 0] {
            ranges.release(parts[index]);
        }
        ranges.release(4100);
        assert_eq!(ranges.allocate(64), Some(4096), "merged again");
    }
}
