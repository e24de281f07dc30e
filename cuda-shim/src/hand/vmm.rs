//! Virtual memory: addresses that are the worker's and claimed here, and what is mapped to them.
//!
//! Only the mappings are known here, as ranges of device memory: what there is of physical memory,
//! and how often it is named, the worker knows.

#![expect(non_snake_case, reason = "CUDA's own names keep CUDA's spelling")]

use std::ffi::c_void;

use flexdirect_wire::abi::{
    CuDevicePtr, CuError, CuMemAccessDesc, CuMemAllocationGranularityFlags, CuMemAllocationProp,
    CuMemGenericAllocationHandle, CuMemLocation, CuResult, InOut, Out,
};
use flexdirect_wire::body::{
    Access, AccessChange, AccessOf, Map, One, Physical, PhysicalFound, Reserve, Space,
};
use flexdirect_wire::call::{Op, op};
use flexdirect_wire::limits::{ACCESS_CHANGES_MAX, CLAIM_TRIES_MAX};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::pool::place;
use super::{one, wanted};
use crate::log;
use crate::process::{Process, body, process};
use crate::ranges::{Kind, Range};
use crate::session::{Issue, Reply};

const BAD: CuError = CuError::INVALID_VALUE;

/// A call in no context, at a device.
fn ask(process: &Process, ordinal: usize, op: Op, body: &[u8]) -> Result<Reply, CuError> {
    let issue = Issue {
        op,
        lane: process.devices[ordinal].lane,
        context: 0,
    };
    process.session.call(issue, body)
}

/// As [`ask`], with what is answered.
fn found<T: FromBytes + IntoBytes + Immutable>(
    process: &Process,
    ordinal: usize,
    op: Op,
    body: &[u8],
) -> Result<T, CuError> {
    ask(process, ordinal, op, body)?
        .made()?
        .get()
        .map_err(|error| process.session.broken(&error))
}

// ------------------------------------------------------------------------------- addresses

pub(crate) fn cuMemAddressReserve(
    ptr: Out<CuDevicePtr>,
    size: usize,
    alignment: usize,
    addr: CuDevicePtr,
    flags: u64,
) -> CuResult {
    let process = process()?;
    wanted(ptr.is_null())?;
    let mut asked = Reserve {
        len: size as u64,
        alignment: alignment as u64,
        wanted: addr.0,
        flags,
        decoy: 0,
    };
    for _ in 0..CLAIM_TRIES_MAX {
        let given: One = found(process, 0, op::cuMemAddressReserve, asked.as_bytes())?;
        let address = given.value;
        if process.claims().claim(address, asked.len).is_ok() {
            return ptr.write(CuDevicePtr(address));
        }
        log::info!("addresses from {address:#x} on collide with memory of this process");
        asked.decoy = address;
        // Where this process has nothing, the worker may have nothing either.
        let choice = process.claims().choose(asked.len, asked.alignment);
        asked.wanted = choice.unwrap_or(0);
    }
    let last = Space {
        address: asked.decoy,
        len: asked.len,
    };
    ask(process, 0, op::cuMemAddressFree, last.as_bytes())?.check()?;
    log::error!("no addresses that this process does not use");
    Err(CuError::OUT_OF_MEMORY)
}

/// The claim stays, as that of every address does.
pub(crate) fn cuMemAddressFree(ptr: CuDevicePtr, size: usize) -> CuResult {
    let process = process()?;
    let space = Space {
        address: ptr.0,
        len: size as u64,
    };
    ask(process, 0, op::cuMemAddressFree, space.as_bytes())?.check()
}

// ------------------------------------------------------------------------------- memory

/// Device and handle types that are asked for, if there can be such memory.
fn about(process: &Process, prop: *const CuMemAllocationProp) -> Result<(usize, u32), CuError> {
    let asked = InOut(prop.cast_mut()).read()?;
    let ordinal = place(process, asked.location, asked.kind)?;
    if asked.handle_types & !POSIX_DESCRIPTOR != 0 || asked.usage != 0 {
        return Err(CuError::NOT_SUPPORTED);
    }
    Ok((ordinal, asked.handle_types))
}

pub(crate) fn cuMemGetAllocationGranularity(
    granularity: Out<usize>,
    prop: *const CuMemAllocationProp,
    option: CuMemAllocationGranularityFlags,
) -> CuResult {
    let process = process()?;
    wanted(granularity.is_null())?;
    let (ordinal, _) = about(process, prop)?;
    let op = op::cuMemGetAllocationGranularity;
    let given: One = found(process, ordinal, op, &one(u64::from(option.0)))?;
    granularity.write(usize::try_from(given.value).unwrap_or(usize::MAX))
}

/// A handle of the operating system may be asked for, as allocators do in any case: there will be
/// none.
pub(crate) fn cuMemCreate(
    handle: Out<CuMemGenericAllocationHandle>,
    size: usize,
    prop: *const CuMemAllocationProp,
    flags: u64,
) -> CuResult {
    let process = process()?;
    wanted(handle.is_null())?;
    let (ordinal, handle_types) = about(process, prop)?;
    let asked = Physical {
        len: size as u64,
        flags,
        handle_types,
        reserved: 0,
    };
    let made: One = found(process, ordinal, op::cuMemCreate, asked.as_bytes())?;
    handle.write(CuMemGenericAllocationHandle(made.value))
}

pub(crate) fn cuMemRelease(handle: CuMemGenericAllocationHandle) -> CuResult {
    ask(process()?, 0, op::cuMemRelease, &one(handle.0))?.check()
}

pub(crate) fn cuMemGetAllocationPropertiesFromHandle(
    prop: Out<CuMemAllocationProp>,
    handle: CuMemGenericAllocationHandle,
) -> CuResult {
    let process = process()?;
    let op = op::cuMemGetAllocationPropertiesFromHandle;
    let about: PhysicalFound = found(process, 0, op, &one(handle.0))?;
    let ordinal = ordinal_of(process, about.device);
    prop.write(CuMemAllocationProp {
        kind: TYPE_PINNED,
        handle_types: about.handle_types,
        location: CuMemLocation {
            kind: LOCATION_DEVICE,
            id: i32::try_from(ordinal).unwrap_or(i32::MAX),
        },
        ..CuMemAllocationProp::default()
    })
}

pub(crate) fn cuMemRetainAllocationHandle(
    handle: Out<CuMemGenericAllocationHandle>,
    addr: *mut c_void,
) -> CuResult {
    let process = process()?;
    wanted(handle.is_null())?;
    let address = one(addr.addr() as u64);
    let given: One = found(process, 0, op::cuMemRetainAllocationHandle, &address)?;
    handle.write(CuMemGenericAllocationHandle(given.value))
}

/// Ordinal, as the application sees it, of a device of the lease.
fn ordinal_of(process: &Process, lane: u32) -> usize {
    let mut devices = process.devices.iter();
    let found = devices.position(|device| u32::from(device.lane) == lane);
    found.unwrap_or(0)
}

// ------------------------------------------------------------------------------- mappings

pub(crate) fn cuMemMap(
    ptr: CuDevicePtr,
    size: usize,
    offset: usize,
    handle: CuMemGenericAllocationHandle,
    flags: u64,
) -> CuResult {
    let process = process()?;
    let asked = Map {
        address: ptr.0,
        len: size as u64,
        offset: offset as u64,
        memory: handle.0,
        flags,
    };
    let about: PhysicalFound = found(process, 0, op::cuMemMap, asked.as_bytes())?;
    process.ranges_mut().insert(Range {
        start: ptr.0,
        len: size as u64,
        kind: Kind::Mapped(0),
        context: 0,
        ordinal: ordinal_of(process, about.device),
        id: 0,
    });
    Ok(())
}

/// Waits for the device's work, as the driver does.
pub(crate) fn cuMemUnmap(ptr: CuDevicePtr, size: usize) -> CuResult {
    let process = process()?;
    let space = Space {
        address: ptr.0,
        len: size as u64,
    };
    ask(process, 0, op::cuMemUnmap, space.as_bytes())?.check()?;
    let unmapped = ptr.0..ptr.0.saturating_add(space.len);
    process
        .ranges_mut()
        .remove_all(|range| range.is_mapped() && unmapped.contains(&range.start));
    Ok(())
}

pub(crate) fn cuMemSetAccess(
    ptr: CuDevicePtr,
    size: usize,
    desc: *const CuMemAccessDesc,
    count: usize,
) -> CuResult {
    let process = process()?;
    if !(1..=ACCESS_CHANGES_MAX).contains(&count) {
        return Err(BAD);
    }
    let mut changes = Vec::new();
    for index in 0..count {
        let access = InOut(desc.cast_mut().wrapping_add(index)).read()?;
        let ordinal = place(process, access.location, TYPE_PINNED)?;
        if ![ACCESS_NONE, ACCESS_READ, ACCESS_BOTH].contains(&access.flags) {
            return Err(BAD);
        }
        changes.push((ordinal, access.flags));
    }
    let record = body(|record| {
        record.put(&AccessChange {
            address: ptr.0,
            len: size as u64,
            changes: u32::try_from(count).expect("at most ACCESS_CHANGES_MAX"),
            reserved: 0,
        });
        for &(ordinal, flags) in &changes {
            let device = u32::from(process.devices[ordinal].lane);
            record.put(&Access { device, flags });
        }
        Ok(())
    })?;
    ask(process, 0, op::cuMemSetAccess, &record)?.check()?;
    let mut ranges = process.ranges_mut();
    for (ordinal, flags) in changes {
        ranges.set_access(ptr.0, size as u64, ordinal, flags != ACCESS_NONE);
    }
    Ok(())
}

pub(crate) fn cuMemGetAccess(
    flags: Out<u64>,
    location: *const CuMemLocation,
    ptr: CuDevicePtr,
) -> CuResult {
    let process = process()?;
    wanted(flags.is_null())?;
    let ordinal = place(process, InOut(location.cast_mut()).read()?, TYPE_PINNED)?;
    let asked = AccessOf {
        address: ptr.0,
        device: u32::from(process.devices[ordinal].lane),
        reserved: 0,
    };
    let given: One = found(process, 0, op::cuMemGetAccess, asked.as_bytes())?;
    flags.write(given.value)
}

/// `CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR`.
const POSIX_DESCRIPTOR: u32 = 1;
/// `CU_MEM_ALLOCATION_TYPE_PINNED` and `CU_MEM_LOCATION_TYPE_DEVICE`.
const TYPE_PINNED: u32 = 1;
const LOCATION_DEVICE: u32 = 1;
/// `CU_MEM_ACCESS_FLAGS_PROT_*`.
const ACCESS_NONE: u32 = 0;
const ACCESS_READ: u32 = 1;
const ACCESS_BOTH: u32 = 3;
