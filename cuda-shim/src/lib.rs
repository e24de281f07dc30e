//! The client side of FlexDirect: the `libcuda.so.1` that an unmodified CUDA program loads.
//!
//! Every call of the program arrives in `export`, which is read off the table of calls. What the
//! client knows is answered in `local`; what it must prove, translate or copy is in `hand`;
//! everything goes to the worker through `session`. What the client knows is held by
//! `process`. Nothing here knows how bytes cross (that is `transport`) or what the driver does
//! with a call (that is the worker).
//!
//! Open first: `export`, then `session`.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test fails by panicking"))]

mod array;
#[expect(
    unsafe_code,
    reason = "reserves address ranges of this process with mmap"
)]
mod claim;
mod clock;
mod devices;
#[cfg_attr(
    not(test),
    expect(
        unsafe_code,
        reason = "exports the symbols of libcuda under their C names"
    )
)]
mod export;
mod graph;
mod hand;
#[expect(
    unsafe_code,
    reason = "registers handlers for fork, exit and ends of threads with the C library"
)]
mod lifetime;
mod local;
mod log;
mod mask;
mod objects;
mod process;
mod ranges;
mod session;
mod texture;
mod thread;
mod visible;

#[cfg(test)]
mod fake;
