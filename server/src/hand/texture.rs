//! Texture and surface objects: of arrays and memory that are the session's, under handles that are
//! checked; the driver's value goes to the client beside the handle, for kernels take it.
#![expect(non_snake_case, reason = "CUDA's own names keep CUDA's spelling")]

use flexdirect_wire::abi::{
    CuArrayFormat, CuDevice, CuSurfObject, CuTexObject, CudaArray3dDescriptor, CudaResourceDesc,
    Out,
};
use flexdirect_wire::body::{ObjectMade, One, Resource, Texels, Texture};
use flexdirect_wire::{CuError, Kind, ShadowHandle};

use crate::dispatch::{Call, Step, Stop};
use crate::shadow::handles::Object;

pub(crate) fn cuTexObjectCreate(call: &mut Call<'_>) -> Result<Step, Stop> {
    let asked: Texture = call.body.get()?;
    call.context()?;
    if asked.has_view > 1 {
        return Err(call.bad("has_view", u64::from(asked.has_view)));
    }
    let resource = resource(call, &asked.resource)?;
    let (how, view) = (asked.described(), asked.view.described());
    let view = if asked.has_view == 1 {
        &raw const view
    } else {
        std::ptr::null()
    };
    let mut object = CuTexObject::default();
    let driver = &call.session.driver;
    // SAFETY: the pointers are to locals that outlive the call, or null for no view; arrays and
    // memory are the session's.
    unsafe {
        driver.cuTexObjectCreate(
            Out(&raw mut object),
            &raw const resource,
            &raw const how,
            view,
        )
    }?;
    enter(call, Kind::TEXTURE, object.0)
}

pub(crate) fn cuSurfObjectCreate(call: &mut Call<'_>) -> Result<Step, Stop> {
    let asked: Resource = call.body.get()?;
    call.context()?;
    let resource = resource(call, &asked)?;
    let mut object = CuSurfObject::default();
    let driver = &call.session.driver;
    // SAFETY: both pointers are to locals that outlive the call; the array is the session's.
    unsafe { driver.cuSurfObjectCreate(Out(&raw mut object), &raw const resource) }?;
    enter(call, Kind::SURFACE, object.0)
}

/// Enters an object and answers; ends it if there is no handle for it.
fn enter(call: &mut Call<'_>, kind: Kind, value: u64) -> Result<Step, Stop> {
    let object = Object {
        driver: value,
        context: call.context()?.name,
        ..Object::default()
    };
    let invented = call.session.tables().handles.invent(kind, object);
    match invented {
        Ok(handle) => {
            let handle = handle.0;
            call.answer().put(&ObjectMade { handle, value });
            Ok(Step::Done)
        }
        Err(error) => {
            super::destroy(&call.session.driver, kind, object);
            Err(error.into())
        }
    }
}

/// The resource with the driver's handle of its array, or with memory that is the session's.
fn resource(call: &Call<'_>, asked: &Resource) -> Result<CudaResourceDesc, CuError> {
    const BAD: CuError = CuError::INVALID_VALUE;
    let described = asked.described();
    if asked.flags != 0 {
        return Err(BAD);
    }
    let [first, ..] = asked.value;
    let (address, len) = match asked.kind {
        ARRAY => {
            let array = call.find(Kind::ARRAY, first)?;
            return Ok(CudaResourceDesc::array(ARRAY, array));
        }
        MIPMAP => {
            let mipmap = call.find(Kind::MIPMAP, first)?;
            return Ok(CudaResourceDesc::array(MIPMAP, mipmap));
        }
        LINEAR => {
            let (memory, len) = described.linear();
            (memory.address, len)
        }
        PITCHED => {
            let (memory, [width, height, pitch]) = described.pitched();
            let texel = CudaArray3dDescriptor {
                format: memory.format,
                channels: memory.channels,
                ..CudaArray3dDescriptor::default()
            };
            let row = width.checked_mul(texel.texel_len()?);
            let rows = height
                .checked_sub(1)
                .and_then(|rows| rows.checked_mul(pitch));
            let len = row.zip(rows).and_then(|(row, rows)| row.checked_add(rows));
            (memory.address, len.ok_or(BAD)?)
        }
        _ => return Err(BAD),
    };
    call.session.tables().ranges.check(address.0, len)?;
    Ok(described)
}

pub(crate) fn cuTexObjectDestroy(call: &mut Call<'_>) -> Result<Step, Stop> {
    destroy_object(call, Kind::TEXTURE)
}

pub(crate) fn cuSurfObjectDestroy(call: &mut Call<'_>) -> Result<Step, Stop> {
    destroy_object(call, Kind::SURFACE)
}

/// Out of the table now; the driver may wait for the GPU.
fn destroy_object(call: &mut Call<'_>, kind: Kind) -> Result<Step, Stop> {
    let One { value } = call.body.get()?;
    let handle = ShadowHandle(value);
    let object = call.session.tables().handles.remove(kind, handle);
    let object = object.ok_or(CuError::INVALID_VALUE)?;
    Call::later(move |desk| {
        let driver = &desk.session.driver;
        // SAFETY: the object was taken out of the table, so this is the only destroy of it.
        unsafe {
            match kind {
                Kind::TEXTURE => driver.cuTexObjectDestroy(CuTexObject(object.driver)),
                _ => driver.cuSurfObjectDestroy(CuSurfObject(object.driver)),
            }
        }
    })
}

pub(crate) fn cuDeviceGetTexture1DLinearMaxWidth(call: &mut Call<'_>) -> Result<Step, Stop> {
    let asked: Texels = call.body.get()?;
    let device = CuDevice(i32::from(call.header.lane));
    let mut width = 0_usize;
    let driver = &call.session.driver;
    // SAFETY: the pointer is to a local that outlives the call.
    unsafe {
        driver.cuDeviceGetTexture1DLinearMaxWidth(
            Out(&raw mut width),
            CuArrayFormat(asked.format),
            asked.channels,
            device,
        )
    }?;
    call.answer().u64(width as u64);
    Ok(Step::Done)
}

/// `CU_RESOURCE_TYPE_*`.
const ARRAY: u32 = 0;
const MIPMAP: u32 = 1;
const LINEAR: u32 = 2;
const PITCHED: u32 = 3;
