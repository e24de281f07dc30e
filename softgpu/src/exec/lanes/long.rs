//! Integers, bits and doubles of 64 bits.

use super::{Longs, Map64x1, Map64x2, Map64x3, Shift64, Words, rows};
use crate::exec::float::{maximum_double, minimum_double};
use crate::ptx::ScalarType::{self, B64, F64, S64, U64};

/// One source.
pub(in crate::exec) fn unary(opcode: &str, element: ScalarType) -> Option<Map64x1> {
    Some(match (opcode, element) {
        ("not", B64) => rows!(Map64x1, Longs, |a: Longs| !a),
        ("neg", S64) => rows!(Map64x1, Longs, |a: Longs| a.wrapping_neg()),
        ("abs", S64) => rows!(Map64x1, Longs, |a: Longs| (a as i64).wrapping_abs() as u64),
        ("brev", B64) => rows!(Map64x1, Longs, |a: Longs| a.reverse_bits()),
        ("neg", F64) => rows!(Map64x1, Longs, |a: Longs| a ^ (1 << 63)),
        ("abs", F64) => rows!(Map64x1, Longs, |a: Longs| a & !(1 << 63)),
        ("sqrt", F64) => rows!(Map64x1, Longs, |a: Longs| double(a).sqrt().to_bits()),
        ("rcp", F64) => rows!(Map64x1, Longs, |a: Longs| (1.0 / double(a)).to_bits()),
        _ => return None,
    })
}

/// Two sources. `mul` is named with its half, as `mul.lo`; `add.f64` and the like round to nearest.
pub(in crate::exec) fn binary(opcode: &str, element: ScalarType) -> Option<Map64x2> {
    Some(match (opcode, element) {
        ("add", U64 | S64) => rows!(Map64x2, Longs, |a: Longs, b: Longs| a.wrapping_add(b)),
        ("sub", U64 | S64) => rows!(Map64x2, Longs, |a: Longs, b: Longs| a.wrapping_sub(b)),
        ("mul.lo", U64 | S64) => rows!(Map64x2, Longs, |a: Longs, b: Longs| a.wrapping_mul(b)),
        ("mul.hi", U64) => rows!(Map64x2, Longs, |a: Longs, b: Longs| {
            ((u128::from(a) * u128::from(b)) >> 64) as u64
        }),
        ("mul.hi", S64) => rows!(Map64x2, Longs, |a: Longs, b: Longs| {
            ((i128::from(a as i64) * i128::from(b as i64)) >> 64) as u64
        }),
        ("div", U64) => {
            rows!(Map64x2, Longs, |a: Longs, b: Longs| a
                .checked_div(b)
                .unwrap_or(u64::MAX))
        }
        ("div", S64) => rows!(Map64x2, Longs, |a: Longs, b: Longs| {
            if b == 0 {
                u64::MAX
            } else {
                (a as i64).wrapping_div(b as i64) as u64
            }
        }),
        ("rem", U64) => rows!(Map64x2, Longs, |a: Longs, b: Longs| a
            .checked_rem(b)
            .unwrap_or(a)),
        ("rem", S64) => rows!(Map64x2, Longs, |a: Longs, b: Longs| {
            if b == 0 {
                a
            } else {
                (a as i64).wrapping_rem(b as i64) as u64
            }
        }),
        ("min", U64) => rows!(Map64x2, Longs, |a: Longs, b: Longs| a.min(b)),
        ("max", U64) => rows!(Map64x2, Longs, |a: Longs, b: Longs| a.max(b)),
        ("min", S64) => {
            rows!(
                Map64x2,
                Longs,
                |a: Longs, b: Longs| (a as i64).min(b as i64) as u64
            )
        }
        ("max", S64) => {
            rows!(
                Map64x2,
                Longs,
                |a: Longs, b: Longs| (a as i64).max(b as i64) as u64
            )
        }
        ("and", B64) => rows!(Map64x2, Longs, |a: Longs, b: Longs| a & b),
        ("or", B64) => rows!(Map64x2, Longs, |a: Longs, b: Longs| a | b),
        ("xor", B64) => rows!(Map64x2, Longs, |a: Longs, b: Longs| a ^ b),
        (_, F64) => return doubles(opcode),
        _ => return None,
    })
}

fn doubles(opcode: &str) -> Option<Map64x2> {
    Some(match opcode {
        "add" => {
            rows!(Map64x2, Longs, |a: Longs, b: Longs| (double(a) + double(b))
                .to_bits())
        }
        "sub" => {
            rows!(Map64x2, Longs, |a: Longs, b: Longs| (double(a) - double(b))
                .to_bits())
        }
        "mul" => {
            rows!(Map64x2, Longs, |a: Longs, b: Longs| (double(a) * double(b))
                .to_bits())
        }
        "div" => {
            rows!(Map64x2, Longs, |a: Longs, b: Longs| (double(a) / double(b))
                .to_bits())
        }
        "min" => rows!(Map64x2, Longs, |a: Longs, b: Longs| minimum_double(a, b)),
        "max" => rows!(Map64x2, Longs, |a: Longs, b: Longs| maximum_double(a, b)),
        _ => return None,
    })
}

/// Three sources.
pub(in crate::exec) fn ternary(opcode: &str, element: ScalarType) -> Option<Map64x3> {
    Some(match (opcode, element) {
        ("mad.lo", U64 | S64) => {
            rows!(Map64x3, Longs, |a: Longs, b: Longs, c: Longs| a
                .wrapping_mul(b)
                .wrapping_add(c))
        }
        ("mad.hi", U64) => rows!(Map64x3, Longs, |a: Longs, b: Longs, c: Longs| {
            (((u128::from(a) * u128::from(b)) >> 64) as u64).wrapping_add(c)
        }),
        ("mad.hi", S64) => rows!(Map64x3, Longs, |a: Longs, b: Longs, c: Longs| {
            (((i128::from(a as i64) * i128::from(b as i64)) >> 64) as u64).wrapping_add(c)
        }),
        ("fma", F64) => rows!(Map64x3, Longs, |a: Longs, b: Longs, c: Longs| {
            double(a).mul_add(double(b), double(c)).to_bits()
        }),
        _ => return None,
    })
}

/// Shifts; the count is a word and clamps at the width.
pub(in crate::exec) fn shift(opcode: &str, element: ScalarType) -> Option<Shift64> {
    Some(match (opcode, element) {
        ("shl", B64) => {
            rows!(Shift64, Longs, |a: Longs, b: Words| if b > 63 {
                0
            } else {
                a << (b & 63)
            })
        }
        ("shr", U64 | B64) => {
            rows!(Shift64, Longs, |a: Longs, b: Words| if b > 63 {
                0
            } else {
                a >> (b & 63)
            })
        }
        ("shr", S64) => {
            rows!(
                Shift64,
                Longs,
                |a: Longs, b: Words| ((a as i64) >> b.min(63)) as u64
            )
        }
        _ => return None,
    })
}

#[inline(always)]
fn double(bits: u64) -> f64 {
    f64::from_bits(bits)
}
