//! The conversions of `printf`: how one value looks, as the host's C library shows it.

/// The size of an integer, by its modifier; it is promoted as C does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Size {
    /// `hh`
    Byte,
    /// `h`
    Short,
    #[default]
    Word,
    /// `l`, `ll`, `j`, `z`, `t`
    Long,
}

/// One conversion of a format.
#[derive(Debug, Default)]
pub(super) struct Conversion {
    pub(super) left: bool,
    pub(super) plus: bool,
    pub(super) space: bool,
    pub(super) alternate: bool,
    pub(super) zero: bool,
    pub(super) width: usize,
    pub(super) precision: Option<usize>,
    pub(super) size: Size,
}

impl Conversion {
    /// Bytes of an integer among the arguments.
    pub(super) fn bytes(&self) -> u32 {
        if self.size == Size::Long { 8 } else { 4 }
    }

    pub(super) fn signed(&self, bits: u64) -> Vec<u8> {
        let value = match self.size {
            Size::Byte => i64::from(bits as i8),
            Size::Short => i64::from(bits as i16),
            Size::Word => i64::from(bits as i32),
            Size::Long => bits as i64,
        };
        let digits = self.digits(value.unsigned_abs().to_string());
        let sign = self.sign(value < 0);
        self.padded(sign, "", digits, self.precision.is_none())
    }

    /// `u`, `x`, `X` or `o`, which have no sign.
    pub(super) fn unsigned(&self, kind: u8, bits: u64) -> Vec<u8> {
        let value = match self.size {
            Size::Byte => u64::from(bits as u8),
            Size::Short => u64::from(bits as u16),
            Size::Word => u64::from(bits as u32),
            Size::Long => bits,
        };
        let mut digits = self.digits(match kind {
            b'x' => format!("{value:x}"),
            b'X' => format!("{value:X}"),
            b'o' => format!("{value:o}"),
            _ => value.to_string(),
        });
        if kind == b'o' && self.alternate && !digits.starts_with('0') {
            digits.insert(0, '0');
        }
        let prefix = match kind {
            b'x' if self.alternate && value != 0 => "0x",
            b'X' if self.alternate && value != 0 => "0X",
            _ => "",
        };
        self.padded("", prefix, digits, self.precision.is_none())
    }

    /// The digits of a number, at least as many as the precision says.
    fn digits(&self, mut digits: String) -> String {
        if let Some(precision) = self.precision {
            if digits == "0" && precision == 0 {
                digits.clear();
            }
            digits.insert_str(0, &"0".repeat(precision.saturating_sub(digits.len())));
        }
        digits
    }

    pub(super) fn pointer(&self, address: u64) -> Vec<u8> {
        if address == 0 {
            return self.text(b"(nil)".to_vec());
        }
        self.text(format!("0x{address:x}").into_bytes())
    }

    pub(super) fn text(&self, bytes: Vec<u8>) -> Vec<u8> {
        self.pad(bytes, 0, false)
    }

    /// A null pointer instead of a text: a mark, unless it would be cut.
    pub(super) fn no_text(&self) -> Vec<u8> {
        let mark = b"(null)";
        let fits = self.precision.is_none_or(|most| most >= mark.len());
        self.text(if fits { mark.to_vec() } else { Vec::new() })
    }

    pub(super) fn float(&self, kind: u8, value: f64) -> Vec<u8> {
        let size = value.abs();
        let precision = self.precision.unwrap_or(6);
        let (mut prefix, mut body) = ("", String::new());
        if size.is_nan() {
            body.push_str("nan");
        } else if size.is_infinite() {
            body.push_str("inf");
        } else {
            body = match kind.to_ascii_lowercase() {
                b'f' => self.pointed(format!("{size:.precision$}")),
                b'e' => self.exponential(size, precision),
                b'g' => self.general(size, precision.max(1)),
                _ => {
                    prefix = "0x";
                    self.hexadecimal(size)
                }
            };
        }
        if kind.is_ascii_uppercase() {
            body = body.to_uppercase();
            prefix = if prefix.is_empty() { "" } else { "0X" };
        }
        let sign = self.sign(value.is_sign_negative());
        self.padded(sign, prefix, body, value.is_finite())
    }

    fn sign(&self, negative: bool) -> &'static str {
        match (negative, self.plus, self.space) {
            (true, ..) => "-",
            (_, true, _) => "+",
            (_, _, true) => " ",
            _ => "",
        }
    }

    fn padded(&self, sign: &str, prefix: &str, body: String, zeros: bool) -> Vec<u8> {
        let head = sign.len() + prefix.len();
        self.pad(format!("{sign}{prefix}{body}").into_bytes(), head, zeros)
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

    /// `#`: a decimal point even where no digit follows it.
    fn pointed(&self, mut digits: String) -> String {
        if self.alternate && !digits.contains('.') {
            digits.push('.');
        }
        digits
    }

    fn exponential(&self, size: f64, precision: usize) -> String {
        let text = format!("{size:.precision$e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let exponent: i32 = exponent.parse().unwrap_or(0);
        let sign = if exponent < 0 { '-' } else { '+' };
        let digits = self.pointed(digits.to_owned());
        format!("{digits}e{sign}{:02}", exponent.abs())
    }

    fn general(&self, size: f64, precision: usize) -> String {
        let rounded = format!("{size:.*e}", precision - 1);
        let exponent: i32 = rounded
            .split_once('e')
            .and_then(|(_, exponent)| exponent.parse().ok())
            .unwrap_or(0);
        let trim = |text: String| {
            if self.alternate || !text.contains('.') {
                return text;
            }
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        };
        if exponent < -4 || exponent >= precision as i32 {
            let text = self.exponential(size, precision - 1);
            let (digits, tail) = text.split_once('e').unwrap_or((&text, "+00"));
            return format!("{}e{tail}", trim(digits.to_owned()));
        }
        let places = (precision as i32 - 1 - exponent).max(0) as usize;
        trim(self.pointed(format!("{size:.places$}")))
    }

    /// Without the `0x`. As many digits as the number needs, or rounded to the precision.
    fn hexadecimal(&self, size: f64) -> String {
        const FRACTION_DIGITS: usize = 13;
        let bits = size.to_bits();
        let (field, fraction) = ((bits >> 52) as i64, bits & ((1 << 52) - 1));
        let exponent = match (field, fraction) {
            (0, 0) => 0,
            (0, _) => -1022,
            _ => field - 1023,
        };
        // The digit before the point, and the thirteen after it.
        let mut significand = fraction | u64::from(field != 0) << 52;
        let mut digits = FRACTION_DIGITS;
        if let Some(precision) = self.precision.filter(|&one| one < FRACTION_DIGITS) {
            let dropped = 4 * (FRACTION_DIGITS - precision) as u32;
            let (kept, rest) = (significand >> dropped, significand & ((1 << dropped) - 1));
            let middle = 1 << (dropped - 1);
            let up = rest > middle || rest == middle && kept & 1 == 1;
            (significand, digits) = (kept + u64::from(up), precision);
        }
        let lead = significand >> (4 * digits);
        let after = significand & ((1 << (4 * digits)) - 1);
        let mut text = match digits {
            0 => String::new(),
            _ => format!("{after:0digits$x}"),
        };
        match self.precision {
            None => text.truncate(text.trim_end_matches('0').len()),
            Some(precision) => text.push_str(&"0".repeat(precision.saturating_sub(digits))),
        }
        let point = if text.is_empty() && !self.alternate {
            ""
        } else {
            "."
        };
        format!("{lead:x}{point}{text}p{exponent:+}")
    }
}

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
        assert_eq!(show(b'a', 0.0), "0x0p+0");
        assert_eq!(show(b'a', f64::from_bits(1)), "0x0.0000000000001p-1022");
        assert_eq!(show(b'f', -f64::NAN), "-nan");
    }

    #[test]
    fn the_alternate_form_keeps_points_and_zeros() {
        let show = |kind, precision, value| {
            let one = Conversion {
                alternate: true,
                precision,
                ..Conversion::default()
            };
            String::from_utf8(one.float(kind, value)).unwrap()
        };
        assert_eq!(show(b'g', None, 1.0), "1.00000");
        assert_eq!(show(b'g', Some(1), 2.0), "2.");
        assert_eq!(show(b'G', None, 999_999.5), "1.00000E+06");
        assert_eq!(show(b'e', Some(0), 1.0), "1.e+00");
        assert_eq!(show(b'f', Some(0), 1.0), "1.");
        assert_eq!(show(b'a', None, 1.0), "0x1.p+0");
    }

    #[test]
    fn widths_and_precisions_pad() {
        let show =
            |one: Conversion, value: u64| String::from_utf8(one.unsigned(b'u', value)).unwrap();
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
