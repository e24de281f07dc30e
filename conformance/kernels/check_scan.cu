// scan: prefix sums of segments of 1024, whose totals may go nowhere.
#include "check.h"
#include "scan.cu"

static void prefix()
{
    Check check("scan");
    for (int n : SIZES) {
        unsigned blocks = blocks_of(n, 1024);
        auto bits = words(16, n);
        std::vector<int> values(n), expected(n), totals(blocks);
        unsigned sum = 0;
        for (int i = 0; i < n; ++i) {
            values[i] = static_cast<int>(bits[i]);
            sum = (i % 1024 ? sum : 0) + bits[i];
            expected[i] = totals[i / 1024] = static_cast<int>(sum);
        }
        for (bool with_totals : {true, false}) {
            Device<int> in(values), out(n), sums(blocks);
            scan<<<blocks, 512>>>(in.data(), out.data(), with_totals ? sums.data() : nullptr, n);
            finished();
            check.exact(out.read(), expected);
            if (with_totals) check.exact(sums.read(), totals);
        }
    }
}

int main()
{
    prefix();
    return failed != 0;
}
