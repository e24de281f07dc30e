//! Matrices between memory and fragments: `ldmatrix`, `stmatrix`, `movmatrix`, `wmma.load`,
//! `wmma.store`.

use super::super::LANES;
use super::super::block::Env;
use super::super::check::Touch;
use super::super::code::{Address, Operation, Region};
use super::super::execute::trouble;
use super::super::lanes::Longs;
use super::super::memory::Bad;
use super::super::warp::{Trouble, Warp, lanes};
use super::{ELEMENTS_MAX, Fragment, Lines, MatrixKind};

/// Bytes of a row of an 8x8 matrix of halves.
const TILE_ROW_BYTES: u64 = 16;

/// An 8x8 matrix of halves, two columns side by side in a word: row, half row.
type Tile = [[u32; 4]; 8];

impl Warp {
    /// `ldmatrix`: lanes 8i to 8i+7 give the addresses of the rows of matrix i.
    pub(super) fn load_tiles(
        &mut self,
        env: &Env<'_>,
        matrix: &Operation<MatrixKind>,
        transposed: bool,
        ready: u32,
    ) -> Result<(), Trouble> {
        let (region, addresses) = self.tile_rows(env, matrix)?;
        let mut rows = Vec::with_capacity(matrix.targets.len());
        for number in 0..matrix.targets.len() {
            let mut tile: Tile = [[0; 4]; 8];
            for (row, words) in tile.iter_mut().enumerate() {
                let lane = 8 * number + row;
                let thread = self.thread(lane);
                self.check_touch(env, tile_row(region, lane, addresses[lane], false))?;
                for (at, word) in words.iter_mut().enumerate() {
                    let address = addresses[lane].wrapping_add(4 * at as u64);
                    let loaded = env.spaces.load(region, thread, address, 4);
                    *word = loaded.map_err(|bad| trouble(lane, bad, address))? as u32;
                }
            }
            rows.push(to_lanes(&if transposed { flip(&tile) } else { tile }));
        }
        self.put(&matrix.targets, ready, &rows);
        Ok(())
    }

    /// `stmatrix`, the way back.
    pub(super) fn store_tiles(
        &mut self,
        env: &mut Env<'_>,
        matrix: &Operation<MatrixKind>,
        transposed: bool,
        ready: u32,
    ) -> Result<(), Trouble> {
        let (region, addresses) = self.tile_rows(env, matrix)?;
        for (number, &source) in matrix.sources.iter().enumerate() {
            let tile = from_lanes(&self.registers.values(env.constants, source));
            let tile = if transposed { flip(&tile) } else { tile };
            for (row, words) in tile.iter().enumerate() {
                let lane = 8 * number + row;
                if ready >> lane & 1 == 0 {
                    continue;
                }
                let thread = self.thread(lane);
                self.check_touch(env, tile_row(region, lane, addresses[lane], true))?;
                for (at, &word) in words.iter().enumerate() {
                    let address = addresses[lane].wrapping_add(4 * at as u64);
                    let stored = env.spaces.store(region, thread, address, 4, word.into());
                    stored.map_err(|bad| trouble(lane, bad, address))?;
                }
            }
        }
        Ok(())
    }

    /// `movmatrix`
    pub(super) fn transpose(&mut self, env: &Env<'_>, matrix: &Operation<MatrixKind>, ready: u32) {
        let rows: Vec<Longs> = (matrix.sources.iter())
            .map(|&source| {
                let tile = from_lanes(&self.registers.values(env.constants, source));
                to_lanes(&flip(&tile))
            })
            .collect();
        self.put(&matrix.targets, ready, &rows);
    }

    /// The addresses of the rows of all matrices, one a lane, as far as they count.
    fn tile_rows(
        &self,
        env: &Env<'_>,
        matrix: &Operation<MatrixKind>,
    ) -> Result<(Region, Longs), Trouble> {
        let Some(address) = &matrix.addresses[0] else {
            return Err(trouble(0, Bad::Address, 0));
        };
        let addresses = self.addresses(env, address);
        let count = matrix.targets.len().max(matrix.sources.len());
        let used = (8 * count).min(LANES);
        match (0..used).find(|&lane| !addresses[lane].is_multiple_of(TILE_ROW_BYTES)) {
            Some(lane) => Err(trouble(lane, Bad::Alignment, addresses[lane])),
            None => Ok((address.region, addresses)),
        }
    }

    /// `wmma.load`: each element is read once, whoever holds it.
    pub(super) fn load_fragment(
        &mut self,
        env: &Env<'_>,
        matrix: &Operation<MatrixKind>,
        fragment: &Fragment,
        lines: Lines,
        ready: u32,
    ) -> Result<(), Trouble> {
        let place = self.whereabouts(env, matrix, fragment, lines, ready)?;
        let mut elements = [0u64; ELEMENTS_MAX];
        let (bits, size) = (fragment.element.bits(), place.size);
        let low = u64::MAX >> (64 - bits);
        for (at, element) in elements[..lines.rows * lines.columns]
            .iter_mut()
            .enumerate()
        {
            let (address, shift) = place.of(at, bits);
            self.check_touch(env, place.touch(address, false))?;
            let loaded = env.spaces.load(place.region, place.thread, address, size);
            let loaded = loaded.map_err(|bad| trouble(place.lane, bad, address))?;
            *element = loaded >> shift & low;
        }
        let rows = fragment.rows(|place| elements[place]);
        self.put(&matrix.targets, ready, &rows);
        Ok(())
    }

    /// `wmma.store`, the way back; elements are whole words here.
    pub(super) fn store_fragment(
        &mut self,
        env: &mut Env<'_>,
        matrix: &Operation<MatrixKind>,
        fragment: &Fragment,
        lines: Lines,
        ready: u32,
    ) -> Result<(), Trouble> {
        let place = self.whereabouts(env, matrix, fragment, lines, ready)?;
        let mut elements = [0u64; ELEMENTS_MAX];
        let registers = matrix.sources.get(1..).unwrap_or_default();
        let rows: Vec<Longs> = (registers.iter())
            .map(|&source| self.registers.values(env.constants, source))
            .collect();
        fragment.each(&rows, |place, bits| elements[place] = bits);
        for (at, &bits) in elements[..lines.rows * lines.columns].iter().enumerate() {
            let (address, _) = place.of(at, fragment.element.bits());
            self.check_touch(env, place.touch(address, true))?;
            let (region, thread) = (place.region, place.thread);
            let stored = env.spaces.store(region, thread, address, place.size, bits);
            stored.map_err(|bad| trouble(place.lane, bad, address))?;
        }
        Ok(())
    }

    /// Address and stride are the same on all lanes; those of the first count.
    fn whereabouts(
        &self,
        env: &Env<'_>,
        matrix: &Operation<MatrixKind>,
        fragment: &Fragment,
        lines: Lines,
        ready: u32,
    ) -> Result<Whereabouts, Trouble> {
        let lane = lanes(ready).next().unwrap_or(0);
        let (Some(address), Some(&stride)) = (&matrix.addresses[0], matrix.sources.first()) else {
            return Err(trouble(lane, Bad::Address, 0));
        };
        let address: &Address = address;
        let stride = self.value(env, stride, ready) as u32;
        Ok(Whereabouts {
            region: address.region,
            start: self.addresses(env, address)[lane],
            // Strides of bits are given in bits; the elements here are words of them.
            stride: u64::from(stride) / fragment.element.depth() as u64,
            lines,
            size: (fragment.element.bits() / 8).max(1),
            lane,
            thread: self.thread(lane),
        })
    }
}

/// A matrix in memory.
struct Whereabouts {
    region: Region,
    start: u64,
    /// Elements from one line to the next.
    stride: u64,
    lines: Lines,
    /// Bytes that hold an element.
    size: u32,
    lane: usize,
    thread: usize,
}

impl Whereabouts {
    /// What is touched for the element at an address.
    fn touch(&self, address: u64, writes: bool) -> Touch {
        Touch {
            lane: self.lane,
            region: self.region,
            address,
            size: u64::from(self.size),
            alignment: u64::from(self.size),
            writes,
        }
    }

    /// Where the element at `at` of the matrix lies, and its first bit there.
    fn of(&self, at: usize, bits: u32) -> (u64, u32) {
        let (row, column) = (at / self.lines.columns, at % self.lines.columns);
        let (line, within) = if self.lines.by_column {
            (column, row)
        } else {
            (row, column)
        };
        let bit = (line as u64 * self.stride + within as u64) * u64::from(bits);
        (self.start.wrapping_add(bit / 8), bit as u32 & 7)
    }
}

/// What is touched for a row of an 8x8 matrix.
fn tile_row(region: Region, lane: usize, address: u64, writes: bool) -> Touch {
    Touch {
        lane,
        region,
        address,
        size: TILE_ROW_BYTES,
        alignment: TILE_ROW_BYTES,
        writes,
    }
}

/// Lane l holds the l % 4-th pair of row l / 4.
fn to_lanes(tile: &Tile) -> Longs {
    std::array::from_fn(|lane| u64::from(tile[lane / 4][lane % 4]))
}

fn from_lanes(row: &Longs) -> Tile {
    std::array::from_fn(|line| std::array::from_fn(|at| row[4 * line + at] as u32))
}

fn flip(tile: &Tile) -> Tile {
    let half = |row: usize, column: usize| tile[row][column / 2] >> (16 * (column % 2)) & 0xffff;
    std::array::from_fn(|row| {
        std::array::from_fn(|at| half(2 * at, row) | half(2 * at + 1, row) << 16)
    })
}
