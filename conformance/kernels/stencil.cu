// 1-D stencil of radius 4 with __constant__ weights (set through cuModuleGetGlobal "weights") and
// a 3-D 7-point one.
__constant__ float weights[9];
extern "C" __global__ void stencil1d(const float *in, float *out, int n)
{
    __shared__ float s[256 + 8];
    int g = blockIdx.x * blockDim.x + threadIdx.x, l = threadIdx.x + 4;
    s[l] = g < n ? in[g] : 0.f;
    if (threadIdx.x < 4) {
        s[l - 4] = g >= 4 ? in[g - 4] : 0.f;
        int r = g + blockDim.x;
        s[l + blockDim.x] = r < n ? in[r] : 0.f;
    }
    __syncthreads();
    if (g >= n) return;
    float a = 0.f;
    for (int k = -4; k <= 4; ++k) a += weights[k + 4] * s[l + k];
    out[g] = a;
}
extern "C" __global__ void stencil3d(const float *in, float *out, int nx, int ny, int nz, float c0,
    float c1)
{
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y,
        z = blockIdx.z * blockDim.z + threadIdx.z;
    if (x < 1 || y < 1 || z < 1 || x >= nx - 1 || y >= ny - 1 || z >= nz - 1) return;
    size_t i = ((size_t)z * ny + y) * nx + x, sy = nx, sz = (size_t)nx * ny;
    out[i] = c0 * in[i] + c1 * (in[i - 1] + in[i + 1] + in[i - sy] + in[i + sy] + in[i - sz] + in[i
        + sz]);
}
