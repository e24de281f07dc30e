// spmv_csr: one warp a row, rows of very different lengths.
#include "check.h"
#include "spmv_csr.cu"

static void multiply()
{
    Check check("spmv_csr");
    for (int rows : {1, 31, 32, 33, 200}) {
        std::vector<int> ptr(1, 0), col;
        for (int row = 0; row < rows; ++row) {
            unsigned len = row % 5 == 0 ? 0 : row % 7 == 0 ? 150 : mixed(43, row) % 40;
            for (unsigned k = 0; k < len; ++k) col.push_back(mixed(44 + row, k) % rows);
            ptr.push_back(static_cast<int>(col.size()));
        }
        col.push_back(0);
        auto val = input(45, col.size()), x = input(46, rows);
        std::vector<float> expected(rows);
        for (int row = 0; row < rows; ++row)
            for (int k = ptr[row]; k < ptr[row + 1]; ++k) expected[row] += val[k] * x[col[k]];
        Device<int> starts(ptr), columns(col);
        Device<float> values(val), in(x), out(std::vector<float>(rows, -1));
        for (unsigned threads : {32u, 128u}) {
            spmv_csr<<<blocks_of(rows * 32, threads), threads>>>(
                starts.data(), columns.data(), values.data(), in.data(), out.data(), rows);
            finished();
            check.exact(out.read(), expected);
        }
    }
}

int main()
{
    multiply();
    return failed != 0;
}
