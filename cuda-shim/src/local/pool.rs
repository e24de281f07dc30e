//! Calls about pools that become others: those that name a place instead of a device, and the
//! allocation from the current pool.

#![expect(non_snake_case, reason = "CUDA's own names keep CUDA's spelling")]

use flexdirect_wire::abi::{
    CuDevicePtr, CuMemAllocationType, CuMemLocation, CuMemoryPool, CuResult, CuStream, Out,
};

use crate::hand;

pub(crate) fn cuMemAllocAsync(
    dptr: Out<CuDevicePtr>,
    bytesize: usize,
    stream: CuStream,
) -> CuResult {
    hand::allocate_async(dptr, bytesize, None, stream)
}

pub(crate) fn cuMemGetDefaultMemPool(
    pool_out: Out<CuMemoryPool>,
    location: *mut CuMemLocation,
    type_: CuMemAllocationType,
) -> CuResult {
    hand::cuDeviceGetDefaultMemPool(pool_out, hand::device_of_place(location, type_)?)
}

pub(crate) fn cuMemGetMemPool(
    pool: Out<CuMemoryPool>,
    location: *mut CuMemLocation,
    type_: CuMemAllocationType,
) -> CuResult {
    hand::cuDeviceGetMemPool(pool, hand::device_of_place(location, type_)?)
}

pub(crate) fn cuMemSetMemPool(
    location: *mut CuMemLocation,
    type_: CuMemAllocationType,
    pool: CuMemoryPool,
) -> CuResult {
    hand::cuDeviceSetMemPool(hand::device_of_place(location, type_)?, pool)
}
