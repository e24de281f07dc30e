//! One device: its identity, its memory, its primary context.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use flexdirect_driver_abi::tables::DeviceIdentity;
use flexdirect_wire::abi::CuError;

use crate::arena::Arena;
use crate::attributes::Variable;
use crate::config::{Config, DEVICE_STRIDE};
use crate::context::Context;
use crate::driver;
use crate::exec::Fault;
use crate::health;
use crate::identity::{bus, machine_number, uuid};
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
    /// Where its faults are noted.
    health: PathBuf,
    is_noted_lost: AtomicBool,
    primary: OnceLock<Arc<Context>>,
}

/// "GPU memory page fault" and "Graphics Engine Exception" (NVIDIA, Xid Errors).
const XID_PAGE_FAULT: u64 = 31;
const XID_EXCEPTION: u64 = 13;
/// "Double Bit ECC Error" and "GPU has fallen off the bus".
const XID_DOUBLE_BIT: u64 = 48;
const XID_OFF_THE_BUS: u64 = 79;

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
            health: health::path(&config.state),
            is_noted_lost: AtomicBool::new(false),
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
            pci_bus: to(bus(self.index)),
        }
    }

    /// Tells monitors of a fault, under the number of the Xid error that NVIDIA's driver logs.
    pub(crate) fn note_fault(&self, fault: &Fault) {
        let number = match fault {
            Fault::IllegalAddress { .. } => XID_PAGE_FAULT,
            Fault::AssertFailed { .. } | Fault::Cancelled => return,
            _ => XID_EXCEPTION,
        };
        health::note_xid(&self.health, self.index, number);
    }

    /// Tells monitors of a fault on purpose, as they would be told of a real one.
    pub(crate) fn note_planned(&self, fault: CuError) {
        match fault {
            CuError::ECC_UNCORRECTABLE => {
                health::note_ecc(&self.health, self.index);
                health::note_xid(&self.health, self.index, XID_DOUBLE_BIT);
            }
            CuError::DEVICE_UNAVAILABLE => {
                // All of them are gone, and once.
                for device in driver::devices() {
                    if !device.is_noted_lost.swap(true, Ordering::Relaxed) {
                        health::note_lost(&device.health, device.index);
                        health::note_xid(&device.health, device.index, XID_OFF_THE_BUS);
                    }
                }
            }
            _ => health::note_xid(&self.health, self.index, XID_PAGE_FAULT),
        }
    }

    /// PCI address as text.
    pub(crate) fn pci_address(&self) -> String {
        format!("0000:{:02X}:00.0", bus(self.index))
    }
}
