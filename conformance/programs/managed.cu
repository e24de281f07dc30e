// Managed memory: host and kernels at one address, managed variables, advice and prefetches.
#include "proof.h"

__managed__ int counters[4] = {1, 2, 3, 4};
__managed__ double *anywhere;

__global__ void advance(int *values, int len)
{
    int i = blockDim.x * blockIdx.x + threadIdx.x;
    if (i < len) values[i] = values[i] * 3 + i;
    if (i < 4) atomicAdd(&counters[i], i + 1);
}

__global__ void halve(int len)
{
    int i = blockDim.x * blockIdx.x + threadIdx.x;
    if (i < len) anywhere[i] /= 2;
}

struct Item {
    Item *next;
    int value;
};

// Raises every item, and links one more behind the last: the next free one of a managed block.
__global__ void grow(Item *first, Item *spare)
{
    Item *at = first;
    for (;; at = at->next) {
        at->value += 1;
        if (!at->next) break;
    }
    *spare = {nullptr, at->value * 2};
    at->next = spare;
}

__global__ void touch(int *values, size_t stride, int count, int by)
{
    int i = threadIdx.x;
    if (i < count) values[i * stride] += by;
}

__global__ void step(int *values, int len, int round)
{
    int i = blockDim.x * blockIdx.x + threadIdx.x;
    if (i < len && i % 5 == round % 5) values[i] = values[i] * 7 + round;
}

constexpr int LEN = 10007;

// A list whose items, and the pointers in them, host and device write in turn.
static int list()
{
    Item *items;
    MUST(cudaMallocManaged(&items, 64 * sizeof(Item)));
    items[0] = {nullptr, 1};
    int used = 1, sum = 0;
    for (int round = 0; round < 20; ++round) {
        grow<<<1, 1>>>(items, &items[used++]);
        MUST(cudaDeviceSynchronize());
        // The host links one in front of the second.
        Item *mine = &items[used++];
        *mine = {items[0].next, round};
        items[0].next = mine;
    }
    int length = 0;
    for (Item *at = items; at; at = at->next, ++length) sum = sum * 3 + at->value;
    printf("list of %d, sum %d\n", length, sum);
    MUST(cudaFree(items));
    return length != used;
}

// Host and device in turn, a hundred times, waiting in every way there is.
static int alternate()
{
    int *values, wrong = 0;
    uint64_t sum = 0;
    cudaEvent_t event;
    cudaStream_t stream;
    MUST(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
    MUST(cudaStreamCreate(&stream));
    MUST(cudaMallocManaged(&values, LEN * sizeof(int)));
    std::vector<int> expected(LEN);
    for (int i = 0; i < LEN; ++i) expected[i] = values[i] = static_cast<int>(mixed(8, i) % 99);
    for (int round = 0; round < 100; ++round) {
        step<<<(LEN + 255) / 256, 256, 0, stream>>>(values, LEN, round);
        for (int i = round % 5; i < LEN; i += 5) expected[i] = expected[i] * 7 + round;
        MUST(cudaEventRecord(event, stream));
        switch (round % 4) {
        case 0: MUST(cudaDeviceSynchronize()); break;
        case 1: MUST(cudaStreamSynchronize(stream)); break;
        case 2: MUST(cudaEventSynchronize(event)); break;
        default:
            while (cudaStreamQuery(stream) == cudaErrorNotReady) {
            }
        }
        for (int i = 0; i < LEN; ++i) wrong += values[i] != expected[i];
        sum = sum * 31 + checksum(values, LEN * sizeof(int));
        // Bytes here and there, in the pages that the device changes as well.
        for (int i = 0; i < 10; ++i) {
            int at = static_cast<int>(mixed(round, i) % LEN);
            reinterpret_cast<unsigned char *>(&values[at])[i % 4] ^= 0x55;
            expected[at] = values[at];
        }
    }
    printf("alternating: wrong %d, sum %016llx\n", wrong, static_cast<unsigned long long>(sum));
    MUST(cudaFree(values));
    MUST(cudaStreamDestroy(stream));
    MUST(cudaEventDestroy(event));
    return wrong;
}

// A block of which little is used, and blocks too small for a page of their own.
static int sizes()
{
    constexpr size_t BIG = 256u << 20, STRIDE = (BIG / sizeof(int)) / 8;
    int *big, *small[20], wrong = 0;
    MUST(cudaMallocManaged(&big, BIG));
    for (int i = 0; i < 8; ++i) big[i * STRIDE] = i;
    for (int round = 0; round < 3; ++round) {
        touch<<<1, 32>>>(big, STRIDE, 8, 100);
        MUST(cudaDeviceSynchronize());
        big[STRIDE - 1] = round;
        touch<<<1, 32>>>(big + STRIDE - 1, 1, 1, 1);
        MUST(cudaDeviceSynchronize());
        wrong += big[STRIDE - 1] != round + 1;
    }
    for (int i = 0; i < 8; ++i) wrong += big[i * STRIDE] != i + 300;
    MUST(cudaFree(big));
    for (int i = 0; i < 20; ++i) {
        MUST(cudaMallocManaged(&small[i], 4 + i));
        *small[i] = i;
    }
    for (int i = 0; i < 20; ++i) touch<<<1, 32>>>(small[i], 1, 1, 10);
    MUST(cudaDeviceSynchronize());
    for (int i = 0; i < 20; i += 2) MUST(cudaFree(small[i]));
    for (int i = 1; i < 20; i += 2) {
        wrong += *small[i] != i + 10;
        MUST(cudaFree(small[i]));
    }
    printf("sizes: wrong %d\n", wrong);
    return wrong;
}

// Copies and fills from, to and within managed memory.
static int copies()
{
    int *managed, *device, wrong = 0;
    std::vector<int> host(LEN), back(LEN);
    for (int i = 0; i < LEN; ++i) host[i] = i * 3;
    constexpr size_t BYTES = LEN * sizeof(int);
    MUST(cudaMallocManaged(&managed, BYTES));
    MUST(cudaMalloc(&device, BYTES));
    MUST(cudaMemcpy(managed, host.data(), BYTES, cudaMemcpyHostToDevice));
    MUST(cudaDeviceSynchronize());
    for (int i = 0; i < LEN; ++i) wrong += managed[i] != i * 3;
    managed[7] = -7;
    MUST(cudaMemcpy(device, managed, BYTES, cudaMemcpyDefault));
    step<<<(LEN + 255) / 256, 256>>>(device, LEN, 0);
    MUST(cudaMemcpy(managed, device, BYTES, cudaMemcpyDefault));
    MUST(cudaDeviceSynchronize());
    for (int i = 0; i < LEN; ++i) {
        int was = i == 7 ? -7 : i * 3;
        wrong += managed[i] != (i % 5 == 0 ? was * 7 : was);
    }
    MUST(cudaMemset(managed + 10, 0, 40));
    MUST(cudaDeviceSynchronize());
    for (int i = 10; i < 20; ++i) wrong += managed[i] != 0;
    managed[11] = 5;
    MUST(cudaMemcpy(back.data(), managed, BYTES, cudaMemcpyDefault));
    for (int i = 0; i < LEN; ++i) wrong += back[i] != managed[i];
    MUST(cudaMemcpy2D(managed, 100, device, 200, 60, 30, cudaMemcpyDeviceToDevice));
    MUST(cudaDeviceSynchronize());
    for (int row = 0; row < 30; ++row) {
        MUST(cudaMemcpy(back.data(), device + row * 50, 60, cudaMemcpyDeviceToHost));
        wrong += memcmp(back.data(), managed + row * 25, 60) != 0;
    }
    printf("copies: wrong %d, sum %016llx\n", wrong,
           static_cast<unsigned long long>(checksum(managed, BYTES)));
    MUST(cudaFree(managed));
    MUST(cudaFree(device));
    return wrong;
}

// Two streams with a block each, attached; the host uses the one while the other's kernel may run.
static int in_streams()
{
    cudaStream_t streams[2];
    int *blocks[2], wrong = 0;
    for (int s = 0; s < 2; ++s) {
        MUST(cudaStreamCreate(&streams[s]));
        MUST(cudaMallocManaged(&blocks[s], LEN * sizeof(int), cudaMemAttachHost));
        for (int i = 0; i < LEN; ++i) blocks[s][i] = i * (s + 1);
        MUST(cudaStreamAttachMemAsync(streams[s], blocks[s], 0, cudaMemAttachSingle));
        MUST(cudaStreamSynchronize(streams[s]));
    }
    std::vector<int> expected(LEN);
    for (int round = 0; round < 20; ++round) {
        for (int s = 0; s < 2; ++s) {
            MUST(cudaStreamSynchronize(streams[s]));
            blocks[s][round] = round;
            step<<<(LEN + 255) / 256, 256, 0, streams[s]>>>(blocks[s], LEN, round);
        }
    }
    for (int s = 0; s < 2; ++s) {
        MUST(cudaStreamSynchronize(streams[s]));
        for (int i = 0; i < LEN; ++i) expected[i] = i * (s + 1);
        for (int round = 0; round < 20; ++round) {
            expected[round] = round;
            for (int i = round % 5; i < LEN; i += 5) expected[i] = expected[i] * 7 + round;
        }
        for (int i = 0; i < LEN; ++i) wrong += blocks[s][i] != expected[i];
        MUST(cudaFree(blocks[s]));
        MUST(cudaStreamDestroy(streams[s]));
    }
    printf("two streams: wrong %d\n", wrong);
    return wrong;
}

// The host prepares the next block while the kernel of the one before may run.
static int ahead()
{
    constexpr int BLOCKS = 8;
    int *blocks[BLOCKS], wrong = 0;
    for (auto &block : blocks) MUST(cudaMallocManaged(&block, LEN * sizeof(int)));
    for (int b = 0; b < BLOCKS; ++b) {
        for (int i = 0; i < LEN; ++i) blocks[b][i] = i ^ b;
        step<<<(LEN + 255) / 256, 256>>>(blocks[b], LEN, b);
    }
    MUST(cudaDeviceSynchronize());
    for (int b = 0; b < BLOCKS; ++b) {
        for (int i = 0; i < LEN; ++i)
            wrong += blocks[b][i] != (i % 5 == b % 5 ? (i ^ b) * 7 + b : (i ^ b));
        MUST(cudaFree(blocks[b]));
    }
    printf("ahead: wrong %d\n", wrong);
    return wrong;
}

static void errors()
{
    int *values = nullptr, *device;
    cudaMemLocation here = {}, nowhere = {};
    here.type = nowhere.type = cudaMemLocationTypeDevice;
    nowhere.id = 99;
    auto tell = [](const char *what, cudaError_t status) {
        printf("%s: %s\n", what, cudaGetErrorName(status));
        cudaGetLastError();
    };
    tell("no bytes", cudaMallocManaged(&values, 0));
    tell("no such attachment", cudaMallocManaged(&values, 64, 77));
    tell("too many bytes", cudaMallocManaged(&values, size_t{1} << 45));
    MUST(cudaMalloc(&device, 4096));
    tell("prefetch of device memory", cudaMemPrefetchAsync(device, 4096, here, 0, 0));
    tell("advice on device memory",
         cudaMemAdvise(device, 4096, cudaMemAdviseSetReadMostly, here));
    MUST(cudaMallocManaged(&values, 4096));
    tell("prefetch beyond its end", cudaMemPrefetchAsync(values, 1 << 20, here, 0, 0));
    tell("prefetch to nowhere", cudaMemPrefetchAsync(values, 4096, nowhere, 0, 0));
    tell("no such advice",
         cudaMemAdvise(values, 4096, static_cast<cudaMemoryAdvise>(77), here));
    tell("freed as pinned", cudaFreeHost(values));
    tell("freed in the middle", cudaFree(values + 1));
    MUST(cudaFree(values));
    MUST(cudaFree(device));
}

int main()
{
    int can = 0;
    MUST(cudaDeviceGetAttribute(&can, cudaDevAttrManagedMemory, 0));
    printf("managed %d\n", can);
    int *values;
    MUST(cudaMallocManaged(&values, LEN * sizeof(int)));
    std::vector<int> expected(LEN);
    for (int i = 0; i < LEN; ++i) expected[i] = values[i] = static_cast<int>(mixed(1, i) % 1000);
    int device = 0;
    MUST(cudaGetDevice(&device));
    cudaMemLocation here = {}, host = {};
    here.type = cudaMemLocationTypeDevice;
    here.id = device;
    host.type = cudaMemLocationTypeHost;
    int wrong = 0;
    for (int round = 0; round < 3; ++round) {
        MUST(cudaMemPrefetchAsync(values, LEN * sizeof(int), here, 0, 0));
        advance<<<(LEN + 127) / 128, 128>>>(values, LEN);
        MUST(cudaGetLastError());
        MUST(cudaDeviceSynchronize());
        MUST(cudaMemPrefetchAsync(values, LEN * sizeof(int), host, 0, 0));
        MUST(cudaDeviceSynchronize());
        // The host changes what the next round reads.
        for (int i = 0; i < LEN; ++i) {
            expected[i] = expected[i] * 3 + i;
            wrong += values[i] != expected[i];
            values[i] = expected[i] %= 777;
        }
    }
    printf("rounds: wrong %d, sum %016llx\n", wrong,
           static_cast<unsigned long long>(checksum(values, LEN * sizeof(int))));
    printf("counters %d %d %d %d\n", counters[0], counters[1], counters[2], counters[3]);

    MUST(cudaMallocManaged(&anywhere, 100 * sizeof(double), cudaMemAttachGlobal));
    for (int i = 0; i < 100; ++i) anywhere[i] = i;
    halve<<<1, 128>>>(100);
    MUST(cudaDeviceSynchronize());
    for (int i = 0; i < 100; ++i) wrong += anywhere[i] != i / 2.0;
    printf("through a managed pointer: wrong %d\n", wrong);

    cudaPointerAttributes about;
    MUST(cudaPointerGetAttributes(&about, values + 5));
    bool both = about.devicePointer == values + 5 && about.hostPointer == values + 5;
    printf("kind managed %d, both pointers %d\n", about.type == cudaMemoryTypeManaged, both);
    MUST(cudaMemAdvise(values, LEN * sizeof(int), cudaMemAdviseSetReadMostly, here));
    int mostly = -1, last = -5;
    MUST(cudaMemRangeGetAttribute(&mostly, sizeof mostly, cudaMemRangeAttributeReadMostly, values,
                                  LEN * sizeof(int)));
    MUST(cudaMemRangeGetAttribute(&last, sizeof last, cudaMemRangeAttributeLastPrefetchLocation,
                                  values, LEN * sizeof(int)));
    printf("read mostly %d, last prefetch to the host %d\n", mostly, last == cudaCpuDeviceId);
    MUST(cudaFree(values));
    MUST(cudaFree(anywhere));
    printf("freed twice: %s\n", cudaGetErrorName(cudaFree(values)));
    wrong += list() + alternate() + sizes() + copies() + in_streams() + ahead();
    errors();
    return wrong != 0;
}
