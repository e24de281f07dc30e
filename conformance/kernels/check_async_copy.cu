// async_copy: two stages of shared memory, one of them on its way while the other is read.
#include "check.h"
#include "async_copy.cu"

static void pipeline()
{
    Check check("async_copy");
    for (int tiles : {1, 2, 3, 17})
        for (unsigned blocks : {1u, 2u, 5u}) {
            const int n = tiles * 128;
            auto bits = words(47, 4 * n), expected = bits;
            for (int i = 0; i < n; ++i)
                for (int k = 0; k < 4; ++k) expected[4 * i + k] = bits[4 * (i ^ 1) + 3 - k];
            Device<unsigned> in(bits), out(4 * n);
            async_copy<<<blocks, 128>>>(reinterpret_cast<float4 *>(in.data()),
                                        reinterpret_cast<float4 *>(out.data()), n);
            finished();
            check.exact(out.read(), expected);
        }
}

int main()
{
    pipeline();
    return failed != 0;
}
