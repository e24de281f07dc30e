//! Bit, logic and dot-product instructions, against references bit by bit.
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

use ptx_support::table::{Out, Random, Want, compare, count, integers, pairs, triples};

use ptx_support::integer::{Type, body};

type Logic = fn(u64, u64) -> u64;
type OfPair = fn(i128, i128) -> i128;

/// The bits of a word, lowest first.
fn places(bits: u64, width: u32) -> Vec<bool> {
    (0..width).map(|place| bits >> place & 1 == 1).collect()
}

fn from_places(places: &[bool]) -> u64 {
    (places.iter().enumerate()).fold(0, |bits, (place, &one)| bits | u64::from(one) << place)
}

#[test]
fn bits_are_counted_found_and_moved() {
    let mut random = Random::new();
    for (width, letter, out) in [(32u32, 'w', Out::Word), (64, 'x', Out::Long)] {
        let inputs = pairs(&integers(width), width, count(300), &mut random);
        let form = |text: &str| text.replace('L', &letter.to_string());
        let of = |bits: u64| places(bits, width);
        let ones = |v: [u64; 4]| of(v[0]).iter().filter(|one| **one).count() as u64;
        compare(
            &form(&format!("popc.b{width} %w, %La;")),
            Out::Word,
            &inputs,
            |v| Want::Bits(ones(v)),
        );
        compare(
            &form(&format!("clz.b{width} %w, %La;")),
            Out::Word,
            &inputs,
            |v| Want::Bits(of(v[0]).iter().rev().take_while(|one| !**one).count() as u64),
        );
        compare(
            &form(&format!("brev.b{width} %L, %La;")),
            out,
            &inputs,
            |v| Want::Bits(from_places(&of(v[0]).into_iter().rev().collect::<Vec<_>>())),
        );
        compare(
            &form(&format!("cnot.b{width} %L, %La;")),
            out,
            &inputs,
            |v| Want::Bits(u64::from(ones(v) == 0)),
        );
    }
}

#[test]
fn bit_fields_are_found_taken_and_put() {
    let mut random = Random::new();
    for (width, letter, out) in [(32u32, 'w', Out::Word), (64, 'x', Out::Long)] {
        let inputs = pairs(&integers(width), width, count(300), &mut random);
        let form = |text: &str| text.replace('L', &letter.to_string());
        let of = |bits: u64| places(bits, width);
        for (sign, letter_of_type) in [(false, 'u'), (true, 's')] {
            for shift in [false, true] {
                let word = if shift { ".shiftamt" } else { "" };
                let body = form(&format!("bfind{word}.{letter_of_type}{width} %w, %La;"));
                compare(&body, Out::Word, &inputs, |v| {
                    let bits = of(v[0]);
                    let skip = sign && bits[width as usize - 1];
                    let found = bits.iter().rposition(|&one| one != skip);
                    Want::Bits(found.map_or(0xffff_ffff, |place| {
                        if shift {
                            u64::from(width) - 1 - place as u64
                        } else {
                            place as u64
                        }
                    }))
                });
            }
            let fields: Vec<[u64; 4]> = (inputs.iter())
                .map(|v| [v[0], v[1] % 80, (v[2] >> 3) % 80, v[3]])
                .chain(inputs.iter().map(|v| [v[0], v[1], v[2] & 0x1ff, 0]))
                .collect();
            let body = form(&format!("bfe.{letter_of_type}{width} %L, %La, %wb, %wc;"));
            compare(&body, out, &fields, |v| {
                let bits = of(v[0]);
                let (start, length) = ((v[1] & 0xff) as usize, (v[2] & 0xff) as usize);
                let top = (start + length).saturating_sub(1).min(width as usize - 1);
                let fill = sign && length > 0 && bits[top];
                let field: Vec<bool> = (0..width as usize)
                    .map(|at| match bits.get(start + at) {
                        Some(&one) if at < length => one,
                        _ => fill,
                    })
                    .collect();
                Want::Bits(from_places(&field))
            });
        }
        let fields: Vec<[u64; 4]> = (inputs.iter())
            .map(|v| [v[0], v[1], v[2] % 80, (v[3] >> 5) % 80])
            .collect();
        let body = form(&format!("bfi.b{width} %L, %La, %Lb, %wc, %wd;"));
        compare(&body, out, &fields, |v| {
            let (from, mut bits) = (of(v[0]), of(v[1]));
            let (start, length) = ((v[2] & 0xff) as usize, (v[3] & 0xff) as usize);
            for (place, bit) in bits.iter_mut().skip(start).zip(from.iter().take(length)) {
                *place = *bit;
            }
            Want::Bits(from_places(&bits))
        });
    }
}

#[test]
fn logic_of_every_width_and_table() {
    let mut random = Random::new();
    let table: [(&str, Logic); 4] = [
        ("and.bW %L, %La, %Lb;", |a, b| a & b),
        ("or.bW %L, %La, %Lb;", |a, b| a | b),
        ("xor.bW %L, %La, %Lb;", |a, b| a ^ b),
        ("not.bW %L, %La;", |a, _| !a),
    ];
    for kind in Type::all().filter(|kind| kind.signed) {
        let inputs = kind.inputs(&mut random);
        for (template, reference) in table {
            let body = body(template, kind).replace('W', &kind.width.to_string());
            compare(&body, kind.out(), &inputs, |v| {
                Want::Bits(kind.write(i128::from(reference(v[0], v[1]))))
            });
        }
    }
    let inputs = triples(&integers(32), 32, count(60), &mut random);
    let lookup = |v: [u64; 4], table: u64| {
        (0..32).fold(0u64, |result, place| {
            let row = (v[0] >> place & 1) << 2 | (v[1] >> place & 1) << 1 | v[2] >> place & 1;
            result | (table >> row & 1) << place
        })
    };
    for step in 0..86u64 {
        let value = step * 3 % 256;
        compare(
            &format!("lop3.b32 %w, %wa, %wb, %wc, {value:#x};"),
            Out::Word,
            &inputs,
            |v| Want::Bits(lookup(v, value)),
        );
    }
    for (name, combine) in [
        ("or", (|a, b| a | b) as fn(bool, bool) -> bool),
        ("and", |a, b| a & b),
        ("xor", |a, b| a ^ b),
    ] {
        for value in [0u64, 0x80, 0x96, 0xe8, 0xff] {
            let body = format!("lop3.{name}.b32 %w|%p, %wa, %wb, %wc, {value:#x}, %pd;");
            compare(&body, Out::WordAndPredicate, &inputs, |v| {
                let result = lookup(v, value);
                let truth = combine(result != 0, v[3] & 1 == 1);
                Want::Bits(result | u64::from(truth) << 32)
            });
        }
    }
}

#[test]
fn funnels_shift_two_words() {
    let mut random = Random::new();
    let inputs: Vec<[u64; 4]> = pairs(&integers(32), 32, count(300), &mut random)
        .into_iter()
        .flat_map(|v| [v, [v[0], v[1], v[2] % 40, v[3]]])
        .collect();
    for (side, mode) in [("l", "wrap"), ("l", "clamp"), ("r", "wrap"), ("r", "clamp")] {
        compare(
            &format!("shf.{side}.{mode}.b32 %w, %wa, %wb, %wc;"),
            Out::Word,
            &inputs,
            |v| {
                let count = if mode == "wrap" {
                    v[2] % 32
                } else {
                    v[2].min(32)
                };
                let whole = u128::from(v[1]) << 32 | u128::from(v[0]);
                let moved = if side == "l" {
                    (whole << count) >> 32
                } else {
                    whole >> count
                };
                Want::Bits(moved as u64 & 0xffff_ffff)
            },
        );
    }
}

#[test]
fn bytes_are_permuted() {
    let mut random = Random::new();
    let inputs = pairs(&integers(32), 32, count(300), &mut random);
    let tables: [(&str, [u64; 4]); 6] = [
        ("f4e", [0x3210, 0x4321, 0x5432, 0x6543]),
        ("b4e", [0x5670, 0x6701, 0x7012, 0x0123]),
        ("rc8", [0x0000, 0x1111, 0x2222, 0x3333]),
        ("ecl", [0x3210, 0x3211, 0x3222, 0x3333]),
        ("ecr", [0x0000, 0x1110, 0x2210, 0x3210]),
        ("rc16", [0x1010, 0x3232, 0x1010, 0x3232]),
    ];
    let bytes = |v: [u64; 4]| (v[1] << 32 | v[0]).to_le_bytes();
    let pick = |v: [u64; 4], selector: u64| {
        (0..4).fold(0, |word, at| {
            let select = selector >> (4 * at) & 15;
            let byte = bytes(v)[(select & 7) as usize];
            let byte = if select < 8 {
                byte
            } else if byte > 127 {
                255
            } else {
                0
            };
            word | u64::from(byte) << (8 * at)
        })
    };
    compare("prmt.b32 %w, %wa, %wb, %wc;", Out::Word, &inputs, |v| {
        Want::Bits(pick(v, v[2]))
    });
    for (mode, table) in tables {
        compare(
            &format!("prmt.b32.{mode} %w, %wa, %wb, %wc;"),
            Out::Word,
            &inputs,
            |v| Want::Bits(pick(v, table[(v[2] & 3) as usize])),
        );
    }
}

#[test]
fn masks_are_made_and_words_extended() {
    let mut random = Random::new();
    let inputs: Vec<[u64; 4]> = pairs(&integers(32), 32, count(300), &mut random)
        .into_iter()
        .flat_map(|v| [v, [v[0], v[1], v[2] % 40, v[3]]])
        .collect();
    let short: Vec<[u64; 4]> = inputs
        .iter()
        .map(|v| [v[0] % 70, v[2] % 70, 0, 0])
        .collect();
    let extends: Vec<[u64; 4]> = inputs.iter().map(|v| [v[0], v[2], 0, 0]).collect();
    for wrap in [false, true] {
        let mode = if wrap { "wrap" } else { "clamp" };
        compare(
            &format!("bmsk.{mode}.b32 %w, %wa, %wb;"),
            Out::Word,
            &short,
            |v| {
                let [start, length] =
                    [v[0], v[1]].map(|value| if wrap { value % 32 } else { value });
                let set = |place: u64| place >= start && place < start + length;
                Want::Bits((0..32).fold(0, |bits, place| bits | u64::from(set(place)) << place))
            },
        );
        for signed in [false, true] {
            let letter = if signed { 's' } else { 'u' };
            let body = format!("szext.{mode}.{letter}32 %w, %wa, %wb;");
            compare(&body, Out::Word, &extends, |v| {
                let width = if wrap { v[1] % 32 } else { v[1] };
                let kind = Type {
                    width: width.clamp(1, 32) as u32,
                    signed,
                };
                let value = if width == 0 { 0 } else { kind.read(v[0]) };
                Want::Bits(value as u64 & 0xffff_ffff)
            });
        }
    }
}

#[test]
fn the_nth_bit_is_found() {
    let mut random = Random::new();
    let inputs = pairs(&integers(32), 32, count(300), &mut random);
    let inputs: Vec<[u64; 4]> = (inputs.iter())
        .map(|v| {
            [
                v[0],
                v[1] % 32,
                (v[2] % 21).wrapping_sub(10) & 0xffff_ffff,
                0,
            ]
        })
        .collect();
    compare("fns.b32 %w, %wa, %wb, %wc;", Out::Word, &inputs, |v| {
        let set: Vec<i64> = (0..32).filter(|place| v[0] >> place & 1 == 1).collect();
        let (base, offset) = (v[1] as i64, v[2] as u32 as i32);
        let found = match offset {
            0 => set.iter().find(|&&place| place == base),
            1.. => set
                .iter()
                .filter(|&&place| place >= base)
                .nth(offset as usize - 1),
            _ => {
                let behind = set.iter().rev().filter(|&&place| place <= base);
                behind.into_iter().nth(offset.unsigned_abs() as usize - 1)
            }
        };
        Want::Bits(found.map_or(0xffff_ffff, |&place| place as u64))
    });
}

#[test]
fn dot_products_and_pairs_of_short_integers() {
    let mut random = Random::new();
    let inputs = pairs(&integers(32), 32, count(300), &mut random);
    let part = |bits: u64, at: u32, width: u32, signed: bool| {
        Type { width, signed }.read(bits >> (at * width))
    };
    for (first, second) in [(false, false), (false, true), (true, false), (true, true)] {
        let name = |signed: bool| if signed { "s32" } else { "u32" };
        let types = format!("{}.{}", name(first), name(second));
        compare(
            &format!("dp4a.{types} %w, %wa, %wb, %wc;"),
            Out::Word,
            &inputs,
            |v| {
                let dot: i128 = (0..4)
                    .map(|at| part(v[0], at, 8, first) * part(v[1], at, 8, second))
                    .sum();
                Want::Bits((dot + i128::from(v[2])) as u64 & 0xffff_ffff)
            },
        );
        for (half, start) in [("lo", 0), ("hi", 2)] {
            let body = format!("dp2a.{half}.{types} %w, %wa, %wb, %wc;");
            compare(&body, Out::Word, &inputs, |v| {
                let dot: i128 = (0..2)
                    .map(|at| part(v[0], at, 16, first) * part(v[1], start + at, 8, second))
                    .sum();
                Want::Bits((dot + i128::from(v[2])) as u64 & 0xffff_ffff)
            });
        }
    }
    for signed in [false, true] {
        let name = if signed { "s16x2" } else { "u16x2" };
        let kind = Type { width: 16, signed };
        let table: [(&str, OfPair); 3] = [
            ("add", |a, b| a + b),
            ("min", |a, b| a.min(b)),
            ("max", |a, b| a.max(b)),
        ];
        for (opcode, reference) in table {
            for relu in [false, true] {
                if relu && (!signed || opcode == "add") {
                    continue;
                }
                let word = if relu { ".relu" } else { "" };
                let body = format!("{opcode}{word}.{name} %w, %wa, %wb;");
                compare(&body, Out::Word, &inputs, |v| {
                    let one = |at| {
                        let value = reference(kind.read(v[0] >> at), kind.read(v[1] >> at));
                        kind.write(if relu { value.max(0) } else { value })
                    };
                    Want::Bits(one(0) | one(16) << 16)
                });
            }
        }
    }
}
