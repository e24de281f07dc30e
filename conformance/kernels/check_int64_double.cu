// hash64, int_mix, dp_math: wide integers with their intrinsics, and functions of doubles.
#include "check.h"
#include "int64_double.cu"

typedef unsigned long long wide;

static wide high(wide a, wide b) { return static_cast<wide>((unsigned __int128)a * b >> 64); }

static unsigned reversed(unsigned v)
{
    unsigned bits = 0;
    for (int i = 0; i < 32; ++i) bits |= (v >> i & 1) << (31 - i);
    return bits;
}

static void hashes()
{
    Check check("hash64");
    for (int n : SIZES) {
        if (n > 5000) continue;
        std::vector<wide> in(n), expected(n);
        for (int i = 0; i < n; ++i) {
            in[i] = static_cast<wide>(mixed(48, i)) << 32 | mixed(49, i);
            wide h = in[i] ^ 0xcbf29ce484222325ull;
            for (int k = 0; k < 8; ++k) {
                h ^= h >> 33, h *= 0xff51afd7ed558ccdull, h = h << 13 | h >> 51;
                h += high(h, 0x9e3779b97f4a7c15ull);
            }
            long long s = static_cast<long long>(h);
            wide turned = static_cast<wide>(reversed(static_cast<unsigned>(h))) << 32 |
                          reversed(static_cast<unsigned>(h >> 32));
            expected[i] = h / 1000003ull + static_cast<wide>(s % 977) +
                          (h ? __builtin_clzll(h) : 64) + __builtin_popcountll(h) + turned +
                          static_cast<wide>(s >> 7);
        }
        Device<wide> from(in), to(n);
        hash64<<<blocks_of(n, 128), 128>>>(from.data(), to.data(), n);
        finished();
        check.exact(to.read(), expected);
    }
}

// Sums, modulo 2^32, what the kernel adds up.
static unsigned mix(int v, int i, int n)
{
    unsigned u = v, sum = v / 7 + v % (n + 1);
    sum += static_cast<unsigned>((static_cast<long long>(v) * 12345) >> 32);
    sum += (v ? __builtin_clz(u) : 32) + reversed(u);
    unsigned bytes[8];
    for (int k = 0; k < 4; ++k) bytes[k] = u >> 8 * k & 255, bytes[k + 4] = u * 3 >> 8 * k & 255;
    sum += bytes[3] | bytes[4] << 8 | bytes[1] << 16 | bytes[2] << 24;
    sum += (v < 0 ? 0u - u : u) + std::min(v, 9) + std::max(v, -9);
    sum += static_cast<unsigned>(std::abs(static_cast<long long>(v) - 4)) + 1;
    sum += (u + 1) << 5 | u >> 27;
    sum += static_cast<short>(u) + static_cast<signed char>(v >> 3);
    sum += static_cast<unsigned>(static_cast<int>(u << 8) >> 8) * 3;
    unsigned dot = 5, each = 0;
    for (int k = 0; k < 4; ++k) {
        dot += static_cast<signed char>(u >> 8 * k) * (4 - k);
        each |= ((u >> 8 * k) + 1 & 255) << 8 * k;
    }
    return sum + dot + (u << (i & 31)) + each;
}

static void integers()
{
    Check check("int_mix");
    for (int n : SIZES) {
        std::vector<int> in(n), expected(n);
        const int edges[] = {0, 1, -1, INT32_MAX, INT32_MIN + 1, 4, -7, 0x00ffffff};
        for (int i = 0; i < n; ++i) {
            in[i] = i < 8 ? edges[i] : static_cast<int>(mixed(50, i));
            expected[i] = static_cast<int>(mix(in[i], i, n));
        }
        Device<int> from(in), to(n);
        int_mix<<<blocks_of(n, 256), 256>>>(from.data(), to.data(), n);
        finished();
        check.exact(to.read(), expected);
    }
}

static void doubles()
{
    Check check("dp_math");
    for (int n : {1, 33, 1000}) {
        std::vector<double> x(n), expected(n), scale(n);
        for (int i = 0; i < n; ++i) {
            double v = x[i] = i * 0.171875 + 0.00390625;
            double terms[] = {std::sin(v), std::exp(-v), std::log(v + 2), std::sqrt(v), v / 3.1,
                              double((long long)(v * 1e6)), double(float(v)), std::fma(v, v, 1.0),
                              std::floor(v), std::pow(v, 2.5), std::rint(v), std::fmin(v, 1.0),
                              double(int(v)), 1 / std::sqrt(v + 1)};
            for (double term : terms) expected[i] += term, scale[i] += std::fabs(term);
        }
        Device<double> from(x), to(n);
        dp_math<<<blocks_of(n, 64), 64>>>(from.data(), to.data(), n);
        finished();
        check.near(to.read(), expected, scale, 16);
    }
}

int main()
{
    hashes();
    integers();
    doubles();
    return failed != 0;
}
