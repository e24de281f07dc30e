//! What a session knows of graphs: which nodes are whose, and which client memory launches use.
//!
//! The driver's handles of graphs and nodes have names in the session's table of handles; here is
//! what must be forgotten with what. An executable graph is a snapshot: what its copies use is
//! read off the nodes when it is made, and off what is set in it afterwards.

use std::collections::HashMap;
use std::sync::Arc;

use flexdirect_wire::abi::{CuError, CuEvent, CuGraph, CuGraphNode};
use flexdirect_wire::body::{GraphUse, USES_MAX};
use flexdirect_wire::{Kind, ShadowHandle};

use super::contexts::{Queue, Tables};
use super::handles::{Handles, Object};
use super::mirrors::{Mirror, Mirrors};
use crate::driver::Driver;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Graphs {
    graphs: HashMap<ShadowHandle, Graph>,
    execs: HashMap<ShadowHandle, Exec>,
    /// Memory that stands in for client memory.
    pub(crate) mirrors: Mirrors,
    /// Whether graphs may call functions of the client.
    pub(crate) calls: bool,
    /// Streams in which a capture has begun, and the graph that ends with it if it fails.
    pub(crate) captures: HashMap<ShadowHandle, Option<CuGraph>>,
    /// Mirrors that captures in progress use.
    pub(crate) captured: Vec<Arc<Mirror>>,
    /// Mirrors of executable graphs that are gone, until their last launch is over.
    held: HashMap<u64, Vec<Arc<Mirror>>>,
    /// Mirrors that launches of an executable graph may still use and no event of their own stands
    /// behind: it has them to its end.
    worn: HashMap<ShadowHandle, Vec<Arc<Mirror>>>,
    last_held: u64,
}

#[derive(Debug, Default)]
struct Graph {
    nodes: Vec<ShadowHandle>,
    /// Nodes with a graph in them, and that.
    children: Vec<(ShadowHandle, ShadowHandle)>,
    mirrors: Vec<Arc<Mirror>>,
}

/// An executable graph.
#[derive(Debug, Default)]
pub(crate) struct Exec {
    /// Its copies, in the order in which the graph has them.
    pub(crate) copies: Vec<CopyNode>,
    /// Behind its latest launch: context and stream of that, and an event.
    pub(crate) last: Option<(ShadowHandle, ShadowHandle, CuEvent)>,
}

/// A copy in an executable graph.
#[derive(Clone, Debug, Default)]
pub(crate) struct CopyNode {
    /// The driver's node that it was made of.
    pub(crate) node: u64,
    /// Client memory.
    pub(crate) uses: Vec<GraphUse>,
    /// Where it is mirrored.
    pub(crate) mirrors: Vec<Arc<Mirror>>,
    /// Whether it is left out.
    pub(crate) is_disabled: bool,
}

impl CopyNode {
    /// A node that calls a function of the client.
    pub(crate) fn calls(node: u64) -> Self {
        let calls = GraphUse {
            access: CALLS,
            ..GraphUse::default()
        };
        Self {
            node,
            uses: vec![calls],
            ..Self::default()
        }
    }
}

/// Access of a [`GraphUse`] for functions of the client.
const CALLS: u32 = 4;

impl Exec {
    /// Client memory that launches read and write, put together where it lies together.
    ///
    /// # Errors
    /// `NOT_SUPPORTED` for too many pieces, and for functions of the client beside copies of its
    /// memory: those would have to see it as it is in the middle of a launch.
    pub(crate) fn uses(&self) -> Result<Vec<GraphUse>, CuError> {
        let live = self.copies.iter().filter(|copy| !copy.is_disabled);
        let mut all: Vec<GraphUse> = live.flat_map(|copy| copy.uses.iter().copied()).collect();
        all.sort_unstable_by_key(|one| (one.access, one.mirror, one.address));
        let mut merged: Vec<GraphUse> = Vec::with_capacity(all.len());
        for next in all {
            match merged.last_mut() {
                Some(last)
                    if (last.access, last.mirror) == (next.access, next.mirror)
                        && next.address <= last.address + last.len =>
                {
                    let end = (next.address + next.len).max(last.address + last.len);
                    last.len = end - last.address;
                }
                _ => merged.push(next),
            }
        }
        let has_calls = merged.iter().any(|one| one.access == CALLS);
        let has_memory = merged.iter().any(|one| one.access != CALLS);
        if merged.len() > USES_MAX || (has_calls && has_memory) {
            return Err(CuError::NOT_SUPPORTED);
        }
        Ok(merged)
    }

    /// The mirror of this number.
    pub(crate) fn mirror(&self, id: u32) -> Option<Arc<Mirror>> {
        let mut all = self.copies.iter().flat_map(|copy| &copy.mirrors);
        all.find(|mirror| mirror.id == id).cloned()
    }

    /// All mirrors that launches use.
    pub(crate) fn mirrors(&self) -> Vec<Arc<Mirror>> {
        let all = self.copies.iter().flat_map(|copy| &copy.mirrors);
        all.cloned().collect()
    }
}

impl Graphs {
    /// Enters a graph of the driver, or finds its name: a root if `parent` is null, else the graph
    /// in that node.
    ///
    /// # Errors
    /// `OUT_OF_MEMORY` for too many.
    pub(crate) fn enter(
        &mut self,
        handles: &mut Handles,
        graph: CuGraph,
        parent: ShadowHandle,
    ) -> Result<ShadowHandle, CuError> {
        if let Some(name) = handles.known(Kind::GRAPH, graph.0) {
            return Ok(name);
        }
        let object = Object {
            driver: graph.0,
            parent,
            ..Object::default()
        };
        let name = handles.invent_once(Kind::GRAPH, object)?;
        self.graphs.insert(name, Graph::default());
        let owner = handles.find(Kind::GRAPH_NODE, parent);
        if let Some(owner) = owner.and_then(|node| self.graphs.get_mut(&node.parent)) {
            owner.children.push((parent, name));
        }
        Ok(name)
    }

    /// Enters a node of a graph, or finds its name.
    ///
    /// # Errors
    /// `OUT_OF_MEMORY` for too many.
    pub(crate) fn enter_node(
        &mut self,
        handles: &mut Handles,
        node: CuGraphNode,
        graph: ShadowHandle,
    ) -> Result<ShadowHandle, CuError> {
        if let Some(name) = handles.known(Kind::GRAPH_NODE, node.0) {
            return Ok(name);
        }
        let object = Object {
            driver: node.0,
            parent: graph,
            ..Object::default()
        };
        let name = handles.invent_once(Kind::GRAPH_NODE, object)?;
        if let Some(owner) = self.graphs.get_mut(&graph) {
            owner.nodes.push(name);
        }
        Ok(name)
    }

    /// Lets a graph hold mirrors.
    pub(crate) fn hold(&mut self, graph: ShadowHandle, mirrors: &[Arc<Mirror>]) {
        if let Some(known) = self.graphs.get_mut(&graph) {
            for mirror in mirrors {
                if !known.mirrors.iter().any(|own| own.id == mirror.id) {
                    known.mirrors.push(Arc::clone(mirror));
                }
            }
        }
    }

    /// Forgets a graph that is gone, with its nodes and the graphs in them.
    pub(crate) fn remove(&mut self, handles: &mut Handles, graph: ShadowHandle) {
        handles.remove(Kind::GRAPH, graph);
        let Some(known) = self.graphs.remove(&graph) else {
            return;
        };
        for (_, child) in known.children {
            self.remove(handles, child);
        }
        for node in known.nodes {
            handles.remove(Kind::GRAPH_NODE, node);
        }
    }

    /// Forgets a node that is gone.
    pub(crate) fn remove_node(&mut self, handles: &mut Handles, node: ShadowHandle) {
        let Some(object) = handles.remove(Kind::GRAPH_NODE, node) else {
            return;
        };
        let Some(owner) = self.graphs.get_mut(&object.parent) else {
            return;
        };
        owner.nodes.retain(|&own| own != node);
        let child = owner.children.iter().position(|&(own, _)| own == node);
        if let Some((_, child)) = child.map(|at| owner.children.swap_remove(at)) {
            self.remove(handles, child);
        }
    }

    /// Enters an executable graph.
    pub(crate) fn enter_exec(&mut self, name: ShadowHandle, exec: Exec) {
        self.execs.insert(name, exec);
    }

    /// An executable graph.
    pub(crate) fn exec(&mut self, name: ShadowHandle) -> Option<&mut Exec> {
        self.execs.get_mut(&name)
    }

    /// A context is gone. Launches in it are over, and the events behind them went with it.
    pub(crate) fn forget_context(&mut self, context: ShadowHandle) {
        for exec in self.execs.values_mut() {
            if exec.last.is_some_and(|(own, ..)| own == context) {
                exec.last = None;
            }
        }
        if self.captures.is_empty() {
            self.captured.clear();
        }
    }

    /// Keeps mirrors for the captures in progress.
    pub(crate) fn capture_mirrors(&mut self, mirrors: Vec<Arc<Mirror>>) {
        for mirror in mirrors {
            if !self.captured.iter().any(|own| own.id == mirror.id) {
                self.captured.push(mirror);
            }
        }
    }

    /// Keeps mirrors as long as an executable graph.
    pub(crate) fn wear(&mut self, exec: ShadowHandle, mirrors: Vec<Arc<Mirror>>) {
        let own = self.worn.entry(exec).or_default();
        for mirror in mirrors {
            if !own.iter().any(|known| known.id == mirror.id) {
                own.push(mirror);
            }
        }
    }

    /// What was kept as long as an executable graph that is gone.
    pub(crate) fn take_worn(&mut self, exec: ShadowHandle) -> Vec<Arc<Mirror>> {
        self.worn.remove(&exec).unwrap_or_default()
    }

    /// Forgets an executable graph.
    pub(crate) fn remove_exec(&mut self, name: ShadowHandle) -> Option<Exec> {
        self.execs.remove(&name)
    }

    /// A capture is over without a graph: the one that it was to make is gone.
    pub(crate) fn capture_lost(&mut self, handles: &mut Handles, stream: ShadowHandle) {
        let graph = self.captures.remove(&stream).flatten();
        let name = graph.and_then(|graph| handles.known(Kind::GRAPH, graph.0));
        if let Some(name) = name {
            self.remove(handles, name);
        }
    }

    /// Keeps mirrors until [`Graphs::let_go`].
    pub(crate) fn keep(&mut self, mirrors: Vec<Arc<Mirror>>) -> u64 {
        self.last_held += 1;
        self.held.insert(self.last_held, mirrors);
        self.last_held
    }

    /// What was kept is not used any more.
    pub(crate) fn let_go(&mut self, held: u64) {
        self.held.remove(&held);
    }
}

impl Tables {
    /// Whether work on a queue may become part of a capture, or harm one.
    pub(crate) fn is_captured(&self, driver: &Driver, queue: Queue) -> bool {
        !self.graphs.captures.is_empty() && driver.capture_status(queue.driver) != Ok(0)
    }

    /// Whether a queue is in a capture. The default stream never is, and may harm one.
    pub(crate) fn is_recorded(&self, driver: &Driver, queue: Queue) -> bool {
        let has_captures = !self.graphs.captures.is_empty();
        has_captures && matches!(driver.capture_status(queue.driver), Ok(1..))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(access: u32, address: u64, len: u64) -> GraphUse {
        GraphUse {
            address,
            len,
            access,
            mirror: 1,
        }
    }

    #[test]
    fn what_lies_together_is_one_piece() {
        let copy = |uses: &[GraphUse], is_disabled| CopyNode {
            uses: uses.to_vec(),
            is_disabled,
            ..CopyNode::default()
        };
        let exec = Exec {
            copies: vec![
                copy(&[part(1, 16, 8), part(2, 0, 4)], false),
                copy(&[part(1, 0, 16)], false),
                copy(&[part(2, 100, 4)], true),
            ],
            last: None,
        };
        assert_eq!(exec.uses().unwrap(), [part(1, 0, 24), part(2, 0, 4)]);
    }

    #[test]
    fn a_graph_takes_its_nodes_and_their_graphs_along() {
        let (mut graphs, mut handles) = (Graphs::default(), Handles::default());
        let null = ShadowHandle::NULL;
        let root = graphs.enter(&mut handles, CuGraph(1), null).unwrap();
        let node = graphs
            .enter_node(&mut handles, CuGraphNode(2), root)
            .unwrap();
        let again = graphs.enter_node(&mut handles, CuGraphNode(2), root);
        assert_eq!(again, Ok(node), "a node has one name");
        let child = graphs.enter(&mut handles, CuGraph(3), node).unwrap();
        let inner = graphs
            .enter_node(&mut handles, CuGraphNode(4), child)
            .unwrap();
        graphs.remove(&mut handles, root);
        for (kind, name) in [
            (Kind::GRAPH, root),
            (Kind::GRAPH, child),
            (Kind::GRAPH_NODE, node),
            (Kind::GRAPH_NODE, inner),
        ] {
            assert_eq!(handles.find(kind, name), None, "{name:?}");
        }
        assert!(graphs.graphs.is_empty());
    }
}
