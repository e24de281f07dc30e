// Inclusive prefix sum of one block's 2*blockDim.x ints (Blelloch), block=512, one block a
// segment; sums[] gets the totals.
extern "C" __global__ void scan(const int *in, int *out, int *sums, int n)
{
    __shared__ int s[1024];
    int t = threadIdx.x, base = blockIdx.x * 1024;
    int a = base + t < n ? in[base + t] : 0, b = base + t + 512 < n ? in[base + t + 512] : 0;
    s[t] = a; s[t + 512] = b;
    int off = 1;
    for (int d = 512; d > 0; d >>= 1) {
        __syncthreads();
        if (t < d) s[off * (2 * t + 2) - 1] += s[off * (2 * t + 1) - 1];
        off *= 2;
    }
    if (t == 0) { if (sums) sums[blockIdx.x] = s[1023]; s[1023] = 0; }
    for (int d = 1; d < 1024; d *= 2) {
        off >>= 1;
        __syncthreads();
        if (t < d) { int i = off * (2 * t + 1) - 1, j = off * (2 * t + 2) - 1, v = s[i];
            s[i] = s[j]; s[j] += v; }
    }
    __syncthreads();
    if (base + t < n) out[base + t] = s[t] + a;
    if (base + t + 512 < n) out[base + t + 512] = s[t + 512] + b;
}
