//! Libraries, their kernels, and what functions say of themselves.

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use flexdirect_wire::abi::*;

use super::jit::JitLog;
use super::module::{compile_logged, read_image, text, write_global};
use super::not_null;
use crate::driver::{self, LIBRARIES};
use crate::function::{self, Function, Home};
use crate::module::Library;
use crate::{context, raw};

#[expect(clippy::too_many_arguments, reason = "the C signature")]
pub(crate) fn cuLibraryLoadData(
    library: Out<CuLibrary>,
    code: InBytes,
    jit_options: Out<CuJitOption>,
    jit_options_values: *mut *mut c_void,
    num_jit_options: u32,
    _library_options: Out<CuLibraryOption>,
    _library_option_values: *mut *mut c_void,
    _num_library_options: u32,
) -> CuResult {
    driver::check()?;
    not_null(library)?;
    let mut log = JitLog::new(num_jit_options, jit_options, jit_options_values);
    let program = compile_logged(raw::image(code.0), &mut log)?;
    library.write(Library::new(program).handle)
}

#[expect(clippy::too_many_arguments, reason = "the C signature")]
pub(crate) fn cuLibraryLoadFromFile(
    library: Out<CuLibrary>,
    file_name: InStr,
    jit_options: Out<CuJitOption>,
    jit_options_values: *mut *mut c_void,
    num_jit_options: u32,
    _library_options: Out<CuLibraryOption>,
    _library_option_values: *mut *mut c_void,
    _num_library_options: u32,
) -> CuResult {
    driver::check()?;
    not_null(library)?;
    let mut log = JitLog::new(num_jit_options, jit_options, jit_options_values);
    let program = compile_logged(Ok(read_image(file_name)?), &mut log)?;
    library.write(Library::new(program).handle)
}

/// Waits for all work, for some of it may use the library.
pub(crate) fn cuLibraryUnload(library: CuLibrary) -> CuResult {
    let library = find(library)?;
    for context in driver::contexts() {
        context.drain();
    }
    library.unload();
    Ok(())
}

pub(crate) fn cuLibraryGetKernel(
    kernel: Out<CuKernel>,
    library: CuLibrary,
    name: InStr,
) -> CuResult {
    not_null(kernel)?;
    let library = find(library)?;
    kernel.write(CuKernel(library.kernel(text(name)?)?.0))
}

pub(crate) fn cuLibraryGetKernelCount(count: Out<u32>, lib: CuLibrary) -> CuResult {
    not_null(count)?;
    let kernels = find(lib)?.program.kernel_names().count();
    count.write(u32::try_from(kernels).unwrap_or(u32::MAX))
}

/// The first kernels of a library, as many as the array holds, in the order of the text.
pub(crate) fn cuLibraryEnumerateKernels(
    kernels: *mut CuKernel,
    num_kernels: u32,
    lib: CuLibrary,
) -> CuResult {
    let library = find(lib)?;
    if kernels.is_null() || num_kernels == 0 {
        return Err(CuError::INVALID_VALUE);
    }
    for (index, name) in (0..num_kernels as usize).zip(library.program.kernel_names()) {
        let kernel = CuKernel(library.kernel(name)?.0);
        raw::store(kernels.wrapping_add(index), kernel);
    }
    Ok(())
}

pub(crate) fn cuKernelGetLibrary(lib: Out<CuLibrary>, kernel: CuKernel) -> CuResult {
    not_null(lib)?;
    let kernel = function::find(CuFunction(kernel.0))?;
    let Home::Library(library) = &kernel.home else {
        return Err(CuError::INVALID_HANDLE);
    };
    let library = library.upgrade().ok_or(CuError::INVALID_HANDLE)?;
    lib.write(library.handle)
}

/// There is none: the devices do not have CU_DEVICE_ATTRIBUTE_UNIFIED_FUNCTION_POINTERS.
pub(crate) fn cuLibraryGetUnifiedFunction(
    fptr: Out<*mut c_void>,
    library: CuLibrary,
    symbol: InStr,
) -> CuResult {
    not_null(fptr)?;
    find(library)?;
    text(symbol)?;
    Err(CuError::NOT_FOUND)
}

pub(crate) fn cuLibraryGetModule(module: Out<CuModule>, library: CuLibrary) -> CuResult {
    let context = context::current()?;
    not_null(module)?;
    module.write(find(library)?.module(&context)?.handle)
}

pub(crate) fn cuKernelGetFunction(func: Out<CuFunction>, kernel: CuKernel) -> CuResult {
    let context = context::current()?;
    not_null(func)?;
    let kernel = function::find(CuFunction(kernel.0))?;
    func.write(kernel.module(&context)?.function(&kernel.name)?)
}

pub(crate) fn cuLibraryGetGlobal(
    dptr: Out<CuDevicePtr>,
    bytes: Out<usize>,
    library: CuLibrary,
    name: InStr,
) -> CuResult {
    let context = context::current()?;
    let module = find(library)?.module(&context)?;
    write_global(&module, dptr, bytes, name)
}

/// The same in every context, and there before there is one: NVIDIA's runtime asks at its start.
pub(crate) fn cuLibraryGetManaged(
    dptr: Out<CuDevicePtr>,
    bytes: Out<usize>,
    library: CuLibrary,
    name: InStr,
) -> CuResult {
    let library = find(library)?;
    let name = text(name)?;
    if dptr.is_null() && bytes.is_null() {
        return Err(CuError::INVALID_VALUE);
    }
    let (address, len) = library.managed(name)?;
    OptOut(dptr.0).write(CuDevicePtr(address));
    OptOut(bytes.0).write(usize::try_from(len).unwrap_or(usize::MAX));
    Ok(())
}

fn find(handle: CuLibrary) -> Result<Arc<Library>, CuError> {
    driver::check()?;
    LIBRARIES.find(handle.0).ok_or(CuError::INVALID_HANDLE)
}

// ------------------------------------------------------------------------------- attributes

pub(crate) fn cuKernelGetAttribute(
    pi: Out<i32>,
    attrib: CuFunctionAttribute,
    kernel: CuKernel,
    dev: CuDevice,
) -> CuResult {
    driver::device(dev)?;
    cuFuncGetAttribute(pi, attrib, CuFunction(kernel.0))
}

pub(crate) fn cuKernelSetAttribute(
    attrib: CuFunctionAttribute,
    val: i32,
    kernel: CuKernel,
    dev: CuDevice,
) -> CuResult {
    driver::device(dev)?;
    cuFuncSetAttribute(CuFunction(kernel.0), attrib, val)
}

pub(crate) fn cuKernelSetCacheConfig(
    kernel: CuKernel,
    config: CuFuncCache,
    dev: CuDevice,
) -> CuResult {
    driver::device(dev)?;
    cuFuncSetCacheConfig(CuFunction(kernel.0), config)
}

pub(crate) fn cuKernelGetName(name: *mut *const c_char, hfunc: CuKernel) -> CuResult {
    cuFuncGetName(name, CuFunction(hfunc.0))
}

pub(crate) fn cuKernelGetParamInfo(
    kernel: CuKernel,
    param_index: usize,
    param_offset: Out<usize>,
    param_size: Out<usize>,
) -> CuResult {
    cuFuncGetParamInfo(CuFunction(kernel.0), param_index, param_offset, param_size)
}

pub(crate) fn cuKernelGetParamCount(kernel: CuKernel, param_count: Out<usize>) -> CuResult {
    cuFuncGetParamCount(CuFunction(kernel.0), param_count)
}

pub(crate) fn cuFuncGetAttribute(
    pi: Out<i32>,
    attrib: CuFunctionAttribute,
    hfunc: CuFunction,
) -> CuResult {
    not_null(pi)?;
    pi.write(function::find(hfunc)?.attribute(attrib)?)
}

pub(crate) fn cuFuncSetAttribute(
    hfunc: CuFunction,
    attrib: CuFunctionAttribute,
    value: i32,
) -> CuResult {
    let function = function::find(hfunc)?;
    function.set_attribute(attrib, value)?;
    // A kernel hands its attributes to its functions, as far as these exist.
    if let Home::Library(_) = function.home
        && let Ok(context) = context::current()
        && let Ok(own) = own_function(&function, &context)
    {
        own.set_attribute(attrib, value)?;
    }
    Ok(())
}

fn own_function(kernel: &Function, context: &context::Context) -> Result<Arc<Function>, CuError> {
    function::find(kernel.module(context)?.function(&kernel.name)?)
}

pub(crate) fn cuFuncSetCacheConfig(hfunc: CuFunction, config: CuFuncCache) -> CuResult {
    function::find(hfunc)?;
    hint(config.0)
}

pub(crate) fn cuFuncSetSharedMemConfig(hfunc: CuFunction, config: CuSharedconfig) -> CuResult {
    function::find(hfunc)?;
    hint(config.0)
}

/// Hints have no effect here; a value that is none is refused all the same.
fn hint(value: u32) -> CuResult {
    if value > HINT_MAX {
        return Err(CuError::INVALID_VALUE);
    }
    Ok(())
}

pub(crate) fn cuFuncGetModule(hmod: Out<CuModule>, hfunc: CuFunction) -> CuResult {
    not_null(hmod)?;
    let function = function::find(hfunc)?;
    let module = match &function.home {
        Home::Module(module) => module.upgrade().ok_or(CuError::INVALID_HANDLE)?,
        Home::Library(_) => function.module(&*context::current()?)?,
    };
    hmod.write(module.handle)
}

pub(crate) fn cuFuncGetName(name: *mut *const c_char, hfunc: CuFunction) -> CuResult {
    let function = function::find(hfunc)?;
    if raw::store(name, driver::interned(&function.name)) {
        return Ok(());
    }
    Err(CuError::INVALID_VALUE)
}

pub(crate) fn cuFuncGetParamInfo(
    func: CuFunction,
    param_index: usize,
    param_offset: Out<usize>,
    param_size: Out<usize>,
) -> CuResult {
    let function = function::find(func)?;
    not_null(param_offset)?;
    let parameter = function.parameters.get(param_index);
    let parameter = parameter.ok_or(CuError::INVALID_VALUE)?;
    param_offset.write(parameter.offset as usize)?;
    // The size may be left out.
    OptOut(param_size.0).write(parameter.size as usize);
    Ok(())
}

pub(crate) fn cuFuncGetParamCount(func: CuFunction, param_count: Out<usize>) -> CuResult {
    not_null(param_count)?;
    param_count.write(function::find(func)?.parameters.len())
}

/// CU_FUNCTION_LOADING_STATE_UNLOADED is 0, _LOADED is 1: decoded at its first use, unless all
/// were when their module was loaded.
pub(crate) fn cuFuncIsLoaded(state: Out<CuFunctionLoadingState>, function: CuFunction) -> CuResult {
    not_null(state)?;
    let is_loaded = function::find(function)?.is_decoded();
    state.write(CuFunctionLoadingState(u32::from(is_loaded)))
}

pub(crate) fn cuFuncLoad(function: CuFunction) -> CuResult {
    function::find(function)?.kernel().map(drop)
}

/// Highest number of either enumeration of hints.
const HINT_MAX: u32 = 3;
