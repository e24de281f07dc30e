//! What copies of graphs use of client memory: read off the driver's own nodes.

use std::sync::Arc;

use flexdirect_wire::abi::{CuGraph, CuGraphNode, CudaMemcpy3d, CudaMemcpy3dEnd};
use flexdirect_wire::body::{GraphUse, Rows, USES_MAX};
use flexdirect_wire::{CuError, CuResult};

use super::graph_node::{CHILD, COPY, HOST};
use crate::session::Session;
use crate::shadow::graphs::CopyNode;
use crate::shadow::mirrors::Mirror;

const BAD: CuError = CuError::INVALID_VALUE;

/// The mirror in which an end of a driver's copy lies, and its rows at the driver.
pub(super) fn mirrored(
    session: &Session,
    copy: &CudaMemcpy3d,
    end: &CudaMemcpy3dEnd,
) -> Option<(Arc<Mirror>, Rows)> {
    if copy.width_bytes == 0 || copy.height == 0 || copy.depth == 0 {
        return None;
    }
    let rows = Rows::of(copy, end)?;
    let (mirror, _) = session.tables().graphs.mirrors.of_own(rows.start)?;
    Some((mirror, rows))
}

/// What a copy of the driver's uses of client memory.
pub(super) fn copy_node(
    session: &Session,
    node: CuGraphNode,
    copy: &CudaMemcpy3d,
) -> Result<CopyNode, CuError> {
    let mut found = CopyNode {
        node: node.0,
        ..CopyNode::default()
    };
    for (end, access) in [(&copy.source, 1), (&copy.target, 2)] {
        let Some((mirror, rows)) = mirrored(session, copy, end) else {
            continue;
        };
        let first = mirror.client_address(rows.start).ok_or(BAD)?;
        let (width, height) = (copy.width_bytes as u64, copy.height as u64);
        // Rows that lie one behind the other are one piece of a slice, and slices that do of all.
        let is_slice = rows.pitch == width;
        let is_all = is_slice && (copy.depth == 1 || rows.slice == width * height);
        let count = match (is_all, is_slice) {
            (true, _) => 1,
            (_, true) => copy.depth,
            _ => copy.height.saturating_mul(copy.depth),
        };
        if count > USES_MAX {
            return Err(CuError::NOT_SUPPORTED);
        }
        let slices = if is_all { 1 } else { copy.depth as u64 };
        for slice in 0..slices {
            let start = first + slice * rows.slice;
            let piece = |address, len| GraphUse {
                address,
                len,
                access,
                mirror: mirror.id,
            };
            if is_all {
                found.uses.push(piece(first, rows.reach));
            } else if is_slice {
                found.uses.push(piece(start, width * height));
            } else {
                let rows = (0..height).map(|row| start + row * rows.pitch);
                found.uses.extend(rows.map(|address| piece(address, width)));
            }
        }
        found.mirrors.push(mirror);
    }
    Ok(found)
}

/// The copies of a graph and of those in its nodes, in order.
pub(super) fn copies(session: &Session, graph: CuGraph) -> Result<Vec<CopyNode>, CuError> {
    let mut found = Vec::new();
    let needs_walk = {
        let graphs = &session.tables().graphs;
        graphs.calls || !graphs.mirrors.is_empty()
    };
    if needs_walk {
        walk(session, graph, DEPTH_MAX, &mut found)?;
    }
    Ok(found)
}

fn walk(session: &Session, graph: CuGraph, depth: u32, found: &mut Vec<CopyNode>) -> CuResult {
    let driver = &session.driver;
    let depth = depth.checked_sub(1).ok_or(CuError::NOT_SUPPORTED)?;
    for node in driver.nodes(graph, false)? {
        match driver.kind_of_node(node)? {
            COPY => {
                let copy = driver.copy_of_node(node)?;
                found.push(copy_node(session, node, &copy)?);
            }
            HOST => found.push(CopyNode::calls(node.0)),
            CHILD => walk(session, driver.child_of_node(node)?, depth, found)?,
            _ => {}
        }
    }
    Ok(())
}

/// Mirrors that the copies of a graph use: for who holds them.
pub(super) fn mirrors_of(session: &Session, graph: CuGraph) -> Result<Vec<Arc<Mirror>>, CuError> {
    let found = copies(session, graph)?;
    Ok(found.into_iter().flat_map(|copy| copy.mirrors).collect())
}

/// Graphs in nodes of graphs that are looked into.
const DEPTH_MAX: u32 = 32;
