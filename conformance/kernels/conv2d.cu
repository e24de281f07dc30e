// NCHW 2-D convolution, stride and padding as arguments passed in one struct by value (tests
// aggregate parameters).
struct ConvArgs { int n, c, h, w, oc, kh, kw, stride, pad, oh, ow; const float *x; const float *f;
    float *y; };
extern "C" __global__ void conv2d(ConvArgs a)
{
    long long t = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (t >= (long long)a.n * a.oc * a.oh * a.ow) return;
    int ox = t % a.ow, oy = (t / a.ow) % a.oh, oc = (t / a.ow / a.oh) % a.oc,
        b = t / a.ow / a.oh / a.oc;
    float s = 0.f;
    for (int c = 0; c < a.c; ++c)
        for (int i = 0; i < a.kh; ++i) {
            int y = oy * a.stride + i - a.pad;
            if (y < 0 || y >= a.h) continue;
            for (int j = 0; j < a.kw; ++j) {
                int x = ox * a.stride + j - a.pad;
                if (x < 0 || x >= a.w) continue;
                s += a.x[((b * a.c + c) * a.h + y) * a.w + x] * a.f[((oc * a.c + c) * a.kh + i)
                    * a.kw + j];
            }
        }
    a.y[t] = s;
}
