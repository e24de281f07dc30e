//! Contexts: creation, destruction and waiting. The stack itself is the thread's.

#![expect(non_snake_case, reason = "CUDA's own names keep CUDA's spelling")]

use std::sync::{Arc, MutexGuard};

use flexdirect_driver_abi::tables::context_destroyed;
use flexdirect_wire::abi::{CuContext, CuCtxCreateParams, CuDevice, CuError, CuResult, InOut, Out};
use flexdirect_wire::body::{ContextCreate, One};
use flexdirect_wire::call::{Op, op};

use super::{one, wanted};
use crate::objects::Context;
use crate::process::{Process, body, here, process};
use crate::session::Issue;
use crate::{devices, thread};

pub(crate) fn cuDevicePrimaryCtxRetain(pctx: Out<CuContext>, dev: CuDevice) -> CuResult {
    let process = process()?;
    wanted(pctx.is_null())?;
    let (ordinal, device) = devices::find(&process.devices, dev)?;
    let context = &process.primaries[ordinal];
    // Held while it is made active, so that who comes second finds it so.
    let mut retained = context.retained();
    if context.check().is_err() {
        let flags = context.flags.load(std::sync::atomic::Ordering::Relaxed);
        let body = creation(device.lane, flags)?;
        let issue = without_context(op::cuDevicePrimaryCtxRetain, device.lane);
        process.session.call(issue, &body)?.made()?;
        context.set_active(true);
    }
    *retained += 1;
    pctx.write(CuContext(context.handle))
}

pub(crate) fn cuDevicePrimaryCtxReset_v2(dev: CuDevice) -> CuResult {
    let process = process()?;
    let (ordinal, device) = devices::find(&process.devices, dev)?;
    let context = &process.primaries[ordinal];
    let retained = context.retained();
    end_primary(process, context, device.lane, retained)
}

/// The last release ends what the context holds, as a reset does.
pub(crate) fn cuDevicePrimaryCtxRelease_v2(dev: CuDevice) -> CuResult {
    let process = process()?;
    let (ordinal, device) = devices::find(&process.devices, dev)?;
    let context = &process.primaries[ordinal];
    let mut retained = context.retained();
    *retained = retained.checked_sub(1).ok_or(CuError::INVALID_CONTEXT)?;
    if *retained > 0 {
        return Ok(());
    }
    end_primary(process, context, device.lane, retained)
}

/// Resets a primary context, if it is active. Its retains stay counted.
fn end_primary(
    process: &Process,
    context: &Context,
    lane: u16,
    retained: MutexGuard<'_, u32>,
) -> CuResult {
    if context.check().is_err() {
        return Ok(());
    }
    let body = one(u64::from(lane));
    let issue = without_context(op::cuDevicePrimaryCtxReset_v2, lane);
    let reply = process.session.call(issue, &body)?;
    context.set_active(false);
    process.forget(context.handle);
    drop(retained);
    context_destroyed(context.handle);
    reply.check()
}

pub(crate) fn cuDevicePrimaryCtxReset(dev: CuDevice) -> CuResult {
    cuDevicePrimaryCtxReset_v2(dev)
}

pub(crate) fn cuCtxCreate_v2(pctx: Out<CuContext>, flags: u32, dev: CuDevice) -> CuResult {
    let process = process()?;
    wanted(pctx.is_null())?;
    let (ordinal, device) = devices::find(&process.devices, dev)?;
    check_flags(flags)?;
    let issue = without_context(op::cuCtxCreate_v2, device.lane);
    let reply = process
        .session
        .call(issue, &creation(device.lane, flags)?)?;
    let created: One = reply
        .made()?
        .get()
        .map_err(|error| process.session.broken(&error))?;
    let context = Arc::new(Context::new(
        created.value,
        ordinal,
        device.lane,
        flags,
        false,
    ));
    process.contexts.insert(created.value, Arc::clone(&context));
    thread::push(context);
    pctx.write(CuContext(created.value))
}

pub(crate) fn cuCtxCreate_v4(
    pctx: Out<CuContext>,
    ctx_create_params: Out<CuCtxCreateParams>,
    flags: u32,
    dev: CuDevice,
) -> CuResult {
    if !ctx_create_params.is_null() {
        let params = InOut(ctx_create_params.0).read()?;
        if params.num_exec_affinity_params != 0 || !params.cig_params.is_null() {
            return Err(CuError::NOT_SUPPORTED);
        }
    }
    cuCtxCreate_v2(pctx, flags, dev)
}

pub(crate) fn cuCtxDestroy_v2(ctx: CuContext) -> CuResult {
    let process = process()?;
    // A primary context is released or reset, not destroyed.
    let context = process
        .contexts
        .remove(ctx.0)
        .ok_or(CuError::INVALID_CONTEXT)?;
    context.set_active(false);
    thread::forget(ctx.0);
    let reply = about(process, &context, op::cuCtxDestroy_v2, ctx.0);
    process.forget(ctx.0);
    context_destroyed(ctx.0);
    reply
}

pub(crate) fn cuCtxSynchronize() -> CuResult {
    here()?.call(op::cuCtxSynchronize, |_| Ok(()))?.check()
}

pub(crate) fn cuCtxSynchronize_v2(ctx: CuContext) -> CuResult {
    if ctx.is_null() {
        return cuCtxSynchronize();
    }
    let process = process()?;
    let context = process.context(ctx.0)?;
    context.check()?;
    about(process, &context, op::cuCtxSynchronize_v2, ctx.0)
}

fn about(process: &Process, context: &Context, op: Op, value: u64) -> CuResult {
    let issue = Issue {
        op,
        lane: context.lane,
        context: context.handle,
    };
    process.session.call(issue, &one(value))?.check()
}

fn without_context(op: Op, lane: u16) -> Issue {
    Issue {
        op,
        lane,
        context: 0,
    }
}

fn creation(lane: u16, flags: u32) -> Result<Vec<u8>, CuError> {
    body(|record| {
        record.put(&ContextCreate {
            device: u32::from(lane),
            flags,
        });
        Ok(())
    })
}

/// One way of scheduling at most, and no flag that is not known.
///
/// # Errors
/// `INVALID_VALUE`.
pub(crate) fn check_flags(flags: u32) -> CuResult {
    if flags & !FLAGS != 0 || (flags & SCHEDULING).count_ones() > 1 {
        return Err(CuError::INVALID_VALUE);
    }
    Ok(())
}

/// Scheduling, mapped host memory, local memory, core dumps, synchronous copies.
const FLAGS: u32 = 0xff;
/// Spin, yield, block.
const SCHEDULING: u32 = 7;
