// rng_mc: high products, and barriers that count, or and and what the threads say.
#include "check.h"
#include "rng_mc.cu"

static unsigned random(unsigned c, unsigned k)
{
    for (int i = 0; i < 10; ++i) {
        uint64_t product = uint64_t(c) * 0xD2511F53u;
        c = static_cast<unsigned>(product >> 32) ^ k ^ (static_cast<unsigned>(product) >> 1);
        k += 0x9E3779B9u;
    }
    return c;
}

static void circle()
{
    Check check("rng_mc");
    const unsigned shapes[][3] = {{1, 32, 1}, {1, 1, 4}, {3, 100, 2}, {5, 256, 9}};
    for (auto &shape : shapes) {
        const unsigned blocks = shape[0], threads = shape[1], seed = 1234;
        const int per = static_cast<int>(shape[2]);
        std::vector<unsigned long long> expected(3);
        for (unsigned block = 0; block < blocks; ++block) {
            bool none = false, all = true;
            for (unsigned t = block * threads; t < (block + 1) * threads; ++t) {
                int h = 0;
                for (int i = 0; i < per; ++i) {
                    float x = random(t * per + i, seed) * 2.3283064e-10f;
                    float y = random(t * per + i, seed ^ 0xabcdef) * 2.3283064e-10f;
                    h += double(x) * x + double(y) * y <= 1;
                }
                expected[0] += h;
                expected[1] += h > per / 2;
                none = none || h == 0, all = all && h > 0;
            }
            expected[2] += none * 2 + all;
        }
        Device<unsigned long long> hits(std::vector<unsigned long long>(3, 0));
        rng_mc<<<blocks, threads>>>(hits.data(), seed, per);
        finished();
        check.exact(hits.read(), expected);
    }
}

int main()
{
    circle();
    return failed != 0;
}
