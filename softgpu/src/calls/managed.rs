//! Managed memory: allocation, advice, prefetches.

use std::ffi::c_void;

use flexdirect_wire::abi::*;

use super::memory::allocate;
use super::not_null;
use crate::arena::Purpose;
use crate::context;
use crate::driver;
use crate::managed::{self, Advice, Location};
use crate::raw;
use crate::stream::Work;
use crate::windows::bit;

pub(crate) fn cuMemAllocManaged(dptr: Out<CuDevicePtr>, bytesize: usize, flags: u32) -> CuResult {
    let context = context::current()?;
    not_null(dptr)?;
    if ![ATTACH_GLOBAL, ATTACH_HOST].contains(&flags) {
        return Err(CuError::INVALID_VALUE);
    }
    let address = allocate(&context, bytesize, Purpose::Managed)?;
    let ordinal = context.device().ordinal;
    managed::adopt(address.0, bytesize as u64, context.id, ordinal, flags);
    dptr.write(address)
}

// ------------------------------------------------------------------------------- advice

pub(crate) fn cuMemAdvise_v2(
    dev_ptr: CuDevicePtr,
    count: usize,
    advice: CuMemAdvise,
    location: CuMemLocation,
) -> CuResult {
    context::current()?;
    let place = match advice.0 {
        // These need no place.
        SET_READ_MOSTLY | UNSET_READ_MOSTLY | UNSET_PREFERRED => Location::default(),
        _ => checked(location)?,
    };
    let accessed = |advice: &mut Advice, is_on: bool| match usize::try_from(place.id) {
        Ok(device) if place.kind == DEVICE && is_on => advice.accessed_by |= bit(device),
        Ok(device) if place.kind == DEVICE => advice.accessed_by &= !bit(device),
        _ => advice.by_host = is_on,
    };
    let done = managed::advise(dev_ptr.0, count as u64, |known| match advice.0 {
        SET_READ_MOSTLY => known.is_read_mostly = true,
        UNSET_READ_MOSTLY => known.is_read_mostly = false,
        SET_PREFERRED => known.preferred = place,
        UNSET_PREFERRED => known.preferred = Location::default(),
        SET_ACCESSED_BY => accessed(known, true),
        UNSET_ACCESSED_BY => accessed(known, false),
        _ => {}
    });
    if !done || !(SET_READ_MOSTLY..=UNSET_ACCESSED_BY).contains(&advice.0) {
        return Err(CuError::INVALID_VALUE);
    }
    Ok(())
}

pub(crate) fn cuMemAdvise(
    dev_ptr: CuDevicePtr,
    count: usize,
    advice: CuMemAdvise,
    device: CuDevice,
) -> CuResult {
    cuMemAdvise_v2(dev_ptr, count, advice, location_of(device))
}

/// The memory is everywhere already; what is remembered is that it was asked for.
pub(crate) fn cuMemPrefetchAsync_v2(
    dev_ptr: CuDevicePtr,
    count: usize,
    location: CuMemLocation,
    flags: u32,
    stream: CuStream,
) -> CuResult {
    let (context, stream) = context::stream(stream)?;
    if flags != 0 {
        return Err(CuError::INVALID_VALUE);
    }
    let place = checked(location)?;
    let done = managed::advise(dev_ptr.0, count as u64, |known| known.prefetched = place);
    if !done {
        return Err(CuError::INVALID_VALUE);
    }
    context.submit(&stream, None, Work::Nothing)
}

pub(crate) fn cuMemPrefetchAsync(
    dev_ptr: CuDevicePtr,
    count: usize,
    dst_device: CuDevice,
    stream: CuStream,
) -> CuResult {
    cuMemPrefetchAsync_v2(dev_ptr, count, location_of(dst_device), 0, stream)
}

/// A place that exists.
pub(super) fn checked(location: CuMemLocation) -> Result<Location, CuError> {
    let CuMemLocation { kind, id } = location;
    match kind {
        DEVICE => driver::device(CuDevice(id)).map(drop)?,
        HOST | HOST_NUMA_CURRENT => {}
        HOST_NUMA if id == 0 => {}
        _ => return Err(CuError::INVALID_VALUE),
    }
    Ok(Location { kind, id })
}

/// The place that a device stands for in the older calls: CU_DEVICE_CPU is the host.
fn location_of(device: CuDevice) -> CuMemLocation {
    let kind = if device.0 == CPU { HOST } else { DEVICE };
    let id = if device.0 == CPU { 0 } else { device.0 };
    CuMemLocation { kind, id }
}

// ------------------------------------------------------------------------------- questions

pub(crate) fn cuMemRangeGetAttribute(
    data: *mut c_void,
    data_size: usize,
    attribute: CuMemRangeAttribute,
    dev_ptr: CuDevicePtr,
    count: usize,
) -> CuResult {
    driver::check()?;
    let parts = managed::advice(dev_ptr.0, count as u64).ok_or(CuError::INVALID_VALUE)?;
    if data.is_null() || data_size == 0 || !data_size.is_multiple_of(WORD_LEN) {
        return Err(CuError::INVALID_VALUE);
    }
    let room = data_size / WORD_LEN;
    let values = match attribute.0 {
        ACCESSED_BY => accessed_by(&parts, room),
        _ if room != 1 => return Err(CuError::INVALID_VALUE),
        READ_MOSTLY => vec![i32::from(parts.iter().all(|part| part.is_read_mostly))],
        PREFERRED => vec![old_name(same(&parts, |part| part.preferred))],
        LAST_PREFETCH => vec![old_name(same(&parts, |part| part.prefetched))],
        PREFERRED_TYPE => vec![same(&parts, |part| part.preferred).kind.cast_signed()],
        PREFERRED_ID => vec![same(&parts, |part| part.preferred).id],
        PREFETCH_TYPE => vec![same(&parts, |part| part.prefetched).kind.cast_signed()],
        PREFETCH_ID => vec![same(&parts, |part| part.prefetched).id],
        _ => return Err(CuError::INVALID_VALUE),
    };
    for (index, value) in values.into_iter().enumerate() {
        raw::store(data.cast::<i32>().wrapping_add(index), value);
    }
    Ok(())
}

pub(crate) fn cuMemRangeGetAttributes(
    data: *mut *mut c_void,
    data_sizes: *mut usize,
    attributes: *mut CuMemRangeAttribute,
    num_attributes: usize,
    dev_ptr: CuDevicePtr,
    count: usize,
) -> CuResult {
    driver::check()?;
    let places = raw::pointers(data, num_attributes);
    let sizes = raw::array(data_sizes.cast_const(), num_attributes);
    let numbers = raw::numbers(attributes.cast::<u32>().cast_const(), num_attributes);
    let lens = [places.len(), sizes.len(), numbers.len()];
    if num_attributes == 0 || lens != [num_attributes; 3] {
        return Err(CuError::INVALID_VALUE);
    }
    for ((place, size), number) in places.into_iter().zip(sizes).zip(numbers) {
        cuMemRangeGetAttribute(place, size, CuMemRangeAttribute(number), dev_ptr, count)?;
    }
    Ok(())
}

/// What all parts have in common; nothing if they differ.
fn same(parts: &[Advice], of: impl Fn(&Advice) -> Location) -> Location {
    let first = parts.first().map(&of).unwrap_or_default();
    let differs = parts.iter().any(|part| of(part) != first);
    if differs { Location::default() } else { first }
}

/// A place as a device number: CU_DEVICE_CPU for the host, CU_DEVICE_INVALID for none.
fn old_name(location: Location) -> i32 {
    match location.kind {
        DEVICE => location.id,
        HOST | HOST_NUMA | HOST_NUMA_CURRENT => CPU,
        _ => INVALID,
    }
}

/// Devices that all parts are accessed by, as many as there is room for; CU_DEVICE_INVALID behind.
fn accessed_by(parts: &[Advice], room: usize) -> Vec<i32> {
    let mut found = Vec::new();
    if parts.iter().all(|part| part.by_host) {
        found.push(CPU);
    }
    for device in driver::devices() {
        let has = |part: &Advice| part.accessed_by & bit(device.ordinal) != 0;
        if parts.iter().all(has) {
            found.push(i32::try_from(device.ordinal).unwrap_or(INVALID));
        }
    }
    found.resize(room, INVALID);
    found
}

/// CU_MEM_ATTACH_GLOBAL and _HOST.
const ATTACH_GLOBAL: u32 = 1;
const ATTACH_HOST: u32 = 2;
/// CU_MEM_ADVISE_*.
const SET_READ_MOSTLY: u32 = 1;
const UNSET_READ_MOSTLY: u32 = 2;
const SET_PREFERRED: u32 = 3;
const UNSET_PREFERRED: u32 = 4;
const SET_ACCESSED_BY: u32 = 5;
const UNSET_ACCESSED_BY: u32 = 6;
/// CU_MEM_RANGE_ATTRIBUTE_*.
const READ_MOSTLY: u32 = 1;
const PREFERRED: u32 = 2;
const ACCESSED_BY: u32 = 3;
const LAST_PREFETCH: u32 = 4;
const PREFERRED_TYPE: u32 = 5;
const PREFERRED_ID: u32 = 6;
const PREFETCH_TYPE: u32 = 7;
const PREFETCH_ID: u32 = 8;
/// CU_MEM_LOCATION_TYPE_*.
const DEVICE: u32 = 1;
const HOST: u32 = 2;
const HOST_NUMA: u32 = 3;
const HOST_NUMA_CURRENT: u32 = 4;
/// CU_DEVICE_CPU and CU_DEVICE_INVALID.
const CPU: i32 = -1;
const INVALID: i32 = -2;
const WORD_LEN: usize = 4;
