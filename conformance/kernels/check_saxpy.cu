// saxpy: any launch shape covers any length.
#include "check.h"
#include "saxpy.cu"

static void axpy()
{
    Check check("saxpy");
    const unsigned shapes[][2] = {{1, 1}, {1, 33}, {3, 96}, {64, 256}};
    for (int n : SIZES) {
        if (n > 4099) continue;
        auto x = input(3, n), y = input(4, n), expected = y;
        for (int i = 0; i < n; ++i) expected[i] = 2.5f * x[i] + y[i];
        for (auto &shape : shapes) {
            Device<float> from(x), to(y);
            saxpy<<<shape[0], shape[1]>>>(2.5f, from.data(), to.data(), n);
            finished();
            check.exact(to.read(), expected);
        }
    }
}

int main()
{
    axpy();
    return failed != 0;
}
