// Textures of arrays, linear and pitched memory, and surfaces; every value compared with a CPU that
// follows the formulas of the CUDA C++ Programming Guide, "Texture Fetching".
#include "proof.h"

#include <cmath>

// An array and what is in it.
template <class T> struct Filled {
    cudaArray_t array;
    std::vector<T> values;
    int width, height;
};

template <class T> static Filled<T> filled(int width, int height, std::vector<T> values)
{
    Filled<T> made{nullptr, values, width, height};
    cudaChannelFormatDesc format = cudaCreateChannelDesc<T>();
    MUST(cudaMallocArray(&made.array, &format, width, height, cudaArraySurfaceLoadStore));
    size_t row = width * sizeof(T);
    MUST(cudaMemcpy2DToArray(made.array, 0, 0, values.data(), row, row, height,
                             cudaMemcpyHostToDevice));
    return made;
}

static cudaTextureObject_t texture(cudaArray_t array, cudaTextureDesc how)
{
    cudaResourceDesc what = {};
    what.resType = cudaResourceTypeArray;
    what.res.array.array = array;
    cudaTextureObject_t object;
    MUST(cudaCreateTextureObject(&object, &what, &how, nullptr));
    return object;
}

static cudaTextureDesc sampling(cudaTextureAddressMode mode, cudaTextureFilterMode filter,
                                cudaTextureReadMode read, bool normalized)
{
    cudaTextureDesc how = {};
    for (int i = 0; i < 3; ++i) how.addressMode[i] = mode;
    how.filterMode = filter;
    how.readMode = read;
    how.normalizedCoords = normalized;
    how.borderColor[0] = 0.25f;
    return how;
}

__global__ void sample_2d(cudaTextureObject_t t, const float2 *at, float *out, int len)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < len) out[i] = tex2D<float>(t, at[i].x, at[i].y);
}

// The index that an index outside means, or -1 for the border.
static int outside(cudaTextureAddressMode mode, bool normalized, int i, int len)
{
    if (i >= 0 && i < len) return i;
    if (mode == cudaAddressModeBorder) return -1;
    if (normalized && mode == cudaAddressModeWrap) return ((i % len) + len) % len;
    if (normalized && mode == cudaAddressModeMirror) {
        int twice = ((i % (2 * len)) + 2 * len) % (2 * len);
        return twice < len ? twice : 2 * len - 1 - twice;
    }
    return i < 0 ? 0 : len - 1;
}

template <class T, class Value>
static float expect(const Filled<T> &from, const cudaTextureDesc &how, float x, float y,
                    Value value)
{
    if (how.normalizedCoords) {
        x *= from.width;
        y *= from.height;
    }
    auto at = [&](int i, int j) {
        i = outside(how.addressMode[0], how.normalizedCoords, i, from.width);
        j = outside(how.addressMode[1], how.normalizedCoords, j, from.height);
        if (i < 0 || j < 0) return how.borderColor[0];
        return static_cast<float>(value(from.values[(size_t)j * from.width + i]));
    };
    if (how.filterMode == cudaFilterModePoint)
        return at(static_cast<int>(floorf(x)), static_cast<int>(floorf(y)));
    x -= 0.5f;
    y -= 0.5f;
    int i = static_cast<int>(floorf(x)), j = static_cast<int>(floorf(y));
    float a = floorf((x - i) * 256 + 0.5f) / 256, b = floorf((y - j) * 256 + 0.5f) / 256;
    return (1 - a) * (1 - b) * at(i, j) + a * (1 - b) * at(i + 1, j) +
           (1 - a) * b * at(i, j + 1) + a * b * at(i + 1, j + 1);
}

// Coordinates in and around the image, multiples of 1/16 of a texel: weights are then exact.
static std::vector<float2> spots(int width, int height, bool normalized, size_t len)
{
    std::vector<float2> at(len);
    for (size_t i = 0; i < len; ++i) {
        uint32_t n = static_cast<uint32_t>(i);
        at[i].x = (static_cast<int>(mixed(1, n) % (64 * width)) - 24 * width) / 16.0f;
        at[i].y = (static_cast<int>(mixed(2, n) % (64 * height)) - 24 * height) / 16.0f;
        if (normalized) {
            at[i].x /= width;
            at[i].y /= height;
        }
    }
    return at;
}

template <class T, class Value>
static int sampled(const char *what, const std::vector<T> &values, cudaTextureReadMode read,
                   Value value)
{
    // Powers of two, so that normalised coordinates are exact.
    Filled<T> from = filled(16, 8, values);
    int wrong = 0;
    const cudaTextureAddressMode modes[] = {cudaAddressModeWrap, cudaAddressModeClamp,
                                            cudaAddressModeMirror, cudaAddressModeBorder};
    for (cudaTextureAddressMode mode : modes)
        for (int filter = 0; filter < 2; ++filter)
            for (int normalized = 0; normalized < 2; ++normalized) {
                cudaTextureDesc how = sampling(
                    mode, static_cast<cudaTextureFilterMode>(filter), read, normalized);
                cudaTextureObject_t object = texture(from.array, how);
                std::vector<float2> at = spots(16, 8, normalized, 500);
                std::vector<float> expected(at.size());
                for (size_t i = 0; i < at.size(); ++i)
                    expected[i] = expect(from, how, at[i].x, at[i].y, value);
                Device<float2> places(at);
                Device<float> found(at.size());
                sample_2d<<<4, 128>>>(object, places.data(), found.data(), 500);
                MUST(cudaGetLastError());
                std::vector<float> got = found.read();
                for (size_t i = 0; i < got.size(); ++i)
                    if (fabsf(got[i] - expected[i]) <= 1e-5f) got[i] = expected[i];
                char name[80];
                snprintf(name, sizeof name, "%s mode=%d filter=%d normalized=%d", what,
                         static_cast<int>(mode), filter, normalized);
                wrong += report(name, got, expected);
                MUST(cudaDestroyTextureObject(object));
            }
    MUST(cudaFreeArray(from.array));
    return wrong;
}

__global__ void fetch_1d(cudaTextureObject_t t, int4 *out, int len)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < len) out[i] = tex1Dfetch<int4>(t, i - 8);
}

static int linear()
{
    const int len = 300;
    std::vector<int4> values(len);
    for (int i = 0; i < len; ++i) values[i] = make_int4(i, -i, i * i, 7 - i);
    Device<int4> memory(values), found(len + 16);
    cudaResourceDesc what = {};
    what.resType = cudaResourceTypeLinear;
    what.res.linear.devPtr = memory.data();
    what.res.linear.desc = cudaCreateChannelDesc<int4>();
    what.res.linear.sizeInBytes = len * sizeof(int4);
    cudaTextureDesc how = {};
    cudaTextureObject_t object;
    MUST(cudaCreateTextureObject(&object, &what, &how, nullptr));
    fetch_1d<<<3, 128>>>(object, found.data(), len + 16);
    std::vector<int4> got = found.read();
    std::vector<int> flat, expected;
    for (int i = 0; i < len + 16; ++i) {
        bool inside = i >= 8 && i < len + 8;
        int4 value = inside ? values[i - 8] : make_int4(0, 0, 0, 0);
        for (int part : {got[i].x, got[i].y, got[i].z, got[i].w}) flat.push_back(part);
        for (int part : {value.x, value.y, value.z, value.w}) expected.push_back(part);
    }
    MUST(cudaDestroyTextureObject(object));
    return report("linear", flat, expected);
}

__global__ void gather_pitched(cudaTextureObject_t t, float *out, int width, int height)
{
    int x = threadIdx.x, y = blockIdx.x;
    float4 four = tex2Dgather<float4>(t, x + 1.0f, y + 1.0f, 0);
    out[y * width + x] = four.x + 100 * four.y + 10000 * four.z + 1000000 * four.w +
                         tex2D<float>(t, x + 0.5f, y + 0.5f) / 8;
}

static int pitched()
{
    const int width = 20, height = 6;
    std::vector<float> values(width * height), expected(values.size());
    for (size_t i = 0; i < values.size(); ++i) values[i] = mixed(3, i) % 50;
    float *memory;
    size_t pitch, row = width * sizeof(float);
    MUST(cudaMallocPitch(&memory, &pitch, row, height));
    MUST(cudaMemset2D(memory, pitch, 0, row, height));
    MUST(cudaMemcpy2D(memory, pitch, values.data(), row, row, height, cudaMemcpyHostToDevice));
    cudaResourceDesc what = {};
    what.resType = cudaResourceTypePitch2D;
    what.res.pitch2D.devPtr = memory;
    what.res.pitch2D.desc = cudaCreateChannelDesc<float>();
    what.res.pitch2D.width = width;
    what.res.pitch2D.height = height;
    what.res.pitch2D.pitchInBytes = pitch;
    cudaTextureDesc how = {};
    how.addressMode[0] = how.addressMode[1] = cudaAddressModeClamp;
    cudaTextureObject_t object;
    MUST(cudaCreateTextureObject(&object, &what, &how, nullptr));
    Device<float> found(values.size());
    gather_pitched<<<height, width>>>(object, found.data(), width, height);
    auto at = [&](int x, int y) {
        return values[(y < height ? y : height - 1) * width + (x < width ? x : width - 1)];
    };
    for (int y = 0; y < height; ++y)
        for (int x = 0; x < width; ++x)
            expected[y * width + x] = at(x, y + 1) + 100 * at(x + 1, y + 1) +
                                      10000 * at(x + 1, y) + 1000000 * at(x, y) + at(x, y) / 8;
    MUST(cudaDestroyTextureObject(object));
    MUST(cudaFree(memory));
    return report("pitched", found.read(), expected);
}

__global__ void through_surface(cudaSurfaceObject_t s, int *seen, int width, int height)
{
    int x = threadIdx.x, y = blockIdx.x;
    int value;
    surf2Dread(&value, s, x * 4, y);
    surf2Dwrite(value + x * y, s, x * 4, y);
    // Columns outside: of the row's last texel, and nothing.
    int beside, nothing;
    surf2Dread(&beside, s, (x + width) * 4, y, cudaBoundaryModeClamp);
    surf2Dread(&nothing, s, x * 4, y - height, cudaBoundaryModeZero);
    surf2Dwrite(value, s, x * 4, y + height, cudaBoundaryModeZero);
    seen[y * width + x] = (x == width - 1 ? 0 : (beside != 0)) * 2 + (nothing != 0);
}

static int surface()
{
    const int width = 30, height = 7;
    std::vector<int> values(width * height), expected(values.size()), flags(values.size());
    for (size_t i = 0; i < values.size(); ++i) values[i] = 1 + mixed(5, i) % 100000;
    Filled<int> from = filled(width, height, values);
    cudaResourceDesc what = {};
    what.resType = cudaResourceTypeArray;
    what.res.array.array = from.array;
    cudaSurfaceObject_t object;
    MUST(cudaCreateSurfaceObject(&object, &what));
    Device<int> seen(values.size());
    through_surface<<<height, width>>>(object, seen.data(), width, height);
    MUST(cudaGetLastError());
    std::vector<int> got(values.size());
    size_t row = width * sizeof(int);
    MUST(cudaMemcpy2DFromArray(got.data(), row, from.array, 0, 0, row, height,
                               cudaMemcpyDeviceToHost));
    for (int y = 0; y < height; ++y)
        for (int x = 0; x < width; ++x) {
            expected[y * width + x] = values[y * width + x] + x * y;
            flags[y * width + x] = x == width - 1 ? 0 : 2;
        }
    int wrong = report("surface", got, expected);
    wrong += report("surface bounds", seen.read(), flags);
    MUST(cudaDestroySurfaceObject(object));
    MUST(cudaFreeArray(from.array));
    return wrong;
}

__global__ void layers_and_depths(cudaTextureObject_t layered, cudaTextureObject_t deep,
                                  float *out, int width)
{
    int x = threadIdx.x, y = blockIdx.x, z = blockIdx.y;
    int at = (z * gridDim.x + y) * width + x;
    out[at] = tex2DLayered<float>(layered, x + 0.5f, y + 0.5f, z) +
              1000 * tex3D<float>(deep, x + 0.5f, y + 0.5f, z + 1.0f);
}

static cudaArray_t solid(cudaExtent extent, unsigned flags, const std::vector<float> &values)
{
    cudaArray_t array;
    cudaChannelFormatDesc format = cudaCreateChannelDesc<float>();
    MUST(cudaMalloc3DArray(&array, &format, extent, flags));
    cudaMemcpy3DParms copy = {};
    copy.srcPtr = make_cudaPitchedPtr(const_cast<float *>(values.data()),
                                      extent.width * sizeof(float), extent.width, extent.height);
    copy.dstArray = array;
    copy.extent = extent;
    copy.kind = cudaMemcpyHostToDevice;
    MUST(cudaMemcpy3D(&copy));
    return array;
}

static int solids()
{
    const int width = 9, height = 5, depth = 4;
    std::vector<float> values(width * height * depth), expected(values.size());
    for (size_t i = 0; i < values.size(); ++i) values[i] = mixed(6, i) % 64;
    cudaExtent extent = make_cudaExtent(width, height, depth);
    cudaArray_t layered = solid(extent, cudaArrayLayered, values), deep = solid(extent, 0, values);
    cudaTextureDesc nearest =
        sampling(cudaAddressModeClamp, cudaFilterModePoint, cudaReadModeElementType, false);
    cudaTextureDesc blended =
        sampling(cudaAddressModeClamp, cudaFilterModeLinear, cudaReadModeElementType, false);
    cudaTextureObject_t first = texture(layered, nearest), second = texture(deep, blended);
    Device<float> found(values.size());
    layers_and_depths<<<dim3(height, depth), width>>>(first, second, found.data(), width);
    for (int z = 0; z < depth; ++z)
        for (int i = 0; i < width * height; ++i) {
            float here = values[z * width * height + i];
            float next = values[(z + 1 < depth ? z + 1 : z) * width * height + i];
            expected[z * width * height + i] = here + 1000 * (here / 2 + next / 2);
        }
    MUST(cudaDestroyTextureObject(first));
    MUST(cudaDestroyTextureObject(second));
    MUST(cudaFreeArray(layered));
    MUST(cudaFreeArray(deep));
    return report("layers and depths", found.read(), expected);
}

int main()
{
    std::vector<unsigned char> bytes(16 * 8);
    std::vector<short> shorts(bytes.size());
    for (size_t i = 0; i < bytes.size(); ++i) {
        bytes[i] = mixed(4, i) % 256;
        shorts[i] = static_cast<short>(mixed(8, i));
    }
    int wrong = sampled("float", input(9, 16 * 8), cudaReadModeElementType,
                        [](float value) { return value; });
    wrong += sampled("unorm8", bytes, cudaReadModeNormalizedFloat,
                     [](unsigned char value) { return value / 255.0f; });
    wrong += sampled("snorm16", shorts, cudaReadModeNormalizedFloat,
                     [](short value) { return fmaxf(value / 32767.0f, -1.0f); });
    wrong += linear();
    wrong += pitched();
    wrong += surface();
    wrong += solids();
    return wrong != 0;
}
