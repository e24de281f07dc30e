//! The table of libcuda: every driver call, once.
//!
//! Exports, `cuGetProcAddress`, dispatch, the worker's function pointers, softgpu's exports,
//! coverage and trace are *readers* of this list: macros that are given all of it and map one entry
//! to one item. A new CUDA function is added here and nowhere else; see `docs/adding-a-call.md`.
//!
//! One entry reads
//!
//! ```text
//! /// What it does.
//! OP CLASS BLOCKS fn NAME(ARG: TYPE, ...) since VERSION [twin NAME VERSION] [, [SIDE] by hand];
//! ```
//!
//! - `OP`: operation code on the wire: explicit, rising, never reused.
//! - `CLASS`: when the *caller* gets its return value: `local` (no record of its own crosses),
//!   `posted` (recorded and returned at once), `awaited` (waits for the reply), `soft` (softgpu
//!   has it, the client does not forward it yet and answers CUDA_ERROR_NOT_SUPPORTED), `absent`
//!   (answered with CUDA_ERROR_NOT_SUPPORTED).
//! - `BLOCKS`: whether the driver call on the server can wait for GPU work: `never` or `maybe`.
//!   `posted maybe` does not compile.
//! - `TYPE`: the C ABI and the direction at once: see [`crate::abi`] and [`crate::param`].
//! - `since`: the version of this prototype, which `cuGetProcAddress` selects by.
//! - `twin`: the symbol of the per-thread-default-stream variant and its version.
//! - `by hand`: the meaning needs code on both sides; `client by hand` and `server by hand` only on
//!   one, the other half is derived.

/// Hands every entry of the table to the macro `$reader`.
#[macro_export]
macro_rules! driver_calls { ($reader:ident) => { $crate::driver_calls! { $reader; } };
($reader:ident; $($argument:tt)*) => { $reader! { $($argument)*
    /// Text of an error code.
    0x0008 local never fn cuGetErrorString(
        error: CuResultCode, str: Out<*const c_char>,
    ) since 6000, by hand;
    /// Name of an error code.
    0x0010 local never fn cuGetErrorName(
        error: CuResultCode, str: Out<*const c_char>,
    ) since 6000, by hand;
    /// Connects the process to its lease.
    0x0018 local never fn cuInit(flags: u32) since 2000, by hand;
    /// The minimum of the server's driver and this table.
    0x0020 local never fn cuDriverGetVersion(driver_version: Out<i32>) since 2020, by hand;
    /// Device handle of an ordinal.
    0x0028 local never fn cuDeviceGet(device: Out<CuDevice>, ordinal: i32) since 2000, by hand;
    /// Number of devices in the lease that the environment leaves visible.
    0x0030 local never fn cuDeviceGetCount(count: Out<i32>) since 2000, by hand;
    /// Name of a device.
    0x0038 local never fn cuDeviceGetName(
        name: OutStr, len: i32, dev: CuDevice,
    ) since 2000, by hand;
    /// UUID of a device, or of its MIG instance.
    0x0040 local never fn cuDeviceGetUuid_v2(uuid: Out<CuUuid>, dev: CuDevice) since 11040, by hand;
    0x0048 absent never fn cuDeviceGetLuid(
        luid: *mut c_char, device_node_mask: *mut u32, dev: CuDevice,
    ) since 10000;
    /// Memory of a device in bytes: the share, not the whole GPU.
    0x0050 local never fn cuDeviceTotalMem_v2(bytes: Out<usize>, dev: CuDevice) since 3020, by hand;
    /// Most elements of a texture of linear memory.
    0x0058 awaited never fn cuDeviceGetTexture1DLinearMaxWidth(
        max_width_in_elements: Out<usize>, format: CuArrayFormat, num_channels: u32,
        dev: CuDevice,
    ) since 11010, by hand;
    /// One attribute, from the snapshot and through the mask table.
    0x0060 local never fn cuDeviceGetAttribute(
        pi: Out<i32>, attrib: CuDeviceAttribute, dev: CuDevice,
    ) since 2000, by hand;
    /// Atomic operations on host memory that the link does.
    0x0068 local never fn cuDeviceGetHostAtomicCapabilities(
        capabilities: *mut u32, operations: *const CuAtomicOperation, count: u32, dev: CuDevice,
    ) since 13000, by hand;
    0x0070 absent never fn cuDeviceGetNvSciSyncAttributes(
        nv_sci_sync_attr_list: *mut c_void, dev: CuDevice, flags: i32,
    ) since 10020;
    /// Makes a pool the current one of a device.
    0x0078 awaited never fn cuDeviceSetMemPool(
        dev: CuDevice, pool: CuMemoryPool,
    ) since 11020, by hand;
    /// Current memory pool of a device.
    0x0080 awaited never fn cuDeviceGetMemPool(
        pool: Out<CuMemoryPool>, dev: CuDevice,
    ) since 11020, by hand;
    /// Default memory pool of a device.
    0x0088 awaited never fn cuDeviceGetDefaultMemPool(
        pool_out: Out<CuMemoryPool>, dev: CuDevice,
    ) since 11020, by hand;
    /// Whether contexts can have some multiprocessors alone.
    0x0090 local never fn cuDeviceGetExecAffinitySupport(
        pi: Out<i32>, type_: CuExecAffinityType, dev: CuDevice,
    ) since 11040, by hand;
    0x0098 absent never fn cuFlushGPUDirectRDMAWrites(
        target: CuFlushGPUDirectRDMAWritesTarget, scope: CuFlushGPUDirectRDMAWritesScope,
    ) since 11030;
    /// Deprecated property struct, from the same snapshot.
    0x00a0 local never fn cuDeviceGetProperties(
        prop: Out<CuDevprop>, dev: CuDevice,
    ) since 2000, by hand;
    /// Deprecated way to ask for attributes 75 and 76.
    0x00a8 local never fn cuDeviceComputeCapability(
        major: Out<i32>, minor: Out<i32>, dev: CuDevice,
    ) since 2000, by hand;
    /// Retains the primary context of a device.
    0x00b0 awaited maybe fn cuDevicePrimaryCtxRetain(
        pctx: Out<CuContext>, dev: CuDevice,
    ) since 7000, by hand;
    /// Releases the primary context; the last release leaves it for the session to clean up.
    0x00b8 local never fn cuDevicePrimaryCtxRelease_v2(dev: CuDevice) since 11000, by hand;
    /// Flags of the primary context.
    0x00c0 local never fn cuDevicePrimaryCtxSetFlags_v2(
        dev: CuDevice, flags: u32,
    ) since 11000, by hand;
    /// Flags and activity of the primary context.
    0x00c8 local never fn cuDevicePrimaryCtxGetState(
        dev: CuDevice, flags: Out<u32>, active: Out<i32>,
    ) since 7000, by hand;
    /// Destroys all that the primary context holds.
    0x00d0 awaited maybe fn cuDevicePrimaryCtxReset_v2(dev: CuDevice) since 11000, by hand;
    /// Creates a context and makes it current; parameters beyond flags are refused.
    0x00d8 awaited maybe fn cuCtxCreate_v4(
        pctx: Out<CuContext>, ctx_create_params: Out<CuCtxCreateParams>, flags: u32,
        dev: CuDevice,
    ) since 12050, by hand;
    /// Destroys a context.
    0x00e0 awaited maybe fn cuCtxDestroy_v2(ctx: CuContext) since 4000, by hand;
    /// Pushes a context on the calling thread's stack.
    0x00e8 local never fn cuCtxPushCurrent_v2(ctx: CuContext) since 4000, by hand;
    /// Pops the calling thread's stack.
    0x00f0 local never fn cuCtxPopCurrent_v2(pctx: Out<CuContext>) since 4000, by hand;
    /// Replaces the top of the calling thread's stack.
    0x00f8 local never fn cuCtxSetCurrent(ctx: CuContext) since 4000, by hand;
    /// Top of the calling thread's stack.
    0x0100 local never fn cuCtxGetCurrent(pctx: Out<CuContext>) since 4000, by hand;
    /// Device of the current context.
    0x0108 local never fn cuCtxGetDevice(device: Out<CuDevice>) since 2000, by hand;
    /// Device of a context.
    0x0110 local never fn cuCtxGetDevice_v2(
        device: Out<CuDevice>, ctx: CuContext,
    ) since 13000, by hand;
    /// Flags of the current context.
    0x0118 local never fn cuCtxGetFlags(flags: Out<u32>) since 7000, by hand;
    /// Sets the flags of the current context.
    0x0120 local never fn cuCtxSetFlags(flags: u32) since 12010, by hand;
    /// Number of a context, unique in the process.
    0x0128 local never fn cuCtxGetId(ctx: CuContext, ctx_id: Out<u64>) since 12000, by hand;
    /// Waits for all work of the current context.
    0x0130 awaited maybe fn cuCtxSynchronize() since 2000, by hand;
    /// Waits for all work of a context.
    0x0138 awaited maybe fn cuCtxSynchronize_v2(ctx: CuContext) since 13000, by hand;
    /// Sets a limit of the current context.
    0x0140 awaited maybe fn cuCtxSetLimit(limit: CuLimit, value: usize) since 3010;
    /// Reads a limit of the current context.
    0x0148 awaited never fn cuCtxGetLimit(pvalue: Out<usize>, limit: CuLimit) since 3010;
    /// Preferred split of cache and shared memory.
    0x0150 awaited never fn cuCtxGetCacheConfig(pconfig: Out<CuFuncCache>) since 3020;
    /// Preferred split of cache and shared memory.
    0x0158 awaited never fn cuCtxSetCacheConfig(config: CuFuncCache) since 3020;
    /// API version of a context.
    0x0160 local never fn cuCtxGetApiVersion(ctx: CuContext, version: Out<u32>) since 3020, by hand;
    /// Priority range, from the snapshot.
    0x0168 local never fn cuCtxGetStreamPriorityRange(
        least_priority: Out<i32>, greatest_priority: Out<i32>,
    ) since 5050, by hand;
    /// Forgets lines of the cache that persist.
    0x0170 awaited never fn cuCtxResetPersistingL2Cache() since 11000;
    /// Multiprocessors of the current context.
    0x0178 local never fn cuCtxGetExecAffinity(
        exec_affinity: Out<CuExecAffinityParam>, type_: CuExecAffinityType,
    ) since 11040, by hand;
    /// Records an event after all work of a context.
    0x0180 awaited never fn cuCtxRecordEvent(ctx: CuContext, event: CuEvent) since 12050, by hand;
    /// Makes all later work of a context wait for an event.
    0x0188 awaited never fn cuCtxWaitEvent(ctx: CuContext, event: CuEvent) since 12050, by hand;
    /// Uses the current context once more.
    0x0190 local never fn cuCtxAttach(pctx: Out<CuContext>, flags: u32) since 2000, by hand;
    /// Undoes one use of a context.
    0x0198 local never fn cuCtxDetach(ctx: CuContext) since 2000, by hand;
    /// Bank width of shared memory.
    0x01a0 awaited never fn cuCtxGetSharedMemConfig(config: Out<CuSharedconfig>) since 4020;
    /// Bank width of shared memory.
    0x01a8 awaited never fn cuCtxSetSharedMemConfig(config: CuSharedconfig) since 4020;
    /// Reads the file here and loads its bytes.
    0x01b0 local never fn cuModuleLoad(module: Out<CuModule>, fname: InStr) since 2000, by hand;
    /// Loads an image into the current context.
    0x01b8 awaited maybe fn cuModuleLoadData(
        module: Out<CuModule>, image: InBytes,
    ) since 2000, by hand;
    /// Loads an image with JIT options.
    0x01c0 awaited maybe fn cuModuleLoadDataEx(
        module: Out<CuModule>, image: InBytes, num_options: u32, options: Out<CuJitOption>,
        option_values: *mut *mut c_void,
    ) since 2010, by hand;
    /// Loads a fatbin into the current context.
    0x01c8 awaited maybe fn cuModuleLoadFatBinary(
        module: Out<CuModule>, fat_cubin: InBytes,
    ) since 2000, by hand;
    /// Unloads a module.
    0x01d0 awaited maybe fn cuModuleUnload(hmod: CuModule) since 2000, by hand;
    /// Lazy or eager loading.
    0x01d8 local never fn cuModuleGetLoadingMode(
        mode: Out<CuModuleLoadingMode>,
    ) since 11070, by hand;
    /// Finds a kernel by name.
    0x01e0 awaited maybe fn cuModuleGetFunction(
        hfunc: Out<CuFunction>, hmod: CuModule, name: InStr,
    ) since 2000, by hand;
    /// Number of kernels in a module.
    0x01e8 awaited never fn cuModuleGetFunctionCount(count: Out<u32>, mod: CuModule) since 12040;
    /// The first kernels of a module.
    0x01f0 awaited maybe fn cuModuleEnumerateFunctions(
        functions: *mut CuFunction, num_functions: u32, mod: CuModule,
    ) since 12040, by hand;
    /// Finds a variable by name.
    0x01f8 awaited maybe fn cuModuleGetGlobal_v2(
        dptr: Out<CuDevicePtr>, bytes: Out<usize>, hmod: CuModule, name: InStr,
    ) since 3020, by hand;
    /// Begins a link.
    0x0200 local never fn cuLinkCreate_v2(
        num_options: u32, options: Out<CuJitOption>, option_values: *mut *mut c_void,
        state_out: Out<CuLinkState>,
    ) since 6050, by hand;
    /// Adds an input that lies in memory to a link.
    0x0208 local never fn cuLinkAddData_v2(
        state: CuLinkState, type_: CuJitInputType, data: *mut c_void, size: usize,
        name: *const c_char, num_options: u32, options: *mut CuJitOption,
        option_values: *mut *mut c_void,
    ) since 6050, by hand;
    /// Adds a file to a link.
    0x0210 local never fn cuLinkAddFile_v2(
        state: CuLinkState, type_: CuJitInputType, path: InStr, num_options: u32,
        options: *mut CuJitOption, option_values: *mut *mut c_void,
    ) since 6050, by hand;
    /// Links; the image is there until the link is destroyed.
    0x0218 awaited maybe fn cuLinkComplete(
        state: CuLinkState, cubin_out: Out<*mut c_void>, size_out: OptOut<usize>,
    ) since 5050, by hand;
    /// Ends a link and frees its image.
    0x0220 local never fn cuLinkDestroy(state: CuLinkState) since 5050, by hand;
    0x0228 absent never fn cuModuleGetTexRef(
        tex_ref: *mut CuTexref, hmod: CuModule, name: *const c_char,
    ) since 2000;
    0x0230 absent never fn cuModuleGetSurfRef(
        surf_ref: *mut CuSurfref, hmod: CuModule, name: *const c_char,
    ) since 3000;
    /// Loads an image for every context.
    0x0238 awaited maybe fn cuLibraryLoadData(
        library: Out<CuLibrary>, code: InBytes, jit_options: Out<CuJitOption>,
        jit_options_values: *mut *mut c_void, num_jit_options: u32,
        library_options: Out<CuLibraryOption>, library_option_values: *mut *mut c_void,
        num_library_options: u32,
    ) since 12000, by hand;
    /// Reads the file here and loads its bytes.
    0x0240 local never fn cuLibraryLoadFromFile(
        library: Out<CuLibrary>, file_name: InStr, jit_options: Out<CuJitOption>,
        jit_options_values: *mut *mut c_void, num_jit_options: u32,
        library_options: Out<CuLibraryOption>, library_option_values: *mut *mut c_void,
        num_library_options: u32,
    ) since 12000, by hand;
    /// Unloads a library.
    0x0248 awaited maybe fn cuLibraryUnload(library: CuLibrary) since 12000, by hand;
    /// Finds a kernel of a library by name.
    0x0250 awaited maybe fn cuLibraryGetKernel(
        kernel: Out<CuKernel>, library: CuLibrary, name: InStr,
    ) since 12000, by hand;
    /// Number of kernels in a library.
    0x0258 awaited never fn cuLibraryGetKernelCount(count: Out<u32>, lib: CuLibrary) since 12040;
    /// The first kernels of a library.
    0x0260 awaited maybe fn cuLibraryEnumerateKernels(
        kernels: *mut CuKernel, num_kernels: u32, lib: CuLibrary,
    ) since 12040, by hand;
    /// The module of a library in the current context.
    0x0268 awaited maybe fn cuLibraryGetModule(
        mod: Out<CuModule>, library: CuLibrary,
    ) since 12000, by hand;
    /// The function of a kernel in the current context.
    0x0270 awaited maybe fn cuKernelGetFunction(
        func: Out<CuFunction>, kernel: CuKernel,
    ) since 12000, by hand;
    /// Library of a kernel.
    0x0278 local never fn cuKernelGetLibrary(
        lib: Out<CuLibrary>, kernel: CuKernel,
    ) since 12050, by hand;
    /// Finds a variable of a library by name.
    0x0280 awaited maybe fn cuLibraryGetGlobal(
        dptr: Out<CuDevicePtr>, bytes: Out<usize>, library: CuLibrary, name: InStr,
    ) since 12000, by hand;
    /// Address and size of a managed variable.
    0x0288 awaited maybe fn cuLibraryGetManaged(
        dptr: Out<CuDevicePtr>, bytes: Out<usize>, library: CuLibrary, name: InStr,
    ) since 12000, by hand;
    /// A function that host and device call alike.
    0x0290 local never fn cuLibraryGetUnifiedFunction(
        fptr: Out<*mut c_void>, library: CuLibrary, symbol: InStr,
    ) since 12000, by hand;
    /// Attribute of a kernel, from the reply to its first look-up.
    0x0298 local never fn cuKernelGetAttribute(
        pi: Out<i32>, attrib: CuFunctionAttribute, kernel: CuKernel, dev: CuDevice,
    ) since 12000, by hand;
    /// Sets an attribute of a kernel.
    0x02a0 awaited never fn cuKernelSetAttribute(
        attrib: CuFunctionAttribute, val: i32, kernel: CuKernel, dev: CuDevice,
    ) since 12000, by hand;
    /// A hint: taken and not sent.
    0x02a8 local never fn cuKernelSetCacheConfig(
        kernel: CuKernel, config: CuFuncCache, dev: CuDevice,
    ) since 12000, by hand;
    /// Name of a kernel.
    0x02b0 local never fn cuKernelGetName(
        name: *mut *const c_char, hfunc: CuKernel,
    ) since 12030, by hand;
    /// Offset and size of one parameter.
    0x02b8 local never fn cuKernelGetParamInfo(
        kernel: CuKernel, param_index: usize, param_offset: Out<usize>, param_size: Out<usize>,
    ) since 12040, by hand;
    /// Number of parameters.
    0x02c0 local never fn cuKernelGetParamCount(
        kernel: CuKernel, param_count: Out<usize>,
    ) since 13020, by hand;
    /// Free and total memory of the share in bytes.
    0x02c8 awaited never fn cuMemGetInfo_v2(
        free: Out<usize>, total: Out<usize>,
    ) since 3020, server by hand;
    /// Allocates device memory.
    0x02d0 awaited maybe fn cuMemAlloc_v2(
        dptr: Out<CuDevicePtr>, bytesize: usize,
    ) since 3020, by hand;
    /// Allocates rows of device memory.
    0x02d8 awaited maybe fn cuMemAllocPitch_v2(
        dptr: Out<CuDevicePtr>, pitch: Out<usize>, width_in_bytes: usize, height: usize,
        element_size_bytes: u32,
    ) since 3020, by hand;
    /// Frees device memory. Retired and freed behind events, since the driver's own free may wait.
    0x02e0 posted never fn cuMemFree_v2(dptr: CuDevicePtr) since 3020, by hand;
    /// Allocation that an address lies in.
    0x02e8 local never fn cuMemGetAddressRange_v2(
        pbase: OptOut<CuDevicePtr>, psize: OptOut<usize>, dptr: CuDevicePtr,
    ) since 3020, by hand;
    /// Allocates pinned host memory.
    0x02f0 local never fn cuMemAllocHost_v2(
        pp: Out<*mut c_void>, bytesize: usize,
    ) since 3020, by hand;
    /// Frees pinned host memory.
    0x02f8 local never fn cuMemFreeHost(p: *mut c_void) since 2000, by hand;
    /// Allocates pinned host memory.
    0x0300 local never fn cuMemHostAlloc(
        pp: Out<*mut c_void>, bytesize: usize, flags: u32,
    ) since 2020, by hand;
    /// Device pointer of pinned host memory, which has a twin from then on.
    0x0308 local never fn cuMemHostGetDevicePointer_v2(
        pdptr: Out<CuDevicePtr>, p: *mut c_void, flags: u32,
    ) since 3020, by hand;
    /// Flags of pinned host memory.
    0x0310 local never fn cuMemHostGetFlags(flags: Out<u32>, p: *mut c_void) since 2030, by hand;
    /// Allocates memory that host and devices use.
    0x0318 awaited maybe fn cuMemAllocManaged(
        dptr: Out<CuDevicePtr>, bytesize: usize, flags: u32,
    ) since 6000, by hand;
    0x0320 absent never fn cuDeviceRegisterAsyncNotification(
        device: CuDevice, callback_func: CuAsyncCallback, user_data: *mut c_void,
        callback: *mut CuAsyncCallbackHandle,
    ) since 12040;
    0x0328 absent never fn cuDeviceUnregisterAsyncNotification(
        device: CuDevice, callback: CuAsyncCallbackHandle,
    ) since 12040;
    /// Device at a PCI address.
    0x0330 local never fn cuDeviceGetByPCIBusId(
        dev: Out<CuDevice>, pci_bus_id: InStr,
    ) since 4010, by hand;
    /// PCI address as text.
    0x0338 local never fn cuDeviceGetPCIBusId(
        pci_bus_id: OutStr, len: i32, dev: CuDevice,
    ) since 4010, by hand;
    0x0340 absent never fn cuIpcGetEventHandle(
        handle: *mut CuIpcEventHandle, event: CuEvent,
    ) since 4010;
    0x0348 absent never fn cuIpcOpenEventHandle(
        event: *mut CuEvent, handle: CuIpcEventHandle,
    ) since 4010;
    0x0350 absent never fn cuIpcGetMemHandle(
        handle: *mut CuIpcMemHandle, dptr: CuDevicePtr,
    ) since 4010;
    0x0358 absent never fn cuIpcOpenMemHandle_v2(
        pdptr: *mut CuDevicePtr, handle: CuIpcMemHandle, flags: u32,
    ) since 11000;
    0x0360 absent never fn cuIpcCloseMemHandle(dptr: CuDevicePtr) since 4010;
    /// Pins memory of the application.
    0x0368 local never fn cuMemHostRegister_v2(
        p: *mut c_void, bytesize: usize, flags: u32,
    ) since 6050, by hand;
    /// Gives pinned memory of the application back.
    0x0370 local never fn cuMemHostUnregister(p: *mut c_void) since 4000, by hand;
    /// Copies between any two addresses; becomes the call that fits them.
    0x0378 local never fn cuMemcpy(
        dst: CuDevicePtr, src: CuDevicePtr, byte_count: usize,
    ) since 4000 twin cuMemcpy_ptds 7000, by hand;
    /// Copies between contexts.
    0x0380 local never fn cuMemcpyPeer(
        dst_device: CuDevicePtr, dst_context: CuContext, src_device: CuDevicePtr,
        src_context: CuContext, byte_count: usize,
    ) since 4000 twin cuMemcpyPeer_ptds 7000, by hand;
    /// Copies host memory to the device. The bulk path chooses the route.
    0x0388 posted never fn cuMemcpyHtoD_v2(
        dst_device: CuDevicePtr, src_host: InBytes, byte_count: usize,
    ) since 3020 twin cuMemcpyHtoD_v2_ptds 7000, by hand;
    /// Copies device memory to the host.
    0x0390 awaited maybe fn cuMemcpyDtoH_v2(
        dst_host: OutBytes, src_device: CuDevicePtr, byte_count: usize,
    ) since 3020 twin cuMemcpyDtoH_v2_ptds 7000, by hand;
    /// Copies within the device.
    0x0398 posted never fn cuMemcpyDtoD_v2(
        dst_device: CuDevicePtr, src_device: CuDevicePtr, byte_count: usize,
    ) since 3020 twin cuMemcpyDtoD_v2_ptds 7000, client by hand;
    /// Copies device memory to an array.
    0x03a0 local never fn cuMemcpyDtoA_v2(
        dst_array: CuArray, dst_offset: usize, src_device: CuDevicePtr, byte_count: usize,
    ) since 3020 twin cuMemcpyDtoA_v2_ptds 7000, by hand;
    /// Copies an array to device memory.
    0x03a8 local never fn cuMemcpyAtoD_v2(
        dst_device: CuDevicePtr, src_array: CuArray, src_offset: usize, byte_count: usize,
    ) since 3020 twin cuMemcpyAtoD_v2_ptds 7000, by hand;
    /// Copies host memory to an array.
    0x03b0 local never fn cuMemcpyHtoA_v2(
        dst_array: CuArray, dst_offset: usize, src_host: *const c_void, byte_count: usize,
    ) since 3020 twin cuMemcpyHtoA_v2_ptds 7000, by hand;
    /// Copies an array to host memory.
    0x03b8 local never fn cuMemcpyAtoH_v2(
        dst_host: *mut c_void, src_array: CuArray, src_offset: usize, byte_count: usize,
    ) since 3020 twin cuMemcpyAtoH_v2_ptds 7000, by hand;
    /// Copies an array to an array.
    0x03c0 local never fn cuMemcpyAtoA_v2(
        dst_array: CuArray, dst_offset: usize, src_array: CuArray, src_offset: usize,
        byte_count: usize,
    ) since 3020 twin cuMemcpyAtoA_v2_ptds 7000, by hand;
    /// Copies rows.
    0x03c8 local never fn cuMemcpy2D_v2(
        copy: *const CudaMemcpy2d,
    ) since 3020 twin cuMemcpy2D_v2_ptds 7000, by hand;
    /// Copies rows with any pitch.
    0x03d0 local never fn cuMemcpy2DUnaligned_v2(
        copy: *const CudaMemcpy2d,
    ) since 3020 twin cuMemcpy2DUnaligned_v2_ptds 7000, by hand;
    /// Copies slices of rows.
    0x03d8 awaited maybe fn cuMemcpy3D_v2(
        copy: *const CudaMemcpy3d,
    ) since 3020 twin cuMemcpy3D_v2_ptds 7000, by hand;
    /// Copies slices of rows between contexts.
    0x03e0 local never fn cuMemcpy3DPeer(
        copy: *const CudaMemcpy3dPeer,
    ) since 4000 twin cuMemcpy3DPeer_ptds 7000, by hand;
    /// Copies between any two addresses; becomes the call that fits them.
    0x03e8 local never fn cuMemcpyAsync(
        dst: CuDevicePtr, src: CuDevicePtr, byte_count: usize, stream: CuStream,
    ) since 4000 twin cuMemcpyAsync_ptsz 7000, by hand;
    /// Copies between contexts in stream order.
    0x03f0 local never fn cuMemcpyPeerAsync(
        dst_device: CuDevicePtr, dst_context: CuContext, src_device: CuDevicePtr,
        src_context: CuContext, byte_count: usize, stream: CuStream,
    ) since 4000 twin cuMemcpyPeerAsync_ptsz 7000, by hand;
    /// Copies host memory to the device in stream order.
    0x03f8 posted never fn cuMemcpyHtoDAsync_v2(
        dst_device: CuDevicePtr, src_host: InBytes, byte_count: usize, stream: CuStream,
    ) since 3020 twin cuMemcpyHtoDAsync_v2_ptsz 7000, by hand;
    /// Copies device memory to the host in stream order.
    0x0400 posted never fn cuMemcpyDtoHAsync_v2(
        dst_host: OutBytes, src_device: CuDevicePtr, byte_count: usize, stream: CuStream,
    ) since 3020 twin cuMemcpyDtoHAsync_v2_ptsz 7000, by hand;
    /// Copies within the device in stream order.
    0x0408 posted never fn cuMemcpyDtoDAsync_v2(
        dst_device: CuDevicePtr, src_device: CuDevicePtr, byte_count: usize, stream: CuStream,
    ) since 3020 twin cuMemcpyDtoDAsync_v2_ptsz 7000, client by hand;
    /// Copies host memory to an array in stream order.
    0x0410 local never fn cuMemcpyHtoAAsync_v2(
        dst_array: CuArray, dst_offset: usize, src_host: *const c_void, byte_count: usize,
        stream: CuStream,
    ) since 3020 twin cuMemcpyHtoAAsync_v2_ptsz 7000, by hand;
    /// Copies an array to host memory in stream order.
    0x0418 local never fn cuMemcpyAtoHAsync_v2(
        dst_host: *mut c_void, src_array: CuArray, src_offset: usize, byte_count: usize,
        stream: CuStream,
    ) since 3020 twin cuMemcpyAtoHAsync_v2_ptsz 7000, by hand;
    /// Copies rows in stream order.
    0x0420 local never fn cuMemcpy2DAsync_v2(
        copy: *const CudaMemcpy2d, stream: CuStream,
    ) since 3020 twin cuMemcpy2DAsync_v2_ptsz 7000, by hand;
    /// Copies slices of rows in stream order.
    0x0428 posted never fn cuMemcpy3DAsync_v2(
        copy: *const CudaMemcpy3d, stream: CuStream,
    ) since 3020 twin cuMemcpy3DAsync_v2_ptsz 7000, by hand;
    /// Copies slices of rows between contexts in stream order.
    0x0430 local never fn cuMemcpy3DPeerAsync(
        copy: *const CudaMemcpy3dPeer, stream: CuStream,
    ) since 4000 twin cuMemcpy3DPeerAsync_ptsz 7000, by hand;
    /// Many copies in one call.
    0x0438 local never fn cuMemcpyBatchAsync_v2(
        dsts: *mut CuDevicePtr, srcs: *mut CuDevicePtr, sizes: *mut usize, count: usize,
        attrs: *mut CuMemcpyAttributes, attrs_idxs: *mut usize, num_attrs: usize,
        stream: CuStream,
    ) since 13000 twin cuMemcpyBatchAsync_v2_ptsz 13000, by hand;
    /// Many copies of rows in one call.
    0x0440 local never fn cuMemcpy3DBatchAsync_v2(
        num_ops: usize, op_list: *mut CudaMemcpy3dBatchOp, flags: u64, stream: CuStream,
    ) since 13000 twin cuMemcpy3DBatchAsync_v2_ptsz 13000, by hand;
    /// A copy with attributes.
    0x0448 local never fn cuMemcpyWithAttributesAsync(
        dst: CuDevicePtr, src: CuDevicePtr, size: usize, attr: *mut CuMemcpyAttributes,
        stream: CuStream,
    ) since 13020 twin cuMemcpyWithAttributesAsync_ptsz 13020, by hand;
    0x0450 absent never fn cuMemcpy3DWithAttributesAsync(
        op: *mut CudaMemcpy3dBatchOp, flags: u64, stream: CuStream,
    ) since 13020 twin cuMemcpy3DWithAttributesAsync_ptsz 13020;
    /// Fills with a byte.
    0x0458 posted never fn cuMemsetD8_v2(
        dst_device: CuDevicePtr, uc: u8, n: usize,
    ) since 3020 twin cuMemsetD8_v2_ptds 7000, client by hand;
    /// Fills with a 16-bit value.
    0x0460 posted never fn cuMemsetD16_v2(
        dst_device: CuDevicePtr, us: u16, n: usize,
    ) since 3020 twin cuMemsetD16_v2_ptds 7000, client by hand;
    /// Fills with a 32-bit value.
    0x0468 posted never fn cuMemsetD32_v2(
        dst_device: CuDevicePtr, ui: u32, n: usize,
    ) since 3020 twin cuMemsetD32_v2_ptds 7000, client by hand;
    /// Fills rows with a byte.
    0x0470 posted never fn cuMemsetD2D8_v2(
        dst_device: CuDevicePtr, dst_pitch: usize, uc: u8, width: usize, height: usize,
    ) since 3020 twin cuMemsetD2D8_v2_ptds 7000, client by hand;
    /// Fills rows with two bytes.
    0x0478 posted never fn cuMemsetD2D16_v2(
        dst_device: CuDevicePtr, dst_pitch: usize, us: u16, width: usize, height: usize,
    ) since 3020 twin cuMemsetD2D16_v2_ptds 7000, client by hand;
    /// Fills rows with four bytes.
    0x0480 posted never fn cuMemsetD2D32_v2(
        dst_device: CuDevicePtr, dst_pitch: usize, ui: u32, width: usize, height: usize,
    ) since 3020 twin cuMemsetD2D32_v2_ptds 7000, client by hand;
    /// Fills with a byte in stream order.
    0x0488 posted never fn cuMemsetD8Async(
        dst_device: CuDevicePtr, uc: u8, n: usize, stream: CuStream,
    ) since 3020 twin cuMemsetD8Async_ptsz 7000, client by hand;
    /// Fills with a 16-bit value in stream order.
    0x0490 posted never fn cuMemsetD16Async(
        dst_device: CuDevicePtr, us: u16, n: usize, stream: CuStream,
    ) since 3020 twin cuMemsetD16Async_ptsz 7000, client by hand;
    /// Fills with a 32-bit value in stream order.
    0x0498 posted never fn cuMemsetD32Async(
        dst_device: CuDevicePtr, ui: u32, n: usize, stream: CuStream,
    ) since 3020 twin cuMemsetD32Async_ptsz 7000, client by hand;
    /// Fills rows with a byte in stream order.
    0x04a0 posted never fn cuMemsetD2D8Async(
        dst_device: CuDevicePtr, dst_pitch: usize, uc: u8, width: usize, height: usize,
        stream: CuStream,
    ) since 3020 twin cuMemsetD2D8Async_ptsz 7000, client by hand;
    /// Fills rows with two bytes in stream order.
    0x04a8 posted never fn cuMemsetD2D16Async(
        dst_device: CuDevicePtr, dst_pitch: usize, us: u16, width: usize, height: usize,
        stream: CuStream,
    ) since 3020 twin cuMemsetD2D16Async_ptsz 7000, client by hand;
    /// Fills rows with four bytes in stream order.
    0x04b0 posted never fn cuMemsetD2D32Async(
        dst_device: CuDevicePtr, dst_pitch: usize, ui: u32, width: usize, height: usize,
        stream: CuStream,
    ) since 3020 twin cuMemsetD2D32Async_ptsz 7000, client by hand;
    /// Makes an array of one or two dimensions.
    0x04b8 awaited maybe fn cuArrayCreate_v2(
        handle: Out<CuArray>, allocate_array: *const CudaArrayDescriptor,
    ) since 3020, by hand;
    /// What an array is.
    0x04c0 local never fn cuArrayGetDescriptor_v2(
        array_descriptor: Out<CudaArrayDescriptor>, array: CuArray,
    ) since 3020, by hand;
    0x04c8 absent never fn cuArrayGetSparseProperties(
        sparse_properties: *mut CudaArraySparseProperties, array: CuArray,
    ) since 11010;
    0x04d0 absent never fn cuMipmappedArrayGetSparseProperties(
        sparse_properties: *mut CudaArraySparseProperties, mipmap: CuMipmappedArray,
    ) since 11010;
    /// Memory that an array with deferred mapping needs.
    0x04d8 local never fn cuArrayGetMemoryRequirements(
        memory_requirements: Out<CudaArrayMemoryRequirements>, array: CuArray, device: CuDevice,
    ) since 11060, by hand;
    /// Memory that a mipmapped array with deferred mapping needs.
    0x04e0 local never fn cuMipmappedArrayGetMemoryRequirements(
        memory_requirements: Out<CudaArrayMemoryRequirements>, mipmap: CuMipmappedArray,
        device: CuDevice,
    ) since 11060, by hand;
    /// A plane of an array that has planes.
    0x04e8 local never fn cuArrayGetPlane(
        plane_array: Out<CuArray>, array: CuArray, plane_idx: u32,
    ) since 11020, by hand;
    /// Ends an array.
    0x04f0 awaited maybe fn cuArrayDestroy(array: CuArray) since 2000, by hand;
    /// Makes an array, with layers if wanted.
    0x04f8 awaited maybe fn cuArray3DCreate_v2(
        handle: Out<CuArray>, allocate_array: *const CudaArray3dDescriptor,
    ) since 3020, by hand;
    /// What an array is, with depth and flags.
    0x0500 local never fn cuArray3DGetDescriptor_v2(
        array_descriptor: Out<CudaArray3dDescriptor>, array: CuArray,
    ) since 3020, by hand;
    /// Makes an array with smaller copies.
    0x0508 awaited maybe fn cuMipmappedArrayCreate(
        handle: Out<CuMipmappedArray>, mipmapped_array_desc: *const CudaArray3dDescriptor,
        num_mipmap_levels: u32,
    ) since 5000, by hand;
    /// One level of a mipmapped array.
    0x0510 awaited never fn cuMipmappedArrayGetLevel(
        level_array: Out<CuArray>, mipmapped_array: CuMipmappedArray, level: u32,
    ) since 5000, by hand;
    /// Ends a mipmapped array.
    0x0518 awaited maybe fn cuMipmappedArrayDestroy(
        mipmapped_array: CuMipmappedArray,
    ) since 5000, by hand;
    /// Memory for other drivers: refused.
    0x0520 local never fn cuMemGetHandleForAddressRange(
        handle: *mut c_void, dptr: CuDevicePtr, size: usize, handle_type: CuMemRangeHandleType,
        flags: u64,
    ) since 11070, by hand;
    0x0528 absent never fn cuMemBatchDecompressAsync(
        params_array: *mut CuMemDecompressParams, count: usize, flags: u32,
        error_index: *mut usize, stream: CuStream,
    ) since 12060 twin cuMemBatchDecompressAsync_ptsz 12060;
    /// Keeps addresses free for mappings.
    0x0530 awaited never fn cuMemAddressReserve(
        ptr: Out<CuDevicePtr>, size: usize, alignment: usize, addr: CuDevicePtr, flags: u64,
    ) since 10020, by hand;
    /// Gives addresses back.
    0x0538 awaited never fn cuMemAddressFree(ptr: CuDevicePtr, size: usize) since 10020, by hand;
    /// Allocates physical memory.
    0x0540 awaited maybe fn cuMemCreate(
        handle: Out<CuMemGenericAllocationHandle>, size: usize, prop: *const CuMemAllocationProp,
        flags: u64,
    ) since 10020, by hand;
    /// Releases physical memory.
    0x0548 awaited maybe fn cuMemRelease(
        handle: CuMemGenericAllocationHandle,
    ) since 10020, by hand;
    /// Maps physical memory to addresses.
    0x0550 awaited never fn cuMemMap(
        ptr: CuDevicePtr, size: usize, offset: usize, handle: CuMemGenericAllocationHandle,
        flags: u64,
    ) since 10020, by hand;
    0x0558 absent never fn cuMemMapArrayAsync(
        map_info_list: *mut CuArrayMapInfo, count: u32, stream: CuStream,
    ) since 11010 twin cuMemMapArrayAsync_ptsz 11010;
    /// Undoes mappings.
    0x0560 awaited maybe fn cuMemUnmap(ptr: CuDevicePtr, size: usize) since 10020, by hand;
    /// Says which devices reach a mapping.
    0x0568 awaited maybe fn cuMemSetAccess(
        ptr: CuDevicePtr, size: usize, desc: *const CuMemAccessDesc, count: usize,
    ) since 10020, by hand;
    /// Whether a device reaches a mapping.
    0x0570 awaited never fn cuMemGetAccess(
        flags: Out<u64>, location: *const CuMemLocation, ptr: CuDevicePtr,
    ) since 10020, by hand;
    /// A descriptor of physical memory.
    0x0578 local never fn cuMemExportToShareableHandle(
        shareable_handle: *mut c_void, handle: CuMemGenericAllocationHandle,
        handle_type: CuMemAllocationHandleType, flags: u64,
    ) since 10020, by hand;
    /// Physical memory behind a descriptor.
    0x0580 local never fn cuMemImportFromShareableHandle(
        handle: Out<CuMemGenericAllocationHandle>, os_handle: *mut c_void,
        sh_handle_type: CuMemAllocationHandleType,
    ) since 10020, by hand;
    /// What sizes of physical memory are multiples of.
    0x0588 awaited never fn cuMemGetAllocationGranularity(
        granularity: Out<usize>, prop: *const CuMemAllocationProp,
        option: CuMemAllocationGranularityFlags,
    ) since 10020, by hand;
    /// How physical memory was asked for.
    0x0590 awaited never fn cuMemGetAllocationPropertiesFromHandle(
        prop: Out<CuMemAllocationProp>, handle: CuMemGenericAllocationHandle,
    ) since 10020, by hand;
    /// Physical memory behind an address.
    0x0598 awaited never fn cuMemRetainAllocationHandle(
        handle: Out<CuMemGenericAllocationHandle>, addr: *mut c_void,
    ) since 11000, by hand;
    /// Frees memory in stream order.
    0x05a0 posted never fn cuMemFreeAsync(
        dptr: CuDevicePtr, stream: CuStream,
    ) since 11020 twin cuMemFreeAsync_ptsz 11020, by hand;
    /// Allocates from the current pool in stream order.
    0x05a8 local never fn cuMemAllocAsync(
        dptr: Out<CuDevicePtr>, bytesize: usize, stream: CuStream,
    ) since 11020 twin cuMemAllocAsync_ptsz 11020, by hand;
    /// Gives unused memory of a pool back.
    0x05b0 awaited maybe fn cuMemPoolTrimTo(
        pool: CuMemoryPool, min_bytes_to_keep: usize,
    ) since 11020, by hand;
    /// Sets an attribute of a pool.
    0x05b8 awaited never fn cuMemPoolSetAttribute(
        pool: CuMemoryPool, attr: CuMemPoolAttribute, value: *mut c_void,
    ) since 11020, by hand;
    /// Reads an attribute of a pool.
    0x05c0 awaited never fn cuMemPoolGetAttribute(
        pool: CuMemoryPool, attr: CuMemPoolAttribute, value: *mut c_void,
    ) since 11020, by hand;
    /// Says which devices reach a pool.
    0x05c8 awaited never fn cuMemPoolSetAccess(
        pool: CuMemoryPool, map: *const CuMemAccessDesc, count: usize,
    ) since 11020, by hand;
    /// Whether a device reaches a pool.
    0x05d0 awaited never fn cuMemPoolGetAccess(
        flags: Out<CuMemAccessFlags>, mem_pool: CuMemoryPool, location: *mut CuMemLocation,
    ) since 11020, by hand;
    /// Creates a memory pool.
    0x05d8 awaited never fn cuMemPoolCreate(
        pool: Out<CuMemoryPool>, pool_props: *const CuMemPoolProps,
    ) since 11020, by hand;
    /// Destroys a memory pool.
    0x05e0 awaited never fn cuMemPoolDestroy(pool: CuMemoryPool) since 11020, by hand;
    /// Default memory pool of a place.
    0x05e8 local never fn cuMemGetDefaultMemPool(
        pool_out: Out<CuMemoryPool>, location: *mut CuMemLocation, type_: CuMemAllocationType,
    ) since 13000, by hand;
    /// Current memory pool of a place.
    0x05f0 local never fn cuMemGetMemPool(
        pool: Out<CuMemoryPool>, location: *mut CuMemLocation, type_: CuMemAllocationType,
    ) since 13000, by hand;
    /// Makes a pool the current one of a place.
    0x05f8 local never fn cuMemSetMemPool(
        location: *mut CuMemLocation, type_: CuMemAllocationType, pool: CuMemoryPool,
    ) since 13000, by hand;
    /// Allocates from a pool in stream order.
    0x0600 awaited maybe fn cuMemAllocFromPoolAsync(
        dptr: Out<CuDevicePtr>, bytesize: usize, pool: CuMemoryPool, stream: CuStream,
    ) since 11020 twin cuMemAllocFromPoolAsync_ptsz 11020, by hand;
    /// Shares a pool with other processes: refused.
    0x0608 local never fn cuMemPoolExportToShareableHandle(
        handle_out: *mut c_void, pool: CuMemoryPool, handle_type: CuMemAllocationHandleType,
        flags: u64,
    ) since 11020, by hand;
    /// Takes another process's pool: refused.
    0x0610 local never fn cuMemPoolImportFromShareableHandle(
        pool_out: *mut CuMemoryPool, handle: *mut c_void, handle_type: CuMemAllocationHandleType,
        flags: u64,
    ) since 11020, by hand;
    /// Shares memory of a pool with other processes: refused.
    0x0618 local never fn cuMemPoolExportPointer(
        share_data_out: *mut CuMemPoolPtrExportData, ptr: CuDevicePtr,
    ) since 11020, by hand;
    /// Takes memory of another process's pool: refused.
    0x0620 local never fn cuMemPoolImportPointer(
        ptr_out: *mut CuDevicePtr, pool: CuMemoryPool, share_data: *mut CuMemPoolPtrExportData,
    ) since 11020, by hand;
    0x0628 absent never fn cuMulticastCreate(
        mc_handle: *mut CuMemGenericAllocationHandle, prop: *const CuMulticastObjectProp,
    ) since 12010;
    0x0630 absent never fn cuMulticastAddDevice(
        mc_handle: CuMemGenericAllocationHandle, dev: CuDevice,
    ) since 12010;
    0x0638 absent never fn cuMulticastBindMem(
        mc_handle: CuMemGenericAllocationHandle, mc_offset: usize,
        mem_handle: CuMemGenericAllocationHandle, mem_offset: usize, size: usize, flags: u64,
    ) since 12010;
    0x0640 absent never fn cuMulticastBindMem_v2(
        mc_handle: CuMemGenericAllocationHandle, dev: CuDevice, mc_offset: usize,
        mem_handle: CuMemGenericAllocationHandle, mem_offset: usize, size: usize, flags: u64,
    ) since 13010;
    0x0648 absent never fn cuMulticastBindAddr(
        mc_handle: CuMemGenericAllocationHandle, mc_offset: usize, memptr: CuDevicePtr,
        size: usize, flags: u64,
    ) since 12010;
    0x0650 absent never fn cuMulticastBindAddr_v2(
        mc_handle: CuMemGenericAllocationHandle, dev: CuDevice, mc_offset: usize,
        memptr: CuDevicePtr, size: usize, flags: u64,
    ) since 13010;
    0x0658 absent never fn cuMulticastUnbind(
        mc_handle: CuMemGenericAllocationHandle, dev: CuDevice, mc_offset: usize, size: usize,
    ) since 12010;
    0x0660 absent never fn cuMulticastGetGranularity(
        granularity: *mut usize, prop: *const CuMulticastObjectProp,
        option: CuMulticastGranularityFlags,
    ) since 12010;
    0x0668 absent never fn cuDeviceGetFabricClusterUuid(
        uuid: *mut CuUuid, dev: CuDevice,
    ) since 13040;
    0x0670 absent never fn cuDeviceGetCliqueCount(count: *mut usize, dev: CuDevice) since 13040;
    0x0678 absent never fn cuDeviceGetCliqueInfo(
        clique_info: *mut CuCliqueInfo, count: *mut usize, dev: CuDevice,
    ) since 13040;
    0x0680 absent never fn cuLogicalEndpointIdReserve(
        base_le_id: *mut CuLogicalEndpointId, count: u32,
    ) since 13030;
    0x0688 absent never fn cuLogicalEndpointIdRelease(
        base_le_id: CuLogicalEndpointId, count: u32,
    ) since 13030;
    0x0690 absent never fn cuLogicalEndpointCreate(
        le_id: CuLogicalEndpointId, prop: *const CuLogicalEndpointProp,
    ) since 13030;
    0x0698 absent never fn cuLogicalEndpointAddDevice(
        le_id: CuLogicalEndpointId, dev: CuDevice,
    ) since 13030;
    0x06a0 absent never fn cuLogicalEndpointDestroy(le_id: CuLogicalEndpointId) since 13030;
    0x06a8 absent never fn cuLogicalEndpointBindAddr(
        le_id: CuLogicalEndpointId, dev: CuDevice, offset: u64, ptr: *mut c_void, size: u64,
        flags: u64,
    ) since 13030;
    0x06b0 absent never fn cuLogicalEndpointBindMem(
        le_id: CuLogicalEndpointId, dev: CuDevice, offset: u64,
        mem_handle: CuMemGenericAllocationHandle, mem_offset: u64, size: u64, flags: u64,
    ) since 13030;
    0x06b8 absent never fn cuLogicalEndpointUnbind(
        le_id: CuLogicalEndpointId, dev: CuDevice, offset: u64, size: u64,
    ) since 13030;
    0x06c0 absent never fn cuLogicalEndpointExport(
        handle: *mut c_void, le_id: CuLogicalEndpointId,
        handle_type: CuLogicalEndpointIpcHandleType,
    ) since 13030;
    0x06c8 absent never fn cuLogicalEndpointImport(
        le_id: CuLogicalEndpointId, handle: *const c_void,
        handle_type: CuLogicalEndpointIpcHandleType,
    ) since 13030;
    0x06d0 absent never fn cuLogicalEndpointGetLimits(
        bind_alignment: *mut u64, max_size: *mut u64, prop: *const CuLogicalEndpointProp,
    ) since 13030;
    0x06d8 absent never fn cuLogicalEndpointQuery(
        le_id: CuLogicalEndpointId, count: u32, query_status: *mut i32,
    ) since 13030;
    0x06e0 absent never fn cuFabricCpyBatchAsync(
        num_ops: usize, op_list: *mut CudaFabricCopyBatchOp, flags: u64, stream: CuStream,
    ) since 13050 twin cuFabricCpyBatchAsync_ptsz 13050;
    /// Attribute of any address, from the range table.
    0x06e8 local never fn cuPointerGetAttribute(
        data: *mut c_void, attribute: CuPointerAttribute, ptr: CuDevicePtr,
    ) since 4000, by hand;
    /// Says where managed memory is used next.
    0x06f0 awaited never fn cuMemPrefetchAsync_v2(
        dev_ptr: CuDevicePtr, count: usize, location: CuMemLocation, flags: u32, stream: CuStream,
    ) since 12020 twin cuMemPrefetchAsync_v2_ptsz 12020, by hand;
    /// Says how managed memory is used.
    0x06f8 awaited maybe fn cuMemAdvise_v2(
        dev_ptr: CuDevicePtr, count: usize, advice: CuMemAdvise, location: CuMemLocation,
    ) since 12020, by hand;
    /// Says where much managed memory is used next.
    0x0700 local never fn cuMemPrefetchBatchAsync(
        dptrs: *mut CuDevicePtr, sizes: *mut usize, count: usize,
        prefetch_locs: *mut CuMemLocation, prefetch_loc_idxs: *mut usize,
        num_prefetch_locs: usize, flags: u64, stream: CuStream,
    ) since 13000 twin cuMemPrefetchBatchAsync_ptsz 13000, by hand;
    /// Says that the contents of managed memory do not matter.
    0x0708 local never fn cuMemDiscardBatchAsync(
        dptrs: *mut CuDevicePtr, sizes: *mut usize, count: usize, flags: u64, stream: CuStream,
    ) since 13000 twin cuMemDiscardBatchAsync_ptsz 13000, by hand;
    /// Discards and prefetches managed memory.
    0x0710 local never fn cuMemDiscardAndPrefetchBatchAsync(
        dptrs: *mut CuDevicePtr, sizes: *mut usize, count: usize,
        prefetch_locs: *mut CuMemLocation, prefetch_loc_idxs: *mut usize,
        num_prefetch_locs: usize, flags: u64, stream: CuStream,
    ) since 13000 twin cuMemDiscardAndPrefetchBatchAsync_ptsz 13000, by hand;
    /// Where managed memory lies.
    0x0718 local never fn cuMemGetLocationInfo(
        ptr: CuDevicePtr, size: usize, summary_granularity: usize, sampling_granularity: usize,
        location_out: *mut CuMemLocation,
    ) since 13040, by hand;
    /// What was said of managed memory.
    0x0720 awaited never fn cuMemRangeGetAttribute(
        data: *mut c_void, data_size: usize, attribute: CuMemRangeAttribute, dev_ptr: CuDevicePtr,
        count: usize,
    ) since 8000, by hand;
    /// What was said of managed memory, several at once.
    0x0728 local never fn cuMemRangeGetAttributes(
        data: *mut *mut c_void, data_sizes: *mut usize, attributes: *mut CuMemRangeAttribute,
        num_attributes: usize, dev_ptr: CuDevicePtr, count: usize,
    ) since 8000, by hand;
    /// Marks an allocation.
    0x0730 local never fn cuPointerSetAttribute(
        value: *const c_void, attribute: CuPointerAttribute, ptr: CuDevicePtr,
    ) since 6000, by hand;
    /// Several attributes of any address, from the range table.
    0x0738 local never fn cuPointerGetAttributes(
        num_attributes: u32, attributes: *mut CuPointerAttribute, data: *mut *mut c_void,
        ptr: CuDevicePtr,
    ) since 7000, by hand;
    /// Creates a stream; the handle is the client's.
    0x0740 posted never fn cuStreamCreate(stream: Out<CuStream>, flags: u32) since 2000, by hand;
    /// Creates a stream with a priority; the handle is the client's.
    0x0748 posted never fn cuStreamCreateWithPriority(
        stream: Out<CuStream>, flags: u32, priority: i32,
    ) since 5050, by hand;
    0x0750 absent never fn cuStreamBeginCaptureToCig(
        stream: CuStream, stream_cig_capture_params: *mut CuStreamCigCaptureParams,
    ) since 13010 twin cuStreamBeginCaptureToCig_ptsz 13010;
    0x0758 absent never fn cuStreamEndCaptureToCig(
        stream: CuStream,
    ) since 13010 twin cuStreamEndCaptureToCig_ptsz 13010;
    /// Priority of a stream.
    0x0760 local never fn cuStreamGetPriority(
        stream: CuStream, priority: Out<i32>,
    ) since 5050 twin cuStreamGetPriority_ptsz 7000, by hand;
    /// Device of a stream.
    0x0768 local never fn cuStreamGetDevice(
        stream: CuStream, device: Out<CuDevice>,
    ) since 12080 twin cuStreamGetDevice_ptsz 12080, by hand;
    /// Flags of a stream.
    0x0770 local never fn cuStreamGetFlags(
        stream: CuStream, flags: Out<u32>,
    ) since 5050 twin cuStreamGetFlags_ptsz 7000, by hand;
    /// Number of a stream, unique in the process.
    0x0778 local never fn cuStreamGetId(
        stream: CuStream, stream_id: Out<u64>,
    ) since 12000 twin cuStreamGetId_ptsz 12000, by hand;
    /// Context of a stream.
    0x0780 local never fn cuStreamGetCtx(
        stream: CuStream, pctx: Out<CuContext>,
    ) since 9020 twin cuStreamGetCtx_ptsz 9020, by hand;
    /// Context of a stream, and its green context.
    0x0788 local never fn cuStreamGetCtx_v2(
        stream: CuStream, ctx: Out<CuContext>, green_ctx: OptOut<CuGreenCtx>,
    ) since 12050 twin cuStreamGetCtx_v2_ptsz 12050, by hand;
    /// Makes a stream wait for an event.
    0x0790 posted never fn cuStreamWaitEvent(
        stream: CuStream, event: CuEvent, flags: u32,
    ) since 3020 twin cuStreamWaitEvent_ptsz 7000, client by hand;
    /// Calls back in stream order, faults or not.
    0x0798 posted never fn cuStreamAddCallback(
        stream: CuStream, callback: CuStreamCallback, user_data: *mut c_void, flags: u32,
    ) since 5000 twin cuStreamAddCallback_ptsz 7000, by hand;
    /// Begins a capture of a stream.
    0x07a0 awaited never fn cuStreamBeginCapture_v2(
        stream: CuStream, mode: CuStreamCaptureMode,
    ) since 10010 twin cuStreamBeginCapture_v2_ptsz 10010, by hand;
    0x07a8 absent never fn cuStreamBeginRecaptureToGraph(
        stream: CuStream, mode: CuStreamCaptureMode, graph: CuGraph,
        callback_func: CuGraphRecaptureCallback, user_data: *mut c_void,
    ) since 13030 twin cuStreamBeginRecaptureToGraph_ptsz 13030;
    /// Begins a capture of a stream into a graph that is there.
    0x07b0 local never fn cuStreamBeginCaptureToGraph(
        stream: CuStream, graph: CuGraph, dependencies: *const CuGraphNode,
        dependency_data: *const CuGraphEdgeData, num_dependencies: usize,
        mode: CuStreamCaptureMode,
    ) since 12030 twin cuStreamBeginCaptureToGraph_ptsz 12030, by hand;
    /// Capture mode of the calling thread.
    0x07b8 local never fn cuThreadExchangeStreamCaptureMode(
        mode: InOut<CuStreamCaptureMode>,
    ) since 10010, by hand;
    /// Ends a capture: its graph.
    0x07c0 awaited never fn cuStreamEndCapture(
        stream: CuStream, graph: *mut CuGraph,
    ) since 10000 twin cuStreamEndCapture_ptsz 10000, by hand;
    /// Whether a stream is being captured.
    0x07c8 awaited never fn cuStreamIsCapturing(
        stream: CuStream, capture_status: Out<CuStreamCaptureStatus>,
    ) since 10000 twin cuStreamIsCapturing_ptsz 10000, by hand;
    /// State of a capture.
    0x07d0 awaited never fn cuStreamGetCaptureInfo_v3(
        stream: CuStream, capture_status_out: Out<CuStreamCaptureStatus>, id_out: OptOut<u64>,
        graph_out: *mut CuGraph, dependencies_out: *mut *const CuGraphNode,
        edge_data_out: *mut *const CuGraphEdgeData, num_dependencies_out: *mut usize,
    ) since 12030 twin cuStreamGetCaptureInfo_v3_ptsz 12030, by hand;
    /// Changes what the next node of a captured stream comes after.
    0x07d8 awaited never fn cuStreamUpdateCaptureDependencies_v2(
        stream: CuStream, dependencies: *mut CuGraphNode, dependency_data: *const CuGraphEdgeData,
        num_dependencies: usize, flags: u32,
    ) since 12030 twin cuStreamUpdateCaptureDependencies_v2_ptsz 12030, by hand;
    /// Attaches managed memory to a stream.
    0x07e0 awaited never fn cuStreamAttachMemAsync(
        stream: CuStream, dptr: CuDevicePtr, length: usize, flags: u32,
    ) since 6000 twin cuStreamAttachMemAsync_ptsz 7000, client by hand;
    /// Whether a stream's work is done.
    0x07e8 awaited never fn cuStreamQuery(
        stream: CuStream,
    ) since 2000 twin cuStreamQuery_ptsz 7000, by hand;
    /// Waits for a stream.
    0x07f0 awaited maybe fn cuStreamSynchronize(
        stream: CuStream,
    ) since 2000 twin cuStreamSynchronize_ptsz 7000, by hand;
    /// Destroys a stream once its work is done.
    0x07f8 posted never fn cuStreamDestroy_v2(stream: CuStream) since 4000, by hand;
    /// Copies attributes of a stream.
    0x0800 awaited never fn cuStreamCopyAttributes(
        dst: CuStream, src: CuStream,
    ) since 11000 twin cuStreamCopyAttributes_ptsz 11000, by hand;
    /// Attribute of a stream.
    0x0808 awaited never fn cuStreamGetAttribute(
        stream: CuStream, attr: CuStreamAttrID, value_out: Out<CuStreamAttrValue>,
    ) since 11000 twin cuStreamGetAttribute_ptsz 11000, by hand;
    /// Sets an attribute of a stream.
    0x0810 awaited never fn cuStreamSetAttribute(
        stream: CuStream, attr: CuStreamAttrID, value: *const CuStreamAttrValue,
    ) since 11000 twin cuStreamSetAttribute_ptsz 11000, by hand;
    /// Creates an event; the handle is the client's.
    0x0818 posted never fn cuEventCreate(event: Out<CuEvent>, flags: u32) since 2000, by hand;
    /// Records an event in a stream.
    0x0820 posted never fn cuEventRecord(
        event: CuEvent, stream: CuStream,
    ) since 2000 twin cuEventRecord_ptsz 7000, by hand;
    /// Records an event in a stream.
    0x0828 posted never fn cuEventRecordWithFlags(
        event: CuEvent, stream: CuStream, flags: u32,
    ) since 11010 twin cuEventRecordWithFlags_ptsz 11010, by hand;
    /// Whether an event is complete.
    0x0830 awaited never fn cuEventQuery(event: CuEvent) since 2000, by hand;
    /// Waits for an event.
    0x0838 awaited maybe fn cuEventSynchronize(event: CuEvent) since 2000, by hand;
    /// Destroys an event.
    0x0840 posted never fn cuEventDestroy_v2(event: CuEvent) since 4000, by hand;
    /// Milliseconds between two events.
    0x0848 awaited never fn cuEventElapsedTime_v2(
        milliseconds: Out<f32>, start: CuEvent, end: CuEvent,
    ) since 12080, server by hand;
    0x0850 absent never fn cuImportExternalMemory(
        ext_mem_out: *mut CuExternalMemory, mem_handle_desc: *const CudaExternalMemoryHandleDesc,
    ) since 10000;
    0x0858 absent never fn cuExternalMemoryGetMappedBuffer(
        dev_ptr: *mut CuDevicePtr, ext_mem: CuExternalMemory,
        buffer_desc: *const CudaExternalMemoryBufferDesc,
    ) since 10000;
    0x0860 absent never fn cuExternalMemoryGetMappedMipmappedArray(
        mipmap: *mut CuMipmappedArray, ext_mem: CuExternalMemory,
        mipmap_desc: *const CudaExternalMemoryMipmappedArrayDesc,
    ) since 10000;
    0x0868 absent never fn cuDestroyExternalMemory(ext_mem: CuExternalMemory) since 10000;
    0x0870 absent never fn cuImportExternalSemaphore(
        ext_sem_out: *mut CuExternalSemaphore,
        sem_handle_desc: *const CudaExternalSemaphoreHandleDesc,
    ) since 10000;
    0x0878 absent never fn cuSignalExternalSemaphoresAsync(
        ext_sem_array: *const CuExternalSemaphore,
        params_array: *const CudaExternalSemaphoreSignalParams, num_ext_sems: u32,
        stream: CuStream,
    ) since 10000 twin cuSignalExternalSemaphoresAsync_ptsz 10000;
    0x0880 absent never fn cuWaitExternalSemaphoresAsync(
        ext_sem_array: *const CuExternalSemaphore,
        params_array: *const CudaExternalSemaphoreWaitParams, num_ext_sems: u32, stream: CuStream,
    ) since 10000 twin cuWaitExternalSemaphoresAsync_ptsz 10000;
    0x0888 absent never fn cuDestroyExternalSemaphore(ext_sem: CuExternalSemaphore) since 10000;
    /// Makes a stream wait for a value in memory.
    0x0890 local never fn cuStreamWaitValue32_v2(
        stream: CuStream, addr: CuDevicePtr, value: u32, flags: u32,
    ) since 11070 twin cuStreamWaitValue32_v2_ptsz 11070, by hand;
    /// Makes a stream wait for a value in memory.
    0x0898 local never fn cuStreamWaitValue64_v2(
        stream: CuStream, addr: CuDevicePtr, value: u64, flags: u32,
    ) since 11070 twin cuStreamWaitValue64_v2_ptsz 11070, by hand;
    /// Writes a value in stream order.
    0x08a0 local never fn cuStreamWriteValue32_v2(
        stream: CuStream, addr: CuDevicePtr, value: u32, flags: u32,
    ) since 11070 twin cuStreamWriteValue32_v2_ptsz 11070, by hand;
    /// Writes a value in stream order.
    0x08a8 local never fn cuStreamWriteValue64_v2(
        stream: CuStream, addr: CuDevicePtr, value: u64, flags: u32,
    ) since 11070 twin cuStreamWriteValue64_v2_ptsz 11070, by hand;
    /// Waits for values and writes others.
    0x08b0 awaited never fn cuStreamBatchMemOp_v2(
        stream: CuStream, count: u32, param_array: *mut CuStreamBatchMemOpParams, flags: u32,
    ) since 11070 twin cuStreamBatchMemOp_v2_ptsz 11070, by hand;
    /// Attribute of a function, from the reply to its first look-up.
    0x08b8 local never fn cuFuncGetAttribute(
        pi: Out<i32>, attrib: CuFunctionAttribute, hfunc: CuFunction,
    ) since 2020, by hand;
    /// Sets an attribute of a function.
    0x08c0 awaited never fn cuFuncSetAttribute(
        hfunc: CuFunction, attrib: CuFunctionAttribute, value: i32,
    ) since 9000, by hand;
    /// A hint: taken and not sent.
    0x08c8 local never fn cuFuncSetCacheConfig(
        hfunc: CuFunction, config: CuFuncCache,
    ) since 3000, by hand;
    /// Module of a function.
    0x08d0 local never fn cuFuncGetModule(
        hmod: Out<CuModule>, hfunc: CuFunction,
    ) since 11000, by hand;
    /// Name of a function.
    0x08d8 local never fn cuFuncGetName(
        name: *mut *const c_char, hfunc: CuFunction,
    ) since 12030, by hand;
    /// Offset and size of one parameter.
    0x08e0 local never fn cuFuncGetParamInfo(
        func: CuFunction, param_index: usize, param_offset: Out<usize>, param_size: Out<usize>,
    ) since 12040, by hand;
    /// Number of parameters.
    0x08e8 local never fn cuFuncGetParamCount(
        func: CuFunction, param_count: Out<usize>,
    ) since 13020, by hand;
    /// Whether a function is loaded.
    0x08f0 local never fn cuFuncIsLoaded(
        state: Out<CuFunctionLoadingState>, function: CuFunction,
    ) since 12040, by hand;
    /// Loads a function: the server did so at its look-up.
    0x08f8 local never fn cuFuncLoad(function: CuFunction) since 12040, by hand;
    /// Launches a kernel. Parameters cross by the kernel's own layout.
    0x0900 posted never fn cuLaunchKernel(
        f: CuFunction, grid_dim_x: u32, grid_dim_y: u32, grid_dim_z: u32, block_dim_x: u32,
        block_dim_y: u32, block_dim_z: u32, shared_mem_bytes: u32, stream: CuStream,
        kernel_params: *mut *mut c_void, extra: *mut *mut c_void,
    ) since 4000 twin cuLaunchKernel_ptsz 7000, by hand;
    /// Launches a kernel with attributes.
    0x0908 posted never fn cuLaunchKernelEx(
        config: *const CuLaunchConfig, f: CuFunction, kernel_params: *mut *mut c_void,
        extra: *mut *mut c_void,
    ) since 11060 twin cuLaunchKernelEx_ptsz 11060, by hand;
    /// Launches a kernel whose blocks can wait for one another.
    0x0910 local never fn cuLaunchCooperativeKernel(
        f: CuFunction, grid_dim_x: u32, grid_dim_y: u32, grid_dim_z: u32, block_dim_x: u32,
        block_dim_y: u32, block_dim_z: u32, shared_mem_bytes: u32, stream: CuStream,
        kernel_params: *mut *mut c_void,
    ) since 9000 twin cuLaunchCooperativeKernel_ptsz 9000, by hand;
    /// Calls a host function in stream order.
    0x0918 posted never fn cuLaunchHostFunc(
        stream: CuStream, fn: CuHostFn, user_data: *mut c_void,
    ) since 10000 twin cuLaunchHostFunc_ptsz 10000, by hand;
    /// Calls a host function in stream order; how a thread waits for it is not told.
    0x0920 local never fn cuLaunchHostFunc_v2(
        stream: CuStream, fn: CuHostFn, user_data: *mut c_void, sync_mode: u32,
    ) since 13010 twin cuLaunchHostFunc_v2_ptsz 13010, by hand;
    /// Sets the block of the launches of CUDA 3.
    0x0928 local never fn cuFuncSetBlockShape(
        hfunc: CuFunction, x: i32, y: i32, z: i32,
    ) since 2000, by hand;
    /// Sets the dynamic shared memory of the launches of CUDA 3.
    0x0930 local never fn cuFuncSetSharedSize(hfunc: CuFunction, bytes: u32) since 2000, by hand;
    /// Sets the size of the parameters of the launches of CUDA 3.
    0x0938 local never fn cuParamSetSize(hfunc: CuFunction, numbytes: u32) since 2000, by hand;
    /// Sets an integer parameter of the launches of CUDA 3.
    0x0940 local never fn cuParamSeti(
        hfunc: CuFunction, offset: i32, value: u32,
    ) since 2000, by hand;
    /// Sets a float parameter of the launches of CUDA 3.
    0x0948 local never fn cuParamSetf(
        hfunc: CuFunction, offset: i32, value: f32,
    ) since 2000, by hand;
    /// Sets parameter bytes of the launches of CUDA 3.
    0x0950 local never fn cuParamSetv(
        hfunc: CuFunction, offset: i32, ptr: *mut c_void, numbytes: u32,
    ) since 2000, by hand;
    /// Launches one block as CUDA 3 did.
    0x0958 local never fn cuLaunch(f: CuFunction) since 2000, by hand;
    /// Launches a grid as CUDA 3 did.
    0x0960 local never fn cuLaunchGrid(
        f: CuFunction, grid_width: i32, grid_height: i32,
    ) since 2000, by hand;
    /// Launches a grid in a stream as CUDA 3 did.
    0x0968 local never fn cuLaunchGridAsync(
        f: CuFunction, grid_width: i32, grid_height: i32, stream: CuStream,
    ) since 2000, by hand;
    0x0970 absent never fn cuLaunchCooperativeKernelMultiDevice(
        launch_params_list: *mut CudaLaunchParams, num_devices: u32, flags: u32,
    ) since 9000;
    0x0978 absent never fn cuParamSetTexRef(
        hfunc: CuFunction, texunit: i32, tex_ref: CuTexref,
    ) since 2000;
    /// A hint: taken and not sent.
    0x0980 local never fn cuFuncSetSharedMemConfig(
        hfunc: CuFunction, config: CuSharedconfig,
    ) since 4020, by hand;
    /// Creates an empty graph.
    0x0988 awaited never fn cuGraphCreate(graph: *mut CuGraph, flags: u32) since 10000, by hand;
    /// Adds a launch to a graph.
    0x0990 local never fn cuGraphAddKernelNode_v2(
        graph_node: *mut CuGraphNode, graph: CuGraph, dependencies: *const CuGraphNode,
        num_dependencies: usize, node_params: *const CudaKernelNodeParams,
    ) since 12000, by hand;
    /// Parameters of a launch in a graph.
    0x0998 awaited never fn cuGraphKernelNodeGetParams_v2(
        node: CuGraphNode, node_params: *mut CudaKernelNodeParams,
    ) since 12000, by hand;
    /// Sets parameters of a launch in a graph.
    0x09a0 local never fn cuGraphKernelNodeSetParams_v2(
        node: CuGraphNode, node_params: *const CudaKernelNodeParams,
    ) since 12000, by hand;
    /// Adds a copy to a graph.
    0x09a8 local never fn cuGraphAddMemcpyNode(
        graph_node: *mut CuGraphNode, graph: CuGraph, dependencies: *const CuGraphNode,
        num_dependencies: usize, copy_params: *const CudaMemcpy3d, ctx: CuContext,
    ) since 10000, by hand;
    /// Parameters of a copy in a graph.
    0x09b0 awaited never fn cuGraphMemcpyNodeGetParams(
        node: CuGraphNode, node_params: *mut CudaMemcpy3d,
    ) since 10000, by hand;
    /// Sets parameters of a copy in a graph.
    0x09b8 local never fn cuGraphMemcpyNodeSetParams(
        node: CuGraphNode, node_params: *const CudaMemcpy3d,
    ) since 10000, by hand;
    /// Adds a memset to a graph.
    0x09c0 local never fn cuGraphAddMemsetNode(
        graph_node: *mut CuGraphNode, graph: CuGraph, dependencies: *const CuGraphNode,
        num_dependencies: usize, memset_params: *const CudaMemsetNodeParams, ctx: CuContext,
    ) since 10000, by hand;
    /// Parameters of a memset in a graph.
    0x09c8 awaited never fn cuGraphMemsetNodeGetParams(
        node: CuGraphNode, node_params: *mut CudaMemsetNodeParams,
    ) since 10000, by hand;
    /// Sets parameters of a memset in a graph.
    0x09d0 local never fn cuGraphMemsetNodeSetParams(
        node: CuGraphNode, node_params: *const CudaMemsetNodeParams,
    ) since 10000, by hand;
    /// Adds a host function to a graph.
    0x09d8 local never fn cuGraphAddHostNode(
        graph_node: *mut CuGraphNode, graph: CuGraph, dependencies: *const CuGraphNode,
        num_dependencies: usize, node_params: *const CudaHostNodeParams,
    ) since 10000, by hand;
    /// Parameters of a host function in a graph.
    0x09e0 soft never fn cuGraphHostNodeGetParams(
        node: CuGraphNode, node_params: *mut CudaHostNodeParams,
    ) since 10000;
    /// Sets parameters of a host function in a graph.
    0x09e8 local never fn cuGraphHostNodeSetParams(
        node: CuGraphNode, node_params: *const CudaHostNodeParams,
    ) since 10000, by hand;
    /// Adds a copy of a graph to a graph.
    0x09f0 local never fn cuGraphAddChildGraphNode(
        graph_node: *mut CuGraphNode, graph: CuGraph, dependencies: *const CuGraphNode,
        num_dependencies: usize, child_graph: CuGraph,
    ) since 10000, by hand;
    /// Graph in a node.
    0x09f8 local never fn cuGraphChildGraphNodeGetGraph(
        node: CuGraphNode, graph: *mut CuGraph,
    ) since 10000, by hand;
    /// Adds a node that does nothing.
    0x0a00 local never fn cuGraphAddEmptyNode(
        graph_node: *mut CuGraphNode, graph: CuGraph, dependencies: *const CuGraphNode,
        num_dependencies: usize,
    ) since 10000, by hand;
    /// Adds a record of an event to a graph.
    0x0a08 local never fn cuGraphAddEventRecordNode(
        graph_node: *mut CuGraphNode, graph: CuGraph, dependencies: *const CuGraphNode,
        num_dependencies: usize, event: CuEvent,
    ) since 11010, by hand;
    /// Event of a record in a graph.
    0x0a10 local never fn cuGraphEventRecordNodeGetEvent(
        node: CuGraphNode, event_out: *mut CuEvent,
    ) since 11010, by hand;
    /// Sets the event of a record in a graph.
    0x0a18 local never fn cuGraphEventRecordNodeSetEvent(
        node: CuGraphNode, event: CuEvent,
    ) since 11010, by hand;
    /// Adds a wait for an event to a graph.
    0x0a20 local never fn cuGraphAddEventWaitNode(
        graph_node: *mut CuGraphNode, graph: CuGraph, dependencies: *const CuGraphNode,
        num_dependencies: usize, event: CuEvent,
    ) since 11010, by hand;
    /// Event of a wait in a graph.
    0x0a28 local never fn cuGraphEventWaitNodeGetEvent(
        node: CuGraphNode, event_out: *mut CuEvent,
    ) since 11010, by hand;
    /// Sets the event of a wait in a graph.
    0x0a30 local never fn cuGraphEventWaitNodeSetEvent(
        node: CuGraphNode, event: CuEvent,
    ) since 11010, by hand;
    0x0a38 absent never fn cuGraphAddExternalSemaphoresSignalNode(
        graph_node: *mut CuGraphNode, graph: CuGraph, dependencies: *const CuGraphNode,
        num_dependencies: usize, node_params: *const CudaExtSemSignalNodeParams,
    ) since 11020;
    0x0a40 absent never fn cuGraphExternalSemaphoresSignalNodeGetParams(
        node: CuGraphNode, params_out: *mut CudaExtSemSignalNodeParams,
    ) since 11020;
    0x0a48 absent never fn cuGraphExternalSemaphoresSignalNodeSetParams(
        node: CuGraphNode, node_params: *const CudaExtSemSignalNodeParams,
    ) since 11020;
    0x0a50 absent never fn cuGraphAddExternalSemaphoresWaitNode(
        graph_node: *mut CuGraphNode, graph: CuGraph, dependencies: *const CuGraphNode,
        num_dependencies: usize, node_params: *const CudaExtSemWaitNodeParams,
    ) since 11020;
    0x0a58 absent never fn cuGraphExternalSemaphoresWaitNodeGetParams(
        node: CuGraphNode, params_out: *mut CudaExtSemWaitNodeParams,
    ) since 11020;
    0x0a60 absent never fn cuGraphExternalSemaphoresWaitNodeSetParams(
        node: CuGraphNode, node_params: *const CudaExtSemWaitNodeParams,
    ) since 11020;
    /// Adds memory operations to a graph.
    0x0a68 soft never fn cuGraphAddBatchMemOpNode(
        graph_node: *mut CuGraphNode, graph: CuGraph, dependencies: *const CuGraphNode,
        num_dependencies: usize, node_params: *const CudaBatchMemOpNodeParams,
    ) since 11070;
    /// Memory operations in a graph.
    0x0a70 soft never fn cuGraphBatchMemOpNodeGetParams(
        node: CuGraphNode, node_params_out: *mut CudaBatchMemOpNodeParams,
    ) since 11070;
    /// Sets memory operations in a graph.
    0x0a78 soft never fn cuGraphBatchMemOpNodeSetParams(
        node: CuGraphNode, node_params: *const CudaBatchMemOpNodeParams,
    ) since 11070;
    /// Sets memory operations in an executable graph.
    0x0a80 soft never fn cuGraphExecBatchMemOpNodeSetParams(
        graph_exec: CuGraphExec, node: CuGraphNode, node_params: *const CudaBatchMemOpNodeParams,
    ) since 11070;
    /// Adds an allocation to a graph.
    0x0a88 soft never fn cuGraphAddMemAllocNode(
        graph_node: *mut CuGraphNode, graph: CuGraph, dependencies: *const CuGraphNode,
        num_dependencies: usize, node_params: *mut CudaMemAllocNodeParams,
    ) since 11040;
    /// Parameters of an allocation in a graph.
    0x0a90 soft never fn cuGraphMemAllocNodeGetParams(
        node: CuGraphNode, params_out: *mut CudaMemAllocNodeParams,
    ) since 11040;
    /// Frees memory of a graph in a graph.
    0x0a98 soft never fn cuGraphAddMemFreeNode(
        graph_node: *mut CuGraphNode, graph: CuGraph, dependencies: *const CuGraphNode,
        num_dependencies: usize, dptr: CuDevicePtr,
    ) since 11040;
    /// What a node of a graph frees.
    0x0aa0 soft never fn cuGraphMemFreeNodeGetParams(
        node: CuGraphNode, dptr_out: *mut CuDevicePtr,
    ) since 11040;
    /// Gives back memory of graphs that nothing uses.
    0x0aa8 soft never fn cuDeviceGraphMemTrim(device: CuDevice) since 11040;
    /// How much memory graphs have on a device.
    0x0ab0 soft never fn cuDeviceGetGraphMemAttribute(
        device: CuDevice, attr: CuGraphMemAttribute, value: *mut c_void,
    ) since 11040;
    /// Resets how much memory graphs had at most.
    0x0ab8 soft never fn cuDeviceSetGraphMemAttribute(
        device: CuDevice, attr: CuGraphMemAttribute, value: *mut c_void,
    ) since 11040;
    /// Copies a graph.
    0x0ac0 awaited never fn cuGraphClone(
        graph_clone: *mut CuGraph, original_graph: CuGraph,
    ) since 10000, by hand;
    /// Node of a copy that stands for one of the original.
    0x0ac8 local never fn cuGraphNodeFindInClone(
        node: *mut CuGraphNode, original_node: CuGraphNode, cloned_graph: CuGraph,
    ) since 10000, by hand;
    /// Kind of a node.
    0x0ad0 awaited never fn cuGraphNodeGetType(
        node: CuGraphNode, type_: *mut CuGraphNodeType,
    ) since 10000, by hand;
    /// Graph of a node.
    0x0ad8 local never fn cuGraphNodeGetContainingGraph(
        node: CuGraphNode, graph: *mut CuGraph,
    ) since 13010, by hand;
    /// Number of a node in its graph.
    0x0ae0 local never fn cuGraphNodeGetLocalId(
        node: CuGraphNode, node_id: *mut u32,
    ) since 13010, by hand;
    0x0ae8 absent never fn cuGraphNodeGetToolsId(
        node: CuGraphNode, tools_node_id: *mut u64,
    ) since 13010;
    /// Number of a graph.
    0x0af0 local never fn cuGraphGetId(graph: CuGraph, graph_id: *mut u32) since 13010, by hand;
    /// Number of an executable graph.
    0x0af8 local never fn cuGraphExecGetId(
        graph_exec: CuGraphExec, graph_id: *mut u32,
    ) since 13010, by hand;
    /// Nodes of a graph.
    0x0b00 awaited never fn cuGraphGetNodes(
        graph: CuGraph, nodes: *mut CuGraphNode, num_nodes: *mut usize,
    ) since 10000, by hand;
    /// Nodes that wait for no other.
    0x0b08 local never fn cuGraphGetRootNodes(
        graph: CuGraph, root_nodes: *mut CuGraphNode, num_root_nodes: *mut usize,
    ) since 10000, by hand;
    /// Edges of a graph.
    0x0b10 local never fn cuGraphGetEdges_v2(
        graph: CuGraph, from: *mut CuGraphNode, to: *mut CuGraphNode,
        edge_data: *mut CuGraphEdgeData, num_edges: *mut usize,
    ) since 12030, by hand;
    /// What a node waits for.
    0x0b18 local never fn cuGraphNodeGetDependencies_v2(
        node: CuGraphNode, dependencies: *mut CuGraphNode, edge_data: *mut CuGraphEdgeData,
        num_dependencies: *mut usize,
    ) since 12030, by hand;
    /// What waits for a node.
    0x0b20 local never fn cuGraphNodeGetDependentNodes_v2(
        node: CuGraphNode, dependent_nodes: *mut CuGraphNode, edge_data: *mut CuGraphEdgeData,
        num_dependent_nodes: *mut usize,
    ) since 12030, by hand;
    /// Adds edges.
    0x0b28 awaited never fn cuGraphAddDependencies_v2(
        graph: CuGraph, from: *const CuGraphNode, to: *const CuGraphNode,
        edge_data: *const CuGraphEdgeData, num_dependencies: usize,
    ) since 12030, by hand;
    /// Removes edges.
    0x0b30 awaited never fn cuGraphRemoveDependencies_v2(
        graph: CuGraph, from: *const CuGraphNode, to: *const CuGraphNode,
        edge_data: *const CuGraphEdgeData, num_dependencies: usize,
    ) since 12030, by hand;
    /// Removes a node and its edges.
    0x0b38 awaited never fn cuGraphDestroyNode(node: CuGraphNode) since 10000, by hand;
    /// Makes a graph executable.
    0x0b40 awaited never fn cuGraphInstantiateWithFlags(
        graph_exec: *mut CuGraphExec, graph: CuGraph, flags: u64,
    ) since 11040, by hand;
    /// Makes a graph executable.
    0x0b48 local never fn cuGraphInstantiateWithParams(
        graph_exec: *mut CuGraphExec, graph: CuGraph,
        instantiate_params: *mut CudaGraphInstantiateParams,
    ) since 12000 twin cuGraphInstantiateWithParams_ptsz 12000, by hand;
    /// Flags of an executable graph.
    0x0b50 local never fn cuGraphExecGetFlags(
        graph_exec: CuGraphExec, flags: *mut u64,
    ) since 12000, by hand;
    /// Sets parameters of a launch in an executable graph.
    0x0b58 local never fn cuGraphExecKernelNodeSetParams_v2(
        graph_exec: CuGraphExec, node: CuGraphNode, node_params: *const CudaKernelNodeParams,
    ) since 12000, by hand;
    /// Sets parameters of a copy in an executable graph.
    0x0b60 local never fn cuGraphExecMemcpyNodeSetParams(
        graph_exec: CuGraphExec, node: CuGraphNode, copy_params: *const CudaMemcpy3d,
        ctx: CuContext,
    ) since 10020, by hand;
    /// Sets parameters of a memset in an executable graph.
    0x0b68 local never fn cuGraphExecMemsetNodeSetParams(
        graph_exec: CuGraphExec, node: CuGraphNode, memset_params: *const CudaMemsetNodeParams,
        ctx: CuContext,
    ) since 10020, by hand;
    /// Sets parameters of a host function in an executable graph.
    0x0b70 local never fn cuGraphExecHostNodeSetParams(
        graph_exec: CuGraphExec, node: CuGraphNode, node_params: *const CudaHostNodeParams,
    ) since 10020, by hand;
    /// Replaces the actions of a child in an executable graph.
    0x0b78 local never fn cuGraphExecChildGraphNodeSetParams(
        graph_exec: CuGraphExec, node: CuGraphNode, child_graph: CuGraph,
    ) since 11010, by hand;
    /// Sets the event of a record in an executable graph.
    0x0b80 local never fn cuGraphExecEventRecordNodeSetEvent(
        graph_exec: CuGraphExec, node: CuGraphNode, event: CuEvent,
    ) since 11010, by hand;
    /// Sets the event of a wait in an executable graph.
    0x0b88 local never fn cuGraphExecEventWaitNodeSetEvent(
        graph_exec: CuGraphExec, node: CuGraphNode, event: CuEvent,
    ) since 11010, by hand;
    0x0b90 absent never fn cuGraphExecExternalSemaphoresSignalNodeSetParams(
        graph_exec: CuGraphExec, node: CuGraphNode,
        node_params: *const CudaExtSemSignalNodeParams,
    ) since 11020;
    0x0b98 absent never fn cuGraphExecExternalSemaphoresWaitNodeSetParams(
        graph_exec: CuGraphExec, node: CuGraphNode, node_params: *const CudaExtSemWaitNodeParams,
    ) since 11020;
    /// Leaves a node of an executable graph out, or takes it in.
    0x0ba0 awaited never fn cuGraphNodeSetEnabled(
        graph_exec: CuGraphExec, node: CuGraphNode, is_enabled: u32,
    ) since 11060, by hand;
    /// Whether a node of an executable graph is left out.
    0x0ba8 local never fn cuGraphNodeGetEnabled(
        graph_exec: CuGraphExec, node: CuGraphNode, is_enabled: *mut u32,
    ) since 11060, by hand;
    /// Brings an executable graph to the device.
    0x0bb0 awaited never fn cuGraphUpload(
        graph_exec: CuGraphExec, stream: CuStream,
    ) since 11010 twin cuGraphUpload_ptsz 11010, by hand;
    /// Launches an executable graph.
    0x0bb8 posted never fn cuGraphLaunch(
        graph_exec: CuGraphExec, stream: CuStream,
    ) since 10000 twin cuGraphLaunch_ptsz 10000, by hand;
    /// Destroys an executable graph.
    0x0bc0 awaited never fn cuGraphExecDestroy(graph_exec: CuGraphExec) since 10000, by hand;
    /// Destroys a graph.
    0x0bc8 awaited never fn cuGraphDestroy(graph: CuGraph) since 10000, by hand;
    /// Takes over the actions of a graph of the same form.
    0x0bd0 awaited never fn cuGraphExecUpdate_v2(
        graph_exec: CuGraphExec, graph: CuGraph, result_info: *mut CuGraphExecUpdateResultInfo,
    ) since 12000, by hand;
    /// Copies attributes of a launch in a graph.
    0x0bd8 awaited never fn cuGraphKernelNodeCopyAttributes(
        dst: CuGraphNode, src: CuGraphNode,
    ) since 11000, by hand;
    /// Attribute of a launch in a graph.
    0x0be0 awaited never fn cuGraphKernelNodeGetAttribute(
        node: CuGraphNode, attr: CuKernelNodeAttrID, value_out: *mut CuKernelNodeAttrValue,
    ) since 11000, by hand;
    /// Sets an attribute of a launch in a graph.
    0x0be8 awaited never fn cuGraphKernelNodeSetAttribute(
        node: CuGraphNode, attr: CuKernelNodeAttrID, value: *const CuKernelNodeAttrValue,
    ) since 11000, by hand;
    /// Writes a graph as text.
    0x0bf0 awaited never fn cuGraphDebugDotPrint(
        graph: CuGraph, path: *const c_char, flags: u32,
    ) since 11030, by hand;
    /// Creates a counted object of the application.
    0x0bf8 local never fn cuUserObjectCreate(
        object_out: *mut CuUserObject, ptr: *mut c_void, destroy: CuHostFn, initial_refcount: u32,
        flags: u32,
    ) since 11030, by hand;
    /// Adds references to a user object.
    0x0c00 local never fn cuUserObjectRetain(object: CuUserObject, count: u32) since 11030, by hand;
    /// Gives references to a user object back.
    0x0c08 local never fn cuUserObjectRelease(
        object: CuUserObject, count: u32,
    ) since 11030, by hand;
    /// Lets a graph hold a user object.
    0x0c10 soft never fn cuGraphRetainUserObject(
        graph: CuGraph, object: CuUserObject, count: u32, flags: u32,
    ) since 11030;
    /// Makes a graph let go of a user object.
    0x0c18 soft never fn cuGraphReleaseUserObject(
        graph: CuGraph, object: CuUserObject, count: u32,
    ) since 11030;
    /// Adds a node of any kind.
    0x0c20 awaited never fn cuGraphAddNode_v2(
        graph_node: *mut CuGraphNode, graph: CuGraph, dependencies: *const CuGraphNode,
        dependency_data: *const CuGraphEdgeData, num_dependencies: usize,
        node_params: *mut CuGraphNodeParams,
    ) since 12030, by hand;
    /// Adds a node of any kind.
    0x0c28 local never fn cuGraphAddNode_v3(
        graph_node: *mut CuGraphNode, graph: CuGraph, dependencies: *const CuGraphNode,
        dependency_data: *const CuGraphEdgeData, num_dependencies: usize,
        node_params: *mut CuGraphNodeParams,
    ) since 13040, by hand;
    /// Sets parameters of a node of any kind.
    0x0c30 awaited never fn cuGraphNodeSetParams(
        node: CuGraphNode, node_params: *mut CuGraphNodeParams,
    ) since 12020, by hand;
    /// Sets parameters of a node of any kind.
    0x0c38 local never fn cuGraphNodeSetParams_v2(
        node: CuGraphNode, node_params: *mut CuGraphNodeParams,
    ) since 13040, by hand;
    0x0c40 absent never fn cuGraphNodeGetParams(
        node: CuGraphNode, node_params: *mut CuGraphNodeParams,
    ) since 13020;
    /// Sets parameters of a node of any kind in an executable graph.
    0x0c48 local never fn cuGraphExecNodeSetParams(
        graph_exec: CuGraphExec, node: CuGraphNode, node_params: *mut CuGraphNodeParams,
    ) since 12020, by hand;
    0x0c50 absent never fn cuGraphConditionalHandleCreate(
        handle_out: *mut CuGraphConditionalHandle, graph: CuGraph, ctx: CuContext,
        default_launch_value: u32, flags: u32,
    ) since 12030;
    /// Resident blocks of a function.
    0x0c58 awaited never fn cuOccupancyMaxActiveBlocksPerMultiprocessor(
        num_blocks: Out<i32>, func: CuFunction, block_size: i32, dynamic_smem_size: usize,
    ) since 6050;
    /// Resident blocks of a function.
    0x0c60 awaited never fn cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(
        num_blocks: Out<i32>, func: CuFunction, block_size: i32, dynamic_smem_size: usize,
        flags: u32,
    ) since 7000;
    /// The block size that fills a multiprocessor best.
    0x0c68 local never fn cuOccupancyMaxPotentialBlockSize(
        min_grid_size: Out<i32>, block_size: Out<i32>, func: CuFunction,
        block_size_to_dynamic_smem_size: CuOccupancyB2DSize, dynamic_smem_size: usize,
        block_size_limit: i32,
    ) since 6050, by hand;
    /// The block size that fills a multiprocessor best.
    0x0c70 local never fn cuOccupancyMaxPotentialBlockSizeWithFlags(
        min_grid_size: Out<i32>, block_size: Out<i32>, func: CuFunction,
        block_size_to_dynamic_smem_size: CuOccupancyB2DSize, dynamic_smem_size: usize,
        block_size_limit: i32, flags: u32,
    ) since 7000, by hand;
    /// Dynamic shared memory left per block.
    0x0c78 awaited never fn cuOccupancyAvailableDynamicSMemPerBlock(
        dynamic_smem_size: Out<usize>, func: CuFunction, num_blocks: i32, block_size: i32,
    ) since 10020;
    0x0c80 absent never fn cuOccupancyMaxPotentialClusterSize(
        cluster_size: *mut i32, func: CuFunction, config: *const CuLaunchConfig,
    ) since 11070;
    0x0c88 absent never fn cuOccupancyMaxActiveClusters(
        num_clusters: *mut i32, func: CuFunction, config: *const CuLaunchConfig,
    ) since 11070;
    0x0c90 absent never fn cuTexRefSetArray(
        tex_ref: CuTexref, array: CuArray, flags: u32,
    ) since 2000;
    0x0c98 absent never fn cuTexRefSetMipmappedArray(
        tex_ref: CuTexref, mipmapped_array: CuMipmappedArray, flags: u32,
    ) since 5000;
    0x0ca0 absent never fn cuTexRefSetAddress_v2(
        byte_offset: *mut usize, tex_ref: CuTexref, dptr: CuDevicePtr, bytes: usize,
    ) since 3020;
    0x0ca8 absent never fn cuTexRefSetAddress2D_v3(
        tex_ref: CuTexref, desc: *const CudaArrayDescriptor, dptr: CuDevicePtr, pitch: usize,
    ) since 4010;
    0x0cb0 absent never fn cuTexRefSetFormat(
        tex_ref: CuTexref, fmt: CuArrayFormat, num_packed_components: i32,
    ) since 2000;
    0x0cb8 absent never fn cuTexRefSetAddressMode(
        tex_ref: CuTexref, dim: i32, am: CuAddressMode,
    ) since 2000;
    0x0cc0 absent never fn cuTexRefSetFilterMode(tex_ref: CuTexref, fm: CuFilterMode) since 2000;
    0x0cc8 absent never fn cuTexRefSetMipmapFilterMode(
        tex_ref: CuTexref, fm: CuFilterMode,
    ) since 5000;
    0x0cd0 absent never fn cuTexRefSetMipmapLevelBias(tex_ref: CuTexref, bias: f32) since 5000;
    0x0cd8 absent never fn cuTexRefSetMipmapLevelClamp(
        tex_ref: CuTexref, min_mipmap_level_clamp: f32, max_mipmap_level_clamp: f32,
    ) since 5000;
    0x0ce0 absent never fn cuTexRefSetMaxAnisotropy(tex_ref: CuTexref, max_aniso: u32) since 5000;
    0x0ce8 absent never fn cuTexRefSetBorderColor(
        tex_ref: CuTexref, border_color: *mut f32,
    ) since 8000;
    0x0cf0 absent never fn cuTexRefSetFlags(tex_ref: CuTexref, flags: u32) since 2000;
    0x0cf8 absent never fn cuTexRefGetAddress_v2(
        pdptr: *mut CuDevicePtr, tex_ref: CuTexref,
    ) since 3020;
    0x0d00 absent never fn cuTexRefGetArray(array: *mut CuArray, tex_ref: CuTexref) since 2000;
    0x0d08 absent never fn cuTexRefGetMipmappedArray(
        mipmapped_array: *mut CuMipmappedArray, tex_ref: CuTexref,
    ) since 5000;
    0x0d10 absent never fn cuTexRefGetAddressMode(
        pam: *mut CuAddressMode, tex_ref: CuTexref, dim: i32,
    ) since 2000;
    0x0d18 absent never fn cuTexRefGetFilterMode(
        pfm: *mut CuFilterMode, tex_ref: CuTexref,
    ) since 2000;
    0x0d20 absent never fn cuTexRefGetFormat(
        format: *mut CuArrayFormat, num_channels: *mut i32, tex_ref: CuTexref,
    ) since 2000;
    0x0d28 absent never fn cuTexRefGetMipmapFilterMode(
        pfm: *mut CuFilterMode, tex_ref: CuTexref,
    ) since 5000;
    0x0d30 absent never fn cuTexRefGetMipmapLevelBias(
        pbias: *mut f32, tex_ref: CuTexref,
    ) since 5000;
    0x0d38 absent never fn cuTexRefGetMipmapLevelClamp(
        pmin_mipmap_level_clamp: *mut f32, pmax_mipmap_level_clamp: *mut f32, tex_ref: CuTexref,
    ) since 5000;
    0x0d40 absent never fn cuTexRefGetMaxAnisotropy(
        pmax_aniso: *mut i32, tex_ref: CuTexref,
    ) since 5000;
    0x0d48 absent never fn cuTexRefGetBorderColor(
        border_color: *mut f32, tex_ref: CuTexref,
    ) since 8000;
    0x0d50 absent never fn cuTexRefGetFlags(flags: *mut u32, tex_ref: CuTexref) since 2000;
    0x0d58 absent never fn cuTexRefCreate(tex_ref: *mut CuTexref) since 2000;
    0x0d60 absent never fn cuTexRefDestroy(tex_ref: CuTexref) since 2000;
    0x0d68 absent never fn cuSurfRefSetArray(
        surf_ref: CuSurfref, array: CuArray, flags: u32,
    ) since 3000;
    0x0d70 absent never fn cuSurfRefGetArray(array: *mut CuArray, surf_ref: CuSurfref) since 3000;
    /// Makes a texture object.
    0x0d78 awaited never fn cuTexObjectCreate(
        tex_object: Out<CuTexObject>, res_desc: *const CudaResourceDesc,
        tex_desc: *const CudaTextureDesc, res_view_desc: *const CudaResourceViewDesc,
    ) since 5000, by hand;
    /// Ends a texture object.
    0x0d80 awaited maybe fn cuTexObjectDestroy(tex_object: CuTexObject) since 5000, by hand;
    /// What a texture object is made of.
    0x0d88 local never fn cuTexObjectGetResourceDesc(
        res_desc: Out<CudaResourceDesc>, tex_object: CuTexObject,
    ) since 5000, by hand;
    /// How a texture object is read.
    0x0d90 local never fn cuTexObjectGetTextureDesc(
        tex_desc: Out<CudaTextureDesc>, tex_object: CuTexObject,
    ) since 5000, by hand;
    /// The part that a texture object shows.
    0x0d98 local never fn cuTexObjectGetResourceViewDesc(
        res_view_desc: Out<CudaResourceViewDesc>, tex_object: CuTexObject,
    ) since 5000, by hand;
    /// Makes a surface object.
    0x0da0 awaited never fn cuSurfObjectCreate(
        surf_object: Out<CuSurfObject>, res_desc: *const CudaResourceDesc,
    ) since 5000, by hand;
    /// Ends a surface object.
    0x0da8 awaited maybe fn cuSurfObjectDestroy(surf_object: CuSurfObject) since 5000, by hand;
    /// What a surface object is made of.
    0x0db0 local never fn cuSurfObjectGetResourceDesc(
        res_desc: Out<CudaResourceDesc>, surf_object: CuSurfObject,
    ) since 5000, by hand;
    0x0db8 absent never fn cuTensorMapEncodeTiled(
        tensor_map: *mut CuTensorMap, tensor_data_type: CuTensorMapDataType, tensor_rank: u32,
        global_address: *mut c_void, global_dim: *const u64, global_strides: *const u64,
        box_dim: *const u32, element_strides: *const u32, interleave: CuTensorMapInterleave,
        swizzle: CuTensorMapSwizzle, l2_promotion: CuTensorMapL2promotion,
        oob_fill: CuTensorMapFloatOOBfill,
    ) since 12000;
    0x0dc0 absent never fn cuTensorMapEncodeIm2col(
        tensor_map: *mut CuTensorMap, tensor_data_type: CuTensorMapDataType, tensor_rank: u32,
        global_address: *mut c_void, global_dim: *const u64, global_strides: *const u64,
        pixel_box_lower_corner: *const i32, pixel_box_upper_corner: *const i32,
        channels_per_pixel: u32, pixels_per_column: u32, element_strides: *const u32,
        interleave: CuTensorMapInterleave, swizzle: CuTensorMapSwizzle,
        l2_promotion: CuTensorMapL2promotion, oob_fill: CuTensorMapFloatOOBfill,
    ) since 12000;
    0x0dc8 absent never fn cuTensorMapEncodeIm2colWide(
        tensor_map: *mut CuTensorMap, tensor_data_type: CuTensorMapDataType, tensor_rank: u32,
        global_address: *mut c_void, global_dim: *const u64, global_strides: *const u64,
        pixel_box_lower_corner_width: i32, pixel_box_upper_corner_width: i32,
        channels_per_pixel: u32, pixels_per_column: u32, element_strides: *const u32,
        interleave: CuTensorMapInterleave, mode: CuTensorMapIm2ColWideMode,
        swizzle: CuTensorMapSwizzle, l2_promotion: CuTensorMapL2promotion,
        oob_fill: CuTensorMapFloatOOBfill,
    ) since 12080;
    0x0dd0 absent never fn cuTensorMapReplaceAddress(
        tensor_map: *mut CuTensorMap, global_address: *mut c_void,
    ) since 12000;
    0x0dd8 absent never fn cuTensorMapSetAllocationClass(
        tensor_map: *mut CuTensorMap, alloc_class: CuTensorMapAllocClass,
        out_alloc_class: *mut CuTensorMapAllocClass,
    ) since 13050;
    /// Whether peer access is possible.
    0x0de0 awaited never fn cuDeviceCanAccessPeer(
        can_access_peer: Out<i32>, dev: CuDevice, peer_dev: CuDevice,
    ) since 4000, client by hand;
    /// Lets kernels reach another device's memory.
    0x0de8 awaited never fn cuCtxEnablePeerAccess(
        peer_context: CuContext, flags: u32,
    ) since 4000, by hand;
    /// Undoes cuCtxEnablePeerAccess.
    0x0df0 awaited maybe fn cuCtxDisablePeerAccess(peer_context: CuContext) since 4000, by hand;
    /// Attribute of a pair of devices.
    0x0df8 awaited never fn cuDeviceGetP2PAttribute(
        value: Out<i32>, attrib: CuDeviceP2PAttribute, src_device: CuDevice, dst_device: CuDevice,
    ) since 8000, client by hand;
    /// Atomic operations on a peer's memory.
    0x0e00 awaited never fn cuDeviceGetP2PAtomicCapabilities(
        capabilities: *mut u32, operations: *const CuAtomicOperation, count: u32,
        src_device: CuDevice, dst_device: CuDevice,
    ) since 13000, by hand;
    0x0e08 absent never fn cuGraphicsUnregisterResource(resource: CuGraphicsResource) since 3000;
    0x0e10 absent never fn cuGraphicsSubResourceGetMappedArray(
        array: *mut CuArray, resource: CuGraphicsResource, array_index: u32, mip_level: u32,
    ) since 3000;
    0x0e18 absent never fn cuGraphicsResourceGetMappedMipmappedArray(
        mipmapped_array: *mut CuMipmappedArray, resource: CuGraphicsResource,
    ) since 5000;
    0x0e20 absent never fn cuGraphicsResourceGetMappedPointer_v2(
        dev_ptr: *mut CuDevicePtr, size: *mut usize, resource: CuGraphicsResource,
    ) since 3020;
    0x0e28 absent never fn cuGraphicsResourceSetMapFlags_v2(
        resource: CuGraphicsResource, flags: u32,
    ) since 6050;
    0x0e30 absent never fn cuGraphicsMapResources(
        count: u32, resources: *mut CuGraphicsResource, stream: CuStream,
    ) since 3000 twin cuGraphicsMapResources_ptsz 7000;
    0x0e38 absent never fn cuGraphicsUnmapResources(
        count: u32, resources: *mut CuGraphicsResource, stream: CuStream,
    ) since 3000 twin cuGraphicsUnmapResources_ptsz 7000;
    /// Address of a driver function.
    0x0e40 local never fn cuGetProcAddress_v2(
        symbol: InStr, pfn: Out<*mut c_void>, cuda_version: i32, flags: u64,
        symbol_status: OptOut<CuDriverProcAddressQueryResult>,
    ) since 12000 twin cuGetProcAddress_v2_ptsz 12000, by hand;
    0x0e48 absent never fn cuCoredumpGetAttribute(
        attrib: CuCoredumpSettings, value: *mut c_void, size: *mut usize,
    ) since 12010;
    0x0e50 absent never fn cuCoredumpGetAttributeGlobal(
        attrib: CuCoredumpSettings, value: *mut c_void, size: *mut usize,
    ) since 12010;
    0x0e58 absent never fn cuCoredumpSetAttribute(
        attrib: CuCoredumpSettings, value: *mut c_void, size: *mut usize,
    ) since 12010;
    0x0e60 absent never fn cuCoredumpSetAttributeGlobal(
        attrib: CuCoredumpSettings, value: *mut c_void, size: *mut usize,
    ) since 12010;
    0x0e68 absent never fn cuCoredumpRegisterStartCallback(
        callback: CuCoredumpStatusCallback, user_data: *mut c_void,
        callback_out: *mut CuCoredumpCallbackHandle,
    ) since 13020;
    0x0e70 absent never fn cuCoredumpRegisterCompleteCallback(
        callback: CuCoredumpStatusCallback, user_data: *mut c_void,
        callback_out: *mut CuCoredumpCallbackHandle,
    ) since 13020;
    0x0e78 absent never fn cuCoredumpDeregisterStartCallback(
        callback: CuCoredumpCallbackHandle,
    ) since 13020;
    0x0e80 absent never fn cuCoredumpDeregisterCompleteCallback(
        callback: CuCoredumpCallbackHandle,
    ) since 13020;
    /// A private table of NVIDIA's runtime.
    0x0e88 local never fn cuGetExportTable(
        export_table: Out<*const c_void>, export_table_id: *const CuUuid,
    ) since 3000, by hand;
    0x0e90 absent never fn cuGreenCtxCreate(
        ctx: *mut CuGreenCtx, desc: CuDevResourceDesc, dev: CuDevice, flags: u32,
    ) since 12040;
    0x0e98 absent never fn cuGreenCtxDestroy(ctx: CuGreenCtx) since 12040;
    0x0ea0 absent never fn cuCtxFromGreenCtx(context: *mut CuContext, ctx: CuGreenCtx) since 12040;
    0x0ea8 absent never fn cuDeviceGetDevResource(
        device: CuDevice, resource: *mut CuDevResource, type_: CuDevResourceType,
    ) since 12040;
    0x0eb0 absent never fn cuCtxGetDevResource(
        ctx: CuContext, resource: *mut CuDevResource, type_: CuDevResourceType,
    ) since 12040;
    0x0eb8 absent never fn cuGreenCtxGetDevResource(
        ctx: CuGreenCtx, resource: *mut CuDevResource, type_: CuDevResourceType,
    ) since 12040;
    0x0ec0 absent never fn cuDevSmResourceSplitByCount(
        result: *mut CuDevResource, nb_groups: *mut u32, input: *const CuDevResource,
        remainder: *mut CuDevResource, flags: u32, min_count: u32,
    ) since 12040;
    0x0ec8 absent never fn cuDevSmResourceSplit(
        result: *mut CuDevResource, nb_groups: u32, input: *const CuDevResource,
        remainder: *mut CuDevResource, flags: u32, group_params: *mut CuDevSmResourceGroupParams,
    ) since 13010;
    0x0ed0 absent never fn cuDevResourceGenerateDesc(
        desc: *mut CuDevResourceDesc, resources: *mut CuDevResource, nb_resources: u32,
    ) since 12040;
    0x0ed8 absent never fn cuGreenCtxRecordEvent(ctx: CuGreenCtx, event: CuEvent) since 12040;
    0x0ee0 absent never fn cuGreenCtxWaitEvent(ctx: CuGreenCtx, event: CuEvent) since 12040;
    0x0ee8 absent never fn cuStreamGetGreenCtx(stream: CuStream, ctx: *mut CuGreenCtx) since 12040;
    0x0ef0 absent never fn cuGreenCtxStreamCreate(
        stream: *mut CuStream, green_ctx: CuGreenCtx, flags: u32, priority: i32,
    ) since 12050;
    0x0ef8 absent never fn cuGreenCtxGetId(
        green_ctx: CuGreenCtx, green_ctx_id: *mut u64,
    ) since 12090;
    0x0f00 absent never fn cuStreamGetDevResource(
        stream: CuStream, resource: *mut CuDevResource, type_: CuDevResourceType,
    ) since 13010 twin cuStreamGetDevResource_ptsz 13010;
    0x0f08 absent never fn cuLogsRegisterCallback(
        callback_func: CuLogsCallback, user_data: *mut c_void,
        callback_out: *mut CuLogsCallbackHandle,
    ) since 12090;
    0x0f10 absent never fn cuLogsUnregisterCallback(callback: CuLogsCallbackHandle) since 12090;
    0x0f18 absent never fn cuLogsCurrent(iterator_out: *mut CuLogIterator, flags: u32) since 12090;
    0x0f20 absent never fn cuLogsDumpToFile(
        iterator: *mut CuLogIterator, path_to_file: *const c_char, flags: u32,
    ) since 12090;
    0x0f28 absent never fn cuLogsDumpToMemory(
        iterator: *mut CuLogIterator, buffer: *mut c_char, size: *mut usize, flags: u32,
    ) since 12090;
    0x0f30 absent never fn cuCheckpointProcessGetRestoreThreadId(
        pid: i32, tid: *mut i32,
    ) since 12080;
    0x0f38 absent never fn cuCheckpointProcessGetState(
        pid: i32, state: *mut CuProcessState,
    ) since 12080;
    0x0f40 absent never fn cuCheckpointProcessLock(
        pid: i32, args: *mut CuCheckpointLockArgs,
    ) since 12080;
    0x0f48 absent never fn cuCheckpointProcessCheckpoint(
        pid: i32, args: *mut CuCheckpointCheckpointArgs,
    ) since 12080;
    0x0f50 absent never fn cuCheckpointProcessRestore(
        pid: i32, args: *mut CuCheckpointRestoreArgs,
    ) since 12080;
    0x0f58 absent never fn cuCheckpointOperationComplete(
        handle: CuCheckpointOperationHandle,
    ) since 13040;
    0x0f60 absent never fn cuCheckpointProcessUnlock(
        pid: i32, args: *mut CuCheckpointUnlockArgs,
    ) since 12080;
    0x0f68 absent never fn cuMemHostRegister(
        p: *mut c_void, bytesize: usize, flags: u32,
    ) since 4000;
    0x0f70 absent never fn cuGraphicsResourceSetMapFlags(
        resource: CuGraphicsResource, flags: u32,
    ) since 3000;
    0x0f78 absent never fn cuLinkCreate(
        num_options: u32, options: *mut CuJitOption, option_values: *mut *mut c_void,
        state_out: *mut CuLinkState,
    ) since 5050;
    0x0f80 absent never fn cuLinkAddData(
        state: CuLinkState, type_: CuJitInputType, data: *mut c_void, size: usize,
        name: *const c_char, num_options: u32, options: *mut CuJitOption,
        option_values: *mut *mut c_void,
    ) since 5050;
    0x0f88 absent never fn cuLinkAddFile(
        state: CuLinkState, type_: CuJitInputType, path: *const c_char, num_options: u32,
        options: *mut CuJitOption, option_values: *mut *mut c_void,
    ) since 5050;
    0x0f90 absent never fn cuTexRefSetAddress2D_v2(
        tex_ref: CuTexref, desc: *const CudaArrayDescriptor, dptr: CuDevicePtr, pitch: usize,
    ) since 3020;
    0x0f98 absent never fn cuDeviceTotalMem(bytes: *mut u32, dev: CuDevice) since 2000;
    0x0fa0 absent never fn cuCtxCreate(pctx: *mut CuContext, flags: u32, dev: CuDevice) since 2000;
    /// Creates a context and makes it current.
    0x0fa8 awaited maybe fn cuCtxCreate_v2(
        pctx: Out<CuContext>, flags: u32, dev: CuDevice,
    ) since 3020, by hand;
    0x0fb0 absent never fn cuCtxCreate_v3(
        pctx: *mut CuContext, params_array: *mut CuExecAffinityParam, num_params: i32, flags: u32,
        dev: CuDevice,
    ) since 11040;
    0x0fb8 absent never fn cuModuleGetGlobal(
        dptr: *mut CuDevicePtrV1, bytes: *mut u32, hmod: CuModule, name: *const c_char,
    ) since 2000;
    0x0fc0 absent never fn cuMemGetInfo(free: *mut u32, total: *mut u32) since 2000;
    0x0fc8 absent never fn cuMemAlloc(dptr: *mut CuDevicePtrV1, bytesize: u32) since 2000;
    0x0fd0 absent never fn cuMemAllocPitch(
        dptr: *mut CuDevicePtrV1, pitch: *mut u32, width_in_bytes: u32, height: u32,
        element_size_bytes: u32,
    ) since 2000;
    0x0fd8 absent never fn cuMemFree(dptr: CuDevicePtrV1) since 2000;
    0x0fe0 absent never fn cuMemGetAddressRange(
        pbase: *mut CuDevicePtrV1, psize: *mut u32, dptr: CuDevicePtrV1,
    ) since 2000;
    0x0fe8 absent never fn cuMemAllocHost(pp: *mut *mut c_void, bytesize: u32) since 2000;
    0x0ff0 absent never fn cuMemHostGetDevicePointer(
        pdptr: *mut CuDevicePtrV1, p: *mut c_void, flags: u32,
    ) since 2020;
    0x0ff8 absent never fn cuMemcpyHtoD(
        dst_device: CuDevicePtrV1, src_host: *const c_void, byte_count: u32,
    ) since 2000;
    0x1000 absent never fn cuMemcpyDtoH(
        dst_host: *mut c_void, src_device: CuDevicePtrV1, byte_count: u32,
    ) since 2000;
    0x1008 absent never fn cuMemcpyDtoD(
        dst_device: CuDevicePtrV1, src_device: CuDevicePtrV1, byte_count: u32,
    ) since 2000;
    0x1010 absent never fn cuMemcpyDtoA(
        dst_array: CuArray, dst_offset: u32, src_device: CuDevicePtrV1, byte_count: u32,
    ) since 2000;
    0x1018 absent never fn cuMemcpyAtoD(
        dst_device: CuDevicePtrV1, src_array: CuArray, src_offset: u32, byte_count: u32,
    ) since 2000;
    0x1020 absent never fn cuMemcpyHtoA(
        dst_array: CuArray, dst_offset: u32, src_host: *const c_void, byte_count: u32,
    ) since 2000;
    0x1028 absent never fn cuMemcpyAtoH(
        dst_host: *mut c_void, src_array: CuArray, src_offset: u32, byte_count: u32,
    ) since 2000;
    0x1030 absent never fn cuMemcpyAtoA(
        dst_array: CuArray, dst_offset: u32, src_array: CuArray, src_offset: u32, byte_count: u32,
    ) since 2000;
    0x1038 absent never fn cuMemcpyHtoAAsync(
        dst_array: CuArray, dst_offset: u32, src_host: *const c_void, byte_count: u32,
        stream: CuStream,
    ) since 2000;
    0x1040 absent never fn cuMemcpyAtoHAsync(
        dst_host: *mut c_void, src_array: CuArray, src_offset: u32, byte_count: u32,
        stream: CuStream,
    ) since 2000;
    0x1048 absent never fn cuMemcpy2D(copy: *const CudaMemcpy2dV1) since 2000;
    0x1050 absent never fn cuMemcpy2DUnaligned(copy: *const CudaMemcpy2dV1) since 2000;
    0x1058 absent never fn cuMemcpy3D(copy: *const CudaMemcpy3dV1) since 2000;
    0x1060 absent never fn cuMemcpyHtoDAsync(
        dst_device: CuDevicePtrV1, src_host: *const c_void, byte_count: u32, stream: CuStream,
    ) since 2000;
    0x1068 absent never fn cuMemcpyDtoHAsync(
        dst_host: *mut c_void, src_device: CuDevicePtrV1, byte_count: u32, stream: CuStream,
    ) since 2000;
    0x1070 absent never fn cuMemcpyDtoDAsync(
        dst_device: CuDevicePtrV1, src_device: CuDevicePtrV1, byte_count: u32, stream: CuStream,
    ) since 3000;
    0x1078 absent never fn cuMemcpy2DAsync(
        copy: *const CudaMemcpy2dV1, stream: CuStream,
    ) since 2000;
    0x1080 absent never fn cuMemcpy3DAsync(
        copy: *const CudaMemcpy3dV1, stream: CuStream,
    ) since 2000;
    0x1088 absent never fn cuMemsetD8(dst_device: CuDevicePtrV1, uc: u8, n: u32) since 2000;
    0x1090 absent never fn cuMemsetD16(dst_device: CuDevicePtrV1, us: u16, n: u32) since 2000;
    0x1098 absent never fn cuMemsetD32(dst_device: CuDevicePtrV1, ui: u32, n: u32) since 2000;
    0x10a0 absent never fn cuMemsetD2D8(
        dst_device: CuDevicePtrV1, dst_pitch: u32, uc: u8, width: u32, height: u32,
    ) since 2000;
    0x10a8 absent never fn cuMemsetD2D16(
        dst_device: CuDevicePtrV1, dst_pitch: u32, us: u16, width: u32, height: u32,
    ) since 2000;
    0x10b0 absent never fn cuMemsetD2D32(
        dst_device: CuDevicePtrV1, dst_pitch: u32, ui: u32, width: u32, height: u32,
    ) since 2000;
    0x10b8 absent never fn cuArrayCreate(
        handle: *mut CuArray, allocate_array: *const CudaArrayDescriptorV1,
    ) since 2000;
    0x10c0 absent never fn cuArrayGetDescriptor(
        array_descriptor: *mut CudaArrayDescriptorV1, array: CuArray,
    ) since 2000;
    0x10c8 absent never fn cuArray3DCreate(
        handle: *mut CuArray, allocate_array: *const CudaArray3dDescriptorV1,
    ) since 2000;
    0x10d0 absent never fn cuArray3DGetDescriptor(
        array_descriptor: *mut CudaArray3dDescriptorV1, array: CuArray,
    ) since 2000;
    0x10d8 absent never fn cuTexRefSetAddress(
        byte_offset: *mut u32, tex_ref: CuTexref, dptr: CuDevicePtrV1, bytes: u32,
    ) since 2000;
    0x10e0 absent never fn cuTexRefSetAddress2D(
        tex_ref: CuTexref, desc: *const CudaArrayDescriptorV1, dptr: CuDevicePtrV1, pitch: u32,
    ) since 2020;
    0x10e8 absent never fn cuTexRefGetAddress(
        pdptr: *mut CuDevicePtrV1, tex_ref: CuTexref,
    ) since 2000;
    0x10f0 absent never fn cuGraphicsResourceGetMappedPointer(
        dev_ptr: *mut CuDevicePtrV1, size: *mut u32, resource: CuGraphicsResource,
    ) since 3000;
    0x10f8 absent never fn cuCtxDestroy(ctx: CuContext) since 2000;
    0x1100 absent never fn cuCtxPopCurrent(pctx: *mut CuContext) since 2000;
    0x1108 absent never fn cuCtxPushCurrent(ctx: CuContext) since 2000;
    0x1110 absent never fn cuStreamDestroy(stream: CuStream) since 2000;
    0x1118 absent never fn cuEventDestroy(event: CuEvent) since 2000;
    /// Milliseconds between two events.
    0x1120 awaited never fn cuEventElapsedTime(
        milliseconds: Out<f32>, start: CuEvent, end: CuEvent,
    ) since 2000, server by hand;
    /// Releases the primary context; the last release leaves it for the session to clean up.
    0x1128 local never fn cuDevicePrimaryCtxRelease(dev: CuDevice) since 7000, by hand;
    /// Destroys all that the primary context holds.
    0x1130 awaited maybe fn cuDevicePrimaryCtxReset(dev: CuDevice) since 7000, by hand;
    /// Flags of the primary context.
    0x1138 local never fn cuDevicePrimaryCtxSetFlags(dev: CuDevice, flags: u32) since 7000, by hand;
    /// UUID of a device.
    0x1140 local never fn cuDeviceGetUuid(uuid: Out<CuUuid>, dev: CuDevice) since 9020, by hand;
    /// Many copies in one call.
    0x1148 local never fn cuMemcpyBatchAsync(
        dsts: *mut CuDevicePtr, srcs: *mut CuDevicePtr, sizes: *mut usize, count: usize,
        attrs: *mut CuMemcpyAttributes, attrs_idxs: *mut usize, num_attrs: usize,
        fail_idx: *mut usize, stream: CuStream,
    ) since 12080 twin cuMemcpyBatchAsync_ptsz 12080, by hand;
    /// Many copies of rows in one call.
    0x1150 local never fn cuMemcpy3DBatchAsync(
        num_ops: usize, op_list: *mut CudaMemcpy3dBatchOp, fail_idx: *mut usize, flags: u64,
        stream: CuStream,
    ) since 12080 twin cuMemcpy3DBatchAsync_ptsz 12080, by hand;
    0x1158 absent never fn cuStreamWriteValue32(
        stream: CuStream, addr: CuDevicePtr, value: u32, flags: u32,
    ) since 8000 twin cuStreamWriteValue32_ptsz 8000;
    0x1160 absent never fn cuStreamWaitValue32(
        stream: CuStream, addr: CuDevicePtr, value: u32, flags: u32,
    ) since 8000 twin cuStreamWaitValue32_ptsz 8000;
    0x1168 absent never fn cuStreamWriteValue64(
        stream: CuStream, addr: CuDevicePtr, value: u64, flags: u32,
    ) since 9000 twin cuStreamWriteValue64_ptsz 9000;
    0x1170 absent never fn cuStreamWaitValue64(
        stream: CuStream, addr: CuDevicePtr, value: u64, flags: u32,
    ) since 9000 twin cuStreamWaitValue64_ptsz 9000;
    0x1178 absent never fn cuStreamBatchMemOp(
        stream: CuStream, count: u32, param_array: *mut CuStreamBatchMemOpParams, flags: u32,
    ) since 8000 twin cuStreamBatchMemOp_ptsz 8000;
    /// Says where managed memory is used next.
    0x1180 local never fn cuMemPrefetchAsync(
        dev_ptr: CuDevicePtr, count: usize, dst_device: CuDevice, stream: CuStream,
    ) since 8000 twin cuMemPrefetchAsync_ptsz 8000, by hand;
    /// Says how managed memory is used.
    0x1188 local never fn cuMemAdvise(
        dev_ptr: CuDevicePtr, count: usize, advice: CuMemAdvise, device: CuDevice,
    ) since 8000, by hand;
    0x1190 absent never fn cuStreamBeginCapture(
        stream: CuStream,
    ) since 10000 twin cuStreamBeginCapture_ptsz 10000;
    0x1198 absent never fn cuStreamGetCaptureInfo(
        stream: CuStream, capture_status_out: *mut CuStreamCaptureStatus, id_out: *mut u64,
    ) since 10010 twin cuStreamGetCaptureInfo_ptsz 10010;
    /// State of a capture.
    0x11a0 local never fn cuStreamGetCaptureInfo_v2(
        stream: CuStream, capture_status_out: Out<CuStreamCaptureStatus>, id_out: OptOut<u64>,
        graph_out: *mut CuGraph, dependencies_out: *mut *const CuGraphNode,
        num_dependencies_out: *mut usize,
    ) since 11030 twin cuStreamGetCaptureInfo_v2_ptsz 11030, by hand;
    0x11a8 absent never fn cuGraphAddKernelNode(
        graph_node: *mut CuGraphNode, graph: CuGraph, dependencies: *const CuGraphNode,
        num_dependencies: usize, node_params: *const CudaKernelNodeParamsV1,
    ) since 10000;
    0x11b0 absent never fn cuGraphKernelNodeGetParams(
        node: CuGraphNode, node_params: *mut CudaKernelNodeParamsV1,
    ) since 10000;
    0x11b8 absent never fn cuGraphKernelNodeSetParams(
        node: CuGraphNode, node_params: *const CudaKernelNodeParamsV1,
    ) since 10000;
    0x11c0 absent never fn cuGraphExecKernelNodeSetParams(
        graph_exec: CuGraphExec, node: CuGraphNode, node_params: *const CudaKernelNodeParamsV1,
    ) since 10010;
    0x11c8 absent never fn cuGraphExecUpdate(
        graph_exec: CuGraphExec, graph: CuGraph, error_node_out: *mut CuGraphNode,
        update_result_out: *mut CuGraphExecUpdateResult,
    ) since 10020;
    /// Edges of a graph.
    0x11d0 local never fn cuGraphGetEdges(
        graph: CuGraph, from: *mut CuGraphNode, to: *mut CuGraphNode, num_edges: *mut usize,
    ) since 10000, by hand;
    /// What a node waits for.
    0x11d8 local never fn cuGraphNodeGetDependencies(
        node: CuGraphNode, dependencies: *mut CuGraphNode, num_dependencies: *mut usize,
    ) since 10000, by hand;
    /// What waits for a node.
    0x11e0 local never fn cuGraphNodeGetDependentNodes(
        node: CuGraphNode, dependent_nodes: *mut CuGraphNode, num_dependent_nodes: *mut usize,
    ) since 10000, by hand;
    /// Adds edges.
    0x11e8 local never fn cuGraphAddDependencies(
        graph: CuGraph, from: *const CuGraphNode, to: *const CuGraphNode, num_dependencies: usize,
    ) since 10000, by hand;
    /// Removes edges.
    0x11f0 local never fn cuGraphRemoveDependencies(
        graph: CuGraph, from: *const CuGraphNode, to: *const CuGraphNode, num_dependencies: usize,
    ) since 10000, by hand;
    /// Adds a node of any kind.
    0x11f8 local never fn cuGraphAddNode(
        graph_node: *mut CuGraphNode, graph: CuGraph, dependencies: *const CuGraphNode,
        num_dependencies: usize, node_params: *mut CuGraphNodeParams,
    ) since 12020, by hand;
    0x1200 absent never fn cuIpcOpenMemHandle(
        pdptr: *mut CuDevicePtr, handle: CuIpcMemHandle, flags: u32,
    ) since 4010;
    /// Makes a graph executable.
    0x1208 local never fn cuGraphInstantiate(
        graph_exec: *mut CuGraphExec, graph: CuGraph, error_node: *mut CuGraphNode,
        log_buffer: *mut c_char, buffer_size: usize,
    ) since 10000, by hand;
    /// Makes a graph executable.
    0x1210 local never fn cuGraphInstantiate_v2(
        graph_exec: *mut CuGraphExec, graph: CuGraph, error_node: *mut CuGraphNode,
        log_buffer: *mut c_char, buffer_size: usize,
    ) since 11000, by hand;
    /// Changes what the next node of a captured stream comes after.
    0x1218 local never fn cuStreamUpdateCaptureDependencies(
        stream: CuStream, dependencies: *mut CuGraphNode, num_dependencies: usize, flags: u32,
    ) since 11030 twin cuStreamUpdateCaptureDependencies_ptsz 11030, by hand;
    /// Address of a driver function.
    0x1220 local never fn cuGetProcAddress(
        symbol: InStr, pfn: Out<*mut c_void>, cuda_version: i32, flags: u64,
    ) since 11030, by hand;
    0x1228 absent never fn cuProfilerInitialize(
        config_file: *const c_char, output_file: *const c_char, output_mode: CuOutputMode,
    ) since 4000;
    /// A mark for profilers, of which there are none: taken and ignored.
    0x1230 local never fn cuProfilerStart() since 4000, by hand;
    /// A mark for profilers, of which there are none: taken and ignored.
    0x1238 local never fn cuProfilerStop() since 4000, by hand;
    0x1240 absent never fn cuGraphicsGLRegisterBuffer(
        cuda_resource: *mut CuGraphicsResource, buffer: u32, flags: u32,
    ) since 3000;
    0x1248 absent never fn cuGraphicsGLRegisterImage(
        cuda_resource: *mut CuGraphicsResource, image: u32, target: u32, flags: u32,
    ) since 3000;
    0x1250 absent never fn cuGLGetDevices(
        cuda_device_count: *mut u32, cuda_devices: *mut CuDevice, cuda_device_count_2: u32,
        device_list: CuGLDeviceList,
    ) since 4010;
    0x1258 absent never fn cuGLGetDevices_v2(
        cuda_device_count: *mut u32, cuda_devices: *mut CuDevice, cuda_device_count_2: u32,
        device_list: CuGLDeviceList,
    ) since 6050;
    0x1260 absent never fn cuGLCtxCreate(
        ctx: *mut CuContext, flags: u32, device: CuDevice,
    ) since 2000;
    0x1268 absent never fn cuGLInit() since 2000;
    0x1270 absent never fn cuGraphicsEGLRegisterImage(
        cuda_resource: *mut CuGraphicsResource, image: *mut c_void, flags: u32,
    ) since 7000;
    0x1278 absent never fn cuEGLStreamConsumerConnect(
        conn: *mut CuEglStreamConnection, stream: *mut c_void,
    ) since 7000;
    0x1280 absent never fn cuGraphicsVDPAURegisterVideoSurface(
        cuda_resource: *mut CuGraphicsResource, vdp_surface: u32, flags: u32,
    ) since 3010;
    0x1288 absent never fn cuVDPAUGetDevice(
        device: *mut CuDevice, vdp_device: u32, vdp_get_proc_address: *mut VdpGetProcAddress,
    ) since 3010;
} } }
