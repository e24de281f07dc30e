//! Runs kernels on CPUs: a warp-lockstep interpreter over decoded PTX.
//!
//! [`Program::link`] resolves the symbols of a parsed module, [`Program::kernel`] decodes a kernel
//! at its first use, [`run`] executes one launch. Thirty-two lanes are one instruction: what a warp
//! does is decoded once and applied to whole rows of registers, which compilers turn into vector
//! code, and shuffles, votes and divergence are then plain code.
//!
//! ```text
//! ptx::Module ─link─▶ Program ─kernel(name)─▶ Kernel ─run(Launch)─▶ block ▶ warps ▶ lanes
//! ```
//!
//! Nothing here knows contexts, streams or allocations: memory is one contiguous arena of this
//! process ([`Memory`]) with [`Windows`] beside it, and a global device address is the host address
//! within it.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "PTX arithmetic is made of truncations and reinterpretations"
)]
#![allow(
    clippy::needless_range_loop,
    reason = "a lane indexes several rows at once"
)]

mod allocate;
mod atomic;
mod barrier;
mod block;
mod call;
mod check;
mod code;
mod convert;
mod decode;
mod execute;
mod fault;
mod float;
mod half;
mod image;
#[expect(
    unsafe_code,
    reason = "calls lane functions compiled for CPU features after detection"
)]
mod lanes;
mod launch;
mod matrix;
mod mbarrier;
#[expect(
    unsafe_code,
    reason = "kernels and host threads share the arena by CUDA's rules"
)]
mod memory;
mod memory_forms;
#[expect(
    unsafe_code,
    reason = "helpers call work that the launching thread borrows"
)]
mod pool;
mod print;
mod program;
mod registers;
mod scalar;
mod schedule;
mod soft;
mod space;
mod stack;
mod time;
mod warp;
mod warp_sync;

pub use decode::is_built_in;
pub use fault::{Fault, Place};
pub use image::{Channel, Image, Images, Outside, Sampler, Texture};
pub use launch::{BadAccess, Checker, Extras, Heap, Launch, run};
pub use memory::{Memory, Windows};
pub use program::{
    DecodeError, Global, GlobalSpace, Kernel, LinkError, Parameter, Program, Relocation,
};

/// Threads in a warp.
pub const LANES: usize = 32;
