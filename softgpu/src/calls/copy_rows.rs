//! Copies and memsets of rows and slices: the pitched ones, and those with an array at an end.
//!
//! A described copy becomes a [`Transfer`] at the call: two checked ends and an extent. Nothing of
//! the application's struct is looked at afterwards, so a transfer can be kept and done again.

use std::ffi::c_void;
use std::sync::Arc;

use flexdirect_wire::abi::*;

use super::copy::{Place, STAGED_LEN_MAX, filling, paced};
use crate::array::ARRAYS;
use crate::attributes::PITCH_MAX;
use crate::capture;
use crate::context;
use crate::graph::Action;
use crate::pinned::Range;
use crate::raw::{Span, structs};
use crate::stream::Work;

/// Rows of one end of a copy, all of them checked to exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rows {
    /// First byte of the first row.
    address: u64,
    /// Bytes from one row to the next.
    pitch: u64,
    /// Bytes from one slice to the next.
    slice: u64,
}

impl Rows {
    /// The row `y` of slice `z`, `width` bytes long.
    fn row(self, z: usize, y: usize, width: usize) -> Span {
        let offset = z as u64 * self.slice + y as u64 * self.pitch;
        Span::new(self.address + offset, width)
    }
}

/// Bytes of a row, rows of a slice, slices; none of them 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Extent {
    width: usize,
    height: usize,
    depth: usize,
}

impl Extent {
    /// Bytes from the first to the last one of a range with these strides.
    fn reach(self, pitch: u64, slice: u64) -> Option<usize> {
        let rows = pitch.checked_mul(self.height as u64 - 1)?;
        let slices = slice.checked_mul(self.depth as u64 - 1)?;
        let reach = rows.checked_add(slices)?.checked_add(self.width as u64)?;
        usize::try_from(reach).ok()
    }

    /// Whether there is nothing between the rows of a range with these strides.
    fn is_packed(self, rows: Rows) -> bool {
        let (row, slice) = (self.width as u64, self.width as u64 * self.height as u64);
        (self.height == 1 || rows.pitch == row) && (self.depth == 1 || rows.slice == slice)
    }

    /// Bytes copied.
    fn len(self) -> usize {
        // Each factor is at most the reach of an end, whose bytes exist.
        self.width * self.height * self.depth
    }
}

/// A checked copy of rows.
#[derive(Debug)]
pub(crate) struct Transfer {
    target: Rows,
    source: Rows,
    extent: Extent,
    /// What keeps pinned memory there.
    _held: [Option<Arc<Range>>; 2],
    /// Whether target and source are pageable memory of the program.
    pageable: (bool, bool),
    between_devices: bool,
}

impl Transfer {
    /// Checks a described copy; `None` if there is nothing to copy.
    ///
    /// # Errors
    /// INVALID_VALUE for what lies outside of anything or contradicts itself, INVALID_HANDLE for
    /// what is not an array.
    pub(crate) fn new(described: &CudaMemcpy3d) -> Result<Option<Self>, CuError> {
        let extent = Extent {
            width: described.width_bytes,
            height: described.height,
            depth: described.depth,
        };
        if extent.width == 0 || extent.height == 0 || extent.depth == 0 {
            return Ok(None);
        }
        let (target, target_place) = end(&described.target, extent)?;
        let (source, source_place) = end(&described.source, extent)?;
        let is_pageable = |place: &Place| matches!(place, Place::Pageable(_));
        let is_device = |place: &Place| matches!(place, Place::Device(_));
        Ok(Some(Self {
            target,
            source,
            extent,
            pageable: (is_pageable(&target_place), is_pageable(&source_place)),
            between_devices: is_device(&target_place) && is_device(&source_place),
            _held: [target_place.held(), source_place.held()],
        }))
    }

    /// Copies.
    pub(crate) fn execute(&self) {
        let Extent {
            width,
            height,
            depth,
        } = self.extent;
        if self.extent.is_packed(self.target) && self.extent.is_packed(self.source) {
            let len = self.extent.len();
            let (to, from) = (self.target, self.source);
            to.row(0, 0, len).copy_from(from.row(0, 0, len));
            return;
        }
        for z in 0..depth {
            for y in 0..height {
                let from = self.source.row(z, y, width);
                self.target.row(z, y, width).copy_from(from);
            }
        }
    }

    /// The bytes of the source as they are now.
    fn staged(&self) -> Vec<u8> {
        let Extent { width, .. } = self.extent;
        let mut bytes = Vec::with_capacity(self.extent.len());
        for z in 0..self.extent.depth {
            for y in 0..self.extent.height {
                bytes.extend(self.source.row(z, y, width).to_vec());
            }
        }
        bytes
    }

    /// Copies what [`Transfer::staged`] took.
    fn execute_staged(&self, bytes: &[u8]) {
        let Extent { width, height, .. } = self.extent;
        for (index, row) in bytes.chunks(width).enumerate() {
            let (z, y) = (index / height, index % height);
            self.target.row(z, y, width).write(row);
        }
    }

    /// Copies in stream order. `waits`: the call is not asynchronous, so host memory is ready at
    /// its end.
    ///
    /// # Errors
    /// Those of the stream, and a fault that poisons the context.
    pub(crate) fn submit(self, stream: CuStream, waits: bool) -> CuResult {
        let (context, stream) = context::stream(stream)?;
        let len = self.extent.len();
        let asynchronous = match self.pageable {
            (false, false) => self.between_devices || !waits,
            (false, true) if !waits && len <= STAGED_LEN_MAX => {
                let bytes = self.staged();
                let work = move || {
                    self.execute_staged(&bytes);
                    Ok(())
                };
                return context.submit(&stream, None, paced(&context, len, work));
            }
            _ => false,
        };
        let work = move || {
            self.execute();
            Ok(())
        };
        let work = paced(&context, len, work);
        if asynchronous {
            context.submit(&stream, None, work)
        } else {
            context.submit_and_wait(&stream, work)
        }
    }
}

/// The rows of one end of a copy.
fn end(end: &CudaMemcpy3dEnd, extent: Extent) -> Result<(Rows, Place), CuError> {
    const BAD: CuError = CuError::INVALID_VALUE;
    if end.level != 0 {
        return Err(BAD);
    }
    let host: *mut c_void = std::ptr::with_exposed_provenance_mut(end.host);
    let base = match end.kind {
        CuMemoryType::HOST => host.expose_provenance() as u64,
        CuMemoryType::DEVICE | CuMemoryType::UNIFIED => end.device.0,
        CuMemoryType::ARRAY => return array_end(end, extent),
        _ => return Err(BAD),
    };
    if base == 0 {
        return Err(BAD);
    }
    let (pitch, slice) = strides(end, extent)?;
    let start = |stride: u64, index: usize| stride.checked_mul(index as u64);
    let offset = (start(slice, end.z).zip(start(pitch, end.y)))
        .and_then(|(slices, rows)| slices.checked_add(rows))
        .and_then(|offset| offset.checked_add(end.x_bytes as u64));
    let address = offset.and_then(|offset| base.checked_add(offset));
    let address = address.ok_or(BAD)?;
    let reach = extent.reach(pitch, slice).ok_or(BAD)?;
    address.checked_add(reach as u64).ok_or(BAD)?;
    let place = match end.kind {
        CuMemoryType::DEVICE => Place::device(CuDevicePtr(address), reach)?,
        _ => Place::new(address, reach)?,
    };
    let rows = Rows {
        address: place.span().address(),
        pitch,
        slice,
    };
    Ok((rows, place))
}

/// The rows of an array at one end of a copy.
fn array_end(end: &CudaMemcpy3dEnd, extent: Extent) -> Result<(Rows, Place), CuError> {
    const BAD: CuError = CuError::INVALID_VALUE;
    let array = ARRAYS.find(end.array.0).ok_or(CuError::INVALID_HANDLE)?;
    let image = &array.image;
    let texel = image.texel_len() as usize;
    let [width, height, depth] = image.size.map(|size| size as usize);
    let within = |start: usize, len: usize, size: usize| {
        start.checked_add(len).is_some_and(|last| last <= size)
    };
    let slices = depth * image.layers as usize;
    if !end.x_bytes.is_multiple_of(texel)
        || !extent.width.is_multiple_of(texel)
        || !within(end.x_bytes, extent.width, width * texel)
        || !within(end.y, extent.height, height)
        || !within(end.z, extent.depth, slices)
    {
        return Err(BAD);
    }
    let offset = end.z as u64 * image.slice + end.y as u64 * image.pitch + end.x_bytes as u64;
    let rows = Rows {
        address: image.address + offset,
        pitch: image.pitch,
        slice: image.slice,
    };
    let reach = extent.reach(rows.pitch, rows.slice).ok_or(BAD)?;
    Ok((rows, Place::Device(Span::new(rows.address, reach))))
}

/// Bytes from one row to the next and from one slice to the next. A pitch or a height of 0 is one
/// that is not given, which it must be where it counts.
fn strides(end: &CudaMemcpy3dEnd, extent: Extent) -> Result<(u64, u64), CuError> {
    const BAD: CuError = CuError::INVALID_VALUE;
    let row_end = end.x_bytes.checked_add(extent.width).ok_or(BAD)?;
    let rows_end = end.y.checked_add(extent.height).ok_or(BAD)?;
    let one_slice = extent.depth == 1 && end.z == 0;
    let pitch = match end.pitch_bytes {
        0 if one_slice && rows_end == 1 => row_end,
        pitch => pitch,
    };
    let height = match end.height {
        0 if one_slice => rows_end,
        height => height,
    };
    if pitch < row_end || height < rows_end || end.pitch_bytes > PITCH_MAX {
        return Err(BAD);
    }
    let (pitch, height) = (pitch as u64, height as u64);
    Ok((pitch, pitch.checked_mul(height).ok_or(BAD)?))
}

/// A copy of rows as one of a single slice.
fn one_slice(described: &CudaMemcpy2d) -> CudaMemcpy3d {
    let end = |end: &CudaMemcpy2dEnd| CudaMemcpy3dEnd {
        x_bytes: end.x_bytes,
        y: end.y,
        kind: end.kind,
        host: end.host,
        device: end.device,
        array: end.array,
        pitch_bytes: end.pitch_bytes,
        ..CudaMemcpy3dEnd::default()
    };
    CudaMemcpy3d {
        source: end(&described.source),
        target: end(&described.target),
        width_bytes: described.width_bytes,
        height: described.height,
        depth: 1,
    }
}

/// A copy, unless it is bad; what is wrong with the context comes first.
pub(super) fn transfer(described: &CudaMemcpy3d, stream: CuStream, waits: bool) -> CuResult {
    let (context, found) = context::stream(stream)?;
    if !waits && capture::take(&found, || Action::copy(&context, described))? {
        return Ok(());
    }
    match Transfer::new(described)? {
        Some(transfer) => transfer.submit(stream, waits),
        None => Ok(()),
    }
}

fn copy_2d(copy: *const CudaMemcpy2d, stream: CuStream, waits: bool) -> CuResult {
    context::stream(stream)?;
    let described = structs::read(copy).ok_or(CuError::INVALID_VALUE)?;
    transfer(&one_slice(&described), stream, waits)
}

fn copy_3d(copy: *const CudaMemcpy3d, stream: CuStream, waits: bool) -> CuResult {
    context::stream(stream)?;
    let described = structs::read(copy).ok_or(CuError::INVALID_VALUE)?;
    if !described.source.context.is_null() || !described.target.context.is_null() {
        // Reserved words.
        return Err(CuError::INVALID_VALUE);
    }
    transfer(&described, stream, waits)
}

pub(crate) fn cuMemcpy2D_v2(copy: *const CudaMemcpy2d) -> CuResult {
    copy_2d(copy, CuStream(0), true)
}

/// Alignment is no concern of a CPU: as [`cuMemcpy2D_v2`].
pub(crate) fn cuMemcpy2DUnaligned_v2(copy: *const CudaMemcpy2d) -> CuResult {
    copy_2d(copy, CuStream(0), true)
}

pub(crate) fn cuMemcpy2DAsync_v2(copy: *const CudaMemcpy2d, stream: CuStream) -> CuResult {
    copy_2d(copy, stream, false)
}

pub(crate) fn cuMemcpy3D_v2(copy: *const CudaMemcpy3d) -> CuResult {
    copy_3d(copy, CuStream(0), true)
}

pub(crate) fn cuMemcpy3DAsync_v2(copy: *const CudaMemcpy3d, stream: CuStream) -> CuResult {
    copy_3d(copy, stream, false)
}

// ------------------------------------------------------------------------------- memsets

/// Fills rows of `width` elements; as with NVIDIA's driver the call does not wait for device
/// memory.
fn fill(
    dst: CuDevicePtr,
    pitch: usize,
    element: &[u8],
    [width, height]: [usize; 2],
    stream: CuStream,
) -> CuResult {
    const BAD: CuError = CuError::INVALID_VALUE;
    let (context, stream) = context::stream(stream)?;
    let size = element.len();
    let width = width.checked_mul(size).ok_or(BAD)?;
    if !dst.0.is_multiple_of(size as u64) || !pitch.is_multiple_of(size) {
        return Err(BAD);
    }
    if width == 0 || height == 0 {
        return Ok(());
    }
    if height > 1 && !(width..=PITCH_MAX).contains(&pitch) {
        return Err(BAD);
    }
    let extent = Extent {
        width,
        height,
        depth: 1,
    };
    let reach = extent.reach(pitch as u64, 0).ok_or(BAD)?;
    let place = Place::device(dst, reach)?;
    let elements = [width / size, height];
    let action = || Action::fill(&context, &filling(dst, pitch, element, elements));
    if capture::take(&stream, action)? {
        return Ok(());
    }
    let rows = Rows {
        address: place.span().address(),
        pitch: pitch as u64,
        slice: 0,
    };
    let (pattern, held) = (element.to_vec(), place.held());
    let device = context.device();
    let work = move || {
        let _moving = device.arena.moving();
        for y in 0..height {
            rows.row(0, y, width).fill(&pattern);
        }
        drop(held);
        Ok(())
    };
    context.submit(&stream, None, Work::Execute(Box::new(work)))
}

pub(crate) fn cuMemsetD2D8_v2(
    dst_device: CuDevicePtr,
    dst_pitch: usize,
    uc: u8,
    width: usize,
    height: usize,
) -> CuResult {
    fill(dst_device, dst_pitch, &[uc], [width, height], CuStream(0))
}

pub(crate) fn cuMemsetD2D16_v2(
    dst_device: CuDevicePtr,
    dst_pitch: usize,
    us: u16,
    width: usize,
    height: usize,
) -> CuResult {
    cuMemsetD2D16Async(dst_device, dst_pitch, us, width, height, CuStream(0))
}

pub(crate) fn cuMemsetD2D32_v2(
    dst_device: CuDevicePtr,
    dst_pitch: usize,
    ui: u32,
    width: usize,
    height: usize,
) -> CuResult {
    cuMemsetD2D32Async(dst_device, dst_pitch, ui, width, height, CuStream(0))
}

pub(crate) fn cuMemsetD2D8Async(
    dst_device: CuDevicePtr,
    dst_pitch: usize,
    uc: u8,
    width: usize,
    height: usize,
    stream: CuStream,
) -> CuResult {
    fill(dst_device, dst_pitch, &[uc], [width, height], stream)
}

pub(crate) fn cuMemsetD2D16Async(
    dst_device: CuDevicePtr,
    dst_pitch: usize,
    us: u16,
    width: usize,
    height: usize,
    stream: CuStream,
) -> CuResult {
    let element = us.to_le_bytes();
    fill(dst_device, dst_pitch, &element, [width, height], stream)
}

pub(crate) fn cuMemsetD2D32Async(
    dst_device: CuDevicePtr,
    dst_pitch: usize,
    ui: u32,
    width: usize,
    height: usize,
    stream: CuStream,
) -> CuResult {
    let element = ui.to_le_bytes();
    fill(dst_device, dst_pitch, &element, [width, height], stream)
}
