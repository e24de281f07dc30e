//! Host functions of a client: a stream waits for them, and for nothing that cannot come any more.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod session_client;

use flexdirect_server::session::End;
use flexdirect_transport::Span;
use flexdirect_wire::CuError;
use flexdirect_wire::body::{HostCall, HostCopy, HostFunction, One, Side, side, source};
use flexdirect_wire::call::op;
use flexdirect_wire::record::Writer;
use session_client::Client;

const SHARE: u64 = 64 << 20;

fn launch(client: &mut Client, number: u64) {
    client.post(op::cuLaunchHostFunc, |w| {
        w.put(&HostFunction {
            number,
            ..HostFunction::default()
        });
    });
}

fn copy_late(client: &mut Client, device: u64, len: u64, number: u64) {
    client.post(op::cuMemcpyHtoDAsync_v2, |w| {
        w.put(&HostCopy {
            device,
            len,
            position: number,
            inline: source::LATE,
            is_async: 1,
            ..HostCopy::default()
        });
    });
}

fn done(client: &Client, call: HostCall) {
    let mut bytes = Vec::new();
    Writer::body(&mut bytes).put(&Side {
        kind: side::CALLBACK_DONE,
        a: call.run,
        ..Side::default()
    });
    client.link.post_side(&bytes).unwrap();
}

fn put(client: &Client, region: u64, offset: u64, bytes: &[u8]) {
    let span = Span {
        region,
        offset,
        len: bytes.len() as u64,
    };
    client.link.put(span, bytes).unwrap();
}

#[test]
fn a_stream_waits_for_a_function_and_a_source() {
    let Some(mut client) = Client::connect(SHARE) else {
        return;
    };
    let memory = client.alloc(8);
    launch(&mut client, 7);
    copy_late(&mut client, memory, 8, 8);
    let first = client.called();
    assert_eq!((first.number, first.status), (7, 0));
    let busy = client.call(op::cuStreamQuery, |w| w.put(&One { value: 0 }));
    assert_eq!(busy.status, CuError::NOT_READY.code());
    done(&client, first);
    let second = client.called();
    assert_eq!(
        second.number, 8,
        "the copy comes to its source after the function"
    );
    put(&client, 8, 0, &[1, 2, 3]);
    put(&client, 8, 3, &[4, 5, 6, 7, 8]);
    client.ok(op::cuStreamSynchronize, |w| w.put(&One { value: 0 }));
    assert_eq!(client.download(memory, 8), [1, 2, 3, 4, 5, 6, 7, 8]);
    assert!(matches!(client.close(), End::Closed(_)));
}

#[test]
fn the_end_of_the_session_ends_the_wait() {
    let Some(mut client) = Client::connect(SHARE) else {
        return;
    };
    let memory = client.alloc(8);
    launch(&mut client, 1);
    launch(&mut client, 2);
    copy_late(&mut client, memory, 8, 3);
    client.called();
    let quota = client.quota.clone();
    assert!(matches!(client.close(), End::Closed(_)));
    // The memory comes back when the last thread has left the driver.
    quota.wait_unused();
}

#[test]
fn bytes_that_were_not_asked_for_end_the_session() {
    for (number, offset, len) in [(9, 0, 8), (3, 4, 4), (3, 0, 9)] {
        let Some(mut client) = Client::connect(SHARE) else {
            return;
        };
        let memory = client.alloc(8);
        copy_late(&mut client, memory, 8, 3);
        client.called();
        put(&client, number, offset, &vec![0; len]);
        assert!(
            matches!(client.ended(), End::Fault(_)),
            "{number} {offset} {len}"
        );
    }
}
