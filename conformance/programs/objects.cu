// What texture and surface objects say that they were made of, with levels and views; what is
// refused; objects that end with their context; and marks on memory.
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

static int failures;

static void expect(const char *what, bool is_so)
{
    printf("%s: %s\n", what, is_so ? "yes" : "no");
    failures += !is_so;
}

static CUDA_TEXTURE_DESC reading()
{
    CUDA_TEXTURE_DESC how = {};
    how.addressMode[0] = CU_TR_ADDRESS_MODE_WRAP;
    how.addressMode[1] = CU_TR_ADDRESS_MODE_BORDER;
    how.addressMode[2] = CU_TR_ADDRESS_MODE_CLAMP;
    how.filterMode = CU_TR_FILTER_MODE_LINEAR;
    how.flags = CU_TRSF_NORMALIZED_COORDINATES;
    how.maxAnisotropy = 4;
    how.mipmapFilterMode = CU_TR_FILTER_MODE_POINT;
    how.mipmapLevelBias = 0.5f;
    how.minMipmapLevelClamp = 0;
    how.maxMipmapLevelClamp = 2;
    how.borderColor[2] = 0.75f;
    return how;
}

__global__ void levels(cudaTextureObject_t t, float *out)
{
    int i = threadIdx.x;
    out[i] = tex2DLod<float>(t, 0.5f, 0.5f, static_cast<float>(i));
}

// Every level is filled with its number, and read through an object.
static void mipmaps()
{
    CUDA_ARRAY3D_DESCRIPTOR asked = {32, 32, 0, CU_AD_FORMAT_FLOAT, 1, 0};
    CUmipmappedArray mipmap;
    GOOD(DRIVER(cuMipmappedArrayCreate)(&mipmap, &asked, 4));
    for (unsigned level = 0; level < 4; ++level) {
        CUarray array;
        GOOD(DRIVER(cuMipmappedArrayGetLevel)(&array, mipmap, level));
        size_t side = 32 >> level;
        std::vector<float> values(side * side, 10.0f + level);
        CUDA_MEMCPY2D in = {};
        in.srcMemoryType = CU_MEMORYTYPE_HOST;
        in.srcHost = values.data();
        in.dstMemoryType = CU_MEMORYTYPE_ARRAY;
        in.dstArray = array;
        in.WidthInBytes = side * 4;
        in.srcPitch = side * 4;
        in.Height = side;
        GOOD(DRIVER(cuMemcpy2D)(&in));
    }
    CUDA_RESOURCE_DESC what = {};
    what.resType = CU_RESOURCE_TYPE_MIPMAPPED_ARRAY;
    what.res.mipmap.hMipmappedArray = mipmap;
    CUDA_TEXTURE_DESC how = reading();
    how.mipmapLevelBias = 0;
    how.maxMipmapLevelClamp = 3;
    CUDA_RESOURCE_VIEW_DESC view = {};
    view.format = CU_RES_VIEW_FORMAT_FLOAT_1X32;
    view.width = view.height = 16;
    view.firstMipmapLevel = 1;
    view.lastMipmapLevel = 3;
    CUtexObject whole, part;
    GOOD(DRIVER(cuTexObjectCreate)(&whole, &what, &how, nullptr));
    GOOD(DRIVER(cuTexObjectCreate)(&part, &what, &how, &view));
    Device<float> out(4);
    levels<<<1, 4>>>(whole, out.data());
    failures += report("levels", out.read(), {10, 11, 12, 13});
    levels<<<1, 4>>>(part, out.data());
    failures += report("levels of a view", out.read(), {11, 12, 13, 13});
    CUDA_RESOURCE_DESC found = {};
    CUDA_RESOURCE_VIEW_DESC seen = {};
    GOOD(DRIVER(cuTexObjectGetResourceDesc)(&found, part));
    GOOD(DRIVER(cuTexObjectGetResourceViewDesc)(&seen, part));
    expect("the mipmapped array is the one that was given",
           found.resType == what.resType && found.res.mipmap.hMipmappedArray == mipmap);
    expect("the view is the one that was given", memcmp(&seen, &view, sizeof view) == 0);
    printf("no view: %d\n", DRIVER(cuTexObjectGetResourceViewDesc)(&seen, whole));
    GOOD(DRIVER(cuTexObjectDestroy)(whole));
    GOOD(DRIVER(cuTexObjectDestroy)(part));
    GOOD(DRIVER(cuMipmappedArrayDestroy)(mipmap));
}

static void objects()
{
    CUDA_ARRAY3D_DESCRIPTOR asked = {8, 8, 0, CU_AD_FORMAT_FLOAT, 1, CUDA_ARRAY3D_SURFACE_LDST};
    CUarray array;
    GOOD(DRIVER(cuArray3DCreate)(&array, &asked));
    CUDA_RESOURCE_DESC what = {}, found = {};
    what.resType = CU_RESOURCE_TYPE_ARRAY;
    what.res.array.hArray = array;
    CUDA_TEXTURE_DESC how = reading(), read = {};
    CUtexObject texture;
    CUsurfObject surface;
    GOOD(DRIVER(cuTexObjectCreate)(&texture, &what, &how, nullptr));
    GOOD(DRIVER(cuSurfObjectCreate)(&surface, &what));
    GOOD(DRIVER(cuTexObjectGetResourceDesc)(&found, texture));
    expect("the array is the one that was given", found.res.array.hArray == array);
    GOOD(DRIVER(cuTexObjectGetTextureDesc)(&read, texture));
    expect("it is read as was said", memcmp(&read, &how, sizeof how) == 0);
    found = {};
    GOOD(DRIVER(cuSurfObjectGetResourceDesc)(&found, surface));
    expect("and so of a surface", found.res.array.hArray == array);
    auto made = [&](auto change) {
        CUDA_RESOURCE_DESC other = what;
        CUDA_TEXTURE_DESC way = how;
        change(other, way);
        CUtexObject object;
        int status = DRIVER(cuTexObjectCreate)(&object, &other, &way, nullptr);
        if (status == 0) GOOD(DRIVER(cuTexObjectDestroy)(object));
        return status;
    };
    printf("no array %d, no mipmap %d, flags %d, kind %d, filter %d, null %d %d\n",
           made([](auto &r, auto &) { r.res.array.hArray = nullptr; }),
           made([](auto &r, auto &) { r.resType = CU_RESOURCE_TYPE_MIPMAPPED_ARRAY; }),
           made([](auto &r, auto &) { r.flags = 1; }),
           made([](auto &r, auto &) { r.resType = (CUresourcetype)7; }),
           made([](auto &, auto &h) { h.filterMode = (CUfilter_mode)9; }),
           DRIVER(cuTexObjectCreate)(nullptr, &what, &how, nullptr),
           DRIVER(cuTexObjectCreate)(&texture, &what, nullptr, nullptr));
    float host[64] = {};
    CUDA_RESOURCE_DESC linear = {};
    linear.resType = CU_RESOURCE_TYPE_LINEAR;
    linear.res.linear.devPtr = (CUdeviceptr)host;
    linear.res.linear.format = CU_AD_FORMAT_FLOAT;
    linear.res.linear.numChannels = 1;
    linear.res.linear.sizeInBytes = sizeof host;
    CUtexObject other;
    CUDA_TEXTURE_DESC plain = {};
    printf("host memory %d", DRIVER(cuTexObjectCreate)(&other, &linear, &plain, nullptr));
    Device<float> memory(64);
    linear.res.linear.devPtr = (CUdeviceptr)memory.data();
    printf(", device memory %d", DRIVER(cuTexObjectCreate)(&other, &linear, &plain, nullptr));
    linear.res.linear.sizeInBytes = (size_t)1 << 40;
    printf(", beyond it %d\n", DRIVER(cuTexObjectCreate)(&other, &linear, &plain, nullptr));
    printf("a surface of memory %d\n", DRIVER(cuSurfObjectCreate)(&surface, &linear));
    size_t width = 0;
    int status = DRIVER(cuDeviceGetTexture1DLinearMaxWidth)(&width, CU_AD_FORMAT_FLOAT, 4, 0);
    printf("widest %d %zu, %d %d\n", status, width,
           DRIVER(cuDeviceGetTexture1DLinearMaxWidth)(&width, CU_AD_FORMAT_FLOAT, 3, 0),
           DRIVER(cuDeviceGetTexture1DLinearMaxWidth)(&width, CU_AD_FORMAT_FLOAT, 4, 77));
    GOOD(DRIVER(cuTexObjectDestroy)(texture));
    GOOD(DRIVER(cuSurfObjectDestroy)(surface));
    printf("twice %d %d, described %d %d %d\n", DRIVER(cuTexObjectDestroy)(texture),
           DRIVER(cuSurfObjectDestroy)(surface),
           DRIVER(cuTexObjectGetResourceDesc)(&found, texture),
           DRIVER(cuTexObjectGetTextureDesc)(&read, texture),
           DRIVER(cuSurfObjectGetResourceDesc)(&found, surface));
    printf("made up %d %d\n", DRIVER(cuTexObjectDestroy)(12345),
           DRIVER(cuSurfObjectDestroy)(12345));
    GOOD(DRIVER(cuArrayDestroy)(array));
    printf("of an array that is gone %d %d\n",
           DRIVER(cuTexObjectCreate)(&other, &what, &how, nullptr),
           DRIVER(cuSurfObjectCreate)(&surface, &what));
}

static void ended()
{
    CUcontext context, current;
    GOOD(DRIVER(cuCtxGetCurrent)(&current));
    void *create = nullptr;
    MUST(cudaGetDriverEntryPointByVersion("cuCtxCreate", &create, 11000, cudaEnableDefault,
                                          nullptr));
    GOOD(reinterpret_cast<CUresult (*)(CUcontext *, unsigned, int)>(create)(&context, 0, 0));
    CUDA_ARRAY_DESCRIPTOR asked = {8, 8, CU_AD_FORMAT_FLOAT, 1};
    CUarray array;
    GOOD(DRIVER(cuArrayCreate)(&array, &asked));
    CUDA_RESOURCE_DESC what = {};
    what.resType = CU_RESOURCE_TYPE_ARRAY;
    what.res.array.hArray = array;
    CUDA_TEXTURE_DESC how = reading();
    CUtexObject texture;
    GOOD(DRIVER(cuTexObjectCreate)(&texture, &what, &how, nullptr));
    GOOD(DRIVER(cuCtxDestroy)(context));
    printf("no context: %d", DRIVER(cuTexObjectDestroy)(texture));
    GOOD(DRIVER(cuCtxSetCurrent)(current));
    printf(", its context is gone: %d\n", DRIVER(cuTexObjectDestroy)(texture));
}

static void marks()
{
    Device<float> memory(100), other(100);
    CUdeviceptr at = (CUdeviceptr)(memory.data() + 7);
    auto is_marked = [](CUdeviceptr at) {
        unsigned value = 9;
        int status = DRIVER(cuPointerGetAttribute)(&value, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, at);
        return status ? -status : (int)(value & 1);
    };
    unsigned on = 1, off = 0;
    printf("marked %d", is_marked(at));
    GOOD(DRIVER(cuPointerSetAttribute)(&on, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, at));
    printf(" %d, another %d", is_marked(at + 40), is_marked((CUdeviceptr)other.data()));
    GOOD(DRIVER(cuPointerSetAttribute)(&off, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, at));
    printf(", no more %d\n", is_marked(at));
    printf("refused %d %d %d\n",
           DRIVER(cuPointerSetAttribute)(nullptr, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, at),
           DRIVER(cuPointerSetAttribute)(&on, CU_POINTER_ATTRIBUTE_CONTEXT, at),
           DRIVER(cuPointerSetAttribute)(&on, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, 0x1234));
}

int main()
{
    MUST(cudaFree(nullptr));
    mipmaps();
    objects();
    ended();
    marks();
    return failures != 0;
}
