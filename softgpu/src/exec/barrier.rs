//! Barriers of a block: lanes wait at the instruction until enough threads have come.
//!
//! A waiting lane stays at the barrier's instruction. When the barrier is complete the lane is
//! marked ready, executes the instruction again, takes the result and goes on.

use super::LANES;
use super::block::Env;
use super::code::{Barrier, BarrierKind, Target};
use super::warp::{Trouble, TroubleKind, Warp, lanes};

/// One of the sixteen barriers of a block.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct BarrierState {
    /// Threads that have come.
    pub(super) arrived: u32,
    /// Threads to wait for; 0 for all that live.
    pub(super) expected: u32,
    /// Threads whose predicate held.
    pub(super) holding: u32,
    /// Threads that came with a predicate.
    pub(super) asked: u32,
}

impl BarrierState {
    /// Whether all have come, `living` threads being left in the block.
    pub(super) fn is_complete(&self, living: u32) -> bool {
        let expected = if self.expected == 0 {
            living
        } else {
            self.expected
        };
        self.arrived > 0 && self.arrived >= expected
    }
}

impl Warp {
    pub(super) fn barrier(
        &mut self,
        env: &mut Env<'_>,
        barrier: &Barrier,
        mask: u32,
    ) -> Result<(), Trouble> {
        let ready = mask & self.barrier_ready;
        let fresh = mask & !ready;
        if ready != 0 {
            self.take_result(env, barrier, ready);
            self.barrier_ready &= !ready;
        }
        self.pc += 1;
        if fresh == 0 {
            return Ok(());
        }
        let lane = fresh.trailing_zeros() as usize;
        let id = self.registers.value(env.constants, barrier.id, lane);
        if id > 15 {
            let what = format!("barrier {id}");
            return Err(Trouble {
                lane,
                kind: TroubleKind::Illegal(what),
            });
        }
        let id = id as usize;
        let state = &mut env.barriers[id];
        match barrier.count {
            None => {
                state.expected = 0;
                state.arrived = state.arrived.saturating_add(fresh.count_ones());
            }
            Some(count) => {
                state.expected = self.registers.value(env.constants, count, lane) as u32;
                // Counts go by whole warps: lanes that do not exist come with the first that do.
                let is_first = self.barrier_wait[id] == 0;
                let arrives = matches!(barrier.kind, BarrierKind::Arrive);
                let gone = if is_first && !arrives || fresh == self.live {
                    LANES as u32 - self.live.count_ones()
                } else {
                    0
                };
                state.arrived = state.arrived.saturating_add(fresh.count_ones() + gone);
            }
        }
        if let BarrierKind::Count(predicate, _)
        | BarrierKind::And(predicate, _)
        | BarrierKind::Or(predicate, _) = barrier.kind
        {
            let holding = (self.registers.predicate(predicate) & fresh).count_ones();
            state.holding = state.holding.saturating_add(holding);
            state.asked = state.asked.saturating_add(fresh.count_ones());
        }
        if matches!(barrier.kind, BarrierKind::Arrive) {
            return Ok(());
        }
        let here = self.pc as u32 - 1;
        self.leave();
        for lane in lanes(fresh) {
            self.places[lane] = here;
        }
        self.barrier_wait[id] |= fresh;
        Ok(())
    }

    fn take_result(&mut self, env: &Env<'_>, barrier: &Barrier, ready: u32) {
        let lane = ready.trailing_zeros() as usize;
        let id = self.registers.value(env.constants, barrier.id, lane) as usize & 15;
        let [holding, asked] = [
            self.barrier_results[id] & 0xffff,
            self.barrier_results[id] >> 16,
        ];
        let (target, value) = match barrier.kind {
            BarrierKind::Count(_, target) => (target, holding),
            BarrierKind::And(_, target) => (target, u32::from(holding == asked)),
            BarrierKind::Or(_, target) => (target, u32::from(holding > 0)),
            BarrierKind::Sync | BarrierKind::Arrive => (Target::Nothing, 0),
        };
        self.registers
            .set(target, ready, &[u64::from(value); LANES]);
    }

    /// The barrier `id` is complete: its waiting lanes may go on.
    pub(super) fn release(&mut self, id: usize, state: BarrierState) {
        // Lanes that it let through before may not have taken their result yet.
        if self.barrier_wait[id] == 0 {
            return;
        }
        self.barrier_ready |= self.barrier_wait[id];
        self.barrier_wait[id] = 0;
        // 1,024 threads at most fit either half; only a faulty kernel counts more.
        self.barrier_results[id] = (state.asked.min(0xffff) << 16) | state.holding.min(0xffff);
    }
}
