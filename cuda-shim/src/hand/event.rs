//! Events: handles of the client, and what is known of them without asking.

#![expect(non_snake_case, reason = "CUDA's own names keep CUDA's spelling")]

use std::sync::Arc;

use flexdirect_wire::abi::{CuError, CuEvent, CuResult, CuStream, Out};
use flexdirect_wire::body::{Create, EventRecord};
use flexdirect_wire::call::{Op, op};

use super::stream::target;
use super::{hostfn, one, wanted};
use crate::objects::Event;
use crate::process::{Process, here, process};
use crate::session::Issue;

pub(crate) fn cuEventCreate(event: Out<CuEvent>, flags: u32) -> CuResult {
    let here = here()?;
    wanted(event.is_null())?;
    let is_shared = flags & INTERPROCESS != 0;
    if flags & !FLAGS != 0 || (is_shared && flags & DISABLE_TIMING == 0) {
        return Err(CuError::INVALID_VALUE);
    }
    if is_shared {
        return Err(CuError::NOT_SUPPORTED);
    }
    let handle = here
        .process
        .events
        .insert(Arc::new(Event::new(&here.context)))?;
    here.post(op::cuEventCreate, |record| {
        record.put(&Create {
            handle,
            flags,
            priority: 0,
        });
        Ok(())
    })
    .inspect_err(|_| {
        here.process.events.remove(handle);
    })?;
    event.write(CuEvent(handle))
}

pub(crate) fn cuEventDestroy_v2(event: CuEvent) -> CuResult {
    let process = process()?;
    let found = process
        .events
        .remove(event.0)
        .ok_or(CuError::INVALID_HANDLE)?;
    process
        .session
        .post(issue(&found, op::cuEventDestroy_v2), &one(event.0))
}

pub(crate) fn cuEventRecord(event: CuEvent, stream: CuStream) -> CuResult {
    cuEventRecordWithFlags(event, stream, 0)
}

pub(crate) fn cuEventRecordWithFlags(event: CuEvent, stream: CuStream, flags: u32) -> CuResult {
    let process = process()?;
    let target = target(process, stream)?;
    let found = process
        .events
        .find(event.0)
        .ok_or(CuError::INVALID_HANDLE)?;
    // The one flag there is means something in a capture only.
    let is_external = flags == EXTERNAL && process.session.is_capturing();
    if flags != 0 && !is_external {
        return Err(CuError::INVALID_VALUE);
    }
    if found.context != target.context {
        return Err(CuError::INVALID_HANDLE);
    }
    let op = if is_external {
        found.record_elsewhere();
        op::cuEventRecordWithFlags
    } else {
        op::cuEventRecord
    };
    target.post(process, op, |record| {
        record.put(&EventRecord {
            event: event.0,
            stream: target.handle,
            flags,
            reserved: 0,
        });
        Ok(())
    })?;
    found.after.raise(hostfn::after(process, &target));
    // Afterwards: what the worker says until then is about the recording before.
    found.record();
    Ok(())
}

pub(crate) fn cuEventQuery(event: CuEvent) -> CuResult {
    about(event, op::cuEventQuery)
}

pub(crate) fn cuEventSynchronize(event: CuEvent) -> CuResult {
    about(event, op::cuEventSynchronize)
}

fn about(event: CuEvent, op: Op) -> CuResult {
    let process: &Process = process()?;
    let found = process
        .events
        .find(event.0)
        .ok_or(CuError::INVALID_HANDLE)?;
    if process.session.is_capturing() {
        refuse_captured(process, &found, event)?;
    }
    let Some(recorded) = found.pending() else {
        return Ok(());
    };
    process
        .session
        .call(issue(&found, op), &one(event.0))?
        .check()?;
    found.finish(recorded);
    Ok(())
}

/// The errors of a question about an event while there are captures.
fn refuse_captured(process: &Process, found: &Event, event: CuEvent) -> CuResult {
    let asked = issue(found, op::cuEventQuery);
    match process.session.call(asked, &one(event.0))?.check() {
        Err(CuError::CAPTURED_EVENT) => Err(CuError::CAPTURED_EVENT),
        _ => crate::graph::refuse_unsafe(),
    }
}

fn issue(event: &Event, op: Op) -> Issue {
    Issue {
        op,
        lane: event.lane,
        context: event.context,
    }
}

/// `CU_EVENT_RECORD_EXTERNAL`: a node of a capture instead of a mark in it.
const EXTERNAL: u32 = 1;
/// `CU_EVENT_DISABLE_TIMING`.
const DISABLE_TIMING: u32 = 2;
/// `CU_EVENT_INTERPROCESS`.
const INTERPROCESS: u32 = 4;
/// These and `CU_EVENT_BLOCKING_SYNC`.
const FLAGS: u32 = 7;
