//! Shadow handles: the client's names for driver objects.
//!
//! A handle is a number and never a pointer: the server resolves it in the table of its session, so
//! that nothing a client makes up can reach the driver. The client may invent handles (a posted
//! create returns at once), so both ends have a half of the index space.
//!
//! ```text
//!  63      56 55            32 31 30                    0
//! +----------+----------------+--+-----------------------+
//! |   kind   |   generation   |S |         index         |    S: invented by the server
//! +----------+----------------+--+-----------------------+
//! ```

use std::fmt;

/// Name of one driver object within a session. The null handle is 0.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(transparent)]
pub struct ShadowHandle(pub u64);

/// What a handle names.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Kind(pub u8);

impl Kind {
    /// A context.
    pub const CONTEXT: Self = Self(0x41);
    /// A module.
    pub const MODULE: Self = Self(0x42);
    /// A function of a module.
    pub const FUNCTION: Self = Self(0x43);
    /// A library.
    pub const LIBRARY: Self = Self(0x44);
    /// A kernel of a library.
    pub const KERNEL: Self = Self(0x45);
    /// A stream.
    pub const STREAM: Self = Self(0x46);
    /// An event.
    pub const EVENT: Self = Self(0x47);
    /// A memory pool.
    pub const POOL: Self = Self(0x48);
    /// An array, or a level of a mipmapped one.
    pub const ARRAY: Self = Self(0x51);
    /// A mipmapped array.
    pub const MIPMAP: Self = Self(0x52);
    /// A texture object, whose value kernels take.
    pub const TEXTURE: Self = Self(0x53);
    /// A surface object, whose value kernels take.
    pub const SURFACE: Self = Self(0x54);
    /// Physical memory.
    pub const MEMORY: Self = Self(0x55);
    /// A graph, also one in a node of another.
    pub const GRAPH: Self = Self(0x58);
    /// A node of a graph.
    pub const GRAPH_NODE: Self = Self(0x59);
    /// An executable graph.
    pub const GRAPH_EXEC: Self = Self(0x5a);
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match *self {
            Self::CONTEXT => "context",
            Self::MODULE => "module",
            Self::FUNCTION => "function",
            Self::LIBRARY => "library",
            Self::KERNEL => "kernel",
            Self::STREAM => "stream",
            Self::EVENT => "event",
            Self::POOL => "pool",
            Self::ARRAY => "array",
            Self::MIPMAP => "mipmapped array",
            Self::TEXTURE => "texture",
            Self::SURFACE => "surface",
            Self::MEMORY => "memory",
            Self::GRAPH => "graph",
            Self::GRAPH_NODE => "graph node",
            Self::GRAPH_EXEC => "executable graph",
            Self(other) => return write!(f, "kind {other:#04x}"),
        };
        f.write_str(name)
    }
}

impl ShadowHandle {
    /// The null handle.
    pub const NULL: Self = Self(0);

    /// A handle from its parts; `generation` is cut to 24 bits and `index` to 31.
    pub fn new(kind: Kind, generation: u32, index: u32, by_server: bool) -> Self {
        let server = u64::from(by_server) << 31;
        let index = u64::from(index & INDEX_MAX);
        let generation = u64::from(generation & GENERATION_MAX) << 32;
        Self(u64::from(kind.0) << 56 | generation | server | index)
    }

    /// The primary context of a device: known to both ends without asking.
    pub fn primary_context(device: u16) -> Self {
        Self::new(Kind::CONTEXT, 0, u32::from(device), false)
    }

    /// What the handle claims to name.
    pub fn kind(self) -> Kind {
        Kind(self.0.to_be_bytes()[0])
    }

    /// Which use of the index it names: a stale handle is refused, not misread.
    pub fn generation(self) -> u32 {
        let [_, a, b, c, ..] = self.0.to_be_bytes();
        u32::from_be_bytes([0, a, b, c])
    }

    /// Slot in the table of its kind and inventor.
    pub fn index(self) -> u32 {
        self.low() & INDEX_MAX
    }

    /// Whether the server invented it.
    pub fn by_server(self) -> bool {
        self.low() > INDEX_MAX
    }

    /// Whether this is the null handle.
    pub fn is_null(self) -> bool {
        self.0 == 0
    }

    fn low(self) -> u32 {
        let [.., a, b, c, d] = self.0.to_be_bytes();
        u32::from_be_bytes([a, b, c, d])
    }
}

impl fmt::Debug for ShadowHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_null() {
            return f.write_str("null");
        }
        let owner = if self.by_server() { "s" } else { "c" };
        write!(
            f,
            "{:?} {owner}{}.{}",
            self.kind(),
            self.index(),
            self.generation()
        )
    }
}

/// Largest index.
pub const INDEX_MAX: u32 = (1 << 31) - 1;

/// Largest generation.
pub const GENERATION_MAX: u32 = (1 << 24) - 1;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn parts_come_back(generation in 0..=GENERATION_MAX, index in 0..=INDEX_MAX, server: bool) {
            let handle = ShadowHandle::new(Kind::EVENT, generation, index, server);
            prop_assert_eq!(handle.kind(), Kind::EVENT);
            prop_assert_eq!(handle.generation(), generation);
            prop_assert_eq!(handle.index(), index);
            prop_assert_eq!(handle.by_server(), server);
        }
    }

    #[test]
    fn no_handle_looks_like_a_special_stream() {
        assert!(ShadowHandle::new(Kind::STREAM, 0, 0, false).0 > 2);
    }
}
