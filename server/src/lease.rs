//! Who holds what: devices, leases, the sessions of a lease and what each has reserved.
//!
//! Accounting only: no process and no socket. The daemon keeps one [`Pool`] behind a lock and it is
//! the authority: a worker belongs to its tenant, so its word about memory counts for nothing here.

use std::collections::HashMap;
use std::fmt;

use flexdirect_wire::control::{self, DeviceState, LeasedDevice, Reason, Refusal, Share};
use flexdirect_wire::limits::WORKERS_MAX;

use crate::scheduler;
use crate::share::{OverShare, Usage};

/// The devices of a daemon and who holds them.
#[derive(Debug)]
pub struct Pool {
    driver_version: u32,
    devices: Vec<DeviceState>,
    leases: HashMap<u64, Lease>,
    next_lease: u64,
    next_session: u64,
}

/// Name of a session inside the daemon: never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(u64);

/// Secret of a lease: 32 bytes of the system's randomness, in hex.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

#[derive(Debug)]
struct Lease {
    /// Nothing once the lease is ending: nobody opens a session any more.
    secret: Option<Secret>,
    shares: Vec<Held>,
    sessions: HashMap<SessionId, Session>,
}

/// One device of a lease.
#[derive(Debug)]
struct Held {
    /// Position in the pool's devices.
    at: usize,
    limit: u64,
    used: u64,
}

#[derive(Debug)]
struct Session {
    name: String,
    /// Bytes reserved, by device of the lease.
    reserved: Vec<u64>,
}

impl Pool {
    /// A pool in which nobody holds anything; its driver says `driver_version` of itself.
    pub fn new(driver_version: u32, mut devices: Vec<DeviceState>) -> Self {
        for device in &mut devices {
            device.free = device.memory;
        }
        Self {
            driver_version,
            devices,
            leases: HashMap::new(),
            next_lease: 1,
            next_session: 1,
        }
    }

    /// The devices and what of them is free.
    pub fn devices(&self) -> &[DeviceState] {
        &self.devices
    }

    /// Leases held.
    pub fn leases(&self) -> u32 {
        u32::try_from(self.leases.len()).unwrap_or(u32::MAX)
    }

    /// Grants a lease: all of it or nothing.
    ///
    /// # Errors
    /// [`Reason::Bad`] for a request that makes no sense, [`Reason::Full`] when the devices do not
    /// have room for it now.
    pub fn claim(
        &mut self,
        devices: u32,
        share: Share,
        secret: Secret,
    ) -> Result<control::Lease, Refusal> {
        scheduler::check(devices, share)?;
        let chosen = scheduler::choose(&self.devices, devices, share)
            .ok_or_else(|| self.full(devices, share))?;
        let number = self.next_lease;
        self.next_lease += 1;
        let mut shares = Vec::with_capacity(chosen.len());
        let mut leased = Vec::with_capacity(chosen.len());
        for at in chosen {
            let device = &mut self.devices[at];
            let limit = scheduler::share_bytes(device.memory, share)
                .expect("a chosen device has room for the share");
            device.free -= limit;
            shares.push(Held { at, limit, used: 0 });
            leased.push(LeasedDevice {
                ordinal: device.ordinal,
                memory: limit,
                name: device.name.clone(),
            });
        }
        let answer = control::Lease {
            lease: number,
            secret: secret.0.clone(),
            server_version: env!("CARGO_PKG_VERSION").to_owned(),
            driver_version: self.driver_version,
            devices: leased,
        };
        self.leases.insert(
            number,
            Lease {
                secret: Some(secret),
                shares,
                sessions: HashMap::new(),
            },
        );
        Ok(answer)
    }

    /// Begins to end a lease: nobody opens a session any more. Returns the sessions that are left.
    pub fn revoke(&mut self, lease: u64) -> Vec<SessionId> {
        if let Some(lease) = self.leases.get_mut(&lease) {
            lease.secret = None;
        }
        self.sessions(lease)
    }

    /// Whether a lease is held and not ending.
    pub fn is_live(&self, lease: u64) -> bool {
        self.leases
            .get(&lease)
            .is_some_and(|lease| lease.secret.is_some())
    }

    /// Ends a lease and returns its memory. Its sessions must have been closed.
    pub fn end(&mut self, lease: u64) {
        let Some(lease) = self.leases.remove(&lease) else {
            return;
        };
        debug_assert!(
            lease.sessions.is_empty(),
            "workers are reaped before their lease ends"
        );
        for held in lease.shares {
            self.devices[held.at].free += held.limit;
        }
    }

    /// Opens a session for whoever shows the secret.
    ///
    /// # Errors
    /// [`Reason::Denied`] for a lease that is gone or another secret, [`Reason::Bad`] for a name
    /// that is in use or no name, [`Reason::Full`] over [`WORKERS_MAX`].
    pub fn open(&mut self, lease: u64, secret: &str, name: &str) -> Result<SessionId, Refusal> {
        let sessions: usize = self.leases.values().map(|lease| lease.sessions.len()).sum();
        let held = authorised(&mut self.leases, lease, secret)?;
        let ok = (1..=NAME_LEN_MAX).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_graphic());
        if !ok {
            let text = format!("a session's name has 1 to {NAME_LEN_MAX} printable characters");
            return Err(Refusal {
                reason: Reason::Bad,
                text,
            });
        }
        if held.sessions.values().any(|session| session.name == name) {
            let text = format!("session {name} of lease {lease} is connected already");
            return Err(Refusal {
                reason: Reason::Bad,
                text,
            });
        }
        if sessions >= WORKERS_MAX {
            let text = format!("this server runs {WORKERS_MAX} worker processes, the most it may");
            return Err(Refusal {
                reason: Reason::Full,
                text,
            });
        }
        let id = SessionId(self.next_session);
        self.next_session += 1;
        let session = Session {
            name: name.to_owned(),
            reserved: vec![0; held.shares.len()],
        };
        held.sessions.insert(id, session);
        Ok(id)
    }

    /// Finds an open session for whoever shows the secret.
    ///
    /// # Errors
    /// [`Reason::Denied`], also for a session that is not there.
    pub fn find(&mut self, lease: u64, secret: &str, name: &str) -> Result<SessionId, Refusal> {
        let held = authorised(&mut self.leases, lease, secret)?;
        held.sessions
            .iter()
            .find_map(|(&id, session)| (session.name == name).then_some(id))
            .ok_or_else(|| Refusal {
                reason: Reason::Denied,
                text: format!("lease {lease} has no such session: its worker has ended"),
            })
    }

    /// Closes a session: what it had reserved is free again in its lease.
    pub fn close(&mut self, lease: u64, session: SessionId) {
        let Some(lease) = self.leases.get_mut(&lease) else {
            return;
        };
        let Some(session) = lease.sessions.remove(&session) else {
            return;
        };
        for (held, bytes) in lease.shares.iter_mut().zip(session.reserved) {
            held.used -= bytes;
        }
    }

    /// Sessions of a lease.
    pub fn sessions(&self, lease: u64) -> Vec<SessionId> {
        self.leases
            .get(&lease)
            .map_or_else(Vec::new, |lease| lease.sessions.keys().copied().collect())
    }

    /// Takes `bytes` of a device of the lease for a session.
    ///
    /// # Errors
    /// [`OverShare`] when the share does not have them, or there is no such device or session.
    pub fn reserve(
        &mut self,
        lease: u64,
        session: SessionId,
        device: u16,
        bytes: u64,
    ) -> Result<Usage, OverShare> {
        let none = OverShare {
            asked: bytes,
            used: 0,
            limit: 0,
        };
        let (held, reserved) = self.entry(lease, session, device).ok_or(none)?;
        let used = held
            .used
            .checked_add(bytes)
            .filter(|&used| used <= held.limit);
        let used = used.ok_or(OverShare {
            asked: bytes,
            used: held.used,
            limit: held.limit,
        })?;
        held.used = used;
        *reserved += bytes;
        Ok(Usage {
            used,
            limit: held.limit,
        })
    }

    /// Gives back what a session reserved, and never more than that.
    pub fn release(&mut self, lease: u64, session: SessionId, device: u16, bytes: u64) {
        let Some((held, reserved)) = self.entry(lease, session, device) else {
            return;
        };
        let bytes = bytes.min(*reserved);
        *reserved -= bytes;
        held.used -= bytes;
    }

    /// Use of a device of a lease.
    pub fn usage(&self, lease: u64, device: u16) -> Usage {
        self.leases
            .get(&lease)
            .and_then(|lease| lease.shares.get(usize::from(device)))
            .map_or_else(Usage::default, |held| Usage {
                used: held.used,
                limit: held.limit,
            })
    }

    /// The devices of a lease: position among the pool's devices and bytes of the share.
    pub fn leased(&self, lease: u64) -> Vec<(usize, u64)> {
        self.leases.get(&lease).map_or_else(Vec::new, |lease| {
            lease
                .shares
                .iter()
                .map(|held| (held.at, held.limit))
                .collect()
        })
    }

    fn entry(
        &mut self,
        lease: u64,
        session: SessionId,
        device: u16,
    ) -> Option<(&mut Held, &mut u64)> {
        let lease = self.leases.get_mut(&lease)?;
        let device = usize::from(device);
        let reserved = lease.sessions.get_mut(&session)?.reserved.get_mut(device)?;
        Some((lease.shares.get_mut(device)?, reserved))
    }

    fn full(&self, devices: u32, share: Share) -> Refusal {
        let free: Vec<String> = self
            .devices
            .iter()
            .map(|device| {
                format!(
                    "GPU {} {} MiB",
                    device.ordinal,
                    device.free / scheduler::MIB
                )
            })
            .collect();
        let text = format!(
            "{devices} GPUs ({}) asked for, free of {}: {}",
            scheduler::describe(share),
            self.devices.len(),
            free.join(", ")
        );
        Refusal {
            reason: Reason::Full,
            text,
        }
    }
}

fn authorised<'a>(
    leases: &'a mut HashMap<u64, Lease>,
    lease: u64,
    secret: &str,
) -> Result<&'a mut Lease, Refusal> {
    // The same words for both cases: a stranger does not learn which leases exist.
    let shown = |held: &&mut Lease| {
        held.secret
            .as_ref()
            .is_some_and(|held| held.matches(secret))
    };
    leases.get_mut(&lease).filter(shown).ok_or_else(|| Refusal {
        reason: Reason::Denied,
        text: format!("lease {lease} has ended, or the secret is not its secret"),
    })
}

impl Secret {
    /// The secret of these bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Whether `shown` is this secret, in a time that does not depend on where they differ.
    pub fn matches(&self, shown: &str) -> bool {
        let (secret, shown) = (self.0.as_bytes(), shown.as_bytes());
        let differences = secret
            .iter()
            .zip(shown)
            .fold(0, |sum, (a, b)| sum | (a ^ b));
        // The barrier keeps the optimiser from leaving the loop early.
        secret.len() == shown.len() && std::hint::black_box(differences) == 0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Longest name of a session: a process chooses it, and it stands in logs.
const NAME_LEN_MAX: usize = 128;

#[cfg(test)]
mod tests;
