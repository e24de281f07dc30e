//! Copies of rows by a client that does not mean well: no row outside of its own memory is touched.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod session_client;

use flexdirect_server::session::{End, Fault};
use flexdirect_wire::CuError;
use flexdirect_wire::body::{RowsCopy, RowsEnd, rows};
use flexdirect_wire::call::op;
use session_client::Client;

const CLIENT: RowsEnd = RowsEnd {
    kind: rows::CLIENT,
    reserved: 0,
    place: 0,
    x: 0,
    y: 0,
    z: 0,
    pitch: 0,
    height: 0,
};

fn device(place: u64, pitch: u64, height: u64) -> RowsEnd {
    RowsEnd {
        kind: rows::DEVICE,
        place,
        pitch,
        height,
        ..CLIENT
    }
}

fn copy(target: RowsEnd, source: RowsEnd, [width, height, depth]: [u64; 3]) -> RowsCopy {
    RowsCopy {
        target,
        source,
        width,
        height,
        depth,
        inline: 1,
        ..RowsCopy::default()
    }
}

#[test]
fn rows_reach_the_device_and_come_back() {
    let Some(mut client) = Client::connect(16 << 20) else {
        return;
    };
    let memory = client.alloc(4096);
    let (at, size) = (device(memory + 16, 32, 4), [8, 2, 3]);
    let bytes: Vec<u8> = (0..48).collect();
    client.post(op::cuMemcpy3DAsync_v2, |w| {
        w.put(&copy(at, CLIENT, size));
        w.raw(&bytes);
    });
    let fetched = client.ok(op::cuMemcpy3D_v2, |w| w.put(&copy(CLIENT, at, size)));
    assert_eq!(fetched[..48], bytes);
    let whole = client.download(memory, 4096);
    assert_eq!(whole[16..24], bytes[..8]);
    assert_eq!(whole[16 + 32 * (2 * 4 + 1)..][..8], bytes[40..]);
}

#[test]
fn rows_beyond_the_memory_are_refused() {
    let Some(mut client) = Client::connect(16 << 20) else {
        return;
    };
    let memory = client.alloc(4096);
    let other = client.alloc(4096);
    for (end, size) in [
        (device(memory, 64, 64), [64, 65, 1]),
        (device(memory, 64, 64), [64, 64, 2]),
        (device(memory, 64, 8), [65, 8, 1]),
        (device(memory, 64, 7), [64, 8, 2]),
        (device(memory + 4095, 64, 1), [2, 1, 1]),
        (device(memory, u64::MAX / 2, 8), [8, 8, 1]),
        (device(memory, 64, u64::MAX / 32), [8, 8, 2]),
        (device(memory, other.wrapping_sub(memory), 2), [8, 2, 1]),
        (device(8, 64, 8), [8, 8, 1]),
        (device(0, 64, 8), [8, 8, 1]),
    ] {
        let answer = client.call(op::cuMemcpy3D_v2, |w| w.put(&copy(CLIENT, end, size)));
        assert_eq!(
            answer.status,
            CuError::INVALID_VALUE.0.get(),
            "{end:?} {size:?}"
        );
    }
    let array = RowsEnd {
        kind: rows::ARRAY,
        place: 77,
        ..CLIENT
    };
    let answer = client.call(op::cuMemcpy3D_v2, |w| {
        w.put(&copy(CLIENT, array, [8, 1, 1]));
    });
    assert_eq!(answer.status, CuError::INVALID_HANDLE.0.get());
}

#[test]
fn rows_that_cannot_be_end_the_session() {
    let bodies = [
        copy(CLIENT, device(0, 8, 1), [u64::MAX, 2, 1]),
        copy(CLIENT, device(0, 8, 1), [u64::MAX, u64::MAX, u64::MAX]),
        copy(CLIENT, device(0, 8, 1), [1 << 16, 1, 1]),
        copy(CLIENT, device(0, 8, 1), [0, 1, 1]),
        copy(device(0, 8, 1), device(0, 8, 1), [8, 1, 1]),
        copy(CLIENT, RowsEnd { kind: 9, ..CLIENT }, [8, 1, 1]),
        RowsCopy {
            inline: 2,
            ..copy(CLIENT, device(0, 8, 1), [8, 1, 1])
        },
    ];
    for body in bodies {
        let Some(mut client) = Client::connect(16 << 20) else {
            return;
        };
        client.send(op::cuMemcpy3D_v2, true, |w| w.put(&body));
        let end = client.ended();
        let is_fault = matches!(end, End::Fault(Fault::Value { .. }));
        assert!(is_fault, "{body:?}: {end:?}");
    }
}
