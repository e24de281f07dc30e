//! Copies of rows and copies between peers: each becomes the copy that crosses.

#![expect(non_snake_case, reason = "CUDA's own names keep CUDA's spelling")]

use flexdirect_wire::abi::{
    CuContext, CuDevicePtr, CuResult, CuStream, CudaMemcpy2d, CudaMemcpy3dPeer,
};

use crate::hand;

pub(crate) fn cuMemcpy2D_v2(copy: *const CudaMemcpy2d) -> CuResult {
    hand::copy_2d(copy, None)
}

/// Alignment is no concern of the copies that cross: as [`cuMemcpy2D_v2`].
pub(crate) fn cuMemcpy2DUnaligned_v2(copy: *const CudaMemcpy2d) -> CuResult {
    hand::copy_2d(copy, None)
}

pub(crate) fn cuMemcpy2DAsync_v2(copy: *const CudaMemcpy2d, stream: CuStream) -> CuResult {
    hand::copy_2d(copy, Some(stream))
}

pub(crate) fn cuMemcpy3DPeer(copy: *const CudaMemcpy3dPeer) -> CuResult {
    hand::copy_3d_peer(copy, None)
}

pub(crate) fn cuMemcpy3DPeerAsync(copy: *const CudaMemcpy3dPeer, stream: CuStream) -> CuResult {
    hand::copy_3d_peer(copy, Some(stream))
}

pub(crate) fn cuMemcpyPeer(
    dst_device: CuDevicePtr,
    dst_context: CuContext,
    src_device: CuDevicePtr,
    src_context: CuContext,
    byte_count: usize,
) -> CuResult {
    let (to, from) = ((dst_device, dst_context), (src_device, src_context));
    hand::copy_peer(to, from, byte_count, None)
}

pub(crate) fn cuMemcpyPeerAsync(
    dst_device: CuDevicePtr,
    dst_context: CuContext,
    src_device: CuDevicePtr,
    src_context: CuContext,
    byte_count: usize,
    stream: CuStream,
) -> CuResult {
    let (to, from) = ((dst_device, dst_context), (src_device, src_context));
    hand::copy_peer(to, from, byte_count, Some(stream))
}
