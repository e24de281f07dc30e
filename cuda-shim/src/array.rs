//! What the client knows of arrays: enough to describe them and to prove the bounds of copies.

use flexdirect_wire::abi::CudaArray3dDescriptor;

/// An array, or a level of a mipmapped one.
#[derive(Debug)]
pub(crate) struct Array {
    /// Context that it lives in.
    pub(crate) context: u64,
    pub(crate) lane: u16,
    /// As the driver describes it.
    pub(crate) described: CudaArray3dDescriptor,
    /// Mipmapped array that it is a level of, or 0.
    pub(crate) mipmap: u64,
}

/// A mipmapped array.
#[derive(Debug)]
pub(crate) struct Mipmap {
    /// Context that it lives in.
    pub(crate) context: u64,
    pub(crate) lane: u16,
}
