// Row softmax, one block of 256 a row: warp shuffles + shared memory, max then sum of expf.
__device__ __forceinline__ float wmax(float v) {
    for (int d = 16; d; d >>= 1) v = fmaxf(v, __shfl_xor_sync(~0u, v, d)); return v; }
__device__ __forceinline__ float wsum(float v) {
    for (int d = 16; d; d >>= 1) v += __shfl_xor_sync(~0u, v, d); return v; }
extern "C" __global__ void softmax(const float *x, float *y, int cols)
{
    __shared__ float part[32];
    const float *r = x + (size_t)blockIdx.x * cols;
    float *o = y + (size_t)blockIdx.x * cols;
    int lane = threadIdx.x & 31, w = threadIdx.x >> 5, nw = blockDim.x >> 5;
    float m = -__int_as_float(0x7f800000);
    for (int i = threadIdx.x; i < cols; i += blockDim.x) m = fmaxf(m, r[i]);
    m = wmax(m);
    if (!lane) part[w] = m;
    __syncthreads();
    m = wmax(lane < nw ? part[lane] : -__int_as_float(0x7f800000));
    __syncthreads();
    float s = 0.f;
    for (int i = threadIdx.x; i < cols; i += blockDim.x) s += expf(r[i] - m);
    s = wsum(s);
    if (!lane) part[w] = s;
    __syncthreads();
    s = wsum(lane < nw ? part[lane] : 0.f);
    for (int i = threadIdx.x; i < cols; i += blockDim.x) o[i] = expf(r[i] - m) / s;
}
