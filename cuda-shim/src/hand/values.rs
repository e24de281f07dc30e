//! Waits for values in memory and writes of them, in stream order: all of them one call, whose
//! addresses and flags the driver judges. Memory that the host uses as well is coherent with them.

#![expect(non_snake_case, reason = "CUDA's own names keep CUDA's spelling")]

use flexdirect_wire::abi::{
    CuDevicePtr, CuError, CuResult, CuStream, CuStreamBatchMemOpParams, InOut,
};
use flexdirect_wire::call::op;

use super::hostfn::mark;
use super::stream::target;
use super::twin::{device_memory, sending, sent};
use crate::process::{Process, process};
use crate::ranges::Range;

fn operate(stream: CuStream, operations: &[CuStreamBatchMemOpParams], flags: u32) -> CuResult {
    let process = process()?;
    let target = target(process, stream)?;
    if flags != 0 {
        return Err(CuError::INVALID_VALUE);
    }
    let (operations, is_shared) = reached(process, operations)?;
    let giving = is_shared.then(|| sending(process, target)).transpose()?;
    let reply = target.call(process, op::cuStreamBatchMemOp_v2, |record| {
        record.u64(target.handle);
        record.u64(operations.len() as u64);
        for operation in &operations {
            record.put(&operation.words);
        }
        Ok(())
    })?;
    reply.check()?;
    if is_shared {
        sent(process, target, true)?;
    }
    drop(giving);
    let kind = |operation: &CuStreamBatchMemOpParams| operation.words[0] & u64::from(u32::MAX);
    if operations
        .iter()
        .any(|operation| [WAIT_32, WAIT_64].contains(&kind(operation)))
    {
        // The application may write the source of a later copy before it lets the stream go on.
        mark(process, &target)?;
    }
    Ok(())
}

/// The operations with the addresses at which the device reaches their memory, and whether the host
/// uses some of it as well. What is no memory at all the driver refuses.
fn reached(
    process: &Process,
    operations: &[CuStreamBatchMemOpParams],
) -> Result<(Vec<CuStreamBatchMemOpParams>, bool), CuError> {
    let (mut reached, mut is_shared) = (operations.to_vec(), false);
    for CuStreamBatchMemOpParams { words } in &mut reached {
        let (place, len) = match words[0] & u64::from(u32::MAX) {
            WAIT_32 | WRITE_32 => (1, 4),
            WAIT_64 | WRITE_64 => (1, 8),
            REDUCTION => (2, 4),
            _ => continue,
        };
        let found = process.ranges().find(words[place]).copied();
        let is_hosts = |range: &Range| range.is_shared() || range.pinned().is_some();
        if found.is_some_and(|range| is_hosts(&range) && range.holds(words[place], len)) {
            words[place] = device_memory(process, words[place], len)?.address;
            is_shared = true;
        }
    }
    Ok((reached, is_shared))
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
    operate(stream, &one(WAIT_32, addr, value.into(), flags), 0)
}

pub(crate) fn cuStreamWaitValue64_v2(
    stream: CuStream,
    addr: CuDevicePtr,
    value: u64,
    flags: u32,
) -> CuResult {
    operate(stream, &one(WAIT_64, addr, value, flags), 0)
}

pub(crate) fn cuStreamWriteValue32_v2(
    stream: CuStream,
    addr: CuDevicePtr,
    value: u32,
    flags: u32,
) -> CuResult {
    operate(stream, &one(WRITE_32, addr, value.into(), flags), 0)
}

pub(crate) fn cuStreamWriteValue64_v2(
    stream: CuStream,
    addr: CuDevicePtr,
    value: u64,
    flags: u32,
) -> CuResult {
    operate(stream, &one(WRITE_64, addr, value, flags), 0)
}

pub(crate) fn cuStreamBatchMemOp_v2(
    stream: CuStream,
    count: u32,
    param_array: *mut CuStreamBatchMemOpParams,
    flags: u32,
) -> CuResult {
    target(process()?, stream)?;
    if count > OPERATIONS_MAX || (count > 0 && param_array.is_null()) {
        return Err(CuError::INVALID_VALUE);
    }
    let operation = |index| InOut(param_array.wrapping_add(index)).read();
    let operations: Result<Vec<_>, _> = (0..count as usize).map(operation).collect();
    operate(stream, &operations?, flags)
}

/// `CUstreamBatchMemOpType`.
const WAIT_32: u64 = 1;
const WRITE_32: u64 = 2;
const WAIT_64: u64 = 4;
const WRITE_64: u64 = 5;
const REDUCTION: u64 = 8;
/// Operations of a batch (CUDA Driver API, cuStreamBatchMemOp).
const OPERATIONS_MAX: u32 = 256;
