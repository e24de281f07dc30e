// control_flow: byte codes, each with a jump of another kind.
#include "check.h"
#include "control_flow.cu"

static int run(const std::vector<unsigned char> &code, int i)
{
    // Unsigned, because it may wrap round.
    unsigned acc = i, r = 1;
    for (size_t pc = 0; pc < code.size(); ++pc) {
        switch (code[pc]) {
        case 0: acc += 3; break;
        case 1: acc = acc * 5 + r; break;
        case 2: acc ^= acc << 7; break;
        case 3: acc >>= 3; break;
        case 4: r += acc & 1 ? acc : 0; break;
        case 5:
            do acc = acc & 1 ? 3 * acc + 1 : static_cast<unsigned>(static_cast<int>(acc) / 2);
            while (static_cast<int>(acc) > 100 && static_cast<int>(++r) < 50);
            break;
        case 6:
            for (unsigned k = 0; k < (i & 7u) && k != 5; ++k) r += k * acc;
            break;
        case 7: pc += acc & 1; break;
        case 9: return -1;
        default: acc -= r;
        }
    }
    return static_cast<int>(acc + r);
}

static void programs()
{
    Check check("control_flow");
    const std::vector<unsigned char> codes[] = {
        {}, {0, 1, 3, 4}, {5, 6, 8, 5, 3}, {7, 9, 0, 6, 1, 3, 7, 9, 2},
        {2, 3, 3, 6, 4, 5, 7, 8, 1}};
    for (auto &code : codes)
        for (int n : SIZES) {
            if (n > 2000) continue;
            std::vector<int> expected(n);
            for (int i = 0; i < n; ++i) expected[i] = run(code, i);
            std::vector<unsigned char> padded = code;
            padded.push_back(9);
            Device<unsigned char> text(padded);
            Device<int> out(n);
            control_flow<<<blocks_of(n, 96), 96>>>(text.data(), static_cast<int>(code.size()),
                                                   out.data(), n);
            finished();
            check.exact(out.read(), expected);
        }
}

int main()
{
    programs();
    return failed != 0;
}
