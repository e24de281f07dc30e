//! Arithmetic, bits and floats: a whole-row function where there is one, else lane by lane.

use super::super::code::{Logic, Op, Predicate, ScalarFunction, Source, Target};
use super::super::float::Rounding;
use super::super::lanes::{float, integer, long};
use super::super::scalar::{self, float as rare};
use super::scope::Frame;
use super::{Builder, Reason, flow::One};
use crate::ptx::{Operand, ScalarType};

impl Builder<'_> {
    /// Decodes `one` if it is arithmetic; false if it is not.
    pub(super) fn arithmetic(&mut self, frame: &mut Frame, one: &One<'_>) -> Reason<bool> {
        if matches!(one.opcode, "addc" | "subc" | "madc") || one.has("cc") {
            return self.carrying(frame, one).map(|()| true);
        }
        if self.pairs(frame, one)? || self.video(frame, one)? {
            return Ok(true);
        }
        let Some(element) = one.element() else {
            return Ok(false);
        };
        if element.size() > 8 {
            return Err("128-bit arithmetic".to_owned());
        }
        let half = ["lo", "hi", "wide"].into_iter().find(|half| one.has(half));
        let key = match half {
            Some(half) => format!("{}.{half}", one.opcode),
            None => one.opcode.to_owned(),
        };
        match element {
            ScalarType::Pred => return self.logic(frame, one),
            ScalarType::F16 | ScalarType::Bf16 if one.types.first() == Some(&ScalarType::F32) => {
                return self.mixed(frame, one, element);
            }
            ScalarType::F16 | ScalarType::F16x2 | ScalarType::Bf16 | ScalarType::Bf16x2 => {
                return self.halves(frame, one, element);
            }
            ScalarType::F32 | ScalarType::F64 if self.floats(frame, one, element)? => {
                return Ok(true);
            }
            _ => {}
        }
        if self.rows(frame, one, &key, element)? {
            return Ok(true);
        }
        self.lane_by_lane(frame, one, &key, element)
    }

    /// Emits a whole-row function of integers, if there is one for `key`.
    fn rows(
        &mut self,
        frame: &mut Frame,
        one: &One<'_>,
        key: &str,
        element: ScalarType,
    ) -> Reason<bool> {
        if one.has("sat") || one.has("relu") {
            return Ok(false);
        }
        let element = bits_type(one.opcode, element);
        let sources = one.operands.len().saturating_sub(1);
        if element.size() == 4 && one.has("wide") {
            return self.wide(frame, one, element);
        }
        if let (8, Some(shift)) = (element.size(), long::shift(key, element)) {
            let target = self.register(frame, one.operand(0)?)?;
            let a = self.long(frame, one.operand(1)?, element, one.line)?;
            let b = self.word(frame, one.operand(2)?, ScalarType::U32, one.line)?;
            self.push(one, Op::Shift64(shift, target.slot(), a, b));
            return Ok(true);
        }
        let key = if one.opcode == "shf" {
            &shift_key(one)
        } else {
            key
        };
        match (element.size(), sources) {
            (4, 1) => {
                let Some(map) = integer::unary(key, element) else {
                    return Ok(false);
                };
                self.words1(frame, one, map, element)?;
            }
            (4, 2) => {
                let Some(map) = integer::binary(key, element) else {
                    return Ok(false);
                };
                self.words2(frame, one, map, element)?;
            }
            (4, 3) => {
                let Some(map) = integer::ternary(key, element) else {
                    return Ok(false);
                };
                self.words3(frame, one, map, element)?;
            }
            (8, 1) => {
                let Some(map) = long::unary(key, element) else {
                    return Ok(false);
                };
                self.longs1(frame, one, map, element)?;
            }
            (8, 2) => {
                let Some(map) = long::binary(key, element) else {
                    return Ok(false);
                };
                self.longs2(frame, one, map, element)?;
            }
            (8, 3) => {
                let Some(map) = long::ternary(key, element) else {
                    return Ok(false);
                };
                self.longs3(frame, one, map, element)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn wide(&mut self, frame: &mut Frame, one: &One<'_>, element: ScalarType) -> Reason<bool> {
        let target = self.register(frame, one.operand(0)?)?.slot();
        let a = self.word(frame, one.operand(1)?, element, one.line)?;
        let b = self.word(frame, one.operand(2)?, element, one.line)?;
        match one.opcode {
            "mul" => {
                let Some(map) = integer::wide(element) else {
                    return Ok(false);
                };
                self.push(one, Op::Widen2(map, target, a, b));
            }
            "mad" => {
                let Some(map) = integer::wide_add(element) else {
                    return Ok(false);
                };
                let c = self.long(frame, one.operand(3)?, ScalarType::B64, one.line)?;
                self.push(one, Op::Widen3(map, target, a, b, c));
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn floats(&mut self, frame: &mut Frame, one: &One<'_>, element: ScalarType) -> Reason<bool> {
        let rounding = one.words.iter().find_map(|word| Rounding::from_word(word));
        let nearest = rounding.is_none_or(|rounding| rounding == Rounding::Nearest);
        let flushed = one.has("ftz");
        // What is approximate elsewhere is computed well here, but for the forms that the manual
        // defines to differ.
        let approximate = one.has("approx") && !(element == ScalarType::F32 && one.opcode != "div");
        let plain = nearest
            && !approximate
            && !["sat", "NaN", "xorsign", "abs"]
                .into_iter()
                .any(|word| one.has(word));
        let opcode = if one.opcode == "mad" {
            "fma"
        } else {
            one.opcode
        };
        let sources = one.operands.len().saturating_sub(1);
        if plain && element == ScalarType::F32 {
            match sources {
                1 => {
                    if let Some(map) = float::unary(opcode, flushed) {
                        return self.words1(frame, one, map, element).map(|()| true);
                    }
                }
                2 => {
                    if let Some(map) = float::binary(opcode, flushed) {
                        return self.words2(frame, one, map, element).map(|()| true);
                    }
                }
                3 if opcode == "fma" => {
                    let map = float::multiply_add(flushed);
                    return self.words3(frame, one, map, element).map(|()| true);
                }
                _ => {}
            }
        }
        if plain && element == ScalarType::F64 {
            match sources {
                1 => {
                    if let Some(map) = long::unary(opcode, element) {
                        return self.longs1(frame, one, map, element).map(|()| true);
                    }
                }
                2 => {
                    if let Some(map) = long::binary(opcode, element) {
                        return self.longs2(frame, one, map, element).map(|()| true);
                    }
                }
                3 if opcode == "fma" => {
                    if let Some(map) = long::ternary(opcode, element) {
                        return self.longs3(frame, one, map, element).map(|()| true);
                    }
                }
                _ => {}
            }
        }
        let Some(function) = rare::function(opcode, element) else {
            return Ok(false);
        };
        let mode = float_mode(one, rounding) | if sources == 3 { rare::THREE } else { 0 };
        self.scalar_sources(frame, one, function, mode, element)?;
        Ok(true)
    }

    fn lane_by_lane(
        &mut self,
        frame: &mut Frame,
        one: &One<'_>,
        key: &str,
        element: ScalarType,
    ) -> Reason<bool> {
        let signed = one
            .types
            .iter()
            .fold(0, |mask, one| mask << 1 | u32::from(one.is_signed()));
        let mut mode = (u32::from(element.size()) * 8)
            | (u32::from(element.is_signed()) << 8)
            | u32::from(one.has("sat")) << 9
            | u32::from(one.has("relu")) << 10;
        let key = match one.opcode {
            "lop3" => return self.lookup(frame, one).map(|()| true),
            "prmt" => {
                mode = ["f4e", "b4e", "rc8", "ecl", "ecr", "rc16"]
                    .iter()
                    .position(|word| one.has(word))
                    .map_or(0, |index| index as u32 + 1);
                "prmt"
            }
            "dp4a" | "dp2a" => {
                mode = signed & 3 | u32::from(one.has("hi")) << 2;
                one.opcode
            }
            "bfind" => {
                mode |= u32::from(one.has("shiftamt")) << 9;
                "bfind"
            }
            "bmsk" | "szext" => {
                mode |= u32::from(one.has("wrap")) << 9;
                one.opcode
            }
            _ => key,
        };
        let Some(function) = scalar::integer_function(key) else {
            return Ok(false);
        };
        self.scalar_sources(frame, one, function, mode, element)?;
        Ok(true)
    }

    /// Emits a lane-by-lane function whose sources all have the instruction's type, save the counts
    /// and fields that are words.
    pub(super) fn scalar_sources(
        &mut self,
        frame: &mut Frame,
        one: &One<'_>,
        function: ScalarFunction,
        mode: u32,
        element: ScalarType,
    ) -> Reason<()> {
        let target = self.target(frame, one.operand(0)?)?;
        let mut sources = Vec::with_capacity(4);
        for (index, operand) in one.operands.iter().enumerate().skip(1) {
            let element = match (one.opcode, index) {
                ("shl" | "shr", 2) | ("bfe", 2 | 3) | ("bfi", 3 | 4) => ScalarType::U32,
                ("mad", 3) if one.has("wide") => double_width(element),
                ("slct", 1 | 2) => *one.types.first().unwrap_or(&element),
                ("dp4a" | "dp2a" | "szext" | "bmsk", _) => ScalarType::B32,
                _ => element,
            };
            sources.push(self.source(frame, operand, element, one.line)?);
        }
        if sources.len() > 4 {
            return Err("too many operands".to_owned());
        }
        self.scalar(function, mode, [target], sources, one.line);
        Ok(())
    }

    /// `add.cc`, `addc`, `madc` and the like: the carry is a predicate of the frame.
    fn carrying(&mut self, frame: &mut Frame, one: &One<'_>) -> Reason<()> {
        let element = one
            .element()
            .filter(|element| element.size() <= 8)
            .ok_or("no such type")?;
        let base = one
            .opcode
            .strip_suffix('c')
            .filter(|_| one.opcode != "sub" && one.opcode.len() == 4);
        let takes = base.is_some();
        let opcode = base.unwrap_or(one.opcode);
        let half = if one.has("hi") { ".hi" } else { "" };
        let function = scalar::carry_function(&format!("{opcode}{half}")).ok_or("no such form")?;
        let target = self.target(frame, one.operand(0)?)?;
        let mut sources = Vec::with_capacity(4);
        for operand in &one.operands[1..] {
            sources.push(self.source(frame, operand, element, one.line)?);
        }
        if sources.len() != if opcode == "mad" { 3 } else { 2 } {
            return Err("wrong number of operands".to_owned());
        }
        let carry = frame.carry();
        let input = if takes {
            carry.source()
        } else {
            Source::Predicate(Predicate::Constant(false))
        };
        sources.push(input);
        let output = if one.has("cc") {
            carry.target()
        } else {
            Target::Nothing
        };
        let mode = (u32::from(element.size()) * 8) | (u32::from(element.is_signed()) << 8);
        self.scalar(function, mode, [target, output], sources, one.line);
        Ok(())
    }

    /// `and`, `or`, `xor`, `not` of predicates.
    fn logic(&mut self, frame: &mut Frame, one: &One<'_>) -> Reason<bool> {
        let Target::Predicate(target) = self.target(frame, one.operand(0)?)? else {
            return Err("a predicate is expected".to_owned());
        };
        let a = self.predicate(frame, one.operand(1)?)?;
        let (logic, b) = match one.opcode {
            "and" => (Logic::And, self.predicate(frame, one.operand(2)?)?),
            "or" => (Logic::Or, self.predicate(frame, one.operand(2)?)?),
            "xor" => (Logic::Xor, self.predicate(frame, one.operand(2)?)?),
            "not" => (Logic::Xor, Predicate::Constant(true)),
            _ => return Ok(false),
        };
        self.push(one, Op::Logic(logic, target, a, b));
        Ok(true)
    }

    pub(super) fn push(&mut self, one: &One<'_>, op: Op) {
        self.emit(Predicate::Constant(true), op, one.line);
    }
}

/// Emitters of whole-row functions, by number and width of their sources.
macro_rules! emitter {
    ($name:ident, $shape:ident, $op:ident, $fetch:ident, $($index:literal),+) => {
        impl Builder<'_> {
            fn $name(
                &mut self,
                frame: &mut Frame,
                one: &One<'_>,
                map: super::super::lanes::$shape,
                element: ScalarType,
            ) -> Reason<()> {
                let target = self.register(frame, one.operand(0)?)?;
                if (element.size() == 8) != (target.size == 8) {
                    return Err("the target has another width".to_owned());
                }
                let op = Op::$op(
                    map,
                    target.slot(),
                    $({
                        let element = count_type(one, $index, element);
                        self.$fetch(frame, one.operand($index)?, element, one.line)?
                    }),+
                );
                self.push(one, op);
                Ok(())
            }
        }
    };
}

emitter!(words1, Map32x1, Words1, word, 1);
emitter!(words2, Map32x2, Words2, word, 1, 2);
emitter!(words3, Map32x3, Words3, word, 1, 2, 3);
emitter!(longs1, Map64x1, Longs1, long, 1);
emitter!(longs2, Map64x2, Longs2, long, 1, 2);
emitter!(longs3, Map64x3, Longs3, long, 1, 2, 3);

/// The mode of a float function by the words of `one`.
pub(super) fn float_mode(one: &One<'_>, rounding: Option<Rounding>) -> u32 {
    let flags = [
        ("ftz", rare::FLUSH),
        ("sat", rare::SATURATE),
        ("NaN", rare::NAN),
        ("xorsign", rare::XOR_SIGN),
        ("abs", rare::MAGNITUDE),
        ("approx", rare::APPROXIMATE),
    ];
    let start = rare::rounding_mode(rounding.unwrap_or(Rounding::Nearest));
    (flags.iter())
        .filter(|(word, _)| one.has(word))
        .fold(start, |mode, (_, flag)| mode | flag)
}

/// The type of operand `index`: shift counts are unsigned words.
fn count_type(one: &One<'_>, index: usize, element: ScalarType) -> ScalarType {
    match (one.opcode, index) {
        ("shl" | "shr", 2) | ("shf", 3) => ScalarType::U32,
        _ => element,
    }
}

/// Bit instructions know widths only.
fn bits_type(opcode: &str, element: ScalarType) -> ScalarType {
    let bits = matches!(
        opcode,
        "and" | "or" | "xor" | "not" | "shl" | "popc" | "clz" | "brev"
    );
    match (bits, element.size()) {
        (true, 4) => ScalarType::B32,
        (true, 8) => ScalarType::B64,
        _ => element,
    }
}

fn double_width(element: ScalarType) -> ScalarType {
    if element.size() == 4 {
        ScalarType::B64
    } else {
        ScalarType::B32
    }
}

fn shift_key(one: &One<'_>) -> String {
    let side = if one.has("l") { "l" } else { "r" };
    let mode = if one.has("wrap") { "wrap" } else { "clamp" };
    format!("shf.{side}.{mode}")
}

/// Kept so that an operand's form can be asked for without decoding it.
pub(super) fn is_vector(operand: &Operand) -> bool {
    matches!(operand, Operand::Vector(_))
}
