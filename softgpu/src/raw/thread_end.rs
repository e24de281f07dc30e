//! Being told that a thread ends, after the destructors of the application's thread-local objects.

use std::ffi::c_void;
use std::panic::catch_unwind;
use std::sync::OnceLock;

/// Has `crate::thread::end` called when the calling thread ends.
pub(crate) fn watch_thread() {
    static KEY: OnceLock<Option<libc::pthread_key_t>> = OnceLock::new();
    let key = *KEY.get_or_init(|| {
        let mut key = 0;
        // SAFETY: the handler is a function of this library, which stays loaded (-z nodelete).
        let failed = unsafe { libc::pthread_key_create(&raw mut key, Some(thread_ends)) };
        (failed == 0).then_some(key)
    });
    // Without a key, or the memory for its value, what the thread has stays until the process ends.
    if let Some(key) = key {
        // SAFETY: the key was made above and is never deleted. The value only has to be there.
        unsafe { libc::pthread_setspecific(key, std::ptr::without_provenance(1)) };
    }
}

extern "C" fn thread_ends(_: *mut c_void) {
    // Nobody is left to be told of a panic, and it must not leave this function.
    let _ = catch_unwind(crate::thread::end);
}
