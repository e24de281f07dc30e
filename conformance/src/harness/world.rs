//! What separates one test from another on the same machine: the devices it sees, and a mark that
//! all its processes carry.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::{Child, Library, flexdirect, library};

/// Devices of one test, and its processes. The state file of softgpu is the mark: its name is
/// unique and is handed down even to workers, whose environment is an allow-list.
#[derive(Debug)]
pub struct World {
    folder: TempDir,
    memory_mib: u64,
    devices: u32,
}

impl World {
    /// One device of `memory_mib` MiB that nobody else uses.
    ///
    /// # Panics
    /// If there is no room for a temporary folder.
    pub fn new(memory_mib: u64) -> Self {
        let folder = TempDir::with_prefix("flexdirect-conformance-").expect("a temporary folder");
        Self {
            folder,
            memory_mib,
            devices: 1,
        }
    }

    /// The same with this many devices.
    pub fn devices(self, devices: u32) -> Self {
        Self { devices, ..self }
    }

    /// A folder for the test's files, gone with the test.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A command in this world, with nothing of the caller's CUDA or FlexDirect settings.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            let foreign = ["CUDA_", "FLEXDIRECT_", "SOFTGPU_", "BF_", "LD_"];
            if name
                .to_str()
                .is_some_and(|name| foreign.iter().any(|it| name.starts_with(it)))
            {
                command.env_remove(&name);
            }
        }
        command
            .env("FLEXDIRECT_DEVICE", format!("soft:{}", self.devices))
            .env("SOFTGPU_STATE", self.state())
            .env("SOFTGPU_DEVICES", self.devices.to_string())
            .env("SOFTGPU_MEMORY", format!("{}M", self.memory_mib))
            .env("HOME", self.folder());
        command
    }

    /// Runs a program directly on softgpu.
    pub fn native(&self, program: &Path, arguments: &[&str]) -> Child {
        let driver = library(Library::Softgpu);
        let mut command = self.command(program);
        command
            .args(arguments)
            .env("LD_LIBRARY_PATH", driver.parent().expect("it has a folder"));
        Child::start(command)
    }

    /// Runs a program under `flexdirect local` with these options.
    pub fn local(&self, options: &[&str], program: &Path, arguments: &[&str]) -> Child {
        let mut command = self.command(flexdirect());
        command
            .arg("local")
            .args(options)
            .arg("--")
            .arg(program)
            .args(arguments);
        Child::start(command)
    }

    /// Live processes of this world, each with its command line.
    pub fn processes(&self) -> Vec<(u32, String)> {
        let mark = [
            b"SOFTGPU_STATE=",
            self.state().as_os_str().as_encoded_bytes(),
        ]
        .concat();
        let ids = fs::read_dir("/proc").expect("there is a /proc");
        let ids = ids
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        ids.filter_map(|id: u32| {
            // The environment of a zombie is empty, and one that has gone cannot be read.
            let environment = fs::read(format!("/proc/{id}/environ")).ok()?;
            let marked = environment
                .split(|&byte| byte == 0)
                .any(|entry| entry == mark);
            let line = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
            marked.then(|| (id, String::from_utf8_lossy(&line).replace('\0', " ")))
        })
        .collect()
    }

    /// Waits until `wanted` holds of the processes of this world.
    ///
    /// # Panics
    /// If it does not within `limit`: with the processes that there are.
    pub fn wait_for_processes(
        &self,
        limit: Duration,
        wanted: impl Fn(&[(u32, String)]) -> bool,
        what: &str,
    ) {
        let deadline = Instant::now() + limit;
        loop {
            let found = self.processes();
            if wanted(&found) {
                return;
            }
            assert!(Instant::now() < deadline, "{what}: {found:?}");
            // There is no event for the end of processes that are not our children.
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits until no live process uses memory of the devices, by softgpu's own account.
    ///
    /// # Panics
    /// If that is not so within `limit`: with the account.
    pub fn wait_for_free_memory(&self, limit: Duration) {
        let deadline = Instant::now() + limit;
        loop {
            let used = self.memory_used();
            if used == 0 {
                return;
            }
            let account = fs::read_to_string(self.state()).unwrap_or_default();
            assert!(
                Instant::now() < deadline,
                "{used} bytes are still used:\n{account}"
            );
            // As above: a killed process is gone when the kernel has taken it apart.
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Bytes of the devices that live processes use, by softgpu's own account.
    fn memory_used(&self) -> u64 {
        let text = fs::read_to_string(self.state()).unwrap_or_default();
        let used = text.lines().filter_map(|line| {
            let mut words = line.strip_prefix("process ")?.split(' ');
            let (id, start) = (words.next()?, words.next()?);
            let bytes: u64 = words.nth(1)?.parse().ok()?;
            // An entry of a process that was killed stays until somebody next looks.
            is_alive(id, start).then_some(bytes)
        });
        used.sum()
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("softgpu-state")
    }
}

/// Whether a process that started at that time runs, and is not just waiting to be reaped.
fn is_alive(id: &str, start: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    // proc_pid_stat(5): behind the name, which may hold anything, come the state and 18 more.
    let fields: Vec<_> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    fields
        .first()
        .is_some_and(|state| !["Z", "X"].contains(state))
        && fields.get(19) == Some(&start)
}
