//! Executable graphs: a snapshot of a graph with its children laid open, whose steps can be
//! changed but not their order.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use flexdirect_wire::abi::{CuError, CuGraphEdgeData, CuGraphExec, CuGraphNode, CuResult};

use super::run::Run;
use super::{About, Action, Graph, UserReference, memory};
use crate::capture;
use crate::context::{Context, next_id};
use crate::driver::EXECS;
use crate::event::Moment;
use crate::raw::lock;
use crate::stream::{Stream, Wait, Work};

/// An executable graph.
#[derive(Debug)]
pub(crate) struct Exec {
    /// The application's name for it.
    pub(crate) handle: CuGraphExec,
    /// Number, unique in the process.
    pub(crate) id: u64,
    /// CUgraphInstantiate_flags.
    pub(crate) flags: u64,
    plan: Mutex<Arc<Plan>>,
    /// When its latest launch is over: launches of one graph follow one another.
    last: Mutex<Option<Arc<Moment>>>,
}

/// Steps, each after all that it waits for.
#[derive(Clone, Debug, Default)]
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
    /// Most steps that may be ready at once.
    pub(super) width: usize,
    _users: Vec<UserReference>,
}

/// A node that is executed.
#[derive(Clone, Debug)]
pub(super) struct Step {
    /// The node in the graph that this was made of; null for the end of a child.
    node: CuGraphNode,
    pub(super) action: Action,
    /// Steps before it, by number.
    pub(super) before: Vec<usize>,
    pub(super) is_enabled: bool,
}

/// Why a graph does not fit an executable one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mismatch {
    /// CUgraphExecUpdateResult.
    pub(crate) result: u32,
    /// The node of the new graph.
    pub(crate) node: CuGraphNode,
}

impl Exec {
    /// Makes a graph executable.
    ///
    /// # Errors
    /// Those of a plan.
    pub(crate) fn new(graph: &Graph, flags: u64) -> Result<Arc<Self>, CuError> {
        let plan = Plan::new(graph)?;
        Ok(EXECS.insert(|handle| Self {
            handle: CuGraphExec(handle),
            id: next_id(),
            flags,
            plan: Mutex::new(Arc::new(plan)),
            last: Mutex::new(None),
        }))
    }

    /// Submits it as one job of a stream.
    ///
    /// # Errors
    /// Those of its contexts and of the submission.
    pub(crate) fn launch(&self, context: &Arc<Context>, stream: &Arc<Stream>) -> CuResult {
        let plan = Arc::clone(&lock(&self.plan));
        for step in &plan.steps {
            if let Some(context) = &step.action.context {
                context.check()?;
            }
        }
        let child = || Ok(Action::of_graph(About::Child(plan.graph()?)));
        if capture::take(stream, child)? {
            return Ok(());
        }
        // What is refused is refused before events are recorded.
        capture::refuse(context, stream)?;
        let frees_first = self.flags & AUTO_FREE_ON_LAUNCH != 0;
        // Goes last, when nothing is locked.
        let mut freed = None;
        // Held throughout, so that launches are submitted in the order in which they wait.
        let mut last = lock(&self.last);
        let before = last.clone().map(Wait::Moment);
        let make = || {
            let abouts = plan.steps.iter().map(|step| &step.action.about);
            freed = Some(memory::launch(abouts, frees_first)?);
            let run = Run::new(Arc::clone(&plan), context);
            *last = Some(run.end());
            Ok(Work::Execute(Box::new(move || run.execute())))
        };
        context.submit_made(stream, before, make)
    }

    /// Takes over the actions of a graph of the same form.
    ///
    /// # Errors
    /// Where the forms differ.
    pub(crate) fn update(&self, graph: &Graph) -> Result<(), Mismatch> {
        let generic = |_| Mismatch {
            result: UPDATE_ERROR,
            node: CuGraphNode(0),
        };
        let new = Plan::new(graph).map_err(generic)?;
        let mut plan = lock(&self.plan);
        let differs = |result, node| Err(Mismatch { result, node });
        if new.steps.len() != plan.steps.len() {
            return differs(UPDATE_TOPOLOGY_CHANGED, CuGraphNode(0));
        }
        for (old, new) in plan.steps.iter().zip(&new.steps) {
            if old.action.about.kind() != new.action.about.kind() {
                return differs(UPDATE_TYPE_CHANGED, new.node);
            }
            if old.before != new.before {
                return differs(UPDATE_TOPOLOGY_CHANGED, new.node);
            }
            let number = |action: &Action| action.context.as_ref().map(|context| context.id);
            if number(&old.action) != number(&new.action) {
                let is_kernel = matches!(new.action.about, About::Kernel(_));
                let result = if is_kernel {
                    UPDATE_UNSUPPORTED_FUNCTION_CHANGE
                } else {
                    UPDATE_PARAMETERS_CHANGED
                };
                return differs(result, new.node);
            }
        }
        let own = Arc::make_mut(&mut plan);
        for (old, new) in own.steps.iter_mut().zip(new.steps) {
            old.action = new.action;
        }
        let old = std::mem::replace(&mut own._users, new._users);
        drop(plan);
        // The application's destructors may wait for a thread that launches this graph.
        drop(old);
        Ok(())
    }

    /// Replaces what a step does.
    ///
    /// # Errors
    /// INVALID_VALUE for a node that is not in it, another kind or another context.
    pub(crate) fn set_action(&self, node: CuGraphNode, action: Action) -> CuResult {
        let number = |action: &Action| action.context.as_ref().map(|context| context.id);
        self.change(node, |step| {
            let is_same = step.action.about.kind() == action.about.kind();
            if !is_same || number(&step.action) != number(&action) {
                return Err(CuError::INVALID_VALUE);
            }
            step.action = action;
            Ok(())
        })
    }

    /// Replaces what is done in a child by the actions of a graph of the same form.
    ///
    /// # Errors
    /// INVALID_VALUE for a node that is no child of it, or another form.
    pub(crate) fn set_child(&self, child: &Graph, with: &Graph) -> CuResult {
        let (old, new) = (Plan::new(child)?, Plan::new(with)?);
        let fits = old.steps.len() == new.steps.len()
            && old.steps.iter().zip(&new.steps).all(|(old, new)| {
                old.before == new.before && old.action.about.kind() == new.action.about.kind()
            });
        if !fits {
            return Err(CuError::INVALID_VALUE);
        }
        for (old, new) in old.steps.iter().zip(new.steps) {
            if old.node.0 != 0 {
                self.set_action(old.node, new.action)?;
            }
        }
        Ok(())
    }

    /// Takes a step in or leaves it out.
    ///
    /// # Errors
    /// INVALID_VALUE for nodes that are not in it or must be done.
    pub(crate) fn enable(&self, node: CuGraphNode, is_enabled: bool) -> CuResult {
        self.change(node, |step| {
            if !step.action.about.can_be_disabled() {
                return Err(CuError::INVALID_VALUE);
            }
            step.is_enabled = is_enabled;
            Ok(())
        })
    }

    /// Whether a step is done.
    ///
    /// # Errors
    /// As [`Exec::enable`].
    pub(crate) fn is_enabled(&self, node: CuGraphNode) -> Result<bool, CuError> {
        let plan = lock(&self.plan);
        let step = plan.steps.iter().find(|step| step.node == node);
        let step = step.filter(|step| step.action.about.can_be_disabled());
        Ok(step.ok_or(CuError::INVALID_VALUE)?.is_enabled)
    }

    fn change(&self, node: CuGraphNode, change: impl FnOnce(&mut Step) -> CuResult) -> CuResult {
        let mut plan = lock(&self.plan);
        let found = plan.steps.iter().position(|step| step.node == node);
        let index = found
            .filter(|_| node.0 != 0)
            .ok_or(CuError::INVALID_VALUE)?;
        // A launch in progress keeps the plan that it started with.
        change(&mut Arc::make_mut(&mut plan).steps[index])
    }
}

impl Plan {
    fn new(graph: &Graph) -> Result<Self, CuError> {
        let mut plan = Self {
            _users: graph.users(),
            ..Self::default()
        };
        plan.lay_out(graph, &[])?;
        plan.width = plan.measure();
        Ok(plan)
    }

    /// Adds the steps of a graph after others: its last steps.
    fn lay_out(&mut self, graph: &Graph, after: &[usize]) -> Result<Vec<usize>, CuError> {
        let (mut left, edges) = (graph.nodes(), graph.edges());
        // What each laid out node ends with.
        let mut ends: BTreeMap<u64, usize> = BTreeMap::new();
        while !left.is_empty() {
            let is_ready = |node: CuGraphNode| {
                let mut before = edges.iter().filter(|edge| edge.to == node);
                before.all(|edge| ends.contains_key(&edge.from.0))
            };
            let next = left.iter().position(|node| is_ready(node.handle));
            let node = left.remove(next.ok_or(CuError::INVALID_VALUE)?);
            let incoming = edges.iter().filter(|edge| edge.to == node.handle);
            let mut before: Vec<usize> = incoming.map(|edge| ends[&edge.from.0]).collect();
            if before.is_empty() {
                before = after.to_vec();
            }
            before.sort_unstable();
            let action = node.action();
            let mut name = node.handle;
            if let About::Child(child) = &action.about {
                before = self.lay_out(child, &before)?;
                name = CuGraphNode(0);
            }
            ends.insert(node.handle.0, self.steps.len());
            self.steps.push(Step {
                node: name,
                action: if name.0 == 0 {
                    Action::of_graph(About::Empty)
                } else {
                    action
                },
                before,
                is_enabled: true,
            });
        }
        let is_last = |node: &u64| edges.iter().all(|edge| edge.from.0 != *node);
        let last: Vec<usize> = (ends.iter())
            .filter(|(node, _)| is_last(node))
            .map(|(_, end)| *end)
            .collect();
        // A child without nodes is over when what is before it is.
        let mut last = if last.is_empty() {
            after.to_vec()
        } else {
            last
        };
        last.sort_unstable();
        Ok(last)
    }

    /// Its steps as a graph, for a node of another.
    fn graph(&self) -> Result<Arc<Graph>, CuError> {
        if self.steps.iter().any(|step| step.action.about.is_memory()) {
            return Err(CuError::NOT_SUPPORTED);
        }
        let graph = Graph::new(true);
        let mut made: Vec<CuGraphNode> = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            let action = if step.is_enabled {
                step.action.clone()
            } else {
                Action::of_graph(About::Empty)
            };
            let before = step.before.iter();
            let before = before.map(|&step| (made[step], CuGraphEdgeData::default()));
            let before: Vec<_> = before.collect();
            made.push(graph.add(&before, action, CuGraphNode(0))?.handle);
        }
        for user in &self._users {
            graph.hold(user.clone());
        }
        Ok(graph)
    }

    /// Most steps of one distance from the start.
    fn measure(&self) -> usize {
        let mut depths: Vec<usize> = Vec::with_capacity(self.steps.len());
        let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
        for step in &self.steps {
            let before = step.before.iter().map(|&step| depths[step] + 1);
            let depth = before.max().unwrap_or(0);
            depths.push(depth);
            *counts.entry(depth).or_default() += 1;
        }
        counts.values().copied().max().unwrap_or(0)
    }
}

/// CUgraphExecUpdateResult.
const UPDATE_ERROR: u32 = 1;
const UPDATE_TOPOLOGY_CHANGED: u32 = 2;
const UPDATE_TYPE_CHANGED: u32 = 3;
const UPDATE_PARAMETERS_CHANGED: u32 = 5;
const UPDATE_UNSUPPORTED_FUNCTION_CHANGE: u32 = 7;
/// CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH.
const AUTO_FREE_ON_LAUNCH: u64 = 1;
