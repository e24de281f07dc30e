//! Comparisons: `setp` and `set`, one bit per lane.
#![allow(
    clippy::neg_cmp_op_on_partial_ord,
    reason = "an unordered comparison is the negation of the opposite ordered one"
)]

use super::{Compare32, Compare64, Longs, Words, bits};
use crate::exec::float::flush;
use crate::ptx::ScalarType::{self, B32, B64, F32, F64, S32, S64, U32, U64};

/// 32-bit values; `flushed` is `.ftz`.
pub(in crate::exec) fn words(
    comparison: &str,
    element: ScalarType,
    flushed: bool,
) -> Option<Compare32> {
    Some(match (comparison, element) {
        ("eq", B32 | S32 | U32) => bits!(Compare32, Words, |a, b| a == b),
        ("ne", B32 | S32 | U32) => bits!(Compare32, Words, |a, b| a != b),
        ("lt", S32) => bits!(Compare32, Words, |a, b| (a as i32) < b as i32),
        ("le", S32) => bits!(Compare32, Words, |a, b| a as i32 <= b as i32),
        ("gt", S32) => bits!(Compare32, Words, |a, b| a as i32 > b as i32),
        ("ge", S32) => bits!(Compare32, Words, |a, b| a as i32 >= b as i32),
        ("lt" | "lo", U32) => bits!(Compare32, Words, |a, b| a < b),
        ("le" | "ls", U32) => bits!(Compare32, Words, |a, b| a <= b),
        ("gt" | "hi", U32) => bits!(Compare32, Words, |a, b| a > b),
        ("ge" | "hs", U32) => bits!(Compare32, Words, |a, b| a >= b),
        (_, F32) if flushed => return singles_flushed(comparison),
        (_, F32) => return singles(comparison),
        _ => return None,
    })
}

fn singles(comparison: &str) -> Option<Compare32> {
    Some(match comparison {
        "eq" => bits!(Compare32, Words, |a, b| single(a) == single(b)),
        "ne" => bits!(Compare32, Words, |a, b| (single(a) < single(b))
            | (single(a) > single(b))),
        "lt" => bits!(Compare32, Words, |a, b| single(a) < single(b)),
        "le" => bits!(Compare32, Words, |a, b| single(a) <= single(b)),
        "gt" => bits!(Compare32, Words, |a, b| single(a) > single(b)),
        "ge" => bits!(Compare32, Words, |a, b| single(a) >= single(b)),
        // The unordered ones are true for NaN: the negations of the ordered opposites.
        "equ" => bits!(Compare32, Words, |a, b| !((single(a) < single(b))
            | (single(a) > single(b)))),
        "neu" => bits!(Compare32, Words, |a, b| single(a) != single(b)),
        "ltu" => bits!(Compare32, Words, |a, b| !(single(a) >= single(b))),
        "leu" => bits!(Compare32, Words, |a, b| !(single(a) > single(b))),
        "gtu" => bits!(Compare32, Words, |a, b| !(single(a) <= single(b))),
        "geu" => bits!(Compare32, Words, |a, b| !(single(a) < single(b))),
        "num" => bits!(Compare32, Words, |a, b| !single(a).is_nan()
            & !single(b).is_nan()),
        "nan" => bits!(Compare32, Words, |a, b| single(a).is_nan()
            | single(b).is_nan()),
        _ => return None,
    })
}

fn singles_flushed(comparison: &str) -> Option<Compare32> {
    Some(match comparison {
        "eq" => bits!(Compare32, Words, |a, b| flushed(a) == flushed(b)),
        "ne" => {
            bits!(Compare32, Words, |a, b| (flushed(a) < flushed(b))
                | (flushed(a) > flushed(b)))
        }
        "lt" => bits!(Compare32, Words, |a, b| flushed(a) < flushed(b)),
        "le" => bits!(Compare32, Words, |a, b| flushed(a) <= flushed(b)),
        "gt" => bits!(Compare32, Words, |a, b| flushed(a) > flushed(b)),
        "ge" => bits!(Compare32, Words, |a, b| flushed(a) >= flushed(b)),
        "equ" => {
            bits!(Compare32, Words, |a, b| !((flushed(a) < flushed(b))
                | (flushed(a) > flushed(b))))
        }
        "neu" => bits!(Compare32, Words, |a, b| flushed(a) != flushed(b)),
        "ltu" => bits!(Compare32, Words, |a, b| !(flushed(a) >= flushed(b))),
        "leu" => bits!(Compare32, Words, |a, b| !(flushed(a) > flushed(b))),
        "gtu" => bits!(Compare32, Words, |a, b| !(flushed(a) <= flushed(b))),
        "geu" => bits!(Compare32, Words, |a, b| !(flushed(a) < flushed(b))),
        "num" | "nan" => return singles(comparison),
        _ => return None,
    })
}

/// 64-bit values.
pub(in crate::exec) fn longs(comparison: &str, element: ScalarType) -> Option<Compare64> {
    Some(match (comparison, element) {
        ("eq", B64 | S64 | U64) => bits!(Compare64, Longs, |a, b| a == b),
        ("ne", B64 | S64 | U64) => bits!(Compare64, Longs, |a, b| a != b),
        ("lt", S64) => bits!(Compare64, Longs, |a, b| (a as i64) < b as i64),
        ("le", S64) => bits!(Compare64, Longs, |a, b| a as i64 <= b as i64),
        ("gt", S64) => bits!(Compare64, Longs, |a, b| a as i64 > b as i64),
        ("ge", S64) => bits!(Compare64, Longs, |a, b| a as i64 >= b as i64),
        ("lt" | "lo", U64) => bits!(Compare64, Longs, |a, b| a < b),
        ("le" | "ls", U64) => bits!(Compare64, Longs, |a, b| a <= b),
        ("gt" | "hi", U64) => bits!(Compare64, Longs, |a, b| a > b),
        ("ge" | "hs", U64) => bits!(Compare64, Longs, |a, b| a >= b),
        ("eq", F64) => bits!(Compare64, Longs, |a, b| double(a) == double(b)),
        ("ne", F64) => {
            bits!(Compare64, Longs, |a, b| (double(a) < double(b))
                | (double(a) > double(b)))
        }
        ("lt", F64) => bits!(Compare64, Longs, |a, b| double(a) < double(b)),
        ("le", F64) => bits!(Compare64, Longs, |a, b| double(a) <= double(b)),
        ("gt", F64) => bits!(Compare64, Longs, |a, b| double(a) > double(b)),
        ("ge", F64) => bits!(Compare64, Longs, |a, b| double(a) >= double(b)),
        ("equ", F64) => {
            bits!(Compare64, Longs, |a, b| !((double(a) < double(b))
                | (double(a) > double(b))))
        }
        ("neu", F64) => bits!(Compare64, Longs, |a, b| double(a) != double(b)),
        ("ltu", F64) => bits!(Compare64, Longs, |a, b| !(double(a) >= double(b))),
        ("leu", F64) => bits!(Compare64, Longs, |a, b| !(double(a) > double(b))),
        ("gtu", F64) => bits!(Compare64, Longs, |a, b| !(double(a) <= double(b))),
        ("geu", F64) => bits!(Compare64, Longs, |a, b| !(double(a) < double(b))),
        ("num", F64) => bits!(Compare64, Longs, |a, b| !double(a).is_nan()
            & !double(b).is_nan()),
        ("nan", F64) => bits!(Compare64, Longs, |a, b| double(a).is_nan()
            | double(b).is_nan()),
        _ => return None,
    })
}

#[inline(always)]
fn single(bits: u32) -> f32 {
    f32::from_bits(bits)
}

#[inline(always)]
fn flushed(bits: u32) -> f32 {
    f32::from_bits(flush(bits))
}

#[inline(always)]
fn double(bits: u64) -> f64 {
    f64::from_bits(bits)
}
