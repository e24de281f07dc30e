//! What a libcuda must be to NVIDIA's runtime, for the shim and for softgpu alike.
//!
//! NVIDIA's runtime (cudart, in every CUDA program) asks more of its driver than the published
//! API: private export tables, an integrity answer, version rules for looking up functions, and
//! the understanding of a module image from a bare pointer. All of that is the same whether calls
//! are then sent to a server or executed here, so it lives in this leaf crate, which must not know
//! of records, links or kernels' semantics.
//!
//! Open first: [`tables`] (the private tables), then [`image`] (what a module is made of),
//! [`layout`] (how a kernel's parameters lie) and [`procs`] (cuGetProcAddress).
//! [`integrity`] is by itself so that it can be judged by itself.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test fails by panicking"))]

pub mod image;
pub mod integrity;
pub mod launch;
pub mod layout;
pub mod procs;
pub mod tables;
