//! A child process with a watchdog: its output is kept as it comes, and every wait for it ends.

use std::fmt;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;

/// A running child, leader of a process group of its own. Dropping it kills the group.
#[derive(Debug)]
pub struct Child {
    child: std::process::Child,
    command: String,
    events: Receiver<Event>,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    /// Lines of stdout that nobody has asked for yet: end of the last one that was given.
    read_to: usize,
    open_streams: u32,
    has_ended: bool,
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this status.
    Exited(i32),
    /// By this signal.
    Killed(i32),
}

/// All that a child left.
#[derive(Clone, PartialEq, Eq)]
pub struct Outcome {
    /// How it ended.
    pub ended: Ended,
    /// What it wrote on standard output.
    pub stdout: Vec<u8>,
    /// What it wrote on standard error.
    pub stderr: Vec<u8>,
}

enum Event {
    Stdout(Vec<u8>),
    Stderr(Vec<u8>),
    /// End of a stream.
    Closed,
    /// The child has ended and is not reaped yet, so its number is still its own.
    Ended,
}

impl Child {
    /// Starts a command.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn start(mut command: Command) -> Self {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let shown = show(&command);
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {shown}: {error}"));
        let (sender, events) = mpsc::channel();
        let stdout = child.stdout.take().expect("it is a pipe");
        let stderr = child.stderr.take().expect("it is a pipe");
        forward(stdout, sender.clone(), Event::Stdout);
        forward(stderr, sender.clone(), Event::Stderr);
        let pid = pid_of(&child);
        thread::spawn(move || {
            // Left unreaped: a signal sent meanwhile cannot meet another process of that number.
            let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
            while waitid(Id::Pid(pid), flags) == Err(nix::errno::Errno::EINTR) {}
            let _ = sender.send(Event::Ended);
        });
        Self {
            child,
            command: shown,
            events,
            stdout: Vec::new(),
            stderr: Vec::new(),
            read_to: 0,
            open_streams: 2,
            has_ended: false,
        }
    }

    /// Process id, valid as long as this value lives.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal to the child alone.
    pub fn signal(&self, signal: Signal) {
        // It may have ended: then it is a zombie, and the signal is lost on it.
        let _ = kill(pid_of(&self.child), signal);
    }

    /// The next line of standard output, without its end; nothing once there are no more.
    ///
    /// # Panics
    /// If it does not come within `limit`.
    pub fn line(&mut self, limit: Duration) -> Option<String> {
        let deadline = Instant::now() + limit;
        loop {
            let rest = &self.stdout[self.read_to..];
            if let Some(len) = rest.iter().position(|&byte| byte == b'\n') {
                let line = String::from_utf8_lossy(&rest[..len]).into_owned();
                self.read_to += len + 1;
                return Some(line);
            }
            if self.open_streams == 0 {
                return None;
            }
            if !self.step(deadline) {
                self.hangs("no further line");
            }
        }
    }

    /// What came on standard output and standard error so far, for people.
    pub fn output(&self) -> String {
        format!(
            "--- stdout\n{}--- stderr\n{}---",
            String::from_utf8_lossy(&self.stdout),
            String::from_utf8_lossy(&self.stderr)
        )
    }

    /// What came on standard error so far.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// Takes in what the child writes until `done` says so of this value, or it ends; which?
    ///
    /// # Panics
    /// If neither happens within `limit`.
    pub fn until(&mut self, limit: Duration, done: impl Fn(&Self) -> bool) -> bool {
        let deadline = Instant::now() + limit;
        while !done(self) {
            if self.has_ended && self.open_streams == 0 {
                return false;
            }
            if !self.step(deadline) {
                self.hangs("not what was waited for");
            }
        }
        true
    }

    /// Takes in what the child writes for `span`, or until it ends.
    pub fn pass(&mut self, span: Duration) {
        let deadline = Instant::now() + span;
        while !(self.has_ended && self.open_streams == 0) && self.step(deadline) {}
    }

    /// Waits for the end of the child and of its output.
    ///
    /// # Panics
    /// If that takes longer than `limit`: whoever still holds the output is an orphan.
    pub fn finish(mut self, limit: Duration) -> Outcome {
        let deadline = Instant::now() + limit;
        while !self.has_ended || self.open_streams > 0 {
            if !self.step(deadline) {
                let what = if self.has_ended {
                    "it ended, but another process holds its output"
                } else {
                    "no end"
                };
                self.hangs(what);
            }
        }
        let status = self.child.wait().expect("it has ended and is not reaped");
        let ended = match (status.code(), status.signal()) {
            (Some(code), _) => Ended::Exited(code),
            (None, Some(signal)) => Ended::Killed(signal),
            (None, None) => unreachable!("a process ends in one of two ways"),
        };
        Outcome {
            ended,
            stdout: std::mem::take(&mut self.stdout),
            stderr: std::mem::take(&mut self.stderr),
        }
    }

    /// Takes in one event; false when none comes before the deadline.
    fn step(&mut self, deadline: Instant) -> bool {
        match self
            .events
            .recv_timeout(deadline.saturating_duration_since(Instant::now()))
        {
            Ok(Event::Stdout(bytes)) => self.stdout.extend(bytes),
            Ok(Event::Stderr(bytes)) => self.stderr.extend(bytes),
            Ok(Event::Closed) => self.open_streams -= 1,
            Ok(Event::Ended) => self.has_ended = true,
            Err(RecvTimeoutError::Timeout) => return false,
            Err(RecvTimeoutError::Disconnected) => unreachable!("all three threads have said so"),
        }
        true
    }

    fn hangs(&self, what: &str) -> ! {
        panic!("{what} in time: {}\n{}", self.command, self.output());
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Not reaped yet, or `wait` answers from memory and the group is gone anyway.
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            let _ = killpg(pid_of(&self.child), Signal::SIGKILL);
            let _ = self.child.wait();
        }
    }
}

impl Outcome {
    /// Standard output as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = String::from_utf8_lossy;
        let (stdout, stderr) = (text(&self.stdout), text(&self.stderr));
        write!(
            f,
            "{:?}\n--- stdout\n{stdout}--- stderr\n{stderr}---",
            self.ended
        )
    }
}

fn forward(
    stream: impl Read + Send + 'static,
    sender: mpsc::Sender<Event>,
    event: impl Fn(Vec<u8>) -> Event + Send + 'static,
) {
    thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        loop {
            let bytes = match reader.fill_buf() {
                Ok([]) | Err(_) => break,
                Ok(bytes) => bytes.to_vec(),
            };
            reader.consume(bytes.len());
            if sender.send(event(bytes)).is_err() {
                break;
            }
        }
        let _ = sender.send(Event::Closed);
    });
}

fn pid_of(child: &std::process::Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).expect("a process id is positive"))
}

fn show(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(
        command
            .get_args()
            .map(|word| word.to_string_lossy().into_owned()),
    );
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Child {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        Child::start(command)
    }

    #[test]
    fn output_and_status_come_through() {
        let mut child = shell("echo one; echo two; echo three >&2; exit 7");
        assert_eq!(child.line(Duration::from_secs(10)).as_deref(), Some("one"));
        let outcome = child.finish(Duration::from_secs(10));
        assert_eq!(outcome.ended, Ended::Exited(7));
        assert_eq!(outcome.text(), "one\ntwo\n");
        assert_eq!(outcome.stderr, b"three\n");
    }

    #[test]
    fn a_signal_is_told_from_a_status() {
        let outcome = shell("kill -9 $$").finish(Duration::from_secs(10));
        assert_eq!(outcome.ended, Ended::Killed(9));
    }

    #[test]
    #[should_panic(expected = "no end in time: /bin/sh -c echo here; exec sleep 60")]
    fn a_hang_is_a_failure() {
        shell("echo here; exec sleep 60").finish(Duration::from_millis(200));
    }
}
