//! Matrices between memory and registers: `wmma` with its own layouts, `ldmatrix`, `stmatrix`,
//! `movmatrix` with PTX's, and what nvcc makes of `nvcuda::wmma`.
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
use softgpu_cuda::exec::Fault;

const ONE: [u32; 3] = [1, 1, 1];
const WARP: [u32; 3] = [32, 1, 1];

/// A `wmma` multiplication: shape, types of a and b and of the sums, registers of a, b and sums.
struct Form {
    shape: [usize; 3],
    element: &'static str,
    sum: &'static str,
    bits: [u32; 2],
    registers: [usize; 3],
}

#[rustfmt::skip]
const FORMS: &[Form] = &[
    Form { shape: [16, 16, 16], element: "f16", sum: "f32", bits: [16, 32], registers: [8, 8, 8] },
    Form { shape: [32, 8, 16], element: "f16", sum: "f32", bits: [16, 32], registers: [8, 8, 8] },
    Form { shape: [8, 32, 16], element: "f16", sum: "f16", bits: [16, 16], registers: [8, 8, 4] },
    Form { shape: [16, 16, 16], element: "bf16", sum: "f32", bits: [16, 32], registers: [4, 4, 8] },
    Form { shape: [8, 32, 16], element: "bf16", sum: "f32", bits: [16, 32], registers: [2, 8, 8] },
    Form { shape: [16, 16, 8], element: "tf32", sum: "f32", bits: [32, 32], registers: [4, 4, 8] },
    Form { shape: [8, 8, 4], element: "f64", sum: "f64", bits: [64, 64], registers: [1, 1, 2] },
    Form { shape: [16, 16, 16], element: "s8", sum: "s32", bits: [8, 32], registers: [2, 2, 8] },
    Form { shape: [32, 8, 16], element: "u8", sum: "s32", bits: [8, 32], registers: [4, 1, 8] },
    Form { shape: [8, 8, 32], element: "s4", sum: "s32", bits: [4, 32], registers: [1, 1, 2] },
    Form { shape: [8, 8, 32], element: "u4", sum: "s32", bits: [4, 32], registers: [1, 1, 2] },
];

fn encode(element: &str, value: i32) -> u64 {
    let single = (value as f32).to_bits();
    match element {
        "f16" if value == 0 => 0,
        "f16" => {
            let exponent = value.unsigned_abs().ilog2();
            let fraction = (value.unsigned_abs() << (10 - exponent)) & 0x3ff;
            u64::from(u32::from(value < 0) << 15 | (exponent + 15) << 10 | fraction)
        }
        "bf16" => u64::from(single >> 16),
        "f32" | "tf32" => u64::from(single),
        "f64" => f64::from(value).to_bits(),
        _ => u64::from(value as u32),
    }
}

/// A matrix in memory; what its lines leave free is filled with ones.
fn lay(
    [rows, columns]: [usize; 2],
    by_column: bool,
    stride: usize,
    bits: u32,
    element: impl Fn(usize, usize) -> u64,
) -> Vec<u8> {
    let (lines, length) = if by_column {
        (columns, rows)
    } else {
        (rows, columns)
    };
    let mut bytes = vec![0xffu8; (lines * stride * bits as usize).div_ceil(8)];
    for line in 0..lines {
        for within in 0..length {
            let (row, column) = if by_column {
                (within, line)
            } else {
                (line, within)
            };
            let value = element(row, column);
            let at = (line * stride + within) * bits as usize;
            if bits == 4 {
                let (byte, shift) = (at / 8, at % 8);
                bytes[byte] = bytes[byte] & !(15 << shift) | (value as u8 & 15) << shift;
            } else {
                let size = bits as usize / 8;
                bytes[at / 8..at / 8 + size].copy_from_slice(&value.to_le_bytes()[..size]);
            }
        }
    }
    bytes
}

fn layout(by_column: bool) -> &'static str {
    if by_column { "col" } else { "row" }
}

fn list(letter: &str, count: usize) -> String {
    let names: Vec<String> = (0..count).map(|at| format!("%{letter}{at}")).collect();
    format!("{{{}}}", names.join(", "))
}

fn wmma_kernel(form: &Form, by_column: [bool; 3], strides: [usize; 3]) -> String {
    let [m, n, k] = form.shape;
    let shape = format!("m{m}n{n}k{k}");
    let lists = [("a", 0), ("b", 1), ("c", 2)].map(|(name, at)| list(name, form.registers[at]));
    let d = list("d", form.registers[2]);
    let [in_a, in_b, in_c] = by_column.map(layout);
    let (element, sum) = (form.element, form.sum);
    let mut body = String::new();
    for (at, (letter, element)) in [("a", element), ("b", element), ("c", sum)]
        .iter()
        .enumerate()
    {
        body.push_str(&format!(
            "ld.param.u64 %p, [{letter}];\nwmma.load.{letter}.sync.aligned.{}.{shape}.{element} \
             {}, [%p], {};\n",
            layout(by_column[at]),
            lists[at],
            strides[at]
        ));
    }
    let types = if element == "f16" {
        format!("{sum}.{sum}")
    } else {
        format!("{sum}.{element}.{element}.{sum}")
    };
    let kind = if element == "f64" { "b64" } else { "b32" };
    format!(
        ".version 8.4\n.target sm_90\n.address_size 64\n\
         .visible .entry k(.param .u64 a, .param .u64 b, .param .u64 c, .param .u64 d)\n{{\n\
         .reg .{kind} %a<9>, %b<9>, %c<9>, %d<9>;\n.reg .b64 %p;\n{body}\
         wmma.mma.sync.aligned.{in_a}.{in_b}.{shape}.{types} {d}, {}, {}, {};\n\
         ld.param.u64 %p, [d];\n\
         wmma.store.d.sync.aligned.{in_c}.{shape}.global.{sum} [%p], {d}, {};\nret;\n}}",
        lists[0], lists[1], lists[2], strides[2]
    )
}

#[test]
fn every_wmma_multiplies_as_matrices_do() {
    let seed = scattered(4096, 81);
    for form in FORMS {
        for choice in 0..8u32 {
            let mut by_column = [choice & 1 != 0, choice & 2 != 0, choice & 4 != 0];
            if form.bits[0] == 4 {
                (by_column[0], by_column[1]) = (false, true);
            }
            let [m, n, k] = form.shape;
            let sides = [[m, k], [k, n], [m, n]];
            let strides: [usize; 3] = std::array::from_fn(|at| {
                let length = sides[at][usize::from(!by_column[at])];
                length + if form.bits[at.max(1) - 1] == 4 { 32 } else { 8 }
            });
            let value = |role: usize, row: usize, column: usize| {
                let bits = seed[(role * 1031 + row * 67 + column) % seed.len()] >> 28;
                let is_signed = !form.element.starts_with('u');
                if is_signed {
                    bits as i32 - 8
                } else {
                    bits as i32
                }
            };
            let gpu = Gpu::with_arena(&wmma_kernel(form, by_column, strides), 1 << 17);
            let names = [form.element, form.element, form.sum];
            let bits = [form.bits[0], form.bits[0], form.bits[1]];
            let place = |role: usize| {
                let element = |row, column| encode(names[role], value(role, row, column));
                lay(
                    sides[role],
                    by_column[role],
                    strides[role],
                    bits[role],
                    element,
                )
            };
            let sources = [0, 1, 2].map(|role| Arg::Address(gpu.upload(&place(role))));
            let wanted = lay(
                sides[2],
                by_column[2],
                strides[2],
                bits[2],
                |row, column| {
                    let sum: i32 = (0..k)
                        .map(|at| value(0, row, at) * value(1, at, column))
                        .sum();
                    encode(form.sum, sum + value(2, row, column))
                },
            );
            let d = gpu.upload(&vec![0xff; wanted.len()]);
            let [a, b, c] = sources;
            gpu.launch("k", ONE, WARP, 0, &[a, b, c, Arg::Address(d)])
                .unwrap();
            let found = gpu.read(d, wanted.len());
            assert!(
                found == wanted,
                "{:?} {} {by_column:?}",
                form.shape,
                form.element
            );
        }
    }
}

/// A kernel that copies 512 bytes to shared memory, does `body`, in which %s is the lane's address
/// of a row and %r0 to %r3 are its registers, and copies shared memory and registers out.
fn tiles(body: &str) -> (Vec<u32>, Vec<u32>) {
    let text = format!(
        ".version 8.4\n.target sm_90\n.address_size 64\n\
         .visible .entry k(.param .u64 a, .param .u64 d)\n{{\n\
         .reg .b32 %r<4>, %s, %i, %v;\n.reg .b64 %p, %q, %o;\n.reg .pred %g;\n\
         .shared .align 16 .b8 s[512];\n\
         mov.u32 %i, %tid.x; ld.param.u64 %p, [a]; ld.param.u64 %q, [d];\n\
         mad.wide.u32 %o, %i, 16, %p; mov.u32 %s, s; mad.lo.u32 %s, %i, 16, %s;\n\
         ld.global.v4.u32 {{%r0, %r1, %r2, %r3}}, [%o];\n\
         st.shared.v4.u32 [%s], {{%r0, %r1, %r2, %r3}};\nbar.sync 0;\n\
         {body}\nbar.sync 0;\n\
         mad.wide.u32 %o, %i, 16, %q; st.global.v4.u32 [%o], {{%r0, %r1, %r2, %r3}};\n\
         ld.shared.v4.u32 {{%r0, %r1, %r2, %r3}}, [%s];\n\
         st.global.v4.u32 [%o+512], {{%r0, %r1, %r2, %r3}};\nret;\n}}"
    );
    let gpu = Gpu::with_arena(&text, 1 << 16);
    let halves: Vec<u8> = (0..256u16).flat_map(|at| at.to_le_bytes()).collect();
    let (a, d) = (gpu.upload(&halves), gpu.allocate(1024));
    gpu.launch("k", ONE, WARP, 0, &[Arg::Address(a), Arg::Address(d)])
        .unwrap();
    (gpu.words(d, 128), gpu.words(d + 512, 128))
}

/// The word that holds two halves.
fn pair(low: usize, high: usize) -> u32 {
    (high << 16 | low) as u32
}

#[test]
fn ldmatrix_deals_rows_to_lanes() {
    let (found, _) =
        tiles("ldmatrix.sync.aligned.m8n8.x4.shared::cta.b16 {%r0, %r1, %r2, %r3}, [%s];");
    for lane in 0..32 {
        for matrix in 0..4 {
            let first = matrix * 64 + lane / 4 * 8 + lane % 4 * 2;
            assert_eq!(
                found[4 * lane + matrix],
                pair(first, first + 1),
                "{lane} {matrix}"
            );
        }
    }
    // The second matrix of two comes from the addresses of lanes 8 to 15.
    let (found, _) = tiles(
        "xor.b32 %s, %s, 128; ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%r2, %r1}, [%s];\n\
         xor.b32 %s, %s, 128;",
    );
    for lane in 0..32 {
        for (register, matrix) in [(2, 1), (1, 0)] {
            let first = matrix * 64 + lane % 4 * 2 * 8 + lane / 4;
            assert_eq!(
                found[4 * lane + register],
                pair(first, first + 8),
                "{lane} {matrix}"
            );
        }
    }
}

#[test]
fn stmatrix_is_the_way_back_and_movmatrix_transposes() {
    let load = "ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%r0, %r1, %r2, %r3}, [%s]; bar.sync 0;\n";
    let (registers, shared) = tiles(&format!(
        "{load} movmatrix.sync.aligned.m8n8.trans.b16 %r0, %r0;\n\
         stmatrix.sync.aligned.m8n8.x4.trans.shared.b16 [%s], {{%r0, %r1, %r2, %r3}};"
    ));
    for lane in 0..32 {
        let first = lane % 4 * 2 * 8 + lane / 4;
        assert_eq!(registers[4 * lane], pair(first, first + 8), "{lane}");
    }
    for row in 0..32 {
        for at in 0..4 {
            let (matrix, line) = (row / 8, row % 8);
            let first = if matrix == 0 {
                // Transposed twice.
                pair(line * 8 + 2 * at, line * 8 + 2 * at + 1)
            } else {
                pair(
                    matrix * 64 + 2 * at * 8 + line,
                    matrix * 64 + (2 * at + 1) * 8 + line,
                )
            };
            assert_eq!(shared[4 * row + at], first, "{row} {at}");
        }
    }
}

#[test]
fn a_row_that_is_not_aligned_is_a_fault() {
    let text = ".version 8.4\n.target sm_90\n.address_size 64\n.visible .entry k()\n{\n\
         .reg .b32 %r<4>, %s;\n.shared .align 16 .b8 s[512];\n\
         mov.u32 %s, s; ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r0}, [%s+8];\nret;\n}";
    let gpu = Gpu::with_arena(text, 1 << 16);
    let result = gpu.launch("k", ONE, WARP, 0, &[]);
    assert!(
        matches!(result, Err(Fault::Misaligned { .. })),
        "{result:?}"
    );
}

/// Lanes that come to a multiplication at different times wait for one another.
#[test]
fn diverged_lanes_meet_at_a_multiplication() {
    let text = ".version 8.4\n.target sm_90\n.address_size 64\n\
         .visible .entry k(.param .u64 d)\n{\n\
         .reg .b32 %a<2>, %b, %c<4>, %i, %n, %h;\n.reg .b64 %p;\n.reg .pred %g;\n\
         mov.u32 %i, %tid.x; mov.u32 %n, 0; mov.u32 %h, 0;\n\
         turn: add.u32 %n, %n, 1; setp.lt.u32 %g, %n, %i; @%g bra turn;\n\
         setp.lt.u32 %g, %i, 16; @%g bra one; mov.u32 %h, 0x3c003c00; bra.uni both;\n\
         one: mov.u32 %h, 0x3c003c00;\n\
         both: mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%c0, %c1, %c2, %c3}, {%h, %h}, \
         {%h}, {0f00000000, 0f00000000, 0f00000000, 0f00000000};\n\
         ld.param.u64 %p, [d]; mad.wide.u32 %p, %i, 4, %p; st.global.b32 [%p], %c3;\nret;\n}";
    let gpu = Gpu::with_arena(text, 1 << 16);
    let d = gpu.allocate(128);
    gpu.launch("k", ONE, WARP, 0, &[Arg::Address(d)]).unwrap();
    assert_eq!(gpu.singles(d, 32), [8.0; 32]);
}

/// `matmul_wmma` of `fixtures/matrix.cu`: a tile a warp, over a depth of several tiles.
#[test]
fn tiles_of_nvcuda_multiply() {
    for text in [
        include_str!("fixtures/matrix.ptx"),
        include_str!("fixtures/matrix_debug.ptx"),
    ] {
        let gpu = Gpu::new(text);
        let (depth, line) = (48usize, 64usize);
        let seed = scattered(8192, 83);
        let value =
            |role: usize, at: usize| (seed[(role * 4099 + at) % seed.len()] >> 28) as i32 - 8;
        let halves = |role: usize, count: usize| -> Vec<u8> {
            let encoded = (0..count).map(|at| encode("f16", value(role, at)) as u16);
            encoded.flat_map(u16::to_le_bytes).collect()
        };
        let (a, b) = (
            gpu.upload(&halves(0, 16 * line)),
            gpu.upload(&halves(1, depth * line)),
        );
        let c = gpu.allocate(4 * 16 * line);
        let arguments = [
            Arg::Address(a),
            Arg::Address(b),
            Arg::Address(c),
            Arg::Int(depth as i32),
            Arg::Int(line as i32),
        ];
        gpu.launch("matmul_wmma", ONE, WARP, 0, &arguments).unwrap();
        let found = gpu.singles(c, 16 * line);
        for row in 0..16 {
            for column in 0..line {
                let sum: i32 = (0..depth)
                    .map(|k| value(0, row * line + k) * value(1, k * line + column))
                    .sum();
                // The kernel doubles what it has, element by element, before it stores.
                let wanted = if column < 16 { 2 * sum } else { 0 };
                assert_eq!(found[row * line + column], wanted as f32, "{row} {column}");
            }
        }
    }
}
