//! Contexts: what owns streams, memory and modules, and what a fault poisons; and each thread's
//! stack of them.
//!
//! A device's primary context exists from cuInit on, so that its handle is known and can be made
//! current before it is retained, as NVIDIA's runtime does; only while retained can it be used.

mod streams;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use flexdirect_driver_abi::tables;
use flexdirect_wire::abi::{CuContext, CuError, CuResult, CuStream};

use crate::bell::{Bell, Bells};
use crate::capture;
use crate::device::Device;
use crate::driver::{self, CONTEXTS, EVENTS, LIBRARIES, MODULES, STREAMS};
use crate::exec::Memory;
use crate::heap::DeviceHeap;
use crate::raw::{self, lock};
use crate::stream::Stream;
use crate::{export, graph, managed, mempool, module, texture, windows};

use streams::Streams;

/// A context.
#[derive(Debug)]
pub(crate) struct Context {
    /// The application's name for it.
    pub(crate) handle: CuContext,
    /// Number, unique in the process and never used again.
    pub(crate) id: u64,
    /// Whether it is its device's primary context.
    pub(crate) is_primary: bool,
    device: usize,
    life: Mutex<Life>,
    /// Its end is over: see [`Ending`].
    ended: Condvar,
    /// The `CUresult` that poisons it, or 0.
    fault: AtomicU32,
    /// Its streams that may have work. Held while a job is submitted: see [`Stream::push`].
    streams: Mutex<Streams>,
    /// Set while it ends: kernels stop, for nobody will see what they do.
    pub(crate) cancel: AtomicBool,
    /// Rung when that is set.
    cancelled: Bells,
    /// What its kernels printed and nobody has waited for yet.
    printed: Mutex<Vec<u8>>,
    /// Limits, of which launches take some, and cache configurations, which are only read again.
    pub(crate) settings: Mutex<Settings>,
    /// Numbers of the contexts whose devices' memory its kernels reach.
    pub(crate) peers: Mutex<BTreeSet<u64>>,
    /// Memory of device-side `malloc`.
    pub(crate) heap: DeviceHeap,
}

#[derive(Debug)]
struct Life {
    /// Retains of a primary context; 1 for another until it is destroyed.
    retained: u32,
    flags: u32,
    /// The thread that clears it just now.
    ending: Option<ThreadId>,
}

/// What can be set and only read again.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// By CUlimit number.
    pub(crate) limits: [usize; 7],
    /// CUfunc_cache.
    pub(crate) cache: u32,
    /// CUsharedconfig.
    pub(crate) shared: u32,
}

impl Context {
    /// A new context in the table; not yet retained if it is a primary one.
    pub(crate) fn new(device: usize, is_primary: bool, flags: u32) -> Arc<Self> {
        let life = Life {
            retained: u32::from(!is_primary),
            flags,
            ending: None,
        };
        CONTEXTS.insert(|handle| Self {
            handle: CuContext(handle),
            id: next_id(),
            is_primary,
            device,
            life: Mutex::new(life),
            ended: Condvar::new(),
            fault: AtomicU32::new(0),
            streams: Mutex::default(),
            cancel: AtomicBool::new(false),
            cancelled: Bells::default(),
            printed: Mutex::default(),
            settings: Mutex::new(Settings::default()),
            peers: Mutex::default(),
            heap: DeviceHeap::default(),
        })
    }

    /// Its device.
    pub(crate) fn device(&self) -> &'static Device {
        &driver::devices()[self.device]
    }

    /// What its kernels reach: its device's arena and the windows that are open by now.
    pub(crate) fn memory(&self) -> Memory {
        let device = self.device();
        let peers: Vec<u64> = lock(&self.peers).iter().copied().collect();
        let peers = peers.into_iter().filter_map(driver::context);
        let peers = peers.fold(0, |all, peer| all | windows::bit(peer.device));
        let windows = windows::snapshot(device.ordinal, peers);
        device.arena.memory().with_windows(windows)
    }

    /// Its flags.
    pub(crate) fn flags(&self) -> u32 {
        lock(&self.life).flags
    }

    /// Sets its flags.
    pub(crate) fn set_flags(&self, flags: u32) {
        lock(&self.life).flags = flags;
    }

    /// Whether it is retained, or not yet destroyed.
    pub(crate) fn is_active(&self) -> bool {
        lock(&self.life).retained > 0
    }

    /// Retains a primary context; while another thread clears it, this waits, lest what is made in
    /// it now be cleared, too.
    pub(crate) fn retain(&self) {
        let mut life = self.settled();
        life.retained = life.retained.saturating_add(1);
    }

    /// Releases a primary context; the last release ends what it holds.
    ///
    /// # Errors
    /// INVALID_CONTEXT if it was not retained.
    pub(crate) fn release(self: &Arc<Self>) -> CuResult {
        let mut life = self.settled();
        let retained = life.retained.checked_sub(1);
        life.retained = retained.ok_or(CuError::INVALID_CONTEXT)?;
        if life.retained == 0 {
            // A runtime releases at exit: a kernel without end must not keep the process.
            self.end(life, Duration::ZERO);
        }
        Ok(())
    }

    /// Resets a primary context: everything in it goes, its retains stay.
    pub(crate) fn reset(self: &Arc<Self>) {
        self.end(self.settled(), GRACE);
    }

    /// Ends a context that was created, after its work if that ends soon; its handle is dead.
    ///
    /// # Errors
    /// INVALID_CONTEXT if it was destroyed meanwhile.
    pub(crate) fn destroy(self: &Arc<Self>) -> CuResult {
        let mut life = self.settled();
        if life.retained == 0 {
            return Err(CuError::INVALID_CONTEXT);
        }
        life.retained = 0;
        self.end(life, GRACE);
        CONTEXTS.remove(self.handle.0);
        Ok(())
    }

    /// Undoes a [`Context::retain`] or the creation; the last one ends it.
    ///
    /// # Errors
    /// INVALID_CONTEXT if it was destroyed meanwhile.
    pub(crate) fn detach(self: &Arc<Self>) -> CuResult {
        if self.is_primary {
            return self.release();
        }
        let mut life = self.settled();
        if life.retained <= 1 {
            drop(life);
            return self.destroy();
        }
        life.retained -= 1;
        Ok(())
    }

    /// Its life, when no other thread clears it.
    fn settled(&self) -> MutexGuard<'_, Life> {
        let me = thread::current().id();
        let mut life = lock(&self.life);
        // What clears it may call back: a runtime's destructors run in the thread that ends it.
        while life.ending.is_some_and(|other| other != me) {
            let woken = self.ended.wait(life);
            life = woken.unwrap_or_else(PoisonError::into_inner);
        }
        life
    }

    /// Whether it is being cleared: what its streams wait for in vain is not waited for.
    pub(crate) fn is_ending(&self) -> bool {
        lock(&self.life).ending.is_some()
    }

    fn end(self: &Arc<Self>, mut life: MutexGuard<'_, Life>, grace: Duration) {
        let outer = life.ending.replace(thread::current().id());
        drop(life);
        let _ending = Ending(self, outer);
        // What its work prints is still told; a kernel without end must not keep the caller.
        if !self.drain_until(Instant::now() + grace) {
            self.cancel();
        }
        self.clear(grace);
        self.cancel.store(false, Ordering::Relaxed);
    }

    /// Ends what its kernels do and its streams wait for.
    fn cancel(&self) {
        self.cancel.store(true, Ordering::SeqCst);
        self.cancelled.ring();
    }

    /// Whether nobody will see what is done in it from now on.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancel.load(Ordering::SeqCst)
    }

    /// Has a bell ring when it is cancelled, or gone.
    pub(crate) fn hang(&self, bell: &Arc<Bell>) {
        self.cancelled.hang(bell);
    }

    /// Waits for other contexts' work that may use memory which is the application's again when
    /// this one has ended. `grace` is how long this one's own work had.
    fn drain_others(&self, grace: Duration) {
        for other in driver::contexts() {
            if other.id == self.id || other.drain_until(Instant::now() + GRACE) {
                continue;
            }
            if grace.is_zero() {
                // At exit nobody may be there to end it. Only then: it is good work.
                other.stop();
            } else {
                other.drain();
            }
        }
    }

    /// Ends its work, and nothing else of it, unless another thread ends all of it.
    fn stop(&self) {
        let mut life = lock(&self.life);
        if life.ending.is_some() {
            return;
        }
        life.ending = Some(thread::current().id());
        drop(life);
        let _ending = Ending(self, None);
        self.cancel();
        self.drain();
        self.cancel.store(false, Ordering::Relaxed);
    }

    /// Ends everything in it.
    fn clear(self: &Arc<Self>, grace: Duration) {
        capture::context_ended(self);
        self.drain();
        self.flush_prints();
        for stream in STREAMS.filter(|stream| self.owns(stream)) {
            STREAMS.remove(stream.handle.0);
        }
        self.close_streams();
        for event in EVENTS.filter(|event| event.context == self.id) {
            EVENTS.remove(event.handle.0);
        }
        for library in LIBRARIES.filter(|_| true) {
            library.forget_context(self.id);
        }
        for module in MODULES.filter(|module| module.context == self.id) {
            module::unload(&module);
        }
        self.heap.forget();
        texture::forget_context(self.id);
        mempool::forget_context(self.id);
        graph::memory::forget_context(self.id);
        managed::forget_context(self.id);
        self.device().arena.free_context(self.id);
        if driver::pinned().free_context(self.id) {
            self.drain_others(grace);
        }
        tables::context_destroyed(self.handle.0);
        lock(&self.peers).clear();
        *lock(&self.settings) = Settings::default();
        self.fault.store(0, Ordering::Relaxed);
    }

    fn owns(&self, stream: &Stream) -> bool {
        let context = stream.context.upgrade();
        context.is_some_and(|context| context.id == self.id)
    }

    /// Whether it can be used.
    ///
    /// # Errors
    /// CONTEXT_IS_DESTROYED, or the fault that poisons it.
    pub(crate) fn check(&self) -> CuResult {
        if !self.is_active() {
            return Err(CuError::CONTEXT_IS_DESTROYED);
        }
        self.fault()
    }

    /// The fault that poisons it, as an error.
    pub(crate) fn fault(&self) -> CuResult {
        CuError::check(self.fault.load(Ordering::Relaxed))
    }

    /// Poisons it: every later call that uses it fails with this. The first fault stays.
    pub(crate) fn poison(&self, fault: CuError) {
        let (before, now) = (0, fault.code());
        let relaxed = Ordering::Relaxed;
        let _ = self.fault.compare_exchange(before, now, relaxed, relaxed);
    }

    /// Keeps what a kernel printed until somebody waits for it.
    pub(crate) fn print(&self, text: &[u8]) {
        let most = self.printed_len_max();
        let mut printed = lock(&self.printed);
        printed.extend_from_slice(text);
        // A ring: what is oldest is lost (CUDA C++ Programming Guide, "Formatted Output").
        // Not at every call, lest each of them move all that is kept.
        if printed.len() / 2 > most {
            let excess = printed.len() - most;
            printed.drain(..excess);
        }
    }

    /// Writes what its kernels have printed.
    pub(crate) fn flush_prints(&self) {
        let printed = std::mem::take(&mut *lock(&self.printed));
        if !printed.is_empty() {
            let excess = printed.len().saturating_sub(self.printed_len_max());
            raw::print(&printed[excess..]);
        }
    }

    fn printed_len_max(&self) -> usize {
        lock(&self.settings).limits[PRINTF_FIFO_SIZE].min(PRINTED_LEN_MAX)
    }
}

/// A context is being cleared for as long as this lives.
struct Ending<'c>(&'c Context, Option<ThreadId>);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        lock(&self.0.life).ending = self.1;
        self.0.ended.notify_all();
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            limits: [1024, 1 << 20, 8 << 20, 2, 2048, 64, 0],
            cache: 0,
            shared: 1,
        }
    }
}

/// How long the work of a context goes on when the context is ended.
const GRACE: Duration = Duration::from_secs(2);

/// Numbers of contexts and streams.
pub(crate) fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

// ------------------------------------------------------------------------------- the stack

/// The calling thread's current context, whatever its state.
pub(crate) fn top() -> Option<Arc<Context>> {
    crate::thread::with_stack(|stack| stack.last().cloned())
}

/// The calling thread's current context, which can be used.
///
/// # Errors
/// NOT_INITIALIZED, INVALID_CONTEXT if none is current, and those of [`Context::check`].
pub(crate) fn current() -> Result<Arc<Context>, CuError> {
    driver::check()?;
    let context = top().ok_or(CuError::INVALID_CONTEXT)?;
    context.check()?;
    Ok(context)
}

/// A context by its handle.
///
/// # Errors
/// NOT_INITIALIZED, INVALID_CONTEXT.
pub(crate) fn find(handle: CuContext) -> Result<Arc<Context>, CuError> {
    driver::check()?;
    CONTEXTS.find(handle.0).ok_or(CuError::INVALID_CONTEXT)
}

/// Pushes a context on the calling thread's stack.
pub(crate) fn push(context: Arc<Context>) {
    crate::thread::with_stack(|stack| stack.push(context));
}

/// Pops the calling thread's stack.
pub(crate) fn pop() -> Option<Arc<Context>> {
    crate::thread::with_stack(Vec::pop)
}

/// A stream as an argument, and its context: of stream 0 and its like, the current one.
///
/// # Errors
/// INVALID_HANDLE, and those of [`current`] and [`Context::check`].
pub(crate) fn stream(handle: CuStream) -> Result<(Arc<Context>, Arc<Stream>), CuError> {
    let is_per_thread = match handle {
        CuStream(0) => export::is_per_thread(),
        CuStream::LEGACY => false,
        CuStream::PER_THREAD => true,
        _ => {
            driver::check()?;
            let stream = STREAMS.find(handle.0).ok_or(CuError::INVALID_HANDLE)?;
            let context = stream.context.upgrade();
            let context = context.ok_or(CuError::CONTEXT_IS_DESTROYED)?;
            context.check()?;
            return Ok((context, stream));
        }
    };
    let context = current()?;
    let stream = if is_per_thread {
        context.per_thread()
    } else {
        context.legacy()
    };
    Ok((context, stream))
}

/// CU_LIMIT_PRINTF_FIFO_SIZE.
const PRINTF_FIFO_SIZE: usize = 1;
/// Most bytes of output kept, whatever that limit says.
const PRINTED_LEN_MAX: usize = 64 << 20;
