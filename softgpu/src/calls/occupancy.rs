//! The block size at which a kernel fills a multiprocessor best.

use flexdirect_wire::abi::*;

use super::not_null;
use crate::attributes::LIMITS;
use crate::function::{self, Function};
use crate::raw::occupancy::dynamic_shared_len;
use crate::{context, raw};

pub(crate) fn cuOccupancyMaxPotentialBlockSize(
    min_grid_size: Out<i32>,
    block_size: Out<i32>,
    func: CuFunction,
    block_size_to_dynamic_smem_size: CuOccupancyB2DSize,
    dynamic_smem_size: usize,
    block_size_limit: i32,
) -> CuResult {
    let context = context::current()?;
    not_null(min_grid_size)?;
    not_null(block_size)?;
    let function = function::find(func)?;
    let most = u32::try_from(block_size_limit).map_err(|_| CuError::INVALID_VALUE)?;
    let dynamic_len = |threads: u32| {
        let asked = dynamic_shared_len(block_size_to_dynamic_smem_size, threads.cast_signed());
        asked.unwrap_or(dynamic_smem_size)
    };
    let (threads, blocks) = best_block(&function, most, dynamic_len)?;
    let processors = u32::try_from(context.device().multiprocessors).unwrap_or(u32::MAX);
    raw::store(
        min_grid_size.0,
        blocks.saturating_mul(processors).cast_signed(),
    );
    block_size.write(threads.cast_signed())
}

pub(crate) fn cuOccupancyMaxPotentialBlockSizeWithFlags(
    min_grid_size: Out<i32>,
    block_size: Out<i32>,
    func: CuFunction,
    block_size_to_dynamic_smem_size: CuOccupancyB2DSize,
    dynamic_smem_size: usize,
    block_size_limit: i32,
    flags: u32,
) -> CuResult {
    if flags > DISABLE_CACHING_OVERRIDE {
        return Err(CuError::INVALID_VALUE);
    }
    cuOccupancyMaxPotentialBlockSize(
        min_grid_size,
        block_size,
        func,
        block_size_to_dynamic_smem_size,
        dynamic_smem_size,
        block_size_limit,
    )
}

/// Threads of a block, whole warps of them, and blocks of a multiprocessor: as many threads
/// together as can be, of several ways the one with the largest blocks. A limit of 0 is none.
fn best_block(
    function: &Function,
    limit: u32,
    dynamic_len: impl Fn(u32) -> usize,
) -> Result<(u32, u32), CuError> {
    let device_most = function.limits()?.threads_max.min(LIMITS.threads_max);
    let most = if limit == 0 {
        device_most
    } else {
        limit.min(device_most)
    };
    let (mut best, mut best_threads) = ((0, 0), 0);
    // The largest first, which need not be whole warps.
    let sizes = (1..=most.div_ceil(WARP)).rev();
    for threads in sizes.map(|warps| (warps * WARP).min(most)) {
        let blocks = function.blocks_per_processor(threads, dynamic_len(threads))?;
        if blocks * threads > best_threads {
            (best, best_threads) = ((threads, blocks), blocks * threads);
        }
    }
    Ok(best)
}

const WARP: u32 = 32;
/// CU_OCCUPANCY_DISABLE_CACHING_OVERRIDE.
const DISABLE_CACHING_OVERRIDE: u32 = 1;
