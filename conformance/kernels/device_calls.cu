// noinline device calls, recursion, struct return, calls through pointers and virtual functions.
struct V3 { float x, y, z; };
__device__ __noinline__ V3 cross3(V3 a, V3 b) { return V3{
    a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x }; }
__device__ __noinline__ int fib(int n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }
__device__ float f_add(float a, float b) { return a + b; }
__device__ float f_mul(float a, float b) { return a * b; }
__device__ float f_sub(float a, float b) { return a - b; }
typedef float (*bin)(float, float);
__device__ bin table[3] = { f_add, f_mul, f_sub };
extern "C" __global__ void device_calls(const V3 *a, const V3 *b, V3 *c, int *f, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    c[i] = cross3(a[i], b[i]);
    f[i] = fib(i % 10);
}
extern "C" __global__ void fn_pointers(const int *op, const float *a, const float *b, float *c,
    int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) c[i] = table[op[i] % 3](a[i], b[i]);
}
struct Shape { float s; __device__ virtual float area() const { return 0; } };
struct Sq : Shape { __device__ float area() const override { return s * s; } };
struct Ci : Shape { __device__ float area() const override { return 3.14159f * s * s; } };
extern "C" __global__ void virtuals(float *out, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    Sq q; Ci c; q.s = c.s = i;
    Shape *p = (i & 1) ? (Shape *)&q : (Shape *)&c;
    out[i] = p->area();
}
