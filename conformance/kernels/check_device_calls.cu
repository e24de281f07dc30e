// device_calls, fn_pointers, virtuals: calls with structures, with recursion, and through pointers.
#include "check.h"
#include "device_calls.cu"

static std::vector<V3> vectors(uint32_t seed, int n)
{
    auto v = input(seed, 3 * n);
    std::vector<V3> values(n);
    for (int i = 0; i < n; ++i) values[i] = V3{v[3 * i], v[3 * i + 1], v[3 * i + 2]};
    return values;
}

static void calls()
{
    Check check("device_calls");
    const int fibonacci[] = {0, 1, 1, 2, 3, 5, 8, 13, 21, 34};
    for (int n : SIZES) {
        if (n > 5000) continue;
        auto a = vectors(38, n), b = vectors(39, n), c = a;
        std::vector<int> expected(n);
        for (int i = 0; i < n; ++i) {
            // A sum with zero has no negative zero, however its products were fused.
            c[i] = V3{a[i].y * b[i].z - a[i].z * b[i].y, a[i].z * b[i].x - a[i].x * b[i].z,
                      a[i].x * b[i].y - a[i].y * b[i].x};
            expected[i] = fibonacci[i % 10];
        }
        Device<V3> left(a), right(b), cross(n);
        Device<int> f(n);
        device_calls<<<blocks_of(n, 128), 128>>>(left.data(), right.data(), cross.data(), f.data(),
                                                 n);
        finished();
        auto found = cross.read();
        for (V3 &v : found) v.x += 0.0f, v.y += 0.0f, v.z += 0.0f;
        check.exact(found, c);
        check.exact(f.read(), expected);
    }
}

static void pointers()
{
    Check check("fn_pointers");
    for (int n : SIZES) {
        auto a = any_floats(40, n), b = any_floats(41, n), c = a;
        std::vector<int> op(n);
        for (int i = 0; i < n; ++i) {
            op[i] = static_cast<int>(mixed(42, i) % 100);
            c[i] = op[i] % 3 == 0 ? a[i] + b[i] : op[i] % 3 == 1 ? a[i] * b[i] : a[i] - b[i];
        }
        Device<int> ops(op);
        Device<float> left(a), right(b), out(n);
        fn_pointers<<<blocks_of(n, 256), 256>>>(ops.data(), left.data(), right.data(), out.data(),
                                                n);
        finished();
        check.exact(out.read(), c);
    }
}

static void shapes()
{
    Check check("virtuals");
    for (int n : SIZES) {
        std::vector<float> expected(n);
        for (int i = 0; i < n; ++i) {
            float s = i, scaled = 3.14159f * s;
            expected[i] = i & 1 ? s * s : scaled * s;
        }
        Device<float> out(n);
        virtuals<<<blocks_of(n, 128), 128>>>(out.data(), n);
        finished();
        check.exact(out.read(), expected);
    }
}

int main()
{
    calls();
    pointers();
    shapes();
    return failed != 0;
}
