//! Calls functions of the application by their address, and reads the sources of its copies.

use std::ffi::c_void;
use std::ptr;

use flexdirect_wire::abi::{CuError, CuResult, CuStream};

use super::{Source, Task};

/// Runs a function; `status` is what a callback is told of its stream.
pub(super) fn run(task: &Task, status: u32) {
    match *task {
        Task::Function { function, data } => {
            let code: *const () = ptr::with_exposed_provenance(function.0);
            // SAFETY: the application passed the address of a CUhostFn and keeps it callable until
            // its stream has called it (CUDA Driver API, cuLaunchHostFunc).
            let function =
                unsafe { std::mem::transmute::<*const (), extern "C" fn(*mut c_void)>(code) };
            function(ptr::with_exposed_provenance_mut(data));
        }
        Task::Callback {
            callback,
            stream,
            data,
        } => {
            type Callback = extern "C" fn(CuStream, CuResult, *mut c_void);
            let code: *const () = ptr::with_exposed_provenance(callback.0);
            // SAFETY: the application passed the address of a CUstreamCallback and keeps it
            // callable until its stream has called it (CUDA Driver API, cuStreamAddCallback).
            let callback = unsafe { std::mem::transmute::<*const (), Callback>(code) };
            let data = ptr::with_exposed_provenance_mut(data);
            callback(stream, CuError::check(status), data);
        }
        Task::Mark | Task::Source(_) => {}
    }
}

/// Lends the bytes of a source, its rows one behind the other.
pub(super) fn with_bytes<T>(source: &Source, lend: impl FnOnce(&[u8]) -> T) -> T {
    let row = |offset: usize| {
        let start = usize::try_from(source.start).expect("addresses have 64 bits") + offset;
        let start: *const u8 = ptr::with_exposed_provenance(start);
        // SAFETY: it is pinned memory of ours, which is not given back while a source in it waits
        // to be read, or memory that a launched graph copies, which the application keeps until
        // that is over; the application does not write there while its stream copies.
        unsafe { std::slice::from_raw_parts(start, source.width) }
    };
    if source.height == 1 && source.depth == 1 {
        return lend(row(0));
    }
    let mut bytes = Vec::with_capacity(source.width * source.height * source.depth);
    for slice in 0..source.depth {
        for at in 0..source.height {
            bytes.extend_from_slice(row(slice * source.slice + at * source.pitch));
        }
    }
    lend(&bytes)
}
