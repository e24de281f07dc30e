// Tree sum in dynamic shared memory: sharedMemBytes = blockDim.x*4; blockDim.x a power of two.
// out[blockIdx.x] = partial sum.
extern __shared__ float smem[];
extern "C" __global__ void block_reduce(const float *in, float *out, unsigned n)
{
    unsigned tid = threadIdx.x, i = blockIdx.x * blockDim.x * 2 + tid;
    float v = (i < n ? in[i] : 0.f) + (i + blockDim.x < n ? in[i + blockDim.x] : 0.f);
    smem[tid] = v;
    __syncthreads();
    for (unsigned s = blockDim.x / 2; s > 0; s >>= 1) {
        if (tid < s) smem[tid] = v = v + smem[tid + s];
        __syncthreads();
    }
    if (tid == 0) out[blockIdx.x] = smem[0];
}
