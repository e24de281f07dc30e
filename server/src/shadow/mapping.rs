//! Host memory of the worker, pinned when a driver can.
//!
//! It is needed before there is a context, so it is mapped first and pinned later. A driver that
//! cannot pin what is there gives pinned memory of its own, which takes the place of the mapping.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{fmt, io};

use flexdirect_wire::{CuError, CuResult};

use crate::driver::Driver;

/// Anonymous memory of fixed length. Unpinned and unmapped when dropped.
///
/// Nothing here forms a reference to the memory: links write to it and drivers copy from it.
pub(crate) struct Mapping {
    address: NonNull<u8>,
    len: usize,
    is_pinned: AtomicBool,
    /// Whether it is the driver's, to be freed by the driver with its context.
    is_driver_owned: bool,
}

// SAFETY: the memory belongs to this value until it is dropped, and is only reached by raw pointers
// whose users agree among themselves who writes.
unsafe impl Send for Mapping {}
// SAFETY: as for Send; the flag is atomic.
unsafe impl Sync for Mapping {}

impl fmt::Debug for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mapping")
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

impl Mapping {
    /// Maps `len` bytes of zeros.
    ///
    /// # Errors
    /// What `mmap` says.
    pub(crate) fn new(len: usize) -> io::Result<Self> {
        let (protection, flags) = (
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
        );
        // SAFETY: a new mapping at an address that the kernel chooses touches nothing else.
        let address = unsafe { libc::mmap(std::ptr::null_mut(), len, protection, flags, -1, 0) };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let address = NonNull::new(address.cast::<u8>()).ok_or_else(io::Error::last_os_error)?;
        Ok(Self {
            address,
            len,
            is_pinned: AtomicBool::new(false),
            is_driver_owned: false,
        })
    }

    /// Maps `len` bytes of zeros at `address`, a multiple of the page size.
    ///
    /// # Errors
    /// What `mmap` says: `EEXIST` when something of this process is there.
    pub(crate) fn at(address: usize, len: usize) -> io::Result<Self> {
        let (protection, flags) = (
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE,
        );
        let wanted = std::ptr::without_provenance_mut(address);
        // SAFETY: MAP_FIXED_NOREPLACE replaces no mapping, so no memory in use changes.
        let mapped = unsafe { libc::mmap(wanted, len, protection, flags, -1, 0) };
        if mapped == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        if mapped != wanted {
            // A kernel before 4.17 takes the address as a hint.
            // SAFETY: this mapping was made just now and nobody knows of it.
            unsafe { libc::munmap(mapped, len) };
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let address = NonNull::new(mapped.cast::<u8>()).ok_or(io::ErrorKind::InvalidInput)?;
        Ok(Self {
            address,
            len,
            is_pinned: AtomicBool::new(false),
            is_driver_owned: false,
        })
    }

    /// Pinned memory of the driver's, which lives as long as the context that is current.
    ///
    /// # Errors
    /// What the driver says.
    pub(crate) fn from_driver(driver: &Driver, len: usize) -> Result<Self, CuError> {
        let address = NonNull::new(driver.allocate_host(len)?).ok_or(CuError::OUT_OF_MEMORY)?;
        Ok(Self {
            address,
            len,
            is_pinned: AtomicBool::new(true),
            is_driver_owned: true,
        })
    }

    /// Bytes.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Pins it for kernels to use; returns its device address. Undone by [`Mapping::unpin`].
    ///
    /// # Errors
    /// What the driver says: the memory is not pinned then.
    pub(crate) fn pin_mapped(&self, driver: &Driver) -> Result<u64, CuError> {
        let device = driver.pin_mapped(self.address.as_ptr(), self.len)?;
        self.is_pinned.store(true, Ordering::Relaxed);
        Ok(device)
    }

    /// Pins it, unless it is.
    ///
    /// # Errors
    /// What the driver says: the memory stays pageable, which is slower and as right.
    pub(crate) fn pin(&self, driver: &Driver) -> CuResult {
        if self.is_pinned.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        driver
            .pin(self.address.as_ptr(), self.len)
            .inspect_err(|_| {
                self.is_pinned.store(false, Ordering::Relaxed);
            })
    }

    /// Undoes [`Mapping::pin`], while the driver still works.
    pub(crate) fn unpin(&self, driver: &Driver) {
        if !self.is_driver_owned && self.is_pinned.swap(false, Ordering::Relaxed) {
            let _ = driver.unpin(self.address.as_ptr());
        }
    }

    /// Pointer to `len` bytes from `offset` on, when they lie inside.
    pub(crate) fn slice(&self, offset: usize, len: usize) -> Option<*mut u8> {
        let end = offset.checked_add(len)?;
        // SAFETY: `offset` is at most the mapping's length, so the pointer stays in or at its end.
        (end <= self.len).then(|| unsafe { self.address.as_ptr().add(offset) })
    }

    /// Copies `len` bytes from `offset` on out of the mapping, when they lie inside.
    pub(crate) fn read(&self, offset: usize, len: usize) -> Option<Vec<u8>> {
        let source = self.slice(offset, len)?;
        let mut bytes = Vec::with_capacity(len);
        // SAFETY: the source lies in the mapping, which outlives the call, and the target is a new
        // buffer of that capacity whose bytes are all written before its length is set.
        unsafe {
            std::ptr::copy_nonoverlapping(source, bytes.as_mut_ptr(), len);
            bytes.set_len(len);
        }
        Some(bytes)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if !self.is_driver_owned {
            // SAFETY: the mapping was made by `new` with this length, and ends here.
            unsafe { libc::munmap(self.address.as_ptr().cast(), self.len) };
        }
    }
}
