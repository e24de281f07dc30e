//! How a session ends.

use flexdirect_wire::call::Op;
use flexdirect_wire::record::WireError;

use crate::shadow::slab::SlabFault;

/// How a session ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The link died; the text says who ended it and why.
    Closed(String),
    /// The session could not start: the text says what the system refused.
    Failed(String),
    /// The client broke the protocol, or the worker could not go on.
    Fault(Fault),
}

/// What ends a session: logged once.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// A client thread sent a record while it awaited a reply.
    #[error("thread {thread} sent record {sequence} while it awaited a reply")]
    Busy {
        /// The thread.
        thread: u32,
        /// The record.
        sequence: u64,
    },
    /// A dependency that can never be met.
    #[error("record {sequence} depends on record {dependency} of lane {lane}, which is not there")]
    Dependency {
        /// The record.
        sequence: u64,
        /// What it depends on.
        dependency: u64,
        /// The lane of that.
        lane: u16,
    },
    /// Images of more threads than there may be.
    #[error("images of over {threads_max} threads on their way at once")]
    Images {
        /// The limit.
        threads_max: usize,
    },
    /// A lane beyond the devices of the lease.
    #[error("record {sequence} for lane {lane} of {lanes}")]
    Lane {
        /// The record.
        sequence: u64,
        /// Its lane.
        lane: u16,
        /// Lanes that there are.
        lanes: usize,
    },
    /// A call that can only be awaited was posted.
    #[error("{op} may wait and was posted as record {sequence}")]
    Posted {
        /// The call.
        op: Op,
        /// The record.
        sequence: u64,
    },
    /// Records out of order.
    #[error("record {found} where record {expected} was due")]
    Sequence {
        /// Due.
        expected: u64,
        /// Came.
        found: u64,
    },
    /// A side message that is none.
    #[error("side message of {len} bytes")]
    Side {
        /// Its length.
        len: usize,
    },
    /// Bulk that breaks the rules.
    #[error("bulk: {0}")]
    Slab(SlabFault),
    /// The system has no thread for the session.
    #[error("no thread: {reason}")]
    Thread {
        /// What the system said.
        reason: String,
    },
    /// More client threads await replies than a session may have.
    #[error("more than {threads_max} client threads await replies")]
    Threads {
        /// The limit.
        threads_max: usize,
    },
    /// A field of a body that cannot be.
    #[error("{op}: {what} is {value:#x}")]
    Value {
        /// The call.
        op: Op,
        /// The field.
        what: &'static str,
        /// Its value.
        value: u64,
    },
    /// More records outstanding than the window allows.
    #[error("{len} bytes of records outstanding, over the window of {len_max}")]
    Window {
        /// The bytes.
        len: usize,
        /// The limit.
        len_max: usize,
    },
    /// Bytes that are no record, or a body that is none of its call.
    #[error("record {sequence} ({op}): {error}")]
    Wire {
        /// The record, or the one after the last good one.
        sequence: u64,
        /// Its call, 0 when that was not read.
        op: Op,
        /// What was wrong.
        error: WireError,
    },
}

impl From<SlabFault> for Fault {
    fn from(fault: SlabFault) -> Self {
        Self::Slab(fault)
    }
}
