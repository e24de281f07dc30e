//! The link: one connected transport between a client process and its worker.
//!
//! A link carries four things. *Batches* of whole records go one way and batches of replies the
//! other, each in order. *Bulk* goes both ways, into memory that the receiving end names for it.
//! *Side messages* travel on a lane of their own, never behind a batch: credits, acknowledgements
//! of callbacks and cancellations must pass while the main lane is full. And a link *dies*, once,
//! clearly: every call in progress and every later one returns the same error, which
//! [`Link::death`] names: [`Error::Closed`], or [`Error::Protocol`] at the end whose peer broke the
//! protocol, or what the sink returned. What was posted and not yet delivered may then be lost, so
//! a goodbye that matters is acknowledged before the link is closed.
//!
//! ```text
//!            post ──▶ batch, batch, ...  ──▶ Sink::batch          main lane, in order
//!            put  ──▶ span + bytes       ──▶ Sink::destination    main lane, in order with post
//!       post_side ──▶ message            ──▶ Sink::side           side lane
//! ```

use std::fmt;
use std::sync::Arc;

/// One connected transport between a client process and its worker.
///
/// Every method may be called from any thread. Only one thread at a time may be in
/// [`Link::receive`] for a given lane.
pub trait Link: Send + Sync + fmt::Debug {
    /// Name of the mechanism as users see it: `tcp`, `shm`, `verbs`, `memory`.
    fn name(&self) -> &'static str;

    /// Sends a batch of whole records, after everything that this end has sent on the main lane.
    ///
    /// Never blocks: what the transport does not take at once is queued in the link and sent by
    /// whichever thread is in [`Link::receive`], for whichever lane. The caller bounds what it has
    /// outstanding (by credits of its own protocol). An empty batch is sent as nothing at all.
    ///
    /// # Errors
    /// [`Error::Overrun`] for a queue over [`QUEUE_LEN_MAX`], [`Error::Oversize`] for a batch over
    /// [`BATCH_LEN_MAX`]: nothing was sent and the link lives. Otherwise the link's death.
    fn post(&self, batch: &[u8]) -> Result<(), Error>;

    /// Writes bulk into memory that the peer named, after everything sent before it.
    ///
    /// May block while the transport drains. The thread that receives calls it only where the peer
    /// goes on receiving whatever happens to what it sends.
    /// Other threads may `post` and `put` meanwhile; what they send arrives after these bytes, in
    /// the order of their calls. Empty bulk arrives too: as a destination of no bytes that landed.
    /// When this returns, `bytes` has been read; it need not have arrived.
    ///
    /// # Errors
    /// [`Error::Oversize`] over [`PUT_LEN_MAX`] (the link lives), or the link's death.
    ///
    /// # Panics
    /// If `target.len` is not the length of `bytes`.
    fn put(&self, target: Span, bytes: &[u8]) -> Result<(), Error>;

    /// Sends one message (at most [`SIDE_LEN_MAX`] bytes) on the side lane. Never blocks.
    ///
    /// # Errors
    /// [`Error::Overrun`] for a queue over [`SIDE_QUEUE_LEN_MAX`], [`Error::Oversize`] for a longer
    /// message: nothing was sent and the link lives. Otherwise the link's death.
    fn post_side(&self, message: &[u8]) -> Result<(), Error>;

    /// Sleeps until something arrives on one of `lanes`, hands what has arrived to `sink` (up to a
    /// bound, so that a flood does not keep the thread here), and returns; also returns (with
    /// nothing delivered) after [`Link::wake`].
    ///
    /// The sink may `post`, `post_side`, `wake` and `close`.
    ///
    /// # Errors
    /// The link's death. Errors of the sink end the link and are returned.
    ///
    /// # Panics
    /// If another thread is receiving from one of `lanes`.
    fn receive(&self, lanes: Lanes, sink: &mut dyn Sink) -> Result<(), Error>;

    /// Makes the current or the next `receive` of each lane return. Wakes do not add up.
    fn wake(&self);

    /// Ends the link: both ends' calls return [`Error::Closed`]. Further calls do nothing.
    /// Dropping the last reference to an end has the same effect on the other.
    fn close(&self, reason: &str);

    /// Why the link has died, once it has.
    fn death(&self) -> Option<Error>;
}

/// What one end does with what arrives. Called from the thread in [`Link::receive`].
pub trait Sink {
    /// Bytes of one or more whole batches, in order; `bytes` is a copy that the peer cannot change.
    fn batch(&mut self, bytes: &[u8]) -> Result<(), Error>;

    /// Memory for bulk that the peer addressed to `span`: an allegation, to be checked here.
    fn destination(&mut self, span: Span) -> Result<Destination, Error>;

    /// The bulk for `span` is in place. Batches sent after it are delivered after this call.
    fn landed(&mut self, span: Span) -> Result<(), Error>;

    /// One message of the side lane.
    fn side(&mut self, message: &[u8]) -> Result<(), Error>;
}

/// A range of memory in the terms of its owner: an allegation until its owner has checked it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    /// Which memory: 0 is the inbound slab, other values are named by records.
    pub region: u64,
    /// First byte, relative to the start of the region.
    pub offset: u64,
    /// Length in bytes.
    pub len: u64,
}

/// Memory that bulk may be written to.
///
/// Made by the owner of the memory, who promises that `address` is valid for writes of the span's
/// length until [`Sink::landed`] has been called for it or the link is dropped.
#[derive(Clone, Copy, Debug)]
pub struct Destination {
    address: usize,
    len: usize,
}

/// Which lanes a thread receives from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lanes {
    /// Batches and bulk.
    Main,
    /// Side messages.
    Side,
    /// Both, for an end with one receiving thread.
    Both,
}

/// How a link fails. Cheap to clone: every thread of a session gets the same one.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The link has died; the text says who ended it and why.
    #[error("link closed: {0}")]
    Closed(Arc<str>),
    /// This end posted more than it may have outstanding. Nothing was sent; the link lives.
    #[error("{len} bytes queued, over the limit of {len_max}")]
    Overrun {
        /// Bytes that the queue would have held.
        len: usize,
        /// The limit.
        len_max: usize,
    },
    /// One batch, bulk transfer or message of this end is too long. Nothing was sent; the link
    /// lives.
    #[error("{len} bytes at once, over the limit of {len_max}")]
    Oversize {
        /// Bytes that were to be sent.
        len: usize,
        /// The limit.
        len_max: usize,
    },
    /// The peer sent something that no correct peer sends.
    #[error("peer broke the protocol: {0}")]
    Protocol(Arc<str>),
}

impl Error {
    /// A peer that broke the protocol.
    pub fn protocol(reason: impl AsRef<str>) -> Self {
        Self::Protocol(reason.as_ref().into())
    }

    /// A link that has died.
    pub fn closed(reason: impl AsRef<str>) -> Self {
        Self::Closed(reason.as_ref().into())
    }
}

impl Destination {
    /// Names `len` bytes from `address` on.
    ///
    /// # Safety
    /// The memory must be valid for writes until [`Sink::landed`] has been called for it or the
    /// link is dropped, and nothing else may read or write it meanwhile but code that
    /// tolerates torn values.
    #[expect(
        unsafe_code,
        reason = "the constructor carries the promise that the writer relies on"
    )]
    pub unsafe fn new(address: *mut u8, len: usize) -> Self {
        Self {
            address: address as usize,
            len,
        }
    }

    /// First byte.
    pub fn address(self) -> *mut u8 {
        self.address as *mut u8
    }

    /// Length in bytes.
    pub fn len(self) -> usize {
        self.len
    }

    /// Whether there is nothing to write.
    pub fn is_empty(self) -> bool {
        self.len == 0
    }
}

/// Largest batch in bytes: bounds the receiver's buffer.
pub const BATCH_LEN_MAX: usize = 1 << 20;

/// Largest bulk transfer in one `put` in bytes: other records interleave between chunks.
pub const PUT_LEN_MAX: usize = 1 << 20;

/// Largest side message in bytes.
pub const SIDE_LEN_MAX: usize = 64;

/// Most bytes that may be queued in a link: twice the record window of a session.
pub const QUEUE_LEN_MAX: usize = 8 << 20;

/// Most bytes that may be queued on the side lane: far more messages than a correct protocol has
/// outstanding, little enough to forget.
pub const SIDE_QUEUE_LEN_MAX: usize = 64 << 10;
