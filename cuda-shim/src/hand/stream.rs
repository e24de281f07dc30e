//! Streams: handles of the client, and which stream a stream argument means.

#![expect(non_snake_case, reason = "CUDA's own names keep CUDA's spelling")]

use std::sync::Arc;

use flexdirect_wire::abi::{CuError, CuEvent, CuResult, CuStream, Out};
use flexdirect_wire::body::Create;
use flexdirect_wire::call::{Op, op};
use flexdirect_wire::param::Param;
use flexdirect_wire::record::Writer;

use super::{hostfn, one, wanted};
use crate::objects::Stream;
use crate::process::{Here, Process, body, here, process};
use crate::session::{Issue, Reply};
use crate::thread;

/// A stream as records name it: 0 is the legacy default stream of the record's context.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    pub(crate) handle: u64,
    /// Context of the stream.
    pub(crate) context: u64,
    lane: u16,
}

impl Target {
    /// Submits a posted record on the stream's device, in its context.
    pub(crate) fn post(
        &self,
        process: &Process,
        op: Op,
        write: impl FnOnce(&mut Writer<'_>) -> CuResult,
    ) -> CuResult {
        process.session.post(self.issue(op), &body(write)?)
    }

    /// Submits an awaited record on the stream's device, in its context, and waits for its reply.
    pub(crate) fn call(
        &self,
        process: &Process,
        op: Op,
        write: impl FnOnce(&mut Writer<'_>) -> CuResult,
    ) -> Result<Reply, CuError> {
        process.session.call(self.issue(op), &body(write)?)
    }

    /// A stream that is an object.
    fn of(process: &Process, stream: CuStream) -> Result<Self, CuError> {
        let found = process
            .streams
            .find(stream.0)
            .ok_or(CuError::INVALID_HANDLE)?;
        Ok(Self {
            handle: stream.0,
            context: found.context,
            lane: found.lane,
        })
    }

    pub(crate) fn issue(&self, op: Op) -> Issue {
        Issue {
            op,
            lane: self.lane,
            context: self.context,
        }
    }
}

/// The stream that an argument means. A special stream is one of the current context; any other
/// has its own.
///
/// # Errors
/// `INVALID_HANDLE` for a stream that is none; those of [`here`] for a special stream.
pub(crate) fn target(process: &Process, stream: CuStream) -> Result<Target, CuError> {
    if stream.0 > CuStream::PER_THREAD.0 {
        return Target::of(process, stream);
    }
    let here = here()?;
    let handle = if thread::is_per_thread(stream) {
        default_stream(&here)?
    } else {
        0
    };
    Ok(Target {
        handle,
        context: here.context.handle,
        lane: here.context.lane,
    })
}

/// The calling thread's default stream, made at its first use.
fn default_stream(here: &Here) -> Result<u64, CuError> {
    let context = here.context.handle;
    if let Some(stream) = thread::default_stream(context)
        && here.process.streams.find(stream).is_some()
    {
        return Ok(stream);
    }
    let stream = create(here, 0, 0)?;
    thread::set_default_stream(context, stream);
    Ok(stream)
}

/// Gives the default stream of an ending thread back.
pub(crate) fn end_default_stream(context: u64, stream: u64) {
    let Ok(process) = process() else {
        return;
    };
    if let Some(found) = process.streams.remove(stream) {
        let issue = Issue {
            op: op::cuStreamDestroy_v2,
            lane: found.lane,
            context,
        };
        // A session that is dead has no streams.
        let _ = process.session.post(issue, &one(stream));
    }
}

pub(crate) fn cuStreamCreate(stream: Out<CuStream>, flags: u32) -> CuResult {
    cuStreamCreateWithPriority(stream, flags, 0)
}

pub(crate) fn cuStreamCreateWithPriority(
    stream: Out<CuStream>,
    flags: u32,
    priority: i32,
) -> CuResult {
    let here = here()?;
    wanted(stream.is_null())?;
    if flags > NON_BLOCKING {
        return Err(CuError::INVALID_VALUE);
    }
    stream.write(CuStream(create(&here, flags, priority)?))
}

fn create(here: &Here, flags: u32, priority: i32) -> Result<u64, CuError> {
    let (least, greatest) = here.device().priorities;
    let priority = priority.max(greatest).min(least);
    let stream = Stream::new(&here.context, flags, priority);
    let handle = here.process.streams.insert(Arc::new(stream))?;
    here.post(op::cuStreamCreateWithPriority, |record| {
        record.put(&Create {
            handle,
            flags,
            priority,
        });
        Ok(())
    })
    .inspect_err(|_| {
        here.process.streams.remove(handle);
    })?;
    Ok(handle)
}

pub(crate) fn cuStreamDestroy_v2(stream: CuStream) -> CuResult {
    let process = process()?;
    let target = Target::of(process, stream)?;
    process.session.check_context(target.context)?;
    process
        .streams
        .remove(stream.0)
        .ok_or(CuError::INVALID_HANDLE)?;
    let destroyed = process
        .session
        .post(target.issue(op::cuStreamDestroy_v2), &one(stream.0));
    crate::graph::forget(process, |captured| captured.handle == stream.0);
    destroyed
}

pub(crate) fn cuStreamSynchronize(stream: CuStream) -> CuResult {
    about(stream, op::cuStreamSynchronize)
}

pub(crate) fn cuStreamQuery(stream: CuStream) -> CuResult {
    about(stream, op::cuStreamQuery)
}

fn about(stream: CuStream, op: Op) -> CuResult {
    let process = process()?;
    ask(process, target(process, stream)?, op)
}

/// Waits for a stream.
pub(crate) fn synchronise(process: &Process, stream: Target) -> CuResult {
    ask(process, stream, op::cuStreamSynchronize)
}

fn ask(process: &Process, stream: Target, op: Op) -> CuResult {
    process
        .session
        .call(stream.issue(op), &one(stream.handle))?
        .check()
}

pub(crate) fn cuStreamWaitEvent(stream: CuStream, event: CuEvent, flags: u32) -> CuResult {
    let process = process()?;
    let target = target(process, stream)?;
    let found = process
        .events
        .find(event.0)
        .ok_or(CuError::INVALID_HANDLE)?;
    if flags > 1 {
        return Err(CuError::INVALID_VALUE);
    }
    if found.pending().is_none() && !process.session.is_capturing() {
        return Ok(());
    }
    hostfn::come_after(process, &target, found.after.number());
    target.post(process, op::cuStreamWaitEvent, |record| {
        CuStream(target.handle).send(record)?;
        event.send(record)?;
        flags.send(record)
    })
}

/// `CU_STREAM_NON_BLOCKING`, the only flag.
pub(super) const NON_BLOCKING: u32 = 1;
