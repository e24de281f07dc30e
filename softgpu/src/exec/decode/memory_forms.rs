//! Memory instructions of more than one value: 128 bits, vector atomics, mbarriers, bulk copies.

use super::super::atomic;
use super::super::code::{Address, Constant, Op, Operation, Predicate, Source, Target};
use super::super::mbarrier;
use super::super::memory_forms::{BarrierKind, MemoryKind};
use super::super::scalar;
use super::access::space;
use super::flow::One;
use super::scope::{File, Frame, Register, Symbol};
use super::{Builder, Reason};
use crate::ptx::{Operand, ScalarType, Space};

impl Builder<'_> {
    /// Decodes `one` if it is of these forms; false if it is not.
    pub(super) fn memory_form(&mut self, frame: &mut Frame, one: &One<'_>) -> Reason<bool> {
        let is_wide = one.element() == Some(ScalarType::B128);
        match one.opcode {
            "membar" | "fence" => self.push_fence(one),
            "mov" | "ld" | "ldu" | "st" | "atom" if is_wide => self.access_128(frame, one)?,
            "atom" | "red" if vector(one).is_some() && !one.has("async") => {
                self.vector_atomic(frame, one)?;
            }
            "st" | "red" if one.has("async") => self.async_store(frame, one)?,
            "mbarrier" => self.mbarrier(frame, one)?,
            "cp" if one.has("mbarrier") => self.copy_arrival(frame, one)?,
            "cp" if one.has("bulk") => self.bulk(frame, one)?,
            "mapa" => self.map_address(frame, one)?,
            "getctarank" => {
                let target = self.target(frame, one.operand(0)?)?;
                let zero = Source::Word(self.word_constant(0));
                self.scalar(scalar::pass, 0, [target], vec![zero], one.line);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Orders what this thread does before and after for other threads of the host.
    pub(super) fn push_fence(&mut self, one: &One<'_>) {
        self.push_memory(one, MemoryKind::Fence, [None; 3], Vec::new(), Vec::new());
    }

    fn push_memory(
        &mut self,
        one: &One<'_>,
        kind: MemoryKind,
        addresses: [Option<Address>; 3],
        targets: Vec<Target>,
        sources: Vec<Source>,
    ) {
        let operation = Operation {
            kind,
            addresses,
            targets,
            sources,
        };
        self.push(one, Op::Memory(Box::new(operation)));
    }

    /// Accesses and moves of 128-bit registers, which are two longs.
    fn access_128(&mut self, frame: &mut Frame, one: &One<'_>) -> Reason<()> {
        if one.opcode == "mov" {
            let to = self.halves_of(frame, one.operand(0)?)?;
            let from = self.halves_of(frame, one.operand(1)?)?;
            for (to, from) in to.into_iter().zip(from) {
                self.push(one, Op::CopyLong(to.slot(), from.slot()));
            }
            return Ok(());
        }
        let is_store = one.opcode == "st";
        if vector(one).is_some() {
            return self.access_256(frame, one, is_store);
        }
        let at = self.address(frame, one.operand(usize::from(!is_store))?, space(one))?;
        let targets = if is_store || *one.operand(0)? == Operand::Sink {
            Vec::new()
        } else {
            let halves = self.halves_of(frame, one.operand(0)?)?;
            halves.into_iter().map(Register::target).collect()
        };
        let (kind, operands) = match one.opcode {
            "st" => (MemoryKind::Store128, 1..2),
            "atom" if one.has("exch") => (MemoryKind::Exchange128, 2..3),
            "atom" if one.has("cas") => (MemoryKind::Compare128, 2..4),
            "atom" => return Err("no such atomic operation".to_owned()),
            _ => (MemoryKind::Load128, 0..0),
        };
        let mut sources = Vec::new();
        for index in operands {
            let halves = self.halves_of(frame, one.operand(index)?)?;
            sources.extend(halves.into_iter().map(Register::source));
        }
        self.push_memory(one, kind, [Some(at), None, None], targets, sources);
        Ok(())
    }

    /// `ld.v2.b128` and `st.v2.b128`: one access after the other.
    fn access_256(&mut self, frame: &mut Frame, one: &One<'_>, is_store: bool) -> Reason<()> {
        let at = self.address(frame, one.operand(usize::from(!is_store))?, space(one))?;
        let both = match one.operand(usize::from(is_store))? {
            Operand::Vector(parts) if parts.len() == 2 && one.has("v2") => parts,
            _ => return Err("a vector of this length".to_owned()),
        };
        for (part, offset) in both.iter().zip([0, 16]) {
            let at = Address {
                offset: at.offset.wrapping_add(offset),
                ..at
            };
            let halves = if *part == Operand::Sink {
                Vec::new()
            } else {
                self.halves_of(frame, part)?
            };
            let (kind, targets, sources) = if is_store {
                let sources = halves.into_iter().map(Register::source).collect();
                (MemoryKind::Store128, Vec::new(), sources)
            } else {
                let targets = halves.into_iter().map(Register::target).collect();
                (MemoryKind::Load128, targets, Vec::new())
            };
            self.push_memory(one, kind, [Some(at), None, None], targets, sources);
        }
        Ok(())
    }

    /// The low and the high half of a 128-bit operand.
    fn halves_of(&mut self, frame: &mut Frame, operand: &Operand) -> Reason<Vec<Register>> {
        let halves = match operand {
            Operand::Vector(parts) => parts
                .iter()
                .map(|part| self.register(frame, part))
                .collect::<Reason<Vec<_>>>()?,
            Operand::Name { name, .. } => match frame.symbol(name)? {
                Some(Symbol::Vector(parts)) => parts,
                _ => return Err(format!("{name} is not a 128-bit register")),
            },
            _ => return Err("a 128-bit register is expected".to_owned()),
        };
        if halves.len() != 2 || halves.iter().any(|half| half.file != File::Long) {
            return Err("a 128-bit value is two 64-bit ones".to_owned());
        }
        Ok(halves)
    }

    fn vector_atomic(&mut self, frame: &mut Frame, one: &One<'_>) -> Reason<()> {
        let element = one.element().ok_or("no type")?;
        let count = vector(one).unwrap_or(1);
        let is_atom = one.opcode == "atom";
        let (size, function) = self.update(one, element)?;
        let at = self.address(frame, one.operand(usize::from(is_atom))?, space(one))?;
        let mut targets = Vec::new();
        if let (true, Operand::Vector(parts)) = (is_atom, one.operand(0)?) {
            for part in parts {
                targets.push(self.target(frame, part)?);
            }
        }
        let mut sources = Vec::new();
        for part in parts(one.operand(1 + usize::from(is_atom))?) {
            sources.push(self.source(frame, part, element, one.line)?);
        }
        if sources.len() != count || (!targets.is_empty() && targets.len() != count) {
            return Err("another number of elements than the type says".to_owned());
        }
        let kind = MemoryKind::VectorAtomic(function, size);
        self.push_memory(one, kind, [Some(at), None, None], targets, sources);
        Ok(())
    }

    /// Size and function of what an atomic or a reduction does to one element.
    fn update(
        &self,
        one: &One<'_>,
        element: ScalarType,
    ) -> Reason<(u32, super::super::code::AtomicFunction)> {
        let function = (one.words.iter()).find_map(|word| atomic::function(word, element));
        let function = function.ok_or("no such atomic operation")?;
        if !matches!(element.size(), 2 | 4 | 8) || element == ScalarType::Pred {
            return Err("an atomic of this type".to_owned());
        }
        Ok((u32::from(element.size()), function))
    }

    /// `st.async` and `red.async`.
    fn async_store(&mut self, frame: &mut Frame, one: &One<'_>) -> Reason<()> {
        let element = one.element().ok_or("no type")?;
        if !matches!(element.size(), 1 | 2 | 4 | 8) || element == ScalarType::Pred {
            return Err("an asynchronous store of this type".to_owned());
        }
        let at = self.address(frame, one.operand(0)?, Space::Shared)?;
        let barrier = self.address(frame, one.operand(2)?, Space::Shared)?;
        let function = if one.opcode == "red" {
            Some(self.update(one, element)?.1)
        } else {
            None
        };
        let mut sources = Vec::new();
        for part in parts(one.operand(1)?) {
            sources.push(self.source(frame, part, element, one.line)?);
        }
        let size = u32::from(element.size());
        if !(size as usize * sources.len()).is_power_of_two() {
            return Err("a vector of this length".to_owned());
        }
        let kind = MemoryKind::AsyncStore(function, size);
        let addresses = [Some(at), Some(barrier), None];
        self.push_memory(one, kind, addresses, Vec::new(), sources);
        Ok(())
    }

    fn mbarrier(&mut self, frame: &mut Frame, one: &One<'_>) -> Reason<()> {
        let first = one.words.first().map(String::as_str);
        if first == Some("pending_count") {
            let target = self.target(frame, one.operand(0)?)?;
            let state = self.source(frame, one.operand(1)?, ScalarType::B64, one.line)?;
            let function: super::super::code::ScalarFunction =
                |[state, ..], _| [mbarrier::pending(state), 0];
            self.scalar(function, 0, [target], vec![state], one.line);
            return Ok(());
        }
        let has_result = matches!(
            first,
            Some("arrive" | "arrive_drop" | "test_wait" | "try_wait")
        );
        let skip = usize::from(has_result);
        let target = if has_result {
            self.target(frame, one.operand(0)?)?
        } else {
            Target::Nothing
        };
        let at = self.address(frame, one.operand(skip)?, space(one))?;
        let is_test = matches!(first, Some("test_wait" | "try_wait"));
        let is_state = is_test && !one.has("parity");
        let kind = if is_state {
            ScalarType::B64
        } else {
            ScalarType::B32
        };
        let value = match one.operands.get(skip + 1) {
            Some(operand) => Some(self.source(frame, operand, kind, one.line)?),
            None => None,
        };
        let (kind, sources) = match first {
            Some("arrive" | "arrive_drop") => {
                let one_arrival = Source::Word(self.word_constant(1));
                let drop = first == Some("arrive_drop");
                let sources = if one.has("expect_tx") {
                    vec![one_arrival, value.ok_or("a number of bytes is missing")?]
                } else {
                    vec![value.unwrap_or(one_arrival)]
                };
                (BarrierKind::Arrive { drop }, sources)
            }
            Some("inval") => (BarrierKind::Invalidate, Vec::new()),
            _ => {
                let kind = match first {
                    Some("init") => BarrierKind::Initialise,
                    Some("expect_tx") => BarrierKind::ExpectBytes,
                    Some("complete_tx") => BarrierKind::CompleteBytes,
                    Some("test_wait" | "try_wait") if is_state => BarrierKind::Test,
                    Some("test_wait" | "try_wait") => BarrierKind::TestParity,
                    _ => return Err("this form of mbarrier".to_owned()),
                };
                (kind, vec![value.ok_or("an operand is missing")?])
            }
        };
        let kind = MemoryKind::Barrier(kind);
        self.push_memory(one, kind, [Some(at), None, None], vec![target], sources);
        if is_test {
            // Who has to wait lets the others run, who are to arrive.
            let guard = match target {
                Target::Predicate(index) => Predicate::Not(index),
                _ => Predicate::Constant(true),
            };
            let at_once = self.word_constant(0);
            self.emit(guard, Op::Sleep(at_once), one.line);
        }
        Ok(())
    }

    /// `cp.async.mbarrier.arrive`: the thread's copies are complete, so that this is an arrival;
    /// one that was added to the expected ones just before, unless `.noinc` says otherwise.
    fn copy_arrival(&mut self, frame: &mut Frame, one: &One<'_>) -> Reason<()> {
        let at = self.address(frame, one.operand(0)?, space(one))?;
        let count = u32::from(one.has("noinc"));
        let count = Source::Word(self.word_constant(count));
        let kind = MemoryKind::Barrier(BarrierKind::Arrive { drop: false });
        self.push_memory(one, kind, [Some(at), None, None], Vec::new(), vec![count]);
        Ok(())
    }

    /// `cp.async.bulk`, `cp.reduce.async.bulk`.
    fn bulk(&mut self, frame: &mut Frame, one: &One<'_>) -> Reason<()> {
        if one.has("commit_group") || one.has("wait_group") || one.has("prefetch") {
            self.push(one, Op::Nothing);
            return Ok(());
        }
        if one.has("tensor") || one.has("cp_mask") {
            return Err("this form of a bulk copy".to_owned());
        }
        let mut spaces = one.words.iter().filter_map(|word| Space::from_word(word));
        let (Some(to), Some(from)) = (spaces.next(), spaces.next()) else {
            return Err("a bulk copy names two spaces".to_owned());
        };
        // One side is shared memory, whose size bounds how long a copy can take.
        if ![to, from].contains(&Space::Shared) {
            return Err("a bulk copy outside of shared memory".to_owned());
        }
        let to = self.address(frame, one.operand(0)?, to)?;
        let from = self.address(frame, one.operand(1)?, from)?;
        let size = self.source(frame, one.operand(2)?, ScalarType::U32, one.line)?;
        let barrier = match one.operands.get(3) {
            Some(operand) if one.has("mbarrier::complete_tx::bytes") => {
                Some(self.address(frame, operand, Space::Shared)?)
            }
            _ => None,
        };
        let function = if one.has("reduce") {
            let element = one.element().ok_or("no type")?;
            let (size, function) = self.update(one, element)?;
            Some((function, size))
        } else {
            None
        };
        let kind = MemoryKind::BulkCopy(function);
        let addresses = [Some(to), Some(from), barrier];
        self.push_memory(one, kind, addresses, Vec::new(), vec![size]);
        Ok(())
    }

    /// `mapa`: a cluster is one block here, so that an address of it is its own.
    fn map_address(&mut self, frame: &mut Frame, one: &One<'_>) -> Reason<()> {
        let element = one.element().ok_or("no type")?;
        let target = self.target(frame, one.operand(0)?)?;
        let source = self.source(frame, one.operand(1)?, element, one.line)?;
        let mut sources = vec![source];
        let is_generic = space(one) == Space::Generic;
        if is_generic
            && matches!(source, Source::Word(slot) | Source::Long(slot) if slot.is_constant())
        {
            // The name of a shared variable.
            let window = Constant::Value(super::super::code::SHARED_WINDOW);
            sources.push(Source::Long(self.constant(true, window)));
        }
        let add: super::super::code::ScalarFunction = |[a, b, ..], _| [a.wrapping_add(b), 0];
        self.scalar(add, 0, [target], sources, one.line);
        Ok(())
    }
}

/// The number of elements that `.v2` and the like say.
fn vector(one: &One<'_>) -> Option<usize> {
    let digits = one.words.iter().find_map(|word| word.strip_prefix('v'))?;
    match digits {
        "2" => Some(2),
        "4" => Some(4),
        "8" => Some(8),
        _ => None,
    }
}

fn parts(operand: &Operand) -> &[Operand] {
    match operand {
        Operand::Vector(parts) => parts,
        operand => std::slice::from_ref(operand),
    }
}
