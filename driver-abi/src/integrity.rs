//! The integrity answer: 16 bytes by which the runtime makes sure that its driver answers in this
//! process, in this thread and for these devices.
//!
//! The runtime computes the same value and fails every later call with error 103 when they
//! differ. It is computed here from published facts (an HMAC over values that both sides see) so
//! that programs interoperate with a driver that is not NVIDIA's; nothing is protected by it.
//! It must be computed in the calling process and thread: pid, thread and the addresses of the
//! local tables are part of the message, so a server could not answer it.

mod md2;

/// One device as cuDeviceGetUuid and the attributes PCI_DOMAIN_ID, PCI_BUS_ID and PCI_DEVICE_ID
/// report it in this process. Must not change once it has been reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceIdentity {
    /// UUID, in memory order.
    pub uuid: [u8; 16],
    /// PCI domain.
    pub domain: i32,
    /// PCI bus.
    pub bus: i32,
    /// PCI device.
    pub device: i32,
}

/// Everything that goes into the answer.
#[derive(Clone, Debug)]
pub struct Question {
    /// What cuDriverGetVersion says in this process.
    pub driver_version: u32,
    /// First argument of the request: the runtime's version plus 0, 1 or 2.
    pub version: u32,
    /// Process id.
    pub pid: u32,
    /// Low half of pthread_self() in the calling thread (not the kernel's thread id).
    pub thread: u32,
    /// Address of the "cudart" export table as given out.
    pub cudart_table: u64,
    /// Address of the "integrity" export table as given out.
    pub integrity_table: u64,
    /// Address in slot 1 of the integrity table.
    pub function: u64,
    /// Second argument of the request: seconds since 1970.
    pub time_s: u64,
    /// The devices in ordinal order.
    pub devices: Vec<DeviceIdentity>,
}

/// The 16 bytes expected for `question`.
#[must_use]
pub fn answer(question: &Question) -> [u8; 16] {
    match question.version % 10 {
        0 => FIRST_ANSWER,
        1 => SECOND_ANSWER,
        _ => md2::hmac_md2(&KEY, &message(question)),
    }
}

/// The fields in native layout, one after the other without padding.
fn message(question: &Question) -> Vec<u8> {
    let mut message = Vec::with_capacity(48 + 28 * question.devices.len());
    for word in [
        question.driver_version,
        question.version,
        question.pid,
        question.thread,
    ] {
        message.extend(word.to_ne_bytes());
    }
    let addresses = [
        question.cudart_table,
        question.integrity_table,
        question.function,
    ];
    for word in addresses.into_iter().chain([question.time_s]) {
        message.extend(word.to_ne_bytes());
    }
    for device in &question.devices {
        message.extend(device.uuid);
        for word in [device.domain, device.bus, device.device] {
            message.extend(word.to_ne_bytes());
        }
    }
    message
}

const FIRST_ANSWER: [u8; 16] = constant(0x3341_181C_03CB_675C, 0x8ED3_83AA_1F4C_D1E8);
const SECOND_ANSWER: [u8; 16] = constant(0x1841_181C_03CB_675C, 0x8ED3_83AA_1F4C_D1E8);

/// The key, as published in ZLUDA (MIT or Apache-2.0).
const KEY: [u8; 16] = [
    0x14, 0x6a, 0xdd, 0xae, 0x53, 0xa9, 0xa7, 0x52, 0xaa, 0x08, 0x41, 0x36, 0x0b, 0xf5, 0x5a, 0x9f,
];

/// Two words as they lie in memory, little endian.
const fn constant(first: u64, second: u64) -> [u8; 16] {
    ((second as u128) << 64 | first as u128).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question() -> Question {
        let uuid = std::array::from_fn(|index| 0xa0 + u8::try_from(index).unwrap());
        Question {
            driver_version: 13050,
            version: 13052,
            pid: 1234,
            thread: 0xdead_beef,
            cudart_table: 0x7f00_0000_1000,
            integrity_table: 0x7f00_0000_2000,
            function: 0x7f00_0000_3000,
            time_s: 1_700_000_000,
            devices: vec![DeviceIdentity {
                uuid,
                domain: 0,
                bus: 1,
                device: 0,
            }],
        }
    }

    fn hex(bytes: [u8; 16]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn constants_are_little_endian() {
        let first = answer(&Question {
            version: 13050,
            ..question()
        });
        let second = answer(&Question {
            version: 12091,
            ..question()
        });
        assert_eq!(hex(first), "5c67cb031c184133e8d14c1faa83d38e");
        assert_eq!(hex(second), "5c67cb031c184118e8d14c1faa83d38e");
    }

    /// Expected values from a separate implementation written from the two RFCs.
    #[test]
    fn one_device_and_two() {
        assert_eq!(hex(answer(&question())), "394d2e2ab774c2589d82fbae6c640b36");
        let mut two = question();
        let uuid = std::array::from_fn(|index| u8::try_from(index).unwrap());
        two.devices.push(DeviceIdentity {
            uuid,
            domain: 1,
            bus: -2,
            device: 3,
        });
        assert_eq!(hex(answer(&two)), "add67203bcc033f96fdea309a1e76550");
    }

    #[test]
    fn every_field_counts() {
        let base = question();
        let other = DeviceIdentity {
            bus: 2,
            ..base.devices[0]
        };
        let changed = [
            Question {
                driver_version: 13040,
                ..base.clone()
            },
            Question {
                version: 12092,
                ..base.clone()
            },
            Question {
                pid: 1235,
                ..base.clone()
            },
            Question {
                thread: 1,
                ..base.clone()
            },
            Question {
                cudart_table: 0,
                ..base.clone()
            },
            Question {
                integrity_table: 0,
                ..base.clone()
            },
            Question {
                function: 0,
                ..base.clone()
            },
            Question {
                time_s: 0,
                ..base.clone()
            },
            Question {
                devices: vec![other],
                ..base.clone()
            },
            Question {
                devices: Vec::new(),
                ..base.clone()
            },
        ];
        for question in changed {
            assert_ne!(answer(&question), answer(&base), "{question:?}");
        }
    }
}
