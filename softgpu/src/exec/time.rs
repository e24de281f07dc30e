//! Time as kernels see it: one epoch for all workers, launches and devices.

use std::sync::LazyLock;
use std::time::{Instant, SystemTime};

/// Nanoseconds since 1970, never going back.
pub(super) fn nanoseconds() -> u64 {
    static EPOCH: LazyLock<(Instant, u64)> = LazyLock::new(|| {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let since = since.map_or(0, |since| since.as_nanos() as u64);
        (Instant::now(), since)
    });
    let (start, since) = *EPOCH;
    since.wrapping_add(start.elapsed().as_nanos() as u64)
}

/// Clock ticks: of a clock of 1.41 GHz, which is what the device says it has.
pub(super) fn ticks() -> u64 {
    let ticks = u128::from(nanoseconds()) * u128::from(CLOCK_KHZ) / 1_000_000;
    ticks as u64
}

/// As the attribute CLOCK_RATE says.
const CLOCK_KHZ: u32 = crate::attributes::CLOCK_KHZ.unsigned_abs();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_threads_read_one_clock() {
        let before = nanoseconds();
        let elsewhere = std::thread::spawn(nanoseconds).join().unwrap();
        let after = nanoseconds();
        assert!(before <= elsewhere && elsewhere <= after);
        assert!(before > 1_500_000_000_000_000_000, "since 1970");
        let (from, to) = (ticks(), ticks());
        assert!(from <= to);
    }
}
