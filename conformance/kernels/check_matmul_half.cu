// matmul_half, half2_fma, bf16_axpy: sixteen-bit floats, rounded where the format ends.
#include "check.h"
#include "matmul_half.cu"

static std::vector<__half> halves(const std::vector<float> &from)
{
    std::vector<__half> values(from.size());
    for (size_t i = 0; i < from.size(); ++i) values[i] = __float2half(from[i]);
    return values;
}

static void multiply()
{
    Check check("matmul_half");
    for (int n : {1, 15, 16, 33, 64}) {
        auto a = input(23, n * n), b = input(24, n * n);
        std::vector<float> sums(n * n);
        for (int i = 0; i < n * n; ++i)
            for (int k = 0; k < n; ++k) sums[i] += a[i / n * n + k] * b[k * n + i % n];
        Device<__half> left(halves(a)), right(halves(b)), product(n * n);
        dim3 blocks(blocks_of(n, 16), blocks_of(n, 8));
        matmul_half<<<blocks, dim3(16, 8)>>>(left.data(), right.data(), product.data(), n);
        finished();
        check.exact(product.read(), halves(sums));
    }
}

// Multiples of 1/4 up to 2, whose products and sums a half holds, fused or not.
static float quarter(uint32_t seed, uint32_t i) { return (int(mixed(seed, i) % 17) - 8) / 4.0f; }

static void pairs()
{
    Check check("half2_fma");
    for (int n : SIZES) {
        std::vector<__half2> a(n), b(n), c(n), expected(n);
        for (int i = 0; i < n; ++i) {
            float v[2], part[3][2];
            for (int side = 0; side < 2; ++side) {
                for (int k = 0; k < 3; ++k) part[k][side] = quarter(25 + k, 2 * i + side);
                float x = part[0][side], y = part[1][side], z = part[2][side];
                v[side] = (x * y + z) * x + std::max(y, z);
            }
            a[i] = __floats2half2_rn(part[0][0], part[0][1]);
            b[i] = __floats2half2_rn(part[1][0], part[1][1]);
            c[i] = __floats2half2_rn(part[2][0], part[2][1]);
            // A zero that is a maximum, or a sum, has the sign that adding gives it: +0.
            for (float &value : v) value += 0.0f;
            if (v[0] > v[1]) std::swap(v[0], v[1]);
            expected[i] = __floats2half2_rn(v[0], v[1]);
        }
        Device<__half2> x(a), y(b), z(c);
        half2_fma<<<blocks_of(n, 128), 128>>>(x.data(), y.data(), z.data(), n);
        finished();
        check.exact(z.read(), expected);
    }
}

static void axpy()
{
    Check check("bf16_axpy");
    for (int n : SIZES) {
        auto x = input(28, n), y = input(29, n);
        std::vector<__nv_bfloat16> from(n), to(n), expected(n);
        for (int i = 0; i < n; ++i) {
            from[i] = __float2bfloat16(x[i]);
            to[i] = __float2bfloat16(y[i]);
            expected[i] = __float2bfloat16(1.5f * x[i] + y[i]);
        }
        Device<__nv_bfloat16> in(from), out(to);
        bf16_axpy<<<blocks_of(n, 256), 256>>>(1.5f, in.data(), out.data(), n);
        finished();
        check.exact(out.read(), expected);
    }
}

int main()
{
    multiply();
    pairs();
    axpy();
    return failed != 0;
}
