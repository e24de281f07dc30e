//! One connected stream socket: its options, and sends and receives that never block.
//!
//! Non-blocking travels as a flag per call and not on the socket, because the descriptor may be
//! shared with code that expects it to block. Nothing here ever raises SIGPIPE: this code runs in
//! other people's programs.

use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, Shutdown, recv, send, sendmsg, setsockopt, shutdown, sockopt};

/// A connected stream socket.
#[derive(Debug)]
pub(super) struct Socket(OwnedFd);

/// How a socket finds out that its peer's host has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Vigilance {
    /// Probes while idle, for a lane that may be full for as long as its reader pleases.
    Idle,
    /// Also gives up on data that stays unacknowledged, for a lane that is always read.
    Always,
}

impl Socket {
    /// Takes over a connected stream socket.
    ///
    /// The user timeout (RFC 5482; Linux `tcp_probe_timer`) is for [`Vigilance::Always`] only: it
    /// also kills a connection whose peer answers every probe with a closed window, which is what
    /// a peer looks like that is busy or stopped. A dead host shows on the other lane.
    pub(super) fn new(
        fd: OwnedFd,
        lost_after: Duration,
        vigilance: Vigilance,
    ) -> Result<Self, Errno> {
        fcntl(&fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        optional(setsockopt(&fd, sockopt::TcpNoDelay, &true))?;
        setsockopt(&fd, sockopt::KeepAlive, &true)?;
        let seconds = u32::try_from(lost_after.as_secs())
            .unwrap_or(u32::MAX)
            .min(KEEP_S_MAX);
        // A third of the time to the first probe, the rest for four more.
        let idle_s = (seconds / 3).max(1);
        let interval_s = (seconds.saturating_sub(idle_s) / PROBES).max(1);
        optional(setsockopt(&fd, sockopt::TcpKeepIdle, &idle_s))?;
        optional(setsockopt(&fd, sockopt::TcpKeepInterval, &interval_s))?;
        optional(setsockopt(&fd, sockopt::TcpKeepCount, &PROBES))?;
        if vigilance == Vigilance::Always {
            // Linux takes it for a signed number.
            let timeout_ms = i32::try_from(lost_after.as_millis()).unwrap_or(i32::MAX);
            let timeout_ms = timeout_ms.cast_unsigned();
            optional(setsockopt(&fd, sockopt::TcpUserTimeout, &timeout_ms.max(1)))?;
        }
        Ok(Self(fd))
    }

    /// Sends what the socket takes at once of `parts`; 0 when it is full.
    pub(super) fn send(&self, parts: &[&[u8]; 2]) -> Result<usize, Errno> {
        self.send_with(parts, MsgFlags::MSG_DONTWAIT)
    }

    /// Sends `parts`, sleeping in the system call until the socket has taken them, has died or was
    /// shut down; less only if a signal came or the descriptor is set not to block.
    pub(super) fn send_all(&self, parts: &[&[u8]; 2]) -> Result<usize, Errno> {
        self.send_with(parts, MsgFlags::empty())
    }

    fn send_with(&self, parts: &[&[u8]; 2], flags: MsgFlags) -> Result<usize, Errno> {
        let fd = self.0.as_raw_fd();
        let flags = flags | MsgFlags::MSG_NOSIGNAL;
        let [head, body] = *parts;
        let slices = [IoSlice::new(head), IoSlice::new(body)];
        let mut joined = [0; JOIN_LEN_MAX];
        let len = head.len() + body.len();
        let small = joined.get_mut(..len).map(|joined| {
            joined[..head.len()].copy_from_slice(head);
            joined[head.len()..].copy_from_slice(body);
            &*joined
        });
        loop {
            let result = match small {
                Some(bytes) => send(fd, bytes, flags),
                None => sendmsg::<()>(fd, &slices, &[], flags, None),
            };
            match result {
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Ok(0),
                result => return result,
            }
        }
    }

    /// Receives what is there, `None` when nothing is. 0 bytes are the end of the stream.
    pub(super) fn receive(&self, buffer: &mut [u8]) -> Result<Option<usize>, Errno> {
        retry(|| recv(self.0.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT))
    }

    /// Sleeps until the socket takes bytes again or has died.
    pub(super) fn wait_for_room(&self) -> Result<(), Errno> {
        let mut fds = [PollFd::new(self.as_fd(), PollFlags::POLLOUT)];
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(errno),
        }
    }

    /// Ends both directions, which wakes every thread that sleeps on the socket.
    pub(super) fn shut_down(&self) {
        // Fails only if the connection has ended already, which is what is wanted.
        let _ = shutdown(self.0.as_raw_fd(), Shutdown::Both);
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Repeats a receive that a signal interrupted; `None` when there is nothing to receive.
pub(super) fn retry<T>(mut receive: impl FnMut() -> Result<T, Errno>) -> Result<Option<T>, Errno> {
    loop {
        match receive() {
            Ok(value) => return Ok(Some(value)),
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => return Ok(None),
            Err(errno) => return Err(errno),
        }
    }
}

/// What a socket error says about the peer, for people.
pub(super) fn describe(errno: Errno, lost_after: Duration) -> String {
    match errno {
        Errno::EPIPE => PEER_CLOSED.to_owned(),
        Errno::ECONNRESET => "peer reset the connection".to_owned(),
        Errno::ETIMEDOUT => format!("no answer from peer for {} s", lost_after.as_secs_f32()),
        Errno::EHOSTUNREACH | Errno::ENETUNREACH | Errno::ENETDOWN => {
            format!("peer is out of reach: {}", errno.desc())
        }
        _ => format!("connection failed: {} ({errno})", errno.desc()),
    }
}

/// Options of TCP that other stream sockets do not know.
fn optional(result: Result<(), Errno>) -> Result<(), Errno> {
    match result {
        Err(Errno::EOPNOTSUPP | Errno::ENOPROTOOPT) => Ok(()),
        result => result,
    }
}

/// How the end of the stream is told.
pub(super) const PEER_CLOSED: &str = "peer closed the connection";

/// Bytes up to which joining two parts costs less than having the kernel read their description.
const JOIN_LEN_MAX: usize = 256;

/// Probes that go unanswered before the peer counts as lost.
const PROBES: u32 = 4;

/// Largest keep-alive time that Linux accepts (`MAX_TCP_KEEPIDLE`).
const KEEP_S_MAX: u32 = 32_767;
