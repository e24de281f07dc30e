//! Comparisons, tests and selections of every float type, ordered and unordered, against an
//! independent implementation of IEEE 754.
//!
//! `PTX_LONG=1` tries a hundred times as many random operands, `PTX_SEED` other ones.

mod ptx_support;

use std::cmp::Ordering;

use ptx_support::convert::{BF16, F16, F32, F64, FLOATS, Type, flushed, infinity, widen};
use ptx_support::table::{Out, Random, Want, compare, count, floats, pairs, triples};

/// What a comparison says of an order; of `None` where a side is NaN.
type Comparison = fn(Option<Ordering>) -> bool;
type Combination = fn(bool, bool) -> bool;

const COMPARISONS: [(&str, Comparison); 14] = [
    ("eq", |order| order == Some(Ordering::Equal)),
    ("ne", |order| {
        order.is_some_and(|one| one != Ordering::Equal)
    }),
    ("lt", |order| order == Some(Ordering::Less)),
    ("le", |order| {
        order.is_some_and(|one| one != Ordering::Greater)
    }),
    ("gt", |order| order == Some(Ordering::Greater)),
    ("ge", |order| order.is_some_and(|one| one != Ordering::Less)),
    ("equ", |order| {
        order.is_none_or(|one| one == Ordering::Equal)
    }),
    ("neu", |order| order != Some(Ordering::Equal)),
    ("ltu", |order| order.is_none_or(|one| one == Ordering::Less)),
    ("leu", |order| order != Some(Ordering::Greater)),
    ("gtu", |order| {
        order.is_none_or(|one| one == Ordering::Greater)
    }),
    ("geu", |order| order != Some(Ordering::Less)),
    ("num", |order| order.is_some()),
    ("nan", |order| order.is_none()),
];
const COMBINATIONS: [(&str, Combination); 3] = [
    ("and", |a, b| a & b),
    ("or", |a, b| a | b),
    ("xor", |a, b| a ^ b),
];

fn edges(kind: Type) -> Vec<u64> {
    match kind {
        F16 => floats(10, 5),
        BF16 => floats(7, 8),
        F32 => floats(23, 8),
        _ => floats(52, 11),
    }
}

fn order(kind: Type, flush: bool, v: [u64; 4]) -> Option<Ordering> {
    let [a, b] = [v[0], v[1]].map(|bits| {
        let bits = bits & kind.mask();
        widen(kind, if flush { flushed(kind, bits) } else { bits })
    });
    a.partial_cmp(&b)
}

/// The forms with and without `.ftz` that a type has.
fn flushes(kind: Type) -> &'static [bool] {
    if kind == F32 || kind == F16 {
        &[false, true]
    } else {
        &[false]
    }
}

fn word(flush: bool) -> &'static str {
    if flush { ".ftz" } else { "" }
}

fn inputs(kind: Type, random: &mut Random) -> Vec<[u64; 4]> {
    pairs(&edges(kind), kind.width, count(200), random)
}

#[test]
fn comparisons_of_floats_set_two_predicates() {
    let mut random = Random::new();
    for kind in FLOATS {
        let inputs = inputs(kind, &mut random);
        let (name, l) = (kind.name, kind.letter());
        for (comparison, holds) in COMPARISONS {
            for &flush in flushes(kind) {
                let ftz = word(flush);
                let of = |v: [u64; 4]| holds(order(kind, flush, v));
                let body = format!("setp.{comparison}{ftz}.{name} %p|%q, %{l}a, %{l}b;");
                compare(&body, Out::Predicates, &inputs, |v| {
                    Want::Bits(u64::from(of(v)) | u64::from(!of(v)) << 1)
                });
                for (logic, combine) in COMBINATIONS {
                    let body =
                        format!("setp.{comparison}.{logic}{ftz}.{name} %p|%q, %{l}a, %{l}b, !%pd;");
                    compare(&body, Out::Predicates, &inputs, |v| {
                        let other = v[3] & 1 == 0;
                        let (first, second) = (combine(of(v), other), combine(!of(v), other));
                        Want::Bits(u64::from(first) | u64::from(second) << 1)
                    });
                }
            }
        }
    }
}

#[test]
fn comparisons_of_floats_set_values() {
    let mut random = Random::new();
    for kind in FLOATS {
        let inputs = inputs(kind, &mut random);
        let (name, l) = (kind.name, kind.letter());
        let targets: &[(&str, char, u64)] = match kind {
            F16 => &[
                ("u16", 'h', 0xffff),
                ("s16", 'h', 0xffff),
                ("u32", 'w', 0xffff_ffff),
                ("s32", 'w', 0xffff_ffff),
                ("f16", 'h', 0x3c00),
            ],
            BF16 => &[
                ("u16", 'h', 0xffff),
                ("u32", 'w', 0xffff_ffff),
                ("bf16", 'h', 0x3f80),
            ],
            _ => &[
                ("u32", 'w', 0xffff_ffff),
                ("s32", 'w', 0xffff_ffff),
                ("f32", 'w', 0x3f80_0000),
                ("f16", 'h', 0x3c00),
            ],
        };
        for (comparison, holds) in COMPARISONS {
            for (&(to, target, yes), &flush) in targets
                .iter()
                .flat_map(|to| flushes(kind).iter().map(move |flush| (to, flush)))
            {
                let ftz = word(flush);
                let out = if target == 'h' { Out::Half } else { Out::Word };
                let body = format!("set.{comparison}{ftz}.{to}.{name} %{target}, %{l}a, %{l}b;");
                compare(&body, out, &inputs, |v| {
                    Want::Bits(if holds(order(kind, flush, v)) { yes } else { 0 })
                });
                let logic =
                    format!("set.{comparison}.xor{ftz}.{to}.{name} %{target}, %{l}a, %{l}b, %pd;");
                compare(&logic, out, &inputs, |v| {
                    let is = holds(order(kind, flush, v)) ^ (v[3] & 1 == 1);
                    Want::Bits(if is { yes } else { 0 })
                });
            }
        }
    }
}

#[test]
fn comparisons_of_pairs_are_two_at_once() {
    let mut random = Random::new();
    for (kind, pair, one) in [(F16, "f16x2", 0x3c00u64), (BF16, "bf16x2", 0x3f80)] {
        let lows = inputs(kind, &mut random);
        let inputs: Vec<[u64; 4]> = (lows.iter().zip(lows.iter().rev()))
            .map(|(low, high)| {
                let both = |at: usize| low[at] | high[at] << 16;
                [both(0), both(1), 0, low[3]]
            })
            .collect();
        for (comparison, holds) in COMPARISONS {
            for &flush in flushes(kind) {
                let ftz = word(flush);
                let of = |v: [u64; 4]| {
                    [0, 16].map(|shift| holds(order(kind, flush, v.map(|bits| bits >> shift))))
                };
                let body = format!("setp.{comparison}{ftz}.{pair} %p|%q, %wa, %wb;");
                compare(&body, Out::Predicates, &inputs, |v| {
                    let [low, high] = of(v).map(u64::from);
                    Want::Bits(low | high << 1)
                });
                for (logic, combine) in COMBINATIONS {
                    let body =
                        format!("setp.{comparison}.{logic}{ftz}.{pair} %p|%q, %wa, %wb, %pd;");
                    compare(&body, Out::Predicates, &inputs, |v| {
                        let [low, high] = of(v).map(|is| u64::from(combine(is, v[3] & 1 == 1)));
                        Want::Bits(low | high << 1)
                    });
                }
                for (to, yes) in [(pair, one), ("u32", 0xffff), ("s32", 0xffff)] {
                    let body = format!("set.{comparison}{ftz}.{to}.{pair} %w, %wa, %wb;");
                    compare(&body, Out::Word, &inputs, |v| {
                        let [low, high] = of(v).map(|is| if is { yes } else { 0 });
                        Want::Bits(low | high << 16)
                    });
                }
            }
        }
    }
}

#[test]
fn kinds_of_numbers_are_told_apart() {
    let mut random = Random::new();
    for (kind, fraction) in [(F32, 23), (F64, 52)] {
        let inputs = inputs(kind, &mut random);
        type Test = fn(u64, u64, u64) -> bool;
        let tests: [(&str, Test); 6] = [
            ("finite", |size, infinity, _| size < infinity),
            ("infinite", |size, infinity, _| size == infinity),
            ("number", |size, infinity, _| size <= infinity),
            ("notanumber", |size, infinity, _| size > infinity),
            // A zero counts as normal.
            ("normal", |size, infinity, unit| {
                size == 0 || (size >= unit && size < infinity)
            }),
            ("subnormal", |size, _, unit| size > 0 && size < unit),
        ];
        for (name, holds) in tests {
            let body = format!("testp.{name}.{} %p, %{}a;", kind.name, kind.letter());
            compare(&body, Out::Predicates, &inputs, |v| {
                let size = v[0] & (kind.sign() - 1);
                Want::Bits(u64::from(holds(size, infinity(kind), 1 << fraction)))
            });
        }
    }
}

#[test]
fn floats_and_bits_are_selected() {
    let mut random = Random::new();
    let kinds = ["b16", "f16", "b32", "f32", "b64", "f64"];
    for (index, name) in kinds.into_iter().enumerate() {
        let kind = [F16, F32, F64][index / 2];
        let l = kind.letter();
        let mut inputs = triples(&edges(kind), kind.width, count(300), &mut random);
        for &bits in &edges(F32) {
            inputs.push([random.next(), random.next(), bits, random.next()]);
        }
        if name != "f16" {
            let body = format!("selp.{name} %{l}, %{l}a, %{l}b, !%pd;");
            compare(&body, kind.out(), &inputs, |v| {
                Want::Bits(kind.mask() & if v[3] & 1 == 0 { v[0] } else { v[1] })
            });
        }
        for flush in [false, true] {
            let ftz = word(flush);
            let body = format!("slct{ftz}.{name}.f32 %{l}, %{l}a, %{l}b, %wc;");
            compare(&body, kind.out(), &inputs, |v| {
                let by = v[2] & F32.mask();
                let value = widen(F32, if flush { flushed(F32, by) } else { by });
                // -0 is not below 0; NaN takes the second.
                let first = value
                    .partial_cmp(&widen(F32, 0))
                    .is_some_and(Ordering::is_ge);
                Want::Bits(kind.mask() & if first { v[0] } else { v[1] })
            });
        }
        let body = format!("slct.{name}.s32 %{l}, %{l}a, %{l}b, %wc;");
        compare(&body, kind.out(), &inputs, |v| {
            let first = v[2] >> 31 & 1 == 0;
            Want::Bits(kind.mask() & if first { v[0] } else { v[1] })
        });
    }
}
