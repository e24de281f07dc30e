//! What is given up once the GPU has passed certain events: slab pieces and device memory.
//!
//! A posted free must not wait, and the driver's own free may; a copy from the slab reads it until
//! the stream has done the copy. Both become entries here, and one thread, made on first need,
//! waits for them in order, asleep in the driver.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use flexdirect_wire::ShadowHandle;
use flexdirect_wire::abi::CuEvent;

use super::landings::Place;
use super::ranges::Range;
use crate::driver::steps::Progress;
use crate::session::{Seat, Session};

/// Entries that wait for the GPU.
#[derive(Default)]
pub(crate) struct Retire {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Retired>,
    /// Context and subject of the entry that the thread has taken.
    active: Option<(ShadowHandle, What)>,
    /// Entries ever added, and those of them that are gone.
    pushed: u64,
    done: u64,
    has_thread: bool,
    is_closed: bool,
}

/// How long an allocation that fails waits for the frees before it.
pub(crate) const FREES_WAIT: Duration = Duration::from_secs(5);

/// One entry: what, after which events.
pub(crate) struct Retired {
    /// Context of the events.
    pub(crate) context: ShadowHandle,
    /// What must have happened.
    pub(crate) events: Vec<CuEvent>,
    /// What is given up.
    pub(crate) what: What,
}

/// What is given up.
#[derive(Clone, Copy)]
pub(crate) enum What {
    /// The piece of the slab at this position.
    Slab(u64),
    /// Staging memory of a source that was read late, by the client's number.
    Source(u64, Place),
    /// Device memory.
    Memory(Range),
    /// Device memory that a free in stream order has given back to the driver.
    Freed(Range),
    /// The twin that was retired under this number.
    Twin(u64),
    /// Mirrors that launches of a graph have used, by the number under which they are kept.
    Mirrors(u64),
}

impl fmt::Debug for Retire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retire")
            .field("queued", &self.lock().queue.len())
            .finish()
    }
}

impl Retire {
    /// Adds an entry; `pick` names this list in the session to the thread that may have to be made.
    pub(crate) fn push(session: &Arc<Session>, pick: fn(&Session) -> &Self, entry: Retired) {
        let retire = pick(session);
        let mut state = retire.lock();
        state.queue.push_back(entry);
        state.pushed += 1;
        if !state.has_thread && !state.is_closed {
            state.has_thread = true;
            let own = Arc::clone(session);
            session.spawn("retire", move || pick(&own).run(&own));
        }
        drop(state);
        retire.changed.notify_all();
    }

    /// Whether there are no entries.
    pub(crate) fn is_empty(&self) -> bool {
        let state = self.lock();
        state.queue.is_empty() && state.active.is_none()
    }

    /// Waits until there are no entries (of one context), or the session ends.
    pub(crate) fn wait_empty(&self, context: Option<ShadowHandle>) {
        let is_meant = |name: ShadowHandle| context.is_none_or(|context| context == name);
        let mut state = self.lock();
        while !state.is_closed
            && (state.queue.iter().any(|entry| is_meant(entry.context))
                || state.active.is_some_and(|(name, _)| is_meant(name)))
        {
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits until the entries that there are now are gone, but no longer than `limit`: what they
    /// wait for may be something that the caller is to do next.
    pub(crate) fn wait_pushed(&self, limit: Duration) {
        let state = self.lock();
        let last = state.pushed;
        let waits = |state: &mut State| !state.is_closed && state.done < last;
        drop(self.changed.wait_timeout_while(state, limit, waits));
    }

    /// Bytes of device memory that the client has given up and that are not free yet.
    pub(crate) fn memory_len(&self, device: u16) -> u64 {
        let state = self.lock();
        let active = state.active.map_or(0, |(_, what)| what.memory_len(device));
        state
            .queue
            .iter()
            .map(|entry| entry.what.memory_len(device))
            .sum::<u64>()
            + active
    }

    /// Ends every wait; the thread ends after its current entry.
    pub(crate) fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_all();
    }

    /// What is left when the session has ended.
    pub(crate) fn drain(&self) -> Vec<Retired> {
        self.lock().queue.drain(..).collect()
    }

    fn run(&self, session: &Arc<Session>) {
        let mut seat = Seat::default();
        while let Some(entry) = self.next() {
            let is_entered = seat.enter(session, entry.context).is_ok();
            for &event in &entry.events {
                // An error of the context ends the wait too, and is told to whoever asks next.
                // A pool gives memory back to the device when somebody synchronises, not before.
                let must = matches!(entry.what, What::Freed(_));
                let is_open = || session.driver.query_event(event) != Ok(Progress::Done);
                if is_entered && (must || is_open()) {
                    let _ = session.driver.synchronize_event(event);
                }
            }
            let mut tables = session.tables();
            for &event in &entry.events {
                tables.give_event(entry.context, event);
            }
            drop(tables);
            session.finish_retired(entry.what);
            let mut state = self.lock();
            state.active = None;
            state.done += 1;
            drop(state);
            self.changed.notify_all();
        }
    }

    fn next(&self) -> Option<Retired> {
        let mut state = self.lock();
        loop {
            if state.is_closed {
                return None;
            }
            if let Some(entry) = state.queue.pop_front() {
                state.active = Some((entry.context, entry.what));
                return Some(entry);
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl What {
    fn memory_len(self, device: u16) -> u64 {
        match self {
            Self::Memory(range) | Self::Freed(range) if range.device() == Some(device) => {
                range.reserved()
            }
            _ => 0,
        }
    }
}
