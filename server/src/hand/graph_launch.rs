//! Launches of executable graphs, and the client memory that they read and write.
//!
//! ```text
//! GRAPH_BYTES   slab or record ─▶ (stream) mirror
//! cuGraphLaunch                   graph reads and writes mirrors
//!                                 (stream) mirror ─▶ staging ─▶ event ─▶ link.put (landings)
//! ```
#![expect(non_snake_case, reason = "CUDA's own names keep CUDA's spelling")]

use std::sync::Arc;

use flexdirect_transport::Span;
use flexdirect_wire::body::{GraphAsk, GraphBytes, GraphLanding, GraphLaunch, USES_MAX, source};
use flexdirect_wire::limits::{CHUNK_LEN, INLINE_LEN_MAX};
use flexdirect_wire::{CuError, CuResult, ShadowHandle};

use super::copy::{event_behind, refuse_capture};
use super::graph::exec;
use super::hostfn::late_copy;
use crate::dispatch::{Call, Step, Stop};
use crate::driver::steps::Progress;
use crate::session::Session;
use crate::shadow::contexts::Queue;
use crate::shadow::landings::Landings;
use crate::shadow::mirrors::{Mirror, Move, move_in_order};
use crate::shadow::retire::{Retire, Retired, What};

const BAD: CuError = CuError::INVALID_VALUE;

pub(crate) fn cuGraphUpload(call: &mut Call<'_>) -> Result<Step, Stop> {
    let asked: GraphAsk = call.body.get()?;
    let found = exec(call.session, asked.handle)?;
    let queue = call.use_queue(asked.other)?;
    call.session.driver.upload_graph(found, queue.driver)?;
    Ok(Step::Done)
}

/// Has a queue wait for the latest launch of an executable graph, which another may have: the
/// mirrors are used by one launch after the other.
fn order(call: &Call<'_>, name: ShadowHandle, queue: Queue) -> CuResult {
    let session = call.session;
    let last = session
        .tables()
        .graphs
        .exec(name)
        .and_then(|exec| exec.last);
    match last {
        Some((context, stream, event))
            if (context, stream) != (queue.context, queue.stream)
                && session.driver.query_event(event) != Ok(Progress::Done) =>
        {
            session.driver.wait_event(queue.driver, event)
        }
        _ => Ok(()),
    }
}

/// Bytes for a source of a copy, in stream order before a launch.
pub(crate) fn graph_bytes(call: &mut Call<'_>) -> Result<Step, Stop> {
    let asked: GraphBytes = call.body.get()?;
    let session = call.session;
    let len = usize::try_from(asked.len).unwrap_or(usize::MAX);
    let (from, bytes) = match asked.inline {
        0 => (session.slab.take(asked.position, asked.len)?.address, None),
        1 if len <= INLINE_LEN_MAX => {
            let bytes = call.body.raw(len)?.to_vec();
            (std::ptr::null(), Some(bytes))
        }
        source::LATE => return late_bytes(call, &asked),
        other => return Err(call.bad("inline", u64::from(other))),
    };
    let is_slab = bytes.is_none();
    let moved = (|| {
        call.context()?;
        let queue = call.use_queue(asked.stream)?;
        refuse_capture(call, queue)?;
        let (mirror, to) = target(session, &asked)?;
        order(call, ShadowHandle(asked.exec), queue)?;
        let job = Move {
            from,
            to,
            len,
            mirror,
            bytes,
        };
        move_in_order(&session.driver, queue.driver, job)?;
        Ok(queue)
    })();
    match moved {
        Ok(queue) if is_slab => {
            let entry = Retired {
                context: queue.context,
                // Without an event nothing reads the piece any more.
                events: event_behind(call, queue).into_iter().collect(),
                what: What::Slab(asked.position),
            };
            Retire::push(session, |session| &session.pieces, entry);
            Ok(Step::Done)
        }
        Ok(_) => Ok(Step::Done),
        Err(error) => {
            if is_slab {
                session.release_piece(asked.position);
            }
            Err(Stop::Call(error))
        }
    }
}

/// Where bytes for a source go.
fn target(session: &Session, asked: &GraphBytes) -> Result<(Arc<Mirror>, *mut u8), CuError> {
    let mut tables = session.tables();
    let known = tables.graphs.exec(ShadowHandle(asked.exec)).ok_or(BAD)?;
    let mirror = known.mirror(asked.mirror).ok_or(BAD)?;
    drop(tables);
    let to = mirror.at(asked.address, asked.len).ok_or(BAD)?;
    Ok((mirror, to))
}

/// The same bytes, which the client reads when the stream gets there.
fn late_bytes(call: &mut Call<'_>, asked: &GraphBytes) -> Result<Step, Stop> {
    let fits = |&len: &usize| 0 < len && len <= CHUNK_LEN;
    let len = usize::try_from(asked.len).ok().filter(fits);
    let len = len.ok_or_else(|| call.bad("length of a source", asked.len))?;
    call.context()?;
    let queue = call.use_queue(asked.stream)?;
    refuse_capture(call, queue)?;
    let (mirror, to) = target(call.session, asked)?;
    order(call, ShadowHandle(asked.exec), queue)?;
    late_copy(call, queue, (asked.position, len), |driver, address| {
        let job = Move {
            from: address.cast_const(),
            to,
            len,
            mirror,
            bytes: None,
        };
        move_in_order(driver, queue.driver, job)
    })
}

pub(crate) fn cuGraphLaunch(call: &mut Call<'_>) -> Result<Step, Stop> {
    let asked: GraphLaunch = call.body.get()?;
    if asked.landings > USES_MAX as u64 {
        return Err(call.bad("landings", asked.landings));
    }
    let landings = (0..asked.landings).map(|_| call.body.get());
    let landings: Vec<GraphLanding> = landings.collect::<Result<_, _>>()?;
    call.context()?;
    let session = call.session;
    let name = ShadowHandle(asked.exec);
    let launched = exec(session, asked.exec)?;
    let queue = call.use_queue(asked.stream)?;
    let (uses_any, is_captured) = {
        let mut tables = session.tables();
        let mirrors = tables.graphs.exec(name).map(|exec| exec.mirrors());
        let mirrors = mirrors.unwrap_or_default();
        let uses_any = !mirrors.is_empty();
        let is_captured = tables.is_captured(&session.driver, queue);
        if is_captured {
            // It becomes part of another graph, and may be gone before that has a name.
            tables.graphs.capture_mirrors(mirrors);
        }
        (uses_any, is_captured)
    };
    if !uses_any || is_captured {
        session.driver.launch_graph(launched, queue.driver)?;
        return Ok(Step::Done);
    }
    for landing in &landings {
        mirror_of(session, name, landing)?;
    }
    order(call, name, queue)?;
    session.driver.launch_graph(launched, queue.driver)?;
    let landed = landings
        .iter()
        .try_for_each(|landing| land(call, name, queue, landing));
    // Whatever has become of the landings, the graph is at work on its mirrors.
    let event = event_behind(call, queue)?;
    let mut tables = session.tables();
    let known = tables.graphs.exec(name).ok_or(BAD)?;
    let last = known.last.replace((queue.context, queue.stream, event));
    if let Some((context, _, event)) = last {
        tables.give_event(context, event);
    }
    drop(tables);
    landed?;
    Ok(Step::Done)
}

/// The mirror that a landing names, in which all of it lies.
fn mirror_of(
    session: &Session,
    name: ShadowHandle,
    landing: &GraphLanding,
) -> Result<Arc<Mirror>, CuError> {
    let number = u32::try_from(landing.mirror).map_err(|_| BAD)?;
    let mut tables = session.tables();
    let known = tables.graphs.exec(name).ok_or(BAD)?;
    let mirror = known.mirror(number).ok_or(BAD)?;
    drop(tables);
    mirror.at(landing.address, landing.len).ok_or(BAD)?;
    Ok(mirror)
}

/// Client memory that a launch has written: staged in stream order, put when that is done.
fn land(
    call: &mut Call<'_>,
    name: ShadowHandle,
    queue: Queue,
    landing: &GraphLanding,
) -> Result<(), Stop> {
    let session = call.session;
    let mirror = mirror_of(session, name, landing)?;
    for offset in (0..landing.len).step_by(CHUNK_LEN) {
        let part = (landing.len - offset).min(CHUNK_LEN as u64);
        let len = usize::try_from(part).unwrap_or(0);
        let from = mirror.at(landing.address + offset, part).ok_or(BAD)?;
        let chunk = session.landings.take_more(session, len)?;
        let job = Move {
            from: from.cast_const(),
            to: chunk.address,
            len,
            mirror: Arc::clone(&mirror),
            bytes: None,
        };
        let moved = move_in_order(&session.driver, queue.driver, job)
            .and_then(|()| event_behind(call, queue));
        let target = Span {
            region: landing.landing,
            offset,
            len: part,
        };
        match moved {
            Ok(event) => Landings::push(session, queue.context, event, chunk, target),
            Err(error) => {
                session.landings.give(chunk.place);
                return Err(error.into());
            }
        }
    }
    Ok(())
}
