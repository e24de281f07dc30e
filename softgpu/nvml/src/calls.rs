//! The calls: each does what the NVML API Reference says of the function of its name.
#![allow(non_snake_case, reason = "NVIDIA's own names keep NVIDIA's spelling")]

mod facts;
mod use_of;

pub(crate) use facts::*;
pub(crate) use use_of::*;

use flexdirect_wire::abi::{InStr, Out, OutStr};
use flexdirect_wire::nvml::*;

use crate::devices::{self, Device};
use crate::identity::VERSION;
use crate::{events, host, memory};

/// What a call answers.
pub(crate) type NvmlResult = Result<(), NvmlError>;

/// Writes a value; INVALID_ARGUMENT without a place for it.
pub(crate) fn put<T>(place: Out<T>, value: T) -> NvmlResult {
    place.write(value).map_err(|_| NvmlError::INVALID_ARGUMENT)
}

/// Writes text with its zero; INSUFFICIENT_SIZE if it does not fit.
pub(crate) fn put_text(place: OutStr, room: u32, text: &str) -> NvmlResult {
    if place.is_null() {
        return Err(NvmlError::INVALID_ARGUMENT);
    }
    if text.len() >= room as usize {
        return Err(NvmlError::INSUFFICIENT_SIZE);
    }
    let written = place.write(text, room as usize);
    written.map_err(|_| NvmlError::INVALID_ARGUMENT)
}

// --------------------------------------------------------------------------- the library

pub(crate) fn nvmlInit_v2() -> NvmlResult {
    devices::begin();
    Ok(())
}

pub(crate) fn nvmlInit() -> NvmlResult {
    nvmlInit_v2()
}

/// The flags allow for no devices and for none attached: both are well here.
pub(crate) fn nvmlInitWithFlags(flags: u32) -> NvmlResult {
    if flags > FLAGS_MAX {
        return Err(NvmlError::INVALID_ARGUMENT);
    }
    nvmlInit_v2()
}

pub(crate) fn nvmlShutdown() -> NvmlResult {
    devices::end()
}

pub(crate) fn nvmlSystemGetDriverVersion(version: OutStr, length: u32) -> NvmlResult {
    put_text(version, length, RELEASE)
}

pub(crate) fn nvmlSystemGetNVMLVersion(version: OutStr, length: u32) -> NvmlResult {
    put_text(version, length, &format!("{}.{RELEASE}", VERSION / 1000))
}

pub(crate) fn nvmlSystemGetCudaDriverVersion(cuda_driver_version: Out<i32>) -> NvmlResult {
    put(cuda_driver_version, VERSION.cast_signed())
}

pub(crate) fn nvmlSystemGetCudaDriverVersion_v2(cuda_driver_version: Out<i32>) -> NvmlResult {
    nvmlSystemGetCudaDriverVersion(cuda_driver_version)
}

pub(crate) fn nvmlSystemGetProcessName(pid: u32, name: OutStr, length: u32) -> NvmlResult {
    devices::check()?;
    let program = host::program(pid).ok_or(NvmlError::NOT_FOUND)?;
    // As much of it as there is room for, as the reference has it.
    if name.is_null() || length == 0 {
        return Err(NvmlError::INVALID_ARGUMENT);
    }
    let written = name.write(&program, length as usize);
    written.map_err(|_| NvmlError::INVALID_ARGUMENT)
}

// --------------------------------------------------------------------------- devices

pub(crate) fn nvmlDeviceGetCount_v2(device_count: Out<u32>) -> NvmlResult {
    let count = devices::all()?.len();
    put(device_count, u32::try_from(count).unwrap_or(u32::MAX))
}

pub(crate) fn nvmlDeviceGetCount(device_count: Out<u32>) -> NvmlResult {
    nvmlDeviceGetCount_v2(device_count)
}

pub(crate) fn nvmlDeviceGetHandleByIndex_v2(index: u32, device: Out<NvmlDevice>) -> NvmlResult {
    if index as usize >= devices::all()?.len() {
        return Err(NvmlError::INVALID_ARGUMENT);
    }
    put(device, devices::handle(index as usize))
}

pub(crate) fn nvmlDeviceGetHandleByIndex(index: u32, device: Out<NvmlDevice>) -> NvmlResult {
    nvmlDeviceGetHandleByIndex_v2(index, device)
}

/// The device for which `wanted` holds.
fn by(device: Out<NvmlDevice>, wanted: impl Fn(&Device) -> bool) -> NvmlResult {
    let all = devices::all()?;
    let found = all.iter().find(|device| wanted(device));
    put(
        device,
        devices::handle(found.ok_or(NvmlError::NOT_FOUND)?.index),
    )
}

fn text<'a>(text: InStr) -> Result<&'a str, NvmlError> {
    let text = text.text().map_err(|_| NvmlError::INVALID_ARGUMENT)?;
    text.to_str().map_err(|_| NvmlError::INVALID_ARGUMENT)
}

pub(crate) fn nvmlDeviceGetHandleBySerial(serial: InStr, device: Out<NvmlDevice>) -> NvmlResult {
    let serial = text(serial)?;
    by(device, |device| device.serial == serial)
}

pub(crate) fn nvmlDeviceGetHandleByUUID(uuid: InStr, device: Out<NvmlDevice>) -> NvmlResult {
    let uuid = text(uuid)?;
    by(device, |device| device.uuid == uuid)
}

pub(crate) fn nvmlDeviceGetHandleByUUIDV(
    uuid: *const NvmlUuid,
    device: Out<NvmlDevice>,
) -> NvmlResult {
    let uuid = memory::uuid(uuid).ok_or(NvmlError::INVALID_ARGUMENT)?;
    if uuid.version != version_of::<NvmlUuid>(1) {
        return Err(NvmlError::ARGUMENT_VERSION_MISMATCH);
    }
    let bytes = uuid.value.as_flattened();
    match uuid.type_ {
        UUID_ASCII => {
            let text = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
            by(device, |device| device.uuid.as_bytes() == text)
        }
        UUID_BINARY => by(device, |device| bytes.starts_with(&device.uuid_bytes)),
        _ => Err(NvmlError::INVALID_ARGUMENT),
    }
}

/// `domain:bus:device.function` in hexadecimal, the domain optional.
pub(crate) fn nvmlDeviceGetHandleByPciBusId_v2(
    pci_bus_id: InStr,
    device: Out<NvmlDevice>,
) -> NvmlResult {
    let id = text(pci_bus_id)?;
    let parts: Vec<&str> = id.split([':', '.']).collect();
    let numbers: Option<Vec<u32>> = parts
        .iter()
        .map(|part| u32::from_str_radix(part, 16).ok())
        .collect();
    let bus = match numbers.as_deref() {
        Some([0, bus, 0, 0] | [0, bus, 0]) if id.matches(':').count() == 2 => *bus,
        Some([bus, 0, 0] | [bus, 0]) if id.matches(':').count() == 1 => *bus,
        Some(_) => return Err(NvmlError::NOT_FOUND),
        None => return Err(NvmlError::INVALID_ARGUMENT),
    };
    by(device, |device| device.bus == bus)
}

pub(crate) fn nvmlDeviceGetHandleByPciBusId(
    pci_bus_id: InStr,
    device: Out<NvmlDevice>,
) -> NvmlResult {
    nvmlDeviceGetHandleByPciBusId_v2(pci_bus_id, device)
}

// --------------------------------------------------------------------------- events

pub(crate) fn nvmlEventSetCreate(set: Out<NvmlEventSet>) -> NvmlResult {
    if set.is_null() {
        return Err(NvmlError::INVALID_ARGUMENT);
    }
    put(set, events::create()?)
}

pub(crate) fn nvmlDeviceRegisterEvents(
    device: NvmlDevice,
    event_types: u64,
    set: NvmlEventSet,
) -> NvmlResult {
    events::register(set, devices::find(device)?.index, event_types)
}

pub(crate) fn nvmlDeviceGetSupportedEventTypes(
    device: NvmlDevice,
    event_types: Out<u64>,
) -> NvmlResult {
    devices::find(device)?;
    put(event_types, events::SUPPORTED)
}

pub(crate) fn nvmlEventSetWait_v2(
    set: NvmlEventSet,
    data: Out<NvmlEventData>,
    timeoutms: u32,
) -> NvmlResult {
    if data.is_null() {
        return Err(NvmlError::INVALID_ARGUMENT);
    }
    put(data, events::wait(set, timeoutms)?)
}

pub(crate) fn nvmlEventSetWait(
    set: NvmlEventSet,
    data: Out<NvmlEventData>,
    timeoutms: u32,
) -> NvmlResult {
    nvmlEventSetWait_v2(set, data, timeoutms)
}

pub(crate) fn nvmlEventSetFree(set: NvmlEventSet) -> NvmlResult {
    events::free(set)
}

/// What `NVML_STRUCT_VERSION` makes of a struct and its version.
pub(crate) fn version_of<T>(version: u32) -> u32 {
    u32::try_from(size_of::<T>()).unwrap_or(u32::MAX) | version << 24
}

/// The release of NVIDIA's driver that has the same CUDA version.
const RELEASE: &str = "615.00";
/// NVML_INIT_FLAG_NO_GPUS and _NO_ATTACH together.
const FLAGS_MAX: u32 = 3;
/// nvmlUUIDType_t.
const UUID_ASCII: u32 = 1;
const UUID_BINARY: u32 = 2;
