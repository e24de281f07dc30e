//! `cvt` between every pair of types, rounding, `.ftz`, `.sat` and `.relu`, against an independent
//! implementation of IEEE 754.
//!
//! `PTX_LONG=1` tries a hundred times as many random operands, `PTX_SEED` other ones.
#![allow(clippy::unwrap_used, reason = "test code")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "test code"
)]

mod ptx_support;

use ptx_support::convert::{
    F32, F64, FLOATS, INTEGERS, Kind, Type, direction, flushed, infinity, one_or_less, want, widen,
    write,
};
use ptx_support::table::{Random, Want, compare};
use rustc_apfloat::Float;
use rustc_apfloat::ieee::Quad;

#[test]
fn floats_to_floats() {
    let mut random = Random::new();
    for from in FLOATS {
        let inputs = from.values(&mut random);
        for to in FLOATS {
            let (Kind::Float(from_bits, from_exponent), Kind::Float(to_bits, to_exponent)) =
                (from.kind, to.kind)
            else {
                unreachable!("FLOATS holds floats only")
            };
            let narrows = to_bits < from_bits || to_exponent < from_exponent;
            let words: &[&str] = match (narrows, from == to) {
                (_, true) => &["", ".rni", ".rzi", ".rmi", ".rpi"],
                (true, _) => &[".rn", ".rz", ".rm", ".rp"],
                _ => &[""],
            };
            if from == to && matches!(from.name, "bf16") {
                continue;
            }
            for word in words {
                for modifiers in ["", ".ftz", ".sat", ".ftz.sat", ".relu", ".satfinite"] {
                    let flush = modifiers.contains("ftz");
                    let single = [from.name, to.name].contains(&"f32");
                    let half = matches!(to.name, "f16" | "bf16") && from == F32;
                    let limited = modifiers == ".relu" || modifiers == ".satfinite";
                    let halfway = half && matches!(*word, ".rn" | ".rz");
                    if flush && !single || limited && !halfway {
                        continue;
                    }
                    let (source, target) = (from.letter(), to.letter());
                    let body = format!(
                        "cvt{word}{modifiers}.{}.{} %{target}, %{source}a;",
                        to.name, from.name
                    );
                    let round = direction(word.trim_start_matches('.'));
                    compare(&body, to.out(), &inputs, |v| {
                        let mut bits = v[0] & from.mask();
                        if flush && from == F32 {
                            bits = flushed(from, bits);
                        }
                        let mut value = widen(from, bits);
                        if word.ends_with('i') {
                            let negative = value.is_negative();
                            value = value.round_to_integral(round).value;
                            if value.is_zero() && negative != value.is_negative() {
                                value = -value;
                            }
                        }
                        if modifiers.contains(".sat") && !limited {
                            value = one_or_less(value);
                        }
                        if modifiers == ".relu" && value.is_negative() && !value.is_nan() {
                            value = Quad::ZERO;
                        }
                        let mut bits = write(to, value, round);
                        if modifiers == ".satfinite" && bits & (to.sign() - 1) == infinity(to) {
                            bits -= 1;
                        }
                        if flush && to == F32 {
                            bits = flushed(to, bits);
                        }
                        want(to, bits)
                    });
                }
            }
        }
    }
}

#[test]
fn floats_to_integers() {
    let mut random = Random::new();
    for from in FLOATS {
        let inputs = from.values(&mut random);
        for to in INTEGERS {
            for word in ["rni", "rzi", "rmi", "rpi"] {
                for flush in [false, true] {
                    if flush && from != F32 {
                        continue;
                    }
                    let ftz = if flush { ".ftz" } else { "" };
                    let (source, target) = (from.letter(), to.letter());
                    let body = format!(
                        "cvt.{word}{ftz}.{}.{} %{target}, %{source}a;",
                        to.name, from.name
                    );
                    compare(&body, to.out(), &inputs, |v| {
                        let bits = if flush { flushed(from, v[0]) } else { v[0] };
                        let value = widen(from, bits);
                        let width = to.width as usize;
                        if value.is_nan() {
                            let wide = to.width == 64 || from == F64;
                            let bits = if wide { 1u64 << (width - 1) } else { 0 };
                            return Want::Bits(extended(to, bits));
                        }
                        let mut exact = false;
                        let round = direction(word);
                        let bits = if to.kind == Kind::Signed {
                            value.to_i128_r(width, round, &mut exact).value as u64
                        } else {
                            value.to_u128_r(width, round, &mut exact).value as u64
                        };
                        Want::Bits(extended(to, bits))
                    });
                }
            }
        }
    }
}

/// Bits of `to` as they stand in the test's register, which is of 16 bits for one of 8.
fn extended(to: Type, bits: u64) -> u64 {
    let bits = bits & to.mask();
    if to.width == 8 && to.kind == Kind::Signed && bits & 0x80 != 0 {
        bits | 0xff00
    } else {
        bits
    }
}

fn number(from: Type, bits: u64) -> i128 {
    let value = i128::from(bits & from.mask());
    if from.kind == Kind::Signed && bits & from.sign() != 0 {
        value - (1i128 << from.width)
    } else {
        value
    }
}

#[test]
fn integers_to_floats_and_to_integers() {
    let mut random = Random::new();
    for from in INTEGERS {
        let inputs = from.values(&mut random);
        let source = from.letter();
        for to in FLOATS {
            for word in ["rn", "rz", "rm", "rp"] {
                for saturate in [false, true] {
                    let sat = if saturate { ".sat" } else { "" };
                    let target = to.letter();
                    let body = format!(
                        "cvt.{word}{sat}.{}.{} %{target}, %{source}a;",
                        to.name, from.name
                    );
                    compare(&body, to.out(), &inputs, |v| {
                        let value = number(from, v[0]);
                        let value = if saturate { value.clamp(0, 1) } else { value };
                        let round = direction(word);
                        let value = Quad::from_i128_r(value, round).value;
                        Want::Bits(write(to, value, round))
                    });
                }
            }
        }
        for to in INTEGERS {
            for saturate in [false, true] {
                let sat = if saturate { ".sat" } else { "" };
                let target = to.letter();
                let body = format!("cvt{sat}.{}.{} %{target}, %{source}a;", to.name, from.name);
                compare(&body, to.out(), &inputs, |v| {
                    let value = number(from, v[0]);
                    let edge = 1i128 << (to.width - 1);
                    let value = match (saturate, to.kind) {
                        (false, _) => value,
                        (_, Kind::Signed) => value.clamp(-edge, edge - 1),
                        _ => value.clamp(0, 2 * edge - 1),
                    };
                    Want::Bits(extended(to, value as u64))
                });
            }
        }
    }
}
