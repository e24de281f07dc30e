//! The part of a thread's local memory whose size is known at run time only (`alloca`).

use super::block::Env;
use super::code::{Operation, Source};
use super::memory_forms::MemoryKind;
use super::warp::{Trouble, TroubleKind, Warp, lanes};

impl Warp {
    /// `alloca`, `stacksave`, `stackrestore`: the stack pointer of a lane is the start of what it
    /// took, an address in local memory.
    pub(super) fn stack(
        &mut self,
        env: &Env<'_>,
        operation: &Operation<MemoryKind>,
        mask: u32,
    ) -> Result<(), Trouble> {
        let end = env.spaces.local_bytes as u64;
        for lane in lanes(mask) {
            let pointer = end - u64::from(self.stack_taken[lane]);
            let base = u64::from(self.local_bases[lane]);
            let value = self.first_source(env, operation.sources.first(), lane);
            let pointer = match operation.kind {
                MemoryKind::StackTake { align, frame_bytes } => {
                    let start = pointer.checked_sub(value);
                    let start = start.map(|start| start & !(u64::from(align) - 1));
                    match start.filter(|&start| start >= base + u64::from(frame_bytes)) {
                        Some(start) => start,
                        None => {
                            return Err(Trouble {
                                lane,
                                kind: TroubleKind::Stack,
                            });
                        }
                    }
                }
                // A pointer that no `stacksave` gave is moved to where it does no harm.
                MemoryKind::StackRestore { frame_bytes } => {
                    let lowest = (base + u64::from(frame_bytes)).min(end);
                    value.clamp(lowest, end)
                }
                _ => pointer,
            };
            self.stack_taken[lane] = (end - pointer) as u32;
            if let Some(&target) = operation.targets.first() {
                self.registers.set_lane(target, lane, pointer);
            }
        }
        Ok(())
    }

    fn first_source(&self, env: &Env<'_>, source: Option<&Source>, lane: usize) -> u64 {
        source.map_or(0, |&source| {
            self.registers.value(env.constants, source, lane)
        })
    }
}
