//! `CUDA_VISIBLE_DEVICES`: which devices of the lease the application sees, in which order.
//!
//! A real driver reads it in cuInit, in the process of the application, so the client does. The
//! rules are NVIDIA's (CUDA Programming Guide, "CUDA Environment Variables"): numbers or unique
//! beginnings of UUIDs; the list ends at the first entry that names no device; a device named twice
//! leaves none.

/// Indices of `devices` (by UUID, in lease order) that a value of the variable names.
pub(crate) fn visible(value: Option<&str>, devices: &[[u8; 16]]) -> Vec<usize> {
    let Some(value) = value else {
        return (0..devices.len()).collect();
    };
    let names: Vec<String> = devices.iter().map(uuid_text).collect();
    let mut chosen = Vec::new();
    for entry in value.split(',') {
        let Some(index) = find(entry.trim(), &names) else {
            break;
        };
        if chosen.contains(&index) {
            return Vec::new();
        }
        chosen.push(index);
    }
    chosen
}

fn find(entry: &str, names: &[String]) -> Option<usize> {
    if entry.starts_with("GPU-") {
        let mut matches = (0..names.len()).filter(|&index| names[index].starts_with(entry));
        let found = matches.next()?;
        return matches.next().is_none().then_some(found);
    }
    entry
        .parse()
        .ok()
        .filter(|&index: &usize| index < names.len())
}

/// `GPU-xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx`.
pub(crate) fn uuid_text(uuid: &[u8; 16]) -> String {
    let hex: String = uuid.iter().map(|byte| format!("{byte:02x}")).collect();
    let parts = [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ];
    format!("GPU-{}", parts.join("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEVICES: [[u8; 16]; 3] = [[0x11; 16], [0x12; 16], [0x22; 16]];

    const NONE: [usize; 0] = [];

    fn of(value: &str) -> Vec<usize> {
        visible(Some(value), &DEVICES)
    }

    #[test]
    fn numbers_choose_and_order() {
        assert_eq!(visible(None, &DEVICES), [0, 1, 2]);
        assert_eq!(of("2,0"), [2, 0]);
        assert_eq!(of(" 1 "), [1]);
        assert_eq!(of(""), NONE);
        assert_eq!(of("0,7,1"), [0], "the list ends at the first that is none");
        assert_eq!(of("-1"), NONE);
        assert_eq!(of("0,-1,1"), [0]);
        assert_eq!(of("1,1"), NONE, "twice is none");
    }

    #[test]
    fn uuids_choose_by_their_beginning() {
        assert_eq!(
            uuid_text(&DEVICES[0]),
            "GPU-11111111-1111-1111-1111-111111111111"
        );
        assert_eq!(of("GPU-22"), [2]);
        assert_eq!(of("GPU-12121212-1212,0"), [1, 0]);
        assert_eq!(of("GPU-1"), NONE, "two devices start so");
        assert_eq!(of("GPU-3"), NONE);
        assert_eq!(of("MIG-22"), NONE);
    }
}
