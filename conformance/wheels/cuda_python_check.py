# cuda-bindings and cuda-core on whatever driver is loaded: NVRTC to PTX, then the driver API.

import ctypes

import numpy as np
from cuda.bindings import driver, nvrtc
from cuda.core import (Device, LaunchConfig, Program, ProgramOptions, launch)

from check import check, run

SOURCE = r"""
template <typename T> __global__ void axpy(T a, const T *x, T *y, size_t n) {
    size_t i = blockIdx.x * (size_t)blockDim.x + threadIdx.x;
    if (i < n) y[i] = a * x[i] + y[i];
}
"""


def must(result):
    assert result[0].value == 0, result[0]
    return result[1] if len(result) == 2 else result[1:]


def ptx_of(source, name):
    program = must(nvrtc.nvrtcCreateProgram(source.encode(), b"x.cu", 0, None, None))
    options = [b"--gpu-architecture=compute_80"]
    must(nvrtc.nvrtcCompileProgram(program, len(options), options))
    text = b" " * must(nvrtc.nvrtcGetPTXSize(program))
    must(nvrtc.nvrtcGetPTX(program, text))
    assert name in text
    return text


@check
def device_of_core():
    device = Device(0)
    device.set_current()
    capability = device.compute_capability
    assert device.properties.warp_size == 32
    return f"{capability.major}.{capability.minor}"


@check
def program_and_launch_of_core():
    device = Device(0)
    device.set_current()
    stream = device.create_stream()
    options = ProgramOptions(std="c++17", arch="compute_80")
    module = Program(SOURCE, "c++", options).compile("ptx", name_expressions=("axpy<float>",))
    kernel = module.get_kernel("axpy<float>")
    count = 5000
    x = must(driver.cuMemAlloc(count * 4))
    y = must(driver.cuMemAlloc(count * 4))
    a, b = np.arange(count, dtype=np.float32), np.ones(count, dtype=np.float32)
    must(driver.cuMemcpyHtoD(x, a.ctypes.data, a.nbytes))
    must(driver.cuMemcpyHtoD(y, b.ctypes.data, b.nbytes))
    config = LaunchConfig(grid=(count + 255) // 256, block=256)
    launch(stream, config, kernel, np.float32(3), int(x), int(y), np.uint64(count))
    stream.sync()
    must(driver.cuMemcpyDtoH(b.ctypes.data, y, b.nbytes))
    np.testing.assert_array_equal(b, a * 3 + 1)
    must(driver.cuMemFree(x))
    must(driver.cuMemFree(y))


@check
def buffers_and_events_of_core():
    device = Device(0)
    device.set_current()
    stream = device.create_stream()
    buffer = device.allocate(4096, stream=stream)
    start, end = (stream.record(options={"timing_enabled": True}) for _ in range(2))
    end.sync()
    assert end - start >= 0
    buffer.close(stream)


@check
def module_of_bindings():
    must(driver.cuInit(0))
    device = must(driver.cuDeviceGet(0))
    context = must(driver.cuDevicePrimaryCtxRetain(device))
    must(driver.cuCtxSetCurrent(context))
    text = ptx_of('extern "C" __global__ void add(int *x, int d) { x[threadIdx.x] += d; }', b"add")
    module = must(driver.cuModuleLoadData(text))
    function = must(driver.cuModuleGetFunction(module, b"add"))
    x = must(driver.cuMemAlloc(128))
    must(driver.cuMemsetD32(x, 5, 32))
    values = ((x, 37), (None, ctypes.c_int))
    must(driver.cuLaunchKernel(function, 1, 1, 1, 32, 1, 1, 0, 0, values, 0))
    out = np.zeros(32, dtype=np.int32)
    must(driver.cuMemcpyDtoH(out.ctypes.data, x, 128))
    np.testing.assert_array_equal(out, 42)
    must(driver.cuMemFree(x))
    must(driver.cuModuleUnload(module))
    must(driver.cuDevicePrimaryCtxRelease(device))


@check
def linker_of_bindings():
    must(driver.cuInit(0))
    device = must(driver.cuDeviceGet(0))
    context = must(driver.cuDevicePrimaryCtxRetain(device))
    must(driver.cuCtxSetCurrent(context))
    text = ptx_of('extern "C" __global__ void one(int *x) { *x = 1; }', b"one")
    state = must(driver.cuLinkCreate(0, [], []))
    kind = driver.CUjitInputType.CU_JIT_INPUT_PTX
    must(driver.cuLinkAddData(state, kind, text, len(text), b"one", 0, [], []))
    image, _ = must(driver.cuLinkComplete(state))
    module = must(driver.cuModuleLoadData(image))
    must(driver.cuModuleGetFunction(module, b"one"))
    must(driver.cuLinkDestroy(state))
    must(driver.cuModuleUnload(module))
    must(driver.cuDevicePrimaryCtxRelease(device))


@check
def errors_have_names():
    code, name = driver.cuGetErrorName(driver.CUresult.CUDA_ERROR_ILLEGAL_ADDRESS)
    assert code.value == 0 and name == b"CUDA_ERROR_ILLEGAL_ADDRESS", name
    code, *_ = driver.cuDeviceGet(9999)
    return code.name


run()
