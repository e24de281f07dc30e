//! Functions: kernels as the application names them, with their attributes and limits.

use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use std::sync::{Arc, Weak};

use flexdirect_driver_abi::launch::FunctionLimits;
use flexdirect_wire::abi::{CuError, CuFunction, CuFunctionAttribute, CuResult};

use crate::attributes::{
    BLOCKS_PROCESSOR, CAPABILITY, LIMITS, REGISTERS, SHARED_LEN, SHARED_LEN_OPT_IN,
    SHARED_LEN_PROCESSOR, SHARED_LEN_RESERVED, THREADS_PROCESSOR,
};
use crate::context::Context;
use crate::driver::{FUNCTIONS, check, trace};
use crate::exec::{GlobalSpace, Kernel, Parameter, Program};
use crate::module::{Library, Module};

/// A kernel of a module or of a library.
#[derive(Debug)]
pub(crate) struct Function {
    /// The application's name for it.
    pub(crate) handle: CuFunction,
    /// The kernel's name.
    pub(crate) name: String,
    /// Layout of its parameters.
    pub(crate) parameters: Vec<Parameter>,
    /// Whose it is.
    pub(crate) home: Home,
    program: Arc<Program>,
    dynamic_shared_len_max: AtomicU32,
    carveout: AtomicI32,
}

/// Whose a function is.
#[derive(Clone, Debug)]
pub(crate) enum Home {
    /// Of a library: it runs in any context.
    Library(Weak<Library>),
    /// Of a module: it runs in that module's context.
    Module(Weak<Module>),
}

impl Function {
    /// A function with its attributes as they are at first.
    pub(crate) fn new(
        handle: CuFunction,
        name: &str,
        parameters: Vec<Parameter>,
        program: Arc<Program>,
        home: Home,
    ) -> Self {
        Self {
            handle,
            name: name.to_owned(),
            parameters,
            home,
            program,
            dynamic_shared_len_max: AtomicU32::new(UNSET),
            carveout: AtomicI32::new(-1),
        }
    }

    /// The decoded kernel.
    ///
    /// # Errors
    /// INVALID_PTX when it has an instruction that softgpu does not know.
    pub(crate) fn kernel(&self) -> Result<Arc<Kernel>, CuError> {
        let decoded = self.program.kernel(&self.name).ok_or(CuError::NOT_FOUND)?;
        decoded.map_err(|error| {
            trace(|| error.to_string());
            CuError::INVALID_PTX
        })
    }

    /// Whether its kernel was decoded, as it is at its first use.
    pub(crate) fn is_decoded(&self) -> bool {
        self.program.is_decoded(&self.name)
    }

    /// The module in which it runs in a context.
    ///
    /// # Errors
    /// INVALID_HANDLE if its own was unloaded or is in another context.
    pub(crate) fn module(&self, context: &Context) -> Result<Arc<Module>, CuError> {
        let module = match &self.home {
            Home::Library(library) => {
                let library = library.upgrade().ok_or(CuError::INVALID_HANDLE)?;
                library.module(context)?
            }
            Home::Module(module) => module.upgrade().ok_or(CuError::INVALID_HANDLE)?,
        };
        if module.context == context.id {
            Ok(module)
        } else {
            Err(CuError::INVALID_HANDLE)
        }
    }

    /// Bytes of its parameter buffer.
    pub(crate) fn parameters_len(&self) -> usize {
        self.parameters
            .last()
            .map_or(0, |last| (last.offset + last.size) as usize)
    }

    /// What a launch must keep to.
    ///
    /// # Errors
    /// Those of [`Function::kernel`].
    pub(crate) fn limits(&self) -> Result<FunctionLimits, CuError> {
        let kernel = self.kernel()?;
        Ok(FunctionLimits {
            threads_max: threads_max(&kernel),
            dynamic_shared_len_max: self.dynamic_shared_len(&kernel),
        })
    }

    /// Dynamic shared memory that a launch may ask for: what was set, else what is left of the
    /// memory that needs no opting in.
    fn dynamic_shared_len(&self, kernel: &Kernel) -> u32 {
        let unset = SHARED_LEN.saturating_sub(kernel.static_shared_bytes());
        match self.dynamic_shared_len_max.load(Ordering::Relaxed) {
            UNSET => unset,
            set => set,
        }
    }

    /// An attribute.
    ///
    /// # Errors
    /// INVALID_VALUE for an unknown number, and those of [`Function::kernel`].
    pub(crate) fn attribute(&self, attribute: CuFunctionAttribute) -> Result<i32, CuError> {
        let kernel = self.kernel()?;
        let value = match attribute.0 {
            0 => threads_max(&kernel),
            1 => kernel.static_shared_bytes(),
            2 => self.constant_len(),
            3 => kernel.local_bytes(),
            4 => kernel.registers(),
            PTX_VERSION => self.program.target().unwrap_or(CAPABILITY),
            BINARY_VERSION => CAPABILITY,
            MAX_DYNAMIC_SHARED_LEN => self.dynamic_shared_len(&kernel),
            CARVEOUT => return Ok(self.carveout.load(Ordering::Relaxed)),
            7 | 10..=15 => 0,
            _ => return Err(CuError::INVALID_VALUE),
        };
        Ok(i32::try_from(value).unwrap_or(i32::MAX))
    }

    /// Sets an attribute.
    ///
    /// # Errors
    /// INVALID_VALUE for one that cannot be set, or a value out of range.
    pub(crate) fn set_attribute(&self, attribute: CuFunctionAttribute, value: i32) -> CuResult {
        match attribute.0 {
            MAX_DYNAMIC_SHARED_LEN => {
                let kernel = self.kernel()?;
                let room = SHARED_LEN_OPT_IN.saturating_sub(kernel.static_shared_bytes());
                let len = u32::try_from(value).ok().filter(|&len| len <= room);
                let len = len.ok_or(CuError::INVALID_VALUE)?;
                self.dynamic_shared_len_max.store(len, Ordering::Relaxed);
            }
            CARVEOUT if (-1..=100).contains(&value) => {
                self.carveout.store(value, Ordering::Relaxed);
            }
            NON_PORTABLE_CLUSTER_SIZE | CLUSTER_POLICY => {}
            _ => return Err(CuError::INVALID_VALUE),
        }
        Ok(())
    }

    fn constant_len(&self) -> u32 {
        let constants = self.program.globals().iter();
        let len = constants
            .filter(|global| global.space == GlobalSpace::Const)
            .fold(0, |sum: u64, global| sum.saturating_add(global.size));
        u32::try_from(len).unwrap_or(u32::MAX)
    }

    /// Blocks of `threads` threads and `dynamic_shared_len` bytes that a multiprocessor holds.
    ///
    /// # Errors
    /// Those of [`Function::kernel`].
    pub(crate) fn blocks_per_processor(
        &self,
        threads: u32,
        dynamic_shared_len: usize,
    ) -> Result<u32, CuError> {
        let kernel = self.kernel()?;
        if threads > threads_max(&kernel) {
            return Ok(0);
        }
        let warps = threads.div_ceil(32).max(1);
        // Registers are given to warps in steps of 256.
        let registers = (kernel.registers() * 32).next_multiple_of(256) * warps;
        let dynamic = u32::try_from(dynamic_shared_len).unwrap_or(u32::MAX);
        let shared = kernel.static_shared_bytes().saturating_add(dynamic);
        if shared > SHARED_LEN_OPT_IN {
            return Ok(0);
        }
        let by_shared = SHARED_LEN_PROCESSOR / (shared + SHARED_LEN_RESERVED);
        Ok((THREADS_PROCESSOR / 32 / warps)
            .min(BLOCKS_PROCESSOR)
            .min(REGISTERS / registers)
            .min(by_shared))
    }

    /// Dynamic shared memory of each block when a multiprocessor is to hold `blocks` of them.
    ///
    /// # Errors
    /// Those of [`Function::kernel`].
    pub(crate) fn shared_len_for_blocks(&self, blocks: u32) -> Result<u32, CuError> {
        let kernel = self.kernel()?;
        let taken = kernel.static_shared_bytes() + SHARED_LEN_RESERVED;
        let each = (SHARED_LEN_PROCESSOR / blocks.max(1)).saturating_sub(taken);
        let most = SHARED_LEN_OPT_IN.saturating_sub(kernel.static_shared_bytes());
        Ok(each.min(most) & !(SHARED_GRANULE - 1))
    }
}

/// Launch bounds and registers decide how many threads a block may have.
fn threads_max(kernel: &Kernel) -> u32 {
    let bound = kernel.max_threads().unwrap_or(LIMITS.threads_max);
    let by_registers = REGISTERS / kernel.registers().max(1) / 32 * 32;
    bound.min(LIMITS.threads_max).min(by_registers)
}

/// A function by its handle, which may be that of a kernel of a library.
///
/// # Errors
/// NOT_INITIALIZED, INVALID_HANDLE.
pub(crate) fn find(handle: CuFunction) -> Result<Arc<Function>, CuError> {
    check()?;
    FUNCTIONS.find(handle.0).ok_or(CuError::INVALID_HANDLE)
}

/// More shared memory than there is.
const UNSET: u32 = u32::MAX;
const PTX_VERSION: u32 = 5;
const BINARY_VERSION: u32 = 6;
const MAX_DYNAMIC_SHARED_LEN: u32 = 8;
const CARVEOUT: u32 = 9;
const NON_PORTABLE_CLUSTER_SIZE: u32 = 14;
const CLUSTER_POLICY: u32 = 15;
/// Shared memory is given in steps of this many bytes.
const SHARED_GRANULE: u32 = 128;
