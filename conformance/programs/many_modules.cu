// Many modules at a time, made from text, each with a kernel and a variable of the same name; half
// of them unloaded, and loaded again from another text.
#include "proof.h"

#include <string>

#include <cuda.h>
#include <dlfcn.h>

// A kernel that adds to every value a constant of the module and a variable of it.
static std::string text_of(int constant)
{
    return ".version 7.0\n.target sm_70\n.address_size 64\n"
           ".visible .global .align 4 .u32 bias = 7;\n"
           ".visible .entry add(.param .u64 values)\n{\n"
           ".reg .b32 %r<5>;\n.reg .b64 %rd<4>;\n"
           "ld.param.u64 %rd1, [values];\ncvta.to.global.u64 %rd1, %rd1;\n"
           "mov.u32 %r1, %tid.x;\nmul.wide.u32 %rd2, %r1, 4;\nadd.s64 %rd3, %rd1, %rd2;\n"
           "ld.global.u32 %r2, [%rd3];\nld.global.u32 %r3, [bias];\nadd.u32 %r2, %r2, %r3;\n"
           "add.u32 %r2, %r2, " +
           std::to_string(constant) + ";\nst.global.u32 [%rd3], %r2;\nret;\n}\n";
}

template <class T> static T *entry(const char *name)
{
    static void *library = dlopen("libcuda.so.1", RTLD_NOW);
    void *found = library ? dlsym(library, name) : nullptr;
    if (!found) exit(3);
    return reinterpret_cast<T *>(found);
}

#define MUST_DRIVER(call)                                                                          \
    do {                                                                                           \
        CUresult must_status = (call);                                                             \
        if (must_status != CUDA_SUCCESS) {                                                         \
            fprintf(stderr, "%s:%d: %s: %d\n", __FILE__, __LINE__, #call, must_status);            \
            exit(3);                                                                               \
        }                                                                                          \
    } while (0)

int main()
{
    const int modules = 48, len = 64;
    auto load = entry<decltype(cuModuleLoadData)>("cuModuleLoadData");
    auto unload = entry<decltype(cuModuleUnload)>("cuModuleUnload");
    auto function = entry<decltype(cuModuleGetFunction)>("cuModuleGetFunction");
    auto global = entry<decltype(cuModuleGetGlobal_v2)>("cuModuleGetGlobal_v2");
    auto launch = entry<decltype(cuLaunchKernel)>("cuLaunchKernel");
    Device<int> device(std::vector<int>(len, 0));
    CUmodule loaded[modules];
    int constants[modules], expected = 0, wrong = 0;
    for (int i = 0; i < modules; ++i) {
        constants[i] = 1000 + i;
        MUST_DRIVER(load(&loaded[i], text_of(constants[i]).c_str()));
    }
    for (int round = 0; round < 3; ++round) {
        for (int i = 0; i < modules; ++i) {
            CUfunction add;
            CUdeviceptr bias;
            size_t bytes;
            MUST_DRIVER(function(&add, loaded[i], "add"));
            MUST_DRIVER(global(&bias, &bytes, loaded[i], "bias"));
            int value = -1;
            MUST(cudaMemcpy(&value, reinterpret_cast<void *>(bias), 4, cudaMemcpyDeviceToHost));
            // Modules loaded again have their variable as it was initialised.
            wrong += value != (round == 0 || (i % 2 && round == 2) ? 7 : i) || bytes != 4;
            MUST(cudaMemcpy(reinterpret_cast<void *>(bias), &i, 4, cudaMemcpyHostToDevice));
            int *values = device.data();
            void *arguments[] = {&values};
            MUST_DRIVER(launch(add, 1, 1, 1, len, 1, 1, 0, nullptr, arguments, nullptr));
            expected += constants[i] + i;
        }
        wrong += report("round", device.read(), std::vector<int>(len, expected));
        for (int i = 1; round == 1 && i < modules; i += 2) {
            MUST_DRIVER(unload(loaded[i]));
            constants[i] *= -2;
            MUST_DRIVER(load(&loaded[i], text_of(constants[i]).c_str()));
        }
    }
    for (CUmodule module : loaded) MUST_DRIVER(unload(module));
    printf("wrong %d\n", wrong);
    return wrong != 0;
}
