//! Room in the worker's inbound slab: a ring of positions that only grow.
//!
//! Position p lies at p modulo the length; no piece wraps, so a piece that would is put at the next
//! start instead. The worker frees in order and says up to where.

use std::sync::{Condvar, Mutex, PoisonError};

/// See the module.
#[derive(Debug)]
pub(super) struct Slab {
    len: u64,
    ring: Mutex<Ring>,
    room: Condvar,
}

#[derive(Debug, Default)]
struct Ring {
    /// First position that is not reserved.
    next: u64,
    /// First position that is not free again.
    freed: u64,
}

impl Slab {
    pub(super) fn new(len: u64) -> Self {
        Self {
            len,
            ring: Mutex::default(),
            room: Condvar::new(),
        }
    }

    /// The position of `len` bytes, if there is room now.
    pub(super) fn reserve(&self, len: u64) -> Option<u64> {
        self.lock().reserve(len, self.len)
    }

    /// The position of `len` bytes; waits for room, or until `dead`: then none.
    pub(super) fn wait(&self, len: u64, dead: impl Fn() -> bool) -> Option<u64> {
        let mut ring = self.lock();
        while !dead() {
            if let Some(position) = ring.reserve(len, self.len) {
                return Some(position);
            }
            ring = self.room.wait(ring).unwrap_or_else(PoisonError::into_inner);
        }
        None
    }

    /// Notes that all before `position` is free. False for a position that cannot be.
    pub(super) fn free(&self, position: u64) -> bool {
        let mut ring = self.lock();
        let can_be = (ring.freed..=ring.next).contains(&position);
        if can_be {
            ring.freed = position;
            self.room.notify_all();
        }
        can_be
    }

    /// Lets everybody who waits look whether the session is dead.
    pub(super) fn wake(&self) {
        let _ring = self.lock();
        self.room.notify_all();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    fn reserve(&mut self, len: u64, ring_len: u64) -> Option<u64> {
        let start = self.next % ring_len;
        let skipped = if start + len > ring_len {
            ring_len - start
        } else {
            0
        };
        let position = self.next + skipped;
        if self.freed == self.next {
            // Nothing is in use, so what is skipped is free as well.
            self.freed = position;
        }
        if position + len - self.freed > ring_len {
            return None;
        }
        self.next = position + len;
        Some(position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn pieces_follow_each_other_and_skip_the_end() {
        let slab = Slab::new(100);
        assert_eq!(slab.reserve(60), Some(0));
        assert_eq!(slab.reserve(30), Some(60));
        assert_eq!(slab.reserve(20), None, "would start over what is in use");
        assert!(slab.free(60));
        assert_eq!(
            slab.reserve(20),
            Some(100),
            "the last ten bytes are skipped"
        );
        assert!(slab.free(90));
        assert_eq!(slab.reserve(70), Some(120));
        assert_eq!(slab.reserve(1), None);
        assert!(!slab.free(89), "backwards");
        assert!(!slab.free(191), "not reserved yet");
        assert!(slab.free(190));
        assert_eq!(slab.reserve(100), Some(200), "the whole slab");
    }

    #[test]
    fn who_waits_gets_room_or_the_end() {
        let slab = Slab::new(10);
        slab.reserve(10).unwrap();
        let dead = std::sync::atomic::AtomicBool::new(false);
        let is_dead = &|| dead.load(std::sync::atomic::Ordering::SeqCst);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| slab.wait(4, is_dead));
            assert!(slab.free(10));
            assert_eq!(waiting.join().unwrap(), Some(10));
            let waiting = scope.spawn(|| slab.wait(10, is_dead));
            dead.store(true, std::sync::atomic::Ordering::SeqCst);
            slab.wake();
            assert_eq!(waiting.join().unwrap(), None);
        });
    }

    proptest! {
        #[test]
        fn live_pieces_never_overlap(
            lens in proptest::collection::vec(1u64..40, 1..60),
            keep in 1usize..4,
        ) {
            let slab = Slab::new(100);
            let mut live: Vec<(u64, u64)> = Vec::new();
            for len in lens {
                while live.len() > keep || {
                    let got = slab.reserve(len);
                    if let Some(position) = got {
                        live.push((position, len));
                    }
                    got.is_none()
                } {
                    let (position, len) = live.remove(0);
                    prop_assert!(slab.free(position + len));
                }
                for (index, &(a, a_len)) in live.iter().enumerate() {
                    prop_assert!(a % 100 + a_len <= 100, "no piece wraps");
                    for &(b, b_len) in &live[index + 1..] {
                        let (a, b) = (a % 100, b % 100);
                        prop_assert!(a + a_len <= b || b + b_len <= a);
                    }
                }
            }
        }
    }
}
