//! Singles, rounded to nearest; other roundings and the rare functions go lane by lane.

use super::{Map32x1, Map32x2, Map32x3, Words, rows};
use crate::exec::float::{computed, flush, maximum, minimum};

/// One source; `flushed` is `.ftz`.
pub(in crate::exec) fn unary(opcode: &str, flushed: bool) -> Option<Map32x1> {
    Some(match (opcode, flushed) {
        ("neg", false) => rows!(Map32x1, Words, |a: Words| a ^ (1 << 31)),
        ("neg", true) => rows!(Map32x1, Words, |a: Words| flush(a) ^ (1 << 31)),
        ("abs", false) => rows!(Map32x1, Words, |a: Words| a & !(1 << 31)),
        ("abs", true) => rows!(Map32x1, Words, |a: Words| flush(a) & !(1 << 31)),
        ("sqrt", false) => rows!(Map32x1, Words, |a: Words| computed(single(a).sqrt())),
        ("sqrt", true) => rows!(Map32x1, Words, |a: Words| computed(single(flush(a)).sqrt())),
        ("rcp", false) => rows!(Map32x1, Words, |a: Words| computed(1.0 / single(a))),
        ("rcp", true) => {
            rows!(Map32x1, Words, |a: Words| flush(computed(
                1.0 / single(flush(a))
            )))
        }
        // Doubles are exact enough that the second rounding hardly ever shows.
        ("rsqrt", false) => rows!(Map32x1, Words, |a: Words| inverse_root(a)),
        ("rsqrt", true) => rows!(Map32x1, Words, |a: Words| inverse_root(flush(a))),
        _ => return None,
    })
}

#[inline(always)]
fn inverse_root(bits: u32) -> u32 {
    computed((1.0 / f64::from(single(bits)).sqrt()) as f32)
}

/// Two sources; `flushed` is `.ftz`.
pub(in crate::exec) fn binary(opcode: &str, flushed: bool) -> Option<Map32x2> {
    Some(match (opcode, flushed) {
        ("add", false) => {
            rows!(Map32x2, Words, |a: Words, b: Words| computed(
                single(a) + single(b)
            ))
        }
        ("add", true) => rows!(Map32x2, Words, |a: Words, b: Words| flush(computed(
            single(flush(a)) + single(flush(b))
        ))),
        ("sub", false) => {
            rows!(Map32x2, Words, |a: Words, b: Words| computed(
                single(a) - single(b)
            ))
        }
        ("sub", true) => rows!(Map32x2, Words, |a: Words, b: Words| flush(computed(
            single(flush(a)) - single(flush(b))
        ))),
        ("mul", false) => {
            rows!(Map32x2, Words, |a: Words, b: Words| computed(
                single(a) * single(b)
            ))
        }
        ("mul", true) => rows!(Map32x2, Words, |a: Words, b: Words| flush(computed(
            single(flush(a)) * single(flush(b))
        ))),
        ("div", false) => {
            rows!(Map32x2, Words, |a: Words, b: Words| computed(
                single(a) / single(b)
            ))
        }
        ("div", true) => rows!(Map32x2, Words, |a: Words, b: Words| flush(computed(
            single(flush(a)) / single(flush(b))
        ))),
        ("min", false) => rows!(Map32x2, Words, |a: Words, b: Words| minimum(a, b)),
        ("min", true) => rows!(Map32x2, Words, |a: Words, b: Words| minimum(
            flush(a),
            flush(b)
        )),
        ("max", false) => rows!(Map32x2, Words, |a: Words, b: Words| maximum(a, b)),
        ("max", true) => rows!(Map32x2, Words, |a: Words, b: Words| maximum(
            flush(a),
            flush(b)
        )),
        _ => return None,
    })
}

/// `fma.rn.f32`.
pub(in crate::exec) fn multiply_add(flushed: bool) -> Map32x3 {
    if flushed {
        rows!(Map32x3, Words, |a: Words, b: Words, c: Words| {
            let (a, b, c) = (single(flush(a)), single(flush(b)), single(flush(c)));
            flush(computed(a.mul_add(b, c)))
        })
    } else {
        rows!(Map32x3, Words, |a: Words, b: Words, c: Words| {
            computed(single(a).mul_add(single(b), single(c)))
        })
    }
}

#[inline(always)]
fn single(bits: u32) -> f32 {
    f32::from_bits(bits)
}
