//! The video instructions, with the bytes and halves that their operands select.

use super::super::scalar::{
    self,
    video::{self, Operation, Video},
};
use super::flow::One;
use super::scope::Frame;
use super::{Builder, Reason};
use crate::ptx::{Component, Operand, ScalarType};

impl Builder<'_> {
    /// Decodes `one` if it is a video instruction; false if it is not.
    pub(super) fn video(&mut self, frame: &mut Frame, one: &One<'_>) -> Reason<bool> {
        let Some(name) = one.opcode.strip_prefix('v') else {
            return Ok(false);
        };
        let (name, lanes) = match name.as_bytes().last() {
            Some(b'2') => (&name[..name.len() - 1], 2),
            Some(b'4') => (&name[..name.len() - 1], 4),
            _ => (name, 1),
        };
        let Some(operation) = Operation::from_word(name) else {
            return Ok(false);
        };
        let video = modifiers(one, operation);
        if lanes == 1 {
            self.video_scalar(frame, one, video)?;
        } else {
            self.video_lanes(frame, one, video, lanes)?;
        }
        Ok(true)
    }

    fn video_scalar(&mut self, frame: &mut Frame, one: &One<'_>, mut video: Video) -> Reason<()> {
        let mut operands = Vec::new();
        for (index, operand) in one.operands.iter().enumerate() {
            let operand = match operand {
                Operand::Minus(inner) if video.operation == Operation::MultiplyAdd => {
                    match index {
                        1 | 2 => video.minus_product = !video.minus_product,
                        _ => video.minus_third = true,
                    }
                    inner
                }
                operand => operand,
            };
            let (operand, fields) = split(operand);
            if index < 3 {
                video.parts[index] = match fields {
                    None => Video::WHOLE,
                    Some((true, [index])) => Video::HALF + u32::from(*index),
                    Some((false, [index])) => Video::BYTE + u32::from(*index),
                    Some(_) => return Err("one part is expected".to_owned()),
                };
            }
            operands.push(operand);
        }
        let target = self.target(frame, operands.first().ok_or("an operand is missing")?)?;
        let mut sources = Vec::new();
        for operand in operands.iter().skip(1).take(3) {
            sources.push(self.source(frame, operand, ScalarType::B32, one.line)?);
        }
        if sources.len() < 2 {
            return Err("an operand is missing".to_owned());
        }
        self.scalar(video::scalar, video.mode(), [target], sources, one.line);
        Ok(())
    }

    fn video_lanes(
        &mut self,
        frame: &mut Frame,
        one: &One<'_>,
        mut video: Video,
        lanes: usize,
    ) -> Reason<()> {
        if one.operands.len() != 4 {
            return Err("four operands are expected".to_owned());
        }
        let (target, mask) = split(one.operand(0)?);
        video.parts[0] = match mask {
            None => (1 << lanes) - 1,
            Some((_, indices)) => indices
                .iter()
                .fold(0, |mask, index| mask | 1 << (index & 3)),
        };
        let target = self.target(frame, &target)?;
        let (a, first) = split(one.operand(1)?);
        let (b, second) = split(one.operand(2)?);
        let a = self.source(frame, &a, ScalarType::B32, one.line)?;
        let b = self.source(frame, &b, ScalarType::B32, one.line)?;
        let mut sources = Vec::new();
        for (fields, default) in [(first, 0x3210), (second, 0x7654)] {
            let selector = match fields {
                None => default,
                Some((_, indices)) => selector(indices, lanes)?,
            };
            // The lanes of an operand may come from either register.
            let register = frame.new_register(ScalarType::B32)?;
            let selector = self.word_constant(selector);
            let permute = scalar::integer_function("prmt").ok_or("no permutation")?;
            let from = vec![a, b, super::super::code::Source::Word(selector)];
            self.scalar(permute, 0, [register.target()], from, one.line);
            sources.push(register.source());
        }
        sources.push(self.source(frame, one.operand(3)?, ScalarType::B32, one.line)?);
        let function = if lanes == 2 {
            video::halves
        } else {
            video::bytes
        };
        self.scalar(function, video.mode(), [target], sources, one.line);
        Ok(())
    }
}

fn modifiers(one: &One<'_>, operation: Operation) -> Video {
    let types = one.types;
    let signed = |index: usize| types.get(index).is_some_and(|one| one.is_signed());
    // `vset` has no type of its own result, which is a number without sign.
    let signed = if operation == Operation::Compare {
        [false, signed(0), signed(1)]
    } else {
        [signed(0), signed(1), signed(2)]
    };
    let secondary = ["add", "min", "max"]
        .iter()
        .position(|word| one.has(word))
        .map_or(0, |index| index as u32 + 1);
    Video {
        operation,
        signed,
        saturate: one.has("sat"),
        secondary,
        parts: [Video::WHOLE; 3],
        comparison: video::COMPARISONS
            .iter()
            .position(|word| one.has(word))
            .map_or(0, |index| index as u32),
        wrap: one.has("wrap"),
        scale: if one.has("shr7") {
            7
        } else if one.has("shr15") {
            15
        } else {
            0
        },
        plus_one: one.has("po"),
        minus_product: false,
        minus_third: false,
    }
}

/// The operand without its selected parts, and these: whether halves, and their numbers, highest
/// first.
fn split(operand: &Operand) -> (Operand, Option<(bool, &[u8])>) {
    match operand {
        Operand::Name {
            name,
            component: Some(Component::Parts(parts)),
            offset,
        } => {
            let plain = Operand::Name {
                name: name.clone(),
                component: None,
                offset: *offset,
            };
            (plain, Some((parts.halves, parts.indices())))
        }
        operand => (operand.clone(), None),
    }
}

/// The control word of `prmt` for these parts.
fn selector(indices: &[u8], lanes: usize) -> Reason<u32> {
    if indices.len() != lanes {
        return Err("parts of another number".to_owned());
    }
    Ok(indices.iter().fold(0, |selector, &index| {
        let index = u32::from(index);
        if lanes == 2 {
            (selector << 8) | ((2 * index + 1) << 4) | (2 * index)
        } else {
            selector << 4 | index
        }
    }))
}
