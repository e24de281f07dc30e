// Works until it is stopped: allocations, copies both ways, launches, events, in rounds, one line a
// round. The argument bounds the rounds. Whatever is killed, it is killed in the middle of this.
#include "proof.h"

__global__ void step(unsigned *values, int len, unsigned add)
{
    int i = blockDim.x * blockIdx.x + threadIdx.x;
    if (i < len) values[i] = values[i] * 3 + add;
}

int main(int count, char **arguments)
{
    int rounds = count > 1 ? atoi(arguments[1]) : 1000000;
    const int len = 1 << 18;
    const size_t bytes = len * sizeof(unsigned);
    unsigned *pinned, *kept;
    MUST(cudaMallocHost(&pinned, bytes));
    MUST(cudaMalloc(&kept, 32 << 20));
    cudaStream_t stream;
    cudaEvent_t done;
    MUST(cudaStreamCreate(&stream));
    MUST(cudaEventCreate(&done));
    for (int round = 0; round < rounds; ++round) {
        unsigned *device;
        for (int i = 0; i < len; ++i) pinned[i] = i + round;
        MUST(cudaMalloc(&device, bytes));
        MUST(cudaMemcpyAsync(device, pinned, bytes, cudaMemcpyHostToDevice, stream));
        for (unsigned add = 0; add < 4; ++add) {
            step<<<(len + 255) / 256, 256, 0, stream>>>(device, len, add);
            MUST(cudaGetLastError());
        }
        MUST(cudaMemcpyAsync(pinned, device, bytes, cudaMemcpyDeviceToHost, stream));
        MUST(cudaEventRecord(done, stream));
        MUST(cudaEventSynchronize(done));
        MUST(cudaFree(device));
        bool right = pinned[len - 1] == (len - 1u + round) * 81 + 18;
        printf("round %d %s\n", round, right ? "right" : "WRONG");
        fflush(stdout);
        if (!right) return 1;
    }
    MUST(cudaFree(kept));
    MUST(cudaFreeHost(pinned));
    return 0;
}
