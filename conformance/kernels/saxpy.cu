// y = alpha*x + y with a grid-stride loop. Any launch shape is right.
extern "C" __global__ void saxpy(float alpha, const float *__restrict__ x, float *__restrict__ y,
    size_t n)
{
    size_t step = (size_t)gridDim.x * blockDim.x;
    for (size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += step)
        y[i] = alpha * x[i] + y[i];
}
