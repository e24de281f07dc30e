// The driver API alone: libcuda opened by name, symbols looked up in it, PTX text loaded as a
// module, a global variable set, and the kernel launched with its parameters given in both ways.
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cuda.h>

static const char PTX[] =
    ".version 7.0\n"
    ".target sm_70\n"
    ".address_size 64\n"
    ".visible .global .align 4 .u32 offset;\n"
    ".visible .entry multiply_add(.param .u64 values, .param .u32 factor, .param .u32 len)\n"
    "{\n"
    "    .reg .pred %outside;\n"
    "    .reg .b32 %r<9>;\n"
    "    .reg .b64 %rd<5>;\n"
    "    ld.param.u64 %rd1, [values];\n"
    "    ld.param.u32 %r1, [factor];\n"
    "    ld.param.u32 %r2, [len];\n"
    "    mov.u32 %r3, %ctaid.x;\n"
    "    mov.u32 %r4, %ntid.x;\n"
    "    mov.u32 %r5, %tid.x;\n"
    "    mad.lo.s32 %r6, %r3, %r4, %r5;\n"
    "    setp.ge.u32 %outside, %r6, %r2;\n"
    "    @%outside bra done;\n"
    "    cvta.to.global.u64 %rd2, %rd1;\n"
    "    mul.wide.u32 %rd3, %r6, 4;\n"
    "    add.s64 %rd4, %rd2, %rd3;\n"
    "    ld.global.u32 %r7, [offset];\n"
    "    ld.global.u32 %r8, [%rd4];\n"
    "    mad.lo.s32 %r8, %r8, %r1, %r7;\n"
    "    st.global.u32 [%rd4], %r8;\n"
    "done:\n"
    "    ret;\n"
    "}\n";

enum { LEN = 5003, THREADS = 192, BLOCKS = (LEN + THREADS - 1) / THREADS };

// Every call used, under the name that cuda.h gives its newest variant.
#define TEXT(name) #name
#define SYMBOL(name) TEXT(name)
#define CALLS(X)                                                                                   \
    X(cuInit) X(cuDriverGetVersion) X(cuDeviceGetCount) X(cuDeviceGet)                             \
    X(cuDevicePrimaryCtxRetain) X(cuDevicePrimaryCtxRelease) X(cuCtxSetCurrent)                    \
    X(cuCtxSynchronize) X(cuModuleLoadData) X(cuModuleUnload) X(cuModuleGetFunction)               \
    X(cuModuleGetGlobal) X(cuFuncGetAttribute) X(cuMemAlloc) X(cuMemFree) X(cuMemcpyHtoD)          \
    X(cuMemcpyDtoH) X(cuMemsetD32) X(cuLaunchKernel) X(cuGetErrorName)
#define DECLARE(name) static __typeof__(name) *call_##name;
CALLS(DECLARE)

static void look_up(void)
{
    void *library = dlopen("libcuda.so.1", RTLD_NOW);
    if (!library) {
        fprintf(stderr, "%s\n", dlerror());
        exit(3);
    }
#define LOOK_UP(name) *(void **)&call_##name = dlsym(library, SYMBOL(name));
    CALLS(LOOK_UP)
#define CHECK(name)                                                                                \
    if (!call_##name) {                                                                            \
        fprintf(stderr, "no %s\n", SYMBOL(name));                                                  \
        exit(3);                                                                                   \
    }
    CALLS(CHECK)
}

static const char *name_of(CUresult status)
{
    const char *name = "?";
    call_cuGetErrorName(status, &name);
    return name;
}

static void must(const char *what, CUresult status)
{
    if (status == CUDA_SUCCESS) return;
    fprintf(stderr, "%s: %s\n", what, name_of(status));
    exit(3);
}

static uint32_t values[LEN], expected[LEN];

static int compare(const char *what, CUdeviceptr memory)
{
    must("cuMemcpyDtoH", call_cuMemcpyDtoH(values, memory, sizeof values));
    uint64_t sum = 1469598103934665603ull;
    for (size_t i = 0; i < LEN; ++i) sum = (sum ^ values[i]) * 1099511628211ull;
    int wrong = memcmp(values, expected, sizeof values) != 0;
    printf("%s sum=%016llx last=%u %s\n", what, (unsigned long long)sum, values[LEN - 1],
           wrong ? "WRONG" : "right");
    return wrong;
}

static int run(CUfunction kernel, CUdeviceptr offset)
{
    CUdeviceptr memory;
    uint32_t len = LEN, factor = 3, add = 40;
    must("cuMemAlloc", call_cuMemAlloc(&memory, sizeof values));
    for (uint32_t i = 0; i < LEN; ++i) values[i] = i * 2654435761u;
    must("cuMemcpyHtoD", call_cuMemcpyHtoD(memory, values, sizeof values));
    must("offset", call_cuMemcpyHtoD(offset, &add, sizeof add));
    void *pointers[] = {&memory, &factor, &len};
    must("launch", call_cuLaunchKernel(kernel, BLOCKS, 1, 1, THREADS, 1, 1, 0, 0, pointers, 0));
    for (uint32_t i = 0; i < LEN; ++i) expected[i] = values[i] * factor + add;
    int wrong = compare("pointers", memory);

    struct {
        CUdeviceptr memory;
        uint32_t factor, len;
    } block = {memory, 7, LEN};
    size_t size = sizeof block;
    void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, &block, CU_LAUNCH_PARAM_BUFFER_SIZE, &size,
                     CU_LAUNCH_PARAM_END};
    must("memset", call_cuMemsetD32(memory, 1000, LEN));
    must("offset", call_cuMemsetD32(offset, 5, 1));
    must("launch", call_cuLaunchKernel(kernel, BLOCKS, 1, 1, THREADS, 1, 1, 0, 0, 0, extra));
    must("synchronize", call_cuCtxSynchronize());
    for (uint32_t i = 0; i < LEN; ++i) expected[i] = 7005;
    wrong += compare("buffer", memory);
    must("cuMemFree", call_cuMemFree(memory));
    return wrong;
}

int main(void)
{
    look_up();
    int version = 0, count = 0, threads_max = 0;
    CUdevice device;
    CUcontext context;
    CUmodule module;
    CUfunction kernel;
    CUdeviceptr offset;
    size_t offset_len = 0;
    printf("before cuInit: %s\n", name_of(call_cuDeviceGetCount(&count)));
    must("cuInit", call_cuInit(0));
    must("version", call_cuDriverGetVersion(&version));
    must("count", call_cuDeviceGetCount(&count));
    printf("version %s, devices %d\n", version >= 12000 ? "12.0 or newer" : "OLD", count);
    must("cuDeviceGet", call_cuDeviceGet(&device, 0));
    printf("no context: %s\n", name_of(call_cuModuleLoadData(&module, PTX)));
    must("retain", call_cuDevicePrimaryCtxRetain(&context, device));
    must("current", call_cuCtxSetCurrent(context));
    must("load", call_cuModuleLoadData(&module, PTX));
    must("function", call_cuModuleGetFunction(&kernel, module, "multiply_add"));
    must("global", call_cuModuleGetGlobal(&offset, &offset_len, module, "offset"));
    must("attribute", call_cuFuncGetAttribute(&threads_max, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK,
                                              kernel));
    printf("global of %zu bytes, %s\n", offset_len,
           threads_max >= THREADS ? "threads enough" : "TOO FEW THREADS");
    int wrong = run(kernel, offset);
    must("unload", call_cuModuleUnload(module));
    must("release", call_cuDevicePrimaryCtxRelease(device));
    return wrong != 0;
}
