//! The frequent conversions; the others go lane by lane.

use super::{Longs, Map32x1, Narrow1, Widen1, Words, rows};
use crate::ptx::ScalarType::{self, F32, F64, S32, S64, U32, U64};

/// Word to word; `rounding` is `rn`, `rzi`, ... or empty.
pub(in crate::exec) fn word(to: ScalarType, from: ScalarType, rounding: &str) -> Option<Map32x1> {
    Some(match (to, from, rounding) {
        (S32 | U32, S32 | U32, "") => rows!(Map32x1, Words, |a: Words| a),
        (F32, S32, "rn") => rows!(Map32x1, Words, |a: Words| (a as i32 as f32).to_bits()),
        (F32, U32, "rn") => rows!(Map32x1, Words, |a: Words| (a as f32).to_bits()),
        (S32, F32, "rzi") => rows!(Map32x1, Words, |a: Words| f32::from_bits(a) as i32 as u32),
        (U32, F32, "rzi") => rows!(Map32x1, Words, |a: Words| f32::from_bits(a) as u32),
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
            rows!(Narrow1, Words, |a: Longs| (f64::from_bits(a) as f32)
                .to_bits())
        }
        _ => return None,
    })
}
