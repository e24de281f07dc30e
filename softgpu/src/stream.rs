//! Streams: work in order, on a thread of its own, waiting for other streams where CUDA says so.
//!
//! Each stream numbers its jobs. A job may wait for a job of another stream or for an event; all
//! that it waits for was submitted before it, so no cycle can form. The legacy default stream is a
//! stream like the others whose jobs wait for all blocking streams, and whose last job every new
//! job of a blocking stream waits for (CUDA Runtime API, "Stream synchronization behavior").
//!
//! A caller that waits for its job anyway executes it itself when nothing is before it: no thread
//! has to wake up for a synchronous copy.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use flexdirect_wire::abi::{CuError, CuResult, CuStream, CuStreamAttrValue};

use crate::bell::{Bell, Bells};
use crate::context::Context;
use crate::event::Moment;
use crate::raw::{self, lock};

/// A stream of a context.
#[derive(Debug)]
pub(crate) struct Stream {
    /// The application's name for it; a default stream has a name that only queries use.
    pub(crate) handle: CuStream,
    /// Number, unique in the process.
    pub(crate) id: u64,
    /// How it relates to others.
    pub(crate) kind: Kind,
    /// As asked for, within the range.
    pub(crate) priority: i32,
    /// Its context, for queries.
    pub(crate) context: Weak<Context>,
    /// Those that were set, by CUlaunchAttributeID.
    pub(crate) attributes: Mutex<BTreeMap<u32, CuStreamAttrValue>>,
    state: Mutex<State>,
    changed: Condvar,
    /// Rung when a job is done.
    bells: Bells,
}

/// How a stream relates to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The legacy default stream.
    Legacy,
    /// Synchronises with the legacy default stream. A thread's default stream is one.
    Blocking,
    /// Synchronises with nothing.
    NonBlocking,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Job>,
    submitted: u64,
    completed: u64,
    running: bool,
    has_thread: bool,
    closed: bool,
}

/// What a stream executes, with what comes before it.
pub(crate) struct Job {
    waits: Vec<Wait>,
    work: Work,
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job")
            .field("waits", &self.waits)
            .finish_non_exhaustive()
    }
}

/// What a job waits for.
#[derive(Clone, Debug)]
pub(crate) enum Wait {
    /// A job of another stream, by number.
    Job(Arc<Stream>, u64),
    /// An event's record.
    Moment(Arc<Moment>),
}

/// What a job does. A failure poisons the context; in a poisoned context nothing is executed, but
/// records still happen, for somebody may wait for them.
pub(crate) enum Work {
    /// Told whether the context is poisoned, and executed all the same.
    Always(Box<dyn FnOnce(CuResult) + Send>),
    /// Memory or kernel work.
    Execute(Box<dyn FnOnce() -> CuResult + Send>),
    /// Marks an event as reached.
    Record(Arc<Moment>),
    /// Only what it waits for counts.
    Nothing,
}

/// Work that can be executed many times.
pub(crate) type Body = Arc<dyn Fn() -> CuResult + Send + Sync>;

impl Stream {
    /// An idle stream.
    pub(crate) fn new(
        handle: CuStream,
        id: u64,
        kind: Kind,
        priority: i32,
        context: Weak<Context>,
    ) -> Self {
        Self {
            handle,
            id,
            kind,
            priority,
            context,
            attributes: Mutex::default(),
            state: Mutex::default(),
            changed: Condvar::new(),
            bells: Bells::default(),
        }
    }

    /// Number of the last job, and whether it is done.
    pub(crate) fn last(&self) -> (u64, bool) {
        let state = lock(&self.state);
        (state.submitted, state.completed == state.submitted)
    }

    /// Whether it is destroyed and has nothing left to do.
    pub(crate) fn is_over(&self) -> bool {
        let state = lock(&self.state);
        state.closed && state.completed == state.submitted
    }

    /// Adds a job; the caller holds the context's list of streams, so that jobs of different
    /// streams are submitted one after the other.
    ///
    /// # Errors
    /// OPERATING_SYSTEM when there can be no thread; CONTEXT_IS_DESTROYED for a closed stream.
    pub(crate) fn push(self: &Arc<Self>, waits: Vec<Wait>, work: Work) -> Result<u64, CuError> {
        self.push_made(waits, || Ok(work))
    }

    /// Adds a job that is made when nothing can refuse it any more: what making it changes is
    /// changed only then. Nothing else is submitted meanwhile.
    ///
    /// # Errors
    /// Those of [`Stream::push`] and of `make`.
    pub(crate) fn push_made(
        self: &Arc<Self>,
        waits: Vec<Wait>,
        make: impl FnOnce() -> Result<Work, CuError>,
    ) -> Result<u64, CuError> {
        let mut state = lock(&self.state);
        if state.closed {
            return Err(CuError::CONTEXT_IS_DESTROYED);
        }
        if !state.has_thread {
            self.start_thread()?;
            state.has_thread = true;
        }
        let work = make()?;
        state.submitted += 1;
        state.queue.push_back(Job { waits, work });
        let number = state.submitted;
        drop(state);
        self.changed.notify_all();
        Ok(number)
    }

    /// Claims the stream for the calling thread if it is idle: [`Stream::finish`] must follow.
    pub(crate) fn claim(&self) -> Option<u64> {
        let mut state = lock(&self.state);
        if state.closed || state.running || state.completed != state.submitted {
            return None;
        }
        state.submitted += 1;
        state.running = true;
        Some(state.submitted)
    }

    /// Executes claimed work in the calling thread.
    pub(crate) fn execute_claimed(&self, work: Work) {
        self.execute(work, true);
        self.finish();
    }

    /// Waits until the job is done.
    pub(crate) fn wait(&self, number: u64) {
        let mut state = lock(&self.state);
        while state.completed < number {
            state = self.sleep(state);
        }
    }

    /// Waits until the job is done, but no longer than that; whether it is.
    pub(crate) fn wait_until(&self, number: u64, deadline: Instant) -> bool {
        let mut state = lock(&self.state);
        while state.completed < number {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let woken = self.changed.wait_timeout(state, left);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Waits until the queue is short enough for one more job, as a real queue of launches does.
    pub(crate) fn wait_for_room(&self) {
        let mut state = lock(&self.state);
        while state.queue.len() >= QUEUE_LEN_MAX {
            state = self.sleep(state);
        }
    }

    /// Accepts no more jobs; its thread ends after those it has.
    pub(crate) fn close(&self) {
        lock(&self.state).closed = true;
        self.changed.notify_all();
    }

    fn start_thread(self: &Arc<Self>) -> Result<(), CuError> {
        let stream = Arc::clone(self);
        let started = std::thread::Builder::new()
            .name(format!("softgpu-s{}", self.id))
            .spawn(move || stream.run());
        started.map(drop).map_err(|_| CuError::OPERATING_SYSTEM)
    }

    fn run(&self) {
        raw::block_signals();
        let mut state = lock(&self.state);
        loop {
            if state.running {
                state = self.sleep(state);
                continue;
            }
            let Some(job) = state.queue.pop_front() else {
                if state.closed {
                    return;
                }
                state = self.sleep(state);
                continue;
            };
            state.running = true;
            drop(state);
            let mut waits = job.waits.iter();
            let is_in_order = waits.all(|wait| wait.wait(&self.context));
            self.execute(job.work, is_in_order);
            self.finish();
            state = lock(&self.state);
        }
    }

    /// Unless it is in order, what the work has to come after may not have happened, nor for what
    /// comes after it: its context is ending, and as in a poisoned one nothing is executed.
    fn execute(&self, work: Work, is_in_order: bool) {
        let context = self.context.upgrade();
        let fault = context.as_ref().and_then(|context| context.fault().err());
        let is_ending = !is_in_order || context.as_ref().is_some_and(|own| own.is_cancelled());
        let fault = fault.or_else(|| is_ending.then_some(CuError::CONTEXT_IS_DESTROYED));
        match work {
            Work::Execute(body) if fault.is_none() => {
                let body = std::panic::AssertUnwindSafe(body);
                let result = std::panic::catch_unwind(body).unwrap_or(Err(CuError::UNKNOWN));
                if let (Err(error), Some(context)) = (result, context) {
                    context.poison(error);
                }
            }
            Work::Always(body) => {
                let status = fault.map_or(Ok(()), Err);
                let body = std::panic::AssertUnwindSafe(|| body(status));
                let _ = std::panic::catch_unwind(body);
            }
            Work::Record(moment) => moment.reach(Instant::now()),
            Work::Execute(_) | Work::Nothing => {}
        }
    }

    fn finish(&self) {
        let mut state = lock(&self.state);
        state.completed += 1;
        state.running = false;
        drop(state);
        self.changed.notify_all();
        self.bells.ring();
    }

    fn sleep<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let woken = self.changed.wait(state);
        woken.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wait {
    /// Whether there is nothing left to wait for.
    pub(crate) fn is_over(&self) -> bool {
        match self {
            Self::Job(stream, number) => lock(&stream.state).completed >= *number,
            Self::Moment(moment) => moment.reached().is_some(),
        }
    }

    /// Waits for it, unless `context` is ended: what another one does may take for ever. Whether it
    /// is over.
    fn wait(&self, context: &Weak<Context>) -> bool {
        if self.is_over() {
            return true;
        }
        let bell = Arc::new(Bell::default());
        match self {
            Self::Job(stream, _) => stream.bells.hang(&bell),
            Self::Moment(moment) => moment.hang(&bell),
        }
        if let Some(context) = context.upgrade() {
            context.hang(&bell);
        }
        loop {
            let seen = bell.rings();
            if self.is_over() {
                return true;
            }
            if context.upgrade().is_none_or(|own| own.is_cancelled()) {
                return false;
            }
            bell.wait(seen);
        }
    }
}

/// Jobs that a stream keeps: about as many as NVIDIA's driver queues before a launch blocks.
const QUEUE_LEN_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_made_for_a_stream_that_takes_no_more() {
        let context = Weak::new();
        let stream = Arc::new(Stream::new(CuStream(1), 1, Kind::NonBlocking, 0, context));
        stream.close();
        let mut is_made = false;
        let made = stream.push_made(Vec::new(), || {
            is_made = true;
            Ok(Work::Nothing)
        });
        assert_eq!(made, Err(CuError::CONTEXT_IS_DESTROYED));
        assert!(!is_made, "it changes what nobody would change back");
        let refused = stream.push_made(Vec::new(), || Err(CuError::INVALID_VALUE));
        assert!(refused.is_err() && stream.is_over());
    }
}
