//! A warp: which of its lanes run, which wait, and the loop that runs them.
//!
//! Lanes at the same place form the running group. Of several groups the one deepest in calls,
//! then lowest in the code, goes first, until it reaches the next group's place: structured code
//! then reconverges by itself. A group that only turns in a loop while others could run gives way
//! after a while, because since sm_70 a lane may wait in a loop for another lane of its warp.

use std::sync::atomic::Ordering;
use std::time::Instant;

use super::LANES;
use super::block::Env;
use super::code::{FunctionCode, Op, Slot};
use super::lanes::{Longs, Words};
use super::memory::Bad;
use super::registers::{BITS, FULL, Registers};

/// Why a warp stopped running for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pause {
    /// All its lanes have exited.
    Done,
    /// All its lanes wait.
    Waiting,
    /// It has run for long and others should.
    Yielded,
}

/// What went wrong on a lane.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) lane: usize,
    pub(super) kind: TroubleKind,
}

#[derive(Debug)]
pub(super) enum TroubleKind {
    Memory(Bad, u64),
    Illegal(String),
    Trap,
    Assert(String),
    Stack,
    Cancelled,
    TimedOut,
}

/// The state of one warp.
#[derive(Debug)]
pub(super) struct Warp {
    pub(super) registers: Registers,
    /// Number of the warp in its block.
    pub(super) number: u32,
    /// Lanes that exist and have not exited.
    pub(super) live: u32,
    /// The running group, its place, and the place where another group waits to be joined.
    pub(super) active: u32,
    pub(super) pc: usize,
    stop: usize,
    /// Places of the lanes that do not run: instruction and frame.
    pub(super) places: [u32; LANES],
    pub(super) frames: [u32; LANES],
    /// Where each lane's part of local memory for its function begins.
    pub(super) local_bases: Words,
    /// Bytes at the end of each lane's local memory that `alloca` took.
    pub(super) stack_taken: Words,
    /// Lanes that wait at each barrier, and those it has let through.
    pub(super) barrier_wait: [u32; 16],
    pub(super) barrier_ready: u32,
    pub(super) barrier_results: [u32; 16],
    /// Lanes that wait for the other members at a shuffle or the like, or at a warp barrier.
    pub(super) sync_wait: u32,
    pub(super) meet_wait: u32,
    /// The next shuffle takes whoever is there: its other members will never come.
    pub(super) force: bool,
    pub(super) thread_index: [Words; 3],
    backward: u32,
    /// Enough backward branches were taken that others should be looked at.
    due: bool,
    /// See [`Warp::set_patience`].
    turn_mask: u32,
    rounds_max: u32,
    /// A lane of the group whose turn it is after a pause.
    next_lane: Option<usize>,
    pub(super) scratch_words: Words,
    pub(super) scratch_longs: Longs,
    /// Where loads at these places (modulo [`ROWS`]) read last.
    pub(super) rows: [u64; ROWS],
}

/// Loads of a loop that are told apart.
pub(super) const ROWS: usize = 16;

impl Warp {
    pub(super) fn new(number: u32, rows: usize) -> Self {
        let mut registers = Registers::default();
        registers.reserve(rows);
        Self {
            registers,
            number,
            live: 0,
            active: 0,
            pc: 0,
            stop: usize::MAX,
            places: [0; LANES],
            frames: [0; LANES],
            local_bases: [0; LANES],
            stack_taken: [0; LANES],
            barrier_wait: [0; 16],
            barrier_ready: 0,
            barrier_results: [0; 16],
            sync_wait: 0,
            meet_wait: 0,
            force: false,
            thread_index: [[0; LANES]; 3],
            backward: 0,
            due: false,
            turn_mask: TURNS_MAX - 1,
            rounds_max: ROUNDS_MAX,
            next_lane: None,
            scratch_words: [0; LANES],
            scratch_longs: [0; LANES],
            rows: [0; ROWS],
        }
    }

    /// Puts all `threads` of the block that belong to this warp at the start of `entry`.
    pub(super) fn start(&mut self, block: [u32; 3], entry: &FunctionCode) {
        let threads = block[0] * block[1] * block[2];
        let first = self.number * LANES as u32;
        let count = (threads - first).min(LANES as u32);
        self.live = if count == LANES as u32 {
            FULL
        } else {
            (1 << count) - 1
        };
        self.place_threads(block, first);
        self.places = [entry.start; LANES];
        self.frames = [0; LANES];
        self.local_bases = [0; LANES];
        self.stack_taken = [0; LANES];
        self.active = 0;
        self.barrier_wait = [0; 16];
        (self.barrier_ready, self.sync_wait, self.meet_wait) = (0, 0, 0);
        self.force = false;
        self.backward = 0;
        self.due = false;
        self.next_lane = None;
    }

    /// Indices of its threads in the block; `first` is the number of its first.
    fn place_threads(&mut self, block: [u32; 3], first: u32) {
        if block[1] == 1 && block[2] == 1 {
            self.thread_index = [[0; LANES]; 3];
            for lane in 0..LANES {
                self.thread_index[0][lane] = first + lane as u32;
            }
            return;
        }
        // One division a warp: the others are counted on from there.
        let rows = first / block[0];
        let mut at = [first % block[0], rows % block[1], rows / block[1]];
        for lane in 0..LANES {
            for axis in 0..3 {
                self.thread_index[axis][lane] = at[axis];
            }
            at[0] += 1;
            if at[0] == block[0] {
                (at[0], at[1]) = (0, at[1] + 1);
                if at[1] == block[1] {
                    (at[1], at[2]) = (0, at[2] + 1);
                }
            }
        }
    }

    /// How long it runs before it lets others run: a warp that has been seen to turn in loops
    /// probably waits for another warp or block, and is then to give way sooner.
    pub(super) fn set_patience(&mut self, short: bool) {
        let (turns, rounds) = if short {
            (HURRIED_TURNS_MAX, 1)
        } else {
            (TURNS_MAX, ROUNDS_MAX)
        };
        (self.turn_mask, self.rounds_max) = (turns - 1, rounds);
    }

    /// Lanes that wait for others.
    pub(super) fn parked(&self) -> u32 {
        let barriers = self.barrier_wait.iter().fold(0, |all, one| all | one);
        barriers | self.sync_wait | self.meet_wait
    }

    /// Lanes that could run.
    pub(super) fn runnable(&self) -> u32 {
        self.live & !self.parked()
    }

    /// Number of this lane's thread in the block.
    #[inline(always)]
    pub(super) fn thread(&self, lane: usize) -> usize {
        self.number as usize * LANES + lane
    }

    /// Runs until every lane waits or has exited, or for a good while.
    #[inline(always)]
    pub(super) fn run(&mut self, env: &mut Env<'_>) -> Result<Pause, Trouble> {
        let code = env.code;
        let mut rounds = 0;
        if let Some(lane) = self.next_lane.take() {
            self.resume_lane(lane);
        }
        loop {
            if std::mem::take(&mut self.due) && self.look_around(env, &mut rounds)? {
                return Ok(Pause::Yielded);
            }
            if self.active == 0 && !self.select() {
                return Ok(if self.live == 0 {
                    Pause::Done
                } else {
                    Pause::Waiting
                });
            }
            loop {
                if self.pc >= self.stop {
                    self.leave();
                    break;
                }
                let instruction = &code.instructions[self.pc];
                let mask = self.active & self.registers.predicate(instruction.guard);
                match &instruction.op {
                    Op::Branch(target) => {
                        let target = *target as usize;
                        if mask == self.active {
                            self.due |= target <= self.pc && self.turn();
                            self.pc = target;
                            if self.due {
                                break;
                            }
                        } else if mask == 0 {
                            self.pc += 1;
                        } else {
                            self.split(mask, target);
                            break;
                        }
                    }
                    op if op.is_control() => {
                        self.control(env, op, mask)?;
                        if self.active == 0 {
                            break;
                        }
                        if let Op::Sleep(duration) = op
                            && mask != 0
                            && self.patience(env, *duration, &mut rounds)?
                        {
                            return Ok(Pause::Yielded);
                        }
                    }
                    op => {
                        if mask != 0 {
                            self.execute(env, op, mask)?;
                        }
                        self.pc += 1;
                    }
                }
            }
        }
    }

    /// After many backward branches: another group has a turn; true if the warp is to pause.
    fn look_around(&mut self, env: &Env<'_>, rounds: &mut u32) -> Result<bool, Trouble> {
        self.check_cancel(env)?;
        *rounds += 1;
        if self.active != 0 || self.select() {
            self.rotate();
        }
        if *rounds >= self.rounds_max {
            self.pause();
            return Ok(true);
        }
        Ok(false)
    }

    /// Leaves the running group where it is, to go on with it.
    fn pause(&mut self) {
        self.next_lane = (self.active != 0).then_some(self.active.trailing_zeros() as usize & 31);
        self.leave();
    }

    fn check_cancel(&self, env: &Env<'_>) -> Result<(), Trouble> {
        let late = |deadline| Instant::now() >= deadline;
        let kind = if env.launch.cancel.load(Ordering::Relaxed) {
            TroubleKind::Cancelled
        } else if env.launch.extras.deadline.is_some_and(late) {
            TroubleKind::TimedOut
        } else {
            return Ok(());
        };
        let lane = self.active.trailing_zeros() as usize & 31;
        Err(Trouble { lane, kind })
    }

    /// A `nanosleep`: others run first; true if the warp is to pause.
    fn patience(
        &mut self,
        env: &mut Env<'_>,
        duration: Slot,
        rounds: &mut u32,
    ) -> Result<bool, Trouble> {
        self.check_cancel(env)?;
        let lane = self.active.trailing_zeros() as usize & 31;
        let asked = u64::from(self.registers.words(env.constants, duration)[lane]);
        env.sleep_ns = if env.sleep_ns == 0 {
            asked
        } else {
            env.sleep_ns.min(asked)
        };
        *rounds += 1;
        if self.rotate() && *rounds < self.rounds_max {
            return Ok(false);
        }
        self.pause();
        Ok(true)
    }

    /// Counts a backward branch; true once in a while.
    #[inline(always)]
    fn turn(&mut self) -> bool {
        self.backward = self.backward.wrapping_add(1);
        self.backward & self.turn_mask == 0
    }

    /// Counts a backward branch, or a call, after which nobody runs.
    pub(super) fn turn_back(&mut self) {
        self.due |= self.turn();
    }

    /// The taken lanes go to `target`, the others on; nobody runs then.
    fn split(&mut self, taken: u32, target: usize) {
        let here = self.pc;
        let base = self.registers.base as u32;
        for lane in lanes(self.active) {
            let goes = taken >> lane & 1 == 1;
            self.places[lane] = if goes { target as u32 } else { here as u32 + 1 };
            self.frames[lane] = base;
        }
        if target <= here {
            self.turn_back();
        }
        self.active = 0;
    }

    /// The running group stops where it is; nobody runs then.
    pub(super) fn leave(&mut self) {
        let (pc, base) = (self.pc as u32, self.registers.base as u32);
        if self.active == FULL {
            (self.places, self.frames) = ([pc; LANES], [base; LANES]);
        } else {
            for lane in lanes(self.active) {
                self.places[lane] = pc;
                self.frames[lane] = base;
            }
        }
        self.active = 0;
    }

    /// Chooses the group to run; false if no lane can. No lane must be running.
    fn select(&mut self) -> bool {
        let runnable = self.runnable();
        if runnable == 0 {
            return false;
        }
        let first = runnable.trailing_zeros() as usize & 31;
        if self.are_together(runnable, first) {
            self.active = runnable;
            self.pc = self.places[first] as usize;
            self.registers.base = self.frames[first] as usize;
            self.stop = usize::MAX;
            return true;
        }
        // Deeper frames first: a lane that returns can then join those that wait for it.
        let key = |lane: usize| (u32::MAX - self.frames[lane], self.places[lane]);
        let best = lanes(runnable).map(key).min().unwrap_or_default();
        let active = lanes(runnable)
            .filter(|&lane| key(lane) == best)
            .fold(0, with_lane);
        self.resume(active, runnable);
        true
    }

    /// Whether all of these lanes are where `first` is, as after every barrier of converged code.
    fn are_together(&self, mask: u32, first: usize) -> bool {
        let (place, frame) = (self.places[first], self.frames[first]);
        let mut differ = 0;
        for lane in 0..LANES {
            let other = self.places[lane] ^ place | self.frames[lane] ^ frame;
            differ |= if mask & BITS[lane] != 0 { other } else { 0 };
        }
        differ == 0
    }

    /// Makes `active` (lanes at one place) the running group.
    fn resume(&mut self, active: u32, runnable: u32) {
        let first = active.trailing_zeros() as usize;
        self.active = active;
        self.pc = self.places[first] as usize;
        self.registers.base = self.frames[first] as usize;
        let others = runnable & !active;
        self.stop = lanes(others)
            .filter(|&lane| self.frames[lane] as usize == self.registers.base)
            .map(|lane| self.places[lane] as usize)
            .filter(|&place| place > self.pc)
            .min()
            .unwrap_or(usize::MAX);
    }

    /// Lets another group run instead of this one; false if there is no other.
    fn rotate(&mut self) -> bool {
        let others = self.runnable() & !self.active;
        if others == 0 {
            return false;
        }
        let current = self.active.trailing_zeros();
        let after = others & FULL.checked_shl(current + 1).unwrap_or(0);
        let first = if after == 0 { others } else { after }.trailing_zeros() as usize;
        self.leave();
        self.resume_lane(first);
        true
    }

    /// Makes the group of a lane the running one, if the lane can run.
    fn resume_lane(&mut self, first: usize) {
        let runnable = self.runnable();
        if runnable >> first & 1 == 0 {
            return;
        }
        let place = (self.places[first], self.frames[first]);
        let active = lanes(runnable)
            .filter(|&lane| (self.places[lane], self.frames[lane]) == place)
            .fold(0, with_lane);
        self.resume(active, runnable);
    }

    /// The lanes of `gone` have exited.
    pub(super) fn exit(&mut self, env: &mut Env<'_>, gone: u32) {
        self.live &= !gone;
        env.exited(gone.count_ones());
        // Whoever waited for them must look again.
        self.sync_wait = 0;
        self.wake_meeting();
        let rest = self.active & !gone;
        self.pc += 1;
        self.active = rest;
        self.leave();
    }
}

impl Op {
    /// Whether the instruction moves lanes, rather than only values.
    #[inline(always)]
    fn is_control(&self) -> bool {
        matches!(
            self,
            Self::BranchTable(..)
                | Self::Call(_)
                | Self::Return
                | Self::Exit
                | Self::Trap
                | Self::Barrier(_)
                | Self::WarpSync(_)
                | Self::Matrix(_)
                | Self::Sleep(_)
        )
    }
}

/// The lanes of a mask, in order.
#[inline(always)]
pub(super) fn lanes(mask: u32) -> impl Iterator<Item = usize> {
    let mut left = mask;
    std::iter::from_fn(move || {
        if left == 0 {
            return None;
        }
        let lane = left.trailing_zeros() as usize;
        left &= left - 1;
        Some(lane)
    })
}

pub(super) fn with_lane(mask: u32, lane: usize) -> u32 {
    mask | 1 << lane
}

/// Backward branches (a power of two) after which another group of the warp has a turn, and the
/// launch's cancellation is looked at.
const TURNS_MAX: u32 = 4096;
/// Such turns after which another warp of the block runs.
const ROUNDS_MAX: u32 = 16;
/// As [`TURNS_MAX`], for a warp that probably waits. A power of two, too.
const HURRIED_TURNS_MAX: u32 = 128;
