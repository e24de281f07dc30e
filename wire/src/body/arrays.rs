//! Bodies of arrays, textures and virtual memory.

use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::abi::{CuArrayFormat, CudaArray3dDescriptor};

bodies! {
    /// What an array is, or is to be.
    Array = 40 {
        /// Texels of a row.
        width: u64,
        /// Rows.
        height: u64,
        /// Slices or layers.
        depth: u64,
        /// `CUarray_format`.
        format: u32,
        /// Channels of a texel.
        channels: u32,
        /// `CUDA_ARRAY3D_*` flags.
        flags: u32,
        /// Levels, if it is to be a mipmapped array.
        levels: u32,
    }

    /// Reply: an array that was made or found.
    ArrayFound = 48 {
        /// The server's handle.
        handle: u64,
        /// What the driver says that it is.
        array: Array,
    }

    /// A level of a mipmapped array.
    ArrayLevel = 16 {
        /// Mipmapped array.
        mipmap: u64,
        /// Level.
        level: u32,
        /// Reserved, zero.
        reserved: u32,
    }
}

impl Array {
    /// What crosses of a descriptor.
    pub fn new(described: &CudaArray3dDescriptor, levels: u32) -> Self {
        Self {
            width: described.width as u64,
            height: described.height as u64,
            depth: described.depth as u64,
            format: described.format.0,
            channels: described.channels,
            flags: described.flags,
            levels,
        }
    }

    /// The descriptor; a size that no process can have becomes the largest.
    pub fn described(&self) -> CudaArray3dDescriptor {
        let size = |size: u64| usize::try_from(size).unwrap_or(usize::MAX);
        CudaArray3dDescriptor {
            width: size(self.width),
            height: size(self.height),
            depth: size(self.depth),
            format: CuArrayFormat(self.format),
            channels: self.channels,
            flags: self.flags,
        }
    }
}
