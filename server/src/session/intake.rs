//! What comes in on the main lane: records, checked and routed to the dispatcher of their device.
//!
//! With one device the receiving thread is the dispatcher, until the client first copies from a
//! source that it reads late: bytes that a stream waits for must come in while a full stream holds
//! its dispatcher up. With several, each has a thread and a queue; a record names what it depends
//! on in another lane, which has come in before it, so no two dispatchers ever wait for each other.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use flexdirect_transport::{Destination, Error, Lanes, Sink, Span};
use flexdirect_wire::call::Op;
use flexdirect_wire::limits::WINDOW_LEN;
use flexdirect_wire::record::{Record, split_record};

use super::{Dispatcher, Fault, Session};
use crate::hand;

/// Receives until the link dies.
pub(super) fn run(session: &Arc<Session>) {
    let mut intake = Intake::new(session);
    while session.link.receive(Lanes::Main, &mut intake).is_ok() {
        if let Lines::One(_) = intake.lines {
            session.outbox.post_all(&*session.link, &session.order);
        }
    }
    if let Lines::Many(queues) = &intake.lines {
        for queue in queues {
            queue.close();
        }
    }
}

/// The receiving end of the main lane.
pub(super) struct Intake {
    session: Arc<Session>,
    /// Sequence of the newest record.
    newest: u64,
    lines: Lines,
}

/// Where records go.
enum Lines {
    One(Box<Dispatcher>),
    Many(Vec<Arc<Queue>>),
}

impl Intake {
    fn new(session: &Arc<Session>) -> Self {
        let lines = if session.order.lanes() > 1 {
            let queues = (0..session.order.lanes()).map(|_| Queue::start(session));
            Lines::Many(queues.collect())
        } else {
            Lines::One(Box::new(Dispatcher::new(session)))
        };
        Self {
            session: Arc::clone(session),
            newest: 0,
            lines,
        }
    }

    fn take(&mut self, mut batch: &[u8]) -> Result<(), Fault> {
        while !batch.is_empty() {
            let whole = batch;
            let record = split_record(&mut batch).map_err(|error| Fault::Wire {
                sequence: self.newest + 1,
                op: Op(0),
                error,
            })?;
            self.check(&record)?;
            self.newest = record.header.sequence;
            let lane = record.header.lane;
            self.session.order.route(lane, self.newest);
            if matches!(self.lines, Lines::One(_)) && hand::is_late(&record) {
                self.lines = Lines::Many(vec![Queue::start(&self.session)]);
            }
            match &mut self.lines {
                Lines::One(dispatcher) => dispatcher.execute(record)?,
                Lines::Many(queues) => {
                    let bytes = &whole[..whole.len() - batch.len()];
                    queues[usize::from(lane)].push(bytes)?;
                }
            }
        }
        Ok(())
    }

    /// What must hold of a record whatever its call.
    fn check(&self, record: &Record<'_>) -> Result<(), Fault> {
        let header = &record.header;
        let (expected, found) = (self.newest + 1, header.sequence);
        if expected != found {
            return Err(Fault::Sequence { expected, found });
        }
        let order = &self.session.order;
        if usize::from(header.lane) >= order.lanes() {
            let (lane, lanes) = (header.lane, order.lanes());
            return Err(Fault::Lane {
                sequence: found,
                lane,
                lanes,
            });
        }
        let has_come = order.routed(header.dependency_lane);
        if header.dependency > 0 && has_come.is_none_or(|newest| newest < header.dependency) {
            return Err(Fault::Dependency {
                sequence: found,
                dependency: header.dependency,
                lane: header.dependency_lane,
            });
        }
        self.session.threads.seen(header.thread, found)
    }

    fn fail(&self, fault: Fault) -> Error {
        let error = Error::protocol(fault.to_string());
        self.session.fail(fault);
        error
    }
}

impl Sink for Intake {
    fn batch(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.take(bytes).map_err(|fault| self.fail(fault))
    }

    fn destination(&mut self, span: Span) -> Result<Destination, Error> {
        if let Some(destination) = self.session.hostfns.destination(span) {
            return Ok(destination);
        }
        self.session
            .slab
            .destination(span)
            .map_err(|fault| self.fail(fault.into()))
    }

    fn landed(&mut self, span: Span) -> Result<(), Error> {
        if span.region != 0 {
            self.session.hostfns.landed(span);
            return Ok(());
        }
        self.session
            .slab
            .landed(span)
            .map_err(|fault| self.fail(fault.into()))
    }

    fn side(&mut self, _: &[u8]) -> Result<(), Error> {
        Err(Error::protocol("a side message on the main lane"))
    }
}

/// Records that wait for the dispatcher of one device.
#[derive(Default)]
struct Queue {
    state: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    records: VecDeque<Vec<u8>>,
    len: usize,
    is_closed: bool,
}

impl Waiting {
    fn push(&mut self, record: &[u8]) -> Result<(), Fault> {
        self.len += record.len();
        if self.len > WINDOW_LEN {
            return Err(Fault::Window {
                len: self.len,
                len_max: WINDOW_LEN,
            });
        }
        self.records.push_back(record.to_vec());
        Ok(())
    }

    /// The next record, which counts no more: the client may hear that it is executed, and send
    /// others, before the dispatcher is done with it.
    fn pop(&mut self) -> Option<Vec<u8>> {
        let record = self.records.pop_front()?;
        self.len -= record.len();
        Some(record)
    }
}

impl Queue {
    /// A queue with its dispatcher.
    fn start(session: &Arc<Session>) -> Arc<Self> {
        let queue = Arc::new(Self::default());
        let (own, taken) = (Arc::clone(session), Arc::clone(&queue));
        session.spawn("dispatcher", move || taken.run(&own));
        queue
    }

    fn push(&self, record: &[u8]) -> Result<(), Fault> {
        self.lock().push(record)?;
        self.changed.notify_one();
        Ok(())
    }

    fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_all();
    }

    fn run(&self, session: &Arc<Session>) {
        let mut dispatcher = Dispatcher::new(session);
        while let Some(bytes) = self.next(session) {
            let mut rest = &bytes[..];
            let record = split_record(&mut rest).expect("the intake split this record before");
            let (dependency, lane) = (record.header.dependency, record.header.dependency_lane);
            if dependency > 0 && lane != record.header.lane {
                // What is gathered must not wait with us.
                session.outbox.post(&*session.link);
                if !session.order.wait(lane, dependency) {
                    return;
                }
            }
            if let Err(fault) = dispatcher.execute(record) {
                session.fail(fault);
                return;
            }
        }
    }

    /// The next record; tells the client how far execution is before it sleeps.
    fn next(&self, session: &Arc<Session>) -> Option<Vec<u8>> {
        let mut state = self.lock();
        let mut is_told = false;
        loop {
            if state.is_closed {
                return None;
            }
            if let Some(record) = state.pop() {
                return Some(record);
            }
            if is_told {
                state = self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
            } else {
                drop(state);
                session.outbox.post_all(&*session.link, &session.order);
                is_told = true;
                state = self.lock();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_is_being_executed_is_outside_the_window() {
        let mut waiting = Waiting::default();
        let half = vec![0; WINDOW_LEN / 2];
        waiting.push(&half).unwrap();
        waiting.push(&half).unwrap();
        assert_eq!(waiting.pop().unwrap().len(), half.len());
        waiting.push(&half).unwrap();
        let len = WINDOW_LEN + 1;
        let len_max = WINDOW_LEN;
        assert_eq!(waiting.push(&[0]), Err(Fault::Window { len, len_max }));
    }
}
