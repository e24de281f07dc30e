//! The PTX front end: text to a checked syntax tree, so that nothing later reads text.
//!
//! Everything the PTX grammar lets a module say is parsed, whatever its `.target` and `.version`.
//! An instruction whose operands this parser does not understand is kept as text
//! ([`Operands::Unsupported`]): a module holds many kernels, and only the kernel that contains
//! such an instruction must fail, when it is decoded. Source for the grammar: the PTX ISA manual.

mod body;
mod cursor;
mod lexer;
mod literal;
mod parser;
mod types;

pub use types::{Component, ScalarType, Space};

/// Parses one PTX module.
///
/// A NUL ends the text, as it does in an image handed to `cuModuleLoadData`.
///
/// # Errors
/// The first place where the text is not a PTX module. Never panics, whatever the text holds.
pub fn parse(text: &str) -> Result<Module, ParseError> {
    let text = text.split('\0').next().unwrap_or_default();
    parser::Parser::new(text)?.module()
}

/// Why a text is not a PTX module.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("PTX line {line}: {message}")]
pub struct ParseError {
    /// Line of the text, counted from 1.
    pub line: u32,
    /// What was found there and what was expected.
    pub message: String,
}

/// A parsed module.
#[derive(Debug, Clone, Default)]
pub struct Module {
    /// `.version`, major and minor; (0, 0) if absent.
    pub version: (u32, u32),
    /// The words of `.target`.
    pub targets: Vec<String>,
    /// Variables of module scope, in order.
    pub variables: Vec<Variable>,
    /// Entries and functions, prototypes included, in order.
    pub functions: Vec<Function>,
}

/// Whether and how a symbol is seen outside its module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Linkage {
    /// Seen in this module only.
    #[default]
    Local,
    /// `.visible`
    Visible,
    /// `.extern`: defined elsewhere.
    Extern,
    /// `.weak` and `.common`
    Weak,
}

/// A declared variable: global, constant, shared, local, or a parameter.
#[derive(Debug, Clone)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// State space.
    pub space: Space,
    /// Type of one element.
    pub element: ScalarType,
    /// Alignment in bytes, a power of two.
    pub align: u64,
    /// Whole size in bytes; 0 for `[]`.
    pub size: u64,
    /// Initial values from offset 0 on; what is not covered is zero.
    pub initial: Vec<Initial>,
    /// Linkage.
    pub linkage: Linkage,
    /// Declared with `.attribute(.managed)`.
    pub managed: bool,
    /// Line of the declaration.
    pub line: u32,
}

/// One element of an initialiser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Initial {
    /// The element's bits, right-aligned, `size` bytes of them.
    Bits {
        /// The value.
        value: u64,
        /// Size of the element in bytes.
        size: u8,
    },
    /// The address of a variable or function, plus `addend`.
    Address {
        /// Name of the symbol.
        symbol: String,
        /// Added to the address.
        addend: i64,
        /// Size of the element in bytes.
        size: u8,
    },
}

/// An `.entry` or `.func`.
#[derive(Debug, Clone)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// True for `.entry`.
    pub is_entry: bool,
    /// Linkage.
    pub linkage: Linkage,
    /// Return parameters of a `.func`.
    pub returns: Vec<Variable>,
    /// Parameters.
    pub parameters: Vec<Variable>,
    /// Performance directives that a launch must respect.
    pub limits: Limits,
    /// The statements; `None` for a prototype.
    pub body: Option<Vec<Statement>>,
    /// Line of the declaration.
    pub line: u32,
}

/// Launch bounds of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// `.maxntid`, missing dimensions as 1.
    pub max_threads: Option<[u32; 3]>,
    /// `.reqntid`, missing dimensions as 1.
    pub required_threads: Option<[u32; 3]>,
    /// `.minnctapersm`
    pub min_blocks: Option<u32>,
    /// `.maxnreg`
    pub max_registers: Option<u32>,
    /// `.reqnctapercluster`
    pub cluster: Option<[u32; 3]>,
}

/// A statement of a function body.
#[derive(Debug, Clone)]
pub enum Statement {
    /// `{ ... }`: a scope of its own for registers, variables and labels.
    Block(Vec<Self>),
    /// `name:`
    Label(String),
    /// `.reg`
    Registers(Registers),
    /// A variable of function scope.
    Variable(Variable),
    /// `name: .callprototype ...`
    Prototype {
        /// The label.
        name: String,
        /// Return parameters.
        returns: Vec<Variable>,
        /// Parameters.
        parameters: Vec<Variable>,
    },
    /// `name: .branchtargets a, b;` or `.calltargets`
    Targets {
        /// The label.
        name: String,
        /// The names listed.
        targets: Vec<String>,
    },
    /// An instruction.
    Instruction(Instruction),
}

/// One name (or one range of names) of a `.reg` statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registers {
    /// Type of the registers.
    pub element: ScalarType,
    /// Components: 1, 2 or 4.
    pub components: u8,
    /// Name, or prefix of a range.
    pub name: String,
    /// For `%r<5>` the 5: the names are `%r0` to `%r4`.
    pub count: Option<u32>,
    /// Line of the declaration.
    pub line: u32,
}

/// An instruction.
#[derive(Debug, Clone)]
pub struct Instruction {
    /// `@p` or `@!p`.
    pub guard: Option<Guard>,
    /// The first word, such as `ld`.
    pub opcode: String,
    /// The other words, without their dots.
    pub modifiers: Vec<String>,
    /// What it works on.
    pub operands: Operands,
    /// Line of the text.
    pub line: u32,
}

impl Instruction {
    /// Opcode and modifiers as written, such as `ld.global.f32`.
    #[must_use]
    pub fn name(&self) -> String {
        let mut name = self.opcode.clone();
        for modifier in &self.modifiers {
            name.push('.');
            name.push_str(modifier);
        }
        name
    }
}

/// The predicate of an instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guard {
    /// Name of the predicate register.
    pub register: String,
    /// True for `@!p`.
    pub negated: bool,
}

/// The operands of an instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operands {
    /// Understood, in order.
    Parsed(Vec<Operand>),
    /// Not understood: the text of the instruction, for the message.
    Unsupported(String),
}

/// One operand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operand {
    /// A register, symbol or label, `name+offset` included.
    Name {
        /// The name.
        name: String,
        /// For `%tid.x` the x.
        component: Option<Component>,
        /// Bytes added to the symbol's address.
        offset: i64,
    },
    /// An integer, as 64 bits of two's complement.
    Integer(u64),
    /// `0f...`: bits of a single.
    Single(u32),
    /// `0d...`, or a decimal fraction: bits of a double.
    Double(u64),
    /// `{a, b}`
    Vector(Vec<Self>),
    /// `(a, b)`: arguments of a call.
    List(Vec<Self>),
    /// `[base+offset]`, with what follows a comma inside the brackets in `rest`.
    Address {
        /// Register, symbol or number, its offset included.
        base: Box<Self>,
        /// Coordinates and the like.
        rest: Vec<Self>,
    },
    /// `a|b`
    Pair(Box<Self>, Box<Self>),
    /// `!p`
    Not(Box<Self>),
    /// `-a`, of a register: an operand of `vmad`.
    Minus(Box<Self>),
    /// `_`: a result that is not wanted.
    Sink,
}
