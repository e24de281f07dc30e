//! The session's table of live driver objects: the only way from a client's number to a handle of
//! the driver.
//!
//! Every kind has two halves, as the index space of [`ShadowHandle`] has: one whose handles the
//! client invents (streams, events, the names of primary contexts) and one whose handles are
//! invented here. A generation tells a stale handle from the slot's next user.

use std::collections::HashMap;

use flexdirect_wire::handle::GENERATION_MAX;
use flexdirect_wire::limits::HANDLES_MAX;
use flexdirect_wire::{CuError, Kind, ShadowHandle};

/// A live object of the driver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Object {
    /// The driver's handle.
    pub driver: u64,
    /// Context that it lives in, or null for a library and what belongs to one.
    pub context: ShadowHandle,
    /// Module or library whose end is its end too, or null.
    pub parent: ShadowHandle,
}

/// All live objects of a session.
#[derive(Debug, Default)]
pub struct Handles {
    kinds: [Table; KINDS.len()],
    /// Objects whose look-up the driver answers with the same handle again.
    found: HashMap<(u8, u64), ShadowHandle>,
}

#[derive(Debug, Default)]
struct Table {
    by_client: Vec<Slot>,
    by_server: Vec<Slot>,
    free: Vec<u32>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    generation: u32,
    object: Option<Object>,
}

impl Handles {
    /// Enters an object under the handle that the client invented for it.
    ///
    /// # Errors
    /// `INVALID_HANDLE` for a handle of another kind or half, one beyond [`HANDLES_MAX`] or one
    /// that is live.
    pub fn insert(
        &mut self,
        kind: Kind,
        handle: ShadowHandle,
        object: Object,
    ) -> Result<(), CuError> {
        let slot = self.vacant(kind, handle)?;
        *slot = Slot {
            generation: handle.generation(),
            object: Some(object),
        };
        Ok(())
    }

    /// Whether [`Handles::insert`] would take this handle.
    ///
    /// # Errors
    /// As [`Handles::insert`].
    pub fn check_vacant(&mut self, kind: Kind, handle: ShadowHandle) -> Result<(), CuError> {
        self.vacant(kind, handle).map(|_| ())
    }

    /// Enters an object and invents its handle.
    ///
    /// # Errors
    /// `OUT_OF_MEMORY` when [`HANDLES_MAX`] objects of the kind are live.
    pub fn invent(&mut self, kind: Kind, object: Object) -> Result<ShadowHandle, CuError> {
        let table = self.table(kind).ok_or(CuError::INVALID_HANDLE)?;
        let index = match table.free.pop() {
            Some(index) => index,
            None if table.by_server.len() < HANDLES_MAX => {
                table.by_server.push(Slot::default());
                index_of(table.by_server.len() - 1)
            }
            None => return Err(CuError::OUT_OF_MEMORY),
        };
        let slot = &mut table.by_server[index as usize];
        slot.object = Some(object);
        Ok(ShadowHandle::new(kind, slot.generation, index, true))
    }

    /// The handle under which an object is known already, or a new one: for look-ups that the
    /// driver answers with one handle however often they are made.
    ///
    /// # Errors
    /// As [`Handles::invent`].
    pub fn invent_once(&mut self, kind: Kind, object: Object) -> Result<ShadowHandle, CuError> {
        let key = (kind.0, object.driver);
        if let Some(&handle) = self.found.get(&key)
            && self.find(kind, handle) == Some(object)
        {
            return Ok(handle);
        }
        let handle = self.invent(kind, object)?;
        self.found.insert(key, handle);
        Ok(handle)
    }

    /// The handle under which [`Handles::invent_once`] has entered an object that is live.
    pub fn known(&self, kind: Kind, driver: u64) -> Option<ShadowHandle> {
        let handle = *self.found.get(&(kind.0, driver))?;
        self.find(kind, handle)
            .filter(|object| object.driver == driver)
            .map(|_| handle)
    }

    /// The handle of a live object, whoever has invented it. Looks at all of its kind.
    pub fn named(&self, kind: Kind, driver: u64) -> Option<ShadowHandle> {
        let table = &self.kinds[position(kind)?];
        [(&table.by_client, false), (&table.by_server, true)]
            .into_iter()
            .find_map(|(half, by_server)| {
                let is_it = |slot: &Slot| slot.object.is_some_and(|one| one.driver == driver);
                let at = half.iter().position(is_it)?;
                let generation = half[at].generation;
                Some(ShadowHandle::new(kind, generation, index_of(at), by_server))
            })
    }

    /// The object that a handle names, if it names one of this kind.
    pub fn find(&self, kind: Kind, handle: ShadowHandle) -> Option<Object> {
        let table = &self.kinds[position(kind)?];
        let half = if handle.by_server() {
            &table.by_server
        } else {
            &table.by_client
        };
        let slot = half.get(handle.index() as usize)?;
        let is_named = handle.kind() == kind && slot.generation == handle.generation();
        slot.object.filter(|_| is_named)
    }

    /// Takes an object out; its handle is stale from now on.
    pub fn remove(&mut self, kind: Kind, handle: ShadowHandle) -> Option<Object> {
        let object = self.find(kind, handle)?;
        let table = self.table(kind)?;
        let at = handle.index() as usize;
        if handle.by_server() {
            table.by_server[at].retire();
            table.free.push(handle.index());
        } else {
            table.by_client[at].object = None;
        }
        self.found.remove(&(kind.0, object.driver));
        Some(object)
    }

    /// Takes out what a context, module or library owned, and returns it with its kind.
    pub fn remove_owned(&mut self, owner: ShadowHandle) -> Vec<(Kind, ShadowHandle, Object)> {
        self.remove_where(|object| object.context == owner || object.parent == owner)
    }

    /// Takes out everything.
    pub fn remove_all(&mut self) -> Vec<(Kind, ShadowHandle, Object)> {
        self.remove_where(|_| true)
    }

    fn remove_where(
        &mut self,
        picks: impl Fn(&Object) -> bool,
    ) -> Vec<(Kind, ShadowHandle, Object)> {
        let mut owned = Vec::new();
        for (kind, table) in KINDS.into_iter().zip(&self.kinds) {
            for (half, by_server) in [(&table.by_client, false), (&table.by_server, true)] {
                for (index, slot) in half.iter().enumerate() {
                    let Some(object) = slot.object.filter(&picks) else {
                        continue;
                    };
                    let handle =
                        ShadowHandle::new(kind, slot.generation, index_of(index), by_server);
                    owned.push((kind, handle, object));
                }
            }
        }
        for &(kind, handle, _) in &owned {
            self.remove(kind, handle);
        }
        owned
    }

    fn table(&mut self, kind: Kind) -> Option<&mut Table> {
        Some(&mut self.kinds[position(kind)?])
    }

    fn vacant(&mut self, kind: Kind, handle: ShadowHandle) -> Result<&mut Slot, CuError> {
        let at = handle.index() as usize;
        if handle.kind() != kind || handle.by_server() || at >= HANDLES_MAX {
            return Err(CuError::INVALID_HANDLE);
        }
        let table = self.table(kind).ok_or(CuError::INVALID_HANDLE)?;
        if table.by_client.len() <= at {
            table.by_client.resize(at + 1, Slot::default());
        }
        let slot = &mut table.by_client[at];
        if slot.object.is_some() {
            return Err(CuError::INVALID_HANDLE);
        }
        Ok(slot)
    }
}

impl Slot {
    fn retire(&mut self) {
        self.object = None;
        self.generation = self.generation.wrapping_add(1) & GENERATION_MAX;
    }
}

fn position(kind: Kind) -> Option<usize> {
    KINDS.iter().position(|&known| known == kind)
}

fn index_of(at: usize) -> u32 {
    u32::try_from(at).expect("a table has at most HANDLES_MAX slots")
}

/// Kinds that have tables.
const KINDS: [Kind; 16] = [
    Kind::CONTEXT,
    Kind::MODULE,
    Kind::FUNCTION,
    Kind::LIBRARY,
    Kind::KERNEL,
    Kind::STREAM,
    Kind::EVENT,
    Kind::POOL,
    Kind::ARRAY,
    Kind::MIPMAP,
    Kind::TEXTURE,
    Kind::SURFACE,
    Kind::MEMORY,
    Kind::GRAPH_NODE,
    Kind::GRAPH,
    Kind::GRAPH_EXEC,
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn object(driver: u64) -> Object {
        Object {
            driver,
            ..Object::default()
        }
    }

    #[test]
    fn a_stale_handle_names_nothing() {
        let mut handles = Handles::default();
        let first = handles.invent(Kind::MODULE, object(1)).unwrap();
        assert_eq!(handles.remove(Kind::MODULE, first), Some(object(1)));
        let second = handles.invent(Kind::MODULE, object(2)).unwrap();
        assert_eq!(first.index(), second.index(), "the slot is used again");
        assert_eq!(handles.find(Kind::MODULE, first), None);
        assert_eq!(handles.find(Kind::MODULE, second), Some(object(2)));
    }

    #[test]
    fn a_handle_of_another_kind_or_half_names_nothing() {
        let mut handles = Handles::default();
        let event = ShadowHandle::new(Kind::EVENT, 3, 5, false);
        handles.insert(Kind::EVENT, event, object(7)).unwrap();
        assert_eq!(handles.find(Kind::EVENT, event), Some(object(7)));
        assert_eq!(handles.find(Kind::STREAM, event), None);
        let twin = ShadowHandle::new(Kind::EVENT, 3, 5, true);
        assert_eq!(handles.find(Kind::EVENT, twin), None);
        assert_eq!(
            handles.insert(Kind::EVENT, event, object(8)),
            Err(CuError::INVALID_HANDLE),
            "a live handle is not given twice"
        );
        let beyond = ShadowHandle::new(Kind::EVENT, 0, u32::MAX >> 1, false);
        assert_eq!(
            handles.insert(Kind::EVENT, beyond, object(8)),
            Err(CuError::INVALID_HANDLE)
        );
    }

    #[test]
    fn an_owner_takes_its_objects_along() {
        let mut handles = Handles::default();
        let context = ShadowHandle::primary_context(0);
        let module = handles.invent(
            Kind::MODULE,
            Object {
                driver: 1,
                context,
                ..object(1)
            },
        );
        let module = module.unwrap();
        let function = Object {
            driver: 2,
            context,
            parent: module,
        };
        let function = handles.invent(Kind::FUNCTION, function).unwrap();
        let other = handles.invent(Kind::FUNCTION, object(3)).unwrap();
        assert_eq!(handles.remove_owned(module).len(), 1);
        assert_eq!(handles.find(Kind::FUNCTION, function), None);
        assert_eq!(handles.remove_owned(context).len(), 1);
        assert_eq!(handles.find(Kind::FUNCTION, other), Some(object(3)));
    }

    #[test]
    fn a_look_up_made_again_gives_the_same_handle() {
        let mut handles = Handles::default();
        let first = handles.invent_once(Kind::KERNEL, object(9)).unwrap();
        assert_eq!(handles.invent_once(Kind::KERNEL, object(9)).unwrap(), first);
        handles.remove(Kind::KERNEL, first);
        assert_ne!(handles.invent_once(Kind::KERNEL, object(9)).unwrap(), first);
    }

    proptest! {
        #[test]
        fn any_number_is_answered(number: u64, kind: u8) {
            let mut handles = Handles::default();
            handles.invent(Kind::EVENT, object(1)).unwrap();
            let _ = handles.find(Kind(kind), ShadowHandle(number));
            let _ = handles.remove(Kind(kind), ShadowHandle(number));
        }
    }
}
