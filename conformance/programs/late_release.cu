// Far more is copied to the host than fits into any staging memory at once, all of it behind a
// kernel that waits for a flag, and only then is the flag set: whoever serves the copies must not
// stop listening until some of them are done.
#include "proof.h"

__global__ void wait_for(const volatile unsigned *flag, unsigned *values, unsigned count)
{
    while (*flag == 0) { }
    for (unsigned at = threadIdx.x; at < count; at += blockDim.x) values[at] = at * 3 + *flag;
}

constexpr unsigned COUNT = 1 << 20, COPIES = 30, SMALL = 300;

int main()
{
    unsigned *flag, *values, *pinned, *small, *one;
    MUST(cudaMalloc(&flag, sizeof *flag));
    MUST(cudaMemset(flag, 0, sizeof *flag));
    MUST(cudaMalloc(&values, COUNT * sizeof *values));
    MUST(cudaMallocHost(&pinned, COUNT * sizeof *pinned));
    MUST(cudaMallocHost(&small, SMALL * sizeof *small));
    MUST(cudaMallocHost(&one, sizeof *one));
    cudaStream_t late, release;
    MUST(cudaStreamCreateWithFlags(&late, cudaStreamNonBlocking));
    MUST(cudaStreamCreateWithFlags(&release, cudaStreamNonBlocking));
    MUST(cudaDeviceSynchronize());
    wait_for<<<1, 64, 0, late>>>(flag, values, COUNT);
    for (unsigned copy = 0; copy < COPIES; ++copy) {
        MUST(cudaMemcpyAsync(pinned, values, COUNT * sizeof *values, cudaMemcpyDeviceToHost, late));
    }
    for (unsigned at = 0; at < SMALL; ++at) {
        MUST(cudaMemcpyAsync(small + at, values + at, sizeof *values, cudaMemcpyDeviceToHost,
                             late));
    }
    *one = 7;
    MUST(cudaMemcpyAsync(flag, one, sizeof *flag, cudaMemcpyHostToDevice, release));
    MUST(cudaStreamSynchronize(late));
    unsigned wrong = 0;
    for (unsigned at = 0; at < COUNT; ++at) wrong += pinned[at] != at * 3 + 7;
    for (unsigned at = 0; at < SMALL; ++at) wrong += small[at] != at * 3 + 7;
    printf("%u copies of %zu bytes: %u wrong\n", COPIES, COUNT * sizeof *values, wrong);
    return wrong ? 1 : 0;
}
