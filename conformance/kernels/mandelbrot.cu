// Escape counts into a byte image: divergent loop. block=(16,16).
extern "C" __global__ void mandelbrot(unsigned char *img, int w, int h, float x0, float y0,
    float dx, float dy, int maxit)
{
    int px = blockIdx.x * blockDim.x + threadIdx.x, py = blockIdx.y * blockDim.y + threadIdx.y;
    if (px >= w || py >= h) return;
    float cx = x0 + px * dx, cy = y0 + py * dy, x = 0, y = 0;
    int k = 0;
    while (k < maxit && x * x + y * y <= 4.f) { float t = x * x - y * y + cx; y = 2 * x * y + cy;
        x = t; ++k; }
    img[py * w + px] = k == maxit ? 0 : (unsigned char)(k * 255 / maxit);
}
