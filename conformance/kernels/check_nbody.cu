// nbody, float_math: long sums of rounded terms, and the float functions of the C library.
#include "check.h"
#include "nbody.cu"

static std::vector<float4> bodies(uint32_t seed, int n)
{
    auto v = input(seed, 4 * n);
    std::vector<float4> values(n);
    for (int i = 0; i < n; ++i)
        values[i] = make_float4(v[4 * i], v[4 * i + 1], v[4 * i + 2], std::fabs(v[4 * i + 3]));
    return values;
}

static std::vector<float> flat(const std::vector<float4> &from)
{
    std::vector<float> values;
    for (float4 v : from) values.insert(values.end(), {v.x, v.y, v.z, v.w});
    return values;
}

static void gravity()
{
    Check check("nbody");
    const float dt = 0.125f, eps2 = 0.25f;
    for (int n : {1, 31, 64, 129, 300})
        for (unsigned threads : {32u, 128u}) {
            auto pos = bodies(34, n), vel = bodies(35, n);
            std::vector<double> expected, scale;
            for (int i = 0; i < n; ++i) {
                double a[3] = {0, 0, 0}, sizes[3] = {0, 0, 0};
                for (float4 q : pos) {
                    double d[3] = {q.x - pos[i].x, q.y - pos[i].y, q.z - pos[i].z};
                    double square = d[0] * d[0] + d[1] * d[1] + d[2] * d[2] + eps2;
                    double f = q.w / (square * std::sqrt(square));
                    for (int k = 0; k < 3; ++k) a[k] += d[k] * f, sizes[k] += std::fabs(d[k] * f);
                }
                double v[4] = {vel[i].x, vel[i].y, vel[i].z, vel[i].w};
                for (int k = 0; k < 4; ++k) {
                    expected.push_back(k < 3 ? v[k] + a[k] * dt : v[k]);
                    scale.push_back(std::fabs(v[k]) + (k < 3 ? sizes[k] * dt : 0));
                }
            }
            Device<float4> at(pos), speed(vel);
            nbody<<<blocks_of(n, threads), threads, threads * sizeof(float4)>>>(
                at.data(), speed.data(), n, dt, eps2);
            finished();
            check.near(flat(speed.read()), expected, scale, 64);
        }
}

static void functions()
{
    Check check("float_math");
    auto x = ramp(0.0078125f, 0.0078125f, 300);
    // The long way round for the reduction of the argument, which approximations do not take.
    for (float v : {17.25f, 1000.5f, 105615.5f, 1e7f, 2.5e9f})
        if (!FAST) x.push_back(v);
    std::vector<double> expected(x.size()), scale(x.size());
    for (size_t i = 0; i < x.size(); ++i) {
        float v = x[i];
        double d = v;
        double terms[] = {std::sin(d), std::cos(2 * d), std::exp(-d), std::log(double(v + 2)),
                          std::pow(d, double(1.7f)), std::sqrt(d), 1 / std::sqrt(double(v + 1)),
                          std::atan2(d, 2.0), std::floor(d), std::rint(double(v * 3)),
                          std::fmod(d, double(0.3f)), -d, std::fmin(d, 1.0), std::trunc(d),
                          std::ceil(d), d};
        for (double term : terms) expected[i] += term, scale[i] += std::fabs(term);
    }
    Device<float> in(x), out(x.size());
    float_math<<<blocks_of(x.size(), 64), 64>>>(in.data(), out.data(), static_cast<int>(x.size()));
    finished();
    check.near(out.read(), expected, scale, FAST ? 64 : 8);
}

int main()
{
    gravity();
    functions();
    return failed != 0;
}
