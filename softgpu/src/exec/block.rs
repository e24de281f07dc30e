//! One block: its warps taking turns, its barriers, its shared memory.

use std::time::{Duration, Instant};

use super::barrier::BarrierState;
use super::code::Code;
use super::lanes;
use super::memory::Bad;
use super::registers::Constants;
use super::space::Spaces;
use super::warp::{Pause, Trouble, TroubleKind, Warp};
use super::{Fault, LANES, Launch, Place};

/// What the warps of a block share.
pub(super) struct Env<'l> {
    pub(super) launch: &'l Launch<'l>,
    pub(super) code: &'l Code,
    pub(super) constants: &'l Constants,
    pub(super) spaces: Spaces<'l>,
    pub(super) block_index: [u32; 3],
    pub(super) barriers: [BarrierState; 16],
    /// Threads of the block that have not exited.
    living: u32,
    pub(super) worker: u32,
    /// The shortest `nanosleep` since the block was last asked, in nanoseconds.
    pub(super) sleep_ns: u64,
}

impl Env<'_> {
    /// `count` threads have exited.
    pub(super) fn exited(&mut self, count: u32) {
        self.living -= count;
    }
}

/// What came of a turn of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// All its threads have exited.
    Done,
    /// It goes on.
    Progress,
    /// Its warps only turn in loops or sleep: it may wait for another block.
    Spun,
}

/// A block and the room it runs in, which is used again for the next block.
pub(super) struct Block<'l> {
    env: Env<'l>,
    warps: Vec<Warp>,
}

impl<'l> Block<'l> {
    /// Room for the blocks of `launch`, which has been checked.
    pub(super) fn new(launch: &'l Launch<'l>, constants: &'l Constants, worker: u32) -> Self {
        let code = &launch.kernel.code;
        let threads = launch.block.iter().product::<u32>() as usize;
        let warps = threads.div_ceil(LANES);
        let local_bytes = Self::local_len(launch);
        let shared_bytes =
            code.dynamic_shared_offset as usize + launch.dynamic_shared_bytes as usize;
        let rows = code.functions[0].rows as usize;
        let spaces = Spaces {
            memory: launch.memory.clone(),
            shared: vec![0; shared_bytes],
            local: vec![0; local_bytes * warps * LANES],
            local_bytes,
            parameters: launch.parameters,
        };
        Self {
            env: Env {
                launch,
                code,
                constants,
                spaces,
                block_index: [0; 3],
                barriers: [BarrierState::default(); 16],
                living: 0,
                worker,
                sleep_ns: 0,
            },
            warps: (0..warps as u32)
                .map(|number| Warp::new(number, rows))
                .collect(),
        }
    }

    /// Local memory of one thread, in bytes.
    pub(super) fn local_len(launch: &Launch<'_>) -> usize {
        let code = &launch.kernel.code;
        let entry = code.entry_local_bytes as usize;
        if !code.has_calls {
            return entry;
        }
        // A chain of calls without recursion has each function once, and a copy of its arguments.
        let frames = code
            .functions
            .iter()
            .map(|one| 2 * one.local_bytes as usize);
        let stack = launch.extras.stack_bytes.unwrap_or(STACK_BYTES);
        let stack = stack.min(STACK_BYTES_MAX) + CALL_BYTES;
        (entry + frames.sum::<usize>() + stack).next_multiple_of(16)
    }

    /// Puts the threads of the block numbered `number` in the grid at the start of the kernel.
    pub(super) fn start(&mut self, number: u64) {
        let [x, y, _] = self.env.launch.grid.map(u64::from);
        self.env.block_index = [
            (number % x) as u32,
            (number / x % y) as u32,
            (number / x / y) as u32,
        ];
        self.env.barriers = [BarrierState::default(); 16];
        self.env.living = self.env.launch.block.iter().product();
        for warp in &mut self.warps {
            warp.start(self.env.launch.block, &self.env.code.functions[0]);
        }
        self.set_patience(self.env.launch.cooperative_workspace.is_some());
    }

    /// Makes its warps give way sooner, or as they do at first.
    pub(super) fn set_patience(&mut self, short: bool) {
        for warp in &mut self.warps {
            warp.set_patience(short);
        }
    }

    /// How long its threads sleep at least, if they do; asked once.
    pub(super) fn take_sleep(&mut self) -> Duration {
        Duration::from_nanos(std::mem::take(&mut self.env.sleep_ns))
    }

    /// Gives every warp a turn.
    pub(super) fn advance(&mut self) -> Result<Turn, Fault> {
        let (mut progress, mut spun) = (false, true);
        let deadline = self.env.launch.extras.deadline;
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            let kind = TroubleKind::TimedOut;
            return Err(self.fault(self.living_warp(), Trouble { lane: 0, kind }));
        }
        for at in 0..self.warps.len() {
            let warp = &mut self.warps[at];
            if warp.runnable() == 0 {
                continue;
            }
            progress = true;
            match lanes::run(warp, &mut self.env) {
                Ok(pause) => spun &= pause == Pause::Yielded,
                Err(trouble) => return Err(self.fault(at, trouble)),
            }
            self.release();
        }
        if self.env.living == 0 {
            return Ok(Turn::Done);
        }
        if !progress && !self.warps.iter_mut().any(Warp::force_sync) {
            let at = self.living_warp();
            let lane = self.warps[at].live.trailing_zeros() as usize & 31;
            let place = self.place(at, lane);
            return Err(Fault::BarrierDeadlock { place });
        }
        Ok(if progress && spun {
            Turn::Spun
        } else {
            Turn::Progress
        })
    }

    fn living_warp(&self) -> usize {
        let living = self.warps.iter().position(|warp| warp.live != 0);
        living.unwrap_or_default()
    }

    /// Lets through the barriers for which all have come.
    fn release(&mut self) {
        for id in 0..self.env.barriers.len() {
            let state = self.env.barriers[id];
            if !state.is_complete(self.env.living) {
                continue;
            }
            self.env.barriers[id] = BarrierState::default();
            for warp in &mut self.warps {
                warp.release(id, state);
            }
        }
    }

    fn place(&self, at: usize, lane: usize) -> Box<Place> {
        let warp = &self.warps[at];
        let running = warp.active >> lane & 1 == 1;
        let pc = if running {
            warp.pc
        } else {
            warp.places[lane] as usize
        };
        let line = self
            .env
            .code
            .instructions
            .get(pc)
            .map_or(0, |instruction| instruction.line);
        Box::new(Place {
            kernel: self.env.launch.kernel.name().to_owned(),
            block: self.env.block_index,
            thread: warp.thread_index.map(|row| row[lane]),
            line,
        })
    }

    fn fault(&self, at: usize, Trouble { lane, kind }: Trouble) -> Fault {
        let place = self.place(at, lane & 31);
        match kind {
            TroubleKind::Memory(Bad::Address, address) => Fault::IllegalAddress { place, address },
            TroubleKind::Memory(Bad::Alignment, address) => Fault::Misaligned { place, address },
            TroubleKind::Illegal(what) => Fault::IllegalInstruction { place, what },
            TroubleKind::Trap => Fault::Trap { place },
            TroubleKind::Assert(message) => Fault::AssertFailed { place, message },
            TroubleKind::Stack => Fault::StackOverflow { place },
            TroubleKind::Cancelled => Fault::Cancelled,
            TroubleKind::TimedOut => Fault::TimedOut { place },
        }
    }
}

/// Stack of a thread in bytes, unless the launch says otherwise; and the most of it.
const STACK_BYTES: usize = 1 << 10;
const STACK_BYTES_MAX: usize = 512 << 10;
/// Room for the arguments of functions that are built in.
const CALL_BYTES: usize = 256;
