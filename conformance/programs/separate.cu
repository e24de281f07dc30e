// Two files that are compiled apart and linked for the device: a variable, a function and a table
// of functions of one are used in the kernels of the other.
#include "proof.h"

#include "separate/other.h"

__device__ int calls;

__device__ int own(int value) { return value * 3; }

__global__ void across(int *values, int len)
{
    int i = blockDim.x * blockIdx.x + threadIdx.x;
    if (i >= len) return;
    values[i] = other_function(values[i]) + other_value + other_table[i % 2](i);
    atomicAdd(&calls, 1);
}

int main()
{
    const int len = 1000;
    std::vector<int> values(len), expected(len);
    for (int i = 0; i < len; ++i) values[i] = static_cast<int>(mixed(60, i) % 1000);
    set_other_value(500);
    Device<int> device(values);
    across<<<8, 128>>>(device.data(), len);
    MUST(cudaGetLastError());
    MUST(cudaDeviceSynchronize());
    for (int i = 0; i < len; ++i)
        expected[i] = values[i] * 7 + 1 + 500 + (i % 2 ? i + 10 : i * 3);
    int wrong = report("across", device.read(), expected);
    add_other_value(device.data(), len);
    for (int &value : expected) value += 500;
    wrong += report("back", device.read(), expected);
    int counted = 0, seen = 0;
    MUST(cudaMemcpyFromSymbol(&counted, calls, sizeof counted));
    MUST(cudaMemcpyFromSymbol(&seen, other_calls, sizeof seen));
    printf("calls %d, seen by the other %d\n", counted, seen);
    return wrong != 0 || counted != len || seen != len;
}
