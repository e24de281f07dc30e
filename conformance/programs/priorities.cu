// Streams with priorities: the range of them, what is out of it, and what a stream says of itself.
#include "proof.h"

__global__ void twice(int *values, int len)
{
    int i = blockDim.x * blockIdx.x + threadIdx.x;
    if (i < len) values[i] *= 2;
}

int main()
{
    int least = -1, greatest = 1, wrong = 0;
    MUST(cudaDeviceGetStreamPriorityRange(&least, &greatest));
    printf("greatest is the smaller number: %d\n", greatest <= least);
    std::vector<int> values(1000);
    for (int i = 0; i < 1000; ++i) values[i] = i;
    Device<int> device(values);
    for (int &value : values) value *= 8;
    for (int wanted : {least, greatest, greatest - 100}) {
        cudaStream_t stream;
        int priority;
        unsigned flags = 77;
        MUST(cudaStreamCreateWithPriority(&stream, cudaStreamNonBlocking, wanted));
        MUST(cudaStreamGetPriority(stream, &priority));
        MUST(cudaStreamGetFlags(stream, &flags));
        // What lies outside of the range becomes its end.
        bool right = priority == (wanted < greatest ? greatest : wanted);
        printf("priority as asked, within the range: %d, flags %u\n", right, flags);
        wrong += !right || flags != cudaStreamNonBlocking;
        twice<<<8, 125, 0, stream>>>(device.data(), 1000);
        MUST(cudaStreamSynchronize(stream));
        MUST(cudaStreamDestroy(stream));
    }
    wrong += report("twice", device.read(), values);
    return wrong != 0;
}
