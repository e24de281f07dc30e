//! Prefetches and discards of managed memory in batches, and where it lies.

use flexdirect_wire::abi::*;

use super::managed::checked;
use crate::context;
use crate::driver;
use crate::managed::{self, Location};
use crate::raw;
use crate::stream::Work;

#[expect(clippy::too_many_arguments, reason = "the C signature")]
pub(crate) fn cuMemPrefetchBatchAsync(
    dptrs: *mut CuDevicePtr,
    sizes: *mut usize,
    count: usize,
    prefetch_locs: *mut CuMemLocation,
    prefetch_loc_idxs: *mut usize,
    num_prefetch_locs: usize,
    flags: u64,
    stream: CuStream,
) -> CuResult {
    let ranges = ranges(dptrs, sizes, count, flags, stream)?;
    let places = raw::array(prefetch_locs.cast_const(), num_prefetch_locs);
    let firsts = raw::array(prefetch_loc_idxs.cast_const(), num_prefetch_locs);
    let rises = firsts.windows(2).all(|pair| pair[0] < pair[1]);
    let fits = firsts.first() == Some(&0) && firsts.last().is_some_and(|&last| last < count);
    if places.len() != firsts.len() || !rises || !fits {
        return Err(CuError::INVALID_VALUE);
    }
    let places: Result<Vec<Location>, CuError> = places.into_iter().map(checked).collect();
    let places = places?;
    for (index, (address, len)) in ranges.into_iter().enumerate() {
        let which = firsts.partition_point(|&first| first <= index);
        let place = places[which.saturating_sub(1)];
        managed::advise(address, len, |known| known.prefetched = place);
    }
    nothing(stream)
}

/// What is discarded may still be read: as it was.
pub(crate) fn cuMemDiscardBatchAsync(
    dptrs: *mut CuDevicePtr,
    sizes: *mut usize,
    count: usize,
    flags: u64,
    stream: CuStream,
) -> CuResult {
    ranges(dptrs, sizes, count, flags, stream)?;
    nothing(stream)
}

#[expect(clippy::too_many_arguments, reason = "the C signature")]
pub(crate) fn cuMemDiscardAndPrefetchBatchAsync(
    dptrs: *mut CuDevicePtr,
    sizes: *mut usize,
    count: usize,
    prefetch_locs: *mut CuMemLocation,
    prefetch_loc_idxs: *mut usize,
    num_prefetch_locs: usize,
    flags: u64,
    stream: CuStream,
) -> CuResult {
    cuMemPrefetchBatchAsync(
        dptrs,
        sizes,
        count,
        prefetch_locs,
        prefetch_loc_idxs,
        num_prefetch_locs,
        flags,
        stream,
    )
}

/// The ranges of a batch, all of them managed memory.
fn ranges(
    addresses: *mut CuDevicePtr,
    lens: *mut usize,
    count: usize,
    flags: u64,
    stream: CuStream,
) -> Result<Vec<(u64, u64)>, CuError> {
    context::stream(stream)?;
    let addresses = raw::array(addresses.cast_const(), count);
    let lens = raw::array(lens.cast_const(), count);
    let all_there = count > 0 && addresses.len() == count && lens.len() == count;
    if !all_there || flags != 0 || super::copy_batch::is_legacy(stream) {
        return Err(CuError::INVALID_VALUE);
    }
    let pairs = addresses.iter().zip(&lens);
    let ranges: Vec<(u64, u64)> = pairs.map(|(place, &len)| (place.0, len as u64)).collect();
    let is_managed = |&(address, len): &(u64, u64)| managed::advice(address, len).is_some();
    if !ranges.iter().all(is_managed) {
        return Err(CuError::INVALID_VALUE);
    }
    Ok(ranges)
}

/// The memory is everywhere already: there is nothing to do when the stream gets there.
fn nothing(stream: CuStream) -> CuResult {
    let (context, stream) = context::stream(stream)?;
    context.submit(&stream, None, Work::Nothing)
}

/// Managed memory is where it was last prefetched to, and before that nowhere in particular.
pub(crate) fn cuMemGetLocationInfo(
    ptr: CuDevicePtr,
    size: usize,
    summary_granularity: usize,
    sampling_granularity: usize,
    location_out: *mut CuMemLocation,
) -> CuResult {
    driver::check()?;
    let step = summary_granularity;
    let fits = (1..=size).contains(&step) && sampling_granularity <= step;
    if !fits || location_out.is_null() || managed::advice(ptr.0, size as u64).is_none() {
        return Err(CuError::INVALID_VALUE);
    }
    for (index, start) in (0..size).step_by(step).enumerate() {
        let (first, len) = (ptr.0 + start as u64, step.min(size - start) as u64);
        let parts = managed::advice(first, len).unwrap_or_default();
        let Location { kind, id } = parts
            .first()
            .map_or_else(Location::default, |part| part.prefetched);
        raw::store(location_out.wrapping_add(index), CuMemLocation { kind, id });
    }
    Ok(())
}
