//! softgpu's libnvidia-ml.so.1: what monitors are told of the CPUs that play GPUs.
//!
//! It talks to no driver: devices are those of the environment, as in the driver, and what
//! processes use of them is in the ledger that the driver's processes share. The files that say
//! so are the driver's own, compiled in here, too: its library cannot be linked, for it would bring
//! libcuda's symbols along.
//!
//! ```text
//!  export (C edge) -> calls, events -> devices -> config, identity, attributes (the environment)
//!                                              \-> ledger, health (files that processes share)
//! ```
//!
//! Open first: [`export`].

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test fails by panicking"))]

mod calls;
mod devices;
mod events;
#[cfg_attr(
    not(test),
    expect(unsafe_code, reason = "exports the symbols of libnvidia-ml")
)]
pub mod export;
mod host;
#[expect(
    unsafe_code,
    reason = "reads and writes arrays and structs of the application"
)]
mod memory;

#[allow(dead_code, reason = "the driver's own; a monitor needs some of it")]
#[path = "../../src/attributes.rs"]
mod attributes;
#[allow(dead_code, reason = "the driver's own; a monitor needs some of it")]
#[path = "../../src/config.rs"]
mod config;
#[allow(dead_code, reason = "the driver's own; a monitor needs some of it")]
#[path = "../../src/health.rs"]
mod health;
#[allow(dead_code, reason = "the driver's own; a monitor needs some of it")]
#[path = "../../src/identity.rs"]
mod identity;
#[allow(dead_code, reason = "the driver's own; a monitor needs some of it")]
#[path = "../../src/ledger.rs"]
mod ledger;
mod raw;
