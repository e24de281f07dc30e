//! Decoded code: what the interpreter's loop reads. No names, no text, no options to look up.
//!
//! Registers live in three files by kind: rows of 32 words, rows of 32 long words, and predicates
//! as one bit per lane. A [`Slot`] is a row relative to the frame of the running function, or a
//! row of the constants, which hold immediates and the addresses of symbols.

use super::lanes::{
    Compare32, Compare64, Map32x1, Map32x2, Map32x3, Map64x1, Map64x2, Map64x3, Narrow1, Shift64,
    Widen1, Widen2, Widen3,
};
use super::matrix::MatrixKind;
use super::memory_forms::MemoryKind;
use super::program::Parameter;

/// A row of the word or long-word file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot(u32);

impl Slot {
    const CONSTANT: u32 = 1 << 31;

    pub(super) fn register(index: u32) -> Self {
        Self(index)
    }

    pub(super) fn constant(index: u32) -> Self {
        Self(index | Self::CONSTANT)
    }

    /// The same kind of slot at another row.
    pub(super) fn renumbered(self, index: u32) -> Self {
        Self(index)
    }

    #[inline(always)]
    pub(super) fn is_constant(self) -> bool {
        self.0 & Self::CONSTANT != 0
    }

    #[inline(always)]
    pub(super) fn index(self) -> usize {
        (self.0 & !Self::CONSTANT) as usize
    }
}

/// A predicate to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Predicate {
    Constant(bool),
    Is(u32),
    Not(u32),
}

/// A value to read, of any kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Word(Slot),
    Long(Slot),
    Predicate(Predicate),
}

/// A place to write, of any kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Nothing,
    Word(Slot),
    Long(Slot),
    Predicate(u32),
}

/// One instruction.
#[derive(Debug)]
pub(super) struct Instruction {
    pub(super) guard: Predicate,
    pub(super) op: Op,
    pub(super) line: u32,
}

/// What an instruction does. The first operand is the target.
#[derive(Debug)]
pub(super) enum Op {
    Words1(Map32x1, Slot, Slot),
    Words2(Map32x2, Slot, Slot, Slot),
    Words3(Map32x3, Slot, Slot, Slot, Slot),
    Longs1(Map64x1, Slot, Slot),
    Longs2(Map64x2, Slot, Slot, Slot),
    Longs3(Map64x3, Slot, Slot, Slot, Slot),
    Widen1(Widen1, Slot, Slot),
    Widen2(Widen2, Slot, Slot, Slot),
    Widen3(Widen3, Slot, Slot, Slot, Slot),
    Narrow1(Narrow1, Slot, Slot),
    Shift64(Shift64, Slot, Slot, Slot),
    CopyWord(Slot, Slot),
    CopyLong(Slot, Slot),
    Compare32(Compare32, Slot, Slot, Box<Outcome>),
    Compare64(Compare64, Slot, Slot, Box<Outcome>),
    SelectWord(Slot, Slot, Slot, Predicate),
    SelectLong(Slot, Slot, Slot, Predicate),
    Logic(Logic, u32, Predicate, Predicate),
    Scalar(Box<ScalarOp>),
    Special(Target, Special),
    /// Address of a variable in this function's part of local memory.
    LocalAddress(Target, u32),
    Load(Box<Load>),
    Store(Box<Store>),
    Atomic(Box<Atomic>),
    Copy(Box<AsyncCopy>),
    Image(Box<super::image::ImageOp>),
    /// Memory instructions of rarer forms.
    Memory(Box<Operation<MemoryKind>>),
    Branch(u32),
    BranchTable(Slot, Box<[u32]>),
    Call(Box<Call>),
    /// After a call: copies results out of the callee's frame, which lies behind the caller's
    /// `local_bytes`.
    Results(Box<Results>),
    Return,
    Exit,
    Trap,
    Breakpoint,
    Barrier(Box<Barrier>),
    WarpSync(Box<WarpSync>),
    /// What a whole warp does with matrices.
    Matrix(Box<Operation<MatrixKind>>),
    ActiveMask(Slot),
    /// Other threads should run for so many nanoseconds (`nanosleep`).
    Sleep(Slot),
    /// Something that needs no action here (fences, prefetches).
    Nothing,
}

/// Where a comparison goes: `p = compare op with`, `q = !compare op with`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outcome {
    pub(super) target: Target,
    pub(super) complement: Option<u32>,
    pub(super) combine: Option<(Logic, Predicate)>,
    /// For `set`: the bits written for true, instead of a predicate.
    pub(super) truth: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Logic {
    And,
    Or,
    Xor,
}

impl Logic {
    #[inline(always)]
    pub(super) fn apply(self, a: u32, b: u32) -> u32 {
        match self {
            Self::And => a & b,
            Self::Or => a | b,
            Self::Xor => a ^ b,
        }
    }
}

/// The function of a rare instruction on one lane: four values and a mode in, two values out. The
/// mode holds what the modifiers say, in a form of each function's own.
pub(super) type ScalarFunction = fn([u64; 4], u32) -> [u64; 2];

/// A rare instruction, done lane by lane.
#[derive(Debug)]
pub(super) struct ScalarOp {
    pub(super) function: ScalarFunction,
    pub(super) mode: u32,
    pub(super) targets: [Target; 2],
    pub(super) sources: Vec<Source>,
}

/// Special registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Special {
    ThreadIndex(usize),
    BlockSize(usize),
    BlockIndex(usize),
    GridSize(usize),
    Lane,
    Warp,
    WarpCount,
    Multiprocessor,
    MultiprocessorCount,
    GridId,
    MaskEqual,
    MaskLess,
    MaskLessEqual,
    MaskGreater,
    MaskGreaterEqual,
    Clock,
    ClockHigh,
    GlobalTimer,
    GlobalTimerHigh,
    Environment(u32),
    SharedBytes,
    DynamicSharedBytes,
    Zero,
    One,
}

/// Which memory an access means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Region {
    /// Told apart by the address.
    Generic,
    /// The arena.
    Global,
    Shared,
    /// This thread's local memory.
    Local,
    /// The parameter buffer of the launch.
    Parameter,
}

/// The register part of an address.
#[derive(Debug, Clone, Copy)]
pub(super) enum Base {
    None,
    Word(Slot),
    Long(Slot),
    /// This function's part of local memory.
    Frame,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Address {
    pub(super) region: Region,
    pub(super) base: Base,
    pub(super) offset: i64,
}

#[derive(Debug)]
pub(super) struct Load {
    pub(super) address: Address,
    /// Size of an element: 1, 2, 4 or 8.
    pub(super) size: u32,
    /// Whether the value is sign-extended to its register.
    pub(super) signed: bool,
    pub(super) targets: Vec<Target>,
}

#[derive(Debug)]
pub(super) struct Store {
    pub(super) address: Address,
    pub(super) size: u32,
    pub(super) sources: Vec<Source>,
}

/// The new value of an atomic: from the old one and two operands.
pub(super) type AtomicFunction = fn(u64, u64, u64) -> u64;

#[derive(Debug)]
pub(super) struct Atomic {
    pub(super) function: AtomicFunction,
    pub(super) address: Address,
    pub(super) size: u32,
    pub(super) target: Target,
    pub(super) operands: [Option<Source>; 2],
}

/// `cp.async`: a copy from global to shared memory, done at once.
#[derive(Debug)]
pub(super) struct AsyncCopy {
    pub(super) to: Address,
    pub(super) from: Address,
    pub(super) size: u32,
    /// Bytes to copy before zeros are filled in, if given.
    pub(super) valid: Option<Source>,
}

/// An instruction of a kind of its own, with as many operands as it likes.
#[derive(Debug)]
pub(super) struct Operation<K> {
    pub(super) kind: K,
    pub(super) addresses: [Option<Address>; 3],
    pub(super) targets: Vec<Target>,
    pub(super) sources: Vec<Source>,
}

#[derive(Debug)]
pub(super) struct Call {
    pub(super) callee: Callee,
    /// Bytes to copy from the caller's frame to the callee's: (from, to, size).
    pub(super) arguments: Vec<(u32, u32, u32)>,
    /// Size of the caller's frames.
    pub(super) rows: u32,
    pub(super) local_bytes: u32,
}

#[derive(Debug)]
pub(super) struct Results {
    /// Bytes to copy: (from the callee's frame, to the caller's, size).
    pub(super) copies: Vec<(u32, u32, u32)>,
    pub(super) local_bytes: u32,
}

#[derive(Debug)]
pub(super) enum Callee {
    /// Index in [`Code::functions`].
    Function(usize),
    /// The register holds a function address.
    Indirect(Slot),
    Print,
    AssertFail,
    Allocate,
    Free,
}

#[derive(Debug)]
pub(super) struct Barrier {
    pub(super) id: Source,
    /// Threads to wait for; all of the block if absent.
    pub(super) count: Option<Source>,
    pub(super) kind: BarrierKind,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum BarrierKind {
    Sync,
    Arrive,
    Count(Predicate, Target),
    And(Predicate, Target),
    Or(Predicate, Target),
}

/// An instruction that the members of a mask do together.
#[derive(Debug)]
pub(super) struct WarpSync {
    pub(super) kind: WarpSyncKind,
    pub(super) members: Source,
    pub(super) target: Target,
    pub(super) second: Target,
    pub(super) sources: Vec<Source>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum WarpSyncKind {
    Barrier,
    ShuffleUp,
    ShuffleDown,
    ShuffleButterfly,
    ShuffleIndex,
    VoteAll,
    VoteAny,
    VoteUniform,
    VoteBallot,
    MatchAny,
    MatchAll,
    Elect,
    Reduce(fn(u32, u32) -> u32),
}

/// A decoded function.
#[derive(Debug, Clone)]
pub(super) struct FunctionCode {
    /// Index of its first instruction.
    pub(super) start: u32,
    /// Rows of each register file in its frame.
    pub(super) rows: u32,
    /// Its part of local memory, in bytes: results, parameters, variables.
    pub(super) local_bytes: u32,
}

/// A constant row: all lanes the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Constant {
    Value(u64),
    /// Address of a module global plus an addend.
    Global(String, i64),
    /// Offset of the dynamic shared memory plus an addend.
    DynamicShared(i64),
}

/// Everything a kernel can reach, decoded.
#[derive(Debug)]
pub(super) struct Code {
    pub(super) instructions: Vec<Instruction>,
    /// The entry first, then what it calls.
    pub(super) functions: Vec<FunctionCode>,
    /// Index in the module to index in `functions`, for calls by address.
    pub(super) by_address: std::collections::HashMap<usize, usize>,
    pub(super) words: Vec<Constant>,
    pub(super) longs: Vec<Constant>,
    /// Where dynamic shared memory begins.
    pub(super) dynamic_shared_offset: u32,
    pub(super) entry_local_bytes: u32,
    pub(super) has_calls: bool,
    pub(super) registers: u32,
}

/// Offsets in a frame of results and parameters, the same for caller and callee.
#[derive(Debug, Clone, Default)]
pub(super) struct Signature {
    pub(super) results: Vec<Parameter>,
    pub(super) parameters: Vec<Parameter>,
    /// End of the last of them.
    pub(super) bytes: u32,
}

/// Where the windows of the spaces lie among generic addresses: above every address a process can
/// have, below 2^48, far apart.
pub(super) const SHARED_WINDOW: u64 = 0x0000_fffe_0000_0000;
pub(super) const LOCAL_WINDOW: u64 = 0x0000_ffff_0000_0000;
pub(super) const PARAMETER_WINDOW: u64 = 0x0000_fffd_0000_0000;
/// Size of each window.
pub(super) const WINDOW_BYTES: u64 = 1 << 32;
