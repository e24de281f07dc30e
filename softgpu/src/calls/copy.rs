//! Copies and memsets: in stream order, with device addresses checked at the call.
//!
//! What an address is (device, pinned, pageable) is decided by whose range it lies in and not by
//! the name of the call, so that every copy is safe whatever it was given. Pageable memory belongs
//! to the program again when the call returns: a short source is copied at once, for everything
//! else the call waits (CUDA Driver API, "API synchronization behavior").

use std::sync::Arc;
use std::time::Instant;

use flexdirect_wire::abi::*;

use crate::capture;
use crate::context::{self, Context};
use crate::driver;
use crate::faultplan;
use crate::graph::Action;
use crate::pinned::Range;
use crate::raw::Span;
use crate::stream::Work;

/// What an address of a copy is.
#[derive(Debug)]
pub(crate) enum Place {
    Device(Span),
    /// With what keeps it there until the copy is done, whichever context owns it and ends.
    Pinned(Span, Arc<Range>),
    Pageable(Span),
}

impl Place {
    /// Of a unified address.
    pub(super) fn new(address: u64, len: usize) -> Result<Self, CuError> {
        if let Some(device) = driver::device_of(address) {
            let span = device.arena.span(address, len);
            return span.map(Self::Device).ok_or(CuError::INVALID_VALUE);
        }
        if address == 0 {
            return Err(CuError::INVALID_VALUE);
        }
        let span = Span::new(address, len);
        if let Some(range) = driver::pinned().hold(address, len) {
            return Ok(Self::Pinned(span, range));
        }
        Ok(Self::Pageable(span))
    }

    /// Of a `CUdeviceptr` that must be one: device memory, or what kernels reach beside it.
    pub(crate) fn device(address: CuDevicePtr, len: usize) -> Result<Self, CuError> {
        match Self::new(address.0, len)? {
            place @ (Self::Device(_) | Self::Pinned(..)) => Ok(place),
            Self::Pageable(_) => Err(CuError::INVALID_VALUE),
        }
    }

    /// Of a host pointer.
    pub(super) fn host(address: *mut std::ffi::c_void, len: usize) -> Result<Self, CuError> {
        Self::new(address.expose_provenance() as u64, len)
    }

    pub(crate) fn held(self) -> Option<Arc<Range>> {
        match self {
            Self::Pinned(_, range) => Some(range),
            Self::Device(_) | Self::Pageable(_) => None,
        }
    }

    pub(crate) fn span(&self) -> Span {
        match self {
            Self::Device(span) | Self::Pinned(span, _) | Self::Pageable(span) => *span,
        }
    }
}

/// A copy in a stream. `waits`: the call is not asynchronous, so host memory is ready at its end.
fn copy(target: Place, source: Place, stream: CuStream, waits: bool) -> CuResult {
    let (context, stream) = context::stream(stream)?;
    let action = || Action::copy(&context, &described(&target, &source));
    if !waits && capture::take(&stream, action)? {
        return Ok(());
    }
    let (into, from) = (target.span(), source.span());
    let between_devices = matches!((&target, &source), (Place::Device(_), Place::Device(_)));
    let is_pageable = |place: &Place| matches!(place, Place::Pageable(_));
    let pageable = (is_pageable(&target), is_pageable(&source));
    let held = [target, source].map(Place::held);
    let whole = move || {
        into.copy_from(from);
        drop(held);
        Ok(())
    };
    let len = from.len();
    match pageable {
        (false, false) if between_devices || !waits => {
            context.submit(&stream, None, paced(&context, len, whole))
        }
        (false, true) if !waits && len <= STAGED_LEN_MAX => {
            let bytes = from.to_vec();
            let staged = move || {
                into.write(&bytes);
                Ok(())
            };
            context.submit(&stream, None, paced(&context, len, staged))
        }
        _ => context.submit_and_wait(&stream, paced(&context, len, whole)),
    }
}

/// A copy as a node of a graph has it.
fn described(target: &Place, source: &Place) -> CudaMemcpy3d {
    let end = |place: &Place| {
        let address = place.span().address();
        let mut end = CudaMemcpy3dEnd::default();
        if let Place::Device(_) = place {
            (end.kind, end.device) = (CuMemoryType::DEVICE, CuDevicePtr(address));
        } else {
            end.kind = CuMemoryType::HOST;
            end.host = usize::try_from(address).expect("addresses have 64 bits");
        }
        end
    };
    CudaMemcpy3d {
        source: end(source),
        target: end(target),
        width_bytes: source.span().len(),
        height: 1,
        depth: 1,
    }
}

/// A copy of `len` bytes, which takes its time where the environment wants slow copies.
pub(super) fn paced(
    context: &Arc<Context>,
    len: usize,
    copy: impl FnOnce() -> CuResult + Send + 'static,
) -> Work {
    let owner = Arc::clone(context);
    Work::Execute(Box::new(move || {
        let _moving = owner.device().arena.moving();
        if let Some(time) = faultplan::plan().copy_time(len) {
            faultplan::pass(Instant::now(), time, &owner.cancel);
        }
        copy()
    }))
}

pub(crate) fn cuMemcpy(dst: CuDevicePtr, src: CuDevicePtr, byte_count: usize) -> CuResult {
    unified(dst, src, byte_count, CuStream(0), true)
}

pub(crate) fn cuMemcpyAsync(
    dst: CuDevicePtr,
    src: CuDevicePtr,
    byte_count: usize,
    stream: CuStream,
) -> CuResult {
    unified(dst, src, byte_count, stream, false)
}

pub(super) fn unified(
    dst: CuDevicePtr,
    src: CuDevicePtr,
    len: usize,
    stream: CuStream,
    waits: bool,
) -> CuResult {
    if len == 0 {
        return context::stream(stream).map(drop);
    }
    let target = Place::new(dst.0, len);
    let source = Place::new(src.0, len);
    checked(target, source, stream, waits)
}

/// A copy, unless one of its addresses is bad; what is wrong with the context comes first.
pub(super) fn checked(
    target: Result<Place, CuError>,
    source: Result<Place, CuError>,
    stream: CuStream,
    waits: bool,
) -> CuResult {
    context::stream(stream)?;
    copy(target?, source?, stream, waits)
}

pub(crate) fn cuMemcpyHtoD_v2(
    dst_device: CuDevicePtr,
    src_host: InBytes,
    byte_count: usize,
) -> CuResult {
    to_device(dst_device, src_host, byte_count, CuStream(0), true)
}

pub(crate) fn cuMemcpyHtoDAsync_v2(
    dst_device: CuDevicePtr,
    src_host: InBytes,
    byte_count: usize,
    stream: CuStream,
) -> CuResult {
    to_device(dst_device, src_host, byte_count, stream, false)
}

fn to_device(
    dst: CuDevicePtr,
    src: InBytes,
    len: usize,
    stream: CuStream,
    waits: bool,
) -> CuResult {
    if len == 0 {
        return context::stream(stream).map(drop);
    }
    checked(
        Place::device(dst, len),
        Place::host(src.0, len),
        stream,
        waits,
    )
}

pub(crate) fn cuMemcpyDtoH_v2(
    dst_host: OutBytes,
    src_device: CuDevicePtr,
    byte_count: usize,
) -> CuResult {
    to_host(dst_host, src_device, byte_count, CuStream(0), true)
}

pub(crate) fn cuMemcpyDtoHAsync_v2(
    dst_host: OutBytes,
    src_device: CuDevicePtr,
    byte_count: usize,
    stream: CuStream,
) -> CuResult {
    to_host(dst_host, src_device, byte_count, stream, false)
}

fn to_host(dst: OutBytes, src: CuDevicePtr, len: usize, stream: CuStream, waits: bool) -> CuResult {
    if len == 0 {
        return context::stream(stream).map(drop);
    }
    checked(
        Place::host(dst.0, len),
        Place::device(src, len),
        stream,
        waits,
    )
}

pub(crate) fn cuMemcpyDtoD_v2(
    dst_device: CuDevicePtr,
    src_device: CuDevicePtr,
    byte_count: usize,
) -> CuResult {
    cuMemcpyDtoDAsync_v2(dst_device, src_device, byte_count, CuStream(0))
}

pub(crate) fn cuMemcpyDtoDAsync_v2(
    dst_device: CuDevicePtr,
    src_device: CuDevicePtr,
    byte_count: usize,
    stream: CuStream,
) -> CuResult {
    if byte_count == 0 {
        return context::stream(stream).map(drop);
    }
    let target = Place::device(dst_device, byte_count);
    let source = Place::device(src_device, byte_count);
    checked(target, source, stream, false)
}

// ------------------------------------------------------------------------------- memsets

/// A memset as a node of a graph has it, of `[width, height]` elements.
pub(super) fn filling(
    dst: CuDevicePtr,
    pitch: usize,
    element: &[u8],
    [width, height]: [usize; 2],
) -> CudaMemsetNodeParams {
    let bytes = element.iter().rev();
    CudaMemsetNodeParams {
        target: dst.0,
        pitch,
        value: bytes.fold(0, |value, &byte| value << 8 | u32::from(byte)),
        element_size: u32::try_from(element.len()).expect("1, 2 or 4"),
        width,
        height,
    }
}

/// Fills `count` elements; as with NVIDIA's driver the call does not wait for device memory.
fn fill(dst: CuDevicePtr, element: &[u8], count: usize, stream: CuStream) -> CuResult {
    let (context, stream) = context::stream(stream)?;
    if !dst.0.is_multiple_of(element.len() as u64) {
        return Err(CuError::INVALID_VALUE);
    }
    let len = count
        .checked_mul(element.len())
        .ok_or(CuError::INVALID_VALUE)?;
    if len == 0 {
        return Ok(());
    }
    let action = || Action::fill(&context, &filling(dst, 0, element, [count, 1]));
    if capture::take(&stream, action)? {
        return Ok(());
    }
    let place = Place::device(dst, len)?;
    let (span, held) = (place.span(), place.held());
    let pattern = element.to_vec();
    let device = context.device();
    let work = move || {
        let _moving = device.arena.moving();
        span.fill(&pattern);
        drop(held);
        Ok(())
    };
    context.submit(&stream, None, Work::Execute(Box::new(work)))
}

pub(crate) fn cuMemsetD8_v2(dst_device: CuDevicePtr, uc: u8, n: usize) -> CuResult {
    cuMemsetD8Async(dst_device, uc, n, CuStream(0))
}

pub(crate) fn cuMemsetD16_v2(dst_device: CuDevicePtr, us: u16, n: usize) -> CuResult {
    cuMemsetD16Async(dst_device, us, n, CuStream(0))
}

pub(crate) fn cuMemsetD32_v2(dst_device: CuDevicePtr, ui: u32, n: usize) -> CuResult {
    cuMemsetD32Async(dst_device, ui, n, CuStream(0))
}

pub(crate) fn cuMemsetD8Async(
    dst_device: CuDevicePtr,
    uc: u8,
    n: usize,
    stream: CuStream,
) -> CuResult {
    fill(dst_device, &[uc], n, stream)
}

pub(crate) fn cuMemsetD16Async(
    dst_device: CuDevicePtr,
    us: u16,
    n: usize,
    stream: CuStream,
) -> CuResult {
    fill(dst_device, &us.to_le_bytes(), n, stream)
}

pub(crate) fn cuMemsetD32Async(
    dst_device: CuDevicePtr,
    ui: u32,
    n: usize,
    stream: CuStream,
) -> CuResult {
    fill(dst_device, &ui.to_le_bytes(), n, stream)
}

/// Longest pageable source that is copied at once; NVIDIA's driver does so up to 64 KiB.
pub(super) const STAGED_LEN_MAX: usize = 64 << 10;
