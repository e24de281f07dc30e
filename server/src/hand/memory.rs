//! Device memory: taken from the share before the driver gives it, given back after the real free.
#![expect(non_snake_case, reason = "CUDA's own names keep CUDA's spelling")]

use flexdirect_wire::abi::{CuDevicePtr, Out};
use flexdirect_wire::body::{Alloc, Allocated, One};
use flexdirect_wire::{CuError, CuResult, ShadowHandle};

use crate::dispatch::{Call, Desk, Step, Stop};
use crate::session::{Current, Session};
use crate::shadow::ranges::{Owner, Range};
use crate::shadow::retire::{FREES_WAIT, Retire, Retired, What};

pub(crate) fn cuMemAlloc_v2(call: &mut Call<'_>) -> Result<Step, Stop> {
    allocate(call, take)
}

pub(crate) fn cuMemAllocPitch_v2(call: &mut Call<'_>) -> Result<Step, Stop> {
    allocate(call, take_pitch)
}

/// Makes an allocation in a context that is current, within the share.
pub(super) type Take = fn(&Session, Current, &Alloc) -> Result<Allocated, CuError>;

pub(super) fn allocate(call: &mut Call<'_>, take: Take) -> Result<Step, Stop> {
    let alloc: Alloc = call.body.get()?;
    let context = call.context()?;
    let job = move |desk: &mut Desk<'_>| {
        let session = desk.session;
        if alloc.decoy != 0 {
            keep_decoy(session, alloc.decoy)?;
        }
        let taken = behind_frees(session, || take(session, context, &alloc))?;
        desk.answer().put(&taken);
        Ok(())
    };
    // An allocation waits only when it has to wait for frees: a lone thread is served faster here.
    if call.session.threads.is_one() && call.session.frees.is_empty() {
        return call.here(job);
    }
    Call::later(job)
}

/// Allocates, and again when memory is free that was on its way to be.
pub(super) fn behind_frees<T>(
    session: &Session,
    take: impl Fn() -> Result<T, CuError>,
) -> Result<T, CuError> {
    // Asked first: what is on its way to be free may arrive while the driver says no.
    let has_frees = !session.frees.is_empty();
    match take() {
        Err(CuError::OUT_OF_MEMORY) if has_frees => {
            session.frees.wait_pushed(FREES_WAIT);
            take()
        }
        taken => taken,
    }
}

fn take(session: &Session, context: Current, alloc: &Alloc) -> Result<Allocated, CuError> {
    let len = alloc.width;
    let bytes = usize::try_from(len).map_err(|_| CuError::OUT_OF_MEMORY)?;
    reserve(session, context, len)?;
    let mut address = CuDevicePtr::default();
    // SAFETY: the pointer is to a local that outlives the call.
    let given = unsafe { session.driver.cuMemAlloc_v2(Out(&raw mut address), bytes) };
    if let Err(error) = given {
        session.quota.release(context.device, len);
        return Err(error);
    }
    enter(session, context, address.0, len);
    Ok(Allocated {
        address: address.0,
        pitch: 0,
        len,
    })
}

fn take_pitch(session: &Session, context: Current, alloc: &Alloc) -> Result<Allocated, CuError> {
    let [width, height] = [alloc.width, alloc.height].map(usize::try_from);
    let (Ok(width), Ok(height)) = (width, height) else {
        return Err(CuError::OUT_OF_MEMORY);
    };
    let element = u32::try_from(alloc.element).map_err(|_| CuError::INVALID_VALUE)?;
    let row = alloc
        .width
        .checked_next_multiple_of(PITCH_GUESS)
        .ok_or(CuError::OUT_OF_MEMORY)?;
    let guess = row
        .checked_mul(alloc.height)
        .ok_or(CuError::OUT_OF_MEMORY)?;
    reserve(session, context, guess)?;
    let (mut address, mut pitch) = (CuDevicePtr::default(), 0_usize);
    // SAFETY: the pointers are to locals that outlive the call.
    let given = unsafe {
        session.driver.cuMemAllocPitch_v2(
            Out(&raw mut address),
            Out(&raw mut pitch),
            width,
            height,
            element,
        )
    };
    let pitch = pitch as u64;
    let len = pitch.saturating_mul(alloc.height);
    if let Err(error) = given {
        session.quota.release(context.device, guess);
        return Err(error);
    }
    if len < guess {
        session.quota.release(context.device, guess - len);
    } else if let Err(error) = reserve(session, context, len - guess) {
        let _ = session.driver.free(address.0);
        session.quota.release(context.device, guess);
        return Err(error);
    }
    enter(session, context, address.0, len);
    Ok(Allocated {
        address: address.0,
        pitch,
        len,
    })
}

pub(super) fn reserve(session: &Session, context: Current, len: u64) -> CuResult {
    if len == 0 {
        return Ok(());
    }
    session
        .quota
        .reserve(context.device, len)
        .map_err(|refusal| {
            tracing::debug!("device {}: {refusal}", context.device);
            CuError::OUT_OF_MEMORY
        })
}

pub(super) fn enter(session: &Session, context: Current, address: u64, len: u64) {
    let owner = Owner::Allocation {
        context: context.name,
        device: context.device,
        reserved: len,
    };
    session.tables().ranges.insert(Range {
        address,
        len,
        owner,
    });
}

/// The client has its own memory where this block lies: the block stays, so that the driver gives
/// another address, and nobody uses it.
pub(super) fn keep_decoy(session: &Session, address: u64) -> CuResult {
    let mut tables = session.tables();
    let range = tables.ranges.remove_allocation(address)?;
    session.twins.forget(address);
    tables.decoys.push(range);
    Ok(())
}

/// Frees now when the context is idle, else once every queue has passed where it is now: the
/// driver's own free may wait for the GPU.
pub(crate) fn cuMemFree_v2(call: &mut Call<'_>) -> Result<Step, Stop> {
    let One { value: address } = call.body.get()?;
    if address == 0 {
        return Ok(Step::Done);
    }
    let session = call.session;
    let current = call.context.name;
    if current.is_null() {
        // Memory of a pool has no context of its own: its free could not be waited for.
        return Err(CuError::INVALID_CONTEXT.into());
    }
    let mut tables = session.tables();
    let range = tables.ranges.remove_allocation(address)?;
    let Owner::Allocation { context: owner, .. } = range.owner else {
        return Err(CuError::INVALID_VALUE.into());
    };
    drop(tables);
    session.twins.forget(address);
    let owner = if owner.is_null() {
        // Memory of a pool has no context.
        current
    } else {
        owner
    };
    let events = call
        .seat
        .enter(session, owner)
        .and_then(|_| events_of(session, owner));
    match events {
        Ok(events) if !events.is_empty() => {
            let what = What::Memory(range);
            let entry = Retired {
                context: owner,
                events,
                what,
            };
            Retire::push(session, |session| &session.frees, entry);
        }
        // Idle, or in error, when nothing runs any more.
        _ => session.finish_retired(What::Memory(range)),
    }
    Ok(Step::Done)
}

/// An event on every queue of a context that is at work.
pub(super) fn events_of(
    session: &Session,
    context: ShadowHandle,
) -> Result<Vec<flexdirect_wire::abi::CuEvent>, CuError> {
    let mut tables = session.tables();
    let mut events = Vec::new();
    for stream in tables.busy(&session.driver, context)? {
        let event = tables.take_event(&session.driver, context)?;
        session.driver.record_event(event, stream)?;
        events.push(event);
    }
    Ok(events)
}

/// The share, not the GPU: what other tenants hold is none of this one's business.
pub(crate) fn cuMemGetInfo_v2(call: &mut Call<'_>) -> Result<Step, Stop> {
    let context = call.context()?;
    let session = call.session;
    let usage = session.quota.usage(context.device);
    let retired = session.frees.memory_len(context.device);
    let (free, _) = session.driver.memory()?;
    let within_share = usage
        .limit
        .saturating_sub(usage.used)
        .saturating_add(retired);
    let free = within_share
        .min(free.saturating_add(retired))
        .min(usage.limit);
    let mut answer = call.answer();
    answer.u64(free);
    answer.u64(usage.limit);
    Ok(Step::Done)
}

/// Bytes that rows are likely padded to, for what is reserved before the driver says.
const PITCH_GUESS: u64 = 512;
