//! `flexdirect run`: an application with GPUs of other hosts.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use crate::claim::Patience;
use crate::exit::Failure;
use crate::launch::{self, Options};
use crate::{log, servers, units};

/// Runs an application with GPUs of other hosts
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Number of GPUs: the application sees devices 0 to N-1
    #[arg(short = 'n', long = "num_gpus", value_name = "N", alias = "num-gpus")]
    count: u32,
    /// Servers to use instead of the configured ones: 'host:port;host:port'
    #[arg(
        short = 'l',
        long = "server_list",
        value_name = "LIST",
        alias = "server-list"
    )]
    server_list: Option<String>,
    /// File with one server address per line
    #[arg(short = 's', long = "servers", value_name = "FILE")]
    servers: Option<PathBuf>,
    /// How long to wait for free GPUs, such as 30s or 10m; 0 waits for ever [default: not at all]
    #[arg(short = 't', long = "timeout", value_name = "T", value_parser = units::time)]
    timeout: Option<Duration>,
    #[command(flatten)]
    pub(crate) options: Options,
}

pub(crate) fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    log::start(arguments.options.verbose);
    let servers = servers::find(
        arguments.server_list.as_deref(),
        arguments.servers.as_deref(),
    )?;
    let patience = match arguments.timeout {
        None => Patience::None,
        Some(Duration::ZERO) => Patience::Forever,
        Some(limit) => Patience::For(limit),
    };
    launch::launch(&servers, arguments.count, patience, arguments.options, None)
}

/// What the help ends with.
const EXAMPLES: &str = "\
Examples:
  flexdirect run -n 1 -p 0.5 -- python train.py   half of one GPU's memory
  flexdirect run -n 2 python train.py --epochs 3  two whole GPUs; the first word that is no option
                                                  starts the application
  flexdirect run -n 1 -m 4096 'python a.py && python b.py'
                                                  one quoted string is run by a shell
  flexdirect run -n 1 bash                        a shell that keeps the GPU until it ends

Servers come from --server_list, --servers, $FLEXDIRECT_SERVERS, or the first servers.conf of
~/.bitfusion, /etc/bitfusion, ~/.flexdirect, /etc/flexdirect, /etc/bitfusionio.
Exit codes: see 'flexdirect help'.";
