//! What atomics compute: the new value from the old one and the operands.

use super::code::AtomicFunction;
use super::float::{maximum, maximum_double, minimum, minimum_double};
use super::half;
use crate::ptx::ScalarType;

/// The function of the operation `word` on `element`; `None` if `word` is no operation.
pub(super) fn function(word: &str, element: ScalarType) -> Option<AtomicFunction> {
    use ScalarType as T;
    Some(match (word, element) {
        ("add", T::F32) => |old, a, _| single(old, a, |x, y| x + y),
        ("add", T::F64) => |old, a, _| (f64::from_bits(old) + f64::from_bits(a)).to_bits(),
        ("add", T::F16) => |old, a, _| of_halves("add", old, a, 0),
        ("add", T::Bf16) => |old, a, _| of_halves("add", old, a, 1),
        ("add", T::F16x2) => |old, a, _| of_halves("add", old, a, 2),
        ("add", T::Bf16x2) => |old, a, _| of_halves("add", old, a, 3),
        ("min", T::F16) => |old, a, _| of_halves("min", old, a, 0),
        ("min", T::Bf16) => |old, a, _| of_halves("min", old, a, 1),
        ("min", T::F16x2) => |old, a, _| of_halves("min", old, a, 2),
        ("min", T::Bf16x2) => |old, a, _| of_halves("min", old, a, 3),
        ("max", T::F16) => |old, a, _| of_halves("max", old, a, 0),
        ("max", T::Bf16) => |old, a, _| of_halves("max", old, a, 1),
        ("max", T::F16x2) => |old, a, _| of_halves("max", old, a, 2),
        ("max", T::Bf16x2) => |old, a, _| of_halves("max", old, a, 3),
        ("min", T::F32) => |old, a, _| u64::from(minimum(old as u32, a as u32)),
        ("max", T::F32) => |old, a, _| u64::from(maximum(old as u32, a as u32)),
        ("min", T::F64) => |old, a, _| minimum_double(old, a),
        ("max", T::F64) => |old, a, _| maximum_double(old, a),
        ("add", _) => |old, a, _| old.wrapping_add(a),
        ("and", _) => |old, a, _| old & a,
        ("or", _) => |old, a, _| old | a,
        ("xor", _) => |old, a, _| old ^ a,
        ("exch", _) => |_, a, _| a,
        ("cas", T::B16) => |old, a, b| if old & 0xffff == a & 0xffff { b } else { old },
        ("cas", _) if element.size() == 4 => {
            |old, a, b| if old as u32 == a as u32 { b } else { old }
        }
        ("cas", _) => |old, a, b| if old == a { b } else { old },
        ("inc", _) => |old, a, _| if old as u32 >= a as u32 { 0 } else { old + 1 },
        ("dec", _) => |old, a, _| {
            if old as u32 == 0 || old as u32 > a as u32 {
                a
            } else {
                old - 1
            }
        },
        ("min", T::S32) => |old, a, _| (old as i32).min(a as i32) as u32 as u64,
        ("max", T::S32) => |old, a, _| (old as i32).max(a as i32) as u32 as u64,
        ("min", T::S64) => |old, a, _| (old as i64).min(a as i64) as u64,
        ("max", T::S64) => |old, a, _| (old as i64).max(a as i64) as u64,
        ("min", T::U32) => |old, a, _| u64::from((old as u32).min(a as u32)),
        ("max", T::U32) => |old, a, _| u64::from((old as u32).max(a as u32)),
        ("min", T::U64) => |old, a, _| old.min(a),
        ("max", T::U64) => |old, a, _| old.max(a),
        _ => return None,
    })
}

fn single(old: u64, a: u64, compute: fn(f32, f32) -> f32) -> u64 {
    u64::from(compute(f32::from_bits(old as u32), f32::from_bits(a as u32)).to_bits())
}

/// Mode: 1 for bf16, 2 for packed.
fn of_halves(name: &str, old: u64, a: u64, mode: u32) -> u64 {
    half::function(name).map_or(old, |function| function([old, a, 0, 0], mode)[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(word: &str, element: ScalarType, old: u64, a: u64, b: u64) -> u64 {
        function(word, element).unwrap()(old, a, b)
    }

    #[test]
    fn wrapping_counters_wrap_at_their_bound() {
        assert_eq!(run("inc", ScalarType::U32, 4, 5, 0), 5);
        assert_eq!(run("inc", ScalarType::U32, 5, 5, 0), 0);
        assert_eq!(run("dec", ScalarType::U32, 0, 5, 0), 5);
        assert_eq!(run("dec", ScalarType::U32, 9, 5, 0), 5);
        assert_eq!(run("dec", ScalarType::U32, 3, 5, 0), 2);
    }

    #[test]
    fn signs_and_exchanges() {
        let minus = u64::from(u32::MAX);
        assert_eq!(run("min", ScalarType::S32, minus, 3, 0), minus);
        assert_eq!(run("max", ScalarType::U32, minus, 3, 0), minus);
        assert_eq!(run("cas", ScalarType::B32, 7, 7, 9), 9);
        assert_eq!(run("cas", ScalarType::B32, 7, 8, 9), 7);
        assert!(function("cta", ScalarType::U32).is_none());
    }
}
