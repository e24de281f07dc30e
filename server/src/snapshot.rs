//! What a driver says about its devices: for the client at connect, and for the daemon's list.
//!
//! The client masks what remoting cannot keep; here is only what the driver says.

use std::ffi::c_char;

use flexdirect_wire::abi::*;
use flexdirect_wire::control::{Device, DeviceState, Snapshot, VERSION};
use flexdirect_wire::limits::SLAB_LEN;

use crate::driver::Driver;

/// All that a client is told at connect. `shares` has the memory of each device of the lease in
/// bytes: the devices are the driver's first.
///
/// # Errors
/// What the driver says about a device that it should have.
pub fn snapshot(driver: &Driver, shares: &[u64]) -> Result<Snapshot, CuError> {
    let priorities = priorities(driver).unwrap_or_default();
    let devices = (0..).zip(shares).map(|(ordinal, &memory)| {
        Ok(Device {
            priorities,
            ..device(driver, ordinal, memory)?
        })
    });
    Ok(Snapshot {
        version: VERSION,
        server_version: env!("CARGO_PKG_VERSION").to_owned(),
        driver_version: driver_version(driver)?,
        slab_len: SLAB_LEN as u64,
        devices: devices.collect::<Result<_, CuError>>()?,
    })
}

/// `cuDriverGetVersion`.
///
/// # Errors
/// What the driver says.
pub fn driver_version(driver: &Driver) -> Result<u32, CuError> {
    let mut version = 0;
    // SAFETY: the pointer is to a local that outlives the call.
    unsafe { driver.cuDriverGetVersion(Out(&raw mut version)) }?;
    Ok(u32::try_from(version).unwrap_or(0))
}

/// Every device of the driver, all of its memory free.
///
/// # Errors
/// What the driver says.
pub fn devices(driver: &Driver) -> Result<Vec<DeviceState>, CuError> {
    let mut count = 0;
    // SAFETY: the pointer is to a local that outlives the call.
    unsafe { driver.cuDeviceGetCount(Out(&raw mut count)) }?;
    (0..count)
        .map(|ordinal| {
            let device = self::handle(driver, ordinal)?;
            let mut memory = 0_usize;
            // SAFETY: the pointer is to a local that outlives the call.
            unsafe { driver.cuDeviceTotalMem_v2(Out(&raw mut memory), device) }?;
            Ok(DeviceState {
                ordinal: ordinal.cast_unsigned(),
                name: name(driver, device)?,
                uuid: uuid_text(uuid(driver, device)?),
                memory: memory as u64,
                free: memory as u64,
            })
        })
        .collect()
}

fn device(driver: &Driver, ordinal: i32, memory: u64) -> Result<Device, CuError> {
    let device = handle(driver, ordinal)?;
    let attributes = (1..=ATTRIBUTE_MAX).filter_map(|number| {
        let mut value = 0;
        let attribute = CuDeviceAttribute(number);
        // SAFETY: the pointer is to a local that outlives the call.
        let known = unsafe { driver.cuDeviceGetAttribute(Out(&raw mut value), attribute, device) };
        known.ok().map(|()| (number, value))
    });
    Ok(Device {
        name: name(driver, device)?,
        uuid: uuid(driver, device)?,
        memory,
        attributes: attributes.collect(),
        priorities: (0, 0),
        pci: pci(driver, device).unwrap_or_default(),
    })
}

fn handle(driver: &Driver, ordinal: i32) -> Result<CuDevice, CuError> {
    let mut device = CuDevice::default();
    // SAFETY: the pointer is to a local that outlives the call.
    unsafe { driver.cuDeviceGet(Out(&raw mut device), ordinal) }?;
    Ok(device)
}

fn name(driver: &Driver, device: CuDevice) -> Result<String, CuError> {
    text(|to, len| {
        // SAFETY: the pointer is to `len` bytes that outlive the call.
        unsafe { driver.cuDeviceGetName(to, len, device) }
    })
}

fn pci(driver: &Driver, device: CuDevice) -> Result<String, CuError> {
    text(|to, len| {
        // SAFETY: the pointer is to `len` bytes that outlive the call.
        unsafe { driver.cuDeviceGetPCIBusId(to, len, device) }
    })
}

fn text(ask: impl FnOnce(OutStr, i32) -> CuResult) -> Result<String, CuError> {
    let mut bytes = [0_u8; 256];
    let len = i32::try_from(bytes.len()).expect("a few bytes");
    ask(OutStr(bytes.as_mut_ptr().cast::<c_char>()), len)?;
    let end = bytes
        .iter()
        .position(|&byte| byte == 0)
        .unwrap_or(bytes.len());
    Ok(String::from_utf8_lossy(&bytes[..end]).into_owned())
}

fn uuid(driver: &Driver, device: CuDevice) -> Result<[u8; 16], CuError> {
    let mut uuid = CuUuid::default();
    // SAFETY: the pointer is to a local that outlives the call.
    unsafe { driver.cuDeviceGetUuid_v2(Out(&raw mut uuid), device) }?;
    Ok(uuid.bytes)
}

fn uuid_text(uuid: [u8; 16]) -> String {
    let hex: Vec<String> = uuid.iter().map(|byte| format!("{byte:02x}")).collect();
    let parts = [&hex[..4], &hex[4..6], &hex[6..8], &hex[8..10], &hex[10..]];
    format!("GPU-{}", parts.map(|part| part.concat()).join("-"))
}

/// Least and greatest priority: the same on every device of a driver. They are a context's to tell,
/// so the first device's primary context is made. It stays: the client is about to use it.
fn priorities(driver: &Driver) -> Result<(i32, i32), CuError> {
    let context = driver.retain_primary(handle(driver, 0)?)?;
    driver.set_current(context)?;
    let (mut least, mut greatest) = (0, 0);
    // SAFETY: the pointers are to locals that outlive the call.
    let asked =
        unsafe { driver.cuCtxGetStreamPriorityRange(Out(&raw mut least), Out(&raw mut greatest)) };
    driver.set_current(CuContext::default())?;
    asked.map(|()| (least, greatest))
}

/// Newest attribute that is asked for.
const ATTRIBUTE_MAX: u32 = CuDeviceAttribute::GPU_DIRECT_RDMA_WITH_LOCALIZED_MEMORY_SUPPORTED.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_reads_as_nvidia_writes_it() {
        let uuid: [u8; 16] = std::array::from_fn(|at| u8::try_from(at).unwrap());
        assert_eq!(uuid_text(uuid), "GPU-00010203-0405-0607-0809-0a0b0c0d0e0f");
    }
}
