// transpose: tiles that the edges cut.
#include "check.h"
#include "transpose.cu"

static void turn()
{
    Check check("transpose");
    const int shapes[][2] = {{1, 1}, {32, 32}, {31, 33}, {100, 7}, {1, 257}, {200, 130}};
    for (auto &shape : shapes) {
        int w = shape[0], h = shape[1];
        auto values = words(13, w * h);
        std::vector<float> from(w * h), expected(w * h);
        memcpy(from.data(), values.data(), values.size() * 4);
        for (int i = 0; i < w * h; ++i) memcpy(&expected[i % w * h + i / w], &from[i], 4);
        Device<float> in(from), out(std::vector<float>(w * h, -1));
        transpose<<<dim3(blocks_of(w, 32), blocks_of(h, 32)), dim3(32, 8)>>>(in.data(), out.data(),
                                                                            w, h);
        finished();
        check.exact(out.read(), expected);
    }
}

int main()
{
    turn();
    return failed != 0;
}
