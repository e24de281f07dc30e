//! One launch: its description, the checks before it, and the workers its blocks spread over.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::block::Block;
use super::image::Images;
use super::registers::Constants;
use super::schedule::work;
use super::{Fault, Kernel, LANES, Memory, Place, pool};

/// What to run, on what, with what.
#[expect(missing_debug_implementations, reason = "holds closures")]
pub struct Launch<'a> {
    /// The kernel.
    pub kernel: &'a Kernel,
    /// Blocks in each dimension, none of them 0.
    pub grid: [u32; 3],
    /// Threads of a block in each dimension, none of them 0, 1024 at most together.
    pub block: [u32; 3],
    /// Shared memory of a block beyond the static, in bytes.
    pub dynamic_shared_bytes: u32,
    /// Values of the parameters in their layout; at least `kernel.parameter_bytes()` bytes.
    pub parameters: &'a [u8],
    /// The arena.
    pub memory: Memory,
    /// Address of a module global by its name.
    pub globals: &'a (dyn Fn(&str) -> Option<u64> + Sync),
    /// Threads to use, 1 at least. With 1 the blocks run in the same order each time (of their
    /// numbers, unless they wait for one another), so float atomics are repeatable.
    pub workers: usize,
    /// Set to true, it ends the launch soon, with [`Fault::Cancelled`].
    pub cancel: &'a AtomicBool,
    /// Takes what device-side `printf` writes, whole calls at a time, from any worker.
    pub print: &'a (dyn Fn(&[u8]) + Sync),
    /// For a cooperative launch the address of its zeroed workspace: all blocks are then resident
    /// and take turns. The workspace lies in the arena; 4 KiB are plenty.
    pub cooperative_workspace: Option<u64>,
    /// What a launch can do without.
    pub extras: Extras<'a>,
}

/// What a launch can do without.
#[derive(Clone, Copy, Default)]
#[expect(missing_debug_implementations, reason = "holds closures")]
pub struct Extras<'a> {
    /// Bytes of each thread's stack, as CU_LIMIT_STACK_SIZE sets it; what calls need that do not
    /// recurse comes on top. 1 KiB if not given.
    pub stack_bytes: Option<usize>,
    /// Where device-side `malloc` takes memory from; without it every `malloc` gives null.
    pub heap: Option<&'a dyn Heap>,
    /// Looks at every access of the kernel before it is made.
    pub checker: Option<&'a dyn Checker>,
    /// What handles of textures and surfaces mean; without it none means anything.
    pub images: Option<&'a (dyn Images + Sync)>,
    /// When it must be over, lest it end with [`Fault::TimedOut`].
    pub deadline: Option<Instant>,
}

/// Knows which of the arena's bytes a kernel may access, asked by any worker.
pub trait Checker: Sync {
    /// Whether `size` bytes at a global address lie in what was allocated.
    fn allows(&self, address: u64, size: u64) -> bool;

    /// Told of an access that is about to end the launch.
    fn report(&self, access: &BadAccess);
}

/// An access that must not be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadAccess {
    /// Who makes it.
    pub place: Place,
    /// `global`, `shared`, `local`, `param`, `surface` or `texture`.
    pub space: &'static str,
    /// Its address in that space.
    pub address: u64,
    /// Its size in bytes.
    pub size: u64,
    /// Whether it writes.
    pub writes: bool,
    /// Whether the address is good but for its alignment.
    pub is_misaligned: bool,
}

/// Memory for device-side `malloc` and `free`, asked by any worker.
pub trait Heap: Sync {
    /// Address of `len` bytes in the arena, aligned to 16, or `None` when there is no room.
    fn allocate(&self, len: u64) -> Option<u64>;

    /// Frees what [`Heap::allocate`] gave; another address does nothing.
    fn free(&self, address: u64);
}

/// Runs one launch to its end.
///
/// # Errors
/// The first fault. What other blocks had written by then stays written.
pub fn run(launch: &Launch<'_>) -> Result<(), Fault> {
    check(launch)?;
    let constants = Constants::new(&launch.kernel.code, launch.globals)
        .map_err(|name| invalid(launch, format!("the module variable {name} has no address")))?;
    let blocks = launch
        .grid
        .iter()
        .map(|&count| u64::from(count))
        .product::<u64>();
    let most = launch.workers.clamp(1, WORKERS_MAX);
    let rooms = (ROOM_LEN_MAX / room_len(launch).max(1)).max(1);
    let workers = most.min(usize::try_from(blocks).unwrap_or(most)).min(rooms);
    let shared = Shared {
        next: AtomicU64::new(0),
        stop: AtomicBool::new(false),
        blocks,
        residents_max: (rooms / workers).clamp(1, RESIDENTS_MAX),
        fault: Mutex::new(None),
    };
    let one = |worker: usize| {
        let result = guarded(launch, || {
            work(launch, &constants, &shared, worker, workers)
        });
        if let Err(found) = result {
            shared.fail(found);
        }
    };
    if launch.cooperative_workspace.is_some() {
        together(launch, workers, &shared, &one);
    } else if workers == 1 {
        one(0);
    } else {
        pool::spread(workers - 1, &one);
    }
    let fault = shared.fault.into_inner();
    fault
        .unwrap_or_else(PoisonError::into_inner)
        .map_or(Ok(()), Err)
}

/// Cooperative blocks are dealt out by worker, so each worker needs a thread, and at once.
fn together(launch: &Launch<'_>, workers: usize, shared: &Shared, one: &(dyn Fn(usize) + Sync)) {
    std::thread::scope(|scope| {
        for worker in 1..workers {
            let thread = std::thread::Builder::new().name(format!("softgpu-{worker}"));
            if let Err(error) = thread.spawn_scoped(scope, move || one(worker)) {
                shared.fail(invalid(launch, format!("no thread: {error}")));
                return;
            }
        }
        one(0);
    });
}

/// Bytes that a worker needs for its block, or for one of its blocks.
fn room_len(launch: &Launch<'_>) -> usize {
    let code = &launch.kernel.code;
    let threads = launch.block.iter().product::<u32>() as usize;
    let warps = threads.div_ceil(LANES);
    let shared = code.dynamic_shared_offset as usize + launch.dynamic_shared_bytes as usize;
    let rows = code.functions[0].rows as usize * ROW_LEN;
    shared + warps * (LANES * Block::local_len(launch) + rows)
}

/// A kernel must not take the process along, whatever it brings to light in this interpreter.
fn guarded(launch: &Launch<'_>, work: impl FnOnce() -> Result<(), Fault>) -> Result<(), Fault> {
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
    result.unwrap_or_else(|_| Err(defect(launch)))
}

fn defect(launch: &Launch<'_>) -> Fault {
    invalid(
        launch,
        "the interpreter failed; this is a defect of it".to_owned(),
    )
}

/// What the workers of one launch share.
pub(super) struct Shared {
    /// Number of the next block to run.
    next: AtomicU64,
    /// Some worker has failed.
    pub(super) stop: AtomicBool,
    pub(super) blocks: u64,
    /// Blocks that a worker may have started and not finished.
    pub(super) residents_max: usize,
    fault: Mutex<Option<Fault>>,
}

impl Shared {
    /// Number of the next block to run, if one is left.
    pub(super) fn take(&self) -> Option<u64> {
        // Not added to again and again by workers that look for more.
        if self.next.load(Ordering::Relaxed) >= self.blocks {
            return None;
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        (number < self.blocks).then_some(number)
    }

    /// Stops the others; the first fault counts, but cancellation only if there is no other.
    fn fail(&self, found: Fault) {
        self.stop.store(true, Ordering::Relaxed);
        let mut fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        if fault
            .as_ref()
            .is_none_or(|known| *known == Fault::Cancelled)
        {
            *fault = Some(found);
        }
    }
}

fn check(launch: &Launch<'_>) -> Result<(), Fault> {
    let kernel = launch.kernel;
    let threads = launch
        .block
        .iter()
        .map(|&count| u128::from(count))
        .product::<u128>();
    let blocks = launch
        .grid
        .iter()
        .map(|&count| u128::from(count))
        .product::<u128>();
    let shared =
        u64::from(kernel.code.dynamic_shared_offset) + u64::from(launch.dynamic_shared_bytes);
    let reason = if threads == 0 || threads > 1024 {
        format!("{threads} threads in a block")
    } else if blocks == 0 || blocks > u128::from(u64::MAX >> 1) {
        format!("{blocks} blocks")
    } else if kernel
        .max_threads()
        .is_some_and(|bound| threads > u128::from(bound))
    {
        format!("{threads} threads in a block, more than the kernel's bound")
    } else if kernel
        .required_block()
        .is_some_and(|required| required != launch.block)
    {
        format!(
            "block {:?} is not the one the kernel requires",
            launch.block
        )
    } else if launch.parameters.len() < kernel.parameter_bytes() as usize {
        format!(
            "{} bytes of parameters are too few",
            launch.parameters.len()
        )
    } else if shared > SHARED_BYTES_MAX {
        format!("{shared} bytes of shared memory")
    } else if launch.cooperative_workspace.is_some() && blocks > COOPERATIVE_BLOCKS_MAX {
        format!("{blocks} blocks cannot all be resident")
    } else if launch.cooperative_workspace.is_some()
        && blocks * room_len(launch) as u128 > COOPERATIVE_LEN_MAX
    {
        "its blocks need more memory together than there may be".to_owned()
    } else if room_len(launch) > BLOCK_LEN_MAX {
        "a block needs more memory than there may be".to_owned()
    } else {
        return Ok(());
    };
    Err(invalid(launch, reason))
}

fn invalid(launch: &Launch<'_>, reason: String) -> Fault {
    Fault::InvalidLaunch {
        kernel: launch.kernel.name().to_owned(),
        reason,
    }
}

/// More threads than any machine this runs on has cores.
const WORKERS_MAX: usize = 1024;
/// Bytes that the blocks which run at once may take together; one may run whatever it takes.
const ROOM_LEN_MAX: usize = 2 << 30;
/// Blocks that a worker may have started, as many as a multiprocessor holds.
const RESIDENTS_MAX: usize = 32;
/// Bytes that one block may take: an allocation that the host refuses would end the process.
const BLOCK_LEN_MAX: usize = 4 << 30;
/// Bytes that all blocks of a cooperative launch may take.
const COOPERATIVE_LEN_MAX: u128 = 4 << 30;
/// Bytes of one row in all three register files.
const ROW_LEN: usize = LANES * (size_of::<u32>() + size_of::<u64>()) + size_of::<u32>();
/// Above what any device offers a block.
const SHARED_BYTES_MAX: u64 = 256 << 10;
/// Resident blocks keep their registers: about what a large device holds.
const COOPERATIVE_BLOCKS_MAX: u128 = 1 << 15;
