//! Captures of streams: the worker's driver records; the rules about threads are kept here.
//!
//! The worker begins every capture without rules, because its threads are not the application's.
//! So what "potentially unsafe" calls may not disturb (CUDA Driver API,
//! cuThreadExchangeStreamCaptureMode) is refused here, by the modes of threads and captures.

use std::collections::HashMap;

use flexdirect_wire::abi::{
    CuError, CuGraph, CuGraphEdgeData, CuGraphNode, CuResult, CuStream, CuStreamCaptureMode,
    CuStreamCaptureStatus, OptOut, Out,
};
use flexdirect_wire::body::{Capture, Captured, LIST_LEN_MAX, One};
use flexdirect_wire::call::{Op, op};
use flexdirect_wire::record::WireError;

use super::lists::named;
use super::{BAD, lock, one, wanted};
use crate::hand::{Target, target};
use crate::process::{Process, process};
use crate::thread;

/// Captures that have begun, and what was told of them.
#[derive(Debug, Default)]
pub(crate) struct Captures {
    begun: Vec<Begun>,
    /// Nodes that a query was given, by stream: valid until the next call for the stream.
    told: HashMap<u64, Vec<CuGraphNode>>,
}

#[derive(Clone, Copy, Debug)]
struct Begun {
    stream: Target,
    thread: u32,
    mode: u32,
}

/// Whether a stream is in a capture, as far as the driver says so.
pub(crate) fn is_captured(process: &Process, stream: &Target) -> bool {
    status(process, stream).is_ok_and(|status| status != 0)
}

fn status(process: &Process, stream: &Target) -> Result<u64, CuError> {
    let reply = stream.call(process, op::cuStreamIsCapturing, |record| {
        record.put(&One {
            value: stream.handle,
        });
        Ok(())
    })?;
    let one: One = reply
        .body()?
        .get()
        .map_err(|error| process.session.broken(&error))?;
    Ok(one.value)
}

/// Makes the capture of a stream invalid: a question about the stream does.
pub(crate) fn refuse(process: &Process, stream: &Target) -> CuResult {
    let issue = stream.issue(op::cuStreamQuery);
    process.session.call(issue, &one(stream.handle))?.check()?;
    Err(CuError::STREAM_CAPTURE_UNSUPPORTED)
}

/// Whether the calling thread may do what could disturb a capture, such as allocating.
///
/// # Errors
/// `STREAM_CAPTURE_UNSUPPORTED` by the modes of the thread and of the captures, which are invalid
/// then.
pub(crate) fn refuse_unsafe() -> CuResult {
    let Ok(process) = process() else {
        return Ok(());
    };
    if !process.session.is_capturing() {
        return Ok(());
    }
    let (mode, me) = (thread::capture_mode(), thread::number());
    let disturbed = |begun: &&Begun| {
        (begun.thread == me && begun.mode != RELAXED) || (mode == GLOBAL && begun.mode == GLOBAL)
    };
    let begun = lock(&process.graphs.captures).begun.clone();
    let disturbed: Vec<&Begun> = begun.iter().filter(disturbed).collect();
    if mode == RELAXED || disturbed.is_empty() {
        return Ok(());
    }
    for begun in disturbed {
        // What it says is what is returned here.
        let _ = refuse(process, &begun.stream);
    }
    Err(CuError::STREAM_CAPTURE_UNSUPPORTED)
}

/// Refuses a call that could disturb a capture.
///
/// # Errors
/// As [`refuse_unsafe`].
pub(crate) fn check_call(call: Op) -> CuResult {
    if UNSAFE.contains(&call) {
        refuse_unsafe()
    } else {
        Ok(())
    }
}

/// Captures in these streams can be ended no more.
pub(crate) fn forget(process: &Process, ends: impl Fn(&Target) -> bool) {
    let mut captures = lock(&process.graphs.captures);
    captures.begun.retain(|begun| !ends(&begun.stream));
    process.session.set_captures(captures.begun.len());
}

fn begin(
    stream: CuStream,
    mode: CuStreamCaptureMode,
    graph: CuGraph,
    after: &[CuGraphNode],
) -> CuResult {
    let process = process()?;
    let target = target(process, stream)?;
    if mode.0 > RELAXED {
        return Err(BAD);
    }
    if target.handle == 0 {
        return Err(CuError::STREAM_CAPTURE_UNSUPPORTED);
    }
    let reply = target.call(process, op::cuStreamBeginCapture_v2, |record| {
        record.put(&Capture {
            stream: target.handle,
            graph: graph.0,
            nodes: after.len() as u64,
            flags: 0,
        });
        after.iter().for_each(|node| record.u64(node.0));
        Ok(())
    })?;
    reply.check()?;
    let mut captures = lock(&process.graphs.captures);
    captures.begun.push(Begun {
        stream: target,
        thread: thread::number(),
        mode: mode.0,
    });
    process.session.set_captures(captures.begun.len());
    Ok(())
}

pub(crate) fn cuStreamBeginCapture_v2(stream: CuStream, mode: CuStreamCaptureMode) -> CuResult {
    begin(stream, mode, CuGraph(0), &[])
}

pub(crate) fn cuStreamBeginCaptureToGraph(
    stream: CuStream,
    graph: CuGraph,
    dependencies: *const CuGraphNode,
    dependency_data: *const CuGraphEdgeData,
    num: usize,
    mode: CuStreamCaptureMode,
) -> CuResult {
    if graph.0 == 0 {
        return Err(BAD);
    }
    let after = named(dependencies, dependency_data, num)?;
    begin(stream, mode, graph, &after)
}

pub(crate) fn cuStreamEndCapture(stream: CuStream, graph: *mut CuGraph) -> CuResult {
    let process = process()?;
    let target = target(process, stream)?;
    let ended = end(process, &target);
    if !graph.is_null() {
        Out(graph).write(CuGraph(*ended.as_ref().unwrap_or(&0)))?;
    }
    ended?;
    wanted(graph)
}

fn end(process: &Process, target: &Target) -> Result<u64, CuError> {
    let own = |begun: &Begun| begun.stream.handle == target.handle;
    let begun = lock(&process.graphs.captures).begun.clone();
    let begun = begun.into_iter().find(own);
    if begun.is_some_and(|begun| begun.mode != RELAXED && begun.thread != thread::number()) {
        return Err(CuError::STREAM_CAPTURE_WRONG_THREAD);
    }
    let reply = target.call(process, op::cuStreamEndCapture, |record| {
        record.put(&One {
            value: target.handle,
        });
        Ok(())
    })?;
    if begun.is_some() {
        forget(process, |stream| stream.handle == target.handle);
    }
    let made: One = reply
        .made()?
        .get()
        .map_err(|error| process.session.broken(&error))?;
    Ok(made.value)
}

pub(crate) fn cuStreamIsCapturing(
    stream: CuStream,
    capture_status: Out<CuStreamCaptureStatus>,
) -> CuResult {
    let process = process()?;
    wanted(capture_status.0)?;
    let target = target(process, stream)?;
    let status = if process.session.is_capturing() {
        status(process, &target)?
    } else {
        0
    };
    capture_status.write(CuStreamCaptureStatus(u32::try_from(status).unwrap_or(0)))
}

pub(crate) fn cuStreamGetCaptureInfo_v3(
    stream: CuStream,
    capture_status_out: Out<CuStreamCaptureStatus>,
    id_out: OptOut<u64>,
    graph_out: *mut CuGraph,
    dependencies_out: *mut *const CuGraphNode,
    edge_data_out: *mut *const CuGraphEdgeData,
    num_dependencies_out: *mut usize,
) -> CuResult {
    // All edges of a capture are plain ones, so there is nothing to tell of them.
    OptOut(edge_data_out).write(std::ptr::null());
    cuStreamGetCaptureInfo_v2(
        stream,
        capture_status_out,
        id_out,
        graph_out,
        dependencies_out,
        num_dependencies_out,
    )
}

pub(crate) fn cuStreamGetCaptureInfo_v2(
    stream: CuStream,
    capture_status_out: Out<CuStreamCaptureStatus>,
    id_out: OptOut<u64>,
    graph_out: *mut CuGraph,
    dependencies_out: *mut *const CuGraphNode,
    num_dependencies_out: *mut usize,
) -> CuResult {
    let process = process()?;
    wanted(capture_status_out.0)?;
    let target = target(process, stream)?;
    if !process.session.is_capturing() {
        id_out.write(0);
        return capture_status_out.write(CuStreamCaptureStatus(0));
    }
    let reply = target.call(process, op::cuStreamGetCaptureInfo_v3, |record| {
        record.put(&One {
            value: target.handle,
        });
        Ok(())
    })?;
    let mut answer = reply.body()?;
    let mut read = || -> Result<(Captured, Vec<CuGraphNode>), WireError> {
        let told: Captured = answer.get()?;
        let count = told.nodes.min(LIST_LEN_MAX as u64);
        let nodes = (0..count).map(|_| Ok(CuGraphNode(answer.u64()?)));
        Ok((told, nodes.collect::<Result<_, WireError>>()?))
    };
    let (told, nodes) = read().map_err(|error| process.session.broken(&error))?;
    let status = u32::try_from(told.status).unwrap_or(0);
    capture_status_out.write(CuStreamCaptureStatus(status))?;
    id_out.write(told.id);
    if status != ACTIVE {
        return Ok(());
    }
    OptOut(graph_out).write(CuGraph(told.graph));
    OptOut(num_dependencies_out).write(nodes.len());
    let mut captures = lock(&process.graphs.captures);
    let kept = captures.told.entry(target.handle).or_default();
    *kept = nodes;
    OptOut(dependencies_out).write(kept.as_ptr());
    Ok(())
}

pub(crate) fn cuStreamUpdateCaptureDependencies_v2(
    stream: CuStream,
    dependencies: *mut CuGraphNode,
    dependency_data: *const CuGraphEdgeData,
    num: usize,
    flags: u32,
) -> CuResult {
    let process = process()?;
    let target = target(process, stream)?;
    let nodes = named(dependencies.cast_const(), dependency_data, num)?;
    let reply = target.call(
        process,
        op::cuStreamUpdateCaptureDependencies_v2,
        |record| {
            record.put(&Capture {
                stream: target.handle,
                graph: 0,
                nodes: nodes.len() as u64,
                flags: u64::from(flags),
            });
            nodes.iter().for_each(|node| record.u64(node.0));
            Ok(())
        },
    )?;
    reply.check()
}

pub(crate) fn cuStreamUpdateCaptureDependencies(
    stream: CuStream,
    dependencies: *mut CuGraphNode,
    num: usize,
    flags: u32,
) -> CuResult {
    let plain = std::ptr::null();
    cuStreamUpdateCaptureDependencies_v2(stream, dependencies, plain, num, flags)
}

/// `CU_STREAM_CAPTURE_MODE_*`.
const GLOBAL: u32 = 0;
const RELAXED: u32 = 2;
/// `CU_STREAM_CAPTURE_STATUS_ACTIVE`.
const ACTIVE: u32 = 1;

/// Calls that could disturb a capture: they may wait for all work.
const UNSAFE: [Op; 6] = [
    op::cuMemAlloc_v2,
    op::cuMemAllocPitch_v2,
    op::cuMemFree_v2,
    op::cuMemAllocHost_v2,
    op::cuMemHostAlloc,
    op::cuMemFreeHost,
];
