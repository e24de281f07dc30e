// mandelbrot: a loop that every thread leaves in its own time. A point whose count depends on how
// a product is rounded is left out: it may be fused with the sum behind it, or not.
#include "check.h"
#include "mandelbrot.cu"

template <class T> static int escape(T cx, T cy, int maxit)
{
    T x = 0, y = 0;
    int k = 0;
    while (k < maxit && x * x + y * y <= 4) {
        T t = x * x - y * y + cx;
        y = 2 * x * y + cy, x = t, ++k;
    }
    return k;
}

static void image()
{
    Check check("mandelbrot");
    const int shapes[][2] = {{1, 1}, {16, 16}, {97, 61}};
    for (auto &shape : shapes) {
        const int w = shape[0], h = shape[1], maxit = 100;
        const float x0 = -2.0f, y0 = -1.25f, dx = 0.03125f, dy = 0.03125f;
        std::vector<unsigned char> expected(w * h);
        std::vector<bool> depends(w * h);
        int left_out = 0;
        for (int i = 0; i < w * h; ++i) {
            float cx = x0 + i % w * dx, cy = y0 + i / w * dy;
            int k = escape<double>(cx, cy, maxit);
            depends[i] = escape<float>(cx, cy, maxit) != k;
            for (int side = 0; side < 4; ++side)
                depends[i] = depends[i] || escape<double>(cx + (side & 1 ? 4e-7 : -4e-7),
                                                          cy + (side & 2 ? 4e-7 : -4e-7),
                                                          maxit) != k;
            left_out += depends[i];
            expected[i] = depends[i] || k == maxit ? 0 : k * 255 / maxit;
        }
        Device<unsigned char> out(std::vector<unsigned char>(w * h, 99));
        mandelbrot<<<dim3(blocks_of(w, 16), blocks_of(h, 16)), dim3(16, 16)>>>(
            out.data(), w, h, x0, y0, dx, dy, maxit);
        finished();
        auto found = out.read();
        for (int i = 0; i < w * h; ++i)
            if (depends[i]) found[i] = 0;
        check.exact(found, expected);
        check.holds(left_out * 20 <= w * h, "few points depend on the rounding");
    }
}

int main()
{
    image();
    return failed != 0;
}
