//! Memory instructions that are more than a load, a store or an atomic of one value: 128-bit
//! accesses, vector atomics, `mbarrier`, bulk copies, fences.
//!
//! Asynchronous copies are done at once, by the thread that asks for them: that is one of the
//! orders in which hardware may do them, and waiting for them is then nothing.

use std::sync::atomic::{Ordering, fence};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::block::Env;
use super::check::Touch;
use super::code::{Address, AsyncCopy, AtomicFunction, Operation, Region};
use super::execute::trouble;
use super::lanes::Longs;
use super::mbarrier;
use super::memory::Bad;
use super::warp::{Trouble, Warp, lanes};

/// Which instruction. Addresses, sources and targets are those of the [`Operation`].
#[derive(Debug, Clone, Copy)]
pub(super) enum MemoryKind {
    /// One atomic an element: a source and a target each.
    VectorAtomic(AtomicFunction, u32),
    /// Two longs of each lane, as one.
    Load128,
    Store128,
    /// Two sources: the new value.
    Exchange128,
    /// Four sources: the value to compare with, and the new value.
    Compare128,
    Barrier(BarrierKind),
    /// Bytes (the source) from the second address to the first, combined with what is there if a
    /// function is given; a third address is an mbarrier that counts them.
    BulkCopy(Option<(AtomicFunction, u32)>),
    /// The sources to the first address, with a function like an atomic; the second address is an
    /// mbarrier that counts the bytes.
    AsyncStore(Option<AtomicFunction>, u32),
    Fence,
    /// The source is a size; the frame of the function has so many bytes.
    StackTake {
        align: u32,
        frame_bytes: u32,
    },
    StackSave,
    /// The source is a stack pointer.
    StackRestore {
        frame_bytes: u32,
    },
}

impl MemoryKind {
    /// Once the frame of the function is known.
    pub(super) fn set_frame_bytes(&mut self, bytes: u32) {
        if let Self::StackTake { frame_bytes, .. } | Self::StackRestore { frame_bytes } = self {
            *frame_bytes = bytes;
        }
    }

    pub(super) fn is_stack(self) -> bool {
        matches!(
            self,
            Self::StackTake { .. } | Self::StackSave | Self::StackRestore { .. }
        )
    }
}

/// What is done to an mbarrier, which is at the first address.
#[derive(Debug, Clone, Copy)]
pub(super) enum BarrierKind {
    /// The source: arrivals a phase.
    Initialise,
    Invalidate,
    /// Sources: arrivals, bytes. The target is the state before.
    Arrive {
        drop: bool,
    },
    ExpectBytes,
    CompleteBytes,
    /// The source is a state; the target whether its phase is complete.
    Test,
    /// The source is a parity.
    TestParity,
}

/// Who accesses, in what memory.
#[derive(Clone, Copy)]
struct Access {
    lane: usize,
    thread: usize,
    region: Region,
    address: u64,
}

impl Access {
    fn plus(self, offset: u64) -> Self {
        let address = self.address.wrapping_add(offset);
        Self { address, ..self }
    }

    fn trouble(self, bad: Bad) -> Trouble {
        trouble(self.lane, bad, self.address)
    }

    fn aligned(self, size: u64) -> Result<(), Trouble> {
        if self.address & (size - 1) == 0 {
            Ok(())
        } else {
            Err(self.trouble(Bad::Alignment))
        }
    }

    fn load(self, env: &Env<'_>, size: u32) -> Result<u64, Trouble> {
        (env.spaces
            .load(self.region, self.thread, self.address, size))
        .map_err(|bad| self.trouble(bad))
    }

    fn store(self, env: &mut Env<'_>, size: u32, value: u64) -> Result<(), Trouble> {
        (env.spaces
            .store(self.region, self.thread, self.address, size, value))
        .map_err(|bad| self.trouble(bad))
    }

    fn update(
        self,
        env: &mut Env<'_>,
        size: u32,
        update: impl Fn(u64) -> u64,
    ) -> Result<u64, Trouble> {
        (env.spaces
            .update(self.region, self.thread, self.address, size, update))
        .map_err(|bad| self.trouble(bad))
    }
}

impl Warp {
    /// `cp.async`
    pub(super) fn copy(
        &mut self,
        env: &mut Env<'_>,
        copy: &AsyncCopy,
        mask: u32,
    ) -> Result<(), Trouble> {
        let (to, from) = (
            self.addresses(env, &copy.to),
            self.addresses(env, &copy.from),
        );
        for lane in lanes(mask) {
            let thread = self.thread(lane);
            let valid = copy.valid.map_or_else(
                || u64::from(copy.size),
                |source| self.registers.value(env.constants, source, lane),
            );
            if to[lane] % u64::from(copy.size) != 0 || from[lane] % u64::from(copy.size) != 0 {
                return Err(trouble(lane, Bad::Alignment, from[lane]));
            }
            let touch = |at: &Address, address, size, writes| Touch {
                lane,
                region: at.region,
                address,
                size,
                alignment: u64::from(copy.size),
                writes,
            };
            let size = u64::from(copy.size);
            self.check_touch(env, touch(&copy.from, from[lane], valid.min(size), false))?;
            self.check_touch(env, touch(&copy.to, to[lane], size, true))?;
            let cut_short = valid < u64::from(copy.size);
            let step = if cut_short { 1 } else { copy.size.min(8) };
            for byte in (0..u64::from(copy.size)).step_by(step as usize) {
                let address = from[lane].wrapping_add(byte);
                let value = if byte < valid {
                    let loaded = env.spaces.load(copy.from.region, thread, address, step);
                    loaded.map_err(|bad| trouble(lane, bad, address))?
                } else {
                    0
                };
                let address = to[lane].wrapping_add(byte);
                let stored = env
                    .spaces
                    .store(copy.to.region, thread, address, step, value);
                stored.map_err(|bad| trouble(lane, bad, address))?;
            }
        }
        Ok(())
    }

    pub(super) fn memory_form(
        &mut self,
        env: &mut Env<'_>,
        operation: &Operation<MemoryKind>,
        mask: u32,
    ) -> Result<(), Trouble> {
        if matches!(operation.kind, MemoryKind::Fence) {
            fence(Ordering::SeqCst);
            return Ok(());
        }
        let addresses = (operation.addresses)
            .map(|address| address.map(|address| (address.region, self.addresses(env, &address))));
        let sources: Vec<Longs> = (operation.sources.iter())
            .map(|&source| self.registers.values(env.constants, source))
            .collect();
        for lane in lanes(mask) {
            let thread = self.thread(lane);
            let places = addresses.each_ref().map(|one| {
                one.as_ref().map(|(region, addresses)| Access {
                    lane,
                    thread,
                    region: *region,
                    address: addresses[lane],
                })
            });
            let source = |index: usize| sources.get(index).map_or(0, |row| row[lane]);
            let Some(first) = places[0] else { continue };
            let touches = touches(operation.kind, &places, source(0), sources.len() as u64);
            for touch in touches.into_iter().flatten() {
                self.check_touch(env, touch)?;
            }
            let mut results = [0; 8];
            match operation.kind {
                MemoryKind::VectorAtomic(function, size) => {
                    let count = operation.sources.len() as u64;
                    first.aligned(u64::from(size) * count)?;
                    for (index, result) in results.iter_mut().take(count as usize).enumerate() {
                        let at = first.plus(u64::from(size) * index as u64);
                        let value = source(index);
                        *result = at.update(env, size, |old| function(old, value, 0))?;
                    }
                }
                MemoryKind::Barrier(kind) => {
                    results[0] = barrier(env, kind, first, [source(0), source(1)])?;
                }
                MemoryKind::BulkCopy(function) => {
                    if let Some(from) = places[1] {
                        bulk_copy(env, first, from, source(0), function)?;
                        count_bytes(env, places[2], source(0))?;
                    }
                }
                MemoryKind::AsyncStore(function, size) => {
                    let values: Vec<u64> = (0..sources.len()).map(source).collect();
                    async_store(env, first, &values, size, function)?;
                    count_bytes(env, places[1], u64::from(size) * values.len() as u64)?;
                }
                kind => {
                    let values = [source(0), source(1), source(2), source(3)];
                    let old = wide(env, kind, first, values)?;
                    results[..2].copy_from_slice(&old);
                }
            }
            for (&target, &result) in operation.targets.iter().zip(&results) {
                self.registers.set_lane(target, lane, result);
            }
        }
        Ok(())
    }
}

/// What an instruction touches, with `value` and the number of its sources.
fn touches(
    kind: MemoryKind,
    places: &[Option<Access>; 3],
    value: u64,
    sources: u64,
) -> [Option<Touch>; 3] {
    let touch = |place: usize, size: u64, alignment: u64, writes: bool| {
        let at = places[place]?;
        Some(Touch {
            lane: at.lane,
            region: at.region,
            address: at.address,
            size,
            alignment,
            writes,
        })
    };
    // Elements that are accessed as one are aligned as one.
    let together = |element: u32| {
        let size = u64::from(element) * sources;
        touch(0, size, size.next_power_of_two(), true)
    };
    match kind {
        MemoryKind::VectorAtomic(_, size) => [together(size), None, None],
        MemoryKind::Barrier(_) => [touch(0, 8, 8, true), None, None],
        MemoryKind::BulkCopy(_) => {
            let size = value & 0xffff_ffff;
            let (from, to) = (touch(1, size, 16, false), touch(0, size, 16, true));
            [from, to, touch(2, 8, 8, true)]
        }
        MemoryKind::AsyncStore(_, size) => [together(size), touch(1, 8, 8, true), None],
        MemoryKind::Load128 => [touch(0, 16, 16, false), None, None],
        MemoryKind::Store128 | MemoryKind::Exchange128 | MemoryKind::Compare128 => {
            [touch(0, 16, 16, true), None, None]
        }
        MemoryKind::Fence
        | MemoryKind::StackTake { .. }
        | MemoryKind::StackSave
        | MemoryKind::StackRestore { .. } => [None; 3],
    }
}

fn barrier(
    env: &mut Env<'_>,
    kind: BarrierKind,
    at: Access,
    [a, b]: [u64; 2],
) -> Result<u64, Trouble> {
    Ok(match kind {
        BarrierKind::Initialise => {
            at.store(env, 8, mbarrier::initial(a))?;
            0
        }
        // The memory is free for other uses; there is nothing to take down.
        BarrierKind::Invalidate => at.load(env, 8)?,
        BarrierKind::Arrive { drop } => {
            at.update(env, 8, |old| mbarrier::arrive(old, a, b, drop))?
        }
        BarrierKind::ExpectBytes => at.update(env, 8, |old| mbarrier::expect_bytes(old, a))?,
        BarrierKind::CompleteBytes => at.update(env, 8, |old| mbarrier::complete_bytes(old, a))?,
        BarrierKind::Test => u64::from(mbarrier::is_past(at.load(env, 8)?, a)),
        BarrierKind::TestParity => u64::from(mbarrier::is_parity_past(at.load(env, 8)?, a)),
    })
}

fn async_store(
    env: &mut Env<'_>,
    at: Access,
    values: &[u64],
    size: u32,
    function: Option<AtomicFunction>,
) -> Result<(), Trouble> {
    at.aligned(u64::from(size) * values.len() as u64)?;
    for (index, &value) in values.iter().enumerate() {
        let at = at.plus(u64::from(size) * index as u64);
        match function {
            None => at.store(env, size, value)?,
            Some(function) => {
                at.update(env, size, |old| function(old, value, 0))?;
            }
        }
    }
    Ok(())
}

fn count_bytes(env: &mut Env<'_>, at: Option<Access>, bytes: u64) -> Result<(), Trouble> {
    if let Some(at) = at {
        at.update(env, 8, |old| mbarrier::complete_bytes(old, bytes))?;
    }
    Ok(())
}

/// Addresses and size are multiples of 16. Source: PTX ISA, cp.async.bulk.
fn bulk_copy(
    env: &mut Env<'_>,
    to: Access,
    from: Access,
    bytes: u64,
    function: Option<(AtomicFunction, u32)>,
) -> Result<(), Trouble> {
    to.aligned(16)?;
    from.aligned(16)?;
    let bytes = bytes & 0xffff_ffff;
    if !bytes.is_multiple_of(16) {
        return Err(to.trouble(Bad::Alignment));
    }
    let size = function.map_or(8, |(_, size)| size);
    let mut done = 0;
    while done < bytes {
        let value = from.plus(done).load(env, size)?;
        let to = to.plus(done);
        match function {
            None => to.store(env, size, value)?,
            Some((function, _)) => {
                to.update(env, size, |old| function(old, value, 0))?;
            }
        }
        done += u64::from(size);
    }
    Ok(())
}

/// A 128-bit access: atomic among all 128-bit accesses of this process, because CPUs have no
/// portable one. What narrower accesses do to the same bytes meanwhile is theirs alone.
fn wide(
    env: &mut Env<'_>,
    kind: MemoryKind,
    at: Access,
    values: [u64; 4],
) -> Result<[u64; 2], Trouble> {
    at.aligned(16)?;
    let _held = lock(at.address);
    let old = [at.load(env, 8)?, at.plus(8).load(env, 8)?];
    let new = match kind {
        MemoryKind::Store128 | MemoryKind::Exchange128 => [values[0], values[1]],
        MemoryKind::Compare128 if old == [values[0], values[1]] => [values[2], values[3]],
        _ => return Ok(old),
    };
    at.store(env, 8, new[0])?;
    at.plus(8).store(env, 8, new[1])?;
    Ok(old)
}

/// Locks by address; held for one access, during which nothing else is waited for.
fn lock(address: u64) -> MutexGuard<'static, ()> {
    static LOCKS: [Mutex<()>; 64] = [const { Mutex::new(()) }; 64];
    let lock = &LOCKS[(address >> 4) as usize % LOCKS.len()];
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}
