// gelu, gelu_erf, fast_math: functions of one float, against double precision.
#include "check.h"
#include "gelu.cu"

static void tanh_form()
{
    Check check("gelu");
    auto x = ramp(-6.0f, 0.00390625f, 3073);
    std::vector<double> expected(x.size()), scale(x.size());
    for (size_t i = 0; i < x.size(); ++i) {
        double v = x[i];
        expected[i] = 0.5 * v * (1 + std::tanh(0.7978845608f * (v + 0.044715f * v * v * v)));
        scale[i] = std::fabs(v);
    }
    Device<float> in(x), out(x.size());
    gelu<<<blocks_of(x.size(), 128), 128>>>(in.data(), out.data(), static_cast<int>(x.size()));
    finished();
    // tanh.approx is good to eleven bits.
    check.near(out.read(), expected, scale, FAST ? 4096 : 8);
}

static void erf_form()
{
    Check check("gelu_erf");
    auto x = ramp(-6.0f, 0.00390625f, 3073);
    std::vector<double> expected(x.size()), scale(x.size());
    for (size_t i = 0; i < x.size(); ++i) {
        expected[i] = 0.5 * x[i] * (1 + std::erf(x[i] * 0.70710678f));
        scale[i] = std::fabs(x[i]);
    }
    Device<float> in(x), out(x.size());
    gelu_erf<<<blocks_of(x.size(), 256), 256>>>(in.data(), out.data(),
                                                static_cast<int>(x.size()));
    finished();
    check.near(out.read(), expected, scale, FAST ? 32 : 8);
}

static void intrinsics()
{
    Check check("fast_math");
    auto x = ramp(0.125f, 0.001953125f, 1400);
    std::vector<double> expected(x.size()), scale(x.size());
    for (size_t i = 0; i < x.size(); ++i) {
        double v = x[i], log = std::log(v), wave = std::sin(v) * std::cos(v);
        double rest = std::exp(v) + std::pow(v, 1.5) + v / 3 + 1 / std::sqrt(v) + std::sqrt(v) +
                      std::min(std::max(v, 0.0), 1.0) + (v * v + v) + 1 / v + (v + 1);
        expected[i] = rest + log + wave;
        scale[i] = rest + std::fabs(log) + std::fabs(wave);
    }
    Device<float> in(x), out(x.size());
    fast_math<<<blocks_of(x.size(), 96), 96>>>(in.data(), out.data(), static_cast<int>(x.size()));
    finished();
    check.near(out.read(), expected, scale, 32);
}

int main()
{
    tanh_form();
    erf_form();
    intrinsics();
    return failed != 0;
}
