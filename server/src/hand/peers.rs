//! Access of contexts to each other's memory.
#![expect(non_snake_case, reason = "CUDA's own names keep CUDA's spelling")]

use flexdirect_wire::abi::{CuAtomicOperation, CuContext, CuDevice};
use flexdirect_wire::{CuError, ShadowHandle};

use crate::dispatch::{Call, Step, Stop};

pub(crate) fn cuCtxEnablePeerAccess(call: &mut Call<'_>) -> Result<Step, Stop> {
    let peer = peer(call)?;
    let flags = u32::try_from(call.body.u64()?).map_err(|_| CuError::INVALID_VALUE)?;
    // SAFETY: both contexts are the session's; the call's own is current.
    unsafe { call.session.driver.cuCtxEnablePeerAccess(peer, flags) }?;
    Ok(Step::Done)
}

pub(crate) fn cuCtxDisablePeerAccess(call: &mut Call<'_>) -> Result<Step, Stop> {
    let peer = peer(call)?;
    Call::later(move |desk| {
        // SAFETY: both contexts were the session's when the call came; the driver refuses one that
        // is gone.
        unsafe { desk.session.driver.cuCtxDisablePeerAccess(peer) }
    })
}

/// The driver's handle of the context that a call names; a primary one that nobody has used yet is
/// retained.
fn peer(call: &mut Call<'_>) -> Result<CuContext, Stop> {
    let name = ShadowHandle(call.body.u64()?);
    let own = call.context()?;
    let known = call.session.tables().context(name).map(|peer| peer.driver);
    if let Some(driver) = known {
        return Ok(driver);
    }
    let found = call.seat.enter(call.session, name);
    call.seat.enter(call.session, own.name)?;
    Ok(found?.driver)
}

pub(crate) fn cuDeviceGetP2PAtomicCapabilities(call: &mut Call<'_>) -> Result<Step, Stop> {
    let (source, target) = (device(call)?, device(call)?);
    let count = call.body.u64()?;
    if count == 0 || count > OPERATIONS_MAX {
        return Err(call.bad("operations", count));
    }
    let mut operations = Vec::new();
    for _ in 0..count {
        let operation = u32::try_from(call.body.u64()?).map_err(|_| CuError::INVALID_VALUE)?;
        operations.push(CuAtomicOperation(operation));
    }
    let mut found = vec![0_u32; operations.len()];
    let count = u32::try_from(count).expect("at most OPERATIONS_MAX");
    // SAFETY: both arrays are locals of `count` elements that outlive the call.
    unsafe {
        call.session.driver.cuDeviceGetP2PAtomicCapabilities(
            found.as_mut_ptr(),
            operations.as_ptr(),
            count,
            source,
            target,
        )
    }?;
    let mut answer = call.answer();
    found.iter().for_each(|one| answer.put(one));
    Ok(Step::Done)
}

/// A device of the lease.
fn device(call: &mut Call<'_>) -> Result<CuDevice, Stop> {
    let number = call.body.u64()?;
    if number >= u64::from(call.session.devices) {
        return Err(CuError::INVALID_DEVICE.into());
    }
    Ok(CuDevice(
        i32::try_from(number).expect("at most DEVICES_MAX"),
    ))
}

/// Operations of one question; a client asks for less.
const OPERATIONS_MAX: u64 = 4096;
