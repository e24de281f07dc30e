//! One block: its warps taking turns, its barriers, its shared memory.

use std::time::Instant;

use super::barrier::BarrierState;
use super::code::Code;
use super::memory::Bad;
use super::registers::Constants;
use super::space::Spaces;
use super::warp::{Trouble, TroubleKind, Warp};
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
    pub(super) started: Instant,
}

impl Env<'_> {
    /// `count` threads have exited.
    pub(super) fn exited(&mut self, count: u32) {
        self.living -= count;
    }

    /// Time for the clock registers.
    pub(super) fn nanoseconds(&self) -> u64 {
        self.started.elapsed().as_nanos() as u64
    }
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
        let local_bytes = Self::local_len(code);
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
                started: Instant::now(),
            },
            warps: (0..warps as u32)
                .map(|number| Warp::new(number, rows))
                .collect(),
        }
    }

    /// Local memory of one thread, in bytes.
    pub(super) fn local_len(code: &Code) -> usize {
        let stack = if code.has_calls { STACK_BYTES } else { 0 };
        code.entry_local_bytes as usize + stack
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
    }

    /// Gives every warp a turn; true once all threads have exited.
    pub(super) fn advance(&mut self) -> Result<bool, Fault> {
        let mut progress = false;
        for at in 0..self.warps.len() {
            let warp = &mut self.warps[at];
            if warp.runnable() == 0 {
                continue;
            }
            progress = true;
            let pause = warp.run(&mut self.env);
            if let Err(trouble) = pause {
                return Err(self.fault(at, trouble));
            }
            self.release();
        }
        if self.env.living == 0 {
            return Ok(true);
        }
        if !progress && !self.warps.iter_mut().any(Warp::force_sync) {
            let at = self
                .warps
                .iter()
                .position(|warp| warp.live != 0)
                .unwrap_or_default();
            let lane = self.warps[at].live.trailing_zeros() as usize & 31;
            let place = self.place(at, lane);
            return Err(Fault::BarrierDeadlock { place });
        }
        Ok(false)
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
        }
    }
}

/// Local memory of a thread for the frames of called functions, in bytes.
const STACK_BYTES: usize = 16 << 10;
