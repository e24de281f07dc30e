// Six host threads copy more than fits into one message, both ways, pageable and pinned, all at
// once: pieces of several copies interleave and none may land in another's place. Then a device
// reset, after which a variable is written and read again.
#include "proof.h"

#include <thread>

__device__ unsigned factor;

__global__ void scale(unsigned *value) { *value = *value * factor + 1; }

constexpr int THREADS = 6, ROUNDS = 12;

static void work(int id, int *wrong)
{
    size_t len = 200000 + id * 4099;
    std::vector<unsigned char> out(len), back(len);
    MUST(cudaSetDevice(0));
    cudaStream_t stream;
    cudaEvent_t begin, done;
    MUST(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    MUST(cudaEventCreate(&begin));
    MUST(cudaEventCreate(&done));
    unsigned char *device, *pinned;
    MUST(cudaMalloc(&device, len));
    MUST(cudaMallocHost(&pinned, len));
    for (int round = 0; round < ROUNDS; ++round) {
        for (size_t i = 0; i < len; ++i) out[i] = static_cast<unsigned char>(i * 7 + round + id);
        MUST(cudaEventRecord(begin, stream));
        if (round % 2) MUST(cudaMemcpy(device, out.data(), len, cudaMemcpyHostToDevice));
        else MUST(cudaMemcpyAsync(device, out.data(), len, cudaMemcpyHostToDevice, stream));
        MUST(cudaStreamSynchronize(stream));
        if (round % 3) {
            MUST(cudaMemcpy(back.data(), device, len, cudaMemcpyDeviceToHost));
        } else {
            MUST(cudaMemcpyAsync(pinned, device, len, cudaMemcpyDeviceToHost, stream));
            MUST(cudaEventRecord(done, stream));
            // A time between two events proves that the later is complete, and the copy with it.
            float elapsed;
            cudaError_t status;
            do status = cudaEventElapsedTime(&elapsed, begin, done);
            while (status == cudaErrorNotReady);
            MUST(status);
            back.assign(pinned, pinned + len);
        }
        *wrong += out != back;
    }
    MUST(cudaFreeHost(pinned));
    MUST(cudaFree(device));
    MUST(cudaEventDestroy(begin));
    MUST(cudaEventDestroy(done));
    MUST(cudaStreamDestroy(stream));
}

int main()
{
    int wrong[THREADS] = {}, sum = 0;
    std::vector<std::thread> threads;
    for (int id = 0; id < THREADS; ++id) threads.emplace_back(work, id, &wrong[id]);
    for (std::thread &thread : threads) thread.join();
    for (int count : wrong) sum += count;
    printf("%d threads, %d rounds: %d wrong\n", THREADS, ROUNDS, sum);
    for (unsigned round = 0; round < 2; ++round) {
        unsigned given = 41 + round, value = 3, *device;
        MUST(cudaMemcpyToSymbol(factor, &given, sizeof given));
        MUST(cudaMalloc(&device, sizeof value));
        MUST(cudaMemcpy(device, &value, sizeof value, cudaMemcpyHostToDevice));
        scale<<<1, 1>>>(device);
        MUST(cudaMemcpy(&value, device, sizeof value, cudaMemcpyDeviceToHost));
        printf("after %u resets: %u\n", round, value);
        sum += value != 3 * given + 1;
        MUST(cudaDeviceReset());
    }
    return sum ? 1 : 0;
}
