//! Bodies of virtual memory: addresses, physical memory, and what is mapped where.

use zerocopy::{FromBytes, Immutable, IntoBytes};

bodies! {
    /// Addresses to be kept free.
    Reserve = 40 {
        /// Bytes.
        len: u64,
        /// Alignment in bytes, or 0.
        alignment: u64,
        /// Where they are wanted, or 0.
        wanted: u64,
        /// Flags of the call.
        flags: u64,
        /// Addresses that collided with client memory: kept until the session ends, so that the
        /// driver gives others; 0 for none.
        decoy: u64,
    }

    /// A range of addresses.
    Space = 16 {
        /// First address.
        address: u64,
        /// Bytes.
        len: u64,
    }

    /// Physical memory to be made, on the device of the record's lane.
    Physical = 24 {
        /// Bytes.
        len: u64,
        /// Flags of the call.
        flags: u64,
        /// `CUmemAllocationHandleType` bits that were asked for: remembered, and no more.
        handle_types: u32,
        /// Reserved, zero.
        reserved: u32,
    }

    /// Reply: what physical memory is.
    PhysicalFound = 8 {
        /// Device of the lease.
        device: u32,
        /// As in [`Physical`].
        handle_types: u32,
    }

    /// Physical memory to be mapped.
    Map = 40 {
        /// First address.
        address: u64,
        /// Bytes.
        len: u64,
        /// Offset in the memory.
        offset: u64,
        /// Physical memory.
        memory: u64,
        /// Flags of the call.
        flags: u64,
    }

    /// Access to mappings, followed by [`Access`] for each change.
    AccessChange = 24 {
        /// First address.
        address: u64,
        /// Bytes.
        len: u64,
        /// Number of changes.
        changes: u32,
        /// Reserved, zero.
        reserved: u32,
    }

    /// Access of one device.
    Access = 8 {
        /// Device of the lease.
        device: u32,
        /// `CUmemAccess_flags`.
        flags: u32,
    }

    /// A question for the access of a device to a mapping.
    AccessOf = 16 {
        /// An address in it.
        address: u64,
        /// Device of the lease.
        device: u32,
        /// Reserved, zero.
        reserved: u32,
    }
}
