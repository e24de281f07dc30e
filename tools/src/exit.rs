//! How a command fails: one line that says what happened and what to do, and a documented code.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use flexdirect_wire::control::{Reason, Refusal};

use crate::log::printable;

/// What a command ends with when it does not succeed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) code: Code,
    pub(crate) text: String,
}

/// Exit codes besides an application's own (sysexits.h, and the convention of `env` and `timeout`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Code {
    /// The command line makes no sense.
    Usage = 64,
    /// No server can be reached, or no device is there.
    Unavailable = 69,
    /// Not enough free GPUs within the time allowed.
    Full = 75,
    /// A server refused the caller.
    Refused = 77,
    /// FlexDirect itself failed before the application ran.
    Ours = 125,
    /// The application is there and cannot be executed.
    NotExecutable = 126,
    /// The application is not there.
    NotFound = 127,
}

impl Failure {
    pub(crate) fn new(code: Code, text: impl Into<String>) -> Self {
        Self {
            code,
            text: text.into(),
        }
    }

    /// Says it on stderr and gives the code.
    pub(crate) fn report(&self) -> ExitCode {
        // There is nowhere left to complain when stderr is closed.
        let _ = writeln!(io::stderr(), "{}", printable(&self.to_string()));
        ExitCode::from(self.code as u8)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error: {}", self.text)
    }
}

/// Code of a server's refusal.
pub(crate) fn code_of(refusal: &Refusal) -> Code {
    match refusal.reason {
        Reason::Bad => Code::Usage,
        Reason::Denied => Code::Refused,
        Reason::Full => Code::Full,
        Reason::Failed | Reason::Version => Code::Unavailable,
    }
}

/// Prints to stdout. A reader that has seen enough (`| head`) is no failure.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::new(
            Code::Ours,
            format!("cannot write the output: {error}"),
        )),
        _ => Ok(()),
    }
}

/// The codes, for `--help`.
pub(crate) const HELP: &str = "\
Exit codes: the application's own; 128+N if signal N killed it; 64 wrong usage; 69 no server can be
reached; 75 not enough free GPUs in time; 77 a server refused the caller; 125 FlexDirect itself
failed; 126 the application cannot be executed; 127 the application is not there.";
