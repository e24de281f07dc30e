// Calls of the driver that its runtime makes rarely or never: values in streams, events of
// contexts, attributes of streams, batches of copies, launches as of CUDA 3, counted objects.
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cuda.h>

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

static const char PTX[] =
    ".version 7.0\n"
    ".target sm_70\n"
    ".address_size 64\n"
    ".visible .entry add(.param .u64 values, .param .u32 by, .param .f32 half)\n"
    "{\n"
    "    .reg .f32 %f<3>;\n"
    "    .reg .b32 %r<8>;\n"
    "    .reg .b64 %rd<5>;\n"
    "    ld.param.u64 %rd1, [values];\n"
    "    ld.param.u32 %r1, [by];\n"
    "    ld.param.f32 %f1, [half];\n"
    "    cvt.rzi.s32.f32 %r6, %f1;\n"
    "    mov.u32 %r3, %ctaid.x;\n"
    "    mov.u32 %r4, %ntid.x;\n"
    "    mov.u32 %r5, %tid.x;\n"
    "    mad.lo.s32 %r7, %r3, %r4, %r5;\n"
    "    cvta.to.global.u64 %rd2, %rd1;\n"
    "    mul.wide.u32 %rd3, %r7, 4;\n"
    "    add.s64 %rd4, %rd2, %rd3;\n"
    "    ld.global.u32 %r2, [%rd4];\n"
    "    add.s32 %r2, %r2, %r1;\n"
    "    add.s32 %r2, %r2, %r6;\n"
    "    st.global.u32 [%rd4], %r2;\n"
    "    ret;\n"
    "}\n";

#define TEXT(name) #name
#define SYMBOL(name) TEXT(name)
#define CALLS(X)                                                                                   \
    X(cuInit) X(cuDeviceGet) X(cuDevicePrimaryCtxRetain) X(cuDevicePrimaryCtxRelease)              \
    X(cuCtxSetCurrent) X(cuCtxGetCurrent) X(cuCtxGetFlags) X(cuCtxSetFlags) X(cuCtxAttach)         \
    X(cuCtxDetach) X(cuCtxSynchronize) X(cuCtxResetPersistingL2Cache) X(cuCtxGetExecAffinity)      \
    X(cuDeviceGetExecAffinitySupport) X(cuDeviceGetTexture1DLinearMaxWidth)                        \
    X(cuDeviceGetHostAtomicCapabilities) X(cuDeviceGetP2PAtomicCapabilities)                       \
    X(cuDeviceCanAccessPeer) X(cuDeviceGetP2PAttribute) X(cuCtxEnablePeerAccess)                   \
    X(cuCtxDisablePeerAccess) X(cuCtxRecordEvent) X(cuCtxWaitEvent) X(cuEventCreate)               \
    X(cuEventDestroy) X(cuEventQuery) X(cuEventSynchronize) X(cuStreamCreate)                      \
    X(cuStreamCreateWithPriority) X(cuStreamDestroy) X(cuStreamQuery) X(cuStreamSynchronize)       \
    X(cuStreamWaitEvent) X(cuStreamGetPriority) X(cuStreamGetAttribute) X(cuStreamSetAttribute)    \
    X(cuStreamCopyAttributes) X(cuStreamWaitValue32) X(cuStreamWaitValue64)                        \
    X(cuStreamWriteValue32) X(cuStreamWriteValue64) X(cuStreamBatchMemOp) X(cuMemAlloc)            \
    X(cuMemFree) X(cuMemAllocHost) X(cuMemFreeHost) X(cuMemcpyHtoD) X(cuMemcpyDtoH)                \
    X(cuMemcpyHtoDAsync) X(cuMemsetD32) X(cuMemsetD32Async) X(cuModuleLoadData)                    \
    X(cuModuleGetFunction) X(cuModuleUnload) X(cuFuncSetBlockShape) X(cuFuncSetSharedSize)         \
    X(cuParamSetSize) X(cuParamSeti) X(cuParamSetf) X(cuParamSetv) X(cuLaunch) X(cuLaunchGrid)     \
    X(cuLaunchGridAsync) X(cuLibraryLoadData) X(cuLibraryUnload) X(cuLibraryGetUnifiedFunction)    \
    X(cuUserObjectCreate) X(cuUserObjectRetain) X(cuUserObjectRelease) X(cuMemcpyBatchAsync)       \
    X(cuMemcpy3DBatchAsync) X(cuGetErrorName) X(cuMemHostGetDevicePointer)
#define DECLARE(name) static __typeof__(name) *call_##name;
CALLS(DECLARE)

static void look_up(void)
{
    void *library = dlopen("libcuda.so.1", RTLD_NOW);
    if (!library) {
        fprintf(stderr, "%s\n", dlerror());
        exit(3);
    }
#define LOOK_UP(name)                                                                              \
    *(void **)&call_##name = dlsym(library, SYMBOL(name));                                         \
    if (!call_##name) {                                                                            \
        fprintf(stderr, "no %s\n", SYMBOL(name));                                                  \
        exit(3);                                                                                   \
    }
    CALLS(LOOK_UP)
}

static const char *name_of(CUresult status)
{
    const char *name = "?";
    call_cuGetErrorName(status, &name);
    return name;
}

// Every code is told, right or wrong.
#define TELL(call) printf("%s: %s\n", #call, name_of(call_##call))
#define MUST(call) must(#call, call_##call)

static void must(const char *what, CUresult status)
{
    if (status == CUDA_SUCCESS) return;
    fprintf(stderr, "%s: %s\n", what, name_of(status));
    exit(3);
}

enum { LEN = 4096 };

static void tell_values(const char *what, CUdeviceptr memory)
{
    uint32_t values[LEN];
    uint64_t sum = 1469598103934665603ull;
    MUST(cuMemcpyDtoH(values, memory, sizeof values));
    for (int i = 0; i < LEN; ++i) sum = (sum ^ values[i]) * 1099511628211ull;
    printf("%s: first %u last %u sum %016llx\n", what, values[0], values[LEN - 1],
           (unsigned long long)sum);
}

static void values_in_streams(CUstream stream, CUstream other, CUdeviceptr memory)
{
    CUdeviceptr flag = memory, wide = memory + 8;
    uint32_t *source;
    MUST(cuMemAllocHost((void **)&source, LEN * 4));
    for (int i = 0; i < LEN; ++i) source[i] = 1;
    CUdeviceptr target;
    MUST(cuMemAlloc(&target, LEN * 4));
    MUST(cuMemsetD32(memory, 0, 8));
    MUST(cuCtxSynchronize());
    TELL(cuStreamWaitValue32(stream, flag, 5, CU_STREAM_WAIT_VALUE_EQ));
    TELL(cuStreamWaitValue64(stream, wide, 6, CU_STREAM_WAIT_VALUE_GEQ));
    // The source is written after the copy was asked for, and before its stream gets there.
    MUST(cuMemcpyHtoDAsync(target, source, LEN * 4, stream));
    TELL(cuStreamQuery(stream));
    for (int i = 0; i < LEN; ++i) source[i] = 3 * i;
    TELL(cuStreamWriteValue32(other, flag, 5, 0));
    TELL(cuStreamWriteValue64(other, wide, 7, 0));
    MUST(cuStreamSynchronize(stream));
    tell_values("written behind a wait", target);
    CUstreamBatchMemOpParams batch[3];
    memset(batch, 0, sizeof batch);
    batch[0].operation = CU_STREAM_MEM_OP_WRITE_VALUE_32;
    batch[0].writeValue.address = target;
    batch[0].writeValue.value = 77;
    batch[1].operation = CU_STREAM_MEM_OP_WAIT_VALUE_32;
    batch[1].waitValue.address = target;
    batch[1].waitValue.value = 77;
    batch[1].waitValue.flags = CU_STREAM_WAIT_VALUE_EQ;
    batch[2].operation = CU_STREAM_MEM_OP_WRITE_VALUE_64;
    batch[2].writeValue.address = target + 4 * (LEN - 2);
    batch[2].writeValue.value64 = 88;
    TELL(cuStreamBatchMemOp(stream, 3, batch, 0));
    MUST(cuStreamSynchronize(stream));
    tell_values("batch", target);
    TELL(cuStreamBatchMemOp(stream, 3, batch, 1));
    TELL(cuStreamBatchMemOp(stream, 257, batch, 0));
    TELL(cuStreamBatchMemOp(stream, 1, NULL, 0));
    TELL(cuStreamWaitValue32(stream, 0, 0, 0));
    TELL(cuStreamWaitValue32(stream, 4096, 0, 0));
    TELL(cuStreamWaitValue32(stream, target + 2, 0, 0));
    TELL(cuStreamWriteValue32(stream, target, 0, 7));
    MUST(cuMemFree(target));
    MUST(cuMemFreeHost(source));
}

// Flags that the host uses as well, by their device address and by their own.
static void values_in_host_memory(CUstream stream, CUstream other)
{
    volatile uint32_t *flags;
    CUdeviceptr device;
    MUST(cuMemAllocHost((void **)&flags, 64));
    for (int i = 0; i < 4; ++i) flags[i] = 0;
    MUST(cuMemHostGetDevicePointer(&device, (void *)flags, 0));
    TELL(cuStreamWriteValue32(stream, device + 4, 11, 0));
    MUST(cuStreamSynchronize(stream));
    printf("written to the host: %u\n", flags[1]);
    flags[0] = 21;
    TELL(cuStreamWaitValue32(stream, device, 21, CU_STREAM_WAIT_VALUE_GEQ));
    TELL(cuStreamWriteValue32(stream, (CUdeviceptr)(uintptr_t)&flags[2], 12, 0));
    TELL(cuStreamWaitValue32(stream, device, 22, CU_STREAM_WAIT_VALUE_GEQ));
    TELL(cuStreamWriteValue32(stream, device + 12, 13, 0));
    flags[0] = 22;
    MUST(cuStreamSynchronize(stream));
    printf("written behind stores of the host: %u %u\n", flags[2], flags[3]);
    MUST(cuStreamSynchronize(other));
    MUST(cuMemFreeHost((void *)flags));
}

static void events_of_contexts(CUcontext context, CUstream stream, CUstream other,
                               CUdeviceptr memory)
{
    CUevent event;
    MUST(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
    MUST(cuMemsetD32(memory, 0, 8));
    MUST(cuCtxSynchronize());
    MUST(cuStreamWaitValue32(stream, memory, 1, CU_STREAM_WAIT_VALUE_EQ));
    TELL(cuCtxRecordEvent(context, event));
    TELL(cuEventQuery(event));
    MUST(cuStreamWriteValue32(other, memory, 1, 0));
    TELL(cuEventSynchronize(event));
    TELL(cuEventQuery(event));
    TELL(cuCtxWaitEvent(context, event));
    TELL(cuCtxRecordEvent((CUcontext)64, event));
    TELL(cuCtxRecordEvent(context, NULL));
    TELL(cuCtxWaitEvent(NULL, event));
    TELL(cuCtxWaitEvent(context, NULL));
    MUST(cuCtxSynchronize());
    MUST(cuEventDestroy(event));
}

static void attributes_of_streams(CUstream stream, CUstream other)
{
    CUstreamAttrValue value;
    memset(&value, 0, sizeof value);
    TELL(cuStreamGetAttribute(stream, CU_STREAM_ATTRIBUTE_PRIORITY, &value));
    printf("priority %d\n", value.priority);
    TELL(cuStreamGetAttribute(stream, CU_STREAM_ATTRIBUTE_SYNCHRONIZATION_POLICY, &value));
    printf("policy %d\n", (int)value.syncPolicy);
    value.syncPolicy = CU_SYNC_POLICY_YIELD;
    TELL(cuStreamSetAttribute(stream, CU_STREAM_ATTRIBUTE_SYNCHRONIZATION_POLICY, &value));
    memset(&value, 0, sizeof value);
    value.priority = -2;
    TELL(cuStreamSetAttribute(stream, CU_STREAM_ATTRIBUTE_PRIORITY, &value));
    TELL(cuStreamCopyAttributes(other, stream));
    TELL(cuStreamGetAttribute(other, CU_STREAM_ATTRIBUTE_SYNCHRONIZATION_POLICY, &value));
    int priority = 0;
    MUST(cuStreamGetPriority(other, &priority));
    printf("copied policy %d, priority %d\n", (int)value.syncPolicy, priority);
    TELL(cuStreamGetAttribute(stream, (CUstreamAttrID)99, &value));
    TELL(cuStreamSetAttribute(stream, CU_STREAM_ATTRIBUTE_PRIORITY, NULL));
    TELL(cuStreamGetAttribute(stream, CU_STREAM_ATTRIBUTE_PRIORITY, NULL));
    TELL(cuStreamCopyAttributes((CUstream)64, stream));
}

static void contexts_and_devices(CUdevice device, CUcontext context)
{
    unsigned flags = 0, capabilities[3];
    CUcontext attached = NULL;
    TELL(cuCtxSetFlags(CU_CTX_SCHED_YIELD));
    MUST(cuCtxGetFlags(&flags));
    printf("flags %u\n", flags & CU_CTX_SCHED_MASK);
    TELL(cuCtxSetFlags(3));
    TELL(cuCtxAttach(&attached, 0));
    printf("attached %d\n", attached == context);
    TELL(cuCtxAttach(&attached, 1));
    TELL(cuCtxAttach(NULL, 0));
    TELL(cuCtxDetach(attached));
    TELL(cuCtxDetach((CUcontext)64));
    TELL(cuCtxResetPersistingL2Cache());
    CUexecAffinityParam affinity;
    memset(&affinity, 0, sizeof affinity);
    int supported = -1, can = -1;
    TELL(cuDeviceGetExecAffinitySupport(&supported, CU_EXEC_AFFINITY_TYPE_SM_COUNT, device));
    TELL(cuDeviceGetExecAffinitySupport(&supported, (CUexecAffinityType)5, device));
    TELL(cuCtxGetExecAffinity(&affinity, CU_EXEC_AFFINITY_TYPE_SM_COUNT));
    printf("affinity %d, multiprocessors %u\n", supported, affinity.param.smCount.val);
    size_t width = 0;
    TELL(cuDeviceGetTexture1DLinearMaxWidth(&width, CU_AD_FORMAT_FLOAT, 4, device));
    printf("width %zu\n", width);
    TELL(cuDeviceGetTexture1DLinearMaxWidth(&width, CU_AD_FORMAT_FLOAT, 3, device));
    TELL(cuDeviceGetTexture1DLinearMaxWidth(&width, CU_AD_FORMAT_FLOAT, 1, 9));
    CUatomicOperation operations[3] = {(CUatomicOperation)0, (CUatomicOperation)9,
                                       (CUatomicOperation)10};
    TELL(cuDeviceGetHostAtomicCapabilities(capabilities, operations, 3, device));
    printf("host atomics %u %u %u\n", capabilities[0], capabilities[1], capabilities[2]);
    TELL(cuDeviceGetHostAtomicCapabilities(capabilities, operations, 0, device));
    TELL(cuDeviceGetP2PAtomicCapabilities(capabilities, operations, 3, device, device));
    TELL(cuDeviceCanAccessPeer(&can, device, device));
    printf("peer of itself %d\n", can);
    TELL(cuDeviceGetP2PAttribute(&can, CU_DEVICE_P2P_ATTRIBUTE_ACCESS_SUPPORTED, device, device));
    TELL(cuCtxEnablePeerAccess(context, 0));
    TELL(cuCtxEnablePeerAccess((CUcontext)64, 0));
    TELL(cuCtxDisablePeerAccess(context));
}

static void launches_of_cuda_3(CUfunction add, CUstream stream, CUdeviceptr memory)
{
    int by = 5;
    MUST(cuMemsetD32(memory, 1, LEN));
    TELL(cuFuncSetBlockShape(add, 128, 1, 1));
    TELL(cuFuncSetBlockShape(add, 0, 1, 1));
    TELL(cuFuncSetSharedSize(add, 64));
    TELL(cuParamSetSize(add, 16));
    TELL(cuParamSetv(add, 0, &memory, sizeof memory));
    TELL(cuParamSeti(add, 8, 3));
    TELL(cuParamSetf(add, 12, 2.5f));
    TELL(cuLaunchGrid(add, LEN / 128, 1));
    MUST(cuCtxSynchronize());
    TELL(cuParamSetv(add, 8, &by, sizeof by));
    TELL(cuLaunchGridAsync(add, LEN / 256, 1, stream));
    MUST(cuStreamSynchronize(stream));
    TELL(cuLaunch(add));
    tell_values("launches", memory);
    TELL(cuLaunchGrid(add, -1, 1));
    TELL(cuParamSeti(add, -4, 3));
    TELL(cuParamSetSize(add, 1 << 20));
    TELL(cuLaunch((CUfunction)64));
}

static void batches(CUstream stream, CUdeviceptr memory)
{
    uint32_t *source;
    MUST(cuMemAllocHost((void **)&source, LEN * 4));
    for (int i = 0; i < LEN; ++i) source[i] = i * i;
    size_t half = LEN * 2, first = 0, third = 3;
    CUdeviceptr to[3] = {memory + half, memory, memory};
    CUdeviceptr from[3] = {(CUdeviceptr)source, (CUdeviceptr)source + half, memory + half};
    size_t sizes[3] = {half, half, 64};
    CUmemcpyAttributes attributes[2];
    memset(attributes, 0, sizeof attributes);
    attributes[0].srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_STREAM;
    TELL(cuMemcpyBatchAsync(to, from, sizes, 3, attributes, &first, 1, stream));
    MUST(cuStreamSynchronize(stream));
    tell_values("batch of copies", memory);
    attributes[0].srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_DURING_API_CALL;
    TELL(cuMemcpyBatchAsync(to, from, sizes, 2, attributes, &first, 1, stream));
    source[0] = source[LEN / 2] = 12345;
    MUST(cuStreamSynchronize(stream));
    tell_values("read during the call", memory);
    TELL(cuMemcpyBatchAsync(to, from, sizes, 3, attributes, &third, 1, stream));
    TELL(cuMemcpyBatchAsync(to, from, sizes, 0, attributes, &first, 1, stream));
    to[1] = 0;
    TELL(cuMemcpyBatchAsync(to, from, sizes, 3, attributes, &first, 1, stream));
    CUDA_MEMCPY3D_BATCH_OP rows;
    memset(&rows, 0, sizeof rows);
    rows.src.type = rows.dst.type = CU_MEMCPY_OPERAND_TYPE_POINTER;
    rows.src.op.ptr.ptr = (CUdeviceptr)source;
    rows.src.op.ptr.rowLength = 128;
    rows.dst.op.ptr.ptr = memory;
    rows.dst.op.ptr.rowLength = 256;
    rows.extent.width = 100;
    rows.extent.height = 31;
    rows.extent.depth = 1;
    rows.srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_STREAM;
    TELL(cuMemcpy3DBatchAsync(1, &rows, 0, stream));
    MUST(cuStreamSynchronize(stream));
    tell_values("batch of rows", memory);
    TELL(cuMemcpy3DBatchAsync(1, &rows, 1, stream));
    rows.extent.height = 0;
    TELL(cuMemcpy3DBatchAsync(1, &rows, 0, stream));
    MUST(cuMemFreeHost(source));
}

static int ended;

static void end(void *data)
{
    CUcontext context;
    ended += *(int *)data;
    printf("inside %s\n", name_of(call_cuCtxGetCurrent(&context)));
}

static void counted_objects(void)
{
    CUuserObject object = NULL;
    int by = 10;
    TELL(cuUserObjectCreate(&object, &by, end, 1, CU_USER_OBJECT_NO_DESTRUCTOR_SYNC));
    TELL(cuUserObjectCreate(&object, &by, end, 0, CU_USER_OBJECT_NO_DESTRUCTOR_SYNC));
    TELL(cuUserObjectCreate(&object, &by, NULL, 1, CU_USER_OBJECT_NO_DESTRUCTOR_SYNC));
    TELL(cuUserObjectCreate(&object, &by, end, 1, 0));
    TELL(cuUserObjectRetain(object, 2));
    TELL(cuUserObjectRelease(object, 4));
    TELL(cuUserObjectRelease(object, 2));
    printf("ended %d\n", ended);
    TELL(cuUserObjectRelease(object, 1));
    printf("ended %d\n", ended);
    TELL(cuUserObjectRelease(object, 1));
}

int main(void)
{
    CUdevice device;
    CUcontext context;
    CUstream stream, other;
    CUmodule module;
    CUlibrary library;
    CUfunction add;
    CUdeviceptr memory;
    void *address;
    look_up();
    MUST(cuInit(0));
    MUST(cuDeviceGet(&device, 0));
    MUST(cuDevicePrimaryCtxRetain(&context, device));
    MUST(cuCtxSetCurrent(context));
    MUST(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    MUST(cuStreamCreate(&other, CU_STREAM_NON_BLOCKING));
    MUST(cuMemAlloc(&memory, LEN * 4));
    MUST(cuModuleLoadData(&module, PTX));
    MUST(cuModuleGetFunction(&add, module, "add"));
    values_in_streams(stream, other, memory);
    values_in_host_memory(stream, other);
    events_of_contexts(context, stream, other, memory);
    attributes_of_streams(stream, other);
    contexts_and_devices(device, context);
    launches_of_cuda_3(add, stream, memory);
    batches(stream, memory);
    counted_objects();
    MUST(cuLibraryLoadData(&library, PTX, NULL, NULL, 0, NULL, NULL, 0));
    TELL(cuLibraryGetUnifiedFunction(&address, library, "add"));
    TELL(cuLibraryGetUnifiedFunction(NULL, library, "add"));
    MUST(cuLibraryUnload(library));
    MUST(cuModuleUnload(module));
    MUST(cuMemFree(memory));
    MUST(cuStreamDestroy(stream));
    MUST(cuStreamDestroy(other));
    MUST(cuDevicePrimaryCtxRelease(device));
    return 0;
}
