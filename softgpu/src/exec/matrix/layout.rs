//! Where the elements of fragments lie. Source: PTX ISA, Matrix Fragments for each shape of `mma`.
//!
//! With p elements in a register, g = lane / 4 and t = lane % 4, the shapes of 8 or 16 rows and 8
//! columns share one rule. Register r of a holds rows g (r even, or one register of 8 rows) and
//! g + 8 (r odd) of the columns t * p and following of the (r / 2)-th group of 4 * p columns.
//! Register r of b holds column g, of the rows t * p and following of the r-th group of 4 * p.
//! A result's element i is in row g + 8 * (i / 2) and column 2 * t + i % 2.

use super::super::LANES;
use super::element::Element;
use super::{ELEMENTS_MAX, Fragment};

/// Which operand of a multiplication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Role {
    A,
    B,
    /// The accumulator, c or d.
    Sum,
}

/// Rows, columns and depth: m, n, k, in elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Shape {
    pub(in super::super) rows: usize,
    pub(in super::super) columns: usize,
    pub(in super::super) depth: usize,
}

impl Shape {
    /// The shape that a word such as `m16n8k16` names.
    pub(in super::super) fn from_word(word: &str) -> Option<Self> {
        let (rows, rest) = word.strip_prefix('m')?.split_once('n')?;
        let (columns, depth) = rest.split_once('k')?;
        Some(Self {
            rows: rows.parse().ok()?,
            columns: columns.parse().ok()?,
            depth: depth.parse().ok()?,
        })
    }

    /// Rows and columns of one operand.
    pub(in super::super) fn of(self, role: Role) -> (usize, usize) {
        match role {
            Role::A => (self.rows, self.depth),
            Role::B => (self.depth, self.columns),
            Role::Sum => (self.rows, self.columns),
        }
    }
}

/// The fragment whose `elements` per lane lie where `place` (lane, element) says: row, column.
fn fragment(
    element: Element,
    elements: usize,
    columns: usize,
    place: impl Fn(usize, usize) -> (usize, usize),
) -> Fragment {
    let parts = element.parts();
    let registers = elements.div_ceil(parts);
    let mut places = Vec::with_capacity(registers * parts * LANES);
    for register in 0..registers {
        for lane in 0..LANES {
            for part in 0..parts {
                let (row, column) = place(lane, register * parts + part);
                places.push((row * columns + column) as u16);
            }
        }
    }
    Fragment {
        element,
        registers,
        places,
    }
}

/// The fragment of `mma` for a shape of 8 or 16 rows and 8 columns.
pub(in super::super) fn documented(role: Role, shape: Shape, element: Element) -> Fragment {
    let (rows, columns) = shape.of(role);
    let parts = element.parts();
    fragment(element, rows * columns / LANES, columns, |lane, index| {
        let (group, thread) = (lane / 4, lane % 4);
        let (register, part) = (index / parts, index % parts);
        match role {
            Role::A => {
                let halves = rows / 8;
                let chunk = register / halves;
                let row = group + 8 * (register % halves);
                (row, (chunk * 4 + thread) * parts + part)
            }
            Role::B => ((register * 4 + thread) * parts + part, group),
            Role::Sum => (group + 8 * (index / 2), 2 * thread + index % 2),
        }
    })
}

/// The fragments of `mma.m8n8k4` on f16: four multiplications, each by eight lanes. The matrices
/// lie one under the other.
pub(in super::super) fn quads(role: Role, by_column: bool, element: Element) -> Fragment {
    let shape = Shape {
        rows: 8,
        columns: 8,
        depth: 4,
    };
    let (rows, columns) = shape.of(role);
    let elements = if role == Role::Sum { 8 } else { 4 };
    fragment(element, elements, columns, |lane, index| {
        let first = lane / 4 % 4 * rows;
        let (thread, upper) = (lane % 4, 4 * (lane / 16));
        let (row, column) = match (role, by_column) {
            (Role::A, false) => (thread + upper, index),
            (Role::A, true) => (index + upper, thread),
            (Role::B, false) => (thread, index + upper),
            (Role::B, true) => (index, thread + upper),
            (Role::Sum, _) if element == Element::F32 => {
                let row = (lane & 1) + (index & 2) + upper;
                (row, (index & 4) + (lane & 2) + (index & 1))
            }
            (Role::Sum, _) => (thread + upper, index),
        };
        (first + row, column)
    })
}

/// The fragment of `wmma`, which PTX leaves open: the elements one after the other over the lanes,
/// repeated where the registers hold more than the matrix has. `None` if the registers do not fit.
pub(in super::super) fn opaque(
    role: Role,
    shape: Shape,
    element: Element,
    registers: usize,
) -> Option<Fragment> {
    let (rows, columns) = shape.of(role);
    let total = rows * columns;
    let elements = registers * element.parts();
    let held = elements * LANES;
    if registers > 16 || total == 0 || total > ELEMENTS_MAX || !held.is_multiple_of(total) {
        return None;
    }
    Some(fragment(element, elements, columns, |lane, index| {
        let at = (lane * elements + index) % total;
        (at / columns, at % columns)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(word: &str) -> Shape {
        Shape::from_word(word).unwrap()
    }

    /// Row and column of element `index` of `lane`.
    fn at(fragment: &Fragment, columns: usize, lane: usize, index: usize) -> (usize, usize) {
        let parts = fragment.element.parts();
        let (register, part) = (index / parts, index % parts);
        let place = usize::from(fragment.places[(register * LANES + lane) * parts + part]);
        (place / columns, place % columns)
    }

    #[test]
    fn every_element_is_held_exactly_once() {
        let cases = [
            ("m16n8k16", Element::F16),
            ("m16n8k8", Element::Bf16),
            ("m16n8k4", Element::Tf32),
            ("m16n8k8", Element::Tf32),
            ("m16n8k16", Element::F64),
            ("m8n8k4", Element::F64),
            ("m8n8k16", Element::S8),
            ("m16n8k32", Element::U8),
            ("m16n8k64", Element::S4),
            ("m8n8k32", Element::U4),
            ("m16n8k32", Element::E4m3),
        ];
        for (word, element) in cases {
            for role in [Role::A, Role::B] {
                let fragment = documented(role, shape(word), element);
                let (rows, columns) = shape(word).of(role);
                let mut places = fragment.places.clone();
                places.sort_unstable();
                let wanted: Vec<u16> = (0..(rows * columns) as u16).collect();
                assert_eq!(places, wanted, "{word} {element:?} {role:?}");
            }
        }
        for role in [Role::A, Role::B, Role::Sum] {
            for by_column in [false, true] {
                for element in [Element::F16, Element::F32] {
                    if role != Role::Sum && element == Element::F32 {
                        continue;
                    }
                    let mut places = quads(role, by_column, element).places;
                    places.sort_unstable();
                    let wanted: Vec<u16> = (0..places.len() as u16).collect();
                    assert_eq!(places, wanted, "{role:?} {by_column}");
                }
            }
        }
    }

    /// Places read off the tables and figures of the PTX ISA, shape by shape.
    #[test]
    fn places_are_those_of_the_manual() {
        let a = documented(Role::A, shape("m16n8k16"), Element::F16);
        assert_eq!(at(&a, 16, 0, 0), (0, 0));
        assert_eq!(at(&a, 16, 5, 1), (1, 3));
        assert_eq!(at(&a, 16, 5, 2), (9, 2));
        assert_eq!(at(&a, 16, 5, 4), (1, 10));
        assert_eq!(at(&a, 16, 31, 7), (15, 15));
        let b = documented(Role::B, shape("m16n8k16"), Element::F16);
        assert_eq!(at(&b, 8, 5, 1), (3, 1));
        assert_eq!(at(&b, 8, 5, 2), (10, 1));
        let c = documented(Role::Sum, shape("m16n8k16"), Element::F32);
        assert_eq!(at(&c, 8, 5, 1), (1, 3));
        assert_eq!(at(&c, 8, 5, 2), (9, 2));
        let a = documented(Role::A, shape("m16n8k32"), Element::S8);
        assert_eq!(at(&a, 32, 6, 3), (1, 11));
        assert_eq!(at(&a, 32, 6, 4), (9, 8));
        assert_eq!(at(&a, 32, 6, 8), (1, 24));
        let a = documented(Role::A, shape("m16n8k8"), Element::Tf32);
        assert_eq!(at(&a, 8, 6, 1), (9, 2));
        assert_eq!(at(&a, 8, 6, 2), (1, 6));
        let b = documented(Role::B, shape("m16n8k64"), Element::U4);
        assert_eq!(at(&b, 8, 6, 9), (49, 1));
    }
}
