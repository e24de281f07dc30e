//! Memory that graphs allocate: its life over launches, and what is refused.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod driver_support;

use driver_support::*;
use flexdirect_wire::abi::*;
use softgpu_cuda::export::*;

const BAD: CuError = CuError::INVALID_VALUE;

fn stream() -> CuStream {
    out(|stream| cuStreamCreate(stream, 1)).unwrap()
}

fn ended(stream: CuStream) -> CuGraph {
    let mut graph = CuGraph(0);
    cuStreamEndCapture(stream, &raw mut graph).unwrap();
    graph
}

fn exec(graph: CuGraph, flags: u64) -> CuGraphExec {
    let mut exec = CuGraphExec(0);
    cuGraphInstantiateWithFlags(&raw mut exec, graph, flags).unwrap();
    exec
}

fn launched(exec: CuGraphExec) -> CuResult {
    let own = stream();
    cuGraphLaunch(exec, own)?;
    cuStreamSynchronize(own)
}

/// Bytes that graphs have on the device: now, and at most.
fn lens() -> [u64; 2] {
    [0, 1].map(|attribute| {
        let mut len = 9u64;
        let attribute = CuGraphMemAttribute(attribute);
        cuDeviceGetGraphMemAttribute(CuDevice(0), attribute, (&raw mut len).cast()).unwrap();
        len
    })
}

fn allocated(len: usize, stream: CuStream) -> CuDevicePtr {
    out(|made| cuMemAllocAsync(made, len, stream)).unwrap()
}

#[test]
fn a_captured_allocation_lives_from_launch_to_free() {
    alone(
        "a_captured_allocation_lives_from_launch_to_free",
        &[],
        || {
            start();
            let place = allocate(4).unwrap();
            let own = stream();
            cuStreamBeginCapture_v2(own, CuStreamCaptureMode(0)).unwrap();
            let scratch = allocated(1000, own);
            cuMemsetD32Async(scratch, 7, 1, own).unwrap();
            cuMemcpyDtoDAsync_v2(place, scratch, 4, own).unwrap();
            assert_eq!(cuMemFreeAsync(place, own), Err(BAD), "not a graph's");
            cuMemFreeAsync(scratch, own).unwrap();
            let graph = ended(own);
            assert_eq!(lens(), [1000, 1000]);
            let first = exec(graph, 0);
            for _ in 0..3 {
                launched(first).unwrap();
            }
            assert_eq!(word(place), Ok(7));
            assert_eq!(cuMemFreeAsync(scratch, own), Err(BAD), "freed by the graph");
            let mut clone = CuGraph(0);
            let cloned = cuGraphClone(&raw mut clone, graph);
            assert_eq!(cloned, Err(CuError::NOT_SUPPORTED));
            cuGraphDestroy(graph).unwrap();
            launched(first).unwrap();
            cuGraphExecDestroy(first).unwrap();
            assert_eq!(lens(), [0, 1000]);
            assert_eq!(cuMemsetD32Async(scratch, 7, 1, own), Err(BAD), "gone");
            let mut zero = 0u64;
            let most = CuGraphMemAttribute(1);
            cuDeviceSetGraphMemAttribute(CuDevice(0), most, (&raw mut zero).cast()).unwrap();
            assert_eq!(lens(), [0, 0]);
        },
    );
}

#[test]
fn what_a_launch_leaves_allocated_is_the_programs() {
    alone(
        "what_a_launch_leaves_allocated_is_the_programs",
        &[],
        || {
            start();
            let own = stream();
            cuStreamBeginCapture_v2(own, CuStreamCaptureMode(0)).unwrap();
            let scratch = allocated(4, own);
            cuMemsetD32Async(scratch, 7, 1, own).unwrap();
            let graph = ended(own);
            let (strict, lenient) = (exec(graph, 0), exec(graph, 1));
            assert_eq!(cuMemFree_v2(scratch), Err(BAD), "not allocated yet");
            launched(strict).unwrap();
            assert_eq!(word(scratch), Ok(7));
            assert_eq!(launched(strict), Err(BAD), "it is still allocated");
            launched(lenient).unwrap();
            cuMemFreeAsync(scratch, own).unwrap();
            launched(strict).unwrap();
            cuMemFree_v2(scratch).unwrap();
            launched(strict).unwrap();
            for exec in [strict, lenient] {
                cuGraphExecDestroy(exec).unwrap();
            }
            cuGraphDestroy(graph).unwrap();
            assert_eq!(word(scratch), Ok(7), "it outlives its graphs");
            cuMemFreeAsync(scratch, own).unwrap();
            cuStreamSynchronize(own).unwrap();
            assert_eq!(lens()[0], 0);
        },
    );
}

#[test]
fn nodes_allocate_and_free() {
    alone("nodes_allocate_and_free", &[], || {
        start();
        let mut graph = CuGraph(0);
        cuGraphCreate(&raw mut graph, 0).unwrap();
        let mut params = CudaMemAllocNodeParams {
            pool_props: CuMemPoolProps {
                kind: 1,
                handle_types: 0,
                location: CuMemLocation { kind: 1, id: 0 },
                win32_security: std::ptr::null_mut(),
                max_len: 0,
                usage: 0,
                is_rdma_capable: 0,
                reserved: [0; 53],
            },
            access_descs: std::ptr::null(),
            access_desc_count: 0,
            byte_size: 64,
            dptr: CuDevicePtr(0),
        };
        let (mut first, mut last) = (CuGraphNode(0), CuGraphNode(0));
        let none = std::ptr::null();
        cuGraphAddMemAllocNode(&raw mut first, graph, none, 0, &raw mut params).unwrap();
        assert_ne!(params.dptr.0, 0);
        let after = &raw const first;
        let other = cuGraphAddMemFreeNode(&raw mut last, graph, after, 1, CuDevicePtr(1 << 20));
        assert_eq!(other, Err(BAD));
        cuGraphAddMemFreeNode(&raw mut last, graph, after, 1, params.dptr).unwrap();
        let mut told = CuDevicePtr(0);
        cuGraphMemFreeNodeGetParams(last, &raw mut told).unwrap();
        assert_eq!(told, params.dptr);
        let mut asked = params;
        (asked.byte_size, asked.dptr) = (0, CuDevicePtr(0));
        cuGraphMemAllocNodeGetParams(first, &raw mut asked).unwrap();
        assert_eq!((asked.byte_size, asked.dptr), (64, params.dptr));
        assert_eq!(cuGraphDestroyNode(first), Err(CuError::NOT_SUPPORTED));
        let exec = exec(graph, 0);
        launched(exec).unwrap();
        launched(exec).unwrap();
        params.byte_size = 0;
        let empty = cuGraphAddMemAllocNode(&raw mut first, graph, none, 0, &raw mut params);
        assert_eq!(empty, Err(BAD));
    });
}

#[test]
fn memory_of_graphs_ends_with_its_context() {
    alone("memory_of_graphs_ends_with_its_context", &[], || {
        start();
        let mut context = CuContext(0);
        cuCtxCreate_v2(Out(&raw mut context), 0, CuDevice(0)).unwrap();
        let own = stream();
        cuStreamBeginCapture_v2(own, CuStreamCaptureMode(0)).unwrap();
        allocated(4, own);
        let graph = ended(own);
        let left = exec(graph, 0);
        launched(left).unwrap();
        cuCtxDestroy_v2(context).unwrap();
        assert_eq!(lens()[0], 0);
        let next = allocate(4).unwrap();
        upload(next, &[5; 4]).unwrap();
        assert_eq!(launched(left), Err(CuError::CONTEXT_IS_DESTROYED));
        cuGraphExecDestroy(left).unwrap();
        cuGraphDestroy(graph).unwrap();
        assert_eq!(word(next), Ok(0x0505_0505), "not freed with the graph");
    });
}
