//! User objects: things of the application that live as long as graphs refer to them.

use std::sync::{Arc, Mutex};

use flexdirect_wire::abi::{CuError, CuHostFn, CuResult, CuUserObject};

use crate::callback;
use crate::driver::USER_OBJECTS;
use crate::raw::lock;

/// A counted thing of the application, with the function that ends it.
#[derive(Debug)]
pub(crate) struct UserObject {
    handle: CuUserObject,
    destroy: CuHostFn,
    data: usize,
    count: Mutex<u32>,
}

/// References of one holder, given back when it goes.
#[derive(Debug)]
pub(crate) struct UserReference {
    object: Arc<UserObject>,
    count: u32,
}

impl UserObject {
    /// A new one with `count` references of the caller.
    pub(crate) fn new(handle: CuUserObject, destroy: CuHostFn, data: usize, count: u32) -> Self {
        Self {
            handle,
            destroy,
            data,
            count: Mutex::new(count),
        }
    }

    /// Adds references.
    pub(crate) fn retain(&self, count: u32) {
        let mut own = lock(&self.count);
        *own = own.saturating_add(count);
    }

    /// Gives references back; the last ends the object.
    ///
    /// # Errors
    /// INVALID_VALUE for more than there are.
    pub(crate) fn release(&self, count: u32) -> CuResult {
        let mut own = lock(&self.count);
        *own = own.checked_sub(count).ok_or(CuError::INVALID_VALUE)?;
        let is_last = *own == 0;
        drop(own);
        if is_last {
            USER_OBJECTS.remove(self.handle.0);
            callback::host(self.destroy, self.data);
        }
        Ok(())
    }
}

impl UserReference {
    /// References that the object already counts.
    pub(crate) fn new(object: Arc<UserObject>, count: u32) -> Self {
        Self { object, count }
    }

    /// Whether they are of this object.
    pub(crate) fn is_of(&self, object: &Arc<UserObject>) -> bool {
        Arc::ptr_eq(&self.object, object)
    }

    /// How many.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// Splits some off.
    pub(crate) fn take(&mut self, count: u32) -> Self {
        self.count -= count;
        Self::new(Arc::clone(&self.object), count)
    }
}

impl Clone for UserReference {
    fn clone(&self) -> Self {
        // Whoever copies a graph holds its objects once each.
        let count = self.count.min(1);
        self.object.retain(count);
        Self::new(Arc::clone(&self.object), count)
    }
}

impl Drop for UserReference {
    fn drop(&mut self) {
        if self.count > 0 {
            // They were counted, so there are as many.
            let _ = self.object.release(self.count);
        }
    }
}
