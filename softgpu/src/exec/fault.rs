//! How a launch can end other than well, each kind with the place where it happened.

/// The thread and instruction that faulted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Place {
    /// Name of the kernel.
    pub kernel: String,
    /// Block index.
    pub block: [u32; 3],
    /// Thread index in the block.
    pub thread: [u32; 3],
    /// Line of the instruction in the PTX text.
    pub line: u32,
}

impl std::fmt::Display for Place {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            kernel,
            block,
            thread,
            line,
        } = self;
        write!(
            formatter,
            "kernel {kernel}, block {block:?}, thread {thread:?}, PTX line {line}"
        )
    }
}

/// Why a launch failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// A device-side `assert` failed (CUDA_ERROR_ASSERT).
    #[error("assertion failed: {message}: {place}")]
    AssertFailed {
        /// Where.
        place: Box<Place>,
        /// `file:line: function: condition`.
        message: String,
    },
    /// Threads wait for one another and none can go on.
    #[error("threads of the block wait at barriers that can never complete: {place}")]
    BarrierDeadlock {
        /// One of the waiting threads.
        place: Box<Place>,
    },
    /// The launch was told to stop.
    #[error("cancelled")]
    Cancelled,
    /// An address outside everything the thread may touch (CUDA_ERROR_ILLEGAL_ADDRESS).
    #[error("illegal address 0x{address:x}: {place}")]
    IllegalAddress {
        /// Where.
        place: Box<Place>,
        /// The address, in the space of the instruction.
        address: u64,
    },
    /// A call through a bad function address, or an operand no hardware would take
    /// (CUDA_ERROR_ILLEGAL_INSTRUCTION).
    #[error("illegal instruction ({what}): {place}")]
    IllegalInstruction {
        /// Where.
        place: Box<Place>,
        /// What was wrong.
        what: String,
    },
    /// The launch itself cannot be done (CUDA_ERROR_INVALID_VALUE and the like); nothing ran.
    #[error("launch of {kernel}: {reason}")]
    InvalidLaunch {
        /// Name of the kernel.
        kernel: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An address that is no multiple of the access size (CUDA_ERROR_MISALIGNED_ADDRESS).
    #[error("misaligned address 0x{address:x}: {place}")]
    Misaligned {
        /// Where.
        place: Box<Place>,
        /// The address.
        address: u64,
    },
    /// Calls nested more deeply than the stack of a thread allows.
    #[error("stack overflow: {place}")]
    StackOverflow {
        /// Where.
        place: Box<Place>,
    },
    /// The launch took longer than it may (CUDA_ERROR_LAUNCH_TIMEOUT).
    #[error("timed out: {place}")]
    TimedOut {
        /// A thread that was still running.
        place: Box<Place>,
    },
    /// The kernel executed `trap` (CUDA_ERROR_LAUNCH_FAILED).
    #[error("trap: {place}")]
    Trap {
        /// Where.
        place: Box<Place>,
    },
}
