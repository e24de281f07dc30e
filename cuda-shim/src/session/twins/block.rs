//! One block of memory that has a twin: what the host has changed in it, and how what a device has
//! changed is merged.

use std::ptr::{self, NonNull};
#[cfg(test)]
use std::sync::atomic::AtomicU8;

use super::watch::Watch;
use flexdirect_wire::abi::{CuError, CuResult};
use flexdirect_wire::limits::TWIN_PAGE_LEN;

/// A promise that memory of the application may be read and written until the block is dropped.
#[derive(Debug)]
pub(crate) struct Block {
    host: usize,
    device: u64,
    len: usize,
    context: u64,
    base: Base,
    /// Tells which pages have been written, if the kernel can; not before all have been looked at.
    watch: Option<Watch>,
    is_new: bool,
}

/// In which units changes are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scan {
    /// Whole pages in which something has changed.
    Pages,
    /// The bytes that have changed and no others: a device may change others meanwhile.
    Bytes,
}

impl Block {
    /// `len` bytes at `host` whose twin has the device address `device`.
    ///
    /// # Errors
    /// `OUT_OF_MEMORY` when there is no memory for the base.
    ///
    /// # Safety
    /// The bytes are valid for reads and writes until the block is dropped.
    pub(crate) unsafe fn new(
        host: u64,
        device: u64,
        len: u64,
        context: u64,
    ) -> Result<Self, CuError> {
        let bad = |_| CuError::INVALID_VALUE;
        let (host, len) = (
            usize::try_from(host).map_err(bad)?,
            usize::try_from(len).map_err(bad)?,
        );
        Ok(Self {
            host,
            device,
            len,
            context,
            base: Base::new(len).ok_or(CuError::OUT_OF_MEMORY)?,
            watch: None,
            is_new: true,
        })
    }

    /// Lets the kernel note writes to the block, if it can: for private memory of ours.
    pub(crate) fn watched(mut self) -> Self {
        self.watch = Watch::new(self.host, self.len);
        self
    }

    /// The parts of the block, as offsets, in which the host may have changed something.
    fn parts(&mut self) -> Vec<(usize, usize)> {
        let everything = vec![(0, self.len)];
        let is_new = std::mem::replace(&mut self.is_new, false);
        let Some(watch) = &self.watch else {
            return everything;
        };
        // What is written from here on is told the next time.
        let Some(written) = watch.written() else {
            self.watch = None;
            return everything;
        };
        if is_new {
            return everything;
        }
        let (start, end) = watch.range();
        // Pages at the ends may be other blocks' as well: nobody watches those.
        let mut parts = vec![(0, start - self.host)];
        parts.extend(
            written
                .iter()
                .map(|(from, to)| (from - self.host, to - self.host)),
        );
        parts.push((end - self.host, self.len));
        parts
    }

    pub(super) fn device(&self) -> u64 {
        self.device
    }

    pub(super) fn context(&self) -> u64 {
        self.context
    }

    /// Gives every run of bytes that the host has changed to `send`, with its device address; they
    /// are agreed on then.
    ///
    /// # Errors
    /// What `send` says.
    pub(super) fn changes(
        &mut self,
        scan: Scan,
        mut send: impl FnMut(u64, &[u8]) -> CuResult,
    ) -> CuResult {
        for (start, end) in self.parts() {
            self.changes_of_part(start, end, scan, &mut send)?;
        }
        Ok(())
    }

    fn changes_of_part(
        &mut self,
        start: usize,
        end: usize,
        scan: Scan,
        send: &mut impl FnMut(u64, &[u8]) -> CuResult,
    ) -> CuResult {
        let mut offset = start;
        while offset < end {
            // Most of a block has not changed: it is compared in longer parts first.
            let part_end = end.min(offset + PART_LEN);
            if self.is_equal(offset, part_end - offset) {
                offset = part_end;
                continue;
            }
            while offset < part_end {
                let len = TWIN_PAGE_LEN.min(part_end - offset);
                self.changes_of_page(offset, len, scan, send)?;
                offset += len;
            }
        }
        Ok(())
    }

    fn changes_of_page(
        &mut self,
        offset: usize,
        len: usize,
        scan: Scan,
        send: &mut impl FnMut(u64, &[u8]) -> CuResult,
    ) -> CuResult {
        if self.is_equal(offset, len) {
            return Ok(());
        }
        // What is sent and what is agreed on are one copy: other threads may write meanwhile.
        let now = self.read(self.host, offset, len);
        let device = self.device + offset as u64;
        if scan == Scan::Pages {
            self.base.write(offset, &now);
            return send(device, &now);
        }
        let base = self.base_bytes(offset, len);
        let mut at = 0;
        while let Some(start) = (at..len).find(|&at| now[at] != base[at]) {
            let run = (start..len).take_while(|&at| now[at] != base[at]).count();
            self.base.write(offset + start, &now[start..start + run]);
            send(device + start as u64, &now[start..start + run])?;
            at = start + run;
        }
        Ok(())
    }

    /// Takes in bytes of the twin: those that the device has changed, which differ from the base,
    /// go to the host's memory. What the host has changed meanwhile stays, and is told later. Bytes
    /// that are not of the block are left out.
    pub(super) fn merge(&mut self, device: u64, bytes: &[u8]) {
        let offset = usize::try_from(device - self.device).unwrap_or(usize::MAX);
        if offset > self.len || bytes.len() > self.len - offset {
            return;
        }
        let base = self.base_bytes(offset, bytes.len());
        // No other byte is written, not even with what it holds: another thread of the application
        // may be changing that one now.
        let (mut at, len) = (0, bytes.len());
        while let Some(start) = (at..len).find(|&at| bytes[at] != base[at]) {
            let run = (start..len).take_while(|&at| bytes[at] != base[at]);
            at = start + run.count();
            self.write(offset + start, &bytes[start..at]);
        }
        self.base.write(offset, bytes);
    }

    fn is_equal(&self, offset: usize, len: usize) -> bool {
        let host = ptr::with_exposed_provenance::<u8>(self.host + offset);
        let base = self.base.address(offset).cast_const();
        // SAFETY: both have `len` bytes there: the callers stay within the block, whose maker
        // promised its memory. Other threads may write it meanwhile, so no reference is formed; the
        // answer is that of some moment.
        unsafe { libc::memcmp(host.cast(), base.cast(), len) == 0 }
    }

    fn base_bytes(&self, offset: usize, len: usize) -> Vec<u8> {
        self.read(self.base.start.as_ptr().addr(), offset, len)
    }

    fn read(&self, start: usize, offset: usize, len: usize) -> Vec<u8> {
        debug_assert!(offset + len <= self.len);
        let source = ptr::with_exposed_provenance::<u8>(start + offset);
        let mut bytes = vec![0; len];
        // SAFETY: `start` is the block's memory or its base, which have `offset + len` bytes; the
        // target is new and as long.
        unsafe { ptr::copy_nonoverlapping(source, bytes.as_mut_ptr(), len) };
        bytes
    }

    fn write(&self, offset: usize, bytes: &[u8]) {
        debug_assert!(offset + bytes.len() <= self.len);
        let target = ptr::with_exposed_provenance_mut::<u8>(self.host + offset);
        // SAFETY: the block's maker promised its memory, which these bytes stay within; they are
        // memory of ours.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), target, bytes.len()) };
    }
}

/// What both ends have agreed on: zeros at first, which take no memory.
#[derive(Debug)]
struct Base {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the memory belongs to this value until it is dropped, and is reached through it only.
unsafe impl Send for Base {}

impl Base {
    fn new(len: usize) -> Option<Self> {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new mapping at an address of the kernel's choice touches no other memory.
        let mapped = unsafe { libc::mmap(ptr::null_mut(), len, access, flags, -1, 0) };
        if mapped == libc::MAP_FAILED {
            return None;
        }
        mapped.expose_provenance();
        let start = NonNull::new(mapped.cast())?;
        Some(Self { start, len })
    }

    fn address(&self, offset: usize) -> *mut u8 {
        debug_assert!(offset <= self.len);
        self.start.as_ptr().wrapping_add(offset)
    }

    fn write(&mut self, offset: usize, bytes: &[u8]) {
        assert!(offset + bytes.len() <= self.len, "within the block");
        // SAFETY: the mapping has these bytes, and they are no part of `bytes`.
        unsafe {
            ptr::copy_nonoverlapping(bytes.as_ptr(), self.address(offset), bytes.len());
        }
    }
}

impl Drop for Base {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `new` with this length, and ends here.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}

/// Bytes that are compared at once at first.
const PART_LEN: usize = 16 * TWIN_PAGE_LEN;

/// Memory for a test, which is never given back.
#[cfg(test)]
pub(super) fn memory(len: usize) -> &'static [AtomicU8] {
    (0..len)
        .map(|_| AtomicU8::new(0))
        .collect::<Vec<_>>()
        .leak()
}

/// A block of such memory.
#[cfg(test)]
pub(super) fn memory_block(bytes: &'static [AtomicU8], device: u64) -> Block {
    let host = bytes.as_ptr().expose_provenance() as u64;
    // SAFETY: the memory is there for ever, and may be changed by anybody.
    unsafe { Block::new(host, device, bytes.len() as u64, 0) }.unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEVICE: u64 = 0x4000;

    fn block(memory: &mut [u8]) -> Block {
        let host = memory.as_mut_ptr().expose_provenance() as u64;
        // SAFETY: every test keeps its memory longer than the block.
        unsafe { Block::new(host, DEVICE, memory.len() as u64, 1) }.unwrap()
    }

    fn told(block: &mut Block, scan: Scan) -> Vec<(u64, Vec<u8>)> {
        let mut runs = Vec::new();
        block
            .changes(scan, |address, bytes| {
                runs.push((address - DEVICE, bytes.to_vec()));
                Ok(())
            })
            .unwrap();
        runs
    }

    fn set(block: &Block, offset: usize, value: u8) {
        block.write(offset, &[value]);
    }

    fn get(block: &Block, offset: usize) -> u8 {
        block.read(block.host, offset, 1)[0]
    }

    #[test]
    fn a_change_is_told_once_by_bytes_or_by_pages() {
        let mut memory = vec![0; 40 * TWIN_PAGE_LEN + 10];
        let mut block = block(&mut memory);
        assert_eq!(told(&mut block, Scan::Pages), []);
        set(&block, 100, 1);
        set(&block, 101, 2);
        set(&block, 4095, 3);
        set(&block, 4096, 4);
        let last = 40 * TWIN_PAGE_LEN + 9;
        set(&block, last, 5);
        let runs = told(&mut block, Scan::Bytes);
        let expected = [
            (100, vec![1, 2]),
            (4095, vec![3]),
            (4096, vec![4]),
            (last as u64, vec![5]),
        ];
        assert_eq!(runs, expected);
        assert_eq!(told(&mut block, Scan::Bytes), []);
        set(&block, 101, 0);
        set(&block, last, 0);
        let runs = told(&mut block, Scan::Pages);
        assert_eq!(runs[0].0, 0);
        assert_eq!(runs[0].1.len(), TWIN_PAGE_LEN);
        assert_eq!(runs[1], (40 * TWIN_PAGE_LEN as u64, vec![0; 10]));
        assert_eq!(runs.len(), 2);
    }

    #[test]
    fn a_merge_keeps_what_the_host_has_changed_meanwhile() {
        let mut memory = vec![0; TWIN_PAGE_LEN];
        let mut block = block(&mut memory);
        set(&block, 10, 1);
        told(&mut block, Scan::Bytes);
        // The host goes on; the device changes two other bytes, one of them back to zero.
        set(&block, 20, 2);
        let mut page = vec![0; TWIN_PAGE_LEN];
        page[30] = 3;
        block.merge(DEVICE, &page);
        let values = [10, 20, 30].map(|offset| get(&block, offset));
        assert_eq!(values, [0, 2, 3]);
        let runs = told(&mut block, Scan::Bytes);
        assert_eq!(runs, [(20, vec![2])], "the device knows the rest");
        block.merge(DEVICE + 31, &vec![9; TWIN_PAGE_LEN]);
        assert_eq!(get(&block, 31), 0, "over its end");
    }
}
