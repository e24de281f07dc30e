//! Copies between client memory and device memory.
//!
//! ```text
//! to the device    record (inline) or slab ─▶ async copy on the stream [─▶ event: piece is free]
//! from the device  async copy ─▶ staging ─▶ link.put ─▶ reply          (helper)
//!                  async copy ─▶ staging ─▶ event ─▶ link.put          (landings)
//! ```
#![expect(non_snake_case, reason = "CUDA's own names keep CUDA's spelling")]

use std::ffi::c_void;

use flexdirect_transport::Span;
use flexdirect_wire::abi::{CuDevicePtr, CuEvent, CuStream, InBytes, OutBytes};
use flexdirect_wire::body::{HostCopy, source};
use flexdirect_wire::call::{Op, op};
use flexdirect_wire::limits::{CHUNK_LEN, INLINE_LEN_MAX};
use flexdirect_wire::{CuError, CuResult};

use super::hostfn::late_copy;
use super::stream::spin;
use crate::dispatch::{Call, Desk, Step, Stop};
use crate::driver::Driver;
use crate::driver::steps::Progress;
use crate::shadow::contexts::{Mark, Queue};
use crate::shadow::landings::{Chunk, Landings};
use crate::shadow::retire::{Retire, Retired, What};

pub(crate) fn cuMemcpyHtoD_v2(call: &mut Call<'_>) -> Result<Step, Stop> {
    to_device(call)
}

pub(crate) fn cuMemcpyHtoDAsync_v2(call: &mut Call<'_>) -> Result<Step, Stop> {
    to_device(call)
}

fn to_device(call: &mut Call<'_>) -> Result<Step, Stop> {
    let copy = read(call)?;
    if copy.inline == source::BULK {
        return from_slab(call, &copy);
    }
    call.context()?;
    if copy.inline == source::LATE {
        return from_late(call, &copy);
    }
    let len = usize::try_from(copy.len).unwrap_or(usize::MAX);
    if len > INLINE_LEN_MAX {
        return Err(call.bad("inline length", copy.len));
    }
    let bytes = call.body.raw(len)?;
    call.session.tables().ranges.check(copy.device, copy.len)?;
    let queue = call.use_queue(copy.stream)?;
    refuse_capture(call, queue)?;
    // The driver has read pageable memory when the call returns (CUDA Driver API, "API
    // synchronization behavior"), so the record's own bytes will do.
    to_device_async(
        &call.session.driver,
        copy.device,
        bytes.as_ptr(),
        len,
        queue.driver,
    )?;
    finish_to_device(call, copy.is_async == 1, queue)
}

/// Copies a source that the client reads when the stream gets there.
fn from_late(call: &mut Call<'_>, copy: &HostCopy) -> Result<Step, Stop> {
    let fits = |&len: &usize| 0 < len && len <= CHUNK_LEN;
    let len = usize::try_from(copy.len).ok().filter(fits);
    let len = len.ok_or_else(|| call.bad("length of a source", copy.len))?;
    call.session.tables().ranges.check(copy.device, copy.len)?;
    let queue = call.use_queue(copy.stream)?;
    late_copy(call, queue, (copy.position, len), |driver, address| {
        to_device_async(driver, copy.device, address, len, queue.driver)
    })
}

/// Copies a piece of the slab, which is free again when the stream has passed the copy. Whatever
/// goes wrong, the piece is given back: the client counts on it.
fn from_slab(call: &mut Call<'_>, copy: &HostCopy) -> Result<Step, Stop> {
    let session = call.session;
    let piece = session.slab.take(copy.position, copy.len)?;
    let len = usize::try_from(copy.len).expect("a piece of the slab fits in memory");
    let started = (|| {
        call.context()?;
        session.tables().ranges.check(copy.device, copy.len)?;
        let queue = call.use_queue(copy.stream)?;
        refuse_capture(call, queue)?;
        to_device_async(
            &session.driver,
            copy.device,
            piece.address,
            len,
            queue.driver,
        )?;
        Ok(queue)
    })();
    let queue = match started {
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

/// The end of a copy from client memory: what is used later waits for one that is not asynchronous.
pub(super) fn finish_to_device(
    call: &mut Call<'_>,
    is_async: bool,
    queue: Queue,
) -> Result<Step, Stop> {
    if !is_async {
        let session = call.session;
        call.seat.enter(session, queue.context)?;
        session.tables().add_copy(&session.driver, queue)?;
    }
    Ok(Step::Done)
}

/// An event behind the copy that has just been put on a queue. Where there can be none the copy is
/// waited for: its memory must not be used again before it is done.
pub(super) fn event_behind(call: &mut Call<'_>, queue: Queue) -> Result<CuEvent, CuError> {
    let session = call.session;
    // A copy may go to a stream of another context than the current one, and an event may not.
    let event = call.seat.enter(session, queue.context).and_then(|_| {
        let mut tables = session.tables();
        let event = tables.take_event(&session.driver, queue.context)?;
        session.driver.record_event(event, queue.driver)?;
        Ok(event)
    });
    if event.is_err() {
        // The copy's own error is told to whoever asks next.
        let _ = session.driver.synchronize_stream(queue.driver);
    }
    event
}

/// A synchronous copy: inline when it is small and the queue idle, else on a helper.
pub(crate) fn cuMemcpyDtoH_v2(call: &mut Call<'_>) -> Result<Step, Stop> {
    let copy = read(call)?;
    let context = call.context()?;
    let session = call.session;
    let len = usize::try_from(copy.len).map_err(|_| CuError::INVALID_VALUE)?;
    if copy.inline == 1 && len > INLINE_LEN_MAX {
        return Err(call.bad("inline length", copy.len));
    }
    session.tables().ranges.check(copy.device, copy.len)?;
    let queue = call.use_queue(copy.stream)?;
    refuse_capture(call, queue)?;
    let mark = session.tables().mark(queue);
    if copy.inline == 0 {
        return Call::later(move |desk| to_client(desk, &copy, queue, mark));
    }
    let is_of_context = queue.context == context.name;
    // The default stream waits for every blocking stream: all of them have to be idle.
    let is_idle = || {
        let busy = session.tables().busy(&session.driver, context.name)?;
        Ok(if busy.is_empty() {
            Progress::Done
        } else {
            Progress::Busy
        })
    };
    let job = move |desk: &mut Desk<'_>| {
        let mut bytes = vec![0_u8; len];
        let driver = &desk.session.driver;
        let target = bytes.as_mut_ptr();
        from_device_async(driver, target, copy.device, len, queue.driver)?;
        driver.synchronize_stream(queue.driver)?;
        desk.session.tables().done(mark);
        if !desk.session.landings.is_empty() {
            desk.session.landings.settle(desk.session);
        }
        desk.answer().raw(&bytes);
        Ok(())
    };
    if is_of_context && session.landings.is_empty() && spin(session, is_idle)? == Progress::Done {
        return call.here(job);
    }
    Call::later(job)
}

/// Copies in pieces through staging memory, one piece on its way from the GPU while another is on
/// its way to the client.
fn to_client(desk: &mut Desk<'_>, copy: &HostCopy, queue: Queue, mark: Mark) -> CuResult {
    let session = desk.session;
    let piece_len = usize::try_from(copy.len).map_or(CHUNK_LEN, |len| len.min(CHUNK_LEN));
    let first = session
        .landings
        .take(piece_len)
        .ok_or(CuError::DEVICE_UNAVAILABLE)?;
    let second = session.landings.try_take(piece_len);
    let result = pump(desk, copy, queue, &[Some(first), second]);
    // Nothing is on its way into the chunks: the pump waits for all that it has started.
    for chunk in [Some(first), second].into_iter().flatten() {
        session.landings.give(chunk.place);
    }
    result?;
    session.tables().done(mark);
    session.landings.settle(session);
    Ok(())
}

fn pump(desk: &Desk<'_>, copy: &HostCopy, queue: Queue, chunks: &[Option<Chunk>; 2]) -> CuResult {
    let session = desk.session;
    let driver = &session.driver;
    let chunks: Vec<Chunk> = chunks.iter().copied().flatten().collect();
    let pieces: Vec<Span> = pieces(copy).collect();
    let start = |at: usize| -> CuResult {
        let (piece, chunk) = (pieces[at], chunks[at % chunks.len()]);
        let len = usize::try_from(piece.len).unwrap_or(0);
        from_device_async(
            driver,
            chunk.address,
            copy.device + piece.offset,
            len,
            queue.driver,
        )
    };
    let mut result = if pieces.is_empty() { Ok(()) } else { start(0) };
    for (at, &piece) in pieces.iter().enumerate() {
        // The stream does copies one after the other: the wait for one piece must not wait for the
        // next, so that is started only then.
        result = result.and_then(|()| driver.synchronize_stream(queue.driver));
        let overlaps = chunks.len() > 1;
        if overlaps && result.is_ok() && at + 1 < pieces.len() {
            result = start(at + 1);
        }
        if result.is_ok() {
            let len = usize::try_from(piece.len).unwrap_or(0);
            let bytes = session.landings.read(chunks[at % chunks.len()], len);
            let put = session.link.put(piece, &bytes);
            result = put.map_err(|_| CuError::DEVICE_UNAVAILABLE);
        }
        if !overlaps && result.is_ok() && at + 1 < pieces.len() {
            result = start(at + 1);
        }
        if result.is_err() {
            let _ = driver.synchronize_stream(queue.driver);
            break;
        }
    }
    result
}

/// Staged in stream order now; put to the client when the GPU has done it.
pub(crate) fn cuMemcpyDtoHAsync_v2(call: &mut Call<'_>) -> Result<Step, Stop> {
    let copy = read(call)?;
    call.context()?;
    if copy.inline != 0 {
        return Err(call.bad("inline", u64::from(copy.inline)));
    }
    let session = call.session;
    session.tables().ranges.check(copy.device, copy.len)?;
    let queue = call.use_queue(copy.stream)?;
    refuse_capture(call, queue)?;
    for piece in pieces(&copy) {
        let len = usize::try_from(piece.len).unwrap_or(0);
        let chunk = session.landings.take_more(session, len)?;
        let device = copy.device + piece.offset;
        let started = from_device_async(&session.driver, chunk.address, device, len, queue.driver)
            .and_then(|()| event_behind(call, queue));
        match started {
            Ok(event) => Landings::push(session, queue.context, event, chunk, piece),
            Err(error) => {
                session.landings.give(chunk.place);
                return Err(error.into());
            }
        }
    }
    Ok(Step::Done)
}

/// Memory of a record or of a slab must not become part of a graph.
pub(super) fn refuse_capture(call: &Call<'_>, queue: Queue) -> CuResult {
    let session = call.session;
    if session.tables().is_recorded(&session.driver, queue) {
        return Err(CuError::STREAM_CAPTURE_UNSUPPORTED);
    }
    Ok(())
}

/// The pieces of a copy to the client, as spans of its landing.
fn pieces(copy: &HostCopy) -> impl Iterator<Item = Span> {
    let (region, len) = (copy.position, copy.len);
    let starts = (0..len).step_by(CHUNK_LEN);
    starts.map(move |offset| Span {
        region,
        offset,
        len: (len - offset).min(CHUNK_LEN as u64),
    })
}

fn read(call: &mut Call<'_>) -> Result<HostCopy, Stop> {
    let copy: HostCopy = call.body.get()?;
    let is_async_copy = Op(call.header.op) == op::cuMemcpyHtoDAsync_v2;
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
    Ok(copy)
}

fn to_device_async(
    driver: &Driver,
    target: u64,
    source: *const u8,
    len: usize,
    stream: CuStream,
) -> CuResult {
    let source = InBytes(source.cast_mut().cast::<c_void>());
    // SAFETY: the source is `len` bytes of a record, which the driver has read when this returns
    // since they are pageable, or of a slab piece, which stays until an event after this copy. The
    // target was checked against the session's ranges.
    unsafe { driver.cuMemcpyHtoDAsync_v2(CuDevicePtr(target), source, len, stream) }
}

fn from_device_async(
    driver: &Driver,
    target: *mut u8,
    source: u64,
    len: usize,
    stream: CuStream,
) -> CuResult {
    let target = OutBytes(target.cast::<c_void>());
    // SAFETY: the target is `len` bytes of staging memory or of a buffer that the caller keeps
    // until it has waited for the stream; the source was checked against the session's ranges.
    unsafe { driver.cuMemcpyDtoHAsync_v2(target, CuDevicePtr(source), len, stream) }
}
