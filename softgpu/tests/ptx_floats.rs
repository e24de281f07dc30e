//! Floats, conversions and comparisons one by one, at the values where they are easily wrong.
#![allow(clippy::unwrap_used, reason = "test code")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "test code"
)]

mod ptx_support;

use ptx_support::lanes::{MIN, MINUS, check, check_longs, d, f};

#[test]
fn singles_round_flush_and_saturate() {
    let tiny = 1; // The smallest subnormal.
    check(
        "add.f32 %r, %a, %b;",
        &[
            ([tiny, tiny, 0], 2),
            ([f(1e38), f(3e38), 0], f(f32::INFINITY)),
        ],
    );
    check(
        "add.ftz.f32 %r, %a, %b;",
        &[([tiny, tiny, 0], 0), ([tiny | MIN, 0, 0], 0)],
    );
    check(
        "mul.ftz.f32 %r, %a, %b;",
        &[([f(-1e-30), f(1e-10), 0], MIN)],
    );
    check(
        "add.rp.f32 %r, %a, %b;",
        &[([f(1.0), f(1e-30), 0], f(1.0f32.next_up()))],
    );
    check("add.rm.f32 %r, %a, %b;", &[([f(1.0), f(-1.0), 0], MIN)]);
    check(
        "mul.rz.f32 %r, %a, %b;",
        &[([f(1.1), f(1.1), 0], f(1.21f32))],
    );
    check(
        "fma.rn.f32 %r, %a, %b, %c;",
        &[(
            [f(1.0f32.next_up()), f(1.0f32.next_up()), f(-1.0)],
            f(2.0f32.powi(-22) + 2.0f32.powi(-46)),
        )],
    );
    check(
        "div.rn.f32 %r, %a, %b;",
        &[
            ([f(1.0), f(0.0), 0], f(f32::INFINITY)),
            ([f(1.0), f(3.0), 0], f(1.0 / 3.0)),
        ],
    );
    check(
        "add.sat.f32 %r, %a, %b;",
        &[
            ([f(0.7), f(0.7), 0], f(1.0)),
            ([f(-1.0), f(0.5), 0], 0),
            ([f(f32::NAN), 0, 0], 0),
        ],
    );
}

#[test]
fn singles_choose_and_approximate() {
    let tiny = 1;
    check(
        "min.f32 %r, %a, %b;",
        &[([f(f32::NAN), f(2.0), 0], f(2.0)), ([0, MIN, 0], MIN)],
    );
    check(
        "max.NaN.f32 %r, %a, %b;",
        &[([f(f32::NAN), f(2.0), 0], 0x7fff_ffff)],
    );
    check("neg.f32 %r, %a;", &[([0, 0, 0], MIN)]);
    check(
        "copysign.f32 %r, %a, %b;",
        &[([f(-3.0), f(2.0), 0], f(-2.0))],
    );
    check("sqrt.rn.f32 %r, %a;", &[([f(2.0), 0, 0], f(2f32.sqrt()))]);
    check(
        "rcp.approx.ftz.f32 %r, %a;",
        &[([f(4.0), 0, 0], f(0.25)), ([tiny, 0, 0], f(f32::INFINITY))],
    );
    check(
        "rsqrt.approx.f32 %r, %a;",
        &[
            ([f(4.0), 0, 0], f(0.5)),
            ([MIN, 0, 0], f(f32::NEG_INFINITY)),
        ],
    );
    check(
        "ex2.approx.f32 %r, %a;",
        &[([f(3.0), 0, 0], f(8.0)), ([f(-1000.0), 0, 0], 0)],
    );
    check(
        "lg2.approx.f32 %r, %a;",
        &[([f(8.0), 0, 0], f(3.0)), ([0, 0, 0], f(f32::NEG_INFINITY))],
    );
    check("sin.approx.f32 %r, %a;", &[([0, 0, 0], 0)]);
    check("tanh.approx.f32 %r, %a;", &[([f(50.0), 0, 0], f(1.0))]);
}

#[test]
fn doubles_round_in_every_direction() {
    check_longs(
        "add.rn.f64 %r, %a, %b;",
        &[([d(0.1), d(0.2), 0], d(0.1 + 0.2))],
    );
    check_longs(
        "div.rp.f64 %r, %a, %b;",
        &[([d(1.0), d(3.0), 0], d((1.0f64 / 3.0).next_up()))],
    );
    check_longs(
        "fma.rn.f64 %r, %a, %b, %c;",
        &[([d(2.0), d(3.0), d(1.0)], d(7.0))],
    );
    check_longs(
        "sqrt.rz.f64 %r, %a;",
        &[([d(2.0), 0, 0], d(2f64.sqrt().next_down()))],
    );
    check_longs(
        "max.f64 %r, %a, %b;",
        &[([d(f64::NAN), d(-1.0), 0], d(-1.0))],
    );
    check_longs("neg.f64 %r, %a;", &[([0, 0, 0], 1 << 63)]);
}

#[test]
fn conversions_saturate_truncate_and_extend() {
    check(
        "cvt.rzi.s32.f32 %r, %a;",
        &[
            ([f(-1.9), 0, 0], MINUS),
            ([f(1e20), 0, 0], i32::MAX as u32),
            ([f(f32::NAN), 0, 0], 0),
        ],
    );
    check(
        "cvt.rni.s32.f32 %r, %a;",
        &[
            ([f(2.5), 0, 0], 2),
            ([f(3.5), 0, 0], 4),
            ([f(-2.5), 0, 0], -2i32 as u32),
        ],
    );
    check("cvt.rmi.f32.f32 %r, %a;", &[([f(-1.5), 0, 0], f(-2.0))]);
    check(
        "cvt.sat.f32.f32 %r, %a;",
        &[([f(7.0), 0, 0], f(1.0)), ([f(f32::NAN), 0, 0], 0)],
    );
    check(
        "cvt.rn.f32.u32 %r, %a;",
        &[([MINUS, 0, 0], f(4_294_967_296.0))],
    );
    check("cvt.rn.f32.s32 %r, %a;", &[([MINUS, 0, 0], f(-1.0))]);
    check("cvt.s32.s8 %r, %a;", &[([0x180, 0, 0], 0xffff_ff80)]);
    check("cvt.u32.u16 %r, %h1;", &[([0, 0, 0], 0)]);
    check(
        "cvt.u8.u32 %h1, %a; cvt.u32.u16 %r, %h1;",
        &[([0x1ff, 0, 0], 0xff)],
    );
}

#[test]
fn conversions_of_bytes_halves_and_longs() {
    check(
        "cvt.sat.s8.s32 %h1, %a; cvt.s32.s16 %r, %h1;",
        &[
            ([1000, 0, 0], 127),
            ([-1000i32 as u32, 0, 0], -128i32 as u32),
        ],
    );
    check(
        "cvt.rn.f16.f32 %h1, %a; cvt.f32.f16 %r, %h1;",
        &[
            ([f(1.0001), 0, 0], f(1.0)),
            ([f(1e9), 0, 0], f(f32::INFINITY)),
        ],
    );
    check(
        "cvt.rn.bf16.f32 %h1, %a; cvt.f32.bf16 %r, %h1;",
        &[([f(1.0), 0, 0], f(1.0))],
    );
    check(
        "cvt.rn.f16x2.f32 %r, %a, %b;",
        &[([f(1.0), f(2.0), 0], 0x3c00_4000)],
    );
    check_longs(
        "cvt.rzi.s64.f64 %r, %a;",
        &[
            ([d(f64::NAN), 0, 0], 1 << 63),
            ([d(-2.9), 0, 0], -2i64 as u64),
        ],
    );
    check_longs(
        "cvt.rn.f64.u64 %r, %a;",
        &[([u64::MAX, 0, 0], d(18_446_744_073_709_551_616.0))],
    );
    check_longs(
        "cvt.u32.u64 %t1, %a; cvt.s64.s32 %r, %t1;",
        &[([0xffff_ffff, 0, 0], u64::MAX)],
    );
}

#[test]
fn comparisons_order_signs_and_nan() {
    let nan = f(f32::NAN);
    let select = |compare: &str| format!("{compare} selp.b32 %r, 1, 0, %e;");
    check(
        &select("setp.lt.s32 %e, %a, %b;"),
        &[([MINUS, 1, 0], 1), ([1, MINUS, 0], 0)],
    );
    check(&select("setp.lo.u32 %e, %a, %b;"), &[([MINUS, 1, 0], 0)]);
    check(
        &select("setp.lt.f32 %e, %a, %b;"),
        &[([nan, f(1.0), 0], 0), ([f(-1.0), f(1.0), 0], 1)],
    );
    check(
        &select("setp.ltu.f32 %e, %a, %b;"),
        &[([nan, f(1.0), 0], 1), ([f(2.0), f(1.0), 0], 0)],
    );
    check(
        &select("setp.ne.f32 %e, %a, %b;"),
        &[([nan, nan, 0], 0), ([0, MIN, 0], 0)],
    );
    check(&select("setp.neu.f32 %e, %a, %b;"), &[([nan, nan, 0], 1)]);
    check(
        &select("setp.nan.f32 %e, %a, %b;"),
        &[([nan, 0, 0], 1), ([0, 0, 0], 0)],
    );
    check(&select("setp.eq.ftz.f32 %e, %a, %b;"), &[([1, 0, 0], 1)]);
    check(&select("setp.gt.s16 %e, %h1, %h2;"), &[([0, 0, 0], 0)]);
    check(
        &select("setp.eq.u32 %f, %c, 1; setp.lt.and.s32 %e, %a, %b, %f;"),
        &[([1, 2, 1], 1), ([1, 2, 0], 0)],
    );
    check(
        "setp.lt.s32 %e|%f, %a, %b; selp.b32 %t1, 2, 0, %e; \
         selp.b32 %t2, 1, 0, %f; or.b32 %r, %t1, %t2;",
        &[([1, 2, 0], 2), ([2, 1, 0], 1)],
    );
    check(
        "set.lt.u32.s32 %r, %a, %b;",
        &[([1, 2, 0], MINUS), ([2, 1, 0], 0)],
    );
    check(
        "set.lt.f32.f32 %r, %a, %b;",
        &[([f(1.0), f(2.0), 0], f(1.0))],
    );
    check(
        "slct.u32.s32 %r, %a, %b, %c;",
        &[([1, 2, 0], 1), ([1, 2, MINUS], 2)],
    );
}
