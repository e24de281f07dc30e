//! Host memory that kernels may reach: which memory has a twin, and from when on.
//!
//! Pinned memory gets its twin when its device address is asked for, when that address is found
//! among a kernel's parameters, or, with `FLEXDIRECT_MAPPED=all`, at once. From then on it counts
//! as memory of the device: copies from and to it are the worker's.

use std::sync::{Mutex, PoisonError};

use flexdirect_wire::abi::{CuError, CuResult};
use flexdirect_wire::body::{TwinMake, session};
use flexdirect_wire::call::{Op, op};
use zerocopy::IntoBytes;

use super::one;
use super::stream::Target;
use crate::local::window;
use crate::log;
use crate::process::Process;
use crate::ranges::{Kind, Range};
use crate::session::{Block, Giving, Issue};

/// Memory of a device as a copy or memset reaches it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reached {
    /// Its address for the device.
    pub(super) address: u64,
    /// Whether the host uses the same memory.
    pub(super) is_shared: bool,
}

/// Proves that all of `len` bytes from `address` on are memory that the device reaches; pinned
/// memory gets its twin.
///
/// # Errors
/// `INVALID_VALUE` for what is none; those of [`reach`].
pub(super) fn device_memory(process: &Process, address: u64, len: u64) -> Result<Reached, CuError> {
    let of_device = process.ranges().device(address, len).copied();
    if let Ok(range) = of_device {
        let is_shared = range.is_shared();
        return Ok(Reached { address, is_shared });
    }
    let found = process.ranges().find(address).copied();
    let range = found.filter(|range| range.holds(address, len));
    let range = range.ok_or(CuError::INVALID_VALUE)?;
    Ok(Reached {
        address: reach(process, range.start)? + (address - range.start),
        is_shared: true,
    })
}

/// Before a copy or memset that uses memory of host and device: what the host has changed goes
/// first.
/// What it returns is kept until [`sent`] has been called.
pub(super) fn sending(process: &Process, stream: Target) -> Result<Giving<'_>, CuError> {
    process.session.send_twins(stream.issue(op::cuMemcpy).lane)
}

/// After it. The call returns when the host may use the memory, unless it is an asynchronous one.
pub(super) fn sent(process: &Process, stream: Target, is_async: bool) -> CuResult {
    process.session.note_twin_work(stream.context);
    if is_async {
        return Ok(());
    }
    super::stream::synchronise(process, stream)
}

/// Gives pinned memory that begins at `start` its twin, unless it has one; returns its device
/// address.
///
/// # Errors
/// `INVALID_VALUE` for what is no pinned memory; `OUT_OF_MEMORY` and what else the worker says.
pub(crate) fn reach(process: &Process, start: u64) -> Result<u64, CuError> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let found = process.ranges().find(start).copied();
    let Some((range, pinned)) = found.and_then(|range| Some((range, range.pinned()?))) else {
        return Err(CuError::INVALID_VALUE);
    };
    if pinned.device != 0 {
        return Ok(pinned.device);
    }
    // What is still copied to it is to be there first.
    crate::local::settle(process, &range)?;
    let device = make_twin(process, &range)?;
    // SAFETY: memory of ours is unmapped, and memory of the application its own again, only after
    // the block has been dropped: see `end_twin`.
    let block = unsafe { Block::new(range.start, device, range.len, range.context) };
    let block = block?;
    process.session.add_twin(if pinned.is_registered {
        block
    } else {
        block.watched()
    });
    process.ranges_mut().set_twin(range.start, device);
    Ok(device)
}

/// The twin at the memory's own address if that can be, else at one that is nobody's.
fn make_twin(process: &Process, range: &Range) -> Result<u64, CuError> {
    if window::holds(range.start) {
        match ask(process, range, range.start) {
            Err(CuError::NOT_SUPPORTED) => {}
            made => return made.map(|()| range.start),
        }
    }
    for _ in 0..TRIES_MAX {
        let offset = range.start % PAGE;
        let len = range.len.saturating_add(offset);
        let Some(base) = window::next(len) else {
            break;
        };
        if process.claims().claim(base, len).is_err() {
            continue;
        }
        match ask(process, range, base + offset) {
            Err(CuError::NOT_SUPPORTED) => {}
            made => return made.map(|()| base + offset),
        }
    }
    log::warning!(
        "{} bytes of pinned memory cannot be used by kernels: the server has no place for them",
        range.len
    );
    Err(CuError::NOT_SUPPORTED)
}

fn ask(process: &Process, range: &Range, address: u64) -> CuResult {
    let issue = issue(process, range, session::TWIN_MAKE);
    let make = TwinMake {
        address,
        len: range.len,
    };
    let reply = process.session.call(issue, make.as_bytes())?;
    reply.made().map(drop)
}

/// Pinned memory ends: its block is looked at no more, and the worker's memory goes back behind the
/// work that may use it.
pub(crate) fn end_twin(process: &Process, range: &Range) {
    let Some(pinned) = range.pinned().filter(|pinned| pinned.device != 0) else {
        return;
    };
    if !process.session.remove_twin(pinned.device) {
        // Its context is gone, and at the worker the twin with it.
        return;
    }
    let issue = issue(process, range, session::TWIN_DROP);
    // A session that is dead has no twins.
    let _ = process.session.post(issue, &one(pinned.device));
}

/// Gives twins to the pinned memory whose address is one of the words of a kernel's parameters.
pub(super) fn reach_from(process: &Process, parameters: &[u8]) {
    let mut starts = Vec::new();
    {
        let ranges = process.ranges();
        if !ranges.has_pinned() {
            return;
        }
        for word in parameters.chunks_exact(8) {
            let address = u64::from_le_bytes(word.try_into().expect("eight bytes"));
            let found = ranges.find(address);
            let is_new = |range: &&Range| range.pinned().is_some_and(|pinned| pinned.device == 0);
            starts.extend(found.filter(is_new).map(|range| range.start));
        }
    }
    for start in starts {
        // What cannot be reached is told by the kernel, if it is used at all.
        if let Err(error) = reach(process, start) {
            log::info!("no twin of the pinned memory at {start:#x}: {error:?}");
        }
    }
}

/// Whether all pinned memory is to have twins from the start.
pub(crate) fn is_all_mapped() -> bool {
    std::env::var_os("FLEXDIRECT_MAPPED").is_some_and(|value| value == "all")
}

fn issue(process: &Process, range: &Range, op: Op) -> Issue {
    Issue {
        op,
        lane: process.devices[range.ordinal].lane,
        context: range.context,
    }
}

impl Range {
    /// Whether it is another name of pinned memory.
    pub(crate) fn alias(&self) -> Option<u64> {
        match self.kind {
            Kind::Alias(host) => Some(host),
            _ => None,
        }
    }
}

/// Addresses that are tried for a twin.
const TRIES_MAX: usize = 4;
const PAGE: u64 = 4 << 10;
