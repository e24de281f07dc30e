// C = A*B with half inputs: scalar half -> float accumulate, half2 arithmetic, and bfloat16
// conversions.
#include <cuda_fp16.h>
#include <cuda_bf16.h>
extern "C" __global__ void matmul_half(const __half *A, const __half *B, __half *C, int n)
{
    int r = blockIdx.y * blockDim.y + threadIdx.y, c = blockIdx.x * blockDim.x + threadIdx.x;
    if (r >= n || c >= n) return;
    float s = 0.f;
    for (int k = 0; k < n; ++k) s += __half2float(A[r * n + k]) * __half2float(B[k * n + c]);
    C[r * n + c] = __float2half(s);
}
extern "C" __global__ void half2_fma(const __half2 *a, const __half2 *b, __half2 *c, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    __half2 v = __hfma2(a[i], b[i], c[i]);
    v = __hadd2(__hmul2(v, a[i]), __hmax2(b[i], c[i]));
    if (__hgt(__low2half(v), __high2half(v))) v = __lowhigh2highlow(v);
    c[i] = v;
}
extern "C" __global__ void bf16_axpy(float s, const __nv_bfloat16 *x, __nv_bfloat16 *y, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = __float2bfloat16(s * __bfloat162float(x[i]) + __bfloat162float(y[i]));
}
