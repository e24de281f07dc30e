//! From a record's operation code to the code that executes it: readers of the table.
//!
//! A derived call takes its arguments as [`Param`](flexdirect_wire::param::Param) says, calls the
//! driver and answers. A call written by hand is the function of its name in [`crate::hand`]; one
//! that is missing does not compile.

#[expect(
    unsafe_code,
    reason = "calls the driver with arguments that Param lends"
)]
mod derived;

use std::sync::Arc;

use flexdirect_wire::abi::CuStream;
use flexdirect_wire::body::session;
use flexdirect_wire::call::Op;
use flexdirect_wire::param::{Objects, Refused};
use flexdirect_wire::record::{Reader, RecordHeader, WireError, Writer};
use flexdirect_wire::{CuError, CuResult, Kind, ShadowHandle};

use crate::session::{Current, Fault, Seat, Session};
use crate::shadow::contexts::Queue;
use crate::shadow::slab::SlabFault;

/// Executes one record, or says what a helper has to do.
pub(crate) type Handler = fn(&mut Call<'_>) -> Result<Step, Stop>;

/// What a helper does: everything that may wait.
pub(crate) type Job = Box<dyn FnOnce(&mut Desk<'_>) -> CuResult + Send>;

/// Outcome of a handler.
pub(crate) enum Step {
    /// Executed; what was written to `reply` is the reply's body.
    Done,
    /// A helper goes on.
    Later(Job),
}

/// Why a handler stopped.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The call fails with this code.
    Call(CuError),
    /// The session ends.
    Fault(Box<Fault>),
    /// The body is none of this call: the session ends.
    Wire(WireError),
}

/// One record on its dispatcher.
pub(crate) struct Call<'a> {
    /// The session.
    pub(crate) session: &'a Arc<Session>,
    /// The dispatcher's place at the driver.
    pub(crate) seat: &'a mut Seat,
    /// The record's context, which is current.
    pub(crate) context: Current,
    /// The record's header.
    pub(crate) header: &'a RecordHeader,
    /// The record's body, as far as it has not been read.
    pub(crate) body: Reader<'a>,
    /// Body of the reply.
    pub(crate) reply: &'a mut Vec<u8>,
}

/// One call on a helper.
pub(crate) struct Desk<'a> {
    /// The session.
    pub(crate) session: &'a Arc<Session>,
    /// The helper's place at the driver: the record's context is current.
    pub(crate) seat: &'a mut Seat,
    /// Body of the reply.
    pub(crate) reply: &'a mut Vec<u8>,
}

/// The handler of an operation code; none for what is unknown, local or absent.
pub(crate) fn handler(op: Op) -> Option<Handler> {
    match op {
        session::IMAGE_PIECE => return Some(crate::hand::image_piece),
        session::TWIN_MAKE => return Some(crate::hand::twin_make),
        session::TWIN_DROP => return Some(crate::hand::twin_drop),
        session::TWIN_WRITE => return Some(crate::hand::twin_write),
        session::TWIN_FETCH => return Some(crate::hand::twin_fetch),
        session::CAPTURED_COPY => return Some(crate::hand::captured_copy),
        session::GRAPH_BYTES => return Some(crate::hand::graph_bytes),
        _ => {}
    }
    if op == session::HOST_FUNCTION_END {
        return Some(crate::hand::host_function_end);
    }
    let at = derived::ENTRIES
        .binary_search_by_key(&op, |entry| entry.0)
        .ok()?;
    derived::ENTRIES[at].1
}

impl Call<'_> {
    /// The record's context.
    ///
    /// # Errors
    /// `INVALID_CONTEXT` when the issuing thread had none.
    pub(crate) fn context(&self) -> Result<Current, CuError> {
        if self.context.name.is_null() {
            Err(CuError::INVALID_CONTEXT)
        } else {
            Ok(self.context)
        }
    }

    /// The queue that this call puts work on.
    ///
    /// # Errors
    /// `INVALID_HANDLE`, `INVALID_CONTEXT`, or what the driver says.
    pub(crate) fn use_queue(&self, stream: u64) -> Result<Queue, CuError> {
        let mut tables = self.session.tables();
        tables.use_queue(
            &self.session.driver,
            self.context.name,
            ShadowHandle(stream),
        )
    }

    /// The driver's handle of an object.
    ///
    /// # Errors
    /// `INVALID_HANDLE`.
    pub(crate) fn find(&self, kind: Kind, handle: u64) -> Result<u64, CuError> {
        let object = self
            .session
            .tables()
            .handles
            .find(kind, ShadowHandle(handle));
        object
            .map(|object| object.driver)
            .ok_or(CuError::INVALID_HANDLE)
    }

    /// The writer of the reply's body.
    pub(crate) fn answer(&mut self) -> Writer<'_> {
        Writer::body(self.reply)
    }

    /// A field of the body that cannot be: the session ends.
    pub(crate) fn bad(&self, what: &'static str, value: u64) -> Stop {
        Fault::Value {
            op: Op(self.header.op),
            what,
            value,
        }
        .into()
    }

    /// A helper goes on.
    #[expect(clippy::unnecessary_wraps, reason = "the last line of a handler")]
    pub(crate) fn later(
        job: impl FnOnce(&mut Desk<'_>) -> CuResult + Send + 'static,
    ) -> Result<Step, Stop> {
        Ok(Step::Later(Box::new(job)))
    }

    /// Goes on here: for what waits so rarely that a lone client thread is served faster this way.
    pub(crate) fn here(
        &mut self,
        job: impl FnOnce(&mut Desk<'_>) -> CuResult,
    ) -> Result<Step, Stop> {
        job(&mut Desk {
            session: self.session,
            seat: self.seat,
            reply: self.reply,
        })?;
        Ok(Step::Done)
    }
}

impl Desk<'_> {
    /// The writer of the reply's body.
    pub(crate) fn answer(&mut self) -> Writer<'_> {
        Writer::body(self.reply)
    }
}

/// Resolves the handles of a derived call. A stream is used by being named.
struct Resolver<'a> {
    session: &'a Session,
    context: ShadowHandle,
    error: Option<CuError>,
}

impl Objects for Resolver<'_> {
    fn resolve(&mut self, kind: Kind, handle: ShadowHandle) -> Option<u64> {
        let mut tables = self.session.tables();
        if kind == Kind::STREAM {
            let used = tables.use_queue(&self.session.driver, self.context, handle);
            let CuStream(driver) = used.map_err(|error| self.error = Some(error)).ok()?.driver;
            return Some(driver);
        }
        tables
            .handles
            .find(kind, handle)
            .map(|object| object.driver)
    }
}

impl From<CuError> for Stop {
    fn from(error: CuError) -> Self {
        Self::Call(error)
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(Box::new(fault))
    }
}

impl From<SlabFault> for Stop {
    fn from(fault: SlabFault) -> Self {
        Fault::Slab(fault).into()
    }
}

impl From<WireError> for Stop {
    fn from(error: WireError) -> Self {
        Self::Wire(error)
    }
}

impl From<Refused> for Stop {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Wire(error) => Self::Wire(error),
            Refused::Call(error) => Self::Call(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flexdirect_wire::Class;
    use flexdirect_wire::call::CALLS;

    #[test]
    fn every_call_that_crosses_has_a_handler() {
        for call in CALLS {
            let crosses = matches!(call.class, Class::Posted | Class::Awaited);
            assert_eq!(handler(call.op).is_some(), crosses, "{}", call.name);
        }
        assert!(handler(session::IMAGE_PIECE).is_some());
        assert!(handler(Op(0xffff)).is_none());
    }
}
