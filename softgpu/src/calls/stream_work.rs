//! Host functions, callbacks and memory operations in streams.

use std::ffi::c_void;
use std::sync::Arc;

use flexdirect_wire::abi::*;

use crate::callback;
use crate::capture;
use crate::context;
use crate::graph::Action;
use crate::raw;
use crate::stream::Work;
use crate::values;

pub(crate) fn cuLaunchHostFunc(
    stream: CuStream,
    function: CuHostFn,
    user_data: *mut c_void,
) -> CuResult {
    let (context, stream) = context::stream(stream)?;
    if function.0 == 0 {
        return Err(CuError::INVALID_VALUE);
    }
    let data = user_data.expose_provenance();
    let user_data = data;
    let params = CudaHostNodeParams {
        function,
        user_data,
    };
    if capture::take(&stream, || Action::host(params))? {
        return Ok(());
    }
    let work = move || {
        callback::host(function, data);
        Ok(())
    };
    context.submit(&stream, None, Work::Execute(Box::new(work)))
}

/// The mode says how a thread waits for the function, which means nothing to this driver.
pub(crate) fn cuLaunchHostFunc_v2(
    stream: CuStream,
    function: CuHostFn,
    user_data: *mut c_void,
    sync_mode: u32,
) -> CuResult {
    if sync_mode > SYNC_MODE_MAX {
        return Err(CuError::INVALID_VALUE);
    }
    cuLaunchHostFunc(stream, function, user_data)
}

pub(crate) fn cuStreamAddCallback(
    stream: CuStream,
    callback: CuStreamCallback,
    user_data: *mut c_void,
    flags: u32,
) -> CuResult {
    let (context, found) = context::stream(stream)?;
    if callback.0 == 0 || flags != 0 {
        return Err(CuError::INVALID_VALUE);
    }
    let data = user_data.expose_provenance();
    let work = move |status| callback::callback(callback, stream, status, data);
    context.submit(&found, None, Work::Always(Box::new(work)))
}

// ------------------------------------------------------------------------------- memory operations

fn operate(stream: CuStream, operations: &[CuStreamBatchMemOpParams], flags: u32) -> CuResult {
    let (context, stream) = context::stream(stream)?;
    if flags != 0 {
        return Err(CuError::INVALID_VALUE);
    }
    if capture::take(&stream, || Action::batch(&context, operations.to_vec()))? {
        return Ok(());
    }
    let work = values::prepare(&context, operations)?;
    let work = Arc::clone(&work);
    context.submit(&stream, None, Work::Execute(Box::new(move || work())))
}

fn one(kind: u64, addr: CuDevicePtr, value: u64, flags: u32) -> [CuStreamBatchMemOpParams; 1] {
    let words = [kind, addr.0, value, u64::from(flags), 0, 0];
    [CuStreamBatchMemOpParams { words }]
}

pub(crate) fn cuStreamWaitValue32_v2(
    stream: CuStream,
    addr: CuDevicePtr,
    value: u32,
    flags: u32,
) -> CuResult {
    operate(stream, &one(values::WAIT_32, addr, value.into(), flags), 0)
}

pub(crate) fn cuStreamWaitValue64_v2(
    stream: CuStream,
    addr: CuDevicePtr,
    value: u64,
    flags: u32,
) -> CuResult {
    operate(stream, &one(values::WAIT_64, addr, value, flags), 0)
}

pub(crate) fn cuStreamWriteValue32_v2(
    stream: CuStream,
    addr: CuDevicePtr,
    value: u32,
    flags: u32,
) -> CuResult {
    operate(stream, &one(values::WRITE_32, addr, value.into(), flags), 0)
}

pub(crate) fn cuStreamWriteValue64_v2(
    stream: CuStream,
    addr: CuDevicePtr,
    value: u64,
    flags: u32,
) -> CuResult {
    operate(stream, &one(values::WRITE_64, addr, value, flags), 0)
}

pub(crate) fn cuStreamBatchMemOp_v2(
    stream: CuStream,
    count: u32,
    param_array: *mut CuStreamBatchMemOpParams,
    flags: u32,
) -> CuResult {
    context::stream(stream)?;
    if count > OPERATIONS_MAX || (count > 0 && param_array.is_null()) {
        return Err(CuError::INVALID_VALUE);
    }
    let operations = raw::elements(param_array.cast_const(), count as usize);
    operate(stream, &operations, flags)
}

/// CUhostTaskSyncMode: blocking and spinning.
const SYNC_MODE_MAX: u32 = 1;
/// Operations of a batch (CUDA Driver API, cuStreamBatchMemOp).
pub(crate) const OPERATIONS_MAX: u32 = 256;
