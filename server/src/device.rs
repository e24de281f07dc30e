//! Which driver a daemon serves, and what its devices are.
//!
//! The daemon never opens a driver itself: a libcuda loads kernel modules, starts threads and may
//! hang. A child of the daemon looks, says what it saw as JSON, and ends.

use std::ffi::OsString;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Stdio};
use std::str::FromStr;
use std::time::{Duration, Instant};

use flexdirect_wire::control::DeviceState;
use flexdirect_wire::limits::CONTROL_LEN_MAX;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::{Deserialize, Serialize};

use crate::worker::spawn;

/// What a person asked for with `--device`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// NVIDIA's driver if it starts with a device, else the CPUs.
    #[default]
    Auto,
    /// NVIDIA's driver.
    Nvidia,
    /// GPUs made of CPUs, this many.
    Soft(u32),
}

/// Where to look for drivers.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// A libcuda that was named outright: nothing else is tried.
    pub driver: Option<PathBuf>,
    /// Where softgpu's libcuda may be, best first.
    pub soft: Vec<PathBuf>,
}

/// A driver that was found and has devices.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its libcuda.
    pub path: PathBuf,
    /// Environment that its processes need besides what they inherit.
    pub environment: Vec<(OsString, OsString)>,
    /// What the probe saw.
    pub probe: Probe,
}

/// What a probing child says on its output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// `cuDriverGetVersion`.
    pub driver_version: u32,
    /// In ordinal order.
    pub devices: Vec<DeviceState>,
}

/// No driver with a device: what was tried.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoDevice(pub String);

/// Finds the driver that `choice` asks for.
///
/// # Errors
/// [`NoDevice`] with everything that was tried and why it was not taken.
pub fn find(choice: Choice, places: &Places, program: &Path) -> Result<Found, NoDevice> {
    let mut tried = Vec::new();
    for (path, environment) in candidates(choice, places) {
        match probe(&path, &environment, program) {
            Ok(probe) if probe.devices.is_empty() => tried.push(format!("{path:?} has no device")),
            Ok(probe) => {
                return Ok(Found {
                    path,
                    environment,
                    probe,
                });
            }
            Err(reason) => tried.push(format!("{path:?}: {reason}")),
        }
    }
    if tried.is_empty() {
        tried.push(match choice {
            Choice::Soft(_) => format!("softgpu is not installed (looked at {:?})", places.soft),
            Choice::Nvidia | Choice::Auto => format!("no libcuda.so.1 in {FOLDERS:?}"),
        });
    }
    Err(NoDevice(tried.join("; ")))
}

/// Libraries that exist and may serve `choice`, best first.
fn candidates(choice: Choice, places: &Places) -> Vec<(PathBuf, Vec<(OsString, OsString)>)> {
    // Ordinals as nvidia-smi counts them, unless the operator wants them otherwise.
    let nvidia_order: Vec<(OsString, OsString)> = match std::env::var_os("CUDA_DEVICE_ORDER") {
        Some(_) => Vec::new(),
        None => vec![("CUDA_DEVICE_ORDER".into(), "PCI_BUS_ID".into())],
    };
    // Without a number of ours, softgpu reads the operator's.
    let soft_devices: Vec<(OsString, OsString)> = match choice {
        Choice::Soft(count) => vec![(SOFT_DEVICES.into(), count.to_string().into())],
        Choice::Auto | Choice::Nvidia => Vec::new(),
    };
    let nvidia = FOLDERS
        .iter()
        .map(|folder| Path::new(folder).join("libcuda.so.1"));
    let nvidia = nvidia.map(|path| (path, nvidia_order.clone()));
    let soft = places
        .soft
        .iter()
        .map(|path| (path.clone(), soft_devices.clone()));
    let named = places.driver.clone().map(|path| {
        (
            path,
            if matches!(choice, Choice::Soft(_)) {
                soft_devices.clone()
            } else {
                nvidia_order.clone()
            },
        )
    });
    let all: Vec<(PathBuf, Vec<(OsString, OsString)>)> = match (named, choice) {
        (Some(named), _) => return vec![named],
        (None, Choice::Auto) => nvidia.chain(soft).collect(),
        (None, Choice::Nvidia) => nvidia.collect(),
        (None, Choice::Soft(_)) => soft.collect(),
    };
    let mut seen = Vec::new();
    let mut kept = Vec::new();
    for (path, environment) in all {
        // Distributions link their library folders to one another.
        let Ok(file) = path.canonicalize() else {
            continue;
        };
        if !seen.contains(&file) {
            seen.push(file);
            kept.push((path, environment));
        }
    }
    kept
}

/// Has a child open the library and say what it has.
fn probe(
    path: &Path,
    environment: &[(OsString, OsString)],
    program: &Path,
) -> Result<Probe, String> {
    let mut child = spawn::command(program)
        .args(["worker", "--probe", "--driver"])
        .arg(path)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot start {program:?}: {error}"))?;
    let output = child.stdout.take().expect("the output is a pipe");
    let said = read_within(output, PROBE_TIMEOUT);
    if said.is_err() {
        // Fails only if the child has ended already.
        let _ = child.kill();
    }
    let complaint = complaint(&mut child);
    let status = child.wait().map_err(|error| error.to_string())?;
    let said = said?;
    if !status.success() {
        return Err(if complaint.is_empty() {
            format!("the probe ended: {status}")
        } else {
            complaint
        });
    }
    serde_json::from_slice(&said).map_err(|error| format!("the probe said something else: {error}"))
}

/// What the child printed last on its error output.
fn complaint(child: &mut Child) -> String {
    let mut text = Vec::new();
    if let Some(pipe) = child.stderr.take() {
        // What cannot be read is not worth more than what can.
        let _ = pipe.take(COMPLAINT_LEN_MAX).read_to_end(&mut text);
    }
    let text = String::from_utf8_lossy(&text);
    let line = text
        .lines()
        .rev()
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default();
    line.trim().trim_start_matches("Error: ").to_owned()
}

/// Reads a pipe to its end, within a time and a length.
fn read_within(mut pipe: ChildStdout, limit: Duration) -> Result<Vec<u8>, String> {
    let deadline = Instant::now() + limit;
    let mut said = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        let mut fds = [PollFd::new(
            std::os::fd::AsFd::as_fd(&pipe),
            PollFlags::POLLIN,
        )];
        match poll(&mut fds, left) {
            Ok(0) => {
                return Err(format!(
                    "no answer from the driver for {} s",
                    limit.as_secs()
                ));
            }
            Err(nix::errno::Errno::EINTR) => continue,
            Err(errno) => return Err(errno.to_string()),
            Ok(_) => {}
        }
        match pipe.read(&mut buffer).map_err(|error| error.to_string())? {
            0 => return Ok(said),
            len => said.extend_from_slice(&buffer[..len]),
        }
        if said.len() > CONTROL_LEN_MAX {
            return Err(format!("the probe said more than {CONTROL_LEN_MAX} bytes"));
        }
    }
}

/// `CUDA_VISIBLE_DEVICES` that leaves a worker the devices with these ordinals of the daemon.
///
/// `outer` is the daemon's own `CUDA_VISIBLE_DEVICES`: its entries are what the ordinals count.
pub fn visible(ordinals: impl IntoIterator<Item = u32>, outer: Option<&str>) -> String {
    let outer: Vec<&str> = outer.map_or_else(Vec::new, |list| list.split(',').collect());
    let names: Vec<String> = ordinals
        .into_iter()
        .map(|ordinal| {
            let entry = usize::try_from(ordinal).ok().and_then(|at| outer.get(at));
            entry.map_or_else(|| ordinal.to_string(), |entry| entry.trim().to_owned())
        })
        .collect();
    names.join(",")
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "nvidia" => Ok(Self::Nvidia),
            "soft" => Ok(Self::Soft(1)),
            _ => {
                let count = text
                    .strip_prefix("soft:")
                    .and_then(|count| count.parse().ok());
                let count = count.filter(|count| (1..=SOFT_DEVICES_MAX).contains(count));
                count.map(Self::Soft).ok_or_else(|| {
                    format!("one of auto, nvidia, soft, soft:N (N from 1 to {SOFT_DEVICES_MAX})")
                })
            }
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Nvidia => f.write_str("nvidia"),
            Self::Soft(count) => write!(f, "soft:{count}"),
        }
    }
}

/// Where distributions, containers and NVIDIA's installer put the driver's library.
const FOLDERS: [&str; 8] = [
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
    "/usr/local/nvidia/lib64",
    "/usr/local/nvidia/lib",
    "/usr/lib/wsl/lib",
    "/run/opengl-driver/lib",
];

/// Environment variable with the number of devices that softgpu makes.
const SOFT_DEVICES: &str = "SOFTGPU_DEVICES";

/// Devices that softgpu may be asked for: as many as a lease may have.
const SOFT_DEVICES_MAX: u32 = 64;

/// A driver that has many GPUs and no persistence takes seconds for each.
const PROBE_TIMEOUT: Duration = Duration::from_secs(120);

/// Enough for the last words of a driver.
const COMPLAINT_LEN_MAX: u64 = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_read_as_it_is_written() {
        for choice in [
            Choice::Auto,
            Choice::Nvidia,
            Choice::Soft(1),
            Choice::Soft(64),
        ] {
            assert_eq!(choice.to_string().parse(), Ok(choice));
        }
        assert_eq!("soft".parse(), Ok(Choice::Soft(1)));
        for wrong in ["", "Soft", "soft:", "soft:0", "soft:65", "soft:-1", "amd"] {
            assert!(wrong.parse::<Choice>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_worker_sees_the_devices_of_its_lease() {
        assert_eq!(visible([0, 2], None), "0,2");
        assert_eq!(visible([0, 2], Some("3,GPU-aa, 7")), "3,7");
        assert_eq!(visible([1], Some("MIG-a,MIG-b")), "MIG-b");
    }

    #[test]
    fn without_a_library_the_reason_names_where_was_looked() {
        let places = Places {
            driver: None,
            soft: vec!["/nonexistent/libcuda.so.1".into()],
        };
        let error = find(Choice::Soft(1), &places, Path::new("/bin/true")).unwrap_err();
        assert!(error.0.contains("/nonexistent"), "{error}");
    }

    #[test]
    fn a_probe_that_fails_is_told_with_its_reason() {
        let places = Places {
            driver: Some("/nonexistent".into()),
            soft: Vec::new(),
        };
        let error = find(Choice::Auto, &places, Path::new("/bin/false")).unwrap_err();
        assert!(error.0.contains("exit status: 1"), "{error}");
        let error = find(Choice::Auto, &places, Path::new("/bin/true")).unwrap_err();
        assert!(error.0.contains("something else"), "{error}");
    }
}
