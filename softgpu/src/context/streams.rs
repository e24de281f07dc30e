//! A context's streams: which there are, what comes before what, and waiting for them.

use std::sync::{Arc, MutexGuard};
use std::time::Instant;

use flexdirect_wire::abi::{CuError, CuResult, CuStream};

use super::{Context, next_id};
use crate::capture;
use crate::event::Moment;
use crate::mempool;
use crate::raw::lock;
use crate::stream::{Kind, Stream, Wait, Work};

#[derive(Debug, Default)]
pub(super) struct Streams {
    pub(super) legacy: Option<Arc<Stream>>,
    pub(super) others: Vec<Arc<Stream>>,
    /// Where work is put that comes after that of all streams; not one of them.
    after_all: Option<Arc<Stream>>,
    /// What every new job waits for.
    held_back: Vec<Arc<Moment>>,
}

impl Context {
    /// The legacy default stream.
    pub(crate) fn legacy(self: &Arc<Self>) -> Arc<Stream> {
        let mut streams = lock(&self.streams);
        let legacy = streams.legacy.get_or_insert_with(|| {
            let context = Arc::downgrade(self);
            let legacy = Stream::new(CuStream::LEGACY, next_id(), Kind::Legacy, 0, context);
            Arc::new(legacy)
        });
        Arc::clone(legacy)
    }

    /// The calling thread's default stream.
    pub(crate) fn per_thread(self: &Arc<Self>) -> Arc<Stream> {
        crate::thread::with_streams(|own| {
            own.retain(|stream| !stream.is_over());
            let found = own.iter().find(|stream| self.owns(stream));
            if let Some(stream) = found {
                return Arc::clone(stream);
            }
            let context = Arc::downgrade(self);
            let id = next_id();
            let stream = Stream::new(CuStream::PER_THREAD, id, Kind::Blocking, 0, context);
            let stream = Arc::new(stream);
            own.push(Arc::clone(&stream));
            self.adopt(Arc::clone(&stream));
            stream
        })
    }

    /// Takes a new stream into the list.
    pub(crate) fn adopt(&self, stream: Arc<Stream>) {
        let mut streams = lock(&self.streams);
        streams.others.retain(|stream| !stream.is_over());
        streams.others.push(stream);
    }

    /// Submits a job and returns, at once unless the stream's queue is full.
    ///
    /// # Errors
    /// Those of [`Stream::push`].
    pub(crate) fn submit(&self, stream: &Arc<Stream>, wait: Option<Wait>, work: Work) -> CuResult {
        self.submit_made(stream, wait, || Ok(work))
    }

    /// Submits a job that is made as by [`Stream::push_made`].
    ///
    /// # Errors
    /// Those of [`Stream::push_made`].
    pub(crate) fn submit_made(
        &self,
        stream: &Arc<Stream>,
        wait: Option<Wait>,
        make: impl FnOnce() -> Result<Work, CuError>,
    ) -> CuResult {
        capture::refuse(self, stream)?;
        stream.wait_for_room();
        let mut streams = lock(&self.streams);
        let waits = streams.waits(stream, wait);
        stream.push_made(waits, make).map(drop)
    }

    /// Submits a job that comes after all work of now, of every stream.
    ///
    /// # Errors
    /// Those of [`Stream::push`].
    pub(crate) fn submit_after_all(self: &Arc<Self>, work: Work) -> CuResult {
        let mut streams = lock(&self.streams);
        let stream = streams.after_all.get_or_insert_with(|| {
            let context = Arc::downgrade(self);
            let handle = CuStream::LEGACY;
            Arc::new(Stream::new(
                handle,
                next_id(),
                Kind::NonBlocking,
                0,
                context,
            ))
        });
        let stream = Arc::clone(stream);
        let all = streams.legacy.iter().chain(&streams.others);
        let waits = all.filter_map(pending).collect();
        stream.push(waits, work).map(drop)
    }

    /// Has all work that is submitted from now on wait for a moment.
    pub(crate) fn hold_back(&self, moment: Arc<Moment>) {
        lock(&self.streams).held_back.push(moment);
    }

    /// Ends its streams once they have done what they have.
    pub(super) fn close_streams(&self) {
        let streams = std::mem::take(&mut *lock(&self.streams));
        let all = streams.legacy.iter().chain(&streams.others);
        for stream in all.chain(&streams.after_all) {
            stream.close();
        }
    }

    /// Submits a job and waits for it.
    ///
    /// # Errors
    /// Those of [`Stream::push`], and the fault that poisons the context by then.
    pub(crate) fn submit_and_wait(&self, stream: &Arc<Stream>, work: Work) -> CuResult {
        capture::refuse(self, stream)?;
        let mut streams: MutexGuard<'_, Streams> = lock(&self.streams);
        let waits = streams.waits(stream, None);
        let claimed = waits.is_empty().then(|| stream.claim()).flatten();
        if claimed.is_some() {
            drop(streams);
            stream.execute_claimed(work);
        } else {
            let number = stream.push(waits, work)?;
            drop(streams);
            stream.wait(number);
        }
        self.flush_prints();
        self.fault()
    }

    /// Whether a stream has nothing left to do, nor what it synchronises with if it is the legacy
    /// stream.
    pub(crate) fn is_idle(&self, stream: &Arc<Stream>) -> bool {
        let mut streams = lock(&self.streams);
        stream.last().1 && (stream.kind != Kind::Legacy || streams.waits(stream, None).is_empty())
    }

    /// Waits for a stream.
    ///
    /// # Errors
    /// The fault that poisons the context by then.
    pub(crate) fn synchronize_stream(&self, stream: &Arc<Stream>) -> CuResult {
        capture::refuse(self, stream)?;
        if !self.is_idle(stream) {
            if stream.kind == Kind::Legacy {
                return self.submit_and_wait(stream, Work::Nothing);
            }
            stream.wait(stream.last().0);
        }
        mempool::after_wait(self.device().ordinal);
        self.flush_prints();
        self.fault()
    }

    /// Waits for all work.
    ///
    /// # Errors
    /// The fault that poisons the context by then.
    pub(crate) fn synchronize(&self) -> CuResult {
        capture::refuse_context(self)?;
        self.drain();
        mempool::after_wait(self.device().ordinal);
        self.flush_prints();
        self.fault()
    }

    /// Waits for all work, good or bad, but no longer than that; whether all is done.
    pub(crate) fn drain_until(&self, deadline: Instant) -> bool {
        let mut last = self.last_jobs().into_iter();
        last.all(|(stream, number)| stream.wait_until(number, deadline))
    }

    /// Waits for all work, good or bad.
    pub(crate) fn drain(&self) {
        for (stream, number) in self.last_jobs() {
            stream.wait(number);
        }
    }

    fn last_jobs(&self) -> Vec<(Arc<Stream>, u64)> {
        let streams = lock(&self.streams);
        let all = streams.legacy.iter().chain(&streams.others);
        all.chain(&streams.after_all)
            .map(|stream| (Arc::clone(stream), stream.last().0))
            .collect()
    }
}

impl Streams {
    /// What a new job of a stream waits for, by the rules of the legacy default stream.
    fn waits(&mut self, stream: &Arc<Stream>, extra: Option<Wait>) -> Vec<Wait> {
        let mut waits: Vec<Wait> = match stream.kind {
            Kind::NonBlocking => Vec::new(),
            Kind::Blocking => self.legacy.as_ref().and_then(pending).into_iter().collect(),
            Kind::Legacy => self
                .others
                .iter()
                .filter(|other| other.kind == Kind::Blocking)
                .filter_map(pending)
                .collect(),
        };
        waits.extend(extra);
        self.held_back.retain(|moment| moment.reached().is_none());
        waits.extend(self.held_back.iter().cloned().map(Wait::Moment));
        waits.retain(|wait| !wait.is_over());
        waits
    }
}

/// The wait for a stream's last job, unless that is done.
fn pending(stream: &Arc<Stream>) -> Option<Wait> {
    let (number, done) = stream.last();
    (!done).then(|| Wait::Job(Arc::clone(stream), number))
}
