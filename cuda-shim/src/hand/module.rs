//! Modules and libraries: images go over in pieces, what is found in them stays known here.

#![expect(non_snake_case, reason = "CUDA's own names keep CUDA's spelling")]

use std::ffi::{CStr, CString, c_void};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flexdirect_driver_abi::image::{Image, copy_image};
use flexdirect_wire::abi::{
    CuDevicePtr, CuError, CuJitOption, CuLibrary, CuLibraryOption, CuModule, CuResult, InBytes,
    InOut, InStr, Out, OutStr,
};
use flexdirect_wire::body::{Global, ImageLoad, ImagePiece, One, session};
use flexdirect_wire::call::{Op, op};
use flexdirect_wire::limits::{CHUNK_LEN, IMAGE_LEN_MAX, INLINE_LEN_MAX};

use super::{one, wanted};
use crate::objects::Module;
use crate::process::{Process, body, here, process};
use crate::ranges::{Kind, Range};
use crate::session::Issue;
use crate::{log, thread};

pub(crate) fn cuModuleLoadData(module: Out<CuModule>, image: InBytes) -> CuResult {
    wanted(module.is_null())?;
    module.write(CuModule(load_module(
        op::cuModuleLoadData,
        &copied(image)?,
    )?))
}

pub(crate) fn cuModuleLoadFatBinary(module: Out<CuModule>, fat_cubin: InBytes) -> CuResult {
    wanted(module.is_null())?;
    module.write(CuModule(load_module(
        op::cuModuleLoadFatBinary,
        &copied(fat_cubin)?,
    )?))
}

pub(crate) fn cuModuleLoadDataEx(
    module: Out<CuModule>,
    image: InBytes,
    num_options: u32,
    options: Out<CuJitOption>,
    option_values: *mut *mut c_void,
) -> CuResult {
    wanted(module.is_null())?;
    answer_options(num_options, options, option_values)?;
    module.write(CuModule(load_module(
        op::cuModuleLoadDataEx,
        &copied(image)?,
    )?))
}

#[expect(clippy::too_many_arguments, reason = "the call has as many")]
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
    wanted(library.is_null())?;
    answer_options(num_jit_options, jit_options, jit_options_values)?;
    // The library options say who keeps the image: the worker has a copy of its own in any case.
    library.write(CuLibrary(load_library(&copied(code)?)?))
}

/// The image behind the application's pointer.
fn copied(image: InBytes) -> Result<Image, CuError> {
    // SAFETY: the application gives what CUDA's load calls accept, unchanged during the call.
    let copied = unsafe { copy_image(image.0.cast_const()) };
    copied.map_err(|error| {
        log::warning!("image at {:p}: {error}", image.0);
        CuError::check(error.code()).expect_err("an error is not success")
    })
}

/// Loads a module into the current context; returns its handle.
pub(crate) fn load_module(op: Op, image: &Image) -> Result<u64, CuError> {
    let here = here()?;
    let handle = load(here.process, here.issue(op), image)?;
    let (context, lane) = (here.context.handle, here.context.lane);
    here.process.modules.insert(
        handle,
        Arc::new(Module {
            context,
            lane,
            ..Module::default()
        }),
    );
    Ok(handle)
}

/// Loads a library; returns its handle.
pub(crate) fn load_library(image: &Image) -> Result<u64, CuError> {
    let process = process()?;
    let issue = anywhere(op::cuLibraryLoadData);
    let handle = load(process, issue, image)?;
    let module = Module {
        context: 0,
        lane: issue.lane,
        ..Module::default()
    };
    process.modules.insert(handle, Arc::new(module));
    Ok(handle)
}

/// Sends an image in pieces and loads it.
fn load(process: &Process, issue: Issue, image: &Image) -> Result<u64, CuError> {
    let bytes = image.as_bytes();
    if bytes.len() > IMAGE_LEN_MAX {
        return Err(CuError::INVALID_IMAGE);
    }
    send(process, issue, bytes)?;
    let load = body(|record| {
        record.put(&ImageLoad {
            reserved: 0,
            len: bytes.len() as u64,
        });
        Ok(())
    })?;
    let reply = process.session.call(issue, &load)?;
    let loaded: One = reply
        .made()?
        .get()
        .map_err(|error| process.session.broken(&error))?;
    Ok(loaded.value)
}

/// Sends bytes in pieces, for a call of the same thread that uses them.
pub(super) fn send(process: &Process, issue: Issue, bytes: &[u8]) -> CuResult {
    for (index, piece) in bytes.chunks(CHUNK_LEN).enumerate() {
        send_piece(process, issue, piece, index == 0)?;
    }
    Ok(())
}

fn send_piece(process: &Process, issue: Issue, bytes: &[u8], is_first: bool) -> CuResult {
    let is_inline = bytes.len() <= INLINE_LEN_MAX;
    let position = if is_inline {
        0
    } else {
        process.session.stage(bytes)?
    };
    let piece = body(|record| {
        record.put(&ImagePiece {
            position,
            len: bytes.len() as u64,
            inline: u32::from(is_inline),
            first: u32::from(is_first),
        });
        if is_inline {
            record.raw(bytes);
        }
        Ok(())
    })?;
    process.session.post(
        Issue {
            op: session::IMAGE_PIECE,
            ..issue
        },
        &piece,
    )
}

/// Answers the JIT options that ask for logs: there is nothing in them. Others are advice to a
/// compiler, which the worker's driver does without.
fn answer_options(count: u32, options: Out<CuJitOption>, values: *mut *mut c_void) -> CuResult {
    if count == 0 {
        return Ok(());
    }
    if options.is_null() || values.is_null() {
        return Err(CuError::INVALID_VALUE);
    }
    let value = |index| InOut(values.wrapping_add(index));
    // The room of each buffer comes first: the end of a text is written where there is some.
    let (mut room, mut buffers) = ([0; 2], [None; 2]);
    for index in 0..count as usize {
        match InOut(options.0.wrapping_add(index)).read()?.0 {
            INFO_LOG_BUFFER => buffers[0] = Some(value(index).read()?),
            ERROR_LOG_BUFFER => buffers[1] = Some(value(index).read()?),
            INFO_LOG_LEN => room[0] = value(index).replace(std::ptr::null_mut())? as usize,
            ERROR_LOG_LEN => room[1] = value(index).replace(std::ptr::null_mut())? as usize,
            other => log::info!("JIT option {other} is not passed on"),
        }
    }
    for (buffer, room) in buffers.into_iter().zip(room) {
        if let Some(buffer) = buffer.filter(|buffer| !buffer.is_null() && room > 0) {
            OutStr(buffer.cast()).write("", room)?;
        }
    }
    Ok(())
}

pub(crate) fn cuModuleUnload(hmod: CuModule) -> CuResult {
    unload(op::cuModuleUnload, hmod.0, |module| module.context != 0)
}

pub(crate) fn cuLibraryUnload(library: CuLibrary) -> CuResult {
    unload(op::cuLibraryUnload, library.0, |module| module.context == 0)
}

fn unload(op: Op, handle: u64, fits: impl Fn(&Module) -> bool) -> CuResult {
    let process = process()?;
    let module = owner(process, handle, fits)?;
    process
        .modules
        .remove(handle)
        .ok_or(CuError::INVALID_HANDLE)?;
    let mut ends = vec![handle];
    ends.extend(lock(&module.modules).values());
    process
        .modules
        .remove_all(|handle, _| ends.contains(&handle));
    process
        .functions
        .remove_all(|_, function| ends.contains(&function.owner));
    let ended = process.ranges_mut().remove_all(|range| match range.kind {
        Kind::Global(owner) | Kind::ManagedGlobal(owner) => ends.contains(&owner),
        _ => false,
    });
    for range in ended.iter().filter(|range| range.is_managed()) {
        super::close(process, range);
    }
    let context = if module.context == 0 {
        anywhere(op).context
    } else {
        module.context
    };
    process
        .session
        .call(
            Issue {
                op,
                lane: module.lane,
                context,
            },
            &one(handle),
        )?
        .check()
}

pub(crate) fn cuLibraryGetModule(mod_: Out<CuModule>, library: CuLibrary) -> CuResult {
    wanted(mod_.is_null())?;
    let here = here()?;
    let process = here.process;
    let owner = owner(process, library.0, |module| module.context == 0)?;
    let (context, lane) = (here.context.handle, here.context.lane);
    let cached = lock(&owner.modules).get(&context).copied();
    if let Some(found) = cached.filter(|&found| process.modules.find(found).is_some()) {
        return mod_.write(CuModule(found));
    }
    let reply = here.ask(op::cuLibraryGetModule, &one(library.0))?;
    let found: One = reply
        .made()?
        .get()
        .map_err(|error| process.session.broken(&error))?;
    let module = Module {
        context,
        lane,
        ..Module::default()
    };
    process.modules.insert(found.value, Arc::new(module));
    lock(&owner.modules).insert(context, found.value);
    mod_.write(CuModule(found.value))
}

pub(crate) fn cuModuleGetGlobal_v2(
    dptr: Out<CuDevicePtr>,
    bytes: Out<usize>,
    hmod: CuModule,
    name: InStr,
) -> CuResult {
    let process = process()?;
    let module = owner(process, hmod.0, |module| module.context != 0)?;
    let issue = at(op::cuModuleGetGlobal_v2, &module);
    write_global(
        dptr,
        bytes,
        global(process, issue, (hmod.0, &module), name.text()?)?,
    )
}

pub(crate) fn cuLibraryGetGlobal(
    dptr: Out<CuDevicePtr>,
    bytes: Out<usize>,
    library: CuLibrary,
    name: InStr,
) -> CuResult {
    let here = here()?;
    let module = owner(here.process, library.0, |module| module.context == 0)?;
    let issue = here.issue(op::cuLibraryGetGlobal);
    write_global(
        dptr,
        bytes,
        global(here.process, issue, (library.0, &module), name.text()?)?,
    )
}

/// Both are optional.
pub(super) fn write_global(
    dptr: Out<CuDevicePtr>,
    bytes: Out<usize>,
    (address, len): (u64, u64),
) -> CuResult {
    if !dptr.is_null() {
        dptr.write(CuDevicePtr(address))?;
    }
    if !bytes.is_null() {
        bytes.write(usize::try_from(len).map_err(|_| CuError::INVALID_VALUE)?)?;
    }
    Ok(())
}

pub(super) fn global(
    process: &Process,
    issue: Issue,
    (handle, module): (u64, &Module),
    name: &CStr,
) -> Result<(u64, u64), CuError> {
    // A managed variable of a library is the same one in every context.
    let context = if issue.op == op::cuLibraryGetManaged {
        0
    } else {
        issue.context
    };
    let key = (context, CString::from(name));
    if let Some(&known) = lock(&module.globals).get(&key) {
        return Ok(known);
    }
    let reply = process.session.call(issue, &named(handle, name)?)?;
    let found: Global = reply
        .made()?
        .get()
        .map_err(|error| process.session.broken(&error))?;
    if process
        .claims()
        .claim(found.address, found.len.max(1))
        .is_err()
    {
        // Unlike an allocation it cannot be had at another address.
        log::error!(
            "variable {name:?} lies at {:#x}, which is in use here",
            found.address
        );
        return Err(CuError::MAP_FAILED);
    }
    let ordinal = process
        .devices
        .iter()
        .position(|device| device.lane == issue.lane);
    let is_managed = found.managed != 0;
    let range = Range {
        start: found.address,
        len: found.len,
        kind: if is_managed {
            Kind::ManagedGlobal(handle)
        } else {
            Kind::Global(handle)
        },
        context: if is_managed { module.context } else { context },
        ordinal: ordinal.unwrap_or(0),
        id: 0,
    };
    let is_known = process
        .ranges()
        .find(found.address)
        .is_some_and(Range::is_managed);
    if !is_known {
        process.ranges_mut().insert(range);
    }
    if is_managed && !is_known {
        super::open(process, &range)?;
        // What it was initialised with.
        process
            .session
            .fetch_twin(issue.lane, found.address, found.len)?;
    }
    lock(&module.globals).insert(key, (found.address, found.len));
    Ok((found.address, found.len))
}

/// A module or library, which it is to be.
pub(super) fn owner(
    process: &Process,
    handle: u64,
    fits: impl Fn(&Module) -> bool,
) -> Result<Arc<Module>, CuError> {
    process
        .modules
        .find(handle)
        .filter(|module| fits(module))
        .ok_or(CuError::INVALID_HANDLE)
}

/// In the context of a module; for a library, in the calling thread's, if it has one.
pub(super) fn at(op: Op, module: &Module) -> Issue {
    if module.context == 0 {
        return anywhere(op);
    }
    Issue {
        op,
        lane: module.lane,
        context: module.context,
    }
}

pub(super) fn anywhere(op: Op) -> Issue {
    let (lane, context) = thread::current().map_or((0, 0), |here| (here.lane, here.handle));
    Issue { op, lane, context }
}

pub(super) fn named(handle: u64, name: &CStr) -> Result<Vec<u8>, CuError> {
    body(|record| {
        record.put(&One { value: handle });
        record.bytes(name.to_bytes_with_nul());
        Ok(())
    })
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `CU_JIT_INFO_LOG_BUFFER` and `CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES`.
const INFO_LOG_BUFFER: u32 = 3;
const INFO_LOG_LEN: u32 = 4;
/// `CU_JIT_ERROR_LOG_BUFFER` and `CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES`.
const ERROR_LOG_BUFFER: u32 = 5;
const ERROR_LOG_LEN: u32 = 6;
