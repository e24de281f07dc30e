//! The sending half of one lane: one order for all threads, and no lock held over a system call.
//!
//! Whoever sends holds a *turn*; the others append to the queue and leave. A post takes the turn
//! only when the lane is free and empty, and gives up as soon as the socket is full. A put keeps
//! it until its last byte is in the socket, sleeping for room if it must; puts that come meanwhile
//! leave a place in the queue and are given the turn in that order. What is left over when the turn
//! ends is for the threads in `receive`: the caller rings them.
//!
//! ```text
//!   queue:  [bytes][bytes][place of put 7][bytes][place of put 8][bytes]
//!            ▲ the turn is with put 7, which sends what lies before its place, then itself
//! ```
//! Invariant: while a put waits in the queue, the turn belongs to a put or is about to be given to
//! one (by the post or drain that holds it).

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use nix::errno::Errno;

use super::socket::Socket;

/// The sending half of one lane.
#[derive(Debug)]
pub(super) struct Outbox {
    state: Mutex<State>,
    /// A place has been given the turn, or the link has died.
    given: Condvar,
    len_max: usize,
}

/// Whether bytes are left that a receiving thread must learn of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Left {
    Nothing,
    ForReceivers,
}

/// Why nothing was sent.
#[derive(Clone, Copy, Debug)]
pub(super) enum Failure {
    /// The link has died already.
    Dead,
    /// The connection has failed.
    Lost(Errno),
    /// The queue would have held so many bytes.
    Overrun(usize),
}

#[derive(Debug)]
struct State {
    turn: Turn,
    queue: VecDeque<Entry>,
    /// Bytes in the queue and in the hands of a post or drain that is sending.
    queued: usize,
    places: usize,
    place_next: u64,
    place_given: Option<u64>,
    dead: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Free,
    Post,
    Drain,
    Put,
}

#[derive(Debug)]
enum Entry {
    Bytes { bytes: Vec<u8>, sent: usize },
    Place(u64),
}

/// How a pass over the queue ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pass {
    /// The queue is empty or a place is at its front.
    Done,
    /// The socket is full.
    Full,
    /// Others keep appending; enough for one pass.
    Enough,
}

impl Outbox {
    /// An empty outbox that queues at most `len_max` bytes.
    pub(super) fn new(len_max: usize) -> Self {
        Self {
            state: Mutex::new(State {
                turn: Turn::Free,
                queue: VecDeque::new(),
                queued: 0,
                places: 0,
                place_next: 0,
                place_given: None,
                dead: false,
            }),
            given: Condvar::new(),
            len_max,
        }
    }

    /// Sends `head` and `body` after everything before them, or queues what the socket does not
    /// take. Never blocks.
    pub(super) fn post(&self, socket: &Socket, head: &[u8], body: &[u8]) -> Result<Left, Failure> {
        let len = head.len() + body.len();
        let mut state = self.lock()?;
        let queued = state.queued + len;
        if queued > self.len_max {
            return Err(Failure::Overrun(queued));
        }
        state.queued = queued;
        if state.turn != Turn::Free || queued != len {
            state.append(head, body);
            return Ok(Left::Nothing); // Whoever has the turn, or was rung before, sends it.
        }
        state.turn = Turn::Post;
        drop(state);
        let result = socket.send(&[head, body]);
        let mut state = self.lock()?;
        let sent = result.map_err(Failure::Lost)?;
        state.queued -= sent;
        if sent < len {
            let mut bytes = Vec::with_capacity(len - sent);
            bytes.extend_from_slice(head.get(sent..).unwrap_or_default());
            bytes.extend_from_slice(&body[sent.saturating_sub(head.len())..]);
            state.queue.push_front(Entry::Bytes { bytes, sent: 0 });
        } else if state.queued > 0 {
            state = self.pass(socket, state)?.0;
        }
        Ok(self.end_turn(state))
    }

    /// Sends `head` and `body` after everything before them. Blocks until the socket has them.
    pub(super) fn put(&self, socket: &Socket, head: &[u8], body: &[u8]) -> Result<Left, Failure> {
        let mut state = self.lock()?;
        if state.turn != Turn::Free || state.queued > 0 {
            state = self.wait_for_turn(socket, state)?;
        }
        state.turn = Turn::Put;
        drop(state);
        let len = head.len() + body.len();
        let mut sent = 0;
        while sent < len {
            let head = head.get(sent..).unwrap_or_default();
            let body = &body[sent.saturating_sub(len - body.len())..];
            let taken = socket.send_all(&[head, body]).map_err(Failure::Lost)?;
            sent += taken;
            if taken == 0 {
                self.wait_for_room(socket)?;
            }
        }
        let mut state = self.lock()?;
        if state.queued > 0 {
            state = self.pass(socket, state)?.0;
        }
        Ok(self.end_turn(state))
    }

    /// Sends what is queued, as far as the socket takes it, unless another thread is at it.
    pub(super) fn drain(&self, socket: &Socket) -> Result<(), Failure> {
        let mut state = self.lock()?;
        if state.queued == 0 || state.turn != Turn::Free {
            return Ok(());
        }
        state.turn = Turn::Drain;
        let (state, _) = self.pass(socket, state)?;
        // The caller asks `wants_room` before it sleeps, so that it needs no ringing.
        let _ = self.end_turn(state);
        Ok(())
    }

    /// Whether a receiving thread is to watch for room in the socket. Not while a post or a put has
    /// the turn: those ring when they leave something behind.
    pub(super) fn wants_room(&self) -> bool {
        self.lock()
            .is_ok_and(|state| state.queued > 0 && matches!(state.turn, Turn::Free | Turn::Drain))
    }

    /// Makes every call return [`Failure::Dead`], those that wait for the turn included.
    pub(super) fn die(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.dead = true;
        state.queue = VecDeque::new();
        drop(state);
        self.given.notify_all();
    }

    /// Takes a place in the queue and returns with the turn, everything before the place sent.
    fn wait_for_turn<'a>(
        &'a self,
        socket: &Socket,
        mut state: MutexGuard<'a, State>,
    ) -> Result<MutexGuard<'a, State>, Failure> {
        let place = state.place_next;
        state.place_next += 1;
        state.places += 1;
        state.queue.push_back(Entry::Place(place));
        if state.turn == Turn::Free {
            state.turn = Turn::Put;
            state.place_given = Some(place);
        }
        while state.place_given != Some(place) {
            if state.dead {
                return Err(Failure::Dead);
            }
            state = self
                .given
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        loop {
            if let Some(Entry::Place(first)) = state.queue.front() {
                debug_assert_eq!(*first, place, "places are given the turn in their order");
                state.queue.pop_front();
                state.places -= 1;
                return Ok(state);
            }
            let (unlocked, pass) = self.pass(socket, state)?;
            drop(unlocked);
            if pass == Pass::Full {
                self.wait_for_room(socket)?;
            }
            state = self.lock()?;
        }
    }

    fn wait_for_room(&self, socket: &Socket) -> Result<(), Failure> {
        socket.wait_for_room().map_err(Failure::Lost)?;
        self.lock().map(drop)
    }

    /// Sends from the front of the queue, unlocked while it does. The caller holds the turn.
    fn pass<'a>(
        &'a self,
        socket: &Socket,
        mut state: MutexGuard<'a, State>,
    ) -> Result<(MutexGuard<'a, State>, Pass), Failure> {
        let mut total = 0;
        while total < PASS_LEN {
            let (bytes, mut sent) = match state.queue.pop_front() {
                Some(Entry::Bytes { bytes, sent }) => (bytes, sent),
                Some(place @ Entry::Place(_)) => {
                    state.queue.push_front(place);
                    return Ok((state, Pass::Done));
                }
                None => return Ok((state, Pass::Done)),
            };
            drop(state);
            let result = socket.send(&[&bytes[sent..], &[]]);
            state = self.lock()?;
            let taken = result.map_err(Failure::Lost)?;
            sent += taken;
            total += taken;
            state.queued -= taken;
            if sent < bytes.len() {
                state.queue.push_front(Entry::Bytes { bytes, sent });
                return Ok((state, Pass::Full));
            }
        }
        Ok((state, Pass::Enough))
    }

    /// Gives the turn to the first put that waits, or frees it.
    fn end_turn(&self, mut state: MutexGuard<'_, State>) -> Left {
        if state.places > 0 {
            state.place_given = state.queue.iter().find_map(|entry| match entry {
                Entry::Place(place) => Some(*place),
                Entry::Bytes { .. } => None,
            });
            state.turn = Turn::Put;
            drop(state);
            self.given.notify_all();
            return Left::Nothing;
        }
        state.turn = Turn::Free;
        if state.queued > 0 {
            Left::ForReceivers
        } else {
            Left::Nothing
        }
    }

    fn lock(&self) -> Result<MutexGuard<'_, State>, Failure> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.dead {
            Err(Failure::Dead)
        } else {
            Ok(state)
        }
    }
}

impl State {
    /// Appends to the last entry while that is small, so that one system call sends many batches.
    fn append(&mut self, head: &[u8], body: &[u8]) {
        let len = head.len() + body.len();
        if let Some(Entry::Bytes { bytes, .. }) = self.queue.back_mut()
            && bytes.len() + len <= ENTRY_LEN
        {
            bytes.extend_from_slice(head);
            bytes.extend_from_slice(body);
            return;
        }
        let mut bytes = Vec::with_capacity(len.max(ENTRY_LEN / 16));
        bytes.extend_from_slice(head);
        bytes.extend_from_slice(body);
        self.queue.push_back(Entry::Bytes { bytes, sent: 0 });
    }
}

/// Bytes up to which queued batches are joined: four times the size from which a system call on
/// loopback TCP costs per byte and no longer per call (16 KiB).
const ENTRY_LEN: usize = 64 << 10;

/// Bytes after which a pass ends although there are more, so that no thread sends for others
/// without end.
const PASS_LEN: usize = 1 << 20;
