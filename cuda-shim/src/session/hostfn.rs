//! What streams run in this process: host functions, callbacks, and the reading of sources.
//!
//! ```text
//!  enter ─▶ number ─▶ record ... worker: the stream is there ─▶ take ─▶ queue ─▶ a thread:
//!                     runs it, then `done` on the side lane, or the bytes on the main lane
//! ```
//! The threads are made on first need, take no signal and run nothing else. One is enough by CUDA's
//! rules; more are made while all are busy, so that a function which waits for that of another
//! stream holds nobody up. What has not begun when the session or the process ends is never run.
//!
//! A task has a number that is never used again. It runs once, or, entered with
//! [`HostFns::enter_many`] for a node of a graph, whenever its number is called until
//! [`HostFns::withdraw`]. Numbers of the functions that run once rise in the order in which they
//! were given to streams.

#[expect(
    unsafe_code,
    reason = "calls functions of the application and reads its memory"
)]
mod call;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use flexdirect_transport::Span;
use flexdirect_wire::abi::{CuError, CuHostFn, CuStream, CuStreamCallback};
use flexdirect_wire::body::{HostCall, Side, side};
use flexdirect_wire::limits::HANDLES_MAX;
use zerocopy::IntoBytes;

use super::{Session, progress};
use crate::objects::After;
use crate::{lifetime, log, thread};

/// The tasks of a session and the threads that run them.
#[derive(Default)]
pub(crate) struct HostFns {
    state: Mutex<State>,
    come: Condvar,
    /// Functions that are to run once and have not ended: what every copy looks at.
    pending: AtomicUsize,
    /// What every stream comes after.
    pub(crate) after_everywhere: After,
}

#[derive(Default)]
struct State {
    last: u64,
    tasks: BTreeMap<u64, Entry>,
    queue: VecDeque<HostCall>,
    threads: usize,
    idle: usize,
    is_closed: bool,
}

struct Entry {
    task: Task,
    context: u64,
    is_many: bool,
}

impl Entry {
    /// Whether a copy may have to wait for it.
    fn is_pending(&self) -> bool {
        !self.is_many && !matches!(self.task, Task::Source(_))
    }
}

/// What a stream has this process do.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Task {
    /// A host function of the application.
    Function {
        /// Its address.
        function: CuHostFn,
        /// Its argument.
        data: usize,
    },
    /// A stream callback of the application.
    Callback {
        /// Its address.
        callback: CuStreamCallback,
        /// The stream, as the application named it.
        stream: CuStream,
        /// Its argument.
        data: usize,
    },
    /// Nothing: that the stream has come there is all that is wanted.
    Mark,
    /// Sends bytes to the worker.
    Source(Source),
}

/// Rows of memory that are read late.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source {
    /// First byte.
    pub(crate) start: u64,
    /// Bytes from row to row.
    pub(crate) pitch: usize,
    /// Bytes from slice to slice.
    pub(crate) slice: usize,
    /// Bytes of a row.
    pub(crate) width: usize,
    /// Rows of a slice.
    pub(crate) height: usize,
    /// Slices.
    pub(crate) depth: usize,
}

impl Source {
    /// Bytes one behind the other.
    pub(crate) fn packed(start: u64, len: usize) -> Self {
        Self {
            start,
            pitch: len,
            slice: len,
            width: len,
            height: 1,
            depth: 1,
        }
    }

    /// Bytes from the first to the last one.
    pub(crate) fn reach(&self) -> u64 {
        let rows = self.pitch * (self.height - 1) + self.slice * (self.depth - 1);
        (rows + self.width) as u64
    }
}

impl fmt::Debug for HostFns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostFns")
            .field("pending", &self.pending)
            .finish_non_exhaustive()
    }
}

impl HostFns {
    /// Takes in a task that runs once and returns its number, which is never 0.
    ///
    /// # Errors
    /// `OUT_OF_MEMORY` when there is no thread to run it, or there are `HANDLES_MAX` tasks; the
    /// code of a dead session.
    pub(crate) fn enter(
        &self,
        session: &Arc<Session>,
        task: Task,
        context: u64,
    ) -> Result<u64, CuError> {
        self.add(session, task, context, false)
    }

    /// The same for a task that runs whenever it is called.
    ///
    /// # Errors
    /// As [`HostFns::enter`].
    pub(crate) fn enter_many(
        &self,
        session: &Arc<Session>,
        task: Task,
        context: u64,
    ) -> Result<u64, CuError> {
        self.add(session, task, context, true)
    }

    fn add(
        &self,
        session: &Arc<Session>,
        task: Task,
        context: u64,
        is_many: bool,
    ) -> Result<u64, CuError> {
        let mut state = self.lock();
        if state.is_closed {
            return Err(session.code());
        }
        if state.tasks.len() >= HANDLES_MAX
            || (state.threads == 0 && !Self::spawn(session, &mut state))
        {
            return Err(CuError::OUT_OF_MEMORY);
        }
        state.last += 1;
        let number = state.last;
        let entry = Entry {
            task,
            context,
            is_many,
        };
        if entry.is_pending() {
            self.pending.fetch_add(1, Ordering::AcqRel);
        }
        state.tasks.insert(number, entry);
        Ok(number)
    }

    /// Ends a task: it runs no more.
    pub(crate) fn withdraw(&self, number: u64) {
        let mut state = self.lock();
        self.remove(&mut state, number);
    }

    /// Ends the tasks of a context that is gone.
    pub(crate) fn forget(&self, context: u64) {
        let mut state = self.lock();
        let of_it = state
            .tasks
            .iter()
            .filter(|(_, entry)| entry.context == context);
        let numbers: Vec<u64> = of_it.map(|(&number, _)| number).collect();
        for number in numbers {
            self.remove(&mut state, number);
        }
    }

    fn remove(&self, state: &mut State, number: u64) {
        if state
            .tasks
            .remove(&number)
            .is_some_and(|entry| entry.is_pending())
        {
            self.pending.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// Whether a function that work after number `after` comes behind may not have ended. Too
    /// careful where functions of other streams are older.
    pub(crate) fn is_pending(&self, after: impl FnOnce() -> u64) -> bool {
        if self.pending.load(Ordering::Acquire) == 0 {
            return false;
        }
        let after = after();
        let state = self.lock();
        let mut before = state.tasks.range(..=after);
        before.any(|(_, entry)| entry.is_pending())
    }

    /// Whether a copy has yet to read memory that overlaps this.
    pub(crate) fn is_source(&self, address: u64, len: u64) -> bool {
        let overlaps = |source: &Source| {
            source.start < address.saturating_add(len)
                && address < source.start.saturating_add(source.reach())
        };
        let state = self.lock();
        state
            .tasks
            .values()
            .any(|entry| matches!(&entry.task, Task::Source(source) if overlaps(source)))
    }

    /// The newest number.
    pub(crate) fn last(&self) -> u64 {
        self.lock().last
    }

    /// A stream has come to a task: by the thread that receives.
    pub(super) fn take(session: &Arc<Session>, call: HostCall) {
        let own = &session.hostfns;
        let mut state = own.lock();
        if state.is_closed {
            return;
        }
        state.queue.push_back(call);
        if state.queue.len() > state.idle && state.threads < THREADS_MAX {
            // The one that there is will come to it.
            let _ = Self::spawn(session, &mut state);
        }
        drop(state);
        own.come.notify_one();
    }

    /// Nothing is run any more.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        state.queue.clear();
        state.tasks.clear();
        self.pending.store(0, Ordering::Release);
        drop(state);
        self.come.notify_all();
    }

    fn spawn(session: &Arc<Session>, state: &mut State) -> bool {
        let own = Arc::clone(session);
        let spawned = progress::spawn_quiet("flexdirect-host", move || own.hostfns.run(&own));
        match &spawned {
            Ok(()) => state.threads += 1,
            Err(error) => log::warning!("no thread for host functions: {error}"),
        }
        spawned.is_ok()
    }

    fn run(&self, session: &Arc<Session>) {
        thread::enter_functions();
        while let Some((call, task)) = self.next() {
            // Whatever becomes of it, the stream goes on.
            let sent = match task {
                Some(Task::Source(source)) => call::with_bytes(&source, |bytes| {
                    let span = Span {
                        region: call.number,
                        offset: 0,
                        len: bytes.len() as u64,
                    };
                    session.link.put(span, bytes)
                }),
                task => {
                    if let Some(task) = task.filter(|_| lifetime::is_running()) {
                        call::run(&task, call.status);
                    }
                    Ok(())
                }
            };
            self.finish(call.number);
            let done = Side {
                kind: side::CALLBACK_DONE,
                a: call.run,
                ..Side::default()
            };
            let told = match task {
                Some(Task::Source(_)) => Ok(()),
                _ => session.link.post_side(done.as_bytes()),
            };
            if let Err(error) = sent.and(told) {
                session.fail(&error);
            }
        }
    }

    /// What is to be run next; nothing under a number that has been withdrawn.
    fn next(&self) -> Option<(HostCall, Option<Task>)> {
        let mut state = self.lock();
        loop {
            if state.is_closed {
                return None;
            }
            if let Some(call) = state.queue.pop_front() {
                let task = state.tasks.get(&call.number).map(|entry| entry.task);
                return Some((call, task));
            }
            state.idle += 1;
            state = self
                .come
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }

    fn finish(&self, number: u64) {
        let mut state = self.lock();
        if state.tasks.get(&number).is_some_and(|entry| !entry.is_many) {
            self.remove(&mut state, number);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs a function of the application in the calling thread, which may make no call meanwhile.
pub(crate) fn call_here(function: CuHostFn, data: usize) {
    let before = thread::enter_functions();
    call::run(&Task::Function { function, data }, 0);
    thread::leave_functions(before);
}

/// Threads that run functions at once: CUDA runs one of a context at a time.
const THREADS_MAX: usize = 16;
