//! `flexdirect run` and `local` as users see them: exit codes, messages, what is left behind.
#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::thread;

use flexdirect_wire::control::Share;
use nix::sys::signal::Signal;
use support::{Daemon, Home, Lines, Running, said, wait_until_gone};

fn run(daemon: &Daemon, home: &Home, arguments: &[&str]) -> Command {
    let address = daemon.address.to_string();
    let first = ["run", "-l", &address];
    home.command([&first, arguments].concat())
}

#[test]
fn a_server_that_is_not_there_is_69() {
    let home = Home::new();
    let address = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().to_string()
    };
    let output = home.output(&["run", "-n", "1", "-l", &address, "true"]);
    assert_eq!(output.status.code(), Some(69));
    let said = said(&output);
    assert!(
        said.contains(&format!("{address}: connection refused")),
        "{said}"
    );
    assert!(
        said.lines()
            .last()
            .unwrap()
            .starts_with("Error: no server can be reached"),
        "{said}"
    );
}

#[test]
fn a_port_of_something_else_is_69() {
    let home = Home::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let output = home.output(&["run", "-n", "1", "-l", &address, "true"]);
    server.join().unwrap();
    assert_eq!(output.status.code(), Some(69));
    assert!(
        said(&output).contains("not a FlexDirect server"),
        "{}",
        said(&output)
    );
}

#[test]
fn without_a_server_list_it_says_where_to_write_one() {
    let home = Home::new();
    let output = home.output(&["run", "-n", "1", "true"]);
    assert_eq!(output.status.code(), Some(69));
    assert!(
        said(&output).contains("~/.flexdirect/servers.conf"),
        "{}",
        said(&output)
    );
}

#[test]
fn a_server_list_file_is_read_and_its_mistakes_are_named() {
    let home = Home::new();
    let daemon = Daemon::soft(&home);
    fs::create_dir(home.path().join(".flexdirect")).unwrap();
    let file = home.path().join(".flexdirect/servers.conf");
    fs::write(&file, format!("# ours\n\n{}\n", daemon.address)).unwrap();
    assert_eq!(
        home.output(&["run", "-n", "1", "true"]).status.code(),
        Some(0)
    );
    let other = home.path().join("other.conf");
    fs::write(&other, "10.0.0\n").unwrap();
    let output = home
        .command(["run", "-n", "1", "true"])
        .env("FLEXDIRECT_SERVERS", &other)
        .output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(64));
    assert!(
        said(&output).contains("other.conf:1: "),
        "{}",
        said(&output)
    );
}

#[test]
fn a_full_server_is_75_with_what_is_free() {
    let home = Home::new();
    let daemon = Daemon::soft(&home);
    let (_held, _) = daemon.claim(1, Share::Fraction(0.75));
    let output = run(&daemon, &home, &["-n", "1", "-p", "0.5", "true"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(75));
    assert!(
        said(&output).contains("GPU 0 64 MiB of 256 MiB free"),
        "{}",
        said(&output)
    );
    let output = run(&daemon, &home, &["-n", "1", "-p", "0.25", "true"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
}

#[test]
fn what_can_never_fit_is_75_at_once() {
    let home = Home::new();
    let daemon = Daemon::soft(&home);
    let output = run(&daemon, &home, &["-n", "2", "--timeout", "0", "true"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(75));
    assert!(said(&output).contains("at all"), "{}", said(&output));
}

#[test]
fn waiting_ends_when_a_lease_does() {
    let home = Home::new();
    let daemon = Daemon::soft(&home);
    let (held, _) = daemon.claim(1, Share::Fraction(1.0));
    let mut waiting = Running::start(&mut run(
        &daemon,
        &home,
        &["-n", "1", "--timeout", "0", "echo", "ran"],
    ));
    // Nobody reads the log after that: it must not matter.
    Lines::new(waiting.0.stderr.take().unwrap()).until("Waiting for 1 free GPUs");
    drop(held);
    let mut text = String::new();
    waiting
        .0
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!(text, "ran\n");
    assert_eq!(waiting.code(), Some(0));
}

#[test]
fn the_exit_status_is_the_applications() {
    let home = Home::new();
    let daemon = Daemon::soft(&home);
    let code = |application: &[&str]| {
        let arguments = [&["-n", "1", "--"], application].concat();
        run(&daemon, &home, &arguments)
            .output()
            .unwrap()
            .status
            .code()
    };
    assert_eq!(code(&["true"]), Some(0));
    assert_eq!(code(&["sh", "-c", "exit 42"]), Some(42));
    assert_eq!(code(&["exit 3; true"]), Some(3));
    assert_eq!(code(&["sh", "-c", "kill -TERM $$"]), Some(143));
    assert_eq!(code(&["sh", "-c", "kill -KILL $$"]), Some(137));
    assert_eq!(code(&["no-such-program"]), Some(127));
    assert_eq!(code(&["/nonexistent/program"]), Some(127));
    let file = home.path().join("not-executable");
    fs::write(&file, "#!/bin/sh\n").unwrap();
    assert_eq!(code(&[file.to_str().unwrap()]), Some(126));
    assert_eq!(code(&[home.path().to_str().unwrap()]), Some(126));
    assert_eq!(
        home.leases(),
        [] as [std::path::PathBuf; 0],
        "nothing is left behind"
    );
    assert_eq!(daemon.devices()[0].free, daemon.devices()[0].memory);
}

#[test]
fn the_application_finds_the_library_and_the_lease() {
    let home = Home::new();
    let daemon = Daemon::soft(&home);
    let script = "echo $LD_LIBRARY_PATH $TRITON_LIBCUDA_PATH ${LD_PRELOAD-none}; echo \
                  $FLEXDIRECT_LEASE; stat -c %a $FLEXDIRECT_LEASE; cat $FLEXDIRECT_LEASE";
    let mut command = run(&daemon, &home, &["-n", "1", "--transport", "tcp", script]);
    let output = command
        .env("LD_LIBRARY_PATH", "/opt/mine")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let cuda = home.path().join("cuda").display().to_string();
    assert_eq!(lines[0], format!("{cuda}:/opt/mine {cuda} none"));
    assert!(
        lines[1].starts_with(home.path().to_str().unwrap()),
        "{text}"
    );
    assert_eq!(lines[2], "600");
    assert!(lines[3].contains("\"transport\":\"tcp\""), "{text}");
    assert!(
        lines[3].contains(&format!("\"server\":\"{}\"", daemon.address)),
        "{text}"
    );
    assert!(!fs::exists(lines[1]).unwrap());
}

#[test]
fn the_grace_comes_from_flag_then_environment_then_default() {
    let home = Home::new();
    let daemon = Daemon::soft(&home);
    for (flag, environment, grace_ms) in [
        (&["--grace", "5s"][..], Some("7s"), 5_000),
        (&[], Some("7s"), 7_000),
        (&[], None, 30_000),
    ] {
        let arguments = [&["-n", "1"], flag, &["cat $FLEXDIRECT_LEASE"]].concat();
        let mut command = run(&daemon, &home, &arguments);
        command.envs(environment.map(|value| ("FLEXDIRECT_GRACE", value)));
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let wanted = format!("\"grace_ms\":{grace_ms}");
        assert!(text.contains(&wanted), "{text}");
    }
    let mut command = run(&daemon, &home, &["-n", "1", "true"]);
    let output = command.env("FLEXDIRECT_GRACE", "soon").output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    assert!(
        said(&output).contains("FLEXDIRECT_GRACE=\"soon\""),
        "{}",
        said(&output)
    );
}

#[test]
fn the_log_is_what_users_know() {
    let home = Home::new();
    let daemon = Daemon::soft(&home);
    let output = run(&daemon, &home, &["-n", "1", "-p", "0.5", "echo", "hello"])
        .output()
        .unwrap();
    let (address, said) = (daemon.address, said(&output));
    let (host, port) = (address.ip(), address.port());
    for part in [
        format!("Query server {address} gpu availability"),
        format!("Choosing GPUs from server list [{address}]"),
        "Requesting GPUs [0] with 128 MiB of memory from server 0, with version".to_owned(),
        "Locked 1 GPUs with partial memory 0.5".to_owned(),
        "Running client command 'echo hello' on 1 GPUs, with the following servers:".to_owned(),
        format!("{host} {port} 1 {port} "),
        "Releasing GPUs from config file".to_owned(),
        "Released GPUs on 1 servers".to_owned(),
    ] {
        assert!(said.contains(&part), "{part:?} in {said}");
    }
    assert!(
        said.lines().all(|line| line.starts_with("[INFO] 2")),
        "{said}"
    );
    assert_eq!(output.stdout, b"hello\n");
    let quiet = run(&daemon, &home, &["-n", "1", "true"])
        .env("FLEXDIRECT_LOG", "warn")
        .output();
    assert_eq!(quiet.unwrap().stderr, b"");
}

#[test]
fn the_secret_is_not_logged() {
    let home = Home::new();
    let daemon = Daemon::start(&home, &["--device", "soft", "-v"]);
    let script = "sed 's/.*\"secret\":\"//; s/\".*//' $FLEXDIRECT_LEASE";
    let mut command = run(&daemon, &home, &["-n", "1", "-v", script]);
    let output = command.env("FLEXDIRECT_LOG", "trace").output().unwrap();
    let secret = String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!(secret.trim().len(), 64);
    assert!(!said(&output).contains(secret.trim()));
    drop(daemon.process);
    assert!(!daemon.log.rest().contains(secret.trim()));
}

#[test]
fn signals_reach_the_application() {
    let home = Home::new();
    let daemon = Daemon::soft(&home);
    for (signal, name) in [
        (Signal::SIGTERM, "TERM"),
        (Signal::SIGINT, "INT"),
        (Signal::SIGHUP, "HUP"),
        (Signal::SIGUSR1, "USR1"),
    ] {
        // A shell that sleeps in read may miss a signal that came just before: it is kept awake.
        let script = format!("trap 'exit 9' {name}; echo ready; while read line; do :; done");
        let mut command = run(&daemon, &home, &["-n", "1", "--", "sh", "-c", &script]);
        let mut running = Running::start(command.stdin(Stdio::piped()));
        Lines::new(running.0.stdout.take().unwrap()).until("ready");
        running.signal(signal);
        let mut stdin = running.0.stdin.take().unwrap();
        while stdin.write_all(b"\n").is_ok() {}
        assert_eq!(running.code(), Some(9), "{name}");
    }
}

#[test]
fn a_run_that_is_killed_frees_its_lease_and_ends_its_application() {
    let home = Home::new();
    let mut daemon = Daemon::soft(&home);
    let mut command = run(
        &daemon,
        &home,
        &["-n", "1", "--", "sh", "-c", "echo $$; exec cat"],
    );
    let mut running = Running::start(command.stdin(Stdio::piped()).process_group(0));
    let mut output = Lines::new(running.0.stdout.take().unwrap());
    let application: i32 = output.until("\n").trim().parse().unwrap();
    assert_eq!(daemon.devices()[0].free, 0);
    let stdin = running.0.stdin.take();
    running.signal(Signal::SIGKILL);
    // Its output ends when the application has ended: its input is still open.
    output.rest();
    daemon.log.until("lease 1: ended");
    assert_eq!(daemon.devices()[0].free, daemon.devices()[0].memory);
    drop(stdin);
    wait_until_gone(application);
}

#[test]
fn a_lost_server_is_told_while_the_application_runs() {
    let home = Home::new();
    let daemon = Daemon::soft(&home);
    let mut command = run(
        &daemon,
        &home,
        &["-n", "1", "--", "sh", "-c", "echo ready; read line"],
    );
    let mut running = Running::start(command.stdin(Stdio::piped()));
    let mut log = Lines::new(running.0.stderr.take().unwrap());
    Lines::new(running.0.stdout.take().unwrap()).until("ready");
    daemon.process.signal(Signal::SIGKILL);
    let line = log.until("ended the lease");
    assert!(line.starts_with("[WARN]"), "{line}");
    running.0.stdin.take().unwrap().write_all(b"go\n").unwrap();
    log.rest();
    assert_eq!(running.code(), Some(0));
}

#[test]
fn local_needs_no_configuration() {
    let home = Home::new();
    let output = home.output(&[
        "local", "--device", "soft", "-p", "0.5", "--", "sh", "-c", "exit 5",
    ]);
    assert_eq!(output.status.code(), Some(5), "{}", said(&output));
    assert!(said(&output).contains("(128 MiB)"), "{}", said(&output));
    let output = home.output(&["local", "-n", "2", "--device", "soft:2", "true"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let output = home.output(&["local", "--driver", "/nonexistent", "true"]);
    assert_eq!(output.status.code(), Some(69));
    assert!(
        said(&output)
            .lines()
            .last()
            .unwrap()
            .contains("/nonexistent"),
        "{}",
        said(&output)
    );
    assert_eq!(home.leases(), [] as [std::path::PathBuf; 0]);
}

#[test]
fn without_the_clients_library_it_is_125() {
    let home = Home::new();
    fs::remove_file(home.path().join("cuda/libcuda.so.1")).unwrap();
    let output = home.output(&["local", "--device", "soft", "true"]);
    assert_eq!(output.status.code(), Some(125));
    assert!(
        said(&output).contains("FLEXDIRECT_LIB"),
        "{}",
        said(&output)
    );
}
