# Numba's CUDA target on whatever driver is loaded: its PTX path, against numpy.

import math

import numpy as np
from numba import cuda, float32, int32

from check import check, run

RNG = np.random.default_rng(11)


@check
def elementwise():
    @cuda.jit
    def axpy(a, x, y):
        i = cuda.grid(1)
        if i < x.size:
            y[i] = a * x[i] + y[i]

    x, y = RNG.normal(size=1000), RNG.normal(size=1000)
    device = cuda.to_device(y)
    axpy[8, 128](2.0, cuda.to_device(x), device)
    np.testing.assert_allclose(device.copy_to_host(), 2.0 * x + y, rtol=1e-15)


@check
def host_arrays_and_shared_memory():
    @cuda.jit
    def reverse(x):
        tile = cuda.shared.array(64, dtype=float32)
        i = cuda.threadIdx.x
        tile[i] = x[i]
        cuda.syncthreads()
        x[i] = tile[63 - i]

    x = np.arange(64, dtype=np.float32)
    reverse[1, 64](x)
    np.testing.assert_array_equal(x, np.arange(64)[::-1])


@check
def device_functions_and_math():
    @cuda.jit(device=True)
    def norm(x, y):
        return math.sqrt(x * x + y * y)

    @cuda.jit
    def norms(x, y, out):
        i = cuda.grid(1)
        if i < out.size:
            out[i] = norm(x[i], y[i]) + math.sin(x[i]) + math.exp(-abs(y[i]))

    x, y = RNG.normal(size=500), RNG.normal(size=500)
    out = np.zeros(500)
    norms[4, 128](x, y, out)
    np.testing.assert_allclose(out, np.hypot(x, y) + np.sin(x) + np.exp(-abs(y)), rtol=1e-13)


@check
def atomics():
    @cuda.jit
    def count(values, bins):
        i = cuda.grid(1)
        if i < values.size:
            cuda.atomic.add(bins, values[i], 1)

    values = RNG.integers(0, 16, 5000)
    bins = np.zeros(16, dtype=np.int64)
    count[20, 256](values, bins)
    np.testing.assert_array_equal(bins, np.bincount(values, minlength=16))


@check
def reductions():
    add = cuda.reduce(lambda a, b: a + b)
    for size in (1, 33, 1000, 20001):
        values = RNG.integers(0, 100, size)
        assert add(values) == values.sum()


@check
def matrix_product():
    @cuda.jit
    def product(a, b, c):
        left = cuda.shared.array((16, 16), dtype=int32)
        right = cuda.shared.array((16, 16), dtype=int32)
        x, y = cuda.grid(2)
        tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
        total = 0
        for step in range(a.shape[1] // 16):
            left[tx, ty] = a[x, ty + step * 16]
            right[tx, ty] = b[tx + step * 16, y]
            cuda.syncthreads()
            for k in range(16):
                total += left[tx, k] * right[k, ty]
            cuda.syncthreads()
        c[x, y] = total

    a = RNG.integers(-9, 9, (32, 48)).astype(np.int32)
    b = RNG.integers(-9, 9, (48, 32)).astype(np.int32)
    c = np.zeros((32, 32), dtype=np.int32)
    product[(2, 2), (16, 16)](a, b, c)
    np.testing.assert_array_equal(c, a @ b)


@check
def vectorised():
    from numba import vectorize

    @vectorize(["float32(float32, float32)"], target="cuda")
    def mixed(a, b):
        return a * b + a / (b + 1)

    a, b = (RNG.uniform(1, 2, 3000).astype(np.float32) for _ in range(2))
    np.testing.assert_allclose(mixed(a, b), a * b + a / (b + 1), rtol=1e-6)


@check
def warps():
    @cuda.jit
    def lanes(out):
        i = cuda.threadIdx.x
        ballot = cuda.ballot_sync(0xFFFFFFFF, i % 3 == 0)
        out[i] = cuda.shfl_down_sync(0xFFFFFFFF, i * i, 4) + cuda.popc(ballot)

    out = np.zeros(32, dtype=np.int64)
    lanes[1, 32](out)
    i = np.arange(32)
    np.testing.assert_array_equal(out, np.where(i < 28, i + 4, i) ** 2 + 11)


@check
def streams_events_and_pinned_memory():
    @cuda.jit
    def twice(x):
        i = cuda.grid(1)
        if i < x.size:
            x[i] *= 2

    stream = cuda.stream()
    host = cuda.pinned_array(4000, dtype=np.float32)
    host[:] = np.arange(4000)
    start, end = cuda.event(), cuda.event()
    start.record(stream)
    device = cuda.to_device(host, stream=stream)
    twice[32, 128, stream](device)
    device.copy_to_host(host, stream=stream)
    end.record(stream)
    end.synchronize()
    assert start.elapsed_time(end) >= 0
    np.testing.assert_array_equal(host, np.arange(4000) * 2)


@check
def random_numbers():
    from numba.cuda.random import create_xoroshiro128p_states, xoroshiro128p_uniform_float32

    @cuda.jit
    def draw(states, out):
        i = cuda.grid(1)
        out[i] = xoroshiro128p_uniform_float32(states, i)

    states = create_xoroshiro128p_states(256, seed=1)
    out = np.zeros(256, dtype=np.float32)
    draw[2, 128](states, out)
    assert 0 <= out.min() and out.max() < 1 and np.unique(out).size > 250
    return f"{out.sum():.4f}"


@check
def cooperative_groups():
    @cuda.jit
    def rows(matrix):
        grid = cuda.cg.this_grid()
        i = cuda.grid(1)
        for row in range(1, matrix.shape[0]):
            matrix[row, i] = matrix[row - 1, matrix.shape[1] - i - 1] + 1
            grid.sync()

    matrix = np.zeros((8, 64), dtype=np.int32)
    rows[2, 32](matrix)
    np.testing.assert_array_equal(matrix, np.repeat(np.arange(8)[:, None], 64, axis=1))


@check
def managed_and_mapped_memory():
    @cuda.jit
    def fill(x):
        x[cuda.grid(1)] = 7

    for array in (cuda.managed_array(64, dtype=np.int32), cuda.mapped_array(64, dtype=np.int32)):
        array[:] = 0
        fill[1, 64](array)
        cuda.synchronize()
        np.testing.assert_array_equal(array, 7)


@check
def printing():
    @cuda.jit
    def hello():
        if cuda.grid(1) == 3:
            print("hello from", cuda.grid(1))

    hello[1, 32]()
    cuda.synchronize()


run()
