//! Kinds of channels, and what their bits mean.

use super::super::float::Rounding;
use super::super::half::{from_half, to_half};

/// Kind of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// Unsigned, 8 bits.
    Unsigned8,
    /// Unsigned, 16 bits.
    Unsigned16,
    /// Unsigned, 32 bits.
    Unsigned32,
    /// Signed, 8 bits.
    Signed8,
    /// Signed, 16 bits.
    Signed16,
    /// Signed, 32 bits.
    Signed32,
    /// Half precision.
    Half,
    /// Single precision.
    Single,
}

impl Channel {
    /// Bytes.
    #[must_use]
    pub fn size(self) -> u32 {
        match self {
            Self::Unsigned8 | Self::Signed8 => 1,
            Self::Unsigned16 | Self::Signed16 | Self::Half => 2,
            Self::Unsigned32 | Self::Signed32 | Self::Single => 4,
        }
    }

    /// Whether values are integers.
    #[must_use]
    pub fn is_integer(self) -> bool {
        !matches!(self, Self::Half | Self::Single)
    }

    pub(super) fn is_signed(self) -> bool {
        matches!(self, Self::Signed8 | Self::Signed16 | Self::Signed32)
    }

    /// Whether an integer can be read as a fraction.
    pub(super) fn has_fraction(self) -> bool {
        self.is_integer() && self.size() < 4
    }

    /// An integer in 32 bits.
    pub(super) fn integer(self, bits: u32) -> u32 {
        match self {
            Self::Signed8 => i32::from(bits as u8 as i8).cast_unsigned(),
            Self::Signed16 => i32::from(bits as u16 as i16).cast_unsigned(),
            _ => bits,
        }
    }

    /// A value as a single: a float as it is, an integer as a fraction of its greatest value.
    pub(super) fn fraction(self, bits: u32) -> f32 {
        match self {
            Self::Half => from_half(bits as u16),
            Self::Single => f32::from_bits(bits),
            Self::Unsigned8 => bits as f32 / 255.0,
            Self::Unsigned16 => bits as f32 / 65_535.0,
            Self::Signed8 => (f32::from(bits as u8 as i8) / 127.0).max(-1.0),
            Self::Signed16 => (f32::from(bits as u16 as i16) / 32_767.0).max(-1.0),
            Self::Unsigned32 | Self::Signed32 => bits as f32,
        }
    }

    /// The bits that a formatted store writes for a value of 32 bits: what does not fit becomes the
    /// nearest that does.
    pub(super) fn formatted(self, value: u32) -> u32 {
        let signed = value.cast_signed();
        match self {
            Self::Unsigned8 => value.min(0xff),
            Self::Unsigned16 => value.min(0xffff),
            Self::Signed8 => signed.clamp(-0x80, 0x7f).cast_unsigned() & 0xff,
            Self::Signed16 => signed.clamp(-0x8000, 0x7fff).cast_unsigned() & 0xffff,
            Self::Half => u32::from(half_of(f32::from_bits(value))),
            Self::Unsigned32 | Self::Signed32 | Self::Single => value,
        }
    }

    /// Its number in queries (PTX ISA, "Channel Data Type and Channel Order Fields").
    pub(super) fn number(self, as_fraction: bool) -> u32 {
        match self {
            Self::Signed8 if as_fraction => 0x10d0,
            Self::Signed16 if as_fraction => 0x10d1,
            Self::Unsigned8 if as_fraction => 0x10d2,
            Self::Unsigned16 if as_fraction => 0x10d3,
            Self::Signed8 => 0x10d7,
            Self::Signed16 => 0x10d8,
            Self::Signed32 => 0x10d9,
            Self::Unsigned8 => 0x10da,
            Self::Unsigned16 => 0x10db,
            Self::Unsigned32 => 0x10dc,
            Self::Half => 0x10dd,
            Self::Single => 0x10de,
        }
    }
}

/// The nearest half.
pub(super) fn half_of(value: f32) -> u16 {
    to_half(f64::from(value), false, Rounding::Nearest)
}

/// The number of an order of channels in queries, by their count.
pub(super) fn order_number(channels: u32) -> u32 {
    match channels {
        1 => 0x10b0,
        2 => 0x10b2,
        _ => 0x10b5,
    }
}

/// From sRGB to linear (IEC 61966-2-1).
pub(super) fn linear_of_srgb(value: f32) -> f32 {
    if value <= 0.040_45 {
        value / 12.92
    } else {
        ((value + 0.055) / 1.055).powf(2.4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_end_at_one() {
        assert_eq!(Channel::Unsigned8.fraction(255).to_bits(), 1f32.to_bits());
        assert_eq!(Channel::Signed8.fraction(0x81).to_bits(), (-1f32).to_bits());
        assert_eq!(
            Channel::Signed8.fraction(0x80).to_bits(),
            (-1f32).to_bits(),
            "the lowest value has no fraction of its own"
        );
        assert_eq!(Channel::Signed16.fraction(0x7fff).to_bits(), 1f32.to_bits());
        assert_eq!(Channel::Half.fraction(0x3c00).to_bits(), 1f32.to_bits());
    }

    #[test]
    fn formatted_stores_saturate() {
        assert_eq!(Channel::Unsigned8.formatted(300), 255);
        assert_eq!(Channel::Signed8.formatted(u32::MAX - 299), 0x80);
        assert_eq!(Channel::Signed16.formatted(u32::MAX), 0xffff);
        assert_eq!(Channel::Half.formatted(1f32.to_bits()), 0x3c00);
    }
}
