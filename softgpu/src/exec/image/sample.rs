//! Reading a texture: coordinates, what lies outside, blending, levels.
//!
//! The CUDA C++ Programming Guide, "Texture Fetching", has the formulas. Weights have 8 bits of
//! fraction, as there.

use super::texel::linear_of_srgb;
use super::{Geometry, Image, Outside, Sampler, Texture, Wrong};
use crate::exec::memory::Memory;

/// Where a fetch reads.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spot {
    pub(super) layer: u32,
    /// As the instruction gives them; a direction for a cube.
    pub(super) at: [f32; 3],
    /// Texels added to the coordinates.
    pub(super) offset: [i32; 3],
    /// Not yet biased.
    pub(super) level: f32,
}

impl Texture {
    /// The texel at an index, as 32-bit values.
    pub(super) fn fetch(
        &self,
        memory: &Memory,
        geometry: Geometry,
        layer: u32,
        index: [i32; 3],
        level: u32,
    ) -> Result<[u32; 4], Wrong> {
        let level = level.min(self.levels.len() as u32 - 1);
        let image = &self.levels[level as usize];
        let places = std::array::from_fn(|axis| i64::from(index[axis]));
        self.texel(memory, image, geometry, (layer, places))
    }

    /// The value at a spot, as 32-bit values.
    pub(super) fn sample(
        &self,
        memory: &Memory,
        geometry: Geometry,
        spot: Spot,
    ) -> Result<[u32; 4], Wrong> {
        let (geometry, spot) = faced(geometry, spot);
        let most = (self.levels.len() - 1) as f32;
        let [low, high] = self.sampler.levels;
        // Not `clamp`: the bounds are the application's.
        let wanted = (spot.level + self.sampler.bias).max(low).min(high);
        let level = wanted.max(0.0).min(most);
        if !self.sampler.blends_levels || !self.gives_floats() {
            let nearest = (level + 0.5).floor().min(most) as usize;
            return self.sample_level(memory, &self.levels[nearest], geometry, spot);
        }
        let first = level.floor();
        let weight = weight_of(level - first);
        let upper = &self.levels[first as usize];
        let above = self.sample_level(memory, upper, geometry, spot)?;
        if weight == 0.0 {
            return Ok(above);
        }
        let lower = &self.levels[(first as usize + 1).min(most as usize)];
        let below = self.sample_level(memory, lower, geometry, spot)?;
        Ok(std::array::from_fn(|channel| {
            let [a, b] = [above, below].map(|texel| f32::from_bits(texel[channel]));
            blended(a, b, weight).to_bits()
        }))
    }

    /// One channel of the four texels that blending would use, in the order of `tld4`.
    pub(super) fn gather(
        &self,
        memory: &Memory,
        geometry: Geometry,
        spot: Spot,
        channel: usize,
    ) -> Result<[u32; 4], Wrong> {
        let (geometry, spot) = faced(geometry, spot);
        let image = &self.levels[0];
        let [x, y, _] = self.lower_corner(image, geometry, spot).0;
        let mut values = [0; 4];
        for (value, [right, down]) in values.iter_mut().zip([[0, 1], [1, 1], [1, 0], [0, 0]]) {
            let place = [x + right, y + down, 0];
            *value = self.texel(memory, image, geometry, (spot.layer, place))?[channel];
        }
        Ok(values)
    }

    /// The level that these gradients (in coordinates as given) mean.
    pub(super) fn level_of(&self, geometry: Geometry, [dx, dy]: [[f32; 3]; 2]) -> f32 {
        let image = &self.levels[0];
        let length = |gradient: [f32; 3]| {
            let square = |axis: usize| {
                let scale = if geometry.is_cube {
                    image.size[0] as f32 / 2.0
                } else if self.sampler.is_normalised {
                    image.size[axis] as f32
                } else {
                    1.0
                };
                (gradient[axis] * scale) * (gradient[axis] * scale)
            };
            (0..geometry.dimensions).map(square).sum::<f32>().sqrt()
        };
        length(dx).max(length(dy)).log2()
    }

    /// Whether values are floats, which can be blended.
    fn gives_floats(&self) -> bool {
        let channel = self.levels[0].channel;
        !channel.is_integer() || (self.sampler.as_fraction && channel.has_fraction())
    }

    fn sample_level(
        &self,
        memory: &Memory,
        image: &Image,
        geometry: Geometry,
        spot: Spot,
    ) -> Result<[u32; 4], Wrong> {
        if !self.sampler.is_blended || !self.gives_floats() {
            let place = std::array::from_fn(|axis| {
                let scaled = self.scaled(image, geometry, spot, axis);
                index_of(scaled) + i64::from(spot.offset[axis])
            });
            return self.texel(memory, image, geometry, (spot.layer, place));
        }
        let (corner, weights) = self.lower_corner(image, geometry, spot);
        let mut sum = [0f32; 4];
        for which in 0..1usize << geometry.dimensions {
            let mut weight = 1.0;
            let mut place = corner;
            for axis in 0..geometry.dimensions {
                let upper = which >> axis & 1 == 1;
                place[axis] += i64::from(upper);
                weight *= if upper {
                    weights[axis]
                } else {
                    1.0 - weights[axis]
                };
            }
            // Also what has no weight is not read: it may be infinite, or no number.
            if weight == 0.0 {
                continue;
            }
            let texel = self.texel(memory, image, geometry, (spot.layer, place))?;
            for (sum, bits) in sum.iter_mut().zip(texel) {
                *sum += weight * f32::from_bits(bits);
            }
        }
        Ok(sum.map(f32::to_bits))
    }

    /// A coordinate in texels.
    fn scaled(&self, image: &Image, geometry: Geometry, spot: Spot, axis: usize) -> f32 {
        if axis >= geometry.dimensions {
            return 0.0;
        }
        let scale = if self.sampler.is_normalised || geometry.is_cube {
            image.size[axis] as f32
        } else {
            1.0
        };
        spot.at[axis] * scale
    }

    /// The texel before the spot on each axis, and the weights of those after it.
    fn lower_corner(&self, image: &Image, geometry: Geometry, spot: Spot) -> ([i64; 3], [f32; 3]) {
        let mut corner = [0; 3];
        let mut weights = [0.0; 3];
        for axis in 0..geometry.dimensions {
            let scaled = self.scaled(image, geometry, spot, axis) - 0.5;
            corner[axis] = index_of(scaled) + i64::from(spot.offset[axis]);
            let weight = weight_of(scaled - scaled.floor());
            weights[axis] = if weight.is_finite() { weight } else { 0.0 };
        }
        (corner, weights)
    }

    /// The texel at a place that may lie outside.
    fn texel(
        &self,
        memory: &Memory,
        image: &Image,
        geometry: Geometry,
        (layer, place): (u32, [i64; 3]),
    ) -> Result<[u32; 4], Wrong> {
        let mut inside = [0; 3];
        for axis in 0..geometry.dimensions {
            let len = i64::from(image.size[axis]);
            let found = if self.is_linear {
                (0..len).contains(&place[axis]).then_some(place[axis])
            } else {
                let normalised = self.sampler.is_normalised || geometry.is_cube;
                wrapped(self.sampler.outside[axis], place[axis], len, normalised)
            };
            let Some(found) = found else {
                return Ok(if self.is_linear {
                    [0; 4]
                } else {
                    self.sampler.border
                });
            };
            inside[axis] = found.cast_unsigned();
        }
        if geometry.is_array || geometry.is_cube {
            inside[2] = u64::from(layer.min(image.layers.saturating_sub(1)));
        }
        let bits = image.read(memory, inside[0], inside[1], inside[2])?;
        Ok(self.values(image, bits))
    }

    /// What the channels of a texel are worth; a missing one is 0, the last one 1.
    fn values(&self, image: &Image, bits: [u32; 4]) -> [u32; 4] {
        let Sampler {
            as_fraction,
            is_srgb,
            ..
        } = self.sampler;
        let channel = image.channel;
        let floats = self.gives_floats();
        std::array::from_fn(|index| {
            if index >= image.channels as usize {
                let one = if floats { 1f32.to_bits() } else { 1 };
                return if index == 3 { one } else { 0 };
            }
            if !floats {
                return channel.integer(bits[index]);
            }
            let value = channel.fraction(bits[index]);
            let coded = is_srgb && as_fraction && channel.size() == 1 && index < 3;
            if coded && channel.is_integer() && !channel.is_signed() {
                linear_of_srgb(value).to_bits()
            } else {
                value.to_bits()
            }
        })
    }
}

/// A direction as a spot on the face of a cube that it meets, which is a layer.
fn faced(geometry: Geometry, spot: Spot) -> (Geometry, Spot) {
    if !geometry.is_cube || geometry.dimensions == 2 {
        return (geometry, spot);
    }
    let [x, y, z] = spot.at;
    let (face, major, s, t) = if x.abs() >= y.abs() && x.abs() >= z.abs() {
        if x >= 0.0 {
            (0, x, -z, -y)
        } else {
            (1, -x, z, -y)
        }
    } else if y.abs() >= z.abs() {
        if y >= 0.0 {
            (2, y, x, z)
        } else {
            (3, -y, x, -z)
        }
    } else if z >= 0.0 {
        (4, z, x, -y)
    } else {
        (5, -z, -x, -y)
    };
    let on_face = |value: f32| f32::midpoint(value / major, 1.0);
    let geometry = Geometry {
        dimensions: 2,
        ..geometry
    };
    let first = if geometry.is_array {
        spot.layer.saturating_mul(6)
    } else {
        0
    };
    let spot = Spot {
        layer: first.saturating_add(face),
        at: [on_face(s), on_face(t), 0.0],
        ..spot
    };
    (geometry, spot)
}

/// The index of the texel that a coordinate lies in; far away it does not matter in which.
fn index_of(scaled: f32) -> i64 {
    (scaled.floor() as i64).clamp(-FAR, FAR)
}

/// A weight of 8 bits of fraction.
fn weight_of(fraction: f32) -> f32 {
    (fraction * 256.0 + 0.5).floor() / 256.0
}

fn blended(a: f32, b: f32, weight: f32) -> f32 {
    (1.0 - weight) * a + weight * b
}

/// The index within `len` that an index means, or `None` for the border.
fn wrapped(outside: Outside, index: i64, len: i64, is_normalised: bool) -> Option<i64> {
    if (0..len).contains(&index) {
        return Some(index);
    }
    match outside {
        Outside::Wrap if is_normalised => Some(index.rem_euclid(len)),
        Outside::Mirror if is_normalised => {
            let twice = index.rem_euclid(2 * len);
            Some(if twice < len {
                twice
            } else {
                2 * len - 1 - twice
            })
        }
        Outside::Border => None,
        _ => Some(index.clamp(0, len - 1)),
    }
}

/// Beyond every image and every offset.
const FAR: i64 = 1 << 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_wrap_by_mode() {
        let all = |outside| -> Vec<Option<i64>> {
            (-5..8)
                .map(|index| wrapped(outside, index, 3, true))
                .collect()
        };
        let some = |indices: [i64; 13]| indices.map(Some).to_vec();
        assert_eq!(
            all(Outside::Wrap),
            some([1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1])
        );
        assert_eq!(
            all(Outside::Mirror),
            some([1, 2, 2, 1, 0, 0, 1, 2, 2, 1, 0, 0, 1])
        );
        assert_eq!(
            all(Outside::Clamp),
            some([0, 0, 0, 0, 0, 0, 1, 2, 2, 2, 2, 2, 2])
        );
        assert_eq!(
            all(Outside::Border)[4..8],
            [None, Some(0), Some(1), Some(2)]
        );
        assert_eq!(wrapped(Outside::Wrap, -1, 3, false), Some(0), "clamps");
    }

    #[test]
    fn any_coordinate_has_an_index() {
        for wild in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX] {
            let index = index_of(wild);
            assert!(index.abs() <= FAR);
            assert!(wrapped(Outside::Mirror, index, 7, true).is_some());
        }
    }

    #[test]
    fn directions_meet_their_faces() {
        let cube = Geometry {
            dimensions: 3,
            is_array: true,
            is_cube: true,
        };
        for (face, at) in [
            (0, [2.0, 1.0, -1.0]),
            (1, [-2.0, 1.0, 1.0]),
            (2, [1.0, 2.0, -1.0]),
            (3, [1.0, -2.0, 1.0]),
            (4, [1.0, 1.0, 2.0]),
            (5, [-1.0, 1.0, -2.0]),
        ] {
            let spot = Spot {
                layer: 2,
                at,
                offset: [0; 3],
                level: 0.0,
            };
            let (geometry, spot) = faced(cube, spot);
            assert_eq!((geometry.dimensions, spot.layer), (2, 12 + face));
            assert_eq!(spot.at[0].to_bits(), 0.75f32.to_bits(), "face {face}");
            assert_eq!(spot.at[1].to_bits(), 0.25f32.to_bits(), "face {face}");
        }
    }
}
