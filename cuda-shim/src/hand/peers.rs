//! Devices and each other's memory: asked of the driver.

#![expect(non_snake_case, reason = "CUDA's own names keep CUDA's spelling")]

use std::sync::Arc;

use flexdirect_wire::abi::{
    CuAtomicOperation, CuContext, CuDevice, CuDeviceP2PAttribute, CuError, CuResult, InOut, Out,
};
use flexdirect_wire::call::{Op, op};
use flexdirect_wire::param::Param;
use flexdirect_wire::record::Writer;

use crate::devices::find;
use crate::objects::Context;
use crate::process::{Here, Process, body, here, process};
use crate::session::{Issue, Reply};

/// A device of the application as the worker names it.
fn lane(process: &Process, device: CuDevice) -> Result<CuDevice, CuError> {
    let (_, found) = find(&process.devices, device)?;
    Ok(CuDevice(i32::from(found.lane)))
}

/// Asks without a context.
fn ask(
    process: &Process,
    op: Op,
    write: impl FnOnce(&mut Writer<'_>) -> CuResult,
) -> Result<Reply, CuError> {
    let issue = Issue {
        op,
        lane: 0,
        context: 0,
    };
    process.session.call(issue, &body(write)?)
}

/// Asks for one number.
fn number<T: flexdirect_wire::param::Plain>(
    process: &Process,
    op: Op,
    write: impl FnOnce(&mut Writer<'_>) -> CuResult,
) -> Result<T, CuError> {
    let reply = ask(process, op, write)?;
    let value = reply.body()?.get::<T>();
    value.map_err(|error| process.session.broken(&error))
}

pub(crate) fn cuDeviceCanAccessPeer(
    can_access_peer: Out<i32>,
    dev: CuDevice,
    peer_dev: CuDevice,
) -> CuResult {
    let process = process()?;
    let (device, peer) = (lane(process, dev)?, lane(process, peer_dev)?);
    super::wanted(can_access_peer.is_null())?;
    let can = number(process, op::cuDeviceCanAccessPeer, |record| {
        device.send(record)?;
        peer.send(record)
    })?;
    can_access_peer.write(can)
}

pub(crate) fn cuDeviceGetP2PAttribute(
    value: Out<i32>,
    attrib: CuDeviceP2PAttribute,
    src_device: CuDevice,
    dst_device: CuDevice,
) -> CuResult {
    let process = process()?;
    let (source, target) = (lane(process, src_device)?, lane(process, dst_device)?);
    super::wanted(value.is_null())?;
    let found = number(process, op::cuDeviceGetP2PAttribute, |record| {
        attrib.send(record)?;
        source.send(record)?;
        target.send(record)
    })?;
    value.write(found)
}

pub(crate) fn cuDeviceGetP2PAtomicCapabilities(
    capabilities: *mut u32,
    operations: *const CuAtomicOperation,
    count: u32,
    src_device: CuDevice,
    dst_device: CuDevice,
) -> CuResult {
    let process = process()?;
    let (source, target) = (lane(process, src_device)?, lane(process, dst_device)?);
    if source == target {
        return Err(CuError::INVALID_DEVICE);
    }
    let asked = operations_asked(capabilities, operations, count)?;
    let reply = ask(process, op::cuDeviceGetP2PAtomicCapabilities, |record| {
        source.send(record)?;
        target.send(record)?;
        record.u64(asked.len() as u64);
        for operation in &asked {
            record.u64(u64::from(*operation));
        }
        Ok(())
    })?;
    let mut found = reply.body()?;
    for index in 0..asked.len() {
        let one = found.get::<u32>();
        let one = one.map_err(|error| process.session.broken(&error))?;
        Out(capabilities.wrapping_add(index)).write(one)?;
    }
    Ok(())
}

/// None: no link carries atomic operations to memory of the application.
pub(crate) fn cuDeviceGetHostAtomicCapabilities(
    capabilities: *mut u32,
    operations: *const CuAtomicOperation,
    count: u32,
    dev: CuDevice,
) -> CuResult {
    lane(process()?, dev)?;
    let asked = operations_asked(capabilities, operations, count)?;
    (0..asked.len()).try_for_each(|index| Out(capabilities.wrapping_add(index)).write(0))
}

/// The operations that are asked for: all of them known ones.
fn operations_asked(
    capabilities: *mut u32,
    operations: *const CuAtomicOperation,
    count: u32,
) -> Result<Vec<u32>, CuError> {
    if !(1..=OPERATIONS_MAX).contains(&count) || capabilities.is_null() || operations.is_null() {
        return Err(CuError::INVALID_VALUE);
    }
    let one = |index| {
        let operation = InOut(operations.cast_mut().wrapping_add(index)).read()?.0;
        (operation <= OPERATION_MAX)
            .then_some(operation)
            .ok_or(CuError::INVALID_VALUE)
    };
    (0..count as usize).map(one).collect()
}

pub(crate) fn cuCtxEnablePeerAccess(peer_context: CuContext, flags: u32) -> CuResult {
    let (here, peer) = pair(peer_context)?;
    if peer.handle == here.context.handle {
        return Err(CuError::INVALID_CONTEXT);
    }
    peer.check()?;
    here.call(op::cuCtxEnablePeerAccess, |record| {
        record.u64(peer.handle);
        record.u64(u64::from(flags));
        Ok(())
    })?
    .check()
}

pub(crate) fn cuCtxDisablePeerAccess(peer_context: CuContext) -> CuResult {
    let (here, peer) = pair(peer_context)?;
    here.ask(op::cuCtxDisablePeerAccess, &super::one(peer.handle))?
        .check()
}

fn pair(peer: CuContext) -> Result<(Here, Arc<Context>), CuError> {
    let here = here()?;
    let peer = here.process.context(peer.0)?;
    Ok((here, peer))
}

/// `CU_ATOMIC_OPERATION_FLOAT_MAX`.
const OPERATION_MAX: u32 = 12;
/// Operations that one call may ask for: each of them a few hundred times.
const OPERATIONS_MAX: u32 = 4096;
