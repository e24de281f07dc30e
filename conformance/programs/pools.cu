// Stream-ordered allocation: temporaries of many streams, reuse, thresholds, a pool of its own.
#include "proof.h"

__global__ void fill(int *values, int len, int start)
{
    int i = blockDim.x * blockIdx.x + threadIdx.x;
    if (i < len) values[i] = start + i;
}

__global__ void add(int *sum, const int *values, int len)
{
    int i = blockDim.x * blockIdx.x + threadIdx.x;
    if (i < len) atomicAdd(sum, values[i] % 7);
}

static unsigned long long number(cudaMemPool_t pool, cudaMemPoolAttr attribute)
{
    unsigned long long value = 0;
    MUST(cudaMemPoolGetAttribute(pool, attribute, &value));
    return value;
}

int main()
{
    int can = 0;
    MUST(cudaDeviceGetAttribute(&can, cudaDevAttrMemoryPoolsSupported, 0));
    printf("pools %d\n", can);
    constexpr int STREAMS = 3, ROUNDS = 20;
    cudaStream_t streams[STREAMS];
    int *sums;
    MUST(cudaMalloc(&sums, STREAMS * sizeof(int)));
    MUST(cudaMemset(sums, 0, STREAMS * sizeof(int)));
    MUST(cudaDeviceSynchronize());
    int expected[STREAMS] = {};
    for (cudaStream_t &stream : streams)
        MUST(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    for (int round = 0; round < ROUNDS; ++round)
        for (int s = 0; s < STREAMS; ++s) {
            int len = 500 + 700 * s + 13 * round, *values;
            MUST(cudaMallocAsync(&values, len * sizeof(int), streams[s]));
            fill<<<(len + 127) / 128, 128, 0, streams[s]>>>(values, len, round);
            add<<<(len + 127) / 128, 128, 0, streams[s]>>>(sums + s, values, len);
            MUST(cudaFreeAsync(values, streams[s]));
            for (int i = 0; i < len; ++i) expected[s] += (round + i) % 7;
        }
    for (cudaStream_t stream : streams) MUST(cudaStreamSynchronize(stream));
    int found[STREAMS], wrong = 0;
    MUST(cudaMemcpy(found, sums, sizeof found, cudaMemcpyDeviceToHost));
    for (int s = 0; s < STREAMS; ++s) wrong += found[s] != expected[s];
    printf("temporaries: wrong %d\n", wrong);

    cudaMemPool_t pool;
    MUST(cudaDeviceGetDefaultMemPool(&pool, 0));
    printf("nothing in use: %d\n", number(pool, cudaMemPoolAttrUsedMemCurrent) == 0);
    unsigned long long keep = ~0ull;
    MUST(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &keep));
    void *first, *second;
    MUST(cudaMallocAsync(&first, 1 << 20, streams[0]));
    MUST(cudaFreeAsync(first, streams[0]));
    MUST(cudaMallocAsync(&second, 1 << 20, streams[0]));
    printf("used again in its stream: %d\n", first == second);
    MUST(cudaFreeAsync(second, streams[0]));
    MUST(cudaStreamSynchronize(streams[0]));
    bool kept = number(pool, cudaMemPoolAttrReservedMemCurrent) >= 1 << 20;
    MUST(cudaMemPoolTrimTo(pool, 0));
    printf("kept %d, then %llu bytes\n", kept, number(pool, cudaMemPoolAttrReservedMemCurrent));

    cudaMemPoolProps properties = {};
    properties.allocType = cudaMemAllocationTypePinned;
    properties.location.type = cudaMemLocationTypeDevice;
    MUST(cudaMemPoolCreate(&pool, &properties));
    int *values;
    MUST(cudaMallocFromPoolAsync(&values, 4096, pool, streams[1]));
    MUST(cudaMemsetAsync(values, 1, 4096, streams[1]));
    std::vector<int> bytes(1024);
    MUST(cudaMemcpyAsync(bytes.data(), values, 4096, cudaMemcpyDeviceToHost, streams[1]));
    MUST(cudaStreamSynchronize(streams[1]));
    for (int word : bytes) wrong += word != 0x01010101;
    printf("own pool: in use %d\n", number(pool, cudaMemPoolAttrUsedMemCurrent) >= 4096);
    MUST(cudaFree(values));
    MUST(cudaMemPoolDestroy(pool));
    printf("freed twice: %s\n", cudaGetErrorName(cudaFreeAsync(first, streams[0])));
    return wrong != 0;
}
