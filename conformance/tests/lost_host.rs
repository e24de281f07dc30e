//! A host that is lost without a word: no end of file comes, and both sides still let go after the
//! grace.
//!
//! The two hosts are network namespaces of this test with a cable between them that is pulled.
//! Where namespaces may not be made, the test says so and proves nothing.

use std::process::Command;

use flexdirect_conformance::harness::{Child, Ended, PATIENCE, World, flexdirect, program};

/// Addresses of no real network (RFC 5737).
const SERVER: &str = "192.0.2.1";
const CLIENT: &str = "192.0.2.2";
const GRACE: &str = "2s";

/// Two hosts and a cable, gone with the test.
struct Hosts {
    server: String,
    client: String,
}

impl Hosts {
    /// None where this process may not make network namespaces.
    fn new() -> Option<Self> {
        let id = std::process::id();
        let hosts = Self {
            server: format!("fxd-server-{id}"),
            client: format!("fxd-client-{id}"),
        };
        let (server, client) = (hosts.server.as_str(), hosts.client.as_str());
        if !ip(&["netns", "add", server]) {
            return None;
        }
        let cable = ["link", "add", "cable", "netns", server, "type", "veth"];
        let made = ip(&["netns", "add", client])
            && ip(&[&cable[..], &["peer", "name", "cable", "netns", client]].concat());
        assert!(made, "a namespace could be made, but not a cable");
        for (host, address) in [(server, SERVER), (client, CLIENT)] {
            let network = format!("{address}/24");
            assert!(ip(&[
                "-n", host, "address", "add", &network, "dev", "cable"
            ]));
            assert!(ip(&["-n", host, "link", "set", "cable", "up"]));
        }
        Some(hosts)
    }

    fn pull_cable(&self) {
        assert!(ip(&["-n", &self.server, "link", "set", "cable", "down"]));
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        ip(&["netns", "delete", &self.client]);
        ip(&["netns", "delete", &self.server]);
    }
}

#[test]
fn both_sides_let_go_after_the_grace() {
    let Some(hosts) = Hosts::new() else {
        println!("skipped: network namespaces cannot be made here");
        return;
    };
    let world = World::new(1024);
    let mut serve = inside(&hosts.server, &world);
    serve.args(["resource_scheduler", "-l", SERVER, "--grace", GRACE]);
    let mut daemon = Child::start(serve);
    let listens = daemon.until(PATIENCE, |daemon| daemon.stderr().contains("Listening on"));
    assert!(listens, "{}", daemon.output());

    let mut run = inside(&hosts.client, &world);
    run.args(["run", "-n", "1", "--grace", GRACE, "-l", SERVER, "--"]);
    run.arg(program("steady"));
    let mut client = Child::start(run);
    for _ in 0..2 {
        let line = client.line(PATIENCE);
        let right = line.is_some_and(|line| line.ends_with("right"));
        assert!(right, "{}\n{}", client.output(), daemon.output());
    }
    hosts.pull_cable();

    let outcome = client.finish(PATIENCE);
    let code = match outcome.ended {
        Ended::Exited(code) => code,
        Ended::Killed(signal) => panic!("killed by {signal}: {outcome:?}"),
    };
    assert_ne!(code, 0, "its GPU is lost: {outcome:?}");
    assert!(!outcome.text().contains("WRONG"), "{outcome:?}");
    let alone = |found: &[(u32, String)]| found.iter().all(|(id, _)| *id == daemon.id());
    world.wait_for_processes(PATIENCE, alone, "the worker of a lost client");
    world.wait_for_free_memory(PATIENCE);
}

/// `flexdirect` on one of the hosts; `ip netns exec` becomes the program, under the same id.
fn inside(host: &str, world: &World) -> Command {
    let mut command = world.command("ip");
    command.args(["netns", "exec", host]).arg(flexdirect());
    command
}

fn ip(arguments: &[&str]) -> bool {
    let output = Command::new("ip").args(arguments).output();
    output.is_ok_and(|output| output.status.success())
}
