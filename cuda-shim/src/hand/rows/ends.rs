//! The two ends of a copy of rows: client memory, device memory or an array, checked as the driver
//! checks them.

use flexdirect_wire::abi::{CuArray, CuError, CuMemoryType, CudaMemcpy3dEnd};
use flexdirect_wire::body::{RowsEnd, rows};

use crate::hand::array::array;
use crate::hand::twin::{Reached, device_memory};
use crate::process::Process;
use crate::ranges::Range;

const BAD: CuError = CuError::INVALID_VALUE;

/// Bytes of a row, rows of a slice, slices; none of them 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::hand) struct Extent {
    pub(in crate::hand) width: usize,
    pub(in crate::hand) height: usize,
    pub(in crate::hand) depth: usize,
}

impl Extent {
    /// Bytes from the first to the last one of rows with these strides.
    pub(in crate::hand) fn reach(self, pitch: usize, height: usize) -> Option<usize> {
        let rows = pitch.checked_mul(self.height - 1)?;
        let slices = pitch.checked_mul(height)?.checked_mul(self.depth - 1)?;
        rows.checked_add(slices)?.checked_add(self.width)
    }

    /// Bytes of all rows: both ends have been checked, so there are as many.
    pub(super) fn len(self) -> usize {
        self.width * self.height * self.depth
    }
}

/// Rows of one end, all of them checked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows {
    /// First byte of the first row.
    pub(super) start: u64,
    /// Bytes from row to row.
    pub(super) pitch: usize,
    /// Rows from slice to slice.
    pub(super) height: usize,
    pub(super) is_device: bool,
    /// Whether host and device use the memory both.
    pub(super) is_shared: bool,
    /// Whether the application said that it is device memory.
    pub(super) is_claimed: bool,
    /// The array that they lie in, at `corner`, if they do: `start` is 0 then.
    array: Option<CuArray>,
    corner: [usize; 3],
}

impl Rows {
    pub(super) fn at(self, [x, y, z]: [usize; 3]) -> u64 {
        self.start + ((z * self.height + y) * self.pitch + x) as u64
    }

    /// Whether there is nothing between the rows.
    pub(super) fn is_packed(self, extent: Extent) -> bool {
        let is_line = (extent.height == 1 && extent.depth == 1)
            || (self.pitch == extent.width && (extent.depth == 1 || self.height == extent.height));
        is_line && self.array.is_none()
    }

    pub(super) fn end(self, at: [usize; 3]) -> RowsEnd {
        if !self.is_device {
            return RowsEnd {
                kind: rows::CLIENT,
                ..RowsEnd::default()
            };
        }
        if let Some(array) = self.array {
            let [x, y, z] = [0, 1, 2].map(|axis| (self.corner[axis] + at[axis]) as u64);
            return RowsEnd {
                kind: rows::ARRAY,
                place: array.0,
                x,
                y,
                z,
                ..RowsEnd::default()
            };
        }
        RowsEnd {
            kind: rows::DEVICE,
            place: self.at(at),
            pitch: self.pitch as u64,
            height: self.height as u64,
            ..RowsEnd::default()
        }
    }
}

/// Bytes from one row to the next, and rows from one slice to the next. What is 0 is not given,
/// which it must be where it counts.
fn strides(end: &CudaMemcpy3dEnd, extent: Extent) -> Result<(usize, usize), CuError> {
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
    if pitch < row_end || height < rows_end || pitch > PITCH_MAX {
        return Err(BAD);
    }
    pitch.checked_mul(height).ok_or(BAD)?;
    Ok((pitch, height))
}

/// The rows of one end.
pub(super) fn rows_of(
    process: &Process,
    end: &CudaMemcpy3dEnd,
    extent: Extent,
) -> Result<Rows, CuError> {
    if end.level != 0 {
        return Err(BAD);
    }
    let base = match end.kind {
        CuMemoryType::HOST => end.host as u64,
        CuMemoryType::DEVICE | CuMemoryType::UNIFIED => end.device.0,
        CuMemoryType::ARRAY => return rows_of_array(process, end, extent),
        _ => return Err(BAD),
    };
    if base == 0 {
        return Err(BAD);
    }
    let (pitch, height) = strides(end, extent)?;
    let rows = end.z.checked_mul(height).and_then(|z| z.checked_add(end.y));
    let offset = rows
        .and_then(|rows| rows.checked_mul(pitch))
        .and_then(|offset| offset.checked_add(end.x_bytes))
        .ok_or(BAD)?;
    let start = base.checked_add(offset as u64).ok_or(BAD)?;
    let reach = extent.reach(pitch, height).ok_or(BAD)? as u64;
    start.checked_add(reach).ok_or(BAD)?;
    let is_claimed = end.kind == CuMemoryType::DEVICE;
    let is_of_device = |range: &Range| range.is_device() || range.is_shared();
    let is_device = is_claimed || process.ranges().find(start).is_some_and(is_of_device);
    let mut reached = Reached {
        address: start,
        is_shared: false,
    };
    if is_device {
        reached = device_memory(process, start, reach)?;
    } else if process.claims().touches(start, reach) {
        return Err(BAD);
    }
    Ok(Rows {
        start: reached.address,
        is_shared: reached.is_shared,
        pitch,
        height,
        is_device,
        is_claimed,
        array: None,
        corner: [0; 3],
    })
}

/// The rows of an end that is an array.
fn rows_of_array(
    process: &Process,
    end: &CudaMemcpy3dEnd,
    extent: Extent,
) -> Result<Rows, CuError> {
    let found = array(process, end.array)?;
    let corner = [end.x_bytes, end.y, end.z];
    let size = [extent.width, extent.height, extent.depth];
    let wide = |sizes: [usize; 3]| sizes.map(|size| size as u64);
    if !found.described.holds(wide(corner), wide(size)) {
        return Err(BAD);
    }
    Ok(Rows {
        start: 0,
        pitch: 0,
        height: 0,
        is_device: true,
        is_shared: false,
        is_claimed: true,
        array: Some(end.array),
        corner,
    })
}

/// `CU_DEVICE_ATTRIBUTE_MAX_PITCH` of every device.
pub(in crate::hand) const PITCH_MAX: usize = 0x7fff_ffff;
