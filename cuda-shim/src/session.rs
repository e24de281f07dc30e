//! The session: one submission order, its replies, its bulk, and its end.
//!
//! ```text
//!  callers ──▶ submit (short lock) ──▶ link.post      posted: done; awaited: a Waiter
//!          ──▶ slab (room) ──▶ link.put                   bytes to the worker
//! ```
//! Posted records go at once while the worker has executed everything; else they queue until it
//! has, a batch is full, or somebody waits. There is no timer: what ends a wait is a reply, a
//! credit or the death of the link, and after that every call returns at once.

mod connect;
pub(crate) mod hostfn;
#[expect(unsafe_code, reason = "promises the link memory to write bulk to")]
mod landing;
#[expect(unsafe_code, reason = "writes to the C library's standard output")]
mod output;
mod progress;
mod slab;
mod sticky;
mod submit;
mod twins;
mod waiter;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use flexdirect_transport::{Error, Link, Span};
use flexdirect_wire::abi::{CuError, CuResult};
use flexdirect_wire::body;
use flexdirect_wire::call::{Op, op};
use flexdirect_wire::control::Snapshot;
use flexdirect_wire::limits::CHUNK_LEN;
use flexdirect_wire::record::{Reader, RecordHeader, WireError, flags};

use crate::thread;

pub(crate) use connect::{Connected, TABLE_VERSION, connect, leased_driver_version};
pub(crate) use landing::Landing;
pub(crate) use twins::{Block, Giving};
pub(crate) use waiter::Waiter;

use hostfn::HostFns;
use landing::Landings;
use output::Output;
use slab::Slab;
use sticky::Sticky;
use submit::Submit;
use twins::Twins;

/// One client process's connection to its worker.
#[derive(Debug)]
pub(crate) struct Session {
    link: Arc<dyn Link>,
    /// `host:port` of the server, for people.
    server: String,
    started: Instant,
    submit: Mutex<Submit>,
    /// Told when the worker has executed something, the queue has shrunk, or the session has died.
    room: Condvar,
    waiting: Mutex<BTreeMap<u64, Awaited>>,
    /// Every reply up to this sequence has been taken.
    replies_taken: AtomicU64,
    slab: Slab,
    /// Held from the reservation of a piece until it is put: pieces must arrive in the order of
    /// their positions.
    staging: Mutex<()>,
    landings: Mutex<Landings>,
    hostfns: HostFns,
    twins: Twins,
    output: Output,
    sticky: Sticky,
    succeeded: AtomicBool,
    dead: OnceLock<()>,
    /// This end has ended it on purpose: its death is no news.
    is_closed: AtomicBool,
    /// Captures that have begun.
    captures: AtomicUsize,
}

/// Which call a record is and where it belongs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Issue {
    pub(crate) op: Op,
    /// Device of the lease.
    pub(crate) lane: u16,
    /// Handle of the calling thread's context, or 0.
    pub(crate) context: u64,
}

/// Who awaits a reply.
#[derive(Debug)]
struct Awaited {
    waiter: Arc<Waiter>,
    /// Landing that ends with the reply, or 0.
    landing: u64,
}

/// The answer to an awaited record.
#[derive(Debug)]
pub(crate) struct Reply {
    status: u32,
    deferred: u32,
    body: Vec<u8>,
}

impl Reply {
    /// The result of the call, or else of an earlier posted one.
    ///
    /// # Errors
    /// Their code.
    pub(crate) fn check(&self) -> CuResult {
        self.made()?;
        CuError::check(thread::take_deferred())
    }

    /// The body of the reply to a call that made something, which must not be lost: the code of an
    /// earlier call waits for another of this thread. So it does when this call has failed by a
    /// code of its own, such as `NOT_READY`.
    ///
    /// # Errors
    /// The code of the call itself.
    pub(crate) fn made(&self) -> Result<Reader<'_>, CuError> {
        if self.deferred != self.status {
            thread::defer(self.deferred);
        }
        CuError::check(self.status)?;
        Ok(Reader::new(&self.body))
    }

    /// The body, once the call has succeeded.
    ///
    /// # Errors
    /// As [`Reply::check`].
    pub(crate) fn body(&self) -> Result<Reader<'_>, CuError> {
        self.check()?;
        Ok(Reader::new(&self.body))
    }
}

impl Session {
    /// Starts a session over a connected link, with its thread.
    ///
    /// # Errors
    /// What the system says when it makes no thread.
    pub(crate) fn start(
        link: Arc<dyn Link>,
        server: String,
        snapshot: &Snapshot,
    ) -> std::io::Result<Arc<Self>> {
        let session = Arc::new(Self {
            link,
            server,
            started: Instant::now(),
            submit: Mutex::default(),
            room: Condvar::new(),
            waiting: Mutex::default(),
            replies_taken: AtomicU64::new(0),
            slab: Slab::new(snapshot.slab_len),
            staging: Mutex::default(),
            landings: Mutex::default(),
            hostfns: HostFns::default(),
            twins: Twins::default(),
            output: Output::default(),
            sticky: Sticky::default(),
            succeeded: AtomicBool::new(false),
            dead: OnceLock::new(),
            is_closed: AtomicBool::new(false),
            captures: AtomicUsize::new(0),
        });
        progress::spawn(Arc::clone(&session))?;
        Ok(session)
    }

    /// Submits a posted record: returns once it has its place in the order.
    ///
    /// # Errors
    /// The code of a dead session, or of a context that has ended; `INVALID_VALUE` for a body that
    /// is too long.
    pub(crate) fn post(&self, issue: Issue, body: &[u8]) -> CuResult {
        if !GIVES_BACK.contains(&issue.op) {
            self.check_context(issue.context)?;
        }
        let giving = self.before_work(issue)?;
        if self.is_capturing() {
            // What is wrong in a capture is said by the call itself.
            self.call(issue, body)?.check()?;
        } else {
            self.submit(issue, body, None)?;
        }
        self.after_work(issue);
        drop(giving);
        Ok(())
    }

    /// Submits an awaited record and waits for its reply.
    ///
    /// # Errors
    /// As [`Session::post`]; errors of the call itself are in the reply.
    pub(crate) fn call(&self, issue: Issue, body: &[u8]) -> Result<Reply, CuError> {
        self.call_into(issue, body, 0)
    }

    /// As [`Session::call`], for a call that puts to a landing, which ends with it: once this has
    /// returned, nothing is written there. If the call has succeeded, all its bytes are in.
    ///
    /// # Errors
    /// As [`Session::call`].
    pub(crate) fn call_into(
        &self,
        issue: Issue,
        body: &[u8],
        landing: u64,
    ) -> Result<Reply, CuError> {
        let giving = self.before_work(issue)?;
        let last_work = self.before_wait(issue)?;
        let waiter = thread::waiter();
        let generation = self.sticky.generation();
        let awaited = Awaited {
            waiter: Arc::clone(&waiter),
            landing,
        };
        let reply = self
            .submit(issue, body, Some(awaited))
            .and_then(|()| waiter.wait().ok_or_else(|| self.code()));
        if reply.is_err() {
            self.landings().give_up(landing);
        }
        self.output.print();
        let mut reply = reply?;
        self.sticky.learn(issue.context, reply.status, generation);
        if self.sticky.is_known(reply.deferred) {
            reply.deferred = 0;
        }
        self.after_work(issue);
        drop(giving);
        if issue.op != body::session::TWIN_FETCH {
            self.after_wait(issue, reply.status, last_work)?;
        }
        Ok(reply)
    }

    /// Whether work may be given to a context, as far as replies have told.
    ///
    /// # Errors
    /// The code that ended it.
    pub(crate) fn check_context(&self, context: u64) -> CuResult {
        self.sticky.check(context)
    }

    /// A context is gone, and with it what ended it.
    pub(crate) fn forget_context(&self, context: u64) {
        self.sticky.forget(context);
        self.hostfns.forget(context);
        self.forget_twins(context);
    }

    /// Puts one piece of at most [`CHUNK_LEN`] bytes into the worker's slab and returns its
    /// position, which a record must name afterwards. Waits for room.
    ///
    /// # Errors
    /// The code of a dead session.
    pub(crate) fn stage(&self, bytes: &[u8]) -> Result<u64, CuError> {
        debug_assert!(bytes.len() <= CHUNK_LEN);
        let len = bytes.len() as u64;
        let _turn = lock(&self.staging);
        let position = match self.slab.reserve(len) {
            Some(position) => position,
            None => {
                // The worker frees what records use: those still queued here must reach it first.
                self.flush();
                let dead = || self.dead.get().is_some();
                self.slab.wait(len, dead).ok_or_else(|| self.code())?
            }
        };
        let span = Span {
            region: 0,
            offset: position,
            len,
        };
        self.link
            .put(span, bytes)
            .map_err(|error| self.fail(&error))?;
        Ok(position)
    }

    /// Names memory for bulk from the worker: see [`landing`].
    pub(crate) fn landings(&self) -> MutexGuard<'_, Landings> {
        lock(&self.landings)
    }

    /// Host functions and late sources: see [`hostfn`].
    pub(crate) fn hostfns(&self) -> &HostFns {
        &self.hostfns
    }

    /// Whether a copy that was asked for may still write to this memory, or has yet to read it.
    pub(crate) fn is_in_use(&self, address: u64, len: u64) -> bool {
        self.landings().is_pending(address, len) || self.hostfns.is_source(address, len)
    }

    /// Whether a stream may be captured: then every call is awaited.
    pub(crate) fn is_capturing(&self) -> bool {
        self.captures.load(Ordering::Acquire) > 0
    }

    /// How many captures have begun.
    pub(crate) fn set_captures(&self, count: usize) {
        self.captures.store(count, Ordering::Release);
    }

    /// The code that every call returns once the session is dead.
    pub(crate) fn code(&self) -> CuError {
        if self.succeeded.load(Ordering::Relaxed) {
            CuError::DEVICE_UNAVAILABLE
        } else {
            CuError::SYSTEM_NOT_READY
        }
    }

    /// The code for a reply that is not one of its call: the link is closed.
    pub(crate) fn broken(&self, error: &WireError) -> CuError {
        self.fail(&Error::protocol(error.to_string()))
    }

    /// Ends the session from this end.
    pub(crate) fn close(&self, reason: &str) {
        self.is_closed.store(true, Ordering::Relaxed);
        self.link.close(reason);
    }

    fn submit(&self, issue: Issue, body: &[u8], awaited: Option<Awaited>) -> CuResult {
        let is_awaited = awaited.is_some();
        let thread = thread::number();
        let mut submit = lock(&self.submit);
        while submit.is_full(body.len()) && self.dead.get().is_none() {
            submit.want_flush();
            submit = self.pump(submit);
            if submit.is_full(body.len()) && self.dead.get().is_none() {
                submit = self
                    .room
                    .wait(submit)
                    .unwrap_or_else(PoisonError::into_inner);
            }
        }
        let header = RecordHeader {
            op: issue.op.0,
            flags: if is_awaited { flags::AWAITED } else { 0 },
            context: issue.context,
            thread,
            lane: issue.lane,
            replies_taken: self.replies_taken.load(Ordering::Relaxed),
            ..RecordHeader::default()
        };
        {
            let mut waiting = lock(&self.waiting);
            // Looked at under this lock: whoever declares death takes it afterwards.
            if self.dead.get().is_some() {
                return Err(self.code());
            }
            let sequence = submit
                .append(header, body)
                .map_err(|_| CuError::INVALID_VALUE)?;
            if let Some(awaited) = awaited {
                waiting.insert(sequence, awaited);
            }
        }
        if is_awaited {
            submit.want_flush();
        }
        drop(self.pump(submit));
        Ok(())
    }

    /// Sends what is queued, whatever is unacknowledged.
    fn flush(&self) {
        let mut submit = lock(&self.submit);
        submit.want_flush();
        drop(self.pump(submit));
    }

    /// Sends queued records while there is reason to. One thread at a time sends, with the lock
    /// given up; what others append meanwhile it finds when it is back.
    fn pump<'a>(&'a self, mut submit: MutexGuard<'a, Submit>) -> MutexGuard<'a, Submit> {
        while let Some(batch) = submit.take_batch() {
            drop(submit);
            let sent = self.link.post(&batch);
            submit = lock(&self.submit);
            submit.give_back(batch);
            self.room.notify_all();
            if let Err(error) = sent {
                self.fail(&error);
                break;
            }
        }
        submit
    }

    /// Takes a failure of the link. The thread that receives declares the death, once it is out of
    /// the memory that landings name.
    fn fail(&self, error: &Error) -> CuError {
        self.link.close(&error.to_string());
        self.code()
    }
}

/// Posted records that go out whatever has become of their context: the worker has to let go of
/// what they name, or an awaited call that follows them tells.
const GIVES_BACK: [Op; 7] = [
    op::cuMemcpyHtoD_v2,
    op::cuMemcpyHtoDAsync_v2,
    op::cuMemcpy3DAsync_v2,
    op::cuStreamDestroy_v2,
    op::cuEventDestroy_v2,
    body::session::GRAPH_BYTES,
    body::session::IMAGE_PIECE,
];

/// The state of another thread that panicked is whole: nothing here panics between two changes.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
