//! The driver's calls about graphs and captures, on values instead of pointers.
//!
//! As in [`super::steps`], every handle that comes here was in the session's tables; the driver
//! checks which nodes belong to which graph.

use std::ffi::{CStr, c_void};

use flexdirect_wire::abi::*;

use super::Driver;
use super::graph_nodes::Add;

impl Driver {
    /// An empty graph.
    pub(crate) fn create_graph(&self, flags: u32) -> Result<CuGraph, CuError> {
        // SAFETY: the pointer is to a local that outlives the call; so in all of these.
        made(|graph| unsafe { self.cuGraphCreate(graph, flags) })
    }

    /// Destroys a graph that was taken out of the tables.
    pub(crate) fn destroy_graph(&self, graph: CuGraph) -> CuResult {
        // SAFETY: live, and named by nobody else.
        unsafe { self.cuGraphDestroy(graph) }
    }

    /// A copy of a graph.
    pub(crate) fn clone_graph(&self, graph: CuGraph) -> Result<CuGraph, CuError> {
        // SAFETY: as above.
        made(|clone| unsafe { self.cuGraphClone(clone, graph) })
    }

    /// Destroys a node.
    pub(crate) fn destroy_node(&self, node: CuGraphNode) -> CuResult {
        // SAFETY: live.
        unsafe { self.cuGraphDestroyNode(node) }
    }

    /// `CUgraphNodeType` of a node.
    pub(crate) fn kind_of_node(&self, node: CuGraphNode) -> Result<u32, CuError> {
        // SAFETY: as above.
        made(|kind: *mut CuGraphNodeType| unsafe { self.cuGraphNodeGetType(node, kind) })
            .map(|kind| kind.0)
    }

    /// Number of a node in its graph.
    pub(crate) fn local_id(&self, node: CuGraphNode) -> Result<u32, CuError> {
        // SAFETY: as above.
        made(|id| unsafe { self.cuGraphNodeGetLocalId(node, id) })
    }

    /// Number of a graph.
    pub(crate) fn graph_id(&self, graph: CuGraph) -> Result<u32, CuError> {
        // SAFETY: as above.
        made(|id| unsafe { self.cuGraphGetId(graph, id) })
    }

    /// Number of an executable graph.
    pub(crate) fn exec_id(&self, exec: CuGraphExec) -> Result<u32, CuError> {
        // SAFETY: as above.
        made(|id| unsafe { self.cuGraphExecGetId(exec, id) })
    }

    /// Flags of an executable graph.
    pub(crate) fn exec_flags(&self, exec: CuGraphExec) -> Result<u64, CuError> {
        // SAFETY: as above.
        made(|flags| unsafe { self.cuGraphExecGetFlags(exec, flags) })
    }

    /// Node of a clone that stands for one of the original.
    pub(crate) fn node_in_clone(
        &self,
        node: CuGraphNode,
        clone: CuGraph,
    ) -> Result<CuGraphNode, CuError> {
        // SAFETY: as above.
        made(|found| unsafe { self.cuGraphNodeFindInClone(found, node, clone) })
    }

    /// All nodes of a graph, or its roots.
    pub(crate) fn nodes(&self, graph: CuGraph, roots: bool) -> Result<Vec<CuGraphNode>, CuError> {
        // SAFETY: the list has room for as many as the number says; so in all of these.
        listed(|list, len| unsafe {
            if roots {
                self.cuGraphGetRootNodes(graph, list, len)
            } else {
                self.cuGraphGetNodes(graph, list, len)
            }
        })
    }

    /// What a node comes after, or what comes after it.
    pub(crate) fn neighbours(
        &self,
        node: CuGraphNode,
        after: bool,
    ) -> Result<Vec<CuGraphNode>, CuError> {
        let plain = std::ptr::null_mut();
        // SAFETY: as above.
        listed(|list, len| unsafe {
            let newer = if after {
                self.cuGraphNodeGetDependentNodes_v2(node, list, plain, len)
            } else {
                self.cuGraphNodeGetDependencies_v2(node, list, plain, len)
            };
            match newer {
                Err(CuError::NOT_SUPPORTED) if after => {
                    self.cuGraphNodeGetDependentNodes(node, list, len)
                }
                Err(CuError::NOT_SUPPORTED) => self.cuGraphNodeGetDependencies(node, list, len),
                newer => newer,
            }
        })
    }

    /// All edges of a graph: from, to.
    pub(crate) fn edges(&self, graph: CuGraph) -> Result<Vec<[CuGraphNode; 2]>, CuError> {
        let null = std::ptr::null_mut();
        let ask = |from, to, len: *mut usize| {
            // SAFETY: as above, for both lists.
            unsafe {
                match self.cuGraphGetEdges_v2(graph, from, to, std::ptr::null_mut(), len) {
                    Err(CuError::NOT_SUPPORTED) => self.cuGraphGetEdges(graph, from, to, len),
                    newer => newer,
                }
            }
        };
        let mut len = 0;
        ask(null, null, &raw mut len)?;
        let (mut from, mut to) = (vec![CuGraphNode(0); len], vec![CuGraphNode(0); len]);
        if len > 0 {
            ask(from.as_mut_ptr(), to.as_mut_ptr(), &raw mut len)?;
        }
        let edges = from.into_iter().zip(to).take(len);
        Ok(edges.map(|(from, to)| [from, to]).collect())
    }

    /// Adds edges, or removes them.
    pub(crate) fn change_edges(
        &self,
        graph: CuGraph,
        (from, to): (&[CuGraphNode], &[CuGraphNode]),
        adds: bool,
    ) -> CuResult {
        let (len, plain) = (from.len().min(to.len()), std::ptr::null());
        let (from, to) = (from.as_ptr(), to.as_ptr());
        // SAFETY: both lists have that many entries.
        unsafe {
            if adds {
                match self.cuGraphAddDependencies_v2(graph, from, to, plain, len) {
                    Err(CuError::NOT_SUPPORTED) => {
                        self.cuGraphAddDependencies(graph, from, to, len)
                    }
                    newer => newer,
                }
            } else {
                match self.cuGraphRemoveDependencies_v2(graph, from, to, plain, len) {
                    Err(CuError::NOT_SUPPORTED) => {
                        self.cuGraphRemoveDependencies(graph, from, to, len)
                    }
                    newer => newer,
                }
            }
        }
    }

    /// Makes a graph executable: with the reason, if it cannot be.
    pub(crate) fn instantiate(
        &self,
        graph: CuGraph,
        given: &mut CudaGraphInstantiateParams,
    ) -> Result<CuGraphExec, CuError> {
        // SAFETY: as above; the stream is the session's own or none.
        made(|exec| unsafe { self.cuGraphInstantiateWithParams(exec, graph, given) })
    }

    /// Destroys an executable graph that was taken out of the tables.
    pub(crate) fn destroy_exec(&self, exec: CuGraphExec) -> CuResult {
        // SAFETY: live, and named by nobody else.
        unsafe { self.cuGraphExecDestroy(exec) }
    }

    /// Takes over the actions of a graph: with the reason, if it does not fit.
    pub(crate) fn update_exec(
        &self,
        exec: CuGraphExec,
        graph: CuGraph,
        info: &mut CuGraphExecUpdateResultInfo,
    ) -> CuResult {
        // SAFETY: as above.
        unsafe { self.cuGraphExecUpdate_v2(exec, graph, info) }
    }

    /// Takes a node of an executable graph in, or leaves it out.
    pub(crate) fn enable_node(
        &self,
        exec: CuGraphExec,
        node: CuGraphNode,
        is_enabled: bool,
    ) -> CuResult {
        // SAFETY: both are live.
        unsafe { self.cuGraphNodeSetEnabled(exec, node, u32::from(is_enabled)) }
    }

    /// Whether a node of an executable graph is done.
    pub(crate) fn is_node_enabled(
        &self,
        exec: CuGraphExec,
        node: CuGraphNode,
    ) -> Result<u32, CuError> {
        // SAFETY: as above.
        made(|enabled| unsafe { self.cuGraphNodeGetEnabled(exec, node, enabled) })
    }

    /// Brings an executable graph to the device.
    pub(crate) fn upload_graph(&self, exec: CuGraphExec, stream: CuStream) -> CuResult {
        // SAFETY: both are live.
        unsafe { self.cuGraphUpload(exec, stream) }
    }

    /// Launches an executable graph.
    pub(crate) fn launch_graph(&self, exec: CuGraphExec, stream: CuStream) -> CuResult {
        // SAFETY: both are live; the host memory that it uses is kept until an event behind it.
        unsafe { self.cuGraphLaunch(exec, stream) }
    }

    /// Attribute of a kernel node.
    pub(crate) fn node_attribute(
        &self,
        node: CuGraphNode,
        id: u32,
    ) -> Result<CuLaunchAttributeValue, CuError> {
        let id = CuKernelNodeAttrID(id);
        // SAFETY: as above.
        made(|value| unsafe { self.cuGraphKernelNodeGetAttribute(node, id, value) })
    }

    /// Sets an attribute of a kernel node, whose value is plain.
    pub(crate) fn set_node_attribute(
        &self,
        node: CuGraphNode,
        id: u32,
        value: &CuLaunchAttributeValue,
    ) -> CuResult {
        // SAFETY: as above.
        unsafe { self.cuGraphKernelNodeSetAttribute(node, CuKernelNodeAttrID(id), value) }
    }

    /// Copies the attributes of a kernel node.
    pub(crate) fn copy_node_attributes(&self, to: CuGraphNode, from: CuGraphNode) -> CuResult {
        // SAFETY: both are live.
        unsafe { self.cuGraphKernelNodeCopyAttributes(to, from) }
    }

    /// Writes a graph as text to a file of this host.
    pub(crate) fn print_graph(&self, graph: CuGraph, path: &CStr, flags: u32) -> CuResult {
        // SAFETY: the path is text that outlives the call.
        unsafe { self.cuGraphDebugDotPrint(graph, path.as_ptr(), flags) }
    }

    /// Begins a capture that forbids nothing: the client keeps the rules of its threads.
    pub(crate) fn begin_capture(&self, stream: CuStream) -> CuResult {
        // SAFETY: live.
        unsafe { self.cuStreamBeginCapture_v2(stream, RELAXED) }
    }

    /// Begins a capture into a graph that is there.
    pub(crate) fn begin_capture_to(&self, stream: CuStream, to: Add<'_>) -> CuResult {
        let Add { graph, after } = to;
        let plain = std::ptr::null();
        let (list, len) = (after.as_ptr(), after.len());
        // SAFETY: as for adding nodes.
        unsafe { self.cuStreamBeginCaptureToGraph(stream, graph, list, plain, len, RELAXED) }
    }

    /// Ends a capture.
    pub(crate) fn end_capture(&self, stream: CuStream) -> Result<CuGraph, CuError> {
        // SAFETY: as above.
        made(|graph| unsafe { self.cuStreamEndCapture(stream, graph) })
    }

    /// `CUstreamCaptureStatus` of a stream.
    pub(crate) fn capture_status(&self, stream: CuStream) -> Result<u32, CuError> {
        let mut status = CuStreamCaptureStatus(0);
        // SAFETY: the pointer is to a local that outlives the call.
        unsafe { self.cuStreamIsCapturing(stream, Out(&raw mut status)) }?;
        Ok(status.0)
    }

    /// State of a capture: status, number, graph and what the next node comes after.
    pub(crate) fn capture_info(
        &self,
        stream: CuStream,
    ) -> Result<(u32, u64, CuGraph, Vec<CuGraphNode>), CuError> {
        let (mut status, mut id) = (CuStreamCaptureStatus(0), 0_u64);
        let (mut graph, mut nodes, mut len) = (CuGraph(0), std::ptr::null(), 0_usize);
        // SAFETY: the pointers are to locals that outlive the call.
        unsafe {
            self.cuStreamGetCaptureInfo_v2(
                stream,
                Out(&raw mut status),
                OptOut(&raw mut id),
                &raw mut graph,
                &raw mut nodes,
                &raw mut len,
            )
        }?;
        let after = if status.0 == CAPTURE_ACTIVE && !nodes.is_null() {
            // SAFETY: the driver gives a list of that length, valid until the next call about this
            // stream.
            unsafe { std::slice::from_raw_parts(nodes, len) }.to_vec()
        } else {
            Vec::new()
        };
        Ok((status.0, id, graph, after))
    }

    /// Changes what the next node of a captured stream comes after.
    pub(crate) fn update_capture(
        &self,
        stream: CuStream,
        nodes: &mut [CuGraphNode],
        flags: u32,
    ) -> CuResult {
        let (list, len) = (nodes.as_mut_ptr(), nodes.len());
        // SAFETY: the list has that many entries.
        unsafe { self.cuStreamUpdateCaptureDependencies(stream, list, len, flags) }
    }

    /// A copy in a captured stream: its host memory stays as long as the graph.
    pub(crate) fn capture_copy(&self, form: CaptureForm, stream: CuStream) -> CuResult {
        // SAFETY: addresses were checked; host memory is kept with the graph.
        unsafe {
            match form {
                CaptureForm::Any(to, from, len) => self.cuMemcpyAsync(to, from, len, stream),
                CaptureForm::ToDevice(to, from, len) => {
                    self.cuMemcpyHtoDAsync_v2(to, InBytes(host(from)), len, stream)
                }
                CaptureForm::ToHost(to, from, len) => {
                    self.cuMemcpyDtoHAsync_v2(OutBytes(host(to)), from, len, stream)
                }
                CaptureForm::Rows(copy) => self.cuMemcpy3DAsync_v2(&raw const copy, stream),
            }
        }
    }
}

/// The call by which a copy is captured: to, from, bytes.
pub(crate) enum CaptureForm {
    Any(CuDevicePtr, CuDevicePtr, usize),
    ToDevice(CuDevicePtr, u64, usize),
    ToHost(u64, CuDevicePtr, usize),
    Rows(CudaMemcpy3d),
}

fn host(address: u64) -> *mut c_void {
    std::ptr::with_exposed_provenance_mut(usize::try_from(address).unwrap_or(0))
}

/// The value that a call writes.
pub(super) fn made<T: Default>(call: impl FnOnce(*mut T) -> CuResult) -> Result<T, CuError> {
    let mut value = T::default();
    call(&raw mut value)?;
    Ok(value)
}

/// A list of nodes, asked for its length first.
fn listed(
    call: impl Fn(*mut CuGraphNode, *mut usize) -> CuResult,
) -> Result<Vec<CuGraphNode>, CuError> {
    let mut len = 0;
    call(std::ptr::null_mut(), &raw mut len)?;
    let mut nodes = vec![CuGraphNode(0); len];
    if len > 0 {
        call(nodes.as_mut_ptr(), &raw mut len)?;
        nodes.truncate(len);
    }
    Ok(nodes)
}

/// `CU_STREAM_CAPTURE_MODE_RELAXED`.
const RELAXED: CuStreamCaptureMode = CuStreamCaptureMode(2);

/// `CU_STREAM_CAPTURE_STATUS_ACTIVE`.
pub(crate) const CAPTURE_ACTIVE: u32 = 1;
