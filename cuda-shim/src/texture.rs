//! What the client knows of texture and surface objects: all that they were made of, as it was
//! given.

use flexdirect_wire::abi::{CudaResourceDesc, CudaResourceViewDesc, CudaTextureDesc};

/// A texture object, or a surface object, which nothing says how to read.
#[derive(Debug)]
pub(crate) struct Object {
    /// Context that it lives in.
    pub(crate) context: u64,
    pub(crate) lane: u16,
    /// The worker's handle: what the application has is the driver's own value.
    pub(crate) handle: u64,
    /// What it was made of, with the application's handles.
    pub(crate) resource: CudaResourceDesc,
    /// How a texture object is read.
    pub(crate) how: CudaTextureDesc,
    /// The part of it that a texture object shows, if one was named.
    pub(crate) view: Option<CudaResourceViewDesc>,
}
