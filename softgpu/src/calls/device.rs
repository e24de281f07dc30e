//! Device management: what the devices are.

use flexdirect_wire::abi::*;

use super::not_null;
use crate::attributes::{
    CAPABILITY, CLOCK_KHZ, CONSTANT_LEN, LIMITS, PITCH_MAX, REGISTERS, SHARED_LEN, attribute,
};
use crate::driver;
use crate::identity::NAME;

pub(crate) fn cuDeviceGet(device: Out<CuDevice>, ordinal: i32) -> CuResult {
    not_null(device)?;
    driver::device(CuDevice(ordinal))?;
    device.write(CuDevice(ordinal))
}

pub(crate) fn cuDeviceGetCount(count: Out<i32>) -> CuResult {
    driver::check()?;
    count.write(i32::try_from(driver::devices().len()).unwrap_or(i32::MAX))
}

pub(crate) fn cuDeviceGetName(name: OutStr, len: i32, dev: CuDevice) -> CuResult {
    driver::device(dev)?;
    name.write(NAME, usize::try_from(len).unwrap_or(0))
}

pub(crate) fn cuDeviceGetUuid_v2(uuid: Out<CuUuid>, dev: CuDevice) -> CuResult {
    let device = driver::device(dev)?;
    uuid.write(CuUuid {
        bytes: device.identity().uuid,
    })
}

pub(crate) fn cuDeviceGetUuid(uuid: Out<CuUuid>, dev: CuDevice) -> CuResult {
    cuDeviceGetUuid_v2(uuid, dev)
}

pub(crate) fn cuDeviceTotalMem_v2(bytes: Out<usize>, dev: CuDevice) -> CuResult {
    let device = driver::device(dev)?;
    bytes.write(usize::try_from(device.arena.capacity()).unwrap_or(usize::MAX))
}

pub(crate) fn cuDeviceGetAttribute(
    pi: Out<i32>,
    attrib: CuDeviceAttribute,
    dev: CuDevice,
) -> CuResult {
    not_null(pi)?;
    let device = driver::device(dev)?;
    let value = attribute(attrib, device.variable());
    pi.write(value.ok_or(CuError::INVALID_VALUE)?)
}

pub(crate) fn cuDeviceGetProperties(prop: Out<CuDevprop>, dev: CuDevice) -> CuResult {
    driver::device(dev)?;
    prop.write(CuDevprop {
        max_threads_per_block: LIMITS.threads_max.cast_signed(),
        max_threads_dim: LIMITS.block_max.map(u32::cast_signed),
        max_grid_size: LIMITS.grid_max.map(u32::cast_signed),
        shared_mem_per_block: SHARED_LEN.cast_signed(),
        total_constant_memory: CONSTANT_LEN,
        simd_width: 32,
        mem_pitch: i32::try_from(PITCH_MAX).unwrap_or(i32::MAX),
        regs_per_block: REGISTERS.cast_signed(),
        clock_rate: CLOCK_KHZ,
        texture_align: 512,
    })
}

pub(crate) fn cuDeviceComputeCapability(
    major: Out<i32>,
    minor: Out<i32>,
    dev: CuDevice,
) -> CuResult {
    driver::device(dev)?;
    not_null(minor)?;
    major.write((CAPABILITY / 10).cast_signed())?;
    minor.write((CAPABILITY % 10).cast_signed())
}

pub(crate) fn cuDeviceGetByPCIBusId(dev: Out<CuDevice>, pci_bus_id: InStr) -> CuResult {
    not_null(dev)?;
    driver::check()?;
    let wanted = pci_bus_id.text()?.to_str().unwrap_or_default();
    let wanted = wanted.to_ascii_uppercase();
    // "domain:bus:device.function", of which the domain and the function may be left out.
    let found = driver::devices().iter().find(|device| {
        let whole = device.pci_address();
        let short = whole.trim_start_matches("0000:");
        let bare = |text: &str| text.trim_end_matches(".0").to_owned();
        [&whole, short].contains(&wanted.as_str()) || [bare(&whole), bare(short)].contains(&wanted)
    });
    let device = found.ok_or(CuError::INVALID_DEVICE)?;
    dev.write(CuDevice(i32::try_from(device.ordinal).unwrap_or(i32::MAX)))
}

pub(crate) fn cuDeviceGetPCIBusId(pci_bus_id: OutStr, len: i32, dev: CuDevice) -> CuResult {
    let device = driver::device(dev)?;
    pci_bus_id.write(&device.pci_address(), usize::try_from(len).unwrap_or(0))
}
