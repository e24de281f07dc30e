//! A launch that has been checked, ready to run any number of times, and what its faults mean to
//! the application.

use std::sync::Arc;
use std::time::Instant;

use flexdirect_driver_abi::launch::Shape;
use flexdirect_wire::abi::{CuError, CuResult};

use crate::arena::{Allocation, Arena, Purpose};
use crate::checker::Exact;
use crate::context::Context;
use crate::driver::trace;
use crate::exec::{Extras, Fault, Kernel, Launch, run};
use crate::faultplan;
use crate::heap::HeapOf;
use crate::module::Module;
use crate::raw::lock;
use crate::texture::Handles;

/// One launch with the values of its parameters.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// The kernel.
    pub(crate) kernel: Arc<Kernel>,
    /// Where its variables are.
    pub(crate) module: Arc<Module>,
    /// Grid, block, shared memory: checked.
    pub(crate) shape: Shape,
    /// Whether all blocks are resident at once.
    pub(crate) is_cooperative: bool,
    /// Values of the parameters in their layout.
    pub(crate) parameters: Vec<u8>,
}

impl Prepared {
    /// Runs it to its end in the calling thread, in the module's context.
    ///
    /// # Errors
    /// The error that poisons the context.
    pub(crate) fn run(&self, context: &Context) -> CuResult {
        let device = context.device();
        let _running = device.arena.running();
        let plan = faultplan::plan();
        let name = self.kernel.name();
        plan.launch(name)
            .inspect_err(|&fault| device.note_planned(fault))?;
        if let Some(time) = plan.kernel_time(name) {
            faultplan::pass(Instant::now(), time, &context.cancel);
            return Ok(());
        }
        let workspace = if self.is_cooperative {
            Some(Workspace::new(&device.arena, context.id)?)
        } else {
            None
        };
        let limits = lock(&context.settings).limits;
        let heap = HeapOf {
            heap: &context.heap,
            arena: &device.arena,
            context: context.id,
            len: limits[HEAP_SIZE] as u64,
        };
        let checker = Exact {
            arena: &device.arena,
        };
        let globals = |name: &str| self.module.globals.get(name).map(|global| global.0);
        let launch = Launch {
            kernel: &self.kernel,
            grid: self.shape.grid,
            block: self.shape.block,
            dynamic_shared_bytes: self.shape.shared_len,
            parameters: &self.parameters,
            memory: context.memory(),
            globals: &globals,
            workers: device.multiprocessors,
            cancel: &context.cancel,
            print: &|text| context.print(text),
            cooperative_workspace: workspace.as_ref().map(|workspace| workspace.0.address),
            extras: Extras {
                stack_bytes: Some(limits[STACK_SIZE]),
                heap: Some(&heap),
                images: Some(&Handles),
                checker: plan.checks.then_some(&checker),
                deadline: plan.watchdog.map(|limit| Instant::now() + limit),
            },
        };
        run(&launch).map_err(|fault| {
            device.note_fault(&fault);
            error_of(&fault)
        })
    }
}

/// What the blocks of a cooperative launch meet at: zeros of its own for each launch.
struct Workspace(Allocation, &'static Arena);

impl Workspace {
    fn new(arena: &'static Arena, context: u64) -> Result<Self, CuError> {
        let allocation = arena.allocate(WORKSPACE_LEN, context, Purpose::Module);
        let allocation = allocation.map_err(|_| CuError::OUT_OF_MEMORY)?;
        arena.clear(&allocation);
        Ok(Self(allocation, arena))
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        self.1.free(self.0.address, self.0.purpose);
    }
}

/// The error by which a fault is known, told to whoever wants to know more.
fn error_of(fault: &Fault) -> CuError {
    trace(|| fault.to_string());
    match fault {
        Fault::AssertFailed { place, message } => {
            // Every driver tells of a failed assertion on stderr, in this form.
            let mut parts = message.splitn(3, ": ");
            let mut part = || parts.next().unwrap_or_default();
            let (line, function, condition) = (part(), part(), part());
            let ([bx, by, bz], [tx, ty, tz]) = (place.block, place.thread);
            eprintln!(
                "{line}: {function}: block: [{bx},{by},{bz}], thread: [{tx},{ty},{tz}] \
                 Assertion `{condition}` failed."
            );
            CuError::ASSERT
        }
        Fault::BarrierDeadlock { .. } | Fault::TimedOut { .. } => CuError::LAUNCH_TIMEOUT,
        Fault::IllegalAddress { .. } => CuError::ILLEGAL_ADDRESS,
        Fault::IllegalInstruction { .. } => CuError::ILLEGAL_INSTRUCTION,
        Fault::Misaligned { .. } => CuError::MISALIGNED_ADDRESS,
        Fault::StackOverflow { .. } => CuError::HARDWARE_STACK_ERROR,
        _ => CuError::LAUNCH_FAILED,
    }
}

/// CU_LIMIT_STACK_SIZE and CU_LIMIT_MALLOC_HEAP_SIZE.
const STACK_SIZE: usize = 0;
const HEAP_SIZE: usize = 2;
/// Bytes; the barrier of a grid takes the first few.
const WORKSPACE_LEN: u64 = 4096;
