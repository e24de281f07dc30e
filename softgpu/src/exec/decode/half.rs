//! Arithmetic of halves and of pairs in one register, the mixed forms, and `lop3`.

use super::super::code::Target;
use super::super::float::Rounding;
use super::super::half;
use super::super::scalar::{self, float as rare};
use super::arithmetic::float_mode;
use super::flow::One;
use super::operand::literal;
use super::scope::Frame;
use super::{Builder, Reason};
use crate::ptx::{Operand, ScalarType};

impl Builder<'_> {
    /// Decodes arithmetic on halves; false if the opcode is none.
    pub(super) fn halves(
        &mut self,
        frame: &mut Frame,
        one: &One<'_>,
        element: ScalarType,
    ) -> Reason<bool> {
        let Some(function) = half::function(one.opcode) else {
            return Ok(false);
        };
        if one.has("oob") {
            return Err("operands that count as out of bounds".to_owned());
        }
        let sources = one.operands.len().saturating_sub(1);
        let mode = half::mode(element, one.words, sources);
        self.scalar_sources(frame, one, function, mode, element)?;
        Ok(true)
    }

    /// Decodes `add.f32.f16` and its kin: singles of which some are halves.
    pub(super) fn mixed(
        &mut self,
        frame: &mut Frame,
        one: &One<'_>,
        element: ScalarType,
    ) -> Reason<bool> {
        let halves = match one.opcode {
            "add" | "sub" => rare::HALF_FIRST,
            "fma" => rare::HALF_FIRST | rare::HALF_SECOND,
            _ => return Ok(false),
        };
        let Some(function) = rare::function(one.opcode, ScalarType::F32) else {
            return Ok(false);
        };
        let rounding = one.words.iter().find_map(|word| Rounding::from_word(word));
        let brain = if element == ScalarType::Bf16 {
            rare::BRAIN
        } else {
            0
        };
        let mode = float_mode(one, rounding) | halves | brain;
        self.scalar_sources(frame, one, function, mode, ScalarType::F32)?;
        Ok(true)
    }

    /// Decodes arithmetic on two singles or two 16-bit integers; false if `one` is none.
    pub(super) fn pairs(&mut self, frame: &mut Frame, one: &One<'_>) -> Reason<bool> {
        if one.has("f32x2") {
            let Some(function) = rare::pair_function(one.opcode) else {
                return Ok(false);
            };
            let rounding = one.words.iter().find_map(|word| Rounding::from_word(word));
            let mode = float_mode(one, rounding);
            self.scalar_sources(frame, one, function, mode, ScalarType::B64)?;
            return Ok(true);
        }
        let signed = one.has("s16x2");
        if !signed && !one.has("u16x2") {
            return Ok(false);
        }
        let Some(function) = scalar::pair_function(one.opcode) else {
            return Ok(false);
        };
        let mode = 16
            | u32::from(signed) << 8
            | u32::from(one.has("sat")) << 9
            | u32::from(one.has("relu")) << 10;
        self.scalar_sources(frame, one, function, mode, ScalarType::B32)?;
        Ok(true)
    }

    /// Decodes `lop3`, in whose form with a boolean word a predicate is combined and written too.
    pub(super) fn lookup(&mut self, frame: &mut Frame, one: &One<'_>) -> Reason<()> {
        let table = literal(one.operand(4)?, ScalarType::U32);
        let mut mode = table.ok_or("lop3 needs a literal table")? as u32 & 0xff;
        let mut sources = Vec::with_capacity(4);
        for operand in &one.operands[1..4] {
            sources.push(self.source(frame, operand, ScalarType::B32, one.line)?);
        }
        let targets = match one.operand(0)? {
            Operand::Pair(first, second) => {
                let logic = ["or", "and", "xor"].iter().position(|word| one.has(word));
                mode |= (logic.ok_or("no boolean operation")? as u32) << 8;
                sources.push(self.source(frame, one.operand(5)?, ScalarType::Pred, one.line)?);
                [self.target(frame, first)?, self.target(frame, second)?]
            }
            target => [self.target(frame, target)?, Target::Nothing],
        };
        let function = scalar::integer_function("lop3").ok_or("no such function")?;
        self.scalar(function, mode, targets, sources, one.line);
        Ok(())
    }
}
