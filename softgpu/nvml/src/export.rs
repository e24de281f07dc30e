//! The C edge: the symbols of libnvidia-ml, derived from the one table of its calls.
//!
//! No panic crosses the edge.

use std::ffi::{CStr, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

use flexdirect_wire::abi::{InOut, InStr, Out, OutStr};
use flexdirect_wire::nvml::*;

use crate::{calls, devices};

/// Runs the body of a call: its `nvmlReturn_t`.
fn edge(name: &'static str, body: impl FnOnce() -> calls::NvmlResult) -> u32 {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => 0,
        Ok(Err(NvmlError(code))) => code,
        Err(_) => {
            eprintln!("softgpu: {name} panicked, which is a defect of softgpu");
            NvmlError::UNKNOWN.0
        }
    }
}

/// Reader: the exported functions.
macro_rules! exports { ($(
    $(#[doc = $about:literal])*
    $class:ident fn $name:ident($($argument:ident: $type:ty),* $(,)?);
)*) => { $(
    #[doc = concat!("`", stringify!($name), "` of the NVML API.")]
    #[cfg_attr(not(test), unsafe(no_mangle))]
    #[allow(non_snake_case, reason = "NVIDIA's own names keep NVIDIA's spelling")]
    pub extern "C" fn $name($($argument: $type),*) -> u32 {
        edge(stringify!($name), || exports!(@body $class $name($($argument),*)))
    }
)* };
(@body soft $name:ident($($argument:ident),*)) => { calls::$name($($argument),*) };
(@body absent $name:ident($($argument:ident),*)) => {{
    $(let _ = $argument;)*
    devices::check()?;
    Err(NvmlError::NOT_SUPPORTED)
}};
}

flexdirect_wire::nvml_calls!(exports);

/// `nvmlErrorString`: text of an error, which the caller does not free.
#[cfg_attr(not(test), unsafe(no_mangle))]
#[allow(non_snake_case, reason = "NVIDIA's own names keep NVIDIA's spelling")]
pub extern "C" fn nvmlErrorString(result: u32) -> *const c_char {
    let known = ERRORS.iter().find(|error| error.0 == result);
    known.map_or(c"Unknown Error", |error| error.1).as_ptr()
}

/// What the numbers of `nvmlReturn_t` mean.
const ERRORS: &[(u32, &CStr)] = &[
    (0, c"Success"),
    (1, c"Uninitialized"),
    (2, c"Invalid Argument"),
    (3, c"Not Supported"),
    (4, c"Insufficient Permissions"),
    (5, c"Already Initialized"),
    (6, c"Not Found"),
    (7, c"Insufficient Size"),
    (8, c"Insufficient External Power"),
    (9, c"Driver Not Loaded"),
    (10, c"Timeout"),
    (11, c"Interrupt Request Issue"),
    (12, c"NVML Shared Library Not Found"),
    (13, c"Function Not Found"),
    (14, c"Corrupted infoROM"),
    (15, c"GPU is lost"),
    (16, c"GPU requires reset"),
    (17, c"GPU access blocked by the operating system"),
    (18, c"Driver/library version mismatch"),
    (19, c"In use by another client"),
    (20, c"Insufficient Memory"),
    (21, c"No data"),
    (25, c"Argument version mismatch"),
];
