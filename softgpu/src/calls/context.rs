//! Primary contexts, contexts, and the calling thread's stack of them.

use flexdirect_wire::abi::*;

use super::not_null;
use crate::context::{self, Context};
use crate::driver;
use crate::raw::lock;

pub(crate) fn cuDevicePrimaryCtxRetain(pctx: Out<CuContext>, dev: CuDevice) -> CuResult {
    not_null(pctx)?;
    let primary = driver::device(dev)?.primary();
    primary.retain();
    pctx.write(primary.handle)
}

pub(crate) fn cuDevicePrimaryCtxRelease_v2(dev: CuDevice) -> CuResult {
    driver::device(dev)?.primary().release()
}

pub(crate) fn cuDevicePrimaryCtxRelease(dev: CuDevice) -> CuResult {
    cuDevicePrimaryCtxRelease_v2(dev)
}

pub(crate) fn cuDevicePrimaryCtxSetFlags_v2(dev: CuDevice, flags: u32) -> CuResult {
    let device = driver::device(dev)?;
    check_flags(flags)?;
    device.primary().set_flags(flags);
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
    let primary = driver::device(dev)?.primary();
    not_null(active)?;
    flags.write(primary.flags())?;
    active.write(i32::from(primary.is_active()))
}

pub(crate) fn cuDevicePrimaryCtxReset_v2(dev: CuDevice) -> CuResult {
    driver::device(dev)?.primary().reset();
    Ok(())
}

pub(crate) fn cuDevicePrimaryCtxReset(dev: CuDevice) -> CuResult {
    cuDevicePrimaryCtxReset_v2(dev)
}

pub(crate) fn cuCtxCreate_v4(
    pctx: Out<CuContext>,
    ctx_create_params: Out<CuCtxCreateParams>,
    flags: u32,
    dev: CuDevice,
) -> CuResult {
    if !ctx_create_params.is_null() {
        return Err(CuError::NOT_SUPPORTED);
    }
    cuCtxCreate_v2(pctx, flags, dev)
}

pub(crate) fn cuCtxCreate_v2(pctx: Out<CuContext>, flags: u32, dev: CuDevice) -> CuResult {
    not_null(pctx)?;
    let device = driver::device(dev)?;
    check_flags(flags)?;
    let created = Context::new(device.ordinal, false, flags);
    let handle = created.handle;
    context::push(created);
    pctx.write(handle)
}

pub(crate) fn cuCtxDestroy_v2(ctx: CuContext) -> CuResult {
    let destroyed = context::find(ctx)?;
    if destroyed.is_primary {
        return Err(CuError::INVALID_CONTEXT);
    }
    destroyed.destroy()?;
    if context::top().is_some_and(|top| top.id == destroyed.id) {
        context::pop();
    }
    Ok(())
}

pub(crate) fn cuCtxPushCurrent_v2(ctx: CuContext) -> CuResult {
    context::push(context::find(ctx)?);
    Ok(())
}

pub(crate) fn cuCtxPopCurrent_v2(pctx: Out<CuContext>) -> CuResult {
    driver::check()?;
    let popped = context::pop().ok_or(CuError::INVALID_CONTEXT)?;
    // The out pointer may be null here: a context may be popped and forgotten.
    OptOut(pctx.0).write(popped.handle);
    Ok(())
}

pub(crate) fn cuCtxSetCurrent(ctx: CuContext) -> CuResult {
    driver::check()?;
    if ctx.is_null() {
        context::pop();
        return Ok(());
    }
    let chosen = context::find(ctx)?;
    context::pop();
    context::push(chosen);
    Ok(())
}

pub(crate) fn cuCtxGetCurrent(pctx: Out<CuContext>) -> CuResult {
    driver::check()?;
    pctx.write(context::top().map_or(CuContext(0), |top| top.handle))
}

pub(crate) fn cuCtxGetDevice(device: Out<CuDevice>) -> CuResult {
    driver::check()?;
    let top = context::top().ok_or(CuError::INVALID_CONTEXT)?;
    device.write(device_handle(&top))
}

pub(crate) fn cuCtxGetDevice_v2(device: Out<CuDevice>, ctx: CuContext) -> CuResult {
    device.write(device_handle(&*named_or_current(ctx)?))
}

pub(crate) fn cuCtxGetFlags(flags: Out<u32>) -> CuResult {
    flags.write(context::current()?.flags())
}

pub(crate) fn cuCtxSetFlags(flags: u32) -> CuResult {
    let current = context::current()?;
    check_flags(flags)?;
    current.set_flags(flags);
    Ok(())
}

pub(crate) fn cuCtxGetId(ctx: CuContext, ctx_id: Out<u64>) -> CuResult {
    ctx_id.write(named_or_current(ctx)?.id)
}

pub(crate) fn cuCtxSynchronize() -> CuResult {
    context::current()?.synchronize()
}

pub(crate) fn cuCtxSynchronize_v2(ctx: CuContext) -> CuResult {
    let chosen = named_or_current(ctx)?;
    chosen.check()?;
    chosen.synchronize()
}

/// Uses the current context once more (deprecated).
pub(crate) fn cuCtxAttach(pctx: Out<CuContext>, flags: u32) -> CuResult {
    let current = context::current()?;
    super::not_null(pctx)?;
    if flags != 0 {
        return Err(CuError::INVALID_VALUE);
    }
    current.retain();
    pctx.write(current.handle)
}

/// Undoes one use of the current context (deprecated).
pub(crate) fn cuCtxDetach(ctx: CuContext) -> CuResult {
    let found = context::find(ctx)?;
    if context::top().is_none_or(|top| top.id != found.id) {
        return Err(CuError::INVALID_CONTEXT);
    }
    found.detach()
}

pub(crate) fn cuCtxSetLimit(limit: CuLimit, value: usize) -> CuResult {
    let current = context::current()?;
    let refused = match limit.0 {
        STACK_SIZE => value > STACK_LEN_MAX,
        // A heap that kernels use keeps its size.
        HEAP_SIZE => current.heap.is_taken(),
        _ => false,
    };
    if refused {
        return Err(CuError::INVALID_VALUE);
    }
    let value = match limit.0 {
        // Hints, cut to what the device can do.
        FETCH_GRANULARITY => value.min(FETCH_LEN_MAX),
        PERSISTING_CACHE => 0,
        _ => value,
    };
    let mut settings = lock(&current.settings);
    *settings
        .limits
        .get_mut(known(limit)?)
        .ok_or(CuError::UNSUPPORTED_LIMIT)? = value;
    Ok(())
}

/// Index of a limit. Those from 7 to 9 are of contexts made for graphics, which there are none of.
fn known(limit: CuLimit) -> Result<usize, CuError> {
    match limit.0 {
        0..LIMITS => Ok(limit.0 as usize),
        LIMITS..LIMIT_MAX => Err(CuError::UNSUPPORTED_LIMIT),
        _ => Err(CuError::INVALID_VALUE),
    }
}

pub(crate) fn cuCtxGetLimit(pvalue: Out<usize>, limit: CuLimit) -> CuResult {
    let current = context::current()?;
    let settings = lock(&current.settings);
    let value = settings.limits.get(known(limit)?);
    pvalue.write(*value.ok_or(CuError::UNSUPPORTED_LIMIT)?)
}

pub(crate) fn cuCtxGetCacheConfig(pconfig: Out<CuFuncCache>) -> CuResult {
    let current = context::current()?;
    let cache = lock(&current.settings).cache;
    pconfig.write(CuFuncCache(cache))
}

pub(crate) fn cuCtxSetCacheConfig(config: CuFuncCache) -> CuResult {
    let current = context::current()?;
    if config.0 > CACHE_CONFIG_MAX {
        return Err(CuError::INVALID_VALUE);
    }
    lock(&current.settings).cache = config.0;
    Ok(())
}

pub(crate) fn cuCtxGetSharedMemConfig(config: Out<CuSharedconfig>) -> CuResult {
    let current = context::current()?;
    let shared = lock(&current.settings).shared;
    config.write(CuSharedconfig(shared))
}

pub(crate) fn cuCtxSetSharedMemConfig(config: CuSharedconfig) -> CuResult {
    let current = context::current()?;
    if config.0 > SHARED_CONFIG_MAX {
        return Err(CuError::INVALID_VALUE);
    }
    // Banks have four bytes on every device since 5.0: a hint that is taken and has no effect.
    lock(&current.settings).shared = 1;
    Ok(())
}

pub(crate) fn cuCtxGetApiVersion(ctx: CuContext, version: Out<u32>) -> CuResult {
    named_or_current(ctx)?;
    version.write(API_VERSION)
}

pub(crate) fn cuCtxGetStreamPriorityRange(
    least_priority: Out<i32>,
    greatest_priority: Out<i32>,
) -> CuResult {
    context::current()?;
    // Either may be null.
    OptOut(least_priority.0).write(0);
    OptOut(greatest_priority.0).write(PRIORITY_GREATEST);
    Ok(())
}

fn named_or_current(ctx: CuContext) -> Result<std::sync::Arc<Context>, CuError> {
    if ctx.is_null() {
        driver::check()?;
        return context::top().ok_or(CuError::INVALID_CONTEXT);
    }
    context::find(ctx)
}

fn device_handle(context: &Context) -> CuDevice {
    CuDevice(i32::try_from(context.device().ordinal).unwrap_or(i32::MAX))
}

/// One scheduling flag at most, and no flag that is not known (CU_CTX_FLAGS_MASK).
fn check_flags(flags: u32) -> CuResult {
    let scheduling = flags & SCHEDULING_MASK;
    if flags & !FLAGS_MASK != 0 || scheduling.count_ones() > 1 {
        return Err(CuError::INVALID_VALUE);
    }
    Ok(())
}

/// Priorities go from 0 to this, in steps of one.
pub(crate) const PRIORITY_GREATEST: i32 = -5;

/// CU_LIMIT_STACK_SIZE, and its most in bytes: the local memory that a thread can have.
const STACK_SIZE: u32 = 0;
const STACK_LEN_MAX: usize = 512 << 10;
/// CU_LIMIT_MALLOC_HEAP_SIZE.
const HEAP_SIZE: u32 = 2;
/// CU_LIMIT_MAX_L2_FETCH_GRANULARITY, and its most in bytes.
const FETCH_GRANULARITY: u32 = 5;
const FETCH_LEN_MAX: usize = 128;
/// CU_LIMIT_PERSISTING_L2_CACHE_SIZE: none can be set aside, as the attribute of the most says.
const PERSISTING_CACHE: u32 = 6;
/// The limits that contexts of computing have, and CU_LIMIT_MAX.
const LIMITS: u32 = 7;
const LIMIT_MAX: u32 = 10;
const API_VERSION: u32 = 3020;
const CACHE_CONFIG_MAX: u32 = 3;
const FLAGS_MASK: u32 = 0xff;
const SCHEDULING_MASK: u32 = 7;
const SHARED_CONFIG_MAX: u32 = 2;
