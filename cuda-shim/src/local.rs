//! Calls that are answered here: nothing of their own crosses.
//!
//! Some become another call that does, once it is known which: a copy between any two addresses, a
//! module that lies in a file.

mod array;
mod batches;
mod context;
mod device;
mod files;
mod function;
mod legacy;
#[expect(unsafe_code, reason = "calls a function of the application")]
mod occupancy;
#[expect(unsafe_code, reason = "maps and unmaps pinned host memory")]
mod pinned;
mod pointer;
mod pool;
mod procs;
mod rows;
mod shared;
mod stream;
#[expect(
    unsafe_code,
    reason = "takes an image from a runtime, by a table of its own"
)]
mod tables;
mod texture;
mod user_objects;
#[expect(unsafe_code, reason = "maps memory at addresses of its choice")]
pub(crate) mod window;

pub(crate) use crate::graph::*;
pub(crate) use crate::hand::{
    cuDeviceGetHostAtomicCapabilities, cuLaunchCooperativeKernel, cuLinkAddData_v2,
    cuLinkAddFile_v2, cuLinkCreate_v2, cuLinkDestroy, cuStreamWaitValue32_v2,
    cuStreamWaitValue64_v2, cuStreamWriteValue32_v2, cuStreamWriteValue64_v2,
};
pub(crate) use crate::hand::{
    cuMemAdvise, cuMemDiscardAndPrefetchBatchAsync, cuMemDiscardBatchAsync, cuMemGetLocationInfo,
    cuMemPrefetchAsync, cuMemPrefetchBatchAsync, cuMemRangeGetAttributes,
};
pub(crate) use array::*;
pub(crate) use batches::*;
pub(crate) use context::*;
pub(crate) use device::*;
pub(crate) use files::*;
pub(crate) use function::*;
pub(crate) use legacy::*;
pub(crate) use occupancy::*;
pub(crate) use pinned::*;
pub(crate) use pointer::*;
pub(crate) use pool::*;
pub(crate) use procs::*;
pub(crate) use rows::*;
pub(crate) use shared::*;
pub(crate) use stream::*;
pub(crate) use tables::cuGetExportTable;
pub(crate) use texture::*;
pub(crate) use user_objects::*;
