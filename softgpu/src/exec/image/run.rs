//! Instructions on images, lane by lane.

use std::sync::Arc;

use super::super::block::Env;
use super::super::check::BadImage;
use super::super::execute::trouble;
use super::super::launch::Checker;
use super::super::memory::{Bad, Memory};
use super::super::warp::{Trouble, TroubleKind, Warp, lanes};
use super::sample::Spot;
use super::texel::{half_of, order_number};
use super::{
    Access, Fetch, Geometry, Image, ImageKind, ImageOp, Images, LevelOf, Outside, Query, Surface,
    Texels, Texture, Wrong,
};

/// Handle, layer, three coordinates, two gradients of three, three offsets.
const SOURCES_MAX: usize = 16;

/// What a handle means, kept while lanes use the same one.
enum Known {
    Texture(Arc<Texture>),
    Surface(Arc<Image>),
}

impl Known {
    /// The address of what it lies in, if not all of that is allocated.
    fn freed(&self, checker: &dyn Checker) -> Option<u64> {
        let images = match self {
            Self::Texture(texture) => texture.levels.as_slice(),
            Self::Surface(image) => std::slice::from_ref(&**image),
        };
        let freed = images.iter().find(|image| {
            let [width, rows, slices] = image.size.map(u64::from);
            let last = slices.max(u64::from(image.layers)).saturating_sub(1);
            let row = width.saturating_mul(u64::from(image.texel_len()));
            let len = (last.saturating_mul(image.slice))
                .saturating_add(rows.saturating_sub(1).saturating_mul(image.pitch))
                .saturating_add(row);
            !checker.allows(image.address, len)
        });
        freed.map(|image| image.address)
    }
}

impl ImageOp {
    /// A bad access that this makes.
    fn bad(&self, address: u64, is_misaligned: bool) -> BadImage {
        let (space, size, writes) = match self.kind {
            ImageKind::Surface(surface) => {
                let size = u64::from(surface.size) * surface.count as u64;
                ("surface", size, !matches!(surface.what, Access::Load))
            }
            ImageKind::QuerySurface(_) => ("surface", 4, false),
            _ => ("texture", 4, false),
        };
        BadImage {
            space,
            address,
            size,
            writes,
            is_misaligned,
        }
    }
}

impl Warp {
    /// Executes an instruction on an image.
    pub(in super::super) fn image(
        &mut self,
        env: &mut Env<'_>,
        op: &ImageOp,
        mask: u32,
    ) -> Result<(), Trouble> {
        let mut known: Option<(u64, Known)> = None;
        for lane in lanes(mask) {
            let mut values = [0u64; SOURCES_MAX];
            for (value, source) in values.iter_mut().zip(&op.sources) {
                *value = self.registers.value(env.constants, *source, lane);
            }
            let handle = values[0];
            if known.as_ref().is_none_or(|(last, _)| *last != handle) {
                known = env
                    .launch
                    .extras
                    .images
                    .and_then(|images| find(images, op.kind, handle));
            }
            let Some((_, object)) = &known else {
                self.report_image(env, lane, &op.bad(handle, false));
                return Err(trouble(lane, Bad::Address, handle));
            };
            if let Some(checker) = env.launch.extras.checker
                && let Some(freed) = object.freed(checker)
            {
                self.report_image(env, lane, &op.bad(freed, false));
                return Err(trouble(lane, Bad::Address, freed));
            }
            let [_, values @ ..] = values;
            let results = execute(&env.spaces.memory, op, object, &values);
            let results = results.map_err(|wrong| match wrong {
                Wrong::Memory(bad, address) => {
                    let is_misaligned = matches!(bad, Bad::Alignment);
                    self.report_image(env, lane, &op.bad(address, is_misaligned));
                    trouble(lane, bad, address)
                }
                Wrong::Outside(address) => {
                    self.report_image(env, lane, &op.bad(address, false));
                    Trouble {
                        lane,
                        kind: TroubleKind::Trap,
                    }
                }
            })?;
            for (target, value) in op.targets.iter().zip(results) {
                self.registers.set_lane(*target, lane, value);
            }
        }
        Ok(())
    }
}

fn find(images: &dyn Images, kind: ImageKind, handle: u64) -> Option<(u64, Known)> {
    let known = match kind {
        ImageKind::Fetch(_) | ImageKind::Gather { .. } | ImageKind::QueryTexture(_) => {
            Known::Texture(images.texture(handle)?)
        }
        ImageKind::QuerySurface(_) | ImageKind::Surface(_) => {
            Known::Surface(images.surface(handle)?)
        }
    };
    Some((handle, known))
}

/// The results of one lane; `values` are the sources after the handle.
fn execute(
    memory: &Memory,
    op: &ImageOp,
    object: &Known,
    values: &[u64],
) -> Result<[u64; 4], Wrong> {
    match (op.kind, object) {
        (ImageKind::Fetch(fetch), Known::Texture(texture)) => {
            texels(memory, op.geometry, fetch, texture, values)
        }
        (ImageKind::Gather { channel, offset }, Known::Texture(texture)) => {
            let mut values = Values(values);
            let spot = values.spot(op.geometry);
            let offset = values.offset(op.geometry, offset);
            let spot = Spot { offset, ..spot };
            let found = texture.gather(memory, op.geometry, spot, channel)?;
            Ok(found.map(u64::from))
        }
        (ImageKind::QueryTexture(query), Known::Texture(texture)) => {
            let level = (values[0] as u32 as usize).min(texture.levels.len() - 1);
            let answer = answer(query, &texture.levels[level], Some(texture));
            Ok([u64::from(answer), 0, 0, 0])
        }
        (ImageKind::QuerySurface(query), Known::Surface(image)) => {
            Ok([u64::from(answer(query, image, None)), 0, 0, 0])
        }
        (ImageKind::Surface(surface), Known::Surface(image)) => {
            access(memory, op.geometry, surface, image, values)
        }
        // `find` gives what the kind asks for.
        _ => Ok([0; 4]),
    }
}

fn texels(
    memory: &Memory,
    geometry: Geometry,
    fetch: Fetch,
    texture: &Texture,
    values: &[u64],
) -> Result<[u64; 4], Wrong> {
    let mut values = Values(values);
    let found = if fetch.by_index {
        let layer = values.layer(geometry).max(0).cast_unsigned();
        let mut index = values.integers(geometry);
        let level = if fetch.level == LevelOf::Given {
            values.next() as u32
        } else {
            0
        };
        let offset = values.offset(geometry, fetch.offset);
        for (index, offset) in index.iter_mut().zip(offset) {
            *index = index.saturating_add(offset);
        }
        texture.fetch(memory, geometry, layer, index, level)?
    } else {
        let mut spot = values.spot(geometry);
        match fetch.level {
            LevelOf::First => {}
            LevelOf::Given => spot.level = f32::from_bits(values.next() as u32),
            LevelOf::Gradients => {
                let gradients = [values.floats(geometry), values.floats(geometry)];
                spot.level = texture.level_of(geometry, gradients);
            }
        }
        spot.offset = values.offset(geometry, fetch.offset);
        texture.sample(memory, geometry, spot)?
    };
    let half = |bits: u32| u64::from(half_of(f32::from_bits(bits)));
    Ok(match fetch.result {
        Texels::Words => found.map(u64::from),
        Texels::Halves => found.map(half),
        Texels::HalfPairs => {
            let [x, y, z, w] = found.map(half);
            [x | y << 16, z | w << 16, 0, 0]
        }
    })
}

fn access(
    memory: &Memory,
    geometry: Geometry,
    surface: Surface,
    image: &Image,
    values: &[u64],
) -> Result<[u64; 4], Wrong> {
    let mut values = Values(values);
    let layer = values.layer(geometry);
    let place = values.integers(geometry);
    let mut data = std::array::from_fn(|_| values.next());
    image.access(memory, geometry, surface, (layer, place), &mut data)?;
    Ok(data)
}

/// The sources of one lane, taken in order; beyond the last all are 0.
struct Values<'v>(&'v [u64]);

impl Values<'_> {
    fn next(&mut self) -> u64 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    fn layer(&mut self, geometry: Geometry) -> i32 {
        if geometry.is_array {
            self.next() as i32
        } else {
            0
        }
    }

    fn integers(&mut self, geometry: Geometry) -> [i32; 3] {
        let mut values = [0; 3];
        for value in values.iter_mut().take(geometry.dimensions) {
            *value = self.next() as i32;
        }
        values
    }

    fn floats(&mut self, geometry: Geometry) -> [f32; 3] {
        self.integers(geometry)
            .map(|bits| f32::from_bits(bits.cast_unsigned()))
    }

    fn offset(&mut self, geometry: Geometry, given: bool) -> [i32; 3] {
        if given {
            self.integers(geometry)
        } else {
            [0; 3]
        }
    }

    fn spot(&mut self, geometry: Geometry) -> Spot {
        Spot {
            // What is below the first layer is the first.
            layer: self.layer(geometry).max(0).cast_unsigned(),
            at: self.floats(geometry),
            offset: [0; 3],
            level: 0.0,
        }
    }
}

fn answer(query: Query, image: &Image, texture: Option<&Texture>) -> u32 {
    let sampler = texture.map(|texture| texture.sampler);
    let is = |wanted: fn(&super::Sampler) -> bool| u32::from(sampler.as_ref().is_some_and(wanted));
    match query {
        Query::Size(axis) => image.size[axis],
        Query::ChannelKind => image.channel.number(is(|sampler| sampler.as_fraction) == 1),
        Query::ChannelOrder => order_number(image.channels),
        Query::Normalised => is(|sampler| sampler.is_normalised),
        Query::Unnormalised => is(|sampler| !sampler.is_normalised),
        Query::Layers => image.layers,
        Query::Levels => texture.map_or(1, |texture| texture.levels.len() as u32),
        Query::Samples => 1,
        Query::Blends => is(|sampler| sampler.is_blended),
        Query::Outside(axis) => match sampler.map(|sampler| sampler.outside[axis]) {
            Some(Outside::Wrap) => 0,
            Some(Outside::Mirror) => 1,
            Some(Outside::Clamp) | None => 2,
            Some(Outside::Border) => 4,
        },
        Query::Layout => 0,
    }
}
