//! Structs of multi-dimensional copies, arrays, textures and surfaces, as `cuda.h` lays them out.
//!
//! Every field is a number, so that whatever an application left in it is a value.

use super::{CuAddressMode, CuArray, CuArrayFormat, CuContext, CuDevicePtr, CuFilterMode};

mod texels;

/// `CUDA_MEMCPY2D_v2`: a copy of rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct CudaMemcpy2d {
    /// Where the rows come from.
    pub source: CudaMemcpy2dEnd,
    /// Where the rows go.
    pub target: CudaMemcpy2dEnd,
    /// Bytes of a row.
    pub width_bytes: usize,
    /// Number of rows.
    pub height: usize,
}

/// One end of a [`CudaMemcpy2d`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct CudaMemcpy2dEnd {
    /// Offset in a row, in bytes.
    pub x_bytes: usize,
    /// First row.
    pub y: usize,
    /// `CUmemorytype`: which of the next three counts.
    pub kind: CuMemoryType,
    /// Host pointer, as a number.
    pub host: usize,
    /// Device or unified address.
    pub device: CuDevicePtr,
    /// Array.
    pub array: CuArray,
    /// Bytes from one row to the next.
    pub pitch_bytes: usize,
}

/// `CUDA_MEMCPY3D_v2`: a copy of slices of rows. `CUDA_MEMCPY3D_PEER` has the same layout, with a
/// context where this one has reserved words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct CudaMemcpy3d {
    /// Where the rows come from.
    pub source: CudaMemcpy3dEnd,
    /// Where the rows go.
    pub target: CudaMemcpy3dEnd,
    /// Bytes of a row.
    pub width_bytes: usize,
    /// Rows of a slice.
    pub height: usize,
    /// Number of slices.
    pub depth: usize,
}

/// One end of a [`CudaMemcpy3d`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct CudaMemcpy3dEnd {
    /// Offset in a row, in bytes.
    pub x_bytes: usize,
    /// First row.
    pub y: usize,
    /// First slice.
    pub z: usize,
    /// Level of detail: must be 0.
    pub level: usize,
    /// `CUmemorytype`: which of the next three counts.
    pub kind: CuMemoryType,
    /// Host pointer, as a number.
    pub host: usize,
    /// Device or unified address.
    pub device: CuDevicePtr,
    /// Array.
    pub array: CuArray,
    /// Of a copy between peers the context; reserved in others.
    pub context: CuContext,
    /// Bytes from one row to the next.
    pub pitch_bytes: usize,
    /// Rows from one slice to the next.
    pub height: usize,
}

/// `CUDA_MEMCPY3D_PEER`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct CudaMemcpy3dPeer(pub CudaMemcpy3d);

/// `CUmemorytype`, any value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct CuMemoryType(pub u32);

impl CuMemoryType {
    /// Host memory.
    pub const HOST: Self = Self(1);
    /// Device memory.
    pub const DEVICE: Self = Self(2);
    /// An array.
    pub const ARRAY: Self = Self(3);
    /// Whatever the address lies in.
    pub const UNIFIED: Self = Self(4);
}

/// `CUDA_ARRAY_DESCRIPTOR_v2`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct CudaArrayDescriptor {
    /// Elements of a row.
    pub width: usize,
    /// Rows; 0 for one dimension.
    pub height: usize,
    /// Kind of a channel.
    pub format: CuArrayFormat,
    /// Channels of an element: 1, 2 or 4.
    pub channels: u32,
}

/// `CUDA_ARRAY3D_DESCRIPTOR_v2`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct CudaArray3dDescriptor {
    /// Elements of a row.
    pub width: usize,
    /// Rows; 0 for one dimension.
    pub height: usize,
    /// Slices or layers; 0 for one or two dimensions.
    pub depth: usize,
    /// Kind of a channel.
    pub format: CuArrayFormat,
    /// Channels of an element: 1, 2 or 4.
    pub channels: u32,
    /// `CUDA_ARRAY3D_*` flags.
    pub flags: u32,
}

/// `CUDA_ARRAY_MEMORY_REQUIREMENTS_v1`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct CudaArrayMemoryRequirements {
    /// Bytes needed.
    pub size: usize,
    /// Alignment in bytes.
    pub alignment: usize,
    /// Zero.
    pub reserved: [u32; 4],
}

/// `CUDA_RESOURCE_DESC_v1`. The union is kept as words; see [`CudaResourceDesc::linear`] and
/// [`CudaResourceDesc::pitched`] for its two large members.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct CudaResourceDesc {
    /// `CUresourcetype`: 0 array, 1 mipmapped array, 2 linear memory, 3 pitched memory.
    pub kind: u32,
    /// An array's handle, or an address, and what describes it.
    pub value: [u64; 16],
    /// Must be 0.
    pub flags: u32,
}

/// Linear or pitched memory in a [`CudaResourceDesc`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CudaResourceMemory {
    /// First byte.
    pub address: CuDevicePtr,
    /// Kind of a channel.
    pub format: CuArrayFormat,
    /// Channels of an element.
    pub channels: u32,
}

impl CudaResourceDesc {
    /// An array (kind 0) or a mipmapped array (kind 1).
    pub fn array(kind: u32, handle: u64) -> Self {
        let mut described = Self {
            kind,
            ..Self::default()
        };
        described.value[0] = handle;
        described
    }

    /// `sizes` is the length in bytes (kind 2), or elements of a row, rows and the bytes from one
    /// row to the next (kind 3).
    pub fn memory(kind: u32, memory: CudaResourceMemory, sizes: &[u64]) -> Self {
        let mut described = Self::array(kind, memory.address.0);
        described.value[1] = u64::from(memory.format.0) | u64::from(memory.channels) << 32;
        for (place, size) in described.value[2..].iter_mut().zip(sizes) {
            *place = *size;
        }
        described
    }

    /// The memory of kind 2 and its length in bytes.
    pub fn linear(&self) -> (CudaResourceMemory, u64) {
        (self.described(), self.value[2])
    }

    /// The memory of kind 3: elements of a row, rows, bytes from one row to the next.
    pub fn pitched(&self) -> (CudaResourceMemory, [u64; 3]) {
        let [_, _, width, height, pitch, ..] = self.value;
        (self.described(), [width, height, pitch])
    }

    fn described(&self) -> CudaResourceMemory {
        let [format, channels] = [0, 32].map(|shift| (self.value[1] >> shift) & 0xffff_ffff);
        let narrow = |value: u64| u32::try_from(value).unwrap_or_default();
        CudaResourceMemory {
            address: CuDevicePtr(self.value[0]),
            format: CuArrayFormat(narrow(format)),
            channels: narrow(channels),
        }
    }
}

/// `CUDA_TEXTURE_DESC_v1`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[repr(C)]
pub struct CudaTextureDesc {
    /// By dimension.
    pub address_mode: [CuAddressMode; 3],
    /// Nearest or linear.
    pub filter_mode: CuFilterMode,
    /// `CU_TRSF_*` flags.
    pub flags: u32,
    /// Largest ratio of anisotropy.
    pub max_anisotropy: u32,
    /// Between levels.
    pub mipmap_filter_mode: CuFilterMode,
    /// Added to every level.
    pub mipmap_level_bias: f32,
    /// Lowest level.
    pub min_mipmap_level_clamp: f32,
    /// Highest level.
    pub max_mipmap_level_clamp: f32,
    /// What lies outside in the address mode "border".
    pub border_color: [f32; 4],
    /// Zero.
    pub reserved: [i32; 12],
}

/// `CUDA_RESOURCE_VIEW_DESC_v1`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct CudaResourceViewDesc {
    /// `CUresourceViewFormat`.
    pub format: u32,
    /// Elements of a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Slices.
    pub depth: usize,
    /// First level of a mipmapped array.
    pub first_level: u32,
    /// Last level of a mipmapped array.
    pub last_level: u32,
    /// First layer.
    pub first_layer: u32,
    /// Last layer.
    pub last_layer: u32,
    /// Zero.
    pub reserved: [u32; 16],
}

const _: () = {
    assert!(size_of::<CudaMemcpy2d>() == 128);
    assert!(size_of::<CudaMemcpy3d>() == 200);
    assert!(size_of::<CudaMemcpy3dPeer>() == 200);
    assert!(size_of::<CudaArrayDescriptor>() == 24);
    assert!(size_of::<CudaArray3dDescriptor>() == 40);
    assert!(size_of::<CudaArrayMemoryRequirements>() == 32);
    assert!(size_of::<CudaResourceDesc>() == 144);
    assert!(std::mem::offset_of!(CudaResourceDesc, flags) == 136);
    assert!(size_of::<CudaTextureDesc>() == 104);
    assert!(size_of::<CudaResourceViewDesc>() == 112);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_says_what_was_put_in() {
        let memory = CudaResourceMemory {
            address: CuDevicePtr(0x1234_5678_9abc),
            format: CuArrayFormat(0x20),
            channels: 4,
        };
        let linear = CudaResourceDesc::memory(2, memory, &[77]);
        assert_eq!(linear.linear(), (memory, 77));
        let pitched = CudaResourceDesc::memory(3, memory, &[5, 6, 512]);
        assert_eq!(pitched.pitched(), (memory, [5, 6, 512]));
        // In memory the format comes first: `enum`, then `unsigned int`.
        assert_eq!(linear.value[1].to_le_bytes(), [0x20, 0, 0, 0, 4, 0, 0, 0]);
    }
}
