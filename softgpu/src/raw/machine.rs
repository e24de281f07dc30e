//! What the C library knows of the host.

/// Effective user of this process.
pub(crate) fn user() -> u32 {
    // SAFETY: geteuid has no precondition.
    unsafe { libc::geteuid() }
}

/// Memory of the host in bytes.
pub(crate) fn memory_len() -> u64 {
    // SAFETY: sysconf has no precondition.
    let [pages, len] = unsafe {
        [
            libc::sysconf(libc::_SC_PHYS_PAGES),
            libc::sysconf(libc::_SC_PAGESIZE),
        ]
    };
    u64::try_from(pages).unwrap_or(0) * u64::try_from(len).unwrap_or(0)
}

/// Nanoseconds since boot, the same in every process.
pub(crate) fn now_ns() -> u64 {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: writes the time of a clock that every system has.
    unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut now) };
    let [seconds, rest] = [now.tv_sec, now.tv_nsec].map(|part| u64::try_from(part).unwrap_or(0));
    seconds * 1_000_000_000 + rest
}
