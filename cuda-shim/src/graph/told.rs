//! Parameters of nodes that are asked for.

use std::ffi::c_void;
use std::sync::Arc;

use flexdirect_wire::abi::*;
use flexdirect_wire::body::{GraphFill, GraphKernel, copy_of_words};
use flexdirect_wire::call::op;
use flexdirect_wire::handle::ShadowHandle;

use super::{BAD, issue, lock, one, wanted};
use crate::process::process;

/// Values of a kernel node's parameters, and where each of them is.
#[derive(Debug)]
pub(crate) struct Values {
    addresses: Vec<usize>,
    _block: Vec<u8>,
}

/// The values are kept here: the application reads them behind the pointers that it is given.
pub(crate) fn cuGraphKernelNodeGetParams_v2(
    node: CuGraphNode,
    node_params: *mut CudaKernelNodeParams,
) -> CuResult {
    let process = process()?;
    wanted(node_params)?;
    let reply = process
        .session
        .call(issue(op::cuGraphKernelNodeGetParams_v2), &one(node.0))?;
    let mut answer = reply.body()?;
    let broken = |error| process.session.broken(&error);
    let told: GraphKernel = answer.get().map_err(broken)?;
    let mut block = answer.bytes().map_err(broken)?.to_vec();
    let function = process.functions.find(told.function);
    let function = function.ok_or(CuError::INVALID_HANDLE)?;
    block.resize(block.len().max(function.parameters_len as usize), 0);
    let start = block.as_ptr().expose_provenance();
    let parameters = function.parameters.iter();
    let values = Arc::new(Values {
        addresses: parameters.map(|one| start + one.offset as usize).collect(),
        _block: block,
    });
    let addresses = values.addresses.as_ptr();
    let slot = ShadowHandle(node.0).index();
    lock(&process.graphs.values).insert(slot, values);
    Out(node_params).write(CudaKernelNodeParams {
        function: CuFunction(told.function),
        grid: told.grid,
        block: told.block,
        shared_mem_bytes: told.shared_len,
        kernel_params: addresses.cast_mut().cast::<*mut c_void>(),
        extra: std::ptr::null_mut(),
        kernel: CuKernel(0),
        context: CuContext(0),
    })
}

pub(crate) fn cuGraphMemcpyNodeGetParams(
    node: CuGraphNode,
    node_params: *mut CudaMemcpy3d,
) -> CuResult {
    let process = process()?;
    wanted(node_params)?;
    let reply = process
        .session
        .call(issue(op::cuGraphMemcpyNodeGetParams), &one(node.0))?;
    let words: [u64; 25] = reply
        .body()?
        .get()
        .map_err(|error| process.session.broken(&error))?;
    Out(node_params).write(copy_of_words(&words).ok_or(BAD)?)
}

pub(crate) fn cuGraphMemsetNodeGetParams(
    node: CuGraphNode,
    node_params: *mut CudaMemsetNodeParams,
) -> CuResult {
    let process = process()?;
    wanted(node_params)?;
    let reply = process
        .session
        .call(issue(op::cuGraphMemsetNodeGetParams), &one(node.0))?;
    let told: GraphFill = reply
        .body()?
        .get()
        .map_err(|error| process.session.broken(&error))?;
    let size = |value: u64| usize::try_from(value).map_err(|_| BAD);
    Out(node_params).write(CudaMemsetNodeParams {
        target: told.target,
        pitch: size(told.pitch)?,
        value: told.value,
        element_size: told.element_len,
        width: size(told.width)?,
        height: size(told.height)?,
    })
}
