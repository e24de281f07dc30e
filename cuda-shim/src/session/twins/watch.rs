//! Which pages of a block have been written, as the kernel knows it (Linux 6.7 and later):
//! userfaultfd's asynchronous write protection and the scan of the page map.
//!
//! Nobody is told of a write and nothing waits for one: the kernel notes it. Where it cannot, and
//! after anything that it does not answer, all of a block is compared instead.

use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::OnceLock;

use flexdirect_wire::limits::TWIN_PAGE_LEN;

/// Whole pages of a block that are watched.
#[derive(Debug)]
pub(super) struct Watch {
    start: usize,
    end: usize,
}

/// What a process needs for it, once.
#[derive(Debug)]
struct Watcher {
    faults: OwnedFd,
    pages: File,
}

impl Watch {
    /// Watches the whole pages of private memory of ours; none where that cannot be or is not worth
    /// while.
    pub(super) fn new(host: usize, len: usize) -> Option<Self> {
        let start = host.next_multiple_of(TWIN_PAGE_LEN);
        let end = (host + len) / TWIN_PAGE_LEN * TWIN_PAGE_LEN;
        if end.checked_sub(start)? < LEN_MIN {
            return None;
        }
        let watcher = watcher()?;
        let range = [start as u64, (end - start) as u64];
        let mut register = [range[0], range[1], REGISTER_MODE_WP, 0];
        let mut protect = [range[0], range[1], WRITEPROTECT_MODE_WP];
        let faults = watcher.faults.as_raw_fd();
        // SAFETY: the structs have the layouts that these requests take (linux/userfaultfd.h), and
        // outlive the calls. Watched memory stays as it is and can be read and written.
        let is_watched = unsafe {
            libc::ioctl(faults, UFFDIO_REGISTER, register.as_mut_ptr()) == 0
                && libc::ioctl(faults, UFFDIO_WRITEPROTECT, protect.as_mut_ptr()) == 0
        };
        is_watched.then_some(Self { start, end })
    }

    /// First and last address.
    pub(super) fn range(&self) -> (usize, usize) {
        (self.start, self.end)
    }

    /// The ranges of pages that have been written since they were last asked for; none when the
    /// kernel does not say.
    pub(super) fn written(&self) -> Option<Vec<(usize, usize)>> {
        let pages = watcher()?.pages.as_raw_fd();
        let mut found = Vec::new();
        let mut at = self.start;
        while at < self.end {
            let mut regions = [[0_u64; 3]; REGIONS];
            let mut scan = Scan {
                size: size_of::<Scan>() as u64,
                flags: SCAN_WP_MATCHING | SCAN_CHECK_WPASYNC,
                start: at as u64,
                end: self.end as u64,
                regions: regions.as_mut_ptr() as u64,
                regions_len: REGIONS as u64,
                mask: PAGE_IS_WRITTEN,
                return_mask: PAGE_IS_WRITTEN,
                ..Scan::default()
            };
            // SAFETY: the struct has the layout that the request takes (linux/fs.h), and names as
            // many regions as there are; both outlive the call.
            let count = unsafe { libc::ioctl(pages, PAGEMAP_SCAN, &raw mut scan) };
            let count = usize::try_from(count)
                .ok()
                .filter(|&count| count <= REGIONS)?;
            for &[start, end, _] in &regions[..count] {
                found.push((usize::try_from(start).ok()?, usize::try_from(end).ok()?));
            }
            let walked = usize::try_from(scan.walk_end).ok()?;
            if walked <= at {
                return None;
            }
            at = walked;
        }
        Some(found)
    }
}

fn watcher() -> Option<&'static Watcher> {
    static WATCHER: OnceLock<Option<Watcher>> = OnceLock::new();
    WATCHER.get_or_init(make).as_ref()
}

fn make() -> Option<Watcher> {
    let flags = libc::O_CLOEXEC | libc::O_NONBLOCK | USER_MODE_ONLY;
    // SAFETY: the call takes flags and makes a descriptor.
    let number = unsafe { libc::syscall(libc::SYS_userfaultfd, flags) };
    let number = i32::try_from(number).ok().filter(|&number| number >= 0)?;
    // SAFETY: the descriptor was made just now and nobody else has it.
    let faults = unsafe { OwnedFd::from_raw_fd(number) };
    let mut api = [UFFD_API, FEATURE_WP_ASYNC | FEATURE_WP_UNPOPULATED, 0];
    // SAFETY: the struct has the layout that this request takes, and outlives the call.
    let has_features =
        unsafe { libc::ioctl(faults.as_raw_fd(), UFFDIO_API, api.as_mut_ptr()) } == 0;
    let pages = File::open("/proc/self/pagemap").ok()?;
    has_features.then_some(Watcher { faults, pages })
}

/// `struct pm_scan_arg`.
#[derive(Debug, Default)]
#[repr(C)]
struct Scan {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    regions: u64,
    regions_len: u64,
    pages_max: u64,
    inverted: u64,
    mask: u64,
    any_mask: u64,
    return_mask: u64,
}

/// `_IOWR`: a request that reads and writes a struct of this length.
const fn request(kind: u64, number: u64, len: usize) -> libc::Ioctl {
    (3 << 30) | ((len as libc::Ioctl) << 16) | ((kind as libc::Ioctl) << 8) | number as libc::Ioctl
}

const UFFDIO_API: libc::Ioctl = request(0xaa, 0x3f, 24);
const UFFDIO_REGISTER: libc::Ioctl = request(0xaa, 0, 32);
const UFFDIO_WRITEPROTECT: libc::Ioctl = request(0xaa, 6, 24);
const PAGEMAP_SCAN: libc::Ioctl = request(b'f' as u64, 16, size_of::<Scan>());

const UFFD_API: u64 = 0xaa;
const USER_MODE_ONLY: i32 = 1;
const FEATURE_WP_UNPOPULATED: u64 = 1 << 13;
const FEATURE_WP_ASYNC: u64 = 1 << 15;
const REGISTER_MODE_WP: u64 = 2;
const WRITEPROTECT_MODE_WP: u64 = 1;
const SCAN_WP_MATCHING: u64 = 1;
const SCAN_CHECK_WPASYNC: u64 = 2;
const PAGE_IS_WRITTEN: u64 = 2;

/// Shorter blocks are compared faster than they are asked about.
const LEN_MIN: usize = 16 * TWIN_PAGE_LEN;
/// Ranges that one scan tells.
const REGIONS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::window;
    use std::io::Read;

    #[test]
    fn what_is_written_is_told_once_whoever_writes_it() {
        const LEN: usize = 64 * TWIN_PAGE_LEN;
        let memory = window::map(LEN).unwrap().cast::<u8>();
        let host = memory.expose_provenance();
        let Some(watch) = Watch::new(host + 100, LEN - 100) else {
            eprintln!("this kernel does not tell what is written");
            return;
        };
        assert_eq!(watch.range(), (host + TWIN_PAGE_LEN, host + LEN));
        assert_eq!(watch.written(), Some(vec![]));
        let page = |index: usize| host + index * TWIN_PAGE_LEN;
        // SAFETY: the memory is ours and stays.
        unsafe { memory.add(3 * TWIN_PAGE_LEN + 5).write(1) };
        // SAFETY: as above; nothing else refers to these bytes.
        let bytes = unsafe { std::slice::from_raw_parts_mut(memory.add(10 * TWIN_PAGE_LEN), 5000) };
        File::open("/dev/zero").unwrap().read_exact(bytes).unwrap();
        let expected = vec![(page(3), page(4)), (page(10), page(12))];
        assert_eq!(watch.written(), Some(expected));
        assert_eq!(watch.written(), Some(vec![]));
        for index in (1..64).step_by(2) {
            // SAFETY: as above.
            unsafe { memory.add(index * TWIN_PAGE_LEN).write(2) };
        }
        assert_eq!(watch.written().unwrap().len(), 32);
    }
}
