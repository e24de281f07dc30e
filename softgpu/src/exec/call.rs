//! Control that moves lanes: indexed branches, calls, returns, ends.
//!
//! Frames of registers lie one after the other in the warp's files, and a lane's way back (place,
//! frame, local memory) lies in the first rows of the callee's frame. So every lane has its own
//! call stack, and lanes that return to the same place meet again there.

use super::block::Env;
use super::code::{Call, Callee, Op, Slot};
use super::program::function_at;
use super::warp::{Trouble, TroubleKind, Warp, lanes};

impl Warp {
    /// Executes an instruction that moves lanes.
    pub(super) fn control(&mut self, env: &mut Env<'_>, op: &Op, mask: u32) -> Result<(), Trouble> {
        match op {
            Op::Barrier(barrier) => return self.barrier(env, barrier, mask),
            Op::WarpSync(sync) => return self.warp_sync(env, sync, mask),
            Op::Matrix(matrix) => return self.matrix_sync(env, matrix, mask),
            _ if mask == 0 => self.pc += 1,
            Op::Exit => self.exit(env, mask),
            Op::Return => self.give_back(env, mask),
            Op::Call(call) => return self.call(env, call, mask),
            Op::BranchTable(slot, targets) => return self.branch_table(env, *slot, targets, mask),
            Op::Trap => {
                let lane = mask.trailing_zeros() as usize;
                return Err(Trouble {
                    lane,
                    kind: TroubleKind::Trap,
                });
            }
            _ => self.pc += 1,
        }
        Ok(())
    }

    fn branch_table(
        &mut self,
        env: &Env<'_>,
        slot: Slot,
        targets: &[u32],
        mask: u32,
    ) -> Result<(), Trouble> {
        let indices = *self.registers.words(env.constants, slot);
        self.pc += 1;
        let active = self.active;
        self.leave();
        for lane in lanes(active & mask) {
            let Some(&target) = targets.get(indices[lane] as usize) else {
                let what = format!(
                    "index {} of {} branch targets",
                    indices[lane],
                    targets.len()
                );
                return Err(Trouble {
                    lane,
                    kind: TroubleKind::Illegal(what),
                });
            };
            self.places[lane] = target;
        }
        self.turn_back();
        Ok(())
    }

    fn call(&mut self, env: &mut Env<'_>, call: &Call, mask: u32) -> Result<(), Trouble> {
        let mut targets = [0usize; super::LANES];
        match call.callee {
            Callee::Function(index) => targets = [index; super::LANES],
            Callee::Indirect(slot) => {
                let addresses = *self.registers.longs(env.constants, slot);
                for lane in lanes(mask) {
                    let index = function_at(addresses[lane])
                        .and_then(|index| env.code.by_address.get(&index).copied());
                    let Some(index) = index else {
                        let what = format!("call of address 0x{:x}", addresses[lane]);
                        return Err(Trouble {
                            lane,
                            kind: TroubleKind::Illegal(what),
                        });
                    };
                    targets[lane] = index;
                }
            }
            _ => {
                for lane in lanes(mask) {
                    self.enter_local(env, call, lane)?;
                    self.built_in(env, call, lane)?;
                }
                self.pc += 1;
                return Ok(());
            }
        }
        let back = self.pc as u32 + 1;
        let caller = self.registers.base;
        let frame = caller + call.rows as usize;
        self.pc += 1;
        self.leave();
        for lane in lanes(mask) {
            let function = &env.code.functions[targets[lane]];
            let local_base = self.local_bases[lane];
            self.enter_local(env, call, lane)?;
            let end = frame + function.rows.max(RESERVED_ROWS) as usize;
            let local_end = local_base + call.local_bytes + function.local_bytes;
            let local_room = self.local_room(env, lane);
            if end > ROWS_MAX || u64::from(local_end) > local_room {
                return Err(Trouble {
                    lane,
                    kind: TroubleKind::Stack,
                });
            }
            self.registers.reserve(end);
            self.registers.base = frame;
            let kept = [back, caller as u32, local_base, self.stack_taken[lane]];
            for (row, value) in kept.into_iter().enumerate() {
                let slot = super::code::Target::Word(Slot::register(row as u32));
                self.registers.set_lane(slot, lane, u64::from(value));
            }
            self.registers.base = caller;
            self.local_bases[lane] = local_base + call.local_bytes;
            self.places[lane] = function.start;
            self.frames[lane] = frame as u32;
        }
        // Recursion can go on for ages without a branch backwards.
        self.turn_back();
        Ok(())
    }

    /// Copies the arguments to where the callee's frame of local memory will be.
    fn enter_local(&mut self, env: &mut Env<'_>, call: &Call, lane: usize) -> Result<(), Trouble> {
        let base = self.local_bases[lane];
        for &(from, to, size) in &call.arguments {
            let to = base + call.local_bytes + to;
            let thread = self.thread(lane);
            if u64::from(to) + u64::from(size) > self.local_room(env, lane)
                || !env.spaces.copy_local(thread, base + from, to, size)
            {
                return Err(Trouble {
                    lane,
                    kind: TroubleKind::Stack,
                });
            }
        }
        Ok(())
    }

    /// End of what frames may have of a lane's local memory.
    fn local_room(&self, env: &Env<'_>, lane: usize) -> u64 {
        (env.spaces.local_bytes as u64).saturating_sub(u64::from(self.stack_taken[lane]))
    }

    fn give_back(&mut self, env: &Env<'_>, mask: u32) {
        let row = |index| *self.registers.words(env.constants, Slot::register(index));
        let (backs, frames, local_bases, stacks) = (row(0), row(1), row(2), row(3));
        self.pc += 1;
        self.leave();
        for lane in lanes(mask) {
            self.places[lane] = backs[lane];
            self.frames[lane] = frames[lane];
            self.local_bases[lane] = local_bases[lane];
            self.stack_taken[lane] = stacks[lane];
        }
    }
}

const RESERVED_ROWS: u32 = 4;
/// Rows of a warp's register files: about 12 MiB, enough for a thousand nested calls.
const ROWS_MAX: usize = 1 << 15;
