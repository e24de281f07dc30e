// Sparse CSR matrix * vector, one warp a row; __ldg loads, ld.global.nc.
extern "C" __global__ void spmv_csr(const int *__restrict__ ptr, const int *__restrict__ col,
    const float *__restrict__ val, const float *__restrict__ x, float *__restrict__ y, int rows)
{
    int row = (blockIdx.x * blockDim.x + threadIdx.x) >> 5, lane = threadIdx.x & 31;
    if (row >= rows) return;
    float s = 0.f;
    for (int k = ptr[row] + lane; k < ptr[row + 1]; k += 32) s += __ldg(val + k) * __ldg(x
        + col[k]);
    for (int d = 16; d; d >>= 1) s += __shfl_down_sync(~0u, s, d);
    if (!lane) y[row] = s;
}
