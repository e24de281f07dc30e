// histogram, atomics_all: every atomic operation, with many threads at one address.
#include "check.h"
#include "histogram.cu"

static void count()
{
    Check check("histogram");
    const unsigned shapes[][2] = {{1, 32}, {3, 100}, {16, 256}};
    for (unsigned n : SIZES) {
        std::vector<unsigned char> bytes(n);
        for (unsigned i = 0; i < n; ++i) bytes[i] = mixed(11, i) % 3 ? mixed(12, i) : 77;
        std::vector<unsigned> expected(256);
        for (unsigned char byte : bytes) ++expected[byte];
        for (auto &shape : shapes) {
            Device<unsigned char> from(bytes);
            Device<unsigned> to(std::vector<unsigned>(256, 0));
            histogram<<<shape[0], shape[1]>>>(from.data(), to.data(), n);
            finished();
            check.exact(to.read(), expected);
        }
    }
}

static void all()
{
    Check check("atomics_all");
    const unsigned shapes[][2] = {{1, 1}, {1, 32}, {3, 33}, {8, 256}};
    for (auto &shape : shapes) {
        const int n = static_cast<int>(shape[0] * shape[1]);
        std::vector<int> i = {5, 6, 1000, -7, -1, 0, 3, -1, 100};
        std::vector<unsigned> u = {3, 5, 9};
        std::vector<unsigned long long> l = {1ull << 40, 2, 7};
        Device<int> ints(i), old(n);
        Device<unsigned> unsigneds(u);
        Device<unsigned long long> longs(l);
        Device<float> f(std::vector<float>(1, 1.0f));
        Device<double> d(std::vector<double>(1, 2.0));
        atomics_all<<<shape[0], shape[1]>>>(ints.data(), unsigneds.data(), longs.data(), f.data(),
                                            d.data(), old.data());
        finished();
        std::vector<int> order(n);
        for (int t = 0; t < n; ++t) {
            order[t] = i[0]++;
            i[1] -= 2, i[2] = std::min(i[2], t), i[3] = std::max(i[3], t);
            i[4] &= ~(1u << (t & 31)), i[5] |= 1u << (t & 31), i[6] ^= t, i[8] += 3;
            u[0] = u[0] >= 17 ? 0 : u[0] + 1;
            u[1] = u[1] == 0 || u[1] > 17 ? 17 : u[1] - 1;
            u[2] = std::max(u[2], static_cast<unsigned>(t));
            l[0] += 3, l[1] = std::max(l[1], static_cast<unsigned long long>(t));
            l[2] = l[2] * 3 + 1;
        }
        auto found = ints.read(), seen = old.read();
        check.holds(found[7] >= 0 && found[7] < n, "the value of one of the threads was exchanged");
        found[7] = i[7];
        std::sort(seen.begin(), seen.end());
        check.exact(found, i);
        check.exact(seen, order);
        check.exact(unsigneds.read(), u);
        check.exact(longs.read(), l);
        check.exact(f.read(), std::vector<float>(1, 1.0f + 0.5f * n));
        check.exact(d.read(), std::vector<double>(1, 2.0 + 0.25 * n));
    }
}

int main()
{
    count();
    all();
    return failed != 0;
}
