//! Pinned host memory: pages of this process, of which it is known that they are.
//!
//! The worker has none of them, but for those that kernels reach, of which it has twins
//! (`hand::twin`). A copy that has one as its target may put to it when its stream gets there, so
//! such memory is not given back while a landing in it is pending.

#![expect(non_snake_case, reason = "CUDA's own names keep CUDA's spelling")]

use std::ffi::c_void;
use std::ptr;

use flexdirect_wire::abi::{CuDevicePtr, CuError, CuResult, Out};
use flexdirect_wire::call::op;

use super::window;
use crate::hand::{end_twin, is_all_mapped, reach};
use crate::log;
use crate::process::{Here, Process, here};
use crate::ranges::{Kind, Pinned, Range};
use crate::session::Issue;

pub(crate) fn cuMemAllocHost_v2(pp: Out<*mut c_void>, bytesize: usize) -> CuResult {
    cuMemHostAlloc(pp, bytesize, 0)
}

pub(crate) fn cuMemHostAlloc(pp: Out<*mut c_void>, bytesize: usize, flags: u32) -> CuResult {
    let here = here()?;
    if pp.is_null() || bytesize == 0 || flags & !FLAGS != 0 {
        return Err(CuError::INVALID_VALUE);
    }
    let start = window::map(bytesize).ok_or(CuError::OUT_OF_MEMORY)?;
    let address = start.expose_provenance() as u64;
    enter(&here, address, bytesize, flags, false);
    if is_all_mapped() {
        reach(here.process, address)?;
    }
    pp.write(start)
}

fn enter(here: &Here, start: u64, len: usize, flags: u32, is_registered: bool) {
    here.process.ranges_mut().insert(Range {
        start,
        len: len as u64,
        kind: Kind::Pinned(Pinned {
            flags,
            is_registered,
            device: 0,
        }),
        context: here.context.handle,
        ordinal: here.context.ordinal,
        id: 0,
    });
}

/// The memory stays where it is; it is the application's, so a kernel reaches it at an address of
/// the device.
pub(crate) fn cuMemHostRegister_v2(p: *mut c_void, bytesize: usize, flags: u32) -> CuResult {
    let here = here()?;
    if p.is_null() || bytesize == 0 || flags & !REGISTER_FLAGS != 0 {
        return Err(CuError::INVALID_VALUE);
    }
    if flags & (REGISTER_IO_MEMORY | REGISTER_READ_ONLY) != 0 {
        // As the attribute READ_ONLY_HOST_REGISTER_SUPPORTED says.
        return Err(CuError::NOT_SUPPORTED);
    }
    let (start, len) = (p.expose_provenance() as u64, bytesize as u64);
    let process = here.process;
    let is_of_device = process.ranges().find(start).is_some_and(Range::is_device);
    if is_of_device || !is_writable(start, len) {
        return Err(CuError::INVALID_VALUE);
    }
    if process.ranges().overlaps(start, len) {
        return Err(CuError::HOST_MEMORY_ALREADY_REGISTERED);
    }
    enter(&here, start, bytesize, flags, true);
    if is_all_mapped() {
        reach(process, start)?;
    }
    Ok(())
}

/// Waits for what may use the memory, which is the application's alone then.
pub(crate) fn cuMemHostUnregister(p: *mut c_void) -> CuResult {
    let process = here()?.process;
    if p.is_null() {
        return Err(CuError::INVALID_VALUE);
    }
    let found = process.ranges().find(p as u64).copied();
    let is_whole = |range: &Range| {
        range.start == p as u64 && range.pinned().is_some_and(|pinned| pinned.is_registered)
    };
    let range = found.filter(is_whole);
    let range = range.ok_or(CuError::HOST_MEMORY_NOT_REGISTERED)?;
    let has_twin = range.is_shared();
    let settled = if has_twin {
        synchronise(process, &range)
    } else {
        settle(process, &range)
    };
    let is_pinned = |kind| matches!(kind, Kind::Pinned(_));
    let removed = process.ranges_mut().remove(range.start, is_pinned);
    removed.ok_or(CuError::HOST_MEMORY_NOT_REGISTERED)?;
    end_twin(process, &range);
    settled
}

pub(crate) fn cuMemFreeHost(p: *mut c_void) -> CuResult {
    let process = here()?.process;
    let is_pinned = |kind| matches!(kind, Kind::Pinned(_));
    let start = p as u64;
    let found = process.ranges().find(start).copied();
    let is_ours = |range: &Range| {
        range.start == start && range.pinned().is_some_and(|pinned| !pinned.is_registered)
    };
    let range = found.filter(is_ours).ok_or(CuError::INVALID_VALUE)?;
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
    end_twin(process, range);
    if range.pinned().is_none_or(|pinned| pinned.is_registered) {
        return true;
    }
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
pub(crate) fn settle(process: &Process, range: &Range) -> CuResult {
    if process.session.is_in_use(range.start, range.len) {
        synchronise(process, range)?;
    }
    Ok(())
}

/// Waits for all work of the context that the memory was made in.
fn synchronise(process: &Process, range: &Range) -> CuResult {
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
    let range = pinned(p)?;
    if pdptr.is_null() || flags != 0 {
        return Err(CuError::INVALID_VALUE);
    }
    let device = reach(here()?.process, range.start)?;
    pdptr.write(CuDevicePtr(device + (p as u64 - range.start)))
}

pub(crate) fn cuMemHostGetFlags(flags: Out<u32>, p: *mut c_void) -> CuResult {
    let range = pinned(p)?;
    flags.write(range.pinned().ok_or(CuError::INVALID_VALUE)?.flags)
}

/// The pinned memory that an address lies in.
fn pinned(p: *mut c_void) -> Result<Range, CuError> {
    let process = here()?.process;
    let found = process.ranges().find(p as u64).copied();
    let found = found.filter(|range| range.pinned().is_some());
    found.ok_or(CuError::INVALID_VALUE)
}

/// Whether all of a range is memory of this process that can be read and written.
fn is_writable(start: u64, len: u64) -> bool {
    let Some(end) = start.checked_add(len) else {
        return false;
    };
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let mut reached = start;
    for (map_start, map_end, is_open) in maps.lines().filter_map(parse_map) {
        if (map_start..map_end).contains(&reached) {
            if !is_open {
                return false;
            }
            reached = map_end;
        }
    }
    reached >= end
}

/// `START-END rw.. ...` of `/proc/self/maps`: start, end, whether it can be read and written.
fn parse_map(line: &str) -> Option<(u64, u64, bool)> {
    let (range, rest) = line.split_once(' ')?;
    let (start, end) = range.split_once('-')?;
    let number = |text| u64::from_str_radix(text, 16).ok();
    Some((number(start)?, number(end)?, rest.starts_with("rw")))
}

fn unmap(range: &Range) {
    let to = |value| usize::try_from(value).expect("it was mapped");
    let start = ptr::with_exposed_provenance_mut(to(range.start));
    // SAFETY: `window::map` has made this mapping, it was taken out of the range table just now, so
    // it is unmapped once, and no landing is in it.
    unsafe { libc::munmap(start, to(range.len)) };
}

/// Portable, device-mapped, write-combined: the last two change nothing here.
const FLAGS: u32 = 7;
/// `CU_MEMHOSTREGISTER_PORTABLE`, `_DEVICEMAP`, `_IOMEMORY` and `_READ_ONLY`.
const REGISTER_FLAGS: u32 = 15;
const REGISTER_IO_MEMORY: u32 = 4;
const REGISTER_READ_ONLY: u32 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_cannot_be_written_is_known() {
        let value = Box::new(7_u64);
        let address = std::ptr::from_ref(&*value).expose_provenance() as u64;
        assert!(is_writable(address, 8));
        assert!(!is_writable(address, u64::MAX));
        assert!(!is_writable(0x1000, 8), "nothing is there");
        let text = "constant".as_ptr().expose_provenance() as u64;
        assert!(!is_writable(text, 8));
    }
}
