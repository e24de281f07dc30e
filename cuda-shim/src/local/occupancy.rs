//! The block size at which a kernel fills a multiprocessor best: worked out here, since only this
//! process can call the application's function that says how much shared memory a block needs.

#![expect(non_snake_case, reason = "CUDA's own names keep CUDA's spelling")]

use flexdirect_wire::abi::{
    CuDeviceAttribute, CuError, CuFunction, CuOccupancyB2DSize, CuResult, Out,
};
use flexdirect_wire::call::op;
use flexdirect_wire::param::Param;

use crate::hand::derived;
use crate::process::here;

pub(crate) fn cuOccupancyMaxPotentialBlockSize(
    min_grid_size: Out<i32>,
    block_size: Out<i32>,
    func: CuFunction,
    block_size_to_dynamic_smem_size: CuOccupancyB2DSize,
    dynamic_smem_size: usize,
    block_size_limit: i32,
) -> CuResult {
    cuOccupancyMaxPotentialBlockSizeWithFlags(
        min_grid_size,
        block_size,
        func,
        block_size_to_dynamic_smem_size,
        dynamic_smem_size,
        block_size_limit,
        0,
    )
}

/// As many threads together as can be, of several ways the one with the largest blocks (CUDA Driver
/// API, Occupancy). A limit of 0 is none.
pub(crate) fn cuOccupancyMaxPotentialBlockSizeWithFlags(
    min_grid_size: Out<i32>,
    block_size: Out<i32>,
    func: CuFunction,
    block_size_to_dynamic_smem_size: CuOccupancyB2DSize,
    dynamic_smem_size: usize,
    block_size_limit: i32,
    flags: u32,
) -> CuResult {
    let here = here()?;
    if flags > DISABLE_CACHING_OVERRIDE || min_grid_size.is_null() || block_size.is_null() {
        return Err(CuError::INVALID_VALUE);
    }
    let function = here.process.functions.find(func.0);
    let function = function.ok_or(CuError::INVALID_HANDLE)?;
    let limit = u32::try_from(block_size_limit).map_err(|_| CuError::INVALID_VALUE)?;
    let own = function.attribute(MAX_THREADS_PER_BLOCK).unwrap_or(0);
    let most = here
        .device()
        .limits
        .threads_max
        .min(own.max(0).unsigned_abs());
    let most = if limit == 0 { most } else { limit.min(most) };
    let (mut best, mut best_threads) = ((0, 0), 0);
    // The largest first, which need not be whole warps.
    for warps in (1..=most.div_ceil(WARP)).rev() {
        let threads = (warps * WARP).min(most).cast_signed();
        let dynamic_len = asked(block_size_to_dynamic_smem_size, threads);
        let dynamic_len = dynamic_len.unwrap_or(dynamic_smem_size);
        let blocks = resident(func, threads, dynamic_len, flags)?;
        if blocks.saturating_mul(threads) > best_threads {
            (best, best_threads) = ((threads, blocks), blocks.saturating_mul(threads));
        }
    }
    let processors = here
        .device()
        .attribute(CuDeviceAttribute::MULTIPROCESSOR_COUNT)?;
    min_grid_size.write(best.1.saturating_mul(processors))?;
    block_size.write(best.0)
}

/// Blocks of a function that a multiprocessor holds at a time.
fn resident(
    func: CuFunction,
    threads: i32,
    dynamic_len: usize,
    flags: u32,
) -> Result<i32, CuError> {
    let mut blocks = 0;
    let place = Out(&raw mut blocks);
    derived(
        op::cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags,
        &mut |record| {
            place.send(record)?;
            func.send(record)?;
            threads.send(record)?;
            dynamic_len.send(record)?;
            flags.send(record)
        },
        &mut |reply| {
            place.receive(reply)?;
            func.receive(reply)?;
            threads.receive(reply)?;
            dynamic_len.receive(reply)?;
            flags.receive(reply)
        },
    )?;
    Ok(blocks)
}

/// What the application's function says of a block; none if there is no function.
fn asked(callback: CuOccupancyB2DSize, threads: i32) -> Option<usize> {
    type Callback = extern "C" fn(i32) -> usize;
    if callback.0 == 0 {
        return None;
    }
    let address = std::ptr::with_exposed_provenance::<()>(callback.0);
    // SAFETY: the application gives null or a function of this type (CUDA Driver API,
    // CUoccupancyB2DSize); a function pointer has the size and form of a data pointer here.
    let callback = unsafe { std::mem::transmute::<*const (), Callback>(address) };
    Some(callback(threads))
}

const WARP: u32 = 32;
/// `CU_OCCUPANCY_DISABLE_CACHING_OVERRIDE`, the only flag.
const DISABLE_CACHING_OVERRIDE: u32 = 1;
/// `CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK`.
const MAX_THREADS_PER_BLOCK: u32 = 0;
