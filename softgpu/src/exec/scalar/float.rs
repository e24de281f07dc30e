//! Floats lane by lane: directed roundings, saturation, and the functions computed approximately.

use super::super::code::ScalarFunction;
use super::super::float::{
    self, CANONICAL_NAN, Rounding, computed, flush, maximum, maximum_double, minimum,
    minimum_double,
};
use super::super::half::{from_brain, from_half};
use super::super::soft::{Format, Number};
use crate::ptx::ScalarType;

/// `.ftz`
pub(in crate::exec) const FLUSH: u32 = 1 << 2;
/// `.sat`
pub(in crate::exec) const SATURATE: u32 = 1 << 3;
/// `.NaN`
pub(in crate::exec) const NAN: u32 = 1 << 4;
/// `.xorsign`
pub(in crate::exec) const XOR_SIGN: u32 = 1 << 5;
/// `.abs` of `min` and `max`
pub(in crate::exec) const MAGNITUDE: u32 = 1 << 6;
/// There is a third operand.
pub(in crate::exec) const THREE: u32 = 1 << 7;
/// The first operand is a half.
pub(in crate::exec) const HALF_FIRST: u32 = 1 << 8;
/// The second operand is a half.
pub(in crate::exec) const HALF_SECOND: u32 = 1 << 9;
/// The halves are bf16.
pub(in crate::exec) const BRAIN: u32 = 1 << 10;
/// `.approx`
pub(in crate::exec) const APPROXIMATE: u32 = 1 << 11;

/// The mode of `rounding`, to be joined with the flags above.
pub(in crate::exec) fn rounding_mode(rounding: Rounding) -> u32 {
    match rounding {
        Rounding::Nearest | Rounding::NearestAway => 0,
        Rounding::Zero => 1,
        Rounding::Down => 2,
        Rounding::Up => 3,
    }
}

fn rounding(mode: u32) -> Rounding {
    [
        Rounding::Nearest,
        Rounding::Zero,
        Rounding::Down,
        Rounding::Up,
    ][(mode & 3) as usize]
}

/// The function of `opcode`, rounding and the rest by the mode. The approximate ones are computed
/// well.
pub(in crate::exec) fn function(opcode: &str, element: ScalarType) -> Option<ScalarFunction> {
    match element {
        ScalarType::F32 => single_function(opcode),
        ScalarType::F64 => double_function(opcode),
        _ => None,
    }
}

/// The function of `opcode` on two singles in a long word.
pub(in crate::exec) fn pair_function(opcode: &str) -> Option<ScalarFunction> {
    Some(match opcode {
        "add" => |v, mode| pair(v, mode, add),
        "sub" => |v, mode| pair(v, mode, subtract),
        "mul" => |v, mode| pair(v, mode, multiply),
        "fma" => |v, mode| pair(v, mode, multiply_add),
        _ => return None,
    })
}

fn pair(v: [u64; 4], mode: u32, one: ScalarFunction) -> [u64; 2] {
    let high = one(v.map(|value| value >> 32), mode)[0];
    [high << 32 | one(v, mode)[0], 0]
}

fn add(v: [u64; 4], mode: u32) -> [u64; 2] {
    singles(v, mode, |[a, b, _]| rounded('+', [a, b, 0.0], mode))
}

fn subtract(v: [u64; 4], mode: u32) -> [u64; 2] {
    singles(v, mode, |[a, b, _]| rounded('+', [a, -b, 0.0], mode))
}

fn multiply(v: [u64; 4], mode: u32) -> [u64; 2] {
    singles(v, mode, |[a, b, _]| rounded('*', [a, b, 0.0], mode))
}

fn multiply_add(v: [u64; 4], mode: u32) -> [u64; 2] {
    singles(v, mode, |[a, b, c]| match rounding(mode) {
        Rounding::Nearest => a.mul_add(b, c),
        other => float::single('f', [a, b, c], other),
    })
}

fn single_function(opcode: &str) -> Option<ScalarFunction> {
    Some(match opcode {
        "add" => add,
        "sub" => subtract,
        "mul" => multiply,
        "fma" => multiply_add,
        "div" => |v, mode| singles(v, mode, |[a, b, _]| divide(a, b, mode)),
        "rcp" => |v, mode| singles(v, mode, |[a, ..]| rounded('/', [1.0, a, 0.0], mode)),
        "sqrt" => |v, mode| singles(v, mode, |[a, ..]| rounded('s', [a, 0.0, 0.0], mode)),
        "rsqrt" => |v, mode| {
            singles(v, mode, |[a, ..]| {
                // The sign of a zero is kept: -0 gives -infinity.
                if a == 0.0 {
                    1.0 / a
                } else {
                    (1.0 / f64::from(a).sqrt()) as f32
                }
            })
        },
        "sin" => |v, mode| singles(v, mode, |[a, ..]| f64::from(a).sin() as f32),
        "cos" => |v, mode| singles(v, mode, |[a, ..]| f64::from(a).cos() as f32),
        "lg2" => |v, mode| singles(v, mode, |[a, ..]| f64::from(a).log2() as f32),
        "ex2" => |v, mode| singles(v, mode, |[a, ..]| f64::from(a).exp2() as f32),
        "tanh" => |v, mode| singles(v, mode, |[a, ..]| f64::from(a).tanh() as f32),
        "neg" => |v, mode| singles(v, mode, |[a, ..]| -a),
        "abs" => |v, mode| singles(v, mode, |[a, ..]| a.abs()),
        "min" => |v, mode| choose(v, mode, minimum),
        "max" => |v, mode| choose(v, mode, maximum),
        // The sign is that of the first operand.
        "copysign" => |[a, b, ..], _| [a & (1 << 31) | b & 0x7fff_ffff, 0],
        "slct" => |[a, b, c, _], mode| {
            let c = f32::from_bits(if mode & FLUSH == 0 {
                c as u32
            } else {
                flush(c as u32)
            });
            [if c >= 0.0 { a } else { b }, 0]
        },
        _ => return None,
    })
}

/// `div`. The approximate one is a product with a reciprocal that vanishes for large divisors (PTX
/// ISA, div).
fn divide(a: f32, b: f32, mode: u32) -> f32 {
    if mode & APPROXIMATE != 0 && b.is_finite() && b.abs() > 2f32.powi(126) {
        return a * 0f32.copysign(b);
    }
    rounded('/', [a, b, 0.0], mode)
}

fn rounded(operation: char, [a, b, c]: [f32; 3], mode: u32) -> f32 {
    match (rounding(mode), operation) {
        (Rounding::Nearest, '+') => a + b,
        (Rounding::Nearest, '*') => a * b,
        (Rounding::Nearest, '/') => a / b,
        (Rounding::Nearest, _) => a.sqrt(),
        (other, _) => float::single(operation, [a, b, c], other),
    }
}

/// The value in [0, 1] nearest to `value`: 0 for NaN and for -0.
pub(in crate::exec) fn saturated(value: f32) -> f32 {
    if value > 0.0 { value.min(1.0) } else { 0.0 }
}

fn singles(v: [u64; 4], mode: u32, compute: impl Fn([f32; 3]) -> f32) -> [u64; 2] {
    let input = |index: usize, half: u32| {
        let bits = v[index] as u32;
        if mode & half != 0 {
            return if mode & BRAIN == 0 {
                from_half(bits as u16)
            } else {
                from_brain(bits as u16)
            };
        }
        f32::from_bits(if mode & FLUSH == 0 { bits } else { flush(bits) })
    };
    let result = compute([input(0, HALF_FIRST), input(1, HALF_SECOND), input(2, 0)]);
    let result = if mode & SATURATE == 0 {
        result
    } else {
        saturated(result)
    };
    let bits = computed(result);
    [
        u64::from(if mode & FLUSH == 0 { bits } else { flush(bits) }),
        0,
    ]
}

fn choose(v: [u64; 4], mode: u32, pick: fn(u32, u32) -> u32) -> [u64; 2] {
    const SIGN: u32 = 1 << 31;
    let input = |bits: u64| {
        let bits = bits as u32;
        let bits = if mode & FLUSH == 0 { bits } else { flush(bits) };
        if mode & MAGNITUDE == 0 {
            bits
        } else {
            bits & !SIGN
        }
    };
    let (a, b) = (input(v[0]), input(v[1]));
    let c = if mode & THREE == 0 { b } else { input(v[2]) };
    let is_nan = |bits: u32| f32::from_bits(bits).is_nan();
    if mode & NAN != 0 && (is_nan(a) || is_nan(b) || is_nan(c)) {
        return [u64::from(CANONICAL_NAN), 0];
    }
    let result = pick(pick(a, b), c);
    let sign = if mode & XOR_SIGN == 0 || is_nan(result) {
        0
    } else {
        (v[0] ^ v[1]) as u32 & SIGN
    };
    [u64::from(result | sign), 0]
}

fn double_function(opcode: &str) -> Option<ScalarFunction> {
    Some(match opcode {
        "add" => |v, mode| {
            doubles(
                v,
                mode,
                |[a, b, _]| a + b,
                |[a, b, _], mode| a.plus(b, mode),
            )
        },
        "sub" => |v, mode| {
            doubles(
                v,
                mode,
                |[a, b, _]| a - b,
                |[a, b, _], mode| a.plus(b.negated(), mode),
            )
        },
        "mul" => |v, mode| doubles(v, mode, |[a, b, _]| a * b, |[a, b, _], _| a.times(b)),
        "fma" => |v, mode| {
            doubles(
                v,
                mode,
                |[a, b, c]| a.mul_add(b, c),
                |[a, b, c], mode| a.times(b).plus(c, mode),
            )
        },
        "div" => |v, mode| doubles(v, mode, |[a, b, _]| a / b, |[a, b, _], _| a.over(b)),
        "rcp" => |v, mode| {
            if mode & APPROXIMATE != 0 {
                return approximate(v, |a| 1.0 / a);
            }
            doubles(v, mode, |[a, ..]| 1.0 / a, |[a, ..], _| Number::ONE.over(a))
        },
        "sqrt" => |v, mode| doubles(v, mode, |[a, ..]| a.sqrt(), |[a, ..], _| a.root()),
        "rsqrt" => |v, mode| {
            let compute = |a: f64| if a == 0.0 { 1.0 / a } else { 1.0 / a.sqrt() };
            if mode & FLUSH != 0 {
                return approximate(v, compute);
            }
            [compute(f64::from_bits(v[0])).to_bits(), 0]
        },
        "min" => |[a, b, ..], _| [minimum_double(a, b), 0],
        "max" => |[a, b, ..], _| [maximum_double(a, b), 0],
        "copysign" => |[a, b, ..], _| [a & (1 << 63) | b & !(1 << 63), 0],
        _ => return None,
    })
}

/// A function of a double to the precision of its upper word; subnormal numbers are zeros.
fn approximate(v: [u64; 4], compute: fn(f64) -> f64) -> [u64; 2] {
    let input = f64::from_bits(Format::DOUBLE.flush(v[0]));
    let result = compute(input);
    if result.is_nan() {
        return [u64::from(CANONICAL_NAN) << 32, 0];
    }
    // To nearest by the bits: a carry into the exponent is right as it comes.
    let bits = result.to_bits();
    let bits = if result.is_infinite() {
        bits
    } else {
        bits + (1 << 31)
    };
    [Format::DOUBLE.flush(bits & !0xffff_ffff), 0]
}

/// The host's own arithmetic rounds to nearest and knows what NaN becomes; `exact` does the rest.
fn doubles(
    v: [u64; 4],
    mode: u32,
    nearest: fn([f64; 3]) -> f64,
    exact: fn([Number; 3], Rounding) -> Number,
) -> [u64; 2] {
    let v = [v[0], v[1], v[2]];
    let result = nearest(v.map(f64::from_bits));
    let rounding = rounding(mode);
    if rounding == Rounding::Nearest || result.is_nan() {
        return [result.to_bits(), 0];
    }
    let numbers = v.map(|bits| Number::read(bits, Format::DOUBLE));
    [exact(numbers, rounding).write(Format::DOUBLE, rounding), 0]
}
