//! Textures and surfaces: `tex`, `tld4`, `txq`, `suld`, `sust`, `sured`, `suq`.
//!
//! Handles are 64-bit values in the unified mode, in which one handle is a texture with its
//! sampler: what compilers emit for CUDA C++.

use super::super::atomic;
use super::super::code::{Op, Source, Target};
use super::super::image::{
    Access, Bounds, Fetch, Geometry, ImageKind, ImageOp, LevelOf, Query, Surface, Texels,
};
use super::flow::One;
use super::scope::Frame;
use super::{Builder, Reason};
use crate::ptx::{Operand, ScalarType};

impl Builder<'_> {
    /// Decodes `one` if it concerns an image; false if it does not.
    pub(super) fn image(&mut self, frame: &mut Frame, one: &One<'_>) -> Reason<bool> {
        let op = match one.opcode {
            "tex" => self.fetch(frame, one)?,
            "tld4" => self.gather(frame, one)?,
            "txq" | "suq" => self.query(frame, one)?,
            "suld" => self.surface(frame, one, Access::Load)?,
            "sust" => self.surface(frame, one, Access::Store)?,
            "sured" => {
                let access = reduction(one)?;
                self.surface(frame, one, access)?
            }
            _ => return Ok(false),
        };
        self.push(one, Op::Image(Box::new(op)));
        Ok(true)
    }

    fn fetch(&mut self, frame: &mut Frame, one: &One<'_>) -> Reason<ImageOp> {
        let geometry = geometry(one)?;
        let &[result, coordinate] = one.types else {
            return Err("a fetch has two types".to_owned());
        };
        let result = match result {
            ScalarType::F32 | ScalarType::S32 | ScalarType::U32 => Texels::Words,
            ScalarType::F16 => Texels::Halves,
            ScalarType::F16x2 => Texels::HalfPairs,
            _ => return Err("a fetch of this type".to_owned()),
        };
        let by_index = match coordinate {
            ScalarType::F32 => false,
            ScalarType::S32 => true,
            _ => return Err("coordinates of this type".to_owned()),
        };
        let (mut sources, targets) = self.coordinates(frame, one, geometry, coordinate)?;
        let mut rest = one.operands.iter().skip(2);
        let level = if one.has("level") {
            let level = rest.next().ok_or("no level")?;
            sources.push(self.source(frame, level, coordinate, one.line)?);
            LevelOf::Given
        } else if one.has("grad") {
            for _ in 0..2 {
                let gradient = rest.next().ok_or("no gradient")?;
                self.parts(
                    frame,
                    one,
                    gradient,
                    geometry,
                    ScalarType::F32,
                    &mut sources,
                )?;
            }
            LevelOf::Gradients
        } else {
            LevelOf::First
        };
        let offset = self.texel_offset(frame, one, rest.next(), geometry, &mut sources)?;
        if rest.next().is_some() {
            return Err("a comparison with a depth".to_owned());
        }
        let fetch = Fetch {
            by_index,
            level,
            offset,
            result,
        };
        Ok(ImageOp {
            kind: ImageKind::Fetch(fetch),
            geometry,
            sources,
            targets,
        })
    }

    fn gather(&mut self, frame: &mut Frame, one: &One<'_>) -> Reason<ImageOp> {
        let geometry = geometry(one)?;
        let channel = ["r", "g", "b", "a"];
        let channel = channel.iter().position(|name| one.has(name));
        let channel = channel.ok_or("no channel to gather")?;
        let (mut sources, targets) = self.coordinates(frame, one, geometry, ScalarType::F32)?;
        let rest = one.operands.get(2);
        let offset = self.texel_offset(frame, one, rest, geometry, &mut sources)?;
        Ok(ImageOp {
            kind: ImageKind::Gather { channel, offset },
            geometry,
            sources,
            targets,
        })
    }

    /// The targets, and the sources from the handle to the last coordinate.
    fn coordinates(
        &mut self,
        frame: &mut Frame,
        one: &One<'_>,
        geometry: Geometry,
        element: ScalarType,
    ) -> Reason<(Vec<Source>, Vec<Target>)> {
        let targets = self.targets(frame, one.operand(0)?)?;
        let sources = self.image_address(frame, one, one.operand(1)?, geometry, element)?;
        Ok((sources, targets))
    }

    fn targets(&mut self, frame: &mut Frame, operand: &Operand) -> Reason<Vec<Target>> {
        let parts = match operand {
            Operand::Vector(parts) => parts.as_slice(),
            Operand::Pair(..) => return Err("a predicate of residency".to_owned()),
            _ => std::slice::from_ref(operand),
        };
        let targets: Vec<Target> = (parts.iter())
            .map(|part| self.target(frame, part))
            .collect::<Reason<_>>()?;
        let is_predicate = |target: &Target| matches!(target, Target::Predicate(_));
        if targets.len() > 4 || targets.iter().any(is_predicate) {
            return Err("results of another form are expected".to_owned());
        }
        Ok(targets)
    }

    /// `[handle, {layer, x, y, z}]`.
    fn image_address(
        &mut self,
        frame: &mut Frame,
        one: &One<'_>,
        operand: &Operand,
        geometry: Geometry,
        element: ScalarType,
    ) -> Reason<Vec<Source>> {
        let Operand::Address { base, rest } = operand else {
            return Err("an image and coordinates are expected".to_owned());
        };
        let [coordinates] = rest.as_slice() else {
            return Err("a sampler of its own".to_owned());
        };
        let mut sources = vec![self.source(frame, base, ScalarType::U64, one.line)?];
        let parts = match coordinates {
            Operand::Vector(parts) => parts.as_slice(),
            _ => std::slice::from_ref(coordinates),
        };
        let mut parts = parts.iter();
        if geometry.is_array {
            let layer = parts.next().ok_or("no layer")?;
            sources.push(self.source(frame, layer, ScalarType::U32, one.line)?);
        }
        for _ in 0..geometry.dimensions {
            let part = parts.next().ok_or("too few coordinates")?;
            sources.push(self.source(frame, part, element, one.line)?);
        }
        Ok(sources)
    }

    /// As many parts of a vector as there are dimensions.
    fn parts(
        &mut self,
        frame: &mut Frame,
        one: &One<'_>,
        operand: &Operand,
        geometry: Geometry,
        element: ScalarType,
        sources: &mut Vec<Source>,
    ) -> Reason<()> {
        let parts = match operand {
            Operand::Vector(parts) => parts.as_slice(),
            _ => std::slice::from_ref(operand),
        };
        for index in 0..geometry.dimensions {
            let part = parts.get(index).ok_or("too few parts of a vector")?;
            sources.push(self.source(frame, part, element, one.line)?);
        }
        Ok(())
    }

    /// The operand that is added to the coordinates, if it is there.
    fn texel_offset(
        &mut self,
        frame: &mut Frame,
        one: &One<'_>,
        operand: Option<&Operand>,
        geometry: Geometry,
        sources: &mut Vec<Source>,
    ) -> Reason<bool> {
        match operand {
            None => Ok(false),
            Some(operand @ Operand::Vector(_)) => {
                self.parts(frame, one, operand, geometry, ScalarType::S32, sources)?;
                Ok(true)
            }
            Some(_) => Err("a comparison with a depth".to_owned()),
        }
    }

    fn query(&mut self, frame: &mut Frame, one: &One<'_>) -> Reason<ImageOp> {
        let query = (one.words.iter())
            .find_map(|word| query_of(word))
            .ok_or("no such query")?;
        let Operand::Address { base, .. } = one.operand(1)? else {
            return Err("an image is expected".to_owned());
        };
        let mut sources = vec![self.source(frame, base, ScalarType::U64, one.line)?];
        if one.has("level") {
            sources.push(self.source(frame, one.operand(2)?, ScalarType::U32, one.line)?);
        }
        let kind = if one.opcode == "txq" {
            ImageKind::QueryTexture(query)
        } else {
            ImageKind::QuerySurface(query)
        };
        Ok(ImageOp {
            kind,
            geometry: PLAIN,
            sources,
            targets: vec![self.target(frame, one.operand(0)?)?],
        })
    }

    fn surface(&mut self, frame: &mut Frame, one: &One<'_>, what: Access) -> Reason<ImageOp> {
        let geometry = geometry(one)?;
        let element = one.element().ok_or("no type")?;
        let formatted = one.has("p");
        if element == ScalarType::Pred || formatted && matches!(what, Access::Load) {
            return Err("a surface access of this form".to_owned());
        }
        let bounds = match () {
            () if one.has("clamp") => Bounds::Clamp,
            () if one.has("zero") => Bounds::Zero,
            () => Bounds::Trap,
        };
        let loads = matches!(what, Access::Load);
        let at = one.operand(usize::from(loads))?;
        let mut sources = self.image_address(frame, one, at, geometry, ScalarType::S32)?;
        let (targets, count) = if loads {
            let targets = self.targets(frame, one.operand(0)?)?;
            let count = targets.len();
            (targets, count)
        } else {
            let parts = match one.operand(1)? {
                Operand::Vector(parts) => parts.as_slice(),
                operand => std::slice::from_ref(operand),
            };
            for part in parts {
                sources.push(self.source(frame, part, element, one.line)?);
            }
            (Vec::new(), parts.len())
        };
        if !matches!(count, 1 | 2 | 4) {
            return Err("a vector of this length".to_owned());
        }
        let surface = Surface {
            what,
            count,
            size: u32::from(element.size()),
            bounds,
            formatted,
        };
        Ok(ImageOp {
            kind: ImageKind::Surface(surface),
            geometry,
            sources,
            targets,
        })
    }
}

/// The operation of a `sured`, by unsigned and by signed values where the type leaves it open.
fn reduction(one: &One<'_>) -> Reason<Access> {
    let element = one.element().ok_or("no type")?;
    let (unsigned, signed) = match element {
        ScalarType::B32 => (ScalarType::U32, ScalarType::S32),
        ScalarType::U32 | ScalarType::S32 | ScalarType::U64 | ScalarType::S64 => (element, element),
        ScalarType::B64 => (ScalarType::U64, ScalarType::S64),
        _ => return Err("a reduction of this type".to_owned()),
    };
    let words = ["add", "min", "max", "and", "or"];
    let word = words.iter().find(|word| one.has(word));
    let word = word.ok_or("no such reduction")?;
    let function = |element| atomic::function(word, element).ok_or("no such reduction");
    Ok(Access::Reduce(function(unsigned)?, function(signed)?))
}

fn geometry(one: &One<'_>) -> Reason<Geometry> {
    let known = [
        ("1d", 1, false, false),
        ("2d", 2, false, false),
        ("3d", 3, false, false),
        ("a1d", 1, true, false),
        ("a2d", 2, true, false),
        ("cube", 3, false, true),
        ("acube", 3, true, true),
    ];
    let found = known.iter().find(|(word, ..)| one.has(word));
    let &(_, dimensions, is_array, is_cube) = found.ok_or("an image of this geometry")?;
    Ok(Geometry {
        dimensions,
        is_array,
        is_cube,
    })
}

fn query_of(word: &str) -> Option<Query> {
    Some(match word {
        "width" => Query::Size(0),
        "height" => Query::Size(1),
        "depth" => Query::Size(2),
        "channel_data_type" => Query::ChannelKind,
        "channel_order" => Query::ChannelOrder,
        "normalized_coords" => Query::Normalised,
        "force_unnormalized_coords" => Query::Unnormalised,
        "array_size" => Query::Layers,
        "num_mipmap_levels" => Query::Levels,
        "num_samples" => Query::Samples,
        "filter_mode" => Query::Blends,
        "addr_mode_0" => Query::Outside(0),
        "addr_mode_1" => Query::Outside(1),
        "addr_mode_2" => Query::Outside(2),
        "memory_layout" => Query::Layout,
        _ => return None,
    })
}

/// What a query looks at.
const PLAIN: Geometry = Geometry {
    dimensions: 1,
    is_array: false,
    is_cube: false,
};
