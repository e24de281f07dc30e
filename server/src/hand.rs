//! The server half of the calls that are written by hand, one file for each topic, the same names
//! as in the client's library.
//!
//! A handler reads the body, checks what the client claims against the session's tables, and either
//! executes on the dispatcher what never waits, or hands the rest to a helper.

#[expect(unsafe_code, reason = "calls the driver with pointers to locals")]
mod array;
#[expect(unsafe_code, reason = "calls the driver with pointers to locals")]
mod attributes;
mod capture;
#[expect(unsafe_code, reason = "calls the driver with pointers to locals")]
mod context;
#[expect(
    unsafe_code,
    reason = "calls the driver with pointers to shadow memory"
)]
mod copy;
#[expect(unsafe_code, reason = "calls the driver with pointers to locals")]
mod event;
#[expect(unsafe_code, reason = "calls the driver with pointers to locals")]
mod function;
mod graph;
mod graph_exec;
mod graph_launch;
mod graph_node;
mod graph_use;
mod guard;
#[expect(unsafe_code, reason = "gives the driver functions to call")]
mod hostfn;
mod image;
#[expect(unsafe_code, reason = "calls the driver with pointers into the record")]
mod launch;
#[expect(unsafe_code, reason = "calls the driver with pointers to inputs")]
mod link;
#[expect(unsafe_code, reason = "calls the driver, and writes managed memory")]
mod managed;
#[expect(unsafe_code, reason = "calls the driver with pointers to locals")]
mod memory;
#[expect(unsafe_code, reason = "calls the driver with pointers to images")]
mod module;
#[expect(unsafe_code, reason = "calls the driver with pointers to locals")]
mod peers;
#[expect(unsafe_code, reason = "calls the driver with pointers to locals")]
pub(crate) mod pool;
#[expect(
    unsafe_code,
    reason = "calls the driver with pointers to shadow memory"
)]
mod rows;
#[expect(unsafe_code, reason = "calls the driver with pointers to locals")]
mod stream;
#[expect(unsafe_code, reason = "calls the driver with pointers to locals")]
mod texture;
mod twin;
#[expect(unsafe_code, reason = "calls the driver with pointers to locals")]
mod values;
#[expect(unsafe_code, reason = "calls the driver with pointers to locals")]
mod vmm;

pub(crate) use array::*;
pub(crate) use attributes::*;
pub(crate) use capture::*;
pub(crate) use context::*;
pub(crate) use copy::*;
pub(crate) use event::*;
pub(crate) use function::*;
pub(crate) use graph::*;
pub(crate) use graph_exec::*;
pub(crate) use graph_launch::*;
pub(crate) use graph_node::*;
pub(crate) use guard::guard;
pub(crate) use hostfn::*;
pub(crate) use image::image_piece;
pub(crate) use launch::*;
pub(crate) use link::*;
pub(crate) use managed::*;
pub(crate) use memory::*;
pub(crate) use module::*;
pub(crate) use peers::*;
pub(crate) use pool::*;
pub(crate) use rows::*;
pub(crate) use stream::*;
pub(crate) use texture::*;
pub(crate) use twin::*;
pub(crate) use values::*;
pub(crate) use vmm::*;
