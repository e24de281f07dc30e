//! Pages of this process: windows for kernels, files of memory, and addresses kept free for them.

use std::any::Any;
use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd as _};
use std::ptr;
use std::sync::{Arc, Mutex};

use super::lock;
use crate::exec::Windows;

/// Windows of ranges that the driver keeps mapped while kernels can use them, and of those that
/// kernels only read.
pub(crate) fn windows(
    ranges: Vec<(u64, u64)>,
    only_read: Vec<(u64, u64)>,
    keep: Vec<Arc<dyn Any + Send + Sync>>,
) -> Windows {
    for &(address, _) in ranges.iter().chain(&only_read) {
        let start = usize::try_from(address).unwrap_or(0);
        // Registered memory is the application's: from now on reached by number.
        let _ = std::ptr::with_exposed_provenance::<u8>(start);
    }
    // SAFETY: `keep` holds what may go by itself; of the rest, its owner takes the window away and
    // waits for all work before it is unmapped. All of it is touched by copies of the C library.
    unsafe { Windows::new(ranges, only_read, keep) }
}

/// Whether every page of a range is mapped, readable and writable.
pub(crate) fn is_writable(address: u64, len: u64) -> bool {
    let Some(end) = address.checked_add(len) else {
        return false;
    };
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let mut reached = address;
    for line in maps.lines() {
        let Some((start, until, is_open)) = parse_map(line) else {
            continue;
        };
        if start <= reached && reached < until {
            if !is_open {
                return false;
            }
            reached = until;
            if reached >= end {
                return true;
            }
        }
    }
    false
}

/// `START-END rw.. ...` of `/proc/self/maps`: start, end, whether it can be read and written.
fn parse_map(line: &str) -> Option<(u64, u64, bool)> {
    let (range, rest) = line.split_once(' ')?;
    let (start, end) = range.split_once('-')?;
    let number = |text| u64::from_str_radix(text, 16).ok();
    Some((number(start)?, number(end)?, rest.starts_with("rw")))
}

/// A file of `len` zeroed bytes of memory that cannot shrink.
///
/// # Errors
/// What the system says.
pub(crate) fn memory_file(name: &str, len: u64) -> io::Result<File> {
    let name = CString::new(name).map_err(|_| io::ErrorKind::InvalidInput)?;
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    // SAFETY: the name is a text that ends; the new descriptor, if there is one, is nobody else's.
    let file = unsafe {
        let descriptor = libc::memfd_create(name.as_ptr(), flags);
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        File::from_raw_fd(descriptor)
    };
    file.set_len(len)?;
    // SAFETY: a flag is set on a file of ours.
    unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, SEALS) };
    Ok(file)
}

/// A file of memory made by [`memory_file`], in this process or another, behind a descriptor of the
/// application: a copy of it and its name.
pub(crate) fn open_memory_file(descriptor: i32) -> Option<(File, String)> {
    // SAFETY: only asked and duplicated, whatever the number is; the new one is nobody else's.
    let file = unsafe {
        if libc::fcntl(descriptor, libc::F_GET_SEALS) & SEALS != SEALS {
            return None;
        }
        let own = libc::fcntl(descriptor, libc::F_DUPFD_CLOEXEC, 3);
        if own < 0 {
            return None;
        }
        File::from_raw_fd(own)
    };
    let link = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).ok()?;
    let name = link.to_str()?.strip_prefix("/memfd:")?;
    let name = name.split(' ').next()?.to_owned();
    Some((file, name))
}

/// Addresses of this process that nothing else gets, and what is mapped into them.
#[derive(Debug)]
pub(crate) struct Reservation {
    address: u64,
    len: u64,
    /// Lengths and numbers of what is mapped, by address.
    mapped: Mutex<BTreeMap<u64, (u64, u64)>>,
}

impl Reservation {
    /// Keeps `len` addresses free that start at a multiple of `alignment` (a power of two): at
    /// `wanted` if nothing is there.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn new(len: u64, alignment: u64, wanted: u64) -> io::Result<Self> {
        if wanted != 0
            && wanted.is_multiple_of(alignment)
            && let Ok(address) = map_pages(wanted, len, None, libc::MAP_FIXED_NOREPLACE)
        {
            if address == wanted {
                return Ok(Self::at(address, len));
            }
            unmap_pages(address, len);
        }
        let room = len
            .checked_add(alignment)
            .ok_or(io::ErrorKind::OutOfMemory)?;
        let start = map_pages(0, room, None, 0)?;
        let address = start.next_multiple_of(alignment);
        unmap_pages(start, address - start);
        unmap_pages(address + len, start + room - (address + len));
        Ok(Self::at(address, len))
    }

    fn at(address: u64, len: u64) -> Self {
        Self {
            address,
            len,
            mapped: Mutex::default(),
        }
    }

    /// First address.
    pub(crate) fn address(&self) -> u64 {
        self.address
    }

    /// Maps the start of a file under a number, over whatever is there.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn map(&self, address: u64, len: u64, file: &File, number: u64) -> io::Result<()> {
        let mut mapped = lock(&self.mapped);
        let offset = address.wrapping_sub(self.address);
        if offset > self.len || len > self.len - offset {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        if let Err(error) = map_pages(address, len, Some(file), libc::MAP_FIXED) {
            // The system may have taken away what was there before it refused what was to come:
            // nothing else must get these addresses, which go with the others.
            let _ = map_pages(address, len, None, libc::MAP_FIXED_NOREPLACE);
            return Err(error);
        }
        // What lingered there is gone; what lingers beside it is still to be freed.
        let end = address + len;
        let beside = mapped.range(..end).rev();
        let beside = beside.take_while(|(start, (other, _))| *start + *other > address);
        let beside: Vec<_> = beside.map(|(&start, &piece)| (start, piece)).collect();
        for (start, (other, owner)) in beside {
            mapped.remove(&start);
            if start < address {
                mapped.insert(start, (address - start, owner));
            }
            if start + other > end {
                mapped.insert(end, (start + other - end, owner));
            }
        }
        mapped.insert(address, (len, number));
        Ok(())
    }

    /// Frees the addresses of a mapping again, but for those at which something else was mapped
    /// since.
    pub(crate) fn unmap(&self, address: u64, len: u64, number: u64) {
        let mut mapped = lock(&self.mapped);
        let own = mapped.range(address..address.saturating_add(len));
        let own = own.filter(|(_, (_, owner))| *owner == number);
        let own: Vec<_> = own.map(|(&start, &(len, _))| (start, len)).collect();
        for (start, len) in own {
            mapped.remove(&start);
            let _ = map_pages(start, len, None, libc::MAP_FIXED);
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        unmap_pages(self.address, self.len);
    }
}

/// Maps a file to be read and written, or nothing that can be touched.
fn map_pages(address: u64, len: u64, file: Option<&File>, fixed: i32) -> io::Result<u64> {
    let (protection, kind) = match file {
        Some(_) => (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED),
        None => (libc::PROT_NONE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS),
    };
    let (at, len) = (to_usize(address), to_usize(len));
    let descriptor = file.map_or(-1, AsRawFd::as_raw_fd);
    let flags = kind | fixed | libc::MAP_NORESERVE;
    // SAFETY: with MAP_FIXED only addresses of a reservation are given, which nothing else uses;
    // otherwise the mapping is new and replaces none.
    let made = unsafe {
        let at = ptr::without_provenance_mut(at);
        libc::mmap(at, len, protection, flags, descriptor, 0)
    };
    if made == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    Ok(made.expose_provenance() as u64)
}

/// Unmaps addresses of a reservation that end with it.
fn unmap_pages(address: u64, len: u64) {
    if len > 0 {
        // SAFETY: part of what this module mapped, and nothing uses it any more.
        unsafe {
            libc::munmap(
                ptr::with_exposed_provenance_mut(to_usize(address)),
                to_usize(len),
            )
        };
    }
}

fn to_usize(value: u64) -> usize {
    usize::try_from(value).expect("addresses have 64 bits")
}

/// So that no page goes from under a mapping.
const SEALS: i32 = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raw::Mapping;

    #[test]
    fn only_writable_pages_are_writable() {
        let mapping = Mapping::new(1 << 16, 0).unwrap();
        let address = mapping.address();
        assert!(is_writable(address, 1 << 16));
        assert!(is_writable(address + 77, 5));
        assert!(!is_writable(64, 4));
        assert!(!is_writable(u64::MAX - 5, 100), "no overflow");
        let text = (only_writable_pages_are_writable as *const ()).addr() as u64;
        assert!(!is_writable(text, 4), "code");
        drop(mapping);
        assert_eq!(
            parse_map("7f00-7fff r--p 00000000 00:00 0"),
            Some((0x7f00, 0x7fff, false))
        );
        assert_eq!(parse_map("nonsense"), None);
    }

    #[test]
    fn what_lingers_beside_a_new_mapping_goes_with_its_own() {
        const PAGE: u64 = 1 << 16;
        let reservation = Reservation::new(8 * PAGE, PAGE, 0).unwrap();
        let start = reservation.address();
        let file = |pages| memory_file("softgpu-test", pages * PAGE).unwrap();
        reservation.map(start, 8 * PAGE, &file(8), 1).unwrap();
        reservation
            .map(start + 2 * PAGE, 4 * PAGE, &file(4), 2)
            .unwrap();
        assert!(is_writable(start, 8 * PAGE));
        reservation.unmap(start, 8 * PAGE, 1);
        assert!(is_writable(start + 2 * PAGE, 4 * PAGE), "another's");
        for page in [0, 1, 6, 7] {
            assert!(!is_writable(start + page * PAGE, PAGE), "page {page}");
        }
        reservation.unmap(start + 2 * PAGE, 4 * PAGE, 2);
        assert!(!is_writable(start + 2 * PAGE, 1));
    }

    #[test]
    fn a_mapping_that_fails_leaves_its_addresses_reserved() {
        const PAGE: u64 = 1 << 16;
        let reservation = Reservation::new(4 * PAGE, PAGE, 0).unwrap();
        let start = reservation.address();
        let other = File::open("/proc/self/exe").unwrap();
        assert!(reservation.map(start, PAGE, &other, 1).is_err());
        assert!(map_pages(start, PAGE, None, libc::MAP_FIXED_NOREPLACE).is_err());
        // As if the system had made room first.
        unmap_pages(start, PAGE);
        assert!(reservation.map(start, PAGE, &other, 1).is_err());
        assert!(map_pages(start, PAGE, None, libc::MAP_FIXED_NOREPLACE).is_err());
    }
}
