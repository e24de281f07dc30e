// Kernels made by templates: of types, of numbers, of lists of arguments, and with functors and
// lambdas of the device as arguments. Compiled with --extended-lambda.
#include "proof.h"

#include <algorithm>

struct Scaled {
    float by, plus;
    __device__ float operator()(float x) const { return x * by + plus; }
};

template <int N> struct Power {
    template <class T> __device__ static T of(T x) { return x * Power<N - 1>::of(x); }
};
template <> struct Power<0> {
    template <class T> __device__ static T of(T) { return T(1); }
};

template <class T, class Function> __global__ void map(T *values, int len, Function function)
{
    int i = blockDim.x * blockIdx.x + threadIdx.x;
    if (i < len) values[i] = function(values[i]);
}

template <class... T> __global__ void sum(long long *out, T... parts)
{
    *out = (0 + ... + static_cast<long long>(parts));
}

template <class T, int N> __global__ void powers(T *values, int len)
{
    int i = blockDim.x * blockIdx.x + threadIdx.x;
    if (i < len) values[i] = Power<N>::of(values[i]);
}

static int wrong = 0;

template <class T, int N> static void power(const char *what)
{
    std::vector<T> values(300), expected(300);
    for (int i = 0; i < 300; ++i) {
        values[i] = static_cast<T>(i % 20 - 5);
        expected[i] = 1;
        for (int k = 0; k < N; ++k) expected[i] = static_cast<T>(expected[i] * values[i]);
    }
    Device<T> device(values);
    powers<T, N><<<3, 100>>>(device.data(), 300);
    MUST(cudaGetLastError());
    MUST(cudaDeviceSynchronize());
    wrong += report(what, device.read(), expected);
}

int main()
{
    power<int, 3>("int");
    power<unsigned short, 2>("unsigned short");
    power<long long, 7>("long long");
    power<double, 5>("double");
    power<signed char, 1>("signed char");

    std::vector<float> values = input(63, 500), expected = values;
    Device<float> device(values);
    map<<<4, 128>>>(device.data(), 500, Scaled{2, 0.5f});
    float least = -3, most = 9;
    auto clamped = [least, most] __device__(float x) {
        return x < least ? least : x > most ? most : x;
    };
    map<<<4, 128>>>(device.data(), 500, clamped);
    MUST(cudaGetLastError());
    for (float &x : expected) x = std::min(std::max(x * 2 + 0.5f, least), most);
    wrong += report("functors", device.read(), expected);

    Device<long long> total(1);
    sum<<<1, 1>>>(total.data(), 'a', short(-300), 1ll << 40, 2.75, 7u, true, 1.5f);
    MUST(cudaGetLastError());
    std::vector<long long> parts(1, 97 - 300 + (1ll << 40) + 2 + 7 + 1 + 1);
    wrong += report("parts", total.read(), parts);
    return wrong != 0;
}
