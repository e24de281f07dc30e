//! The worker process: serves one client process with one driver, and ends with it.
//!
//! It is started by the daemon with a control channel as standard input, and the sockets of its
//! session come over that channel. It belongs to its tenant: it holds no key, no other session's
//! data and no say about memory. Whatever happens to it, a crash or a poisoned context, stays in
//! it.
//!
//! ```text
//!  daemon ── Start + main socket ──▶ worker ── Welcome ──▶ client
//!  daemon ── Side + side socket ───▶ worker ── Ready ────▶ client      then both are a link
//!  daemon ◀── Reserve, Release ── worker ◀── Share ── daemon            until either goes
//! ```

use std::io;
use std::net::TcpStream;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use flexdirect_wire::control::{self, Answer, Reason, Refusal, Snapshot};
use nix::sys::prctl::{get_pdeathsig, set_name};
use nix::sys::signal::Signal;

use crate::daemon::conversation::{STEP, Timed, forget_limits};
use crate::quota::RemoteQuota;
use crate::share::Usage;
use channel::{Channel, Start, ToWorker};

#[expect(
    unsafe_code,
    reason = "takes over descriptors that came with a message"
)]
pub mod channel;
mod engine;
#[expect(
    unsafe_code,
    reason = "ends the process without the driver's exit handlers, which may hang"
)]
mod leave;
#[expect(unsafe_code, reason = "prepares a child between fork and exec")]
pub mod spawn;

pub use engine::probe;

/// How a worker fails: one sentence for the daemon's log.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// The control channel is not what it must be.
    #[error("{0}")]
    Control(&'static str),
    /// The driver cannot be used.
    #[error("{0}")]
    Driver(String),
    /// The system refused something.
    #[error("{what}: {error}")]
    Host {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        error: io::Error,
    },
}

/// Serves the session that the daemon hands over on standard input, and leaves the process at its
/// end.
///
/// # Errors
/// [`WorkerError`] when the session could not start.
pub fn serve(path: &Path) -> Result<(), WorkerError> {
    let channel = Arc::new(take_channel()?);
    // Its file is /proc/self/exe, which says nothing in a list of processes.
    let _ = set_name(c"flexdirect-work");
    let (start, main) = receive_start(&channel)?;
    let main = TcpStream::from(main);
    let quota = Arc::new(RemoteQuota::new(Arc::clone(&channel)));
    let side = listen(&channel, &quota)?;
    // The driver finds it as its process's: see there.
    crate::output::take().map_err(|error| WorkerError::Host {
        what: "no pipe for what kernels print",
        error,
    })?;
    match engine::open(path, &start) {
        Ok((driver, snapshot)) => {
            let greeted = greet(&main, &side, snapshot);
            if let Err(error) =
                greeted.and_then(|side| engine::run(driver, quota, main, side, &start))
            {
                tracing::error!("session failed: {error}");
            }
            // The driver is open: its exit handlers are not waited for.
            leave::now(1)
        }
        Err(error) => {
            let refusal = Refusal {
                reason: Reason::Failed,
                text: error.to_string(),
            };
            answer(&main, &Answer::Refused(refusal))?;
            Err(error)
        }
    }
}

/// Tells the client what there is, and waits for its side lane.
fn greet(
    main: &TcpStream,
    side: &Receiver<OwnedFd>,
    snapshot: Snapshot,
) -> Result<TcpStream, WorkerError> {
    answer(main, &Answer::Welcome(Box::new(snapshot)))?;
    let side = side
        .recv_timeout(STEP)
        .map_err(|_| WorkerError::Control("the client did not connect its side lane in time"))?;
    let side = TcpStream::from(side);
    answer(&side, &Answer::Ready)?;
    Ok(side)
}

/// The end of the channel that the daemon left as standard input.
fn take_channel() -> Result<Channel, WorkerError> {
    let host = |what| move |error: io::Error| WorkerError::Host { what, error };
    if get_pdeathsig().ok().flatten() != Some(Signal::SIGKILL) {
        return Err(WorkerError::Control(
            "a worker is started by the daemon: use flexdirect resource_scheduler",
        ));
    }
    let fd = io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .map_err(host("cannot keep standard input"))?;
    let null = std::fs::File::open("/dev/null").map_err(host("cannot open /dev/null"))?;
    nix::unistd::dup2_stdin(null)
        .map_err(|errno| host("cannot replace standard input")(errno.into()))?;
    Ok(Channel::new(fd))
}

fn receive_start(channel: &Channel) -> Result<(Start, OwnedFd), WorkerError> {
    let received = channel.receive::<ToWorker>();
    match received.map_err(|error| WorkerError::Host {
        what: "the daemon's first message",
        error,
    })? {
        Some((ToWorker::Start(start), Some(fd))) => Ok((start, fd)),
        Some(_) => Err(WorkerError::Control(
            "the daemon did not begin with a session",
        )),
        None => Err(WorkerError::Control(
            "the daemon ended before the session began",
        )),
    }
}

/// Listens to the daemon on a thread of its own: answers go to the quota, the side lane to whoever
/// waits for it. When the daemon goes, so does this process.
fn listen(
    channel: &Arc<Channel>,
    quota: &Arc<RemoteQuota>,
) -> Result<Receiver<OwnedFd>, WorkerError> {
    let (sender, side) = sync_channel(1);
    let (channel, quota) = (Arc::clone(channel), Arc::clone(quota));
    thread::Builder::new()
        .name("daemon".to_owned())
        .spawn(move || {
            hear(&channel, &quota, &sender);
            quota.close();
            leave::now(1)
        })
        .map_err(|error| WorkerError::Host {
            what: "no thread for the daemon",
            error,
        })?;
    Ok(side)
}

fn hear(channel: &Channel, quota: &RemoteQuota, side: &SyncSender<OwnedFd>) {
    loop {
        match channel.receive::<ToWorker>() {
            Ok(Some((
                ToWorker::Share {
                    ticket,
                    granted,
                    used,
                    limit,
                },
                _,
            ))) => {
                quota.answer(ticket, granted, Usage { used, limit });
            }
            Ok(Some((ToWorker::Side, Some(fd)))) => {
                // Nobody takes a second one; it is closed.
                let _ = side.try_send(fd);
            }
            Ok(Some(_)) => tracing::error!("the daemon said something out of turn"),
            Ok(None) => return,
            Err(error) => {
                tracing::error!("the daemon cannot be heard: {error}");
                return;
            }
        }
    }
}

fn answer(stream: &TcpStream, answer: &Answer) -> Result<(), WorkerError> {
    let said =
        control::write(&mut Timed::new(stream, STEP), answer).and_then(|()| forget_limits(stream));
    said.map_err(|error| WorkerError::Host {
        what: "cannot answer the client",
        error,
    })
}
