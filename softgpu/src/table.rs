//! Tables of live driver objects: a handle is a number (tag, generation, index) and never a
//! pointer.
//!
//! A stale or made-up handle is thus refused and never dereferenced. The numbers are no addresses
//! of any process, so a program that looked through one would fault, as it should.

use std::sync::{Arc, PoisonError, RwLock};

/// Objects of one kind by handle.
#[derive(Debug)]
pub(crate) struct Table<T> {
    tag: u8,
    slots: RwLock<Slots<T>>,
}

#[derive(Debug)]
struct Slots<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    object: Option<Arc<T>>,
}

impl<T> Table<T> {
    /// An empty table whose handles carry `tag`.
    pub(crate) const fn new(tag: u8) -> Self {
        let slots = Slots {
            slots: Vec::new(),
            free: Vec::new(),
        };
        Self {
            tag,
            slots: RwLock::new(slots),
        }
    }

    /// Stores what `make` makes of the handle that it will have.
    pub(crate) fn insert(&self, make: impl FnOnce(u64) -> T) -> Arc<T> {
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        let index = slots.free.pop().unwrap_or_else(|| {
            slots.slots.push(Slot {
                generation: 1,
                object: None,
            });
            u32::try_from(slots.slots.len() - 1).expect("fewer than 2^32 live objects")
        });
        let slot = &mut slots.slots[index as usize];
        let object = Arc::new(make(handle(self.tag, slot.generation, index)));
        slot.object = Some(Arc::clone(&object));
        object
    }

    /// The live object that the handle names.
    pub(crate) fn find(&self, handle: u64) -> Option<Arc<T>> {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        let slot = slots.slots.get(self.index(handle)?)?;
        slot.object
            .clone()
            .filter(|_| slot.generation == generation(handle))
    }

    /// Takes the live object that the handle names; the handle is dead from then on.
    pub(crate) fn remove(&self, handle: u64) -> Option<Arc<T>> {
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        let index = self.index(handle)?;
        let slot = slots.slots.get_mut(index)?;
        if slot.generation != generation(handle) {
            return None;
        }
        let object = slot.object.take()?;
        slot.generation = (slot.generation % GENERATION_MAX) + 1;
        slots
            .free
            .push(u32::try_from(index).expect("an index of 32 bits"));
        Some(object)
    }

    /// All live objects for which `wanted` holds.
    pub(crate) fn filter(&self, wanted: impl Fn(&T) -> bool) -> Vec<Arc<T>> {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        let live = slots.slots.iter().filter_map(|slot| slot.object.as_ref());
        live.filter(|object| wanted(object)).cloned().collect()
    }

    fn index(&self, handle: u64) -> Option<usize> {
        let [tag, .., a, b, c, d] = handle.to_be_bytes();
        (tag == self.tag).then(|| u32::from_be_bytes([a, b, c, d]) as usize)
    }
}

fn handle(tag: u8, generation: u32, index: u32) -> u64 {
    u64::from(tag) << 56 | u64::from(generation) << 32 | u64::from(index)
}

fn generation(handle: u64) -> u32 {
    let [_, a, b, c, ..] = handle.to_be_bytes();
    u32::from_be_bytes([0, a, b, c])
}

/// 24 bits; 0 is not used, so that no handle is small.
const GENERATION_MAX: u32 = (1 << 24) - 1;

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;

    #[test]
    fn a_stale_handle_finds_nothing() {
        let table = Table::new(0x51);
        let first = *table.insert(|handle| handle);
        assert_eq!(table.find(first).as_deref(), Some(&first));
        assert!(table.find(first ^ 1 << 56).is_none(), "another kind");
        assert!(table.find(first + 1).is_none(), "beyond the table");
        assert!(table.remove(first).is_some());
        assert!(table.remove(first).is_none(), "removed once");
        let second = *table.insert(|handle| handle);
        assert_ne!(first, second, "the index is used again, the handle is not");
        assert!(table.find(first).is_none());
        assert_eq!(table.filter(|_| true).len(), 1);
    }

    /// The tag of every table that a file of this crate declares.
    fn declared(folder: &Path, tags: &mut Vec<(String, PathBuf)>) {
        for entry in std::fs::read_dir(folder).expect("the sources are there") {
            let path = entry.expect("a readable folder").path();
            if path.is_dir() {
                declared(&path, tags);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            let lines = text.lines().filter(|line| line.contains("static "));
            let tag = |line: &str| {
                let (_, rest) = line.split_once("= Table::new(")?;
                Some(rest.split_once(')')?.0.to_owned())
            };
            tags.extend(lines.filter_map(tag).map(|tag| (tag, path.clone())));
        }
    }

    #[test]
    fn no_two_kinds_of_handles_share_a_tag() {
        let mut tags = Vec::new();
        declared(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
            &mut tags,
        );
        assert!(tags.len() > 10, "{tags:?}");
        tags.sort();
        let shared = tags.windows(2).find(|pair| pair[0].0 == pair[1].0);
        assert_eq!(shared, None);
    }
}
