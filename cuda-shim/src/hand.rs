//! Calls written by hand, by topic: what must be proved, translated or copied before it is sent.
//!
//! Each function has the name and the arguments of its call. What a posted call could be refused
//! for is proved here from what the client knows, so that the code comes at the call itself.

mod array;
mod attributes;
mod context;
#[expect(
    unsafe_code,
    reason = "reads and writes the memory that the application copies"
)]
mod copy;
mod event;
mod function;
mod hostfn;
#[expect(
    unsafe_code,
    reason = "reads kernel parameters behind the application's pointers"
)]
mod launch;
#[expect(unsafe_code, reason = "reads inputs behind the application's pointers")]
mod link;
#[expect(unsafe_code, reason = "promises that managed memory stays where it is")]
mod managed;
mod memory;
mod memset;
#[expect(
    unsafe_code,
    reason = "copies an image from behind the application's pointer"
)]
mod module;
mod peers;
mod pool;
#[expect(
    unsafe_code,
    reason = "reads and writes the memory that the application copies"
)]
mod rows;
mod stream;
mod texture;
#[expect(unsafe_code, reason = "promises that pinned memory stays where it is")]
mod twin;
mod values;
mod vmm;

use flexdirect_wire::abi::{CuError, CuResult};
use flexdirect_wire::body::One;
use flexdirect_wire::call::{Class, Op};
use flexdirect_wire::record::{Reader, WireError, Writer};

use zerocopy::IntoBytes;

use crate::process::{body, process};
use crate::session::Issue;
use crate::thread;

pub(crate) use array::*;
pub(crate) use attributes::*;
pub(crate) use context::*;
pub(crate) use copy::*;
pub(crate) use event::*;
pub(crate) use function::*;
pub(crate) use hostfn::*;
pub(crate) use launch::*;
pub(crate) use link::*;
pub(crate) use managed::*;
pub(crate) use memory::*;
pub(crate) use memset::*;
pub(crate) use module::*;
pub(crate) use peers::*;
pub(crate) use pool::*;
pub(crate) use rows::*;
pub(crate) use stream::*;
pub(crate) use texture::*;
pub(crate) use twin::{end_twin, is_all_mapped, reach};
pub(crate) use values::*;
pub(crate) use vmm::*;

pub(crate) use crate::graph::*;

/// A call that is derived from its arguments. A context is sent if there is one: whether the call
/// needs it the worker knows.
pub(crate) fn derived(
    op: Op,
    send: &mut dyn FnMut(&mut Writer<'_>) -> CuResult,
    receive: &mut dyn FnMut(&mut Reader<'_>) -> Result<(), WireError>,
) -> CuResult {
    let process = process()?;
    let (lane, context) = thread::current().map_or((0, 0), |here| (here.lane, here.handle));
    let issue = Issue { op, lane, context };
    let body = body(send)?;
    let is_posted = op.call().is_some_and(|call| call.class == Class::Posted);
    if is_posted {
        return process.session.post(issue, &body);
    }
    let reply = process.session.call(issue, &body)?;
    let mut answer = reply.body()?;
    receive(&mut answer).map_err(|error| process.session.broken(&error))
}

/// `INVALID_VALUE` for a null pointer among those that a call must write to: looked at before
/// anything is done that would be lost.
pub(crate) fn wanted(is_null: bool) -> CuResult {
    if is_null {
        Err(CuError::INVALID_VALUE)
    } else {
        Ok(())
    }
}

/// The body of a call about one thing: a handle or an address.
fn one(value: u64) -> Vec<u8> {
    One { value }.as_bytes().to_vec()
}

#[cfg(test)]
mod tests;
