//! Arrays: counted against the share like any memory, and given back with the array or its context.
#![expect(non_snake_case, reason = "CUDA's own names keep CUDA's spelling")]

use flexdirect_wire::abi::{
    CuArray, CuDevice, CuDeviceAttribute as Attribute, CuMipmappedArray, CudaArray3dDescriptor,
    CudaArrayDescriptor, Out,
};
use flexdirect_wire::body::{self, ArrayFound, ArrayLevel, One};
use flexdirect_wire::{CuError, Kind, ShadowHandle};

use super::memory::{behind_frees, reserve};
use crate::dispatch::{Call, Step, Stop};
use crate::driver::Driver;
use crate::session::{Current, Session};
use crate::shadow::arrays::Array;
use crate::shadow::contexts::Tables;
use crate::shadow::handles::Object;

/// Has the driver make what is described, and returns its handle.
type Make = fn(&Driver, &body::Array) -> Result<u64, CuError>;

pub(crate) fn cuArrayCreate_v2(call: &mut Call<'_>) -> Result<Step, Stop> {
    create(call, |driver, asked| {
        let described = asked.described();
        let flat = CudaArrayDescriptor {
            width: described.width,
            height: described.height,
            format: described.format,
            channels: described.channels,
        };
        let mut array = CuArray::default();
        // SAFETY: both pointers are to locals that outlive the call.
        unsafe { driver.cuArrayCreate_v2(Out(&raw mut array), &raw const flat) }?;
        Ok(array.0)
    })
}

pub(crate) fn cuArray3DCreate_v2(call: &mut Call<'_>) -> Result<Step, Stop> {
    create(call, |driver, asked| {
        let (described, mut array) = (asked.described(), CuArray::default());
        // SAFETY: both pointers are to locals that outlive the call.
        unsafe { driver.cuArray3DCreate_v2(Out(&raw mut array), &raw const described) }?;
        Ok(array.0)
    })
}

fn create(call: &mut Call<'_>, make: Make) -> Result<Step, Stop> {
    let asked: body::Array = call.body.get()?;
    let context = call.context()?;
    Call::later(move |desk| {
        let session = desk.session;
        let len = asked.described().storage_len()?;
        let array = behind_frees(session, || take(session, context, &asked, len, make))?;
        let described = describe(&session.driver, CuArray(array))?;
        let handle = enter(session, Kind::ARRAY, array, context, (described, len))?;
        desk.answer().put(&ArrayFound {
            handle: handle.0,
            array: body::Array::new(&described, 0),
        });
        Ok(())
    })
}

pub(crate) fn cuMipmappedArrayCreate(call: &mut Call<'_>) -> Result<Step, Stop> {
    let asked: body::Array = call.body.get()?;
    let context = call.context()?;
    let make: Make = |driver, asked| {
        let (described, mut made) = (asked.described(), CuMipmappedArray::default());
        // SAFETY: both pointers are to locals that outlive the call.
        unsafe {
            driver.cuMipmappedArrayCreate(Out(&raw mut made), &raw const described, asked.levels)
        }?;
        Ok(made.0)
    };
    Call::later(move |desk| {
        let session = desk.session;
        let described = asked.described();
        let len = described.levels_len(asked.levels)?;
        let made = behind_frees(session, || take(session, context, &asked, len, make))?;
        let handle = enter(session, Kind::MIPMAP, made, context, (described, len))?;
        desk.answer().put(&One { value: handle.0 });
        Ok(())
    })
}

/// Makes what is asked for, within the share.
fn take(
    session: &Session,
    context: Current,
    asked: &body::Array,
    len: u64,
    make: Make,
) -> Result<u64, CuError> {
    if asked.flags & (SPARSE | DEFERRED_MAPPING) != 0 {
        // They would be memory that no share knows of.
        return Err(CuError::NOT_SUPPORTED);
    }
    if let Err(error) = reserve(session, context, len) {
        // What could never be is another error than what does not fit now.
        let device = CuDevice(i32::from(context.device));
        return Err(match fits(&session.driver, device, &asked.described()) {
            Ok(true) => error,
            _ => CuError::INVALID_VALUE,
        });
    }
    let made = make(&session.driver, asked);
    if made.is_err() {
        session.quota.release(context.device, len);
    }
    made
}

/// Enters what was made and what it takes from the share; ends it if there is no handle for it.
fn enter(
    session: &Session,
    kind: Kind,
    driver: u64,
    context: Current,
    (described, reserved): (CudaArray3dDescriptor, u64),
) -> Result<ShadowHandle, CuError> {
    let object = Object {
        driver,
        context: context.name,
        ..Object::default()
    };
    let mut tables = session.tables();
    let handle = match tables.handles.invent(kind, object) {
        Ok(handle) => handle,
        Err(error) => {
            drop(tables);
            super::destroy(&session.driver, kind, object);
            session.quota.release(context.device, reserved);
            return Err(error);
        }
    };
    let array = Array {
        described,
        device: context.device,
        reserved,
    };
    tables.arrays.insert(handle, array);
    Ok(handle)
}

pub(crate) fn cuMipmappedArrayGetLevel(call: &mut Call<'_>) -> Result<Step, Stop> {
    let asked: ArrayLevel = call.body.get()?;
    let session = call.session;
    let owner = ShadowHandle(asked.mipmap);
    let object = session.tables().handles.find(Kind::MIPMAP, owner);
    let object = object.ok_or(CuError::INVALID_HANDLE)?;
    let mut level = CuArray::default();
    // SAFETY: the pointer is to a local that outlives the call; the mipmapped array is one of the
    // session's.
    unsafe {
        session.driver.cuMipmappedArrayGetLevel(
            Out(&raw mut level),
            CuMipmappedArray(object.driver),
            asked.level,
        )
    }?;
    let described = describe(&session.driver, level)?;
    let object = Object {
        driver: level.0,
        context: object.context,
        parent: owner,
    };
    let mut tables = session.tables();
    let handle = tables.handles.invent_once(Kind::ARRAY, object)?;
    let array = Array {
        described,
        device: 0,
        reserved: 0,
    };
    tables.arrays.insert(handle, array);
    drop(tables);
    call.answer().put(&ArrayFound {
        handle: handle.0,
        array: body::Array::new(&described, 0),
    });
    Ok(Step::Done)
}

/// Out of the table now, so that nothing that comes after this names it; the driver's own end of it
/// may wait for the GPU.
pub(crate) fn cuArrayDestroy(call: &mut Call<'_>) -> Result<Step, Stop> {
    let One { value } = call.body.get()?;
    let handle = ShadowHandle(value);
    let mut tables = call.session.tables();
    let object = tables.handles.find(Kind::ARRAY, handle);
    object
        .filter(|object| object.parent.is_null())
        .ok_or(CuError::INVALID_HANDLE)?;
    end(&mut tables, Kind::ARRAY, handle)
}

pub(crate) fn cuMipmappedArrayDestroy(call: &mut Call<'_>) -> Result<Step, Stop> {
    let One { value } = call.body.get()?;
    let handle = ShadowHandle(value);
    let mut tables = call.session.tables();
    for (_, level, _) in tables.handles.remove_owned(handle) {
        tables.arrays.remove(level);
    }
    end(&mut tables, Kind::MIPMAP, handle)
}

fn end(tables: &mut Tables, kind: Kind, handle: ShadowHandle) -> Result<Step, Stop> {
    let object = tables.handles.remove(kind, handle);
    let object = object.ok_or(CuError::INVALID_HANDLE)?;
    let array = tables.arrays.remove(handle);
    Call::later(move |desk| {
        let driver = &desk.session.driver;
        // SAFETY: the object was taken out of the table, so this is the only end of it.
        let ended = unsafe {
            match kind {
                Kind::MIPMAP => driver.cuMipmappedArrayDestroy(CuMipmappedArray(object.driver)),
                _ => driver.cuArrayDestroy(CuArray(object.driver)),
            }
        };
        if let Some(array) = array {
            desk.session.quota.release(array.device, array.reserved);
        }
        ended
    })
}

fn describe(driver: &Driver, array: CuArray) -> Result<CudaArray3dDescriptor, CuError> {
    let mut described = CudaArray3dDescriptor::default();
    // SAFETY: the pointer is to a local that outlives the call; the array was just made or found.
    unsafe { driver.cuArray3DGetDescriptor_v2(Out(&raw mut described), array) }?;
    Ok(described)
}

/// Whether an array of these sizes can be, however much memory there is: the limits of textures are
/// those of arrays (CUDA Driver API, `cuArray3DCreate`).
fn fits(
    driver: &Driver,
    device: CuDevice,
    described: &CudaArray3dDescriptor,
) -> Result<bool, CuError> {
    let CudaArray3dDescriptor {
        width,
        height,
        depth,
        ..
    } = *described;
    let within = |limits: &[(usize, Attribute)]| {
        let mut is_within = true;
        for &(size, attribute) in limits {
            let mut most = 0_i32;
            // SAFETY: the pointer is to a local that outlives the call.
            unsafe { driver.cuDeviceGetAttribute(Out(&raw mut most), attribute, device) }?;
            is_within &= size <= usize::try_from(most).unwrap_or(0);
        }
        Ok(is_within)
    };
    match (
        described.is_cubemap(),
        described.has_layers(),
        height,
        depth,
    ) {
        (true, ..) => within(&[(width, Attribute::MAXIMUM_TEXTURECUBEMAP_WIDTH)]),
        (_, true, 0, _) => within(&[
            (width, Attribute::MAXIMUM_TEXTURE1D_LAYERED_WIDTH),
            (depth, Attribute::MAXIMUM_TEXTURE1D_LAYERED_LAYERS),
        ]),
        (_, true, ..) => within(&[
            (width, Attribute::MAXIMUM_TEXTURE2D_LAYERED_WIDTH),
            (height, Attribute::MAXIMUM_TEXTURE2D_LAYERED_HEIGHT),
            (depth, Attribute::MAXIMUM_TEXTURE2D_LAYERED_LAYERS),
        ]),
        (_, _, 0, _) => within(&[(width, Attribute::MAXIMUM_TEXTURE1D_WIDTH)]),
        (_, _, _, 0) => within(&[
            (width, Attribute::MAXIMUM_TEXTURE2D_WIDTH),
            (height, Attribute::MAXIMUM_TEXTURE2D_HEIGHT),
        ]),
        _ => {
            let usual = within(&[
                (width, Attribute::MAXIMUM_TEXTURE3D_WIDTH),
                (height, Attribute::MAXIMUM_TEXTURE3D_HEIGHT),
                (depth, Attribute::MAXIMUM_TEXTURE3D_DEPTH),
            ])?;
            let other = within(&[
                (width, Attribute::MAXIMUM_TEXTURE3D_WIDTH_ALTERNATE),
                (height, Attribute::MAXIMUM_TEXTURE3D_HEIGHT_ALTERNATE),
                (depth, Attribute::MAXIMUM_TEXTURE3D_DEPTH_ALTERNATE),
            ])?;
            Ok(usual || other)
        }
    }
}

/// `CUDA_ARRAY3D_SPARSE` and `CUDA_ARRAY3D_DEFERRED_MAPPING`.
const SPARSE: u32 = 0x40;
const DEFERRED_MAPPING: u32 = 0x80;
