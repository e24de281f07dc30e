//! Twins of client memory: pinned and managed memory of the worker that kernels use in its place.
//!
//! ```text
//!  client block ──▶ what differs from its base ──▶ written to the twin and to the base here
//!  client block ◀── what differs from the base ◀── looked for when the client has waited
//! ```
//! The client keeps the same base, which is what both ends have last agreed on; it lets no write
//! and no fetch overlap. The memory itself is written by kernels at any time, so nothing here
//! forms a reference to it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use flexdirect_wire::abi::CuError;
use flexdirect_wire::limits::{TWIN_PAGE_LEN, TWINS_LEN_MAX, TWINS_MAX};
use flexdirect_wire::{CuResult, ShadowHandle};

use super::mapping::Mapping;
use crate::driver::Driver;

/// The twins of a session, by device address.
#[derive(Debug, Default)]
pub(crate) struct Twins {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    live: BTreeMap<u64, Twin>,
    /// Twins that have ended and that work of the GPU may still use.
    retired: HashMap<u64, Twin>,
    last_retired: u64,
    /// Bytes of those that are pinned: live, retired or about to be made.
    pinned_len: u64,
}

/// One twin.
#[derive(Debug)]
pub(crate) struct Twin {
    /// First device address.
    pub(crate) address: u64,
    /// Bytes.
    pub(crate) len: usize,
    /// Context in which it was made.
    pub(crate) context: ShadowHandle,
    /// Where the worker reads and writes it.
    pub(crate) memory: Memory,
    /// What both ends agree on.
    base: Mapping,
    /// Whether the client may not know of it yet: nothing is fetched before it asks for this one,
    /// or another thread of it would be told what it cannot place.
    is_hidden: bool,
}

/// Where a twin lies in the worker.
#[derive(Debug)]
pub(crate) enum Memory {
    /// Pages of the worker, pinned; the block begins at the offset.
    Pinned(Mapping, usize),
    /// Managed memory, which the processor reaches at its device address.
    Managed,
}

impl Twin {
    /// A twin of zeros whose memory is there.
    ///
    /// # Errors
    /// What the driver still has pinned, when there is no memory for its base.
    pub(crate) fn new(
        (address, len): (u64, usize),
        context: ShadowHandle,
        memory: Memory,
    ) -> Result<Self, Memory> {
        match Mapping::new(len) {
            Ok(base) => Ok(Self {
                address,
                len,
                context,
                memory,
                base,
                is_hidden: false,
            }),
            Err(_) => Err(memory),
        }
    }

    /// One that the client hears of by a reply, while its threads fetch what they know.
    pub(crate) fn hidden(mut self) -> Self {
        self.is_hidden = true;
        self
    }

    fn pinned_len(&self) -> u64 {
        match self.memory {
            Memory::Pinned(..) => self.len as u64,
            Memory::Managed => 0,
        }
    }

    /// Pointer to `len` bytes from `offset` on, in the twin and in the base.
    fn places(&self, offset: usize, len: usize) -> Option<(*mut u8, *mut u8)> {
        let base = self.base.slice(offset, len)?;
        let twin = match &self.memory {
            Memory::Pinned(mapping, start) => mapping.slice(start.checked_add(offset)?, len)?,
            Memory::Managed => {
                let start = usize::try_from(self.address).ok()?;
                std::ptr::with_exposed_provenance_mut(start.checked_add(offset)?)
            }
        };
        Some((twin, base))
    }

    fn write(&self, offset: usize, bytes: &[u8]) -> bool {
        let Some((twin, base)) = self.places(offset, bytes.len()) else {
            return false;
        };
        // SAFETY: both places have room for the bytes (`places`), the twin while it is in the table
        // and the base as long as this value; the bytes are memory of another kind. Kernels that
        // write the twin meanwhile do so by CUDA's rules, and no reference to it is formed.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), twin, bytes.len());
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), base, bytes.len());
        }
        true
    }

    /// The bytes of a page if the device has changed it; they are what both ends agree on then.
    fn changed(&self, offset: usize) -> Option<Vec<u8>> {
        let len = TWIN_PAGE_LEN.min(self.len - offset);
        let (twin, base) = self.places(offset, len)?;
        // SAFETY: as for `write`: both have `len` bytes; that kernels may change the twin's while
        // they are compared makes the answer older or newer, and no reference is formed.
        if unsafe { libc::memcmp(twin.cast(), base.cast(), len) } == 0 {
            return None;
        }
        // SAFETY: as above. What is sent is the base: bytes that change now are found later.
        unsafe { std::ptr::copy_nonoverlapping(twin, base, len) };
        self.base.read(offset, len)
    }
}

impl Twins {
    /// Takes room for one more pinned twin, before its memory is there: others may ask at the same
    /// time. It goes back with the twin, or by [`Twins::give_room`].
    ///
    /// # Errors
    /// `OUT_OF_MEMORY` when that is not within the limits.
    pub(crate) fn take_room(&self, len: u64) -> CuResult {
        let mut state = self.lock();
        let pinned_len = state.pinned_len.saturating_add(len);
        if pinned_len > TWINS_LEN_MAX || state.live.len() + state.retired.len() >= TWINS_MAX {
            return Err(CuError::OUT_OF_MEMORY);
        }
        state.pinned_len = pinned_len;
        Ok(())
    }

    /// Gives room back that no twin has come to use.
    pub(crate) fn give_room(&self, len: u64) {
        let mut state = self.lock();
        state.pinned_len = state.pinned_len.saturating_sub(len);
    }

    /// Takes a twin in, for which there is room.
    ///
    /// # Errors
    /// The twin, where one with the same bytes is there.
    pub(crate) fn insert(&self, twin: Twin) -> Result<(), Twin> {
        let mut state = self.lock();
        let end = twin.address.saturating_add(twin.len as u64);
        let before = state.live.range(..end).next_back();
        let overlaps = before.is_some_and(|(_, other)| {
            other.address.saturating_add(other.len as u64) > twin.address
        });
        if overlaps {
            return Err(twin);
        }
        state.live.insert(twin.address, twin);
        Ok(())
    }

    /// Ends a twin: nobody writes or reads it any more, and its memory stays until
    /// [`Twins::finish`] is given the number that this returns.
    pub(crate) fn retire(&self, address: u64) -> Option<(u64, ShadowHandle)> {
        let mut state = self.lock();
        let twin = state.live.remove(&address)?;
        let context = twin.context;
        state.last_retired += 1;
        let number = state.last_retired;
        state.retired.insert(number, twin);
        Some((number, context))
    }

    /// Forgets managed memory that is freed, if that begins at `address`.
    pub(crate) fn forget(&self, address: u64) {
        let mut state = self.lock();
        let is_managed = |twin: &Twin| matches!(twin.memory, Memory::Managed);
        if state.live.get(&address).is_some_and(is_managed) {
            state.live.remove(&address);
        }
    }

    /// Gives the memory of a retired twin back, when no work uses it any more.
    pub(crate) fn finish(&self, driver: &Driver, number: u64) {
        let mut state = self.lock();
        if let Some(twin) = state.retired.remove(&number) {
            state.pinned_len = state.pinned_len.saturating_sub(twin.pinned_len());
            drop(state);
            twin.unpin(driver);
        }
    }

    /// Ends the twins of a context in which no work is left, or of all.
    pub(crate) fn end(&self, driver: &Driver, context: Option<ShadowHandle>) {
        let mut state = self.lock();
        let is_meant = |twin: &Twin| context.is_none_or(|context| twin.context == context);
        let mut ended: Vec<Twin> = Vec::new();
        let mut live = BTreeMap::new();
        for (address, twin) in std::mem::take(&mut state.live) {
            if is_meant(&twin) {
                ended.push(twin);
            } else {
                live.insert(address, twin);
            }
        }
        state.live = live;
        let numbers: Vec<u64> = state.retired.keys().copied().collect();
        for number in numbers {
            if state.retired.get(&number).is_some_and(is_meant) {
                ended.extend(state.retired.remove(&number));
            }
        }
        let len: u64 = ended.iter().map(Twin::pinned_len).sum();
        state.pinned_len = state.pinned_len.saturating_sub(len);
        drop(state);
        ended.iter().for_each(|twin| twin.unpin(driver));
    }

    /// Writes what the client has changed. False for bytes that are not all of one twin.
    pub(crate) fn write(&self, address: u64, bytes: &[u8]) -> bool {
        let mut state = self.lock();
        let Some((&start, twin)) = state.live.range_mut(..=address).next_back() else {
            return false;
        };
        // The client knows of it.
        twin.is_hidden = false;
        let offset = usize::try_from(address - start).unwrap_or(usize::MAX);
        twin.write(offset, bytes)
    }

    /// Gives every page that the device has changed to `take`, in rising order, between two
    /// addresses, until that has enough. Where to go on, or 0.
    pub(crate) fn fetch(
        &self,
        from: u64,
        to: u64,
        mut take: impl FnMut(u64, Vec<u8>) -> bool,
    ) -> u64 {
        let mut state = self.lock();
        if let Some(asked) = state.live.get_mut(&from) {
            asked.is_hidden = false;
        }
        let before = state
            .live
            .range(..from)
            .next_back()
            .map(|(&start, _)| start);
        let first = before.unwrap_or(from).min(to);
        let twins = state.live.range(first..to).map(|(_, twin)| twin);
        for twin in twins.filter(|twin| !twin.is_hidden) {
            let skipped = usize::try_from(from.saturating_sub(twin.address)).unwrap_or(usize::MAX);
            let start = skipped - skipped % TWIN_PAGE_LEN;
            for offset in (start..twin.len).step_by(TWIN_PAGE_LEN) {
                let address = twin.address + offset as u64;
                if address >= to {
                    return 0;
                }
                if let Some(bytes) = twin.changed(offset) {
                    let end = address + bytes.len() as u64;
                    if !take(address, bytes) {
                        return end;
                    }
                }
            }
        }
        0
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Twin {
    fn unpin(&self, driver: &Driver) {
        self.memory.unpin(driver);
    }
}

impl Memory {
    /// Undoes what pins it: it must not be unmapped before.
    pub(crate) fn unpin(&self, driver: &Driver) {
        if let Self::Pinned(mapping, _) = self {
            mapping.unpin(driver);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTEXT: ShadowHandle = ShadowHandle(7);

    fn twins(len: usize) -> (Twins, *mut u8) {
        let memory = Mapping::new(len).unwrap();
        let address = memory.slice(0, len).unwrap();
        let memory = Memory::Pinned(memory, 0);
        let twin = Twin::new((0x10_0000, len), CONTEXT, memory).unwrap();
        let twins = Twins::default();
        twins.insert(twin).unwrap();
        (twins, address)
    }

    fn changes(twins: &Twins, from: u64) -> Vec<(u64, usize)> {
        let mut found = Vec::new();
        twins.fetch(from, u64::MAX, |address, bytes| {
            found.push((address, bytes.len()));
            true
        });
        found
    }

    #[test]
    fn what_the_device_writes_is_found_once_and_what_the_client_wrote_never() {
        let (twins, memory) = twins(3 * TWIN_PAGE_LEN + 100);
        assert_eq!(changes(&twins, 0), []);
        assert!(twins.write(0x10_0000 + 5000, &[1, 2, 3]));
        assert_eq!(changes(&twins, 0), [], "the client knows that");
        // SAFETY: the mapping has these bytes and lives in `twins`.
        let write = |offset: usize| unsafe { memory.add(offset).write(9) };
        write(5001);
        write(3 * TWIN_PAGE_LEN + 99);
        let found = [(0x10_1000, TWIN_PAGE_LEN), (0x10_3000, 100)];
        assert_eq!(changes(&twins, 0), found);
        assert_eq!(changes(&twins, 0), []);
        write(0);
        assert_eq!(changes(&twins, 0x10_1000), [], "of those from there on");
        assert_eq!(changes(&twins, 1), [(0x10_0000, TWIN_PAGE_LEN)]);
    }

    #[test]
    fn a_fetch_goes_on_where_it_was_told_to_stop() {
        let (twins, memory) = twins(4 * TWIN_PAGE_LEN);
        for page in 0..4 {
            // SAFETY: as above.
            unsafe { memory.add(page * TWIN_PAGE_LEN).write(1) };
        }
        let mut next = 1;
        let mut found = 0;
        let mut rounds = 0;
        while next != 0 && rounds < 9 {
            next = twins.fetch(next, u64::MAX, |_, _| {
                found += 1;
                false
            });
            rounds += 1;
        }
        assert_eq!((found, rounds), (4, 5));
    }

    #[test]
    fn a_hidden_twin_is_fetched_when_it_is_asked_for() {
        let (twins, _) = twins(TWIN_PAGE_LEN);
        let memory = Mapping::new(TWIN_PAGE_LEN).unwrap();
        // SAFETY: the mapping has this byte, and nobody else knows it.
        unsafe { memory.slice(0, 1).unwrap().write(1) };
        let place = (0x20_0000, TWIN_PAGE_LEN);
        let twin = Twin::new(place, CONTEXT, Memory::Pinned(memory, 0)).unwrap();
        twins.insert(twin.hidden()).unwrap();
        assert_eq!(changes(&twins, 1), []);
        assert_eq!(changes(&twins, 0x20_0000), [place], "what it began with");
        assert_eq!(changes(&twins, 1), []);
    }

    #[test]
    fn bytes_outside_a_twin_are_refused() {
        let (twins, _) = twins(TWIN_PAGE_LEN);
        assert!(!twins.write(0x0f_ffff, &[1]));
        assert!(!twins.write(0x10_0fff, &[1, 2]));
        assert!(!twins.write(u64::MAX, &[1]));
        assert!(twins.write(0x10_0fff, &[1]));
        let (number, _) = twins.retire(0x10_0000).unwrap();
        assert!(!twins.write(0x10_0fff, &[1]), "it has ended");
        assert!(twins.retire(0x10_0000).is_none());
        assert_eq!(number, 1);
    }

    #[test]
    fn twins_do_not_overlap_and_are_bounded() {
        let (twins, _) = twins(TWIN_PAGE_LEN);
        let twin = |address| {
            let memory = Memory::Pinned(Mapping::new(4096).unwrap(), 0);
            Twin::new((address, 4096), CONTEXT, memory).unwrap()
        };
        assert!(twins.insert(twin(0x10_0800)).is_err());
        assert!(twins.insert(twin(0x0f_f800)).is_err());
        assert!(twins.insert(twin(0x10_1000)).is_ok());
    }

    #[test]
    fn room_is_taken_before_the_memory_is_there() {
        let twins = Twins::default();
        assert!(twins.take_room(u64::MAX).is_err());
        assert!(twins.take_room(TWINS_LEN_MAX - 4096).is_ok());
        assert!(twins.take_room(8192).is_err(), "another is being made");
        assert!(twins.take_room(4096).is_ok());
        twins.give_room(TWINS_LEN_MAX - 4096);
        assert!(twins.take_room(8192).is_ok());
    }
}
