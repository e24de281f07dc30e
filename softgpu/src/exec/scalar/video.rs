//! The video instructions: arithmetic on selected bytes and halves of words (PTX ISA, Video
//! Instructions).

/// What is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::exec) enum Operation {
    Add,
    Subtract,
    Average,
    Difference,
    Minimum,
    Maximum,
    ShiftLeft,
    ShiftRight,
    MultiplyAdd,
    Compare,
}

impl Operation {
    /// The operation of an opcode without its `v` and its count of lanes.
    pub(in crate::exec) fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "add" => Self::Add,
            "sub" => Self::Subtract,
            "avrg" => Self::Average,
            "absdiff" => Self::Difference,
            "min" => Self::Minimum,
            "max" => Self::Maximum,
            "shl" => Self::ShiftLeft,
            "shr" => Self::ShiftRight,
            "mad" => Self::MultiplyAdd,
            "set" => Self::Compare,
            _ => return None,
        })
    }

    const ALL: [Self; 10] = [
        Self::Add,
        Self::Subtract,
        Self::Average,
        Self::Difference,
        Self::Minimum,
        Self::Maximum,
        Self::ShiftLeft,
        Self::ShiftRight,
        Self::MultiplyAdd,
        Self::Compare,
    ];
}

/// Comparisons of `vset`, by the number in the mode.
pub(in crate::exec) const COMPARISONS: [&str; 6] = ["eq", "ne", "lt", "le", "gt", "ge"];

/// What an instruction's words say; packed into the mode of its function.
#[derive(Debug, Clone, Copy)]
pub(in crate::exec) struct Video {
    pub(in crate::exec) operation: Operation,
    /// Whether the result, the first and the second operand are signed.
    pub(in crate::exec) signed: [bool; 3],
    pub(in crate::exec) saturate: bool,
    /// 0 none, 1 add, 2 min, 3 max with the third operand.
    pub(in crate::exec) secondary: u32,
    /// The parts of result, first and second operand ([`whole`](Self::WHOLE), byte, half); for the
    /// forms on several lanes the first is the mask of lanes to write.
    pub(in crate::exec) parts: [u32; 3],
    /// Index in [`COMPARISONS`].
    pub(in crate::exec) comparison: u32,
    pub(in crate::exec) wrap: bool,
    /// Bits to shift a product's sum to the right: 0, 7 or 15.
    pub(in crate::exec) scale: u32,
    pub(in crate::exec) plus_one: bool,
    /// The product, the third operand is subtracted.
    pub(in crate::exec) minus_product: bool,
    pub(in crate::exec) minus_third: bool,
}

impl Video {
    /// No part is selected.
    pub(in crate::exec) const WHOLE: u32 = 0;
    /// Byte 0; the others follow.
    pub(in crate::exec) const BYTE: u32 = 4;
    /// Half 0; the other follows.
    pub(in crate::exec) const HALF: u32 = 8;

    pub(in crate::exec) fn mode(self) -> u32 {
        let scale = match self.scale {
            0 => 0,
            7 => 1,
            _ => 2,
        };
        self.operation as u32
            | u32::from(self.signed[0]) << 4
            | u32::from(self.signed[1]) << 5
            | u32::from(self.signed[2]) << 6
            | u32::from(self.saturate) << 7
            | self.secondary << 8
            | self.parts[0] << 10
            | self.parts[1] << 14
            | self.parts[2] << 18
            | self.comparison << 22
            | u32::from(self.wrap) << 25
            | scale << 26
            | u32::from(self.plus_one) << 28
            | u32::from(self.minus_product) << 29
            | u32::from(self.minus_third) << 30
    }

    fn from_mode(mode: u32) -> Self {
        let flag = |bit: u32| mode >> bit & 1 == 1;
        Self {
            operation: Operation::ALL[(mode & 15) as usize % Operation::ALL.len()],
            signed: [flag(4), flag(5), flag(6)],
            saturate: flag(7),
            secondary: mode >> 8 & 3,
            parts: [mode >> 10 & 15, mode >> 14 & 15, mode >> 18 & 15],
            comparison: mode >> 22 & 7,
            wrap: flag(25),
            scale: [0, 7, 15][(mode >> 26 & 3) as usize % 3],
            plus_one: flag(28),
            minus_product: flag(29),
            minus_third: flag(30),
        }
    }

    /// The operation on two extended values.
    fn compute(&self, a: i64, b: i64) -> i64 {
        match self.operation {
            Operation::Add => a + b,
            Operation::Subtract => a - b,
            // Away from zero for positive sums only.
            Operation::Average => (a + b + i64::from(a + b >= 0)) >> 1,
            Operation::Difference => (a - b).abs(),
            Operation::Minimum => a.min(b),
            Operation::Maximum => a.max(b),
            Operation::ShiftLeft | Operation::ShiftRight => {
                let count = if self.wrap { b & 31 } else { b.clamp(0, 32) };
                if self.operation == Operation::ShiftLeft {
                    // Up to 65 bits: what is to be saturated must not lose the highest.
                    let wide = i128::from(a) << count;
                    let (least, most) = (i128::from(i64::MIN), i128::from(i64::MAX));
                    let bounded = if self.saturate {
                        wide.clamp(least, most)
                    } else {
                        wide
                    };
                    bounded as i64
                } else {
                    a >> count
                }
            }
            Operation::MultiplyAdd => 0,
            Operation::Compare => i64::from(match self.comparison {
                0 => a == b,
                1 => a != b,
                2 => a < b,
                3 => a <= b,
                4 => a > b,
                _ => a >= b,
            }),
        }
    }

    fn product(&self, a: i64, b: i64, c: u32) -> u32 {
        let minus = self.minus_product || self.minus_third;
        let signed = self.signed[1] || self.signed[2] || minus;
        let of = |negative: bool, value: i128| if negative { -value } else { value };
        let product = of(self.minus_product, i128::from(a) * i128::from(b));
        let third = of(self.minus_third, i128::from(extended(c, 32, signed)));
        let sum = product + third + i128::from(self.plus_one);
        let result = sum >> self.scale;
        if !self.saturate {
            return result as u32;
        }
        let (low, high) = range(32, signed);
        result.clamp(i128::from(low), i128::from(high)) as u32
    }
}

/// The low `width` bits as a number.
fn extended(a: u32, width: u32, signed: bool) -> i64 {
    let shift = 64 - width;
    let top = u64::from(a) << shift;
    if signed {
        top as i64 >> shift
    } else {
        (top >> shift) as i64
    }
}

fn range(width: u32, signed: bool) -> (i64, i64) {
    if signed {
        (-(1 << (width - 1)), (1 << (width - 1)) - 1)
    } else {
        (0, (1 << width) - 1)
    }
}

/// Offset and width in bits of a part.
fn place(part: u32) -> (u32, u32) {
    match part {
        Video::BYTE..Video::HALF => (8 * (part - Video::BYTE), 8),
        Video::HALF.. => (16 * ((part - Video::HALF) & 1), 16),
        _ => (0, 32),
    }
}

/// The forms on one value of each operand.
pub(in crate::exec) fn scalar([a, b, c, _]: [u64; 4], mode: u32) -> [u64; 2] {
    let video = Video::from_mode(mode);
    let select = |a: u64, index: usize| {
        let (offset, width) = place(video.parts[index]);
        extended(a as u32 >> offset, width, video.signed[index])
    };
    let (a, b, c) = (select(a, 1), select(b, 2), c as u32);
    if video.operation == Operation::MultiplyAdd {
        return [u64::from(video.product(a, b, c)), 0];
    }
    let (offset, width) = place(video.parts[0]);
    let mut result = video.compute(a, b);
    if video.saturate {
        let (low, high) = range(width, video.signed[0]);
        result = result.clamp(low, high);
    }
    let with = extended(c, 32, video.signed[0]);
    let narrow = extended(result as u32, 32, video.signed[0]);
    let result = match video.secondary {
        1 => narrow + with,
        2 => narrow.min(with),
        3 => narrow.max(with),
        _ => narrow,
    } as u32;
    if width == 32 {
        return [u64::from(result), 0];
    }
    let field = ((1 << width) - 1) << offset;
    [u64::from(result << offset & field | c & !field), 0]
}

/// The forms on two halves.
pub(in crate::exec) fn halves(v: [u64; 4], mode: u32) -> [u64; 2] {
    lanes(v, mode, 16)
}

/// The forms on four bytes.
pub(in crate::exec) fn bytes(v: [u64; 4], mode: u32) -> [u64; 2] {
    lanes(v, mode, 8)
}

fn lanes([a, b, c, _]: [u64; 4], mode: u32, width: u32) -> [u64; 2] {
    let video = Video::from_mode(mode);
    let (a, b, c) = (a as u32, b as u32, c as u32);
    let ones = (1 << width) - 1;
    let adds = video.secondary == 1;
    let mut result = if adds { c } else { 0 };
    for lane in 0..32 / width {
        let offset = lane * width;
        let value = video.compute(
            extended(a >> offset, width, video.signed[1]),
            extended(b >> offset, width, video.signed[2]),
        );
        let value = if video.saturate {
            let (low, high) = range(width, video.signed[0]);
            value.clamp(low, high)
        } else {
            value
        };
        match (video.parts[0] >> lane & 1 == 1, adds) {
            (true, true) => result = result.wrapping_add(value as u32),
            (false, true) => {}
            (true, false) => result |= (value as u32 & ones) << offset,
            (false, false) => result |= c & ones << offset,
        }
    }
    [u64::from(result), 0]
}
