//! Matrix instructions: `mma`, `wmma`, `ldmatrix`, `stmatrix`, `movmatrix`.

use super::super::code::{Op, Operation, Source, Target};
use super::super::matrix::element::Element;
use super::super::matrix::layout::{Role, Shape, documented, opaque, quads};
use super::super::matrix::sparse::Sparse;
use super::super::matrix::{Arithmetic, Fragment, Lines, MatrixKind, Multiply};
use super::access::space;
use super::flow::One;
use super::operand::literal;
use super::scope::Frame;
use super::{Builder, Reason};
use crate::ptx::{Operand, ScalarType};

impl Builder<'_> {
    /// Decodes `one` if it concerns matrices; false if it does not.
    pub(super) fn matrix(&mut self, frame: &mut Frame, one: &One<'_>) -> Reason<bool> {
        match one.opcode {
            "mma" => self.multiply(frame, one, false)?,
            "wmma" if one.has("mma") => self.multiply(frame, one, true)?,
            "wmma" => self.fragment_access(frame, one)?,
            "ldmatrix" | "stmatrix" | "movmatrix" => self.tiles(frame, one)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn multiply(&mut self, frame: &mut Frame, one: &One<'_>, is_wmma: bool) -> Reason<()> {
        let is_sparse = one.has("sp") || one.has("sp::ordered_metadata");
        if one.has("block_scale") {
            return Err("a multiplication with scales".to_owned());
        }
        let mut targets = Vec::new();
        for operand in elements(one.operand(0)?) {
            targets.push(self.matrix_target(frame, operand)?);
        }
        let mut sources = Vec::new();
        let mut counts = [0; 3];
        for (index, count) in counts.iter_mut().enumerate() {
            let operands = elements(one.operand(index + 1)?);
            *count = operands.len();
            for operand in operands {
                let element = source_type(one, index);
                sources.push(self.source(frame, operand, element, one.line)?);
            }
        }
        let shape = shape(one)?;
        let types = Types::of(one)?;
        let by_column = layouts(one);
        let shape = types.in_elements(shape);
        let registers = [counts[0], counts[1], counts[2], targets.len()];
        let multiply = if is_wmma {
            wmma(shape, &types, registers)?
        } else if is_sparse {
            sources.push(self.source(frame, one.operand(4)?, ScalarType::B32, one.line)?);
            let selector = literal(one.operand(5)?, ScalarType::U32);
            sparse(shape, &types, by_column, selector.unwrap_or(u64::MAX))?
        } else {
            mma(shape, &types, by_column)?
        };
        let Multiply { a, b, c, d, .. } = &multiply;
        if [a, b, c, d].map(|fragment| fragment.registers) != registers {
            return Err("another number of registers than the shape needs".to_owned());
        }
        let multiply = Multiply {
            arithmetic: arithmetic(one, &types)?,
            ..multiply
        };
        self.push_matrix(one, MatrixKind::Multiply(multiply), None, targets, sources)
    }

    /// `wmma.load` and `wmma.store`.
    fn fragment_access(&mut self, frame: &mut Frame, one: &One<'_>) -> Reason<()> {
        let is_load = one.has("load");
        let role = match one.words.get(1).map(String::as_str) {
            Some("a") => Role::A,
            Some("b") => Role::B,
            Some("c" | "d") => Role::Sum,
            _ => return Err("a fragment of this kind".to_owned()),
        };
        let element = one
            .words
            .iter()
            .rev()
            .find_map(|word| Element::from_word(word));
        let element = element.ok_or("no type")?;
        let shape = shape(one)?;
        let depth = shape.depth / element.depth();
        let shape = Shape { depth, ..shape };
        let (rows, columns) = shape.of(role);
        let by_column = one.has("col");
        let operands = elements(one.operand(usize::from(!is_load))?);
        let fragment = opaque(role, shape, element, operands.len())
            .ok_or("another number of registers than the shape needs")?;
        let address = self.address(frame, one.operand(usize::from(is_load))?, space(one))?;
        // Without a stride the lines lie one right after the other.
        let line = element.depth() * if by_column { rows } else { columns };
        let stride = match one.operands.get(2) {
            Some(operand) => self.source(frame, operand, ScalarType::U32, one.line)?,
            None => Source::Word(self.word_constant(line as u32)),
        };
        let mut sources = vec![stride];
        let mut targets = Vec::new();
        for operand in operands {
            if is_load {
                targets.push(self.matrix_target(frame, operand)?);
            } else {
                sources.push(self.source(frame, operand, ScalarType::B32, one.line)?);
            }
        }
        let lines = Lines {
            rows,
            columns,
            by_column,
        };
        let kind = if is_load {
            MatrixKind::LoadFragment(fragment, lines)
        } else {
            MatrixKind::StoreFragment(fragment, lines)
        };
        self.push_matrix(one, kind, Some(address), targets, sources)
    }

    /// `ldmatrix`, `stmatrix` and `movmatrix` of 8x8 halves.
    fn tiles(&mut self, frame: &mut Frame, one: &One<'_>) -> Reason<()> {
        if !one.has("m8n8") || !one.has("b16") {
            return Err("a matrix of this shape".to_owned());
        }
        let transposed = one.has("trans");
        let is_store = one.opcode == "stmatrix";
        let (registers, other) = (usize::from(is_store), usize::from(!is_store));
        let operands = elements(one.operand(registers)?);
        let wanted = ["x1", "x2", "x4"].iter().find(|word| one.has(word));
        if wanted.is_some_and(|word| word[1..] != operands.len().to_string()) {
            return Err("another number of registers than matrices".to_owned());
        }
        let (mut targets, mut sources) = (Vec::new(), Vec::new());
        for operand in operands {
            if is_store {
                sources.push(self.source(frame, operand, ScalarType::B32, one.line)?);
            } else {
                targets.push(self.matrix_target(frame, operand)?);
            }
        }
        if one.opcode == "movmatrix" {
            sources = vec![self.source(frame, one.operand(1)?, ScalarType::B32, one.line)?];
            return self.push_matrix(one, MatrixKind::Transpose, None, targets, sources);
        }
        if operands.len() > 4 {
            return Err("too many matrices".to_owned());
        }
        let address = self.address(frame, one.operand(other)?, space(one))?;
        let kind = if is_store {
            MatrixKind::StoreTiles { transposed }
        } else {
            MatrixKind::LoadTiles { transposed }
        };
        self.push_matrix(one, kind, Some(address), targets, sources)
    }

    fn push_matrix(
        &mut self,
        one: &One<'_>,
        kind: MatrixKind,
        address: Option<super::super::code::Address>,
        targets: Vec<Target>,
        sources: Vec<Source>,
    ) -> Reason<()> {
        if (sources.iter()).any(|source| matches!(source, Source::Predicate(_))) {
            return Err("a predicate in a matrix".to_owned());
        }
        let operation = Operation {
            kind,
            addresses: [address, None, None],
            targets,
            sources,
        };
        self.push(one, Op::Matrix(Box::new(operation)));
        Ok(())
    }

    fn matrix_target(&mut self, frame: &mut Frame, operand: &Operand) -> Reason<Target> {
        match self.target(frame, operand)? {
            Target::Predicate(_) => Err("a predicate in a matrix".to_owned()),
            target => Ok(target),
        }
    }
}

/// The types of the four matrices.
struct Types {
    a: Element,
    b: Element,
    c: Element,
    d: Element,
}

impl Types {
    /// All four are named, in the order d, a, b, c; `wmma` on f16 names only d and c.
    fn of(one: &One<'_>) -> Reason<Self> {
        let named: Vec<Element> = (one.words.iter())
            .filter_map(|word| Element::from_word(word))
            .collect();
        match *named.as_slice() {
            [d, a, b, c] => Ok(Self { a, b, c, d }),
            [d, c] => Ok(Self {
                a: Element::F16,
                b: Element::F16,
                c,
                d,
            }),
            _ => Err("types that this executor does not multiply".to_owned()),
        }
    }

    /// `shape`, whose depth is in bits for matrices of bits, in elements.
    fn in_elements(&self, shape: Shape) -> Shape {
        let depth = shape.depth / self.a.depth();
        Shape { depth, ..shape }
    }
}

/// `mma`: the layouts are PTX's. The arithmetic is set by the caller.
fn mma(shape: Shape, types: &Types, [a_by_column, b_by_column]: [bool; 2]) -> Reason<Multiply> {
    let Shape {
        rows,
        columns,
        depth,
    } = shape;
    let halves = types.a == Element::F16 && types.b == Element::F16;
    if (rows, columns, depth) == (8, 8, 4) && halves {
        return Ok(Multiply {
            rows,
            columns,
            depth,
            count: 4,
            a: quads(Role::A, a_by_column, types.a),
            b: quads(Role::B, b_by_column, types.b),
            c: quads(Role::Sum, false, types.c),
            d: quads(Role::Sum, false, types.d),
            arithmetic: Arithmetic::Single,
            sparse: None,
        });
    }
    if types.a.parts() != types.b.parts() || a_by_column || !b_by_column {
        return Err("a multiplication of this shape and layout".to_owned());
    }
    // A register of each lane spans 4 * parts of the depth, and a has four of them at most, or
    // eight doubles.
    let step = 4 * types.a.parts();
    let chunks_max = if types.a == Element::F64 { 4 } else { 2 };
    let fits = depth.is_multiple_of(step) && (1..=chunks_max).contains(&(depth / step));
    if !matches!(rows, 8 | 16) || columns != 8 || !fits {
        return Err("a multiplication of this shape and layout".to_owned());
    }
    let part = |role, element| -> Fragment { documented(role, shape, element) };
    Ok(Multiply {
        rows,
        columns,
        depth,
        count: 1,
        a: part(Role::A, types.a),
        b: part(Role::B, types.b),
        c: part(Role::Sum, types.c),
        d: part(Role::Sum, types.d),
        arithmetic: Arithmetic::Single,
        sparse: None,
    })
}

/// `mma.sp`: as [`mma`], of an a of half the depth.
fn sparse(shape: Shape, types: &Types, by_column: [bool; 2], selector: u64) -> Reason<Multiply> {
    let stored = Shape {
        depth: shape.depth / 2,
        ..shape
    };
    let selector = usize::try_from(selector).unwrap_or(usize::MAX);
    let sparse = Sparse::new(shape, types.a, selector);
    let sparse = sparse.ok_or("a sparse multiplication of this shape and selector")?;
    Ok(Multiply {
        depth: shape.depth,
        b: documented(Role::B, shape, types.b),
        sparse: Some(sparse),
        ..mma(stored, types, by_column)?
    })
}

/// `wmma.mma`: the layouts are those of [`opaque`], whatever the matrices were in memory.
fn wmma(shape: Shape, types: &Types, [a, b, c, d]: [usize; 4]) -> Reason<Multiply> {
    let part = |role, element, registers| {
        opaque(role, shape, element, registers)
            .ok_or_else(|| "another number of registers than the shape needs".to_owned())
    };
    let Shape {
        rows,
        columns,
        depth,
    } = shape;
    if rows.saturating_mul(columns) > 256 {
        return Err("a multiplication of this shape".to_owned());
    }
    if types.a == Element::F64 && rows * depth > 256 {
        return Err("a multiplication of doubles of this shape".to_owned());
    }
    Ok(Multiply {
        rows,
        columns,
        depth,
        count: 1,
        a: part(Role::A, types.a, a)?,
        b: part(Role::B, types.b, b)?,
        c: part(Role::Sum, types.c, c)?,
        d: part(Role::Sum, types.d, d)?,
        arithmetic: Arithmetic::Single,
        sparse: None,
    })
}

fn arithmetic(one: &One<'_>, types: &Types) -> Reason<Arithmetic> {
    use Element as E;
    let sums = (types.c, types.d);
    Ok(match (types.a, types.b) {
        (E::F64, E::F64) if sums == (E::F64, E::F64) => Arithmetic::Double,
        (E::Bits, E::Bits) if sums == (E::S32, E::S32) && one.has("xor") => Arithmetic::BitsXor,
        (E::Bits, E::Bits) if sums == (E::S32, E::S32) && one.has("and") => Arithmetic::BitsAnd,
        (E::S8 | E::U8 | E::S4 | E::U4, E::S8 | E::U8 | E::S4 | E::U4)
            if sums == (E::S32, E::S32) =>
        {
            let saturate = one.has("satfinite");
            Arithmetic::Integer { saturate }
        }
        (E::F16, E::F16) | (E::E4m3 | E::E5m2, E::E4m3 | E::E5m2)
            if [types.c, types.d]
                .iter()
                .all(|sum| matches!(sum, E::F16 | E::F32)) =>
        {
            Arithmetic::Single
        }
        (E::Bf16, E::Bf16) | (E::Tf32, E::Tf32) if sums == (E::F32, E::F32) => Arithmetic::Single,
        _ => return Err("types that this executor does not multiply".to_owned()),
    })
}

fn shape(one: &One<'_>) -> Reason<Shape> {
    let mut words = one.words.iter();
    let shape = words.find_map(|word| Shape::from_word(word));
    let shape = shape.ok_or("no shape")?;
    let sides = [shape.rows, shape.columns, shape.depth];
    if sides.iter().all(|side| (1..=256).contains(side)) {
        Ok(shape)
    } else {
        Err("a matrix of this shape".to_owned())
    }
}

/// Whether a, and b, lie by columns.
fn layouts(one: &One<'_>) -> [bool; 2] {
    let mut words = (one.words.iter()).filter_map(|word| match word.as_str() {
        "row" => Some(false),
        "col" => Some(true),
        _ => None,
    });
    [words.next().unwrap_or(false), words.next().unwrap_or(true)]
}

/// The type in which literals among the registers of operand `index` are read.
fn source_type(one: &One<'_>, index: usize) -> ScalarType {
    if one.has("f64") {
        ScalarType::F64
    } else if index == 2 && one.types.last() == Some(&ScalarType::F32) {
        ScalarType::F32
    } else {
        ScalarType::B32
    }
}

fn elements(operand: &Operand) -> &[Operand] {
    match operand {
        Operand::Vector(parts) => parts,
        operand => std::slice::from_ref(operand),
    }
}
