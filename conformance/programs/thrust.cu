// Thrust and CUB, as programs use them: sorting, scanning and reducing through kernels that nobody
// here wrote.
#include "proof.h"

#include <algorithm>
#include <numeric>

#include <cub/device/device_select.cuh>
#include <thrust/device_vector.h>
#include <thrust/reduce.h>
#include <thrust/scan.h>
#include <thrust/sort.h>
#include <thrust/transform.h>

template <class T> static std::vector<T> read(const thrust::device_vector<T> &from)
{
    std::vector<T> values(from.size());
    thrust::copy(from.begin(), from.end(), values.begin());
    return values;
}

struct Mixer {
    __host__ __device__ unsigned operator()(unsigned x) const { return x * 2654435761u >> 7; }
};

struct IsOdd {
    __host__ __device__ bool operator()(unsigned x) const { return x & 1; }
};

static int run(unsigned len)
{
    std::vector<unsigned> host(len), scanned(len);
    for (unsigned i = 0; i < len; ++i) host[i] = mixed(64, i);
    thrust::device_vector<unsigned> values(host.begin(), host.end()), other(len);
    int wrong = 0;
    thrust::transform(values.begin(), values.end(), values.begin(), Mixer());
    std::transform(host.begin(), host.end(), host.begin(), Mixer());
    wrong += report("transform", read(values), host);

    unsigned sum = thrust::reduce(values.begin(), values.end());
    unsigned expected = std::accumulate(host.begin(), host.end(), 0u);
    printf("reduce %u\n", sum);
    wrong += sum != expected;

    thrust::inclusive_scan(values.begin(), values.end(), other.begin());
    std::partial_sum(host.begin(), host.end(), scanned.begin());
    wrong += report("inclusive_scan", read(other), scanned);

    thrust::sort(values.begin(), values.end());
    std::sort(host.begin(), host.end());
    wrong += report("sort", read(values), host);

    // CUB directly: how much it needs, then the work.
    thrust::device_vector<int> count(1);
    size_t needed = 0;
    void *scratch = nullptr;
    for (int pass = 0; pass < 2; ++pass) {
        MUST(cub::DeviceSelect::If(scratch, needed, values.data().get(), other.data().get(),
                                   count.data().get(), static_cast<int>(len), IsOdd()));
        if (!scratch) MUST(cudaMalloc(&scratch, needed));
    }
    MUST(cudaDeviceSynchronize());
    MUST(cudaFree(scratch));
    std::vector<unsigned> odd, found = read(other);
    std::copy_if(host.begin(), host.end(), std::back_inserter(odd), IsOdd());
    found.resize(std::max(1, static_cast<int>(count[0])));
    odd.resize(std::max<size_t>(1, odd.size()), found[0]);
    wrong += found.size() != odd.size();
    return wrong + report("select", found, odd);
}

int main()
{
    int wrong = 0;
    for (unsigned len : {1u, 1000u, 50021u}) wrong += run(len);
    return wrong != 0;
}
