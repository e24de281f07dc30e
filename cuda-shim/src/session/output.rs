//! What kernels have printed: kept as it comes, printed by the call that waited for it.
//!
//! The session's own thread writes nothing: a reader of the application's output that is slow would
//! hold up every reply. CUDA prints "at the synchronisation", and so in the thread that called.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Output {
    /// Whether there is any that is not wholly printed.
    is_any: AtomicBool,
    text: Mutex<Vec<u8>>,
    /// Held while text is printed: whoever finds none has waited for who took it.
    printing: Mutex<()>,
}

impl Output {
    /// Keeps what has come, as far as there is room: a program that never waits has it lost.
    pub(super) fn keep(&self, text: &[u8]) {
        let mut kept = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        let room = KEPT_LEN_MAX.saturating_sub(kept.len());
        kept.extend_from_slice(&text[..text.len().min(room)]);
        self.is_any.store(true, Ordering::Release);
    }

    /// Prints what has come before this call.
    pub(super) fn print(&self) {
        if !self.is_any.load(Ordering::Acquire) {
            return;
        }
        let _turn = self.printing.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let text = {
                let mut kept = self.text.lock().unwrap_or_else(PoisonError::into_inner);
                if kept.is_empty() {
                    self.is_any.store(false, Ordering::Release);
                    return;
                }
                std::mem::take(&mut *kept)
            };
            write(&text);
        }
    }
}

/// Writes to the C library's standard output, in order with what the program prints.
fn write(text: &[u8]) {
    for line in text.split_inclusive(|&byte| byte == b'\n') {
        // SAFETY: the stream is the C library's own, which locks it; the line has that length.
        unsafe { libc::fwrite(line.as_ptr().cast(), 1, line.len(), stdout) };
    }
}

unsafe extern "C" {
    /// The C library's standard output, which the application may put another stream in place of.
    static stdout: *mut libc::FILE;
}

/// Bytes that are kept for a program that does not wait.
const KEPT_LEN_MAX: usize = 64 << 20;
