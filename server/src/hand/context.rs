//! Contexts: primary ones, which both ends can name without asking, and created ones.
#![expect(non_snake_case, reason = "CUDA's own names keep CUDA's spelling")]

use flexdirect_wire::abi::{CuContext, CuDevice, Out};
use flexdirect_wire::body::{ContextCreate, One};
use flexdirect_wire::{CuError, Kind, ShadowHandle};

use crate::dispatch::{Call, Desk, Step, Stop};
use crate::session::{Current, Session};
use crate::shadow::contexts::Tables;
use crate::shadow::handles::Object;
use crate::shadow::ranges::{Owner, Range};
use crate::shadow::retire::What;

pub(crate) fn cuDevicePrimaryCtxRetain(call: &mut Call<'_>) -> Result<Step, Stop> {
    let create: ContextCreate = call.body.get()?;
    let device = device(call.session, create.device)?;
    Call::later(move |desk| {
        let driver = &desk.session.driver;
        let is_known = {
            let name = ShadowHandle::primary_context(device);
            desk.session.tables().context(name).is_some()
        };
        if !is_known && create.flags != 0 {
            // SAFETY: both arguments are numbers that the driver checks.
            let set = unsafe {
                driver.cuDevicePrimaryCtxSetFlags_v2(CuDevice(i32::from(device)), create.flags)
            };
            // Old drivers refuse flags of a context that is there already.
            if set != Err(CuError::PRIMARY_CONTEXT_ACTIVE) {
                set?;
            }
        }
        // Pinning may leave another context current.
        desk.seat.leave();
        retain_primary(desk.session, device).map(|_| ())
    })
}

pub(crate) fn cuDevicePrimaryCtxReset_v2(call: &mut Call<'_>) -> Result<Step, Stop> {
    let One { value } = call.body.get()?;
    let number = u32::try_from(value).map_err(|_| CuError::INVALID_DEVICE)?;
    let device = device(call.session, number)?;
    Call::later(move |desk| {
        let name = ShadowHandle::primary_context(device);
        let ordinal = CuDevice(i32::from(device));
        let is_known = desk.session.tables().context(name).is_some();
        if is_known {
            quiesce(desk, name);
            forget(desk.session, name);
            desk.session.unpin();
        }
        // SAFETY: the argument is a number that the driver checks.
        unsafe { desk.session.driver.cuDevicePrimaryCtxReset_v2(ordinal) }?;
        if is_known {
            desk.session.driver.release_primary(ordinal)
        } else {
            Ok(())
        }
    })
}

pub(crate) fn cuDevicePrimaryCtxReset(call: &mut Call<'_>) -> Result<Step, Stop> {
    cuDevicePrimaryCtxReset_v2(call)
}

pub(crate) fn cuCtxCreate_v2(call: &mut Call<'_>) -> Result<Step, Stop> {
    let create: ContextCreate = call.body.get()?;
    let device = device(call.session, create.device)?;
    Call::later(move |desk| {
        let driver = &desk.session.driver;
        let (mut context, mut popped) = (CuContext::default(), CuContext::default());
        desk.seat.leave();
        // SAFETY: the pointer is to a local that outlives the call.
        unsafe {
            driver.cuCtxCreate_v2(
                Out(&raw mut context),
                create.flags,
                CuDevice(i32::from(device)),
            )
        }?;
        // SAFETY: as above. The stack of contexts is the client's; this thread keeps none.
        let _ = unsafe { driver.cuCtxPopCurrent_v2(Out(&raw mut popped)) };
        let mut tables = desk.session.tables();
        let object = Object {
            driver: context.0,
            ..Object::default()
        };
        let name = match tables.handles.invent(Kind::CONTEXT, object) {
            Ok(name) => name,
            Err(error) => {
                drop(tables);
                // SAFETY: the context was created above and nobody else knows it.
                let _ = unsafe { driver.cuCtxDestroy_v2(context) };
                return Err(error);
            }
        };
        tables.prepare_context(driver);
        tables.add_context(name, context, device);
        drop(tables);
        desk.answer().put(&One { value: name.0 });
        Ok(())
    })
}

pub(crate) fn cuCtxCreate_v4(call: &mut Call<'_>) -> Result<Step, Stop> {
    cuCtxCreate_v2(call)
}

pub(crate) fn cuCtxDestroy_v2(call: &mut Call<'_>) -> Result<Step, Stop> {
    let name = named(call)?;
    // A primary context is the driver's own and is refused as it would refuse it.
    call.find_context(name)?;
    if call
        .session
        .tables()
        .handles
        .find(Kind::CONTEXT, name)
        .is_none()
    {
        return Err(CuError::INVALID_CONTEXT.into());
    }
    Call::later(move |desk| {
        quiesce(desk, name);
        let object = desk.session.tables().handles.remove(Kind::CONTEXT, name);
        let object = object.ok_or(CuError::INVALID_CONTEXT)?;
        forget(desk.session, name);
        desk.seat.leave();
        // SAFETY: the context was taken out of the table, so this is the only destroy of it.
        unsafe {
            desk.session
                .driver
                .cuCtxDestroy_v2(CuContext(object.driver))
        }
    })
}

pub(crate) fn cuCtxSynchronize(call: &mut Call<'_>) -> Result<Step, Stop> {
    let context = call.context()?;
    synchronize(call, context)
}

pub(crate) fn cuCtxSynchronize_v2(call: &mut Call<'_>) -> Result<Step, Stop> {
    let name = named(call)?;
    let context = call.find_context(name)?;
    synchronize(call, context)
}

/// Waits for a context: at once when none of its queues is at work, else on a helper.
fn synchronize(call: &mut Call<'_>, context: Current) -> Result<Step, Stop> {
    let session = call.session;
    let is_current = context.name == call.context.name;
    if is_current && session.landings.is_empty() {
        let busy = session.tables().busy(&session.driver, context.name)?;
        if busy.is_empty() {
            // Waits for nothing, and prints what kernels have left.
            session.driver.synchronize_context()?;
            return Ok(Step::Done);
        }
    }
    let marks = session.tables().marks(context.name);
    Call::later(move |desk| {
        desk.seat.enter(desk.session, context.name)?;
        desk.session.driver.synchronize_context()?;
        let mut tables = desk.session.tables();
        for mark in marks {
            tables.done(mark);
        }
        drop(tables);
        desk.session.landings.settle(desk.session);
        Ok(())
    })
}

/// Retains the primary context of a device, once for the session.
///
/// # Errors
/// What the driver says.
pub(crate) fn retain_primary(session: &Session, device: u16) -> Result<Current, CuError> {
    let name = ShadowHandle::primary_context(device);
    let driver = session.driver.retain_primary(CuDevice(i32::from(device)))?;
    let mut tables = session.tables();
    let is_known = tables.context(name).is_some();
    if !is_known {
        tables.prepare_context(&session.driver);
        tables.add_context(name, driver, device);
    }
    drop(tables);
    if is_known {
        // Another thread was first: one count is enough.
        let _ = session.driver.release_primary(CuDevice(i32::from(device)));
    } else {
        // Pinning needs a current context. The seat sets what is current next.
        session.driver.set_current(driver)?;
        session.pin();
    }
    Ok(Current {
        name,
        driver,
        device,
    })
}

impl Call<'_> {
    fn find_context(&self, name: ShadowHandle) -> Result<Current, CuError> {
        let tables = self.session.tables();
        let known = tables.context(name).ok_or(CuError::INVALID_CONTEXT)?;
        Ok(Current {
            name,
            driver: known.driver,
            device: known.device,
        })
    }
}

/// The context that a call names, or the record's.
fn named(call: &mut Call<'_>) -> Result<ShadowHandle, Stop> {
    let One { value } = call.body.get()?;
    let name = if value == 0 {
        call.context()?.name
    } else {
        ShadowHandle(value)
    };
    Ok(name)
}

fn device(session: &Session, number: u32) -> Result<u16, CuError> {
    let device = u16::try_from(number).map_err(|_| CuError::INVALID_DEVICE)?;
    if device < session.devices {
        Ok(device)
    } else {
        Err(CuError::INVALID_DEVICE)
    }
}

/// Waits until nothing of the worker's own hangs on a context: its end would pull it away.
fn quiesce(desk: &mut Desk<'_>, name: ShadowHandle) {
    let session = desk.session;
    if desk.seat.enter(session, name).is_ok() {
        // A context in error ends too.
        let _ = session.driver.synchronize_context();
    }
    session.landings.settle(session);
    session.pieces.wait_empty(Some(name));
    session.sources.wait_empty(Some(name));
    session.frees.wait_empty(Some(name));
}

/// Forgets what a context owned; its memory goes back to the share with it.
fn forget(session: &Session, name: ShadowHandle) {
    session.twins.end(&session.driver, Some(name));
    let freed = session.tables().remove_context(name);
    for (device, bytes) in freed {
        session.quota.release(device, bytes);
    }
    session.hostfns.forget(name);
    session.context_ended();
}

fn release(session: &Session, range: &Range) {
    if let Owner::Allocation {
        device, reserved, ..
    } = range.owner
    {
        session.quota.release(device, reserved);
    }
}

/// Gives back what a session held when its last thread has let go of it.
pub(crate) fn clean_up(session: &Session, mut tables: Tables) {
    let driver = &session.driver;
    let mut ranges = Vec::new();
    for entry in session.frees.drain() {
        match entry.what {
            What::Memory(range) => ranges.push(range),
            What::Freed(range) => release(session, &range),
            What::Slab(_) | What::Source(..) | What::Twin(_) | What::Mirrors(_) => {}
        }
    }
    ranges.append(&mut tables.decoys);
    ranges.append(&mut tables.ranges.remove_all());
    super::vmm::end(session, &mut tables, &ranges);
    let objects = tables.handles.remove_all();
    for context in tables.contexts() {
        if driver.set_current(context.driver).is_err() {
            continue;
        }
        for range in &ranges {
            let Owner::Allocation { context: owner, .. } = range.owner else {
                continue;
            };
            // What has no context is free at the first one; a second free of it is refused.
            if owner == context.name || owner.is_null() {
                let _ = driver.free(range.address);
            }
        }
        session.twins.end(driver, Some(context.name));
        session.unpin();
    }
    for range in &ranges {
        release(session, range);
    }
    for array in tables.arrays.remove_all() {
        session.quota.release(array.device, array.reserved);
    }
    // What lives in a context goes before it.
    for (kind, _, object) in objects.into_iter().rev() {
        super::destroy(driver, kind, object);
    }
    for context in tables.contexts() {
        if crate::session::primary_device(context.name, session.devices).is_some() {
            let _ = driver.release_primary(CuDevice(i32::from(context.device)));
        }
    }
    let _ = driver.set_current(CuContext::default());
}
