//! Types of `cvt` under test, and their values in quadruple precision.

use rustc_apfloat::ieee::{BFloat, Double, Half, Quad, Single};
use rustc_apfloat::{Float, FloatConvert, Round};

use super::table::{Out, Random, Want, count, floats, integers, triples};

#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Type {
    pub name: &'static str,
    pub width: u32,
    pub kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Unsigned,
    Signed,
    /// Bits of the fraction and of the exponent.
    Float(u32, u32),
}

pub const fn of(name: &'static str, width: u32, kind: Kind) -> Type {
    Type { name, width, kind }
}

pub const F16: Type = of("f16", 16, Kind::Float(10, 5));
pub const BF16: Type = of("bf16", 16, Kind::Float(7, 8));
pub const F32: Type = of("f32", 32, Kind::Float(23, 8));
pub const F64: Type = of("f64", 64, Kind::Float(52, 11));
pub const FLOATS: [Type; 4] = [F16, BF16, F32, F64];
pub const INTEGERS: [Type; 8] = [
    of("u8", 8, Kind::Unsigned),
    of("u16", 16, Kind::Unsigned),
    of("u32", 32, Kind::Unsigned),
    of("u64", 64, Kind::Unsigned),
    of("s8", 8, Kind::Signed),
    of("s16", 16, Kind::Signed),
    of("s32", 32, Kind::Signed),
    of("s64", 64, Kind::Signed),
];

impl Type {
    pub fn letter(self) -> char {
        match self.width {
            8 | 16 => 'h',
            32 => 'w',
            _ => 'x',
        }
    }

    pub fn out(self) -> Out {
        match self.width {
            8 | 16 => Out::Half,
            32 => Out::Word,
            _ => Out::Long,
        }
    }

    pub fn mask(self) -> u64 {
        u64::MAX >> (64 - self.width)
    }

    pub fn sign(self) -> u64 {
        1 << (self.width - 1)
    }

    pub fn values(self, random: &mut Random) -> Vec<[u64; 4]> {
        let edges = match self.kind {
            Kind::Float(fraction, exponent) => {
                let mut edges = floats(fraction, exponent);
                // Around where integers of each width end.
                let bias = (1u64 << (exponent - 1)) - 1;
                for place in [6, 7, 8, 14, 15, 16, 30, 31, 32, 62, 63, 64] {
                    let power = (bias + place) << fraction;
                    if power < self.sign() {
                        edges.extend([power - 1, power, power + 1]);
                        edges.extend([power - 1, power, power + 1].map(|one| one | self.sign()));
                    }
                }
                // Halfway cases and their neighbours.
                for number in [1u64, 3, 5, 7, 255, 257] {
                    let half = read(Round::NearestTiesToEven, number)
                        .div_r(read(Round::NearestTiesToEven, 2), Round::NearestTiesToEven);
                    let bits = write(self, half.value, Round::NearestTiesToEven);
                    edges.extend([bits - 1, bits, bits + 1].map(|one| one & self.mask()));
                    edges.push(bits | self.sign());
                }
                edges
            }
            _ => integers(self.width.max(8)),
        };
        let mut inputs: Vec<[u64; 4]> = edges.iter().map(|&bits| [bits, 0, 0, 0]).collect();
        inputs.extend(triples(&edges, self.width, count(300), random));
        inputs
    }
}

pub fn read(round: Round, number: u64) -> Quad {
    Quad::from_u128_r(u128::from(number), round).value
}

/// The value of a float's bits; a quadruple holds all of them.
pub fn widen(kind: Type, bits: u64) -> Quad {
    let bits = u128::from(bits & kind.mask());
    let mut lost = false;
    match kind.name {
        "f16" => Half::from_bits(bits).convert(&mut lost).value,
        "bf16" => BFloat::from_bits(bits).convert(&mut lost).value,
        "f32" => Single::from_bits(bits).convert(&mut lost).value,
        _ => Double::from_bits(bits).convert(&mut lost).value,
    }
}

/// The bits of a value rounded to a float type, NaN canonical.
pub fn write(kind: Type, value: Quad, round: Round) -> u64 {
    if value.is_nan() {
        return kind.sign() - 1;
    }
    let mut lost = false;
    let bits = match kind.name {
        "f16" => Half::to_bits(value.convert_r(round, &mut lost).value),
        "bf16" => BFloat::to_bits(value.convert_r(round, &mut lost).value),
        "f32" => Single::to_bits(value.convert_r(round, &mut lost).value),
        _ => Double::to_bits(value.convert_r(round, &mut lost).value),
    };
    bits as u64
}

pub fn flushed(kind: Type, bits: u64) -> u64 {
    let Kind::Float(fraction, _) = kind.kind else {
        return bits;
    };
    if bits & (kind.sign() - 1) < 1 << fraction {
        bits & kind.sign()
    } else {
        bits
    }
}

pub fn direction(word: &str) -> Round {
    match word {
        "rz" | "rzi" => Round::TowardZero,
        "rm" | "rmi" => Round::TowardNegative,
        "rp" | "rpi" => Round::TowardPositive,
        _ => Round::NearestTiesToEven,
    }
}

pub fn want(to: Type, bits: u64) -> Want {
    if to.name == "f64" && bits & (to.sign() - 1) > 0x7ff << 52 {
        Want::AnyNan
    } else {
        Want::Bits(bits)
    }
}

pub fn one_or_less(value: Quad) -> Quad {
    let one = read(Round::NearestTiesToEven, 1);
    if value.is_nan() || value.is_negative() {
        Quad::ZERO
    } else if value > one {
        one
    } else {
        value
    }
}

pub fn infinity(kind: Type) -> u64 {
    match kind.kind {
        Kind::Float(fraction, exponent) => ((1 << exponent) - 1) << fraction,
        _ => 0,
    }
}
