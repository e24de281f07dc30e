//! The checking mode: every access is looked at before it is made, and a bad one is told.

use super::block::Env;
use super::code::{Address, Region};
use super::launch::{BadAccess, Checker};
use super::memory::Bad;
use super::warp::{Trouble, TroubleKind, Warp, lanes};
use super::{LANES, Place};

/// What an instruction is about to do at an address of each lane: the address, the bytes of an
/// element, the number of elements, whether it writes.
pub(super) struct Access<'a>(
    pub(super) &'a Address,
    pub(super) u32,
    pub(super) usize,
    pub(super) bool,
);

impl Warp {
    /// Looks at an access of the lanes of `mask`; only where the launch asks for checks.
    #[inline(always)]
    pub(super) fn check(
        &self,
        env: &Env<'_>,
        access: &Access<'_>,
        mask: u32,
    ) -> Result<(), Trouble> {
        match env.launch.extras.checker {
            None => Ok(()),
            Some(checker) => self.check_lanes(env, checker, access, mask),
        }
    }

    #[cold]
    fn check_lanes(
        &self,
        env: &Env<'_>,
        checker: &dyn Checker,
        access: &Access<'_>,
        mask: u32,
    ) -> Result<(), Trouble> {
        let &Access(place, element, count, writes) = access;
        let addresses = self.addresses(env, place);
        let size = u64::from(element) * count as u64;
        for lane in lanes(mask) {
            let resolved = env.spaces.resolve(place.region, addresses[lane]);
            let (region, address) = resolved;
            let within = |len: usize| {
                let len = len as u64;
                address < len && len - address >= size
            };
            let (space, is_inside) = match region {
                Region::Generic | Region::Global => ("global", checker.allows(address, size)),
                Region::Shared => ("shared", within(env.spaces.shared.len())),
                Region::Local => ("local", within(env.spaces.local_bytes)),
                Region::Parameter => ("param", within(env.spaces.parameters.len())),
            };
            let is_aligned = address & (size.next_power_of_two() - 1) == 0;
            if is_inside && is_aligned {
                continue;
            }
            let line = env.code.instructions.get(self.pc);
            checker.report(&BadAccess {
                place: Place {
                    kernel: env.launch.kernel.name().to_owned(),
                    block: env.block_index,
                    thread: self.thread_index.map(|row| row[lane & (LANES - 1)]),
                    line: line.map_or(0, |instruction| instruction.line),
                },
                space,
                address,
                size,
                writes,
                is_misaligned: is_inside,
            });
            let bad = if is_inside {
                Bad::Alignment
            } else {
                Bad::Address
            };
            let kind = TroubleKind::Memory(bad, address);
            return Err(Trouble { lane, kind });
        }
        Ok(())
    }
}
