// A transposition through a padded tile; heights and widths that are no multiple of it.
#include "proof.h"

constexpr int TILE = 32, STEP = 8;

__global__ void transpose(const float *source, float *target, int width, int height)
{
    __shared__ float tile[TILE][TILE + 1];
    int x = blockIdx.x * TILE + threadIdx.x, y = blockIdx.y * TILE + threadIdx.y;
    for (int i = 0; i < TILE; i += STEP)
        if (x < width && y + i < height)
            tile[threadIdx.y + i][threadIdx.x] = source[(size_t)(y + i) * width + x];
    __syncthreads();
    x = blockIdx.y * TILE + threadIdx.x;
    y = blockIdx.x * TILE + threadIdx.y;
    for (int i = 0; i < TILE; i += STEP)
        if (x < height && y + i < width)
            target[(size_t)(y + i) * height + x] = tile[threadIdx.x][threadIdx.y + i];
}

static int turn(int width, int height)
{
    std::vector<float> source = input(7, (size_t)width * height), expected(source.size());
    for (int y = 0; y < height; ++y)
        for (int x = 0; x < width; ++x)
            expected[(size_t)x * height + y] = source[(size_t)y * width + x];
    Device<float> from(source), to(source.size());
    dim3 grid((width + TILE - 1) / TILE, (height + TILE - 1) / TILE), block(TILE, STEP);
    transpose<<<grid, block>>>(from.data(), to.data(), width, height);
    MUST(cudaGetLastError());
    return report("transpose", to.read(), expected);
}

int main()
{
    int wrong = turn(32, 32);
    wrong += turn(1, 77);
    wrong += turn(100, 33);
    wrong += turn(255, 129);
    return wrong != 0;
}
