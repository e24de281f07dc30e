// 64 MiB to the device, turned over there, and back: once from pageable memory, once from pinned
// memory, and in pieces of odd sizes at odd offsets.
#include "proof.h"

constexpr size_t LEN = 64u << 20;

__global__ void invert(uint64_t *words, size_t len)
{
    size_t step = (size_t)gridDim.x * blockDim.x;
    for (size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x; i < len; i += step)
        words[i] = ~words[i];
}

static void fill(unsigned char *bytes, uint32_t seed)
{
    uint32_t *words = reinterpret_cast<uint32_t *>(bytes);
    for (size_t i = 0; i < LEN / 4; ++i) words[i] = seed + static_cast<uint32_t>(i) * 2654435761u;
}

static int compare(const char *what, const unsigned char *found, const unsigned char *expected)
{
    int wrong = memcmp(found, expected, LEN) != 0;
    printf("%s sum=%016llx %s\n", what, (unsigned long long)checksum(found, LEN),
           wrong ? "WRONG" : "right");
    fflush(stdout);
    return wrong;
}

static void turn_over(unsigned char *device)
{
    // 1 MiB of it is enough to show that a kernel sees the copy; the rest is the copies' business.
    invert<<<16, 256>>>(reinterpret_cast<uint64_t *>(device), (1u << 20) / 8);
    MUST(cudaGetLastError());
}

int main()
{
    std::vector<unsigned char> source(LEN), target(LEN), expected;
    unsigned char *device;
    MUST(cudaMalloc(&device, LEN));
    fill(source.data(), 12345);
    expected = source;
    for (size_t i = 0; i < 1u << 20; ++i) expected[i] = static_cast<unsigned char>(~expected[i]);

    MUST(cudaMemcpy(device, source.data(), LEN, cudaMemcpyHostToDevice));
    turn_over(device);
    MUST(cudaMemcpy(target.data(), device, LEN, cudaMemcpyDeviceToHost));
    int wrong = compare("pageable", target.data(), expected.data());

    unsigned char *pinned;
    MUST(cudaMallocHost(&pinned, LEN));
    memcpy(pinned, source.data(), LEN);
    MUST(cudaMemset(device, 0, LEN));
    MUST(cudaMemcpyAsync(device, pinned, LEN, cudaMemcpyHostToDevice, 0));
    turn_over(device);
    MUST(cudaMemcpyAsync(pinned, device, LEN, cudaMemcpyDeviceToHost, 0));
    MUST(cudaStreamSynchronize(0));
    wrong += compare("pinned", pinned, expected.data());
    MUST(cudaFreeHost(pinned));

    MUST(cudaMemset(device, 0, LEN));
    size_t at = 0, piece = 1;
    while (at < LEN) {
        size_t len = piece < LEN - at ? piece : LEN - at;
        MUST(cudaMemcpy(device + at, source.data() + at, len, cudaMemcpyHostToDevice));
        at += len;
        piece = piece * 3 + 1;
    }
    memset(target.data(), 0, LEN);
    for (at = 0, piece = 7; at < LEN; piece = piece * 5 + 2) {
        size_t len = piece < LEN - at ? piece : LEN - at;
        MUST(cudaMemcpy(target.data() + at, device + at, len, cudaMemcpyDeviceToHost));
        at += len;
    }
    wrong += compare("pieces", target.data(), source.data());
    MUST(cudaFree(device));
    return wrong != 0;
}
