// Host functions and stream callbacks: called once each, in the order of their stream, between the
// work before and after them, and not allowed to call the runtime.
#include "proof.h"

#include <atomic>

__global__ void add(int *values, int len, int by)
{
    int i = blockDim.x * blockIdx.x + threadIdx.x;
    if (i < len) values[i] += by;
}

constexpr int LEN = 5003, BLOCK = 128, GRID = (LEN + BLOCK - 1) / BLOCK, ROUNDS = 20;

// What a stream's functions see and do.
struct Log {
    std::vector<int> order;
    int *pinned;
    int wrong = 0;
};

struct Entry {
    Log *log;
    int number;
};

// The copy before it is done, and the one after it takes what it leaves.
static void host_function(void *data)
{
    Entry *entry = static_cast<Entry *>(data);
    Log &log = *entry->log;
    log.order.push_back(entry->number);
    for (int i = 0; i < LEN; ++i) {
        log.wrong += log.pinned[i] != 3 * entry->number + 1;
        log.pinned[i] += 2;
    }
}

static int in_order(cudaStream_t stream)
{
    Log log;
    size_t bytes = LEN * sizeof(int);
    int *values;
    MUST(cudaMallocHost(&log.pinned, bytes));
    MUST(cudaMalloc(&values, bytes));
    MUST(cudaMemsetAsync(values, 0, bytes, stream));
    std::vector<Entry> entries;
    for (int round = 0; round < ROUNDS; ++round) entries.push_back({&log, round});
    for (Entry &entry : entries) {
        add<<<GRID, BLOCK, 0, stream>>>(values, LEN, 1);
        MUST(cudaMemcpyAsync(log.pinned, values, bytes, cudaMemcpyDeviceToHost, stream));
        MUST(cudaLaunchHostFunc(stream, host_function, &entry));
        MUST(cudaMemcpyAsync(values, log.pinned, bytes, cudaMemcpyHostToDevice, stream));
    }
    MUST(cudaStreamSynchronize(stream));
    std::vector<int> expected;
    for (int round = 0; round < ROUNDS; ++round) expected.push_back(round);
    int wrong = report("order", log.order, expected) + log.wrong;
    std::vector<int> found(LEN);
    MUST(cudaMemcpy(found.data(), values, bytes, cudaMemcpyDeviceToHost));
    wrong += report("values", found, std::vector<int>(LEN, 3 * ROUNDS));
    MUST(cudaFreeHost(log.pinned));
    MUST(cudaFree(values));
    return wrong;
}

// What a callback was told.
struct Told {
    cudaStream_t stream;
    cudaError_t status, inside;
    std::atomic<int> calls;
};

static void CUDART_CB callback(cudaStream_t stream, cudaError_t status, void *data)
{
    Told *told = static_cast<Told *>(data);
    told->stream = stream;
    told->status = status;
    void *memory;
    told->inside = cudaMalloc(&memory, 4);
    ++told->calls;
}

static int callbacks(cudaStream_t stream)
{
    int wrong = 0;
    Told told[3] = {};
    for (Told &one : told) MUST(cudaStreamAddCallback(stream, callback, &one, 0));
    MUST(cudaStreamSynchronize(stream));
    for (Told &one : told) {
        printf("callback calls=%d stream=%s status=%s inside=%s\n", one.calls.load(),
               one.stream == stream ? "own" : "OTHER", cudaGetErrorName(one.status),
               cudaGetErrorName(one.inside));
        wrong += one.calls != 1 || one.stream != stream || one.status != cudaSuccess;
        wrong += one.inside != cudaErrorNotPermitted;
    }
    return wrong;
}

static void note(void *data) { ++*static_cast<std::atomic<int> *>(data); }

static void wait_for(void *data)
{
    while (static_cast<std::atomic<int> *>(data)->load() == 0) {}
}

// A function of one stream waits for one of another: neither holds the other up.
static int side_by_side(cudaStream_t left, cudaStream_t right)
{
    std::atomic<int> gate{0}, after{0};
    MUST(cudaLaunchHostFunc(left, wait_for, &gate));
    MUST(cudaLaunchHostFunc(left, note, &after));
    printf("held up: %s\n", cudaGetErrorName(cudaStreamQuery(left)));
    int wrong = after != 0;
    MUST(cudaLaunchHostFunc(right, note, &gate));
    MUST(cudaStreamSynchronize(left));
    printf("after gate=%d after=%d\n", gate.load(), after.load());
    return wrong + (after != 1);
}

int main()
{
    cudaStream_t left, right;
    MUST(cudaStreamCreateWithFlags(&left, cudaStreamNonBlocking));
    MUST(cudaStreamCreateWithFlags(&right, cudaStreamNonBlocking));
    int wrong = in_order(left);
    wrong += callbacks(right);
    wrong += side_by_side(left, right);
    MUST(cudaStreamDestroy(left));
    MUST(cudaStreamDestroy(right));
    return wrong != 0;
}
