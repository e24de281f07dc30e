// Monte-Carlo pi with a counter RNG (Philox-like mul.hi rounds), block count through
// __syncthreads_count / _or / _and.
__device__ unsigned rnd(unsigned c, unsigned k)
{
    for (int i = 0; i < 10; ++i) { unsigned hi = __umulhi(c, 0xD2511F53u), lo = c * 0xD2511F53u;
        c = hi ^ k ^ (lo >> 1); k += 0x9E3779B9u; }
    return c;
}
extern "C" __global__ void rng_mc(unsigned long long *hits, unsigned seed, int per)
{
    unsigned t = blockIdx.x * blockDim.x + threadIdx.x;
    int h = 0;
    for (int i = 0; i < per; ++i) {
        float x = rnd(t * per + i, seed) * 2.3283064e-10f, y = rnd(t * per + i,
            seed ^ 0xabcdef) * 2.3283064e-10f;
        h += x * x + y * y <= 1.f;
    }
    int c = __syncthreads_count(h > per / 2);
    int o = __syncthreads_or(h == 0), a = __syncthreads_and(h > 0);
    atomicAdd(hits, (unsigned long long)h);
    if (threadIdx.x == 0) { atomicAdd(hits + 1, (unsigned long long)c);
        atomicAdd(hits + 2, (unsigned long long)(o * 2 + a)); }
}
