//! `flexdirect list_gpus`: the pool, server by server. Also the test of whether a client works.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use flexdirect_server::scheduler::MIB;
use serde::Serialize;

use crate::claim::{self, Listing};
use crate::exit::{self, Code, Failure};
use crate::log;
use crate::servers::{self, Address};

/// Shows servers, their GPUs and the free memory
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Servers to ask instead of the configured ones: 'host:port;host:port'
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
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    log::start(false);
    let servers = servers::find(
        arguments.server_list.as_deref(),
        arguments.servers.as_deref(),
    )?;
    let listings = claim::query(&servers);
    exit::print(&if arguments.json {
        json(&servers, &listings)?
    } else {
        text(&servers, &listings)
    })?;
    if listings.iter().all(Result::is_err) {
        return Err(claim::unreachable_pool(&servers, &listings));
    }
    Ok(ExitCode::SUCCESS)
}

fn text(servers: &[Address], listings: &[Result<Listing, String>]) -> String {
    let mut text = String::new();
    for ((number, server), listing) in (0..).zip(servers).zip(listings) {
        // Writing to a string does not fail.
        let _ = match listing {
            Ok(listing) => writeln!(
                text,
                " - server {number} [{server}]: running {} tasks",
                listing.leases
            ),
            Err(reason) => writeln!(
                text,
                " - server {number} [{server}]: unreachable ({reason})"
            ),
        };
        for device in listing.iter().flat_map(|listing| &listing.devices) {
            let _ = writeln!(
                text,
                "   |- GPU {}: free memory {} MiB / {} MiB",
                device.ordinal,
                device.free / MIB,
                device.memory / MIB
            );
        }
    }
    text
}

#[derive(Serialize)]
struct Server<'a> {
    server: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    unreachable: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    leases: Option<u32>,
    devices: Vec<Device<'a>>,
}

#[derive(Serialize)]
struct Device<'a> {
    ordinal: u32,
    name: &'a str,
    uuid: &'a str,
    memory_bytes: u64,
    free_bytes: u64,
}

fn json(servers: &[Address], listings: &[Result<Listing, String>]) -> Result<String, Failure> {
    let servers = servers.iter().zip(listings).map(|(server, listing)| {
        let devices = listing
            .iter()
            .flat_map(|listing| &listing.devices)
            .map(|device| Device {
                ordinal: device.ordinal,
                name: &device.name,
                uuid: &device.uuid,
                memory_bytes: device.memory,
                free_bytes: device.free,
            });
        Server {
            server: server.to_string(),
            unreachable: listing.as_ref().err().map(String::as_str),
            version: listing
                .as_ref()
                .ok()
                .map(|listing| listing.version.as_str()),
            leases: listing.as_ref().ok().map(|listing| listing.leases),
            devices: devices.collect(),
        }
    });
    let servers: Vec<Server<'_>> = servers.collect();
    let text = serde_json::to_string_pretty(&servers);
    text.map(|text| text + "\n")
        .map_err(|error| Failure::new(Code::Ours, error.to_string()))
}

/// What the help ends with.
const EXAMPLES: &str = "\
Examples:
  flexdirect list_gpus                        the configured servers
  flexdirect list_gpus -l 'gpu1;gpu2' --json  two servers, for a program

Exit codes: 0 if any server answered, 69 if none did.";
