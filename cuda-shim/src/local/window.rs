//! The window of addresses in which pinned memory lies, so that the worker can have the same ones.
//!
//! Addresses are given out once: a twin may outlive its block for as long as kernels use it.

use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

/// First address of the window: far from what programs, their heaps and drivers use.
const START: u64 = 0x1800_0000_0000;
/// Its end.
const END: u64 = 0x2000_0000_0000;
/// Blocks begin at multiples of this.
const ALIGNMENT: u64 = 64 << 10;
/// Addresses that are tried before the memory lies anywhere.
const TRIES_MAX: usize = 16;

/// Next address of the window that was not given out.
static NEXT: AtomicU64 = AtomicU64::new(START);

/// An address for `len` bytes that has not been given out before; none at the end of the window.
pub(crate) fn next(len: u64) -> Option<u64> {
    // One block more: nothing lies right behind another's end.
    let len = len
        .checked_add(ALIGNMENT)?
        .checked_next_multiple_of(ALIGNMENT)?;
    let taken = NEXT.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next| {
        next.checked_add(len).filter(|&end| end <= END)
    });
    taken.ok()
}

/// Whether an address lies in the window.
pub(crate) fn holds(address: u64) -> bool {
    (START..END).contains(&address)
}

/// Memory of `len` bytes in the window, or elsewhere if the window has no room.
pub(crate) fn map(len: usize) -> Option<*mut c_void> {
    for _ in 0..TRIES_MAX {
        let Some(address) = next(len as u64) else {
            break;
        };
        let wanted = ptr::without_provenance_mut(usize::try_from(address).ok()?);
        let mapped = map_at(wanted, len, libc::MAP_FIXED_NOREPLACE)?;
        if mapped == wanted {
            return Some(mapped);
        }
        unmap(mapped, len);
    }
    map_at(ptr::null_mut(), len, 0)
}

/// Null where something is at the address; none when there is no memory.
fn map_at(wanted: *mut c_void, len: usize, flag: i32) -> Option<*mut c_void> {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | flag;
    // SAFETY: a new mapping that replaces none touches no other memory.
    let mapped = unsafe { libc::mmap(wanted, len, access, flags, -1, 0) };
    if mapped != libc::MAP_FAILED {
        return Some(mapped);
    }
    let is_taken = std::io::Error::last_os_error().raw_os_error() == Some(libc::EEXIST);
    is_taken.then_some(ptr::null_mut())
}

fn unmap(mapped: *mut c_void, len: usize) {
    if !mapped.is_null() {
        // SAFETY: this mapping was made just now and nobody knows of it.
        unsafe { libc::munmap(mapped, len) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_lie_in_the_window_and_never_at_the_same_address() {
        let first = map(100).unwrap();
        assert!(holds(first.expose_provenance() as u64));
        let next_address = next(100).unwrap();
        let wanted = ptr::without_provenance_mut(usize::try_from(next_address).unwrap());
        // SAFETY: `first` is ours and nobody uses it.
        unsafe { libc::munmap(first, 100) };
        let second = map(100).unwrap();
        assert_ne!(first, second);
        assert_eq!(
            map_at(second, 100, libc::MAP_FIXED_NOREPLACE),
            Some(ptr::null_mut())
        );
        assert!(map_at(wanted, 100, libc::MAP_FIXED_NOREPLACE).is_some_and(|at| !at.is_null()));
        assert_eq!(next(END), None, "more than the window has");
    }
}
