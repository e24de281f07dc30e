// C = A * B with square tiles in shared memory; sizes that cut tiles on every side.
#include "proof.h"

constexpr int TILE = 16;

__global__ void matmul_tiled(const float *a, const float *b, float *c, int rows, int cols,
                             int inner)
{
    __shared__ float tile_a[TILE][TILE];
    __shared__ float tile_b[TILE][TILE + 1];
    int row = blockIdx.y * TILE + threadIdx.y;
    int col = blockIdx.x * TILE + threadIdx.x;
    float sum = 0;
    for (int at = 0; at < inner; at += TILE) {
        int col_a = at + threadIdx.x, row_b = at + threadIdx.y;
        tile_a[threadIdx.y][threadIdx.x] = row < rows && col_a < inner ? a[row * inner + col_a] : 0;
        tile_b[threadIdx.y][threadIdx.x] = row_b < inner && col < cols ? b[row_b * cols + col] : 0;
        __syncthreads();
#pragma unroll
        for (int i = 0; i < TILE; ++i) sum += tile_a[threadIdx.y][i] * tile_b[i][threadIdx.x];
        __syncthreads();
    }
    if (row < rows && col < cols) c[row * cols + col] = sum;
}

static int multiply(int rows, int cols, int inner)
{
    std::vector<float> a = input(5, rows * inner), b = input(6, inner * cols);
    std::vector<float> expected(rows * cols);
    for (int row = 0; row < rows; ++row)
        for (int col = 0; col < cols; ++col) {
            float sum = 0;
            for (int i = 0; i < inner; ++i) sum += a[row * inner + i] * b[i * cols + col];
            expected[row * cols + col] = sum;
        }
    Device<float> da(a), db(b), dc(rows * cols);
    dim3 grid((cols + TILE - 1) / TILE, (rows + TILE - 1) / TILE), block(TILE, TILE);
    matmul_tiled<<<grid, block>>>(da.data(), db.data(), dc.data(), rows, cols, inner);
    MUST(cudaGetLastError());
    MUST(cudaDeviceSynchronize());
    return report("matmul_tiled", dc.read(), expected);
}

int main()
{
    int wrong = multiply(16, 16, 16);
    wrong += multiply(1, 1, 1);
    wrong += multiply(37, 53, 29);
    wrong += multiply(96, 80, 64);
    return wrong != 0;
}
