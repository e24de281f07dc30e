//! Modules: loading images, finding functions and variables.

use std::ffi::c_void;

use flexdirect_driver_abi::image::{Image, Kind};
use flexdirect_wire::abi::*;

use super::not_null;
use crate::context::{self, Context};
use crate::driver::{self, LIBRARIES, MODULES};
use crate::module::{Module, Refused, compile, unload};
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
    let log = JitLog::new(num_options, options, option_values);
    module.write(load(&context, image, &log)?.handle)
}

fn load(
    context: &Context,
    image: InBytes,
    log: &JitLog,
) -> Result<std::sync::Arc<Module>, CuError> {
    let program = log.report(compile(raw::image(image.0)))?;
    Module::new(program, context)
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
    mode.write(CuModuleLoadingMode(LAZY))
}

pub(crate) fn cuModuleGetFunction(hfunc: Out<CuFunction>, hmod: CuModule, name: InStr) -> CuResult {
    context::current()?;
    not_null(hfunc)?;
    let module = find(hmod)?;
    hfunc.write(module.function(text(name)?)?)
}

pub(crate) fn cuModuleGetFunctionCount(count: Out<u32>, module: CuModule) -> CuResult {
    not_null(count)?;
    let functions = find(module)?.program.kernel_names().count();
    count.write(u32::try_from(functions).unwrap_or(u32::MAX))
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
pub(crate) fn find(handle: CuModule) -> Result<std::sync::Arc<Module>, CuError> {
    driver::check()?;
    MODULES.find(handle.0).ok_or(CuError::INVALID_HANDLE)
}

/// A symbol's name.
pub(crate) fn text<'a>(name: InStr) -> Result<&'a str, CuError> {
    name.text()?.to_str().map_err(|_| CuError::NOT_FOUND)
}

/// Where the application wants to read what the compiler says of its PTX.
pub(crate) struct JitLog {
    /// Address, room, and where the length is stored.
    error: Option<(*mut c_void, usize, *mut *mut c_void)>,
    info: Option<*mut *mut c_void>,
}

impl JitLog {
    /// From JIT options and their values. Other options change nothing here.
    pub(crate) fn new(count: u32, options: Out<CuJitOption>, values: *mut *mut c_void) -> Self {
        let count = if values.is_null() { 0 } else { count as usize };
        let options = raw::numbers(options.0.cast::<u32>().cast_const(), count);
        let given = raw::pointers(values, options.len());
        let at = |option: u32| options.iter().position(|&number| number == option);
        let error = at(ERROR_BUFFER)
            .zip(at(ERROR_LEN))
            .map(|(buffer, len)| (given[buffer], given[len].addr(), values.wrapping_add(len)));
        let info = at(INFO_LEN).map(|len| values.wrapping_add(len));
        Self { error, info }
    }

    /// Writes why an image was refused where the application wants it.
    pub(crate) fn report<T>(&self, result: Result<T, Refused>) -> Result<T, CuError> {
        let reason = result.as_ref().err().map_or("", |refused| &refused.reason);
        if let Some((buffer, room, len)) = self.error {
            let written = OutStr(buffer.cast()).write(reason, room);
            let used = if written.is_ok() {
                reason.len().min(room - 1)
            } else {
                0
            };
            raw::store(len, std::ptr::without_provenance_mut(used));
        }
        if let Some(len) = self.info {
            raw::store(len, std::ptr::null_mut());
        }
        result.map_err(|refused| refused.error)
    }
}

/// CU_MODULE_LAZY_LOADING.
const LAZY: u32 = 2;
/// CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES.
const INFO_LEN: u32 = 4;
/// CU_JIT_ERROR_LOG_BUFFER.
const ERROR_BUFFER: u32 = 5;
/// CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES.
const ERROR_LEN: u32 = 6;
