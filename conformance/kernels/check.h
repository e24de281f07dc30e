// What the host halves of the kernels share: sizes around the boundaries of warps and blocks, input
// that depends on nothing but a number, and one line of result for each kernel. `exact` lines must
// be the same bytes at every optimisation level; `near` lines carry the largest error, in units of
// the last place of what the result was summed from.
#ifndef CHECK_H
#define CHECK_H

#include <algorithm>
#include <cmath>

#include "../programs/proof.h"

// Set by whoever compiles with -use_fast_math: approximate functions and flushed subnormals.
#ifdef FAST_MATH
static const bool FAST = true;
#else
static const bool FAST = false;
#endif

// Around the boundaries of a warp, of the usual blocks, and enough for all multiprocessors.
static const int SIZES[] = {1, 31, 32, 33, 127, 128, 129, 255, 256, 257, 1023, 1025, 4099, 20011};

// Kernels with a wrong result.
static int failed = 0;

// Blocks of `threads` that cover `len`.
static inline unsigned blocks_of(size_t len, size_t threads)
{
    return static_cast<unsigned>((len + threads - 1) / threads);
}

// After a launch: what was wrong with starting it or with running it ends the program.
static inline void finished()
{
    MUST(cudaGetLastError());
    MUST(cudaDeviceSynchronize());
}

static inline std::vector<uint32_t> words(uint32_t seed, size_t len)
{
    std::vector<uint32_t> values(len);
    for (size_t i = 0; i < len; ++i) values[i] = mixed(seed, static_cast<uint32_t>(i));
    return values;
}

// Floats of any sign and fraction and of exponents from -60 to 60: one operation on them rounds,
// and neither overflows nor leaves a subnormal.
static inline std::vector<float> any_floats(uint32_t seed, size_t len)
{
    std::vector<float> values(len);
    for (size_t i = 0; i < len; ++i) {
        uint32_t word = mixed(seed, static_cast<uint32_t>(i));
        uint32_t exponent = 67 + (word >> 23) % 121;
        uint32_t bits = (word & 0x807fffffu) | (exponent << 23);
        memcpy(&values[i], &bits, 4);
    }
    return values;
}

// `steps` equidistant values of which the first is `from`: all exact for dyadic arguments.
static inline std::vector<float> ramp(float from, float step, size_t steps)
{
    std::vector<float> values(steps);
    for (size_t i = 0; i < steps; ++i) values[i] = from + step * static_cast<float>(i);
    return values;
}

// The cases of one kernel. Prints its line at the end of the scope.
class Check {
  public:
    explicit Check(const char *kernel) : kernel_(kernel) {}
    Check(const Check &) = delete;
    Check &operator=(const Check &) = delete;
    ~Check()
    {
        printf("%s %s cases=%d values=%zu sum=%016llx", kernel_, is_near_ ? "near" : "exact",
               cases_, values_, static_cast<unsigned long long>(sum_));
        if (is_near_) printf(" worst=%.2f allowed=%.0f", worst_, allowed_);
        printf(" wrong=%zu\n", wrong_);
        fflush(stdout);
        failed += wrong_ != 0 || values_ == 0;
    }

    // Every bit counts.
    template <class T> void exact(const std::vector<T> &found, const std::vector<T> &expected)
    {
        begin(found, expected.size());
        for (size_t i = 0; i < std::min(found.size(), expected.size()); ++i)
            if (memcmp(&found[i], &expected[i], sizeof(T)) != 0) is_wrong(i);
    }

    // At most `ulps` units of the last place of `scale[i]`, the largest magnitude on the way.
    template <class T>
    void near(const std::vector<T> &found, const std::vector<double> &expected,
              const std::vector<double> &scale, double ulps)
    {
        begin(found, expected.size());
        is_near_ = true;
        allowed_ = std::max(allowed_, ulps);
        const double unit = sizeof(T) == 8 ? 0x1p-52 : 0x1p-23;
        for (size_t i = 0; i < std::min(found.size(), expected.size()); ++i) {
            double off = std::fabs(static_cast<double>(found[i]) - expected[i]);
            double error = off / (unit * scale[i]);
            if (off == 0) continue;
            worst_ = std::max(worst_, error);
            if (!(error <= ulps)) {
                fprintf(stderr, "%s: %.17g, not %.17g\n", kernel_, static_cast<double>(found[i]),
                        expected[i]);
                is_wrong(i);
            }
        }
    }

    // Something that is no array: `what` goes to stderr when it does not hold.
    void holds(bool is_so, const char *what)
    {
        begin(std::vector<char>(1, is_so), 1);
        if (!is_so) fprintf(stderr, "%s: not so: %s\n", kernel_, what), ++wrong_;
    }

  private:
    template <class T> void begin(const std::vector<T> &found, size_t expected)
    {
        ++cases_;
        values_ += found.size();
        sum_ = sum_ * 31 + checksum(found);
        if (found.size() != expected) is_wrong(std::min(found.size(), expected));
    }

    void is_wrong(size_t at)
    {
        if (wrong_++ == 0)
            fprintf(stderr, "%s: case %d: value %zu is wrong\n", kernel_, cases_, at);
    }

    const char *kernel_;
    int cases_ = 0;
    size_t values_ = 0, wrong_ = 0;
    uint64_t sum_ = 0;
    bool is_near_ = false;
    double worst_ = 0, allowed_ = 0;
};

#endif
