// block_reduce: a tree in dynamic shared memory, blocks from one warp to the largest.
#include "check.h"
#include "block_reduce.cu"

static void reduce()
{
    Check check("block_reduce");
    for (int n : SIZES)
        for (unsigned threads : {1u, 32u, 64u, 256u, 1024u}) {
            if (n / threads > 300) continue;
            unsigned span = threads * 2, blocks = blocks_of(n, span);
            auto values = input(10, n);
            std::vector<float> expected(blocks);
            for (int i = 0; i < n; ++i) expected[i / span] += values[i];
            Device<float> from(values), to(blocks);
            block_reduce<<<blocks, threads, threads * sizeof(float)>>>(from.data(), to.data(), n);
            finished();
            check.exact(to.read(), expected);
        }
}

int main()
{
    reduce();
    return failed != 0;
}
