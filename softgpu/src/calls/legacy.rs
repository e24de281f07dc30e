//! Launching as before CUDA 4: shape and parameters are set on the function, one by one.

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::sync::Mutex;

use flexdirect_wire::abi::*;

use super::cuLaunchKernel;
use crate::function;
use crate::raw::{Span, lock};

/// What was set on a function.
#[derive(Clone, Debug)]
struct Setting {
    block: [u32; 3],
    shared_len: u32,
    parameters: Vec<u8>,
}

/// By function handle. Handles are not used again, so one of a module that is gone does no harm.
static SETTINGS: Mutex<BTreeMap<u64, Setting>> = Mutex::new(BTreeMap::new());

/// Changes what is set on a function.
fn set(function: CuFunction, change: impl FnOnce(&mut Setting) -> CuResult) -> CuResult {
    function::find(function)?;
    let mut settings = lock(&SETTINGS);
    change(settings.entry(function.0).or_insert_with(|| Setting {
        block: [1; 3],
        shared_len: 0,
        parameters: Vec::new(),
    }))
}

pub(crate) fn cuFuncSetBlockShape(hfunc: CuFunction, x: i32, y: i32, z: i32) -> CuResult {
    let [x, y, z] = [x, y, z].map(|threads| u32::try_from(threads).unwrap_or(0));
    if x == 0 || y == 0 || z == 0 {
        return Err(CuError::INVALID_VALUE);
    }
    set(hfunc, |setting| {
        setting.block = [x, y, z];
        Ok(())
    })
}

pub(crate) fn cuFuncSetSharedSize(hfunc: CuFunction, bytes: u32) -> CuResult {
    set(hfunc, |setting| {
        setting.shared_len = bytes;
        Ok(())
    })
}

pub(crate) fn cuParamSetSize(hfunc: CuFunction, numbytes: u32) -> CuResult {
    if numbytes > PARAMETERS_LEN_MAX {
        return Err(CuError::INVALID_VALUE);
    }
    set(hfunc, |setting| {
        setting.parameters.resize(numbytes as usize, 0);
        Ok(())
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
    let value = Span::new(ptr.expose_provenance() as u64, numbytes as usize);
    set_parameter(hfunc, offset, &value.to_vec())
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
        Ok(())
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
    let mut setting = None;
    set(f, |own| {
        setting = Some(own.clone());
        Ok(())
    })?;
    let Setting {
        block: [x, y, z],
        shared_len,
        mut parameters,
    } = setting.expect("set by the closure, which was called");
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
