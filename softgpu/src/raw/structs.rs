//! Structs that the application fills and a call reads.

/// The struct at `place`; `None` if that is null. Only for types of which every pattern of bits is
/// a value, as those of `flexdirect_wire::abi` are.
pub(crate) fn read<T: Copy>(place: *const T) -> Option<T> {
    // SAFETY: the application passes null or a struct; alignment is not relied on.
    (!place.is_null()).then(|| unsafe { place.read_unaligned() })
}
