//! How it crosses: bytes and memory spans between two processes. Nothing here has heard of CUDA.
//!
//! Read [`link`] first: one trait, several mechanisms behind it. A new transport is one file beside
//! `tcp.rs` and one line in the list in [`connect`]. [`memory`] is the link of the protocol tests:
//! both ends in one process, with faults on demand.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod connect;
#[expect(
    unsafe_code,
    reason = "writes bulk into memory that the sink named by address"
)]
mod landing;
pub mod link;
pub mod memory;
pub mod tcp;

pub use link::{Destination, Error, Lanes, Link, Sink, Span};
