//! Every upper bound in the system, with its reason.

/// Largest record or reply with its body in bytes: what either end buffers for one call.
pub const RECORD_LEN_MAX: usize = 256 << 10;

/// Largest payload that travels inside a record or a reply instead of as bulk, in bytes: copying
/// this much twice costs less than a second message.
pub const INLINE_LEN_MAX: usize = 32 << 10;

/// Bytes of records that a client may have sent and not yet seen executed: bounds the server's
/// buffers, and is far more than a round trip of any link holds.
pub const WINDOW_LEN: usize = 2 << 20;

/// Bytes of posted records that wait for the acknowledgement of earlier ones before they are sent
/// all the same: one efficient system call (the knee of a loopback socket is 16 KiB).
pub const BATCH_LEN: usize = 16 << 10;

/// Inbound slab of a worker in bytes: two seconds of nothing, one bandwidth-delay product of
/// 100 Gbit/s over 1 ms with room to spare.
pub const SLAB_LEN: usize = 32 << 20;

/// Bytes of bulk in one piece: copies over the network and over PCIe overlap piece by piece.
pub const CHUNK_LEN: usize = 1 << 20;

/// Largest image of a module in bytes: PyTorch's largest are a few MiB, cuBLAS's 100 MiB.
pub const IMAGE_LEN_MAX: usize = 1 << 30;

/// Largest string argument in bytes: mangled C++ names of templates exceed 4 KiB.
pub const STRING_LEN_MAX: usize = 64 << 10;

/// Largest block of kernel parameters in bytes (CUDA Driver API: 32764 since CUDA 12.1).
pub const PARAMETERS_LEN_MAX: usize = 32_764;

/// Most parameters of a kernel: one byte each.
pub const PARAMETERS_MAX: usize = PARAMETERS_LEN_MAX;

/// Text of kernels that is sent at once, in bytes: a quarter of what a pipe holds.
pub const OUTPUT_LEN_MAX: usize = 16 << 10;

/// Live handles of one kind in a session: a program that leaks a million events has a bug.
pub const HANDLES_MAX: usize = 1 << 20;

/// Bytes in which twins of client memory are compared: the unit in which memory changes hands.
pub const TWIN_PAGE_LEN: usize = 4 << 10;

/// Length of a record or reply with runs of twins from which on no run is added: another one of
/// [`TWIN_PAGE_LEN`] bytes still fits in [`RECORD_LEN_MAX`].
pub const TWIN_RUNS_LEN: usize = 192 << 10;

/// Bytes of pinned memory of the client's that one session has twins of. Each takes its length
/// twice, for what both ends have agreed on is kept beside it.
pub const TWINS_LEN_MAX: u64 = 16 << 30;

/// Twins of one session.
pub const TWINS_MAX: usize = 1 << 20;

/// Bytes of worker memory that stand in for client memory which graphs copy: they are pinned.
pub const MIRRORS_LEN_MAX: usize = 2 << 30;

/// Devices of one lease.
pub const DEVICES_MAX: usize = 64;

/// Changes of access in one call: several for each device.
pub const ACCESS_CHANGES_MAX: usize = 4 * DEVICES_MAX;

/// Client threads of one session, since the server keeps a helper for each that blocks.
pub const THREADS_MAX: usize = 4096;

/// Largest control message in bytes: a snapshot of [`DEVICES_MAX`] devices fits.
pub const CONTROL_LEN_MAX: usize = 1 << 20;

/// Connections that a daemon serves at once, each with a thread.
pub const CONNECTIONS_MAX: usize = 1024;

/// Worker processes of one daemon.
pub const WORKERS_MAX: usize = 256;

/// Times that an allocation is made again after its address collided with client memory.
pub const CLAIM_TRIES_MAX: usize = 32;

/// Time for one step of a control conversation, in milliseconds: a server that is there answers
/// within it, and a person still waits for it.
pub const CONTROL_TIMEOUT_MS: u64 = 3_000;

/// Time after which a host that does not answer is lost, in milliseconds, unless set.
pub const GRACE_MS: u64 = 30_000;
