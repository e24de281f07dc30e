//! Structs of memory pools, virtual memory and copies in batches (CUDA Driver API, `cuda.h`).

use std::ffi::c_void;

use super::{CuArray, CuDevicePtr, CuMemLocation};

/// `CUmemAllocationProp`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct CuMemAllocationProp {
    /// `CUmemAllocationType`.
    pub kind: u32,
    /// `CUmemAllocationHandleType` bits that it will be exported as.
    pub handle_types: u32,
    /// Where it lies.
    pub location: CuMemLocation,
    /// For Windows alone.
    pub win32_metadata: *mut c_void,
    /// `CUmemAllocationCompType`.
    pub compression: u8,
    /// Whether remote direct memory access is wanted.
    pub is_rdma_capable: u8,
    /// `CU_MEM_CREATE_USAGE_*` bits.
    pub usage: u16,
    /// Zero.
    pub reserved: [u8; 4],
}

impl Default for CuMemAllocationProp {
    fn default() -> Self {
        Self {
            kind: 0,
            handle_types: 0,
            location: CuMemLocation { kind: 0, id: 0 },
            win32_metadata: std::ptr::null_mut(),
            compression: 0,
            is_rdma_capable: 0,
            usage: 0,
            reserved: [0; 4],
        }
    }
}

/// `CUmemPoolProps`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct CuMemPoolProps {
    /// `CUmemAllocationType`.
    pub kind: u32,
    /// `CUmemAllocationHandleType` bits that it will be exported as.
    pub handle_types: u32,
    /// Where its memory lies.
    pub location: CuMemLocation,
    /// For Windows alone.
    pub win32_security: *mut c_void,
    /// Most bytes of it; 0 for no limit.
    pub max_len: usize,
    /// `CU_MEM_POOL_CREATE_USAGE_*` bits.
    pub usage: u16,
    /// Whether remote direct memory access is wanted.
    pub is_rdma_capable: u8,
    /// Zero.
    pub reserved: [u8; 53],
}

/// `CUmemAccessDesc`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct CuMemAccessDesc {
    /// Who.
    pub location: CuMemLocation,
    /// `CUmemAccess_flags`.
    pub flags: u32,
}

/// `CUmemPoolPtrExportData`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct CuMemPoolPtrExportData {
    reserved: [u8; 64],
}

/// `CUmemcpyAttributes`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct CuMemcpyAttributes {
    /// `CUmemcpySrcAccessOrder`.
    pub source_order: u32,
    /// Hint of where the source lies.
    pub source_hint: CuMemLocation,
    /// Hint of where the target lies.
    pub target_hint: CuMemLocation,
    /// `CUmemcpyFlags`.
    pub flags: u32,
}

/// `CUmemcpy3DOperand`: an address or an array.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct CuMemcpy3dOperand {
    /// `CUmemcpy3DOperandType`: 1 for an address, 2 for an array.
    pub kind: u32,
    /// First address, or the array.
    pub address: CuDevicePtr,
    /// Elements (bytes) of a row; 0 for as many as are copied. Of an array: x of the offset.
    pub row_len: usize,
    /// Rows of a layer; 0 for as many as are copied. Of an array: y of the offset.
    pub layer_height: usize,
    /// Hint of where it lies. Of an array: z of the offset.
    pub hint: CuMemLocation,
}

impl CuMemcpy3dOperand {
    /// The array that it names if it is of that kind.
    pub fn array(&self) -> Option<CuArray> {
        (self.kind == 2).then_some(CuArray(self.address.0))
    }

    /// Where in the array the copy begins: x in elements, y and z.
    pub fn offset(&self) -> [u64; 3] {
        let CuMemLocation { kind, id } = self.hint;
        let z = u64::from(kind) | u64::from(id.cast_unsigned()) << 32;
        [self.row_len as u64, self.layer_height as u64, z]
    }
}

/// `CUDA_MEMCPY3D_BATCH_OP`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct CudaMemcpy3dBatchOp {
    /// From.
    pub source: CuMemcpy3dOperand,
    /// To.
    pub target: CuMemcpy3dOperand,
    /// Width, height and depth in elements.
    pub extent: [usize; 3],
    /// `CUmemcpySrcAccessOrder`.
    pub source_order: u32,
    /// `CUmemcpyFlags`.
    pub flags: u32,
}

/// `CUexecAffinityParam`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct CuExecAffinityParam {
    /// `CUexecAffinityType`.
    pub kind: u32,
    /// Multiprocessors.
    pub multiprocessors: u32,
}

const _: () = {
    assert!(size_of::<CuMemAllocationProp>() == 32);
    assert!(size_of::<CuMemPoolProps>() == 88);
    assert!(size_of::<CuMemAccessDesc>() == 12);
    assert!(size_of::<CuMemPoolPtrExportData>() == 64);
    assert!(size_of::<CuMemcpyAttributes>() == 24);
    assert!(size_of::<CuMemcpy3dOperand>() == 40);
    assert!(size_of::<CudaMemcpy3dBatchOp>() == 112);
    assert!(size_of::<CuExecAffinityParam>() == 8);
};
