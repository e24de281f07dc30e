//! The GPU host's side: the daemon that grants leases and the worker that serves one client process.

pub mod share;
