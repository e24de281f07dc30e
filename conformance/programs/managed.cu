// Managed memory: host and kernels at one address, managed variables, advice and prefetches.
#include "proof.h"

__managed__ int counters[4] = {1, 2, 3, 4};
__managed__ double *anywhere;

__global__ void advance(int *values, int len)
{
    int i = blockDim.x * blockIdx.x + threadIdx.x;
    if (i < len) values[i] = values[i] * 3 + i;
    if (i < 4) atomicAdd(&counters[i], i + 1);
}

__global__ void halve(int len)
{
    int i = blockDim.x * blockIdx.x + threadIdx.x;
    if (i < len) anywhere[i] /= 2;
}

constexpr int LEN = 10007;

int main()
{
    int can = 0;
    MUST(cudaDeviceGetAttribute(&can, cudaDevAttrManagedMemory, 0));
    printf("managed %d\n", can);
    int *values;
    MUST(cudaMallocManaged(&values, LEN * sizeof(int)));
    std::vector<int> expected(LEN);
    for (int i = 0; i < LEN; ++i) expected[i] = values[i] = static_cast<int>(mixed(1, i) % 1000);
    int device = 0;
    MUST(cudaGetDevice(&device));
    cudaMemLocation here = {}, host = {};
    here.type = cudaMemLocationTypeDevice;
    here.id = device;
    host.type = cudaMemLocationTypeHost;
    int wrong = 0;
    for (int round = 0; round < 3; ++round) {
        MUST(cudaMemPrefetchAsync(values, LEN * sizeof(int), here, 0, 0));
        advance<<<(LEN + 127) / 128, 128>>>(values, LEN);
        MUST(cudaGetLastError());
        MUST(cudaDeviceSynchronize());
        MUST(cudaMemPrefetchAsync(values, LEN * sizeof(int), host, 0, 0));
        MUST(cudaDeviceSynchronize());
        // The host changes what the next round reads.
        for (int i = 0; i < LEN; ++i) {
            expected[i] = expected[i] * 3 + i;
            wrong += values[i] != expected[i];
            values[i] = expected[i] %= 777;
        }
    }
    printf("rounds: wrong %d, sum %016llx\n", wrong,
           static_cast<unsigned long long>(checksum(values, LEN * sizeof(int))));
    printf("counters %d %d %d %d\n", counters[0], counters[1], counters[2], counters[3]);

    MUST(cudaMallocManaged(&anywhere, 100 * sizeof(double), cudaMemAttachGlobal));
    for (int i = 0; i < 100; ++i) anywhere[i] = i;
    halve<<<1, 128>>>(100);
    MUST(cudaDeviceSynchronize());
    for (int i = 0; i < 100; ++i) wrong += anywhere[i] != i / 2.0;
    printf("through a managed pointer: wrong %d\n", wrong);

    cudaPointerAttributes about;
    MUST(cudaPointerGetAttributes(&about, values + 5));
    bool both = about.devicePointer == values + 5 && about.hostPointer == values + 5;
    printf("kind managed %d, both pointers %d\n", about.type == cudaMemoryTypeManaged, both);
    MUST(cudaMemAdvise(values, LEN * sizeof(int), cudaMemAdviseSetReadMostly, here));
    int mostly = -1, last = -5;
    MUST(cudaMemRangeGetAttribute(&mostly, sizeof mostly, cudaMemRangeAttributeReadMostly, values,
                                  LEN * sizeof(int)));
    MUST(cudaMemRangeGetAttribute(&last, sizeof last, cudaMemRangeAttributeLastPrefetchLocation,
                                  values, LEN * sizeof(int)));
    printf("read mostly %d, last prefetch to the host %d\n", mostly, last == cudaCpuDeviceId);
    MUST(cudaFree(values));
    MUST(cudaFree(anywhere));
    printf("freed twice: %s\n", cudaGetErrorName(cudaFree(values)));
    return wrong != 0;
}
