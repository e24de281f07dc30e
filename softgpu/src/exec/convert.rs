//! Conversions between all types: `cvt` in its scalar and packed forms.

use super::float::Rounding;
use super::soft::{Format, Number};
use crate::ptx::ScalarType;

/// A `cvt` of one value, as its modifiers say.
pub(super) struct Conversion<'a> {
    pub(super) to: ScalarType,
    pub(super) from: ScalarType,
    pub(super) rounding: &'a str,
    pub(super) flushed: bool,
    pub(super) saturate: bool,
    pub(super) relu: bool,
    /// What is too large becomes the largest number, not infinity.
    pub(super) finite: bool,
}

impl Conversion<'static> {
    /// A conversion to a type that holds every value of `from`.
    pub(super) fn exact(to: ScalarType, from: ScalarType) -> Self {
        Self {
            to,
            from,
            rounding: "",
            flushed: false,
            saturate: false,
            relu: false,
            finite: false,
        }
    }
}

impl Conversion<'_> {
    /// The mode of [`convert`]: 5 bits for each type, 4 for the rounding, 4 flags.
    pub(super) fn mode(&self) -> Option<u32> {
        let type_index = |element| TYPES.iter().position(|&one| one == element);
        let rounding = ROUNDINGS.iter().position(|&one| one == self.rounding)?;
        Some(
            type_index(self.to)? as u32
                | (type_index(self.from)? as u32) << 5
                | (rounding as u32) << 10
                | u32::from(self.flushed) << 14
                | u32::from(self.saturate) << 15
                | u32::from(self.relu) << 16
                | u32::from(self.finite) << 17,
        )
    }
}

/// Whether `word` is a rounding of `cvt`.
pub(super) fn rounding_word(word: &str) -> bool {
    !word.is_empty() && ROUNDINGS.contains(&word)
}

/// The format of the floats of type `element`, halves of pairs included.
pub(super) fn format(element: ScalarType) -> Format {
    match element {
        ScalarType::F16 | ScalarType::F16x2 => Format::HALF,
        ScalarType::Bf16 | ScalarType::Bf16x2 => Format::BRAIN,
        ScalarType::F32 => Format::SINGLE,
        _ => Format::DOUBLE,
    }
}

/// `cvt` of one value.
pub(super) fn convert([a, ..]: [u64; 4], mode: u32) -> [u64; 2] {
    let to = TYPES[(mode & 31) as usize % TYPES.len()];
    let from = TYPES[(mode >> 5 & 31) as usize % TYPES.len()];
    let flag = |bit: u32| mode >> bit & 1 == 1;
    let index = mode >> 10 & 15;
    let rounding = direction(index);
    let bits = if from.is_float() {
        let input = if flag(14) && from == ScalarType::F32 {
            Format::SINGLE.flush(a)
        } else {
            a
        };
        let value = Number::read(input, format(from));
        if to.is_float() {
            let value = if (5..=8).contains(&index) {
                value.integral(rounding)
            } else {
                value
            };
            if value == Number::Nan && to == ScalarType::F64 && !flag(15) {
                return [quiet(input, from), 0];
            }
            let value = if flag(15) { saturated(value) } else { value };
            let value = if flag(16) { positive(value) } else { value };
            let target = if flag(17) {
                format(to).finite()
            } else {
                format(to)
            };
            let bits = value.write(target, rounding);
            if flag(14) && to == ScalarType::F32 {
                Format::SINGLE.flush(bits)
            } else {
                bits
            }
        } else {
            // Without a rounding `cvt` is not written; towards zero is what C does.
            to_integer(value, to, from, rounding)
        }
    } else {
        let number = integer(a, from);
        if to.is_float() {
            let value = Number::from_integer(if flag(15) { number.clamp(0, 1) } else { number });
            value.write(format(to), rounding)
        } else if flag(15) {
            let (low, high) = range(to);
            number.clamp(low, high) as u64
        } else {
            narrowed(number as u64, to)
        }
    };
    [bits, 0]
}

/// The number that `bits` mean as `from`, an integer type.
fn integer(bits: u64, from: ScalarType) -> i128 {
    let shift = 64 - u32::from(from.size()) * 8;
    if from.is_signed() {
        i128::from((bits << shift) as i64 >> shift)
    } else {
        i128::from(bits << shift >> shift)
    }
}

/// The low bits that `to` has, extended to a whole register by its sign.
fn narrowed(bits: u64, to: ScalarType) -> u64 {
    let shift = 64 - u32::from(to.size()) * 8;
    if to.is_signed() {
        ((bits << shift) as i64 >> shift) as u64
    } else {
        bits << shift >> shift
    }
}

fn range(to: ScalarType) -> (i128, i128) {
    let width = u32::from(to.size()) * 8;
    if to.is_signed() {
        (-(1 << (width - 1)), (1 << (width - 1)) - 1)
    } else {
        (0, (1 << width) - 1)
    }
}

/// Saturates. NaN becomes 0, but the smallest number where 64 bits are on either side (PTX ISA,
/// cvt).
fn to_integer(value: Number, to: ScalarType, from: ScalarType, rounding: Rounding) -> u64 {
    let (low, high) = range(to);
    match value.to_integer(rounding) {
        Some(number) => number.clamp(low, high) as u64,
        None if from == ScalarType::F64 || to.size() == 8 => {
            narrowed(1 << (u32::from(to.size()) * 8 - 1), to)
        }
        None => 0,
    }
}

/// A double NaN keeps what its source told, as on the host.
fn quiet(bits: u64, from: ScalarType) -> u64 {
    const QUIET: u64 = 1 << 51;
    match from {
        ScalarType::F64 => bits | QUIET,
        ScalarType::F32 => f64::from(f32::from_bits(bits as u32)).to_bits() | QUIET,
        _ => f64::from(f32::from_bits(super::float::CANONICAL_NAN)).to_bits(),
    }
}

/// The value in [0, 1] nearest to `value`: 0 for NaN and for -0.
pub(super) fn saturated(value: Number) -> Number {
    match value {
        Number::Finite {
            negative: false,
            significand,
            exponent,
        } => {
            if 128 - significand.leading_zeros() as i32 + exponent > 0 {
                Number::ONE
            } else {
                value
            }
        }
        Number::Infinite(false) => Number::ONE,
        _ => Number::Zero(false),
    }
}

/// `.relu`: no less than +0.
pub(super) fn positive(value: Number) -> Number {
    if value.is_negative() {
        Number::Zero(false)
    } else {
        value
    }
}

fn direction(index: u32) -> Rounding {
    match index {
        0 | 2 | 6 => Rounding::Zero,
        3 | 7 => Rounding::Down,
        4 | 8 => Rounding::Up,
        9 => Rounding::NearestAway,
        _ => Rounding::Nearest,
    }
}

/// `cvt` to `tf32`, a single whose low 13 bits are zero. Mode: of [`Conversion`].
pub(super) fn to_tensor([a, ..]: [u64; 4], mode: u32) -> [u64; 2] {
    let value = Number::read(a, Format::SINGLE);
    if value == Number::Nan {
        return [Number::Nan.write(Format::SINGLE, Rounding::Nearest), 0];
    }
    let value = if mode >> 16 & 1 == 1 {
        positive(value)
    } else {
        value
    };
    let format = if mode >> 17 & 1 == 1 {
        Format::TENSOR.finite()
    } else {
        Format::TENSOR
    };
    [value.write(format, direction(mode >> 10 & 15)) << 13, 0]
}

/// What the halves of a packed conversion are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Ieee(Format),
    Small(Format),
    /// `ue8m0`: a power of two without sign.
    Power,
}

/// Formats of packed conversions by their word, and the bits that each part takes.
const PARTS: [(&str, Part, u32); 9] = [
    ("f16x2", Part::Ieee(Format::HALF), 16),
    ("bf16x2", Part::Ieee(Format::BRAIN), 16),
    ("f32", Part::Ieee(Format::SINGLE), 32),
    ("e4m3x2", Part::Small(Format::E4M3), 8),
    ("e5m2x2", Part::Small(Format::E5M2), 8),
    ("e2m3x2", Part::Small(Format::E2M3), 8),
    ("e3m2x2", Part::Small(Format::E3M2), 8),
    ("e2m1x2", Part::Small(Format::E2M1), 4),
    ("ue8m0x2", Part::Power, 8),
];

/// Whether `word` is a type of packed conversions that is no scalar type elsewhere.
pub(super) fn small_word(word: &str) -> bool {
    PARTS[3..].iter().any(|part| part.0 == word)
}

/// The mode of [`convert_pair`] between the types of these words: 4 bits for each type, 2 flags at
/// 8 and 9, 4 bits for the rounding at 10.
pub(super) fn pair_mode(to: &str, from: &str, rounding: &str, words: [bool; 2]) -> Option<u32> {
    let find = |word: &str| PARTS.iter().position(|part| part.0 == word);
    let rounding = ROUNDINGS.iter().position(|&one| one == rounding)?;
    Some(
        find(to)? as u32
            | (find(from)? as u32) << 4
            | u32::from(words[0]) << 8
            | u32::from(words[1]) << 9
            | (rounding as u32) << 10,
    )
}

/// `cvt` of two values at once: two singles, the first of which becomes the high part, or the parts
/// of one register.
pub(super) fn convert_pair([a, b, ..]: [u64; 4], mode: u32) -> [u64; 2] {
    let (_, to, to_bits) = PARTS[(mode & 15) as usize % PARTS.len()];
    let (_, from, from_bits) = PARTS[(mode >> 4 & 15) as usize % PARTS.len()];
    let (high, low) = if from_bits == 32 {
        (a, b)
    } else {
        (a >> from_bits, a)
    };
    let one = |bits: u64| {
        let bits = bits & (u64::MAX >> (64 - from_bits));
        let value = match from {
            Part::Ieee(format) => Number::read(bits, format),
            Part::Small(format) => Number::read_small(bits, format),
            Part::Power if bits == 0xff => Number::Nan,
            Part::Power => Number::Finite {
                negative: false,
                significand: 1,
                exponent: bits as i32 - 127,
            },
        };
        let value = if mode >> 8 & 1 == 1 {
            positive(value)
        } else {
            value
        };
        let finite = mode >> 9 & 1 == 1;
        let rounding = direction(mode >> 10 & 15);
        match to {
            Part::Ieee(format) if finite => value.write(format.finite(), rounding),
            Part::Ieee(format) | Part::Small(format) => value.write(format, rounding),
            Part::Power => power(value, rounding, finite),
        }
    };
    [one(high) << to_bits | one(low), 0]
}

/// The code of the power of two that the size of `value` rounds to.
fn power(value: Number, rounding: Rounding, finite: bool) -> u64 {
    const NAN: u64 = 0xff;
    match value {
        Number::Nan => NAN,
        Number::Infinite(_) => NAN - u64::from(finite),
        Number::Zero(_) => 0,
        Number::Finite {
            significand,
            exponent,
            ..
        } => {
            let length = 128 - significand.leading_zeros() as i32;
            let up = rounding == Rounding::Up && !significand.is_power_of_two();
            let place = exponent + length - 1 + i32::from(up) + 127;
            if place >= 255 {
                NAN - u64::from(finite)
            } else {
                place.max(0) as u64
            }
        }
    }
}

const TYPES: [ScalarType; 19] = [
    ScalarType::B8,
    ScalarType::B16,
    ScalarType::B32,
    ScalarType::B64,
    ScalarType::U8,
    ScalarType::U16,
    ScalarType::U32,
    ScalarType::U64,
    ScalarType::S8,
    ScalarType::S16,
    ScalarType::S32,
    ScalarType::S64,
    ScalarType::F16,
    ScalarType::F16x2,
    ScalarType::Bf16,
    ScalarType::Bf16x2,
    ScalarType::F32,
    ScalarType::F64,
    ScalarType::Pred,
];

const ROUNDINGS: [&str; 10] = [
    "", "rn", "rz", "rm", "rp", "rni", "rzi", "rmi", "rpi", "rna",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(bits: u64, to: ScalarType, from: ScalarType, rounding: &str) -> u64 {
        let conversion = Conversion {
            to,
            from,
            rounding,
            flushed: false,
            saturate: false,
            relu: false,
            finite: false,
        };
        convert([bits, 0, 0, 0], conversion.mode().unwrap())[0]
    }

    #[test]
    fn conversions_saturate_and_narrow_as_ptx_says() {
        use ScalarType::*;
        let single = |value: f32| u64::from(value.to_bits());
        assert_eq!(
            converted(single(-1.5), S32, F32, "rni") as u32,
            -2i32 as u32
        );
        assert_eq!(converted(single(2.5), S32, F32, "rni"), 2);
        assert_eq!(
            converted(single(-1.5), S32, F32, "rmi") as u32,
            -2i32 as u32
        );
        assert_eq!(converted(single(1e20), U32, F32, "rzi"), 0xffff_ffff);
        assert_eq!(converted(single(-1.0), U32, F32, "rzi"), 0);
        assert_eq!(converted(single(f32::NAN), S32, F32, "rzi"), 0);
        assert_eq!(converted(single(f32::NAN), S64, F32, "rzi"), 1 << 63);
        assert_eq!(converted(0x1ff, S16, S8, "") as u16, 0xffff);
        assert_eq!(converted(0x80, S64, S8, ""), (-128i64) as u64);
        assert_eq!(converted(0x1_0000_00ff, U16, U64, ""), 0xff);
        assert_eq!(converted(16_777_217, F32, S32, "rz"), single(16_777_216.0));
        assert_eq!(converted(16_777_217, F32, S32, "rp"), single(16_777_218.0));
        assert_eq!(
            converted(u64::MAX, F64, U64, "rz"),
            18_446_744_073_709_549_568f64.to_bits()
        );
        assert_eq!(
            converted(u64::MAX, F32, U64, "rn"),
            single(18_446_744_073_709_551_616.0)
        );
    }
}
