//! Bodies of arrays, and of texture and surface objects.

use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::abi::{
    CuAddressMode, CuArrayFormat, CuFilterMode, CudaArray3dDescriptor, CudaResourceDesc,
    CudaResourceViewDesc, CudaTextureDesc,
};

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

    /// What a texture or surface object is made of.
    Resource = 48 {
        /// `CUresourcetype`.
        kind: u32,
        /// Flags of the descriptor.
        flags: u32,
        /// Array or mipmapped array; else address, format (low half) and channels, and bytes; or
        /// texels of a row, rows and bytes from row to row.
        value: [u64; 5],
    }

    /// The part of a resource that a texture object shows.
    View = 48 {
        /// `CUresourceViewFormat`.
        format: u32,
        /// First and last level, first and last layer.
        parts: [u32; 4],
        /// Reserved, zero.
        reserved: u32,
        /// Width, height, depth.
        size: [u64; 3],
    }

    /// A texture object to be made.
    Texture = 160 {
        /// What it is made of.
        resource: Resource,
        /// Address modes, filter, flags, anisotropy, filter between levels, bias, lowest and
        /// highest level, border: the bits of each.
        sampling: [u32; 14],
        /// Whether there is a view.
        has_view: u32,
        /// Reserved, zero.
        reserved: u32,
        /// The view, or zeroes.
        view: View,
    }

    /// Reply: a texture or surface object.
    ObjectMade = 16 {
        /// The server's handle.
        handle: u64,
        /// The driver's value, which kernels take.
        value: u64,
    }

    /// Texels of linear memory.
    Texels = 8 {
        /// `CUarray_format`.
        format: u32,
        /// Channels of a texel.
        channels: u32,
    }
}

impl Resource {
    /// What crosses of a descriptor.
    pub fn new(described: &CudaResourceDesc) -> Self {
        let [a, b, c, d, e, ..] = described.value;
        Self {
            kind: described.kind,
            flags: described.flags,
            value: [a, b, c, d, e],
        }
    }

    /// The descriptor.
    pub fn described(&self) -> CudaResourceDesc {
        let mut described = CudaResourceDesc {
            kind: self.kind,
            flags: self.flags,
            ..CudaResourceDesc::default()
        };
        described.value[..5].copy_from_slice(&self.value);
        described
    }
}

impl View {
    /// What crosses of a descriptor.
    pub fn new(view: &CudaResourceViewDesc) -> Self {
        Self {
            format: view.format,
            parts: [
                view.first_level,
                view.last_level,
                view.first_layer,
                view.last_layer,
            ],
            reserved: 0,
            size: [view.width, view.height, view.depth].map(|size| size as u64),
        }
    }

    /// The descriptor; a size that no process can have becomes the largest.
    pub fn described(&self) -> CudaResourceViewDesc {
        let [first_level, last_level, first_layer, last_layer] = self.parts;
        let [width, height, depth] = self
            .size
            .map(|size| usize::try_from(size).unwrap_or(usize::MAX));
        CudaResourceViewDesc {
            format: self.format,
            width,
            height,
            depth,
            first_level,
            last_level,
            first_layer,
            last_layer,
            reserved: [0; 16],
        }
    }
}

impl Texture {
    /// What crosses of a texture object's descriptors.
    pub fn new(
        resource: &CudaResourceDesc,
        how: &CudaTextureDesc,
        view: Option<&CudaResourceViewDesc>,
    ) -> Self {
        let [x, y, z] = how.address_mode.map(|mode| mode.0);
        let [red, green, blue, alpha] = how.border_color.map(f32::to_bits);
        Self {
            resource: Resource::new(resource),
            sampling: [
                x,
                y,
                z,
                how.filter_mode.0,
                how.flags,
                how.max_anisotropy,
                how.mipmap_filter_mode.0,
                how.mipmap_level_bias.to_bits(),
                how.min_mipmap_level_clamp.to_bits(),
                how.max_mipmap_level_clamp.to_bits(),
                red,
                green,
                blue,
                alpha,
            ],
            has_view: u32::from(view.is_some()),
            reserved: 0,
            view: view.map(View::new).unwrap_or_default(),
        }
    }

    /// How it is read.
    pub fn described(&self) -> CudaTextureDesc {
        let [
            x,
            y,
            z,
            filter,
            flags,
            anisotropy,
            between,
            bias,
            low,
            high,
            border @ ..,
        ] = self.sampling;
        CudaTextureDesc {
            address_mode: [x, y, z].map(CuAddressMode),
            filter_mode: CuFilterMode(filter),
            flags,
            max_anisotropy: anisotropy,
            mipmap_filter_mode: CuFilterMode(between),
            mipmap_level_bias: f32::from_bits(bias),
            min_mipmap_level_clamp: f32::from_bits(low),
            max_mipmap_level_clamp: f32::from_bits(high),
            border_color: border.map(f32::from_bits),
            reserved: [0; 12],
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_come_back_as_they_went() {
        let how = CudaTextureDesc {
            address_mode: [CuAddressMode(1), CuAddressMode(2), CuAddressMode(3)],
            filter_mode: CuFilterMode(1),
            flags: 2,
            max_anisotropy: 4,
            mipmap_filter_mode: CuFilterMode(1),
            mipmap_level_bias: -0.5,
            min_mipmap_level_clamp: 1.0,
            max_mipmap_level_clamp: 7.25,
            border_color: [0.0, 1.0, 2.0, 3.0],
            reserved: [0; 12],
        };
        let view = CudaResourceViewDesc {
            format: 5,
            width: 6,
            height: 7,
            depth: 8,
            first_level: 1,
            last_level: 2,
            first_layer: 3,
            last_layer: 4,
            reserved: [0; 16],
        };
        let mut resource = CudaResourceDesc::array(3, 9);
        resource.value[4] = 512;
        let texture = Texture::new(&resource, &how, Some(&view));
        assert_eq!(texture.described(), how);
        assert_eq!(texture.view.described(), view);
        assert_eq!(texture.resource.described(), resource);
        assert_eq!(texture.has_view, 1);
    }
}
