//! JIT options: where the application reads what the compiler says of its PTX.
//!
//! Buffers and the places of their lengths are named when an image is loaded or a link is begun,
//! and are the application's until that ends (CUDA Driver API, CUjit_option). The other options
//! choose how code is generated: there is none, so they change nothing.

use std::ffi::c_void;
use std::time::Instant;

use flexdirect_wire::abi::{CuError, CuJitOption, Out};

use crate::module::Refused;
use crate::raw::{self, Span};

/// The logs of one load or one link.
#[derive(Debug)]
pub(crate) struct JitLog {
    info: Option<Buffer>,
    error: Option<Buffer>,
    /// Where the time in milliseconds goes, as a float in the place of the option's value.
    wall_time: Option<Span>,
    is_verbose: bool,
    start: Instant,
}

/// One of the two buffers.
#[derive(Debug)]
struct Buffer {
    room: Span,
    /// Where its length stood, and the length that was written goes.
    len: Span,
    text: String,
}

impl JitLog {
    /// From JIT options and their values.
    pub(crate) fn new(count: u32, options: Out<CuJitOption>, values: *mut *mut c_void) -> Self {
        let count = if values.is_null() { 0 } else { count as usize };
        let options = raw::numbers(options.0.cast::<u32>().cast_const(), count);
        let given = raw::pointers(values, options.len());
        let at = |option: u32| options.iter().position(|&number| number == option);
        let place = |index: usize| {
            let address = values.wrapping_add(index).expose_provenance() as u64;
            Span::new(address, size_of::<usize>())
        };
        let buffer = |buffer: u32, len: u32| {
            let (buffer, len) = (at(buffer)?, at(len)?);
            let address = given[buffer].expose_provenance() as u64;
            let room = if address == 0 { 0 } else { given[len].addr() };
            Some(Buffer {
                room: Span::new(address, room),
                len: place(len),
                text: String::new(),
            })
        };
        Self {
            info: buffer(INFO_BUFFER, INFO_LEN),
            error: buffer(ERROR_BUFFER, ERROR_LEN),
            wall_time: at(WALL_TIME).map(place),
            is_verbose: at(VERBOSE).is_some_and(|index| given[index].addr() != 0),
            start: Instant::now(),
        }
    }

    /// Adds a line of information, if the application wants such lines.
    pub(crate) fn inform(&mut self, line: impl FnOnce() -> String) {
        if let Some(info) = self.info.as_mut().filter(|_| self.is_verbose) {
            info.add(&line());
        }
    }

    /// Writes both logs and the time where the application reads them; of a refusal, why.
    pub(crate) fn report<T>(&mut self, result: Result<T, Refused>) -> Result<T, CuError> {
        if let (Err(refused), Some(error)) = (&result, self.error.as_mut()) {
            error.add(&refused.reason);
        }
        for buffer in [&self.info, &self.error].into_iter().flatten() {
            buffer.write();
        }
        if let Some(place) = self.wall_time {
            let time_ms = self.start.elapsed().as_secs_f32() * 1e3;
            place.write(&time_ms.to_le_bytes());
        }
        result.map_err(|refused| refused.error)
    }
}

impl Buffer {
    fn add(&mut self, line: &str) {
        // What there is no room for is not kept.
        if self.text.len() < self.room.len() {
            if !self.text.is_empty() {
                self.text.push('\n');
            }
            self.text.push_str(line);
        }
    }

    /// As much as there is room for, the zero that ends it included; the length written does not
    /// count the zero.
    fn write(&self) {
        if self.room.len() == 0 {
            return;
        }
        let len = self.text.len().min(self.room.len().saturating_sub(1));
        let mut bytes = self.text.as_bytes()[..len].to_vec();
        bytes.push(0);
        self.room.write(&bytes);
        self.len.write(&len.to_le_bytes());
    }
}

/// CU_JIT_WALL_TIME and others (CUDA Driver API, CUjit_option).
const WALL_TIME: u32 = 2;
const INFO_BUFFER: u32 = 3;
const INFO_LEN: u32 = 4;
const ERROR_BUFFER: u32 = 5;
const ERROR_LEN: u32 = 6;
const VERBOSE: u32 = 12;
