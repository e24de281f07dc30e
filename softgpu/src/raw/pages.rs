//! Pages of this process: windows for kernels, files of memory, and addresses kept free for them.

use std::any::Any;
use std::fs;
use std::sync::Arc;

use crate::exec::Windows;

/// Windows of ranges that the driver keeps mapped while kernels can use them.
pub(crate) fn windows(ranges: Vec<(u64, u64)>, keep: Vec<Arc<dyn Any + Send + Sync>>) -> Windows {
    for &(address, _) in &ranges {
        let start = usize::try_from(address).unwrap_or(0);
        // Registered memory is the application's: from now on reached by number.
        let _ = std::ptr::with_exposed_provenance::<u8>(start);
    }
    // SAFETY: `keep` holds what may go by itself; of the rest, its owner takes the window away and
    // waits for all work before it is unmapped. All of it is touched by copies of the C library.
    unsafe { Windows::new(ranges, keep) }
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
}
