//! Running an application on a lease: environment, log lines, release. What `run` and `local`
//! share.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use clap::{Args, ValueEnum};
use flexdirect_server::scheduler::MIB;
use flexdirect_wire::control::{LEASE_VARIABLE, LeaseFile, Share};
use flexdirect_wire::limits::GRACE_MS;

use crate::application::Application;
use crate::child::{self, Signals};
use crate::claim::{self, Held, Patience, Wanted};
use crate::exit::{Code, Failure};
use crate::lease_file::Written;
use crate::places::{self, LIBRARY};
use crate::servers::Address;
use crate::units;

/// Options that say what of a GPU is wanted and how the application is run.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Fraction of each GPU's memory, over 0 and at most 1 (rounded down to whole MiB)
    #[arg(short = 'p', long = "partial", value_name = "F", value_parser = units::fraction,
          conflicts_with = "memory", allow_negative_numbers = true)]
    pub(crate) partial: Option<f64>,
    /// Memory of each GPU in MiB, or with a unit: 4G, 4Gi, 500M
    #[arg(short = 'm', long = "memory", value_name = "M", value_parser = units::mib)]
    pub(crate) memory: Option<u64>,
    /// How the application talks to the server: auto or tcp [default: auto]
    #[arg(long, value_name = "NAME", hide_possible_values = true)]
    pub(crate) transport: Option<Transport>,
    /// Also load the CUDA library by LD_PRELOAD, for programs with a library path of their own
    #[arg(long)]
    pub(crate) preload: bool,
    /// Time after which a server that does not answer is lost [default: 30s, or $FLEXDIRECT_GRACE]
    #[arg(long, value_name = "T", value_parser = units::time)]
    pub(crate) grace: Option<Duration>,
    /// Say more
    #[arg(short, long)]
    pub(crate) verbose: bool,
    /// Application and its arguments
    #[arg(value_name = "APPLICATION", trailing_var_arg = true)]
    pub(crate) application: Vec<OsString>,
}

/// Mechanisms that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Transport {
    /// The best that both ends can do.
    Auto,
    /// Sockets.
    Tcp,
}

impl Options {
    pub(crate) fn share(&self) -> Share {
        match self.memory {
            Some(mib) => Share::Memory(mib),
            None => Share::Fraction(self.partial.unwrap_or(1.0)),
        }
    }

    /// From the flag, else the environment, else the default.
    pub(crate) fn transport(&self) -> Result<Transport, Failure> {
        if let Some(transport) = self.transport {
            return Ok(transport);
        }
        match std::env::var("FLEXDIRECT_TRANSPORT") {
            Ok(text) => Transport::from_str(&text, false).map_err(|_| {
                let text = format!("FLEXDIRECT_TRANSPORT={text:?} is not auto or tcp");
                Failure::new(Code::Usage, text)
            }),
            Err(_) if std::env::var("BF_ADAPTOR_RDMA").is_ok_and(|text| text == "0") => {
                Ok(Transport::Tcp)
            }
            Err(_) => Ok(Transport::Auto),
        }
    }

    /// From the flag, else the environment, else the default.
    fn grace(&self) -> Result<Duration, Failure> {
        if let Some(grace) = self.grace {
            return Ok(grace);
        }
        let Ok(text) = std::env::var("FLEXDIRECT_GRACE") else {
            return Ok(Duration::from_millis(GRACE_MS));
        };
        units::time(&text)
            .map_err(|why| Failure::new(Code::Usage, format!("FLEXDIRECT_GRACE={text:?}: {why}")))
    }
}

/// Gets a lease, runs the application on it and gives the lease back.
pub(crate) fn launch(
    servers: &[Address],
    count: u32,
    patience: Patience,
    options: Options,
    signals: Option<Signals>,
) -> Result<ExitCode, Failure> {
    let (share, transport, grace) = (options.share(), options.transport()?, options.grace()?);
    let application = Application::new(options.application)?;
    let folder = places::client_folder()?;
    let client = describe_client(&application);
    let wanted = Wanted {
        count,
        share,
        client,
        patience,
        grace,
    };
    let held = claim::acquire(servers, &wanted)?;
    let signals = signals.map_or_else(hold_signals, Ok)?;
    let file = Written::new(&LeaseFile {
        server: held.peer.to_string(),
        lease: held.lease.lease,
        secret: held.lease.secret.clone(),
        driver_version: held.lease.driver_version,
        transport: transport.name().to_owned(),
        grace_ms: u64::try_from(grace.as_millis()).unwrap_or(u64::MAX),
    })?;
    announce(&held, count, share, file.path(), &application);
    let mut command = application.command();
    prepare(&mut command, file.path(), &folder, options.preload);
    let outcome = attend(&mut command, &application, &held, &signals);
    tracing::info!(
        "Releasing GPUs from config file '{}'...",
        file.path().display()
    );
    let path = file.path().to_owned();
    drop(file);
    held.release();
    tracing::info!(
        "Released GPUs on 1 servers and removed generated config file '{}'",
        path.display()
    );
    outcome.map(ExitCode::from)
}

/// Has signals wait for the application.
pub(crate) fn hold_signals() -> Result<Signals, Failure> {
    Signals::hold()
        .map_err(|error| Failure::new(Code::Ours, format!("cannot hold signals: {error}")))
}

fn attend(
    command: &mut Command,
    application: &Application,
    held: &Held,
    signals: &Signals,
) -> Result<u8, Failure> {
    let failed = |error: std::io::Error| {
        Failure::new(
            Code::Ours,
            format!("cannot wait for the application: {error}"),
        )
    };
    if let Some(signal) = signals.pending().map_err(failed)? {
        let text = format!("stopped by {signal} before the application ran");
        return Err(Failure::new(Code::Ours, text));
    }
    let mut child = signals
        .spawn(command)
        .map_err(|error| application.not_started(&error))?;
    let lost = || {
        tracing::warn!(
            "server {} ended the lease: CUDA calls of the application fail from now on; start it \
             again when the server is back",
            held.server
        );
    };
    signals
        .attend(&mut child, &held.stream, lost)
        .map(child::code)
        .map_err(failed)
}

/// What users of the original expect to read before their application's output.
fn announce(held: &Held, count: u32, share: Share, file: &Path, application: &Application) {
    let lease = &held.lease;
    let mib = lease
        .devices
        .first()
        .map_or(0, |device| device.memory / MIB);
    let part = match share {
        Share::Fraction(part) => format!("partial memory {part} ({mib} MiB)"),
        Share::Memory(_) => format!("{mib} MiB of memory"),
    };
    tracing::info!(
        "Locked {count} GPUs with {part}, configuration saved to '{}'",
        file.display()
    );
    tracing::info!(
        "Running client command '{application}' on {count} GPUs, with the following servers:"
    );
    let (host, port) = (held.peer.ip(), held.peer.port());
    tracing::info!(
        "{host} {port} {} {port} {}",
        lease.lease,
        lease.server_version
    );
}

/// The environment of the application: ours in front of what is there, nothing replaced.
fn prepare(command: &mut Command, file: &Path, folder: &Path, has_preload: bool) {
    command.env(LEASE_VARIABLE, file);
    command.env(
        "LD_LIBRARY_PATH",
        prepended(folder.as_os_str(), "LD_LIBRARY_PATH"),
    );
    // Triton looks for the driver with ldconfig unless told.
    command.env("TRITON_LIBCUDA_PATH", folder);
    if has_preload {
        let library = folder.join(LIBRARY);
        command.env("LD_PRELOAD", prepended(library.as_os_str(), "LD_PRELOAD"));
    }
}

/// A list of paths with `first` in front.
fn prepended(first: &OsStr, variable: &str) -> OsString {
    let mut list = first.to_owned();
    if let Some(rest) = std::env::var_os(variable).filter(|rest| !rest.is_empty()) {
        list.push(":");
        list.push(rest);
    }
    list
}

/// Who asks, for the server's log.
fn describe_client(application: &Application) -> String {
    let user = std::env::var("USER").unwrap_or_else(|_| format!("uid {}", nix::unistd::getuid()));
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let command: String = application.to_string().chars().take(100).collect();
    format!(
        "{user}@{} process {}: {command}",
        host.trim(),
        std::process::id()
    )
}

impl Transport {
    fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Tcp => "tcp",
        }
    }
}
