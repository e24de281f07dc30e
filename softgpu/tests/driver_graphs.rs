//! Graphs: nodes of every kind, order, changes to graphs and to executable ones, and what is
//! refused.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod driver_support;

use std::ffi::c_void;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use driver_support::*;
use flexdirect_wire::abi::*;
use softgpu_cuda::export::*;

const BAD: CuError = CuError::INVALID_VALUE;

fn stream() -> CuStream {
    out(|stream| cuStreamCreate(stream, 1)).unwrap()
}

fn graph() -> CuGraph {
    let mut graph = CuGraph(0);
    cuGraphCreate(&raw mut graph, 0).unwrap();
    graph
}

fn made(add: impl FnOnce(*mut CuGraphNode) -> CuResult) -> Answer<CuGraphNode> {
    let mut node = CuGraphNode(0);
    add(&raw mut node).map(|()| node)
}

fn exec(graph: CuGraph) -> CuGraphExec {
    let mut exec = CuGraphExec(0);
    cuGraphInstantiateWithFlags(&raw mut exec, graph, 0).unwrap();
    exec
}

/// Launches and waits.
fn launched(exec: CuGraphExec) {
    let own = stream();
    cuGraphLaunch(exec, own).unwrap();
    cuStreamSynchronize(own).unwrap();
}

fn memory(words: usize) -> CuDevicePtr {
    let memory = allocate(4 * words).unwrap();
    upload(memory, &vec![0; 4 * words]).unwrap();
    memory
}

fn fill(target: CuDevicePtr, value: u32) -> CudaMemsetNodeParams {
    CudaMemsetNodeParams {
        target: target.0,
        pitch: 0,
        value,
        element_size: 4,
        width: 1,
        height: 1,
    }
}

fn add_fill(graph: CuGraph, after: &[CuGraphNode], target: CuDevicePtr, value: u32) -> CuGraphNode {
    let fill = fill(target, value);
    let (context, len) = (CuContext(0), after.len());
    made(|node| cuGraphAddMemsetNode(node, graph, after.as_ptr(), len, &raw const fill, context))
        .unwrap()
}

/// A launch of `set` or `add` with a place and a value; the values are read in the call.
fn with_kernel<T>(
    function: CuFunction,
    place: CuDevicePtr,
    value: u32,
    call: impl FnOnce(*const CudaKernelNodeParams) -> T,
) -> T {
    let mut values = [place.0, u64::from(value)];
    let mut pointers: Vec<*mut c_void> = values
        .iter_mut()
        .map(|value| (&raw mut *value).cast())
        .collect();
    let params = CudaKernelNodeParams {
        function,
        grid: [1; 3],
        block: [1; 3],
        shared_mem_bytes: 0,
        kernel_params: pointers.as_mut_ptr(),
        extra: std::ptr::null_mut(),
        kernel: CuKernel(0),
        context: CuContext(0),
    };
    call(&raw const params)
}

fn add_kernel(
    graph: CuGraph,
    after: &[CuGraphNode],
    function: CuFunction,
    place: CuDevicePtr,
    value: u32,
) -> CuGraphNode {
    with_kernel(function, place, value, |params| {
        made(|node| cuGraphAddKernelNode_v2(node, graph, after.as_ptr(), after.len(), params))
    })
    .unwrap()
}

fn copy(target: CuDevicePtr, source: CuDevicePtr, len: usize) -> CudaMemcpy3d {
    let end = |device| CudaMemcpy3dEnd {
        kind: CuMemoryType::DEVICE,
        device,
        ..CudaMemcpy3dEnd::default()
    };
    CudaMemcpy3d {
        source: end(source),
        target: end(target),
        width_bytes: len,
        height: 1,
        depth: 1,
    }
}

static CALLED: AtomicUsize = AtomicUsize::new(0);

extern "C" fn count(data: *mut c_void) {
    CALLED.fetch_add(data.addr(), Ordering::Relaxed);
}

fn host(number: usize) -> CudaHostNodeParams {
    CudaHostNodeParams {
        function: CuHostFn((count as *const c_void).expose_provenance()),
        user_data: number,
    }
}

fn kinds<const N: usize>(nodes: [CuGraphNode; N]) -> [u32; N] {
    nodes.map(|node| {
        let mut kind = CuGraphNodeType(99);
        cuGraphNodeGetType(node, &raw mut kind).unwrap();
        kind.0
    })
}

#[test]
fn work_is_executed_and_told() {
    alone("work_is_executed_and_told", &[], || {
        start();
        let set = function(load(PTX).unwrap(), "set").unwrap();
        let words = memory(8);
        let at = |index: u64| CuDevicePtr(words.0 + 4 * index);
        let whole = graph();
        let kernel = add_kernel(whole, &[], set, at(0), 7);
        let (copied, after) = (copy(at(1), at(0), 4), [kernel]);
        let copied_node = made(|node| {
            let (after, context) = (after.as_ptr(), CuContext(0));
            cuGraphAddMemcpyNode(node, whole, after, 1, &raw const copied, context)
        });
        let copied_node = copied_node.unwrap();
        let filled = add_fill(whole, &[copied_node], at(2), 9);
        let called = host(5);
        let host_node =
            made(|node| cuGraphAddHostNode(node, whole, &raw const filled, 1, &raw const called));
        let host_node = host_node.unwrap();
        assert_eq!(
            kinds([kernel, copied_node, filled, host_node]),
            [0, 1, 2, 3]
        );
        launched(exec(whole));
        assert_eq!([0, 1, 2].map(|index| word(at(index)).unwrap()), [7, 7, 9]);
        assert_eq!(CALLED.load(Ordering::Relaxed), 5);

        let mut told = copied;
        told.width_bytes = 0;
        cuGraphMemcpyNodeGetParams(copied_node, &raw mut told).unwrap();
        assert_eq!(told, copied);
        let mut told = CudaMemsetNodeParams::default();
        cuGraphMemsetNodeGetParams(filled, &raw mut told).unwrap();
        assert_eq!(told, fill(at(2), 9));
        let mut told = CudaHostNodeParams::default();
        cuGraphHostNodeGetParams(host_node, &raw mut told).unwrap();
        assert_eq!(told, called);
        // What a launch was given is told in a form that another can be made of.
        let mut told = blank();
        cuGraphKernelNodeGetParams_v2(kernel, &raw mut told).unwrap();
        assert_eq!(
            (told.function, told.grid, told.block),
            (set, [1; 3], [1; 3])
        );
        upload(words, &[0; 4]).unwrap();
        let (again, none) = (graph(), std::ptr::null());
        made(|node| cuGraphAddKernelNode_v2(node, again, none, 0, &raw const told)).unwrap();
        launched(exec(again));
        assert_eq!(word(words), Ok(7));
    });
}

#[test]
fn events_children_and_operations_are_executed() {
    alone("events_children_and_operations_are_executed", &[], || {
        start();
        let words = memory(8);
        let at = |index: u64| CuDevicePtr(words.0 + 4 * index);
        let event = out(|event| cuEventCreate(event, 0)).unwrap();
        let (whole, none) = (graph(), std::ptr::null());
        let record = made(|node| cuGraphAddEventRecordNode(node, whole, none, 0, event)).unwrap();
        let after = &raw const record;
        let wait = made(|node| cuGraphAddEventWaitNode(node, whole, after, 1, event)).unwrap();
        let mut write = [CuStreamBatchMemOpParams {
            words: [2, at(3).0, 11, 0, 0, 0],
        }];
        let batch = CudaBatchMemOpNodeParams {
            context: CuContext(0),
            count: 1,
            operations: write.as_mut_ptr(),
            flags: 0,
        };
        let (after, batch) = (&raw const wait, &raw const batch);
        let batch = made(|node| cuGraphAddBatchMemOpNode(node, whole, after, 1, batch)).unwrap();
        let inner = graph();
        add_fill(inner, &[], at(4), 13);
        let after = &raw const batch;
        let child = made(|node| cuGraphAddChildGraphNode(node, whole, after, 1, inner)).unwrap();
        cuGraphDestroy(inner).unwrap();
        let after = &raw const child;
        let empty = made(|node| cuGraphAddEmptyNode(node, whole, after, 1)).unwrap();
        assert_eq!(kinds([record, wait, batch, child, empty]), [7, 6, 12, 4, 5]);
        launched(exec(whole));
        assert_eq!([3, 4].map(|index| word(at(index)).unwrap()), [11, 13]);
        cuEventQuery(event).unwrap();
        let mut told = CuEvent(0);
        cuGraphEventRecordNodeGetEvent(record, &raw mut told).unwrap();
        assert_eq!(told, event);
        assert_eq!(
            cuGraphEventWaitNodeGetEvent(record, &raw mut told),
            Err(BAD)
        );
    });
}

/// Parameters that a query is going to fill in.
fn blank() -> CudaKernelNodeParams {
    CudaKernelNodeParams {
        function: CuFunction(0),
        grid: [0; 3],
        block: [0; 3],
        shared_mem_bytes: 0,
        kernel_params: std::ptr::null_mut(),
        extra: std::ptr::null_mut(),
        kernel: CuKernel(0),
        context: CuContext(0),
    }
}

#[test]
fn edges_are_kept_and_cycles_refused() {
    alone("edges_are_kept_and_cycles_refused", &[], || {
        start();
        let whole = graph();
        let empty = |after: &[CuGraphNode]| {
            made(|node| cuGraphAddEmptyNode(node, whole, after.as_ptr(), after.len()))
        };
        let a = empty(&[]).unwrap();
        let b = empty(&[a]).unwrap();
        let c = empty(&[b]).unwrap();
        assert_eq!(empty(&[a, a]), Err(BAD), "twice");
        assert_eq!(empty(&[CuGraphNode(77)]), Err(BAD));
        let connect = |from, to| cuGraphAddDependencies(whole, &raw const from, &raw const to, 1);
        assert_eq!(connect(c, a), Err(BAD), "a cycle");
        assert_eq!(connect(a, a), Err(BAD));
        assert_eq!(connect(a, b), Err(BAD), "is there");
        connect(a, c).unwrap();
        let mut len = 0;
        let null = std::ptr::null_mut();
        cuGraphGetEdges(whole, null, null, &raw mut len).unwrap();
        assert_eq!(len, 3);
        let (mut from, mut to) = ([CuGraphNode(1); 4], [CuGraphNode(1); 4]);
        len = 4;
        cuGraphGetEdges(whole, from.as_mut_ptr(), to.as_mut_ptr(), &raw mut len).unwrap();
        let none = CuGraphNode(0);
        assert_eq!((len, from, to), (3, [a, b, a, none], [b, c, c, none]));
        let (mut before, mut room) = ([none; 2], 2);
        cuGraphNodeGetDependencies(c, before.as_mut_ptr(), &raw mut room).unwrap();
        assert_eq!((before, room), ([b, a], 2));
        cuGraphRemoveDependencies(whole, &raw const a, &raw const c, 1).unwrap();
        let removed = cuGraphRemoveDependencies(whole, &raw const a, &raw const c, 1);
        assert_eq!(removed, Err(BAD));
        cuGraphDestroyNode(b).unwrap();
        let (mut roots, mut room) = ([none; 3], 3);
        cuGraphGetRootNodes(whole, roots.as_mut_ptr(), &raw mut room).unwrap();
        assert_eq!((roots, room), ([a, c, none], 2));
        let mut kind = CuGraphNodeType(0);
        assert_eq!(cuGraphNodeGetType(b, &raw mut kind), Err(BAD));

        let mut clone = CuGraph(0);
        cuGraphClone(&raw mut clone, whole).unwrap();
        let twin = made(|node| cuGraphNodeFindInClone(node, c, clone)).unwrap();
        assert_ne!(twin, c);
        cuGraphDestroy(whole).unwrap();
        assert_eq!(cuGraphDestroy(whole), Err(BAD));
        cuGraphNodeGetType(twin, &raw mut kind).unwrap();
        assert_eq!(kind.0, 5);
    });
}

#[test]
fn an_executable_graph_can_be_changed() {
    alone("an_executable_graph_can_be_changed", &[], || {
        start();
        let module = load(PTX).unwrap();
        let add = function(module, "add").unwrap();
        let words = memory(2);
        let whole = graph();
        let filled = add_fill(whole, &[], words, 100);
        let added = add_kernel(whole, &[filled], add, words, 1);
        let exec = exec(whole);
        launched(exec);
        assert_eq!(word(words), Ok(101));
        with_kernel(add, words, 2, |params| {
            cuGraphExecKernelNodeSetParams_v2(exec, added, params).unwrap();
            assert_eq!(
                cuGraphExecKernelNodeSetParams_v2(exec, filled, params),
                Err(BAD)
            );
        });
        cuGraphNodeSetEnabled(exec, filled, 0).unwrap();
        launched(exec);
        assert_eq!(word(words), Ok(103));
        let mut enabled = 1;
        cuGraphNodeGetEnabled(exec, filled, &raw mut enabled).unwrap();
        assert_eq!(enabled, 0);
        cuGraphNodeSetEnabled(exec, filled, 1).unwrap();

        let other = graph();
        let filled = add_fill(other, &[], words, 200);
        add_kernel(other, &[filled], add, words, 5);
        let mut info = CuGraphExecUpdateResultInfo::default();
        cuGraphExecUpdate_v2(exec, other, &raw mut info).unwrap();
        assert_eq!(info.result, 0);
        launched(exec);
        assert_eq!(word(words), Ok(205));
        let failed = Err(CuError::GRAPH_EXEC_UPDATE_FAILURE);
        let odd = add_fill(other, &[], words, 1);
        assert_eq!(cuGraphExecUpdate_v2(exec, other, &raw mut info), failed);
        assert_eq!(info.result, 2, "another number of nodes");
        cuGraphDestroyNode(odd).unwrap();
        let third = graph();
        let filled = add_fill(third, &[], words, 1);
        let second = add_fill(third, &[filled], words, 2);
        assert_eq!(cuGraphExecUpdate_v2(exec, third, &raw mut info), failed);
        assert_eq!((info.result, info.error_node), (3, second));
        launched(exec);
        assert_eq!(word(words), Ok(205), "what fails changes nothing");
        cuGraphExecDestroy(exec).unwrap();
        assert_eq!(cuGraphLaunch(exec, CuStream(0)), Err(BAD));
    });
}

#[test]
fn launches_of_one_graph_follow_one_another() {
    alone("launches_of_one_graph_follow_one_another", &[], || {
        start();
        let module = load(PTX).unwrap();
        let (wait, add) = (
            function(module, "wait_gate").unwrap(),
            function(module, "add").unwrap(),
        );
        let words = memory(2);
        let whole = graph();
        let gate = add_kernel(whole, &[], wait, words, 0);
        add_kernel(whole, &[gate], add, CuDevicePtr(words.0 + 4), 1);
        // Beside the gate, so that a step that waits holds nothing else up.
        let beside = host(1);
        made(|node| cuGraphAddHostNode(node, whole, std::ptr::null(), 0, &raw const beside))
            .unwrap();
        let exec = exec(whole);
        let (first, second, third) = (stream(), stream(), stream());
        cuGraphLaunch(exec, first).unwrap();
        while CALLED.load(Ordering::Relaxed) < 1 {
            std::thread::yield_now();
        }
        cuGraphLaunch(exec, second).unwrap();
        assert_eq!(cuStreamQuery(second), Err(CuError::NOT_READY));
        assert_eq!(CALLED.load(Ordering::Relaxed), 1, "the second waits");
        cuMemsetD32Async(words, 1, 1, third).unwrap();
        cuStreamSynchronize(second).unwrap();
        cuStreamSynchronize(first).unwrap();
        assert_eq!(word(CuDevicePtr(words.0 + 4)), Ok(2));
        assert_eq!(CALLED.load(Ordering::Relaxed), 2);
    });
}

#[test]
fn a_fault_in_a_graph_poisons_and_releases() {
    alone("a_fault_in_a_graph_poisons_and_releases", &[], || {
        start();
        let wild = function(load(PTX).unwrap(), "wild").unwrap();
        let event = out(|event| cuEventCreate(event, 0)).unwrap();
        let whole = graph();
        let bad = add_kernel(whole, &[], wild, CuDevicePtr(0), 0);
        made(|node| cuGraphAddEventRecordNode(node, whole, [bad].as_ptr(), 1, event)).unwrap();
        let (exec, own) = (exec(whole), stream());
        cuGraphLaunch(exec, own).unwrap();
        let fault = Err(CuError::ILLEGAL_ADDRESS);
        assert_eq!(cuEventSynchronize(event), fault, "and does not hang");
        assert_eq!(cuStreamSynchronize(own), fault);
        assert_eq!(cuGraphLaunch(exec, own), fault);
    });
}

static ENDED: Mutex<Vec<usize>> = Mutex::new(Vec::new());

extern "C" fn end(data: *mut c_void) {
    ENDED.lock().unwrap().push(data.addr());
}

#[test]
fn user_objects_live_as_long_as_their_holders() {
    alone("user_objects_live_as_long_as_their_holders", &[], || {
        start();
        let mut object = CuUserObject(0);
        let destroy = CuHostFn((end as *const c_void).expose_provenance());
        let data = std::ptr::without_provenance_mut(3);
        cuUserObjectCreate(&raw mut object, data, destroy, 1, 1).unwrap();
        let whole = graph();
        cuGraphRetainUserObject(whole, object, 1, 1).unwrap();
        let exec = exec(whole);
        assert_eq!(cuGraphReleaseUserObject(whole, object, 2), Err(BAD));
        cuGraphDestroy(whole).unwrap();
        assert!(
            ENDED.lock().unwrap().is_empty(),
            "the executable one holds it"
        );
        launched(exec);
        cuGraphExecDestroy(exec).unwrap();
        assert_eq!(*ENDED.lock().unwrap(), [3]);
        assert_eq!(cuUserObjectRelease(object, 1), Err(BAD));
    });
}

/// Random graphs, whose every node sets a word to a mix of what its predecessors left, against the
/// same in order of creation.
#[test]
fn random_graphs_keep_their_order() {
    alone("random_graphs_keep_their_order", &[], || {
        start();
        let add = function(load(PTX).unwrap(), "add").unwrap();
        for seed in 1..=12u64 {
            println!("seed {seed}");
            let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let mut next = |below: u64| {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                random % below
            };
            let words = memory(40);
            let at = |index: usize| CuDevicePtr(words.0 + 4 * index as u64);
            let (whole, mut nodes, mut model) = (graph(), Vec::new(), vec![0u32; 40]);
            for index in 0..20usize {
                // A copy of what one predecessor left, then an addition to it.
                let source = usize::try_from(next(index as u64 + 1)).unwrap();
                let mut after: Vec<CuGraphNode> = nodes.get(source).copied().into_iter().collect();
                let other = usize::try_from(next(20)).unwrap();
                if other != source {
                    after.extend(nodes.get(other).copied());
                }
                let copied = copy(at(index), at(source), 4);
                let first = made(|node| {
                    let (before, len) = (after.as_ptr(), after.len());
                    let context = CuContext(0);
                    cuGraphAddMemcpyNode(node, whole, before, len, &raw const copied, context)
                })
                .unwrap();
                let value = u32::try_from(next(1000)).unwrap();
                nodes.push(add_kernel(whole, &[first], add, at(index), value));
                model[index] = if source == index { 0 } else { model[source] };
                model[index] += value;
            }
            launched(exec(whole));
            let bytes = download(words, 80).unwrap();
            let found = bytes
                .chunks(4)
                .map(|word| u32::from_le_bytes(word.try_into().unwrap()));
            assert_eq!(found.collect::<Vec<_>>(), model[..20]);
        }
    });
}
