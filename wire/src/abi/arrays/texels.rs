//! What both ends compute of an array: how long a texel is, which boxes lie inside, and what of a
//! device's memory it counts for.

use super::CudaArray3dDescriptor;
use crate::abi::CuError;

/// `CUDA_ARRAY3D_LAYERED`.
const LAYERED: u32 = 0x01;
/// `CUDA_ARRAY3D_CUBEMAP`.
const CUBEMAP: u32 = 0x04;
/// Bytes that rows are counted in: `CU_DEVICE_ATTRIBUTE_TEXTURE_PITCH_ALIGNMENT` of every device.
/// How a driver lays out an array it does not say.
const ROW_ALIGNMENT: u64 = 32;
/// Bytes that levels of a mipmapped array are counted in.
const LEVEL_ALIGNMENT: u64 = 512;

impl CudaArray3dDescriptor {
    /// Bytes of a texel.
    ///
    /// # Errors
    /// `INVALID_VALUE` for what is no format; `NOT_SUPPORTED` for formats of blocks or planes,
    /// whose boxes are not counted in texels.
    pub fn texel_len(&self) -> Result<u64, CuError> {
        let channel = match self.format.0 {
            0x01 | 0x08 => 1,
            0x02 | 0x09 | 0x10 => 2,
            0x03 | 0x0a | 0x20 => 4,
            0x50..=0x5e | 0x91..=0x9f | 0xa1..=0xa9 | 0xb0..=0xb5 | 0xc0..=0xcb => {
                return Err(CuError::NOT_SUPPORTED);
            }
            _ => return Err(CuError::INVALID_VALUE),
        };
        match self.channels {
            1 | 2 | 4 => Ok(channel * u64::from(self.channels)),
            _ => Err(CuError::INVALID_VALUE),
        }
    }

    /// Whether its last size counts layers, and not slices of a volume.
    pub fn has_layers(&self) -> bool {
        self.flags & (LAYERED | CUBEMAP) != 0
    }

    /// Whether it is a cube's faces.
    pub fn is_cubemap(&self) -> bool {
        self.flags & CUBEMAP != 0
    }

    /// Whether a box lies inside and consists of whole texels: first byte of a row, first row,
    /// first slice or layer; bytes, rows, slices.
    pub fn holds(&self, start: [u64; 3], extent: [u64; 3]) -> bool {
        let Ok(texel_len) = self.texel_len() else {
            return false;
        };
        let [width, height, depth] = self.sizes();
        let Some(row_len) = width.checked_mul(texel_len) else {
            return false;
        };
        let is_within = |((start, len), size): ((u64, u64), u64)| {
            start.checked_add(len).is_some_and(|end| end <= size)
        };
        let each = start.into_iter().zip(extent);
        start[0].is_multiple_of(texel_len)
            && extent[0].is_multiple_of(texel_len)
            && each.zip([row_len, height, depth]).all(is_within)
    }

    /// Bytes that an array counts for.
    ///
    /// # Errors
    /// As [`Self::texel_len`]; `INVALID_VALUE` for more than there can be.
    pub fn storage_len(&self) -> Result<u64, CuError> {
        let [width, height, depth] = self.sizes();
        let row = width.checked_mul(self.texel_len()?);
        row.and_then(|row| row.checked_next_multiple_of(ROW_ALIGNMENT))
            .and_then(|row| row.checked_mul(height))
            .and_then(|slice| slice.checked_mul(depth))
            .ok_or(CuError::INVALID_VALUE)
    }

    /// Bytes that a mipmapped array of `count` levels counts for. There are no more levels than
    /// halve its longest side (CUDA Driver API, `cuMipmappedArrayCreate`).
    ///
    /// # Errors
    /// As [`Self::storage_len`].
    pub fn levels_len(&self, count: u32) -> Result<u64, CuError> {
        let longest = self.width.max(self.height);
        let longest = longest.max(if self.has_layers() { 0 } else { self.depth });
        let count_max = longest.checked_ilog2().unwrap_or(0) + 1;
        let mut len = 0_u64;
        for level in 0..count.clamp(1, count_max) {
            let half = |size: usize| if size == 0 { 0 } else { (size >> level).max(1) };
            let depth = if self.has_layers() {
                self.depth
            } else {
                half(self.depth)
            };
            let smaller = Self {
                width: half(self.width),
                height: half(self.height),
                depth,
                ..*self
            };
            let more = smaller.storage_len()?;
            len = more
                .checked_next_multiple_of(LEVEL_ALIGNMENT)
                .and_then(|more| len.checked_add(more))
                .ok_or(CuError::INVALID_VALUE)?;
        }
        Ok(len)
    }

    /// Texels of a row, rows, slices or layers.
    fn sizes(&self) -> [u64; 3] {
        [self.width, self.height, self.depth].map(|size| size.max(1) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::CuArrayFormat;

    const FLOAT4: CudaArray3dDescriptor = CudaArray3dDescriptor {
        width: 10,
        height: 5,
        depth: 0,
        format: CuArrayFormat(0x20),
        channels: 4,
        flags: 0,
    };

    #[test]
    fn a_box_lies_inside_by_whole_texels() {
        assert_eq!(FLOAT4.texel_len(), Ok(16));
        assert!(FLOAT4.holds([0, 0, 0], [160, 5, 1]));
        assert!(FLOAT4.holds([144, 4, 0], [16, 1, 1]));
        for (start, extent) in [
            ([144, 0, 0], [32, 1, 1]),
            ([0, 1, 0], [16, 5, 1]),
            ([0, 0, 1], [16, 1, 1]),
            ([8, 0, 0], [16, 1, 1]),
            ([0, 0, 0], [8, 1, 1]),
            ([u64::MAX - 15, 0, 0], [16, 1, 1]),
        ] {
            assert!(!FLOAT4.holds(start, extent), "{start:?} {extent:?}");
        }
    }

    #[test]
    fn storage_is_counted_in_padded_rows_of_every_level() {
        assert_eq!(FLOAT4.storage_len(), Ok(160 * 5));
        let thin = CudaArray3dDescriptor {
            width: 9,
            height: 0,
            depth: 3,
            channels: 1,
            flags: LAYERED,
            ..FLOAT4
        };
        assert_eq!(thin.storage_len(), Ok(64 * 3));
        // 9, 4, 2, 1 texels: three layers of every level.
        assert_eq!(thin.levels_len(99), Ok(4 * 512));
        assert_eq!(thin.levels_len(0), Ok(512));
        let huge = CudaArray3dDescriptor {
            width: usize::MAX / 2,
            ..FLOAT4
        };
        assert_eq!(huge.storage_len(), Err(CuError::INVALID_VALUE));
        assert_eq!(huge.levels_len(9), Err(CuError::INVALID_VALUE));
    }

    #[test]
    fn what_is_no_format_of_texels_is_refused() {
        let of = |format, channels| CudaArray3dDescriptor {
            format: CuArrayFormat(format),
            channels,
            ..FLOAT4
        };
        assert_eq!(of(0x20, 3).texel_len(), Err(CuError::INVALID_VALUE));
        assert_eq!(of(0x77, 1).texel_len(), Err(CuError::INVALID_VALUE));
        assert_eq!(of(0xb0, 1).texel_len(), Err(CuError::NOT_SUPPORTED));
    }
}
