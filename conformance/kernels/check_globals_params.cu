// globals_params, specials: parameters of awkward alignment, variables of a module, registers.
#include "check.h"
#include "globals_params.cu"

static void parameters()
{
    Check check("globals_params");
    Odd odd = {-3, 1234, 1e6 + 0.5, {1, 2, -4}};
    int launches = 0;
    float table[4] = {1, 2, 4, 8};
    const short constants[4] = {1, -2, 3, -4};
    for (unsigned threads : {1u, 32u, 33u, 256u})
        for (bool flag : {false, true}) {
            unsigned n = 3 * threads;
            table[2] = static_cast<float>(threads) + 0.75f;
            MUST(cudaMemcpyToSymbol(lut, table, sizeof table));
            std::vector<long long> expected(n);
            std::vector<double> sums(n);
            for (unsigned t = 0; t < n; ++t) {
                expected[t] = -7 + -300 + odd.c + odd.s + 1000000 + odd.t[2] + 7 +
                              (flag ? constants[t & 3] : -1) + static_cast<long long>(table[t & 3]);
                sums[t] = odd.d + t;
            }
            Device<long long> out(n);
            Device<double> d(n);
            globals_params<<<3, threads>>>(-7, -300, odd, make_float3(1.5f, 2.25f, 4.0f),
                                           out.data(), flag, d.data());
            finished();
            ++launches;
            check.exact(out.read(), expected);
            check.exact(d.read(), sums);
        }
    int counted = 0;
    MUST(cudaMemcpyFromSymbol(&counted, counter, sizeof counted));
    check.exact(std::vector<int>(1, counted), std::vector<int>(1, launches));
}

static void registers()
{
    Check check("specials");
    for (unsigned threads : {1u, 32u, 100u, 1024u}) {
        std::vector<long long> expected(threads);
        for (unsigned t = 0; t < threads; ++t) expected[t] = t;
        Device<long long> out(threads);
        specials<<<1, threads>>>(out.data());
        finished();
        check.exact(out.read(), expected);
    }
}

int main()
{
    parameters();
    registers();
    return failed != 0;
}
