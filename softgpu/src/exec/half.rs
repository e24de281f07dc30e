//! Halves (f16, bf16), and the splitting and joining of registers.

use super::code::{Logic, ScalarFunction};
use super::convert::{positive, saturated};
use super::float::{Rounding, maximum, minimum};
use super::soft::{Format, Number};
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
        // Zeros count as normal.
        4 => matches!(category, C::Normal | C::Zero),
        _ => category == C::Subnormal,
    };
    [u64::from(holds), 0]
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
    let format = if brain { Format::BRAIN } else { Format::HALF };
    Number::read(value.to_bits(), Format::DOUBLE).write(format, rounding) as u16
}

/// `.ftz`
pub(super) const FLUSH: u32 = 4;
const SATURATE: u32 = 8;
const NAN: u32 = 16;
const RELU: u32 = 32;
const XOR_SIGN: u32 = 64;
const MAGNITUDE: u32 = 128;
const THREE: u32 = 256;

/// The mode of [`function`] and [`compare`] by the words of the instruction: 1 bf16, 2 packed, the
/// flags above.
pub(super) fn mode(element: ScalarType, words: &[String], sources: usize) -> u32 {
    let brain = matches!(element, ScalarType::Bf16 | ScalarType::Bf16x2);
    let packed = matches!(element, ScalarType::F16x2 | ScalarType::Bf16x2);
    let flags = [
        ("ftz", FLUSH),
        ("sat", SATURATE),
        ("NaN", NAN),
        ("relu", RELU),
        ("xorsign", XOR_SIGN),
        ("abs", MAGNITUDE),
    ];
    let flags = flags
        .iter()
        .filter(|(word, _)| words.iter().any(|one| one == word))
        .fold(0, |all, (_, flag)| all | flag);
    let three = if sources == 3 { THREE } else { 0 };
    u32::from(brain) | u32::from(packed) << 1 | flags | three
}

/// Arithmetic of halves, exact and rounded once.
pub(super) fn function(opcode: &str) -> Option<ScalarFunction> {
    Some(match opcode {
        "add" => |v, mode| halves(v, mode, |[a, b, _]| a.plus(b, Rounding::Nearest)),
        "sub" => |v, mode| halves(v, mode, |[a, b, _]| a.plus(b.negated(), Rounding::Nearest)),
        "mul" => |v, mode| halves(v, mode, |[a, b, _]| a.times(b)),
        "fma" | "mad" => {
            |v, mode| halves(v, mode, |[a, b, c]| a.times(b).plus(c, Rounding::Nearest))
        }
        "neg" => |v, mode| bitwise(v, mode, |bits| bits ^ 0x8000),
        "abs" => |v, mode| bitwise(v, mode, |bits| bits & 0x7fff),
        "min" => |v, mode| choices(v, mode, minimum),
        "max" => |v, mode| choices(v, mode, maximum),
        "ex2" => |v, mode| approximations(v, mode, f64::exp2),
        "tanh" => |v, mode| approximations(v, mode, f64::tanh),
        _ => return None,
    })
}

fn format_of(mode: u32) -> Format {
    if mode & 1 == 0 {
        Format::HALF
    } else {
        Format::BRAIN
    }
}

/// Applies `one` to the half, or to both halves.
fn each(v: [u64; 4], mode: u32, one: impl Fn([u64; 3]) -> u64) -> [u64; 2] {
    let at = |shift: u32| {
        let input = |bits: u64| {
            let bits = bits >> shift & 0xffff;
            if mode & FLUSH == 0 {
                bits
            } else {
                format_of(mode).flush(bits)
            }
        };
        one([input(v[0]), input(v[1]), input(v[2])]) << shift
    };
    [if mode & 2 == 0 { at(0) } else { at(0) | at(16) }, 0]
}

fn halves(v: [u64; 4], mode: u32, compute: fn([Number; 3]) -> Number) -> [u64; 2] {
    let format = format_of(mode);
    each(v, mode, |bits| {
        let value = compute(bits.map(|bits| Number::read(bits, format)));
        let value = if mode & SATURATE == 0 {
            value
        } else {
            saturated(value)
        };
        let value = if mode & RELU == 0 {
            value
        } else {
            positive(value)
        };
        let bits = value.write(format, Rounding::Nearest);
        if mode & FLUSH == 0 {
            bits
        } else {
            format.flush(bits)
        }
    })
}

fn bitwise(v: [u64; 4], mode: u32, compute: fn(u64) -> u64) -> [u64; 2] {
    each(v, mode, |bits| compute(bits[0]))
}

fn approximations(v: [u64; 4], mode: u32, compute: fn(f64) -> f64) -> [u64; 2] {
    let format = format_of(mode);
    each(v, mode, |bits| {
        let result = compute(f64::from(widened(bits[0], mode)));
        let bits = u64::from(to_half(result, mode & 1 != 0, Rounding::Nearest));
        if mode & FLUSH == 0 {
            bits
        } else {
            format.flush(bits)
        }
    })
}

fn choices(v: [u64; 4], mode: u32, pick: fn(u32, u32) -> u32) -> [u64; 2] {
    each(v, mode, |bits| {
        let size = if mode & MAGNITUDE == 0 {
            0xffff
        } else {
            0x7fff
        };
        let [a, b, c] = bits.map(|bits| widened(bits & size, mode));
        let c = if mode & THREE == 0 { b } else { c };
        if mode & NAN != 0 && (a.is_nan() || b.is_nan() || c.is_nan()) {
            return 0x7fff;
        }
        let result = pick(pick(a.to_bits(), b.to_bits()), c.to_bits());
        let value = Number::read(u64::from(result), Format::SINGLE);
        let value = if mode & RELU == 0 {
            value
        } else {
            positive(value)
        };
        let result = value.write(format_of(mode), Rounding::Nearest);
        if mode & XOR_SIGN == 0 || value == Number::Nan {
            return result;
        }
        result | (bits[0] ^ bits[1]) & 0x8000
    })
}

fn widened(bits: u64, mode: u32) -> f32 {
    if mode & 1 == 0 {
        from_half(bits as u16)
    } else {
        from_brain(bits as u16)
    }
}

/// A half as a single.
pub(super) fn widen(v: [u64; 4], mode: u32) -> [u64; 2] {
    each(v, mode & !2, |bits| {
        u64::from(widened(bits[0], mode).to_bits())
    })
}

/// Where [`compare`]'s mode has the comparison: 4 bits, then 2 for what it is joined with.
const COMPARISON_SHIFT: u32 = 16;

/// The mode of a comparison of halves, to be joined with [`mode`]; `logic` is its boolean word.
pub(super) fn comparison_mode(comparison: &str, logic: Option<Logic>) -> Option<u32> {
    let index = COMPARISONS.iter().position(|&one| one == comparison)? as u32;
    let logic = match logic {
        None => 0,
        Some(Logic::And) => 1,
        Some(Logic::Or) => 2,
        Some(Logic::Xor) => 3,
    };
    Some(index << COMPARISON_SHIFT | logic << (COMPARISON_SHIFT + 4))
}

const COMPARISONS: [&str; 14] = [
    "eq", "ne", "lt", "le", "gt", "ge", "equ", "neu", "ltu", "leu", "gtu", "geu", "num", "nan",
];

/// A comparison of the low and the high halves, each joined with the third source: two truths.
pub(super) fn compare(v: [u64; 4], mode: u32) -> [u64; 2] {
    let one = |shift: u32| {
        let input = |bits: u64| {
            let bits = bits >> shift & 0xffff;
            let bits = if mode & FLUSH == 0 {
                bits
            } else {
                format_of(mode).flush(bits)
            };
            widened(bits, mode)
        };
        let (a, b) = (input(v[0]), input(v[1]));
        let index = mode >> COMPARISON_SHIFT & 15;
        let unordered = a.is_nan() || b.is_nan();
        let holds = match index {
            12 => !unordered,
            13 => unordered,
            _ if unordered => index >= 6,
            _ => match index % 6 {
                0 => a == b,
                1 => a != b,
                2 => a < b,
                3 => a <= b,
                4 => a > b,
                _ => a >= b,
            },
        };
        let (holds, with) = (u64::from(holds), v[2] & 1);
        match mode >> (COMPARISON_SHIFT + 4) & 3 {
            0 => holds,
            1 => holds & with,
            2 => holds | with,
            _ => holds ^ with,
        }
    };
    [one(0), one(16)]
}

/// [`compare`] with all ones for each half that holds.
pub(super) fn compare_mask(v: [u64; 4], mode: u32) -> [u64; 2] {
    let [low, high] = compare(v, mode);
    [(low * 0xffff) | ((high * 0xffff) << 16), 0]
}

/// [`compare`] with 1.0 for each half that holds.
pub(super) fn compare_set(v: [u64; 4], mode: u32) -> [u64; 2] {
    let truth = if mode & 1 == 0 { 0x3c00 } else { 0x3f80 };
    let [low, high] = compare(v, mode);
    [(low * truth) | ((high * truth) << 16), 0]
}

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
}
