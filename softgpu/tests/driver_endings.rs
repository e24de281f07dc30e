//! What ends while others still use it: contexts with registered memory, waits whose context ends,
//! graphs full of waits.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod driver_support;

use std::ffi::c_void;

use driver_support::*;
use flexdirect_wire::abi::*;
use softgpu_cuda::export::*;

/// `write_on` writes a word a million times.
const LOOP: &str = "
.version 7.0
.target sm_80
.address_size 64
.visible .entry write_on(.param .u64 place)
{
    .reg .u64 %rd<2>; .reg .u32 %r<2>; .reg .pred %p<2>;
    ld.param.u64 %rd1, [place];
    mov.u32 %r1, 1000000;
again:
    st.volatile.global.u32 [%rd1], %r1;
    sub.u32 %r1, %r1, 1;
    setp.ne.u32 %p1, %r1, 0;
    @%p1 bra again;
    ret;
}
";

fn stream() -> CuStream {
    out(|stream| cuStreamCreate(stream, 1)).unwrap()
}

fn event() -> CuEvent {
    out(|event| cuEventCreate(event, 0)).unwrap()
}

fn other_context() -> CuContext {
    out(|context| cuCtxCreate_v2(context, 0, CuDevice(0))).unwrap()
}

fn graph() -> CuGraph {
    let mut graph = CuGraph(0);
    cuGraphCreate(&raw mut graph, 0).unwrap();
    graph
}

fn made(add: impl FnOnce(*mut CuGraphNode) -> CuResult) -> CuGraphNode {
    let mut node = CuGraphNode(0);
    add(&raw mut node).unwrap();
    node
}

fn exec(graph: CuGraph) -> CuGraphExec {
    let mut exec = CuGraphExec(0);
    cuGraphInstantiateWithFlags(&raw mut exec, graph, 0).unwrap();
    exec
}

fn zeros(words: usize) -> CuDevicePtr {
    let memory = allocate(4 * words).unwrap();
    upload(memory, &vec![0; 4 * words]).unwrap();
    memory
}

fn add_fill(graph: CuGraph, target: CuDevicePtr, value: u32) {
    let fill = CudaMemsetNodeParams {
        target: target.0,
        pitch: 0,
        value,
        element_size: 4,
        width: 1,
        height: 1,
    };
    let (none, fill) = (std::ptr::null(), &raw const fill);
    made(|node| cuGraphAddMemsetNode(node, graph, none, 0, fill, CuContext(0)));
}

fn add_wait(graph: CuGraph, event: CuEvent) {
    made(|node| cuGraphAddEventWaitNode(node, graph, std::ptr::null(), 0, event));
}

#[test]
fn the_end_of_a_context_waits_for_those_who_use_its_registered_memory() {
    let name = "the_end_of_a_context_waits_for_those_who_use_its_registered_memory";
    alone(name, &[], || {
        let primary = start();
        let write_on = function(load(LOOP).unwrap(), "write_on").unwrap();
        let (own, done) = (stream(), event());
        let owner = other_context();
        // Large, so that it is unmapped when it is dropped.
        let mut words = vec![0u32; 1 << 20];
        let pointer: *mut c_void = words.as_mut_ptr().cast();
        cuMemHostRegister_v2(pointer, words.len() * 4, 1).unwrap();
        cuCtxSetCurrent(primary).unwrap();
        launch(write_on, own, &[pointer.expose_provenance() as u64]).unwrap();
        cuEventRecord(done, own).unwrap();
        while words[0] == 0 {
            // It has begun when its first word is there.
            std::hint::black_box(&mut words);
        }
        cuCtxDestroy_v2(owner).unwrap();
        assert_eq!(cuEventQuery(done), Ok(()), "the memory is the program's");
        drop(words);
        cuStreamSynchronize(own).unwrap();
    });
}

#[test]
fn work_whose_wait_was_given_up_is_not_done() {
    alone("work_whose_wait_was_given_up_is_not_done", &[], || {
        cuInit(0).unwrap();
        let holder = other_context();
        let gate = Gate::new(load(PTX).unwrap());
        let (held, reached, memory) = (stream(), event(), zeros(1));
        gate.hold(held);
        cuEventRecord(reached, held).unwrap();
        start();
        let own = stream();
        cuStreamWaitEvent(own, reached, 0).unwrap();
        cuMemsetD32Async(memory, 7, 1, own).unwrap();
        cuDevicePrimaryCtxRelease_v2(CuDevice(0)).unwrap();
        cuCtxSetCurrent(holder).unwrap();
        assert_eq!(word(memory), Ok(0), "what it waited for has not happened");
        gate.open();
        cuStreamSynchronize(held).unwrap();
    });
}

#[test]
fn waits_of_a_graph_keep_no_other_work_from_being_done() {
    let name = "waits_of_a_graph_keep_no_other_work_from_being_done";
    alone(name, &[], || {
        start();
        let gate = zeros(1);
        let wait = function(load(PTX).unwrap(), "wait_gate").unwrap();
        let (held, reached) = (stream(), event());
        launch(wait, held, &[gate.0]).unwrap();
        cuEventRecord(reached, held).unwrap();
        let whole = graph();
        for _ in 0..40 {
            add_wait(whole, reached);
        }
        // What they wait for comes last.
        add_fill(whole, gate, 1);
        let (exec, own) = (exec(whole), stream());
        cuGraphLaunch(exec, own).unwrap();
        cuStreamSynchronize(own).unwrap();
        assert_eq!(word(gate), Ok(1));
    });
}

#[test]
fn waits_for_values_in_a_graph_keep_no_other_work_from_being_done() {
    let name = "waits_for_values_in_a_graph_keep_no_other_work_from_being_done";
    alone(name, &[], || {
        start();
        let place = zeros(1);
        let whole = graph();
        for _ in 0..40 {
            let mut wait = [CuStreamBatchMemOpParams {
                words: [1, place.0, 5, 1, 0, 0],
            }];
            let batch = CudaBatchMemOpNodeParams {
                context: CuContext(0),
                count: 1,
                operations: wait.as_mut_ptr(),
                flags: 0,
            };
            let (none, batch) = (std::ptr::null(), &raw const batch);
            made(|node| cuGraphAddBatchMemOpNode(node, whole, none, 0, batch));
        }
        add_fill(whole, place, 5);
        let (exec, own) = (exec(whole), stream());
        for _ in 0..2 {
            cuGraphLaunch(exec, own).unwrap();
        }
        cuStreamSynchronize(own).unwrap();
        assert_eq!(word(place), Ok(5));
    });
}

#[test]
fn the_end_of_a_context_ends_the_waits_of_its_graphs() {
    let name = "the_end_of_a_context_ends_the_waits_of_its_graphs";
    alone(name, &[], || {
        cuInit(0).unwrap();
        let holder = other_context();
        let gate = Gate::new(load(PTX).unwrap());
        let (held, reached, memory) = (stream(), event(), zeros(1));
        gate.hold(held);
        cuEventRecord(reached, held).unwrap();
        for waits in [1, 3] {
            start();
            let whole = graph();
            for _ in 0..waits {
                add_wait(whole, reached);
            }
            let own = stream();
            cuGraphLaunch(exec(whole), own).unwrap();
            cuMemsetD32Async(memory, 7, 1, own).unwrap();
            cuDevicePrimaryCtxRelease_v2(CuDevice(0)).unwrap();
        }
        cuCtxSetCurrent(holder).unwrap();
        assert_eq!(word(memory), Ok(0));
        gate.open();
        cuStreamSynchronize(held).unwrap();
    });
}
