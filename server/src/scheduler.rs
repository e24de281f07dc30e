//! Which devices serve a request, and how much of each: pure arithmetic, used by the daemon when it
//! grants and by `flexdirect run` when it compares servers.

use flexdirect_wire::control::{DeviceState, Reason, Refusal, Share};
use flexdirect_wire::limits::DEVICES_MAX;

/// Checks what a request can be checked for without looking at a device.
///
/// # Errors
/// [`Reason::Bad`] with the limit that was broken.
pub fn check(devices: u32, share: Share) -> Result<(), Refusal> {
    if devices == 0 || devices as usize > DEVICES_MAX {
        return Err(bad(format!(
            "{devices} GPUs asked for: a lease has 1 to {DEVICES_MAX}"
        )));
    }
    match share {
        Share::Fraction(part) if !(part > 0.0 && part <= 1.0) => Err(bad(format!(
            "fraction {part}: more than 0 and at most 1 of a GPU can be leased"
        ))),
        Share::Memory(0) => Err(bad("0 MiB asked for: a share has at least 1 MiB".to_owned())),
        Share::Fraction(_) | Share::Memory(_) => Ok(()),
    }
}

/// Bytes of a share on a device of `memory` bytes; `None` when the device is too small for it.
///
/// A fraction is rounded down to whole MiB; the whole is the whole, to the byte.
pub fn share_bytes(memory: u64, share: Share) -> Option<u64> {
    let bytes = match share {
        Share::Fraction(part) if part >= 1.0 => memory,
        Share::Fraction(part) => fraction_mib(memory / MIB, part) * MIB,
        Share::Memory(mib) => mib.checked_mul(MIB)?,
    };
    (bytes > 0 && bytes <= memory).then_some(bytes)
}

/// Chooses `count` devices with room for the share: the fullest that still fit, so that whole
/// devices stay whole; equal ones in ordinal order. All or nothing.
///
/// Returns positions in `devices`, rising.
pub fn choose(devices: &[DeviceState], count: u32, share: Share) -> Option<Vec<usize>> {
    let count = usize::try_from(count).ok()?;
    let mut fits: Vec<(u64, usize)> = devices
        .iter()
        .enumerate()
        .filter_map(|(at, device)| {
            let bytes = share_bytes(device.memory, share)?;
            Some((device.free.checked_sub(bytes)?, at))
        })
        .collect();
    fits.sort_unstable();
    let mut chosen: Vec<usize> = fits.get(..count)?.iter().map(|&(_, at)| at).collect();
    chosen.sort_unstable();
    Some(chosen)
}

/// Bytes that stay free on the chosen devices: the smaller, the better the fit.
pub fn left_over(devices: &[DeviceState], chosen: &[usize], share: Share) -> u64 {
    chosen
        .iter()
        .filter_map(|&at| devices.get(at))
        .map(|device| {
            device
                .free
                .saturating_sub(share_bytes(device.memory, share).unwrap_or(device.free))
        })
        .fold(0, u64::saturating_add)
}

/// Whether the request would fit if nobody else held anything.
pub fn possible(devices: &[DeviceState], count: u32, share: Share) -> bool {
    let fits = devices
        .iter()
        .filter(|device| share_bytes(device.memory, share).is_some())
        .count();
    fits >= usize::try_from(count).unwrap_or(usize::MAX)
}

/// How a share reads for people: `whole`, `0.5 of each`, `4096 MiB`.
pub fn describe(share: Share) -> String {
    match share {
        Share::Fraction(part) if part >= 1.0 => "whole".to_owned(),
        Share::Fraction(part) => format!("{part} of each"),
        Share::Memory(mib) => format!("{mib} MiB of each"),
    }
}

/// Bytes in a MiB.
pub const MIB: u64 = 1 << 20;

/// Whole MiB in a part of `total` MiB. What a person writes in decimal (0.29 of 100) is meant
/// exactly, so the last digits of the binary fraction do not cost a MiB.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "0 < part < 1 and a device has far less than 2^52 MiB, so the product is exact enough"
)]
fn fraction_mib(total: u64, part: f64) -> u64 {
    ((total as f64 * part + ROUNDING) as u64).min(total)
}

/// Far below a MiB, far above what a binary fraction loses of a decimal one.
const ROUNDING: f64 = 1e-6;

fn bad(text: String) -> Refusal {
    Refusal {
        reason: Reason::Bad,
        text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn device(ordinal: u32, memory_mib: u64, free_mib: u64) -> DeviceState {
        DeviceState {
            ordinal,
            name: "device".to_owned(),
            uuid: String::new(),
            memory: memory_mib * MIB,
            free: free_mib * MIB,
        }
    }

    #[test]
    fn half_of_a_v100_is_8080_mib() {
        assert_eq!(
            share_bytes(16_160 * MIB, Share::Fraction(0.5)),
            Some(8080 * MIB)
        );
    }

    #[test]
    fn a_fraction_is_whole_mib_and_the_whole_is_every_byte() {
        let memory = 1000 * MIB + 77;
        assert_eq!(share_bytes(memory, Share::Fraction(0.333)), Some(333 * MIB));
        assert_eq!(share_bytes(memory, Share::Fraction(1.0)), Some(memory));
    }

    #[test]
    fn a_decimal_fraction_means_what_it_says() {
        assert_eq!(
            share_bytes(100 * MIB, Share::Fraction(0.29)),
            Some(29 * MIB)
        );
    }

    #[test]
    fn a_share_that_no_device_has_is_none() {
        assert_eq!(share_bytes(100 * MIB, Share::Memory(101)), None);
        assert_eq!(share_bytes(100 * MIB, Share::Memory(u64::MAX)), None);
        assert_eq!(share_bytes(100 * MIB, Share::Fraction(0.001)), None);
    }

    #[test]
    fn senseless_requests_are_refused_with_the_limit() {
        for (devices, share) in [
            (0, Share::Fraction(1.0)),
            (65, Share::Fraction(1.0)),
            (1, Share::Fraction(0.0)),
            (1, Share::Fraction(1.5)),
            (1, Share::Fraction(f64::NAN)),
            (1, Share::Memory(0)),
        ] {
            assert_eq!(check(devices, share).unwrap_err().reason, Reason::Bad);
        }
        assert!(
            check(65, Share::Fraction(1.0))
                .unwrap_err()
                .text
                .contains("64")
        );
    }

    #[test]
    fn the_fullest_device_that_fits_is_taken() {
        let devices = [device(0, 100, 100), device(1, 100, 60), device(2, 100, 40)];
        assert_eq!(choose(&devices, 1, Share::Fraction(0.5)), Some(vec![1]));
        assert_eq!(choose(&devices, 2, Share::Fraction(0.5)), Some(vec![0, 1]));
        assert_eq!(choose(&devices, 3, Share::Fraction(0.5)), None);
        assert_eq!(choose(&devices, 1, Share::Fraction(1.0)), Some(vec![0]));
    }

    #[test]
    fn what_is_full_now_may_be_possible_later() {
        let devices = [device(0, 100, 0)];
        assert!(possible(&devices, 1, Share::Memory(100)));
        assert!(!possible(&devices, 1, Share::Memory(101)));
        assert!(!possible(&devices, 2, Share::Memory(1)));
    }

    proptest! {
        #[test]
        fn parts_never_exceed_the_whole(mib in 1_u64..1 << 24, part in 1_u32..1000) {
            let part = f64::from(part) / 1000.0;
            let rest = 1.0 - part;
            let memory = mib * MIB;
            let a = share_bytes(memory, Share::Fraction(part)).unwrap_or(0);
            let b = share_bytes(memory, Share::Fraction(rest)).unwrap_or(0);
            prop_assert!(a + b <= memory);
            prop_assert_eq!(a % MIB, 0);
        }
    }
}
