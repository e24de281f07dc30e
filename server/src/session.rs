//! One client process: everything between its link and the driver.
//!
//! ```text
//!            main lane                                     side lane
//!   link ──▶ intake ──▶ dispatcher (one for each device)   serve: answers pings, notices the death
//!              │            │ inline: what never waits
//!              │            └▶ helper threads: what may wait
//!              └▶ slab                     retire, landings: threads that wait for the GPU
//!   link ◀── outbox ◀── replies of dispatchers and helpers, one order
//! ```
//!
//! Every thread holds the session; it is cleaned up when the last lets go of it, so that nothing is
//! pulled from under a driver call that does not return.

mod dispatcher;
mod end;
mod intake;
mod order;
mod outbox;
mod pool;
mod seat;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flexdirect_transport::{Error, Lanes, Link, Sink, Span};
use flexdirect_wire::abi::CuContext;
use flexdirect_wire::body::{Side, side};
use flexdirect_wire::record::{Reader, Writer};
use flexdirect_wire::{CuResult, ShadowHandle};

use crate::driver::Driver;
use crate::shadow::contexts::Tables;
use crate::shadow::hostfn::HostFns;
use crate::shadow::landings::{Landings, STAGING_LEN};
use crate::shadow::mapping::Mapping;
use crate::shadow::retire::{Retire, What};
use crate::shadow::slab::Slab;
use crate::shadow::twins::Twins;
use crate::share::Quota;

pub use end::{End, Fault};
pub(crate) use order::Threads;
pub(crate) use seat::{Current, Seat};

use dispatcher::Dispatcher;
use order::Order;
use outbox::Outbox;
use pool::Pool;

/// Serves one client process until its link dies or it breaks the protocol.
///
/// The calling thread stays in the side lane, so that it returns when the link dies even if the
/// driver does not. `devices` is the number of devices of the lease, which are the driver's first.
/// What the session held is given back when its last thread has returned from the driver.
pub fn serve(
    link: Arc<dyn Link>,
    driver: Arc<Driver>,
    quota: Arc<dyn Quota>,
    devices: u16,
    slab: Slab,
) -> End {
    let session = match Session::new(link, driver, quota, devices, slab) {
        Ok(session) => Arc::new(session),
        Err(error) => return End::Failed(error.to_string()),
    };
    let own = Arc::clone(&session);
    session.spawn("dispatcher", move || intake::run(&own));
    crate::output::watch(&session);
    let mut sink = SideSink { session: &session };
    let death = loop {
        if let Err(error) = session.link.receive(Lanes::Side, &mut sink) {
            break error;
        }
    };
    let end = session.end(&death);
    // A thread may hold a lock while it asks the driver something, and a driver may hang: whoever
    // called this is not to wait for that.
    let own = Arc::clone(&session);
    let closing = std::thread::Builder::new().name("close".to_owned());
    if closing.spawn(move || own.close()).is_err() {
        session.close();
    }
    end
}

/// State of one session, shared by its threads.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) link: Arc<dyn Link>,
    pub(crate) driver: Arc<Driver>,
    pub(crate) quota: Arc<dyn Quota>,
    pub(crate) devices: u16,
    pub(crate) slab: Slab,
    pub(crate) landings: Landings,
    /// Host functions of the client, which the driver's threads hold on to as well.
    pub(crate) hostfns: Arc<HostFns>,
    pub(crate) twins: Twins,
    /// Pieces of the slab behind the copies that read them.
    pub(crate) pieces: Retire,
    /// Staging memory behind copies whose sources are read late: apart, since the slab's room must
    /// not wait for the client's functions.
    pub(crate) sources: Retire,
    /// Device memory behind the work that may use it.
    pub(crate) frees: Retire,
    pub(crate) threads: Threads,
    pub(crate) order: Order,
    pub(crate) outbox: Outbox,
    pub(crate) pool: Pool,
    tables: Mutex<Tables>,
    /// Context of memory that stands in for what the driver could not pin.
    memory_context: Mutex<Option<CuContext>>,
    /// Counts contexts that have ended: what a thread believes to be current is worth nothing then.
    epoch: AtomicU64,
    fault: Mutex<Option<Fault>>,
}

impl Session {
    fn new(
        link: Arc<dyn Link>,
        driver: Arc<Driver>,
        quota: Arc<dyn Quota>,
        devices: u16,
        slab: Slab,
    ) -> std::io::Result<Self> {
        Ok(Self {
            link,
            driver,
            quota,
            devices,
            slab,
            landings: Landings::new()?,
            hostfns: Arc::default(),
            twins: Twins::default(),
            pieces: Retire::default(),
            sources: Retire::default(),
            frees: Retire::default(),
            threads: Threads::default(),
            order: Order::new(devices),
            outbox: Outbox::default(),
            pool: Pool::default(),
            tables: Mutex::default(),
            memory_context: Mutex::default(),
            epoch: AtomicU64::new(0),
            fault: Mutex::default(),
        })
    }

    /// The tables, locked.
    pub(crate) fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many contexts have ended.
    pub(crate) fn epoch(&self) -> u64 {
        // Acquire: pairs with the Release in Session::context_ended.
        self.epoch.load(Ordering::Acquire)
    }

    /// No thread's current context is certain any more.
    pub(crate) fn context_ended(&self) {
        // Release: pairs with the Acquire in Session::epoch.
        self.epoch.fetch_add(1, Ordering::Release);
    }

    /// Pins the shadow memory, in the context that is current; or, where the driver cannot,
    /// replaces it by memory of the driver's, in a context of its own that no client can end.
    pub(crate) fn pin(&self) {
        let driver = &self.driver;
        let mut context = self
            .memory_context
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if context.is_some() || self.pin_in_place().is_ok() {
            return;
        }
        let replaced = driver.create_context().and_then(|own| {
            *context = Some(own);
            driver.set_current(own)?;
            self.slab
                .replace(Mapping::from_driver(driver, self.slab.len())?);
            self.landings
                .replace(Mapping::from_driver(driver, STAGING_LEN)?);
            Ok(())
        });
        if let Err(error) = replaced {
            tracing::debug!("shadow memory stays pageable: {error:?}");
        }
    }

    /// More memory that is pinned like what [`Session::pin`] pinned; pageable where there can be no
    /// other, so that copies from it wait and are right. None when the system has none.
    pub(crate) fn pinned(&self, len: usize) -> Option<Mapping> {
        let driver = &self.driver;
        let context = self
            .memory_context
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = *context {
            return driver
                .within(own, || Mapping::from_driver(driver, len))
                .ok();
        }
        let memory = Mapping::new(len).ok()?;
        if let Err(error) = memory.pin(driver) {
            tracing::debug!("staging memory stays pageable: {error:?}");
        }
        Some(memory)
    }

    fn pin_in_place(&self) -> CuResult {
        self.slab.pin(&self.driver)?;
        self.landings.pin(&self.driver)
    }

    /// Undoes [`Session::pin`] while its context is current; what replaced the memory stays.
    pub(crate) fn unpin(&self) {
        self.slab.unpin(&self.driver);
        self.landings.unpin(&self.driver);
    }

    /// Starts a thread of the session. If the system has none left, the session ends.
    pub(crate) fn spawn(&self, name: &str, body: impl FnOnce() + Send + 'static) {
        let link = Arc::clone(&self.link);
        let guarded = move || {
            let _guard = CloseOnPanic(link);
            body();
        };
        if let Err(error) = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(guarded)
        {
            self.fail(Fault::Thread {
                reason: error.to_string(),
            });
        }
    }

    /// Ends the session, logged once: the peer broke the protocol, or this end cannot go on.
    pub(crate) fn fail(&self, fault: Fault) {
        let mut first = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        if first.is_none() {
            let text = fault.to_string();
            tracing::error!("session ends: {text}");
            *first = Some(fault);
            drop(first);
            self.link.close(&text);
        }
    }

    /// Gives up what a retired entry stood for.
    pub(crate) fn finish_retired(&self, what: What) {
        match what {
            What::Slab(position) => self.release_piece(position),
            What::Source(number, place) => {
                self.hostfns.take_source(number);
                self.landings.give(place);
            }
            What::Mirrors(held) => {
                self.tables().graphs.let_go(held);
                self.sweep_mirrors();
            }
            What::Memory(range) => {
                if let Err(error) = self.driver.free(range.address) {
                    tracing::debug!("free of {:#x}: {error:?}", range.address);
                }
                if let Some(device) = range.device() {
                    self.quota.release(device, range.reserved());
                }
            }
            What::Twin(number) => self.twins.finish(&self.driver, number),
            What::Freed(range) => {
                if let Some(device) = range.device() {
                    self.quota.release(device, range.reserved());
                }
            }
        }
    }

    /// Gives back mirrors that no graph uses any more.
    pub(crate) fn sweep_mirrors(&self) {
        let unused = self.tables().graphs.mirrors.sweep();
        for mirror in unused {
            mirror.unpin(&self.driver);
        }
    }

    /// A piece of the slab is done with: the client hears of what has become free.
    pub(crate) fn release_piece(&self, position: u64) {
        if let Some(free) = self.slab.release(position) {
            let message = Side {
                kind: side::SLAB_FREE,
                a: free,
                ..Side::default()
            };
            if let Err(error) = self.link.post_side(&bytes_of(&message)) {
                self.link.close(&format!("side lane: {error}"));
            }
        }
    }

    /// Wakes every thread that waits for anything but the driver.
    fn close(&self) {
        self.hostfns.close();
        self.landings.close();
        self.pieces.close();
        self.sources.close();
        self.frees.close();
        self.order.close();
        self.pool.close();
    }

    fn end(&self, death: &Error) -> End {
        match self
            .fault
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
        {
            Some(fault) => End::Fault(fault),
            None => End::Closed(death.to_string()),
        }
    }
}

impl Drop for Session {
    /// Gives everything back: memory to the driver and the share, contexts to the driver.
    fn drop(&mut self) {
        let tables = self
            .tables
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        let tables = std::mem::take(tables);
        crate::hand::clean_up(self, tables);
        let own = self
            .memory_context
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(context) = own.take() {
            let _ = self.driver.destroy_context(context);
        }
    }
}

/// Ends the link when a thread of the session panics: a bug of ours must not leave a client
/// waiting for ever.
struct CloseOnPanic(Arc<dyn Link>);

impl Drop for CloseOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.close("a thread of the worker panicked");
        }
    }
}

/// The side lane of the main conversation: pings, and the ends of host functions.
struct SideSink<'a> {
    session: &'a Session,
}

impl Sink for SideSink<'_> {
    fn batch(&mut self, _: &[u8]) -> Result<(), Error> {
        Err(Error::protocol("a batch on the side lane"))
    }

    fn destination(&mut self, _: Span) -> Result<flexdirect_transport::Destination, Error> {
        Err(Error::protocol("bulk on the side lane"))
    }

    fn landed(&mut self, _: Span) -> Result<(), Error> {
        Err(Error::protocol("bulk on the side lane"))
    }

    fn side(&mut self, message: &[u8]) -> Result<(), Error> {
        let read = Reader::new(message).get::<Side>();
        let Some(message) = read.ok().filter(|_| message.len() == size_of::<Side>()) else {
            let fault = Fault::Side { len: message.len() };
            let text = fault.to_string();
            self.session.fail(fault);
            return Err(Error::protocol(text));
        };
        match message.kind {
            side::PING => {
                let answer = Side {
                    kind: side::PONG,
                    ..message
                };
                self.session.link.post_side(&bytes_of(&answer))
            }
            side::CALLBACK_DONE => {
                self.session.hostfns.done(message.a);
                Ok(())
            }
            // Those of a newer client have no meaning here.
            _ => Ok(()),
        }
    }
}

fn bytes_of(message: &Side) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(size_of::<Side>());
    Writer::body(&mut bytes).put(message);
    bytes
}

/// The device whose primary context a name is, if it is one of the lease.
pub(crate) fn primary_device(name: ShadowHandle, devices: u16) -> Option<u16> {
    let device = u16::try_from(name.index()).ok()?;
    (device < devices && name == ShadowHandle::primary_context(device)).then_some(device)
}
