//! Context-local storage: values that a runtime keeps per context, looked up on every runtime call.
//!
//! Because of that frequency each thread remembers its last answers together with the storage's
//! generation; only a thread that sees a new generation takes the lock. Values change when a
//! context is first used, is reset or destroyed, hence hardly ever.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::slots::Destructor;

/// A value and what to call when its context ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stored {
    pub(super) value: usize,
    pub(super) destructor: Option<Destructor>,
}

/// Stores `stored` for `key` in `context`. A value already there is replaced, and not destroyed:
/// the runtime that replaces it still knows it. False in a forked child.
pub(super) fn put(context: u64, key: usize, stored: Stored) -> bool {
    let Some(mut values) = lock() else {
        return false;
    };
    values.insert((context, key), stored);
    next_generation(&values);
    true
}

/// Removes a value without destroying it. False if there is none.
pub(super) fn delete(context: u64, key: usize) -> bool {
    let Some(mut values) = lock() else {
        return false;
    };
    let removed = values.remove(&(context, key)).is_some();
    next_generation(&values);
    removed
}

/// The value for `key` in `context`.
pub(super) fn find(context: u64, key: usize) -> Option<usize> {
    RECENT.with(|recent| {
        let place = &recent[place(context, key)];
        let seen = place.get();
        // Acquire: pairs with the Release in next_generation.
        let generation = GENERATION.load(Ordering::Acquire);
        if seen.generation == generation && seen.context == context && seen.key == key {
            return Some(seen.value);
        }
        let values = lock()?;
        let value = values.get(&(context, key))?.value;
        // Under the lock, so the generation cannot move on from the value read.
        let generation = GENERATION.load(Ordering::Relaxed);
        place.set(Recent {
            generation,
            context,
            key,
            value,
        });
        Some(value)
    })
}

/// Removes all values of `context`, for their destructors to be called.
pub(super) fn take_context(context: u64) -> Vec<(usize, Stored)> {
    let Some(mut values) = lock() else {
        return Vec::new();
    };
    let range = (context, usize::MIN)..=(context, usize::MAX);
    let taken: Vec<_> = values
        .range(range)
        .map(|(&(_, key), &stored)| (key, stored))
        .collect();
    for (key, _) in &taken {
        values.remove(&(context, *key));
    }
    next_generation(&values);
    taken
}

/// Gives the storage up: see [`super::forked_child`]. Takes no lock.
pub(super) fn abandon() {
    ABANDONED.store(true, Ordering::Relaxed);
    GENERATION.fetch_add(1, Ordering::Relaxed);
}

type Values = BTreeMap<(u64, usize), Stored>;

/// The values, or `None` once the storage was abandoned.
fn lock() -> Option<MutexGuard<'static, Values>> {
    if ABANDONED.load(Ordering::Relaxed) {
        return None;
    }
    // No code that can panic half-way through a change runs under the lock.
    Some(VALUES.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Makes every thread's memory stale. The guard shows that the lock is held.
fn next_generation(_held: &MutexGuard<'static, Values>) {
    // Release: pairs with the Acquire in find.
    GENERATION.fetch_add(1, Ordering::Release);
}

/// What a thread last found.
#[derive(Clone, Copy)]
struct Recent {
    generation: u64,
    context: u64,
    key: usize,
    value: usize,
}

/// Which of a thread's places a pair uses: a few runtimes and contexts should not collide.
fn place(context: u64, key: usize) -> usize {
    let mixed = (context.rotate_left(32) ^ key as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    usize::try_from(mixed >> (u64::BITS - PLACES.ilog2())).expect("fewer bits than PLACES has")
}

const PLACES: usize = 8;
/// Generation 0 is never current.
const NOTHING: Recent = Recent {
    generation: 0,
    context: 0,
    key: 0,
    value: 0,
};

static VALUES: Mutex<Values> = Mutex::new(BTreeMap::new());
static GENERATION: AtomicU64 = AtomicU64::new(1);
static ABANDONED: AtomicBool = AtomicBool::new(false);

thread_local! {
    static RECENT: [Cell<Recent>; PLACES] = const { [const { Cell::new(NOTHING) }; PLACES] };
}
