// All-pairs gravity step, tiles of bodies in dynamic shared memory (blockDim.x*16 bytes);
// sin/cos/exp/log/pow on the side.
extern __shared__ float4 tile[];
extern "C" __global__ void nbody(const float4 *pos, float4 *vel, int n, float dt, float eps2)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    float4 p = i < n ? pos[i] : make_float4(0, 0, 0, 0);
    float ax = 0, ay = 0, az = 0;
    for (int b = 0; b < n; b += blockDim.x) {
        tile[threadIdx.x] = b + threadIdx.x < n ? pos[b + threadIdx.x] : make_float4(0, 0, 0, 0);
        __syncthreads();
        for (int j = 0; j < blockDim.x; ++j) {
            float4 q = tile[j];
            float dx = q.x - p.x, dy = q.y - p.y, dz = q.z - p.z;
            float r = rsqrtf(dx * dx + dy * dy + dz * dz + eps2), f = q.w * r * r * r;
            ax += dx * f; ay += dy * f; az += dz * f;
        }
        __syncthreads();
    }
    if (i < n) { float4 v = vel[i]; v.x += ax * dt; v.y += ay * dt; v.z += az * dt; vel[i] = v; }
}
extern "C" __global__ void float_math(const float *x, float *y, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    float v = x[i];
    y[i] = sinf(v) + cosf(v * 2) + expf(-v) + logf(v + 2) + powf(v,
        1.7f) + sqrtf(v) + rsqrtf(v + 1) + atan2f(v, 2) + floorf(v) + rintf(v * 3) + fmodf(v,
        0.3f) + copysignf(v, -1.f) + (isnan(v) ? 1 : 0) + fminf(v,
        1.f) + truncf(v) + ceilf(v) + fabsf(v);
}
