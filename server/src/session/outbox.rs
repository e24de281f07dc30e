//! Replies on their way out: gathered, in one order, posted together.
//!
//! Dispatchers and helpers append under one lock, so that `executed` only rises as the client reads
//! on. A dispatcher posts when its input is drained, a helper at once.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use flexdirect_transport::Link;
use flexdirect_wire::CuError;
use flexdirect_wire::body::HostCall;
use flexdirect_wire::limits::THREADS_MAX;
use flexdirect_wire::record::{ReplyHeader, Writer, reply_flags};

use super::order::Order;

/// Replies that have not been posted, and errors that have not been told.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    batch: Vec<u8>,
    /// What the client has been told to be executed, or is about to be.
    told: u64,
    deferred: HashMap<u32, CuError>,
    /// Whether it has been logged that errors are lost.
    is_lossy: bool,
}

/// What one reply says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    /// The record.
    pub(crate) sequence: u64,
    /// The thread that awaits it.
    pub(crate) thread: u32,
    /// Result of the call.
    pub(crate) status: u32,
}

impl Outbox {
    /// A posted call of `thread` has failed: the first such error is told with its next reply.
    pub(crate) fn defer(&self, thread: u32, error: CuError) {
        let mut state = self.lock();
        if state.deferred.len() < THREADS_MAX {
            state.deferred.entry(thread).or_insert(error);
        } else if !std::mem::replace(&mut state.is_lossy, true) {
            tracing::warn!("{error:?} of client thread {thread} is lost: too many untold errors");
        }
    }

    /// Appends a reply. A body that no reply can hold makes it an error.
    pub(crate) fn append(&self, link: &dyn Link, order: &Order, answer: Answer, body: &[u8]) {
        let mut state = self.lock();
        // A lane that was idle for long counts from its own last record: what was told stays true.
        let executed = order.executed().max(state.told);
        let deferred = state
            .deferred
            .remove(&answer.thread)
            .map_or(0, CuError::code);
        let mut header = ReplyHeader {
            status: answer.status,
            sequence: answer.sequence,
            executed,
            deferred,
            ..ReplyHeader::default()
        };
        let mut writer = Writer::reply(&mut state.batch, header);
        writer.raw(body);
        if let Err(error) = writer.finish() {
            tracing::error!("reply to record {}: {error}", answer.sequence);
            header.status = CuError::UNKNOWN.code();
            let empty = Writer::reply(&mut state.batch, header).finish();
            debug_assert!(empty.is_ok(), "a header alone is a reply");
        }
        state.told = executed;
        if state.batch.len() >= POST_LEN {
            state.post(link);
        }
    }

    /// Appends a call of a host function.
    pub(crate) fn append_call(&self, link: &dyn Link, call: &HostCall) {
        let mut state = self.lock();
        let header = ReplyHeader {
            executed: state.told,
            flags: reply_flags::CALLBACK,
            ..ReplyHeader::default()
        };
        let mut writer = Writer::reply(&mut state.batch, header);
        writer.put(call);
        let appended = writer.finish();
        debug_assert!(appended.is_ok(), "a call is short");
        if state.batch.len() >= POST_LEN {
            state.post(link);
        }
    }

    /// Posts what there is.
    pub(crate) fn post(&self, link: &dyn Link) {
        self.lock().post(link);
    }

    /// Posts what there is, and an acknowledgement if nothing else tells how far execution is.
    pub(crate) fn post_all(&self, link: &dyn Link, order: &Order) {
        let mut state = self.lock();
        let executed = order.executed();
        if executed > state.told {
            let header = ReplyHeader {
                executed,
                ..ReplyHeader::default()
            };
            let acknowledged = Writer::reply(&mut state.batch, header).finish();
            debug_assert!(acknowledged.is_ok(), "a header alone is a reply");
            state.told = executed;
        }
        state.post(link);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn post(&mut self, link: &dyn Link) {
        if self.batch.is_empty() {
            return;
        }
        // Under the lock: batches leave in the order in which they were filled.
        if let Err(error) = link.post(&self.batch) {
            link.close(&format!("replies: {error}"));
        }
        self.batch.clear();
    }
}

/// Bytes of replies that are posted although more input waits; with the largest reply on top this
/// is still one batch.
const POST_LEN: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use flexdirect_transport::memory::pair;
    use flexdirect_transport::{Destination, Error, Lanes, Sink, Span};
    use flexdirect_wire::record::split_reply;

    use super::*;

    /// What the client is told to be executed.
    #[derive(Default)]
    struct Told(Vec<u64>);

    impl Sink for Told {
        fn batch(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
            while !bytes.is_empty() {
                self.0
                    .push(split_reply(&mut bytes).unwrap().header.executed);
            }
            Ok(())
        }

        fn destination(&mut self, _: Span) -> Result<Destination, Error> {
            unreachable!("replies only")
        }

        fn landed(&mut self, _: Span) -> Result<(), Error> {
            unreachable!("replies only")
        }

        fn side(&mut self, _: &[u8]) -> Result<(), Error> {
            unreachable!("replies only")
        }
    }

    #[test]
    fn what_was_executed_stays_executed() {
        let (near, far) = pair();
        let (outbox, order) = (Outbox::default(), Order::new(2));
        let answer = |sequence| Answer {
            sequence,
            thread: 1,
            status: 0,
        };
        order.route(0, 1);
        order.pass(0, 1);
        order.route(1, 2);
        order.pass(1, 2);
        outbox.append(&*near, &order, answer(2), &[]);
        // The first lane has passed nothing newer than record 1, and another thread is answered.
        order.route(0, 3);
        outbox.append(&*near, &order, answer(2), &[]);
        outbox.post(&*near);
        let mut told = Told::default();
        far.receive(Lanes::Both, &mut told).unwrap();
        assert_eq!(told.0, [2, 2]);
    }
}
