//! Attributes of addresses, from the range table: asked for any address at all, device or not.

#![expect(non_snake_case, reason = "CUDA's own names keep CUDA's spelling")]

use std::ffi::c_void;

use flexdirect_wire::abi::{
    CuDevicePtr, CuError, CuPointerAttribute, CuResult, InOut, OptOut, Out,
};

use crate::hand::reach;
use crate::process::{Process, here, process};
use crate::ranges::{Kind, Range};

/// The value of an attribute, in the width in which CUDA writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Value {
    Word(u32),
    Long(u64),
}

impl Value {
    fn write(self, data: *mut c_void) -> CuResult {
        match self {
            Self::Word(value) => Out(data.cast()).write(value),
            Self::Long(value) => Out(data.cast()).write(value),
        }
    }
}

pub(crate) fn cuPointerGetAttribute(
    data: *mut c_void,
    attribute: CuPointerAttribute,
    ptr: CuDevicePtr,
) -> CuResult {
    let process = process()?;
    let found = about(process, attribute.0, ptr.0);
    let range = found.ok_or(CuError::INVALID_VALUE)?;
    known(process, attribute.0, &range, ptr.0)?
        .ok_or(CuError::INVALID_VALUE)?
        .write(data)
}

pub(crate) fn cuPointerGetAttributes(
    num_attributes: u32,
    attributes: *mut CuPointerAttribute,
    data: *mut *mut c_void,
    ptr: CuDevicePtr,
) -> CuResult {
    let process = process()?;
    if num_attributes == 0 {
        return Err(CuError::INVALID_VALUE);
    }
    for index in 0..num_attributes as usize {
        let attribute = InOut(attributes.wrapping_add(index)).read()?.0;
        let range = about(process, attribute, ptr.0);
        let found = range.map_or(Ok(None), |range| known(process, attribute, &range, ptr.0))?;
        found
            .map_or_else(|| nothing(attribute), Ok)?
            .write(InOut(data.wrapping_add(index)).read()?)?;
    }
    Ok(())
}

/// The range that an address lies in. To ask for the device's address of memory of the application
/// is to ask for its twin.
fn about(process: &Process, attribute: u32, address: u64) -> Option<Range> {
    let range = process.ranges().find(address).copied()?;
    let needs_twin = attribute == DEVICE_POINTER && is_registered(&range);
    if !needs_twin || reach(process, range.start).is_err() {
        return Some(range);
    }
    process.ranges().find(address).copied()
}

fn is_registered(range: &Range) -> bool {
    range.pinned().is_some_and(|pinned| pinned.is_registered)
}

/// Copies of memory marked so are synchronous for whoever else looks at it; nobody does here, so
/// the mark is kept and has no effect.
pub(crate) fn cuPointerSetAttribute(
    value: *const c_void,
    attribute: CuPointerAttribute,
    ptr: CuDevicePtr,
) -> CuResult {
    let process = process()?;
    let is_on = InOut(value.cast_mut().cast::<u32>()).read()? != 0;
    let range = process.ranges().find(ptr.0).copied();
    let range = range
        .filter(|range| matches!(range.kind, Kind::Device | Kind::Global(_)) || range.is_managed())
        .ok_or(CuError::INVALID_VALUE)?;
    if attribute.0 != SYNC_MEMOPS {
        return Err(CuError::INVALID_VALUE);
    }
    let mut marked = process.synchronous();
    if is_on {
        marked.insert(range.id);
    } else {
        marked.remove(&range.id);
    }
    Ok(())
}

/// As [`value`], with what the process has been told of the range.
fn known(
    process: &Process,
    attribute: u32,
    range: &Range,
    address: u64,
) -> Result<Option<Value>, CuError> {
    if attribute == SYNC_MEMOPS {
        let is_on = process.synchronous().contains(&range.id);
        return Ok(Some(Value::Word(u32::from(is_on))));
    }
    value(attribute, range, address)
}

/// The attribute of an address in a range; nothing where a range of this kind has no such value.
fn value(attribute: u32, range: &Range, address: u64) -> Result<Option<Value>, CuError> {
    let offset = address - range.start;
    let is_managed = range.is_managed();
    let is_device = range.is_device() && range.alias().is_none();
    let ordinal = u32::try_from(range.ordinal).expect("at most DEVICES_MAX");
    Ok(Some(match attribute {
        CONTEXT => Value::Long(range.context),
        MEMORY_TYPE => Value::Word(if is_device { TYPE_DEVICE } else { TYPE_HOST }),
        DEVICE_POINTER => match range.pinned() {
            Some(pinned) if pinned.device != 0 => Value::Long(pinned.device + offset),
            Some(pinned) if pinned.is_registered => return Ok(None),
            // Where its twin will be.
            _ => Value::Long(address),
        },
        HOST_POINTER if is_device && !is_managed => return Ok(None),
        HOST_POINTER => Value::Long(range.alias().unwrap_or(range.start) + offset),
        IS_MANAGED => Value::Word(u32::from(is_managed)),
        BUFFER_ID | BLOCK_ID => Value::Long(range.id),
        DEVICE_ORDINAL => Value::Word(ordinal),
        RANGE_START => Value::Long(range.start),
        RANGE_SIZE => Value::Long(range.len),
        MAPPED => Value::Word(1),
        ACCESS_FLAGS => Value::Word(ACCESS_READ_WRITE),
        SYNC_MEMOPS | IS_IPC_CAPABLE | IS_RDMA_CAPABLE | IS_DECOMPRESS_CAPABLE => Value::Word(0),
        HANDLE_TYPES | POOL => Value::Long(0),
        LOCALITY_DOMAIN => Value::Word(LOCALITY_NONE),
        // Of virtual memory, and of GPUDirect in its first form.
        P2P_TOKENS | MAPPING_SIZE | MAPPING_BASE => return Ok(None),
        _ => return Err(CuError::INVALID_VALUE),
    }))
}

/// What is written for an address of which nothing is known, or where a range has no such value.
fn nothing(attribute: u32) -> Result<Value, CuError> {
    Ok(match attribute {
        DEVICE_ORDINAL => Value::Word(DEVICE_INVALID),
        LOCALITY_DOMAIN => Value::Word(LOCALITY_NONE),
        MEMORY_TYPE
        | SYNC_MEMOPS
        | IS_MANAGED
        | IS_IPC_CAPABLE
        | MAPPED
        | IS_RDMA_CAPABLE
        | ACCESS_FLAGS
        | IS_DECOMPRESS_CAPABLE => Value::Word(0),
        CONTEXT..LOCALITY_DOMAIN => Value::Long(0),
        _ => return Err(CuError::INVALID_VALUE),
    })
}

pub(crate) fn cuMemGetAddressRange_v2(
    pbase: OptOut<CuDevicePtr>,
    psize: OptOut<usize>,
    dptr: CuDevicePtr,
) -> CuResult {
    let process = here()?.process;
    let found = process.ranges().find(dptr.0).copied();
    let range = found.ok_or(CuError::NOT_FOUND)?;
    pbase.write(CuDevicePtr(range.start));
    psize.write(usize::try_from(range.len).unwrap_or(usize::MAX));
    Ok(())
}

/// `CU_POINTER_ATTRIBUTE_...` (CUDA Driver API, CUpointer_attribute).
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
const RANGE_SIZE: u32 = 12;
const MAPPED: u32 = 13;
const HANDLE_TYPES: u32 = 14;
const IS_RDMA_CAPABLE: u32 = 15;
const ACCESS_FLAGS: u32 = 16;
const POOL: u32 = 17;
const MAPPING_SIZE: u32 = 18;
const MAPPING_BASE: u32 = 19;
const BLOCK_ID: u32 = 20;
const IS_DECOMPRESS_CAPABLE: u32 = 21;
const LOCALITY_DOMAIN: u32 = 22;

const TYPE_HOST: u32 = 1;
const TYPE_DEVICE: u32 = 2;
/// `CU_POINTER_ATTRIBUTE_ACCESS_FLAG_READWRITE`.
const ACCESS_READ_WRITE: u32 = 3;
/// `CU_DEVICE_INVALID`, -2.
const DEVICE_INVALID: u32 = 0xffff_fffe;
/// No locality domain, -1.
const LOCALITY_NONE: u32 = 0xffff_ffff;

#[cfg(test)]
mod tests {
    use super::*;

    const RANGE: Range = Range {
        start: 0x1000,
        len: 0x100,
        kind: Kind::Device,
        context: 9,
        ordinal: 1,
        id: 5,
    };

    #[test]
    fn a_device_address_knows_its_range() {
        let of = |attribute| value(attribute, &RANGE, 0x1010);
        assert_eq!(of(MEMORY_TYPE), Ok(Some(Value::Word(TYPE_DEVICE))));
        assert_eq!(of(DEVICE_POINTER), Ok(Some(Value::Long(0x1010))));
        assert_eq!(of(HOST_POINTER), Ok(None));
        assert_eq!(of(RANGE_START), Ok(Some(Value::Long(0x1000))));
        assert_eq!(of(DEVICE_ORDINAL), Ok(Some(Value::Word(1))));
        assert_eq!(of(99), Err(CuError::INVALID_VALUE));
    }

    #[test]
    fn an_unknown_address_has_nothing() {
        assert_eq!(nothing(MEMORY_TYPE), Ok(Value::Word(0)));
        assert_eq!(
            nothing(DEVICE_ORDINAL),
            Ok(Value::Word((-2i32).cast_unsigned()))
        );
        assert_eq!(nothing(MAPPING_BASE), Ok(Value::Long(0)), "its whole width");
        assert_eq!(nothing(0), Err(CuError::INVALID_VALUE));
        assert_eq!(nothing(23), Err(CuError::INVALID_VALUE));
    }
}
