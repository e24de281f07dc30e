//! Names within one function: scopes, registers, labels, and its part of local memory.

use std::collections::HashMap;

use super::super::code::{Base, Instruction, Op, Signature};
use super::super::program::Parameter;
use super::Reason;
use crate::ptx::{Function, Registers, ScalarType, Statement};

/// Which register file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum File {
    Word,
    Long,
    Predicate,
}

impl File {
    pub(super) fn of(element: ScalarType) -> Reason<Self> {
        Ok(match element {
            ScalarType::Pred => Self::Predicate,
            ScalarType::B128 => return Err("a 128-bit register here".to_owned()),
            _ if element.size() == 8 => Self::Long,
            _ => Self::Word,
        })
    }
}

/// A virtual register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Register {
    pub(super) file: File,
    pub(super) index: u32,
    /// Size of the declared type, in bytes.
    pub(super) size: u8,
}

/// What a name stands for.
#[derive(Debug, Clone)]
pub(super) enum Symbol {
    Register(Register),
    /// A vector register's components.
    Vector(Vec<Register>),
    /// Offset in the function's part of local memory.
    Local(u32),
    /// Offset in the block's shared memory.
    Shared(u32),
    DynamicShared,
    /// Offset in the parameter buffer of the launch.
    KernelParameter(u32),
    Prototype(Signature),
    /// Labels, by number.
    Targets(Vec<u32>),
    /// A variable of the module, in global or constant memory.
    Global,
    /// Index in the module.
    Function(usize),
}

/// One function while it is decoded.
pub(super) struct Frame {
    pub(super) is_entry: bool,
    pub(super) signature: Signature,
    pub(super) local_bytes: u64,
    /// Results that the function keeps in registers: stored to the frame at each return.
    pub(super) register_results: Vec<(Register, u32, ScalarType)>,
    scopes: Vec<Scope>,
    counts: [u32; 3],
    /// Where each label stands, once it was met.
    labels: Vec<Option<u32>>,
    /// The predicate that holds the carry flag of `add.cc` and the like.
    carry: Option<Register>,
}

#[derive(Default)]
struct Scope {
    symbols: HashMap<String, Symbol>,
    ranges: Vec<Registers>,
    labels: HashMap<String, u32>,
}

impl Frame {
    pub(super) fn new(function: &Function) -> Self {
        let signature = if function.is_entry {
            Signature::default()
        } else {
            Signature::of(&function.returns, &function.parameters)
        };
        let local_bytes = u64::from(signature.bytes);
        let reserved = if function.is_entry { 0 } else { RESERVED_WORDS };
        Self {
            is_entry: function.is_entry,
            signature,
            local_bytes,
            register_results: Vec::new(),
            scopes: vec![Scope::default()],
            counts: [reserved, 0, 0],
            labels: Vec::new(),
            carry: None,
        }
    }

    /// Word rows at the start of the frame that hold the way back to the caller.
    pub(super) fn reserved_words(&self) -> u32 {
        if self.is_entry { 0 } else { RESERVED_WORDS }
    }

    /// Opens a scope; its labels are known from the start, because branches go forward.
    pub(super) fn open(&mut self, statements: &[Statement]) {
        let mut scope = Scope::default();
        for statement in statements {
            if let Statement::Label(name) = statement {
                scope.labels.insert(name.clone(), self.labels.len() as u32);
                self.labels.push(None);
            }
        }
        self.scopes.push(scope);
    }

    pub(super) fn close(&mut self) {
        self.scopes.pop();
    }

    pub(super) fn declare(&mut self, name: &str, symbol: Symbol) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.symbols.insert(name.to_owned(), symbol);
        }
    }

    pub(super) fn declare_registers(&mut self, registers: &Registers) {
        if let Some(scope) = self.scopes.last_mut() {
            // A later declaration of the same name hides the earlier one.
            scope.symbols.remove(&registers.name);
            scope.ranges.push(registers.clone());
        }
    }

    pub(super) fn new_register(&mut self, element: ScalarType) -> Reason<Register> {
        let file = File::of(element)?;
        let count = &mut self.counts[file as usize];
        let index = *count;
        *count += 1;
        Ok(Register {
            file,
            index,
            size: element.size(),
        })
    }

    /// The carry flag.
    pub(super) fn carry(&mut self) -> Register {
        if let Some(carry) = self.carry {
            return carry;
        }
        let index = self.counts[File::Predicate as usize];
        self.counts[File::Predicate as usize] += 1;
        let carry = Register {
            file: File::Predicate,
            index,
            size: 1,
        };
        self.carry = Some(carry);
        carry
    }

    /// What `name` means here, as far as this function declares it.
    pub(super) fn symbol(&mut self, name: &str) -> Reason<Option<Symbol>> {
        for level in (0..self.scopes.len()).rev() {
            if let Some(symbol) = self.scopes[level].symbols.get(name) {
                return Ok(Some(symbol.clone()));
            }
            let range = self.scopes[level]
                .ranges
                .iter()
                .rev()
                .find(|range| range.covers(name));
            let Some((element, components)) = range.map(|range| (range.element, range.components))
            else {
                continue;
            };
            let symbol = if element == ScalarType::B128 && components == 1 {
                // Two longs, the low one first.
                let halves = (0..2).map(|_| self.new_register(ScalarType::B64));
                Symbol::Vector(halves.collect::<Reason<_>>()?)
            } else if components > 1 {
                let parts = (0..components).map(|_| self.new_register(element));
                Symbol::Vector(parts.collect::<Reason<_>>()?)
            } else {
                Symbol::Register(self.new_register(element)?)
            };
            self.scopes[level]
                .symbols
                .insert(name.to_owned(), symbol.clone());
            return Ok(Some(symbol));
        }
        Ok(None)
    }

    /// The number of the label `name`; a label that nowhere stands is found in [`Self::resolve`].
    pub(super) fn label(&mut self, name: &str) -> u32 {
        let known = self
            .scopes
            .iter()
            .rev()
            .find_map(|scope| scope.labels.get(name).copied());
        known.unwrap_or_else(|| {
            let number = self.labels.len() as u32;
            self.labels.push(None);
            self.scopes[0].labels.insert(name.to_owned(), number);
            number
        })
    }

    pub(super) fn place_label(&mut self, name: &str, at: u32) {
        let number = self.label(name);
        self.labels[number as usize] = Some(at);
    }

    /// Replaces label numbers by the places of the labels.
    pub(super) fn resolve(&self, instructions: &mut [Instruction]) -> Reason<()> {
        let place = |label: &mut u32| -> Reason<()> {
            let found = self.labels.get(*label as usize).copied().flatten();
            *label = found.ok_or_else(|| "a branch to a label that does not exist".to_owned())?;
            Ok(())
        };
        for instruction in instructions {
            match &mut instruction.op {
                Op::Branch(label) => place(label)?,
                Op::BranchTable(_, labels) => labels.iter_mut().try_for_each(place)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Room for one parameter of a call in this function's local memory.
    pub(super) fn temporary(&mut self, place: Parameter) -> u32 {
        let offset = self
            .local_bytes
            .next_multiple_of(u64::from(place.align.max(1)));
        self.local_bytes = offset + u64::from(place.size);
        offset as u32
    }
}

impl Base {
    /// Whether no register is involved.
    pub(super) fn is_fixed(self) -> bool {
        matches!(self, Self::None)
    }
}

/// Return address, the caller's rows, the caller's local memory.
const RESERVED_WORDS: u32 = 4;
