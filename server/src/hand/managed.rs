//! Managed memory: made by the driver, of which it is then also the twin; advice and questions.
#![expect(non_snake_case, reason = "CUDA's own names keep CUDA's spelling")]

use std::ffi::c_void;

use flexdirect_wire::abi::{
    CuDevice, CuDeviceAttribute, CuDevicePtr, CuLibrary, CuMemAdvise, CuMemLocation,
    CuMemRangeAttribute, CuPointerAttribute, Out,
};
use flexdirect_wire::body::{Alloc, Allocated, ManagedAsk, ManagedHint};
use flexdirect_wire::{CuError, Kind, ShadowHandle};

use super::memory::{allocate, enter, reserve};
use super::module::global;
use crate::dispatch::{Call, Step, Stop};
use crate::driver::Driver;
use crate::session::{Current, Session};
use crate::shadow::twins::{Memory, Twin};

pub(crate) fn cuMemAllocManaged(call: &mut Call<'_>) -> Result<Step, Stop> {
    allocate(call, take)
}

fn take(session: &Session, context: Current, alloc: &Alloc) -> Result<Allocated, CuError> {
    let len = alloc.width;
    let bytes = usize::try_from(len).map_err(|_| CuError::OUT_OF_MEMORY)?;
    let flags = u32::try_from(alloc.element).map_err(|_| CuError::INVALID_VALUE)?;
    if !is_concurrent(&session.driver, context.device) {
        return Err(CuError::NOT_SUPPORTED);
    }
    reserve(session, context, len)?;
    let mut address = CuDevicePtr::default();
    // SAFETY: the pointer is to a local that outlives the call.
    let given = unsafe {
        session
            .driver
            .cuMemAllocManaged(Out(&raw mut address), bytes, flags)
    };
    if let Err(error) = given {
        session.quota.release(context.device, len);
        return Err(error);
    }
    let CuDevicePtr(address) = address;
    let start = usize::try_from(address).map_err(|_| CuError::OUT_OF_MEMORY)?;
    // Zeros, which both ends begin with: it may hold what was there before.
    // SAFETY: the driver has just given these bytes, which the processor may write at their device
    // address (CUDA Programming Guide, Unified Memory), at any time as was looked at above.
    unsafe { std::ptr::with_exposed_provenance_mut::<u8>(start).write_bytes(0, bytes) };
    enter(session, context, address, len);
    let twin = Twin::new((address, bytes), context.name, Memory::Managed);
    if twin.is_ok_and(|twin| session.twins.insert(twin).is_ok()) {
        return Ok(Allocated {
            address,
            pitch: 0,
            len,
        });
    }
    let _ = session.tables().ranges.remove_allocation(address);
    let _ = session.driver.free(address);
    session.quota.release(context.device, len);
    Err(CuError::OUT_OF_MEMORY)
}

/// Whether the processor may use managed memory while kernels run: the worker does.
fn is_concurrent(driver: &Driver, device: u16) -> bool {
    let mut value = 0;
    let attribute = CuDeviceAttribute::CONCURRENT_MANAGED_ACCESS;
    let device = CuDevice(i32::from(device));
    // SAFETY: the pointer is to a local that outlives the call.
    let asked = unsafe { driver.cuDeviceGetAttribute(Out(&raw mut value), attribute, device) };
    asked.is_ok() && value == 1
}

/// Makes a variable that is managed memory its own twin. Whether it is.
pub(super) fn adopt(session: &Session, address: u64, len: u64, context: ShadowHandle) -> bool {
    let mut value = 0_u32;
    let data = (&raw mut value).cast::<c_void>();
    let (attribute, pointer) = (CuPointerAttribute(IS_MANAGED), CuDevicePtr(address));
    let driver = &session.driver;
    // SAFETY: the attribute is a word, which the local has room for.
    let asked = unsafe { driver.cuPointerGetAttribute(data, attribute, pointer) };
    let is_usable = (0..session.devices).all(|device| is_concurrent(driver, device));
    if asked.is_err() || value == 0 || !is_usable {
        return false;
    }
    let Ok(bytes) = usize::try_from(len) else {
        return false;
    };
    let Ok(twin) = Twin::new((address, bytes), context, Memory::Managed) else {
        return false;
    };
    // One that is there already stays.
    let _ = session.twins.insert(twin.hidden());
    true
}

pub(crate) fn cuLibraryGetManaged(call: &mut Call<'_>) -> Result<Step, Stop> {
    global(
        call,
        Kind::LIBRARY,
        |driver, address, len, library, name| {
            // SAFETY: the library comes from the table; the pointers are the caller's locals.
            unsafe { driver.cuLibraryGetManaged(address, len, CuLibrary(library), name) }
        },
    )
}

pub(crate) fn cuMemAdvise_v2(call: &mut Call<'_>) -> Result<Step, Stop> {
    let hint = read(call)?;
    call.context()?;
    call.session.tables().ranges.check(hint.address, hint.len)?;
    Call::later(move |desk| {
        let (address, len) = place(&hint)?;
        // SAFETY: the arguments are numbers that the driver checks; the range is the session's.
        unsafe {
            desk.session.driver.cuMemAdvise_v2(
                address,
                len,
                CuMemAdvise(hint.value),
                location(&hint),
            )
        }
    })
}

pub(crate) fn cuMemPrefetchAsync_v2(call: &mut Call<'_>) -> Result<Step, Stop> {
    let hint = read(call)?;
    call.session.tables().ranges.check(hint.address, hint.len)?;
    let queue = call.use_queue(hint.stream)?;
    let (address, len) = place(&hint)?;
    // SAFETY: the stream is of the table; the range is the session's, and the driver checks it.
    unsafe {
        call.session.driver.cuMemPrefetchAsync_v2(
            address,
            len,
            location(&hint),
            hint.value,
            queue.driver,
        )
    }?;
    Ok(Step::Done)
}

pub(crate) fn cuMemRangeGetAttribute(call: &mut Call<'_>) -> Result<Step, Stop> {
    let ask: ManagedAsk = call.body.get()?;
    if ask.words == 0 || ask.words > WORDS_MAX {
        return Err(CuError::INVALID_VALUE.into());
    }
    call.session.tables().ranges.check(ask.address, ask.len)?;
    let mut words = vec![0_i32; ask.words as usize];
    let len = usize::try_from(ask.len).map_err(|_| CuError::INVALID_VALUE)?;
    // SAFETY: the list has room for the bytes that are named; the range is the session's.
    unsafe {
        call.session.driver.cuMemRangeGetAttribute(
            words.as_mut_ptr().cast::<c_void>(),
            size_of_val(words.as_slice()),
            CuMemRangeAttribute(ask.attribute),
            CuDevicePtr(ask.address),
            len,
        )
    }?;
    let mut answer = call.answer();
    for word in words {
        answer.u64(i64::from(word).cast_unsigned());
    }
    Ok(Step::Done)
}

fn read(call: &mut Call<'_>) -> Result<ManagedHint, Stop> {
    let hint: ManagedHint = call.body.get()?;
    if hint.reserved != 0 {
        return Err(call.bad("reserved", u64::from(hint.reserved)));
    }
    Ok(hint)
}

fn place(hint: &ManagedHint) -> Result<(CuDevicePtr, usize), CuError> {
    let len = usize::try_from(hint.len).map_err(|_| CuError::INVALID_VALUE)?;
    Ok((CuDevicePtr(hint.address), len))
}

fn location(hint: &ManagedHint) -> CuMemLocation {
    CuMemLocation {
        kind: hint.kind,
        id: hint.id,
    }
}

/// `CU_POINTER_ATTRIBUTE_IS_MANAGED`.
const IS_MANAGED: u32 = 8;
/// Words of an attribute: more than there are devices and hosts.
const WORDS_MAX: u32 = 128;
