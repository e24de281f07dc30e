//! The memory share of a session, as its worker sees it.
//!
//! The authority is the daemon: several workers of one lease draw on the same share. A worker asks
//! before it allocates and says when it has freed.

use std::fmt;

/// What a session may hold of each device of its lease.
pub trait Quota: Send + Sync + fmt::Debug {
    /// Takes `bytes` of device `device` (ordinal in the lease) from the share.
    ///
    /// # Errors
    /// [`OverShare`] when the share does not have them.
    fn reserve(&self, device: u16, bytes: u64) -> Result<(), OverShare>;

    /// Gives back what [`Quota::reserve`] took.
    fn release(&self, device: u16, bytes: u64);

    /// What all sessions of the lease hold, and the share, in bytes.
    fn usage(&self, device: u16) -> Usage;
}

/// Use of a share, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Held by all sessions of the lease.
    pub used: u64,
    /// The share.
    pub limit: u64,
}

/// An allocation that the share does not have room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{asked} bytes asked, {used} of {limit} bytes in use")]
pub struct OverShare {
    /// Bytes asked for.
    pub asked: u64,
    /// Bytes in use by the lease.
    pub used: u64,
    /// Bytes of the share.
    pub limit: u64,
}
