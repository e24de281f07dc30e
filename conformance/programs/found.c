// What can be found in an image without knowing its names, and the block size that fits a kernel
// best, with shared memory that a function of this program works out. And an image that is linked.
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cuda.h>

#define KERNEL(name)                                                                               \
    ".visible .entry " name "(.param .u64 to)\n{\n    .reg .b64 %rd<3>;\n"                         \
    "    ld.param.u64 %rd1, [to];\n    st.global.u64 [%rd1], %rd1;\n    ret;\n}\n"

static const char PTX[] =
    ".version 7.0\n.target sm_70\n.address_size 64\n" KERNEL("one") KERNEL("two") KERNEL("three");

#define TEXT(name) #name
#define SYMBOL(name) TEXT(name)
#define CALLS(X)                                                                                   \
    X(cuInit) X(cuDeviceGet) X(cuDevicePrimaryCtxRetain) X(cuCtxSetCurrent) X(cuModuleLoadData)    \
    X(cuModuleGetFunctionCount) X(cuModuleEnumerateFunctions) X(cuModuleGetFunction)               \
    X(cuLibraryLoadData) X(cuLibraryGetKernelCount) X(cuLibraryEnumerateKernels)                   \
    X(cuKernelGetLibrary) X(cuFuncGetName) X(cuKernelGetName) X(cuGetErrorName)                    \
    X(cuLinkCreate) X(cuLinkAddData) X(cuLinkAddFile) X(cuLinkComplete) X(cuLinkDestroy)           \
    X(cuOccupancyMaxPotentialBlockSize) X(cuOccupancyMaxPotentialBlockSizeWithFlags)
#define DECLARE(name) static __typeof__(name) *call_##name;
CALLS(DECLARE)

static void must(CUresult status, int line)
{
    const char *name = "?";
    if (status == CUDA_SUCCESS) return;
    call_cuGetErrorName(status, &name);
    printf("line %d: %s\n", line, name);
    exit(1);
}
#define MUST(call) must(call, __LINE__)

static size_t shared_len(int threads)
{
    return threads > 256 ? 40000 : threads * 8;
}

// Links PTX to an image with all its kernels; an input that is none is told at once, with a log.
static void link_image(void)
{
    static char log[400];
    CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
    void *values[] = {log, (void *)sizeof log};
    char text[] = "no PTX";
    CUlinkState state;
    CUmodule module;
    unsigned count;
    void *image;
    size_t len;
    MUST(call_cuLinkCreate(2, options, values, &state));
    printf("a bad input: %d", call_cuLinkAddData(state, CU_JIT_INPUT_PTX, text, sizeof text, "bad",
                                                 0, NULL, NULL));
    printf(", log of %zu: %s\n", (size_t)values[1], log);
    printf("no file: %d\n",
           call_cuLinkAddFile(state, CU_JIT_INPUT_PTX, "/nonexistent", 0, NULL, NULL));
    static char padded[(1 << 17) + sizeof PTX];
    memset(padded, ' ', sizeof padded);
    memcpy(padded + sizeof padded - sizeof PTX, PTX, sizeof PTX);
    MUST(call_cuLinkAddData(state, CU_JIT_INPUT_PTX, padded, sizeof padded, "all", 0, NULL, NULL));
    MUST(call_cuLinkComplete(state, &image, &len));
    printf("linked, over 100 KiB %d\n", len > 100 << 10);
    MUST(call_cuModuleLoadData(&module, image));
    MUST(call_cuModuleGetFunctionCount(&count, module));
    printf("functions of the image %u\n", count);
    MUST(call_cuLinkDestroy(state));
    printf("ended twice: %d\n", call_cuLinkDestroy(state));
}

int main(void)
{
    void *library = dlopen("libcuda.so.1", RTLD_NOW);
    if (!library) return 3;
#define LOOK_UP(name)                                                                              \
    *(void **)&call_##name = dlsym(library, SYMBOL(name));                                         \
    if (!call_##name) return 3;
    CALLS(LOOK_UP)
    CUdevice device;
    CUcontext context;
    CUmodule module;
    CUlibrary images, owner;
    CUfunction functions[8] = {0}, one;
    CUkernel kernels[8] = {0};
    unsigned count;
    MUST(call_cuInit(0));
    MUST(call_cuDeviceGet(&device, 0));
    MUST(call_cuDevicePrimaryCtxRetain(&context, device));
    MUST(call_cuCtxSetCurrent(context));
    MUST(call_cuModuleLoadData(&module, PTX));
    MUST(call_cuModuleGetFunctionCount(&count, module));
    MUST(call_cuModuleEnumerateFunctions(functions, 2, module));
    printf("functions %u, the third not asked for %d\n", count, functions[2] == NULL);
    MUST(call_cuModuleEnumerateFunctions(functions, 8, module));
    MUST(call_cuModuleGetFunction(&one, module, "one"));
    int ones = 0;
    for (unsigned at = 0; at < count; ++at) {
        const char *name;
        MUST(call_cuFuncGetName(&name, functions[at]));
        ones += strcmp(name, "one") == 0 && functions[at] == one;
        printf("function %s\n", name);
    }
    printf("one is one: %d\n", ones);
    printf("none asked for: %d\n", call_cuModuleEnumerateFunctions(functions, 0, module));
    MUST(call_cuLibraryLoadData(&images, PTX, NULL, NULL, 0, NULL, NULL, 0));
    MUST(call_cuLibraryGetKernelCount(&count, images));
    MUST(call_cuLibraryEnumerateKernels(kernels, 8, images));
    for (unsigned at = 0; at < count; ++at) {
        const char *name;
        MUST(call_cuKernelGetName(&name, kernels[at]));
        MUST(call_cuKernelGetLibrary(&owner, kernels[at]));
        printf("kernel %s, of its library %d\n", name, owner == images);
    }
    link_image();
    int grid, block;
    MUST(call_cuOccupancyMaxPotentialBlockSize(&grid, &block, one, NULL, 0, 0));
    printf("best %d %d\n", grid, block);
    MUST(call_cuOccupancyMaxPotentialBlockSize(&grid, &block, one, NULL, 30000, 100));
    printf("best below 101 %d %d\n", grid, block);
    MUST(call_cuOccupancyMaxPotentialBlockSizeWithFlags(&grid, &block, one, shared_len, 0, 0, 0));
    printf("best with a function %d %d\n", grid, block);
    printf("a limit below 0: %d\n",
           call_cuOccupancyMaxPotentialBlockSize(&grid, &block, one, NULL, 0, -1));
    return 0;
}
