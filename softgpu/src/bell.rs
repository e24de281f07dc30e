//! Waking whoever waits for one of several things: a sleeper hangs its bell where each of them
//! happens, looks, and sleeps until a bell rings. Nobody has to look again and again.

use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};

use crate::raw::lock;

/// What wakes one sleeper, or several that wait for the same things.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    rings: Mutex<u64>,
    changed: Condvar,
}

impl Bell {
    /// How often it has rung. Taken before looking, so that what happens between the look and the
    /// sleep is not missed.
    pub(crate) fn rings(&self) -> u64 {
        *lock(&self.rings)
    }

    /// Rings.
    pub(crate) fn ring(&self) {
        *lock(&self.rings) += 1;
        self.changed.notify_all();
    }

    /// Sleeps until it has rung more often than `seen`.
    pub(crate) fn wait(&self, seen: u64) {
        let mut rings = lock(&self.rings);
        while *rings == seen {
            let woken = self.changed.wait(rings);
            rings = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// The bells of those who wait for one thing. They ring when it goes, too.
#[derive(Debug, Default)]
pub(crate) struct Bells(Mutex<Vec<Weak<Bell>>>);

impl Bells {
    /// Takes a bell in, for as long as its sleeper has it.
    pub(crate) fn hang(&self, bell: &Arc<Bell>) {
        let mut bells = lock(&self.0);
        bells.retain(|known| known.strong_count() > 0 && !std::ptr::eq(known.as_ptr(), &**bell));
        bells.push(Arc::downgrade(bell));
    }

    /// Rings all of them.
    pub(crate) fn ring(&self) {
        let bells: Vec<_> = lock(&self.0).iter().filter_map(Weak::upgrade).collect();
        for bell in bells {
            bell.ring();
        }
    }
}

impl Drop for Bells {
    fn drop(&mut self) {
        self.ring();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleeper_wakes_by_a_ring_before_its_sleep_and_by_the_end_of_the_thing() {
        let (bell, bells) = (Arc::new(Bell::default()), Bells::default());
        for _ in 0..3 {
            bells.hang(&bell);
        }
        assert_eq!(lock(&bells.0).len(), 1, "hung once");
        let seen = bell.rings();
        bells.ring();
        bell.wait(seen);
        let seen = bell.rings();
        drop(bells);
        bell.wait(seen);
        let bells = Bells::default();
        bells.hang(&bell);
        drop(bell);
        bells.ring();
        bells.hang(&Arc::default());
        assert_eq!(lock(&bells.0).len(), 1, "who is gone is forgotten");
    }
}
