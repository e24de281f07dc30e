//! Contexts without traffic: the thread's stack and what is known of each context.

#![expect(non_snake_case, reason = "CUDA's own names keep CUDA's spelling")]

use std::sync::Arc;
use std::sync::atomic::Ordering;

use flexdirect_wire::abi::{CuContext, CuDevice, CuError, CuResult, Out};

use crate::objects::Context;
use crate::process::{here, process};
use crate::{devices, hand, thread};

pub(crate) fn cuCtxPushCurrent_v2(ctx: CuContext) -> CuResult {
    thread::push(process()?.context(ctx.0)?);
    Ok(())
}

pub(crate) fn cuCtxPopCurrent_v2(pctx: Out<CuContext>) -> CuResult {
    process()?;
    let popped = thread::pop().ok_or(CuError::INVALID_CONTEXT)?;
    if pctx.is_null() {
        return Ok(());
    }
    pctx.write(CuContext(popped.handle))
}

pub(crate) fn cuCtxSetCurrent(ctx: CuContext) -> CuResult {
    let process = process()?;
    let context = if ctx.is_null() {
        None
    } else {
        Some(process.context(ctx.0)?)
    };
    thread::replace(context);
    Ok(())
}

pub(crate) fn cuCtxGetCurrent(pctx: Out<CuContext>) -> CuResult {
    process()?;
    pctx.write(CuContext(
        thread::current().map_or(0, |context| context.handle),
    ))
}

pub(crate) fn cuCtxGetDevice(device: Out<CuDevice>) -> CuResult {
    cuCtxGetDevice_v2(device, CuContext(0))
}

pub(crate) fn cuCtxGetDevice_v2(device: Out<CuDevice>, ctx: CuContext) -> CuResult {
    let context = named_or_current(ctx)?;
    device.write(CuDevice(
        i32::try_from(context.ordinal).expect("at most DEVICES_MAX"),
    ))
}

pub(crate) fn cuCtxGetFlags(flags: Out<u32>) -> CuResult {
    flags.write(here()?.context.flags.load(Ordering::Relaxed))
}

pub(crate) fn cuCtxSetFlags(flags: u32) -> CuResult {
    let here = here()?;
    hand::check_flags(flags)?;
    here.context.flags.store(flags, Ordering::Relaxed);
    Ok(())
}

/// Uses the current context once more (deprecated).
pub(crate) fn cuCtxAttach(pctx: Out<CuContext>, flags: u32) -> CuResult {
    let here = here()?;
    if pctx.is_null() || flags != 0 {
        return Err(CuError::INVALID_VALUE);
    }
    *here.context.retained() += 1;
    pctx.write(CuContext(here.context.handle))
}

/// Undoes one use of the current context (deprecated): the last ends it.
pub(crate) fn cuCtxDetach(ctx: CuContext) -> CuResult {
    let process = process()?;
    let context = process.context(ctx.0)?;
    if thread::current().is_none_or(|top| top.handle != ctx.0) {
        return Err(CuError::INVALID_CONTEXT);
    }
    if process.contexts.find(ctx.0).is_none() {
        let ordinal = i32::try_from(context.ordinal).expect("at most DEVICES_MAX");
        return hand::cuDevicePrimaryCtxRelease_v2(CuDevice(ordinal));
    }
    let mut attached = context.retained();
    if let Some(others) = attached.checked_sub(1) {
        *attached = others;
        return Ok(());
    }
    drop(attached);
    hand::cuCtxDestroy_v2(ctx)
}

pub(crate) fn cuCtxGetId(ctx: CuContext, ctx_id: Out<u64>) -> CuResult {
    ctx_id.write(named_or_current(ctx)?.id)
}

pub(crate) fn cuCtxGetApiVersion(ctx: CuContext, version: Out<u32>) -> CuResult {
    named_or_current(ctx)?;
    version.write(API_VERSION)
}

pub(crate) fn cuCtxGetStreamPriorityRange(
    least_priority: Out<i32>,
    greatest_priority: Out<i32>,
) -> CuResult {
    let (least, greatest) = here()?.device().priorities;
    if !least_priority.is_null() {
        least_priority.write(least)?;
    }
    if !greatest_priority.is_null() {
        greatest_priority.write(greatest)?;
    }
    Ok(())
}

pub(crate) fn cuDevicePrimaryCtxRelease_v2(dev: CuDevice) -> CuResult {
    hand::cuDevicePrimaryCtxRelease_v2(dev)
}

pub(crate) fn cuDevicePrimaryCtxRelease(dev: CuDevice) -> CuResult {
    cuDevicePrimaryCtxRelease_v2(dev)
}

pub(crate) fn cuDevicePrimaryCtxSetFlags_v2(dev: CuDevice, flags: u32) -> CuResult {
    let process = process()?;
    let (ordinal, _) = devices::find(&process.devices, dev)?;
    hand::check_flags(flags)?;
    process.primaries[ordinal]
        .flags
        .store(flags, Ordering::Relaxed);
    Ok(())
}

pub(crate) fn cuDevicePrimaryCtxSetFlags(dev: CuDevice, flags: u32) -> CuResult {
    cuDevicePrimaryCtxSetFlags_v2(dev, flags)
}

pub(crate) fn cuDevicePrimaryCtxGetState(
    dev: CuDevice,
    flags: Out<u32>,
    active: Out<i32>,
) -> CuResult {
    let process = process()?;
    let (ordinal, _) = devices::find(&process.devices, dev)?;
    let context = &process.primaries[ordinal];
    flags.write(context.flags.load(Ordering::Relaxed))?;
    active.write(i32::from(context.check().is_ok()))
}

/// The context of a handle, or the calling thread's for a null one.
fn named_or_current(ctx: CuContext) -> Result<Arc<Context>, CuError> {
    let process = process()?;
    if ctx.is_null() {
        return thread::current().ok_or(CuError::INVALID_CONTEXT);
    }
    process.context(ctx.0)
}

/// Version of the context interface that all of today's calls create.
const API_VERSION: u32 = 3020;
