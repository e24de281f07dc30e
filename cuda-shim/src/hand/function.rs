//! Functions and kernels: looked up once, with all that is ever asked of them.
//!
//! A kernel's layout and attributes come with its look-up, in one reply, and are asked for once: a
//! library such as NCCL asks for thousands of attributes at its start.

#![expect(non_snake_case, reason = "CUDA's own names keep CUDA's spelling")]

use std::ffi::{CStr, CString};
use std::sync::atomic::AtomicI32;
use std::sync::{Arc, Mutex};

use flexdirect_wire::abi::{
    CuDevice, CuError, CuFunction, CuFunctionAttribute, CuKernel, CuLibrary, CuModule, CuResult,
    InStr, Out,
};
use flexdirect_wire::body::{Found, One, Parameter, SetAttribute};
use flexdirect_wire::call::{Op, op};
use flexdirect_wire::limits::{PARAMETERS_LEN_MAX, PARAMETERS_MAX};
use flexdirect_wire::record::{Reader, WireError};

use super::module::{anywhere, at, lock, named, owner};
use super::{one, wanted};
use crate::objects::{Function, Module};
use crate::process::{Process, body, here, process};
use crate::session::Issue;

pub(crate) fn cuModuleGetFunction(hfunc: Out<CuFunction>, hmod: CuModule, name: InStr) -> CuResult {
    wanted(hfunc.is_null())?;
    let process = process()?;
    let module = owner(process, hmod.0, |module| module.context != 0)?;
    let found = find_function(
        process,
        op::cuModuleGetFunction,
        (hmod.0, &module),
        name.text()?,
    )?;
    hfunc.write(CuFunction(found))
}

pub(crate) fn cuLibraryGetKernel(
    kernel: Out<CuKernel>,
    library: CuLibrary,
    name: InStr,
) -> CuResult {
    wanted(kernel.is_null())?;
    let process = process()?;
    let module = owner(process, library.0, |module| module.context == 0)?;
    let found = find_function(
        process,
        op::cuLibraryGetKernel,
        (library.0, &module),
        name.text()?,
    )?;
    kernel.write(CuKernel(found))
}

fn find_function(
    process: &Process,
    op: Op,
    (handle, module): (u64, &Module),
    name: &CStr,
) -> Result<u64, CuError> {
    if let Some(&found) = lock(&module.functions).get(name) {
        return Ok(found);
    }
    let reply = process
        .session
        .call(at(op, module), &named(handle, name)?)?;
    let (found, function) = read_function(&mut reply.made()?, name, handle, module.context)
        .map_err(|error| process.session.broken(&error))?;
    process.functions.insert(found, Arc::new(function));
    lock(&module.functions).insert(name.to_owned(), found);
    Ok(found)
}

pub(crate) fn cuKernelGetFunction(func: Out<CuFunction>, kernel: CuKernel) -> CuResult {
    wanted(func.is_null())?;
    let here = here()?;
    let process = here.process;
    let known = kernel_of(process, kernel.0)?;
    let context = here.context.handle;
    let cached = lock(&known.functions).get(&context).copied();
    if let Some(found) = cached.filter(|&found| process.functions.find(found).is_some()) {
        return func.write(CuFunction(found));
    }
    let reply = here.ask(op::cuKernelGetFunction, &one(kernel.0))?;
    let (found, function) = read_function(&mut reply.made()?, &known.name, known.owner, context)
        .map_err(|error| process.session.broken(&error))?;
    process.functions.insert(found, Arc::new(function));
    lock(&known.functions).insert(context, found);
    func.write(CuFunction(found))
}

/// Names come from the worker, and each is looked up as if the application had asked for it.
pub(crate) fn cuModuleEnumerateFunctions(
    functions: *mut CuFunction,
    num_functions: u32,
    module: CuModule,
) -> CuResult {
    let process = process()?;
    let owner = owner(process, module.0, |module| module.context != 0)?;
    wanted(functions.is_null() || num_functions == 0)?;
    let (ask, find) = (op::cuModuleEnumerateFunctions, op::cuModuleGetFunction);
    let names = names(process, at(ask, &owner), module.0, num_functions)?;
    for (index, name) in names.iter().enumerate() {
        let found = find_function(process, find, (module.0, &owner), name)?;
        Out(functions.wrapping_add(index)).write(CuFunction(found))?;
    }
    Ok(())
}

pub(crate) fn cuLibraryEnumerateKernels(
    kernels: *mut CuKernel,
    num_kernels: u32,
    library: CuLibrary,
) -> CuResult {
    let process = process()?;
    let owner = owner(process, library.0, |module| module.context == 0)?;
    wanted(kernels.is_null() || num_kernels == 0)?;
    let (ask, find) = (op::cuLibraryEnumerateKernels, op::cuLibraryGetKernel);
    let names = names(process, at(ask, &owner), library.0, num_kernels)?;
    for (index, name) in names.iter().enumerate() {
        let found = find_function(process, find, (library.0, &owner), name)?;
        Out(kernels.wrapping_add(index)).write(CuKernel(found))?;
    }
    Ok(())
}

/// The first names in a module or library, `count` at most.
fn names(
    process: &Process,
    issue: Issue,
    handle: u64,
    count: u32,
) -> Result<Vec<CString>, CuError> {
    let body = body(|record| {
        record.put(&One { value: handle });
        record.u64(u64::from(count));
        Ok(())
    })?;
    let reply = process.session.call(issue, &body)?;
    let mut answer = reply.made()?;
    let mut read = || -> Result<Vec<CString>, WireError> {
        let len = answer.u64()?.min(u64::from(count));
        (0..len).map(|_| Ok(answer.text()?.to_owned())).collect()
    };
    read().map_err(|error| process.session.broken(&error))
}

/// What the worker says of a kernel: nothing of it is believed before it is checked.
fn read_function(
    reply: &mut Reader<'_>,
    name: &CStr,
    owner: u64,
    context: u64,
) -> Result<(u64, Function), WireError> {
    let found: Found = reply.get()?;
    let limit = |what, len: u32, len_max: usize| {
        let len = len as usize;
        let error = WireError::Length {
            what,
            len,
            len_min: 0,
            len_max,
        };
        if len > len_max { Err(error) } else { Ok(len) }
    };
    let count = limit("list of parameters", found.parameters, PARAMETERS_MAX)?;
    let len = limit(
        "block of parameters",
        found.parameters_len,
        PARAMETERS_LEN_MAX,
    )?;
    let mut parameters = Vec::with_capacity(count);
    for _ in 0..count {
        let parameter: Parameter = reply.get()?;
        let end = parameter.offset.saturating_add(parameter.len);
        limit("parameter", end, len)?;
        parameters.push(parameter);
    }
    let count = limit("list of attributes", found.attributes, ATTRIBUTES_MAX)?;
    let attributes = reply.raw(count * 4)?.chunks_exact(4).map(|bytes| {
        AtomicI32::new(i32::from_le_bytes(
            bytes.try_into().expect("chunks of four bytes"),
        ))
    });
    let function = Function {
        name: name.to_owned(),
        owner,
        context,
        parameters: parameters.into(),
        parameters_len: found.parameters_len,
        attributes: attributes.collect(),
        functions: Mutex::default(),
    };
    Ok((found.handle, function))
}

pub(crate) fn cuFuncSetAttribute(
    hfunc: CuFunction,
    attrib: CuFunctionAttribute,
    value: i32,
) -> CuResult {
    set_attribute(
        process()?,
        anywhere(op::cuFuncSetAttribute),
        hfunc.0,
        attrib,
        value,
    )
}

pub(crate) fn cuKernelSetAttribute(
    attrib: CuFunctionAttribute,
    val: i32,
    kernel: CuKernel,
    dev: CuDevice,
) -> CuResult {
    let process = process()?;
    let (_, device) = crate::devices::find(&process.devices, dev)?;
    kernel_of(process, kernel.0)?;
    let issue = Issue {
        lane: device.lane,
        ..anywhere(op::cuKernelSetAttribute)
    };
    set_attribute(process, issue, kernel.0, attrib, val)
}

fn set_attribute(
    process: &Process,
    issue: Issue,
    handle: u64,
    attribute: CuFunctionAttribute,
    value: i32,
) -> CuResult {
    let function = process
        .functions
        .find(handle)
        .ok_or(CuError::INVALID_HANDLE)?;
    let body = body(|record| {
        record.put(&SetAttribute {
            function: handle,
            attribute: attribute.0,
            value,
        });
        Ok(())
    })?;
    process.session.call(issue, &body)?.check()?;
    function.set_attribute(attribute.0, value);
    // A kernel hands its attributes to its function in the current context, if there is one.
    let own = lock(&function.functions).get(&issue.context).copied();
    if let Some(own) = own.and_then(|handle| process.functions.find(handle)) {
        own.set_attribute(attribute.0, value);
    }
    Ok(())
}

fn kernel_of(process: &Process, handle: u64) -> Result<Arc<Function>, CuError> {
    let found = process
        .functions
        .find(handle)
        .filter(|function| function.context == 0);
    found.ok_or(CuError::INVALID_HANDLE)
}

/// More attributes than a function has.
const ATTRIBUTES_MAX: usize = 256;
