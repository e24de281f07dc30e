//! Counted objects of the application: what their last reference ends is a function of this
//! process, so nothing of them crosses. Graphs that hold references count here as well.

#![expect(non_snake_case, reason = "CUDA's own names keep CUDA's spelling")]

use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::{Mutex, MutexGuard, PoisonError};

use flexdirect_wire::abi::{CuError, CuHostFn, CuResult, CuUserObject, Out};

use crate::process::process;
use crate::session::hostfn::call_here;

const BAD: CuError = CuError::INVALID_VALUE;

struct UserObject {
    destroy: CuHostFn,
    data: usize,
    count: u32,
}

#[derive(Default)]
struct Objects {
    last: u64,
    live: HashMap<u64, UserObject>,
}

static OBJECTS: Mutex<Option<Objects>> = Mutex::new(None);

fn objects() -> MutexGuard<'static, Option<Objects>> {
    OBJECTS.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn cuUserObjectCreate(
    object_out: *mut CuUserObject,
    ptr: *mut c_void,
    destroy: CuHostFn,
    initial_refcount: u32,
    flags: u32,
) -> CuResult {
    process()?;
    let counts = (1..=i32::MAX.unsigned_abs()).contains(&initial_refcount);
    if object_out.is_null() || destroy.0 == 0 || !counts || flags != NO_DESTRUCTOR_SYNC {
        return Err(BAD);
    }
    let mut objects = objects();
    let objects = objects.get_or_insert_default();
    objects.last += HANDLE_STEP;
    let made = UserObject {
        destroy,
        data: ptr.expose_provenance(),
        count: initial_refcount,
    };
    objects.live.insert(objects.last, made);
    Out(object_out).write(CuUserObject(objects.last))
}

pub(crate) fn cuUserObjectRetain(object: CuUserObject, count: u32) -> CuResult {
    process()?;
    let mut objects = objects();
    let found = objects
        .as_mut()
        .and_then(|objects| objects.live.get_mut(&object.0));
    let found = found.filter(|_| count > 0).ok_or(BAD)?;
    found.count = found.count.saturating_add(count);
    Ok(())
}

/// The last reference calls the function that ends the object: here, with no lock held.
pub(crate) fn cuUserObjectRelease(object: CuUserObject, count: u32) -> CuResult {
    process()?;
    let mut objects = objects();
    let live = &mut objects.as_mut().ok_or(BAD)?.live;
    let found = live.get_mut(&object.0).filter(|_| count > 0).ok_or(BAD)?;
    found.count = found.count.checked_sub(count).ok_or(BAD)?;
    if found.count > 0 {
        return Ok(());
    }
    let ended = live.remove(&object.0);
    drop(objects);
    if let Some(UserObject { destroy, data, .. }) = ended {
        call_here(destroy, data);
    }
    Ok(())
}

/// `CU_USER_OBJECT_NO_DESTRUCTOR_SYNC`, which must be given.
const NO_DESTRUCTOR_SYNC: u32 = 1;
/// Handles look like pointers, which are never odd.
const HANDLE_STEP: u64 = 16;
