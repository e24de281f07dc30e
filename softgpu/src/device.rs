//! One device: its identity, its memory, its primary context.

use std::io;
use std::sync::{Arc, OnceLock};

use flexdirect_driver_abi::tables::DeviceIdentity;

use crate::arena::Arena;
use crate::attributes::Variable;
use crate::config::{Config, DEVICE_STRIDE};
use crate::context::Context;
use crate::ledger::Ledger;

/// A visible device.
#[derive(Debug)]
pub(crate) struct Device {
    /// As the application counts: after CUDA_VISIBLE_DEVICES.
    pub(crate) ordinal: usize,
    /// As the machine counts.
    index: usize,
    uuid: [u8; 16],
    /// Its memory.
    pub(crate) arena: Arena,
    /// Threads that run blocks.
    pub(crate) multiprocessors: usize,
    primary: OnceLock<Arc<Context>>,
}

impl Device {
    /// The device `index` of the machine, seen as `ordinal`.
    pub(crate) fn new(config: &Config, index: usize, ordinal: usize) -> io::Result<Self> {
        let ledger = Ledger::new(config.state.clone(), index, config.memory_len);
        let base = config.base.wrapping_add(index as u64 * DEVICE_STRIDE);
        Ok(Self {
            ordinal,
            index,
            uuid: uuid(machine_number(), index),
            arena: Arena::new(ledger, base)?,
            multiprocessors: config.multiprocessors,
            primary: OnceLock::new(),
        })
    }

    /// Its primary context, which exists from the start and is active when it is retained.
    pub(crate) fn primary(&self) -> &Arc<Context> {
        self.primary
            .get_or_init(|| Context::new(self.ordinal, true, 0))
    }

    /// What the integrity answer says of it.
    pub(crate) fn identity(&self) -> DeviceIdentity {
        DeviceIdentity {
            uuid: self.uuid,
            domain: 0,
            bus: self.variable().pci_bus,
            device: 0,
        }
    }

    /// Attributes that are its own.
    pub(crate) fn variable(&self) -> Variable {
        let to = |value: usize| i32::try_from(value).unwrap_or(i32::MAX);
        Variable {
            multiprocessors: to(self.multiprocessors),
            pci_bus: to(self.index + 1),
        }
    }

    /// PCI address as text.
    pub(crate) fn pci_address(&self) -> String {
        format!("0000:{:02X}:00.0", self.index + 1)
    }
}

/// Stable for a machine and a device, and different for others.
pub(crate) fn uuid(machine: u64, index: usize) -> [u8; 16] {
    let mut uuid = *b"softgpu\0\0\0\0\0\0\0\0\0";
    uuid[7] = u8::try_from(index).unwrap_or(u8::MAX);
    uuid[8..].copy_from_slice(&machine.to_be_bytes());
    uuid
}

/// A UUID as CUDA_VISIBLE_DEVICES has it.
pub(crate) fn uuid_text(uuid: [u8; 16]) -> String {
    let mut text = String::from("GPU-");
    for (index, byte) in uuid.iter().enumerate() {
        if [4, 6, 8, 10].contains(&index) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

/// A number for this machine (FNV-1a of its machine-id, or of its host name).
pub(crate) fn machine_number() -> u64 {
    let files = ["/etc/machine-id", "/proc/sys/kernel/hostname"];
    let mut texts = files.iter().filter_map(|path| std::fs::read(path).ok());
    let text = texts.find(|text| !text.is_empty()).unwrap_or_default();
    text.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Name of every device.
pub(crate) const NAME: &str = "FlexDirect softgpu";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_differ_and_read_well() {
        assert_ne!(uuid(1, 0), uuid(1, 1));
        assert_ne!(uuid(1, 0), uuid(2, 0));
        assert_eq!(
            uuid_text(uuid(0xabcd, 1)),
            "GPU-736f6674-6770-7501-0000-00000000abcd"
        );
    }
}
