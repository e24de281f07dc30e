//! Instructions that only compute and access memory: no lane changes its place.

use super::LANES;
use super::block::Env;
use super::check::Access;
use super::code::{Address, Atomic, Base, Load, Logic, Op, Outcome, Region, Source};
use super::code::{ScalarOp, Special, Store, Target};
use super::lanes::Longs;
use super::memory::{Bad, prefetch};
use super::registers::{BITS, FULL};
use super::time;
use super::warp::{ROWS, Trouble, TroubleKind, Warp, lanes};

impl Warp {
    /// Executes `op` for the lanes of `mask`, of which there is one at least.
    #[inline(always)]
    pub(super) fn execute(&mut self, env: &mut Env<'_>, op: &Op, mask: u32) -> Result<(), Trouble> {
        let constants = env.constants;
        let registers = &mut self.registers;
        // A scratch row that no one clears: each function fills it before it is read.
        let row = &mut self.scratch_words;
        macro_rules! word {
            ($slot:expr) => {
                registers.words(constants, *$slot)
            };
        }
        match op {
            Op::Words1(map, d, a) => {
                map.run(row, word!(a));
                registers.set_words(*d, mask, row);
            }
            Op::Words2(map, d, a, b) => {
                map.run(row, word!(a), word!(b));
                registers.set_words(*d, mask, row);
            }
            Op::Words3(map, d, a, b, c) => {
                map.run(row, word!(a), word!(b), word!(c));
                registers.set_words(*d, mask, row);
            }
            Op::Narrow1(map, d, a) => {
                map.run(row, registers.longs(constants, *a));
                registers.set_words(*d, mask, row);
            }
            Op::CopyWord(d, a) => {
                *row = *word!(a);
                registers.set_words(*d, mask, row);
            }
            Op::SelectWord(d, a, b, predicate) => {
                let chosen = registers.predicate(*predicate);
                let (a, b) = (word!(a), word!(b));
                for lane in 0..LANES {
                    row[lane] = if chosen & BITS[lane] != 0 {
                        a[lane]
                    } else {
                        b[lane]
                    };
                }
                registers.set_words(*d, mask, row);
            }
            Op::Compare32(compare, a, b, outcome) => {
                let bits = compare.bits(word!(a), word!(b));
                self.outcome(outcome, bits, mask);
            }
            Op::Compare64(compare, a, b, outcome) => {
                let longs = |slot| registers.longs(constants, slot);
                let bits = compare.bits(longs(*a), longs(*b));
                self.outcome(outcome, bits, mask);
            }
            Op::Logic(logic, d, a, b) => {
                let bits = logic.apply(registers.predicate(*a), registers.predicate(*b));
                registers.set_predicate(*d, mask, bits);
            }
            Op::Load(load) => return self.load(env, load, mask),
            Op::Store(store) => return self.store(env, store, mask),
            op => return self.execute_long(env, op, mask),
        }
        Ok(())
    }

    /// The instructions whose result is a long, and what is rare.
    #[inline(always)]
    fn execute_long(&mut self, env: &mut Env<'_>, op: &Op, mask: u32) -> Result<(), Trouble> {
        let constants = env.constants;
        let registers = &mut self.registers;
        let row = &mut self.scratch_longs;
        macro_rules! word {
            ($slot:expr) => {
                registers.words(constants, *$slot)
            };
        }
        macro_rules! long {
            ($slot:expr) => {
                registers.longs(constants, *$slot)
            };
        }
        let target = match op {
            Op::Longs1(map, d, a) => {
                map.run(row, long!(a));
                d
            }
            Op::Longs2(map, d, a, b) => {
                map.run(row, long!(a), long!(b));
                d
            }
            Op::Longs3(map, d, a, b, c) => {
                map.run(row, long!(a), long!(b), long!(c));
                d
            }
            Op::Widen1(map, d, a) => {
                map.run(row, word!(a));
                d
            }
            Op::Widen2(map, d, a, b) => {
                map.run(row, word!(a), word!(b));
                d
            }
            Op::Widen3(map, d, a, b, c) => {
                map.run(row, word!(a), word!(b), long!(c));
                d
            }
            Op::Shift64(map, d, a, b) => {
                map.run(row, long!(a), word!(b));
                d
            }
            Op::CopyLong(d, a) => {
                *row = *long!(a);
                d
            }
            Op::SelectLong(d, a, b, predicate) => {
                let chosen = registers.predicate(*predicate);
                let (a, b) = (long!(a), long!(b));
                for lane in 0..LANES {
                    row[lane] = if chosen & BITS[lane] != 0 {
                        a[lane]
                    } else {
                        b[lane]
                    };
                }
                d
            }
            op => return self.rare(env, op, mask),
        };
        registers.set_longs(*target, mask, row);
        Ok(())
    }

    /// The instructions that are not worth a place in the loop.
    fn rare(&mut self, env: &mut Env<'_>, op: &Op, mask: u32) -> Result<(), Trouble> {
        match op {
            Op::Scalar(scalar) => self.scalar(env, scalar, mask),
            Op::Special(target, special) => {
                let values = self.special(env, *special);
                self.registers.set(*target, mask, &values);
            }
            Op::LocalAddress(target, offset) => {
                let values = self
                    .local_bases
                    .map(|base| u64::from(base.wrapping_add(*offset)));
                self.registers.set(*target, mask, &values);
            }
            Op::Atomic(atomic) => self.atomic(env, atomic, mask)?,
            Op::Copy(copy) => self.copy(env, copy, mask)?,
            Op::Image(image) => self.image(env, image, mask)?,
            Op::Memory(operation) if operation.kind.is_stack() => {
                self.stack(env, operation, mask)?;
            }
            Op::Memory(operation) => self.memory_form(env, operation, mask)?,
            Op::ActiveMask(target) => self.registers.set_words(*target, mask, &[mask; LANES]),
            Op::Results(results) => {
                for lane in lanes(mask) {
                    let base = self.local_bases[lane];
                    for &(from, to, size) in &results.copies {
                        let from = base + results.local_bytes + from;
                        let thread = self.thread(lane);
                        if !env.spaces.copy_local(thread, from, base + to, size) {
                            return Err(Trouble {
                                lane,
                                kind: TroubleKind::Stack,
                            });
                        }
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    #[inline(always)]
    fn outcome(&mut self, outcome: &Outcome, bits: u32, mask: u32) {
        let (mut result, mut complement) = (bits, !bits);
        if let Some((logic, predicate)) = outcome.combine {
            let with = self.registers.predicate(predicate);
            result = Logic::apply(logic, result, with);
            complement = Logic::apply(logic, complement, with);
        }
        match outcome.target {
            Target::Predicate(index) => self.registers.set_predicate(index, mask, result),
            Target::Nothing => {}
            target => {
                let truth = u64::from(outcome.truth);
                let values =
                    std::array::from_fn(|lane| if result >> lane & 1 == 1 { truth } else { 0 });
                self.registers.set(target, mask, &values);
            }
        }
        if let Some(index) = outcome.complement {
            self.registers.set_predicate(index, mask, complement);
        }
    }

    fn scalar(&mut self, env: &Env<'_>, op: &ScalarOp, mask: u32) {
        let mut first = [0; LANES];
        let mut second = [0; LANES];
        for lane in lanes(mask) {
            let mut values = [0; 4];
            for (value, source) in values.iter_mut().zip(&op.sources) {
                *value = self.registers.value(env.constants, *source, lane);
            }
            [first[lane], second[lane]] = (op.function)(values, op.mode);
        }
        self.registers.set(op.targets[0], mask, &first);
        self.registers.set(op.targets[1], mask, &second);
    }

    fn special(&self, env: &Env<'_>, special: Special) -> Longs {
        let one = |value: u32| [u64::from(value); LANES];
        let by_lane =
            |value: fn(u32) -> u32| std::array::from_fn(|lane| u64::from(value(lane as u32)));
        match special {
            Special::ThreadIndex(axis) => self.thread_index[axis].map(u64::from),
            Special::BlockSize(axis) => one(env.launch.block[axis]),
            Special::BlockIndex(axis) => one(env.block_index[axis]),
            Special::GridSize(axis) => one(env.launch.grid[axis]),
            Special::Lane => by_lane(|lane| lane),
            Special::Warp => one(self.number),
            Special::WarpCount => one(env.launch.block.iter().product::<u32>().div_ceil(32)),
            Special::Multiprocessor => one(env.worker),
            Special::MultiprocessorCount => one(env.launch.workers as u32),
            Special::GridId | Special::Zero => one(0),
            Special::One => one(1),
            Special::MaskEqual => by_lane(|lane| 1 << lane),
            Special::MaskLess => by_lane(|lane| (1 << lane) - 1),
            Special::MaskLessEqual => by_lane(|lane| u32::MAX >> (31 - lane)),
            Special::MaskGreater => by_lane(|lane| !(u32::MAX >> (31 - lane))),
            Special::MaskGreaterEqual => by_lane(|lane| u32::MAX << lane),
            Special::Clock => [time::ticks(); LANES],
            Special::ClockHigh => [time::ticks() >> 32; LANES],
            Special::GlobalTimer => [time::nanoseconds(); LANES],
            Special::GlobalTimerHigh => [time::nanoseconds() >> 32; LANES],
            // The workspace of a cooperative launch: high half, low half.
            Special::Environment(1) => [env.launch.cooperative_workspace.unwrap_or(0) >> 32; LANES],
            Special::Environment(2) => {
                [env.launch.cooperative_workspace.unwrap_or(0) & 0xffff_ffff; LANES]
            }
            Special::Environment(_) => one(0),
            Special::SharedBytes => one(env.spaces.shared.len() as u32),
            Special::DynamicSharedBytes => one(env.launch.dynamic_shared_bytes),
        }
    }

    /// The addresses that the lanes mean.
    #[inline(always)]
    pub(super) fn addresses(&self, env: &Env<'_>, address: &Address) -> Longs {
        let offset = address.offset.cast_unsigned();
        // Loops rather than `map`, which is not inlined for arrays of this length.
        let mut addresses = [offset; LANES];
        match address.base {
            Base::None => {}
            Base::Long(slot) => {
                let bases = self.registers.longs(env.constants, slot);
                for lane in 0..LANES {
                    addresses[lane] = bases[lane].wrapping_add(offset);
                }
            }
            // A word is an address within a space, whose arithmetic is modulo 2^32.
            Base::Word(slot) => {
                let bases = self.registers.words(env.constants, slot);
                for lane in 0..LANES {
                    addresses[lane] = u64::from(bases[lane].wrapping_add(offset as u32));
                }
            }
            Base::Frame => {
                for lane in 0..LANES {
                    addresses[lane] = u64::from(self.local_bases[lane]).wrapping_add(offset);
                }
            }
        }
        addresses
    }

    #[inline(always)]
    fn load(&mut self, env: &mut Env<'_>, load: &Load, mask: u32) -> Result<(), Trouble> {
        let access = Access(&load.address, load.size, load.targets.len(), false);
        self.check(env, &access, mask)?;
        let addresses = self.addresses(env, &load.address);
        if let ([Target::Word(slot)], 4) = (load.targets.as_slice(), load.size) {
            let mut words = [0; LANES];
            let loaded = match load.address.region {
                Region::Global | Region::Generic if mask == FULL => {
                    self.expect_row(addresses[0]);
                    env.spaces.memory.load_words(&addresses, &mut words)
                }
                Region::Shared => env.spaces.load_shared(&addresses, mask, &mut words),
                _ => false,
            };
            if loaded {
                self.registers.set_words(*slot, mask, &words);
                return Ok(());
            }
        }
        self.load_lanes(env, load, &addresses, mask)
    }

    /// Begins to fetch the row that this load will read next, if it goes on as it has: loops over
    /// a whole grid step over more than a page, where a CPU does not see it coming.
    #[inline(always)]
    fn expect_row(&mut self, first: u64) {
        let last = &mut self.rows[self.pc % ROWS];
        let step = first.wrapping_sub(std::mem::replace(last, first));
        prefetch(first.wrapping_add(step));
    }

    fn load_lanes(
        &mut self,
        env: &mut Env<'_>,
        load: &Load,
        addresses: &Longs,
        mask: u32,
    ) -> Result<(), Trouble> {
        if load.address.is_fixed_parameter() {
            return self.load_parameter(env, load, addresses[0], mask);
        }
        if let [target] = load.targets.as_slice() {
            let values = self.load_one(env, load, addresses, mask)?;
            self.registers.set(*target, mask, &values);
            return Ok(());
        }
        let size = u64::from(load.size);
        let whole = size * load.targets.len() as u64;
        let region = load.address.region;
        for lane in lanes(mask) {
            let thread = self.thread(lane);
            let start = addresses[lane];
            if start & (whole.next_power_of_two() - 1) != 0 && load.targets.len() > 1 {
                return Err(trouble(lane, Bad::Alignment, start));
            }
            for (index, target) in load.targets.iter().enumerate() {
                let address = start.wrapping_add(size * index as u64);
                let value = env.spaces.load(region, thread, address, load.size);
                let value = value.map_err(|bad| trouble(lane, bad, address))?;
                let value = if load.signed {
                    extend(value, load.size)
                } else {
                    value
                };
                self.registers.set_lane(*target, lane, value);
            }
        }
        Ok(())
    }

    /// One element a lane.
    #[inline(always)]
    fn load_one(
        &self,
        env: &Env<'_>,
        load: &Load,
        addresses: &Longs,
        mask: u32,
    ) -> Result<Longs, Trouble> {
        let mut values = [0; LANES];
        for lane in lanes(mask) {
            let address = addresses[lane];
            let value = env
                .spaces
                .load(load.address.region, self.thread(lane), address, load.size);
            values[lane] = value.map_err(|bad| trouble(lane, bad, address))?;
        }
        if load.signed {
            values = values.map(|value| extend(value, load.size));
        }
        Ok(values)
    }

    /// A parameter is the same for all lanes.
    fn load_parameter(
        &mut self,
        env: &Env<'_>,
        load: &Load,
        start: u64,
        mask: u32,
    ) -> Result<(), Trouble> {
        let lane = mask.trailing_zeros() as usize;
        for (index, target) in load.targets.iter().enumerate() {
            let address = start.wrapping_add(u64::from(load.size) * index as u64);
            let value = env.spaces.load(Region::Parameter, 0, address, load.size);
            let value = value.map_err(|bad| trouble(lane, bad, address))?;
            let value = if load.signed {
                extend(value, load.size)
            } else {
                value
            };
            self.registers.set(*target, mask, &[value; LANES]);
        }
        Ok(())
    }

    #[inline(always)]
    fn store(&mut self, env: &mut Env<'_>, store: &Store, mask: u32) -> Result<(), Trouble> {
        let access = Access(&store.address, store.size, store.sources.len(), true);
        self.check(env, &access, mask)?;
        let addresses = self.addresses(env, &store.address);
        if let ([Source::Word(slot)], 4) = (store.sources.as_slice(), store.size) {
            let words = self.registers.words(env.constants, *slot);
            let stored = match store.address.region {
                Region::Global | Region::Generic if mask == FULL => {
                    env.spaces.memory.store_words(&addresses, words)
                }
                Region::Shared => env.spaces.store_shared(&addresses, mask, words),
                _ => false,
            };
            if stored {
                return Ok(());
            }
        }
        let size = u64::from(store.size);
        let whole = size * store.sources.len() as u64;
        let region = store.address.region;
        for lane in lanes(mask) {
            let thread = self.thread(lane);
            let start = addresses[lane];
            if start & (whole.next_power_of_two() - 1) != 0 && store.sources.len() > 1 {
                return Err(trouble(lane, Bad::Alignment, start));
            }
            for (index, source) in store.sources.iter().enumerate() {
                let address = start.wrapping_add(size * index as u64);
                let value = self.registers.value(env.constants, *source, lane);
                let stored = env.spaces.store(region, thread, address, store.size, value);
                stored.map_err(|bad| trouble(lane, bad, address))?;
            }
        }
        Ok(())
    }

    fn atomic(&mut self, env: &mut Env<'_>, atomic: &Atomic, mask: u32) -> Result<(), Trouble> {
        let access = Access(&atomic.address, atomic.size, 1, true);
        self.check(env, &access, mask)?;
        let addresses = self.addresses(env, &atomic.address);
        let constants = env.constants;
        let mut old = [0; LANES];
        for lane in lanes(mask) {
            let operand = |index: usize| {
                atomic.operands[index]
                    .map_or(0, |source| self.registers.value(constants, source, lane))
            };
            let (a, b) = (operand(0), operand(1));
            let (region, thread) = (atomic.address.region, self.thread(lane));
            let update = |old| (atomic.function)(old, a, b);
            let address = addresses[lane];
            old[lane] = env
                .spaces
                .update(region, thread, address, atomic.size, update)
                .map_err(|bad| trouble(lane, bad, address))?;
        }
        self.registers.set(atomic.target, mask, &old);
        Ok(())
    }
}

pub(super) fn trouble(lane: usize, bad: Bad, address: u64) -> Trouble {
    Trouble {
        lane,
        kind: TroubleKind::Memory(bad, address),
    }
}

fn extend(value: u64, size: u32) -> u64 {
    let shift = 64 - 8 * size;
    ((value << shift).cast_signed() >> shift).cast_unsigned()
}
