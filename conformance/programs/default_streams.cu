// Who waits for whom: the legacy default stream waits for the blocking streams and they for it;
// non-blocking streams take no part. A stream is held by a function of the host that waits for a
// flag, so that what is seen does not depend on time.
#include "proof.h"

#include <condition_variable>
#include <mutex>

// What a stream waits for. It opens by itself after a while: then something was serialised.
struct Gate {
    std::mutex mutex;
    std::condition_variable changed;
    bool is_open = false, gave_up = false;

    static void hold(void *data)
    {
        Gate *gate = static_cast<Gate *>(data);
        std::unique_lock<std::mutex> lock(gate->mutex);
        auto open = [gate] { return gate->is_open; };
        if (!gate->changed.wait_for(lock, std::chrono::seconds(20), open)) gate->gave_up = true;
    }
    void open()
    {
        std::lock_guard<std::mutex> lock(mutex);
        is_open = true;
        changed.notify_all();
    }
};

__global__ void append(int *list, int value) { list[++list[0]] = value; }

static int wrong = 0;

static void show(const char *what, cudaError_t found, cudaError_t expected)
{
    printf("%-40s %s\n", what, cudaGetErrorName(found));
    wrong += found != expected;
}

static cudaStream_t stream_of(unsigned flags)
{
    cudaStream_t stream;
    MUST(cudaStreamCreateWithFlags(&stream, flags));
    return stream;
}

int main()
{
    cudaStream_t first = stream_of(cudaStreamDefault), second = stream_of(cudaStreamDefault);
    cudaStream_t apart = stream_of(cudaStreamNonBlocking);
    Device<int> list(std::vector<int>(8, 0)), other(std::vector<int>(8, 0));
    append<<<1, 1>>>(list.data(), 9);
    MUST(cudaDeviceSynchronize());
    Gate gate;
    MUST(cudaLaunchHostFunc(first, Gate::hold, &gate));
    append<<<1, 1, 0, first>>>(list.data(), 1);
    append<<<1, 1>>>(list.data(), 2);
    append<<<1, 1, 0, second>>>(list.data(), 3);
    append<<<1, 1, 0, apart>>>(other.data(), 4);
    MUST(cudaGetLastError());
    show("the non-blocking stream goes on", cudaStreamSynchronize(apart), cudaSuccess);
    show("the held one is busy", cudaStreamQuery(first), cudaErrorNotReady);
    show("the legacy one waits for it", cudaStreamQuery(cudaStreamLegacy), cudaErrorNotReady);
    show("and another waits for the legacy one", cudaStreamQuery(second), cudaErrorNotReady);
    gate.open();
    show("all end", cudaDeviceSynchronize(), cudaSuccess);
    show("and are done", cudaStreamQuery(second), cudaSuccess);
    wrong += report("order", list.read(), std::vector<int>{4, 9, 1, 2, 3, 0, 0, 0});
    wrong += report("apart", other.read(), std::vector<int>{1, 4, 0, 0, 0, 0, 0, 0});
    printf("the gate gave up: %d\n", gate.gave_up);
    wrong += gate.gave_up;
    for (cudaStream_t stream : {first, second, apart}) MUST(cudaStreamDestroy(stream));
    return wrong != 0;
}
