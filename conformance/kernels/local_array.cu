// Dynamically indexed local array (goes to .local memory) and local struct addresses through
// generic pointers.
struct P { int a; float b; char c[5]; };
__device__ __noinline__ void bump(P *p, int k) { p->a += k; p->b *= 0.5f; p->c[k % 5] = (char)k; }
extern "C" __global__ void local_array(const int *idx, float *out, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    float buf[32];
    for (int k = 0; k < 32; ++k) buf[k] = k * 0.5f;
    for (int k = 0; k < 32; ++k) buf[idx[(i + k) % n] & 31] += k;
    P p = { i, (float)i, { 1, 2, 3, 4, 5 } };
    for (int k = 0; k < 4; ++k) bump(&p, k + i);
    out[i] = buf[i & 31] + buf[(i * 7) & 31] + p.a + p.b + p.c[i % 5];
}
