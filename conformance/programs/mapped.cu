// Host memory that kernels use where it is: mapped and registered.
#include "proof.h"

__global__ void square(const int *from, int *to, int len)
{
    int i = blockDim.x * blockIdx.x + threadIdx.x;
    if (i < len) to[i] = from[i] * from[i];
}

__global__ void count(unsigned *total, const int *values, int len)
{
    int i = blockDim.x * blockIdx.x + threadIdx.x;
    if (i < len && values[i] % 2) atomicAdd(total, 1u);
}

constexpr int LEN = 5003, GRID = (LEN + 255) / 256;

int main()
{
    int *from, *device;
    unsigned *total;
    MUST(cudaHostAlloc(&from, LEN * sizeof(int), cudaHostAllocMapped | cudaHostAllocPortable));
    MUST(cudaHostAlloc(&total, sizeof *total, cudaHostAllocMapped | cudaHostAllocWriteCombined));
    MUST(cudaHostGetDevicePointer(&device, from, 0));
    printf("one address %d\n", device == from);
    std::vector<int> to(LEN, -1);
    MUST(cudaHostRegister(to.data(), LEN * sizeof(int), cudaHostRegisterMapped));
    int *registered;
    MUST(cudaHostGetDevicePointer(&registered, to.data(), 0));
    unsigned odd = 0;
    for (int i = 0; i < LEN; ++i) odd += (from[i] = static_cast<int>(mixed(3, i) % 30000)) % 2;
    *total = 0;
    square<<<GRID, 256>>>(device, registered, LEN);
    count<<<GRID, 256>>>(total, registered, LEN);
    MUST(cudaDeviceSynchronize());
    int wrong = *total != odd;
    for (int i = 0; i < LEN; ++i) wrong += to[i] != from[i] * from[i];
    printf("squares: wrong %d, odd %u, sum %016llx\n", wrong, *total,
           static_cast<unsigned long long>(checksum(to)));
    cudaPointerAttributes about;
    MUST(cudaPointerGetAttributes(&about, to.data() + 7));
    printf("registered is host memory %d\n", about.type == cudaMemoryTypeHost);
    cudaError_t again = cudaHostRegister(to.data(), 64, cudaHostRegisterDefault);
    printf("registered twice: %s\n", cudaGetErrorName(again));
    MUST(cudaHostUnregister(to.data()));
    printf("unregistered twice: %s\n", cudaGetErrorName(cudaHostUnregister(to.data())));
    MUST(cudaPointerGetAttributes(&about, to.data() + 7));
    printf("unregistered is nobody's %d\n", about.type == cudaMemoryTypeUnregistered);
    MUST(cudaFreeHost(from));
    MUST(cudaFreeHost(total));
    printf("freed twice: %s\n", cudaGetErrorName(cudaFreeHost(from)));
    return wrong != 0;
}
