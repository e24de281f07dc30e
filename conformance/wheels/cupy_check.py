# CuPy on whatever driver is loaded: kernels that nobody of this project wrote, against numpy.
#
# Needs CUPY_COMPILE_WITH_PTX=1 on a driver that executes PTX only.

import cupy as cp
import numpy as np

from check import check, run

RNG = np.random.default_rng(7)


def same(found, expected, tolerance=0.0):
    found, expected = cp.asnumpy(found), np.asarray(expected)
    assert found.shape == expected.shape, (found.shape, expected.shape)
    if tolerance:
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)
    else:
        np.testing.assert_array_equal(found, expected)


@check
def elementwise():
    for kind in (np.int8, np.uint16, np.int32, np.int64, np.float16, np.float32, np.float64):
        a = RNG.integers(1, 100, 1003).astype(kind)
        b = RNG.integers(1, 100, 1003).astype(kind)
        x, y = cp.asarray(a), cp.asarray(b)
        same(x + y, a + b)
        same(x * y, a * b)
        same(x // y, a // b)
        same(x % y, a % b)
        same(cp.where(x > y, x, y), np.maximum(a, b))


@check
def functions():
    a = RNG.uniform(0.1, 4.0, 2000)
    for kind, tolerance in ((np.float32, 1e-5), (np.float64, 1e-12)):
        h = a.astype(kind)
        x = cp.asarray(h)
        for name in ("sqrt", "exp", "log", "sin", "cos", "tan", "arctan", "tanh", "cbrt", "log1p",
                     "expm1", "exp2", "floor", "rint", "arcsinh", "reciprocal"):
            same(getattr(cp, name)(x), getattr(np, name)(h), tolerance)
        same(cp.power(x, x), np.power(h, h), tolerance * 4)


@check
def complex_numbers():
    a = RNG.normal(size=500) + 1j * RNG.normal(size=500)
    x = cp.asarray(a)
    same(x * x.conj(), a * a.conj(), 1e-12)
    same(cp.abs(x), np.abs(a), 1e-12)
    same(cp.exp(x), np.exp(a), 1e-10)


@check
def reductions():
    for count in (1, 31, 32, 33, 257, 1000, 70001):
        a = RNG.integers(-50, 50, count)
        for kind in (np.int32, np.int64, np.float32, np.float64):
            h = a.astype(kind)
            x = cp.asarray(h)
            same(x.sum(), h.sum())
            same(x.max(), h.max())
            same(x.min(), h.min())
            same(x.argmax(), h.argmax())
            same(cp.count_nonzero(x), np.count_nonzero(h))


@check
def reductions_along_axes():
    h = RNG.integers(-9, 9, (7, 33, 65)).astype(np.float64)
    x = cp.asarray(h)
    for axis in (0, 1, 2, (0, 2), None):
        same(x.sum(axis=axis), h.sum(axis=axis))
        same(x.mean(axis=axis), h.mean(axis=axis), 1e-12)
        same(x.var(axis=axis), h.var(axis=axis), 1e-10)


@check
def sorting():
    for kind in (np.int32, np.int64, np.float32, np.float64):
        h = RNG.permutation(5003).astype(kind)
        x = cp.asarray(h)
        same(cp.sort(x), np.sort(h))
        same(cp.argsort(x), np.argsort(h))
    h = RNG.integers(0, 50, 3000)
    same(cp.unique(cp.asarray(h)), np.unique(h))


@check
def scans():
    for count in (5, 513, 40000):
        h = RNG.integers(-9, 9, count)
        same(cp.cumsum(cp.asarray(h)), np.cumsum(h))
    h = RNG.uniform(0.99, 1.01, 300)
    same(cp.cumprod(cp.asarray(h)), np.cumprod(h), 1e-10)


@check
def indexing():
    h = RNG.integers(0, 1000, (40, 50))
    x = cp.asarray(h)
    rows = RNG.integers(0, 40, 20)
    same(x[cp.asarray(rows)], h[rows])
    same(x[x > 500], h[h > 500])
    same(x[::3, 5:45:7], h[::3, 5:45:7])
    same(cp.transpose(x).copy(), h.T)
    same(cp.concatenate([x, x * 2], axis=1), np.concatenate([h, h * 2], axis=1))
    same(cp.bincount(x.ravel(), minlength=1000), np.bincount(h.ravel(), minlength=1000))
    same(cp.histogram(x, bins=16)[0], np.histogram(h, bins=16)[0])
    y = cp.zeros(10, dtype=cp.int64)
    cp.add.at(y, cp.asarray(rows % 10), 1)
    same(y, np.bincount(rows % 10, minlength=10))


@check
def raw_kernel():
    kernel = cp.RawKernel(r"""
    extern "C" __global__ void scale(const float *x, float *y, float a, int n) {
        extern __shared__ float tile[];
        int i = blockIdx.x * blockDim.x + threadIdx.x;
        tile[threadIdx.x] = i < n ? x[i] : 0.0f;
        __syncthreads();
        if (i < n) y[i] = a * tile[threadIdx.x] + tile[blockDim.x - 1 - threadIdx.x];
    }""", "scale")
    h = np.arange(1024, dtype=np.float32)
    y = cp.zeros(1024, dtype=cp.float32)
    kernel((8,), (128,), (cp.asarray(h), y, np.float32(2), np.int32(1024)), shared_mem=512)
    tiles = h.reshape(8, 128)
    same(y, (2 * tiles + tiles[:, ::-1]).ravel())


@check
def raw_module():
    module = cp.RawModule(code=r"""
    template <typename T> __global__ void fill(T *x, T v, int n) {
        int i = blockIdx.x * blockDim.x + threadIdx.x;
        if (i < n) x[i] = v;
    }
    __device__ int counter;
    extern "C" __global__ void count() { atomicAdd(&counter, 1); }
    """, options=("-std=c++17",), name_expressions=("fill<float>", "fill<long long>"))
    x = cp.empty(100, dtype=cp.float32)
    module.get_function("fill<float>")((4,), (32,), (x, np.float32(1.5), np.int32(100)))
    same(x, np.full(100, 1.5, dtype=np.float32))
    module.get_function("count")((3,), (50,), ())
    counter = cp.ndarray((1,), dtype=cp.int32, memptr=module.get_global("counter"))
    assert int(counter[0]) == 150, counter


@check
def fused_and_custom_kernels():
    @cp.fuse()
    def fused(x, y):
        return cp.sqrt(x * x + y * y)

    a, b = RNG.normal(size=300), RNG.normal(size=300)
    same(fused(cp.asarray(a), cp.asarray(b)), np.sqrt(a * a + b * b), 1e-12)
    reduction = cp.ReductionKernel("T x", "T y", "x * x", "a + b", "y = sqrt(a)", "0", "norm")
    same(reduction(cp.asarray(a)), np.sqrt((a * a).sum()), 1e-12)
    element = cp.ElementwiseKernel("T x, T y", "T z", "z = x > y ? x - y : y - x", "distance")
    same(element(cp.asarray(a), cp.asarray(b)), np.abs(a - b))


@check
def streams_and_events():
    h = RNG.normal(size=10000)
    first, second = cp.cuda.Stream(non_blocking=True), cp.cuda.Stream(non_blocking=True)
    with first:
        x = cp.asarray(h) * 2
        event = first.record()
    second.wait_event(event)
    with second:
        y = x + 1
    second.synchronize()
    same(y, h * 2 + 1)
    start, end = cp.cuda.Event(), cp.cuda.Event()
    start.record()
    (x * x).sum()
    end.record()
    end.synchronize()
    assert cp.cuda.get_elapsed_time(start, end) >= 0


@check
def memory_pool():
    pool = cp.get_default_memory_pool()
    pool.free_all_blocks()
    before = pool.used_bytes()
    x = cp.zeros(1 << 20, dtype=cp.uint8)
    assert pool.used_bytes() - before >= 1 << 20
    del x
    assert pool.used_bytes() == before
    pool.free_all_blocks()
    pinned = cp.cuda.alloc_pinned_memory(4096)
    host = np.frombuffer(pinned, np.uint8, 4096)
    host[:] = 5
    device = cp.empty(4096, dtype=cp.uint8)
    device.set(host)
    same(device, np.full(4096, 5, dtype=np.uint8))


@check
def stream_ordered_memory():
    pool = cp.cuda.MemoryAsyncPool()
    old = cp.cuda.get_allocator()
    cp.cuda.set_allocator(pool.malloc)
    try:
        h = np.arange(5000)
        same(cp.asarray(h) * 3, h * 3)
    finally:
        cp.cuda.set_allocator(old)


@check
def managed_memory():
    old = cp.cuda.get_allocator()
    cp.cuda.set_allocator(cp.cuda.malloc_managed)
    try:
        h = np.arange(5000)
        same(cp.asarray(h) * 3, h * 3)
    finally:
        cp.cuda.set_allocator(old)


@check
def graphs():
    stream = cp.cuda.Stream(non_blocking=True)
    x = cp.arange(1000, dtype=cp.float64)
    y = cp.zeros_like(x)
    cp.multiply(x, 2, out=y)
    cp.cuda.get_current_stream().synchronize()
    with stream:
        stream.begin_capture()
        cp.multiply(x, 3, out=y)
        cp.add(y, 1, out=y)
        graph = stream.end_capture()
    for _ in range(3):
        graph.launch(stream)
    stream.synchronize()
    same(y, np.arange(1000) * 3.0 + 1)


run()
