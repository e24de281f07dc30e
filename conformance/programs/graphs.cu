// Graphs: one made node by node, one captured from streams that fork and join over events, an
// executable one that is updated, and a graph as a node of another.
#include "proof.h"

__global__ void scale(const int *source, int *target, int len, int factor)
{
    int i = blockDim.x * blockIdx.x + threadIdx.x;
    if (i < len) target[i] = source[i] * factor;
}

__global__ void add(const int *left, const int *right, int *sum, int len)
{
    int i = blockDim.x * blockIdx.x + threadIdx.x;
    if (i < len) sum[i] = left[i] + right[i];
}

constexpr int LEN = 10007, BLOCK = 128, GRID = (LEN + BLOCK - 1) / BLOCK;
constexpr size_t BYTES = LEN * sizeof(int);

// Pinned memory on both sides of three buffers of the device.
struct Buffers {
    int *in, *out, *first, *second, *third;
    Buffers()
    {
        MUST(cudaMallocHost(&in, BYTES));
        MUST(cudaMallocHost(&out, BYTES));
        MUST(cudaMalloc(&first, BYTES));
        MUST(cudaMalloc(&second, BYTES));
        MUST(cudaMalloc(&third, BYTES));
    }
    ~Buffers()
    {
        MUST(cudaFreeHost(in));
        MUST(cudaFreeHost(out));
        MUST(cudaFree(first));
        MUST(cudaFree(second));
        MUST(cudaFree(third));
    }
    void fill(uint32_t seed)
    {
        for (int i = 0; i < LEN; ++i) in[i] = static_cast<int>(mixed(seed, i) % 10000);
        memset(out, 0, BYTES);
    }
    int check(const char *what, int factor)
    {
        std::vector<int> found(out, out + LEN), expected(LEN);
        for (int i = 0; i < LEN; ++i) expected[i] = in[i] * factor;
        return report(what, found, expected);
    }
};

static void show(const char *what, cudaGraph_t graph)
{
    size_t nodes = 0, edges = 0, roots = 0;
    MUST(cudaGraphGetNodes(graph, nullptr, &nodes));
    MUST(cudaGraphGetRootNodes(graph, nullptr, &roots));
#if CUDART_VERSION >= 13000
    MUST(cudaGraphGetEdges(graph, nullptr, nullptr, nullptr, &edges));
#else
    MUST(cudaGraphGetEdges(graph, nullptr, nullptr, &edges));
#endif
    std::vector<cudaGraphNode_t> all(nodes);
    MUST(cudaGraphGetNodes(graph, all.data(), &nodes));
    printf("%s nodes=%zu roots=%zu edges=%zu kinds", what, nodes, roots, edges);
    for (cudaGraphNode_t node : all) {
        cudaGraphNodeType kind;
        MUST(cudaGraphNodeGetType(node, &kind));
        printf(" %d", static_cast<int>(kind));
    }
    printf("\n");
}

static cudaGraphExec_t executable(cudaGraph_t graph)
{
    cudaGraphExec_t made;
    MUST(cudaGraphInstantiateWithFlags(&made, graph, 0));
    return made;
}

static void host_function(void *data) { *static_cast<int *>(data) += 1; }

// in -> first; first * 2 -> second, first * 3 -> third; both -> first -> out; then the host.
static int explicit_graph(Buffers &own, cudaStream_t stream, int *called)
{
    cudaGraph_t graph;
    MUST(cudaGraphCreate(&graph, 0));
    cudaGraphNode_t load, scaled[2], added, store, told;
    MUST(cudaGraphAddMemcpyNode1D(&load, graph, nullptr, 0, own.first, own.in, BYTES,
                                  cudaMemcpyHostToDevice));
    int len = LEN, factors[2] = {2, 3};
    int *targets[2] = {own.second, own.third};
    cudaKernelNodeParams launch = {};
    launch.gridDim = dim3(GRID);
    launch.blockDim = dim3(BLOCK);
    for (int i = 0; i < 2; ++i) {
        void *values[] = {&own.first, &targets[i], &len, &factors[i]};
        launch.func = reinterpret_cast<void *>(scale);
        launch.kernelParams = values;
        MUST(cudaGraphAddKernelNode(&scaled[i], graph, &load, 1, &launch));
    }
    void *values[] = {&own.second, &own.third, &own.first, &len};
    launch.func = reinterpret_cast<void *>(add);
    launch.kernelParams = values;
    MUST(cudaGraphAddKernelNode(&added, graph, scaled, 2, &launch));
    MUST(cudaGraphAddMemcpyNode1D(&store, graph, &added, 1, own.out, own.first, BYTES,
                                  cudaMemcpyDeviceToHost));
    cudaHostNodeParams host = {host_function, called};
    MUST(cudaGraphAddHostNode(&told, graph, &store, 1, &host));
    show("explicit", graph);

    int wrong = 0;
    cudaGraphExec_t exec = executable(graph);
    for (int round = 1; round <= 3; ++round) {
        own.fill(round);
        MUST(cudaGraphLaunch(exec, stream));
        MUST(cudaStreamSynchronize(stream));
        wrong += own.check("explicit", 5);
    }
    // One node of the executable graph gets another factor; the graph itself keeps its own.
    int other = 40;
    void *changed[] = {&own.first, &targets[1], &len, &other};
    launch.func = reinterpret_cast<void *>(scale);
    launch.kernelParams = changed;
    MUST(cudaGraphExecKernelNodeSetParams(exec, scaled[1], &launch));
    own.fill(4);
    MUST(cudaGraphLaunch(exec, stream));
    MUST(cudaStreamSynchronize(stream));
    wrong += own.check("changed", 42);
    MUST(cudaGraphExecDestroy(exec));

    // A copy of the graph does the same without the original.
    cudaGraph_t copy;
    MUST(cudaGraphClone(&copy, graph));
    MUST(cudaGraphDestroy(graph));
    exec = executable(copy);
    own.fill(5);
    MUST(cudaGraphLaunch(exec, stream));
    MUST(cudaStreamSynchronize(stream));
    wrong += own.check("clone", 5);
    MUST(cudaGraphExecDestroy(exec));
    MUST(cudaGraphDestroy(copy));
    return wrong;
}

// As above, from what two streams do.
static cudaGraph_t captured(Buffers &own, cudaStream_t left, cudaStream_t right, int factor)
{
    cudaEvent_t forked, joined;
    MUST(cudaEventCreateWithFlags(&forked, cudaEventDisableTiming));
    MUST(cudaEventCreateWithFlags(&joined, cudaEventDisableTiming));
    MUST(cudaStreamBeginCapture(left, cudaStreamCaptureModeGlobal));
    MUST(cudaMemcpyAsync(own.first, own.in, BYTES, cudaMemcpyHostToDevice, left));
    MUST(cudaEventRecord(forked, left));
    MUST(cudaStreamWaitEvent(right, forked, 0));
    scale<<<GRID, BLOCK, 0, left>>>(own.first, own.second, LEN, factor);
    scale<<<GRID, BLOCK, 0, right>>>(own.first, own.third, LEN, 10 * factor);
    MUST(cudaGetLastError());
    cudaStreamCaptureStatus status;
    MUST(cudaStreamIsCapturing(right, &status));
    MUST(cudaEventRecord(joined, right));
    MUST(cudaStreamWaitEvent(left, joined, 0));
    add<<<GRID, BLOCK, 0, left>>>(own.second, own.third, own.first, LEN);
    MUST(cudaMemsetAsync(own.third, 0, BYTES, left));
    MUST(cudaMemcpyAsync(own.out, own.first, BYTES, cudaMemcpyDeviceToHost, left));
    cudaGraph_t graph;
    MUST(cudaStreamEndCapture(left, &graph));
    printf("joined status %d\n", static_cast<int>(status));
    MUST(cudaEventDestroy(forked));
    MUST(cudaEventDestroy(joined));
    return graph;
}

static int capture(Buffers &own, cudaStream_t left, cudaStream_t right)
{
    own.fill(6);
    cudaGraph_t graph = captured(own, left, right, 1);
    show("captured", graph);
    MUST(cudaStreamSynchronize(left));
    int wrong = own.out[LEN - 1] != 0;
    printf("captured work is %s\n", wrong ? "DONE" : "not done");
    cudaGraphExec_t exec = executable(graph);
    for (int round = 7; round <= 9; ++round) {
        own.fill(round);
        MUST(cudaGraphLaunch(exec, right));
        MUST(cudaStreamSynchronize(right));
        wrong += own.check("captured", 11);
    }
    // The same form with other numbers fits; another form does not.
    cudaGraph_t other = captured(own, left, right, 3);
    cudaGraphExecUpdateResultInfo info;
    MUST(cudaGraphExecUpdate(exec, other, &info));
    MUST(cudaGraphLaunch(exec, left));
    MUST(cudaStreamSynchronize(left));
    wrong += own.check("updated", 33);
    cudaGraph_t small;
    MUST(cudaStreamBeginCapture(left, cudaStreamCaptureModeRelaxed));
    MUST(cudaMemsetAsync(own.first, 0, BYTES, left));
    MUST(cudaStreamEndCapture(left, &small));
    cudaError_t refused = cudaGraphExecUpdate(exec, small, &info);
    printf("update with another form: %s\n", cudaGetErrorName(refused));
    wrong += refused != cudaErrorGraphExecUpdateFailure;
    cudaGetLastError();
    MUST(cudaGraphDestroy(small));
    MUST(cudaGraphDestroy(other));
    MUST(cudaGraphDestroy(graph));
    MUST(cudaGraphExecDestroy(exec));
    return wrong;
}

// The captured graph twice in another one, the second after a kernel that changes its input.
static int child(Buffers &own, cudaStream_t left, cudaStream_t right)
{
    cudaGraph_t inner = captured(own, left, right, 1), outer;
    MUST(cudaGraphCreate(&outer, 0));
    cudaGraphNode_t first, second, back;
    MUST(cudaGraphAddChildGraphNode(&first, outer, nullptr, 0, inner));
    MUST(cudaGraphAddMemcpyNode1D(&back, outer, &first, 1, own.in, own.first, BYTES,
                                  cudaMemcpyDeviceToHost));
    MUST(cudaGraphAddChildGraphNode(&second, outer, &back, 1, inner));
    MUST(cudaGraphDestroy(inner));
    show("child", outer);
    cudaGraphExec_t exec = executable(outer);
    own.fill(10);
    std::vector<int> before(own.in, own.in + LEN);
    MUST(cudaGraphLaunch(exec, left));
    MUST(cudaStreamSynchronize(left));
    for (int &value : before) value *= 121;
    int wrong = report("child", std::vector<int>(own.out, own.out + LEN), before);
    MUST(cudaGraphExecDestroy(exec));
    MUST(cudaGraphDestroy(outer));
    return wrong;
}

// What may not be done in a capture, and that everything goes on afterwards.
static int refusals(Buffers &own, cudaStream_t left, cudaStream_t right)
{
    cudaGraph_t graph;
    MUST(cudaStreamBeginCapture(left, cudaStreamCaptureModeGlobal));
    printf("synchronize: %s\n", cudaGetErrorName(cudaStreamSynchronize(left)));
    cudaError_t ended = cudaStreamEndCapture(left, &graph);
    printf("end: %s, %s\n", cudaGetErrorName(ended), graph ? "a graph" : "no graph");
    int wrong = ended != cudaErrorStreamCaptureInvalidated;
    cudaEvent_t forked;
    MUST(cudaEventCreateWithFlags(&forked, cudaEventDisableTiming));
    MUST(cudaStreamBeginCapture(left, cudaStreamCaptureModeThreadLocal));
    MUST(cudaEventRecord(forked, left));
    MUST(cudaStreamWaitEvent(right, forked, 0));
    MUST(cudaMemsetAsync(own.first, 0, BYTES, right));
    ended = cudaStreamEndCapture(left, &graph);
    printf("end unjoined: %s\n", cudaGetErrorName(ended));
    wrong += ended != cudaErrorStreamCaptureUnjoined;
    cudaGetLastError();
    MUST(cudaEventDestroy(forked));
    MUST(cudaStreamSynchronize(left));
    MUST(cudaStreamSynchronize(right));
    return wrong;
}

int main()
{
    int wrong = 0, called = 0;
    cudaStream_t left, right;
    MUST(cudaStreamCreate(&left));
    MUST(cudaStreamCreateWithFlags(&right, cudaStreamNonBlocking));
    {
        Buffers own;
        wrong += explicit_graph(own, left, &called);
        printf("host function called %d times\n", called);
        wrong += called != 5;
        wrong += capture(own, left, right);
        wrong += child(own, left, right);
        wrong += refusals(own, left, right);
    }
    MUST(cudaStreamDestroy(left));
    MUST(cudaStreamDestroy(right));
    return wrong != 0;
}
