//! Copies in batches: many copies of one call, each with attributes.

use flexdirect_wire::abi::*;

use super::copy::{cuMemcpyAsync, unified};
use crate::context;
use crate::raw::{self, structs};

#[expect(clippy::too_many_arguments, reason = "the C signature")]
pub(crate) fn cuMemcpyBatchAsync(
    dsts: *mut CuDevicePtr,
    srcs: *mut CuDevicePtr,
    sizes: *mut usize,
    count: usize,
    attrs: *mut CuMemcpyAttributes,
    attrs_idxs: *mut usize,
    num_attrs: usize,
    fail_idx: *mut usize,
    stream: CuStream,
) -> CuResult {
    // Which copy failed, or none in particular.
    let fail = |index: usize, error: CuError| {
        raw::store(fail_idx, index);
        Err(error)
    };
    context::stream(stream)?;
    if matches!(stream, CuStream(0) | CuStream::LEGACY) && !crate::export::is_per_thread() {
        return fail(usize::MAX, CuError::INVALID_VALUE);
    }
    let targets = raw::array(dsts.cast_const(), count);
    let sources = raw::array(srcs.cast_const(), count);
    let lens = raw::array(sizes.cast_const(), count);
    let orders = orders(attrs, attrs_idxs, num_attrs, count);
    let all_there = [targets.len(), sources.len(), lens.len()] == [count; 3];
    let Some(orders) = orders.filter(|_| count > 0 && all_there) else {
        return fail(usize::MAX, CuError::INVALID_VALUE);
    };
    for index in 0..count {
        let (to, from, len) = (targets[index], sources[index], lens[index]);
        if let Err(error) = copy(to, from, len, orders[index], stream) {
            return fail(index, error);
        }
    }
    Ok(())
}

#[expect(clippy::too_many_arguments, reason = "the C signature")]
pub(crate) fn cuMemcpyBatchAsync_v2(
    dsts: *mut CuDevicePtr,
    srcs: *mut CuDevicePtr,
    sizes: *mut usize,
    count: usize,
    attrs: *mut CuMemcpyAttributes,
    attrs_idxs: *mut usize,
    num_attrs: usize,
    stream: CuStream,
) -> CuResult {
    let nowhere = std::ptr::null_mut();
    cuMemcpyBatchAsync(
        dsts, srcs, sizes, count, attrs, attrs_idxs, num_attrs, nowhere, stream,
    )
}

pub(crate) fn cuMemcpyWithAttributesAsync(
    dst: CuDevicePtr,
    src: CuDevicePtr,
    size: usize,
    attr: *mut CuMemcpyAttributes,
    stream: CuStream,
) -> CuResult {
    let found = structs::read(attr.cast_const()).ok_or(CuError::INVALID_VALUE)?;
    if !(STREAM_ORDER..=ANY_ORDER).contains(&found.source_order) {
        return Err(CuError::INVALID_VALUE);
    }
    copy(dst, src, size, found.source_order, stream)
}

/// A copy whose source may be asked to be read before the call returns.
fn copy(to: CuDevicePtr, from: CuDevicePtr, len: usize, order: u32, stream: CuStream) -> CuResult {
    if order == DURING_CALL {
        return unified(to, from, len, stream, true);
    }
    cuMemcpyAsync(to, from, len, stream)
}

/// When the source of each copy is read: attributes hold from the copy that their index names on.
fn orders(
    attributes: *mut CuMemcpyAttributes,
    firsts: *mut usize,
    len: usize,
    count: usize,
) -> Option<Vec<u32>> {
    let attributes = raw::array(attributes.cast_const(), len);
    let firsts = raw::array(firsts.cast_const(), len);
    if len == 0 || len > count || attributes.len() != len || firsts.len() != len {
        return None;
    }
    let rises = firsts.windows(2).all(|pair| pair[0] < pair[1]);
    if firsts[0] != 0 || !rises || firsts[len - 1] >= count {
        return None;
    }
    let known = |order: u32| (STREAM_ORDER..=ANY_ORDER).contains(&order);
    if attributes.iter().any(|found| !known(found.source_order)) {
        return None;
    }
    let order_of = |index: usize| {
        let which = firsts.partition_point(|&first| first <= index);
        attributes[which.saturating_sub(1)].source_order
    };
    Some((0..count).map(order_of).collect())
}

/// CU_MEMCPY_SRC_ACCESS_ORDER_*.
const STREAM_ORDER: u32 = 1;
const DURING_CALL: u32 = 2;
const ANY_ORDER: u32 = 3;
