//! The arena that kernels read and write: the only place of the interpreter that touches raw
//! memory.
//!
//! Beside the arena there may be windows: host memory, mappings, other devices' memory. An address
//! in the arena costs what it costs without them; only one outside of it is looked up.
//!
//! Kernels, host threads and copies use the same bytes at the same time, ordered by CUDA's rules
//! and not by Rust's. So every access here is a relaxed atomic of its size on an address that was
//! checked against the arena's bounds and the size's alignment; no reference is ever formed over
//! the arena.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use super::LANES;

mod row;

pub(super) use row::prefetch;

/// A contiguous range of memory of this process that kernels may touch, and windows beside it.
#[derive(Debug)]
pub struct Memory {
    base: u64,
    length: u64,
    windows: Option<Arc<Windows>>,
    /// The window that was used last: whoever uses one uses it again.
    last: AtomicUsize,
}

/// Ranges outside the arena that kernels may touch, too, and what keeps them mapped.
#[derive(Debug, Default)]
pub struct Windows {
    /// What may be read: first address and length of each, by address, none overlapping another.
    readable: Vec<(u64, u64)>,
    /// What may be written as well.
    writable: Vec<(u64, u64)>,
    _keep: Vec<Arc<dyn Any + Send + Sync>>,
}

impl Windows {
    /// The ranges (first address, length in bytes) in any order, and those that kernels only read;
    /// what `keep` holds lives as long as this. Neighbours become one range.
    ///
    /// # Safety
    /// Each range must stay mapped, readable and (unless only read) writable as long as this value
    /// lives or until no launch uses it, its provenance must be exposed, and everything else that
    /// touches it meanwhile must do so by atomic, volatile or foreign accesses.
    #[must_use]
    pub unsafe fn new(
        ranges: Vec<(u64, u64)>,
        only_read: Vec<(u64, u64)>,
        keep: Vec<Arc<dyn Any + Send + Sync>>,
    ) -> Self {
        let writable = merged(ranges);
        Self {
            readable: merged([writable.clone(), only_read].concat()),
            writable,
            _keep: keep,
        }
    }

    /// The range that holds `size` bytes at `address`, and its index.
    fn find(
        &self,
        address: u64,
        size: u64,
        access: Access,
        hint: usize,
    ) -> Option<(usize, (u64, u64))> {
        let ranges = match access {
            Access::Read => &self.readable,
            Access::Write => &self.writable,
        };
        let within = |index: usize| {
            let &(start, length) = ranges.get(index)?;
            let offset = address.wrapping_sub(start);
            (offset < length && length - offset >= size).then_some((index, (start, length)))
        };
        within(hint).or_else(|| {
            let after = ranges.partition_point(|range| range.0 <= address);
            within(after.checked_sub(1)?)
        })
    }
}

/// Ranges in order, neighbours and what overlaps made one.
fn merged(mut ranges: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
    ranges.retain(|&(address, length)| {
        // What wraps, or is no address of a program, is no range.
        length > 0 && address >= 4096 && length <= 1 << 47 && address <= (1 << 47) - length
    });
    ranges.sort_unstable();
    let mut merged: Vec<(u64, u64)> = Vec::with_capacity(ranges.len());
    for (address, length) in ranges {
        match merged.last_mut() {
            Some(last) if last.0 + last.1 >= address => {
                last.1 = last.1.max(address + length - last.0);
            }
            _ => merged.push((address, length)),
        }
    }
    merged
}

/// What is done to memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    Read,
    Write,
}

impl Clone for Memory {
    fn clone(&self) -> Self {
        Self {
            base: self.base,
            length: self.length,
            windows: self.windows.clone(),
            last: AtomicUsize::new(self.last.load(Ordering::Relaxed)),
        }
    }
}

/// What is wrong with an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bad {
    Address,
    Alignment,
}

impl Memory {
    /// The arena of `length` bytes at `base`.
    ///
    /// # Safety
    /// The range must stay mapped, readable and writable as long as a launch that was given this
    /// value (or a copy) runs, its provenance must be exposed, and everything else that touches it
    /// meanwhile must do so by atomic, volatile or foreign accesses.
    ///
    /// # Panics
    /// If the range is null, wraps, or reaches beyond the 47 bits of user addresses.
    #[must_use]
    pub unsafe fn new(base: *mut u8, length: usize) -> Self {
        let base = base.expose_provenance() as u64;
        let length = length as u64;
        assert!(
            base >= 4096 && length <= 1 << 47 && base <= (1 << 47) - length,
            "arena range"
        );
        Self {
            base,
            length,
            windows: None,
            last: AtomicUsize::new(0),
        }
    }

    /// The same with windows beside the arena.
    #[must_use]
    pub fn with_windows(mut self, windows: Arc<Windows>) -> Self {
        self.windows = (!windows.readable.is_empty()).then_some(windows);
        self
    }

    /// First address.
    #[must_use]
    pub fn base(&self) -> u64 {
        self.base
    }

    /// Length in bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Whether `size` bytes at `address` lie in the arena.
    #[inline(always)]
    pub(super) fn holds(&self, address: u64, size: u64) -> bool {
        // An address below the base wraps to a huge offset.
        let offset = address.wrapping_sub(self.base);
        offset < self.length && self.length - offset >= size
    }

    /// The window that holds `size` bytes at `address`.
    #[cold]
    #[inline(never)]
    fn window(&self, address: u64, size: u64, access: Access) -> Option<(u64, u64)> {
        let windows = self.windows.as_ref()?;
        let hint = self.last.load(Ordering::Relaxed);
        let (index, range) = windows.find(address, size, access, hint)?;
        if index != hint {
            self.last.store(index, Ordering::Relaxed);
        }
        Some(range)
    }

    #[inline(always)]
    fn check(&self, address: u64, size: u64, access: Access) -> Result<(), Bad> {
        if !self.holds(address, size) && self.window(address, size, access).is_none() {
            return Err(Bad::Address);
        }
        if address & (size - 1) == 0 {
            Ok(())
        } else {
            Err(Bad::Alignment)
        }
    }

    /// Loads `size` (1, 2, 4 or 8) bytes.
    #[inline(always)]
    pub(super) fn load(&self, address: u64, size: u32) -> Result<u64, Bad> {
        self.check(address, u64::from(size), Access::Read)?;
        // SAFETY: the range and the alignment have just been checked, see `Memory::new`.
        Ok(unsafe {
            match size {
                1 => u64::from(byte(address).load(Ordering::Relaxed)),
                2 => u64::from(short(address).load(Ordering::Relaxed)),
                4 => u64::from(word(address).load(Ordering::Relaxed)),
                8 => long(address).load(Ordering::Relaxed),
                _ => return Err(Bad::Alignment),
            }
        })
    }

    /// Stores the low `size` (1, 2, 4 or 8) bytes of `value`.
    #[inline(always)]
    pub(super) fn store(&self, address: u64, size: u32, value: u64) -> Result<(), Bad> {
        self.check(address, u64::from(size), Access::Write)?;
        // SAFETY: the range and the alignment have just been checked, see `Memory::new`.
        unsafe {
            match size {
                1 => byte(address).store(value as u8, Ordering::Relaxed),
                2 => short(address).store(value as u16, Ordering::Relaxed),
                4 => word(address).store(value as u32, Ordering::Relaxed),
                8 => long(address).store(value, Ordering::Relaxed),
                _ => return Err(Bad::Alignment),
            }
        }
        Ok(())
    }

    /// Replaces the `size` (2, 4 or 8) bytes at `address` by `update` of them, atomically among all
    /// threads of this process; the old value is returned. `update` may be called more than once.
    pub(super) fn update(
        &self,
        address: u64,
        size: u32,
        mut update: impl FnMut(u64) -> u64,
    ) -> Result<u64, Bad> {
        self.check(address, u64::from(size), Access::Write)?;
        let order = (Ordering::SeqCst, Ordering::SeqCst);
        // SAFETY: the range and the alignment have just been checked, see `Memory::new`.
        let old = unsafe {
            match size {
                2 => short(address)
                    .fetch_update(order.0, order.1, |old| Some(update(u64::from(old)) as u16))
                    .map(u64::from)
                    .map_err(u64::from),
                4 => word(address)
                    .fetch_update(order.0, order.1, |old| Some(update(u64::from(old)) as u32))
                    .map(u64::from)
                    .map_err(u64::from),
                8 => long(address).fetch_update(order.0, order.1, |old| Some(update(old))),
                // Of another size there is none: it would reach beyond what was checked.
                _ => return Err(Bad::Alignment),
            }
        };
        Ok(old.unwrap_or_else(|old| old))
    }

    /// Loads 32 words, one per lane, if every lane's address is good; false (and nothing read)
    /// else.
    #[inline(always)]
    pub(super) fn load_words(&self, addresses: &[u64; LANES], into: &mut [u32; LANES]) -> bool {
        if row::is_one_piece(addresses) && self.holds_row(addresses[0]) {
            // SAFETY: the 128 bytes lie in the arena, aligned to words, see `Memory::new`.
            unsafe { row::load(addresses[0], into) };
            return true;
        }
        if !self.all_good(addresses, 4, Access::Read) {
            return false;
        }
        for (value, &address) in into.iter_mut().zip(addresses) {
            // SAFETY: `all_good` checked range and alignment of every lane, see `Memory::new`.
            *value = unsafe { word(address).load(Ordering::Relaxed) };
        }
        true
    }

    /// Stores 32 words, one per lane, if every lane's address is good; false (nothing stored) else.
    #[inline(always)]
    pub(super) fn store_words(&self, addresses: &[u64; LANES], values: &[u32; LANES]) -> bool {
        if row::is_one_piece(addresses) && self.holds_row(addresses[0]) {
            // SAFETY: the 128 bytes lie in the arena, aligned to words, see `Memory::new`.
            unsafe { row::store(addresses[0], values) };
            return true;
        }
        if !self.all_good(addresses, 4, Access::Write) {
            return false;
        }
        for (&value, &address) in values.iter().zip(addresses) {
            // SAFETY: `all_good` checked range and alignment of every lane, see `Memory::new`.
            unsafe { word(address).store(value, Ordering::Relaxed) };
        }
        true
    }

    /// Whether a row of words from an address on lies in the arena, aligned.
    #[inline(always)]
    fn holds_row(&self, first: u64) -> bool {
        first & 3 == 0 && self.holds(first, 4 * LANES as u64)
    }

    #[inline(always)]
    fn all_good(&self, addresses: &[u64; LANES], size: u64, access: Access) -> bool {
        all_within(self.base, self.length, addresses, size)
            || self.all_windowed(addresses, size, access)
    }

    /// Whether all lie in the window of the first.
    #[cold]
    #[inline(never)]
    fn all_windowed(&self, addresses: &[u64; LANES], size: u64, access: Access) -> bool {
        let window = self.window(addresses[0], size, access);
        window.is_some_and(|(start, length)| all_within(start, length, addresses, size))
    }
}

/// One pass without branches or comparisons, so that it vectorises: baseline vector units have no
/// comparison of longs, but all can subtract and look at signs.
#[inline(always)]
fn all_within(start: u64, length: u64, addresses: &[u64; LANES], size: u64) -> bool {
    // Ranges lie below 2^47, see `Memory::new` and `Windows::new`.
    if length < size || length > 1 << 47 {
        return false;
    }
    let last = length - size;
    let (mut signs, mut low) = (0, 0);
    for &address in addresses {
        let offset = address.wrapping_sub(start);
        // An offset of 2^63 or more has the sign itself; a smaller one beyond `last` gives it.
        signs |= offset | last.wrapping_sub(offset);
        low |= address;
    }
    signs >> 63 == 0 && low & (size - 1) == 0
}

// SAFETY contract of the four: `address` lies in a mapped range with exposed provenance, aligned.
unsafe fn byte<'a>(address: u64) -> &'a AtomicU8 {
    // SAFETY: the caller's.
    unsafe { AtomicU8::from_ptr(std::ptr::with_exposed_provenance_mut(address as usize)) }
}

unsafe fn short<'a>(address: u64) -> &'a AtomicU16 {
    // SAFETY: the caller's.
    unsafe { AtomicU16::from_ptr(std::ptr::with_exposed_provenance_mut(address as usize)) }
}

unsafe fn word<'a>(address: u64) -> &'a AtomicU32 {
    // SAFETY: the caller's.
    unsafe { AtomicU32::from_ptr(std::ptr::with_exposed_provenance_mut(address as usize)) }
}

unsafe fn long<'a>(address: u64) -> &'a AtomicU64 {
    // SAFETY: the caller's.
    unsafe { AtomicU64::from_ptr(std::ptr::with_exposed_provenance_mut(address as usize)) }
}

#[cfg(test)]
mod tests;
