// Device printf (vprintf with a packed local buffer) and assert. Needs stdout of the process that
// owns the GPU.
#include <stdio.h>
#include <assert.h>
extern "C" __global__ void hello(int x, float f, const char *tag)
{
    if (threadIdx.x < 2) printf("block %d thread %d x=%d f=%.3f ptr=%p %s\n", blockIdx.x,
        threadIdx.x, x, f, tag, "const");
}
extern "C" __global__ void checks(const int *v) { assert(v[threadIdx.x] >= 0); }
extern "C" __global__ void traps(int *v) { if (v[threadIdx.x] < 0) __trap(); v[threadIdx.x] += 1; }
