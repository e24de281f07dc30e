//! Comparisons and selections of every integer type, against references in 128 bits.
//!
//! `PTX_LONG=1` tries a hundred times as many random operands, `PTX_SEED` other ones.

mod ptx_support;

use ptx_support::integer::{Type, body};
use ptx_support::table::{Out, Random, Want, compare, count, integers, triples};

type Comparison = fn(i128, i128) -> bool;
type Combination = fn(bool, bool) -> bool;

const COMPARISONS: [(&str, Comparison); 6] = [
    ("eq", |a, b| a == b),
    ("ne", |a, b| a != b),
    ("lt", |a, b| a < b),
    ("le", |a, b| a <= b),
    ("gt", |a, b| a > b),
    ("ge", |a, b| a >= b),
];
const COMBINATIONS: [(&str, Combination); 3] = [
    ("and", |a, b| a & b),
    ("or", |a, b| a | b),
    ("xor", |a, b| a ^ b),
];

#[test]
fn comparisons_set_two_predicates() {
    let mut random = Random::new();
    for kind in Type::all() {
        let inputs = kind.inputs(&mut random);
        for (name, holds) in COMPARISONS {
            let of = |v: [u64; 4]| holds(kind.read(v[0]), kind.read(v[1]));
            let plain = body(&format!("setp.{name}.T %p|%q, %La, %Lb;"), kind);
            compare(&plain, Out::Predicates, &inputs, |v| {
                Want::Bits(u64::from(of(v)) | u64::from(!of(v)) << 1)
            });
            for (word, combine) in COMBINATIONS {
                for negated in [false, true] {
                    let mark = if negated { "!" } else { "" };
                    let template = format!("setp.{name}.{word}.T %p|%q, %La, %Lb, {mark}%pd;");
                    compare(&body(&template, kind), Out::Predicates, &inputs, |v| {
                        let other = (v[3] & 1 == 1) != negated;
                        let (first, second) = (combine(of(v), other), combine(!of(v), other));
                        Want::Bits(u64::from(first) | u64::from(second) << 1)
                    });
                }
            }
        }
    }
}

#[test]
fn comparisons_set_words_and_singles() {
    let mut random = Random::new();
    for kind in Type::all() {
        let inputs = kind.inputs(&mut random);
        for (name, holds) in COMPARISONS {
            for (to, yes) in [
                ("u32", 0xffff_ffff),
                ("s32", 0xffff_ffff),
                ("f32", 0x3f80_0000),
            ] {
                let template = format!("set.{name}.{to}.T %w, %La, %Lb;");
                compare(&body(&template, kind), Out::Word, &inputs, |v| {
                    let is = holds(kind.read(v[0]), kind.read(v[1]));
                    Want::Bits(if is { yes } else { 0 })
                });
            }
        }
    }
}

#[test]
fn selections_take_one_of_two() {
    let mut random = Random::new();
    for kind in Type::all() {
        let inputs = triples(&integers(kind.width), kind.width, count(300), &mut random);
        let mask = u64::MAX >> (64 - kind.width);
        compare(
            &body("selp.T %L, %La, %Lb, %pd;", kind),
            kind.out(),
            &inputs,
            |v| Want::Bits(mask & if v[3] & 1 == 1 { v[0] } else { v[1] }),
        );
        compare(
            &body("slct.T.s32 %L, %La, %Lb, %wc;", kind),
            kind.out(),
            &inputs,
            |v| {
                let positive = v[2] >> 31 & 1 == 0;
                Want::Bits(mask & if positive { v[0] } else { v[1] })
            },
        );
        compare(
            &body("slct.T.f32 %L, %La, %Lb, %wc;", kind),
            kind.out(),
            &inputs,
            |v| {
                let bits = v[2] & 0xffff_ffff;
                // -0 is not less than 0; NaN is not either side's, and takes the second.
                let first = bits == 0x8000_0000 || bits <= 0x7f80_0000;
                Want::Bits(mask & if first { v[0] } else { v[1] })
            },
        );
    }
}
