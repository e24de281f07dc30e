//! Copies in batches: many copies of one call, each with attributes.

use flexdirect_wire::abi::*;

use super::copy::{cuMemcpyAsync, unified};
use super::copy_rows::transfer;
use crate::array::ARRAYS;
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
    if is_legacy(stream) {
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

/// Whether a stream is the legacy one, which takes no batches.
pub(super) fn is_legacy(stream: CuStream) -> bool {
    match stream {
        CuStream(0) => !crate::export::is_per_thread(),
        other => other == CuStream::LEGACY,
    }
}

/// A copy whose source may be asked to be read before the call returns.
fn copy(to: CuDevicePtr, from: CuDevicePtr, len: usize, order: u32, stream: CuStream) -> CuResult {
    if order == DURING_CALL {
        return unified(to, from, len, stream, true);
    }
    cuMemcpyAsync(to, from, len, stream)
}

pub(crate) fn cuMemcpy3DBatchAsync(
    num_ops: usize,
    op_list: *mut CudaMemcpy3dBatchOp,
    fail_idx: *mut usize,
    flags: u64,
    stream: CuStream,
) -> CuResult {
    context::stream(stream)?;
    let copies = raw::array(op_list.cast_const(), num_ops);
    let mut failed = usize::MAX;
    let mut done = Err(CuError::INVALID_VALUE);
    if num_ops > 0 && copies.len() == num_ops && flags == 0 && !is_legacy(stream) {
        done = Ok(());
        for (index, copy) in copies.iter().enumerate() {
            done = copy_3d(copy, stream);
            if done.is_err() {
                failed = index;
                break;
            }
        }
    }
    if done.is_err() {
        raw::store(fail_idx, failed);
    }
    done
}

pub(crate) fn cuMemcpy3DBatchAsync_v2(
    num_ops: usize,
    op_list: *mut CudaMemcpy3dBatchOp,
    flags: u64,
    stream: CuStream,
) -> CuResult {
    cuMemcpy3DBatchAsync(num_ops, op_list, std::ptr::null_mut(), flags, stream)
}

/// One copy of a batch. Elements are those of the arrays, or bytes if there is none.
fn copy_3d(copy: &CudaMemcpy3dBatchOp, stream: CuStream) -> CuResult {
    const BAD: CuError = CuError::INVALID_VALUE;
    let known = (STREAM_ORDER..=ANY_ORDER).contains(&copy.source_order);
    if !known || copy.extent.contains(&0) {
        return Err(BAD);
    }
    let sizes = [element_len(&copy.source)?, element_len(&copy.target)?];
    let size = match sizes {
        [Some(source), Some(target)] if source != target => return Err(BAD),
        [source, target] => source.or(target).unwrap_or(1),
    };
    let [width, height, depth] = copy.extent;
    let described = CudaMemcpy3d {
        source: end(&copy.source, copy.extent, size)?,
        target: end(&copy.target, copy.extent, size)?,
        width_bytes: width.checked_mul(size).ok_or(BAD)?,
        height,
        depth,
    };
    transfer(&described, stream, copy.source_order == DURING_CALL)
}

/// Bytes of an element of an array.
fn element_len(operand: &CuMemcpy3dOperand) -> Result<Option<usize>, CuError> {
    let Some(array) = operand.array() else {
        return Ok(None);
    };
    let array = ARRAYS.find(array.0).ok_or(CuError::INVALID_HANDLE)?;
    Ok(Some(array.image.texel_len() as usize))
}

/// One end of a copy of elements of `size` bytes.
fn end(
    operand: &CuMemcpy3dOperand,
    [width, height, _]: [usize; 3],
    size: usize,
) -> Result<CudaMemcpy3dEnd, CuError> {
    const BAD: CuError = CuError::INVALID_VALUE;
    let bytes = |elements: usize| elements.checked_mul(size).ok_or(BAD);
    if let Some(array) = operand.array() {
        let [x, y, z] = operand
            .offset()
            .map(|at| usize::try_from(at).unwrap_or(usize::MAX));
        return Ok(CudaMemcpy3dEnd {
            x_bytes: bytes(x)?,
            y,
            z,
            kind: CuMemoryType::ARRAY,
            array,
            ..CudaMemcpy3dEnd::default()
        });
    }
    let given = |wanted: usize, copied: usize| match wanted {
        0 => Ok(copied),
        len if len >= copied => Ok(len),
        _ => Err(BAD),
    };
    if operand.kind != POINTER {
        return Err(BAD);
    }
    Ok(CudaMemcpy3dEnd {
        kind: CuMemoryType::UNIFIED,
        device: operand.address,
        pitch_bytes: bytes(given(operand.row_len, width)?)?,
        height: given(operand.layer_height, height)?,
        ..CudaMemcpy3dEnd::default()
    })
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

/// CU_MEMCPY_OPERAND_TYPE_POINTER.
const POINTER: u32 = 1;
/// CU_MEMCPY_SRC_ACCESS_ORDER_*.
const STREAM_ORDER: u32 = 1;
const DURING_CALL: u32 = 2;
const ANY_ORDER: u32 = 3;
