//! What the process is doing: running, a forked child, or on its way out.
//!
//! A child of fork has one thread and copies of locks that threads of its parent may hold for ever:
//! so the flag is set by a handler of the C library before any of our code runs there, and it is
//! looked at before any lock. CUDA does not work in such a child, and it says so. In a process that
//! is exiting, threads are cut off anywhere, so a call made from an exit handler waits for nobody.

use std::ffi::c_void;
use std::panic::catch_unwind;
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicU8, Ordering};
use std::sync::{Once, OnceLock};

use flexdirect_wire::abi::{CuError, CuResult};
use flexdirect_wire::call::{Op, op};

use crate::thread;

/// The answer to every call of a process that is a forked child or exiting; none while it runs.
pub(crate) fn answer(call: Op) -> Option<CuResult> {
    match PHASE.load(Ordering::Relaxed) {
        RUNNING => None,
        _ if KNOWS_NOTHING.contains(&call) => None,
        FORKED => Some(Err(CuError::NOT_INITIALIZED)),
        _ if RELEASES.contains(&call) => Some(Ok(())),
        _ => Some(Err(CuError::DEINITIALIZED)),
    }
}

/// Whether the process may wait for others: neither forked nor exiting.
pub(crate) fn is_running() -> bool {
    PHASE.load(Ordering::Relaxed) == RUNNING
}

/// Whether the calling thread is the first of its process: when it ends, so does the process.
pub(crate) fn is_first_thread() -> bool {
    nix::unistd::gettid() == nix::unistd::getpid()
}

/// Names the sockets of the session: a child of fork closes its copies, or else the worker would
/// not notice the end of the parent.
pub(crate) fn keep_from_children(sockets: [i32; 2]) {
    for (place, socket) in SOCKETS.iter().zip(sockets) {
        place.store(socket, Ordering::Relaxed);
    }
}

/// Registers the handlers: once, when the process first connects.
pub(crate) fn watch() {
    static WATCH: Once = Once::new();
    WATCH.call_once(|| {
        // SAFETY: the handlers are functions of this library, which stays loaded (-z nodelete);
        // what they do is allowed in a forked child and during exit.
        let failed =
            unsafe { libc::pthread_atfork(None, None, Some(in_child)) | libc::atexit(at_exit) };
        if failed != 0 {
            crate::log::warning!("no handlers for fork and exit: out of memory");
        }
    });
}

/// Has [`thread::end`] called when the calling thread ends: after the destructors of thread-local
/// objects, which may be the application's and make calls.
pub(crate) fn watch_thread() {
    static KEY: OnceLock<Option<libc::pthread_key_t>> = OnceLock::new();
    if !is_running() {
        return;
    }
    let key = *KEY.get_or_init(|| {
        let mut key = 0;
        // SAFETY: the handler is a function of this library, which stays loaded (-z nodelete).
        let failed = unsafe { libc::pthread_key_create(&raw mut key, Some(thread_ends)) };
        (failed == 0).then_some(key)
    });
    // Without a key, or the memory for its value, what the thread has is given back at the end.
    if let Some(key) = key {
        // SAFETY: the key was made above and is never deleted. The value only has to be there.
        unsafe { libc::pthread_setspecific(key, ptr::without_provenance(1)) };
    }
}

extern "C" fn thread_ends(_: *mut c_void) {
    // Nobody is left to be told of a panic, and it must not leave this function.
    let _ = catch_unwind(thread::end);
}

/// After fork, in the child: stores to atomics, and closes two sockets. Nothing else may be done
/// there.
extern "C" fn in_child() {
    PHASE.store(FORKED, Ordering::Relaxed);
    flexdirect_driver_abi::tables::forked_child();
    for place in &SOCKETS {
        let socket = place.swap(NO_SOCKET, Ordering::Relaxed);
        if socket != NO_SOCKET {
            // SAFETY: the session's link owns this descriptor, and no code of this process uses
            // the link from now on: every call is answered before it gets there.
            unsafe { libc::close(socket) };
        }
    }
}

/// Runs before the exit handlers that were registered earlier, such as those of a runtime that was
/// loaded before the first call.
extern "C" fn at_exit() {
    let _ = PHASE.compare_exchange(RUNNING, EXITING, Ordering::Relaxed, Ordering::Relaxed);
}

/// Descriptors to be closed in a child.
static SOCKETS: [AtomicI32; 2] = [const { AtomicI32::new(NO_SOCKET) }; 2];
const NO_SOCKET: i32 = -1;

static PHASE: AtomicU8 = AtomicU8::new(RUNNING);

const RUNNING: u8 = 0;
const FORKED: u8 = 1;
const EXITING: u8 = 2;

/// Calls whose answer depends on no state at all.
const KNOWS_NOTHING: &[Op] = &[
    op::cuGetErrorString,
    op::cuGetErrorName,
    op::cuGetProcAddress,
    op::cuGetProcAddress_v2,
];

/// Calls that give something back: at exit the end of the session does what they ask for.
const RELEASES: &[Op] = &[
    op::cuDevicePrimaryCtxRelease_v2,
    op::cuDevicePrimaryCtxRelease,
    op::cuCtxDestroy_v2,
    op::cuModuleUnload,
    op::cuLibraryUnload,
    op::cuMemFree_v2,
    op::cuMemFreeHost,
    op::cuArrayDestroy,
    op::cuMipmappedArrayDestroy,
    op::cuTexObjectDestroy,
    op::cuSurfObjectDestroy,
    op::cuMemUnmap,
    op::cuMemRelease,
    op::cuMemAddressFree,
    op::cuStreamDestroy_v2,
    op::cuEventDestroy_v2,
];

#[cfg(test)]
mod tests {
    use super::*;

    /// The child reports by its exit status alone: it must not touch the test harness's locks.
    fn in_forked_child(check: fn() -> bool) -> bool {
        // SAFETY: the child runs `check`, which takes no lock by design, and leaves by _exit.
        let child = unsafe { libc::fork() };
        assert!(child >= 0, "fork");
        if child == 0 {
            let status = i32::from(!check());
            // SAFETY: ends the child without running exit handlers of the harness.
            unsafe { libc::_exit(status) };
        }
        let mut status = 0;
        // SAFETY: waits for the child of this test only.
        let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
        waited == child && libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0
    }

    #[test]
    fn a_forked_child_is_told_at_once() {
        watch();
        assert_eq!(answer(op::cuMemAlloc_v2), None);
        assert!(in_forked_child(|| {
            answer(op::cuInit) == Some(Err(CuError::NOT_INITIALIZED))
                && answer(op::cuMemFree_v2) == Some(Err(CuError::NOT_INITIALIZED))
                && answer(op::cuGetErrorString).is_none()
                && !is_running()
        }));
        assert_eq!(answer(op::cuMemAlloc_v2), None, "the parent goes on");
    }

    #[test]
    fn a_forked_child_keeps_no_socket() {
        use std::io::Read;
        use std::os::fd::AsRawFd;
        let (ours, mut theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        watch();
        keep_from_children([ours.as_raw_fd(), NO_SOCKET]);
        // SAFETY: the child waits for nothing but its pipe and leaves by _exit.
        let (child, release) = unsafe {
            let mut pipe = [0; 2];
            assert_eq!(libc::pipe(pipe.as_mut_ptr()), 0);
            let child = libc::fork();
            if child == 0 {
                libc::close(pipe[1]);
                let mut byte = 0u8;
                libc::read(pipe[0], (&raw mut byte).cast(), 1);
                libc::_exit(0);
            }
            libc::close(pipe[0]);
            (child, pipe[1])
        };
        keep_from_children([NO_SOCKET; 2]);
        drop(ours);
        let mut rest = Vec::new();
        assert_eq!(
            theirs.read_to_end(&mut rest).unwrap(),
            0,
            "the end comes while the child lives"
        );
        // SAFETY: lets the child of this test go and waits for it.
        unsafe {
            libc::close(release);
            libc::waitpid(child, std::ptr::null_mut(), 0);
        }
    }

    #[test]
    fn an_exiting_process_waits_for_nobody() {
        watch();
        assert!(in_forked_child(|| {
            PHASE.store(RUNNING, Ordering::Relaxed);
            at_exit();
            answer(op::cuLibraryUnload) == Some(Ok(()))
                && answer(op::cuMemAlloc_v2) == Some(Err(CuError::DEINITIALIZED))
        }));
    }
}
