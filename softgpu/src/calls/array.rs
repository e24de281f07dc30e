//! Arrays: making, describing and ending them, and the copies named after them.

use std::ffi::c_void;
use std::sync::Arc;

use flexdirect_wire::abi::*;

use super::copy_rows::transfer;
use super::not_null;
use crate::array::{self, ARRAYS, Array, MIPMAPS, Mipmap};
use crate::context;
use crate::driver;
use crate::raw::structs;

/// The array of a handle.
fn find(array: CuArray) -> Result<Arc<Array>, CuError> {
    context::current()?;
    ARRAYS.find(array.0).ok_or(CuError::INVALID_HANDLE)
}

fn find_mipmap(mipmap: CuMipmappedArray) -> Result<Arc<Mipmap>, CuError> {
    context::current()?;
    MIPMAPS.find(mipmap.0).ok_or(CuError::INVALID_HANDLE)
}

pub(crate) fn cuArrayCreate_v2(
    handle: Out<CuArray>,
    allocate_array: *const CudaArrayDescriptor,
) -> CuResult {
    let context = context::current()?;
    not_null(handle)?;
    let flat = structs::read(allocate_array).ok_or(CuError::INVALID_VALUE)?;
    let described = CudaArray3dDescriptor {
        width: flat.width,
        height: flat.height,
        depth: 0,
        format: flat.format,
        channels: flat.channels,
        // Every array made this way can be a surface, too, as with NVIDIA's driver.
        flags: array::SURFACE,
    };
    handle.write(array::create(&context, &described)?.handle)
}

pub(crate) fn cuArray3DCreate_v2(
    handle: Out<CuArray>,
    allocate_array: *const CudaArray3dDescriptor,
) -> CuResult {
    let context = context::current()?;
    not_null(handle)?;
    let described = structs::read(allocate_array).ok_or(CuError::INVALID_VALUE)?;
    handle.write(array::create(&context, &described)?.handle)
}

pub(crate) fn cuArrayGetDescriptor_v2(
    array_descriptor: Out<CudaArrayDescriptor>,
    array: CuArray,
) -> CuResult {
    let described = find(array)?.described;
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
    array_descriptor.write(find(array)?.described)
}

/// Waits for the device's work, for some of it may use the array.
pub(crate) fn cuArrayDestroy(array: CuArray) -> CuResult {
    let array = find(array)?;
    if array.is_level {
        return Err(CuError::INVALID_HANDLE);
    }
    array::destroy(&array);
    Ok(())
}

/// Only arrays with deferred mapping have requirements, and there are none.
pub(crate) fn cuArrayGetMemoryRequirements(
    memory_requirements: Out<CudaArrayMemoryRequirements>,
    array: CuArray,
    device: CuDevice,
) -> CuResult {
    not_null(memory_requirements)?;
    find(array)?;
    driver::device(device)?;
    Err(CuError::INVALID_VALUE)
}

/// Only arrays with deferred mapping have requirements, and there are none.
pub(crate) fn cuMipmappedArrayGetMemoryRequirements(
    memory_requirements: Out<CudaArrayMemoryRequirements>,
    mipmap: CuMipmappedArray,
    device: CuDevice,
) -> CuResult {
    not_null(memory_requirements)?;
    find_mipmap(mipmap)?;
    driver::device(device)?;
    Err(CuError::INVALID_VALUE)
}

/// Only arrays of formats with planes have planes, and there are none.
pub(crate) fn cuArrayGetPlane(
    plane_array: Out<CuArray>,
    array: CuArray,
    _plane_idx: u32,
) -> CuResult {
    not_null(plane_array)?;
    find(array)?;
    Err(CuError::INVALID_VALUE)
}

pub(crate) fn cuMipmappedArrayCreate(
    handle: Out<CuMipmappedArray>,
    mipmapped_array_desc: *const CudaArray3dDescriptor,
    num_mipmap_levels: u32,
) -> CuResult {
    let context = context::current()?;
    not_null(handle)?;
    let described = structs::read(mipmapped_array_desc).ok_or(CuError::INVALID_VALUE)?;
    let made = array::create_mipmap(&context, &described, num_mipmap_levels)?;
    handle.write(made.handle)
}

pub(crate) fn cuMipmappedArrayGetLevel(
    level_array: Out<CuArray>,
    mipmapped_array: CuMipmappedArray,
    level: u32,
) -> CuResult {
    let mipmap = find_mipmap(mipmapped_array)?;
    let level = mipmap.levels.get(level as usize);
    level_array.write(level.ok_or(CuError::INVALID_VALUE)?.handle)
}

/// Waits for the device's work, for some of it may use the array.
pub(crate) fn cuMipmappedArrayDestroy(mipmapped_array: CuMipmappedArray) -> CuResult {
    array::destroy_mipmap(&*find_mipmap(mipmapped_array)?);
    Ok(())
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

/// Copies bytes of one row.
fn copy(
    target: CudaMemcpy3dEnd,
    source: CudaMemcpy3dEnd,
    len: usize,
    stream: CuStream,
    waits: bool,
) -> CuResult {
    let described = CudaMemcpy3d {
        source,
        target,
        width_bytes: len,
        height: 1,
        depth: 1,
    };
    transfer(&described, stream, waits)
}

pub(crate) fn cuMemcpyDtoA_v2(
    dst_array: CuArray,
    dst_offset: usize,
    src_device: CuDevicePtr,
    byte_count: usize,
) -> CuResult {
    let (target, source) = (row(dst_array, dst_offset), device(src_device));
    copy(target, source, byte_count, CuStream(0), true)
}

pub(crate) fn cuMemcpyAtoD_v2(
    dst_device: CuDevicePtr,
    src_array: CuArray,
    src_offset: usize,
    byte_count: usize,
) -> CuResult {
    let (target, source) = (device(dst_device), row(src_array, src_offset));
    copy(target, source, byte_count, CuStream(0), true)
}

pub(crate) fn cuMemcpyHtoA_v2(
    dst_array: CuArray,
    dst_offset: usize,
    src_host: *const c_void,
    byte_count: usize,
) -> CuResult {
    let (target, source) = (row(dst_array, dst_offset), host(src_host));
    copy(target, source, byte_count, CuStream(0), true)
}

pub(crate) fn cuMemcpyAtoH_v2(
    dst_host: *mut c_void,
    src_array: CuArray,
    src_offset: usize,
    byte_count: usize,
) -> CuResult {
    let (target, source) = (host(dst_host), row(src_array, src_offset));
    copy(target, source, byte_count, CuStream(0), true)
}

pub(crate) fn cuMemcpyAtoA_v2(
    dst_array: CuArray,
    dst_offset: usize,
    src_array: CuArray,
    src_offset: usize,
    byte_count: usize,
) -> CuResult {
    let (target, source) = (row(dst_array, dst_offset), row(src_array, src_offset));
    copy(target, source, byte_count, CuStream(0), true)
}

pub(crate) fn cuMemcpyHtoAAsync_v2(
    dst_array: CuArray,
    dst_offset: usize,
    src_host: *const c_void,
    byte_count: usize,
    stream: CuStream,
) -> CuResult {
    let (target, source) = (row(dst_array, dst_offset), host(src_host));
    copy(target, source, byte_count, stream, false)
}

pub(crate) fn cuMemcpyAtoHAsync_v2(
    dst_host: *mut c_void,
    src_array: CuArray,
    src_offset: usize,
    byte_count: usize,
    stream: CuStream,
) -> CuResult {
    let (target, source) = (host(dst_host), row(src_array, src_offset));
    copy(target, source, byte_count, stream, false)
}
