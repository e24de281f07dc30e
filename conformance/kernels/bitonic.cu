// Bitonic sort of one 1024-key block in shared memory; block=512. Also the one-step global form
// (host loops over k, j).
extern "C" __global__ void bitonic_block(unsigned *keys)
{
    __shared__ unsigned s[1024];
    unsigned t = threadIdx.x, base = blockIdx.x * 1024;
    s[t] = keys[base + t]; s[t + 512] = keys[base + t + 512];
    for (unsigned k = 2; k <= 1024; k <<= 1)
        for (unsigned j = k >> 1; j; j >>= 1) {
            __syncthreads();
            unsigned i = 2 * t - (t & (j - 1)), p = i + j;
            bool up = (i & k) == 0;
            unsigned a = s[i], b = s[p];
            if ((a > b) == up) { s[i] = b; s[p] = a; }
        }
    __syncthreads();
    keys[base + t] = s[t]; keys[base + t + 512] = s[t + 512];
}
extern "C" __global__ void bitonic_step(unsigned *keys, unsigned j, unsigned k)
{
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x, p = i ^ j;
    if (p > i) {
        unsigned a = keys[i], b = keys[p];
        if ((a > b) == ((i & k) == 0)) { keys[i] = b; keys[p] = a; }
    }
}
