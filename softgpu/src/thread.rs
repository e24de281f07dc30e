//! What CUDA keeps per thread: the stack of contexts and the default streams.
//!
//! Nothing here has a destructor of Rust's, so that it is there for those of the application's
//! thread-local objects, which may make calls; [`end`] gives it back after them.

use std::cell::RefCell;
use std::mem::ManuallyDrop;
use std::sync::Arc;

use crate::context::Context;
use crate::raw::watch_thread;
use crate::stream::Stream;

struct State {
    stack: Vec<Arc<Context>>,
    streams: Vec<Arc<Stream>>,
    /// [`end`] will be called.
    is_watched: bool,
}

impl State {
    const NEW: Self = Self {
        stack: Vec::new(),
        streams: Vec::new(),
        is_watched: false,
    };
}

thread_local! {
    static STATE: RefCell<ManuallyDrop<State>> =
        const { RefCell::new(ManuallyDrop::new(State::NEW)) };
}

/// The calling thread's stack of contexts.
pub(crate) fn with_stack<T>(use_stack: impl FnOnce(&mut Vec<Arc<Context>>) -> T) -> T {
    with(|state| use_stack(&mut state.stack))
}

/// The calling thread's default streams, one a context.
pub(crate) fn with_streams<T>(use_streams: impl FnOnce(&mut Vec<Arc<Stream>>) -> T) -> T {
    with(|state| use_streams(&mut state.streams))
}

/// Gives back what an ending thread has. Destructors that run after it may make calls all the
/// same; then it is called again.
pub(crate) fn end() {
    let state = STATE.with_borrow_mut(|state| std::mem::replace(&mut **state, State::NEW));
    for stream in &state.streams {
        stream.close();
    }
}

fn with<T>(use_state: impl FnOnce(&mut State) -> T) -> T {
    STATE.with_borrow_mut(|state| {
        if !state.is_watched {
            state.is_watched = true;
            watch_thread();
        }
        use_state(state)
    })
}
