//! Stream capture.

use flexdirect_wire::abi::*;

use super::graph::{dependencies, give, graph};
use super::not_null;
use crate::capture;
use crate::context;
use crate::raw;

pub(crate) fn cuThreadExchangeStreamCaptureMode(mode: InOut<CuStreamCaptureMode>) -> CuResult {
    let before = capture::exchange_mode(mode.read()?.0)?;
    mode.replace(CuStreamCaptureMode(before)).map(drop)
}

pub(crate) fn cuStreamBeginCapture_v2(stream: CuStream, mode: CuStreamCaptureMode) -> CuResult {
    let (_, stream) = context::stream(stream)?;
    capture::begin(&stream, mode.0, None)
}

pub(crate) fn cuStreamBeginCaptureToGraph(
    stream: CuStream,
    graph: CuGraph,
    dependencies: *const CuGraphNode,
    dependency_data: *const CuGraphEdgeData,
    num_dependencies: usize,
    mode: CuStreamCaptureMode,
) -> CuResult {
    let (_, stream) = context::stream(stream)?;
    let graph = self::graph(graph)?;
    let after = self::dependencies(dependencies, dependency_data, num_dependencies)?;
    let after: Vec<_> = after.into_iter().map(|(node, _)| node).collect();
    if !graph.has_all(&after) {
        return Err(CuError::INVALID_VALUE);
    }
    capture::begin(&stream, mode.0, Some((graph, after)))
}

pub(crate) fn cuStreamEndCapture(stream: CuStream, graph: *mut CuGraph) -> CuResult {
    let (_, stream) = context::stream(stream)?;
    match capture::end(&stream) {
        Ok(made) => give(graph, made.handle),
        Err(error) => {
            raw::store(graph, CuGraph(0));
            Err(error)
        }
    }
}

pub(crate) fn cuStreamIsCapturing(
    stream: CuStream,
    capture_status: Out<CuStreamCaptureStatus>,
) -> CuResult {
    not_null(capture_status)?;
    let (context, stream) = context::stream(stream)?;
    capture::refuse_query(&context, &stream)?;
    let status = capture::of(&stream).map_or(0, |capture| 1 + u32::from(capture.is_invalid()));
    capture_status.write(CuStreamCaptureStatus(status))
}

pub(crate) fn cuStreamGetCaptureInfo_v2(
    stream: CuStream,
    capture_status_out: Out<CuStreamCaptureStatus>,
    id_out: OptOut<u64>,
    graph_out: *mut CuGraph,
    dependencies_out: *mut *const CuGraphNode,
    num_dependencies_out: *mut usize,
) -> CuResult {
    cuStreamIsCapturing(stream, capture_status_out)?;
    let (_, stream) = context::stream(stream)?;
    let Some(capture) = capture::of(&stream) else {
        id_out.write(0);
        return Ok(());
    };
    id_out.write(capture.id);
    let (nodes, len) = capture.tell(&stream);
    // Each may be null.
    raw::store(graph_out, capture.graph.handle);
    raw::store(dependencies_out, nodes);
    raw::store(num_dependencies_out, len);
    Ok(())
}

/// All edges of a capture are plain ones, so there is nothing to tell of them.
pub(crate) fn cuStreamGetCaptureInfo_v3(
    stream: CuStream,
    capture_status_out: Out<CuStreamCaptureStatus>,
    id_out: OptOut<u64>,
    graph_out: *mut CuGraph,
    dependencies_out: *mut *const CuGraphNode,
    edge_data_out: *mut *const CuGraphEdgeData,
    num_dependencies_out: *mut usize,
) -> CuResult {
    raw::store(edge_data_out, std::ptr::null());
    cuStreamGetCaptureInfo_v2(
        stream,
        capture_status_out,
        id_out,
        graph_out,
        dependencies_out,
        num_dependencies_out,
    )
}

pub(crate) fn cuStreamUpdateCaptureDependencies_v2(
    stream: CuStream,
    dependencies: *mut CuGraphNode,
    dependency_data: *const CuGraphEdgeData,
    num_dependencies: usize,
    flags: u32,
) -> CuResult {
    let (_, stream) = context::stream(stream)?;
    let capture = capture::of(&stream).ok_or(CuError::ILLEGAL_STATE)?;
    let nodes = dependencies.cast_const();
    let nodes = self::dependencies(nodes, dependency_data, num_dependencies)?;
    let nodes: Vec<_> = nodes.into_iter().map(|(node, _)| node).collect();
    if flags > SET_DEPENDENCIES || !capture.graph.has_all(&nodes) {
        return Err(CuError::INVALID_VALUE);
    }
    capture.depend(&stream, &nodes, flags == SET_DEPENDENCIES)
}

pub(crate) fn cuStreamUpdateCaptureDependencies(
    stream: CuStream,
    dependencies: *mut CuGraphNode,
    num_dependencies: usize,
    flags: u32,
) -> CuResult {
    let plain = std::ptr::null();
    cuStreamUpdateCaptureDependencies_v2(stream, dependencies, plain, num_dependencies, flags)
}

/// CU_STREAM_SET_CAPTURE_DEPENDENCIES.
const SET_DEPENDENCIES: u32 = 1;
