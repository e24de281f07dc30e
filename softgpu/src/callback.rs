//! The application's code that streams call: host functions and callbacks, during which it may not
//! call the driver (CUDA Driver API, cuLaunchHostFunc).

use std::cell::Cell;

use flexdirect_wire::abi::{CuHostFn, CuResult, CuStream, CuStreamCallback};

use crate::raw::{call_back, call_host};

thread_local! {
    static RUNNING: Cell<bool> = const { Cell::new(false) };
}

/// Whether the calling thread is inside of a function that may not call the driver.
pub(crate) fn is_running() -> bool {
    RUNNING.get()
}

/// Calls a host function.
pub(crate) fn host(function: CuHostFn, data: usize) {
    let _running = Running::start();
    call_host(function, data);
}

/// Calls a stream callback.
pub(crate) fn callback(
    function: CuStreamCallback,
    stream: CuStream,
    status: CuResult,
    data: usize,
) {
    let _running = Running::start();
    call_back(function, stream, status, data);
}

/// The mark of the thread, set back when this goes.
struct Running(bool);

impl Running {
    fn start() -> Self {
        Self(RUNNING.replace(true))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        RUNNING.set(self.0);
    }
}
