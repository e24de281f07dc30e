// tex_rotate, tex_fetch, surf_fill: images through objects.
#include "check.h"
#include "textures.cu"

// One object for what is left of its scope.
struct Texture {
    cudaTextureObject_t handle = 0;
    Texture(const cudaResourceDesc &resource, const cudaTextureDesc &how)
    {
        MUST(cudaCreateTextureObject(&handle, &resource, &how, nullptr));
    }
    ~Texture() { MUST(cudaDestroyTextureObject(handle)); }
};

static cudaArray_t array_of(const void *values, cudaChannelFormatDesc texel, int w, int h,
                            unsigned flags)
{
    cudaArray_t array;
    MUST(cudaMallocArray(&array, &texel, w, h, flags));
    MUST(cudaMemcpy2DToArray(array, 0, 0, values, w * 4, w * 4, h, cudaMemcpyHostToDevice));
    return array;
}

static void rotate()
{
    Check check("tex_rotate");
    const int w = 64, h = 32;
    auto values = input(51, w * h);
    cudaArray_t array = array_of(values.data(), cudaCreateChannelDesc<float>(), w, h, 0);
    cudaResourceDesc resource = {};
    resource.resType = cudaResourceTypeArray;
    resource.res.array.array = array;
    cudaTextureDesc how = {};
    how.addressMode[0] = how.addressMode[1] = cudaAddressModeWrap;
    how.normalizedCoords = 1;
    auto at = [&](int x, int y) { return values[(y & (h - 1)) * w + (x & (w - 1))]; };
    for (auto filter : {cudaFilterModePoint, cudaFilterModeLinear})
        for (int turns = 0; turns < 2; ++turns) {
            how.filterMode = filter;
            Texture texture(resource, how);
            std::vector<float> expected(w * h);
            for (int i = 0; i < w * h; ++i) {
                // A half turn about the middle; coordinates are corners of texels, exactly.
                int x = turns ? w - i % w : i % w, y = turns ? h - i / w : i / w;
                float around = at(x, y) + at(x - 1, y) + at(x, y - 1) + at(x - 1, y - 1);
                expected[i] = filter == cudaFilterModePoint ? at(x, y) : around / 4;
            }
            Device<float> out(w * h);
            tex_rotate<<<dim3(w / 16, h / 16), dim3(16, 16)>>>(texture.handle, out.data(), w, h, 0,
                                                               turns ? -1.0f : 1.0f);
            finished();
            check.exact(out.read(), expected);
        }
    MUST(cudaFreeArray(array));
}

static void fetch()
{
    Check check("tex_fetch");
    for (int n : {1, 33, 1000}) {
        auto values = words(52, 4 * n), expected = values;
        Device<unsigned> in(values), out(4 * n);
        cudaResourceDesc resource = {};
        resource.resType = cudaResourceTypeLinear;
        resource.res.linear.devPtr = in.data();
        resource.res.linear.desc = cudaCreateChannelDesc<int4>();
        resource.res.linear.sizeInBytes = 16 * n;
        Texture texture(resource, cudaTextureDesc{});
        tex_fetch<<<blocks_of(n, 128), 128>>>(texture.handle, reinterpret_cast<int4 *>(out.data()),
                                              n);
        finished();
        check.exact(out.read(), expected);
    }
}

static void fill()
{
    Check check("surf_fill");
    const int shapes[][2] = {{16, 16}, {33, 7}};
    for (auto &shape : shapes) {
        int w = shape[0], h = shape[1];
        auto values = words(53, w * h), found = values;
        cudaArray_t array = array_of(values.data(), cudaCreateChannelDesc<int>(), w, h,
                                     cudaArraySurfaceLoadStore);
        cudaResourceDesc resource = {};
        resource.resType = cudaResourceTypeArray;
        resource.res.array.array = array;
        cudaSurfaceObject_t surface;
        MUST(cudaCreateSurfaceObject(&surface, &resource));
        surf_fill<<<dim3(blocks_of(w, 16), blocks_of(h, 8)), dim3(16, 8)>>>(surface, w, h);
        finished();
        MUST(cudaMemcpy2DFromArray(found.data(), w * 4, array, 0, 0, w * 4, h,
                                   cudaMemcpyDeviceToHost));
        for (int i = 0; i < w * h; ++i) values[i] += i % w * (i / w);
        check.exact(found, values);
        MUST(cudaDestroySurfaceObject(surface));
        MUST(cudaFreeArray(array));
    }
}

int main()
{
    rotate();
    fetch();
    fill();
    return failed != 0;
}
