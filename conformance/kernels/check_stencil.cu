// stencil1d, stencil3d: weights in constant memory, halos, and edges that are left alone.
#include "check.h"
#include "stencil.cu"

static void line()
{
    Check check("stencil1d");
    const float w[9] = {0.5f, -1, 2, -0.25f, 3, 0.125f, -2, 1, 0.75f};
    MUST(cudaMemcpyToSymbol(weights, w, sizeof w));
    for (int n : SIZES)
        for (unsigned threads : {32u, 100u, 256u}) {
            auto values = input(14, n);
            std::vector<float> expected(n);
            for (int i = 0; i < n; ++i)
                for (int k = -4; k <= 4; ++k)
                    if (i + k >= 0 && i + k < n) expected[i] += w[k + 4] * values[i + k];
            Device<float> in(values), out(std::vector<float>(n, -1));
            stencil1d<<<blocks_of(n, threads), threads>>>(in.data(), out.data(), n);
            finished();
            check.exact(out.read(), expected);
        }
}

static void cube()
{
    Check check("stencil3d");
    const int shapes[][3] = {{1, 1, 1}, {3, 3, 3}, {33, 9, 5}, {32, 16, 8}};
    for (auto &shape : shapes) {
        int nx = shape[0], ny = shape[1], nz = shape[2], n = nx * ny * nz;
        auto v = input(15, n);
        std::vector<float> expected(n, -1.0f);
        for (int i = 0; i < n; ++i) {
            int x = i % nx, y = i / nx % ny, z = i / nx / ny, s = nx * ny;
            if (x < 1 || y < 1 || z < 1 || x >= nx - 1 || y >= ny - 1 || z >= nz - 1) continue;
            float around = v[i - 1] + v[i + 1] + v[i - nx] + v[i + nx] + v[i - s] + v[i + s];
            expected[i] = -6 * v[i] + 0.5f * around;
        }
        for (dim3 threads : {dim3(8, 4, 2), dim3(32, 1, 1), dim3(1, 1, 64)}) {
            dim3 blocks(blocks_of(nx, threads.x), blocks_of(ny, threads.y),
                        blocks_of(nz, threads.z));
            Device<float> in(v), out(std::vector<float>(n, -1.0f));
            stencil3d<<<blocks, threads>>>(in.data(), out.data(), nx, ny, nz, -6, 0.5f);
            finished();
            check.exact(out.read(), expected);
        }
    }
}

int main()
{
    line();
    cube();
    return failed != 0;
}
