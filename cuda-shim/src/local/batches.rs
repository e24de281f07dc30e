//! Copies in batches and with attributes: each becomes a copy of its own.

#![expect(non_snake_case, reason = "CUDA's own names keep CUDA's spelling")]

use flexdirect_wire::abi::{
    CuDevicePtr, CuError, CuMemcpy3dOperand, CuMemcpyAttributes, CuMemoryType, CuResult, CuStream,
    CudaMemcpy3d, CudaMemcpy3dBatchOp, CudaMemcpy3dEnd, InOut, Out,
};

use crate::hand::{self, Target};
use crate::process::{Process, process};
use crate::thread;

const BAD: CuError = CuError::INVALID_VALUE;

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
    let (process, target) = stream_of(stream)?;
    let mut failed = usize::MAX;
    let done = (|| {
        if is_legacy(stream) || count == 0 || dsts.is_null() || srcs.is_null() || sizes.is_null() {
            return Err(BAD);
        }
        let attributes = Attributes::read(attrs, attrs_idxs, num_attrs, count)?;
        for index in 0..count {
            failed = index;
            let to = InOut(dsts.wrapping_add(index)).read()?;
            let from = InOut(srcs.wrapping_add(index)).read()?;
            let len = InOut(sizes.wrapping_add(index)).read()?;
            copy(
                process,
                &target,
                (to, from, len),
                attributes.order(index),
                stream,
            )?;
        }
        Ok(())
    })();
    tell(done, fail_idx, failed)
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
    let order = InOut(attr).read()?.source_order;
    if !is_order(order) {
        return Err(BAD);
    }
    let (process, target) = stream_of(stream)?;
    copy(process, &target, (dst, src, size), order, stream)
}

pub(crate) fn cuMemcpy3DBatchAsync(
    num_ops: usize,
    op_list: *mut CudaMemcpy3dBatchOp,
    fail_idx: *mut usize,
    flags: u64,
    stream: CuStream,
) -> CuResult {
    let (process, target) = stream_of(stream)?;
    let mut failed = usize::MAX;
    let done = (|| {
        if num_ops == 0 || op_list.is_null() || flags != 0 || is_legacy(stream) {
            return Err(BAD);
        }
        for index in 0..num_ops {
            failed = index;
            let operation = InOut(op_list.wrapping_add(index)).read()?;
            let described = described(process, &operation)?;
            hand::transfer(process, &described, Some(stream))?;
            after(process, &target, operation.source_order)?;
        }
        Ok(())
    })();
    tell(done, fail_idx, failed)
}

pub(crate) fn cuMemcpy3DBatchAsync_v2(
    num_ops: usize,
    op_list: *mut CudaMemcpy3dBatchOp,
    flags: u64,
    stream: CuStream,
) -> CuResult {
    cuMemcpy3DBatchAsync(num_ops, op_list, std::ptr::null_mut(), flags, stream)
}

fn stream_of(stream: CuStream) -> Result<(&'static Process, Target), CuError> {
    let process = process()?;
    Ok((process, hand::target(process, stream)?))
}

/// Which copy failed, or none in particular.
fn tell(done: CuResult, fail_idx: *mut usize, failed: usize) -> CuResult {
    if done.is_err() && !fail_idx.is_null() {
        Out(fail_idx).write(failed)?;
    }
    done
}

/// Whether a stream is the legacy one, which takes no batches.
fn is_legacy(stream: CuStream) -> bool {
    stream == CuStream::LEGACY || (stream == CuStream(0) && !thread::is_per_thread(stream))
}

fn copy(
    process: &Process,
    target: &Target,
    (to, from, len): (CuDevicePtr, CuDevicePtr, usize),
    order: u32,
    stream: CuStream,
) -> CuResult {
    hand::copy_between(to, from, len, Some(stream))?;
    after(process, target, order)
}

/// A source may be asked to be read before the call returns.
fn after(process: &Process, target: &Target, order: u32) -> CuResult {
    if order == DURING_CALL {
        return hand::synchronise(process, *target);
    }
    Ok(())
}

fn is_order(order: u32) -> bool {
    (STREAM_ORDER..=ANY_ORDER).contains(&order)
}

/// Attributes of a batch: each holds from the copy that its index names on.
struct Attributes(Vec<(usize, u32)>);

impl Attributes {
    fn read(
        attributes: *mut CuMemcpyAttributes,
        firsts: *mut usize,
        len: usize,
        count: usize,
    ) -> Result<Self, CuError> {
        if len == 0 || len > count || attributes.is_null() || firsts.is_null() {
            return Err(BAD);
        }
        let one = |index| {
            let first = InOut(firsts.wrapping_add(index)).read()?;
            let order = InOut(attributes.wrapping_add(index)).read()?.source_order;
            is_order(order).then_some((first, order)).ok_or(BAD)
        };
        let all = (0..len).map(one).collect::<Result<Vec<_>, _>>()?;
        let rises = all.windows(2).all(|pair| pair[0].0 < pair[1].0);
        let is_whole = all[0].0 == 0 && rises && all[len - 1].0 < count;
        is_whole.then_some(Self(all)).ok_or(BAD)
    }

    /// When the source of a copy is read.
    fn order(&self, index: usize) -> u32 {
        let which = self.0.partition_point(|&(first, _)| first <= index);
        self.0[which.saturating_sub(1)].1
    }
}

/// One copy of a batch. Elements are those of the arrays, or bytes if there is none.
fn described(process: &Process, copy: &CudaMemcpy3dBatchOp) -> Result<CudaMemcpy3d, CuError> {
    if !is_order(copy.source_order) || copy.extent.contains(&0) {
        return Err(BAD);
    }
    let sizes = [
        element_len(process, &copy.source)?,
        element_len(process, &copy.target)?,
    ];
    let size = match sizes {
        [Some(source), Some(target)] if source != target => return Err(BAD),
        [source, target] => source.or(target).unwrap_or(1),
    };
    let [width, height, depth] = copy.extent;
    Ok(CudaMemcpy3d {
        source: end(&copy.source, copy.extent, size)?,
        target: end(&copy.target, copy.extent, size)?,
        width_bytes: width.checked_mul(size).ok_or(BAD)?,
        height,
        depth,
    })
}

/// Bytes of an element of an array.
fn element_len(process: &Process, end: &CuMemcpy3dOperand) -> Result<Option<usize>, CuError> {
    let Some(named) = end.array() else {
        return Ok(None);
    };
    let len = hand::array(process, named)?.described.texel_len()?;
    usize::try_from(len).map(Some).map_err(|_| BAD)
}

/// One end of a copy of elements of `size` bytes.
fn end(
    operand: &CuMemcpy3dOperand,
    [width, height, _]: [usize; 3],
    size: usize,
) -> Result<CudaMemcpy3dEnd, CuError> {
    let bytes = |elements: usize| elements.checked_mul(size).ok_or(BAD);
    if let Some(array) = operand.array() {
        let at = operand.offset();
        let [x, y, z] = at.map(|at| usize::try_from(at).unwrap_or(usize::MAX));
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

/// `CU_MEMCPY_OPERAND_TYPE_POINTER`.
const POINTER: u32 = 1;
/// `CU_MEMCPY_SRC_ACCESS_ORDER_*`.
const STREAM_ORDER: u32 = 1;
const DURING_CALL: u32 = 2;
const ANY_ORDER: u32 = 3;
