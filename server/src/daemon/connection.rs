//! One connection of the daemon: its first message says what it is for.

use std::io::{self, Read};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use flexdirect_wire::control::{
    self, Answer, Attach, Lane, Reason, Refusal, Request, Share, VERSION,
};

use super::conversation::{STEP, Timed, forget_limits, forget_watch, watch};
use super::{House, refuse};
use crate::lease::Secret;
use crate::scheduler;

/// Serves a connection to its end, or hands it to a worker.
pub(super) fn serve(house: &Arc<House>, stream: TcpStream, peer: SocketAddr) {
    match converse(house, stream) {
        Ok(()) => {}
        Err(Failure::Refused(refusal)) => tracing::info!("{peer} refused: {}", refusal.text),
        Err(Failure::Lost(error)) => tracing::debug!("{peer}: {error}"),
    }
}

/// Why a conversation ended early.
enum Failure {
    Lost(io::Error),
    Refused(Refusal),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Lost(error)
    }
}

fn converse(house: &Arc<House>, stream: TcpStream) -> Result<(), Failure> {
    stream.set_nodelay(true)?;
    watch(&stream, house.config.grace)?;
    let request = control::read::<Request>(&mut Timed::new(&stream, STEP))?;
    let refused = stream.try_clone()?;
    let result = match request {
        Request::List { version } => agree(version).map_err(Failure::Refused).and_then(|()| {
            answer(&stream, &devices(house))?;
            Ok(())
        }),
        Request::Claim {
            version,
            devices,
            share,
            client,
        } => {
            let client = printable(&client);
            agree(version)
                .map_err(Failure::Refused)
                .and_then(|()| claim(house, stream, devices, share, &client))
        }
        Request::Attach(asked) => agree(asked.version)
            .and_then(|()| attach(house, stream, &asked))
            .map_err(Failure::Refused),
    };
    if let Err(Failure::Refused(refusal)) = &result {
        refuse(&refused, refusal.clone());
    }
    result
}

fn agree(version: u32) -> Result<(), Refusal> {
    if version == VERSION {
        return Ok(());
    }
    let text = format!(
        "the client speaks version {version} of the protocol and this server {VERSION}: install \
         the same release of FlexDirect on both"
    );
    Err(Refusal {
        reason: Reason::Version,
        text,
    })
}

fn devices(house: &House) -> Answer {
    let books = house.books();
    Answer::Devices {
        server_version: env!("CARGO_PKG_VERSION").to_owned(),
        leases: books.pool.leases(),
        devices: books.pool.devices().to_vec(),
    }
}

/// Grants a lease and holds it for as long as the connection is open.
fn claim(
    house: &Arc<House>,
    mut stream: TcpStream,
    devices: u32,
    share: Share,
    client: &str,
) -> Result<(), Failure> {
    let secret = Secret::new(random()?);
    let lease = house
        .books()
        .pool
        .claim(devices, share, secret)
        .map_err(Failure::Refused)?;
    let held = HeldLease {
        house,
        lease: lease.lease,
    };
    tracing::info!("lease {}: {} for {client}", held.lease, said(&lease));
    answer(&stream, &Answer::Leased(lease))?;
    forget_limits(&stream)?;
    // Nothing more is said on this connection: whatever comes, its end or a byte, ends the lease.
    let end = loop {
        match stream.read(&mut [0; 1]) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            end => break end,
        }
    };
    match end {
        Ok(0) => tracing::debug!("lease {}: given back", held.lease),
        Ok(_) => tracing::warn!(
            "lease {}: ended, its holder said more than it may",
            held.lease
        ),
        Err(error) => tracing::info!("lease {}: its holder is lost: {error}", held.lease),
    }
    Ok(())
}

/// Ends the lease on every way out of [`claim`].
struct HeldLease<'a> {
    house: &'a Arc<House>,
    lease: u64,
}

impl Drop for HeldLease<'_> {
    fn drop(&mut self) {
        self.house.end_lease(self.lease);
        tracing::info!("lease {}: ended", self.lease);
    }
}

/// Hands the connection to the worker of its session; the first one starts it.
fn attach(house: &Arc<House>, stream: TcpStream, asked: &Attach) -> Result<(), Refusal> {
    let failed = |error: io::Error| Refusal {
        reason: Reason::Failed,
        text: format!(
            "the worker of session {} failed: {error}",
            printable(&asked.session)
        ),
    };
    forget_limits(&stream).map_err(failed)?;
    forget_watch(&stream).map_err(failed)?;
    match asked.lane {
        Lane::Main => {
            let session = house
                .books()
                .pool
                .open(asked.lease, &asked.secret, &asked.session)?;
            house.start_worker(asked, session, &stream).map_err(failed)
        }
        Lane::Side => {
            let mut books = house.books();
            let session = books
                .pool
                .find(asked.lease, &asked.secret, &asked.session)?;
            let worker = books.workers.get(&session).cloned();
            drop(books);
            let gone = || failed(io::ErrorKind::BrokenPipe.into());
            worker.ok_or_else(gone)?.hand_side(&stream).map_err(failed)
        }
    }
}

fn answer(stream: &TcpStream, answer: &Answer) -> io::Result<()> {
    control::write(&mut Timed::new(stream, STEP), answer)
}

/// A lease in words, with the rounding that a fraction brings.
fn said(lease: &control::Lease) -> String {
    let devices = lease.devices.iter().map(|device| {
        format!(
            "GPU {} ({} MiB)",
            device.ordinal,
            device.memory / scheduler::MIB
        )
    });
    devices.collect::<Vec<_>>().join(", ")
}

/// What a peer says about itself, fit for a log: no control characters, no end of lines, not long.
fn printable(text: &str) -> String {
    let kept = text.chars().take(CLIENT_LEN_MAX);
    kept.map(|c| if c.is_control() { '?' } else { c }).collect()
}

fn random() -> io::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    std::fs::File::open(Path::new("/dev/urandom"))?.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Characters of a client's description that are logged.
const CLIENT_LEN_MAX: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_cannot_write_lines_into_the_log() {
        assert_eq!(
            printable("me\n[INFO] lease 1: ended\x1b[2J"),
            "me?[INFO] lease 1: ended?[2J"
        );
        assert_eq!(printable(&"é".repeat(500)).chars().count(), CLIENT_LEN_MAX);
    }

    #[test]
    fn another_version_is_refused_with_what_to_do() {
        let refusal = agree(VERSION + 1).unwrap_err();
        assert_eq!(refusal.reason, Reason::Version);
        assert!(refusal.text.contains("same release"));
    }

    #[test]
    fn secrets_differ() {
        assert_ne!(random().unwrap(), random().unwrap());
    }
}
