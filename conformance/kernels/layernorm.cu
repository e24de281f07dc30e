// Row layer norm with gamma/beta, float4 loads (cols a multiple of 4), one block a row.
extern "C" __global__ void layernorm(const float *x, const float *gamma, const float *beta,
    float *y, int cols, float eps)
{
    __shared__ float s1[32], s2[32];
    const float4 *r = (const float4 *)(x + (size_t)blockIdx.x * cols);
    float a = 0.f, q = 0.f;
    for (int i = threadIdx.x; i < cols / 4; i += blockDim.x) {
        float4 v = r[i];
        a += v.x + v.y + v.z + v.w;
        q += v.x * v.x + v.y * v.y + v.z * v.z + v.w * v.w;
    }
    for (int d = 16; d; d >>= 1) { a += __shfl_xor_sync(~0u, a, d); q += __shfl_xor_sync(~0u, q, d);
        }
    if ((threadIdx.x & 31) == 0) { s1[threadIdx.x >> 5] = a; s2[threadIdx.x >> 5] = q; }
    __syncthreads();
    a = q = 0.f;
    for (int i = 0; i < (blockDim.x + 31) / 32; ++i) { a += s1[i]; q += s2[i]; }
    float mean = a / cols, rstd = rsqrtf(q / cols - mean * mean + eps);
    for (int i = threadIdx.x; i < cols; i += blockDim.x) {
        size_t k = (size_t)blockIdx.x * cols + i;
        y[k] = (x[k] - mean) * rstd * gamma[i] + beta[i];
    }
}
