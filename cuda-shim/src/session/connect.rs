//! From the lease file to a running session: the slow, readable side of the protocol.

use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::os::fd::{AsRawFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use flexdirect_transport::Link;
use flexdirect_transport::connect::{self, Choice, Mechanism, Peer, Streams};
use flexdirect_transport::tcp::Options;
use flexdirect_wire::abi::CuError;
use flexdirect_wire::control::{
    self, Answer, Attach, LEASE_VARIABLE, Lane, LeaseFile, Reason, Refusal, Request, Snapshot,
    VERSION,
};
use flexdirect_wire::limits::{CHUNK_LEN, CONTROL_TIMEOUT_MS, DEVICES_MAX};

use super::Session;
use crate::log;

/// Newest version of the table of calls, as `cuDriverGetVersion` counts.
pub(crate) const TABLE_VERSION: u32 = 13_050;

/// A session and what the worker has told.
#[derive(Debug)]
pub(crate) struct Connected {
    pub(crate) session: Arc<Session>,
    pub(crate) snapshot: Snapshot,
    /// Those of the link, which has them until the session is dropped.
    pub(crate) sockets: [RawFd; 2],
}

/// A link, what the worker has told, and the link's sockets.
type Attached = (Arc<dyn Link>, Snapshot, [RawFd; 2]);

/// Why there is no session: a line for people and a code for the application.
#[derive(Debug)]
pub(crate) struct NotConnected {
    text: String,
    /// What cuInit returns.
    pub(crate) code: CuError,
}

impl fmt::Display for NotConnected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Connects to the server that the process's lease is on.
///
/// # Errors
/// [`NotConnected`]: no lease, no server, or the server says no.
pub(crate) fn connect() -> Result<Connected, NotConnected> {
    let lease = lease()?;
    let (link, snapshot, sockets) = attach(&lease)?;
    let name = link.name();
    let session = Session::start(link, lease.server.clone(), &snapshot)
        .map_err(|error| not_ready(&lease, &format!("no thread: {error}")))?;
    let devices = snapshot.devices.len();
    log::info!(
        "connected to {} by {name}, {devices} device(s)",
        lease.server
    );
    Ok(Connected {
        session,
        snapshot,
        sockets,
    })
}

/// What the process's lease says `cuDriverGetVersion` is, without connecting.
pub(crate) fn leased_driver_version() -> Option<u32> {
    lease().ok().map(|lease| lease.driver_version)
}

fn lease() -> Result<LeaseFile, NotConnected> {
    let path = std::env::var_os(LEASE_VARIABLE).map(PathBuf::from);
    read_lease(path.as_deref())
}

fn read_lease(path: Option<&Path>) -> Result<LeaseFile, NotConnected> {
    let no_lease = |text| NotConnected {
        text,
        code: CuError::NO_DEVICE,
    };
    let path = path.ok_or_else(|| no_lease(NO_LEASE.to_owned()))?;
    let bytes = std::fs::read(path).map_err(|error| {
        no_lease(format!(
            "lease {}: {error}; is its `flexdirect run` over?",
            path.display()
        ))
    })?;
    let lease: LeaseFile = serde_json::from_slice(&bytes)
        .map_err(|error| no_lease(format!("lease {}: {error}", path.display())))?;
    Ok(lease)
}

fn attach(lease: &LeaseFile) -> Result<Attached, NotConnected> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => {
            not_ready(lease, "no answer in time")
        }
        _ => not_ready(lease, &error.to_string()),
    };
    let mechanism = mechanism(lease)?;
    let session = session_name();
    let request = |lane| {
        Request::Attach(Attach {
            version: VERSION,
            lease: lease.lease,
            secret: lease.secret.clone(),
            session: session.clone(),
            lane,
            process: std::process::id(),
            table_version: TABLE_VERSION,
        })
    };
    let (main, answer) = ask(lease, &request(Lane::Main)).map_err(failed)?;
    let snapshot = match answer {
        Answer::Welcome(snapshot) => check(lease, *snapshot)?,
        Answer::Refused(refusal) => return Err(refused(lease, &refusal)),
        other => return Err(not_ready(lease, &format!("it answered {other:?}"))),
    };
    let (side, answer) = ask(lease, &request(Lane::Side)).map_err(failed)?;
    match answer {
        Answer::Ready => {}
        Answer::Refused(refusal) => return Err(refused(lease, &refusal)),
        other => return Err(not_ready(lease, &format!("it answered {other:?}"))),
    }
    let sockets = [main.as_raw_fd(), side.as_raw_fd()];
    let lost_after = Duration::from_millis(lease.grace_ms.max(1000));
    let options = Options {
        lost_after,
        ..Options::default()
    };
    let link = (mechanism.establish)(Streams { main, side }, options).map_err(failed)?;
    Ok((link, snapshot, sockets))
}

/// How bytes are to cross. Hello is exchanged over TCP, so that is what the server can do.
fn mechanism(lease: &LeaseFile) -> Result<&'static Mechanism, NotConnected> {
    let peer = Peer {
        links: vec!["tcp".to_owned()],
        same_host: false,
    };
    let choice: Result<Choice, _> = lease.transport.parse();
    let chosen = choice.and_then(|choice| connect::choose(&choice, &peer));
    chosen
        .map(|chosen| chosen.mechanism)
        .map_err(|error| not_ready(lease, &error.to_string()))
}

/// One connection: its request and the answer.
fn ask(lease: &LeaseFile, request: &Request) -> io::Result<(TcpStream, Answer)> {
    let step = Duration::from_millis(CONTROL_TIMEOUT_MS);
    let mut stream = dial(&lease.server, step)?;
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(step))?;
    // The worker starts its driver before it answers, which takes longer than a step.
    stream.set_read_timeout(Some(step.max(Duration::from_millis(lease.grace_ms))))?;
    control::write(&mut stream, request)?;
    let answer = control::read(&mut stream)?;
    stream.set_read_timeout(None)?;
    stream.set_write_timeout(None)?;
    Ok((stream, answer))
}

fn dial(server: &str, timeout: Duration) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in server.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, timeout) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// A snapshot is a peer's word: what this end builds on must hold.
fn check(lease: &LeaseFile, snapshot: Snapshot) -> Result<Snapshot, NotConnected> {
    if snapshot.version != VERSION {
        let text = format!("it speaks version {}, not {VERSION}", snapshot.version);
        return Err(NotConnected {
            code: CuError::SYSTEM_DRIVER_MISMATCH,
            ..not_ready(lease, &text)
        });
    }
    if snapshot.devices.len() > DEVICES_MAX {
        return Err(not_ready(
            lease,
            &format!("it has {} devices", snapshot.devices.len()),
        ));
    }
    if !(2 * CHUNK_LEN as u64..=SLAB_LEN_MAX).contains(&snapshot.slab_len) {
        return Err(not_ready(
            lease,
            &format!("its slab has {} bytes", snapshot.slab_len),
        ));
    }
    Ok(snapshot)
}

fn refused(lease: &LeaseFile, refusal: &Refusal) -> NotConnected {
    let code = match refusal.reason {
        Reason::Version => CuError::SYSTEM_DRIVER_MISMATCH,
        Reason::Bad | Reason::Denied | Reason::Failed | Reason::Full => CuError::SYSTEM_NOT_READY,
    };
    NotConnected {
        text: format!("server {} refused: {}", lease.server, refusal.text),
        code,
    }
}

fn not_ready(lease: &LeaseFile, text: &str) -> NotConnected {
    let text = format!("server {}: {text}", lease.server);
    NotConnected {
        text,
        code: CuError::SYSTEM_NOT_READY,
    }
}

/// A name that no other process of the lease has chosen or will choose.
fn session_name() -> String {
    let random = std::collections::hash_map::RandomState::new()
        .build_hasher()
        .finish();
    format!("{}-{random:016x}", std::process::id())
}

const NO_LEASE: &str = "no lease: start the program with `flexdirect run -n 1 -- ...`";
/// Beyond any slab that a server has, so that positions never overflow.
const SLAB_LEN_MAX: u64 = 1 << 40;

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// A server that answers one connection after the other, and the requests that it got.
    fn serve(answers: Vec<Answer>) -> (LeaseFile, std::thread::JoinHandle<Vec<Request>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let lease = LeaseFile {
            server: listener.local_addr().unwrap().to_string(),
            lease: 7,
            secret: "00ff".to_owned(),
            driver_version: TABLE_VERSION - 10,
            transport: "auto".to_owned(),
            grace_ms: 1000,
        };
        let serving = std::thread::spawn(move || {
            let answer = |answer| {
                let (mut stream, _) = listener.accept().unwrap();
                let request = control::read(&mut stream).unwrap();
                control::write(&mut stream, &answer).unwrap();
                request
            };
            answers.into_iter().map(answer).collect()
        });
        (lease, serving)
    }

    fn welcome(change: impl FnOnce(&mut Snapshot)) -> Answer {
        let mut snapshot = crate::fake::snapshot(1);
        change(&mut snapshot);
        Answer::Welcome(Box::new(snapshot))
    }

    #[test]
    fn two_lanes_make_a_session() {
        let (lease, serving) = serve(vec![welcome(|_| {}), Answer::Ready]);
        let (link, snapshot, _) = attach(&lease).unwrap();
        assert_eq!((link.name(), snapshot.devices.len()), ("tcp", 1));
        let requests = serving.join().unwrap();
        let lanes: Vec<(Lane, String)> = requests
            .into_iter()
            .map(|request| match request {
                Request::Attach(attach) => {
                    assert_eq!((attach.lease, attach.secret.as_str()), (7, "00ff"));
                    (attach.lane, attach.session)
                }
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!((lanes[0].0, lanes[1].0), (Lane::Main, Lane::Side));
        assert_eq!(lanes[0].1, lanes[1].1, "of one session");
    }

    #[test]
    fn a_refusal_is_told_with_its_reason() {
        let refusal = |reason| {
            Answer::Refused(Refusal {
                reason,
                text: "lease 7 is over".into(),
            })
        };
        let (lease, _serving) = serve(vec![refusal(Reason::Denied)]);
        let refused = attach(&lease).unwrap_err();
        assert_eq!(refused.code, CuError::SYSTEM_NOT_READY);
        assert!(refused.to_string().contains("lease 7 is over"), "{refused}");
        let (lease, _serving) = serve(vec![refusal(Reason::Version)]);
        assert_eq!(
            attach(&lease).unwrap_err().code,
            CuError::SYSTEM_DRIVER_MISMATCH
        );
        let (lease, _serving) = serve(vec![welcome(|_| {}), refusal(Reason::Failed)]);
        assert_eq!(attach(&lease).unwrap_err().code, CuError::SYSTEM_NOT_READY);
    }

    #[test]
    fn a_snapshot_is_not_believed() {
        let changes: [fn(&mut Snapshot); 4] = [
            |snapshot| snapshot.version += 1,
            |snapshot| snapshot.slab_len = CHUNK_LEN as u64,
            |snapshot| snapshot.slab_len = u64::MAX,
            |snapshot| snapshot.devices = vec![snapshot.devices[0].clone(); DEVICES_MAX + 1],
        ];
        for change in changes {
            let (lease, _serving) = serve(vec![welcome(change)]);
            attach(&lease).map(drop).unwrap_err();
        }
        let (lease, _serving) = serve(vec![Answer::Ready]);
        assert!(attach(&lease).is_err(), "an answer to something else");
    }

    #[test]
    fn without_a_server_or_lease_there_is_a_reason() {
        let (mut lease, _serving) = serve(Vec::new());
        lease.transport = "pigeon".to_owned();
        assert!(attach(&lease).unwrap_err().to_string().contains("pigeon"));
        let none = read_lease(None).unwrap_err();
        assert_eq!(none.code, CuError::NO_DEVICE);
        assert!(none.to_string().contains("flexdirect run"));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lease");
        assert!(
            read_lease(Some(&path))
                .unwrap_err()
                .to_string()
                .contains("is its")
        );
        std::fs::write(&path, "{}").unwrap();
        assert_eq!(
            read_lease(Some(&path)).unwrap_err().code,
            CuError::NO_DEVICE
        );
        std::fs::write(&path, serde_json::to_vec(&lease).unwrap()).unwrap();
        assert_eq!(read_lease(Some(&path)).unwrap(), lease);
    }
}
