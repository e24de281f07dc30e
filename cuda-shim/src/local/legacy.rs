//! Launching as before CUDA 4: shape and parameters are set on the function, one by one, and kept
//! here until a launch takes them.

#![expect(non_snake_case, reason = "CUDA's own names keep CUDA's spelling")]

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::sync::{Mutex, PoisonError};

use flexdirect_wire::abi::{CuError, CuFunction, CuResult, CuStream, InOut};

use crate::hand::cuLaunchKernel;
use crate::process::process;

/// What was set on a function.
#[derive(Clone, Debug)]
struct Setting {
    block: [u32; 3],
    shared_len: u32,
    parameters: Vec<u8>,
}

/// By function handle. Handles are not used again, so one of a module that is gone does no harm.
static SETTINGS: Mutex<BTreeMap<u64, Setting>> = Mutex::new(BTreeMap::new());

/// Changes what is set on a function, and looks at it.
fn set<T>(function: CuFunction, change: impl FnOnce(&mut Setting) -> T) -> Result<T, CuError> {
    let found = process()?.functions.find(function.0);
    found.ok_or(CuError::INVALID_HANDLE)?;
    let mut settings = SETTINGS.lock().unwrap_or_else(PoisonError::into_inner);
    let new = || Setting {
        block: [1; 3],
        shared_len: 0,
        parameters: Vec::new(),
    };
    Ok(change(settings.entry(function.0).or_insert_with(new)))
}

pub(crate) fn cuFuncSetBlockShape(hfunc: CuFunction, x: i32, y: i32, z: i32) -> CuResult {
    let shape = [x, y, z].map(|threads| u32::try_from(threads).unwrap_or(0));
    if shape.contains(&0) {
        return Err(CuError::INVALID_VALUE);
    }
    set(hfunc, |setting| setting.block = shape)
}

pub(crate) fn cuFuncSetSharedSize(hfunc: CuFunction, bytes: u32) -> CuResult {
    set(hfunc, |setting| setting.shared_len = bytes)
}

pub(crate) fn cuParamSetSize(hfunc: CuFunction, numbytes: u32) -> CuResult {
    if numbytes > PARAMETERS_LEN_MAX {
        return Err(CuError::INVALID_VALUE);
    }
    set(hfunc, |setting| {
        setting.parameters.resize(numbytes as usize, 0)
    })
}

pub(crate) fn cuParamSeti(hfunc: CuFunction, offset: i32, value: u32) -> CuResult {
    set_parameter(hfunc, offset, &value.to_le_bytes())
}

pub(crate) fn cuParamSetf(hfunc: CuFunction, offset: i32, value: f32) -> CuResult {
    set_parameter(hfunc, offset, &value.to_le_bytes())
}

pub(crate) fn cuParamSetv(
    hfunc: CuFunction,
    offset: i32,
    ptr: *mut c_void,
    numbytes: u32,
) -> CuResult {
    if ptr.is_null() || numbytes > PARAMETERS_LEN_MAX {
        return Err(CuError::INVALID_VALUE);
    }
    let byte = |index| InOut(ptr.cast::<u8>().wrapping_add(index)).read();
    let value: Result<Vec<u8>, _> = (0..numbytes as usize).map(byte).collect();
    set_parameter(hfunc, offset, &value?)
}

/// Parameters may be set before their total size is.
fn set_parameter(function: CuFunction, offset: i32, value: &[u8]) -> CuResult {
    let start = usize::try_from(offset).map_err(|_| CuError::INVALID_VALUE)?;
    let end = start.saturating_add(value.len());
    if end > PARAMETERS_LEN_MAX as usize {
        return Err(CuError::INVALID_VALUE);
    }
    set(function, |setting| {
        if setting.parameters.len() < end {
            setting.parameters.resize(end, 0);
        }
        setting.parameters[start..end].copy_from_slice(value);
    })
}

pub(crate) fn cuLaunch(f: CuFunction) -> CuResult {
    cuLaunchGrid(f, 1, 1)
}

pub(crate) fn cuLaunchGrid(f: CuFunction, grid_width: i32, grid_height: i32) -> CuResult {
    cuLaunchGridAsync(f, grid_width, grid_height, CuStream(0))
}

pub(crate) fn cuLaunchGridAsync(
    f: CuFunction,
    grid_width: i32,
    grid_height: i32,
    stream: CuStream,
) -> CuResult {
    let [width, height] = [grid_width, grid_height].map(u32::try_from);
    let (Ok(width), Ok(height)) = (width, height) else {
        return Err(CuError::INVALID_VALUE);
    };
    let Setting {
        block: [x, y, z],
        shared_len,
        mut parameters,
    } = set(f, |setting| setting.clone())?;
    let mut len = parameters.len();
    let mark = std::ptr::without_provenance_mut;
    // CU_LAUNCH_PARAM_BUFFER_POINTER, _BUFFER_SIZE and _END.
    let mut extra: [*mut c_void; 5] = [
        mark(1),
        parameters.as_mut_ptr().cast(),
        mark(2),
        (&raw mut len).cast(),
        mark(0),
    ];
    let (none, extra) = (std::ptr::null_mut(), extra.as_mut_ptr());
    cuLaunchKernel(
        f, width, height, 1, x, y, z, shared_len, stream, none, extra,
    )
}

/// As many as any kernel has: 32,764 bytes since CUDA 12.1, rounded up.
const PARAMETERS_LEN_MAX: u32 = 32 << 10;
