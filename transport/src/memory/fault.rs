//! What can be made to go wrong on an in-process link, and what of it is still to happen.

/// What is to go wrong with what one end sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The main lane delivers nothing from now on, until [`Fault::Release`].
    Hold,
    /// The main lane delivers so many things (batches and bulk) and then holds.
    HoldAfter(usize),
    /// The main lane delivers again.
    Release,
    /// The link dies once so many more batches have been delivered.
    CloseAfter(usize),
    /// Of the next batch only so many bytes arrive, as if the sender had counted wrong.
    TruncateNext(usize),
    /// The byte at `at` of the next batch that has one arrives with `mask` applied by xor.
    CorruptNext {
        /// Position in the batch.
        at: usize,
        /// Bits to turn over.
        mask: u8,
    },
    /// Of the next bulk only so many bytes land; then the link dies, as when the peer's host does.
    BreakNextBulk(usize),
}

/// Faults that wait for what they are to spoil.
#[derive(Debug, Default)]
pub(super) struct Faults {
    /// Things that the main lane may still deliver.
    deliver_max: Option<usize>,
    /// Batches after which the link dies.
    pub(super) close_after: Option<usize>,
    /// Bytes of the next bulk that land before the link dies.
    pub(super) break_bulk: Option<usize>,
    truncate: Option<usize>,
    corrupt: Option<(usize, u8)>,
}

impl Faults {
    pub(super) fn inject(&mut self, fault: Fault) {
        match fault {
            Fault::Hold => self.deliver_max = Some(0),
            Fault::HoldAfter(count) => self.deliver_max = Some(count),
            Fault::Release => self.deliver_max = None,
            Fault::CloseAfter(count) => self.close_after = Some(count),
            Fault::TruncateNext(len) => self.truncate = Some(len),
            Fault::CorruptNext { at, mask } => self.corrupt = Some((at, mask)),
            Fault::BreakNextBulk(len) => self.break_bulk = Some(len),
        }
    }

    /// How many of `waiting` things the main lane delivers now.
    pub(super) fn deliver(&mut self, waiting: usize) -> usize {
        let count = waiting.min(self.deliver_max.unwrap_or(usize::MAX));
        if let Some(left) = &mut self.deliver_max {
            *left -= count;
        }
        count
    }

    /// Does to a batch what it has coming.
    pub(super) fn spoil(&mut self, batch: &mut Vec<u8>) {
        if let Some((at, mask)) = self.corrupt
            && let Some(byte) = batch.get_mut(at)
        {
            *byte ^= mask;
            self.corrupt = None;
        }
        if let Some(len) = self.truncate.take() {
            batch.truncate(len);
        }
    }
}
