//! Rare instructions, one lane at a time: four values and a mode in, two values out.

pub(super) mod float;
pub(super) mod video;

use super::code::ScalarFunction;

/// The value as it is.
pub(super) fn pass([a, ..]: [u64; 4], _: u32) -> [u64; 2] {
    [a, 0]
}

/// Integer functions. Mode: width in bits, plus 256 if signed, plus 512 for a form of its own.
/// `min` and `max` also know 1024, `.relu`: no less than 0.
pub(super) fn integer_function(key: &str) -> Option<ScalarFunction> {
    Some(match key {
        "add" => |[a, b, ..], mode| saturated(value(a, mode) + value(b, mode), mode),
        "sub" => |[a, b, ..], mode| saturated(value(a, mode) - value(b, mode), mode),
        "mul.lo" => |[a, b, ..], mode| fit(product(a, b, mode), mode),
        "mul24.lo" => |[a, b, ..], mode| fit(product24(a, b, mode), mode),
        "mul.hi" => |[a, b, ..], mode| fit(product(a, b, mode) >> (mode & 0xff), mode),
        "mul.wide" => |[a, b, ..], mode| [product(a, b, mode) as u64, 0],
        "mad.lo" => {
            |[a, b, c, _], mode| fit(product(a, b, mode).wrapping_add(value(c, mode)), mode)
        }
        "mad24.lo" => |[a, b, c, _], mode| fit(product24(a, b, mode) + value(c, mode), mode),
        "mad.hi" => |[a, b, c, _], mode| {
            saturated(
                (product(a, b, mode) >> (mode & 0xff)) + value(c, mode),
                mode,
            )
        },
        "mad.wide" => |[a, b, c, _], mode| [(product(a, b, mode) as u64).wrapping_add(c), 0],
        "mul24.hi" => |[a, b, ..], mode| fit(product24(a, b, mode) >> 16, mode),
        "mad24.hi" => {
            |[a, b, c, _], mode| saturated((product24(a, b, mode) >> 16) + value(c, mode), mode)
        }
        "div" => |[a, b, ..], mode| {
            if value(b, mode) == 0 {
                fit(-1, mode)
            } else {
                fit(value(a, mode) / value(b, mode), mode)
            }
        },
        "rem" => |[a, b, ..], mode| {
            if value(b, mode) == 0 {
                [a, 0]
            } else {
                fit(value(a, mode) % value(b, mode), mode)
            }
        },
        "min" => |[a, b, ..], mode| positive(value(a, mode).min(value(b, mode)), mode),
        "max" => |[a, b, ..], mode| positive(value(a, mode).max(value(b, mode)), mode),
        "sad" => |[a, b, c, _], mode| {
            fit(
                (value(a, mode) - value(b, mode)).abs() + value(c, mode),
                mode,
            )
        },
        "neg" => |[a, ..], mode| fit(-value(a, mode), mode),
        "abs" => |[a, ..], mode| fit(value(a, mode).abs(), mode),
        "not" => |[a, ..], mode| fit(!i128::from(a), mode),
        "cnot" => |[a, ..], mode| [u64::from(bits(a, mode) == 0), 0],
        "and" => |[a, b, ..], mode| fit(i128::from(a & b), mode),
        "or" => |[a, b, ..], mode| fit(i128::from(a | b), mode),
        "xor" => |[a, b, ..], mode| fit(i128::from(a ^ b), mode),
        "shl" => |[a, b, ..], mode| fit(i128::from(a) << b.min(64), mode),
        "shr" => |[a, b, ..], mode| fit(value(a, mode) >> b.min(64), mode),
        _ => return bit_function(key),
    })
}

fn bit_function(key: &str) -> Option<ScalarFunction> {
    Some(match key {
        "popc" => |[a, ..], mode| [u64::from(bits(a, mode).count_ones()), 0],
        "clz" => |[a, ..], mode| {
            [
                u64::from(bits(a, mode).leading_zeros() - (64 - (mode & 0xff))),
                0,
            ]
        },
        "brev" => |[a, ..], mode| [bits(a, mode).reverse_bits() >> (64 - (mode & 0xff)), 0],
        "bfind" => find,
        "bfe" => extract,
        "bfi" => insert,
        "fns" => nth_set,
        "bmsk" => mask,
        "szext" => extend,
        "lop3" => |[a, b, c, with], mode| {
            let result = lookup(a as u32, b as u32, c as u32, mode & 0xff);
            let (nonzero, with) = (u64::from(result != 0), with & 1);
            let combined = match mode >> 8 {
                0 => nonzero | with,
                1 => nonzero & with,
                _ => nonzero ^ with,
            };
            [u64::from(result), combined]
        },
        "prmt" => |[a, b, c, _], mode| [u64::from(permute(a as u32, b as u32, c as u32, mode)), 0],
        "dp4a" => |[a, b, c, _], mode| [u64::from(dot4(a as u32, b as u32, c as u32, mode)), 0],
        "dp2a" | "dp2a.lo" | "dp2a.hi" => {
            |[a, b, c, _], mode| [u64::from(dot2(a as u32, b as u32, c as u32, mode)), 0]
        }
        "slct" => |[a, b, c, _], _| [if (c as u32 as i32) >= 0 { a } else { b }, 0],
        _ => return None,
    })
}

/// Functions of `add.cc` and its kin: the second result and the last source are the carry.
pub(super) fn carry_function(key: &str) -> Option<ScalarFunction> {
    Some(match key {
        "add" => |[a, b, carry, _], mode| {
            let sum = u128::from(bits(a, mode)) + u128::from(bits(b, mode)) + u128::from(carry);
            [fit(sum as i128, mode)[0], (sum >> (mode & 0xff)) as u64]
        },
        // Here the flag is a borrow.
        "sub" => |[a, b, borrow, _], mode| {
            let difference =
                i128::from(bits(a, mode)) - i128::from(bits(b, mode)) - i128::from(borrow);
            [fit(difference, mode)[0], u64::from(difference < 0)]
        },
        "mad" => |[a, b, c, carry], mode| {
            let low = fit(product(a, b, mode), mode)[0];
            let sum = u128::from(low) + u128::from(bits(c, mode)) + u128::from(carry);
            [fit(sum as i128, mode)[0], (sum >> (mode & 0xff)) as u64]
        },
        "mad.hi" => |[a, b, c, carry], mode| {
            let high = fit(product(a, b, mode) >> (mode & 0xff), mode)[0];
            let sum = u128::from(high) + u128::from(bits(c, mode)) + u128::from(carry);
            [fit(sum as i128, mode)[0], (sum >> (mode & 0xff)) as u64]
        },
        _ => return None,
    })
}

/// The low bits that the mode's width keeps.
fn bits(a: u64, mode: u32) -> u64 {
    a & (u64::MAX >> (64 - (mode & 0xff)))
}

/// The number that the bits mean by the mode's width and sign.
fn value(a: u64, mode: u32) -> i128 {
    let width = mode & 0xff;
    if mode & 256 == 0 {
        i128::from(bits(a, mode))
    } else {
        i128::from((a << (64 - width)) as i64 >> (64 - width))
    }
}

/// The product, wrapping where even 128 bits do not hold it.
fn product(a: u64, b: u64, mode: u32) -> i128 {
    if mode & 256 == 0 {
        (u128::from(bits(a, mode)) * u128::from(bits(b, mode))) as i128
    } else {
        value(a, mode) * value(b, mode)
    }
}

fn product24(a: u64, b: u64, mode: u32) -> i128 {
    let narrow = 24 | mode & 256;
    value(a, narrow) * value(b, narrow)
}

fn fit(a: i128, mode: u32) -> [u64; 2] {
    [bits(a as u64, mode), 0]
}

fn positive(a: i128, mode: u32) -> [u64; 2] {
    fit(if mode & 1024 == 0 { a } else { a.max(0) }, mode)
}

fn saturated(a: i128, mode: u32) -> [u64; 2] {
    if mode & 512 == 0 {
        return fit(a, mode);
    }
    let (low, high) = range(mode);
    fit(a.clamp(low, high), mode)
}

/// The smallest and the largest number of the mode's width and sign.
fn range(mode: u32) -> (i128, i128) {
    let width = mode & 0xff;
    if mode & 256 == 0 {
        (0, (1 << width) - 1)
    } else {
        (-(1 << (width - 1)), (1 << (width - 1)) - 1)
    }
}

fn find([a, ..]: [u64; 4], mode: u32) -> [u64; 2] {
    let number = value(a, mode);
    let a = bits(if number < 0 { !a } else { a }, mode);
    if a == 0 {
        return [0xffff_ffff, 0];
    }
    let place = 63 - a.leading_zeros();
    [
        u64::from(if mode & 512 == 0 {
            place
        } else {
            (mode & 0xff) - 1 - place
        }),
        0,
    ]
}

fn extract([a, start, length, _]: [u64; 4], mode: u32) -> [u64; 2] {
    let width = u64::from(mode & 0xff);
    let (start, length) = (start & 0xff, length & 0xff);
    if length == 0 {
        return [0, 0];
    }
    let sign = if mode & 256 == 0 {
        false
    } else {
        let top = (start + length - 1).min(width - 1);
        bits(a, mode) >> top & 1 == 1
    };
    let field = if start >= width {
        0
    } else {
        bits(a, mode) >> start
    };
    let kept = length.min(width.saturating_sub(start));
    let low = if kept >= 64 {
        field
    } else {
        field & ((1 << kept) - 1)
    };
    let filled = if sign && kept < 64 {
        low | u64::MAX << kept
    } else {
        low
    };
    [bits(filled, mode), 0]
}

fn insert([a, b, start, length]: [u64; 4], mode: u32) -> [u64; 2] {
    let (start, length) = (start & 0xff, length & 0xff);
    let width = u64::from(mode & 0xff);
    if start >= width || length == 0 {
        return [bits(b, mode), 0];
    }
    let ones = if length >= 64 {
        u64::MAX
    } else {
        (1 << length) - 1
    };
    let field = ones << start;
    [bits(b & !field | a << start & field, mode), 0]
}

/// `fns`: the n-th set bit from a base.
fn nth_set([a, base, offset, _]: [u64; 4], _: u32) -> [u64; 2] {
    let (a, base, offset) = (a as u32, base as u32, offset as u32 as i32);
    if base > 31 {
        return [0xffff_ffff, 0];
    }
    if offset == 0 {
        return [
            if a >> base & 1 == 1 {
                u64::from(base)
            } else {
                0xffff_ffff
            },
            0,
        ];
    }
    let mut left = offset.unsigned_abs();
    let mut place = i64::from(base);
    while (0..32).contains(&place) {
        if a >> place & 1 == 1 {
            left -= 1;
            if left == 0 {
                return [place as u64, 0];
            }
        }
        place += i64::from(offset.signum());
    }
    [0xffff_ffff, 0]
}

fn mask([a, b, ..]: [u64; 4], mode: u32) -> [u64; 2] {
    let (mut start, mut length) = (a & 0xffff_ffff, b & 0xffff_ffff);
    if mode & 512 != 0 {
        (start, length) = (start & 31, length & 31);
    }
    let ones = if length >= 32 {
        0xffff_ffff
    } else {
        (1 << length) - 1
    };
    [
        if start >= 32 {
            0
        } else {
            ones << start & 0xffff_ffff
        },
        0,
    ]
}

fn extend([a, b, ..]: [u64; 4], mode: u32) -> [u64; 2] {
    let width = if mode & 512 == 0 {
        b & 0xffff_ffff
    } else {
        b & 31
    };
    if width == 0 {
        return [0, 0];
    }
    if width >= 32 {
        return [a & 0xffff_ffff, 0];
    }
    [value(a, width as u32 | mode & 256) as u64 & 0xffff_ffff, 0]
}

fn lookup(a: u32, b: u32, c: u32, table: u32) -> u32 {
    let mut result = 0;
    for row in 0..8 {
        if table >> row & 1 == 1 {
            let pick = |bit: u32, x: u32| if row >> bit & 1 == 1 { x } else { !x };
            result |= pick(2, a) & pick(1, b) & pick(0, c);
        }
    }
    result
}

fn permute(a: u32, b: u32, c: u32, mode: u32) -> u32 {
    let bytes = u64::from(b) << 32 | u64::from(a);
    let s = c & 3;
    let selector = match mode {
        0 => c,
        1 => [0x3210, 0x4321, 0x5432, 0x6543][s as usize],
        2 => [0x5670, 0x6701, 0x7012, 0x0123][s as usize],
        3 => s * 0x1111,
        4 => [0x3210, 0x3211, 0x3222, 0x3333][s as usize],
        5 => [0x0000, 0x1110, 0x2210, 0x3210][s as usize],
        _ => [0x1010, 0x3232][(s & 1) as usize],
    };
    let mut result = 0;
    for index in 0..4 {
        let pick = selector >> (4 * index) & 0xf;
        let byte = (bytes >> (8 * (pick & 7))) as u8;
        let byte = if mode == 0 && pick & 8 != 0 {
            ((byte as i8) >> 7) as u8
        } else {
            byte
        };
        result |= u32::from(byte) << (8 * index);
    }
    result
}

fn field(a: u32, index: u32, width: u32, signed: bool) -> i64 {
    let raw = i64::from(a >> (index * width)) & ((1 << width) - 1);
    if signed && raw >> (width - 1) == 1 {
        raw - (1 << width)
    } else {
        raw
    }
}

fn dot4(a: u32, b: u32, c: u32, mode: u32) -> u32 {
    (0..4).fold(c, |sum, index| {
        let term = field(a, index, 8, mode & 2 != 0) * field(b, index, 8, mode & 1 != 0);
        sum.wrapping_add(term as u32)
    })
}

fn dot2(a: u32, b: u32, c: u32, mode: u32) -> u32 {
    let first = if mode & 4 == 0 { 0 } else { 2 };
    (0..2).fold(c, |sum, index| {
        let term = field(a, index, 16, mode & 2 != 0) * field(b, first + index, 8, mode & 1 != 0);
        sum.wrapping_add(term as u32)
    })
}

/// Functions of pairs of 16-bit integers. Mode: as of [`integer_function`].
pub(super) fn pair_function(key: &str) -> Option<ScalarFunction> {
    Some(match key {
        "add" => |v, mode| pairs(v, mode, |a, b| a + b),
        "sub" => |v, mode| pairs(v, mode, |a, b| a - b),
        "min" => |v, mode| pairs(v, mode, Ord::min),
        "max" => |v, mode| pairs(v, mode, Ord::max),
        "neg" => |v, mode| pairs(v, mode, |a, _| -a),
        _ => return None,
    })
}

fn pairs([a, b, ..]: [u64; 4], mode: u32, compute: fn(i128, i128) -> i128) -> [u64; 2] {
    let one = |shift: u32| {
        let result = compute(value(a >> shift, mode), value(b >> shift, mode));
        let result = if mode & 1024 == 0 {
            result
        } else {
            result.max(0)
        };
        saturated(result, mode)[0] << shift
    };
    [one(0) | one(16), 0]
}

/// `cvt.pack`: two saturated words side by side, a third's bits above. Mode: width and sign.
pub(super) fn pack([a, b, above, _]: [u64; 4], mode: u32) -> [u64; 2] {
    let width = mode & 0xff;
    let (low, high) = range(mode);
    let one = |a: u64| fit(i128::from(a as u32 as i32).clamp(low, high), mode)[0];
    let pair = one(a) << width | one(b);
    [(above << (2 * width) | pair) & 0xffff_ffff, 0]
}
