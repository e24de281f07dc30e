//! Nodes by kind: what the application describes by pointers becomes a body.

use flexdirect_driver_abi::launch::Shape;
use flexdirect_wire::abi::*;
use flexdirect_wire::body::{GraphAdd, GraphFill, GraphKernel, GraphMade, GraphSet, One};
use flexdirect_wire::call::op;
use zerocopy::IntoBytes;

use super::copies::describe;
use super::lists::named;
use super::{BAD, issue, one, wanted};
use crate::hand::pack_for_node;
use crate::process::{Here, Process, body, here, process};
use crate::session::hostfn::Task;

/// Parameters of a node, ready to be sent.
struct Described {
    kind: u32,
    /// Context that the call names, or 0.
    context: u64,
    /// Context in which the worker does it, if not the current one.
    within: Option<u64>,
    bytes: Vec<u8>,
}

impl Described {
    fn new(kind: u32, context: CuContext, bytes: &[u8]) -> Self {
        Self {
            kind,
            context: context.0,
            within: None,
            bytes: bytes.to_vec(),
        }
    }
}

fn usable(process: &Process, context: CuContext) -> CuResult {
    if context.is_null() {
        return here().map(drop);
    }
    process.context(context.0)?.check()
}

fn kernel(given: *const CudaKernelNodeParams) -> Result<Described, CuError> {
    let process = process()?;
    let given = InOut(given.cast_mut()).read()?;
    let is_kernel = given.function.0 == 0;
    let name = if is_kernel {
        given.kernel.0
    } else {
        given.function.0
    };
    let context = match given.context.0 {
        named if named != 0 && is_kernel => process.context(named)?,
        _ => here()?.context,
    };
    context.check()?;
    let shape = Shape {
        grid: given.grid,
        block: given.block,
        shared_len: given.shared_mem_bytes,
    };
    let params = (given.kernel_params, given.extra);
    let block = pack_for_node(process, &context, name, shape, params)?;
    let bytes = body(|record| {
        record.put(&GraphKernel {
            function: name,
            grid: given.grid,
            block: given.block,
            shared_len: given.shared_mem_bytes,
            reserved: 0,
        });
        record.bytes(&block);
        Ok(())
    })?;
    Ok(Described {
        within: Some(context.handle),
        ..Described::new(KERNEL, CuContext(0), &bytes)
    })
}

fn copy(given: *const CudaMemcpy3d, context: CuContext) -> Result<Described, CuError> {
    let process = process()?;
    let given = InOut(given.cast_mut()).read()?;
    usable(process, context)?;
    let copy = describe(process, &given)?;
    Ok(Described::new(COPY, context, copy.as_bytes()))
}

fn fill(given: *const CudaMemsetNodeParams, context: CuContext) -> Result<Described, CuError> {
    let process = process()?;
    let given = InOut(given.cast_mut()).read()?;
    usable(process, context)?;
    let size = given.element_size;
    if ![1, 2, 4].contains(&size) || !given.target.is_multiple_of(u64::from(size)) {
        return Err(BAD);
    }
    let row = given
        .width
        .checked_mul(size as usize)
        .filter(|&row| row > 0);
    let (row, rows) = (row.ok_or(BAD)?, given.height.checked_sub(1).ok_or(BAD)?);
    let pitch = if rows == 0 { row } else { given.pitch };
    if pitch < row || !pitch.is_multiple_of(size as usize) {
        return Err(BAD);
    }
    let reach = rows.checked_mul(pitch).and_then(|len| len.checked_add(row));
    let reach = reach.ok_or(BAD)? as u64;
    process.ranges().device(given.target, reach)?;
    let bytes = GraphFill {
        target: given.target,
        pitch: given.pitch as u64,
        value: given.value,
        element_len: size,
        width: given.width as u64,
        height: given.height as u64,
    };
    Ok(Described::new(FILL, context, bytes.as_bytes()))
}

fn event(handle: CuEvent, kind: u32) -> Result<Described, CuError> {
    let process = process()?;
    let found = process.events.find(handle.0);
    found.ok_or(CuError::INVALID_HANDLE)?.record_elsewhere();
    Ok(Described::new(kind, CuContext(0), &one(handle.0)))
}

fn child(graph: CuGraph) -> Described {
    Described::new(CHILD, CuContext(0), &one(graph.0))
}

fn empty() -> Described {
    Described::new(EMPTY, CuContext(0), &[])
}

/// Adds a node of whatever kind.
fn add(
    made: *mut CuGraphNode,
    graph: CuGraph,
    after: *const CuGraphNode,
    data: *const CuGraphEdgeData,
    len: usize,
    describe: impl FnOnce() -> Result<Described, CuError>,
) -> CuResult {
    let process = process()?;
    wanted(made)?;
    let after = named(after, data, len)?;
    let described = describe()?;
    let bytes = body(|record| {
        record.put(&GraphAdd {
            graph: graph.0,
            context: described.context,
            kind: described.kind,
            dependencies: u32::try_from(after.len()).expect("at most LIST_LEN_MAX"),
            reserved: 0,
        });
        after.iter().for_each(|node| record.u64(node.0));
        record.raw(&described.bytes);
        Ok(())
    })?;
    let mut issue = issue(op::cuGraphAddNode_v2);
    issue.context = described.within.unwrap_or(issue.context);
    let reply = process.session.call(issue, &bytes)?;
    let node: One = reply
        .made()?
        .get()
        .map_err(|error| process.session.broken(&error))?;
    Out(made).write(CuGraphNode(node.value))
}

/// Sets the parameters of a node, in an executable graph if one is named.
fn set(exec: CuGraphExec, node: CuGraphNode, described: Described) -> CuResult {
    let process = process()?;
    let bytes = body(|record| {
        record.put(&GraphSet {
            exec: exec.0,
            node: node.0,
            context: described.context,
            kind: described.kind,
            reserved: 0,
        });
        record.raw(&described.bytes);
        Ok(())
    })?;
    let known = match exec.0 {
        0 => None,
        _ => Some(super::exec::find(process, exec)?),
    };
    let mut issue = issue(op::cuGraphNodeSetParams);
    issue.context = described.within.unwrap_or(issue.context);
    let reply = process.session.call(issue, &bytes)?;
    let mut answer = reply.body()?;
    let broken = |error| process.session.broken(&error);
    let made: GraphMade = answer.get().map_err(broken)?;
    match known {
        Some(known) => known.learn(&made, &mut answer).map_err(broken),
        None => Ok(()),
    }
}

const GRAPH: CuGraphExec = CuGraphExec(0);

/// The calls of one kind of node: add, set, set in an executable graph.
macro_rules! kinds { ($(
    $add:ident $set:ident $set_exec:ident($parameters:ty $(, $context:ident)?) = $describe:ident;
)*) => { $(
    pub(crate) fn $add(
        graph_node: *mut CuGraphNode,
        graph: CuGraph,
        dependencies: *const CuGraphNode,
        num_dependencies: usize,
        node_params: $parameters,
        $($context: CuContext,)?
    ) -> CuResult {
        let plain = std::ptr::null();
        add(graph_node, graph, dependencies, plain, num_dependencies, || {
            $describe(node_params $(, $context)?)
        })
    }

    pub(crate) fn $set(node: CuGraphNode, node_params: $parameters) -> CuResult {
        $(let $context = CuContext(0);)?
        set(GRAPH, node, $describe(node_params $(, $context)?)?)
    }

    pub(crate) fn $set_exec(
        graph_exec: CuGraphExec,
        node: CuGraphNode,
        node_params: $parameters,
        $($context: CuContext,)?
    ) -> CuResult {
        set(some(graph_exec)?, node, $describe(node_params $(, $context)?)?)
    }
)* } }

kinds! {
    cuGraphAddKernelNode_v2 cuGraphKernelNodeSetParams_v2
        cuGraphExecKernelNodeSetParams_v2(*const CudaKernelNodeParams) = kernel;
    cuGraphAddMemcpyNode cuGraphMemcpyNodeSetParams
        cuGraphExecMemcpyNodeSetParams(*const CudaMemcpy3d, ctx) = copy;
    cuGraphAddMemsetNode cuGraphMemsetNodeSetParams
        cuGraphExecMemsetNodeSetParams(*const CudaMemsetNodeParams, ctx) = fill;
    cuGraphAddEventRecordNode cuGraphEventRecordNodeSetEvent
        cuGraphExecEventRecordNodeSetEvent(CuEvent) = record;
    cuGraphAddHostNode cuGraphHostNodeSetParams
        cuGraphExecHostNodeSetParams(*const CudaHostNodeParams) = host;
    cuGraphAddEventWaitNode cuGraphEventWaitNodeSetEvent
        cuGraphExecEventWaitNodeSetEvent(CuEvent) = wait;
}

/// The function is this process's: the worker has a number for it, as long as the context lives.
fn host(given: *const CudaHostNodeParams) -> Result<Described, CuError> {
    let here = here()?;
    let given = InOut(given.cast_mut()).read()?;
    if given.function.0 == 0 {
        return Err(BAD);
    }
    let number = enter_function(&here, given.function, given.user_data)?;
    Ok(Described::new(HOST, CuContext(0), &one(number)))
}

/// Takes in a function that graphs call.
fn enter_function(here: &Here, function: CuHostFn, data: usize) -> Result<u64, CuError> {
    let session = &here.process.session;
    let task = Task::Function { function, data };
    session
        .hostfns()
        .enter_many(session, task, here.context.handle)
}

fn record(handle: CuEvent) -> Result<Described, CuError> {
    event(handle, RECORD)
}

fn wait(handle: CuEvent) -> Result<Described, CuError> {
    event(handle, WAIT)
}

/// An executable graph, which null is not.
fn some(exec: CuGraphExec) -> Result<CuGraphExec, CuError> {
    if exec.0 == 0 { Err(BAD) } else { Ok(exec) }
}

pub(crate) fn cuGraphAddEmptyNode(
    graph_node: *mut CuGraphNode,
    graph: CuGraph,
    dependencies: *const CuGraphNode,
    num: usize,
) -> CuResult {
    let plain = std::ptr::null();
    add(graph_node, graph, dependencies, plain, num, || Ok(empty()))
}

pub(crate) fn cuGraphAddChildGraphNode(
    graph_node: *mut CuGraphNode,
    graph: CuGraph,
    dependencies: *const CuGraphNode,
    num: usize,
    child_graph: CuGraph,
) -> CuResult {
    let plain = std::ptr::null();
    let describe = || Ok(child(child_graph));
    add(graph_node, graph, dependencies, plain, num, describe)
}

pub(crate) fn cuGraphExecChildGraphNodeSetParams(
    graph_exec: CuGraphExec,
    node: CuGraphNode,
    child_graph: CuGraph,
) -> CuResult {
    set(some(graph_exec)?, node, child(child_graph))
}

// ------------------------------------------------------------------------------- any kind

fn any(node_params: *mut CuGraphNodeParams) -> Result<Described, CuError> {
    let given = InOut(node_params).read()?;
    if given.reserved0 != [0; 3] || given.reserved2 != 0 {
        return Err(BAD);
    }
    let words = &given.words;
    let start = words.as_ptr();
    match given.kind {
        KERNEL => kernel(start.cast()),
        // Flags and a context come before the description of a copy.
        COPY => copy(start.wrapping_add(2).cast(), CuContext(words[1])),
        FILL => fill(start.cast(), CuContext(words[5])),
        CHILD => Ok(child(CuGraph(words[0]))),
        EMPTY => Ok(empty()),
        WAIT => wait(CuEvent(words[0])),
        RECORD => record(CuEvent(words[0])),
        HOST => host(start.cast()),
        8..=18 => Err(CuError::NOT_SUPPORTED),
        _ => Err(BAD),
    }
}

pub(crate) fn cuGraphAddNode_v2(
    graph_node: *mut CuGraphNode,
    graph: CuGraph,
    dependencies: *const CuGraphNode,
    dependency_data: *const CuGraphEdgeData,
    num: usize,
    node_params: *mut CuGraphNodeParams,
) -> CuResult {
    let describe = || any(node_params);
    add(
        graph_node,
        graph,
        dependencies,
        dependency_data,
        num,
        describe,
    )
}

pub(crate) fn cuGraphAddNode_v3(
    graph_node: *mut CuGraphNode,
    graph: CuGraph,
    dependencies: *const CuGraphNode,
    dependency_data: *const CuGraphEdgeData,
    num: usize,
    node_params: *mut CuGraphNodeParams,
) -> CuResult {
    let describe = || any(node_params);
    add(
        graph_node,
        graph,
        dependencies,
        dependency_data,
        num,
        describe,
    )
}

pub(crate) fn cuGraphAddNode(
    graph_node: *mut CuGraphNode,
    graph: CuGraph,
    dependencies: *const CuGraphNode,
    num: usize,
    node_params: *mut CuGraphNodeParams,
) -> CuResult {
    let (plain, describe) = (std::ptr::null(), || any(node_params));
    add(graph_node, graph, dependencies, plain, num, describe)
}

pub(crate) fn cuGraphNodeSetParams(
    node: CuGraphNode,
    node_params: *mut CuGraphNodeParams,
) -> CuResult {
    set(GRAPH, node, any(node_params)?)
}

pub(crate) fn cuGraphNodeSetParams_v2(
    node: CuGraphNode,
    node_params: *mut CuGraphNodeParams,
) -> CuResult {
    cuGraphNodeSetParams(node, node_params)
}

pub(crate) fn cuGraphExecNodeSetParams(
    graph_exec: CuGraphExec,
    node: CuGraphNode,
    node_params: *mut CuGraphNodeParams,
) -> CuResult {
    set(some(graph_exec)?, node, any(node_params)?)
}

/// `CUgraphNodeType`.
const KERNEL: u32 = 0;
const COPY: u32 = 1;
const FILL: u32 = 2;
const HOST: u32 = 3;
const CHILD: u32 = 4;
const EMPTY: u32 = 5;
const WAIT: u32 = 6;
const RECORD: u32 = 7;
