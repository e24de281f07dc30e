//! A `flexdirect resource_scheduler` of a test, on a port of its own.

use std::path::Path;

use nix::sys::signal::Signal;

use super::{Child, Ended, PATIENCE, World, flexdirect};

/// A running daemon. Dropping it kills it, and with it its workers.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    address: String,
}

impl Daemon {
    /// Starts one on a free port of `host`, a loopback address, and waits until it listens.
    ///
    /// # Panics
    /// If it ends or says no address in time.
    pub fn start(world: &World, host: &str, options: &[&str]) -> Self {
        let mut command = world.command(flexdirect());
        command
            .args(["resource_scheduler", "-l", host, "-s", "0"])
            .args(options);
        let mut child = Child::start(command);
        let listens = child.until(PATIENCE, |child| address(&child.output(), host).is_some());
        assert!(listens, "the daemon ended: {}", child.output());
        let address = address(&child.output(), host).expect("it was just found");
        Self { child, address }
    }

    /// `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Starts a program under `flexdirect run` on this daemon, over `transport`.
    pub fn run(
        &self,
        world: &World,
        transport: &str,
        options: &[&str],
        program: &Path,
        arguments: &[&str],
    ) -> Child {
        let mut command = world.command(flexdirect());
        command.args([
            "run",
            "--server_list",
            &self.address,
            "--transport",
            transport,
        ]);
        command.args(options).arg("--").arg(program).args(arguments);
        Child::start(command)
    }

    /// Sends the daemon a signal.
    pub fn signal(&self, signal: Signal) {
        self.child.signal(signal);
    }

    /// Waits for the daemon to end.
    pub fn finish(self) -> Ended {
        self.child.finish(PATIENCE).ended
    }

    /// What the daemon wrote, for people.
    pub fn output(&self) -> String {
        self.child.output()
    }
}

/// The first `host:port` with a port in what the daemon says.
fn address(text: &str, host: &str) -> Option<String> {
    let mark = format!("{host}:");
    text.match_indices(&mark).find_map(|(at, _)| {
        let rest = &text[at + mark.len()..];
        let len = rest.find(|letter: char| !letter.is_ascii_digit())?;
        let port: u16 = rest[..len].parse().ok()?;
        (port != 0).then(|| format!("{host}:{port}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_found_once_it_is_whole() {
        let host = "127.0.0.1";
        assert_eq!(address("on 127.0.0.1:0, then 127.0.0.1:41", host), None);
        assert_eq!(
            address("on 127.0.0.1:41\n", host).as_deref(),
            Some("127.0.0.1:41")
        );
    }
}
