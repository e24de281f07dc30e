//! What streams touch of the application in their own time: its functions, and words of memory
//! that other processors change meanwhile.

use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use flexdirect_wire::abi::{CuHostFn, CuResult, CuStream, CuStreamCallback};

/// Calls a host function with its data.
pub(crate) fn call_host(function: CuHostFn, data: usize) {
    // SAFETY: the application passed the address of a CUhostFn and keeps it callable until its
    // stream has called it (CUDA Driver API, cuLaunchHostFunc).
    let function = unsafe {
        let code: *const () = ptr::with_exposed_provenance(function.0);
        std::mem::transmute::<*const (), extern "C" fn(*mut c_void)>(code)
    };
    function(ptr::with_exposed_provenance_mut(data));
}

/// Calls a stream callback with what became of its stream.
pub(crate) fn call_back(
    function: CuStreamCallback,
    stream: CuStream,
    status: CuResult,
    data: usize,
) {
    type Callback = extern "C" fn(CuStream, CuResult, *mut c_void);
    // SAFETY: the application passed the address of a CUstreamCallback and keeps it callable until
    // its stream has called it (CUDA Driver API, cuStreamAddCallback).
    let function = unsafe {
        let code: *const () = ptr::with_exposed_provenance(function.0);
        std::mem::transmute::<*const (), Callback>(code)
    };
    function(stream, status, ptr::with_exposed_provenance_mut(data));
}

/// A word of 4 or 8 bytes that kernels, copies and the program may change at any time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Word {
    address: usize,
    is_long: bool,
}

impl Word {
    /// A word that exists as long as this is used: of the arena, or of pinned memory that is held.
    /// `None` if it is not aligned.
    pub(crate) fn new(address: u64, is_long: bool) -> Option<Self> {
        let len = if is_long { 8 } else { 4 };
        let address = usize::try_from(address).ok()?;
        (address != 0 && address.is_multiple_of(len)).then_some(Self { address, is_long })
    }

    /// Its value now.
    pub(crate) fn load(self) -> u64 {
        // Acquire: what was written before the value that ends a wait is seen after it.
        if self.is_long {
            return self.long().load(Ordering::Acquire);
        }
        u64::from(self.short().load(Ordering::Acquire))
    }

    /// Replaces its value by one made of it; `change` may be called more than once.
    pub(crate) fn update(self, change: impl Fn(u64) -> u64) {
        let order = Ordering::AcqRel;
        if self.is_long {
            let change = |value| Some(change(value));
            let _ = self.long().fetch_update(order, Ordering::Acquire, change);
        } else {
            let low = |value: u64| u32::try_from(value & u64::from(u32::MAX)).unwrap_or(0);
            let change = |value| Some(low(change(u64::from(value))));
            let _ = self.short().fetch_update(order, Ordering::Acquire, change);
        }
    }

    fn short(&self) -> &AtomicU32 {
        // SAFETY: four aligned bytes that exist for as long as the word is used.
        unsafe { AtomicU32::from_ptr(ptr::with_exposed_provenance_mut(self.address)) }
    }

    fn long(&self) -> &AtomicU64 {
        // SAFETY: eight aligned bytes that exist for as long as the word is used.
        unsafe { AtomicU64::from_ptr(ptr::with_exposed_provenance_mut(self.address)) }
    }
}

/// The elements of an array of the application; none if it is null.
pub(crate) fn elements<T: Copy>(start: *const T, len: usize) -> Vec<T> {
    super::array(start, len)
}

/// What the application points to; `None` if it is null.
pub(crate) fn fetch<T: Copy>(place: *const T) -> Option<T> {
    // SAFETY: not null, hence a `T` of the application that the call reads.
    (!place.is_null()).then(|| unsafe { place.read_unaligned() })
}
