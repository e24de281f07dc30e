//! The driver half's raw memory: mappings, copies by address, and what the application points to.
//!
//! Device memory is read and written by kernels, copies and other processes' threads at once, so no
//! reference is ever formed over it: it is touched by the C library's copies only. The
//! application's pointers are taken at its word for the time of a call, as the driver API has it;
//! what must be checked (device addresses) is checked before a [`Span`] is made of it.

mod host;
pub(crate) mod machine;
pub(crate) mod occupancy;
pub(crate) mod structs;

use std::ffi::{CStr, c_char, c_void};
use std::io;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use flexdirect_driver_abi::image::{Image, ImageError, copy_image};
use flexdirect_driver_abi::tables;
use flexdirect_wire::abi::{CuLaunchAttribute, CuLaunchConfig, CuUuid};

use crate::exec::Memory;

mod pages;
mod thread_end;

pub(crate) use host::*;
pub(crate) use pages::{Reservation, is_writable, memory_file, open_memory_file, windows};
pub(crate) use thread_end::watch_thread;

/// A mapping of this process, unmapped with the value.
#[derive(Debug)]
pub(crate) struct Mapping {
    address: usize,
    len: usize,
}

impl Mapping {
    /// Maps `len` zeroed bytes without reserving memory for them: at `wanted` if nothing is there,
    /// else anywhere; at 0 anywhere.
    pub(crate) fn new(len: usize, wanted: usize) -> io::Result<Self> {
        let attempt = |at: usize, fixed: i32| {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | fixed;
            let protection = libc::PROT_READ | libc::PROT_WRITE;
            // SAFETY: a new mapping; with MAP_FIXED_NOREPLACE none that exists is replaced.
            let at = unsafe {
                let at = ptr::without_provenance_mut(at);
                libc::mmap(at, len, protection, flags, -1, 0)
            };
            if at == libc::MAP_FAILED {
                return Err(io::Error::last_os_error());
            }
            // Kernels jump about in it: large pages spare them most misses of the TLB. Where there
            // are none it stays as it is.
            // SAFETY: the range was mapped above; the advice changes nothing that it holds.
            unsafe { libc::madvise(at, len, libc::MADV_HUGEPAGE) };
            let address = at.expose_provenance();
            Ok(Self { address, len })
        };
        if wanted != 0
            && let Ok(mapping) = attempt(wanted, libc::MAP_FIXED_NOREPLACE)
        {
            // An old kernel takes the address for a hint: wherever it is, it is ours.
            return Ok(mapping);
        }
        attempt(0, 0)
    }

    /// First address.
    pub(crate) fn address(&self) -> u64 {
        self.address as u64
    }

    /// The mapping as kernels see it.
    pub(crate) fn memory(&'static self) -> Memory {
        // SAFETY: mapped readable and writable, never unmapped since the value is static, with
        // exposed provenance; all else touches it through the C library's copies below.
        unsafe { Memory::new(ptr::with_exposed_provenance_mut(self.address), self.len) }
    }

    /// Gives the pages of a range back to the system; they read as zero from then on.
    pub(crate) fn discard(&self, offset: usize, len: usize) {
        if offset > self.len || len > self.len - offset {
            return;
        }
        // SAFETY: the range lies in this mapping, of anonymous memory.
        unsafe {
            let start = ptr::with_exposed_provenance_mut(self.address + offset);
            libc::madvise(start, len, libc::MADV_DONTNEED);
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped by `new` and unmapped once; its users hold the value.
        unsafe { libc::munmap(ptr::with_exposed_provenance_mut(self.address), self.len) };
    }
}

/// Bytes by address: of the arena, checked against its allocations, or named by the application.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    address: usize,
    len: usize,
}

impl Span {
    /// Bytes that exist for as long as the span is used: checked by the arena, or promised by the
    /// application, which passed the address to a call.
    pub(crate) fn new(address: u64, len: usize) -> Self {
        let address = usize::try_from(address).expect("addresses have 64 bits");
        Self { address, len }
    }

    /// First address.
    pub(crate) fn address(self) -> u64 {
        self.address as u64
    }

    /// Length in bytes.
    pub(crate) fn len(self) -> usize {
        self.len
    }

    /// A copy of the bytes.
    pub(crate) fn to_vec(self) -> Vec<u8> {
        let mut bytes: Vec<u8> = Vec::with_capacity(self.len);
        // SAFETY: the span names readable bytes and the vector has room for them; the C library
        // copies them, so that other threads may touch the source meanwhile.
        unsafe {
            libc::memcpy(
                bytes.as_mut_ptr().cast(),
                ptr::with_exposed_provenance(self.address),
                self.len,
            );
            bytes.set_len(self.len);
        }
        bytes
    }

    /// Writes `bytes` from the start of the span on; what does not fit is left out.
    pub(crate) fn write(self, bytes: &[u8]) {
        // SAFETY: the span names writable bytes, `bytes` are others.
        unsafe {
            libc::memcpy(
                ptr::with_exposed_provenance_mut(self.address),
                bytes.as_ptr().cast(),
                bytes.len().min(self.len),
            );
        }
    }

    /// Copies the bytes of `source`, as many as both spans have; they may overlap.
    pub(crate) fn copy_from(self, source: Self) {
        // SAFETY: both spans name bytes that exist; memmove takes overlapping ones.
        unsafe {
            libc::memmove(
                ptr::with_exposed_provenance_mut(self.address),
                ptr::with_exposed_provenance(source.address),
                self.len.min(source.len),
            );
        }
    }

    /// Fills the span with copies of `pattern` (1, 2 or 4 bytes).
    pub(crate) fn fill(self, pattern: &[u8]) {
        let [first, rest @ ..] = pattern else {
            return;
        };
        if rest.iter().all(|byte| byte == first) {
            // SAFETY: the span names writable bytes.
            unsafe {
                let start = ptr::with_exposed_provenance_mut(self.address);
                libc::memset(start, i32::from(*first), self.len);
            }
            return;
        }
        let block = pattern.repeat(FILL_LEN / pattern.len());
        for offset in (0..self.len).step_by(block.len()) {
            let len = block.len().min(self.len - offset);
            Self::new(self.address() + offset as u64, len).write(&block);
        }
    }
}

/// Locks, whatever happened to a thread that held the lock.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The image that a load call was given.
pub(crate) fn image(image: *const c_void) -> Result<Image, ImageError> {
    // SAFETY: the application passes null or what the load calls accept.
    unsafe { copy_image(image) }
}

/// The elements of an array of the application; none if it is null.
pub(crate) fn array<T: Copy>(start: *const T, len: usize) -> Vec<T> {
    if start.is_null() {
        return Vec::new();
    }
    let element = |index| {
        // SAFETY: the application passes `len` elements; alignment is not relied on.
        unsafe { start.add(index).read_unaligned() }
    };
    (0..len).map(element).collect()
}

/// The pointers of an array of the application.
pub(crate) fn pointers(start: *mut *mut c_void, len: usize) -> Vec<*mut c_void> {
    array(start, len)
}

/// The numbers of an array of the application.
pub(crate) fn numbers(start: *const u32, len: usize) -> Vec<u32> {
    array(start, len)
}

/// What `extra` of a launch says: the buffer of parameters and its length, or `None` if it is not
/// of the documented form (CUDA Driver API, cuLaunchKernel).
pub(crate) fn launch_extra(extra: *mut *mut c_void) -> Option<Span> {
    let (mut buffer, mut len) = (None, None);
    for pair in 0..EXTRA_PAIRS_MAX {
        // SAFETY: the array of the application goes on until its end mark, not yet seen.
        let name = unsafe { extra.add(2 * pair).read_unaligned() }.addr();
        if name == EXTRA_END {
            break;
        }
        // SAFETY: as above; every name but the end mark is followed by a value.
        let value = unsafe { extra.add(2 * pair + 1).read_unaligned() };
        match name {
            EXTRA_BUFFER if !value.is_null() => buffer = Some(value.expose_provenance()),
            EXTRA_LEN if !value.is_null() => {
                // SAFETY: the application passes the address of a size_t.
                len = Some(unsafe { value.cast::<usize>().read_unaligned() });
            }
            _ => return None,
        }
    }
    Some(Span {
        address: buffer?,
        len: len?,
    })
}

/// A launch configuration and its attributes.
pub(crate) fn launch_config(
    config: *const CuLaunchConfig,
) -> Option<(CuLaunchConfig, Vec<CuLaunchAttribute>)> {
    if config.is_null() {
        return None;
    }
    // SAFETY: the application passes null or a configuration.
    let config = unsafe { config.read_unaligned() };
    let attributes = array(config.attrs.cast_const(), config.num_attrs as usize);
    Some((config, attributes))
}

/// A UUID of the application.
pub(crate) fn uuid(uuid: *const CuUuid) -> Option<[u8; 16]> {
    // SAFETY: the application passes null or a UUID.
    (!uuid.is_null()).then(|| unsafe { uuid.read_unaligned() }.bytes)
}

/// Stores `value` at an address of the application; false if it is null.
pub(crate) fn store<T>(place: *mut T, value: T) -> bool {
    if place.is_null() {
        return false;
    }
    // SAFETY: not null, hence the place of a `T` that the call writes.
    unsafe { place.write_unaligned(value) };
    true
}

/// Writes text to the C library's standard output, in order with what the program prints.
pub(crate) fn print(text: &[u8]) {
    for line in text.split_inclusive(|&byte| byte == b'\n') {
        let len = i32::try_from(line.len()).unwrap_or(i32::MAX);
        // SAFETY: the format takes a length and a pointer to at least that many bytes.
        unsafe { libc::printf(c"%.*s".as_ptr(), len, line.as_ptr().cast::<c_char>()) };
    }
}

/// Keeps signals of the process away from the calling thread: its handlers are the program's.
pub(crate) fn block_signals() {
    // SAFETY: an all-zero signal set is a valid value to be filled, and is then filled.
    unsafe {
        let mut signals: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut signals);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const signals, ptr::null_mut());
    }
}

/// Has forks of this process noticed: the driver does not work in a child (CUDA Programming Guide).
pub(crate) fn watch_forks() {
    extern "C" fn child() {
        FORKED.store(true, Ordering::Relaxed);
        tables::forked_child();
    }
    // SAFETY: the handler only stores a flag and abandons a storage, and is never unmapped.
    unsafe { libc::pthread_atfork(None, None, Some(child)) };
}

/// Whether this process is a fork of one that had called cuInit.
pub(crate) fn is_forked() -> bool {
    FORKED.load(Ordering::Relaxed)
}

/// Text that lives as long as the process.
pub(crate) fn static_text(text: &'static str) -> *const c_char {
    let text = CStr::from_bytes_until_nul(text.as_bytes()).unwrap_or_default();
    text.as_ptr()
}

static FORKED: AtomicBool = AtomicBool::new(false);

/// CU_LAUNCH_PARAM_END, _BUFFER_POINTER and _BUFFER_SIZE.
const EXTRA_END: usize = 0;
const EXTRA_BUFFER: usize = 1;
const EXTRA_LEN: usize = 2;
/// More pairs than there are names.
const EXTRA_PAIRS_MAX: usize = 8;
const FILL_LEN: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn span(bytes: &mut [u8]) -> Span {
        let len = bytes.len();
        Span::new(bytes.as_mut_ptr().expose_provenance() as u64, len)
    }

    #[test]
    fn fills_whole_patterns() {
        let mut bytes = vec![0u8; 3 * FILL_LEN + 8];
        span(&mut bytes).fill(&[1, 2, 3, 4]);
        assert!(bytes.chunks(4).all(|chunk| chunk == [1, 2, 3, 4]));
        span(&mut bytes[..9]).fill(&[7]);
        assert_eq!(bytes[..12], [7, 7, 7, 7, 7, 7, 7, 7, 7, 2, 3, 4]);
    }

    #[test]
    fn overlapping_copies_keep_their_bytes() {
        let mut bytes = *b"abcdef";
        let whole = span(&mut bytes);
        Span::new(whole.address() + 2, 4).copy_from(whole);
        assert_eq!(&bytes, b"ababcd");
    }

    #[test]
    fn a_taken_address_falls_back() {
        let first = Mapping::new(1 << 20, 0).unwrap();
        let wanted = usize::try_from(first.address()).unwrap();
        let second = Mapping::new(1 << 20, wanted).unwrap();
        assert_ne!(first.address(), second.address());
        Span::new(second.address(), 3).write(b"abc");
        second.discard(0, 1 << 20);
        assert_eq!(Span::new(second.address(), 3).to_vec(), [0; 3]);
    }

    #[test]
    fn extra_names_a_buffer() {
        let mut buffer = [1u8, 2, 3];
        let mut len = buffer.len();
        let mut extra = [
            ptr::without_provenance_mut(EXTRA_BUFFER),
            buffer.as_mut_ptr().cast(),
            ptr::without_provenance_mut(EXTRA_LEN),
            (&raw mut len).cast(),
            ptr::null_mut(),
        ];
        let found = launch_extra(extra.as_mut_ptr()).unwrap();
        assert_eq!(found.to_vec(), [1, 2, 3]);
        extra[2] = ptr::null_mut();
        assert!(launch_extra(extra.as_mut_ptr()).is_none(), "no length");
    }
}
