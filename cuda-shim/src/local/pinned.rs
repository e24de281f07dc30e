//! Pinned host memory: pages of this process, of which it is known that they are.
//!
//! The worker never sees them; a copy that has one as its target may put to it when its stream gets
//! there, so such memory is not given back while a landing in it is pending.

#![expect(non_snake_case, reason = "CUDA's own names keep CUDA's spelling")]

use std::ffi::c_void;
use std::ptr;

use flexdirect_wire::abi::{CuDevicePtr, CuError, CuResult, Out};
use flexdirect_wire::call::op;

use crate::log;
use crate::process::{Process, here};
use crate::ranges::{Kind, Range};
use crate::session::Issue;

pub(crate) fn cuMemAllocHost_v2(pp: Out<*mut c_void>, bytesize: usize) -> CuResult {
    cuMemHostAlloc(pp, bytesize, 0)
}

pub(crate) fn cuMemHostAlloc(pp: Out<*mut c_void>, bytesize: usize, flags: u32) -> CuResult {
    let here = here()?;
    if pp.is_null() || bytesize == 0 || flags & !FLAGS != 0 {
        return Err(CuError::INVALID_VALUE);
    }
    let start = map(bytesize).ok_or(CuError::OUT_OF_MEMORY)?;
    here.process.ranges_mut().insert(Range {
        start: start.expose_provenance() as u64,
        len: bytesize as u64,
        kind: Kind::Pinned(flags),
        context: here.context.handle,
        ordinal: here.context.ordinal,
        id: 0,
    });
    pp.write(start)
}

pub(crate) fn cuMemFreeHost(p: *mut c_void) -> CuResult {
    let process = here()?.process;
    let is_pinned = |kind| matches!(kind, Kind::Pinned(_));
    let start = p as u64;
    let found = process.ranges().find(start).copied();
    let range = found.filter(|range| range.start == start && is_pinned(range.kind));
    let range = range.ok_or(CuError::INVALID_VALUE)?;
    let settled = settle(process, &range);
    process
        .ranges_mut()
        .remove(start, is_pinned)
        .ok_or(CuError::INVALID_VALUE)?;
    if give_back_pinned(process, &range) {
        Ok(())
    } else {
        settled
    }
}

/// Gives pages back that were taken out of the range table, unless a copy may still write to them.
/// Whether they were.
pub(crate) fn give_back_pinned(process: &Process, range: &Range) -> bool {
    if process.session.is_in_use(range.start, range.len) {
        log::warning!(
            "{} bytes of pinned memory are kept: a copy of them did not end",
            range.len
        );
        return false;
    }
    unmap(range);
    true
}

/// Waits for copies to the memory, if there are any.
fn settle(process: &Process, range: &Range) -> CuResult {
    if !process.session.is_in_use(range.start, range.len) {
        return Ok(());
    }
    let context = process.context(range.context)?;
    let issue = Issue {
        op: op::cuCtxSynchronize,
        lane: context.lane,
        context: context.handle,
    };
    process.session.call(issue, &[])?.check()
}

pub(crate) fn cuMemHostGetDevicePointer_v2(
    pdptr: Out<CuDevicePtr>,
    p: *mut c_void,
    flags: u32,
) -> CuResult {
    pinned(p)?;
    if pdptr.is_null() || flags != 0 {
        return Err(CuError::INVALID_VALUE);
    }
    Err(CuError::NOT_SUPPORTED)
}

pub(crate) fn cuMemHostGetFlags(flags: Out<u32>, p: *mut c_void) -> CuResult {
    flags.write(pinned(p)?)
}

fn pinned(p: *mut c_void) -> Result<u32, CuError> {
    let process = here()?.process;
    match process.ranges().find(p as u64).map(|range| range.kind) {
        Some(Kind::Pinned(flags)) => Ok(flags),
        _ => Err(CuError::INVALID_VALUE),
    }
}

fn map(len: usize) -> Option<*mut c_void> {
    let (access, flags) = (
        libc::PROT_READ | libc::PROT_WRITE,
        libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
    );
    // SAFETY: a new mapping at an address of the kernel's choice touches no other memory.
    let mapped = unsafe { libc::mmap(ptr::null_mut(), len, access, flags, -1, 0) };
    (mapped != libc::MAP_FAILED).then_some(mapped)
}

fn unmap(range: &Range) {
    let to = |value| usize::try_from(value).expect("it was mapped");
    let start = ptr::with_exposed_provenance_mut(to(range.start));
    // SAFETY: `map` has made this mapping, it was taken out of the range table just now, so it is
    // unmapped once, and no landing is in it.
    unsafe { libc::munmap(start, to(range.len)) };
}

/// Portable, device-mapped, write-combined: the last two change nothing here.
const FLAGS: u32 = 7;
