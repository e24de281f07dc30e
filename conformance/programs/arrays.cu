// Arrays of every shape: copies in and out of them in every direction, with pitched memory and
// offsets, and by rows; levels of mipmapped ones; what is refused; and what memory they take.
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

#define GOOD(call) MUST(static_cast<cudaError_t>(call))

using Bytes = std::vector<unsigned char>;

static int failures;

static Bytes bytes(uint32_t seed, size_t len)
{
    Bytes made(len);
    for (size_t i = 0; i < len; ++i) made[i] = (unsigned char)mixed(seed, (uint32_t)i);
    return made;
}

// Rows in slices, in memory of any sort, with room beside and below them.
struct Box {
    size_t width, height, depth, pitch, rows;
    size_t len() const { return pitch * rows * depth; }
    size_t at(size_t x, size_t y, size_t z) const { return (z * rows + y) * pitch + x; }
};

struct Shape {
    const char *name;
    size_t width, height, depth;
    unsigned flags;
    CUarray_format format;
    unsigned channels, texel;
};

static CUarray make(const Shape &shape)
{
    CUDA_ARRAY3D_DESCRIPTOR asked = {shape.width,  shape.height,   shape.depth,
                                     shape.format, shape.channels, shape.flags};
    CUarray array;
    GOOD(DRIVER(cuArray3DCreate)(&array, &asked));
    CUDA_ARRAY3D_DESCRIPTOR found = {};
    GOOD(DRIVER(cuArray3DGetDescriptor)(&found, array));
    bool is_same = found.Width == asked.Width && found.Height == asked.Height &&
                   found.Depth == asked.Depth && found.Format == asked.Format &&
                   found.NumChannels == asked.NumChannels && found.Flags == asked.Flags;
    if (!is_same) printf("%s is described otherwise\n", shape.name), ++failures;
    return array;
}

static CUDA_MEMCPY3D copy_of(size_t width, size_t height, size_t depth)
{
    CUDA_MEMCPY3D copy = {};
    copy.WidthInBytes = width;
    copy.Height = height;
    copy.Depth = depth;
    return copy;
}

// In from the middle of client memory, from array to array with an offset, through the device and
// out again; the same with a stream.
static void round(const Shape &shape, bool is_async)
{
    size_t height = shape.height ? shape.height : 1, depth = shape.depth ? shape.depth : 1;
    size_t row = shape.width * shape.texel;
    Box host = {row, height, depth, row + 13, height + 2};
    Bytes source = bytes(1, host.len() + 64), target(host.len() + 64, 7), expected = target;
    CUarray first = make(shape), second = make(shape);
    CUstream stream = nullptr;
    if (is_async) GOOD(DRIVER(cuStreamCreate)(&stream, CU_STREAM_NON_BLOCKING));
    auto run = [&](CUDA_MEMCPY3D &copy) {
        if (is_async) GOOD(DRIVER(cuMemcpy3DAsync)(&copy, stream));
        else GOOD(DRIVER(cuMemcpy3D)(&copy));
    };
    CUDA_MEMCPY3D in = copy_of(row, height, depth);
    in.srcMemoryType = CU_MEMORYTYPE_HOST;
    in.srcHost = source.data();
    in.srcXInBytes = 5;
    in.srcY = 1;
    in.srcPitch = host.pitch;
    in.srcHeight = host.rows;
    in.dstMemoryType = CU_MEMORYTYPE_ARRAY;
    in.dstArray = first;
    run(in);
    in.dstArray = second;
    run(in);
    // A box that leaves out the first of everything, to one that leaves out the last.
    size_t x = shape.width > 1, y = height > 1, z = depth > 1;
    CUDA_MEMCPY3D across = copy_of(row - x * shape.texel, height - y, depth - z);
    across.srcMemoryType = across.dstMemoryType = CU_MEMORYTYPE_ARRAY;
    across.srcArray = first;
    across.srcXInBytes = x * shape.texel;
    across.srcY = y;
    across.srcZ = z;
    across.dstArray = second;
    run(across);
    // Through the device, whose rows have a pitch of their own.
    Box there = {row, height, depth, row + 32, height + 1};
    Device<unsigned char> memory(there.len());
    CUDA_MEMCPY3D out = copy_of(row, height, depth);
    out.srcMemoryType = CU_MEMORYTYPE_ARRAY;
    out.srcArray = second;
    out.dstMemoryType = CU_MEMORYTYPE_DEVICE;
    out.dstDevice = (CUdeviceptr)memory.data();
    out.dstPitch = there.pitch;
    out.dstHeight = there.rows;
    run(out);
    CUDA_MEMCPY3D again = copy_of(row, height, depth);
    again.srcMemoryType = CU_MEMORYTYPE_DEVICE;
    again.srcDevice = (CUdeviceptr)memory.data();
    again.srcPitch = there.pitch;
    again.srcHeight = there.rows;
    again.dstMemoryType = CU_MEMORYTYPE_ARRAY;
    again.dstArray = first;
    run(again);
    CUDA_MEMCPY3D back = copy_of(row, height, depth);
    back.srcMemoryType = CU_MEMORYTYPE_ARRAY;
    back.srcArray = first;
    back.dstMemoryType = CU_MEMORYTYPE_HOST;
    back.dstHost = target.data();
    back.dstXInBytes = 3;
    back.dstY = 2;
    back.dstPitch = host.pitch;
    back.dstHeight = host.rows;
    run(back);
    if (is_async) GOOD(DRIVER(cuStreamSynchronize)(stream));
    for (size_t k = 0; k < depth; ++k)
        for (size_t j = 0; j < height; ++j)
            for (size_t i = 0; i < row; ++i) {
                bool is_across = i < row - x * shape.texel && j < height - y && k < depth - z;
                size_t a = i, b = j, c = k;
                if (is_across) a += x * shape.texel, b += y, c += z;
                expected[host.at(i + 3, j + 2, k)] = source[host.at(a + 5, b + 1, c)];
            }
    failures += report(shape.name, target, expected);
    if (is_async) GOOD(DRIVER(cuStreamDestroy)(stream));
    GOOD(DRIVER(cuArrayDestroy)(first));
    GOOD(DRIVER(cuArrayDestroy)(second));
}

static void rounds()
{
    const CUarray_format byte = CU_AD_FORMAT_UNSIGNED_INT8, half = CU_AD_FORMAT_HALF;
    const CUarray_format single = CU_AD_FORMAT_FLOAT, word = CU_AD_FORMAT_SIGNED_INT32;
    const unsigned layered = CUDA_ARRAY3D_LAYERED, cube = CUDA_ARRAY3D_CUBEMAP;
    const Shape shapes[] = {
        {"1D bytes", 333, 0, 0, 0, byte, 1, 1},
        {"1D float4", 4097, 0, 0, 0, single, 4, 16},
        {"1D layers", 65, 0, 7, layered, half, 2, 4},
        {"2D bytes", 127, 33, 0, CUDA_ARRAY3D_SURFACE_LDST, byte, 1, 1},
        {"2D floats, large", 3001, 701, 0, 0, single, 1, 4},
        {"2D layers", 45, 31, 5, layered, word, 2, 8},
        {"3D halves", 35, 27, 19, 0, half, 4, 8},
        {"3D, large", 128, 100, 90, CUDA_ARRAY3D_SURFACE_LDST, single, 1, 4},
        {"cubemap", 40, 40, 6, cube, byte, 4, 4},
        {"cubemaps in layers", 24, 24, 12, cube | layered, single, 2, 8},
    };
    for (const Shape &shape : shapes) {
        round(shape, false);
        round(shape, true);
    }
}

// The calls that copy bytes of one row.
static void rows()
{
    CUDA_ARRAY_DESCRIPTOR asked = {100000, 0, CU_AD_FORMAT_FLOAT, 1};
    CUarray first, second;
    GOOD(DRIVER(cuArrayCreate)(&first, &asked));
    GOOD(DRIVER(cuArrayCreate)(&second, &asked));
    CUDA_ARRAY_DESCRIPTOR found = {};
    GOOD(DRIVER(cuArrayGetDescriptor)(&found, second));
    printf("row of %zu %zu, format %d, channels %u\n", found.Width, found.Height, (int)found.Format,
           found.NumChannels);
    const size_t len = 400000;
    Bytes source = bytes(2, len), target(len), other(len);
    Device<unsigned char> memory(len);
    CUdeviceptr device = (CUdeviceptr)memory.data();
    GOOD(DRIVER(cuMemcpyHtoA)(first, 0, source.data(), len));
    GOOD(DRIVER(cuMemcpyAtoA)(second, 4, first, 0, len - 4));
    GOOD(DRIVER(cuMemcpyHtoA)(second, 0, source.data() + len - 4, 4));
    GOOD(DRIVER(cuMemcpyAtoD)(device, second, 0, len));
    GOOD(DRIVER(cuMemcpyDtoA)(first, 0, device + 4, len - 4));
    GOOD(DRIVER(cuMemcpyDtoA)(first, len - 4, device, 4));
    GOOD(DRIVER(cuMemcpyAtoH)(target.data(), first, 0, len));
    failures += report("rows", target, source);
    unsigned char *pinned;
    MUST(cudaMallocHost(&pinned, len));
    memset(pinned, 0, len);
    CUstream stream;
    GOOD(DRIVER(cuStreamCreate)(&stream, CU_STREAM_NON_BLOCKING));
    Bytes changed = bytes(3, len);
    GOOD(DRIVER(cuMemcpyHtoAAsync)(first, 0, changed.data(), len, stream));
    GOOD(DRIVER(cuMemcpyAtoHAsync)(pinned, first, 0, len, stream));
    GOOD(DRIVER(cuStreamSynchronize)(stream));
    memcpy(other.data(), pinned, len);
    failures += report("rows with a stream", other, changed);
    GOOD(DRIVER(cuStreamDestroy)(stream));
    MUST(cudaFreeHost(pinned));
    printf("beyond: %d %d %d, between texels: %d %d, nothing: %d\n",
           DRIVER(cuMemcpyHtoA)(first, 8, source.data(), len),
           DRIVER(cuMemcpyAtoH)(target.data(), first, len, 4),
           DRIVER(cuMemcpyAtoD)(device + 4, first, 0, len),
           DRIVER(cuMemcpyHtoA)(first, 2, source.data(), 4),
           DRIVER(cuMemcpyHtoA)(first, 0, source.data(), 6),
           DRIVER(cuMemcpyHtoA)(first, len + 400, source.data(), 0));
    GOOD(DRIVER(cuArrayDestroy)(first));
    GOOD(DRIVER(cuArrayDestroy)(second));
}

// Every level has its own texels.
static void levels()
{
    CUDA_ARRAY3D_DESCRIPTOR asked = {37, 20, 0, CU_AD_FORMAT_FLOAT, 2, 0};
    CUmipmappedArray mipmap;
    GOOD(DRIVER(cuMipmappedArrayCreate)(&mipmap, &asked, 99));
    std::vector<CUarray> arrays;
    CUarray level;
    while (DRIVER(cuMipmappedArrayGetLevel)(&level, mipmap, (unsigned)arrays.size()) == 0)
        arrays.push_back(level);
    CUarray again;
    GOOD(DRIVER(cuMipmappedArrayGetLevel)(&again, mipmap, 1));
    printf("%zu levels, the same one again: %d\n", arrays.size(), again == arrays[1]);
    std::vector<Bytes> contents;
    for (size_t i = 0; i < arrays.size(); ++i) {
        CUDA_ARRAY3D_DESCRIPTOR found = {};
        GOOD(DRIVER(cuArray3DGetDescriptor)(&found, arrays[i]));
        printf("level %zu: %zu x %zu x %zu\n", i, found.Width, found.Height, found.Depth);
        contents.push_back(bytes(4 + (uint32_t)i, found.Width * 8 * found.Height));
        CUDA_MEMCPY2D in = {};
        in.srcMemoryType = CU_MEMORYTYPE_HOST;
        in.srcHost = contents[i].data();
        in.dstMemoryType = CU_MEMORYTYPE_ARRAY;
        in.dstArray = arrays[i];
        in.srcPitch = in.WidthInBytes = found.Width * 8;
        in.Height = found.Height;
        GOOD(DRIVER(cuMemcpy2D)(&in));
    }
    for (size_t i = 0; i < arrays.size(); ++i) {
        Bytes target(contents[i].size());
        CUDA_ARRAY3D_DESCRIPTOR found = {};
        GOOD(DRIVER(cuArray3DGetDescriptor)(&found, arrays[i]));
        CUDA_MEMCPY2D out = {};
        out.srcMemoryType = CU_MEMORYTYPE_ARRAY;
        out.srcArray = arrays[i];
        out.dstMemoryType = CU_MEMORYTYPE_HOST;
        out.dstHost = target.data();
        out.dstPitch = out.WidthInBytes = found.Width * 8;
        out.Height = found.Height;
        GOOD(DRIVER(cuMemcpy2DAsync)(&out, nullptr));
        failures += report("level", target, contents[i]);
    }
    printf("a level is not destroyed: %d\n", DRIVER(cuArrayDestroy)(arrays[0]));
    GOOD(DRIVER(cuMipmappedArrayDestroy)(mipmap));
    printf("gone: %d, its level: %d\n", DRIVER(cuMipmappedArrayDestroy)(mipmap),
           DRIVER(cuArray3DGetDescriptor)(&asked, arrays[0]));
}

static int made(CUDA_ARRAY3D_DESCRIPTOR asked)
{
    CUarray array = nullptr;
    int status = DRIVER(cuArray3DCreate)(&array, &asked);
    if (status == 0) GOOD(DRIVER(cuArrayDestroy)(array));
    return status;
}

static void refusals()
{
    const CUarray_format single = CU_AD_FORMAT_FLOAT;
    printf("empty %d, three channels %d, no format %d, flags %d\n", made({0, 1, 0, single, 1, 0}),
           made({8, 8, 0, single, 3, 0}), made({8, 8, 0, (CUarray_format)0x77, 1, 0}),
           made({8, 8, 0, single, 1, 0x1000}));
    printf("wide %d, tall %d, deep %d, layers %d, cube %d, huge %d\n",
           made({200000, 0, 0, single, 1, 0}), made({131072, 70000, 0, single, 4, 0}),
           made({16384, 16384, 20000, single, 1, 0}),
           made({1000, 1000, 5000, single, 1, CUDA_ARRAY3D_LAYERED}),
           made({64, 64, 5, single, 1, CUDA_ARRAY3D_CUBEMAP}),
           made({(size_t)1 << 62, 8, 0, single, 1, 0}));
    printf("sparse %d, deferred %d, a volume without rows %d\n",
           made({8, 8, 0, single, 1, CUDA_ARRAY3D_SPARSE}),
           made({8, 8, 0, single, 1, CUDA_ARRAY3D_DEFERRED_MAPPING}),
           made({8, 0, 8, single, 1, 0}));
    CUDA_ARRAY3D_DESCRIPTOR asked = {8, 8, 0, single, 1, 0}, found = {};
    CUarray array, none = nullptr;
    CUDA_ARRAY_MEMORY_REQUIREMENTS needs;
    printf("null %d %d\n", DRIVER(cuArray3DCreate)(nullptr, &asked),
           DRIVER(cuArray3DCreate)(&array, nullptr));
    GOOD(DRIVER(cuArray3DCreate)(&array, &asked));
    printf("requirements %d %d, plane %d, nowhere %d\n",
           DRIVER(cuArrayGetMemoryRequirements)(&needs, array, 0),
           DRIVER(cuArrayGetMemoryRequirements)(&needs, array, 99),
           DRIVER(cuArrayGetPlane)(&none, array, 0),
           DRIVER(cuArray3DGetDescriptor)(nullptr, array));
    CUmipmappedArray mipmap = reinterpret_cast<CUmipmappedArray>(array);
    printf("no mipmap %d %d, no level %d\n", DRIVER(cuMipmappedArrayDestroy)(mipmap),
           DRIVER(cuMipmappedArrayGetLevel)(&none, mipmap, 0),
           DRIVER(cuMipmappedArrayGetLevel)(&none, nullptr, 0));
    Bytes host(1000);
    CUDA_MEMCPY3D copy = copy_of(16, 4, 1);
    copy.srcMemoryType = CU_MEMORYTYPE_HOST;
    copy.srcHost = host.data();
    copy.srcPitch = 16;
    copy.dstMemoryType = CU_MEMORYTYPE_ARRAY;
    copy.dstArray = array;
    auto changed = [&](auto change) {
        CUDA_MEMCPY3D other = copy;
        change(other);
        int status = DRIVER(cuMemcpy3D)(&other);
        int with_stream = DRIVER(cuMemcpy3DAsync)(&other, nullptr);
        return status == with_stream ? status : -1;
    };
    printf("good %d, x %d, y %d, z %d, width %d, height %d, depth %d, level %d, none %d\n",
           changed([](auto &) {}), changed([](auto &c) { c.dstXInBytes = 20; }),
           changed([](auto &c) { c.dstY = 5; }), changed([](auto &c) { c.dstZ = 1; }),
           changed([](auto &c) { c.WidthInBytes = 18; }), changed([](auto &c) { c.Height = 9; }),
           changed([](auto &c) { c.Depth = 2, c.srcHeight = 4; }),
           changed([](auto &c) { c.dstLOD = 1; }), changed([](auto &c) { c.dstArray = nullptr; }));
    GOOD(DRIVER(cuArrayDestroy)(array));
    printf("twice %d, described %d, copied %d\n", DRIVER(cuArrayDestroy)(array),
           DRIVER(cuArray3DGetDescriptor)(&found, array), changed([](auto &) {}));
}

static long available()
{
    size_t free, total;
    GOOD(DRIVER(cuMemGetInfo)(&free, &total));
    return (long)(free >> 20);
}

static void shares()
{
    long before = available();
    CUDA_ARRAY3D_DESCRIPTOR asked = {1024, 1024, 0, CU_AD_FORMAT_FLOAT, 4, 0};
    CUarray array, more;
    GOOD(DRIVER(cuArray3DCreate)(&array, &asked));
    printf("an array takes %ld MiB\n", before - available());
    CUmipmappedArray mipmap;
    GOOD(DRIVER(cuMipmappedArrayCreate)(&mipmap, &asked, 2));
    printf("and one with a second level: %ld MiB\n", before - available());
    CUDA_ARRAY3D_DESCRIPTOR large = {16384, 16384, 0, CU_AD_FORMAT_FLOAT, 4, 0};
    printf("too large: %d, with levels: %d\n", DRIVER(cuArray3DCreate)(&more, &large),
           DRIVER(cuMipmappedArrayCreate)(&mipmap, &large, 3));
    printf("after that: %ld MiB\n", before - available());
    GOOD(DRIVER(cuMipmappedArrayDestroy)(mipmap));
    GOOD(DRIVER(cuArrayDestroy)(array));
    printf("given back: %ld MiB\n", before - available());
    CUcontext context, current;
    GOOD(DRIVER(cuCtxGetCurrent)(&current));
    void *create = nullptr;
    MUST(cudaGetDriverEntryPointByVersion("cuCtxCreate", &create, 11000, cudaEnableDefault,
                                          nullptr));
    GOOD(reinterpret_cast<CUresult (*)(CUcontext *, unsigned, int)>(create)(&context, 0, 0));
    GOOD(DRIVER(cuArray3DCreate)(&array, &asked));
    GOOD(DRIVER(cuMipmappedArrayCreate)(&mipmap, &asked, 1));
    printf("in another context: %ld MiB\n", before - available());
    GOOD(DRIVER(cuCtxDestroy)(context));
    GOOD(DRIVER(cuCtxSetCurrent)(current));
    printf("and with its end: %ld MiB, %d %d\n", before - available(),
           DRIVER(cuArrayDestroy)(array), DRIVER(cuMipmappedArrayDestroy)(mipmap));
}

int main()
{
    MUST(cudaFree(nullptr));
    rounds();
    rows();
    levels();
    refusals();
    shares();
    return failures != 0;
}
