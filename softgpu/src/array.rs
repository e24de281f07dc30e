//! Arrays: texels in device memory that only copies, textures and surfaces reach.
//!
//! NVIDIA's arrays have a layout of their own; here they are plain rows in the arena, which no
//! program can tell.

use std::sync::Arc;

use flexdirect_wire::abi::*;

use crate::arena::Purpose;
use crate::attributes::{Variable, attribute};
use crate::context::Context;
use crate::driver;
use crate::exec::{Channel, Image};
use crate::faultplan;
use crate::table::Table;

/// Live arrays, levels of mipmapped ones among them.
pub(crate) static ARRAYS: Table<Array> = Table::new(0x61);
/// Live mipmapped arrays.
pub(crate) static MIPMAPS: Table<Mipmap> = Table::new(0x62);

/// An array.
#[derive(Debug)]
pub(crate) struct Array {
    /// The application's name for it.
    pub(crate) handle: CuArray,
    /// Number of the context that owns it.
    pub(crate) context: u64,
    /// As it was asked for; of a level with the level's sizes.
    pub(crate) described: CudaArray3dDescriptor,
    /// Its memory.
    pub(crate) image: Image,
    /// Whether it is a level of a mipmapped array, which owns the memory.
    pub(crate) is_level: bool,
    device: usize,
}

/// A mipmapped array.
#[derive(Debug)]
pub(crate) struct Mipmap {
    /// The application's name for it.
    pub(crate) handle: CuMipmappedArray,
    /// Number of the context that owns it.
    pub(crate) context: u64,
    /// The array and its smaller copies; one at least.
    pub(crate) levels: Vec<Arc<Array>>,
    device: usize,
    address: u64,
}

/// Makes an array.
///
/// # Errors
/// INVALID_VALUE for what is no array, NOT_SUPPORTED for what CUDA has and this driver has not,
/// OUT_OF_MEMORY.
pub(crate) fn create(
    context: &Context,
    described: &CudaArray3dDescriptor,
) -> Result<Arc<Array>, CuError> {
    let image = layout(described)?;
    check_sizes(described)?;
    let address = allocate(context, image_len(&image)?)?;
    Ok(insert(
        context,
        described,
        Image { address, ..image },
        false,
    ))
}

/// Makes a mipmapped array of at most `count` levels.
///
/// # Errors
/// As [`create`].
pub(crate) fn create_mipmap(
    context: &Context,
    described: &CudaArray3dDescriptor,
    count: u32,
) -> Result<Arc<Mipmap>, CuError> {
    check_sizes(described)?;
    let flat = described.flags & (LAYERED | CUBEMAP) != 0;
    let longest = (described.width).max(described.height);
    let longest = longest.max(if flat { 0 } else { described.depth });
    let most = longest.checked_ilog2().unwrap_or(0) + 1;
    let mut layouts = Vec::new();
    let mut len = 0u64;
    for level in 0..count.clamp(1, most) {
        let half = |size: usize| if size == 0 { 0 } else { (size >> level).max(1) };
        let level = CudaArray3dDescriptor {
            width: half(described.width),
            height: half(described.height),
            depth: if flat {
                described.depth
            } else {
                half(described.depth)
            },
            ..*described
        };
        let image = layout(&level)?;
        let offset = len;
        len = image_len(&image)?
            .checked_next_multiple_of(LEVEL_ALIGNMENT)
            .and_then(|more| len.checked_add(more))
            .ok_or(CuError::OUT_OF_MEMORY)?;
        layouts.push((level, image, offset));
    }
    let start = allocate(context, len)?;
    let levels = layouts.into_iter().map(|(level, image, offset)| {
        let address = start + offset;
        insert(context, &level, Image { address, ..image }, true)
    });
    let levels: Vec<_> = levels.collect();
    Ok(MIPMAPS.insert(|handle| Mipmap {
        handle: CuMipmappedArray(handle),
        context: context.id,
        levels,
        device: context.device().ordinal,
        address: start,
    }))
}

/// Frees an array, after the work that may use it.
pub(crate) fn destroy(array: &Array) {
    if ARRAYS.remove(array.handle.0).is_some() {
        free(array.device, array.image.address);
    }
}

/// Frees a mipmapped array, after the work that may use it.
pub(crate) fn destroy_mipmap(mipmap: &Mipmap) {
    if MIPMAPS.remove(mipmap.handle.0).is_some() {
        for level in &mipmap.levels {
            ARRAYS.remove(level.handle.0);
        }
        free(mipmap.device, mipmap.address);
    }
}

/// Forgets what a context owned, whose memory is freed by others.
pub(crate) fn forget_context(context: u64) {
    for array in ARRAYS.filter(|array| array.context == context) {
        ARRAYS.remove(array.handle.0);
    }
    for mipmap in MIPMAPS.filter(|mipmap| mipmap.context == context) {
        MIPMAPS.remove(mipmap.handle.0);
    }
}

fn insert(
    context: &Context,
    described: &CudaArray3dDescriptor,
    image: Image,
    is_level: bool,
) -> Arc<Array> {
    ARRAYS.insert(|handle| Array {
        handle: CuArray(handle),
        context: context.id,
        described: *described,
        image,
        is_level,
        device: context.device().ordinal,
    })
}

fn allocate(context: &Context, len: u64) -> Result<u64, CuError> {
    faultplan::plan().allocation()?;
    let arena = &context.device().arena;
    let made = arena.allocate(len, context.id, Purpose::Array);
    let made = made.map_err(|_| CuError::OUT_OF_MEMORY)?;
    arena.clear(&made);
    Ok(made.address)
}

fn free(device: usize, address: u64) {
    let device = &driver::devices()[device];
    for context in driver::contexts() {
        if context.device().ordinal == device.ordinal {
            context.drain();
        }
    }
    device.arena.free(address, Purpose::Array);
}

/// The kind of channel that a format names.
///
/// # Errors
/// NOT_SUPPORTED for formats of blocks or planes, INVALID_VALUE for what is none.
pub(crate) fn channel(format: CuArrayFormat) -> Result<Channel, CuError> {
    Ok(match format.0 {
        0x01 => Channel::Unsigned8,
        0x02 => Channel::Unsigned16,
        0x03 => Channel::Unsigned32,
        0x08 => Channel::Signed8,
        0x09 => Channel::Signed16,
        0x0a => Channel::Signed32,
        0x10 => Channel::Half,
        0x20 => Channel::Single,
        0x50..=0x5e | 0x91..=0x9f | 0xa1..=0xa9 | 0xb0..=0xb5 | 0xc0..=0xcb => {
            return Err(CuError::NOT_SUPPORTED);
        }
        _ => return Err(CuError::INVALID_VALUE),
    })
}

/// Rows of the described texels, at address 0.
pub(crate) fn layout(described: &CudaArray3dDescriptor) -> Result<Image, CuError> {
    const BAD: CuError = CuError::INVALID_VALUE;
    let channel = channel(described.format)?;
    if !matches!(described.channels, 1 | 2 | 4) {
        return Err(BAD);
    }
    let size = |size: usize| u32::try_from(size.max(1)).map_err(|_| BAD);
    let has_layers = described.flags & (LAYERED | CUBEMAP) != 0;
    let depth = size(described.depth)?;
    let (depth, layers) = if has_layers { (1, depth) } else { (depth, 1) };
    let (width, height) = (size(described.width)?, size(described.height)?);
    let row = u64::from(width) * u64::from(described.channels * channel.size());
    let pitch = row.next_multiple_of(ROW_ALIGNMENT);
    let slice = pitch.checked_mul(u64::from(height)).ok_or(BAD)?;
    Ok(Image {
        address: 0,
        size: [width, height, depth],
        layers,
        pitch,
        slice,
        channel,
        channels: described.channels,
    })
}

/// Bytes of an image.
fn image_len(image: &Image) -> Result<u64, CuError> {
    let slices = u64::from(image.size[2]) * u64::from(image.layers);
    let len = image.slice.checked_mul(slices);
    len.ok_or(CuError::OUT_OF_MEMORY)
}

/// Whether sizes and flags are those of an array (CUDA Driver API, cuArray3DCreate).
fn check_sizes(described: &CudaArray3dDescriptor) -> CuResult {
    let CudaArray3dDescriptor {
        width,
        height,
        depth,
        flags,
        ..
    } = *described;
    if flags & (SPARSE | DEFERRED_MAPPING) != 0 {
        return Err(CuError::NOT_SUPPORTED);
    }
    let (layered, cubemap) = (flags & LAYERED != 0, flags & CUBEMAP != 0);
    let known = LAYERED | SURFACE | CUBEMAP | GATHER | COLOR_ATTACHMENT;
    let faces = if layered {
        depth > 0 && depth.is_multiple_of(6)
    } else {
        depth == 6
    };
    let is_flat = height > 0 && depth == 0;
    let shape = match (layered, cubemap) {
        (_, true) => faces && width == height,
        (true, false) => depth > 0,
        (false, false) => height > 0 || depth == 0,
    };
    if flags & !known != 0 || width == 0 || !shape || (flags & GATHER != 0 && !is_flat) {
        return Err(CuError::INVALID_VALUE);
    }
    let dimensions = 1 + usize::from(height > 0) + usize::from(depth > 0 && !layered && !cubemap);
    let most = match (cubemap, layered, dimensions) {
        (true, false, _) => [32_768, 32_768, 6],
        (true, true, _) => [32_768, 32_768, 2046],
        (false, true, 1) => [32_768, 0, 2048],
        (false, true, _) => [32_768, 32_768, 2048],
        (false, false, 1) => [largest(CuDeviceAttribute::MAXIMUM_TEXTURE1D_WIDTH), 0, 0],
        (false, false, 2) => [
            largest(CuDeviceAttribute::MAXIMUM_TEXTURE2D_WIDTH),
            largest(CuDeviceAttribute::MAXIMUM_TEXTURE2D_HEIGHT),
            0,
        ],
        _ => [16_384; 3],
    };
    // Three dimensions may also be few texels in each of many slices.
    let alternate = dimensions == 3 && width <= 8192 && height <= 8192 && depth <= 32_768;
    let fits = width <= most[0] && height <= most[1] && depth <= most[2];
    if fits || alternate {
        Ok(())
    } else {
        Err(CuError::INVALID_VALUE)
    }
}

/// The value of an attribute that is a size and the same for all devices.
pub(crate) fn largest(name: CuDeviceAttribute) -> usize {
    let any = Variable {
        multiprocessors: 0,
        pci_bus: 0,
    };
    let value = attribute(name, any).unwrap_or(0);
    usize::try_from(value).unwrap_or(0)
}

/// CUDA_ARRAY3D_LAYERED and others.
pub(crate) const LAYERED: u32 = 0x01;
pub(crate) const SURFACE: u32 = 0x02;
pub(crate) const CUBEMAP: u32 = 0x04;
const GATHER: u32 = 0x08;
const COLOR_ATTACHMENT: u32 = 0x20;
const SPARSE: u32 = 0x40;
const DEFERRED_MAPPING: u32 = 0x80;
/// Bytes: at least the largest access of a surface.
const ROW_ALIGNMENT: u64 = 32;
/// Bytes.
const LEVEL_ALIGNMENT: u64 = 512;
