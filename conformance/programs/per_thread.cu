// Compiled with --default-stream per-thread: each host thread has a default stream of its own, to
// which every launch and copy that names no stream goes, and one thread's wait is for its own work.
#include "proof.h"

#include <thread>

__global__ void step(unsigned *values, int len, unsigned factor)
{
    int i = blockDim.x * blockIdx.x + threadIdx.x;
    if (i < len) values[i] = values[i] * factor + i;
}

constexpr int THREADS = 4, ROUNDS = 10, LEN = 5003;

struct Result {
    std::vector<unsigned> found, expected;
};

static void work(int id, Result *result)
{
    std::vector<unsigned> values(LEN);
    for (int i = 0; i < LEN; ++i) values[i] = mixed(id + 200, i);
    result->expected = values;
    unsigned *device, *pinned;
    MUST(cudaMalloc(&device, LEN * 4));
    MUST(cudaMallocHost(&pinned, LEN * 4));
    memcpy(pinned, values.data(), LEN * 4);
    // Stream 0 and cudaStreamPerThread are the same here: their work keeps its order.
    MUST(cudaMemcpyAsync(device, pinned, LEN * 4, cudaMemcpyHostToDevice, 0));
    for (int round = 0; round < ROUNDS; ++round) {
        cudaStream_t stream = round % 2 ? cudaStreamPerThread : nullptr;
        step<<<(LEN + 127) / 128, 128, 0, stream>>>(device, LEN, 2 * id + 5);
        MUST(cudaGetLastError());
        for (int i = 0; i < LEN; ++i)
            result->expected[i] = result->expected[i] * (2 * id + 5) + i;
    }
    MUST(cudaMemcpyAsync(pinned, device, LEN * 4, cudaMemcpyDeviceToHost, cudaStreamPerThread));
    MUST(cudaStreamSynchronize(0));
    result->found.assign(pinned, pinned + LEN);
    MUST(cudaFreeHost(pinned));
    MUST(cudaFree(device));
}

int main()
{
    Result results[THREADS];
    std::vector<std::thread> threads;
    for (int id = 0; id < THREADS; ++id) threads.emplace_back(work, id, &results[id]);
    for (std::thread &thread : threads) thread.join();
    int wrong = 0;
    for (const Result &result : results) wrong += report("thread", result.found, result.expected);
    return wrong != 0;
}
