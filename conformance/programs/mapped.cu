// Host memory that kernels use where it is: mapped and registered.
#include "proof.h"

__global__ void square(const int *from, int *to, int len)
{
    int i = blockDim.x * blockIdx.x + threadIdx.x;
    if (i < len) to[i] = from[i] * from[i];
}

__global__ void count(unsigned *total, const int *values, int len)
{
    int i = blockDim.x * blockIdx.x + threadIdx.x;
    if (i < len && values[i] % 2) atomicAdd(total, 1u);
}

// Takes a list of numbers that begins anywhere in host memory.
struct Item {
    Item *next;
    int value;
};

__global__ void raise(Item *first, int by)
{
    for (Item *at = first; at; at = at->next) at->value += by;
}

__global__ void step(int *values, int len, int round)
{
    int i = blockDim.x * blockIdx.x + threadIdx.x;
    if (i < len && i % 7 == round % 7) values[i] = values[i] * 5 + round;
}

// Waits until the host has stored a number, and adds one.
__global__ void await(volatile int *flag, int *answer)
{
    while (*flag == 0) {
    }
    *answer = *flag + 1;
}

constexpr int LEN = 5003, GRID = (LEN + 255) / 256;

// Host and device change one block in turn, each other bytes; the address was asked of nobody.
static int alternate()
{
    int *values, wrong = 0;
    MUST(cudaMallocHost(&values, LEN * sizeof(int)));
    std::vector<int> expected(LEN);
    for (int i = 0; i < LEN; ++i) expected[i] = values[i] = static_cast<int>(mixed(5, i) % 99);
    for (int round = 0; round < 100; ++round) {
        step<<<GRID, 256>>>(values, LEN, round);
        if (round % 3 == 0) {
            MUST(cudaDeviceSynchronize());
        } else if (round % 3 == 1) {
            MUST(cudaStreamSynchronize(0));
        } else {
            cudaEvent_t event;
            MUST(cudaEventCreate(&event));
            MUST(cudaEventRecord(event));
            while (cudaEventQuery(event) == cudaErrorNotReady) {
            }
            MUST(cudaEventDestroy(event));
        }
        for (int i = round % 7; i < LEN; i += 7) expected[i] = expected[i] * 5 + round;
        for (int i = 0; i < LEN; ++i) wrong += values[i] != expected[i];
        int at = static_cast<int>(mixed(6, round) % LEN);
        expected[at] = values[at] = round;
    }
    printf("alternating: wrong %d, sum %016llx\n", wrong,
           static_cast<unsigned long long>(checksum(values, LEN * sizeof(int))));
    MUST(cudaFreeHost(values));
    return wrong;
}

// Two streams, a block each; the host writes one while the other's kernel may run.
static int in_streams()
{
    constexpr int ROUNDS = 20;
    cudaStream_t streams[2];
    int *blocks[2], wrong = 0;
    std::vector<int> expected(LEN);
    for (int s = 0; s < 2; ++s) {
        MUST(cudaStreamCreateWithFlags(&streams[s], cudaStreamNonBlocking));
        MUST(cudaHostAlloc(&blocks[s], LEN * sizeof(int), cudaHostAllocMapped));
        for (int i = 0; i < LEN; ++i) blocks[s][i] = i + s;
    }
    for (int round = 0; round < ROUNDS; ++round) {
        for (int s = 0; s < 2; ++s) {
            MUST(cudaStreamSynchronize(streams[s]));
            blocks[s][round] = -round;
            step<<<GRID, 256, 0, streams[s]>>>(blocks[s], LEN, round);
        }
    }
    for (int s = 0; s < 2; ++s) {
        MUST(cudaStreamSynchronize(streams[s]));
        for (int i = 0; i < LEN; ++i) expected[i] = i + s;
        for (int round = 0; round < ROUNDS; ++round) {
            expected[round] = -round;
            for (int i = round % 7; i < LEN; i += 7) expected[i] = expected[i] * 5 + round;
        }
        for (int i = 0; i < LEN; ++i) wrong += blocks[s][i] != expected[i];
        MUST(cudaStreamDestroy(streams[s]));
        MUST(cudaFreeHost(blocks[s]));
    }
    printf("two streams: wrong %d\n", wrong);
    return wrong;
}

// Pointers inside the memory, and copies and fills of it beside kernels.
static int pointers_and_copies()
{
    Item *items;
    int wrong = 0;
    MUST(cudaMallocHost(&items, 100 * sizeof(Item)));
    for (int i = 0; i < 100; ++i) items[i] = {i ? &items[i * 37 % 100] : nullptr, i};
    // A ring of all items but the first begins at 1 and would not end: it is cut behind 50 of them.
    Item *at = &items[1];
    for (int i = 1; i < 50; ++i) at = at->next = &items[(i * 2) % 99 + 1];
    at->next = nullptr;
    raise<<<1, 1>>>(&items[1], 1000);
    MUST(cudaDeviceSynchronize());
    int raised = 0;
    for (int i = 0; i < 100; ++i) raised += items[i].value >= 1000;
    printf("raised %d of a list\n", raised);

    int *pinned, *device, *mapped;
    MUST(cudaHostAlloc(&pinned, LEN * sizeof(int), cudaHostAllocMapped));
    MUST(cudaHostGetDevicePointer(&mapped, pinned, 0));
    MUST(cudaMalloc(&device, LEN * sizeof(int)));
    MUST(cudaMemset(device, 0, LEN * sizeof(int)));
    for (int i = 0; i < LEN; ++i) pinned[i] = i;
    step<<<GRID, 256>>>(mapped, LEN, 0);
    MUST(cudaMemcpyAsync(device, pinned, LEN * sizeof(int), cudaMemcpyHostToDevice, 0));
    step<<<GRID, 256>>>(device, LEN, 1);
    MUST(cudaMemcpy(mapped, device, LEN * sizeof(int), cudaMemcpyDefault));
    for (int i = 0; i < LEN; ++i)
        wrong += pinned[i] != (i % 7 == 0 ? i * 5 : i % 7 == 1 ? i * 5 + 1 : i);
    MUST(cudaMemset(mapped + 3, 0xff, 4 * sizeof(int)));
    MUST(cudaDeviceSynchronize());
    for (int i = 3; i < 7; ++i) wrong += pinned[i] != -1;
    MUST(cudaMemcpy2D(mapped, 16, device, 32, 8, 10, cudaMemcpyDeviceToDevice));
    std::vector<int> back(40);
    MUST(cudaMemcpy(back.data(), mapped, 160, cudaMemcpyDeviceToHost));
    for (int i = 0; i < 40; ++i) wrong += back[i] != pinned[i];
    printf("copies: wrong %d, sum %016llx\n", wrong,
           static_cast<unsigned long long>(checksum(back)));
    MUST(cudaFree(device));
    MUST(cudaFreeHost(pinned));
    MUST(cudaFreeHost(items));
    return wrong;
}

// A kernel that waits for a store of the host, which the host makes before it waits for the kernel.
static int awaited_stores()
{
    volatile int *flag, *answer;
    int wrong = 0;
    MUST(cudaHostAlloc(&flag, sizeof *flag, cudaHostAllocMapped));
    MUST(cudaHostAlloc(&answer, sizeof *answer, cudaHostAllocMapped));
    cudaEvent_t event;
    MUST(cudaEventCreate(&event));
    for (int round = 1; round <= 4; ++round) {
        *flag = *answer = 0;
        await<<<1, 1>>>(flag, const_cast<int *>(answer));
        MUST(cudaEventRecord(event));
        *flag = round;
        switch (round) {
        case 1: MUST(cudaDeviceSynchronize()); break;
        case 2: MUST(cudaStreamSynchronize(0)); break;
        case 3: MUST(cudaEventSynchronize(event)); break;
        default:
            while (cudaEventQuery(event) == cudaErrorNotReady) {
            }
        }
        wrong += *answer != round + 1;
    }
    printf("stores that kernels wait for: wrong %d\n", wrong);
    MUST(cudaEventDestroy(event));
    MUST(cudaFreeHost(const_cast<int *>(flag)));
    MUST(cudaFreeHost(const_cast<int *>(answer)));
    return wrong;
}

// A graph copies what its kernel has written to host memory, there and back.
static int in_graphs()
{
    int *values, *device, *copied, wrong = 0;
    MUST(cudaHostAlloc(&values, LEN * sizeof(int), cudaHostAllocMapped));
    MUST(cudaHostGetDevicePointer(&device, values, 0));
    MUST(cudaMalloc(&copied, LEN * sizeof(int)));
    cudaStream_t stream;
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    MUST(cudaStreamCreate(&stream));
    MUST(cudaGraphCreate(&graph, 0));
    cudaGraphNode_t last = nullptr, node;
    auto kernel = [&](int *where, int round) {
        int len = LEN;
        void *given[] = {&where, &len, &round};
        cudaKernelNodeParams launch = {};
        launch.func = reinterpret_cast<void *>(step);
        launch.gridDim = dim3(GRID);
        launch.blockDim = dim3(256);
        launch.kernelParams = given;
        MUST(cudaGraphAddKernelNode(&node, graph, &last, last ? 1 : 0, &launch));
        last = node;
    };
    auto copy = [&](int *to, int *from, cudaMemcpyKind kind) {
        MUST(cudaGraphAddMemcpyNode1D(&node, graph, &last, 1, to, from, LEN * sizeof(int), kind));
        last = node;
    };
    kernel(device, 1);
    copy(copied, values, cudaMemcpyHostToDevice);
    kernel(copied, 2);
    copy(values, copied, cudaMemcpyDeviceToHost);
    MUST(cudaGraphInstantiate(&exec, graph, 0));
    std::vector<int> expected(LEN), found(LEN);
    for (int round = 0; round < 3; ++round) {
        for (int i = 0; i < LEN; ++i) values[i] = i + round;
        MUST(cudaGraphLaunch(exec, stream));
        MUST(cudaStreamSynchronize(stream));
        for (int i = 0; i < LEN; ++i) {
            int value = i + round;
            for (int by : {1, 2})
                if (i % 7 == by) value = value * 5 + by;
            expected[i] = value;
            wrong += values[i] != value;
        }
        MUST(cudaMemcpy(found.data(), copied, LEN * sizeof(int), cudaMemcpyDeviceToHost));
        wrong += report("in graphs", found, expected);
    }
    printf("in graphs: wrong %d\n", wrong);
    MUST(cudaGraphExecDestroy(exec));
    MUST(cudaGraphDestroy(graph));
    MUST(cudaStreamDestroy(stream));
    MUST(cudaFreeHost(values));
    MUST(cudaFree(copied));
    return wrong;
}

int main()
{
    int *from, *device;
    unsigned *total;
    MUST(cudaHostAlloc(&from, LEN * sizeof(int), cudaHostAllocMapped | cudaHostAllocPortable));
    MUST(cudaHostAlloc(&total, sizeof *total, cudaHostAllocMapped | cudaHostAllocWriteCombined));
    MUST(cudaHostGetDevicePointer(&device, from, 0));
    printf("one address %d\n", device == from);
    std::vector<int> to(LEN, -1);
    MUST(cudaHostRegister(to.data(), LEN * sizeof(int), cudaHostRegisterMapped));
    int *registered;
    MUST(cudaHostGetDevicePointer(&registered, to.data(), 0));
    unsigned odd = 0;
    for (int i = 0; i < LEN; ++i) odd += (from[i] = static_cast<int>(mixed(3, i) % 30000)) % 2;
    *total = 0;
    square<<<GRID, 256>>>(device, registered, LEN);
    count<<<GRID, 256>>>(total, registered, LEN);
    MUST(cudaDeviceSynchronize());
    int wrong = *total != odd;
    for (int i = 0; i < LEN; ++i) wrong += to[i] != from[i] * from[i];
    printf("squares: wrong %d, odd %u, sum %016llx\n", wrong, *total,
           static_cast<unsigned long long>(checksum(to)));
    cudaPointerAttributes about;
    MUST(cudaPointerGetAttributes(&about, to.data() + 7));
    printf("registered is host memory %d\n", about.type == cudaMemoryTypeHost);
    cudaError_t again = cudaHostRegister(to.data(), 64, cudaHostRegisterDefault);
    printf("registered twice: %s\n", cudaGetErrorName(again));
    MUST(cudaHostUnregister(to.data()));
    printf("unregistered twice: %s\n", cudaGetErrorName(cudaHostUnregister(to.data())));
    MUST(cudaPointerGetAttributes(&about, to.data() + 7));
    printf("unregistered is nobody's %d\n", about.type == cudaMemoryTypeUnregistered);
    MUST(cudaFreeHost(from));
    MUST(cudaFreeHost(total));
    printf("freed twice: %s\n", cudaGetErrorName(cudaFreeHost(from)));
    wrong += alternate();
    wrong += in_streams();
    wrong += pointers_and_copies();
    wrong += awaited_stores();
    wrong += in_graphs();
    int *left;
    MUST(cudaMallocHost(&left, LEN * sizeof(int)));
    for (int i = 0; i < LEN; ++i) left[i] = i;
    step<<<GRID, 256>>>(left, LEN, 3);
    MUST(cudaDeviceReset());
    MUST(cudaMallocHost(&left, LEN * sizeof(int)));
    for (int i = 0; i < LEN; ++i) left[i] = i;
    step<<<GRID, 256>>>(left, LEN, 3);
    MUST(cudaDeviceSynchronize());
    printf("after a reset: %d %d\n", left[3], left[4]);
    MUST(cudaFreeHost(left));
    int on_stack = 0;
    void *null = nullptr;
    printf("no device pointer: %s\n",
           cudaGetErrorName(cudaHostGetDevicePointer(&null, &on_stack, 0)));
    printf("nothing to register: %s\n",
           cudaGetErrorName(cudaHostRegister(nullptr, 64, cudaHostRegisterDefault)));
    return wrong != 0;
}
