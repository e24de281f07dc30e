//! Device memory: one contiguous range of addresses a device, cut into allocations.
//!
//! One range makes the interpreter's check of an address a subtraction. Pages come from the system
//! when they are touched and go back when an allocation is freed. What is in use counts against the
//! device as a whole, over all processes: see [`crate::ledger`].

use std::collections::BTreeMap;
use std::io;
use std::sync::Mutex;

use crate::config::PAGE_LEN;
use crate::driver;
use crate::exec::Memory;
use crate::ledger::{Ledger, Running};
use crate::raw::{Mapping, Span, lock};
use crate::windows;

/// The memory of one device, as far as this process uses it.
#[derive(Debug)]
pub(crate) struct Arena {
    mapping: Mapping,
    len: u64,
    ledger: Ledger,
    ranges: Mutex<Ranges>,
}

/// One live allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Allocation {
    /// First address.
    pub(crate) address: u64,
    /// Bytes asked for.
    pub(crate) len: u64,
    /// Number of the context that owns it.
    pub(crate) context: u64,
    /// What it is for.
    pub(crate) purpose: Purpose,
    /// Bytes that it takes.
    room: u64,
    /// Number, unique in the process (CU_POINTER_ATTRIBUTE_BUFFER_ID).
    pub(crate) id: u64,
}

/// What an allocation is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The application's own, which it frees.
    Application,
    /// A variable of a module, freed with it.
    Module,
    /// The memory of an array, freed with it.
    Array,
    /// A managed variable of a library, freed with it.
    Shared,
    /// The application's, which the host uses as well (cuMemAllocManaged).
    Managed,
    /// Of nodes of graphs.
    Graph,
    /// A pool's, in use.
    Pool,
    /// A pool's, which the application has freed but some stream has not got there yet.
    Retired,
    /// A pool's, in no use.
    Cached,
}

impl Purpose {
    /// Whether the application may still name it in a call.
    fn is_known(self) -> bool {
        !matches!(self, Self::Retired | Self::Cached)
    }
}

#[derive(Debug, Default)]
struct Ranges {
    /// Live allocations by address.
    live: BTreeMap<u64, Allocation>,
    /// Unused ranges by offset: lengths. Neighbours are always merged.
    free: BTreeMap<u64, u64>,
    /// Bytes in use, each allocation rounded up to [`GRANULE`].
    used: u64,
    /// What the ledger says of this process: at least `used`.
    noted: u64,
    next_id: u64,
}

/// Why there is no allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl Arena {
    /// Maps a device's memory, at `wanted` where possible.
    pub(crate) fn new(ledger: Ledger, wanted: u64) -> io::Result<Self> {
        let len = ledger.capacity();
        let bytes = usize::try_from(len).expect("addresses have 64 bits");
        let wanted = usize::try_from(wanted).expect("addresses have 64 bits");
        let mapping = Mapping::new(bytes, wanted)?;
        let ranges = Ranges {
            free: BTreeMap::from([(0, len)]),
            ..Ranges::default()
        };
        Ok(Self {
            mapping,
            len,
            ledger,
            ranges: Mutex::new(ranges),
        })
    }

    /// The arena alone, as kernels see it: see [`crate::context::Context::memory`].
    pub(crate) fn memory(&'static self) -> Memory {
        self.mapping.memory()
    }

    /// Notes for monitors that memory is copied or filled, until the value returned is dropped.
    pub(crate) fn moving(&self) -> Running<'_> {
        self.ledger.moving()
    }

    /// Notes for monitors that a kernel runs, until the value returned is dropped.
    pub(crate) fn running(&self) -> Running<'_> {
        self.ledger.running()
    }

    /// First address.
    pub(crate) fn address(&self) -> u64 {
        self.mapping.address()
    }

    /// Bytes of the device.
    pub(crate) fn capacity(&self) -> u64 {
        self.len
    }

    /// Bytes of the device that no process uses.
    pub(crate) fn free_len(&self) -> u64 {
        let others = self.ledger.others().unwrap_or(0);
        let used = lock(&self.ranges).used;
        self.len.saturating_sub(others.saturating_add(used))
    }

    /// Allocates `len` bytes (not 0) for a context.
    pub(crate) fn allocate(
        &self,
        len: u64,
        context: u64,
        purpose: Purpose,
    ) -> Result<Allocation, Full> {
        self.allocate_aligned(len, GRANULE, context, purpose)
    }

    /// The same at a multiple of `alignment`, a power of two.
    pub(crate) fn allocate_aligned(
        &self,
        len: u64,
        alignment: u64,
        context: u64,
        purpose: Purpose,
    ) -> Result<Allocation, Full> {
        let rounded = len.checked_next_multiple_of(GRANULE).ok_or(Full)?;
        let mut ranges = lock(&self.ranges);
        let base = self.mapping.address();
        let fit = ranges.free.iter().find_map(|(&start, &free)| {
            let place = (base + start).checked_next_multiple_of(alignment.max(GRANULE))?;
            let skipped = place - base - start;
            let rest = free.checked_sub(skipped)?.checked_sub(rounded)?;
            Some((start, skipped, rest))
        });
        let (start, skipped, rest) = fit.ok_or(Full)?;
        let used = ranges.used + rounded;
        if used > self.len {
            // Memory that lies elsewhere counts, too.
            return Err(Full);
        }
        self.note(&mut ranges, used)?;
        ranges.free.remove(&start);
        let offset = start + skipped;
        let unused = [(start, skipped), (offset + rounded, rest)];
        ranges
            .free
            .extend(unused.into_iter().filter(|(_, len)| *len > 0));
        ranges.used = used;
        ranges.next_id += 1;
        let allocation = Allocation {
            address: base + offset,
            len,
            context,
            purpose,
            room: rounded,
            id: ranges.next_id,
        };
        ranges.live.insert(allocation.address, allocation);
        Ok(allocation)
    }

    /// Frees the allocation that starts at `address`, if it is one of that purpose.
    pub(crate) fn free(&self, address: u64, purpose: Purpose) -> bool {
        let mut ranges = lock(&self.ranges);
        let found = ranges.live.get(&address);
        if found.is_none_or(|allocation| allocation.purpose != purpose) {
            return false;
        }
        self.release(&mut ranges, address);
        true
    }

    /// Frees an allocation, if its context has not done so.
    pub(crate) fn free_own(&self, own: &Allocation) {
        let mut ranges = lock(&self.ranges);
        let found = ranges.live.get(&own.address);
        if found.is_some_and(|found| found.id == own.id) {
            self.release(&mut ranges, own.address);
        }
    }

    /// Changes what the allocation that starts at `address` is for, if it was for `from`.
    pub(crate) fn change(&self, address: u64, from: Purpose, to: Purpose) -> bool {
        let mut ranges = lock(&self.ranges);
        let found = ranges.live.get_mut(&address);
        let Some(found) = found.filter(|found| found.purpose == from) else {
            return false;
        };
        found.purpose = to;
        true
    }

    /// Makes a new allocation of `len` bytes of a pool's freed one that starts at `address` and has
    /// room for it; false if there is none.
    pub(crate) fn reuse(&self, address: u64, len: u64, context: u64) -> bool {
        let mut ranges = lock(&self.ranges);
        let id = ranges.next_id + 1;
        let Some(found) = ranges.live.get_mut(&address) else {
            return false;
        };
        if found.purpose.is_known() || len > found.room {
            return false;
        }
        let (purpose, room) = (Purpose::Pool, found.room);
        *found = Allocation {
            address,
            len,
            context,
            purpose,
            room,
            id,
        };
        ranges.next_id = id;
        true
    }

    /// Counts memory of the device that lies elsewhere, if there is room for it.
    pub(crate) fn charge(&self, len: u64) -> Result<(), Full> {
        let mut ranges = lock(&self.ranges);
        let used = ranges.used.checked_add(len).ok_or(Full)?;
        if used > self.len {
            return Err(Full);
        }
        self.note(&mut ranges, used)?;
        ranges.used = used;
        Ok(())
    }

    /// Undoes [`Arena::charge`].
    pub(crate) fn discharge(&self, len: u64) {
        let mut ranges = lock(&self.ranges);
        ranges.used = ranges.used.saturating_sub(len);
        self.note_less(&mut ranges);
    }

    /// Frees all that a context owns.
    pub(crate) fn free_context(&self, context: u64) {
        let mut ranges = lock(&self.ranges);
        let owned = ranges
            .live
            .values()
            .filter(|allocation| allocation.context == context);
        let addresses: Vec<u64> = owned.map(|allocation| allocation.address).collect();
        for address in addresses {
            self.release(&mut ranges, address);
        }
    }

    fn release(&self, ranges: &mut Ranges, address: u64) {
        let allocation = ranges.live.remove(&address).expect("looked up just now");
        let len = allocation.room;
        let (mut start, mut end) = (address - self.mapping.address(), 0);
        end += start + len;
        let freed = start..end;
        if let Some((&before, &before_len)) = ranges.free.range(..start).next_back()
            && before + before_len == start
        {
            ranges.free.remove(&before);
            start = before;
        }
        if let Some(after_len) = ranges.free.remove(&end) {
            end += after_len;
        }
        ranges.free.insert(start, end - start);
        ranges.used -= len;
        // The pages that this allocation lay on and no live one lies on.
        let first = (freed.start & !(PAGE_LEN - 1)).max(start.next_multiple_of(PAGE_LEN));
        let last = freed
            .end
            .next_multiple_of(PAGE_LEN)
            .min(end & !(PAGE_LEN - 1));
        if first < last {
            let to = |value| usize::try_from(value).expect("addresses have 64 bits");
            self.mapping.discard(to(first), to(last - first));
        }
        self.note_less(ranges);
    }

    /// Tells the ledger that less is used.
    fn note_less(&self, ranges: &mut Ranges) {
        let wanted = ranges.used.next_multiple_of(LEDGER_STEP);
        // Not at once, lest an allocation that comes and goes writes the file each time.
        if wanted + LEDGER_STEP < ranges.noted && self.ledger.set(wanted).unwrap_or(true) {
            ranges.noted = wanted;
        }
    }

    /// Tells the ledger that more is used, in steps where there is room, so that not every
    /// allocation writes a file.
    fn note(&self, ranges: &mut Ranges, used: u64) -> Result<(), Full> {
        if used <= ranges.noted {
            return Ok(());
        }
        let wanted = used.next_multiple_of(LEDGER_STEP).min(self.len);
        // Without a ledger (no place for the file) a device is full when this process fills it.
        let granted = |len| self.ledger.set(len).unwrap_or(true);
        let noted = [wanted, used].into_iter().find(|&len| granted(len));
        ranges.noted = noted.ok_or(Full)?;
        Ok(())
    }

    /// Makes all bytes of a live allocation zero; whole pages without touching them.
    pub(crate) fn clear(&self, allocation: &Allocation) {
        let to = |value| usize::try_from(value).expect("addresses have 64 bits");
        let start = allocation.address - self.mapping.address();
        let end = start + allocation.len;
        let first = start.next_multiple_of(PAGE_LEN).min(end);
        let last = (end & !(PAGE_LEN - 1)).max(first);
        for (from, until) in [(start, first), (last, end)] {
            let address = self.mapping.address() + from;
            Span::new(address, to(until - from)).fill(&[0]);
        }
        if first < last {
            self.mapping.discard(to(first), to(last - first));
        }
    }

    /// The live allocation that `address` lies in, as far as the application may name it.
    pub(crate) fn find(&self, address: u64) -> Option<Allocation> {
        self.find_any(address)
            .filter(|found| found.purpose.is_known())
    }

    /// The live allocation that `address` lies in.
    fn find_any(&self, address: u64) -> Option<Allocation> {
        if !self.holds(address) {
            return None;
        }
        let ranges = lock(&self.ranges);
        let (_, allocation) = ranges.live.range(..=address).next_back()?;
        (address - allocation.address < allocation.len).then_some(*allocation)
    }

    /// The live allocation that `address` lies in, or else the one nearest to it.
    pub(crate) fn nearest(&self, address: u64) -> Option<Allocation> {
        let ranges = lock(&self.ranges);
        let before = ranges.live.range(..=address).next_back();
        let after = ranges.live.range(address..).next();
        let distance = |one: &Allocation| {
            let past = address.saturating_sub(one.address + one.len - 1);
            one.address.saturating_sub(address).max(past)
        };
        let both = before.into_iter().chain(after).map(|(_, one)| *one);
        both.min_by_key(distance)
    }

    /// Whether the address is one of this device, allocated or not.
    pub(crate) fn holds(&self, address: u64) -> bool {
        address.wrapping_sub(self.mapping.address()) < self.len
    }

    /// `len` bytes at `address`, if they lie in one live allocation.
    pub(crate) fn span(&self, address: u64, len: usize) -> Option<Span> {
        let allocation = self.find(address)?;
        let rest = allocation.len - (address - allocation.address);
        (len as u64 <= rest).then(|| Span::new(address, len))
    }
}

/// Whether `len` bytes at `address` lie in one live range that kernels may know: an allocation of
/// any device, host memory, a mapping.
#[allow(dead_code, reason = "for whoever checks what kernels do")]
pub(crate) fn is_live(address: u64, len: u64) -> bool {
    let Some(device) = driver::device_of(address) else {
        return windows::holds(address, len);
    };
    let found = device.arena.find_any(address);
    found.is_some_and(|found| {
        // What is freed in stream order lives until the stream gets there.
        found.purpose != Purpose::Cached && len <= found.len - (address - found.address)
    })
}

/// Start and length of every allocation are multiples of this, as with NVIDIA's driver.
pub(crate) const GRANULE: u64 = 512;
/// The ledger is told of this process's use in multiples of this where there is room.
const LEDGER_STEP: u64 = 1 << 20;

#[cfg(test)]
mod tests;
