//! Executable graphs: making them, changing them, launching them.

use std::ffi::c_char;
use std::sync::Arc;

use flexdirect_wire::abi::*;

use super::graph::{give, graph};
use crate::context;
use crate::driver::{self, EXECS};
use crate::graph::Exec;
use crate::raw;

/// An executable graph by its handle.
pub(super) fn exec(handle: CuGraphExec) -> Result<Arc<Exec>, CuError> {
    driver::check()?;
    EXECS.find(handle.0).ok_or(CuError::INVALID_VALUE)
}

pub(crate) fn cuGraphInstantiateWithFlags(
    graph_exec: *mut CuGraphExec,
    graph: CuGraph,
    flags: u64,
) -> CuResult {
    let graph = self::graph(graph)?;
    if graph_exec.is_null() || flags & !FLAGS != 0 {
        return Err(CuError::INVALID_VALUE);
    }
    if flags & DEVICE_LAUNCH != 0 {
        return Err(CuError::NOT_SUPPORTED);
    }
    give(graph_exec, Exec::new(&graph, flags & !UPLOAD)?.handle)
}

pub(crate) fn cuGraphInstantiateWithParams(
    graph_exec: *mut CuGraphExec,
    graph: CuGraph,
    instantiate_params: *mut CudaGraphInstantiateParams,
) -> CuResult {
    let mut given = raw::fetch(instantiate_params.cast_const()).ok_or(CuError::INVALID_VALUE)?;
    let result = cuGraphInstantiateWithFlags(graph_exec, graph, given.flags);
    given.error_node = CuGraphNode(0);
    given.result = u32::from(result.is_err());
    give(instantiate_params, given)?;
    result
}

/// The error buffer is left alone, as by every driver since CUDA 12.
pub(crate) fn cuGraphInstantiate_v2(
    graph_exec: *mut CuGraphExec,
    graph: CuGraph,
    _error_node: *mut CuGraphNode,
    _log_buffer: *mut c_char,
    _buffer_size: usize,
) -> CuResult {
    cuGraphInstantiateWithFlags(graph_exec, graph, 0)
}

pub(crate) fn cuGraphInstantiate(
    graph_exec: *mut CuGraphExec,
    graph: CuGraph,
    _error_node: *mut CuGraphNode,
    _log_buffer: *mut c_char,
    _buffer_size: usize,
) -> CuResult {
    cuGraphInstantiateWithFlags(graph_exec, graph, 0)
}

pub(crate) fn cuGraphExecGetFlags(graph_exec: CuGraphExec, flags: *mut u64) -> CuResult {
    give(flags, exec(graph_exec)?.flags)
}

pub(crate) fn cuGraphExecGetId(graph_exec: CuGraphExec, graph_id: *mut u32) -> CuResult {
    let id = exec(graph_exec)?.id;
    give(graph_id, u32::try_from(id).unwrap_or(u32::MAX))
}

/// What is in progress goes on: a launch has its own hold of the steps.
pub(crate) fn cuGraphExecDestroy(graph_exec: CuGraphExec) -> CuResult {
    driver::check()?;
    let removed = EXECS.remove(graph_exec.0);
    removed.map(drop).ok_or(CuError::INVALID_VALUE)
}

pub(crate) fn cuGraphExecUpdate_v2(
    graph_exec: CuGraphExec,
    graph: CuGraph,
    result_info: *mut CuGraphExecUpdateResultInfo,
) -> CuResult {
    let (exec, graph) = (exec(graph_exec)?, self::graph(graph)?);
    if result_info.is_null() {
        return Err(CuError::INVALID_VALUE);
    }
    let result = exec.update(&graph);
    let mismatch = result.err();
    give(
        result_info,
        CuGraphExecUpdateResultInfo {
            result: mismatch.map_or(0, |mismatch| mismatch.result),
            error_node: mismatch.map_or(CuGraphNode(0), |mismatch| mismatch.node),
            error_from_node: CuGraphNode(0),
        },
    )?;
    mismatch.map_or(Ok(()), |_| Err(CuError::GRAPH_EXEC_UPDATE_FAILURE))
}

pub(crate) fn cuGraphNodeSetEnabled(
    graph_exec: CuGraphExec,
    node: CuGraphNode,
    is_enabled: u32,
) -> CuResult {
    exec(graph_exec)?.enable(node, is_enabled != 0)
}

pub(crate) fn cuGraphNodeGetEnabled(
    graph_exec: CuGraphExec,
    node: CuGraphNode,
    is_enabled: *mut u32,
) -> CuResult {
    give(is_enabled, u32::from(exec(graph_exec)?.is_enabled(node)?))
}

/// There is nothing to bring to a device that is this process.
pub(crate) fn cuGraphUpload(graph_exec: CuGraphExec, stream: CuStream) -> CuResult {
    exec(graph_exec)?;
    context::stream(stream).map(drop)
}

pub(crate) fn cuGraphLaunch(graph_exec: CuGraphExec, stream: CuStream) -> CuResult {
    let exec = exec(graph_exec)?;
    let (context, stream) = context::stream(stream)?;
    exec.launch(&context, &stream)
}

/// CUgraphInstantiate_flags.
const FLAGS: u64 = 15;
const UPLOAD: u64 = 2;
const DEVICE_LAUNCH: u64 = 4;
