//! Floating-point arithmetic of every type, rounding, `.ftz`, `.sat` and `.relu`, against an
//! independent implementation of IEEE 754.
//!
//! `PTX_LONG=1` tries a hundred times as many random operands, `PTX_SEED` other ones.
#![allow(clippy::unwrap_used, reason = "test code")]
#![allow(clippy::cast_possible_truncation, reason = "test code")]

mod ptx_support;

use ptx_support::table::{Out, Random, Want, compare, count, floats, pairs, triples};
use rustc_apfloat::ieee::{BFloat, Double, Half, Single};
use rustc_apfloat::{Float, Round};

/// A format under test: what its instructions are called and where its values lie.
#[derive(Clone, Copy)]
struct Type {
    name: &'static str,
    fraction_bits: u32,
    exponent_bits: u32,
    letter: char,
    out: Out,
}

const F32: Type = Type::new("f32", 23, 8, 'w', Out::Word);
const F64: Type = Type::new("f64", 52, 11, 'x', Out::Long);
const F16: Type = Type::new("f16", 10, 5, 'h', Out::Half);
const BF16: Type = Type::new("bf16", 7, 8, 'h', Out::Half);

impl Type {
    const fn new(
        name: &'static str,
        fraction_bits: u32,
        exponent_bits: u32,
        letter: char,
        out: Out,
    ) -> Self {
        Self {
            name,
            fraction_bits,
            exponent_bits,
            letter,
            out,
        }
    }

    fn width(self) -> u32 {
        1 + self.fraction_bits + self.exponent_bits
    }

    fn sign(self) -> u64 {
        1 << (self.width() - 1)
    }

    fn is_nan(self, bits: u64) -> bool {
        bits & (self.sign() - 1) > self.infinity()
    }

    fn infinity(self) -> u64 {
        ((1 << self.exponent_bits) - 1) << self.fraction_bits
    }

    fn one(self) -> u64 {
        ((1 << (self.exponent_bits - 1)) - 1) << self.fraction_bits
    }

    fn flushed(self, bits: u64) -> u64 {
        let size = bits & (self.sign() - 1);
        if size < 1 << self.fraction_bits {
            bits & self.sign()
        } else {
            bits
        }
    }

    fn values(self) -> Vec<u64> {
        floats(self.fraction_bits, self.exponent_bits)
    }
}

#[derive(Clone, Copy, Default)]
struct Modifiers {
    rounding: &'static str,
    flush: bool,
    saturate: bool,
    relu: bool,
}

impl Modifiers {
    fn words(self) -> String {
        let rounding = match self.rounding {
            "" => String::new(),
            word => format!(".{word}"),
        };
        let word = |is: bool, word: &'static str| if is { word } else { "" };
        format!(
            "{rounding}{}{}{}",
            word(self.flush, ".ftz"),
            word(self.saturate, ".sat"),
            word(self.relu, ".relu")
        )
    }

    fn round(self) -> Round {
        match self.rounding {
            "rz" => Round::TowardZero,
            "rm" => Round::TowardNegative,
            "rp" => Round::TowardPositive,
            _ => Round::NearestTiesToEven,
        }
    }
}

/// `opcode` by the other implementation, without flushing.
fn by_bits<F: Float>(opcode: &str, [a, b, c]: [u64; 3], round: Round) -> u64 {
    let read = |bits: u64| F::from_bits(u128::from(bits));
    let (a, b, c) = (read(a), read(b), read(c));
    let one = F::from_u128_r(1, round).value;
    let result = match opcode {
        "add" => a.add_r(b, round),
        "sub" => a.sub_r(b, round),
        "mul" => a.mul_r(b, round),
        "div" => a.div_r(b, round),
        "rcp" => one.div_r(a, round),
        _ => a.mul_add_r(b, c, round),
    };
    result.value.to_bits() as u64
}

/// What PTX wants of `opcode`.
fn reference(kind: Type, opcode: &str, modifiers: Modifiers, v: [u64; 4]) -> u64 {
    let mask = u64::MAX >> (64 - kind.width());
    let input = |bits: u64| {
        let bits = bits & mask;
        if modifiers.flush {
            kind.flushed(bits)
        } else {
            bits
        }
    };
    let v = [input(v[0]), input(v[1]), input(v[2])];
    let round = modifiers.round();
    let result = match kind.name {
        "f32" => by_bits::<Single>(opcode, v, round),
        "f64" => by_bits::<Double>(opcode, v, round),
        "f16" => by_bits::<Half>(opcode, v, round),
        _ => by_bits::<BFloat>(opcode, v, round),
    };
    finished(kind, modifiers, result)
}

/// Saturation, flushing and the canonical NaN.
fn finished(kind: Type, modifiers: Modifiers, bits: u64) -> u64 {
    let negative = bits & kind.sign() != 0;
    if modifiers.saturate {
        if kind.is_nan(bits) || negative {
            return 0;
        }
        return finished(
            kind,
            Modifiers {
                saturate: false,
                ..modifiers
            },
            bits.min(kind.one()),
        );
    }
    if kind.is_nan(bits) {
        return kind.sign() - 1;
    }
    if modifiers.relu && negative {
        return 0;
    }
    if modifiers.flush {
        kind.flushed(bits)
    } else {
        bits
    }
}

/// The bits wanted, but for doubles, whose NaN has a payload that is not specified.
fn want(kind: Type, bits: u64) -> Want {
    if kind.name == "f64" && kind.is_nan(bits) {
        Want::AnyNan
    } else {
        Want::Bits(bits)
    }
}

fn operands(kind: Type, sources: usize) -> String {
    ["a", "b", "c"][..sources]
        .iter()
        .map(|name| format!(", %{}{name}", kind.letter))
        .collect()
}

fn check(kind: Type, opcode: &str, modifiers: Modifiers, inputs: &[[u64; 4]]) {
    let sources = match opcode {
        "fma" => 3,
        "rcp" | "sqrt" => 1,
        _ => 2,
    };
    let body = format!(
        "{opcode}{}.{} %{}{};",
        modifiers.words(),
        kind.name,
        kind.letter,
        operands(kind, sources)
    );
    compare(&body, kind.out, inputs, |v| {
        want(kind, reference(kind, opcode, modifiers, v))
    });
}

const ROUNDINGS: [&str; 4] = ["rn", "rz", "rm", "rp"];

#[test]
fn singles_and_doubles_round_in_every_direction() {
    let mut random = Random::new();
    for kind in [F32, F64] {
        let inputs = pairs(&kind.values(), kind.width(), count(400), &mut random);
        let three = triples(&kind.values(), kind.width(), count(3000), &mut random);
        for rounding in ROUNDINGS {
            for (flush, saturate) in [(false, false), (true, false), (false, true), (true, true)] {
                if kind.name == "f64" && (flush || saturate) {
                    continue;
                }
                let modifiers = Modifiers {
                    rounding,
                    flush,
                    saturate,
                    relu: false,
                };
                for opcode in ["add", "sub", "mul"] {
                    check(kind, opcode, modifiers, &inputs);
                }
                check(kind, "fma", modifiers, &three);
                if !saturate {
                    check(kind, "div", modifiers, &inputs);
                    check(kind, "rcp", modifiers, &three);
                }
            }
        }
    }
}

#[test]
fn halves_round_once() {
    let mut random = Random::new();
    for kind in [F16, BF16] {
        let inputs = pairs(&kind.values(), 16, count(400), &mut random);
        let three = triples(&kind.values(), 16, count(3000), &mut random);
        let f16 = kind.name == "f16";
        for (flush, saturate, relu) in [
            (false, false, false),
            (true, false, false),
            (false, true, false),
            (true, true, false),
            (false, false, true),
            (true, false, true),
        ] {
            let modifiers = Modifiers {
                rounding: "rn",
                flush,
                saturate,
                relu,
            };
            if (flush || saturate) && !f16 {
                continue;
            }
            check(kind, "fma", modifiers, &three);
            if !relu {
                for opcode in ["add", "sub", "mul"] {
                    check(kind, opcode, modifiers, &inputs);
                }
            }
        }
    }
}

#[test]
fn pairs_of_halves_and_of_singles_are_two_at_once() {
    let mut random = Random::new();
    for (kind, pair, letter, out) in [
        (F16, "f16x2", 'w', Out::Word),
        (BF16, "bf16x2", 'w', Out::Word),
        (F32, "f32x2", 'x', Out::Long),
    ] {
        let width = kind.width();
        let (first, second) = (
            triples(&kind.values(), width, count(1000), &mut random),
            triples(&kind.values(), width, count(1000), &mut random),
        );
        let inputs: Vec<[u64; 4]> = (first.iter().zip(&second))
            .map(|(low, high)| std::array::from_fn(|at| low[at] | high[at] << width))
            .collect();
        for (opcode, names) in [
            ("add", ", %La, %Lb"),
            ("sub", ", %La, %Lb"),
            ("mul", ", %La, %Lb"),
            ("fma", ", %La, %Lb, %Lc"),
        ] {
            for rounding in ROUNDINGS {
                if kind.name != "f32" && rounding != "rn" {
                    continue;
                }
                let modifiers = Modifiers {
                    rounding,
                    ..Modifiers::default()
                };
                let names = names.replace('L', &letter.to_string());
                let body = format!("{opcode}.{rounding}.{pair} %{letter}{names};");
                compare(&body, out, &inputs, |v| {
                    let low = reference(kind, opcode, modifiers, v);
                    let high = reference(kind, opcode, modifiers, v.map(|bits| bits >> width));
                    Want::Bits(high << width | low)
                });
            }
        }
    }
}

#[test]
fn mixed_precision_widens_first() {
    let mut random = Random::new();
    for half in [F16, BF16] {
        let values = half.values();
        let singles = triples(&F32.values(), 32, count(1500), &mut random);
        let halves = triples(&values, 16, count(1500), &mut random);
        let inputs: Vec<[u64; 4]> = (singles.iter().zip(&halves))
            .map(|(single, half)| [half[0], half[1], single[2], 0])
            .collect();
        let wide = |bits: u64| {
            let mut lost = false;
            let bits = u128::from(bits & 0xffff);
            use rustc_apfloat::FloatConvert;
            let value: Single = if half.name == "f16" {
                Half::from_bits(bits).convert(&mut lost).value
            } else {
                BFloat::from_bits(bits).convert(&mut lost).value
            };
            value.to_bits() as u64
        };
        for rounding in ROUNDINGS {
            for saturate in [false, true] {
                let modifiers = Modifiers {
                    rounding,
                    saturate,
                    ..Modifiers::default()
                };
                let words = modifiers.words();
                let name = half.name;
                for opcode in ["add", "sub"] {
                    let body = format!("{opcode}{words}.f32.{name} %w, %ha, %wc;");
                    compare(&body, Out::Word, &inputs, |v| {
                        Want::Bits(reference(F32, opcode, modifiers, [wide(v[0]), v[2], 0, 0]))
                    });
                }
                let body = format!("fma{words}.f32.{name} %w, %ha, %hb, %wc;");
                compare(&body, Out::Word, &inputs, |v| {
                    let v = [wide(v[0]), wide(v[1]), v[2], 0];
                    Want::Bits(reference(F32, "fma", modifiers, v))
                });
            }
        }
    }
}

/// The square root by comparing exact squares: the largest number whose square is not above, then
/// a step by the direction.
fn root(kind: Type, bits: u64, rounding: &str) -> u64 {
    if bits & (kind.sign() - 1) == 0 || bits == kind.infinity() {
        return bits;
    }
    if bits & kind.sign() != 0 || kind.is_nan(bits) {
        return kind.sign() - 1;
    }
    let parts = |bits: u64| {
        let field = bits >> kind.fraction_bits;
        let hidden = u64::from(field != 0) << kind.fraction_bits;
        let fraction = bits & ((1 << kind.fraction_bits) - 1) | hidden;
        let bias = (1i64 << (kind.exponent_bits - 1)) - 1 + i64::from(kind.fraction_bits);
        (u128::from(fraction), field.max(1).cast_signed() - bias)
    };
    let (value, exponent) = parts(bits);
    // Whether the square of `root`, or of the middle between it and the next number, is above.
    let above = |root: u64, middle: bool| {
        let (fraction, root_exponent) = parts(root);
        let (side, side_exponent) = if middle {
            (2 * fraction + 1, root_exponent - 1)
        } else {
            (fraction, root_exponent)
        };
        let shift = exponent - 2 * side_exponent;
        if shift >= 0 {
            // What does not fit is above every square.
            shift <= i64::from(value.leading_zeros()) && side * side > value << shift
        } else {
            side * side > value.checked_shr(shift.unsigned_abs() as u32).unwrap_or(0)
        }
    };
    // Bits order as values do.
    let (mut low, mut high) = (0, kind.infinity());
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if above(middle, false) {
            high = middle;
        } else {
            low = middle;
        }
    }
    let (fraction, root_exponent) = parts(low);
    let shift = exponent - 2 * root_exponent;
    let exact = if shift >= 0 {
        fraction * fraction == value << shift
    } else {
        fraction * fraction == value >> -shift
    };
    match rounding {
        _ if exact => low,
        "rp" => low + 1,
        "rn" if !above(low, true) => low + 1,
        _ => low,
    }
}

#[test]
fn square_roots_are_exact_in_every_direction() {
    let mut random = Random::new();
    for kind in [F32, F64] {
        let mut inputs = triples(&kind.values(), kind.width(), count(600), &mut random);
        inputs.extend(kind.values().iter().map(|&value| [value, 0, 0, 0]));
        // Squares and their neighbours.
        for value in 1..200u64 {
            let square = if kind.name == "f32" {
                u64::from(((value * value) as f32).to_bits())
            } else {
                ((value * value) as f64).to_bits()
            };
            inputs.extend([square - 1, square, square + 1].map(|bits| [bits, 0, 0, 0]));
        }
        for rounding in ROUNDINGS {
            for flush in [false, true] {
                if flush && kind.name == "f64" {
                    continue;
                }
                let modifiers = Modifiers {
                    rounding,
                    flush,
                    ..Modifiers::default()
                };
                let letter = kind.letter;
                let words = modifiers.words();
                let body = format!("sqrt{words}.{} %{letter}, %{letter}a;", kind.name);
                compare(&body, kind.out, &inputs, |v| {
                    let bits = if flush { kind.flushed(v[0]) } else { v[0] };
                    want(kind, root(kind, bits, rounding))
                });
            }
        }
    }
}
