//! Integer, bit and control instructions one by one, at the values where they are easily wrong.
#![allow(clippy::unwrap_used, reason = "test code")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "test code"
)]

mod ptx_support;

use ptx_support::lanes::{MIN, MINUS, check, check_longs, words};

#[test]
fn integer_arithmetic_wraps_and_divides_without_a_trap() {
    check(
        "add.s32 %r, %a, %b;",
        &[([MINUS, 2, 0], 1), ([MIN, MIN, 0], 0)],
    );
    check(
        "add.sat.s32 %r, %a, %b;",
        &[
            ([i32::MAX as u32, 1, 0], i32::MAX as u32),
            ([MIN, MINUS, 0], MIN),
        ],
    );
    check("sub.u32 %r, %a, 5;", &[([3, 0, 0], MINUS - 1)]);
    check(
        "div.s32 %r, %a, %b;",
        &[
            ([MIN, MINUS, 0], MIN),
            ([7, 0, 0], MINUS),
            ([MINUS - 6, 2, 0], -3i32 as u32),
        ],
    );
    check(
        "div.u32 %r, %a, %b;",
        &[([7, 0, 0], MINUS), ([MINUS, 2, 0], MINUS / 2)],
    );
    check(
        "rem.s32 %r, %a, %b;",
        &[
            ([MIN, MINUS, 0], 0),
            ([-7i32 as u32, 3, 0], -1i32 as u32),
            ([5, 0, 0], 5),
        ],
    );
    check(
        "mul.hi.s32 %r, %a, %b;",
        &[([MIN, MIN, 0], 1 << 30), ([MINUS, 1, 0], MINUS)],
    );
    check("mul.hi.u32 %r, %a, %b;", &[([MINUS, MINUS, 0], MINUS - 1)]);
    check("mul24.lo.u32 %r, %a, %b;", &[([0xff00_0002, 3, 0], 6)]);
    check("mad.lo.s32 %r, %a, %b, %c;", &[([MINUS, 5, 7], 2)]);
    check("sad.s32 %r, %a, %b, %c;", &[([MINUS, 4, 10], 15)]);
    check("abs.s32 %r, %a;", &[([MIN, 0, 0], MIN), ([MINUS, 0, 0], 1)]);
    check("min.s32 %r, %a, %b;", &[([MINUS, 1, 0], MINUS)]);
    check("max.u32 %r, %a, %b;", &[([MINUS, 1, 0], MINUS)]);
}

#[test]
fn shifts_clamp_their_count_and_funnels_wrap_it() {
    check(
        "shl.b32 %r, %a, %b;",
        &[([1, 31, 0], MIN), ([1, 32, 0], 0), ([1, MINUS, 0], 0)],
    );
    check(
        "shr.s32 %r, %a, %b;",
        &[
            ([MIN, 31, 0], MINUS),
            ([MIN, 99, 0], MINUS),
            ([MIN, 1, 0], 3 << 30),
        ],
    );
    check(
        "shr.u32 %r, %a, %b;",
        &[([MIN, 31, 0], 1), ([MIN, 32, 0], 0)],
    );
    check(
        "shf.l.wrap.b32 %r, %a, %b, %c;",
        &[([0x8000_0001, 0x10, 1], 0x21), ([1, 2, 32], 2)],
    );
    check(
        "shf.r.wrap.b32 %r, %a, %b, %c;",
        &[([0x10, 1, 4], 0x1000_0001), ([5, 6, 0], 5)],
    );
    check("shf.r.clamp.b32 %r, %a, %b, %c;", &[([5, 6, 99], 6)]);
    check_longs(
        "cvt.u32.u64 %t1, %b; shl.b64 %r, %a, %t1;",
        &[([1, 63, 0], 1 << 63), ([1, 64, 0], 0)],
    );
    check_longs(
        "shr.s64 %r, %a, 70;",
        &[([1 << 63, 0, 0], u64::MAX), ([5, 0, 0], 0)],
    );
}

#[test]
fn bits_are_counted_found_and_moved() {
    check("popc.b32 %r, %a;", &[([MINUS, 0, 0], 32), ([0, 0, 0], 0)]);
    check("clz.b32 %r, %a;", &[([0, 0, 0], 32), ([1, 0, 0], 31)]);
    check("brev.b32 %r, %a;", &[([1, 0, 0], MIN)]);
    check(
        "bfind.u32 %r, %a;",
        &[([0, 0, 0], MINUS), ([0x80, 0, 0], 7)],
    );
    check(
        "bfind.s32 %r, %a;",
        &[([MINUS, 0, 0], MINUS), ([0xffff_ff7f, 0, 0], 7)],
    );
    check("bfind.shiftamt.u32 %r, %a;", &[([0x80, 0, 0], 24)]);
    check(
        "bfe.u32 %r, %a, %b, %c;",
        &[
            ([0xabcd_1234, 8, 8], 0x12),
            ([MINUS, 28, 8], 0xf),
            ([MINUS, 0, 0], 0),
        ],
    );
    check(
        "bfe.s32 %r, %a, %b, %c;",
        &[
            ([0x0000_0f00, 8, 4], MINUS),
            ([0x0700, 8, 4], 7),
            ([MIN, 40, 4], MINUS),
        ],
    );
    check(
        "bfi.b32 %r, %a, %b, 4, 8;",
        &[([0xff, 0, 0], 0xff0), ([0, MINUS, 0], 0xffff_f00f)],
    );
    check(
        "lop3.b32 %r, %a, %b, %c, 0xE8;",
        &[([0b1100, 0b1010, 0b0110], 0b1110)],
    );
    check(
        "prmt.b32 %r, %a, %b, 0x7610;",
        &[([0x3322_1100, 0x7766_5544, 0], 0x7766_1100)],
    );
    check(
        "prmt.b32 %r, %a, %b, 0x0008;",
        &[([0x80, 0, 0], 0x8080_80ff)],
    );
    check("cnot.b32 %r, %a;", &[([0, 0, 0], 1), ([9, 0, 0], 0)]);
    check(
        "dp4a.s32.s32 %r, %a, %b, %c;",
        &[([0xff02_0304, 0x0101_0101, 10], 18)],
    );
    check(
        "dp4a.u32.u32 %r, %a, %b, %c;",
        &[([0xff00_0000, 0x0200_0000, 1], 511)],
    );
    check_longs("bfi.b64 %r, %a, %b, 60, 8;", &[([0xab, 0, 0], 0xb << 60)]);
    check_longs(
        "popc.b64 %t1, %a; cvt.u64.u32 %r, %t1;",
        &[([u64::MAX, 0, 0], 64)],
    );
    check_longs(
        "clz.b64 %t1, %a; cvt.u64.u32 %r, %t1;",
        &[([1, 0, 0], 63), ([0, 0, 0], 64)],
    );
    check_longs("brev.b64 %r, %a;", &[([1, 0, 0], 1 << 63)]);
}

#[test]
fn carries_and_borrows_ripple() {
    check(
        "add.cc.u32 %t1, %a, %b; addc.u32 %r, %c, 0;",
        &[([MINUS, 1, 5], 6), ([1, 1, 5], 5)],
    );
    check(
        "sub.cc.u32 %t1, %a, %b; subc.u32 %r, %c, 0;",
        &[([0, 1, 5], 4), ([1, 1, 5], 5)],
    );
    check(
        "mad.lo.cc.u32 %t1, %a, %b, %c; madc.hi.u32 %r, %a, %b, 0;",
        &[([MINUS, MINUS, MINUS], MINUS)],
    );
    check_longs(
        "add.cc.u64 %p, %a, %b; addc.u64 %r, %c, %c;",
        &[([u64::MAX, 1, 1], 3)],
    );
}

#[test]
fn long_arithmetic_has_its_own_edges() {
    check_longs(
        "mul.hi.u64 %r, %a, %b;",
        &[([u64::MAX, u64::MAX, 0], u64::MAX - 1)],
    );
    check_longs("mul.hi.s64 %r, %a, %b;", &[([u64::MAX, 2, 0], u64::MAX)]);
    check_longs(
        "div.s64 %r, %a, %b;",
        &[([1 << 63, u64::MAX, 0], 1 << 63), ([9, 0, 0], u64::MAX)],
    );
    check_longs("rem.u64 %r, %a, %b;", &[([9, 0, 0], 9), ([9, 4, 0], 1)]);
    check_longs("mad.lo.s64 %r, %a, %b, %c;", &[([u64::MAX, 3, 4], 1)]);
    check_longs("selp.b64 %r, %a, %b, %e;", &[([1, 2, 0], 2)]);
    check(
        "mul.wide.s32 %d1, %a, %b; mov.b64 {%t1, %r}, %d1;",
        &[([MINUS, 2, 0], MINUS)],
    );
    check(
        "mul.wide.u32 %d1, %a, %b; cvt.u32.u64 %r, %d1;",
        &[([MINUS, 2, 0], MINUS - 1)],
    );
    check(
        "mov.b64 %d1, {%a, %b}; mov.b64 {%t1, %t2}, %d1; sub.u32 %r, %t2, %t1;",
        &[([3, 10, 0], 7)],
    );
}

#[test]
fn guards_write_only_their_lanes() {
    check(
        "setp.lt.u32 %e, %a, 10; @%e mov.u32 %r, 5; @!%e add.u32 %r, %b, 1;",
        &[([3, 8, 0], 5), ([30, 8, 0], 9)],
    );
    check(
        "setp.lt.u32 %e, %a, 10; @%e bra small; mov.u32 %r, 1; bra.uni out; \
         small: mov.u32 %r, 2; out:",
        &[([3, 0, 0], 2), ([30, 0, 0], 1)],
    );
}

#[test]
fn loops_of_different_lengths_meet_again() {
    let body = "mov.u32 %t1, %a; again: setp.eq.u32 %e, %t1, 0; @%e bra out; add.u32 %r, %r, %t1; \
                sub.u32 %t1, %t1, 1; bra.uni again; out: activemask.b32 %t2; popc.b32 %t2, %t2; \
                mad.lo.u32 %r, %t2, 1000, %r;";
    let inputs: Vec<[u32; 3]> = (0..32).map(|lane| [lane % 7, 0, 0]).collect();
    let wanted: Vec<u32> = (0..32)
        .map(|lane| 32_000 + (lane % 7) * (lane % 7 + 1) / 2)
        .collect();
    assert_eq!(words(body, &inputs), wanted);
}

#[test]
fn a_branch_table_jumps_by_index() {
    let body = "ts: .branchtargets L0, L1, L2; brx.idx %a, ts; L0: mov.u32 %r, 10; bra out; \
                L1: mov.u32 %r, 11; bra out; L2: mov.u32 %r, 12; out:";
    check(body, &[([0, 0, 0], 10), ([1, 0, 0], 11), ([2, 0, 0], 12)]);
}

#[test]
fn inner_scopes_hide_names_of_outer_ones() {
    check(
        "{ .reg .b32 %a; mov.u32 %a, 7; mov.u32 %r, %a; } add.u32 %r, %r, %a;",
        &[([1, 0, 0], 8)],
    );
}
