//! The worker processes of a daemon: started, fed with sockets, asked for nothing, reaped always.
//!
//! Each worker has a thread here that answers its questions about memory and, when the worker goes,
//! reaps it and closes its session. Workers are started by one thread that lives as long as the
//! daemon: the kernel kills a worker when the *thread* that started it ends.

use std::io;
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::thread;
use std::time::Duration;

use flexdirect_wire::control::Attach;

use super::House;
use super::conversation::STEP;
use crate::device;
use crate::lease::SessionId;
use crate::share::Usage;
use crate::worker::channel::{Channel, Start, ToDaemon, ToWorker};
use crate::worker::spawn;

/// One worker process.
#[derive(Debug)]
pub(super) struct Worker {
    child: Mutex<Child>,
    channel: Channel,
    /// Whether its side lane has been handed over.
    has_side: AtomicBool,
}

impl Worker {
    /// Hands the socket of the side lane over, once.
    pub(super) fn hand_side(&self, stream: &TcpStream) -> io::Result<()> {
        if self.has_side.swap(true, Ordering::Relaxed) {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "it has its side lane",
            ));
        }
        self.channel.send(&ToWorker::Side, Some(stream.as_fd()))
    }

    fn kill(&self) {
        let child = match self.child.try_lock() {
            Ok(child) => Some(child),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            // Whoever has it kills it too, and may have to wait long for a driver that hangs.
            Err(TryLockError::WouldBlock) => None,
        };
        // Fails only if the worker has been reaped already.
        let _ = child.map(|mut child| child.kill());
    }

    /// Kills what may be left and waits for its end: then the driver has given its memory back.
    fn reap(&self) -> io::Result<ExitStatus> {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        child.kill()?;
        child.wait()
    }
}

impl House {
    /// Starts the worker of a session and hands it the main lane.
    ///
    /// # Errors
    /// What the system says; the session is closed then.
    pub(super) fn start_worker(
        self: &Arc<Self>,
        asked: &Attach,
        session: SessionId,
        stream: &TcpStream,
    ) -> io::Result<()> {
        let started = self.spawn_worker(asked, session);
        let worker = match started {
            Ok(worker) => worker,
            Err(error) => {
                self.close_session(asked.lease, session);
                return Err(error);
            }
        };
        let shares = self.books().pool.leased(asked.lease);
        let start = Start {
            attach: Attach {
                secret: String::new(),
                ..asked.clone()
            },
            shares: shares.into_iter().map(|(_, bytes)| bytes).collect(),
            grace_ms: u64::try_from(self.config.grace.as_millis()).unwrap_or(u64::MAX),
        };
        worker
            .channel
            .send(&ToWorker::Start(start), Some(stream.as_fd()))
            .inspect_err(|_| {
                worker.kill();
            })
    }

    fn spawn_worker(
        self: &Arc<Self>,
        asked: &Attach,
        session: SessionId,
    ) -> io::Result<Arc<Worker>> {
        let (near, far) = Channel::pair()?;
        near.limit_sends(STEP)?;
        let leased = self.books().pool.leased(asked.lease);
        let ordinals = leased
            .iter()
            .filter_map(|&(at, _)| self.ordinals.get(at).copied());
        let outer = std::env::var("CUDA_VISIBLE_DEVICES").ok();
        let mut command = spawn::command(&self.config.program);
        command
            .args(["worker", "--driver"])
            .arg(&self.found.path)
            .envs(
                self.found
                    .environment
                    .iter()
                    .map(|(name, value)| (name, value)),
            )
            .env(
                "CUDA_VISIBLE_DEVICES",
                device::visible(ordinals, outer.as_deref()),
            )
            .stdin(Stdio::from(far.into_fd()))
            .stdout(Stdio::from(io::stderr().as_fd().try_clone_to_owned()?))
            .stderr(Stdio::inherit());
        let child = self.spawner.spawn(command)?;
        tracing::info!(
            "lease {}: worker {} for process {} (session {session})",
            asked.lease,
            child.id(),
            asked.process
        );
        let worker = Worker {
            child: Mutex::new(child),
            channel: near,
            has_side: false.into(),
        };
        let worker = Arc::new(worker);
        {
            let mut books = self.books();
            books.workers.insert(session, Arc::clone(&worker));
            if !books.pool.is_live(asked.lease) {
                worker.kill();
            }
        }
        let attendant = {
            let (house, worker, lease) = (Arc::clone(self), Arc::clone(&worker), asked.lease);
            move || house.attend(&worker, lease, session)
        };
        let name = format!("worker {session}");
        if let Err(error) = thread::Builder::new().name(name).spawn(attendant) {
            // Without a thread that attends it, a worker must not live. The caller closes the
            // session.
            let _ = worker.reap();
            self.books().workers.remove(&session);
            return Err(error);
        }
        Ok(worker)
    }

    /// Answers a worker's questions until it ends; then closes its session.
    fn attend(&self, worker: &Worker, lease: u64, session: SessionId) {
        loop {
            let said = match worker.channel.hear::<ToDaemon>() {
                Ok(Some(said)) => said,
                Ok(None) => break,
                Err(error) => {
                    tracing::warn!("lease {lease}: worker of session {session} killed: {error}");
                    break;
                }
            };
            if let Some(answer) = self.answer(lease, session, said)
                && let Err(error) = worker.channel.send(&answer, None)
            {
                tracing::debug!("lease {lease}: session {session} does not listen: {error}");
                break;
            }
        }
        let status = worker.reap();
        let is_wanted = !self.books().pool.is_live(lease);
        self.close_session(lease, session);
        match status {
            Ok(status) if is_wanted || status.success() => {
                tracing::info!("lease {lease}: session {session} ended");
            }
            Ok(status) => tracing::warn!("lease {lease}: session {session} ended with {status}"),
            Err(error) => tracing::error!("lease {lease}: session {session}: not reaped: {error}"),
        }
    }

    fn answer(&self, lease: u64, session: SessionId, said: ToDaemon) -> Option<ToWorker> {
        let pool = &mut self.books().pool;
        let (ticket, granted, usage) = match said {
            ToDaemon::Reserve {
                ticket,
                device,
                bytes,
            } => match pool.reserve(lease, session, device, bytes) {
                Ok(usage) => (ticket, true, usage),
                Err(over) => (
                    ticket,
                    false,
                    Usage {
                        used: over.used,
                        limit: over.limit,
                    },
                ),
            },
            ToDaemon::Release { device, bytes } => {
                pool.release(lease, session, device, bytes);
                return None;
            }
            ToDaemon::Usage { ticket, device } => (ticket, true, pool.usage(lease, device)),
        };
        Some(ToWorker::Share {
            ticket,
            granted,
            used: usage.used,
            limit: usage.limit,
        })
    }

    fn close_session(&self, lease: u64, session: SessionId) {
        let mut books = self.books();
        books.pool.close(lease, session);
        books.workers.remove(&session);
        drop(books);
        self.closed.notify_all();
    }

    /// Ends a lease: its workers are killed and reaped, then its memory is free.
    pub(super) fn end_lease(&self, lease: u64) {
        let mut books = self.books();
        for session in books.pool.revoke(lease) {
            if let Some(worker) = books.workers.get(&session).cloned() {
                // Not under the lock of the books: a child that is being waited for holds its own.
                drop(books);
                worker.kill();
                books = self.books();
            }
        }
        while !books.pool.sessions(lease).is_empty() {
            let (guard, waited) = self
                .closed
                .wait_timeout(books, PATIENCE)
                .unwrap_or_else(PoisonError::into_inner);
            books = guard;
            if waited.timed_out() {
                tracing::warn!(
                    "lease {lease}: its workers were killed and do not end: the driver may hang"
                );
            }
        }
        books.pool.end(lease);
    }
}

/// The thread that starts children.
#[derive(Debug)]
pub(super) struct Spawner(Mutex<Sender<Order>>);

#[derive(Debug)]
struct Order {
    command: Command,
    reply: SyncSender<io::Result<Child>>,
}

impl Spawner {
    /// Starts the thread. It ends with the last reference to it, which is the daemon's.
    pub(super) fn start() -> io::Result<Self> {
        let (sender, orders): (Sender<Order>, Receiver<Order>) = channel();
        thread::Builder::new()
            .name("spawner".to_owned())
            .spawn(move || {
                for mut order in orders {
                    // Nobody waits any more only if the daemon is ending.
                    let _ = order.reply.send(order.command.spawn());
                }
            })?;
        Ok(Self(Mutex::new(sender)))
    }

    fn spawn(&self, command: Command) -> io::Result<Child> {
        let (reply, child) = sync_channel(1);
        let sender = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let gone = || io::Error::other("the thread that starts workers has ended");
        sender.send(Order { command, reply }).map_err(|_| gone())?;
        child.recv().map_err(|_| gone())?
    }
}

/// Time after which workers that do not die are mentioned.
const PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Condvar;
    use std::sync::atomic::AtomicUsize;

    use flexdirect_wire::control::{DeviceState, Share};

    use super::*;
    use crate::daemon::{Books, Config, Selection};
    use crate::device::{Choice, Found, Places, Probe};
    use crate::lease::{Pool, Secret};

    /// A daemon with one device of 100 MiB that nobody can reach.
    fn house() -> House {
        let device = DeviceState {
            ordinal: 0,
            name: String::new(),
            uuid: String::new(),
            memory: 100 << 20,
            free: 0,
        };
        House {
            config: Config {
                listen: ([127, 0, 0, 1], 0).into(),
                choice: Choice::Auto,
                places: Places::default(),
                selection: Selection::All,
                grace: STEP,
                program: "/bin/false".into(),
            },
            found: Found {
                path: "/nonexistent".into(),
                environment: Vec::new(),
                probe: Probe {
                    driver_version: 0,
                    devices: Vec::new(),
                },
            },
            ordinals: vec![0],
            books: Mutex::new(Books {
                pool: Pool::new(0, vec![device]),
                workers: HashMap::new(),
            }),
            closed: Condvar::new(),
            spawner: Spawner::start().unwrap(),
            connections: AtomicUsize::new(0),
        }
    }

    #[test]
    fn a_worker_is_answered_from_the_books() {
        let house = house();
        let secret = Secret::new([1; 32]);
        let lease = house
            .books()
            .pool
            .claim(1, Share::Memory(50), secret)
            .unwrap();
        let session = house
            .books()
            .pool
            .open(lease.lease, &lease.secret, "a")
            .unwrap();
        let ask = |said| house.answer(lease.lease, session, said);
        let share = |ticket, granted, used| {
            Some(ToWorker::Share {
                ticket,
                granted,
                used,
                limit: 50 << 20,
            })
        };
        let reserve = |ticket, bytes| ToDaemon::Reserve {
            ticket,
            device: 0,
            bytes,
        };
        assert_eq!(ask(reserve(1, 40 << 20)), share(1, true, 40 << 20));
        assert_eq!(ask(reserve(2, 11 << 20)), share(2, false, 40 << 20));
        assert_eq!(
            ask(ToDaemon::Release {
                device: 0,
                bytes: 30 << 20
            }),
            None
        );
        assert_eq!(
            ask(ToDaemon::Usage {
                ticket: 3,
                device: 0
            }),
            share(3, true, 10 << 20)
        );
        house.close_session(lease.lease, session);
        assert_eq!(house.books().pool.usage(lease.lease, 0).used, 0);
    }

    #[test]
    fn a_worker_that_cannot_start_leaves_nothing() {
        let house = Arc::new(House {
            config: Config {
                program: "/nonexistent/flexdirect".into(),
                ..house().config
            },
            ..house()
        });
        let secret = Secret::new([1; 32]);
        let lease = house
            .books()
            .pool
            .claim(1, Share::Memory(50), secret)
            .unwrap();
        let session = house
            .books()
            .pool
            .open(lease.lease, &lease.secret, "a")
            .unwrap();
        let asked = Attach {
            version: 1,
            lease: lease.lease,
            secret: lease.secret,
            session: "a".to_owned(),
            lane: flexdirect_wire::control::Lane::Main,
            process: 1,
            table_version: 0,
        };
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let error = house.start_worker(&asked, session, &stream).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        house.end_lease(lease.lease);
        assert_eq!(house.books().pool.devices()[0].free, 100 << 20);
    }
}
