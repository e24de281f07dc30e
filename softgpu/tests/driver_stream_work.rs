//! What streams do besides kernels and copies: host functions, callbacks, values in memory,
//! attributes, events of whole contexts.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod driver_support;

use std::ffi::c_void;
use std::sync::Mutex;

use driver_support::*;
use flexdirect_wire::abi::*;
use softgpu_cuda::export::*;

/// What host functions and callbacks saw, in order: their data and a result.
static SEEN: Mutex<Vec<(usize, u32)>> = Mutex::new(Vec::new());

extern "C" fn host(data: *mut c_void) {
    let refused = code(cuStreamSynchronize(CuStream(0)));
    SEEN.lock().unwrap().push((data.addr(), refused));
}

extern "C" fn back(_: CuStream, status: CuResult, data: *mut c_void) {
    SEEN.lock().unwrap().push((data.addr(), code(status)));
}

fn data(number: usize) -> *mut c_void {
    std::ptr::without_provenance_mut(number)
}

fn host_function() -> CuHostFn {
    CuHostFn((host as *const c_void).expose_provenance())
}

fn callback() -> CuStreamCallback {
    CuStreamCallback((back as *const c_void).expose_provenance())
}

fn stream() -> CuStream {
    out(|stream| cuStreamCreate(stream, 1)).unwrap()
}

#[test]
fn host_functions_are_called_in_order() {
    alone("host_functions_are_called_in_order", &[], || {
        start();
        let gate = Gate::new(load(PTX).unwrap());
        let own = stream();
        gate.hold(own);
        cuLaunchHostFunc(own, host_function(), data(1)).unwrap();
        cuStreamAddCallback(own, callback(), data(2), 0).unwrap();
        cuLaunchHostFunc_v2(own, host_function(), data(3), 0).unwrap();
        assert!(SEEN.lock().unwrap().is_empty(), "the gate is closed");
        gate.open();
        cuStreamSynchronize(own).unwrap();
        let refused = CuError::NOT_PERMITTED.code();
        assert_eq!(*SEEN.lock().unwrap(), [(1, refused), (2, 0), (3, refused)]);
        let bad = Err(CuError::INVALID_VALUE);
        assert_eq!(cuLaunchHostFunc(own, CuHostFn(0), data(1)), bad);
        assert_eq!(cuLaunchHostFunc_v2(own, host_function(), data(1), 2), bad);
        assert_eq!(cuStreamAddCallback(own, callback(), data(1), 1), bad);
    });
}

#[test]
fn after_a_fault_only_callbacks_are_called() {
    alone("after_a_fault_only_callbacks_are_called", &[], || {
        start();
        let module = load(PTX).unwrap();
        let gate = Gate::new(module);
        let own = stream();
        gate.hold(own);
        launch(function(module, "wild").unwrap(), own, &[]).unwrap();
        cuLaunchHostFunc(own, host_function(), data(1)).unwrap();
        cuStreamAddCallback(own, callback(), data(2), 0).unwrap();
        gate.open();
        let fault = CuError::ILLEGAL_ADDRESS;
        assert_eq!(cuStreamSynchronize(own), Err(fault));
        assert_eq!(*SEEN.lock().unwrap(), [(2, fault.code())]);
    });
}

#[test]
fn a_stream_waits_for_values() {
    alone("a_stream_waits_for_values", &[], || {
        start();
        let memory = allocate(32).unwrap();
        upload(memory, &[0; 32]).unwrap();
        let at = |offset: u64| CuDevicePtr(memory.0 + offset);
        let (waiting, writing) = (stream(), stream());
        cuStreamWaitValue32_v2(waiting, at(0), 5, 0).unwrap();
        cuStreamWaitValue64_v2(waiting, at(8), 1 << 40, 1).unwrap();
        cuStreamWaitValue32_v2(waiting, at(16), 6, 2).unwrap();
        cuStreamWaitValue32_v2(waiting, at(20), !1, 3).unwrap();
        cuStreamWriteValue32_v2(waiting, at(24), 9, 0).unwrap();
        cuStreamWriteValue32_v2(writing, at(0), 4, 0).unwrap();
        cuStreamSynchronize(writing).unwrap();
        assert_eq!(cuStreamQuery(waiting), Err(CuError::NOT_READY));
        cuStreamWriteValue32_v2(writing, at(0), 6, 0).unwrap();
        cuStreamWriteValue64_v2(writing, at(8), 1 << 40, 0).unwrap();
        let add = CuStreamBatchMemOpParams {
            words: [8, 10 << 32, at(16).0, 4, 0, 0],
        };
        let barrier = CuStreamBatchMemOpParams {
            words: [6, 0, 0, 0, 0, 0],
        };
        let mut batch = [barrier, add];
        cuStreamBatchMemOp_v2(writing, 2, batch.as_mut_ptr(), 0).unwrap();
        cuStreamSynchronize(waiting).unwrap();
        assert_eq!((word(at(16)), word(at(24))), (Ok(4), Ok(9)));

        let bad = Err(CuError::INVALID_VALUE);
        assert_eq!(cuStreamWaitValue32_v2(waiting, at(1), 0, 0), bad, "aligned");
        assert_eq!(cuStreamWaitValue32_v2(waiting, at(0), 0, 4), bad);
        assert_eq!(cuStreamWriteValue32_v2(waiting, CuDevicePtr(64), 0, 0), bad);
        assert_eq!(cuStreamWriteValue32_v2(waiting, at(0), 0, 1), bad);
        let flush = cuStreamWaitValue32_v2(waiting, at(0), 0, 1 << 30);
        assert_eq!(flush, Err(CuError::NOT_SUPPORTED));
        assert_eq!(
            cuStreamBatchMemOp_v2(waiting, 257, batch.as_mut_ptr(), 0),
            bad
        );
    });
}

#[test]
fn the_end_of_a_context_ends_its_waits() {
    alone("the_end_of_a_context_ends_its_waits", &[], || {
        cuInit(0).unwrap();
        let context = out(|context| cuCtxCreate_v2(context, 0, CuDevice(0))).unwrap();
        let memory = allocate(4).unwrap();
        upload(memory, &[0; 4]).unwrap();
        cuStreamWaitValue32_v2(stream(), memory, 1, 1).unwrap();
        cuCtxDestroy_v2(context).unwrap();
    });
}

#[test]
fn attributes_are_kept() {
    alone("attributes_are_kept", &[], || {
        start();
        let own = out(|stream| cuStreamCreateWithPriority(stream, 1, -3)).unwrap();
        let get = |stream, attribute| {
            let id = CuStreamAttrID(attribute);
            out(|value| cuStreamGetAttribute(stream, id, value)).map(|value| value.words[0])
        };
        let set = |attribute, number| {
            let mut value = CuStreamAttrValue::default();
            value.words[0] = number;
            cuStreamSetAttribute(own, CuStreamAttrID(attribute), &raw const value)
        };
        let lowest = u64::from((-3i32).cast_unsigned());
        assert_eq!(
            [3, 8, 9, 10].map(|id| get(own, id).unwrap()),
            [1, lowest, 256, 0]
        );
        set(3, 4).unwrap();
        let other = stream();
        cuStreamCopyAttributes(other, own).unwrap();
        assert_eq!(get(other, 3), Ok(4));
        let bad = CuError::INVALID_VALUE;
        assert_eq!(
            (set(3, 9), set(2, 1), get(own, 2)),
            (Err(bad), Err(bad), Err(bad))
        );
        set(8, u64::from((-1i32).cast_unsigned())).unwrap();
        assert_eq!(out(|priority| cuStreamGetPriority(own, priority)), Ok(-1));
    });
}

#[test]
fn an_event_of_a_context_comes_after_all_its_streams() {
    let name = "an_event_of_a_context_comes_after_all_its_streams";
    alone(name, &[], || {
        let context = start();
        let gate = Gate::new(load(PTX).unwrap());
        let event = || out(|event| cuEventCreate(event, 0)).unwrap();
        let (all, own) = (event(), stream());
        gate.hold(own);
        cuCtxRecordEvent(context, all).unwrap();
        assert_eq!(cuEventQuery(all), Err(CuError::NOT_READY));
        gate.open();
        cuEventSynchronize(all).unwrap();
        assert_eq!(cuStreamQuery(own), Ok(()));
    });
}

#[test]
fn all_work_of_a_context_waits_for_an_event() {
    alone("all_work_of_a_context_waits_for_an_event", &[], || {
        cuInit(0).unwrap();
        let make = || out(|context| cuCtxCreate_v2(context, 0, CuDevice(0))).unwrap();
        let context = make();
        let memory = allocate(4).unwrap();
        // The event is of another context, so what makes it ready is not held back.
        make();
        let gate = Gate::new(load(PTX).unwrap());
        let (elsewhere, held) = (stream(), out(|event| cuEventCreate(event, 0)).unwrap());
        gate.hold(elsewhere);
        cuEventRecord(held, elsewhere).unwrap();
        cuCtxWaitEvent(context, held).unwrap();
        out(|popped| cuCtxPopCurrent_v2(popped)).unwrap();
        let own = stream();
        cuMemsetD32Async(memory, 3, 1, own).unwrap();
        assert_eq!(cuStreamQuery(own), Err(CuError::NOT_READY));
        gate.open();
        cuStreamSynchronize(own).unwrap();
        assert_eq!(word(memory), Ok(3));
    });
}
