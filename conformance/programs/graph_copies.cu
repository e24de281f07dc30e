// Graphs whose copies name memory of the host: what a launch reads is what is there when it is
// launched, what it writes is there after a wait. Made by hand and captured, cloned, updated, with
// children, launched again and again, from two threads; and what captures and calls refuse.
#include <cuda.h>
#include <thread>
#include <unistd.h>

#include "proof.h"

__global__ void scale(const int *source, int *target, int len, int factor)
{
    int i = blockDim.x * blockIdx.x + threadIdx.x;
    if (i < len) target[i] = source[i] * factor;
}

constexpr int LEN = 6151, BLOCK = 128, GRID = (LEN + BLOCK - 1) / BLOCK;
constexpr size_t BYTES = LEN * sizeof(int);

// A call of the driver in the form of a version.
template <class T> static T call(const char *name, unsigned version)
{
    void *found = nullptr;
    cudaDriverEntryPointQueryResult result;
    MUST(cudaGetDriverEntryPointByVersion(name, &found, version, cudaEnableDefault, &result));
    return reinterpret_cast<T>(found);
}

static const char *driver(CUresult code)
{
    const char *name = "?";
    call<CUresult (*)(CUresult, const char **)>("cuGetErrorName", 12000)(code, &name);
    return name;
}

// Memory of both sides: pinned or not.
struct Buffers {
    bool pinned;
    int *in, *out, *first, *second;
    explicit Buffers(bool pinned) : pinned(pinned)
    {
        if (pinned) {
            MUST(cudaMallocHost(&in, BYTES));
            MUST(cudaMallocHost(&out, BYTES));
        } else {
            in = static_cast<int *>(malloc(BYTES));
            out = static_cast<int *>(malloc(BYTES));
        }
        MUST(cudaMalloc(&first, BYTES));
        MUST(cudaMalloc(&second, BYTES));
    }
    ~Buffers()
    {
        if (pinned) {
            MUST(cudaFreeHost(in));
            MUST(cudaFreeHost(out));
        } else {
            free(in);
            free(out);
        }
        MUST(cudaFree(first));
        MUST(cudaFree(second));
    }
    void fill(uint32_t seed)
    {
        for (int i = 0; i < LEN; ++i) in[i] = static_cast<int>(mixed(seed, i) % 1000);
        memset(out, 0, BYTES);
    }
    int check(const char *what, int factor)
    {
        std::vector<int> found(out, out + LEN), expected(LEN);
        for (int i = 0; i < LEN; ++i) expected[i] = in[i] * factor;
        return report(what, found, expected);
    }
};

struct Nodes {
    cudaGraph_t graph;
    cudaGraphNode_t load, scaled, store;
};

// in -> first, first * factor -> second, second -> out.
static Nodes made(Buffers &own, int factor)
{
    Nodes all;
    MUST(cudaGraphCreate(&all.graph, 0));
    MUST(cudaGraphAddMemcpyNode1D(&all.load, all.graph, nullptr, 0, own.first, own.in, BYTES,
                                  cudaMemcpyHostToDevice));
    int len = LEN;
    void *values[] = {&own.first, &own.second, &len, &factor};
    cudaKernelNodeParams launch = {};
    launch.func = reinterpret_cast<void *>(scale);
    launch.gridDim = dim3(GRID);
    launch.blockDim = dim3(BLOCK);
    launch.kernelParams = values;
    MUST(cudaGraphAddKernelNode(&all.scaled, all.graph, &all.load, 1, &launch));
    MUST(cudaGraphAddMemcpyNode1D(&all.store, all.graph, &all.scaled, 1, own.out, own.second,
                                  BYTES, cudaMemcpyDeviceToHost));
    return all;
}

static cudaGraphExec_t executable(cudaGraph_t graph)
{
    cudaGraphExec_t exec;
    MUST(cudaGraphInstantiateWithFlags(&exec, graph, 0));
    return exec;
}

static void launch(cudaGraphExec_t exec, cudaStream_t stream)
{
    MUST(cudaGraphLaunch(exec, stream));
    MUST(cudaStreamSynchronize(stream));
}

// Parameters that are asked for are those that were given, and can be set.
static int parameters(Buffers &own, cudaStream_t stream)
{
    Nodes all = made(own, 2);
    CUDA_KERNEL_NODE_PARAMS told = {};
    auto ask = call<CUresult (*)(CUgraphNode, CUDA_KERNEL_NODE_PARAMS *)>(
        "cuGraphKernelNodeGetParams", 12000);
    auto set = call<CUresult (*)(CUgraphNode, const CUDA_KERNEL_NODE_PARAMS *)>(
        "cuGraphKernelNodeSetParams", 12000);
    printf("parameters: %s\n", driver(ask(all.scaled, &told)));
    int *source = *static_cast<int **>(told.kernelParams[0]);
    int factor = *static_cast<int *>(told.kernelParams[3]);
    printf("kernel grid %u block %u source %d factor %d\n", told.gridDimX, told.blockDimX,
           source == own.first, factor);
    cudaMemcpy3DParms copy = {};
    MUST(cudaGraphMemcpyNodeGetParams(all.load, &copy));
    printf("copy source %d target %d width %zu\n", copy.srcPtr.ptr == own.in,
           copy.dstPtr.ptr == own.first, copy.extent.width);
    cudaGraphExec_t exec = executable(all.graph);
    own.fill(1);
    launch(exec, stream);
    int wrong = own.check("made", 2);

    factor = 7;
    void *changed[] = {told.kernelParams[0], told.kernelParams[1], told.kernelParams[2], &factor};
    told.kernelParams = changed;
    printf("set: %s\n", driver(set(all.scaled, &told)));
    own.fill(2);
    launch(exec, stream);
    wrong += own.check("exec keeps", 2);
    cudaGraphExecUpdateResultInfo info;
    MUST(cudaGraphExecUpdate(exec, all.graph, &info));
    own.fill(3);
    launch(exec, stream);
    wrong += own.check("updated", 7);

    // Another source in the executable graph, then a copy that is left out.
    std::vector<int> other(LEN);
    for (int i = 0; i < LEN; ++i) other[i] = 3 * i;
    MUST(cudaGraphExecMemcpyNodeSetParams1D(exec, all.load, own.first, other.data(), BYTES,
                                            cudaMemcpyHostToDevice));
    own.fill(4);
    launch(exec, stream);
    std::vector<int> expected(other);
    for (int &value : expected) value *= 7;
    wrong += report("other source", std::vector<int>(own.out, own.out + LEN), expected);
    MUST(cudaGraphNodeSetEnabled(exec, all.store, 0));
    own.fill(5);
    launch(exec, stream);
    wrong += report("left out", std::vector<int>(own.out, own.out + LEN), std::vector<int>(LEN));
    unsigned enabled = 9;
    MUST(cudaGraphNodeGetEnabled(exec, all.store, &enabled));
    MUST(cudaGraphNodeSetEnabled(exec, all.store, 1));
    launch(exec, stream);
    wrong += report("taken in", std::vector<int>(own.out, own.out + LEN), expected);
    printf("enabled %u\n", enabled);

    cudaGraph_t clone;
    MUST(cudaGraphClone(&clone, all.graph));
    cudaGraphNode_t found, again;
    MUST(cudaGraphNodeFindInClone(&found, all.scaled, clone));
    MUST(cudaGraphNodeFindInClone(&again, all.scaled, clone));
    cudaGraphNodeType kind;
    MUST(cudaGraphNodeGetType(found, &kind));
    printf("in the clone: same %d, original %d, kind %d\n", found == again,
           found == all.scaled, static_cast<int>(kind));
    MUST(cudaGraphExecDestroy(exec));
    MUST(cudaGraphDestroy(all.graph));
    exec = executable(clone);
    MUST(cudaGraphDestroy(clone));
    own.fill(6);
    launch(exec, stream);
    wrong += own.check("clone", 7);
    MUST(cudaGraphExecDestroy(exec));
    return wrong;
}

// Launched again and again without a wait between, with a source that changes: pinned memory is
// read when the copy is done, so a change waits for the launch before.
static int again(Buffers &own, cudaStream_t left, cudaStream_t right)
{
    Nodes all = made(own, 3);
    cudaGraphExec_t exec = executable(all.graph);
    own.fill(7);
    for (int i = 0; i < 300; ++i) MUST(cudaGraphLaunch(exec, i % 2 ? left : right));
    MUST(cudaStreamSynchronize(left));
    MUST(cudaStreamSynchronize(right));
    int wrong = own.check("again", 3);
    for (int i = 0; i < 20; ++i) {
        own.fill(100 + i);
        launch(exec, i % 3 ? left : right);
        for (int at = 0; at < LEN; ++at) wrong += own.out[at] != own.in[at] * 3;
    }
    printf("again changed wrong=%d\n", wrong);
    // It may be destroyed while it is at work.
    own.fill(8);
    MUST(cudaGraphLaunch(exec, left));
    MUST(cudaGraphExecDestroy(exec));
    MUST(cudaGraphDestroy(all.graph));
    MUST(cudaStreamSynchronize(left));
    return wrong + own.check("destroyed", 3);
}

// Rows with gaps: those of the host stay as they are.
static int rows(cudaStream_t stream)
{
    constexpr int WIDTH = 5, PITCH = 8, HEIGHT = 6;
    std::vector<int> from(PITCH * HEIGHT), to(PITCH * HEIGHT, -1), expected(PITCH * HEIGHT, -1);
    for (size_t i = 0; i < from.size(); ++i) from[i] = static_cast<int>(i);
    int *device;
    size_t pitch;
    MUST(cudaMallocPitch(reinterpret_cast<void **>(&device), &pitch, WIDTH * sizeof(int), HEIGHT));
    cudaGraph_t graph;
    MUST(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
    MUST(cudaMemcpy2DAsync(device, pitch, from.data(), PITCH * sizeof(int), WIDTH * sizeof(int),
                           HEIGHT, cudaMemcpyHostToDevice, stream));
    MUST(cudaMemcpy2DAsync(to.data(), PITCH * sizeof(int), device, pitch, WIDTH * sizeof(int),
                           HEIGHT, cudaMemcpyDeviceToHost, stream));
    MUST(cudaStreamEndCapture(stream, &graph));
    cudaGraphExec_t exec = executable(graph);
    launch(exec, stream);
    for (int row = 0; row < HEIGHT; ++row)
        for (int i = 0; i < WIDTH; ++i) expected[row * PITCH + i] = from[row * PITCH + i];
    int wrong = report("rows", to, expected);
    MUST(cudaGraphExecDestroy(exec));
    MUST(cudaGraphDestroy(graph));
    MUST(cudaFree(device));
    return wrong;
}

// A captured launch of an executable graph is a child of the graph.
static int nested(Buffers &own, cudaStream_t stream)
{
    Nodes all = made(own, 5);
    cudaGraphExec_t inner = executable(all.graph), outer;
    cudaGraph_t graph;
    MUST(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
    MUST(cudaGraphLaunch(inner, stream));
    MUST(cudaMemcpyAsync(own.first, own.out, BYTES, cudaMemcpyHostToDevice, stream));
    scale<<<GRID, BLOCK, 0, stream>>>(own.first, own.second, LEN, 2);
    MUST(cudaMemcpyAsync(own.out, own.second, BYTES, cudaMemcpyDeviceToHost, stream));
    MUST(cudaStreamEndCapture(stream, &graph));
    size_t nodes = 0;
    MUST(cudaGraphGetNodes(graph, nullptr, &nodes));
    printf("nested nodes %zu\n", nodes);
    outer = executable(graph);
    own.fill(9);
    launch(outer, stream);
    int wrong = own.check("nested", 10);
    MUST(cudaGraphExecDestroy(outer));
    MUST(cudaGraphExecDestroy(inner));
    MUST(cudaGraphDestroy(graph));
    MUST(cudaGraphDestroy(all.graph));
    return wrong;
}

// What a capture tells of itself, and what it does not allow.
static int told(Buffers &own, cudaStream_t left, cudaStream_t right)
{
    auto info = call<CUresult (*)(CUstream, CUstreamCaptureStatus *, cuuint64_t *, CUgraph *,
                                  const CUgraphNode **, size_t *)>("cuStreamGetCaptureInfo", 12000);
    auto destroy = call<CUresult (*)(CUgraph)>("cuGraphDestroy", 12000);
    auto start = call<CUresult (*)(CUgraphExec, CUstream)>("cuGraphLaunch", 12000);
    CUstreamCaptureStatus status;
    cuuint64_t id = 7, same = 8;
    CUgraph graph = nullptr;
    const CUgraphNode *after = nullptr;
    size_t count = 99;
    MUST(cudaStreamBeginCapture(left, cudaStreamCaptureModeRelaxed));
    MUST(cudaMemsetAsync(own.first, 0, BYTES, left));
    printf("info: %s", driver(info(left, &status, &id, &graph, &after, &count)));
    CUgraphNode last = count == 1 ? after[0] : nullptr;
    info(left, &status, &same, nullptr, nullptr, nullptr);
    printf(" status %d, same number %d, nodes %zu\n", static_cast<int>(status), id == same, count);
    printf("not captured: %s", driver(info(right, &status, &id, nullptr, nullptr, nullptr)));
    printf(" status %d\n", static_cast<int>(status));
    // A relaxed capture lets its thread allocate.
    void *memory = nullptr;
    printf("relaxed allocation: %s\n", cudaGetErrorName(cudaMalloc(&memory, 256)));
    printf("begin twice: %s\n",
           cudaGetErrorName(cudaStreamBeginCapture(left, cudaStreamCaptureModeRelaxed)));
    cudaGetLastError();
    cudaGraph_t ended;
    MUST(cudaStreamEndCapture(left, &ended));
    std::vector<cudaGraphNode_t> nodes(1);
    size_t len = 1;
    MUST(cudaGraphGetNodes(ended, nodes.data(), &len));
    printf("same graph %d, same node %d\n", ended == graph, nodes[0] == last);
    MUST(cudaFree(memory));
    MUST(cudaGraphDestroy(ended));
    printf("gone: %s\n", driver(destroy(graph)));

    MUST(cudaStreamBeginCapture(left, cudaStreamCaptureModeGlobal));
    printf("allocation: %s\n", cudaGetErrorName(cudaMalloc(&memory, 256)));
    cudaGetLastError();
    printf("end: %s\n", cudaGetErrorName(cudaStreamEndCapture(left, &ended)));
    cudaGetLastError();
    MUST(cudaStreamBeginCapture(left, cudaStreamCaptureModeThreadLocal));
    std::thread([&] {
        printf("other thread: %s", cudaGetErrorName(cudaMalloc(&memory, 256)));
        printf(", its end: %s\n", cudaGetErrorName(cudaStreamEndCapture(left, &ended)));
        cudaGetLastError();
    }).join();
    MUST(cudaFree(memory) == cudaErrorStreamCaptureUnsupported ? cudaSuccess : cudaErrorUnknown);
    cudaGetLastError();
    printf("end: %s\n", cudaGetErrorName(cudaStreamEndCapture(left, &ended)));
    cudaGetLastError();
    MUST(cudaFree(memory));
    // A synchronous copy by the default stream would have to wait for the captured one.
    MUST(cudaStreamBeginCapture(left, cudaStreamCaptureModeRelaxed));
    printf("legacy: %s\n",
           cudaGetErrorName(cudaMemcpy(own.first, own.in, 64, cudaMemcpyHostToDevice)));
    cudaGetLastError();
    printf("end: %s\n", cudaGetErrorName(cudaStreamEndCapture(left, &ended)));
    cudaGetLastError();
    printf("end of none: %s\n", cudaGetErrorName(cudaStreamEndCapture(left, &ended)));
    cudaGetLastError();
    printf("null graph: %s, null exec: %s\n", driver(destroy(nullptr)),
           driver(start(nullptr, left)));
    MUST(cudaStreamSynchronize(left));
    return 0;
}

// Two threads with a graph each.
static int threads()
{
    int wrong[2] = {0, 0};
    std::vector<std::thread> all;
    for (int number = 0; number < 2; ++number)
        all.emplace_back([number, &wrong] {
            cudaStream_t stream;
            MUST(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
            {
                Buffers own(number == 0);
                Nodes nodes = made(own, 2 + number);
                cudaGraphExec_t exec = executable(nodes.graph);
                for (int round = 0; round < 50; ++round) {
                    own.fill(1000 * number + round);
                    launch(exec, stream);
                    for (int i = 0; i < LEN; ++i)
                        wrong[number] += own.out[i] != own.in[i] * (2 + number);
                }
                MUST(cudaGraphExecDestroy(exec));
                MUST(cudaGraphDestroy(nodes.graph));
            }
            MUST(cudaStreamDestroy(stream));
        });
    for (std::thread &thread : all) thread.join();
    printf("threads wrong=%d,%d\n", wrong[0], wrong[1]);
    return wrong[0] + wrong[1];
}

static void count(void *data) { *static_cast<int *>(data) += 1; }

// Functions of the host in graphs of work of the device: as a node, and captured.
static int functions(Buffers &own, cudaStream_t stream)
{
    int called = 0;
    cudaGraph_t graph;
    cudaGraphNode_t zeroed, told;
    MUST(cudaGraphCreate(&graph, 0));
    cudaMemsetParams fill = {own.first, BYTES, 1, 4, LEN, 1};
    MUST(cudaGraphAddMemsetNode(&zeroed, graph, nullptr, 0, &fill));
    cudaHostNodeParams host = {count, &called};
    MUST(cudaGraphAddHostNode(&told, graph, &zeroed, 1, &host));
    cudaGraphExec_t exec = executable(graph);
    for (int i = 0; i < 3; ++i) launch(exec, stream);
    printf("node called %d\n", called);
    MUST(cudaGraphExecDestroy(exec));
    MUST(cudaGraphDestroy(graph));
    MUST(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
    scale<<<GRID, BLOCK, 0, stream>>>(own.first, own.second, LEN, 2);
    MUST(cudaLaunchHostFunc(stream, count, &called));
    MUST(cudaStreamEndCapture(stream, &graph));
    printf("captured called %d\n", called);
    exec = executable(graph);
    for (int i = 0; i < 3; ++i) launch(exec, stream);
    printf("captured called %d\n", called);
    MUST(cudaGraphExecDestroy(exec));
    MUST(cudaGraphDestroy(graph));
    return called != 6;
}

// A graph as text is a file of this host.
static int text(Buffers &own)
{
    Nodes all = made(own, 2);
    char path[] = "/tmp/graph-XXXXXX";
    int file = mkstemp(path);
    MUST(cudaGraphDebugDotPrint(all.graph, path, 0));
    off_t len = lseek(file, 0, SEEK_END);
    printf("text %s\n", len > 20 ? "written" : "MISSING");
    close(file);
    unlink(path);
    MUST(cudaGraphDestroy(all.graph));
    return len <= 20;
}

int main()
{
    int wrong = 0;
    cudaStream_t left, right;
    MUST(cudaStreamCreate(&left));
    MUST(cudaStreamCreateWithFlags(&right, cudaStreamNonBlocking));
    for (bool pinned : {true, false}) {
        Buffers own(pinned);
        wrong += parameters(own, left);
        wrong += again(own, left, right);
        wrong += nested(own, left);
        if (pinned) wrong += told(own, left, right) + text(own) + functions(own, left);
    }
    wrong += rows(left);
    wrong += threads();
    MUST(cudaStreamDestroy(left));
    MUST(cudaStreamDestroy(right));
    return wrong != 0;
}
