// local_array: memory of a thread of its own, indexed by data and passed by address.
#include "check.h"
#include "local_array.cu"

static float expected_of(const std::vector<int> &index, int i)
{
    const int n = static_cast<int>(index.size());
    float buf[32];
    for (int k = 0; k < 32; ++k) buf[k] = k * 0.5f;
    for (int k = 0; k < 32; ++k) buf[index[(i + k) % n] & 31] += k;
    int a = i;
    float b = i;
    signed char c[5] = {1, 2, 3, 4, 5};
    for (int k = i; k < i + 4; ++k) a += k, b *= 0.5f, c[k % 5] = static_cast<signed char>(k);
    return buf[i & 31] + buf[(i * 7) & 31] + a + b + c[i % 5];
}

static void locals()
{
    Check check("local_array");
    for (int n : SIZES) {
        if (n > 5000) continue;
        std::vector<int> index(n);
        for (int i = 0; i < n; ++i) index[i] = static_cast<int>(mixed(37, i));
        std::vector<float> expected(n);
        for (int i = 0; i < n; ++i) expected[i] = expected_of(index, i);
        Device<int> in(index);
        Device<float> out(n);
        local_array<<<blocks_of(n, 64), 64>>>(in.data(), out.data(), n);
        finished();
        check.exact(out.read(), expected);
    }
}

int main()
{
    locals();
    return failed != 0;
}
