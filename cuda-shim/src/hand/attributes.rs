//! Attributes of streams, and events of whole contexts.

#![expect(non_snake_case, reason = "CUDA's own names keep CUDA's spelling")]

use std::sync::Arc;
use std::sync::atomic::Ordering;

use flexdirect_wire::abi::{
    CuContext, CuError, CuEvent, CuResult, CuStream, CuStreamAttrID, CuStreamAttrValue, InOut, Out,
};
use flexdirect_wire::call::{Op, op};

use super::one;
use super::stream::{Target, target};
use crate::objects::Context;
use crate::process::{Process, here, process};
use crate::session::Issue;

pub(crate) fn cuStreamGetAttribute(
    stream: CuStream,
    attr: CuStreamAttrID,
    value_out: Out<CuStreamAttrValue>,
) -> CuResult {
    let process = process()?;
    let target = target(process, stream)?;
    super::wanted(value_out.is_null())?;
    value_out.write(attribute(process, &target, attr)?)
}

fn attribute(
    process: &Process,
    target: &Target,
    attr: CuStreamAttrID,
) -> Result<CuStreamAttrValue, CuError> {
    let reply = target.call(process, op::cuStreamGetAttribute, |record| {
        record.u64(target.handle);
        record.u64(u64::from(attr.0));
        Ok(())
    })?;
    let words = reply.body()?.get::<[u64; 8]>();
    let words = words.map_err(|error| process.session.broken(&error))?;
    Ok(CuStreamAttrValue { words })
}

pub(crate) fn cuStreamSetAttribute(
    stream: CuStream,
    attr: CuStreamAttrID,
    value: *const CuStreamAttrValue,
) -> CuResult {
    let process = process()?;
    let target = target(process, stream)?;
    let value = InOut(value.cast_mut()).read()?;
    let reply = target.call(process, op::cuStreamSetAttribute, |record| {
        record.u64(target.handle);
        record.u64(u64::from(attr.0));
        record.put(&value.words);
        Ok(())
    })?;
    reply.check()?;
    if attr == PRIORITY {
        know_priority(process, &target, &value);
    }
    Ok(())
}

pub(crate) fn cuStreamCopyAttributes(dst: CuStream, src: CuStream) -> CuResult {
    let process = process()?;
    let (to, from) = (target(process, dst)?, target(process, src)?);
    let reply = to.call(process, op::cuStreamCopyAttributes, |record| {
        record.u64(to.handle);
        record.u64(from.handle);
        record.u64(from.context);
        Ok(())
    })?;
    reply.check()?;
    // What it is now the driver knows.
    if let Ok(value) = attribute(process, &to, PRIORITY) {
        know_priority(process, &to, &value);
    }
    Ok(())
}

/// The priority is told without asking.
fn know_priority(process: &Process, target: &Target, value: &CuStreamAttrValue) {
    if let Some(stream) = process.streams.find(target.handle) {
        let [a, b, c, d, ..] = value.words[0].to_le_bytes();
        let priority = i32::from_le_bytes([a, b, c, d]);
        stream.priority.store(priority, Ordering::Relaxed);
    }
}

pub(crate) fn cuCtxRecordEvent(ctx: CuContext, event: CuEvent) -> CuResult {
    let (process, context) = named(ctx)?;
    let found = process
        .events
        .find(event.0)
        .ok_or(CuError::INVALID_HANDLE)?;
    if found.context != context.handle {
        return Err(CuError::INVALID_HANDLE);
    }
    about(process, &context, op::cuCtxRecordEvent, event)?;
    found.after.raise(process.session.hostfns().last());
    found.record();
    Ok(())
}

pub(crate) fn cuCtxWaitEvent(ctx: CuContext, event: CuEvent) -> CuResult {
    let (process, context) = named(ctx)?;
    let found = process
        .events
        .find(event.0)
        .ok_or(CuError::INVALID_HANDLE)?;
    if found.pending().is_none() {
        return Ok(());
    }
    let hostfns = process.session.hostfns();
    hostfns.after_everywhere.raise(found.after.number());
    about(process, &context, op::cuCtxWaitEvent, event)
}

/// The context that a call names, or the calling thread's.
fn named(ctx: CuContext) -> Result<(&'static Process, Arc<Context>), CuError> {
    if ctx.is_null() {
        let here = here()?;
        return Ok((here.process, here.context));
    }
    let process = process()?;
    let context = process.context(ctx.0)?;
    context.check()?;
    Ok((process, context))
}

fn about(process: &Process, context: &Context, op: Op, event: CuEvent) -> CuResult {
    let issue = Issue {
        op,
        lane: context.lane,
        context: context.handle,
    };
    process.session.call(issue, &one(event.0))?.check()
}

/// `CU_LAUNCH_ATTRIBUTE_PRIORITY`.
const PRIORITY: CuStreamAttrID = CuStreamAttrID(8);
