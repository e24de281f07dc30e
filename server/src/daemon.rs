//! The daemon (`resource_scheduler`): owns a host's devices, grants leases, starts workers.
//!
//! ```text
//!  accept ──▶ connection thread ── List, Claim ──▶ lease::Pool
//!                               └─ Attach ──────▶ sessions ──▶ one worker per client process
//! ```
//! It opens no driver and holds no tenant's data: what a worker is told is its own session. What
//! must survive nothing is kept nowhere: a lease lives as long as its connection, a worker as long
//! as the daemon.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use flexdirect_wire::control::{Answer, Reason, Refusal};
use flexdirect_wire::limits::CONNECTIONS_MAX;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::device::{self, Choice, Found, NoDevice, Places};
use crate::lease::{Pool, SessionId};
use sessions::{Spawner, Worker};

mod connection;
pub mod conversation;
mod sessions;

/// What a daemon is told at its start.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where it listens; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Which driver.
    pub choice: Choice,
    /// Where drivers may be.
    pub places: Places,
    /// Which of the driver's devices.
    pub selection: Selection,
    /// Time after which a host that does not answer is lost.
    pub grace: Duration,
    /// The `flexdirect` program, whose `worker` command is started.
    pub program: PathBuf,
}

/// Which of a driver's devices a daemon offers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Selection {
    /// All.
    #[default]
    All,
    /// The first so many.
    First(u32),
    /// Those with these ordinals.
    Listed(Vec<u32>),
}

/// Why a daemon did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Its own program or threads cannot be started.
    #[error("cannot start the threads of the daemon: {0}")]
    Host(#[from] io::Error),
    /// The address is taken, or not this host's.
    #[error(
        "cannot listen on {address}: {error}; another resource_scheduler may run there: stop it, \
         or choose another port with -s"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        error: io::Error,
    },
    /// No driver has a device.
    #[error("no GPU to serve: {0}; --device soft serves GPUs made of CPUs")]
    NoDevice(#[from] NoDevice),
    /// The selection names devices that are not there.
    #[error("{asked} asked for, but the driver has {count} (0 to {}); see -n and -d", count - 1)]
    Selection {
        /// What was asked for.
        asked: String,
        /// Devices of the driver.
        count: usize,
    },
}

/// A daemon that listens.
#[derive(Debug)]
pub struct Daemon {
    house: Arc<House>,
    listener: TcpListener,
}

/// What all threads of a daemon share.
#[derive(Debug)]
struct House {
    config: Config,
    found: Found,
    /// Ordinals of the driver, by position among the pool's devices.
    ordinals: Vec<u32>,
    books: Mutex<Books>,
    /// A session has closed.
    closed: Condvar,
    spawner: Spawner,
    connections: AtomicUsize,
}

/// What must be consistent at any moment.
#[derive(Debug)]
struct Books {
    pool: Pool,
    workers: HashMap<SessionId, Arc<Worker>>,
}

impl Daemon {
    /// Looks for devices and listens. Connections queue until [`Daemon::serve`].
    ///
    /// # Errors
    /// [`StartError`], whose text says what to do.
    pub fn start(config: Config) -> Result<Self, StartError> {
        raise_descriptor_limit();
        let listener = TcpListener::bind(config.listen).map_err(|error| StartError::Listen {
            address: config.listen,
            error,
        })?;
        let found = device::find(config.choice, &config.places, &config.program)?;
        let states = &found.probe.devices;
        let ordinals = select(&config.selection, states.len())?;
        let offered = ordinals
            .iter()
            .filter_map(|&ordinal| states.get(usize::try_from(ordinal).ok()?).cloned())
            .collect();
        let books = Books {
            pool: Pool::new(found.probe.driver_version, offered),
            workers: HashMap::new(),
        };
        let house = House {
            config,
            found,
            ordinals,
            books: Mutex::new(books),
            closed: Condvar::new(),
            spawner: Spawner::start()?,
            connections: AtomicUsize::new(0),
        };
        Ok(Self {
            house: Arc::new(house),
            listener,
        })
    }

    /// Where it listens: with the port that the system chose.
    ///
    /// # Errors
    /// What the system says.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The library that it serves.
    pub fn driver(&self) -> &std::path::Path {
        &self.house.found.path
    }

    /// The devices that it offers, as lines for people.
    pub fn describe(&self) -> Vec<String> {
        let books = self.house.books();
        let lines = books.pool.devices().iter().map(|device| {
            let mib = device.memory / crate::scheduler::MIB;
            format!(
                "GPU {}: {}, {mib} MiB, {}",
                device.ordinal, device.name, device.uuid
            )
        });
        lines.collect()
    }

    /// Serves connections until the listening socket fails.
    ///
    /// # Errors
    /// What the system says.
    pub fn serve(self) -> io::Result<()> {
        loop {
            match self.listener.accept() {
                Ok((stream, peer)) => self.house.take(stream, peer),
                Err(error) if passes(&error) => {
                    tracing::debug!("a connection went before it was accepted: {error}");
                }
                Err(error) if is_shortage(&error) => {
                    tracing::warn!("cannot accept a connection now: {error}");
                    self.house.wait_for_an_end();
                }
                Err(error) => return Err(error),
            }
        }
    }
}

impl House {
    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a connection a thread, or a refusal when there are too many.
    fn take(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        let seat = Seat::take(self);
        let Some(seat) = seat else {
            let text = format!("this server has {CONNECTIONS_MAX} connections, the most it serves");
            refuse(
                &stream,
                Refusal {
                    reason: Reason::Full,
                    text,
                },
            );
            return;
        };
        let name = format!("peer {peer}");
        let spawned = thread::Builder::new().name(name).spawn(move || {
            connection::serve(&seat.0, stream, peer);
        });
        if let Err(error) = spawned {
            // The connection is closed by dropping it: the peer sees the end of the stream.
            tracing::warn!("no thread for {peer}: {error}");
        }
    }

    /// Waits, a second at most, for a session to end and free descriptors.
    fn wait_for_an_end(&self) {
        let books = self.books();
        drop(self.closed.wait_timeout(books, Duration::from_secs(1)));
    }
}

/// One of the connections that are served at once.
#[derive(Debug)]
struct Seat(Arc<House>);

impl Seat {
    fn take(house: &Arc<House>) -> Option<Self> {
        let taken = house
            .connections
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
                (count < CONNECTIONS_MAX).then_some(count + 1)
            });
        taken.is_ok().then(|| Self(Arc::clone(house)))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Tells a peer no. It may have gone, and then nobody is told.
fn refuse(stream: &TcpStream, refusal: Refusal) {
    let mut timed = conversation::Timed::new(stream, conversation::STEP);
    let _ = flexdirect_wire::control::write(&mut timed, &Answer::Refused(refusal));
    let _ = stream.shutdown(std::net::Shutdown::Write);
}

fn select(selection: &Selection, count: usize) -> Result<Vec<u32>, StartError> {
    let all = u32::try_from(count).unwrap_or(u32::MAX);
    let wrong = |asked: String| Err(StartError::Selection { asked, count });
    match selection {
        Selection::All => Ok((0..all).collect()),
        &Selection::First(first) if first == 0 || first > all => wrong(format!("{first} devices")),
        &Selection::First(first) => Ok((0..first).collect()),
        Selection::Listed(listed) => {
            let mut ordinals = listed.clone();
            ordinals.sort_unstable();
            ordinals.dedup();
            match ordinals.last() {
                Some(&last) if last < all => Ok(ordinals),
                Some(last) => wrong(format!("device {last}")),
                None => wrong("no device".to_owned()),
            }
        }
    }
}

/// Each connection and each worker costs a few descriptors, and the usual limit is 1024.
fn raise_descriptor_limit() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(errno) = raised {
        tracing::debug!("the limit of open files stays as it is: {errno}");
    }
}

/// Whether an error of `accept` is about one connection that has ended already (accept(2)).
fn passes(error: &io::Error) -> bool {
    use nix::errno::Errno;
    const OF_ONE: [Errno; 9] = [
        Errno::ECONNABORTED,
        Errno::EINTR,
        Errno::ENETDOWN,
        Errno::EPROTO,
        Errno::ENOPROTOOPT,
        Errno::EHOSTDOWN,
        Errno::EHOSTUNREACH,
        Errno::ENETUNREACH,
        Errno::EPERM,
    ];
    error
        .raw_os_error()
        .is_some_and(|code| OF_ONE.contains(&Errno::from_raw(code)))
}

/// Whether an error of `accept` is about descriptors or memory, which come back.
fn is_shortage(error: &io::Error) -> bool {
    use nix::errno::Errno;
    const SHORT: [Errno; 4] = [Errno::EMFILE, Errno::ENFILE, Errno::ENOBUFS, Errno::ENOMEM];
    error
        .raw_os_error()
        .is_some_and(|code| SHORT.contains(&Errno::from_raw(code)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selection_is_of_devices_that_are_there() {
        assert_eq!(select(&Selection::All, 3).unwrap(), [0, 1, 2]);
        assert_eq!(select(&Selection::First(2), 3).unwrap(), [0, 1]);
        assert_eq!(
            select(&Selection::Listed(vec![2, 0, 2]), 3).unwrap(),
            [0, 2]
        );
        for wrong in [
            Selection::First(0),
            Selection::First(4),
            Selection::Listed(vec![3]),
        ] {
            let text = select(&wrong, 3).unwrap_err().to_string();
            assert!(text.contains("has 3 (0 to 2)"), "{text}");
        }
    }
}
