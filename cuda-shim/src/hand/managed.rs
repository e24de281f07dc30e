//! Managed memory: one address for host and devices, made by the worker and opened here.
//!
//! Its contents follow calls as those of every twin do (`session::twins`). Advice and prefetches
//! go to the driver, which is asked back as well; devices have other numbers there.

#![expect(non_snake_case, reason = "CUDA's own names keep CUDA's spelling")]

use std::ffi::c_void;

use flexdirect_wire::abi::{
    CuDevice, CuDevicePtr, CuError, CuLibrary, CuMemAdvise, CuMemLocation, CuMemRangeAttribute,
    CuResult, CuStream, InOut, InStr, Out,
};
use flexdirect_wire::body::{Alloc, ManagedAsk, ManagedHint};
use flexdirect_wire::call::op;
use flexdirect_wire::param::Param;
use flexdirect_wire::record::{Reader, WireError};
use zerocopy::IntoBytes;

use super::memory::allocate;
use super::module::{anywhere, global, owner, write_global};
use super::stream::target;
use super::wanted;
use crate::devices;
use crate::process::{Process, here, process};
use crate::ranges::{Kind, Range};
use crate::session::Block;

const BAD: CuError = CuError::INVALID_VALUE;

pub(crate) fn cuMemAllocManaged(dptr: Out<CuDevicePtr>, bytesize: usize, flags: u32) -> CuResult {
    let here = here()?;
    wanted(dptr.is_null() || ![ATTACH_GLOBAL, ATTACH_HOST].contains(&flags) || bytesize == 0)?;
    let ask = Alloc {
        width: bytesize as u64,
        height: 0,
        element: u64::from(flags),
        decoy: 0,
    };
    let block = allocate(&here, op::cuMemAllocManaged, ask)?;
    let range = Range {
        start: block.address,
        len: block.len,
        kind: Kind::Managed,
        context: here.context.handle,
        ordinal: here.context.ordinal,
        id: 0,
    };
    if let Err(error) = open(here.process, &range) {
        super::cuMemFree_v2(CuDevicePtr(block.address))?;
        return Err(error);
    }
    here.process.ranges_mut().insert(range);
    dptr.write(CuDevicePtr(block.address))
}

/// Makes claimed addresses memory of this process that has a twin.
pub(super) fn open(process: &Process, range: &Range) -> CuResult {
    if !process.claims().open(range.start, range.len) {
        return Err(CuError::OUT_OF_MEMORY);
    }
    // SAFETY: the addresses are claimed and open; they are closed again only after the block has
    // been dropped: see `close`.
    let block = unsafe { Block::new(range.start, range.start, range.len, range.context) };
    process.session.add_twin(block?.watched());
    Ok(())
}

/// Managed memory ends: its pages are nobody's again, but for those that it shares with others.
pub(crate) fn close(process: &Process, range: &Range) {
    process.session.remove_twin(range.start);
    let ranges = process.ranges();
    let is_used = |page: u64| ranges.overlaps(page, PAGE);
    let (mut start, mut end) = (
        range.start - range.start % PAGE,
        (range.start + range.len).next_multiple_of(PAGE),
    );
    if is_used(start) {
        start += PAGE;
    }
    if start < end && is_used(end - PAGE) {
        end -= PAGE;
    }
    if start < end {
        process.claims().close(start, end - start);
    }
}

pub(crate) fn cuLibraryGetManaged(
    dptr: Out<CuDevicePtr>,
    bytes: Out<usize>,
    library: CuLibrary,
    name: InStr,
) -> CuResult {
    let process = process()?;
    let module = owner(process, library.0, |module| module.context == 0)?;
    let name = name.text()?;
    wanted(dptr.is_null() && bytes.is_null())?;
    let issue = anywhere(op::cuLibraryGetManaged);
    write_global(
        dptr,
        bytes,
        global(process, issue, (library.0, &module), name)?,
    )
}

// ------------------------------------------------------------------------------- advice

/// The place as the server counts devices.
fn sent(process: &Process, location: CuMemLocation) -> Result<CuMemLocation, CuError> {
    if location.kind != DEVICE {
        return Ok(location);
    }
    let (_, device) = devices::find(&process.devices, CuDevice(location.id))?;
    Ok(CuMemLocation {
        kind: DEVICE,
        id: i32::from(device.lane),
    })
}

/// A device of the server as the application counts.
fn told(process: &Process, id: i32) -> i32 {
    let is_it = |device: &devices::Device| i32::from(device.lane) == id;
    let ordinal = process.devices.iter().position(is_it);
    ordinal
        .and_then(|ordinal| i32::try_from(ordinal).ok())
        .unwrap_or(id)
}

/// The place that a device stands for in the older calls: `CU_DEVICE_CPU` is the host.
fn location_of(device: CuDevice) -> CuMemLocation {
    if device.0 == CPU {
        return CuMemLocation { kind: HOST, id: 0 };
    }
    CuMemLocation {
        kind: DEVICE,
        id: device.0,
    }
}

pub(crate) fn cuMemAdvise_v2(
    dev_ptr: CuDevicePtr,
    count: usize,
    advice: CuMemAdvise,
    location: CuMemLocation,
) -> CuResult {
    let here = here()?;
    // These need no place.
    let needs_place = ![SET_READ_MOSTLY, UNSET_READ_MOSTLY, UNSET_PREFERRED].contains(&advice.0);
    let location = match sent(here.process, location) {
        Ok(location) => location,
        Err(_) if !needs_place => CuMemLocation { kind: HOST, id: 0 },
        Err(error) => return Err(error),
    };
    let hint = ManagedHint {
        address: dev_ptr.0,
        len: count as u64,
        stream: 0,
        value: advice.0,
        kind: location.kind,
        id: location.id,
        reserved: 0,
    };
    here.ask(op::cuMemAdvise_v2, hint.as_bytes())?.check()
}

pub(crate) fn cuMemAdvise(
    dev_ptr: CuDevicePtr,
    count: usize,
    advice: CuMemAdvise,
    device: CuDevice,
) -> CuResult {
    cuMemAdvise_v2(dev_ptr, count, advice, location_of(device))
}

pub(crate) fn cuMemPrefetchAsync_v2(
    dev_ptr: CuDevicePtr,
    count: usize,
    location: CuMemLocation,
    flags: u32,
    stream: CuStream,
) -> CuResult {
    let process = process()?;
    let target = target(process, stream)?;
    if flags != 0 {
        return Err(BAD);
    }
    let location = sent(process, location)?;
    let hint = ManagedHint {
        address: dev_ptr.0,
        len: count as u64,
        stream: target.handle,
        value: 0,
        kind: location.kind,
        id: location.id,
        reserved: 0,
    };
    let issue = target.issue(op::cuMemPrefetchAsync_v2);
    process.session.call(issue, hint.as_bytes())?.check()
}

pub(crate) fn cuMemPrefetchAsync(
    dev_ptr: CuDevicePtr,
    count: usize,
    dst_device: CuDevice,
    stream: CuStream,
) -> CuResult {
    cuMemPrefetchAsync_v2(dev_ptr, count, location_of(dst_device), 0, stream)
}

#[expect(clippy::too_many_arguments, reason = "the call has as many")]
pub(crate) fn cuMemPrefetchBatchAsync(
    dptrs: *mut CuDevicePtr,
    sizes: *mut usize,
    count: usize,
    prefetch_locs: *mut CuMemLocation,
    prefetch_loc_idxs: *mut usize,
    num_prefetch_locs: usize,
    flags: u64,
    stream: CuStream,
) -> CuResult {
    let process = process()?;
    let pieces = pieces(process, (dptrs, sizes), count, flags, stream)?;
    let places = list(prefetch_locs, num_prefetch_locs)?;
    let firsts = list(prefetch_loc_idxs, num_prefetch_locs)?;
    let rises = firsts.windows(2).all(|pair| pair[0] < pair[1]);
    let fits = firsts.first() == Some(&0) && firsts.last().is_some_and(|&last| last < count);
    if !rises || !fits {
        return Err(BAD);
    }
    for &place in &places {
        sent(process, place)?;
    }
    for (index, (address, len)) in pieces.into_iter().enumerate() {
        let which = firsts.partition_point(|&first| first <= index);
        let place = places[which.saturating_sub(1)];
        cuMemPrefetchAsync_v2(address, len, place, 0, stream)?;
    }
    Ok(())
}

/// What is discarded may still be read: as it was.
pub(crate) fn cuMemDiscardBatchAsync(
    dptrs: *mut CuDevicePtr,
    sizes: *mut usize,
    count: usize,
    flags: u64,
    stream: CuStream,
) -> CuResult {
    pieces(process()?, (dptrs, sizes), count, flags, stream).map(drop)
}

#[expect(clippy::too_many_arguments, reason = "the call has as many")]
pub(crate) fn cuMemDiscardAndPrefetchBatchAsync(
    dptrs: *mut CuDevicePtr,
    sizes: *mut usize,
    count: usize,
    prefetch_locs: *mut CuMemLocation,
    prefetch_loc_idxs: *mut usize,
    num_prefetch_locs: usize,
    flags: u64,
    stream: CuStream,
) -> CuResult {
    cuMemPrefetchBatchAsync(
        dptrs,
        sizes,
        count,
        prefetch_locs,
        prefetch_loc_idxs,
        num_prefetch_locs,
        flags,
        stream,
    )
}

/// The ranges of a batch, all of them managed memory. The legacy stream takes none.
fn pieces(
    process: &Process,
    (addresses, lens): (*mut CuDevicePtr, *mut usize),
    count: usize,
    flags: u64,
    stream: CuStream,
) -> Result<Vec<(CuDevicePtr, usize)>, CuError> {
    let target = target(process, stream)?;
    if count == 0 || flags != 0 || target.handle == 0 {
        return Err(BAD);
    }
    let (addresses, lens) = (list(addresses, count)?, list(lens, count)?);
    let ranges = process.ranges();
    for (address, &len) in addresses.iter().zip(&lens) {
        let range = ranges.device(address.0, len as u64)?;
        if !range.is_managed() || len == 0 {
            return Err(BAD);
        }
    }
    Ok(addresses.into_iter().zip(lens).collect())
}

/// A list of the application's.
fn list<T: Copy>(first: *mut T, count: usize) -> Result<Vec<T>, CuError> {
    if count > LIST_LEN_MAX {
        return Err(BAD);
    }
    (0..count)
        .map(|index| InOut(first.wrapping_add(index)).read())
        .collect()
}

pub(crate) fn cuStreamAttachMemAsync(
    stream: CuStream,
    dptr: CuDevicePtr,
    length: usize,
    flags: u32,
) -> CuResult {
    let process = process()?;
    let target = target(process, stream)?;
    let reply = target.call(process, op::cuStreamAttachMemAsync, |record| {
        CuStream(target.handle).send(record)?;
        dptr.send(record)?;
        length.send(record)?;
        flags.send(record)
    })?;
    reply.check()
}

// ------------------------------------------------------------------------------- questions

pub(crate) fn cuMemRangeGetAttribute(
    data: *mut c_void,
    data_size: usize,
    attribute: CuMemRangeAttribute,
    dev_ptr: CuDevicePtr,
    count: usize,
) -> CuResult {
    let process = process()?;
    let words = data_size / WORD_LEN;
    if data.is_null() || words == 0 || !data_size.is_multiple_of(WORD_LEN) {
        return Err(BAD);
    }
    let asked = if attribute.0 == ACCESSED_BY {
        words.min(WORDS_MAX)
    } else {
        words
    };
    let mut values = ask(process, attribute.0, (dev_ptr.0, count), asked)?;
    let names_device = [
        PREFERRED,
        ACCESSED_BY,
        LAST_PREFETCH,
        PREFERRED_ID,
        PREFETCH_ID,
    ];
    if names_device.contains(&attribute.0) {
        values.iter_mut().for_each(|id| *id = told(process, *id));
    }
    values.resize(words, INVALID);
    for (index, value) in values.into_iter().enumerate() {
        Out(data.cast::<i32>().wrapping_add(index)).write(value)?;
    }
    Ok(())
}

/// A word as it crosses: widened with its sign.
fn word(body: &mut Reader<'_>) -> Result<i32, WireError> {
    let [a, b, c, d, ..] = body.u64()?.to_le_bytes();
    Ok(i32::from_le_bytes([a, b, c, d]))
}

/// The words of an attribute as the server says.
fn ask(
    process: &Process,
    attribute: u32,
    (address, len): (u64, usize),
    words: usize,
) -> Result<Vec<i32>, CuError> {
    let ask = ManagedAsk {
        address,
        len: len as u64,
        attribute,
        words: u32::try_from(words).map_err(|_| BAD)?,
    };
    let issue = anywhere(op::cuMemRangeGetAttribute);
    let reply = process.session.call(issue, ask.as_bytes())?;
    let mut body = reply.body()?;
    (0..words)
        .map(|_| word(&mut body).map_err(|error| process.session.broken(&error)))
        .collect()
}

pub(crate) fn cuMemRangeGetAttributes(
    data: *mut *mut c_void,
    data_sizes: *mut usize,
    attributes: *mut CuMemRangeAttribute,
    num_attributes: usize,
    dev_ptr: CuDevicePtr,
    count: usize,
) -> CuResult {
    process()?;
    if num_attributes == 0 {
        return Err(BAD);
    }
    let places = list(data, num_attributes)?;
    let sizes = list(data_sizes, num_attributes)?;
    let numbers = list(attributes, num_attributes)?;
    for ((place, size), number) in places.into_iter().zip(sizes).zip(numbers) {
        cuMemRangeGetAttribute(place, size, number, dev_ptr, count)?;
    }
    Ok(())
}

/// Managed memory is where it was last prefetched to, and before that nowhere in particular.
pub(crate) fn cuMemGetLocationInfo(
    ptr: CuDevicePtr,
    size: usize,
    summary_granularity: usize,
    sampling_granularity: usize,
    location_out: *mut CuMemLocation,
) -> CuResult {
    let process = process()?;
    let step = summary_granularity;
    let fits = (1..=size).contains(&step) && sampling_granularity <= step;
    let is_managed = {
        let ranges = process.ranges();
        ranges
            .device(ptr.0, size as u64)
            .is_ok_and(|range| range.is_managed())
    };
    if !fits || location_out.is_null() || !is_managed {
        return Err(BAD);
    }
    for (index, start) in (0..size).step_by(step).enumerate() {
        let part = (ptr.0 + start as u64, step.min(size - start));
        let kind = ask(process, PREFETCH_TYPE, part, 1)?[0].cast_unsigned();
        let id = ask(process, PREFETCH_ID, part, 1)?[0];
        let id = if kind == DEVICE {
            told(process, id)
        } else {
            id
        };
        Out(location_out.wrapping_add(index)).write(CuMemLocation { kind, id })?;
    }
    Ok(())
}

/// `CU_MEM_ATTACH_GLOBAL` and `_HOST`.
const ATTACH_GLOBAL: u32 = 1;
const ATTACH_HOST: u32 = 2;
/// `CU_MEM_ADVISE_...` that need no place.
const SET_READ_MOSTLY: u32 = 1;
const UNSET_READ_MOSTLY: u32 = 2;
const UNSET_PREFERRED: u32 = 4;
/// `CU_MEM_RANGE_ATTRIBUTE_...`.
const PREFERRED: u32 = 2;
const ACCESSED_BY: u32 = 3;
const LAST_PREFETCH: u32 = 4;
const PREFERRED_ID: u32 = 6;
const PREFETCH_TYPE: u32 = 7;
const PREFETCH_ID: u32 = 8;
/// `CU_MEM_LOCATION_TYPE_DEVICE` and `_HOST`.
const DEVICE: u32 = 1;
const HOST: u32 = 2;
/// `CU_DEVICE_CPU` and `CU_DEVICE_INVALID`.
const CPU: i32 = -1;
const INVALID: i32 = -2;
const WORD_LEN: usize = 4;
/// More words than there are devices and hosts.
const WORDS_MAX: usize = 128;
/// Entries of a batch.
const LIST_LEN_MAX: usize = 1 << 20;
const PAGE: u64 = 4 << 10;
