//! Turns the statements of a kernel, and of what it calls, into [`Code`].
//!
//! One [`Builder`] a kernel holds what all its functions share (constants, shared memory), one
//! [`Frame`](scope::Frame) a function holds its registers, labels and local memory. Virtual
//! registers become rows when a function is complete.

mod access;
mod arithmetic;
mod convert;
mod flow;
mod half;
mod image;
mod matrix;
mod memory_forms;
mod moves;
mod operand;
mod scope;
mod stack;
mod sync;
mod video;

use std::collections::HashMap;

pub use self::flow::is_built_in;
use self::scope::{Frame, Symbol};
use super::allocate;
use super::code::{Code, Constant, FunctionCode, Instruction, Op, Predicate, Signature};
use super::program::{DecodeError, Kernel, Program, fits, parameters};
use crate::ptx::{Function, Linkage, Operands, Space, Statement, Variable};

/// The reason why something cannot be decoded.
type Reason<T> = Result<T, String>;

/// Decodes the kernel `name`, which exists.
pub(super) fn kernel(program: &Program, name: &str) -> Result<Kernel, DecodeError> {
    let mut builder = Builder::new(program, name);
    let index = program.functions.get(name).copied();
    let function = index.map(|index| &program.module.functions[index]);
    let Some(function) = function.filter(|function| function.body.is_some()) else {
        return Err(builder.error(name, 0, "no such kernel".to_owned()));
    };
    builder.wanted.push(index.unwrap_or_default());
    let mut done = 0;
    while done < builder.wanted.len() {
        if builder.wanted.len() > FUNCTIONS_MAX {
            return Err(builder.error(name, function.line, "too many functions".to_owned()));
        }
        builder.function(builder.wanted[done])?;
        done += 1;
    }
    Ok(builder.finish(function))
}

/// What the functions of one kernel share.
struct Builder<'p> {
    program: &'p Program,
    kernel: &'p str,
    /// Functions to decode (indices in the module), the entry first; grows as calls are met.
    wanted: Vec<usize>,
    functions: Vec<FunctionCode>,
    instructions: Vec<Instruction>,
    words: Vec<Constant>,
    longs: Vec<Constant>,
    constant_index: HashMap<(bool, Constant), u32>,
    shared_bytes: u64,
    /// Module-scope shared variables already placed.
    shared_offsets: HashMap<String, u64>,
    dynamic_shared_align: u64,
    has_calls: bool,
    has_indirect_calls: bool,
    registers: u32,
}

impl<'p> Builder<'p> {
    fn new(program: &'p Program, kernel: &'p str) -> Self {
        Self {
            program,
            kernel,
            wanted: Vec::new(),
            functions: Vec::new(),
            instructions: Vec::new(),
            words: Vec::new(),
            longs: Vec::new(),
            constant_index: HashMap::new(),
            shared_bytes: 0,
            shared_offsets: HashMap::new(),
            dynamic_shared_align: 16,
            has_calls: false,
            has_indirect_calls: false,
            registers: 0,
        }
    }

    fn error(&self, instruction: &str, line: u32, reason: String) -> DecodeError {
        let (kernel, instruction) = (self.kernel.to_owned(), instruction.to_owned());
        DecodeError {
            kernel,
            instruction,
            line,
            reason,
        }
    }

    fn function(&mut self, index: usize) -> Result<(), DecodeError> {
        let function = &self.program.module.functions[index];
        let Some(body) = &function.body else {
            let reason = "the function has no body".to_owned();
            return Err(self.error(&function.name, function.line, reason));
        };
        let start = self.instructions.len();
        let mut frame = Frame::new(function);
        self.enter(&mut frame, function)
            .map_err(|reason| self.error(&function.name, function.line, reason))?;
        self.block(&mut frame, body)?;
        // Falling off the end returns.
        self.emit(Predicate::Constant(true), Op::Nothing, function.line);
        self.flow_return(&mut frame, Predicate::Constant(true), function.line)
            .map_err(|reason| self.error(&function.name, function.line, reason))?;
        frame
            .resolve(&mut self.instructions[start..])
            .map_err(|reason| self.error(&function.name, function.line, reason))?;
        let reserved = frame.reserved_words();
        let rows = allocate::allocate(&mut self.instructions[start..], start as u32, reserved);
        self.registers = self.registers.max(rows.registers);
        if rows.rows > ROWS_MAX || frame.local_bytes > LOCAL_BYTES_MAX {
            let reason = "more registers or local memory than a thread can have".to_owned();
            return Err(self.error(&function.name, function.line, reason));
        }
        let local_bytes = frame.local_bytes.next_multiple_of(16) as u32;
        for instruction in &mut self.instructions[start..] {
            match &mut instruction.op {
                Op::Call(call) => (call.rows, call.local_bytes) = (rows.rows, local_bytes),
                Op::Results(results) => results.local_bytes = local_bytes,
                Op::Memory(operation) => operation.kind.set_frame_bytes(local_bytes),
                _ => {}
            }
        }
        let start = start as u32;
        self.functions.push(FunctionCode {
            start,
            rows: rows.rows,
            local_bytes,
        });
        Ok(())
    }

    /// Declares the parameters of `function` and loads those that are registers.
    fn enter(&mut self, frame: &mut Frame, function: &Function) -> Reason<()> {
        let signature = frame.signature.clone();
        if function.is_entry {
            for (variable, place) in function
                .parameters
                .iter()
                .zip(parameters(&function.parameters))
            {
                frame.declare(&variable.name, Symbol::KernelParameter(place.offset));
            }
            return Ok(());
        }
        let results = function.returns.iter().zip(&signature.results);
        let arguments = function.parameters.iter().zip(&signature.parameters);
        for (variable, place) in results {
            self.parameter(frame, variable, place.offset, false)?;
        }
        for (variable, place) in arguments {
            self.parameter(frame, variable, place.offset, true)?;
        }
        Ok(())
    }

    fn parameter(
        &mut self,
        frame: &mut Frame,
        variable: &Variable,
        offset: u32,
        load: bool,
    ) -> Reason<()> {
        if variable.space != Space::Register {
            frame.declare(&variable.name, Symbol::Local(offset));
            return Ok(());
        }
        let register = frame.new_register(variable.element)?;
        frame.declare(&variable.name, Symbol::Register(register));
        if load {
            self.load_local(frame, register, offset, variable.element, variable.line);
        } else {
            frame
                .register_results
                .push((register, offset, variable.element));
        }
        Ok(())
    }

    fn block(&mut self, frame: &mut Frame, statements: &'p [Statement]) -> Result<(), DecodeError> {
        frame.open(statements);
        for statement in statements {
            self.statement(frame, statement)?;
        }
        frame.close();
        Ok(())
    }

    fn statement(
        &mut self,
        frame: &mut Frame,
        statement: &'p Statement,
    ) -> Result<(), DecodeError> {
        match statement {
            Statement::Block(statements) => self.block(frame, statements)?,
            Statement::Label(name) => frame.place_label(name, self.instructions.len() as u32),
            Statement::Registers(registers) => frame.declare_registers(registers),
            Statement::Variable(variable) => self
                .variable(frame, variable)
                .map_err(|reason| self.error(&variable.name, variable.line, reason))?,
            Statement::Prototype {
                name,
                returns,
                parameters,
            } => {
                if !fits(returns) || !fits(parameters) {
                    return Err(self.error(name, 0, "too large a prototype".to_owned()));
                }
                frame.declare(name, Symbol::Prototype(Signature::of(returns, parameters)));
            }
            Statement::Targets { name, targets } => {
                let labels = targets.iter().map(|target| frame.label(target)).collect();
                frame.declare(name, Symbol::Targets(labels));
            }
            Statement::Instruction(instruction) => {
                let reason = match &instruction.operands {
                    Operands::Parsed(operands) => self.instruction(frame, instruction, operands),
                    Operands::Unsupported(_) => Err("operands not understood".to_owned()),
                };
                reason.map_err(|reason| {
                    let text = match &instruction.operands {
                        Operands::Unsupported(text) => text.clone(),
                        Operands::Parsed(_) => instruction.name(),
                    };
                    self.error(&text, instruction.line, reason)
                })?;
            }
        }
        Ok(())
    }

    /// A variable of function scope.
    fn variable(&mut self, frame: &mut Frame, variable: &Variable) -> Reason<()> {
        let symbol = match variable.space {
            Space::Shared if variable.linkage == Linkage::Extern => {
                self.dynamic_shared_align = self.dynamic_shared_align.max(variable.align);
                Symbol::DynamicShared
            }
            Space::Shared => Symbol::Shared(self.place_shared(variable)?),
            Space::Local | Space::Param => {
                let offset = frame.local_bytes.next_multiple_of(variable.align);
                frame.local_bytes = offset + variable.size;
                if frame.local_bytes > LOCAL_BYTES_MAX {
                    return Err("local memory of a thread is exhausted".to_owned());
                }
                Symbol::Local(offset as u32)
            }
            _ => return Err("a variable of this space inside a function".to_owned()),
        };
        frame.declare(&variable.name, symbol);
        Ok(())
    }

    fn place_shared(&mut self, variable: &Variable) -> Reason<u32> {
        let offset = self.shared_bytes.next_multiple_of(variable.align);
        self.shared_bytes = offset + variable.size;
        if self.shared_bytes > SHARED_BYTES_MAX {
            return Err("shared memory of a block is exhausted".to_owned());
        }
        Ok(offset as u32)
    }

    /// The symbol `name` of module scope.
    fn module_symbol(&mut self, name: &str) -> Option<Reason<Symbol>> {
        if let Some(&index) = self.program.functions.get(name) {
            return Some(Ok(Symbol::Function(index)));
        }
        let index = *self.program.variables.get(name)?;
        let variable = &self.program.module.variables[index];
        Some(match variable.space {
            Space::Global | Space::Const => Ok(Symbol::Global),
            Space::Shared if variable.linkage == Linkage::Extern => {
                self.dynamic_shared_align = self.dynamic_shared_align.max(variable.align);
                Ok(Symbol::DynamicShared)
            }
            Space::Shared => match self.shared_offsets.get(name) {
                Some(&offset) => Ok(Symbol::Shared(offset as u32)),
                None => self.place_shared(variable).map(|offset| {
                    self.shared_offsets
                        .insert(name.to_owned(), u64::from(offset));
                    Symbol::Shared(offset)
                }),
            },
            _ => Err(format!(
                "{name} has a space that module scope does not have"
            )),
        })
    }

    fn emit(&mut self, guard: Predicate, op: Op, line: u32) {
        self.instructions.push(Instruction { guard, op, line });
    }

    /// Index in [`Code::functions`] of the function at `index` in the module.
    fn want(&mut self, index: usize) -> usize {
        self.wanted
            .iter()
            .position(|&known| known == index)
            .unwrap_or_else(|| {
                self.wanted.push(index);
                self.wanted.len() - 1
            })
    }

    /// An indirect call may reach every function of the module that has a body.
    fn want_all(&mut self) {
        self.has_indirect_calls = true;
        for (index, function) in self.program.module.functions.iter().enumerate() {
            let defined = self.program.functions.get(&function.name) == Some(&index);
            if defined && !function.is_entry && function.body.is_some() {
                self.want(index);
            }
        }
    }

    fn finish(self, function: &Function) -> Kernel {
        let static_shared_bytes = self.shared_bytes as u32;
        let entry_local_bytes = self.functions[0].local_bytes;
        let by_address = self
            .wanted
            .iter()
            .enumerate()
            .map(|(code, &module)| (module, code))
            .collect();
        Kernel {
            name: function.name.clone(),
            parameters: parameters(&function.parameters),
            limits: function.limits,
            static_shared_bytes,
            code: Code {
                instructions: self.instructions,
                functions: self.functions,
                by_address,
                words: self.words,
                longs: self.longs,
                dynamic_shared_offset: self
                    .shared_bytes
                    .next_multiple_of(self.dynamic_shared_align)
                    as u32,
                entry_local_bytes,
                has_calls: self.has_calls,
                registers: self.registers,
            },
        }
    }
}

impl Signature {
    /// Offsets for the given results and parameters.
    fn of(results: &[Variable], arguments: &[Variable]) -> Self {
        let all: Vec<Variable> = results.iter().chain(arguments).cloned().collect();
        let mut places = parameters(&all);
        let bytes = places.last().map_or(0, |last| last.offset + last.size);
        let arguments = places.split_off(results.len());
        Self {
            results: places,
            parameters: arguments,
            bytes,
        }
    }
}

/// Functions that one kernel may reach; far above any program, below what exhausts memory.
const FUNCTIONS_MAX: usize = 1 << 14;
/// Rows of a frame after registers were allocated: 3 MiB a warp, a hundred times what kernels use.
const ROWS_MAX: u32 = 1 << 13;
/// CUDA's limit for the local memory of a thread is 512 KiB.
const LOCAL_BYTES_MAX: u64 = 512 << 10;
/// The largest shared memory of any device so far is 228 KiB.
const SHARED_BYTES_MAX: u64 = 256 << 10;
