//! Floating point as PTX has it where the host differs: flushing, min/max, directed rounding.
//!
//! Directed rounding goes by the sign of the rounding error: compute to nearest, find the exact
//! error with an error-free transformation, and step to the neighbour on the wanted side. Source
//! for the transformations: Boldo and Muller, "Exact and Approximated Error of the FMA".

/// A rounding of PTX.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rounding {
    Nearest,
    Zero,
    Down,
    Up,
}

impl Rounding {
    /// The rounding of an arithmetic instruction, by its modifier.
    pub(super) fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "rn" | "rna" => Self::Nearest,
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

/// `value + error` (exact) as a double rounded by `rounding`; `value` is that sum to nearest.
fn directed(value: f64, error: f64, rounding: Rounding) -> f64 {
    if rounding == Rounding::Nearest || value.is_nan() || error == 0.0 || !error.is_finite() {
        return value;
    }
    let up = match rounding {
        Rounding::Up => true,
        Rounding::Down => false,
        // Towards zero is down for what is positive.
        _ => value < 0.0 || (value == 0.0 && error < 0.0),
    };
    match (up, error > 0.0) {
        (true, true) => value.next_up(),
        (false, false) => value.next_down(),
        _ => value,
    }
}

/// What an overflow to infinity becomes: a directed rounding away from it stays finite.
fn overflowed(value: f64, exact_is_finite: bool, rounding: Rounding) -> f64 {
    if !(value.is_infinite() && exact_is_finite) {
        return value;
    }
    match (rounding, value > 0.0) {
        (Rounding::Zero | Rounding::Down, true) => f64::MAX,
        (Rounding::Zero | Rounding::Up, false) => f64::MIN,
        _ => value,
    }
}

fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let virtual_b = sum - a;
    (sum, (a - (sum - virtual_b)) + (b - virtual_b))
}

/// `a + b`.
pub(super) fn add(a: f64, b: f64, rounding: Rounding) -> f64 {
    let (sum, error) = two_sum(a, b);
    if sum == 0.0 && error == 0.0 {
        // An exact zero from operands of opposite sign is -0 when rounding down.
        let cancels = a == -b && a != 0.0 || (a.is_sign_negative() != b.is_sign_negative());
        return if rounding == Rounding::Down && cancels {
            -0.0
        } else {
            sum
        };
    }
    let sum = overflowed(sum, a.is_finite() && b.is_finite(), rounding);
    directed(sum, error, rounding)
}

/// `a * b`.
pub(super) fn multiply(a: f64, b: f64, rounding: Rounding) -> f64 {
    let product = a * b;
    let error = a.mul_add(b, -product);
    let product = overflowed(product, a.is_finite() && b.is_finite(), rounding);
    directed(product, error, rounding)
}

/// `a * b + c`.
pub(super) fn multiply_add(a: f64, b: f64, c: f64, rounding: Rounding) -> f64 {
    let result = a.mul_add(b, c);
    if rounding == Rounding::Nearest {
        return result;
    }
    if !result.is_finite() {
        let finite = a.is_finite() && b.is_finite() && c.is_finite();
        return overflowed(result, finite, rounding);
    }
    let product = a * b;
    let product_error = a.mul_add(b, -product);
    let (low, low_error) = two_sum(c, product_error);
    let (high, high_error) = two_sum(product, low);
    let gamma = (high - result) + high_error;
    let (error, rest) = two_sum(gamma, low_error);
    if result == 0.0 && error == 0.0 && rest == 0.0 {
        let cancels = (a * b).is_sign_negative() != c.is_sign_negative();
        return if rounding == Rounding::Down && cancels {
            -0.0
        } else {
            result
        };
    }
    directed(result, if error == 0.0 { rest } else { error }, rounding)
}

/// `a / b`.
pub(super) fn divide(a: f64, b: f64, rounding: Rounding) -> f64 {
    let quotient = a / b;
    let finite = a.is_finite() && b.is_finite() && b != 0.0;
    let residue = (-quotient).mul_add(b, a);
    let error = if b < 0.0 { -residue } else { residue };
    directed(overflowed(quotient, finite, rounding), error, rounding)
}

/// The square root of `a`.
pub(super) fn square_root(a: f64, rounding: Rounding) -> f64 {
    let root = a.sqrt();
    directed(root, (-root).mul_add(root, a), rounding)
}

/// `value + error` as a single rounded by `rounding`.
pub(super) fn to_single(value: f64, error: f64, rounding: Rounding) -> f32 {
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
    fn directed_results_bracket_the_exact_one() {
        let cases = [
            (1.0f64, 3.0f64),
            (2.0, 7.0),
            (-5.0, 11.0),
            (1e300, 1e-10),
            (0.1, 0.2),
        ];
        for (a, b) in cases {
            for (down, up) in [
                (add(a, b, Rounding::Down), add(a, b, Rounding::Up)),
                (multiply(a, b, Rounding::Down), multiply(a, b, Rounding::Up)),
                (divide(a, b, Rounding::Down), divide(a, b, Rounding::Up)),
                (
                    multiply_add(a, b, 0.3, Rounding::Down),
                    multiply_add(a, b, 0.3, Rounding::Up),
                ),
            ] {
                assert!(up == down || up == down.next_up(), "{a} {b}: {down} {up}");
            }
        }
        assert_eq!(divide(1.0, 3.0, Rounding::Up), (1.0f64 / 3.0).next_up());
        assert_eq!(square_root(2.0, Rounding::Zero), 2f64.sqrt().next_down());
    }

    #[test]
    fn a_directed_overflow_stays_finite_on_its_side() {
        assert_eq!(multiply(1e200, 1e200, Rounding::Zero), f64::MAX);
        assert_eq!(single('*', [1e30, 1e30, 0.0], Rounding::Down), f32::MAX);
        assert_eq!(single('*', [1e30, 1e30, 0.0], Rounding::Up), f32::INFINITY);
    }
}
