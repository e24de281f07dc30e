//! The table beside what NVIDIA's A100 (SXM4, 40 GB, driver of CUDA 12) says of itself, with the
//! reason for everything that differs. Limits of the architecture are those of the CUDA C++
//! Programming Guide, "Compute Capabilities"; the rest is written down from memory of such machines
//! and was not read from one, the persisting part of the L2 cache least of all.

use super::*;

/// Attribute, A100's value.
const EQUAL: &[(Attribute, i32)] = &[
    (Attribute::MAX_THREADS_PER_BLOCK, 1024),
    (Attribute::MAX_BLOCK_DIM_X, 1024),
    (Attribute::MAX_BLOCK_DIM_Y, 1024),
    (Attribute::MAX_BLOCK_DIM_Z, 64),
    (Attribute::MAX_GRID_DIM_X, 2_147_483_647),
    (Attribute::MAX_GRID_DIM_Y, 65_535),
    (Attribute::MAX_GRID_DIM_Z, 65_535),
    (Attribute::MAX_SHARED_MEMORY_PER_BLOCK, 49_152),
    (Attribute::TOTAL_CONSTANT_MEMORY, 65_536),
    (Attribute::WARP_SIZE, 32),
    (Attribute::MAX_PITCH, 2_147_483_647),
    (Attribute::MAX_REGISTERS_PER_BLOCK, 65_536),
    (Attribute::CLOCK_RATE, 1_410_000),
    (Attribute::TEXTURE_ALIGNMENT, 512),
    (Attribute::GPU_OVERLAP, 1),
    (Attribute::KERNEL_EXEC_TIMEOUT, 0),
    (Attribute::INTEGRATED, 0),
    (Attribute::CAN_MAP_HOST_MEMORY, 1),
    (Attribute::COMPUTE_MODE, 0),
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
    (Attribute::ECC_ENABLED, 1),
    (Attribute::PCI_DEVICE_ID, 0),
    (Attribute::TCC_DRIVER, 0),
    (Attribute::MEMORY_CLOCK_RATE, 1_215_000),
    (Attribute::GLOBAL_MEMORY_BUS_WIDTH, 5120),
    (Attribute::L2_CACHE_SIZE, 41_943_040),
    (Attribute::MAX_THREADS_PER_MULTIPROCESSOR, 2048),
    (Attribute::ASYNC_ENGINE_COUNT, 3),
    (Attribute::UNIFIED_ADDRESSING, 1),
    (Attribute::MAXIMUM_TEXTURE1D_LAYERED_WIDTH, 32_768),
    (Attribute::MAXIMUM_TEXTURE1D_LAYERED_LAYERS, 2048),
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
    (Attribute::MAXIMUM_SURFACE2D_LAYERED_WIDTH, 32_768),
    (Attribute::MAXIMUM_SURFACECUBEMAP_LAYERED_LAYERS, 2046),
    (Attribute::MAXIMUM_TEXTURE1D_LINEAR_WIDTH, 268_435_456),
    (Attribute::MAXIMUM_TEXTURE2D_LINEAR_WIDTH, 131_072),
    (Attribute::MAXIMUM_TEXTURE2D_LINEAR_HEIGHT, 65_000),
    (Attribute::MAXIMUM_TEXTURE2D_LINEAR_PITCH, 2_097_120),
    (Attribute::MAXIMUM_TEXTURE2D_MIPMAPPED_WIDTH, 32_768),
    (Attribute::COMPUTE_CAPABILITY_MAJOR, 8),
    (Attribute::COMPUTE_CAPABILITY_MINOR, 0),
    (Attribute::STREAM_PRIORITIES_SUPPORTED, 1),
    (Attribute::GLOBAL_L1_CACHE_SUPPORTED, 1),
    (Attribute::LOCAL_L1_CACHE_SUPPORTED, 1),
    (Attribute::MAX_SHARED_MEMORY_PER_MULTIPROCESSOR, 167_936),
    (Attribute::MAX_REGISTERS_PER_MULTIPROCESSOR, 65_536),
    (Attribute::MANAGED_MEMORY, 1),
    (Attribute::MULTI_GPU_BOARD, 0),
    (Attribute::SINGLE_TO_DOUBLE_PRECISION_PERF_RATIO, 2),
    (Attribute::PAGEABLE_MEMORY_ACCESS, 0),
    (Attribute::CONCURRENT_MANAGED_ACCESS, 1),
    (Attribute::COMPUTE_PREEMPTION_SUPPORTED, 1),
    (Attribute::CAN_USE_HOST_POINTER_FOR_REGISTERED_MEM, 1),
    (Attribute::COOPERATIVE_LAUNCH, 1),
    (Attribute::MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, 166_912),
    (Attribute::HOST_REGISTER_SUPPORTED, 1),
    (Attribute::DIRECT_MANAGED_MEM_ACCESS_FROM_HOST, 0),
    (Attribute::VIRTUAL_ADDRESS_MANAGEMENT_SUPPORTED, 1),
    (Attribute::HANDLE_TYPE_POSIX_FILE_DESCRIPTOR_SUPPORTED, 1),
    (Attribute::MAX_BLOCKS_PER_MULTIPROCESSOR, 32),
    (Attribute::RESERVED_SHARED_MEMORY_PER_BLOCK, 1024),
    (Attribute::MEMORY_POOLS_SUPPORTED, 1),
    (Attribute::CAN_TEX2D_GATHER, 1),
    (Attribute::MAXIMUM_TEXTURE2D_GATHER_WIDTH, 32_768),
    (Attribute::MAXIMUM_TEXTURE2D_GATHER_HEIGHT, 32_768),
    (Attribute::MAXIMUM_TEXTURE3D_WIDTH_ALTERNATE, 8192),
    (Attribute::MAXIMUM_TEXTURE3D_HEIGHT_ALTERNATE, 8192),
    (Attribute::MAXIMUM_TEXTURE3D_DEPTH_ALTERNATE, 32_768),
    (Attribute::MAXIMUM_SURFACE1D_LAYERED_LAYERS, 2048),
    (Attribute::MAXIMUM_SURFACE2D_LAYERED_HEIGHT, 32_768),
    (Attribute::MAXIMUM_SURFACE2D_LAYERED_LAYERS, 2048),
    (Attribute::MAXIMUM_SURFACECUBEMAP_WIDTH, 32_768),
    (Attribute::MAXIMUM_SURFACECUBEMAP_LAYERED_WIDTH, 32_768),
    (Attribute::MAXIMUM_TEXTURE2D_MIPMAPPED_HEIGHT, 32_768),
    (Attribute::MAXIMUM_TEXTURE1D_MIPMAPPED_WIDTH, 32_768),
    (Attribute::CLUSTER_LAUNCH, 0),
    (Attribute::TENSOR_MAP_ACCESS_SUPPORTED, 0),
    (Attribute::MULTICAST_SUPPORTED, 0),
];

/// Attribute, A100's value, ours, why.
const OTHER: &[(Attribute, i32, i32, &str)] = &[
    (
        Attribute::COOPERATIVE_MULTI_DEVICE_LAUNCH,
        1,
        0,
        "CUDA 13 has taken the call away",
    ),
    (
        Attribute::MAX_PERSISTING_L2_CACHE_SIZE,
        31_457_280,
        0,
        "a CPU's cache cannot be set aside",
    ),
    (
        Attribute::MAX_ACCESS_POLICY_WINDOW_SIZE,
        134_213_632,
        0,
        "as above",
    ),
    (
        Attribute::GENERIC_COMPRESSION_SUPPORTED,
        1,
        0,
        "memory is the host's",
    ),
    (
        Attribute::GPU_DIRECT_RDMA_SUPPORTED,
        1,
        0,
        "no adapter reads the memory past the CPU",
    ),
    (
        Attribute::GPU_DIRECT_RDMA_WITH_CUDA_VMM_SUPPORTED,
        1,
        0,
        "as above",
    ),
    (
        Attribute::SPARSE_CUDA_ARRAY_SUPPORTED,
        1,
        0,
        "calls that are not there",
    ),
    (
        Attribute::DEFERRED_MAPPING_CUDA_ARRAY_SUPPORTED,
        1,
        0,
        "as above",
    ),
    (
        Attribute::READ_ONLY_HOST_REGISTER_SUPPORTED,
        1,
        0,
        "kernels could write it",
    ),
    (
        Attribute::TIMELINE_SEMAPHORE_INTEROP_SUPPORTED,
        1,
        0,
        "no graphics driver is there",
    ),
    (
        Attribute::IPC_EVENT_SUPPORTED,
        1,
        0,
        "a stream is private to its process",
    ),
    (
        Attribute::MEMPOOL_SUPPORTED_HANDLE_TYPES,
        1,
        0,
        "an arena is private to its process",
    ),
    (
        Attribute::DMA_BUF_SUPPORTED,
        1,
        0,
        "no driver of the kernel is there",
    ),
];

#[test]
fn the_device_is_one_of_its_kind() {
    let variable = Variable {
        multiprocessors: 3,
        pci_bus: 7,
    };
    for &(name, known) in EQUAL {
        assert_eq!(attribute(name, variable), Some(known), "{name:?}");
    }
    for &(name, known, own, why) in OTHER {
        assert_eq!(attribute(name, variable), Some(own), "{name:?}: {why}");
        assert_ne!(known, own, "{name:?} belongs to the others");
        assert!(!why.is_empty());
    }
    // What is not 0 and in neither list is a claim that nothing was compared with.
    let listed = |wanted: Attribute| {
        EQUAL.iter().any(|(name, _)| *name == wanted)
            || OTHER.iter().any(|(name, ..)| *name == wanted)
    };
    let unlisted = VALUES.iter().filter(|(name, _)| !listed(*name));
    let unlisted: Vec<u32> = unlisted.map(|(name, _)| name.0).collect();
    assert_eq!(
        unlisted,
        UNCOMPARED.map(|name| name.0),
        "compare them, or say so here"
    );
}

/// What no published output was found for, and what came with newer drivers.
const UNCOMPARED: [Attribute; 6] = [
    Attribute::CAN_USE_64_BIT_STREAM_MEM_OPS,
    Attribute::CAN_USE_STREAM_WAIT_VALUE_NOR,
    Attribute::MEM_SYNC_DOMAIN_COUNT,
    Attribute::LOCALITY_DOMAIN_COUNT,
    Attribute::NUMA_ID,
    Attribute::HOST_NUMA_ID,
];
