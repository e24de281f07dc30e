//! The dispatch over opcodes, and control flow: branches, calls, returns, ends.

use super::super::code::{Call, Callee, Op, Predicate, Results, Signature};
use super::scope::{Frame, Symbol};
use super::{Builder, Reason};
use crate::ptx::{Instruction, Operand, ScalarType};

/// One instruction as the decoder looks at it.
#[derive(Clone, Copy)]
pub(super) struct One<'a> {
    pub(super) opcode: &'a str,
    pub(super) words: &'a [String],
    /// The types among the modifiers, in order.
    pub(super) types: &'a [ScalarType],
    pub(super) operands: &'a [Operand],
    pub(super) line: u32,
}

impl<'a> One<'a> {
    pub(super) fn has(&self, word: &str) -> bool {
        self.words.iter().any(|one| one == word)
    }

    /// The last type: that of the operands where there are several.
    pub(super) fn element(&self) -> Option<ScalarType> {
        self.types.last().copied()
    }

    pub(super) fn operand(&self, index: usize) -> Reason<&'a Operand> {
        self.operands
            .get(index)
            .ok_or_else(|| "an operand is missing".to_owned())
    }
}

impl Builder<'_> {
    pub(super) fn instruction(
        &mut self,
        frame: &mut Frame,
        instruction: &Instruction,
        operands: &[Operand],
    ) -> Reason<()> {
        let guard = self.guard(frame, instruction.guard.as_ref())?;
        let start = self.instructions.len();
        let types: Vec<ScalarType> = instruction
            .modifiers
            .iter()
            .filter_map(|word| ScalarType::from_word(word))
            .collect();
        let one = One {
            opcode: &instruction.opcode,
            words: &instruction.modifiers,
            types: &types,
            operands,
            line: instruction.line,
        };
        let known = self.flow(frame, &one)?
            || self.sync(frame, &one)?
            || self.matrix(frame, &one)?
            || self.stack(frame, &one)?
            || self.memory_form(frame, &one)?
            || self.access(frame, &one)?
            || self.image(frame, &one)?
            || self.moves(frame, &one)?
            || self.arithmetic(frame, &one)?;
        if !known {
            return Err("this executor does not know the instruction".to_owned());
        }
        if self.instructions.len() > INSTRUCTIONS_MAX {
            return Err("the kernel is too long".to_owned());
        }
        for emitted in &mut self.instructions[start..] {
            // What is emitted with a guard of its own keeps it in an instruction that has none.
            if guard != Predicate::Constant(true) {
                emitted.guard = guard;
            }
        }
        Ok(())
    }

    /// Decodes `one` if it is control flow; false if it is not.
    fn flow(&mut self, frame: &mut Frame, one: &One<'_>) -> Reason<bool> {
        let op = match one.opcode {
            "bra" => match one.operand(0)? {
                Operand::Name { name, .. } => Op::Branch(frame.label(name)),
                _ => return Err("a label is expected".to_owned()),
            },
            "brx" => {
                let index = self.word(frame, one.operand(0)?, ScalarType::U32, one.line)?;
                let Operand::Name { name, .. } = one.operand(1)? else {
                    return Err("a list of labels is expected".to_owned());
                };
                let Some(Symbol::Targets(labels)) = frame.symbol(name)? else {
                    return Err(format!("{name} is not a list of labels"));
                };
                Op::BranchTable(index, labels.into_boxed_slice())
            }
            "call" => return self.call(frame, one).map(|()| true),
            "ret" => {
                return self
                    .flow_return(frame, Predicate::Constant(true), one.line)
                    .map(|()| true);
            }
            "exit" => Op::Exit,
            "trap" => Op::Trap,
            "brkpt" => Op::Breakpoint,
            "nanosleep" => {
                Op::Sleep(self.word(frame, one.operand(0)?, ScalarType::U32, one.line)?)
            }
            "prefetch" | "prefetchu" | "pmevent" | "discard" | "applypriority"
            | "griddepcontrol" | "setmaxnreg" => Op::Nothing,
            _ => return Ok(false),
        };
        self.push(one, op);
        Ok(true)
    }

    /// Emits the return of a function, its register results stored first; the end of a kernel.
    pub(super) fn flow_return(
        &mut self,
        frame: &mut Frame,
        guard: Predicate,
        line: u32,
    ) -> Reason<()> {
        for (register, offset, element) in frame.register_results.clone() {
            self.store_local(register.source(), offset, u32::from(element.size()), line);
        }
        self.emit(
            guard,
            if frame.is_entry { Op::Exit } else { Op::Return },
            line,
        );
        Ok(())
    }

    /// `call (results), function, (arguments), prototype;`, both lists optional.
    fn call(&mut self, frame: &mut Frame, one: &One<'_>) -> Reason<()> {
        let mut operands = one.operands.iter().peekable();
        let mut list = |wanted: bool| match operands.peek() {
            Some(Operand::List(list)) if wanted => {
                operands.next();
                Some(list.as_slice())
            }
            _ => None,
        };
        let results = list(true).unwrap_or_default();
        let Some(callee) = operands.next() else {
            return Err("no function is named".to_owned());
        };
        let arguments = match operands.peek() {
            Some(Operand::List(list)) => {
                operands.next();
                list.as_slice()
            }
            _ => &[],
        };
        let Operand::Name { name, .. } = callee else {
            return Err("a function is expected".to_owned());
        };
        self.has_calls = true;
        let (callee, signature) = match frame.symbol(name)? {
            Some(Symbol::Register(_)) => {
                let slot = self.long(frame, callee, ScalarType::U64, one.line)?;
                let Some(Operand::Name {
                    name: prototype, ..
                }) = operands.next()
                else {
                    return Err("an indirect call needs a prototype".to_owned());
                };
                let Some(Symbol::Prototype(signature)) = frame.symbol(prototype)? else {
                    return Err(format!("{prototype} is not a prototype"));
                };
                self.want_all();
                (Callee::Indirect(slot), signature)
            }
            _ => self.direct(name)?,
        };
        if signature.parameters.len() != arguments.len() || signature.results.len() != results.len()
        {
            return Err("the call does not fit the function".to_owned());
        }
        self.finish_call(frame, one, callee, &signature, results, arguments)
    }

    fn direct(&mut self, name: &str) -> Reason<(Callee, Signature)> {
        let program = self.program;
        let Some(&index) = program.functions.get(name) else {
            return Err(format!("unknown function {name}"));
        };
        let function = &program.module.functions[index];
        let callee = match (function.body.is_some(), name) {
            (true, _) if function.is_entry => return Err("a call of a kernel".to_owned()),
            (true, _) => Callee::Function(self.want(index)),
            (false, name) => {
                built_in(name).ok_or_else(|| format!("the function {name} is not defined"))?
            }
        };
        Ok((
            callee,
            Signature::of(&function.returns, &function.parameters),
        ))
    }

    fn finish_call(
        &mut self,
        frame: &mut Frame,
        one: &One<'_>,
        callee: Callee,
        signature: &Signature,
        results: &[Operand],
        arguments: &[Operand],
    ) -> Reason<()> {
        let mut copies_in = Vec::new();
        for (operand, &place) in arguments.iter().zip(&signature.parameters) {
            let from = match self.local_variable(frame, operand)? {
                Some(offset) => offset,
                None => {
                    // A register or literal goes by way of a variable, as nvcc's do.
                    let offset = frame.temporary(place);
                    let element = word_type(place.size)?;
                    let source = self.source(frame, operand, element, one.line)?;
                    self.store_local(source, offset, place.size, one.line);
                    offset
                }
            };
            copies_in.push((from, place.offset, place.size));
        }
        let mut copies_out = Vec::new();
        let mut loads = Vec::new();
        for (operand, &place) in results.iter().zip(&signature.results) {
            let to = match self.local_variable(frame, operand)? {
                Some(offset) => offset,
                None => {
                    let offset = frame.temporary(place);
                    loads.push((
                        self.register(frame, operand)?,
                        offset,
                        word_type(place.size)?,
                    ));
                    offset
                }
            };
            copies_out.push((place.offset, to, place.size));
        }
        let call = Call {
            callee,
            arguments: copies_in,
            rows: 0,
            local_bytes: 0,
        };
        self.push(one, Op::Call(Box::new(call)));
        if !copies_out.is_empty() {
            let results = Results {
                copies: copies_out,
                local_bytes: 0,
            };
            self.push(one, Op::Results(Box::new(results)));
        }
        for (register, offset, element) in loads {
            self.load_local(frame, register, offset, element, one.line);
        }
        Ok(())
    }

    fn local_variable(&mut self, frame: &mut Frame, operand: &Operand) -> Reason<Option<u32>> {
        let Operand::Name { name, .. } = operand else {
            return Ok(None);
        };
        Ok(match frame.symbol(name)? {
            Some(Symbol::Local(offset)) => Some(offset),
            _ => None,
        })
    }
}

/// A function that is called but defined nowhere, for the driver has it.
fn built_in(name: &str) -> Option<Callee> {
    match name {
        "__assertfail" => Some(Callee::AssertFail),
        "free" => Some(Callee::Free),
        "malloc" => Some(Callee::Allocate),
        "vprintf" => Some(Callee::Print),
        _ => None,
    }
}

/// Whether device code may call a function of this name without defining it.
#[must_use]
pub fn is_built_in(name: &str) -> bool {
    built_in(name).is_some()
}

fn word_type(size: u32) -> Reason<ScalarType> {
    Ok(match size {
        1 => ScalarType::B8,
        2 => ScalarType::B16,
        4 => ScalarType::B32,
        8 => ScalarType::B64,
        _ => return Err("an aggregate needs a parameter variable".to_owned()),
    })
}

/// Decoded instructions of one kernel; inlined libraries reach tens of thousands.
const INSTRUCTIONS_MAX: usize = 1 << 22;
