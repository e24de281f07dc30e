//! Modules and libraries: PTX that was loaded, and its variables in a context's memory.
//!
//! A library belongs to no context; in each context that uses it, it has a module. Kernels are
//! decoded by the executor at their first use, so one that cannot be run fails alone.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use flexdirect_driver_abi::image::{EntryKind, Image, ImageError, describe, entries};
use flexdirect_driver_abi::layout;
use flexdirect_wire::abi::{CuError, CuFunction, CuLibrary, CuModule};

use crate::arena::Purpose;
use crate::attributes::CAPABILITY;
use crate::context::Context;
use crate::driver::{self, FUNCTIONS, LIBRARIES, MODULES, trace};
use crate::exec::Program;
use crate::function::{Function, Home};
use crate::merge::merge;
use crate::ptx;
use crate::raw::lock;
use crate::variables::{self, Managed};

/// A module in a context.
#[derive(Debug)]
pub(crate) struct Module {
    /// The application's name for it.
    pub(crate) handle: CuModule,
    /// Number of its context.
    pub(crate) context: u64,
    /// Its code; shared among the modules of a library.
    pub(crate) program: Arc<Program>,
    /// Addresses and sizes of its variables by name.
    pub(crate) globals: HashMap<String, (u64, u64)>,
    functions: Mutex<BTreeMap<String, CuFunction>>,
}

/// A library.
#[derive(Debug)]
pub(crate) struct Library {
    /// The application's name for it.
    pub(crate) handle: CuLibrary,
    /// Its code.
    pub(crate) program: Arc<Program>,
    modules: Mutex<BTreeMap<u64, Arc<Module>>>,
    /// Its managed variables, the same in every context.
    managed: Managed,
    kernels: Mutex<BTreeMap<String, CuFunction>>,
}

/// Why an image is not loaded: the error, and a line that says more.
#[derive(Debug)]
pub(crate) struct Refused {
    /// For the application.
    pub(crate) error: CuError,
    /// For the log and the application's JIT log.
    pub(crate) reason: String,
}

/// Makes a program of an image.
///
/// # Errors
/// NO_BINARY_FOR_GPU without PTX, INVALID_PTX, INVALID_IMAGE.
pub(crate) fn compile(image: Result<Image, ImageError>) -> Result<Arc<Program>, Refused> {
    let refused = |error: CuError, reason: String| {
        trace(|| format!("image refused with {error}: {reason}"));
        Refused { error, reason }
    };
    let malformed = |error: ImageError| {
        let code = CuError::check(error.code()).err();
        refused(code.unwrap_or(CuError::INVALID_IMAGE), error.to_string())
    };
    let image = image.map_err(malformed)?;
    let texts = image.ptx(CAPABILITY).map_err(malformed)?;
    if texts.is_empty() && has_kernels(&image) {
        let reason = format!("no PTX in {}", describe(&image));
        return Err(refused(CuError::NO_BINARY_FOR_GPU, reason));
    }
    let mut modules = Vec::new();
    for text in texts {
        let module = ptx::parse(&String::from_utf8_lossy(&text));
        modules.push(module.map_err(|error| refused(CuError::INVALID_PTX, error.to_string()))?);
    }
    let merged = merge(modules);
    let program = Program::link(&merged);
    let program = program.map_err(|error| refused(CuError::INVALID_PTX, error.to_string()))?;
    if driver::is_eager() {
        // One that cannot be decoded fails when it is used, as it does without this.
        for name in program.kernel_names() {
            if let Some(Err(error)) = program.kernel(name) {
                trace(|| error.to_string());
            }
        }
    }
    Ok(Arc::new(program))
}

/// Whether an image without PTX has anything that would be lost: kernels, or code that only
/// NVIDIA's compilers understand. One that has neither is an empty module.
fn has_kernels(image: &Image) -> bool {
    let mut entries = image
        .containers()
        .filter_map(|container| entries(container).ok())
        .flatten()
        .flatten();
    entries.any(|entry| entry.kind != EntryKind::CUBIN && entry.kind != EntryKind::PTX)
        || layout::kernels(image, CAPABILITY).map_or(true, |kernels| !kernels.is_empty())
}

impl Module {
    /// Places a program in a context: allocates and fills its variables.
    ///
    /// # Errors
    /// OUT_OF_MEMORY.
    pub(crate) fn new(program: Arc<Program>, context: &Context) -> Result<Arc<Self>, CuError> {
        Self::place(program, context, None)
    }

    /// The same; managed variables are those of `shared` if they belong to a library.
    fn place(
        program: Arc<Program>,
        context: &Context,
        shared: Option<&Managed>,
    ) -> Result<Arc<Self>, CuError> {
        let globals = variables::place(program.globals(), context, shared)?;
        Ok(MODULES.insert(|handle| Self {
            handle: CuModule(handle),
            context: context.id,
            program,
            globals,
            functions: Mutex::default(),
        }))
    }

    /// A kernel as a function of this module, the same whenever it is asked for.
    ///
    /// # Errors
    /// NOT_FOUND.
    pub(crate) fn function(self: &Arc<Self>, name: &str) -> Result<CuFunction, CuError> {
        let home = || Home::Module(Arc::downgrade(self));
        find_function(&self.functions, &self.program, name, home)
    }
}

/// Takes a module out of the table and frees its variables.
pub(crate) fn unload(module: &Arc<Module>) {
    MODULES.remove(module.handle.0);
    for function in std::mem::take(&mut *lock(&module.functions)).into_values() {
        FUNCTIONS.remove(function.0);
    }
    for &(address, _) in module.globals.values() {
        // What a library shares stays with it.
        if let Some(device) = driver::device_of(address)
            && device.arena.free(address, Purpose::Module)
        {
            variables::forget(address);
        }
    }
}

impl Library {
    /// A library in the table.
    pub(crate) fn new(program: Arc<Program>) -> Arc<Self> {
        LIBRARIES.insert(|handle| Self {
            handle: CuLibrary(handle),
            program,
            modules: Mutex::default(),
            managed: Managed::default(),
            kernels: Mutex::default(),
        })
    }

    /// Its module in a context, made at the first use there.
    ///
    /// # Errors
    /// OUT_OF_MEMORY.
    pub(crate) fn module(&self, context: &Context) -> Result<Arc<Module>, CuError> {
        let mut modules = lock(&self.modules);
        if let Some(module) = modules.get(&context.id) {
            return Ok(Arc::clone(module));
        }
        let module = Module::place(Arc::clone(&self.program), context, Some(&self.managed))?;
        modules.insert(context.id, Arc::clone(&module));
        Ok(module)
    }

    /// A kernel, the same whenever it is asked for.
    ///
    /// # Errors
    /// NOT_FOUND.
    pub(crate) fn kernel(self: &Arc<Self>, name: &str) -> Result<CuFunction, CuError> {
        let home = || Home::Library(Arc::downgrade(self));
        find_function(&self.kernels, &self.program, name, home)
    }

    /// Address and size of a managed variable. No context is needed: without one, device 0 has it.
    ///
    /// # Errors
    /// NOT_FOUND, OUT_OF_MEMORY.
    pub(crate) fn managed(&self, name: &str) -> Result<(u64, u64), CuError> {
        // Places are made under this lock.
        let _modules = lock(&self.modules);
        if let Some(known) = self.managed.find(name) {
            return Ok(known);
        }
        let device = crate::context::top().map_or(0, |context| context.device().ordinal);
        let globals = self.program.globals().iter();
        let managed: Vec<_> = globals
            .filter(|global| global.is_managed)
            .cloned()
            .collect();
        let home = driver::devices()[device].primary();
        variables::place(&managed, home, Some(&self.managed))?;
        self.managed.find(name).ok_or(CuError::NOT_FOUND)
    }

    /// Forgets its module in a context that ends.
    pub(crate) fn forget_context(&self, context: u64) {
        lock(&self.modules).remove(&context);
    }

    /// Whether a module is this library's.
    pub(crate) fn has_module(&self, module: &Module) -> bool {
        lock(&self.modules)
            .values()
            .any(|own| own.handle == module.handle)
    }

    /// Takes it out of the table, and its modules out of their contexts.
    pub(crate) fn unload(&self) {
        LIBRARIES.remove(self.handle.0);
        for kernel in std::mem::take(&mut *lock(&self.kernels)).into_values() {
            FUNCTIONS.remove(kernel.0);
        }
        for module in std::mem::take(&mut *lock(&self.modules)).into_values() {
            unload(&module);
        }
        self.managed.free();
    }
}

fn find_function(
    known: &Mutex<BTreeMap<String, CuFunction>>,
    program: &Arc<Program>,
    name: &str,
    home: impl FnOnce() -> Home,
) -> Result<CuFunction, CuError> {
    let mut known = lock(known);
    if let Some(&function) = known.get(name) {
        return Ok(function);
    }
    let parameters = program.parameters(name).ok_or(CuError::NOT_FOUND)?;
    let function = FUNCTIONS.insert(|handle| {
        let program = Arc::clone(program);
        Function::new(CuFunction(handle), name, parameters, program, home())
    });
    known.insert(name.to_owned(), function.handle);
    Ok(function.handle)
}
