//! Copies between contexts: to this driver all devices are memory of one process.

use flexdirect_wire::abi::*;

use super::copy::{Place, checked};
use super::copy_rows::transfer;
use crate::context;
use crate::driver;
use crate::raw::structs;

pub(crate) fn cuMemcpyPeer(
    dst_device: CuDevicePtr,
    dst_context: CuContext,
    src_device: CuDevicePtr,
    src_context: CuContext,
    byte_count: usize,
) -> CuResult {
    // In order with the work of both contexts, pending and future: what is pending is waited for
    // here, and what comes later finds the copy done.
    for context in [dst_context, src_context] {
        let context = context::find(context)?;
        context.check()?;
        context.synchronize()?;
    }
    cuMemcpyPeerAsync(
        dst_device,
        dst_context,
        src_device,
        src_context,
        byte_count,
        CuStream(0),
    )?;
    let (context, stream) = context::stream(CuStream(0))?;
    context.synchronize_stream(&stream)
}

pub(crate) fn cuMemcpyPeerAsync(
    dst_device: CuDevicePtr,
    dst_context: CuContext,
    src_device: CuDevicePtr,
    src_context: CuContext,
    byte_count: usize,
    stream: CuStream,
) -> CuResult {
    context::stream(stream)?;
    usable(dst_context)?;
    usable(src_context)?;
    if byte_count == 0 {
        return Ok(());
    }
    lies_with(dst_device, dst_context)?;
    lies_with(src_device, src_context)?;
    let target = Place::device(dst_device, byte_count);
    let source = Place::device(src_device, byte_count);
    checked(target, source, stream, false)
}

/// Whether a context can be used.
fn usable(context: CuContext) -> CuResult {
    context::find(context)?.check()
}

/// Whether an address of a device is one of that context's device.
fn lies_with(address: CuDevicePtr, context: CuContext) -> CuResult {
    let context = context::find(context)?;
    match driver::device_of(address.0) {
        Some(device) if device.ordinal != context.device().ordinal => Err(CuError::INVALID_VALUE),
        _ => Ok(()),
    }
}

fn copy_3d(copy: *const CudaMemcpy3dPeer, stream: CuStream, waits: bool) -> CuResult {
    context::stream(stream)?;
    let mut described = structs::read(copy).ok_or(CuError::INVALID_VALUE)?.0;
    for end in [&mut described.source, &mut described.target] {
        // A context says which device's memory is meant, which its address says as well.
        if end.kind == CuMemoryType::DEVICE {
            usable(end.context)?;
            lies_with(end.device, end.context)?;
        }
        end.context = CuContext(0);
    }
    transfer(&described, stream, waits)
}

pub(crate) fn cuMemcpy3DPeer(copy: *const CudaMemcpy3dPeer) -> CuResult {
    copy_3d(copy, CuStream(0), true)
}

pub(crate) fn cuMemcpy3DPeerAsync(copy: *const CudaMemcpy3dPeer, stream: CuStream) -> CuResult {
    copy_3d(copy, stream, false)
}
