//! Minimum, maximum, sign and magnitude of every float type with every modifier, and values packed
//! into registers, by the definitions of the PTX ISA.
//!
//! `PTX_LONG=1` tries a hundred times as many random operands, `PTX_SEED` other ones.

#![allow(clippy::cast_possible_truncation, reason = "test code")]

mod ptx_support;

use ptx_support::convert::{BF16, F16, F32, F64, FLOATS, Type, flushed, infinity, widen};
use ptx_support::table::{Out, Random, Want, compare, count, floats, pairs, triples};

fn edges(kind: Type) -> Vec<u64> {
    match kind {
        F16 => floats(10, 5),
        BF16 => floats(7, 8),
        F32 => floats(23, 8),
        _ => floats(52, 11),
    }
}

fn inputs(kind: Type, random: &mut Random) -> Vec<[u64; 4]> {
    let mut inputs = pairs(&edges(kind), kind.width, count(300), random);
    // The third operand: an edge as often as not.
    let values = edges(kind);
    for input in &mut inputs {
        if input[3] & 1 == 0 {
            input[2] = values[(input[3] >> 1) as usize % values.len()];
        }
    }
    inputs
}

#[derive(Clone, Copy, Debug, Default)]
struct Modifiers {
    flush: bool,
    nan: bool,
    relu: bool,
    xor_sign: bool,
    magnitude: bool,
    three: bool,
}

impl Modifiers {
    fn words(self) -> String {
        let words = [
            (self.flush, ".ftz"),
            (self.nan, ".NaN"),
            (self.relu, ".relu"),
            (self.xor_sign, ".xorsign"),
            (self.magnitude, ".abs"),
        ];
        let mut all = String::new();
        for (has, word) in words {
            if has {
                all.push_str(word);
            }
        }
        all
    }

    fn all() -> impl Iterator<Item = Self> {
        (0..64).map(|bits: u32| Self {
            flush: bits & 1 != 0,
            nan: bits & 2 != 0,
            relu: bits & 4 != 0,
            xor_sign: bits & 8 != 0,
            magnitude: bits & 16 != 0,
            three: bits & 32 != 0,
        })
    }

    /// Whether the PTX ISA has the form for this type.
    fn fits(self, kind: Type) -> bool {
        let two = !self.xor_sign || (self.magnitude && !self.three && !self.relu);
        // Magnitudes alone are for three singles.
        let alone = self.xor_sign || !self.magnitude || (self.three && kind == F32);
        two && alone
            && match kind {
                F32 => !self.relu,
                F64 => self.words().is_empty() && !self.three,
                F16 => true,
                _ => !self.flush,
            }
    }
}

fn is_nan(kind: Type, bits: u64) -> bool {
    bits & (kind.sign() - 1) > infinity(kind)
}

fn pick(kind: Type, nan: bool, largest: bool, a: u64, b: u64) -> u64 {
    match (is_nan(kind, a), is_nan(kind, b)) {
        (true, true) => return kind.sign() - 1,
        (true, false) | (false, true) if nan => return kind.sign() - 1,
        (true, false) => return b,
        (false, true) => return a,
        _ => {}
    }
    let (x, y) = (widen(kind, a), widen(kind, b));
    let below = if x == y {
        // -0 is below 0.
        a & kind.sign() != 0
    } else {
        x < y
    };
    if below == largest { b } else { a }
}

fn reference(kind: Type, largest: bool, one: Modifiers, v: [u64; 4]) -> u64 {
    let sign = (v[0] ^ v[1]) & kind.sign();
    let [a, b, c] = [v[0], v[1], v[2]].map(|bits| {
        let bits = bits & kind.mask();
        let bits = if one.flush { flushed(kind, bits) } else { bits };
        if one.magnitude {
            bits & !kind.sign()
        } else {
            bits
        }
    });
    let mut result = pick(kind, one.nan, largest, a, b);
    if one.three {
        // A NaN of the first two is one of all three.
        let unordered = one.nan && is_nan(kind, result);
        result = pick(kind, one.nan, largest, result, c);
        assert!(!unordered || is_nan(kind, result), "NaN is kept");
    }
    if is_nan(kind, result) {
        return kind.sign() - 1;
    }
    if one.relu && result & kind.sign() != 0 {
        result = 0;
    }
    if one.xor_sign { result | sign } else { result }
}

fn want(kind: Type, bits: u64) -> Want {
    if kind == F64 && is_nan(kind, bits) {
        Want::AnyNan
    } else {
        Want::Bits(bits)
    }
}

#[test]
fn the_smaller_and_the_larger_are_chosen() {
    let mut random = Random::new();
    for kind in FLOATS {
        let inputs = inputs(kind, &mut random);
        for one in Modifiers::all().filter(|one| one.fits(kind)) {
            for (opcode, largest) in [("min", false), ("max", true)] {
                let l = kind.letter();
                let third = if one.three {
                    format!(", %{l}c")
                } else {
                    String::new()
                };
                let (words, name) = (one.words(), kind.name);
                let body = format!("{opcode}{words}.{name} %{l}, %{l}a, %{l}b{third};");
                compare(&body, kind.out(), &inputs, |v| {
                    want(kind, reference(kind, largest, one, v))
                });
            }
        }
    }
}

#[test]
fn the_smaller_and_the_larger_of_pairs() {
    let mut random = Random::new();
    for (kind, pair) in [(F16, "f16x2"), (BF16, "bf16x2")] {
        let lows = inputs(kind, &mut random);
        let inputs: Vec<[u64; 4]> = (lows.iter().zip(lows.iter().rev()))
            .map(|(low, high)| {
                std::array::from_fn(|at| low[at] & 0xffff | (high[at] & 0xffff) << 16)
            })
            .collect();
        for one in Modifiers::all().filter(|one| one.fits(kind)) {
            for (opcode, largest) in [("min", false), ("max", true)] {
                let third = if one.three { ", %wc" } else { "" };
                let body = format!("{opcode}{}.{pair} %w, %wa, %wb{third};", one.words());
                compare(&body, Out::Word, &inputs, |v| {
                    let low = reference(kind, largest, one, v.map(|bits| bits & 0xffff));
                    let high = reference(kind, largest, one, v.map(|bits| bits >> 16));
                    Want::Bits(low | high << 16)
                });
            }
        }
    }
}

#[test]
fn signs_are_changed_taken_and_copied() {
    let mut random = Random::new();
    for kind in FLOATS {
        let inputs = inputs(kind, &mut random);
        let (name, l) = (kind.name, kind.letter());
        for (opcode, change) in [
            ("neg", (|bits, sign| bits ^ sign) as fn(u64, u64) -> u64),
            ("abs", |bits, sign| bits & !sign),
        ] {
            for flush in [false, true] {
                if flush && (kind == F64 || kind == BF16) {
                    continue;
                }
                let ftz = if flush { ".ftz" } else { "" };
                let body = format!("{opcode}{ftz}.{name} %{l}, %{l}a;");
                let of = |bits: u64| {
                    let bits = if flush { flushed(kind, bits) } else { bits };
                    change(bits, kind.sign())
                };
                compare(&body, kind.out(), &inputs, |v| {
                    // What becomes of the bits of a NaN is not specified.
                    if is_nan(kind, v[0]) {
                        return Want::Anything;
                    }
                    Want::Bits(of(v[0]))
                });
                if kind.width == 16 {
                    let body = format!("{opcode}{ftz}.{name}x2 %w, %wa;");
                    let doubled: Vec<[u64; 4]> = (inputs.iter())
                        .filter(|v| !is_nan(kind, v[0]) && !is_nan(kind, v[1]))
                        .map(|v| [v[0] | v[1] << 16, 0, 0, 0])
                        .collect();
                    compare(&body, Out::Word, &doubled, |v| {
                        Want::Bits(of(v[0] & 0xffff) | of(v[0] >> 16) << 16)
                    });
                }
            }
        }
        if kind.width > 16 {
            let body = format!("copysign.{name} %{l}, %{l}a, %{l}b;");
            compare(&body, kind.out(), &inputs, |v| {
                Want::Bits(v[0] & kind.sign() | v[1] & (kind.sign() - 1))
            });
        }
    }
}

#[test]
fn pairs_of_halves_keep_their_modifiers_apart() {
    // `.sat`, `.ftz` and `.relu` of packed sums, by the single forms that have their own tests.
    let mut random = Random::new();
    for (kind, words) in [
        (F16, &["", ".sat", ".ftz", ".ftz.sat"][..]),
        (BF16, &[""][..]),
    ] {
        let values = edges(kind);
        let (low, high) = (
            triples(&values, 16, count(600), &mut random),
            triples(&values, 16, count(600), &mut random),
        );
        let inputs: Vec<[u64; 4]> = (low.iter().zip(&high))
            .map(|(low, high)| std::array::from_fn(|at| low[at] & 0xffff | high[at] << 16))
            .collect();
        let name = kind.name;
        let relu = &[".relu"];
        for &word in words.iter().chain(relu) {
            for (opcode, sources) in [("add", 2), ("sub", 2), ("mul", 2), ("fma", 3)] {
                if word == ".relu" && opcode != "fma" {
                    continue;
                }
                let list = |letter: char| -> String {
                    (0..sources)
                        .map(|at| format!(", %{letter}{}", char::from(b'a' + at)))
                        .collect()
                };
                let pair = format!("{opcode}.rn{word}.{name}x2 %w{};", list('w'));
                let one = format!("{opcode}.rn{word}.{name} %h{};", list('h'));
                let found = ptx_support::table::run(&pair, Out::Word, &inputs);
                let lows = ptx_support::table::run(&one, Out::Half, &inputs);
                let shifted: Vec<[u64; 4]> =
                    inputs.iter().map(|v| v.map(|bits| bits >> 16)).collect();
                let highs = ptx_support::table::run(&one, Out::Half, &shifted);
                for (index, &both) in found.iter().enumerate() {
                    let wanted = lows[index] | highs[index] << 16;
                    assert_eq!(both, wanted, "{pair} of {:x?}", inputs[index]);
                }
            }
        }
    }
}

#[test]
fn registers_are_packed_and_unpacked() {
    let mut random = Random::new();
    let inputs: Vec<[u64; 4]> = (0..count(200))
        .map(|_| std::array::from_fn(|_| random.next()))
        .collect();
    let halves = |v: [u64; 4]| v.map(|bits| bits & 0xffff);
    compare("mov.b32 %w, {%ha, %hb};", Out::Word, &inputs, |v| {
        let [a, b, ..] = halves(v);
        Want::Bits(a | b << 16)
    });
    compare(
        "mov.b64 %x, {%ha, %hb, %hc, %hd};",
        Out::Long,
        &inputs,
        |v| {
            let [a, b, c, d] = halves(v);
            Want::Bits(a | b << 16 | c << 32 | d << 48)
        },
    );
    compare("mov.b64 %x, {%wa, %wb};", Out::Long, &inputs, |v| {
        Want::Bits(v[0] & 0xffff_ffff | v[1] << 32)
    });
    compare("mov.b64 {%w, _}, %xa;", Out::Word, &inputs, |v| {
        Want::Bits(v[0] & 0xffff_ffff)
    });
    compare("mov.b64 {_, %w}, %xa;", Out::Word, &inputs, |v| {
        Want::Bits(v[0] >> 32)
    });
    compare("mov.b32 {_, %h}, %wa;", Out::Half, &inputs, |v| {
        Want::Bits(v[0] >> 16 & 0xffff)
    });
    for (at, shift) in [(0, 0), (1, 16), (2, 32), (3, 48)] {
        let body = format!("mov.b64 {{%g0, %g1, %g2, %g3}}, %xa; mov.b16 %h, %g{at};");
        compare(&body, Out::Half, &inputs, |v| {
            Want::Bits(v[0] >> shift & 0xffff)
        });
        let body = format!(
            "{{ .reg .b8 %b<4>; mov.b32 {{%b0, %b1, %b2, %b3}}, %wa; cvt.u16.u8 %h, %b{at}; }}"
        );
        compare(&body, Out::Half, &inputs, |v| {
            Want::Bits(v[0] >> (shift / 2) & 0xff)
        });
    }
}

#[test]
fn a_register_is_taken_apart_into_itself() {
    let mut random = Random::new();
    let inputs: Vec<[u64; 4]> = (0..count(200))
        .map(|_| std::array::from_fn(|_| random.next()))
        .collect();
    compare(
        "mov.b64 {%v0, %v1}, %xa; mov.b64 %xa, {%v1, %v0}; mov.b64 %x, %xa;",
        Out::Long,
        &inputs,
        |v| Want::Bits(v[0].rotate_left(32)),
    );
    compare(
        "{ .reg .b8 %b<4>; mov.b32 {%b0, %b1, %b2, %b3}, %wa; \
         mov.b32 %w, {%b3, %b2, %b1, %b0}; }",
        Out::Word,
        &inputs,
        |v| Want::Bits((v[0] & 0xffff_ffff).swap_bytes() >> 32),
    );
    compare(
        "{ .reg .b128 %b; mov.b128 %b, {%xa, %xb}; mov.b128 {%y0, %y1}, %b; \
         sub.u64 %x, %y0, %y1; }",
        Out::Long,
        &inputs,
        |v| Want::Bits(v[0].wrapping_sub(v[1])),
    );
    compare(
        "{ .reg .v2 .b32 %b; mov.b32 %b.x, %wa; mov.b32 %b.y, %wb; mov.b32 %w, %b.y; }",
        Out::Word,
        &inputs,
        |v| Want::Bits(v[1] & 0xffff_ffff),
    );
}
