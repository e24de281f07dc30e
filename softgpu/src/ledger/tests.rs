//! Ledgers of several devices, processes and files.

use super::*;

fn path(name: &str) -> PathBuf {
    let name = format!("softgpu-ledger-{}-{name}", std::process::id());
    let path = std::env::temp_dir().join(name);
    let _ = fs::remove_file(&path);
    path
}

#[test]
fn a_full_device_refuses() {
    let path = path("full");
    let ledger = Ledger::new(path.clone(), 0, 1000);
    let other_device = Ledger::new(path.clone(), 1, 1000);
    assert!(other_device.set(900).unwrap());
    assert!(ledger.set(1000).unwrap());
    assert!(!ledger.set(1001).unwrap());
    assert_eq!(ledger.total().unwrap(), 1000);
    assert!(ledger.set(10).unwrap());
    assert_eq!(other_device.total().unwrap(), 900);
    drop(other_device);
    assert_eq!(Ledger::new(path.clone(), 1, 1).total().unwrap(), 0);
    fs::remove_file(path).unwrap();
}

#[test]
fn monitors_see_who_uses_what() {
    let path = path("monitor");
    assert_eq!(Ledger::usage(&path), []);
    let ledger = Ledger::new(path.clone(), 3, 1000);
    assert!(ledger.set(10).unwrap());
    let usage = || Ledger::usage(&path)[0];
    let idle = usage();
    assert_eq!((idle.pid, idle.ordinal), (std::process::id(), 3));
    assert_eq!((idle.len, idle.busy_ns), (10, 0));
    let running = ledger.running();
    let second = ledger.running();
    let earlier = usage().busy_ns;
    while usage().busy_ns == earlier {}
    drop(running);
    assert!(ledger.set(20).unwrap());
    drop(second);
    let after = usage();
    assert!(after.busy_ns > 0 && after.len == 20, "{after:?}");
    assert_eq!(usage().busy_ns, after.busy_ns, "nothing runs");
    assert_eq!(after.moved_ns, 0);
    let moving = ledger.moving();
    assert!(ledger.set(30).unwrap());
    let earlier = usage().moved_ns;
    while usage().moved_ns == earlier {}
    drop(moving);
    assert_eq!(usage().busy_ns, after.busy_ns, "only copies ran");
    drop(ledger);
    assert_eq!(Ledger::usage(&path), []);
    fs::remove_file(path).unwrap();
}

#[test]
fn the_dead_leave_room() {
    let path = path("dead");
    let mut child = std::process::Command::new("sleep")
        .arg("60")
        .spawn()
        .unwrap();
    let start = start_time(child.id()).unwrap();
    let live = format!("process {} {start} 0 600\n", child.id());
    let earlier = format!("process {} {} 0 300\n", std::process::id(), 1);
    fs::write(&path, format!("softgpu 1\n{live}{earlier}garbage\n")).unwrap();
    let ledger = Ledger::new(path.clone(), 0, 1000);
    assert_eq!(
        ledger.total().unwrap(),
        600,
        "a number used again is another process"
    );
    assert!(!ledger.set(500).unwrap());
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(ledger.set(500).unwrap());
    assert_eq!(ledger.total().unwrap(), 500);
    drop(ledger);
    fs::remove_file(path).unwrap();
}

#[test]
fn a_forked_process_does_not_keep_the_lock() {
    let path = path("forked");
    let ledger = Ledger::new(path.clone(), 0, 100);
    let (locked, _) = ledger.open().unwrap();
    // What a fork does to open files.
    let inherited = locked.0.try_clone().unwrap();
    drop(locked);
    File::open(&path).unwrap().try_lock().unwrap();
    drop(inherited);
    fs::remove_file(path).unwrap();
}

#[test]
fn what_is_no_file_is_no_ledger() {
    let ledger = Ledger::new(PathBuf::from("/dev/zero"), 0, 100);
    assert!(ledger.set(10).is_err());
    let ledger = Ledger::new(std::env::temp_dir(), 0, 100);
    assert!(ledger.set(10).is_err());
}

#[test]
fn a_line_of_garbage_does_not_hide_the_others() {
    let path = path("mixed");
    let own = std::process::id();
    let start = start_time(own).unwrap();
    let mut bytes = b"softgpu 1\n\xff\xfe\n".to_vec();
    bytes.extend(format!("process {own} {start} 0 60\n").into_bytes());
    fs::write(&path, bytes).unwrap();
    assert_eq!(Ledger::new(path.clone(), 0, 100).total().unwrap(), 60);
    fs::remove_file(path).unwrap();
}

#[test]
fn anything_in_the_file_is_survived() {
    let path = path("garbage");
    fs::write(&path, [0xff, 0, 1, 2, b'\n', 0x80]).unwrap();
    let ledger = Ledger::new(path.clone(), 0, 100);
    assert!(ledger.set(100).unwrap());
    assert_eq!(ledger.total().unwrap(), 100);
    fs::remove_file(&path).unwrap();
    assert!(ledger.set(50).unwrap(), "a removed file is made anew");
    drop(ledger);
    fs::remove_file(path).unwrap();
}
