//! The GPU host's side: the daemon that grants leases and the worker that serves one client
//! process.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod daemon;
pub mod device;
mod dispatch;
#[expect(unsafe_code, reason = "calls a library that is opened by path")]
pub mod driver;
mod hand;
pub mod lease;
mod output;
pub mod quota;
pub mod scheduler;
pub mod session;
pub mod shadow;
pub mod share;
#[expect(unsafe_code, reason = "calls the driver with pointers to locals")]
pub mod snapshot;
pub mod worker;
