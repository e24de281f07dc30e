//! Whoever is killed at whatever moment, everybody else goes on or ends: nothing hangs, nothing is
//! left behind, and the device's memory comes back.
//!
//! `FLEXDIRECT_SEED` repeats a run whose seed was printed.

use std::time::Duration;

use flexdirect_conformance::harness::{Child, Daemon, Ended, PATIENCE, Random, World, program};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Kills in all.
const ROUNDS: u32 = 20;
/// The longest that a victim may work before it is killed.
const MOMENT_MS_MAX: u64 = 300;
const DEVICE_MIB: u64 = 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    /// The application itself.
    Application,
    /// The command that holds the lease.
    Run,
    /// The worker of the application.
    Worker,
    /// The daemon.
    Daemon,
}

const VICTIMS: [Victim; 4] = [
    Victim::Application,
    Victim::Run,
    Victim::Worker,
    Victim::Daemon,
];

#[test]
fn a_kill_at_any_moment_leaves_nothing_behind() {
    let mut random = Random::from_environment();
    for round in 0..ROUNDS {
        // Each of the four in turn, so that chance leaves nobody out.
        let victim = VICTIMS[round as usize % VICTIMS.len()];
        let lines = random.below(4);
        let moment = Duration::from_micros(random.below(MOMENT_MS_MAX * 1000));
        println!("round {round}: {victim:?} after {lines} lines and {moment:?}");
        kill_one(victim, lines, moment);
    }
}

fn kill_one(victim: Victim, lines: u64, moment: Duration) {
    let world = World::new(DEVICE_MIB);
    let daemon = Daemon::start(&world, "127.0.0.1", &[]);
    let mut client = daemon.run(
        &world,
        "tcp",
        &["-n", "1", "-p", "0.5"],
        &program("steady"),
        &[],
    );
    // Before its first line the moment may fall into the set-up, and that is wanted.
    for _ in 0..lines {
        let line = client.line(PATIENCE);
        let right = line.as_deref().is_some_and(|line| line.ends_with("right"));
        assert!(right, "{line:?}\n{}\n{}", client.output(), daemon.output());
    }
    client.pass(moment);
    let Some(id) = find(victim, &world, &daemon, &client) else {
        // Set-up had not come so far: then there is nobody to kill but the client.
        client.signal(Signal::SIGKILL);
        return after_client(&world, daemon, client);
    };
    kill(Pid::from_raw(id), Signal::SIGKILL).expect("it was running, and it is ours");
    match victim {
        Victim::Application | Victim::Run => after_client(&world, daemon, client),
        Victim::Worker => {
            failed(client);
            serves_again(&world, &daemon);
            ends(&world, daemon);
        }
        Victim::Daemon => {
            failed(client);
            assert_eq!(daemon.finish(), Ended::Killed(9));
            gone(&world);
        }
    }
}

/// The client is dead or dying: the daemon serves the next one.
fn after_client(world: &World, daemon: Daemon, client: Child) {
    let outcome = client.finish(PATIENCE);
    assert_ne!(
        outcome.ended,
        Ended::Exited(0),
        "it was killed: {outcome:?}"
    );
    serves_again(world, &daemon);
    ends(world, daemon);
}

/// The program has lost its worker: it is told so, and ends by itself with the error.
fn failed(client: Child) {
    let outcome = client.finish(PATIENCE);
    assert!(
        !matches!(outcome.ended, Ended::Exited(0)),
        "a program whose worker is dead cannot succeed: {outcome:?}"
    );
    let text = outcome.text();
    assert!(
        !text.contains("WRONG"),
        "an error, never a wrong result: {text}"
    );
}

/// The share is free again as soon as the dead one's worker is gone: the next gets a whole device.
fn serves_again(world: &World, daemon: &Daemon) {
    let only_daemon = |found: &[(u32, String)]| found.iter().all(|(id, _)| *id == daemon.id());
    world.wait_for_processes(PATIENCE, only_daemon, "left behind");
    world.wait_for_free_memory(PATIENCE);
    let child = daemon.run(
        world,
        "tcp",
        &["-n", "1", "--timeout", "30s"],
        &program("steady"),
        &["1"],
    );
    let outcome = child.finish(PATIENCE);
    assert_eq!(
        outcome.ended,
        Ended::Exited(0),
        "{outcome:?}\n{}",
        daemon.output()
    );
    world.wait_for_processes(
        PATIENCE,
        only_daemon,
        "left behind by a client that went well",
    );
    world.wait_for_free_memory(PATIENCE);
}

fn ends(world: &World, daemon: Daemon) {
    daemon.signal(Signal::SIGTERM);
    let ended = daemon.finish();
    assert!(
        matches!(ended, Ended::Exited(0) | Ended::Killed(15)),
        "{ended:?}"
    );
    gone(world);
}

fn gone(world: &World) {
    world.wait_for_processes(PATIENCE, <[_]>::is_empty, "left behind");
    world.wait_for_free_memory(PATIENCE);
}

/// Process id of the victim, if there is one yet.
fn find(victim: Victim, world: &World, daemon: &Daemon, client: &Child) -> Option<i32> {
    let known = [daemon.id(), client.id()];
    let steady = program("steady").display().to_string();
    let mut others = world.processes();
    others.retain(|(id, _)| !known.contains(id));
    let is_application = |line: &str| line.starts_with(&steady);
    let id = match victim {
        Victim::Run => Some(client.id()),
        Victim::Daemon => Some(daemon.id()),
        Victim::Application => others
            .iter()
            .find(|(_, line)| is_application(line))
            .map(|(id, _)| *id),
        Victim::Worker => others
            .iter()
            .find(|(_, line)| !is_application(line))
            .map(|(id, _)| *id),
    };
    id.map(|id| i32::try_from(id).expect("a process id is positive"))
}
