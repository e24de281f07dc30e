// Texture objects (float 2-D, int 1-D, layered) and surface objects.
extern "C" __global__ void tex_rotate(cudaTextureObject_t t, float *out, int w, int h, float s,
    float c)
{
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= w || y >= h) return;
    float u = x / (float)w - .5f, v = y / (float)h - .5f;
    out[y * w + x] = tex2D<float>(t, u * c - v * s + .5f, v * c + u * s + .5f);
}
extern "C" __global__ void tex_fetch(cudaTextureObject_t t, int4 *out, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) out[i] = tex1Dfetch<int4>(t, i);
}
extern "C" __global__ void surf_fill(cudaSurfaceObject_t s, int w, int h)
{
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= w || y >= h) return;
    int v; surf2Dread(&v, s, x * 4, y);
    surf2Dwrite(v + x * y, s, x * 4, y);
}
