//! A peer that means harm or is broken: the session ends or goes on, and nothing panics or hangs.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod session_client;

use flexdirect_server::session::{End, Fault};
use flexdirect_transport::Span;
use flexdirect_transport::memory::Fault as LinkFault;
use flexdirect_wire::ShadowHandle;
use flexdirect_wire::body::{HostCopy, ImageLoad, ImagePiece, Launch, session};
use flexdirect_wire::call::{CALLS, Op, op};
use flexdirect_wire::record::{RecordHeader, Writer};
use proptest::prelude::*;
use session_client::Client;

fn connect() -> Option<Client> {
    Client::connect(16 << 20)
}

/// Posts a record whose header `change` has changed, and says how the session ended.
fn end_of(change: impl FnOnce(&mut RecordHeader)) -> Option<End> {
    let mut client = connect()?;
    let mut header = client.header(op::cuCtxSynchronize, true);
    change(&mut header);
    let mut batch = Vec::new();
    Writer::record(&mut batch, header).finish().unwrap();
    client.link.post(&batch).unwrap();
    Some(client.ended())
}

#[test]
fn a_header_that_cannot_be_ends_the_session() {
    let Some(end) = end_of(|header| header.sequence = 2) else {
        return;
    };
    assert_eq!(
        end,
        End::Fault(Fault::Sequence {
            expected: 1,
            found: 2
        })
    );
    let end = end_of(|header| header.lane = 1).unwrap();
    assert_eq!(
        end,
        End::Fault(Fault::Lane {
            sequence: 1,
            lane: 1,
            lanes: 1
        })
    );
    let end = end_of(|header| header.dependency = 1).unwrap();
    assert!(
        matches!(end, End::Fault(Fault::Dependency { .. })),
        "{end:?}"
    );
    let end = end_of(|header| (header.dependency, header.dependency_lane) = (1, 9)).unwrap();
    assert!(
        matches!(end, End::Fault(Fault::Dependency { .. })),
        "{end:?}"
    );
    let end = end_of(|header| header.flags = 0x8000).unwrap();
    assert!(matches!(end, End::Fault(Fault::Wire { .. })), "{end:?}");
}

#[test]
fn a_record_that_is_cut_off_or_corrupt_ends_the_session() {
    let faults = [
        LinkFault::TruncateNext(47),
        LinkFault::TruncateNext(50),
        LinkFault::CorruptNext { at: 0, mask: 1 },
        LinkFault::CorruptNext { at: 3, mask: 0x80 },
        LinkFault::CorruptNext { at: 8, mask: 4 },
    ];
    for fault in faults {
        let Some(mut client) = connect() else { return };
        client.inject(fault);
        client.send(op::cuMemAlloc_v2, true, |w| w.u64(1));
        let end = client.ended();
        assert!(matches!(end, End::Fault(_)), "{fault:?}: {end:?}");
    }
}

#[test]
fn a_body_that_ends_early_or_has_reserved_bits_ends_the_session() {
    let Some(mut client) = connect() else { return };
    client.send(op::cuMemAlloc_v2, true, |w| w.u64(1));
    assert!(matches!(
        client.ended(),
        End::Fault(Fault::Wire { sequence: 1, .. })
    ));
    let mut client = connect().unwrap();
    client.post(op::cuLaunchKernel, |w| {
        w.put(&Launch {
            reserved: 1,
            ..Launch::default()
        })
    });
    assert!(matches!(
        client.ended(),
        End::Fault(Fault::Value { value: 1, .. })
    ));
    let mut client = connect().unwrap();
    let many = Launch {
        attributes: u32::MAX,
        ..Launch::default()
    };
    client.post(op::cuLaunchKernelEx, |w| {
        w.put(&many);
        w.bytes(b"");
    });
    assert!(matches!(client.ended(), End::Fault(Fault::Wire { .. })));
}

#[test]
fn a_call_that_may_wait_cannot_be_posted() {
    let Some(mut client) = connect() else { return };
    let copy = HostCopy {
        len: 0,
        ..HostCopy::default()
    };
    client.post(op::cuMemcpyDtoH_v2, |w| w.put(&copy));
    let op = op::cuMemcpyDtoH_v2;
    assert_eq!(
        client.ended(),
        End::Fault(Fault::Posted { op, sequence: 1 })
    );
}

#[test]
fn bulk_that_is_not_there_ends_the_session() {
    let Some(mut client) = connect() else { return };
    let memory = client.alloc(4096);
    let copy = HostCopy {
        device: memory,
        len: 4096,
        ..HostCopy::default()
    };
    client.post(op::cuMemcpyHtoD_v2, |w| w.put(&copy));
    assert!(matches!(client.ended(), End::Fault(Fault::Slab(_))));
    for span in [
        (1, 0, 8),
        (0, u64::MAX - 3, 8),
        (0, 5 << 20, 8),
        (0, (4 << 20) - 4, 8),
    ] {
        let client = connect().unwrap();
        let (region, offset, len) = span;
        client
            .link
            .put(
                Span {
                    region,
                    offset,
                    len,
                },
                &[0; 8],
            )
            .unwrap();
        assert!(
            matches!(client.ended(), End::Fault(Fault::Slab(_))),
            "{span:?}"
        );
    }
}

#[test]
fn an_image_that_is_none_is_refused() {
    let Some(mut client) = connect() else { return };
    for bytes in [
        &b"FDIM\x01\0\0\0garbage!"[..],
        b"ELF",
        b"",
        b"FDIM\x04\0\0\0not ptx\0",
    ] {
        let len = bytes.len() as u64;
        let piece = ImagePiece {
            position: 0,
            len,
            inline: 1,
            first: 1,
        };
        client.post(session::IMAGE_PIECE, |w| {
            w.put(&piece);
            w.raw(bytes);
        });
        let answer = client.call(op::cuModuleLoadData, |w| {
            w.put(&ImageLoad { reserved: 0, len });
        });
        assert_ne!(answer.status, 0);
    }
    client.send(op::cuModuleLoadData, true, |w| {
        w.put(&ImageLoad {
            reserved: 0,
            len: 9,
        })
    });
    assert!(
        matches!(client.ended(), End::Fault(Fault::Value { .. })),
        "more than was sent"
    );
}

#[test]
fn a_session_can_end_before_it_has_begun() {
    let Some(client) = connect() else { return };
    assert!(matches!(client.close(), End::Closed(_)));
    let client = connect().unwrap();
    client.link.post_side(b"short").unwrap();
    assert_eq!(client.ended(), End::Fault(Fault::Side { len: 5 }));
    let mut client = connect().unwrap();
    client.inject(LinkFault::BreakNextBulk(1000));
    let position = client.put(&[1; 4096]);
    assert_eq!(position, 0);
    assert!(matches!(client.ended(), End::Closed(_)));
}

/// Calls that a random body may make without harm to the other tests of this process: not those
/// that reset the context they share or change its limits.
fn harmless() -> Vec<Op> {
    let avoided = [
        op::cuCtxSetLimit,
        op::cuDevicePrimaryCtxReset,
        op::cuDevicePrimaryCtxReset_v2,
        op::cuDevicePrimaryCtxRetain,
    ];
    CALLS
        .iter()
        .map(|call| call.op)
        .filter(|op| !avoided.contains(op))
        .collect()
}

fn any_call() -> impl Strategy<Value = (Op, bool, Vec<u64>)> {
    let word = prop_oneof![
        0_u64..5,
        any::<u64>(),
        (0x41_u64..0x48, 0_u64..3).prop_map(|(kind, index)| kind << 56 | index),
        (0x41_u64..0x48, 0_u64..3).prop_map(|(kind, index)| kind << 56 | 1 << 31 | index),
    ];
    let words = proptest::collection::vec(word, 0..12);
    (proptest::sample::select(harmless()), any::<bool>(), words)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_end_the_session(
        bytes in proptest::collection::vec(any::<u8>(), 1..300),
    ) {
        let Some(client) = connect() else { return Ok(()) };
        client.link.post(&bytes).unwrap();
        // Random bytes are no record: their length, order and lane would all have to fit.
        prop_assert!(matches!(client.ended(), End::Fault(_)));
    }

    #[test]
    fn any_bodies_end_the_session_or_are_answered(
        calls in proptest::collection::vec(any_call(), 1..20),
        context in prop_oneof![Just(0_u64), Just(ShadowHandle::primary_context(0).0), any::<u64>()],
    ) {
        let Some(mut client) = connect() else { return Ok(()) };
        client.context = ShadowHandle(context);
        let mut awaited = Vec::new();
        for (at, (op, is_awaited, words)) in calls.into_iter().enumerate() {
            client.thread = u32::try_from(at).unwrap();
            let header = client.header(op, is_awaited);
            let mut batch = Vec::new();
            let mut writer = Writer::record(&mut batch, header);
            words.iter().for_each(|&word| writer.u64(word));
            writer.finish().unwrap();
            if client.link.post(&batch).is_err() {
                break;
            }
            if is_awaited {
                awaited.push(header.sequence);
            }
        }
        let answered = awaited.into_iter().all(|sequence| client.answer(sequence).is_ok());
        let end = client.close();
        prop_assert!(answered || matches!(end, End::Fault(_)), "{:?}", end);
    }
}
