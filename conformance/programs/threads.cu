// Four host threads, each with a stream and memory of its own, at the same time; what they print is
// kept until all are done, so that the bytes do not depend on who was first.
#include "proof.h"

#include <thread>

__global__ void step(unsigned *values, int len, unsigned factor, unsigned add)
{
    int i = blockDim.x * blockIdx.x + threadIdx.x;
    if (i < len) values[i] = values[i] * factor + add;
}

constexpr int THREADS = 4, ROUNDS = 20;

struct Result {
    std::vector<unsigned> found, expected;
};

static void work(int id, Result *result)
{
    int len = 3000 + id * 17;
    std::vector<unsigned> values(len);
    for (int i = 0; i < len; ++i) values[i] = mixed(id + 100, i);
    result->expected = values;
    MUST(cudaSetDevice(0));
    cudaStream_t stream;
    MUST(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    unsigned *device;
    size_t bytes = len * sizeof(unsigned);
    MUST(cudaMalloc(&device, bytes));
    MUST(cudaMemcpyAsync(device, values.data(), bytes, cudaMemcpyHostToDevice, stream));
    for (int round = 0; round < ROUNDS; ++round) {
        step<<<(len + 63) / 64, 64, 0, stream>>>(device, len, 2 * id + 3, round);
        MUST(cudaGetLastError());
        for (unsigned &value : result->expected) value = value * (2 * id + 3) + round;
    }
    result->found.resize(len);
    MUST(cudaMemcpyAsync(result->found.data(), device, bytes, cudaMemcpyDeviceToHost, stream));
    MUST(cudaStreamSynchronize(stream));
    MUST(cudaStreamDestroy(stream));
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
