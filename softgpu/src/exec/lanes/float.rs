//! Singles, rounded to nearest; other roundings and the rare functions go lane by lane.

use super::{Map32x1, Map32x2, Map32x3, Words, rows};
use crate::exec::float::{flush, maximum, minimum};

/// One source; `flushed` is `.ftz`.
pub(in crate::exec) fn unary(opcode: &str, flushed: bool) -> Option<Map32x1> {
    Some(match (opcode, flushed) {
        ("neg", false) => rows!(Map32x1, Words, |a: Words| a ^ (1 << 31)),
        ("neg", true) => rows!(Map32x1, Words, |a: Words| flush(a) ^ (1 << 31)),
        ("abs", false) => rows!(Map32x1, Words, |a: Words| a & !(1 << 31)),
        ("abs", true) => rows!(Map32x1, Words, |a: Words| flush(a) & !(1 << 31)),
        ("sqrt", false) => rows!(Map32x1, Words, |a: Words| single(a).sqrt().to_bits()),
        ("sqrt", true) => rows!(Map32x1, Words, |a: Words| single(flush(a)).sqrt().to_bits()),
        ("rcp", false) => rows!(Map32x1, Words, |a: Words| (1.0 / single(a)).to_bits()),
        ("rcp", true) => {
            rows!(Map32x1, Words, |a: Words| flush(
                (1.0 / single(flush(a))).to_bits()
            ))
        }
        _ => return None,
    })
}

/// Two sources; `flushed` is `.ftz`.
pub(in crate::exec) fn binary(opcode: &str, flushed: bool) -> Option<Map32x2> {
    Some(match (opcode, flushed) {
        ("add", false) => {
            rows!(Map32x2, Words, |a: Words, b: Words| (single(a) + single(b))
                .to_bits())
        }
        ("add", true) => rows!(Map32x2, Words, |a: Words, b: Words| flush(
            (single(flush(a)) + single(flush(b))).to_bits()
        )),
        ("sub", false) => {
            rows!(Map32x2, Words, |a: Words, b: Words| (single(a) - single(b))
                .to_bits())
        }
        ("sub", true) => rows!(Map32x2, Words, |a: Words, b: Words| flush(
            (single(flush(a)) - single(flush(b))).to_bits()
        )),
        ("mul", false) => {
            rows!(Map32x2, Words, |a: Words, b: Words| (single(a) * single(b))
                .to_bits())
        }
        ("mul", true) => rows!(Map32x2, Words, |a: Words, b: Words| flush(
            (single(flush(a)) * single(flush(b))).to_bits()
        )),
        ("div", false) => {
            rows!(Map32x2, Words, |a: Words, b: Words| (single(a) / single(b))
                .to_bits())
        }
        ("div", true) => rows!(Map32x2, Words, |a: Words, b: Words| flush(
            (single(flush(a)) / single(flush(b))).to_bits()
        )),
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
            flush(a.mul_add(b, c).to_bits())
        })
    } else {
        rows!(Map32x3, Words, |a: Words, b: Words, c: Words| {
            single(a).mul_add(single(b), single(c)).to_bits()
        })
    }
}

#[inline(always)]
fn single(bits: u32) -> f32 {
    f32::from_bits(bits)
}
