//! The one thread of the session: takes what the link delivers, and declares its death.
//!
//! It runs no code of the application, blocks all signals (they are the application's) and never
//! waits for anything but the link.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use flexdirect_transport::{Destination, Error, Lanes, Sink, Span};
use flexdirect_wire::body::{HostCall, Side, side};
use flexdirect_wire::record::{Reader, ReplyHeader, reply_flags, split_reply};
use nix::sys::signal::SigSet;
use zerocopy::{FromBytes, IntoBytes};

use super::{Awaited, HostFns, Reply, Session, lock};
use crate::{clock, lifetime, log};

/// Starts the thread.
pub(super) fn spawn(session: Arc<Session>) -> std::io::Result<()> {
    spawn_quiet("flexdirect-io", move || run(&session))
}

/// Starts a thread that takes no signal: they are the application's.
pub(super) fn spawn_quiet(name: &str, body: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    // Blocked here before it starts, so that there is no moment in which it could take one.
    let before = SigSet::all().thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_SETMASK)?;
    let spawned = std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(body);
    before.thread_set_mask()?;
    spawned.map(drop)
}

fn run(session: &Arc<Session>) {
    let mut inbox = Inbox { session };
    let receive = || loop {
        if let Err(error) = session.link.receive(Lanes::Both, &mut inbox) {
            break error;
        }
    };
    // Whatever ends this thread ends every wait: nobody else would.
    let error = catch_unwind(AssertUnwindSafe(receive)).unwrap_or_else(|_| {
        let reason = "its thread panicked: this is a defect of flexdirect";
        session.link.close(reason);
        Error::closed(reason)
    });
    session.die(&error);
}

struct Inbox<'a> {
    session: &'a Arc<Session>,
}

impl Sink for Inbox<'_> {
    fn batch(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let mut rest = bytes;
        let mut executed = 0;
        while !rest.is_empty() {
            let reply =
                split_reply(&mut rest).map_err(|error| Error::protocol(error.to_string()))?;
            executed = executed.max(reply.header.executed);
            if reply.header.flags & reply_flags::CALLBACK != 0 {
                let call = Reader::new(reply.body).get::<HostCall>();
                let call = call.map_err(|error| Error::protocol(error.to_string()))?;
                HostFns::take(self.session, call);
            } else if reply.header.sequence != 0 {
                self.session.take_reply(&reply.header, reply.body)?;
            }
        }
        self.session.take_acknowledgement(executed)
    }

    fn destination(&mut self, span: Span) -> Result<Destination, Error> {
        self.session.landings().destination(span)
    }

    fn landed(&mut self, span: Span) -> Result<(), Error> {
        if let Some(text) = self.session.landings().landed(span) {
            self.session.output.keep(text);
        }
        Ok(())
    }

    fn side(&mut self, message: &[u8]) -> Result<(), Error> {
        let message = Side::read_from_bytes(message)
            .map_err(|_| Error::protocol(format!("side message of {} bytes", message.len())))?;
        match message.kind {
            side::SLAB_FREE if !self.session.slab.free(message.a) => Err(Error::protocol(format!(
                "slab freed up to {}, out of order",
                message.a
            ))),
            side::PING => {
                let answer = Side {
                    kind: side::PONG,
                    ..message
                };
                self.session.link.post_side(answer.as_bytes())
            }
            // Those of a newer server have no meaning here.
            _ => Ok(()),
        }
    }
}

impl Session {
    fn take_reply(&self, header: &ReplyHeader, body: &[u8]) -> Result<(), Error> {
        let awaited = {
            let mut waiting = lock(&self.waiting);
            let awaited = waiting.remove(&header.sequence);
            let taken = waiting
                .first_key_value()
                .map_or(header.sequence, |(next, _)| next - 1);
            self.replies_taken.fetch_max(taken, Ordering::Relaxed);
            awaited
        };
        let Some(Awaited { waiter, landing }) = awaited else {
            let sequence = header.sequence;
            return Err(Error::protocol(format!(
                "reply to {sequence}, which nobody awaits"
            )));
        };
        // Ended here, by the thread that writes to landings: when the caller has its reply, a
        // worker can have nothing written to the caller's memory any more.
        let is_whole = self.landings().give_up(landing);
        if header.status == 0 && !is_whole {
            waiter.die();
            return Err(Error::protocol("a copy reported before its bytes"));
        }
        if header.status == 0 {
            self.succeeded.store(true, Ordering::Relaxed);
        }
        let (status, deferred) = (header.status, header.deferred);
        waiter.answer(Reply {
            status,
            deferred,
            body: body.to_vec(),
        });
        Ok(())
    }

    /// Notes how far the worker has come and sends what has waited for that.
    fn take_acknowledgement(&self, executed: u64) -> Result<(), Error> {
        let mut submit = lock(&self.submit);
        if !submit.acknowledge(executed) {
            return Err(Error::protocol(format!(
                "record {executed} executed before it was sent"
            )));
        }
        self.room.notify_all();
        drop(self.pump(submit));
        Ok(())
    }

    /// Declares the session dead and wakes everybody: nothing is written to a landing any more.
    fn die(&self, error: &Error) {
        if self.dead.set(()).is_err() {
            return;
        }
        if lifetime::is_running() && !self.is_closed.load(Ordering::Relaxed) {
            log::error!(
                "the session with {} ended at {} after {:.1} s: {error}; every CUDA call fails now",
                self.server,
                clock::now(),
                self.started.elapsed().as_secs_f64(),
            );
        }
        let waiting = std::mem::take(&mut *lock(&self.waiting));
        for awaited in waiting.into_values() {
            awaited.waiter.die();
        }
        let submit = lock(&self.submit);
        self.room.notify_all();
        drop(submit);
        self.slab.wake();
        self.hostfns.close();
    }
}
