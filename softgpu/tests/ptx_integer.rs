//! Integer arithmetic and carries of every width, against references in 128 bits.
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

use ptx_support::table::{Out, Random, Want, compare, count, integers, pairs};

use ptx_support::integer::{Type, body};

/// A product's 128 bits even where both factors are unsigned and of 64.
fn high_part(kind: Type, a: i128, b: i128) -> i128 {
    if kind.signed {
        (a * b) >> kind.width
    } else {
        ((a as u128 * b as u128) >> kind.width) as i128
    }
}

fn low_part(a: i128, b: i128) -> i128 {
    a.wrapping_mul(b)
}

type Reference = fn(Type, i128, i128, i128) -> i128;

/// Instructions that every width and sign has.
const COMMON: &[(&str, Reference)] = &[
    ("add.T %L, %La, %Lb;", |_, a, b, _| a + b),
    ("sub.T %L, %La, %Lb;", |_, a, b, _| a - b),
    ("mul.lo.T %L, %La, %Lb;", |_, a, b, _| low_part(a, b)),
    ("mul.hi.T %L, %La, %Lb;", |kind, a, b, _| {
        high_part(kind, a, b)
    }),
    ("mad.lo.T %L, %La, %Lb, %Lc;", |_, a, b, c| {
        low_part(a, b).wrapping_add(c)
    }),
    ("mad.hi.T %L, %La, %Lb, %Lc;", |kind, a, b, c| {
        high_part(kind, a, b) + c
    }),
    ("div.T %L, %La, %Lb;", |_, a, b, _| {
        a.checked_div(b).unwrap_or(-1)
    }),
    ("rem.T %L, %La, %Lb;", |_, a, b, _| {
        a.checked_rem(b).unwrap_or(a)
    }),
    (
        "min.T %L, %La, %Lb;",
        |_, a, b, _| if a < b { a } else { b },
    ),
    (
        "max.T %L, %La, %Lb;",
        |_, a, b, _| if a < b { b } else { a },
    ),
    ("sad.T %L, %La, %Lb, %Lc;", |_, a, b, c| {
        c + if a < b { b - a } else { a - b }
    }),
];

#[test]
fn arithmetic_of_every_width_and_sign() {
    let mut random = Random::new();
    for kind in Type::all() {
        let inputs = kind.inputs(&mut random);
        for (template, reference) in COMMON {
            compare(&body(template, kind), kind.out(), &inputs, |v| {
                let [a, b, c, _] = v.map(|bits| kind.read(bits));
                Want::Bits(kind.write(reference(kind, a, b, c)))
            });
        }
        if kind.signed {
            compare(&body("neg.T %L, %La;", kind), kind.out(), &inputs, |v| {
                Want::Bits(kind.write(-kind.read(v[0])))
            });
            compare(&body("abs.T %L, %La;", kind), kind.out(), &inputs, |v| {
                Want::Bits(kind.write(kind.read(v[0]).abs()))
            });
        }
        let amounts: Vec<[u64; 4]> = (inputs.iter())
            .flat_map(|v| [[v[0], v[1] & 0x7f, 0, 0], [v[0], v[1], 0, 0]])
            .collect();
        compare(
            &body("shr.T %L, %La, %wb;", kind),
            kind.out(),
            &amounts,
            |v| Want::Bits(kind.write(kind.read(v[0]) >> (v[1] as u32).min(64))),
        );
        let bits = body("shl.bW %L, %La, %wb;", kind).replace('W', &kind.width.to_string());
        compare(&bits, kind.out(), &amounts, |v| {
            let count = v[1] as u32;
            let value = if count >= 64 { 0 } else { v[0] << count };
            Want::Bits(kind.write(i128::from(value)))
        });
    }
}

#[test]
fn saturation_relu_and_wide_products() {
    let mut random = Random::new();
    let s32 = Type {
        width: 32,
        signed: true,
    };
    let inputs = s32.inputs(&mut random);
    let table: &[(&str, Reference)] = &[
        ("add.sat.s32 %w, %wa, %wb;", |kind, a, b, _| {
            kind.clamp(a + b)
        }),
        ("sub.sat.s32 %w, %wa, %wb;", |kind, a, b, _| {
            kind.clamp(a - b)
        }),
        ("mad.hi.sat.s32 %w, %wa, %wb, %wc;", |kind, a, b, c| {
            kind.clamp(((a * b) >> 32) + c)
        }),
        ("min.relu.s32 %w, %wa, %wb;", |_, a, b, _| a.min(b).max(0)),
        ("max.relu.s32 %w, %wa, %wb;", |_, a, b, _| a.max(b).max(0)),
    ];
    for (body, reference) in table {
        compare(body, Out::Word, &inputs, |v| {
            let [a, b, c, _] = v.map(|bits| s32.read(bits));
            Want::Bits(s32.write(reference(s32, a, b, c)))
        });
    }
    for signed in [false, true] {
        let name = |width: u32| Type { width, signed };
        for width in [16, 32] {
            let (kind, wide) = (name(width), name(2 * width));
            let inputs = kind.inputs(&mut random);
            let letter = kind.letter();
            let (target, t) = (wide.letter(), kind.name());
            let body = format!("mul.wide.{t} %{target}, %{letter}a, %{letter}b;");
            compare(&body, wide.out(), &inputs, |v| {
                Want::Bits(wide.write(kind.read(v[0]) * kind.read(v[1])))
            });
            let body = format!("mad.wide.{t} %{target}, %{letter}a, %{letter}b, %{target}d;");
            compare(&body, wide.out(), &inputs, |v| {
                Want::Bits(wide.write(kind.read(v[0]) * kind.read(v[1]) + wide.read(v[3])))
            });
        }
    }
}

#[test]
fn products_of_24_bits() {
    let mut random = Random::new();
    for signed in [false, true] {
        let name = |width: u32| Type { width, signed };
        let (kind, narrow) = (name(32), name(24));
        let inputs = kind.inputs(&mut random);
        let product = |v: [u64; 4]| narrow.read(v[0]) * narrow.read(v[1]);
        for (form, shift, adds) in [
            ("mul24.lo", 0, false),
            ("mul24.hi", 16, false),
            ("mad24.lo", 0, true),
            ("mad24.hi", 16, true),
        ] {
            let c = if adds { ", %wc" } else { "" };
            let body = format!("{form}.{} %w, %wa, %wb{c};", kind.name());
            compare(&body, Out::Word, &inputs, |v| {
                let c = if adds { kind.read(v[2]) } else { 0 };
                Want::Bits(kind.write((product(v) >> shift) + c))
            });
        }
        if signed {
            compare(
                "mad24.hi.sat.s32 %w, %wa, %wb, %wc;",
                Out::Word,
                &inputs,
                |v| {
                    let sum = (product(v) >> 16) + kind.read(v[2]);
                    Want::Bits(kind.write(kind.clamp(sum)))
                },
            );
        }
    }
}

/// Of a, b, c, the carry and the width.
type Carried = fn(u128, u128, u128, u128, u32) -> u128;

#[test]
fn carries_chain_over_words() {
    let mut random = Random::new();
    for (width, letter, out) in [(32, 'w', Out::Word), (64, 'x', Out::Long)] {
        let mask = u128::MAX >> (128 - width);
        let inputs = pairs(&integers(width), width, count(300), &mut random);
        // %d of the input sets the carry: all ones plus one or plus zero.
        let start = "and.bW %Ld, %Ld, 1; add.cc.uW %Ld, %Ld, -1;";
        let carries: [(&str, Carried); 6] = [
            ("addc.uW %L, %La, %Lb;", |a, b, _, carry, _| a + b + carry),
            (
                "addc.cc.uW %La, %La, %Lb; addc.uW %L, 0, 0;",
                |a, b, _, carry, width| a.wrapping_add(b).wrapping_add(carry) >> width,
            ),
            ("madc.lo.uW %L, %La, %Lb, %Lc;", |a, b, c, carry, _| {
                a.wrapping_mul(b).wrapping_add(c + carry)
            }),
            (
                "madc.lo.cc.uW %La, %La, %Lb, %Lc; addc.uW %L, 0, 0;",
                |a, b, c, carry, width| {
                    let low = a.wrapping_mul(b) & (u128::MAX >> (128 - width));
                    (low + c + carry) >> width
                },
            ),
            ("madc.hi.uW %L, %La, %Lb, %Lc;", |a, b, c, carry, width| {
                ((a * b) >> width) + c + carry
            }),
            (
                "madc.hi.cc.uW %La, %La, %Lb, %Lc; addc.uW %L, 0, 0;",
                |a, b, c, carry, width| (((a * b) >> width) + c + carry) >> width,
            ),
        ];
        let fill = |text: &str| {
            text.replace('W', &width.to_string())
                .replace('L', &letter.to_string())
        };
        for (template, reference) in carries {
            let body = fill(&format!("{start} {template}"));
            compare(&body, out, &inputs, |v| {
                let [a, b, c, d] = v.map(|bits| u128::from(bits) & mask);
                Want::Bits((reference(a, b, c, d & 1, width) & mask) as u64)
            });
        }
        let borrow = fill("and.bW %Ld, %Ld, 1; sub.cc.uW %Ld, 0, %Ld; ");
        let template = fill("subc.cc.uW %Lc, %La, %Lb; subc.uW %L, %Lc, 0;");
        compare(&(borrow + &template), out, &inputs, |v| {
            let [a, b, _, d] = v.map(|bits| (u128::from(bits) & mask) as i128);
            let first = a - b - (d & 1);
            let second = (first & mask as i128) - i128::from(first < 0);
            Want::Bits((second & mask as i128) as u64)
        });
        let signed = fill("mad.hi.cc.sW %Ld, %La, %Lb, %Lc; addc.uW %L, 0, 0;");
        let kind = Type {
            width,
            signed: true,
        };
        compare(&signed, out, &inputs, |v| {
            let high = (kind.read(v[0]) * kind.read(v[1])) >> width;
            let sum = (high as u128 & mask) + (u128::from(v[2]) & mask);
            Want::Bits((sum >> width) as u64)
        });
    }
}
