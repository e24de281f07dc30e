//! The driver's calls about nodes of graphs by their kind, on values instead of pointers.
//!
//! As in [`super::graphs`], every handle was in the session's tables.

use flexdirect_wire::abi::*;

use super::Driver;
use super::graphs::made;

/// Where a node is added.
#[derive(Clone, Copy)]
pub(crate) struct Add<'a> {
    /// The graph.
    pub(crate) graph: CuGraph,
    /// What it comes after.
    pub(crate) after: &'a [CuGraphNode],
}

/// Which node is set.
#[derive(Clone, Copy)]
pub(crate) struct Set {
    /// In this executable graph, or in its own graph.
    pub(crate) exec: Option<CuGraphExec>,
    /// The node.
    pub(crate) node: CuGraphNode,
}

impl Driver {
    /// Adds a node that does nothing.
    pub(crate) fn add_empty(&self, to: Add<'_>) -> Result<CuGraphNode, CuError> {
        let Add { graph, after } = to;
        // SAFETY: as above; the list has as many entries as it says.
        made(|node| unsafe { self.cuGraphAddEmptyNode(node, graph, after.as_ptr(), after.len()) })
    }

    /// Adds a launch; `extra` names packed parameters.
    pub(crate) fn add_kernel(
        &self,
        to: Add<'_>,
        kernel: &CudaKernelNodeParams,
    ) -> Result<CuGraphNode, CuError> {
        let Add { graph, after } = to;
        // SAFETY: as above; the parameters are packed in memory of the caller that outlives the
        // call, and the driver copies them.
        made(|node| unsafe {
            self.cuGraphAddKernelNode_v2(node, graph, after.as_ptr(), after.len(), kernel)
        })
    }

    /// Adds a copy, whose addresses were checked.
    pub(crate) fn add_copy_node(
        &self,
        to: Add<'_>,
        copy: &CudaMemcpy3d,
        context: CuContext,
    ) -> Result<CuGraphNode, CuError> {
        let Add { graph, after } = to;
        // SAFETY: as above; the description is copied.
        made(|node| unsafe {
            self.cuGraphAddMemcpyNode(node, graph, after.as_ptr(), after.len(), copy, context)
        })
    }

    /// Adds a memset, whose addresses were checked.
    pub(crate) fn add_fill(
        &self,
        to: Add<'_>,
        fill: &CudaMemsetNodeParams,
        context: CuContext,
    ) -> Result<CuGraphNode, CuError> {
        let Add { graph, after } = to;
        // SAFETY: as above.
        made(|node| unsafe {
            self.cuGraphAddMemsetNode(node, graph, after.as_ptr(), after.len(), fill, context)
        })
    }

    /// Adds a copy of a graph.
    pub(crate) fn add_child(&self, to: Add<'_>, child: CuGraph) -> Result<CuGraphNode, CuError> {
        let Add { graph, after } = to;
        // SAFETY: as above.
        made(|node| unsafe {
            self.cuGraphAddChildGraphNode(node, graph, after.as_ptr(), after.len(), child)
        })
    }

    /// Adds a call of a function of this program.
    pub(crate) fn add_host(
        &self,
        to: Add<'_>,
        host: &CudaHostNodeParams,
    ) -> Result<CuGraphNode, CuError> {
        let Add { graph, after } = to;
        // SAFETY: as above; the function takes its data for a number.
        made(|node| unsafe {
            self.cuGraphAddHostNode(node, graph, after.as_ptr(), after.len(), host)
        })
    }

    /// Sets the function of a node.
    pub(crate) fn set_host(&self, at: Set, host: &CudaHostNodeParams) -> CuResult {
        // SAFETY: as for adding.
        unsafe {
            match at.exec {
                Some(exec) => self.cuGraphExecHostNodeSetParams(exec, at.node, host),
                None => self.cuGraphHostNodeSetParams(at.node, host),
            }
        }
    }

    /// Adds a record of an event, or a wait for it.
    pub(crate) fn add_event(
        &self,
        to: Add<'_>,
        event: CuEvent,
        is_wait: bool,
    ) -> Result<CuGraphNode, CuError> {
        let Add { graph, after } = to;
        let (list, len) = (after.as_ptr(), after.len());
        // SAFETY: as above.
        made(|node| unsafe {
            if is_wait {
                self.cuGraphAddEventWaitNode(node, graph, list, len, event)
            } else {
                self.cuGraphAddEventRecordNode(node, graph, list, len, event)
            }
        })
    }

    /// Sets the launch of a node, or of that node in an executable graph.
    pub(crate) fn set_kernel(&self, at: Set, kernel: &CudaKernelNodeParams) -> CuResult {
        // SAFETY: as for adding.
        unsafe {
            match at.exec {
                Some(exec) => self.cuGraphExecKernelNodeSetParams_v2(exec, at.node, kernel),
                None => self.cuGraphKernelNodeSetParams_v2(at.node, kernel),
            }
        }
    }

    /// Sets a copy.
    pub(crate) fn set_copy(&self, at: Set, copy: &CudaMemcpy3d, context: CuContext) -> CuResult {
        // SAFETY: as for adding.
        unsafe {
            match at.exec {
                Some(exec) => self.cuGraphExecMemcpyNodeSetParams(exec, at.node, copy, context),
                None => self.cuGraphMemcpyNodeSetParams(at.node, copy),
            }
        }
    }

    /// Sets a memset.
    pub(crate) fn set_fill(
        &self,
        at: Set,
        fill: &CudaMemsetNodeParams,
        context: CuContext,
    ) -> CuResult {
        // SAFETY: as for adding.
        unsafe {
            match at.exec {
                Some(exec) => self.cuGraphExecMemsetNodeSetParams(exec, at.node, fill, context),
                None => self.cuGraphMemsetNodeSetParams(at.node, fill),
            }
        }
    }

    /// Sets the event of a record, or of a wait.
    pub(crate) fn set_event(&self, at: Set, event: CuEvent, is_wait: bool) -> CuResult {
        // SAFETY: as for adding.
        unsafe {
            match (at.exec, is_wait) {
                (Some(exec), true) => self.cuGraphExecEventWaitNodeSetEvent(exec, at.node, event),
                (Some(exec), false) => {
                    self.cuGraphExecEventRecordNodeSetEvent(exec, at.node, event)
                }
                (None, true) => self.cuGraphEventWaitNodeSetEvent(at.node, event),
                (None, false) => self.cuGraphEventRecordNodeSetEvent(at.node, event),
            }
        }
    }

    /// Replaces what is done in a child.
    pub(crate) fn set_child(
        &self,
        exec: CuGraphExec,
        node: CuGraphNode,
        child: CuGraph,
    ) -> CuResult {
        // SAFETY: as for adding.
        unsafe { self.cuGraphExecChildGraphNodeSetParams(exec, node, child) }
    }

    /// The launch of a node, with the values of its parameters.
    pub(crate) fn kernel_of_node(
        &self,
        node: CuGraphNode,
    ) -> Result<(CudaKernelNodeParams, Vec<u8>), CuError> {
        let mut kernel = CudaKernelNodeParams {
            function: CuFunction(0),
            grid: [0; 3],
            block: [0; 3],
            shared_mem_bytes: 0,
            kernel_params: std::ptr::null_mut(),
            extra: std::ptr::null_mut(),
            kernel: CuKernel(0),
            context: CuContext(0),
        };
        // SAFETY: as above.
        unsafe { self.cuGraphKernelNodeGetParams_v2(node, &raw mut kernel) }?;
        let mut block = Vec::new();
        for index in 0.. {
            let (mut offset, mut len) = (0_usize, 0_usize);
            let (at, size) = (Out(&raw mut offset), Out(&raw mut len));
            // SAFETY: the node's own function or kernel.
            let told = unsafe {
                if kernel.function.0 == 0 {
                    self.cuKernelGetParamInfo(kernel.kernel, index, at, size)
                } else {
                    self.cuFuncGetParamInfo(kernel.function, index, at, size)
                }
            };
            if told.is_err() {
                break;
            }
            if kernel.kernel_params.is_null() {
                return Err(CuError::NOT_SUPPORTED);
            }
            block.resize(block.len().max(offset + len), 0);
            // SAFETY: the driver gives a pointer for each parameter, to a value of its length,
            // valid until the node is changed: this thread alone does that.
            unsafe {
                let value = kernel.kernel_params.add(index).read();
                let target = block.as_mut_ptr().add(offset);
                std::ptr::copy_nonoverlapping(value.cast::<u8>(), target, len);
            }
        }
        Ok((kernel, block))
    }

    /// The copy of a node.
    pub(crate) fn copy_of_node(&self, node: CuGraphNode) -> Result<CudaMemcpy3d, CuError> {
        // SAFETY: as above.
        made(|copy| unsafe { self.cuGraphMemcpyNodeGetParams(node, copy) })
    }

    /// The memset of a node.
    pub(crate) fn fill_of_node(&self, node: CuGraphNode) -> Result<CudaMemsetNodeParams, CuError> {
        // SAFETY: as above.
        made(|fill| unsafe { self.cuGraphMemsetNodeGetParams(node, fill) })
    }

    /// The event of a record or of a wait.
    pub(crate) fn event_of_node(
        &self,
        node: CuGraphNode,
        is_wait: bool,
    ) -> Result<CuEvent, CuError> {
        // SAFETY: as above.
        made(|event| unsafe {
            if is_wait {
                self.cuGraphEventWaitNodeGetEvent(node, event)
            } else {
                self.cuGraphEventRecordNodeGetEvent(node, event)
            }
        })
    }

    /// The graph in a node.
    pub(crate) fn child_of_node(&self, node: CuGraphNode) -> Result<CuGraph, CuError> {
        // SAFETY: as above.
        made(|graph| unsafe { self.cuGraphChildGraphNodeGetGraph(node, graph) })
    }
}
