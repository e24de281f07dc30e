//! Device memory, pinned and registered host memory.

use std::ffi::c_void;

use flexdirect_wire::abi::*;

use super::not_null;
use crate::arena::Purpose;
use crate::attributes::{PITCH_ALIGNMENT, PITCH_MAX};
use crate::capture;
use crate::context::{self, Context};
use crate::device::Device;
use crate::driver;
use crate::faultplan;
use crate::graph;
use crate::managed;
use crate::mempool;
use crate::pinned::{PinnedRange, Unfit};
use crate::vmm;

pub(crate) fn cuMemGetInfo_v2(free: Out<usize>, total: Out<usize>) -> CuResult {
    let context = context::current()?;
    let arena = &context.device().arena;
    let to = |len: u64| usize::try_from(len).unwrap_or(usize::MAX);
    // Either may be null.
    OptOut(free.0).write(to(arena.free_len()));
    OptOut(total.0).write(to(arena.capacity()));
    Ok(())
}

pub(crate) fn cuMemAlloc_v2(dptr: Out<CuDevicePtr>, bytesize: usize) -> CuResult {
    let context = context::current()?;
    not_null(dptr)?;
    capture::refuse_unsafe()?;
    dptr.write(allocate(&context, bytesize, Purpose::Application)?)
}

/// Allocates for a context; what pools keep for later goes first.
pub(crate) fn allocate(
    context: &Context,
    len: usize,
    purpose: Purpose,
) -> Result<CuDevicePtr, CuError> {
    if len == 0 {
        return Err(CuError::INVALID_VALUE);
    }
    faultplan::plan().allocation()?;
    let device = context.device();
    let attempt = || device.arena.allocate(len as u64, context.id, purpose);
    let made = attempt().or_else(|full| {
        if mempool::relieve(device.ordinal) {
            return attempt();
        }
        Err(full)
    });
    let made = made.map_err(|_| CuError::OUT_OF_MEMORY)?;
    Ok(CuDevicePtr(made.address))
}

pub(crate) fn cuMemAllocPitch_v2(
    dptr: Out<CuDevicePtr>,
    pitch: Out<usize>,
    width_in_bytes: usize,
    height: usize,
    element_size_bytes: u32,
) -> CuResult {
    let context = context::current()?;
    not_null(dptr)?;
    not_null(pitch)?;
    if ![4, 8, 16].contains(&element_size_bytes) || width_in_bytes > PITCH_MAX {
        return Err(CuError::INVALID_VALUE);
    }
    capture::refuse_unsafe()?;
    let row = width_in_bytes.next_multiple_of(PITCH_ALIGNMENT);
    let len = row.checked_mul(height).ok_or(CuError::OUT_OF_MEMORY)?;
    let address = allocate(&context, len, Purpose::Application)?;
    pitch.write(row)?;
    dptr.write(address)
}

/// Waits for the device's work, for some of it may use the memory.
pub(crate) fn cuMemFree_v2(dptr: CuDevicePtr) -> CuResult {
    context::current()?;
    if dptr.0 == 0 {
        return Ok(());
    }
    capture::refuse_unsafe()?;
    let device = driver::device_of(dptr.0).ok_or(CuError::INVALID_VALUE)?;
    let found = device.arena.find(dptr.0);
    let found = found.filter(|found| found.address == dptr.0);
    let purpose = found.ok_or(CuError::INVALID_VALUE)?.purpose;
    if matches!(purpose, Purpose::Array | Purpose::Module | Purpose::Shared) {
        return Err(CuError::INVALID_VALUE);
    }
    for context in driver::contexts() {
        if context.device().ordinal == device.ordinal {
            context.drain();
        }
    }
    let is_freed = match purpose {
        Purpose::Graph => graph::memory::free(dptr.0).is_some_and(|freed| freed.is_ok()),
        Purpose::Pool => mempool::owner(dptr.0).is_some_and(|pool| pool.free_now(dptr.0)),
        _ => device.arena.free(dptr.0, purpose),
    };
    if !is_freed {
        return Err(CuError::INVALID_VALUE);
    }
    managed::forget(dptr.0);
    Ok(())
}

/// Makes an allocation of cuMemAlloc nobody's at once; what is returned frees it.
pub(crate) fn free_without_waiting(dptr: CuDevicePtr) -> Result<impl FnOnce() + Send, CuError> {
    let device = driver::device_of(dptr.0).ok_or(CuError::INVALID_VALUE)?;
    let (from, to) = (Purpose::Application, Purpose::Retired);
    if !device.arena.change(dptr.0, from, to) {
        return Err(CuError::INVALID_VALUE);
    }
    Ok(move || {
        device.arena.free(dptr.0, Purpose::Retired);
    })
}

pub(crate) fn cuMemGetAddressRange_v2(
    pbase: OptOut<CuDevicePtr>,
    psize: OptOut<usize>,
    dptr: CuDevicePtr,
) -> CuResult {
    context::current()?;
    let (base, len) = range(dptr.0).ok_or(CuError::NOT_FOUND)?;
    pbase.write(CuDevicePtr(base));
    psize.write(usize::try_from(len).unwrap_or(usize::MAX));
    Ok(())
}

/// The allocation, on a device or pinned, that an address lies in.
pub(crate) fn range(address: u64) -> Option<(u64, u64)> {
    if let Some(device) = driver::device_of(address) {
        let found = device.arena.find(address)?;
        return Some((found.address, found.len));
    }
    if let Some(piece) = vmm::find(address) {
        return Some((piece.address, piece.len));
    }
    let found = driver::pinned().find(address)?;
    Some((found.address, found.len))
}

// ------------------------------------------------------------------------------- host memory

pub(crate) fn cuMemAllocHost_v2(pp: Out<*mut c_void>, bytesize: usize) -> CuResult {
    cuMemHostAlloc(pp, bytesize, 0)
}

pub(crate) fn cuMemHostAlloc(pp: Out<*mut c_void>, bytesize: usize, flags: u32) -> CuResult {
    let context = context::current()?;
    not_null(pp)?;
    if bytesize == 0 || flags & !HOST_FLAGS != 0 {
        return Err(CuError::INVALID_VALUE);
    }
    capture::refuse_unsafe()?;
    let about = PinnedRange {
        address: 0,
        len: bytesize as u64,
        flags,
        is_registered: false,
        context: context.id,
        device: i32::try_from(context.device().ordinal).unwrap_or(i32::MAX),
    };
    let address = driver::pinned().allocate(about);
    let address = address.ok_or(CuError::OUT_OF_MEMORY)?;
    let address = usize::try_from(address).expect("addresses have 64 bits");
    pp.write(std::ptr::with_exposed_provenance_mut(address))
}

/// Waits for all work, for some of it may use the memory.
pub(crate) fn cuMemFreeHost(p: *mut c_void) -> CuResult {
    context::current()?;
    let address = p.addr() as u64;
    let found = driver::pinned().find(address);
    if found.is_none_or(|range| range.address != address || range.is_registered) {
        return Err(CuError::INVALID_VALUE);
    }
    capture::refuse_unsafe()?;
    drain_all();
    if !driver::pinned().free(address) {
        return Err(CuError::INVALID_VALUE);
    }
    Ok(())
}

/// Waits for all work of all contexts.
pub(crate) fn drain_all() {
    for context in driver::contexts() {
        context.drain();
    }
}

pub(crate) fn cuMemHostRegister_v2(p: *mut c_void, bytesize: usize, flags: u32) -> CuResult {
    let context = context::current()?;
    if p.is_null() || bytesize == 0 || flags & !REGISTER_FLAGS != 0 {
        return Err(CuError::INVALID_VALUE);
    }
    if flags & (REGISTER_IO_MEMORY | REGISTER_READ_ONLY) != 0 {
        // As the attribute READ_ONLY_HOST_REGISTER_SUPPORTED says.
        return Err(CuError::NOT_SUPPORTED);
    }
    let address = p.expose_provenance() as u64;
    let is_of_device = |device: &Device| {
        let start = device.arena.address();
        address < start + device.arena.capacity() && start < address.saturating_add(bytesize as u64)
    };
    if driver::devices().iter().any(is_of_device) {
        return Err(CuError::INVALID_VALUE);
    }
    let about = PinnedRange {
        address,
        len: bytesize as u64,
        flags,
        is_registered: true,
        context: context.id,
        device: i32::try_from(context.device().ordinal).unwrap_or(i32::MAX),
    };
    driver::pinned()
        .register(about)
        .map_err(|unfit| match unfit {
            Unfit::Known => CuError::HOST_MEMORY_ALREADY_REGISTERED,
            Unfit::Unmapped => CuError::INVALID_VALUE,
        })
}

/// Waits for all work, for some of it may use the memory, which is the application's again then.
pub(crate) fn cuMemHostUnregister(p: *mut c_void) -> CuResult {
    context::current()?;
    if p.is_null() {
        return Err(CuError::INVALID_VALUE);
    }
    let address = p.addr() as u64;
    let found = driver::pinned().find(address);
    if found.is_none_or(|range| range.address != address || !range.is_registered) {
        return Err(CuError::HOST_MEMORY_NOT_REGISTERED);
    }
    // First no kernel finds it any more, then those that had found it end.
    if !driver::pinned().free(address) {
        return Err(CuError::HOST_MEMORY_NOT_REGISTERED);
    }
    drain_all();
    Ok(())
}

/// The same address, for kernels reach all pinned memory at its own (unified addressing).
pub(crate) fn cuMemHostGetDevicePointer_v2(
    pdptr: Out<CuDevicePtr>,
    p: *mut c_void,
    flags: u32,
) -> CuResult {
    context::current()?;
    not_null(pdptr)?;
    let address = p.addr() as u64;
    if flags != 0 || driver::pinned().find(address).is_none() {
        return Err(CuError::INVALID_VALUE);
    }
    pdptr.write(CuDevicePtr(address))
}

pub(crate) fn cuMemHostGetFlags(flags: Out<u32>, p: *mut c_void) -> CuResult {
    context::current()?;
    let found = driver::pinned().find(p.addr() as u64);
    flags.write(found.ok_or(CuError::INVALID_VALUE)?.flags)
}

/// CU_MEMHOSTALLOC_PORTABLE, _DEVICEMAP and _WRITECOMBINED.
const HOST_FLAGS: u32 = 7;
/// CU_MEMHOSTREGISTER_PORTABLE, _DEVICEMAP, _IOMEMORY and _READ_ONLY.
const REGISTER_FLAGS: u32 = 15;
const REGISTER_IO_MEMORY: u32 = 4;
const REGISTER_READ_ONLY: u32 = 8;
