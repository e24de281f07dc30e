//! The devices, and what the files of the driver's processes say of them.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use flexdirect_wire::nvml::{NvmlDevice, NvmlError};

use crate::config::Config;
use crate::health::{self, Note};
use crate::identity::{bus, machine_number, uuid, uuid_text};
use crate::ledger::{Ledger, Usage};
use crate::raw::machine::{memory_len, now_ns, user};

/// What one use of the library knows, from its first beginning to its last end.
#[derive(Debug)]
pub(crate) struct Library {
    /// How often it was begun and not ended.
    uses: usize,
    config: Config,
    machine: u64,
    samples: Vec<Option<Sample>>,
}

/// How long kernels and copies had run when it was last looked.
#[derive(Clone, Copy, Debug)]
struct Sample {
    taken_ns: u64,
    /// Of kernels, of copies.
    busy_ns: [u64; 2],
    /// What was last told of each.
    percent: [u32; 2],
}

/// One device.
#[derive(Clone, Debug)]
pub(crate) struct Device {
    /// As the machine counts: CUDA_VISIBLE_DEVICES does not change it.
    pub(crate) index: usize,
    /// As text and as bytes.
    pub(crate) uuid: String,
    /// The same.
    pub(crate) uuid_bytes: [u8; 16],
    /// PCI bus; domain and device are 0.
    pub(crate) bus: u32,
    /// For humans: of the machine and the device.
    pub(crate) serial: String,
    /// Bytes of its memory.
    pub(crate) memory_len: u64,
    /// Multiprocessors.
    pub(crate) multiprocessors: u32,
}

static LIBRARY: Mutex<Option<Library>> = Mutex::new(None);

fn library() -> MutexGuard<'static, Option<Library>> {
    LIBRARY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// nvmlInit.
pub(crate) fn begin() {
    let mut library = library();
    let library = library.get_or_insert_with(|| {
        let config = Config::of_environment(memory_len(), user());
        Library {
            uses: 0,
            samples: vec![None; config.devices],
            config,
            machine: machine_number(),
        }
    });
    library.uses += 1;
}

/// nvmlShutdown.
///
/// # Errors
/// UNINITIALIZED.
pub(crate) fn end() -> Result<(), NvmlError> {
    let mut library = library();
    let uses = library.as_mut().ok_or(NvmlError::UNINITIALIZED)?;
    uses.uses -= 1;
    if uses.uses == 0 {
        *library = None;
    }
    Ok(())
}

/// Whether calls may be made.
///
/// # Errors
/// UNINITIALIZED.
pub(crate) fn check() -> Result<(), NvmlError> {
    with(|_| Ok(()))
}

fn with<T>(body: impl FnOnce(&mut Library) -> Result<T, NvmlError>) -> Result<T, NvmlError> {
    body(library().as_mut().ok_or(NvmlError::UNINITIALIZED)?)
}

/// All devices.
///
/// # Errors
/// UNINITIALIZED.
pub(crate) fn all() -> Result<Vec<Device>, NvmlError> {
    with(|library| {
        let device = |index| {
            let uuid_bytes = uuid(library.machine, index);
            Device {
                index,
                uuid: uuid_text(uuid_bytes),
                uuid_bytes,
                bus: u32::try_from(bus(index)).unwrap_or(u32::MAX),
                serial: format!("{:010}{index:03}", library.machine % 10_000_000_000),
                memory_len: library.config.memory_len,
                multiprocessors: u32::try_from(library.config.multiprocessors).unwrap_or(u32::MAX),
            }
        };
        Ok((0..library.config.devices).map(device).collect())
    })
}

/// The handle of a device: a number and no address.
pub(crate) fn handle(index: usize) -> NvmlDevice {
    NvmlDevice(HANDLE_BASE + index)
}

/// A device by its handle.
///
/// # Errors
/// UNINITIALIZED, INVALID_ARGUMENT, GPU_IS_LOST.
pub(crate) fn find(device: NvmlDevice) -> Result<Device, NvmlError> {
    let index = device.0.checked_sub(HANDLE_BASE);
    let devices = all()?;
    let found = index.and_then(|index| devices.into_iter().nth(index));
    let found = found.ok_or(NvmlError::INVALID_ARGUMENT)?;
    if health::is_lost(&health_path()?, found.index) {
        return Err(NvmlError::GPU_IS_LOST);
    }
    Ok(found)
}

impl Device {
    /// What processes use of it.
    pub(crate) fn usage(&self) -> Result<Vec<Usage>, NvmlError> {
        let state = with(|library| Ok(library.config.state.clone()))?;
        let mut usage = Ledger::usage(&state);
        usage.retain(|usage| usage.ordinal == self.index);
        Ok(usage)
    }

    /// Bytes that processes use together.
    pub(crate) fn used(&self) -> Result<u64, NvmlError> {
        let used = self.usage()?.iter().map(|usage| usage.len).sum::<u64>();
        Ok(used.min(self.memory_len))
    }

    /// Percentages of the time since this was last asked, at least 50 ms ago, in which kernels
    /// ran, and in which memory was copied or filled. The first time it waits that long.
    pub(crate) fn utilization(&self) -> Result<[u32; 2], NvmlError> {
        let sample = |library: &Library| {
            let usage = Ledger::usage(&library.config.state);
            let own = usage.iter().filter(|usage| usage.ordinal == self.index);
            Sample {
                taken_ns: now_ns(),
                busy_ns: own.fold([0, 0], |[busy, moved], usage| {
                    let add = u64::saturating_add;
                    [add(busy, usage.busy_ns), add(moved, usage.moved_ns)]
                }),
                percent: [0, 0],
            }
        };
        let before = with(|library| {
            let last = library.samples[self.index];
            Ok(last.unwrap_or_else(|| sample(library)))
        })?;
        if now_ns().saturating_sub(before.taken_ns) < SAMPLE_MIN_NS {
            if with(|library| Ok(library.samples[self.index].is_some()))? {
                return Ok(before.percent);
            }
            // A time span to look at, since nobody looked before.
            std::thread::sleep(Duration::from_nanos(SAMPLE_MIN_NS));
        }
        with(|library| {
            let mut now = sample(library);
            let span = now.taken_ns.saturating_sub(before.taken_ns).max(1);
            // Less than before if a process has ended.
            now.percent = std::array::from_fn(|kind| {
                let busy = now.busy_ns[kind].saturating_sub(before.busy_ns[kind]);
                u32::try_from(busy.min(span) * 100 / span).unwrap_or(100)
            });
            library.samples[self.index] = Some(now);
            Ok(now.percent)
        })
    }

    /// Errors of its memory that were noted.
    pub(crate) fn ecc_errors(&self, corrected: bool) -> Result<u64, NvmlError> {
        let (notes, _) = health::read(&health_path()?, 0);
        let counts = notes.into_iter().filter_map(|note| match note {
            Note::Ecc {
                ordinal,
                is_corrected,
                count,
            } if ordinal == self.index && is_corrected == corrected => Some(count),
            Note::Ecc { .. } | Note::Lost { .. } | Note::Xid { .. } => None,
        });
        Ok(counts.fold(0, u64::saturating_add))
    }
}

/// Where health is noted.
///
/// # Errors
/// UNINITIALIZED.
pub(crate) fn health_path() -> Result<std::path::PathBuf, NvmlError> {
    with(|library| Ok(health::path(&library.config.state)))
}

/// No small number, so that an uninitialised handle is not one.
const HANDLE_BASE: usize = 0x736f_6674_0000;
/// Shorter spans say little: activity is noted every 50 ms.
const SAMPLE_MIN_NS: u64 = 50_000_000;
