//! What the tests of the real program share: a daemon on a free port of the loopback, commands with
//! a clean environment, and reading a process's lines as they come.
#![allow(dead_code, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used, reason = "a test")]

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Output, Stdio};

use flexdirect_server::daemon::conversation;
use flexdirect_wire::control::{
    Answer, Attach, DeviceState, Lane, Lease, Refusal, Request, Share, VERSION,
};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_flexdirect");

/// A folder that stands for the client's library: what `run` needs is that it is there.
pub(crate) struct Home(tempfile::TempDir);

impl Home {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("cuda")).unwrap();
        fs::write(folder.path().join("cuda/libcuda.so.1"), "").unwrap();
        Self(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// The program with these arguments, and nothing of our environment but the path.
    pub(crate) fn command(
        &self,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Command {
        let mut command = Command::new(PROGRAM);
        command
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.path())
            .env("XDG_RUNTIME_DIR", self.path())
            .env("FLEXDIRECT_LIB", self.path())
            .env("FLEXDIRECT_SOFTGPU", softgpu())
            .env("SOFTGPU_MEMORY", "256M")
            .env("SOFTGPU_STATE", self.path().join("softgpu"))
            .stdin(Stdio::null());
        command
    }

    /// Runs the program to its end.
    pub(crate) fn output(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Files that a lease left behind.
    pub(crate) fn leases(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(self.path())
            .unwrap()
            .map(|entry| entry.unwrap().path());
        files
            .filter(|path| path.extension().is_some_and(|end| end == "json"))
            .collect()
    }
}

/// softgpu's library, built before these tests are run.
pub(crate) fn softgpu() -> PathBuf {
    let built = Path::new(PROGRAM)
        .parent()
        .unwrap()
        .join("libsoftgpu_cuda.so");
    let library = std::env::var_os("FLEXDIRECT_SOFTGPU").map_or(built, PathBuf::from);
    assert!(
        library.exists(),
        "{} is not there: cargo build -p flexdirect-softgpu, or set FLEXDIRECT_SOFTGPU",
        library.display()
    );
    library
}

/// A process that is killed when the test ends.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        Self(
            command
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap(),
        )
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.0.id()).unwrap()), signal).unwrap();
    }

    /// Waits for its end; its exit code.
    pub(crate) fn code(mut self) -> Option<i32> {
        self.0.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Lines of a process as they come.
pub(crate) struct Lines<R>(BufReader<R>);

impl<R: Read> Lines<R> {
    pub(crate) fn new(stream: R) -> Self {
        Self(BufReader::new(stream))
    }

    /// Waits for a line with `part` in it.
    pub(crate) fn until(&mut self, part: &str) -> String {
        let mut seen = String::new();
        loop {
            let mut line = String::new();
            assert_ne!(
                self.0.read_line(&mut line).unwrap(),
                0,
                "no line with {part:?} in:\n{seen}"
            );
            if line.contains(part) {
                return line;
            }
            seen += &line;
        }
    }

    /// Waits for the end; what there was.
    pub(crate) fn rest(mut self) -> String {
        let mut rest = String::new();
        self.0.read_to_string(&mut rest).unwrap();
        rest
    }
}

/// A daemon on a free port, with its log.
pub(crate) struct Daemon {
    pub(crate) process: Running,
    pub(crate) log: Lines<ChildStderr>,
    pub(crate) address: SocketAddr,
}

impl Daemon {
    pub(crate) fn start(home: &Home, options: &[&str]) -> Self {
        let arguments = [&["resource_scheduler", "-s", "0"], options].concat();
        let mut process = Running::start(&mut home.command(arguments));
        let mut log = Lines::new(process.0.stderr.take().unwrap());
        let line = log.until("Listening on ");
        let address = line.split("Listening on ").nth(1).unwrap();
        let address = address.split_whitespace().next().unwrap().parse().unwrap();
        Self {
            process,
            log,
            address,
        }
    }

    /// One device made of CPUs.
    pub(crate) fn soft(home: &Home) -> Self {
        Self::start(home, &["--device", "soft"])
    }

    pub(crate) fn ask(&self, request: &Request) -> (TcpStream, Answer) {
        conversation::ask(self.address, request).unwrap()
    }

    pub(crate) fn devices(&self) -> Vec<DeviceState> {
        match self.ask(&Request::List { version: VERSION }).1 {
            Answer::Devices { devices, .. } => devices,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn claim(&self, devices: u32, share: Share) -> (TcpStream, Lease) {
        let client = "a test".to_owned();
        match self.ask(&Request::Claim {
            version: VERSION,
            devices,
            share,
            client,
        }) {
            (stream, Answer::Leased(lease)) => (stream, lease),
            (_, other) => panic!("{other:?}"),
        }
    }

    pub(crate) fn attach(&self, lease: &Lease, session: &str, lane: Lane) -> (TcpStream, Answer) {
        self.ask(&Request::Attach(Attach {
            version: VERSION,
            lease: lease.lease,
            secret: lease.secret.clone(),
            session: session.to_owned(),
            lane,
            process: std::process::id(),
            table_version: 13_050,
        }))
    }
}

/// The refusal that an answer is.
pub(crate) fn refusal(answer: Answer) -> Refusal {
    match answer {
        Answer::Refused(refusal) => refusal,
        other => panic!("{other:?}"),
    }
}

/// Waits until the other end of a connection has gone.
pub(crate) fn wait_for_end(mut stream: TcpStream) {
    let mut buffer = [0; 4096];
    // An error is an end too: a killed process resets what it had not read.
    while let Ok(1..) = stream.read(&mut buffer) {}
}

/// Whether a process is there and not a zombie.
pub(crate) fn is_alive(pid: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = status
        .rsplit(") ")
        .next()
        .and_then(|rest| rest.chars().next());
    !matches!(state, None | Some('Z' | 'X'))
}

/// Waits for a process to be gone: between closing its files, which others see, and its end, the
/// kernel has a little more to do.
pub(crate) fn wait_until_gone(pid: i32) {
    while is_alive(pid) {
        std::thread::yield_now();
    }
}

/// What a finished program said on stderr.
pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
