//! Order of work: streams, default streams, events. A gate holds streams up, so that nothing here
//! depends on how fast anything is.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod driver_support;

use std::ffi::c_void;

use driver_support::*;
use flexdirect_wire::abi::*;
use softgpu_cuda::export::*;

const READY: CuResult = Ok(());
const BUSY: CuResult = Err(CuError::NOT_READY);

fn stream(flags: u32) -> CuStream {
    out(|stream| cuStreamCreate(stream, flags)).unwrap()
}

fn event(flags: u32) -> CuEvent {
    out(|event| cuEventCreate(event, flags)).unwrap()
}

/// A module, a gate, the kernel `set`, and a word that is 0.
fn stage() -> (Gate, CuFunction, CuDevicePtr) {
    start();
    let module = load(PTX).unwrap();
    let memory = allocate(64).unwrap();
    upload(memory, &[0; 64]).unwrap();
    (Gate::new(module), function(module, "set").unwrap(), memory)
}

#[test]
fn a_stream_is_asynchronous_and_in_order() {
    alone("a_stream_is_asynchronous_and_in_order", &[], || {
        let (gate, set, memory) = stage();
        let own = stream(1);
        gate.hold(own);
        launch(set, own, &[memory.0, 7]).unwrap();
        cuMemsetD32Async(CuDevicePtr(memory.0 + 4), 9, 1, own).unwrap();
        assert_eq!(cuStreamQuery(own), BUSY);
        let other = stream(1);
        assert_eq!(cuStreamQuery(other), READY);
        assert_eq!(
            word(memory),
            Ok(0),
            "copies of the default stream pass a non-blocking one"
        );
        gate.open();
        cuStreamSynchronize(own).unwrap();
        assert_eq!(cuStreamQuery(own), READY);
        assert_eq!(
            (word(memory), word(CuDevicePtr(memory.0 + 4))),
            (Ok(7), Ok(9))
        );
    });
}

#[test]
fn the_legacy_stream_and_blocking_streams_wait_for_one_another() {
    let name = "the_legacy_stream_and_blocking_streams_wait_for_one_another";
    alone(name, &[], || {
        let (gate, set, memory) = stage();
        let (blocking, free) = (stream(0), stream(1));
        gate.hold(blocking);
        launch(set, CuStream(0), &[memory.0, 1]).unwrap();
        let after = stream(0);
        launch(set, after, &[memory.0 + 4, 2]).unwrap();
        launch(set, free, &[memory.0 + 8, 3]).unwrap();
        cuStreamSynchronize(free).unwrap();
        for busy in [blocking, CuStream(0), CuStream::LEGACY, after] {
            assert_eq!(cuStreamQuery(busy), BUSY);
        }
        gate.open();
        cuStreamSynchronize(after).unwrap();
        assert_eq!(cuStreamQuery(CuStream(0)), READY, "it came before");
        assert_eq!(cuStreamQuery(blocking), READY);
        let words = [0, 4, 8].map(|offset| word(CuDevicePtr(memory.0 + offset)).unwrap());
        assert_eq!(words, [1, 2, 3]);
    });
}

#[test]
fn a_synchronous_copy_waits_for_blocking_streams() {
    alone("a_synchronous_copy_waits_for_blocking_streams", &[], || {
        let (gate, set, memory) = stage();
        let blocking = stream(0);
        gate.hold(blocking);
        launch(set, blocking, &[memory.0, 5]).unwrap();
        gate.open();
        assert_eq!(word(memory), Ok(5));
    });
}

#[test]
fn a_thread_has_a_default_stream() {
    alone("a_thread_has_a_default_stream", &[], || {
        let (gate, set, memory) = stage();
        let context = out(|context| cuCtxGetCurrent(context)).unwrap();
        gate.hold(CuStream::PER_THREAD);
        assert_eq!(cuStreamQuery(CuStream::PER_THREAD), BUSY);
        assert_eq!(cuStreamQuery_ptsz(CuStream(0)), BUSY, "the twin's stream 0");
        assert_eq!(
            cuStreamQuery(CuStream(0)),
            BUSY,
            "the legacy stream would wait for it"
        );
        let elsewhere = std::thread::spawn(move || {
            cuCtxSetCurrent(context).unwrap();
            assert_eq!(
                cuStreamQuery(CuStream::PER_THREAD),
                READY,
                "another thread's"
            );
            let pointers: [u64; 2] = [memory.0, 6];
            launch(set, CuStream::PER_THREAD, &pointers).unwrap();
            cuStreamSynchronize_ptsz(CuStream(0)).unwrap();
        });
        elsewhere.join().unwrap();
        gate.open();
        cuStreamSynchronize(CuStream::PER_THREAD).unwrap();
        assert_eq!(word(memory), Ok(6));
        let ids = [CuStream(0), CuStream::PER_THREAD]
            .map(|stream| out(|id| cuStreamGetId(stream, id)).unwrap());
        assert_ne!(ids[0], ids[1]);
    });
}

#[test]
fn events_are_reached_in_their_streams() {
    alone("events_are_reached_in_their_streams", &[], || {
        let (gate, set, memory) = stage();
        let (first, second) = (stream(1), stream(1));
        let (start, end, untimed) = (event(0), event(0), event(2));
        assert_eq!(cuEventQuery(start), READY, "never recorded");
        cuEventSynchronize(start).unwrap();
        cuEventRecord(start, first).unwrap();
        gate.hold(first);
        launch(set, first, &[memory.0, 1]).unwrap();
        cuEventRecord(end, first).unwrap();
        cuEventRecord(untimed, first).unwrap();
        cuStreamWaitEvent(second, end, 0).unwrap();
        launch(set, second, &[memory.0, 2]).unwrap();
        assert_eq!(cuEventQuery(end), BUSY);
        assert_eq!(cuStreamQuery(second), BUSY);
        cuEventSynchronize(start).unwrap();
        let elapsed = |from, to| out(|time| cuEventElapsedTime_v2(time, from, to));
        assert_eq!(elapsed(start, end), Err(CuError::NOT_READY));
        gate.open();
        cuStreamSynchronize(second).unwrap();
        assert_eq!(cuEventQuery(end), READY);
        assert_eq!(word(memory), Ok(2), "in the order of the event");
        assert!(elapsed(start, end).unwrap() > 0.0);
        assert_eq!(elapsed(start, untimed), Err(CuError::INVALID_HANDLE));
        cuEventDestroy_v2(end).unwrap();
        assert_eq!(cuEventQuery(end), Err(CuError::INVALID_HANDLE));
        let interprocess = out(|event| cuEventCreate(event, 6));
        assert_eq!(interprocess, Err(CuError::NOT_SUPPORTED));
    });
}

#[test]
fn a_destroyed_stream_does_what_it_has() {
    alone("a_destroyed_stream_does_what_it_has", &[], || {
        let (gate, set, memory) = stage();
        let own = stream(0);
        gate.hold(own);
        launch(set, own, &[memory.0, 3]).unwrap();
        cuStreamDestroy_v2(own).unwrap();
        assert_eq!(cuStreamQuery(own), Err(CuError::INVALID_HANDLE));
        gate.open();
        cuCtxSynchronize().unwrap();
        assert_eq!(word(memory), Ok(3));
    });
}

#[test]
fn pinned_copies_happen_in_the_stream_and_pageable_ones_at_once() {
    let name = "pinned_copies_happen_in_the_stream_and_pageable_ones_at_once";
    alone(name, &[], || {
        let (gate, _, memory) = stage();
        let own = stream(1);
        let mut pinned: *mut c_void = std::ptr::null_mut();
        cuMemAllocHost_v2(Out(&raw mut pinned), 4096).unwrap();
        let pinned_address = CuDevicePtr(pinned.expose_provenance() as u64);
        let fill = |value: u8| {
            let bytes = [value; 8];
            let source = CuDevicePtr((&raw const bytes).expose_provenance() as u64);
            cuMemcpy(pinned_address, source, 8).unwrap();
        };
        fill(1);
        gate.hold(own);
        let mut pageable = [1u8; 8];
        let second = CuDevicePtr(memory.0 + 8);
        cuMemcpyHtoDAsync_v2(memory, InBytes(pinned), 8, own).unwrap();
        let source = InBytes(pageable.as_mut_ptr().cast());
        cuMemcpyHtoDAsync_v2(second, source, 8, own).unwrap();
        assert_eq!(cuStreamQuery(own), BUSY, "neither waits");
        fill(2);
        pageable.fill(2);
        gate.open();
        cuStreamSynchronize(own).unwrap();
        assert_eq!(
            download(memory, 8).unwrap(),
            [2; 8],
            "read when the stream got there"
        );
        assert_eq!(download(second, 8).unwrap(), [1; 8], "read at the call");
        let back = OutBytes(pageable.as_mut_ptr().cast());
        cuMemcpyDtoHAsync_v2(back, memory, 8, own).unwrap();
        assert_eq!(pageable, [2; 8], "to pageable memory the call waits");
    });
}

#[test]
fn streams_know_what_they_are() {
    alone("streams_know_what_they_are", &[], || {
        let context = start();
        let own = out(|stream| cuStreamCreateWithPriority(stream, 1, -99)).unwrap();
        assert_eq!(out(|flags| cuStreamGetFlags(own, flags)), Ok(1));
        assert_eq!(
            out(|priority| cuStreamGetPriority(own, priority)),
            Ok(-5),
            "clamped"
        );
        assert_eq!(out(|of| cuStreamGetCtx(own, of)), Ok(context));
        assert_eq!(
            out(|device| cuStreamGetDevice(own, device)),
            Ok(CuDevice(0))
        );
        assert_eq!(out(|status| cuStreamIsCapturing(own, status)).unwrap().0, 0);
        let bad = out(|stream| cuStreamCreate(stream, 2));
        assert_eq!(bad, Err(CuError::INVALID_VALUE));
        assert_eq!(
            cuStreamCreate(Out(std::ptr::null_mut()), 0),
            Err(CuError::INVALID_VALUE)
        );
    });
}

#[test]
fn many_threads_and_streams() {
    alone("many_threads_and_streams", &[], || {
        start();
        let module = load(PTX).unwrap();
        let add = function(module, "add").unwrap();
        let sum = allocate(4).unwrap();
        upload(sum, &[0; 4]).unwrap();
        let context = out(|context| cuCtxGetCurrent(context)).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    cuCtxSetCurrent(context).unwrap();
                    let own = stream(0);
                    for round in 0..50 {
                        launch(add, own, &[sum.0, 1]).unwrap();
                        if round % 10 == 0 {
                            launch(add, CuStream(0), &[sum.0, 1]).unwrap();
                            cuStreamSynchronize(own).unwrap();
                        }
                    }
                    cuStreamDestroy_v2(own).unwrap();
                });
            }
        });
        cuCtxSynchronize().unwrap();
        assert_eq!(word(sum), Ok(4 * 55));
    });
}

#[test]
fn a_long_queue_is_worked_off() {
    alone("a_long_queue_is_worked_off", &[], || {
        start();
        let add = function(load(PTX).unwrap(), "add").unwrap();
        let sum = allocate(4).unwrap();
        upload(sum, &[0; 4]).unwrap();
        let own = stream(1);
        for _ in 0..5000 {
            launch(add, own, &[sum.0, 1]).unwrap();
        }
        cuStreamSynchronize(own).unwrap();
        assert_eq!(word(sum), Ok(5000));
    });
}
