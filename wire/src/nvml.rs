//! The table of libnvidia-ml: the monitoring calls that softgpu has, once.
//!
//! Readers are macros that are given the whole list, as with [`crate::driver`]: exports now, the
//! client's forwarding later. One entry reads
//!
//! ```text
//! /// What it does.
//! CLASS fn NAME(ARG: TYPE, ...);
//! ```
//!
//! - `CLASS`: `soft` (softgpu has it) or `absent` (answered with NVML_ERROR_NOT_SUPPORTED, since
//!   the devices have no such thing).
//! - `TYPE`: the C ABI of `nvml.h`. Enumerations are `u32`.
//!
//! A symbol that is not listed is not exported: callers that look it up see
//! NVML_ERROR_FUNCTION_NOT_FOUND. Source: NVML API Reference.

/// Hands every entry of the table to the macro `$reader`.
#[macro_export]
macro_rules! nvml_calls { ($reader:ident) => { $reader! {
    /// Begins the use of the library.
    soft fn nvmlInit_v2();
    /// Begins the use of the library.
    soft fn nvmlInit();
    /// Begins the use of the library; the flags ask for less.
    soft fn nvmlInitWithFlags(flags: u32);
    /// Ends what one beginning began.
    soft fn nvmlShutdown();
    /// Release of the driver.
    soft fn nvmlSystemGetDriverVersion(version: OutStr, length: u32);
    /// Version of this library.
    soft fn nvmlSystemGetNVMLVersion(version: OutStr, length: u32);
    /// CUDA version of the driver.
    soft fn nvmlSystemGetCudaDriverVersion(cuda_driver_version: Out<i32>);
    /// CUDA version of the driver.
    soft fn nvmlSystemGetCudaDriverVersion_v2(cuda_driver_version: Out<i32>);
    /// Program of a process.
    soft fn nvmlSystemGetProcessName(pid: u32, name: OutStr, length: u32);
    /// Number of devices.
    soft fn nvmlDeviceGetCount_v2(device_count: Out<u32>);
    /// Number of devices.
    soft fn nvmlDeviceGetCount(device_count: Out<u32>);
    /// Device by its number, which CUDA_VISIBLE_DEVICES does not change.
    soft fn nvmlDeviceGetHandleByIndex_v2(index: u32, device: Out<NvmlDevice>);
    /// Device by its number.
    soft fn nvmlDeviceGetHandleByIndex(index: u32, device: Out<NvmlDevice>);
    /// Device by its serial number.
    soft fn nvmlDeviceGetHandleBySerial(serial: InStr, device: Out<NvmlDevice>);
    /// Device by its UUID as text.
    soft fn nvmlDeviceGetHandleByUUID(uuid: InStr, device: Out<NvmlDevice>);
    /// Device by its UUID as text or bytes.
    soft fn nvmlDeviceGetHandleByUUIDV(uuid: *const NvmlUuid, device: Out<NvmlDevice>);
    /// Device by its PCI address.
    soft fn nvmlDeviceGetHandleByPciBusId_v2(pci_bus_id: InStr, device: Out<NvmlDevice>);
    /// Device by its PCI address.
    soft fn nvmlDeviceGetHandleByPciBusId(pci_bus_id: InStr, device: Out<NvmlDevice>);
    /// Name of a device.
    soft fn nvmlDeviceGetName(device: NvmlDevice, name: OutStr, length: u32);
    /// UUID of a device, as CUDA_VISIBLE_DEVICES has it.
    soft fn nvmlDeviceGetUUID(device: NvmlDevice, uuid: OutStr, length: u32);
    /// Number of a device.
    soft fn nvmlDeviceGetIndex(device: NvmlDevice, index: Out<u32>);
    /// Number of a device's node.
    soft fn nvmlDeviceGetMinorNumber(device: NvmlDevice, minor_number: Out<u32>);
    /// Serial number of a device.
    soft fn nvmlDeviceGetSerial(device: NvmlDevice, serial: OutStr, length: u32);
    /// Number of a device's board.
    soft fn nvmlDeviceGetBoardId(device: NvmlDevice, board_id: Out<u32>);
    /// Whether a board has several devices.
    soft fn nvmlDeviceGetMultiGpuBoard(device: NvmlDevice, multi_gpu_bool: Out<u32>);
    /// Brand of a device: unknown.
    soft fn nvmlDeviceGetBrand(device: NvmlDevice, brand: Out<u32>);
    /// Architecture whose capability a device has.
    soft fn nvmlDeviceGetArchitecture(device: NvmlDevice, architecture: Out<u32>);
    /// Compute capability of a device.
    soft fn nvmlDeviceGetCudaComputeCapability(
        device: NvmlDevice, major: Out<i32>, minor: Out<i32>,
    );
    /// PCI address of a device.
    soft fn nvmlDeviceGetPciInfo_v3(device: NvmlDevice, pci: Out<NvmlPciInfo>);
    /// PCI address of a device.
    soft fn nvmlDeviceGetPciInfo_v2(device: NvmlDevice, pci: Out<NvmlPciInfo>);
    /// PCI address of a device.
    soft fn nvmlDeviceGetPciInfo(device: NvmlDevice, pci: Out<NvmlPciInfo>);
    /// Memory of a device, and what all processes use of it, in bytes.
    soft fn nvmlDeviceGetMemoryInfo(device: NvmlDevice, memory: Out<NvmlMemory>);
    /// Memory of a device, and what all processes use of it, in bytes.
    soft fn nvmlDeviceGetMemoryInfo_v2(device: NvmlDevice, memory: InOut<NvmlMemoryV2>);
    /// Memory of a device that the host can map: all of it.
    soft fn nvmlDeviceGetBAR1MemoryInfo(device: NvmlDevice, bar1_memory: Out<NvmlMemory>);
    /// Percentage of time in which kernels ran.
    soft fn nvmlDeviceGetUtilizationRates(device: NvmlDevice, utilization: Out<[u32; 2]>);
    /// Percentage of time in which the encoder ran: there is none.
    soft fn nvmlDeviceGetEncoderUtilization(
        device: NvmlDevice, utilization: Out<u32>, sampling_period_us: Out<u32>,
    );
    /// Percentage of time in which the decoder ran: there is none.
    soft fn nvmlDeviceGetDecoderUtilization(
        device: NvmlDevice, utilization: Out<u32>, sampling_period_us: Out<u32>,
    );
    /// Processes that compute on a device.
    soft fn nvmlDeviceGetComputeRunningProcesses_v3(
        device: NvmlDevice, info_count: InOut<u32>, infos: *mut NvmlProcessInfo,
    );
    /// Processes that compute on a device.
    soft fn nvmlDeviceGetComputeRunningProcesses_v2(
        device: NvmlDevice, info_count: InOut<u32>, infos: *mut NvmlProcessInfo,
    );
    /// Processes that compute on a device, as the first version tells them.
    soft fn nvmlDeviceGetComputeRunningProcesses(
        device: NvmlDevice, info_count: InOut<u32>, infos: *mut NvmlProcessInfoV1,
    );
    /// Processes that draw on a device: none does.
    soft fn nvmlDeviceGetGraphicsRunningProcesses_v3(
        device: NvmlDevice, info_count: InOut<u32>, infos: *mut NvmlProcessInfo,
    );
    /// Processes that draw on a device: none does.
    soft fn nvmlDeviceGetGraphicsRunningProcesses_v2(
        device: NvmlDevice, info_count: InOut<u32>, infos: *mut NvmlProcessInfo,
    );
    /// Processes that draw on a device: none does.
    soft fn nvmlDeviceGetGraphicsRunningProcesses(
        device: NvmlDevice, info_count: InOut<u32>, infos: *mut NvmlProcessInfoV1,
    );
    /// Temperature of the host's processor in degrees Celsius, where it says.
    soft fn nvmlDeviceGetTemperature(device: NvmlDevice, sensor_type: u32, temp: Out<u32>);
    /// Clock in MHz: that of the attributes.
    soft fn nvmlDeviceGetClockInfo(device: NvmlDevice, type_: u32, clock: Out<u32>);
    /// Highest clock in MHz: that of the attributes.
    soft fn nvmlDeviceGetMaxClockInfo(device: NvmlDevice, type_: u32, clock: Out<u32>);
    /// State of performance: the highest, always.
    soft fn nvmlDeviceGetPerformanceState(device: NvmlDevice, p_state: Out<u32>);
    /// Reasons known for a lower clock: none.
    soft fn nvmlDeviceGetSupportedClocksThrottleReasons(device: NvmlDevice, reasons: Out<u64>);
    /// Reasons known for a lower clock: none.
    soft fn nvmlDeviceGetSupportedClocksEventReasons(device: NvmlDevice, reasons: Out<u64>);
    /// Reasons for a lower clock now: none.
    soft fn nvmlDeviceGetCurrentClocksThrottleReasons(device: NvmlDevice, reasons: Out<u64>);
    /// Reasons for a lower clock now: none.
    soft fn nvmlDeviceGetCurrentClocksEventReasons(device: NvmlDevice, reasons: Out<u64>);
    /// Whether errors of memory are counted.
    soft fn nvmlDeviceGetEccMode(device: NvmlDevice, current: Out<u32>, pending: Out<u32>);
    /// Errors of memory, all together.
    soft fn nvmlDeviceGetTotalEccErrors(
        device: NvmlDevice, error_type: u32, counter_type: u32, ecc_counts: Out<u64>,
    );
    /// Errors of one kind of memory.
    soft fn nvmlDeviceGetMemoryErrorCounter(
        device: NvmlDevice, error_type: u32, counter_type: u32, location_type: u32,
        count: Out<u64>,
    );
    /// Pages that are used no more: none.
    soft fn nvmlDeviceGetRetiredPages(
        device: NvmlDevice, cause: u32, page_count: InOut<u32>, addresses: *mut u64,
    );
    /// Whether pages wait to be retired: none does.
    soft fn nvmlDeviceGetRetiredPagesPendingStatus(device: NvmlDevice, is_pending: Out<u32>);
    /// Who may compute on a device: every process.
    soft fn nvmlDeviceGetComputeMode(device: NvmlDevice, mode: Out<u32>);
    /// Whether a device stays ready while nobody uses it: there is nothing to get ready.
    soft fn nvmlDeviceGetPersistenceMode(device: NvmlDevice, mode: Out<u32>);
    /// Whether a screen is connected: never.
    soft fn nvmlDeviceGetDisplayMode(device: NvmlDevice, display: Out<u32>);
    /// Whether a screen is in use: never.
    soft fn nvmlDeviceGetDisplayActive(device: NvmlDevice, is_active: Out<u32>);
    /// Arithmetic units of a device, as its capability counts them.
    soft fn nvmlDeviceGetNumGpuCores(device: NvmlDevice, num_cores: Out<u32>);
    /// Multiprocessors and memory of a device.
    soft fn nvmlDeviceGetAttributes_v2(device: NvmlDevice, attributes: Out<NvmlAttributes>);
    /// Multiprocessors and memory of a device.
    soft fn nvmlDeviceGetAttributes(device: NvmlDevice, attributes: Out<NvmlAttributes>);
    /// How near two devices are: in one host.
    soft fn nvmlDeviceGetTopologyCommonAncestor(
        device1: NvmlDevice, device2: NvmlDevice, path_info: Out<u32>,
    );
    /// Whether one device reaches another's memory: no, as the driver says.
    soft fn nvmlDeviceGetP2PStatus(
        device1: NvmlDevice, device2: NvmlDevice, p2p_index: u32, p2p_status: Out<u32>,
    );
    /// Whether two devices are on one board: each has its own.
    soft fn nvmlDeviceOnSameBoard(
        device1: NvmlDevice, device2: NvmlDevice, on_same_board: Out<i32>,
    );
    /// Processors near a device: all that this process may use.
    soft fn nvmlDeviceGetCpuAffinity(
        device: NvmlDevice, cpu_set_size: u32, cpu_set: *mut u64,
    );
    /// Whether a device is a part of one.
    soft fn nvmlDeviceIsMigDeviceHandle(device: NvmlDevice, is_mig_device: Out<u32>);
    /// Parts that a device can be divided into: none.
    soft fn nvmlDeviceGetMaxMigDeviceCount(device: NvmlDevice, count: Out<u32>);
    /// Whether a device is that of a virtual machine.
    soft fn nvmlDeviceGetVirtualizationMode(device: NvmlDevice, mode: Out<u32>);
    /// Number of fans: none.
    soft fn nvmlDeviceGetNumFans(device: NvmlDevice, num_fans: Out<u32>);
    /// Makes a set of events.
    soft fn nvmlEventSetCreate(set: Out<NvmlEventSet>);
    /// Has events of a device told to a set.
    soft fn nvmlDeviceRegisterEvents(device: NvmlDevice, event_types: u64, set: NvmlEventSet);
    /// Events that a device has.
    soft fn nvmlDeviceGetSupportedEventTypes(device: NvmlDevice, event_types: Out<u64>);
    /// Waits for an event of a set.
    soft fn nvmlEventSetWait_v2(
        set: NvmlEventSet, data: Out<NvmlEventData>, timeoutms: u32,
    );
    /// Waits for an event of a set.
    soft fn nvmlEventSetWait(set: NvmlEventSet, data: Out<NvmlEventData>, timeoutms: u32);
    /// Ends a set of events.
    soft fn nvmlEventSetFree(set: NvmlEventSet);
    absent fn nvmlDeviceGetPowerUsage(device: NvmlDevice, power: Out<u32>);
    absent fn nvmlDeviceGetTotalEnergyConsumption(device: NvmlDevice, energy: Out<u64>);
    absent fn nvmlDeviceGetEnforcedPowerLimit(device: NvmlDevice, limit: Out<u32>);
    absent fn nvmlDeviceGetPowerManagementMode(device: NvmlDevice, mode: Out<u32>);
    absent fn nvmlDeviceGetPowerManagementLimit(device: NvmlDevice, limit: Out<u32>);
    absent fn nvmlDeviceGetPowerManagementDefaultLimit(device: NvmlDevice, limit: Out<u32>);
    absent fn nvmlDeviceGetPowerManagementLimitConstraints(
        device: NvmlDevice, min_limit: Out<u32>, max_limit: Out<u32>,
    );
    absent fn nvmlDeviceGetTemperatureThreshold(
        device: NvmlDevice, threshold_type: u32, temp: Out<u32>,
    );
    absent fn nvmlDeviceGetFanSpeed(device: NvmlDevice, speed: Out<u32>);
    absent fn nvmlDeviceGetFanSpeed_v2(device: NvmlDevice, fan: u32, speed: Out<u32>);
    absent fn nvmlDeviceGetMigMode(
        device: NvmlDevice, current_mode: Out<u32>, pending_mode: Out<u32>,
    );
    absent fn nvmlDeviceGetMigDeviceHandleByIndex(
        device: NvmlDevice, index: u32, mig_device: Out<NvmlDevice>,
    );
    absent fn nvmlDeviceGetNvLinkState(device: NvmlDevice, link: u32, is_active: Out<u32>);
    absent fn nvmlDeviceGetNvLinkVersion(device: NvmlDevice, link: u32, version: Out<u32>);
    absent fn nvmlDeviceGetMaxPcieLinkGeneration(device: NvmlDevice, max_link_gen: Out<u32>);
    absent fn nvmlDeviceGetMaxPcieLinkWidth(device: NvmlDevice, max_link_width: Out<u32>);
    absent fn nvmlDeviceGetCurrPcieLinkGeneration(device: NvmlDevice, curr_gen: Out<u32>);
    absent fn nvmlDeviceGetCurrPcieLinkWidth(device: NvmlDevice, curr_link_width: Out<u32>);
    absent fn nvmlDeviceGetPcieThroughput(device: NvmlDevice, counter: u32, value: Out<u32>);
    absent fn nvmlDeviceGetVbiosVersion(device: NvmlDevice, version: OutStr, length: u32);
} } }

/// A device, by a number of the library that handed it out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct NvmlDevice(pub usize);

/// A set of events, likewise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct NvmlEventSet(pub usize);

/// A failure: `nvmlReturn_t` other than success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NvmlError(pub u32);

impl NvmlError {
    /// Not begun.
    pub const UNINITIALIZED: Self = Self(1);
    /// An argument is wrong, or a pointer null.
    pub const INVALID_ARGUMENT: Self = Self(2);
    /// The devices have no such thing.
    pub const NOT_SUPPORTED: Self = Self(3);
    /// Nothing of that name.
    pub const NOT_FOUND: Self = Self(6);
    /// More room is needed.
    pub const INSUFFICIENT_SIZE: Self = Self(7);
    /// The device has fallen off the bus.
    pub const GPU_IS_LOST: Self = Self(15);
    /// Nothing happened in the time given.
    pub const TIMEOUT: Self = Self(10);
    /// A struct of another version.
    pub const ARGUMENT_VERSION_MISMATCH: Self = Self(25);
    /// A defect.
    pub const UNKNOWN: Self = Self(999);
}

/// Structs of `nvml.h`, with their sizes asserted.
macro_rules! structs { ($(
    $(#[doc = $about:literal])* $name:ident $size:literal { $($field:ident: $type:ty,)* }
)*) => { $(
    $(#[doc = $about])*
    #[derive(Clone, Copy, Debug, Default)]
    #[repr(C)]
    #[allow(missing_docs, reason = "the fields of nvml.h")]
    pub struct $name { $(pub $field: $type,)* }

    const _: () = assert!(size_of::<$name>() == $size);
)* } }

structs! {
    /// `nvmlPciInfo_t`: addresses as text, then as numbers.
    NvmlPciInfo 68 {
        bus_id_legacy: [u8; 16], domain: u32, bus: u32, device: u32, pci_device_id: u32,
        pci_subsystem_id: u32, bus_id: [u8; 32],
    }
    /// `nvmlMemory_t` and `nvmlBAR1Memory_t`, in bytes.
    NvmlMemory 24 { total: u64, free: u64, used: u64, }
    /// `nvmlMemory_v2_t`, in bytes.
    NvmlMemoryV2 40 {
        version: u32, padding: u32, total: u64, reserved: u64, free: u64, used: u64,
    }
    /// `nvmlProcessInfo_v1_t`, in bytes.
    NvmlProcessInfoV1 16 { pid: u32, padding: u32, used_gpu_memory: u64, }
    /// `nvmlProcessInfo_t` and `nvmlProcessInfo_v2_t`, in bytes.
    NvmlProcessInfo 24 {
        pid: u32, padding: u32, used_gpu_memory: u64, gpu_instance_id: u32,
        compute_instance_id: u32,
    }
    /// `nvmlDeviceAttributes_t`.
    NvmlAttributes 40 {
        multiprocessors: u32, shared_copy_engines: u32, shared_decoders: u32,
        shared_encoders: u32, shared_jpeg: u32, shared_ofa: u32, gpu_instance_slices: u32,
        compute_instance_slices: u32, memory_mib: u64,
    }
    /// `nvmlEventData_t`.
    NvmlEventData 32 {
        device: usize, event_type: u64, event_data: u64, gpu_instance_id: u32,
        compute_instance_id: u32,
    }
    /// `nvmlUUID_t`: text or 16 bytes.
    NvmlUuid 52 { version: u32, type_: u32, value: [[u8; 4]; 11], }
}
