//! Control messages: hello, leases, snapshots, goodbye. The slow, readable side: JSON in frames.
//!
//! A frame is 4 bytes [`MAGIC`], 4 bytes length (little endian), and that many bytes of JSON. Every
//! connection to a daemon starts with one [`Request`]; what follows depends on it.
//!
//! ```text
//! run ── Claim ──▶ daemon            holds the connection: the lease lives as long as it does
//! run ◀─ Leased ── daemon
//! application ── Attach(main) ──▶ daemon ── socket ──▶ worker ── Welcome ──▶ application
//! application ── Attach(side) ──▶ daemon ── socket ──▶ worker ── Ready ────▶ application
//!                                 from here on both connections are a link
//! ```

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::limits::CONTROL_LEN_MAX;

/// Version of the protocol. Agreed in the first message: equal or refused.
pub const VERSION: u32 = 1;

/// First bytes of every control frame: tells a FlexDirect peer from anything else.
pub const MAGIC: [u8; 4] = *b"FXD1";

/// What a connection to a daemon is for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "request")]
pub enum Request {
    /// Which devices there are and what of them is free.
    List {
        /// [`VERSION`] of the asker.
        version: u32,
    },
    /// A lease, for as long as this connection is open.
    Claim {
        /// [`VERSION`] of the asker.
        version: u32,
        /// Number of devices.
        devices: u32,
        /// Share of each.
        share: Share,
        /// Who asks, for people: user, host, process, command.
        client: String,
    },
    /// One end of a link for a client process.
    Attach(Attach),
}

/// One connection of a session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attach {
    /// [`VERSION`] of the client.
    pub version: u32,
    /// Lease, by its number.
    pub lease: u64,
    /// Secret of the lease, in hex.
    pub secret: String,
    /// Session: chosen by the client process, unique in the lease.
    pub session: String,
    /// Which lane this connection is.
    pub lane: Lane,
    /// Process id of the client, for people.
    pub process: u32,
    /// Version of the newest call in the client's table, as `cuDriverGetVersion` counts.
    pub table_version: u32,
}

/// Which lane of a link a connection carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// Records, replies and bulk.
    Main,
    /// Credits, acknowledgements of callbacks, cancellations.
    Side,
}

/// Share of one device.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Share {
    /// This part of the memory, over 0 and at most 1.
    Fraction(f64),
    /// This many MiB.
    Memory(u64),
}

/// Answer to a [`Request`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "answer")]
pub enum Answer {
    /// To [`Request::List`].
    Devices {
        /// Version of the server's program.
        server_version: String,
        /// Leases held.
        leases: u32,
        /// In ordinal order.
        devices: Vec<DeviceState>,
    },
    /// To [`Request::Claim`].
    Leased(Lease),
    /// To [`Attach`] of the main lane, from the worker.
    Welcome(Box<Snapshot>),
    /// To [`Attach`] of the side lane, from the worker.
    Ready,
    /// To anything: no.
    Refused(Refusal),
}

/// A lease that was granted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lease {
    /// Its number.
    pub lease: u64,
    /// Secret that its processes show, in hex.
    pub secret: String,
    /// Version of the server's program.
    pub server_version: String,
    /// `cuDriverGetVersion` of the server's driver.
    pub driver_version: u32,
    /// Devices, in the order in which the application sees them.
    pub devices: Vec<LeasedDevice>,
}

/// One device of a lease.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LeasedDevice {
    /// Ordinal on the server.
    pub ordinal: u32,
    /// Memory of the share in bytes.
    pub memory: u64,
    /// Name.
    pub name: String,
}

/// One device as a daemon sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeviceState {
    /// Ordinal on the server.
    pub ordinal: u32,
    /// Name.
    pub name: String,
    /// UUID as `GPU-xxxxxxxx-...`.
    pub uuid: String,
    /// Memory in bytes.
    pub memory: u64,
    /// Memory that no lease holds, in bytes.
    pub free: u64,
}

/// A refusal: policy, a full pool, or a request that makes no sense.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// One sentence for people, with the limit in it.
    pub text: String,
}

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The request makes no sense.
    Bad,
    /// The secret is wrong or the lease is gone.
    Denied,
    /// Not enough free devices or memory now.
    Full,
    /// The server failed at it.
    Failed,
    /// Another protocol version.
    Version,
}

/// What a client is told at connect: all that it answers without asking again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Version of the protocol.
    pub version: u32,
    /// Version of the server's program.
    pub server_version: String,
    /// `cuDriverGetVersion` of the server's driver.
    pub driver_version: u32,
    /// Length of the worker's inbound slab in bytes.
    pub slab_len: u64,
    /// Devices, in ordinal order of the lease.
    pub devices: Vec<Device>,
}

/// One device in a [`Snapshot`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Device {
    /// Name.
    pub name: String,
    /// UUID, 16 bytes.
    pub uuid: [u8; 16],
    /// Memory of the share in bytes.
    pub memory: u64,
    /// Attributes by number, as the driver says: the client masks.
    pub attributes: Vec<(u32, i32)>,
    /// Least and greatest stream priority, as `cuCtxGetStreamPriorityRange` gives them.
    pub priorities: (i32, i32),
    /// PCI address as text.
    pub pci: String,
}

/// What `flexdirect run` hands to the processes that it starts, in a file of mode 0600 whose path
/// is in [`LEASE_VARIABLE`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LeaseFile {
    /// Address of the daemon, `host:port`.
    pub server: String,
    /// The lease.
    pub lease: u64,
    /// Its secret, in hex.
    pub secret: String,
    /// `cuDriverGetVersion` of the server's driver: programs ask for it before they connect.
    pub driver_version: u32,
    /// Transport to use: `auto` or a mechanism's name.
    pub transport: String,
    /// Time after which a host that does not answer is lost, in milliseconds.
    pub grace_ms: u64,
}

/// Environment variable with the path of the [`LeaseFile`].
pub const LEASE_VARIABLE: &str = "FLEXDIRECT_LEASE";

/// Writes one control frame.
///
/// # Errors
/// What the stream says; `InvalidData` for a message over [`CONTROL_LEN_MAX`].
pub fn write<T: Serialize>(stream: &mut impl Write, message: &T) -> io::Result<()> {
    let json = serde_json::to_vec(message)?;
    if json.len() > CONTROL_LEN_MAX {
        return Err(invalid(format!("control message of {} bytes", json.len())));
    }
    let len = u32::try_from(json.len()).expect("a control message is below 4 GiB");
    let mut frame = Vec::with_capacity(8 + json.len());
    frame.extend_from_slice(&MAGIC);
    frame.extend_from_slice(&len.to_le_bytes());
    frame.extend_from_slice(&json);
    stream.write_all(&frame)
}

/// Reads one control frame.
///
/// # Errors
/// What the stream says; `InvalidData` for another protocol, a length over [`CONTROL_LEN_MAX`] or
/// JSON that is no `T`.
pub fn read<T: DeserializeOwned>(stream: &mut impl Read) -> io::Result<T> {
    let mut head = [0; 8];
    stream.read_exact(&mut head)?;
    let (magic, len) = head.split_at(4);
    if magic != MAGIC {
        return Err(invalid(
            "the peer does not speak FlexDirect's protocol".to_owned(),
        ));
    }
    let len = u32::from_le_bytes(len.try_into().expect("four bytes")) as usize;
    if len > CONTROL_LEN_MAX {
        return Err(invalid(format!("control message of {len} bytes")));
    }
    let mut json = vec![0; len];
    stream.read_exact(&mut json)?;
    serde_json::from_slice(&json).map_err(|error| invalid(format!("control message: {error}")))
}

fn invalid(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_message_comes_back() {
        let request = Request::Claim {
            version: VERSION,
            devices: 2,
            share: Share::Fraction(0.5),
            client: "me".to_owned(),
        };
        let mut frame = Vec::new();
        write(&mut frame, &request).unwrap();
        assert_eq!(read::<Request>(&mut &frame[..]).unwrap(), request);
    }

    #[test]
    fn another_protocol_is_refused() {
        let error = read::<Request>(&mut &b"GET / HTTP/1.1\r\n\r\n"[..]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_message_or_an_error(
            bytes in proptest::collection::vec(any::<u8>(), 0..64),
        ) {
            let _ = read::<Request>(&mut &bytes[..]);
            let mut framed = MAGIC.to_vec();
            framed.extend_from_slice(&u32::try_from(bytes.len()).unwrap().to_le_bytes());
            framed.extend_from_slice(&bytes);
            let _ = read::<Answer>(&mut &framed[..]);
        }
    }
}
