//! Nodes of graphs by kind: adding them, asking for their parameters and setting these, in graphs
//! and in executable ones.

use std::ffi::c_void;
use std::sync::Arc;

use flexdirect_driver_abi::launch::Shape;
use flexdirect_wire::abi::*;

use super::graph::{child, dependencies, give, graph, node};
use super::graph_exec::exec;
use super::launch::parameters;
use super::stream_work::OPERATIONS_MAX;
use crate::context::{self, Context};
use crate::driver::EVENTS;
use crate::event::Event;
use crate::function;
use crate::graph::{About, Action};
use crate::raw;

const BAD: CuError = CuError::INVALID_VALUE;

/// Adds a node of whatever kind.
fn add(
    made: *mut CuGraphNode,
    graph: CuGraph,
    after: *const CuGraphNode,
    data: *const CuGraphEdgeData,
    len: usize,
    action: impl FnOnce() -> Result<Action, CuError>,
) -> CuResult {
    let graph = self::graph(graph)?;
    if made.is_null() {
        return Err(BAD);
    }
    let after = dependencies(after, data, len)?;
    let node = graph.add(&after, action()?, CuGraphNode(0))?;
    give(made, node.handle)
}

/// The context that a node names, or the current one.
fn of_node(handle: CuContext) -> Result<Arc<Context>, CuError> {
    if handle.is_null() {
        return context::current();
    }
    let context = context::find(handle)?;
    context.check()?;
    Ok(context)
}

fn event(handle: CuEvent) -> Result<Arc<Event>, CuError> {
    EVENTS.find(handle.0).ok_or(CuError::INVALID_HANDLE)
}

fn kernel(node_params: *const CudaKernelNodeParams) -> Result<Action, CuError> {
    let given = raw::fetch(node_params).ok_or(BAD)?;
    let (name, context) = if given.function.0 == 0 {
        (CuFunction(given.kernel.0), of_node(given.context)?)
    } else {
        (given.function, context::current()?)
    };
    let function = function::find(name)?;
    let shape = Shape {
        grid: given.grid,
        block: given.block,
        shared_len: given.shared_mem_bytes,
    };
    let values = parameters(&function, given.kernel_params, given.extra)?;
    Action::kernel(&context, &function, (shape, false), values)
}

fn kernel_params(action: &Action) -> Result<CudaKernelNodeParams, CuError> {
    let About::Kernel(kernel) = &action.about else {
        return Err(BAD);
    };
    let addresses: *const usize = kernel.addresses.as_ptr();
    Ok(CudaKernelNodeParams {
        function: kernel.function.handle,
        grid: kernel.shape.grid,
        block: kernel.shape.block,
        shared_mem_bytes: kernel.shape.shared_len,
        kernel_params: addresses.cast_mut().cast::<*mut c_void>(),
        extra: std::ptr::null_mut(),
        kernel: CuKernel(0),
        context: CuContext(0),
    })
}

fn copy(described: *const CudaMemcpy3d, context: CuContext) -> Result<Action, CuError> {
    let described = raw::fetch(described).ok_or(BAD)?;
    Action::copy(&of_node(context)?, &described)
}

fn fill(described: *const CudaMemsetNodeParams, context: CuContext) -> Result<Action, CuError> {
    let described = raw::fetch(described).ok_or(BAD)?;
    Action::fill(&of_node(context)?, &described)
}

fn host(described: *const CudaHostNodeParams) -> Result<Action, CuError> {
    Action::host(raw::fetch(described).ok_or(BAD)?)
}

fn batch(described: *const CudaBatchMemOpNodeParams) -> Result<Action, CuError> {
    let given = raw::fetch(described).ok_or(BAD)?;
    if given.count > OPERATIONS_MAX || given.flags != 0 {
        return Err(BAD);
    }
    let operations = raw::elements(given.operations.cast_const(), given.count as usize);
    if operations.len() != given.count as usize {
        return Err(BAD);
    }
    Action::batch(&of_node(given.context)?, operations)
}

/// The calls of one kind of node: add, ask, set, set in an executable graph.
macro_rules! kinds { ($(
    $add:ident $ask:ident $set:ident $set_exec:ident($parameters:ty $(, $context:ident)?)
    = $make:ident, $tell:expr;
)*) => { $(
    pub(crate) fn $add(
        graph_node: *mut CuGraphNode,
        graph: CuGraph,
        dependencies: *const CuGraphNode,
        num_dependencies: usize,
        node_params: *const $parameters,
        $($context: CuContext,)?
    ) -> CuResult {
        let plain = std::ptr::null();
        add(graph_node, graph, dependencies, plain, num_dependencies, || {
            $make(node_params $(, $context)?)
        })
    }

    pub(crate) fn $ask(node: CuGraphNode, node_params: *mut $parameters) -> CuResult {
        let tell: fn(&Action) -> Result<$parameters, CuError> = $tell;
        give(node_params, tell(&self::node(node)?.action())?)
    }

    pub(crate) fn $set(node: CuGraphNode, node_params: *const $parameters) -> CuResult {
        let node = self::node(node)?;
        $(let $context = context_of(&node.action());)?
        node.set_action($make(node_params $(, $context)?)?)
    }

    pub(crate) fn $set_exec(
        graph_exec: CuGraphExec,
        node: CuGraphNode,
        node_params: *const $parameters,
        $($context: CuContext,)?
    ) -> CuResult {
        exec(graph_exec)?.set_action(node, $make(node_params $(, $context)?)?)
    }
)* } }

kinds! {
    cuGraphAddKernelNode_v2 cuGraphKernelNodeGetParams_v2 cuGraphKernelNodeSetParams_v2
        cuGraphExecKernelNodeSetParams_v2(CudaKernelNodeParams) = kernel, kernel_params;
    cuGraphAddMemcpyNode cuGraphMemcpyNodeGetParams cuGraphMemcpyNodeSetParams
        cuGraphExecMemcpyNodeSetParams(CudaMemcpy3d, ctx) = copy, copy_params;
    cuGraphAddMemsetNode cuGraphMemsetNodeGetParams cuGraphMemsetNodeSetParams
        cuGraphExecMemsetNodeSetParams(CudaMemsetNodeParams, ctx) = fill, fill_params;
    cuGraphAddHostNode cuGraphHostNodeGetParams cuGraphHostNodeSetParams
        cuGraphExecHostNodeSetParams(CudaHostNodeParams) = host, host_params;
    cuGraphAddBatchMemOpNode cuGraphBatchMemOpNodeGetParams cuGraphBatchMemOpNodeSetParams
        cuGraphExecBatchMemOpNodeSetParams(CudaBatchMemOpNodeParams) = batch, batch_params;
}

fn context_of(action: &Action) -> CuContext {
    let context = action.context.as_ref();
    context.map_or(CuContext(0), |context| context.handle)
}

fn copy_params(action: &Action) -> Result<CudaMemcpy3d, CuError> {
    match action.about {
        About::Copy(described) => Ok(described),
        _ => Err(BAD),
    }
}

fn fill_params(action: &Action) -> Result<CudaMemsetNodeParams, CuError> {
    match action.about {
        About::Fill(described) => Ok(described),
        _ => Err(BAD),
    }
}

fn host_params(action: &Action) -> Result<CudaHostNodeParams, CuError> {
    match action.about {
        About::Host(described) => Ok(described),
        _ => Err(BAD),
    }
}

fn batch_params(action: &Action) -> Result<CudaBatchMemOpNodeParams, CuError> {
    let About::Batch(operations) = &action.about else {
        return Err(BAD);
    };
    Ok(CudaBatchMemOpNodeParams {
        context: context_of(action),
        count: u32::try_from(operations.len()).unwrap_or(u32::MAX),
        operations: operations.as_ptr().cast_mut(),
        flags: 0,
    })
}

// ------------------------------------------------------------------------------- other kinds

pub(crate) fn cuGraphAddEmptyNode(
    graph_node: *mut CuGraphNode,
    graph: CuGraph,
    dependencies: *const CuGraphNode,
    num_dependencies: usize,
) -> CuResult {
    let plain = std::ptr::null();
    add(
        graph_node,
        graph,
        dependencies,
        plain,
        num_dependencies,
        || Ok(Action::of_graph(About::Empty)),
    )
}

pub(crate) fn cuGraphAddChildGraphNode(
    graph_node: *mut CuGraphNode,
    graph: CuGraph,
    dependencies: *const CuGraphNode,
    num_dependencies: usize,
    child_graph: CuGraph,
) -> CuResult {
    let plain = std::ptr::null();
    add(
        graph_node,
        graph,
        dependencies,
        plain,
        num_dependencies,
        || child(child_graph),
    )
}

pub(crate) fn cuGraphChildGraphNodeGetGraph(node: CuGraphNode, graph: *mut CuGraph) -> CuResult {
    match self::node(node)?.action().about {
        About::Child(child) => give(graph, child.handle),
        _ => Err(BAD),
    }
}

pub(crate) fn cuGraphExecChildGraphNodeSetParams(
    graph_exec: CuGraphExec,
    node: CuGraphNode,
    child_graph: CuGraph,
) -> CuResult {
    let with = graph(child_graph)?;
    match self::node(node)?.action().about {
        About::Child(child) => exec(graph_exec)?.set_child(&child, &with),
        _ => Err(BAD),
    }
}

/// The calls of the two kinds of event nodes.
macro_rules! events { ($(
    $add:ident $ask:ident $set:ident $set_exec:ident = $kind:ident;
)*) => { $(
    pub(crate) fn $add(
        graph_node: *mut CuGraphNode,
        graph: CuGraph,
        dependencies: *const CuGraphNode,
        num_dependencies: usize,
        event: CuEvent,
    ) -> CuResult {
        let plain = std::ptr::null();
        add(graph_node, graph, dependencies, plain, num_dependencies, || {
            Ok(Action::of_graph(About::$kind(self::event(event)?)))
        })
    }

    pub(crate) fn $ask(node: CuGraphNode, event_out: *mut CuEvent) -> CuResult {
        match self::node(node)?.action().about {
            About::$kind(event) => give(event_out, event.handle),
            _ => Err(BAD),
        }
    }

    pub(crate) fn $set(node: CuGraphNode, event: CuEvent) -> CuResult {
        self::node(node)?.set_action(Action::of_graph(About::$kind(self::event(event)?)))
    }

    pub(crate) fn $set_exec(
        graph_exec: CuGraphExec,
        node: CuGraphNode,
        event: CuEvent,
    ) -> CuResult {
        let action = Action::of_graph(About::$kind(self::event(event)?));
        exec(graph_exec)?.set_action(node, action)
    }
)* } }

events! {
    cuGraphAddEventRecordNode cuGraphEventRecordNodeGetEvent cuGraphEventRecordNodeSetEvent
        cuGraphExecEventRecordNodeSetEvent = Record;
    cuGraphAddEventWaitNode cuGraphEventWaitNodeGetEvent cuGraphEventWaitNodeSetEvent
        cuGraphExecEventWaitNodeSetEvent = Wait;
}

// ------------------------------------------------------------------------------- any kind

/// The action that parameters of any kind describe.
fn any(node_params: *mut CuGraphNodeParams) -> Result<Action, CuError> {
    let given = raw::fetch(node_params.cast_const()).ok_or(BAD)?;
    if given.reserved0 != [0; 3] || given.reserved2 != 0 {
        return Err(BAD);
    }
    let words = &given.words;
    let start = words.as_ptr();
    match given.kind {
        0 => kernel(start.cast()),
        // Flags and a context come before the description of a copy.
        1 => copy(start.wrapping_add(2).cast(), CuContext(words[1])),
        2 => fill(start.cast(), CuContext(words[5])),
        3 => host(start.cast()),
        4 => child(CuGraph(words[0])),
        5 => Ok(Action::of_graph(About::Empty)),
        6 => Ok(Action::of_graph(About::Wait(event(CuEvent(words[0]))?))),
        7 => Ok(Action::of_graph(About::Record(event(CuEvent(words[0]))?))),
        12 => batch(start.cast()),
        8..=11 | 13..=18 => Err(CuError::NOT_SUPPORTED),
        _ => Err(BAD),
    }
}

pub(crate) fn cuGraphAddNode_v2(
    graph_node: *mut CuGraphNode,
    graph: CuGraph,
    dependencies: *const CuGraphNode,
    dependency_data: *const CuGraphEdgeData,
    num_dependencies: usize,
    node_params: *mut CuGraphNodeParams,
) -> CuResult {
    add(
        graph_node,
        graph,
        dependencies,
        dependency_data,
        num_dependencies,
        || any(node_params),
    )
}

pub(crate) fn cuGraphAddNode(
    graph_node: *mut CuGraphNode,
    graph: CuGraph,
    dependencies: *const CuGraphNode,
    num_dependencies: usize,
    node_params: *mut CuGraphNodeParams,
) -> CuResult {
    let plain = std::ptr::null();
    cuGraphAddNode_v2(
        graph_node,
        graph,
        dependencies,
        plain,
        num_dependencies,
        node_params,
    )
}

pub(crate) fn cuGraphAddNode_v3(
    graph_node: *mut CuGraphNode,
    graph: CuGraph,
    dependencies: *const CuGraphNode,
    dependency_data: *const CuGraphEdgeData,
    num_dependencies: usize,
    node_params: *mut CuGraphNodeParams,
) -> CuResult {
    let (made, data) = (graph_node, dependency_data);
    cuGraphAddNode_v2(
        made,
        graph,
        dependencies,
        data,
        num_dependencies,
        node_params,
    )
}

pub(crate) fn cuGraphNodeSetParams(
    node: CuGraphNode,
    node_params: *mut CuGraphNodeParams,
) -> CuResult {
    self::node(node)?.set_action(any(node_params)?)
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
    exec(graph_exec)?.set_action(node, any(node_params)?)
}

// ------------------------------------------------------------------------------- attributes

pub(crate) fn cuGraphKernelNodeGetAttribute(
    node: CuGraphNode,
    attr: CuKernelNodeAttrID,
    value_out: *mut CuKernelNodeAttrValue,
) -> CuResult {
    let About::Kernel(kernel) = self::node(node)?.action().about else {
        return Err(BAD);
    };
    if !(1..=ATTRIBUTE_MAX).contains(&attr.0) {
        return Err(BAD);
    }
    if attr.0 == COOPERATIVE {
        let mut value = CuKernelNodeAttrValue::default();
        value.words[0] = u64::from(kernel.is_cooperative);
        return give(value_out, value);
    }
    let set = raw::lock(&kernel.attributes).get(&attr.0).copied();
    give(value_out, set.unwrap_or_default())
}

/// Hints are kept; what would change the meaning of the launch is refused.
pub(crate) fn cuGraphKernelNodeSetAttribute(
    node: CuGraphNode,
    attr: CuKernelNodeAttrID,
    value: *const CuKernelNodeAttrValue,
) -> CuResult {
    let node = self::node(node)?;
    let Action {
        about: About::Kernel(kernel),
        context: Some(context),
        ..
    } = node.action()
    else {
        return Err(BAD);
    };
    let value = raw::fetch(value).ok_or(BAD)?;
    match attr.0 {
        COOPERATIVE => {
            let how = (kernel.shape, value.words[0] << 32 != 0);
            let values = kernel.values.clone();
            let action = Action::kernel(&context, &kernel.function, how, values)?;
            if let About::Kernel(new) = &action.about {
                let attributes = raw::lock(&kernel.attributes).clone();
                *raw::lock(&new.attributes) = attributes;
            }
            node.set_action(action)
        }
        4 | 11 | 13 if value != CuKernelNodeAttrValue::default() => Err(CuError::NOT_SUPPORTED),
        1..=ATTRIBUTE_MAX => {
            raw::lock(&kernel.attributes).insert(attr.0, value);
            Ok(())
        }
        _ => Err(BAD),
    }
}

pub(crate) fn cuGraphKernelNodeCopyAttributes(dst: CuGraphNode, src: CuGraphNode) -> CuResult {
    let (target, source) = (node(dst)?.action().about, node(src)?.action().about);
    let (About::Kernel(target), About::Kernel(source)) = (target, source) else {
        return Err(BAD);
    };
    let copied = raw::lock(&source.attributes).clone();
    *raw::lock(&target.attributes) = copied;
    Ok(())
}

/// CU_LAUNCH_ATTRIBUTE_COOPERATIVE.
const COOPERATIVE: u32 = 2;
/// Highest CUlaunchAttributeID.
const ATTRIBUTE_MAX: u32 = 18;
