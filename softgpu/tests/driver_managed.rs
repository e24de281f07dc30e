//! Managed memory: one address for the host and every device.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod driver_support;

use std::ffi::c_void;

use driver_support::*;
use flexdirect_wire::abi::*;
use softgpu_cuda::export::*;

const BAD: Result<(), CuError> = Err(CuError::INVALID_VALUE);

const MANAGED: &str = "
.version 7.0
.target sm_80
.address_size 64
.visible .global .attribute(.managed) .align 4 .u32 counter[4] = {40, 1, 2, 3};
.visible .global .align 4 .u32 plain;
.visible .entry count()
{
    .reg .u32 %r<2>;
    atom.global.add.u32 %r1, [counter], 1;
    ret;
}
";

fn managed(len: usize, flags: u32) -> Answer<CuDevicePtr> {
    out(|pointer| cuMemAllocManaged(pointer, len, flags))
}

/// The word at an address of this process, as the host reads it.
fn host_word(address: u64) -> u32 {
    let mut value = 0u32;
    let into = CuDevicePtr((&raw mut value).expose_provenance() as u64);
    cuMemcpy(into, CuDevicePtr(address), 4).unwrap();
    value
}

fn pointer_word(number: u32, address: u64) -> Answer<u64> {
    let mut value = 0u64;
    let attribute = CuPointerAttribute(number);
    cuPointerGetAttribute((&raw mut value).cast(), attribute, CuDevicePtr(address))?;
    Ok(value)
}

#[test]
fn every_device_uses_managed_memory() {
    let variables = [("SOFTGPU_DEVICES", "2")];
    alone("every_device_uses_managed_memory", &variables, || {
        let context = start();
        assert_eq!(managed(0, 1), Err(CuError::INVALID_VALUE));
        assert_eq!(
            managed(64, 4),
            Err(CuError::INVALID_VALUE),
            "not by a single stream"
        );
        assert_eq!(managed(65 << 20, 1), Err(CuError::OUT_OF_MEMORY));
        let memory = managed(4096, 1).unwrap();
        let module = load(PTX).unwrap();
        let set = function(module, "set").unwrap();
        launch(set, CuStream(0), &[memory.0 + 4092, 41]).unwrap();
        cuCtxSynchronize().unwrap();
        assert_eq!(host_word(memory.0 + 4092), 41);
        assert_eq!(pointer_word(8, memory.0 + 7), Ok(1), "managed");
        assert_eq!(pointer_word(3, memory.0 + 7), Ok(memory.0 + 7));
        assert_eq!(pointer_word(4, memory.0 + 7), Ok(memory.0 + 7));
        assert_eq!(pointer_word(1, memory.0), Ok(context.0));
        let plain = allocate(4).unwrap();
        assert_eq!(pointer_word(8, plain.0), Ok(0));
        let second = out(|context| cuDevicePrimaryCtxRetain(context, CuDevice(1))).unwrap();
        cuCtxSetCurrent(second).unwrap();
        let module = load(PTX).unwrap();
        let (set, add) = (
            function(module, "set").unwrap(),
            function(module, "add").unwrap(),
        );
        launch(add, CuStream(0), &[memory.0 + 4092, 1]).unwrap();
        cuCtxSynchronize().unwrap();
        assert_eq!(host_word(memory.0 + 4092), 42, "from the other device");
        cuMemFree_v2(memory).unwrap();
        assert_eq!(cuMemFree_v2(memory), BAD, "freed twice");
        launch(set, CuStream(0), &[memory.0, 1]).unwrap();
        assert_eq!(cuCtxSynchronize(), Err(CuError::ILLEGAL_ADDRESS));
    });
}

fn range_word(attribute: u32, memory: CuDevicePtr, len: usize) -> Answer<i32> {
    let mut value = 0i32;
    let place: *mut c_void = (&raw mut value).cast();
    cuMemRangeGetAttribute(place, 4, CuMemRangeAttribute(attribute), memory, len)?;
    Ok(value)
}

#[test]
fn advice_is_remembered() {
    let variables = [("SOFTGPU_DEVICES", "2")];
    alone("advice_is_remembered", &variables, || {
        start();
        let memory = managed(8192, 1).unwrap();
        let tail = CuDevicePtr(memory.0 + 4096);
        let at = |kind, id| CuMemLocation { kind, id };
        let advise = |number, location| cuMemAdvise_v2(memory, 4096, CuMemAdvise(number), location);
        let all = |attribute| range_word(attribute, memory, 8192).unwrap();
        let first = |attribute| range_word(attribute, memory, 4096).unwrap();
        assert_eq!([1, 2, 4, 5, 6, 7].map(all), [0, -2, -2, 0, 0, 0]);
        advise(1, at(0, 0)).unwrap();
        assert_eq!((first(1), all(1)), (1, 0), "of its bytes alone");
        advise(2, at(0, 0)).unwrap();
        assert_eq!(first(1), 0);
        advise(3, at(1, 1)).unwrap();
        assert_eq!([2, 5, 6].map(first), [1, 1, 1]);
        advise(3, at(2, 0)).unwrap();
        assert_eq!([2, 5, 6].map(first), [-1, 2, 0]);
        assert_eq!(all(2), -2, "the parts differ");
        advise(4, at(0, 0)).unwrap();
        assert_eq!(first(2), -2);
        advise(5, at(1, 1)).unwrap();
        cuMemAdvise(memory, 4096, CuMemAdvise(5), CuDevice(-1)).unwrap();
        let mut users = [9i32; 4];
        let by = |users: &mut [i32; 4], len| {
            let place: *mut c_void = users.as_mut_ptr().cast();
            cuMemRangeGetAttribute(place, 16, CuMemRangeAttribute(3), memory, len)
        };
        by(&mut users, 4096).unwrap();
        assert_eq!(users, [-1, 1, -2, -2]);
        by(&mut users, 8192).unwrap();
        assert_eq!(users, [-2; 4]);
        advise(6, at(1, 1)).unwrap();
        by(&mut users, 4096).unwrap();
        assert_eq!(users, [-1, -2, -2, -2]);
        let prefetch = |location| cuMemPrefetchAsync_v2(tail, 4096, location, 0, CuStream(0));
        prefetch(at(1, 1)).unwrap();
        assert_eq!(range_word(4, tail, 4096), Ok(1));
        prefetch(at(2, 0)).unwrap();
        assert_eq!(range_word(4, tail, 4096), Ok(-1));
        assert_eq!(prefetch(at(1, 9)), Err(CuError::INVALID_DEVICE));
        assert_eq!(prefetch(at(9, 0)), BAD);
        let beyond = cuMemPrefetchAsync(tail, 4097, CuDevice(0), CuStream(0));
        assert_eq!(beyond, BAD);
        assert_eq!(advise(7, at(1, 0)), BAD);
        let plain = allocate(4096).unwrap();
        assert_eq!(cuMemAdvise(plain, 4096, CuMemAdvise(1), CuDevice(0)), BAD);
        assert_eq!(range_word(1, plain, 4096).map(drop), BAD);
        assert_eq!(range_word(9, memory, 4096).map(drop), BAD);
        let mut words = [0i32; 2];
        let place: *mut c_void = words.as_mut_ptr().cast();
        let long = cuMemRangeGetAttribute(place, 8, CuMemRangeAttribute(1), memory, 4096);
        assert_eq!(long, BAD, "one word is all there is");
        let mut places = [place, place.wrapping_byte_add(4)];
        let mut sizes = [4usize, 4];
        let mut names = [CuMemRangeAttribute(2), CuMemRangeAttribute(4)];
        let (sizes, names) = (sizes.as_mut_ptr(), names.as_mut_ptr());
        cuMemRangeGetAttributes(places.as_mut_ptr(), sizes, names, 2, tail, 8).unwrap();
        assert_eq!(words, [-2, -1]);
    });
}

#[test]
fn managed_variables_are_one_for_all() {
    let variables = [("SOFTGPU_DEVICES", "2")];
    alone("managed_variables_are_one_for_all", &variables, || {
        start();
        let image = text(MANAGED);
        let image = InBytes(image.as_ptr().cast_mut().cast());
        let no_values: *mut *mut c_void = std::ptr::null_mut();
        let library = out(|library| {
            let (options, more) = (Out(std::ptr::null_mut()), Out(std::ptr::null_mut()));
            cuLibraryLoadData(library, image, options, no_values, 0, more, no_values, 0)
        })
        .unwrap();
        let (counter, plain) = (text("counter"), text("plain"));
        let mut len = 0usize;
        let get = |text: &std::ffi::CString, len: *mut usize| {
            out(|place| cuLibraryGetManaged(place, Out(len), library, name(text)))
        };
        let place = get(&counter, &raw mut len).unwrap();
        assert_eq!(len, 16);
        assert_eq!(get(&plain, &raw mut len), Err(CuError::NOT_FOUND));
        assert_eq!(host_word(place.0), 40, "what it holds at first");
        assert_eq!(pointer_word(8, place.0), Ok(1), "managed");
        assert_eq!(cuMemFree_v2(place), BAD, "the library's");
        let count = text("count");
        let run = || {
            let kernel = out(|kernel| cuLibraryGetKernel(kernel, library, name(&count)));
            launch(CuFunction(kernel.unwrap().0), CuStream(0), &[]).unwrap();
            cuCtxSynchronize().unwrap();
        };
        run();
        let second = out(|context| cuDevicePrimaryCtxRetain(context, CuDevice(1))).unwrap();
        cuCtxSetCurrent(second).unwrap();
        run();
        assert_eq!(host_word(place.0), 42, "counted by both devices");
        assert_eq!(get(&counter, &raw mut len), Ok(place));
        let global =
            out(|place| cuLibraryGetGlobal(place, Out(&raw mut len), library, name(&counter)));
        assert_eq!(global, Ok(place));
        cuLibraryUnload(library).unwrap();
        assert_eq!(pointer_word(8, place.0).map(drop), BAD);
        // A module's own goes with it.
        let module = load(MANAGED).unwrap();
        let own =
            out(|place| cuModuleGetGlobal_v2(place, Out(&raw mut len), module, name(&counter)));
        assert_eq!(pointer_word(8, own.unwrap().0), Ok(1));
        cuModuleUnload(module).unwrap();
    });
}

#[test]
fn managed_variables_need_no_context() {
    alone("managed_variables_need_no_context", &[], || {
        cuInit(0).unwrap();
        let image = text(MANAGED);
        let image = InBytes(image.as_ptr().cast_mut().cast());
        let no_values: *mut *mut c_void = std::ptr::null_mut();
        let library = out(|library| {
            let (options, more) = (Out(std::ptr::null_mut()), Out(std::ptr::null_mut()));
            cuLibraryLoadData(library, image, options, no_values, 0, more, no_values, 0)
        })
        .unwrap();
        let counter = text("counter");
        let get = || {
            let len = Out(std::ptr::null_mut());
            out(|place| cuLibraryGetManaged(place, len, library, name(&counter)))
        };
        let place = get().unwrap();
        start();
        assert_eq!(host_word(place.0), 40, "what it holds at first");
        let count = text("count");
        let kernel = out(|kernel| cuLibraryGetKernel(kernel, library, name(&count))).unwrap();
        launch(CuFunction(kernel.0), CuStream(0), &[]).unwrap();
        cuCtxSynchronize().unwrap();
        assert_eq!(host_word(place.0), 41, "kernels use the same one");
        cuDevicePrimaryCtxReset_v2(CuDevice(0)).unwrap();
        assert_eq!(pointer_word(8, place.0), Ok(1), "it outlives contexts");
        assert_eq!(get(), Ok(place));
    });
}

#[test]
fn batches_of_managed_memory_are_remembered() {
    alone("batches_of_managed_memory_are_remembered", &[], || {
        start();
        let stream = out(|stream| cuStreamCreate(stream, 1)).unwrap();
        let memory = out(|place| cuMemAllocManaged(place, 4096, 1)).unwrap();
        let places = |len, step| {
            let mut found = [CuMemLocation { kind: 77, id: 77 }; 4];
            cuMemGetLocationInfo(memory, len, step, 0, found.as_mut_ptr())?;
            Ok(found.map(|place| place.kind))
        };
        assert_eq!(places(4096, 1024), Ok([0; 4]), "nobody has asked for it");
        let run = |count, firsts: &mut [usize; 2], stream| {
            let mut ranges = [0, 1024, 2048].map(|offset| CuDevicePtr(memory.0 + offset));
            let mut lens = [1024usize; 3];
            let mut locations = [
                CuMemLocation { kind: 1, id: 0 },
                CuMemLocation { kind: 2, id: 0 },
            ];
            cuMemPrefetchBatchAsync(
                ranges.as_mut_ptr(),
                lens.as_mut_ptr(),
                count,
                locations.as_mut_ptr(),
                firsts.as_mut_ptr(),
                2,
                0,
                stream,
            )
        };
        run(3, &mut [0, 2], stream).unwrap();
        assert_eq!(places(4096, 1024), Ok([1, 1, 2, 0]));
        assert_eq!(places(4096, 2048), Ok([1, 2, 77, 77]));
        assert_eq!(run(3, &mut [1, 2], stream), BAD);
        assert_eq!(run(2, &mut [0, 2], stream), BAD);
        assert_eq!(
            run(3, &mut [0, 2], CuStream(0)),
            BAD,
            "not the legacy stream"
        );
        assert_eq!(places(8192, 1024), Err(CuError::INVALID_VALUE));
        assert_eq!(places(4096, 0), Err(CuError::INVALID_VALUE));
        let (mut place, mut len) = (memory, 4096usize);
        cuMemDiscardBatchAsync(&raw mut place, &raw mut len, 1, 0, stream).unwrap();
        len = 8192;
        assert_eq!(
            cuMemDiscardBatchAsync(&raw mut place, &raw mut len, 1, 0, stream),
            BAD
        );
        cuStreamSynchronize(stream).unwrap();
    });
}
