//! Streams.

use std::sync::Arc;

use flexdirect_wire::abi::*;

use super::context::PRIORITY_GREATEST;
use super::not_null;
use crate::context::{self, next_id};
use crate::driver::{self, EVENTS, STREAMS};
use crate::stream::{Kind, Stream, Wait, Work};

pub(crate) fn cuStreamCreate(stream: Out<CuStream>, flags: u32) -> CuResult {
    cuStreamCreateWithPriority(stream, flags, 0)
}

pub(crate) fn cuStreamCreateWithPriority(
    stream: Out<CuStream>,
    flags: u32,
    priority: i32,
) -> CuResult {
    not_null(stream)?;
    let context = context::current()?;
    let kind = match flags {
        0 => Kind::Blocking,
        NON_BLOCKING => Kind::NonBlocking,
        _ => return Err(CuError::INVALID_VALUE),
    };
    let priority = priority.clamp(PRIORITY_GREATEST, 0);
    let made = STREAMS.insert(|handle| {
        let weak = Arc::downgrade(&context);
        Stream::new(CuStream(handle), next_id(), kind, priority, weak)
    });
    context.adopt(Arc::clone(&made));
    stream.write(made.handle)
}

pub(crate) fn cuStreamDestroy_v2(stream: CuStream) -> CuResult {
    driver::check()?;
    let found = STREAMS.find(stream.0).ok_or(CuError::INVALID_HANDLE)?;
    if let Some(context) = found.context.upgrade() {
        context.check()?;
    }
    let removed = STREAMS.remove(stream.0).ok_or(CuError::INVALID_HANDLE)?;
    // What it has still to do is done; nobody waits for it here.
    removed.close();
    Ok(())
}

pub(crate) fn cuStreamQuery(stream: CuStream) -> CuResult {
    let (context, stream) = context::stream(stream)?;
    if context.is_idle(&stream) {
        return context.synchronize_stream(&stream);
    }
    Err(CuError::NOT_READY)
}

pub(crate) fn cuStreamSynchronize(stream: CuStream) -> CuResult {
    let (context, stream) = context::stream(stream)?;
    context.synchronize_stream(&stream)
}

pub(crate) fn cuStreamWaitEvent(stream: CuStream, event: CuEvent, flags: u32) -> CuResult {
    let (context, stream) = context::stream(stream)?;
    let event = EVENTS.find(event.0).ok_or(CuError::INVALID_HANDLE)?;
    if flags > WAIT_EXTERNAL {
        return Err(CuError::INVALID_VALUE);
    }
    match event.latest() {
        Some(moment) if moment.reached().is_none() => {
            context.submit(&stream, Some(Wait::Moment(moment)), Work::Nothing)
        }
        // An event that was never recorded, or is reached, holds nothing up.
        _ => Ok(()),
    }
}

pub(crate) fn cuStreamGetPriority(stream: CuStream, priority: Out<i32>) -> CuResult {
    not_null(priority)?;
    priority.write(context::stream(stream)?.1.priority)
}

pub(crate) fn cuStreamGetDevice(stream: CuStream, device: Out<CuDevice>) -> CuResult {
    not_null(device)?;
    let ordinal = context::stream(stream)?.0.device().ordinal;
    device.write(CuDevice(i32::try_from(ordinal).unwrap_or(i32::MAX)))
}

pub(crate) fn cuStreamGetFlags(stream: CuStream, flags: Out<u32>) -> CuResult {
    not_null(flags)?;
    let (_, stream) = context::stream(stream)?;
    flags.write(match stream.kind {
        Kind::NonBlocking => NON_BLOCKING,
        Kind::Blocking | Kind::Legacy => 0,
    })
}

pub(crate) fn cuStreamGetId(stream: CuStream, stream_id: Out<u64>) -> CuResult {
    not_null(stream_id)?;
    stream_id.write(context::stream(stream)?.1.id)
}

pub(crate) fn cuStreamGetCtx(stream: CuStream, pctx: Out<CuContext>) -> CuResult {
    not_null(pctx)?;
    pctx.write(context::stream(stream)?.0.handle)
}

// ------------------------------------------------------------------------------- capture: none

pub(crate) fn cuThreadExchangeStreamCaptureMode(mode: InOut<CuStreamCaptureMode>) -> CuResult {
    thread_local! {
        static MODE: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
    }
    if mode.read()?.0 > CAPTURE_MODE_MAX {
        return Err(CuError::INVALID_VALUE);
    }
    let before = MODE.get();
    MODE.set(mode.replace(CuStreamCaptureMode(before))?.0);
    Ok(())
}

pub(crate) fn cuStreamIsCapturing(
    stream: CuStream,
    capture_status: Out<CuStreamCaptureStatus>,
) -> CuResult {
    not_null(capture_status)?;
    context::stream(stream)?;
    capture_status.write(CuStreamCaptureStatus(0))
}

pub(crate) fn cuStreamGetCaptureInfo_v2(
    stream: CuStream,
    capture_status_out: Out<CuStreamCaptureStatus>,
    id_out: OptOut<u64>,
    _graph_out: *mut CuGraph,
    _dependencies_out: *mut *const CuGraphNode,
    _num_dependencies_out: *mut usize,
) -> CuResult {
    cuStreamIsCapturing(stream, capture_status_out)?;
    id_out.write(0);
    Ok(())
}

pub(crate) fn cuStreamGetCaptureInfo_v3(
    stream: CuStream,
    capture_status_out: Out<CuStreamCaptureStatus>,
    id_out: OptOut<u64>,
    graph_out: *mut CuGraph,
    dependencies_out: *mut *const CuGraphNode,
    _edge_data_out: *mut *const CuGraphEdgeData,
    num_dependencies_out: *mut usize,
) -> CuResult {
    cuStreamGetCaptureInfo_v2(
        stream,
        capture_status_out,
        id_out,
        graph_out,
        dependencies_out,
        num_dependencies_out,
    )
}

const CAPTURE_MODE_MAX: u32 = 2;
/// CU_STREAM_NON_BLOCKING.
const NON_BLOCKING: u32 = 1;
/// CU_EVENT_WAIT_EXTERNAL, which means something in captures only.
const WAIT_EXTERNAL: u32 = 1;
