//! Stream-ordered allocation and memory pools.
//!
//! Memory of a pool comes out of the share as any other does, from the call that asks until the
//! stream has passed its free. What a pool would keep for later is in no share, so the driver's
//! pools keep nothing: a release threshold is remembered for who asks and not passed on.
#![expect(non_snake_case, reason = "CUDA's own names keep CUDA's spelling")]

use std::ffi::c_void;

use flexdirect_wire::abi::{
    CuDevice, CuDevicePtr, CuMemAccessDesc, CuMemAccessFlags, CuMemLocation, CuMemPoolAttribute,
    CuMemPoolProps, CuMemoryPool, Out,
};
use flexdirect_wire::body::{Allocated, One, PoolAccess, PoolAlloc, PoolFree, PoolValue};
use flexdirect_wire::{CuError, Kind, ShadowHandle};

use super::copy::event_behind;
use super::memory::{behind_frees, keep_decoy, reserve};
use crate::dispatch::{Call, Desk, Step, Stop};
use crate::session::{Current, Session};
use crate::shadow::contexts::Queue;
use crate::shadow::handles::Object;
use crate::shadow::ranges::{Owner, Range};
use crate::shadow::retire::{Retire, Retired, What};

/// What a session remembers of a pool.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pool {
    /// Device of the lease.
    pub(crate) device: u16,
    /// Release threshold that the client has set, in bytes.
    pub(crate) threshold: u64,
}

/// A pool of the session: the driver's handle and what is remembered.
fn find(session: &Session, handle: u64) -> Result<(CuMemoryPool, Pool), CuError> {
    let name = ShadowHandle(handle);
    let tables = session.tables();
    let object = tables.handles.find(Kind::POOL, name);
    let (object, pool) = object
        .zip(tables.pools.get(&name).copied())
        .ok_or(CuError::INVALID_VALUE)?;
    Ok((CuMemoryPool(object.driver), pool))
}

/// Enters a pool of the driver, or finds the name that it has already.
fn enter(session: &Session, pool: CuMemoryPool, device: u16) -> Result<ShadowHandle, CuError> {
    let mut tables = session.tables();
    let object = Object {
        driver: pool.0,
        ..Object::default()
    };
    let name = tables.handles.invent_once(Kind::POOL, object)?;
    let threshold = 0;
    tables
        .pools
        .entry(name)
        .or_insert(Pool { device, threshold });
    Ok(name)
}

// ------------------------------------------------------------------------------- memory

pub(crate) fn cuMemAllocFromPoolAsync(call: &mut Call<'_>) -> Result<Step, Stop> {
    let ask: PoolAlloc = call.body.get()?;
    let context = call.context()?;
    let session = call.session;
    let pool = match ask.pool {
        0 => None,
        pool => Some(find(session, pool)?),
    };
    let queue = call.use_queue(ask.stream)?;
    let device = match pool {
        Some((_, pool)) => pool.device,
        None => device_of(session, queue)?,
    };
    let context = Current { device, ..context };
    let pool = pool.map(|(driver, _)| driver);
    let job = move |desk: &mut Desk<'_>| {
        let session = desk.session;
        if ask.decoy != 0 {
            keep_decoy(session, ask.decoy)?;
        }
        let taken = behind_frees(session, || take(session, context, ask.len, pool, queue))?;
        desk.answer().put(&taken);
        Ok(())
    };
    if session.threads.is_one() && session.frees.is_empty() {
        return call.here(job);
    }
    Call::later(job)
}

fn device_of(session: &Session, queue: Queue) -> Result<u16, CuError> {
    let tables = session.tables();
    let context = tables.context(queue.context);
    context
        .map(|context| context.device)
        .ok_or(CuError::INVALID_CONTEXT)
}

fn take(
    session: &Session,
    context: Current,
    len: u64,
    pool: Option<CuMemoryPool>,
    queue: Queue,
) -> Result<Allocated, CuError> {
    let bytes = usize::try_from(len).map_err(|_| CuError::OUT_OF_MEMORY)?;
    reserve(session, context, len)?;
    let mut address = CuDevicePtr::default();
    let out = Out(&raw mut address);
    let driver = &session.driver;
    let given = match pool {
        // SAFETY: the pointer is to a local that outlives the call; pool and stream are the
        // session's own.
        Some(pool) => unsafe { driver.cuMemAllocFromPoolAsync(out, bytes, pool, queue.driver) },
        // SAFETY: as above.
        None => unsafe { driver.cuMemAllocAsync(out, bytes, queue.driver) },
    };
    if let Err(error) = given {
        session.quota.release(context.device, len);
        return Err(error);
    }
    let owner = Owner::Allocation {
        // No context's end gives memory of a pool back.
        context: ShadowHandle::NULL,
        device: context.device,
        reserved: len,
    };
    let address = address.0;
    session.tables().ranges.insert(Range {
        address,
        len,
        owner,
    });
    Ok(Allocated {
        address,
        pitch: 0,
        len,
    })
}

/// Freed in stream order now; in the share again when the stream has passed.
pub(crate) fn cuMemFreeAsync(call: &mut Call<'_>) -> Result<Step, Stop> {
    let PoolFree { address, stream } = call.body.get()?;
    call.context()?;
    let session = call.session;
    let queue = call.use_queue(stream)?;
    let range = session.tables().ranges.remove_allocation(address)?;
    // SAFETY: an allocation of the session's, which nothing names any more.
    let freed = unsafe {
        session
            .driver
            .cuMemFreeAsync(CuDevicePtr(address), queue.driver)
    };
    if let Err(error) = freed {
        session.tables().ranges.insert(range);
        return Err(error.into());
    }
    let entry = Retired {
        context: queue.context,
        events: event_behind(call, queue).into_iter().collect(),
        what: What::Freed(range),
    };
    Retire::push(session, |session| &session.frees, entry);
    Ok(Step::Done)
}

// ------------------------------------------------------------------------------- pools

fn answer(call: &mut Call<'_>, value: u64) -> Result<Step, Stop> {
    call.answer().put(&One { value });
    Ok(Step::Done)
}

pub(crate) fn cuMemPoolCreate(call: &mut Call<'_>) -> Result<Step, Stop> {
    let One { value: len_max } = call.body.get()?;
    let device = call.header.lane;
    let asked = CuMemPoolProps {
        kind: TYPE_PINNED,
        handle_types: 0,
        location: location(u32::from(device)),
        win32_security: std::ptr::null_mut(),
        max_len: usize::try_from(len_max).map_err(|_| CuError::INVALID_VALUE)?,
        usage: 0,
        is_rdma_capable: 0,
        reserved: [0; 53],
    };
    let mut pool = CuMemoryPool::default();
    let driver = &call.session.driver;
    // SAFETY: both pointers are to locals that outlive the call.
    unsafe { driver.cuMemPoolCreate(Out(&raw mut pool), &raw const asked) }?;
    match enter(call.session, pool, device) {
        Ok(name) => answer(call, name.0),
        Err(error) => {
            // SAFETY: the pool that was just made, which nobody knows.
            let _ = unsafe { driver.cuMemPoolDestroy(pool) };
            Err(error.into())
        }
    }
}

pub(crate) fn cuMemPoolDestroy(call: &mut Call<'_>) -> Result<Step, Stop> {
    let One { value: handle } = call.body.get()?;
    let session = call.session;
    let (pool, _) = find(session, handle)?;
    // SAFETY: a pool of the session's; the driver refuses one that is a device's own.
    unsafe { session.driver.cuMemPoolDestroy(pool) }?;
    let mut tables = session.tables();
    tables.handles.remove(Kind::POOL, ShadowHandle(handle));
    tables.pools.remove(&ShadowHandle(handle));
    drop(tables);
    Ok(Step::Done)
}

fn read(call: &mut Call<'_>) -> Result<(CuMemoryPool, Pool, PoolValue), Stop> {
    let asked: PoolValue = call.body.get()?;
    if asked.reserved != 0 {
        return Err(call.bad("reserved", u64::from(asked.reserved)));
    }
    let (pool, known) = find(call.session, asked.pool)?;
    Ok((pool, known, asked))
}

pub(crate) fn cuMemPoolTrimTo(call: &mut Call<'_>) -> Result<Step, Stop> {
    let (pool, _, asked) = read(call)?;
    let kept = usize::try_from(asked.value).unwrap_or(usize::MAX);
    Call::later(move |desk| {
        // SAFETY: a pool of the session's.
        unsafe { desk.session.driver.cuMemPoolTrimTo(pool, kept) }
    })
}

pub(crate) fn cuMemPoolSetAttribute(call: &mut Call<'_>) -> Result<Step, Stop> {
    let (pool, known, asked) = read(call)?;
    let session = call.session;
    match asked.attribute {
        THRESHOLD => {
            let known = Pool {
                threshold: asked.value,
                ..known
            };
            session
                .tables()
                .pools
                .insert(ShadowHandle(asked.pool), known);
        }
        REUSE_FIRST..=REUSE_LAST | RESERVED_HIGH | USED_HIGH => {
            let (attribute, mut value) = (CuMemPoolAttribute(asked.attribute), asked.value);
            let value: *mut c_void = (&raw mut value).cast();
            // SAFETY: eight bytes that outlive the call, of which each of these attributes is at
            // most; a pool of the session's.
            unsafe { session.driver.cuMemPoolSetAttribute(pool, attribute, value) }?;
        }
        _ => return Err(CuError::INVALID_VALUE.into()),
    }
    Ok(Step::Done)
}

pub(crate) fn cuMemPoolGetAttribute(call: &mut Call<'_>) -> Result<Step, Stop> {
    let (pool, known, asked) = read(call)?;
    if asked.attribute == THRESHOLD {
        return answer(call, known.threshold);
    }
    if !(REUSE_FIRST..=ATTRIBUTE_MAX).contains(&asked.attribute) {
        return Err(CuError::INVALID_VALUE.into());
    }
    let (attribute, mut value) = (CuMemPoolAttribute(asked.attribute), 0_u64);
    let place: *mut c_void = (&raw mut value).cast();
    let driver = &call.session.driver;
    // SAFETY: eight bytes that outlive the call, of which each of these attributes is at most; a
    // pool of the session's.
    unsafe { driver.cuMemPoolGetAttribute(pool, attribute, place) }?;
    answer(call, value)
}

fn access(call: &mut Call<'_>) -> Result<(CuMemoryPool, PoolAccess), Stop> {
    let asked: PoolAccess = call.body.get()?;
    let (pool, _) = find(call.session, asked.pool)?;
    if asked.device >= u32::from(call.session.devices) {
        return Err(CuError::INVALID_DEVICE.into());
    }
    Ok((pool, asked))
}

pub(crate) fn cuMemPoolSetAccess(call: &mut Call<'_>) -> Result<Step, Stop> {
    let (pool, asked) = access(call)?;
    let change = CuMemAccessDesc {
        location: location(asked.device),
        flags: asked.flags,
    };
    // SAFETY: one description, a local that outlives the call; a pool of the session's.
    unsafe {
        call.session
            .driver
            .cuMemPoolSetAccess(pool, &raw const change, 1)
    }?;
    Ok(Step::Done)
}

pub(crate) fn cuMemPoolGetAccess(call: &mut Call<'_>) -> Result<Step, Stop> {
    let (pool, asked) = access(call)?;
    let (mut flags, mut place) = (CuMemAccessFlags::default(), location(asked.device));
    let driver = &call.session.driver;
    // SAFETY: both pointers are to locals that outlive the call; a pool of the session's.
    unsafe { driver.cuMemPoolGetAccess(Out(&raw mut flags), pool, &raw mut place) }?;
    answer(call, u64::from(flags.0))
}

// ------------------------------------------------------------------------------- which pool

pub(crate) fn cuDeviceGetDefaultMemPool(call: &mut Call<'_>) -> Result<Step, Stop> {
    let (device, mut pool) = (call.header.lane, CuMemoryPool::default());
    let (driver, ordinal) = (&call.session.driver, CuDevice(i32::from(device)));
    // SAFETY: the pointer is to a local that outlives the call.
    unsafe { driver.cuDeviceGetDefaultMemPool(Out(&raw mut pool), ordinal) }?;
    let name = enter(call.session, pool, device)?;
    answer(call, name.0)
}

pub(crate) fn cuDeviceGetMemPool(call: &mut Call<'_>) -> Result<Step, Stop> {
    let (device, mut pool) = (call.header.lane, CuMemoryPool::default());
    let (driver, ordinal) = (&call.session.driver, CuDevice(i32::from(device)));
    // SAFETY: the pointer is to a local that outlives the call.
    unsafe { driver.cuDeviceGetMemPool(Out(&raw mut pool), ordinal) }?;
    let name = enter(call.session, pool, device)?;
    answer(call, name.0)
}

pub(crate) fn cuDeviceSetMemPool(call: &mut Call<'_>) -> Result<Step, Stop> {
    let One { value: handle } = call.body.get()?;
    let (pool, known) = find(call.session, handle)?;
    if known.device != call.header.lane {
        return Err(CuError::INVALID_VALUE.into());
    }
    let ordinal = CuDevice(i32::from(known.device));
    // SAFETY: a pool of the session's.
    unsafe { call.session.driver.cuDeviceSetMemPool(ordinal, pool) }?;
    Ok(Step::Done)
}

fn location(device: u32) -> CuMemLocation {
    CuMemLocation {
        kind: LOCATION_DEVICE,
        id: i32::try_from(device).unwrap_or(i32::MAX),
    }
}

/// `CU_MEMPOOL_ATTR_*`.
const REUSE_FIRST: u32 = 1;
const REUSE_LAST: u32 = 3;
const THRESHOLD: u32 = 4;
const RESERVED_HIGH: u32 = 6;
const USED_HIGH: u32 = 8;
const ATTRIBUTE_MAX: u32 = 15;
/// `CU_MEM_ALLOCATION_TYPE_PINNED`.
const TYPE_PINNED: u32 = 1;
/// `CU_MEM_LOCATION_TYPE_DEVICE`.
const LOCATION_DEVICE: u32 = 1;
