// Two streams, events and asynchronous copies both ways through pinned memory. The second stream
// waits for an event of the first, so the result is right only if the order is kept.
#include "proof.h"

__global__ void scale(const int *source, int *target, int len, int factor)
{
    int i = blockDim.x * blockIdx.x + threadIdx.x;
    if (i < len) target[i] = source[i] * factor;
}

__global__ void shift(int *values, int len, int by)
{
    int i = blockDim.x * blockIdx.x + threadIdx.x;
    if (i < len) values[i] += by;
}

constexpr int LEN = 200003, BLOCK = 128, GRID = (LEN + BLOCK - 1) / BLOCK;

static void fill(int *values, uint32_t seed)
{
    for (int i = 0; i < LEN; ++i) values[i] = static_cast<int>(mixed(seed, i) % 100000);
}

int main()
{
    size_t bytes = LEN * sizeof(int);
    int *source, *target, *first, *second;
    MUST(cudaMallocHost(&source, bytes));
    MUST(cudaHostAlloc(&target, bytes, cudaHostAllocDefault));
    MUST(cudaMalloc(&first, bytes));
    MUST(cudaMalloc(&second, bytes));
    cudaStream_t left, right;
    MUST(cudaStreamCreate(&left));
    MUST(cudaStreamCreateWithFlags(&right, cudaStreamNonBlocking));
    cudaEvent_t begin, scaled, done;
    MUST(cudaEventCreate(&begin));
    MUST(cudaEventCreateWithFlags(&scaled, cudaEventDisableTiming));
    MUST(cudaEventCreate(&done));

    int wrong = 0;
    for (int round = 1; round <= 5; ++round) {
        fill(source, round);
        memset(target, 0, bytes);
        MUST(cudaEventRecord(begin, left));
        MUST(cudaMemcpyAsync(first, source, bytes, cudaMemcpyHostToDevice, left));
        scale<<<GRID, BLOCK, 0, left>>>(first, second, LEN, round);
        MUST(cudaEventRecord(scaled, left));
        MUST(cudaStreamWaitEvent(right, scaled, 0));
        shift<<<GRID, BLOCK, 0, right>>>(second, LEN, round * 1000);
        MUST(cudaMemcpyAsync(target, second, bytes, cudaMemcpyDeviceToHost, right));
        MUST(cudaEventRecord(done, right));
        MUST(cudaEventSynchronize(done));
        float elapsed_ms = -1;
        MUST(cudaEventElapsedTime(&elapsed_ms, begin, done));
        std::vector<int> found(target, target + LEN), expected(LEN);
        for (int i = 0; i < LEN; ++i) expected[i] = source[i] * round + round * 1000;
        wrong += report("streams_events", found, expected);
        printf("elapsed %s\n", elapsed_ms >= 0 ? "not negative" : "NEGATIVE");
        wrong += !(elapsed_ms >= 0);
    }

    // A finished stream says so; a fresh event counts as done; memsets keep their stream's order.
    MUST(cudaStreamSynchronize(left));
    printf("query left %s\n", cudaGetErrorName(cudaStreamQuery(left)));
    printf("query done %s\n", cudaGetErrorName(cudaEventQuery(done)));
    MUST(cudaMemsetAsync(first, 0x11, bytes, left));
    shift<<<GRID, BLOCK, 0, left>>>(first, LEN, 1);
    MUST(cudaMemcpyAsync(second, first, bytes, cudaMemcpyDeviceToDevice, left));
    MUST(cudaMemcpyAsync(target, second, bytes, cudaMemcpyDeviceToHost, left));
    MUST(cudaStreamSynchronize(left));
    wrong += report("memset", std::vector<int>(target, target + LEN),
                    std::vector<int>(LEN, 0x11111112));

    MUST(cudaEventDestroy(begin));
    MUST(cudaEventDestroy(scaled));
    MUST(cudaEventDestroy(done));
    MUST(cudaStreamDestroy(left));
    MUST(cudaStreamDestroy(right));
    MUST(cudaFree(first));
    MUST(cudaFree(second));
    MUST(cudaFreeHost(source));
    MUST(cudaFreeHost(target));
    return wrong != 0;
}
