//! The session against a worker that follows the protocol, that is held, and that goes away.

use flexdirect_transport::memory::Fault;
use flexdirect_wire::call::op;
use flexdirect_wire::limits::WINDOW_LEN;

use super::*;
use crate::fake::Fake;

fn issue(op: Op) -> Issue {
    Issue {
        op,
        lane: 0,
        context: 0,
    }
}

#[test]
fn a_reply_finds_its_thread() {
    let fake = Fake::start();
    let session = &fake.process.session;
    std::thread::scope(|scope| {
        for thread in 0..4u32 {
            scope.spawn(move || {
                for _ in 0..50 {
                    let body = [0; 8];
                    session.post(issue(op::cuMemFree_v2), &body).unwrap();
                    session
                        .call(issue(op::cuCtxSynchronize), &body)
                        .unwrap()
                        .check()
                        .unwrap();
                }
                thread
            });
        }
    });
    let seen = fake.seen(400);
    assert_eq!(seen.len(), 400);
    let threads: std::collections::BTreeSet<u32> =
        seen.iter().map(|record| record.header.thread).collect();
    assert_eq!(threads.len(), 4, "each thread has a number");
    let last = seen.last().unwrap().header;
    assert!(last.replies_taken > 0 && last.replies_taken < last.sequence);
}

#[test]
fn an_idle_session_sends_at_once_and_a_busy_one_in_batches() {
    let fake = Fake::start();
    let session = &fake.process.session;
    fake.hold();
    session.post(issue(op::cuMemFree_v2), &[]).unwrap();
    // The worker has the first and does not say that it has executed it.
    assert_eq!(fake.seen(1)[0].batch, 0);
    for _ in 0..5 {
        session.post(issue(op::cuMemFree_v2), &[]).unwrap();
    }
    assert_eq!(
        fake.seen(1).len(),
        1,
        "the others wait for the acknowledgement"
    );
    fake.release();
    let seen = fake.seen(6);
    assert!(
        seen[1..].iter().all(|record| record.batch == 1),
        "they come together: {seen:?}"
    );
}

#[test]
fn an_awaited_call_takes_the_queue_along() {
    let fake = Fake::start();
    let session = &fake.process.session;
    fake.hold();
    session.post(issue(op::cuMemFree_v2), &[]).unwrap();
    fake.seen(1);
    session.post(issue(op::cuMemFree_v2), &[]).unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| session.call(issue(op::cuCtxSynchronize), &[]).map(drop));
        // The second batch is in the link while the worker is held; it comes when it is let go.
        while lock(&session.waiting).is_empty() {
            std::thread::yield_now();
        }
        fake.release();
        waiting.join().unwrap().unwrap();
    });
    let seen = fake.seen(3);
    assert_eq!(seen[1].batch, seen[2].batch);
}

#[test]
fn the_window_bounds_and_opens_again() {
    let fake = Fake::start();
    let session = &fake.process.session;
    fake.hold();
    let body = vec![0; 100 << 10];
    let count = 2 * WINDOW_LEN / body.len();
    std::thread::scope(|scope| {
        let posting = scope.spawn(|| {
            for _ in 0..count {
                session.post(issue(op::cuMemFree_v2), &body).unwrap();
            }
        });
        fake.seen(1);
        fake.release();
        posting.join().unwrap();
    });
    assert_eq!(
        fake.seen(count).len(),
        count,
        "all came, though they were two windows"
    );
}

#[test]
fn a_posted_failure_comes_with_the_next_reply_of_its_thread() {
    let fake = Fake::start();
    let session = &fake.process.session;
    fake.fail(op::cuMemFree_v2, 700);
    session.post(issue(op::cuMemFree_v2), &[]).unwrap();
    std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            session
                .call(issue(op::cuCtxSynchronize), &[])
                .unwrap()
                .check()
        });
        assert_eq!(other.join().unwrap(), Ok(()), "another thread is not told");
    });
    let reply = session.call(issue(op::cuMemAlloc_v2), &[0; 32]).unwrap();
    assert!(reply.made().is_ok(), "what was made is not lost for it");
    let reply = session.call(issue(op::cuCtxSynchronize), &[]).unwrap();
    assert_eq!(
        reply.check(),
        Err(CuError::ILLEGAL_ADDRESS),
        "the next call is told"
    );
    let reply = session.call(issue(op::cuCtxSynchronize), &[]).unwrap();
    assert_eq!(reply.check(), Ok(()), "once");
}

#[test]
fn death_wakes_everybody() {
    let fake = Fake::start();
    let session = &fake.process.session;
    session
        .call(issue(op::cuCtxSynchronize), &[])
        .unwrap()
        .check()
        .unwrap();
    fake.hold();
    std::thread::scope(|scope| {
        let piece = vec![0; CHUNK_LEN];
        let awaited = scope.spawn(|| session.call(issue(op::cuCtxSynchronize), &[]).map(drop));
        let bulk = scope.spawn(move || {
            loop {
                if let Err(error) = session.stage(&piece) {
                    return error;
                }
            }
        });
        let window = scope.spawn(|| {
            loop {
                if let Err(error) = session.post(issue(op::cuMemFree_v2), &[0; 64 << 10]) {
                    return error;
                }
            }
        });
        fake.seen(2);
        fake.link.inject(Fault::CloseAfter(0));
        assert_eq!(awaited.join().unwrap(), Err(CuError::DEVICE_UNAVAILABLE));
        assert_eq!(bulk.join().unwrap(), CuError::DEVICE_UNAVAILABLE);
        assert_eq!(window.join().unwrap(), CuError::DEVICE_UNAVAILABLE);
    });
    fake.release();
    assert_eq!(
        session.post(issue(op::cuMemFree_v2), &[]),
        Err(CuError::DEVICE_UNAVAILABLE)
    );
    let late = session.call(issue(op::cuCtxSynchronize), &[]).map(drop);
    assert_eq!(late, Err(CuError::DEVICE_UNAVAILABLE), "at once");
}

#[test]
fn a_session_that_never_worked_was_never_ready() {
    let fake = Fake::start();
    let session = &fake.process.session;
    fake.link.close("test");
    let call = session.call(issue(op::cuCtxSynchronize), &[]).map(drop);
    assert_eq!(call, Err(CuError::SYSTEM_NOT_READY));
}

#[test]
fn a_worker_that_breaks_the_protocol_ends_the_session() {
    use flexdirect_wire::record::{ReplyHeader, Writer};
    let breaks: [fn(&mut ReplyHeader); 3] = [
        |header| header.sequence = 77,
        |header| header.executed = 77,
        |header| header.flags = 1,
    ];
    for make in breaks {
        let fake = Fake::start();
        let mut header = ReplyHeader::default();
        make(&mut header);
        let mut bytes = Vec::new();
        Writer::reply(&mut bytes, header).finish().unwrap();
        fake.link.post(&bytes).unwrap();
        let session = &fake.process.session;
        fake.hold();
        let call = session.call(issue(op::cuCtxSynchronize), &[]).map(drop);
        assert_eq!(call, Err(CuError::SYSTEM_NOT_READY), "{header:?}");
        fake.release();
    }
}
