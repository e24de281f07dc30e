//! Which block a worker runs next.
//!
//! Blocks start in the order of their numbers, and a block runs to its end unless it only turns in
//! loops: then it may wait for another block, and gives way. The lowest unfinished block has always
//! been started by some worker, so blocks that wait for lower ones (decoupled look-back scans) go
//! on; after many such turns a worker also starts blocks that it has not, up to about what a
//! multiprocessor holds. Of a cooperative launch all blocks are resident from the start.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::block::{Block, Turn};
use super::launch::Shared;
use super::registers::Constants;
use super::{Fault, Launch};

/// Runs blocks as the worker numbered `worker` until none is left.
pub(super) fn work(
    launch: &Launch<'_>,
    constants: &Constants,
    shared: &Shared,
    worker: usize,
    workers: usize,
) -> Result<(), Fault> {
    let room = || Block::new(launch, constants, worker as u32);
    let mut residents = VecDeque::new();
    let mut most = shared.residents_max;
    if launch.cooperative_workspace.is_some() {
        for number in (worker as u64..shared.blocks).step_by(workers) {
            let mut block = room();
            block.start(number);
            residents.push_back(block);
        }
        most = 0;
    }
    let mut spare: Option<Block<'_>> = None;
    let mut resting = Resting::default();
    loop {
        let wanted = residents.is_empty() || resting.rounds >= ROUNDS_BEFORE_MORE;
        if wanted && residents.len() < most {
            if let Some(number) = shared.take() {
                // A helper that finds nothing left to do needs no room.
                let mut block = spare.take().unwrap_or_else(room);
                block.start(number);
                residents.push_front(block);
                resting = Resting::default();
            } else {
                most = residents.len();
            }
        }
        let count = residents.len() as u32;
        let Some(block) = residents.front_mut() else {
            return Ok(());
        };
        if shared.stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        if launch.cancel.load(Ordering::Relaxed) {
            return Err(Fault::Cancelled);
        }
        match block.advance()? {
            Turn::Done => {
                spare = residents.pop_front();
                resting = Resting::default();
            }
            Turn::Progress if resting.turns < TURNS_MAX => resting.turns += 1,
            turn => {
                resting.turns = 0;
                block.set_patience(true);
                resting.give_way(block.take_sleep(), turn == Turn::Progress, count);
                residents.rotate_left(1);
            }
        }
    }
}

/// How long it has been that no block of a worker finished.
#[derive(Debug, Default)]
struct Resting {
    /// Turns in which the running block went on, or that is what it looked like.
    turns: u32,
    /// Blocks that gave way in this round of all residents, and whether one of them went on.
    gave_way: u32,
    went_on: bool,
    sleep: Option<Duration>,
    rounds: u32,
}

impl Resting {
    /// A block has given way. After a round in which all residents only waited the worker does so,
    /// too: for as long as they sleep, or for whoever wants the processor.
    fn give_way(&mut self, sleep: Duration, went_on: bool, count: u32) {
        self.went_on |= went_on;
        self.sleep = Some(self.sleep.map_or(sleep, |shortest| shortest.min(sleep)));
        self.gave_way += 1;
        if self.gave_way < count {
            return;
        }
        if !self.went_on {
            match self.sleep {
                Some(sleep) if !sleep.is_zero() => std::thread::sleep(sleep.min(SLEEP_MAX)),
                _ => std::thread::yield_now(),
            }
        }
        (self.gave_way, self.went_on, self.sleep) = (0, false, None);
        self.rounds += 1;
    }
}

/// Turns after which a block gives way although its warps do not only spin: they may wait in a loop
/// with a barrier in it.
const TURNS_MAX: u32 = 64;
/// Rounds in which no block finished, after which one more is started.
const ROUNDS_BEFORE_MORE: u32 = 8;
/// Longest `nanosleep` (PTX ISA, nanosleep).
const SLEEP_MAX: Duration = Duration::from_millis(1);
