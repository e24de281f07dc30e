//! The inbound slab: where the client's bulk lands before the record that uses it is executed.
//!
//! The client counts positions from 0 upwards; position p lies at p modulo the length. A piece is
//! *named* when the link asks where its bytes go, *landed* when they are in, *used* once by the
//! record that names it, and *done* when the copy out of it is. Positions become free in order.
//!
//! ```text
//!   freed ─────▶ pieces, each named → landed → used → done ─────▶ end
//!   |<------------------ at most the slab's length ------------------>|
//! ```

use std::collections::VecDeque;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use flexdirect_transport::{Destination, Span};
use flexdirect_wire::CuResult;
use flexdirect_wire::limits::CHUNK_LEN;

use super::mapping::Mapping;
use crate::driver::Driver;

/// The inbound slab of one session.
#[derive(Debug)]
pub struct Slab {
    len: usize,
    pieces: Mutex<Pieces>,
}

/// Bulk that breaks the rules of the slab: ends the session.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SlabFault {
    /// More pieces than any client that fills pieces has.
    #[error("more than {PIECES_MAX} pieces of bulk outstanding")]
    Crowded,
    /// A piece over the memory that the client has, or that it has not got back.
    #[error("bulk of {len} bytes at position {position} does not fit in the slab of {slab_len}")]
    Overrun {
        /// Its position.
        position: u64,
        /// Its bytes.
        len: u64,
        /// Bytes of the slab.
        slab_len: usize,
    },
    /// Bulk for a region that this end does not have.
    #[error("bulk for region {region}, which is not the slab")]
    Region {
        /// The region.
        region: u64,
    },
    /// A record that uses bulk which never landed, or which was used already.
    #[error("no bulk of {len} bytes landed at position {position}")]
    Unknown {
        /// The position.
        position: u64,
        /// The bytes.
        len: u64,
    },
}

#[derive(Debug)]
struct Pieces {
    /// Where new pieces go: the last. Earlier memory stays for the pieces in it.
    memory: Vec<Mapping>,
    queue: VecDeque<Piece>,
    /// First position that is not free.
    freed: u64,
    /// End of the last piece.
    end: u64,
}

#[derive(Clone, Copy, Debug)]
struct Piece {
    position: u64,
    len: u64,
    /// Which memory of [`Pieces::memory`].
    memory: usize,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Named,
    Landed,
    Used,
    Done,
}

/// A landed piece that a record uses: memory that stays as it is until [`Slab::release`].
#[derive(Debug)]
pub(crate) struct Used {
    /// First byte.
    pub(crate) address: *const u8,
    /// Where it lies, for [`Slab::release`].
    pub(crate) position: u64,
}

impl Slab {
    /// A slab of `len` bytes.
    ///
    /// # Errors
    /// What `mmap` says.
    pub fn new(len: usize) -> io::Result<Self> {
        let memory = vec![Mapping::new(len)?];
        let pieces = Pieces {
            memory,
            queue: VecDeque::new(),
            freed: 0,
            end: 0,
        };
        Ok(Self {
            len,
            pieces: Mutex::new(pieces),
        })
    }

    /// Bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has no memory at all.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Memory for a piece that the client sends: the one place where its claim becomes memory.
    ///
    /// # Errors
    /// [`SlabFault`] for another region, a piece that is empty, over [`CHUNK_LEN`], out of order,
    /// beyond the slab's end or over what is free.
    pub fn destination(&self, span: Span) -> Result<Destination, SlabFault> {
        if span.region != 0 {
            return Err(SlabFault::Region {
                region: span.region,
            });
        }
        let overrun = SlabFault::Overrun {
            position: span.offset,
            len: span.len,
            slab_len: self.len,
        };
        let len = usize::try_from(span.len).unwrap_or(usize::MAX);
        let mut pieces = self.lock();
        let end = span.offset.checked_add(span.len);
        let fits = end.filter(|&end| {
            let outstanding = end.saturating_sub(pieces.freed);
            (1..=CHUNK_LEN).contains(&len)
                && span.offset >= pieces.end
                && outstanding <= self.len as u64
        });
        let Some(end) = fits else { return Err(overrun) };
        if pieces.queue.len() >= PIECES_MAX {
            return Err(SlabFault::Crowded);
        }
        let memory = pieces.memory.len() - 1;
        let address = pieces.memory[memory]
            .slice(self.offset(span.offset), len)
            .ok_or(overrun)?;
        let state = State::Named;
        pieces.queue.push_back(Piece {
            position: span.offset,
            len: span.len,
            memory,
            state,
        });
        pieces.end = end;
        // SAFETY: the memory lies in a mapping that lives as long as the session, which outlives
        // the use of its link. Positions are given out once and rise by at most the slab's length
        // beyond those freed, so nobody else reads or writes these bytes before the piece has
        // landed.
        Ok(unsafe { Destination::new(address, len) })
    }

    /// The bytes of a piece are in place.
    ///
    /// # Errors
    /// [`SlabFault::Unknown`] for a piece that was not named.
    pub fn landed(&self, span: Span) -> Result<(), SlabFault> {
        self.advance(span.offset, span.len, State::Named, State::Landed)
            .map(|_| ())
    }

    /// Takes a landed piece for the record that names it.
    ///
    /// # Errors
    /// [`SlabFault::Unknown`] for anything but a landed piece that no record has used.
    pub(crate) fn take(&self, position: u64, len: u64) -> Result<Used, SlabFault> {
        let (pieces, piece) = self.advance(position, len, State::Landed, State::Used)?;
        let bytes = usize::try_from(len).unwrap_or(usize::MAX);
        let address = pieces.memory[piece.memory].slice(self.offset(position), bytes);
        let address = address.ok_or(SlabFault::Unknown { position, len })?;
        Ok(Used { address, position })
    }

    /// Takes a landed piece and copies it out; it is done at once.
    ///
    /// # Errors
    /// As [`Slab::take`].
    pub(crate) fn read(&self, position: u64, len: u64) -> Result<Vec<u8>, SlabFault> {
        let (pieces, piece) = self.advance(position, len, State::Landed, State::Used)?;
        let bytes = usize::try_from(len).unwrap_or(usize::MAX);
        let bytes = pieces.memory[piece.memory].read(self.offset(position), bytes);
        bytes.ok_or(SlabFault::Unknown { position, len })
    }

    /// The copy out of a used piece is done. Returns the first position that is not free, when that
    /// has moved.
    pub(crate) fn release(&self, position: u64) -> Option<u64> {
        let mut pieces = self.lock();
        let at = pieces
            .queue
            .binary_search_by_key(&position, |piece| piece.position)
            .ok()?;
        pieces.queue[at].state = State::Done;
        let before = pieces.freed;
        while let Some(piece) = pieces.queue.front()
            && piece.state == State::Done
        {
            pieces.freed = piece.position + piece.len;
            pieces.queue.pop_front();
        }
        (pieces.freed != before).then_some(pieces.freed)
    }

    /// Pins the memory, so that copies out of it are asynchronous.
    ///
    /// # Errors
    /// What the driver says.
    pub(crate) fn pin(&self, driver: &Driver) -> CuResult {
        self.lock()
            .memory
            .iter()
            .try_for_each(|memory| memory.pin(driver))
    }

    /// Undoes [`Slab::pin`].
    pub(crate) fn unpin(&self, driver: &Driver) {
        self.lock()
            .memory
            .iter()
            .for_each(|memory| memory.unpin(driver));
    }

    /// Puts new pieces into other memory, of the same length.
    pub(crate) fn replace(&self, memory: Mapping) {
        if memory.len() == self.len {
            self.lock().memory.push(memory);
        }
    }

    fn advance(
        &self,
        position: u64,
        len: u64,
        from: State,
        to: State,
    ) -> Result<(MutexGuard<'_, Pieces>, Piece), SlabFault> {
        let mut pieces = self.lock();
        let unknown = SlabFault::Unknown { position, len };
        let at = pieces
            .queue
            .binary_search_by_key(&position, |piece| piece.position);
        let Ok(at) = at else { return Err(unknown) };
        let piece = &mut pieces.queue[at];
        if piece.len != len || piece.state != from {
            return Err(unknown);
        }
        piece.state = to;
        let piece = *piece;
        Ok((pieces, piece))
    }

    fn offset(&self, position: u64) -> usize {
        let len = self.len as u64;
        let offset = position.checked_rem(len).unwrap_or(0);
        usize::try_from(offset).expect("an offset is below the slab's length")
    }

    fn lock(&self) -> MutexGuard<'_, Pieces> {
        self.pieces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Most pieces outstanding: with the slab full of them they are 512 bytes each, far below what is
/// worth sending as bulk.
const PIECES_MAX: usize = 1 << 16;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn span(offset: u64, len: u64) -> Span {
        Span {
            region: 0,
            offset,
            len,
        }
    }

    fn slab() -> Slab {
        Slab::new(4096).unwrap()
    }

    #[test]
    fn positions_become_free_in_order() {
        let slab = slab();
        for offset in [0, 1000] {
            slab.destination(span(offset, 1000)).unwrap();
            slab.landed(span(offset, 1000)).unwrap();
        }
        let second = slab.take(1000, 1000).unwrap();
        slab.take(0, 1000).unwrap();
        assert_eq!(
            slab.release(second.position),
            None,
            "the first is still in use"
        );
        assert_eq!(slab.release(0), Some(2000));
    }

    #[test]
    fn a_piece_never_wraps_and_the_skip_is_freed_with_it() {
        let slab = slab();
        slab.destination(span(0, 3000)).unwrap();
        slab.landed(span(0, 3000)).unwrap();
        assert!(
            slab.destination(span(3000, 2000)).is_err(),
            "beyond the end"
        );
        assert!(
            slab.destination(span(4096, 1097)).is_err(),
            "over what is free"
        );
        slab.read(0, 3000).unwrap();
        assert_eq!(slab.release(0), Some(3000));
        slab.destination(span(4096, 2000)).unwrap();
        slab.landed(span(4096, 2000)).unwrap();
        slab.read(4096, 2000).unwrap();
        assert_eq!(slab.release(4096), Some(6096));
    }

    #[test]
    fn bulk_is_used_once_and_only_as_it_landed() {
        let slab = slab();
        assert!(
            slab.destination(Span {
                region: 1,
                offset: 0,
                len: 1
            })
            .is_err()
        );
        assert!(slab.destination(span(0, 0)).is_err());
        slab.destination(span(8, 8)).unwrap();
        assert!(slab.take(8, 8).is_err(), "not landed");
        assert!(slab.destination(span(0, 8)).is_err(), "positions rise");
        slab.landed(span(8, 8)).unwrap();
        assert!(slab.take(8, 4).is_err(), "another length");
        slab.take(8, 8).unwrap();
        assert!(slab.take(8, 8).is_err(), "used already");
        assert!(slab.landed(span(8, 8)).is_err());
        assert_eq!(slab.release(99), None);
    }

    proptest! {
        #[test]
        fn any_span_is_memory_of_the_slab_or_a_fault(
            spans in proptest::collection::vec((0..3_u64, any::<u64>(), any::<u64>()), 0..20),
            near in proptest::collection::vec((0..6000_u64, 0..5000_u64), 0..20),
        ) {
            let slab = slab();
            let spans = spans.into_iter().map(|(region, offset, len)| Span { region, offset, len });
            for span in near.into_iter().map(|(at, len)| span(at, len)).chain(spans) {
                if let Ok(memory) = slab.destination(span) {
                    prop_assert!(memory.len() as u64 == span.len);
                    prop_assert!(span.offset % 4096 + span.len <= 4096);
                }
            }
        }
    }
}
