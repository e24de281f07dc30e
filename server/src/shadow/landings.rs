//! Copies to client memory that the client does not wait for: staged here in stream order, put to
//! the client once the GPU has done them.
//!
//! Whoever has waited for the GPU on the client's behalf puts what is complete before it replies
//! ([`Landings::settle`]); so a synchronisation never answers before the bytes that it covers, and
//! never waits for the copies of another stream. A thread of its own, made on first need, puts the
//! rest in order, so that staging memory comes back when nobody synchronises.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use flexdirect_transport::Span;
use flexdirect_wire::abi::CuEvent;
use flexdirect_wire::limits::CHUNK_LEN;
use flexdirect_wire::{CuError, CuResult, ShadowHandle};

use super::mapping::Mapping;
use crate::driver::Driver;
use crate::driver::steps::Progress;
use crate::session::{Seat, Session};

/// Staging memory and the copies that are in it.
pub(crate) struct Landings {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// Blocks of [`STAGING_LEN`] bytes: one, and more when copies pile up behind work that a later
    /// record has yet to release, for whoever stages must not wait for what only it can receive.
    blocks: Vec<Arc<Mapping>>,
    /// Free chunks of each class.
    free: [Vec<Place>; CLASSES.len()],
    entries: VecDeque<Landing>,
    /// Puts that threads are at.
    putting: usize,
    /// Copies that have ended, ever.
    puts: u64,
    /// Entry whose event the thread waits for: its event stays out of the pool meanwhile.
    watched: Option<u64>,
    next: u64,
    has_thread: bool,
    is_closed: bool,
}

/// A chunk of staging memory. Given back by [`Landings::give`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chunk {
    /// First byte.
    pub(crate) address: *mut u8,
    /// Which it is.
    pub(crate) place: Place,
}

/// Where a chunk begins: its block, and the offset in it; and its class.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    block: usize,
    offset: usize,
    class: usize,
}

#[derive(Clone, Copy, Debug)]
struct Landing {
    number: u64,
    context: ShadowHandle,
    event: CuEvent,
    place: Place,
    target: Span,
}

impl fmt::Debug for Landings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Landings")
            .field("blocks", &self.lock().blocks)
            .finish_non_exhaustive()
    }
}

impl Landings {
    /// Maps the staging memory.
    ///
    /// # Errors
    /// What `mmap` says.
    pub(crate) fn new() -> io::Result<Self> {
        let mut state = State {
            blocks: Vec::new(),
            free: std::array::from_fn(|_| Vec::new()),
            entries: VecDeque::new(),
            putting: 0,
            puts: 0,
            watched: None,
            next: 0,
            has_thread: false,
            is_closed: false,
        };
        state.add(Mapping::new(STAGING_LEN)?);
        Ok(Self {
            state: Mutex::new(state),
            changed: Condvar::new(),
        })
    }

    /// Whether no copy waits to be put.
    pub(crate) fn is_empty(&self) -> bool {
        let state = self.lock();
        state.entries.is_empty() && state.putting == 0
    }

    /// A chunk for `len` bytes (at most [`CHUNK_LEN`]); waits until there is one. None when the
    /// session ends.
    pub(crate) fn take(&self, len: usize) -> Option<Chunk> {
        let mut state = self.lock();
        loop {
            if state.is_closed {
                return None;
            }
            if let Some(chunk) = state.pick(len) {
                return Some(chunk);
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// A chunk for `len` bytes, if one is free now.
    pub(crate) fn try_take(&self, len: usize) -> Option<Chunk> {
        self.lock().pick(len)
    }

    /// A chunk for `len` bytes, for the thread that receives: when none is free there is more
    /// memory, and when there is as much as there may be, as many copies must end first.
    ///
    /// # Errors
    /// `OUT_OF_MEMORY` when none of the copies that fill it all has ended for [`PATIENCE`];
    /// `DEVICE_UNAVAILABLE` when the session ends.
    pub(crate) fn take_more(&self, session: &Session, len: usize) -> Result<Chunk, CuError> {
        loop {
            let (count, puts) = {
                let mut state = self.lock();
                if state.is_closed {
                    return Err(CuError::DEVICE_UNAVAILABLE);
                }
                if let Some(chunk) = state.pick(len) {
                    return Ok(chunk);
                }
                (state.blocks.len(), state.puts)
            };
            if count < BLOCKS_MAX
                && let Some(memory) = session.pinned(STAGING_LEN)
            {
                self.lock().add(memory);
                continue;
            }
            let full =
                |state: &mut State| !state.is_closed && state.puts == puts && state.lacks(len);
            let (state, waited) = self
                .changed
                .wait_timeout_while(self.lock(), PATIENCE, full)
                .unwrap_or_else(PoisonError::into_inner);
            drop(state);
            if waited.timed_out() {
                tracing::error!(
                    "{count} blocks of staging memory are full of copies to the client, and none \
                     of them ended in {} s",
                    PATIENCE.as_secs()
                );
                return Err(CuError::OUT_OF_MEMORY);
            }
        }
    }

    /// Gives a chunk back.
    pub(crate) fn give(&self, place: Place) {
        self.lock().free[place.class].push(place);
        self.changed.notify_all();
    }

    /// The bytes of a chunk.
    pub(crate) fn read(&self, chunk: Chunk, len: usize) -> Vec<u8> {
        let staging = self.lock().block(chunk.place);
        staging.read(chunk.place.offset, len).unwrap_or_default()
    }

    /// A copy into `chunk` is done when `event` has happened; then its bytes go to `target`.
    pub(crate) fn push(
        session: &Arc<Session>,
        context: ShadowHandle,
        event: CuEvent,
        chunk: Chunk,
        target: Span,
    ) {
        let landings = &session.landings;
        let mut state = landings.lock();
        let number = state.next;
        state.next += 1;
        let place = chunk.place;
        state.entries.push_back(Landing {
            number,
            context,
            event,
            place,
            target,
        });
        if !state.has_thread && !state.is_closed {
            state.has_thread = true;
            let own = Arc::clone(session);
            session.spawn("landings", move || own.landings.run(&own));
        }
        drop(state);
        landings.changed.notify_all();
    }

    /// Puts every copy that the GPU has done, and returns when all of them have been put. Not to be
    /// called from the thread that receives.
    pub(crate) fn settle(&self, session: &Session) {
        let mut state = self.lock();
        let mut at = 0;
        while let Some(&entry) = state.entries.get(at) {
            match session.driver.query_event(entry.event) {
                Ok(Progress::Busy) => at += 1,
                done => {
                    state.entries.remove(at);
                    state = self.put(session, state, entry, done.is_ok());
                    // Others may have taken entries meanwhile.
                    at = 0;
                }
            }
        }
        while state.putting > 0 && !state.is_closed {
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Ends every wait.
    pub(crate) fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_all();
    }

    /// Pins the staging memory, so that copies into it are asynchronous.
    ///
    /// # Errors
    /// What the driver says.
    pub(crate) fn pin(&self, driver: &Driver) -> CuResult {
        let blocks = self.lock().blocks.clone();
        blocks.iter().try_for_each(|block| block.pin(driver))
    }

    /// Undoes [`Landings::pin`].
    pub(crate) fn unpin(&self, driver: &Driver) {
        let blocks = self.lock().blocks.clone();
        blocks.iter().for_each(|block| block.unpin(driver));
    }

    /// Stages in other memory, unless some of the present one is in use.
    pub(crate) fn replace(&self, memory: Mapping) {
        let mut state = self.lock();
        let is_unused = state
            .free
            .iter()
            .zip(CLASSES)
            .all(|(free, (_, count))| free.len() == count);
        if is_unused && state.blocks.len() == 1 && memory.len() == STAGING_LEN {
            state.blocks[0] = Arc::new(memory);
        }
    }

    fn run(&self, session: &Arc<Session>) {
        let mut seat = Seat::default();
        while let Some(entry) = self.watch() {
            let done = seat
                .enter(session, entry.context)
                .and_then(|_| session.driver.synchronize_event(entry.event));
            let mut state = self.lock();
            state.watched = None;
            let at = state
                .entries
                .iter()
                .position(|other| other.number == entry.number);
            match at.and_then(|at| state.entries.remove(at)) {
                Some(entry) => drop(self.put(session, state, entry, done.is_ok())),
                None => {
                    drop(state);
                    session.tables().give_event(entry.context, entry.event);
                }
            }
        }
    }

    fn watch(&self) -> Option<Landing> {
        let mut state = self.lock();
        loop {
            if state.is_closed {
                return None;
            }
            if let Some(&entry) = state.entries.front() {
                state.watched = Some(entry.number);
                return Some(entry);
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Puts one entry that is out of the list, unlocked meanwhile.
    fn put<'a>(
        &'a self,
        session: &Session,
        mut state: MutexGuard<'a, State>,
        entry: Landing,
        is_done: bool,
    ) -> MutexGuard<'a, State> {
        state.putting += 1;
        let staging = state.block(entry.place);
        let is_watched = state.watched == Some(entry.number);
        drop(state);
        if is_done {
            let len = usize::try_from(entry.target.len).unwrap_or(0);
            let bytes = staging.read(entry.place.offset, len).unwrap_or_default();
            if let Err(error) = session.link.put(entry.target, &bytes) {
                tracing::debug!("bytes for the client are lost: {error}");
            }
        }
        if !is_watched {
            session.tables().give_event(entry.context, entry.event);
        }
        let mut state = self.lock();
        state.putting -= 1;
        state.puts += 1;
        state.free[entry.place.class].push(entry.place);
        self.changed.notify_all();
        state
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// More memory: its chunks are free.
    fn add(&mut self, memory: Mapping) {
        let block = self.blocks.len();
        self.blocks.push(Arc::new(memory));
        let mut offset = 0;
        for (class, (len, count)) in CLASSES.into_iter().enumerate() {
            for _ in 0..count {
                self.free[class].push(Place {
                    block,
                    offset,
                    class,
                });
                offset += len;
            }
        }
    }

    fn block(&self, place: Place) -> Arc<Mapping> {
        Arc::clone(&self.blocks[place.block])
    }

    /// Whether no chunk for `len` bytes is free.
    fn lacks(&self, len: usize) -> bool {
        let fits = |&(chunk_len, _): &(usize, usize)| len <= chunk_len;
        let class = CLASSES.iter().position(fits);
        class.is_none_or(|class| self.free[class].is_empty())
    }

    fn pick(&mut self, len: usize) -> Option<Chunk> {
        let class = CLASSES
            .iter()
            .position(|&(chunk_len, _)| len <= chunk_len)?;
        let place = self.free[class].pop()?;
        let address = self.blocks[place.block].slice(place.offset, CLASSES[class].0)?;
        Some(Chunk { address, place })
    }
}

/// Length and number of the chunks: small copies are many, large ones overlap a few pieces.
const CLASSES: [(usize, usize); 2] = [(16 << 10, 512), (CHUNK_LEN, 24)];

/// Blocks of staging memory, 2 GiB together: above that a copy waits for others to end.
const BLOCKS_MAX: usize = 64;

/// How long none of the copies that fill all staging memory may end: longer than kernels take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Bytes of a block of staging memory.
pub(crate) const STAGING_LEN: usize = CLASSES[0].0 * CLASSES[0].1 + CLASSES[1].0 * CLASSES[1].1;
