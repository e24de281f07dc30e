//! `flexdirect version`: which release this is; installers use it as their test.

use std::process::ExitCode;

use flexdirect_wire::call::CALLS;
use flexdirect_wire::control::VERSION;

use crate::exit::{self, Failure};

pub(crate) fn run() -> Result<ExitCode, Failure> {
    let newest = CALLS.iter().map(|call| call.since).max().unwrap_or(0);
    let (major, minor) = (newest / 1000, newest % 1000 / 10);
    exit::print(&format!(
        "flexdirect {} (protocol {VERSION}, CUDA driver calls up to {major}.{minor})\n",
        env!("CARGO_PKG_VERSION")
    ))?;
    Ok(ExitCode::SUCCESS)
}
