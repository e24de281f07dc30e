//! Handles of memory for other processes and drivers: a descriptor of this host means nothing at
//! the one where the memory is, so there are none, as the attributes of devices say.

#![expect(non_snake_case, reason = "CUDA's own names keep CUDA's spelling")]

use std::ffi::c_void;

use flexdirect_wire::abi::*;

use crate::process::process;

/// The answer to all of them, in a process that has connected.
fn refuse() -> CuResult {
    process()?;
    Err(CuError::NOT_SUPPORTED)
}

pub(crate) fn cuMemExportToShareableHandle(
    _: *mut c_void,
    _: CuMemGenericAllocationHandle,
    _: CuMemAllocationHandleType,
    _: u64,
) -> CuResult {
    refuse()
}

pub(crate) fn cuMemImportFromShareableHandle(
    _: Out<CuMemGenericAllocationHandle>,
    _: *mut c_void,
    _: CuMemAllocationHandleType,
) -> CuResult {
    refuse()
}

pub(crate) fn cuMemGetHandleForAddressRange(
    _: *mut c_void,
    _: CuDevicePtr,
    _: usize,
    _: CuMemRangeHandleType,
    _: u64,
) -> CuResult {
    refuse()
}

pub(crate) fn cuMemPoolExportToShareableHandle(
    _: *mut c_void,
    _: CuMemoryPool,
    _: CuMemAllocationHandleType,
    _: u64,
) -> CuResult {
    refuse()
}

pub(crate) fn cuMemPoolImportFromShareableHandle(
    _: *mut CuMemoryPool,
    _: *mut c_void,
    _: CuMemAllocationHandleType,
    _: u64,
) -> CuResult {
    refuse()
}

pub(crate) fn cuMemPoolExportPointer(_: *mut CuMemPoolPtrExportData, _: CuDevicePtr) -> CuResult {
    refuse()
}

pub(crate) fn cuMemPoolImportPointer(
    _: *mut CuDevicePtr,
    _: CuMemoryPool,
    _: *mut CuMemPoolPtrExportData,
) -> CuResult {
    refuse()
}
