//! Questions about graphs: lists of nodes and edges, and single numbers.

use flexdirect_wire::abi::{
    CuError, CuEvent, CuGraph, CuGraphEdgeData, CuGraphExec, CuGraphNode, CuGraphNodeType,
    CuResult, InOut, Out,
};
use flexdirect_wire::body::{GraphAsk, LIST_LEN_MAX, what};
use flexdirect_wire::call::{Op, op};
use zerocopy::IntoBytes;

use super::{BAD, ask, issue, number, question, wanted};
use crate::process::process;

/// All entries of a list: columns of nodes.
fn rows<const N: usize>(what: u32, handle: u64) -> Result<Vec<[CuGraphNode; N]>, CuError> {
    let process = process()?;
    let mut rows = Vec::new();
    loop {
        let asked = GraphAsk {
            handle,
            what,
            offset: rows.len() as u64,
            ..GraphAsk::default()
        };
        let reply = process
            .session
            .call(issue(op::cuGraphGetNodes), asked.as_bytes())?;
        let mut answer = reply.body()?;
        let broken = |error| process.session.broken(&error);
        let (all, here) = (answer.u64().map_err(broken)?, answer.u64().map_err(broken)?);
        for _ in 0..here.min(LIST_LEN_MAX as u64) {
            let mut row = [CuGraphNode(0); N];
            for node in &mut row {
                *node = CuGraphNode(answer.u64().map_err(broken)?);
            }
            rows.push(row);
        }
        if here == 0 || rows.len() as u64 >= all {
            return Ok(rows);
        }
    }
}

/// The way every list is asked for: without room for the count alone; what is left of the room is
/// set to null.
fn list<const N: usize>(
    places: [*mut CuGraphNode; N],
    len: *mut usize,
    what: u32,
    handle: u64,
) -> Result<usize, CuError> {
    let rows: Vec<[CuGraphNode; N]> = rows(what, handle)?;
    let room = InOut(len).read()?;
    if places.iter().all(|place| place.is_null()) {
        Out(len).write(rows.len())?;
        return Ok(0);
    }
    for (column, place) in places.into_iter().enumerate() {
        for index in 0..room.min(ROOM_MAX) {
            let value = rows.get(index).map_or(CuGraphNode(0), |row| row[column]);
            Out(place.wrapping_add(index)).write(value)?;
        }
    }
    let filled = rows.len().min(room);
    Out(len).write(filled)?;
    Ok(filled)
}

/// Annotations of the edges in a list: all edges are plain ones.
fn plain(place: *mut CuGraphEdgeData, filled: usize) -> CuResult {
    if place.is_null() {
        return Ok(());
    }
    (0..filled).try_for_each(|at| Out(place.wrapping_add(at)).write(CuGraphEdgeData::default()))
}

pub(crate) fn cuGraphGetNodes(
    graph: CuGraph,
    nodes: *mut CuGraphNode,
    num: *mut usize,
) -> CuResult {
    list([nodes], num, what::NODES, graph.0).map(drop)
}

pub(crate) fn cuGraphGetRootNodes(
    graph: CuGraph,
    root_nodes: *mut CuGraphNode,
    num_root_nodes: *mut usize,
) -> CuResult {
    list([root_nodes], num_root_nodes, what::ROOTS, graph.0).map(drop)
}

pub(crate) fn cuGraphGetEdges_v2(
    graph: CuGraph,
    from: *mut CuGraphNode,
    to: *mut CuGraphNode,
    edge_data: *mut CuGraphEdgeData,
    num_edges: *mut usize,
) -> CuResult {
    if from.is_null() != to.is_null() {
        return Err(BAD);
    }
    plain(
        edge_data,
        list([from, to], num_edges, what::EDGES, graph.0)?,
    )
}

pub(crate) fn cuGraphGetEdges(
    graph: CuGraph,
    from: *mut CuGraphNode,
    to: *mut CuGraphNode,
    num_edges: *mut usize,
) -> CuResult {
    cuGraphGetEdges_v2(graph, from, to, std::ptr::null_mut(), num_edges)
}

/// The two directions of edges, each with and without annotations.
macro_rules! neighbours { ($($plain:ident $annotated:ident = $what:ident;)*) => { $(
    pub(crate) fn $annotated(
        node: CuGraphNode,
        nodes: *mut CuGraphNode,
        edge_data: *mut CuGraphEdgeData,
        num: *mut usize,
    ) -> CuResult {
        plain(edge_data, list([nodes], num, what::$what, node.0)?)
    }

    pub(crate) fn $plain(
        node: CuGraphNode,
        nodes: *mut CuGraphNode,
        num: *mut usize,
    ) -> CuResult {
        $annotated(node, nodes, std::ptr::null_mut(), num)
    }
)* } }

neighbours! {
    cuGraphNodeGetDependencies cuGraphNodeGetDependencies_v2 = DEPENDENCIES;
    cuGraphNodeGetDependentNodes cuGraphNodeGetDependentNodes_v2 = DEPENDENTS;
}

/// Single numbers that are asked for.
fn get<T>(place: *mut T, what: u32, handle: u64, other: u64, make: fn(u64) -> T) -> CuResult {
    process()?;
    wanted(place)?;
    let value = number(op::cuGraphNodeGetType, &question(what, handle, other))?;
    Out(place).write(make(value))
}

fn narrow(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

pub(crate) fn cuGraphNodeGetType(node: CuGraphNode, kind: *mut CuGraphNodeType) -> CuResult {
    get(kind, what::KIND, node.0, 0, |value| {
        CuGraphNodeType(narrow(value))
    })
}

pub(crate) fn cuGraphNodeGetContainingGraph(node: CuGraphNode, graph: *mut CuGraph) -> CuResult {
    get(graph, what::CONTAINING, node.0, 0, CuGraph)
}

pub(crate) fn cuGraphNodeGetLocalId(node: CuGraphNode, node_id: *mut u32) -> CuResult {
    get(node_id, what::LOCAL_ID, node.0, 0, narrow)
}

pub(crate) fn cuGraphGetId(graph: CuGraph, id: *mut u32) -> CuResult {
    get(id, what::GRAPH_ID, graph.0, 0, narrow)
}

pub(crate) fn cuGraphExecGetId(graph_exec: CuGraphExec, graph_id: *mut u32) -> CuResult {
    get(graph_id, what::EXEC_ID, graph_exec.0, 0, narrow)
}

pub(crate) fn cuGraphExecGetFlags(graph_exec: CuGraphExec, flags: *mut u64) -> CuResult {
    get(flags, what::EXEC_FLAGS, graph_exec.0, 0, |value| value)
}

pub(crate) fn cuGraphNodeGetEnabled(
    graph_exec: CuGraphExec,
    node: CuGraphNode,
    is_enabled: *mut u32,
) -> CuResult {
    get(is_enabled, what::ENABLED, graph_exec.0, node.0, narrow)
}

pub(crate) fn cuGraphEventRecordNodeGetEvent(node: CuGraphNode, event: *mut CuEvent) -> CuResult {
    get(event, what::RECORDED, node.0, 0, CuEvent)
}

pub(crate) fn cuGraphEventWaitNodeGetEvent(node: CuGraphNode, event: *mut CuEvent) -> CuResult {
    get(event, what::AWAITED, node.0, 0, CuEvent)
}

pub(crate) fn cuGraphChildGraphNodeGetGraph(node: CuGraphNode, graph: *mut CuGraph) -> CuResult {
    get(graph, what::CHILD, node.0, 0, CuGraph)
}

pub(crate) fn cuGraphNodeFindInClone(
    found: *mut CuGraphNode,
    original: CuGraphNode,
    clone: CuGraph,
) -> CuResult {
    get(found, what::IN_CLONE, original.0, clone.0, CuGraphNode)
}

// ------------------------------------------------------------------------------- edges

/// Nodes that the application names, with the annotations of their edges.
pub(super) fn named(
    nodes: *const CuGraphNode,
    data: *const CuGraphEdgeData,
    len: usize,
) -> Result<Vec<CuGraphNode>, CuError> {
    if len > LIST_LEN_MAX {
        return Err(BAD);
    }
    if !data.is_null() {
        for at in 0..len {
            check(&InOut(data.cast_mut().wrapping_add(at)).read()?)?;
        }
    }
    let node = |at| InOut(nodes.cast_mut().wrapping_add(at)).read();
    if len > 0 && nodes.is_null() {
        return Err(BAD);
    }
    (0..len).map(node).collect()
}

/// Only whole nodes wait for whole nodes here.
fn check(data: &CuGraphEdgeData) -> CuResult {
    if data.reserved != [0; 5] || data.to_port != 0 {
        return Err(BAD);
    }
    if data.kind != 0 || data.from_port != 0 {
        return Err(CuError::NOT_SUPPORTED);
    }
    Ok(())
}

fn change(
    op: Op,
    graph: CuGraph,
    (from, to): (*const CuGraphNode, *const CuGraphNode),
    data: *const CuGraphEdgeData,
    len: usize,
) -> CuResult {
    let from = named(from, data, len)?;
    let to = named(to, std::ptr::null(), len)?;
    let reply = ask(op, |record| {
        record.put(&GraphAsk {
            handle: graph.0,
            offset: len as u64,
            ..GraphAsk::default()
        });
        from.iter().chain(&to).for_each(|node| record.u64(node.0));
        Ok(())
    })?;
    reply.check()
}

/// Adding edges and removing them, each with and without annotations.
macro_rules! edges { ($($plain:ident $annotated:ident;)*) => { $(
    pub(crate) fn $annotated(
        graph: CuGraph,
        from: *const CuGraphNode,
        to: *const CuGraphNode,
        edge_data: *const CuGraphEdgeData,
        num: usize,
    ) -> CuResult {
        change(op::$annotated, graph, (from, to), edge_data, num)
    }

    pub(crate) fn $plain(
        graph: CuGraph,
        from: *const CuGraphNode,
        to: *const CuGraphNode,
        num: usize,
    ) -> CuResult {
        $annotated(graph, from, to, std::ptr::null(), num)
    }
)* } }

edges! {
    cuGraphAddDependencies cuGraphAddDependencies_v2;
    cuGraphRemoveDependencies cuGraphRemoveDependencies_v2;
}

/// Longest list that is filled up with nulls.
const ROOM_MAX: usize = 1 << 24;
