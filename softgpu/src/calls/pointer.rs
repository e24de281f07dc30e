//! What an address is: cuPointerGetAttribute and its plural.

use std::ffi::c_void;

use flexdirect_wire::abi::*;

use super::access::is_synchronous;
use super::memory::range;
use crate::driver;
use crate::managed;
use crate::mempool;
use crate::raw;
use crate::vmm;

/// What is known of an address that the driver gave out.
struct Known {
    context: CuContext,
    device: i32,
    is_device: bool,
    is_managed: bool,
    /// Whether cuPointerSetAttribute marked it so.
    is_synchronous: bool,
    /// What it can be exported as.
    handle_types: u32,
    /// The pool that it is of, or 0.
    pool: u64,
    id: u64,
}

fn known(address: u64) -> Option<Known> {
    if let Some(device) = driver::device_of(address) {
        let found = device.arena.find(address)?;
        return Some(Known {
            // What a library shares among contexts is no context's.
            context: driver::context(found.context)
                .map(|context| context.handle)
                .unwrap_or_default(),
            device: i32::try_from(device.ordinal).unwrap_or(i32::MAX),
            is_device: true,
            is_managed: managed::flags(address).is_some(),
            is_synchronous: is_synchronous(device.ordinal, found.id),
            handle_types: 0,
            pool: mempool::owner(found.address).map_or(0, |pool| pool.handle.0),
            id: found.id,
        });
    }
    if let Some(piece) = vmm::find(address) {
        let about = piece.physical.about;
        return Some(Known {
            // Virtual memory is no context's.
            context: CuContext(0),
            device: i32::try_from(about.device).unwrap_or(i32::MAX),
            is_device: true,
            is_managed: false,
            is_synchronous: false,
            handle_types: about.handle_types,
            pool: 0,
            id: piece.address,
        });
    }
    let found = driver::pinned().find(address)?;
    Some(Known {
        context: driver::context(found.context)?.handle,
        device: found.device,
        is_device: false,
        is_managed: false,
        is_synchronous: false,
        handle_types: 0,
        pool: 0,
        id: found.address,
    })
}

pub(crate) fn cuPointerGetAttribute(
    data: *mut c_void,
    attribute: CuPointerAttribute,
    ptr: CuDevicePtr,
) -> CuResult {
    driver::check()?;
    if data.is_null() || !(1..=ATTRIBUTE_MAX).contains(&attribute.0) {
        return Err(CuError::INVALID_VALUE);
    }
    let known = known(ptr.0).ok_or(CuError::INVALID_VALUE)?;
    write(data, attribute, ptr.0, &known)
}

/// Writes what there is to say of an address; of an unknown one, and of an attribute that does not
/// apply, the plural says zero (and device -2) instead of failing.
pub(crate) fn cuPointerGetAttributes(
    num_attributes: u32,
    attributes: *mut CuPointerAttribute,
    data: *mut *mut c_void,
    ptr: CuDevicePtr,
) -> CuResult {
    driver::check()?;
    let count = num_attributes as usize;
    let attributes = raw::numbers(attributes.cast::<u32>().cast_const(), count);
    let places = raw::pointers(data, count);
    if count == 0 || attributes.len() != count || places.len() != count {
        return Err(CuError::INVALID_VALUE);
    }
    if attributes
        .iter()
        .any(|number| !(1..=ATTRIBUTE_MAX).contains(number))
    {
        return Err(CuError::INVALID_VALUE);
    }
    let known = known(ptr.0);
    for (number, place) in attributes.into_iter().zip(places) {
        let attribute = CuPointerAttribute(number);
        let written = known
            .as_ref()
            .is_some_and(|known| write(place, attribute, ptr.0, known).is_ok());
        if !written {
            write_nothing(place, attribute);
        }
    }
    Ok(())
}

/// Writes one attribute in its own type (CUDA Driver API, CUpointer_attribute).
fn write(
    data: *mut c_void,
    attribute: CuPointerAttribute,
    address: u64,
    known: &Known,
) -> CuResult {
    let word = |value: u32| raw::store(data.cast::<u32>(), value);
    let long = |value: u64| raw::store(data.cast::<u64>(), value);
    // A boolean is 32 bits wide: runtimes hand in an uninitialised word.
    let flag = |value: bool| word(u32::from(value));
    let (start, len) = range(address).ok_or(CuError::INVALID_VALUE)?;
    let stored = match attribute.0 {
        CONTEXT => long(known.context.0),
        MEMORY_TYPE => word(if known.is_device {
            TYPE_DEVICE
        } else {
            TYPE_HOST
        }),
        // Host memory that the driver knows is reached at its own address.
        DEVICE_POINTER => long(address),
        HOST_POINTER if !known.is_device || known.is_managed => long(address),
        HOST_POINTER | P2P_TOKENS | MAPPING_SIZE | MAPPING_BASE => {
            return Err(CuError::INVALID_VALUE);
        }
        IS_MANAGED => flag(known.is_managed),
        SYNC_MEMOPS => flag(known.is_synchronous),
        IS_IPC_CAPABLE | IS_RDMA_CAPABLE | IS_HW_DECOMPRESS => flag(false),
        MAPPED => flag(true),
        BUFFER_ID | BLOCK_ID => long(known.id),
        DEVICE_ORDINAL => word(known.device.cast_unsigned()),
        RANGE_START => long(start),
        RANGE_LEN => long(len),
        HANDLE_TYPES => long(u64::from(known.handle_types)),
        MEMPOOL => long(known.pool),
        ACCESS_FLAGS => word(ACCESS_READ_WRITE),
        LOCALITY_DOMAIN => word(u32::MAX),
        _ => return Err(CuError::INVALID_VALUE),
    };
    if stored {
        Ok(())
    } else {
        Err(CuError::INVALID_VALUE)
    }
}

fn write_nothing(data: *mut c_void, attribute: CuPointerAttribute) {
    match attribute.0 {
        MEMORY_TYPE | ACCESS_FLAGS => raw::store(data.cast::<u32>(), 0),
        DEVICE_ORDINAL => raw::store(data.cast::<i32>(), -2),
        LOCALITY_DOMAIN => raw::store(data.cast::<i32>(), -1),
        SYNC_MEMOPS | IS_MANAGED | IS_IPC_CAPABLE | MAPPED | IS_RDMA_CAPABLE | IS_HW_DECOMPRESS => {
            raw::store(data.cast::<u32>(), 0)
        }
        _ => raw::store(data.cast::<u64>(), 0),
    };
}

const CONTEXT: u32 = 1;
const MEMORY_TYPE: u32 = 2;
const DEVICE_POINTER: u32 = 3;
const HOST_POINTER: u32 = 4;
const P2P_TOKENS: u32 = 5;
const SYNC_MEMOPS: u32 = 6;
const BUFFER_ID: u32 = 7;
const IS_MANAGED: u32 = 8;
const DEVICE_ORDINAL: u32 = 9;
const IS_IPC_CAPABLE: u32 = 10;
const RANGE_START: u32 = 11;
const RANGE_LEN: u32 = 12;
const MAPPED: u32 = 13;
const HANDLE_TYPES: u32 = 14;
const IS_RDMA_CAPABLE: u32 = 15;
const ACCESS_FLAGS: u32 = 16;
const MEMPOOL: u32 = 17;
const MAPPING_SIZE: u32 = 18;
const MAPPING_BASE: u32 = 19;
const BLOCK_ID: u32 = 20;
const IS_HW_DECOMPRESS: u32 = 21;
const LOCALITY_DOMAIN: u32 = 22;
const ATTRIBUTE_MAX: u32 = LOCALITY_DOMAIN;
/// CU_MEMORYTYPE_HOST and _DEVICE.
const TYPE_HOST: u32 = 1;
const TYPE_DEVICE: u32 = 2;
/// CU_POINTER_ATTRIBUTE_ACCESS_FLAG_READWRITE.
const ACCESS_READ_WRITE: u32 = 3;
