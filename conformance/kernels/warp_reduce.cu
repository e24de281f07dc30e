// Sum with warp shuffles, then one atomic a warp. Also shows ballot, any/all, match and popc.
extern "C" __global__ void warp_reduce(const float *in, float *out, int n)
{
    float v = 0.f;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x
        * blockDim.x) v += in[i];
    for (int d = 16; d > 0; d >>= 1) v += __shfl_down_sync(0xffffffffu, v, d);
    if ((threadIdx.x & 31) == 0) atomicAdd(out, v);
}
extern "C" __global__ void warp_votes(const int *in, unsigned *out)
{
    unsigned t = blockIdx.x * blockDim.x + threadIdx.x;
    int v = in[t];
    unsigned b = __ballot_sync(0xffffffffu, v > 0);
    int any = __any_sync(0xffffffffu, v == 7), all = __all_sync(0xffffffffu, v < 1000);
    unsigned m = __match_any_sync(0xffffffffu, v);
    int bf = v;
    for (int d = 1; d < 32; d <<= 1) bf ^= __shfl_xor_sync(0xffffffffu, bf, d);
    int up = __shfl_up_sync(0xffffffffu, v, 1);
    int idx = __shfl_sync(0xffffffffu, v, 5, 8);
    __syncwarp();
    out[t] = __popc(b) + any * 100 + all * 1000 + (__ffs(m) << 16) + bf + up * 3 + idx * 5
        + __activemask();
}
extern "C" __global__ void warp_redux(const unsigned *in, unsigned *out)
{
    unsigned t = blockIdx.x * blockDim.x + threadIdx.x;
#if __CUDA_ARCH__ >= 800
    out[t] = __reduce_add_sync(0xffffffffu, in[t]) ^ __reduce_max_sync(0xffffffffu,
        in[t]) ^ __reduce_or_sync(0xffffffffu, in[t]);
#else
    out[t] = in[t];
#endif
}
