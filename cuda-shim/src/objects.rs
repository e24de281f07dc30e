//! What the client knows of driver objects: contexts, streams, events, modules, functions.
//!
//! Enough to prove the errors of a posted call and to answer what never changes. Handles that the
//! client invents come from [`Slots`]; those that the worker invents are kept in a [`Table`].

use std::collections::HashMap;
use std::ffi::CString;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use flexdirect_wire::abi::CuError;
use flexdirect_wire::body::Parameter;
use flexdirect_wire::handle::{GENERATION_MAX, Kind, ShadowHandle};
use flexdirect_wire::limits::HANDLES_MAX;

/// The newest host function that work on a stream comes after, by number; 0 for none.
#[derive(Debug, Default)]
pub(crate) struct After(AtomicU64);

impl After {
    pub(crate) fn number(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    /// Notes a host function.
    pub(crate) fn raise(&self, number: u64) {
        self.0.fetch_max(number, Ordering::AcqRel);
    }
}

/// A context.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) handle: u64,
    /// Ordinal among the devices that the application sees.
    pub(crate) ordinal: usize,
    /// Ordinal in the lease.
    pub(crate) lane: u16,
    pub(crate) flags: AtomicU32,
    /// Unique in the process.
    pub(crate) id: u64,
    /// Whether work may be given to it: a primary context only once it is retained.
    pub(crate) is_active: AtomicBool,
    /// How often a primary context is retained. The lock is held while it is made active.
    pub(crate) retained: Mutex<u32>,
    /// What its default stream and blocking streams come after.
    pub(crate) after: After,
}

impl Context {
    /// A context; a primary one is not active yet.
    pub(crate) fn new(
        handle: u64,
        ordinal: usize,
        lane: u16,
        flags: u32,
        is_primary: bool,
    ) -> Self {
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        Self {
            handle,
            ordinal,
            lane,
            flags: AtomicU32::new(flags),
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            is_active: AtomicBool::new(!is_primary),
            retained: Mutex::new(0),
            after: After::default(),
        }
    }

    /// The retain count, locked.
    pub(crate) fn retained(&self) -> MutexGuard<'_, u32> {
        self.retained.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether work may be given to it.
    ///
    /// # Errors
    /// `CONTEXT_IS_DESTROYED` for a context that is gone, and for a primary one that nobody
    /// retains.
    pub(crate) fn check(&self) -> Result<(), CuError> {
        // Acquire: pairs with the Release in whoever makes a context active.
        if self.is_active.load(Ordering::Acquire) {
            Ok(())
        } else {
            Err(CuError::CONTEXT_IS_DESTROYED)
        }
    }

    pub(crate) fn set_active(&self, is_active: bool) {
        // Release: pairs with the Acquire in check.
        self.is_active.store(is_active, Ordering::Release);
    }
}

/// A stream.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) context: u64,
    pub(crate) lane: u16,
    pub(crate) flags: u32,
    pub(crate) priority: AtomicI32,
    /// Unique in the process; 1 and 2 are the special streams.
    pub(crate) id: u64,
    /// What it comes after, if it does not block.
    pub(crate) after: After,
}

impl Stream {
    pub(crate) fn new(context: &Context, flags: u32, priority: i32) -> Self {
        static NEXT_ID: AtomicU64 = AtomicU64::new(3);
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        Self {
            context: context.handle,
            lane: context.lane,
            flags,
            priority: AtomicI32::new(priority),
            id,
            after: After::default(),
        }
    }
}

/// An event, and how often it was recorded.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) context: u64,
    pub(crate) lane: u16,
    recorded: AtomicU64,
    finished: AtomicU64,
    /// What its stream came after when it was recorded.
    pub(crate) after: After,
    /// Graphs record it, of which nothing is heard here.
    is_elsewhere: AtomicBool,
}

impl Event {
    pub(crate) fn new(context: &Context) -> Self {
        Self {
            context: context.handle,
            lane: context.lane,
            recorded: AtomicU64::new(0),
            finished: AtomicU64::new(0),
            after: After::default(),
            is_elsewhere: AtomicBool::new(false),
        }
    }

    /// Notes that it was recorded: what is known of earlier recordings no longer counts.
    pub(crate) fn record(&self) {
        self.recorded.fetch_add(1, Ordering::AcqRel);
    }

    /// The recording that a question put to the worker now is about; none if it is known to be
    /// finished, as an event that was never recorded is.
    pub(crate) fn pending(&self) -> Option<u64> {
        let recorded = self.recorded.load(Ordering::Acquire);
        let is_open = self.is_elsewhere.load(Ordering::Acquire)
            || self.finished.load(Ordering::Acquire) < recorded;
        is_open.then_some(recorded)
    }

    /// Notes that a graph may record it: the worker is always asked.
    pub(crate) fn record_elsewhere(&self) {
        self.is_elsewhere.store(true, Ordering::Release);
    }

    /// Notes that the worker has said that a recording is finished.
    pub(crate) fn finish(&self, recorded: u64) {
        self.finished.fetch_max(recorded, Ordering::AcqRel);
    }
}

/// A memory pool.
#[derive(Debug)]
pub(crate) struct Pool {
    /// Ordinal among the devices that the application sees.
    pub(crate) ordinal: usize,
}

/// A module or a library.
#[derive(Debug, Default)]
pub(crate) struct Module {
    /// Context of a module, or 0 for a library.
    pub(crate) context: u64,
    pub(crate) lane: u16,
    /// Functions of a module, kernels of a library.
    pub(crate) functions: Mutex<HashMap<CString, u64>>,
    /// Context and name (a library's variable has an address per context), to address and length.
    pub(crate) globals: Mutex<HashMap<(u64, CString), (u64, u64)>>,
    /// Modules of a library by context.
    pub(crate) modules: Mutex<HashMap<u64, u64>>,
}

impl Module {
    /// Forgets what a library had in a context that is gone: its handle may come again.
    pub(crate) fn forget(&self, context: u64) {
        let mut globals = self.globals.lock().unwrap_or_else(PoisonError::into_inner);
        globals.retain(|&(owner, _), _| owner != context);
        drop(globals);
        let mut modules = self.modules.lock().unwrap_or_else(PoisonError::into_inner);
        modules.remove(&context);
    }
}

/// A function of a module or a kernel of a library.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: CString,
    /// Module or library.
    pub(crate) owner: u64,
    /// Context of a function, or 0 for a kernel.
    pub(crate) context: u64,
    pub(crate) parameters: Box<[Parameter]>,
    /// Bytes of all parameters.
    pub(crate) parameters_len: u32,
    /// By number, from 0 on.
    pub(crate) attributes: Box<[AtomicI32]>,
    /// Functions of a kernel by context.
    pub(crate) functions: Mutex<HashMap<u64, u64>>,
}

impl Function {
    /// An attribute by number.
    pub(crate) fn attribute(&self, number: u32) -> Option<i32> {
        let cell = self.attributes.get(number as usize)?;
        Some(cell.load(Ordering::Relaxed))
    }

    /// Notes that an attribute was set.
    pub(crate) fn set_attribute(&self, number: u32, value: i32) {
        if let Some(cell) = self.attributes.get(number as usize) {
            cell.store(value, Ordering::Relaxed);
        }
    }
}

/// Objects under handles that the client invents.
#[derive(Debug)]
pub(crate) struct Slots<T> {
    kind: Kind,
    slots: RwLock<SlotsInner<T>>,
}

#[derive(Debug)]
struct SlotsInner<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    value: Option<Arc<T>>,
}

impl<T> Slots<T> {
    pub(crate) fn new(kind: Kind) -> Self {
        let inner = SlotsInner {
            slots: Vec::new(),
            free: Vec::new(),
        };
        Self {
            kind,
            slots: RwLock::new(inner),
        }
    }

    /// Takes an object in and invents its handle.
    ///
    /// # Errors
    /// `OUT_OF_MEMORY` when there are `HANDLES_MAX` of them.
    pub(crate) fn insert(&self, value: Arc<T>) -> Result<u64, CuError> {
        let mut inner = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        let index = match inner.free.pop() {
            Some(index) => index,
            None if inner.slots.len() < HANDLES_MAX => {
                inner.slots.push(Slot {
                    generation: 0,
                    value: None,
                });
                u32::try_from(inner.slots.len() - 1).expect("at most HANDLES_MAX")
            }
            None => return Err(CuError::OUT_OF_MEMORY),
        };
        let slot = &mut inner.slots[index as usize];
        slot.value = Some(value);
        Ok(ShadowHandle::new(self.kind, slot.generation, index, false).0)
    }

    /// The object of a handle, while the handle is valid.
    pub(crate) fn find(&self, handle: u64) -> Option<Arc<T>> {
        let inner = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        let slot = inner.slots.get(self.index(handle)?)?;
        slot.value
            .clone()
            .filter(|_| slot.generation == ShadowHandle(handle).generation())
    }

    /// Ends a handle. Its index is used again, under the next generation.
    pub(crate) fn remove(&self, handle: u64) -> Option<Arc<T>> {
        let index = self.index(handle)?;
        let mut inner = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        let slot = inner.slots.get_mut(index)?;
        if slot.generation != ShadowHandle(handle).generation() {
            return None;
        }
        let value = slot.value.take()?;
        slot.generation = (slot.generation + 1) & GENERATION_MAX;
        inner.free.push(ShadowHandle(handle).index());
        Some(value)
    }

    /// Ends the handles of all objects that `ends` chooses.
    pub(crate) fn remove_all(&self, ends: impl Fn(&T) -> bool) {
        let mut inner = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        let SlotsInner { slots, free } = &mut *inner;
        for (index, slot) in (0..).zip(slots) {
            if slot.value.as_deref().is_some_and(&ends) {
                slot.value = None;
                slot.generation = (slot.generation + 1) & GENERATION_MAX;
                free.push(index);
            }
        }
    }

    fn index(&self, handle: u64) -> Option<usize> {
        let handle = ShadowHandle(handle);
        let is_ours = handle.kind() == self.kind && !handle.by_server();
        is_ours.then(|| handle.index() as usize)
    }
}

/// Objects under handles that the worker invents.
#[derive(Debug)]
pub(crate) struct Table<T> {
    objects: RwLock<HashMap<u64, Arc<T>>>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            objects: RwLock::default(),
        }
    }
}

impl<T> Table<T> {
    pub(crate) fn insert(&self, handle: u64, object: Arc<T>) {
        self.objects
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(handle, object);
    }

    pub(crate) fn find(&self, handle: u64) -> Option<Arc<T>> {
        self.objects
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&handle)
            .cloned()
    }

    pub(crate) fn remove(&self, handle: u64) -> Option<Arc<T>> {
        self.objects
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&handle)
    }

    /// Does something with every object.
    pub(crate) fn each(&self, mut act: impl FnMut(&T)) {
        let objects = self.objects.read().unwrap_or_else(PoisonError::into_inner);
        objects.values().for_each(|object| act(object));
    }

    pub(crate) fn remove_all(&self, ends: impl Fn(u64, &T) -> bool) {
        let mut objects = self.objects.write().unwrap_or_else(PoisonError::into_inner);
        objects.retain(|&handle, object| !ends(handle, object));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_handle_finds_nothing() {
        let slots = Slots::new(Kind::STREAM);
        let first = slots.insert(Arc::new(1)).unwrap();
        assert_eq!(slots.find(first).as_deref(), Some(&1));
        assert_eq!(slots.remove(first).as_deref(), Some(&1));
        assert_eq!(slots.remove(first), None, "a handle ends once");
        let second = slots.insert(Arc::new(2)).unwrap();
        assert_eq!(ShadowHandle(second).index(), ShadowHandle(first).index());
        assert_eq!(
            slots.find(first),
            None,
            "the index is in use again, the handle is not"
        );
        assert_eq!(slots.find(second).as_deref(), Some(&2));
        assert_eq!(slots.find(0), None);
        assert_eq!(slots.find(1), None);
        slots.remove_all(|&value| value == 2);
        assert_eq!(slots.find(second), None);
        let third = slots.insert(Arc::new(3)).unwrap();
        assert_eq!(ShadowHandle(third).index(), ShadowHandle(first).index());
    }

    #[test]
    fn an_event_is_finished_until_it_is_recorded_again() {
        let event = Event::new(&Context::new(1, 0, 0, 0, false));
        assert_eq!(event.pending(), None, "never recorded is complete");
        event.record();
        let asked = event.pending().unwrap();
        event.record();
        event.finish(asked);
        let asked = event
            .pending()
            .expect("the second recording is not finished");
        event.finish(asked);
        assert_eq!(event.pending(), None);
    }
}
