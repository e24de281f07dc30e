//! The frequent conversions; the others go lane by lane.

use super::{Longs, Map32x1, Narrow1, Widen1, Words, rows};
use crate::exec::float::{CANONICAL_NAN, computed, flush};
use crate::exec::half::{from_brain, from_half};
use crate::exec::scalar::float::saturated;
use crate::ptx::ScalarType::{self, Bf16, F16, F32, F64, S32, S64, U32, U64};

/// Word to word; `rounding` is `rn`, `rzi`, ... or empty.
pub(in crate::exec) fn word(to: ScalarType, from: ScalarType, rounding: &str) -> Option<Map32x1> {
    Some(match (to, from, rounding) {
        (S32 | U32, S32 | U32, "") => rows!(Map32x1, Words, |a: Words| a),
        (F32, S32, "rn") => rows!(Map32x1, Words, |a: Words| (a as i32 as f32).to_bits()),
        (F32, U32, "rn") => rows!(Map32x1, Words, |a: Words| (a as f32).to_bits()),
        (S32, F32, "rzi") => rows!(Map32x1, Words, |a: Words| f32::from_bits(a) as i32 as u32),
        (U32, F32, "rzi") => rows!(Map32x1, Words, |a: Words| f32::from_bits(a) as u32),
        (F32, F16, "") => rows!(Map32x1, Words, |a: Words| computed(from_half(a as u16))),
        (F32, Bf16, "") => rows!(Map32x1, Words, |a: Words| computed(from_brain(a as u16))),
        (F16, F32, "rn") => rows!(Map32x1, Words, |a: Words| to_half(a)),
        (Bf16, F32, "rn") => rows!(Map32x1, Words, |a: Words| to_brain(a)),
        _ => return None,
    })
}

/// Word to long.
pub(in crate::exec) fn widen(to: ScalarType, from: ScalarType, rounding: &str) -> Option<Widen1> {
    Some(match (to, from, rounding) {
        (U64 | S64, U32, "") => rows!(Widen1, Longs, |a: Words| u64::from(a)),
        (U64 | S64, S32, "") => rows!(Widen1, Longs, |a: Words| i64::from(a as i32) as u64),
        (F64, F32, "") => {
            rows!(Widen1, Longs, |a: Words| f64::from(f32::from_bits(a))
                .to_bits())
        }
        (F64, S32, "rn") => rows!(Widen1, Longs, |a: Words| f64::from(a as i32).to_bits()),
        (F64, U32, "rn") => rows!(Widen1, Longs, |a: Words| f64::from(a).to_bits()),
        _ => return None,
    })
}

/// Long to word.
pub(in crate::exec) fn narrow(to: ScalarType, from: ScalarType, rounding: &str) -> Option<Narrow1> {
    Some(match (to, from, rounding) {
        (U32 | S32, U64 | S64, "") => rows!(Narrow1, Words, |a: Longs| a as u32),
        (F32, F64, "rn") => {
            rows!(
                Narrow1,
                Words,
                |a: Longs| computed(f64::from_bits(a) as f32)
            )
        }
        _ => return None,
    })
}

/// `cvt.sat.f32.f32`; `flushed` is `.ftz`.
pub(in crate::exec) fn saturate(flushed: bool) -> Map32x1 {
    if flushed {
        rows!(Map32x1, Words, |a: Words| {
            flush(saturated(f32::from_bits(a)).to_bits())
        })
    } else {
        rows!(Map32x1, Words, |a: Words| saturated(f32::from_bits(a))
            .to_bits())
    }
}

/// The f16 nearest to a single.
#[inline(always)]
fn to_half(bits: u32) -> u32 {
    const INFINITY: u32 = 0x7f80_0000;
    // 2^-14 and 2^16: the smallest normal number, and what is too large however it rounds.
    const NORMAL: u32 = 0x3880_0000;
    const LARGE: u32 = 0x4780_0000;
    let (sign, size) = (bits >> 16 & 0x8000, bits & 0x7fff_ffff);
    if size > INFINITY {
        return CANONICAL_NAN >> 16;
    }
    // The last place of a sum with 0.5 is that of a subnormal half: the host rounds.
    let subnormal = (f32::from_bits(size) + 0.5).to_bits() & 0xffff;
    // Bias 127 becomes 15; a carry out of the fraction is right as it comes, to infinity too.
    let odd = size >> 13 & 1;
    let normal = size.wrapping_sub(112 << 23).wrapping_add(0xfff + odd) >> 13;
    let rounded = if size < NORMAL {
        subnormal
    } else if size >= LARGE {
        0x7c00
    } else {
        normal
    };
    sign | rounded
}

/// The bf16 nearest to a single.
#[inline(always)]
fn to_brain(bits: u32) -> u32 {
    if bits & 0x7fff_ffff > 0x7f80_0000 {
        CANONICAL_NAN >> 16
    } else {
        (bits + 0x7fff + (bits >> 16 & 1)) >> 16
    }
}
