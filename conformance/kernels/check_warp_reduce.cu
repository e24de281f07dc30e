// warp_reduce, warp_votes, warp_redux: what the lanes of a warp tell one another.
#include "check.h"
#include "warp_reduce.cu"

static void reduce()
{
    Check check("warp_reduce");
    const unsigned shapes[][2] = {{1, 32}, {2, 128}, {24, 256}};
    for (int n : SIZES) {
        auto values = input(7, n);
        float sum = 0;
        for (float value : values) sum += value;
        for (auto &shape : shapes) {
            Device<float> from(values), to(std::vector<float>(1, 0.0f));
            warp_reduce<<<shape[0], shape[1]>>>(from.data(), to.data(), n);
            finished();
            check.exact(to.read(), std::vector<float>(1, sum));
        }
    }
}

// What every lane of a warp with these values writes.
static void votes_of(const int *v, unsigned *out)
{
    unsigned positive = 0, any = 0, all = 1;
    int bf[32], other[32];
    for (int lane = 0; lane < 32; ++lane) {
        positive += v[lane] > 0;
        any |= v[lane] == 7;
        all &= v[lane] < 1000;
        bf[lane] = v[lane];
    }
    for (int d = 1; d < 32; d *= 2) {
        for (int lane = 0; lane < 32; ++lane) other[lane] = bf[lane ^ d];
        for (int lane = 0; lane < 32; ++lane) bf[lane] ^= other[lane];
    }
    for (int lane = 0; lane < 32; ++lane) {
        unsigned first = 0;
        while (v[first] != v[lane]) ++first;
        int up = v[lane ? lane - 1 : 0], in_eight = v[(lane & 24) | 5];
        out[lane] = positive + any * 100 + all * 1000 + ((first + 1) << 16) + bf[lane] + up * 3 +
                    in_eight * 5 + 0xffffffffu;
    }
}

static void votes()
{
    Check check("warp_votes");
    for (unsigned threads : {32u, 96u, 256u}) {
        unsigned n = 5 * threads;
        std::vector<int> values(n);
        for (unsigned i = 0; i < n; ++i) values[i] = static_cast<int>(mixed(8, i) % 37) - 18;
        for (unsigned i = 32; i < n; i += 77) values[i] = 1000;
        std::vector<unsigned> expected(n);
        for (unsigned i = 0; i < n; i += 32) votes_of(&values[i], &expected[i]);
        Device<int> from(values);
        Device<unsigned> to(n);
        warp_votes<<<5, threads>>>(from.data(), to.data());
        finished();
        check.exact(to.read(), expected);
    }
}

static void redux()
{
    cudaFuncAttributes about;
    MUST(cudaFuncGetAttributes(&about, warp_redux));
    bool reduces = about.ptxVersion >= 80;
    Check check(reduces ? "warp_redux" : "warp_redux_as_copy");
    for (unsigned threads : {32u, 64u, 512u}) {
        unsigned n = 3 * threads;
        auto values = words(9, n), expected = values;
        for (unsigned i = 0; reduces && i < n; i += 32) {
            unsigned sum = 0, largest = 0, bits = 0;
            for (unsigned lane = i; lane < i + 32; ++lane) {
                sum += values[lane];
                largest = std::max(largest, values[lane]);
                bits |= values[lane];
            }
            for (unsigned lane = i; lane < i + 32; ++lane) expected[lane] = sum ^ largest ^ bits;
        }
        Device<unsigned> from(values), to(n);
        warp_redux<<<3, threads>>>(from.data(), to.data());
        finished();
        check.exact(to.read(), expected);
    }
}

int main()
{
    reduce();
    votes();
    redux();
    return failed != 0;
}
