//! `flexdirect`: one program, one file per command.

#![cfg_attr(test, allow(clippy::unwrap_used))]

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use exit::{Code, Failure};

mod application;
#[expect(unsafe_code, reason = "prepares the application between fork and exec")]
mod child;
mod claim;
mod coverage;
mod devices;
mod exit;
mod launch;
mod lease_file;
mod list_gpus;
mod local;
mod log;
mod places;
mod resource_scheduler;
mod run;
mod servers;
mod units;
mod version;
mod worker;

/// Runs CUDA programs on GPUs of other hosts, unchanged
#[derive(Debug, Parser)]
#[command(disable_version_flag = true, after_help = exit::HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
#[command(rename_all = "snake_case")]
enum Command {
    Run(run::Arguments),
    Local(local::Arguments),
    #[command(alias = "srs_server")]
    ResourceScheduler(resource_scheduler::Arguments),
    ListGpus(list_gpus::Arguments),
    Coverage(coverage::Arguments),
    /// Shows which release this is
    Version,
    /// Needs no licence: for old scripts
    #[command(hide = true)]
    Init(Ignored),
    /// Needs no licence: for old scripts
    #[command(hide = true)]
    License(Ignored),
    /// Needs no licence: for old scripts
    #[command(hide = true)]
    Dealloc(Ignored),
    #[command(hide = true)]
    Worker(worker::Arguments),
}

/// Options of commands that do nothing any more.
#[derive(Debug, clap::Args)]
struct Ignored {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    _arguments: Vec<OsString>,
}

fn main() -> ExitCode {
    let outcome = match parse(std::env::args_os().collect()) {
        Ok(cli) => obey(cli.command),
        Err(Parsed::Help(text)) => exit::print(&text).map(|()| ExitCode::SUCCESS),
        Err(Parsed::Wrong(failure)) => Err(failure),
    };
    outcome.unwrap_or_else(|failure| failure.report())
}

fn obey(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Run(arguments) => run::run(arguments),
        Command::Local(arguments) => local::run(arguments),
        Command::ResourceScheduler(arguments) => resource_scheduler::run(arguments),
        Command::ListGpus(arguments) => list_gpus::run(&arguments),
        Command::Coverage(arguments) => coverage::run(&arguments),
        Command::Version => version::run(),
        Command::Init(_) | Command::License(_) | Command::Dealloc(_) => {
            exit::print("FlexDirect needs no licence: there is nothing to do.\n")?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Worker(arguments) => worker::run(&arguments),
    }
}

/// What a command line is if it is no command.
#[derive(Debug)]
enum Parsed {
    Help(String),
    Wrong(Failure),
}

/// Reads the command line of `flexdirect`, also when it is called by its old name.
fn parse(words: Vec<OsString>) -> Result<Cli, Parsed> {
    let called = words.first().and_then(|word| Path::new(word).file_name());
    let name = if called.is_some_and(|name| name == "bitfusion") {
        "bitfusion"
    } else {
        "flexdirect"
    };
    let matches = Cli::command()
        .name(name)
        .bin_name(name)
        .try_get_matches_from(words);
    matches
        .and_then(|matches| Cli::from_arg_matches(&matches))
        .map_err(|error| match error.kind() {
            ErrorKind::DisplayHelp => Parsed::Help(error.render().to_string()),
            ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                let text = format!("no command; see '{name} help'");
                Parsed::Wrong(Failure::new(Code::Usage, text))
            }
            _ => {
                let text = one_line(&error.render().to_string());
                Parsed::Wrong(Failure::new(
                    Code::Usage,
                    format!("{text}; see '{name} help'"),
                ))
            }
        })
}

/// What is wrong, of the several paragraphs that say it.
fn one_line(text: &str) -> String {
    let first = text.split("\n\n").next().unwrap_or(text);
    let words: Vec<&str> = first.split_whitespace().collect();
    words.join(" ").trim_start_matches("error: ").to_owned()
}

/// This very program, also when its file has been replaced by another release meanwhile: a daemon
/// and its workers are always of one release.
fn program() -> PathBuf {
    PathBuf::from("/proc/self/exe")
}

#[cfg(test)]
mod tests;
