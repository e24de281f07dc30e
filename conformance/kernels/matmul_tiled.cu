// C[m x n] = A[m x k] * B[k x n], row major, static shared tiles. block=(16,16),
// grid=(ceil(n/16),ceil(m/16)).
#define T 16
extern "C" __global__ void matmul_tiled(const float *A, const float *B, float *C, int m, int n,
    int k)
{
    __shared__ float as[T][T];
    __shared__ float bs[T][T + 1];
    int row = blockIdx.y * T + threadIdx.y;
    int col = blockIdx.x * T + threadIdx.x;
    float acc = 0.f;
    for (int t = 0; t < (k + T - 1) / T; ++t) {
        int ka = t * T + threadIdx.x, kb = t * T + threadIdx.y;
        as[threadIdx.y][threadIdx.x] = (row < m && ka < k) ? A[row * k + ka] : 0.f;
        bs[threadIdx.y][threadIdx.x] = (kb < k && col < n) ? B[kb * n + col] : 0.f;
        __syncthreads();
#pragma unroll
        for (int i = 0; i < T; ++i) acc += as[threadIdx.y][i] * bs[i][threadIdx.x];
        __syncthreads();
    }
    if (row < m && col < n) C[row * n + col] = acc;
}
