//! Devices: answered from the snapshot, through the mask.

#![expect(non_snake_case, reason = "CUDA's own names keep CUDA's spelling")]

use std::sync::OnceLock;

use flexdirect_wire::abi::{
    CuDevice, CuDeviceAttribute as Attribute, CuDevprop, CuError, CuExecAffinityParam,
    CuExecAffinityType, CuResult, CuUuid, InStr, Out, OutStr,
};

use crate::devices::{Device, find};
use crate::process::{here, initialise, process};
use crate::session::{TABLE_VERSION, leased_driver_version};

pub(crate) fn cuInit(flags: u32) -> CuResult {
    if flags != 0 {
        return Err(CuError::INVALID_VALUE);
    }
    initialise()
}

pub(crate) fn cuDriverGetVersion(driver_version: Out<i32>) -> CuResult {
    driver_version.write(version().cast_signed())
}

/// What the driver says of itself: the least of the table and the server's driver. Before cuInit,
/// when a runtime decides by it whether to start, the lease says what the server's is.
pub(crate) fn version() -> u32 {
    if let Ok(process) = process() {
        return process.driver_version;
    }
    static LEASED: OnceLock<u32> = OnceLock::new();
    *LEASED.get_or_init(|| {
        leased_driver_version().map_or(TABLE_VERSION, |version| version.min(TABLE_VERSION))
    })
}

pub(crate) fn cuDeviceGet(device: Out<CuDevice>, ordinal: i32) -> CuResult {
    let process = process()?;
    let found = CuDevice(ordinal);
    find(&process.devices, found)?;
    device.write(found)
}

pub(crate) fn cuDeviceGetCount(count: Out<i32>) -> CuResult {
    let devices = &process()?.devices;
    count.write(i32::try_from(devices.len()).expect("at most DEVICES_MAX"))
}

pub(crate) fn cuDeviceGetName(name: OutStr, len: i32, dev: CuDevice) -> CuResult {
    let (_, device) = find(&process()?.devices, dev)?;
    name.write(&device.name, room(len)?)
}

pub(crate) fn cuDeviceGetUuid(uuid: Out<CuUuid>, dev: CuDevice) -> CuResult {
    let (_, device) = find(&process()?.devices, dev)?;
    uuid.write(CuUuid { bytes: device.uuid })
}

pub(crate) fn cuDeviceGetUuid_v2(uuid: Out<CuUuid>, dev: CuDevice) -> CuResult {
    cuDeviceGetUuid(uuid, dev)
}

pub(crate) fn cuDeviceTotalMem_v2(bytes: Out<usize>, dev: CuDevice) -> CuResult {
    let (_, device) = find(&process()?.devices, dev)?;
    bytes.write(usize::try_from(device.memory).unwrap_or(usize::MAX))
}

pub(crate) fn cuDeviceGetAttribute(pi: Out<i32>, attrib: Attribute, dev: CuDevice) -> CuResult {
    let (_, device) = find(&process()?.devices, dev)?;
    pi.write(device.attribute(attrib)?)
}

pub(crate) fn cuDeviceComputeCapability(
    major: Out<i32>,
    minor: Out<i32>,
    dev: CuDevice,
) -> CuResult {
    let (_, device) = find(&process()?.devices, dev)?;
    major.write(device.attribute(Attribute::COMPUTE_CAPABILITY_MAJOR)?)?;
    minor.write(device.attribute(Attribute::COMPUTE_CAPABILITY_MINOR)?)
}

pub(crate) fn cuDeviceGetProperties(prop: Out<CuDevprop>, dev: CuDevice) -> CuResult {
    let (_, device) = find(&process()?.devices, dev)?;
    let own = |attribute| device.attribute(attribute).unwrap_or(0);
    prop.write(CuDevprop {
        max_threads_per_block: own(Attribute::MAX_THREADS_PER_BLOCK),
        max_threads_dim: [
            Attribute::MAX_BLOCK_DIM_X,
            Attribute::MAX_BLOCK_DIM_Y,
            Attribute::MAX_BLOCK_DIM_Z,
        ]
        .map(own),
        max_grid_size: [
            Attribute::MAX_GRID_DIM_X,
            Attribute::MAX_GRID_DIM_Y,
            Attribute::MAX_GRID_DIM_Z,
        ]
        .map(own),
        shared_mem_per_block: own(Attribute::MAX_SHARED_MEMORY_PER_BLOCK),
        total_constant_memory: own(Attribute::TOTAL_CONSTANT_MEMORY),
        simd_width: own(Attribute::WARP_SIZE),
        mem_pitch: own(Attribute::MAX_PITCH),
        regs_per_block: own(Attribute::MAX_REGISTERS_PER_BLOCK),
        clock_rate: own(Attribute::CLOCK_RATE),
        texture_align: own(Attribute::TEXTURE_ALIGNMENT),
    })
}

pub(crate) fn cuDeviceGetPCIBusId(pci_bus_id: OutStr, len: i32, dev: CuDevice) -> CuResult {
    let (_, device) = find(&process()?.devices, dev)?;
    pci_bus_id.write(&device.pci, room(len)?)
}

pub(crate) fn cuDeviceGetByPCIBusId(dev: Out<CuDevice>, pci_bus_id: InStr) -> CuResult {
    let process = process()?;
    let text = pci_bus_id
        .text()?
        .to_str()
        .map_err(|_| CuError::INVALID_VALUE)?;
    let wanted = pci_address(text).ok_or(CuError::INVALID_VALUE)?;
    let is_it = |device: &Device| pci_address(&device.pci) == Some(wanted);
    let ordinal = process
        .devices
        .iter()
        .position(is_it)
        .ok_or(CuError::INVALID_DEVICE)?;
    dev.write(CuDevice(
        i32::try_from(ordinal).expect("at most DEVICES_MAX"),
    ))
}

/// Domain, bus, device and function of `[domain:]bus:device[.function]`, in hex.
fn pci_address(text: &str) -> Option<[u32; 4]> {
    let (rest, function) = text.split_once('.').unwrap_or((text, "0"));
    let mut parts: Vec<&str> = rest.split(':').collect();
    if parts.len() == 2 {
        parts.insert(0, "0");
    }
    let [domain, bus, device] = parts[..] else {
        return None;
    };
    let number = |part| u32::from_str_radix(part, 16).ok();
    Some([
        number(domain)?,
        number(bus)?,
        number(device)?,
        number(function)?,
    ])
}

/// No context can be made that has a part of the multiprocessors.
pub(crate) fn cuDeviceGetExecAffinitySupport(
    pi: Out<i32>,
    type_: CuExecAffinityType,
    dev: CuDevice,
) -> CuResult {
    find(&process()?.devices, dev)?;
    if pi.is_null() || type_.0 != MULTIPROCESSORS {
        return Err(CuError::INVALID_VALUE);
    }
    pi.write(0)
}

pub(crate) fn cuCtxGetExecAffinity(
    exec_affinity: Out<CuExecAffinityParam>,
    type_: CuExecAffinityType,
) -> CuResult {
    let here = here()?;
    if type_.0 != MULTIPROCESSORS {
        return Err(CuError::INVALID_VALUE);
    }
    let count = here.device().attribute(Attribute::MULTIPROCESSOR_COUNT);
    exec_affinity.write(CuExecAffinityParam {
        kind: MULTIPROCESSORS,
        multiprocessors: u32::try_from(count.unwrap_or(0)).unwrap_or(0),
    })
}

/// `CU_EXEC_AFFINITY_TYPE_SM_COUNT`.
const MULTIPROCESSORS: u32 = 0;

fn room(len: i32) -> Result<usize, CuError> {
    usize::try_from(len).map_err(|_| CuError::INVALID_VALUE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pci_addresses_are_compared_as_numbers() {
        assert_eq!(pci_address("0000:0a:00.0"), pci_address("a:0"));
        assert_eq!(pci_address("00000000:0A:00.0"), Some([0, 10, 0, 0]));
        assert_eq!(pci_address("1:2:3.1"), Some([1, 2, 3, 1]));
        assert_eq!(pci_address("1"), None);
        assert_eq!(pci_address("x:y"), None);
    }
}
