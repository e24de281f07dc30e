//! Memory that nodes of graphs allocate and free.

use std::ffi::c_void;
use std::sync::Arc;

use flexdirect_wire::abi::*;

use super::graph::{dependencies, give, graph, node};
use super::pool::place;
use crate::capture;
use crate::context::{self, Context};
use crate::driver;
use crate::graph::{About, Action, GraphMemory, memory};
use crate::raw;
use crate::stream::Stream;

const BAD: CuError = CuError::INVALID_VALUE;

pub(crate) fn cuGraphAddMemAllocNode(
    graph_node: *mut CuGraphNode,
    graph: CuGraph,
    dependencies: *const CuGraphNode,
    num_dependencies: usize,
    node_params: *mut CudaMemAllocNodeParams,
) -> CuResult {
    let graph = self::graph(graph)?;
    let context = context::current()?;
    let mut given = raw::fetch(node_params.cast_const()).ok_or(BAD)?;
    if graph_node.is_null() {
        return Err(BAD);
    }
    let device = place(given.pool_props.location, given.pool_props.kind)?;
    let descriptions = raw::elements(given.access_descs, given.access_desc_count);
    for access in descriptions {
        if access.location.kind != super::pool::LOCATION_DEVICE {
            return Err(BAD);
        }
        if driver::device(CuDevice(access.location.id))?.ordinal != device {
            return Err(CuError::NOT_SUPPORTED);
        }
    }
    let after = self::dependencies(dependencies, std::ptr::null(), num_dependencies)?;
    let memory = GraphMemory::new(device, given.byte_size, context.id)?;
    given.dptr = CuDevicePtr(memory.address());
    let about = About::Allocate(memory);
    let made = graph.add(
        &after,
        Action::without_body(about, &context),
        CuGraphNode(0),
    )?;
    give(node_params, given)?;
    give(graph_node, made.handle)
}

pub(crate) fn cuGraphMemAllocNodeGetParams(
    node: CuGraphNode,
    params_out: *mut CudaMemAllocNodeParams,
) -> CuResult {
    let About::Allocate(memory) = self::node(node)?.action().about else {
        return Err(BAD);
    };
    let location = CuMemLocation {
        kind: super::pool::LOCATION_DEVICE,
        id: i32::try_from(memory.device()).unwrap_or(i32::MAX),
    };
    give(
        params_out,
        CudaMemAllocNodeParams {
            pool_props: CuMemPoolProps {
                kind: super::pool::TYPE_PINNED,
                handle_types: 0,
                location,
                win32_security: std::ptr::null_mut(),
                max_len: 0,
                usage: 0,
                is_rdma_capable: 0,
                reserved: [0; 53],
            },
            access_descs: std::ptr::null(),
            access_desc_count: 0,
            byte_size: usize::try_from(memory.len()).unwrap_or(usize::MAX),
            dptr: CuDevicePtr(memory.address()),
        },
    )
}

pub(crate) fn cuGraphAddMemFreeNode(
    graph_node: *mut CuGraphNode,
    graph: CuGraph,
    dependencies: *const CuGraphNode,
    num_dependencies: usize,
    dptr: CuDevicePtr,
) -> CuResult {
    let graph = self::graph(graph)?;
    let context = context::current()?;
    let memory = memory::find(dptr.0).ok_or(BAD)?;
    if graph_node.is_null() {
        return Err(BAD);
    }
    let after = self::dependencies(dependencies, std::ptr::null(), num_dependencies)?;
    let action = Action::without_body(About::Free(memory), &context);
    let made = graph.add(&after, action, CuGraphNode(0))?;
    give(graph_node, made.handle)
}

pub(crate) fn cuGraphMemFreeNodeGetParams(
    node: CuGraphNode,
    dptr_out: *mut CuDevicePtr,
) -> CuResult {
    match self::node(node)?.action().about {
        About::Free(memory) => give(dptr_out, CuDevicePtr(memory.address())),
        _ => Err(BAD),
    }
}

/// Memory goes with its graphs: there is never more than they need.
pub(crate) fn cuDeviceGraphMemTrim(device: CuDevice) -> CuResult {
    driver::device(device).map(drop)
}

pub(crate) fn cuDeviceGetGraphMemAttribute(
    device: CuDevice,
    attr: CuGraphMemAttribute,
    value: *mut c_void,
) -> CuResult {
    let (now, most) = memory::lens(driver::device(device)?.ordinal);
    let len = match attr.0 {
        USED_NOW | RESERVED_NOW => now,
        USED_MOST | RESERVED_MOST => most,
        _ => return Err(BAD),
    };
    give(value.cast::<u64>(), len)
}

pub(crate) fn cuDeviceSetGraphMemAttribute(
    device: CuDevice,
    attr: CuGraphMemAttribute,
    value: *mut c_void,
) -> CuResult {
    let device = driver::device(device)?;
    let value = raw::fetch(value.cast::<u64>().cast_const());
    if ![USED_MOST, RESERVED_MOST].contains(&attr.0) || value != Some(0) {
        return Err(BAD);
    }
    memory::reset_most(device.ordinal);
    Ok(())
}

/// An allocation in a stream if that is captured.
pub(super) fn captured_allocation(
    context: &Arc<Context>,
    stream: &Arc<Stream>,
    device: usize,
    len: usize,
) -> Result<Option<CuDevicePtr>, CuError> {
    let mut address = CuDevicePtr(0);
    let is_captured = capture::take(stream, || {
        let memory = GraphMemory::new(device, len, context.id)?;
        address = CuDevicePtr(memory.address());
        Ok(Action::without_body(About::Allocate(memory), context))
    })?;
    Ok(is_captured.then_some(address))
}

/// Frees memory of graphs in a stream if that is captured; false if it is not.
pub(super) fn captured_free(
    context: &Arc<Context>,
    stream: &Arc<Stream>,
    dptr: CuDevicePtr,
) -> Result<bool, CuError> {
    capture::take(stream, || {
        let memory = memory::find(dptr.0).ok_or(BAD)?;
        Ok(Action::without_body(About::Free(memory), context))
    })
}

/// CUgraphMem_attribute.
const USED_NOW: u32 = 0;
const USED_MOST: u32 = 1;
const RESERVED_NOW: u32 = 2;
const RESERVED_MOST: u32 = 3;
