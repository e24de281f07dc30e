//! Asking the servers, choosing one, holding a lease: what happens before an application starts.

use std::io::{self, Read};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use flexdirect_server::daemon::conversation::{self, STEP};
use flexdirect_server::scheduler::{self, MIB};
use flexdirect_wire::control::{
    Answer, DeviceState, Lease, Reason, Refusal, Request, Share, VERSION,
};

use crate::child;
use crate::exit::{Code, Failure, code_of};
use crate::log::printable;
use crate::servers::Address;

/// What is wanted from the pool.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// GPUs.
    pub(crate) count: u32,
    /// Share of each.
    pub(crate) share: Share,
    /// Who asks, for the server's log.
    pub(crate) client: String,
    /// How long to wait for room.
    pub(crate) patience: Patience,
    /// Time after which a host that does not answer is lost.
    pub(crate) grace: Duration,
}

/// How long to wait for free GPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Not at all.
    None,
    /// This long.
    For(Duration),
    /// As long as it takes.
    Forever,
}

/// What a server said about itself.
#[derive(Clone, Debug)]
pub(crate) struct Listing {
    /// The address that answered.
    pub(crate) peer: SocketAddr,
    pub(crate) version: String,
    pub(crate) leases: u32,
    pub(crate) devices: Vec<DeviceState>,
}

/// A lease, for as long as this lives.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) stream: TcpStream,
    pub(crate) server: Address,
    pub(crate) peer: SocketAddr,
    pub(crate) lease: Lease,
}

/// Asks every server at once. An answer, or why there is none, for each in list order.
pub(crate) fn query(servers: &[Address]) -> Vec<Result<Listing, String>> {
    let (sender, answers) = mpsc::channel();
    let started = child::start_deaf(|| {
        for (at, server) in servers.iter().cloned().enumerate() {
            let sender = sender.clone();
            // Not joined: a name server may take longer than anybody waits.
            thread::spawn(move || {
                let _ = sender.send((at, list(&server)));
            });
        }
    });
    if let Err(error) = started {
        tracing::debug!("signals: {error}");
    }
    drop(sender);
    let deadline = Instant::now() + QUERY_LIMIT;
    let mut listings = vec![Err(format!("no answer for {} s", STEP.as_secs())); servers.len()];
    while let Ok((at, answer)) =
        answers.recv_timeout(deadline.saturating_duration_since(Instant::now()))
    {
        listings[at] = answer;
    }
    listings
}

fn list(server: &Address) -> Result<Listing, String> {
    let addresses = server
        .resolve()
        .map_err(|error| format!("unknown host: {error}"))?;
    let mut reason = "the name has no address".to_owned();
    for peer in addresses {
        match conversation::ask(peer, &Request::List { version: VERSION }) {
            Ok((
                _,
                Answer::Devices {
                    server_version,
                    leases,
                    devices,
                },
            )) => {
                return Ok(Listing {
                    peer,
                    version: server_version,
                    leases,
                    devices,
                });
            }
            Ok((_, Answer::Refused(refusal))) => return Err(printable(&refusal.text)),
            Ok(_) => reason = "it gave an answer to another question".to_owned(),
            Err(error) => reason = describe(&error),
        }
    }
    Err(reason)
}

/// Gets a lease on one server, the one where it fits best, or says why there is none.
pub(crate) fn acquire(servers: &[Address], wanted: &Wanted) -> Result<Held, Failure> {
    scheduler::check(wanted.count, wanted.share)
        .map_err(|refusal| Failure::new(Code::Usage, refusal.text))?;
    let started = Instant::now();
    for server in servers {
        tracing::info!("Query server {server} gpu availability");
    }
    let mut has_waited = false;
    loop {
        let listings = query(servers);
        report_unreachable(servers, &listings, has_waited);
        let answered: Vec<(&Address, &Listing)> = servers
            .iter()
            .zip(&listings)
            .filter_map(|(server, listing)| Some((server, listing.as_ref().ok()?)))
            .collect();
        if answered.is_empty() {
            return Err(unreachable_pool(servers, &listings));
        }
        if !has_waited {
            let names: Vec<String> = answered
                .iter()
                .map(|(server, _)| server.to_string())
                .collect();
            tracing::info!("Choosing GPUs from server list [{}]", names.join(", "));
        }
        if let Some(held) = claim_best(servers, &answered, wanted)? {
            return Ok(held);
        }
        let is_possible = answered
            .iter()
            .any(|(_, listing)| scheduler::possible(&listing.devices, wanted.count, wanted.share));
        let left = match wanted.patience {
            Patience::Forever => Duration::MAX,
            Patience::For(limit) => limit.saturating_sub(started.elapsed()),
            Patience::None => Duration::ZERO,
        };
        if !is_possible || left.is_zero() {
            return Err(full(&answered, wanted, is_possible));
        }
        if !has_waited {
            tracing::info!("Waiting for {} free GPUs", wanted.count);
            has_waited = true;
        }
        // The protocol has no message yet for "there is room now", so the servers are asked again.
        thread::sleep(POLL.min(left));
    }
}

/// Claims on the server where the least stays free; on the next best if somebody was faster.
fn claim_best(
    servers: &[Address],
    answered: &[(&Address, &Listing)],
    wanted: &Wanted,
) -> Result<Option<Held>, Failure> {
    let mut fits: Vec<(u64, usize, Vec<usize>)> = answered
        .iter()
        .enumerate()
        .filter_map(|(at, (_, listing))| {
            let chosen = scheduler::choose(&listing.devices, wanted.count, wanted.share)?;
            Some((
                scheduler::left_over(&listing.devices, &chosen, wanted.share),
                at,
                chosen,
            ))
        })
        .collect();
    fits.sort();
    for (_, at, chosen) in fits {
        let (server, listing) = answered[at];
        let position = servers
            .iter()
            .position(|other| other == server)
            .unwrap_or(at);
        let devices: Vec<&DeviceState> = chosen
            .iter()
            .filter_map(|&at| listing.devices.get(at))
            .collect();
        let ordinals: Vec<String> = devices.iter().map(|d| d.ordinal.to_string()).collect();
        let bytes = devices
            .first()
            .and_then(|d| scheduler::share_bytes(d.memory, wanted.share));
        tracing::info!(
            "Requesting GPUs [{}] with {} MiB of memory from server {position}, with version {}",
            ordinals.join(", "),
            bytes.unwrap_or(0) / MIB,
            listing.version
        );
        match claim(server, listing.peer, wanted) {
            Err(refusal) if refusal.reason == Reason::Full => {
                tracing::debug!("{server}: {}", refusal.text);
            }
            Err(refusal) => {
                let text = format!("server {server} refused: {}", refusal.text);
                return Err(Failure::new(code_of(&refusal), text));
            }
            Ok(held) => return Ok(Some(held)),
        }
    }
    Ok(None)
}

fn claim(server: &Address, peer: SocketAddr, wanted: &Wanted) -> Result<Held, Refusal> {
    let failed = |text: String| Refusal {
        reason: Reason::Failed,
        text,
    };
    let request = Request::Claim {
        version: VERSION,
        devices: wanted.count,
        share: wanted.share,
        client: wanted.client.clone(),
    };
    match conversation::ask(peer, &request) {
        Ok((stream, Answer::Leased(lease))) => {
            conversation::watch(&stream, wanted.grace)
                .map_err(|error| failed(error.to_string()))?;
            Ok(Held {
                stream,
                server: server.clone(),
                peer,
                lease,
            })
        }
        Ok((_, Answer::Refused(refusal))) => Err(refusal),
        Ok(_) => Err(failed("it gave an answer to another question".to_owned())),
        Err(error) => Err(failed(describe(&error))),
    }
}

impl Held {
    /// Gives the lease back and waits until the server has its memory again, so that whoever asks
    /// next finds it free. A server that has died has nothing to give back.
    pub(crate) fn release(mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
        let _ = self.stream.set_read_timeout(Some(RELEASE_LIMIT));
        match self.stream.read(&mut [0; 1]) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                tracing::warn!("server {} still ends the lease", self.server);
            }
            _ => {}
        }
    }
}

fn report_unreachable(servers: &[Address], listings: &[Result<Listing, String>], is_known: bool) {
    for (server, listing) in servers.iter().zip(listings) {
        match listing {
            Err(reason) if !is_known => {
                tracing::warn!("Error contacting server {server}: {reason}")
            }
            Err(reason) => tracing::debug!("Error contacting server {server}: {reason}"),
            Ok(_) => {}
        }
    }
}

/// The failure when no server has answered.
pub(crate) fn unreachable_pool(
    servers: &[Address],
    listings: &[Result<Listing, String>],
) -> Failure {
    let reasons: Vec<String> = servers
        .iter()
        .zip(listings)
        .filter_map(|(server, listing)| Some(format!("{server}: {}", listing.as_ref().err()?)))
        .collect();
    let text = format!(
        "no server can be reached ({}); check the address, and that 'flexdirect \
         resource_scheduler' runs there",
        reasons.join("; ")
    );
    Failure::new(Code::Unavailable, text)
}

fn full(answered: &[(&Address, &Listing)], wanted: &Wanted, is_possible: bool) -> Failure {
    let state: Vec<String> = answered
        .iter()
        .map(|(server, listing)| {
            let devices = listing.devices.iter().map(|device| {
                let (free, memory) = (device.free / MIB, device.memory / MIB);
                format!("GPU {} {free} MiB of {memory} MiB free", device.ordinal)
            });
            format!("{server}: {}", devices.collect::<Vec<_>>().join(", "))
        })
        .collect();
    let what = format!(
        "{} GPUs ({})",
        wanted.count,
        scheduler::describe(wanted.share)
    );
    let state = state.join("; ");
    let text = if is_possible {
        format!(
            "not enough free GPUs: no one server has {what} free ({state}); ask for \
             less, or wait with --timeout 10m"
        )
    } else {
        format!("not enough GPUs: no one server has {what} at all ({state}); ask for less")
    };
    Failure::new(Code::Full, text)
}

fn describe(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::TimedOut => format!("no answer for {} s", STEP.as_secs()),
        io::ErrorKind::InvalidData => format!("not a FlexDirect server: {error}"),
        _ => error.to_string(),
    }
}

/// How long all servers together have to answer: a conversation's step and a little for names.
const QUERY_LIMIT: Duration = Duration::from_millis(3_500);

/// How often servers are asked while waiting for room.
const POLL: Duration = Duration::from_secs(1);

/// How long a server may take to kill and reap the workers of a lease.
const RELEASE_LIMIT: Duration = Duration::from_secs(10);
