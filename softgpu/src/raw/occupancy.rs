//! The application's function that says how much shared memory a block of a size needs.

use flexdirect_wire::abi::CuOccupancyB2DSize;

/// Calls it; `None` if there is none.
pub(crate) fn dynamic_shared_len(callback: CuOccupancyB2DSize, threads: i32) -> Option<usize> {
    type Callback = extern "C" fn(i32) -> usize;
    if callback.0 == 0 {
        return None;
    }
    let address = std::ptr::with_exposed_provenance::<()>(callback.0);
    // SAFETY: the application passes null or a function of this type (CUDA Driver API,
    // CUoccupancyB2DSize); a function pointer has the size and form of a data pointer here.
    let callback = unsafe { std::mem::transmute::<*const (), Callback>(address) };
    Some(callback(threads))
}
