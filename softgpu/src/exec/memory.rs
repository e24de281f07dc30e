//! The arena that kernels read and write: the only place of the interpreter that touches raw
//! memory.
//!
//! Kernels, host threads and copies use the same bytes at the same time, ordered by CUDA's rules
//! and not by Rust's. So every access here is a relaxed atomic of its size on an address that was
//! checked against the arena's bounds and the size's alignment; no reference is ever formed over
//! the arena.

use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};

use super::LANES;

/// A contiguous range of memory of this process that kernels may touch. A copy of base and length.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    base: u64,
    length: u64,
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
        Self { base, length }
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

    #[inline(always)]
    fn check(&self, address: u64, size: u64) -> Result<(), Bad> {
        if !self.holds(address, size) {
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
        self.check(address, u64::from(size))?;
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
        self.check(address, u64::from(size))?;
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
        self.check(address, u64::from(size))?;
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
        if !self.all_good(addresses, 4) {
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
        if !self.all_good(addresses, 4) {
            return false;
        }
        for (&value, &address) in values.iter().zip(addresses) {
            // SAFETY: `all_good` checked range and alignment of every lane, see `Memory::new`.
            unsafe { word(address).store(value, Ordering::Relaxed) };
        }
        true
    }

    /// One pass without branches, so that it vectorises.
    #[inline(always)]
    fn all_good(&self, addresses: &[u64; LANES], size: u64) -> bool {
        if self.length < size {
            return false;
        }
        let last = self.length - size;
        let mut bad = false;
        for &address in addresses {
            bad |= address.wrapping_sub(self.base) > last || address & (size - 1) != 0;
        }
        !bad
    }
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
mod tests {
    use super::*;

    fn arena(words: &mut [u64]) -> Memory {
        // SAFETY: the caller keeps the slice alive and does not touch it while the arena is used.
        unsafe { Memory::new(words.as_mut_ptr().cast(), size_of_val(words)) }
    }

    #[test]
    fn accesses_at_the_edges_are_checked() {
        let mut words = [0u64; 4];
        let memory = arena(&mut words);
        let base = memory.base();
        assert_eq!(memory.store(base + 24, 8, u64::MAX), Ok(()));
        assert_eq!(memory.load(base + 31, 1), Ok(0xff));
        assert_eq!(memory.load(base + 32, 1), Err(Bad::Address));
        assert_eq!(memory.load(base - 1, 1), Err(Bad::Address));
        assert_eq!(memory.load(base + 30, 4), Err(Bad::Address));
        assert_eq!(memory.load(base + 2, 4), Err(Bad::Alignment));
        assert_eq!(memory.load(0, 4), Err(Bad::Address));
        assert_eq!(memory.load(u64::MAX, 8), Err(Bad::Address));
    }

    #[test]
    fn one_bad_lane_refuses_the_whole_row() {
        let mut words = [7u64; 16];
        let memory = arena(&mut words);
        let mut addresses = [0u64; LANES];
        for (lane, address) in addresses.iter_mut().enumerate() {
            *address = memory.base() + 4 * lane as u64;
        }
        let mut row = [0; LANES];
        assert!(memory.load_words(&addresses, &mut row));
        assert_eq!(row[..4], [7, 0, 7, 0]);
        addresses[31] += 4;
        assert!(!memory.load_words(&addresses, &mut row));
        addresses[31] -= 5;
        assert!(!memory.store_words(&addresses, &row));
    }

    #[test]
    fn updates_return_the_old_value() {
        let mut words = [5u64; 1];
        let memory = arena(&mut words);
        assert_eq!(memory.update(memory.base(), 4, |old| old + 1), Ok(5));
        assert_eq!(memory.load(memory.base(), 8), Ok(6));
    }
}
