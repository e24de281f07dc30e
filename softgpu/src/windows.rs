//! What kernels reach beside their device's arena: pinned and registered host memory, managed
//! memory of other devices, mappings of virtual memory, peers' arenas.
//!
//! A launch takes a snapshot when it begins. What a snapshot names stays mapped while it lives:
//! either it holds the memory, or whoever takes a window away waits for the work that could use it.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use crate::driver;
use crate::exec::Windows;
use crate::raw::{self, lock};

/// A set of devices: the bit of each ordinal.
pub(crate) type Devices = u64;

/// Every device.
pub(crate) const EVERY_DEVICE: Devices = u64::MAX;

/// One range that kernels reach.
#[derive(Clone)]
pub(crate) struct Window {
    /// Bytes from its address on.
    pub(crate) len: u64,
    /// Devices whose kernels reach it though it is not in their arena.
    pub(crate) devices: Devices,
    /// Those of them that may only read it.
    pub(crate) readers: Devices,
    /// What keeps it mapped; without it, its owner waits before it unmaps.
    pub(crate) keep: Option<Arc<dyn Any + Send + Sync>>,
}

#[derive(Default)]
struct State {
    by_address: BTreeMap<u64, Window>,
    /// Snapshots by device and its peers, until something changes.
    snapshots: BTreeMap<(usize, Devices), Arc<Windows>>,
}

static STATE: Mutex<State> = Mutex::new(State {
    by_address: BTreeMap::new(),
    snapshots: BTreeMap::new(),
});

/// The bit of a device.
pub(crate) fn bit(ordinal: usize) -> Devices {
    u32::try_from(ordinal)
        .ok()
        .and_then(|ordinal| 1u64.checked_shl(ordinal))
        .unwrap_or(0)
}

/// Opens a window at `address`, or replaces the one there.
pub(crate) fn open(address: u64, window: Window) {
    let mut state = lock(&STATE);
    let before = state.by_address.insert(address, window);
    let stale = std::mem::take(&mut state.snapshots);
    drop(state);
    // What they held may unmap itself now: not under the lock.
    drop((before, stale));
}

/// Closes the window at `address`. Kernels that have begun may still use it.
pub(crate) fn close(address: u64) {
    let mut state = lock(&STATE);
    let closed = state.by_address.remove(&address);
    let stale = std::mem::take(&mut state.snapshots);
    drop(state);
    drop((closed, stale));
}

/// Whether `len` bytes at `address` lie in windows without a gap.
pub(crate) fn holds(address: u64, len: u64) -> bool {
    let state = lock(&STATE);
    let Some(end) = address.checked_add(len) else {
        return false;
    };
    let mut reached = address;
    loop {
        let found = state.by_address.range(..=reached).next_back();
        let until = found.map_or(0, |(start, window)| start + window.len);
        if until <= reached {
            return false;
        }
        if until >= end {
            return true;
        }
        reached = until;
    }
}

/// Whether a window has one of `len` bytes at `address`.
pub(crate) fn overlaps(address: u64, len: u64) -> bool {
    let state = lock(&STATE);
    let end = address.saturating_add(len);
    let before = state.by_address.range(..end).next_back();
    before.is_some_and(|(start, window)| start + window.len > address)
}

/// What kernels of a device reach by now; `peers` are the devices whose arenas are open to it.
pub(crate) fn snapshot(ordinal: usize, peers: Devices) -> Arc<Windows> {
    let mut state = lock(&STATE);
    if let Some(known) = state.snapshots.get(&(ordinal, peers)) {
        return Arc::clone(known);
    }
    let (mut ranges, mut only_read) = (Vec::new(), Vec::new());
    let mut keep = Vec::new();
    for (&address, window) in &state.by_address {
        if window.devices & bit(ordinal) != 0 {
            let is_reader = window.readers & bit(ordinal) != 0;
            let kind = if is_reader {
                &mut only_read
            } else {
                &mut ranges
            };
            kind.push((address, window.len));
            keep.extend(window.keep.clone());
        }
    }
    for device in driver::devices() {
        if peers & bit(device.ordinal) != 0 {
            ranges.push((device.arena.address(), device.arena.capacity()));
        }
    }
    let made = Arc::new(raw::windows(ranges, only_read, keep));
    state.snapshots.insert((ordinal, peers), Arc::clone(&made));
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: u64 = 0x7000_0000_0000;

    #[test]
    fn windows_come_and_go() {
        let window = |len| Window {
            len,
            devices: bit(3),
            readers: 0,
            keep: None,
        };
        open(PLACE, window(100));
        assert!(holds(PLACE, 100) && holds(PLACE + 99, 1));
        assert!(!holds(PLACE, 101) && !holds(PLACE + 100, 1) && !holds(PLACE - 1, 1));
        let (with, without) = (snapshot(3, 0), snapshot(2, 0));
        assert!(Arc::ptr_eq(&with, &snapshot(3, 0)), "nothing has changed");
        assert!(!Arc::ptr_eq(&with, &without));
        assert!(overlaps(PLACE - 1, 2) && overlaps(PLACE + 99, 9) && overlaps(PLACE + 5, 1));
        assert!(!overlaps(PLACE - 1, 1) && !overlaps(PLACE + 100, 9));
        open(PLACE, window(10));
        assert!(!holds(PLACE, 100), "replaced");
        close(PLACE);
        assert!(!holds(PLACE, 1));
        assert!(!Arc::ptr_eq(&with, &snapshot(3, 0)));
    }

    #[test]
    fn a_snapshot_keeps_what_it_names() {
        let memory = Arc::new([0u8; 16]);
        let window = Window {
            len: 16,
            devices: bit(5),
            readers: 0,
            keep: Some(memory.clone()),
        };
        open(PLACE + (1 << 30), window);
        let taken = snapshot(5, 0);
        close(PLACE + (1 << 30));
        assert!(Arc::strong_count(&memory) > 1);
        drop(taken);
        assert_eq!(Arc::strong_count(&memory), 1);
    }
}
