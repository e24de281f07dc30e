//! The session's arrays: their sizes, by which copies are checked, and what they take of the share.

use std::collections::HashMap;

use flexdirect_wire::abi::CudaArray3dDescriptor;
use flexdirect_wire::{CuError, CuResult, ShadowHandle};

/// An array, a level of a mipmapped one, or a mipmapped one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Array {
    /// As the driver describes it.
    pub(crate) described: CudaArray3dDescriptor,
    /// Device of the lease that it lies on.
    pub(crate) device: u16,
    /// Bytes that it takes from the share; none for a level.
    pub(crate) reserved: u64,
}

/// All arrays, by handle.
#[derive(Debug, Default)]
pub(crate) struct Arrays {
    by_handle: HashMap<ShadowHandle, Array>,
}

impl Arrays {
    /// Enters an array.
    pub(crate) fn insert(&mut self, handle: ShadowHandle, array: Array) {
        self.by_handle.insert(handle, array);
    }

    /// Takes an array out.
    pub(crate) fn remove(&mut self, handle: ShadowHandle) -> Option<Array> {
        self.by_handle.remove(&handle)
    }

    /// Takes out everything.
    pub(crate) fn remove_all(&mut self) -> Vec<Array> {
        self.by_handle.drain().map(|(_, array)| array).collect()
    }

    /// Whether a box lies inside of an array: first byte of a row, first row, first slice or
    /// layer; bytes, rows, slices.
    ///
    /// # Errors
    /// `INVALID_HANDLE` for what is no array; `INVALID_VALUE`.
    pub(crate) fn check(
        &self,
        handle: ShadowHandle,
        start: [u64; 3],
        extent: [u64; 3],
    ) -> CuResult {
        let array = self.by_handle.get(&handle);
        let array = array.ok_or(CuError::INVALID_HANDLE)?;
        if array.described.holds(start, extent) {
            Ok(())
        } else {
            Err(CuError::INVALID_VALUE)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flexdirect_wire::Kind;
    use flexdirect_wire::abi::CuArrayFormat;

    #[test]
    fn a_copy_stays_inside_of_an_array_that_is_there() {
        let mut arrays = Arrays::default();
        let name = ShadowHandle::new(Kind::ARRAY, 0, 0, true);
        let described = CudaArray3dDescriptor {
            width: 4,
            height: 2,
            format: CuArrayFormat(0x20),
            channels: 1,
            ..CudaArray3dDescriptor::default()
        };
        let array = Array {
            described,
            device: 0,
            reserved: 64,
        };
        arrays.insert(name, array);
        assert_eq!(arrays.check(name, [4, 1, 0], [12, 1, 1]), Ok(()));
        let beyond = arrays.check(name, [4, 1, 0], [12, 2, 1]);
        assert_eq!(beyond, Err(CuError::INVALID_VALUE));
        assert!(arrays.remove(name).is_some());
        let gone = arrays.check(name, [0; 3], [4, 1, 1]);
        assert_eq!(gone, Err(CuError::INVALID_HANDLE));
    }
}
