//! Copies of rows: within the device, and of rows that the client packs.
//!
//! Nothing that the client says of its rows reaches the driver unchecked: device rows lie in one
//! range of the session as a whole, those of an array inside of it, and client rows are memory of
//! this worker.
#![expect(non_snake_case, reason = "CUDA's own names keep CUDA's spelling")]

use flexdirect_transport::Span;
use flexdirect_wire::abi::{
    CuArray, CuDevicePtr, CuMemoryType, CuStream, CudaMemcpy3d, CudaMemcpy3dEnd,
};
use flexdirect_wire::body::{RowsCopy, RowsEnd, rows, source};
use flexdirect_wire::call::{Op, op};
use flexdirect_wire::limits::{CHUNK_LEN, INLINE_LEN_MAX};
use flexdirect_wire::{CuError, CuResult, Kind, ShadowHandle};

use super::copy::{event_behind, finish_to_device, refuse_capture};
use super::hostfn::late_copy;
use crate::dispatch::{Call, Desk, Step, Stop};
use crate::driver::Driver;
use crate::shadow::contexts::{Mark, Queue};
use crate::shadow::retire::{Retire, Retired, What};

/// From client memory, or within the device.
pub(crate) fn cuMemcpy3DAsync_v2(call: &mut Call<'_>) -> Result<Step, Stop> {
    let copy = read(call)?;
    if copy.target.kind == rows::CLIENT {
        return Err(call.bad("target", u64::from(copy.target.kind)));
    }
    if copy.source.kind != rows::CLIENT {
        start(call, &copy, std::ptr::null_mut())?;
        return Ok(Step::Done);
    }
    let len = packed_len(call, &copy)?;
    if copy.inline == source::BULK {
        return from_slab(call, &copy, len);
    }
    if copy.inline == source::LATE {
        call.context()?;
        let described = describe(call, &copy)?;
        let queue = call.use_queue(copy.stream)?;
        return late_copy(call, queue, (copy.position, len), |driver, address| {
            copy_async(driver, at(described, address), queue.driver)
        });
    }
    let bytes = call.body.raw(len)?;
    // The driver has read pageable memory when the call returns (CUDA Driver API, "API
    // synchronization behavior"), so the record's own bytes will do.
    let queue = start(call, &copy, bytes.as_ptr().cast_mut())?;
    finish_to_device(call, copy.is_async == 1, queue)
}

/// Copies a piece of the slab, which is free again when the stream has passed the copy. Whatever
/// goes wrong, the piece is given back: the client counts on it.
fn from_slab(call: &mut Call<'_>, copy: &RowsCopy, len: usize) -> Result<Step, Stop> {
    let session = call.session;
    let piece = session.slab.take(copy.position, len as u64)?;
    let queue = match start(call, copy, piece.address.cast_mut()) {
        Ok(queue) => queue,
        Err(error) => {
            session.release_piece(piece.position);
            return Err(Stop::Call(error));
        }
    };
    let entry = Retired {
        context: queue.context,
        // Without an event nothing reads the piece any more.
        events: event_behind(call, queue).into_iter().collect(),
        what: What::Slab(piece.position),
    };
    Retire::push(session, |session| &session.pieces, entry);
    finish_to_device(call, copy.is_async == 1, queue)
}

/// To client memory: staged, then put or answered.
pub(crate) fn cuMemcpy3D_v2(call: &mut Call<'_>) -> Result<Step, Stop> {
    let copy = read(call)?;
    if copy.target.kind != rows::CLIENT {
        return Err(call.bad("target", u64::from(copy.target.kind)));
    }
    let len = packed_len(call, &copy)?;
    call.context()?;
    let described = describe(call, &copy)?;
    let queue = call.use_queue(copy.stream)?;
    refuse_capture(call, queue)?;
    let mark = call.session.tables().mark(queue);
    Call::later(move |desk| {
        if copy.inline == 1 {
            let mut bytes = vec![0_u8; len];
            fetch(desk, &described, bytes.as_mut_ptr(), queue, mark)?;
            desk.answer().raw(&bytes);
            return Ok(());
        }
        let session = desk.session;
        let chunk = session
            .landings
            .take(len)
            .ok_or(CuError::DEVICE_UNAVAILABLE)?;
        let span = Span {
            region: copy.position,
            offset: 0,
            len: len as u64,
        };
        let fetched = fetch(desk, &described, chunk.address, queue, mark).and_then(|()| {
            let bytes = session.landings.read(chunk, len);
            let put = session.link.put(span, &bytes);
            put.map_err(|_| CuError::DEVICE_UNAVAILABLE)
        });
        session.landings.give(chunk.place);
        fetched
    })
}

/// Copies rows into `target`, which holds as many bytes, and waits for them.
fn fetch(
    desk: &Desk<'_>,
    described: &CudaMemcpy3d,
    target: *mut u8,
    queue: Queue,
    mark: Mark,
) -> CuResult {
    let session = desk.session;
    let driver = &session.driver;
    let copied = copy_async(driver, at(*described, target), queue.driver);
    // Nothing is on its way to the target when this returns, whatever has failed.
    let waited = driver.synchronize_stream(queue.driver);
    copied.and(waited)?;
    session.tables().done(mark);
    if !session.landings.is_empty() {
        session.landings.settle(session);
    }
    Ok(())
}

/// Starts a copy whose client rows, if any, lie at `host`.
fn start(call: &Call<'_>, copy: &RowsCopy, host: *mut u8) -> Result<Queue, CuError> {
    call.context()?;
    let described = describe(call, copy)?;
    let queue = call.use_queue(copy.stream)?;
    if !host.is_null() {
        refuse_capture(call, queue)?;
    }
    copy_async(&call.session.driver, at(described, host), queue.driver)?;
    Ok(queue)
}

/// The copy with its client rows at `host`.
fn at(mut described: CudaMemcpy3d, host: *mut u8) -> CudaMemcpy3d {
    for end in [&mut described.source, &mut described.target] {
        if end.kind == CuMemoryType::HOST {
            end.host = host.expose_provenance();
        }
    }
    described
}

fn read(call: &mut Call<'_>) -> Result<RowsCopy, Stop> {
    let copy: RowsCopy = call.body.get()?;
    let is_async_copy = Op(call.header.op) == op::cuMemcpy3DAsync_v2;
    let inline_max = if is_async_copy {
        source::LATE
    } else {
        source::INLINE
    };
    for (what, value, max) in [
        ("inline", copy.inline, inline_max),
        ("is_async", copy.is_async, 1),
    ] {
        if value > max {
            return Err(call.bad(what, u64::from(value)));
        }
    }
    for end in [&copy.source, &copy.target] {
        if !(rows::CLIENT..=rows::ARRAY).contains(&end.kind) || end.reserved != 0 {
            return Err(call.bad("end", u64::from(end.kind)));
        }
    }
    Ok(copy)
}

/// Bytes of rows that travel: within what a record or a chunk holds.
fn packed_len(call: &Call<'_>, copy: &RowsCopy) -> Result<usize, Stop> {
    let len_max = if copy.inline == 1 {
        INLINE_LEN_MAX
    } else {
        CHUNK_LEN
    };
    let len = copy
        .width
        .checked_mul(copy.height)
        .and_then(|len| len.checked_mul(copy.depth))
        .and_then(|len| usize::try_from(len).ok())
        .filter(|&len| 0 < len && len <= len_max);
    len.ok_or_else(|| call.bad("length of rows", copy.width))
}

/// The copy as the driver is told; client rows have no address yet.
fn describe(call: &Call<'_>, copy: &RowsCopy) -> Result<CudaMemcpy3d, CuError> {
    const BAD: CuError = CuError::INVALID_VALUE;
    let size = |size: u64| {
        usize::try_from(size)
            .ok()
            .filter(|&size| size > 0)
            .ok_or(BAD)
    };
    Ok(CudaMemcpy3d {
        source: end_of(call, &copy.source, copy)?,
        target: end_of(call, &copy.target, copy)?,
        width_bytes: size(copy.width)?,
        height: size(copy.height)?,
        depth: size(copy.depth)?,
    })
}

fn end_of(call: &Call<'_>, end: &RowsEnd, copy: &RowsCopy) -> Result<CudaMemcpy3dEnd, CuError> {
    const BAD: CuError = CuError::INVALID_VALUE;
    let size = |size: u64| usize::try_from(size).map_err(|_| BAD);
    match end.kind {
        rows::CLIENT => Ok(CudaMemcpy3dEnd {
            kind: CuMemoryType::HOST,
            pitch_bytes: size(copy.width)?,
            height: size(copy.height)?,
            ..CudaMemcpy3dEnd::default()
        }),
        rows::DEVICE => {
            let reach = reach(end, copy).ok_or(BAD)?;
            call.session.tables().ranges.check(end.place, reach)?;
            Ok(CudaMemcpy3dEnd {
                kind: CuMemoryType::DEVICE,
                device: CuDevicePtr(end.place),
                pitch_bytes: size(end.pitch)?,
                height: size(end.height)?,
                ..CudaMemcpy3dEnd::default()
            })
        }
        _ => {
            let start = [end.x, end.y, end.z];
            let extent = [copy.width, copy.height, copy.depth];
            let tables = call.session.tables();
            tables
                .arrays
                .check(ShadowHandle(end.place), start, extent)?;
            drop(tables);
            Ok(CudaMemcpy3dEnd {
                kind: CuMemoryType::ARRAY,
                array: CuArray(call.find(Kind::ARRAY, end.place)?),
                x_bytes: size(end.x)?,
                y: size(end.y)?,
                z: size(end.z)?,
                ..CudaMemcpy3dEnd::default()
            })
        }
    }
}

/// Bytes from the first to the last one of device rows, if their strides fit them.
fn reach(end: &RowsEnd, copy: &RowsCopy) -> Option<u64> {
    if end.pitch < copy.width || end.height < copy.height {
        return None;
    }
    let rows = end.pitch.checked_mul(copy.height.checked_sub(1)?)?;
    let slices = end.pitch.checked_mul(end.height)?;
    let slices = slices.checked_mul(copy.depth.checked_sub(1)?)?;
    rows.checked_add(slices)?.checked_add(copy.width)
}

fn copy_async(driver: &Driver, described: CudaMemcpy3d, stream: CuStream) -> CuResult {
    // SAFETY: the struct is a local that outlives the call. Its device rows were checked against
    // the session's ranges as a whole, or against the array they lie in; its client rows are packed
    // in memory of this worker of that size, which the driver has read (a record is pageable), or
    // which stays until an event behind this copy (a slab piece) or until the caller has waited for
    // the stream (what is written).
    unsafe { driver.cuMemcpy3DAsync_v2(&raw const described, stream) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_overflow_or_overlap_have_no_reach() {
        let copy = RowsCopy {
            width: 8,
            height: 4,
            depth: 2,
            ..RowsCopy::default()
        };
        let end = |pitch, height| RowsEnd {
            pitch,
            height,
            ..RowsEnd::default()
        };
        assert_eq!(reach(&end(16, 4), &copy), Some(16 * 3 + 16 * 4 + 8));
        assert_eq!(reach(&end(7, 4), &copy), None);
        assert_eq!(reach(&end(16, 3), &copy), None);
        assert_eq!(reach(&end(u64::MAX / 2, 4), &copy), None);
        assert_eq!(reach(&end(16, u64::MAX / 8), &copy), None);
        let none = RowsCopy { height: 0, ..copy };
        assert_eq!(reach(&end(16, 4), &none), None);
    }
}
