//! Memsets: posted, because their bounds are proved here.

#![expect(non_snake_case, reason = "CUDA's own names keep CUDA's spelling")]

use flexdirect_wire::abi::{CuDevicePtr, CuError, CuResult, CuStream};
use flexdirect_wire::call::{Op, op};
use flexdirect_wire::param::Param;

use super::rows::{Extent, PITCH_MAX};
use super::stream::{Target, target};
use super::twin::{device_memory, sending, sent};
use crate::process::{Process, process};
use crate::session::Giving;

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
    let (at, giving) = reached(process, target, at.0, len)?;
    let is_plain = stream.is_none() && target.handle == 0;
    target.post(process, if is_plain { op } else { op_async }, |record| {
        at.send(record)?;
        value.send(record)?;
        n.send(record)?;
        if !is_plain {
            CuStream(target.handle).send(record)?;
        }
        Ok(())
    })?;
    filled(process, target, giving, stream.is_some())
}

/// Where the device reaches what is filled, and what to keep meanwhile if the host uses it as well.
fn reached(
    process: &Process,
    target: Target,
    address: u64,
    len: u64,
) -> Result<(CuDevicePtr, Option<Giving<'_>>), CuError> {
    let reached = device_memory(process, address, len)?;
    let giving = reached.is_shared.then(|| sending(process, target));
    Ok((CuDevicePtr(reached.address), giving.transpose()?))
}

fn filled(
    process: &Process,
    target: Target,
    giving: Option<Giving<'_>>,
    is_async: bool,
) -> CuResult {
    if giving.is_some() {
        sent(process, target, is_async)?;
    }
    drop(giving);
    Ok(())
}

/// Fills rows of `width` elements.
fn fill_rows<T: Param>(
    (op, op_async): (Op, Op),
    (at, pitch): (CuDevicePtr, usize),
    value: T,
    (width, height): (usize, usize),
    stream: Option<CuStream>,
) -> CuResult {
    const BAD: CuError = CuError::INVALID_VALUE;
    let process = process()?;
    let target = target(process, stream.unwrap_or_default())?;
    let item_len = size_of::<T>();
    let row_len = width.checked_mul(item_len).ok_or(BAD)?;
    if !at.0.is_multiple_of(item_len as u64) || !pitch.is_multiple_of(item_len) {
        return Err(BAD);
    }
    if row_len == 0 || height == 0 {
        return Ok(());
    }
    if height > 1 && !(row_len..=PITCH_MAX).contains(&pitch) {
        return Err(BAD);
    }
    let extent = Extent {
        width: row_len,
        height,
        depth: 1,
    };
    let reach = extent.reach(pitch, 0).ok_or(BAD)?;
    let (at, giving) = reached(process, target, at.0, reach as u64)?;
    let is_plain = stream.is_none() && target.handle == 0;
    target.post(process, if is_plain { op } else { op_async }, |record| {
        at.send(record)?;
        pitch.send(record)?;
        value.send(record)?;
        width.send(record)?;
        height.send(record)?;
        if !is_plain {
            CuStream(target.handle).send(record)?;
        }
        Ok(())
    })?;
    filled(process, target, giving, stream.is_some())
}

const D8: (Op, Op) = (op::cuMemsetD8_v2, op::cuMemsetD8Async);
const D16: (Op, Op) = (op::cuMemsetD16_v2, op::cuMemsetD16Async);
const D32: (Op, Op) = (op::cuMemsetD32_v2, op::cuMemsetD32Async);

const ROWS_D8: (Op, Op) = (op::cuMemsetD2D8_v2, op::cuMemsetD2D8Async);
const ROWS_D16: (Op, Op) = (op::cuMemsetD2D16_v2, op::cuMemsetD2D16Async);
const ROWS_D32: (Op, Op) = (op::cuMemsetD2D32_v2, op::cuMemsetD2D32Async);

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

pub(crate) fn cuMemsetD2D8_v2(
    dst_device: CuDevicePtr,
    dst_pitch: usize,
    uc: u8,
    width: usize,
    height: usize,
) -> CuResult {
    let (to, size) = ((dst_device, dst_pitch), (width, height));
    fill_rows(ROWS_D8, to, uc, size, None)
}

pub(crate) fn cuMemsetD2D8Async(
    dst_device: CuDevicePtr,
    dst_pitch: usize,
    uc: u8,
    width: usize,
    height: usize,
    stream: CuStream,
) -> CuResult {
    let (to, size) = ((dst_device, dst_pitch), (width, height));
    fill_rows(ROWS_D8, to, uc, size, Some(stream))
}

pub(crate) fn cuMemsetD2D16_v2(
    dst_device: CuDevicePtr,
    dst_pitch: usize,
    us: u16,
    width: usize,
    height: usize,
) -> CuResult {
    let (to, size) = ((dst_device, dst_pitch), (width, height));
    fill_rows(ROWS_D16, to, us, size, None)
}

pub(crate) fn cuMemsetD2D16Async(
    dst_device: CuDevicePtr,
    dst_pitch: usize,
    us: u16,
    width: usize,
    height: usize,
    stream: CuStream,
) -> CuResult {
    let (to, size) = ((dst_device, dst_pitch), (width, height));
    fill_rows(ROWS_D16, to, us, size, Some(stream))
}

pub(crate) fn cuMemsetD2D32_v2(
    dst_device: CuDevicePtr,
    dst_pitch: usize,
    ui: u32,
    width: usize,
    height: usize,
) -> CuResult {
    let (to, size) = ((dst_device, dst_pitch), (width, height));
    fill_rows(ROWS_D32, to, ui, size, None)
}

pub(crate) fn cuMemsetD2D32Async(
    dst_device: CuDevicePtr,
    dst_pitch: usize,
    ui: u32,
    width: usize,
    height: usize,
    stream: CuStream,
) -> CuResult {
    let (to, size) = ((dst_device, dst_pitch), (width, height));
    fill_rows(ROWS_D32, to, ui, size, Some(stream))
}
