//! Events.

use std::sync::Arc;

use flexdirect_wire::abi::*;

use super::not_null;
use crate::capture;
use crate::context;
use crate::driver::{self, EVENTS};
use crate::event::{Event, FLAGS, Moment};
use crate::mempool;
use crate::stream::Work;

pub(crate) fn cuEventCreate(event: Out<CuEvent>, flags: u32) -> CuResult {
    not_null(event)?;
    let context = context::current()?;
    if flags & INTERPROCESS != 0 {
        return Err(CuError::NOT_SUPPORTED);
    }
    if flags & !FLAGS != 0 {
        return Err(CuError::INVALID_VALUE);
    }
    let made = EVENTS.insert(|handle| Event::new(CuEvent(handle), context.id, flags));
    event.write(made.handle)
}

pub(crate) fn cuEventRecord(event: CuEvent, stream: CuStream) -> CuResult {
    cuEventRecordWithFlags(event, stream, 0)
}

pub(crate) fn cuEventRecordWithFlags(event: CuEvent, stream: CuStream, flags: u32) -> CuResult {
    let (context, stream) = context::stream(stream)?;
    let event = EVENTS.find(event.0).ok_or(CuError::INVALID_HANDLE)?;
    let is_external = flags == RECORD_EXTERNAL && capture::of(&stream).is_some();
    if flags != 0 && !is_external {
        return Err(CuError::INVALID_VALUE);
    }
    if event.context != context.id {
        return Err(CuError::INVALID_HANDLE);
    }
    if capture::record(&stream, &event, is_external)? {
        return Ok(());
    }
    let moment = Arc::new(Moment::default());
    context.submit(&stream, None, Work::Record(Arc::clone(&moment)))?;
    event.set_latest(moment);
    Ok(())
}

pub(crate) fn cuEventQuery(event: CuEvent) -> CuResult {
    let event = find(event)?;
    capture::refuse_unsafe()?;
    if event
        .latest()
        .is_some_and(|moment| moment.reached().is_none())
    {
        return Err(CuError::NOT_READY);
    }
    fault(&event)
}

pub(crate) fn cuEventSynchronize(event: CuEvent) -> CuResult {
    let event = find(event)?;
    capture::refuse_unsafe()?;
    if let Some(moment) = event.latest() {
        moment.wait();
    }
    if let Some(context) = driver::context(event.context) {
        mempool::after_wait(context.device().ordinal);
        context.flush_prints();
    }
    fault(&event)
}

pub(crate) fn cuEventDestroy_v2(event: CuEvent) -> CuResult {
    driver::check()?;
    EVENTS.remove(event.0).ok_or(CuError::INVALID_HANDLE)?;
    Ok(())
}

pub(crate) fn cuEventElapsedTime_v2(
    milliseconds: Out<f32>,
    start: CuEvent,
    end: CuEvent,
) -> CuResult {
    not_null(milliseconds)?;
    let (start, end) = (find(start)?, find(end)?);
    milliseconds.write(start.elapsed_ms(&end)?)
}

pub(crate) fn cuEventElapsedTime(milliseconds: Out<f32>, start: CuEvent, end: CuEvent) -> CuResult {
    cuEventElapsedTime_v2(milliseconds, start, end)
}

/// An event whose context is not poisoned.
fn find(event: CuEvent) -> Result<Arc<Event>, CuError> {
    driver::check()?;
    let event = EVENTS.find(event.0).ok_or(CuError::INVALID_HANDLE)?;
    fault(&event)?;
    capture::refuse_event(&event)?;
    Ok(event)
}

fn fault(event: &Event) -> CuResult {
    driver::context(event.context).map_or(Ok(()), |context| context.fault())
}

/// CU_EVENT_RECORD_EXTERNAL: a node of a capture instead of a mark in it.
const RECORD_EXTERNAL: u32 = 1;
/// CU_EVENT_INTERPROCESS.
const INTERPROCESS: u32 = 4;
