//! What monitors see of programs that use the driver.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::ffi::{CString, c_char};
use std::process::Command;

use flexdirect_wire::abi::*;
use flexdirect_wire::nvml::*;
use softgpu_cuda::export as cuda;
use softgpu_nvml::export::*;

/// Set in the process that runs the body of a test.
const CHILD: &str = "SOFTGPU_TEST_CHILD";

/// Runs `body` in a process of its own with two devices of 64 MiB.
fn alone(name: &str, body: fn()) {
    alone_with(name, "", body);
}

/// The same with faults on purpose.
fn alone_with(name: &str, faults: &str, body: fn()) {
    if std::env::var_os(CHILD).is_some() {
        body();
        return;
    }
    let state = std::env::temp_dir().join(format!("softgpu-nvml-{name}-{}", std::process::id()));
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(CHILD, "1")
        .env("CUDA_VISIBLE_DEVICES", "1")
        .env("SOFTGPU_DEVICES", "2")
        .env("SOFTGPU_MEMORY", "64M")
        .env("SOFTGPU_SMS", "2")
        .env("SOFTGPU_STATE", &state)
        .env("SOFTGPU_FAULT", faults)
        .output()
        .unwrap();
    let _ = std::fs::remove_file(&state);
    let _ = std::fs::remove_file(state.with_extension("health"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (said, complained) = (text(&output.stdout), text(&output.stderr));
    let passed = output.status.success() && said.contains("1 passed");
    assert!(passed, "{name}: {}\n{said}\n{complained}", output.status);
}

/// A call with an out pointer.
fn out<T: Default>(call: impl FnOnce(Out<T>) -> u32) -> Result<T, u32> {
    let mut value = T::default();
    match call(Out(&raw mut value)) {
        0 => Ok(value),
        code => Err(code),
    }
}

/// A call that writes text.
fn text(call: impl FnOnce(OutStr, u32) -> u32) -> String {
    let mut room = [0 as c_char; 96];
    assert_eq!(call(OutStr(room.as_mut_ptr()), 96), 0);
    let bytes = room.iter().map(|&byte| byte.cast_unsigned());
    String::from_utf8(bytes.take_while(|&byte| byte != 0).collect()).unwrap()
}

fn device(index: u32) -> NvmlDevice {
    out(|device| nvmlDeviceGetHandleByIndex_v2(index, device)).unwrap()
}

/// The driver's only visible device, which is the second one, with a context.
fn start_driver() {
    cuda::cuInit(0).unwrap();
    let mut context = CuContext(0);
    cuda::cuDevicePrimaryCtxRetain(Out(&raw mut context), CuDevice(0)).unwrap();
    cuda::cuCtxSetCurrent(context).unwrap();
}

#[test]
fn devices_are_those_of_the_driver() {
    alone("devices_are_those_of_the_driver", || {
        assert_eq!(
            out(|count| nvmlDeviceGetCount_v2(count)),
            Err(1),
            "not begun"
        );
        assert_eq!(nvmlInit_v2(), 0);
        assert_eq!(
            out(|count| nvmlDeviceGetCount_v2(count)),
            Ok(2),
            "also invisible ones"
        );
        start_driver();
        let mut bytes = CuUuid::default();
        cuda::cuDeviceGetUuid_v2(Out(&raw mut bytes), CuDevice(0)).unwrap();
        let uuid = text(|place, len| nvmlDeviceGetUUID(device(1), place, len));
        let digits: String = bytes
            .bytes
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(uuid.replace("GPU-", "").replace('-', ""), digits);
        let named = CString::new(uuid).unwrap();
        let named = InStr(named.as_ptr().cast_mut());
        assert_eq!(
            out(|found| nvmlDeviceGetHandleByUUID(named, found)),
            Ok(device(1))
        );
        let mut pci = [0 as c_char; 32];
        cuda::cuDeviceGetPCIBusId(OutStr(pci.as_mut_ptr()), 32, CuDevice(0)).unwrap();
        let address = InStr(pci.as_mut_ptr());
        let found = out(|found| nvmlDeviceGetHandleByPciBusId_v2(address, found));
        assert_eq!(found, Ok(device(1)));
        let info = out(|info| nvmlDeviceGetPciInfo_v3(device(1), info)).unwrap();
        assert_eq!(&info.bus_id[..16], b"00000000:02:00.0");
        let mut name = [0 as c_char; 64];
        cuda::cuDeviceGetName(OutStr(name.as_mut_ptr()), 64, CuDevice(0)).unwrap();
        let shown = text(|place, len| nvmlDeviceGetName(device(1), place, len));
        assert!(
            shown
                .bytes()
                .zip(name)
                .all(|(shown, own)| shown == own.cast_unsigned())
        );
        let mut version = 0;
        cuda::cuDriverGetVersion(Out(&raw mut version)).unwrap();
        assert_eq!(
            out(|place| nvmlSystemGetCudaDriverVersion_v2(place)),
            Ok(version)
        );
        assert_eq!(
            out(|place| nvmlDeviceGetIndex(NvmlDevice(7), place)),
            Err(2)
        );
        let short = nvmlDeviceGetName(device(0), OutStr(name.as_mut_ptr()), 4);
        assert_eq!(short, NvmlError::INSUFFICIENT_SIZE.0);
        assert_eq!(
            out(|place| nvmlDeviceGetPowerUsage(device(0), place)),
            Err(3)
        );
        assert_eq!(nvmlInit_v2(), 0);
        assert_eq!((nvmlShutdown(), nvmlShutdown(), nvmlShutdown()), (0, 0, 1));
    });
}

const FOREVER: &str = "
.version 7.0
.target sm_80
.address_size 64
.visible .entry wait(.param .u64 gate)
{
    .reg .u64 %rd<2>; .reg .u32 %r<2>; .reg .pred %p<2>;
    ld.param.u64 %rd1, [gate];
again:
    ld.volatile.global.u32 %r1, [%rd1];
    setp.eq.u32 %p1, %r1, 0;
    @%p1 bra again;
    ret;
}
.visible .entry wild()
{
    .reg .u64 %rd<2>;
    mov.u64 %rd1, 16;
    st.global.u64 [%rd1], %rd1;
    ret;
}
";

fn launch(module: CuModule, kernel: &str, parameter: u64) {
    let name = CString::new(kernel).unwrap();
    let mut function = CuFunction(0);
    let name = InStr(name.as_ptr().cast_mut());
    cuda::cuModuleGetFunction(Out(&raw mut function), module, name).unwrap();
    let mut value = parameter;
    let mut values = [(&raw mut value).cast()];
    let (values, none) = (values.as_mut_ptr(), std::ptr::null_mut());
    cuda::cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, CuStream(0), values, none).unwrap();
}

fn load() -> CuModule {
    let ptx = CString::new(FOREVER).unwrap();
    let image = InBytes(ptx.as_ptr().cast_mut().cast());
    let mut module = CuModule(0);
    cuda::cuModuleLoadData(Out(&raw mut module), image).unwrap();
    module
}

#[test]
fn use_of_a_device_is_seen() {
    alone("use_of_a_device_is_seen", || {
        assert_eq!(nvmlInit_v2(), 0);
        let device = device(1);
        let used = || out(|memory| nvmlDeviceGetMemoryInfo(device, memory)).unwrap();
        assert_eq!((used().total, used().used), (64 << 20, 0));
        start_driver();
        let mut memory = CuDevicePtr(0);
        cuda::cuMemAlloc_v2(Out(&raw mut memory), 8 << 20).unwrap();
        cuda::cuMemsetD8_v2(memory, 0, 8).unwrap();
        assert!(used().used >= 8 << 20);
        assert_eq!(used().free, used().total - used().used);
        let mut count = 0u32;
        let none = std::ptr::null_mut();
        let asked = nvmlDeviceGetComputeRunningProcesses_v3(device, InOut(&raw mut count), none);
        assert_eq!((asked, count), (NvmlError::INSUFFICIENT_SIZE.0, 1));
        let mut infos = [NvmlProcessInfo::default(); 2];
        count = 2;
        let infos_out = infos.as_mut_ptr();
        let asked =
            nvmlDeviceGetComputeRunningProcesses_v3(device, InOut(&raw mut count), infos_out);
        assert_eq!((asked, count, infos[0].pid), (0, 1, std::process::id()));
        assert!(infos[0].used_gpu_memory >= 8 << 20);
        let busy = || out(|rates| nvmlDeviceGetUtilizationRates(device, rates)).unwrap()[0];
        assert_eq!(busy(), 0);
        launch(load(), "wait", memory.0);
        // It runs until the gate opens, so sooner or later a span is busy to its end.
        while busy() < 90 {}
        let mut stream = CuStream(0);
        cuda::cuStreamCreate(Out(&raw mut stream), 1).unwrap();
        cuda::cuMemsetD32Async(memory, 1, 1, stream).unwrap();
        cuda::cuCtxSynchronize().unwrap();
        while busy() > 0 {}
    });
}

#[test]
fn copies_are_use_of_memory() {
    alone_with("copies_are_use_of_memory", "slow-copy:1000000", || {
        assert_eq!(nvmlInit_v2(), 0);
        start_driver();
        let rates = || out(|rates| nvmlDeviceGetUtilizationRates(device(1), rates)).unwrap();
        assert_eq!(rates(), [0, 0]);
        let mut memory = CuDevicePtr(0);
        cuda::cuMemAlloc_v2(Out(&raw mut memory), 1 << 20).unwrap();
        let copier = std::thread::spawn(move || {
            let mut context = CuContext(0);
            cuda::cuDevicePrimaryCtxRetain(Out(&raw mut context), CuDevice(0)).unwrap();
            cuda::cuCtxSetCurrent(context).unwrap();
            let bytes = vec![1u8; 400_000];
            let from = InBytes(bytes.as_ptr().cast_mut().cast());
            cuda::cuMemcpyHtoD_v2(memory, from, bytes.len()).unwrap();
        });
        // It takes 0.4 s, in which some span is busy to its end.
        let mut seen = [0, 0];
        while seen[1] < 50 {
            seen = rates();
            assert!(seen[1] > 0 || !copier.is_finished(), "{seen:?}");
        }
        assert_eq!(seen[0], 0, "no kernel ran");
        copier.join().unwrap();
        while rates()[1] > 0 {}
    });
}

/// The first fault of `wild`, which does not get as far as its own, and its Xid.
fn planned(fault: u32, xid: u64) {
    assert_eq!(nvmlInit_v2(), 0);
    let set = out(|set| nvmlEventSetCreate(set)).unwrap();
    assert_eq!(nvmlDeviceRegisterEvents(device(1), 8, set), 0);
    start_driver();
    launch(load(), "wild", 0);
    assert_eq!(
        cuda::cuCtxSynchronize().map_err(|error| error.code()),
        Err(fault)
    );
    let event = out(|data| nvmlEventSetWait_v2(set, data, 60_000)).unwrap();
    assert_eq!((event.event_type, event.event_data), (8, xid));
    assert_eq!(event.device, device(1).0);
    let again = out(|data: Out<NvmlEventData>| nvmlEventSetWait_v2(set, data, 0));
    assert_eq!(again.map(drop), Err(NvmlError::TIMEOUT.0), "told once");
}

fn uncorrected(index: u32) -> Result<u64, u32> {
    out(|count| nvmlDeviceGetTotalEccErrors(device(index), 1, 0, count))
}

#[test]
fn an_ecc_error_on_purpose_is_counted() {
    alone_with("an_ecc_error_on_purpose_is_counted", "ecc:0", || {
        planned(214, 48);
        assert_eq!([1, 0].map(uncorrected), [Ok(1), Ok(0)]);
    });
}

#[test]
fn a_device_lost_on_purpose_is_lost() {
    alone_with("a_device_lost_on_purpose_is_lost", "lost:0", || {
        planned(46, 79);
        assert_eq!(uncorrected(1), Err(NvmlError::GPU_IS_LOST.0));
        assert_eq!(out(|count| nvmlDeviceGetCount_v2(count)), Ok(2));
        assert_eq!(uncorrected(0), Ok(0), "the driver does not see that one");
    });
}

#[test]
fn an_illegal_address_on_purpose_is_an_event() {
    let name = "an_illegal_address_on_purpose_is_an_event";
    alone_with(name, "illegal:wild", || planned(700, 31));
}

#[test]
fn faults_are_events() {
    alone("faults_are_events", || {
        assert_eq!(nvmlInit_v2(), 0);
        let set = out(|set| nvmlEventSetCreate(set)).unwrap();
        assert_eq!(nvmlDeviceRegisterEvents(device(1), 8, set), 0);
        let wait = |timeout_ms| out(|data| nvmlEventSetWait_v2(set, data, timeout_ms));
        assert_eq!(wait(0).map(drop), Err(NvmlError::TIMEOUT.0));
        start_driver();
        launch(load(), "wild", 0);
        assert!(cuda::cuCtxSynchronize().is_err());
        let event = wait(60_000).unwrap();
        assert_eq!((event.event_type, event.event_data), (8, 31));
        assert_eq!(event.device, device(1).0);
        assert_eq!(wait(0).map(drop), Err(NvmlError::TIMEOUT.0), "told once");

        let state = std::env::var("SOFTGPU_STATE").unwrap();
        let lines = "ecc 1 uncorrected 2\necc 0 corrected 5\nxid 1 79\n";
        let health = format!("{state}.health");
        let before = std::fs::read_to_string(&health).unwrap();
        std::fs::write(&health, format!("{before}{lines}")).unwrap();
        assert_eq!(wait(60_000).map(|event| event.event_data), Ok(79));
        let errors = |kind| out(|count| nvmlDeviceGetTotalEccErrors(device(1), kind, 0, count));
        assert_eq!((errors(0), errors(1)), (Ok(0), Ok(2)));
        assert_eq!(nvmlEventSetFree(set), 0);
        assert_eq!(wait(60_000).map(drop), Err(2), "the set is gone");
    });
}
