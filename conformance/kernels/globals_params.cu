// Module globals (__device__, __constant__, managed-less), odd parameter layout, clock/special
// registers, volatile and byte access.
struct Odd { char c; short s; double d; char t[3]; };
__device__ int counter;
__device__ float lut[4] = { 1.f, 2.f, 4.f, 8.f };
__constant__ short cs[4] = { 1, -2, 3, -4 };
extern "C" __global__ void globals_params(char a, short b, Odd o, float3 v, long long *out,
    bool flag, double *d)
{
    int t = threadIdx.x + blockIdx.x * blockDim.x;
    if (t == 0) counter += 1;
    volatile long long *vo = out;
    vo[t] = a + b + o.c + o.s + (long long)o.d + o.t[2] + (long long)(v.x + v.y + v.z) + (flag
        ? cs[t & 3] : -1) + (long long)lut[t & 3];
    d[t] = o.d + t;
}
extern "C" __global__ void specials(long long *out)
{
    long long c = clock64();
    unsigned lane, warp, sm; unsigned long long g;
    asm volatile("mov.u32 %0, %%laneid;" : "=r"(lane));
    asm volatile("mov.u32 %0, %%warpid;" : "=r"(warp));
    asm volatile("mov.u32 %0, %%smid;" : "=r"(sm));
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(g));
    out[threadIdx.x] = (clock64() - c) * 0 + lane + warp * 32 + (sm & 0) + (g & 0);
    __nanosleep(10);
}
