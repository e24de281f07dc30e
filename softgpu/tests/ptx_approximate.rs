//! Approximate functions: their special values and the largest errors that the PTX ISA documents,
//! against the host's doubles.
//!
//! `PTX_LONG=1` tries a hundred times as many random operands, `PTX_SEED` other ones.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::float_cmp,
    clippy::type_complexity,
    clippy::unwrap_used,
    reason = "test code"
)]

mod ptx_support;

use ptx_support::convert::{BF16, F16, F32, Type, flushed, infinity, widen};
use ptx_support::table::{Out, Random, count, floats, run, triples};
use rustc_apfloat::{Float, FloatConvert, ieee::Double};

/// How far from the true value a result may be.
#[derive(Clone, Copy)]
enum Bound {
    Relative(f64),
    Absolute(f64),
    /// Absolute within the first of these magnitudes of the operand, and within the second.
    Ranges([(f64, f64); 2]),
    /// Absolute between 0.5 and 2, else relative.
    Logarithm(f64),
}

impl Bound {
    fn allows(self, operand: f64, found: f64, wanted: f64) -> bool {
        let off = (found - wanted).abs();
        match self {
            Self::Relative(bound) => off <= bound * wanted.abs(),
            Self::Absolute(bound) => off <= bound,
            Self::Ranges(ranges) => ranges
                .iter()
                .find(|range| operand.abs() <= range.0)
                .is_none_or(|range| off <= range.1),
            Self::Logarithm(bound) if operand > 0.5 && operand < 2.0 => off <= bound,
            Self::Logarithm(bound) => off <= bound * wanted.abs(),
        }
    }
}

/// One function: its opcode, what it computes, its bound.
type Row = (&'static str, fn(f64) -> f64, Bound);

fn value(kind: Type, bits: u64) -> f64 {
    let mut lost = false;
    let double: Double = widen(kind, bits).convert(&mut lost).value;
    f64::from_bits(double.to_bits() as u64)
}

/// The largest number of a format and half a step above it: what is above becomes infinite.
fn largest(kind: Type) -> f64 {
    let below = value(kind, infinity(kind) - 1);
    below + (below - value(kind, infinity(kind) - 2)) / 2.0
}

/// The step between the subnormal numbers of a format.
fn smallest(kind: Type) -> f64 {
    value(kind, 1)
}

fn check(kind: Type, body: &str, out: Out, inputs: &[[u64; 4]], flush: bool, row: Row) {
    let found = run(body, out, inputs);
    let (_, function, bound) = row;
    for (input, &bits) in inputs.iter().zip(&found) {
        let operand = input[0] & kind.mask();
        let operand = if flush {
            flushed(kind, operand)
        } else {
            operand
        };
        let x = value(kind, operand);
        let (found, wanted) = (value(kind, bits), function(x));
        let what = || format!("{body} of {x:e} ({operand:#x}): {found:e} ({bits:#x}), {wanted:e}");
        if wanted.is_nan() {
            // What a computation makes is the canonical NaN.
            assert_eq!(bits, kind.sign() - 1, "{}", what());
        } else if wanted == 0.0 || wanted.is_infinite() {
            assert!(found == wanted, "{}", what());
            let signs = (found.is_sign_negative(), wanted.is_sign_negative());
            assert_eq!(signs.0, signs.1, "{}", what());
        } else if wanted.abs() >= largest(kind) {
            assert!(
                found.is_infinite() && found.signum() == wanted.signum(),
                "{}",
                what()
            );
        } else {
            let unit = smallest(kind);
            let normal = unit
                * 2f64.powi(if kind == F32 {
                    23
                } else if kind == F16 {
                    10
                } else {
                    7
                });
            // Below the normal numbers a result is right to a step, or flushed.
            let small =
                wanted.abs() < normal && ((found - wanted).abs() <= unit || flush && found == 0.0);
            assert!(small || bound.allows(x, found, wanted), "{}", what());
        }
    }
}

fn edges(kind: Type) -> Vec<u64> {
    match kind {
        F16 => floats(10, 5),
        BF16 => floats(7, 8),
        _ => floats(23, 8),
    }
}

/// Edges, random bits, and random numbers of everyday sizes.
fn inputs(kind: Type, random: &mut Random) -> Vec<[u64; 4]> {
    let mut inputs: Vec<[u64; 4]> = edges(kind)
        .into_iter()
        .map(|bits| [bits, 0, 0, 0])
        .collect();
    inputs.extend(triples(&edges(kind), kind.width, count(2000), random));
    if kind == F32 {
        for _ in 0..count(2000) {
            let bits = random.next();
            let size = [1.0f32, 6.3, 100.0, 320.0][(bits >> 62) as usize];
            let part = (bits as u32 >> 8) as f32 / 8_388_608.0 - 1.0;
            inputs.push([u64::from((size * part).to_bits()), 0, 0, 0]);
        }
    }
    inputs
}

const PI: f64 = std::f64::consts::PI;

#[test]
fn functions_of_singles_keep_their_bounds() {
    let rows: [Row; 7] = [
        ("rcp", |x| 1.0 / x, Bound::Relative(1.0 / 8_388_608.0)),
        ("sqrt", f64::sqrt, Bound::Relative(1.0 / 8_388_608.0)),
        // 2 to the power of -22.9.
        (
            "rsqrt",
            |x| if x == 0.0 { 1.0 / x } else { 1.0 / x.sqrt() },
            Bound::Relative(1.277_6e-7),
        ),
        (
            "sin",
            f64::sin,
            // 2 to the powers of -20.5 and -14.7.
            Bound::Ranges([(2.0 * PI, 6.743_5e-7), (100.0 * PI, 3.756_9e-5)]),
        ),
        (
            "cos",
            f64::cos,
            Bound::Ranges([(2.0 * PI, 6.743_5e-7), (100.0 * PI, 3.756_9e-5)]),
        ),
        ("lg2", f64::log2, Bound::Logarithm(1.0 / 4_194_304.0)),
        ("ex2", f64::exp2, Bound::Relative(1.0 / 4_194_304.0)),
    ];
    let mut random = Random::new();
    let inputs = inputs(F32, &mut random);
    for row in rows {
        for flush in [false, true] {
            let ftz = if flush { ".ftz" } else { "" };
            let body = format!("{}.approx{ftz}.f32 %w, %wa;", row.0);
            check(F32, &body, Out::Word, &inputs, flush, row);
        }
    }
    let row: Row = ("tanh", f64::tanh, Bound::Relative(1.0 / 2048.0));
    check(
        F32,
        "tanh.approx.f32 %w, %wa;",
        Out::Word,
        &inputs,
        false,
        row,
    );
}

#[test]
fn functions_of_halves_keep_their_bounds() {
    // 2 to the powers of -9.9, -7, -10.987 and -8.
    let exponentials = [Bound::Relative(1.047e-3), Bound::Relative(1.0 / 128.0)];
    let tangents = [Bound::Absolute(4.927e-4), Bound::Absolute(1.0 / 256.0)];
    for (index, kind) in [F16, BF16].into_iter().enumerate() {
        // All of them.
        let inputs: Vec<[u64; 4]> = (0..0x1_0000).map(|bits| [bits, 0, 0, 0]).collect();
        let name = kind.name;
        let ftz = if kind == BF16 { ".ftz" } else { "" };
        let rows: [(Row, &str, bool); 2] = [
            (("ex2", f64::exp2, exponentials[index]), ftz, kind == BF16),
            (("tanh", f64::tanh, tangents[index]), "", false),
        ];
        for (row, ftz, flush) in rows {
            let opcode = row.0;
            let body = format!("{opcode}.approx{ftz}.{name} %h, %ha;");
            check(kind, &body, Out::Half, &inputs, flush, row);
            // Two at once are the same two.
            let lows = run(&body, Out::Half, &inputs);
            let doubled: Vec<[u64; 4]> = (0..0x1_0000u64)
                .map(|bits| [bits | (bits ^ 0x5a5a) << 16, 0, 0, 0])
                .collect();
            let body = format!("{opcode}.approx{ftz}.{name}x2 %w, %wa;");
            for (bits, both) in run(&body, Out::Word, &doubled).into_iter().enumerate() {
                let wanted = lows[bits] | lows[bits ^ 0x5a5a] << 16;
                assert_eq!(both, wanted, "{body} of {bits:#x}");
            }
        }
    }
}

#[test]
fn quotients_keep_their_bounds() {
    let mut random = Random::new();
    let values = edges(F32);
    let mut inputs = triples(&values, 32, count(4000), &mut random);
    for &a in &values {
        inputs.extend(values.iter().map(|&b| [a, b, 0, 0]));
    }
    for (form, flush) in [
        ("approx", false),
        ("approx.ftz", true),
        ("full", false),
        ("full.ftz", true),
    ] {
        let body = format!("div.{form}.f32 %w, %wa, %wb;");
        for (input, &bits) in inputs.iter().zip(&run(&body, Out::Word, &inputs)) {
            let [a, b] = [input[0], input[1]]
                .map(|bits| value(F32, if flush { flushed(F32, bits) } else { bits }));
            let (found, wanted) = (value(F32, bits), a / b);
            let what = || format!("{body} of {a:e} by {b:e}: {found:e}, {wanted:e}");
            // A product with a reciprocal that has vanished (PTX ISA, div.approx).
            if form.starts_with("approx") && b.is_finite() && b.abs() > 2f64.powi(126) {
                let fits = if a.is_finite() {
                    found == 0.0
                } else {
                    found.is_nan()
                };
                assert!(fits, "{}", what());
            } else if wanted.is_nan() {
                assert_eq!(bits, F32.sign() - 1, "{}", what());
            } else if wanted == 0.0 || wanted.abs() >= largest(F32) {
                let limit = if wanted == 0.0 { 0.0 } else { f64::INFINITY };
                assert_eq!(found, limit.copysign(wanted), "{}", what());
            } else {
                // Two units in the last place, or two steps of the subnormal numbers.
                let unit = (wanted.abs() * 2f64.powi(-23)).max(smallest(F32));
                let small = flush && found == 0.0 && wanted.abs() < 2f64.powi(-126);
                assert!((found - wanted).abs() <= 2.0 * unit || small, "{}", what());
            }
        }
    }
}

#[test]
fn functions_of_doubles_keep_their_bounds() {
    let mut random = Random::new();
    let values = floats(52, 11);
    let mut inputs = triples(&values, 64, count(4000), &mut random);
    inputs.extend(values.iter().map(|&bits| [bits, 0, 0, 0]));
    let root = |x: f64| if x == 0.0 { 1.0 / x } else { 1.0 / x.sqrt() };
    let rows: [(&str, bool, fn(f64) -> f64, f64); 3] = [
        ("rcp.approx.ftz", true, |x| 1.0 / x, 2f64.powi(-20)),
        ("rsqrt.approx.ftz", true, root, 2f64.powi(-20)),
        ("rsqrt.approx", false, root, 2f64.powi(-52) * 1.5),
    ];
    for (form, gross, function, bound) in rows {
        let body = format!("{form}.f64 %x, %xa;");
        for (input, &bits) in inputs.iter().zip(&run(&body, Out::Long, &inputs)) {
            let x = f64::from_bits(input[0]);
            let x = if gross && x.is_subnormal() {
                0f64.copysign(x)
            } else {
                x
            };
            let (found, wanted) = (f64::from_bits(bits), function(x));
            let what = || format!("{body} of {x:e}: {found:e}, {wanted:e}");
            if wanted.is_nan() {
                assert!(found.is_nan(), "{}", what());
                continue;
            }
            assert!(!gross || bits & 0xffff_ffff == 0, "low bits: {}", what());
            let flushed = gross && wanted.is_subnormal() && found == 0.0;
            let close = (found - wanted).abs() <= bound * wanted.abs();
            assert!(found == wanted || close || flushed, "{}", what());
            assert_eq!(
                found.is_sign_negative(),
                wanted.is_sign_negative(),
                "{}",
                what()
            );
        }
    }
}
