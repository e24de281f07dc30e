//! Contexts, streams, events and memory that end while others still use them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod driver_support;

use std::ffi::c_void;

use driver_support::*;
use flexdirect_wire::abi::*;
use softgpu_cuda::export::*;

fn stream(flags: u32) -> CuStream {
    out(|stream| cuStreamCreate(stream, flags)).unwrap()
}

#[test]
fn a_retain_waits_for_the_release_before_it() {
    alone("a_retain_waits_for_the_release_before_it", &[], || {
        cuInit(0).unwrap();
        let threads: Vec<_> = (0..2)
            .map(|_| {
                std::thread::spawn(|| {
                    for _ in 0..500 {
                        start();
                        let module = load(PTX).unwrap();
                        let set = function(module, "set").unwrap();
                        let memory = allocate(4).unwrap();
                        launch(set, CuStream(0), &[memory.0, 7]).unwrap();
                        assert_eq!(word(memory), Ok(7));
                        cuDevicePrimaryCtxRelease(CuDevice(0)).unwrap();
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

#[test]
fn a_reset_ends_a_kernel_without_end_and_keeps_the_retains() {
    let name = "a_reset_ends_a_kernel_without_end_and_keeps_the_retains";
    alone(name, &[], || {
        start();
        let forever = function(load(PTX).unwrap(), "forever").unwrap();
        launch(forever, CuStream(0), &[]).unwrap();
        cuDevicePrimaryCtxReset(CuDevice(0)).unwrap();
        cuCtxSynchronize().unwrap();
        assert!(load(PTX).is_ok());
    });
}

#[test]
fn a_context_is_destroyed_once() {
    alone("a_context_is_destroyed_once", &[], || {
        cuInit(0).unwrap();
        for _ in 0..50 {
            let context = out(|context| cuCtxCreate_v2(context, 0, CuDevice(0))).unwrap();
            let threads: Vec<_> = (0..4)
                .map(|_| std::thread::spawn(move || cuCtxDestroy_v2(context).is_ok()))
                .collect();
            let destroyed = threads.into_iter().map(|thread| thread.join().unwrap());
            assert_eq!(destroyed.filter(|&done| done).count(), 1);
        }
    });
}

#[test]
fn pinned_memory_outlives_the_copies_of_other_contexts() {
    let name = "pinned_memory_outlives_the_copies_of_other_contexts";
    alone(name, &[], || {
        const LEN: usize = 8 << 20;
        let primary = start();
        let module = load(PTX).unwrap();
        let gate = Gate::new(module);
        let (memory, own) = (allocate(LEN).unwrap(), stream(1));
        let other = out(|context| cuCtxCreate_v2(context, 0, CuDevice(0))).unwrap();
        let pinned: *mut c_void = {
            let mut pinned = std::ptr::null_mut();
            cuMemAllocHost_v2(Out(&raw mut pinned), LEN).unwrap();
            pinned
        };
        cuCtxSetCurrent(primary).unwrap();
        gate.hold(own);
        cuMemcpyHtoDAsync_v2(memory, InBytes(pinned), LEN, own).unwrap();
        cuCtxDestroy_v2(other).unwrap();
        gate.open();
        cuStreamSynchronize(own).unwrap();
        assert_eq!(download(memory, LEN), Ok(vec![0; LEN]));
    });
}

#[test]
fn a_stream_and_an_event_destroyed_with_work_pending_still_do_it() {
    let name = "a_stream_and_an_event_destroyed_with_work_pending_still_do_it";
    alone(name, &[], || {
        start();
        let module = load(PTX).unwrap();
        let (gate, set) = (Gate::new(module), function(module, "set").unwrap());
        let memory = allocate(8).unwrap();
        upload(memory, &[0; 8]).unwrap();
        let (first, second) = (stream(1), stream(1));
        let event = out(|event| cuEventCreate(event, 0)).unwrap();
        gate.hold(first);
        launch(set, first, &[memory.0, 1]).unwrap();
        cuEventRecord(event, first).unwrap();
        cuStreamWaitEvent(second, event, 0).unwrap();
        // The second record does not change what the second stream waits for.
        let third = stream(1);
        cuEventRecord(event, third).unwrap();
        cuEventSynchronize(event).unwrap();
        launch(set, second, &[memory.0 + 4, 2]).unwrap();
        cuEventDestroy_v2(event).unwrap();
        cuStreamDestroy_v2(first).unwrap();
        assert_eq!(cuStreamQuery(first), Err(CuError::INVALID_HANDLE));
        assert_eq!(cuStreamQuery(second), Err(CuError::NOT_READY));
        gate.open();
        cuStreamSynchronize(second).unwrap();
        assert_eq!(word(memory), Ok(1));
        assert_eq!(word(CuDevicePtr(memory.0 + 4)), Ok(2));
    });
}

#[test]
fn streams_that_wait_for_one_another_in_turn_come_to_an_end() {
    let name = "streams_that_wait_for_one_another_in_turn_come_to_an_end";
    alone(name, &[], || {
        let context = start();
        let add = function(load(PTX).unwrap(), "add").unwrap();
        let memory = allocate(4).unwrap();
        upload(memory, &[0; 4]).unwrap();
        let streams: Vec<CuStream> = (0..4).map(|index| stream(index % 2)).collect();
        let events: Vec<CuEvent> = (0..4)
            .map(|_| out(|event| cuEventCreate(event, 2)).unwrap())
            .collect();
        let threads: Vec<_> = (0..4usize)
            .map(|own| {
                let (streams, events) = (streams.clone(), events.clone());
                std::thread::spawn(move || {
                    cuCtxSetCurrent(context).unwrap();
                    for round in 0..200 {
                        let next = (own + 1) % 4;
                        cuStreamWaitEvent(streams[own], events[next], 0).unwrap();
                        launch(add, streams[own], &[memory.0, 1]).unwrap();
                        cuEventRecord(events[own], streams[own]).unwrap();
                        match round % 50 {
                            0 => cuStreamSynchronize(streams[next]).unwrap(),
                            1 => cuEventSynchronize(events[next]).unwrap(),
                            2 => cuCtxSynchronize().unwrap(),
                            3 => cuStreamSynchronize(CuStream(0)).unwrap(),
                            _ => {}
                        }
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        cuCtxSynchronize().unwrap();
        assert_eq!(word(memory), Ok(800));
    });
}

#[test]
fn a_module_variable_of_a_whole_device_takes_no_memory_of_the_host() {
    let name = "a_module_variable_of_a_whole_device_takes_no_memory_of_the_host";
    alone(name, &[("SOFTGPU_MEMORY", "512G")], || {
        start();
        // What a wild kernel left in free memory does not show in a variable.
        let dirty = allocate(3 << 20).unwrap();
        cuMemsetD8_v2(dirty, 0xee, 3 << 20).unwrap();
        cuMemFree_v2(dirty).unwrap();
        let text = format!(
            ".version 7.0\n.target sm_80\n.address_size 64\n\
             .visible .global .align 4 .u32 large[{}] = {{1, 2}};",
            100u64 << 30
        );
        let module = load(&text).unwrap();
        let variable = text_global(module, "large");
        let mut head = vec![0; 64];
        (head[0], head[4]) = (1, 2);
        assert_eq!(download(variable, 64), Ok(head));
        assert_eq!(
            download(CuDevicePtr(variable.0 + 64), 3 << 20),
            Ok(vec![0; 3 << 20])
        );
        let huge = text.replace(&(100u64 << 30).to_string(), &(1u64 << 42).to_string());
        assert_eq!(load(&huge), Err(CuError::OUT_OF_MEMORY));
    });
}

fn text_global(module: CuModule, variable: &str) -> CuDevicePtr {
    let variable = text(variable);
    out(|pointer| cuModuleGetGlobal_v2(pointer, Out(std::ptr::null_mut()), module, name(&variable)))
        .unwrap()
}
