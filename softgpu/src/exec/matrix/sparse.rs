//! Sparse multiplications (`mma.sp`): which row of b each stored element of a meets.
//!
//! Half of a's elements are stored. Four bits of metadata say of each chunk of a row which ones:
//! two places among four elements, one place among two singles, or two pairs among eight nibbles.
//! Where a chunk's four bits lie depends on the size of the elements. Rows r and r + 8 of a are
//! those of the four threads 4 * r and following. With elements of 16 bits and more, each of
//! these that contributes holds four chunks of row r in its low half and the same four of r + 8 in
//! its high half. With smaller ones a thread holds eight chunks of one row, and the next thread
//! those of the other row. Source: PTX ISA, Matrix multiply-accumulate operation using mma.sp.

use super::super::lanes::Longs;
use super::ELEMENTS_MAX;
use super::element::Element;
use super::layout::Shape;

/// How chunks are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chunk {
    TwoOfFour,
    OneOfTwo,
    PairsOfEight,
}

/// Where the metadata of one stored element lies.
#[derive(Debug, Clone, Copy)]
struct Finder {
    lane: u8,
    shift: u8,
    /// First element that it may be.
    first: u16,
}

/// The places of the metadata of a multiplication.
#[derive(Debug)]
pub(in super::super) struct Sparse {
    chunk: Chunk,
    finders: Vec<Finder>,
}

impl Sparse {
    /// The metadata of a matrix of 16 rows and this depth, held by the threads that `selector`
    /// says; `None` if there is no such multiplication.
    pub(in super::super) fn new(shape: Shape, element: Element, selector: usize) -> Option<Self> {
        let (chunk, width, stored) = match element {
            Element::F16 | Element::Bf16 | Element::S8 | Element::U8 => (Chunk::TwoOfFour, 4, 2),
            Element::E4m3 | Element::E5m2 => (Chunk::TwoOfFour, 4, 2),
            Element::Tf32 => (Chunk::OneOfTwo, 2, 1),
            Element::S4 | Element::U4 => (Chunk::PairsOfEight, 8, 4),
            _ => return None,
        };
        if (shape.rows, shape.columns) != (16, 8) || !shape.depth.is_multiple_of(width) {
            return None;
        }
        let chunks = shape.depth / width;
        let halves = element.bits() >= 16;
        // Bits of all rows over those of a thread, for each group of four threads.
        let threads = chunks / 4;
        let fits = if halves {
            matches!(threads, 1 | 2)
        } else {
            matches!(threads, 2 | 4)
        };
        if !fits || selector >= 4 / threads {
            return None;
        }
        let mut finders = Vec::with_capacity(16 * shape.depth / 2);
        for row in 0..16 {
            for column in 0..shape.depth / 2 {
                let (at, index) = (column / stored, column % stored);
                let (thread, place) = if halves {
                    (at / 4, 4 * (at % 4) + 16 * (row / 8))
                } else {
                    (2 * (at / 8) + row / 8, 4 * (at % 8))
                };
                let (sub, first) = match chunk {
                    Chunk::PairsOfEight => (index / 2, width * at + index % 2),
                    _ => (index, width * at),
                };
                finders.push(Finder {
                    lane: (4 * (row % 8) + selector * threads + thread) as u8,
                    shift: (place + 2 * sub) as u8,
                    first: first as u16,
                });
            }
        }
        Some(Self { chunk, finders })
    }

    /// The column of the whole matrix of every stored element, row by row.
    pub(super) fn columns(&self, metadata: &Longs) -> [u16; ELEMENTS_MAX] {
        let mut columns = [0; ELEMENTS_MAX];
        for (column, finder) in columns.iter_mut().zip(&self.finders) {
            let index = (metadata[usize::from(finder.lane)] >> finder.shift & 3) as u16;
            *column = finder.first
                + match self.chunk {
                    Chunk::TwoOfFour => index,
                    Chunk::OneOfTwo => index >> 1,
                    Chunk::PairsOfEight => 2 * index,
                };
        }
        columns
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::LANES;

    fn sparse(word: &str, element: Element, selector: usize) -> Option<Sparse> {
        Sparse::new(Shape::from_word(word).unwrap(), element, selector)
    }

    #[test]
    fn selectors_and_shapes_that_do_not_exist_are_refused() {
        assert!(sparse("m16n8k16", Element::F16, 3).is_some());
        assert!(sparse("m16n8k16", Element::F16, 4).is_none());
        assert!(sparse("m16n8k32", Element::Bf16, 1).is_some());
        assert!(sparse("m16n8k32", Element::Bf16, 2).is_none());
        assert!(sparse("m16n8k64", Element::S8, 0).is_some());
        assert!(sparse("m16n8k64", Element::S8, 1).is_none());
        assert!(sparse("m16n8k128", Element::U4, 0).is_some());
        assert!(sparse("m16n8k256", Element::U4, 0).is_none());
        assert!(sparse("m8n8k16", Element::F16, 0).is_none());
        assert!(sparse("m16n8k16", Element::F64, 0).is_none());
    }

    #[test]
    fn every_column_of_every_metadata_is_one_of_the_matrix() {
        for (word, element, depth) in [
            ("m16n8k32", Element::F16, 32),
            ("m16n8k16", Element::Tf32, 16),
            ("m16n8k64", Element::U8, 64),
            ("m16n8k128", Element::S4, 128),
        ] {
            let columns = sparse(word, element, 0)
                .unwrap()
                .columns(&[u64::MAX; LANES]);
            let stored = &columns[..16 * depth / 2];
            assert!(stored.iter().all(|&one| usize::from(one) < depth), "{word}");
            assert_eq!(usize::from(stored[stored.len() - 1]), depth - 1, "{word}");
        }
    }
}
