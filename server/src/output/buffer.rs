//! The C library's buffer of standard output.

/// Lets what is printed go to the descriptor at once: before anything was printed.
pub(super) fn remove() {
    // SAFETY: the stream is the C library's own, open for as long as the process lives, and nothing
    // has been done with it; a null buffer is what the mode takes.
    unsafe { libc::setvbuf(stdout, std::ptr::null_mut(), libc::_IONBF, 0) };
}

unsafe extern "C" {
    /// The C library's standard output.
    static stdout: *mut libc::FILE;
}
