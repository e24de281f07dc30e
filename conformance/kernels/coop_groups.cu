// cooperative_groups: block, tiled partitions, coalesced group, and (grid_sync) a grid barrier for
// cuLaunchCooperativeKernel.
#include <cooperative_groups.h>
namespace cg = cooperative_groups;
extern "C" __global__ void tile_sum(const int *in, int *out, int n)
{
    cg::thread_block b = cg::this_thread_block();
    cg::thread_block_tile<8> t = cg::tiled_partition<8>(b);
    int i = blockIdx.x * blockDim.x + b.thread_rank();
    int v = i < n ? in[i] : 0;
    for (int d = 4; d; d >>= 1) v += t.shfl_down(v, d);
    b.sync();
    if (v & 1) { cg::coalesced_group g = cg::coalesced_threads();
        if (g.thread_rank() == 0) atomicAdd(out, (int)g.size()); }
    if (t.thread_rank() == 0) atomicAdd(out + 1, v);
}
extern "C" __global__ void grid_sync(int *a, int *b, int n)
{
    cg::grid_group g = cg::this_grid();
    for (int i = g.thread_rank(); i < n; i += g.size()) a[i] = i * 2;
    g.sync();
    for (int i = g.thread_rank(); i < n; i += g.size()) b[i] = a[n - 1 - i];
}
