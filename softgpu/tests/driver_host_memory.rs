//! Host memory that kernels reach: pinned, registered, at its own address.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod driver_support;

use std::ffi::c_void;

use driver_support::*;
use flexdirect_wire::abi::*;
use softgpu_cuda::export::*;

const BAD: Result<(), CuError> = Err(CuError::INVALID_VALUE);

fn pinned(len: usize, flags: u32) -> *mut c_void {
    let mut pointer: *mut c_void = std::ptr::null_mut();
    cuMemHostAlloc(Out(&raw mut pointer), len, flags).unwrap();
    pointer
}

fn address_of(pointer: *mut c_void) -> u64 {
    pointer.expose_provenance() as u64
}

/// What a word of host memory holds, read through the driver.
fn host_word(address: u64) -> u32 {
    let mut value = 0u32;
    let into = CuDevicePtr((&raw mut value).expose_provenance() as u64);
    cuMemcpy(into, CuDevicePtr(address), 4).unwrap();
    value
}

#[test]
fn kernels_reach_pinned_memory() {
    alone("kernels_reach_pinned_memory", &[], || {
        start();
        let module = load(PTX).unwrap();
        let (set, add) = (
            function(module, "set").unwrap(),
            function(module, "add").unwrap(),
        );
        for flags in [0, 1, 2, 4, 7] {
            let pointer = pinned(5000, flags);
            let address = address_of(pointer);
            let device = out(|device| cuMemHostGetDevicePointer_v2(device, pointer, 0)).unwrap();
            assert_eq!(device.0, address, "unified addressing");
            assert_eq!(out(|flags| cuMemHostGetFlags(flags, pointer)), Ok(flags));
            launch(set, CuStream(0), &[address + 4996, 40 + u64::from(flags)]).unwrap();
            launch(add, CuStream(0), &[address + 4996, 2]).unwrap();
            cuCtxSynchronize().unwrap();
            assert_eq!(host_word(address + 4996), 42 + flags);
            cuMemsetD32_v2(device, 7, 4).unwrap();
            cuCtxSynchronize().unwrap();
            assert_eq!(host_word(address + 12), 7, "a memset reaches it, too");
            cuMemFreeHost(pointer).unwrap();
            assert_eq!(cuMemFreeHost(pointer), BAD, "freed twice");
        }
        let inner = pinned(64, 0);
        assert_eq!(
            cuMemFreeHost(inner.wrapping_byte_add(8)),
            BAD,
            "not its start"
        );
        assert_eq!(
            cuMemFree_v2(CuDevicePtr(address_of(inner))),
            BAD,
            "not device memory"
        );
        assert_eq!(
            cuMemHostUnregister(inner),
            Err(CuError::HOST_MEMORY_NOT_REGISTERED)
        );
        let none = |device| cuMemHostGetDevicePointer_v2(device, inner, 1);
        assert_eq!(out(none).map(drop), BAD, "flags must be 0");
        assert_eq!(cuMemHostAlloc(Out(std::ptr::null_mut()), 8, 0), BAD);
        let mut pointer: *mut c_void = std::ptr::null_mut();
        assert_eq!(
            cuMemHostAlloc(Out(&raw mut pointer), 8, 8),
            BAD,
            "no such flag"
        );
    });
}

#[test]
fn a_freed_range_is_no_kernels_any_more() {
    alone("a_freed_range_is_no_kernels_any_more", &[], || {
        start();
        let module = load(PTX).unwrap();
        let set = function(module, "set").unwrap();
        let pointer = pinned(4096, 0);
        launch(set, CuStream(0), &[address_of(pointer), 1]).unwrap();
        cuCtxSynchronize().unwrap();
        cuMemFreeHost(pointer).unwrap();
        launch(set, CuStream(0), &[address_of(pointer), 1]).unwrap();
        assert_eq!(cuCtxSynchronize(), Err(CuError::ILLEGAL_ADDRESS));
    });
}

#[test]
fn registered_memory_is_pinned_where_it_is() {
    alone("registered_memory_is_pinned_where_it_is", &[], || {
        start();
        let module = load(PTX).unwrap();
        let add = function(module, "add").unwrap();
        let mut words = vec![5u32; 1 << 12];
        let pointer: *mut c_void = words.as_mut_ptr().cast();
        let (address, len) = (address_of(pointer), words.len() * 4);
        let missing = Err(CuError::HOST_MEMORY_NOT_REGISTERED);
        assert_eq!(cuMemHostUnregister(pointer), missing);
        assert_eq!(cuMemHostRegister_v2(pointer, 0, 0), BAD);
        assert_eq!(cuMemHostRegister_v2(std::ptr::null_mut(), 8, 0), BAD);
        assert_eq!(cuMemHostRegister_v2(pointer, len, 16), BAD, "no such flag");
        let read_only = cuMemHostRegister_v2(pointer, len, 8);
        assert_eq!(read_only, Err(CuError::NOT_SUPPORTED));
        let nowhere = std::ptr::without_provenance_mut(1 << 20);
        assert_eq!(
            cuMemHostRegister_v2(nowhere, 4096, 0),
            BAD,
            "nothing is there"
        );
        cuMemHostRegister_v2(pointer, len, 3).unwrap();
        let again = Err(CuError::HOST_MEMORY_ALREADY_REGISTERED);
        assert_eq!(cuMemHostRegister_v2(pointer, len, 0), again);
        assert_eq!(
            cuMemHostRegister_v2(pointer.wrapping_byte_add(64), 4, 0),
            again
        );
        assert_eq!(out(|flags| cuMemHostGetFlags(flags, pointer)), Ok(3));
        assert_eq!(cuMemFreeHost(pointer), BAD, "not allocated by the driver");
        let device = out(|device| cuMemHostGetDevicePointer_v2(device, pointer, 0)).unwrap();
        assert_eq!(device.0, address);
        launch(add, CuStream(0), &[address + 400, 37]).unwrap();
        cuCtxSynchronize().unwrap();
        assert_eq!(host_word(address + 400), 42);
        // An asynchronous copy of registered memory does not wait for the stream.
        let gate = Gate::new(module);
        let stream = out(|stream| cuStreamCreate(stream, 1)).unwrap();
        let memory = allocate(len).unwrap();
        gate.hold(stream);
        cuMemcpyAsync(memory, device, len, stream).unwrap();
        gate.open();
        cuStreamSynchronize(stream).unwrap();
        assert_eq!(word(CuDevicePtr(memory.0 + 400)), Ok(42));
        let inside = cuMemHostUnregister(pointer.wrapping_byte_add(4));
        assert_eq!(inside, missing, "not its start");
        cuMemHostUnregister(pointer).unwrap();
        assert_eq!(cuMemHostUnregister(pointer), missing, "unregistered twice");
        drop(words);
        launch(add, CuStream(0), &[address, 1]).unwrap();
        assert_eq!(cuCtxSynchronize(), Err(CuError::ILLEGAL_ADDRESS));
    });
}

#[test]
fn memory_that_kernels_reach_already_is_not_registered() {
    let name = "memory_that_kernels_reach_already_is_not_registered";
    // Managed memory of the first device is a window of the second.
    alone(name, &[("SOFTGPU_DEVICES", "2")], || {
        start();
        let again = Err(CuError::HOST_MEMORY_ALREADY_REGISTERED);
        let len = 2 << 20;
        let place = out(|place| cuMemAddressReserve(place, len, 0, CuDevicePtr(0), 0)).unwrap();
        let mut about = CuMemAllocationProp {
            kind: 1,
            ..CuMemAllocationProp::default()
        };
        about.location.kind = 1;
        let memory = out(|memory| cuMemCreate(memory, len, &raw const about, 0)).unwrap();
        cuMemMap(place, len, 0, memory, 0).unwrap();
        let access = CuMemAccessDesc {
            location: about.location,
            flags: 3,
        };
        cuMemSetAccess(place, len, &raw const access, 1).unwrap();
        let address = usize::try_from(place.0).unwrap();
        for (offset, len) in [(0, len), (4096, 4096), (0, 4)] {
            let inside = std::ptr::with_exposed_provenance_mut(address + offset);
            assert_eq!(cuMemHostRegister_v2(inside, len, 0), again);
        }
        let set = function(load(PTX).unwrap(), "set").unwrap();
        launch(set, CuStream(0), &[place.0 + 8192, 7]).unwrap();
        assert_eq!(word(CuDevicePtr(place.0 + 8192)), Ok(7));
    });
}
