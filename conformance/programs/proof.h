// What every program here shares: input that depends on nothing but a number, a checksum, and a way
// to stop at the first call that fails. Output is the same bytes wherever the program runs.
#ifndef PROOF_H
#define PROOF_H

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include <cuda_runtime.h>

// Ends the program when a call fails that should not. The text goes to stderr, so that stdout stays
// comparable up to that point.
#define MUST(call)                                                                                 \
    do {                                                                                           \
        cudaError_t must_status = (call);                                                          \
        if (must_status != cudaSuccess) {                                                          \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #call,                          \
                    cudaGetErrorName(must_status));                                                \
            exit(3);                                                                               \
        }                                                                                          \
    } while (0)

// FNV-1a over bytes.
static inline uint64_t checksum(const void *data, size_t len)
{
    const unsigned char *bytes = static_cast<const unsigned char *>(data);
    uint64_t sum = 1469598103934665603ull;
    for (size_t i = 0; i < len; ++i) sum = (sum ^ bytes[i]) * 1099511628211ull;
    return sum;
}

template <class T> static inline uint64_t checksum(const std::vector<T> &values)
{
    return checksum(values.data(), values.size() * sizeof(T));
}

// A number from a seed and an index, well mixed.
static inline uint32_t mixed(uint32_t seed, uint32_t index)
{
    uint32_t x = seed * 0x9e3779b9u + index * 0x85ebca6bu + 0x27d4eb2fu;
    x = (x ^ (x >> 16)) * 0x7feb352du;
    x = (x ^ (x >> 15)) * 0x846ca68bu;
    return x ^ (x >> 16);
}

// Small multiples of 1/8: sums and products of some hundreds of them are exact in a float, whatever
// the order, so that a device and a CPU agree to the last bit.
static inline std::vector<float> input(uint32_t seed, size_t len)
{
    std::vector<float> values(len);
    for (size_t i = 0; i < len; ++i)
        values[i] = (static_cast<int>(mixed(seed, static_cast<uint32_t>(i)) % 129) - 64) / 8.0f;
    return values;
}

// Memory of a device, freed at the end of the scope.
template <class T> class Device {
  public:
    explicit Device(size_t len) : len_(len) { MUST(cudaMalloc(&data_, len * sizeof(T))); }
    explicit Device(const std::vector<T> &values) : Device(values.size())
    {
        MUST(cudaMemcpy(data_, values.data(), len_ * sizeof(T), cudaMemcpyHostToDevice));
    }
    ~Device() { MUST(cudaFree(data_)); }
    Device(const Device &) = delete;
    Device &operator=(const Device &) = delete;
    T *data() const { return data_; }
    std::vector<T> read() const
    {
        std::vector<T> values(len_);
        MUST(cudaMemcpy(values.data(), data_, len_ * sizeof(T), cudaMemcpyDeviceToHost));
        return values;
    }

  private:
    size_t len_;
    T *data_ = nullptr;
};

// One line for a result; the number of wrong values makes the exit status.
template <class T>
static inline int report(const char *what, const std::vector<T> &found,
                         const std::vector<T> &expected)
{
    size_t wrong = 0;
    for (size_t i = 0; i < expected.size(); ++i) wrong += !(found[i] == expected[i]);
    printf("%s len=%zu sum=%016llx first=%g last=%g wrong=%zu\n", what, found.size(),
           static_cast<unsigned long long>(checksum(found)), static_cast<double>(found.front()),
           static_cast<double>(found.back()), wrong);
    fflush(stdout);
    return wrong != 0;
}

#endif
