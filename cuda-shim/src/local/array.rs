//! What is known of arrays here, and the copies of bytes of one row that are named after them.

#![expect(non_snake_case, reason = "CUDA's own names keep CUDA's spelling")]

use std::ffi::c_void;

use flexdirect_wire::abi::{
    CuArray, CuDevice, CuDevicePtr, CuError, CuMemoryType, CuMipmappedArray, CuResult, CuStream,
    CudaArray3dDescriptor, CudaArrayDescriptor, CudaArrayMemoryRequirements, CudaMemcpy3dEnd, Out,
};

use crate::devices;
use crate::hand::{self, array, copy_row, mipmap};
use crate::process::here;

fn described(handle: CuArray) -> Result<CudaArray3dDescriptor, CuError> {
    Ok(array(here()?.process, handle)?.described)
}

pub(crate) fn cuArrayGetDescriptor_v2(
    array_descriptor: Out<CudaArrayDescriptor>,
    array: CuArray,
) -> CuResult {
    let described = described(array)?;
    array_descriptor.write(CudaArrayDescriptor {
        width: described.width,
        height: described.height,
        format: described.format,
        channels: described.channels,
    })
}

pub(crate) fn cuArray3DGetDescriptor_v2(
    array_descriptor: Out<CudaArray3dDescriptor>,
    array: CuArray,
) -> CuResult {
    array_descriptor.write(described(array)?)
}

/// Arrays with deferred mapping have requirements, and there are none of them.
pub(crate) fn cuArrayGetMemoryRequirements(
    memory_requirements: Out<CudaArrayMemoryRequirements>,
    handle: CuArray,
    device: CuDevice,
) -> CuResult {
    hand::wanted(memory_requirements.is_null())?;
    let process = here()?.process;
    array(process, handle)?;
    devices::find(&process.devices, device)?;
    Err(CuError::INVALID_VALUE)
}

/// As [`cuArrayGetMemoryRequirements`].
pub(crate) fn cuMipmappedArrayGetMemoryRequirements(
    memory_requirements: Out<CudaArrayMemoryRequirements>,
    handle: CuMipmappedArray,
    device: CuDevice,
) -> CuResult {
    hand::wanted(memory_requirements.is_null())?;
    let process = here()?.process;
    mipmap(process, handle)?;
    devices::find(&process.devices, device)?;
    Err(CuError::INVALID_VALUE)
}

/// Arrays of formats with planes have some, and there are none of them.
pub(crate) fn cuArrayGetPlane(plane_array: Out<CuArray>, handle: CuArray, _: u32) -> CuResult {
    hand::wanted(plane_array.is_null())?;
    array(here()?.process, handle)?;
    Err(CuError::INVALID_VALUE)
}

// ------------------------------------------------------------------------------- copies

/// Bytes of the first row of an array, from an offset on.
fn row(array: CuArray, offset: usize) -> CudaMemcpy3dEnd {
    CudaMemcpy3dEnd {
        kind: CuMemoryType::ARRAY,
        array,
        x_bytes: offset,
        ..CudaMemcpy3dEnd::default()
    }
}

fn device(memory: CuDevicePtr) -> CudaMemcpy3dEnd {
    CudaMemcpy3dEnd {
        kind: CuMemoryType::DEVICE,
        device: memory,
        ..CudaMemcpy3dEnd::default()
    }
}

fn host(memory: *const c_void) -> CudaMemcpy3dEnd {
    CudaMemcpy3dEnd {
        kind: CuMemoryType::HOST,
        host: memory.expose_provenance(),
        ..CudaMemcpy3dEnd::default()
    }
}

pub(crate) fn cuMemcpyDtoA_v2(
    dst_array: CuArray,
    dst_offset: usize,
    src_device: CuDevicePtr,
    byte_count: usize,
) -> CuResult {
    let (target, source) = (row(dst_array, dst_offset), device(src_device));
    copy_row(target, source, byte_count, None)
}

pub(crate) fn cuMemcpyAtoD_v2(
    dst_device: CuDevicePtr,
    src_array: CuArray,
    src_offset: usize,
    byte_count: usize,
) -> CuResult {
    let (target, source) = (device(dst_device), row(src_array, src_offset));
    copy_row(target, source, byte_count, None)
}

pub(crate) fn cuMemcpyHtoA_v2(
    dst_array: CuArray,
    dst_offset: usize,
    src_host: *const c_void,
    byte_count: usize,
) -> CuResult {
    let (target, source) = (row(dst_array, dst_offset), host(src_host));
    copy_row(target, source, byte_count, None)
}

pub(crate) fn cuMemcpyAtoH_v2(
    dst_host: *mut c_void,
    src_array: CuArray,
    src_offset: usize,
    byte_count: usize,
) -> CuResult {
    let (target, source) = (host(dst_host), row(src_array, src_offset));
    copy_row(target, source, byte_count, None)
}

pub(crate) fn cuMemcpyAtoA_v2(
    dst_array: CuArray,
    dst_offset: usize,
    src_array: CuArray,
    src_offset: usize,
    byte_count: usize,
) -> CuResult {
    let (target, source) = (row(dst_array, dst_offset), row(src_array, src_offset));
    copy_row(target, source, byte_count, None)
}

pub(crate) fn cuMemcpyHtoAAsync_v2(
    dst_array: CuArray,
    dst_offset: usize,
    src_host: *const c_void,
    byte_count: usize,
    stream: CuStream,
) -> CuResult {
    let (target, source) = (row(dst_array, dst_offset), host(src_host));
    copy_row(target, source, byte_count, Some(stream))
}

pub(crate) fn cuMemcpyAtoHAsync_v2(
    dst_host: *mut c_void,
    src_array: CuArray,
    src_offset: usize,
    byte_count: usize,
    stream: CuStream,
) -> CuResult {
    let (target, source) = (host(dst_host), row(src_array, src_offset));
    copy_row(target, source, byte_count, Some(stream))
}
