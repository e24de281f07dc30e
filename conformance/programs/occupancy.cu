// What the runtime says of a kernel and of how many of its blocks fit, and that a block of the size
// it proposes runs.
#include "proof.h"

__constant__ float table[16];

__global__ void __launch_bounds__(256) bounded(float *out, int len)
{
    __shared__ float tile[1024];
    int i = blockDim.x * blockIdx.x + threadIdx.x;
    tile[threadIdx.x] = i * table[i % 16];
    __syncthreads();
    if (i < len) out[i] = tile[threadIdx.x ^ 1];
}

__global__ void simple(int *values, int len)
{
    int i = blockDim.x * blockIdx.x + threadIdx.x;
    if (i < len) values[i] = i;
}

static int wrong = 0;

static void show(const char *what, bool is_so)
{
    printf("%-44s %s\n", what, is_so ? "yes" : "NO");
    wrong += !is_so;
}

static int blocks_of(int threads, size_t shared)
{
    int blocks = -1;
    MUST(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, simple, threads, shared));
    return blocks;
}

int main()
{
    cudaDeviceProp device;
    MUST(cudaGetDeviceProperties(&device, 0));
    cudaFuncAttributes about;
    MUST(cudaFuncGetAttributes(&about, bounded));
    show("static shared memory is counted", about.sharedSizeBytes == 4096);
    show("constants are counted", about.constSizeBytes >= 64);
    show("launch bounds hold", about.maxThreadsPerBlock == 256);
    show("registers are counted", about.numRegs > 0 && about.numRegs <= 255);
    show("versions are known", about.ptxVersion >= 80 && about.binaryVersion >= 80);
    MUST(cudaFuncGetAttributes(&about, simple));
    show("no static shared memory", about.sharedSizeBytes == 0);
    show("the most dynamic shared memory", about.maxDynamicSharedSizeBytes == 48 << 10);

    const int threads_max = device.maxThreadsPerMultiProcessor;
    show("full blocks fill a multiprocessor", blocks_of(1024, 0) == threads_max / 1024);
    show("small blocks are limited in number",
         blocks_of(32, 0) == device.maxBlocksPerMultiProcessor);
    show("shared memory limits too", blocks_of(64, 40 << 10) ==
                                         int(device.sharedMemPerMultiprocessor / (41 << 10)));
    int grid = 0, threads = 0;
    MUST(cudaOccupancyMaxPotentialBlockSize(&grid, &threads, simple, 0, 0));
    show("a proposal of whole warps", threads > 0 && threads % 32 == 0);
    show("for all multiprocessors", grid % device.multiProcessorCount == 0 &&
                                        grid / device.multiProcessorCount * threads <= threads_max);
    MUST(cudaOccupancyMaxPotentialBlockSize(&grid, &threads, bounded, 0, 0));
    show("within the launch bounds", threads > 0 && threads <= 256);

    const int len = 10007;
    std::vector<int> expected(len);
    for (int i = 0; i < len; ++i) expected[i] = i;
    Device<int> out(len);
    simple<<<(len + threads - 1) / threads, threads>>>(out.data(), len);
    MUST(cudaGetLastError());
    MUST(cudaDeviceSynchronize());
    wrong += report("simple", out.read(), expected);
    Device<float> values(512);
    bounded<<<2, 512>>>(values.data(), 512);
    cudaError_t refused = cudaGetLastError();
    printf("more threads than the bounds: %s\n", cudaGetErrorName(refused));
    return wrong != 0 || refused == cudaSuccess;
}
