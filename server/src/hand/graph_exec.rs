//! Executable graphs: made, changed and destroyed, with what their copies use.
#![expect(non_snake_case, reason = "CUDA's own names keep CUDA's spelling")]

use flexdirect_wire::abi::{
    CuEvent, CuGraph, CuGraphExec, CuGraphExecUpdateResultInfo, CuGraphNode, CuStream,
    CudaGraphInstantiateParams, CudaMemcpy3d,
};
use flexdirect_wire::body::{GraphAsk, GraphMade, One};
use flexdirect_wire::{CuError, Kind, ShadowHandle, abi};

use super::copy::event_behind;
use super::graph::{exec, graph, name_node, node};
use super::graph_use::{copies, copy_node};
use crate::dispatch::{Call, Step, Stop};
use crate::session::Session;
use crate::shadow::graphs::{CopyNode, Exec};
use crate::shadow::handles::Object;
use crate::shadow::retire::{Retire, Retired, What};

const BAD: CuError = CuError::INVALID_VALUE;

/// Answers with an outcome, and what an executable graph uses from now on.
pub(super) fn answer_made(
    call: &mut Call<'_>,
    made: GraphMade,
    exec: Option<ShadowHandle>,
) -> Result<Step, Stop> {
    let mut tables = call.session.tables();
    let known = exec.and_then(|name| tables.graphs.exec(name));
    let uses = known.map_or(Ok(Vec::new()), |exec| exec.uses())?;
    drop(tables);
    let mut answer = call.answer();
    answer.put(&GraphMade {
        uses: uses.len() as u64,
        ..made
    });
    for part in &uses {
        answer.put(part);
    }
    Ok(Step::Done)
}

/// Keeps mirrors that an executable graph does not use any more until its last launch is over.
fn let_go(call: &mut Call<'_>, last: Option<CuEvent>, context: ShadowHandle, old: Vec<CopyNode>) {
    let mirrors: Vec<_> = old.into_iter().flat_map(|copy| copy.mirrors).collect();
    let session = call.session;
    if mirrors.is_empty() && last.is_none() {
        return;
    }
    let held = session.tables().graphs.keep(mirrors);
    let entry = Retired {
        context,
        events: last.into_iter().collect(),
        what: What::Mirrors(held),
    };
    Retire::push(session, |session| &session.frees, entry);
}

// ------------------------------------------------------------------------------- made, changed

/// Makes a graph executable. A refusal has its reason in the answer.
pub(crate) fn cuGraphInstantiateWithFlags(call: &mut Call<'_>) -> Result<Step, Stop> {
    let asked: GraphAsk = call.body.get()?;
    let session = call.session;
    let of = graph(session, asked.handle)?;
    let upload_stream = match asked.what {
        0 => CuStream(0),
        _ => call.use_queue(asked.other)?.driver,
    };
    let mut given = CudaGraphInstantiateParams {
        flags: asked.offset,
        upload_stream,
        ..CudaGraphInstantiateParams::default()
    };
    let exec = Exec {
        copies: copies(session, of)?,
        last: None,
    };
    exec.uses()?;
    let made = session.driver.instantiate(of, &mut given);
    let mut answer = GraphMade {
        result: given.result,
        error_node: name_reason(session, given.error_node, asked.handle)?,
        ..GraphMade::default()
    };
    match made {
        Err(error) => {
            answer.status = error.code();
            answer_made(call, answer, None)
        }
        Ok(made) => {
            let object = Object {
                driver: made.0,
                ..Object::default()
            };
            let mut tables = session.tables();
            let name = tables.handles.invent(Kind::GRAPH_EXEC, object);
            let name = match name {
                Ok(name) => name,
                Err(error) => {
                    drop(tables);
                    let _ = session.driver.destroy_exec(made);
                    return Err(error.into());
                }
            };
            tables.graphs.enter_exec(name, exec);
            drop(tables);
            answer.exec = name.0;
            answer_made(call, answer, Some(name))
        }
    }
}

/// The name of a node that is the reason of a refusal, or 0.
fn name_reason(session: &Session, node: CuGraphNode, graph: u64) -> Result<u64, CuError> {
    if node.0 == 0 {
        return Ok(0);
    }
    name_node(session, node, ShadowHandle(graph)).map(|name| name.0)
}

pub(crate) fn cuGraphExecUpdate_v2(call: &mut Call<'_>) -> Result<Step, Stop> {
    let asked: GraphAsk = call.body.get()?;
    let session = call.session;
    let (changed, with) = (exec(session, asked.handle)?, graph(session, asked.other)?);
    let new = Exec {
        copies: copies(session, with)?,
        last: None,
    };
    new.uses()?;
    let copies = new.copies;
    let mut info = CuGraphExecUpdateResultInfo::default();
    let updated = session.driver.update_exec(changed, with, &mut info);
    let answer = GraphMade {
        exec: asked.handle,
        status: abi::code(updated),
        result: info.result,
        error_node: name_reason(session, info.error_node, asked.other)?,
        error_from_node: name_reason(session, info.error_from_node, asked.other)?,
        uses: 0,
    };
    let name = ShadowHandle(asked.handle);
    if updated.is_ok() {
        let mut tables = session.tables();
        let known = tables.graphs.exec(name).ok_or(BAD)?;
        let old = std::mem::take(&mut known.copies);
        let is_like = old.len() == copies.len();
        known.copies = copies;
        for (new, old) in known.copies.iter_mut().zip(&old).filter(|_| is_like) {
            // Nodes go on to be named by those of the first graph.
            (new.node, new.is_disabled) = (old.node, old.is_disabled);
        }
        drop(tables);
        release(call, name, old)?;
    }
    answer_made(call, answer, Some(name))
}

/// Lets go of copies that were replaced, behind the launches that use them.
fn release(call: &mut Call<'_>, name: ShadowHandle, old: Vec<CopyNode>) -> Result<(), Stop> {
    if old.iter().all(|copy| copy.mirrors.is_empty()) {
        return Ok(());
    }
    let session = call.session;
    let last = session
        .tables()
        .graphs
        .exec(name)
        .and_then(|exec| exec.last);
    let Some((context, stream, _)) = last else {
        let_go(call, None, ShadowHandle::NULL, old);
        return Ok(());
    };
    // The event of the latest launch stays the graph's: this is one behind it.
    let queue = {
        let tables = session.tables();
        let queue = tables.queue(context, stream).ok();
        queue.filter(|&queue| !tables.is_captured(&session.driver, queue))
    };
    if let Some(Ok(event)) = queue.map(|queue| event_behind(call, queue)) {
        let_go(call, Some(event), context, old);
    } else {
        // The stream is gone, or is recorded now, and may still be at the launch.
        let mirrors = old.into_iter().flat_map(|copy| copy.mirrors).collect();
        session.tables().graphs.wear(name, mirrors);
    }
    Ok(())
}

/// A copy of an executable graph is another one now.
pub(super) fn replace_copy(
    call: &mut Call<'_>,
    name: ShadowHandle,
    node: CuGraphNode,
    copy: &CudaMemcpy3d,
) -> Result<(), Stop> {
    let session = call.session;
    let new = copy_node(session, node, copy)?;
    let mut tables = session.tables();
    let known = tables.graphs.exec(name).ok_or(BAD)?;
    let at = known.copies.iter().position(|own| own.node == node.0);
    let old = match at {
        Some(at) => {
            let is_disabled = known.copies[at].is_disabled;
            let old = std::mem::replace(&mut known.copies[at], new);
            known.copies[at].is_disabled = is_disabled;
            vec![old]
        }
        // The graph had no client memory when it was made executable.
        None => {
            known.copies.push(new);
            Vec::new()
        }
    };
    drop(tables);
    release(call, name, old)
}

/// What is done in a child is done by another graph now.
pub(super) fn replace_child(
    call: &mut Call<'_>,
    name: ShadowHandle,
    node: CuGraphNode,
    with: CuGraph,
) -> Result<(), Stop> {
    let session = call.session;
    let child = session.driver.child_of_node(node)?;
    let (before, after) = (copies(session, child)?, copies(session, with)?);
    let mut old = Vec::new();
    let mut tables = session.tables();
    let known = tables.graphs.exec(name).ok_or(BAD)?;
    for (before, mut after) in before.into_iter().zip(after) {
        after.node = before.node;
        match known.copies.iter_mut().find(|own| own.node == before.node) {
            Some(own) => {
                after.is_disabled = own.is_disabled;
                old.push(std::mem::replace(own, after));
            }
            None => known.copies.push(after),
        }
    }
    drop(tables);
    release(call, name, old)
}

pub(crate) fn cuGraphNodeSetEnabled(call: &mut Call<'_>) -> Result<Step, Stop> {
    let asked: GraphAsk = call.body.get()?;
    let session = call.session;
    let changed = exec(session, asked.handle)?;
    let (node, _) = node(session, asked.other)?;
    let is_enabled = asked.what != 0;
    session.driver.enable_node(changed, node, is_enabled)?;
    let name = ShadowHandle(asked.handle);
    let mut tables = session.tables();
    if let Some(known) = tables.graphs.exec(name) {
        let copy = known.copies.iter_mut().find(|own| own.node == node.0);
        if let Some(copy) = copy {
            copy.is_disabled = !is_enabled;
        }
    }
    drop(tables);
    answer_made(call, GraphMade::default(), Some(name))
}

/// The memory that launches in progress use stays until they are over.
pub(crate) fn cuGraphExecDestroy(call: &mut Call<'_>) -> Result<Step, Stop> {
    let One { value } = call.body.get()?;
    let session = call.session;
    let name = ShadowHandle(value);
    let mut tables = session.tables();
    let found = tables.handles.remove(Kind::GRAPH_EXEC, name).ok_or(BAD)?;
    let mut known = tables.graphs.remove_exec(name).unwrap_or_default();
    let mirrors = tables.graphs.take_worn(name);
    drop(tables);
    known.copies.push(CopyNode {
        mirrors,
        ..CopyNode::default()
    });
    let destroyed = session.driver.destroy_exec(CuGraphExec(found.driver));
    let (event, context) = known
        .last
        .map_or((None, ShadowHandle::NULL), |(context, _, event)| {
            (Some(event), context)
        });
    let_go(call, event, context, known.copies);
    destroyed?;
    Ok(Step::Done)
}
