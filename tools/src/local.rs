//! `flexdirect local`: an application with a GPU of this host, through the same layer as `run`.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use clap::Args;
use flexdirect_server::daemon::{Config, Daemon};
use flexdirect_server::device::Choice;
use flexdirect_wire::limits::GRACE_MS;

use crate::claim::Patience;
use crate::devices::DeviceOptions;
use crate::exit::{Code, Failure};
use crate::launch::{self, Options};
use crate::log;
use crate::servers::Address;

/// Runs an application with a GPU of this host, or with one made of its CPUs
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Number of GPUs
    #[arg(
        short = 'n',
        long = "num_gpus",
        value_name = "N",
        alias = "num-gpus",
        default_value_t = 1
    )]
    count: u32,
    #[command(flatten)]
    device: DeviceOptions,
    #[command(flatten)]
    pub(crate) options: Options,
}

pub(crate) fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    log::start(arguments.options.verbose);
    // Before the daemon's threads are there, which inherit it.
    let signals = launch::hold_signals()?;
    let mut choice = arguments.device.choice()?;
    if let Choice::Soft(1) = choice {
        choice = Choice::Soft(arguments.count);
    }
    let daemon = Daemon::start(Config {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        choice,
        places: arguments.device.places(),
        selection: flexdirect_server::daemon::Selection::All,
        grace: Duration::from_millis(GRACE_MS),
        program: super::program(),
    })
    .map_err(|error| Failure::new(Code::Unavailable, error.to_string()))?;
    tracing::info!("Serving {} to this run alone", daemon.describe().join("; "));
    let ours = |error: std::io::Error| Failure::new(Code::Ours, format!("cannot serve: {error}"));
    let address = daemon.address().map_err(ours)?;
    // Ends with this process, and its workers with it.
    thread::Builder::new()
        .name("daemon".to_owned())
        .spawn(move || daemon.serve())
        .map_err(ours)?;
    let servers = [Address::from(address)];
    launch::launch(
        &servers,
        arguments.count,
        Patience::None,
        arguments.options,
        Some(signals),
    )
}

/// What the help ends with.
const EXAMPLES: &str = "\
Examples:
  flexdirect local -- python train.py             NVIDIA's GPU if there is one, else the CPUs
  flexdirect local --device soft:2 -n 2 -- ./app  two GPUs made of CPUs

No root, no GPU and no configuration is needed. Exit codes: see 'flexdirect help'.";
