// Dynamic shared memory of more than 48 KiB: refused, until the kernel asks for it.
#include "proof.h"

extern __shared__ unsigned words[];

__global__ void reverse(const unsigned *in, unsigned *out, unsigned len)
{
    for (unsigned i = threadIdx.x; i < len; i += blockDim.x) words[i] = in[blockIdx.x * len + i];
    __syncthreads();
    for (unsigned i = threadIdx.x; i < len; i += blockDim.x)
        out[blockIdx.x * len + i] = words[len - 1 - i];
}

static int wrong = 0;

static void run(const char *what, size_t bytes)
{
    const unsigned len = static_cast<unsigned>(bytes / 4), blocks = 3;
    std::vector<unsigned> values(blocks * len), expected(blocks * len);
    for (unsigned i = 0; i < blocks * len; ++i) values[i] = mixed(62, i);
    for (unsigned i = 0; i < blocks * len; ++i)
        expected[i] = values[i / len * len + len - 1 - i % len];
    Device<unsigned> in(values), out(std::vector<unsigned>(blocks * len, 0));
    reverse<<<blocks, 256, bytes>>>(in.data(), out.data(), len);
    MUST(cudaGetLastError());
    MUST(cudaDeviceSynchronize());
    wrong += report(what, out.read(), expected);
}

static void refused(const char *what, size_t bytes)
{
    reverse<<<1, 256, bytes>>>(nullptr, nullptr, 0);
    cudaError_t status = cudaGetLastError();
    printf("%s: %s\n", what, cudaGetErrorName(status));
    wrong += status != cudaErrorInvalidValue;
}

int main()
{
    cudaDeviceProp device;
    MUST(cudaGetDeviceProperties(&device, 0));
    size_t most = device.sharedMemPerBlockOptin;
    printf("without asking %zu, at most %zu\n", device.sharedMemPerBlock, most);
    run("what everyone has", device.sharedMemPerBlock);
    refused("more, without asking", 64 << 10);
    auto attribute = cudaFuncAttributeMaxDynamicSharedMemorySize;
    MUST(cudaFuncSetAttribute(reverse, attribute, 64 << 10));
    run("more, having asked", 64 << 10);
    refused("more than was asked for", (64 << 10) + 4);
    cudaError_t status = cudaFuncSetAttribute(reverse, attribute, static_cast<int>(most) + 1);
    printf("asking for too much: %s\n", cudaGetErrorName(status));
    cudaGetLastError();
    wrong += status != cudaErrorInvalidValue;
    MUST(cudaFuncSetAttribute(reverse, attribute, static_cast<int>(most)));
    run("all there is", most);
    cudaFuncAttributes about;
    MUST(cudaFuncGetAttributes(&about, reverse));
    wrong += about.maxDynamicSharedSizeBytes != static_cast<int>(most);
    return wrong != 0;
}
