//! `flexdirect resource_scheduler` against well-behaved, hostile and dying peers.
#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};

use flexdirect_wire::control::{self, Answer, Lane, Reason, Request, Share, Snapshot, VERSION};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::{
    Daemon, Home, Lines, Running, is_alive, refusal, said, wait_for_end, wait_until_gone,
};

fn welcome(answer: Answer) -> Snapshot {
    match answer {
        Answer::Welcome(snapshot) => *snapshot,
        other => panic!("{other:?}"),
    }
}

/// The process that the log has just announced as a worker.
fn worker(daemon: &mut Daemon) -> i32 {
    let line = daemon.log.until(": worker ");
    let pid = line.split(": worker ").nth(1).unwrap();
    pid.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn a_session_has_its_share_and_two_lanes() {
    let home = Home::new();
    let mut daemon = Daemon::soft(&home);
    let (_held, lease) = daemon.claim(1, Share::Memory(100));
    let (main, answer) = daemon.attach(&lease, "a", Lane::Main);
    let snapshot = welcome(answer);
    assert_eq!(snapshot.version, VERSION);
    assert_eq!(snapshot.devices.len(), 1);
    assert_eq!(snapshot.devices[0].memory, 100 << 20);
    assert!(!snapshot.devices[0].attributes.is_empty());
    let (side, answer) = daemon.attach(&lease, "a", Lane::Side);
    assert_eq!(answer, Answer::Ready);
    let worker = worker(&mut daemon);
    assert!(is_alive(worker));
    drop((main, side));
    daemon.log.until("session 1 ended");
    assert!(!is_alive(worker));
}

#[test]
fn the_secret_is_needed_for_both_lanes() {
    let home = Home::new();
    let daemon = Daemon::soft(&home);
    let (_held, lease) = daemon.claim(1, Share::Fraction(1.0));
    for secret in [
        String::new(),
        "0".repeat(64),
        lease.secret.to_uppercase() + "0",
    ] {
        let wrong = control::Lease {
            secret,
            ..lease.clone()
        };
        for lane in [Lane::Main, Lane::Side] {
            let refused = refusal(daemon.attach(&wrong, "a", lane).1);
            assert_eq!(refused.reason, Reason::Denied);
        }
    }
    let gone = control::Lease {
        lease: lease.lease + 1,
        ..lease.clone()
    };
    assert_eq!(
        refusal(daemon.attach(&gone, "a", Lane::Main).1).reason,
        Reason::Denied
    );
    // A side lane without its main lane.
    assert_eq!(
        refusal(daemon.attach(&lease, "a", Lane::Side).1).reason,
        Reason::Denied
    );
}

#[test]
fn a_session_has_one_main_and_one_side_lane() {
    let home = Home::new();
    let daemon = Daemon::soft(&home);
    let (_held, lease) = daemon.claim(1, Share::Fraction(1.0));
    let (_main, answer) = daemon.attach(&lease, "a", Lane::Main);
    welcome(answer);
    assert_eq!(
        refusal(daemon.attach(&lease, "a", Lane::Main).1).reason,
        Reason::Bad
    );
    let (_side, answer) = daemon.attach(&lease, "a", Lane::Side);
    assert_eq!(answer, Answer::Ready);
    assert_eq!(
        refusal(daemon.attach(&lease, "a", Lane::Side).1).reason,
        Reason::Failed
    );
    let (_other, answer) = daemon.attach(&lease, "b", Lane::Main);
    welcome(answer);
}

#[test]
fn requests_that_make_no_sense_are_refused_with_the_limit() {
    let home = Home::new();
    let daemon = Daemon::soft(&home);
    let client = || "x".repeat(100_000);
    for (devices, share, reason) in [
        (0, Share::Fraction(1.0), Reason::Bad),
        (65, Share::Fraction(1.0), Reason::Bad),
        (1, Share::Fraction(-1.0), Reason::Bad),
        (1, Share::Memory(0), Reason::Bad),
        (1, Share::Memory(u64::MAX), Reason::Full),
        (2, Share::Fraction(0.1), Reason::Full),
    ] {
        let request = Request::Claim {
            version: VERSION,
            devices,
            share,
            client: client(),
        };
        let refused = refusal(daemon.ask(&request).1);
        assert_eq!(refused.reason, reason, "{refused:?}");
    }
    let refused = refusal(
        daemon
            .ask(&Request::List {
                version: VERSION + 1,
            })
            .1,
    );
    assert_eq!(refused.reason, Reason::Version);
    assert_eq!(daemon.devices()[0].free, 256 << 20);
}

#[test]
fn the_end_of_a_lease_kills_its_workers_and_frees_its_memory() {
    let home = Home::new();
    let mut daemon = Daemon::soft(&home);
    let (held, lease) = daemon.claim(1, Share::Fraction(0.5));
    let (main, answer) = daemon.attach(&lease, "a", Lane::Main);
    welcome(answer);
    let (_side, _) = daemon.attach(&lease, "a", Lane::Side);
    let worker = worker(&mut daemon);
    held.shutdown(Shutdown::Write).unwrap();
    wait_for_end(held);
    assert!(!is_alive(worker), "the lease ends after its workers");
    wait_for_end(main);
    assert_eq!(daemon.devices()[0].free, 256 << 20);
    assert_eq!(
        refusal(daemon.attach(&lease, "b", Lane::Main).1).reason,
        Reason::Denied
    );
}

#[test]
fn workers_die_with_the_daemon() {
    let home = Home::new();
    let mut daemon = Daemon::soft(&home);
    let (held, lease) = daemon.claim(1, Share::Fraction(0.5));
    let (main, answer) = daemon.attach(&lease, "a", Lane::Main);
    welcome(answer);
    let worker = worker(&mut daemon);
    assert!(is_alive(worker));
    daemon.process.signal(Signal::SIGKILL);
    wait_for_end(held);
    // The worker has the other end of this one.
    wait_for_end(main);
    // The log is also the worker's stderr: it ends when both have gone.
    daemon.log.rest();
    wait_until_gone(worker);
}

#[test]
fn a_worker_that_dies_takes_nobody_with_it() {
    let home = Home::new();
    let mut daemon = Daemon::soft(&home);
    let (_held, lease) = daemon.claim(1, Share::Fraction(0.5));
    let (main, _) = daemon.attach(&lease, "a", Lane::Main);
    let first = worker(&mut daemon);
    let (other, answer) = daemon.attach(&lease, "b", Lane::Main);
    welcome(answer);
    let second = worker(&mut daemon);
    kill(Pid::from_raw(first), Signal::SIGKILL).unwrap();
    wait_for_end(main);
    daemon.log.until("session 1 ended with signal: 9");
    assert!(is_alive(second));
    let (_main, answer) = daemon.attach(&lease, "a", Lane::Main);
    welcome(answer);
    drop(other);
}

#[test]
fn a_client_that_never_connects_its_side_lane_does_not_keep_a_worker() {
    let home = Home::new();
    let mut daemon = Daemon::soft(&home);
    let (_held, lease) = daemon.claim(1, Share::Fraction(0.5));
    let (main, answer) = daemon.attach(&lease, "a", Lane::Main);
    welcome(answer);
    wait_for_end(main);
    daemon.log.until("did not connect its side lane");
    daemon.log.until("session 1 ended");
}

#[test]
fn strangers_and_the_silent_do_not_disturb() {
    let home = Home::new();
    let daemon = Daemon::soft(&home);
    let silent: Vec<TcpStream> = (0..50)
        .map(|_| TcpStream::connect(daemon.address).unwrap())
        .collect();
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"FXD1\xff\xff\xff\xff",
        b"FXD1\x02\0\0\0{}",
        b"FXD1\x04\0\0\0null",
        b"FXD1\x08\0\0\0{\"a\":[[[",
        b"\0",
    ] {
        let mut stream = TcpStream::connect(daemon.address).unwrap();
        stream.write_all(bytes).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        wait_for_end(stream);
    }
    assert_eq!(daemon.devices().len(), 1);
    // The silent are sent away after the time for a step of the conversation.
    for stream in silent {
        wait_for_end(stream);
    }
}

#[test]
fn a_holder_that_speaks_loses_its_lease() {
    let home = Home::new();
    let mut daemon = Daemon::soft(&home);
    let (mut held, _) = daemon.claim(1, Share::Fraction(0.5));
    held.write_all(b"more").unwrap();
    let _ = held.read(&mut [0; 1]);
    daemon.log.until("said more than it may");
    daemon.log.until("lease 1: ended");
    assert_eq!(daemon.devices()[0].free, 256 << 20);
}

#[test]
fn a_client_cannot_write_lines_into_the_log() {
    let home = Home::new();
    let mut daemon = Daemon::soft(&home);
    let client = "me\n[INFO] lease 7: ended\u{1b}[2J".to_owned();
    let share = Share::Fraction(1.0);
    let (held, _) = daemon.ask(&Request::Claim {
        version: VERSION,
        devices: 1,
        share,
        client,
    });
    let line = daemon.log.until("lease 1: ");
    assert!(line.contains("me?[INFO] lease 7: ended?[2J"), "{line}");
    drop(held);
}

#[test]
fn selected_devices_are_the_ones_that_workers_get() {
    let home = Home::new();
    let daemon = Daemon::start(&home, &["--device", "soft:3", "-d", "0,2"]);
    let devices = daemon.devices();
    assert_eq!(
        devices
            .iter()
            .map(|device| device.ordinal)
            .collect::<Vec<_>>(),
        [0, 2]
    );
    let (_first, _) = daemon.claim(1, Share::Fraction(1.0));
    let (_held, lease) = daemon.claim(1, Share::Fraction(1.0));
    assert_eq!(lease.devices[0].ordinal, 2);
    let (_main, answer) = daemon.attach(&lease, "a", Lane::Main);
    let snapshot = welcome(answer);
    let uuid: String = snapshot.devices[0]
        .uuid
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(devices[1].uuid.replace('-', ""), format!("GPU{uuid}"));
}

#[test]
fn a_worker_sees_little_of_the_environment() {
    let home = Home::new();
    let mut command = home.command(["resource_scheduler", "-s", "0", "--device", "soft"]);
    command
        .env("SECRET_TOKEN", "x")
        .env("LD_LIBRARY_PATH", home.path().join("cuda"));
    let mut process = support::Running::start(&mut command);
    let mut log = support::Lines::new(process.0.stderr.take().unwrap());
    let line = log.until("Listening on ");
    let address = line
        .split("Listening on ")
        .nth(1)
        .unwrap()
        .split(' ')
        .next()
        .unwrap();
    let address = address.parse().unwrap();
    let mut daemon = Daemon {
        process,
        log,
        address,
    };
    let (_held, lease) = daemon.claim(1, Share::Fraction(1.0));
    let (_main, _) = daemon.attach(&lease, "a", Lane::Main);
    let worker = worker(&mut daemon);
    let environment = fs::read(format!("/proc/{worker}/environ")).unwrap();
    let environment = String::from_utf8(environment).unwrap();
    let names: Vec<&str> = environment
        .split_terminator('\0')
        .map(|entry| entry.split('=').next().unwrap())
        .collect();
    assert!(names.contains(&"CUDA_VISIBLE_DEVICES") && names.contains(&"SOFTGPU_MEMORY"));
    for name in [
        "SECRET_TOKEN",
        "LD_LIBRARY_PATH",
        "FLEXDIRECT_LIB",
        "XDG_RUNTIME_DIR",
    ] {
        assert!(!names.contains(&name), "{names:?}");
    }
}

#[test]
fn ipv6_works() {
    if TcpListener::bind("[::1]:0").is_err() {
        eprintln!("this host has no IPv6 loopback");
        return;
    }
    let home = Home::new();
    let daemon = Daemon::start(&home, &["--device", "soft", "-l", "::1"]);
    let address = daemon.address.to_string();
    assert!(address.starts_with("[::1]:"));
    let output = home.output(&["run", "-n", "1", "-l", &address, "--", "cat", "/dev/null"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let output = home.output(&["list_gpus", "-l", &address]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        text,
        format!(
            " - server 0 [{address}]: running 0 tasks\n   \
             |- GPU 0: free memory 256 MiB / 256 MiB\n"
        )
    );
}

#[test]
fn a_pool_is_listed_even_if_a_server_is_missing() {
    let home = Home::new();
    let daemon = Daemon::soft(&home);
    let missing = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let list = format!("{missing};{}", daemon.address);
    let output = home.output(&["list_gpus", "--json", "-l", &list]);
    assert_eq!(output.status.code(), Some(0));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json[0]["unreachable"], "connection refused");
    assert_eq!(json[1]["devices"][0]["free_bytes"], 256 << 20);
    let output = home.output(&["list_gpus", "-l", &missing.to_string()]);
    assert_eq!(output.status.code(), Some(69));
    assert!(
        String::from_utf8(output.stdout)
            .unwrap()
            .contains("unreachable (connection refused)")
    );
}

#[test]
fn what_cannot_be_served_is_told() {
    let home = Home::new();
    let daemon = Daemon::soft(&home);
    let port = daemon.address.port().to_string();
    for (arguments, code, part) in [
        (&["-n", "1", "-d", "0"][..], 64, "cannot be used with"),
        (&["--device", "soft", "-s", "0", "-d", "3"], 64, "(0 to 0)"),
        (&["--device", "soft", "-s", "0", "-n", "0"], 64, "0 devices"),
        (
            &["--device", "soft", "-s", &port],
            125,
            "another resource_scheduler",
        ),
        (&["--device", "soft", "-l", "nowhere"], 64, "not an address"),
        (&["-s", "0", "--driver", "/nonexistent"], 69, "/nonexistent"),
        (&["-s", "0", "--driver", "/bin/sh"], 69, "/bin/sh"),
    ] {
        let output = home.output(&[&["resource_scheduler"], arguments].concat());
        assert_eq!(
            output.status.code(),
            Some(code),
            "{arguments:?}: {}",
            said(&output)
        );
        let last = said(&output).lines().last().unwrap().to_owned();
        assert!(last.starts_with("Error: ") && last.contains(part), "{last}");
    }
}

#[test]
fn a_quiet_daemon_still_tells_its_port() {
    let home = Home::new();
    let mut command = home.command(["resource_scheduler", "-s", "0", "--device", "soft"]);
    let mut process = Running::start(command.env("FLEXDIRECT_LOG", "off"));
    let line = Lines::new(process.0.stdout.take().unwrap()).until("Listening on 127.0.0.1:");
    assert!(!line.contains(":0 "), "{line}");
}

#[test]
fn a_worker_is_not_for_people() {
    let home = Home::new();
    let output = home.output(&["worker", "--driver", "/nonexistent"]);
    assert_eq!(output.status.code(), Some(125));
    assert!(
        said(&output).contains("resource_scheduler"),
        "{}",
        said(&output)
    );
}
