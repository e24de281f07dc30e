//! The socket pair between the daemon and one worker: JSON messages, and sockets that travel along.
//!
//! Sequenced packets: one message is one packet, in order, with at most one descriptor. What comes
//! from a worker is a tenant's word: it is bounded here and checked by whoever uses it.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use flexdirect_wire::control::Attach;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg,
    sendmsg, setsockopt, socketpair, sockopt,
};
use nix::sys::time::TimeVal;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// One end of the socket pair.
#[derive(Debug)]
pub struct Channel(OwnedFd);

/// What the daemon says to a worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "say")]
pub enum ToWorker {
    /// First message, with the socket of the main lane.
    Start(Start),
    /// The socket of the side lane.
    Side,
    /// Answer to [`ToDaemon::Reserve`] and [`ToDaemon::Usage`].
    Share {
        /// Ticket of the question.
        ticket: u64,
        /// Whether the bytes were granted; true for a usage.
        granted: bool,
        /// Bytes in use by the lease.
        used: u64,
        /// Bytes of the share.
        limit: u64,
    },
}

/// What a worker must know to serve its session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Start {
    /// Whom it serves; without the secret, which is not a worker's business.
    pub attach: Attach,
    /// Bytes of the share of each device, in the order of the lease.
    pub shares: Vec<u64>,
    /// Time after which a host that does not answer is lost, in milliseconds.
    pub grace_ms: u64,
}

/// What a worker says to the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "say")]
pub enum ToDaemon {
    /// Asks for memory of the share.
    Reserve {
        /// Comes back in the answer.
        ticket: u64,
        /// Device, by its ordinal in the lease.
        device: u16,
        /// Bytes.
        bytes: u64,
    },
    /// Gives memory back.
    Release {
        /// Device, by its ordinal in the lease.
        device: u16,
        /// Bytes.
        bytes: u64,
    },
    /// Asks for the use of a share.
    Usage {
        /// Comes back in the answer.
        ticket: u64,
        /// Device, by its ordinal in the lease.
        device: u16,
    },
}

impl Channel {
    /// Two connected ends.
    ///
    /// # Errors
    /// What the system says when it has no descriptors left.
    pub fn pair() -> io::Result<(Self, Self)> {
        let flags = SockFlag::SOCK_CLOEXEC;
        let (one, other) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags)?;
        Ok((Self(one), Self(other)))
    }

    /// Takes over an end that was inherited.
    pub fn new(fd: OwnedFd) -> Self {
        Self(fd)
    }

    /// The descriptor, to hand on to a child.
    pub fn into_fd(self) -> OwnedFd {
        self.0
    }

    /// Bounds every later send: the other end may have stopped reading.
    ///
    /// # Errors
    /// What the system says.
    pub fn limit_sends(&self, limit: Duration) -> io::Result<()> {
        let limit = TimeVal::new(i64::try_from(limit.as_secs()).unwrap_or(i64::MAX), 0);
        Ok(setsockopt(&self.0, sockopt::SendTimeout, &limit)?)
    }

    /// Sends one message, with a descriptor if there is one.
    ///
    /// # Errors
    /// What the socket says: `BrokenPipe` when the other end has gone, `WouldBlock` when it does
    /// not read; `InvalidInput` for one over 16 KiB.
    pub fn send<T: Serialize>(&self, message: &T, fd: Option<BorrowedFd<'_>>) -> io::Result<()> {
        let json = serde_json::to_vec(message)?;
        if json.len() > MESSAGE_LEN_MAX {
            let text = format!("message of {} bytes, over {MESSAGE_LEN_MAX}", json.len());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let raw: Option<[RawFd; 1]> = fd.map(|fd| [fd.as_raw_fd()]);
        let rights: Vec<ControlMessage<'_>> = raw
            .iter()
            .map(|raw| ControlMessage::ScmRights(raw))
            .collect();
        let parts = [IoSlice::new(&json)];
        loop {
            let flags = MsgFlags::MSG_NOSIGNAL;
            match sendmsg::<()>(self.0.as_raw_fd(), &parts, &rights, flags, None) {
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
                Ok(_) => return Ok(()),
            }
        }
    }

    /// Waits for one message and the descriptor that came with it; `None` when the other end has
    /// gone. For a worker, which trusts its daemon.
    ///
    /// # Errors
    /// What the socket says; `InvalidData` for a packet that is no `T`.
    pub fn receive<T: DeserializeOwned>(&self) -> io::Result<Option<(T, Option<OwnedFd>)>> {
        let mut rights = nix::cmsg_space!([RawFd; 1]);
        self.take(Some(&mut rights))
    }

    /// Waits for one message; `None` when the other end has gone. Descriptors are not taken: there
    /// is no room for them, so the kernel drops what a worker sends unasked.
    ///
    /// # Errors
    /// As [`Channel::receive`]; `InvalidData` also for a message that brings a descriptor.
    pub fn hear<T: DeserializeOwned>(&self) -> io::Result<Option<T>> {
        Ok(self.take(None)?.map(|(message, _)| message))
    }

    fn take<T: DeserializeOwned>(
        &self,
        mut rights: Option<&mut [u8]>,
    ) -> io::Result<Option<(T, Option<OwnedFd>)>> {
        let mut buffer = vec![0; MESSAGE_LEN_MAX];
        let (len, fd) = loop {
            let mut parts = [IoSliceMut::new(&mut buffer)];
            let flags = MsgFlags::MSG_CMSG_CLOEXEC;
            let rights = rights.as_deref_mut();
            match recvmsg::<()>(self.0.as_raw_fd(), &mut parts, rights, flags) {
                Err(Errno::EINTR) => {}
                Err(Errno::ECONNRESET) => return Ok(None),
                Err(errno) => return Err(errno.into()),
                Ok(packet) => {
                    let cut = MsgFlags::MSG_TRUNC | MsgFlags::MSG_CTRUNC;
                    if packet.flags.intersects(cut) {
                        let text = format!(
                            "a packet over {MESSAGE_LEN_MAX} bytes or with too many descriptors"
                        );
                        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
                    }
                    let fd = packet
                        .cmsgs()?
                        .fold(None, |last, message| own(message).or(last));
                    break (packet.bytes, fd);
                }
            }
        };
        if len == 0 {
            return Ok(None);
        }
        Ok(Some((serde_json::from_slice(&buffer[..len])?, fd)))
    }
}

/// The first descriptor of a control message; further ones are closed.
fn own(message: ControlMessageOwned) -> Option<OwnedFd> {
    let ControlMessageOwned::ScmRights(raw) = message else {
        return None;
    };
    // SAFETY: the kernel has just installed these descriptors for this message, and nobody else
    // knows their numbers, so each is owned by exactly this value.
    let owned = raw
        .into_iter()
        .map(|raw| unsafe { OwnedFd::from_raw_fd(raw) });
    // Collected first: every descriptor is owned, and so closed, even those that are not wanted.
    let owned: Vec<OwnedFd> = owned.collect();
    owned.into_iter().next()
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Largest message in bytes: a start message of a lease with the most devices fits.
const MESSAGE_LEN_MAX: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::Shutdown;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_message_comes_with_its_socket() {
        let (daemon, worker) = Channel::pair().unwrap();
        let (near, mut far) = UnixStream::pair().unwrap();
        daemon.send(&ToWorker::Side, Some(near.as_fd())).unwrap();
        drop(near);
        let (message, fd) = worker.receive::<ToWorker>().unwrap().unwrap();
        assert_eq!(message, ToWorker::Side);
        let mut passed = UnixStream::from(fd.unwrap());
        passed.write_all(b"through").unwrap();
        passed.shutdown(Shutdown::Both).unwrap();
        let mut text = String::new();
        far.read_to_string(&mut text).unwrap();
        assert_eq!(text, "through");
    }

    #[test]
    fn the_end_of_the_other_end_is_none() {
        let (daemon, worker) = Channel::pair().unwrap();
        worker
            .send(
                &ToDaemon::Release {
                    device: 0,
                    bytes: 1,
                },
                None,
            )
            .unwrap();
        drop(worker);
        assert!(daemon.hear::<ToDaemon>().unwrap().is_some());
        assert!(daemon.hear::<ToDaemon>().unwrap().is_none());
        assert!(daemon.send(&ToWorker::Side, None).is_err());
    }

    #[test]
    fn descriptors_that_nobody_asked_for_do_not_stay_open() {
        for count in 1..5 {
            let (daemon, worker) = Channel::pair().unwrap();
            let (near, mut far) = UnixStream::pair().unwrap();
            let raw = vec![near.as_raw_fd(); count];
            let json = serde_json::to_vec(&ToDaemon::Usage {
                ticket: 1,
                device: 0,
            });
            let json = json.unwrap();
            let (parts, rights) = ([IoSlice::new(&json)], [ControlMessage::ScmRights(&raw)]);
            let flags = MsgFlags::empty();
            sendmsg::<()>(worker.0.as_raw_fd(), &parts, &rights, flags, None).unwrap();
            drop(near);
            // A message or a fault: either way the other end sees that nobody has the socket.
            let _ = daemon.hear::<ToDaemon>();
            far.set_nonblocking(true).unwrap();
            assert_eq!(far.read(&mut [0; 1]).unwrap(), 0, "{count} descriptors");
        }
    }

    #[test]
    fn what_is_no_message_is_an_error() {
        let (daemon, worker) = Channel::pair().unwrap();
        worker.send(&"hello", None).unwrap();
        let error = daemon.hear::<ToDaemon>().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(worker.send(&"x".repeat(MESSAGE_LEN_MAX), None).is_err());
    }
}
