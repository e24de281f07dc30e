//! `mma` against plain matrix products: operands are dealt to the lanes by formulas written down
//! from the PTX ISA's fragment tables, shape by shape, and not by the executor's own rule.
#![allow(clippy::unwrap_used, reason = "test code")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "test code"
)]

mod ptx_support;

use ptx_support::{Arg, Gpu, scattered};

/// Row and column of an element of a fragment: from lane and index.
type Place = fn(usize, usize) -> (usize, usize);

/// One form of `mma`.
struct Form {
    name: &'static str,
    shape: [usize; 3],
    /// Bits of an element of a and b, and of c and d.
    bits: [u32; 2],
    /// Numbers of elements a lane holds of a, b and c.
    held: [usize; 3],
    places: [Place; 3],
    /// The bits that stand for a small whole number, of a and b, and of c and d.
    encode: [fn(i32) -> u64; 3],
}

fn half(value: i32) -> u64 {
    let size = value.unsigned_abs();
    if size == 0 {
        return 0;
    }
    let exponent = size.ilog2();
    let fraction = (size << (10 - exponent)) & 0x3ff;
    u64::from(u32::from(value < 0) << 15 | (exponent + 15) << 10 | fraction)
}

fn brain(value: i32) -> u64 {
    u64::from((value as f32).to_bits() >> 16)
}

fn single(value: i32) -> u64 {
    u64::from((value as f32).to_bits())
}

fn double(value: i32) -> u64 {
    f64::from(value).to_bits()
}

/// Exact for up to four significant bits.
fn e4m3(value: i32) -> u64 {
    let bits = half(value);
    if bits & 0x7fff == 0 {
        return 0;
    }
    bits >> 8 & 0x80 | ((bits >> 10 & 31) - 8) << 3 | bits >> 7 & 7
}

fn e5m2(value: i32) -> u64 {
    half(value) >> 8
}

fn integer(value: i32) -> u64 {
    u64::from(value as u32)
}

// Formulas of the manual: g is the group of four lanes, t the lane in it.
fn g(lane: usize) -> usize {
    lane >> 2
}
fn t(lane: usize) -> usize {
    lane % 4
}
fn c16(lane: usize, i: usize) -> (usize, usize) {
    (
        if i < 2 { g(lane) } else { g(lane) + 8 },
        t(lane) * 2 + (i & 1),
    )
}
fn c8(lane: usize, i: usize) -> (usize, usize) {
    (g(lane), t(lane) * 2 + (i & 1))
}
fn a_f16_k16(lane: usize, i: usize) -> (usize, usize) {
    let upper = !(i < 2 || (4..6).contains(&i));
    let row = g(lane) + if upper { 8 } else { 0 };
    (row, t(lane) * 2 + (i & 1) + if i >= 4 { 8 } else { 0 })
}
fn b_f16_k16(lane: usize, i: usize) -> (usize, usize) {
    (t(lane) * 2 + (i & 1) + if i >= 2 { 8 } else { 0 }, g(lane))
}
fn a_f16_k8(lane: usize, i: usize) -> (usize, usize) {
    (
        if i < 2 { g(lane) } else { g(lane) + 8 },
        t(lane) * 2 + (i & 1),
    )
}
fn b_f16_k8(lane: usize, i: usize) -> (usize, usize) {
    (t(lane) * 2 + i, g(lane))
}
fn a_tf32_k8(lane: usize, i: usize) -> (usize, usize) {
    let row = if i == 0 || i == 2 {
        g(lane)
    } else {
        g(lane) + 8
    };
    (row, if i < 2 { t(lane) } else { t(lane) + 4 })
}
fn b_tf32_k8(lane: usize, i: usize) -> (usize, usize) {
    (if i == 0 { t(lane) } else { t(lane) + 4 }, g(lane))
}
fn a_tf32_k4(lane: usize, i: usize) -> (usize, usize) {
    (if i == 0 { g(lane) } else { g(lane) + 8 }, t(lane))
}
fn b_k4(lane: usize, _: usize) -> (usize, usize) {
    (t(lane), g(lane))
}
fn a_f64_k4(lane: usize, _: usize) -> (usize, usize) {
    (g(lane), t(lane))
}
fn a_f64_k16(lane: usize, i: usize) -> (usize, usize) {
    (
        if i.is_multiple_of(2) {
            g(lane)
        } else {
            g(lane) + 8
        },
        i / 2 * 4 + t(lane),
    )
}
fn b_f64_k16(lane: usize, i: usize) -> (usize, usize) {
    (t(lane) + i * 4, g(lane))
}
fn a_s8_m8(lane: usize, i: usize) -> (usize, usize) {
    (g(lane), t(lane) * 4 + i)
}
fn b_s8_m8(lane: usize, i: usize) -> (usize, usize) {
    (t(lane) * 4 + i, g(lane))
}
fn a_s8_k16(lane: usize, i: usize) -> (usize, usize) {
    (
        if i < 4 { g(lane) } else { g(lane) + 8 },
        t(lane) * 4 + (i & 3),
    )
}
fn a_s8_k32(lane: usize, i: usize) -> (usize, usize) {
    let lower = i < 4 || (8..12).contains(&i);
    let column = t(lane) * 4 + (i & 3);
    (
        if lower { g(lane) } else { g(lane) + 8 },
        if i < 8 { column } else { column + 16 },
    )
}
fn b_s8_k32(lane: usize, i: usize) -> (usize, usize) {
    let row = t(lane) * 4 + (i & 3);
    (if i < 4 { row } else { row + 16 }, g(lane))
}
fn a_s4_m8(lane: usize, i: usize) -> (usize, usize) {
    (g(lane), t(lane) * 8 + i)
}
fn b_s4_m8(lane: usize, i: usize) -> (usize, usize) {
    (t(lane) * 8 + i, g(lane))
}
fn a_s4_k32(lane: usize, i: usize) -> (usize, usize) {
    (
        if i < 8 { g(lane) } else { g(lane) + 8 },
        t(lane) * 8 + (i & 7),
    )
}
fn a_s4_k64(lane: usize, i: usize) -> (usize, usize) {
    let lower = i < 8 || (16..24).contains(&i);
    let column = t(lane) * 8 + (i & 7);
    (
        if lower { g(lane) } else { g(lane) + 8 },
        if i < 16 { column } else { column + 32 },
    )
}
fn b_s4_k64(lane: usize, i: usize) -> (usize, usize) {
    let row = t(lane) * 8 + (i & 7);
    (if i < 8 { row } else { row + 32 }, g(lane))
}

const INTEGERS: [fn(i32) -> u64; 3] = [integer; 3];

/// A form without the places: name, shape, bits, elements held.
const fn form(
    name: &'static str,
    shape: [usize; 3],
    bits: [u32; 2],
    held: [usize; 3],
    places: [Place; 3],
    encode: [fn(i32) -> u64; 3],
) -> Form {
    Form {
        name,
        shape,
        bits,
        held,
        places,
        encode,
    }
}

#[rustfmt::skip]
const FORMS: &[Form] = &[
    form("m16n8k16.row.col.f32.f16.f16.f32", [16, 8, 16], [16, 32], [8, 4, 4],
        [a_f16_k16, b_f16_k16, c16], [half, half, single]),
    form("m16n8k16.row.col.f16.f16.f16.f16", [16, 8, 16], [16, 16], [8, 4, 4],
        [a_f16_k16, b_f16_k16, c16], [half, half, half]),
    form("m16n8k8.row.col.f32.f16.f16.f32", [16, 8, 8], [16, 32], [4, 2, 4],
        [a_f16_k8, b_f16_k8, c16], [half, half, single]),
    form("m16n8k16.row.col.f32.bf16.bf16.f32", [16, 8, 16], [16, 32], [8, 4, 4],
        [a_f16_k16, b_f16_k16, c16], [brain, brain, single]),
    form("m16n8k8.row.col.f32.bf16.bf16.f32", [16, 8, 8], [16, 32], [4, 2, 4],
        [a_f16_k8, b_f16_k8, c16], [brain, brain, single]),
    form("m16n8k8.row.col.f32.tf32.tf32.f32", [16, 8, 8], [32, 32], [4, 2, 4],
        [a_tf32_k8, b_tf32_k8, c16], [single, single, single]),
    form("m16n8k4.row.col.f32.tf32.tf32.f32", [16, 8, 4], [32, 32], [2, 1, 4],
        [a_tf32_k4, b_k4, c16], [single, single, single]),
    form("m8n8k4.row.col.f64.f64.f64.f64", [8, 8, 4], [64, 64], [1, 1, 2],
        [a_f64_k4, b_k4, c8], [double, double, double]),
    form("m16n8k4.row.col.f64.f64.f64.f64", [16, 8, 4], [64, 64], [2, 1, 4],
        [a_tf32_k4, b_k4, c16], [double, double, double]),
    form("m16n8k8.row.col.f64.f64.f64.f64", [16, 8, 8], [64, 64], [4, 2, 4],
        [a_tf32_k8, b_tf32_k8, c16], [double, double, double]),
    form("m16n8k16.row.col.f64.f64.f64.f64", [16, 8, 16], [64, 64], [8, 4, 4],
        [a_f64_k16, b_f64_k16, c16], [double, double, double]),
    form("m8n8k16.row.col.s32.s8.s8.s32", [8, 8, 16], [8, 32], [4, 4, 2],
        [a_s8_m8, b_s8_m8, c8], INTEGERS),
    form("m16n8k16.row.col.s32.s8.s8.s32", [16, 8, 16], [8, 32], [8, 4, 4],
        [a_s8_k16, b_s8_m8, c16], INTEGERS),
    form("m16n8k32.row.col.satfinite.s32.s8.s8.s32", [16, 8, 32], [8, 32], [16, 8, 4],
        [a_s8_k32, b_s8_k32, c16], INTEGERS),
    form("m8n8k32.row.col.s32.s4.s4.s32", [8, 8, 32], [4, 32], [8, 8, 2],
        [a_s4_m8, b_s4_m8, c8], INTEGERS),
    form("m16n8k32.row.col.s32.s4.s4.s32", [16, 8, 32], [4, 32], [16, 8, 4],
        [a_s4_k32, b_s4_m8, c16], INTEGERS),
    form("m16n8k64.row.col.s32.s4.s4.s32", [16, 8, 64], [4, 32], [32, 16, 4],
        [a_s4_k64, b_s4_k64, c16], INTEGERS),
    form("m16n8k32.row.col.f32.e4m3.e5m2.f32", [16, 8, 32], [8, 32], [16, 8, 4],
        [a_s8_k32, b_s8_k32, c16], [e4m3, e5m2, single]),
    form("m16n8k16.row.col.f16.e5m2.e4m3.f16", [16, 8, 16], [8, 16], [8, 4, 4],
        [a_s8_k16, b_s8_m8, c16], [e5m2, e4m3, half]),
];

/// A kernel that loads each lane's registers of a, b and c, multiplies and stores d.
fn kernel(name: &str, registers: [usize; 3], long: bool) -> String {
    let (kind, size) = if long { ("b64", 8) } else { ("b32", 4) };
    let mut body = String::new();
    let list = |letter: &str, count: usize| {
        let names: Vec<String> = (0..count).map(|at| format!("%{letter}{at}")).collect();
        format!("{{{}}}", names.join(", "))
    };
    for (letter, count) in ["a", "b", "c"].into_iter().zip(registers) {
        body.push_str(&format!(
            "ld.param.u64 %p, [{letter}]; mad.wide.u32 %p, %i, {}, %p;\n",
            count * size
        ));
        for at in 0..count {
            body.push_str(&format!(
                "ld.global.{kind} %{letter}{at}, [%p+{}];\n",
                at * size
            ));
        }
    }
    let [a, b, c] = registers;
    body.push_str(&format!(
        "mma.sync.aligned.{name} {}, {}, {}, {};\n\
         ld.param.u64 %p, [d]; mad.wide.u32 %p, %i, {}, %p;\n",
        list("d", c),
        list("a", a),
        list("b", b),
        list("c", c),
        c * size
    ));
    for at in 0..c {
        body.push_str(&format!("st.global.{kind} [%p+{}], %d{at};\n", at * size));
    }
    format!(
        ".version 8.4\n.target sm_90\n.address_size 64\n\
         .visible .entry k(.param .u64 a, .param .u64 b, .param .u64 c, .param .u64 d)\n{{\n\
         .reg .{kind} %a<9>, %b<9>, %c<9>, %d<9>;\n.reg .b64 %p;\n.reg .b32 %i;\n\
         mov.u32 %i, %tid.x;\n{body}ret;\n}}"
    )
}

/// Registers of all lanes, one lane after the other: each element's bits are given.
fn deal(held: usize, bits: u32, element: impl Fn(usize, usize) -> u64) -> Vec<u8> {
    let per = (32 / bits).max(1) as usize;
    let mut bytes = Vec::new();
    for lane in 0..32 {
        for register in 0..held.div_ceil(per) {
            let mut word = 0u64;
            for part in 0..per.min(held) {
                let value = element(lane, register * per + part);
                word |= (value & (u64::MAX >> (64 - bits))) << (bits * part as u32);
            }
            bytes.extend_from_slice(&word.to_le_bytes()[..if bits == 64 { 8 } else { 4 }]);
        }
    }
    bytes
}

/// A small whole number for a place.
fn small(seed: &[u32], at: usize) -> i32 {
    (seed[at % seed.len()] >> 28) as i32 - 8
}

fn run(name: &str, operands: [Vec<u8>; 3], long: bool) -> Vec<u8> {
    let size = if long { 8 } else { 4 };
    let registers = [0, 1, 2].map(|index: usize| operands[index].len() / 32 / size);
    let gpu = Gpu::with_arena(&kernel(name, registers, long), 1 << 17);
    let arguments = operands
        .each_ref()
        .map(|bytes| Arg::Address(gpu.upload(bytes)));
    let length = operands[2].len();
    let d = gpu.allocate(length);
    let [a, b, c] = arguments;
    gpu.launch("k", [1, 1, 1], [32, 1, 1], 0, &[a, b, c, Arg::Address(d)])
        .unwrap();
    gpu.read(d, length)
}

#[test]
fn every_shape_multiplies_as_matrices_do() {
    let seed = scattered(4096, 77);
    for form in FORMS {
        let [rows, columns, depth] = form.shape;
        let value =
            |role: usize, row: usize, column: usize| small(&seed, role * 1031 + row * 67 + column);
        let operand = |role: usize, bits: u32| {
            deal(form.held[role], bits, |lane, index| {
                let (row, column) = form.places[role](lane, index);
                form.encode[role](value(role, row, column))
            })
        };
        let bits = form.bits;
        let operands = [
            operand(0, bits[0]),
            operand(1, bits[0]),
            operand(2, bits[1]),
        ];
        let found = run(form.name, operands, bits[1] == 64);
        let product = |row: usize, column: usize| {
            assert!(row < rows && column < columns, "{}", form.name);
            (0..depth)
                .map(|k| value(0, row, k) * value(1, k, column))
                .sum::<i32>()
                + value(2, row, column)
        };
        let wanted = deal(form.held[2], bits[1], |lane, index| {
            let (row, column) = form.places[2](lane, index);
            form.encode[2](product(row, column))
        });
        assert_eq!(found, wanted, "{}", form.name);
    }
}

/// `mma.m8n8k4` on halves: four products, of the lanes 0-3 and 16-19, 4-7 and 20-23, and so on.
#[test]
fn quads_multiply_on_their_own() {
    let seed = scattered(4096, 78);
    for (a_layout, b_layout) in [
        ("row", "col"),
        ("row", "row"),
        ("col", "row"),
        ("col", "col"),
    ] {
        for wide in [false, true] {
            let place_a = move |lane: usize, i: usize| {
                let upper = if lane < 16 { 0 } else { 4 };
                if a_layout == "row" {
                    (lane % 4 + upper, i)
                } else {
                    (i % 4 + upper, lane % 4)
                }
            };
            let place_b = move |lane: usize, i: usize| {
                let upper = if lane < 16 { 0 } else { 4 };
                if b_layout == "row" {
                    (lane % 4, i + upper)
                } else {
                    (i, lane % 4 + upper)
                }
            };
            let place_c = move |lane: usize, i: usize| {
                let upper = if lane < 16 { 0 } else { 4 };
                if wide {
                    ((lane & 1) + (i & 2) + upper, (i & 4) + (lane & 2) + (i & 1))
                } else {
                    (lane % 4 + upper, i)
                }
            };
            let value = |role: usize, lane: usize, (row, column): (usize, usize)| {
                small(&seed, role * 1031 + lane / 4 % 4 * 257 + row * 67 + column)
            };
            let (bits, encode): (u32, fn(i32) -> u64) =
                if wide { (32, single) } else { (16, half) };
            let operands = [
                deal(4, 16, |lane, i| half(value(0, lane, place_a(lane, i)))),
                deal(4, 16, |lane, i| half(value(1, lane, place_b(lane, i)))),
                deal(8, bits, |lane, i| encode(value(2, lane, place_c(lane, i)))),
            ];
            let kind = if wide { "f32" } else { "f16" };
            let name = format!("m8n8k4.{a_layout}.{b_layout}.{kind}.f16.f16.{kind}");
            let found = run(&name, operands, false);
            let wanted = deal(8, bits, |lane, i| {
                let (row, column) = place_c(lane, i);
                let sum: i32 = (0..4)
                    .map(|k| value(0, lane, (row, k)) * value(1, lane, (k, column)))
                    .sum();
                encode(sum + value(2, lane, (row, column)))
            });
            assert_eq!(found, wanted, "{name}");
        }
    }
}

#[test]
fn bits_are_counted_where_they_differ_or_agree() {
    let seed = scattered(4096, 79);
    for (shape, rows, words) in [
        ("m8n8k128", 8, 4),
        ("m16n8k128", 16, 4),
        ("m16n8k256", 16, 8),
    ] {
        for operation in ["xor", "and"] {
            let value = |role: usize, at: usize, word: usize| seed[role * 512 + at * 8 + word];
            let a = deal(rows * words / 32, 32, |lane, r| {
                let (row, chunk) = if rows == 16 {
                    (g(lane) + 8 * (r & 1), r / 2)
                } else {
                    (g(lane), r)
                };
                u64::from(value(0, row, 4 * chunk + t(lane)))
            });
            let b = deal(words / 4, 32, |lane, r| {
                u64::from(value(1, g(lane), 4 * r + t(lane)))
            });
            let c_place = if rows == 16 { c16 } else { c8 };
            let c = deal(rows / 4, 32, |lane, i| (lane * 8 + i) as u64);
            let name = format!("{shape}.row.col.s32.b1.b1.s32.{operation}.popc");
            let found = run(&name, [a, b, c], false);
            let wanted = deal(rows / 4, 32, |lane, i| {
                let (row, column) = c_place(lane, i);
                let count = (0..words).map(|word| {
                    let (a, b) = (value(0, row, word), value(1, column, word));
                    if operation == "xor" { a ^ b } else { a & b }.count_ones()
                });
                u64::from(count.sum::<u32>()) + (lane * 8 + i) as u64
            });
            assert_eq!(found, wanted, "{name}");
        }
    }
}

/// Sums that leave 32 bits wrap, or stay at the end of the range; unsigned bytes have no sign.
#[test]
fn integers_wrap_or_saturate() {
    let fill = |byte: u8, count: usize| vec![byte; count * 128];
    let c = deal(4, 32, |_, _| 0x7fff_ff00);
    let name = "m16n8k32.row.col.s32.u8.u8.s32";
    let found = run(name, [fill(255, 4), fill(255, 2), c.clone()], false);
    let sum = 0x7fff_ff00u32.wrapping_add(32 * 255 * 255);
    assert_eq!(found[..4], sum.to_le_bytes());
    let name = "m16n8k32.row.col.satfinite.s32.u8.u8.s32";
    let found = run(name, [fill(255, 4), fill(255, 2), c.clone()], false);
    assert_eq!(found[..4], i32::MAX.to_le_bytes());
    let name = "m16n8k32.row.col.satfinite.s32.s8.u8.s32";
    let found = run(name, [fill(255, 4), fill(255, 2), c], false);
    assert_eq!(found[..4], (0x7fff_ff00i32 - 32 * 255).to_le_bytes());
}

/// Each product is exact, each sum is rounded to a single; a tf32 ignores its low bits.
#[test]
fn sums_are_singles_and_low_bits_of_tf32_do_not_count() {
    // 1 + 2^-10 squared needs 21 bits: more than a half has.
    let a = deal(8, 16, |_, i| if i == 0 { 0x3c01 } else { 0 });
    let b = deal(4, 16, |_, i| if i == 0 { 0x3c01 } else { 0 });
    let c = deal(4, 32, |_, _| 0);
    let found = run("m16n8k16.row.col.f32.f16.f16.f32", [a, b, c], false);
    let exact = (1.0f32 + 2f32.powi(-10)).powi(2);
    // Four lanes of a group hold such an element each.
    assert_eq!(found[..4], (exact * 4.0).to_le_bytes());
    let a = deal(4, 32, |_, _| u64::from(1.0f32.to_bits() | 0x1fff));
    let b = deal(2, 32, |_, _| single(1));
    let c = deal(4, 32, |_, _| 0);
    let found = run("m16n8k8.row.col.f32.tf32.tf32.f32", [a, b, c], false);
    assert_eq!(found[..4], 8.0f32.to_le_bytes());
}
