//! Graphs: nodes, what comes before what, clones; executable ones are snapshots of them.
//!
//! ```text
//!  Graph -> Node -> Action (parameters and work)      capture fills a Graph
//!    | instantiate, flattens children
//!  Exec -> Plan: steps in an order that fulfils all edges -> Run, one per launch
//! ```

mod action;
mod exec;
pub(crate) mod memory;
mod run;
mod user;

use std::sync::{Arc, Mutex};

use flexdirect_wire::abi::{CuError, CuGraph, CuGraphEdgeData, CuGraphNode, CuResult};

use crate::context::next_id;
use crate::driver::{GRAPHS, NODES};
use crate::raw::lock;

pub(crate) use action::{About, Action};
pub(crate) use exec::Exec;
pub(crate) use memory::GraphMemory;
pub(crate) use user::{UserObject, UserReference};

/// A graph of the application, or the child in a node of another.
#[derive(Debug)]
pub(crate) struct Graph {
    /// The application's name for it.
    pub(crate) handle: CuGraph,
    /// Number, unique in the process.
    pub(crate) id: u64,
    /// Whether a node owns it.
    pub(crate) is_child: bool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    nodes: Vec<Arc<Node>>,
    edges: Vec<Edge>,
    users: Vec<UserReference>,
    made: u32,
}

/// A node.
#[derive(Debug)]
pub(crate) struct Node {
    /// The application's name for it.
    pub(crate) handle: CuGraphNode,
    /// Its graph.
    pub(crate) graph: CuGraph,
    /// Number in the graph, in order of creation.
    pub(crate) local_id: u32,
    /// The node it is a clone of, or null.
    pub(crate) origin: CuGraphNode,
    action: Mutex<Action>,
}

/// One node before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Edge {
    /// The first.
    pub(crate) from: CuGraphNode,
    /// The second.
    pub(crate) to: CuGraphNode,
    /// Its annotation.
    pub(crate) data: CuGraphEdgeData,
}

impl Node {
    /// What it does.
    pub(crate) fn action(&self) -> Action {
        lock(&self.action).clone()
    }

    /// Replaces what it does by something of the same kind.
    ///
    /// # Errors
    /// INVALID_VALUE for another kind.
    pub(crate) fn set_action(&self, action: Action) -> CuResult {
        let mut own = lock(&self.action);
        if own.about.kind() != action.about.kind() {
            return Err(CuError::INVALID_VALUE);
        }
        *own = action;
        Ok(())
    }
}

impl Graph {
    /// An empty graph in the table.
    pub(crate) fn new(is_child: bool) -> Arc<Self> {
        GRAPHS.insert(|handle| Self {
            handle: CuGraph(handle),
            id: next_id(),
            is_child,
            state: Mutex::default(),
        })
    }

    /// Its nodes in order of creation.
    pub(crate) fn nodes(&self) -> Vec<Arc<Node>> {
        lock(&self.state).nodes.clone()
    }

    /// Its edges in order of creation.
    pub(crate) fn edges(&self) -> Vec<Edge> {
        lock(&self.state).edges.clone()
    }

    /// Nodes that wait for no other.
    pub(crate) fn roots(&self) -> Vec<CuGraphNode> {
        let state = lock(&self.state);
        let all = state.nodes.iter().map(|node| node.handle);
        all.filter(|node| state.edges.iter().all(|edge| edge.to != *node))
            .collect()
    }

    /// Whether all of `nodes` are at or before one of `last`.
    pub(crate) fn all_before(&self, nodes: &[CuGraphNode], last: &[CuGraphNode]) -> bool {
        let state = lock(&self.state);
        nodes
            .iter()
            .all(|node| last.iter().any(|last| state.reaches(*node, *last)))
    }

    /// Whether all of `nodes` are its own.
    pub(crate) fn has_all(&self, nodes: &[CuGraphNode]) -> bool {
        let state = lock(&self.state);
        nodes.iter().all(|node| state.has(*node))
    }

    /// Adds a node behind others.
    ///
    /// # Errors
    /// INVALID_VALUE for a dependency that is not of this graph or named twice.
    pub(crate) fn add(
        &self,
        after: &[(CuGraphNode, CuGraphEdgeData)],
        action: Action,
        origin: CuGraphNode,
    ) -> Result<Arc<Node>, CuError> {
        let mut state = lock(&self.state);
        for (index, (node, _)) in after.iter().enumerate() {
            let is_twice = after[..index].iter().any(|(other, _)| other == node);
            if is_twice || !state.has(*node) {
                return Err(CuError::INVALID_VALUE);
            }
        }
        let local_id = state.made;
        let node = NODES.insert(|handle| Node {
            handle: CuGraphNode(handle),
            graph: self.handle,
            local_id,
            origin,
            action: Mutex::new(action),
        });
        state.made += 1;
        state.nodes.push(Arc::clone(&node));
        let to = node.handle;
        let edges = after.iter().map(|&(from, data)| Edge { from, to, data });
        state.edges.extend(edges);
        Ok(node)
    }

    /// Adds edges, all or none.
    ///
    /// # Errors
    /// INVALID_VALUE for nodes of other graphs, edges that are there, and cycles.
    pub(crate) fn connect(&self, edges: &[Edge]) -> CuResult {
        let mut state = lock(&self.state);
        let before = state.edges.len();
        for edge in edges {
            let is_new = !state.edges.iter().any(|old| old.joins(edge));
            let fits = state.has(edge.from) && state.has(edge.to);
            if !is_new || !fits || state.reaches(edge.to, edge.from) {
                state.edges.truncate(before);
                return Err(CuError::INVALID_VALUE);
            }
            state.edges.push(*edge);
        }
        Ok(())
    }

    /// Removes edges, all or none.
    ///
    /// # Errors
    /// INVALID_VALUE for edges that are not there.
    pub(crate) fn disconnect(&self, edges: &[Edge]) -> CuResult {
        let mut state = lock(&self.state);
        let mut left = state.edges.clone();
        for edge in edges {
            let found = left
                .iter()
                .position(|old| old.joins(edge) && old.data == edge.data);
            left.remove(found.ok_or(CuError::INVALID_VALUE)?);
        }
        state.edges = left;
        Ok(())
    }

    /// Removes a node and its edges.
    pub(crate) fn remove(&self, node: &Node) {
        let mut state = lock(&self.state);
        state.nodes.retain(|other| other.handle != node.handle);
        let (from, to) = (node.handle, node.handle);
        state
            .edges
            .retain(|edge| edge.from != from && edge.to != to);
        drop(state);
        forget(node);
    }

    /// A graph of the same form and actions, whose nodes know what they are clones of.
    ///
    /// # Errors
    /// NOT_SUPPORTED for one whose nodes allocate or free: their memory has one graph.
    pub(crate) fn cloned(&self, is_child: bool) -> Result<Arc<Self>, CuError> {
        let (nodes, edges) = (self.nodes(), self.edges());
        if nodes.iter().any(|node| node.action().about.is_memory()) {
            return Err(CuError::NOT_SUPPORTED);
        }
        let clone = Self::new(is_child);
        let mut names = std::collections::BTreeMap::new();
        for node in &nodes {
            let mut action = node.action();
            if let About::Child(child) = &action.about {
                action.about = About::Child(child.cloned(true)?);
            }
            let copy = clone.add(&[], action, node.handle)?;
            names.insert(node.handle.0, copy.handle);
        }
        let edges: Vec<Edge> = edges
            .iter()
            .map(|edge| Edge {
                from: names[&edge.from.0],
                to: names[&edge.to.0],
                data: edge.data,
            })
            .collect();
        lock(&clone.state).edges = edges;
        let users = lock(&self.state).users.clone();
        lock(&clone.state).users = users;
        Ok(clone)
    }

    /// Keeps a reference of a user object, or changes how many it is.
    pub(crate) fn hold(&self, user: UserReference) {
        lock(&self.state).users.push(user);
    }

    /// Lets go of references to a user object.
    ///
    /// # Errors
    /// INVALID_VALUE for more than it has.
    pub(crate) fn release(&self, object: &Arc<UserObject>, count: u32) -> CuResult {
        let mut state = lock(&self.state);
        let own = |user: &&mut UserReference| user.is_of(object);
        let user = state
            .users
            .iter_mut()
            .filter(own)
            .find(|user| user.count() >= count);
        let released = user.ok_or(CuError::INVALID_VALUE)?.take(count);
        drop(state);
        drop(released);
        Ok(())
    }

    /// Its user objects, as another holder of them.
    pub(crate) fn users(&self) -> Vec<UserReference> {
        lock(&self.state).users.clone()
    }

    /// Takes it and its nodes out of the tables.
    pub(crate) fn destroy(&self) {
        GRAPHS.remove(self.handle.0);
        let state = std::mem::take(&mut *lock(&self.state));
        for node in &state.nodes {
            forget(node);
        }
    }
}

fn forget(node: &Node) {
    NODES.remove(node.handle.0);
    if let About::Child(child) = node.action().about {
        child.destroy();
    }
}

impl Edge {
    fn joins(&self, other: &Self) -> bool {
        self.from == other.from && self.to == other.to
    }
}

impl State {
    fn has(&self, node: CuGraphNode) -> bool {
        self.nodes.iter().any(|own| own.handle == node)
    }

    /// Whether there is a way along the edges, or none is needed.
    fn reaches(&self, from: CuGraphNode, to: CuGraphNode) -> bool {
        let mut seen = std::collections::BTreeSet::from([from.0]);
        let mut left = vec![from];
        while let Some(node) = left.pop() {
            if node == to {
                return true;
            }
            for edge in self.edges.iter().filter(|edge| edge.from == node) {
                if seen.insert(edge.to.0) {
                    left.push(edge.to);
                }
            }
        }
        false
    }
}
