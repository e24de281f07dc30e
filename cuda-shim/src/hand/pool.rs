//! Stream-ordered allocation and the pools it comes from.
//!
//! An allocation is awaited, since its address is; a free is posted. Memory of a pool belongs to no
//! context: its ranges outlive the context that was current when they were made.

#![expect(non_snake_case, reason = "CUDA's own names keep CUDA's spelling")]

use std::ffi::c_void;
use std::sync::Arc;

use flexdirect_wire::abi::{
    CuDevice, CuDevicePtr, CuError, CuMemAccessDesc, CuMemAccessFlags, CuMemAllocationType,
    CuMemLocation, CuMemPoolAttribute, CuMemPoolProps, CuMemoryPool, CuResult, CuStream, InOut,
    Out,
};
use flexdirect_wire::body::{Allocated, One, PoolAccess, PoolAlloc, PoolFree, PoolValue};
use flexdirect_wire::call::{Op, op};
use flexdirect_wire::limits::{CLAIM_TRIES_MAX, DEVICES_MAX};
use zerocopy::IntoBytes;

use super::stream::{Target, target};
use super::{one, wanted};
use crate::devices;
use crate::log;
use crate::objects::Pool;
use crate::process::{Process, process};
use crate::ranges::{Kind, Range};
use crate::session::Issue;

const BAD: CuError = CuError::INVALID_VALUE;

fn find(process: &Process, pool: CuMemoryPool) -> Result<Arc<Pool>, CuError> {
    process.pools.find(pool.0).ok_or(BAD)
}

/// Asks the device of this ordinal, in no context, and takes the number that it answers.
fn ask(process: &Process, ordinal: usize, op: Op, body: &[u8]) -> Result<u64, CuError> {
    let issue = Issue {
        op,
        lane: process.devices[ordinal].lane,
        context: 0,
    };
    let reply = process.session.call(issue, body)?;
    let answer: One = reply
        .made()?
        .get()
        .map_err(|error| process.session.broken(&error))?;
    Ok(answer.value)
}

/// As [`ask`], of what answers nothing.
fn tell(process: &Process, ordinal: usize, op: Op, body: &[u8]) -> CuResult {
    let issue = Issue {
        op,
        lane: process.devices[ordinal].lane,
        context: 0,
    };
    process.session.call(issue, body)?.check()
}

// ------------------------------------------------------------------------------- memory

/// Allocates from a pool, or from the current one of the stream's device.
pub(crate) fn allocate_async(
    dptr: Out<CuDevicePtr>,
    len: usize,
    pool: Option<CuMemoryPool>,
    stream: CuStream,
) -> CuResult {
    let process = process()?;
    let target = target(process, stream)?;
    wanted(dptr.is_null())?;
    let ordinal = match pool {
        Some(pool) => find(process, pool)?.ordinal,
        None => process.context(target.context)?.ordinal,
    };
    wanted(len == 0)?;
    not_captured(process, &target)?;
    let ask = PoolAlloc {
        pool: pool.map_or(0, |pool| pool.0),
        len: len as u64,
        stream: target.handle,
        decoy: 0,
    };
    dptr.write(CuDevicePtr(allocate(process, target, ordinal, ask)?))
}

/// Memory that a graph would own is not forwarded: neither its address nor the share that it takes
/// would be known here before the graph runs.
fn not_captured(process: &Process, target: &Target) -> CuResult {
    if process.session.is_capturing() && crate::graph::is_captured(process, target) {
        return Err(CuError::NOT_SUPPORTED);
    }
    Ok(())
}

/// Asks until the driver gives an address that the client does not use itself.
fn allocate(
    process: &Process,
    target: Target,
    ordinal: usize,
    mut ask: PoolAlloc,
) -> Result<u64, CuError> {
    for _ in 0..CLAIM_TRIES_MAX {
        let reply = target.call(process, op::cuMemAllocFromPoolAsync, |record| {
            record.put(&ask);
            Ok(())
        })?;
        let block: Allocated = reply
            .made()?
            .get()
            .map_err(|error| process.session.broken(&error))?;
        let claimed = process.claims().claim(block.address, block.len);
        if claimed.is_ok() {
            process.ranges_mut().insert(Range {
                start: block.address,
                len: block.len,
                kind: Kind::Device,
                context: 0,
                ordinal,
                id: 0,
            });
            return Ok(block.address);
        }
        log::info!(
            "memory of a pool at {:#x} collides with memory of this process",
            block.address
        );
        ask.decoy = block.address;
    }
    // The last one has not become a decoy, and is nobody's.
    free(process, target, ask.decoy)?;
    Err(CuError::OUT_OF_MEMORY)
}

pub(crate) fn cuMemAllocFromPoolAsync(
    dptr: Out<CuDevicePtr>,
    bytesize: usize,
    pool: CuMemoryPool,
    stream: CuStream,
) -> CuResult {
    allocate_async(dptr, bytesize, Some(pool), stream)
}

pub(crate) fn cuMemFreeAsync(dptr: CuDevicePtr, stream: CuStream) -> CuResult {
    let process = process()?;
    let target = target(process, stream)?;
    process.session.check_context(target.context)?;
    not_captured(process, &target)?;
    let freed = process
        .ranges_mut()
        .remove(dptr.0, |kind| kind == Kind::Device);
    freed.ok_or(BAD)?;
    free(process, target, dptr.0)
}

fn free(process: &Process, target: Target, address: u64) -> CuResult {
    target.post(process, op::cuMemFreeAsync, |record| {
        record.put(&PoolFree {
            address,
            stream: target.handle,
        });
        Ok(())
    })
}

// ------------------------------------------------------------------------------- pools

/// The device of a location that pools can be on.
pub(super) fn place(
    process: &Process,
    location: CuMemLocation,
    kind: u32,
) -> Result<usize, CuError> {
    match (kind, location.kind) {
        (TYPE_PINNED, LOCATION_DEVICE) => {
            Ok(devices::find(&process.devices, CuDevice(location.id))?.0)
        }
        // As the attributes of host and NUMA locations say.
        (TYPE_PINNED | TYPE_MANAGED, LOCATION_DEVICE..=LOCATION_MAX) => Err(CuError::NOT_SUPPORTED),
        _ => Err(BAD),
    }
}

pub(crate) fn cuMemPoolCreate(
    pool: Out<CuMemoryPool>,
    pool_props: *const CuMemPoolProps,
) -> CuResult {
    let process = process()?;
    wanted(pool.is_null())?;
    let asked = InOut(pool_props.cast_mut()).read()?;
    let ordinal = place(process, asked.location, asked.kind)?;
    if asked.handle_types != 0 || asked.usage != 0 {
        // A handle of the operating system means nothing at another host.
        return Err(CuError::NOT_SUPPORTED);
    }
    let body = one(asked.max_len as u64);
    let made = ask(process, ordinal, op::cuMemPoolCreate, &body)?;
    process.pools.insert(made, Arc::new(Pool { ordinal }));
    pool.write(CuMemoryPool(made))
}

pub(crate) fn cuMemPoolDestroy(pool: CuMemoryPool) -> CuResult {
    let process = process()?;
    let ordinal = find(process, pool)?.ordinal;
    tell(process, ordinal, op::cuMemPoolDestroy, &one(pool.0))?;
    process.pools.remove(pool.0);
    Ok(())
}

fn value_of(pool: CuMemoryPool, attribute: u32, value: u64) -> PoolValue {
    PoolValue {
        pool: pool.0,
        attribute,
        reserved: 0,
        value,
    }
}

pub(crate) fn cuMemPoolTrimTo(pool: CuMemoryPool, min_bytes_to_keep: usize) -> CuResult {
    let process = process()?;
    let ordinal = find(process, pool)?.ordinal;
    let body = value_of(pool, 0, min_bytes_to_keep as u64);
    tell(process, ordinal, op::cuMemPoolTrimTo, body.as_bytes())
}

pub(crate) fn cuMemPoolSetAttribute(
    pool: CuMemoryPool,
    attr: CuMemPoolAttribute,
    value: *mut c_void,
) -> CuResult {
    let process = process()?;
    let ordinal = find(process, pool)?.ordinal;
    let value = match attr.0 {
        REUSE_FIRST..=REUSE_LAST => u64::from(InOut(value.cast::<i32>()).read()? != 0),
        THRESHOLD | RESERVED_HIGH | USED_HIGH => InOut(value.cast::<u64>()).read()?,
        _ => return Err(BAD),
    };
    let body = value_of(pool, attr.0, value);
    tell(process, ordinal, op::cuMemPoolSetAttribute, body.as_bytes())
}

pub(crate) fn cuMemPoolGetAttribute(
    pool: CuMemoryPool,
    attr: CuMemPoolAttribute,
    value: *mut c_void,
) -> CuResult {
    let process = process()?;
    let ordinal = find(process, pool)?.ordinal;
    if !(REUSE_FIRST..=ATTRIBUTE_MAX).contains(&attr.0) || value.is_null() {
        return Err(BAD);
    }
    if attr.0 == LOCATION_ID {
        return Out(value.cast::<i32>()).write(i32::try_from(ordinal).unwrap_or(i32::MAX));
    }
    let body = value_of(pool, attr.0, 0);
    let found = ask(process, ordinal, op::cuMemPoolGetAttribute, body.as_bytes())?;
    match attr.0 {
        THRESHOLD..=USED_HIGH | LEN_MAX => Out(value.cast::<u64>()).write(found),
        _ => {
            // The worker's driver has written the low four bytes of eight.
            let [a, b, c, d, ..] = found.to_le_bytes();
            Out(value.cast::<i32>()).write(i32::from_le_bytes([a, b, c, d]))
        }
    }
}

pub(crate) fn cuMemPoolSetAccess(
    pool: CuMemoryPool,
    map: *const CuMemAccessDesc,
    count: usize,
) -> CuResult {
    let process = process()?;
    let home = find(process, pool)?.ordinal;
    if count > DEVICES_MAX {
        return Err(BAD);
    }
    let mut changes = Vec::new();
    for index in 0..count {
        let access = InOut(map.cast_mut().wrapping_add(index)).read()?;
        if access.location.kind != LOCATION_DEVICE {
            return Err(BAD);
        }
        let (ordinal, device) = devices::find(&process.devices, CuDevice(access.location.id))?;
        match access.flags {
            // What is on a device is its own.
            ACCESS_NONE if ordinal == home => return Err(BAD),
            ACCESS_BOTH if ordinal == home => {}
            ACCESS_NONE | ACCESS_BOTH => changes.push(PoolAccess {
                pool: pool.0,
                device: u32::from(device.lane),
                flags: access.flags,
            }),
            _ => return Err(BAD),
        }
    }
    let op = op::cuMemPoolSetAccess;
    let mut each = changes.iter();
    each.try_for_each(|change| tell(process, home, op, change.as_bytes()))
}

pub(crate) fn cuMemPoolGetAccess(
    flags: Out<CuMemAccessFlags>,
    mem_pool: CuMemoryPool,
    location: *mut CuMemLocation,
) -> CuResult {
    let process = process()?;
    let home = find(process, mem_pool)?.ordinal;
    wanted(flags.is_null())?;
    let location = InOut(location).read()?;
    if location.kind != LOCATION_DEVICE {
        return Err(BAD);
    }
    let (_, device) = devices::find(&process.devices, CuDevice(location.id))?;
    let body = PoolAccess {
        pool: mem_pool.0,
        device: u32::from(device.lane),
        flags: 0,
    };
    let found = ask(process, home, op::cuMemPoolGetAccess, body.as_bytes())?;
    flags.write(CuMemAccessFlags(u32::try_from(found).unwrap_or(0)))
}

// ------------------------------------------------------------------------------- which pool

/// A pool that the driver names.
fn named(pool: Out<CuMemoryPool>, ordinal: usize, op: Op) -> CuResult {
    let process = process()?;
    wanted(pool.is_null())?;
    let found = ask(process, ordinal, op, &[])?;
    if process.pools.find(found).is_none() {
        process.pools.insert(found, Arc::new(Pool { ordinal }));
    }
    pool.write(CuMemoryPool(found))
}

pub(crate) fn cuDeviceGetDefaultMemPool(pool_out: Out<CuMemoryPool>, dev: CuDevice) -> CuResult {
    let (ordinal, _) = devices::find(&process()?.devices, dev)?;
    named(pool_out, ordinal, op::cuDeviceGetDefaultMemPool)
}

pub(crate) fn cuDeviceGetMemPool(pool: Out<CuMemoryPool>, dev: CuDevice) -> CuResult {
    let (ordinal, _) = devices::find(&process()?.devices, dev)?;
    named(pool, ordinal, op::cuDeviceGetMemPool)
}

pub(crate) fn cuDeviceSetMemPool(dev: CuDevice, pool: CuMemoryPool) -> CuResult {
    let process = process()?;
    let (ordinal, _) = devices::find(&process.devices, dev)?;
    if find(process, pool)?.ordinal != ordinal {
        return Err(BAD);
    }
    tell(process, ordinal, op::cuDeviceSetMemPool, &one(pool.0))
}

/// Device of a place that pools can be on.
pub(crate) fn device_of_place(
    location: *mut CuMemLocation,
    kind: CuMemAllocationType,
) -> Result<CuDevice, CuError> {
    let ordinal = place(process()?, InOut(location).read()?, kind.0)?;
    Ok(CuDevice(i32::try_from(ordinal).unwrap_or(i32::MAX)))
}

/// `CU_MEMPOOL_ATTR_*`.
const REUSE_FIRST: u32 = 1;
const REUSE_LAST: u32 = 3;
const THRESHOLD: u32 = 4;
const RESERVED_HIGH: u32 = 6;
const USED_HIGH: u32 = 8;
const LOCATION_ID: u32 = 11;
const LEN_MAX: u32 = 13;
const ATTRIBUTE_MAX: u32 = 15;
/// `CU_MEM_ALLOCATION_TYPE_PINNED` and `_MANAGED`.
const TYPE_PINNED: u32 = 1;
const TYPE_MANAGED: u32 = 2;
/// `CU_MEM_LOCATION_TYPE_DEVICE`, and the last one.
const LOCATION_DEVICE: u32 = 1;
const LOCATION_MAX: u32 = 6;
/// `CU_MEM_ACCESS_FLAGS_PROT_NONE` and `_READWRITE`.
const ACCESS_NONE: u32 = 0;
const ACCESS_BOTH: u32 = 3;
