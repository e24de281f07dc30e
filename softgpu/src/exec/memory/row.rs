//! Rows of words that lie one behind the other, as they do when neighbours access neighbours: moved
//! in eight pieces instead of 32.
//!
//! The pieces are moved by instructions that the compiler does not look into: for it they are
//! foreign accesses, like those of a device. Each aligned word of them is moved whole.

#[cfg(not(target_arch = "x86_64"))]
use std::sync::atomic::Ordering;

use crate::exec::LANES;
use crate::exec::lanes::{Longs, Words};

/// Whether each address is four bytes behind the one before.
#[inline(always)]
pub(super) fn is_one_piece(addresses: &Longs) -> bool {
    let first = addresses[0];
    // Most rows that are not show it at once.
    if addresses[1].wrapping_sub(first) != 4 {
        return false;
    }
    let mut differ = 0;
    for (lane, &address) in addresses.iter().enumerate() {
        differ |= address ^ first.wrapping_add(4 * lane as u64);
    }
    differ == 0
}

/// Loads the words from `first` on.
///
/// # Safety
/// The row is mapped and aligned to words.
#[inline(always)]
pub(super) unsafe fn load(first: u64, into: &mut Words) {
    // SAFETY: the caller's, and `into` has as many bytes.
    unsafe { copy(first, into.as_mut_ptr().expose_provenance() as u64) };
}

/// Stores the words from `first` on.
///
/// # Safety
/// The row is mapped to be written and aligned to words.
#[inline(always)]
pub(super) unsafe fn store(first: u64, values: &Words) {
    // SAFETY: the caller's, and `values` has as many bytes.
    unsafe { copy(values.as_ptr().expose_provenance() as u64, first) };
}

/// Asks for the row from `first` on, which need not be there.
#[inline(always)]
pub(in crate::exec) fn prefetch(first: u64) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        for line in [0, 64] {
            let address = std::ptr::without_provenance(first.wrapping_add(line) as usize);
            // SAFETY: a hint, which never faults; every CPU of this architecture has it.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(address) };
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = first;
}

/// Copies a row.
///
/// # Safety
/// Both rows are mapped and aligned to words, the second to be written.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn copy(from: u64, into: u64) {
    const { assert!(4 * LANES == 128, "eight pieces of 16 bytes") };
    // SAFETY: reads and writes the 128 bytes that the caller has promised.
    unsafe {
        std::arch::asm!(
            "movups {a}, [{from}]",
            "movups {b}, [{from} + 16]",
            "movups {c}, [{from} + 32]",
            "movups {d}, [{from} + 48]",
            "movups [{into}], {a}",
            "movups [{into} + 16], {b}",
            "movups [{into} + 32], {c}",
            "movups [{into} + 48], {d}",
            "movups {a}, [{from} + 64]",
            "movups {b}, [{from} + 80]",
            "movups {c}, [{from} + 96]",
            "movups {d}, [{from} + 112]",
            "movups [{into} + 64], {a}",
            "movups [{into} + 80], {b}",
            "movups [{into} + 96], {c}",
            "movups [{into} + 112], {d}",
            from = in(reg) from,
            into = in(reg) into,
            a = out(xmm_reg) _,
            b = out(xmm_reg) _,
            c = out(xmm_reg) _,
            d = out(xmm_reg) _,
            options(nostack, preserves_flags),
        );
    }
}

/// Copies a row, word by word.
///
/// # Safety
/// Both rows are mapped and aligned to words, the second to be written.
#[cfg(not(target_arch = "x86_64"))]
unsafe fn copy(from: u64, into: u64) {
    for lane in 0..LANES as u64 {
        // SAFETY: words of the rows that the caller has promised.
        unsafe {
            let word = super::word(from + 4 * lane).load(Ordering::Relaxed);
            super::word(into + 4 * lane).store(word, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_moved_whole_and_nothing_beside() {
        let source: Vec<u32> = (0..40).collect();
        let mut target = vec![u32::MAX; 40];
        let (mut row, at) = ([0; LANES], |memory: &[u32]| memory.as_ptr() as u64 + 12);
        // SAFETY: 32 words from the fourth on, of 40.
        unsafe { load(at(&source), &mut row) };
        assert_eq!(row[..], source[3..35]);
        let into = target.as_mut_ptr() as u64 + 12;
        // SAFETY: as above.
        unsafe { store(into, &row) };
        assert_eq!(target[3..35], source[3..35]);
        assert_eq!((target[2], target[35]), (u32::MAX, u32::MAX));
    }

    #[test]
    fn one_lane_elsewhere_is_no_row() {
        let row: Longs = std::array::from_fn(|lane| 4096 + 4 * lane as u64);
        assert!(is_one_piece(&row));
        for lane in 0..LANES {
            let mut other = row;
            other[lane] += 4;
            assert!(!is_one_piece(&other), "lane {lane}");
        }
        let wraps: Longs =
            std::array::from_fn(|lane| 0_u64.wrapping_sub(64) + 4 * lane as u64 % 64);
        assert!(!is_one_piece(&wraps));
    }
}
