//! Bodies of the calls about graphs and captures.

#![expect(
    missing_debug_implementations,
    reason = "zerocopy's derive makes marker types"
)]

use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::abi::{CuArray, CuContext, CuDevicePtr, CuMemoryType, CudaMemcpy3d, CudaMemcpy3dEnd};

bodies! {
    /// A question about a graph, an executable one or a node, or a call about two of them.
    GraphAsk = 32 {
        /// What it is about.
        handle: u64,
        /// The other thing that it is about, or 0.
        other: u64,
        /// One of [`what`], or a value that is set.
        what: u32,
        /// Reserved, zero.
        reserved: u32,
        /// First entry of a list, or flags.
        offset: u64,
    }

    /// Adds a node; followed by the nodes that it comes after and by its parameters.
    GraphAdd = 32 {
        /// Graph.
        graph: u64,
        /// Context that the call names, or 0.
        context: u64,
        /// `CUgraphNodeType`.
        kind: u32,
        /// Nodes that it comes after.
        dependencies: u32,
        /// Reserved, zero.
        reserved: u64,
    }

    /// Sets the parameters of a node; followed by them.
    GraphSet = 32 {
        /// Executable graph, or 0 for the node's own graph.
        exec: u64,
        /// Node.
        node: u64,
        /// Context that the call names, or 0.
        context: u64,
        /// `CUgraphNodeType`.
        kind: u32,
        /// Reserved, zero.
        reserved: u32,
    }

    /// Parameters of a kernel node; followed by the packed parameters, with their length.
    GraphKernel = 40 {
        /// Function or kernel.
        function: u64,
        /// Blocks in x, y, z.
        grid: [u32; 3],
        /// Threads in x, y, z.
        block: [u32; 3],
        /// Dynamic shared memory in bytes.
        shared_len: u32,
        /// Reserved, zero.
        reserved: u32,
    }

    /// Parameters of a memset node.
    GraphFill = 40 {
        /// First byte.
        target: u64,
        /// Bytes from row to row.
        pitch: u64,
        /// The element.
        value: u32,
        /// Its bytes.
        element_len: u32,
        /// Elements of a row.
        width: u64,
        /// Rows.
        height: u64,
    }

    /// Client memory that a copy of a graph names: the part of it that is kept together at the
    /// worker. None with length 0.
    Mirrored = 16 {
        /// First byte.
        start: u64,
        /// Bytes.
        len: u64,
    }

    /// Parameters of a copy node: the words of a `CUDA_MEMCPY3D` ([`copy_words`]), host addresses
    /// being the client's.
    GraphCopy = 232 {
        /// The description.
        words: [u64; 25],
        /// Client memory that is read.
        source: Mirrored,
        /// Client memory that is written.
        target: Mirrored,
    }

    /// A copy that a captured stream takes.
    CapturedCopy = 248 {
        /// Stream.
        stream: u64,
        /// One of [`captured`].
        form: u64,
        /// The copy.
        copy: GraphCopy,
    }

    /// Client memory that launches of an executable graph read or write.
    GraphUse = 24 {
        /// First byte.
        address: u64,
        /// Bytes.
        len: u64,
        /// 1 if it is read, 2 if it is written; 4, with no memory, if it calls host functions.
        access: u32,
        /// Number of the worker memory that stands in for it.
        mirror: u32,
    }

    /// What the source of a copy in a graph holds. Followed by the bytes when `inline` is 1; when
    /// it is 2 (`source::LATE`) the client reads them when the stream gets there; else they lie in
    /// the slab.
    GraphBytes = 48 {
        /// Executable graph.
        exec: u64,
        /// Stream of the launch that follows.
        stream: u64,
        /// Address at the client.
        address: u64,
        /// Bytes.
        len: u64,
        /// Slab position, or number of a late source.
        position: u64,
        /// Where the bytes are.
        inline: u32,
        /// As in [`GraphUse`].
        mirror: u32,
    }

    /// Launches an executable graph; followed by [`GraphLanding`]s.
    GraphLaunch = 24 {
        /// Executable graph.
        exec: u64,
        /// Stream.
        stream: u64,
        /// Client memory that it writes.
        landings: u64,
    }

    /// Client memory that a launch writes.
    GraphLanding = 32 {
        /// First byte at the client.
        address: u64,
        /// Bytes.
        len: u64,
        /// Landing.
        landing: u64,
        /// As in [`GraphUse`].
        mirror: u64,
    }

    /// An attribute of a kernel node.
    GraphAttribute = 80 {
        /// Node.
        node: u64,
        /// `CUlaunchAttributeID`.
        id: u32,
        /// Reserved, zero.
        reserved: u32,
        /// The value, if it is set.
        value: [u64; 8],
    }

    /// Begins a capture, or changes what the next node of a captured stream comes after; followed
    /// by nodes.
    Capture = 32 {
        /// Stream.
        stream: u64,
        /// Graph to capture to, or 0 for a new one.
        graph: u64,
        /// Nodes that follow.
        nodes: u64,
        /// Flags of the change.
        flags: u64,
    }

    /// State of a capture; followed by the nodes that the next one comes after.
    Captured = 32 {
        /// `CUstreamCaptureStatus`.
        status: u64,
        /// Number of the capture.
        id: u64,
        /// Its graph.
        graph: u64,
        /// Nodes that follow.
        nodes: u64,
    }

    /// Outcome of an instantiation or an update; followed by [`GraphUse`]s.
    GraphMade = 40 {
        /// The executable graph.
        exec: u64,
        /// `CUresult`.
        status: u32,
        /// `CUgraphInstantiateResult` or `CUgraphExecUpdateResult`.
        result: u32,
        /// Node that is the reason, or 0.
        error_node: u64,
        /// Where the edge that is the reason comes from, or 0.
        error_from_node: u64,
        /// [`GraphUse`]s that follow.
        uses: u64,
    }
}

/// What is asked of a graph, an executable one or a node.
pub mod what {
    /// Nodes of a graph.
    pub const NODES: u32 = 1;
    /// Nodes of a graph that come after no other.
    pub const ROOTS: u32 = 2;
    /// Edges of a graph: from, to.
    pub const EDGES: u32 = 3;
    /// Nodes that a node comes after.
    pub const DEPENDENCIES: u32 = 4;
    /// Nodes that come after a node.
    pub const DEPENDENTS: u32 = 5;
    /// Kind of a node.
    pub const KIND: u32 = 6;
    /// Graph of a node.
    pub const CONTAINING: u32 = 7;
    /// Number of a node in its graph.
    pub const LOCAL_ID: u32 = 8;
    /// Number of a graph.
    pub const GRAPH_ID: u32 = 9;
    /// Number of an executable graph.
    pub const EXEC_ID: u32 = 10;
    /// Flags of an executable graph.
    pub const EXEC_FLAGS: u32 = 11;
    /// Whether a node (`other`) of an executable graph is done.
    pub const ENABLED: u32 = 12;
    /// Event of a record.
    pub const RECORDED: u32 = 13;
    /// Event of a wait.
    pub const AWAITED: u32 = 14;
    /// Graph in a node.
    pub const CHILD: u32 = 15;
    /// Node in a graph (`other`) that stands for this one.
    pub const IN_CLONE: u32 = 16;
}

/// By which call a copy is captured.
pub mod captured {
    /// `cuMemcpyAsync`.
    pub const ANY: u64 = 0;
    /// `cuMemcpyHtoDAsync`.
    pub const TO_DEVICE: u64 = 1;
    /// `cuMemcpyDtoHAsync`.
    pub const TO_HOST: u64 = 2;
    /// `cuMemcpy3DAsync`.
    pub const ROWS: u64 = 3;
}

/// Entries of a list in one reply.
pub const LIST_LEN_MAX: usize = 8192;

/// Client memory that the launches of one executable graph may use, in pieces.
pub const USES_MAX: usize = 8192;

/// The words of a description.
pub fn copy_words(copy: &CudaMemcpy3d) -> [u64; 25] {
    let mut words = [0; 25];
    for (words, end) in words.chunks_mut(11).zip([&copy.source, &copy.target]) {
        words.copy_from_slice(&[
            end.x_bytes as u64,
            end.y as u64,
            end.z as u64,
            end.level as u64,
            u64::from(end.kind.0),
            end.host as u64,
            end.device.0,
            end.array.0,
            end.context.0,
            end.pitch_bytes as u64,
            end.height as u64,
        ]);
    }
    words[22] = copy.width_bytes as u64;
    words[23] = copy.height as u64;
    words[24] = copy.depth as u64;
    words
}

/// The description that words are of; none for values that no description has.
pub fn copy_of_words(words: &[u64; 25]) -> Option<CudaMemcpy3d> {
    let size = |at: usize| usize::try_from(words[at]).ok();
    let end = |at: usize| {
        Some(CudaMemcpy3dEnd {
            x_bytes: size(at)?,
            y: size(at + 1)?,
            z: size(at + 2)?,
            level: size(at + 3)?,
            kind: CuMemoryType(u32::try_from(words[at + 4]).ok()?),
            host: size(at + 5)?,
            device: CuDevicePtr(words[at + 6]),
            array: CuArray(words[at + 7]),
            context: CuContext(words[at + 8]),
            pitch_bytes: size(at + 9)?,
            height: size(at + 10)?,
        })
    };
    Some(CudaMemcpy3d {
        source: end(0)?,
        target: end(11)?,
        width_bytes: size(22)?,
        height: size(23)?,
        depth: size(24)?,
    })
}

/// Rows of memory at one end of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rows {
    /// First byte of the first row.
    pub start: u64,
    /// Bytes from the first to the last one.
    pub reach: u64,
    /// Bytes from row to row.
    pub pitch: u64,
    /// Bytes from slice to slice.
    pub slice: u64,
}

impl Rows {
    /// Those of an end of a copy of at least one byte, by its own sizes; none where these do not
    /// fit, or for an array.
    pub fn of(copy: &CudaMemcpy3d, end: &CudaMemcpy3dEnd) -> Option<Self> {
        let base = match end.kind {
            CuMemoryType::HOST => end.host as u64,
            CuMemoryType::DEVICE | CuMemoryType::UNIFIED => end.device.0,
            _ => return None,
        };
        let row_end = end.x_bytes.checked_add(copy.width_bytes)?;
        let rows_end = end.y.checked_add(copy.height)?;
        let one_slice = copy.depth == 1 && end.z == 0;
        let pitch = match end.pitch_bytes {
            0 if one_slice && rows_end == 1 => row_end,
            pitch => pitch,
        };
        let height = match end.height {
            0 if one_slice => rows_end,
            height => height,
        };
        let fits = base != 0 && end.level == 0 && pitch >= row_end && height >= rows_end;
        if !fits || pitch > PITCH_MAX {
            return None;
        }
        let slice = pitch.checked_mul(height)?;
        let before = end.z.checked_mul(slice)?;
        let before = before.checked_add(end.y.checked_mul(pitch)?)?;
        let start = base.checked_add(before.checked_add(end.x_bytes)? as u64)?;
        let rows = pitch.checked_mul(copy.height.checked_sub(1)?)?;
        let slices = slice.checked_mul(copy.depth.checked_sub(1)?)?;
        let reach = rows.checked_add(slices)?.checked_add(copy.width_bytes)? as u64;
        start.checked_add(reach)?;
        Some(Self {
            start,
            reach,
            pitch: pitch as u64,
            slice: slice as u64,
        })
    }
}

/// `CU_DEVICE_ATTRIBUTE_MAX_PITCH` of every device.
const PITCH_MAX: usize = 0x7fff_ffff;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_comes_back() {
        let mut words = [0; 25];
        for (at, word) in words.iter_mut().enumerate() {
            *word = at as u64 + 1;
        }
        let copy = copy_of_words(&words).unwrap();
        assert_eq!(copy_words(&copy), words);
        words[4] = u64::MAX;
        assert_eq!(copy_of_words(&words), None);
    }

    #[test]
    fn rows_reach_from_their_first_byte_to_their_last() {
        let end = CudaMemcpy3dEnd {
            x_bytes: 2,
            y: 1,
            kind: CuMemoryType::DEVICE,
            device: CuDevicePtr(0x1000),
            pitch_bytes: 16,
            height: 4,
            ..CudaMemcpy3dEnd::default()
        };
        let copy = CudaMemcpy3d {
            source: end,
            width_bytes: 8,
            height: 3,
            depth: 2,
            ..CudaMemcpy3d::default()
        };
        let rows = Rows::of(&copy, &end).unwrap();
        assert_eq!((rows.start, rows.reach), (0x1012, 2 * 16 + 64 + 8));
        let narrow = CudaMemcpy3dEnd {
            pitch_bytes: 9,
            ..end
        };
        assert_eq!(Rows::of(&copy, &narrow), None);
        let far = CudaMemcpy3dEnd {
            device: CuDevicePtr(u64::MAX),
            ..end
        };
        assert_eq!(Rows::of(&copy, &far), None);
        let none = CudaMemcpy3d { height: 0, ..copy };
        assert_eq!(Rows::of(&none, &end), None);
    }
}
