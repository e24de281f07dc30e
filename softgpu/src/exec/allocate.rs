//! Gives virtual registers rows: two whose lives do not meet share one.
//!
//! PTX names thousands of registers, each used once or twice. A warp's rows should stay in the
//! nearest cache, so rows are handed out by liveness: data flow over basic blocks, then a linear
//! scan over the hulls of the live ranges. Sharing is safe with diverged lanes too, because a
//! write touches only the lanes that make it, and each lane by itself follows the control flow
//! that liveness describes.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::code::{
    Address, BarrierKind, Base, Callee, Instruction, Op, Operation, Predicate, Slot, Source, Target,
};

/// What a function needs of the register files.
pub(super) struct Rows {
    /// Rows of the fullest file.
    pub(super) rows: u32,
    /// 32-bit registers a thread would need.
    pub(super) registers: u32,
}

/// Renumbers the registers of one function, whose instructions begin at `start`. The first
/// `reserved` word registers keep their rows.
pub(super) fn allocate(code: &mut [Instruction], start: u32, reserved: u32) -> Rows {
    let mut counts = [reserved as usize, 0, 0];
    for instruction in code.iter_mut() {
        visit(instruction, &mut |file, index, _| {
            counts[file] = counts[file].max(index as usize + 1);
            index
        });
    }
    let offsets = [0, counts[0], counts[0] + counts[1]];
    let total = counts.iter().sum::<usize>();
    let Some(ranges) = live_ranges(code, start, offsets, total) else {
        // Too large to analyse within bounds: every register keeps its number.
        let rows = *counts.iter().max().unwrap_or(&0) as u32;
        return Rows {
            rows,
            registers: (counts[0] + 2 * counts[1]).min(255) as u32,
        };
    };
    let mut places = vec![0u32; total];
    let mut used = [0u32; 3];
    for file in 0..3 {
        let pinned = if file == 0 { reserved } else { 0 };
        let range = offsets[file]..offsets[file] + counts[file];
        used[file] = scan(&ranges[range.clone()], pinned, &mut places[range]);
    }
    for instruction in code.iter_mut() {
        visit(instruction, &mut |file, index, _| {
            places[offsets[file] + index as usize]
        });
    }
    Rows {
        rows: *used.iter().max().unwrap_or(&0),
        registers: used[0] + 2 * used[1],
    }
}

/// First and last place where a register is live.
type Range = (u32, u32);

/// Linear scan; returns the number of rows used.
fn scan(ranges: &[Range], pinned: u32, places: &mut [u32]) -> u32 {
    let mut order: Vec<usize> = (pinned as usize..ranges.len()).collect();
    order.sort_by_key(|&register| ranges[register].0);
    for (register, place) in places.iter_mut().enumerate().take(pinned as usize) {
        *place = register as u32;
    }
    let mut rows = pinned;
    let mut free: BinaryHeap<Reverse<u32>> = BinaryHeap::new();
    let mut ends: BinaryHeap<Reverse<(u32, u32)>> = BinaryHeap::new();
    for register in order {
        let (first, last) = ranges[register];
        if first > last {
            continue;
        }
        while let Some(&Reverse((end, row))) = ends.peek() {
            if end >= first {
                break;
            }
            ends.pop();
            free.push(Reverse(row));
        }
        let row = free.pop().map_or_else(
            || {
                rows += 1;
                rows - 1
            },
            |Reverse(row)| row,
        );
        places[register] = row;
        ends.push(Reverse((last, row)));
    }
    rows
}

/// Live ranges of all registers, words first; `None` if that would take too long.
fn live_ranges(
    code: &mut [Instruction],
    start: u32,
    offsets: [usize; 3],
    total: usize,
) -> Option<Vec<Range>> {
    let blocks = blocks(code, start);
    let width = total.div_ceil(64);
    if blocks.len().saturating_mul(width) > SETS_LEN_MAX {
        return None;
    }
    let mut ranges = vec![(u32::MAX, 0u32); total];
    let mut uses = vec![0u64; blocks.len() * width];
    let mut kills = vec![0u64; blocks.len() * width];
    for (number, block) in blocks.iter().enumerate() {
        let row = number * width..(number + 1) * width;
        let (uses, kills) = (&mut uses[row.clone()], &mut kills[row]);
        for at in block.first..=block.last {
            let instruction = &mut code[at as usize];
            // A guarded write leaves the other lanes as they were.
            let certain = instruction.guard == Predicate::Constant(true);
            for writes in [false, true] {
                visit(instruction, &mut |file, index, write| {
                    let register = offsets[file] + index as usize;
                    let bit = 1u64 << (register % 64);
                    let word = register / 64;
                    if write == writes {
                        let range = &mut ranges[register];
                        *range = (range.0.min(at), range.1.max(at));
                        if !write && kills[word] & bit == 0 {
                            uses[word] |= bit;
                        } else if write && certain && uses[word] & bit == 0 {
                            kills[word] |= bit;
                        }
                    }
                    index
                });
            }
        }
    }
    let (live_in, live_out) = flow(&blocks, width, &uses, &kills)?;
    for (number, block) in blocks.iter().enumerate() {
        for (set, place) in [(&live_in, block.first), (&live_out, block.last)] {
            for word in 0..width {
                let mut bits = set[number * width + word];
                while bits != 0 {
                    let register = word * 64 + bits.trailing_zeros() as usize;
                    let range = &mut ranges[register];
                    *range = (range.0.min(place), range.1.max(place));
                    bits &= bits - 1;
                }
            }
        }
    }
    Some(ranges)
}

/// What is live at the start and the end of each block; `None` if finding it takes too long.
fn flow(
    blocks: &[Block],
    width: usize,
    uses: &[u64],
    kills: &[u64],
) -> Option<(Vec<u64>, Vec<u64>)> {
    let mut live_in = uses.to_vec();
    let mut live_out = vec![0u64; blocks.len() * width];
    let mut rounds = 0;
    loop {
        let mut changed = false;
        for (number, block) in blocks.iter().enumerate().rev() {
            for word in 0..width {
                let out = (block.next.iter())
                    .fold(0, |out, &next| out | live_in[next as usize * width + word]);
                let at = number * width + word;
                let into = uses[at] | out & !kills[at];
                changed |= out != live_out[at] || into != live_in[at];
                (live_out[at], live_in[at]) = (out, into);
            }
        }
        rounds += 1;
        if !changed {
            break;
        }
        if blocks.len().saturating_mul(width).saturating_mul(rounds) > ANALYSIS_MAX {
            return None;
        }
    }
    Some((live_in, live_out))
}

struct Block {
    first: u32,
    last: u32,
    next: Vec<u32>,
}

/// The basic blocks of a function. Branch targets are places in the whole code.
fn blocks(code: &[Instruction], start: u32) -> Vec<Block> {
    let length = code.len() as u32;
    let mut leaders = vec![false; code.len() + 1];
    leaders[0] = true;
    for (at, instruction) in code.iter().enumerate() {
        for target in targets(&instruction.op) {
            leaders[(target - start) as usize] = true;
        }
        if ends_block(&instruction.op) {
            leaders[at + 1] = true;
        }
    }
    let firsts: Vec<u32> = (0..length).filter(|&at| leaders[at as usize]).collect();
    let number_of = |at: u32| firsts.partition_point(|&first| first <= at) as u32 - 1;
    let mut blocks = Vec::with_capacity(firsts.len());
    for (number, &first) in firsts.iter().enumerate() {
        let last = firsts.get(number + 1).map_or(length, |&next| next) - 1;
        let instruction = &code[last as usize];
        let mut next: Vec<u32> = (targets(&instruction.op).iter())
            .map(|target| target - start)
            .filter(|&target| target < length)
            .map(number_of)
            .collect();
        let always = instruction.guard == Predicate::Constant(true);
        let leaves = matches!(
            instruction.op,
            Op::Branch(_) | Op::BranchTable(..) | Op::Return | Op::Exit | Op::Trap
        );
        if !(leaves && always) && last + 1 < length {
            next.push(number_of(last + 1));
        }
        blocks.push(Block { first, last, next });
    }
    blocks
}

fn targets(op: &Op) -> &[u32] {
    match op {
        Op::Branch(target) => std::slice::from_ref(target),
        Op::BranchTable(_, targets) => targets,
        _ => &[],
    }
}

fn ends_block(op: &Op) -> bool {
    matches!(
        op,
        Op::Branch(_) | Op::BranchTable(..) | Op::Return | Op::Exit | Op::Trap
    )
}

/// Gives `rename` every register of the instruction: file, number, whether it is written.
fn visit(instruction: &mut Instruction, rename: &mut dyn FnMut(usize, u32, bool) -> u32) {
    let mut walk = Walk { rename };
    walk.predicate(&mut instruction.guard);
    walk.op(&mut instruction.op);
}

struct Walk<'r> {
    rename: &'r mut dyn FnMut(usize, u32, bool) -> u32,
}

impl Walk<'_> {
    fn slot(&mut self, file: usize, slot: &mut Slot, write: bool) {
        if !slot.is_constant() {
            *slot = slot.renumbered((self.rename)(file, slot.index() as u32, write));
        }
    }

    fn words(&mut self, target: &mut Slot, sources: &mut [&mut Slot]) {
        for source in sources {
            self.slot(0, source, false);
        }
        self.slot(0, target, true);
    }

    fn longs(&mut self, target: &mut Slot, sources: &mut [&mut Slot]) {
        for source in sources {
            self.slot(1, source, false);
        }
        self.slot(1, target, true);
    }

    fn predicate(&mut self, predicate: &mut Predicate) {
        match predicate {
            Predicate::Constant(_) => {}
            Predicate::Is(index) | Predicate::Not(index) => {
                *index = (self.rename)(2, *index, false);
            }
        }
    }

    fn source(&mut self, source: &mut Source) {
        match source {
            Source::Word(slot) => self.slot(0, slot, false),
            Source::Long(slot) => self.slot(1, slot, false),
            Source::Predicate(predicate) => self.predicate(predicate),
        }
    }

    fn target(&mut self, target: &mut Target) {
        match target {
            Target::Nothing => {}
            Target::Word(slot) => self.slot(0, slot, true),
            Target::Long(slot) => self.slot(1, slot, true),
            Target::Predicate(index) => *index = (self.rename)(2, *index, true),
        }
    }

    fn address(&mut self, address: &mut Address) {
        match &mut address.base {
            Base::Word(slot) => self.slot(0, slot, false),
            Base::Long(slot) => self.slot(1, slot, false),
            Base::None | Base::Frame => {}
        }
    }

    fn op(&mut self, op: &mut Op) {
        match op {
            Op::Words1(_, d, a) | Op::CopyWord(d, a) => self.words(d, &mut [a]),
            Op::Words2(_, d, a, b) => self.words(d, &mut [a, b]),
            Op::Words3(_, d, a, b, c) => self.words(d, &mut [a, b, c]),
            Op::Longs1(_, d, a) | Op::CopyLong(d, a) => self.longs(d, &mut [a]),
            Op::Longs2(_, d, a, b) => self.longs(d, &mut [a, b]),
            Op::Longs3(_, d, a, b, c) => self.longs(d, &mut [a, b, c]),
            Op::Widen1(_, d, a) => {
                self.slot(0, a, false);
                self.slot(1, d, true);
            }
            Op::Widen2(_, d, a, b) => {
                self.slot(0, a, false);
                self.slot(0, b, false);
                self.slot(1, d, true);
            }
            Op::Widen3(_, d, a, b, c) => {
                self.slot(0, a, false);
                self.slot(0, b, false);
                self.longs(d, &mut [c]);
            }
            Op::Narrow1(_, d, a) => {
                self.slot(1, a, false);
                self.slot(0, d, true);
            }
            Op::Shift64(_, d, a, b) => {
                self.slot(0, b, false);
                self.longs(d, &mut [a]);
            }
            Op::SelectWord(d, a, b, predicate) => {
                self.predicate(predicate);
                self.words(d, &mut [a, b]);
            }
            Op::SelectLong(d, a, b, predicate) => {
                self.predicate(predicate);
                self.longs(d, &mut [a, b]);
            }
            Op::Logic(_, d, a, b) => {
                self.predicate(a);
                self.predicate(b);
                *d = (self.rename)(2, *d, true);
            }
            _ => self.wide_op(op),
        }
    }

    fn wide_op(&mut self, op: &mut Op) {
        match op {
            Op::Compare32(_, a, b, outcome) => {
                self.slot(0, a, false);
                self.slot(0, b, false);
                self.outcome(outcome);
            }
            Op::Compare64(_, a, b, outcome) => {
                self.slot(1, a, false);
                self.slot(1, b, false);
                self.outcome(outcome);
            }
            Op::Scalar(scalar) => {
                scalar
                    .sources
                    .iter_mut()
                    .for_each(|source| self.source(source));
                scalar
                    .targets
                    .iter_mut()
                    .for_each(|target| self.target(target));
            }
            Op::Special(target, _) | Op::LocalAddress(target, _) => self.target(target),
            Op::Load(load) => {
                self.address(&mut load.address);
                load.targets
                    .iter_mut()
                    .for_each(|target| self.target(target));
            }
            Op::Store(store) => {
                self.address(&mut store.address);
                store
                    .sources
                    .iter_mut()
                    .for_each(|source| self.source(source));
            }
            Op::Atomic(atomic) => {
                self.address(&mut atomic.address);
                atomic
                    .operands
                    .iter_mut()
                    .flatten()
                    .for_each(|source| self.source(source));
                self.target(&mut atomic.target);
            }
            Op::Image(image) => {
                image
                    .sources
                    .iter_mut()
                    .for_each(|source| self.source(source));
                image
                    .targets
                    .iter_mut()
                    .for_each(|target| self.target(target));
            }
            Op::Copy(copy) => {
                self.address(&mut copy.to);
                self.address(&mut copy.from);
                copy.valid.iter_mut().for_each(|source| self.source(source));
            }
            _ => self.control(op),
        }
    }

    fn control(&mut self, op: &mut Op) {
        match op {
            Op::BranchTable(slot, _) | Op::Sleep(slot) => self.slot(0, slot, false),
            Op::ActiveMask(slot) => self.slot(0, slot, true),
            Op::Call(call) => {
                if let Callee::Indirect(slot) = &mut call.callee {
                    self.slot(1, slot, false);
                }
            }
            Op::Barrier(barrier) => {
                self.source(&mut barrier.id);
                barrier
                    .count
                    .iter_mut()
                    .for_each(|source| self.source(source));
                if let BarrierKind::Count(predicate, target)
                | BarrierKind::And(predicate, target)
                | BarrierKind::Or(predicate, target) = &mut barrier.kind
                {
                    self.predicate(predicate);
                    self.target(target);
                }
            }
            Op::WarpSync(sync) => {
                self.source(&mut sync.members);
                sync.sources
                    .iter_mut()
                    .for_each(|source| self.source(source));
                self.target(&mut sync.target);
                self.target(&mut sync.second);
            }
            Op::Matrix(matrix) => self.operation(matrix),
            Op::Memory(memory) => self.operation(memory),
            _ => {}
        }
    }

    fn operation<K>(&mut self, operation: &mut Operation<K>) {
        let addresses = operation.addresses.iter_mut().flatten();
        addresses.for_each(|address| self.address(address));
        let sources = operation.sources.iter_mut();
        sources.for_each(|source| self.source(source));
        let targets = operation.targets.iter_mut();
        targets.for_each(|target| self.target(target));
    }

    fn outcome(&mut self, outcome: &mut super::code::Outcome) {
        if let Some((_, predicate)) = &mut outcome.combine {
            self.predicate(predicate);
        }
        self.target(&mut outcome.target);
        if let Some(complement) = &mut outcome.complement {
            *complement = (self.rename)(2, *complement, true);
        }
    }
}

/// Words of one of the four bit sets: 32 MiB, a hundred times what debug builds need.
const SETS_LEN_MAX: usize = 1 << 22;
/// Words of bit sets looked at before giving up: some tens of milliseconds.
const ANALYSIS_MAX: usize = 1 << 26;
