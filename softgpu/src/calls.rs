//! The driver's calls, by topic: each does what the CUDA Driver API says of the function of its
//! name.
//!
//! Every one is called by the export of the same name and nothing else, with the application's
//! arguments unchecked. CUDA's own names keep CUDA's spelling.
#![allow(non_snake_case, reason = "CUDA's own names keep CUDA's spelling")]

mod access;
mod array;
mod capture;
mod context;
pub(crate) mod copy;
mod copy_batch;
pub(crate) mod copy_rows;
mod device;
mod event;
mod graph;
mod graph_exec;
mod graph_memory;
mod graph_nodes;
pub(crate) mod jit;
pub(crate) mod launch;
mod legacy;
mod library;
mod link;
mod managed;
mod managed_batch;
mod memory;
mod misc;
mod module;
mod occupancy;
mod peer;
mod pointer;
mod pool;
mod stream;
mod stream_attributes;
mod stream_work;
mod texture;
mod vmm;

pub(crate) use access::*;
pub(crate) use array::*;
pub(crate) use capture::*;
pub(crate) use context::*;
pub(crate) use copy::*;
pub(crate) use copy_batch::*;
pub(crate) use copy_rows::*;
pub(crate) use device::*;
pub(crate) use event::*;
pub(crate) use graph::*;
pub(crate) use graph_exec::*;
pub(crate) use graph_memory::*;
pub(crate) use graph_nodes::*;
pub(crate) use launch::*;
pub(crate) use legacy::*;
pub(crate) use library::*;
pub(crate) use link::*;
pub(crate) use managed::*;
pub(crate) use managed_batch::*;
pub(crate) use memory::*;
pub(crate) use misc::*;
pub(crate) use module::*;
pub(crate) use occupancy::*;
pub(crate) use peer::*;
pub(crate) use pointer::*;
pub(crate) use pool::*;
pub(crate) use stream::*;
pub(crate) use stream_attributes::*;
pub(crate) use stream_work::*;
pub(crate) use texture::*;
pub(crate) use vmm::*;

use flexdirect_wire::abi::{CuError, CuResult, Out};

/// INVALID_VALUE for a null out pointer, before anything is done.
fn not_null<T>(out: Out<T>) -> CuResult {
    if out.is_null() {
        return Err(CuError::INVALID_VALUE);
    }
    Ok(())
}
