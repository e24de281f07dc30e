//! `cvt`: whole rows where it is frequent, else lane by lane.

use super::super::code::{Op, Target};
use super::super::convert::{self as rare, Conversion};
use super::super::lanes::convert;
use super::super::scalar;
use super::flow::One;
use super::scope::Frame;
use super::{Builder, Reason};
use crate::ptx::ScalarType;

impl Builder<'_> {
    pub(super) fn convert(&mut self, frame: &mut Frame, one: &One<'_>) -> Reason<()> {
        if one.has("pack") {
            return self.convert_pack(frame, one);
        }
        if one.has("rs") {
            return Err("stochastic rounding".to_owned());
        }
        let rounding = (one.words.iter())
            .find(|word| rare::rounding_word(word))
            .map_or("", String::as_str);
        let packed = one
            .words
            .iter()
            .any(|word| rare::small_word(word) || matches!(word.as_str(), "f16x2" | "bf16x2"));
        if packed {
            return self.convert_pair(frame, one, rounding);
        }
        let tensor = one.has("tf32");
        let (to, from) = match one.types {
            [to, from] => (*to, *from),
            [ScalarType::F32] if tensor => (ScalarType::F32, ScalarType::F32),
            _ => return Err("two types are expected".to_owned()),
        };
        if to.size() > 8 || from.size() > 8 {
            return Err("no such conversion".to_owned());
        }
        if !tensor && self.convert_rows(frame, one, (to, from), rounding)? {
            return Ok(());
        }
        let conversion = Conversion {
            to,
            from,
            rounding,
            flushed: one.has("ftz"),
            saturate: one.has("sat"),
            relu: one.has("relu"),
            finite: one.has("satfinite"),
        };
        let mode = conversion.mode().ok_or("no such conversion")?;
        let function = if tensor {
            rare::to_tensor
        } else {
            rare::convert
        };
        let target = self.target(frame, one.operand(0)?)?;
        let source = self.source(frame, one.operand(1)?, from, one.line)?;
        self.scalar(function, mode, [target], vec![source], one.line);
        Ok(())
    }

    /// Emits a whole-row conversion, if there is one.
    fn convert_rows(
        &mut self,
        frame: &mut Frame,
        one: &One<'_>,
        (to, from): (ScalarType, ScalarType),
        rounding: &str,
    ) -> Reason<bool> {
        let plain = ["ftz", "sat", "relu", "satfinite"]
            .into_iter()
            .all(|word| !one.has(word));
        let saturated = one.has("sat") && (to, from) == (ScalarType::F32, ScalarType::F32);
        let known = plain || saturated && rounding.is_empty();
        if !known {
            return Ok(false);
        }
        let target = self.target(frame, one.operand(0)?)?;
        let operand = one.operand(1)?;
        let word = if saturated {
            Some(convert::saturate(one.has("ftz")))
        } else {
            convert::word(to, from, rounding)
        };
        let (wide_to, wide_from) = (to.size() == 8, from.size() == 8);
        if let (Target::Word(slot), false, false) = (target, wide_to, wide_from)
            && let Some(map) = word
        {
            let a = self.word(frame, operand, from, one.line)?;
            self.push(one, Op::Words1(map, slot, a));
            return Ok(true);
        }
        if let (Target::Long(slot), true, false) = (target, wide_to, wide_from)
            && let Some(map) = convert::widen(to, from, rounding)
        {
            let a = self.word(frame, operand, from, one.line)?;
            self.push(one, Op::Widen1(map, slot, a));
            return Ok(true);
        }
        if let (Target::Word(slot), false, true) = (target, wide_to, wide_from)
            && let Some(map) = convert::narrow(to, from, rounding)
        {
            let a = self.long(frame, operand, from, one.line)?;
            self.push(one, Op::Narrow1(map, slot, a));
            return Ok(true);
        }
        Ok(false)
    }

    /// `cvt` of two values into one register, or of the parts of one register.
    fn convert_pair(&mut self, frame: &mut Frame, one: &One<'_>, rounding: &str) -> Reason<()> {
        let mut types = one
            .words
            .iter()
            .filter(|word| rare::small_word(word) || ScalarType::from_word(word).is_some());
        let (Some(to), Some(from)) = (types.next(), types.next()) else {
            return Err("two types are expected".to_owned());
        };
        let flags = [one.has("relu"), one.has("satfinite")];
        let mode = rare::pair_mode(to, from, rounding, flags).ok_or("no such conversion")?;
        let target = self.target(frame, one.operand(0)?)?;
        let element = ScalarType::from_word(from).unwrap_or(ScalarType::B16);
        let mut sources = Vec::new();
        for operand in one.operands.iter().skip(1) {
            sources.push(self.source(frame, operand, element, one.line)?);
        }
        let wanted = if element == ScalarType::F32 { 2 } else { 1 };
        if sources.len() != wanted {
            return Err("wrong number of operands".to_owned());
        }
        self.scalar(rare::convert_pair, mode, [target], sources, one.line);
        Ok(())
    }

    /// `cvt.pack`: the types of the parts, of the operands, and of what lies above.
    fn convert_pack(&mut self, frame: &mut Frame, one: &One<'_>) -> Reason<()> {
        const PARTS: [&str; 8] = ["u16", "s16", "u8", "s8", "u4", "s4", "u2", "s2"];
        let part = one.words.iter().find(|word| PARTS.contains(&word.as_str()));
        let part = part.ok_or("no such conversion")?;
        let width: u32 = part[1..].parse().map_err(|_| "no such conversion")?;
        let mode = width | u32::from(part.starts_with('s')) << 8;
        let target = self.target(frame, one.operand(0)?)?;
        let mut sources = Vec::new();
        for operand in one.operands.iter().skip(1) {
            sources.push(self.source(frame, operand, ScalarType::B32, one.line)?);
        }
        if sources.len() != if width == 16 { 2 } else { 3 } {
            return Err("wrong number of operands".to_owned());
        }
        self.scalar(scalar::pack, mode, [target], sources, one.line);
        Ok(())
    }
}
