//! Arrays: made by the worker, described here.

#![expect(non_snake_case, reason = "CUDA's own names keep CUDA's spelling")]

use std::sync::Arc;

use flexdirect_wire::abi::{
    CuArray, CuError, CuMipmappedArray, CuResult, CudaArray3dDescriptor, CudaArrayDescriptor,
    InOut, Out,
};
use flexdirect_wire::body::{self, ArrayFound, ArrayLevel};
use flexdirect_wire::call::{Op, op};
use zerocopy::IntoBytes;

use super::{one, wanted};
use crate::array::{Array, Mipmap};
use crate::process::{Here, Process, here};
use crate::session::{Issue, Reply};

/// An array of the application.
///
/// # Errors
/// `INVALID_HANDLE`.
pub(crate) fn array(process: &Process, array: CuArray) -> Result<Arc<Array>, CuError> {
    process.arrays.find(array.0).ok_or(CuError::INVALID_HANDLE)
}

/// A mipmapped array of the application.
///
/// # Errors
/// `INVALID_HANDLE`.
pub(crate) fn mipmap(process: &Process, mipmap: CuMipmappedArray) -> Result<Arc<Mipmap>, CuError> {
    let found = process.mipmaps.find(mipmap.0);
    found.ok_or(CuError::INVALID_HANDLE)
}

pub(crate) fn cuArrayCreate_v2(
    handle: Out<CuArray>,
    allocate_array: *const CudaArrayDescriptor,
) -> CuResult {
    let here = here()?;
    wanted(handle.is_null())?;
    let flat = InOut(allocate_array.cast_mut()).read()?;
    let described = CudaArray3dDescriptor {
        width: flat.width,
        height: flat.height,
        depth: 0,
        format: flat.format,
        channels: flat.channels,
        flags: 0,
    };
    handle.write(create(&here, op::cuArrayCreate_v2, &described)?)
}

pub(crate) fn cuArray3DCreate_v2(
    handle: Out<CuArray>,
    allocate_array: *const CudaArray3dDescriptor,
) -> CuResult {
    let here = here()?;
    wanted(handle.is_null())?;
    let described = InOut(allocate_array.cast_mut()).read()?;
    handle.write(create(&here, op::cuArray3DCreate_v2, &described)?)
}

fn create(here: &Here, op: Op, described: &CudaArray3dDescriptor) -> Result<CuArray, CuError> {
    let reply = here.ask(op, body::Array::new(described, 0).as_bytes())?;
    let owner = Mipmap {
        context: here.context.handle,
        lane: here.context.lane,
    };
    enter(here.process, &reply, &owner, 0)
}

/// Takes in an array that the worker has answered.
fn enter(
    process: &Process,
    reply: &Reply,
    owner: &Mipmap,
    mipmap: u64,
) -> Result<CuArray, CuError> {
    let found: ArrayFound = reply
        .made()?
        .get()
        .map_err(|error| process.session.broken(&error))?;
    let array = Array {
        context: owner.context,
        lane: owner.lane,
        described: found.array.described(),
        mipmap,
    };
    process.arrays.insert(found.handle, Arc::new(array));
    Ok(CuArray(found.handle))
}

/// Waits for the device's work, as the driver does.
pub(crate) fn cuArrayDestroy(handle: CuArray) -> CuResult {
    let process = here()?.process;
    let found = array(process, handle)?;
    if found.mipmap != 0 {
        return Err(CuError::INVALID_HANDLE);
    }
    let removed = process.arrays.remove(handle.0);
    removed.ok_or(CuError::INVALID_HANDLE)?;
    let issue = Issue {
        op: op::cuArrayDestroy,
        lane: found.lane,
        context: found.context,
    };
    process.session.call(issue, &one(handle.0))?.check()
}

pub(crate) fn cuMipmappedArrayCreate(
    handle: Out<CuMipmappedArray>,
    mipmapped_array_desc: *const CudaArray3dDescriptor,
    num_mipmap_levels: u32,
) -> CuResult {
    let here = here()?;
    wanted(handle.is_null())?;
    let described = InOut(mipmapped_array_desc.cast_mut()).read()?;
    let asked = body::Array::new(&described, num_mipmap_levels);
    let reply = here.ask(op::cuMipmappedArrayCreate, asked.as_bytes())?;
    let made: body::One = reply
        .made()?
        .get()
        .map_err(|error| here.process.session.broken(&error))?;
    let mipmap = Mipmap {
        context: here.context.handle,
        lane: here.context.lane,
    };
    here.process.mipmaps.insert(made.value, Arc::new(mipmap));
    handle.write(CuMipmappedArray(made.value))
}

pub(crate) fn cuMipmappedArrayGetLevel(
    level_array: Out<CuArray>,
    mipmapped_array: CuMipmappedArray,
    level: u32,
) -> CuResult {
    let process = here()?.process;
    let owner = mipmap(process, mipmapped_array)?;
    wanted(level_array.is_null())?;
    let issue = Issue {
        op: op::cuMipmappedArrayGetLevel,
        lane: owner.lane,
        context: owner.context,
    };
    let asked = ArrayLevel {
        mipmap: mipmapped_array.0,
        level,
        reserved: 0,
    };
    let reply = process.session.call(issue, asked.as_bytes())?;
    level_array.write(enter(process, &reply, &owner, mipmapped_array.0)?)
}

/// Waits for the device's work, as the driver does. Its levels end with it.
pub(crate) fn cuMipmappedArrayDestroy(mipmapped_array: CuMipmappedArray) -> CuResult {
    let process = here()?.process;
    let owner = mipmap(process, mipmapped_array)?;
    let removed = process.mipmaps.remove(mipmapped_array.0);
    removed.ok_or(CuError::INVALID_HANDLE)?;
    process
        .arrays
        .remove_all(|_, array| array.mipmap == mipmapped_array.0);
    let issue = Issue {
        op: op::cuMipmappedArrayDestroy,
        lane: owner.lane,
        context: owner.context,
    };
    process
        .session
        .call(issue, &one(mipmapped_array.0))?
        .check()
}
