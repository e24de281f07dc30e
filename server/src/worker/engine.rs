//! What a worker does with its driver: says what devices it has, and serves a session on it.

use std::io;
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use flexdirect_transport::tcp::{Options, TcpLink};
use flexdirect_wire::CuError;
use flexdirect_wire::control::Snapshot;
use flexdirect_wire::limits::SLAB_LEN;

use super::channel::Start;
use super::{WorkerError, leave};
use crate::device::Probe;
use crate::driver::Driver;
use crate::quota::RemoteQuota;
use crate::session::{self, End};
use crate::shadow::slab::Slab;
use crate::snapshot;

/// Opens a driver and says what devices it has.
///
/// # Errors
/// The driver's reason.
pub fn probe(path: &Path) -> Result<Probe, WorkerError> {
    let driver = open_driver(path)?;
    let devices = snapshot::devices(&driver).map_err(|error| said(path, error))?;
    let driver_version = snapshot::driver_version(&driver).map_err(|error| said(path, error))?;
    Ok(Probe {
        driver_version,
        devices,
    })
}

/// Opens the driver and says what the client is told of it: shares in place of whole devices.
pub(super) fn open(path: &Path, start: &Start) -> Result<(Driver, Snapshot), WorkerError> {
    let driver = open_driver(path)?;
    let found = snapshot::devices(&driver)
        .map_err(|error| said(path, error))?
        .len();
    let leased = start.shares.len();
    if found != leased {
        let text = format!(
            "{} shows {found} of {leased} devices of the lease",
            path.display()
        );
        return Err(WorkerError::Driver(text));
    }
    let snapshot = snapshot::snapshot(&driver, &start.shares).map_err(|error| said(path, error))?;
    Ok((driver, snapshot))
}

/// Serves the session to its end, and leaves the process.
pub(super) fn run(
    driver: Driver,
    quota: Arc<RemoteQuota>,
    main: TcpStream,
    side: TcpStream,
    start: &Start,
) -> Result<(), WorkerError> {
    let host = |what| move |error: io::Error| WorkerError::Host { what, error };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let options = Options {
        lost_after: Duration::from_millis(start.grace_ms).max(Duration::from_secs(1)),
        spin: if cores >= SPIN_CORES_MIN {
            SPIN
        } else {
            Duration::ZERO
        },
    };
    let link = TcpLink::new(main, side, options).map_err(host("the link"))?;
    let slab = Slab::new(SLAB_LEN).map_err(host("memory for the slab"))?;
    let devices = u16::try_from(start.shares.len()).unwrap_or(u16::MAX);
    match session::serve(link, Arc::new(driver), quota, devices, slab) {
        End::Closed(reason) => tracing::debug!("session ended: {reason}"),
        End::Failed(reason) => {
            tracing::error!("session failed: {reason}");
            leave::now(1);
        }
        // Logged by the session, which knows more.
        End::Fault(_) => leave::now(1),
    }
    leave::now(0)
}

fn open_driver(path: &Path) -> Result<Driver, WorkerError> {
    Driver::open(path).map_err(|error| WorkerError::Driver(error.to_string()))
}

fn said(path: &Path, error: CuError) -> WorkerError {
    WorkerError::Driver(format!(
        "{} does not describe its devices: {error:?}",
        path.display()
    ))
}

/// Time that a receiver looks for bytes before it sleeps, where there are cores to spare.
const SPIN: Duration = Duration::from_micros(50);

/// With fewer cores, spinning takes time from whoever is waited for.
const SPIN_CORES_MIN: usize = 4;
