//! Attributes of kernel nodes.

use flexdirect_wire::abi::{
    CuGraphNode, CuKernelNodeAttrID, CuKernelNodeAttrValue, CuResult, InOut, Out,
};
use flexdirect_wire::body::GraphAttribute;
use flexdirect_wire::call::op;
use zerocopy::IntoBytes;

use super::{issue, question, tell, wanted};
use crate::process::process;

fn attribute(node: CuGraphNode, id: CuKernelNodeAttrID, value: [u64; 8]) -> Vec<u8> {
    let asked = GraphAttribute {
        node: node.0,
        id: id.0,
        reserved: 0,
        value,
    };
    asked.as_bytes().to_vec()
}

pub(crate) fn cuGraphKernelNodeGetAttribute(
    node: CuGraphNode,
    attr: CuKernelNodeAttrID,
    value_out: *mut CuKernelNodeAttrValue,
) -> CuResult {
    let process = process()?;
    wanted(value_out)?;
    let asked = attribute(node, attr, [0; 8]);
    let reply = process
        .session
        .call(issue(op::cuGraphKernelNodeGetAttribute), &asked)?;
    let words = reply
        .body()?
        .get()
        .map_err(|error| process.session.broken(&error))?;
    Out(value_out).write(CuKernelNodeAttrValue { words })
}

pub(crate) fn cuGraphKernelNodeSetAttribute(
    node: CuGraphNode,
    attr: CuKernelNodeAttrID,
    value: *const CuKernelNodeAttrValue,
) -> CuResult {
    let value = InOut(value.cast_mut()).read()?;
    let asked = attribute(node, attr, value.words);
    tell(op::cuGraphKernelNodeSetAttribute, &asked)
}

pub(crate) fn cuGraphKernelNodeCopyAttributes(dst: CuGraphNode, src: CuGraphNode) -> CuResult {
    let asked = question(0, dst.0, src.0);
    tell(op::cuGraphKernelNodeCopyAttributes, &asked)
}
