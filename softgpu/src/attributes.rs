//! What the device says of itself: one consistent set of attributes of compute capability 8.0.
//!
//! 8.0 keeps newer programs' special paths away (clusters, tensor memory) and has what compilers
//! commonly emit. What softgpu cannot do is 0. Sizes are those of NVIDIA's 8.0 devices (CUDA C++
//! Programming Guide, "Compute Capabilities"), so that programs tuned to them take the same paths.

use flexdirect_driver_abi::launch::DeviceLimits;
use flexdirect_wire::abi::CuDeviceAttribute as Attribute;

/// What differs from device to device.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Variable {
    /// SOFTGPU_SMS.
    pub(crate) multiprocessors: i32,
    /// PCI bus.
    pub(crate) pci_bus: i32,
}

/// Value of an attribute; `None` for a number that CUDA does not have.
pub(crate) fn attribute(attribute: Attribute, variable: Variable) -> Option<i32> {
    let value = match attribute {
        Attribute::MULTIPROCESSOR_COUNT => variable.multiprocessors,
        Attribute::PCI_BUS_ID => variable.pci_bus,
        Attribute(number @ 1..=ATTRIBUTE_MAX) => {
            let known = VALUES.iter().find(|value| value.0.0 == number);
            known.map_or(0, |value| value.1)
        }
        _ => return None,
    };
    Some(value)
}

/// What a launch must keep to.
pub(crate) const LIMITS: DeviceLimits = DeviceLimits {
    grid_max: [i32::MAX.unsigned_abs(), 65_535, 65_535],
    block_max: [1024, 1024, 64],
    threads_max: 1024,
};

/// Compute capability times ten.
pub(crate) const CAPABILITY: u32 = 80;
/// Shared memory of a block without opting in, in bytes.
pub(crate) const SHARED_LEN: u32 = 48 << 10;
/// Shared memory of a block that opts in, in bytes.
pub(crate) const SHARED_LEN_OPT_IN: u32 = 163 << 10;
/// Shared memory of a multiprocessor, in bytes.
pub(crate) const SHARED_LEN_PROCESSOR: u32 = 164 << 10;
/// Shared memory that the system takes of each block, in bytes.
pub(crate) const SHARED_LEN_RESERVED: u32 = 1 << 10;
/// Threads of a multiprocessor.
pub(crate) const THREADS_PROCESSOR: u32 = 2048;
/// Blocks of a multiprocessor.
pub(crate) const BLOCKS_PROCESSOR: u32 = 32;
/// 32-bit registers of a block, and of a multiprocessor.
pub(crate) const REGISTERS: u32 = 65_536;
/// Alignment of rows of cuMemAllocPitch, in bytes.
pub(crate) const PITCH_ALIGNMENT: usize = 512;
/// Longest row of a pitched copy, in bytes.
pub(crate) const PITCH_MAX: usize = 0x7fff_ffff;
/// Constant memory, in bytes.
pub(crate) const CONSTANT_LEN: i32 = 65_536;
/// Clock in kHz: what 8.0 devices run at, and a number only.
pub(crate) const CLOCK_KHZ: i32 = 1_410_000;
/// Clock of the memory in kHz, likewise.
pub(crate) const MEMORY_CLOCK_KHZ: i32 = 1_215_000;

/// Highest attribute number.
const ATTRIBUTE_MAX: u32 = 161;

/// All that is not 0.
const VALUES: &[(Attribute, i32)] = &[
    (Attribute::MAX_THREADS_PER_BLOCK, 1024),
    (Attribute::MAX_BLOCK_DIM_X, 1024),
    (Attribute::MAX_BLOCK_DIM_Y, 1024),
    (Attribute::MAX_BLOCK_DIM_Z, 64),
    (Attribute::MAX_GRID_DIM_X, i32::MAX),
    (Attribute::MAX_GRID_DIM_Y, 65_535),
    (Attribute::MAX_GRID_DIM_Z, 65_535),
    (
        Attribute::MAX_SHARED_MEMORY_PER_BLOCK,
        SHARED_LEN.cast_signed(),
    ),
    (Attribute::TOTAL_CONSTANT_MEMORY, CONSTANT_LEN),
    (Attribute::WARP_SIZE, 32),
    (Attribute::MAX_PITCH, i32::MAX),
    (Attribute::MAX_REGISTERS_PER_BLOCK, REGISTERS.cast_signed()),
    (Attribute::CLOCK_RATE, CLOCK_KHZ),
    (Attribute::TEXTURE_ALIGNMENT, 512),
    (Attribute::GPU_OVERLAP, 1),
    (Attribute::CAN_MAP_HOST_MEMORY, 1),
    (Attribute::MAXIMUM_TEXTURE1D_WIDTH, 131_072),
    (Attribute::MAXIMUM_TEXTURE2D_WIDTH, 131_072),
    (Attribute::MAXIMUM_TEXTURE2D_HEIGHT, 65_536),
    (Attribute::MAXIMUM_TEXTURE3D_WIDTH, 16_384),
    (Attribute::MAXIMUM_TEXTURE3D_HEIGHT, 16_384),
    (Attribute::MAXIMUM_TEXTURE3D_DEPTH, 16_384),
    (Attribute::MAXIMUM_TEXTURE2D_LAYERED_WIDTH, 32_768),
    (Attribute::MAXIMUM_TEXTURE2D_LAYERED_HEIGHT, 32_768),
    (Attribute::MAXIMUM_TEXTURE2D_LAYERED_LAYERS, 2048),
    (Attribute::SURFACE_ALIGNMENT, 512),
    (Attribute::CONCURRENT_KERNELS, 1),
    // As NVML says, which counts errors.
    (Attribute::ECC_ENABLED, 1),
    (Attribute::MEMORY_CLOCK_RATE, MEMORY_CLOCK_KHZ),
    (Attribute::GLOBAL_MEMORY_BUS_WIDTH, 5120),
    (Attribute::L2_CACHE_SIZE, 40 << 20),
    (
        Attribute::MAX_THREADS_PER_MULTIPROCESSOR,
        THREADS_PROCESSOR.cast_signed(),
    ),
    (Attribute::ASYNC_ENGINE_COUNT, 3),
    (Attribute::UNIFIED_ADDRESSING, 1),
    (Attribute::MAXIMUM_TEXTURE1D_LAYERED_WIDTH, 32_768),
    (Attribute::MAXIMUM_TEXTURE1D_LAYERED_LAYERS, 2048),
    (Attribute::CAN_TEX2D_GATHER, 1),
    (Attribute::MAXIMUM_TEXTURE2D_GATHER_WIDTH, 32_768),
    (Attribute::MAXIMUM_TEXTURE2D_GATHER_HEIGHT, 32_768),
    (Attribute::MAXIMUM_TEXTURE3D_WIDTH_ALTERNATE, 8192),
    (Attribute::MAXIMUM_TEXTURE3D_HEIGHT_ALTERNATE, 8192),
    (Attribute::MAXIMUM_TEXTURE3D_DEPTH_ALTERNATE, 32_768),
    (Attribute::TEXTURE_PITCH_ALIGNMENT, 32),
    (Attribute::MAXIMUM_TEXTURECUBEMAP_WIDTH, 32_768),
    (Attribute::MAXIMUM_TEXTURECUBEMAP_LAYERED_WIDTH, 32_768),
    (Attribute::MAXIMUM_TEXTURECUBEMAP_LAYERED_LAYERS, 2046),
    (Attribute::MAXIMUM_SURFACE1D_WIDTH, 32_768),
    (Attribute::MAXIMUM_SURFACE2D_WIDTH, 131_072),
    (Attribute::MAXIMUM_SURFACE2D_HEIGHT, 65_536),
    (Attribute::MAXIMUM_SURFACE3D_WIDTH, 16_384),
    (Attribute::MAXIMUM_SURFACE3D_HEIGHT, 16_384),
    (Attribute::MAXIMUM_SURFACE3D_DEPTH, 16_384),
    (Attribute::MAXIMUM_SURFACE1D_LAYERED_WIDTH, 32_768),
    (Attribute::MAXIMUM_SURFACE1D_LAYERED_LAYERS, 2048),
    (Attribute::MAXIMUM_SURFACE2D_LAYERED_WIDTH, 32_768),
    (Attribute::MAXIMUM_SURFACE2D_LAYERED_HEIGHT, 32_768),
    (Attribute::MAXIMUM_SURFACE2D_LAYERED_LAYERS, 2048),
    (Attribute::MAXIMUM_SURFACECUBEMAP_WIDTH, 32_768),
    (Attribute::MAXIMUM_SURFACECUBEMAP_LAYERED_WIDTH, 32_768),
    (Attribute::MAXIMUM_SURFACECUBEMAP_LAYERED_LAYERS, 2046),
    (Attribute::MAXIMUM_TEXTURE1D_LINEAR_WIDTH, 1 << 28),
    (Attribute::MAXIMUM_TEXTURE2D_LINEAR_WIDTH, 131_072),
    (Attribute::MAXIMUM_TEXTURE2D_LINEAR_HEIGHT, 65_000),
    (Attribute::MAXIMUM_TEXTURE2D_LINEAR_PITCH, 2_097_120),
    (Attribute::MAXIMUM_TEXTURE2D_MIPMAPPED_WIDTH, 32_768),
    (Attribute::MAXIMUM_TEXTURE2D_MIPMAPPED_HEIGHT, 32_768),
    (
        Attribute::COMPUTE_CAPABILITY_MAJOR,
        (CAPABILITY / 10).cast_signed(),
    ),
    (
        Attribute::COMPUTE_CAPABILITY_MINOR,
        (CAPABILITY % 10).cast_signed(),
    ),
    (Attribute::MAXIMUM_TEXTURE1D_MIPMAPPED_WIDTH, 32_768),
    (Attribute::STREAM_PRIORITIES_SUPPORTED, 1),
    (Attribute::GLOBAL_L1_CACHE_SUPPORTED, 1),
    (Attribute::LOCAL_L1_CACHE_SUPPORTED, 1),
    (
        Attribute::MAX_SHARED_MEMORY_PER_MULTIPROCESSOR,
        SHARED_LEN_PROCESSOR.cast_signed(),
    ),
    (
        Attribute::MAX_REGISTERS_PER_MULTIPROCESSOR,
        REGISTERS.cast_signed(),
    ),
    (Attribute::SINGLE_TO_DOUBLE_PRECISION_PERF_RATIO, 2),
    (Attribute::MANAGED_MEMORY, 1),
    (Attribute::CONCURRENT_MANAGED_ACCESS, 1),
    (Attribute::CAN_USE_HOST_POINTER_FOR_REGISTERED_MEM, 1),
    (Attribute::HOST_REGISTER_SUPPORTED, 1),
    (Attribute::COOPERATIVE_LAUNCH, 1),
    (
        Attribute::MAX_SHARED_MEMORY_PER_BLOCK_OPTIN,
        SHARED_LEN_OPT_IN.cast_signed(),
    ),
    (
        Attribute::MAX_BLOCKS_PER_MULTIPROCESSOR,
        BLOCKS_PROCESSOR.cast_signed(),
    ),
    (
        Attribute::RESERVED_SHARED_MEMORY_PER_BLOCK,
        SHARED_LEN_RESERVED.cast_signed(),
    ),
    (Attribute::CAN_USE_64_BIT_STREAM_MEM_OPS, 1),
    (Attribute::CAN_USE_STREAM_WAIT_VALUE_NOR, 1),
    (Attribute::VIRTUAL_ADDRESS_MANAGEMENT_SUPPORTED, 1),
    (Attribute::HANDLE_TYPE_POSIX_FILE_DESCRIPTOR_SUPPORTED, 1),
    (Attribute::MEMORY_POOLS_SUPPORTED, 1),
    (Attribute::MEM_SYNC_DOMAIN_COUNT, 1),
    (Attribute::LOCALITY_DOMAIN_COUNT, 1),
    (Attribute::COMPUTE_PREEMPTION_SUPPORTED, 1),
    // No NUMA node, in the convention of these two (CU_DEVICE_NUMA_CONFIG_NONE is 0).
    (Attribute::NUMA_ID, -1),
    (Attribute::HOST_NUMA_ID, -1),
];

#[cfg(test)]
#[path = "attributes/known.rs"]
mod known;

#[cfg(test)]
mod tests {
    use super::*;

    const VARIABLE: Variable = Variable {
        multiprocessors: 3,
        pci_bus: 7,
    };

    #[test]
    fn every_number_has_a_value() {
        for number in 1..=ATTRIBUTE_MAX {
            assert!(attribute(Attribute(number), VARIABLE).is_some(), "{number}");
        }
        assert_eq!(attribute(Attribute(0), VARIABLE), None);
        assert_eq!(attribute(Attribute(ATTRIBUTE_MAX + 1), VARIABLE), None);
        assert_eq!(
            attribute(Attribute::MULTIPROCESSOR_COUNT, VARIABLE),
            Some(3)
        );
        assert_eq!(attribute(Attribute::PCI_BUS_ID, VARIABLE), Some(7));
    }

    #[test]
    fn launch_limits_are_the_attributes() {
        let value = |name| attribute(name, VARIABLE).unwrap().unsigned_abs();
        let grid = [
            Attribute::MAX_GRID_DIM_X,
            Attribute::MAX_GRID_DIM_Y,
            Attribute::MAX_GRID_DIM_Z,
        ];
        let block = [
            Attribute::MAX_BLOCK_DIM_X,
            Attribute::MAX_BLOCK_DIM_Y,
            Attribute::MAX_BLOCK_DIM_Z,
        ];
        assert_eq!(grid.map(value), LIMITS.grid_max);
        assert_eq!(block.map(value), LIMITS.block_max);
        assert_eq!(value(Attribute::MAX_THREADS_PER_BLOCK), LIMITS.threads_max);
    }

    #[test]
    fn what_cannot_be_done_is_zero() {
        for name in [Attribute::PAGEABLE_MEMORY_ACCESS, Attribute::CLUSTER_LAUNCH] {
            assert_eq!(attribute(name, VARIABLE), Some(0));
        }
    }
}
