//! `mma.sp` against plain products of matrices of which half the elements are zero. Where the
//! metadata lie is written down here from the PTX ISA's figures, shape by shape.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    clippy::unwrap_used,
    reason = "test code"
)]

mod ptx_support;

use ptx_support::table::Random;
use ptx_support::{Arg, Gpu};

/// How the metadata of a row's chunks are dealt to a group of four threads.
#[derive(Clone, Copy, PartialEq)]
enum Deal {
    /// One thread has rows r (low half) and r + 8 (high half).
    One,
    /// Two threads, each with half of the chunks, as above.
    Halves,
    /// Two threads, each with one of the rows.
    Rows,
    /// Four threads: rows r and r + 8 of the first chunks, then of the others.
    All,
}

struct Form {
    name: &'static str,
    depth: usize,
    /// Bits of an element of a and b, and of c and d.
    bits: [u32; 2],
    /// Elements of a chunk, and how many lie side by side where one is not zero.
    chunk: [usize; 2],
    deal: Deal,
    encode: [fn(i32) -> u64; 2],
}

fn half(value: i32) -> u64 {
    let sign = if value < 0 { 0x8000 } else { 0 };
    match u64::from(value.unsigned_abs()) {
        0 => 0,
        size => {
            let place = u64::from(size.ilog2());
            sign | (place + 15) << 10 | ((size << 10 >> place) & 0x3ff)
        }
    }
}

fn brain(value: i32) -> u64 {
    single(value) >> 16
}

fn single(value: i32) -> u64 {
    u64::from((value as f32).to_bits())
}

fn integer(value: i32) -> u64 {
    value as u32 as u64
}

/// Sign, exponent of bias 7, fraction of 3 bits.
fn e4m3(value: i32) -> u64 {
    let sign = if value < 0 { 0x80 } else { 0 };
    match u64::from(value.unsigned_abs()) {
        0 => 0,
        size => {
            let place = u64::from(size.ilog2());
            sign | (place + 7) << 3 | ((size << 3 >> place) & 7)
        }
    }
}

#[rustfmt::skip]
const FORMS: [Form; 13] = [
    Form { name: "m16n8k16.row.col.f32.f16.f16.f32", depth: 16, bits: [16, 32], chunk: [4, 1],
        deal: Deal::One, encode: [half, single] },
    Form { name: "m16n8k32.row.col.f32.f16.f16.f32", depth: 32, bits: [16, 32], chunk: [4, 1],
        deal: Deal::Halves, encode: [half, single] },
    Form { name: "m16n8k32.row.col.f16.f16.f16.f16", depth: 32, bits: [16, 16], chunk: [4, 1],
        deal: Deal::Halves, encode: [half, half] },
    Form { name: "m16n8k16.row.col.f32.bf16.bf16.f32", depth: 16, bits: [16, 32], chunk: [4, 1],
        deal: Deal::One, encode: [brain, single] },
    Form { name: "m16n8k32.row.col.f32.bf16.bf16.f32", depth: 32, bits: [16, 32], chunk: [4, 1],
        deal: Deal::Halves, encode: [brain, single] },
    Form { name: "m16n8k8.row.col.f32.tf32.tf32.f32", depth: 8, bits: [32, 32], chunk: [2, 1],
        deal: Deal::One, encode: [single, single] },
    Form { name: "m16n8k16.row.col.f32.tf32.tf32.f32", depth: 16, bits: [32, 32], chunk: [2, 1],
        deal: Deal::Halves, encode: [single, single] },
    Form { name: "m16n8k32.row.col.s32.s8.s8.s32", depth: 32, bits: [8, 32], chunk: [4, 1],
        deal: Deal::Rows, encode: [integer, integer] },
    Form { name: "m16n8k64.row.col.satfinite.s32.s8.s8.s32", depth: 64, bits: [8, 32],
        chunk: [4, 1], deal: Deal::All, encode: [integer, integer] },
    Form { name: "m16n8k64.row.col.s32.s4.s4.s32", depth: 64, bits: [4, 32], chunk: [8, 2],
        deal: Deal::Rows, encode: [integer, integer] },
    Form { name: "m16n8k128.row.col.s32.s4.s4.s32", depth: 128, bits: [4, 32], chunk: [8, 2],
        deal: Deal::All, encode: [integer, integer] },
    Form { name: "m16n8k64.row.col.f32.e4m3.e4m3.f32", depth: 64, bits: [8, 32], chunk: [4, 1],
        deal: Deal::All, encode: [e4m3, single] },
    Form { name: "m16n8k128.row.col.satfinite.s32.s4.s4.s32", depth: 128, bits: [4, 32],
        chunk: [8, 2], deal: Deal::All, encode: [integer, integer] },
];

impl Form {
    fn selectors(&self) -> u64 {
        match self.deal {
            Deal::One => 4,
            Deal::Halves | Deal::Rows => 2,
            Deal::All => 1,
        }
    }

    /// Thread of its group of four and bit of a chunk's metadata.
    fn metadata_at(&self, selector: usize, row: usize, chunk: usize) -> (usize, usize) {
        let upper = row / 8;
        match self.deal {
            Deal::One => (selector, 4 * chunk + 16 * upper),
            Deal::Halves => (2 * selector + chunk / 4, 4 * (chunk % 4) + 16 * upper),
            Deal::Rows => (2 * selector + upper, 4 * chunk),
            Deal::All => (2 * (chunk / 8) + upper, 4 * (chunk % 8)),
        }
    }

    /// Elements of a register.
    fn parts(&self, bits: u32) -> usize {
        (32 / bits) as usize
    }
}

/// The words of all lanes, `registers` each, whose elements `value` (lane, index) gives.
fn deal(registers: usize, bits: u32, value: impl Fn(usize, usize) -> u64) -> Vec<u32> {
    let parts = (32 / bits) as usize;
    let mut words = Vec::new();
    for lane in 0..32 {
        for register in 0..registers {
            let word = (0..parts).fold(0u64, |word, part| {
                let mask = u64::MAX >> (64 - bits);
                word | (value(lane, register * parts + part) & mask) << (part as u32 * bits)
            });
            words.push(word as u32);
        }
    }
    words
}

fn kernel(form: &Form, counts: [usize; 3], variant: &str, selector: usize) -> String {
    let list = |letter: &str, count: usize| {
        let names: Vec<String> = (0..count).map(|at| format!("%{letter}{at}")).collect();
        format!("{{{}}}", names.join(", "))
    };
    let mut body = String::new();
    for (letter, count) in ["a", "b", "c", "e"]
        .into_iter()
        .zip([counts[0], counts[1], counts[2], 1])
    {
        body += &format!(
            "ld.param.u64 %p, [{letter}]; mad.wide.u32 %p, %i, {}, %p;\n",
            4 * count
        );
        for at in 0..count {
            body += &format!("ld.global.b32 %{letter}{at}, [%p+{}];\n", 4 * at);
        }
    }
    body += &format!(
        "mma.{variant}.sync.aligned.{} {}, {}, {}, {}, %e0, {selector:#x};\n\
         ld.param.u64 %p, [d]; mad.wide.u32 %p, %i, {}, %p;\n",
        form.name,
        list("d", counts[2]),
        list("a", counts[0]),
        list("b", counts[1]),
        list("c", counts[2]),
        4 * counts[2]
    );
    for at in 0..counts[2] {
        body += &format!("st.global.b32 [%p+{}], %d{at};\n", 4 * at);
    }
    let parameters = ["a", "b", "c", "e", "d"].map(|name| format!(".param .u64 {name}"));
    format!(
        ".version 8.5\n.target sm_90\n.address_size 64\n.visible .entry k({})\n{{\n\
         .reg .b32 %a<9>, %b<9>, %c<9>, %d<9>, %e<2>, %i;\n.reg .b64 %p;\n\
         mov.u32 %i, %tid.x;\n{body}ret;\n}}",
        parameters.join(", ")
    )
}

/// Two different places of four, the lower first.
fn two_of_four(random: &mut Random) -> [usize; 2] {
    [[0, 1], [0, 2], [1, 2], [0, 3], [1, 3], [2, 3]][(random.next() >> 40) as usize % 6]
}

/// A matrix of which half is zero, what is stored of it, and the metadata of each lane.
struct Sparse {
    whole: Vec<Vec<i32>>,
    stored: Vec<Vec<i32>>,
    metadata: Vec<u32>,
}

fn sparse(form: &Form, selector: usize, random: &mut Random) -> Sparse {
    let [width, pair] = form.chunk;
    let mut one = Sparse {
        whole: vec![vec![0; form.depth]; 16],
        stored: vec![Vec::new(); 16],
        // Lanes that contribute nothing hold nonsense.
        metadata: (0..32).map(|_| random.next() as u32).collect(),
    };
    for row in 0..16 {
        for chunk in 0..form.depth / width {
            let (code, kept): (u32, Vec<usize>) = if width == 2 {
                let second = random.next() >> 40 & 1 == 1;
                (
                    if second { 0b1110 } else { 0b0100 },
                    vec![usize::from(second)],
                )
            } else {
                let [low, high] = two_of_four(random);
                let both = [low, high];
                let kept = both
                    .iter()
                    .flat_map(|at| (0..pair).map(move |part| at * pair + part));
                ((low | high << 2) as u32, kept.collect())
            };
            for place in kept {
                let value = (random.next() >> 40) as i32 % 8 - 4;
                one.whole[row][chunk * width + place] = value;
                one.stored[row].push(value);
            }
            let (thread, bit) = form.metadata_at(selector, row, chunk);
            let word = &mut one.metadata[4 * (row % 8) + thread];
            *word = *word & !(15 << bit) | code << bit;
        }
    }
    one
}

fn check(form: &Form, variant: &str, selector: usize, random: &mut Random) {
    let a = sparse(form, selector, random);
    let mut small = || (random.next() >> 40) as i32 % 8 - 4;
    let b: Vec<Vec<i32>> = (0..form.depth)
        .map(|_| (0..8).map(|_| small()).collect())
        .collect();
    let c: Vec<Vec<i32>> = (0..16).map(|_| (0..8).map(|_| small()).collect()).collect();
    let [bits, sums] = form.bits;
    let (parts, sum_parts) = (form.parts(bits), form.parts(sums));
    let counts = [
        16 * form.depth / 2 / 32 / parts,
        form.depth / 4 / parts,
        4 / sum_parts,
    ];
    let sum_at =
        |lane: usize, index: usize| (lane / 4 + 8 * (index / 2), 2 * (lane % 4) + index % 2);
    let words = [
        deal(counts[0], bits, |lane, index| {
            let (register, part) = (index / parts, index % parts);
            let row = lane / 4 + 8 * (register % 2);
            form.encode[0](a.stored[row][(register / 2 * 4 + lane % 4) * parts + part])
        }),
        deal(counts[1], bits, |lane, index| {
            let (register, part) = (index / parts, index % parts);
            form.encode[0](b[(register * 4 + lane % 4) * parts + part][lane / 4])
        }),
        deal(counts[2], sums, |lane, index| {
            let (row, column) = sum_at(lane, index);
            form.encode[1](c[row][column])
        }),
    ];
    let gpu = Gpu::with_arena(&kernel(form, counts, variant, selector), 1 << 17);
    let d = gpu.allocate(4 * words[2].len());
    let [a_at, b_at, c_at] = words
        .each_ref()
        .map(|words| Arg::Address(gpu.upload_words(words)));
    let e_at = Arg::Address(gpu.upload_words(&a.metadata));
    let arguments = [a_at, b_at, c_at, e_at, Arg::Address(d)];
    gpu.launch("k", [1, 1, 1], [32, 1, 1], 0, &arguments)
        .unwrap();
    let wanted = deal(counts[2], sums, |lane, index| {
        let (row, column) = sum_at(lane, index);
        let products = (0..form.depth).map(|k| a.whole[row][k] * b[k][column]);
        form.encode[1](products.sum::<i32>() + c[row][column])
    });
    let found = gpu.words(d, words[2].len());
    assert_eq!(found, wanted, "{variant} {} selector {selector}", form.name);
}

#[test]
fn half_empty_matrices_multiply_as_whole_ones() {
    let mut random = Random::new();
    for form in &FORMS {
        for selector in 0..form.selectors() as usize {
            for variant in ["sp", "sp::ordered_metadata"] {
                for _ in 0..4 {
                    check(form, variant, selector, &mut random);
                }
            }
        }
    }
}
