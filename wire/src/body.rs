//! Bodies of the calls that are written by hand: what crosses beyond the derived arguments.
//!
//! Every struct is fixed, little endian and without padding. `source` and `target` are seen from
//! the call: a copy goes from its source to its target.

#![expect(
    missing_debug_implementations,
    reason = "zerocopy's derive makes marker types"
)]

use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Declares bodies: fixed layout, sizes asserted.
macro_rules! bodies { ($(
    $(#[$doc:meta])* $name:ident = $size:literal {
        $($(#[$field_doc:meta])* $field:ident: $type:ty,)*
    }
)*) => { $(
    $(#[$doc])*
    #[derive(
        Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable,
    )]
    #[repr(C)]
    pub struct $name {
        $($(#[$field_doc])* pub $field: $type,)*
    }

    const _: () = assert!(size_of::<$name>() == $size);
)* } }

mod graph;

pub use graph::*;

bodies! {
    /// A handle, or another number, alone.
    One = 8 {
        /// The number.
        value: u64,
    }

    /// `cuMemAlloc` and `cuMemAllocPitch`.
    Alloc = 32 {
        /// Bytes, or bytes of a row.
        width: u64,
        /// Rows; 0 for `cuMemAlloc`.
        height: u64,
        /// Element size in bytes, for the pitch; or the flags of managed memory.
        element: u64,
        /// A block that collided with client memory: kept as a decoy until the session ends, so
        /// that the driver gives another address; 0 for none.
        decoy: u64,
    }

    /// Reply to [`Alloc`].
    Allocated = 24 {
        /// First byte.
        address: u64,
        /// Bytes from row to row; 0 for `cuMemAlloc`.
        pitch: u64,
        /// Bytes in all.
        len: u64,
    }

    /// A copy of which one side is client memory. HtoD: followed by the bytes when `inline` is 1,
    /// else they lie in the inbound slab at `position`. DtoH: the reply carries the bytes when
    /// `inline` is 1, else they are put to the region `position` of the client.
    HostCopy = 40 {
        /// Device address.
        device: u64,
        /// Bytes.
        len: u64,
        /// Stream: 0 for the default stream of a synchronous copy.
        stream: u64,
        /// Slab position (HtoD) or region of the landing (DtoH); or the number of the source that
        /// the worker asks for.
        position: u64,
        /// Whether the bytes travel in the record or reply: one of [`source`](mod@source).
        inline: u32,
        /// Whether the call is the asynchronous one.
        is_async: u32,
    }

    /// `cuLaunchHostFunc` and `cuStreamAddCallback`.
    HostFunction = 24 {
        /// Stream.
        stream: u64,
        /// The client's number of the function.
        number: u64,
        /// 1 for one that may be called any number of times, until it is released.
        is_many: u32,
        /// Reserved, zero.
        reserved: u32,
    }

    /// Body of a reply with the flag
    /// [`CALLBACK`](crate::record::reply_flags::CALLBACK): run what the client has under this
    /// number, and say that it has returned, or put the bytes of a source to the region `number`.
    HostCall = 24 {
        /// The client's number.
        number: u64,
        /// This run, for [`side::CALLBACK_DONE`].
        run: u64,
        /// What a stream callback is told of its stream.
        status: u32,
        /// Reserved, zero.
        reserved: u32,
    }

    /// `cuMemAllocAsync` and `cuMemAllocFromPoolAsync`; answered by [`Allocated`].
    PoolAlloc = 32 {
        /// Pool; 0 for the current one of the stream's device.
        pool: u64,
        /// Bytes.
        len: u64,
        /// Stream.
        stream: u64,
        /// As in [`Alloc`].
        decoy: u64,
    }

    /// `cuMemFreeAsync`.
    PoolFree = 16 {
        /// First byte.
        address: u64,
        /// Stream.
        stream: u64,
    }

    /// An attribute of a pool, or the bytes that a trimmed one keeps.
    PoolValue = 24 {
        /// Pool.
        pool: u64,
        /// `CUmemPool_attribute`.
        attribute: u32,
        /// Reserved, zero.
        reserved: u32,
        /// The value, if it is set.
        value: u64,
    }

    /// Access of one device to a pool.
    PoolAccess = 16 {
        /// Pool.
        pool: u64,
        /// Device of the lease.
        device: u32,
        /// `CUmemAccess_flags`, if they are set.
        flags: u32,
    }

    /// One end of a [`RowsCopy`]: its rows as they lie in memory.
    RowsEnd = 56 {
        /// One of [`rows`](mod@rows).
        kind: u32,
        /// Reserved, zero.
        reserved: u32,
        /// Address of the first byte, or the array; 0 for client memory.
        place: u64,
        /// First byte of a row of an array; 0 for other ends, as are the next two.
        x: u64,
        /// First row of an array.
        y: u64,
        /// First slice of an array.
        z: u64,
        /// Bytes from row to row of device memory.
        pitch: u64,
        /// Rows from slice to slice of device memory.
        height: u64,
    }

    /// A copy of slices of rows, of which at most one side is client memory. There the rows lie one
    /// behind the other, [`CHUNK_LEN`](crate::limits::CHUNK_LEN) bytes at most in all, and travel
    /// as those of a [`HostCopy`] do.
    RowsCopy = 160 {
        /// Where the rows go.
        target: RowsEnd,
        /// Where the rows come from.
        source: RowsEnd,
        /// Bytes of a row.
        width: u64,
        /// Rows of a slice.
        height: u64,
        /// Slices.
        depth: u64,
        /// Stream: 0 for the default stream of a synchronous copy.
        stream: u64,
        /// As in [`HostCopy`].
        position: u64,
        /// As in [`HostCopy`].
        inline: u32,
        /// Whether the call is the asynchronous one.
        is_async: u32,
    }

    /// `cuLaunchKernel`; followed by the packed parameters, with their length.
    Launch = 64 {
        /// Function or kernel.
        function: u64,
        /// Stream.
        stream: u64,
        /// Blocks in x, y, z.
        grid: [u32; 3],
        /// Threads in x, y, z.
        block: [u32; 3],
        /// Dynamic shared memory in bytes.
        shared_len: u32,
        /// Launch attributes that follow the parameters, [`LaunchAttribute`] each.
        attributes: u32,
        /// Length of the packed parameters in bytes.
        parameters_len: u32,
        /// Reserved, zero.
        reserved: u32,
        /// Reserved, zero.
        reserved2: u64,
    }

    /// One launch attribute whose value is plain.
    LaunchAttribute = 72 {
        /// `CUlaunchAttributeID`.
        id: u32,
        /// Reserved, zero.
        reserved: u32,
        /// The value.
        value: [u64; 8],
    }

    /// Creates a stream or an event under the handle that the client invented.
    Create = 16 {
        /// The client's handle.
        handle: u64,
        /// Flags of the call.
        flags: u32,
        /// Priority of a stream.
        priority: i32,
    }

    /// `cuEventRecord`.
    EventRecord = 24 {
        /// Event.
        event: u64,
        /// Stream.
        stream: u64,
        /// Flags of `cuEventRecordWithFlags`.
        flags: u32,
        /// Reserved, zero.
        reserved: u32,
    }

    /// Creation of a context.
    ContextCreate = 8 {
        /// Ordinal in the lease.
        device: u32,
        /// Flags.
        flags: u32,
    }

    /// Loads the image whose pieces the same client thread has sent.
    ImageLoad = 16 {
        /// Reserved, zero.
        reserved: u64,
        /// Length in bytes of the image in `driver_abi::image`'s wire form; it came before as
        /// [`ImagePiece`]s.
        len: u64,
    }

    /// A piece of an image, put to the slab at `position`; or inline after this body.
    ImagePiece = 24 {
        /// Slab position.
        position: u64,
        /// Bytes.
        len: u64,
        /// Whether the bytes follow.
        inline: u32,
        /// 1 for the first piece of an image.
        first: u32,
    }

    /// A step of a link whose inputs came before as [`ImagePiece`]s; followed by its options, a
    /// number and a value each.
    Link = 32 {
        /// Bytes of the inputs, or of the image to fetch.
        len: u64,
        /// Landing of the image to fetch.
        landing: u64,
        /// One of [`link`](mod@link).
        what: u32,
        /// Number of options.
        options: u32,
        /// Room in the log for information in bytes.
        info_len: u32,
        /// Room in the log for errors in bytes.
        error_len: u32,
    }

    /// Reply to the look-up of a kernel; followed by [`Parameter`]s and the attributes as `i32`s.
    Found = 24 {
        /// The server's handle.
        handle: u64,
        /// Number of parameters.
        parameters: u32,
        /// Number of attributes, from attribute 0 on.
        attributes: u32,
        /// Bytes of all parameters.
        parameters_len: u32,
        /// Reserved, zero.
        reserved: u32,
    }

    /// One kernel parameter.
    Parameter = 8 {
        /// Offset in the packed parameters.
        offset: u32,
        /// Bytes.
        len: u32,
    }

    /// Sets an attribute of a function or kernel.
    SetAttribute = 16 {
        /// Function or kernel.
        function: u64,
        /// `CUfunction_attribute`.
        attribute: u32,
        /// Value.
        value: i32,
    }

    /// Reply to the look-up of a global.
    Global = 24 {
        /// Address.
        address: u64,
        /// Bytes.
        len: u64,
        /// Whether it is managed memory, which has a twin from now on.
        managed: u32,
        /// Reserved, zero.
        reserved: u32,
    }

    /// Advice on managed memory, or a prefetch of it.
    ManagedHint = 40 {
        /// First address.
        address: u64,
        /// Bytes.
        len: u64,
        /// Stream of a prefetch.
        stream: u64,
        /// The advice, or flags of a prefetch.
        value: u32,
        /// `CUmemLocationType`.
        kind: u32,
        /// Device of the lease or NUMA node, by kind.
        id: i32,
        /// Reserved, zero.
        reserved: u32,
    }

    /// Asks what was said of managed memory; answered by the words, a number each.
    ManagedAsk = 24 {
        /// First address.
        address: u64,
        /// Bytes.
        len: u64,
        /// `CUmem_range_attribute`.
        attribute: u32,
        /// Words of the value.
        words: u32,
    }

    /// Makes a twin of client memory: pinned memory of the worker whose device address is
    /// `address`, in the record's context. Both ends hold it to be zeros at first.
    TwinMake = 16 {
        /// Device address of the block.
        address: u64,
        /// Bytes.
        len: u64,
    }

    /// A run of bytes of a twin, which follow.
    TwinRun = 16 {
        /// Device address.
        address: u64,
        /// Bytes, at most [`TWIN_PAGE_LEN`](crate::limits::TWIN_PAGE_LEN).
        len: u64,
    }

    /// Asks for what the device has changed in twins from one address up to another.
    TwinFetch = 16 {
        /// First address.
        from: u64,
        /// End of the addresses.
        to: u64,
    }

    /// Reply to [`TwinFetch`]; followed by as many [`TwinRun`]s with their bytes.
    TwinFetched = 16 {
        /// Where to go on; 0 when everything has been looked at.
        next: u64,
        /// Number of runs.
        runs: u64,
    }

    /// Message of the side lane.
    Side = 32 {
        /// One of [`side`](mod@side).
        kind: u32,
        /// Reserved, zero.
        reserved: u32,
        /// First argument.
        a: u64,
        /// Second argument.
        b: u64,
        /// Third argument.
        c: u64,
    }
}

mod arrays;
mod vmm;

pub use arrays::*;
pub use vmm::*;

/// Where the client memory of a copy travels.
pub mod source {
    /// By the slab, or to a landing.
    pub const BULK: u32 = 0;
    /// In the record or the reply.
    pub const INLINE: u32 = 1;
    /// To the device: the worker asks for it when the stream gets there, for a host function that
    /// comes before may write it.
    pub const LATE: u32 = 2;
}

/// What an end of a [`RowsCopy`] is.
pub mod rows {
    /// Client memory.
    pub const CLIENT: u32 = 1;
    /// Device memory.
    pub const DEVICE: u32 = 2;
    /// An array.
    pub const ARRAY: u32 = 3;
}

/// Steps of a link.
pub mod link {
    /// Can the inputs be added?
    pub const CHECK: u32 = 0;
    /// Adds the inputs and links.
    pub const COMPLETE: u32 = 1;
    /// Puts the image to a landing that was too long for the reply.
    pub const FETCH: u32 = 2;
}

/// Regions that bulk is put to, beside landings, which have the numbers that records name.
pub mod region {
    /// Client to server: the inbound slab.
    pub const SLAB: u64 = 0;
    /// Server to client: what kernels have printed, at most
    /// [`OUTPUT_LEN_MAX`](crate::limits::OUTPUT_LEN_MAX) bytes at once.
    pub const OUTPUT: u64 = u64::MAX;
}

/// Kinds of side messages.
pub mod side {
    /// Server to client: the inbound slab is free up to position `a`.
    pub const SLAB_FREE: u32 = 1;
    /// Either way: is the peer alive? `a` is returned in [`PONG`].
    pub const PING: u32 = 2;
    /// Answer to [`PING`].
    pub const PONG: u32 = 3;
    /// Client to server: give up waiting for record `a`.
    pub const CANCEL: u32 = 4;
    /// Client to server: run `a` of a host function has returned.
    pub const CALLBACK_DONE: u32 = 6;
}

/// Op codes of records that are no driver calls. Above every op of the table.
pub mod session {
    use crate::call::Op;

    /// A piece of an image ([`super::ImagePiece`]), before the load that uses it.
    pub const IMAGE_PIECE: Op = Op(0xf000);
    /// A host function that could be called any number of times ([`super::One`]: its number) is
    /// called no more.
    pub const HOST_FUNCTION_END: Op = Op(0xf001);
    /// Makes a twin ([`super::TwinMake`]); awaited.
    pub const TWIN_MAKE: Op = Op(0xf010);
    /// Ends a twin that was made ([`super::One`]: its address).
    pub const TWIN_DROP: Op = Op(0xf011);
    /// What the client has changed in twins: [`super::TwinRun`]s with their bytes.
    pub const TWIN_WRITE: Op = Op(0xf012);
    /// What the device has changed in twins ([`super::TwinFetch`]); awaited.
    pub const TWIN_FETCH: Op = Op(0xf013);
    /// A copy of client memory in a captured stream ([`super::CapturedCopy`]); awaited.
    pub const CAPTURED_COPY: Op = Op(0xf020);
    /// What the source of a copy in a graph holds ([`super::GraphBytes`]), before its launch.
    pub const GRAPH_BYTES: Op = Op(0xf021);
}
