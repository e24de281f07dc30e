// What a monitor sees of a program that uses a device: both libraries opened by name, as monitors
// do, in one process. What is told is printed; what differs from machine to machine is judged.
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cuda.h>

// Of nvml.h, as the NVML API Reference has them.
typedef struct device *Device;
typedef struct events *Events;
typedef struct { unsigned long long total, free, used; } Memory;
typedef struct { unsigned gpu, memory; } Rates;
typedef struct {
    unsigned pid;
    unsigned long long used;
    unsigned gpu_instance, compute_instance;
} Process;
typedef struct {
    char legacy_id[16];
    unsigned domain, bus, device, pci_device, subsystem;
    char id[32];
} Pci;
typedef struct {
    Device device;
    unsigned long long type, data;
    unsigned gpu_instance, compute_instance;
} Event;
enum { NOT_SUPPORTED = 3, TIMEOUT = 10, LOST = 15 };

static void *driver, *nvml;

static void *symbol(void *library, const char *name)
{
    void *found = library ? dlsym(library, name) : NULL;
    if (!found) {
        printf("no %s\n", name);
        exit(1);
    }
    return found;
}

#define CU(name) ((__typeof__(name) *)symbol(driver, #name))
#define NV(name, ...) ((int (*)(__VA_ARGS__))symbol(nvml, #name))

static void must(int status, int line)
{
    if (status) {
        printf("line %d: %d\n", line, status);
        exit(1);
    }
}
#define MUST(call) must(call, __LINE__)

static const char PTX[] =
    ".version 7.0\n.target sm_80\n.address_size 64\n.visible .entry wild()\n{\n"
    "    .reg .b64 %rd<2>;\n    mov.u64 %rd1, 16;\n    st.global.u64 [%rd1], %rd1;\n    ret;\n}\n";

static void show_identity(Device device)
{
    char name[96], own_name[96], uuid[96], own_uuid[48] = "";
    CUuuid bytes;
    Pci pci;
    char pci_of_driver[32];
    MUST(NV(nvmlDeviceGetName, Device, char *, unsigned)(device, name, sizeof name));
    MUST(CU(cuDeviceGetName)(own_name, sizeof own_name, 0));
    MUST(NV(nvmlDeviceGetUUID, Device, char *, unsigned)(device, uuid, sizeof uuid));
    MUST(CU(cuDeviceGetUuid_v2)(&bytes, 0));
    for (int at = 0; at < 16; at++)
        sprintf(own_uuid + strlen(own_uuid), "%s%02x",
                at == 4 || at == 6 || at == 8 || at == 10 ? "-" : "", bytes.bytes[at] & 255);
    MUST(NV(nvmlDeviceGetPciInfo_v3, Device, Pci *)(device, &pci));
    MUST(CU(cuDeviceGetPCIBusId)(pci_of_driver, sizeof pci_of_driver, 0));
    printf("name %s, the driver's %d\n", name, !strcmp(name, own_name));
    printf("UUID GPU-... %d, the driver's %d\n", !strncmp(uuid, "GPU-", 4),
           !strcmp(uuid + 4, own_uuid));
    printf("PCI %s, the driver's %s\n", pci.id, pci_of_driver);
}

static void show_memory(Device device, size_t held)
{
    Memory memory;
    Process processes[8];
    unsigned count = 8;
    MUST(NV(nvmlDeviceGetMemoryInfo, Device, Memory *)(device, &memory));
    printf("memory %llu MiB, used as much as is held %d, adds up %d\n", memory.total >> 20,
           memory.used >= held, memory.total == memory.used + memory.free);
    MUST(NV(nvmlDeviceGetComputeRunningProcesses_v3, Device, unsigned *, Process *)(
        device, &count, processes));
    printf("processes %u, this one %d, with what it holds %d\n", count,
           processes[0].pid == (unsigned)getpid(), processes[0].used >= held);
}

static void show_use(Device device, CUdeviceptr memory, size_t len)
{
    int (*rates_of)(Device, Rates *) = NV(nvmlDeviceGetUtilizationRates, Device, Rates *);
    Rates rates = {0, 0};
    void *host = calloc(1, len);
    int rounds = 0;
    MUST(rates_of(device, &rates));
    do {
        MUST(CU(cuMemcpyHtoD_v2)(memory, host, len));
        MUST(rates_of(device, &rates));
    } while (rates.memory == 0 && ++rounds < 100000);
    printf("copies use memory %d and run no kernel %d\n", rates.memory > 0, rates.gpu == 0);
    free(host);
}

static void show_health(Device device)
{
    unsigned value, pending, mode[2];
    unsigned long long errors[2];
    int temperature = NV(nvmlDeviceGetTemperature, Device, int, unsigned *)(device, 0, &value);
    int power = NV(nvmlDeviceGetPowerUsage, Device, unsigned *)(device, &pending);
    printf("temperature told or not supported %d, power not supported %d\n",
           temperature == 0 ? value < 150 : temperature == NOT_SUPPORTED, power == NOT_SUPPORTED);
    MUST(NV(nvmlDeviceGetEccMode, Device, unsigned *, unsigned *)(device, mode, mode + 1));
    for (int type = 0; type < 2; type++)
        MUST(NV(nvmlDeviceGetTotalEccErrors, Device, int, int, unsigned long long *)(
            device, type, 0, errors + type));
    printf("ECC %u, errors %llu and %llu\n", mode[0], errors[0], errors[1]);
}

// A kernel that does what it must not, or what the environment makes of it.
static void show_fault(Device device)
{
    int (*wait)(Events, Event *, unsigned) = NV(nvmlEventSetWait_v2, Events, Event *, unsigned);
    unsigned long long errors = 0;
    CUmodule module;
    CUfunction wild;
    Events events;
    Event event;
    int status;
    MUST(NV(nvmlEventSetCreate, Events *)(&events));
    MUST(NV(nvmlDeviceRegisterEvents, Device, unsigned long long, Events)(device, 8, events));
    printf("no event yet %d\n", wait(events, &event, 0) == TIMEOUT);
    MUST(CU(cuModuleLoadData)(&module, PTX));
    MUST(CU(cuModuleGetFunction)(&wild, module, "wild"));
    MUST(CU(cuLaunchKernel)(wild, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
    printf("the driver says %d", CU(cuCtxSynchronize)());
    MUST(wait(events, &event, 60000));
    printf(", an event of type %llu: Xid %llu, of the device %d\n", event.type, event.data,
           event.device == device);
    status = NV(nvmlDeviceGetTotalEccErrors, Device, int, int, unsigned long long *)(device, 1, 0,
                                                                                   &errors);
    printf("the device is lost %d, uncorrected errors %llu\n", status == LOST, errors);
    MUST(NV(nvmlEventSetFree, Events)(events));
}

int main(int count, char **arguments)
{
    const size_t len = 32 << 20;
    unsigned devices;
    char version[96];
    Device device;
    CUcontext context;
    CUdeviceptr memory;
    if (count > 1) setenv("SOFTGPU_FAULT", arguments[1], 1);
    driver = dlopen("libcuda.so.1", RTLD_NOW);
    nvml = dlopen("libnvidia-ml.so.1", RTLD_NOW);
    MUST(NV(nvmlInit_v2, void)());
    MUST(NV(nvmlDeviceGetCount_v2, unsigned *)(&devices));
    MUST(NV(nvmlSystemGetDriverVersion, char *, unsigned)(version, sizeof version));
    printf("devices %u, a version %d\n", devices, strlen(version) > 3);
    MUST(NV(nvmlDeviceGetHandleByIndex_v2, unsigned, Device *)(0, &device));
    MUST(CU(cuInit)(0));
    MUST(CU(cuDevicePrimaryCtxRetain)(&context, 0));
    MUST(CU(cuCtxSetCurrent)(context));
    MUST(CU(cuMemAlloc_v2)(&memory, len));
    if (count == 1) {
        show_identity(device);
        show_memory(device, len);
        show_use(device, memory, len);
        show_health(device);
    }
    show_fault(device);
    MUST(NV(nvmlShutdown, void)());
    return 0;
}
