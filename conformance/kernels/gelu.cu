// tanh- and erf-form GELU, sigmoid, and the fast-math intrinsics.
extern "C" __global__ void gelu(const float *x, float *y, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    float v = x[i];
    y[i] = 0.5f * v * (1.f + tanhf(0.7978845608f * (v + 0.044715f * v * v * v)));
}
extern "C" __global__ void gelu_erf(const float *x, float *y, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = 0.5f * x[i] * (1.f + erff(x[i] * 0.70710678f));
}
extern "C" __global__ void fast_math(const float *x, float *y, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    float v = x[i];
    y[i] = __expf(v) + __logf(v) + __sinf(v) * __cosf(v) + __powf(v, 1.5f) + __fdividef(v,
        3.f) + __frsqrt_rn(v) + __fsqrt_rn(v) + __saturatef(v) + __fmaf_rz(v, v,
        v) + __frcp_rn(v) + __fadd_ru(v, 1.f);
}
