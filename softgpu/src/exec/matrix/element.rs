//! The elements of matrices: how many bits they have and what number the bits are.

use super::super::float::Rounding;
use super::super::half::{from_brain, from_half, to_half};

/// Type of the elements of a fragment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Element {
    F16,
    Bf16,
    /// A single whose low 13 bits do not count.
    Tf32,
    F32,
    F64,
    E4m3,
    E5m2,
    S8,
    U8,
    S4,
    U4,
    /// 32 single bits that lie side by side along k.
    Bits,
    S32,
}

impl Element {
    /// The element named `word` (without the dot).
    pub(in super::super) fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "f16" => Self::F16,
            "bf16" => Self::Bf16,
            "tf32" => Self::Tf32,
            "f32" => Self::F32,
            "f64" => Self::F64,
            "e4m3" => Self::E4m3,
            "e5m2" => Self::E5m2,
            "s8" => Self::S8,
            "u8" => Self::U8,
            "s4" => Self::S4,
            "u4" => Self::U4,
            "b1" => Self::Bits,
            "s32" => Self::S32,
            _ => return None,
        })
    }

    /// Bits of an element.
    pub(in super::super) fn bits(self) -> u32 {
        match self {
            Self::F64 => 64,
            Self::Tf32 | Self::F32 | Self::Bits | Self::S32 => 32,
            Self::F16 | Self::Bf16 => 16,
            Self::E4m3 | Self::E5m2 | Self::S8 | Self::U8 => 8,
            Self::S4 | Self::U4 => 4,
        }
    }

    /// Elements in a register: of 64 bits for doubles, of 32 for all others.
    pub(in super::super) fn parts(self) -> usize {
        (32 / self.bits()).max(1) as usize
    }

    /// How much of the depth one element is.
    pub(in super::super) fn depth(self) -> usize {
        if self == Self::Bits { 32 } else { 1 }
    }

    /// The value of a floating-point element, exactly; an f64 has none here.
    #[inline(always)]
    pub(super) fn single(self, bits: u64) -> f32 {
        match self {
            Self::F16 => from_half(bits as u16),
            Self::Bf16 => from_brain(bits as u16),
            Self::Tf32 => f32::from_bits(bits as u32 & 0xffff_e000),
            Self::E4m3 => from_e4m3(bits as u8),
            // An f16 without its low fraction bits.
            Self::E5m2 => from_half((bits as u16) << 8),
            _ => f32::from_bits(bits as u32),
        }
    }

    /// The bits of an element that is `value`, rounded to nearest.
    #[inline(always)]
    pub(super) fn rounded(self, value: f32) -> u64 {
        match self {
            Self::F16 => u64::from(to_half(f64::from(value), false, Rounding::Nearest)),
            Self::Bf16 => u64::from(to_half(f64::from(value), true, Rounding::Nearest)),
            _ => u64::from(value.to_bits()),
        }
    }

    /// The value of an integer element.
    #[inline(always)]
    pub(super) fn integer(self, bits: u64) -> i32 {
        match self {
            Self::S8 => i32::from(bits as i8),
            Self::U8 => i32::from(bits as u8),
            Self::S4 => (bits as i32) << 28 >> 28,
            Self::U4 => bits as i32 & 15,
            _ => bits as i32,
        }
    }
}

/// The value of an e4m3: no infinities, and one NaN of each sign.
fn from_e4m3(bits: u8) -> f32 {
    let sign = if bits & 0x80 == 0 { 1.0 } else { -1.0 };
    let (exponent, fraction) = (bits >> 3 & 15, f32::from(bits & 7));
    match (exponent, bits & 7) {
        (15, 7) => f32::NAN,
        (0, _) => sign * fraction / 512.0,
        _ => sign * (8.0 + fraction) * f32::from_bits((u32::from(exponent) + 117) << 23),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_floats_have_their_documented_values() {
        let e4m3 = |bits| Element::E4m3.single(bits);
        assert_eq!(e4m3(0x38), 1.0);
        assert_eq!(e4m3(0x7e), 448.0);
        assert_eq!(e4m3(0x01), 1.0 / 512.0);
        assert_eq!(e4m3(0x08), 1.0 / 64.0);
        assert_eq!(e4m3(0xb8), -1.0);
        assert!(e4m3(0xff).is_nan());
        let e5m2 = |bits| Element::E5m2.single(bits);
        assert_eq!(e5m2(0x3c), 1.0);
        assert_eq!(e5m2(0x7b), 57344.0);
        assert_eq!(e5m2(0xfc), f32::NEG_INFINITY);
        assert_eq!(e5m2(0x01), 2f32.powi(-16));
    }

    #[test]
    fn nibbles_have_signs_and_singles_lose_what_a_tf32_does_not_hold() {
        assert_eq!(Element::S4.integer(0xf), -1);
        assert_eq!(Element::S4.integer(0x7), 7);
        assert_eq!(Element::U4.integer(0xf), 15);
        assert_eq!(Element::S8.integer(0x80), -128);
        let more = 1.0f32.to_bits() | 0x1fff;
        assert_eq!(Element::Tf32.single(u64::from(more)), 1.0);
    }
}
