// Host functions and the copies around them: what a stream has copied to the host before is there
// when a function runs, and what it writes is what a copy behind it takes, on whichever stream the
// copy is; thousands of functions; functions of several streams; what a callback hears of a fault.
#include "proof.h"

#include <atomic>
#include <numeric>

__global__ void fill(int *values, int len, int by)
{
    int i = blockDim.x * blockIdx.x + threadIdx.x;
    if (i < len) values[i] = i * by;
}

constexpr int BLOCK = 256;

static int grid(int len) { return (len + BLOCK - 1) / BLOCK; }

struct Buffer {
    int *host;
    int len, by;
    long long sum;
};

static void write_all(void *data)
{
    Buffer &buffer = *static_cast<Buffer *>(data);
    for (int i = 0; i < buffer.len; ++i) buffer.host[i] = i * buffer.by;
}

static void add_all(void *data)
{
    Buffer &buffer = *static_cast<Buffer *>(data);
    buffer.sum = std::accumulate(buffer.host, buffer.host + buffer.len, 0LL);
}

static long long sum_of(const std::vector<int> &values)
{
    return std::accumulate(values.begin(), values.end(), 0LL);
}

// A function that spins until it is let go, so that what comes behind it is asked for before.
static void wait_for(void *data)
{
    while (static_cast<std::atomic<int> *>(data)->load() == 0) {}
}

// The function fills the source of a copy behind it. With `through`, the copy is on another stream
// that waits for an event of the first; `pinned` says what kind of memory the source is.
static int fills(const char *name, int len, cudaStream_t stream, cudaStream_t through, bool pinned)
{
    size_t bytes = len * sizeof(int);
    Buffer buffer{nullptr, len, 3, 0};
    std::vector<int> pageable(len, 7);
    if (pinned) MUST(cudaMallocHost(&buffer.host, bytes));
    else buffer.host = pageable.data();
    std::fill(buffer.host, buffer.host + len, 7);
    int *values;
    MUST(cudaMalloc(&values, bytes));
    std::atomic<int> gate{0};
    MUST(cudaLaunchHostFunc(stream, wait_for, &gate));
    MUST(cudaLaunchHostFunc(stream, write_all, &buffer));
    cudaEvent_t event;
    MUST(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
    MUST(cudaEventRecord(event, stream));
    if (through != stream) MUST(cudaStreamWaitEvent(through, event, 0));
    // A copy of memory that is not pinned may wait for its stream.
    if (!pinned) gate = 1;
    MUST(cudaMemcpyAsync(values, buffer.host, bytes, cudaMemcpyHostToDevice, through));
    gate = 1;
    std::vector<int> found(len);
    MUST(cudaStreamSynchronize(through));
    MUST(cudaMemcpy(found.data(), values, bytes, cudaMemcpyDeviceToHost));
    std::vector<int> expected(len);
    for (int i = 0; i < len; ++i) expected[i] = i * 3;
    MUST(cudaEventDestroy(event));
    MUST(cudaFree(values));
    if (pinned) MUST(cudaFreeHost(buffer.host));
    return report(name, found, expected);
}

// Rows with gaps at both ends.
static int fills_rows(cudaStream_t stream)
{
    constexpr int WIDTH = 37, HEIGHT = 301, PITCH = 64;
    Buffer buffer{nullptr, PITCH * HEIGHT, 5, 0};
    MUST(cudaMallocHost(&buffer.host, PITCH * HEIGHT * sizeof(int)));
    std::fill(buffer.host, buffer.host + PITCH * HEIGHT, 7);
    int *values;
    size_t pitch;
    MUST(cudaMallocPitch(&values, &pitch, WIDTH * sizeof(int), HEIGHT));
    std::atomic<int> gate{0};
    MUST(cudaLaunchHostFunc(stream, wait_for, &gate));
    MUST(cudaLaunchHostFunc(stream, write_all, &buffer));
    MUST(cudaMemcpy2DAsync(values, pitch, buffer.host, PITCH * sizeof(int), WIDTH * sizeof(int),
                           HEIGHT, cudaMemcpyHostToDevice, stream));
    gate = 1;
    std::vector<int> found(WIDTH * HEIGHT), expected;
    MUST(cudaStreamSynchronize(stream));
    MUST(cudaMemcpy2D(found.data(), WIDTH * sizeof(int), values, pitch, WIDTH * sizeof(int),
                      HEIGHT, cudaMemcpyDeviceToHost));
    for (int y = 0; y < HEIGHT; ++y)
        for (int x = 0; x < WIDTH; ++x) expected.push_back((y * PITCH + x) * 5);
    MUST(cudaFree(values));
    MUST(cudaFreeHost(buffer.host));
    return report("rows", found, expected);
}

// Captures one copy.
static cudaGraphExec_t copies(cudaStream_t stream, void *to, const void *from, size_t bytes)
{
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    MUST(cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed));
    MUST(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream));
    MUST(cudaStreamEndCapture(stream, &graph));
    MUST(cudaGraphInstantiate(&exec, graph, 0));
    MUST(cudaGraphDestroy(graph));
    return exec;
}

// A graph copies what a function before its launch writes, and what a launch before it has copied
// to the host; neither launch waits for that.
static int launches(cudaStream_t stream, int len)
{
    size_t bytes = len * sizeof(int);
    Buffer buffer{nullptr, len, 3, 0};
    MUST(cudaMallocHost(&buffer.host, bytes));
    std::fill(buffer.host, buffer.host + len, 7);
    int *values, *others;
    MUST(cudaMalloc(&values, bytes));
    MUST(cudaMalloc(&others, bytes));
    cudaGraphExec_t there = copies(stream, values, buffer.host, bytes);
    cudaGraphExec_t back = copies(stream, buffer.host, others, bytes);
    int wrong = 0;
    for (int by : {3, 11}) {
        std::atomic<int> gate{0};
        if (by == 11) {
            fill<<<grid(len), BLOCK, 0, stream>>>(others, len, by);
            MUST(cudaLaunchHostFunc(stream, wait_for, &gate));
            MUST(cudaGraphLaunch(back, stream));
        } else {
            MUST(cudaLaunchHostFunc(stream, wait_for, &gate));
            MUST(cudaLaunchHostFunc(stream, write_all, &buffer));
        }
        MUST(cudaGraphLaunch(there, stream));
        gate = 1;
        MUST(cudaStreamSynchronize(stream));
        std::vector<int> found(len), expected(len);
        MUST(cudaMemcpy(found.data(), values, bytes, cudaMemcpyDeviceToHost));
        for (int i = 0; i < len; ++i) expected[i] = i * by;
        wrong += report(by == 3 ? "graph" : "two graphs", found, expected);
    }
    MUST(cudaGraphExecDestroy(there));
    MUST(cudaGraphExecDestroy(back));
    MUST(cudaFree(values));
    MUST(cudaFree(others));
    MUST(cudaFreeHost(buffer.host));
    return wrong;
}

// What was copied before is what the function sees.
static int reads(cudaStream_t stream, int len)
{
    size_t bytes = len * sizeof(int);
    Buffer buffer{nullptr, len, 0, -1};
    int *values;
    MUST(cudaMallocHost(&buffer.host, bytes));
    MUST(cudaMalloc(&values, bytes));
    int wrong = 0;
    for (int by = 1; by <= 5; ++by) {
        fill<<<grid(len), BLOCK, 0, stream>>>(values, len, by);
        MUST(cudaMemcpyAsync(buffer.host, values, bytes, cudaMemcpyDeviceToHost, stream));
        MUST(cudaLaunchHostFunc(stream, add_all, &buffer));
        MUST(cudaStreamSynchronize(stream));
        std::vector<int> expected(len);
        for (int i = 0; i < len; ++i) expected[i] = i * by;
        wrong += buffer.sum != sum_of(expected);
    }
    printf("reads %d: last sum %lld\n", len, buffer.sum);
    MUST(cudaFree(values));
    MUST(cudaFreeHost(buffer.host));
    return wrong;
}

struct Counter {
    std::vector<int> order;
};

struct Ticket {
    Counter *counter;
    int number;
};

static void take(void *data)
{
    Ticket *ticket = static_cast<Ticket *>(data);
    ticket->counter->order.push_back(ticket->number);
}

// More functions than any queue holds, with work between them, on several streams in turn.
static int thousands(std::vector<cudaStream_t> &streams)
{
    constexpr int COUNT = 1200;
    std::vector<Counter> counters(streams.size());
    std::vector<Ticket> tickets;
    tickets.reserve(COUNT * streams.size());
    int *values;
    MUST(cudaMalloc(&values, streams.size() * sizeof(int)));
    for (int i = 0; i < COUNT; ++i) {
        for (size_t at = 0; at < streams.size(); ++at) {
            if (i % 100 == 0) fill<<<1, 1, 0, streams[at]>>>(values + at, 1, i);
            tickets.push_back({&counters[at], i});
            MUST(cudaLaunchHostFunc(streams[at], take, &tickets.back()));
        }
    }
    MUST(cudaDeviceSynchronize());
    std::vector<int> expected(COUNT);
    std::iota(expected.begin(), expected.end(), 0);
    int wrong = 0;
    for (Counter &counter : counters) wrong += report("thousands", counter.order, expected);
    MUST(cudaFree(values));
    return wrong;
}

struct Told {
    std::atomic<bool> called{false};
    cudaError_t status;
};

static void CUDART_CB note(cudaStream_t, cudaError_t status, void *data)
{
    Told *told = static_cast<Told *>(data);
    told->status = status;
    told->called = true;
}

static void never(void *data) { *static_cast<int *>(data) = 1; }

__global__ void fault(int *nowhere) { *nowhere = 1; }

// After a fault a callback is called with it, and a host function is not called.
static void ends(cudaStream_t stream)
{
    int called = 0;
    static Told told[2];
    MUST(cudaStreamAddCallback(stream, note, &told[0], 0));
    MUST(cudaStreamSynchronize(stream));
    std::atomic<int> gate{0};
    MUST(cudaLaunchHostFunc(stream, wait_for, &gate));
    fault<<<1, 1, 0, stream>>>(reinterpret_cast<int *>(16));
    MUST(cudaStreamAddCallback(stream, note, &told[1], 0));
    MUST(cudaLaunchHostFunc(stream, never, &called));
    gate = 1;
    cudaError_t end = cudaStreamSynchronize(stream);
    // A stream that has ended by a fault is not waited for.
    while (!told[1].called) {}
    printf("told %s, then %s; end %s; called %d\n", cudaGetErrorName(told[0].status),
           cudaGetErrorName(told[1].status), cudaGetErrorName(end), called);
    printf("later %s\n", cudaGetErrorName(cudaLaunchHostFunc(stream, never, &called)));
}

int main()
{
    std::vector<cudaStream_t> streams(4);
    for (cudaStream_t &stream : streams)
        MUST(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    int wrong = 0;
    printf("null %s\n", cudaGetErrorName(cudaLaunchHostFunc(streams[0], nullptr, nullptr)));
    cudaGetLastError();
    for (int len : {1, 5000, 700001}) {
        wrong += fills("same stream", len, streams[0], streams[0], true);
        wrong += fills("event", len, streams[0], streams[1], true);
        wrong += fills("default stream", len, 0, 0, true);
    }
    wrong += fills("pageable", 700001, streams[0], streams[0], false);
    wrong += fills_rows(streams[2]);
    for (int len : {5, 5000, 700001}) wrong += launches(streams[1], len);
    for (int len : {3, 5000, 700001}) wrong += reads(streams[1], len);
    wrong += thousands(streams);
    printf("wrong %d\n", wrong);
    ends(streams[3]);
    return wrong != 0;
}
