//! The TCP link: two connected stream sockets, one per lane, for any two hosts with a network.
//!
//! ```text
//!   post, put ──▶ main outbox ──▶ main socket ──▶ main inbox ──▶ Sink   (batches and bulk)
//!   post_side ──▶ side outbox ──▶ side socket ──▶ side inbox ──▶ Sink   (side messages)
//! ```
//! Two sockets, because one stream cannot let a message overtake what lies in it. A caller sends
//! from its own thread when the lane is idle; what the socket does not take is queued, and the
//! threads in `receive` send it: they watch both sockets for room, whichever lane they read, so
//! that a lane drains while its own reader is busy elsewhere. An eventfd per lane (the bell) tells
//! a sleeping reader of new bytes in a queue, of a wake and of the end.

use std::io;
use std::net::TcpStream;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, TryLockError};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::link::{
    BATCH_LEN_MAX, Error, Lanes, Link, PUT_LEN_MAX, QUEUE_LEN_MAX, SIDE_LEN_MAX,
    SIDE_QUEUE_LEN_MAX, Sink, Span,
};
use frame::Frame;
use inbox::{MainInbox, SideInbox};
use outbox::{Failure, Left, Outbox};
use socket::{Socket, Vigilance};

mod frame;
mod inbox;
mod outbox;
mod socket;

/// One end of a TCP link.
#[derive(Debug)]
pub struct TcpLink {
    main: Lane<MainInbox>,
    side: Lane<SideInbox>,
    death: OnceLock<Error>,
    options: Options,
}

/// What may be chosen for a TCP link.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Time without an answer after which the peer's host counts as lost; at least a second.
    pub lost_after: Duration,
    /// Time that a receiver looks for bytes before it sleeps.
    pub spin: Duration,
}

#[derive(Debug)]
struct Lane<I> {
    socket: Socket,
    outbox: Outbox,
    /// Taken by the thread that receives, for as long as it does; nobody waits for it.
    inbox: Mutex<I>,
    bell: EventFd,
    woken: AtomicBool,
}

impl TcpLink {
    /// Makes a link of two connected sockets whose other ends the peer makes a link of.
    ///
    /// # Errors
    /// What the system says when it refuses an option or an eventfd.
    pub fn new(main: TcpStream, side: TcpStream, options: Options) -> io::Result<Arc<Self>> {
        Self::from_fds(main.into(), side.into(), options)
    }

    /// The same for stream sockets of any family; options of TCP are left out where unknown.
    ///
    /// # Errors
    /// As [`TcpLink::new`].
    pub fn from_fds(main: OwnedFd, side: OwnedFd, options: Options) -> io::Result<Arc<Self>> {
        let lost_after = options.lost_after;
        let main = Socket::new(main, lost_after, Vigilance::Idle)?;
        let side = Socket::new(side, lost_after, Vigilance::Always)?;
        Ok(Arc::new(Self {
            main: Lane::new(main, QUEUE_LEN_MAX, MainInbox::new(lost_after))?,
            side: Lane::new(side, SIDE_QUEUE_LEN_MAX, SideInbox::new(lost_after))?,
            death: OnceLock::new(),
            options,
        }))
    }

    fn alive(&self) -> Result<(), Error> {
        self.death.get().map_or(Ok(()), |death| Err(death.clone()))
    }

    /// Ends the link unless it has ended already, and returns what ended it.
    fn kill(&self, error: Error) -> Error {
        let death = self.death.get_or_init(|| error).clone();
        self.main.end();
        self.side.end();
        death
    }

    /// What a failed send means for the caller.
    fn failed(&self, failure: Failure, len_max: usize) -> Error {
        match failure {
            Failure::Dead => self.kill(Error::closed("ended")),
            Failure::Lost(errno) => self.kill(Error::closed(socket::describe(
                errno,
                self.options.lost_after,
            ))),
            Failure::Overrun(len) => Error::Overrun { len, len_max },
        }
    }

    /// Tells the receiving threads that a queue has bytes for them.
    fn tell(&self, left: Left) {
        if left == Left::ForReceivers {
            self.main.ring();
            self.side.ring();
        }
    }

    fn run(&self, seat: &mut Seat<'_>, sink: &mut dyn Sink) -> Result<(), Error> {
        let mut spin = Spin::new(self.options.spin);
        loop {
            self.alive()?;
            for (outbox, socket) in self.ways_out() {
                outbox
                    .drain(socket)
                    .map_err(|failure| self.failed(failure, 0))?;
            }
            if seat.take_wake() || seat.read(sink, spin.look())? {
                return Ok(());
            }
            if !spin.again() {
                self.sleep(seat)?;
            }
        }
    }

    fn ways_out(&self) -> [(&Outbox, &Socket); 2] {
        [
            (&self.main.outbox, &self.main.socket),
            (&self.side.outbox, &self.side.socket),
        ]
    }

    /// Sleeps until a lane of the seat has something to read, a socket has room for what is
    /// queued, or a bell rings; notes which lanes are to be read.
    fn sleep(&self, seat: &mut Seat<'_>) -> Result<(), Error> {
        let reads = [seat.main.is_some(), seat.side.is_some()];
        // Whoever rings, rings both bells: one is enough to hear.
        let bell = if reads[0] {
            &self.main.bell
        } else {
            &self.side.bell
        };
        let mut fds = [(); 3].map(|()| PollFd::new(bell.as_fd(), PollFlags::POLLIN));
        let mut len = 1;
        let mut entries = [None; 2];
        for (lane, (outbox, socket)) in self.ways_out().into_iter().enumerate() {
            let mut events = PollFlags::empty();
            events.set(PollFlags::POLLIN, reads[lane]);
            events.set(PollFlags::POLLOUT, outbox.wants_room());
            // A socket that this thread wants nothing of is left out: poll would report its end
            // again and again to a thread that has no right to read it.
            if !events.is_empty() {
                fds[len] = PollFd::new(socket.as_fd(), events);
                entries[lane] = Some(len);
                len += 1;
            }
        }
        match poll(&mut fds[..len], PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => {
                let reason = socket::describe(errno, self.options.lost_after);
                return Err(Error::closed(reason));
            }
        }
        let to_read = PollFlags::POLLIN | PollFlags::POLLHUP | PollFlags::POLLERR;
        let ready = |entry: usize| {
            fds[entry]
                .revents()
                .is_some_and(|got| got.intersects(to_read))
        };
        if ready(0) {
            // Fails only when there is nothing to read, which is as well.
            let _ = bell.read();
        }
        let [main_ready, side_ready] = entries.map(|entry| entry.is_some_and(ready));
        seat.expect(main_ready, side_ready);
        Ok(())
    }
}

impl Link for TcpLink {
    fn name(&self) -> &'static str {
        NAME
    }

    fn post(&self, batch: &[u8]) -> Result<(), Error> {
        check_len(batch.len(), BATCH_LEN_MAX)?;
        if batch.is_empty() {
            return self.alive();
        }
        let header = Frame::Batch(batch.len()).encode();
        let left = self
            .main
            .outbox
            .post(&self.main.socket, &header, batch)
            .map_err(|failure| self.failed(failure, QUEUE_LEN_MAX))?;
        self.tell(left);
        Ok(())
    }

    fn put(&self, target: Span, bytes: &[u8]) -> Result<(), Error> {
        assert_eq!(target.len, bytes.len() as u64, "a put fills its span");
        check_len(bytes.len(), PUT_LEN_MAX)?;
        let header = Frame::Bulk(target).encode();
        let left = self
            .main
            .outbox
            .put(&self.main.socket, &header, bytes)
            .map_err(|failure| self.failed(failure, QUEUE_LEN_MAX))?;
        self.tell(left);
        Ok(())
    }

    fn post_side(&self, message: &[u8]) -> Result<(), Error> {
        check_len(message.len(), SIDE_LEN_MAX)?;
        let header = frame::encode_side(message.len());
        let left = self
            .side
            .outbox
            .post(&self.side.socket, &header, message)
            .map_err(|failure| self.failed(failure, SIDE_QUEUE_LEN_MAX))?;
        self.tell(left);
        Ok(())
    }

    fn receive(&self, lanes: Lanes, sink: &mut dyn Sink) -> Result<(), Error> {
        self.alive()?;
        let mut seat = Seat::take(self, lanes)?;
        self.run(&mut seat, sink).map_err(|error| self.kill(error))
    }

    fn wake(&self) {
        for (woken, bell) in [
            (&self.main.woken, &self.main.bell),
            (&self.side.woken, &self.side.bell),
        ] {
            // Release: pairs with the Acquire in Seat::take_wake.
            woken.store(true, Ordering::Release);
            ring(bell);
        }
    }

    fn close(&self, reason: &str) {
        self.kill(Error::closed(format!("closed by this end: {reason}")));
    }

    fn death(&self) -> Option<Error> {
        self.death.get().cloned()
    }
}

impl<I> Lane<I> {
    fn new(socket: Socket, queue_len_max: usize, inbox: I) -> io::Result<Self> {
        let bell = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        Ok(Self {
            socket,
            outbox: Outbox::new(queue_len_max),
            inbox: Mutex::new(inbox),
            bell,
            woken: AtomicBool::new(false),
        })
    }

    fn ring(&self) {
        ring(&self.bell);
    }

    fn end(&self) {
        self.outbox.die();
        self.socket.shut_down();
        self.ring();
    }
}

impl Default for Options {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        // With no core to spare, the spinning thread keeps the one it waits for from running.
        let spin = if cores <= 2 {
            Duration::ZERO
        } else {
            Duration::from_micros(50)
        };
        Self {
            lost_after: Duration::from_secs(30),
            spin,
        }
    }
}

/// The inboxes of the lanes that one thread receives from, while it does.
struct Seat<'a> {
    link: &'a TcpLink,
    main: Option<MutexGuard<'a, MainInbox>>,
    side: Option<MutexGuard<'a, SideInbox>>,
}

impl<'a> Seat<'a> {
    fn take(link: &'a TcpLink, lanes: Lanes) -> Result<Self, Error> {
        let main = if lanes == Lanes::Side {
            None
        } else {
            Some(sit(link, &link.main.inbox)?)
        };
        let side = if lanes == Lanes::Main {
            None
        } else {
            Some(sit(link, &link.side.inbox)?)
        };
        Ok(Self { link, main, side })
    }

    fn take_wake(&self) -> bool {
        // Acquire: pairs with the Release in TcpLink::wake. Both lanes are looked at, since one
        // return answers both.
        let take = |woken: &AtomicBool| {
            woken.load(Ordering::Relaxed) && woken.swap(false, Ordering::Acquire)
        };
        let main = self.main.is_some() && take(&self.link.main.woken);
        let side = self.side.is_some() && take(&self.link.side.woken);
        main || side
    }

    /// Reads the lanes that are expected to have something, and those that `look` names.
    fn read(&mut self, sink: &mut dyn Sink, look: SpinLook) -> Result<bool, Error> {
        let mut delivered = false;
        if let Some(main) = &mut self.main
            && (main.eager || look != SpinLook::None)
        {
            delivered |= main.read(&self.link.main.socket, sink)?;
        }
        if let Some(side) = &mut self.side
            && (side.eager
                || look == SpinLook::Both
                || (look != SpinLook::None && self.main.is_none()))
        {
            delivered |= side.read(&self.link.side.socket, sink)?;
        }
        Ok(delivered)
    }

    fn expect(&mut self, main_ready: bool, side_ready: bool) {
        if let Some(main) = &mut self.main {
            main.eager |= main_ready;
        }
        if let Some(side) = &mut self.side {
            side.eager |= side_ready;
        }
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.link
                .kill(Error::closed("the receiving thread of this end panicked"));
        }
    }
}

/// A bounded look at the sockets before sleeping.
struct Spin {
    time: Duration,
    until: Option<Instant>,
    rounds: u32,
}

/// Which lanes a round of spinning looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SpinLook {
    None,
    Main,
    Both,
}

impl Spin {
    fn new(time: Duration) -> Self {
        Self {
            time,
            until: None,
            rounds: 0,
        }
    }

    /// The side lane is looked at now and then: it is not what a caller waits for.
    fn look(&self) -> SpinLook {
        if self.time.is_zero() {
            SpinLook::None
        } else if self.rounds.is_multiple_of(8) {
            SpinLook::Both
        } else {
            SpinLook::Main
        }
    }

    /// Whether there is time for another round; if not, the time starts anew after the sleep.
    fn again(&mut self) -> bool {
        if self.time.is_zero() {
            return false;
        }
        self.rounds = self.rounds.wrapping_add(1);
        let now = Instant::now();
        if now < *self.until.get_or_insert(now + self.time) {
            std::hint::spin_loop();
            return true;
        }
        self.until = None;
        false
    }
}

fn sit<'a, I>(link: &TcpLink, inbox: &'a Mutex<I>) -> Result<MutexGuard<'a, I>, Error> {
    match inbox.try_lock() {
        Ok(inbox) => Ok(inbox),
        Err(TryLockError::WouldBlock) => panic!("one thread at a time receives from a lane"),
        // The sink panicked: Seat::drop has ended the link.
        Err(TryLockError::Poisoned(_)) => Err(link.kill(Error::closed("receiver panicked"))),
    }
}

fn ring(bell: &EventFd) {
    // Fails only if the count is at its maximum: then the bell rings already.
    let _ = bell.write(1);
}

fn check_len(len: usize, len_max: usize) -> Result<(), Error> {
    if len > len_max {
        Err(Error::Oversize { len, len_max })
    } else {
        Ok(())
    }
}

/// Name of the mechanism as users see it.
pub(crate) const NAME: &str = "tcp";
