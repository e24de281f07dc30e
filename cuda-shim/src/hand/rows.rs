//! Copies of rows: both ends are checked here, and rows of client memory travel packed.
//!
//! ```text
//! client rows ─▶ gathered, in boxes of a chunk at most ─▶ slab or record ─▶ device rows
//! device rows ─▶ worker's staging ─▶ landing or reply ─▶ scattered ─▶ client rows
//! ```
//!
//! Rows of the device lie in device memory or in an array.
//!
//! A copy to client memory is waited for, whether it is asynchronous or not: the rows are in place
//! earlier than they need be. Rows without gaps at both ends are a copy of bytes.

#![expect(non_snake_case, reason = "CUDA's own names keep CUDA's spelling")]

use std::ptr;

use flexdirect_wire::abi::{
    CuContext, CuDevicePtr, CuError, CuMemoryType, CuResult, CuStream, CudaMemcpy2d,
    CudaMemcpy2dEnd, CudaMemcpy3d, CudaMemcpy3dEnd, CudaMemcpy3dPeer, InOut,
};
use flexdirect_wire::body::{RowsCopy, source};
use flexdirect_wire::call::op;
use flexdirect_wire::limits::{CHUNK_LEN, INLINE_LEN_MAX};
use zerocopy::IntoBytes;

use super::copy::{address, copy_packed};
use super::hostfn::{self, Reading};
use super::stream::{Target, synchronise, target};
use super::twin::{sending, sent};
use crate::graph::{Form, take_copy};
use crate::process::{Process, process};
use crate::session::Landing;
use crate::session::hostfn::Source;

mod ends;

pub(super) use ends::{Extent, PITCH_MAX};
use ends::{Rows, rows_of};

const BAD: CuError = CuError::INVALID_VALUE;

/// A checked copy.
#[derive(Debug)]
struct Copy {
    process: &'static Process,
    stream: Target,
    is_async: bool,
    to: Rows,
    from: Rows,
    extent: Extent,
}

/// Copies what is described; `stream` is none for a synchronous copy.
pub(crate) fn transfer(
    process: &'static Process,
    described: &CudaMemcpy3d,
    stream: Option<CuStream>,
) -> CuResult {
    let extent = Extent {
        width: described.width_bytes,
        height: described.height,
        depth: described.depth,
    };
    if extent.width == 0 || extent.height == 0 || extent.depth == 0 {
        return Ok(());
    }
    let to = rows_of(process, &described.target, extent)?;
    let from = rows_of(process, &described.source, extent)?;
    if process.session.is_capturing() {
        let (queue, form) = (
            target(process, stream.unwrap_or_default())?,
            Form::Rows(*described),
        );
        if let Some(taken) = take_copy(process, &queue, stream.is_some(), form) {
            return taken;
        }
    }
    if to.is_packed(extent) && from.is_packed(extent) {
        let (into, out_of) = ((to.start, to.is_claimed), (from.start, from.is_claimed));
        return copy_packed(stream, into, out_of, extent.len());
    }
    let copy = Copy {
        process,
        stream: target(process, stream.unwrap_or_default())?,
        is_async: stream.is_some(),
        to,
        from,
        extent,
    };
    let is_shared = to.is_shared || from.is_shared;
    let giving = is_shared.then(|| sending(process, copy.stream));
    let giving = giving.transpose()?;
    match (to.is_device, from.is_device) {
        (true, true) => copy.post([0; 3], extent, 0, None),
        (true, false) => copy.to_device(),
        (false, true) => boxes(extent).try_for_each(|(at, part)| copy.to_host(at, part)),
        (false, false) => copy.within_host(),
    }?;
    if is_shared {
        sent(process, copy.stream, copy.is_async)?;
    }
    drop(giving);
    Ok(())
}

impl Copy {
    fn body(&self, at: [usize; 3], part: Extent, position: u64, is_inline: bool) -> RowsCopy {
        RowsCopy {
            target: self.to.end(at),
            source: self.from.end(at),
            width: part.width as u64,
            height: part.height as u64,
            depth: part.depth as u64,
            stream: self.stream.handle,
            position,
            inline: u32::from(is_inline),
            is_async: u32::from(self.is_async),
        }
    }

    fn post(&self, at: [usize; 3], part: Extent, position: u64, bytes: Option<&[u8]>) -> CuResult {
        self.stream
            .post(self.process, op::cuMemcpy3DAsync_v2, |record| {
                record.put(&self.body(at, part, position, bytes.is_some()));
                record.raw(bytes.unwrap_or_default());
                Ok(())
            })
    }

    /// Has read all of the source when it returns.
    fn to_device(&self) -> CuResult {
        let (pitch, height) = (self.from.pitch, self.from.height);
        let reach = self.extent.reach(pitch, height).ok_or(BAD)?;
        let session = &self.process.session;
        // Before anything is put into the slab, which only a record can give back.
        session.check_context(self.stream.context)?;
        let whole = Source::packed(self.from.start, reach);
        match hostfn::reading(self.process, &self.stream, &whole, self.is_async) {
            Reading::Now => {}
            Reading::Synchronised => synchronise(self.process, self.stream)?,
            Reading::Late => {
                return boxes(self.extent).try_for_each(|(at, part)| self.post_late(at, part));
            }
        }
        for (at, part) in boxes(self.extent) {
            let mut bytes = Vec::with_capacity(part.len());
            for row in rows_in(at, part) {
                let source = address(self.from.at(row)).cast_const();
                // SAFETY: the application says that the rows of the source can be read and do not
                // change during the call; no byte of them is device memory.
                bytes.extend_from_slice(unsafe { std::slice::from_raw_parts(source, part.width) });
            }
            if bytes.len() <= INLINE_LEN_MAX {
                self.post(at, part, 0, Some(&bytes))?;
            } else {
                let position = session.stage(&bytes)?;
                self.post(at, part, position, None)?;
            }
        }
        Ok(())
    }

    /// A box whose rows are read when the stream gets there.
    fn post_late(&self, at: [usize; 3], part: Extent) -> CuResult {
        let source = Source {
            start: self.from.at(at),
            pitch: self.from.pitch,
            slice: self.from.pitch * self.from.height,
            width: part.width,
            height: part.height,
            depth: part.depth,
        };
        hostfn::post_late(self.process, &self.stream, source, |number| {
            let mut copy = self.body(at, part, number, false);
            copy.inline = source::LATE;
            self.stream
                .post(self.process, op::cuMemcpy3DAsync_v2, |record| {
                    record.put(&copy);
                    Ok(())
                })
        })
    }

    fn to_host(&self, at: [usize; 3], part: Extent) -> CuResult {
        let session = &self.process.session;
        let mut bytes = vec![0_u8; part.len()];
        if bytes.len() <= INLINE_LEN_MAX {
            let reply = self
                .stream
                .call(self.process, op::cuMemcpy3D_v2, |record| {
                    record.put(&self.body(at, part, 0, true));
                    Ok(())
                })?;
            let broken = |error| session.broken(&error);
            bytes.copy_from_slice(reply.body()?.raw(part.len()).map_err(broken)?);
        } else {
            // SAFETY: the bytes are ours until `call_into` has returned, and nothing else looks at
            // them before that.
            let landing = unsafe { Landing::new(bytes.as_mut_ptr(), bytes.len() as u64) };
            let number = session.landings().enter(landing);
            let record = self.body(at, part, number, false);
            let issue = self.stream.issue(op::cuMemcpy3D_v2);
            session
                .call_into(issue, record.as_bytes(), number)?
                .check()?;
        }
        for (row, bytes) in rows_in(at, part).zip(bytes.chunks_exact(part.width)) {
            let target = address(self.to.at(row));
            // SAFETY: the application says that the rows of the target can be written; `bytes` is
            // memory of ours and as long as a row.
            unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), target, bytes.len()) };
        }
        Ok(())
    }

    fn within_host(&self) -> CuResult {
        // What the stream still copies may be what is copied on.
        synchronise(self.process, self.stream)?;
        for row in rows_in([0; 3], self.extent) {
            let (target, source) = (address(self.to.at(row)), address(self.from.at(row)));
            // SAFETY: the application says that the rows can be read and written, and they are no
            // device memory; they may overlap.
            unsafe { ptr::copy(source.cast_const(), target, self.extent.width) };
        }
        Ok(())
    }
}

/// The first byte of each row of a box.
fn rows_in([x, y, z]: [usize; 3], part: Extent) -> impl Iterator<Item = [usize; 3]> {
    (z..z + part.depth).flat_map(move |z| (y..y + part.height).map(move |y| [x, y, z]))
}

/// Cuts rows into boxes of at most [`CHUNK_LEN`] bytes: slices, or rows, or parts of a row.
fn boxes(extent: Extent) -> impl Iterator<Item = ([usize; 3], Extent)> {
    let width = extent.width.min(CHUNK_LEN);
    let height = extent.height.min((CHUNK_LEN / width).max(1));
    let is_whole = width == extent.width && height == extent.height;
    let depth = if is_whole {
        extent.depth.min((CHUNK_LEN / (width * height)).max(1))
    } else {
        1
    };
    let height = if width == extent.width { height } else { 1 };
    (0..extent.depth).step_by(depth).flat_map(move |z| {
        (0..extent.height).step_by(height).flat_map(move |y| {
            (0..extent.width).step_by(width).map(move |x| {
                let part = Extent {
                    width: width.min(extent.width - x),
                    height: height.min(extent.height - y),
                    depth: depth.min(extent.depth - z),
                };
                ([x, y, z], part)
            })
        })
    })
}

/// The stream is looked at first: what is wrong with the context comes before anything else.
fn begin(stream: Option<CuStream>) -> Result<&'static Process, CuError> {
    let process = process()?;
    target(process, stream.unwrap_or_default())?;
    Ok(process)
}

/// A copy of the bytes of one row.
pub(crate) fn copy_row(
    target: CudaMemcpy3dEnd,
    source: CudaMemcpy3dEnd,
    len: usize,
    stream: Option<CuStream>,
) -> CuResult {
    let described = CudaMemcpy3d {
        source,
        target,
        width_bytes: len,
        height: 1,
        depth: 1,
    };
    transfer(begin(stream)?, &described, stream)
}

/// `cuMemcpy2D` and, with a stream, `cuMemcpy2DAsync`.
pub(crate) fn copy_2d(copy: *const CudaMemcpy2d, stream: Option<CuStream>) -> CuResult {
    let process = begin(stream)?;
    let described = InOut(copy.cast_mut()).read()?;
    let end = |end: &CudaMemcpy2dEnd| CudaMemcpy3dEnd {
        x_bytes: end.x_bytes,
        y: end.y,
        kind: end.kind,
        host: end.host,
        device: end.device,
        array: end.array,
        pitch_bytes: end.pitch_bytes,
        ..CudaMemcpy3dEnd::default()
    };
    let described = CudaMemcpy3d {
        source: end(&described.source),
        target: end(&described.target),
        width_bytes: described.width_bytes,
        height: described.height,
        depth: 1,
    };
    transfer(process, &described, stream)
}

fn copy_3d(copy: *const CudaMemcpy3d, stream: Option<CuStream>) -> CuResult {
    let process = begin(stream)?;
    let described = InOut(copy.cast_mut()).read()?;
    if !described.source.context.is_null() || !described.target.context.is_null() {
        // Reserved words.
        return Err(BAD);
    }
    transfer(process, &described, stream)
}

pub(crate) fn cuMemcpy3D_v2(copy: *const CudaMemcpy3d) -> CuResult {
    copy_3d(copy, None)
}

pub(crate) fn cuMemcpy3DAsync_v2(copy: *const CudaMemcpy3d, stream: CuStream) -> CuResult {
    copy_3d(copy, Some(stream))
}

/// `cuMemcpy3DPeer` and, with a stream, `cuMemcpy3DPeerAsync`.
pub(crate) fn copy_3d_peer(copy: *const CudaMemcpy3dPeer, stream: Option<CuStream>) -> CuResult {
    let process = begin(stream)?;
    let described = InOut(copy.cast_mut()).read()?.0;
    for end in [&described.source, &described.target] {
        // A context says which device's memory is meant, which its address says as well.
        if end.kind == CuMemoryType::DEVICE {
            usable(process, end.context)?;
            lies_with(process, end.device, end.context)?;
        }
    }
    transfer(process, &described, stream)
}

/// `cuMemcpyPeer` and, with a stream, `cuMemcpyPeerAsync`.
pub(crate) fn copy_peer(
    to: (CuDevicePtr, CuContext),
    from: (CuDevicePtr, CuContext),
    len: usize,
    stream: Option<CuStream>,
) -> CuResult {
    let process = begin(stream)?;
    usable(process, to.1)?;
    usable(process, from.1)?;
    if len == 0 {
        return Ok(());
    }
    lies_with(process, to.0, to.1)?;
    lies_with(process, from.0, from.1)?;
    copy_packed(stream, (to.0.0, true), (from.0.0, true), len)
}

/// Whether a context can be used.
fn usable(process: &Process, context: CuContext) -> CuResult {
    process.context(context.0)?.check()
}

/// Whether an address of a device is one of that context's device.
fn lies_with(process: &Process, address: CuDevicePtr, context: CuContext) -> CuResult {
    let ordinal = process.context(context.0)?.ordinal;
    match process.ranges().find(address.0) {
        Some(range) if range.is_device() && range.ordinal != ordinal => Err(BAD),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_cover_every_byte_once_and_fit_a_chunk() {
        for [width, height, depth] in [
            [1, 1, 1],
            [7, 5, 3],
            [CHUNK_LEN + 5, 2, 2],
            [1000, 3000, 2],
            [64, 64, 700],
            [CHUNK_LEN, 1, 3],
        ] {
            let extent = Extent {
                width,
                height,
                depth,
            };
            let mut len = 0;
            let mut next = vec![0; height * depth];
            for ([x, y, z], part) in boxes(extent) {
                assert!(part.len() <= CHUNK_LEN, "{extent:?}: {part:?}");
                len += part.len();
                for [_, y, z] in rows_in([x, y, z], part) {
                    let done = &mut next[z * height + y];
                    assert_eq!(*done, x, "parts of a row come in order");
                    *done += part.width;
                }
            }
            assert_eq!(len, extent.len());
            assert!(next.iter().all(|&done| done == width), "{extent:?}");
        }
    }
}
