//! Nodes of graphs: added, set and asked for their parameters, by kind.
#![expect(non_snake_case, reason = "CUDA's own names keep CUDA's spelling")]

use std::sync::Arc;

use flexdirect_wire::abi::{
    CuContext, CuDevicePtr, CuEvent, CuFunction, CuGraph, CuKernel, CuLaunchAttributeValue,
    CuMemoryType, CudaHostNodeParams, CudaKernelNodeParams, CudaMemcpy3d, CudaMemcpy3dEnd,
    CudaMemsetNodeParams,
};
use flexdirect_wire::body::{
    GraphAdd, GraphAsk, GraphAttribute, GraphCopy, GraphFill, GraphKernel, GraphMade, GraphSet,
    Mirrored, One, Rows, copy_of_words, copy_words,
};
use flexdirect_wire::limits::PARAMETERS_LEN_MAX;
use flexdirect_wire::{CuError, Kind, ShadowHandle};

use super::graph::{answer, exec, graph, name_node, node, nodes};
use super::graph_exec::{self, answer_made};
use super::graph_use::{mirrored, mirrors_of};
use super::launch::Packed;
use crate::dispatch::{Call, Step, Stop};
use crate::driver::graph_nodes::{Add, Set};
use crate::session::Session;
use crate::shadow::hostfn::{Hook, HostFns};
use crate::shadow::mirrors::Mirror;

const BAD: CuError = CuError::INVALID_VALUE;

/// What a node does, as the driver is told.
enum Action {
    Kernel(CudaKernelNodeParams, Packed),
    Copy(CudaMemcpy3d),
    Fill(CudaMemsetNodeParams),
    Child(CuGraph),
    Empty,
    Event(CuEvent, bool),
    Host(CudaHostNodeParams, Hook),
}

/// An action, and the mirrors of client memory that it names.
struct Described {
    action: Action,
    context: CuContext,
    mirrors: Vec<Arc<Mirror>>,
}

fn read(call: &mut Call<'_>, kind: u32, context: u64) -> Result<Described, Stop> {
    let mut mirrors = Vec::new();
    let action = match kind {
        KERNEL => kernel(call)?,
        COPY => {
            let copy: GraphCopy = call.body.get()?;
            let (copy, held) = translate(call.session, &copy)?;
            mirrors = held;
            Action::Copy(copy)
        }
        FILL => fill(call)?,
        CHILD => {
            let One { value } = call.body.get()?;
            let child = graph(call.session, value)?;
            mirrors = mirrors_of(call.session, child)?;
            Action::Child(child)
        }
        EMPTY => Action::Empty,
        WAIT | RECORD => {
            let One { value } = call.body.get()?;
            Action::Event(CuEvent(call.find(Kind::EVENT, value)?), kind == WAIT)
        }
        HOST => {
            let One { value } = call.body.get()?;
            host(call, value)?
        }
        _ => return Err(CuError::NOT_SUPPORTED.into()),
    };
    Ok(Described {
        action,
        context: context_of(call.session, context)?,
        mirrors,
    })
}

fn context_of(session: &Session, name: u64) -> Result<CuContext, CuError> {
    if name == 0 {
        return Ok(CuContext(0));
    }
    let tables = session.tables();
    let known = tables.context(ShadowHandle(name));
    Ok(known.ok_or(CuError::INVALID_CONTEXT)?.driver)
}

fn kernel(call: &mut Call<'_>) -> Result<Action, Stop> {
    let asked: GraphKernel = call.body.get()?;
    let bytes = call.body.bytes()?;
    if bytes.len() > PARAMETERS_LEN_MAX {
        return Err(call.bad("length of the parameters", bytes.len() as u64));
    }
    let is_kernel = ShadowHandle(asked.function).kind() == Kind::KERNEL;
    let kind = if is_kernel {
        Kind::KERNEL
    } else {
        Kind::FUNCTION
    };
    let function = CuFunction(call.find(kind, asked.function)?);
    let kernel = CudaKernelNodeParams {
        function,
        grid: asked.grid,
        block: asked.block,
        shared_mem_bytes: asked.shared_len,
        kernel_params: std::ptr::null_mut(),
        extra: std::ptr::null_mut(),
        kernel: CuKernel(0),
        context: CuContext(0),
    };
    Ok(Action::Kernel(kernel, Packed::new(Packed::words(bytes))))
}

/// A function of the client: the driver is given a hook, which stays as long as its context.
fn host(call: &Call<'_>, number: u64) -> Result<Action, Stop> {
    let context = call.context()?.name;
    let hook = HostFns::hook(call.session, context, number, true)?;
    call.session.tables().graphs.calls = true;
    let host = CudaHostNodeParams {
        function: Hook::function(),
        user_data: hook.data().addr(),
    };
    Ok(Action::Host(host, hook))
}

fn fill(call: &mut Call<'_>) -> Result<Action, Stop> {
    let asked: GraphFill = call.body.get()?;
    let row = asked.width.saturating_mul(u64::from(asked.element_len));
    let rows = asked.height.saturating_sub(1);
    let reach = asked.pitch.saturating_mul(rows).saturating_add(row);
    call.session.tables().ranges.check(asked.target, reach)?;
    let size = |value: u64| usize::try_from(value).map_err(|_| BAD);
    Ok(Action::Fill(CudaMemsetNodeParams {
        target: asked.target,
        pitch: size(asked.pitch)?,
        value: asked.value,
        element_size: asked.element_len,
        width: size(asked.width)?,
        height: size(asked.height)?,
    }))
}

/// A copy as the driver is told: device memory is the session's, client memory its mirror.
pub(super) fn translate(
    session: &Session,
    asked: &GraphCopy,
) -> Result<(CudaMemcpy3d, Vec<Arc<Mirror>>), CuError> {
    let mut copy = copy_of_words(&asked.words).ok_or(BAD)?;
    let mut held = Vec::new();
    if copy.width_bytes == 0 || copy.height == 0 || copy.depth == 0 {
        return Ok((copy, held));
    }
    let (source, target) = (copy.source, copy.target);
    let ends = [(source, asked.source), (target, asked.target)];
    let mut told = [source, target];
    for ((end, around), told) in ends.into_iter().zip(&mut told) {
        if end.kind == CuMemoryType::ARRAY {
            return Err(CuError::NOT_SUPPORTED);
        }
        let rows = Rows::of(&copy, &end).ok_or(BAD)?;
        if around.len == 0 {
            if end.kind == CuMemoryType::HOST {
                // Device memory under a host argument: told as what it is.
                told.kind = CuMemoryType::DEVICE;
                told.device = CuDevicePtr(end.host as u64);
            }
            session.tables().ranges.check(rows.start, rows.reach)?;
            continue;
        }
        let mirror = mirror(session, &rows, around)?;
        set_base(told, |base| shifted(&mirror, &rows, base))?;
        held.push(mirror);
    }
    [copy.source, copy.target] = told;
    Ok((copy, held))
}

/// Where the base address of an end lies when its rows lie in the mirror. The base itself may be
/// before the memory that is copied.
fn shifted(mirror: &Mirror, rows: &Rows, base: u64) -> Option<u64> {
    let own = mirror.at(rows.start, rows.reach)?.expose_provenance() as u64;
    own.checked_sub(rows.start.checked_sub(base)?)
}

/// Changes the address of an end of memory.
fn set_base(
    end: &mut CudaMemcpy3dEnd,
    change: impl FnOnce(u64) -> Option<u64>,
) -> Result<(), CuError> {
    if end.kind == CuMemoryType::HOST {
        let changed = change(end.host as u64).ok_or(BAD)?;
        end.host = usize::try_from(changed).map_err(|_| BAD)?;
    } else {
        // A mirror is memory of the host, whatever the address was said to be.
        end.device = CuDevicePtr(change(end.device.0).ok_or(BAD)?);
    }
    Ok(())
}

/// The mirror of rows of client memory: one that is there, or a new one for what the client says
/// lies together.
fn mirror(session: &Session, rows: &Rows, asked: Mirrored) -> Result<Arc<Mirror>, CuError> {
    if let Some(found) = session.tables().graphs.mirrors.find(rows.start, rows.reach) {
        return Ok(found);
    }
    let end = asked.start.checked_add(asked.len).ok_or(BAD)?;
    if asked.start > rows.start || end < rows.start + rows.reach {
        return Err(BAD);
    }
    let len = usize::try_from(asked.len).map_err(|_| CuError::OUT_OF_MEMORY)?;
    session.tables().graphs.mirrors.check_room(len)?;
    let memory = session.pinned(len).ok_or(CuError::OUT_OF_MEMORY)?;
    session.tables().graphs.mirrors.insert(asked.start, memory)
}

/// A copy as the client knows it.
fn untranslate(session: &Session, mut copy: CudaMemcpy3d) -> CudaMemcpy3d {
    let (mut source, mut target) = (copy.source, copy.target);
    for end in [&mut source, &mut target] {
        if let Some((mirror, rows)) = mirrored(session, &copy, end) {
            let client = mirror.client_address(rows.start);
            let _ = set_base(end, |base| client?.checked_sub(rows.start - base));
        }
    }
    copy.source = source;
    copy.target = target;
    copy
}

// ------------------------------------------------------------------------------- add and set

/// Adds a node of any kind.
pub(crate) fn cuGraphAddNode_v2(call: &mut Call<'_>) -> Result<Step, Stop> {
    let asked: GraphAdd = call.body.get()?;
    if asked.reserved != 0 {
        return Err(call.bad("reserved", asked.reserved));
    }
    let session = call.session;
    let to = graph(session, asked.graph)?;
    let after = nodes(call, u64::from(asked.dependencies))?;
    let mut described = read(call, asked.kind, asked.context)?;
    let to = Add {
        graph: to,
        after: &after,
    };
    let (driver, context) = (&session.driver, described.context);
    let made = match &mut described.action {
        Action::Kernel(kernel, parameters) => {
            kernel.extra = parameters.extra().as_mut_ptr();
            driver.add_kernel(to, kernel)
        }
        Action::Copy(copy) => driver.add_copy_node(to, copy, context),
        Action::Fill(fill) => driver.add_fill(to, fill, context),
        Action::Child(child) => driver.add_child(to, *child),
        Action::Empty => driver.add_empty(to),
        Action::Event(event, is_wait) => driver.add_event(to, *event, *is_wait),
        Action::Host(host, hook) => driver
            .add_host(to, host)
            .inspect_err(|_| session.hostfns.withdraw(*hook)),
    }?;
    let owner = ShadowHandle(asked.graph);
    let name = name_node(session, made, owner)?;
    session.tables().graphs.hold(owner, &described.mirrors);
    answer(call, name.0)
}

/// Sets the parameters of a node of any kind, in its graph or in an executable one.
pub(crate) fn cuGraphNodeSetParams(call: &mut Call<'_>) -> Result<Step, Stop> {
    let asked: GraphSet = call.body.get()?;
    let session = call.session;
    let exec = match asked.exec {
        0 => None,
        name => Some(exec(session, name)?),
    };
    let (node, owner) = node(session, asked.node)?;
    let mut described = read(call, asked.kind, asked.context)?;
    let at = Set { exec, node };
    let (driver, context) = (&session.driver, described.context);
    match &mut described.action {
        Action::Kernel(kernel, parameters) => {
            kernel.extra = parameters.extra().as_mut_ptr();
            driver.set_kernel(at, kernel)
        }
        Action::Copy(copy) => driver.set_copy(at, copy, context),
        Action::Fill(fill) => driver.set_fill(at, fill, context),
        Action::Event(event, is_wait) => driver.set_event(at, *event, *is_wait),
        Action::Host(host, hook) => driver
            .set_host(at, host)
            .inspect_err(|_| session.hostfns.withdraw(*hook)),
        Action::Child(child) => match exec {
            Some(exec) => driver.set_child(exec, node, *child),
            None => Err(CuError::NOT_SUPPORTED),
        },
        // Nothing can be set, as the driver would say of anything else.
        Action::Empty if driver.kind_of_node(node)? == EMPTY => Ok(()),
        Action::Empty => Err(BAD),
    }?;
    match (asked.exec, described.action) {
        (0, _) => {
            session.tables().graphs.hold(owner, &described.mirrors);
            answer_made(call, GraphMade::default(), None)
        }
        (name, Action::Copy(copy)) => {
            graph_exec::replace_copy(call, ShadowHandle(name), node, &copy)?;
            answer_made(call, GraphMade::default(), Some(ShadowHandle(name)))
        }
        (name, Action::Child(child)) => {
            graph_exec::replace_child(call, ShadowHandle(name), node, child)?;
            answer_made(call, GraphMade::default(), Some(ShadowHandle(name)))
        }
        (name, _) => answer_made(call, GraphMade::default(), Some(ShadowHandle(name))),
    }
}

// ------------------------------------------------------------------------------- ask

pub(crate) fn cuGraphKernelNodeGetParams_v2(call: &mut Call<'_>) -> Result<Step, Stop> {
    let One { value } = call.body.get()?;
    let session = call.session;
    let (found, _) = node(session, value)?;
    let (kernel, block) = session.driver.kernel_of_node(found)?;
    let name = {
        let handles = &session.tables().handles;
        let function = kernel.function.0;
        let known = handles.known(Kind::FUNCTION, function);
        known
            .or_else(|| handles.known(Kind::KERNEL, function))
            .or_else(|| handles.known(Kind::KERNEL, kernel.kernel.0))
    };
    let name = name.ok_or(CuError::INVALID_HANDLE)?;
    let mut answer = call.answer();
    answer.put(&GraphKernel {
        function: name.0,
        grid: kernel.grid,
        block: kernel.block,
        shared_len: kernel.shared_mem_bytes,
        reserved: 0,
    });
    answer.bytes(&block);
    Ok(Step::Done)
}

pub(crate) fn cuGraphMemcpyNodeGetParams(call: &mut Call<'_>) -> Result<Step, Stop> {
    let One { value } = call.body.get()?;
    let session = call.session;
    let copy = session.driver.copy_of_node(node(session, value)?.0)?;
    let words = copy_words(&untranslate(session, copy));
    call.answer().put(&words);
    Ok(Step::Done)
}

pub(crate) fn cuGraphMemsetNodeGetParams(call: &mut Call<'_>) -> Result<Step, Stop> {
    let One { value } = call.body.get()?;
    let session = call.session;
    let fill = session.driver.fill_of_node(node(session, value)?.0)?;
    call.answer().put(&GraphFill {
        target: fill.target,
        pitch: fill.pitch as u64,
        value: fill.value,
        element_len: fill.element_size,
        width: fill.width as u64,
        height: fill.height as u64,
    });
    Ok(Step::Done)
}

// ------------------------------------------------------------------------------- attributes

pub(crate) fn cuGraphKernelNodeGetAttribute(call: &mut Call<'_>) -> Result<Step, Stop> {
    let asked: GraphAttribute = call.body.get()?;
    let (found, _) = node(call.session, asked.node)?;
    let value = call.session.driver.node_attribute(found, asked.id)?;
    call.answer().put(&value.words);
    Ok(Step::Done)
}

pub(crate) fn cuGraphKernelNodeSetAttribute(call: &mut Call<'_>) -> Result<Step, Stop> {
    let asked: GraphAttribute = call.body.get()?;
    let (found, _) = node(call.session, asked.node)?;
    if !super::launch::PLAIN_ATTRIBUTES.contains(&asked.id) {
        return Err(CuError::NOT_SUPPORTED.into());
    }
    let value = CuLaunchAttributeValue { words: asked.value };
    let driver = &call.session.driver;
    driver.set_node_attribute(found, asked.id, &value)?;
    Ok(Step::Done)
}

pub(crate) fn cuGraphKernelNodeCopyAttributes(call: &mut Call<'_>) -> Result<Step, Stop> {
    let asked: GraphAsk = call.body.get()?;
    let to = node(call.session, asked.handle)?.0;
    let from = node(call.session, asked.other)?.0;
    call.session.driver.copy_node_attributes(to, from)?;
    Ok(Step::Done)
}

/// `CUgraphNodeType`.
pub(super) const KERNEL: u32 = 0;
pub(super) const COPY: u32 = 1;
pub(super) const FILL: u32 = 2;
pub(super) const HOST: u32 = 3;
pub(super) const CHILD: u32 = 4;
pub(super) const EMPTY: u32 = 5;
pub(super) const WAIT: u32 = 6;
pub(super) const RECORD: u32 = 7;
