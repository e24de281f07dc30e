//! Control conversations over TCP: every step has an end, and a host that is lost is noticed.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use flexdirect_wire::control::{self, Answer, Request};
use flexdirect_wire::limits::CONTROL_TIMEOUT_MS;
use nix::sys::socket::{setsockopt, sockopt};

/// A stream whose reads and writes all end by one deadline, however slowly the peer drips.
#[derive(Debug)]
pub struct Timed<'a> {
    stream: &'a TcpStream,
    deadline: Instant,
}

impl<'a> Timed<'a> {
    /// Gives everything that follows `limit` in all.
    pub fn new(stream: &'a TcpStream, limit: Duration) -> Self {
        Self {
            stream,
            deadline: Instant::now() + limit,
        }
    }

    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            Err(io::ErrorKind::TimedOut.into())
        } else {
            Ok(Some(left))
        }
    }
}

impl Read for Timed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.left()?)?;
        self.stream.read(buffer).map_err(timed_out)
    }
}

impl Write for Timed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        self.stream.write(bytes).map_err(timed_out)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Time for one step of a conversation.
pub const STEP: Duration = Duration::from_millis(CONTROL_TIMEOUT_MS);

/// Connects, asks and reads the answer, all within [`STEP`]. The connection stays open with what it
/// stands for (a lease, a session).
///
/// # Errors
/// What the system says; `InvalidData` for a peer that does not speak the protocol, `TimedOut` for
/// one that does not answer.
pub fn ask(address: SocketAddr, request: &Request) -> io::Result<(TcpStream, Answer)> {
    let started = Instant::now();
    let stream = TcpStream::connect_timeout(&address, STEP)?;
    stream.set_nodelay(true)?;
    let mut timed = Timed {
        stream: &stream,
        deadline: started + STEP,
    };
    control::write(&mut timed, request)?;
    let answer = control::read(&mut timed).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            let text = "the peer closed the connection without an answer";
            io::Error::new(io::ErrorKind::InvalidData, text)
        }
        _ => error,
    })?;
    forget_limits(&stream)?;
    Ok((stream, answer))
}

/// Takes back the limits of [`Timed`]: they belong to the socket, not to the descriptor.
///
/// # Errors
/// What the system says.
pub fn forget_limits(stream: &TcpStream) -> io::Result<()> {
    stream.set_read_timeout(None)?;
    stream.set_write_timeout(None)
}

/// Has the system end a connection whose other host has not answered for `grace`.
///
/// A stopped process is not lost: its kernel answers for it.
///
/// # Errors
/// What the system says.
pub fn watch(stream: &TcpStream, grace: Duration) -> io::Result<()> {
    // Below two seconds there is no room for a probe and an answer.
    let seconds = u32::try_from(grace.as_secs())
        .unwrap_or(u32::MAX)
        .clamp(2, KEEP_S_MAX);
    let idle_s = seconds / 2;
    let interval_s = ((seconds - idle_s) / PROBES).max(1);
    let timeout_ms = seconds * 1000;
    setsockopt(stream, sockopt::KeepAlive, &true)?;
    setsockopt(stream, sockopt::TcpKeepIdle, &idle_s)?;
    setsockopt(stream, sockopt::TcpKeepInterval, &interval_s)?;
    setsockopt(stream, sockopt::TcpKeepCount, &PROBES)?;
    setsockopt(stream, sockopt::TcpUserTimeout, &timeout_ms)?;
    Ok(())
}

/// Takes back the part of [`watch`] that also ends a connection whose peer has stopped reading: on
/// a link that is no sign of a lost host, and the link watches for itself.
///
/// # Errors
/// What the system says.
pub fn forget_watch(stream: &TcpStream) -> io::Result<()> {
    Ok(setsockopt(stream, sockopt::TcpUserTimeout, &0)?)
}

/// What a socket's time limit looks like, said as what it is.
fn timed_out(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock => io::ErrorKind::TimedOut.into(),
        _ => error,
    }
}

/// Probes that go unanswered before the other host counts as lost.
const PROBES: u32 = 3;

/// Longest keep-alive time that Linux takes (`MAX_TCP_KEEPIDLE`).
const KEEP_S_MAX: u32 = 32_767;

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use nix::sys::socket::getsockopt;

    use super::*;

    #[test]
    fn a_peer_that_says_nothing_ends_in_time_out() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut timed = Timed::new(&near, Duration::from_millis(20));
        let error = control::read::<Answer>(&mut timed).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn another_protocol_is_invalid_data() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"SSH-2.0-OpenSSH_9.6\r\n").unwrap();
            // Held open until the other end has gone.
            let _ = stream.read_to_end(&mut Vec::new());
        });
        let error = ask(
            address,
            &Request::List {
                version: control::VERSION,
            },
        )
        .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        server.join().unwrap();
    }

    #[test]
    fn a_link_is_not_ended_by_a_peer_that_does_not_read() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let timeout_ms = || getsockopt(&near, sockopt::TcpUserTimeout).unwrap();
        watch(&near, STEP).unwrap();
        assert_eq!(timeout_ms(), 3_000);
        forget_watch(&near).unwrap();
        assert_eq!(timeout_ms(), 0);
    }

    #[test]
    fn watching_takes_any_grace() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        for grace in [Duration::ZERO, Duration::from_secs(30), Duration::MAX] {
            watch(&near, grace).unwrap();
        }
    }
}
