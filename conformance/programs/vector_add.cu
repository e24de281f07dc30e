// The smallest useful program: c = a + b, for lengths that do not fill their last block.
#include "proof.h"

__global__ void vector_add(const float *a, const float *b, float *c, int len)
{
    int i = blockDim.x * blockIdx.x + threadIdx.x;
    if (i < len) c[i] = a[i] + b[i];
}

static int add(int len)
{
    std::vector<float> a = input(1, len), b = input(2, len), expected(len);
    for (int i = 0; i < len; ++i) expected[i] = a[i] + b[i];
    Device<float> da(a), db(b), dc(len);
    vector_add<<<(len + 255) / 256, 256>>>(da.data(), db.data(), dc.data(), len);
    MUST(cudaGetLastError());
    MUST(cudaDeviceSynchronize());
    return report("vector_add", dc.read(), expected);
}

int main()
{
    int wrong = 0;
    for (int len : {1, 31, 256, 1000, 65537}) wrong += add(len);
    return wrong != 0;
}
