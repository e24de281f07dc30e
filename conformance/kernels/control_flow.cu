// switch, nested loops, early exit, break/continue, do-while and predicated short branches without
// barriers; a byte-code VM.
extern "C" __global__ void control_flow(const unsigned char *code, int len, int *out, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    int acc = i, r = 1;
    for (int pc = 0; pc < len; ++pc) {
        switch (code[pc]) {
        case 0: acc += 3; break;
        case 1: acc = acc * 5 + r; break;
        case 2: acc ^= acc << 7; break;
        case 3: acc = (unsigned)acc >> 3; break;
        case 4: if (acc & 1) { r += acc; continue; } break;
        case 5: do { acc = acc & 1 ? 3 * acc + 1 : acc / 2; } while (acc > 100 && ++r < 50); break;
        case 6: for (int k = 0; k < (i & 7); ++k) { if (k == 5) break; r += k * acc; } break;
        case 7: pc += (acc & 1); break;
        case 9: out[i] = -1; return;
        default: acc -= r;
        }
    }
    out[i] = acc + r;
}
