//! What contexts may reach beside their own device, and marks on pointers.

use std::collections::BTreeSet;
use std::ffi::c_void;
use std::sync::Mutex;

use flexdirect_wire::abi::*;

use super::not_null;
use crate::context;
use crate::driver;
use crate::raw::{self, lock};

pub(crate) fn cuDeviceCanAccessPeer(
    can_access_peer: Out<i32>,
    dev: CuDevice,
    peer_dev: CuDevice,
) -> CuResult {
    let (device, peer) = (driver::device(dev)?, driver::device(peer_dev)?);
    // A device is no peer of itself.
    can_access_peer.write(i32::from(device.ordinal != peer.ordinal))
}

pub(crate) fn cuDeviceGetP2PAttribute(
    value: Out<i32>,
    attrib: CuDeviceP2PAttribute,
    src_device: CuDevice,
    dst_device: CuDevice,
) -> CuResult {
    driver::device(src_device)?;
    driver::device(dst_device)?;
    if src_device == dst_device {
        return Err(CuError::INVALID_DEVICE);
    }
    match attrib.0 {
        PERFORMANCE_RANK | ONLY_PARTIAL_ATOMICS => value.write(0),
        ACCESS | NATIVE_ATOMICS | ARRAY_ACCESS => value.write(1),
        _ => Err(CuError::INVALID_VALUE),
    }
}

pub(crate) fn cuCtxEnablePeerAccess(peer_context: CuContext, flags: u32) -> CuResult {
    let current = context::current()?;
    let peer = context::find(peer_context)?;
    if peer.id == current.id {
        return Err(CuError::INVALID_CONTEXT);
    }
    peer.check()?;
    if flags != 0 {
        return Err(CuError::INVALID_VALUE);
    }
    if peer.device().ordinal == current.device().ordinal {
        return Err(CuError::PEER_ACCESS_UNSUPPORTED);
    }
    if !lock(&current.peers).insert(peer.id) {
        return Err(CuError::PEER_ACCESS_ALREADY_ENABLED);
    }
    Ok(())
}

/// Kernels that have begun keep their access until they end, so they are waited for.
pub(crate) fn cuCtxDisablePeerAccess(peer_context: CuContext) -> CuResult {
    let current = context::current()?;
    let peer = context::find(peer_context)?;
    if !lock(&current.peers).contains(&peer.id) {
        return Err(CuError::PEER_ACCESS_NOT_ENABLED);
    }
    current.drain();
    lock(&current.peers).remove(&peer.id);
    Ok(())
}

// ------------------------------------------------------------------------------- contexts

/// No device here has less than all of its multiprocessors for a context.
pub(crate) fn cuDeviceGetExecAffinitySupport(
    pi: Out<i32>,
    type_: CuExecAffinityType,
    dev: CuDevice,
) -> CuResult {
    driver::device(dev)?;
    not_null(pi)?;
    if type_.0 != MULTIPROCESSOR_COUNT {
        return Err(CuError::INVALID_VALUE);
    }
    pi.write(0)
}

pub(crate) fn cuCtxGetExecAffinity(
    exec_affinity: Out<CuExecAffinityParam>,
    type_: CuExecAffinityType,
) -> CuResult {
    let current = context::current()?;
    if type_.0 != MULTIPROCESSOR_COUNT {
        return Err(CuError::INVALID_VALUE);
    }
    let multiprocessors = u32::try_from(current.device().multiprocessors).unwrap_or(u32::MAX);
    exec_affinity.write(CuExecAffinityParam {
        kind: MULTIPROCESSOR_COUNT,
        multiprocessors,
    })
}

/// There is no cache of which lines could persist.
pub(crate) fn cuCtxResetPersistingL2Cache() -> CuResult {
    context::current().map(drop)
}

/// None: as the attribute HOST_NATIVE_ATOMIC_SUPPORTED says.
pub(crate) fn cuDeviceGetHostAtomicCapabilities(
    capabilities: *mut u32,
    operations: *const CuAtomicOperation,
    count: u32,
    dev: CuDevice,
) -> CuResult {
    driver::device(dev)?;
    capable(capabilities, operations, count, |_| 0)
}

/// Peers' memory is memory of this process: whatever kernels do atomically they do there, too.
pub(crate) fn cuDeviceGetP2PAtomicCapabilities(
    capabilities: *mut u32,
    operations: *const CuAtomicOperation,
    count: u32,
    src_device: CuDevice,
    dst_device: CuDevice,
) -> CuResult {
    driver::device(src_device)?;
    driver::device(dst_device)?;
    if src_device == dst_device {
        return Err(CuError::INVALID_DEVICE);
    }
    capable(capabilities, operations, count, |operation| {
        let signs = match operation {
            INTEGER_ADD..=INTEGER_MAX => SIGNED | UNSIGNED,
            FLOAT_ADD.. => SIGNED,
            _ => UNSIGNED,
        };
        // PTX has inc and dec of 32 bits alone, and no min and max of float.
        let sizes = match operation {
            INCREMENT | DECREMENT => SCALAR_32,
            FLOAT_MIN | FLOAT_MAX => return 0,
            _ => SCALAR_32 | SCALAR_64,
        };
        let reduction = match operation {
            EXCHANGE | COMPARE => 0,
            _ => REDUCTION,
        };
        signs | sizes | reduction
    })
}

/// Writes what is said of each operation.
fn capable(
    capabilities: *mut u32,
    operations: *const CuAtomicOperation,
    count: u32,
    of: impl Fn(u32) -> u32,
) -> CuResult {
    let asked = raw::numbers(operations.cast::<u32>(), count as usize);
    let is_bad = asked.iter().any(|&operation| operation > FLOAT_MAX);
    if count == 0 || capabilities.is_null() || asked.len() != count as usize || is_bad {
        return Err(CuError::INVALID_VALUE);
    }
    for (index, operation) in asked.into_iter().enumerate() {
        raw::store(capabilities.wrapping_add(index), of(operation));
    }
    Ok(())
}

// ------------------------------------------------------------------------------- pointers

/// Numbers of the allocations of which copies are asked to be synchronous, which they are anyway.
static SYNCHRONOUS: Mutex<BTreeSet<(usize, u64)>> = Mutex::new(BTreeSet::new());

pub(crate) fn cuPointerSetAttribute(
    value: *const c_void,
    attribute: CuPointerAttribute,
    ptr: CuDevicePtr,
) -> CuResult {
    driver::check()?;
    let is_on = InOut(value.cast_mut().cast::<u32>()).read()? != 0;
    let device = driver::device_of(ptr.0).ok_or(CuError::INVALID_VALUE)?;
    let found = device.arena.find(ptr.0).ok_or(CuError::INVALID_VALUE)?;
    if attribute.0 != SYNC_MEMOPS {
        return Err(CuError::INVALID_VALUE);
    }
    let mut marked = lock(&SYNCHRONOUS);
    if is_on {
        marked.insert((device.ordinal, found.id));
    } else {
        marked.remove(&(device.ordinal, found.id));
    }
    Ok(())
}

/// Whether an allocation of a device, by number, was marked so.
pub(crate) fn is_synchronous(device: usize, id: u64) -> bool {
    lock(&SYNCHRONOUS).contains(&(device, id))
}

/// CU_DEVICE_P2P_ATTRIBUTE_*.
const PERFORMANCE_RANK: u32 = 1;
const ACCESS: u32 = 2;
const NATIVE_ATOMICS: u32 = 3;
const ARRAY_ACCESS: u32 = 4;
const ONLY_PARTIAL_ATOMICS: u32 = 5;
/// CU_EXEC_AFFINITY_TYPE_SM_COUNT.
const MULTIPROCESSOR_COUNT: u32 = 0;
/// CU_ATOMIC_OPERATION_*.
const INTEGER_ADD: u32 = 0;
const INTEGER_MAX: u32 = 2;
const INCREMENT: u32 = 3;
const DECREMENT: u32 = 4;
const EXCHANGE: u32 = 8;
const COMPARE: u32 = 9;
const FLOAT_ADD: u32 = 10;
const FLOAT_MIN: u32 = 11;
const FLOAT_MAX: u32 = 12;
/// CU_ATOMIC_CAPABILITY_*.
const SIGNED: u32 = 1;
const UNSIGNED: u32 = 2;
const REDUCTION: u32 = 4;
const SCALAR_32: u32 = 8;
const SCALAR_64: u32 = 16;
/// CU_POINTER_ATTRIBUTE_SYNC_MEMOPS.
const SYNC_MEMOPS: u32 = 6;
