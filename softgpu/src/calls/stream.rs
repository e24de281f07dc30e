//! Streams.

use std::sync::Arc;

use flexdirect_wire::abi::*;

use super::context::PRIORITY_GREATEST;
use super::not_null;
use crate::capture;
use crate::context::{self, Context, next_id};
use crate::driver::{self, EVENTS, STREAMS};
use crate::event::Moment;
use crate::raw::lock;
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
    capture::stream_destroyed(&removed);
    // What it has still to do is done; nobody waits for it here.
    removed.close();
    Ok(())
}

pub(crate) fn cuStreamQuery(stream: CuStream) -> CuResult {
    let (context, stream) = context::stream(stream)?;
    capture::refuse(&context, &stream)?;
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
    if capture::wait(&stream, &event, flags == WAIT_EXTERNAL)? {
        return Ok(());
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
    let (_, stream) = context::stream(stream)?;
    let set = lock(&stream.attributes).get(&PRIORITY_ATTRIBUTE).copied();
    let low = |value: CuStreamAttrValue| {
        let [a, b, c, d, ..] = value.words[0].to_le_bytes();
        u32::from_le_bytes([a, b, c, d])
    };
    priority.write(set.map_or(stream.priority, |value| low(value).cast_signed()))
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

pub(crate) fn cuStreamGetCtx_v2(
    stream: CuStream,
    ctx: Out<CuContext>,
    green_ctx: OptOut<CuGreenCtx>,
) -> CuResult {
    cuStreamGetCtx(stream, ctx)?;
    // Streams of green contexts do not exist here.
    green_ctx.write(CuGreenCtx(0));
    Ok(())
}

/// All memory may be used from everywhere at any time here: only the arguments are checked.
pub(crate) fn cuStreamAttachMemAsync(
    stream: CuStream,
    dptr: CuDevicePtr,
    _length: usize,
    flags: u32,
) -> CuResult {
    let (_, found) = context::stream(stream)?;
    let is_one = [ATTACH_GLOBAL, ATTACH_HOST, ATTACH_SINGLE].contains(&flags);
    let is_default = found.handle == CuStream::LEGACY || found.handle == CuStream::PER_THREAD;
    if !is_one || super::memory::range(dptr.0).is_none() || (flags == ATTACH_SINGLE && is_default) {
        return Err(CuError::INVALID_VALUE);
    }
    Ok(())
}

pub(crate) fn cuCtxRecordEvent(ctx: CuContext, event: CuEvent) -> CuResult {
    let context = named(ctx)?;
    let event = EVENTS.find(event.0).ok_or(CuError::INVALID_HANDLE)?;
    if event.context != context.id {
        return Err(CuError::INVALID_HANDLE);
    }
    let moment = Arc::new(Moment::default());
    context.submit_after_all(Work::Record(Arc::clone(&moment)))?;
    event.set_latest(moment);
    Ok(())
}

pub(crate) fn cuCtxWaitEvent(ctx: CuContext, event: CuEvent) -> CuResult {
    let context = named(ctx)?;
    let event = EVENTS.find(event.0).ok_or(CuError::INVALID_HANDLE)?;
    if let Some(moment) = event.latest() {
        context.hold_back(moment);
    }
    Ok(())
}

fn named(ctx: CuContext) -> Result<Arc<Context>, CuError> {
    if ctx.is_null() {
        return context::current();
    }
    let context = context::find(ctx)?;
    context.check()?;
    Ok(context)
}

/// CUmemAttach_flags.
const ATTACH_GLOBAL: u32 = 1;
const ATTACH_HOST: u32 = 2;
const ATTACH_SINGLE: u32 = 4;
/// CU_LAUNCH_ATTRIBUTE_PRIORITY.
const PRIORITY_ATTRIBUTE: u32 = 8;
/// CU_STREAM_NON_BLOCKING.
const NON_BLOCKING: u32 = 1;
/// CU_EVENT_WAIT_EXTERNAL: a node of a capture instead of a dependency.
const WAIT_EXTERNAL: u32 = 1;
