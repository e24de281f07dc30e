//! Host functions of the client, and sources of copies that the client reads late: what a stream
//! of the driver calls here runs there.
//!
//! ```text
//!  driver's stream ─▶ hook ─▶ queue ─▶ thread: what landed before, then the call ─▶ client
//!                      ╰──── waits ◀── side lane: done │ main lane: the source's bytes ◀─╯
//! ```
//! The driver is given a *hook*: a C function and a number. A hook asks the driver nothing, for a
//! host function must not; a thread of the session puts what the stream has copied to the client
//! before, and sends the call behind it. What ends a hook's wait: the client's answer, the end of
//! its context, or the end of the session ([`HostFns::close`]).
//!
//! A client function has one hook for each place where the driver may call it: [`HostFns::hook`]
//! with `is_many` false for one call ever (a stream), true for a node of a graph, until
//! [`HostFns::end`].

use std::collections::{HashMap, VecDeque};
use std::ffi::c_void;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use flexdirect_transport::{Destination, Span};
use flexdirect_wire::abi::{self, CuHostFn, CuResult, CuStream, CuStreamCallback};
use flexdirect_wire::body::HostCall;
use flexdirect_wire::limits::HANDLES_MAX;
use flexdirect_wire::{CuError, ShadowHandle};

use crate::session::{Seat, Session};

/// The hooks of a session and the calls that are under way.
#[derive(Default)]
pub(crate) struct HostFns {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// By the number that the driver was given.
    hooks: HashMap<usize, Target>,
    /// Calls that the client has not been told.
    calls: VecDeque<(ShadowHandle, HostCall)>,
    /// Runs that have not ended.
    runs: HashMap<u64, Target>,
    last_run: u64,
    /// Memory for sources, by the client's number.
    sources: HashMap<u64, Source>,
    has_thread: bool,
    is_closed: bool,
}

/// What a hook stands for.
#[derive(Clone, Copy)]
struct Target {
    number: u64,
    context: ShadowHandle,
    is_many: bool,
}

/// Memory of this worker that the bytes of a source go to once the client was asked for them.
struct Source {
    address: *mut u8,
    len: u64,
    /// Bytes that have a destination, and those of them that are in.
    named: u64,
    landed: u64,
    run: Option<u64>,
}

// SAFETY: an address in staging memory, which belongs to no thread; only the transport writes
// there, by the rules of [`HostFns::destination`].
unsafe impl Send for Source {}

/// What the driver is given to call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hook {
    number: usize,
}

impl Hook {
    /// For `cuLaunchHostFunc` and host nodes.
    pub(crate) fn function() -> CuHostFn {
        CuHostFn(host_function as *const () as usize)
    }

    /// For `cuStreamAddCallback`.
    pub(crate) fn callback() -> CuStreamCallback {
        CuStreamCallback(stream_callback as *const () as usize)
    }

    /// The user data of both: a number and no address.
    pub(crate) fn data(self) -> *mut c_void {
        std::ptr::without_provenance_mut(self.number)
    }
}

impl fmt::Debug for HostFns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostFns")
            .field("hooks", &self.lock().hooks.len())
            .finish_non_exhaustive()
    }
}

impl HostFns {
    /// A hook for what the client has under `number`.
    ///
    /// # Errors
    /// `OUT_OF_MEMORY` with `HANDLES_MAX` of them; `DEVICE_UNAVAILABLE` when the session ends.
    pub(crate) fn hook(
        session: &Arc<Session>,
        context: ShadowHandle,
        number: u64,
        is_many: bool,
    ) -> Result<Hook, CuError> {
        static NEXT: AtomicUsize = AtomicUsize::new(1);
        let own = &session.hostfns;
        let mut state = own.lock();
        if state.is_closed {
            return Err(CuError::DEVICE_UNAVAILABLE);
        }
        if state.hooks.len() >= HANDLES_MAX {
            return Err(CuError::OUT_OF_MEMORY);
        }
        if !state.has_thread {
            state.has_thread = true;
            let taken = Arc::clone(session);
            session.spawn("host functions", move || taken.hostfns.run(&taken));
        }
        let hook = NEXT.fetch_add(1, Ordering::Relaxed);
        let target = Target {
            number,
            context,
            is_many,
        };
        state.hooks.insert(hook, target);
        drop(state);
        owners().insert(hook, Arc::downgrade(own));
        Ok(Hook { number: hook })
    }

    /// The driver has not taken a hook: it is not called.
    pub(crate) fn withdraw(&self, hook: Hook) {
        self.lock().hooks.remove(&hook.number);
        owners().remove(&hook.number);
    }

    /// Ends the hooks for any number of calls of what the client has under `number`.
    pub(crate) fn end(&self, number: u64) {
        self.remove(|target| target.is_many && target.number == number);
    }

    /// Ends all hooks of a context that is gone, and the waits of their runs.
    pub(crate) fn forget(&self, context: ShadowHandle) {
        self.remove(|target| target.context == context);
        let mut state = self.lock();
        state.runs.retain(|_, target| target.context != context);
        drop(state);
        self.changed.notify_all();
    }

    fn remove(&self, ends: impl Fn(&Target) -> bool) {
        let mut gone = Vec::new();
        self.lock().hooks.retain(|&hook, target| {
            let stays = !ends(target);
            if !stays {
                gone.push(hook);
            }
            stays
        });
        let mut owners = owners();
        for hook in gone {
            owners.remove(&hook);
        }
    }

    /// The client says that a run has ended. One that has not begun, or has ended, is no news.
    pub(crate) fn done(&self, run: u64) {
        self.lock().runs.remove(&run);
        self.changed.notify_all();
    }

    /// Names memory for a source of `len` bytes, which stays until [`HostFns::take_source`].
    ///
    /// # Errors
    /// `INVALID_VALUE` for a number that is in use, or that can be no region.
    pub(crate) fn add_source(&self, number: u64, address: *mut u8, len: u64) -> CuResult {
        let mut state = self.lock();
        if number == 0 || state.sources.contains_key(&number) {
            return Err(CuError::INVALID_VALUE);
        }
        let source = Source {
            address,
            len,
            named: 0,
            landed: 0,
            run: None,
        };
        state.sources.insert(number, source);
        Ok(())
    }

    /// The memory of a source is wanted for something else.
    pub(crate) fn take_source(&self, number: u64) {
        self.lock().sources.remove(&number);
    }

    /// Memory for bytes of a source: in order, once each, and only when they were asked for.
    pub(crate) fn destination(&self, span: Span) -> Option<Destination> {
        let mut state = self.lock();
        let source = state.sources.get_mut(&span.region)?;
        let fits = source.run.is_some()
            && span.len > 0
            && span.offset == source.named
            && span.len <= source.len - source.named;
        let (offset, len) = (
            usize::try_from(span.offset).ok()?,
            usize::try_from(span.len).ok()?,
        );
        if !fits {
            return None;
        }
        source.named += span.len;
        // SAFETY: the span lies inside the source's memory, which is staging memory of the session
        // and so stays mapped as long as the link's reader, which holds the session; the copy that
        // reads it is behind the hook, which waits for these bytes.
        Some(unsafe { Destination::new(source.address.add(offset), len) })
    }

    /// Bytes of a source are in; with the last of them its hook returns.
    pub(crate) fn landed(&self, span: Span) {
        let mut state = self.lock();
        let Some(source) = state.sources.get_mut(&span.region) else {
            return;
        };
        source.landed += span.len;
        if source.landed == source.len
            && let Some(run) = source.run
        {
            state.runs.remove(&run);
            self.changed.notify_all();
        }
    }

    /// Ends every wait: hooks return at once from now on.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        let hooks = std::mem::take(&mut state.hooks);
        drop(state);
        self.changed.notify_all();
        let mut owners = owners();
        for hook in hooks.keys() {
            owners.remove(hook);
        }
    }

    /// Has the client run what a hook stands for that the driver has not taken, and waits for
    /// nothing.
    pub(crate) fn tell(&self, hook: Hook, status: CuResult) {
        self.begin(&mut self.lock(), hook.number, status);
        owners().remove(&hook.number);
    }

    /// On the driver's thread: has the client run what the hook stands for, and waits until it has.
    fn call(&self, hook: usize, status: CuResult) {
        let mut state = self.lock();
        let Some((run, is_many)) = self.begin(&mut state, hook, status) else {
            return;
        };
        while !state.is_closed && state.runs.contains_key(&run) {
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        drop(state);
        if !is_many {
            owners().remove(&hook);
        }
    }

    /// Begins a run: its number, and whether there may be others.
    fn begin(&self, state: &mut State, hook: usize, status: CuResult) -> Option<(u64, bool)> {
        let &target = state.hooks.get(&hook)?;
        if !target.is_many {
            state.hooks.remove(&hook);
        }
        if state.is_closed {
            return None;
        }
        state.last_run += 1;
        let run = state.last_run;
        state.runs.insert(run, target);
        if let Some(source) = state.sources.get_mut(&target.number) {
            source.run = Some(run);
        }
        let call = HostCall {
            number: target.number,
            run,
            status: abi::code(status),
            reserved: 0,
        };
        state.calls.push_back((target.context, call));
        self.changed.notify_all();
        Some((run, target.is_many))
    }

    /// Tells the client of calls, each behind what its stream has copied to the client before.
    fn run(&self, session: &Arc<Session>) {
        let mut seat = Seat::default();
        while let Some((context, call)) = self.next() {
            if !session.landings.is_empty() && seat.enter(session, context).is_ok() {
                session.landings.settle(session);
            }
            session.outbox.append_call(&*session.link, &call);
            session.outbox.post(&*session.link);
        }
    }

    fn next(&self) -> Option<(ShadowHandle, HostCall)> {
        let mut state = self.lock();
        loop {
            if state.is_closed {
                return None;
            }
            if let Some(call) = state.calls.pop_front() {
                return Some(call);
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whose hook a number is. Weak, so that no thread of the driver is the last to let go of a
/// session, which it could not clean up.
fn owners() -> MutexGuard<'static, HashMap<usize, Weak<HostFns>>> {
    static OWNERS: OnceLock<Mutex<HashMap<usize, Weak<HostFns>>>> = OnceLock::new();
    OWNERS
        .get_or_init(Mutex::default)
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
}

fn called(data: *mut c_void, status: CuResult) {
    let hook = data.addr();
    let owner = owners().get(&hook).and_then(Weak::upgrade);
    if let Some(owner) = owner {
        owner.call(hook, status);
    }
}

/// What the driver calls as a `CUhostFn`.
extern "C" fn host_function(data: *mut c_void) {
    called(data, Ok(()));
}

/// What the driver calls as a `CUstreamCallback`.
extern "C" fn stream_callback(_: CuStream, status: CuResult, data: *mut c_void) {
    called(data, status);
}
