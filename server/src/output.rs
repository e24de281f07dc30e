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
        output.tell(session);
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
                let mut lost = [0; READ_LEN];
                match nix::unistd::read(&pipe, &mut lost) {
                    Ok(1..) | Err(nix::errno::Errno::EAGAIN) => continue,
                    _ => return,
                }
            };
            match polled {
                Ok(_) => {
                    self.tell(&session);
                    session.outbox.post(&*session.link);
                }
                Err(nix::errno::Errno::EINTR) => {}
                Err(error) => {
                    tracing::error!("what kernels print cannot be read: {error}");
                    return;
                }
            }
        }
    }

    fn tell(&self, session: &Session) {
        let pipe = self.lock();
        let mut text = [0; READ_LEN];
        // What the pipe held when this was called is less than this, however fast others print.
        for _ in 0..READS_MAX {
            match nix::unistd::read(&*pipe, &mut text) {
                Ok(len @ 1..) => {
                    session.outbox.append_output(&*session.link, &text[..len]);
                }
                _ => return,
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, File> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

static OUTPUT: OnceLock<Output> = OnceLock::new();

/// Bytes of one read, and so of one message.
const READ_LEN: usize = 16 << 10;

/// Reads that empty a pipe of the largest size that a process without rights can ask for (1 MiB).
const READS_MAX: usize = 64;
