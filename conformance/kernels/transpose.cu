// out[w x h] = transpose(in[h x w]); 32x32 padded tile. block=(32,8), grid=(ceil(w/32),ceil(h/32)).
extern "C" __global__ void transpose(const float *in, float *out, int w, int h)
{
    __shared__ float tile[32][33];
    int x = blockIdx.x * 32 + threadIdx.x, y = blockIdx.y * 32 + threadIdx.y;
    for (int j = 0; j < 32; j += 8) if (x < w && y + j < h) tile[threadIdx.y + j][threadIdx.x]
        = in[(size_t)(y + j) * w + x];
    __syncthreads();
    x = blockIdx.y * 32 + threadIdx.x; y = blockIdx.x * 32 + threadIdx.y;
    for (int j = 0; j < 32; j += 8) if (x < h && y + j < w) out[(size_t)(y + j) * h + x]
        = tile[threadIdx.x][threadIdx.y + j];
}
