//! Memory: loads, stores, atomics, copies, and conversions between kinds of addresses.

use super::super::atomic;
use super::super::code::{
    Address, AsyncCopy, Atomic, Base, Constant, LOCAL_WINDOW, Load, Op, PARAMETER_WINDOW,
    Predicate, Region, SHARED_WINDOW, Source, Store, Target,
};
use super::super::lanes::long;
use super::super::scalar;
use super::arithmetic::is_vector;
use super::flow::One;
use super::scope::{File, Frame, Register, Symbol};
use super::{Builder, Reason};
use crate::ptx::{Operand, ScalarType, Space};

impl Builder<'_> {
    /// Decodes `one` if it concerns memory; false if it does not.
    pub(super) fn access(&mut self, frame: &mut Frame, one: &One<'_>) -> Reason<bool> {
        match one.opcode {
            "ld" | "ldu" => self.load(frame, one)?,
            "st" => self.store(frame, one)?,
            "atom" | "red" => self.atomic(frame, one)?,
            "cvta" => self.convert_address(frame, one)?,
            "isspacep" => self.is_space(frame, one)?,
            "cp" if one.has("async") => self.copy(frame, one)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn load(&mut self, frame: &mut Frame, one: &One<'_>) -> Reason<()> {
        let element = one.element().ok_or("no type")?;
        if element == ScalarType::B128 || element == ScalarType::Pred {
            return Err("a load of this type".to_owned());
        }
        let address = self.address(frame, one.operand(1)?, space(one))?;
        let targets = match one.operand(0)? {
            Operand::Vector(parts) => parts
                .iter()
                .map(|part| self.target(frame, part))
                .collect::<Reason<Vec<_>>>()?,
            operand => vec![self.target(frame, operand)?],
        };
        if targets
            .iter()
            .any(|target| matches!(target, Target::Predicate(_)))
        {
            return Err("a load into a predicate".to_owned());
        }
        let size = u32::from(element.size());
        let load = Load {
            address,
            size,
            signed: element.is_signed(),
            targets,
        };
        self.push(one, Op::Load(Box::new(load)));
        if one.has("acquire") {
            self.push_fence(one);
        }
        Ok(())
    }

    fn store(&mut self, frame: &mut Frame, one: &One<'_>) -> Reason<()> {
        if one.has("async") || one.has("bulk") {
            return Err("an asynchronous store".to_owned());
        }
        let element = one.element().ok_or("no type")?;
        if element == ScalarType::B128 || element == ScalarType::Pred {
            return Err("a store of this type".to_owned());
        }
        let address = self.address(frame, one.operand(0)?, space(one))?;
        let operand = one.operand(1)?;
        let parts = if let Operand::Vector(parts) = operand {
            parts.as_slice()
        } else {
            std::slice::from_ref(operand)
        };
        let mut sources = Vec::with_capacity(parts.len());
        for part in parts {
            let source = self.source(frame, part, element, one.line)?;
            if matches!(source, Source::Predicate(_)) {
                return Err("a store of a predicate".to_owned());
            }
            sources.push(source);
        }
        if one.has("release") {
            self.push_fence(one);
        }
        let size = u32::from(element.size());
        self.push(
            one,
            Op::Store(Box::new(Store {
                address,
                size,
                sources,
            })),
        );
        Ok(())
    }

    fn atomic(&mut self, frame: &mut Frame, one: &One<'_>) -> Reason<()> {
        let element = one.element().ok_or("no type")?;
        if !matches!(element.size(), 2 | 4 | 8) || element == ScalarType::Pred {
            return Err("an atomic of this type".to_owned());
        }
        let skip = usize::from(one.opcode == "atom");
        let target = if skip == 1 {
            self.target(frame, one.operand(0)?)?
        } else {
            Target::Nothing
        };
        if one.operands.iter().any(is_vector) {
            return Err("a vector atomic".to_owned());
        }
        let address = self.address(frame, one.operand(skip)?, space(one))?;
        let function = (one.words.iter())
            .find_map(|word| atomic::function(word, element))
            .ok_or("no such atomic operation")?;
        let count = 1 + usize::from(one.has("cas"));
        let mut operands = [None; 2];
        for (index, operand) in one.operands.iter().skip(skip + 1).take(count).enumerate() {
            operands[index] = Some(self.source(frame, operand, element, one.line)?);
        }
        if operands[0].is_none() || one.has("cas") != operands[1].is_some() {
            return Err("wrong number of operands".to_owned());
        }
        let size = u32::from(element.size());
        let op = Atomic {
            function,
            address,
            size,
            target,
            operands,
        };
        self.push(one, Op::Atomic(Box::new(op)));
        Ok(())
    }

    /// `cvta`: shared, local and parameter memory are windows among the generic addresses; global
    /// and constant addresses are generic as they are.
    fn convert_address(&mut self, frame: &mut Frame, one: &One<'_>) -> Reason<()> {
        let window = match space(one) {
            Space::Shared => SHARED_WINDOW,
            Space::Local => LOCAL_WINDOW,
            Space::Param => PARAMETER_WINDOW,
            _ => 0,
        };
        let to = one.has("to");
        let operand = one.operand(1)?;
        let element = one.element().ok_or("no type")?;
        let target = self.register(frame, one.operand(0)?)?;
        if target.size != 8 {
            let source = self.source(frame, operand, element, one.line)?;
            self.scalar(scalar::pass, 0, [target.target()], vec![source], one.line);
            return Ok(());
        }
        let source = self.long(frame, operand, ScalarType::U64, one.line)?;
        if window == 0 {
            self.push(one, Op::CopyLong(target.slot(), source));
            return Ok(());
        }
        let window = self.constant(true, Constant::Value(window));
        let (name, kind) = match (to, space(one)) {
            (true, _) => ("sub", ScalarType::U64),
            // A kernel parameter's address may be generic from the start; an offset within the
            // window has none of its bits.
            (false, Space::Param) => ("or", ScalarType::B64),
            (false, _) => ("add", ScalarType::U64),
        };
        let map = long::binary(name, kind).ok_or("no such function")?;
        self.push(one, Op::Longs2(map, target.slot(), source, window));
        Ok(())
    }

    fn is_space(&mut self, frame: &mut Frame, one: &One<'_>) -> Reason<()> {
        let target = self.target(frame, one.operand(0)?)?;
        let source = self.source(frame, one.operand(1)?, ScalarType::U64, one.line)?;
        let function: super::super::code::ScalarFunction = match space(one) {
            Space::Shared => |[a, ..], _| [u64::from(a >> 32 == SHARED_WINDOW >> 32), 0],
            Space::Local => |[a, ..], _| [u64::from(a >> 32 == LOCAL_WINDOW >> 32), 0],
            Space::Param => |[a, ..], _| [u64::from(a >> 32 == PARAMETER_WINDOW >> 32), 0],
            Space::Const => |_, _| [0, 0],
            _ => |[a, ..], _| [u64::from(a < 1 << 47), 0],
        };
        self.scalar(function, 0, [target], vec![source], one.line);
        Ok(())
    }

    fn copy(&mut self, frame: &mut Frame, one: &One<'_>) -> Reason<()> {
        if one.has("bulk") || one.has("mbarrier") {
            return Err("a bulk copy".to_owned());
        }
        // Copies are done at once, so that waiting for them is nothing.
        if one.has("commit_group") || one.has("wait_group") || one.has("wait_all") {
            self.push(one, Op::Nothing);
            return Ok(());
        }
        let to = self.address(frame, one.operand(0)?, Space::Shared)?;
        let from = self.address(frame, one.operand(1)?, Space::Global)?;
        let size = match one.operand(2)? {
            Operand::Integer(size @ (4 | 8 | 16)) => *size as u32,
            _ => return Err("a copy of this size".to_owned()),
        };
        let valid = match one.operands.get(3) {
            // The last operand is a cache policy where there is one.
            Some(operand) if !one.has("L2::cache_hint") || one.operands.len() > 4 => {
                Some(self.copied_bytes(frame, operand, size, one.line)?)
            }
            _ => None,
        };
        self.push(
            one,
            Op::Copy(Box::new(AsyncCopy {
                to,
                from,
                size,
                valid,
            })),
        );
        Ok(())
    }
}

impl Builder<'_> {
    /// How many bytes of `size` a copy takes from its source: a number, or a predicate that says
    /// that the source is ignored.
    fn copied_bytes(
        &mut self,
        frame: &mut Frame,
        operand: &Operand,
        size: u32,
        line: u32,
    ) -> Reason<Source> {
        let is_predicate = match operand {
            Operand::Not(_) => true,
            Operand::Name { name, .. } => matches!(
                frame.symbol(name)?,
                Some(Symbol::Register(Register {
                    file: File::Predicate,
                    ..
                }))
            ),
            _ => false,
        };
        if !is_predicate {
            return self.source(frame, operand, ScalarType::U32, line);
        }
        let ignored = self.predicate(frame, operand)?;
        let (nothing, all) = (self.word_constant(0), self.word_constant(size));
        let register = frame.new_register(ScalarType::B32)?;
        let op = Op::SelectWord(register.slot(), nothing, all, ignored);
        self.emit(Predicate::Constant(true), op, line);
        Ok(register.source())
    }
}

/// The first space named by the modifiers.
pub(super) fn space(one: &One<'_>) -> Space {
    one.words
        .iter()
        .find_map(|word| Space::from_word(word))
        .unwrap_or(Space::Generic)
}

impl Address {
    /// Whether the address is the same for all lanes and lies in the parameter buffer.
    pub(in super::super) fn is_fixed_parameter(self) -> bool {
        self.region == Region::Parameter && matches!(self.base, Base::None)
    }
}
