//! The state of an `mbarrier` object: 64 bits of shared memory that count arrivals and bytes.
//!
//! A phase is complete when no arrival is pending and no bytes are awaited; the next phase then
//! begins with all arrivals pending. Source: PTX ISA, mbarrier, phase of the mbarrier object.

/// Bits of a number of arrivals.
const COUNT_BITS: u32 = 20;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;
/// Bits of the number of awaited bytes, which has a sign: bytes may come before they are expected.
const BYTES_BITS: u32 = 21;
const BYTES_SHIFT: u32 = 2 * COUNT_BITS;
const PHASE_SHIFT: u32 = 63;

/// An mbarrier, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    pending: u64,
    /// Arrivals that the next phase will wait for.
    expected: u64,
    bytes: i64,
    /// Parity of the phase that is not complete.
    parity: u64,
}

impl State {
    fn of(bits: u64) -> Self {
        let unused = 64 - BYTES_BITS;
        let bytes = (bits >> BYTES_SHIFT << unused).cast_signed() >> unused;
        Self {
            pending: bits & COUNT_MASK,
            expected: bits >> COUNT_BITS & COUNT_MASK,
            bytes,
            parity: bits >> PHASE_SHIFT,
        }
    }

    fn bits(self) -> u64 {
        let bytes = self.bytes.cast_unsigned() & ((1 << BYTES_BITS) - 1);
        self.pending
            | self.expected << COUNT_BITS
            | bytes << BYTES_SHIFT
            | self.parity << PHASE_SHIFT
    }

    fn completed(mut self) -> Self {
        if self.pending == 0 && self.bytes == 0 {
            self.parity ^= 1;
            self.pending = self.expected;
        }
        self
    }
}

/// A new object that waits for `count` arrivals in each phase.
pub(super) fn initial(count: u64) -> u64 {
    let count = count & COUNT_MASK;
    State {
        pending: count,
        expected: count,
        bytes: 0,
        parity: 0,
    }
    .bits()
}

/// `count` threads arrive; `expect` bytes more are awaited first, and with `drop` the next phases
/// wait for `count` threads less.
pub(super) fn arrive(bits: u64, count: u64, expect: u64, drop: bool) -> u64 {
    let mut state = State::of(bits);
    state.bytes = state.bytes.wrapping_add(expect.cast_signed());
    state.pending = state.pending.saturating_sub(count);
    if drop {
        state.expected = state.expected.saturating_sub(count);
    }
    state.completed().bits()
}

/// `count` bytes more are awaited.
pub(super) fn expect_bytes(bits: u64, count: u64) -> u64 {
    let mut state = State::of(bits);
    state.bytes = state.bytes.wrapping_add(count.cast_signed());
    state.bits()
}

/// `count` bytes have come.
pub(super) fn complete_bytes(bits: u64, count: u64) -> u64 {
    let mut state = State::of(bits);
    state.bytes = state.bytes.wrapping_sub(count.cast_signed());
    state.completed().bits()
}

/// Whether the phase that `token` (a state that an arrival returned) belongs to is complete.
pub(super) fn is_past(bits: u64, token: u64) -> bool {
    State::of(bits).parity != State::of(token).parity
}

/// Whether the phase of that parity is complete.
pub(super) fn is_parity_past(bits: u64, parity: u64) -> bool {
    State::of(bits).parity != parity & 1
}

/// Arrivals that were pending in the state `token`.
pub(super) fn pending(token: u64) -> u64 {
    State::of(token).pending
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_ends_with_its_last_arrival() {
        let start = initial(2);
        assert!(is_parity_past(start, 1) && !is_parity_past(start, 0));
        let one = arrive(start, 1, 0, false);
        assert_eq!(pending(one), 1);
        assert!(!is_past(one, start));
        let two = arrive(one, 1, 0, false);
        assert!(is_past(two, start) && is_parity_past(two, 0) && !is_parity_past(two, 1));
        assert_eq!(pending(two), 2);
    }

    #[test]
    fn bytes_are_awaited_whichever_comes_first() {
        let late = complete_bytes(arrive(initial(1), 1, 96, false), 96);
        assert!(is_parity_past(late, 0));
        let early = complete_bytes(initial(1), 96);
        assert!(!is_parity_past(early, 0));
        assert!(is_parity_past(arrive(early, 1, 96, false), 0));
        let part = complete_bytes(arrive(expect_bytes(initial(1), 32), 1, 64, false), 64);
        assert!(!is_parity_past(part, 0));
        assert!(is_parity_past(complete_bytes(part, 32), 0));
    }

    #[test]
    fn who_drops_out_is_not_waited_for_again() {
        let first = arrive(arrive(initial(2), 1, 0, true), 1, 0, false);
        assert_eq!(pending(first), 1);
        assert!(is_parity_past(arrive(first, 1, 0, false), 1));
    }
}
