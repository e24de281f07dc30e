//! Images: what `tex`, `tld4`, `suld`, `sust`, `sured` and the queries read and write.
//!
//! An image lies in the arena as plain rows, so every texel is reached through the arena's own
//! bounds check. What a 64-bit handle of a kernel means is for the driver to say, by [`Images`].

mod run;
mod sample;
mod surface;
mod texel;

pub use texel::Channel;

use std::sync::Arc;

use super::code::{Source, Target};
use super::memory::Memory;

/// What the handles of a launch mean.
pub trait Images {
    /// The texture object of that handle, if there is one.
    fn texture(&self, handle: u64) -> Option<Arc<Texture>>;
    /// The surface object of that handle, if there is one.
    fn surface(&self, handle: u64) -> Option<Arc<Image>>;
}

/// Texels in rows and slices.
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    /// First texel, in the arena.
    pub address: u64,
    /// Texels of a row, rows, slices; 1 where the image has fewer dimensions.
    pub size: [u32; 3],
    /// Layers, or faces of cubes; 1 if it has none. They lie one after the other like slices.
    pub layers: u32,
    /// Bytes from one row to the next.
    pub pitch: u64,
    /// Bytes from one slice or layer to the next.
    pub slice: u64,
    /// Kind of a channel.
    pub channel: Channel,
    /// Channels of a texel: 1, 2 or 4.
    pub channels: u32,
}

/// A texture object: levels and how to read them.
#[derive(Debug, Clone, PartialEq)]
pub struct Texture {
    /// The image, then its smaller levels; one at least.
    pub levels: Vec<Image>,
    /// Whether it is linear memory: read by index, outside of which all is zero.
    pub is_linear: bool,
    /// How to read it.
    pub sampler: Sampler,
}

/// How a texture is read (CUDA C++ Programming Guide, "Texture Fetching").
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampler {
    /// What coordinates outside mean, by dimension.
    pub outside: [Outside; 3],
    /// Whether to blend neighbours.
    pub is_blended: bool,
    /// Whether coordinates go from 0 to 1.
    pub is_normalised: bool,
    /// Whether integers of 8 and 16 bits are read as fractions.
    pub as_fraction: bool,
    /// Whether 8-bit fractions but the last channel are sRGB.
    pub is_srgb: bool,
    /// What lies outside with [`Outside::Border`]: bits, by channel.
    pub border: [u32; 4],
    /// Whether to blend levels.
    pub blends_levels: bool,
    /// Added to the level.
    pub bias: f32,
    /// Lowest and highest level.
    pub levels: [f32; 2],
}

/// What a coordinate outside of an image means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outside {
    /// The image again; of normalised coordinates only.
    Wrap,
    /// The nearest texel.
    Clamp,
    /// The image reflected; of normalised coordinates only.
    Mirror,
    /// The border colour.
    Border,
}

/// The shape that an instruction sees in an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Geometry {
    /// Coordinates in a layer: 1, 2 or 3.
    pub(super) dimensions: usize,
    /// Whether a layer comes before the coordinates.
    pub(super) is_array: bool,
    /// Whether the three coordinates are a direction.
    pub(super) is_cube: bool,
}

/// An instruction on an image, with the handle before all other sources.
#[derive(Debug)]
pub(super) struct ImageOp {
    pub(super) kind: ImageKind,
    pub(super) geometry: Geometry,
    pub(super) sources: Vec<Source>,
    pub(super) targets: Vec<Target>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum ImageKind {
    /// Sources: layer, coordinates, level or two gradients, offsets.
    Fetch(Fetch),
    /// Sources: layer, coordinates, offsets; of four texels this channel.
    Gather {
        channel: usize,
        offset: bool,
    },
    /// Source: the level, if there is one.
    QueryTexture(Query),
    QuerySurface(Query),
    /// Sources: layer, coordinates, what is written.
    Surface(Surface),
}

/// A `tex`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fetch {
    /// Coordinates are integers.
    pub(super) by_index: bool,
    pub(super) level: LevelOf,
    pub(super) offset: bool,
    pub(super) result: Texels,
}

/// Which level an instruction reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LevelOf {
    First,
    Given,
    Gradients,
}

/// The form of the texels that an instruction gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Texels {
    Words,
    Halves,
    HalfPairs,
}

/// What a query asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Query {
    Size(usize),
    ChannelKind,
    ChannelOrder,
    Normalised,
    Unnormalised,
    Layers,
    Levels,
    Samples,
    Blends,
    Outside(usize),
    Layout,
}

/// A `suld`, `sust` or `sured`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Surface {
    pub(super) what: Access,
    /// Values that it reads or writes: 1, 2 or 4.
    pub(super) count: usize,
    /// Bytes of one of them.
    pub(super) size: u32,
    pub(super) bounds: Bounds,
    /// The first coordinate counts texels, not bytes, and values are converted.
    pub(super) formatted: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Access {
    Load,
    Store,
    /// By signed or unsigned values.
    Reduce(super::code::AtomicFunction, super::code::AtomicFunction),
}

/// What an access outside of a surface does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bounds {
    Trap,
    Clamp,
    Zero,
}

/// Why an image cannot be accessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrong {
    /// An address, or a handle that means nothing.
    Memory(super::memory::Bad, u64),
    /// Outside of a surface, at what would be this address.
    Outside(u64),
}

impl Image {
    /// Bytes of a texel.
    #[must_use]
    pub fn texel_len(&self) -> u32 {
        self.channels * self.channel.size()
    }

    /// Address of a texel by slice or layer, row and column.
    fn address_of(&self, x: u64, y: u64, z: u64) -> u64 {
        let offset = (z.wrapping_mul(self.slice)).wrapping_add(y.wrapping_mul(self.pitch));
        (self.address)
            .wrapping_add(offset)
            .wrapping_add(x.wrapping_mul(u64::from(self.texel_len())))
    }

    /// The bits of a texel's channels; the ones that it lacks are 0.
    fn read(&self, memory: &Memory, x: u64, y: u64, z: u64) -> Result<[u32; 4], Wrong> {
        let size = self.channel.size();
        let start = self.address_of(x, y, z);
        let mut bits = [0; 4];
        for (index, value) in bits.iter_mut().take(self.channels as usize).enumerate() {
            let address = start.wrapping_add(u64::from(size) * index as u64);
            let loaded = memory.load(address, size);
            *value = loaded.map_err(|bad| Wrong::Memory(bad, address))? as u32;
        }
        Ok(bits)
    }
}
