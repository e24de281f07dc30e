// Copies and fills of rows and slices between pitched memory of every sort, aligned and not, small
// and larger than what travels at once, with a stream and without; and what is refused.
#include "proof.h"

#include <cuda.h>

// A function of the driver, as the runtime finds it.
#define DRIVER(name) entry<decltype(name)>(#name)

template <class F> static F *entry(const char *name)
{
    void *found = nullptr;
    MUST(cudaGetDriverEntryPointByVersion(name, &found, 12000, cudaEnableDefault, nullptr));
    return reinterpret_cast<F *>(found);
}

using Bytes = std::vector<unsigned char>;

static int failures;

static Bytes bytes(uint32_t seed, size_t len)
{
    Bytes made(len);
    for (size_t i = 0; i < len; ++i) made[i] = mixed(seed, (uint32_t)i);
    return made;
}

// Rows through the device and back, each with its own pitch.
static void rows(const char *what, size_t width, size_t height, size_t gap, bool is_async,
                 bool is_pinned)
{
    size_t pitch, host_pitch = width + gap, len = host_pitch * height;
    unsigned char *device, *other, *pinned = nullptr;
    MUST(cudaMallocPitch(&device, &pitch, width, height));
    MUST(cudaMalloc(&other, (width + 3) * height));
    Bytes source = bytes(1, len), target(len, 7), expected(len, 7);
    if (is_pinned) MUST(cudaMallocHost(&pinned, len));
    unsigned char *from = source.data(), *to = is_pinned ? pinned : target.data();
    if (is_pinned) memset(pinned, 7, len);
    cudaStream_t stream = nullptr;
    if (is_async) {
        MUST(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
        MUST(cudaMemset2DAsync(device, pitch, 0x11, width, height, stream));
        MUST(cudaMemcpy2DAsync(device, pitch, from, host_pitch, width, height,
                               cudaMemcpyHostToDevice, stream));
        MUST(cudaMemcpy2DAsync(other, width + 3, device, pitch, width, height,
                               cudaMemcpyDeviceToDevice, stream));
        MUST(cudaMemcpy2DAsync(to, host_pitch, other, width + 3, width, height, cudaMemcpyDefault,
                               stream));
        MUST(cudaStreamSynchronize(stream));
        MUST(cudaStreamDestroy(stream));
    } else {
        MUST(cudaMemset2D(device, pitch, 0x11, width, height));
        MUST(cudaMemcpy2D(device, pitch, from, host_pitch, width, height, cudaMemcpyHostToDevice));
        MUST(cudaMemcpy2D(other, width + 3, device, pitch, width, height,
                          cudaMemcpyDeviceToDevice));
        MUST(cudaMemcpy2D(to, host_pitch, other, width + 3, width, height, cudaMemcpyDeviceToHost));
    }
    for (size_t y = 0; y < height; ++y)
        memcpy(&expected[y * host_pitch], &source[y * host_pitch], width);
    Bytes found(to, to + len);
    failures += report(what, found, expected);
    if (pinned) MUST(cudaFreeHost(pinned));
    MUST(cudaFree(device));
    MUST(cudaFree(other));
}

// A box out of the middle of one volume into the middle of another, there and back.
static void volume()
{
    cudaExtent whole = make_cudaExtent(70, 40, 30), part = make_cudaExtent(33, 21, 17);
    cudaPitchedPtr device;
    MUST(cudaMalloc3D(&device, whole));
    MUST(cudaMemset3D(device, 0x5a, whole));
    Bytes source = bytes(2, 70 * 40 * 30), target(64 * 50 * 30, 9), expected = target;
    cudaMemcpy3DParms copy = {};
    copy.srcPtr = make_cudaPitchedPtr(source.data(), 70, 70, 40);
    copy.srcPos = make_cudaPos(5, 6, 7);
    copy.dstPtr = device;
    copy.dstPos = make_cudaPos(1, 2, 3);
    copy.extent = part;
    copy.kind = cudaMemcpyHostToDevice;
    MUST(cudaMemcpy3D(&copy));
    cudaMemcpy3DParms back = {};
    back.srcPtr = device;
    back.srcPos = make_cudaPos(0, 1, 2);
    back.dstPtr = make_cudaPitchedPtr(target.data(), 64, 64, 50);
    back.dstPos = make_cudaPos(3, 4, 5);
    back.extent = make_cudaExtent(35, 23, 19);
    back.kind = cudaMemcpyDeviceToHost;
    MUST(cudaMemcpy3DAsync(&back));
    MUST(cudaDeviceSynchronize());
    for (size_t z = 0; z < 19; ++z)
        for (size_t y = 0; y < 23; ++y)
            for (size_t x = 0; x < 35; ++x) {
                bool is_inside = x >= 1 && x < 34 && y >= 1 && y < 22 && z >= 1 && z < 18;
                unsigned char value = 0x5a;
                if (is_inside) value = source[((z + 6) * 40 + y + 5) * 70 + x + 4];
                expected[((z + 5) * 50 + y + 4) * 64 + x + 3] = value;
            }
    failures += report("volume", target, expected);
    MUST(cudaFree(device.ptr));
}

static void peers()
{
    Bytes source = bytes(3, 5000);
    Device<unsigned char> from(source), to(source.size());
    MUST(cudaMemcpyPeer(to.data(), 0, from.data(), 0, 2500));
    MUST(cudaMemcpyPeerAsync(to.data() + 2500, 0, from.data() + 2500, 0, 2500));
    failures += report("peers", to.read(), source);
}

static void fills()
{
    Device<unsigned char> memory(64 * 10);
    CUdeviceptr at = (CUdeviceptr)memory.data();
    Bytes expected(64 * 10, 1);
    MUST(cudaMemset(memory.data(), 1, 640));
    int words = DRIVER(cuMemsetD2D16)(at + 2, 64, 0x0302, 5, 10);
    int longs = DRIVER(cuMemsetD2D32Async)(at + 16, 64, 0x07060504, 3, 10, nullptr);
    printf("D16 %d D32 %d D8 %d\n", words, longs, DRIVER(cuMemsetD2D8)(at + 40, 128, 8, 7, 5));
    for (int y = 0; y < 10; ++y) {
        for (int x = 2; x < 12; ++x) expected[y * 64 + x] = x % 2 ? 3 : 2;
        for (int x = 16; x < 28; ++x) expected[y * 64 + x] = 4 + x % 4;
        for (int x = 40; x < 47; ++x)
            if (y % 2 == 0) expected[y * 64 + x] = 8;
    }
    failures += report("fills", memory.read(), expected);
    int odd = DRIVER(cuMemsetD2D16)(at + 1, 64, 0, 5, 10);
    int pitch = DRIVER(cuMemsetD2D32)(at, 16, 0, 5, 10);
    int beyond = DRIVER(cuMemsetD2D8)(at, 64, 0, 64, 11);
    int element = DRIVER(cuMemsetD2D32)(at, 66, 0, 5, 2);
    printf("refused: odd %d pitch %d beyond %d element %d\n", odd, pitch, beyond, element);
    int width = DRIVER(cuMemsetD2D8)(at, 64, 0, 0, 11);
    int height = DRIVER(cuMemsetD2D8)(at, 0, 0, 1, 0);
    printf("nothing: %d %d\n", width, height);
}

static int refused(CUDA_MEMCPY2D copy)
{
    return DRIVER(cuMemcpy2D)(&copy);
}

static void refusals()
{
    Device<unsigned char> memory(1000);
    Bytes host(2000);
    CUDA_MEMCPY2D copy = {};
    copy.srcMemoryType = CU_MEMORYTYPE_HOST;
    copy.srcHost = host.data();
    copy.srcPitch = 100;
    copy.dstMemoryType = CU_MEMORYTYPE_DEVICE;
    copy.dstDevice = (CUdeviceptr)memory.data();
    copy.dstPitch = 100;
    copy.WidthInBytes = 50;
    copy.Height = 10;
    printf("good %d null %d\n", refused(copy), DRIVER(cuMemcpy2D)(nullptr));
    auto changed = [&](auto change) {
        CUDA_MEMCPY2D other = copy;
        change(other);
        return refused(other);
    };
    printf("row beyond %d rows beyond %d\n", changed([](auto &c) { c.dstXInBytes = 51; }),
           changed([](auto &c) { c.Height = 11; }));
    printf("pitch %d type %d host %d array %d\n", changed([](auto &c) { c.srcPitch = 49; }),
           changed([](auto &c) { c.srcMemoryType = (CUmemorytype)9; }),
           changed([](auto &c) { c.srcHost = nullptr; }),
           changed([](auto &c) {
               c.srcMemoryType = CU_MEMORYTYPE_ARRAY;
               c.srcArray = nullptr;
           }));
    printf("not device %d nothing %d huge %d\n",
           changed([&](auto &c) { c.dstDevice = (CUdeviceptr)host.data(); }),
           changed([](auto &c) { c.Height = 0; }),
           changed([](auto &c) { c.WidthInBytes = (size_t)1 << 62; }));
    CUDA_MEMCPY3D deep = {};
    deep.srcMemoryType = deep.dstMemoryType = CU_MEMORYTYPE_DEVICE;
    deep.srcDevice = copy.dstDevice;
    deep.dstDevice = copy.dstDevice + 500;
    deep.srcPitch = deep.dstPitch = 10;
    deep.srcHeight = deep.dstHeight = 10;
    deep.WidthInBytes = deep.Height = 5;
    deep.Depth = 5;
    printf("deep %d", DRIVER(cuMemcpy3D)(&deep));
    deep.Depth = 6;
    printf(" deeper %d", DRIVER(cuMemcpy3D)(&deep));
    deep.Depth = 5;
    deep.dstHeight = 0;
    printf(" no height %d\n", DRIVER(cuMemcpy3DAsync)(&deep, nullptr));
}

int main()
{
    rows("small", 33, 5, 3, false, false);
    rows("small async", 33, 5, 3, true, true);
    rows("packed", 64, 9, 0, false, false);
    rows("packed async", 512, 9, 0, true, true);
    rows("tall", 5, 3000, 11, true, false);
    rows("large", 3001, 1000, 7, false, false);
    rows("large async", 3001, 1000, 7, true, true);
    rows("wide", (1 << 20) + 77, 3, 9, true, false);
    volume();
    peers();
    fills();
    refusals();
    return failures != 0;
}
