// matmul_tiled: products and sums that are exact, with edges that do not fill a tile.
#include "check.h"
#include "matmul_tiled.cu"

static void multiply()
{
    Check check("matmul_tiled");
    const int shapes[][3] = {{1, 1, 1}, {16, 16, 16}, {17, 33, 5}, {15, 1, 40}, {64, 48, 100}};
    for (auto &shape : shapes) {
        int m = shape[0], n = shape[1], k = shape[2];
        auto a = input(5, m * k), b = input(6, k * n);
        std::vector<float> expected(m * n);
        for (int i = 0; i < m * n; ++i)
            for (int j = 0; j < k; ++j) expected[i] += a[i / n * k + j] * b[j * n + i % n];
        Device<float> left(a), right(b), product(std::vector<float>(m * n, -1));
        matmul_tiled<<<dim3(blocks_of(n, 16), blocks_of(m, 16)), dim3(16, 16)>>>(
            left.data(), right.data(), product.data(), m, n, k);
        finished();
        check.exact(product.read(), expected);
    }
}

int main()
{
    multiply();
    return failed != 0;
}
