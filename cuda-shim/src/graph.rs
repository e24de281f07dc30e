//! Graphs and captures: what the application gives by pointer is read here, the worker's driver
//! has the graphs.
//!
//! ```text
//! graph    names of the worker's graphs and nodes; every call about them is awaited
//! exec     what its launches read and write of this process's memory is known here:
//!          its bytes go before the launch, landings come after it, and the launch is posted
//! capture  while there is one, every call is awaited, so that errors come at the call itself
//! ```

#![expect(non_snake_case, reason = "CUDA's own names keep CUDA's spelling")]

mod attributes;
mod capture;
mod copies;
#[expect(unsafe_code, reason = "reads and writes the memory that graphs copy")]
mod exec;
mod lists;
mod nodes;
mod told;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use flexdirect_wire::abi::{CuError, CuGraph, CuGraphNode, CuResult, InStr, Out};
use flexdirect_wire::body::{GraphAsk, One};
use flexdirect_wire::call::{Op, op};
use flexdirect_wire::record::Writer;
use zerocopy::IntoBytes;

use crate::objects::Table;
use crate::process::{Process, body, process};
use crate::session::{Issue, Reply};
use crate::thread;

pub(crate) use attributes::*;
pub(crate) use capture::*;
pub(crate) use copies::{Form, take_copy};
pub(crate) use exec::*;
pub(crate) use lists::*;
pub(crate) use nodes::*;
pub(crate) use told::*;

const BAD: CuError = CuError::INVALID_VALUE;

/// What a process knows of its graphs.
#[derive(Debug, Default)]
pub(crate) struct State {
    execs: Table<exec::Exec>,
    /// Parameters of kernel nodes that were told, by the slot of the node: they stay until others
    /// are told for the same slot.
    values: Mutex<HashMap<u32, Arc<told::Values>>>,
    captures: Mutex<capture::Captures>,
}

/// A call in the current context, or in none.
fn issue(op: Op) -> Issue {
    let (lane, context) = thread::current().map_or((0, 0), |here| (here.lane, here.handle));
    Issue { op, lane, context }
}

/// Asks the worker, whose reply is success.
fn ask(op: Op, write: impl FnOnce(&mut Writer<'_>) -> CuResult) -> Result<Reply, CuError> {
    let process = process()?;
    process.session.call(issue(op), &body(write)?)
}

/// Asks the worker for what answers nothing.
fn tell(op: Op, body: &[u8]) -> CuResult {
    process()?.session.call(issue(op), body)?.check()
}

/// Asks the worker for a number.
fn number(op: Op, body: &[u8]) -> Result<u64, CuError> {
    let process = process()?;
    let reply = process.session.call(issue(op), body)?;
    let one: One = reply
        .made()?
        .get()
        .map_err(|error| process.session.broken(&error))?;
    Ok(one.value)
}

/// A question about one thing or two.
fn question(what: u32, handle: u64, other: u64) -> Vec<u8> {
    let asked = GraphAsk {
        handle,
        other,
        what,
        ..GraphAsk::default()
    };
    asked.as_bytes().to_vec()
}

/// `INVALID_VALUE` for a null pointer that has to be written to.
fn wanted<T>(place: *mut T) -> CuResult {
    if place.is_null() { Err(BAD) } else { Ok(()) }
}

fn one(value: u64) -> Vec<u8> {
    One { value }.as_bytes().to_vec()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

pub(crate) fn cuGraphCreate(graph: *mut CuGraph, flags: u32) -> CuResult {
    process()?;
    wanted(graph)?;
    if flags != 0 {
        return Err(BAD);
    }
    Out(graph).write(CuGraph(number(op::cuGraphCreate, &one(0))?))
}

pub(crate) fn cuGraphDestroy(graph: CuGraph) -> CuResult {
    tell(op::cuGraphDestroy, &one(graph.0))
}

pub(crate) fn cuGraphClone(clone: *mut CuGraph, original: CuGraph) -> CuResult {
    process()?;
    wanted(clone)?;
    Out(clone).write(CuGraph(number(op::cuGraphClone, &one(original.0))?))
}

pub(crate) fn cuGraphDestroyNode(node: CuGraphNode) -> CuResult {
    tell(op::cuGraphDestroyNode, &one(node.0))
}

/// The text comes from the worker; the file is one of this host.
pub(crate) fn cuGraphDebugDotPrint(
    graph: CuGraph,
    path: *const std::ffi::c_char,
    flags: u32,
) -> CuResult {
    let process: &Process = process()?;
    let path = InStr(path.cast_mut()).text()?.to_str().map_err(|_| BAD)?;
    let mut text = Vec::new();
    loop {
        let asked = GraphAsk {
            handle: graph.0,
            what: flags,
            offset: text.len() as u64,
            ..GraphAsk::default()
        };
        let reply = process
            .session
            .call(issue(op::cuGraphDebugDotPrint), asked.as_bytes())?;
        let mut answer = reply.body()?;
        let broken = |error| process.session.broken(&error);
        let len = answer.u64().map_err(broken)?;
        let page = answer.bytes().map_err(broken)?;
        text.extend_from_slice(page);
        if page.is_empty() || text.len() as u64 >= len {
            break;
        }
    }
    std::fs::write(path, text).map_err(|_| CuError::OPERATING_SYSTEM)
}
