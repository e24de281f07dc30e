//! Integers and bits of 32 bits.

use super::{Longs, Map32x1, Map32x2, Map32x3, Widen2, Widen3, Words, rows};
use crate::ptx::ScalarType::{self, B32, S32, U32};

/// One source.
pub(in crate::exec) fn unary(opcode: &str, element: ScalarType) -> Option<Map32x1> {
    Some(match (opcode, element) {
        ("not", B32) => rows!(Map32x1, Words, |a: Words| !a),
        ("neg", S32) => rows!(Map32x1, Words, |a: Words| a.wrapping_neg()),
        ("abs", S32) => rows!(Map32x1, Words, |a: Words| a.cast_signed().wrapping_abs()
            as u32),
        ("popc", B32) => rows!(Map32x1, Words, |a: Words| a.count_ones()),
        ("clz", B32) => rows!(Map32x1, Words, |a: Words| a.leading_zeros()),
        ("brev", B32) => rows!(Map32x1, Words, |a: Words| a.reverse_bits()),
        _ => return None,
    })
}

/// Two sources. `mul` is named with its half, as `mul.lo`.
pub(in crate::exec) fn binary(opcode: &str, element: ScalarType) -> Option<Map32x2> {
    Some(match (opcode, element) {
        ("add", U32 | S32) => rows!(Map32x2, Words, |a: Words, b: Words| a.wrapping_add(b)),
        ("sub", U32 | S32) => rows!(Map32x2, Words, |a: Words, b: Words| a.wrapping_sub(b)),
        ("mul.lo", U32 | S32) => rows!(Map32x2, Words, |a: Words, b: Words| a.wrapping_mul(b)),
        ("mul.hi", U32) => rows!(Map32x2, Words, |a: Words, b: Words| high(a, b)),
        ("mul.hi", S32) => rows!(Map32x2, Words, |a: Words, b: Words| high_signed(a, b)),
        ("div", U32) => {
            rows!(Map32x2, Words, |a: Words, b: Words| a
                .checked_div(b)
                .unwrap_or(u32::MAX))
        }
        ("div", S32) => rows!(Map32x2, Words, |a: Words, b: Words| divide(a, b)),
        ("rem", U32) => rows!(Map32x2, Words, |a: Words, b: Words| a
            .checked_rem(b)
            .unwrap_or(a)),
        ("rem", S32) => rows!(Map32x2, Words, |a: Words, b: Words| remainder(a, b)),
        ("min", U32) => rows!(Map32x2, Words, |a: Words, b: Words| a.min(b)),
        ("max", U32) => rows!(Map32x2, Words, |a: Words, b: Words| a.max(b)),
        ("min", S32) => {
            rows!(
                Map32x2,
                Words,
                |a: Words, b: Words| (a as i32).min(b as i32) as u32
            )
        }
        ("max", S32) => {
            rows!(
                Map32x2,
                Words,
                |a: Words, b: Words| (a as i32).max(b as i32) as u32
            )
        }
        ("and", B32) => rows!(Map32x2, Words, |a: Words, b: Words| a & b),
        ("or", B32) => rows!(Map32x2, Words, |a: Words, b: Words| a | b),
        ("xor", B32) => rows!(Map32x2, Words, |a: Words, b: Words| a ^ b),
        // A count of the width or more shifts everything out: PTX clamps where the host masks.
        ("shl", B32) => {
            rows!(Map32x2, Words, |a: Words, b: Words| if b > 31 {
                0
            } else {
                a << (b & 31)
            })
        }
        ("shr", U32 | B32) => {
            rows!(Map32x2, Words, |a: Words, b: Words| if b > 31 {
                0
            } else {
                a >> (b & 31)
            })
        }
        ("shr", S32) => {
            rows!(
                Map32x2,
                Words,
                |a: Words, b: Words| ((a as i32) >> b.min(31)) as u32
            )
        }
        _ => return None,
    })
}

/// Three sources.
pub(in crate::exec) fn ternary(opcode: &str, element: ScalarType) -> Option<Map32x3> {
    Some(match (opcode, element) {
        ("mad.lo", U32 | S32) => {
            rows!(Map32x3, Words, |a: Words, b: Words, c: Words| a
                .wrapping_mul(b)
                .wrapping_add(c))
        }
        ("mad.hi", U32) => {
            rows!(Map32x3, Words, |a: Words, b: Words, c: Words| high(a, b)
                .wrapping_add(c))
        }
        ("mad.hi", S32) => {
            rows!(Map32x3, Words, |a: Words, b: Words, c: Words| high_signed(
                a, b
            )
            .wrapping_add(c))
        }
        ("shf.l.wrap", B32) => {
            rows!(Map32x3, Words, |a: Words, b: Words, c: Words| funnel(
                a,
                b,
                32 - (c & 31)
            ))
        }
        ("shf.r.wrap", B32) => {
            rows!(Map32x3, Words, |a: Words, b: Words, c: Words| funnel(
                a,
                b,
                c & 31
            ))
        }
        ("shf.l.clamp", B32) => {
            rows!(Map32x3, Words, |a: Words, b: Words, c: Words| funnel(
                a,
                b,
                32 - c.min(32)
            ))
        }
        ("shf.r.clamp", B32) => {
            rows!(Map32x3, Words, |a: Words, b: Words, c: Words| funnel(
                a,
                b,
                c.min(32)
            ))
        }
        _ => return None,
    })
}

/// `mul.wide` of 32 bits.
pub(in crate::exec) fn wide(element: ScalarType) -> Option<Widen2> {
    Some(match element {
        U32 => rows!(Widen2, Longs, |a: Words, b: Words| u64::from(a)
            * u64::from(b)),
        S32 => rows!(Widen2, Longs, |a: Words, b: Words| product(a, b) as u64),
        _ => return None,
    })
}

/// `mad.wide` of 32 bits.
pub(in crate::exec) fn wide_add(element: ScalarType) -> Option<Widen3> {
    Some(match element {
        U32 => rows!(Widen3, Longs, |a: Words, b: Words, c: Longs| {
            (u64::from(a) * u64::from(b)).wrapping_add(c)
        }),
        S32 => rows!(Widen3, Longs, |a: Words, b: Words, c: Longs| {
            (product(a, b) as u64).wrapping_add(c)
        }),
        _ => return None,
    })
}

#[inline(always)]
fn product(a: u32, b: u32) -> i64 {
    i64::from(a as i32) * i64::from(b as i32)
}

#[inline(always)]
fn high(a: u32, b: u32) -> u32 {
    ((u64::from(a) * u64::from(b)) >> 32) as u32
}

#[inline(always)]
fn high_signed(a: u32, b: u32) -> u32 {
    (product(a, b) >> 32) as u32
}

/// The manual leaves division by zero open; all ones is what hardware gives for unsigned.
#[inline(always)]
fn divide(a: u32, b: u32) -> u32 {
    if b == 0 {
        u32::MAX
    } else {
        (a as i32).wrapping_div(b as i32) as u32
    }
}

#[inline(always)]
fn remainder(a: u32, b: u32) -> u32 {
    if b == 0 {
        a
    } else {
        (a as i32).wrapping_rem(b as i32) as u32
    }
}

/// Word of `high:low` that begins at bit `shift`, which is 32 at most.
#[inline(always)]
fn funnel(low: u32, high: u32, shift: u32) -> u32 {
    ((u64::from(high) << 32 | u64::from(low)) >> shift) as u32
}
