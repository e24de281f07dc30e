//! Links: all inputs come at once, and each step is done from the start, so that nothing of a link
//! stays here between two calls but its image on its way out.
#![expect(non_snake_case, reason = "CUDA's own names keep CUDA's spelling")]

use std::ffi::{CString, c_void};
use std::sync::Arc;

use flexdirect_transport::Span;
use flexdirect_wire::CuError;
use flexdirect_wire::abi::{self, CuJitInputType, CuJitOption, CuLinkState, CuResult, OptOut, Out};
use flexdirect_wire::body::{Link, link};
use flexdirect_wire::limits::{CHUNK_LEN, INLINE_LEN_MAX};
use flexdirect_wire::record::Reader;

use crate::dispatch::{Call, Step, Stop};
use crate::driver::Driver;
use crate::session::Session;

pub(crate) fn cuLinkComplete(call: &mut Call<'_>) -> Result<Step, Stop> {
    let request: Link = call.body.get()?;
    let thread = call.header.thread;
    let bytes = call.session.tables().images.take(thread)?;
    if bytes.len() as u64 != request.len {
        return Err(call.bad("length of the inputs", request.len));
    }
    if request.what == link::FETCH {
        return Call::later(move |desk| put(desk.session, request.landing, &bytes));
    }
    let rooms = [request.info_len, request.error_len].map(|len| len.min(LOG_LEN_MAX) as usize);
    if request.options > OPTIONS_MAX {
        return Err(call.bad("number of options", u64::from(request.options)));
    }
    let mut options = Vec::new();
    for _ in 0..request.options {
        let (option, value) = (call.body.u64()?, call.body.u64()?);
        let option = u32::try_from(option).map_err(|_| CuError::INVALID_VALUE)?;
        if !PLAIN_OPTIONS.contains(&option) {
            return Err(CuError::INVALID_VALUE.into());
        }
        options.push((option, value));
    }
    call.context()?;
    Call::later(move |desk| {
        let inputs = inputs(&bytes).ok_or(CuError::INVALID_VALUE)?;
        let mut logs = Logs::new(&options, rooms);
        let is_whole = request.what == link::COMPLETE;
        let linked = run(&desk.session.driver, &mut logs, &inputs, is_whole);
        let status = abi::code(linked.as_ref().map(|_| ()).map_err(|&error| error));
        let image = linked.unwrap_or_default();
        let is_inline = image.len() <= INLINE_LEN_MAX;
        if !is_inline && !desk.session.tables().images.append(thread, true, &image) {
            return Err(CuError::OUT_OF_MEMORY);
        }
        let mut answer = desk.answer();
        answer.u64(u64::from(status));
        answer.bytes(logs.text(0));
        answer.bytes(logs.text(1));
        answer.u64(image.len() as u64);
        answer.raw(if is_inline { &image } else { &[] });
        Ok(())
    })
}

/// Puts an image to the client's landing.
fn put(session: &Arc<Session>, landing: u64, image: &[u8]) -> CuResult {
    let mut offset = 0;
    for piece in image.chunks(CHUNK_LEN) {
        let span = Span {
            region: landing,
            offset,
            len: piece.len() as u64,
        };
        let put = session.link.put(span, piece);
        put.map_err(|_| CuError::DEVICE_UNAVAILABLE)?;
        offset += span.len;
    }
    Ok(())
}

/// One input of a link.
struct Input<'a> {
    kind: CuJitInputType,
    name: CString,
    bytes: &'a [u8],
}

/// Kind, name and bytes of each, one after the other.
fn inputs(bytes: &[u8]) -> Option<Vec<Input<'_>>> {
    let mut reader = Reader::new(bytes);
    let count = reader.u64().ok()?;
    let mut inputs = Vec::new();
    for _ in 0..count {
        let kind = u32::try_from(reader.u64().ok()?).ok()?;
        let name = reader.text().ok()?.to_owned();
        inputs.push(Input {
            kind: CuJitInputType(kind),
            name,
            bytes: reader.bytes().ok()?,
        });
    }
    Some(inputs)
}

/// Options of a link, with two logs as the last four of them.
struct Logs {
    options: Vec<CuJitOption>,
    values: Vec<*mut c_void>,
    buffers: [Vec<u8>; 2],
}

impl Logs {
    fn new(plain: &[(u32, u64)], rooms: [usize; 2]) -> Self {
        let mut logs = Self {
            options: plain
                .iter()
                .map(|&(option, _)| CuJitOption(option))
                .collect(),
            values: plain.iter().map(|&(_, value)| number(value)).collect(),
            buffers: rooms.map(|room| vec![0; room.max(1)]),
        };
        let numbers = [(INFO_BUFFER, INFO_LEN), (ERROR_BUFFER, ERROR_LEN)];
        for (buffer, (pointer, len)) in logs.buffers.iter_mut().zip(numbers) {
            logs.options
                .extend([CuJitOption(pointer), CuJitOption(len)]);
            logs.values
                .extend([buffer.as_mut_ptr().cast(), number(buffer.len() as u64)]);
        }
        logs
    }

    /// The text of a log, up to its zero.
    fn text(&self, log: usize) -> &[u8] {
        let text = &self.buffers[log];
        text.split(|&byte| byte == 0).next().unwrap_or_default()
    }
}

fn number(value: u64) -> *mut c_void {
    std::ptr::without_provenance_mut(usize::try_from(value).unwrap_or(usize::MAX))
}

/// Links, or looks whether the inputs could be linked so far; the image, if there is one.
fn run(
    driver: &Driver,
    logs: &mut Logs,
    inputs: &[Input<'_>],
    is_whole: bool,
) -> Result<Vec<u8>, CuError> {
    let count = u32::try_from(logs.options.len()).expect("at most OPTIONS_MAX and four");
    let mut state = CuLinkState::default();
    // SAFETY: options and values are as many as it says, and with the logs outlive the link, which
    // ends below.
    unsafe {
        driver.cuLinkCreate_v2(
            count,
            Out(logs.options.as_mut_ptr()),
            logs.values.as_mut_ptr(),
            Out(&raw mut state),
        )
    }?;
    let linked = steps(driver, state, inputs, is_whole);
    // SAFETY: the link was begun above and nobody else knows it.
    let _ = unsafe { driver.cuLinkDestroy(state) };
    linked
}

fn steps(
    driver: &Driver,
    state: CuLinkState,
    inputs: &[Input<'_>],
    is_whole: bool,
) -> Result<Vec<u8>, CuError> {
    for input in inputs {
        // SAFETY: the bytes and the name outlive the call, which only reads them; no options.
        unsafe {
            driver.cuLinkAddData_v2(
                state,
                input.kind,
                input.bytes.as_ptr().cast_mut().cast(),
                input.bytes.len(),
                input.name.as_ptr(),
                0,
                std::ptr::null_mut(),
                std::ptr::null_mut(),
            )
        }?;
    }
    if !is_whole {
        return Ok(Vec::new());
    }
    let (mut image, mut len) = (std::ptr::null_mut::<c_void>(), 0_usize);
    // SAFETY: the pointers are to locals.
    unsafe { driver.cuLinkComplete(state, Out(&raw mut image), OptOut(&raw mut len)) }?;
    if image.is_null() {
        return Err(CuError::UNKNOWN);
    }
    // SAFETY: the driver says that the image has this many bytes, until the link is destroyed.
    Ok(unsafe { std::slice::from_raw_parts(image.cast::<u8>(), len) }.to_vec())
}

/// Options whose values are numbers (CUDA Driver API, CUjit_option): registers, threads, level of
/// optimisation, target, fallback, debug information, verbose log, line information, cache mode.
const PLAIN_OPTIONS: [u32; 11] = [0, 1, 7, 8, 9, 10, 11, 12, 13, 14, 15];
/// More options than there are.
const OPTIONS_MAX: u32 = 64;
/// Bytes of a log, at most.
const LOG_LEN_MAX: u32 = 64 << 10;

const INFO_BUFFER: u32 = 3;
const INFO_LEN: u32 = 4;
const ERROR_BUFFER: u32 = 5;
const ERROR_LEN: u32 = 6;
