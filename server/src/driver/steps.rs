//! Single steps of the driver that several parts of a session take, on values instead of pointers.
//!
//! Every handle that reaches these functions comes out of the session's tables, and those hold only
//! what the driver gave and has not been told to destroy: the invariant that their safety rests on.

use std::ffi::c_void;

use flexdirect_wire::abi::*;

use super::Driver;

/// State of something that the GPU works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// All of it is done.
    Done,
    /// Some of it is not.
    Busy,
}

impl Driver {
    /// Makes a context current to the calling thread; null for none.
    pub(crate) fn set_current(&self, context: CuContext) -> CuResult {
        // SAFETY: the context is live or null.
        unsafe { self.cuCtxSetCurrent(context) }
    }

    /// Waits for all work of the current context.
    pub(crate) fn synchronize_context(&self) -> CuResult {
        // SAFETY: the call has no arguments.
        unsafe { self.cuCtxSynchronize() }
    }

    /// Waits for all work of a stream of the current context.
    pub(crate) fn synchronize_stream(&self, stream: CuStream) -> CuResult {
        // SAFETY: the stream is live or the default stream.
        unsafe { self.cuStreamSynchronize(stream) }
    }

    /// Whether a stream has work left.
    pub(crate) fn query_stream(&self, stream: CuStream) -> Result<Progress, CuError> {
        // SAFETY: the stream is live or the default stream.
        progress(unsafe { self.cuStreamQuery(stream) })
    }

    /// Whether an event has not happened yet.
    pub(crate) fn query_event(&self, event: CuEvent) -> Result<Progress, CuError> {
        // SAFETY: the event is live.
        progress(unsafe { self.cuEventQuery(event) })
    }

    /// Waits for an event.
    pub(crate) fn synchronize_event(&self, event: CuEvent) -> CuResult {
        // SAFETY: the event is live.
        unsafe { self.cuEventSynchronize(event) }
    }

    /// Creates an event in the current context.
    pub(crate) fn create_event(&self, flags: u32) -> Result<CuEvent, CuError> {
        let mut event = CuEvent::default();
        // SAFETY: the pointer is to a local that outlives the call.
        unsafe { self.cuEventCreate(Out(&raw mut event), flags) }?;
        Ok(event)
    }

    /// Records an event of the current context on one of its streams.
    pub(crate) fn record_event(&self, event: CuEvent, stream: CuStream) -> CuResult {
        // SAFETY: both are live.
        unsafe { self.cuEventRecord(event, stream) }
    }

    /// Makes what is put on a stream from now on wait for an event.
    pub(crate) fn wait_event(&self, stream: CuStream, event: CuEvent) -> CuResult {
        // SAFETY: both are live.
        unsafe { self.cuStreamWaitEvent(stream, event, 0) }
    }

    /// Frees device memory that an allocation of this session gave and no other part holds.
    pub(crate) fn free(&self, address: u64) -> CuResult {
        // SAFETY: a device address: the driver refuses one that is no allocation.
        unsafe { self.cuMemFree_v2(CuDevicePtr(address)) }
    }

    /// Retains the primary context of a device.
    pub(crate) fn retain_primary(&self, device: CuDevice) -> Result<CuContext, CuError> {
        let mut context = CuContext::default();
        // SAFETY: the pointer is to a local that outlives the call.
        unsafe { self.cuDevicePrimaryCtxRetain(Out(&raw mut context), device) }?;
        Ok(context)
    }

    /// Releases the primary context of a device.
    pub(crate) fn release_primary(&self, device: CuDevice) -> CuResult {
        // SAFETY: the argument is a number that the driver checks.
        unsafe { self.cuDevicePrimaryCtxRelease_v2(device) }
    }

    /// Compute capability of a device: 80 for 8.0.
    pub(crate) fn capability(&self, device: CuDevice) -> Result<u32, CuError> {
        let attributes = [
            CuDeviceAttribute::COMPUTE_CAPABILITY_MAJOR,
            CuDeviceAttribute::COMPUTE_CAPABILITY_MINOR,
        ];
        let mut values = [0_i32; 2];
        for (value, attribute) in values.iter_mut().zip(attributes) {
            // SAFETY: the pointer is to a local that outlives the call.
            unsafe { self.cuDeviceGetAttribute(Out(value), attribute, device) }?;
        }
        let [major, minor] = values.map(|value| u32::try_from(value).unwrap_or(0));
        Ok(major * 10 + minor)
    }

    /// Free and total memory of the current context's device in bytes.
    pub(crate) fn memory(&self) -> Result<(u64, u64), CuError> {
        let (mut free, mut total) = (0_usize, 0_usize);
        // SAFETY: the pointers are to locals that outlive the call.
        unsafe { self.cuMemGetInfo_v2(Out(&raw mut free), Out(&raw mut total)) }?;
        Ok((free as u64, total as u64))
    }

    /// Pins host memory of this process, so that copies from and to it are asynchronous.
    ///
    /// The memory must stay mapped until [`Driver::unpin`].
    pub(crate) fn pin(&self, address: *mut u8, len: usize) -> CuResult {
        // SAFETY: the driver refuses memory that is not mapped; pinning does not change it.
        unsafe { self.cuMemHostRegister_v2(address.cast::<c_void>(), len, REGISTER_PORTABLE) }
    }

    /// Pins host memory of this process for kernels to use; returns its device address.
    ///
    /// The memory must stay mapped until [`Driver::unpin`].
    pub(crate) fn pin_mapped(&self, address: *mut u8, len: usize) -> Result<u64, CuError> {
        let host = address.cast::<c_void>();
        let flags = REGISTER_PORTABLE | REGISTER_DEVICE_MAP;
        // SAFETY: as for `pin`.
        unsafe { self.cuMemHostRegister_v2(host, len, flags) }?;
        let mut device = CuDevicePtr::default();
        // SAFETY: the pointer is to a local that outlives the call.
        let named = unsafe { self.cuMemHostGetDevicePointer_v2(Out(&raw mut device), host, 0) };
        if let Err(error) = named {
            let _ = self.unpin(address);
            return Err(error);
        }
        Ok(device.0)
    }

    /// Pinned host memory, which lives as long as the context that is current.
    pub(crate) fn allocate_host(&self, len: usize) -> Result<*mut u8, CuError> {
        let mut address: *mut c_void = std::ptr::null_mut();
        // SAFETY: the pointer is to a local that outlives the call.
        unsafe { self.cuMemHostAlloc(Out(&raw mut address), len, HOST_PORTABLE) }?;
        Ok(address.cast::<u8>())
    }

    /// Creates a context on the first device and leaves none current.
    pub(crate) fn create_context(&self) -> Result<CuContext, CuError> {
        let (mut context, mut popped) = (CuContext::default(), CuContext::default());
        // SAFETY: the pointer is to a local that outlives the call.
        unsafe { self.cuCtxCreate_v2(Out(&raw mut context), 0, CuDevice(0)) }?;
        // SAFETY: as above.
        let _ = unsafe { self.cuCtxPopCurrent_v2(Out(&raw mut popped)) };
        Ok(context)
    }

    /// Does `work` while `context` is current; what was current before is so again.
    ///
    /// # Errors
    /// What the driver says, and what `work` says.
    pub(crate) fn within<T>(
        &self,
        context: CuContext,
        work: impl FnOnce() -> Result<T, CuError>,
    ) -> Result<T, CuError> {
        let mut popped = CuContext::default();
        // SAFETY: the context is live: its owner calls this.
        unsafe { self.cuCtxPushCurrent_v2(context) }?;
        let result = work();
        // SAFETY: the pointer is to a local that outlives the call.
        let _ = unsafe { self.cuCtxPopCurrent_v2(Out(&raw mut popped)) };
        result
    }

    /// Destroys a context that [`Driver::create_context`] gave.
    pub(crate) fn destroy_context(&self, context: CuContext) -> CuResult {
        // SAFETY: the context is live, and its creator gives it up.
        unsafe { self.cuCtxDestroy_v2(context) }
    }

    /// Undoes [`Driver::pin`].
    pub(crate) fn unpin(&self, address: *mut u8) -> CuResult {
        // SAFETY: the driver refuses memory that is not pinned.
        unsafe { self.cuMemHostUnregister(address.cast::<c_void>()) }
    }
}

fn progress(result: CuResult) -> Result<Progress, CuError> {
    match result {
        Ok(()) => Ok(Progress::Done),
        Err(CuError::NOT_READY) => Ok(Progress::Busy),
        Err(error) => Err(error),
    }
}

/// `CU_MEMHOSTREGISTER_PORTABLE`: pinned for every context.
const REGISTER_PORTABLE: u32 = 1;

/// `CU_MEMHOSTREGISTER_DEVICEMAP`: kernels may use it.
const REGISTER_DEVICE_MAP: u32 = 2;

/// `CU_MEMHOSTALLOC_PORTABLE`: pinned for every context.
const HOST_PORTABLE: u32 = 1;

/// `CU_EVENT_BLOCKING_SYNC | CU_EVENT_DISABLE_TIMING`: events of the worker's own, for which
/// threads sleep and nobody asks the time.
pub(crate) const EVENT_OWN: u32 = 3;
