//! What the driver holds current for one thread of the worker.

use flexdirect_wire::abi::CuContext;
use flexdirect_wire::{CuError, ShadowHandle};

use super::{Session, primary_device};

/// A context as the thread that has entered it knows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Current {
    /// The client's name, null for no context.
    pub(crate) name: ShadowHandle,
    /// The driver's handle, null for no context.
    pub(crate) driver: CuContext,
    /// Device of the lease.
    pub(crate) device: u16,
}

/// A thread's place at the driver: it makes a context current only when another one is.
#[derive(Debug, Default)]
pub(crate) struct Seat {
    current: Option<(Current, u64)>,
}

impl Seat {
    /// Makes a context current, or none for the null handle. A primary context that nobody has
    /// retained is retained.
    ///
    /// # Errors
    /// `INVALID_CONTEXT` for a name that is none; else what the driver says.
    pub(crate) fn enter(
        &mut self,
        session: &Session,
        name: ShadowHandle,
    ) -> Result<Current, CuError> {
        let epoch = session.epoch();
        if let Some((current, known)) = self.current
            && current.name == name
            && known == epoch
        {
            return Ok(current);
        }
        self.current = None;
        let current = if name.is_null() {
            Current::default()
        } else {
            find(session, name)?
        };
        session.driver.set_current(current.driver)?;
        self.current = Some((current, epoch));
        Ok(current)
    }

    /// The driver has something else current than this thread believes.
    pub(crate) fn leave(&mut self) {
        self.current = None;
    }
}

fn find(session: &Session, name: ShadowHandle) -> Result<Current, CuError> {
    if let Some(known) = session.tables().context(name) {
        return Ok(Current {
            name,
            driver: known.driver,
            device: known.device,
        });
    }
    let device = primary_device(name, session.devices).ok_or(CuError::INVALID_CONTEXT)?;
    crate::hand::retain_primary(session, device)
}
