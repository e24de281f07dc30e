// The other half of separate.cu.
#include "../proof.h"
#include "other.h"

extern __device__ int calls;
__device__ int own(int value);

__device__ int other_value = 1, other_calls;

__device__ int other_function(int value) { return value * 7 + 1; }

static __device__ int plus_ten(int value) { return value + 10; }

__device__ Table other_table[2] = {own, plus_ten};

static __global__ void add_value(int *values, int len)
{
    int i = blockDim.x * blockIdx.x + threadIdx.x;
    if (i < len) values[i] += other_value;
    if (i == 0) other_calls = calls;
}

void set_other_value(int value) { MUST(cudaMemcpyToSymbol(other_value, &value, sizeof value)); }

void add_other_value(int *device, int len)
{
    add_value<<<(len + 255) / 256, 256>>>(device, len);
    MUST(cudaGetLastError());
    MUST(cudaDeviceSynchronize());
}
