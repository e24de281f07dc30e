// softmax: at most 16 units of the last place, most of it from expf and the order of the sum.
#include "check.h"
#include "softmax.cu"

static void rows()
{
    Check check("softmax");
    const int rows = 3;
    for (int cols : {1, 31, 33, 256, 257, 1000})
        for (unsigned threads : {32u, 256u}) {
            auto x = input(17, rows * cols);
            std::vector<double> expected(rows * cols);
            for (int row = 0; row < rows; ++row) {
                const float *r = &x[row * cols];
                double largest = *std::max_element(r, r + cols), sum = 0;
                for (int i = 0; i < cols; ++i) sum += std::exp(r[i] - largest);
                for (int i = 0; i < cols; ++i)
                    expected[row * cols + i] = std::exp(r[i] - largest) / sum;
            }
            Device<float> in(x), out(x.size());
            softmax<<<rows, threads>>>(in.data(), out.data(), cols);
            finished();
            check.near(out.read(), expected, expected, FAST ? 64 : 16);
        }
}

int main()
{
    rows();
    return failed != 0;
}
