//! Modules: loading images, finding functions and variables.

use std::ffi::c_void;
use std::sync::Arc;

use flexdirect_driver_abi::image::{Image, ImageError, Kind};
use flexdirect_wire::abi::*;

use super::jit::JitLog;
use super::not_null;
use crate::context;
use crate::driver::{self, LIBRARIES, MODULES};
use crate::exec::Program;
use crate::function;
use crate::module::{Module, compile, unload};
use crate::raw;

pub(crate) fn cuModuleLoad(module: Out<CuModule>, fname: InStr) -> CuResult {
    let context = context::current()?;
    not_null(module)?;
    let image = read_image(fname)?;
    let program = compile(Ok(image)).map_err(|refused| refused.error)?;
    module.write(Module::new(program, &context)?.handle)
}

/// The image in a file.
pub(crate) fn read_image(name: InStr) -> Result<Image, CuError> {
    let name = name.text()?.to_str().map_err(|_| CuError::INVALID_VALUE)?;
    let bytes = std::fs::read(name).map_err(|_| CuError::FILE_NOT_FOUND)?;
    let kind = match bytes.as_slice() {
        [0x7f, b'E', b'L', b'F', ..] => Kind::Cubin,
        [0x50, 0xed, 0x55, 0xba, ..] => Kind::Fatbin,
        _ => Kind::Ptx,
    };
    Image::new(kind, &bytes).map_err(|_| CuError::INVALID_IMAGE)
}

pub(crate) fn cuModuleLoadData(module: Out<CuModule>, image: InBytes) -> CuResult {
    let no_options = Out(std::ptr::null_mut());
    cuModuleLoadDataEx(module, image, 0, no_options, std::ptr::null_mut())
}

pub(crate) fn cuModuleLoadDataEx(
    module: Out<CuModule>,
    image: InBytes,
    num_options: u32,
    options: Out<CuJitOption>,
    option_values: *mut *mut c_void,
) -> CuResult {
    let context = context::current()?;
    not_null(module)?;
    let mut log = JitLog::new(num_options, options, option_values);
    let program = compile_logged(raw::image(image.0), &mut log)?;
    module.write(Module::new(program, &context)?.handle)
}

/// Makes a program of an image and tells the application's logs of it.
pub(super) fn compile_logged(
    image: Result<Image, ImageError>,
    log: &mut JitLog,
) -> Result<Arc<Program>, CuError> {
    let compiled = compile(image);
    if let Ok(program) = &compiled {
        log.inform(|| {
            let kernels = program.kernel_names().count();
            format!("{kernels} kernels, to be compiled when they are used")
        });
    }
    log.report(compiled)
}

pub(crate) fn cuModuleLoadFatBinary(module: Out<CuModule>, fat_cubin: InBytes) -> CuResult {
    cuModuleLoadData(module, fat_cubin)
}

/// Waits for the context's work, for some of it may use the module.
pub(crate) fn cuModuleUnload(hmod: CuModule) -> CuResult {
    let module = find(hmod)?;
    if !LIBRARIES
        .filter(|library| library.has_module(&module))
        .is_empty()
    {
        return Err(CuError::NOT_PERMITTED);
    }
    if let Some(context) = driver::context(module.context) {
        context.check()?;
        context.drain();
    }
    unload(&module);
    Ok(())
}

pub(crate) fn cuModuleGetLoadingMode(mode: Out<CuModuleLoadingMode>) -> CuResult {
    driver::check()?;
    let mode_number = if driver::is_eager() { EAGER } else { LAZY };
    mode.write(CuModuleLoadingMode(mode_number))
}

pub(crate) fn cuModuleGetFunction(hfunc: Out<CuFunction>, hmod: CuModule, name: InStr) -> CuResult {
    context::current()?;
    not_null(hfunc)?;
    let module = find(hmod)?;
    let found = module.function(text(name)?)?;
    // Looking it up loads it. Should it not be fit to run, its launch says so.
    if let Ok(function) = function::find(found) {
        let _ = function.kernel();
    }
    hfunc.write(found)
}

pub(crate) fn cuModuleGetFunctionCount(count: Out<u32>, module: CuModule) -> CuResult {
    not_null(count)?;
    let functions = find(module)?.program.kernel_names().count();
    count.write(u32::try_from(functions).unwrap_or(u32::MAX))
}

/// The first kernels of a module, as many as the array holds, in the order of the text.
pub(crate) fn cuModuleEnumerateFunctions(
    functions: *mut CuFunction,
    num_functions: u32,
    module: CuModule,
) -> CuResult {
    let module = find(module)?;
    if functions.is_null() || num_functions == 0 {
        return Err(CuError::INVALID_VALUE);
    }
    for (index, name) in (0..num_functions as usize).zip(module.program.kernel_names()) {
        raw::store(functions.wrapping_add(index), module.function(name)?);
    }
    Ok(())
}

pub(crate) fn cuModuleGetGlobal_v2(
    dptr: Out<CuDevicePtr>,
    bytes: Out<usize>,
    hmod: CuModule,
    name: InStr,
) -> CuResult {
    context::current()?;
    write_global(&*find(hmod)?, dptr, bytes, name)
}

/// Address and size of a variable; one of the two may be null.
pub(crate) fn write_global(
    module: &Module,
    dptr: Out<CuDevicePtr>,
    bytes: Out<usize>,
    name: InStr,
) -> CuResult {
    let name = text(name)?;
    if dptr.is_null() && bytes.is_null() {
        return Err(CuError::INVALID_VALUE);
    }
    let &(address, len) = module.globals.get(name).ok_or(CuError::NOT_FOUND)?;
    OptOut(dptr.0).write(CuDevicePtr(address));
    OptOut(bytes.0).write(usize::try_from(len).unwrap_or(usize::MAX));
    Ok(())
}

/// A module by its handle.
pub(crate) fn find(handle: CuModule) -> Result<Arc<Module>, CuError> {
    driver::check()?;
    MODULES.find(handle.0).ok_or(CuError::INVALID_HANDLE)
}

/// A symbol's name.
pub(crate) fn text<'a>(name: InStr) -> Result<&'a str, CuError> {
    name.text()?.to_str().map_err(|_| CuError::NOT_FOUND)
}

/// CU_MODULE_EAGER_LOADING and CU_MODULE_LAZY_LOADING.
const EAGER: u32 = 1;
const LAZY: u32 = 2;
