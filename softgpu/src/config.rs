//! What the environment says: how many devices of what size, and which of them are visible.
//!
//! ```text
//! SOFTGPU_DEVICES       number of devices, 1 to 64 (default 1)
//! SOFTGPU_MEMORY        bytes of one device, with K, M or G (default 4G, at most half of the RAM)
//! SOFTGPU_SMS           multiprocessors, that is threads that run blocks (default: the cores)
//! SOFTGPU_BASE          address of the first device's memory, hexadecimal
//! SOFTGPU_STATE         file in which processes share how much of a device they use
//! SOFTGPU_FAULT         faults on purpose, a comma list:
//!                         oom:N               allocations fail once N have succeeded
//!                         illegal:KERNEL[:N]  the Nth launch of KERNEL (default the first)
//!                                             accesses an illegal address
//!                         slow-copy:N         copies take their bytes / N seconds
//!                         ecc:N               an uncorrectable ECC error after N launches
//!                         lost:N              the devices are gone after N launches
//!                         base:0xADDRESS      as SOFTGPU_BASE
//! SOFTGPU_KERNEL_TIME   launches take that time and execute nothing: 250us, or by kernel,
//!                       1ms,long=2s (units ns, us, ms, s)
//! SOFTGPU_WATCHDOG      seconds after which a launch ends with CUDA_ERROR_LAUNCH_TIMEOUT
//! SOFTGPU_CHECK         1: each access of a kernel must lie in a live allocation; one that does
//!                       not is told on stderr, with its kernel, block, thread and address
//! SOFTGPU_LOG           1: what goes wrong and what is not supported, on stderr; 2: every call
//! CUDA_MODULE_LOADING   EAGER: kernels are decoded when their module is loaded (default: LAZY)
//! CUDA_VISIBLE_DEVICES  ordinals or UUIDs, in the order to be seen; empty: none
//! ```

use std::path::PathBuf;

/// Settings of this process, fixed at cuInit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Config {
    /// Number of devices of the machine.
    pub(crate) devices: usize,
    /// Bytes of one device.
    pub(crate) memory_len: u64,
    /// Multiprocessors of a device.
    pub(crate) multiprocessors: usize,
    /// Where the first device's arena is wanted; the others follow at [`DEVICE_STRIDE`].
    pub(crate) base: u64,
    /// The ledger's file.
    pub(crate) state: PathBuf,
    /// Whether kernels are decoded when their module is loaded, not when they are used.
    pub(crate) is_eager: bool,
    /// CUDA_VISIBLE_DEVICES, if set.
    pub(crate) visible: Option<String>,
}

impl Config {
    /// Reads the environment through `variable`; `cores`, `memory_len` (of the host) and `user`
    /// are what the defaults depend on.
    pub(crate) fn new(
        variable: impl Fn(&str) -> Option<String>,
        cores: usize,
        host_memory_len: u64,
        user: u32,
    ) -> Self {
        let number = |name: &str| variable(name).and_then(|text| text.trim().parse().ok());
        let memory_len = variable("SOFTGPU_MEMORY")
            .and_then(|text| parse_len(&text))
            .unwrap_or_else(|| MEMORY_LEN.min(host_memory_len / 2));
        let base = variable("SOFTGPU_BASE").and_then(|text| {
            let text = text.trim().replace('_', "");
            u64::from_str_radix(text.trim_start_matches("0x"), 16).ok()
        });
        let state = variable("SOFTGPU_STATE").filter(|path| !path.is_empty());
        Self {
            devices: number("SOFTGPU_DEVICES").unwrap_or(1).clamp(1, DEVICES_MAX),
            memory_len: (memory_len & !(PAGE_LEN - 1)).clamp(MEMORY_LEN_MIN, DEVICE_STRIDE),
            multiprocessors: number("SOFTGPU_SMS").unwrap_or(cores).clamp(1, SMS_MAX),
            base: base.unwrap_or(BASE) & !(PAGE_LEN - 1),
            state: state.map_or_else(
                || PathBuf::from(format!("/dev/shm/softgpu-{user}")),
                PathBuf::from,
            ),
            is_eager: variable("CUDA_MODULE_LOADING").is_some_and(|mode| mode == "EAGER"),
            visible: variable("CUDA_VISIBLE_DEVICES"),
        }
    }

    /// That of this process, on a host with so much memory and as this user.
    pub(crate) fn of_environment(host_memory_len: u64, user: u32) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let variable = |name: &str| std::env::var(name).ok();
        Self::new(variable, cores, host_memory_len, user)
    }

    /// Indices of the visible devices among `uuids` (as text, "GPU-..."), in the order to be seen.
    ///
    /// An entry that names nothing ends the list, and a device named twice empties it (CUDA
    /// Programming Guide, "CUDA Environment Variables").
    pub(crate) fn visible_devices(&self, uuids: &[String]) -> Vec<usize> {
        let Some(visible) = &self.visible else {
            return (0..uuids.len()).collect();
        };
        let mut chosen = Vec::new();
        for entry in visible.split(',').map(str::trim) {
            let Some(index) = find_device(entry, uuids) else {
                break;
            };
            if chosen.contains(&index) {
                return Vec::new();
            }
            chosen.push(index);
        }
        chosen
    }
}

/// A device by ordinal, or by the beginning of its UUID if only one has it.
fn find_device(entry: &str, uuids: &[String]) -> Option<usize> {
    if let Ok(index) = entry.parse::<usize>() {
        return (index < uuids.len()).then_some(index);
    }
    if entry.len() <= "GPU-".len() {
        return None;
    }
    let mut found = (0..uuids.len()).filter(|&index| uuids[index].starts_with(entry));
    found.next().filter(|_| found.next().is_none())
}

/// `64M` and the like, in bytes.
fn parse_len(text: &str) -> Option<u64> {
    let text = text.trim();
    let unit = match text.chars().last()?.to_ascii_uppercase() {
        'K' => 1 << 10,
        'M' => 1 << 20,
        'G' => 1 << 30,
        _ => 1,
    };
    let digits = if unit == 1 {
        text
    } else {
        &text[..text.len() - 1]
    };
    digits.trim().parse::<u64>().ok()?.checked_mul(unit)
}

/// Address space from one device's arena to the next: 1 TiB.
pub(crate) const DEVICE_STRIDE: u64 = 1 << 40;
/// Smallest page of the host.
pub(crate) const PAGE_LEN: u64 = 4096;

const BASE: u64 = 0x2000_0000_0000;
/// Each device has a PCI bus of its own.
const DEVICES_MAX: usize = 64;
const MEMORY_LEN: u64 = 4 << 30;
const MEMORY_LEN_MIN: u64 = 1 << 20;
const SMS_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn config(variables: &[(&str, &str)]) -> Config {
        let find = |name: &str| {
            let found = variables.iter().find(|variable| variable.0 == name);
            found.map(|variable| variable.1.to_owned())
        };
        Config::new(find, 8, 6 << 30, 1000)
    }

    #[test]
    fn defaults_follow_the_machine() {
        let config = config(&[]);
        assert_eq!((config.devices, config.multiprocessors), (1, 8));
        assert_eq!(config.memory_len, 3 << 30, "half of the RAM");
        assert_eq!(config.state, PathBuf::from("/dev/shm/softgpu-1000"));
    }

    #[test]
    fn sizes_and_addresses() {
        let config = config(&[
            ("SOFTGPU_MEMORY", "64M"),
            ("SOFTGPU_BASE", "0x3000_0000_0000"),
            ("SOFTGPU_DEVICES", "3"),
        ]);
        assert_eq!(config.memory_len, 64 << 20);
        assert_eq!(config.base, 0x3000_0000_0000);
        assert_eq!(config.devices, 3);
        assert_eq!(parse_len("x"), None);
        assert_eq!(parse_len(""), None);
        assert_eq!(parse_len("99999999999G"), None, "no overflow");
    }

    #[test]
    fn visible_devices_by_ordinal_and_uuid() {
        let uuids = [
            "GPU-aa01".to_owned(),
            "GPU-aa02".to_owned(),
            "GPU-b".to_owned(),
        ];
        let visible = |text| config(&[("CUDA_VISIBLE_DEVICES", text)]).visible_devices(&uuids);
        assert_eq!(config(&[]).visible_devices(&uuids), [0, 1, 2]);
        assert_eq!(visible("2,0"), [2, 0]);
        assert_eq!(visible(""), [0usize; 0]);
        assert_eq!(visible("1,7,0"), [1], "what names nothing ends the list");
        assert_eq!(visible("0,0"), [0usize; 0]);
        assert_eq!(visible("GPU-aa02, GPU-b"), [1, 2]);
        assert_eq!(visible("GPU-aa"), [0usize; 0], "ambiguous");
    }
}
