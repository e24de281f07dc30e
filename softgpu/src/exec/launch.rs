//! One launch: its description, the checks before it, and the workers its blocks spread over.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::block::Block;
use super::registers::Constants;
use super::{Fault, Kernel, Memory};

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
    /// Threads to use, 1 at least. With 1 the blocks run in order, so float atomics are repeatable.
    pub workers: usize,
    /// Set to true, it ends the launch soon, with [`Fault::Cancelled`].
    pub cancel: &'a AtomicBool,
    /// Takes what device-side `printf` writes, whole calls at a time, from any worker.
    pub print: &'a (dyn Fn(&[u8]) + Sync),
    /// For a cooperative launch the address of its zeroed workspace: all blocks are then resident
    /// and take turns. The workspace lies in the arena; 4 KiB are plenty.
    pub cooperative_workspace: Option<u64>,
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
    let workers = launch
        .workers
        .clamp(1, WORKERS_MAX)
        .min(blocks.min(1 << 16) as usize);
    let shared = Shared {
        next: AtomicU64::new(0),
        stop: AtomicBool::new(false),
        blocks,
    };
    if workers == 1 {
        return guarded(launch, || work(launch, &constants, &shared, 0, 1));
    }
    let mut fault = None;
    std::thread::scope(|scope| {
        let mut handles = Vec::with_capacity(workers);
        for worker in 0..workers {
            let (shared, constants) = (&shared, &constants);
            let name = format!("softgpu-{worker}");
            let spawned = std::thread::Builder::new()
                .name(name)
                .spawn_scoped(scope, move || {
                    let result =
                        guarded(launch, || work(launch, constants, shared, worker, workers));
                    if result.is_err() {
                        shared.stop.store(true, Ordering::Relaxed);
                    }
                    result
                });
            match spawned {
                Ok(handle) => handles.push(handle),
                // Cooperative blocks are dealt out by worker, so all of them are needed there.
                Err(error) => {
                    if worker == 0 || launch.cooperative_workspace.is_some() {
                        shared.stop.store(true, Ordering::Relaxed);
                        fault = Some(invalid(launch, format!("no thread: {error}")));
                    }
                    break;
                }
            }
        }
        for handle in handles {
            let result = handle.join();
            let result = result.unwrap_or_else(|_| Err(defect(launch)));
            if let Err(found) = result
                && fault
                    .as_ref()
                    .is_none_or(|known| *known == Fault::Cancelled)
            {
                fault = Some(found);
            }
        }
    });
    fault.map_or(Ok(()), Err)
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
struct Shared {
    /// Number of the next block to run.
    next: AtomicU64,
    /// Some worker has failed.
    stop: AtomicBool,
    blocks: u64,
}

fn work(
    launch: &Launch<'_>,
    constants: &Constants,
    shared: &Shared,
    worker: usize,
    workers: usize,
) -> Result<(), Fault> {
    if launch.cooperative_workspace.is_some() {
        return work_together(launch, constants, shared, worker, workers);
    }
    let mut block = Block::new(launch, constants, worker as u32);
    loop {
        let number = shared.next.fetch_add(1, Ordering::Relaxed);
        if number >= shared.blocks {
            return Ok(());
        }
        block.start(number);
        loop {
            if shared.stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            if launch.cancel.load(Ordering::Relaxed) {
                return Err(Fault::Cancelled);
            }
            if block.advance()? {
                break;
            }
        }
    }
}

/// A cooperative launch: all blocks of this worker are resident and take turns, because they may
/// wait for one another.
fn work_together(
    launch: &Launch<'_>,
    constants: &Constants,
    shared: &Shared,
    worker: usize,
    workers: usize,
) -> Result<(), Fault> {
    let mut blocks = Vec::new();
    for number in (worker as u64..shared.blocks).step_by(workers) {
        let mut block = Block::new(launch, constants, worker as u32);
        block.start(number);
        blocks.push(block);
    }
    while !blocks.is_empty() {
        let mut left = Vec::with_capacity(blocks.len());
        for mut block in blocks {
            if shared.stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            if launch.cancel.load(Ordering::Relaxed) {
                return Err(Fault::Cancelled);
            }
            if !block.advance()? {
                left.push(block);
            }
        }
        blocks = left;
    }
    Ok(())
}

fn check(launch: &Launch<'_>) -> Result<(), Fault> {
    let kernel = launch.kernel;
    let threads = launch
        .block
        .iter()
        .map(|&count| u64::from(count))
        .product::<u64>();
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
        .is_some_and(|bound| threads > u64::from(bound))
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
/// Above what any device offers a block.
const SHARED_BYTES_MAX: u64 = 256 << 10;
/// Resident blocks keep their registers: about what a large device holds.
const COOPERATIVE_BLOCKS_MAX: u128 = 4096;
