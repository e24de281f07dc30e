//! Twins of client memory: made, written and fetched by records of their own.

use flexdirect_wire::CuError;
use flexdirect_wire::body::{One, TwinFetch, TwinFetched, TwinMake, TwinRun};
use flexdirect_wire::limits::{TWIN_PAGE_LEN, TWIN_RUNS_LEN};
use flexdirect_wire::record::Writer;

use super::memory::events_of;
use crate::dispatch::{Call, Step, Stop};
use crate::session::{Current, Session};
use crate::shadow::mapping::Mapping;
use crate::shadow::ranges::{Owner, Range};
use crate::shadow::retire::{Retire, Retired, What};
use crate::shadow::twins::{Memory, Twin};

/// Pins memory whose device address is what the client asks for.
pub(crate) fn twin_make(call: &mut Call<'_>) -> Result<Step, Stop> {
    let make: TwinMake = call.body.get()?;
    let context = call.context()?;
    // Pinning may wait in the driver.
    Call::later(move |desk| make_twin(desk.session, context, &make))
}

fn make_twin(session: &Session, context: Current, make: &TwinMake) -> Result<(), CuError> {
    session.twins.take_room(make.len)?;
    pin_twin(session, context, make).inspect_err(|_| session.twins.give_room(make.len))
}

fn pin_twin(session: &Session, context: Current, make: &TwinMake) -> Result<(), CuError> {
    const PAGE: usize = TWIN_PAGE_LEN;
    let bad = |_| CuError::INVALID_VALUE;
    let address = usize::try_from(make.address).map_err(bad)?;
    let len = usize::try_from(make.len).map_err(bad)?;
    let start = address - address % PAGE;
    let end = address.checked_add(len).filter(|_| len > 0);
    let end = end.and_then(|end| end.checked_next_multiple_of(PAGE));
    let end = end.ok_or(CuError::INVALID_VALUE)?;
    let mapping = Mapping::at(start, end - start).map_err(|error| {
        tracing::debug!("no twin at {start:#x}: {error}");
        CuError::NOT_SUPPORTED
    })?;
    let device = mapping.pin_mapped(&session.driver)?;
    if device != start as u64 {
        // Host memory that is registered has another address on the device.
        mapping.unpin(&session.driver);
        return Err(CuError::NOT_SUPPORTED);
    }
    let memory = Memory::Pinned(mapping, address - start);
    let driver = &session.driver;
    let twin = Twin::new((make.address, len), context.name, memory).map_err(|memory| {
        memory.unpin(driver);
        CuError::OUT_OF_MEMORY
    })?;
    session.twins.insert(twin).map_err(|twin| {
        twin.memory.unpin(driver);
        CuError::INVALID_VALUE
    })?;
    session.tables().ranges.insert(Range {
        address: make.address,
        len: make.len,
        owner: Owner::Twin {
            context: context.name,
        },
    });
    Ok(())
}

/// Nobody writes or reads the twin any more; kernels may, until every queue has passed.
pub(crate) fn twin_drop(call: &mut Call<'_>) -> Result<Step, Stop> {
    let One { value: address } = call.body.get()?;
    let session = call.session;
    session.tables().ranges.remove_twin(address)?;
    let Some((number, context)) = session.twins.retire(address) else {
        return Err(CuError::INVALID_VALUE.into());
    };
    let what = What::Twin(number);
    let entered = call.seat.enter(session, context);
    match entered.and_then(|_| events_of(session, context)) {
        Ok(events) if !events.is_empty() => {
            let entry = Retired {
                context,
                events,
                what,
            };
            Retire::push(session, |session| &session.frees, entry);
        }
        // Idle, or in error, when nothing runs any more.
        _ => session.finish_retired(what),
    }
    Ok(Step::Done)
}

/// Writes what the client has changed: it is there for whatever is executed after this.
pub(crate) fn twin_write(call: &mut Call<'_>) -> Result<Step, Stop> {
    while !call.body.clone().rest().is_empty() {
        let run: TwinRun = call.body.get()?;
        let len = usize::try_from(run.len).unwrap_or(usize::MAX);
        if len > TWIN_PAGE_LEN {
            return Err(call.bad("length of a run", run.len));
        }
        let bytes = call.body.raw(len)?;
        if !call.session.twins.write(run.address, bytes) {
            // Its context may be gone.
            tracing::debug!("{len} bytes at {:#x} are of no twin", run.address);
        }
    }
    Ok(Step::Done)
}

/// What the device has changed, as much as fits in a reply.
pub(crate) fn twin_fetch(call: &mut Call<'_>) -> Result<Step, Stop> {
    let TwinFetch { from, to } = call.body.get()?;
    Call::later(move |desk| {
        let mut found = Vec::new();
        let mut runs = 0;
        let next = desk.session.twins.fetch(from, to, |address, bytes| {
            let mut body = Writer::body(&mut found);
            let len = bytes.len() as u64;
            body.put(&TwinRun { address, len });
            body.raw(&bytes);
            runs += 1;
            found.len() < TWIN_RUNS_LEN
        });
        desk.answer().put(&TwinFetched { next, runs });
        desk.reply.append(&mut found);
        Ok(())
    })
}
