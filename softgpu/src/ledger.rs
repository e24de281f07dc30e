//! How much of a device all processes use together: a small file that they share.
//!
//! A real device is one for all processes, so a full one refuses everybody. Each process writes its
//! own total under the file's lock. Nothing has to be cleaned up: the entry of a process that is
//! gone (no such process, or another that started later under its number) is dropped by whoever
//! looks next. The lock goes with its holder, too.
//!
//! ```text
//! softgpu 1
//! device ORDINAL CAPACITY
//! process PID START ORDINAL BYTES BUSY SINCE MOVED MOVED_SINCE
//! ```
//!
//! START is since boot in clock ticks, BUSY the nanoseconds in which kernels of the process ran on
//! the device, SINCE when the kernels running now began (nanoseconds since boot; 0: none runs);
//! MOVED and MOVED_SINCE are the same of copies and fills.
//! They are for monitors, and written at most every 50 ms but for what ends: a long kernel that
//! starts sooner after the last change is seen when it ends.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::raw::machine::now_ns;

/// One device's account.
#[derive(Debug)]
pub(crate) struct Ledger {
    path: PathBuf,
    ordinal: usize,
    capacity: u64,
    process: Process,
    activity: Mutex<Activity>,
}

/// What runs on a device, and what the file says of it.
#[derive(Debug, Default)]
struct Activity {
    /// Of kernels, of copies.
    spans: [Span; 2],
    noted_ns: u64,
    /// What this process uses of the device's memory.
    len: u64,
}

/// Time in which something ran.
#[derive(Debug, Default)]
struct Span {
    running: u32,
    /// When the first of those that run began.
    since_ns: u64,
    busy_ns: u64,
    is_noted_running: bool,
}

/// A kernel runs, or a copy, for as long as this exists.
#[derive(Debug)]
pub(crate) struct Running<'a>(&'a Ledger, usize);

/// What a process uses of a device, for monitors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    dead_code,
    reason = "read by the monitoring library, which shares this file"
)]
pub(crate) struct Usage {
    /// The process.
    pub(crate) pid: u32,
    /// The device, as the machine counts.
    pub(crate) ordinal: usize,
    /// Bytes of its memory.
    pub(crate) len: u64,
    /// Nanoseconds in which its kernels ran until now.
    pub(crate) busy_ns: u64,
    /// Nanoseconds in which it copied or filled memory of the device.
    pub(crate) moved_ns: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Process {
    pid: u32,
    start: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    process: Process,
    ordinal: usize,
    len: u64,
    /// How long kernels and copies ran, and since when they do.
    times: [(u64, u64); 2],
}

impl Ledger {
    /// The account of this process with the device `ordinal` of `capacity` bytes, in a file that
    /// is created when it is first written.
    pub(crate) fn new(path: PathBuf, ordinal: usize, capacity: u64) -> Self {
        let pid = std::process::id();
        let start = start_time(pid).unwrap_or(0);
        Self {
            path,
            ordinal,
            capacity,
            process: Process { pid, start },
            activity: Mutex::default(),
        }
    }

    /// Notes that a kernel runs, until the value returned is dropped.
    pub(crate) fn running(&self) -> Running<'_> {
        self.begin(KERNELS)
    }

    /// Notes that memory is copied or filled, until the value returned is dropped.
    pub(crate) fn moving(&self) -> Running<'_> {
        self.begin(COPIES)
    }

    fn begin(&self, kind: usize) -> Running<'_> {
        let mut activity = self.activity.lock().unwrap_or_else(PoisonError::into_inner);
        let now = now_ns();
        let noted_ns = activity.noted_ns;
        let span = &mut activity.spans[kind];
        if span.running == 0 {
            span.since_ns = now;
        }
        span.running += 1;
        if !span.is_noted_running && now.saturating_sub(noted_ns) >= NOTE_EVERY_NS {
            self.note(&mut activity, now);
        }
        Running(self, kind)
    }

    fn ended(&self, kind: usize) {
        let mut activity = self.activity.lock().unwrap_or_else(PoisonError::into_inner);
        let noted_ns = activity.noted_ns;
        let span = &mut activity.spans[kind];
        span.running -= 1;
        if span.running > 0 {
            return;
        }
        let now = now_ns();
        span.busy_ns += now.saturating_sub(span.since_ns);
        span.since_ns = 0;
        if span.is_noted_running || now.saturating_sub(noted_ns) >= NOTE_EVERY_NS {
            self.note(&mut activity, now);
        }
    }

    /// Writes what runs. Without a place for it no monitor is told.
    fn note(&self, activity: &mut Activity, now: u64) {
        for span in &mut activity.spans {
            span.is_noted_running = span.running > 0;
        }
        activity.noted_ns = now;
        if let Ok((file, mut entries)) = self.open() {
            self.replace(&mut entries, activity);
            let _ = self.write(&file, &entries);
        }
    }

    /// Puts what this process uses in the place of what it used.
    fn replace(&self, entries: &mut Vec<Entry>, activity: &Activity) {
        entries.retain(|entry| entry.process != self.process || entry.ordinal != self.ordinal);
        let spans = &activity.spans;
        let is_used = |span: &Span| span.running > 0 || span.busy_ns > 0;
        if activity.len > 0 || spans.iter().any(is_used) {
            entries.push(Entry {
                process: self.process,
                ordinal: self.ordinal,
                len: activity.len,
                times: spans.each_ref().map(|span| (span.busy_ns, span.since_ns)),
            });
        }
    }

    /// What live processes use of all devices, by the file alone, which is not made if it is
    /// missing.
    #[allow(
        dead_code,
        reason = "called by the monitoring library, which shares this file"
    )]
    pub(crate) fn usage(path: &Path) -> Vec<Usage> {
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(path);
        let is_file = |file: &File| file.metadata().is_ok_and(|data| data.is_file());
        let Some(file) = file.ok().filter(is_file) else {
            return Vec::new();
        };
        let mut bytes = Vec::new();
        // Should it not be locked, a line may be missed.
        let _ = file.lock_shared();
        let mut file = Locked(file);
        let _ = (&mut file.0).take(TEXT_LEN_MAX).read_to_end(&mut bytes);
        drop(file);
        let now = now_ns();
        let text = String::from_utf8_lossy(&bytes);
        let entries = text.lines().filter_map(parse);
        let live =
            entries.filter(|entry| start_time(entry.process.pid) == Some(entry.process.start));
        live.map(|entry| {
            let [busy_ns, moved_ns] = entry.times.map(|(until_now_ns, since_ns)| {
                let running_ns = match since_ns {
                    0 => 0,
                    since_ns => now.saturating_sub(since_ns),
                };
                until_now_ns.saturating_add(running_ns)
            });
            Usage {
                pid: entry.process.pid,
                ordinal: entry.ordinal,
                len: entry.len,
                busy_ns,
                moved_ns,
            }
        })
        .collect()
    }

    /// Bytes of the device.
    pub(crate) fn capacity(&self) -> u64 {
        self.capacity
    }

    /// Notes that this process now uses `total` bytes, if all processes together have room for it;
    /// false, and nothing noted, if not.
    pub(crate) fn set(&self, total: u64) -> io::Result<bool> {
        let mut activity = self.activity.lock().unwrap_or_else(PoisonError::into_inner);
        let (file, mut entries) = self.open()?;
        let others = self.used(&entries, |process| process != self.process);
        let before = self.used(&entries, |process| process == self.process);
        if total > before && others.saturating_add(total) > self.capacity {
            return Ok(false);
        }
        activity.len = total;
        self.replace(&mut entries, &activity);
        self.write(&file, &entries)?;
        Ok(true)
    }

    /// Bytes that other live processes use of the device.
    pub(crate) fn others(&self) -> io::Result<u64> {
        let (_file, entries) = self.open()?;
        Ok(self.used(&entries, |process| process != self.process))
    }

    /// Bytes that live processes use of the device, this one among them.
    #[cfg(test)]
    fn total(&self) -> io::Result<u64> {
        let (_file, entries) = self.open()?;
        Ok(self.used(&entries, |_| true))
    }

    fn used(&self, entries: &[Entry], wanted: impl Fn(Process) -> bool) -> u64 {
        let counted = entries
            .iter()
            .filter(|entry| entry.ordinal == self.ordinal && wanted(entry.process));
        counted.fold(0, |sum: u64, entry| sum.saturating_add(entry.len))
    }

    /// Opens and locks the file; entries of dead processes are left out. The lock ends with the
    /// file.
    fn open(&self) -> io::Result<(Locked, Vec<Entry>)> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(&self.path)?;
        // A pipe or a device under that name could keep this process for ever.
        if !file.metadata()?.is_file() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        while let Err(error) = file.lock() {
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
        let mut file = Locked(file);
        let mut bytes = Vec::new();
        (&mut file.0).take(TEXT_LEN_MAX).read_to_end(&mut bytes)?;
        // A line that is no text is no entry; the others count.
        let text = String::from_utf8_lossy(&bytes);
        let mut entries: Vec<Entry> = text.lines().filter_map(parse).collect();
        entries.retain(|entry| {
            entry.process == self.process
                || start_time(entry.process.pid) == Some(entry.process.start)
        });
        Ok((file, entries))
    }

    fn write(&self, file: &Locked, entries: &[Entry]) -> io::Result<()> {
        let mut text = format!("softgpu 1\ndevice {} {}\n", self.ordinal, self.capacity);
        for entry in entries {
            let Process { pid, start } = entry.process;
            let (ordinal, len) = (entry.ordinal, entry.len);
            write!(text, "process {pid} {start} {ordinal} {len}").expect("a String takes all");
            for (busy, since) in entry.times {
                write!(text, " {busy} {since}").expect("a String takes all");
            }
            text.push('\n');
        }
        // Should this be cut off half-way, the lines lost come back with their processes' next
        // change.
        file.0.write_all_at(text.as_bytes(), 0)?;
        file.0.set_len(text.len() as u64)
    }
}

/// The file while it is locked.
///
/// It is unlocked, and not only closed: a process forked meanwhile has the file open, too, and
/// would keep the lock for as long as it lives.
#[derive(Debug)]
struct Locked(File);

impl Drop for Locked {
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        *self
            .activity
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner) = Activity::default();
        let _ = self.set(0);
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.ended(self.1);
    }
}

fn parse(line: &str) -> Option<Entry> {
    let mut words = line.strip_prefix("process ")?.split(' ');
    let process = Process {
        pid: words.next()?.parse().ok()?,
        start: words.next()?.parse().ok()?,
    };
    let (ordinal, len) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    // Missing in lines by hand.
    let mut time = || words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
    let times = [(time(), time()), (time(), time())];
    Some(Entry {
        process,
        ordinal,
        len,
        times,
    })
}

/// When a process started: the 22nd field of its stat file (proc_pid_stat(5)), counted behind the
/// name, which may hold anything. `None` if there is no such process or it has ended.
pub(crate) fn start_time(pid: u32) -> Option<u64> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let name_end = stat.iter().rposition(|&byte| byte == b')')?;
    let rest = String::from_utf8_lossy(&stat[name_end + 1..]);
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    let start = fields.nth(18)?.parse().ok()?;
    (!matches!(state, "Z" | "X")).then_some(start)
}

/// The spans of an activity.
const KERNELS: usize = 0;
const COPIES: usize = 1;
/// Activity is written no more often than this.
const NOTE_EVERY_NS: u64 = 50_000_000;
/// A ledger of a few thousand processes.
const TEXT_LEN_MAX: u64 = 1 << 20;

#[cfg(test)]
#[path = "ledger/tests.rs"]
mod tests;
