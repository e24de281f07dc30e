//! Virtual memory management: reserving addresses, physical memory, mapping one to the other.

use std::ffi::c_void;
use std::os::fd::IntoRawFd as _;
use std::sync::Arc;

use flexdirect_wire::abi::*;

use super::memory::drain_all;
use super::not_null;
use super::pool::place;
use crate::driver::{self, trace};
use crate::raw;
use crate::vmm::{
    self, ACCESS_BOTH, ACCESS_NONE, ACCESS_READ, About, GRANULARITY, HANDLES, Handle,
};
use crate::vmm::{Physical, Piece};

pub(crate) fn cuMemGetAllocationGranularity(
    granularity: Out<usize>,
    prop: *const CuMemAllocationProp,
    option: CuMemAllocationGranularityFlags,
) -> CuResult {
    driver::check()?;
    not_null(granularity)?;
    about(prop)?;
    if option.0 > RECOMMENDED {
        return Err(CuError::INVALID_VALUE);
    }
    granularity.write(usize::try_from(GRANULARITY).unwrap_or(usize::MAX))
}

/// What is asked for, if there can be such memory.
fn about(prop: *const CuMemAllocationProp) -> Result<About, CuError> {
    let asked = InOut(prop.cast_mut()).read()?;
    let device = place(asked.location, asked.kind)?;
    if asked.handle_types & !POSIX_DESCRIPTOR != 0 || asked.usage != 0 {
        return Err(CuError::NOT_SUPPORTED);
    }
    Ok(About {
        device,
        handle_types: asked.handle_types,
    })
}

pub(crate) fn cuMemAddressReserve(
    ptr: Out<CuDevicePtr>,
    size: usize,
    alignment: usize,
    addr: CuDevicePtr,
    flags: u64,
) -> CuResult {
    driver::check()?;
    not_null(ptr)?;
    let (len, alignment) = (size as u64, alignment as u64);
    let is_aligned = alignment == 0 || alignment.is_power_of_two();
    if len == 0 || !len.is_multiple_of(GRANULARITY) || !is_aligned || flags != 0 {
        return Err(CuError::INVALID_VALUE);
    }
    ptr.write(CuDevicePtr(vmm::reserve(len, alignment, addr.0)?))
}

pub(crate) fn cuMemAddressFree(ptr: CuDevicePtr, size: usize) -> CuResult {
    driver::check()?;
    vmm::free(ptr.0, size as u64)
}

pub(crate) fn cuMemCreate(
    handle: Out<CuMemGenericAllocationHandle>,
    size: usize,
    prop: *const CuMemAllocationProp,
    flags: u64,
) -> CuResult {
    driver::check()?;
    not_null(handle)?;
    let about = about(prop)?;
    let len = size as u64;
    if len == 0 || !len.is_multiple_of(GRANULARITY) || flags != 0 {
        return Err(CuError::INVALID_VALUE);
    }
    handle.write(Handle::new(Physical::new(len, about)?).handle)
}

pub(crate) fn cuMemRelease(handle: CuMemGenericAllocationHandle) -> CuResult {
    find(handle)?.release();
    Ok(())
}

pub(crate) fn cuMemRetainAllocationHandle(
    handle: Out<CuMemGenericAllocationHandle>,
    addr: *mut c_void,
) -> CuResult {
    driver::check()?;
    not_null(handle)?;
    let piece = vmm::find(addr.addr() as u64).ok_or(CuError::INVALID_VALUE)?;
    handle.write(Handle::of(&piece.physical).handle)
}

pub(crate) fn cuMemGetAllocationPropertiesFromHandle(
    prop: Out<CuMemAllocationProp>,
    handle: CuMemGenericAllocationHandle,
) -> CuResult {
    let found = find(handle)?;
    prop.write(found.physical.about.properties())
}

pub(crate) fn cuMemMap(
    ptr: CuDevicePtr,
    size: usize,
    offset: usize,
    handle: CuMemGenericAllocationHandle,
    flags: u64,
) -> CuResult {
    let found = find(handle)?;
    let len = size as u64;
    // As the driver has it, a mapping is of the whole allocation: the offset must be 0.
    let is_whole = offset == 0 && len == found.physical.len;
    if !is_whole || flags != 0 || !ptr.0.is_multiple_of(GRANULARITY) {
        return Err(CuError::INVALID_VALUE);
    }
    vmm::map(ptr.0, len, &found.physical)
}

/// First no kernel finds the memory any more, then those that had found it end.
pub(crate) fn cuMemUnmap(ptr: CuDevicePtr, size: usize) -> CuResult {
    driver::check()?;
    let unmapped: Vec<Arc<Piece>> = vmm::unmap(ptr.0, size as u64)?;
    drain_all();
    drop(unmapped);
    Ok(())
}

pub(crate) fn cuMemSetAccess(
    ptr: CuDevicePtr,
    size: usize,
    desc: *const CuMemAccessDesc,
    count: usize,
) -> CuResult {
    driver::check()?;
    let asked = raw::array(desc, count);
    if count == 0 || asked.len() != count {
        return Err(CuError::INVALID_VALUE);
    }
    let mut changes = Vec::new();
    for access in asked {
        let device = place(access.location, TYPE_PINNED)?;
        if ![ACCESS_NONE, ACCESS_READ, ACCESS_BOTH].contains(&access.flags) {
            return Err(CuError::INVALID_VALUE);
        }
        changes.push((device, access.flags));
    }
    let takes = changes.iter().any(|change| change.1 == ACCESS_NONE);
    for (device, flags) in changes {
        vmm::set_access(ptr.0, size as u64, device, flags)?;
    }
    if takes {
        drain_all();
    }
    Ok(())
}

pub(crate) fn cuMemGetAccess(
    flags: Out<u64>,
    location: *const CuMemLocation,
    ptr: CuDevicePtr,
) -> CuResult {
    driver::check()?;
    not_null(flags)?;
    let device = place(InOut(location.cast_mut()).read()?, TYPE_PINNED)?;
    let piece = vmm::find(ptr.0).ok_or(CuError::INVALID_VALUE)?;
    flags.write(u64::from(piece.access(device)))
}

// ------------------------------------------------------------------------------- other processes

pub(crate) fn cuMemExportToShareableHandle(
    shareable_handle: *mut c_void,
    handle: CuMemGenericAllocationHandle,
    handle_type: CuMemAllocationHandleType,
    flags: u64,
) -> CuResult {
    let found = find(handle)?;
    let allowed = found.physical.about.handle_types & handle_type.0 != 0;
    if shareable_handle.is_null() || flags != 0 || !allowed {
        return Err(CuError::INVALID_VALUE);
    }
    let copy = found.physical.file().try_clone();
    let copy = copy.map_err(|_| CuError::OPERATING_SYSTEM)?;
    raw::store(shareable_handle.cast::<i32>(), copy.into_raw_fd());
    Ok(())
}

pub(crate) fn cuMemImportFromShareableHandle(
    handle: Out<CuMemGenericAllocationHandle>,
    os_handle: *mut c_void,
    sh_handle_type: CuMemAllocationHandleType,
) -> CuResult {
    driver::check()?;
    not_null(handle)?;
    if sh_handle_type.0 != POSIX_DESCRIPTOR {
        return Err(CuError::NOT_SUPPORTED);
    }
    let descriptor = i32::try_from(os_handle.addr()).map_err(|_| CuError::INVALID_VALUE)?;
    let found = raw::open_memory_file(descriptor);
    let (file, name) = found.ok_or(CuError::INVALID_VALUE)?;
    let device = name.strip_prefix("softgpu-");
    let device = device.and_then(|number| number.parse::<i32>().ok());
    let device = driver::device(CuDevice(device.ok_or(CuError::INVALID_VALUE)?))?;
    let len = file.metadata().map_err(|_| CuError::INVALID_VALUE)?.len();
    if len == 0 || !len.is_multiple_of(GRANULARITY) {
        return Err(CuError::INVALID_VALUE);
    }
    let about = About {
        device: device.ordinal,
        handle_types: POSIX_DESCRIPTOR,
    };
    handle.write(Handle::new(Physical::import(file, len, about)).handle)
}

/// Files of device memory for other drivers: there are none here.
pub(crate) fn cuMemGetHandleForAddressRange(
    _handle: *mut c_void,
    _dptr: CuDevicePtr,
    _size: usize,
    _handle_type: CuMemRangeHandleType,
    _flags: u64,
) -> CuResult {
    driver::check()?;
    trace(|| "memory cannot be handed to other drivers (dma_buf)".to_owned());
    Err(CuError::NOT_SUPPORTED)
}

fn find(handle: CuMemGenericAllocationHandle) -> Result<Arc<Handle>, CuError> {
    driver::check()?;
    HANDLES.find(handle.0).ok_or(CuError::INVALID_VALUE)
}

/// CU_MEM_ALLOC_GRANULARITY_RECOMMENDED.
const RECOMMENDED: u32 = 1;
/// CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR.
const POSIX_DESCRIPTOR: u32 = 1;
/// CU_MEM_ALLOCATION_TYPE_PINNED.
const TYPE_PINNED: u32 = 1;
