//! Initialisation, devices, contexts and look-up, through the exported functions.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod driver_support;

use std::ffi::{CStr, c_char, c_void};

use driver_support::*;
use flexdirect_wire::abi::*;
use softgpu_cuda::export::*;

#[test]
fn nothing_works_before_init() {
    alone("nothing_works_before_init", &[], || {
        let early = Err(CuError::NOT_INITIALIZED);
        assert_eq!(out(|count| cuDeviceGetCount(count)), early);
        assert_eq!(allocate(16).map(|_| 0), early);
        assert_eq!(cuCtxSynchronize().map(|()| 0), early);
        assert_eq!(cuStreamSynchronize(CuStream(0)).map(|()| 0), early);
        assert_eq!(out(|context| cuCtxGetCurrent(context)).map(|_| 0), early);
        assert_eq!(
            out(|version| cuDriverGetVersion(version)),
            Ok(13_050),
            "but the version"
        );
        assert_eq!(cuInit(1), Err(CuError::INVALID_VALUE));
        cuInit(0).unwrap();
        cuInit(0).unwrap();
        assert_eq!(out(|count| cuDeviceGetCount(count)), Ok(1));
        assert_eq!(allocate(16), Err(CuError::INVALID_CONTEXT));
        assert_eq!(cuCtxSynchronize(), Err(CuError::INVALID_CONTEXT));
        assert_eq!(out(|context| cuCtxGetCurrent(context)), Ok(CuContext(0)));
    });
}

#[test]
fn devices_are_what_the_environment_says() {
    let variables = [("SOFTGPU_DEVICES", "3"), ("CUDA_VISIBLE_DEVICES", "2,0")];
    alone("devices_are_what_the_environment_says", &variables, || {
        cuInit(0).unwrap();
        assert_eq!(out(|count| cuDeviceGetCount(count)), Ok(2));
        let attribute = |number, device| {
            out(|value| cuDeviceGetAttribute(value, CuDeviceAttribute(number), CuDevice(device)))
        };
        assert_eq!(attribute(33, 0), Ok(3), "PCI bus of the third device");
        assert_eq!(attribute(33, 1), Ok(1));
        assert_eq!(attribute(16, 0), Ok(2), "SOFTGPU_SMS");
        assert_eq!(attribute(0, 0), Err(CuError::INVALID_VALUE));
        assert_eq!(attribute(1, 2), Err(CuError::INVALID_DEVICE));
        assert_eq!(attribute(1, -1), Err(CuError::INVALID_DEVICE));
        let uuid = |device| out(|uuid| cuDeviceGetUuid_v2(uuid, CuDevice(device))).unwrap();
        assert_ne!(uuid(0), uuid(1));
        let old = out(|uuid| cuDeviceGetUuid(uuid, CuDevice(0))).unwrap();
        assert_eq!(uuid(0), old, "the integrity answer needs this");
        let len = out(|len| cuDeviceTotalMem_v2(len, CuDevice(0)));
        assert_eq!(len, Ok(64 << 20));
        let mut room = [0 as c_char; 13];
        cuDeviceGetPCIBusId(OutStr(room.as_mut_ptr()), 13, CuDevice(0)).unwrap();
        let address: Vec<u8> = room.iter().map(|&byte| byte.cast_unsigned()).collect();
        assert_eq!(&address, b"0000:03:00.0\0");
        let wanted = text("0000:01:00.0");
        let found = out(|device| cuDeviceGetByPCIBusId(device, name(&wanted)));
        assert_eq!(found, Ok(CuDevice(1)));
        let unknown = text("0000:09:00.0");
        let found = out(|device| cuDeviceGetByPCIBusId(device, name(&unknown)));
        assert_eq!(found, Err(CuError::INVALID_DEVICE));
    });
}

#[test]
fn no_visible_device() {
    alone("no_visible_device", &[("CUDA_VISIBLE_DEVICES", "")], || {
        assert_eq!(cuInit(0), Err(CuError::NO_DEVICE));
        assert_eq!(
            out(|count| cuDeviceGetCount(count)),
            Err(CuError::NOT_INITIALIZED)
        );
    });
}

#[test]
fn a_base_is_where_memory_is() {
    let variables = [("SOFTGPU_BASE", "0x310000000000"), ("SOFTGPU_DEVICES", "2")];
    alone("a_base_is_where_memory_is", &variables, || {
        start();
        assert_eq!(allocate(1), Ok(CuDevicePtr(0x3100_0000_0000)));
        out(|context| cuCtxCreate_v2(context, 0, CuDevice(1))).unwrap();
        let second = CuDevicePtr(0x3100_0000_0000 + (1 << 40));
        assert_eq!(allocate(1), Ok(second));
    });
}

#[test]
fn a_thread_has_a_stack_of_contexts() {
    alone("a_thread_has_a_stack_of_contexts", &[], || {
        let primary = start();
        let current = || out(|context| cuCtxGetCurrent(context)).unwrap();
        let made = out(|context| cuCtxCreate_v2(context, 0, CuDevice(0))).unwrap();
        assert_eq!(current(), made);
        cuCtxPushCurrent_v2(primary).unwrap();
        assert_eq!(current(), primary);
        let other = std::thread::spawn(|| out(|context| cuCtxGetCurrent(context)).unwrap());
        assert_eq!(
            other.join().unwrap(),
            CuContext(0),
            "another thread has its own"
        );
        assert_eq!(out(|context| cuCtxPopCurrent_v2(context)), Ok(primary));
        assert_eq!(current(), made);
        cuCtxDestroy_v2(made).unwrap();
        assert_eq!(current(), primary, "destroyed and popped");
        assert_eq!(cuCtxPushCurrent_v2(made), Err(CuError::INVALID_CONTEXT));
        assert_eq!(cuCtxDestroy_v2(primary), Err(CuError::INVALID_CONTEXT));
        cuCtxSetCurrent(CuContext(0)).unwrap();
        assert_eq!(current(), CuContext(0));
        assert_eq!(
            out(|context| cuCtxPopCurrent_v2(context)),
            Err(CuError::INVALID_CONTEXT)
        );
    });
}

#[test]
fn a_primary_context_lives_while_retained() {
    alone("a_primary_context_lives_while_retained", &[], || {
        cuInit(0).unwrap();
        let device = CuDevice(0);
        let state = || {
            let mut active = -1;
            let flags =
                out(|flags| cuDevicePrimaryCtxGetState(device, flags, Out(&raw mut active)));
            (flags.unwrap(), active)
        };
        assert_eq!(state(), (0, 0));
        assert_eq!(
            cuDevicePrimaryCtxRelease_v2(device),
            Err(CuError::INVALID_CONTEXT)
        );
        let first = start();
        let second = out(|context| cuDevicePrimaryCtxRetain(context, device)).unwrap();
        assert_eq!(first, second);
        cuDevicePrimaryCtxSetFlags_v2(device, 4).unwrap();
        assert_eq!(state(), (4, 1));
        assert_eq!(
            cuDevicePrimaryCtxSetFlags_v2(device, 3),
            Err(CuError::INVALID_VALUE)
        );
        let kept = allocate(1000).unwrap();
        cuDevicePrimaryCtxRelease_v2(device).unwrap();
        assert_eq!(download(kept, 1000).map(|bytes| bytes.len()), Ok(1000));
        cuDevicePrimaryCtxRelease(device).unwrap();
        assert_eq!(allocate(1), Err(CuError::CONTEXT_IS_DESTROYED));
        assert_eq!(state().1, 0);
        assert_eq!(start(), first, "the handle stays");
        assert_eq!(
            cuMemFree_v2(kept),
            Err(CuError::INVALID_VALUE),
            "what it held is gone"
        );
    });
}

#[test]
fn functions_are_found_by_name_and_version() {
    alone("functions_are_found_by_name_and_version", &[], || {
        let find = |symbol: &str, version, flags| {
            let symbol = text(symbol);
            let mut address: *mut c_void = std::ptr::null_mut();
            let mut status = CuDriverProcAddressQueryResult(9);
            let found = cuGetProcAddress_v2(
                name(&symbol),
                Out(&raw mut address),
                version,
                flags,
                OptOut(&raw mut status),
            );
            (found.map(|()| address.addr()), status.0)
        };
        let alloc: extern "C" fn(Out<CuDevicePtr>, usize) -> CuResult = cuMemAlloc_v2;
        assert_eq!(find("cuMemAlloc", 12_000, 0), (Ok(alloc as usize), 0));
        let legacy = find("cuMemcpyHtoD", 12_000, 0).0.unwrap();
        let twin = find("cuMemcpyHtoD", 12_000, 2).0.unwrap();
        assert_ne!(legacy, twin);
        assert_eq!(find("", 0, 0), (Err(CuError::NOT_FOUND), 1));
        assert_eq!(find("cuMemAlloc", 1000, 0), (Err(CuError::NOT_FOUND), 2));
        assert!(
            find("cuGraphLaunch", 13_000, 0).0.is_ok(),
            "absent calls are there"
        );
        assert_eq!(cuGLInit(), Err(CuError::NOT_SUPPORTED));
    });
}

#[test]
fn errors_have_names() {
    alone("errors_have_names", &[], || {
        let mut text: *const c_char = std::ptr::null();
        cuGetErrorName(CuResultCode(700), Out(&raw mut text)).unwrap();
        assert!(!text.is_null());
        let unknown = cuGetErrorString(CuResultCode(12_345), Out(&raw mut text));
        assert_eq!(unknown, Err(CuError::INVALID_VALUE));
        assert!(text.is_null());
        let known: &CStr = c"CUDA_ERROR_ILLEGAL_ADDRESS";
        assert_eq!(
            errors::name(700).unwrap().as_bytes(),
            known.to_bytes_with_nul()
        );
    });
}

#[test]
fn made_up_handles_are_refused() {
    alone("made_up_handles_are_refused", &[], || {
        start();
        let bad = Err(CuError::INVALID_HANDLE);
        for number in [3, 0x5500_0001_0000_0007, u64::MAX, 0xdead_beef] {
            assert_eq!(cuStreamSynchronize(CuStream(number)), bad);
            assert_eq!(cuEventQuery(CuEvent(number)), bad);
            assert_eq!(cuModuleUnload(CuModule(number)), bad);
            assert_eq!(cuLibraryUnload(CuLibrary(number)), bad);
            assert_eq!(launch(CuFunction(number), CuStream(0), &[]), bad);
            let context = cuCtxSetCurrent(CuContext(number));
            assert_eq!(context, Err(CuError::INVALID_CONTEXT));
        }
    });
}

#[test]
fn limits_are_those_of_contexts_of_computing() {
    alone("limits_are_those_of_contexts_of_computing", &[], || {
        start();
        let limit = |number| out(|value| cuCtxGetLimit(value, CuLimit(number)));
        assert_eq!(limit(3), Ok(2), "depth of synchronisation");
        cuCtxSetLimit(CuLimit(5), 1 << 20).unwrap();
        assert_eq!(limit(5), Ok(128), "a hint, cut to what there is");
        cuCtxSetLimit(CuLimit(6), 1 << 20).unwrap();
        assert_eq!(limit(6), Ok(0), "no cache can be set aside");
        for number in 7..10 {
            let unsupported = CuError::UNSUPPORTED_LIMIT;
            assert_eq!(limit(number), Err(unsupported), "{number}");
            assert_eq!(
                cuCtxSetLimit(CuLimit(number), 1),
                Err(unsupported),
                "{number}"
            );
        }
        assert_eq!(limit(10), Err(CuError::INVALID_VALUE), "there is none");
        let (mut luid, mut mask) = ([0; 8], 0);
        let known = cuDeviceGetLuid(luid.as_mut_ptr(), &raw mut mask, CuDevice(0));
        assert_eq!(known, Err(CuError::NOT_SUPPORTED), "Windows alone has them");
    });
}
