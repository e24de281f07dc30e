//! The C edge: every symbol of libcuda, derived from the one table of calls.
//!
//! An absent call answers CUDA_ERROR_NOT_SUPPORTED. For every other entry `crate::calls` must have
//! a function of the same name and argument types, so a missing one does not compile. No panic
//! crosses the edge. The classes of the table (local, posted, awaited) make no difference here.

use std::cell::Cell;
use std::ffi::{c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

use flexdirect_driver_abi::procs::Proc;
use flexdirect_driver_abi::tables::{DeviceIdentity, Host};
use flexdirect_wire::abi::*;

use crate::{calls, driver, raw};

/// What tells this driver from NVIDIA's, for whoever opens a libcuda by path: the version of the
/// CUDA API that it implements.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub extern "C" fn softgpu_marker() -> u32 {
    driver::VERSION
}

thread_local! {
    /// Whether the call in progress in this thread came through a per-thread-default-stream twin.
    static PER_THREAD: Cell<bool> = const { Cell::new(false) };
}

/// Whether stream 0 means the thread's default stream in the call in progress.
pub(crate) fn is_per_thread() -> bool {
    PER_THREAD.get()
}

/// Runs the body of a call; a panic becomes CUDA_ERROR_UNKNOWN and one line on stderr.
fn edge(name: &'static str, body: impl FnOnce() -> CuResult) -> CuResult {
    driver::trace_call(|| name.to_owned());
    if let Ok(result) = catch_unwind(AssertUnwindSafe(body)) {
        if let Err(error) = result
            && !EXPECTED.contains(&error)
        {
            driver::trace(|| format!("{name}: {error}"));
        }
        return result;
    }
    eprintln!("softgpu: {name} panicked, which is a defect of softgpu");
    Err(CuError::UNKNOWN)
}

/// Runs the body of a twin: stream 0 is the thread's own in it.
fn twin_edge(name: &'static str, body: impl FnOnce() -> CuResult) -> CuResult {
    let before = PER_THREAD.replace(true);
    let result = edge(name, body);
    PER_THREAD.set(before);
    result
}

/// Answers that programs ask for: not worth a line.
const EXPECTED: [CuError; 3] = [
    CuError::NOT_FOUND,
    CuError::NOT_READY,
    CuError::NOT_SUPPORTED,
];

/// Answers a call that is not there; named once in the log.
fn absent(name: &'static str) -> CuResult {
    static NAMED: Mutex<Vec<&'static str>> = Mutex::new(Vec::new());
    driver::trace(|| {
        let mut named = raw::lock(&NAMED);
        if named.contains(&name) {
            return String::new();
        }
        named.push(name);
        format!("{name} is not supported")
    });
    Err(CuError::NOT_SUPPORTED)
}

/// Reader: the exported functions, and the rows of cuGetProcAddress.
///
/// Arguments are renamed by position, for the table calls some of them by Rust's keywords.
macro_rules! exports { ($(
    $(#[doc = $about:literal])*
    $op:literal $class:ident $blocks:ident fn $name:ident $arguments:tt
    since $since:literal $(twin $twin:ident $twin_since:literal)?
    $(, $hand:ident $($by:ident)*)?;
)*) => {
    $(
        exports!(@symbol edge $class $name $name $arguments);
        $(exports!(@symbol twin_edge $class $twin $name $arguments);)?
    )*

    /// The rows that `cuGetProcAddress` chooses from.
    pub(crate) fn procs() -> Vec<Proc> {
        vec![$(Proc {
            symbol: stringify!($name),
            since: $since,
            address: $name as *const c_void as usize,
            twin: exports!(@row $($twin $twin_since)?),
        }),*]
    }
};
(@symbol $edge:ident $class:ident $symbol:ident $name:ident ($($arguments:tt)*)) => {
    exports!(@named $edge $class $symbol $name [] [a b c d e f g h i j k l m n o p q r]
        $($arguments)*);
};
(@named $edge:ident $class:ident $symbol:ident $name:ident [$($done:tt)*]
    [$first:ident $($names:ident)*] $argument:ident: $type:ty $(, $($rest:tt)*)?
) => {
    exports!(@named $edge $class $symbol $name [$($done)* $first: $type,] [$($names)*]
        $($($rest)*)?);
};
(@named $edge:ident absent $symbol:ident $name:ident [$($argument:ident: $type:ty,)*]
    [$($names:ident)*]
) => {
    #[doc = concat!("`", stringify!($symbol), "`: not supported.")]
    #[cfg_attr(not(test), unsafe(no_mangle))]
    #[allow(non_snake_case, reason = "CUDA's own names keep CUDA's spelling")]
    #[allow(clippy::too_many_arguments, reason = "the C signature")]
    pub extern "C" fn $symbol($($argument: $type),*) -> CuResult {
        $(let _ = $argument;)*
        $edge(stringify!($symbol), || absent(stringify!($symbol)))
    }
};
(@named $edge:ident $class:ident $symbol:ident $name:ident [$($argument:ident: $type:ty,)*]
    [$($names:ident)*]
) => {
    #[doc = concat!("`", stringify!($symbol), "` of the CUDA Driver API.")]
    #[cfg_attr(not(test), unsafe(no_mangle))]
    #[allow(non_snake_case, reason = "CUDA's own names keep CUDA's spelling")]
    #[allow(clippy::too_many_arguments, reason = "the C signature")]
    pub extern "C" fn $symbol($($argument: $type),*) -> CuResult {
        $edge(stringify!($symbol), || calls::$name($($argument),*))
    }
};
(@row) => { None };
(@row $twin:ident $since:literal) => {
    Some((stringify!($twin), $since, $twin as *const c_void as usize))
};
}

flexdirect_wire::driver_calls!(exports);

/// What the private tables need of this driver.
pub(crate) struct Tables;

impl Host for Tables {
    fn primary_context(&self, device: i32) -> Result<u64, u32> {
        let device = driver::device(CuDevice(device)).map_err(CuError::code)?;
        Ok(device.primary().handle.0)
    }

    fn current_context(&self) -> u64 {
        crate::context::top().map_or(0, |context| context.handle.0)
    }

    unsafe fn load_fatbin(&self, image: *const c_void) -> Result<u64, u32> {
        let mut module = CuModule(0);
        calls::cuModuleLoadData(Out(&raw mut module), InBytes(image.cast_mut()))
            .map_err(CuError::code)?;
        Ok(module.0)
    }

    fn driver_version(&self) -> u32 {
        driver::VERSION
    }

    fn devices(&self) -> Vec<DeviceIdentity> {
        driver::devices()
            .iter()
            .map(|device| device.identity())
            .collect()
    }

    fn log(&self, line: &str) {
        driver::trace(|| line.to_owned());
    }
}
