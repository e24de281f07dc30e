// vector_add: one rounding an element.
#include "check.h"
#include "vector_add.cu"

static void add()
{
    Check check("vector_add");
    for (int n : SIZES) {
        auto a = any_floats(1, n), b = any_floats(2, n), expected = a;
        for (int i = 0; i < n; ++i) expected[i] = a[i] + b[i];
        for (unsigned threads : {32u, 256u, 1024u}) {
            Device<float> left(a), right(b), sum(std::vector<float>(n, -1));
            vector_add<<<blocks_of(n, threads), threads>>>(left.data(), right.data(), sum.data(),
                                                           n);
            finished();
            check.exact(sum.read(), expected);
        }
    }
}

int main()
{
    add();
    return failed != 0;
}
