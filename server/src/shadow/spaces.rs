//! The session's virtual memory: addresses that are reserved, physical memory and its names.
//!
//! Physical memory takes from the share while a name or a mapping of it is there. Mappings are
//! ranges of device memory and are kept with those.

use std::collections::{BTreeMap, HashMap};

use flexdirect_wire::limits::HANDLES_MAX;
use flexdirect_wire::{CuError, CuResult, ShadowHandle};

/// Physical memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Memory {
    /// Device of the lease.
    pub(crate) device: u16,
    /// Handle types that the client asked for.
    pub(crate) handle_types: u32,
    /// Bytes that it takes from the share.
    pub(crate) reserved: u64,
    /// Names and mappings that keep it.
    keepers: usize,
    /// The name that it got last, which may be gone.
    name: ShadowHandle,
}

/// A name of physical memory, and how often it has to be released.
#[derive(Clone, Copy, Debug)]
struct Name {
    memory: u64,
    references: u32,
}

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct Spaces {
    reserved: BTreeMap<u64, u64>,
    /// Addresses that the client could not use.
    decoys: Vec<(u64, u64)>,
    memories: HashMap<u64, Memory>,
    names: HashMap<ShadowHandle, Name>,
    /// Mappings that there are.
    mappings: usize,
    last: u64,
}

impl Spaces {
    /// Enters reserved addresses.
    ///
    /// # Errors
    /// `OUT_OF_MEMORY` when there are [`HANDLES_MAX`].
    pub(crate) fn reserve(&mut self, address: u64, len: u64) -> CuResult {
        if self.reserved.len() >= HANDLES_MAX {
            return Err(CuError::OUT_OF_MEMORY);
        }
        self.reserved.insert(address, len);
        Ok(())
    }

    /// Whether exactly these addresses are reserved.
    ///
    /// # Errors
    /// `INVALID_VALUE` when they are not.
    pub(crate) fn check_reserved(&self, address: u64, len: u64) -> CuResult {
        match self.reserved.get(&address) {
            Some(&reserved) if reserved == len => Ok(()),
            _ => Err(CuError::INVALID_VALUE),
        }
    }

    /// Takes out reserved addresses.
    pub(crate) fn free(&mut self, address: u64) {
        self.reserved.remove(&address);
    }

    /// Keeps reserved addresses from being given again.
    ///
    /// # Errors
    /// `INVALID_VALUE` for what is not reserved.
    pub(crate) fn keep_decoy(&mut self, address: u64) -> CuResult {
        let len = self.reserved.remove(&address);
        self.decoys
            .push((address, len.ok_or(CuError::INVALID_VALUE)?));
        Ok(())
    }

    /// Whether all of `len` bytes from `address` on lie in one reservation.
    ///
    /// # Errors
    /// `INVALID_VALUE` when they do not.
    pub(crate) fn check_inside(&self, address: u64, len: u64) -> CuResult {
        let before = self.reserved.range(..=address).next_back();
        let is_inside = before.is_some_and(|(start, reserved)| {
            let offset = address - start;
            offset < *reserved && len <= *reserved - offset
        });
        if is_inside {
            Ok(())
        } else {
            Err(CuError::INVALID_VALUE)
        }
    }

    /// Enters new physical memory under its first name.
    pub(crate) fn insert(
        &mut self,
        name: ShadowHandle,
        device: u16,
        handle_types: u32,
        reserved: u64,
    ) {
        self.last += 1;
        let memory = Memory {
            device,
            handle_types,
            reserved,
            keepers: 1,
            name,
        };
        self.memories.insert(self.last, memory);
        let memory = self.last;
        let references = 1;
        self.names.insert(name, Name { memory, references });
    }

    /// The physical memory of a name.
    ///
    /// # Errors
    /// `INVALID_VALUE` for what is no name.
    pub(crate) fn find(&self, name: ShadowHandle) -> Result<(u64, Memory), CuError> {
        let name = self.names.get(&name).ok_or(CuError::INVALID_VALUE)?;
        let memory = self.memories.get(&name.memory);
        Ok((name.memory, *memory.ok_or(CuError::INVALID_VALUE)?))
    }

    /// The newest name of physical memory, while it is one.
    pub(crate) fn name_of(&self, memory: u64) -> Option<ShadowHandle> {
        let name = self.memories.get(&memory)?.name;
        let found = self.names.get(&name)?;
        (found.memory == memory).then_some(name)
    }

    /// The name has to be released once more.
    pub(crate) fn retain(&mut self, name: ShadowHandle) {
        if let Some(name) = self.names.get_mut(&name) {
            name.references = name.references.saturating_add(1);
        }
    }

    /// Another name of physical memory that is there.
    pub(crate) fn add_name(&mut self, memory: u64, name: ShadowHandle) {
        if let Some(found) = self.memories.get_mut(&memory) {
            found.keepers += 1;
            found.name = name;
            let references = 1;
            self.names.insert(name, Name { memory, references });
        }
    }

    /// Releases a name once. Whether it is gone, and the memory if that is.
    ///
    /// # Errors
    /// `INVALID_VALUE` for what is no name.
    pub(crate) fn release(
        &mut self,
        name: ShadowHandle,
    ) -> Result<(bool, Option<Memory>), CuError> {
        let found = self.names.get_mut(&name).ok_or(CuError::INVALID_VALUE)?;
        found.references -= 1;
        if found.references > 0 {
            return Ok((false, None));
        }
        let memory = found.memory;
        self.names.remove(&name);
        Ok((true, self.let_go(memory)))
    }

    /// A mapping keeps the memory.
    ///
    /// # Errors
    /// `OUT_OF_MEMORY` when there are [`HANDLES_MAX`] mappings.
    pub(crate) fn map(&mut self, memory: u64) -> CuResult {
        if self.mappings >= HANDLES_MAX {
            return Err(CuError::OUT_OF_MEMORY);
        }
        if let Some(found) = self.memories.get_mut(&memory) {
            found.keepers += 1;
            self.mappings += 1;
        }
        Ok(())
    }

    /// A mapping keeps the memory no more. The memory, if that is gone.
    pub(crate) fn unmap(&mut self, memory: u64) -> Option<Memory> {
        self.mappings = self.mappings.saturating_sub(1);
        self.let_go(memory)
    }

    /// Takes out everything: addresses, names with the number of their releases, and memory.
    pub(crate) fn drain(&mut self) -> Drained {
        let mut addresses = std::mem::take(&mut self.decoys);
        addresses.extend(std::mem::take(&mut self.reserved));
        let names = self.names.drain();
        let names = names
            .map(|(name, found)| (name, found.references))
            .collect();
        let memories = self.memories.drain().map(|(_, memory)| memory).collect();
        (addresses, names, memories)
    }

    fn let_go(&mut self, memory: u64) -> Option<Memory> {
        let found = self.memories.get_mut(&memory)?;
        found.keepers -= 1;
        if found.keepers > 0 {
            return None;
        }
        self.memories.remove(&memory)
    }
}

/// Addresses, names with the number of their releases, and memory.
pub(crate) type Drained = (Vec<(u64, u64)>, Vec<(ShadowHandle, u32)>, Vec<Memory>);

#[cfg(test)]
mod tests {
    use super::*;
    use flexdirect_wire::Kind;

    fn name(index: u32) -> ShadowHandle {
        ShadowHandle::new(Kind::MEMORY, 0, index, true)
    }

    #[test]
    fn memory_goes_with_the_last_that_keeps_it() {
        let mut spaces = Spaces::default();
        spaces.insert(name(1), 0, 0, 100);
        let (memory, _) = spaces.find(name(1)).unwrap();
        spaces.map(memory).unwrap();
        spaces.map(memory).unwrap();
        spaces.retain(name(1));
        assert_eq!(spaces.release(name(1)), Ok((false, None)));
        assert_eq!(spaces.release(name(1)), Ok((true, None)));
        assert_eq!(spaces.release(name(1)), Err(CuError::INVALID_VALUE));
        assert_eq!(spaces.name_of(memory), None);
        assert_eq!(spaces.unmap(memory), None);
        spaces.add_name(memory, name(2));
        assert_eq!(spaces.name_of(memory), Some(name(2)));
        assert_eq!(spaces.unmap(memory), None);
        let (is_gone, freed) = spaces.release(name(2)).unwrap();
        assert!(is_gone);
        assert_eq!(freed.map(|memory| memory.reserved), Some(100));
    }

    #[test]
    fn addresses_are_those_that_were_reserved() {
        let mut spaces = Spaces::default();
        spaces.reserve(0x1000, 0x100).unwrap();
        assert_eq!(spaces.check_inside(0x1080, 0x80), Ok(()));
        for (address, len) in [(0x1080, 0x81), (0xfff, 1), (0x1100, 1), (0x1001, u64::MAX)] {
            let found = spaces.check_inside(address, len);
            assert_eq!(found, Err(CuError::INVALID_VALUE), "{address:#x}");
        }
        assert!(spaces.check_reserved(0x1000, 0x80).is_err());
        assert!(spaces.check_reserved(0x1000, 0x100).is_ok());
        spaces.keep_decoy(0x1000).unwrap();
        assert!(spaces.keep_decoy(0x1000).is_err());
        assert!(spaces.check_reserved(0x1000, 0x100).is_err());
        assert_eq!(spaces.drain().0, [(0x1000, 0x100)]);
    }
}
