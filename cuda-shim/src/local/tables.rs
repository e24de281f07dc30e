//! The private tables of NVIDIA's runtime, and what they ask of the driver.

#![expect(non_snake_case, reason = "CUDA's own names keep CUDA's spelling")]

use std::ffi::c_void;
use std::ptr;

use flexdirect_driver_abi::image::copy_image;
use flexdirect_driver_abi::tables::{DeviceIdentity, Host, REFUSED, export_table};
use flexdirect_wire::abi::{
    CuDevice, CuDeviceAttribute as Attribute, CuError, CuResult, CuUuid, InOut, Out,
};
use flexdirect_wire::call::op;

use super::device::version;
use crate::devices::{Device, find};
use crate::log::{self, Level};
use crate::process::process;
use crate::{hand, thread};

pub(crate) fn cuGetExportTable(
    export_table_out: Out<*const c_void>,
    export_table_id: *const CuUuid,
) -> CuResult {
    let uuid = InOut(export_table_id.cast_mut()).read()?;
    let table = export_table(&uuid.bytes, &Shim);
    export_table_out.write(table.unwrap_or(ptr::null()))?;
    table
        .map(drop)
        .ok_or_else(|| CuError::check(REFUSED).expect_err("a refusal is no success"))
}

/// The driver that the tables belong to.
struct Shim;

impl Host for Shim {
    fn primary_context(&self, device: i32) -> Result<u64, u32> {
        let process = process().map_err(CuError::code)?;
        let (ordinal, _) = find(&process.devices, CuDevice(device)).map_err(CuError::code)?;
        Ok(process.primaries[ordinal].handle)
    }

    fn current_context(&self) -> u64 {
        thread::current().map_or(0, |context| context.handle)
    }

    unsafe fn load_fatbin(&self, image: *const c_void) -> Result<u64, u32> {
        // SAFETY: the caller's promise is the one that is asked for.
        let image = unsafe { copy_image(image) }.map_err(|error| error.code())?;
        hand::load_module(op::cuModuleLoadFatBinary, &image).map_err(CuError::code)
    }

    fn driver_version(&self) -> u32 {
        version()
    }

    fn devices(&self) -> Vec<DeviceIdentity> {
        process().map_or_else(
            |_| Vec::new(),
            |process| process.devices.iter().map(identity).collect(),
        )
    }

    fn log(&self, line: &str) {
        log::info!("{line}");
    }

    fn trace(&self, line: &str) {
        log::line(Level::Trace, format_args!("{line}"));
    }
}

fn identity(device: &Device) -> DeviceIdentity {
    let own = |attribute| device.attribute(attribute).unwrap_or(0);
    DeviceIdentity {
        uuid: device.uuid,
        domain: own(Attribute::PCI_DOMAIN_ID),
        bus: own(Attribute::PCI_BUS_ID),
        device: own(Attribute::PCI_DEVICE_ID),
    }
}
