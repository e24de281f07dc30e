//! What the client knows of texture and surface objects: all that they were made of, as it was
//! given.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use flexdirect_wire::abi::{CudaResourceDesc, CudaResourceViewDesc, CudaTextureDesc};

/// A texture object, or a surface object, which nothing says how to read.
#[derive(Debug)]
pub(crate) struct Object {
    /// Context that it lives in.
    pub(crate) context: u64,
    pub(crate) lane: u16,
    /// The worker's handle: what the application has is the driver's own value.
    pub(crate) handle: u64,
    /// What it was made of, with the application's handles.
    pub(crate) resource: CudaResourceDesc,
    /// How a texture object is read.
    pub(crate) how: CudaTextureDesc,
    /// The part of it that a texture object shows, if one was named.
    pub(crate) view: Option<CudaResourceViewDesc>,
}

/// Objects by the values that kernels take. A driver may give the same value in two contexts, so
/// the calling thread's context says which is meant where both have one.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    /// By value, then by context.
    by_value: RwLock<BTreeMap<(u64, u64), Arc<Object>>>,
}

impl Objects {
    pub(crate) fn insert(&self, value: u64, object: Object) {
        let key = (value, object.context);
        let mut objects = self
            .by_value
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        objects.insert(key, Arc::new(object));
    }

    pub(crate) fn find(&self, value: u64, context: u64) -> Option<Arc<Object>> {
        let objects = self.by_value.read().unwrap_or_else(PoisonError::into_inner);
        let key = meant(&objects, value, context)?;
        objects.get(&key).cloned()
    }

    pub(crate) fn remove(&self, value: u64, context: u64) -> Option<Arc<Object>> {
        let mut objects = self
            .by_value
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let key = meant(&objects, value, context)?;
        objects.remove(&key)
    }

    /// Forgets those of a context.
    pub(crate) fn forget(&self, context: u64) {
        let mut objects = self
            .by_value
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        objects.retain(|_, object| object.context != context);
    }
}

/// The object of that value in the context, or else of another.
fn meant(
    objects: &BTreeMap<(u64, u64), Arc<Object>>,
    value: u64,
    context: u64,
) -> Option<(u64, u64)> {
    if objects.contains_key(&(value, context)) {
        return Some((value, context));
    }
    let mut others = objects.range((value, 0)..=(value, u64::MAX));
    others.next().map(|(&key, _)| key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(context: u64, handle: u64) -> Object {
        Object {
            context,
            lane: 0,
            handle,
            resource: CudaResourceDesc::default(),
            how: CudaTextureDesc::default(),
            view: None,
        }
    }

    #[test]
    fn two_contexts_may_have_the_same_value() {
        let objects = Objects::default();
        objects.insert(1, object(7, 70));
        objects.insert(1, object(8, 80));
        let handle = |context| objects.find(1, context).map(|object| object.handle);
        assert_eq!((handle(7), handle(8)), (Some(70), Some(80)));
        assert_eq!(objects.remove(1, 8).map(|object| object.handle), Some(80));
        assert_eq!(handle(8), Some(70), "seen from another context");
        assert!(objects.find(2, 7).is_none());
        objects.forget(7);
        assert!(objects.remove(1, 7).is_none());
    }
}
