//! Values from place to place: moves, comparisons and selections.

use super::super::code::{Logic, Op, Outcome, Predicate, ScalarFunction, Slot, Source, Target};
use super::super::convert::{self, Conversion};
use super::super::half;
use super::super::lanes::compare;
use super::super::scalar;
use super::flow::One;
use super::scope::{File, Frame};
use super::{Builder, Reason};
use crate::ptx::{Operand, ScalarType};

impl Builder<'_> {
    /// Decodes `one` if it moves, converts, compares or selects; false if it does not.
    pub(super) fn moves(&mut self, frame: &mut Frame, one: &One<'_>) -> Reason<bool> {
        match one.opcode {
            "mov" => self.mov(frame, one)?,
            "cvt" => self.convert(frame, one)?,
            "setp" | "set" => self.compare(frame, one)?,
            "selp" => self.select(frame, one)?,
            "testp" => self.test(frame, one)?,
            "createpolicy" => {
                // A cache policy is an opaque value that nothing here reads.
                let target = self.target(frame, one.operand(0)?)?;
                let zero = Source::Word(self.word_constant(0));
                self.scalar(scalar::pass, 0, [target], vec![zero], one.line);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn mov(&mut self, frame: &mut Frame, one: &One<'_>) -> Reason<()> {
        let element = one.element().ok_or("no type")?;
        match (one.operand(0)?, one.operand(1)?) {
            (Operand::Vector(to), Operand::Vector(from)) => {
                if to.len() != from.len() {
                    return Err("vectors of different lengths".to_owned());
                }
                for (to, from) in to.iter().zip(from) {
                    let target = self.target(frame, to)?;
                    let source = self.source(frame, from, element, one.line)?;
                    self.scalar(scalar::pass, 0, [target], vec![source], one.line);
                }
                Ok(())
            }
            (Operand::Vector(parts), from) => self.unpack(frame, one, parts, from, element),
            (to, Operand::Vector(parts)) => self.pack(frame, one, to, parts, element),
            (to, from) => {
                let target = self.target(frame, to)?;
                let source = self.source(frame, from, element, one.line)?;
                self.copy_value(one, target, source);
                Ok(())
            }
        }
    }

    fn copy_value(&mut self, one: &One<'_>, target: Target, source: Source) {
        match (target, source) {
            (Target::Word(target), Source::Word(source)) => {
                self.push(one, Op::CopyWord(target, source));
            }
            (Target::Long(target), Source::Long(source)) => {
                self.push(one, Op::CopyLong(target, source));
            }
            (Target::Predicate(target), Source::Predicate(source)) => {
                let none = Predicate::Constant(false);
                self.push(one, Op::Logic(Logic::Or, target, source, none));
            }
            _ => self.scalar(scalar::pass, 0, [target], vec![source], one.line),
        }
    }

    fn unpack(
        &mut self,
        frame: &mut Frame,
        one: &One<'_>,
        parts: &[Operand],
        from: &Operand,
        element: ScalarType,
    ) -> Reason<()> {
        let width = u32::from(element.size()) * 8 / parts.len().max(1) as u32;
        // Read first: a part may be the source itself.
        let source = self.source(frame, from, element, one.line)?;
        let copy = frame.new_register(element)?;
        self.copy_value(one, copy.target(), source);
        for (index, part) in parts.iter().enumerate() {
            let target = self.target(frame, part)?;
            if target == Target::Nothing {
                continue;
            }
            let mode = (index as u32 * width) | (width << 8);
            self.scalar(half::part, mode, [target], vec![copy.source()], one.line);
        }
        Ok(())
    }

    fn pack(
        &mut self,
        frame: &mut Frame,
        one: &One<'_>,
        to: &Operand,
        parts: &[Operand],
        element: ScalarType,
    ) -> Reason<()> {
        let part = match (element.size(), parts.len()) {
            (8, 2) => ScalarType::B32,
            (8, 4) | (4, 2) => ScalarType::B16,
            (8, 8) | (4, 4) | (2, 2) => ScalarType::B8,
            _ => return Err("a vector of this shape".to_owned()),
        };
        let target = self.target(frame, to)?;
        let mut sources = Vec::new();
        for operand in parts {
            sources.push(self.source(frame, operand, part, one.line)?);
        }
        if sources.len() > 4 {
            return Err("a vector of this shape".to_owned());
        }
        self.scalar(
            half::join,
            u32::from(part.size()) * 8,
            [target],
            sources,
            one.line,
        );
        Ok(())
    }

    fn compare(&mut self, frame: &mut Frame, one: &One<'_>) -> Reason<()> {
        let element = one.element().ok_or("no type")?;
        let comparison = one.words.first().ok_or("no comparison")?.as_str();
        let combine = match one.words.get(1).map(String::as_str) {
            Some("and") => Some(Logic::And),
            Some("or") => Some(Logic::Or),
            Some("xor") => Some(Logic::Xor),
            _ => None,
        };
        let (target, complement) = match one.operand(0)? {
            Operand::Pair(first, second) => {
                let complement = match self.target(frame, second)? {
                    Target::Predicate(index) => Some(index),
                    _ => None,
                };
                (self.target(frame, first)?, complement)
            }
            operand => (self.target(frame, operand)?, None),
        };
        if matches!(element, ScalarType::F16x2 | ScalarType::Bf16x2) {
            return self.compare_pairs(frame, one, element, comparison, combine);
        }
        let combine = match combine {
            Some(logic) => Some((logic, self.predicate(frame, one.operand(3)?)?)),
            None => None,
        };
        // `set` writes 1.0 for a float target, all ones for an integer one.
        let truth = match one.types {
            [ScalarType::F32, _] => 1.0f32.to_bits(),
            [ScalarType::F16, _] => 0x3c00,
            [ScalarType::Bf16, _] => 0x3f80,
            [ScalarType::U16 | ScalarType::S16, _] => 0xffff,
            _ => u32::MAX,
        };
        let outcome = Box::new(Outcome {
            target,
            complement,
            combine,
            truth,
        });
        if element.size() == 8 {
            let function = compare::longs(comparison, element).ok_or("no such comparison")?;
            let a = self.long(frame, one.operand(1)?, element, one.line)?;
            let b = self.long(frame, one.operand(2)?, element, one.line)?;
            self.push(one, Op::Compare64(function, a, b, outcome));
            return Ok(());
        }
        let (wide, flushed) = match element {
            ScalarType::S16 | ScalarType::S8 => (ScalarType::S32, false),
            ScalarType::U16 | ScalarType::B16 | ScalarType::U8 | ScalarType::B8 => {
                (ScalarType::U32, false)
            }
            ScalarType::F16 | ScalarType::Bf16 => (ScalarType::F32, false),
            _ => (element, one.has("ftz")),
        };
        let function = compare::words(comparison, wide, flushed).ok_or("no such comparison")?;
        let a = self.widened(frame, one, 1, element, wide)?;
        let b = self.widened(frame, one, 2, element, wide)?;
        self.push(one, Op::Compare32(function, a, b, outcome));
        Ok(())
    }

    /// A comparison of pairs of halves: a predicate for each half, or 1.0 in each half.
    fn compare_pairs(
        &mut self,
        frame: &mut Frame,
        one: &One<'_>,
        element: ScalarType,
        comparison: &str,
        combine: Option<Logic>,
    ) -> Reason<()> {
        let comparison = half::comparison_mode(comparison, combine).ok_or("no such comparison")?;
        let mode = half::mode(element, one.words, 2) | comparison;
        let mut sources = Vec::new();
        for index in 1..3 {
            sources.push(self.source(frame, one.operand(index)?, element, one.line)?);
        }
        if combine.is_some() {
            sources.push(self.source(frame, one.operand(3)?, ScalarType::Pred, one.line)?);
        }
        let (function, targets): (ScalarFunction, _) = match one.operand(0)? {
            _ if one.opcode == "set" => {
                let target = self.target(frame, one.operand(0)?)?;
                // Into an integer a half that holds is all ones.
                let is_float = one.types.first().is_some_and(|to| to.is_float());
                let function: ScalarFunction = if is_float {
                    half::compare_set
                } else {
                    half::compare_mask
                };
                (function, [target, Target::Nothing])
            }
            Operand::Pair(first, second) => {
                let targets = [self.target(frame, first)?, self.target(frame, second)?];
                (half::compare, targets)
            }
            target => (
                half::compare,
                [self.target(frame, target)?, Target::Nothing],
            ),
        };
        self.scalar(function, mode, targets, sources, one.line);
        Ok(())
    }

    /// Operand `index` of type `element`, converted to `wide`, which holds all its values.
    fn widened(
        &mut self,
        frame: &mut Frame,
        one: &One<'_>,
        index: usize,
        element: ScalarType,
        wide: ScalarType,
    ) -> Reason<Slot> {
        let slot = self.word(frame, one.operand(index)?, element, one.line)?;
        if wide == element {
            return Ok(slot);
        }
        let register = frame.new_register(wide)?;
        let source = vec![Source::Word(slot)];
        let (function, mode): (ScalarFunction, u32) = if element.is_float() {
            (half::widen, half::mode(element, one.words, 1))
        } else {
            let mode = Conversion::exact(wide, element).mode();
            (convert::convert, mode.ok_or("no such conversion")?)
        };
        self.scalar(function, mode, [register.target()], source, one.line);
        Ok(register.slot())
    }

    fn select(&mut self, frame: &mut Frame, one: &One<'_>) -> Reason<()> {
        let element = one.element().ok_or("no type")?;
        let target = self.register(frame, one.operand(0)?)?;
        let predicate = self.predicate(frame, one.operand(3)?)?;
        let (a, b) = (one.operand(1)?, one.operand(2)?);
        match target.file {
            File::Word => {
                let a = self.word(frame, a, element, one.line)?;
                let b = self.word(frame, b, element, one.line)?;
                self.push(one, Op::SelectWord(target.slot(), a, b, predicate));
            }
            File::Long => {
                let a = self.long(frame, a, element, one.line)?;
                let b = self.long(frame, b, element, one.line)?;
                self.push(one, Op::SelectLong(target.slot(), a, b, predicate));
            }
            File::Predicate => return Err("a selection of predicates".to_owned()),
        }
        Ok(())
    }

    fn test(&mut self, frame: &mut Frame, one: &One<'_>) -> Reason<()> {
        let element = one.element().ok_or("no type")?;
        let target = self.target(frame, one.operand(0)?)?;
        let source = self.source(frame, one.operand(1)?, element, one.line)?;
        let kind = [
            "finite",
            "infinite",
            "number",
            "notanumber",
            "normal",
            "subnormal",
        ]
        .iter()
        .position(|word| one.has(word))
        .ok_or("no such test")?;
        let mode = kind as u32 | u32::from(element == ScalarType::F64) << 8;
        self.scalar(half::test, mode, [target], vec![source], one.line);
        Ok(())
    }
}
