//! Stream capture: what is captured and how it is connected, and what makes a capture invalid.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod driver_support;

use std::ffi::c_void;
use std::sync::atomic::{AtomicUsize, Ordering};

use driver_support::*;
use flexdirect_wire::abi::*;
use softgpu_cuda::export::*;

const GLOBAL: CuStreamCaptureMode = CuStreamCaptureMode(0);
const LOCAL: CuStreamCaptureMode = CuStreamCaptureMode(1);
const RELAXED: CuStreamCaptureMode = CuStreamCaptureMode(2);
const UNSUPPORTED: CuError = CuError::STREAM_CAPTURE_UNSUPPORTED;
const INVALIDATED: CuError = CuError::STREAM_CAPTURE_INVALIDATED;

fn stream() -> CuStream {
    out(|stream| cuStreamCreate(stream, 1)).unwrap()
}

fn event() -> CuEvent {
    out(|event| cuEventCreate(event, 2)).unwrap()
}

fn memory(words: usize) -> CuDevicePtr {
    let memory = allocate(4 * words).unwrap();
    upload(memory, &vec![0; 4 * words]).unwrap();
    memory
}

/// A new stream that is captured.
fn captured(mode: CuStreamCaptureMode) -> CuStream {
    let own = stream();
    cuStreamBeginCapture_v2(own, mode).unwrap();
    own
}

fn ended(stream: CuStream) -> Answer<CuGraph> {
    let mut graph = CuGraph(99);
    let result = cuStreamEndCapture(stream, &raw mut graph);
    assert_eq!(result.is_err(), graph.0 == 0, "no graph with an error");
    result.map(|()| graph)
}

fn status(stream: CuStream) -> Answer<u32> {
    out(|status| cuStreamIsCapturing(stream, status)).map(|status: CuStreamCaptureStatus| status.0)
}

/// Launches and waits.
fn run(graph: CuGraph, times: usize) {
    let mut exec = CuGraphExec(0);
    cuGraphInstantiateWithFlags(&raw mut exec, graph, 0).unwrap();
    let own = stream();
    for _ in 0..times {
        cuGraphLaunch(exec, own).unwrap();
    }
    cuStreamSynchronize(own).unwrap();
    cuGraphExecDestroy(exec).unwrap();
}

/// Kinds of the nodes, and the edges as indices of nodes.
fn form(graph: CuGraph) -> (Vec<u32>, Vec<(usize, usize)>) {
    let mut nodes = vec![CuGraphNode(0); 32];
    let mut len = nodes.len();
    cuGraphGetNodes(graph, nodes.as_mut_ptr(), &raw mut len).unwrap();
    nodes.truncate(len);
    let kind = |node: &CuGraphNode| {
        let mut kind = CuGraphNodeType(99);
        cuGraphNodeGetType(*node, &raw mut kind).unwrap();
        kind.0
    };
    let (mut from, mut to) = (vec![CuGraphNode(0); 32], vec![CuGraphNode(0); 32]);
    let mut len = from.len();
    cuGraphGetEdges(graph, from.as_mut_ptr(), to.as_mut_ptr(), &raw mut len).unwrap();
    let index = |node: &CuGraphNode| nodes.iter().position(|own| own == node).unwrap();
    let edges = from[..len].iter().zip(&to[..len]);
    let mut edges: Vec<_> = edges.map(|(from, to)| (index(from), index(to))).collect();
    edges.sort_unstable();
    (nodes.iter().map(kind).collect(), edges)
}

static CALLED: AtomicUsize = AtomicUsize::new(0);

extern "C" fn count(data: *mut c_void) {
    CALLED.fetch_add(data.addr(), Ordering::Relaxed);
}

#[test]
fn work_is_captured_and_done_by_launches() {
    alone("work_is_captured_and_done_by_launches", &[], || {
        start();
        let add = function(load(PTX).unwrap(), "add").unwrap();
        let words = memory(4);
        let at = |index: u64| CuDevicePtr(words.0 + 4 * index);
        let own = stream();
        assert_eq!(status(own), Ok(0));
        cuStreamBeginCapture_v2(own, GLOBAL).unwrap();
        assert_eq!(status(own), Ok(1));
        launch(add, own, &[at(0).0, 5]).unwrap();
        cuMemcpyDtoDAsync_v2(at(1), at(0), 4, own).unwrap();
        cuMemsetD16Async(at(2), 0x1234, 2, own).unwrap();
        let function = CuHostFn((count as *const c_void).expose_provenance());
        cuLaunchHostFunc(own, function, std::ptr::without_provenance_mut(3)).unwrap();
        cuStreamWriteValue32_v2(own, at(3), 77, 0).unwrap();
        let graph = ended(own).unwrap();
        assert_eq!(status(own), Ok(0));
        cuStreamSynchronize(own).unwrap();
        assert_eq!(download(words, 16).unwrap(), [0; 16], "nothing is done");
        let chain = (0..4).map(|from| (from, from + 1)).collect();
        assert_eq!(form(graph), (vec![0, 1, 2, 3, 12], chain));
        run(graph, 2);
        let words: Vec<u32> = (0..4).map(|index| word(at(index)).unwrap()).collect();
        assert_eq!(words, [10, 10, 0x1234_1234, 77]);
        assert_eq!(CALLED.load(Ordering::Relaxed), 6);
    });
}

#[test]
fn host_memory_is_read_when_the_graph_is_launched() {
    alone(
        "host_memory_is_read_when_the_graph_is_launched",
        &[],
        || {
            start();
            let target = memory(1);
            let (mut source, mut back) = ([1u8; 4], [0u8; 4]);
            let own = captured(GLOBAL);
            let from = InBytes((&raw mut source).cast());
            cuMemcpyHtoDAsync_v2(target, from, 4, own).unwrap();
            cuMemcpyDtoHAsync_v2(OutBytes((&raw mut back).cast()), target, 4, own).unwrap();
            let graph = ended(own).unwrap();
            source = [9; 4];
            std::hint::black_box(&mut source);
            run(graph, 1);
            assert_eq!(word(target), Ok(0x0909_0909));
            assert_eq!(std::hint::black_box(back), [9; 4]);
        },
    );
}

#[test]
fn events_fork_and_join() {
    alone("events_fork_and_join", &[], || {
        start();
        let words = memory(4);
        let at = |index: u64| CuDevicePtr(words.0 + 4 * index);
        let (own, side, forked, joined) = (stream(), stream(), event(), event());
        let begin = || {
            cuStreamBeginCapture_v2(own, GLOBAL).unwrap();
            cuMemsetD32Async(at(0), 1, 1, own).unwrap();
            cuEventRecord(forked, own).unwrap();
            cuStreamWaitEvent(side, forked, 0).unwrap();
            assert_eq!(status(side), Ok(1), "it has joined the capture");
            cuMemcpyDtoDAsync_v2(at(1), at(0), 4, side).unwrap();
            cuMemcpyDtoDAsync_v2(at(2), at(0), 4, own).unwrap();
        };
        begin();
        cuEventRecord(joined, side).unwrap();
        cuStreamWaitEvent(own, joined, 0).unwrap();
        cuMemcpyDtoDAsync_v2(at(3), at(1), 4, own).unwrap();
        let graph = ended(own).unwrap();
        assert_eq!(status(side), Ok(0));
        let edges = vec![(0, 1), (0, 2), (1, 3), (2, 3)];
        assert_eq!(form(graph), (vec![2, 1, 1, 1], edges));
        run(graph, 1);
        assert_eq!(word(at(3)), Ok(1));
        let late = cuStreamWaitEvent(own, joined, 0);
        assert_eq!(late, Err(CuError::CAPTURED_EVENT), "its capture is over");

        begin();
        assert_eq!(ended(own), Err(CuError::STREAM_CAPTURE_UNJOINED));
        assert_eq!(status(side), Ok(0), "it is out of it, too");
        cuStreamSynchronize(side).unwrap();

        begin();
        assert_eq!(ended(side), Err(CuError::STREAM_CAPTURE_UNMATCHED));
        assert_eq!(ended(own), Err(INVALIDATED));
    });
}

#[test]
fn what_cannot_be_captured_makes_it_invalid() {
    alone("what_cannot_be_captured_makes_it_invalid", &[], || {
        start();
        let place = memory(1);
        let spoilt = |error: CuError, spoil: &dyn Fn(CuStream) -> CuResult| {
            let own = captured(GLOBAL);
            assert_eq!(spoil(own), Err(error));
            assert_eq!(status(own), Ok(2), "after {error:?}");
            assert_eq!(cuMemsetD32Async(place, 1, 1, own), Err(INVALIDATED));
            assert_eq!(ended(own), Err(INVALIDATED));
            cuMemsetD32Async(place, 1, 1, own).unwrap();
            cuStreamSynchronize(own).unwrap();
        };
        spoilt(UNSUPPORTED, &|own| cuStreamSynchronize(own));
        spoilt(UNSUPPORTED, &|own| cuStreamQuery(own));
        spoilt(UNSUPPORTED, &|_| cuCtxSynchronize());
        spoilt(UNSUPPORTED, &|_| allocate(4).map(drop));
        spoilt(UNSUPPORTED, &|_| cuMemFree_v2(place));
        spoilt(UNSUPPORTED, &|_| cuEventQuery(event()));
        spoilt(CuError::CAPTURED_EVENT, &|own| {
            let event = event();
            cuEventRecord(event, own).unwrap();
            cuEventSynchronize(event)
        });
        spoilt(CuError::STREAM_CAPTURE_ISOLATION, &|own| {
            let (event, other) = (event(), stream());
            cuEventRecord(event, other).unwrap();
            cuStreamWaitEvent(own, event, 0)
        });
        spoilt(CuError::STREAM_CAPTURE_MERGE, &|own| {
            let (event, other) = (event(), captured(RELAXED));
            cuEventRecord(event, other).unwrap();
            let result = cuStreamWaitEvent(own, event, 0);
            assert_eq!(ended(other), Err(INVALIDATED), "both are");
            result
        });
        assert_eq!(word(place), Ok(1));
    });
}

#[test]
fn the_legacy_stream_stays_out() {
    alone("the_legacy_stream_stays_out", &[], || {
        start();
        let place = memory(1);
        let begun = cuStreamBeginCapture_v2(CuStream(0), GLOBAL);
        assert_eq!(begun, Err(UNSUPPORTED));
        const IMPLICIT: CuError = CuError::STREAM_CAPTURE_IMPLICIT;
        let blocking: CuStream = out(|stream| cuStreamCreate(stream, 0)).unwrap();
        cuStreamBeginCapture_v2(blocking, RELAXED).unwrap();
        assert_eq!(status(CuStream(0)), Err(IMPLICIT));
        assert_eq!(status(blocking), Ok(1), "a query harms nothing");
        assert_eq!(cuMemsetD32Async(place, 1, 1, CuStream(0)), Err(IMPLICIT));
        assert_eq!(ended(blocking), Err(INVALIDATED));
        // One that does not wait for the legacy stream does not mind.
        let own = captured(RELAXED);
        cuMemsetD32Async(place, 7, 1, CuStream(0)).unwrap();
        assert_eq!(word(place), Ok(7));
        ended(own).unwrap();
    });
}

#[test]
fn modes_say_who_may_do_what() {
    alone("modes_say_who_may_do_what", &[], || {
        let context = start();
        let elsewhere = |body: &(dyn Fn() + Sync)| {
            std::thread::scope(|scope| {
                let thread = scope.spawn(|| {
                    cuCtxSetCurrent(context).unwrap();
                    body();
                });
                thread.join().unwrap();
            });
        };
        let exchange = |mode: u32| {
            let mut mode = CuStreamCaptureMode(mode);
            cuThreadExchangeStreamCaptureMode(InOut(&raw mut mode)).map(|()| mode.0)
        };
        let own = captured(RELAXED);
        allocate(4).unwrap();
        elsewhere(&|| assert!(allocate(4).is_ok()));
        ended(own).unwrap();

        let own = captured(LOCAL);
        elsewhere(&|| assert!(allocate(4).is_ok()));
        assert_eq!(exchange(2), Ok(0));
        allocate(4).unwrap();
        assert_eq!(exchange(0), Ok(2));
        assert_eq!(exchange(3), Err(CuError::INVALID_VALUE));
        elsewhere(&|| assert_eq!(ended(own), Err(CuError::STREAM_CAPTURE_WRONG_THREAD)));
        ended(own).unwrap();

        let own = captured(GLOBAL);
        elsewhere(&|| {
            assert_eq!(exchange(1), Ok(0));
            allocate(4).unwrap();
            assert_eq!(exchange(0), Ok(1));
            assert_eq!(allocate(4), Err(UNSUPPORTED));
        });
        assert_eq!(ended(own), Err(INVALIDATED));

        let own = captured(RELAXED);
        elsewhere(&|| assert!(ended(own).is_ok()));
        assert_eq!(ended(own), Err(CuError::ILLEGAL_STATE));
        cuStreamBeginCapture_v2(own, GLOBAL).unwrap();
        let again = cuStreamBeginCapture_v2(own, GLOBAL);
        assert_eq!(again, Err(CuError::ILLEGAL_STATE));
        ended(own).unwrap();
    });
}

#[test]
fn captures_can_be_asked_about_and_steered() {
    alone("captures_can_be_asked_about_and_steered", &[], || {
        start();
        let words = memory(3);
        let at = |index: u64| CuDevicePtr(words.0 + 4 * index);
        let mut graph = CuGraph(0);
        cuGraphCreate(&raw mut graph, 0).unwrap();
        let mut first = CuGraphNode(0);
        let none = std::ptr::null();
        cuGraphAddEmptyNode(&raw mut first, graph, none, 0).unwrap();
        let own = stream();
        let begin = |nodes: &[CuGraphNode]| {
            let len = nodes.len();
            cuStreamBeginCaptureToGraph(own, graph, nodes.as_ptr(), std::ptr::null(), len, GLOBAL)
        };
        assert_eq!(begin(&[CuGraphNode(1)]), Err(CuError::INVALID_VALUE));
        begin(&[first]).unwrap();
        let told = || {
            let (mut status, mut id) = (CuStreamCaptureStatus(9), 0);
            let (mut known, mut nodes, mut len) = (CuGraph(0), std::ptr::null(), 9);
            cuStreamGetCaptureInfo_v2(
                own,
                Out(&raw mut status),
                OptOut(&raw mut id),
                &raw mut known,
                &raw mut nodes,
                &raw mut len,
            )
            .unwrap();
            assert_eq!((status.0, known), (1, graph));
            assert_ne!(id, 0);
            nodes_at(nodes, len)
        };
        assert_eq!(told(), [first]);
        cuMemsetD32Async(at(0), 1, 1, own).unwrap();
        let fill = told()[0];
        let update = |nodes: &mut [CuGraphNode], flags| {
            let len = nodes.len();
            cuStreamUpdateCaptureDependencies(own, nodes.as_mut_ptr(), len, flags)
        };
        update(&mut [first], 1).unwrap();
        assert_eq!(told(), [first]);
        cuMemsetD32Async(at(1), 2, 1, own).unwrap();
        update(&mut [fill], 0).unwrap();
        assert_eq!(update(&mut [fill], 2), Err(CuError::INVALID_VALUE));
        cuMemsetD32Async(at(2), 3, 1, own).unwrap();
        assert_eq!(ended(own), Ok(graph), "the given one");
        let edges = vec![(0, 1), (0, 2), (1, 3), (2, 3)];
        assert_eq!(form(graph), (vec![5, 2, 2, 2], edges));
    });
}

/// The nodes that a query tells of, each copied out of what the driver keeps.
fn nodes_at(start: *const CuGraphNode, len: usize) -> Vec<CuGraphNode> {
    let mut nodes = vec![CuGraphNode(0); len];
    let target = CuDevicePtr(nodes.as_mut_ptr().expose_provenance() as u64);
    let source = CuDevicePtr(start.expose_provenance() as u64);
    // Unified addresses: a copy of the driver reads the driver's own memory as any other.
    let other = stream();
    cuMemcpyAsync(target, source, 8 * len, other).unwrap();
    cuStreamSynchronize(other).unwrap();
    nodes
}

#[test]
fn a_launch_becomes_a_child_and_events_become_nodes() {
    alone(
        "a_launch_becomes_a_child_and_events_become_nodes",
        &[],
        || {
            start();
            let add = function(load(PTX).unwrap(), "add").unwrap();
            let place = memory(1);
            let own = captured(GLOBAL);
            launch(add, own, &[place.0, 2]).unwrap();
            launch(add, own, &[place.0, 3]).unwrap();
            let inner = ended(own).unwrap();
            let mut exec = CuGraphExec(0);
            cuGraphInstantiateWithFlags(&raw mut exec, inner, 0).unwrap();
            let recorded = event();
            cuStreamBeginCapture_v2(own, GLOBAL).unwrap();
            cuGraphLaunch(exec, own).unwrap();
            cuEventRecordWithFlags(recorded, own, 1).unwrap();
            cuStreamWaitEvent(own, recorded, 1).unwrap();
            launch(add, own, &[place.0, 10]).unwrap();
            let outer = ended(own).unwrap();
            assert_eq!(word(place), Ok(0));
            cuGraphExecDestroy(exec).unwrap();
            assert_eq!(form(outer).0, [4, 7, 6, 0]);
            run(outer, 2);
            assert_eq!(word(place), Ok(30));
            cuEventSynchronize(recorded).unwrap();
            let outside = cuEventRecordWithFlags(recorded, own, 1);
            assert_eq!(outside, Err(CuError::INVALID_VALUE));
        },
    );
}

#[test]
fn the_end_of_a_stream_or_context_ends_captures() {
    alone("the_end_of_a_stream_or_context_ends_captures", &[], || {
        start();
        let (forked, side) = (event(), stream());
        let own = captured(GLOBAL);
        cuEventRecord(forked, own).unwrap();
        cuStreamWaitEvent(side, forked, 0).unwrap();
        cuStreamDestroy_v2(own).unwrap();
        assert_eq!(status(side), Ok(0));
        allocate(4).unwrap();
        let mut context = CuContext(0);
        cuCtxCreate_v2(Out(&raw mut context), 0, CuDevice(0)).unwrap();
        captured(GLOBAL);
        assert_eq!(allocate(4), Err(UNSUPPORTED));
        cuCtxDestroy_v2(context).unwrap();
        allocate(4).unwrap();
    });
}
