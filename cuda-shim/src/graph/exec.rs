//! Executable graphs. A launch is posted: what it reads of this process's memory goes before it, as
//! it is now; what it writes lands when the stream has passed it.

use std::ffi::c_char;
use std::ptr;
use std::sync::{Arc, Mutex};

use flexdirect_wire::abi::{
    CuError, CuGraph, CuGraphExec, CuGraphExecUpdateResultInfo, CuGraphNode, CuResult, CuStream,
    CudaGraphInstantiateParams, InOut, Out,
};
use flexdirect_wire::body::{
    GraphAsk, GraphBytes, GraphLanding, GraphLaunch, GraphMade, GraphUse, USES_MAX, session, source,
};
use flexdirect_wire::call::op;
use flexdirect_wire::limits::{CHUNK_LEN, INLINE_LEN_MAX};
use flexdirect_wire::record::{Reader, WireError};
use zerocopy::IntoBytes;

use super::{BAD, capture, issue, lock, one, question, wanted};
use crate::hand::{Target, is_behind, post_late, target};
use crate::process::{Process, process};
use crate::session::Landing;
use crate::session::hostfn::Source;

/// What is known of an executable graph.
#[derive(Debug, Default)]
pub(crate) struct Exec {
    /// Memory of this process that its launches use.
    uses: Mutex<Arc<[GraphUse]>>,
}

impl Exec {
    /// Takes what the worker says it uses from now on.
    pub(super) fn learn(&self, made: &GraphMade, answer: &mut Reader<'_>) -> Result<(), WireError> {
        let mut uses = Vec::new();
        for _ in 0..made.uses.min(USES_MAX as u64) {
            uses.push(answer.get::<GraphUse>()?);
        }
        *lock(&self.uses) = uses.into();
        Ok(())
    }
}

pub(super) fn find(process: &Process, exec: CuGraphExec) -> Result<Arc<Exec>, CuError> {
    process.graphs.execs.find(exec.0).ok_or(BAD)
}

// ------------------------------------------------------------------------------- made, changed

/// Asks for an executable graph: its outcome, if the worker could ask its driver.
fn make(graph: CuGraph, flags: u64, upload: Option<Target>) -> Result<GraphMade, CuError> {
    let process = process()?;
    if flags & !FLAGS != 0 {
        return Err(BAD);
    }
    if flags & DEVICE_LAUNCH != 0 {
        return Err(CuError::NOT_SUPPORTED);
    }
    let asked = GraphAsk {
        handle: graph.0,
        other: upload.map_or(0, |stream| stream.handle),
        what: u32::from(upload.is_some()),
        reserved: 0,
        offset: flags,
    };
    let op = op::cuGraphInstantiateWithFlags;
    let issue = upload.map_or_else(|| issue(op), |stream| stream.issue(op));
    let reply = process.session.call(issue, asked.as_bytes())?;
    let mut answer = reply.made()?;
    let broken = |error| process.session.broken(&error);
    let made: GraphMade = answer.get().map_err(broken)?;
    if made.status == 0 {
        let exec = Exec::default();
        exec.learn(&made, &mut answer).map_err(broken)?;
        process.graphs.execs.insert(made.exec, Arc::new(exec));
    }
    Ok(made)
}

pub(crate) fn cuGraphInstantiateWithFlags(
    graph_exec: *mut CuGraphExec,
    graph: CuGraph,
    flags: u64,
) -> CuResult {
    process()?;
    wanted(graph_exec)?;
    let made = make(graph, flags & !UPLOAD, None)?;
    CuError::check(made.status)?;
    Out(graph_exec).write(CuGraphExec(made.exec))
}

pub(crate) fn cuGraphInstantiateWithParams(
    graph_exec: *mut CuGraphExec,
    graph: CuGraph,
    instantiate_params: *mut CudaGraphInstantiateParams,
) -> CuResult {
    let process = process()?;
    let place = InOut(instantiate_params);
    let mut given = place.read()?;
    wanted(graph_exec)?;
    let upload = match given.flags & UPLOAD {
        0 => None,
        _ => Some(target(process, given.upload_stream)?),
    };
    let made = make(graph, given.flags, upload);
    let failed = GraphMade {
        result: INSTANTIATE_ERROR,
        ..GraphMade::default()
    };
    let told = made.as_ref().map_or(failed, |made| *made);
    given.error_node = CuGraphNode(told.error_node);
    given.result = told.result;
    place.replace(given)?;
    CuError::check(made?.status)?;
    Out(graph_exec).write(CuGraphExec(told.exec))
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

pub(crate) fn cuGraphExecDestroy(graph_exec: CuGraphExec) -> CuResult {
    let process = process()?;
    process.graphs.execs.remove(graph_exec.0).ok_or(BAD)?;
    let issue = issue(op::cuGraphExecDestroy);
    process.session.call(issue, &one(graph_exec.0))?.check()
}

pub(crate) fn cuGraphExecUpdate_v2(
    graph_exec: CuGraphExec,
    graph: CuGraph,
    result_info: *mut CuGraphExecUpdateResultInfo,
) -> CuResult {
    let process = process()?;
    let known = find(process, graph_exec)?;
    wanted(result_info)?;
    let asked = question(0, graph_exec.0, graph.0);
    let reply = process
        .session
        .call(issue(op::cuGraphExecUpdate_v2), &asked)?;
    let mut answer = reply.body()?;
    let broken = |error| process.session.broken(&error);
    let made: GraphMade = answer.get().map_err(broken)?;
    known.learn(&made, &mut answer).map_err(broken)?;
    Out(result_info).write(CuGraphExecUpdateResultInfo {
        result: made.result,
        error_node: CuGraphNode(made.error_node),
        error_from_node: CuGraphNode(made.error_from_node),
    })?;
    CuError::check(made.status)
}

pub(crate) fn cuGraphNodeSetEnabled(
    graph_exec: CuGraphExec,
    node: CuGraphNode,
    is_enabled: u32,
) -> CuResult {
    let process = process()?;
    let known = find(process, graph_exec)?;
    let asked = question(u32::from(is_enabled != 0), graph_exec.0, node.0);
    let reply = process
        .session
        .call(issue(op::cuGraphNodeSetEnabled), &asked)?;
    let mut answer = reply.body()?;
    let broken = |error| process.session.broken(&error);
    let made: GraphMade = answer.get().map_err(broken)?;
    known.learn(&made, &mut answer).map_err(broken)
}

pub(crate) fn cuGraphUpload(graph_exec: CuGraphExec, stream: CuStream) -> CuResult {
    let process = process()?;
    find(process, graph_exec)?;
    let target = target(process, stream)?;
    let asked = question(0, graph_exec.0, target.handle);
    let issue = target.issue(op::cuGraphUpload);
    process.session.call(issue, &asked)?.check()
}

// ------------------------------------------------------------------------------- launched

pub(crate) fn cuGraphLaunch(graph_exec: CuGraphExec, stream: CuStream) -> CuResult {
    let process = process()?;
    let known = find(process, graph_exec)?;
    let target = target(process, stream)?;
    let uses = Arc::clone(&lock(&known.uses));
    let is_captured = process.session.is_capturing() && capture::is_captured(process, &target);
    if uses.is_empty() || is_captured {
        return launch(process, graph_exec, &target, &[]);
    }
    process.session.check_context(target.context)?;
    let is_read = |part: &&GraphUse| part.access == READ;
    // What is read may be what earlier work writes to, or what a function does that the stream has
    // not come to: then it is read when the stream gets there.
    let is_behind = is_behind(process, &target);
    for part in uses.iter().filter(is_read) {
        let landings = process.session.landings();
        let is_target = landings.is_pending(part.address, part.len);
        // What is sent may have to wait for room, which comes with landings.
        drop(landings);
        if is_behind || is_target {
            upload_late(process, graph_exec, &target, part)?;
        } else {
            upload(process, graph_exec, &target, part)?;
        }
    }
    let written: Vec<GraphLanding> = uses
        .iter()
        .filter(|part| part.access == WRITTEN)
        .map(|part| enter(process, part))
        .collect();
    let launched = launch(process, graph_exec, &target, &written);
    if launched.is_err() {
        for landing in &written {
            process.session.landings().give_up(landing.landing);
        }
    }
    launched?;
    if uses.iter().any(|part| part.access == CALLS) {
        // Functions may write what later copies read.
        crate::hand::mark(process, &target)?;
    }
    Ok(())
}

fn launch(
    process: &Process,
    exec: CuGraphExec,
    stream: &Target,
    landings: &[GraphLanding],
) -> CuResult {
    stream.post(process, op::cuGraphLaunch, |record| {
        record.put(&GraphLaunch {
            exec: exec.0,
            stream: stream.handle,
            landings: landings.len() as u64,
        });
        landings.iter().for_each(|landing| record.put(landing));
        Ok(())
    })
}

fn enter(process: &Process, part: &GraphUse) -> GraphLanding {
    // SAFETY: the graph copies to this memory, so the application keeps it until it knows the
    // launch to be over, which no reply tells before the bytes are in; pinned memory is not given
    // back while a landing in it is pending.
    let landing = unsafe { Landing::new(crate::hand::address(part.address), part.len) };
    GraphLanding {
        address: part.address,
        len: part.len,
        landing: process.session.landings().enter(landing),
        mirror: u64::from(part.mirror),
    }
}

/// Has the worker ask for what a source of the graph holds when the stream comes to the launch.
fn upload_late(process: &Process, exec: CuGraphExec, stream: &Target, part: &GraphUse) -> CuResult {
    for offset in (0..part.len).step_by(CHUNK_LEN) {
        let (address, len) = (
            part.address + offset,
            (part.len - offset).min(CHUNK_LEN as u64),
        );
        let packed = Source::packed(address, usize::try_from(len).map_err(|_| BAD)?);
        post_late(process, stream, packed, |number| {
            stream.post(process, session::GRAPH_BYTES, |record| {
                record.put(&GraphBytes {
                    exec: exec.0,
                    stream: stream.handle,
                    address,
                    len,
                    position: number,
                    inline: source::LATE,
                    mirror: part.mirror,
                });
                Ok(())
            })
        })?;
    }
    Ok(())
}

/// Sends what a source of the graph holds now.
fn upload(process: &Process, exec: CuGraphExec, stream: &Target, part: &GraphUse) -> CuResult {
    let source = crate::hand::address(part.address);
    let len = usize::try_from(part.len).map_err(|_| BAD)?;
    // SAFETY: the graph copies from this memory, so the application keeps it while it launches;
    // nobody is told to change it meanwhile.
    let bytes = unsafe { ptr::slice_from_raw_parts(source.cast_const(), len).as_ref() };
    let bytes = bytes.ok_or(BAD)?;
    let mut asked = GraphBytes {
        exec: exec.0,
        stream: stream.handle,
        address: part.address,
        len: part.len,
        mirror: part.mirror,
        ..GraphBytes::default()
    };
    if len <= INLINE_LEN_MAX {
        asked.inline = 1;
        return stream.post(process, session::GRAPH_BYTES, |record| {
            record.put(&asked);
            record.raw(bytes);
            Ok(())
        });
    }
    for piece in bytes.chunks(CHUNK_LEN) {
        asked.len = piece.len() as u64;
        asked.position = process.session.stage(piece)?;
        stream.post(process, session::GRAPH_BYTES, |record| {
            record.put(&asked);
            Ok(())
        })?;
        asked.address += asked.len;
    }
    Ok(())
}

/// Access of a [`GraphUse`].
const READ: u32 = 1;
const WRITTEN: u32 = 2;
const CALLS: u32 = 4;
/// `CUgraphInstantiate_flags`.
const FLAGS: u64 = 15;
const UPLOAD: u64 = 2;
const DEVICE_LAUNCH: u64 = 4;
/// `CUDA_GRAPH_INSTANTIATE_ERROR`.
const INSTANTIATE_ERROR: u32 = 1;
