//! Atomics of every operation and type, from many blocks at once, in global and shared memory,
//! against results that do not depend on the order.
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

const BLOCKS: u32 = 8;
const THREADS: u32 = 32;
const TOTAL: usize = (BLOCKS * THREADS) as usize;

/// An atomic: operation, type, bytes, what memory holds first, each thread's operand, the result.
struct Case {
    operation: &'static str,
    element: &'static str,
    size: usize,
    start: u64,
    operand: fn(u32) -> u64,
    fold: fn(u64, u64) -> u64,
}

const fn case(
    operation: &'static str,
    element: &'static str,
    size: usize,
    start: u64,
    operand: fn(u32) -> u64,
    fold: fn(u64, u64) -> u64,
) -> Case {
    Case {
        operation,
        element,
        size,
        start,
        operand,
        fold,
    }
}

fn word(random: u32) -> u64 {
    u64::from(random)
}

fn long(random: u32) -> u64 {
    u64::from(random) << 32 | u64::from(random.wrapping_mul(77))
}

fn small_single(random: u32) -> u64 {
    u64::from(((random >> 24) as f32 - 100.0).to_bits())
}

fn small_double(random: u32) -> u64 {
    (f64::from(random >> 8) - 1e6).to_bits()
}

fn singles(a: u64, b: u64, function: fn(f32, f32) -> f32) -> u64 {
    u64::from(function(f32::from_bits(a as u32), f32::from_bits(b as u32)).to_bits())
}

fn doubles(a: u64, b: u64, function: fn(f64, f64) -> f64) -> u64 {
    function(f64::from_bits(a), f64::from_bits(b)).to_bits()
}

/// The bits of 1 to 256 as a bf16 and as an f16, which hold them exactly.
fn brain(value: u64) -> u64 {
    u64::from((value as f32).to_bits() >> 16)
}

fn half(value: u64) -> u64 {
    if value == 0 {
        return 0;
    }
    let exponent = value.ilog2();
    u64::from(exponent + 15) << 10 | (value << (10 - exponent)) & 0x3ff
}

fn half_value(bits: u64) -> u64 {
    (0..=256)
        .find(|&value| half(value) == bits & 0xffff)
        .unwrap()
}

fn brain_value(bits: u64) -> u64 {
    f32::from_bits((bits as u32 & 0xffff) << 16) as u64
}

#[rustfmt::skip]
const CASES: &[Case] = &[
    case("add", "u32", 4, 5, word, |a, b| (a + b) & 0xffff_ffff),
    case("add", "s32", 4, 5, word, |a, b| (a + b) & 0xffff_ffff),
    case("add", "u64", 8, 5, long, u64::wrapping_add),
    case("add", "f32", 4, 0, small_single, |a, b| singles(a, b, |x, y| x + y)),
    case("add", "f64", 8, 0, small_double, |a, b| doubles(a, b, |x, y| x + y)),
    case("add.noftz", "f16", 2, 0, |_| half(1), |a, _| half(half_value(a) + 1)),
    case("add.noftz", "bf16", 2, 0, |_| brain(1), |a, _| brain(brain_value(a) + 1)),
    case("add.noftz", "f16x2", 4, 0, |_| half(1) << 16,
        |a, _| half(half_value(a >> 16) + 1) << 16),
    case("add.noftz", "bf16x2", 4, 0, |_| brain(1) << 16,
        |a, _| brain(brain_value(a >> 16) + 1) << 16),
    case("min", "u32", 4, u32::MAX as u64, word, u64::min),
    case("max", "u32", 4, 0, word, u64::max),
    case("min", "s32", 4, 7, word, |a, b| u64::from((a as i32).min(b as i32) as u32)),
    case("max", "s32", 4, 0x8000_0000, word, |a, b| u64::from((a as i32).max(b as i32) as u32)),
    case("min", "u64", 8, u64::MAX, long, u64::min),
    case("max", "u64", 8, 0, long, u64::max),
    case("min", "s64", 8, 7, long, |a, b| (a as i64).min(b as i64) as u64),
    case("max", "s64", 8, 1 << 63, long, |a, b| (a as i64).max(b as i64) as u64),
    case("and", "b32", 4, u32::MAX as u64, |r| word(r | 0x0ff0_0000), |a, b| a & b),
    case("or", "b32", 4, 0, |r| word(r & 0x00ff_00ff), |a, b| a | b),
    case("xor", "b32", 4, 0, word, |a, b| a ^ b),
    case("and", "b64", 8, u64::MAX, |r| long(r | 0x0ff0_0000), |a, b| a & b),
    case("or", "b64", 8, 0, |r| long(r & 0x0000_00ff), |a, b| a | b),
    case("xor", "b64", 8, 0, long, |a, b| a ^ b),
    case("inc", "u32", 4, 0, |_| 1000, |a, _| a + 1),
    case("dec", "u32", 4, 900, |_| 1000, |a, _| a - 1),
];

/// Registers and moves of a type.
fn register(element: &str, size: usize) -> (&'static str, &'static str) {
    match (element, size) {
        ("f32", _) => ("f32", "%f"),
        ("f64", _) => ("f64", "%g"),
        (_, 2) => ("b16", "%h"),
        (_, 8) => ("b64", "%l"),
        _ => ("b32", "%w"),
    }
}

/// Every thread does the atomic on its operand; a block's first thread adds what shared memory
/// holds to global memory in the shared forms, by a plain store to the block's own place.
fn kernel(case: &Case, form: &str) -> String {
    let (kind, name) = register(case.element, case.size);
    let size = case.size;
    let instruction = |space: &str| {
        let (operation, element) = (case.operation, case.element);
        match form {
            "red" => format!("red.relaxed.gpu.{space}{operation}.{element} [%p], {name}1;"),
            _ => format!("atom.acq_rel.gpu.{space}{operation}.{element} {name}2, [%p], {name}1;"),
        }
    };
    let body = match form {
        "generic" => instruction(""),
        "shared" | "generic shared" => {
            let there = if form == "shared" {
                (String::from("mov.u64 %p, s;"), instruction("shared::cta."))
            } else {
                (
                    String::from("mov.u64 %p, s; cvta.shared.u64 %p, %p;"),
                    instruction(""),
                )
            };
            format!(
                "ld.global.{kind} {name}3, [%p];\nsetp.eq.u32 %e, %i, 0;\n\
                 @%e st.shared.{kind} [s], {name}3;\nbar.sync 0;\n{}\n{}\nbar.sync 0;\n\
                 ld.shared.{kind} {name}3, [s];\nmad.wide.u32 %q, %b, {size}, %q;\n\
                 @%e st.global.{kind} [%q], {name}3;",
                there.0, there.1
            )
        }
        _ => instruction("global."),
    };
    format!(
        ".version 8.4\n.target sm_90\n.address_size 64\n\
         .visible .entry k(.param .u64 at, .param .u64 operands, .param .u64 out)\n{{\n\
         .reg .f32 %f<4>; .reg .f64 %g<4>; .reg .b16 %h<4>; .reg .b64 %l<4>; .reg .b32 %w<4>;\n\
         .reg .b64 %p, %q, %o;\n.reg .b32 %i, %b, %t;\n.reg .pred %e;\n.shared .align 8 .b8 s[8];\n\
         mov.u32 %i, %tid.x; mov.u32 %b, %ctaid.x; mad.lo.u32 %t, %b, {THREADS}, %i;\n\
         ld.param.u64 %p, [at]; ld.param.u64 %o, [operands]; ld.param.u64 %q, [out];\n\
         mad.wide.u32 %o, %t, {size}, %o; ld.global.{kind} {name}1, [%o];\n{body}\nret;\n}}"
    )
}

#[test]
fn every_atomic_of_every_type_counts_every_thread() {
    for (number, case) in CASES.iter().enumerate() {
        let random = scattered(TOTAL, 100 + number as u64);
        let operands: Vec<u64> = random.iter().map(|&one| (case.operand)(one)).collect();
        let bytes: Vec<u8> = (operands.iter())
            .flat_map(|one| one.to_le_bytes()[..case.size].to_vec())
            .collect();
        for form in ["global", "generic", "red", "shared", "generic shared"] {
            let mut gpu = Gpu::with_arena(&kernel(case, form), 1 << 17);
            gpu.workers = 3;
            let at = gpu.upload(&case.start.to_le_bytes());
            let (from, out) = (gpu.upload(&bytes), gpu.allocate(8 * BLOCKS as usize));
            let arguments = [at, from, out].map(Arg::Address);
            gpu.launch("k", [BLOCKS, 1, 1], [THREADS, 1, 1], 0, &arguments)
                .unwrap();
            let what = format!("{}.{} {form}", case.operation, case.element);
            let value = |address: u64| {
                let mut bytes = gpu.read(address, case.size);
                bytes.resize(8, 0);
                u64::from_le_bytes(bytes.try_into().unwrap())
            };
            if form.ends_with("shared") {
                for (block, part) in operands.chunks(THREADS as usize).enumerate() {
                    let wanted = part
                        .iter()
                        .fold(case.start, |all, &one| (case.fold)(all, one));
                    let found = value(out + (case.size * block) as u64);
                    assert_eq!(found, wanted, "{what}, block {block}");
                }
            } else {
                let wanted = operands
                    .iter()
                    .fold(case.start, |all, &one| (case.fold)(all, one));
                assert_eq!(value(at), wanted, "{what}");
            }
        }
    }
}

/// Every value that goes in by an exchange comes out once, or stays.
#[test]
fn exchanges_lose_nothing() {
    for (element, kind, size) in [("b32", "b32", 4usize), ("b64", "b64", 8)] {
        let text = format!(
            ".version 8.4\n.target sm_90\n.address_size 64\n\
             .visible .entry k(.param .u64 at, .param .u64 out)\n{{\n\
             .reg .b64 %p, %q, %o;\n.reg .{kind} %v, %w;\n.reg .b32 %i, %b, %t;\n\
             mov.u32 %i, %tid.x; mov.u32 %b, %ctaid.x; mad.lo.u32 %t, %b, {THREADS}, %i;\n\
             ld.param.u64 %p, [at]; ld.param.u64 %q, [out]; mad.wide.u32 %o, %t, {size}, %q;\n\
             add.u32 %t, %t, 1; cvt.u{}.u32 %v, %t;\n\
             atom.global.exch.{element} %w, [%p], %v; st.global.{kind} [%o], %w;\nret;\n}}",
            size * 8
        );
        let mut gpu = Gpu::with_arena(&text, 1 << 17);
        gpu.workers = 3;
        let (at, out) = (gpu.allocate(8), gpu.allocate(size * TOTAL));
        let arguments = [at, out].map(Arg::Address);
        gpu.launch("k", [BLOCKS, 1, 1], [THREADS, 1, 1], 0, &arguments)
            .unwrap();
        let mut all = gpu.read(out, size * TOTAL);
        all.extend(gpu.read(at, size));
        let mut seen: Vec<u32> = (all.chunks_exact(size))
            .map(|one| u32::from_le_bytes(one[..4].try_into().unwrap()))
            .collect();
        seen.sort_unstable();
        let wanted: Vec<u32> = (0..=TOTAL as u32).collect();
        assert_eq!(seen, wanted, "{element}");
    }
}

/// Counting by compare-and-swap until it succeeds, in 16, 32, 64 and 128 bits.
#[test]
fn compare_and_swap_counts() {
    let narrow = |size: usize, add: &str| {
        let bits = size * 8;
        format!(
            ".reg .b{bits} %v, %w, %x;\n.reg .pred %e;\n\
             ld.relaxed.gpu.global.b{bits} %v, [%p];\n\
             again: {add}\natom.global.cas.b{bits} %x, [%p], %v, %w;\n\
             setp.ne.b{bits} %e, %x, %v; mov.b{bits} %v, %x; @%e bra again;\n"
        )
    };
    let wide = ".reg .b128 %v, %w, %x;\n.reg .b64 %l<6>;\n.reg .pred %e, %f;\n\
         ld.relaxed.gpu.global.b128 %v, [%p];\n\
         again: mov.b128 {%l0, %l1}, %v; add.u64 %l2, %l0, 1; sub.u64 %l3, %l1, 1;\n\
         mov.b128 %w, {%l2, %l3}; atom.acq_rel.gpu.global.cas.b128 %x, [%p], %v, %w;\n\
         mov.b128 {%l4, %l5}, %x; mov.b128 %v, %x;\n\
         setp.ne.b64 %e, %l4, %l0; setp.ne.or.b64 %e, %l5, %l1, %e; @%e bra again;\n";
    let bodies = [
        (2, narrow(2, "add.u16 %w, %v, 1;")),
        (4, narrow(4, "add.u32 %w, %v, 1;")),
        (8, narrow(8, "add.u64 %w, %v, 1;")),
        (16, wide.to_owned()),
    ];
    for (size, body) in bodies {
        let text = format!(
            ".version 8.4\n.target sm_90\n.address_size 64\n\
             .visible .entry k(.param .u64 at)\n{{\n.reg .b64 %p;\n\
             ld.param.u64 %p, [at];\n{body}ret;\n}}"
        );
        let mut gpu = Gpu::with_arena(&text, 1 << 16);
        gpu.workers = 3;
        let at = gpu.allocate(16);
        gpu.launch("k", [BLOCKS, 1, 1], [THREADS, 1, 1], 0, &[Arg::Address(at)])
            .unwrap();
        let found = gpu.longs(at, 2);
        let second = if size == 16 {
            0u64.wrapping_sub(TOTAL as u64)
        } else {
            0
        };
        assert_eq!(found, [TOTAL as u64, second], "{size} bytes");
    }
}

#[test]
fn wide_exchanges_and_accesses_keep_both_halves() {
    let text = ".version 8.4\n.target sm_90\n.address_size 64\n\
         .visible .entry k(.param .u64 at)\n{\n.reg .b64 %p, %l<2>;\n.reg .b128 %v, %w;\n\
         .shared .align 16 .b8 s[16];\n\
         ld.param.u64 %p, [at]; mov.u64 %l0, 3; mov.u64 %l1, 4; mov.b128 %v, {%l0, %l1};\n\
         st.shared.b128 [s], %v; atom.shared.exch.b128 _, [s], %v; ld.shared.b128 %v, [s];\n\
         atom.exch.b128 %w, [%p], %v; st.release.sys.global.b128 [%p+16], %w;\nret;\n}";
    let gpu = Gpu::with_arena(text, 1 << 16);
    let at = gpu.upload_longs(&[1, 2, 0, 0]);
    gpu.launch("k", [1, 1, 1], [1, 1, 1], 0, &[Arg::Address(at)])
        .unwrap();
    assert_eq!(gpu.longs(at, 4), [3, 4, 1, 2]);
}

#[test]
fn vector_atomics_update_every_element() {
    let forms = [
        (
            "atom.global.add.v4.f32 {%f0, _, %f2, %f3}, [%p], {%f4, %f5, %f6, %f7};",
            4,
            "f32",
        ),
        (
            "red.relaxed.gpu.global.add.v2.f32 [%p], {%f4, %f5};",
            2,
            "f32",
        ),
        ("red.global.v2.f32.add [%p], {%f4, %f5};", 2, "f32"),
        (
            "red.global.add.noftz.v8.bf16 [%p], {%h0, %h0, %h0, %h0, %h0, %h0, %h0, %h0};",
            8,
            "b",
        ),
        (
            "atom.global.max.noftz.v2.f16 {%h1, %h2}, [%p], {%h3, %h3};",
            2,
            "h",
        ),
        (
            "red.global.v4.f16x2.add.noftz [%p], {%w0, %w0, %w0, %w0};",
            8,
            "h",
        ),
    ];
    for (instruction, count, kind) in forms {
        let text = format!(
            ".version 8.4\n.target sm_90\n.address_size 64\n\
             .visible .entry k(.param .u64 at)\n{{\n.reg .b64 %p;\n.reg .f32 %f<8>;\n\
             .reg .b16 %h<4>;\n.reg .b32 %w0;\nld.param.u64 %p, [at];\n\
             mov.f32 %f4, 0f3F800000; mov.f32 %f5, %f4; mov.f32 %f6, %f4; mov.f32 %f7, %f4;\n\
             mov.b16 %h0, 0x3f80; mov.b16 %h3, 0x5c00; mov.b32 %w0, 0x3c003c00;\n\
             {instruction}\nret;\n}}"
        );
        let mut gpu = Gpu::with_arena(&text, 1 << 16);
        gpu.workers = 3;
        let at = gpu.allocate(32);
        gpu.launch("k", [BLOCKS, 1, 1], [THREADS, 1, 1], 0, &[Arg::Address(at)])
            .unwrap();
        // 256 ones, or one that is 256.
        let one: &[u8] = match kind {
            "f32" => &[0x00, 0x00, 0x80, 0x43],
            "b" => &[0x80, 0x43],
            _ => &[0x00, 0x5c],
        };
        assert_eq!(
            gpu.read(at, one.len() * count),
            one.repeat(count),
            "{instruction}"
        );
        assert_eq!(
            gpu.read(at + (one.len() * count) as u64, 4),
            [0; 4],
            "{instruction}"
        );
    }
}
