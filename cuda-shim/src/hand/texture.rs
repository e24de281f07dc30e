//! Texture and surface objects: kernels take them by value, so the application has the driver's
//! own.

#![expect(non_snake_case, reason = "CUDA's own names keep CUDA's spelling")]

use flexdirect_wire::abi::{
    CuArrayFormat, CuDevice, CuError, CuResult, CuSurfObject, CuTexObject, CudaResourceDesc,
    CudaResourceViewDesc, CudaTextureDesc, InOut, Out,
};
use flexdirect_wire::body::{ObjectMade, Resource, Texels, Texture};
use flexdirect_wire::call::{Op, op};
use zerocopy::IntoBytes;

use super::{one, wanted};
use crate::devices;
use crate::process::{Here, here, process};
use crate::session::Issue;
use crate::texture::{Object, Objects};

pub(crate) fn cuTexObjectCreate(
    tex_object: Out<CuTexObject>,
    res_desc: *const CudaResourceDesc,
    tex_desc: *const CudaTextureDesc,
    res_view_desc: *const CudaResourceViewDesc,
) -> CuResult {
    let here = here()?;
    wanted(tex_object.is_null())?;
    let resource = InOut(res_desc.cast_mut()).read()?;
    let how = InOut(tex_desc.cast_mut()).read()?;
    let view = if res_view_desc.is_null() {
        None
    } else {
        Some(InOut(res_view_desc.cast_mut()).read()?)
    };
    let asked = Texture::new(&resource, &how, view.as_ref());
    let made = ask(&here, op::cuTexObjectCreate, asked.as_bytes())?;
    let object = Object {
        context: here.context.handle,
        lane: here.context.lane,
        handle: made.handle,
        resource,
        how,
        view,
    };
    here.process.textures.insert(made.value, object);
    tex_object.write(CuTexObject(made.value))
}

pub(crate) fn cuSurfObjectCreate(
    surf_object: Out<CuSurfObject>,
    res_desc: *const CudaResourceDesc,
) -> CuResult {
    let here = here()?;
    wanted(surf_object.is_null())?;
    let resource = InOut(res_desc.cast_mut()).read()?;
    let asked = Resource::new(&resource);
    let made = ask(&here, op::cuSurfObjectCreate, asked.as_bytes())?;
    let object = Object {
        context: here.context.handle,
        lane: here.context.lane,
        handle: made.handle,
        resource,
        how: CudaTextureDesc::default(),
        view: None,
    };
    here.process.surfaces.insert(made.value, object);
    surf_object.write(CuSurfObject(made.value))
}

fn ask(here: &Here, op: Op, body: &[u8]) -> Result<ObjectMade, CuError> {
    here.ask(op, body)?
        .made()?
        .get()
        .map_err(|error| here.process.session.broken(&error))
}

pub(crate) fn cuTexObjectDestroy(tex_object: CuTexObject) -> CuResult {
    let here = here()?;
    let textures = &here.process.textures;
    destroy(&here, textures, op::cuTexObjectDestroy, tex_object.0)
}

pub(crate) fn cuSurfObjectDestroy(surf_object: CuSurfObject) -> CuResult {
    let here = here()?;
    let surfaces = &here.process.surfaces;
    destroy(&here, surfaces, op::cuSurfObjectDestroy, surf_object.0)
}

/// Out of the table first: the driver may give its value to another one as soon as it is destroyed.
fn destroy(here: &Here, objects: &Objects, op: Op, value: u64) -> CuResult {
    let object = objects.remove(value, here.context.handle);
    let object = object.ok_or(CuError::INVALID_VALUE)?;
    let issue = Issue {
        op,
        lane: object.lane,
        context: object.context,
    };
    here.process
        .session
        .call(issue, &one(object.handle))?
        .check()
}

pub(crate) fn cuDeviceGetTexture1DLinearMaxWidth(
    max_width_in_elements: Out<usize>,
    format: CuArrayFormat,
    num_channels: u32,
    dev: CuDevice,
) -> CuResult {
    let process = process()?;
    let (_, device) = devices::find(&process.devices, dev)?;
    let issue = Issue {
        op: op::cuDeviceGetTexture1DLinearMaxWidth,
        lane: device.lane,
        context: 0,
    };
    let asked = Texels {
        format: format.0,
        channels: num_channels,
    };
    let reply = process.session.call(issue, asked.as_bytes())?;
    let broken = |error| process.session.broken(&error);
    let width = reply.body()?.u64().map_err(broken)?;
    max_width_in_elements.write(usize::try_from(width).unwrap_or(usize::MAX))
}
