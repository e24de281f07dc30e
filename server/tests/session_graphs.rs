//! Graphs of a client: the memory that stands in for its own stays as long as a launch may use it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod session_client;

use flexdirect_server::session::End;
use flexdirect_transport::Span;
use flexdirect_wire::abi::{CuDevicePtr, CuMemoryType, CudaMemcpy3d, CudaMemcpy3dEnd};
use flexdirect_wire::body::{
    Capture, ContextCreate, Create, GraphAdd, GraphAsk, GraphBytes, GraphCopy, GraphLaunch,
    GraphMade, GraphSet, GraphUse, HostCall, HostFunction, Mirrored, One, Side, copy_words,
    session, side, source, what,
};
use flexdirect_wire::call::op;
use flexdirect_wire::record::{Reader, Writer};
use flexdirect_wire::{Kind, ShadowHandle};
use session_client::{Client, handle};

const SHARE: u64 = 64 << 20;
/// Client memory that graphs copy from.
const HOST: u64 = 0x10_0000;
/// `CUgraphNodeType`.
const COPY: u32 = 1;
const CHILD: u32 = 4;

fn number(body: &[u8]) -> u64 {
    Reader::new(body).get::<One>().unwrap().value
}

/// A copy of `len` bytes of client memory to the device.
fn copy(host: u64, device: u64, len: usize) -> GraphCopy {
    let source = CudaMemcpy3dEnd {
        kind: CuMemoryType::HOST,
        host: usize::try_from(host).unwrap(),
        ..CudaMemcpy3dEnd::default()
    };
    let target = CudaMemcpy3dEnd {
        kind: CuMemoryType::DEVICE,
        device: CuDevicePtr(device),
        ..CudaMemcpy3dEnd::default()
    };
    let copy = CudaMemcpy3d {
        source,
        target,
        width_bytes: len,
        height: 1,
        depth: 1,
    };
    GraphCopy {
        words: copy_words(&copy),
        source: Mirrored {
            start: host,
            len: 4096,
        },
        ..GraphCopy::default()
    }
}

fn create(client: &mut Client) -> u64 {
    number(&client.ok(op::cuGraphCreate, |w| w.put(&One { value: 0 })))
}

fn add(client: &mut Client, graph: u64, kind: u32, fill: impl FnOnce(&mut Writer<'_>)) -> u64 {
    let asked = GraphAdd {
        graph,
        kind,
        ..GraphAdd::default()
    };
    number(&client.ok(op::cuGraphAddNode_v2, |w| {
        w.put(&asked);
        fill(w);
    }))
}

/// A graph that copies client memory to the device, and its node.
fn graph(client: &mut Client, device: u64, len: usize) -> (u64, u64) {
    let graph = create(client);
    let node = add(client, graph, COPY, |w| w.put(&copy(HOST, device, len)));
    (graph, node)
}

fn ask(handle: u64, what: u32) -> GraphAsk {
    GraphAsk {
        handle,
        what,
        ..GraphAsk::default()
    }
}

/// Makes a graph executable: its name, and what its launches use.
fn instantiate(client: &mut Client, graph: u64) -> (u64, Vec<GraphUse>) {
    let body = client.ok(op::cuGraphInstantiateWithFlags, |w| w.put(&ask(graph, 0)));
    let mut reader = Reader::new(&body);
    let made: GraphMade = reader.get().unwrap();
    assert_eq!(made.status, 0);
    let uses = (0..made.uses).map(|_| reader.get().unwrap()).collect();
    (made.exec, uses)
}

fn destroy(client: &mut Client, graph: u64) {
    client.ok(op::cuGraphDestroy, |w| w.put(&One { value: graph }));
}

fn bytes(client: &mut Client, exec: u64, stream: u64, part: &GraphUse, bytes: &[u8]) {
    let asked = GraphBytes {
        exec,
        stream,
        address: part.address,
        len: part.len,
        inline: 1,
        mirror: part.mirror,
        ..GraphBytes::default()
    };
    client.post(session::GRAPH_BYTES, |w| {
        w.put(&asked);
        w.raw(bytes);
    });
}

fn launch(client: &mut Client, exec: u64, stream: u64) {
    let asked = GraphLaunch {
        exec,
        stream,
        landings: 0,
    };
    client.post(op::cuGraphLaunch, |w| w.put(&asked));
}

fn synchronise(client: &mut Client) {
    client.ok(op::cuCtxSynchronize, |_| {});
}

fn function(client: &mut Client, number: u64, stream: u64) {
    let function = HostFunction {
        number,
        stream,
        ..HostFunction::default()
    };
    client.post(op::cuLaunchHostFunc, |w| w.put(&function));
}

fn done(client: &Client, call: HostCall) {
    let mut bytes = Vec::new();
    Writer::body(&mut bytes).put(&Side {
        kind: side::CALLBACK_DONE,
        a: call.run,
        ..Side::default()
    });
    client.link.post_side(&bytes).unwrap();
}

fn stream(client: &mut Client) -> u64 {
    let create = Create {
        handle: handle(Kind::STREAM, 1),
        flags: 1,
        priority: 0,
    };
    client.post(op::cuStreamCreate, |w| w.put(&create));
    create.handle
}

#[test]
fn a_source_is_read_when_the_stream_comes_to_the_launch() {
    let Some(mut client) = Client::connect(SHARE) else {
        return;
    };
    let memory = client.alloc(4);
    let (graph, _) = graph(&mut client, memory, 4);
    let (exec, uses) = instantiate(&mut client, graph);
    function(&mut client, 7, 0);
    let late = GraphBytes {
        exec,
        address: uses[0].address,
        len: 4,
        position: 8,
        inline: source::LATE,
        mirror: uses[0].mirror,
        ..GraphBytes::default()
    };
    client.post(session::GRAPH_BYTES, |w| w.put(&late));
    launch(&mut client, exec, 0);
    let first = client.called();
    assert_eq!(first.number, 7);
    done(&client, first);
    assert_eq!(client.called().number, 8, "the source, after the function");
    let span = Span {
        region: 8,
        offset: 0,
        len: 4,
    };
    client.link.put(span, &[1, 2, 3, 4]).unwrap();
    synchronise(&mut client);
    assert_eq!(client.download(memory, 4), [1, 2, 3, 4]);
    assert!(matches!(client.close(), End::Closed(_)));
}

#[test]
fn a_graph_is_launched_after_the_context_of_its_last_launch_is_gone() {
    let Some(mut client) = Client::connect(SHARE) else {
        return;
    };
    let memory = client.alloc(4);
    let (graph, _) = graph(&mut client, memory, 4);
    let (exec, uses) = instantiate(&mut client, graph);
    let primary = client.context;
    let made = client.ok(op::cuCtxCreate_v2, |w| w.put(&ContextCreate::default()));
    let other = number(&made);
    client.context = ShadowHandle(other);
    bytes(&mut client, exec, 0, &uses[0], &[1; 4]);
    launch(&mut client, exec, 0);
    synchronise(&mut client);
    client.context = primary;
    client.ok(op::cuCtxDestroy_v2, |w| w.put(&One { value: other }));
    bytes(&mut client, exec, 0, &uses[0], &[2; 4]);
    launch(&mut client, exec, 0);
    synchronise(&mut client);
    assert_eq!(client.download(memory, 4), [2; 4]);
    client.ok(op::cuGraphExecDestroy, |w| w.put(&One { value: exec }));
    assert!(matches!(client.close(), End::Closed(_)));
}

#[test]
fn what_a_recorded_graph_copies_stays() {
    let Some(mut client) = Client::connect(SHARE) else {
        return;
    };
    let memory = client.alloc(4);
    let (graph, _) = graph(&mut client, memory, 4);
    let (exec, uses) = instantiate(&mut client, graph);
    let stream = stream(&mut client);
    let capture = Capture {
        stream,
        ..Capture::default()
    };
    client.ok(op::cuStreamBeginCapture_v2, |w| w.put(&capture));
    client.ok(op::cuGraphLaunch, |w| {
        w.put(&GraphLaunch {
            exec,
            stream,
            landings: 0,
        });
    });
    client.ok(op::cuGraphExecDestroy, |w| w.put(&One { value: exec }));
    destroy(&mut client, graph);
    let ended = client.ok(op::cuStreamEndCapture, |w| w.put(&One { value: stream }));
    let (_, found) = instantiate(&mut client, number(&ended));
    assert_eq!(found, uses);
    assert!(matches!(client.close(), End::Closed(_)));
}

#[test]
fn a_clone_of_a_graph_in_a_node_has_what_it_copies() {
    let Some(mut client) = Client::connect(SHARE) else {
        return;
    };
    let memory = client.alloc(4);
    let (inner, _) = graph(&mut client, memory, 4);
    let (exec, uses) = instantiate(&mut client, inner);
    client.ok(op::cuGraphExecDestroy, |w| w.put(&One { value: exec }));
    let (outer, around) = (create(&mut client), create(&mut client));
    let node = add(&mut client, outer, CHILD, |w| w.put(&One { value: inner }));
    let child = client.ok(op::cuGraphNodeGetType, |w| w.put(&ask(node, what::CHILD)));
    let child = number(&child);
    let clone = client.ok(op::cuGraphClone, |w| w.put(&One { value: child }));
    let clone = number(&clone);
    add(&mut client, around, CHILD, |w| w.put(&One { value: child }));
    destroy(&mut client, inner);
    destroy(&mut client, outer);
    for graph in [clone, around] {
        let (_, found) = instantiate(&mut client, graph);
        assert_eq!(found, uses);
    }
    assert!(matches!(client.close(), End::Closed(_)));
}

#[test]
fn a_launch_whose_stream_is_gone_has_its_memory() {
    let Some(mut client) = Client::connect(SHARE) else {
        return;
    };
    let memory = client.alloc(4);
    let (graph, node) = graph(&mut client, memory, 4);
    let (exec, uses) = instantiate(&mut client, graph);
    let stream = stream(&mut client);
    bytes(&mut client, exec, stream, &uses[0], &[5; 4]);
    function(&mut client, 7, stream);
    launch(&mut client, exec, stream);
    let call = client.called();
    client.post(op::cuStreamDestroy_v2, |w| w.put(&One { value: stream }));
    let set = GraphSet {
        exec,
        node,
        kind: COPY,
        ..GraphSet::default()
    };
    client.ok(op::cuGraphNodeSetParams, |w| {
        w.put(&set);
        w.put(&copy(HOST + 0x10_0000, memory, 4));
    });
    destroy(&mut client, graph);
    // Each end of a graph looks for memory that nothing has.
    for _ in 0..100 {
        let graph = create(&mut client);
        destroy(&mut client, graph);
    }
    done(&client, call);
    synchronise(&mut client);
    assert_eq!(client.download(memory, 4), [5; 4]);
    client.ok(op::cuGraphExecDestroy, |w| w.put(&One { value: exec }));
    assert!(matches!(client.close(), End::Closed(_)));
}
