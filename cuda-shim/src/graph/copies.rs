//! Copies in graphs: which end is memory of this process is read off the range table, and what of
//! it lies together goes along, so that nodes which share memory share it at the worker, too.

use flexdirect_wire::abi::{
    CuDevicePtr, CuError, CuMemoryType, CuResult, CudaMemcpy3d, CudaMemcpy3dEnd,
};
use flexdirect_wire::body::{
    CapturedCopy, GraphCopy, Mirrored, Rows, captured, copy_words, session,
};

use super::{BAD, capture};
use crate::hand::Target;
use crate::process::Process;
use crate::ranges::Range;

/// The call by which a copy is made.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Form {
    /// Bytes: to, from, how many; whether each is said to be memory of the device.
    Bytes((u64, bool), (u64, bool), usize),
    /// Rows.
    Rows(CudaMemcpy3d),
}

/// A copy as a graph has it.
///
/// # Errors
/// `INVALID_VALUE` for what is no memory, `NOT_SUPPORTED` for arrays.
pub(super) fn describe(process: &Process, copy: &CudaMemcpy3d) -> Result<GraphCopy, CuError> {
    let mut described = GraphCopy {
        words: copy_words(copy),
        ..GraphCopy::default()
    };
    if !copy.source.context.is_null() || !copy.target.context.is_null() {
        // Reserved words.
        return Err(BAD);
    }
    if copy.width_bytes == 0 || copy.height == 0 || copy.depth == 0 {
        return Ok(described);
    }
    described.source = mirrored(process, copy, &copy.source)?;
    described.target = mirrored(process, copy, &copy.target)?;
    Ok(described)
}

/// Memory of this process around an end of a copy; none for memory of a device.
fn mirrored(
    process: &Process,
    copy: &CudaMemcpy3d,
    end: &CudaMemcpy3dEnd,
) -> Result<Mirrored, CuError> {
    if end.kind == CuMemoryType::ARRAY {
        return Err(CuError::NOT_SUPPORTED);
    }
    let Rows { start, reach, .. } = Rows::of(copy, end).ok_or(BAD)?;
    let ranges = process.ranges();
    let found = ranges.find(start).copied();
    if found.is_some_and(|range| range.is_device()) || end.kind == CuMemoryType::DEVICE {
        ranges.device(start, reach)?;
        return Ok(Mirrored::default());
    }
    if process.claims().touches(start, reach) {
        return Err(BAD);
    }
    let has_twin = |range: &Range| {
        let twin = range.pinned().map_or(0, |pinned| pinned.device);
        twin == range.start && range.holds(start, reach)
    };
    if found.as_ref().is_some_and(has_twin) {
        // Kernels use the same memory: the copy is one of the worker's own.
        return Ok(Mirrored::default());
    }
    let whole = found.filter(|range| range.len <= WHOLE_LEN_MAX);
    if let Some(range) = whole.filter(|range| start + reach <= range.start + range.len) {
        return Ok(Mirrored {
            start: range.start,
            len: range.len,
        });
    }
    let first = start & !(PAGE_LEN - 1);
    let end = (start + reach)
        .checked_next_multiple_of(PAGE_LEN)
        .ok_or(BAD)?;
    Ok(Mirrored {
        start: first,
        len: end - first,
    })
}

/// Gives a copy to the capture that its stream is in; none if it is in none.
pub(crate) fn take_copy(
    process: &Process,
    stream: &Target,
    is_async: bool,
    form: Form,
) -> Option<CuResult> {
    if !process.session.is_capturing() || !capture::is_captured(process, stream) {
        return None;
    }
    if !is_async {
        return Some(capture::refuse(process, stream));
    }
    Some(send(process, stream, form))
}

fn send(process: &Process, stream: &Target, form: Form) -> CuResult {
    let (copy, form) = match form {
        Form::Rows(copy) => (copy, captured::ROWS),
        Form::Bytes(to, from, len) => {
            let form = match (to.1, from.1) {
                (true, false) => captured::TO_DEVICE,
                (false, true) => captured::TO_HOST,
                _ => captured::ANY,
            };
            let copy = CudaMemcpy3d {
                source: end(process, from),
                target: end(process, to),
                width_bytes: len,
                height: 1,
                depth: 1,
            };
            (copy, form)
        }
    };
    let copy = describe(process, &copy)?;
    let reply = stream.call(process, session::CAPTURED_COPY, |record| {
        record.put(&CapturedCopy {
            stream: stream.handle,
            form,
            copy,
        });
        Ok(())
    })?;
    reply.check()
}

fn end(process: &Process, (address, is_claimed): (u64, bool)) -> CudaMemcpy3dEnd {
    let found = process.ranges().find(address).copied();
    let is_device = is_claimed || found.is_some_and(|range| range.is_device());
    if is_device {
        return CudaMemcpy3dEnd {
            kind: CuMemoryType::DEVICE,
            device: CuDevicePtr(address),
            ..CudaMemcpy3dEnd::default()
        };
    }
    CudaMemcpy3dEnd {
        kind: CuMemoryType::HOST,
        host: usize::try_from(address).unwrap_or(0),
        ..CudaMemcpy3dEnd::default()
    }
}

/// Pinned memory up to this length is mirrored as a whole, in bytes.
const WHOLE_LEN_MAX: u64 = 16 << 20;
/// What other memory is rounded to.
const PAGE_LEN: u64 = 4096;
