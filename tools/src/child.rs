//! The application's process: started in our own process group, so that the terminal is its
//! terminal too, given the signals that are sent to us, and waited for.

use std::io;
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{
    SigHandler, SigSet, SigmaskHow, Signal, kill, pthread_sigmask, signal, sigprocmask,
};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{Pid, getpid, getppid};

/// Signals that wait in a descriptor instead of interrupting.
#[derive(Debug)]
pub(crate) struct Signals {
    fd: SignalFd,
    /// The mask that an application inherits: as it was before.
    before: SigSet,
}

impl Signals {
    /// Has the signals that are forwarded, and SIGCHLD, wait from now on. To be called before there
    /// are other threads, which inherit that.
    pub(crate) fn hold() -> io::Result<Self> {
        let mut held: SigSet = FORWARDED.into_iter().collect();
        held.add(Signal::SIGCHLD);
        // SAFETY: the default disposition runs no code of ours. It may have been inherited as
        // "ignore", which would take the exit status away.
        unsafe { signal(Signal::SIGCHLD, SigHandler::SigDfl) }?;
        let mut before = SigSet::empty();
        pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&held), Some(&mut before))?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        Ok(Self {
            fd: SignalFd::with_flags(&held, flags)?,
            before,
        })
    }

    /// A signal that came before there was an application to take it.
    pub(crate) fn pending(&self) -> io::Result<Option<Signal>> {
        while let Some((signal, _)) = self.next()? {
            if signal != Signal::SIGCHLD {
                return Ok(Some(signal));
            }
        }
        Ok(None)
    }

    /// The next signal, and whether the kernel sent it (a terminal, for one).
    fn next(&self) -> io::Result<Option<(Signal, bool)>> {
        let Some(info) = self.fd.read_signal()? else {
            return Ok(None);
        };
        let number = i32::try_from(info.ssi_signo).map_err(|_| Errno::EINVAL)?;
        Ok(Some((
            Signal::try_from(number)?,
            info.ssi_code == SI_KERNEL,
        )))
    }

    /// Starts the command: with the signals as they were, ended with SIGTERM if we are killed.
    pub(crate) fn spawn(&self, command: &mut Command) -> io::Result<Child> {
        let (parent, before) = (getpid(), self.before);
        let prepare = move || -> io::Result<()> {
            set_pdeathsig(Signal::SIGTERM)?;
            if getppid() != parent {
                return Err(Errno::ESRCH.into());
            }
            Ok(sigprocmask(SigmaskHow::SIG_SETMASK, Some(&before), None)?)
        };
        // SAFETY: between fork and exec only async-signal-safe functions may run: prctl, getppid
        // and sigprocmask are system calls, and the errors are made without allocation.
        unsafe { command.pre_exec(prepare) };
        command.spawn()
    }

    /// Waits for the application and forwards signals to it; calls `lost` once if `lease` ends
    /// first.
    pub(crate) fn attend(
        &self,
        child: &mut Child,
        lease: &TcpStream,
        lost: impl FnOnce(),
    ) -> io::Result<ExitStatus> {
        let mut lost = Some(lost);
        let pid = Pid::from_raw(i32::try_from(child.id()).map_err(|_| Errno::ESRCH)?);
        loop {
            while let Some((signal, is_of_kernel)) = self.next()? {
                // The terminal's signals go to the whole process group: the application has them.
                if signal != Signal::SIGCHLD && !is_of_kernel {
                    // Fails only if the application has just ended.
                    let _ = kill(pid, signal);
                }
            }
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            let mut fds = vec![PollFd::new(self.fd.as_fd(), PollFlags::POLLIN)];
            if lost.is_some() {
                fds.push(PollFd::new(lease.as_fd(), PollFlags::POLLIN));
            }
            match poll(&mut fds, PollTimeout::NONE) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
            let has_ended = fds.get(1).is_some_and(|fd| fd.any().unwrap_or(false));
            if has_ended && let Some(lost) = lost.take() {
                lost();
            }
        }
    }
}

/// Starts threads that take no signal: one that is still there when an application runs would take
/// what is meant for [`Signals`], and end us.
pub(crate) fn start_deaf<T>(start: impl FnOnce() -> T) -> io::Result<T> {
    let mut before = SigSet::empty();
    pthread_sigmask(
        SigmaskHow::SIG_BLOCK,
        Some(&SigSet::all()),
        Some(&mut before),
    )?;
    let started = start();
    pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&before), None)?;
    Ok(started)
}

/// The exit code that stands for how the application ended.
pub(crate) fn code(status: ExitStatus) -> u8 {
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok())
        .unwrap_or(u8::MAX)
}

/// Signals that are passed on to the application.
const FORWARDED: [Signal; 6] = [
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
];

/// `si_code` of a signal that the kernel sent (siginfo.h).
const SI_KERNEL: i32 = 0x80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_says_how_it_ended() {
        assert_eq!(code(ExitStatus::from_raw(0)), 0);
        assert_eq!(code(ExitStatus::from_raw(3 << 8)), 3);
        assert_eq!(code(ExitStatus::from_raw(255 << 8)), 255);
        assert_eq!(code(ExitStatus::from_raw(15)), 143);
        assert_eq!(code(ExitStatus::from_raw(11 | 0x80)), 139);
    }
}
