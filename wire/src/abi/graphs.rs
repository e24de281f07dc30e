//! Structs of streams' memory operations and of graphs, as `cuda.h` lays them out.

use std::ffi::c_void;

use super::{
    CuContext, CuDevicePtr, CuFunction, CuGraphNode, CuHostFn, CuKernel, CuMemAccessDesc,
    CuMemPoolProps, CuStream,
};

/// `CUstreamBatchMemOpParams`: a union of 48 bytes, by the type in the low half of word 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct CuStreamBatchMemOpParams {
    /// In memory order.
    pub words: [u64; 6],
}

/// `CUDA_BATCH_MEM_OP_NODE_PARAMS`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct CudaBatchMemOpNodeParams {
    /// Context of the operations.
    pub context: CuContext,
    /// Number of operations.
    pub count: u32,
    /// The operations.
    pub operations: *mut CuStreamBatchMemOpParams,
    /// Must be 0.
    pub flags: u32,
}

/// `CUstreamAttrValue`, `CUkernelNodeAttrValue`: a union of 64 bytes, by the attribute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct CuLaunchAttributeValue {
    /// In memory order.
    pub words: [u64; 8],
}

/// `CUstreamAttrValue`.
pub type CuStreamAttrValue = CuLaunchAttributeValue;

/// `CUkernelNodeAttrValue`.
pub type CuKernelNodeAttrValue = CuLaunchAttributeValue;

/// `CUgraphEdgeData`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct CuGraphEdgeData {
    /// When the edge is fulfilled: 0 when all of the source is done.
    pub from_port: u8,
    /// What of the target waits: must be 0.
    pub to_port: u8,
    /// `CUgraphDependencyType`.
    pub kind: u8,
    /// Must be 0.
    pub reserved: [u8; 5],
}

/// `CUDA_KERNEL_NODE_PARAMS` (version 2).
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct CudaKernelNodeParams {
    /// The kernel.
    pub function: CuFunction,
    /// Blocks in x, y, z.
    pub grid: [u32; 3],
    /// Threads in x, y, z.
    pub block: [u32; 3],
    /// Dynamic shared memory in bytes.
    pub shared_mem_bytes: u32,
    /// A pointer to each parameter.
    pub kernel_params: *mut *mut c_void,
    /// Or all of them in a buffer.
    pub extra: *mut *mut c_void,
    /// The kernel if `function` is null.
    pub kernel: CuKernel,
    /// Its context then; null is the current one.
    pub context: CuContext,
}

/// `CUDA_MEMSET_NODE_PARAMS`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct CudaMemsetNodeParams {
    /// First byte.
    pub target: u64,
    /// Bytes from one row to the next; not used for one row.
    pub pitch: usize,
    /// The element.
    pub value: u32,
    /// Its bytes: 1, 2 or 4.
    pub element_size: u32,
    /// Elements of a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

/// `CUDA_HOST_NODE_PARAMS`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct CudaHostNodeParams {
    /// The function.
    pub function: CuHostFn,
    /// What it is called with, a pointer as a number.
    pub user_data: usize,
}

/// `CUDA_GRAPH_INSTANTIATE_PARAMS`.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct CudaGraphInstantiateParams {
    /// `CUgraphInstantiate_flags`.
    pub flags: u64,
    /// Stream of the upload, if that is asked for.
    pub upload_stream: CuStream,
    /// Out: the node that failed.
    pub error_node: CuGraphNode,
    /// Out: `CUgraphInstantiateResult`.
    pub result: u32,
}

/// `CUgraphExecUpdateResultInfo`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct CuGraphExecUpdateResultInfo {
    /// `CUgraphExecUpdateResult`.
    pub result: u32,
    /// The node that does not fit.
    pub error_node: CuGraphNode,
    /// Where the edge that does not fit comes from.
    pub error_from_node: CuGraphNode,
}

/// `CUDA_MEM_ALLOC_NODE_PARAMS`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct CudaMemAllocNodeParams {
    /// Where the memory lies.
    pub pool_props: CuMemPoolProps,
    /// Who else reaches it.
    pub access_descs: *const CuMemAccessDesc,
    /// How many those are.
    pub access_desc_count: usize,
    /// Bytes.
    pub byte_size: usize,
    /// Out: first address.
    pub dptr: CuDevicePtr,
}

/// `CUgraphNodeParams`: a type and a union of 232 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct CuGraphNodeParams {
    /// `CUgraphNodeType`.
    pub kind: u32,
    /// Must be 0.
    pub reserved0: [u32; 3],
    /// By type, in memory order.
    pub words: [u64; 29],
    /// Must be 0.
    pub reserved2: u64,
}

const _: () = {
    assert!(size_of::<CuStreamBatchMemOpParams>() == 48);
    assert!(size_of::<CudaBatchMemOpNodeParams>() == 32);
    assert!(size_of::<CuLaunchAttributeValue>() == 64);
    assert!(size_of::<CuGraphEdgeData>() == 8);
    assert!(size_of::<CudaKernelNodeParams>() == 72);
    assert!(size_of::<CudaMemsetNodeParams>() == 40);
    assert!(size_of::<CudaHostNodeParams>() == 16);
    assert!(size_of::<CudaMemAllocNodeParams>() == 120);
    assert!(size_of::<CudaGraphInstantiateParams>() == 32);
    assert!(size_of::<CuGraphExecUpdateResultInfo>() == 24);
    assert!(size_of::<CuGraphNodeParams>() == 256);
};
