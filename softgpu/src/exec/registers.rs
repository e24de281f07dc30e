//! The register files of a warp, and the constants a worker's warps share.

use super::LANES;
use super::code::{Code, Constant, Predicate, Slot, Source, Target};
use super::lanes::{Longs, Words};

/// The mask of a full warp.
pub(super) const FULL: u32 = u32::MAX;

/// The bit of each lane: testing against a table vectorises on every CPU, shifting does not.
pub(super) const BITS: [u32; LANES] = {
    let mut bits = [0; LANES];
    let mut lane = 0;
    while lane < LANES {
        bits[lane] = 1 << lane;
        lane += 1;
    }
    bits
};

/// Constant rows of one launch.
#[derive(Debug)]
pub(super) struct Constants {
    words: Vec<Words>,
    longs: Vec<Longs>,
}

impl Constants {
    /// Fills the rows of `code`; the name of the first global that has no address otherwise.
    pub(super) fn new<'c>(
        code: &'c Code,
        globals: &dyn Fn(&str) -> Option<u64>,
    ) -> Result<Self, &'c str> {
        let value = |constant: &'c Constant| -> Result<u64, &'c str> {
            Ok(match constant {
                Constant::Value(value) => *value,
                Constant::Global(name, addend) => globals(name)
                    .ok_or(name.as_str())?
                    .wrapping_add_signed(*addend),
                Constant::DynamicShared(addend) => {
                    u64::from(code.dynamic_shared_offset).wrapping_add_signed(*addend)
                }
            })
        };
        let words = code
            .words
            .iter()
            .map(|one| value(one).map(|value| [value as u32; LANES]));
        let longs = code
            .longs
            .iter()
            .map(|one| value(one).map(|value| [value; LANES]));
        Ok(Self {
            words: words.collect::<Result<_, _>>()?,
            longs: longs.collect::<Result<_, _>>()?,
        })
    }
}

/// The registers of one warp. Rows are relative to `base`, the frame of the running group.
#[derive(Debug, Default)]
pub(super) struct Registers {
    words: Vec<Words>,
    longs: Vec<Longs>,
    predicates: Vec<u32>,
    pub(super) base: usize,
}

impl Registers {
    /// Makes rows up to `rows` exist.
    pub(super) fn reserve(&mut self, rows: usize) {
        if self.words.len() < rows {
            self.words.resize(rows, [0; LANES]);
            self.longs.resize(rows, [0; LANES]);
            self.predicates.resize(rows, 0);
        }
    }

    #[inline(always)]
    pub(super) fn words<'r>(&'r self, constants: &'r Constants, slot: Slot) -> &'r Words {
        if slot.is_constant() {
            &constants.words[slot.index()]
        } else {
            &self.words[self.base + slot.index()]
        }
    }

    #[inline(always)]
    pub(super) fn longs<'r>(&'r self, constants: &'r Constants, slot: Slot) -> &'r Longs {
        if slot.is_constant() {
            &constants.longs[slot.index()]
        } else {
            &self.longs[self.base + slot.index()]
        }
    }

    #[inline(always)]
    pub(super) fn predicate(&self, predicate: Predicate) -> u32 {
        match predicate {
            Predicate::Constant(true) => FULL,
            Predicate::Constant(false) => 0,
            Predicate::Is(index) => self.predicates[self.base + index as usize],
            Predicate::Not(index) => !self.predicates[self.base + index as usize],
        }
    }

    #[inline(always)]
    pub(super) fn set_words(&mut self, slot: Slot, mask: u32, values: &Words) {
        let row = &mut self.words[self.base + slot.index()];
        if mask == FULL {
            *row = *values;
            return;
        }
        for lane in 0..LANES {
            row[lane] = if mask & BITS[lane] != 0 {
                values[lane]
            } else {
                row[lane]
            };
        }
    }

    #[inline(always)]
    pub(super) fn set_longs(&mut self, slot: Slot, mask: u32, values: &Longs) {
        let row = &mut self.longs[self.base + slot.index()];
        if mask == FULL {
            *row = *values;
            return;
        }
        for lane in 0..LANES {
            row[lane] = if mask & BITS[lane] != 0 {
                values[lane]
            } else {
                row[lane]
            };
        }
    }

    #[inline(always)]
    pub(super) fn set_predicate(&mut self, index: u32, mask: u32, bits: u32) {
        let row = &mut self.predicates[self.base + index as usize];
        *row = *row & !mask | bits & mask;
    }

    /// The value of `source` on one lane, zero-extended.
    #[inline(always)]
    pub(super) fn value(&self, constants: &Constants, source: Source, lane: usize) -> u64 {
        match source {
            Source::Word(slot) => u64::from(self.words(constants, slot)[lane]),
            Source::Long(slot) => self.longs(constants, slot)[lane],
            Source::Predicate(predicate) => u64::from(self.predicate(predicate) >> lane & 1),
        }
    }

    /// The values of `source` on all lanes, zero-extended.
    pub(super) fn values(&self, constants: &Constants, source: Source) -> Longs {
        match source {
            Source::Word(slot) => self.words(constants, slot).map(u64::from),
            Source::Long(slot) => *self.longs(constants, slot),
            Source::Predicate(predicate) => {
                let bits = self.predicate(predicate);
                std::array::from_fn(|lane| u64::from(bits >> lane & 1))
            }
        }
    }

    /// Writes the low bits of `values` to `target` on the lanes of `mask`.
    pub(super) fn set(&mut self, target: Target, mask: u32, values: &Longs) {
        match target {
            Target::Nothing => {}
            Target::Word(slot) => {
                let mut words = [0; LANES];
                for lane in 0..LANES {
                    words[lane] = values[lane] as u32;
                }
                self.set_words(slot, mask, &words);
            }
            Target::Long(slot) => self.set_longs(slot, mask, values),
            Target::Predicate(index) => {
                let bits = values.iter().enumerate().fold(0, |bits, (lane, value)| {
                    bits | u32::from(*value & 1 == 1) << lane
                });
                self.set_predicate(index, mask, bits);
            }
        }
    }

    /// Writes one lane of `target`.
    #[inline(always)]
    pub(super) fn set_lane(&mut self, target: Target, lane: usize, value: u64) {
        match target {
            Target::Nothing => {}
            Target::Word(slot) => self.words[self.base + slot.index()][lane] = value as u32,
            Target::Long(slot) => self.longs[self.base + slot.index()][lane] = value,
            Target::Predicate(index) => {
                self.set_predicate(index, 1 << lane, (value as u32 & 1) << lane);
            }
        }
    }
}
