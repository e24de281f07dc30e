//! `flexdirect resource_scheduler`: the daemon of a GPU host.

use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use flexdirect_server::daemon::{Config, Daemon, Selection, StartError};
use flexdirect_wire::limits::GRACE_MS;

use crate::devices::DeviceOptions;
use crate::exit::{self, Code, Failure};
use crate::{log, servers, units};

/// Serves the GPUs of this host to others
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Serve the first N GPUs
    #[arg(
        short = 'n',
        long = "num_gpus",
        value_name = "N",
        conflicts_with = "devices"
    )]
    count: Option<u32>,
    /// Serve these GPUs, such as 0,2
    #[arg(
        short = 'd',
        long = "devices",
        value_name = "LIST",
        value_delimiter = ','
    )]
    devices: Vec<u32>,
    /// Address to listen on; 0.0.0.0 or :: serves other hosts
    #[arg(
        short = 'l',
        long = "listen",
        value_name = "ADDR",
        default_value = "127.0.0.1"
    )]
    listen: String,
    /// Port to listen on, for control and data; 0 takes a free one and prints it
    #[arg(short = 's', long = "port", value_name = "PORT", default_value_t = servers::PORT)]
    port: u16,
    /// Accepted for old scripts: there is one port
    #[arg(short = 'p', value_name = "PORT", hide = true)]
    data_port: Option<u16>,
    #[command(flatten)]
    device: DeviceOptions,
    /// Time after which a host that does not answer is lost [default: 30s]
    #[arg(long, value_name = "T", value_parser = units::time)]
    grace: Option<Duration>,
    /// Say more
    #[arg(short, long)]
    verbose: bool,
}

pub(crate) fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    log::start(arguments.verbose);
    let listen = address(&arguments.listen, arguments.port)?;
    let selection = match (arguments.count, arguments.devices.is_empty()) {
        (Some(count), _) => Selection::First(count),
        (None, false) => Selection::Listed(arguments.devices),
        (None, true) => Selection::All,
    };
    let config = Config {
        listen,
        choice: arguments.device.choice()?,
        places: arguments.device.places(),
        selection,
        grace: arguments.grace.unwrap_or(Duration::from_millis(GRACE_MS)),
        program: super::program(),
    };
    if let Some(warning) = warning(listen.ip()) {
        tracing::warn!("{warning}");
    }
    if arguments.data_port.is_some() {
        tracing::info!("Option -p has no effect: control and data share one port");
    }
    let daemon =
        Daemon::start(config).map_err(|error| Failure::new(code(&error), error.to_string()))?;
    let failed =
        |error: std::io::Error| Failure::new(Code::Ours, format!("cannot listen: {error}"));
    let address = daemon.address().map_err(failed)?;
    for line in daemon.describe() {
        tracing::info!("{line}");
    }
    tracing::info!("Driver {}", daemon.driver().display());
    let listening = format!("Listening on {address} (control and data)");
    tracing::info!("{listening}");
    if !tracing::enabled!(tracing::Level::INFO) {
        // A port that the system chose is told to a quiet daemon's starter too.
        exit::print(&format!("{listening}\n"))?;
    }
    daemon.serve().map_err(failed)?;
    Ok(ExitCode::SUCCESS)
}

/// What to think of before others reach the daemon: it asks nobody who they are.
fn warning(ip: IpAddr) -> Option<String> {
    (!ip.is_loopback()).then(|| {
        format!(
            "Listening on {ip} without authentication: whoever reaches this port can use the GPUs; \
             keep it behind a firewall, or listen on 127.0.0.1"
        )
    })
}

/// An address with or without a port of its own.
fn address(listen: &str, port: u16) -> Result<SocketAddr, Failure> {
    let bare = listen.trim_start_matches('[').trim_end_matches(']');
    bare.parse::<IpAddr>()
        .map(|ip| SocketAddr::new(ip, port))
        .or_else(|_| listen.parse::<SocketAddr>())
        .map_err(|_| {
            let text = format!(
                "-l {listen}: not an address of this host, such as 127.0.0.1, 0.0.0.0 or ::"
            );
            Failure::new(Code::Usage, text)
        })
}

fn code(error: &StartError) -> Code {
    match error {
        StartError::NoDevice(_) => Code::Unavailable,
        StartError::Selection { .. } => Code::Usage,
        _ => Code::Ours,
    }
}

/// What the help ends with.
const EXAMPLES: &str = "\
Examples:
  flexdirect resource_scheduler -l 0.0.0.0             all GPUs, to all hosts that reach it
  flexdirect resource_scheduler -d 0,2 -s 56002        GPUs 0 and 2, another port
  flexdirect resource_scheduler --device soft:2 -s 0   two GPUs made of CPUs, a free port

It runs until it is stopped; its workers end with it. Exit codes: see 'flexdirect help'.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listening_wider_than_the_loopback_is_warned_of() {
        for (ip, is_wide) in [
            ("127.0.0.1", false),
            ("::1", false),
            ("0.0.0.0", true),
            ("::", true),
            ("10.0.0.1", true),
        ] {
            assert_eq!(warning(ip.parse().unwrap()).is_some(), is_wide, "{ip}");
        }
    }

    #[test]
    fn an_address_may_have_its_port() {
        let of = |listen| address(listen, 1).unwrap().to_string();
        assert_eq!(of("127.0.0.1"), "127.0.0.1:1");
        assert_eq!(of("::1"), "[::1]:1");
        assert_eq!(of("[::1]"), "[::1]:1");
        assert_eq!(of("[::1]:7"), "[::1]:7");
        assert_eq!(of("10.0.0.1:0"), "10.0.0.1:0");
        assert_eq!(address("localhost", 1).unwrap_err().code, Code::Usage);
    }
}
