//! Floating point as PTX has it where the host differs: flushing, min/max, directed rounding.
//!
//! Directed rounding of singles goes by the sign of the rounding error: doubles hold the result and
//! its exact error, and a step to the neighbour on the wanted side does the rest. Doubles
//! themselves are rounded by [`soft`](super::soft).

/// A rounding of PTX.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rounding {
    Nearest,
    Zero,
    Down,
    Up,
    /// To nearest, halfway cases away from zero.
    NearestAway,
}

impl Rounding {
    /// The rounding of an arithmetic instruction, by its modifier.
    pub(super) fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "rn" => Self::Nearest,
            "rna" => Self::NearestAway,
            "rz" => Self::Zero,
            "rm" => Self::Down,
            "rp" => Self::Up,
            _ => return None,
        })
    }
}

/// A subnormal becomes a zero of its sign.
#[inline(always)]
pub(super) fn flush(bits: u32) -> u32 {
    if bits & 0x7f80_0000 == 0 {
        bits & 0x8000_0000
    } else {
        bits
    }
}

/// The smaller one; the number if the other is NaN; -0 below +0.
#[inline(always)]
pub(super) fn minimum(a: u32, b: u32) -> u32 {
    let (x, y) = (f32::from_bits(a), f32::from_bits(b));
    if x.is_nan() {
        if y.is_nan() { CANONICAL_NAN } else { b }
    } else if y.is_nan() || x < y {
        a
    } else if x == y {
        a | b
    } else {
        b
    }
}

/// The larger one; the number if the other is NaN; +0 above -0.
#[inline(always)]
pub(super) fn maximum(a: u32, b: u32) -> u32 {
    let (x, y) = (f32::from_bits(a), f32::from_bits(b));
    if x.is_nan() {
        if y.is_nan() { CANONICAL_NAN } else { b }
    } else if y.is_nan() || x > y {
        a
    } else if x == y {
        a & b
    } else {
        b
    }
}

/// [`minimum`] of doubles.
#[inline(always)]
pub(super) fn minimum_double(a: u64, b: u64) -> u64 {
    let (x, y) = (f64::from_bits(a), f64::from_bits(b));
    if x.is_nan() {
        if y.is_nan() { CANONICAL_NAN_DOUBLE } else { b }
    } else if y.is_nan() || x < y {
        a
    } else if x == y {
        a | b
    } else {
        b
    }
}

/// [`maximum`] of doubles.
#[inline(always)]
pub(super) fn maximum_double(a: u64, b: u64) -> u64 {
    let (x, y) = (f64::from_bits(a), f64::from_bits(b));
    if x.is_nan() {
        if y.is_nan() { CANONICAL_NAN_DOUBLE } else { b }
    } else if y.is_nan() || x > y {
        a
    } else if x == y {
        a & b
    } else {
        b
    }
}

fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let virtual_b = sum - a;
    (sum, (a - (sum - virtual_b)) + (b - virtual_b))
}

/// `value + error` as a single rounded by `rounding`.
fn to_single(value: f64, error: f64, rounding: Rounding) -> f32 {
    let nearest = value as f32;
    if rounding == Rounding::Nearest || value.is_nan() || value.is_infinite() {
        return nearest;
    }
    if nearest.is_infinite() {
        return match (rounding, nearest > 0.0) {
            (Rounding::Zero | Rounding::Down, true) => f32::MAX,
            (Rounding::Zero | Rounding::Up, false) => f32::MIN,
            _ => nearest,
        };
    }
    let off = value - f64::from(nearest);
    let off = if off == 0.0 { error } else { off };
    let up = match rounding {
        Rounding::Up => true,
        Rounding::Down => false,
        _ => nearest < 0.0 || (nearest == 0.0 && off < 0.0),
    };
    match (up, off > 0.0, off < 0.0) {
        (true, true, _) => nearest.next_up(),
        (false, _, true) => nearest.next_down(),
        _ => nearest,
    }
}

/// `a op b (op c)` of singles with a directed rounding, by way of doubles and their exact error.
pub(super) fn single(operation: char, [a, b, c]: [f32; 3], rounding: Rounding) -> f32 {
    let (a, b, c) = (f64::from(a), f64::from(b), f64::from(c));
    let (value, error) = match operation {
        '+' => two_sum(a, b),
        // Exact: 24 bits by 24 bits.
        '*' => (a * b, 0.0),
        'f' => two_sum(a * b, c),
        '/' => {
            let quotient = a / b;
            let residue = (-quotient).mul_add(b, a);
            (quotient, if b < 0.0 { -residue } else { residue })
        }
        _ => {
            let root = a.sqrt();
            (root, (-root).mul_add(root, a))
        }
    };
    let zero_sum = value == 0.0 && error == 0.0 && matches!(operation, '+' | 'f');
    if zero_sum && rounding == Rounding::Down {
        let (x, y) = if operation == '+' { (a, b) } else { (a * b, c) };
        if x.is_sign_negative() || y.is_sign_negative() {
            return -0.0;
        }
    }
    to_single(value, error, rounding)
}

/// What hardware gives for an operation without a numeric result.
pub(super) const CANONICAL_NAN: u32 = 0x7fff_ffff;

/// The bits of a single that was computed: every NaN is the canonical one.
#[inline(always)]
pub(super) fn computed(value: f32) -> u32 {
    if value.is_nan() {
        CANONICAL_NAN
    } else {
        value.to_bits()
    }
}

const CANONICAL_NAN_DOUBLE: u64 = 0x7fff_ffff_ffff_ffff;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minimum_and_maximum_prefer_numbers_and_order_zeros() {
        let nan = f32::NAN.to_bits();
        let one = 1.0f32.to_bits();
        assert_eq!(minimum(nan, one), one);
        assert_eq!(maximum(one, nan), one);
        assert_eq!(minimum(nan, nan), CANONICAL_NAN);
        assert_eq!(minimum(0, 1 << 31), 1 << 31);
        assert_eq!(maximum(1 << 31, 0), 0);
    }

    #[test]
    fn directed_sums_step_to_the_right_neighbour() {
        let tiny = 1e-30f32;
        assert_eq!(
            single('+', [1.0, tiny, 0.0], Rounding::Up),
            1.0f32.next_up()
        );
        assert_eq!(single('+', [1.0, tiny, 0.0], Rounding::Down), 1.0);
        assert_eq!(
            single('+', [1.0, -tiny, 0.0], Rounding::Zero),
            1.0f32.next_down()
        );
        assert_eq!(
            single('+', [-1.0, tiny, 0.0], Rounding::Zero),
            (-1.0f32).next_up()
        );
        assert_eq!(
            single('+', [1.0, -1.0, 0.0], Rounding::Down).to_bits(),
            1 << 31
        );
    }

    #[test]
    fn a_directed_overflow_stays_finite_on_its_side() {
        assert_eq!(single('*', [1e30, 1e30, 0.0], Rounding::Down), f32::MAX);
        assert_eq!(single('*', [1e30, 1e30, 0.0], Rounding::Up), f32::INFINITY);
    }
}
