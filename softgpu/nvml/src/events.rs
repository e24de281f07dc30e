//! Sets of events: whoever waits for one is told what the file of the devices' health gains.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use flexdirect_wire::nvml::{NvmlError, NvmlEventData, NvmlEventSet};

use crate::devices;
use crate::health::{self, Note};

/// Corrected and uncorrected errors of memory, and Xid errors (nvmlEventType).
pub(crate) const SUPPORTED: u64 = CORRECTED | UNCORRECTED | XID;
const CORRECTED: u64 = 1;
const UNCORRECTED: u64 = 2;
const XID: u64 = 8;

/// One set.
#[derive(Debug, Default)]
struct Set {
    /// By device, the types that are told.
    registered: BTreeMap<usize, u64>,
    /// Where the file was read to.
    end: u64,
    /// Events to be told.
    pending: Vec<NvmlEventData>,
}

static SETS: Mutex<BTreeMap<usize, Set>> = Mutex::new(BTreeMap::new());

fn sets() -> MutexGuard<'static, BTreeMap<usize, Set>> {
    SETS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes a set.
pub(crate) fn create() -> Result<NvmlEventSet, NvmlError> {
    devices::check()?;
    let mut sets = sets();
    let last = sets.last_key_value().map_or(HANDLE_BASE, |(&last, _)| last);
    sets.insert(last + 1, Set::default());
    Ok(NvmlEventSet(last + 1))
}

/// Tells a set of a device's events from now on.
pub(crate) fn register(set: NvmlEventSet, device: usize, types: u64) -> Result<(), NvmlError> {
    if types & !SUPPORTED != 0 {
        return Err(NvmlError::NOT_SUPPORTED);
    }
    let path = devices::health_path()?;
    let mut sets = sets();
    let set = sets.get_mut(&set.0).ok_or(NvmlError::INVALID_ARGUMENT)?;
    if set.registered.is_empty() {
        set.end = health::read(&path, 0).1;
    }
    *set.registered.entry(device).or_default() |= types;
    Ok(())
}

/// The next event of a set.
///
/// # Errors
/// TIMEOUT, and INVALID_ARGUMENT for a set that ends meanwhile.
pub(crate) fn wait(set: NvmlEventSet, timeout_ms: u32) -> Result<NvmlEventData, NvmlError> {
    let deadline = Instant::now() + Duration::from_millis(timeout_ms.into());
    loop {
        let path = devices::health_path()?;
        {
            let mut sets = sets();
            let set = sets.get_mut(&set.0).ok_or(NvmlError::INVALID_ARGUMENT)?;
            set.look(&path);
            if !set.pending.is_empty() {
                return Ok(set.pending.remove(0));
            }
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(NvmlError::TIMEOUT);
        }
        // Other processes write the file, whatever file system it is on.
        std::thread::sleep(left.min(LOOK_EVERY));
    }
}

/// Ends a set, and whoever waits for it.
pub(crate) fn free(set: NvmlEventSet) -> Result<(), NvmlError> {
    devices::check()?;
    sets()
        .remove(&set.0)
        .map(drop)
        .ok_or(NvmlError::INVALID_ARGUMENT)
}

impl Set {
    fn look(&mut self, path: &std::path::Path) {
        let (notes, end) = health::read(path, self.end);
        self.end = end;
        for note in notes {
            let (device, event_type, event_data) = match note {
                Note::Lost { .. } => continue,
                Note::Xid { ordinal, number } => (ordinal, XID, number),
                Note::Ecc {
                    ordinal,
                    is_corrected,
                    ..
                } => (
                    ordinal,
                    if is_corrected { CORRECTED } else { UNCORRECTED },
                    0,
                ),
            };
            let types = self.registered.get(&device).copied().unwrap_or(0);
            if types & event_type != 0 && self.pending.len() < PENDING_MAX {
                self.pending.push(NvmlEventData {
                    device: devices::handle(device).0,
                    event_type,
                    event_data,
                    gpu_instance_id: u32::MAX,
                    compute_instance_id: u32::MAX,
                });
            }
        }
    }
}

const HANDLE_BASE: usize = 0x736f_6675_0000;
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// A set that nobody waits for takes no more.
const PENDING_MAX: usize = 1024;
