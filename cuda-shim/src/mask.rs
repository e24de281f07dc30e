//! The mask table: attributes of a device that do not hold across a link, and what is said instead.
//!
//! A program that is told of a feature uses it. So what remoting cannot keep, or what the table of
//! calls does not have yet, is masked here, each with its reason; an attribute that this table's
//! version of CUDA does not know is refused, as an older driver refuses it.

use flexdirect_wire::abi::CuDeviceAttribute as Attribute;
use flexdirect_wire::abi::attributes::ATTRIBUTES;

/// The value to tell: the device's own or the masked one; none for an attribute that is not known.
/// A known attribute that an older server's driver does not have counts as 0.
pub(crate) fn value(attribute: Attribute, own: Option<i32>) -> Option<i32> {
    if let Some(&(_, masked, _)) = MASKS.iter().find(|mask| mask.0 == attribute) {
        return Some(masked);
    }
    let is_known = ATTRIBUTES.iter().any(|&(known, _)| known == attribute);
    is_known.then(|| own.unwrap_or(0))
}

const PAGES: &str = "the GPU host cannot read pageable memory of the client";
const MANAGED: &str = "managed memory changes hands at calls";
const HOST_POINTER: &str = "memory of the client has its twin at another address";
const MEMORY_OPS: &str = "stream memory operations are absent";
const DIRECT: &str = "a device of the client cannot reach the GPU's memory";
const SHARED_HANDLE: &str = "an operating system handle of one host means nothing on another";
const VIRTUAL: &str = "virtual memory of the host, and compressed memory, are absent";
const POOLS: &str = "memory pools of the host are absent";
const ABSENT: &str = "the calls that it is about are absent";
const NODES: &str = "NUMA nodes are those of the GPU host";

/// Attribute, value told, reason.
const MASKS: &[(Attribute, i32, &str)] = &[
    (Attribute::HOST_NATIVE_ATOMIC_SUPPORTED, 0, PAGES),
    (Attribute::PAGEABLE_MEMORY_ACCESS, 0, PAGES),
    (Attribute::CONCURRENT_MANAGED_ACCESS, 0, MANAGED),
    (
        Attribute::CAN_USE_HOST_POINTER_FOR_REGISTERED_MEM,
        0,
        HOST_POINTER,
    ),
    (Attribute::CAN_USE_STREAM_MEM_OPS_V1, 0, MEMORY_OPS),
    (Attribute::CAN_USE_64_BIT_STREAM_MEM_OPS_V1, 0, MEMORY_OPS),
    (Attribute::CAN_USE_STREAM_WAIT_VALUE_NOR_V1, 0, MEMORY_OPS),
    (Attribute::COOPERATIVE_MULTI_DEVICE_LAUNCH, 0, ABSENT),
    (Attribute::CAN_FLUSH_REMOTE_WRITES, 0, DIRECT),
    (
        Attribute::PAGEABLE_MEMORY_ACCESS_USES_HOST_PAGE_TABLES,
        0,
        PAGES,
    ),
    (Attribute::DIRECT_MANAGED_MEM_ACCESS_FROM_HOST, 0, MANAGED),
    (
        Attribute::HANDLE_TYPE_POSIX_FILE_DESCRIPTOR_SUPPORTED,
        0,
        SHARED_HANDLE,
    ),
    (
        Attribute::HANDLE_TYPE_WIN32_HANDLE_SUPPORTED,
        0,
        SHARED_HANDLE,
    ),
    (
        Attribute::HANDLE_TYPE_WIN32_KMT_HANDLE_SUPPORTED,
        0,
        SHARED_HANDLE,
    ),
    (Attribute::GENERIC_COMPRESSION_SUPPORTED, 0, VIRTUAL),
    (
        Attribute::GPU_DIRECT_RDMA_WITH_CUDA_VMM_SUPPORTED,
        0,
        DIRECT,
    ),
    (Attribute::SPARSE_CUDA_ARRAY_SUPPORTED, 0, ABSENT),
    (
        Attribute::READ_ONLY_HOST_REGISTER_SUPPORTED,
        0,
        HOST_POINTER,
    ),
    (
        Attribute::TIMELINE_SEMAPHORE_INTEROP_SUPPORTED,
        0,
        SHARED_HANDLE,
    ),
    (Attribute::GPU_DIRECT_RDMA_SUPPORTED, 0, DIRECT),
    (Attribute::GPU_DIRECT_RDMA_FLUSH_WRITES_OPTIONS, 0, DIRECT),
    (Attribute::GPU_DIRECT_RDMA_WRITES_ORDERING, 0, DIRECT),
    (Attribute::MEMPOOL_SUPPORTED_HANDLE_TYPES, 0, SHARED_HANDLE),
    (Attribute::DEFERRED_MAPPING_CUDA_ARRAY_SUPPORTED, 0, ABSENT),
    (Attribute::CAN_USE_64_BIT_STREAM_MEM_OPS, 0, MEMORY_OPS),
    (Attribute::CAN_USE_STREAM_WAIT_VALUE_NOR, 0, MEMORY_OPS),
    (Attribute::DMA_BUF_SUPPORTED, 0, SHARED_HANDLE),
    (Attribute::IPC_EVENT_SUPPORTED, 0, ABSENT),
    (Attribute::TENSOR_MAP_ACCESS_SUPPORTED, 0, ABSENT),
    (Attribute::HANDLE_TYPE_FABRIC_SUPPORTED, 0, SHARED_HANDLE),
    (Attribute::UNIFIED_FUNCTION_POINTERS, 0, ABSENT),
    (Attribute::NUMA_CONFIG, 0, NODES),
    (Attribute::NUMA_ID, -1, NODES),
    (Attribute::MULTICAST_SUPPORTED, 0, ABSENT),
    (Attribute::HOST_NUMA_ID, -1, NODES),
    (Attribute::D3D12_CIG_SUPPORTED, 0, SHARED_HANDLE),
    (Attribute::MEM_DECOMPRESS_ALGORITHM_MASK, 0, ABSENT),
    (Attribute::MEM_DECOMPRESS_MAXIMUM_LENGTH, 0, ABSENT),
    (Attribute::VULKAN_CIG_SUPPORTED, 0, SHARED_HANDLE),
    (
        Attribute::HOST_NUMA_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED,
        0,
        VIRTUAL,
    ),
    (Attribute::HOST_NUMA_MEMORY_POOLS_SUPPORTED, 0, POOLS),
    (
        Attribute::HOST_NUMA_MULTINODE_IPC_SUPPORTED,
        0,
        SHARED_HANDLE,
    ),
    (Attribute::HOST_MEMORY_POOLS_SUPPORTED, 0, POOLS),
    (
        Attribute::HOST_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED,
        0,
        VIRTUAL,
    ),
    (Attribute::HOST_ALLOC_DMA_BUF_SUPPORTED, 0, SHARED_HANDLE),
    (
        Attribute::ONLY_PARTIAL_HOST_NATIVE_ATOMIC_SUPPORTED,
        0,
        PAGES,
    ),
    (Attribute::LOCALITY_DOMAIN_COUNT, 0, ABSENT),
    (Attribute::D3D12_CIG_STREAMS_SUPPORTED, 0, SHARED_HANDLE),
    (Attribute::DMA_BUF_MMAP_SUPPORTED, 0, SHARED_HANDLE),
    (Attribute::LOGICAL_ENDPOINT_UNICAST_SUPPORTED, 0, ABSENT),
    (Attribute::LOGICAL_ENDPOINT_MULTICAST_SUPPORTED, 0, ABSENT),
    (Attribute::LOGICAL_ENDPOINT_COUNTED_OPS_SUPPORTED, 0, ABSENT),
    (
        Attribute::LOGICAL_ENDPOINT_UNICAST_ACCESS_ON_OWNER_DEVICE_SUPPORTED,
        0,
        ABSENT,
    ),
    (Attribute::LOCALITY_DOMAIN_MULTIPROCESSOR_COUNT, 0, ABSENT),
    (
        Attribute::LOGICAL_ENDPOINT_SUPPORTED_HANDLE_TYPES,
        0,
        ABSENT,
    ),
    (Attribute::VULKAN_CIG_STREAMS_SUPPORTED, 0, SHARED_HANDLE),
    (
        Attribute::GPU_DIRECT_RDMA_WITH_LOCALIZED_MEMORY_SUPPORTED,
        0,
        DIRECT,
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_kept_is_masked() {
        assert_eq!(value(Attribute::PAGEABLE_MEMORY_ACCESS, Some(1)), Some(0));
        assert_eq!(value(Attribute::HOST_NUMA_ID, Some(3)), Some(-1));
        assert_eq!(value(Attribute::MULTIPROCESSOR_COUNT, Some(132)), Some(132));
        assert_eq!(
            value(Attribute::CLUSTER_LAUNCH, None),
            Some(0),
            "an older server"
        );
        assert_eq!(
            value(Attribute(9999), Some(1)),
            None,
            "newer than this table"
        );
        assert_eq!(value(Attribute(0), None), None);
    }

    #[test]
    fn every_mask_has_one_entry_and_a_reason() {
        for (index, mask) in MASKS.iter().enumerate() {
            assert!(!mask.2.is_empty());
            assert!(
                MASKS[index + 1..].iter().all(|other| other.0 != mask.0),
                "{mask:?}"
            );
        }
    }
}
