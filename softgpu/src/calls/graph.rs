//! Graphs: making them, what they consist of, and objects that live with them.

use std::ffi::{c_char, c_void};
use std::fmt::Write as _;
use std::sync::Arc;

use flexdirect_wire::abi::*;

use crate::driver::{self, GRAPHS, NODES, USER_OBJECTS};
use crate::graph::{About, Action, Edge, Graph, Node, UserObject, UserReference};
use crate::raw;

/// A graph by its handle.
pub(super) fn graph(handle: CuGraph) -> Result<Arc<Graph>, CuError> {
    driver::check()?;
    GRAPHS.find(handle.0).ok_or(CuError::INVALID_VALUE)
}

/// A node by its handle.
pub(super) fn node(handle: CuGraphNode) -> Result<Arc<Node>, CuError> {
    driver::check()?;
    NODES.find(handle.0).ok_or(CuError::INVALID_VALUE)
}

/// Stores at a pointer that must not be null.
pub(super) fn give<T>(place: *mut T, value: T) -> CuResult {
    if raw::store(place, value) {
        return Ok(());
    }
    Err(CuError::INVALID_VALUE)
}

pub(crate) fn cuGraphCreate(graph: *mut CuGraph, flags: u32) -> CuResult {
    driver::check()?;
    if graph.is_null() || flags != 0 {
        return Err(CuError::INVALID_VALUE);
    }
    give(graph, Graph::new(false).handle)
}

pub(crate) fn cuGraphDestroy(graph: CuGraph) -> CuResult {
    let found = self::graph(graph)?;
    if found.is_child {
        return Err(CuError::INVALID_VALUE);
    }
    found.destroy();
    Ok(())
}

pub(crate) fn cuGraphClone(clone: *mut CuGraph, original: CuGraph) -> CuResult {
    let original = graph(original)?;
    if clone.is_null() {
        return Err(CuError::INVALID_VALUE);
    }
    give(clone, original.cloned(false)?.handle)
}

pub(crate) fn cuGraphNodeFindInClone(
    found: *mut CuGraphNode,
    original: CuGraphNode,
    clone: CuGraph,
) -> CuResult {
    let nodes = graph(clone)?.nodes();
    let node = nodes.iter().find(|node| node.origin == original);
    let node = node.filter(|_| original.0 != 0);
    give(found, node.ok_or(CuError::INVALID_VALUE)?.handle)
}

pub(crate) fn cuGraphGetId(graph: CuGraph, id: *mut u32) -> CuResult {
    let number = self::graph(graph)?.id;
    give(id, u32::try_from(number).unwrap_or(u32::MAX))
}

// ------------------------------------------------------------------------------- edges

/// Nodes that a new node comes after, with the annotations of the edges; null stands for none.
pub(super) fn dependencies(
    nodes: *const CuGraphNode,
    data: *const CuGraphEdgeData,
    len: usize,
) -> Result<Vec<(CuGraphNode, CuGraphEdgeData)>, CuError> {
    if len > 0 && nodes.is_null() {
        return Err(CuError::INVALID_VALUE);
    }
    let mut data = raw::elements(data, len);
    data.resize(len, CuGraphEdgeData::default());
    data.iter().try_for_each(check_data)?;
    Ok(raw::elements(nodes, len).into_iter().zip(data).collect())
}

/// Only whole nodes wait for whole nodes here.
fn check_data(data: &CuGraphEdgeData) -> CuResult {
    if data.reserved != [0; 5] || data.to_port != 0 {
        return Err(CuError::INVALID_VALUE);
    }
    if data.kind != 0 || data.from_port != 0 {
        return Err(CuError::NOT_SUPPORTED);
    }
    Ok(())
}

fn edges(
    from: *const CuGraphNode,
    to: *const CuGraphNode,
    data: *const CuGraphEdgeData,
    len: usize,
) -> Result<Vec<Edge>, CuError> {
    let from = dependencies(from, data, len)?;
    let to = dependencies(to, std::ptr::null(), len)?;
    let edge = |((from, data), (to, _))| Edge { from, to, data };
    Ok(from.into_iter().zip(to).map(edge).collect())
}

pub(crate) fn cuGraphAddDependencies_v2(
    graph: CuGraph,
    from: *const CuGraphNode,
    to: *const CuGraphNode,
    edge_data: *const CuGraphEdgeData,
    num_dependencies: usize,
) -> CuResult {
    self::graph(graph)?.connect(&edges(from, to, edge_data, num_dependencies)?)
}

pub(crate) fn cuGraphAddDependencies(
    graph: CuGraph,
    from: *const CuGraphNode,
    to: *const CuGraphNode,
    num_dependencies: usize,
) -> CuResult {
    cuGraphAddDependencies_v2(graph, from, to, std::ptr::null(), num_dependencies)
}

pub(crate) fn cuGraphRemoveDependencies_v2(
    graph: CuGraph,
    from: *const CuGraphNode,
    to: *const CuGraphNode,
    edge_data: *const CuGraphEdgeData,
    num_dependencies: usize,
) -> CuResult {
    self::graph(graph)?.disconnect(&edges(from, to, edge_data, num_dependencies)?)
}

pub(crate) fn cuGraphRemoveDependencies(
    graph: CuGraph,
    from: *const CuGraphNode,
    to: *const CuGraphNode,
    num_dependencies: usize,
) -> CuResult {
    cuGraphRemoveDependencies_v2(graph, from, to, std::ptr::null(), num_dependencies)
}

// ------------------------------------------------------------------------------- queries

/// The way every list is asked for: without room for the count alone; what is left of the room is
/// set to null.
fn list<const N: usize>(
    places: [*mut CuGraphNode; N],
    len: *mut usize,
    rows: &[[CuGraphNode; N]],
) -> CuResult {
    let room = raw::fetch(len.cast_const()).ok_or(CuError::INVALID_VALUE)?;
    if places.iter().all(|place| place.is_null()) {
        return give(len, rows.len());
    }
    for (column, place) in places.into_iter().enumerate() {
        for index in 0..room.min(LIST_LEN_MAX) {
            let value = rows.get(index).map_or(CuGraphNode(0), |row| row[column]);
            raw::store(place.wrapping_add(index), value);
        }
    }
    give(len, rows.len().min(room))
}

/// Annotations that go with a list: all edges are plain ones.
fn list_data(place: *mut CuGraphEdgeData, len: *mut usize) {
    let filled = raw::fetch(len.cast_const()).unwrap_or(0);
    if !place.is_null() {
        for index in 0..filled {
            raw::store(place.wrapping_add(index), CuGraphEdgeData::default());
        }
    }
}

pub(crate) fn cuGraphGetNodes(
    graph: CuGraph,
    nodes: *mut CuGraphNode,
    num: *mut usize,
) -> CuResult {
    let all = self::graph(graph)?.nodes();
    let all: Vec<_> = all.iter().map(|node| [node.handle]).collect();
    list([nodes], num, &all)
}

pub(crate) fn cuGraphGetRootNodes(
    graph: CuGraph,
    root_nodes: *mut CuGraphNode,
    num_root_nodes: *mut usize,
) -> CuResult {
    let all = self::graph(graph)?.roots();
    let all: Vec<_> = all.into_iter().map(|node| [node]).collect();
    list([root_nodes], num_root_nodes, &all)
}

pub(crate) fn cuGraphGetEdges(
    graph: CuGraph,
    from: *mut CuGraphNode,
    to: *mut CuGraphNode,
    num_edges: *mut usize,
) -> CuResult {
    let all = self::graph(graph)?.edges();
    if from.is_null() != to.is_null() {
        return Err(CuError::INVALID_VALUE);
    }
    let all: Vec<_> = all.iter().map(|edge| [edge.from, edge.to]).collect();
    list([from, to], num_edges, &all)
}

pub(crate) fn cuGraphGetEdges_v2(
    graph: CuGraph,
    from: *mut CuGraphNode,
    to: *mut CuGraphNode,
    edge_data: *mut CuGraphEdgeData,
    num_edges: *mut usize,
) -> CuResult {
    cuGraphGetEdges(graph, from, to, num_edges)?;
    if !from.is_null() {
        list_data(edge_data, num_edges);
    }
    Ok(())
}

fn edges_of(node: CuGraphNode) -> Result<Vec<Edge>, CuError> {
    Ok(graph(self::node(node)?.graph)?.edges())
}

pub(crate) fn cuGraphNodeGetDependencies(
    node: CuGraphNode,
    dependencies: *mut CuGraphNode,
    num_dependencies: *mut usize,
) -> CuResult {
    let all = edges_of(node)?;
    let all = all.iter().filter(|edge| edge.to == node);
    let all: Vec<_> = all.map(|edge| [edge.from]).collect();
    list([dependencies], num_dependencies, &all)
}

pub(crate) fn cuGraphNodeGetDependencies_v2(
    node: CuGraphNode,
    dependencies: *mut CuGraphNode,
    edge_data: *mut CuGraphEdgeData,
    num_dependencies: *mut usize,
) -> CuResult {
    cuGraphNodeGetDependencies(node, dependencies, num_dependencies)?;
    if !dependencies.is_null() {
        list_data(edge_data, num_dependencies);
    }
    Ok(())
}

pub(crate) fn cuGraphNodeGetDependentNodes(
    node: CuGraphNode,
    dependent_nodes: *mut CuGraphNode,
    num_dependent_nodes: *mut usize,
) -> CuResult {
    let all = edges_of(node)?;
    let all = all.iter().filter(|edge| edge.from == node);
    let all: Vec<_> = all.map(|edge| [edge.to]).collect();
    list([dependent_nodes], num_dependent_nodes, &all)
}

pub(crate) fn cuGraphNodeGetDependentNodes_v2(
    node: CuGraphNode,
    dependent_nodes: *mut CuGraphNode,
    edge_data: *mut CuGraphEdgeData,
    num_dependent_nodes: *mut usize,
) -> CuResult {
    cuGraphNodeGetDependentNodes(node, dependent_nodes, num_dependent_nodes)?;
    if !dependent_nodes.is_null() {
        list_data(edge_data, num_dependent_nodes);
    }
    Ok(())
}

pub(crate) fn cuGraphNodeGetType(node: CuGraphNode, kind: *mut CuGraphNodeType) -> CuResult {
    let action = self::node(node)?.action();
    give(kind, CuGraphNodeType(action.about.kind()))
}

pub(crate) fn cuGraphNodeGetContainingGraph(node: CuGraphNode, graph: *mut CuGraph) -> CuResult {
    give(graph, self::node(node)?.graph)
}

pub(crate) fn cuGraphNodeGetLocalId(node: CuGraphNode, node_id: *mut u32) -> CuResult {
    give(node_id, self::node(node)?.local_id)
}

pub(crate) fn cuGraphDestroyNode(node: CuGraphNode) -> CuResult {
    let node = self::node(node)?;
    if node.action().about.is_memory() {
        return Err(CuError::NOT_SUPPORTED);
    }
    graph(node.graph)?.remove(&node);
    Ok(())
}

/// Writes nodes and edges in the language of Graphviz; flags ask for more than there is to say.
pub(crate) fn cuGraphDebugDotPrint(graph: CuGraph, path: *const c_char, _flags: u32) -> CuResult {
    let graph = self::graph(graph)?;
    let path = InStr(path.cast_mut()).text()?;
    let path = path.to_str().map_err(|_| CuError::INVALID_VALUE)?;
    let mut text = String::from("digraph dot {\n");
    // Writing to text cannot fail.
    for node in graph.nodes() {
        let Node { local_id, .. } = *node;
        let name = KINDS
            .get(node.action().about.kind() as usize)
            .unwrap_or(&"NODE");
        let label = match node.action().about {
            About::Kernel(kernel) => kernel.function.name.clone(),
            _ => (*name).to_owned(),
        };
        let _ = writeln!(
            text,
            "\"node_{local_id}\" [shape=\"record\" label=\"{label}\"];"
        );
    }
    let nodes = graph.nodes();
    let id = |handle: CuGraphNode| {
        let node = nodes.iter().find(|node| node.handle == handle);
        node.map_or(u32::MAX, |node| node.local_id)
    };
    for edge in graph.edges() {
        let (from, to) = (id(edge.from), id(edge.to));
        let _ = writeln!(text, "\"node_{from}\" -> \"node_{to}\";");
    }
    text.push_str("}\n");
    std::fs::write(path, text).map_err(|_| CuError::OPERATING_SYSTEM)
}

// ------------------------------------------------------------------------------- user objects

fn user_object(object: CuUserObject) -> Result<Arc<UserObject>, CuError> {
    driver::check()?;
    USER_OBJECTS.find(object.0).ok_or(CuError::INVALID_VALUE)
}

pub(crate) fn cuUserObjectCreate(
    object_out: *mut CuUserObject,
    ptr: *mut c_void,
    destroy: CuHostFn,
    initial_refcount: u32,
    flags: u32,
) -> CuResult {
    driver::check()?;
    let count_max = i32::MAX.unsigned_abs();
    let counts = (1..=count_max).contains(&initial_refcount);
    if object_out.is_null() || destroy.0 == 0 || !counts || flags != NO_DESTRUCTOR_SYNC {
        return Err(CuError::INVALID_VALUE);
    }
    let mut made = CuUserObject(0);
    USER_OBJECTS.insert(|handle| {
        made = CuUserObject(handle);
        UserObject::new(made, destroy, ptr.expose_provenance(), initial_refcount)
    });
    give(object_out, made)
}

pub(crate) fn cuUserObjectRetain(object: CuUserObject, count: u32) -> CuResult {
    let object = user_object(object)?;
    if count == 0 {
        return Err(CuError::INVALID_VALUE);
    }
    object.retain(count);
    Ok(())
}

pub(crate) fn cuUserObjectRelease(object: CuUserObject, count: u32) -> CuResult {
    let object = user_object(object)?;
    if count == 0 {
        return Err(CuError::INVALID_VALUE);
    }
    object.release(count)
}

pub(crate) fn cuGraphRetainUserObject(
    graph: CuGraph,
    object: CuUserObject,
    count: u32,
    flags: u32,
) -> CuResult {
    let (graph, object) = (self::graph(graph)?, user_object(object)?);
    if count == 0 || flags > USER_OBJECT_MOVE {
        return Err(CuError::INVALID_VALUE);
    }
    if flags != USER_OBJECT_MOVE {
        object.retain(count);
    }
    graph.hold(UserReference::new(object, count));
    Ok(())
}

pub(crate) fn cuGraphReleaseUserObject(
    graph: CuGraph,
    object: CuUserObject,
    count: u32,
) -> CuResult {
    self::graph(graph)?.release(&user_object(object)?, count)
}

/// An action of the child kind: a copy of a graph, owned by its node.
pub(super) fn child(graph: CuGraph) -> Result<Action, CuError> {
    let graph = self::graph(graph)?;
    Ok(Action::of_graph(About::Child(graph.cloned(true)?)))
}

/// Longest list that is filled up with nulls.
const LIST_LEN_MAX: usize = 1 << 24;
/// CU_USER_OBJECT_NO_DESTRUCTOR_SYNC and CU_GRAPH_USER_OBJECT_MOVE.
const NO_DESTRUCTOR_SYNC: u32 = 1;
const USER_OBJECT_MOVE: u32 = 1;
/// By CUgraphNodeType.
const KINDS: [&str; 13] = [
    "KERNEL",
    "MEMCPY",
    "MEMSET",
    "HOST",
    "GRAPH",
    "EMPTY",
    "EVENT_WAIT",
    "EVENT_RECORD",
    "EXT_SEMAS_SIGNAL",
    "EXT_SEMAS_WAIT",
    "MEM_ALLOC",
    "MEM_FREE",
    "BATCH_MEM_OP",
];
