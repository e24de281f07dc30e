//! What CUDA keeps per thread: the stack of contexts, the default stream, the capture mode.
//!
//! It is kept in the client, because a server thread is not the application's thread: the worker is
//! told the context with every record and never hears of a per-thread default stream.

use std::cell::{Cell, RefCell};
use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use flexdirect_wire::abi::CuStream;

use crate::lifetime;
use crate::objects::Context;
use crate::session::Waiter;

/// Number of the calling thread in records, from 1. Numbers of ended threads are used again.
pub(crate) fn number() -> u32 {
    with(|state| {
        if state.number == 0 {
            state.number = NUMBERS.take();
        }
        state.number
    })
}

/// Top of the calling thread's stack.
pub(crate) fn current() -> Option<Arc<Context>> {
    with(|state| state.stack.last().cloned())
}

/// Pushes a context.
pub(crate) fn push(context: Arc<Context>) {
    with(|state| state.stack.push(context));
}

/// Pops a context.
pub(crate) fn pop() -> Option<Arc<Context>> {
    with(|state| state.stack.pop())
}

/// Replaces the top; without a context, pops it.
pub(crate) fn replace(context: Option<Arc<Context>>) {
    with(|state| {
        state.stack.pop();
        state.stack.extend(context);
    });
}

/// Takes a context that is destroyed off the top, where CUDA takes it off.
pub(crate) fn forget(handle: u64) {
    with(|state| {
        if state.stack.last().is_some_and(|top| top.handle == handle) {
            state.stack.pop();
        }
        state.streams.retain(|&(context, _)| context != handle);
    });
}

/// The stream that stands for the thread's default stream in `context`, once there is one.
pub(crate) fn default_stream(context: u64) -> Option<u64> {
    with(|state| {
        let found = state.streams.iter().find(|&&(owner, _)| owner == context);
        found.map(|&(_, stream)| stream)
    })
}

/// Remembers the stream that stands for the thread's default stream in `context`.
pub(crate) fn set_default_stream(context: u64, stream: u64) {
    with(|state| {
        state.streams.retain(|&(owner, _)| owner != context);
        state.streams.push((context, stream));
    });
}

/// Whether `stream` means the default stream of the calling thread, considering through which
/// symbol the call came.
pub(crate) fn is_per_thread(stream: CuStream) -> bool {
    match stream {
        CuStream::PER_THREAD => true,
        CuStream(0) => PER_THREAD_DEFAULT.get(),
        _ => false,
    }
}

/// The capture mode.
pub(crate) fn capture_mode() -> u32 {
    CAPTURE_MODE.get()
}

/// Sets the capture mode and returns the old one.
pub(crate) fn exchange_capture_mode(mode: u32) -> u32 {
    CAPTURE_MODE.replace(mode)
}

/// Keeps the code of an earlier posted call for a call that may return it; 0 is none. The first
/// one stays.
pub(crate) fn defer(code: u32) {
    if DEFERRED.get() == 0 {
        DEFERRED.set(code);
    }
}

/// Takes the code that was kept, or 0.
pub(crate) fn take_deferred() -> u32 {
    DEFERRED.replace(0)
}

/// The place where the calling thread waits for replies.
pub(crate) fn waiter() -> Arc<Waiter> {
    with(|state| Arc::clone(state.waiter.get_or_insert_default()))
}

/// Whether the calling thread is inside of a host function, which may make no call.
pub(crate) fn is_in_function() -> bool {
    IN_FUNCTION.get()
}

/// The calling thread runs functions of the application for the driver from now on. Whether it did
/// before.
pub(crate) fn enter_functions() -> bool {
    IN_FUNCTION.replace(true)
}

/// Undoes [`enter_functions`].
pub(crate) fn leave_functions(before: bool) {
    IN_FUNCTION.set(before);
}

/// While it lives, stream 0 means the calling thread's default stream.
#[derive(Debug)]
pub(crate) struct PerThreadDefault {
    before: bool,
}

impl PerThreadDefault {
    /// Starts with the call of a twin symbol.
    pub(crate) fn enter() -> Self {
        Self {
            before: PER_THREAD_DEFAULT.replace(true),
        }
    }
}

impl Drop for PerThreadDefault {
    fn drop(&mut self) {
        PER_THREAD_DEFAULT.set(self.before);
    }
}

struct State {
    number: u32,
    stack: Vec<Arc<Context>>,
    /// Context and stream of each default stream that is in use.
    streams: Vec<(u64, u64)>,
    waiter: Option<Arc<Waiter>>,
    /// [`end`] will be called.
    is_watched: bool,
}

impl State {
    const NEW: Self = Self {
        number: 0,
        stack: Vec::new(),
        streams: Vec::new(),
        waiter: None,
        is_watched: false,
    };
}

/// Gives back what an ending thread has. Destructors that run after it may make calls all the
/// same; then it is called again.
pub(crate) fn end() {
    // With the first thread the process exits: nothing is waited for, and all of it ends.
    if !lifetime::is_running() || lifetime::is_first_thread() {
        return;
    }
    let streams = with(|state| std::mem::take(&mut state.streams));
    for (context, stream) in streams {
        crate::hand::end_default_stream(context, stream);
    }
    let state = STATE.with_borrow_mut(|state| std::mem::replace(&mut **state, State::NEW));
    if state.number != 0 {
        NUMBERS.give_back(state.number);
    }
}

fn with<T>(use_state: impl FnOnce(&mut State) -> T) -> T {
    STATE.with_borrow_mut(|state| {
        if !state.is_watched {
            state.is_watched = true;
            lifetime::watch_thread();
        }
        use_state(state)
    })
}

struct Numbers {
    next: AtomicU32,
    free: Mutex<Vec<u32>>,
}

impl Numbers {
    fn take(&self) -> u32 {
        let free = self
            .free
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        free.unwrap_or_else(|| self.next.fetch_add(1, Ordering::Relaxed))
    }

    fn give_back(&self, number: u32) {
        self.free
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(number);
    }
}

static NUMBERS: Numbers = Numbers {
    next: AtomicU32::new(1),
    free: Mutex::new(Vec::new()),
};

thread_local! {
    static PER_THREAD_DEFAULT: Cell<bool> = const { Cell::new(false) };
    static IN_FUNCTION: Cell<bool> = const { Cell::new(false) };
    static CAPTURE_MODE: Cell<u32> = const { Cell::new(0) };
    static DEFERRED: Cell<u32> = const { Cell::new(0) };
    /// Without a destructor, so that it is there for those of the application's thread-local
    /// objects: see [`end`].
    static STATE: RefCell<ManuallyDrop<State>> =
        const { RefCell::new(ManuallyDrop::new(State::NEW)) };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(handle: u64) -> Arc<Context> {
        Arc::new(Context::new(handle, 0, 0, 0, false))
    }

    fn top() -> Option<u64> {
        current().map(|context| context.handle)
    }

    #[test]
    fn the_stack_is_a_stack() {
        assert_eq!(top(), None);
        push(context(1));
        push(context(2));
        assert_eq!(top(), Some(2));
        replace(Some(context(3)));
        assert_eq!(top(), Some(3));
        assert_eq!(pop().unwrap().handle, 3);
        forget(7);
        assert_eq!(top(), Some(1), "another context stays");
        replace(None);
        assert_eq!(top(), None);
        assert!(pop().is_none());
        replace(Some(context(4)));
        assert_eq!(top(), Some(4), "an empty stack takes a context as well");
        forget(4);
        assert_eq!(top(), None);
    }

    #[test]
    fn a_twin_means_the_thread_only_while_it_runs() {
        assert!(!is_per_thread(CuStream(0)));
        {
            let _twin = PerThreadDefault::enter();
            assert!(is_per_thread(CuStream(0)));
            assert!(!is_per_thread(CuStream::LEGACY));
        }
        assert!(!is_per_thread(CuStream(0)));
        assert!(is_per_thread(CuStream::PER_THREAD));
    }

    #[test]
    fn living_threads_have_numbers_of_their_own() {
        let mine = number();
        assert_eq!(number(), mine);
        let other = std::thread::spawn(number).join().unwrap();
        assert!(mine > 0 && other > 0 && other != mine);
    }

    #[test]
    fn destructors_of_a_thread_may_make_calls() {
        use std::sync::mpsc::{Sender, channel};

        /// Looks when it is destroyed: before anything that came into being later, by the rules.
        struct Late(Sender<(Option<u64>, u32)>);
        impl Drop for Late {
            fn drop(&mut self) {
                self.0.send((top(), number())).unwrap();
            }
        }
        thread_local! {
            static LATE: RefCell<Option<Late>> = const { RefCell::new(None) };
        }
        let (tell, told) = channel();
        let thread = std::thread::spawn(move || {
            LATE.set(Some(Late(tell)));
            push(context(5));
            number()
        });
        let own = thread.join().unwrap();
        assert_eq!(told.recv().unwrap(), (Some(5), own));
    }
}
