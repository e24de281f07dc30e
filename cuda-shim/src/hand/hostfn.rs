//! Host functions and callbacks of streams, and what copies behind them must wait for.
//!
//! A copy reads its source at the call where nothing can write it later; else when the stream gets
//! there ([`Reading::Late`]), for which the worker asks. So that a copy knows, each stream has the
//! newest host function that it comes after ([`After`](crate::objects::After)): its own, those of
//! events that it waits for, and, where streams wait for each other by way of the default stream,
//! those of the whole context.

#![expect(non_snake_case, reason = "CUDA's own names keep CUDA's spelling")]

use std::ffi::c_void;

use flexdirect_wire::abi::{CuError, CuHostFn, CuResult, CuStream, CuStreamCallback};
use flexdirect_wire::body::HostFunction;
use flexdirect_wire::call::{Op, op};

use super::stream::{NON_BLOCKING, Target, target};
use crate::graph;
use crate::process::{Process, process};
use crate::session::hostfn::{Source, Task};

pub(crate) fn cuLaunchHostFunc(
    stream: CuStream,
    function: CuHostFn,
    user_data: *mut c_void,
) -> CuResult {
    let process = process()?;
    let target = target(process, stream)?;
    if function.0 == 0 {
        return Err(CuError::INVALID_VALUE);
    }
    let data = user_data.expose_provenance();
    let task = Task::Function { function, data };
    post(process, &target, op::cuLaunchHostFunc, task)
}

pub(crate) fn cuStreamAddCallback(
    stream: CuStream,
    callback: CuStreamCallback,
    user_data: *mut c_void,
    flags: u32,
) -> CuResult {
    let process = process()?;
    let target = target(process, stream)?;
    if callback.0 == 0 || flags != 0 {
        return Err(CuError::INVALID_VALUE);
    }
    let task = Task::Callback {
        callback,
        stream,
        data: user_data.expose_provenance(),
    };
    post(process, &target, op::cuStreamAddCallback, task)
}

/// Puts a task on a stream: what comes after it there waits for it.
fn post(process: &Process, target: &Target, op: Op, task: Task) -> CuResult {
    let hostfns = process.session.hostfns();
    // A node of a graph is run by every launch of it, as long as its context lives.
    let is_many = is_captured(process, target);
    let number = if is_many {
        hostfns.enter_many(&process.session, task, target.context)?
    } else {
        hostfns.enter(&process.session, task, target.context)?
    };
    if !is_many {
        come_after(process, target, number);
    }
    let posted = target.post(process, op, |record| {
        record.put(&HostFunction {
            stream: target.handle,
            number,
            is_many: u32::from(is_many),
            reserved: 0,
        });
        Ok(())
    });
    posted.inspect_err(|_| hostfns.withdraw(number))
}

fn is_captured(process: &Process, target: &Target) -> bool {
    process.session.is_capturing() && graph::is_captured(process, target)
}

/// A mark behind work during which the host may write memory, such as a wait for a value: copies
/// that come after it read their sources late until the stream has passed it.
pub(crate) fn mark(process: &Process, target: &Target) -> CuResult {
    if is_captured(process, target) {
        return Ok(());
    }
    post(process, target, op::cuLaunchHostFunc, Task::Mark)
}

/// The newest host function that work on a stream comes after, or 0.
pub(super) fn after(process: &Process, target: &Target) -> u64 {
    let everywhere = process.session.hostfns().after_everywhere.number();
    let own = with_order(process, target, crate::objects::After::number);
    own.unwrap_or(0).max(everywhere)
}

/// Whether work on a stream comes behind a function that may not have ended.
pub(crate) fn is_behind(process: &Process, target: &Target) -> bool {
    let hostfns = process.session.hostfns();
    hostfns.is_pending(|| after(process, target))
}

/// Notes that work on a stream comes after a host function.
pub(super) fn come_after(process: &Process, target: &Target, number: u64) {
    if with_order(process, target, |after| after.raise(number)).is_none() {
        process.session.hostfns().after_everywhere.raise(number);
    }
}

/// The order that a stream takes part in: its own, or that of its context if it blocks.
fn with_order<T>(
    process: &Process,
    target: &Target,
    act: impl FnOnce(&crate::objects::After) -> T,
) -> Option<T> {
    let stream = process.streams.find(target.handle);
    match stream {
        Some(stream) if stream.flags & NON_BLOCKING != 0 => Some(act(&stream.after)),
        _ => {
            let context = process.context(target.context).ok()?;
            Some(act(&context.after))
        }
    }
}

/// When a copy to the device reads its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// At the call.
    Now,
    /// At the call, once its stream has done what it has: as CUDA does with memory that is not
    /// pinned.
    Synchronised,
    /// When the stream gets there.
    Late,
}

/// When a copy on a stream reads its source.
pub(super) fn reading(
    process: &Process,
    target: &Target,
    source: &Source,
    is_async: bool,
) -> Reading {
    let (start, reach) = (source.start, source.reach());
    let session = &process.session;
    // The source may be what an earlier copy writes to: the stream comes to this one after it.
    let is_target = session.landings().is_pending(start, reach);
    let is_behind = is_behind(process, target);
    if !is_target && !is_behind {
        return Reading::Now;
    }
    if is_async && is_behind && process.ranges().is_pinned(start, reach) {
        return Reading::Late;
    }
    // A short source that is not pinned is read at the call.
    if is_async && !is_target && reach <= STAGED_LEN_MAX {
        return Reading::Now;
    }
    Reading::Synchronised
}

/// Posts a copy whose source is read when the stream gets there, under the number that `post` is
/// given.
pub(crate) fn post_late(
    process: &Process,
    target: &Target,
    source: Source,
    post: impl FnOnce(u64) -> CuResult,
) -> CuResult {
    let hostfns = process.session.hostfns();
    let number = hostfns.enter(&process.session, Task::Source(source), target.context)?;
    post(number).inspect_err(|_| hostfns.withdraw(number))
}

/// Longest source that is not pinned and that an asynchronous copy reads at the call (CUDA Driver
/// API, API synchronization behavior).
const STAGED_LEN_MAX: u64 = 64 << 10;
