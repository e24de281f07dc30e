//! `flexdirect worker`: what the daemon starts, one for each client process. Not for people.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use flexdirect_server::worker;

use crate::exit::{self, Code, Failure};
use crate::log;

/// Serves one client process; started by the daemon
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The driver's library
    #[arg(long, value_name = "PATH")]
    driver: PathBuf,
    /// Only say what devices the driver has, as JSON
    #[arg(long)]
    probe: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    log::start(false);
    let failed = |error: worker::WorkerError| Failure::new(Code::Ours, error.to_string());
    if arguments.probe {
        let probe = worker::probe(&arguments.driver).map_err(failed)?;
        let json = serde_json::to_string(&probe);
        exit::print(&json.map_err(|error| Failure::new(Code::Ours, error.to_string()))?)?;
        return Ok(ExitCode::SUCCESS);
    }
    worker::serve(&arguments.driver).map_err(failed)?;
    Ok(ExitCode::SUCCESS)
}
