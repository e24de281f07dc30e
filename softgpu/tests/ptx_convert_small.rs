//! `cvt` of pairs and to small formats: halves, tensor floats, floats of 8 bits and fewer, packed
//! integers.
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

use ptx_support::convert::{BF16, F16, F32, direction, infinity, widen, write};
use ptx_support::table::{Out, Random, Want, compare, count, integers, triples};
use rustc_apfloat::ieee::{Double, Float8E4M3FN, Float8E5M2, Half, Single};
use rustc_apfloat::{Float, FloatConvert};

#[test]
fn pairs_of_halves_and_tensor_floats() {
    let mut random = Random::new();
    let inputs: Vec<[u64; 4]> = {
        let (first, second) = (F32.values(&mut random), F32.values(&mut random));
        let pairs = first.iter().zip(second.iter().rev());
        pairs.map(|(a, b)| [a[0], b[0], 0, 0]).collect()
    };
    for to in [F16, BF16] {
        for word in ["rn", "rz"] {
            for relu in [false, true] {
                let name = if relu { ".relu" } else { "" };
                let body = format!("cvt.{word}{name}.{}x2.f32 %w, %wa, %wb;", to.name);
                let one = |bits: u64| {
                    let value = widen(F32, bits);
                    if relu && value.is_negative() && !value.is_nan() {
                        return 0;
                    }
                    write(to, value, direction(word))
                };
                compare(&body, Out::Word, &inputs, |v| {
                    Want::Bits(one(v[0]) << 16 | one(v[1]))
                });
            }
        }
    }
    // A tf32 is what rounding to 10 bits of fraction leaves; counted in units of 2^13.
    for word in ["rna", "rn", "rz"] {
        compare(
            &format!("cvt.{word}.tf32.f32 %w, %wa;"),
            Out::Word,
            &inputs,
            |v| {
                let (sign, size) = (v[0] & 1 << 31, v[0] & 0x7fff_ffff);
                if size > infinity(F32) {
                    return Want::Bits(0x7fff_ffff);
                }
                let (units, rest) = (size >> 13, size & 0x1fff);
                let up = match word {
                    "rna" => rest >= 0x1000,
                    "rn" => rest > 0x1000 || rest == 0x1000 && units % 2 == 1,
                    _ => false,
                };
                Want::Bits(sign | (units + u64::from(up)) << 13)
            },
        );
    }
}

/// The code of a small format nearest to a value, by trying all of them.
fn nearest(values: &[(u64, f64)], value: f64) -> u64 {
    // Far beyond the largest, differences of doubles would all be equal.
    let size = value.abs().min(1e6);
    let mut best = values[0];
    for &(code, one) in values {
        let (off, least) = ((one - size).abs(), (best.1 - size).abs());
        if off < least || off == least && code % 2 == 0 {
            best = (code, one);
        }
    }
    best.0
}

/// What the codes of a small format mean, the largest last.
fn codes(fraction: u32, bias: i32, end: u64) -> Vec<(u64, f64)> {
    (0..end)
        .map(|code| {
            let (field, rest) = (code >> fraction, (code & ((1 << fraction) - 1)) as f64);
            let unit = 2f64.powi(-(fraction as i32));
            let value = if field == 0 {
                rest * unit * 2f64.powi(1 - bias)
            } else {
                (1.0 + rest * unit) * 2f64.powi(field as i32 - bias)
            };
            (code, value)
        })
        .collect()
}

/// Name, fraction bits, bias, one more than the largest code, sign bit, NaN, bits of a part.
const SMALL: [(&str, u32, i32, u64, u64, u64, u32); 5] = [
    ("e4m3x2", 3, 7, 0x7f, 0x80, 0x7f, 8),
    ("e5m2x2", 2, 15, 0x7c, 0x80, 0x7f, 8),
    ("e2m3x2", 3, 1, 0x20, 0x20, 0x1f, 8),
    ("e3m2x2", 2, 3, 0x20, 0x20, 0x1f, 8),
    ("e2m1x2", 1, 1, 8, 8, 7, 4),
];

#[test]
fn floats_of_eight_bits_and_fewer() {
    let mut random = Random::new();
    let mut inputs: Vec<[u64; 4]> = F32.values(&mut random);
    // Most singles are far outside: some within, too.
    for _ in 0..count(500) {
        let near = |bits: u64| u64::from(((bits as i32 as f32) * 1e-7).to_bits());
        inputs.push([near(random.next()), near(random.next() >> 20), 0, 0]);
    }
    for (name, fraction, bias, end, sign, nan, width) in SMALL {
        let values = codes(fraction, bias, end);
        for relu in [false, true] {
            let one = |bits: u64| {
                let value = f64::from(f32::from_bits(bits as u32));
                if value.is_nan() {
                    return nan;
                }
                if relu && value.is_sign_negative() {
                    return 0;
                }
                nearest(&values, value) | if value.is_sign_negative() { sign } else { 0 }
            };
            let word = if relu { ".relu" } else { "" };
            let (target, move_up) = if width == 4 {
                ("%v0", "cvt.u32.u8 %w, %v0;")
            } else {
                ("%h", "cvt.u32.u16 %w, %h;")
            };
            let body = format!("cvt.rn.satfinite{word}.{name}.f32 {target}, %wa, %wb; {move_up}");
            compare(&body, Out::Word, &inputs, |v| {
                Want::Bits(one(v[0]) << width | one(v[1]))
            });
            let halves: Vec<[u64; 4]> = (0..0x1_0000u64)
                .step_by(7)
                .map(|bits| [bits << 16 | bits ^ 0x3ff, 0, 0, 0])
                .collect();
            if width == 8 && matches!(name, "e4m3x2" | "e5m2x2") {
                let body = format!("cvt.rn.satfinite{word}.{name}.f16x2 %h, %wa;");
                compare(&body, Out::Half, &halves, |v| {
                    let half = |bits: u64| {
                        let mut lost = false;
                        let value = Half::from_bits(u128::from(bits & 0xffff));
                        let single: Single = value.convert(&mut lost).value;
                        one(single.to_bits() as u64)
                    };
                    Want::Bits(half(v[0] >> 16) << 8 | half(v[0]))
                });
            }
        }
    }
}

#[test]
fn floats_of_eight_bits_and_fewer_become_halves() {
    for (name, fraction, bias, end, sign, _, width) in SMALL {
        let values = codes(fraction, bias, end);
        let all: Vec<[u64; 4]> = (0..256u64)
            .filter(|code| width == 8 || code >> 4 == 0)
            .map(|code| {
                [
                    code & (2 * sign - 1) | (code & (2 * sign - 1)) << width,
                    0,
                    0,
                    0,
                ]
            })
            .collect();
        let body = if width == 4 {
            format!("mov.b32 %v0, %wa; cvt.rn.f16x2.{name} %w, %v0;")
        } else {
            format!("cvt.rn.f16x2.{name} %w, %ha;")
        };
        compare(&body, Out::Word, &all, |v| {
            let code = v[0] & (sign - 1);
            let mut lost = false;
            let half = match (name, values.get(code as usize)) {
                ("e4m3x2", _) => {
                    let value = Float8E4M3FN::from_bits(u128::from(v[0] & 0xff));
                    let half: Half = value.convert(&mut lost).value;
                    half
                }
                ("e5m2x2", _) => {
                    let value = Float8E5M2::from_bits(u128::from(v[0] & 0xff));
                    let half: Half = value.convert(&mut lost).value;
                    half
                }
                (_, Some(&(_, value))) => {
                    let value = Double::from_bits(u128::from(value.to_bits()));
                    let half: Half = value.convert(&mut lost).value;
                    if v[0] & sign == 0 { half } else { -half }
                }
                _ => Half::NAN,
            };
            let bits = if half.is_nan() {
                0x7fff
            } else {
                half.to_bits() as u64
            };
            Want::Bits(bits << 16 | bits)
        });
    }
}

#[test]
fn powers_of_two() {
    let mut random = Random::new();
    let inputs = F32.values(&mut random);
    for (word, up) in [("rz", false), ("rp", true)] {
        for finite in [false, true] {
            let name = if finite { ".satfinite" } else { "" };
            let body = format!("cvt.{word}{name}.ue8m0x2.f32 %h, %wa, %wa;");
            compare(&body, Out::Half, &inputs, |v| {
                let value = f64::from(f32::from_bits(v[0] as u32)).abs();
                let large = if finite { 0xfe } else { 0xff };
                let code = if value.is_nan() {
                    0xff
                } else {
                    // The codes are powers from 2^-127 on; the first that is not less, or the last
                    // that is not more.
                    let power = |code: i32| 2f64.powi(code - 127);
                    let found = if up {
                        (0..255).find(|&code| power(code) >= value)
                    } else {
                        (0..255)
                            .rev()
                            .find(|&code| power(code) <= value)
                            .or(Some(0))
                    };
                    let over = value.is_infinite() || value >= 2f64.powi(128);
                    found.filter(|_| !over).map_or(large, |code| code as u64)
                };
                Want::Bits(code << 8 | code)
            });
        }
    }
    let all: Vec<[u64; 4]> = (0..256).map(|code| [code << 8 | code, 0, 0, 0]).collect();
    compare("cvt.rn.bf16x2.ue8m0x2 %w, %ha;", Out::Word, &all, |v| {
        let code = v[0] & 0xff;
        let single = (2f64.powi(code as i32 - 127)) as f32;
        let bits = if code == 255 {
            0x7fff
        } else {
            u64::from(single.to_bits() >> 16)
        };
        Want::Bits(bits << 16 | bits)
    });
}

#[test]
fn packed_integers_saturate() {
    let mut random = Random::new();
    let inputs = triples(&integers(32), 32, count(600), &mut random);
    for (name, width, signed) in [
        ("u16.s32", 16u32, false),
        ("s16.s32", 16, true),
        ("u8.s32.b32", 8, false),
        ("s8.s32.b32", 8, true),
        ("u4.s32.b32", 4, false),
        ("s4.s32.b32", 4, true),
        ("u2.s32.b32", 2, false),
        ("s2.s32.b32", 2, true),
    ] {
        let c = if width == 16 { "" } else { ", %wc" };
        compare(
            &format!("cvt.pack.sat.{name} %w, %wa, %wb{c};"),
            Out::Word,
            &inputs,
            |v| {
                let edge = 1i64 << (width - 1);
                let (low, high) = if signed {
                    (-edge, edge - 1)
                } else {
                    (0, 2 * edge - 1)
                };
                let one = |bits: u64| {
                    let value = i64::from(bits as u32 as i32).clamp(low, high) as u64;
                    value & ((1 << width) - 1)
                };
                let above = if width == 16 { 0 } else { v[2] << (2 * width) };
                Want::Bits((above | one(v[0]) << width | one(v[1])) & 0xffff_ffff)
            },
        );
    }
}
