//! Numbers with units on the command line.

use std::time::Duration;

use flexdirect_server::scheduler::MIB;

/// A fraction over 0 and at most 1.
pub(crate) fn fraction(text: &str) -> Result<f64, String> {
    let fraction = text
        .parse()
        .ok()
        .filter(|part: &f64| *part > 0.0 && *part <= 1.0);
    fraction.ok_or_else(|| "a fraction is over 0 and at most 1, such as 0.5".to_owned())
}

/// Memory in MiB: a number of MiB, or with a unit (k, M, G decimal; Ki, Mi, Gi binary), rounded
/// down.
pub(crate) fn mib(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text);
    let unit = unit.strip_suffix('B').unwrap_or(unit);
    let bytes = match unit {
        "" | "Mi" => MIB,
        "k" | "K" => 1_000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "Ki" => 1 << 10,
        "Gi" => 1 << 30,
        _ => {
            return Err(
                "a unit of memory is k, M, G, Ki, Mi or Gi; without one it is MiB".to_owned(),
            );
        }
    };
    let number: u64 = number
        .parse()
        .map_err(|_| "memory is a whole number".to_owned())?;
    let mib = number.checked_mul(bytes).map(|bytes| bytes / MIB);
    mib.filter(|&mib| mib > 0)
        .ok_or_else(|| "memory is at least 1 MiB".to_owned())
}

/// A time: a number of seconds, or with a unit (ms, s, m, h).
pub(crate) fn time(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text);
    let number: u64 = number
        .parse()
        .map_err(|_| "a time is a number with s, m or h, such as 10m".to_owned())?;
    let seconds = match unit {
        "ms" if number / 1000 <= TIME_S_MAX => return Ok(Duration::from_millis(number)),
        "ms" => return Err("a time is at most a year".to_owned()),
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err("a unit of time is ms, s, m or h".to_owned()),
    };
    let seconds = number
        .checked_mul(seconds)
        .filter(|&seconds| seconds <= TIME_S_MAX);
    seconds
        .map(Duration::from_secs)
        .ok_or_else(|| "a time is at most a year".to_owned())
}

/// Number and unit.
fn split(text: &str) -> (&str, &str) {
    let at = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at(at)
}

/// A year: longer than anything waits, and far from every overflow.
const TIME_S_MAX: u64 = 366 * 86_400;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fractions() {
        assert_eq!(fraction("0.500000"), Ok(0.5));
        assert_eq!(fraction("1"), Ok(1.0));
        for wrong in ["0", "1.01", "-0.5", "NaN", "half", ""] {
            assert!(fraction(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn memory() {
        for (text, expected) in [
            ("4096", 4096),
            ("4Gi", 4096),
            ("4G", 3814),
            ("500M", 476),
            ("2048Ki", 2),
            ("8MiB", 8),
        ] {
            assert_eq!(mib(text), Ok(expected), "{text}");
        }
        for wrong in [
            "",
            "0",
            "1k",
            "G",
            "1.5G",
            "4T",
            "-1",
            "99999999999999999999",
            "99999999999Gi",
        ] {
            assert!(mib(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times() {
        assert_eq!(time("10m"), Ok(Duration::from_secs(600)));
        assert_eq!(time("0"), Ok(Duration::ZERO));
        assert_eq!(time("250ms"), Ok(Duration::from_millis(250)));
        for wrong in ["", "m", "1d", "-1s", "99999999h", "99999999999999ms"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_number_or_an_error(text in "\\PC{0,24}") {
            let _ = (fraction(&text), mib(&text), time(&text));
        }
    }
}
