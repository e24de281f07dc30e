//! What texture and surface objects were made of.

#![expect(non_snake_case, reason = "CUDA's own names keep CUDA's spelling")]

use std::sync::Arc;

use flexdirect_wire::abi::{
    CuError, CuResult, CuSurfObject, CuTexObject, CudaResourceDesc, CudaResourceViewDesc,
    CudaTextureDesc, Out,
};

use crate::process::here;
use crate::texture::Object;

fn texture(object: CuTexObject) -> Result<Arc<Object>, CuError> {
    let here = here()?;
    let found = here.process.textures.find(object.0, here.context.handle);
    found.ok_or(CuError::INVALID_VALUE)
}

pub(crate) fn cuTexObjectGetResourceDesc(
    res_desc: Out<CudaResourceDesc>,
    tex_object: CuTexObject,
) -> CuResult {
    res_desc.write(texture(tex_object)?.resource)
}

pub(crate) fn cuTexObjectGetTextureDesc(
    tex_desc: Out<CudaTextureDesc>,
    tex_object: CuTexObject,
) -> CuResult {
    tex_desc.write(texture(tex_object)?.how)
}

pub(crate) fn cuTexObjectGetResourceViewDesc(
    res_view_desc: Out<CudaResourceViewDesc>,
    tex_object: CuTexObject,
) -> CuResult {
    let view = texture(tex_object)?.view;
    res_view_desc.write(view.ok_or(CuError::INVALID_VALUE)?)
}

pub(crate) fn cuSurfObjectGetResourceDesc(
    res_desc: Out<CudaResourceDesc>,
    surf_object: CuSurfObject,
) -> CuResult {
    let here = here()?;
    let found = here
        .process
        .surfaces
        .find(surf_object.0, here.context.handle);
    res_desc.write(found.ok_or(CuError::INVALID_VALUE)?.resource)
}
