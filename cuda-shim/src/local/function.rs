//! What is known of functions and kernels since their look-up.

#![expect(non_snake_case, reason = "CUDA's own names keep CUDA's spelling")]

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use flexdirect_wire::abi::{
    CuDevice, CuError, CuFuncCache, CuFunction, CuFunctionAttribute, CuFunctionLoadingState,
    CuKernel, CuLibrary, CuModule, CuModuleLoadingMode, CuResult, CuSharedconfig, InStr, Out,
};

use crate::objects::Function;
use crate::process::process;
use crate::{devices, process::Process};

/// A function; a kernel serves as one.
fn function(process: &Process, handle: u64) -> Result<Arc<Function>, CuError> {
    process
        .functions
        .find(handle)
        .ok_or(CuError::INVALID_HANDLE)
}

fn kernel(handle: u64) -> Result<Arc<Function>, CuError> {
    function(process()?, handle)?.as_kernel()
}

impl Function {
    fn as_kernel(self: Arc<Self>) -> Result<Arc<Self>, CuError> {
        if self.context == 0 {
            Ok(self)
        } else {
            Err(CuError::INVALID_HANDLE)
        }
    }
}

/// No device of a lease calls functions by an address of this process.
pub(crate) fn cuLibraryGetUnifiedFunction(
    fptr: Out<*mut c_void>,
    library: CuLibrary,
    symbol: InStr,
) -> CuResult {
    let process = process()?;
    if fptr.is_null() {
        return Err(CuError::INVALID_VALUE);
    }
    let found = process.modules.find(library.0);
    found
        .filter(|module| module.context == 0)
        .ok_or(CuError::INVALID_HANDLE)?;
    symbol.text()?;
    Err(CuError::NOT_FOUND)
}

pub(crate) fn cuModuleGetLoadingMode(mode: Out<CuModuleLoadingMode>) -> CuResult {
    let is_eager = std::env::var("CUDA_MODULE_LOADING").is_ok_and(|mode| mode == "EAGER");
    mode.write(if is_eager { EAGER } else { LAZY })
}

pub(crate) fn cuFuncGetAttribute(
    pi: Out<i32>,
    attrib: CuFunctionAttribute,
    hfunc: CuFunction,
) -> CuResult {
    let found = function(process()?, hfunc.0)?;
    pi.write(found.attribute(attrib.0).ok_or(CuError::INVALID_VALUE)?)
}

pub(crate) fn cuKernelGetAttribute(
    pi: Out<i32>,
    attrib: CuFunctionAttribute,
    hkernel: CuKernel,
    dev: CuDevice,
) -> CuResult {
    devices::find(&process()?.devices, dev)?;
    pi.write(
        kernel(hkernel.0)?
            .attribute(attrib.0)
            .ok_or(CuError::INVALID_VALUE)?,
    )
}

pub(crate) fn cuFuncSetCacheConfig(hfunc: CuFunction, config: CuFuncCache) -> CuResult {
    function(process()?, hfunc.0)?;
    if config.0 > CACHE_MAX {
        Err(CuError::INVALID_VALUE)
    } else {
        Ok(())
    }
}

pub(crate) fn cuKernelSetCacheConfig(
    hkernel: CuKernel,
    config: CuFuncCache,
    dev: CuDevice,
) -> CuResult {
    devices::find(&process()?.devices, dev)?;
    kernel(hkernel.0)?;
    if config.0 > CACHE_MAX {
        Err(CuError::INVALID_VALUE)
    } else {
        Ok(())
    }
}

pub(crate) fn cuFuncSetSharedMemConfig(hfunc: CuFunction, config: CuSharedconfig) -> CuResult {
    function(process()?, hfunc.0)?;
    if config.0 > SHARED_MAX {
        Err(CuError::INVALID_VALUE)
    } else {
        Ok(())
    }
}

pub(crate) fn cuFuncGetModule(hmod: Out<CuModule>, hfunc: CuFunction) -> CuResult {
    let found = function(process()?, hfunc.0)?;
    if found.context == 0 {
        return Err(CuError::INVALID_HANDLE);
    }
    let process = process()?;
    // A function that came from a kernel: its module is the library's in this context.
    let owner = process
        .modules
        .find(found.owner)
        .ok_or(CuError::INVALID_HANDLE)?;
    if owner.context != 0 {
        return hmod.write(CuModule(found.owner));
    }
    let modules = owner
        .modules
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let module = modules.get(&found.context).copied();
    hmod.write(CuModule(module.ok_or(CuError::INVALID_HANDLE)?))
}

pub(crate) fn cuFuncGetName(name: *mut *const c_char, hfunc: CuFunction) -> CuResult {
    Out(name).write(function(process()?, hfunc.0)?.name.as_ptr())
}

pub(crate) fn cuKernelGetLibrary(lib: Out<CuLibrary>, found: CuKernel) -> CuResult {
    if lib.is_null() {
        return Err(CuError::INVALID_VALUE);
    }
    lib.write(CuLibrary(kernel(found.0)?.owner))
}

pub(crate) fn cuKernelGetName(name: *mut *const c_char, hfunc: CuKernel) -> CuResult {
    Out(name).write(kernel(hfunc.0)?.name.as_ptr())
}

pub(crate) fn cuFuncGetParamInfo(
    func: CuFunction,
    param_index: usize,
    param_offset: Out<usize>,
    param_size: Out<usize>,
) -> CuResult {
    parameter(
        &*function(process()?, func.0)?,
        param_index,
        param_offset,
        param_size,
    )
}

pub(crate) fn cuKernelGetParamInfo(
    hkernel: CuKernel,
    param_index: usize,
    param_offset: Out<usize>,
    param_size: Out<usize>,
) -> CuResult {
    parameter(&*kernel(hkernel.0)?, param_index, param_offset, param_size)
}

/// The size is optional.
fn parameter(function: &Function, index: usize, offset: Out<usize>, size: Out<usize>) -> CuResult {
    let found = function
        .parameters
        .get(index)
        .ok_or(CuError::INVALID_VALUE)?;
    offset.write(found.offset as usize)?;
    if size.is_null() {
        Ok(())
    } else {
        size.write(found.len as usize)
    }
}

pub(crate) fn cuFuncGetParamCount(func: CuFunction, param_count: Out<usize>) -> CuResult {
    param_count.write(function(process()?, func.0)?.parameters.len())
}

pub(crate) fn cuKernelGetParamCount(hkernel: CuKernel, param_count: Out<usize>) -> CuResult {
    param_count.write(kernel(hkernel.0)?.parameters.len())
}

pub(crate) fn cuFuncIsLoaded(
    state: Out<CuFunctionLoadingState>,
    hfunction: CuFunction,
) -> CuResult {
    function(process()?, hfunction.0)?;
    state.write(LOADED)
}

pub(crate) fn cuFuncLoad(hfunction: CuFunction) -> CuResult {
    function(process()?, hfunction.0).map(drop)
}

/// `CU_MODULE_EAGER_LOADING` and `CU_MODULE_LAZY_LOADING`.
const EAGER: CuModuleLoadingMode = CuModuleLoadingMode(1);
const LAZY: CuModuleLoadingMode = CuModuleLoadingMode(2);
/// `CU_FUNCTION_LOADING_STATE_LOADED`.
const LOADED: CuFunctionLoadingState = CuFunctionLoadingState(1);
/// `CU_FUNC_CACHE_PREFER_EQUAL`.
const CACHE_MAX: u32 = 3;
/// `CU_SHARED_MEM_CONFIG_EIGHT_BYTE_BANK_SIZE`.
const SHARED_MAX: u32 = 2;
