//! Stream capture: streams whose work goes into a graph instead of being done, and what may not
//! happen meanwhile (CUDA Driver API, cuStreamBeginCapture; cuThreadExchangeStreamCaptureMode).
//!
//! A capture has a branch for each stream in it: the nodes that the stream's next node comes
//! after. Events recorded in it carry such nodes from stream to stream. What it cannot take makes
//! it invalid, and the one who ends it is told.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};

use flexdirect_wire::abi::{CuError, CuGraphEdgeData, CuGraphNode, CuResult};

use crate::context::{Context, next_id};
use crate::event::Event;
use crate::graph::{About, Action, Graph};
use crate::raw::lock;
use crate::stream::{Kind, Stream};

/// A capture in progress, or one that an event still refers to.
#[derive(Debug)]
pub(crate) struct Capture {
    /// Number, unique in the process.
    pub(crate) id: u64,
    /// What it fills.
    pub(crate) graph: Arc<Graph>,
    mode: u32,
    thread: ThreadId,
    /// Number of the stream in which it began and must end.
    origin: u64,
    /// Whether the application made the graph.
    is_given: bool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    is_invalid: bool,
    is_over: bool,
    branches: Vec<Branch>,
}

#[derive(Debug)]
struct Branch {
    stream: Arc<Stream>,
    after: Vec<CuGraphNode>,
    /// What a query was given: valid until the next call for the stream.
    told: Vec<CuGraphNode>,
}

/// CUstreamCaptureMode.
const GLOBAL: u32 = 0;
const RELAXED: u32 = 2;

static CAPTURES: Mutex<Vec<Arc<Capture>>> = Mutex::new(Vec::new());
/// How many those are: without any, nothing here costs anything.
static ACTIVE: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static MODE: Cell<u32> = const { Cell::new(GLOBAL) };
}

/// Replaces the calling thread's mode.
///
/// # Errors
/// INVALID_VALUE for none of the modes.
pub(crate) fn exchange_mode(mode: u32) -> Result<u32, CuError> {
    if mode > RELAXED {
        return Err(CuError::INVALID_VALUE);
    }
    Ok(MODE.replace(mode))
}

fn all() -> Vec<Arc<Capture>> {
    if ACTIVE.load(Ordering::Relaxed) == 0 {
        return Vec::new();
    }
    lock(&CAPTURES).clone()
}

/// The capture that a stream is in.
pub(crate) fn of(stream: &Stream) -> Option<Arc<Capture>> {
    all().into_iter().find(|capture| capture.has(stream))
}

/// Gives what a stream is to do to the capture that it is in; false if it is in none.
///
/// # Errors
/// Those of the action and of [`Capture::add`].
pub(crate) fn take(
    stream: &Arc<Stream>,
    make: impl FnOnce() -> Result<Action, CuError>,
) -> Result<bool, CuError> {
    let Some(capture) = of(stream) else {
        return Ok(false);
    };
    drop(capture.valid()?);
    capture.add(stream, make()?)?;
    Ok(true)
}

/// A record of an event in a captured stream: the nodes that whoever waits for it comes after.
#[derive(Clone, Debug)]
pub(crate) struct Captured {
    /// Where it was recorded.
    pub(crate) capture: Arc<Capture>,
    after: Vec<CuGraphNode>,
}

/// Records an event in a stream if that is captured; false if it is not.
///
/// # Errors
/// STREAM_CAPTURE_INVALIDATED.
pub(crate) fn record(
    stream: &Arc<Stream>,
    event: &Arc<Event>,
    is_node: bool,
) -> Result<bool, CuError> {
    let Some(capture) = of(stream) else {
        return Ok(false);
    };
    if is_node {
        let action = Action::of_graph(About::Record(Arc::clone(event)));
        capture.add(stream, action)?;
        return Ok(true);
    }
    let after = capture.after(stream)?;
    event.set_captured(Captured { capture, after });
    Ok(true)
}

/// Has a stream wait for an event if either is in a capture; false if neither is.
///
/// # Errors
/// STREAM_CAPTURE_INVALIDATED; STREAM_CAPTURE_MERGE between two captures, STREAM_CAPTURE_ISOLATION
/// for an event outside of the stream's, STREAM_CAPTURE_UNSUPPORTED for the legacy stream, all of
/// which make captures invalid; CAPTURED_EVENT for an event of a capture that is over.
pub(crate) fn wait(
    stream: &Arc<Stream>,
    event: &Arc<Event>,
    is_node: bool,
) -> Result<bool, CuError> {
    let own = of(stream);
    let fail = |captures: &[&Arc<Capture>], error| {
        captures.iter().for_each(|capture| capture.invalidate());
        Err(error)
    };
    if let (Some(own), true) = (&own, is_node) {
        own.add(stream, Action::of_graph(About::Wait(Arc::clone(event))))?;
        return Ok(true);
    }
    match (own, event.captured()) {
        (None, None) => Ok(false),
        (Some(own), None) if event.latest().is_some() => {
            fail(&[&own], CuError::STREAM_CAPTURE_ISOLATION)
        }
        // An event that was never recorded holds nothing up.
        (Some(_), None) => Ok(true),
        (own, Some(Captured { capture, .. })) if !capture.is_active() => {
            fail(own.as_ref().as_slice(), CuError::CAPTURED_EVENT)
        }
        (Some(own), Some(Captured { capture, .. })) if own.id != capture.id => {
            fail(&[&own, &capture], CuError::STREAM_CAPTURE_MERGE)
        }
        (_, Some(Captured { capture, .. })) if stream.kind == Kind::Legacy => {
            fail(&[&capture], CuError::STREAM_CAPTURE_UNSUPPORTED)
        }
        (_, Some(Captured { capture, after })) => {
            capture.depend(stream, &after, false)?;
            Ok(true)
        }
    }
}

/// Refuses what asks for the progress of an event that was recorded in a captured stream.
///
/// # Errors
/// CAPTURED_EVENT; the capture is invalid then.
pub(crate) fn refuse_event(event: &Event) -> CuResult {
    let Some(captured) = event.captured() else {
        return Ok(());
    };
    captured.capture.invalidate();
    Err(CuError::CAPTURED_EVENT)
}

/// Whether something may be done in a stream, or asked of it, at once: not in a captured one, and
/// not in the legacy stream while one is captured that waits for it.
///
/// # Errors
/// STREAM_CAPTURE_UNSUPPORTED, STREAM_CAPTURE_IMPLICIT; the capture is invalid then.
pub(crate) fn refuse(context: &Context, stream: &Stream) -> CuResult {
    for capture in all() {
        if capture.has(stream) {
            capture.invalidate();
            return Err(CuError::STREAM_CAPTURE_UNSUPPORTED);
        }
        if stream.kind == Kind::Legacy && capture.has_blocking(context) {
            capture.invalidate();
            return Err(CuError::STREAM_CAPTURE_IMPLICIT);
        }
    }
    Ok(())
}

/// The error of a query about the legacy stream, which harms nothing.
///
/// # Errors
/// STREAM_CAPTURE_IMPLICIT while a stream is captured that waits for it.
pub(crate) fn refuse_query(context: &Context, stream: &Stream) -> CuResult {
    let is_implicit = |capture: &Arc<Capture>| capture.has_blocking(context);
    if stream.kind == Kind::Legacy && all().iter().any(is_implicit) {
        return Err(CuError::STREAM_CAPTURE_IMPLICIT);
    }
    Ok(())
}

/// Whether all work of a context may be waited for.
///
/// # Errors
/// STREAM_CAPTURE_UNSUPPORTED while a stream of it is captured, which is invalid then.
pub(crate) fn refuse_context(context: &Context) -> CuResult {
    let mut result = Ok(());
    let captures = all().into_iter();
    for capture in captures.filter(|capture| capture.is_in(context, |_| true)) {
        capture.invalidate();
        result = Err(CuError::STREAM_CAPTURE_UNSUPPORTED);
    }
    result
}

/// Whether the calling thread may do what could disturb a capture, such as allocating.
///
/// # Errors
/// STREAM_CAPTURE_UNSUPPORTED by the modes of the thread and of the captures, which are invalid
/// then.
pub(crate) fn refuse_unsafe() -> CuResult {
    let (mode, me) = (MODE.get(), thread::current().id());
    let captures = all().into_iter();
    let disturbed = |capture: &Arc<Capture>| {
        (capture.thread == me && capture.mode != RELAXED)
            || (mode == GLOBAL && capture.mode == GLOBAL)
    };
    let disturbed: Vec<_> = captures.filter(disturbed).collect();
    if mode == RELAXED || disturbed.is_empty() {
        return Ok(());
    }
    for capture in disturbed {
        capture.invalidate();
    }
    Err(CuError::STREAM_CAPTURE_UNSUPPORTED)
}

/// Begins a capture into a new graph or a given one.
///
/// # Errors
/// INVALID_VALUE for a mode that is none, STREAM_CAPTURE_UNSUPPORTED for the legacy stream,
/// ILLEGAL_STATE for a stream that is captured.
pub(crate) fn begin(
    stream: &Arc<Stream>,
    mode: u32,
    given: Option<(Arc<Graph>, Vec<CuGraphNode>)>,
) -> CuResult {
    if mode > RELAXED {
        return Err(CuError::INVALID_VALUE);
    }
    if stream.kind == Kind::Legacy {
        return Err(CuError::STREAM_CAPTURE_UNSUPPORTED);
    }
    let mut captures = lock(&CAPTURES);
    if captures.iter().any(|capture| capture.has(stream)) {
        return Err(CuError::ILLEGAL_STATE);
    }
    let is_given = given.is_some();
    let (graph, after) = given.unwrap_or_else(|| (Graph::new(false), Vec::new()));
    let branch = Branch::new(stream, after);
    captures.push(Arc::new(Capture {
        id: next_id(),
        graph,
        mode,
        thread: thread::current().id(),
        origin: stream.id,
        is_given,
        state: Mutex::new(State {
            branches: vec![branch],
            ..State::default()
        }),
    }));
    ACTIVE.store(captures.len(), Ordering::Relaxed);
    Ok(())
}

/// Ends the capture that began in a stream: its graph.
///
/// # Errors
/// ILLEGAL_STATE without a capture, STREAM_CAPTURE_UNMATCHED in another stream of it,
/// STREAM_CAPTURE_WRONG_THREAD, STREAM_CAPTURE_INVALIDATED, STREAM_CAPTURE_UNJOINED.
pub(crate) fn end(stream: &Stream) -> Result<Arc<Graph>, CuError> {
    let capture = of(stream).ok_or(CuError::ILLEGAL_STATE)?;
    if capture.origin != stream.id {
        capture.invalidate();
        return Err(CuError::STREAM_CAPTURE_UNMATCHED);
    }
    if capture.mode != RELAXED && capture.thread != thread::current().id() {
        return Err(CuError::STREAM_CAPTURE_WRONG_THREAD);
    }
    capture.finish()?;
    Ok(Arc::clone(&capture.graph))
}

/// A stream is destroyed: a capture that began in it cannot be ended any more.
pub(crate) fn stream_destroyed(stream: &Stream) {
    for capture in all().iter().filter(|capture| capture.origin == stream.id) {
        capture.invalidate();
        // That it is invalid is known.
        let _ = capture.finish();
    }
}

/// A context ends: so do the captures in it.
pub(crate) fn context_ended(context: &Context) {
    let captures = all().into_iter();
    for capture in captures.filter(|capture| capture.is_in(context, |_| true)) {
        capture.invalidate();
        let _ = capture.finish();
    }
}

impl Capture {
    /// Whether it is in progress.
    pub(crate) fn is_active(&self) -> bool {
        !lock(&self.state).is_over
    }

    /// Whether something made it invalid.
    pub(crate) fn is_invalid(&self) -> bool {
        lock(&self.state).is_invalid
    }

    /// Makes it invalid.
    pub(crate) fn invalidate(&self) {
        lock(&self.state).is_invalid = true;
    }

    /// Adds what a stream of it does.
    ///
    /// # Errors
    /// STREAM_CAPTURE_INVALIDATED; those of the graph.
    pub(crate) fn add(&self, stream: &Arc<Stream>, action: Action) -> CuResult {
        let mut state = self.valid()?;
        let branch = state.branch(stream);
        let plain = |node: &CuGraphNode| (*node, CuGraphEdgeData::default());
        let after: Vec<_> = branch.after.iter().map(plain).collect();
        let node = self.graph.add(&after, action, CuGraphNode(0))?;
        branch.after = vec![node.handle];
        Ok(())
    }

    /// What the next node of a stream comes after.
    ///
    /// # Errors
    /// STREAM_CAPTURE_INVALIDATED.
    pub(crate) fn after(&self, stream: &Arc<Stream>) -> Result<Vec<CuGraphNode>, CuError> {
        Ok(self.valid()?.branch(stream).after.clone())
    }

    /// Lets the next node of a stream come after these, too, or after these only; a stream that is
    /// not in it joins.
    ///
    /// # Errors
    /// STREAM_CAPTURE_INVALIDATED.
    pub(crate) fn depend(
        &self,
        stream: &Arc<Stream>,
        nodes: &[CuGraphNode],
        only: bool,
    ) -> CuResult {
        let mut state = self.valid()?;
        let branch = state.branch(stream);
        if only {
            branch.after.clear();
        }
        for node in nodes {
            if !branch.after.contains(node) {
                branch.after.push(*node);
            }
        }
        Ok(())
    }

    /// As [`Capture::after`], in memory that stays for the caller's caller.
    pub(crate) fn tell(&self, stream: &Arc<Stream>) -> (*const CuGraphNode, usize) {
        let mut state = lock(&self.state);
        let branch = state.branch(stream);
        branch.told.clone_from(&branch.after);
        (branch.told.as_ptr(), branch.told.len())
    }

    fn valid(&self) -> Result<std::sync::MutexGuard<'_, State>, CuError> {
        let state = lock(&self.state);
        if state.is_invalid || state.is_over {
            return Err(CuError::STREAM_CAPTURE_INVALIDATED);
        }
        Ok(state)
    }

    /// Takes it out of the list.
    fn finish(&self) -> CuResult {
        let mut captures = lock(&CAPTURES);
        captures.retain(|other| other.id != self.id);
        ACTIVE.store(captures.len(), Ordering::Relaxed);
        drop(captures);
        let mut state = lock(&self.state);
        state.is_over = true;
        let branches = std::mem::take(&mut state.branches);
        let is_invalid = state.is_invalid;
        drop(state);
        let own = |branch: &&Branch| branch.stream.id == self.origin;
        let last = branches.iter().find(own).map(|branch| branch.after.clone());
        let last = last.unwrap_or_default();
        let is_joined = |branch: &Branch| self.graph.all_before(&branch.after, &last);
        let result = if is_invalid {
            Err(CuError::STREAM_CAPTURE_INVALIDATED)
        } else if branches.iter().all(is_joined) {
            Ok(())
        } else {
            Err(CuError::STREAM_CAPTURE_UNJOINED)
        };
        if result.is_err() && !self.is_given {
            self.graph.destroy();
        }
        result
    }

    fn has(&self, stream: &Stream) -> bool {
        let state = lock(&self.state);
        state
            .branches
            .iter()
            .any(|branch| branch.stream.id == stream.id)
    }

    fn has_blocking(&self, context: &Context) -> bool {
        self.is_in(context, |stream| stream.kind == Kind::Blocking)
    }

    fn is_in(&self, context: &Context, wanted: impl Fn(&Stream) -> bool) -> bool {
        let state = lock(&self.state);
        state.branches.iter().any(|branch| {
            let owner = branch.stream.context.upgrade();
            owner.is_some_and(|owner| owner.id == context.id) && wanted(&branch.stream)
        })
    }
}

impl State {
    /// A stream's branch, new if it joins.
    fn branch(&mut self, stream: &Arc<Stream>) -> &mut Branch {
        let found = self
            .branches
            .iter()
            .position(|own| own.stream.id == stream.id);
        let index = found.unwrap_or_else(|| {
            self.branches.push(Branch::new(stream, Vec::new()));
            self.branches.len() - 1
        });
        &mut self.branches[index]
    }
}

impl Branch {
    fn new(stream: &Arc<Stream>, after: Vec<CuGraphNode>) -> Self {
        Self {
            stream: Arc::clone(stream),
            after,
            told: Vec::new(),
        }
    }
}
