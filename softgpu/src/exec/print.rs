//! Functions that device code calls but does not define: `vprintf`, `__assertfail`, `malloc`,
//! `free`.

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

/// One conversion of a format.
#[derive(Default)]
struct Conversion {
    left: bool,
    plus: bool,
    space: bool,
    alternate: bool,
    zero: bool,
    width: usize,
    precision: Option<usize>,
    long: bool,
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
            one.long |= b"ljzt".contains(&size);
        }
        let Some(kind) = rest.next() else { break };
        if kind == b'%' {
            output.push(b'%');
            continue;
        }
        let text = one.convert(kind, arguments)?;
        output.extend_from_slice(&text);
        count += 1;
    }
    Ok((output, count))
}

impl Conversion {
    fn convert(&self, kind: u8, arguments: &mut Arguments<'_, '_>) -> Read<Vec<u8>> {
        let size = if self.long { 8 } else { 4 };
        Ok(match kind {
            b'd' | b'i' => {
                let value = arguments.next(size)?;
                let value = if self.long {
                    value as i64
                } else {
                    i64::from(value as u32 as i32)
                };
                self.number(value < 0, "", value.unsigned_abs().to_string())
            }
            b'u' => self.number(false, "", arguments.next(size)?.to_string()),
            b'x' | b'X' | b'o' => {
                let value = arguments.next(size)?;
                let digits = match kind {
                    b'x' => format!("{value:x}"),
                    b'X' => format!("{value:X}"),
                    _ => format!("{value:o}"),
                };
                let prefix = match kind {
                    _ if !self.alternate || value == 0 => "",
                    b'x' => "0x",
                    b'X' => "0X",
                    _ => "0",
                };
                self.number(false, prefix, digits)
            }
            b'p' => {
                let value = arguments.next(8)?;
                let text = if value == 0 {
                    "(nil)".to_owned()
                } else {
                    format!("0x{value:x}")
                };
                self.pad(text.into_bytes(), 0, false)
            }
            b'c' => self.pad(vec![arguments.next(4)? as u8], 0, false),
            b's' => {
                let address = arguments.next(8)?;
                let mut bytes = if address == 0 {
                    b"(null)".to_vec()
                } else {
                    text(arguments.env, arguments.thread, address)?
                };
                bytes.truncate(self.precision.unwrap_or(usize::MAX));
                self.pad(bytes, 0, false)
            }
            b'f' | b'F' | b'e' | b'E' | b'g' | b'G' | b'a' | b'A' => {
                self.float(kind, f64::from_bits(arguments.next(8)?))
            }
            // What is no conversion is printed as it stands.
            other => vec![b'%', other],
        })
    }

    fn number(&self, negative: bool, prefix: &str, digits: String) -> Vec<u8> {
        let mut digits = digits;
        if let Some(precision) = self.precision {
            if digits == "0" && precision == 0 {
                digits.clear();
            }
            digits.insert_str(0, &"0".repeat(precision.saturating_sub(digits.len())));
        }
        let mut text = self.sign(negative).to_owned();
        text.push_str(prefix);
        let head = text.len();
        text.push_str(&digits);
        self.pad(text.into_bytes(), head, self.precision.is_none())
    }

    fn sign(&self, negative: bool) -> &'static str {
        match (negative, self.plus, self.space) {
            (true, ..) => "-",
            (_, true, _) => "+",
            (_, _, true) => " ",
            _ => "",
        }
    }

    fn float(&self, kind: u8, value: f64) -> Vec<u8> {
        let upper = kind.is_ascii_uppercase();
        let size = value.abs();
        let precision = self.precision.unwrap_or(6);
        let mut body = if size.is_nan() {
            "nan".to_owned()
        } else if size.is_infinite() {
            "inf".to_owned()
        } else {
            match kind.to_ascii_lowercase() {
                b'f' => format!("{size:.precision$}"),
                b'e' => exponential(size, precision),
                b'g' => general(size, precision.max(1), self.alternate),
                _ => hexadecimal(size),
            }
        };
        if upper {
            body = body.to_uppercase();
        }
        let sign = self.sign(value.is_sign_negative() && !value.is_nan());
        let text = format!("{sign}{body}").into_bytes();
        self.pad(text, sign.len(), value.is_finite())
    }

    /// Fills up to the width; zeros go after the `head` bytes of sign and prefix.
    fn pad(&self, mut text: Vec<u8>, head: usize, zeros: bool) -> Vec<u8> {
        let missing = self.width.saturating_sub(text.len());
        if self.left {
            text.resize(text.len() + missing, b' ');
        } else if self.zero && zeros {
            text.splice(head..head, std::iter::repeat_n(b'0', missing));
        } else {
            text.splice(0..0, std::iter::repeat_n(b' ', missing));
        }
        text
    }
}

fn exponential(size: f64, precision: usize) -> String {
    let text = format!("{size:.precision$e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

fn general(size: f64, precision: usize, alternate: bool) -> String {
    let rounded = format!("{size:.*e}", precision - 1);
    let exponent: i32 = rounded
        .split_once('e')
        .and_then(|(_, exponent)| exponent.parse().ok())
        .unwrap_or(0);
    let trim = |text: String| {
        if alternate || !text.contains('.') {
            return text;
        }
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    if exponent < -4 || exponent >= precision as i32 {
        let text = exponential(size, precision - 1);
        let (digits, tail) = text.split_once('e').unwrap_or((&text, "+00"));
        return format!("{}e{tail}", trim(digits.to_owned()));
    }
    let places = (precision as i32 - 1 - exponent).max(0) as usize;
    trim(format!("{size:.places$}"))
}

fn hexadecimal(size: f64) -> String {
    let bits = size.to_bits();
    let (exponent, fraction) = ((bits >> 52) as i64, bits & ((1 << 52) - 1));
    if size == 0.0 {
        return "0x0p+0".to_owned();
    }
    let (lead, exponent) = if exponent == 0 {
        (0, -1022)
    } else {
        (1, exponent - 1023)
    };
    let digits = format!("{fraction:013x}");
    let digits = digits.trim_end_matches('0');
    let point = if digits.is_empty() { "" } else { "." };
    format!("0x{lead}{point}{digits}p{exponent:+}")
}

/// A device string longer than this is not one; CUDA's whole buffer is 1 MiB.
const TEXT_BYTES_MAX: usize = 1 << 20;
const WIDTH_MAX: i64 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_look_as_c_prints_them() {
        let one = Conversion::default();
        let show = |kind, value| String::from_utf8(one.float(kind, value)).unwrap();
        assert_eq!(show(b'f', 1.5), "1.500000");
        assert_eq!(show(b'e', 12345.678), "1.234568e+04");
        assert_eq!(show(b'g', 0.0001), "0.0001");
        assert_eq!(show(b'g', 1e-5), "1e-05");
        assert_eq!(show(b'g', 1e6), "1e+06");
        assert_eq!(show(b'g', 123456.0), "123456");
        assert_eq!(show(b'f', -0.0), "-0.000000");
        assert_eq!(show(b'F', f64::INFINITY), "INF");
        assert_eq!(show(b'a', 1.0), "0x1p+0");
    }

    #[test]
    fn widths_and_precisions_pad() {
        let show = |one: Conversion, value: u64| {
            String::from_utf8(one.number(false, "", value.to_string())).unwrap()
        };
        assert_eq!(
            show(
                Conversion {
                    width: 5,
                    ..Default::default()
                },
                42
            ),
            "   42"
        );
        assert_eq!(
            show(
                Conversion {
                    width: 5,
                    zero: true,
                    ..Default::default()
                },
                42
            ),
            "00042"
        );
        assert_eq!(
            show(
                Conversion {
                    width: 5,
                    left: true,
                    ..Default::default()
                },
                42
            ),
            "42   "
        );
        assert_eq!(
            show(
                Conversion {
                    precision: Some(4),
                    ..Default::default()
                },
                42
            ),
            "0042"
        );
    }
}
