//! Virtual memory: addresses kept free, physical memory behind them, as often and where asked.
//!
//! Physical memory is a file of memory, so one allocation can be mapped at several addresses at
//! once. It counts against its device. Kernels reach a mapping through a window that opens when a
//! device gets access.

use std::any::Any;
use std::collections::BTreeMap;
use std::fs::File;
use std::sync::{Arc, Mutex};

use flexdirect_wire::abi::{CuError, CuMemAllocationProp, CuMemGenericAllocationHandle, CuResult};

use crate::driver;
use crate::faultplan;
use crate::raw::{self, Reservation, lock};
use crate::table::Table;
use crate::windows::{self, Devices, Window, bit};

/// Handles of physical memory.
pub(crate) static HANDLES: Table<Handle> = Table::new(0x6b);

/// The application's name for physical memory.
#[derive(Debug)]
pub(crate) struct Handle {
    /// The name.
    pub(crate) handle: CuMemGenericAllocationHandle,
    /// What it names.
    pub(crate) physical: Arc<Physical>,
    /// How often it has to be released.
    references: Mutex<u32>,
}

/// Physical memory, which stays while a handle or a mapping has it.
#[derive(Debug)]
pub(crate) struct Physical {
    /// Bytes.
    pub(crate) len: u64,
    /// As it was asked for.
    pub(crate) about: About,
    file: File,
    /// Whether it counts against its device in this process.
    is_charged: bool,
}

/// What can be asked of physical memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct About {
    /// Its device.
    pub(crate) device: usize,
    /// CUmemAllocationHandleType bits that it can be exported as.
    pub(crate) handle_types: u32,
}

impl About {
    /// As the driver's struct.
    pub(crate) fn properties(self) -> CuMemAllocationProp {
        let mut found = CuMemAllocationProp {
            kind: TYPE_PINNED,
            handle_types: self.handle_types,
            ..CuMemAllocationProp::default()
        };
        found.location.kind = LOCATION_DEVICE;
        found.location.id = i32::try_from(self.device).unwrap_or(i32::MAX);
        found
    }
}

impl Physical {
    /// New zeroed memory of a device.
    ///
    /// # Errors
    /// OUT_OF_MEMORY.
    pub(crate) fn new(len: u64, about: About) -> Result<Arc<Self>, CuError> {
        faultplan::plan().allocation()?;
        let arena = &driver::devices()[about.device].arena;
        let charge = || arena.charge(len);
        let charged = charge().or_else(|full| {
            if crate::mempool::relieve(about.device) {
                return charge();
            }
            Err(full)
        });
        charged.map_err(|_| CuError::OUT_OF_MEMORY)?;
        let file = raw::memory_file(&format!("softgpu-{}", about.device), len);
        let Ok(file) = file else {
            arena.discharge(len);
            return Err(CuError::OUT_OF_MEMORY);
        };
        Ok(Arc::new(Self {
            len,
            about,
            file,
            is_charged: true,
        }))
    }

    /// Memory that another process exported; it counts there.
    pub(crate) fn import(file: File, len: u64, about: About) -> Arc<Self> {
        Arc::new(Self {
            len,
            about,
            file,
            is_charged: false,
        })
    }

    /// Its file, for another process.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }
}

impl Drop for Physical {
    fn drop(&mut self) {
        if self.is_charged
            && let Some(device) = driver::devices().get(self.about.device)
        {
            device.arena.discharge(self.len);
        }
    }
}

impl Handle {
    /// A new name for physical memory.
    pub(crate) fn new(physical: Arc<Physical>) -> Arc<Self> {
        HANDLES.insert(|handle| Self {
            handle: CuMemGenericAllocationHandle(handle),
            physical,
            references: Mutex::new(1),
        })
    }

    /// The name of physical memory, once more.
    pub(crate) fn of(physical: &Arc<Physical>) -> Arc<Self> {
        let known = HANDLES.filter(|handle| Arc::ptr_eq(&handle.physical, physical));
        for handle in known {
            let mut references = lock(&handle.references);
            if *references > 0 {
                *references += 1;
                drop(references);
                return handle;
            }
        }
        Self::new(Arc::clone(physical))
    }

    /// Releases it once.
    pub(crate) fn release(&self) {
        let mut references = lock(&self.references);
        *references = references.saturating_sub(1);
        if *references == 0 {
            HANDLES.remove(self.handle.0);
        }
    }
}

/// A mapping of physical memory.
#[derive(Debug)]
pub(crate) struct Piece {
    /// First address and bytes.
    pub(crate) address: u64,
    pub(crate) len: u64,
    /// What lies there.
    pub(crate) physical: Arc<Physical>,
    /// Devices with access, and those that asked to read alone.
    access: Mutex<(Devices, Devices)>,
    /// Number of the mapping in its reservation.
    number: u64,
    reservation: Arc<Reservation>,
}

impl Piece {
    /// CUmemAccess_flags of a device.
    pub(crate) fn access(&self, device: usize) -> u32 {
        let (all, reading) = *lock(&self.access);
        match (all & bit(device) != 0, reading & bit(device) != 0) {
            (false, _) => ACCESS_NONE,
            (true, true) => ACCESS_READ,
            (true, false) => ACCESS_BOTH,
        }
    }

    fn set_access(self: &Arc<Self>, device: usize, flags: u32) {
        let mut access = lock(&self.access);
        let mark = bit(device);
        access.0 = if flags == ACCESS_NONE {
            access.0 & !mark
        } else {
            access.0 | mark
        };
        access.1 = if flags == ACCESS_READ {
            access.1 | mark
        } else {
            access.1 & !mark
        };
        if access.0 == 0 {
            windows::close(self.address);
            return;
        }
        let window = Window {
            len: self.len,
            devices: access.0,
            readers: access.1,
            keep: Some(self.clone()),
        };
        windows::open(self.address, window);
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.reservation.unmap(self.address, self.len, self.number);
    }
}

#[derive(Debug)]
struct Reserved {
    len: u64,
    reservation: Arc<Reservation>,
}

#[derive(Debug, Default)]
struct Space {
    reserved: BTreeMap<u64, Reserved>,
    pieces: BTreeMap<u64, Arc<Piece>>,
    next: u64,
}

static SPACE: Mutex<Space> = Mutex::new(Space {
    reserved: BTreeMap::new(),
    pieces: BTreeMap::new(),
    next: 0,
});

/// Keeps `len` bytes of addresses free, at `wanted` if possible.
///
/// # Errors
/// OUT_OF_MEMORY.
pub(crate) fn reserve(len: u64, alignment: u64, wanted: u64) -> Result<u64, CuError> {
    let reservation = Reservation::new(len, alignment.max(GRANULARITY), wanted);
    let reservation = Arc::new(reservation.map_err(|_| CuError::OUT_OF_MEMORY)?);
    let address = reservation.address();
    let reserved = Reserved { len, reservation };
    lock(&SPACE).reserved.insert(address, reserved);
    Ok(address)
}

/// Gives addresses back in which nothing is mapped.
///
/// # Errors
/// INVALID_VALUE unless it is exactly what was reserved.
pub(crate) fn free(address: u64, len: u64) -> CuResult {
    let mut space = lock(&SPACE);
    let found = space.reserved.get(&address);
    let is_whole = found.is_some_and(|found| found.len == len);
    if !is_whole || space.overlaps(address, len) {
        return Err(CuError::INVALID_VALUE);
    }
    let freed = space.reserved.remove(&address);
    drop(space);
    drop(freed);
    Ok(())
}

/// Maps physical memory into addresses that were reserved.
///
/// # Errors
/// INVALID_VALUE unless they lie in one reservation and nothing is there; OUT_OF_MEMORY.
pub(crate) fn map(address: u64, len: u64, physical: &Arc<Physical>) -> CuResult {
    let mut space = lock(&SPACE);
    let reservation = space.reservation(address, len);
    let reservation = reservation.ok_or(CuError::INVALID_VALUE)?;
    if space.overlaps(address, len) {
        return Err(CuError::INVALID_VALUE);
    }
    space.next += 1;
    let number = space.next;
    reservation
        .map(address, len, physical.file(), number)
        .map_err(|_| CuError::OUT_OF_MEMORY)?;
    let piece = Piece {
        address,
        len,
        physical: Arc::clone(physical),
        access: Mutex::default(),
        number,
        reservation,
    };
    space.pieces.insert(address, Arc::new(piece));
    Ok(())
}

/// Takes whole mappings out; what kernels and copies that have begun use stays until they end.
///
/// # Errors
/// INVALID_VALUE unless the range is made of whole mappings.
pub(crate) fn unmap(address: u64, len: u64) -> Result<Vec<Arc<Piece>>, CuError> {
    let mut space = lock(&SPACE);
    let found = space.whole(address, len).ok_or(CuError::INVALID_VALUE)?;
    for piece in &found {
        space.pieces.remove(&piece.address);
        windows::close(piece.address);
    }
    Ok(found)
}

/// Gives a device access to whole mappings, or takes it.
///
/// # Errors
/// INVALID_VALUE unless the range is made of whole mappings.
pub(crate) fn set_access(address: u64, len: u64, device: usize, flags: u32) -> CuResult {
    let space = lock(&SPACE);
    let found = space.whole(address, len).ok_or(CuError::INVALID_VALUE)?;
    for piece in found {
        piece.set_access(device, flags);
    }
    Ok(())
}

/// The mapping that an address lies in.
pub(crate) fn find(address: u64) -> Option<Arc<Piece>> {
    let space = lock(&SPACE);
    let (_, piece) = space.pieces.range(..=address).next_back()?;
    (address - piece.address < piece.len).then(|| Arc::clone(piece))
}

/// The mappings that `len` bytes at `address` lie in, if some device has access to all of them.
pub(crate) fn hold(address: u64, len: u64) -> Option<Vec<Arc<dyn Any + Send + Sync>>> {
    let space = lock(&SPACE);
    let end = address.checked_add(len)?;
    let mut held: Vec<Arc<dyn Any + Send + Sync>> = Vec::new();
    let mut reached = address;
    while reached < end || held.is_empty() {
        let (_, piece) = space.pieces.range(..=reached).next_back()?;
        if reached - piece.address >= piece.len || lock(&piece.access).0 == 0 {
            return None;
        }
        reached = piece.address + piece.len;
        held.push(piece.clone());
    }
    Some(held)
}

impl Space {
    fn reservation(&self, address: u64, len: u64) -> Option<Arc<Reservation>> {
        let (start, found) = self.reserved.range(..=address).next_back()?;
        let offset = address - start;
        let fits = offset < found.len && len <= found.len - offset;
        fits.then(|| Arc::clone(&found.reservation))
    }

    fn overlaps(&self, address: u64, len: u64) -> bool {
        let before = self.pieces.range(..address.saturating_add(len)).next_back();
        before.is_some_and(|(start, piece)| start + piece.len > address)
    }

    /// The mappings that a range is made of.
    fn whole(&self, address: u64, len: u64) -> Option<Vec<Arc<Piece>>> {
        let end = address.checked_add(len).filter(|&end| end > address)?;
        let mut found = Vec::new();
        let mut reached = address;
        while reached < end {
            let piece = self.pieces.get(&reached)?;
            reached += piece.len;
            found.push(Arc::clone(piece));
        }
        (reached == end).then_some(found)
    }
}

/// Sizes of physical memory and of mappings are multiples of this, in bytes.
pub(crate) const GRANULARITY: u64 = 2 << 20;
/// CU_MEM_ACCESS_FLAGS_PROT_*.
pub(crate) const ACCESS_NONE: u32 = 0;
pub(crate) const ACCESS_READ: u32 = 1;
pub(crate) const ACCESS_BOTH: u32 = 3;
/// CU_MEM_ALLOCATION_TYPE_PINNED and CU_MEM_LOCATION_TYPE_DEVICE.
const TYPE_PINNED: u32 = 1;
const LOCATION_DEVICE: u32 = 1;
