// conv2d: one structure of 72 bytes by value, strides and padding.
#include "check.h"
#include "conv2d.cu"

static void convolve()
{
    Check check("conv2d");
    // n, c, h, w, oc, kh, kw, stride, pad
    const int shapes[][9] = {
        {1, 1, 1, 1, 1, 1, 1, 1, 0}, {2, 3, 9, 7, 4, 3, 3, 1, 1}, {1, 2, 16, 16, 3, 5, 3, 2, 2}};
    for (auto &s : shapes) {
        ConvArgs a = {s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7], s[8]};
        a.oh = (a.h + 2 * a.pad - a.kh) / a.stride + 1;
        a.ow = (a.w + 2 * a.pad - a.kw) / a.stride + 1;
        auto x = input(21, a.n * a.c * a.h * a.w), f = input(22, a.oc * a.c * a.kh * a.kw);
        std::vector<float> expected(a.n * a.oc * a.oh * a.ow);
        for (int t = 0; t < static_cast<int>(expected.size()); ++t) {
            int ox = t % a.ow, oy = t / a.ow % a.oh, oc = t / a.ow / a.oh % a.oc;
            int b = t / a.ow / a.oh / a.oc;
            for (int k = 0; k < a.c * a.kh * a.kw; ++k) {
                int j = k % a.kw, i = k / a.kw % a.kh, c = k / a.kw / a.kh;
                int row = oy * a.stride + i - a.pad, column = ox * a.stride + j - a.pad;
                if (row < 0 || row >= a.h || column < 0 || column >= a.w) continue;
                expected[t] += x[((b * a.c + c) * a.h + row) * a.w + column] *
                               f[((oc * a.c + c) * a.kh + i) * a.kw + j];
            }
        }
        Device<float> in(x), filter(f), out(expected.size());
        a.x = in.data(), a.f = filter.data(), a.y = out.data();
        conv2d<<<blocks_of(expected.size(), 64), 64>>>(a);
        finished();
        check.exact(out.read(), expected);
    }
}

int main()
{
    convolve();
    return failed != 0;
}
