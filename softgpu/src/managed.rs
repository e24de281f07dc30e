//! Managed memory: allocations of an arena that the host and every device use at one address.
//!
//! An arena is memory of this process, so the host needs nothing; other devices get a window. What
//! is advised and prefetched is only remembered, for memory is the same wherever it is.

use std::collections::BTreeMap;
use std::sync::Mutex;

use crate::raw::lock;
use crate::windows::{self, Devices, EVERY_DEVICE, Window, bit};

/// A place as the application names it: CUmemLocationType and its number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Location {
    pub(crate) kind: u32,
    pub(crate) id: i32,
}

/// What is known of some of its bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Advice {
    /// Read much more than written.
    pub(crate) is_read_mostly: bool,
    /// Where it should stay.
    pub(crate) preferred: Location,
    /// Devices that should keep it mapped.
    pub(crate) accessed_by: Devices,
    /// The same for the host.
    pub(crate) by_host: bool,
    /// Where it was prefetched to last.
    pub(crate) prefetched: Location,
}

#[derive(Debug)]
struct Range {
    len: u64,
    context: u64,
    flags: u32,
    /// Advice from an address on.
    advice: BTreeMap<u64, Advice>,
}

static RANGES: Mutex<BTreeMap<u64, Range>> = Mutex::new(BTreeMap::new());

/// Takes an allocation of a device's arena in.
pub(crate) fn adopt(address: u64, len: u64, context: u64, device: usize, flags: u32) {
    let range = Range {
        len,
        context,
        flags,
        advice: BTreeMap::from([(address, Advice::default())]),
    };
    lock(&RANGES).insert(address, range);
    let window = Window {
        len,
        devices: EVERY_DEVICE & !bit(device),
        readers: 0,
        keep: None,
    };
    windows::open(address, window);
}

/// Takes the allocation at `address` out, if it is one.
pub(crate) fn forget(address: u64) {
    if lock(&RANGES).remove(&address).is_some() {
        windows::close(address);
    }
}

/// Takes out all that a context owns.
pub(crate) fn forget_context(context: u64) {
    let mut ranges = lock(&RANGES);
    let own = ranges.iter().filter(|(_, range)| range.context == context);
    let own: Vec<u64> = own.map(|(&address, _)| address).collect();
    for address in own {
        ranges.remove(&address);
        windows::close(address);
    }
}

/// Whether an address is managed memory's, and the flags of its allocation.
pub(crate) fn flags(address: u64) -> Option<u32> {
    let ranges = lock(&RANGES);
    let (start, range) = ranges.range(..=address).next_back()?;
    (address - start < range.len).then_some(range.flags)
}

/// Changes what is known of `len` bytes at `address`; false, and nothing changed, unless all of
/// them are managed memory's.
pub(crate) fn advise(address: u64, len: u64, change: impl Fn(&mut Advice)) -> bool {
    with_ranges(address, len, |range, start, end| {
        range.change(start, end, &change)
    })
    .is_some()
}

/// What is known of `len` bytes at `address`, part by part; `None` unless all of them are managed
/// memory's.
pub(crate) fn advice(address: u64, len: u64) -> Option<Vec<Advice>> {
    let mut found = Vec::new();
    with_ranges(address, len, |range, start, end| {
        let before = range.advice.range(..=start).next_back();
        let within = range.advice.range(start + 1..end);
        found.extend(before.into_iter().chain(within).map(|(_, advice)| *advice));
    })?;
    Some(found)
}

/// Calls `each` with every range that `len` bytes at `address` lie in, and which of its addresses.
fn with_ranges(address: u64, len: u64, mut each: impl FnMut(&mut Range, u64, u64)) -> Option<()> {
    let end = address.checked_add(len).filter(|&end| end > address)?;
    let mut ranges = lock(&RANGES);
    let mut parts = Vec::new();
    let mut reached = address;
    while reached < end {
        let (&start, range) = ranges.range(..=reached).next_back()?;
        let until = start + range.len;
        if reached >= until {
            return None;
        }
        parts.push((start, reached, until.min(end)));
        reached = until;
    }
    for (start, from, until) in parts {
        if let Some(range) = ranges.get_mut(&start) {
            each(range, from, until);
        }
    }
    Some(())
}

impl Range {
    fn change(&mut self, start: u64, end: u64, change: &impl Fn(&mut Advice)) {
        for at in [start, end] {
            let before = self.advice.range(..=at).next_back();
            let known = before.map(|(_, advice)| *advice).unwrap_or_default();
            self.advice.entry(at).or_insert(known);
        }
        for (_, advice) in self.advice.range_mut(start..end) {
            change(advice);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: u64 = 0x6000_0000_0000;

    #[test]
    fn advice_is_of_bytes() {
        adopt(PLACE, 100, 1, 0, 1);
        adopt(PLACE + 100, 50, 2, 0, 2);
        assert_eq!(flags(PLACE + 99), Some(1));
        assert_eq!(flags(PLACE + 100), Some(2));
        assert_eq!(flags(PLACE + 150), None);
        let mostly = |advice: &mut Advice| advice.is_read_mostly = true;
        assert!(advise(PLACE + 10, 20, mostly));
        assert!(!advise(PLACE + 140, 20, mostly), "beyond");
        assert!(!advise(PLACE + 140, u64::MAX, mostly), "no overflow");
        assert!(!advise(PLACE, 0, mostly));
        let read = |start, len| {
            let found = advice(PLACE + start, len).unwrap();
            found
                .iter()
                .map(|advice| advice.is_read_mostly)
                .collect::<Vec<_>>()
        };
        assert_eq!(read(10, 20), [true]);
        assert_eq!(read(0, 40), [false, true, false]);
        assert_eq!(read(15, 1), [true]);
        assert_eq!(read(29, 2), [true, false]);
        assert!(advise(PLACE + 20, 130, mostly), "over two allocations");
        assert_eq!(read(10, 140), [true; 4]);
        forget_context(1);
        assert_eq!(advice(PLACE, 1), None);
        forget(PLACE + 100);
        assert_eq!(flags(PLACE + 120), None);
    }
}
