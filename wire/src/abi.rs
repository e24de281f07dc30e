//! C types of the driver: the ABI of `cuda.h`, with the direction of an argument in its type.
//!
//! An exported signature is written in these types, so that nothing is annotated twice: `Out<T>`
//! *is* a `T *` that the call writes. Enumerations are newtypes over their integer and handles
//! newtypes over a number: a value that someone else chose is never undefined behaviour here.

mod arrays;
pub mod attributes;
pub mod errors;
mod graphs;
mod memory;
mod types;

use std::ffi::{c_char, c_void};
use std::fmt;
use std::num::NonZeroU32;

pub use arrays::*;
pub use graphs::*;
pub use memory::*;
pub use types::*;

/// Result of a driver call: the ABI of `CUresult`, since `Result<(), NonZeroU32>` has that of `u32`
/// (guaranteed by the standard library for a zero-sized and a niche variant).
pub type CuResult = Result<(), CuError>;

/// A driver error: any non-zero `CUresult`, known to this table or not.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct CuError(pub NonZeroU32);

impl CuError {
    /// A known code.
    pub(crate) const fn constant(code: u32) -> Self {
        match NonZeroU32::new(code) {
            Some(code) => Self(code),
            None => panic!("an error code is not zero"),
        }
    }

    /// The `CUresult` number.
    pub fn code(self) -> u32 {
        self.0.get()
    }

    /// Result of a `CUresult` number.
    ///
    /// # Errors
    /// The code itself when it is not zero.
    pub fn check(code: u32) -> CuResult {
        NonZeroU32::new(code).map_or(Ok(()), |code| Err(Self(code)))
    }
}

impl fmt::Debug for CuError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match errors::name(self.code()) {
            Some(name) => write!(f, "{}({})", name.trim_end_matches('\0'), self.code()),
            None => write!(f, "CUresult({})", self.code()),
        }
    }
}

impl fmt::Display for CuError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// The `CUresult` number of a result.
pub fn code(result: CuResult) -> u32 {
    result.map_or_else(CuError::code, |()| 0)
}

/// An enumeration of the driver: any 32-bit value.
pub trait Enumeration: Copy {
    /// From the C value.
    fn from_raw(raw: u32) -> Self;
    /// The C value.
    fn raw(self) -> u32;
}

/// A struct that is only ever pointed to.
pub trait Opaque {}

/// Pointers with a direction. None is read or written except through [`crate::param`] or by hand.
macro_rules! pointers { ($($(#[$doc:meta])* $name:ident$(<$t:ident>)? = $target:ty;)*) => { $(
    $(#[$doc])*
    #[repr(transparent)]
    pub struct $name$(<$t>)?(pub *mut $target);

    impl$(<$t>)? Clone for $name$(<$t>)? {
        fn clone(&self) -> Self {
            *self
        }
    }

    impl$(<$t>)? Copy for $name$(<$t>)? {}

    impl$(<$t>)? fmt::Debug for $name$(<$t>)? {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{}({:p})", stringify!($name), self.0)
        }
    }

    impl$(<$t>)? $name$(<$t>)? {
        /// Whether the caller gave no memory.
        pub fn is_null(self) -> bool {
            self.0.is_null()
        }
    }
)* } }

pointers! {
    /// `T *` that the call writes on success; never read before, never written on failure.
    Out<T> = T;
    /// `T *` that the call writes on success and that may be null.
    OptOut<T> = T;
    /// `T *` that the call reads and writes.
    InOut<T> = T;
    /// `const char *`, zero-terminated.
    InStr = c_char;
    /// `char *` with room for a string; its length is another argument.
    OutStr = c_char;
    /// `const void *` of bytes that the call reads; its length is another argument.
    InBytes = c_void;
    /// `void *` of bytes that the call writes; its length is another argument.
    OutBytes = c_void;
}

/// `CUdevice`: an ordinal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct CuDevice(pub i32);

/// `CUdeviceptr`: an address of the unified address space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(transparent)]
pub struct CuDevicePtr(pub u64);

/// `CUdeviceptr` of the 32-bit prototypes before CUDA 3.2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct CuDevicePtrV1(pub u32);

/// `CUresult` as an argument or a value: any number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct CuResultCode(pub u32);

/// `CUlogIterator`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct CuLogIterator(pub u32);

/// `CUlogicalEndpointId`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct CuLogicalEndpointId(pub u32);

/// Handles of driver objects. In an application they hold a shadow handle
/// ([`crate::handle::ShadowHandle`]), on the server what the driver gave.
macro_rules! handles { ($($(#[$doc:meta])* $name:ident;)*) => { $(
    $(#[$doc])*
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    #[repr(transparent)]
    pub struct $name(pub u64);

    impl $name {
        /// Whether this is the null handle.
        pub fn is_null(self) -> bool {
            self.0 == 0
        }
    }
)* } }

handles! {
    /// `CUcontext`.
    CuContext;
    /// `CUevent`.
    CuEvent;
    /// `CUfunction`; launches and attribute queries accept a `CUkernel` in its place.
    CuFunction;
    /// `CUkernel`.
    CuKernel;
    /// `CUlibrary`.
    CuLibrary;
    /// `CUmodule`.
    CuModule;
    /// `CUstream`; 0, [`CuStream::LEGACY`] and [`CuStream::PER_THREAD`] are not objects.
    CuStream;
}

impl CuStream {
    /// `CU_STREAM_LEGACY`: the default stream that synchronises with blocking streams.
    pub const LEGACY: Self = Self(1);
    /// `CU_STREAM_PER_THREAD`: the default stream of the calling thread.
    pub const PER_THREAD: Self = Self(2);
}

/// `CUuuid`: 16 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct CuUuid {
    /// In memory order.
    pub bytes: [u8; 16],
}

/// `CUipcEventHandle`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct CuIpcEventHandle {
    reserved: [u8; 64],
}

/// `CUipcMemHandle`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct CuIpcMemHandle {
    reserved: [u8; 64],
}

/// `CUmemLocation`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct CuMemLocation {
    /// `CUmemLocationType`.
    pub kind: u32,
    /// Device ordinal or NUMA node, by kind.
    pub id: i32,
}

/// `CUdevprop` (deprecated with `cuDeviceGetProperties`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct CuDevprop {
    /// Threads of a block.
    pub max_threads_per_block: i32,
    /// Threads of a block by dimension.
    pub max_threads_dim: [i32; 3],
    /// Blocks of a grid by dimension.
    pub max_grid_size: [i32; 3],
    /// Bytes of shared memory of a block.
    pub shared_mem_per_block: i32,
    /// Bytes of constant memory.
    pub total_constant_memory: i32,
    /// Lanes of a warp.
    pub simd_width: i32,
    /// Largest pitch in bytes.
    pub mem_pitch: i32,
    /// 32-bit registers of a block.
    pub regs_per_block: i32,
    /// Clock in kHz.
    pub clock_rate: i32,
    /// Alignment of textures in bytes.
    pub texture_align: i32,
}

/// `CUlaunchConfig`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct CuLaunchConfig {
    /// Blocks in x, y, z.
    pub grid: [u32; 3],
    /// Threads in x, y, z.
    pub block: [u32; 3],
    /// Dynamic shared memory in bytes.
    pub shared_mem_bytes: u32,
    /// Stream.
    pub stream: CuStream,
    /// `num_attrs` launch attributes.
    pub attrs: *mut CuLaunchAttribute,
    /// Number of launch attributes.
    pub num_attrs: u32,
}

/// `CUlaunchAttribute`: an identifier and a union of 64 bytes.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct CuLaunchAttribute {
    /// `CUlaunchAttributeID`.
    pub id: u32,
    pad: [u8; 4],
    /// Value, by identifier.
    pub value: [u64; 8],
}

/// `CUctxCreateParams`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct CuCtxCreateParams {
    /// Array of execution affinities.
    pub exec_affinity_params: *mut CuExecAffinityParam,
    /// Their number.
    pub num_exec_affinity_params: i32,
    /// Compute-in-graphics parameters.
    pub cig_params: *mut c_void,
}

const _: () = {
    assert!(size_of::<CuResult>() == 4);
    assert!(size_of::<Out<u32>>() == size_of::<usize>());
    assert!(size_of::<CuDevprop>() == 56);
    assert!(size_of::<CuLaunchConfig>() == 56);
    assert!(size_of::<CuLaunchAttribute>() == 72);
    assert!(size_of::<CuCtxCreateParams>() == 24);
    assert!(size_of::<CuUuid>() == 16);
    assert!(size_of::<CuMemLocation>() == 8);
};

#[cfg(test)]
mod tests {
    use super::*;

    extern "C" fn returns(code: u32) -> CuResult {
        CuError::check(code)
    }

    #[test]
    fn a_result_is_its_number() {
        assert_eq!(returns(0), Ok(()));
        assert_eq!(code(returns(700)), 700);
        assert_eq!(
            code(returns(4711)),
            4711,
            "a code newer than the table comes through"
        );
        assert_eq!(
            format!("{:?}", CuError::OUT_OF_MEMORY),
            "CUDA_ERROR_OUT_OF_MEMORY(2)"
        );
    }
}
