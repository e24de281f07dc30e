//! Video instructions: every operation, type, part, saturation and second operation, by the
//! definitions of the PTX ISA (Video Instructions).
//!
//! `PTX_LONG=1` tries a hundred times as many random operands, `PTX_SEED` other ones.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::type_complexity,
    reason = "test code"
)]

mod ptx_support;

use ptx_support::integer::Type;
use ptx_support::table::{Out, Random, Want, compare, count, integers, pairs};

const WORD_PARTS: [(&str, u32, u32); 7] = [
    ("", 0, 32),
    (".b0", 0, 8),
    (".b1", 8, 8),
    (".b2", 16, 8),
    (".b3", 24, 8),
    (".h0", 0, 16),
    (".h1", 16, 16),
];
const OPERATIONS: [&str; 5] = ["vadd", "vsub", "vabsdiff", "vmin", "vmax"];

fn name(signed: bool) -> &'static str {
    if signed { "s32" } else { "u32" }
}

fn read(bits: u64, (_, offset, width): (&str, u32, u32), signed: bool) -> i128 {
    Type { width, signed }.read(bits >> offset)
}

fn inputs(random: &mut Random) -> Vec<[u64; 4]> {
    let mut inputs = pairs(&integers(32), 32, count(60), random);
    let bytes = [0u64, 1, 0x7f, 0x80, 0x81, 0xff];
    for _ in 0..count(200) {
        let mut word = || {
            (0..4).fold(0, |word, at| {
                word | bytes[random.next() as usize % bytes.len()] << (8 * at)
            })
        };
        inputs.push([word(), word(), word(), 0]);
    }
    inputs
}

fn operate(opcode: &str, a: i128, b: i128) -> i128 {
    match opcode {
        "vadd" => a + b,
        "vsub" => a - b,
        "vabsdiff" => (a - b).abs(),
        "vmin" => a.min(b),
        "vmax" => a.max(b),
        // Rounded up from zero on.
        _ if a + b >= 0 => (a + b + 1).div_euclid(2),
        _ => (a + b).div_euclid(2),
    }
}

/// The result `value` of width `part`, merged into `c` or joined with it.
fn merged(value: i128, part: (&str, u32, u32), c: u64) -> u64 {
    let (_, offset, width) = part;
    let field = ((1u64 << width) - 1) << offset;
    let value = (value as u64) << offset;
    value & field | c & 0xffff_ffff & !field
}

#[test]
fn words_and_their_parts() {
    let mut random = Random::new();
    let inputs = inputs(&mut random);
    for opcode in OPERATIONS {
        for types in 0..8 {
            let [d, a, b] = [4, 2, 1].map(|bit| types & bit != 0);
            for saturate in [false, true] {
                // Every part of each operand, and every target, not all together.
                let parts: Vec<[usize; 3]> = (0..7)
                    .flat_map(|at| {
                        let other = random.next() as usize % 7;
                        [[at, other, 6 - at], [0, at, other], [other, 6 - at, at]]
                    })
                    .collect();
                for [to, from, with] in parts {
                    let [to, from, with] = [to, from, with].map(|at| WORD_PARTS[at]);
                    let sat = if saturate { ".sat" } else { "" };
                    let merge = if to.0.is_empty() { "" } else { ", %wc" };
                    let body = format!(
                        "{opcode}.{}.{}.{}{sat} %w{}, %wa{}, %wb{}{merge};",
                        name(d),
                        name(a),
                        name(b),
                        to.0,
                        from.0,
                        with.0
                    );
                    compare(&body, Out::Word, &inputs, |v| {
                        let value = operate(opcode, read(v[0], from, a), read(v[1], with, b));
                        let kind = Type {
                            width: to.2,
                            signed: d,
                        };
                        let value = if saturate { kind.clamp(value) } else { value };
                        Want::Bits(merged(value, to, v[2]))
                    });
                }
            }
        }
    }
}

#[test]
fn a_second_operation_joins_the_third_operand() {
    let mut random = Random::new();
    let inputs = inputs(&mut random);
    for opcode in OPERATIONS {
        for types in 0..8 {
            let [d, a, b] = [4, 2, 1].map(|bit| types & bit != 0);
            for (second, saturate) in [
                ("add", false),
                ("add", true),
                ("min", false),
                ("min", true),
                ("max", false),
                ("max", true),
            ] {
                let sat = if saturate { ".sat" } else { "" };
                let part = WORD_PARTS[(types + 1) % 7];
                let types = format!("{}.{}.{}", name(d), name(a), name(b));
                let body = format!(
                    "{opcode}.{types}{sat}.{second} %w, %wa{}, %wb, %wc;",
                    part.0
                );
                compare(&body, Out::Word, &inputs, |v| {
                    let value = operate(opcode, read(v[0], part, a), read(v[1], WORD_PARTS[0], b));
                    let kind = Type {
                        width: 32,
                        signed: d,
                    };
                    let fits = kind.clamp(value) == value;
                    let value = if saturate { kind.clamp(value) } else { value };
                    let c = kind.read(v[2]);
                    match second {
                        "add" => Want::Bits(kind.write(value + c)),
                        // How a result that does not fit its type compares is not said.
                        _ if !saturate && !fits => Want::Anything,
                        "min" => Want::Bits(kind.write(value.min(c))),
                        _ => Want::Bits(kind.write(value.max(c))),
                    }
                });
            }
        }
    }
}

#[test]
fn shifts_clamp_or_wrap() {
    let mut random = Random::new();
    let inputs: Vec<[u64; 4]> = (inputs(&mut random).into_iter())
        .flat_map(|v| [v, [v[0], v[1] % 40, v[2], v[3]]])
        .collect();
    for (opcode, mode, saturate) in [
        ("vshl", "clamp", false),
        ("vshl", "wrap", false),
        ("vshl", "clamp", true),
        ("vshl", "wrap", true),
        ("vshr", "clamp", false),
        ("vshr", "wrap", false),
        ("vshr", "clamp", true),
        ("vshr", "wrap", true),
    ] {
        for types in 0..4 {
            let [d, a] = [2, 1].map(|bit| types & bit != 0);
            for at in 0..7 {
                let (from, with) = (WORD_PARTS[at], WORD_PARTS[(at + 3) % 7]);
                let sat = if saturate { ".sat" } else { "" };
                let body = format!(
                    "{opcode}.{}.{}.u32{sat}.{mode} %w, %wa{}, %wb{};",
                    name(d),
                    name(a),
                    from.0,
                    with.0
                );
                compare(&body, Out::Word, &inputs, |v| {
                    let count = read(v[1], with, false);
                    let count = if mode == "wrap" {
                        count % 32
                    } else {
                        count.min(32)
                    };
                    let value = read(v[0], from, a);
                    let value = if opcode == "vshl" {
                        value << count
                    } else {
                        value >> count
                    };
                    let kind = Type {
                        width: 32,
                        signed: d,
                    };
                    let value = if saturate { kind.clamp(value) } else { value };
                    Want::Bits(kind.write(value))
                });
            }
        }
    }
}

#[test]
fn products_are_scaled_and_negated() {
    let mut random = Random::new();
    let inputs = inputs(&mut random);
    for types in 0..4 {
        let [a, b] = [2, 1].map(|bit| types & bit != 0);
        for (scale, shift) in [("", 0), (".shr7", 7), (".shr15", 15)] {
            for saturate in [false, true] {
                for (at, signs) in [".po", "", "a", "b", "c", "ab"].into_iter().enumerate() {
                    let minus = |one: &str| {
                        if signs.contains(one) && signs != ".po" {
                            "-"
                        } else {
                            ""
                        }
                    };
                    let (from, with) = (WORD_PARTS[at], WORD_PARTS[6 - at]);
                    let po = if signs == ".po" { ".po" } else { "" };
                    let sat = if saturate { ".sat" } else { "" };
                    let d = a || b || matches!(signs, "a" | "b" | "c");
                    let body = format!(
                        "vmad.{}.{}.{}{po}{sat}{scale} %w, {}%wa{}, {}%wb{}, {}%wc;",
                        name(d),
                        name(a),
                        name(b),
                        minus("a"),
                        from.0,
                        minus("b"),
                        with.0,
                        minus("c"),
                    );
                    compare(&body, Out::Word, &inputs, |v| {
                        let kind = Type {
                            width: 32,
                            signed: d,
                        };
                        let product = read(v[0], from, a) * read(v[1], with, b);
                        let product = if matches!(signs, "a" | "b") {
                            -product
                        } else {
                            product
                        };
                        let c = kind.read(v[2]);
                        let c = if signs == "c" { -c } else { c };
                        let sum = product + c + i128::from(signs == ".po");
                        let value = sum >> shift;
                        let value = if saturate { kind.clamp(value) } else { value };
                        Want::Bits(kind.write(value))
                    });
                }
            }
        }
    }
}

const COMPARISONS: [(&str, fn(i128, i128) -> bool); 6] = [
    ("eq", |a, b| a == b),
    ("ne", |a, b| a != b),
    ("lt", |a, b| a < b),
    ("le", |a, b| a <= b),
    ("gt", |a, b| a > b),
    ("ge", |a, b| a >= b),
];

#[test]
fn comparisons_are_numbers() {
    let mut random = Random::new();
    let inputs = inputs(&mut random);
    for (comparison, holds) in COMPARISONS {
        for types in 0..4 {
            let [a, b] = [2, 1].map(|bit| types & bit != 0);
            for at in 0..7 {
                let (from, with, to) = (
                    WORD_PARTS[at],
                    WORD_PARTS[(at + 2) % 7],
                    WORD_PARTS[(at + 4) % 7],
                );
                let head = format!("vset.{}.{}.{comparison}", name(a), name(b));
                let operands = format!("%wa{}, %wb{}", from.0, with.0);
                let of = |v: [u64; 4]| i128::from(holds(read(v[0], from, a), read(v[1], with, b)));
                let merge = if to.0.is_empty() { "" } else { ", %wc" };
                let body = format!("{head} %w{}, {operands}{merge};", to.0);
                compare(&body, Out::Word, &inputs, |v| {
                    Want::Bits(merged(of(v), to, v[2]))
                });
                for second in ["add", "min", "max"] {
                    let body = format!("{head}.{second} %w, {operands}, %wc;");
                    compare(&body, Out::Word, &inputs, |v| {
                        let (value, c) = (of(v), i128::from(v[2] & 0xffff_ffff));
                        Want::Bits(match second {
                            "add" => (value + c) as u64 & 0xffff_ffff,
                            "min" => value.min(c) as u64,
                            _ => value.max(c) as u64,
                        })
                    });
                }
            }
        }
    }
}

/// Masks and selectors of the forms on several lanes, highest first as they are written.
struct Lanes {
    count: usize,
    letter: char,
    masks: &'static [&'static str],
    selectors: &'static [&'static str],
}

const LANES: [Lanes; 2] = [
    Lanes {
        count: 2,
        letter: 'h',
        masks: &["", "0", "1", "10"],
        selectors: &[
            "", "00", "01", "10", "11", "20", "31", "02", "13", "32", "33",
        ],
    },
    Lanes {
        count: 4,
        letter: 'b',
        masks: &[
            "", "0", "1", "10", "2", "20", "21", "210", "3", "30", "310", "3210",
        ],
        selectors: &[
            "", "0000", "3210", "7654", "0123", "7531", "6420", "1100", "7777",
        ],
    },
];

fn digits(text: &str) -> Vec<usize> {
    text.chars()
        .rev()
        .map(|one| one as usize - '0' as usize)
        .collect()
}

impl Lanes {
    fn width(&self) -> u32 {
        32 / self.count as u32
    }

    fn part(&self, digits: &str) -> String {
        if digits.is_empty() {
            String::new()
        } else {
            format!(".{}{digits}", self.letter)
        }
    }

    /// The lanes of an operand, lowest first.
    fn take(&self, v: [u64; 4], selector: &str, first: bool, signed: bool) -> Vec<i128> {
        let chosen = match selector {
            "" if first => (0..self.count).collect(),
            "" => (self.count..2 * self.count).collect(),
            digits_of => digits(digits_of),
        };
        let (width, both) = (self.width(), v[1] << 32 | v[0] & 0xffff_ffff);
        (chosen.into_iter())
            .map(|at| Type { width, signed }.read(both >> (at as u32 * width)))
            .collect()
    }

    /// The values of the written lanes in their places, or their sum with `c`.
    fn put(&self, values: &[i128], mask: &str, adds: bool, c: u64) -> u64 {
        let written = match mask {
            "" => (0..self.count).collect(),
            digits_of => digits(digits_of),
        };
        if adds {
            let sum: i128 = written.iter().map(|&at| values[at]).sum();
            return (sum + i128::from(c)) as u64 & 0xffff_ffff;
        }
        (0..self.count).fold(0, |word, at| {
            let offset = at as u32 * self.width();
            let ones = ((1u64 << self.width()) - 1) << offset;
            let from = if written.contains(&at) {
                (values[at] as u64) << offset
            } else {
                c
            };
            word | from & ones
        })
    }
}

#[test]
fn several_lanes_at_once() {
    let mut random = Random::new();
    let inputs = inputs(&mut random);
    for lanes in &LANES {
        for opcode in ["vadd", "vsub", "vavrg", "vabsdiff", "vmin", "vmax"] {
            for types in 0..8 {
                let [d, a, b] = [4, 2, 1].map(|bit| types & bit != 0);
                for form in ["", ".sat", ".add"] {
                    let mut any = |list: &[&'static str]| list[random.next() as usize % list.len()];
                    let (mask, first, second) =
                        (any(lanes.masks), any(lanes.selectors), any(lanes.selectors));
                    let (count, types) = (lanes.count, [d, a, b].map(name).join("."));
                    let body = format!(
                        "{opcode}{count}.{types}{form} %w{}, %wa{}, %wb{}, %wc;",
                        lanes.part(mask),
                        lanes.part(first),
                        lanes.part(second)
                    );
                    compare(&body, Out::Word, &inputs, |v| {
                        let (x, y) = (
                            lanes.take(v, first, true, a),
                            lanes.take(v, second, false, b),
                        );
                        let kind = Type {
                            width: lanes.width(),
                            signed: d,
                        };
                        let values: Vec<i128> = (x.iter().zip(&y))
                            .map(|(&x, &y)| operate(opcode, x, y))
                            .map(|value| {
                                if form == ".sat" {
                                    kind.clamp(value)
                                } else {
                                    value
                                }
                            })
                            .collect();
                        Want::Bits(lanes.put(&values, mask, form == ".add", v[2]))
                    });
                }
            }
        }
        for (comparison, holds) in COMPARISONS {
            for types in 0..4 {
                let [a, b] = [2, 1].map(|bit| types & bit != 0);
                for (at, mask) in lanes.masks.iter().enumerate() {
                    for form in ["", ".add"] {
                        let second = lanes.selectors[at % lanes.selectors.len()];
                        let body = format!(
                            "vset{}.{}.{}.{comparison}{form} %w{}, %wa, %wb{}, %wc;",
                            lanes.count,
                            name(a),
                            name(b),
                            lanes.part(mask),
                            lanes.part(second)
                        );
                        compare(&body, Out::Word, &inputs, |v| {
                            let x = lanes.take(v, "", true, a);
                            let y = lanes.take(v, second, false, b);
                            let values: Vec<i128> = (x.iter().zip(&y))
                                .map(|(&x, &y)| i128::from(holds(x, y)))
                                .collect();
                            Want::Bits(lanes.put(&values, mask, form == ".add", v[2]))
                        });
                    }
                }
            }
        }
    }
}
