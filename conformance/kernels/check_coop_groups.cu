// tile_sum, grid_sync: groups inside of a warp, and a barrier across the whole grid.
#include "check.h"
#include "coop_groups.cu"

static void tiles()
{
    Check check("tile_sum");
    for (int n : SIZES) {
        std::vector<int> values(n);
        for (int i = 0; i < n; ++i) values[i] = static_cast<int>(mixed(36, i) % 1000) - 300;
        for (unsigned threads : {32u, 128u}) {
            unsigned blocks = blocks_of(n, threads);
            std::vector<int> expected(2);
            for (unsigned tile = 0; tile < blocks * threads; tile += 8) {
                int v[8];
                for (unsigned lane = 0; lane < 8; ++lane)
                    v[lane] = tile + lane < unsigned(n) ? values[tile + lane] : 0;
                // Lanes without a partner read their own value.
                for (int d = 4; d; d /= 2)
                    for (int lane = 0; lane < 8; ++lane)
                        v[lane] += lane + d < 8 ? v[lane + d] : v[lane];
                for (int value : v) expected[0] += value & 1;
                expected[1] += v[0];
            }
            Device<int> in(values), out(std::vector<int>(2, 0));
            tile_sum<<<blocks, threads>>>(in.data(), out.data(), n);
            finished();
            check.exact(out.read(), expected);
        }
    }
}

static void grid()
{
    Check check("grid_sync");
    const unsigned shapes[][2] = {{1, 32}, {2, 64}, {6, 128}};
    for (auto &shape : shapes)
        for (int n : {1, 33, 1000, 5000}) {
            std::vector<int> expected(n);
            for (int i = 0; i < n; ++i) expected[i] = 2 * (n - 1 - i);
            Device<int> first(std::vector<int>(n, -1)), second(std::vector<int>(n, -1));
            int *a = first.data(), *b = second.data();
            void *arguments[] = {&a, &b, &n};
            MUST(cudaLaunchCooperativeKernel(reinterpret_cast<void *>(grid_sync), shape[0],
                                             shape[1], arguments, 0, nullptr));
            finished();
            check.exact(second.read(), expected);
        }
}

int main()
{
    tiles();
    grid();
    return failed != 0;
}
