//! Links: inputs are gathered here and sent with every step, so that what is wrong with an input is
//! told when it is added; the image that comes back is the application's until the link ends.

#![expect(non_snake_case, reason = "CUDA's own names keep CUDA's spelling")]

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, c_char, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use flexdirect_wire::abi::{
    CuError, CuJitInputType, CuJitOption, CuLinkState, CuResult, InOut, InStr, OptOut, Out, OutStr,
};
use flexdirect_wire::body::{self, Link as Request};
use flexdirect_wire::call::op;
use flexdirect_wire::limits::{IMAGE_LEN_MAX, INLINE_LEN_MAX};
use flexdirect_wire::record::{Reader, WireError, Writer};
use zerocopy::IntoBytes;

use super::module::{lock, send};
use super::wanted;
use crate::log;
use crate::process::{body, here, process};
use crate::session::{Issue, Landing};

/// A link in progress.
#[derive(Debug)]
struct Link {
    issue: Issue,
    options: Vec<(u32, u64)>,
    logs: [Option<Log>; 2],
    /// Where the time in milliseconds goes: an address.
    wall_time: Option<usize>,
    start: Instant,
    /// Kind, name and bytes of each input.
    inputs: Vec<u8>,
    count: u64,
    image: Option<Vec<u8>>,
}

/// Memory of the application for a log: addresses.
#[derive(Clone, Copy, Debug)]
struct Log {
    buffer: usize,
    room: usize,
    /// Where the length goes.
    len: usize,
}

pub(crate) fn cuLinkCreate_v2(
    num_options: u32,
    options: Out<CuJitOption>,
    option_values: *mut *mut c_void,
    state_out: Out<CuLinkState>,
) -> CuResult {
    let here = here()?;
    here.process.session.check_context(here.context.handle)?;
    wanted(state_out.is_null())?;
    let mut link = Link {
        issue: here.issue(op::cuLinkComplete),
        options: Vec::new(),
        logs: [None; 2],
        wall_time: None,
        start: Instant::now(),
        inputs: Vec::new(),
        count: 0,
        image: None,
    };
    link.read_options(num_options, options, option_values)?;
    let mut links = lock(&LINKS);
    let handle = links.last_key_value().map_or(FIRST, |(last, _)| last + 16);
    links.insert(handle, Arc::new(Mutex::new(link)));
    state_out.write(CuLinkState(handle))
}

#[expect(clippy::too_many_arguments, reason = "the call has as many")]
pub(crate) fn cuLinkAddData_v2(
    state: CuLinkState,
    type_: CuJitInputType,
    data: *mut c_void,
    size: usize,
    name: *const c_char,
    _num_options: u32,
    _options: *mut CuJitOption,
    _option_values: *mut *mut c_void,
) -> CuResult {
    let link = find(state)?;
    wanted(data.is_null() || size == 0)?;
    let name = InStr(name.cast_mut());
    let name = name
        .text()
        .map_or_else(|_| c"<unnamed>".to_owned(), ToOwned::to_owned);
    // SAFETY: the application says that `size` bytes can be read there during the call.
    let bytes = unsafe { std::slice::from_raw_parts(data.cast::<u8>().cast_const(), size) };
    lock(&link).add(type_, &name, bytes)
}

pub(crate) fn cuLinkAddFile_v2(
    state: CuLinkState,
    type_: CuJitInputType,
    path: InStr,
    _num_options: u32,
    _options: *mut CuJitOption,
    _option_values: *mut *mut c_void,
) -> CuResult {
    let link = find(state)?;
    let name = path.text()?.to_owned();
    let path = Path::new(OsStr::from_bytes(name.as_bytes()));
    let bytes = std::fs::read(path).map_err(|error| {
        log::warning!("input of a link {}: {error}", path.display());
        CuError::FILE_NOT_FOUND
    })?;
    lock(&link).add(type_, &name, &bytes)
}

pub(crate) fn cuLinkComplete(
    state: CuLinkState,
    cubin_out: Out<*mut c_void>,
    size_out: OptOut<usize>,
) -> CuResult {
    wanted(cubin_out.is_null())?;
    let link = find(state)?;
    let mut link = lock(&link);
    if link.image.is_none() {
        link.image = Some(link.step(body::link::COMPLETE)?);
    }
    let image = link.image.as_mut().expect("it was made above");
    let len = image.len();
    cubin_out.write(image.as_mut_ptr().cast())?;
    size_out.write(len);
    Ok(())
}

pub(crate) fn cuLinkDestroy(state: CuLinkState) -> CuResult {
    process()?;
    lock(&LINKS)
        .remove(&state.0)
        .map(drop)
        .ok_or(CuError::INVALID_HANDLE)
}

fn find(state: CuLinkState) -> Result<Arc<Mutex<Link>>, CuError> {
    process()?;
    lock(&LINKS)
        .get(&state.0)
        .cloned()
        .ok_or(CuError::INVALID_HANDLE)
}

impl Link {
    fn read_options(
        &mut self,
        count: u32,
        options: Out<CuJitOption>,
        values: *mut *mut c_void,
    ) -> CuResult {
        let count = if values.is_null() || options.is_null() {
            0
        } else {
            count as usize
        };
        let (mut buffers, mut lens) = ([0_usize; 2], [None; 2]);
        for index in 0..count {
            let place = values.wrapping_add(index);
            let value = InOut(place).read()?.addr();
            match InOut(options.0.wrapping_add(index)).read()?.0 {
                WALL_TIME => self.wall_time = Some(place.expose_provenance()),
                INFO_BUFFER => buffers[0] = InOut(place).read()?.expose_provenance(),
                ERROR_BUFFER => buffers[1] = InOut(place).read()?.expose_provenance(),
                INFO_LEN => lens[0] = Some((value, place.expose_provenance())),
                ERROR_LEN => lens[1] = Some((value, place.expose_provenance())),
                option if PLAIN_OPTIONS.contains(&option) => {
                    self.options.push((option, value as u64));
                }
                other => log::info!("JIT option {other} is not passed on"),
            }
        }
        for (log, (buffer, len)) in self.logs.iter_mut().zip(buffers.into_iter().zip(lens)) {
            let Some((room, len)) = len.filter(|&(room, _)| buffer != 0 && room > 0) else {
                continue;
            };
            *log = Some(Log { buffer, room, len });
        }
        Ok(())
    }

    /// Adds an input, which the driver takes or refuses at once. One that is refused is not kept.
    fn add(&mut self, kind: CuJitInputType, name: &CString, bytes: &[u8]) -> CuResult {
        if self.image.is_some() || kind.0 > KIND_MAX {
            return Err(CuError::INVALID_VALUE);
        }
        let before = self.inputs.len();
        let mut input = Writer::body(&mut self.inputs);
        input.u64(u64::from(kind.0));
        input.bytes(name.as_bytes_with_nul());
        input.bytes(bytes);
        self.count += 1;
        self.step(body::link::CHECK).map(drop).inspect_err(|_| {
            self.inputs.truncate(before);
            self.count -= 1;
        })
    }

    /// One step, after which the application's logs are up to date; the image, if it makes one.
    fn step(&mut self, what: u32) -> Result<Vec<u8>, CuError> {
        let session = &process()?.session;
        let mut inputs = self.count.to_le_bytes().to_vec();
        inputs.extend_from_slice(&self.inputs);
        if inputs.len() > IMAGE_LEN_MAX {
            return Err(CuError::OUT_OF_MEMORY);
        }
        send(process()?, self.issue, &inputs)?;
        let room = |log: Option<Log>| log.map_or(0, |log| u32::try_from(log.room).unwrap_or(!0));
        let request = Request {
            len: inputs.len() as u64,
            landing: 0,
            what,
            options: u32::try_from(self.options.len()).unwrap_or(u32::MAX),
            info_len: room(self.logs[0]),
            error_len: room(self.logs[1]),
        };
        let body = body(|record| {
            record.put(&request);
            for &(option, value) in &self.options {
                record.u64(u64::from(option));
                record.u64(value);
            }
            Ok(())
        })?;
        let reply = session.call(self.issue, &body)?;
        let mut answer = reply.made()?;
        let broken = |error: WireError| session.broken(&error);
        let status = self.report(&mut answer).map_err(broken)?;
        let len = usize::try_from(answer.u64().map_err(broken)?).unwrap_or(usize::MAX);
        CuError::check(status)?;
        if len <= INLINE_LEN_MAX {
            return Ok(answer.raw(len).map_err(broken)?.to_vec());
        }
        if len > IMAGE_LEN_MAX {
            return Err(CuError::OUT_OF_MEMORY);
        }
        self.fetch(len)
    }

    /// Gets an image that was too long for a reply.
    fn fetch(&self, len: usize) -> Result<Vec<u8>, CuError> {
        let session = &process()?.session;
        let mut image = vec![0; len];
        // SAFETY: the memory is not used otherwise until `call_into` has returned.
        let landing = unsafe { Landing::new(image.as_mut_ptr(), len as u64) };
        let number = session.landings().enter(landing);
        let request = Request {
            len: len as u64,
            landing: number,
            what: body::link::FETCH,
            ..Request::default()
        };
        let reply = session.call_into(self.issue, request.as_bytes(), number)?;
        reply.check()?;
        Ok(image)
    }

    /// Writes logs and time where the application reads them; returns the status of the step.
    fn report(&self, answer: &mut Reader<'_>) -> Result<u32, WireError> {
        let status = u32::try_from(answer.u64()?).unwrap_or(u32::MAX);
        for log in &self.logs {
            let text = answer.bytes()?;
            let Some(log) = log else { continue };
            let text = &text[..text.len().min(log.room - 1)];
            let place = std::ptr::with_exposed_provenance_mut::<c_char>(log.buffer);
            let len = std::ptr::with_exposed_provenance_mut::<usize>(log.len);
            // Neither is null.
            let _ = OutStr(place).write(&String::from_utf8_lossy(text), log.room);
            let _ = Out(len).write(text.len());
        }
        if let Some(place) = self.wall_time {
            let time_ms = self.start.elapsed().as_secs_f32() * 1e3;
            let _ = Out(std::ptr::with_exposed_provenance_mut::<f32>(place)).write(time_ms);
        }
        Ok(status)
    }
}

/// Every link by handle.
static LINKS: Mutex<BTreeMap<u64, Arc<Mutex<Link>>>> = Mutex::new(BTreeMap::new());

/// The first handle.
const FIRST: u64 = 0x1000;
/// `CU_JIT_INPUT_LIBRARY`, the last that can be taken.
const KIND_MAX: u32 = 4;
/// Options whose values are numbers (CUDA Driver API, CUjit_option): see the worker.
const PLAIN_OPTIONS: [u32; 11] = [0, 1, 7, 8, 9, 10, 11, 12, 13, 14, 15];
/// `CU_JIT_WALL_TIME` and others.
const WALL_TIME: u32 = 2;
const INFO_BUFFER: u32 = 3;
const INFO_LEN: u32 = 4;
const ERROR_BUFFER: u32 = 5;
const ERROR_LEN: u32 = 6;
