//! What this process knows once it has connected: its session, its devices and all their objects.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::sync::{RwLockReadGuard, RwLockWriteGuard};

use flexdirect_wire::abi::{CuError, CuResult};
use flexdirect_wire::call::Op;
use flexdirect_wire::control::Snapshot;
use flexdirect_wire::handle::{Kind, ShadowHandle};
use flexdirect_wire::record::Writer;

use crate::array::{Array, Mipmap};
use crate::claim::Claims;
use crate::devices::{self, Device};
use crate::objects::{Context, Event, Function, Module, Pool, Slots, Stream, Table};
use crate::ranges::Ranges;
use crate::session::{self, Connected, Issue, Reply, Session};
use crate::{graph, lifetime, log, texture, thread};

/// See the module. There is one, made by the first cuInit that succeeds; it is never destroyed.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) session: Arc<Session>,
    /// What `cuDriverGetVersion` says.
    pub(crate) driver_version: u32,
    pub(crate) devices: Vec<Device>,
    /// Primary contexts by ordinal.
    pub(crate) primaries: Vec<Arc<Context>>,
    /// Contexts that were created.
    pub(crate) contexts: Table<Context>,
    pub(crate) streams: Slots<Stream>,
    pub(crate) events: Slots<Event>,
    /// Modules and libraries.
    pub(crate) modules: Table<Module>,
    /// Functions and kernels.
    pub(crate) functions: Table<Function>,
    pub(crate) pools: Table<Pool>,
    /// Arrays, levels of mipmapped ones among them.
    pub(crate) arrays: Table<Array>,
    pub(crate) mipmaps: Table<Mipmap>,
    /// By the values that kernels take.
    pub(crate) textures: texture::Objects,
    pub(crate) surfaces: texture::Objects,
    /// Numbers of the ranges whose copies are asked to be synchronous.
    synchronous: Mutex<BTreeSet<u64>>,
    pub(crate) graphs: graph::State,
    ranges: RwLock<Ranges>,
    claims: Mutex<Claims>,
}

/// Connects, unless that has been done.
///
/// # Errors
/// The code that cuInit returns; the reason has been told.
pub(crate) fn initialise() -> CuResult {
    static CONNECTING: Mutex<()> = Mutex::new(());
    let _one = CONNECTING.lock().unwrap_or_else(PoisonError::into_inner);
    if PROCESS.get().is_some() {
        return Ok(());
    }
    lifetime::watch();
    let Connected {
        session,
        snapshot,
        sockets,
    } = session::connect().map_err(|reason| {
        // A runtime tries again with every call of the application.
        static IS_TOLD: AtomicBool = AtomicBool::new(false);
        if !IS_TOLD.swap(true, Ordering::Relaxed) {
            log::error!("{reason}");
        }
        reason.code
    })?;
    let visible = std::env::var("CUDA_VISIBLE_DEVICES").ok();
    let process = Process::new(session, &snapshot, visible.as_deref());
    if process.devices.is_empty() {
        process.session.close("no device is visible");
        return Err(CuError::NO_DEVICE);
    }
    lifetime::keep_from_children(sockets);
    // The lock is held and nothing was there: this is the first.
    let _ = PROCESS.set(process);
    Ok(())
}

/// The process, once it has connected.
///
/// # Errors
/// `NOT_INITIALIZED`.
pub(crate) fn process() -> Result<&'static Process, CuError> {
    #[cfg(test)]
    if let Some(process) = crate::fake::process() {
        return Ok(process);
    }
    PROCESS.get().ok_or(CuError::NOT_INITIALIZED)
}

/// Where a call is made: the process, and the context that the calling thread has current.
#[derive(Clone, Debug)]
pub(crate) struct Here {
    pub(crate) process: &'static Process,
    pub(crate) context: Arc<Context>,
}

/// Where the calling thread is.
///
/// # Errors
/// `NOT_INITIALIZED`; `INVALID_CONTEXT` without a context, or the code of one that is gone.
pub(crate) fn here() -> Result<Here, CuError> {
    let process = process()?;
    let context = thread::current().ok_or(CuError::INVALID_CONTEXT)?;
    context.check()?;
    Ok(Here { process, context })
}

impl Here {
    /// The device of the current context.
    pub(crate) fn device(&self) -> &'static Device {
        &self.process.devices[self.context.ordinal]
    }

    /// Submits a posted record whose body is what `write` writes.
    ///
    /// # Errors
    /// Those of `write`, and the code of a dead session.
    pub(crate) fn post(&self, op: Op, write: impl FnOnce(&mut Writer<'_>) -> CuResult) -> CuResult {
        self.submit(op, &body(write)?)
    }

    /// Submits a posted record.
    ///
    /// # Errors
    /// The code of a dead session.
    pub(crate) fn submit(&self, op: Op, body: &[u8]) -> CuResult {
        self.process.session.post(self.issue(op), body)
    }

    /// Submits an awaited record and waits for its reply.
    ///
    /// # Errors
    /// The code of a dead session; those of the call are in the reply.
    pub(crate) fn ask(&self, op: Op, body: &[u8]) -> Result<Reply, CuError> {
        self.process.session.call(self.issue(op), body)
    }

    /// Submits an awaited record and waits for its reply.
    ///
    /// # Errors
    /// Those of `write`, and the code of a dead session; those of the call are in the reply.
    pub(crate) fn call(
        &self,
        op: Op,
        write: impl FnOnce(&mut Writer<'_>) -> CuResult,
    ) -> Result<Reply, CuError> {
        self.ask(op, &body(write)?)
    }

    pub(crate) fn issue(&self, op: Op) -> Issue {
        Issue {
            op,
            lane: self.context.lane,
            context: self.context.handle,
        }
    }
}

/// A body on its own.
pub(crate) fn body(write: impl FnOnce(&mut Writer<'_>) -> CuResult) -> Result<Vec<u8>, CuError> {
    let mut body = Vec::with_capacity(128);
    write(&mut Writer::body(&mut body))?;
    Ok(body)
}

impl Process {
    pub(crate) fn new(
        session: Arc<Session>,
        snapshot: &Snapshot,
        visible_devices: Option<&str>,
    ) -> Self {
        let devices = devices::visible_devices(snapshot, visible_devices);
        let primary = |(ordinal, device): (usize, &Device)| {
            let handle = ShadowHandle::primary_context(device.lane).0;
            Arc::new(Context::new(handle, ordinal, device.lane, 0, true))
        };
        Self {
            session,
            driver_version: snapshot.driver_version.min(session::TABLE_VERSION),
            primaries: devices.iter().enumerate().map(primary).collect(),
            devices,
            contexts: Table::default(),
            streams: Slots::new(Kind::STREAM),
            events: Slots::new(Kind::EVENT),
            modules: Table::default(),
            functions: Table::default(),
            pools: Table::default(),
            arrays: Table::default(),
            mipmaps: Table::default(),
            textures: texture::Objects::default(),
            surfaces: texture::Objects::default(),
            synchronous: Mutex::default(),
            graphs: graph::State::default(),
            ranges: RwLock::default(),
            claims: Mutex::default(),
        }
    }

    /// The context of a handle of the application.
    ///
    /// # Errors
    /// `INVALID_CONTEXT`.
    pub(crate) fn context(&self, handle: u64) -> Result<Arc<Context>, CuError> {
        let primary = self
            .primaries
            .iter()
            .find(|context| context.handle == handle)
            .cloned();
        primary
            .or_else(|| self.contexts.find(handle))
            .ok_or(CuError::INVALID_CONTEXT)
    }

    pub(crate) fn ranges(&self) -> RwLockReadGuard<'_, Ranges> {
        self.ranges.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn ranges_mut(&self) -> RwLockWriteGuard<'_, Ranges> {
        self.ranges.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn synchronous(&self) -> MutexGuard<'_, BTreeSet<u64>> {
        self.synchronous
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn claims(&self) -> MutexGuard<'_, Claims> {
        self.claims.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets all objects of a context that is gone; its pinned memory goes back. What a runtime
    /// has left with it is still to be run, with no lock held: `tables::context_destroyed`.
    pub(crate) fn forget(&self, context: u64) {
        self.session.forget_context(context);
        self.streams.remove_all(|stream| stream.context == context);
        graph::forget(self, |stream| stream.context == context);
        self.events.remove_all(|event| event.context == context);
        self.modules
            .remove_all(|_, module| module.context == context);
        self.functions
            .remove_all(|_, function| function.context == context);
        self.modules.each(|module| module.forget(context));
        self.arrays.remove_all(|_, array| array.context == context);
        self.mipmaps
            .remove_all(|_, mipmap| mipmap.context == context);
        self.textures.forget(context);
        self.surfaces.forget(context);
        let ended = self
            .ranges_mut()
            .remove_all(|range| range.context == context);
        for range in ended.iter().filter(|range| range.is_managed()) {
            crate::hand::close(self, range);
        }
        for range in ended.iter().filter(|range| range.pinned().is_some()) {
            crate::local::give_back_pinned(self, range);
        }
    }
}

static PROCESS: OnceLock<Process> = OnceLock::new();
