// One sum for each block, by a tree in dynamic shared memory.
#include "proof.h"

extern __shared__ float partial[];

__global__ void block_reduce(const float *values, float *sums, unsigned len)
{
    unsigned lane = threadIdx.x, at = blockIdx.x * blockDim.x * 2 + lane;
    float sum = (at < len ? values[at] : 0) + (at + blockDim.x < len ? values[at + blockDim.x] : 0);
    partial[lane] = sum;
    __syncthreads();
    for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
        if (lane < half) partial[lane] = sum = sum + partial[lane + half];
        __syncthreads();
    }
    if (lane == 0) sums[blockIdx.x] = partial[0];
}

static int reduce(unsigned len, unsigned threads)
{
    unsigned span = threads * 2, blocks = (len + span - 1) / span;
    std::vector<float> values = input(8, len), expected(blocks, 0.0f);
    for (unsigned i = 0; i < len; ++i) expected[i / span] += values[i];
    Device<float> from(values), to(blocks);
    block_reduce<<<blocks, threads, threads * sizeof(float)>>>(from.data(), to.data(), len);
    MUST(cudaGetLastError());
    MUST(cudaDeviceSynchronize());
    return report("block_reduce", to.read(), expected);
}

int main()
{
    int wrong = reduce(512, 256);
    wrong += reduce(1, 32);
    wrong += reduce(1025, 64);
    wrong += reduce(100003, 256);
    return wrong != 0;
}
