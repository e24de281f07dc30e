// 64-bit integers and doubles: hash, mulhi, div/rem, shifts, clz/brev, conversions, DP math.
extern "C" __global__ void hash64(const unsigned long long *in, unsigned long long *out, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    unsigned long long h = in[i] ^ 0xcbf29ce484222325ull;
    for (int k = 0; k < 8; ++k) { h ^= h >> 33; h *= 0xff51afd7ed558ccdull;
        h = (h << 13) | (h >> 51); h += __umul64hi(h, 0x9e3779b97f4a7c15ull); }
    long long s = (long long)h;
    out[i] = h / 1000003ull + (unsigned long long)(s % 977) + __clzll(s) + __popcll(h)
        + __brevll(h) + (unsigned long long)(s >> 7);
}
extern "C" __global__ void int_mix(const int *in, int *out, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    int v = in[i]; unsigned u = v;
    out[i] = v / 7 + v % (n + 1) + __mulhi(v, 12345) + __clz(v) + __brev(u) + __byte_perm(u, u * 3,
        0x2143) + abs(v) + min(v, 9) + max(v, -9) + __sad(v, 4, 1) + __funnelshift_l(u, u + 1,
        5) + (short)v + (signed char)(v >> 3) + __mul24(v, 3) + __dp4a(v, 0x01020304,
        5) + (v << (i & 31)) + __vadd4(u, 0x01010101u);
}
extern "C" __global__ void dp_math(const double *x, double *y, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    double v = x[i];
    y[i] = sin(v) + exp(-v) + log(v + 2) + sqrt(v) + v / 3.1 + (double)(long long)(v * 1e6)
        + (double)(float)v + fma(v, v, 1.0) + floor(v) + pow(v, 2.5) + rint(v) + fmin(v,
        1.0) + (int)v + rsqrt(v + 1);
}
