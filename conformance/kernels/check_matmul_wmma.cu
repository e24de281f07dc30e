// matmul_wmma: one tile of a tensor core, rows further apart than the tile is wide.
#include "check.h"
#include "matmul_wmma.cu"

static void multiply()
{
    Check check("matmul_wmma");
    const int shapes[][2] = {{16, 16}, {16, 24}, {32, 32}, {64, 72}, {128, 128}};
    for (auto &shape : shapes) {
        int k = shape[0], ld = shape[1];
        auto a = input(30, 16 * ld), b = input(31, k * ld);
        std::vector<__half> left(a.size()), right(b.size());
        for (size_t i = 0; i < a.size(); ++i) left[i] = __float2half(a[i]);
        for (size_t i = 0; i < b.size(); ++i) right[i] = __float2half(b[i]);
        std::vector<float> expected(16 * ld, -1.0f);
        for (int i = 0; i < 16; ++i)
            for (int j = 0; j < 16; ++j) {
                float sum = 0;
                for (int n = 0; n < k; ++n) sum += a[i * ld + n] * b[n * ld + j];
                expected[i * ld + j] = sum;
            }
        Device<__half> x(left), y(right);
        Device<float> z(std::vector<float>(16 * ld, -1.0f));
        matmul_wmma<<<1, 32>>>(x.data(), y.data(), z.data(), k, ld);
        finished();
        check.exact(z.read(), expected);
    }
}

int main()
{
    multiply();
    return failed != 0;
}
