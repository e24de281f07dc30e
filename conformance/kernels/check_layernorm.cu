// layernorm: float4 loads, sums that are exact, then rsqrtf and three roundings.
#include "check.h"
#include "layernorm.cu"

static void rows()
{
    Check check("layernorm");
    const int rows = 3;
    const float eps = 1e-5f;
    for (int cols : {4, 32, 36, 128, 500, 1024})
        for (unsigned threads : {32u, 64u, 256u}) {
            auto x = input(18, rows * cols), gamma = input(19, cols), beta = input(20, cols);
            std::vector<double> expected(rows * cols), scale(rows * cols);
            for (int row = 0; row < rows; ++row) {
                const float *r = &x[row * cols];
                double sum = 0, squares = 0;
                for (int i = 0; i < cols; ++i) sum += r[i], squares += double(r[i]) * r[i];
                double mean = sum / cols, rstd = 1 / std::sqrt(squares / cols - mean * mean + eps);
                for (int i = 0; i < cols; ++i) {
                    double y = (r[i] - mean) * rstd * gamma[i];
                    expected[row * cols + i] = y + beta[i];
                    scale[row * cols + i] = std::fabs(y) + std::fabs(beta[i]) +
                                            (std::fabs(r[i]) + std::fabs(mean)) * rstd *
                                                std::fabs(gamma[i]);
                }
            }
            Device<float> in(x), g(gamma), b(beta), out(x.size());
            layernorm<<<rows, threads>>>(in.data(), g.data(), b.data(), out.data(), cols, eps);
            finished();
            check.near(out.read(), expected, scale, 16);
        }
}

int main()
{
    rows();
    return failed != 0;
}
