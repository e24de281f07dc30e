//! Where one thread waits for one reply.

use std::hint;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::Reply;

/// See the module. A thread has one: it sends nothing while it waits.
#[derive(Debug, Default)]
pub(crate) struct Waiter {
    /// A hint for a short look before sleeping.
    has_come: AtomicBool,
    outcome: Mutex<Option<Outcome>>,
    come: Condvar,
}

#[derive(Debug)]
enum Outcome {
    Reply(Reply),
    Dead,
}

impl Waiter {
    /// Waits for the reply; none when the session has died.
    pub(crate) fn wait(&self) -> Option<Reply> {
        self.look();
        let mut outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(come) = outcome.take() {
                self.has_come.store(false, Ordering::Relaxed);
                return match come {
                    Outcome::Reply(reply) => Some(reply),
                    Outcome::Dead => None,
                };
            }
            outcome = self
                .come
                .wait(outcome)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(super) fn answer(&self, reply: Reply) {
        self.end(Outcome::Reply(reply));
    }

    pub(super) fn die(&self) {
        self.end(Outcome::Dead);
    }

    fn end(&self, outcome: Outcome) {
        *self.outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
        // Only a hint: the lock orders the outcome itself.
        self.has_come.store(true, Ordering::Relaxed);
        self.come.notify_one();
    }

    /// Looks for a short time, where there are cores to spare: a reply of a near worker comes
    /// sooner than a sleeping thread wakes.
    fn look(&self) {
        let time = *LOOK.get_or_init(|| {
            let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
            Duration::from_micros(if cores > 2 { 50 } else { 0 })
        });
        if time.is_zero() {
            return;
        }
        let until = Instant::now() + time;
        while !self.has_come.load(Ordering::Relaxed) && Instant::now() < until {
            hint::spin_loop();
        }
    }
}

static LOOK: OnceLock<Duration> = OnceLock::new();
