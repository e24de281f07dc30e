//! SOFTGPU_CHECK=1: accesses of kernels against the live allocations, told as compute-sanitizer
//! does.

use crate::arena::Arena;
use crate::driver;
use crate::exec::{BadAccess, Checker};
use crate::windows;

/// The checks of one launch.
pub(crate) struct Exact {
    /// The device's memory.
    pub(crate) arena: &'static Arena,
}

impl Checker for Exact {
    fn allows(&self, address: u64, size: u64) -> bool {
        if self.arena.holds(address) {
            return self.arena.find(address).is_some_and(|found| {
                let rest = found.len - (address - found.address);
                size <= rest
            });
        }
        // Another device's memory, and the host's: whether this kernel can reach it is not asked.
        let elsewhere = driver::device_of(address).and_then(|device| device.arena.find(address));
        let end = elsewhere.map(|found| found.address + found.len);
        let end = end.or_else(|| {
            let pinned = driver::pinned().find(address)?;
            Some(pinned.address + pinned.len)
        });
        let rest = end.map(|end| end - address);
        rest.map_or_else(|| windows::holds(address, size), |rest| size <= rest)
    }

    fn report(&self, access: &BadAccess) {
        eprintln!("softgpu: {}", self.describe(access));
    }
}

impl Exact {
    fn describe(&self, access: &BadAccess) -> String {
        let BadAccess {
            place,
            space,
            address,
            size,
            writes,
            is_misaligned,
        } = access;
        let verb = if *writes { "write" } else { "read" };
        let triple = |[x, y, z]: [u32; 3]| format!("({x},{y},{z})");
        let mut text = format!(
            "Invalid __{space}__ {verb} of size {size} bytes at 0x{address:x} in kernel {}, PTX \
             line {}, by thread {} in block {}: ",
            place.kernel,
            place.line,
            triple(place.thread),
            triple(place.block),
        );
        text += if *is_misaligned {
            "misaligned"
        } else {
            "out of bounds"
        };
        if *space == "global"
            && !is_misaligned
            && let Some(nearest) = self.arena.nearest(*address)
        {
            let end = nearest.address + nearest.len;
            let (distance, side) = if *address < nearest.address {
                (nearest.address - address, "before")
            } else if *address >= end {
                (address - end, "after")
            } else {
                (end - address, "before the end of")
            };
            text += &format!(
                ", {distance} bytes {side} the nearest allocation at 0x{:x} of size {} bytes",
                nearest.address, nearest.len
            );
        }
        text
    }
}
