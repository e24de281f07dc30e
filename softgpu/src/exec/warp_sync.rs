//! Instructions that the members of a mask do together: shuffles, votes, matches, reductions.
//!
//! Converged code does them in one pass. Lanes whose fellow members are elsewhere wait at the
//! instruction; whoever completes a mask does the instruction for all of its members.

use super::LANES;
use super::block::Env;
use super::code::{Predicate, Source, Target, WarpSync, WarpSyncKind};
use super::lanes::{Longs, Words};
use super::registers::FULL;
use super::warp::{Trouble, Warp, lanes, with_lane};

impl Warp {
    pub(super) fn warp_sync(
        &mut self,
        env: &mut Env<'_>,
        sync: &WarpSync,
        mask: u32,
    ) -> Result<(), Trouble> {
        if mask != 0 && matches!(sync.kind, WarpSyncKind::Barrier) {
            self.meet(env, sync, mask);
            return Ok(());
        }
        if mask == FULL && self.sync_wait == 0 && self.whole(env, sync) {
            self.force = false;
            self.pc += 1;
            return Ok(());
        }
        let members = |warp: &Self, env: &Env<'_>, present| warp.members(env, sync, present);
        self.gather(env, mask, members, |warp, env, members, ready| {
            warp.perform(env, sync, members, ready);
            Ok(())
        })
    }

    /// Does the frequent ones where all lanes are here and name all lanes; false if it is not so.
    fn whole(&mut self, env: &Env<'_>, sync: &WarpSync) -> bool {
        use WarpSyncKind as K;
        let constants = env.constants;
        match sync.members {
            Source::Word(slot) => {
                let members = self.registers.words(constants, slot);
                if members.iter().fold(FULL, |all, one| all & one) != FULL {
                    return false;
                }
            }
            Source::Predicate(Predicate::Constant(false)) => {}
            _ => return false,
        }
        if let (&[Source::Predicate(predicate)], Target::Word(_) | Target::Predicate(_)) =
            (sync.sources.as_slice(), sync.target)
        {
            let bits = self.registers.predicate(predicate);
            let all = |is: bool| if is { FULL } else { 0 };
            let result = match sync.kind {
                K::VoteAll => all(bits == FULL),
                K::VoteAny => all(bits != 0),
                K::VoteUniform => all(bits == FULL || bits == 0),
                K::VoteBallot => bits,
                _ => return false,
            };
            match sync.target {
                Target::Predicate(index) => self.registers.set_predicate(index, FULL, result),
                Target::Word(slot) if matches!(sync.kind, K::VoteBallot) => {
                    self.registers.set_words(slot, FULL, &[result; LANES]);
                }
                _ => return false,
            }
            return true;
        }
        let (&[Source::Word(a), Source::Word(b), Source::Word(c)], Target::Word(target)) =
            (sync.sources.as_slice(), sync.target)
        else {
            return false;
        };
        let row = |slot| self.registers.words(constants, slot);
        let rows = [row(a), row(b), row(c)];
        let (values, inside) = match sync.kind {
            K::ShuffleUp => shuffled(K::ShuffleUp, rows),
            K::ShuffleDown => shuffled(K::ShuffleDown, rows),
            K::ShuffleButterfly => shuffled(K::ShuffleButterfly, rows),
            K::ShuffleIndex => shuffled(K::ShuffleIndex, rows),
            _ => return false,
        };
        self.registers.set_words(target, FULL, &values);
        if let Target::Predicate(index) = sync.second {
            self.registers.set_predicate(index, FULL, inside);
        }
        true
    }

    /// Does something for the lanes whose fellow members (`members_of` the lanes that are here)
    /// are all here; the others wait. `perform` is given the members and the lanes to do it for.
    pub(super) fn gather(
        &mut self,
        env: &mut Env<'_>,
        mask: u32,
        members_of: impl FnOnce(&Self, &Env<'_>, u32) -> Words,
        perform: impl FnOnce(&mut Self, &mut Env<'_>, &Words, u32) -> Result<(), Trouble>,
    ) -> Result<(), Trouble> {
        if mask == 0 {
            self.pc += 1;
            return Ok(());
        }
        let here = (self.pc as u32, self.registers.base as u32);
        let waiting = lanes(self.sync_wait)
            .filter(|&lane| (self.places[lane], self.frames[lane]) == here)
            .fold(0, with_lane);
        let present = mask | waiting;
        let members = members_of(self, env, present);
        let force = std::mem::take(&mut self.force);
        let ready = if force {
            mask
        } else {
            lanes(present)
                .filter(|&lane| members[lane] & self.live & !present == 0)
                .fold(0, with_lane)
        };
        if ready != 0 {
            perform(self, env, &members, ready)?;
        }
        self.pc += 1;
        if ready == mask && waiting & ready == 0 {
            return Ok(());
        }
        self.leave();
        for lane in lanes(ready) {
            self.places[lane] = here.0 + 1;
        }
        let parked = mask & !ready;
        for lane in lanes(parked) {
            self.places[lane] = here.0;
        }
        self.sync_wait = self.sync_wait & !ready | parked;
        Ok(())
    }

    /// The member mask of each lane of `present`; an unsynchronised form means who is there.
    fn members(&self, env: &Env<'_>, sync: &WarpSync, present: u32) -> Words {
        match sync.members {
            Source::Predicate(Predicate::Constant(false)) => [present; LANES],
            source => self
                .registers
                .values(env.constants, source)
                .map(|mask| mask as u32),
        }
    }

    /// `bar.warp.sync`: members may wait at different instructions.
    fn meet(&mut self, env: &Env<'_>, sync: &WarpSync, mask: u32) {
        let members = self.members(env, sync, mask);
        let lane = mask.trailing_zeros() as usize;
        let present = mask | self.meet_wait;
        self.pc += 1;
        if members[lane] & self.live & !present == 0 {
            self.meet_wait &= !(members[lane] | mask);
            if self.runnable() != self.active {
                self.leave();
            }
            return;
        }
        self.leave();
        self.meet_wait |= mask;
    }

    /// Lanes at warp barriers look again at whom they wait for: a member has exited.
    pub(super) fn wake_meeting(&mut self) {
        if self.meet_wait & self.live == self.live {
            self.meet_wait = 0;
        }
        self.meet_wait &= self.live;
    }

    fn perform(&mut self, env: &Env<'_>, sync: &WarpSync, members: &Words, ready: u32) {
        use WarpSyncKind as K;
        let source = |index: usize| match sync.sources.get(index) {
            Some(&source) => self.registers.values(env.constants, source),
            None => [0; LANES],
        };
        let values = source(0);
        let mut first: Longs = [0; LANES];
        let mut second: Longs = [0; LANES];
        for lane in lanes(ready) {
            let group = members[lane] & ready;
            let holding = || lanes(group).filter(|&other| values[other] & 1 == 1).count() as u32;
            let same = || {
                lanes(group)
                    .filter(|&other| values[other] == values[lane])
                    .fold(0, with_lane)
            };
            (first[lane], second[lane]) = match sync.kind {
                K::VoteAll => (u64::from(holding() == group.count_ones()), 0),
                K::VoteAny => (u64::from(holding() > 0), 0),
                K::VoteUniform => (u64::from(same() == group), 0),
                K::VoteBallot => {
                    let ballot = lanes(group).filter(|&other| values[other] & 1 == 1);
                    (u64::from(ballot.fold(0, with_lane)), 0)
                }
                K::MatchAny => (u64::from(same()), 0),
                K::MatchAll if same() == group => (u64::from(members[lane]), 1),
                K::MatchAll => (0, 0),
                K::Elect => {
                    let leader = group.trailing_zeros();
                    (u64::from(leader), u64::from(leader == lane as u32))
                }
                K::Reduce(function) => {
                    let others = lanes(group).map(|other| values[other] as u32);
                    (u64::from(others.reduce(function).unwrap_or(0)), 0)
                }
                K::Barrier => (0, 0),
                kind => {
                    let (offset, bounds) = (source(1)[lane] as u32, source(2)[lane] as u32);
                    let (from, inside) = shuffle_source(kind, lane as u32, offset, bounds);
                    (values[from as usize & 31], u64::from(inside))
                }
            };
        }
        self.registers.set(sync.target, ready, &first);
        if sync.second != Target::Nothing {
            self.registers.set(sync.second, ready, &second);
        }
    }

    /// Lets lanes go on whose fellow members will never come; false if there are none.
    pub(super) fn force_sync(&mut self) -> bool {
        if self.sync_wait != 0 {
            self.sync_wait = 0;
            self.force = true;
            return true;
        }
        std::mem::take(&mut self.meet_wait) != 0
    }
}

/// A shuffle of a whole warp: the values, and the lanes whose source lies within the segment.
#[inline(always)]
fn shuffled(kind: WarpSyncKind, [values, offsets, bounds]: [&Words; 3]) -> (Words, u32) {
    let (mut into, mut inside) = ([0; LANES], 0);
    for lane in 0..LANES {
        let (from, is) = shuffle_source(kind, lane as u32, offsets[lane], bounds[lane]);
        into[lane] = values[from as usize & 31];
        inside |= u32::from(is) << lane;
    }
    (into, inside)
}

/// The lane a shuffle reads, and whether it lies within the segment. Source: PTX ISA, shfl.sync.
#[inline(always)]
fn shuffle_source(kind: WarpSyncKind, lane: u32, offset: u32, bounds: u32) -> (u32, bool) {
    let (offset, clamp, segment) = (offset & 31, bounds & 31, bounds >> 8 & 31);
    let highest = lane & segment | clamp & !segment;
    let (from, inside) = match kind {
        WarpSyncKind::ShuffleUp => {
            let from = lane.wrapping_sub(offset);
            (from, from.cast_signed() >= highest.cast_signed())
        }
        WarpSyncKind::ShuffleDown => (lane + offset, lane + offset <= highest),
        WarpSyncKind::ShuffleButterfly => (lane ^ offset, lane ^ offset <= highest),
        _ => {
            let from = lane & segment | offset & !segment;
            (from, from <= highest)
        }
    };
    if inside { (from, true) } else { (lane, false) }
}

const _: () = assert!(FULL.count_ones() as usize == LANES);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shuffles_stop_at_their_segment() {
        use WarpSyncKind as K;
        assert_eq!(shuffle_source(K::ShuffleUp, 3, 1, 0), (2, true));
        assert_eq!(shuffle_source(K::ShuffleUp, 0, 1, 0), (0, false));
        assert_eq!(shuffle_source(K::ShuffleDown, 30, 1, 31), (31, true));
        assert_eq!(shuffle_source(K::ShuffleDown, 31, 1, 31), (31, false));
        assert_eq!(shuffle_source(K::ShuffleButterfly, 5, 4, 31), (1, true));
        // Width 8: segment mask 0x18, clamp 7.
        assert_eq!(shuffle_source(K::ShuffleDown, 7, 1, 0x1807), (7, false));
        assert_eq!(shuffle_source(K::ShuffleIndex, 13, 5, 0x181f), (13, true));
        assert_eq!(shuffle_source(K::ShuffleIndex, 9, 5, 0x1807), (13, true));
    }
}
