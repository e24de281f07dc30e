//! What kernels print: taken from this process's standard output and told to the client.
//!
//! A driver writes the text of a device-side printf to the standard output of its process, while a
//! call waits for the kernels. Here that is a pipe; a reply to a call that may have waited leaves
//! after all that was printed before it.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::{dup2_stdout, pipe2};

use flexdirect_transport::{Link, Span};
use flexdirect_wire::body::region;
use flexdirect_wire::limits::OUTPUT_LEN_MAX;

use crate::session::Session;

#[expect(
    unsafe_code,
    reason = "takes the buffer from the C library's standard output"
)]
mod buffer;

/// The reading end of the pipe that is the process's standard output. Locked from reading until
/// what was read has its place among the replies.
#[derive(Debug)]
pub(crate) struct Output(Mutex<File>);

/// Makes a pipe of this process's standard output: once, before the driver is opened.
///
/// # Errors
/// What the system says.
pub(crate) fn take() -> io::Result<()> {
    let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
    // Only the reading end: who prints waits until there is room.
    fcntl(&read, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    dup2_stdout(write)?;
    buffer::remove();
    // Whoever is second has a pipe that nobody reads; there is one caller.
    let _ = OUTPUT.set(Output(Mutex::new(File::from(read))));
    Ok(())
}

/// Tells the client what has been printed so far, if this process's output was taken.
pub(crate) fn tell(session: &Session) {
    if let Some(output) = OUTPUT.get() {
        output.tell(&*session.link);
    }
}

/// Reads the pipe for as long as the session lives: who prints much does not wait for a call.
pub(crate) fn watch(session: &Arc<Session>) {
    let Some(output) = OUTPUT.get() else {
        return;
    };
    let weak = Arc::downgrade(session);
    session.spawn("output", move || output.run(&weak));
}

impl Output {
    fn run(&self, session: &Weak<Session>) {
        let Ok(pipe) = self.lock().try_clone() else {
            return;
        };
        loop {
            let mut wanted = [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)];
            let polled = poll(&mut wanted, PollTimeout::NONE);
            let Some(session) = session.upgrade() else {
                if polled.is_err() {
                    return;
                }
                // What nobody will hear: the driver must not wait for room in the pipe while it
                // cleans up.
                let mut lost = [0; OUTPUT_LEN_MAX];
                match nix::unistd::read(&pipe, &mut lost) {
                    Ok(1..) | Err(nix::errno::Errno::EAGAIN) => continue,
                    _ => return,
                }
            };
            match polled {
                Ok(_) => self.tell(&*session.link),
                Err(nix::errno::Errno::EINTR) => {}
                Err(error) => {
                    tracing::error!("what kernels print cannot be read: {error}");
                    return;
                }
            }
        }
    }

    /// As bulk, which waits for a client that is slower than the kernels print: the pipe is full
    /// then, and the driver waits for it.
    fn tell(&self, link: &dyn Link) {
        let pipe = self.lock();
        let mut text = [0; OUTPUT_LEN_MAX];
        // What the pipe held when this was called is less than this, however fast others print.
        for _ in 0..READS_MAX {
            let Ok(len @ 1..) = nix::unistd::read(&*pipe, &mut text) else {
                return;
            };
            let span = Span {
                region: region::OUTPUT,
                offset: 0,
                len: len as u64,
            };
            // Of a link that has died others hear; the pipe is still to be emptied.
            let _ = link.put(span, &text[..len]);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, File> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

static OUTPUT: OnceLock<Output> = OnceLock::new();

/// Reads that empty a pipe of the largest size that a process without rights can ask for (1 MiB).
const READS_MAX: usize = 64;

#[cfg(test)]
#[expect(unsafe_code, reason = "names memory of the test")]
mod tests;
