//! Graphs: made, asked about, copied and destroyed under names of the session.
#![expect(non_snake_case, reason = "CUDA's own names keep CUDA's spelling")]

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;

use flexdirect_wire::abi::{CuEvent, CuGraph, CuGraphExec, CuGraphNode};
use flexdirect_wire::body::{GraphAsk, LIST_LEN_MAX, One, what};
use flexdirect_wire::{CuError, Kind, ShadowHandle};

use super::graph_use::mirrors_of;
use crate::dispatch::{Call, Step, Stop};
use crate::session::Session;

const BAD: CuError = CuError::INVALID_VALUE;

/// A graph of the session.
pub(super) fn graph(session: &Session, name: u64) -> Result<CuGraph, CuError> {
    let object = session
        .tables()
        .handles
        .find(Kind::GRAPH, ShadowHandle(name));
    object.map(|object| CuGraph(object.driver)).ok_or(BAD)
}

/// A node of the session, and its graph.
pub(super) fn node(session: &Session, name: u64) -> Result<(CuGraphNode, ShadowHandle), CuError> {
    let found = session
        .tables()
        .handles
        .find(Kind::GRAPH_NODE, ShadowHandle(name));
    let object = found.ok_or(BAD)?;
    Ok((CuGraphNode(object.driver), object.parent))
}

/// An executable graph of the session.
pub(super) fn exec(session: &Session, name: u64) -> Result<CuGraphExec, CuError> {
    let found = session
        .tables()
        .handles
        .find(Kind::GRAPH_EXEC, ShadowHandle(name));
    found.map(|object| CuGraphExec(object.driver)).ok_or(BAD)
}

/// The name of a graph.
pub(super) fn name_graph(
    session: &Session,
    graph: CuGraph,
    parent: ShadowHandle,
) -> Result<ShadowHandle, CuError> {
    let mut tables = session.tables();
    let tables = &mut *tables;
    tables.graphs.enter(&mut tables.handles, graph, parent)
}

/// The name of a node.
pub(super) fn name_node(
    session: &Session,
    node: CuGraphNode,
    graph: ShadowHandle,
) -> Result<ShadowHandle, CuError> {
    let mut tables = session.tables();
    let tables = &mut *tables;
    tables.graphs.enter_node(&mut tables.handles, node, graph)
}

/// Answers with one number.
pub(super) fn answer(call: &mut Call<'_>, value: u64) -> Result<Step, Stop> {
    call.answer().put(&One { value });
    Ok(Step::Done)
}

/// Enters a root graph that was just made; it ends if there is no room for its name.
pub(super) fn enter(session: &Session, graph: CuGraph) -> Result<ShadowHandle, CuError> {
    name_graph(session, graph, ShadowHandle::NULL).inspect_err(|_| {
        let _ = session.driver.destroy_graph(graph);
    })
}

pub(crate) fn cuGraphCreate(call: &mut Call<'_>) -> Result<Step, Stop> {
    let One { value } = call.body.get()?;
    let flags = u32::try_from(value).map_err(|_| BAD)?;
    let made = call.session.driver.create_graph(flags)?;
    let name = enter(call.session, made)?;
    answer(call, name.0)
}

pub(crate) fn cuGraphDestroy(call: &mut Call<'_>) -> Result<Step, Stop> {
    let One { value } = call.body.get()?;
    let session = call.session;
    let name = ShadowHandle(value);
    // Locked all the while: the driver may give the same address to another dispatcher's graph.
    let mut tables = session.tables();
    let found = tables.handles.find(Kind::GRAPH, name).ok_or(BAD)?;
    // A graph in a node is refused by the driver.
    session.driver.destroy_graph(CuGraph(found.driver))?;
    let own = &mut *tables;
    own.graphs.remove(&mut own.handles, name);
    drop(tables);
    session.sweep_mirrors();
    Ok(Step::Done)
}

pub(crate) fn cuGraphClone(call: &mut Call<'_>) -> Result<Step, Stop> {
    let One { value } = call.body.get()?;
    let session = call.session;
    let original = graph(session, value)?;
    // Read off the nodes: who holds the mirrors of a graph in a node is the graph around it.
    let mirrors = mirrors_of(session, original)?;
    let clone = session.driver.clone_graph(original)?;
    let name = enter(session, clone)?;
    session.tables().graphs.hold(name, &mirrors);
    answer(call, name.0)
}

pub(crate) fn cuGraphDestroyNode(call: &mut Call<'_>) -> Result<Step, Stop> {
    let One { value } = call.body.get()?;
    let session = call.session;
    let name = ShadowHandle(value);
    // Locked as for a graph.
    let mut tables = session.tables();
    let found = tables.handles.find(Kind::GRAPH_NODE, name).ok_or(BAD)?;
    session.driver.destroy_node(CuGraphNode(found.driver))?;
    let own = &mut *tables;
    own.graphs.remove_node(&mut own.handles, name);
    drop(tables);
    Ok(Step::Done)
}

// ------------------------------------------------------------------------------- lists

/// All lists: the number of entries in all, the number of those that follow, and these.
pub(crate) fn cuGraphGetNodes(call: &mut Call<'_>) -> Result<Step, Stop> {
    let asked: GraphAsk = call.body.get()?;
    let session = call.session;
    let driver = &session.driver;
    let (rows, owner) = match asked.what {
        what::NODES | what::ROOTS => {
            let found = graph(session, asked.handle)?;
            let nodes = driver.nodes(found, asked.what == what::ROOTS)?;
            let rows: Vec<_> = nodes.into_iter().map(|node| vec![node]).collect();
            (rows, ShadowHandle(asked.handle))
        }
        what::EDGES => {
            let edges = driver.edges(graph(session, asked.handle)?)?;
            let rows: Vec<_> = edges.into_iter().map(Vec::from).collect();
            (rows, ShadowHandle(asked.handle))
        }
        what::DEPENDENCIES | what::DEPENDENTS => {
            let (found, owner) = node(session, asked.handle)?;
            let nodes = driver.neighbours(found, asked.what == what::DEPENDENTS)?;
            (nodes.into_iter().map(|node| vec![node]).collect(), owner)
        }
        other => return Err(call.bad("list", u64::from(other))),
    };
    let first = usize::try_from(asked.offset).unwrap_or(usize::MAX);
    let page: Vec<_> = rows.iter().skip(first).take(LIST_LEN_MAX).collect();
    let mut names = Vec::with_capacity(page.len());
    for entry in page.iter().copied().flatten() {
        names.push(name_node(session, *entry, owner)?);
    }
    let mut answer = call.answer();
    answer.u64(rows.len() as u64);
    answer.u64(page.len() as u64);
    for name in names {
        answer.u64(name.0);
    }
    Ok(Step::Done)
}

/// All that is answered with one number.
pub(crate) fn cuGraphNodeGetType(call: &mut Call<'_>) -> Result<Step, Stop> {
    let asked: GraphAsk = call.body.get()?;
    let session = call.session;
    let driver = &session.driver;
    let of_node = || node(session, asked.handle);
    let value = match asked.what {
        what::KIND => u64::from(driver.kind_of_node(of_node()?.0)?),
        what::CONTAINING => of_node()?.1.0,
        what::LOCAL_ID => u64::from(driver.local_id(of_node()?.0)?),
        what::GRAPH_ID => u64::from(driver.graph_id(graph(session, asked.handle)?)?),
        what::EXEC_ID => u64::from(driver.exec_id(exec(session, asked.handle)?)?),
        what::EXEC_FLAGS => driver.exec_flags(exec(session, asked.handle)?)?,
        what::ENABLED => {
            let exec = exec(session, asked.handle)?;
            u64::from(driver.is_node_enabled(exec, node(session, asked.other)?.0)?)
        }
        what::RECORDED | what::AWAITED => {
            let is_wait = asked.what == what::AWAITED;
            let event = driver.event_of_node(of_node()?.0, is_wait)?;
            name_event(session, event)?.0
        }
        what::CHILD => {
            let child = driver.child_of_node(of_node()?.0)?;
            name_graph(session, child, ShadowHandle(asked.handle))?.0
        }
        what::IN_CLONE => {
            let found = driver.node_in_clone(of_node()?.0, graph(session, asked.other)?)?;
            name_node(session, found, ShadowHandle(asked.other))?.0
        }
        other => return Err(call.bad("question", u64::from(other))),
    };
    answer(call, value)
}

/// The client's name of an event.
fn name_event(session: &Session, event: CuEvent) -> Result<ShadowHandle, CuError> {
    let found = session.tables().handles.named(Kind::EVENT, event.0);
    found.ok_or(CuError::INVALID_HANDLE)
}

// ------------------------------------------------------------------------------- edges

pub(crate) fn cuGraphAddDependencies_v2(call: &mut Call<'_>) -> Result<Step, Stop> {
    change_edges(call, true)
}

pub(crate) fn cuGraphRemoveDependencies_v2(call: &mut Call<'_>) -> Result<Step, Stop> {
    change_edges(call, false)
}

fn change_edges(call: &mut Call<'_>, adds: bool) -> Result<Step, Stop> {
    let asked: GraphAsk = call.body.get()?;
    let found = graph(call.session, asked.handle)?;
    let from = nodes(call, asked.offset)?;
    let to = nodes(call, asked.offset)?;
    call.session
        .driver
        .change_edges(found, (&from, &to), adds)?;
    Ok(Step::Done)
}

/// As many nodes, by their names in the body.
pub(super) fn nodes(call: &mut Call<'_>, count: u64) -> Result<Vec<CuGraphNode>, Stop> {
    if count > LIST_LEN_MAX as u64 {
        return Err(call.bad("nodes", count));
    }
    let mut found = Vec::new();
    for _ in 0..count {
        let name = call.body.u64()?;
        found.push(node(call.session, name)?.0);
    }
    Ok(found)
}

// ------------------------------------------------------------------------------- text

/// A graph as text, from `offset` on: its length, and as much as fits in a reply.
pub(crate) fn cuGraphDebugDotPrint(call: &mut Call<'_>) -> Result<Step, Stop> {
    let asked: GraphAsk = call.body.get()?;
    let session = call.session;
    let found = graph(session, asked.handle)?;
    let name = format!("flexdirect-{}-{}", std::process::id(), call.header.sequence);
    let folder = std::env::temp_dir().join(name);
    // Made new, so that nobody else has put anything there.
    let made = std::fs::DirBuilder::new().mode(0o700).create(&folder);
    made.map_err(|_| CuError::OPERATING_SYSTEM)?;
    let path = folder.join("graph");
    let printed = CString::new(path.as_os_str().as_bytes())
        .map_err(|_| BAD)
        .and_then(|path| session.driver.print_graph(found, &path, asked.what));
    let text = std::fs::read(&path);
    let _ = std::fs::remove_dir_all(&folder);
    printed?;
    let text = text.map_err(|_| CuError::OPERATING_SYSTEM)?;
    let first = usize::try_from(asked.offset)
        .unwrap_or(usize::MAX)
        .min(text.len());
    let page = &text[first..text.len().min(first + TEXT_LEN_MAX)];
    let mut answer = call.answer();
    answer.u64(text.len() as u64);
    answer.bytes(page);
    Ok(Step::Done)
}

/// Bytes of text in a reply.
const TEXT_LEN_MAX: usize = 128 << 10;
