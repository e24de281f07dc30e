// Peers: with several devices, kernels of one use another's memory.
#include "proof.h"

__global__ void add(const int *mine, const int *theirs, int *sum, int len)
{
    int i = blockDim.x * blockIdx.x + threadIdx.x;
    if (i < len) sum[i] = mine[i] + theirs[i];
}

constexpr int LEN = 3001;

static int *numbers(int device, std::vector<int> &kept)
{
    MUST(cudaSetDevice(device));
    kept.resize(LEN);
    for (int i = 0; i < LEN; ++i) kept[i] = static_cast<int>(mixed(device, i) % 10000);
    int *values;
    MUST(cudaMalloc(&values, LEN * sizeof(int)));
    MUST(cudaMemcpy(values, kept.data(), LEN * sizeof(int), cudaMemcpyHostToDevice));
    return values;
}

int main()
{
    int count = 0, can = 0;
    MUST(cudaGetDeviceCount(&count));
    if (count > 1) MUST(cudaDeviceCanAccessPeer(&can, 0, 1));
    if (!can) {
        printf("no peers\n");
        return 0;
    }
    std::vector<int> first, second, sum(LEN);
    int *near = numbers(0, first), *far = numbers(1, second), *made;
    MUST(cudaSetDevice(0));
    MUST(cudaMalloc(&made, LEN * sizeof(int)));
    MUST(cudaDeviceEnablePeerAccess(1, 0));
    printf("enabled twice: %s\n", cudaGetErrorName(cudaDeviceEnablePeerAccess(1, 0)));
    cudaGetLastError();
    add<<<(LEN + 127) / 128, 128>>>(near, far, made, LEN);
    MUST(cudaMemcpy(sum.data(), made, LEN * sizeof(int), cudaMemcpyDeviceToHost));
    int wrong = 0;
    for (int i = 0; i < LEN; ++i) wrong += sum[i] != first[i] + second[i];
    // A copy needs no access; the other device has what this one made.
    MUST(cudaMemcpyPeer(far, 1, made, 0, LEN * sizeof(int)));
    MUST(cudaSetDevice(1));
    std::vector<int> there(LEN);
    MUST(cudaMemcpy(there.data(), far, LEN * sizeof(int), cudaMemcpyDeviceToHost));
    wrong += there != sum;
    printf("sums: wrong %d, sum %016llx\n", wrong, static_cast<unsigned long long>(checksum(sum)));
    MUST(cudaSetDevice(0));
    MUST(cudaDeviceDisablePeerAccess(1));
    printf("disabled twice: %s\n", cudaGetErrorName(cudaDeviceDisablePeerAccess(1)));
    cudaGetLastError();
    add<<<1, 32>>>(near, far, made, 32);
    printf("not enabled: %s\n", cudaGetErrorName(cudaDeviceSynchronize()));
    return wrong != 0;
}
