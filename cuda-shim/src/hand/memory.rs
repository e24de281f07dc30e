//! Device memory: allocated by the worker, claimed here, freed behind what uses it.

#![expect(non_snake_case, reason = "CUDA's own names keep CUDA's spelling")]

use flexdirect_wire::abi::{CuDevicePtr, CuError, CuResult, Out};
use flexdirect_wire::body::{Alloc, Allocated};
use flexdirect_wire::call::{Op, op};
use flexdirect_wire::limits::CLAIM_TRIES_MAX;

use super::{one, wanted};
use crate::log;
use crate::process::{Here, Process, here};
use crate::ranges::{Kind, Range};
use crate::session::Issue;

pub(crate) fn cuMemAlloc_v2(dptr: Out<CuDevicePtr>, bytesize: usize) -> CuResult {
    let here = here()?;
    wanted(dptr.is_null() || bytesize == 0)?;
    let ask = Alloc {
        width: bytesize as u64,
        height: 0,
        element: 0,
        decoy: 0,
    };
    let block = allocate(&here, op::cuMemAlloc_v2, ask)?;
    dptr.write(CuDevicePtr(block.address))
}

pub(crate) fn cuMemAllocPitch_v2(
    dptr: Out<CuDevicePtr>,
    pitch: Out<usize>,
    width_in_bytes: usize,
    height: usize,
    element_size_bytes: u32,
) -> CuResult {
    let here = here()?;
    wanted(dptr.is_null() || pitch.is_null() || width_in_bytes == 0 || height == 0)?;
    if !matches!(element_size_bytes, 4 | 8 | 16) {
        return Err(CuError::INVALID_VALUE);
    }
    let (width, height) = (width_in_bytes as u64, height as u64);
    let ask = Alloc {
        width,
        height,
        element: u64::from(element_size_bytes),
        decoy: 0,
    };
    let block = allocate(&here, op::cuMemAllocPitch_v2, ask)?;
    pitch.write(usize::try_from(block.pitch).map_err(|_| CuError::OUT_OF_MEMORY)?)?;
    dptr.write(CuDevicePtr(block.address))
}

/// Asks until the driver gives an address that the client does not use itself: a block that
/// collides goes back as a decoy, so that it is not given again.
pub(super) fn allocate(here: &Here, op: Op, mut ask: Alloc) -> Result<Allocated, CuError> {
    for _ in 0..CLAIM_TRIES_MAX {
        let reply = here.call(op, |record| {
            record.put(&ask);
            Ok(())
        })?;
        let block: Allocated = reply
            .made()?
            .get()
            .map_err(|error| here.process.session.broken(&error))?;
        if here
            .process
            .claims()
            .claim(block.address, block.len)
            .is_ok()
        {
            here.process.ranges_mut().insert(Range {
                start: block.address,
                len: block.len,
                kind: Kind::Device,
                context: here.context.handle,
                ordinal: here.context.ordinal,
                id: 0,
            });
            return Ok(block);
        }
        log::info!(
            "device memory at {:#x} collides with memory of this process",
            block.address
        );
        ask.decoy = block.address;
    }
    // The last one has not become a decoy, and is nobody's.
    free(
        here.process,
        here.context.ordinal,
        here.context.handle,
        ask.decoy,
    )?;
    log::error!("no device memory at an address that this process does not use");
    Err(CuError::OUT_OF_MEMORY)
}

pub(crate) fn cuMemFree_v2(dptr: CuDevicePtr) -> CuResult {
    let here = here()?;
    let process = here.process;
    process.session.check_context(here.context.handle)?;
    if dptr.0 == 0 {
        return Ok(());
    }
    let freed = process
        .ranges_mut()
        .remove(dptr.0, |kind| matches!(kind, Kind::Device | Kind::Managed));
    let range = freed.ok_or(CuError::INVALID_VALUE)?;
    process.synchronous().remove(&range.id);
    if range.is_managed() {
        super::close(process, &range);
    }
    // Memory of a pool has no context.
    let context = match range.context {
        0 => here.context.handle,
        context => context,
    };
    free(process, range.ordinal, context, dptr.0)
}

fn free(process: &Process, ordinal: usize, context: u64, address: u64) -> CuResult {
    let issue = Issue {
        op: op::cuMemFree_v2,
        lane: process.devices[ordinal].lane,
        context,
    };
    process.session.post(issue, &one(address))
}
