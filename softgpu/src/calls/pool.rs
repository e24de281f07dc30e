//! Stream-ordered allocation and memory pools.

use std::ffi::c_void;
use std::sync::Arc;

use flexdirect_wire::abi::*;

use super::graph_memory::{captured_allocation, captured_free};
use super::memory::free_without_waiting;
use super::not_null;
use crate::driver::{self, trace};
use crate::graph;
use crate::mempool::{self, POOLS, Pool};
use crate::raw;
use crate::stream::Work;
use crate::windows::{Devices, bit};
use crate::{capture, context};

pub(crate) fn cuMemAllocAsync(
    dptr: Out<CuDevicePtr>,
    bytesize: usize,
    stream: CuStream,
) -> CuResult {
    let (context, _) = context::stream(stream)?;
    let pool = mempool::current_of(context.device().ordinal);
    cuMemAllocFromPoolAsync(dptr, bytesize, pool.handle, stream)
}

pub(crate) fn cuMemAllocFromPoolAsync(
    dptr: Out<CuDevicePtr>,
    bytesize: usize,
    pool: CuMemoryPool,
    stream: CuStream,
) -> CuResult {
    let (context, stream) = context::stream(stream)?;
    not_null(dptr)?;
    let pool = find(pool)?;
    if let Some(address) = captured_allocation(&context, &stream, pool.device, bytesize)? {
        return dptr.write(address);
    }
    if bytesize == 0 {
        return Err(CuError::INVALID_VALUE);
    }
    let address = pool.allocate(bytesize as u64, context.id, stream.id)?;
    dptr.write(CuDevicePtr(address))
}

/// Frees when the stream gets there; from the call on the address is nobody's.
pub(crate) fn cuMemFreeAsync(dptr: CuDevicePtr, stream: CuStream) -> CuResult {
    let (context, stream) = context::stream(stream)?;
    if captured_free(&context, &stream, dptr)? {
        return Ok(());
    }
    // What is refused is refused before anything is freed.
    capture::refuse(&context, &stream)?;
    if let Some(freed) = graph::memory::free(dptr.0) {
        let freed = freed?;
        let work = move || {
            drop(freed);
            Ok(())
        };
        return context.submit(&stream, None, Work::Execute(Box::new(work)));
    }
    let Some(pool) = mempool::owner(dptr.0) else {
        // Of cuMemAlloc: free at the stream's next synchronisation, which this is earlier than.
        let free = free_without_waiting(dptr)?;
        let work = move || {
            free();
            Ok(())
        };
        return context.submit(&stream, None, Work::Execute(Box::new(work)));
    };
    let pending = pool.free(dptr.0, stream.id);
    let pending = pending.ok_or(CuError::INVALID_VALUE)?;
    let work = move || {
        Pool::reach(&pending);
        Ok(())
    };
    context.submit(&stream, None, Work::Execute(Box::new(work)))
}

// ------------------------------------------------------------------------------- pools

pub(crate) fn cuMemPoolCreate(
    pool: Out<CuMemoryPool>,
    pool_props: *const CuMemPoolProps,
) -> CuResult {
    driver::check()?;
    not_null(pool)?;
    let asked = InOut(pool_props.cast_mut()).read()?;
    let device = place(asked.location, asked.kind)?;
    if asked.handle_types != 0 {
        trace(|| "a memory pool that can be exported is not supported".to_owned());
        return Err(CuError::NOT_SUPPORTED);
    }
    if asked.usage != 0 {
        return Err(CuError::NOT_SUPPORTED);
    }
    let made = Pool::new(device, asked.max_len as u64);
    pool.write(made.handle)
}

/// The device of a location that pools and virtual memory can be on.
pub(crate) fn place(location: CuMemLocation, kind: u32) -> Result<usize, CuError> {
    match (kind, location.kind) {
        (TYPE_PINNED, LOCATION_DEVICE) => Ok(driver::device(CuDevice(location.id))?.ordinal),
        // As the attributes of host and NUMA locations say.
        (TYPE_PINNED | TYPE_MANAGED, LOCATION_DEVICE..=LOCATION_MAX) => Err(CuError::NOT_SUPPORTED),
        _ => Err(CuError::INVALID_VALUE),
    }
}

pub(crate) fn cuMemPoolDestroy(pool: CuMemoryPool) -> CuResult {
    let pool = find(pool)?;
    if mempool::default_of(pool.device).handle == pool.handle {
        return Err(CuError::INVALID_VALUE);
    }
    pool.destroy();
    Ok(())
}

pub(crate) fn cuMemPoolTrimTo(pool: CuMemoryPool, min_bytes_to_keep: usize) -> CuResult {
    find(pool)?.trim(min_bytes_to_keep as u64);
    Ok(())
}

pub(crate) fn cuMemPoolSetAttribute(
    pool: CuMemoryPool,
    attr: CuMemPoolAttribute,
    value: *mut c_void,
) -> CuResult {
    let pool = find(pool)?;
    match attr.0 {
        REUSE_FIRST..=REUSE_LAST => {
            let is_on = InOut(value.cast::<i32>()).read()? != 0;
            let index = (attr.0 - REUSE_FIRST) as usize;
            pool.set(|account| account.reuse[index] = is_on);
        }
        THRESHOLD => {
            let threshold = InOut(value.cast::<u64>()).read()?;
            pool.set(|account| account.threshold = threshold);
        }
        RESERVED_HIGH | USED_HIGH => {
            // It can only be reset, to what there is now.
            if InOut(value.cast::<u64>()).read()? != 0 {
                return Err(CuError::INVALID_VALUE);
            }
            pool.set(|account| {
                if attr.0 == USED_HIGH {
                    account.used_high = account.used;
                } else {
                    account.reserved_high = account.reserved;
                }
            });
        }
        _ => return Err(CuError::INVALID_VALUE),
    }
    Ok(())
}

pub(crate) fn cuMemPoolGetAttribute(
    pool: CuMemoryPool,
    attr: CuMemPoolAttribute,
    value: *mut c_void,
) -> CuResult {
    let pool = find(pool)?;
    let account = pool.account();
    let long = |number: u64| raw::store(value.cast::<u64>(), number);
    let word = |number: i32| raw::store(value.cast::<i32>(), number);
    let stored = match attr.0 {
        REUSE_FIRST..=REUSE_LAST => word(i32::from(account.reuse[(attr.0 - REUSE_FIRST) as usize])),
        THRESHOLD => long(account.threshold),
        RESERVED_NOW => long(account.reserved),
        RESERVED_HIGH => long(account.reserved_high),
        USED_NOW => long(account.used),
        USED_HIGH => long(account.used_high),
        ALLOCATION_TYPE => word(TYPE_PINNED.cast_signed()),
        EXPORT_TYPES | HW_DECOMPRESS => word(0),
        LOCATION_ID => word(i32::try_from(pool.device).unwrap_or(i32::MAX)),
        LOCATION_TYPE => word(LOCATION_DEVICE.cast_signed()),
        LEN_MAX => long(pool.len_max),
        LOCALITY_DOMAIN => word(-1),
        _ => false,
    };
    if stored {
        return Ok(());
    }
    Err(CuError::INVALID_VALUE)
}

pub(crate) fn cuMemPoolSetAccess(
    pool: CuMemoryPool,
    map: *const CuMemAccessDesc,
    count: usize,
) -> CuResult {
    let pool = find(pool)?;
    let asked = raw::array(map, count);
    if asked.len() != count {
        return Err(CuError::INVALID_VALUE);
    }
    let (mut grant, mut revoke): (Devices, Devices) = (0, 0);
    for access in asked {
        if access.location.kind != LOCATION_DEVICE {
            return Err(CuError::INVALID_VALUE);
        }
        let device = driver::device(CuDevice(access.location.id))?.ordinal;
        match access.flags {
            // What is on a device is its own.
            ACCESS_NONE if device == pool.device => return Err(CuError::INVALID_VALUE),
            ACCESS_NONE => revoke |= bit(device),
            ACCESS_BOTH if device == pool.device => {}
            ACCESS_BOTH => grant |= bit(device),
            _ => return Err(CuError::INVALID_VALUE),
        }
    }
    pool.set_access(grant & !revoke, revoke);
    Ok(())
}

pub(crate) fn cuMemPoolGetAccess(
    flags: Out<CuMemAccessFlags>,
    mem_pool: CuMemoryPool,
    location: *mut CuMemLocation,
) -> CuResult {
    let pool = find(mem_pool)?;
    not_null(flags)?;
    let location = InOut(location).read()?;
    if location.kind != LOCATION_DEVICE {
        return Err(CuError::INVALID_VALUE);
    }
    let device = driver::device(CuDevice(location.id))?.ordinal;
    let has_access = device == pool.device || pool.devices() & bit(device) != 0;
    flags.write(CuMemAccessFlags(if has_access {
        ACCESS_BOTH
    } else {
        ACCESS_NONE
    }))
}

// ------------------------------------------------------------------------------- which pool

pub(crate) fn cuDeviceGetDefaultMemPool(pool_out: Out<CuMemoryPool>, dev: CuDevice) -> CuResult {
    let device = driver::device(dev)?;
    pool_out.write(mempool::default_of(device.ordinal).handle)
}

pub(crate) fn cuDeviceGetMemPool(pool: Out<CuMemoryPool>, dev: CuDevice) -> CuResult {
    let device = driver::device(dev)?;
    pool.write(mempool::current_of(device.ordinal).handle)
}

pub(crate) fn cuDeviceSetMemPool(dev: CuDevice, pool: CuMemoryPool) -> CuResult {
    let device = driver::device(dev)?;
    let pool = find(pool)?;
    if pool.device != device.ordinal {
        return Err(CuError::INVALID_VALUE);
    }
    mempool::choose(&pool);
    Ok(())
}

pub(crate) fn cuMemGetDefaultMemPool(
    pool_out: Out<CuMemoryPool>,
    location: *mut CuMemLocation,
    type_: CuMemAllocationType,
) -> CuResult {
    driver::check()?;
    not_null(pool_out)?;
    let device = place(InOut(location).read()?, type_.0)?;
    pool_out.write(mempool::default_of(device).handle)
}

pub(crate) fn cuMemGetMemPool(
    pool: Out<CuMemoryPool>,
    location: *mut CuMemLocation,
    type_: CuMemAllocationType,
) -> CuResult {
    driver::check()?;
    not_null(pool)?;
    let device = place(InOut(location).read()?, type_.0)?;
    pool.write(mempool::current_of(device).handle)
}

pub(crate) fn cuMemSetMemPool(
    location: *mut CuMemLocation,
    type_: CuMemAllocationType,
    pool: CuMemoryPool,
) -> CuResult {
    driver::check()?;
    let device = place(InOut(location).read()?, type_.0)?;
    cuDeviceSetMemPool(CuDevice(i32::try_from(device).unwrap_or(i32::MAX)), pool)
}

// ------------------------------------------------------------------------------- other processes

/// Says once more that pools stay in their process.
fn not_shared() -> CuResult {
    driver::check()?;
    trace(|| "memory pools cannot be shared between processes".to_owned());
    Err(CuError::NOT_SUPPORTED)
}

pub(crate) fn cuMemPoolExportToShareableHandle(
    _handle_out: *mut c_void,
    pool: CuMemoryPool,
    _handle_type: CuMemAllocationHandleType,
    _flags: u64,
) -> CuResult {
    find(pool)?;
    not_shared()
}

pub(crate) fn cuMemPoolImportFromShareableHandle(
    _pool_out: *mut CuMemoryPool,
    _handle: *mut c_void,
    _handle_type: CuMemAllocationHandleType,
    _flags: u64,
) -> CuResult {
    not_shared()
}

pub(crate) fn cuMemPoolExportPointer(
    _share_data_out: *mut CuMemPoolPtrExportData,
    _ptr: CuDevicePtr,
) -> CuResult {
    not_shared()
}

pub(crate) fn cuMemPoolImportPointer(
    _ptr_out: *mut CuDevicePtr,
    _pool: CuMemoryPool,
    _share_data: *mut CuMemPoolPtrExportData,
) -> CuResult {
    not_shared()
}

fn find(pool: CuMemoryPool) -> Result<Arc<Pool>, CuError> {
    driver::check()?;
    POOLS.find(pool.0).ok_or(CuError::INVALID_VALUE)
}

/// CU_MEMPOOL_ATTR_*.
const REUSE_FIRST: u32 = 1;
const REUSE_LAST: u32 = 3;
const THRESHOLD: u32 = 4;
const RESERVED_NOW: u32 = 5;
const RESERVED_HIGH: u32 = 6;
const USED_NOW: u32 = 7;
const USED_HIGH: u32 = 8;
const ALLOCATION_TYPE: u32 = 9;
const EXPORT_TYPES: u32 = 10;
const LOCATION_ID: u32 = 11;
const LOCATION_TYPE: u32 = 12;
const LEN_MAX: u32 = 13;
const HW_DECOMPRESS: u32 = 14;
const LOCALITY_DOMAIN: u32 = 15;
/// CU_MEM_ALLOCATION_TYPE_PINNED and _MANAGED.
pub(crate) const TYPE_PINNED: u32 = 1;
const TYPE_MANAGED: u32 = 2;
/// CU_MEM_LOCATION_TYPE_DEVICE, and the last one.
pub(crate) const LOCATION_DEVICE: u32 = 1;
const LOCATION_MAX: u32 = 6;
/// CU_MEM_ACCESS_FLAGS_PROT_NONE and _READWRITE.
const ACCESS_NONE: u32 = 0;
const ACCESS_BOTH: u32 = 3;
