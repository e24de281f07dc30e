//! Memsets: posted, because their bounds are proved here.

#![expect(non_snake_case, reason = "CUDA's own names keep CUDA's spelling")]

use flexdirect_wire::abi::{CuDevicePtr, CuError, CuResult, CuStream};
use flexdirect_wire::call::{Op, op};
use flexdirect_wire::param::Param;

use super::stream::target;
use crate::process::process;

/// Fills `n` elements. Without a stream of its own the call goes by `op` in the legacy stream; a
/// thread's default stream is named, in the call that takes one.
fn fill<T: Param>(
    (op, op_async): (Op, Op),
    at: CuDevicePtr,
    value: T,
    n: usize,
    stream: Option<CuStream>,
) -> CuResult {
    let process = process()?;
    let target = target(process, stream.unwrap_or_default())?;
    if n == 0 {
        return Ok(());
    }
    let width = size_of::<T>() as u64;
    let len = width.checked_mul(n as u64).ok_or(CuError::INVALID_VALUE)?;
    if !at.0.is_multiple_of(width) {
        return Err(CuError::INVALID_VALUE);
    }
    process.ranges().device(at.0, len)?;
    let is_plain = stream.is_none() && target.handle == 0;
    target.post(process, if is_plain { op } else { op_async }, |record| {
        at.send(record)?;
        value.send(record)?;
        n.send(record)?;
        if !is_plain {
            CuStream(target.handle).send(record)?;
        }
        Ok(())
    })
}

const D8: (Op, Op) = (op::cuMemsetD8_v2, op::cuMemsetD8Async);
const D16: (Op, Op) = (op::cuMemsetD16_v2, op::cuMemsetD16Async);
const D32: (Op, Op) = (op::cuMemsetD32_v2, op::cuMemsetD32Async);

pub(crate) fn cuMemsetD8_v2(dst_device: CuDevicePtr, uc: u8, n: usize) -> CuResult {
    fill(D8, dst_device, uc, n, None)
}

pub(crate) fn cuMemsetD16_v2(dst_device: CuDevicePtr, us: u16, n: usize) -> CuResult {
    fill(D16, dst_device, us, n, None)
}

pub(crate) fn cuMemsetD32_v2(dst_device: CuDevicePtr, ui: u32, n: usize) -> CuResult {
    fill(D32, dst_device, ui, n, None)
}

pub(crate) fn cuMemsetD8Async(
    dst_device: CuDevicePtr,
    uc: u8,
    n: usize,
    stream: CuStream,
) -> CuResult {
    fill(D8, dst_device, uc, n, Some(stream))
}

pub(crate) fn cuMemsetD16Async(
    dst_device: CuDevicePtr,
    us: u16,
    n: usize,
    stream: CuStream,
) -> CuResult {
    fill(D16, dst_device, us, n, Some(stream))
}

pub(crate) fn cuMemsetD32Async(
    dst_device: CuDevicePtr,
    ui: u32,
    n: usize,
    stream: CuStream,
) -> CuResult {
    fill(D32, dst_device, ui, n, Some(stream))
}
