//! Memory of graphs: what nodes allocate and free, at addresses that every launch finds the same.
//!
//! An allocation is there from when its node is made, for the call tells its address, until nothing
//! refers to it. What launches change is whether the program may use it: that is decided in the
//! order in which the program makes its calls.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, Weak};

use flexdirect_wire::abi::CuError;

use super::About;
use crate::arena::{Allocation, Purpose};
use crate::driver;
use crate::faultplan;
use crate::mempool;
use crate::raw::lock;

/// An allocation of a node.
#[derive(Debug)]
pub(crate) struct GraphMemory {
    allocation: Allocation,
    device: usize,
}

#[derive(Debug)]
struct Registry {
    /// By address.
    entries: BTreeMap<u64, Entry>,
    /// Most bytes that there were at a time, by device.
    most: BTreeMap<usize, u64>,
}

#[derive(Debug)]
struct Entry {
    memory: Weak<GraphMemory>,
    device: usize,
    len: u64,
    context: u64,
    /// Set from the launch that allocates it until something frees it.
    used: Option<Arc<GraphMemory>>,
}

static REGISTRY: Mutex<Registry> = Mutex::new(Registry {
    entries: BTreeMap::new(),
    most: BTreeMap::new(),
});

/// What launches no longer use: it goes with this, where neither the registry nor a stream is held.
#[derive(Debug)]
pub(super) struct Freed(#[expect(dead_code, reason = "held until it is dropped")] Changes);

/// By address, what there is to be used.
type Changes = BTreeMap<u64, Option<Arc<GraphMemory>>>;

impl GraphMemory {
    /// An allocation that is not in use.
    ///
    /// # Errors
    /// INVALID_VALUE for no bytes, OUT_OF_MEMORY.
    pub(crate) fn new(device: usize, len: usize, context: u64) -> Result<Arc<Self>, CuError> {
        if len == 0 {
            return Err(CuError::INVALID_VALUE);
        }
        faultplan::plan().allocation()?;
        let arena = &driver::devices()[device].arena;
        let attempt = || arena.allocate(len as u64, context, Purpose::Graph);
        let made = attempt().or_else(|full| {
            if mempool::relieve(device) {
                return attempt();
            }
            Err(full)
        });
        let allocation = made.map_err(|_| CuError::OUT_OF_MEMORY)?;
        let memory = Arc::new(Self { allocation, device });
        let entry = Entry {
            memory: Arc::downgrade(&memory),
            device,
            len: len as u64,
            context,
            used: None,
        };
        let mut registry = lock(&REGISTRY);
        registry.entries.insert(allocation.address, entry);
        let now = registry.now(device);
        let most = registry.most.entry(device).or_default();
        *most = now.max(*most);
        Ok(memory)
    }

    /// First address.
    pub(crate) fn address(&self) -> u64 {
        self.allocation.address
    }

    /// Bytes.
    pub(crate) fn len(&self) -> u64 {
        self.allocation.len
    }

    /// The device it is on, by ordinal.
    pub(crate) fn device(&self) -> usize {
        self.device
    }
}

impl Drop for GraphMemory {
    fn drop(&mut self) {
        let address = self.allocation.address;
        let mut registry = lock(&REGISTRY);
        let entry = registry.entries.get(&address);
        // When its context has ended, the address may be another one's.
        if entry.is_some_and(|entry| std::ptr::eq(entry.memory.as_ptr(), self)) {
            registry.entries.remove(&address);
        }
        drop(registry);
        let arena = &driver::devices()[self.device].arena;
        arena.free_own(&self.allocation);
    }
}

impl Registry {
    fn now(&self, device: usize) -> u64 {
        let entries = self.entries.values();
        let own = entries.filter(|entry| entry.device == device);
        own.map(|entry| entry.len).sum()
    }

    fn is_used(&self, memory: &GraphMemory) -> bool {
        let entry = self.entries.get(&memory.address());
        entry.is_some_and(|entry| entry.used.is_some())
    }
}

/// The allocation of a node that starts at an address.
pub(crate) fn find(address: u64) -> Option<Arc<GraphMemory>> {
    lock(&REGISTRY).entries.get(&address)?.memory.upgrade()
}

/// Frees what a launch has allocated, if memory of graphs is there. The memory may be given back
/// when what is returned goes: not before the work that uses it is done.
pub(crate) fn free(address: u64) -> Option<Result<Arc<GraphMemory>, CuError>> {
    let mut registry = lock(&REGISTRY);
    let entry = registry.entries.get_mut(&address)?;
    Some(entry.used.take().ok_or(CuError::INVALID_VALUE))
}

/// What a launch of these nodes, in their order, allocates and frees. `frees_first`: what an
/// earlier launch has left allocated is freed instead of being an error.
///
/// # Errors
/// INVALID_VALUE for what is allocated twice or freed without being allocated; nothing is changed.
pub(super) fn launch<'a>(
    nodes: impl Iterator<Item = &'a About>,
    frees_first: bool,
) -> Result<Freed, CuError> {
    let mut changes = Changes::new();
    let mut registry = lock(&REGISTRY);
    for about in nodes {
        let (memory, allocates) = match about {
            About::Allocate(memory) => (memory, true),
            About::Free(memory) => (memory, false),
            _ => continue,
        };
        let address = memory.address();
        let is_used = match changes.get(&address) {
            Some(change) => change.is_some(),
            None => registry.is_used(memory) && !(allocates && frees_first),
        };
        if is_used == allocates {
            return Err(CuError::INVALID_VALUE);
        }
        changes.insert(address, allocates.then(|| Arc::clone(memory)));
    }
    for (address, change) in &mut changes {
        if let Some(entry) = registry.entries.get_mut(address) {
            std::mem::swap(&mut entry.used, change);
        }
    }
    Ok(Freed(changes))
}

/// The memory of a context that ends is gone, whatever still refers to it.
pub(crate) fn forget_context(context: u64) {
    let mut registry = lock(&REGISTRY);
    let entries = std::mem::take(&mut registry.entries).into_iter();
    let (own, others) = entries.partition(|(_, entry)| entry.context == context);
    registry.entries = others;
    drop(registry);
    drop::<BTreeMap<u64, Entry>>(own);
}

/// Bytes of memory of graphs on a device: now, and at most so far.
pub(crate) fn lens(device: usize) -> (u64, u64) {
    let registry = lock(&REGISTRY);
    let now = registry.now(device);
    (now, registry.most.get(&device).copied().unwrap_or(0))
}

/// Forgets how much there was at most.
pub(crate) fn reset_most(device: usize) {
    let mut registry = lock(&REGISTRY);
    let now = registry.now(device);
    registry.most.insert(device, now);
}
