//! Host functions and callbacks of streams, and copies whose source the client reads when the
//! stream gets there: each is a hook in the driver's stream.
#![expect(non_snake_case, reason = "CUDA's own names keep CUDA's spelling")]

use flexdirect_wire::abi::CuStream;
use flexdirect_wire::body::{GraphBytes, HostCopy, HostFunction, One, RowsCopy, session, source};
use flexdirect_wire::call::op;
use flexdirect_wire::record::{Reader, Record, flags};
use flexdirect_wire::{CuError, CuResult};

use super::copy::event_behind;
use crate::dispatch::{Call, Step, Stop};
use crate::driver::Driver;
use crate::shadow::contexts::Queue;
use crate::shadow::hostfn::{Hook, HostFns};
use crate::shadow::retire::{Retire, Retired, What};

pub(crate) fn cuLaunchHostFunc(call: &mut Call<'_>) -> Result<Step, Stop> {
    enqueue(call, launch)
}

pub(crate) fn cuStreamAddCallback(call: &mut Call<'_>) -> Result<Step, Stop> {
    let session = call.session;
    let is_posted = call.header.flags & flags::AWAITED == 0;
    enqueue(call, |driver, stream, hook| {
        // SAFETY: the stream is the session's; the function is one of this program and takes its
        // data for a number.
        let added = unsafe { driver.cuStreamAddCallback(stream, Hook::callback(), hook.data(), 0) };
        if added.is_err() && is_posted {
            // The client's call has succeeded: the fault came after it, and is what it hears.
            session.hostfns.tell(hook, added);
            return Ok(());
        }
        added
    })
}

fn launch(driver: &Driver, stream: CuStream, hook: Hook) -> CuResult {
    // SAFETY: the stream is the session's; the function is one of this program and takes its data
    // for a number.
    unsafe { driver.cuLaunchHostFunc(stream, Hook::function(), hook.data()) }
}

fn enqueue(
    call: &mut Call<'_>,
    give: impl FnOnce(&Driver, CuStream, Hook) -> CuResult,
) -> Result<Step, Stop> {
    let body: HostFunction = call.body.get()?;
    if body.is_many > 1 || body.reserved != 0 {
        return Err(call.bad("is_many", u64::from(body.is_many)));
    }
    call.context()?;
    let queue = call.use_queue(body.stream)?;
    let is_many = body.is_many == 1;
    let mut tables = call.session.tables();
    tables.graphs.calls |= is_many;
    let is_recorded = tables.is_recorded(&call.session.driver, queue);
    drop(tables);
    if is_recorded && !is_many {
        // What is called once must not become part of a graph.
        return Err(CuError::STREAM_CAPTURE_UNSUPPORTED.into());
    }
    hook(call, queue, body.number, is_many, give)?;
    Ok(Step::Done)
}

/// Gives the driver a hook for what the client has under `number`.
fn hook(
    call: &Call<'_>,
    queue: Queue,
    number: u64,
    is_many: bool,
    give: impl FnOnce(&Driver, CuStream, Hook) -> CuResult,
) -> CuResult {
    let session = call.session;
    let hook = HostFns::hook(session, queue.context, number, is_many)?;
    give(&session.driver, queue.driver, hook).inspect_err(|_| session.hostfns.withdraw(hook))
}

/// The client releases a function that a graph could call any number of times.
pub(crate) fn host_function_end(call: &mut Call<'_>) -> Result<Step, Stop> {
    let One { value } = call.body.get()?;
    call.session.hostfns.end(value);
    Ok(Step::Done)
}

/// Whether a record copies from a source that the client reads late.
pub(crate) fn is_late(record: &Record<'_>) -> bool {
    let mut body = Reader::new(record.body);
    match record.op() {
        op::cuMemcpyHtoDAsync_v2 => body
            .get::<HostCopy>()
            .is_ok_and(|copy| copy.inline == source::LATE),
        op::cuMemcpy3DAsync_v2 => body
            .get::<RowsCopy>()
            .is_ok_and(|copy| copy.inline == source::LATE),
        session::GRAPH_BYTES => body
            .get::<GraphBytes>()
            .is_ok_and(|bytes| bytes.inline == source::LATE),
        _ => false,
    }
}

/// A copy of `len` bytes, at most a chunk, from source `number` of the client: staging memory, a
/// hook that has the client fill it, then `start`, the copy out of it.
pub(super) fn late_copy(
    call: &mut Call<'_>,
    queue: Queue,
    (number, len): (u64, usize),
    start: impl FnOnce(&Driver, *mut u8) -> CuResult,
) -> Result<Step, Stop> {
    let session = call.session;
    let chunk = session.landings.take_more(session, len)?;
    let hooked = session
        .hostfns
        .add_source(number, chunk.address, len as u64)
        .and_then(|()| {
            hook(call, queue, number, false, launch)
                .inspect_err(|_| session.hostfns.take_source(number))
        });
    if let Err(error) = hooked {
        session.landings.give(chunk.place);
        return Err(error.into());
    }
    let started = start(&session.driver, chunk.address);
    // Behind the hook at least, which writes to the chunk.
    let event: Result<_, CuError> = event_behind(call, queue);
    let entry = Retired {
        context: queue.context,
        // Without an event the stream was waited for.
        events: event.into_iter().collect(),
        what: What::Source(number, chunk.place),
    };
    Retire::push(session, |session| &session.sources, entry);
    started?;
    Ok(Step::Done)
}
