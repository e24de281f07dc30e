//! Memory as a thread sees it: the arena, its block's shared memory, its own local memory, the
//! parameters, and generic addresses that stand for any of them.

use super::code::{LOCAL_WINDOW, PARAMETER_WINDOW, Region, SHARED_WINDOW, WINDOW_BYTES};
use super::lanes::{Longs, Words};
use super::memory::{Bad, Memory};
use super::registers::FULL;
use super::warp::lanes;

/// The memories that the threads of one block reach.
pub(super) struct Spaces<'l> {
    pub(super) memory: Memory,
    pub(super) shared: Vec<u8>,
    /// The local memories of all threads, one after the other.
    pub(super) local: Vec<u8>,
    /// Size of one thread's local memory.
    pub(super) local_bytes: usize,
    pub(super) parameters: &'l [u8],
}

impl Spaces<'_> {
    /// Where `address` of `region` lies, windows resolved.
    #[inline(always)]
    pub(super) fn resolve(&self, region: Region, address: u64) -> (Region, u64) {
        if region == Region::Parameter {
            // The address that `mov` takes of a parameter is generic, and `ld.param` may use it.
            let offset = address.wrapping_sub(PARAMETER_WINDOW);
            let is_generic = offset < WINDOW_BYTES;
            return (region, if is_generic { offset } else { address });
        }
        if region != Region::Generic {
            return (region, address);
        }
        if address < 1 << 47 {
            return (Region::Global, address);
        }
        for (window, region) in [
            (SHARED_WINDOW, Region::Shared),
            (LOCAL_WINDOW, Region::Local),
            (PARAMETER_WINDOW, Region::Parameter),
        ] {
            let offset = address.wrapping_sub(window);
            if offset < WINDOW_BYTES {
                return (region, offset);
            }
        }
        (Region::Global, address)
    }

    /// Loads a word of shared memory for each lane of `mask`; false if one of them cannot.
    #[inline(always)]
    pub(super) fn load_shared(&self, addresses: &Longs, mask: u32, into: &mut Words) -> bool {
        if mask == FULL {
            let mut good = true;
            for (value, &address) in into.iter_mut().zip(addresses) {
                let found = word_at(&self.shared, address);
                good &= found.is_some();
                *value = found.unwrap_or(0);
            }
            return good;
        }
        for lane in lanes(mask) {
            let Some(value) = word_at(&self.shared, addresses[lane]) else {
                return false;
            };
            into[lane] = value;
        }
        true
    }

    /// Stores a word of shared memory for each lane of `mask`; false if one of them cannot, the
    /// lanes before it having done so.
    #[inline(always)]
    pub(super) fn store_shared(&mut self, addresses: &Longs, mask: u32, words: &Words) -> bool {
        for lane in lanes(mask) {
            let at = addresses[lane] as usize;
            if at & 3 != 0 || addresses[lane] > MAX_OFFSET {
                return false;
            }
            let Some(place) = self.shared.get_mut(at..at + 4) else {
                return false;
            };
            place.copy_from_slice(&words[lane].to_le_bytes());
        }
        true
    }

    /// Loads `size` bytes for the thread numbered `thread` in the block.
    #[inline(always)]
    pub(super) fn load(
        &self,
        region: Region,
        thread: usize,
        address: u64,
        size: u32,
    ) -> Result<u64, Bad> {
        match self.resolve(region, address) {
            (Region::Global | Region::Generic, address) => self.memory.load(address, size),
            (Region::Shared, offset) => read(&self.shared, offset, size),
            (Region::Local, offset) => read(self.local_of(thread), offset, size),
            (Region::Parameter, offset) => read(self.parameters, offset, size),
        }
    }

    /// Stores the low `size` bytes of `value` for the thread numbered `thread` in the block.
    #[inline(always)]
    pub(super) fn store(
        &mut self,
        region: Region,
        thread: usize,
        address: u64,
        size: u32,
        value: u64,
    ) -> Result<(), Bad> {
        match self.resolve(region, address) {
            (Region::Global | Region::Generic, address) => self.memory.store(address, size, value),
            (Region::Shared, offset) => write(&mut self.shared, offset, size, value),
            (Region::Local, offset) => {
                let start = thread * self.local_bytes;
                write(
                    &mut self.local[start..start + self.local_bytes],
                    offset,
                    size,
                    value,
                )
            }
            (Region::Parameter, _) => Err(Bad::Address),
        }
    }

    /// Replaces a value by a function of it, atomically where other blocks could see it.
    pub(super) fn update(
        &mut self,
        region: Region,
        thread: usize,
        address: u64,
        size: u32,
        update: impl Fn(u64) -> u64,
    ) -> Result<u64, Bad> {
        match self.resolve(region, address) {
            (Region::Global | Region::Generic, address) => {
                self.memory.update(address, size, update)
            }
            // One worker runs all threads of a block, one after the other.
            (region, address) => {
                let old = self.load(region, thread, address, size)?;
                self.store(region, thread, address, size, update(old))?;
                Ok(old)
            }
        }
    }

    /// Copies bytes within the local memory of one thread; false if they are not in it.
    pub(super) fn copy_local(&mut self, thread: usize, from: u32, to: u32, size: u32) -> bool {
        let (from, to, size) = (from as usize, to as usize, size as usize);
        if from + size > self.local_bytes || to + size > self.local_bytes {
            return false;
        }
        let start = thread * self.local_bytes;
        self.local
            .copy_within(start + from..start + from + size, start + to);
        true
    }

    fn local_of(&self, thread: usize) -> &[u8] {
        &self.local[thread * self.local_bytes..(thread + 1) * self.local_bytes]
    }
}

/// The aligned word at `address`.
#[inline(always)]
fn word_at(bytes: &[u8], address: u64) -> Option<u32> {
    if address & 3 != 0 || address > MAX_OFFSET {
        return None;
    }
    let at = address as usize;
    let found = bytes.get(at..at + 4)?;
    Some(u32::from_le_bytes([found[0], found[1], found[2], found[3]]))
}

/// Above every offset in a window, below what overflows when a size is added.
const MAX_OFFSET: u64 = u32::MAX as u64;

#[inline(always)]
fn read(bytes: &[u8], offset: u64, size: u32) -> Result<u64, Bad> {
    if offset & u64::from(size - 1) != 0 {
        return Err(Bad::Alignment);
    }
    let offset = usize::try_from(offset).map_err(|_| Bad::Address)?;
    let Some(found) = bytes
        .get(offset..)
        .and_then(|rest| rest.get(..size as usize))
    else {
        return Err(Bad::Address);
    };
    Ok(match *found {
        [a] => u64::from(a),
        [a, b] => u64::from(u16::from_le_bytes([a, b])),
        [a, b, c, d] => u64::from(u32::from_le_bytes([a, b, c, d])),
        [a, b, c, d, e, f, g, h] => u64::from_le_bytes([a, b, c, d, e, f, g, h]),
        _ => return Err(Bad::Alignment),
    })
}

#[inline(always)]
fn write(bytes: &mut [u8], offset: u64, size: u32, value: u64) -> Result<(), Bad> {
    if offset & u64::from(size - 1) != 0 {
        return Err(Bad::Alignment);
    }
    let offset = usize::try_from(offset).map_err(|_| Bad::Address)?;
    let Some(found) = bytes
        .get_mut(offset..)
        .and_then(|rest| rest.get_mut(..size as usize))
    else {
        return Err(Bad::Address);
    };
    found.copy_from_slice(&value.to_le_bytes()[..size as usize]);
    Ok(())
}
