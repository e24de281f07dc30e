//! Worker memory that stands in for client memory which copies of graphs read and write.
//!
//! A graph names host memory by its address, and is launched long after that was given. So a range
//! of client memory has a *mirror* here, whose address the driver gets instead. What lies together
//! at the client lies together in one mirror, so that nodes of a graph see each other's bytes.

use std::ffi::c_void;
use std::sync::Arc;

use flexdirect_wire::abi::{CuError, CuHostFn, CuResult, CuStream};
use flexdirect_wire::limits::MIRRORS_LEN_MAX;

use super::mapping::Mapping;
use crate::driver::Driver;

/// One mirror.
#[derive(Debug)]
pub(crate) struct Mirror {
    /// Number, unique in the session.
    pub(crate) id: u32,
    /// First byte at the client.
    start: u64,
    memory: Mapping,
}

impl Mirror {
    /// Where a range of client memory lies here, if all of it does.
    pub(crate) fn at(&self, address: u64, len: u64) -> Option<*mut u8> {
        let offset = usize::try_from(address.checked_sub(self.start)?).ok()?;
        self.memory.slice(offset, usize::try_from(len).ok()?)
    }

    /// The client's address of a byte of this memory.
    pub(crate) fn client_address(&self, own: u64) -> Option<u64> {
        let first = self.memory.slice(0, 0)?.expose_provenance() as u64;
        let offset = own.checked_sub(first)?;
        (offset < self.memory.len() as u64).then(|| self.start + offset)
    }
}

/// All mirrors of a session.
#[derive(Debug, Default)]
pub(crate) struct Mirrors {
    all: Vec<Arc<Mirror>>,
    len: usize,
    last: u32,
}

impl Mirrors {
    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The newest mirror in which all of a range of client memory lies.
    pub(crate) fn find(&self, address: u64, len: u64) -> Option<Arc<Mirror>> {
        let holds = |mirror: &&Arc<Mirror>| mirror.at(address, len).is_some();
        self.all.iter().rev().find(holds).cloned()
    }

    /// The mirror that an address of this process lies in.
    pub(crate) fn of_own(&self, own: u64) -> Option<(Arc<Mirror>, u64)> {
        self.all.iter().find_map(|mirror| {
            let address = mirror.client_address(own)?;
            Some((Arc::clone(mirror), address))
        })
    }

    /// Whether there is room for another mirror.
    ///
    /// # Errors
    /// `OUT_OF_MEMORY`.
    pub(crate) fn check_room(&self, len: usize) -> CuResult {
        if self.all.len() < COUNT_MAX && len <= MIRRORS_LEN_MAX - self.len {
            Ok(())
        } else {
            Err(CuError::OUT_OF_MEMORY)
        }
    }

    /// Enters memory that stands in for client memory from `start` on.
    ///
    /// # Errors
    /// As [`Mirrors::check_room`].
    pub(crate) fn insert(&mut self, start: u64, memory: Mapping) -> Result<Arc<Mirror>, CuError> {
        self.check_room(memory.len())?;
        self.last = self.last.wrapping_add(1);
        self.len += memory.len();
        let id = self.last;
        let mirror = Arc::new(Mirror { id, start, memory });
        self.all.push(Arc::clone(&mirror));
        Ok(mirror)
    }

    /// Takes out what nobody holds any more: it is to be unpinned and dropped.
    pub(crate) fn sweep(&mut self) -> Vec<Arc<Mirror>> {
        let (unused, kept) = std::mem::take(&mut self.all)
            .into_iter()
            .partition(|mirror| Arc::strong_count(mirror) == 1);
        self.all = kept;
        self.len = self.all.iter().map(|mirror| mirror.memory.len()).sum();
        unused
    }
}

impl Mirror {
    /// Gives the pages back to the system's care, before it is dropped.
    pub(crate) fn unpin(&self, driver: &Driver) {
        self.memory.unpin(driver);
    }
}

/// Bytes that a stream moves within this process when it gets there.
pub(crate) struct Move {
    /// From: memory that stays until an event behind this, or `bytes`.
    pub(crate) from: *const u8,
    /// To: memory that stays, too.
    pub(crate) to: *mut u8,
    /// How many.
    pub(crate) len: usize,
    /// What is held meanwhile.
    pub(crate) mirror: Arc<Mirror>,
    /// The source, if it is no memory of the session's.
    pub(crate) bytes: Option<Vec<u8>>,
}

/// Moves bytes when the stream gets there. The stream must not be captured: this is done once.
///
/// # Errors
/// What the driver says; nothing is moved then.
pub(crate) fn move_in_order(driver: &Driver, stream: CuStream, job: Move) -> CuResult {
    let job = Box::into_raw(Box::new(job));
    let function = CuHostFn(run as *const c_void as usize);
    // SAFETY: the function takes such a pointer, and calls nothing of the driver.
    let taken = unsafe { driver.cuLaunchHostFunc(stream, function, job.cast::<c_void>()) };
    if taken.is_err() {
        // SAFETY: the driver has not taken it.
        drop(unsafe { Box::from_raw(job) });
    }
    taken
}

extern "C" fn run(job: *mut c_void) {
    // SAFETY: the driver calls this once with what `move_in_order` gave it.
    let job = unsafe { Box::from_raw(job.cast::<Move>()) };
    let Move {
        from,
        to,
        len,
        mirror,
        bytes,
    } = *job;
    let from = bytes.as_ref().map_or(from, Vec::as_ptr);
    // SAFETY: whoever made the move checked that both are ranges of that length, which stay until
    // the stream has passed this (the mirror by being held); they do not overlap, being memory of
    // different mappings.
    unsafe { std::ptr::copy_nonoverlapping(from, to, len) };
    // Another holds it, too: nothing of the driver is called here.
    drop(mirror);
}

/// Mirrors of a session, at most: each is looked at when a graph is made executable.
const COUNT_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_the_mirror_that_holds_all_of_it() {
        let mut mirrors = Mirrors::default();
        let first = mirrors.insert(0x1000, Mapping::new(4096).unwrap()).unwrap();
        let found = mirrors.find(0x1ff0, 16).unwrap();
        assert_eq!(found.id, first.id);
        assert!(mirrors.find(0x1ff0, 17).is_none());
        assert!(mirrors.find(0xfff, 1).is_none());
        let own = found.at(0x1010, 1).unwrap().expose_provenance() as u64;
        assert_eq!(mirrors.of_own(own).unwrap().1, 0x1010);
        assert!(mirrors.of_own(own - 0x11).is_none());
        drop((first, found));
        assert_eq!(mirrors.sweep().len(), 1, "nobody holds it");
        assert!(mirrors.is_empty() && mirrors.len == 0);
    }

    #[test]
    fn there_is_an_end_to_mirrors() {
        let mirrors = Mirrors::default();
        assert!(mirrors.check_room(MIRRORS_LEN_MAX).is_ok());
        let over = mirrors.check_room(MIRRORS_LEN_MAX + 1);
        assert_eq!(over, Err(CuError::OUT_OF_MEMORY));
    }
}
