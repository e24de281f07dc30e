//! Attributes of streams, and events of whole contexts.
#![expect(non_snake_case, reason = "CUDA's own names keep CUDA's spelling")]

use flexdirect_wire::abi::{CuEvent, CuStreamAttrID, CuStreamAttrValue, Out};
use flexdirect_wire::body::One;
use flexdirect_wire::{CuError, Kind, ShadowHandle};

use crate::dispatch::{Call, Step, Stop};
use crate::shadow::contexts::Queue;

pub(crate) fn cuStreamGetAttribute(call: &mut Call<'_>) -> Result<Step, Stop> {
    let (queue, attribute) = (named(call)?, attribute(call)?);
    let mut value = CuStreamAttrValue::default();
    let driver = &call.session.driver;
    // SAFETY: the stream is the session's, the pointer is to a local that outlives the call.
    unsafe { driver.cuStreamGetAttribute(queue.driver, attribute, Out(&raw mut value)) }?;
    call.answer().put(&value.words);
    Ok(Step::Done)
}

pub(crate) fn cuStreamSetAttribute(call: &mut Call<'_>) -> Result<Step, Stop> {
    let (queue, attribute) = (named(call)?, attribute(call)?);
    let words: [u64; 8] = call.body.get()?;
    let value = CuStreamAttrValue { words };
    let driver = &call.session.driver;
    // SAFETY: the stream is the session's, the pointer is to a local that outlives the call.
    unsafe { driver.cuStreamSetAttribute(queue.driver, attribute, &raw const value) }?;
    Ok(Step::Done)
}

pub(crate) fn cuStreamCopyAttributes(call: &mut Call<'_>) -> Result<Step, Stop> {
    let target = named(call)?;
    let (source, context) = (call.body.u64()?, call.body.u64()?);
    let tables = call.session.tables();
    let source = tables.queue(ShadowHandle(context), ShadowHandle(source))?;
    drop(tables);
    let driver = &call.session.driver;
    // SAFETY: both streams are the session's.
    unsafe { driver.cuStreamCopyAttributes(target.driver, source.driver) }?;
    Ok(Step::Done)
}

fn named(call: &mut Call<'_>) -> Result<Queue, Stop> {
    let stream = call.body.u64()?;
    call.context()?;
    Ok(call.use_queue(stream)?)
}

fn attribute(call: &mut Call<'_>) -> Result<CuStreamAttrID, Stop> {
    let number = u32::try_from(call.body.u64()?).map_err(|_| CuError::INVALID_VALUE)?;
    Ok(CuStreamAttrID(number))
}

pub(crate) fn cuCtxRecordEvent(call: &mut Call<'_>) -> Result<Step, Stop> {
    let (context, event) = (call.context()?, event(call)?);
    // SAFETY: context and event are the session's.
    unsafe { call.session.driver.cuCtxRecordEvent(context.driver, event) }?;
    Ok(Step::Done)
}

pub(crate) fn cuCtxWaitEvent(call: &mut Call<'_>) -> Result<Step, Stop> {
    let (context, event) = (call.context()?, event(call)?);
    // SAFETY: context and event are the session's.
    unsafe { call.session.driver.cuCtxWaitEvent(context.driver, event) }?;
    Ok(Step::Done)
}

fn event(call: &mut Call<'_>) -> Result<CuEvent, Stop> {
    let One { value } = call.body.get()?;
    Ok(CuEvent(call.find(Kind::EVENT, value)?))
}
