// Virtual memory: physical memory mapped to reserved addresses, one piece behind the other and one
// piece twice; kernels and copies over the seam; access; what is refused; and what memory it takes.
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
static size_t unit;

static CUmemAllocationProp properties()
{
    CUmemAllocationProp prop = {};
    prop.type = CU_MEM_ALLOCATION_TYPE_PINNED;
    prop.location.type = CU_MEM_LOCATION_TYPE_DEVICE;
    prop.location.id = 0;
    return prop;
}

static CUmemGenericAllocationHandle memory(size_t len)
{
    CUmemAllocationProp prop = properties();
    CUmemGenericAllocationHandle handle;
    GOOD(DRIVER(cuMemCreate)(&handle, len, &prop, 0));
    return handle;
}

static CUdeviceptr addresses(size_t len)
{
    CUdeviceptr at;
    GOOD(DRIVER(cuMemAddressReserve)(&at, len, 0, 0, 0));
    return at;
}

static int give_access(CUdeviceptr at, size_t len, CUmemAccess_flags flags)
{
    CUmemAccessDesc access = {};
    access.location.type = CU_MEM_LOCATION_TYPE_DEVICE;
    access.location.id = 0;
    access.flags = flags;
    return DRIVER(cuMemSetAccess)(at, len, &access, 1);
}

static long available()
{
    size_t free, total;
    GOOD(DRIVER(cuMemGetInfo)(&free, &total));
    return (long)(free >> 20);
}

__global__ void add(uint32_t *values, size_t len, uint32_t more)
{
    size_t i = blockIdx.x * (size_t)blockDim.x + threadIdx.x;
    if (i < len) values[i] += more;
}

// Two pieces behind one another are one to kernels and copies; the third is not mapped.
static void seam()
{
    CUdeviceptr at = addresses(3 * unit);
    CUmemGenericAllocationHandle first = memory(unit), second = memory(unit);
    GOOD(DRIVER(cuMemMap)(at, unit, 0, first, 0));
    GOOD(DRIVER(cuMemMap)(at + unit, unit, 0, second, 0));
    char byte = 0;
    printf("without access %d", DRIVER(cuMemcpyDtoH)(&byte, at, 1));
    GOOD(give_access(at, 2 * unit, CU_MEM_ACCESS_FLAGS_PROT_READWRITE));
    GOOD(DRIVER(cuMemRelease)(first));
    GOOD(DRIVER(cuMemRelease)(second));
    const size_t len = 2 * unit / 4, from = unit / 4 - 1000, part = 2000;
    std::vector<uint32_t> source(len), target(len);
    for (size_t i = 0; i < len; ++i) source[i] = mixed(1, (uint32_t)i);
    GOOD(DRIVER(cuMemcpyHtoD)(at, source.data(), len * 4));
    add<<<(unsigned)((part + 255) / 256), 256>>>((uint32_t *)at + from, part, 5);
    MUST(cudaGetLastError());
    GOOD(DRIVER(cuMemsetD32)(at + unit - 40, 77, 20));
    GOOD(DRIVER(cuMemcpyDtoH)(target.data(), at, len * 4));
    for (size_t i = 0; i < part; ++i) source[from + i] += 5;
    for (size_t i = 0; i < 20; ++i) source[unit / 4 - 10 + i] = 77;
    printf(", with it: ");
    failures += report("over the seam", target, source);
    Device<uint32_t> other(part);
    GOOD(DRIVER(cuMemcpyDtoD)((CUdeviceptr)other.data(), at + from * 4, part * 4));
    std::vector<uint32_t> expected(&source[from], &source[from] + part);
    failures += report("within the device", other.read(), expected);
    std::vector<uint32_t> rows(20 * 50), by_row = rows;
    CUDA_MEMCPY2D copy = {};
    copy.srcMemoryType = CU_MEMORYTYPE_DEVICE;
    copy.srcDevice = at + unit - 2000;
    copy.srcPitch = 200;
    copy.dstMemoryType = CU_MEMORYTYPE_HOST;
    copy.dstHost = rows.data();
    copy.dstPitch = 80;
    copy.WidthInBytes = 80;
    copy.Height = 50;
    GOOD(DRIVER(cuMemcpy2D)(&copy));
    for (size_t y = 0; y < 50; ++y)
        memcpy(&by_row[y * 20], &source[(unit - 2000 + y * 200) / 4], 80);
    failures += report("rows", rows, by_row);
    printf("over the end %d %d %d\n", DRIVER(cuMemcpyDtoH)(&byte, at + 2 * unit, 1),
           DRIVER(cuMemsetD8)(at + unit, 0, unit + 1),
           DRIVER(cuMemcpyHtoD)(at + 2 * unit - 4, source.data(), 8));
    CUmemorytype type;
    CUdeviceptr base;
    size_t size;
    int device = 9;
    GOOD(DRIVER(cuPointerGetAttribute)(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, at + unit + 7));
    GOOD(DRIVER(cuPointerGetAttribute)(&device, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, at + 7));
    GOOD(DRIVER(cuMemGetAddressRange)(&base, &size, at + unit + 7));
    printf("memory %d of device %d, a piece of %zu at %zu\n", type, device, size / unit,
           (size_t)(base - at) / unit);
    printf("not freed %d, marked %d\n", DRIVER(cuMemFree)(at),
           DRIVER(cuPointerSetAttribute)(&device, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, at));
    GOOD(DRIVER(cuMemUnmap)(at + unit, unit));
    printf("unmapped %d, the other %d\n", DRIVER(cuMemcpyDtoH)(&byte, at + unit, 1),
           DRIVER(cuMemcpyDtoH)(&byte, at + unit - 1, 1));
    GOOD(DRIVER(cuMemUnmap)(at, unit));
    GOOD(DRIVER(cuMemAddressFree)(at, 3 * unit));
}

// One memory at two addresses, and handles of it.
static void twice()
{
    CUdeviceptr at = addresses(2 * unit), other = addresses(unit);
    CUmemGenericAllocationHandle handle = memory(unit), again, found;
    GOOD(DRIVER(cuMemMap)(at + unit, unit, 0, handle, 0));
    GOOD(DRIVER(cuMemMap)(other, unit, 0, handle, 0));
    GOOD(give_access(at + unit, unit, CU_MEM_ACCESS_FLAGS_PROT_READWRITE));
    GOOD(give_access(other, unit, CU_MEM_ACCESS_FLAGS_PROT_READ));
    GOOD(DRIVER(cuMemsetD32)(at + unit, 5, 100));
    add<<<1, 100>>>((uint32_t *)(at + unit), 100, 4);
    MUST(cudaDeviceSynchronize());
    std::vector<uint32_t> target(100);
    GOOD(DRIVER(cuMemcpyDtoH)(target.data(), other, 400));
    failures += report("seen from the other", target, std::vector<uint32_t>(100, 9));
    CUmemLocation here = properties().location;
    unsigned long long flags[3] = {9, 9, 9};
    GOOD(DRIVER(cuMemGetAccess)(&flags[0], &here, at + unit));
    GOOD(DRIVER(cuMemGetAccess)(&flags[1], &here, other));
    printf("access %llu %llu, nowhere %d", flags[0], flags[1],
           DRIVER(cuMemGetAccess)(&flags[2], &here, at));
    here.id = 55;
    printf(", nobody %d\n", DRIVER(cuMemGetAccess)(&flags[2], &here, other));
    GOOD(DRIVER(cuMemRetainAllocationHandle)(&again, (void *)(other + 100)));
    printf("the same handle: %d\n", again == handle);
    GOOD(DRIVER(cuMemRelease)(handle));
    GOOD(DRIVER(cuMemRelease)(again));
    GOOD(DRIVER(cuMemRetainAllocationHandle)(&found, (void *)other));
    CUmemAllocationProp prop = {};
    GOOD(DRIVER(cuMemGetAllocationPropertiesFromHandle)(&prop, found));
    printf("type %d at %d %d, exported as %d\n", prop.type, prop.location.type, prop.location.id,
           prop.requestedHandleTypes);
    GOOD(DRIVER(cuMemUnmap)(other, unit));
    GOOD(DRIVER(cuMemMap)(at, unit, 0, found, 0));
    GOOD(give_access(at, 2 * unit, CU_MEM_ACCESS_FLAGS_PROT_READWRITE));
    GOOD(DRIVER(cuMemsetD32)(at + 40, 3, 1));
    GOOD(DRIVER(cuMemcpyDtoH)(target.data(), at + unit, 400));
    printf("written there: %u %u\n", target[9], target[10]);
    GOOD(give_access(at, unit, CU_MEM_ACCESS_FLAGS_PROT_NONE));
    printf("access taken %d, of the other %d\n", DRIVER(cuMemcpyDtoH)(target.data(), at, 4),
           DRIVER(cuMemcpyDtoH)(target.data(), at + unit, 4));
    GOOD(DRIVER(cuMemUnmap)(at, 2 * unit));
    GOOD(DRIVER(cuMemRelease)(found));
    GOOD(DRIVER(cuMemAddressFree)(at, 2 * unit));
    GOOD(DRIVER(cuMemAddressFree)(other, unit));
}

static void refusals()
{
    CUmemAllocationProp prop = properties();
    CUmemGenericAllocationHandle handle = memory(2 * unit), none;
    CUdeviceptr at = addresses(4 * unit), other;
    auto made = [&](size_t len, auto change) {
        CUmemAllocationProp other = prop;
        change(other);
        int status = DRIVER(cuMemCreate)(&none, len, &other, 0);
        if (status == 0) GOOD(DRIVER(cuMemRelease)(none));
        return status;
    };
    printf("memory: odd %d, none %d, device %d, host %d, type %d, flags %d, null %d\n",
           made(unit + 1, [](auto &) {}), made(0, [](auto &) {}),
           made(unit, [](auto &p) { p.location.id = 70; }),
           made(unit, [](auto &p) { p.location.type = CU_MEM_LOCATION_TYPE_HOST; }),
           made(unit, [](auto &p) { p.type = (CUmemAllocationType)9; }),
           DRIVER(cuMemCreate)(&none, unit, &prop, 1),
           DRIVER(cuMemCreate)(nullptr, unit, &prop, 0));
    printf("odd and more than there is %d\n", made(((size_t)1 << 45) + 1, [](auto &) {}));
    printf("addresses: odd %d, none %d, alignment %d, flags %d, null %d\n",
           DRIVER(cuMemAddressReserve)(&other, unit + 1, 0, 0, 0),
           DRIVER(cuMemAddressReserve)(&other, 0, 0, 0, 0),
           DRIVER(cuMemAddressReserve)(&other, unit, 3 * unit, 0, 0),
           DRIVER(cuMemAddressReserve)(&other, unit, 0, 0, 7),
           DRIVER(cuMemAddressReserve)(nullptr, unit, 0, 0, 0));
    auto map = DRIVER(cuMemMap);
    printf("maps: part %d, offset %d, nothing %d, beyond %d, outside %d, odd %d, flags %d\n",
           map(at, unit, 0, handle, 0), map(at, unit, unit, handle, 0),
           map(at, 2 * unit, 0, 12345, 0), map(at + 3 * unit, 2 * unit, 0, handle, 0),
           map(at - 2 * unit, 2 * unit, 0, handle, 0), map(at + 1, 2 * unit, 0, handle, 0),
           map(at, 2 * unit, 0, handle, 1));
    GOOD(map(at, 2 * unit, 0, handle, 0));
    printf("there already %d %d\n", map(at, 2 * unit, 0, handle, 0),
           map(at + unit, 2 * unit, 0, handle, 0));
    printf("access: part %d, more %d, how %d, none %d\n",
           give_access(at, unit, CU_MEM_ACCESS_FLAGS_PROT_READ),
           give_access(at, 3 * unit, CU_MEM_ACCESS_FLAGS_PROT_READ),
           give_access(at, 2 * unit, (CUmemAccess_flags)7),
           DRIVER(cuMemSetAccess)(at, 2 * unit, nullptr, 0));
    printf("unmapped: part %d, more %d, elsewhere %d; freed %d %d\n",
           DRIVER(cuMemUnmap)(at, unit), DRIVER(cuMemUnmap)(at, 4 * unit),
           DRIVER(cuMemUnmap)(at + 2 * unit, unit), DRIVER(cuMemAddressFree)(at, 4 * unit),
           DRIVER(cuMemAddressFree)(at, 2 * unit));
    GOOD(DRIVER(cuMemUnmap)(at, 2 * unit));
    GOOD(DRIVER(cuMemAddressFree)(at, 4 * unit));
    GOOD(DRIVER(cuMemRelease)(handle));
    printf("twice: %d %d %d, its handle %d %d\n", DRIVER(cuMemUnmap)(at, 2 * unit),
           DRIVER(cuMemAddressFree)(at, 4 * unit), DRIVER(cuMemRelease)(handle),
           DRIVER(cuMemGetAllocationPropertiesFromHandle)(&prop, handle),
           DRIVER(cuMemRetainAllocationHandle)(&none, (void *)at));
}

static void shares()
{
    long before = available();
    size_t part = 64 << 20;
    CUdeviceptr at = addresses(part);
    printf("addresses take %ld MiB", before - available());
    CUmemGenericAllocationHandle handle = memory(part), more;
    printf(", memory %ld MiB", before - available());
    GOOD(DRIVER(cuMemMap)(at, part, 0, handle, 0));
    GOOD(DRIVER(cuMemRelease)(handle));
    printf(", while it is mapped %ld MiB\n", before - available());
    CUmemAllocationProp prop = properties();
    printf("too much: %d", DRIVER(cuMemCreate)(&more, (size_t)4 << 30, &prop, 0));
    int status;
    std::vector<CUmemGenericAllocationHandle> all;
    while ((status = DRIVER(cuMemCreate)(&more, part, &prop, 0)) == 0) all.push_back(more);
    printf(", after some more: %d\n", status);
    for (auto one : all) GOOD(DRIVER(cuMemRelease)(one));
    printf("given back %ld MiB", before - available());
    GOOD(DRIVER(cuMemUnmap)(at, part));
    printf(", all of it %ld MiB\n", before - available());
    GOOD(DRIVER(cuMemAddressFree)(at, part));
}

int main()
{
    MUST(cudaFree(nullptr));
    int supported = 0;
    GOOD(DRIVER(cuDeviceGetAttribute)(
        &supported, CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED, 0));
    CUmemAllocationProp prop = properties();
    size_t recommended;
    GOOD(DRIVER(cuMemGetAllocationGranularity)(&unit, &prop, CU_MEM_ALLOC_GRANULARITY_MINIMUM));
    GOOD(DRIVER(cuMemGetAllocationGranularity)(&recommended, &prop,
                                               CU_MEM_ALLOC_GRANULARITY_RECOMMENDED));
    printf("supported %d, %zu bytes at least, %zu recommended, %d\n", supported, unit, recommended,
           DRIVER(cuMemGetAllocationGranularity)(&unit, &prop,
                                                 (CUmemAllocationGranularity_flags)5));
    seam();
    twice();
    refusals();
    shares();
    return failures != 0;
}
