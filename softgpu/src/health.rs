//! What went wrong with the devices: a small file that the driver and whoever monitors it share.
//!
//! It lies beside the ledger, as `SOFTGPU_STATE` with `.health` behind it. Lines are only ever
//! appended, by faults of kernels and by hand, to see what a monitor makes of a broken device:
//!
//! ```text
//! xid ORDINAL NUMBER                 an event, numbered as NVIDIA's Xid errors are
//! ecc ORDINAL corrected|uncorrected COUNT
//! lost ORDINAL [PID START]           gone, for as long as that process lives
//! ```

use std::fs::OpenOptions;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::ledger::start_time;

/// One line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Note {
    /// Errors of memory.
    Ecc {
        /// The device, as the machine counts.
        ordinal: usize,
        /// Whether they were corrected.
        is_corrected: bool,
        /// How many.
        count: u64,
    },
    /// The device is gone.
    Lost {
        /// The device, as the machine counts.
        ordinal: usize,
        /// For which process: its number and when it started. For all if none is named.
        process: Option<(u32, u64)>,
    },
    /// An event.
    Xid {
        /// The device, as the machine counts.
        ordinal: usize,
        /// Its number.
        number: u64,
    },
}

/// The file beside a ledger.
pub(crate) fn path(state: &Path) -> PathBuf {
    let mut path = state.as_os_str().to_owned();
    path.push(".health");
    path.into()
}

/// Appends an event. Without a place for it nobody is told.
pub(crate) fn note_xid(path: &Path, ordinal: usize, number: u64) {
    note(path, &format!("xid {ordinal} {number}\n"));
}

/// Appends an uncorrected error of memory.
pub(crate) fn note_ecc(path: &Path, ordinal: usize) {
    note(path, &format!("ecc {ordinal} uncorrected 1\n"));
}

/// Appends that the device is gone for this process.
pub(crate) fn note_lost(path: &Path, ordinal: usize) {
    let pid = std::process::id();
    let start = start_time(pid).unwrap_or(0);
    note(path, &format!("lost {ordinal} {pid} {start}\n"));
}

/// Whether a device is gone, for a process that still lives if it is for one only.
pub(crate) fn is_lost(path: &Path, wanted: usize) -> bool {
    let (notes, _) = read(path, 0);
    notes.into_iter().any(|note| match note {
        Note::Lost { ordinal, process } => {
            let lives = |(pid, start)| start_time(pid) == Some(start);
            ordinal == wanted && process.is_none_or(lives)
        }
        Note::Ecc { .. } | Note::Xid { .. } => false,
    })
}

fn note(path: &Path, line: &str) {
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path);
    let Ok(mut file) = file else {
        return;
    };
    let is_room = file
        .metadata()
        .is_ok_and(|data| data.is_file() && data.len() < LEN_MAX);
    if is_room {
        // In one write, so that lines of several processes do not mix.
        let _ = file.write_all(line.as_bytes());
    }
}

/// The whole lines from byte `start` on, and where the next ones will start.
pub(crate) fn read(path: &Path, start: u64) -> (Vec<Note>, u64) {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path);
    let Ok(mut file) = file else {
        return (Vec::new(), 0);
    };
    let len = file.metadata().map_or(0, |data| data.len());
    // One that is shorter than it was is another.
    let start = if start > len { 0 } else { start };
    let mut bytes = Vec::new();
    if file.seek(SeekFrom::Start(start)).is_err()
        || file.take(LEN_MAX).read_to_end(&mut bytes).is_err()
    {
        return (Vec::new(), start);
    }
    let end = bytes
        .iter()
        .rposition(|&byte| byte == b'\n')
        .map_or(0, |at| at + 1);
    let text = String::from_utf8_lossy(&bytes[..end]).into_owned();
    (text.lines().filter_map(parse).collect(), start + end as u64)
}

fn parse(line: &str) -> Option<Note> {
    let words: Vec<&str> = line.split(' ').collect();
    match words[..] {
        ["xid", ordinal, number] => Some(Note::Xid {
            ordinal: ordinal.parse().ok()?,
            number: number.parse().ok()?,
        }),
        ["lost", ordinal] => Some(Note::Lost {
            ordinal: ordinal.parse().ok()?,
            process: None,
        }),
        ["lost", ordinal, pid, start] => Some(Note::Lost {
            ordinal: ordinal.parse().ok()?,
            process: Some((pid.parse().ok()?, start.parse().ok()?)),
        }),
        ["ecc", ordinal, kind @ ("corrected" | "uncorrected"), count] => Some(Note::Ecc {
            ordinal: ordinal.parse().ok()?,
            is_corrected: kind == "corrected",
            count: count.parse().ok()?,
        }),
        _ => None,
    }
}

/// A program that faults again and again fills no disk.
const LEN_MAX: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_once_and_whole() {
        let name = format!("softgpu-health-{}", std::process::id());
        let state = std::env::temp_dir().join(name);
        let path = path(&state);
        let _ = std::fs::remove_file(&path);
        assert_eq!(read(&path, 0), (Vec::new(), 0));
        note_xid(&path, 1, 31);
        let (notes, end) = read(&path, 0);
        assert_eq!(
            notes,
            [Note::Xid {
                ordinal: 1,
                number: 31
            }]
        );
        let mut text = std::fs::read(&path).unwrap();
        text.extend(b"nonsense\necc 0 corrected 3\nxid 0 7");
        std::fs::write(&path, text).unwrap();
        let (notes, end) = read(&path, end);
        let ecc = Note::Ecc {
            ordinal: 0,
            is_corrected: true,
            count: 3,
        };
        assert_eq!(notes, [ecc], "half a line is read when it is whole");
        note_xid(&path, 0, 9);
        assert_eq!(
            read(&path, end).0,
            [],
            "what was half a line became nonsense"
        );
        assert_eq!(read(Path::new("/dev/zero"), 0).0.len(), 0);
        assert!(!is_lost(&path, 1));
        note(&path, "lost 1 1 1\n");
        assert!(!is_lost(&path, 1), "for a process that is no more");
        note_lost(&path, 1);
        assert!(is_lost(&path, 1) && !is_lost(&path, 2));
        note(&path, "lost 2\n");
        assert!(is_lost(&path, 2));
        std::fs::remove_file(&path).unwrap();
    }
}
