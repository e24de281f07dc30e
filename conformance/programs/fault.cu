// A kernel that writes where nothing is. The fault belongs to the process that made it: it comes
// out at the next wait and at every call after, and the process ends in its own time.
#include "proof.h"

__global__ void poke(int *where) { *where = 1; }

int main()
{
    int *device;
    MUST(cudaMalloc(&device, 64));
    poke<<<1, 1>>>(device);
    printf("good launch %s\n", cudaGetErrorName(cudaDeviceSynchronize()));
    poke<<<1, 1>>>(reinterpret_cast<int *>(0x40));
    cudaError_t first = cudaDeviceSynchronize();
    printf("bad launch %s\n", cudaGetErrorName(first));
    void *more = nullptr;
    printf("allocation after %s\n", cudaGetErrorName(cudaMalloc(&more, 64)));
    int value;
    printf("copy after %s\n",
           cudaGetErrorName(cudaMemcpy(&value, device, 4, cudaMemcpyDeviceToHost)));
    printf("wait after %s\n", cudaGetErrorName(cudaDeviceSynchronize()));
    return first != cudaErrorIllegalAddress;
}
