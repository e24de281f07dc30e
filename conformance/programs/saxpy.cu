// y = alpha * x + y with a stride of the whole grid: any shape of launch gives the same result.
#include "proof.h"

__global__ void saxpy(float alpha, const float *__restrict__ x, float *__restrict__ y, size_t len)
{
    size_t step = (size_t)gridDim.x * blockDim.x;
    for (size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x; i < len; i += step)
        y[i] = alpha * x[i] + y[i];
}

static int run(size_t len, float alpha, unsigned blocks, unsigned threads)
{
    std::vector<float> x = input(3, len), y = input(4, len), expected(len);
    for (size_t i = 0; i < len; ++i) expected[i] = alpha * x[i] + y[i];
    Device<float> dx(x), dy(y);
    saxpy<<<blocks, threads>>>(alpha, dx.data(), dy.data(), len);
    MUST(cudaGetLastError());
    return report("saxpy", dy.read(), expected);
}

int main()
{
    int wrong = run(1, 2.0f, 1, 1);
    wrong += run(1023, -0.5f, 1, 1024);
    wrong += run(50001, 1.25f, 7, 96);
    wrong += run(50001, 1.25f, 300, 33);
    return wrong != 0;
}
