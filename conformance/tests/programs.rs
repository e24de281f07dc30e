//! The same program, the same bytes, the same exit status: directly on a driver, under `flexdirect
//! local`, and under `flexdirect run` on a daemon over TCP.

use std::os::unix::fs::PermissionsExt;

use flexdirect_conformance::harness::{Daemon, Ended, Outcome, PATIENCE, World, program};

/// Memory of the device of the server; programs get half of it.
const DEVICE_MIB: u64 = 1024;

/// Two tests for each program.
macro_rules! same_everywhere { ($($name:ident)*) => { $(
    mod $name {
        #[test]
        fn under_local() {
            super::compare_local(stringify!($name), &[]);
        }

        #[test]
        fn under_run() {
            super::compare_run(stringify!($name), &[]);
        }
    }
)* } }

same_everywhere! {
    arrays
    big_copy
    big_shared
    block_reduce
    callbacks
    constants
    default_streams
    driver_calls
    driver_ptx
    errors
    event_times
    fault
    found
    graph_copies
    host_functions
    info
    late_release
    managed
    many_copies
    many_modules
    mapped
    matmul_tiled
    objects
    occupancy
    per_thread
    pools
    priorities
    rows
    saxpy
    separate
    sticky
    streams_events
    templates
    textures
    threads
    thrust
    transpose
    vector_add
    vmm
}

/// One test for each program that needs calls which softgpu has before the client forwards them.
macro_rules! natively { ($($name:ident)*) => { $(
    #[test]
    fn $name() {
        native(stringify!($name), &[]);
    }
)* } }

natively! {
    graphs
}

#[test]
fn two_clients_share_a_device() {
    let world = World::new(DEVICE_MIB);
    let daemon = Daemon::start(&world, "127.0.0.1", &[]);
    let steady = program("steady");
    let start = || daemon.run(&world, "tcp", &["-n", "1", "-p", "0.5"], &steady, &["6"]);
    let (one, other) = (start(), start());
    let expected = native("steady", &["6"]);
    assert_same(&one.finish(PATIENCE), &expected, &daemon.output());
    assert_same(&other.finish(PATIENCE), &expected, &daemon.output());
}

#[test]
fn one_run_may_start_many_processes() {
    let world = World::new(DEVICE_MIB);
    let daemon = Daemon::start(&world, "127.0.0.1", &[]);
    let script = world.folder().join("twice");
    let add = program("vector_add");
    let text = format!(
        "#!/bin/sh\n{0} && {0} > /dev/null && exit 9\n",
        add.display()
    );
    std::fs::write(&script, text).expect("the folder is writable");
    std::fs::set_permissions(&script, PermissionsExt::from_mode(0o700)).expect("it is ours");
    let outcome = daemon
        .run(&world, "tcp", &["-n", "1"], &script, &[])
        .finish(PATIENCE);
    let expected = Outcome {
        ended: Ended::Exited(9),
        ..native("vector_add", &[])
    };
    assert_same(&outcome, &expected, &daemon.output());
}

#[test]
fn two_devices_are_two() {
    let mut command_line = vec!["-n", "2", "-p", "0.5"];
    let world = World::new(DEVICE_MIB).devices(2);
    let daemon = Daemon::start(&world, "127.0.0.1", &[]);
    let found = daemon
        .run(&world, "tcp", &command_line, &program("info"), &[])
        .finish(PATIENCE);
    let alone = World::new(DEVICE_MIB / 2).devices(2);
    let expected = alone.native(&program("info"), &[]).finish(PATIENCE);
    assert!(expected.text().starts_with("devices 2\n"), "{expected:?}");
    assert_same(&found, &expected, &daemon.output());
    command_line[1] = "3";
    let refused = daemon
        .run(&world, "tcp", &command_line, &program("info"), &[])
        .finish(PATIENCE);
    assert!(
        matches!(refused.ended, Ended::Exited(code) if code != 0),
        "{refused:?}"
    );
    assert_eq!(refused.stdout, b"", "a refused run starts nothing");
}

#[test]
fn devices_are_peers() {
    let world = World::new(DEVICE_MIB / 2).devices(2);
    let native = world.native(&program("multi_device"), &[]).finish(PATIENCE);
    assert_eq!(native.ended, Ended::Exited(0), "{native:?}");
    let expected = "not enabled: cudaErrorIllegalAddress\n";
    assert!(native.text().ends_with(expected), "{native:?}");
    let world = World::new(DEVICE_MIB).devices(2);
    let daemon = Daemon::start(&world, "127.0.0.1", &[]);
    let options = ["-n", "2", "-p", "0.5"];
    let remote = daemon
        .run(&world, "tcp", &options, &program("multi_device"), &[])
        .finish(PATIENCE);
    assert_same(&remote, &native, &daemon.output());
}

fn compare_local(name: &str, arguments: &[&str]) {
    let world = World::new(DEVICE_MIB);
    let child = world.local(&["-n", "1", "-p", "0.5"], &program(name), arguments);
    assert_same(&child.finish(PATIENCE), &native(name, arguments), "");
    world.wait_for_processes(PATIENCE, <[_]>::is_empty, "left behind by `local`");
}

fn compare_run(name: &str, arguments: &[&str]) {
    let world = World::new(DEVICE_MIB);
    let daemon = Daemon::start(&world, "127.0.0.1", &[]);
    let options = ["-n", "1", "-p", "0.5"];
    let child = daemon.run(&world, "tcp", &options, &program(name), arguments);
    let outcome = child.finish(PATIENCE);
    assert_same(&outcome, &native(name, arguments), &daemon.output());
    let only_daemon = |found: &[(u32, String)]| found.iter().all(|(id, _)| *id == daemon.id());
    world.wait_for_processes(PATIENCE, only_daemon, "left behind by `run`");
    world.wait_for_free_memory(PATIENCE);
}

/// The program on softgpu itself, with as much memory as the share has: it must succeed.
fn native(name: &str, arguments: &[&str]) -> Outcome {
    let outcome = World::new(DEVICE_MIB / 2)
        .native(&program(name), arguments)
        .finish(PATIENCE);
    assert_eq!(
        outcome.ended,
        Ended::Exited(0),
        "{name} on softgpu itself: {outcome:?}"
    );
    assert!(
        !outcome.stdout.is_empty(),
        "{name} on softgpu itself printed nothing"
    );
    outcome
}

fn assert_same(found: &Outcome, expected: &Outcome, daemon: &str) {
    let same = found.ended == expected.ended && found.stdout == expected.stdout;
    assert!(
        same,
        "=== remote: {found:?}\n=== native: {expected:?}\n=== daemon: {daemon}"
    );
}
