// cp.async staging (sm_80+) with the pipeline primitives, falling back to plain loads.
#include <cuda_pipeline.h>
extern "C" __global__ void async_copy(const float4 *in, float4 *out, int n)
{
    __shared__ float4 s[2][128];
    int t = threadIdx.x;
    int tiles = n / 128;
    int stage = 0;
    if (blockIdx.x < tiles) { __pipeline_memcpy_async(&s[0][t], in + blockIdx.x * 128 + t, 16);
        __pipeline_commit(); }
    for (int i = blockIdx.x; i < tiles; i += gridDim.x, stage ^= 1) {
        int nx = i + gridDim.x;
        if (nx < tiles) __pipeline_memcpy_async(&s[stage ^ 1][t], in + nx * 128 + t, 16);
        __pipeline_commit();
        __pipeline_wait_prior(1);
        __syncthreads();
        float4 v = s[stage][t ^ 1];
        out[i * 128 + t] = make_float4(v.w, v.z, v.y, v.x);
        __syncthreads();
    }
}
