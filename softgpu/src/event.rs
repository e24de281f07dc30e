//! Events: moments in streams, with the time at which they were reached.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

use flexdirect_wire::abi::{CuError, CuEvent};

use crate::bell::{Bell, Bells};
use crate::capture::Captured;
use crate::raw::lock;

/// An event of a context.
#[derive(Debug)]
pub(crate) struct Event {
    /// The application's name for it.
    pub(crate) handle: CuEvent,
    /// Number of its context.
    pub(crate) context: u64,
    /// CU_EVENT_* flags.
    pub(crate) flags: u32,
    /// Its latest record.
    latest: Mutex<Option<Arc<Moment>>>,
    /// Its latest record, if that was in a captured stream.
    captured: Mutex<Option<Captured>>,
}

/// One record of an event: reached when its stream gets there.
#[derive(Debug, Default)]
pub(crate) struct Moment {
    time: Mutex<Option<Instant>>,
    changed: Condvar,
    bells: Bells,
}

impl Event {
    /// An event that was not recorded yet.
    pub(crate) fn new(handle: CuEvent, context: u64, flags: u32) -> Self {
        Self {
            handle,
            context,
            flags,
            latest: Mutex::new(None),
            captured: Mutex::new(None),
        }
    }

    /// Its latest record, if there is one.
    pub(crate) fn latest(&self) -> Option<Arc<Moment>> {
        lock(&self.latest).clone()
    }

    /// Replaces its latest record.
    pub(crate) fn set_latest(&self, moment: Arc<Moment>) {
        *lock(&self.latest) = Some(moment);
        lock(&self.captured).take();
    }

    /// Its latest record, if that was in a captured stream.
    pub(crate) fn captured(&self) -> Option<Captured> {
        lock(&self.captured).clone()
    }

    /// Replaces its latest record by one in a captured stream.
    pub(crate) fn set_captured(&self, captured: Captured) {
        *lock(&self.captured) = Some(captured);
    }

    /// Milliseconds from this event to another.
    ///
    /// # Errors
    /// INVALID_HANDLE if one was never recorded or has no timing, NOT_READY if one is not reached.
    pub(crate) fn elapsed_ms(&self, end: &Self) -> Result<f32, CuError> {
        let timed = |event: &Self| {
            let latest = event.latest().filter(|_| event.flags & DISABLE_TIMING == 0);
            latest.ok_or(CuError::INVALID_HANDLE)
        };
        let (start, end) = (timed(self)?, timed(end)?);
        let start = start.reached().ok_or(CuError::NOT_READY)?;
        let end = end.reached().ok_or(CuError::NOT_READY)?;
        let forwards = end.saturating_duration_since(start).as_secs_f32();
        let backwards = start.saturating_duration_since(end).as_secs_f32();
        Ok((forwards - backwards) * 1000.0)
    }
}

impl Moment {
    /// Marks it as reached.
    pub(crate) fn reach(&self, now: Instant) {
        *lock(&self.time) = Some(now);
        self.changed.notify_all();
        self.bells.ring();
    }

    /// Marks it as reached, unless it was before.
    pub(crate) fn reach_if_not(&self, now: Instant) {
        lock(&self.time).get_or_insert(now);
        self.changed.notify_all();
        self.bells.ring();
    }

    /// Has a bell ring when it is reached.
    pub(crate) fn hang(&self, bell: &Arc<Bell>) {
        self.bells.hang(bell);
    }

    /// When it was reached.
    pub(crate) fn reached(&self) -> Option<Instant> {
        *lock(&self.time)
    }

    /// Waits until it is reached.
    pub(crate) fn wait(&self) -> Instant {
        let mut time = lock(&self.time);
        loop {
            if let Some(time) = *time {
                return time;
            }
            time = self
                .changed
                .wait(time)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// CU_EVENT_DISABLE_TIMING.
const DISABLE_TIMING: u32 = 2;
/// All CU_EVENT_* flags but INTERPROCESS (4).
pub(crate) const FLAGS: u32 = 1 | DISABLE_TIMING;

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn recorded(flags: u32, time: Option<Instant>) -> Event {
        let event = Event::new(CuEvent(1), 1, flags);
        let moment = Arc::new(Moment::default());
        if let Some(time) = time {
            moment.reach(time);
        }
        event.set_latest(moment);
        event
    }

    #[test]
    fn time_between_events() {
        let now = Instant::now();
        let start = recorded(0, Some(now));
        let end = recorded(0, Some(now + Duration::from_micros(1500)));
        assert_eq!(start.elapsed_ms(&end), Ok(1.5));
        assert_eq!(end.elapsed_ms(&start), Ok(-1.5));
        let pending = recorded(0, None);
        assert_eq!(start.elapsed_ms(&pending), Err(CuError::NOT_READY));
        let untimed = recorded(DISABLE_TIMING, Some(now));
        assert_eq!(start.elapsed_ms(&untimed), Err(CuError::INVALID_HANDLE));
        let never = Event::new(CuEvent(2), 1, 0);
        assert_eq!(never.elapsed_ms(&end), Err(CuError::INVALID_HANDLE));
    }
}
