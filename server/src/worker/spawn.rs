//! Starting a child of the daemon: it dies with the daemon, sees little of its environment, and has
//! a process group of its own so that a terminal's signals do not reach it.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use nix::errno::Errno;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::unistd::{getpid, getppid};

/// A command for a child that the kernel kills when the *thread* that spawns it ends, so that
/// nothing is left behind by a daemon that was killed.
pub fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    // The path may be /proc/self/exe, which says nothing in a list of processes.
    command.arg0("flexdirect");
    command.env_clear().envs(environment()).process_group(0);
    let daemon = getpid();
    let prepare = move || -> io::Result<()> {
        set_pdeathsig(Signal::SIGKILL)?;
        // The daemon may have died between the fork and the line above; then nobody would kill us.
        if getppid() != daemon {
            return Err(Errno::ESRCH.into());
        }
        // The parent may block signals for its own ends; a mask is inherited.
        Ok(sigprocmask(
            SigmaskHow::SIG_SETMASK,
            Some(&SigSet::empty()),
            None,
        )?)
    };
    // SAFETY: between fork and exec only async-signal-safe functions may run: prctl, getppid and
    // sigprocmask are system calls, and the errors are made without allocation.
    unsafe { command.pre_exec(prepare) };
    command
}

/// What a child sees of the environment: enough to find programs and to choose devices. Not the
/// library path, which may lead to our own libcuda, and nobody's secrets.
fn environment() -> Vec<(OsString, OsString)> {
    std::env::vars_os()
        .filter(|(name, _)| name.to_str().is_some_and(is_allowed))
        .collect()
}

fn is_allowed(name: &str) -> bool {
    NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

const NAMES: [&str; 5] = ["PATH", "HOME", "LANG", "FLEXDIRECT_LOG", "RUST_BACKTRACE"];

const PREFIXES: [&str; 2] = ["CUDA_", "SOFTGPU_"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_of_the_environment_passes() {
        assert!(is_allowed("CUDA_VISIBLE_DEVICES") && is_allowed("PATH"));
        for name in [
            "LD_LIBRARY_PATH",
            "LD_PRELOAD",
            "FLEXDIRECT_LEASE",
            "AWS_SECRET_ACCESS_KEY",
        ] {
            assert!(!is_allowed(name), "{name}");
        }
    }

    #[test]
    fn a_child_blocks_no_signal_and_sees_little() {
        let output = command(Path::new("/bin/sh"))
            .args(["-c", "cat /proc/self/status; echo; env"])
            .output()
            .unwrap();
        assert!(output.status.success());
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains("SigBlk:\t0000000000000000"), "{text}");
        assert!(!text.contains("CARGO"), "{text}");
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error() {
        let error = command(Path::new("/nonexistent/program"))
            .spawn()
            .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
