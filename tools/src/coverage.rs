//! `flexdirect coverage`: which driver calls are remoted and how, from the table of calls itself.

use std::fmt::Write;
use std::process::ExitCode;

use clap::Args;
use flexdirect_wire::call::{CALLS, Call, Class};
use serde::Serialize;

use crate::exit::{self, Code, Failure};

/// Shows which CUDA driver calls are remoted, and how
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Print the page docs/coverage.md
    #[arg(long, conflicts_with = "signatures")]
    markdown: bool,
    /// Print one JSON object per line: name, since, twin, parameters, class
    #[arg(long)]
    signatures: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let text = if arguments.markdown {
        markdown()
    } else if arguments.signatures {
        signatures().map_err(|error| Failure::new(Code::Ours, error.to_string()))?
    } else {
        table()
    };
    exit::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// Entries and exported symbols of a class.
fn count(class: Class) -> (usize, usize) {
    let of = CALLS.iter().filter(|call| call.class == class);
    of.fold((0, 0), |(calls, symbols), call| {
        (calls + 1, symbols + call.symbols())
    })
}

fn totals() -> (usize, usize) {
    CLASSES
        .iter()
        .map(|&class| count(class))
        .fold((0, 0), |sum, n| (sum.0 + n.0, sum.1 + n.1))
}

/// For a terminal: the counts, then every call.
fn table() -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    for class in CLASSES {
        let (calls, symbols) = count(class);
        let _ = writeln!(
            text,
            "{:<8} {calls:>4} calls {symbols:>4} symbols",
            class.name()
        );
    }
    let (calls, symbols) = totals();
    let _ = writeln!(text, "{:<8} {calls:>4} calls {symbols:>4} symbols\n", "all");
    for call in CALLS {
        let _ = writeln!(
            text,
            "{:<8} {:<6} {}",
            call.class.name(),
            call.blocks.name(),
            call.name
        );
    }
    text
}

/// The page of the documentation.
fn markdown() -> String {
    let mut text = String::from(HEAD);
    // Writing to a string does not fail.
    for class in CLASSES {
        let (calls, symbols) = count(class);
        let _ = writeln!(
            text,
            "| {} | {calls} | {symbols} | {} |",
            class.name(),
            meaning(class)
        );
    }
    let (calls, symbols) = totals();
    let _ = writeln!(text, "| all | {calls} | {symbols} | |\n");
    text.push_str("| call | class | may wait | by hand | since | what it does |\n");
    text.push_str("|---|---|---|---|---|---|\n");
    for call in CALLS {
        let _ = writeln!(
            text,
            "| {}{} | {} | {} | {} | {} | {} |",
            call.name,
            call.twin
                .map_or(String::new(), |(twin, _)| format!(", {twin}")),
            call.class.name(),
            if call.blocks.name() == "maybe" {
                "yes"
            } else {
                ""
            },
            match call.by_hand {
                "hand" => "both sides",
                side => side,
            },
            version(call.since),
            call.about.trim().replace('|', "\\|")
        );
    }
    text
}

/// A version as people write it: 12.9.
fn version(since: u32) -> String {
    format!("{}.{}", since / 1000, since % 1000 / 10)
}

fn meaning(class: Class) -> &'static str {
    match class {
        Class::Local => "answered in the client, no traffic",
        Class::Posted => "sent, and returns at once",
        Class::Awaited => "sent, and waits for the reply",
        Class::Soft => "answered by softgpu alone; remote, with CUDA_ERROR_NOT_SUPPORTED",
        Class::Absent => "answered with CUDA_ERROR_NOT_SUPPORTED",
    }
}

#[derive(Serialize)]
struct Signature<'a> {
    name: &'a str,
    since: u32,
    twin: Option<&'a str>,
    twin_since: Option<u32>,
    parameters: Vec<String>,
    class: &'a str,
}

impl<'a> From<&'a Call> for Signature<'a> {
    fn from(call: &'a Call) -> Self {
        Self {
            name: call.name,
            since: call.since,
            twin: call.twin.map(|(name, _)| name),
            twin_since: call.twin.map(|(_, since)| since),
            parameters: call
                .parameters
                .iter()
                .map(|&(_, type_)| written(type_))
                .collect(),
            class: call.class.name(),
        }
    }
}

/// A type as people write it; the compiler puts spaces between its tokens.
fn written(type_: &str) -> String {
    type_
        .replace(" < ", "<")
        .replace(" >", ">")
        .replace("* ", "*")
        .replace(" ,", ",")
}

fn signatures() -> Result<String, serde_json::Error> {
    CALLS.iter().try_fold(String::new(), |mut text, call| {
        text.push_str(&serde_json::to_string(&Signature::from(call))?);
        text.push('\n');
        Ok(text)
    })
}

const CLASSES: [Class; 5] = [
    Class::Local,
    Class::Posted,
    Class::Awaited,
    Class::Soft,
    Class::Absent,
];

/// Head of the page.
const HEAD: &str = "\
# Which driver calls are remoted

Derived from the table of calls by `flexdirect coverage --markdown`; not written by hand. A second \
name is the
variant for the per-thread default stream.

| class | calls | symbols | meaning |
|---|---|---|---|
";

/// What the help ends with.
const EXAMPLES: &str = "\
Examples:
  flexdirect coverage                counts, and every call with its class
  flexdirect coverage --markdown     the page docs/coverage.md
  flexdirect coverage --signatures   for programs: one JSON object per line";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_is_counted_once() {
        let (calls, symbols) = totals();
        assert_eq!(calls, CALLS.len());
        assert_eq!(symbols, 699, "all driver symbols of CUDA 13.5");
    }

    #[test]
    fn every_call_has_a_row_and_a_signature() {
        let rows = markdown();
        assert_eq!(
            rows.lines().filter(|line| line.starts_with("| cu")).count(),
            CALLS.len()
        );
        let signatures = signatures().unwrap();
        assert_eq!(signatures.lines().count(), CALLS.len());
        let alloc = signatures
            .lines()
            .find(|line| line.contains("\"cuMemAlloc_v2\""))
            .unwrap();
        let alloc: serde_json::Value = serde_json::from_str(alloc).unwrap();
        assert_eq!(
            alloc["parameters"],
            serde_json::json!(["Out<CuDevicePtr>", "usize"])
        );
        assert_eq!(alloc["class"], "awaited");
    }

    #[test]
    fn versions_are_written_as_people_do() {
        assert_eq!(
            [version(12_090), version(2000), version(3020)],
            ["12.9", "2.0", "3.2"]
        );
    }
}
