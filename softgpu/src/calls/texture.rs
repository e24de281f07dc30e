//! Texture and surface objects.

use std::sync::Arc;

use flexdirect_wire::abi::*;

use super::not_null;
use crate::array;
use crate::context;
use crate::driver;
use crate::raw::structs;
use crate::texture::{self, SURFACES, TEXTURES, TextureObject};

pub(crate) fn cuTexObjectCreate(
    tex_object: Out<CuTexObject>,
    res_desc: *const CudaResourceDesc,
    tex_desc: *const CudaTextureDesc,
    res_view_desc: *const CudaResourceViewDesc,
) -> CuResult {
    let context = context::current()?;
    not_null(tex_object)?;
    let resource = structs::read(res_desc).ok_or(CuError::INVALID_VALUE)?;
    let described = structs::read(tex_desc).ok_or(CuError::INVALID_VALUE)?;
    let view = structs::read(res_view_desc);
    let made = texture::create(context.id, resource, described, view)?;
    tex_object.write(made.handle)
}

pub(crate) fn cuTexObjectDestroy(tex_object: CuTexObject) -> CuResult {
    find(tex_object)?;
    // A kernel that is under way has what it needs for the instruction it is at, and no more.
    for context in driver::contexts() {
        context.drain();
    }
    TEXTURES.remove(tex_object.0);
    Ok(())
}

fn find(object: CuTexObject) -> Result<Arc<TextureObject>, CuError> {
    context::current()?;
    TEXTURES.find(object.0).ok_or(CuError::INVALID_VALUE)
}

pub(crate) fn cuTexObjectGetResourceDesc(
    res_desc: Out<CudaResourceDesc>,
    tex_object: CuTexObject,
) -> CuResult {
    res_desc.write(find(tex_object)?.resource)
}

pub(crate) fn cuTexObjectGetTextureDesc(
    tex_desc: Out<CudaTextureDesc>,
    tex_object: CuTexObject,
) -> CuResult {
    tex_desc.write(find(tex_object)?.described)
}

pub(crate) fn cuTexObjectGetResourceViewDesc(
    res_view_desc: Out<CudaResourceViewDesc>,
    tex_object: CuTexObject,
) -> CuResult {
    let view = find(tex_object)?.view;
    res_view_desc.write(view.ok_or(CuError::INVALID_VALUE)?)
}

pub(crate) fn cuSurfObjectCreate(
    surf_object: Out<CuSurfObject>,
    res_desc: *const CudaResourceDesc,
) -> CuResult {
    let context = context::current()?;
    not_null(surf_object)?;
    let resource = structs::read(res_desc).ok_or(CuError::INVALID_VALUE)?;
    let made = texture::create_surface(context.id, resource)?;
    surf_object.write(made.handle)
}

pub(crate) fn cuSurfObjectDestroy(surf_object: CuSurfObject) -> CuResult {
    context::current()?;
    if SURFACES.find(surf_object.0).is_none() {
        return Err(CuError::INVALID_VALUE);
    }
    for context in driver::contexts() {
        context.drain();
    }
    SURFACES.remove(surf_object.0);
    Ok(())
}

pub(crate) fn cuSurfObjectGetResourceDesc(
    res_desc: Out<CudaResourceDesc>,
    surf_object: CuSurfObject,
) -> CuResult {
    context::current()?;
    let object = SURFACES.find(surf_object.0);
    res_desc.write(object.ok_or(CuError::INVALID_VALUE)?.resource)
}

/// The same for every format.
pub(crate) fn cuDeviceGetTexture1DLinearMaxWidth(
    max_width_in_elements: Out<usize>,
    format: CuArrayFormat,
    num_channels: u32,
    dev: CuDevice,
) -> CuResult {
    driver::device(dev)?;
    array::channel(format)?;
    if !matches!(num_channels, 1 | 2 | 4) {
        return Err(CuError::INVALID_VALUE);
    }
    let most = CuDeviceAttribute::MAXIMUM_TEXTURE1D_LINEAR_WIDTH;
    max_width_in_elements.write(array::largest(most))
}
