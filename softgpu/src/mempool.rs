//! Memory pools: allocation and freeing in stream order (CUDA Driver API, "Stream Ordered Memory
//! Allocator").
//!
//! An address is known when the call returns, so memory is taken then: what was freed in the same
//! stream, for that stream gets to the free first, or what any stream has got to the free of, else
//! new memory. What is freed stays the pool's, to be used again, until somebody waits for work and
//! the pool holds more than its threshold.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use flexdirect_wire::abi::{CuError, CuMemoryPool};

use crate::arena::{GRANULE, Purpose};
use crate::device::Device;
use crate::driver;
use crate::faultplan;
use crate::raw::lock;
use crate::table::Table;
use crate::windows::{self, Devices, Window};

/// Pools by handle, the default ones among them.
pub(crate) static POOLS: Table<Pool> = Table::new(0x6a);

/// A pool of a device's memory.
#[derive(Debug)]
pub(crate) struct Pool {
    /// The application's name for it.
    pub(crate) handle: CuMemoryPool,
    /// Its device.
    pub(crate) device: usize,
    /// Most bytes that it may hold; 0 for no limit.
    pub(crate) len_max: u64,
    state: Mutex<State>,
}

/// What can be asked of a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Account {
    /// Bytes that the application uses, and the most since it was reset.
    pub(crate) used: u64,
    pub(crate) used_high: u64,
    /// Bytes that the pool holds, and the most since it was reset.
    pub(crate) reserved: u64,
    pub(crate) reserved_high: u64,
    /// Bytes that it may hold without use when somebody waits.
    pub(crate) threshold: u64,
    /// CU_MEMPOOL_ATTR_REUSE_* by number, less one.
    pub(crate) reuse: [bool; 3],
}

#[derive(Debug, Default)]
struct State {
    account: Account,
    blocks: BTreeMap<u64, Block>,
    /// Devices with access beside its own.
    devices: Devices,
    is_destroyed: bool,
    next: u64,
}

#[derive(Debug)]
struct Block {
    /// Bytes asked for, rounded up, and bytes there are.
    len: u64,
    room: u64,
    /// Number of the context that it belongs to.
    context: u64,
    freed: Option<Freed>,
}

/// A free in stream order.
#[derive(Clone, Copy, Debug)]
struct Freed {
    /// Number of the stream.
    stream: u64,
    /// Number of the free.
    number: u64,
    /// Whether the stream has got there.
    is_reached: bool,
}

/// A free that a stream has still to get to: see [`Pool::reach`].
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pool: Arc<Pool>,
    address: u64,
    number: u64,
}

/// The pool of every live block by address.
static OWNERS: Mutex<BTreeMap<u64, Arc<Pool>>> = Mutex::new(BTreeMap::new());
/// Blocks that wait to be used again, of all pools: nothing has to be looked at while there is
/// none.
static UNUSED: AtomicUsize = AtomicUsize::new(0);
/// A device's default and current pool.
type Choice = (Arc<Pool>, Arc<Pool>);
static CHOSEN: Mutex<BTreeMap<usize, Choice>> = Mutex::new(BTreeMap::new());

/// A device's default pool.
pub(crate) fn default_of(device: usize) -> Arc<Pool> {
    Arc::clone(&chosen(device).0)
}

/// A device's current pool.
pub(crate) fn current_of(device: usize) -> Arc<Pool> {
    Arc::clone(&chosen(device).1)
}

fn chosen(device: usize) -> Choice {
    let mut chosen = lock(&CHOSEN);
    let pools = chosen.entry(device).or_insert_with(|| {
        let made = Pool::new(device, 0);
        (Arc::clone(&made), made)
    });
    pools.clone()
}

/// Makes a pool its device's current one.
pub(crate) fn choose(pool: &Arc<Pool>) {
    chosen(pool.device);
    if let Some(pools) = lock(&CHOSEN).get_mut(&pool.device) {
        pools.1 = Arc::clone(pool);
    }
}

/// The pool whose live allocation starts at `address`.
pub(crate) fn owner(address: u64) -> Option<Arc<Pool>> {
    lock(&OWNERS).get(&address).cloned()
}

/// Somebody has waited for a device's work: pools give back what is beyond their thresholds.
pub(crate) fn after_wait(device: usize) {
    if UNUSED.load(Ordering::Relaxed) == 0 {
        return;
    }
    for pool in POOLS.filter(|pool| pool.device == device) {
        let threshold = pool.account().threshold;
        pool.trim(threshold);
    }
}

/// Gives back all that no pool of a device uses; false if there was nothing.
pub(crate) fn relieve(device: usize) -> bool {
    if UNUSED.load(Ordering::Relaxed) == 0 {
        return false;
    }
    let mut any = false;
    for pool in POOLS.filter(|pool| pool.device == device) {
        any |= pool.trim(0);
    }
    any
}

/// Forgets the blocks of a context that ends; its device's arena frees them.
pub(crate) fn forget_context(context: u64) {
    let mut pools = POOLS.filter(|_| true);
    pools.extend(lock(&OWNERS).values().cloned());
    for pool in pools {
        pool.forget(context);
    }
}

impl Pool {
    /// A pool in the table.
    pub(crate) fn new(device: usize, len_max: u64) -> Arc<Self> {
        let account = Account {
            reuse: [true; 3],
            ..Account::default()
        };
        let state = State {
            account,
            ..State::default()
        };
        POOLS.insert(|handle| Self {
            handle: CuMemoryPool(handle),
            device,
            len_max,
            state: Mutex::new(state),
        })
    }

    fn device(&self) -> &'static Device {
        &driver::devices()[self.device]
    }

    /// What it holds and how it is set.
    pub(crate) fn account(&self) -> Account {
        lock(&self.state).account
    }

    /// Changes how it is set.
    pub(crate) fn set(&self, change: impl FnOnce(&mut Account)) {
        change(&mut lock(&self.state).account);
    }

    /// Allocates for a context and a stream, both by number.
    ///
    /// # Errors
    /// OUT_OF_MEMORY.
    pub(crate) fn allocate(
        self: &Arc<Self>,
        len: u64,
        context: u64,
        stream: u64,
    ) -> Result<u64, CuError> {
        let rounded = len.checked_next_multiple_of(GRANULE);
        let rounded = rounded.ok_or(CuError::OUT_OF_MEMORY)?;
        faultplan::plan().allocation()?;
        let mut state = lock(&self.state);
        if let Some(address) = state.fitting(rounded, stream) {
            let arena = &self.device().arena;
            if arena.reuse(address, len, context) {
                UNUSED.fetch_sub(1, Ordering::Relaxed);
                state.take(address, rounded, context);
                lock(&OWNERS).insert(address, Arc::clone(self));
                return Ok(address);
            }
        }
        drop(state);
        self.allocate_new(len, rounded, context)
    }

    fn allocate_new(
        self: &Arc<Self>,
        len: u64,
        rounded: u64,
        context: u64,
    ) -> Result<u64, CuError> {
        let within = |pool: &Self| {
            let reserved = pool.account().reserved.saturating_add(rounded);
            pool.len_max == 0 || reserved <= pool.len_max
        };
        if !within(self) {
            self.trim(0);
            if !within(self) {
                return Err(CuError::OUT_OF_MEMORY);
            }
        }
        let arena = &self.device().arena;
        let made = arena
            .allocate(len, context, Purpose::Pool)
            .or_else(|full| {
                if relieve(self.device) {
                    return arena.allocate(len, context, Purpose::Pool);
                }
                Err(full)
            })
            .map_err(|_| CuError::OUT_OF_MEMORY)?;
        let mut state = lock(&self.state);
        let block = Block {
            len: rounded,
            room: rounded,
            context,
            freed: None,
        };
        state.open(made.address, rounded);
        state.blocks.insert(made.address, block);
        let account = &mut state.account;
        account.reserved += rounded;
        account.reserved_high = account.reserved_high.max(account.reserved);
        account.used += rounded;
        account.used_high = account.used_high.max(account.used);
        lock(&OWNERS).insert(made.address, Arc::clone(self));
        Ok(made.address)
    }

    /// Frees in the order of a stream, by number: [`Pool::reach`] is to follow when the stream gets
    /// there. `None` if no live allocation of this pool starts there.
    pub(crate) fn free(self: &Arc<Self>, address: u64, stream: u64) -> Option<Pending> {
        let mut state = lock(&self.state);
        state.next += 1;
        let number = state.next;
        let block = state.blocks.get_mut(&address)?;
        if block.freed.is_some() {
            return None;
        }
        block.freed = Some(Freed {
            stream,
            number,
            is_reached: false,
        });
        state.account.used -= state.blocks[&address].len;
        UNUSED.fetch_add(1, Ordering::Relaxed);
        lock(&OWNERS).remove(&address);
        self.device()
            .arena
            .change(address, Purpose::Pool, Purpose::Retired);
        Some(Pending {
            pool: Arc::clone(self),
            address,
            number,
        })
    }

    /// The stream has got to a free: from now on the memory is anybody's.
    pub(crate) fn reach(pending: &Pending) {
        let Pending {
            pool,
            address,
            number,
        } = pending;
        let mut state = lock(&pool.state);
        let Some(block) = state.blocks.get_mut(address) else {
            return;
        };
        // Its own stream may use it again already.
        let Some(freed) = block.freed.as_mut().filter(|freed| freed.number == *number) else {
            return;
        };
        freed.is_reached = true;
        let arena = &pool.device().arena;
        arena.change(*address, Purpose::Retired, Purpose::Cached);
        if state.is_destroyed {
            state.release(*address, pool.device());
        }
    }

    /// Frees at once, for all work is done. False if no live allocation of this pool starts there.
    pub(crate) fn free_now(self: &Arc<Self>, address: u64) -> bool {
        let Some(pending) = self.free(address, 0) else {
            return false;
        };
        Self::reach(&pending);
        after_wait(self.device);
        true
    }

    /// Gives memory that nothing uses back until the pool holds `keep` bytes; whether it gave any.
    pub(crate) fn trim(&self, keep: u64) -> bool {
        let mut state = lock(&self.state);
        let unused = state.blocks.iter().filter(|(_, block)| block.is_unused());
        let unused: Vec<u64> = unused.map(|(&address, _)| address).collect();
        let mut any = false;
        for address in unused {
            if state.account.reserved <= keep {
                break;
            }
            state.release(address, self.device());
            any = true;
        }
        any
    }

    /// Its handle is dead; what it holds goes, what is in use when it is freed.
    pub(crate) fn destroy(&self) {
        POOLS.remove(self.handle.0);
        if let Some(pools) = lock(&CHOSEN).get_mut(&self.device)
            && pools.1.handle == self.handle
        {
            pools.1 = Arc::clone(&pools.0);
        }
        lock(&self.state).is_destroyed = true;
        self.trim(0);
    }

    /// Gives devices access, or takes it, for allocations that are there and to come.
    pub(crate) fn set_access(&self, grant: Devices, revoke: Devices) {
        let mut state = lock(&self.state);
        state.devices = (state.devices | grant) & !revoke;
        let places: Vec<_> = state
            .blocks
            .iter()
            .map(|(&address, block)| (address, block.room))
            .collect();
        for (address, room) in places {
            if state.devices == 0 {
                windows::close(address);
            } else {
                state.open(address, room);
            }
        }
    }

    /// Devices that have access beside its own.
    pub(crate) fn devices(&self) -> Devices {
        lock(&self.state).devices
    }

    fn forget(&self, context: u64) {
        let mut state = lock(&self.state);
        let own = state
            .blocks
            .iter()
            .filter(|(_, block)| block.context == context);
        let own: Vec<u64> = own.map(|(&address, _)| address).collect();
        for address in own {
            state.remove(address);
        }
    }
}

impl Block {
    fn is_unused(&self) -> bool {
        self.freed.is_some_and(|freed| freed.is_reached)
    }
}

impl State {
    /// The smallest block that can be used again in a stream and is not much too large.
    fn fitting(&self, len: u64, stream: u64) -> Option<u64> {
        let most = len.saturating_mul(2).saturating_add(SLACK_LEN);
        let [_, opportunistic, _] = self.account.reuse;
        let fits = self.blocks.iter().filter(|(_, block)| {
            let is_free = block
                .freed
                .is_some_and(|freed| freed.stream == stream || (freed.is_reached && opportunistic));
            is_free && (len..=most).contains(&block.room)
        });
        fits.min_by_key(|(_, block)| block.room)
            .map(|(&address, _)| address)
    }

    fn take(&mut self, address: u64, len: u64, context: u64) {
        if let Some(block) = self.blocks.get_mut(&address) {
            block.len = len;
            block.context = context;
            block.freed = None;
        }
        self.account.used += len;
        self.account.used_high = self.account.used_high.max(self.account.used);
    }

    fn open(&self, address: u64, len: u64) {
        if self.devices != 0 {
            let window = Window {
                len,
                devices: self.devices,
                readers: 0,
                keep: None,
            };
            windows::open(address, window);
        }
    }

    fn release(&mut self, address: u64, device: &Device) {
        self.remove(address);
        device.arena.free(address, Purpose::Cached);
    }

    /// Takes a block out of the account.
    fn remove(&mut self, address: u64) {
        let Some(block) = self.blocks.remove(&address) else {
            return;
        };
        if self.devices != 0 {
            windows::close(address);
        }
        self.account.reserved -= block.room;
        if block.freed.is_some() {
            UNUSED.fetch_sub(1, Ordering::Relaxed);
        } else {
            self.account.used -= block.len;
            lock(&OWNERS).remove(&address);
        }
    }
}

/// What a block may be larger than twice what is asked for, in bytes.
const SLACK_LEN: u64 = 64 << 10;
