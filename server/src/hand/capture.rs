//! Captures of streams. They forbid nothing here: the rules of threads are kept by the client,
//! whose threads they are about; what no capture can take, the driver refuses.
#![expect(non_snake_case, reason = "CUDA's own names keep CUDA's spelling")]

use flexdirect_wire::abi::{CuDevicePtr, CuMemoryType};
use flexdirect_wire::body::{Capture, Captured, CapturedCopy, One, Rows, captured};
use flexdirect_wire::{CuError, ShadowHandle};

use super::graph::{answer, enter, graph, name_graph, name_node, nodes};
use super::graph_node::translate;
use super::graph_use::mirrors_of;
use crate::dispatch::{Call, Step, Stop};
use crate::driver::graph_nodes::Add;
use crate::driver::graphs::{CAPTURE_ACTIVE, CaptureForm};
use crate::shadow::contexts::Queue;

const BAD: CuError = CuError::INVALID_VALUE;

/// The queue that a call names, which is only asked or captured.
fn named(call: &Call<'_>, stream: u64) -> Result<Queue, CuError> {
    let tables = call.session.tables();
    tables.queue(call.context.name, ShadowHandle(stream))
}

pub(crate) fn cuStreamBeginCapture_v2(call: &mut Call<'_>) -> Result<Step, Stop> {
    let asked: Capture = call.body.get()?;
    let session = call.session;
    let after = nodes(call, asked.nodes)?;
    let driver = &session.driver;
    // What it has to wait for it does before: a wait would become part of the graph.
    let queue = call.use_queue(asked.stream)?;
    if asked.graph == 0 {
        driver.begin_capture(queue.driver)?;
    } else {
        let to = Add {
            graph: graph(session, asked.graph)?,
            after: &after,
        };
        driver.begin_capture_to(queue.driver, to)?;
    }
    let made = match asked.graph {
        0 => driver.capture_info(queue.driver).ok().map(|info| info.2),
        _ => None,
    };
    let mut tables = session.tables();
    tables.graphs.captures.insert(queue.stream, made);
    drop(tables);
    Ok(Step::Done)
}

pub(crate) fn cuStreamEndCapture(call: &mut Call<'_>) -> Result<Step, Stop> {
    let One { value } = call.body.get()?;
    let session = call.session;
    let queue = named(call, value)?;
    let ended = session.driver.end_capture(queue.driver);
    let is_over = session.driver.capture_status(queue.driver) == Ok(0);
    if is_over {
        let mut tables = session.tables();
        let own = &mut *tables;
        if ended.is_err() {
            own.graphs.capture_lost(&mut own.handles, queue.stream);
        } else {
            own.graphs.captures.remove(&queue.stream);
        }
    }
    let name = match ended {
        // A graph that the client had before keeps its name.
        Ok(made) => enter_captured(call, made)?,
        Err(error) => {
            forget_mirrors(call);
            return Err(error.into());
        }
    };
    answer(call, name.0)
}

fn enter_captured(
    call: &Call<'_>,
    made: flexdirect_wire::abi::CuGraph,
) -> Result<ShadowHandle, CuError> {
    let session = call.session;
    let name = enter(session, made)?;
    let mirrors = mirrors_of(session, made)?;
    session.tables().graphs.hold(name, &mirrors);
    forget_mirrors(call);
    Ok(name)
}

/// Without a capture nothing is held for one.
fn forget_mirrors(call: &Call<'_>) {
    let mut tables = call.session.tables();
    if !tables.graphs.captures.is_empty() {
        return;
    }
    tables.graphs.captured.clear();
    drop(tables);
    call.session.sweep_mirrors();
}

pub(crate) fn cuStreamIsCapturing(call: &mut Call<'_>) -> Result<Step, Stop> {
    let One { value } = call.body.get()?;
    let queue = named(call, value)?;
    let status = call.session.driver.capture_status(queue.driver)?;
    answer(call, u64::from(status))
}

pub(crate) fn cuStreamGetCaptureInfo_v3(call: &mut Call<'_>) -> Result<Step, Stop> {
    let One { value } = call.body.get()?;
    let session = call.session;
    let queue = named(call, value)?;
    let (status, id, of, after) = session.driver.capture_info(queue.driver)?;
    let mut told = Captured {
        status: u64::from(status),
        id,
        ..Captured::default()
    };
    let mut names = Vec::new();
    if status == CAPTURE_ACTIVE {
        let owner = name_graph(session, of, ShadowHandle::NULL)?;
        told.graph = owner.0;
        told.nodes = after.len() as u64;
        for node in after {
            names.push(name_node(session, node, owner)?);
        }
    }
    let mut answer = call.answer();
    answer.put(&told);
    for name in names {
        answer.u64(name.0);
    }
    Ok(Step::Done)
}

pub(crate) fn cuStreamUpdateCaptureDependencies_v2(call: &mut Call<'_>) -> Result<Step, Stop> {
    let asked: Capture = call.body.get()?;
    let queue = named(call, asked.stream)?;
    let mut after = nodes(call, asked.nodes)?;
    let flags = u32::try_from(asked.flags).map_err(|_| BAD)?;
    let driver = &call.session.driver;
    driver.update_capture(queue.driver, &mut after, flags)?;
    Ok(Step::Done)
}

/// A copy of client memory that becomes part of a graph.
pub(crate) fn captured_copy(call: &mut Call<'_>) -> Result<Step, Stop> {
    let asked: CapturedCopy = call.body.get()?;
    let session = call.session;
    let queue = named(call, asked.stream)?;
    let driver = &session.driver;
    if driver.capture_status(queue.driver)? == 0 {
        // Only a capture keeps the memory that it names.
        return Err(CuError::ILLEGAL_STATE.into());
    }
    let (copy, mirrors) = translate(session, &asked.copy)?;
    session.tables().graphs.captured.extend(mirrors);
    let rows = [&copy.target, &copy.source].map(|end| Rows::of(&copy, end));
    let form = match (asked.form, rows) {
        (captured::ROWS, _) => CaptureForm::Rows(copy),
        (form, [Some(to), Some(from)]) if (copy.height, copy.depth) == (1, 1) => {
            let len = copy.width_bytes;
            let is_host = |kind| kind == CuMemoryType::HOST;
            match form {
                captured::TO_DEVICE if is_host(copy.source.kind) => {
                    CaptureForm::ToDevice(CuDevicePtr(to.start), from.start, len)
                }
                captured::TO_HOST if is_host(copy.target.kind) => {
                    CaptureForm::ToHost(to.start, CuDevicePtr(from.start), len)
                }
                _ => CaptureForm::Any(CuDevicePtr(to.start), CuDevicePtr(from.start), len),
            }
        }
        _ => return Err(BAD.into()),
    };
    driver.capture_copy(form, queue.driver)?;
    Ok(Step::Done)
}
