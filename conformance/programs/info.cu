// What the program is told about its devices: count, name, memory. Equal output needs equal memory.
#include "proof.h"

int main()
{
    int count = -1;
    MUST(cudaGetDeviceCount(&count));
    printf("devices %d\n", count);
    for (int device = 0; device < count; ++device) {
        MUST(cudaSetDevice(device));
        cudaDeviceProp properties;
        MUST(cudaGetDeviceProperties(&properties, device));
        size_t free = 0, total = 0;
        MUST(cudaMemGetInfo(&free, &total));
        printf("%d name %s\n", device, properties.name);
        printf("%d capability %d.%d\n", device, properties.major, properties.minor);
        printf("%d total %zu, by info %zu\n", device, (size_t)properties.totalGlobalMem, total);
        printf("%d warp %d, block %d, grid %d\n", device, properties.warpSize,
               properties.maxThreadsPerBlock, properties.maxGridSize[0]);
        // What a driver keeps for itself differs; that an allocation is counted does not.
        void *memory;
        size_t len = 8u << 20, free_after = 0;
        MUST(cudaMalloc(&memory, len));
        MUST(cudaMemGetInfo(&free_after, &total));
        printf("%d free within total %d, 8 MiB counted %d\n", device, free <= total,
               free - free_after >= len);
        MUST(cudaFree(memory));
        MUST(cudaDeviceSynchronize());
        MUST(cudaMemGetInfo(&free_after, &total));
        printf("%d free again %d\n", device, free_after == free);
    }
    return count < 1;
}
