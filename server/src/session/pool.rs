//! Helper threads for calls that may wait for the GPU: grown on demand, kept, asleep on a
//! condition.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use flexdirect_wire::limits::THREADS_MAX;

use super::Session;

/// A call for a helper.
pub(crate) type Task = Box<dyn FnOnce(&Arc<Session>, &mut super::Seat) + Send>;

/// The helper threads of a session.
#[derive(Default)]
pub(crate) struct Pool {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    tasks: VecDeque<Task>,
    threads: usize,
    idle: usize,
    is_closed: bool,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("threads", &self.lock().threads)
            .finish()
    }
}

impl Pool {
    /// Hands a call to a helper: an idle one, else a new one.
    pub(crate) fn hand(session: &Arc<Session>, task: Task) {
        let pool = &session.pool;
        let mut state = pool.lock();
        state.tasks.push_back(task);
        if state.tasks.len() > state.idle && state.threads < THREADS_MAX {
            state.threads += 1;
            let own = Arc::clone(session);
            session.spawn("helper", move || own.pool.run(&own));
        }
        drop(state);
        pool.changed.notify_one();
    }

    /// Ends the helpers; calls that none has begun are dropped.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        // Tasks hold the session, which holds the pool.
        let dropped = std::mem::take(&mut state.tasks);
        drop(state);
        drop(dropped);
        self.changed.notify_all();
    }

    fn run(&self, session: &Arc<Session>) {
        let mut seat = super::Seat::default();
        while let Some(task) = self.next() {
            task(session, &mut seat);
        }
    }

    fn next(&self) -> Option<Task> {
        let mut state = self.lock();
        loop {
            if state.is_closed {
                return None;
            }
            if let Some(task) = state.tasks.pop_front() {
                return Some(task);
            }
            state.idle += 1;
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
