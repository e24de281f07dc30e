//! What the application's pointers name, at its word for the time of a call.

use flexdirect_wire::nvml::NvmlUuid;

/// Writes the first elements of an array.
pub(crate) fn write_array<T: Copy>(start: *mut T, elements: &[T]) {
    if start.is_null() {
        return;
    }
    for (index, &element) in elements.iter().enumerate() {
        // SAFETY: the caller passes an array of at least as many elements as it said, and no more
        // than those are given here.
        unsafe { start.add(index).write_unaligned(element) };
    }
}

/// A UUID in either form.
pub(crate) fn uuid(uuid: *const NvmlUuid) -> Option<NvmlUuid> {
    // SAFETY: the application passes null or a UUID.
    (!uuid.is_null()).then(|| unsafe { uuid.read_unaligned() })
}
