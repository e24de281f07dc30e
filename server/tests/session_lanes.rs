//! A lease of two devices: a dispatcher for each, one submission order.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod session_client;

use flexdirect_server::session::{End, Fault};
use flexdirect_server::snapshot;
use flexdirect_wire::ShadowHandle;
use flexdirect_wire::call::op;
use session_client::{Client, driver};

/// softgpu reads its number of devices once in a process, so the tests run in a child that has two.
#[test]
fn two_devices() {
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--test-threads=1"])
        .env("SOFTGPU_DEVICES", "2")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&child.stdout).into_owned();
    assert!(
        child.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&child.stderr)
    );
    assert!(text.contains("3 passed"), "{text}");
}

fn enter(client: &mut Client, device: u16) {
    client.lane = device;
    client.context = ShadowHandle::primary_context(device);
}

#[test]
#[ignore = "run by two_devices"]
fn order_holds_across_devices() {
    let Some(mut client) = Client::connect_devices(64 << 20, 2) else {
        return;
    };
    let memory = [0, 1].map(|device| {
        enter(&mut client, device);
        client.alloc(4096)
    });
    for round in 0..200_u64 {
        for device in [0, 1, 1, 0] {
            enter(&mut client, device);
            let address = memory[usize::from(device)];
            client.post(op::cuMemsetD8_v2, |w| {
                [address, round % 251, 4096]
                    .into_iter()
                    .for_each(|n| w.u64(n));
            });
        }
    }
    for device in [0, 1] {
        enter(&mut client, device);
        let bytes = client.download(memory[usize::from(device)], 4096);
        assert!(bytes.iter().all(|&byte| byte == 199));
    }
    let sequence = client.sequence;
    let answer = client.call(op::cuCtxSynchronize, |_| {});
    assert!(answer.executed > sequence, "told how far execution is");
    client.close();
}

#[test]
#[ignore = "run by two_devices"]
fn a_dependency_that_never_comes_ends_the_session() {
    let Some(mut client) = Client::connect_devices(64 << 20, 2) else {
        return;
    };
    client.alloc(16);
    let mut header = client.header(op::cuCtxSynchronize, true);
    (header.lane, header.dependency, header.dependency_lane) = (1, 2, 0);
    let mut batch = Vec::new();
    flexdirect_wire::record::Writer::record(&mut batch, header)
        .finish()
        .unwrap();
    flexdirect_transport::Link::post(&*client.link, &batch).unwrap();
    assert!(matches!(
        client.ended(),
        End::Fault(Fault::Dependency { .. })
    ));
}

#[test]
#[ignore = "run by two_devices"]
fn the_snapshot_has_both_devices() {
    let Some(driver) = driver() else { return };
    let snapshot = snapshot::snapshot(&driver, &[1 << 30, 2 << 30]).unwrap();
    assert_eq!(snapshot.devices.len(), 2);
    assert_eq!(snapshot.devices[1].memory, 2 << 30);
    assert!(snapshot.driver_version >= 12000);
    let device = &snapshot.devices[0];
    assert!(
        !device.name.is_empty() && device.pci.len() >= 12,
        "{device:?}"
    );
    // Warps have 32 lanes on every device that there is.
    assert!(device.attributes.contains(&(10, 32)));
    assert!(device.priorities.0 >= device.priorities.1);
    let states = snapshot::devices(&driver).unwrap();
    assert_eq!(states.len(), 2);
    assert!(states[0].uuid.starts_with("GPU-") && states[0].uuid.len() == 40);
    assert_ne!(states[0].uuid, states[1].uuid);
}
