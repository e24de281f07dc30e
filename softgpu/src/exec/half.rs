//! Halves (f16, bf16), conversions between all types, and the splitting and joining of registers.

use super::code::ScalarFunction;
use super::float::{self, Rounding, flush, maximum, minimum};
use crate::ptx::ScalarType;

/// The field of `mode >> 8` bits at bit `mode & 255`.
pub(super) fn part([a, ..]: [u64; 4], mode: u32) -> [u64; 2] {
    let (start, width) = (mode & 0xff, (mode >> 8).min(63));
    [a >> start & ((1 << width) - 1), 0]
}

/// Fields of `mode` bits side by side, the first lowest.
pub(super) fn join(values: [u64; 4], mode: u32) -> [u64; 2] {
    let mask = (1u64 << mode.min(32)) - 1;
    let joined = values.iter().enumerate().fold(0u64, |all, (index, value)| {
        all | (value & mask).checked_shl(index as u32 * mode).unwrap_or(0)
    });
    [joined, 0]
}

/// `testp`.
pub(super) fn test([a, ..]: [u64; 4], mode: u32) -> [u64; 2] {
    use std::num::FpCategory as C;
    let category = if mode >> 8 == 1 {
        f64::from_bits(a).classify()
    } else {
        f32::from_bits(a as u32).classify()
    };
    let holds = match mode & 0xff {
        0 => !matches!(category, C::Nan | C::Infinite),
        1 => category == C::Infinite,
        2 => category != C::Nan,
        3 => category == C::Nan,
        4 => category == C::Normal,
        _ => category == C::Subnormal,
    };
    [u64::from(holds), 0]
}

/// A `cvt`, as its modifiers say.
pub(super) struct Conversion<'a> {
    pub(super) to: ScalarType,
    pub(super) from: ScalarType,
    pub(super) rounding: &'a str,
    pub(super) flushed: bool,
    pub(super) saturate: bool,
    pub(super) relu: bool,
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
        }
    }
}

impl Conversion<'_> {
    /// The mode of [`convert`]: 5 bits for each type, 4 for the rounding, 3 flags.
    pub(super) fn mode(&self) -> Option<u32> {
        let type_index = |element| TYPES.iter().position(|&one| one == element);
        let rounding = ROUNDINGS.iter().position(|&one| one == self.rounding)?;
        Some(
            type_index(self.to)? as u32
                | (type_index(self.from)? as u32) << 5
                | (rounding as u32) << 10
                | u32::from(self.flushed) << 14
                | u32::from(self.saturate) << 15
                | u32::from(self.relu) << 16,
        )
    }
}

/// Whether `word` is a rounding of `cvt`.
pub(super) fn rounding_word(word: &str) -> bool {
    !word.is_empty() && ROUNDINGS.contains(&word)
}

/// `cvt`, all of it.
pub(super) fn convert([a, b, ..]: [u64; 4], mode: u32) -> [u64; 2] {
    let to = TYPES[(mode & 31) as usize % TYPES.len()];
    let from = TYPES[(mode >> 5 & 31) as usize % TYPES.len()];
    let rounding = mode >> 10 & 15;
    let (flushed, saturate, relu) = (
        mode >> 14 & 1 == 1,
        mode >> 15 & 1 == 1,
        mode >> 16 & 1 == 1,
    );
    if matches!(to, ScalarType::F16x2 | ScalarType::Bf16x2) {
        // The first operand becomes the high half.
        let half = |bits: u64| {
            let value = f64::from(f32::from_bits(bits as u32));
            let value = if relu && value <= 0.0 { 0.0 } else { value };
            to_half(
                value,
                to == ScalarType::Bf16x2,
                arithmetic_rounding(rounding),
            )
        };
        return [u64::from(half(a)) << 16 | u64::from(half(b)), 0];
    }
    let bits = if from.is_float() {
        let value = read_float(a, from, flushed);
        if to.is_float() {
            let value = if (5..=8).contains(&rounding) {
                integral(value, rounding)
            } else {
                value
            };
            let value = if saturate {
                value.clamp(0.0, 1.0).max(0.0)
            } else {
                value
            };
            let value = if relu && value < 0.0 { 0.0 } else { value };
            write_float(value, to, rounding, flushed)
        } else {
            let width = u32::from(to.size()) * 8;
            to_integer(
                integral(value, rounding),
                to,
                width,
                from == ScalarType::F64,
            )
        }
    } else {
        let width = u32::from(from.size()) * 8;
        let raw = a << (64 - width);
        let number = if from.is_signed() {
            i128::from(raw as i64 >> (64 - width))
        } else {
            i128::from(raw >> (64 - width))
        };
        if to.is_float() {
            from_integer(number, to, rounding, saturate)
        } else if saturate {
            let (low, high) = range(to);
            number.clamp(low, high) as u64
        } else {
            narrowed(number as u64, to)
        }
    };
    [bits, 0]
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

fn integral(value: f64, rounding: u32) -> f64 {
    match rounding {
        5 => value.round_ties_even(),
        7 => value.floor(),
        8 => value.ceil(),
        _ => value.trunc(),
    }
}

/// Saturates. NaN becomes 0, but the smallest number where 64 bits are on either side (PTX ISA,
/// cvt).
fn to_integer(value: f64, to: ScalarType, width: u32, from_double: bool) -> u64 {
    if value.is_nan() {
        return if from_double || width == 64 {
            narrowed(1 << (width - 1), to)
        } else {
            0
        };
    }
    let (low, high) = range(to);
    (value as i128).clamp(low, high) as u64
}

fn from_integer(number: i128, to: ScalarType, rounding: u32, saturate: bool) -> u64 {
    let number = if saturate { number.clamp(0, 1) } else { number };
    let mode = arithmetic_rounding(rounding);
    // The nearest double, and how much it is off: at most 64 bits into 53.
    let value = number as f64;
    let error = (number - value as i128) as f64;
    match to {
        ScalarType::F64 => {
            let exact = error == 0.0 || mode == Rounding::Nearest;
            if exact {
                value
            } else {
                float::add(value, error, mode)
            }
            .to_bits()
        }
        ScalarType::F32 if mode == Rounding::Nearest => u64::from((number as f32).to_bits()),
        ScalarType::F32 => u64::from(float::to_single(value, error, mode).to_bits()),
        _ => u64::from(to_half(value, to == ScalarType::Bf16, mode)),
    }
}

fn read_float(bits: u64, from: ScalarType, flushed: bool) -> f64 {
    match from {
        ScalarType::F64 => f64::from_bits(bits),
        ScalarType::F32 if flushed => f64::from(f32::from_bits(flush(bits as u32))),
        ScalarType::F32 => f64::from(f32::from_bits(bits as u32)),
        ScalarType::Bf16 => f64::from(from_brain(bits as u16)),
        _ => f64::from(from_half(bits as u16)),
    }
}

fn write_float(value: f64, to: ScalarType, rounding: u32, flushed: bool) -> u64 {
    let mode = arithmetic_rounding(rounding);
    match to {
        ScalarType::F64 => value.to_bits(),
        ScalarType::F32 => {
            let bits = float::to_single(value, 0.0, mode).to_bits();
            u64::from(if flushed { flush(bits) } else { bits })
        }
        _ => u64::from(to_half(value, to == ScalarType::Bf16, mode)),
    }
}

fn arithmetic_rounding(rounding: u32) -> Rounding {
    match rounding {
        2 => Rounding::Zero,
        3 => Rounding::Down,
        4 => Rounding::Up,
        _ => Rounding::Nearest,
    }
}

/// The value of an f16.
pub(super) fn from_half(bits: u16) -> f32 {
    let sign = u32::from(bits & 0x8000) << 16;
    let exponent = u32::from(bits >> 10 & 31);
    let fraction = u32::from(bits & 0x3ff);
    match exponent {
        // Subnormal: fraction units of 2^-24.
        0 => f32::from_bits(sign | (fraction as f32 * f32::from_bits(0x3380_0000)).to_bits()),
        31 => f32::from_bits(sign | 0x7f80_0000 | fraction << 13),
        _ => f32::from_bits(sign | (exponent + 112) << 23 | fraction << 13),
    }
}

/// The value of a bf16.
pub(super) fn from_brain(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// `value` rounded to an f16, or to a bf16.
pub(super) fn to_half(value: f64, brain: bool, rounding: Rounding) -> u16 {
    // Fraction bits, smallest exponent, largest exponent.
    let (fraction_bits, low, high) = if brain { (7, -126, 127) } else { (10, -14, 15) };
    let sign = u16::from(value.is_sign_negative()) << 15;
    if value.is_nan() {
        return 0x7fff;
    }
    let size = value.abs();
    let infinity = ((high - low + 2) as u16) << fraction_bits;
    if size.is_infinite() {
        return sign | infinity;
    }
    if size == 0.0 {
        return sign;
    }
    let exponent = ((size.to_bits() >> 52) as i32 - 1023).max(low);
    // In units of the last place of the result: exact, because only the exponent changes.
    let units = size * (f64::from(fraction_bits - exponent)).exp2();
    let away = match rounding {
        Rounding::Nearest => units.round_ties_even(),
        Rounding::Zero => units.floor(),
        Rounding::Up if sign == 0 => units.ceil(),
        Rounding::Down if sign != 0 => units.ceil(),
        _ => units.floor(),
    };
    let units = away as i64 + (i64::from(exponent - low) << fraction_bits);
    let infinity_units = i64::from(infinity);
    if units >= infinity_units {
        let stays = match rounding {
            Rounding::Nearest => false,
            Rounding::Zero => true,
            Rounding::Up => sign != 0,
            Rounding::Down => sign == 0,
        };
        return sign | (infinity - u16::from(stays));
    }
    sign | units as u16
}

/// Arithmetic of halves. Mode: 1 bf16, 2 packed, 4 ftz, 8 sat, 16 NaN, 32 relu.
pub(super) fn function(opcode: &str) -> Option<ScalarFunction> {
    Some(match opcode {
        "add" => |v, mode| halves(v, mode, |[a, b, _]| f64::from(a) + f64::from(b)),
        "sub" => |v, mode| halves(v, mode, |[a, b, _]| f64::from(a) - f64::from(b)),
        "mul" => |v, mode| halves(v, mode, |[a, b, _]| f64::from(a) * f64::from(b)),
        "fma" => |v, mode| {
            halves(v, mode, |[a, b, c]| {
                // The product is exact; the sum is too, or so far off the tie that it does not
                // matter, once rounded to odd.
                odd_sum(f64::from(a) * f64::from(b), f64::from(c))
            })
        },
        "neg" => |[a, ..], mode| [a ^ sign_bits(mode), 0],
        "abs" => |[a, ..], mode| [a & !sign_bits(mode), 0],
        "min" => |v, mode| {
            halves(v, mode, |[a, b, _]| {
                f64::from(f32::from_bits(minimum(a.to_bits(), b.to_bits())))
            })
        },
        "max" => |v, mode| {
            halves(v, mode, |[a, b, _]| {
                f64::from(f32::from_bits(maximum(a.to_bits(), b.to_bits())))
            })
        },
        "ex2" => |v, mode| halves(v, mode, |[a, ..]| f64::from(a).exp2()),
        "tanh" => |v, mode| halves(v, mode, |[a, ..]| f64::from(a).tanh()),
        _ => return None,
    })
}

fn sign_bits(mode: u32) -> u64 {
    if mode & 2 == 0 { 0x8000 } else { 0x8000_8000 }
}

/// `a + b` rounded to odd, so that a second rounding to fewer bits is right.
fn odd_sum(a: f64, b: f64) -> f64 {
    let down = float::add(a, b, Rounding::Down);
    let up = float::add(a, b, Rounding::Up);
    if down == up || down.to_bits() & 1 == 1 {
        down
    } else {
        up
    }
}

fn halves(v: [u64; 4], mode: u32, compute: impl Fn([f32; 3]) -> f64) -> [u64; 2] {
    let one = |shift: u32| {
        let read = |bits: u64| {
            let bits = (bits >> shift) as u16;
            let value = if mode & 1 == 0 {
                from_half(bits)
            } else {
                from_brain(bits)
            };
            if mode & 4 != 0 && bits & 0x7c00 == 0 {
                value * 0.0
            } else {
                value
            }
        };
        let values = [read(v[0]), read(v[1]), read(v[2])];
        if mode & 16 != 0 && (values[0].is_nan() || values[1].is_nan()) {
            return 0x7fff << shift;
        }
        let mut result = compute(values);
        if mode & 8 != 0 {
            result = result.clamp(0.0, 1.0).max(0.0);
        }
        if mode & 32 != 0 && result < 0.0 {
            result = 0.0;
        }
        u64::from(to_half(result, mode & 1 != 0, Rounding::Nearest)) << shift
    };
    [
        if mode & 2 == 0 {
            one(0)
        } else {
            one(0) | one(16)
        },
        0,
    ]
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

    #[test]
    fn every_half_survives_the_way_there_and_back() {
        for bits in 0..=u16::MAX {
            let half = from_half(bits);
            if !half.is_nan() {
                assert_eq!(to_half(f64::from(half), false, Rounding::Nearest), bits);
            }
            let brain = from_brain(bits);
            if !brain.is_nan() {
                assert_eq!(to_half(f64::from(brain), true, Rounding::Nearest), bits);
            }
        }
    }

    #[test]
    fn halves_round_overflow_and_underflow() {
        let to = |value| to_half(value, false, Rounding::Nearest);
        assert_eq!(to(65504.0), 0x7bff);
        assert_eq!(to(65519.9), 0x7bff);
        assert_eq!(to(65520.0), 0x7c00);
        assert_eq!(to(-1e9), 0xfc00);
        assert_eq!(to(2f64.powi(-25)), 0);
        assert_eq!(to(2f64.powi(-25) * 1.01), 1);
        assert_eq!(to(1.0 + 2f64.powi(-11)), 0x3c00);
        assert_eq!(to(1.0 + 3.0 * 2f64.powi(-11)), 0x3c02);
        assert_eq!(to_half(1e9, false, Rounding::Zero), 0x7bff);
    }

    fn converted(bits: u64, to: ScalarType, from: ScalarType, rounding: &str) -> u64 {
        let conversion = Conversion {
            to,
            from,
            rounding,
            flushed: false,
            saturate: false,
            relu: false,
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
