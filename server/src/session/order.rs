//! How far the submission order has been executed, and which client threads await replies.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use flexdirect_wire::limits::THREADS_MAX;

use super::end::Fault;

/// Progress of each lane. A lane executes its records in order, one after the other.
#[derive(Debug)]
pub(crate) struct Order {
    lanes: Vec<Lane>,
    received: AtomicU64,
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Lane {
    routed: AtomicU64,
    passed: AtomicU64,
}

#[derive(Debug, Default)]
struct Waiting {
    threads: usize,
    is_closed: bool,
}

impl Order {
    pub(crate) fn new(lanes: u16) -> Self {
        Self {
            lanes: (0..lanes).map(|_| Lane::default()).collect(),
            received: AtomicU64::new(0),
            waiting: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Number of lanes.
    pub(crate) fn lanes(&self) -> usize {
        self.lanes.len()
    }

    /// A record of `lane` has come in: by the one thread that receives.
    pub(crate) fn route(&self, lane: u16, sequence: u64) {
        // Release: pairs with the Acquire in Order::executed, where `received` is read first.
        self.lanes[usize::from(lane)]
            .routed
            .store(sequence, Ordering::Release);
        self.received.store(sequence, Ordering::Release);
    }

    /// Newest record that has come in for a lane.
    pub(crate) fn routed(&self, lane: u16) -> Option<u64> {
        let lane = self.lanes.get(usize::from(lane))?;
        Some(lane.routed.load(Ordering::Relaxed))
    }

    /// A record of `lane` has been executed or handed to a helper: by the lane's dispatcher.
    pub(crate) fn pass(&self, lane: u16, sequence: u64) {
        // Release: pairs with the Acquire loads in Order::executed and Order::wait.
        self.lanes[usize::from(lane)]
            .passed
            .store(sequence, Ordering::Release);
        if self.lanes.len() > 1 {
            let waiting = self.lock();
            if waiting.threads > 0 {
                self.changed.notify_all();
            }
        }
    }

    /// Waits until `lane` has passed `sequence`; false when the session ends first.
    pub(crate) fn wait(&self, lane: u16, sequence: u64) -> bool {
        let passed = &self.lanes[usize::from(lane)].passed;
        // Acquire: pairs with the Release in Order::pass; the record's effects are visible.
        if passed.load(Ordering::Acquire) >= sequence {
            return true;
        }
        let mut waiting = self.lock();
        waiting.threads += 1;
        // Acquire: as above.
        while !waiting.is_closed && passed.load(Ordering::Acquire) < sequence {
            waiting = self
                .changed
                .wait(waiting)
                .unwrap_or_else(PoisonError::into_inner);
        }
        waiting.threads -= 1;
        passed.load(Ordering::Acquire) >= sequence
    }

    /// Every record up to this one has been executed or handed to a helper.
    pub(crate) fn executed(&self) -> u64 {
        // Acquire: pairs with the Release in Order::route. Read first: a record that is routed
        // meanwhile can only make the result smaller than it might be.
        let received = self.received.load(Ordering::Acquire);
        let behind = self.lanes.iter().filter_map(|lane| {
            // Acquire: pairs with the Release in Order::pass.
            let passed = lane.passed.load(Ordering::Acquire);
            (passed < lane.routed.load(Ordering::Acquire)).then_some(passed)
        });
        behind.min().unwrap_or(received).min(received)
    }

    /// Ends every wait.
    pub(crate) fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The client threads of a session.
#[derive(Debug, Default)]
pub(crate) struct Threads {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    first: Option<u32>,
    is_many: bool,
    busy: HashSet<u32>,
}

impl Threads {
    /// A record of `thread` has come.
    ///
    /// # Errors
    /// [`Fault::Busy`] when the thread awaits a reply.
    pub(crate) fn seen(&self, thread: u32, sequence: u64) -> Result<(), Fault> {
        let mut state = self.lock();
        let first = *state.first.get_or_insert(thread);
        state.is_many |= first != thread;
        if state.busy.contains(&thread) {
            return Err(Fault::Busy { thread, sequence });
        }
        Ok(())
    }

    /// A helper takes a call of `thread`.
    ///
    /// # Errors
    /// [`Fault::Threads`] when [`THREADS_MAX`] threads have one taken already.
    pub(crate) fn begin(&self, thread: u32) -> Result<(), Fault> {
        let mut state = self.lock();
        if state.busy.len() >= THREADS_MAX {
            return Err(Fault::Threads {
                threads_max: THREADS_MAX,
            });
        }
        state.busy.insert(thread);
        Ok(())
    }

    /// The helper is done; the reply follows.
    pub(crate) fn end(&self, thread: u32) {
        self.lock().busy.remove(&thread);
    }

    /// Whether one client thread alone has ever sent records: while it awaits, nothing else comes.
    pub(crate) fn is_one(&self) -> bool {
        !self.lock().is_many
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executed_is_what_every_lane_has_passed() {
        let order = Order::new(2);
        order.route(0, 1);
        order.route(1, 2);
        assert_eq!(order.executed(), 0);
        order.pass(1, 2);
        assert_eq!(order.executed(), 0, "record 1 is still to come");
        order.pass(0, 1);
        assert_eq!(order.executed(), 2);
    }

    #[test]
    fn a_wait_ends_with_the_record_or_the_session() {
        let order = Order::new(2);
        order.route(0, 1);
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| order.wait(0, 1));
            order.pass(0, 1);
            assert!(waiter.join().unwrap());
            let waiter = scope.spawn(|| order.wait(0, 2));
            order.close();
            assert!(!waiter.join().unwrap());
        });
    }

    #[test]
    fn a_thread_that_awaits_sends_nothing() {
        let threads = Threads::default();
        threads.seen(1, 1).unwrap();
        assert!(threads.is_one());
        threads.begin(1).unwrap();
        assert_eq!(
            threads.seen(1, 2),
            Err(Fault::Busy {
                thread: 1,
                sequence: 2
            })
        );
        threads.seen(2, 2).unwrap();
        threads.end(1);
        threads.seen(1, 3).unwrap();
        assert!(!threads.is_one());
    }
}
