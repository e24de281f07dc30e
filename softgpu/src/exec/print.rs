//! Functions that device code calls but does not define: `vprintf`, `__assertfail`, `malloc`,
//! `free`.

mod conversion;

use self::conversion::{Conversion, Size};
use super::block::Env;
use super::code::{Call, Callee, Region};
use super::memory::Bad;
use super::warp::{Trouble, TroubleKind, Warp};

impl Warp {
    /// Runs the function for one lane; its arguments lie where its frame would be.
    pub(super) fn built_in(
        &mut self,
        env: &mut Env<'_>,
        call: &Call,
        lane: usize,
    ) -> Result<(), Trouble> {
        let thread = self.thread(lane);
        let frame = u64::from(self.local_bases[lane] + call.local_bytes);
        let bad = |(bad, address)| Trouble {
            lane,
            kind: TroubleKind::Memory(bad, address),
        };
        let argument = |env: &Env<'_>, index: usize| {
            let (_, offset, size) = call.arguments.get(index).copied().unwrap_or_default();
            let address = frame + u64::from(offset);
            env.spaces
                .load(Region::Local, thread, address, size.max(1))
                .map_err(|bad| (bad, address))
        };
        match call.callee {
            Callee::Print => {
                let format = argument(env, 0).map_err(bad)?;
                let values = argument(env, 1).map_err(bad)?;
                let mut arguments = Arguments {
                    env,
                    thread,
                    at: values,
                };
                let text = text(env, thread, format).map_err(bad)?;
                let (output, count) = format_text(&text, &mut arguments).map_err(bad)?;
                (env.launch.print)(&output);
                let result = env.spaces.store(Region::Local, thread, frame, 4, count);
                result.map_err(|kind| bad((kind, frame)))?;
            }
            Callee::AssertFail => {
                let read = |index| -> Result<String, (Bad, u64)> {
                    let bytes = text(env, thread, argument(env, index)?)?;
                    Ok(String::from_utf8_lossy(&bytes).into_owned())
                };
                let (condition, file, function) = (
                    read(0).map_err(bad)?,
                    read(1).map_err(bad)?,
                    read(3).map_err(bad)?,
                );
                let line = argument(env, 2).map_err(bad)?;
                let message = format!("{file}:{line}: {function}: {condition}");
                return Err(Trouble {
                    lane,
                    kind: TroubleKind::Assert(message),
                });
            }
            Callee::Allocate => {
                let len = argument(env, 0).map_err(bad)?;
                let heap = env.launch.extras.heap;
                let found = heap.and_then(|heap| heap.allocate(len)).unwrap_or(0);
                let result = env.spaces.store(Region::Local, thread, frame, 8, found);
                result.map_err(|kind| bad((kind, frame)))?;
            }
            Callee::Free => {
                let address = argument(env, 0).map_err(bad)?;
                if let Some(heap) = env.launch.extras.heap
                    && address != 0
                {
                    heap.free(address);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

type Read<T> = Result<T, (Bad, u64)>;

/// The bytes at a generic address up to their NUL.
fn text(env: &Env<'_>, thread: usize, address: u64) -> Read<Vec<u8>> {
    let mut bytes = Vec::new();
    while bytes.len() < TEXT_BYTES_MAX {
        let at = address.wrapping_add(bytes.len() as u64);
        match env
            .spaces
            .load(Region::Generic, thread, at, 1)
            .map_err(|bad| (bad, at))?
        {
            0 => break,
            byte => bytes.push(byte as u8),
        }
    }
    Ok(bytes)
}

/// The values after the format, packed as C promotes them, each at its natural alignment.
struct Arguments<'e, 'l> {
    env: &'e Env<'l>,
    thread: usize,
    at: u64,
}

impl Arguments<'_, '_> {
    fn next(&mut self, size: u32) -> Read<u64> {
        // An address that wraps is a fault soon enough.
        let mask = u64::from(size) - 1;
        let address = self.at.wrapping_add(mask) & !mask;
        self.at = address.wrapping_add(u64::from(size));
        let value = self
            .env
            .spaces
            .load(Region::Generic, self.thread, address, size);
        value.map_err(|bad| (bad, address))
    }
}

/// The output, and the number of conversions done.
fn format_text(format: &[u8], arguments: &mut Arguments<'_, '_>) -> Read<(Vec<u8>, u64)> {
    let mut output = Vec::with_capacity(format.len());
    let mut count = 0;
    let mut rest = format.iter().copied().peekable();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            output.push(byte);
            continue;
        }
        let mut one = Conversion::default();
        while let Some(&flag) = rest.peek() {
            match flag {
                b'-' => one.left = true,
                b'+' => one.plus = true,
                b' ' => one.space = true,
                b'#' => one.alternate = true,
                b'0' => one.zero = true,
                _ => break,
            }
            rest.next();
        }
        let mut number = |rest: &mut std::iter::Peekable<_>| -> Read<i64> {
            if rest.next_if_eq(&b'*').is_some() {
                return Ok(i64::from(arguments.next(4)? as u32 as i32));
            }
            let mut value = 0i64;
            while let Some(digit) = rest.next_if(u8::is_ascii_digit) {
                value = (value * 10 + i64::from(digit - b'0')).min(WIDTH_MAX);
            }
            Ok(value)
        };
        let width = number(&mut rest)?;
        one.left |= width < 0;
        one.width = width.unsigned_abs().min(WIDTH_MAX as u64) as usize;
        if rest.next_if_eq(&b'.').is_some() {
            let precision = number(&mut rest)?;
            one.precision = usize::try_from(precision.min(WIDTH_MAX)).ok();
        }
        while let Some(size) = rest.next_if(|byte| b"hljztL".contains(byte)) {
            one.size = match (size, one.size) {
                (b'h', Size::Short) => Size::Byte,
                (b'h', _) => Size::Short,
                (b'L', other) => other,
                _ => Size::Long,
            };
        }
        let Some(kind) = rest.next() else { break };
        if kind == b'%' {
            output.push(b'%');
            continue;
        }
        let text = convert(&one, kind, arguments)?;
        output.extend_from_slice(&text);
        count += 1;
    }
    Ok((output, count))
}

/// Reads the value of a conversion and shows it.
fn convert(one: &Conversion, kind: u8, arguments: &mut Arguments<'_, '_>) -> Read<Vec<u8>> {
    Ok(match kind {
        b'd' | b'i' => one.signed(arguments.next(one.bytes())?),
        b'u' | b'x' | b'X' | b'o' => one.unsigned(kind, arguments.next(one.bytes())?),
        b'p' => one.pointer(arguments.next(8)?),
        b'c' => one.text(vec![arguments.next(4)? as u8]),
        b's' => match arguments.next(8)? {
            0 => one.no_text(),
            address => {
                let mut bytes = text(arguments.env, arguments.thread, address)?;
                bytes.truncate(one.precision.unwrap_or(usize::MAX));
                one.text(bytes)
            }
        },
        b'f' | b'F' | b'e' | b'E' | b'g' | b'G' | b'a' | b'A' => {
            one.float(kind, f64::from_bits(arguments.next(8)?))
        }
        // What is no conversion is printed as it stands.
        other => vec![b'%', other],
    })
}

/// A device string longer than this is not one; CUDA's whole buffer is 1 MiB.
const TEXT_BYTES_MAX: usize = 1 << 20;
const WIDTH_MAX: i64 = 4096;
