//! What the host's files say of its processors.

use std::fs;

/// Degrees Celsius of the hottest thermal zone or sensor; `None` where the host has none.
pub(crate) fn temperature() -> Option<u32> {
    let inputs = sensors("/sys/class/thermal", "thermal_zone", "temp")
        .into_iter()
        .chain(sensors("/sys/class/hwmon", "hwmon", "temp1_input"));
    inputs
        .filter(|&millidegrees| millidegrees > 0)
        .map(|millidegrees| millidegrees / 1000)
        .max()
}

fn sensors(folder: &str, prefix: &str, file: &str) -> Vec<u32> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let ours = entries.filter(|entry| {
        let name = entry.file_name();
        name.to_string_lossy().starts_with(prefix)
    });
    ours.filter_map(|entry| {
        let text = fs::read_to_string(entry.path().join(file)).ok()?;
        text.trim().parse().ok()
    })
    .collect()
}

/// The processors that this process may use, one bit each, in words of 64.
pub(crate) fn allowed_processors(words: usize) -> Vec<u64> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let list = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    processors(list.unwrap_or_default().trim(), words)
}

/// `0-3,8` as bits.
fn processors(list: &str, words: usize) -> Vec<u64> {
    let mut bits = vec![0u64; words];
    for range in list.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (Ok(first), Ok(last)) = (first.parse::<usize>(), last.parse::<usize>()) else {
            continue;
        };
        for processor in first..=last.min(words * 64) {
            if let Some(word) = bits.get_mut(processor / 64) {
                *word |= 1 << (processor % 64);
            }
        }
    }
    bits
}

/// The program of a process, by its first argument or, without arguments, its name.
pub(crate) fn program(pid: u32) -> Option<String> {
    let arguments = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let first = arguments
        .split(|&byte| byte == 0)
        .next()
        .unwrap_or_default();
    if !first.is_empty() {
        return Some(String::from_utf8_lossy(first).into_owned());
    }
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    Some(name.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_processors() {
        assert_eq!(processors("0-3,8", 1), [0x10f]);
        assert_eq!(processors("63-64,500", 2), [1 << 63, 1]);
        assert_eq!(processors("", 1), [0]);
        assert!(allowed_processors(16).iter().any(|&word| word != 0));
    }
}
