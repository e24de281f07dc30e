//! Landings: memory of the application that the worker may put bulk to.
//!
//! A landing has a number that is never used again. It ends when all its bytes are in, when it is
//! given up, or with the session; bulk for one that was given up lands in a place of its own.

use std::collections::HashMap;

use flexdirect_transport::link::{Destination, Error, PUT_LEN_MAX, Span};
use flexdirect_wire::body::region;
use flexdirect_wire::limits::OUTPUT_LEN_MAX;

/// A promise that memory may be written to until its landing has ended.
#[derive(Debug)]
pub(crate) struct Landing {
    address: usize,
    len: u64,
    missing: u64,
}

impl Landing {
    /// Names `len` bytes from `address` on.
    ///
    /// # Safety
    /// They are valid for writes, by the thread that receives, until the landing has ended: until
    /// [`Landings::is_pending`] says no, the session's `call_into` with it has returned, or the
    /// session has died.
    pub(crate) unsafe fn new(address: *mut u8, len: u64) -> Self {
        Self {
            address: address as usize,
            len,
            missing: len,
        }
    }
}

/// Every landing by number.
#[derive(Debug, Default)]
pub(crate) struct Landings {
    last: u64,
    live: HashMap<u64, Landing>,
    /// Where bulk goes that nobody wants any more.
    waste: Vec<u8>,
    /// Where what kernels have printed goes.
    printed: Vec<u8>,
}

impl Landings {
    /// Enters a landing and returns its number, which is never 0.
    pub(crate) fn enter(&mut self, landing: Landing) -> u64 {
        self.last += 1;
        self.live.insert(self.last, landing);
        self.last
    }

    /// Ends a landing. Whether all its bytes were in.
    pub(crate) fn give_up(&mut self, number: u64) -> bool {
        self.live.remove(&number).is_none()
    }

    /// Whether bytes may still be put to memory that overlaps this.
    pub(crate) fn is_pending(&self, address: u64, len: u64) -> bool {
        self.live.values().any(|landing| {
            let start = landing.address as u64;
            start < address.saturating_add(len) && address < start.saturating_add(landing.len)
        })
    }

    /// The memory for a span of the worker: an allegation.
    pub(super) fn destination(&mut self, span: Span) -> Result<Destination, Error> {
        let len = usize::try_from(span.len).unwrap_or(usize::MAX);
        if let Some(landing) = self.live.get(&span.region) {
            let is_inside = span.offset <= landing.len && span.len <= landing.len - span.offset;
            let offset = usize::try_from(span.offset).unwrap_or(usize::MAX);
            if !is_inside {
                return Err(Error::protocol(format!(
                    "bulk past the end of its landing: {span:?}"
                )));
            }
            let target = std::ptr::with_exposed_provenance_mut(landing.address + offset);
            // SAFETY: the span lies inside the landing, whose maker promised its memory until the
            // landing has ended; the session keeps it until `landed` was called for the last of its
            // bytes.
            return Ok(unsafe { Destination::new(target, len) });
        }
        if span.region == region::OUTPUT && len <= OUTPUT_LEN_MAX {
            self.printed.resize(OUTPUT_LEN_MAX, 0);
            // SAFETY: `printed` has this many bytes, is never resized again, and is read by the
            // thread that receives, after the bytes have landed.
            return Ok(unsafe { Destination::new(self.printed.as_mut_ptr(), len) });
        }
        if span.region == 0 || span.region > self.last || len > PUT_LEN_MAX {
            return Err(Error::protocol(format!(
                "bulk for a landing that never was: {span:?}"
            )));
        }
        self.waste.resize(PUT_LEN_MAX, 0);
        // SAFETY: `waste` has this many bytes and is never resized again, and nobody reads it.
        Ok(unsafe { Destination::new(self.waste.as_mut_ptr(), len) })
    }

    /// Notes that the bytes of a span are in. Returns them if kernels have printed them.
    pub(super) fn landed(&mut self, span: Span) -> Option<&[u8]> {
        if span.region == region::OUTPUT {
            let len = usize::try_from(span.len).unwrap_or(usize::MAX);
            return self.printed.get(..len);
        }
        let landing = self.live.get_mut(&span.region)?;
        landing.missing = landing.missing.saturating_sub(span.len);
        if landing.missing == 0 {
            self.live.remove(&span.region);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bulk_lands_inside_or_not_at_all() {
        let mut memory = [0u8; 8];
        let address = memory.as_mut_ptr();
        let mut landings = Landings::default();
        // SAFETY: `memory` outlives the table, and nothing is written here.
        let number = landings.enter(unsafe { Landing::new(address, 8) });
        let span = |region, offset, len| Span {
            region,
            offset,
            len,
        };
        let inside = landings.destination(span(number, 4, 4)).unwrap();
        assert_eq!(inside.address() as usize, address as usize + 4);
        assert!(landings.destination(span(number, 4, 5)).is_err());
        assert!(landings.destination(span(number, u64::MAX, 2)).is_err());
        assert!(
            landings.destination(span(0, 0, 1)).is_err(),
            "the slab is not ours"
        );
        assert!(landings.destination(span(number + 1, 0, 1)).is_err());
        assert!(landings.is_pending(address as u64 + 7, 1));
        assert!(!landings.is_pending(address as u64 + 8, 1));
        landings.landed(span(number, 0, 4));
        assert!(landings.is_pending(address as u64, 8));
        landings.landed(span(number, 4, 4));
        assert!(
            !landings.is_pending(address as u64, 8),
            "all its bytes are in"
        );
        let waste = landings.destination(span(number, 0, 8)).unwrap();
        assert_ne!(waste.address() as usize, address as usize, "it has ended");
    }
}
