//! The receiving half of each lane: bytes in, whole batches, landed bulk and messages out.
//!
//! Headers and batches pass through one buffer per lane; bulk is received straight into the memory
//! that the sink names, except for the first bytes that came along with its header. What follows
//! the bulk is asked for in the same system call.

use std::os::fd::AsFd;
use std::time::Duration;

use nix::errno::Errno;

use super::frame::{Frame, HEADER_LEN, SIDE_HEADER_LEN, decode_side};
use super::socket::{PEER_CLOSED, Socket, describe, retry};
use crate::landing::Landing;
use crate::link::{Error, SIDE_LEN_MAX, Sink};

/// The receiving half of the main lane.
#[derive(Debug)]
pub(super) struct MainInbox {
    buffer: Buffer,
    /// Bulk that has not wholly arrived; while there is some, the buffer is empty.
    landing: Option<Landing>,
    /// Bytes that the incomplete frame at the front of the buffer will have.
    wanted: usize,
    /// Whether the socket may have more, so that reading comes before sleeping.
    pub(super) eager: bool,
    lost_after: Duration,
}

/// The receiving half of the side lane.
#[derive(Debug)]
pub(super) struct SideInbox {
    buffer: Buffer,
    pub(super) eager: bool,
    lost_after: Duration,
}

/// Received bytes that wait to become whole frames: `start..end` of `bytes`.
#[derive(Debug)]
struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl MainInbox {
    pub(super) fn new(lost_after: Duration) -> Self {
        let buffer = Buffer::new(BUFFER_LEN);
        Self {
            buffer,
            landing: None,
            wanted: HEADER_LEN,
            eager: false,
            lost_after,
        }
    }

    /// Reads what the socket has and hands whole things to `sink`; true if there was one.
    ///
    /// Stops at [`READS_MAX`] reads, so that a flood does not keep the thread here.
    pub(super) fn read(&mut self, socket: &Socket, sink: &mut dyn Sink) -> Result<bool, Error> {
        let mut delivered = false;
        for _ in 0..READS_MAX {
            match self.fill(socket).map_err(|errno| self.lost(errno))? {
                Some(0) => return Err(self.ended()),
                Some(_) => delivered |= self.deliver(sink)?,
                None => self.eager = false,
            }
            if !self.eager {
                break;
            }
        }
        Ok(delivered)
    }

    /// One receive, into the bulk or into the buffer.
    fn fill(&mut self, socket: &Socket) -> Result<Option<usize>, Errno> {
        let Some(landing) = &mut self.landing else {
            let room = self.buffer.room(self.wanted);
            let room_len = room.len();
            let received = socket.receive(room)?;
            let len = received.unwrap_or(0);
            self.buffer.end += len;
            self.eager = len == room_len;
            return Ok(received);
        };
        let rest = &mut self.buffer.room(HEADER_LEN)[..AFTER_BULK_LEN];
        let received = retry(|| landing.receive(socket.as_fd(), rest))?;
        Ok(received.map(|received| {
            self.buffer.end += received.rest;
            self.eager = received.filled;
            received.len
        }))
    }

    /// Hands over every whole thing in the buffer.
    fn deliver(&mut self, sink: &mut dyn Sink) -> Result<bool, Error> {
        let mut delivered = false;
        loop {
            if let Some(landing) = &mut self.landing {
                let taken = landing.copy(self.buffer.filled());
                self.buffer.consume(taken);
                if landing.missing() > 0 {
                    break;
                }
                if let Some(landing) = self.landing.take() {
                    sink.landed(landing.finish())?;
                    delivered = true;
                }
            }
            let Some(header) = self.buffer.filled().first_chunk() else {
                self.wanted = HEADER_LEN;
                break;
            };
            match Frame::decode(header)? {
                Frame::Batch(len) => {
                    let Some(batch) = self.buffer.filled().get(HEADER_LEN..HEADER_LEN + len) else {
                        self.wanted = HEADER_LEN + len;
                        break;
                    };
                    sink.batch(batch)?;
                    self.buffer.consume(HEADER_LEN + len);
                    delivered = true;
                }
                Frame::Bulk(span) => {
                    self.landing = Some(Landing::new(span, sink.destination(span)?)?);
                    self.buffer.consume(HEADER_LEN);
                }
            }
        }
        Ok(delivered)
    }

    fn lost(&self, errno: Errno) -> Error {
        Error::closed(describe(errno, self.lost_after))
    }

    fn ended(&self) -> Error {
        match &self.landing {
            Some(landing) => Error::closed(format!(
                "{PEER_CLOSED} with {} bytes of bulk outstanding",
                landing.missing()
            )),
            None => self.buffer.ended(),
        }
    }
}

impl SideInbox {
    pub(super) fn new(lost_after: Duration) -> Self {
        Self {
            buffer: Buffer::new(SIDE_BUFFER_LEN),
            eager: false,
            lost_after,
        }
    }

    /// Reads what the socket has and hands whole messages to `sink`; true if there was one.
    pub(super) fn read(&mut self, socket: &Socket, sink: &mut dyn Sink) -> Result<bool, Error> {
        let mut delivered = false;
        for _ in 0..READS_MAX {
            let room = self.buffer.room(SIDE_HEADER_LEN + SIDE_LEN_MAX);
            let room_len = room.len();
            let received = socket.receive(room);
            match received.map_err(|errno| Error::closed(describe(errno, self.lost_after)))? {
                Some(0) => return Err(self.buffer.ended()),
                Some(len) => {
                    self.buffer.end += len;
                    self.eager = len == room_len;
                    delivered |= self.deliver(sink)?;
                }
                None => self.eager = false,
            }
            if !self.eager {
                break;
            }
        }
        Ok(delivered)
    }

    fn deliver(&mut self, sink: &mut dyn Sink) -> Result<bool, Error> {
        let mut delivered = false;
        while let Some(header) = self.buffer.filled().first_chunk() {
            let frame_len = SIDE_HEADER_LEN + decode_side(header)?;
            let Some(message) = self.buffer.filled().get(SIDE_HEADER_LEN..frame_len) else {
                break;
            };
            sink.side(message)?;
            self.buffer.consume(frame_len);
            delivered = true;
        }
        Ok(delivered)
    }
}

impl Buffer {
    fn new(len: usize) -> Self {
        Self {
            bytes: vec![0; len],
            start: 0,
            end: 0,
        }
    }

    /// Received bytes.
    fn filled(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    fn consume(&mut self, len: usize) {
        self.start += len;
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Room for more, such that a frame of `wanted` bytes fits with what is there. Grows for a
    /// batch that needs it and shrinks back once empty.
    fn room(&mut self, wanted: usize) -> &mut [u8] {
        let is_empty = self.start == self.end;
        if is_empty && self.bytes.len() > BUFFER_LEN && wanted <= BUFFER_LEN {
            self.bytes.truncate(BUFFER_LEN);
            self.bytes.shrink_to_fit();
        }
        if self.start + wanted > self.bytes.len() || self.end == self.bytes.len() {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if wanted > self.bytes.len() {
            self.bytes.resize(wanted, 0);
        }
        &mut self.bytes[self.end..]
    }

    /// The death of a link whose stream has ended.
    fn ended(&self) -> Error {
        match self.end - self.start {
            0 => Error::closed(PEER_CLOSED),
            len => Error::closed(format!(
                "{PEER_CLOSED} after {len} bytes of an unfinished frame"
            )),
        }
    }
}

/// Buffer of the main lane: what loopback and a fast network deliver per wake-up.
const BUFFER_LEN: usize = 64 << 10;

/// Buffer of the side lane.
const SIDE_BUFFER_LEN: usize = 4 << 10;

/// Asked for along with the rest of bulk: the next header and small batches, not so much of the
/// next bulk that copying it would cost.
const AFTER_BULK_LEN: usize = 4 << 10;

/// Reads after which `receive` returns although there is more.
const READS_MAX: usize = 16;
