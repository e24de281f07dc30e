//! Events: created under the client's own handles.
#![expect(non_snake_case, reason = "CUDA's own names keep CUDA's spelling")]

use flexdirect_wire::abi::{CuEvent, Out};
use flexdirect_wire::body::{Create, EventRecord, One};
use flexdirect_wire::record::Writer;
use flexdirect_wire::{CuError, Kind, ShadowHandle};

use super::stream::{settled, spin};
use crate::dispatch::{Call, Step, Stop};
use crate::driver::steps::Progress;
use crate::shadow::handles::Object;

pub(crate) fn cuEventCreate(call: &mut Call<'_>) -> Result<Step, Stop> {
    let create: Create = call.body.get()?;
    let context = call.context()?.name;
    let name = ShadowHandle(create.handle);
    let session = call.session;
    session.tables().handles.check_vacant(Kind::EVENT, name)?;
    let mut event = CuEvent::default();
    // SAFETY: the pointer is to a local that outlives the call.
    unsafe {
        session
            .driver
            .cuEventCreate(Out(&raw mut event), create.flags)
    }?;
    let object = Object {
        driver: event.0,
        context,
        ..Object::default()
    };
    session.tables().handles.insert(Kind::EVENT, name, object)?;
    Ok(Step::Done)
}

pub(crate) fn cuEventDestroy_v2(call: &mut Call<'_>) -> Result<Step, Stop> {
    let One { value } = call.body.get()?;
    let object = call
        .session
        .tables()
        .handles
        .remove(Kind::EVENT, ShadowHandle(value));
    let object = object.ok_or(CuError::INVALID_HANDLE)?;
    // SAFETY: the event was taken out of the table, so this is the only destroy of it.
    unsafe {
        call.session
            .driver
            .cuEventDestroy_v2(CuEvent(object.driver))
    }?;
    Ok(Step::Done)
}

pub(crate) fn cuEventRecord(call: &mut Call<'_>) -> Result<Step, Stop> {
    let (event, record) = recorded(call)?;
    let queue = call.use_queue(record.stream)?;
    call.session.driver.record_event(event, queue.driver)?;
    Ok(Step::Done)
}

pub(crate) fn cuEventRecordWithFlags(call: &mut Call<'_>) -> Result<Step, Stop> {
    let (event, record) = recorded(call)?;
    let queue = call.use_queue(record.stream)?;
    let driver = &call.session.driver;
    // SAFETY: both handles come from the session's table.
    unsafe { driver.cuEventRecordWithFlags(event, queue.driver, record.flags) }?;
    Ok(Step::Done)
}

fn recorded(call: &mut Call<'_>) -> Result<(CuEvent, EventRecord), Stop> {
    let record: EventRecord = call.body.get()?;
    if record.reserved != 0 {
        return Err(call.bad("reserved", u64::from(record.reserved)));
    }
    let event = call.find(Kind::EVENT, record.event)?;
    Ok((CuEvent(event), record))
}

pub(crate) fn cuEventQuery(call: &mut Call<'_>) -> Result<Step, Stop> {
    let event = named(call)?;
    match call.session.driver.query_event(event)? {
        Progress::Done => settled(call),
        Progress::Busy => Err(CuError::NOT_READY.into()),
    }
}

pub(crate) fn cuEventSynchronize(call: &mut Call<'_>) -> Result<Step, Stop> {
    let event = named(call)?;
    let session = call.session;
    if spin(session, || session.driver.query_event(event))? == Progress::Done {
        // Waits for nothing, and prints what kernels have left.
        session.driver.synchronize_event(event)?;
        return settled(call);
    }
    Call::later(move |desk| {
        desk.session.driver.synchronize_event(event)?;
        desk.session.landings.settle(desk.session);
        Ok(())
    })
}

/// Events that have a time between them are complete: what was copied before them is put first.
pub(crate) fn cuEventElapsedTime(call: &mut Call<'_>) -> Result<Step, Stop> {
    let (start, end) = interval(call)?;
    let mut milliseconds = 0.0_f32;
    let driver = &call.session.driver;
    // SAFETY: the events are live in the table, the pointer is to a local that outlives the call.
    unsafe { driver.cuEventElapsedTime(Out(&raw mut milliseconds), start, end) }?;
    elapsed(call, milliseconds)
}

/// As [`cuEventElapsedTime`].
pub(crate) fn cuEventElapsedTime_v2(call: &mut Call<'_>) -> Result<Step, Stop> {
    let (start, end) = interval(call)?;
    let mut milliseconds = 0.0_f32;
    let driver = &call.session.driver;
    // SAFETY: the events are live in the table, the pointer is to a local that outlives the call.
    unsafe { driver.cuEventElapsedTime_v2(Out(&raw mut milliseconds), start, end) }?;
    elapsed(call, milliseconds)
}

fn elapsed(call: &mut Call<'_>, milliseconds: f32) -> Result<Step, Stop> {
    if call.session.landings.is_empty() {
        call.answer().put(&milliseconds);
        return Ok(Step::Done);
    }
    Call::later(move |desk| {
        desk.session.landings.settle(desk.session);
        Writer::body(desk.reply).put(&milliseconds);
        Ok(())
    })
}

fn interval(call: &mut Call<'_>) -> Result<(CuEvent, CuEvent), Stop> {
    let (start, end) = (call.body.u64()?, call.body.u64()?);
    let start = CuEvent(call.find(Kind::EVENT, start)?);
    Ok((start, CuEvent(call.find(Kind::EVENT, end)?)))
}

fn named(call: &mut Call<'_>) -> Result<CuEvent, Stop> {
    let One { value } = call.body.get()?;
    Ok(CuEvent(call.find(Kind::EVENT, value)?))
}
