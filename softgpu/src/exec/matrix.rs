//! Matrix instructions of a warp: multiplications (`mma`, `wmma.mma`) over fragments that its
//! lanes hold together.
//!
//! Every fragment is described by a table from (register, lane, part of the register) to a place
//! in the matrix, made when the instruction is decoded ([`layout`]). A multiplication gathers its
//! operands by those tables, multiplies plain matrices, and scatters the result.
//!
//! Precision: products of f16, bf16, tf32 and 8-bit floats are exact in f32 and are added to the
//! accumulator one after the other in f32, rounded to nearest, in the order of k; an f16 result is
//! rounded once, at the end. Doubles are fused multiply-adds in the order of k. Integers wrap at
//! 32 bits, or are clamped at the end with `.satfinite`. Hardware adds in an order of its own and
//! with its own rounding, so that low bits differ there as they do between its generations.

pub(super) mod element;
pub(super) mod layout;
pub(super) mod sparse;
mod transfer;

use self::element::Element;
use super::LANES;
use super::block::Env;
use super::code::{Operation, Source, Target};
use super::lanes::{Longs, Words};
use super::warp::{Trouble, Warp, lanes};

/// Which matrix instruction.
#[derive(Debug)]
pub(super) enum MatrixKind {
    /// `mma`, `wmma.mma`: the sources are the registers of a, b and c, in that order.
    Multiply(Multiply),
    /// `ldmatrix`: one 8x8 matrix of halves a target.
    LoadTiles { transposed: bool },
    /// `stmatrix`: one 8x8 matrix of halves a source.
    StoreTiles { transposed: bool },
    /// `movmatrix`: the transpose of an 8x8 matrix of halves.
    Transpose,
    /// `wmma.load`: a matrix in memory to a fragment; the source is the stride, in elements.
    LoadFragment(Fragment, Lines),
    /// `wmma.store`: a fragment to a matrix in memory; the stride, then the registers.
    StoreFragment(Fragment, Lines),
}

/// How a matrix lies in memory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lines {
    pub(super) rows: usize,
    pub(super) columns: usize,
    /// Whether elements of a column, rather than of a row, lie side by side.
    pub(super) by_column: bool,
}

/// What the registers of all lanes hold of one matrix.
#[derive(Debug)]
pub(super) struct Fragment {
    pub(super) element: Element,
    /// Registers of each lane.
    pub(super) registers: usize,
    /// Place in the matrix, by rows, of each part of each lane of each register.
    pub(super) places: Vec<u16>,
}

/// The shape and kind of a multiplication: d = a * b + c.
#[derive(Debug)]
pub(super) struct Multiply {
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) depth: usize,
    /// Independent multiplications side by side; their matrices lie one after the other.
    pub(super) count: usize,
    pub(super) a: Fragment,
    pub(super) b: Fragment,
    pub(super) c: Fragment,
    pub(super) d: Fragment,
    pub(super) arithmetic: Arithmetic,
    /// Half of a's elements are stored; the metadata follow the registers of c.
    pub(super) sparse: Option<sparse::Sparse>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Single,
    Double,
    Integer {
        saturate: bool,
    },
    /// Counts of the bits that differ.
    BitsXor,
    /// Counts of the bits that both have.
    BitsAnd,
}

/// Elements of the largest operand: 16x64 nibbles.
pub(super) const ELEMENTS_MAX: usize = 1024;
/// Elements of the largest result: 16x16.
const RESULTS_MAX: usize = 256;

impl Fragment {
    /// Elements in one register.
    fn parts(&self) -> usize {
        self.element.parts()
    }

    /// Gives `take` every element that `rows` hold: place and bits.
    #[inline(always)]
    fn each(&self, rows: &[Longs], mut take: impl FnMut(usize, u64)) {
        let (parts, bits) = (self.parts(), self.element.bits());
        let mut places = self.places.iter();
        let low = u64::MAX >> (64 - bits);
        for row in rows {
            for word in row {
                for part in 0..parts {
                    let Some(&place) = places.next() else { return };
                    take(usize::from(place), word >> (bits * part as u32) & low);
                }
            }
        }
    }

    /// The registers' rows, each element's bits being given by `bits_at`.
    #[inline(always)]
    fn rows(&self, mut bits_at: impl FnMut(usize) -> u64) -> Vec<Longs> {
        let (parts, bits) = (self.parts(), self.element.bits());
        let mut places = self.places.iter();
        (0..self.registers)
            .map(|_| {
                let mut row = [0; LANES];
                for word in &mut row {
                    for part in 0..parts {
                        let place = places.next().map_or(0, |&place| usize::from(place));
                        *word |= bits_at(place) << (bits * part as u32);
                    }
                }
                row
            })
            .collect()
    }
}

impl Warp {
    /// Does a matrix instruction for the lanes of `ready`, normally all of the warp.
    pub(super) fn matrix(
        &mut self,
        env: &mut Env<'_>,
        matrix: &Operation<MatrixKind>,
        ready: u32,
    ) -> Result<(), Trouble> {
        match &matrix.kind {
            MatrixKind::Multiply(multiply) => {
                let sources: Vec<Longs> = (matrix.sources.iter())
                    .map(|&source| self.registers.values(env.constants, source))
                    .collect();
                let rows = multiply.run(&sources);
                self.put(&matrix.targets, ready, &rows);
            }
            MatrixKind::LoadTiles { transposed } => {
                self.load_tiles(env, matrix, *transposed, ready)?;
            }
            MatrixKind::StoreTiles { transposed } => {
                self.store_tiles(env, matrix, *transposed, ready)?;
            }
            MatrixKind::Transpose => self.transpose(env, matrix, ready),
            MatrixKind::LoadFragment(fragment, lines) => {
                self.load_fragment(env, matrix, fragment, *lines, ready)?;
            }
            MatrixKind::StoreFragment(fragment, lines) => {
                self.store_fragment(env, matrix, fragment, *lines, ready)?;
            }
        }
        Ok(())
    }

    fn put(&mut self, targets: &[Target], ready: u32, rows: &[Longs]) {
        for (&target, row) in targets.iter().zip(rows) {
            self.registers.set(target, ready, row);
        }
    }

    /// Every lane meets the others at a matrix instruction: its members are the whole warp.
    pub(super) fn matrix_sync(
        &mut self,
        env: &mut Env<'_>,
        matrix: &Operation<MatrixKind>,
        mask: u32,
    ) -> Result<(), Trouble> {
        let all = |_: &Self, _: &Env<'_>, _: u32| -> Words { [u32::MAX; LANES] };
        self.gather(env, mask, all, |warp, env, _, ready| {
            warp.matrix(env, matrix, ready)
        })
    }

    fn value(&self, env: &Env<'_>, source: Source, ready: u32) -> u64 {
        let lane = lanes(ready).next().unwrap_or(0);
        self.registers.value(env.constants, source, lane)
    }
}

impl Multiply {
    fn run(&self, sources: &[Longs]) -> Vec<Longs> {
        let (a, rest) = sources.split_at(self.a.registers.min(sources.len()));
        let (b, c) = rest.split_at(self.b.registers.min(rest.len()));
        let columns = match (&self.sparse, c.last()) {
            (Some(sparse), Some(metadata)) => Some(sparse.columns(metadata)),
            _ => None,
        };
        let chosen = columns.as_ref().map(<[u16; ELEMENTS_MAX]>::as_slice);
        let operands = [a, b, c];
        match self.arithmetic {
            Arithmetic::Single => self.singles(operands, chosen),
            Arithmetic::Double => self.doubles(operands),
            Arithmetic::Integer { saturate } => {
                let product = |a, b| i64::from(a) * i64::from(b);
                self.integers(operands, chosen, product, saturate)
            }
            Arithmetic::BitsXor => {
                let product = |a: i32, b: i32| i64::from((a ^ b).count_ones());
                self.integers(operands, None, product, false)
            }
            Arithmetic::BitsAnd => {
                let product = |a: i32, b: i32| i64::from((a & b).count_ones());
                self.integers(operands, None, product, false)
            }
        }
    }

    /// Calls `step` for every row of the result and every k: where the row of a's element, b's row
    /// and the result's row begin. For sparse ones `chosen` is the k of every stored element.
    #[inline(always)]
    fn steps(&self, chosen: Option<&[u16]>, mut step: impl FnMut(usize, usize, usize)) {
        if let Some(chosen) = chosen {
            let stored = self.depth / 2;
            for (a_at, &k) in chosen.iter().take(self.rows * stored).enumerate() {
                let to = a_at / stored * self.columns;
                step(a_at, usize::from(k) * self.columns, to);
            }
            return;
        }
        let (a_len, b_len) = (self.rows * self.depth, self.depth * self.columns);
        for one in 0..self.count {
            for row in 0..self.rows {
                let to = (one * self.rows + row) * self.columns;
                for k in 0..self.depth {
                    let a_at = one * a_len + row * self.depth + k;
                    step(a_at, one * b_len + k * self.columns, to);
                }
            }
        }
    }

    fn singles(&self, [a, b, c]: [&[Longs]; 3], chosen: Option<&[u16]>) -> Vec<Longs> {
        let mut left = [0f32; ELEMENTS_MAX];
        let mut right = [0f32; ELEMENTS_MAX];
        let mut sums = [0f32; RESULTS_MAX];
        let read = |fragment: &Fragment, rows: &[Longs], to: &mut [f32]| {
            fragment.each(rows, |place, bits| {
                to[place] = fragment.element.single(bits)
            });
        };
        read(&self.a, a, &mut left);
        read(&self.b, b, &mut right);
        read(&self.c, c, &mut sums);
        let columns = self.columns;
        self.steps(chosen, |a_at, b_at, to| {
            let factor = left[a_at];
            let from = &right[b_at..b_at + columns];
            for (sum, value) in sums[to..to + columns].iter_mut().zip(from) {
                *sum += factor * value;
            }
        });
        let element = self.d.element;
        self.d.rows(|place| element.rounded(sums[place]))
    }

    fn doubles(&self, [a, b, c]: [&[Longs]; 3]) -> Vec<Longs> {
        let mut left = [0f64; RESULTS_MAX];
        let mut right = [0f64; RESULTS_MAX];
        let mut sums = [0f64; RESULTS_MAX];
        let read = |fragment: &Fragment, rows: &[Longs], to: &mut [f64]| {
            fragment.each(rows, |place, bits| to[place] = f64::from_bits(bits));
        };
        read(&self.a, a, &mut left);
        read(&self.b, b, &mut right);
        read(&self.c, c, &mut sums);
        let columns = self.columns;
        self.steps(None, |a_at, b_at, to| {
            let factor = left[a_at];
            let from = &right[b_at..b_at + columns];
            for (sum, value) in sums[to..to + columns].iter_mut().zip(from) {
                *sum = factor.mul_add(*value, *sum);
            }
        });
        self.d.rows(|place| sums[place].to_bits())
    }

    #[inline(always)]
    fn integers(
        &self,
        [a, b, c]: [&[Longs]; 3],
        chosen: Option<&[u16]>,
        product: impl Fn(i32, i32) -> i64,
        saturate: bool,
    ) -> Vec<Longs> {
        let mut left = [0i32; ELEMENTS_MAX];
        let mut right = [0i32; ELEMENTS_MAX];
        let mut sums = [0i64; RESULTS_MAX];
        let read = |fragment: &Fragment, rows: &[Longs], to: &mut [i32]| {
            fragment.each(rows, |place, bits| {
                to[place] = fragment.element.integer(bits)
            });
        };
        read(&self.a, a, &mut left);
        read(&self.b, b, &mut right);
        self.c
            .each(c, |place, bits| sums[place] = i64::from(bits as i32));
        let columns = self.columns;
        self.steps(chosen, |a_at, b_at, to| {
            let factor = left[a_at];
            let from = &right[b_at..b_at + columns];
            for (sum, &value) in sums[to..to + columns].iter_mut().zip(from) {
                *sum += product(factor, value);
            }
        });
        self.d.rows(|place| {
            let sum = if saturate {
                sums[place].clamp(i64::from(i32::MIN), i64::from(i32::MAX))
            } else {
                sums[place]
            };
            u64::from(sum as u32)
        })
    }
}
