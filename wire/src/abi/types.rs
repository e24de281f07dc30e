//! Types of the driver that need no code of their own: enumerations, handles, opaque structs.

use super::{Enumeration, Opaque};

/// Enumerations: newtypes over the integer, so that a value newer than this list is data and not
/// undefined behaviour.
macro_rules! enumerations { ($($name:ident),* $(,)?) => { $(
    #[doc = concat!("`", stringify!($name), "` of `cuda.h`, any value.")]
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    #[repr(transparent)]
    pub struct $name(pub u32);

    impl Enumeration for $name {
        fn from_raw(raw: u32) -> Self {
            Self(raw)
        }
        fn raw(self) -> u32 {
            self.0
        }
    }
)* } }

/// Handles that do not cross yet: numbers of pointer size without a wire form.
macro_rules! numbers { ($($name:ident),* $(,)?) => { $(
    #[doc = concat!("`", stringify!($name), "` of `cuda.h`: a number without a wire form yet.")]
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    #[repr(transparent)]
    pub struct $name(pub u64);
)* } }

/// Function pointers: they never cross, so they have no wire form at all.
macro_rules! callbacks { ($($name:ident),* $(,)?) => { $(
    #[doc = concat!("`", stringify!($name), "` of `cuda.h`: code, which never crosses.")]
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    #[repr(transparent)]
    pub struct $name(pub usize);
)* } }

/// Structs that are only ever pointed to.
macro_rules! opaque { ($($name:ident),* $(,)?) => { $(
    #[doc = concat!("`", stringify!($name), "` of `cuda.h`, only ever pointed to.")]
    #[derive(Debug)]
    #[repr(C)]
    pub struct $name {
        _opaque: [u8; 0],
    }

    impl Opaque for $name {}
)* } }

enumerations! {
    CuAddressMode, CuArrayFormat, CuAtomicOperation, CuCoredumpSettings, CuDevResourceType,
    CuDeviceAttribute, CuDeviceP2PAttribute, CuDriverProcAddressQueryResult,
    CuExecAffinityType, CuFilterMode, CuFlushGPUDirectRDMAWritesScope,
    CuFlushGPUDirectRDMAWritesTarget, CuFuncCache, CuFunctionAttribute,
    CuFunctionLoadingState, CuGLDeviceList, CuGraphExecUpdateResult, CuGraphMemAttribute,
    CuGraphNodeType, CuJitInputType, CuJitOption, CuKernelNodeAttrID, CuLibraryOption,
    CuLimit, CuLogicalEndpointIpcHandleType, CuMemAccessFlags, CuMemAdvise,
    CuMemAllocationGranularityFlags, CuMemAllocationHandleType, CuMemAllocationType,
    CuMemPoolAttribute, CuMemRangeAttribute, CuMemRangeHandleType, CuModuleLoadingMode,
    CuMulticastGranularityFlags, CuOutputMode, CuPointerAttribute, CuProcessState,
    CuSharedconfig, CuStreamAttrID, CuStreamCaptureMode, CuStreamCaptureStatus,
    CuTensorMapDataType, CuTensorMapFloatOOBfill, CuTensorMapIm2ColWideMode,
    CuTensorMapInterleave, CuTensorMapL2promotion, CuTensorMapSwizzle, CuTensorMapAllocClass
}

numbers! {
    CuArray, CuAsyncCallbackHandle, CuCheckpointOperationHandle, CuCoredumpCallbackHandle,
    CuDevResourceDesc, CuExternalMemory, CuExternalSemaphore, CuGraph,
    CuGraphConditionalHandle, CuGraphExec, CuGraphNode, CuGraphicsResource, CuGreenCtx,
    CuLinkState, CuLogsCallbackHandle, CuMemGenericAllocationHandle, CuMemoryPool,
    CuMipmappedArray, CuSurfObject, CuSurfref, CuTexObject, CuTexref, CuUserObject
}

callbacks! {
    CuAsyncCallback, CuCoredumpStatusCallback, CuGraphRecaptureCallback, CuHostFn,
    CuLogsCallback, CuOccupancyB2DSize, CuStreamCallback, VdpGetProcAddress
}

opaque! {
    CuArrayMapInfo, CuCheckpointCheckpointArgs, CuCheckpointLockArgs, CuCheckpointRestoreArgs,
    CuCheckpointUnlockArgs, CuCliqueInfo, CuDevResource, CuDevSmResourceGroupParams,
    CuEglStreamConnection, CuLogicalEndpointProp,
    CuMemDecompressParams,
    CuMulticastObjectProp, CuStreamCigCaptureParams, CuTensorMap,
    CudaArray3dDescriptorV1, CudaArrayDescriptorV1, CudaArraySparseProperties,
    CudaExtSemSignalNodeParams, CudaExtSemWaitNodeParams, CudaExternalMemoryBufferDesc,
    CudaExternalMemoryHandleDesc, CudaExternalMemoryMipmappedArrayDesc,
    CudaExternalSemaphoreHandleDesc, CudaExternalSemaphoreSignalParams,
    CudaExternalSemaphoreWaitParams, CudaFabricCopyBatchOp, CudaKernelNodeParamsV1,
    CudaLaunchParams, CudaMemcpy2dV1,
    CudaMemcpy3dV1
}
