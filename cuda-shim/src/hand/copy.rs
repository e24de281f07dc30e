//! Copies: which way a copy goes is read off the range table, and so is the proof of its bounds.
//!
//! Few bytes travel inside the record or reply. Many go by the bulk path: to the worker through its
//! slab, piece by piece; to the client into the application's memory itself, which is named to the
//! link as a landing for as long as the copy takes.

#![expect(non_snake_case, reason = "CUDA's own names keep CUDA's spelling")]

use std::ffi::c_void;
use std::ptr;

use flexdirect_wire::abi::{CuDevicePtr, CuError, CuResult, CuStream, InBytes, OutBytes};
use flexdirect_wire::body::{HostCopy, source};
use flexdirect_wire::call::op;
use flexdirect_wire::limits::{CHUNK_LEN, INLINE_LEN_MAX};
use flexdirect_wire::param::Param;
use zerocopy::IntoBytes;

use super::hostfn::{self, Reading};
use super::stream::{Target, target};
use super::twin::{Reached, device_memory, sending, sent};
use crate::graph::{Form, take_copy};
use crate::process::{Process, process};
use crate::ranges::Range;
use crate::session::Landing;
use crate::session::hostfn::Source;

/// One copy between any two addresses.
#[derive(Clone, Copy, Debug)]
struct Copy {
    process: &'static Process,
    stream: Target,
    /// Whether the call is an asynchronous one.
    is_async: bool,
}

/// What the application claims an address to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Claimed {
    Device,
    /// Any address: with unified addressing a host argument may be device memory as well.
    Any,
}

/// Where bytes of a copy lie.
#[derive(Clone, Copy, Debug)]
enum Place {
    Device(Reached),
    Host(u64),
}

impl Place {
    fn is_shared(self) -> bool {
        matches!(self, Self::Device(reached) if reached.is_shared)
    }
}

impl Copy {
    /// `stream` is none for a synchronous copy, which goes by the default stream.
    fn new(stream: Option<CuStream>) -> Result<Self, CuError> {
        let process = process()?;
        let is_async = stream.is_some();
        Ok(Self {
            process,
            stream: target(process, stream.unwrap_or_default())?,
            is_async,
        })
    }

    /// Where a range lies.
    ///
    /// # Errors
    /// `INVALID_VALUE` for a range that is neither: not claimed as what it is, over its end, null,
    /// or device memory that was freed.
    fn place(self, (address, claimed): (u64, Claimed), len: usize) -> Result<Place, CuError> {
        let len = len as u64;
        let is_device = |range: &Range| range.is_device() || range.is_shared();
        let found = self.process.ranges().find(address).is_some_and(is_device);
        if found || claimed == Claimed::Device {
            return device_memory(self.process, address, len).map(Place::Device);
        }
        if address == 0 || self.process.claims().touches(address, len) {
            return Err(CuError::INVALID_VALUE);
        }
        Ok(Place::Host(address))
    }

    /// Copies `len` bytes.
    fn run(self, to: (u64, Claimed), from: (u64, Claimed), len: usize) -> CuResult {
        if len == 0 {
            return Ok(());
        }
        let (to_end, from_end) = (self.place(to, len)?, self.place(from, len)?);
        if let Some(taken) = self.capture((to_end, from_end), to, from, len) {
            return taken;
        }
        let (to, from) = (to_end, from_end);
        let is_shared = to.is_shared() || from.is_shared();
        let giving = is_shared.then(|| sending(self.process, self.stream));
        let giving = giving.transpose()?;
        match (to, from) {
            (Place::Device(to), Place::Device(from)) => {
                self.within_device(to.address, from.address, len)
            }
            (Place::Device(to), Place::Host(from)) => {
                self.to_device(to.address, address(from), len)
            }
            (Place::Host(to), Place::Device(from)) => self.to_host(address(to), from.address, len),
            (Place::Host(to), Place::Host(from)) => {
                self.within_host(address(to), address(from), len)
            }
        }?;
        if is_shared {
            sent(self.process, self.stream, self.is_async)?;
        }
        drop(giving);
        Ok(())
    }

    /// Gives the copy to the capture that its stream is in, if it is in one.
    fn capture(
        self,
        (to_end, from_end): (Place, Place),
        to: (u64, Claimed),
        from: (u64, Claimed),
        len: usize,
    ) -> Option<CuResult> {
        let within = matches!((to_end, from_end), (Place::Device(_), Place::Device(_)));
        if !self.process.session.is_capturing() || (self.is_async && within) {
            // Within the device the worker's driver captures it as it is.
            return None;
        }
        let claimed = |(address, claimed)| (address, claimed == Claimed::Device);
        let form = Form::Bytes(claimed(to), claimed(from), len);
        take_copy(self.process, &self.stream, self.is_async, form)
    }

    fn within_device(self, to: u64, from: u64, len: usize) -> CuResult {
        let is_plain = !self.is_async && self.stream.handle == 0;
        let op = if is_plain {
            op::cuMemcpyDtoD_v2
        } else {
            op::cuMemcpyDtoDAsync_v2
        };
        self.stream.post(self.process, op, |record| {
            CuDevicePtr(to).send(record)?;
            CuDevicePtr(from).send(record)?;
            len.send(record)?;
            if !is_plain {
                CuStream(self.stream.handle).send(record)?;
            }
            Ok(())
        })
    }

    /// Has read all of the source when it returns, unless it is pinned and something before may
    /// write it.
    fn to_device(self, to: u64, from: *mut u8, len: usize) -> CuResult {
        // Before anything is put into the slab, which only a record can give back.
        let context = self.stream.context;
        self.process.session.check_context(context)?;
        let source = Source::packed(from as u64, len);
        match hostfn::reading(self.process, &self.stream, &source, self.is_async) {
            Reading::Now => {}
            Reading::Synchronised => super::stream::synchronise(self.process, self.stream)?,
            Reading::Late => return self.to_device_late(to, from as u64, len),
        }
        let op = if self.is_async {
            op::cuMemcpyHtoDAsync_v2
        } else {
            op::cuMemcpyHtoD_v2
        };
        // SAFETY: the application says that `len` bytes can be read from there and do not change
        // during the call; no address of the range is device memory, which could not be read.
        let bytes = unsafe { std::slice::from_raw_parts(from.cast_const(), len) };
        if len <= INLINE_LEN_MAX {
            return self.stream.post(self.process, op, |record| {
                record.put(&self.body(to, len, 0, true));
                record.raw(bytes);
                Ok(())
            });
        }
        let mut device = to;
        for piece in bytes.chunks(CHUNK_LEN) {
            let position = self.process.session.stage(piece)?;
            self.stream.post(self.process, op, |record| {
                record.put(&self.body(device, piece.len(), position, false));
                Ok(())
            })?;
            device += piece.len() as u64;
        }
        Ok(())
    }

    /// The source is read when the stream gets there.
    fn to_device_late(self, to: u64, from: u64, len: usize) -> CuResult {
        for offset in (0..len).step_by(CHUNK_LEN) {
            let (at, len) = (offset as u64, (len - offset).min(CHUNK_LEN));
            let source = Source::packed(from + at, len);
            hostfn::post_late(self.process, &self.stream, source, |number| {
                let mut copy = self.body(to + at, len, number, false);
                copy.inline = source::LATE;
                self.stream
                    .post(self.process, op::cuMemcpyHtoDAsync_v2, |record| {
                        record.put(&copy);
                        Ok(())
                    })
            })?;
        }
        Ok(())
    }

    fn to_host(self, to: *mut u8, from: u64, len: usize) -> CuResult {
        let is_pinned = self.process.ranges().is_pinned(to as u64, len as u64);
        if self.is_async && is_pinned {
            return self.to_pinned(to, from, len);
        }
        // To pageable memory CUDA copies synchronously as well.
        if len <= INLINE_LEN_MAX {
            self.to_host_inline(to, from, len)
        } else {
            self.land(to, from, len)
        }
    }

    fn to_host_inline(self, to: *mut u8, from: u64, len: usize) -> CuResult {
        let reply = self
            .stream
            .call(self.process, op::cuMemcpyDtoH_v2, |record| {
                record.put(&self.body(from, len, 0, true));
                Ok(())
            })?;
        let broken = |error| self.process.session.broken(&error);
        let bytes = reply.body()?.raw(len).map_err(broken)?;
        // SAFETY: the application says that `len` bytes can be written there; `bytes` has as many
        // and is memory of ours.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), to, len) };
        Ok(())
    }

    /// The worker puts the bytes to the application's memory before it replies.
    fn land(self, to: *mut u8, from: u64, len: usize) -> CuResult {
        let session = &self.process.session;
        // SAFETY: the application lets the call write `len` bytes there until it returns, and it
        // returns after `call_into` has.
        let landing = unsafe { Landing::new(to, len as u64) };
        let number = session.landings().enter(landing);
        let record = self.body(from, len, number, false);
        let issue = self.stream.issue(op::cuMemcpyDtoH_v2);
        session.call_into(issue, record.as_bytes(), number)?.check()
    }

    /// The worker puts the bytes there when the stream reaches the copy.
    fn to_pinned(self, to: *mut u8, from: u64, len: usize) -> CuResult {
        let session = &self.process.session;
        // SAFETY: it is pinned memory of ours, which is not given back while a landing in it is
        // pending.
        let landing = unsafe { Landing::new(to, len as u64) };
        let number = session.landings().enter(landing);
        let posted = self
            .stream
            .post(self.process, op::cuMemcpyDtoHAsync_v2, |record| {
                record.put(&self.body(from, len, number, false));
                Ok(())
            });
        if posted.is_err() {
            session.landings().give_up(number);
        }
        posted
    }

    fn within_host(self, to: *mut u8, from: *mut u8, len: usize) -> CuResult {
        // What the stream still copies may be what is copied on.
        super::stream::synchronise(self.process, self.stream)?;
        // SAFETY: the application says that these bytes can be read and written, and they are no
        // device memory; they may overlap.
        unsafe { ptr::copy(from.cast_const(), to, len) };
        Ok(())
    }

    fn body(self, device: u64, len: usize, position: u64, is_inline: bool) -> HostCopy {
        HostCopy {
            device,
            len: len as u64,
            stream: self.stream.handle,
            position,
            inline: u32::from(is_inline),
            is_async: u32::from(self.is_async),
        }
    }
}

pub(crate) fn address(address: u64) -> *mut u8 {
    ptr::with_exposed_provenance_mut(usize::try_from(address).expect("addresses have 64 bits"))
}

fn any(address: *mut c_void) -> (u64, Claimed) {
    (address as u64, Claimed::Any)
}

fn device(address: CuDevicePtr) -> (u64, Claimed) {
    (address.0, Claimed::Device)
}

pub(crate) fn cuMemcpyHtoD_v2(
    dst_device: CuDevicePtr,
    src_host: InBytes,
    byte_count: usize,
) -> CuResult {
    Copy::new(None)?.run(device(dst_device), any(src_host.0), byte_count)
}

pub(crate) fn cuMemcpyDtoH_v2(
    dst_host: OutBytes,
    src_device: CuDevicePtr,
    byte_count: usize,
) -> CuResult {
    Copy::new(None)?.run(any(dst_host.0), device(src_device), byte_count)
}

pub(crate) fn cuMemcpyDtoD_v2(
    dst_device: CuDevicePtr,
    src_device: CuDevicePtr,
    byte_count: usize,
) -> CuResult {
    Copy::new(None)?.run(device(dst_device), device(src_device), byte_count)
}

pub(crate) fn cuMemcpyHtoDAsync_v2(
    dst_device: CuDevicePtr,
    src_host: InBytes,
    byte_count: usize,
    stream: CuStream,
) -> CuResult {
    Copy::new(Some(stream))?.run(device(dst_device), any(src_host.0), byte_count)
}

pub(crate) fn cuMemcpyDtoHAsync_v2(
    dst_host: OutBytes,
    src_device: CuDevicePtr,
    byte_count: usize,
    stream: CuStream,
) -> CuResult {
    Copy::new(Some(stream))?.run(any(dst_host.0), device(src_device), byte_count)
}

pub(crate) fn cuMemcpyDtoDAsync_v2(
    dst_device: CuDevicePtr,
    src_device: CuDevicePtr,
    byte_count: usize,
    stream: CuStream,
) -> CuResult {
    Copy::new(Some(stream))?.run(device(dst_device), device(src_device), byte_count)
}

/// `cuMemcpy` and, with a stream, `cuMemcpyAsync`.
pub(crate) fn copy_between(
    to: CuDevicePtr,
    from: CuDevicePtr,
    len: usize,
    stream: Option<CuStream>,
) -> CuResult {
    Copy::new(stream)?.run((to.0, Claimed::Any), (from.0, Claimed::Any), len)
}

/// A copy of rows that lie one behind the other at both ends; `true` with an address that must be
/// one of device memory.
pub(super) fn copy_packed(
    stream: Option<CuStream>,
    to: (u64, bool),
    from: (u64, bool),
    len: usize,
) -> CuResult {
    let claimed = |(address, is_device)| {
        let claimed = if is_device {
            Claimed::Device
        } else {
            Claimed::Any
        };
        (address, claimed)
    };
    Copy::new(stream)?.run(claimed(to), claimed(from), len)
}
