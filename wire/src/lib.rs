//! What crosses: the table of calls, the C types of the driver, records, handles, control messages.
//!
//! This crate does no I/O and starts no thread. Everything wide in the system is derived from
//! [`driver`], the table of libcuda calls; everything that has a layout is laid out here, once.
//!
//! Open first: [`driver`] (the table), then [`record`] (how a call travels) and [`param`] (how one
//! argument does).

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod abi;
pub mod body;
pub mod call;
pub mod control;
pub mod driver;
pub mod handle;
pub mod limits;
pub mod nvml;
#[expect(
    unsafe_code,
    reason = "reads and writes the memory that the application's pointers name"
)]
pub mod param;
pub mod record;

pub use abi::{CuError, CuResult};
pub use call::{Blocks, Call, Class};
pub use handle::{Kind, ShadowHandle};
