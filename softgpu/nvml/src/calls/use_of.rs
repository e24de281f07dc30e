//! What a device is used for: memory, time, processes, and errors of memory.

use flexdirect_wire::abi::{InOut, Out};
use flexdirect_wire::nvml::*;

use super::{NvmlResult, put, version_of};
use crate::ledger::Usage;
use crate::{devices, memory};

pub(crate) fn nvmlDeviceGetMemoryInfo(device: NvmlDevice, memory: Out<NvmlMemory>) -> NvmlResult {
    let device = devices::find(device)?;
    let (total, used) = (device.memory_len, device.used()?);
    let free = total - used;
    put(memory, NvmlMemory { total, free, used })
}

pub(crate) fn nvmlDeviceGetMemoryInfo_v2(
    device: NvmlDevice,
    memory: InOut<NvmlMemoryV2>,
) -> NvmlResult {
    let device = devices::find(device)?;
    let given = memory.read().map_err(|_| NvmlError::INVALID_ARGUMENT)?;
    if given.version != version_of::<NvmlMemoryV2>(2) {
        return Err(NvmlError::ARGUMENT_VERSION_MISMATCH);
    }
    let (total, used) = (device.memory_len, device.used()?);
    let own = NvmlMemoryV2 {
        version: given.version,
        total,
        free: total - used,
        used,
        ..NvmlMemoryV2::default()
    };
    let replaced = memory.replace(own);
    replaced.map(drop).map_err(|_| NvmlError::INVALID_ARGUMENT)
}

/// The host reaches all of the memory.
pub(crate) fn nvmlDeviceGetBAR1MemoryInfo(
    device: NvmlDevice,
    bar1_memory: Out<NvmlMemory>,
) -> NvmlResult {
    nvmlDeviceGetMemoryInfo(device, bar1_memory)
}

/// Of memory: the share of the time in which it was copied or filled. What kernels read and write
/// is not measured apart.
pub(crate) fn nvmlDeviceGetUtilizationRates(
    device: NvmlDevice,
    utilization: Out<[u32; 2]>,
) -> NvmlResult {
    let device = devices::find(device)?;
    if utilization.is_null() {
        return Err(NvmlError::INVALID_ARGUMENT);
    }
    put(utilization, device.utilization()?)
}

pub(crate) fn nvmlDeviceGetEncoderUtilization(
    device: NvmlDevice,
    utilization: Out<u32>,
    sampling_period_us: Out<u32>,
) -> NvmlResult {
    devices::find(device)?;
    put(utilization, 0)?;
    put(sampling_period_us, 0)
}

pub(crate) fn nvmlDeviceGetDecoderUtilization(
    device: NvmlDevice,
    utilization: Out<u32>,
    sampling_period_us: Out<u32>,
) -> NvmlResult {
    nvmlDeviceGetEncoderUtilization(device, utilization, sampling_period_us)
}

pub(crate) fn nvmlDeviceGetComputeRunningProcesses_v3(
    device: NvmlDevice,
    info_count: InOut<u32>,
    infos: *mut NvmlProcessInfo,
) -> NvmlResult {
    let usage = devices::find(device)?.usage()?;
    put_processes(&usage, info_count, infos, |usage| NvmlProcessInfo {
        pid: usage.pid,
        used_gpu_memory: usage.len,
        gpu_instance_id: u32::MAX,
        compute_instance_id: u32::MAX,
        ..NvmlProcessInfo::default()
    })
}

pub(crate) fn nvmlDeviceGetComputeRunningProcesses_v2(
    device: NvmlDevice,
    info_count: InOut<u32>,
    infos: *mut NvmlProcessInfo,
) -> NvmlResult {
    nvmlDeviceGetComputeRunningProcesses_v3(device, info_count, infos)
}

pub(crate) fn nvmlDeviceGetComputeRunningProcesses(
    device: NvmlDevice,
    info_count: InOut<u32>,
    infos: *mut NvmlProcessInfoV1,
) -> NvmlResult {
    let usage = devices::find(device)?.usage()?;
    put_processes(&usage, info_count, infos, |usage| NvmlProcessInfoV1 {
        pid: usage.pid,
        used_gpu_memory: usage.len,
        ..NvmlProcessInfoV1::default()
    })
}

/// Writes as many as there are; if there is room for less, says how many and writes none.
fn put_processes<T: Copy>(
    usage: &[Usage],
    count: InOut<u32>,
    infos: *mut T,
    info: impl Fn(&Usage) -> T,
) -> NvmlResult {
    let found = u32::try_from(usage.len()).unwrap_or(u32::MAX);
    let room = count.replace(found);
    let room = room.map_err(|_| NvmlError::INVALID_ARGUMENT)?;
    if room < found {
        return Err(NvmlError::INSUFFICIENT_SIZE);
    }
    if found > 0 && infos.is_null() {
        return Err(NvmlError::INVALID_ARGUMENT);
    }
    let infos_found: Vec<T> = usage.iter().map(info).collect();
    memory::write_array(infos, &infos_found);
    Ok(())
}

/// No process draws.
fn none(device: NvmlDevice, info_count: InOut<u32>) -> NvmlResult {
    devices::find(device)?;
    let replaced = info_count.replace(0);
    replaced.map(drop).map_err(|_| NvmlError::INVALID_ARGUMENT)
}

pub(crate) fn nvmlDeviceGetGraphicsRunningProcesses_v3(
    device: NvmlDevice,
    info_count: InOut<u32>,
    _infos: *mut NvmlProcessInfo,
) -> NvmlResult {
    none(device, info_count)
}

pub(crate) fn nvmlDeviceGetGraphicsRunningProcesses_v2(
    device: NvmlDevice,
    info_count: InOut<u32>,
    _infos: *mut NvmlProcessInfo,
) -> NvmlResult {
    none(device, info_count)
}

pub(crate) fn nvmlDeviceGetGraphicsRunningProcesses(
    device: NvmlDevice,
    info_count: InOut<u32>,
    _infos: *mut NvmlProcessInfoV1,
) -> NvmlResult {
    none(device, info_count)
}

/// On, so that monitors ask for the errors that the health file has.
pub(crate) fn nvmlDeviceGetEccMode(
    device: NvmlDevice,
    current: Out<u32>,
    pending: Out<u32>,
) -> NvmlResult {
    devices::find(device)?;
    put(current, 1)?;
    put(pending, 1)
}

/// The file is the only counter: since the last start and altogether are the same.
pub(crate) fn nvmlDeviceGetTotalEccErrors(
    device: NvmlDevice,
    error_type: u32,
    counter_type: u32,
    ecc_counts: Out<u64>,
) -> NvmlResult {
    let device = devices::find(device)?;
    if error_type > 1 || counter_type > 1 {
        return Err(NvmlError::INVALID_ARGUMENT);
    }
    put(ecc_counts, device.ecc_errors(error_type == CORRECTED)?)
}

/// All errors are those of device memory; there are no other memories to have any.
pub(crate) fn nvmlDeviceGetMemoryErrorCounter(
    device: NvmlDevice,
    error_type: u32,
    counter_type: u32,
    location_type: u32,
    count: Out<u64>,
) -> NvmlResult {
    devices::find(device)?;
    match location_type {
        DEVICE_MEMORY => nvmlDeviceGetTotalEccErrors(device, error_type, counter_type, count),
        0..LOCATIONS => Err(NvmlError::NOT_SUPPORTED),
        _ => Err(NvmlError::INVALID_ARGUMENT),
    }
}

/// NVML_MEMORY_ERROR_TYPE_CORRECTED.
const CORRECTED: u32 = 0;
/// NVML_MEMORY_LOCATION_DEVICE_MEMORY, and how many locations there are.
const DEVICE_MEMORY: u32 = 2;
const LOCATIONS: u32 = 8;
