// Events: what their times have to do with one another, and which of them have none.
#include "proof.h"

__global__ void spin(unsigned *value, unsigned rounds)
{
    unsigned x = *value;
    for (unsigned i = 0; i < rounds; ++i) x = x * 1664525u + 1013904223u;
    *value = x;
}

static int wrong = 0;

static void show(const char *what, bool is_so)
{
    printf("%-40s %s\n", what, is_so ? "yes" : "NO");
    wrong += !is_so;
}

static float between_ms(cudaEvent_t early, cudaEvent_t late)
{
    float elapsed_ms = -1;
    MUST(cudaEventElapsedTime(&elapsed_ms, early, late));
    return elapsed_ms;
}

int main()
{
    cudaStream_t stream;
    MUST(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    cudaEvent_t events[4], untimed;
    for (cudaEvent_t &event : events) MUST(cudaEventCreateWithFlags(&event, cudaEventBlockingSync));
    MUST(cudaEventCreateWithFlags(&untimed, cudaEventDisableTiming));
    Device<unsigned> value(std::vector<unsigned>(1, 7));
    MUST(cudaEventRecord(events[0], stream));
    for (int i = 0; i < 3; ++i) {
        spin<<<1, 1, 0, stream>>>(value.data(), 20000u << i);
        MUST(cudaEventRecord(events[i + 1], stream));
    }
    MUST(cudaEventRecord(untimed, stream));
    MUST(cudaEventSynchronize(events[3]));
    float parts_ms = 0, whole_ms = between_ms(events[0], events[3]);
    for (int i = 0; i < 3; ++i) {
        float part_ms = between_ms(events[i], events[i + 1]);
        show("a kernel takes time", part_ms > 0);
        parts_ms += part_ms;
    }
    show("the parts make the whole", parts_ms > whole_ms * 0.99f - 0.01f &&
                                         parts_ms < whole_ms * 1.01f + 0.01f);
    show("backwards it is negative", between_ms(events[3], events[0]) < 0);
    show("an event is at its own time", between_ms(events[1], events[1]) == 0);
    // What is recorded again has the later time.
    MUST(cudaEventRecord(events[0], stream));
    MUST(cudaStreamSynchronize(stream));
    show("recorded again, it is later", between_ms(events[3], events[0]) >= 0);
    float elapsed_ms;
    show("one without time has none", cudaEventElapsedTime(&elapsed_ms, events[0], untimed) ==
                                          cudaErrorInvalidResourceHandle);
    cudaGetLastError();
    show("but it is done", cudaEventQuery(untimed) == cudaSuccess);
    unsigned expected = 7;
    for (unsigned i = 0; i < 140000; ++i) expected = expected * 1664525u + 1013904223u;
    wrong += report("spin", value.read(), std::vector<unsigned>(1, expected));
    for (cudaEvent_t event : events) MUST(cudaEventDestroy(event));
    MUST(cudaEventDestroy(untimed));
    MUST(cudaStreamDestroy(stream));
    return wrong != 0;
}
