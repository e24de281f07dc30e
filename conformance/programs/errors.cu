// Fails on purpose, in every way that the call itself must report, and prints the code of each
// call: the same code at the same call is what a program's own error handling rests on. Then it
// goes on as if nothing had been.
#include "proof.h"

#include <cuda.h>
#include <dlfcn.h>

__global__ void add_one(int *values, int len)
{
    int i = blockDim.x * blockIdx.x + threadIdx.x;
    if (i < len) values[i] += 1;
}

static int surprises = 0;

// Prints the code; it is a surprise when it is not what CUDA's documentation says.
static void show(const char *what, cudaError_t found, cudaError_t expected)
{
    printf("%-28s %d %s\n", what, found, cudaGetErrorName(found));
    fflush(stdout);
    surprises += found != expected;
    cudaGetLastError();
}

static void show_driver(const char *what, CUresult found, CUresult expected)
{
    printf("%-28s %d\n", what, found);
    fflush(stdout);
    surprises += found != expected;
}

static cudaError_t launch(unsigned blocks, unsigned threads, size_t shared, int *values)
{
    add_one<<<blocks, threads, shared>>>(values, 0);
    return cudaGetLastError();
}

static void memory()
{
    char *device, *gone;
    std::vector<char> host(4 << 20);
    size_t free, total;
    MUST(cudaMalloc(&device, 1 << 20));
    MUST(cudaMalloc(&gone, 1 << 20));
    MUST(cudaMemGetInfo(&free, &total));
    void *wild = reinterpret_cast<void *>(0x10);
    show("copy to nowhere", cudaMemcpy(wild, host.data(), 64, cudaMemcpyHostToDevice),
         cudaErrorInvalidValue);
    show("copy from nowhere", cudaMemcpy(host.data(), wild, 64, cudaMemcpyDeviceToHost),
         cudaErrorInvalidValue);
    show("copy past the end", cudaMemcpy(device, host.data(), host.size(), cudaMemcpyHostToDevice),
         cudaErrorInvalidValue);
    show("memset past the end", cudaMemset(device, 0, host.size()), cudaErrorInvalidValue);
    show("copy of unknown kind", cudaMemcpy(device, host.data(), 64, (cudaMemcpyKind)77),
         cudaErrorInvalidMemcpyDirection);
    void *much = nullptr;
    show("more than there is", cudaMalloc(&much, total + 1), cudaErrorMemoryAllocation);
    show("much more", cudaMalloc(&much, (size_t)1 << 60), cudaErrorMemoryAllocation);
    show("no result pointer", cudaMalloc((void **)nullptr, 64), cudaErrorInvalidValue);
    show("free", cudaFree(gone), cudaSuccess);
    show("double free", cudaFree(gone), cudaErrorInvalidValue);
    show("free inside", cudaFree(device + 256), cudaErrorInvalidValue);
    show("free nothing", cudaFree(nullptr), cudaSuccess);
    show("free host memory as pinned", cudaFreeHost(host.data()), cudaErrorInvalidValue);
    show("free the rest", cudaFree(device), cudaSuccess);
}

// Which code a bad shape gets is the runtime's business; that there is one, at the launch, is ours.
static void show_refused(const char *what, cudaError_t found)
{
    show(what, found, found == cudaSuccess ? cudaErrorInvalidConfiguration : found);
}

static void launches(int *values)
{
    show("launch", launch(1, 32, 0, values), cudaSuccess);
    show_refused("too many threads", launch(1, 2048, 0, values));
    show_refused("no threads", launch(1, 0, 0, values));
    show_refused("no blocks", launch(0, 32, 0, values));
    show_refused("too much shared memory", launch(1, 32, 1 << 20, values));
}

static void handles()
{
    int count = 0;
    MUST(cudaGetDeviceCount(&count));
    show("bad ordinal", cudaSetDevice(count), cudaErrorInvalidDevice);
    show("negative ordinal", cudaSetDevice(-1), cudaErrorInvalidDevice);
    cudaDeviceProp properties;
    show("properties of none", cudaGetDeviceProperties(&properties, count + 1),
         cudaErrorInvalidDevice);
    cudaEvent_t early, late;
    float elapsed_ms;
    MUST(cudaEventCreate(&early));
    MUST(cudaEventCreate(&late));
    show("elapsed of the unrecorded", cudaEventElapsedTime(&elapsed_ms, early, late),
         cudaErrorInvalidResourceHandle);
    MUST(cudaEventDestroy(early));
    MUST(cudaEventDestroy(late));
}

static void driver()
{
    void *library = dlopen("libcuda.so.1", RTLD_NOW);
    if (!library) exit(3);
#define CALL(name, symbol)                                                                         \
    auto name = reinterpret_cast<decltype(&::symbol)>(dlsym(library, #symbol));                    \
    if (!name) exit(3)
    CALL(load, cuModuleLoadData);
    CALL(unload, cuModuleUnload);
    CALL(function, cuModuleGetFunction);
    CALL(global, cuModuleGetGlobal_v2);
    CALL(create, cuStreamCreate);
    CALL(destroy, cuStreamDestroy_v2);
    CALL(query, cuStreamQuery);
    CALL(current, cuCtxSetCurrent);
    CALL(current_of, cuCtxGetCurrent);
    CALL(allocate, cuMemAlloc_v2);
    CUmodule module;
    CUfunction kernel;
    CUdeviceptr address;
    size_t len;
    const char *ptx =
        ".version 7.0\n.target sm_70\n.address_size 64\n.visible .entry there() { ret; }\n";
    show_driver("load", load(&module, ptx), CUDA_SUCCESS);
    show_driver("kernel", function(&kernel, module, "there"), CUDA_SUCCESS);
    show_driver("missing kernel", function(&kernel, module, "not_there"), CUDA_ERROR_NOT_FOUND);
    show_driver("missing global", global(&address, &len, module, "not_there"),
                CUDA_ERROR_NOT_FOUND);
    show_driver("unload", unload(module), CUDA_SUCCESS);
    CUstream stream;
    show_driver("stream", create(&stream, 0), CUDA_SUCCESS);
    show_driver("destroy", destroy(stream), CUDA_SUCCESS);
    show_driver("a stream that is gone", query(stream), CUDA_ERROR_INVALID_HANDLE);
    CUcontext context;
    show_driver("context", current_of(&context), CUDA_SUCCESS);
    show_driver("no context", current(nullptr), CUDA_SUCCESS);
    show_driver("allocation without context", allocate(&address, 64), CUDA_ERROR_INVALID_CONTEXT);
    show_driver("context again", current(context), CUDA_SUCCESS);
    show_driver("allocation of nothing", allocate(&address, 0), CUDA_ERROR_INVALID_VALUE);
}

int main()
{
    std::vector<int> values(777, 41);
    Device<int> device(values);
    memory();
    launches(device.data());
    handles();
    driver();
    printf("surprises %d, last error %s\n", surprises, cudaGetErrorName(cudaGetLastError()));
    add_one<<<7, 128>>>(device.data(), (int)values.size());
    MUST(cudaDeviceSynchronize());
    int wrong = report("and on it goes", device.read(), std::vector<int>(777, 42));
    return wrong != 0 || surprises != 0;
}
