//! The devices of the lease as the application sees them: chosen, ordered and masked.

use flexdirect_driver_abi::launch::DeviceLimits;
use flexdirect_wire::abi::{CuDevice, CuDeviceAttribute as Attribute, CuError};
use flexdirect_wire::control::Snapshot;

use crate::{mask, visible};

/// One device.
#[derive(Debug)]
pub(crate) struct Device {
    /// Ordinal in the lease.
    pub(crate) lane: u16,
    pub(crate) name: String,
    pub(crate) uuid: [u8; 16],
    /// Bytes of the share.
    pub(crate) memory: u64,
    /// Least and greatest stream priority.
    pub(crate) priorities: (i32, i32),
    pub(crate) pci: String,
    pub(crate) limits: DeviceLimits,
    /// By number, sorted, as the server's driver says.
    attributes: Vec<(u32, i32)>,
}

impl Device {
    /// An attribute as the application is told.
    ///
    /// # Errors
    /// `INVALID_VALUE` for an attribute that is not known.
    pub(crate) fn attribute(&self, attribute: Attribute) -> Result<i32, CuError> {
        let own_value = |attribute| own(&self.attributes, attribute);
        let worker_can = own_value(Attribute::CONCURRENT_MANAGED_ACCESS) == Some(1);
        if attribute == Attribute::MANAGED_MEMORY && !worker_can {
            // The worker reads and writes it while kernels run.
            return Ok(0);
        }
        mask::value(attribute, own(&self.attributes, attribute)).ok_or(CuError::INVALID_VALUE)
    }
}

/// The devices that `visible_devices`, the value of `CUDA_VISIBLE_DEVICES`, leaves.
pub(crate) fn visible_devices(snapshot: &Snapshot, visible_devices: Option<&str>) -> Vec<Device> {
    let uuids: Vec<[u8; 16]> = snapshot.devices.iter().map(|device| device.uuid).collect();
    let chosen = visible::visible(visible_devices, &uuids);
    chosen
        .into_iter()
        .filter_map(|index| device(snapshot, index))
        .collect()
}

/// The device of an ordinal of the application.
///
/// # Errors
/// `INVALID_DEVICE`.
pub(crate) fn find(devices: &[Device], device: CuDevice) -> Result<(usize, &Device), CuError> {
    let ordinal = usize::try_from(device.0).map_err(|_| CuError::INVALID_DEVICE)?;
    devices
        .get(ordinal)
        .map(|device| (ordinal, device))
        .ok_or(CuError::INVALID_DEVICE)
}

fn device(snapshot: &Snapshot, index: usize) -> Option<Device> {
    let told = snapshot.devices.get(index)?;
    let mut attributes = told.attributes.clone();
    attributes.sort_unstable_by_key(|&(number, _)| number);
    let size = |attribute| {
        own(&attributes, attribute)
            .unwrap_or(0)
            .max(0)
            .unsigned_abs()
    };
    let limits = DeviceLimits {
        grid_max: [
            Attribute::MAX_GRID_DIM_X,
            Attribute::MAX_GRID_DIM_Y,
            Attribute::MAX_GRID_DIM_Z,
        ]
        .map(size),
        block_max: [
            Attribute::MAX_BLOCK_DIM_X,
            Attribute::MAX_BLOCK_DIM_Y,
            Attribute::MAX_BLOCK_DIM_Z,
        ]
        .map(size),
        threads_max: size(Attribute::MAX_THREADS_PER_BLOCK),
    };
    Some(Device {
        lane: u16::try_from(index).ok()?,
        name: told.name.clone(),
        uuid: told.uuid,
        memory: told.memory,
        priorities: told.priorities,
        pci: told.pci.clone(),
        limits,
        attributes,
    })
}

fn own(attributes: &[(u32, i32)], attribute: Attribute) -> Option<i32> {
    let at = attributes
        .binary_search_by_key(&attribute.0, |&(number, _)| number)
        .ok()?;
    attributes.get(at).map(|&(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_chooses_and_the_mask_tells() {
        let snapshot = crate::fake::snapshot(3);
        let devices = visible_devices(&snapshot, Some("2,0"));
        assert_eq!(
            devices.iter().map(|device| device.lane).collect::<Vec<_>>(),
            [2, 0]
        );
        assert_eq!(find(&devices, CuDevice(1)).unwrap().1.lane, 0);
        assert_eq!(
            find(&devices, CuDevice(2)).unwrap_err(),
            CuError::INVALID_DEVICE
        );
        assert_eq!(
            find(&devices, CuDevice(-1)).unwrap_err(),
            CuError::INVALID_DEVICE
        );
        let device = &devices[0];
        assert_eq!(device.limits.block_max, [1024, 1024, 64]);
        assert_eq!(device.attribute(Attribute::WARP_SIZE), Ok(32));
        assert_eq!(device.attribute(Attribute::PAGEABLE_MEMORY_ACCESS), Ok(0));
        assert_eq!(
            device.attribute(Attribute(100_000)),
            Err(CuError::INVALID_VALUE)
        );
        assert!(visible_devices(&snapshot, Some("")).is_empty());
    }
}
