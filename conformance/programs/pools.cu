// Stream-ordered allocation: from the device's pool and from one of the program's own, used by
// kernels and copies, freed in order and used again; and what is refused.
#include "proof.h"

__global__ void scale(float *values, int len, float factor)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < len) values[i] = values[i] * factor + i % 8;
}

static int failures;

static void rounds(const char *what, cudaMemPool_t pool)
{
    cudaStream_t stream;
    MUST(cudaStreamCreate(&stream));
    const int len = 3001;
    std::vector<float> source = input(5, len), expected(len), found(len);
    for (int round = 0; round < 20; ++round) {
        float *values, *other;
        size_t size = (len + round * 100) * sizeof(float);
        if (pool)
            MUST(cudaMallocFromPoolAsync(&values, size, pool, stream));
        else
            MUST(cudaMallocAsync(&values, size, stream));
        MUST(cudaMallocAsync(&other, size, stream));
        MUST(cudaMemcpyAsync(values, source.data(), len * 4, cudaMemcpyHostToDevice, stream));
        scale<<<(len + 255) / 256, 256, 0, stream>>>(values, len, 2.0f);
        MUST(cudaMemcpyAsync(other, values, len * 4, cudaMemcpyDeviceToDevice, stream));
        MUST(cudaFreeAsync(values, stream));
        MUST(cudaMemcpyAsync(found.data(), other, len * 4, cudaMemcpyDeviceToHost, stream));
        MUST(cudaFreeAsync(other, stream));
    }
    MUST(cudaStreamSynchronize(stream));
    for (int i = 0; i < len; ++i) expected[i] = source[i] * 2.0f + i % 8;
    failures += report(what, found, expected);
    MUST(cudaStreamDestroy(stream));
}

static void attributes(const char *what, cudaMemPool_t pool)
{
    uint64_t used = 1, threshold = 1;
    int follow = -1;
    MUST(cudaMemPoolGetAttribute(pool, cudaMemPoolAttrUsedMemCurrent, &used));
    MUST(cudaMemPoolGetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &threshold));
    MUST(cudaMemPoolGetAttribute(pool, cudaMemPoolReuseAllowOpportunistic, &follow));
    printf("%s used=%llu threshold=%llu opportunistic=%d\n", what, (unsigned long long)used,
           (unsigned long long)threshold, follow);
}

int main()
{
    int has_pools = 0;
    MUST(cudaDeviceGetAttribute(&has_pools, cudaDevAttrMemoryPoolsSupported, 0));
    printf("pools %d\n", has_pools);
    rounds("default pool", nullptr);
    cudaMemPoolProps asked = {};
    asked.allocType = cudaMemAllocationTypePinned;
    asked.location.type = cudaMemLocationTypeDevice;
    cudaMemPool_t pool, standard, current;
    MUST(cudaMemPoolCreate(&pool, &asked));
    rounds("own pool", pool);
    MUST(cudaDeviceGetDefaultMemPool(&standard, 0));
    MUST(cudaDeviceGetMemPool(&current, 0));
    printf("current is default: %d\n", current == standard);
    MUST(cudaDeviceSetMemPool(0, pool));
    MUST(cudaDeviceGetMemPool(&current, 0));
    printf("current is own: %d\n", current == pool);
    rounds("own is current", nullptr);
    attributes("fresh", pool);
    uint64_t threshold = 1 << 20;
    int off = 0;
    MUST(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &threshold));
    MUST(cudaMemPoolSetAttribute(pool, cudaMemPoolReuseAllowOpportunistic, &off));
    void *kept, *plain;
    MUST(cudaMallocAsync(&kept, 1 << 20, nullptr));
    MUST(cudaDeviceSynchronize());
    attributes("changed", pool);
    printf("free of pool memory: %d\n", cudaFree(kept));
    MUST(cudaMalloc(&plain, 1000));
    printf("async free of plain memory: %d\n", cudaFreeAsync(plain, nullptr));
    MUST(cudaDeviceSynchronize());
    printf("nothing: %d, too much: %d, twice: %d\n", cudaMallocAsync(&kept, 0, nullptr),
           cudaMallocAsync(&kept, (size_t)1 << 45, nullptr), cudaFreeAsync(plain, nullptr));
    cudaMemAccessDesc access = {};
    access.location.type = cudaMemLocationTypeDevice;
    access.flags = cudaMemAccessFlagsProtReadWrite;
    cudaMemAccessFlags flags = cudaMemAccessFlagsProtNone;
    MUST(cudaMemPoolSetAccess(pool, &access, 1));
    MUST(cudaMemPoolGetAccess(&flags, pool, &access.location));
    access.flags = cudaMemAccessFlagsProtNone;
    printf("access %d, no access to its own: %d\n", flags, cudaMemPoolSetAccess(pool, &access, 1));
    MUST(cudaMemPoolTrimTo(pool, 0));
    MUST(cudaMemPoolDestroy(pool));
    printf("destroyed twice: %d, default: %d\n", cudaMemPoolDestroy(pool),
           cudaMemPoolDestroy(standard));
    MUST(cudaDeviceGetMemPool(&current, 0));
    printf("current is default: %d\n", current == standard);
    return failures != 0;
}
