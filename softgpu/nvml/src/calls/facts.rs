//! What a device is: names, numbers, addresses, modes, and what it has none of.

use flexdirect_wire::abi::{InOut, Out, OutStr};
use flexdirect_wire::nvml::*;

use super::{NvmlResult, put, put_text};
use crate::attributes::{CAPABILITY, CLOCK_KHZ, MEMORY_CLOCK_KHZ};
use crate::identity::NAME;
use crate::{devices, host, memory};

pub(crate) fn nvmlDeviceGetName(device: NvmlDevice, name: OutStr, length: u32) -> NvmlResult {
    devices::find(device)?;
    put_text(name, length, NAME)
}

pub(crate) fn nvmlDeviceGetUUID(device: NvmlDevice, uuid: OutStr, length: u32) -> NvmlResult {
    put_text(uuid, length, &devices::find(device)?.uuid)
}

pub(crate) fn nvmlDeviceGetSerial(device: NvmlDevice, serial: OutStr, length: u32) -> NvmlResult {
    put_text(serial, length, &devices::find(device)?.serial)
}

pub(crate) fn nvmlDeviceGetIndex(device: NvmlDevice, index: Out<u32>) -> NvmlResult {
    let own = devices::find(device)?.index;
    put(index, u32::try_from(own).unwrap_or(u32::MAX))
}

pub(crate) fn nvmlDeviceGetMinorNumber(device: NvmlDevice, minor_number: Out<u32>) -> NvmlResult {
    nvmlDeviceGetIndex(device, minor_number)
}

pub(crate) fn nvmlDeviceGetBoardId(device: NvmlDevice, board_id: Out<u32>) -> NvmlResult {
    put(board_id, devices::find(device)?.bus << 8)
}

/// Calls that say the same number of every device.
macro_rules! constants { ($($name:ident: $type:ty = $value:expr;)*) => { $(
    pub(crate) fn $name(device: NvmlDevice, place: Out<$type>) -> NvmlResult {
        devices::find(device)?;
        put(place, $value)
    }
)* } }

constants! {
    nvmlDeviceGetArchitecture: u32 = AMPERE;
    nvmlDeviceGetBrand: u32 = BRAND_UNKNOWN;
    nvmlDeviceGetComputeMode: u32 = COMPUTE_MODE_DEFAULT;
    nvmlDeviceGetCurrentClocksEventReasons: u64 = 0;
    nvmlDeviceGetCurrentClocksThrottleReasons: u64 = 0;
    nvmlDeviceGetDisplayActive: u32 = 0;
    nvmlDeviceGetDisplayMode: u32 = 0;
    nvmlDeviceGetMaxMigDeviceCount: u32 = 0;
    nvmlDeviceGetMultiGpuBoard: u32 = 0;
    nvmlDeviceGetNumFans: u32 = 0;
    nvmlDeviceGetPerformanceState: u32 = 0;
    nvmlDeviceGetPersistenceMode: u32 = 0;
    nvmlDeviceGetRetiredPagesPendingStatus: u32 = 0;
    nvmlDeviceGetSupportedClocksEventReasons: u64 = 0;
    nvmlDeviceGetSupportedClocksThrottleReasons: u64 = 0;
    nvmlDeviceGetVirtualizationMode: u32 = 0;
    nvmlDeviceIsMigDeviceHandle: u32 = 0;
}

pub(crate) fn nvmlDeviceGetCudaComputeCapability(
    device: NvmlDevice,
    major: Out<i32>,
    minor: Out<i32>,
) -> NvmlResult {
    devices::find(device)?;
    let capability = CAPABILITY.cast_signed();
    put(major, capability / 10)?;
    put(minor, capability % 10)
}

pub(crate) fn nvmlDeviceGetPciInfo_v3(device: NvmlDevice, pci: Out<NvmlPciInfo>) -> NvmlResult {
    let bus = devices::find(device)?.bus;
    let mut info = NvmlPciInfo {
        bus,
        ..NvmlPciInfo::default()
    };
    let fill = |place: &mut [u8], text: String| {
        place[..text.len()].copy_from_slice(text.as_bytes());
    };
    fill(&mut info.bus_id_legacy, format!("0000:{bus:02X}:00.0"));
    fill(&mut info.bus_id, format!("00000000:{bus:02X}:00.0"));
    put(pci, info)
}

pub(crate) fn nvmlDeviceGetPciInfo_v2(device: NvmlDevice, pci: Out<NvmlPciInfo>) -> NvmlResult {
    nvmlDeviceGetPciInfo_v3(device, pci)
}

pub(crate) fn nvmlDeviceGetPciInfo(device: NvmlDevice, pci: Out<NvmlPciInfo>) -> NvmlResult {
    nvmlDeviceGetPciInfo_v3(device, pci)
}

pub(crate) fn nvmlDeviceGetNumGpuCores(device: NvmlDevice, num_cores: Out<u32>) -> NvmlResult {
    put(num_cores, devices::find(device)?.multiprocessors * CORES)
}

pub(crate) fn nvmlDeviceGetAttributes_v2(
    device: NvmlDevice,
    attributes: Out<NvmlAttributes>,
) -> NvmlResult {
    let device = devices::find(device)?;
    let own = NvmlAttributes {
        multiprocessors: device.multiprocessors,
        memory_mib: device.memory_len >> 20,
        ..NvmlAttributes::default()
    };
    put(attributes, own)
}

pub(crate) fn nvmlDeviceGetAttributes(
    device: NvmlDevice,
    attributes: Out<NvmlAttributes>,
) -> NvmlResult {
    nvmlDeviceGetAttributes_v2(device, attributes)
}

pub(crate) fn nvmlDeviceGetClockInfo(
    device: NvmlDevice,
    type_: u32,
    clock: Out<u32>,
) -> NvmlResult {
    devices::find(device)?;
    let clock_khz = match type_ {
        CLOCK_GRAPHICS | CLOCK_SM => CLOCK_KHZ,
        CLOCK_MEMORY => MEMORY_CLOCK_KHZ,
        CLOCK_VIDEO => return Err(NvmlError::NOT_SUPPORTED),
        _ => return Err(NvmlError::INVALID_ARGUMENT),
    };
    put(clock, clock_khz.unsigned_abs() / 1000)
}

pub(crate) fn nvmlDeviceGetMaxClockInfo(
    device: NvmlDevice,
    type_: u32,
    clock: Out<u32>,
) -> NvmlResult {
    nvmlDeviceGetClockInfo(device, type_, clock)
}

pub(crate) fn nvmlDeviceGetTemperature(
    device: NvmlDevice,
    sensor_type: u32,
    temp: Out<u32>,
) -> NvmlResult {
    devices::find(device)?;
    if sensor_type != 0 {
        return Err(NvmlError::INVALID_ARGUMENT);
    }
    put(temp, host::temperature().ok_or(NvmlError::NOT_SUPPORTED)?)
}

pub(crate) fn nvmlDeviceGetTopologyCommonAncestor(
    device1: NvmlDevice,
    device2: NvmlDevice,
    path_info: Out<u32>,
) -> NvmlResult {
    let [first, second] = [devices::find(device1)?, devices::find(device2)?];
    let is_same = first.index == second.index;
    put(
        path_info,
        if is_same {
            TOPOLOGY_INTERNAL
        } else {
            TOPOLOGY_NODE
        },
    )
}

/// As cuDeviceCanAccessPeer has it: every device reaches every other.
pub(crate) fn nvmlDeviceGetP2PStatus(
    device1: NvmlDevice,
    device2: NvmlDevice,
    p2p_index: u32,
    p2p_status: Out<u32>,
) -> NvmlResult {
    let [first, second] = [devices::find(device1)?, devices::find(device2)?];
    if first.index == second.index || p2p_index > P2P_INDEX_MAX {
        return Err(NvmlError::INVALID_ARGUMENT);
    }
    let status = match p2p_index {
        P2P_READ | P2P_WRITE | P2P_ATOMICS => P2P_OK,
        // There is neither NVLink nor a bus between them.
        _ => P2P_NOT_SUPPORTED,
    };
    put(p2p_status, status)
}

pub(crate) fn nvmlDeviceOnSameBoard(
    device1: NvmlDevice,
    device2: NvmlDevice,
    on_same_board: Out<i32>,
) -> NvmlResult {
    let [first, second] = [devices::find(device1)?, devices::find(device2)?];
    put(on_same_board, i32::from(first.index == second.index))
}

pub(crate) fn nvmlDeviceGetCpuAffinity(
    device: NvmlDevice,
    cpu_set_size: u32,
    cpu_set: *mut u64,
) -> NvmlResult {
    devices::find(device)?;
    if cpu_set.is_null() || cpu_set_size == 0 {
        return Err(NvmlError::INVALID_ARGUMENT);
    }
    let words = (cpu_set_size as usize).min(CPU_WORDS_MAX);
    memory::write_array(cpu_set, &host::allowed_processors(words));
    Ok(())
}

pub(crate) fn nvmlDeviceGetRetiredPages(
    device: NvmlDevice,
    cause: u32,
    page_count: InOut<u32>,
    _addresses: *mut u64,
) -> NvmlResult {
    devices::find(device)?;
    if cause > 1 {
        return Err(NvmlError::INVALID_ARGUMENT);
    }
    let replaced = page_count.replace(0);
    replaced.map(drop).map_err(|_| NvmlError::INVALID_ARGUMENT)
}

/// NVML_DEVICE_ARCH_AMPERE, which has compute capability 8.0.
const AMPERE: u32 = 7;
const BRAND_UNKNOWN: u32 = 0;
const COMPUTE_MODE_DEFAULT: u32 = 0;
/// Single-precision units of a multiprocessor of capability 8.0 (CUDA C++ Programming Guide,
/// "Compute Capabilities").
const CORES: u32 = 64;
/// nvmlClockType_t.
const CLOCK_GRAPHICS: u32 = 0;
const CLOCK_SM: u32 = 1;
const CLOCK_MEMORY: u32 = 2;
const CLOCK_VIDEO: u32 = 3;
/// nvmlGpuTopologyLevel_t.
const TOPOLOGY_INTERNAL: u32 = 0;
const TOPOLOGY_NODE: u32 = 40;
/// nvmlGpuP2PCapsIndex_t and nvmlGpuP2PStatus_t.
const P2P_READ: u32 = 0;
const P2P_WRITE: u32 = 1;
const P2P_ATOMICS: u32 = 3;
const P2P_INDEX_MAX: u32 = 4;
const P2P_OK: u32 = 0;
const P2P_NOT_SUPPORTED: u32 = 5;
/// 65,536 processors.
const CPU_WORDS_MAX: usize = 1024;
