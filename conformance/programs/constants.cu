// Variables of a program on the device: constant and global, whole and in part, from the host and
// from device memory, in the order of a stream.
#include "proof.h"

struct Pair {
    int first;
    double second;
};

__constant__ int weights[256];
__constant__ Pair pair = {5, 0.25};
__device__ int totals[64];

__global__ void apply(int *out, int len)
{
    int i = blockDim.x * blockIdx.x + threadIdx.x;
    if (i >= len) return;
    out[i] = weights[i % 256] * pair.first + static_cast<int>(pair.second * 8);
    atomicAdd(&totals[i % 64], out[i]);
}

static int wrong = 0;

static void run(const char *what, const std::vector<int> &host, Pair with)
{
    const int len = 1024;
    std::vector<int> expected(len), sums(64), found(64);
    for (int i = 0; i < len; ++i) {
        expected[i] = host[i % 256] * with.first + static_cast<int>(with.second * 8);
        sums[i % 64] += expected[i];
    }
    MUST(cudaMemcpyToSymbol(totals, std::vector<int>(64, 0).data(), 256));
    Device<int> out(len);
    apply<<<4, 256>>>(out.data(), len);
    MUST(cudaGetLastError());
    MUST(cudaDeviceSynchronize());
    wrong += report(what, out.read(), expected);
    MUST(cudaMemcpyFromSymbol(found.data(), totals, 256));
    wrong += report("totals", found, sums);
}

int main()
{
    std::vector<int> host(256, 0);
    run("as initialised", host, Pair{5, 0.25});
    for (int i = 0; i < 256; ++i) host[i] = static_cast<int>(mixed(61, i) % 100);
    MUST(cudaMemcpyToSymbol(weights, host.data(), 1024));
    run("from the host", host, Pair{5, 0.25});

    for (int i = 0; i < 10; ++i) host[100 + i] = -i;
    MUST(cudaMemcpyToSymbol(weights, &host[100], 40, 400));
    Pair with = {-3, 2.5};
    MUST(cudaMemcpyToSymbol(pair, &with, sizeof with));
    run("in part", host, with);

    std::vector<int> other(256);
    for (int i = 0; i < 256; ++i) other[i] = i;
    Device<int> device(other);
    cudaStream_t stream;
    MUST(cudaStreamCreate(&stream));
    MUST(cudaMemcpyToSymbolAsync(weights, device.data(), 1024, 0, cudaMemcpyDeviceToDevice,
                                 stream));
    MUST(cudaStreamSynchronize(stream));
    MUST(cudaStreamDestroy(stream));
    run("from the device", other, with);

    void *address = nullptr;
    size_t len = 0;
    MUST(cudaGetSymbolAddress(&address, weights));
    MUST(cudaGetSymbolSize(&len, weights));
    MUST(cudaMemcpy(address, host.data(), len, cudaMemcpyHostToDevice));
    run("by address", host, with);
    int word = 0;
    MUST(cudaMemcpyFromSymbol(&word, weights, 4, 404));
    cudaError_t past = cudaMemcpyToSymbol(weights, host.data(), 1024, 4);
    printf("size %zu, one word %d, past the end %s\n", len, word, cudaGetErrorName(past));
    return wrong != 0 || word != -1 || past != cudaErrorInvalidValue;
}
