//! Integer types under test.

use super::table::{Out, Random, count, integers, pairs};

/// An integer type: its width and sign.
#[derive(Clone, Copy)]
pub struct Type {
    pub width: u32,
    pub signed: bool,
}

impl Type {
    pub fn all() -> impl Iterator<Item = Self> {
        [16, 32, 64]
            .into_iter()
            .flat_map(|width| [false, true].map(|signed| Self { width, signed }))
    }

    pub fn name(self) -> String {
        format!("{}{}", if self.signed { 's' } else { 'u' }, self.width)
    }

    pub fn letter(self) -> char {
        match self.width {
            16 => 'h',
            32 => 'w',
            _ => 'x',
        }
    }

    pub fn out(self) -> Out {
        match self.width {
            16 => Out::Half,
            32 => Out::Word,
            _ => Out::Long,
        }
    }

    /// The number that the low bits mean.
    pub fn read(self, bits: u64) -> i128 {
        let modulus = 1i128 << self.width;
        let value = i128::from(bits) & (modulus - 1);
        if self.signed && value >= modulus / 2 {
            value - modulus
        } else {
            value
        }
    }

    /// The low bits of a number.
    pub fn write(self, value: i128) -> u64 {
        (value & ((1i128 << self.width) - 1)) as u64
    }

    pub fn clamp(self, value: i128) -> i128 {
        let modulus = 1i128 << self.width;
        if self.signed {
            value.clamp(-modulus / 2, modulus / 2 - 1)
        } else {
            value.clamp(0, modulus - 1)
        }
    }

    pub fn inputs(self, random: &mut Random) -> Vec<[u64; 4]> {
        pairs(&integers(self.width), self.width, count(300), random)
    }
}

/// Replaces `T` by the type's name and `L` by the letter of its registers.
pub fn body(template: &str, kind: Type) -> String {
    template
        .replace('T', &kind.name())
        .replace('L', &kind.letter().to_string())
}
