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

/// What one lane is about to touch.
#[derive(Clone, Copy)]
pub(super) struct Touch {
    pub(super) lane: usize,
    pub(super) region: Region,
    pub(super) address: u64,
    /// Bytes; with none nothing is touched.
    pub(super) size: u64,
    /// A power of two.
    pub(super) alignment: u64,
    pub(super) writes: bool,
}

/// An access to an image that must not be made.
pub(super) struct BadImage {
    /// `surface` or `texture`.
    pub(super) space: &'static str,
    pub(super) address: u64,
    pub(super) size: u64,
    pub(super) writes: bool,
    pub(super) is_misaligned: bool,
}

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

    /// Looks at what one lane is about to touch; only where the launch asks for checks.
    #[inline(always)]
    pub(super) fn check_touch(&self, env: &Env<'_>, touch: Touch) -> Result<(), Trouble> {
        match env.launch.extras.checker {
            None => Ok(()),
            Some(checker) => self.check_lane(env, checker, &touch),
        }
    }

    /// Tells of an access to an image that is about to end the launch.
    #[cold]
    pub(super) fn report_image(&self, env: &Env<'_>, lane: usize, bad: &BadImage) {
        if let Some(checker) = env.launch.extras.checker {
            checker.report(&BadAccess {
                place: self.place(env, lane),
                space: bad.space,
                address: bad.address,
                size: bad.size,
                writes: bad.writes,
                is_misaligned: bad.is_misaligned,
            });
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
            let touch = Touch {
                lane,
                region: place.region,
                address: addresses[lane],
                size,
                alignment: size.next_power_of_two(),
                writes,
            };
            self.check_lane(env, checker, &touch)?;
        }
        Ok(())
    }

    #[cold]
    fn check_lane(
        &self,
        env: &Env<'_>,
        checker: &dyn Checker,
        touch: &Touch,
    ) -> Result<(), Trouble> {
        let &Touch {
            lane, size, writes, ..
        } = touch;
        let (region, address) = env.spaces.resolve(touch.region, touch.address);
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
        let is_aligned = address & (touch.alignment - 1) == 0;
        if size == 0 || is_inside && is_aligned {
            return Ok(());
        }
        checker.report(&BadAccess {
            place: self.place(env, lane),
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
        Err(Trouble { lane, kind })
    }

    /// Who executes the instruction of now.
    fn place(&self, env: &Env<'_>, lane: usize) -> Place {
        let line = env.code.instructions.get(self.pc);
        Place {
            kernel: env.launch.kernel.name().to_owned(),
            block: env.block_index,
            thread: self.thread_index.map(|row| row[lane & (LANES - 1)]),
            line: line.map_or(0, |instruction| instruction.line),
        }
    }
}
