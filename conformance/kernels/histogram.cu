// 256-bin byte histogram: shared-memory atomics, then global atomics; bins zeroed by the host.
// Also the other atomics.
extern "C" __global__ void histogram(const unsigned char *data, unsigned *bins, unsigned n)
{
    __shared__ unsigned local[256];
    for (int i = threadIdx.x; i < 256; i += blockDim.x) local[i] = 0;
    __syncthreads();
    for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x
        * blockDim.x) atomicAdd(&local[data[i]], 1u);
    __syncthreads();
    for (int i = threadIdx.x; i < 256; i += blockDim.x) if (local[i]) atomicAdd(&bins[i], local[i]);
}
extern "C" __global__ void atomics_all(int *i, unsigned *u, unsigned long long *l, float *f,
    double *d, int *old)
{
    int t = blockIdx.x * blockDim.x + threadIdx.x;
    old[t] = atomicAdd(i + 0, 1);
    atomicSub(i + 1, 2); atomicMin(i + 2, t); atomicMax(i + 3, t);
        atomicAnd(i + 4, ~(1 << (t & 31)));
    atomicOr(i + 5, 1 << (t & 31)); atomicXor(i + 6, t); atomicExch(i + 7, t);
    atomicInc(u, 17u); atomicDec(u + 1, 17u); atomicMax(u + 2, (unsigned)t);
    atomicAdd(l, 3ull); atomicMax(l + 1, (unsigned long long)t);
    atomicAdd(f, 0.5f); atomicAdd(d, 0.25);
    int seen = i[8], want;
    do { want = seen; seen = atomicCAS(i + 8, want, want + 3); } while (seen != want);
    unsigned long long a = l[2], b;
    do { b = a; a = atomicCAS(l + 2, b, b * 3 + 1); } while (a != b);
    __threadfence();
}
