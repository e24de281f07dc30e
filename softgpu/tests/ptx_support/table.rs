//! Runs one instruction on many inputs, and makes inputs where arithmetic is easily wrong.

use super::{Arg, Gpu};

/// Where an instruction of a test leaves its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Out {
    /// %h, 16 bits.
    Half,
    /// %w, 32 bits.
    Word,
    /// %x, 64 bits.
    Long,
    /// %p and %q, as bits 0 and 1.
    Predicates,
    /// %w, and %p as bit 32.
    WordAndPredicate,
}

/// Runs `body` on each input. Its values are %xa to %xd as long words, %wa to %wd as words, %ha to
/// %hd as halves; %pd is the lowest bit of the last.
pub fn run(body: &str, out: Out, inputs: &[[u64; 4]]) -> Vec<u64> {
    let result = match out {
        Out::Half => "cvt.u64.u16 %r, %h;",
        Out::Word => "cvt.u64.u32 %r, %w;",
        Out::Long => "mov.b64 %r, %x;",
        Out::Predicates => "selp.b64 %r, 1, 0, %p; selp.b64 %t, 2, 0, %q; or.b64 %r, %r, %t;",
        Out::WordAndPredicate => {
            "cvt.u64.u32 %r, %w; selp.b64 %t, 0x100000000, 0, %p; or.b64 %r, %r, %t;"
        }
    };
    let loads: String = (0..4)
        .map(|at| {
            let name = char::from(b'a' + at);
            format!(
                "ld.global.b64 %x{name}, [%from+{}]; cvt.u32.u64 %w{name}, %x{name}; \
                 cvt.u16.u64 %h{name}, %x{name};\n",
                8 * at
            )
        })
        .collect();
    let text = format!(
        ".version 9.0\n.target sm_100a\n.address_size 64\n\
         .visible .entry k(.param .u64 from, .param .u64 to, .param .u32 count)\n{{\n\
         .reg .b64 %xa, %xb, %xc, %xd, %x, %r, %t, %y<8>, %from, %to;\n\
         .reg .b32 %wa, %wb, %wc, %wd, %w, %v<8>, %i, %n, %s;\n\
         .reg .b16 %ha, %hb, %hc, %hd, %h, %g<8>;\n.reg .pred %pd, %p, %q, %over;\n\
         ld.param.u64 %from, [from]; ld.param.u64 %to, [to]; ld.param.u32 %n, [count];\n\
         mov.u32 %i, %ctaid.x; mov.u32 %s, %ntid.x; mov.u32 %w, %tid.x;\n\
         mad.lo.u32 %i, %i, %s, %w; setp.ge.u32 %over, %i, %n; @%over bra done;\n\
         mad.wide.u32 %from, %i, 32, %from; mad.wide.u32 %to, %i, 8, %to;\n{loads}\
         and.b32 %s, %wd, 1; setp.ne.u32 %pd, %s, 0;\n\
         mov.u64 %x, 0; mov.u32 %w, 0; mov.u16 %h, 0; setp.ne.u32 %p, 0, 0; \
         setp.ne.u32 %q, 0, 0;\n\
         {body}\n{result}\nst.global.b64 [%to], %r;\ndone: ret;\n}}"
    );
    let gpu = Gpu::with_arena(&text, 40 * inputs.len() + (1 << 16));
    let from = gpu.upload_longs(&inputs.concat());
    let to = gpu.allocate(8 * inputs.len());
    let arguments = [
        Arg::Address(from),
        Arg::Address(to),
        Arg::Int(inputs.len() as i32),
    ];
    let blocks = inputs.len().div_ceil(256) as u32;
    gpu.launch("k", [blocks, 1, 1], [256, 1, 1], 0, &arguments)
        .unwrap();
    gpu.longs(to, inputs.len())
}

/// Checks `body` against `reference` on every input.
pub fn compare(body: &str, out: Out, inputs: &[[u64; 4]], reference: impl Fn([u64; 4]) -> Want) {
    let found = run(body, out, inputs);
    let mut wrong = 0;
    for (input, &found) in inputs.iter().zip(&found) {
        let wanted = reference(*input);
        let fits = match wanted {
            Want::Bits(bits) => found == bits,
            Want::AnyNan => f64::from_bits(found).is_nan(),
            Want::Anything => true,
        };
        if !fits {
            wrong += 1;
            if wrong <= 5 {
                eprintln!("{body}: of {input:#x?}: found {found:#x}, wanted {wanted:#x?}");
            }
        }
    }
    assert_eq!(wrong, 0, "{body}: {wrong} of {} are wrong", inputs.len());
}

/// What a result has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    Bits(u64),
    /// Any NaN of a double, whose payload is not specified.
    AnyNan,
    /// Not specified.
    Anything,
}

/// Numbers that look random, by a seed that the test prints.
pub struct Random(u64);

impl Random {
    /// By the seed in the environment, or by a fixed one.
    pub fn new() -> Self {
        let seed = std::env::var("PTX_SEED")
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or(20_261_123u64);
        println!("PTX_SEED={seed}");
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

/// How many random inputs an instruction has: 100 times more with `PTX_LONG=1`.
pub fn count(short: usize) -> usize {
    if std::env::var_os("PTX_LONG").is_some_and(|value| value != "0") {
        100 * short
    } else {
        short
    }
}

/// Integers of `width` bits at the edges.
pub fn integers(width: u32) -> Vec<u64> {
    let mask = u64::MAX >> (64 - width);
    let mut values = vec![
        0, 1, 2, 3, 5, 7, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 31, 32, 33,
    ];
    for place in [width / 2, width - 2, width - 1] {
        let power = 1u64 << place;
        values.extend([power, power - 1, power + 1]);
    }
    values.extend([0x1234_5678_9abc_def0, 0xdead_beef_0bad_f00d, 63, 64, 65]);
    let negative: Vec<u64> = values.iter().map(|value| value.wrapping_neg()).collect();
    values.extend(negative);
    values.iter_mut().for_each(|value| *value &= mask);
    values.sort_unstable();
    values.dedup();
    values
}

/// Floats of a format at the edges, of both signs.
pub fn floats(fraction_bits: u32, exponent_bits: u32) -> Vec<u64> {
    let one = ((1u64 << (exponent_bits - 1)) - 1) << fraction_bits;
    let unit = 1u64 << fraction_bits;
    let infinity = ((1 << exponent_bits) - 1) << fraction_bits;
    let quiet = infinity | unit >> 1;
    let mut values = vec![0, 1, 2, unit - 1, unit, unit + 1, 3 * unit / 2];
    values.extend([
        one - 1,
        one,
        one + 1,
        one - unit,
        one + unit,
        one + unit / 2,
    ]);
    values.extend([one + unit / 4 + 1, one - 2 * unit + 1, one + 3 * unit / 4]);
    values.extend([infinity - 1, infinity - unit, infinity, infinity + 1, quiet]);
    // Halfway between integers, and powers of two where integers end.
    values.extend([one + 5 * unit / 4, one + 4 * unit, one + 4 * unit + 1]);
    values.extend([one + unit * u64::from(fraction_bits), one + unit * 7]);
    let sign = 1 << (fraction_bits + exponent_bits);
    values.retain(|&value| value < sign);
    let negative: Vec<u64> = values.iter().map(|value| value | sign).collect();
    values.extend(negative);
    values
}

/// Every pair of `values`, and `count` random pairs of `width` bits, some close to one another.
pub fn pairs(values: &[u64], width: u32, count: usize, random: &mut Random) -> Vec<[u64; 4]> {
    let mut inputs = Vec::new();
    for &a in values {
        for &b in values {
            inputs.push([
                a,
                b,
                random.next() & u64::MAX >> (64 - width),
                random.next(),
            ]);
        }
    }
    inputs.extend(triples(values, width, count, random));
    inputs
}

/// `count` random triples: of `values`, of any bits, and some close to one another.
pub fn triples(values: &[u64], width: u32, count: usize, random: &mut Random) -> Vec<[u64; 4]> {
    let mask = u64::MAX >> (64 - width);
    let mut inputs = Vec::new();
    for index in 0..count {
        let mut one = |near: u64| {
            let bits = random.next();
            match bits >> 60 & 3 {
                0 => values[(bits % values.len() as u64) as usize],
                // Near the other one: its high bits, or off by a few units.
                1 => near ^ (bits & 7) ^ (bits >> 8 & 1) << (width - 1),
                2 if index % 2 == 0 => near.wrapping_add(bits % 5).wrapping_sub(2) & mask,
                _ => bits & mask,
            }
        };
        let a = one(0);
        let b = one(a);
        let c = one(b);
        inputs.push([a, b, c, random.next()]);
    }
    inputs
}
