//! Linking at run time: cuLink*.

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use flexdirect_wire::abi::*;

use super::jit::JitLog;
use super::not_null;
use crate::driver::LINKS;
use crate::link::{Input, Link, State};
use crate::module::Refused;
use crate::raw::Span;
use crate::{context, driver};

pub(crate) fn cuLinkCreate_v2(
    num_options: u32,
    options: Out<CuJitOption>,
    option_values: *mut *mut c_void,
    state_out: Out<CuLinkState>,
) -> CuResult {
    context::current()?;
    not_null(state_out)?;
    let log = JitLog::new(num_options, options, option_values);
    let link = LINKS.insert(|handle| Link::new(CuLinkState(handle), log));
    state_out.write(link.handle)
}

#[expect(clippy::too_many_arguments, reason = "the C signature")]
pub(crate) fn cuLinkAddData_v2(
    state: CuLinkState,
    type_: CuJitInputType,
    data: *mut c_void,
    size: usize,
    name: *const c_char,
    _num_options: u32,
    _options: *mut CuJitOption,
    _option_values: *mut *mut c_void,
) -> CuResult {
    let link = find(state)?;
    if data.is_null() || size == 0 {
        return Err(CuError::INVALID_VALUE);
    }
    let bytes = Span::new(data.expose_provenance() as u64, size).to_vec();
    let name = InStr(name.cast_mut());
    let name = name.text().map_or_else(
        |_| "<unnamed>".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    );
    add(&link, type_, &bytes, &name)
}

pub(crate) fn cuLinkAddFile_v2(
    state: CuLinkState,
    type_: CuJitInputType,
    path: InStr,
    _num_options: u32,
    _options: *mut CuJitOption,
    _option_values: *mut *mut c_void,
) -> CuResult {
    let link = find(state)?;
    let path = path.text()?.to_str().map_err(|_| CuError::INVALID_VALUE)?;
    let bytes = std::fs::read(path).map_err(|_| CuError::FILE_NOT_FOUND)?;
    add(&link, type_, &bytes, path)
}

/// The options of an input are none that change anything here.
fn add(link: &Link, kind: CuJitInputType, bytes: &[u8], name: &str) -> CuResult {
    let input = match kind.0 {
        PTX => Input::Ptx,
        CUBIN | FATBINARY | OBJECT => Input::Binary,
        LIBRARY => Input::Library,
        _ => return Err(CuError::INVALID_VALUE),
    };
    link.step(|state| {
        if state.is_complete() {
            let reason = "the link is complete".to_owned();
            let error = CuError::INVALID_VALUE;
            return Err(Refused { error, reason });
        }
        state.add(input, bytes, name)
    })
}

/// The image is the application's to read until the link is destroyed.
pub(crate) fn cuLinkComplete(
    state: CuLinkState,
    cubin_out: Out<*mut c_void>,
    size_out: OptOut<usize>,
) -> CuResult {
    not_null(cubin_out)?;
    let (address, len) = find(state)?.step(State::complete)?;
    cubin_out.write(std::ptr::with_exposed_provenance_mut(address))?;
    size_out.write(len);
    Ok(())
}

pub(crate) fn cuLinkDestroy(state: CuLinkState) -> CuResult {
    driver::check()?;
    LINKS
        .remove(state.0)
        .map(drop)
        .ok_or(CuError::INVALID_HANDLE)
}

fn find(state: CuLinkState) -> Result<Arc<Link>, CuError> {
    driver::check()?;
    LINKS.find(state.0).ok_or(CuError::INVALID_HANDLE)
}

/// CU_JIT_INPUT_CUBIN and others (CUDA Driver API, CUjitInputType).
const CUBIN: u32 = 0;
const PTX: u32 = 1;
const FATBINARY: u32 = 2;
const OBJECT: u32 = 3;
const LIBRARY: u32 = 4;
