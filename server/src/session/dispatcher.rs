//! One record after the other: context, handler, reply.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use flexdirect_wire::body;
use flexdirect_wire::call::{Blocks, Call, Op, op};
use flexdirect_wire::record::{Reader, Record, RecordHeader};
use flexdirect_wire::{CuError, CuResult, ShadowHandle, abi};

use super::outbox::Answer;
use super::pool::Pool;
use super::{Fault, Seat, Session};
use crate::dispatch::{self, Desk, Job, Step, Stop};

/// Executes the records of one device in order.
pub(super) struct Dispatcher {
    session: Arc<Session>,
    seat: Seat,
    body: Vec<u8>,
    unknown: u32,
}

impl Dispatcher {
    pub(super) fn new(session: &Arc<Session>) -> Self {
        let session = Arc::clone(session);
        Self {
            session,
            seat: Seat::default(),
            body: Vec::new(),
            unknown: 0,
        }
    }

    /// Executes a record, or hands it to a helper.
    pub(super) fn execute(&mut self, mut record: Record<'_>) -> Result<(), Fault> {
        let known = self
            .seat
            .enter(&self.session, ShadowHandle(record.header.context));
        if known.is_err() && NEED_NO_CONTEXT.contains(&record.op()) {
            record.header.context = 0;
        }
        let header = record.header;
        self.body.clear();
        let result = match self.step(&record) {
            Ok(Step::Done) => Ok(()),
            Ok(Step::Later(job)) => return self.hand(&record, job),
            Err(Stop::Call(error)) => Err(error),
            Err(Stop::Fault(fault)) => return Err(*fault),
            Err(Stop::Wire(error)) => {
                let (sequence, op) = (header.sequence, record.op());
                return Err(Fault::Wire {
                    sequence,
                    op,
                    error,
                });
            }
        };
        self.session.order.pass(header.lane, header.sequence);
        finish(
            &self.session,
            &header,
            record.is_awaited(),
            result,
            &self.body,
        );
        Ok(())
    }

    fn step(&mut self, record: &Record<'_>) -> Result<Step, Stop> {
        let Some(handler) = dispatch::handler(record.op()) else {
            self.unknown += 1;
            if self.unknown <= UNKNOWN_LOGGED_MAX {
                tracing::warn!("{} ({:#06x}) is not served", record.op(), record.header.op);
            }
            return Err(Stop::Call(CuError::NOT_SUPPORTED));
        };
        let name = ShadowHandle(record.header.context);
        let context = self.seat.enter(&self.session, name)?;
        let mut call = dispatch::Call {
            session: &self.session,
            seat: &mut self.seat,
            context,
            header: &record.header,
            body: Reader::new(record.body),
            reply: &mut self.body,
        };
        handler(&mut call)
    }

    fn hand(&self, record: &Record<'_>, job: Job) -> Result<(), Fault> {
        let header = record.header;
        if !record.is_awaited() {
            return Err(Fault::Posted {
                op: record.op(),
                sequence: header.sequence,
            });
        }
        self.session.threads.begin(header.thread)?;
        self.session.order.pass(header.lane, header.sequence);
        let task = move |session: &Arc<Session>, seat: &mut Seat| {
            let mut reply = Vec::new();
            let name = ShadowHandle(header.context);
            let run = || {
                seat.enter(session, name)?;
                job(&mut Desk {
                    session,
                    seat,
                    reply: &mut reply,
                })
            };
            // A panic is a bug of ours: its thread's call fails and the others go on.
            let result = catch_unwind(AssertUnwindSafe(run));
            let result = result.unwrap_or_else(|_| {
                seat.leave();
                Err(CuError::UNKNOWN)
            });
            session.threads.end(header.thread);
            finish(session, &header, true, result, &reply);
            session.outbox.post(&*session.link);
        };
        Pool::hand(&self.session, Box::new(task));
        Ok(())
    }
}

/// Answers an awaited record; keeps the error of a posted one for its thread.
fn finish(
    session: &Session,
    header: &RecordHeader,
    is_awaited: bool,
    result: CuResult,
    body: &[u8],
) {
    if is_awaited {
        let may_wait = |call: &Call| call.blocks == Blocks::Maybe;
        if Op(header.op).call().is_some_and(may_wait) {
            crate::output::tell(session);
        }
        let body = if result.is_ok() { body } else { &[] };
        let answer = Answer {
            sequence: header.sequence,
            thread: header.thread,
            status: abi::code(result),
        };
        session
            .outbox
            .append(&*session.link, &session.order, answer, body);
    } else if let Err(error) = result {
        tracing::debug!("posted record {} failed: {error:?}", header.sequence);
        session.outbox.defer(header.thread, error);
    }
}

/// Calls that do without a context, or have to be begun to give back what they came with: a thread
/// whose context is gone makes them as one that has none.
const NEED_NO_CONTEXT: [Op; 15] = [
    op::cuDevicePrimaryCtxRetain,
    op::cuDevicePrimaryCtxReset,
    op::cuDevicePrimaryCtxReset_v2,
    op::cuCtxCreate_v2,
    op::cuCtxCreate_v4,
    op::cuCtxDestroy_v2,
    op::cuLibraryLoadData,
    op::cuLibraryUnload,
    op::cuLibraryGetKernel,
    op::cuMemcpyHtoD_v2,
    op::cuMemcpyHtoDAsync_v2,
    op::cuMemcpy3DAsync_v2,
    op::cuLinkComplete,
    body::session::IMAGE_PIECE,
    body::session::GRAPH_BYTES,
];

/// Unknown calls that are named in the log for each dispatcher: enough to see what is missing.
const UNKNOWN_LOGGED_MAX: u32 = 16;
