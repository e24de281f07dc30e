//! Texture and surface objects: what a handle in a kernel means.

use std::sync::Arc;

use flexdirect_wire::abi::*;

use crate::arena::Purpose;
use crate::array::{self, ARRAYS, Array, MIPMAPS, channel};
use crate::driver;
use crate::exec::{Image, Images, Outside, Sampler, Texture};
use crate::table::Table;

/// Live texture objects.
pub(crate) static TEXTURES: Table<TextureObject> = Table::new(0x63);
/// Live surface objects.
pub(crate) static SURFACES: Table<SurfaceObject> = Table::new(0x64);

/// A texture object.
#[derive(Debug)]
pub(crate) struct TextureObject {
    /// The application's name for it.
    pub(crate) handle: CuTexObject,
    /// Number of the context that owns it.
    pub(crate) context: u64,
    /// What it was made of.
    pub(crate) resource: CudaResourceDesc,
    /// How it is read.
    pub(crate) described: CudaTextureDesc,
    /// The part of it, if one was named.
    pub(crate) view: Option<CudaResourceViewDesc>,
    texture: Arc<Texture>,
}

/// A surface object.
#[derive(Debug)]
pub(crate) struct SurfaceObject {
    /// The application's name for it.
    pub(crate) handle: CuSurfObject,
    /// Number of the context that owns it.
    pub(crate) context: u64,
    /// What it was made of.
    pub(crate) resource: CudaResourceDesc,
    image: Arc<Image>,
}

/// The handles of this process, as kernels use them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Handles;

impl Images for Handles {
    fn texture(&self, handle: u64) -> Option<Arc<Texture>> {
        Some(Arc::clone(&TEXTURES.find(handle)?.texture))
    }

    fn surface(&self, handle: u64) -> Option<Arc<Image>> {
        Some(Arc::clone(&SURFACES.find(handle)?.image))
    }
}

/// Makes a texture object.
///
/// # Errors
/// INVALID_VALUE, INVALID_HANDLE for what is not an array, NOT_SUPPORTED for compressed formats.
pub(crate) fn create(
    context: u64,
    resource: CudaResourceDesc,
    described: CudaTextureDesc,
    view: Option<CudaResourceViewDesc>,
) -> Result<Arc<TextureObject>, CuError> {
    let is_array = matches!(resource.kind, ARRAY | MIPMAP);
    if resource.flags != 0 || view.is_some() && !is_array {
        return Err(CuError::INVALID_VALUE);
    }
    let (levels, flags) = levels(&resource)?;
    let levels = match &view {
        Some(view) => seen(levels, view, flags)?,
        None => levels,
    };
    let sampler = sampler(&described)?;
    let channel = levels[0].channel;
    let reads_integers = channel.is_integer() && (!sampler.as_fraction || channel.size() == 4);
    if sampler.is_blended && reads_integers {
        return Err(CuError::INVALID_VALUE);
    }
    let texture = Arc::new(Texture {
        levels,
        is_linear: resource.kind == LINEAR,
        sampler,
    });
    Ok(TEXTURES.insert(|handle| TextureObject {
        handle: CuTexObject(handle),
        context,
        resource,
        described,
        view,
        texture,
    }))
}

/// Makes a surface object.
///
/// # Errors
/// INVALID_VALUE for all but an array made for it, INVALID_HANDLE for what is not an array.
pub(crate) fn create_surface(
    context: u64,
    resource: CudaResourceDesc,
) -> Result<Arc<SurfaceObject>, CuError> {
    if resource.kind != ARRAY || resource.flags != 0 {
        return Err(CuError::INVALID_VALUE);
    }
    let array = find(resource.value[0])?;
    if array.described.flags & array::SURFACE == 0 {
        return Err(CuError::INVALID_VALUE);
    }
    let image = Arc::new(array.image.clone());
    Ok(SURFACES.insert(|handle| SurfaceObject {
        handle: CuSurfObject(handle),
        context,
        resource,
        image,
    }))
}

/// Forgets what a context owned.
pub(crate) fn forget_context(context: u64) {
    for object in TEXTURES.filter(|object| object.context == context) {
        TEXTURES.remove(object.handle.0);
    }
    for object in SURFACES.filter(|object| object.context == context) {
        SURFACES.remove(object.handle.0);
    }
    array::forget_context(context);
}

fn find(handle: u64) -> Result<Arc<Array>, CuError> {
    ARRAYS.find(handle).ok_or(CuError::INVALID_HANDLE)
}

/// The images of a resource, largest first, and the flags of its array.
fn levels(resource: &CudaResourceDesc) -> Result<(Vec<Image>, u32), CuError> {
    match resource.kind {
        ARRAY => {
            let array = find(resource.value[0])?;
            Ok((vec![array.image.clone()], array.described.flags))
        }
        MIPMAP => {
            let mipmap = MIPMAPS.find(resource.value[0]);
            let mipmap = mipmap.ok_or(CuError::INVALID_HANDLE)?;
            let levels = mipmap.levels.iter().map(|level| level.image.clone());
            let flags = mipmap.levels.first().map_or(0, |one| one.described.flags);
            Ok((levels.collect(), flags))
        }
        LINEAR => Ok((vec![linear(resource)?], 0)),
        PITCHED => Ok((vec![pitched(resource)?], 0)),
        _ => Err(CuError::INVALID_VALUE),
    }
}

fn linear(resource: &CudaResourceDesc) -> Result<Image, CuError> {
    const BAD: CuError = CuError::INVALID_VALUE;
    let (memory, len) = resource.linear();
    let mut image = texels(memory)?;
    let width = len / u64::from(image.texel_len());
    let most = array::largest(CuDeviceAttribute::MAXIMUM_TEXTURE1D_LINEAR_WIDTH);
    if width == 0 || width > most as u64 {
        return Err(BAD);
    }
    check_memory(memory.address, len)?;
    image.size[0] = u32::try_from(width).map_err(|_| BAD)?;
    (image.pitch, image.slice) = (len, len);
    Ok(image)
}

fn pitched(resource: &CudaResourceDesc) -> Result<Image, CuError> {
    const BAD: CuError = CuError::INVALID_VALUE;
    let (memory, [width, height, pitch]) = resource.pitched();
    let mut image = texels(memory)?;
    let most = [
        CuDeviceAttribute::MAXIMUM_TEXTURE2D_LINEAR_WIDTH,
        CuDeviceAttribute::MAXIMUM_TEXTURE2D_LINEAR_HEIGHT,
        CuDeviceAttribute::MAXIMUM_TEXTURE2D_LINEAR_PITCH,
    ];
    let most = most.map(|name| array::largest(name) as u64);
    let fits = |value: u64, most: u64| (1..=most).contains(&value);
    if !fits(width, most[0]) || !fits(height, most[1]) || pitch > most[2] {
        return Err(BAD);
    }
    let row = width * u64::from(image.texel_len());
    if pitch < row || !pitch.is_multiple_of(PITCH_ALIGNMENT) {
        return Err(BAD);
    }
    check_memory(memory.address, pitch * (height - 1) + row)?;
    let narrow = |value: u64| u32::try_from(value).map_err(|_| BAD);
    (image.size[0], image.size[1]) = (narrow(width)?, narrow(height)?);
    (image.pitch, image.slice) = (pitch, pitch * height);
    Ok(image)
}

/// One texel of what a resource describes.
fn texels(memory: CudaResourceMemory) -> Result<Image, CuError> {
    let described = CudaArray3dDescriptor {
        width: 1,
        format: memory.format,
        channels: memory.channels,
        ..CudaArray3dDescriptor::default()
    };
    let image = array::layout(&described)?;
    Ok(Image {
        address: memory.address.0,
        ..image
    })
}

/// Whether a texture can be bound to these bytes.
fn check_memory(address: CuDevicePtr, len: u64) -> CuResult {
    const BAD: CuError = CuError::INVALID_VALUE;
    if !address.0.is_multiple_of(ALIGNMENT) {
        return Err(BAD);
    }
    let device = driver::device_of(address.0).ok_or(BAD)?;
    let len = usize::try_from(len).map_err(|_| BAD)?;
    let found = device.arena.find(address.0).ok_or(BAD)?;
    if found.purpose == Purpose::Array {
        return Err(BAD);
    }
    device.arena.span(address.0, len).map(drop).ok_or(BAD)
}

/// The part of an array that a view names.
fn seen(
    mut levels: Vec<Image>,
    view: &CudaResourceViewDesc,
    flags: u32,
) -> Result<Vec<Image>, CuError> {
    const BAD: CuError = CuError::INVALID_VALUE;
    let (first, last) = (view.first_level as usize, view.last_level as usize);
    if first > last || last >= levels.len() {
        return Err(BAD);
    }
    levels = levels.drain(first..=last).collect();
    let layered = flags & (array::LAYERED | array::CUBEMAP) != 0;
    if !layered && (view.first_layer, view.last_layer) != (0, 0) {
        return Err(BAD);
    }
    for image in &mut levels {
        if let Some((format, channels)) = viewed_as(view.format)? {
            let before = image.texel_len();
            (image.channel, image.channels) = (channel(format)?, channels);
            if image.texel_len() != before {
                return Err(BAD);
            }
        }
        if layered {
            if view.first_layer > view.last_layer || view.last_layer >= image.layers {
                return Err(BAD);
            }
            image.address += image.slice * u64::from(view.first_layer);
            image.layers = view.last_layer - view.first_layer + 1;
        }
    }
    let [width, height, depth] = levels[0].size.map(|size| size as usize);
    let same = |viewed: usize, size: usize| viewed == size || viewed == 0 && size == 1;
    let depth_fits = layered || same(view.depth, depth);
    if view.width != width || !same(view.height, height) || !depth_fits {
        return Err(BAD);
    }
    Ok(levels)
}

/// Format and channels of a CUresourceViewFormat; `None` for the array's own.
fn viewed_as(format: u32) -> Result<Option<(CuArrayFormat, u32)>, CuError> {
    // Unsigned, signed, float; by size; of one, two and four channels each.
    const FORMATS: [u32; 8] = [0x01, 0x08, 0x02, 0x09, 0x03, 0x0a, 0x10, 0x20];
    match format {
        0 => Ok(None),
        1..=24 => {
            let index = (format - 1) as usize;
            let channels = 1 << (index % 3);
            Ok(Some((CuArrayFormat(FORMATS[index / 3]), channels)))
        }
        25..=35 => Err(CuError::NOT_SUPPORTED),
        _ => Err(CuError::INVALID_VALUE),
    }
}

fn sampler(described: &CudaTextureDesc) -> Result<Sampler, CuError> {
    const BAD: CuError = CuError::INVALID_VALUE;
    let outside = |mode: CuAddressMode| {
        Ok(match mode.0 {
            0 => Outside::Wrap,
            1 => Outside::Clamp,
            2 => Outside::Mirror,
            3 => Outside::Border,
            _ => return Err(BAD),
        })
    };
    let is_linear = |mode: CuFilterMode| match mode.0 {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(BAD),
    };
    if described.flags & !FLAGS != 0 {
        return Err(BAD);
    }
    let [x, y, z] = described.address_mode;
    let has = |flag: u32| described.flags & flag != 0;
    Ok(Sampler {
        outside: [outside(x)?, outside(y)?, outside(z)?],
        is_blended: is_linear(described.filter_mode)?,
        is_normalised: has(NORMALISED),
        as_fraction: !has(READ_AS_INTEGER),
        is_srgb: has(SRGB),
        border: described.border_color.map(f32::to_bits),
        blends_levels: is_linear(described.mipmap_filter_mode)?,
        bias: described.mipmap_level_bias,
        levels: [
            described.min_mipmap_level_clamp,
            described.max_mipmap_level_clamp,
        ],
    })
}

/// CUresourcetype.
const ARRAY: u32 = 0;
const MIPMAP: u32 = 1;
const LINEAR: u32 = 2;
const PITCHED: u32 = 3;
/// CU_TRSF_* flags.
const READ_AS_INTEGER: u32 = 0x01;
const NORMALISED: u32 = 0x02;
const SRGB: u32 = 0x10;
/// All of them, with CU_TRSF_DISABLE_TRILINEAR_OPTIMIZATION and CU_TRSF_SEAMLESS_CUBEMAP, which
/// change no value that is defined.
const FLAGS: u32 = 0x73;
/// CU_DEVICE_ATTRIBUTE_TEXTURE_ALIGNMENT, in bytes.
const ALIGNMENT: u64 = 512;
/// CU_DEVICE_ATTRIBUTE_TEXTURE_PITCH_ALIGNMENT, in bytes.
const PITCH_ALIGNMENT: u64 = 32;
