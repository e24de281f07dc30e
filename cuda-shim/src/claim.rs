//! Claim on return: the client reserves the address ranges that the worker's driver gave out.
//!
//! A device pointer of the application is the worker's, unchanged. So that no memory of the client
//! can ever have the same address, each range is mapped here without access. Reservations are
//! coarse and stay for the life of the process: a driver gives out the same addresses again and
//! again, and then there is nothing left to do.

use std::collections::BTreeMap;
use std::ptr;

/// Reserved address ranges: start to end, neither overlapping nor touching.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    ranges: BTreeMap<u64, u64>,
}

/// Memory of the client lies where the worker's does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Conflict;

impl Claims {
    /// Reserves `len` bytes from `address` on, as far as they are not reserved yet.
    ///
    /// # Errors
    /// [`Conflict`] when the client uses some of them. What else was reserved for this stays so.
    pub(crate) fn claim(&mut self, address: u64, len: u64) -> Result<(), Conflict> {
        let end = address
            .checked_add(len)
            .filter(|&end| end < ADDRESS_MAX)
            .ok_or(Conflict)?;
        let coarse = (address - address % COARSE, end.next_multiple_of(COARSE));
        if self.fill(coarse).is_ok() {
            return Ok(());
        }
        // A neighbour within the coarse range is no conflict.
        self.fill((address - address % PAGE, end.next_multiple_of(PAGE)))
    }

    /// Reserves `len` bytes where this process has nothing, aligned to `alignment` and coarsely.
    pub(crate) fn choose(&mut self, len: u64, alignment: u64) -> Option<u64> {
        let alignment = alignment.max(COARSE);
        let room = len.checked_add(alignment)?;
        let start = map(0, usize::try_from(room).ok()?, 0)? as u64;
        // The kernel's choice is nobody's; all of it is kept, since nobody else may come between.
        self.add(start, start + room);
        let address = start.checked_next_multiple_of(alignment)?;
        (address + len < ADDRESS_MAX).then_some(address)
    }

    /// Whether some of `len` bytes from `address` on are reserved here, and so nobody's memory.
    pub(crate) fn touches(&self, address: u64, len: u64) -> bool {
        let before_end = self.ranges.range(..address.saturating_add(len)).next_back();
        before_end.is_some_and(|(_, &end)| end > address)
    }

    /// Makes pages of a claimed range memory that can be read and written: zeros, unless they are
    /// open already. Whether they are open.
    pub(crate) fn open(&self, address: u64, len: u64) -> bool {
        let start = address - address % PAGE;
        let end = (address + len).next_multiple_of(PAGE);
        let (Ok(at), Ok(len)) = (usize::try_from(start), usize::try_from(end - start)) else {
            return false;
        };
        if !self.gaps(start, end).is_empty() {
            return false;
        }
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let start = ptr::with_exposed_provenance_mut(at);
        // SAFETY: all of the range is claimed, so these are mappings of ours, and what becomes
        // accessible was nobody's.
        unsafe { libc::mprotect(start, len, access) == 0 }
    }

    /// Takes whole pages back that [`Claims::open`] has opened: what was in them is gone.
    pub(crate) fn close(&self, start: u64, len: u64) {
        let (Ok(at), Ok(len_mapped)) = (usize::try_from(start), usize::try_from(len)) else {
            return;
        };
        if !self.gaps(start, start + len).is_empty() {
            return;
        }
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_FIXED;
        let start = ptr::with_exposed_provenance_mut(at);
        // SAFETY: all of the range is claimed, so what is replaced are mappings of ours, which the
        // application has just freed.
        unsafe { libc::mmap(start, len_mapped, libc::PROT_NONE, flags, -1, 0) };
    }

    fn fill(&mut self, (start, end): (u64, u64)) -> Result<(), Conflict> {
        for (gap_start, gap_end) in self.gaps(start, end) {
            if !reserve(gap_start, gap_end - gap_start) {
                return Err(Conflict);
            }
            self.add(gap_start, gap_end);
        }
        Ok(())
    }

    /// Parts of a range that are not reserved.
    fn gaps(&self, start: u64, end: u64) -> Vec<(u64, u64)> {
        let mut gaps = Vec::new();
        let mut at = start;
        if let Some((_, &before_end)) = self.ranges.range(..=start).next_back() {
            at = at.max(before_end);
        }
        for (&range_start, &range_end) in self.ranges.range(start..end) {
            if at < range_start {
                gaps.push((at, range_start));
            }
            at = at.max(range_end);
        }
        if at < end {
            gaps.push((at, end));
        }
        gaps
    }

    /// Notes a reserved range and joins it with its neighbours.
    fn add(&mut self, mut start: u64, mut end: u64) {
        if let Some((&before, &before_end)) = self.ranges.range(..start).next_back()
            && before_end == start
        {
            start = before;
        }
        if let Some(after_end) = self.ranges.remove(&end) {
            end = after_end;
        }
        self.ranges.insert(start, end);
    }
}

/// Maps a range without access, if nothing of the process is there.
fn reserve(address: u64, len: u64) -> bool {
    let (Ok(at), Ok(len)) = (usize::try_from(address), usize::try_from(len)) else {
        return false;
    };
    match map(at, len, libc::MAP_FIXED_NOREPLACE) {
        Some(mapped) if mapped == at => true,
        Some(mapped) => {
            // A kernel before 4.17 takes the address as a hint.
            // SAFETY: this mapping was made just now and nobody knows of it.
            unsafe { libc::munmap(ptr::without_provenance_mut(mapped), len) };
            false
        }
        None => false,
    }
}

/// Maps a range without access: at an address, or where the kernel chooses.
fn map(wanted: usize, len: usize, how: libc::c_int) -> Option<usize> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | how;
    let wanted = ptr::without_provenance_mut(wanted);
    // SAFETY: without MAP_FIXED, and with MAP_FIXED_NOREPLACE, no mapping is replaced, so no memory
    // in use changes.
    let mapped = unsafe { libc::mmap(wanted, len, libc::PROT_NONE, flags, -1, 0) };
    (mapped != libc::MAP_FAILED).then_some(mapped.addr())
}

/// Granularity of reservations: that of the driver's own pages of device memory.
const COARSE: u64 = 2 << 20;
const PAGE: u64 = 4 << 10;
/// End of the addresses that a process can have.
const ADDRESS_MAX: u64 = 1 << 47;

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// An address range that no process uses of its own accord, and no other test.
    fn free_range(len: u64) -> u64 {
        static NEXT: AtomicU64 = AtomicU64::new(0x1000_0000_0000);
        NEXT.fetch_add(len.next_multiple_of(COARSE), Ordering::Relaxed)
    }

    /// Whether a page of the process is at this address.
    fn is_mapped(address: u64) -> bool {
        let mut residence = 0u8;
        let page = ptr::without_provenance_mut(usize::try_from(address).unwrap());
        // SAFETY: mincore only looks, and writes one byte for one page.
        let result = unsafe { libc::mincore(page, 4096, &raw mut residence) };
        result == 0
    }

    #[test]
    fn a_claimed_range_is_nobody_elses() {
        let base = free_range(32 << 20);
        let mut claims = Claims::default();
        assert_eq!(claims.claim(base + 4096, 100), Ok(()));
        assert!(is_mapped(base), "the whole coarse range is taken");
        assert!(is_mapped(base + COARSE - PAGE));
        assert_eq!(
            claims.claim(base + 4096, 100),
            Ok(()),
            "again: nothing to do"
        );
        assert_eq!(
            claims.claim(base + COARSE / 2, COARSE),
            Ok(()),
            "grows over its end"
        );
        assert_eq!(claims.ranges.len(), 1, "neighbours are one");
        assert_eq!(claims.ranges.get(&base), Some(&(base + 2 * COARSE)));
    }

    #[test]
    fn memory_of_the_client_is_a_conflict() {
        let base = free_range(32 << 20);
        assert!(
            reserve(base + COARSE + PAGE, PAGE),
            "stands for memory of the application"
        );
        let mut claims = Claims::default();
        assert_eq!(claims.claim(base + COARSE, 2 * PAGE), Err(Conflict));
        assert_eq!(
            claims.claim(base + COARSE, PAGE),
            Ok(()),
            "the page before it is free"
        );
        assert_eq!(claims.claim(base, COARSE), Ok(()));
        assert_eq!(
            claims.claim(u64::MAX - 10, 100),
            Err(Conflict),
            "no address at all"
        );
        assert_eq!(claims.claim(ADDRESS_MAX, 1), Err(Conflict));
    }

    #[test]
    fn a_chosen_range_is_free_aligned_and_claimed() {
        let mut claims = Claims::default();
        let len = 3 * COARSE;
        let address = claims.choose(len, 8 * COARSE).unwrap();
        assert!(address.is_multiple_of(8 * COARSE));
        assert!(is_mapped(address) && is_mapped(address + len - PAGE));
        assert_eq!(claims.claim(address, len), Ok(()), "there already");
        let other = claims.choose(len, 0).unwrap();
        assert!(other + len <= address || address + len <= other);
        assert_eq!(claims.choose(u64::MAX, 0), None);
    }

    #[test]
    fn a_range_is_opened_and_closed_page_by_page() {
        let base = free_range(32 << 20);
        let mut claims = Claims::default();
        claims.claim(base, 3 * PAGE).unwrap();
        assert!(!claims.open(base + COARSE, 8), "not claimed");
        assert!(claims.open(base + 100, 8) && claims.open(base + PAGE, 8));
        let at = |offset: u64| {
            ptr::with_exposed_provenance_mut::<u8>(usize::try_from(base + offset).unwrap())
        };
        // SAFETY: these pages are open, and nobody else uses them.
        unsafe { at(100).write(7) };
        assert!(claims.open(base + 200, 8), "open already");
        // SAFETY: as above.
        assert_eq!(unsafe { at(100).read() }, 7, "stays as it is");
        claims.close(base, PAGE);
        assert!(claims.open(base, PAGE));
        // SAFETY: as above.
        assert_eq!(unsafe { at(100).read() }, 0, "a new page");
    }

    #[test]
    fn gaps_are_what_is_missing() {
        let mut claims = Claims::default();
        claims.add(10, 20);
        claims.add(30, 40);
        assert_eq!(claims.gaps(0, 50), [(0, 10), (20, 30), (40, 50)]);
        assert_eq!(claims.gaps(12, 18), []);
        assert_eq!(claims.gaps(15, 35), [(20, 30)]);
        assert!(claims.touches(5, 6) && claims.touches(39, 9) && claims.touches(0, u64::MAX));
        assert!(!claims.touches(20, 10) && !claims.touches(40, u64::MAX));
        claims.add(20, 30);
        assert_eq!(claims.ranges.len(), 1);
        assert_eq!(claims.gaps(5, 45), [(5, 10), (40, 45)]);
    }
}
