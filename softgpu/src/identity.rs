//! Who the devices are: what is the same in every process of a machine, and in the library that
//! monitors them.

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

/// PCI bus of a device: each has one of its own.
pub(crate) fn bus(index: usize) -> usize {
    index + 1
}

/// The CUDA version whose API the driver has.
pub(crate) const VERSION: u32 = 13_050;

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
