//! A linked module: symbols, globals, parameter layouts, and kernels decoded on first use.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use super::code::Code;
use super::decode;
use crate::ptx::{self, Function, Initial, Linkage, Space, Variable};

/// A module whose symbols are resolved. Cheap to share; all its methods take `&self`.
#[derive(Debug)]
pub struct Program {
    pub(super) module: ptx::Module,
    /// Name to index in `module.functions`; a body beats a prototype.
    pub(super) functions: HashMap<String, usize>,
    /// Name to index in `module.variables`; a definition beats `.extern`.
    pub(super) variables: HashMap<String, usize>,
    /// The entries, each decoded at most once.
    kernels: HashMap<String, OnceLock<Result<Arc<Kernel>, DecodeError>>>,
    globals: Vec<Global>,
}

impl Program {
    /// Resolves the symbols of `module`.
    ///
    /// # Errors
    /// A symbol defined twice, or an initialiser that names what does not exist.
    pub fn link(module: &ptx::Module) -> Result<Self, LinkError> {
        let module = module.clone();
        let functions = function_index(&module)?;
        let variables = variable_index(&module)?;
        let kernels = (module.functions.iter())
            .filter(|function| function.is_entry && function.body.is_some())
            .map(|function| (function.name.clone(), OnceLock::new()))
            .collect();
        let mut program = Self {
            module,
            functions,
            variables,
            kernels,
            globals: Vec::new(),
        };
        program.globals = program.lay_out_globals()?;
        Ok(program)
    }

    /// Names of the kernels, in the order of the text.
    pub fn kernel_names(&self) -> impl Iterator<Item = &str> {
        self.entries().map(|function| function.name.as_str())
    }

    /// The kernel named `name`, decoded now if this is its first use; `None` if there is none.
    ///
    /// # Errors
    /// The first instruction that this executor does not know, with its line.
    pub fn kernel(&self, name: &str) -> Option<Result<Arc<Kernel>, DecodeError>> {
        let cell = self.kernels.get(name)?;
        Some(
            cell.get_or_init(|| decode::kernel(self, name).map(Arc::new))
                .clone(),
        )
    }

    /// Whether the kernel named `name` was decoded and can be run.
    #[must_use]
    pub fn is_decoded(&self, name: &str) -> bool {
        let decoded = self.kernels.get(name).and_then(OnceLock::get);
        decoded.is_some_and(Result::is_ok)
    }

    /// Parameter layout of the kernel named `name`, read from its declaration alone.
    ///
    /// Offset = previous end rounded up to the alignment. Source: PTX ISA, Kernel Function
    /// Parameters.
    #[must_use]
    pub fn parameters(&self, name: &str) -> Option<Vec<Parameter>> {
        let function = self.entries().find(|function| function.name == name)?;
        Some(parameters(&function.parameters))
    }

    /// Launch bounds of the kernel named `name`, read from its declaration alone.
    #[must_use]
    pub fn limits(&self, name: &str) -> Option<ptx::Limits> {
        Some(
            self.entries()
                .find(|function| function.name == name)?
                .limits,
        )
    }

    /// The virtual architecture that the text was compiled for, 80 for `sm_80` or `compute_80`;
    /// none when `.target` names none. Host code of templates chooses launch shapes by it.
    pub fn target(&self) -> Option<u32> {
        let number = |word: &String| {
            let digits = word.split_once('_')?.1;
            let end = digits.find(|c: char| !c.is_ascii_digit());
            digits[..end.unwrap_or(digits.len())].parse().ok()
        };
        self.module.targets.iter().find_map(number)
    }

    /// Module variables in the `.global` and `.const` spaces.
    #[must_use]
    pub fn globals(&self) -> &[Global] {
        &self.globals
    }

    fn entries(&self) -> impl Iterator<Item = &Function> {
        (self.module.functions.iter())
            .filter(|function| function.is_entry && function.body.is_some())
    }

    fn lay_out_globals(&self) -> Result<Vec<Global>, LinkError> {
        let mut globals = Vec::new();
        for (index, variable) in self.module.variables.iter().enumerate() {
            if self.variables.get(&variable.name) != Some(&index) {
                continue;
            }
            let space = match variable.space {
                Space::Global => GlobalSpace::Global,
                Space::Const => GlobalSpace::Const,
                _ => continue,
            };
            globals.push(self.global(variable, space)?);
        }
        Ok(globals)
    }

    fn global(&self, variable: &Variable, space: GlobalSpace) -> Result<Global, LinkError> {
        let mut initial = Vec::new();
        let mut relocations = Vec::new();
        for part in &variable.initial {
            let offset = initial.len() as u64;
            let bits = match part {
                Initial::Bits { value, .. } => *value,
                Initial::Address { symbol, addend, .. } => {
                    if let Some(&index) = self.functions.get(symbol) {
                        function_address(index).wrapping_add(addend.cast_unsigned())
                    } else if self.variables.contains_key(symbol) {
                        let (symbol, addend) = (symbol.clone(), *addend);
                        relocations.push(Relocation {
                            offset,
                            symbol,
                            addend,
                            size: part.size() as u8,
                        });
                        0
                    } else {
                        return Err(LinkError::UnknownSymbol {
                            symbol: symbol.clone(),
                            line: variable.line,
                        });
                    }
                }
            };
            initial.extend_from_slice(&bits.to_le_bytes()[..part.size().min(8) as usize]);
            initial.resize((offset + part.size()) as usize, 0);
        }
        Ok(Global {
            name: variable.name.clone(),
            space,
            size: variable.size,
            align: variable.align,
            initial,
            relocations,
            is_external: variable.linkage == Linkage::Extern,
            is_managed: variable.managed,
        })
    }
}

/// A decoded kernel.
#[derive(Debug)]
pub struct Kernel {
    pub(super) name: String,
    pub(super) parameters: Vec<Parameter>,
    pub(super) limits: ptx::Limits,
    pub(super) static_shared_bytes: u32,
    pub(super) code: Code,
}

impl Kernel {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its parameters, in order.
    #[must_use]
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// End of the last parameter, in bytes: what [`Launch::parameters`](super::Launch) must hold.
    #[must_use]
    pub fn parameter_bytes(&self) -> u32 {
        self.parameters
            .last()
            .map_or(0, |last| last.offset + last.size)
    }

    /// Statically declared shared memory of a block, in bytes.
    #[must_use]
    pub fn static_shared_bytes(&self) -> u32 {
        self.static_shared_bytes
    }

    /// Local memory of a thread without nested calls, in bytes.
    #[must_use]
    pub fn local_bytes(&self) -> u32 {
        self.code.entry_local_bytes
    }

    /// Threads a block may have at most by `.maxntid` or `.reqntid`; `None` if not bounded.
    #[must_use]
    pub fn max_threads(&self) -> Option<u32> {
        let bound = self.limits.required_threads.or(self.limits.max_threads)?;
        Some(
            bound
                .iter()
                .fold(1u32, |product, &count| product.saturating_mul(count)),
        )
    }

    /// The block shape demanded by `.reqntid`.
    #[must_use]
    pub fn required_block(&self) -> Option<[u32; 3]> {
        self.limits.required_threads
    }

    /// An estimate of the 32-bit registers a thread needs, as an attribute query reports them.
    #[must_use]
    pub fn registers(&self) -> u32 {
        self.code.registers.clamp(1, 255)
    }
}

/// One parameter of a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameter {
    /// Offset in the parameter buffer, in bytes.
    pub offset: u32,
    /// Size in bytes.
    pub size: u32,
    /// Alignment in bytes.
    pub align: u32,
}

/// The space of a [`Global`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GlobalSpace {
    /// `.global`
    Global,
    /// `.const`
    Const,
}

/// A module variable, for whoever allocates and fills it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Global {
    /// Its name.
    pub name: String,
    /// Its space.
    pub space: GlobalSpace,
    /// Size in bytes; 0 for an unsized `.extern`.
    pub size: u64,
    /// Alignment in bytes, a power of two.
    pub align: u64,
    /// First bytes; the rest up to `size` is zero. Function addresses are already filled in.
    pub initial: Vec<u8>,
    /// Addresses of other globals to add in once these are known.
    pub relocations: Vec<Relocation>,
    /// Declared `.extern` and not defined here.
    pub is_external: bool,
    /// `.attribute(.managed)`
    pub is_managed: bool,
}

/// `address of symbol + addend` belongs at `offset`, little endian.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relocation {
    /// Offset in the global, in bytes.
    pub offset: u64,
    /// Name of the other global.
    pub symbol: String,
    /// Added to its address.
    pub addend: i64,
    /// Bytes to write.
    pub size: u8,
}

/// Why a module cannot be linked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// Two definitions of one name.
    #[error("PTX line {line}: {symbol} is defined twice")]
    DefinedTwice {
        /// The name.
        symbol: String,
        /// Line of the second definition.
        line: u32,
    },
    /// The parameters of a kernel exceed what CUDA allows.
    #[error("PTX line {line}: {symbol} has more than {PARAMETER_BYTES_MAX} bytes of parameters")]
    ParametersTooLarge {
        /// The kernel.
        symbol: String,
        /// Its line.
        line: u32,
    },
    /// An initialiser names a symbol that does not exist.
    #[error("PTX line {line}: unknown symbol {symbol} in an initialiser")]
    UnknownSymbol {
        /// The name.
        symbol: String,
        /// Line of the variable.
        line: u32,
    },
}

/// Why a kernel cannot be decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("kernel {kernel}, PTX line {line}: {instruction}: {reason}")]
pub struct DecodeError {
    /// The kernel.
    pub kernel: String,
    /// The instruction as written, or the name of the symbol at fault.
    pub instruction: String,
    /// Line of the PTX text.
    pub line: u32,
    /// What is wrong with it.
    pub reason: String,
}

/// Whether `variables` are within what CUDA allows as parameters.
pub(super) fn fits(variables: &[Variable]) -> bool {
    let total = variables
        .iter()
        .fold(0u64, |sum, one| sum.saturating_add(one.size + one.align));
    total <= PARAMETER_BYTES_MAX
}

/// The layout of `variables` as parameters, one after the other.
pub(super) fn parameters(variables: &[Variable]) -> Vec<Parameter> {
    let mut end = 0u32;
    let mut parameters = Vec::with_capacity(variables.len());
    for variable in variables {
        let align = variable.align as u32;
        let offset = end.next_multiple_of(align);
        let size = variable.size as u32;
        parameters.push(Parameter {
            offset,
            size,
            align,
        });
        end = offset + size;
    }
    parameters
}

/// What a kernel sees as the address of the function at `index`.
pub(super) fn function_address(index: usize) -> u64 {
    FUNCTION_WINDOW + 16 * index as u64
}

/// The inverse of [`function_address`].
pub(super) fn function_at(address: u64) -> Option<usize> {
    let offset = address.checked_sub(FUNCTION_WINDOW)?;
    (offset % 16 == 0 && offset < 1 << 32).then_some((offset / 16) as usize)
}

fn function_index(module: &ptx::Module) -> Result<HashMap<String, usize>, LinkError> {
    let mut functions = HashMap::new();
    for (index, function) in module.functions.iter().enumerate() {
        if !fits(&function.parameters) || !fits(&function.returns) {
            let (symbol, line) = (function.name.clone(), function.line);
            return Err(LinkError::ParametersTooLarge { symbol, line });
        }
        let Some(&known) = functions.get(&function.name) else {
            functions.insert(function.name.clone(), index);
            continue;
        };
        let known: &Function = &module.functions[known];
        match (known.body.is_some(), function.body.is_some()) {
            (true, true) if function.linkage != Linkage::Weak && known.linkage != Linkage::Weak => {
                let (symbol, line) = (function.name.clone(), function.line);
                return Err(LinkError::DefinedTwice { symbol, line });
            }
            (false, true) => {
                functions.insert(function.name.clone(), index);
            }
            _ => {}
        }
    }
    Ok(functions)
}

fn variable_index(module: &ptx::Module) -> Result<HashMap<String, usize>, LinkError> {
    let mut variables = HashMap::new();
    for (index, variable) in module.variables.iter().enumerate() {
        let Some(&known) = variables.get(&variable.name) else {
            variables.insert(variable.name.clone(), index);
            continue;
        };
        let known: &Variable = &module.variables[known];
        match (known.linkage, variable.linkage) {
            (Linkage::Extern, _) => {
                variables.insert(variable.name.clone(), index);
            }
            (_, Linkage::Extern | Linkage::Weak) | (Linkage::Weak, _) => {}
            _ => {
                let (symbol, line) = (variable.name.clone(), variable.line);
                return Err(LinkError::DefinedTwice { symbol, line });
            }
        }
    }
    Ok(variables)
}

/// Function addresses lie above every address a process can have, below 2^48.
const FUNCTION_WINDOW: u64 = 0x0000_fffc_0000_0000;
/// More than the 32,764 bytes CUDA 12.1 and later allow, alignment counted in.
const PARAMETER_BYTES_MAX: u64 = 1 << 16;
