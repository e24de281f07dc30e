//! Virtual memory: the driver's own addresses and handles, in tables that are checked first.
//!
//! Physical memory comes out of the share as any other does, until neither a name nor a mapping of
//! it is left.
#![expect(non_snake_case, reason = "CUDA's own names keep CUDA's spelling")]

use std::ffi::c_void;

use flexdirect_wire::abi::{
    CuDevicePtr, CuMemAccessDesc, CuMemAllocationGranularityFlags, CuMemAllocationProp,
    CuMemGenericAllocationHandle, CuMemLocation, Out,
};
use flexdirect_wire::body::{
    Access, AccessChange, AccessOf, Map, One, Physical, PhysicalFound, Reserve, Space,
};
use flexdirect_wire::limits::ACCESS_CHANGES_MAX;
use flexdirect_wire::{CuError, Kind, ShadowHandle};

use super::memory::{behind_frees, reserve};
use crate::dispatch::{Call, Step, Stop};
use crate::driver::Driver;
use crate::session::{Current, Session};
use crate::shadow::contexts::Tables;
use crate::shadow::handles::Object;
use crate::shadow::ranges::{Owner, Range};
use crate::shadow::spaces::Memory;

const BAD: CuError = CuError::INVALID_VALUE;

fn size(value: u64) -> Result<usize, CuError> {
    usize::try_from(value).map_err(|_| BAD)
}

fn answer(call: &mut Call<'_>, value: u64) -> Result<Step, Stop> {
    call.answer().put(&One { value });
    Ok(Step::Done)
}

// ------------------------------------------------------------------------------- addresses

pub(crate) fn cuMemAddressReserve(call: &mut Call<'_>) -> Result<Step, Stop> {
    let asked: Reserve = call.body.get()?;
    let session = call.session;
    if asked.decoy != 0 {
        session.tables().spaces.keep_decoy(asked.decoy)?;
    }
    let mut address = CuDevicePtr::default();
    // SAFETY: the pointer is to a local that outlives the call.
    unsafe {
        session.driver.cuMemAddressReserve(
            Out(&raw mut address),
            size(asked.len)?,
            size(asked.alignment)?,
            CuDevicePtr(asked.wanted),
            asked.flags,
        )
    }?;
    let entered = session.tables().spaces.reserve(address.0, asked.len);
    if let Err(error) = entered {
        free(&session.driver, address.0, asked.len)?;
        return Err(error.into());
    }
    answer(call, address.0)
}

pub(crate) fn cuMemAddressFree(call: &mut Call<'_>) -> Result<Step, Stop> {
    let Space { address, len } = call.body.get()?;
    let session = call.session;
    session.tables().spaces.check_reserved(address, len)?;
    free(&session.driver, address, len)?;
    session.tables().spaces.free(address);
    Ok(Step::Done)
}

fn free(driver: &Driver, address: u64, len: u64) -> Result<(), CuError> {
    let len = size(len)?;
    // SAFETY: a reservation of the session's; the driver refuses one in which something is mapped.
    unsafe { driver.cuMemAddressFree(CuDevicePtr(address), len) }
}

// ------------------------------------------------------------------------------- memory

/// Memory of a device, which no other process is handed.
fn properties(device: u16) -> CuMemAllocationProp {
    CuMemAllocationProp {
        kind: TYPE_PINNED,
        location: location(device),
        ..CuMemAllocationProp::default()
    }
}

fn location(device: u16) -> CuMemLocation {
    CuMemLocation {
        kind: LOCATION_DEVICE,
        id: i32::from(device),
    }
}

fn granularity(driver: &Driver, device: u16, option: u32) -> Result<u64, CuError> {
    let (mut granularity, prop) = (0_usize, properties(device));
    // SAFETY: both pointers are to locals that outlive the call.
    unsafe {
        driver.cuMemGetAllocationGranularity(
            Out(&raw mut granularity),
            &raw const prop,
            CuMemAllocationGranularityFlags(option),
        )
    }?;
    Ok(granularity as u64)
}

pub(crate) fn cuMemGetAllocationGranularity(call: &mut Call<'_>) -> Result<Step, Stop> {
    let One { value } = call.body.get()?;
    let option = u32::try_from(value).map_err(|_| BAD)?;
    let found = granularity(&call.session.driver, call.header.lane, option)?;
    answer(call, found)
}

pub(crate) fn cuMemCreate(call: &mut Call<'_>) -> Result<Step, Stop> {
    let asked: Physical = call.body.get()?;
    let device = call.header.lane;
    Call::later(move |desk| {
        let session = desk.session;
        let made = behind_frees(session, || take(session, device, &asked))?;
        let mut tables = session.tables();
        let object = Object {
            driver: made.0,
            ..Object::default()
        };
        let name = match tables.handles.invent(Kind::MEMORY, object) {
            Ok(name) => name,
            Err(error) => {
                drop(tables);
                release(&session.driver, made)?;
                session.quota.release(device, asked.len);
                return Err(error);
            }
        };
        let (types, len) = (asked.handle_types, asked.len);
        tables.spaces.insert(name, device, types, len);
        drop(tables);
        desk.answer().put(&One { value: name.0 });
        Ok(())
    })
}

/// Makes physical memory within the share.
fn take(
    session: &Session,
    device: u16,
    asked: &Physical,
) -> Result<CuMemGenericAllocationHandle, CuError> {
    let driver = &session.driver;
    let unit = granularity(driver, device, GRANULARITY_MINIMUM)?;
    if asked.len == 0 || !asked.len.is_multiple_of(unit.max(1)) {
        // What could never be is another error than what does not fit now.
        return Err(BAD);
    }
    let (len, prop) = (size(asked.len)?, properties(device));
    let place = Current {
        device,
        ..Current::default()
    };
    reserve(session, place, asked.len)?;
    let mut made = CuMemGenericAllocationHandle::default();
    // SAFETY: both pointers are to locals that outlive the call.
    let given =
        unsafe { driver.cuMemCreate(Out(&raw mut made), len, &raw const prop, asked.flags) };
    if let Err(error) = given {
        session.quota.release(device, asked.len);
        return Err(error);
    }
    Ok(made)
}

fn release(driver: &Driver, handle: CuMemGenericAllocationHandle) -> Result<(), CuError> {
    // SAFETY: a handle of the session's, which is released as often as it was given.
    unsafe { driver.cuMemRelease(handle) }
}

pub(crate) fn cuMemRelease(call: &mut Call<'_>) -> Result<Step, Stop> {
    let One { value } = call.body.get()?;
    let name = ShadowHandle(value);
    let mut tables = call.session.tables();
    let driver = driver_handle(&tables, name)?;
    let (is_gone, freed) = tables.spaces.release(name)?;
    if is_gone {
        tables.handles.remove(Kind::MEMORY, name);
    }
    drop(tables);
    Call::later(move |desk| {
        let released = release(&desk.session.driver, driver);
        give_back(desk.session, freed);
        released
    })
}

fn driver_handle(
    tables: &Tables,
    name: ShadowHandle,
) -> Result<CuMemGenericAllocationHandle, CuError> {
    let object = tables.handles.find(Kind::MEMORY, name);
    let object = object.ok_or(BAD)?;
    Ok(CuMemGenericAllocationHandle(object.driver))
}

/// Memory that nothing keeps any more is in the share again.
fn give_back(session: &Session, freed: impl IntoIterator<Item = Memory>) {
    for memory in freed {
        session.quota.release(memory.device, memory.reserved);
    }
}

pub(crate) fn cuMemGetAllocationPropertiesFromHandle(call: &mut Call<'_>) -> Result<Step, Stop> {
    let One { value } = call.body.get()?;
    let (_, memory) = call.session.tables().spaces.find(ShadowHandle(value))?;
    call.answer().put(&found(&memory));
    Ok(Step::Done)
}

fn found(memory: &Memory) -> PhysicalFound {
    PhysicalFound {
        device: u32::from(memory.device),
        handle_types: memory.handle_types,
    }
}

pub(crate) fn cuMemRetainAllocationHandle(call: &mut Call<'_>) -> Result<Step, Stop> {
    let One { value: address } = call.body.get()?;
    let session = call.session;
    let mut tables = session.tables();
    let owner = tables.ranges.find(address).map(|range| range.owner);
    let Some(Owner::Mapping { memory, .. }) = owner else {
        return Err(BAD.into());
    };
    let mut handle = CuMemGenericAllocationHandle::default();
    let place: *mut c_void = std::ptr::without_provenance_mut(size(address)?);
    // SAFETY: the pointer is to a local that outlives the call; the address is that of a mapping of
    // the session's, which the driver looks up.
    unsafe {
        session
            .driver
            .cuMemRetainAllocationHandle(Out(&raw mut handle), place)
    }?;
    let known = tables.spaces.name_of(memory);
    let known = known.filter(|&name| driver_handle(&tables, name) == Ok(handle));
    let name = if let Some(name) = known {
        tables.spaces.retain(name);
        name
    } else {
        let object = Object {
            driver: handle.0,
            ..Object::default()
        };
        let invented = tables.handles.invent(Kind::MEMORY, object);
        let Ok(name) = invented else {
            drop(tables);
            release(&session.driver, handle)?;
            return Err(CuError::OUT_OF_MEMORY.into());
        };
        tables.spaces.add_name(memory, name);
        name
    };
    drop(tables);
    answer(call, name.0)
}

// ------------------------------------------------------------------------------- mappings

pub(crate) fn cuMemMap(call: &mut Call<'_>) -> Result<Step, Stop> {
    let asked: Map = call.body.get()?;
    let session = call.session;
    let mut tables = session.tables();
    let name = ShadowHandle(asked.memory);
    let (number, memory) = tables.spaces.find(name)?;
    let handle = driver_handle(&tables, name)?;
    tables.spaces.check_inside(asked.address, asked.len)?;
    tables.spaces.map(number)?;
    let address = CuDevicePtr(asked.address);
    let sizes = size(asked.len).and_then(|len| Ok((len, size(asked.offset)?)));
    let mapped = sizes.and_then(|(len, offset)| {
        // SAFETY: addresses that are reserved for the session, and memory of its own; the driver
        // refuses addresses where something is mapped.
        unsafe {
            session
                .driver
                .cuMemMap(address, len, offset, handle, asked.flags)
        }
    });
    if let Err(error) = mapped {
        tables.spaces.unmap(number);
        return Err(error.into());
    }
    let (memory_number, devices) = (number, 0);
    tables.ranges.insert(Range {
        address: asked.address,
        len: asked.len,
        owner: Owner::Mapping {
            memory: memory_number,
            devices,
        },
    });
    drop(tables);
    call.answer().put(&found(&memory));
    Ok(Step::Done)
}

/// Out of the table now, so that no copy that comes after this is put on it; the driver may wait
/// for the GPU.
pub(crate) fn cuMemUnmap(call: &mut Call<'_>) -> Result<Step, Stop> {
    let Space { address, len } = call.body.get()?;
    let bytes = size(len)?;
    let mut tables = call.session.tables();
    let mappings = tables.ranges.mappings(address, len)?;
    for mapping in &mappings {
        tables.ranges.remove_mapping(mapping.address);
    }
    drop(tables);
    Call::later(move |desk| {
        let session = desk.session;
        // SAFETY: whole mappings of the session's, which nothing names any more.
        let unmapped = unsafe { session.driver.cuMemUnmap(CuDevicePtr(address), bytes) };
        let mut tables = session.tables();
        let mut freed = Vec::new();
        for mapping in mappings {
            if unmapped.is_err() {
                tables.ranges.insert(mapping);
            } else if let Owner::Mapping { memory, .. } = mapping.owner {
                freed.extend(tables.spaces.unmap(memory));
            }
        }
        drop(tables);
        give_back(session, freed);
        unmapped
    })
}

pub(crate) fn cuMemSetAccess(call: &mut Call<'_>) -> Result<Step, Stop> {
    let asked: AccessChange = call.body.get()?;
    let (address, len) = (asked.address, asked.len);
    let count = asked.changes as usize;
    if !(1..=ACCESS_CHANGES_MAX).contains(&count) {
        return Err(call.bad("changes", u64::from(asked.changes)));
    }
    let (mut changes, mut devices) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let Access { device, flags } = call.body.get()?;
        let device = device_of(call.session, device)?;
        let location = location(device);
        changes.push(CuMemAccessDesc { location, flags });
        devices.push((device, flags != ACCESS_NONE));
    }
    call.session.tables().ranges.mappings(address, len)?;
    let bytes = size(len)?;
    Call::later(move |desk| {
        let session = desk.session;
        let driver = &session.driver;
        // SAFETY: the descriptions are in a vector that outlives the call; whole mappings of the
        // session's.
        unsafe { driver.cuMemSetAccess(CuDevicePtr(address), bytes, changes.as_ptr(), count) }?;
        let mut tables = session.tables();
        for (device, is_on) in devices {
            tables.ranges.set_access(address, len, device, is_on);
        }
        Ok(())
    })
}

fn device_of(session: &Session, device: u32) -> Result<u16, CuError> {
    let known = u16::try_from(device).ok();
    known
        .filter(|&device| device < session.devices)
        .ok_or(CuError::INVALID_DEVICE)
}

pub(crate) fn cuMemGetAccess(call: &mut Call<'_>) -> Result<Step, Stop> {
    let asked: AccessOf = call.body.get()?;
    let session = call.session;
    let place = location(device_of(session, asked.device)?);
    let owner = session
        .tables()
        .ranges
        .find(asked.address)
        .map(|range| range.owner);
    if !matches!(owner, Some(Owner::Mapping { .. })) {
        return Err(BAD.into());
    }
    let mut flags = 0_u64;
    let address = CuDevicePtr(asked.address);
    // SAFETY: both pointers are to locals that outlive the call; a mapping of the session's.
    unsafe {
        session
            .driver
            .cuMemGetAccess(Out(&raw mut flags), &raw const place, address)
    }?;
    answer(call, flags)
}

/// Gives back what a session had, when it has no threads left.
pub(super) fn end(session: &Session, tables: &mut Tables, ranges: &[Range]) {
    let driver = &session.driver;
    for range in ranges {
        if let (Owner::Mapping { .. }, Ok(len)) = (range.owner, size(range.len)) {
            // SAFETY: a whole mapping of the session's, which nothing names any more.
            let _ = unsafe { driver.cuMemUnmap(CuDevicePtr(range.address), len) };
        }
    }
    let (addresses, names, memories) = tables.spaces.drain();
    for (name, references) in names {
        if let Ok(handle) = driver_handle(tables, name) {
            for _ in 0..references {
                let _ = release(driver, handle);
            }
        }
    }
    for (address, len) in addresses {
        let _ = free(driver, address, len);
    }
    give_back(session, memories);
}

/// `CU_MEM_ALLOC_GRANULARITY_MINIMUM`.
const GRANULARITY_MINIMUM: u32 = 0;
/// `CU_MEM_ALLOCATION_TYPE_PINNED` and `CU_MEM_LOCATION_TYPE_DEVICE`.
const TYPE_PINNED: u32 = 1;
const LOCATION_DEVICE: u32 = 1;
/// `CU_MEM_ACCESS_FLAGS_PROT_NONE`.
const ACCESS_NONE: u32 = 0;
