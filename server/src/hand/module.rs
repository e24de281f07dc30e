//! Modules and libraries, and what is found in them.
#![expect(non_snake_case, reason = "CUDA's own names keep CUDA's spelling")]

use std::ffi::CString;

use flexdirect_driver_abi::layout::KernelLayout;
use flexdirect_wire::abi::*;
use flexdirect_wire::body::{Found, Global, One, Parameter, SetAttribute};
use flexdirect_wire::limits::RECORD_LEN_MAX;
use flexdirect_wire::{Kind, ShadowHandle};

use super::image::{Loadable, check, image, keep_layouts, kept_layout};
use super::managed::adopt;
use crate::dispatch::{Call, Desk, Step, Stop};
use crate::driver::Driver;
use crate::shadow::handles::Object;
use crate::shadow::ranges::{Owner, Range};

pub(crate) fn cuModuleLoadData(call: &mut Call<'_>) -> Result<Step, Stop> {
    let context = call.context()?.name;
    let image = image(call)?;
    Call::later(move |desk| {
        let (image, _held) = check(image)?;
        let mut module = CuModule::default();
        let loadable = Loadable::new(&image);
        // SAFETY: the image was checked to lie within its bytes, which outlive the call, as does
        // the local that the other pointer is to.
        unsafe {
            desk.session
                .driver
                .cuModuleLoadData(Out(&raw mut module), loadable.pointer())
        }?;
        let object = Object {
            driver: module.0,
            context,
            ..Object::default()
        };
        let name = desk.session.tables().handles.invent(Kind::MODULE, object);
        if name.is_err() {
            // SAFETY: the module was loaded above and nobody else knows it.
            let _ = unsafe { desk.session.driver.cuModuleUnload(module) };
        }
        let name = name?;
        keep_layouts(desk.session, name, &image);
        desk.answer().put(&One { value: name.0 });
        Ok(())
    })
}

pub(crate) fn cuModuleLoadDataEx(call: &mut Call<'_>) -> Result<Step, Stop> {
    cuModuleLoadData(call)
}

pub(crate) fn cuModuleLoadFatBinary(call: &mut Call<'_>) -> Result<Step, Stop> {
    cuModuleLoadData(call)
}

pub(crate) fn cuLibraryLoadData(call: &mut Call<'_>) -> Result<Step, Stop> {
    let image = image(call)?;
    Call::later(move |desk| {
        let (image, _held) = check(image)?;
        let mut library = CuLibrary::default();
        let loadable = Loadable::new(&image);
        // SAFETY: as for cuModuleLoadData; there are no options.
        unsafe {
            desk.session.driver.cuLibraryLoadData(
                Out(&raw mut library),
                loadable.pointer(),
                Out(std::ptr::null_mut()),
                std::ptr::null_mut(),
                0,
                Out(std::ptr::null_mut()),
                std::ptr::null_mut(),
                0,
            )
        }?;
        let object = Object {
            driver: library.0,
            ..Object::default()
        };
        let name = desk.session.tables().handles.invent(Kind::LIBRARY, object);
        if name.is_err() {
            // SAFETY: the library was loaded above and nobody else knows it.
            let _ = unsafe { desk.session.driver.cuLibraryUnload(library) };
        }
        let name = name?;
        keep_layouts(desk.session, name, &image);
        desk.answer().put(&One { value: name.0 });
        Ok(())
    })
}

pub(crate) fn cuModuleUnload(call: &mut Call<'_>) -> Result<Step, Stop> {
    unload(call, Kind::MODULE, |driver, module| {
        // SAFETY: the module was taken out of the table, so this is the only unload of it.
        unsafe { driver.cuModuleUnload(CuModule(module)) }
    })
}

pub(crate) fn cuLibraryUnload(call: &mut Call<'_>) -> Result<Step, Stop> {
    unload(call, Kind::LIBRARY, |driver, library| {
        // SAFETY: the library was taken out of the table, so this is the only unload of it.
        unsafe { driver.cuLibraryUnload(CuLibrary(library)) }
    })
}

fn unload(
    call: &mut Call<'_>,
    kind: Kind,
    unload: fn(&Driver, u64) -> CuResult,
) -> Result<Step, Stop> {
    let One { value } = call.body.get()?;
    let name = ShadowHandle(value);
    let object = call.session.tables().handles.find(kind, name);
    let object = object.ok_or(CuError::INVALID_HANDLE)?;
    if kind == Kind::MODULE && !object.parent.is_null() {
        // A library's module ends with its library.
        return Err(CuError::INVALID_HANDLE.into());
    }
    Call::later(move |desk| {
        let mut tables = desk.session.tables();
        let object = tables
            .handles
            .remove(kind, name)
            .ok_or(CuError::INVALID_HANDLE)?;
        for (_, owned, _) in tables.handles.remove_owned(name) {
            tables.layouts.remove(&owned);
        }
        tables.layouts.remove(&name);
        for range in tables.ranges.remove_owned(name) {
            desk.session.twins.forget(range.address);
        }
        drop(tables);
        unload(&desk.session.driver, object.driver)
    })
}

pub(crate) fn cuModuleGetFunction(call: &mut Call<'_>) -> Result<Step, Stop> {
    let (parent, object, name) = named(call, Kind::MODULE)?;
    let job = move |desk: &mut Desk<'_>| {
        let driver = &desk.session.driver;
        let mut function = CuFunction::default();
        // SAFETY: the module comes from the table; the pointers are to locals.
        unsafe {
            driver.cuModuleGetFunction(
                Out(&raw mut function),
                CuModule(object.driver),
                InStr(name.as_ptr().cast_mut()),
            )
        }?;
        let object = Object {
            driver: function.0,
            context: object.context,
            parent,
        };
        let kept = kept_layout(desk.session, parent, Some(&name));
        answer_function(desk, object, kept)
    };
    if call.session.threads.is_one() {
        return call.here(job);
    }
    Call::later(job)
}

pub(crate) fn cuLibraryGetKernel(call: &mut Call<'_>) -> Result<Step, Stop> {
    let (parent, object, name) = named(call, Kind::LIBRARY)?;
    let device = CuDevice(i32::from(call.header.lane));
    let job = move |desk: &mut Desk<'_>| {
        let session = desk.session;
        let mut kernel = CuKernel::default();
        // SAFETY: the library comes from the table; the pointers are to locals.
        unsafe {
            session.driver.cuLibraryGetKernel(
                Out(&raw mut kernel),
                CuLibrary(object.driver),
                InStr(name.as_ptr().cast_mut()),
            )
        }?;
        let object = Object {
            driver: kernel.0,
            parent,
            ..Object::default()
        };
        let handle = desk
            .session
            .tables()
            .handles
            .invent_once(Kind::KERNEL, object)?;
        let kept = kept_layout(session, parent, Some(&name));
        if let Some(layout) = &kept {
            session
                .tables()
                .layouts
                .insert(handle, vec![layout.clone()]);
        }
        answer_found(
            desk,
            handle,
            kept,
            |at, offset, size| {
                // SAFETY: the kernel was found above; the pointers are to the caller's locals.
                unsafe {
                    session
                        .driver
                        .cuKernelGetParamInfo(kernel, at, offset, size)
                }
            },
            |attribute, value| {
                // SAFETY: as above; the driver checks the attribute and the device.
                unsafe {
                    session
                        .driver
                        .cuKernelGetAttribute(value, attribute, kernel, device)
                }
            },
        )
    };
    if call.session.threads.is_one() {
        return call.here(job);
    }
    Call::later(job)
}

pub(crate) fn cuKernelGetFunction(call: &mut Call<'_>) -> Result<Step, Stop> {
    let One { value } = call.body.get()?;
    let context = call.context()?.name;
    let object = call
        .session
        .tables()
        .handles
        .find(Kind::KERNEL, ShadowHandle(value));
    let kernel = object.ok_or(CuError::INVALID_HANDLE)?;
    Call::later(move |desk| {
        let mut function = CuFunction::default();
        let driver = &desk.session.driver;
        // SAFETY: the kernel comes from the table; the pointer is to a local.
        unsafe { driver.cuKernelGetFunction(Out(&raw mut function), CuKernel(kernel.driver)) }?;
        let object = Object {
            driver: function.0,
            context,
            parent: kernel.parent,
        };
        let kept = kept_layout(desk.session, ShadowHandle(value), None);
        answer_function(desk, object, kept)
    })
}

pub(crate) fn cuLibraryGetModule(call: &mut Call<'_>) -> Result<Step, Stop> {
    let One { value } = call.body.get()?;
    let context = call.context()?.name;
    let library = call.find(Kind::LIBRARY, value)?;
    Call::later(move |desk| {
        let mut module = CuModule::default();
        let driver = &desk.session.driver;
        // SAFETY: the library comes from the table; the pointer is to a local.
        unsafe { driver.cuLibraryGetModule(Out(&raw mut module), CuLibrary(library)) }?;
        let object = Object {
            driver: module.0,
            context,
            parent: ShadowHandle(value),
        };
        let name = desk
            .session
            .tables()
            .handles
            .invent_once(Kind::MODULE, object)?;
        desk.answer().put(&One { value: name.0 });
        Ok(())
    })
}

pub(crate) fn cuModuleGetGlobal_v2(call: &mut Call<'_>) -> Result<Step, Stop> {
    global(call, Kind::MODULE, |driver, address, len, module, name| {
        // SAFETY: the module comes from the table; the pointers are the caller's locals.
        unsafe { driver.cuModuleGetGlobal_v2(address, len, CuModule(module), name) }
    })
}

pub(crate) fn cuLibraryGetGlobal(call: &mut Call<'_>) -> Result<Step, Stop> {
    global(
        call,
        Kind::LIBRARY,
        |driver, address, len, library, name| {
            // SAFETY: the library comes from the table; the pointers are the caller's locals.
            unsafe { driver.cuLibraryGetGlobal(address, len, CuLibrary(library), name) }
        },
    )
}

/// Looks a global up.
pub(super) type FindGlobal = fn(&Driver, Out<CuDevicePtr>, Out<usize>, u64, InStr) -> CuResult;

pub(super) fn global(call: &mut Call<'_>, kind: Kind, find: FindGlobal) -> Result<Step, Stop> {
    let (parent, object, name) = named(call, kind)?;
    // A library's global is memory of the context that asks, and ends with it.
    let context = if object.context.is_null() {
        call.context.name
    } else {
        object.context
    };
    Call::later(move |desk| {
        let (mut address, mut len) = (CuDevicePtr::default(), 0_usize);
        let name = InStr(name.as_ptr().cast_mut());
        let driver = &desk.session.driver;
        find(
            driver,
            Out(&raw mut address),
            Out(&raw mut len),
            object.driver,
            name,
        )?;
        let (address, len) = (address.0, len as u64);
        // What is managed is no context's, unless its module is.
        let is_managed = adopt(desk.session, address, len, object.context);
        let context = if is_managed { object.context } else { context };
        let owner = Owner::Global { parent, context };
        desk.session.tables().ranges.insert(Range {
            address,
            len,
            owner,
        });
        desk.answer().put(&Global {
            address,
            len,
            managed: u32::from(is_managed),
            reserved: 0,
        });
        Ok(())
    })
}

pub(crate) fn cuFuncSetAttribute(call: &mut Call<'_>) -> Result<Step, Stop> {
    let set: SetAttribute = call.body.get()?;
    let is_kernel = ShadowHandle(set.function).kind() == Kind::KERNEL;
    let kind = if is_kernel {
        Kind::KERNEL
    } else {
        Kind::FUNCTION
    };
    let function = CuFunction(call.find(kind, set.function)?);
    let attribute = CuFunctionAttribute(set.attribute);
    // SAFETY: the function comes from the table; the driver checks attribute and value.
    unsafe {
        call.session
            .driver
            .cuFuncSetAttribute(function, attribute, set.value)
    }?;
    Ok(Step::Done)
}

pub(crate) fn cuKernelSetAttribute(call: &mut Call<'_>) -> Result<Step, Stop> {
    let set: SetAttribute = call.body.get()?;
    let kernel = CuKernel(call.find(Kind::KERNEL, set.function)?);
    let attribute = CuFunctionAttribute(set.attribute);
    let device = CuDevice(i32::from(call.header.lane));
    let driver = &call.session.driver;
    // SAFETY: the kernel comes from the table; the driver checks attribute, value and device.
    unsafe { driver.cuKernelSetAttribute(attribute, set.value, kernel, device) }?;
    Ok(Step::Done)
}

/// A module or library, and the name that is looked up in it.
fn named(call: &mut Call<'_>, kind: Kind) -> Result<(ShadowHandle, Object, CString), Stop> {
    let One { value } = call.body.get()?;
    let name = call.body.text()?.to_owned();
    let parent = ShadowHandle(value);
    let object = call.session.tables().handles.find(kind, parent);
    Ok((parent, object.ok_or(CuError::INVALID_HANDLE)?, name))
}

fn answer_function(desk: &mut Desk<'_>, object: Object, kept: Option<KernelLayout>) -> CuResult {
    let session = desk.session;
    let handle = session
        .tables()
        .handles
        .invent_once(Kind::FUNCTION, object)?;
    let function = CuFunction(object.driver);
    answer_found(
        desk,
        handle,
        kept,
        |at, offset, size| {
            // SAFETY: the driver gave this function; the pointers are to the caller's locals.
            unsafe {
                session
                    .driver
                    .cuFuncGetParamInfo(function, at, offset, size)
            }
        },
        |attribute, value| {
            // SAFETY: as above; the driver checks the attribute.
            unsafe {
                session
                    .driver
                    .cuFuncGetAttribute(value, attribute, function)
            }
        },
    )
}

/// Answers a look-up with everything that the client answers by itself from now on.
fn answer_found(
    desk: &mut Desk<'_>,
    handle: ShadowHandle,
    kept: Option<KernelLayout>,
    parameter: impl Fn(usize, Out<usize>, Out<usize>) -> CuResult,
    attribute: impl Fn(CuFunctionAttribute, Out<i32>) -> CuResult,
) -> CuResult {
    let parameters = match kept {
        Some(layout) => kept_parameters(&layout),
        // Without parameters a launch would go wrong silently.
        None if !desk.session.driver.tells_parameters() => return Err(CuError::NOT_SUPPORTED),
        None => told_parameters(parameter),
    };
    if parameters.len() > REPLY_PARAMETERS_MAX {
        return Err(CuError::NOT_SUPPORTED);
    }
    let ends = parameters
        .iter()
        .map(|own| own.offset.saturating_add(own.len));
    let parameters_len = ends.max().unwrap_or(0);
    let mut attributes: Vec<i32> = Vec::new();
    for number in 0..ATTRIBUTES {
        let mut value = 0;
        if attribute(CuFunctionAttribute(number), Out(&raw mut value)).is_ok() {
            // What lies before and is not known to this driver reads as 0.
            attributes.resize(number as usize, 0);
            attributes.push(value);
        }
    }
    let count = |len: usize| u32::try_from(len).expect("a reply holds less than 4 Gi items");
    let mut answer = desk.answer();
    answer.put(&Found {
        handle: handle.0,
        parameters: count(parameters.len()),
        attributes: count(attributes.len()),
        parameters_len,
        reserved: 0,
    });
    for parameter in &parameters {
        answer.put(parameter);
    }
    let bytes: Vec<u8> = attributes
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    answer.raw(&bytes);
    Ok(())
}

fn kept_parameters(layout: &KernelLayout) -> Vec<Parameter> {
    let parameters = layout.parameters.iter();
    parameters
        .map(|own| Parameter {
            offset: own.offset,
            len: own.size,
        })
        .collect()
}

fn told_parameters(
    parameter: impl Fn(usize, Out<usize>, Out<usize>) -> CuResult,
) -> Vec<Parameter> {
    let mut parameters = Vec::new();
    let (mut offset, mut size) = (0_usize, 0_usize);
    while parameters.len() <= REPLY_PARAMETERS_MAX
        && parameter(parameters.len(), Out(&raw mut offset), Out(&raw mut size)).is_ok()
    {
        let [offset, len] = [offset, size].map(|value| u32::try_from(value).unwrap_or(u32::MAX));
        parameters.push(Parameter { offset, len });
    }
    parameters
}

/// Attributes of a function that are sent: all that CUDA 13.5 has, and a few more.
const ATTRIBUTES: u32 = 16;

/// Parameters that fit in a reply beside the rest.
const REPLY_PARAMETERS_MAX: usize = (RECORD_LEN_MAX - 1024) / size_of::<Parameter>();
