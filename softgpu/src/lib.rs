//! softgpu: the CUDA driver on CPUs, a real `libcuda.so.1` and not a mock.
//!
//! Streams run on threads of their own, events carry times, device memory is one arena a device,
//! kernels come from PTX. It must not know of records, links or leases: the server opens it by path
//! as it opens NVIDIA's, and a program can be run on it directly.
//!
//! ```text
//!  export (C edge) -> calls/* -> driver, context, stream, event, module -> exec (interpreter)
//!                                      \-> arena, ledger, pinned (memory)     ^- ptx (front end)
//! ```
//!
//! Open first: [`export`] (what programs see), `stream` (how work is ordered), [`exec`].

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test fails by panicking"))]

mod arena;
mod array;
mod attributes;
mod bell;
mod callback;
mod calls;
mod capture;
mod checker;
mod config;
mod context;
mod device;
mod driver;
mod event;

pub mod exec;
#[expect(
    unsafe_code,
    reason = "exports C symbols and reads what callers point to"
)]
pub mod export;
mod faultplan;
mod function;
mod graph;
#[cfg_attr(
    not(test),
    allow(dead_code, reason = "what is read back is for the monitoring library")
)]
mod health;
mod heap;
mod identity;
mod launch;
mod ledger;
mod link;
mod managed;
mod mempool;
mod merge;
mod module;
mod pinned;
pub mod ptx;
#[expect(
    unsafe_code,
    reason = "maps memory, copies by address, reads the application's pointers"
)]
mod raw;
mod stream;
mod table;
mod texture;
mod thread;
mod values;
mod variables;
mod vmm;
mod windows;
