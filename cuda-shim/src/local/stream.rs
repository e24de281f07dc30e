//! What is known of streams: flags, priorities, contexts, and the capture mode of threads.

#![expect(non_snake_case, reason = "CUDA's own names keep CUDA's spelling")]

use std::ffi::c_void;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use flexdirect_wire::abi::{
    CuContext, CuDevice, CuDevicePtr, CuError, CuGreenCtx, CuHostFn, CuResult, CuStream,
    CuStreamCaptureMode, InOut, OptOut, Out,
};

use crate::objects::Stream;
use crate::process::{Process, here, process};
use crate::{hand, thread};

/// A stream that is an object, or nothing for a special one, which needs a current context.
fn known(process: &Process, stream: CuStream) -> Result<Option<Arc<Stream>>, CuError> {
    if stream.0 > CuStream::PER_THREAD.0 {
        return process
            .streams
            .find(stream.0)
            .map(Some)
            .ok_or(CuError::INVALID_HANDLE);
    }
    here().map(|_| None)
}

pub(crate) fn cuStreamGetPriority(stream: CuStream, priority: Out<i32>) -> CuResult {
    priority
        .write(known(process()?, stream)?.map_or(0, |known| known.priority.load(Ordering::Relaxed)))
}

pub(crate) fn cuStreamGetFlags(stream: CuStream, flags: Out<u32>) -> CuResult {
    flags.write(known(process()?, stream)?.map_or(0, |known| known.flags))
}

pub(crate) fn cuStreamGetId(stream: CuStream, stream_id: Out<u64>) -> CuResult {
    let special = if thread::is_per_thread(stream) {
        CuStream::PER_THREAD
    } else {
        CuStream::LEGACY
    };
    stream_id.write(known(process()?, stream)?.map_or(special.0, |known| known.id))
}

pub(crate) fn cuStreamGetCtx(stream: CuStream, pctx: Out<CuContext>) -> CuResult {
    let context = match known(process()?, stream)? {
        Some(known) => known.context,
        None => here()?.context.handle,
    };
    pctx.write(CuContext(context))
}

/// There are no streams of green contexts.
pub(crate) fn cuStreamGetCtx_v2(
    stream: CuStream,
    ctx: Out<CuContext>,
    green_ctx: OptOut<CuGreenCtx>,
) -> CuResult {
    cuStreamGetCtx(stream, ctx)?;
    green_ctx.write(CuGreenCtx(0));
    Ok(())
}

pub(crate) fn cuStreamGetDevice(stream: CuStream, device: Out<CuDevice>) -> CuResult {
    let process = process()?;
    let context = match known(process, stream)? {
        Some(known) => process.context(known.context)?,
        None => here()?.context,
    };
    device.write(CuDevice(
        i32::try_from(context.ordinal).expect("at most DEVICES_MAX"),
    ))
}

pub(crate) fn cuThreadExchangeStreamCaptureMode(mode: InOut<CuStreamCaptureMode>) -> CuResult {
    let wanted = mode.read()?;
    if wanted.0 > CAPTURE_MODE_MAX {
        return Err(CuError::INVALID_VALUE);
    }
    mode.replace(CuStreamCaptureMode(thread::exchange_capture_mode(wanted.0)))?;
    Ok(())
}

pub(crate) fn cuMemcpy(dst: CuDevicePtr, src: CuDevicePtr, byte_count: usize) -> CuResult {
    hand::copy_between(dst, src, byte_count, None)
}

pub(crate) fn cuMemcpyAsync(
    dst: CuDevicePtr,
    src: CuDevicePtr,
    byte_count: usize,
    stream: CuStream,
) -> CuResult {
    hand::copy_between(dst, src, byte_count, Some(stream))
}

/// The mode says how a thread waits for the function: here it sleeps.
pub(crate) fn cuLaunchHostFunc_v2(
    stream: CuStream,
    function: CuHostFn,
    user_data: *mut c_void,
    sync_mode: u32,
) -> CuResult {
    if sync_mode > SYNC_MODE_MAX {
        return Err(CuError::INVALID_VALUE);
    }
    hand::cuLaunchHostFunc(stream, function, user_data)
}

/// There is no profiler to tell.
pub(crate) fn cuProfilerStart() -> CuResult {
    here().map(drop)
}

/// There is no profiler to tell.
pub(crate) fn cuProfilerStop() -> CuResult {
    here().map(drop)
}

/// `CU_HOST_TASK_SPINWAIT`.
const SYNC_MODE_MAX: u32 = 1;
/// `CU_STREAM_CAPTURE_MODE_RELAXED`.
const CAPTURE_MODE_MAX: u32 = 2;
