//! Floating point by integers: exact values rounded once, in any direction, to any format.
//!
//! For what the host's own arithmetic cannot say: directed roundings of doubles, halves of both
//! kinds, and the formats of 8 bits and fewer.

use super::float::Rounding;

/// A binary format, its sign above `exponent_bits + fraction_bits` bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Format {
    pub(super) fraction_bits: u32,
    pub(super) exponent_bits: u32,
    /// The largest finite number's bits.
    largest: u64,
    /// What an infinite value becomes, the largest number where the format has no infinity.
    infinity: u64,
    /// What NaN becomes.
    nan: u64,
}

impl Format {
    pub(super) const HALF: Self = Self::ieee(10, 5);
    pub(super) const BRAIN: Self = Self::ieee(7, 8);
    pub(super) const SINGLE: Self = Self::ieee(23, 8);
    pub(super) const DOUBLE: Self = Self::ieee(52, 11);
    /// tf32 without the 13 zero bits below it.
    pub(super) const TENSOR: Self = Self::ieee(10, 8);
    /// `e4m3`: no infinity, and NaN is one code only.
    pub(super) const E4M3: Self = Self::small(3, 4, 0x7e, 0x7f);
    /// `e5m2`, as `.satfinite` has it.
    pub(super) const E5M2: Self = Self::small(2, 5, 0x7b, 0x7f);
    /// Formats without NaN, which becomes the largest number.
    pub(super) const E2M3: Self = Self::small(3, 2, 0x1f, 0x1f);
    pub(super) const E3M2: Self = Self::small(2, 3, 0x1f, 0x1f);
    pub(super) const E2M1: Self = Self::small(1, 2, 7, 7);

    const fn ieee(fraction_bits: u32, exponent_bits: u32) -> Self {
        let infinity = ((1 << exponent_bits) - 1) << fraction_bits;
        Self {
            fraction_bits,
            exponent_bits,
            largest: infinity - 1,
            infinity,
            nan: infinity | ((1 << fraction_bits) - 1),
        }
    }

    const fn small(fraction_bits: u32, exponent_bits: u32, largest: u64, nan: u64) -> Self {
        Self {
            fraction_bits,
            exponent_bits,
            largest,
            infinity: largest,
            nan,
        }
    }

    /// The same format with the largest number in the place of infinity.
    pub(super) fn finite(self) -> Self {
        Self {
            infinity: self.largest,
            ..self
        }
    }

    pub(super) fn sign_bit(self) -> u64 {
        1 << (self.fraction_bits + self.exponent_bits)
    }

    /// Exponent of the smallest normal number.
    fn exponent_min(self) -> i32 {
        2 - (1 << (self.exponent_bits - 1))
    }

    /// A subnormal number becomes a zero of its sign.
    #[inline(always)]
    pub(super) fn flush(self, bits: u64) -> u64 {
        if bits >> self.fraction_bits & ((1 << self.exponent_bits) - 1) == 0 {
            bits & self.sign_bit()
        } else {
            bits
        }
    }
}

/// A value: exact, or with its lowest bit set to say that something smaller follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Number {
    Nan,
    /// Negative or not.
    Infinite(bool),
    /// Negative or not.
    Zero(bool),
    /// `significand * 2^exponent`; the significand is not 0.
    Finite {
        negative: bool,
        significand: u128,
        exponent: i32,
    },
}

impl Number {
    pub(super) const ONE: Self = Self::Finite {
        negative: false,
        significand: 1,
        exponent: 0,
    };

    /// The value of `bits`, those of a format with infinities and NaN.
    #[inline(always)]
    pub(super) fn read(bits: u64, format: Format) -> Self {
        let negative = bits & format.sign_bit() != 0;
        let fraction = bits & ((1 << format.fraction_bits) - 1);
        let field = bits >> format.fraction_bits & ((1 << format.exponent_bits) - 1);
        if format.infinity != format.largest && field == (1 << format.exponent_bits) - 1 {
            return if fraction == 0 {
                Self::Infinite(negative)
            } else {
                Self::Nan
            };
        }
        Self::finite(negative, fraction, field, format)
    }

    /// The value of `bits` in a format of 8 bits and fewer.
    pub(super) fn read_small(bits: u64, format: Format) -> Self {
        let size = bits & (format.sign_bit() - 1);
        // e5m2 is IEEE's; the others have one NaN at most.
        if format.exponent_bits == 5 {
            return Self::read(bits, Format::ieee(2, 5));
        }
        if format.nan != format.largest && size == format.nan {
            return Self::Nan;
        }
        let negative = bits & format.sign_bit() != 0;
        let fraction = bits & ((1 << format.fraction_bits) - 1);
        Self::finite(negative, fraction, size >> format.fraction_bits, format)
    }

    fn finite(negative: bool, fraction: u64, field: u64, format: Format) -> Self {
        if field == 0 && fraction == 0 {
            return Self::Zero(negative);
        }
        let hidden = u64::from(field != 0) << format.fraction_bits;
        let exponent = format.exponent_min() + (field.max(1) as i32 - 1);
        Self::Finite {
            negative,
            significand: u128::from(fraction | hidden),
            exponent: exponent - format.fraction_bits as i32,
        }
    }

    pub(super) fn from_integer(value: i128) -> Self {
        if value == 0 {
            return Self::Zero(false);
        }
        Self::Finite {
            negative: value < 0,
            significand: value.unsigned_abs(),
            exponent: 0,
        }
    }

    /// The bits of the value rounded to `format`; NaN is the canonical one.
    #[inline(always)]
    pub(super) fn write(self, format: Format, rounding: Rounding) -> u64 {
        let (negative, size) = match self {
            Self::Nan => return format.nan,
            Self::Infinite(negative) => (negative, format.infinity),
            Self::Zero(negative) => (negative, 0),
            Self::Finite {
                negative,
                significand,
                exponent,
            } => (
                negative,
                round(significand, exponent, negative, format, rounding),
            ),
        };
        size | if negative { format.sign_bit() } else { 0 }
    }

    /// The integer that the value rounds to, within 2^100 of 0; `None` for NaN.
    pub(super) fn to_integer(self, rounding: Rounding) -> Option<i128> {
        Some(match self {
            Self::Nan => return None,
            Self::Infinite(true) => -FAR,
            Self::Infinite(false) => FAR,
            Self::Zero(_) => 0,
            Self::Finite {
                negative,
                significand,
                exponent,
            } => {
                let length = 128 - significand.leading_zeros() as i32;
                let size = if length + exponent > 100 {
                    FAR
                } else {
                    shifted(significand, exponent, negative, rounding) as i128
                };
                if negative { -size } else { size }
            }
        })
    }

    /// The value rounded to an integer; a zero keeps the sign.
    pub(super) fn integral(self, rounding: Rounding) -> Self {
        let Self::Finite {
            negative,
            significand,
            exponent: exponent @ ..0,
        } = self
        else {
            return self;
        };
        match shifted(significand, exponent, negative, rounding) {
            0 => Self::Zero(negative),
            significand => Self::Finite {
                negative,
                significand,
                exponent: 0,
            },
        }
    }

    pub(super) fn negated(self) -> Self {
        match self {
            Self::Nan => Self::Nan,
            Self::Infinite(negative) => Self::Infinite(!negative),
            Self::Zero(negative) => Self::Zero(!negative),
            Self::Finite {
                negative,
                significand,
                exponent,
            } => Self::Finite {
                negative: !negative,
                significand,
                exponent,
            },
        }
    }

    pub(super) fn is_negative(self) -> bool {
        match self {
            Self::Nan => false,
            Self::Infinite(negative) | Self::Zero(negative) => negative,
            Self::Finite { negative, .. } => negative,
        }
    }

    /// `self + other`; the rounding decides the sign of a zero.
    pub(super) fn plus(self, other: Self, rounding: Rounding) -> Self {
        let zero = Self::Zero(rounding == Rounding::Down);
        match (self, other) {
            (Self::Nan, _) | (_, Self::Nan) => Self::Nan,
            (Self::Infinite(a), Self::Infinite(b)) if a != b => Self::Nan,
            (Self::Infinite(_), _) => self,
            (_, Self::Infinite(_)) => other,
            (Self::Zero(a), Self::Zero(b)) => {
                if a == b {
                    self
                } else {
                    zero
                }
            }
            (Self::Zero(_), _) => other,
            (_, Self::Zero(_)) => self,
            (
                Self::Finite {
                    negative: a_negative,
                    significand: a,
                    exponent: a_exponent,
                },
                Self::Finite {
                    negative: b_negative,
                    significand: b,
                    exponent: b_exponent,
                },
            ) => {
                let (a, a_exponent) = raised(a, a_exponent);
                let (b, b_exponent) = raised(b, b_exponent);
                let exponent = a_exponent.max(b_exponent);
                let a = lowered(a, exponent - a_exponent);
                let b = lowered(b, exponent - b_exponent);
                let (negative, significand) = if a_negative == b_negative {
                    (a_negative, a + b)
                } else if a >= b {
                    (a_negative, a - b)
                } else {
                    (b_negative, b - a)
                };
                if significand == 0 {
                    return zero;
                }
                Self::Finite {
                    negative,
                    significand,
                    exponent,
                }
            }
        }
    }

    /// `self * other`; both have 53 bits at most.
    pub(super) fn times(self, other: Self) -> Self {
        let negative = self.is_negative() != other.is_negative();
        match (self, other) {
            (Self::Nan, _) | (_, Self::Nan) => Self::Nan,
            (Self::Infinite(_), Self::Zero(_)) | (Self::Zero(_), Self::Infinite(_)) => Self::Nan,
            (Self::Infinite(_), _) | (_, Self::Infinite(_)) => Self::Infinite(negative),
            (Self::Zero(_), _) | (_, Self::Zero(_)) => Self::Zero(negative),
            (
                Self::Finite {
                    significand: a,
                    exponent: a_exponent,
                    ..
                },
                Self::Finite {
                    significand: b,
                    exponent: b_exponent,
                    ..
                },
            ) => Self::Finite {
                negative,
                significand: a * b,
                exponent: a_exponent + b_exponent,
            },
        }
    }

    /// `self / other`; both have 53 bits at most.
    pub(super) fn over(self, other: Self) -> Self {
        let negative = self.is_negative() != other.is_negative();
        match (self, other) {
            (Self::Nan, _) | (_, Self::Nan) => Self::Nan,
            (Self::Infinite(_), Self::Infinite(_)) | (Self::Zero(_), Self::Zero(_)) => Self::Nan,
            (Self::Infinite(_), _) | (_, Self::Zero(_)) => Self::Infinite(negative),
            (Self::Zero(_), _) | (_, Self::Infinite(_)) => Self::Zero(negative),
            (
                Self::Finite {
                    significand: a,
                    exponent: a_exponent,
                    ..
                },
                Self::Finite {
                    significand: b,
                    exponent: b_exponent,
                    ..
                },
            ) => {
                let (a, a_exponent) = raised(a, a_exponent);
                let rest = u128::from(a % b != 0);
                Self::Finite {
                    negative,
                    significand: (a / b) << 1 | rest,
                    exponent: a_exponent - b_exponent - 1,
                }
            }
        }
    }

    /// The square root.
    pub(super) fn root(self) -> Self {
        match self {
            Self::Infinite(false) | Self::Zero(_) => self,
            Self::Finite {
                negative: false,
                significand,
                exponent,
            } => {
                let (mut significand, mut exponent) = raised(significand, exponent);
                if exponent % 2 != 0 {
                    significand >>= 1;
                    exponent += 1;
                }
                let root = significand.isqrt();
                let rest = u128::from(root * root != significand);
                Self::Finite {
                    negative: false,
                    significand: root << 1 | rest,
                    exponent: exponent / 2 - 1,
                }
            }
            _ => Self::Nan,
        }
    }
}

/// The same value with the top bit of the significand at bit 125, where the lowest bit of a
/// significand of 106 bits is not lost by halving.
fn raised(significand: u128, exponent: i32) -> (u128, i32) {
    let shift = significand.leading_zeros() as i32 - 2;
    if shift < 0 {
        return (lowered(significand, -shift), exponent - shift);
    }
    (significand << shift, exponent - shift)
}

/// `significand / 2^count`, the lowest bit set if a bit was lost.
fn lowered(significand: u128, count: i32) -> u128 {
    if count > 127 {
        return u128::from(significand != 0);
    }
    let lost = significand & ((1 << count) - 1) != 0;
    significand >> count | u128::from(lost)
}

/// `significand * 2^exponent` rounded to an integer, the sign given apart.
#[inline(always)]
fn shifted(significand: u128, exponent: i32, negative: bool, rounding: Rounding) -> u128 {
    if exponent >= 0 {
        return significand << exponent;
    }
    let count = exponent.unsigned_abs();
    // Beyond the significand's bits all is rest, less than half a unit.
    let (units, rest, half) = if count > 127 {
        (0, significand.min(1), 2)
    } else {
        let rest = significand & ((1 << count) - 1);
        (significand >> count, rest, 1 << (count - 1))
    };
    let away = match rounding {
        Rounding::Nearest => rest > half || rest == half && units & 1 == 1,
        Rounding::NearestAway => rest >= half,
        Rounding::Zero => false,
        Rounding::Up => rest != 0 && !negative,
        Rounding::Down => rest != 0 && negative,
    };
    units + u128::from(away)
}

/// The bits, without sign, of `significand * 2^exponent` rounded to `format`.
#[inline(always)]
fn round(
    significand: u128,
    exponent: i32,
    negative: bool,
    format: Format,
    rounding: Rounding,
) -> u64 {
    let length = 128 - significand.leading_zeros() as i32;
    let low = format.exponent_min();
    let place = (exponent + length - 1).max(low);
    if place - low > 1 << format.exponent_bits {
        return overflowed(negative, format, rounding);
    }
    // Units of the last place; a carry into the next power of two is right as it comes.
    let last = place - format.fraction_bits as i32;
    let units = shifted(significand, exponent - last, negative, rounding) as u64;
    let bits = units + (((place - low) as u64) << format.fraction_bits);
    if bits > format.largest {
        return overflowed(negative, format, rounding);
    }
    bits
}

fn overflowed(negative: bool, format: Format, rounding: Rounding) -> u64 {
    match (rounding, negative) {
        (Rounding::Nearest | Rounding::NearestAway, _)
        | (Rounding::Up, false)
        | (Rounding::Down, true) => format.infinity,
        _ => format.largest,
    }
}

/// Above every integer that an instruction converts to.
const FAR: i128 = 1 << 100;
