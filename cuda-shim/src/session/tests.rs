//! The session against a worker that follows the protocol, that is held, and that goes away.

use flexdirect_transport::memory::Fault;
use flexdirect_wire::body::session::IMAGE_PIECE;
use flexdirect_wire::body::{Alloc, HostCopy, ImagePiece};
use flexdirect_wire::call::op;
use flexdirect_wire::limits::WINDOW_LEN;
use zerocopy::IntoBytes;

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
    // A number is used again when its thread has ended: none ends before all have theirs.
    let all = std::sync::Barrier::new(4);
    let all = &all;
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
                all.wait();
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

#[test]
fn pieces_of_several_threads_come_in_the_order_of_their_positions() {
    const THREADS: usize = 4;
    const COUNT: usize = 200;
    let fake = Fake::start();
    let session = &fake.process.session;
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || {
                let bytes = vec![7; (40 + thread) << 10];
                for _ in 0..COUNT {
                    let position = session.stage(&bytes).unwrap();
                    let piece = ImagePiece {
                        position,
                        len: bytes.len() as u64,
                        ..ImagePiece::default()
                    };
                    session.post(issue(IMAGE_PIECE), piece.as_bytes()).unwrap();
                }
            });
        }
    });
    assert_eq!(fake.seen(THREADS * COUNT).len(), THREADS * COUNT);
}

#[test]
fn a_failure_of_its_own_does_not_hide_an_earlier_one() {
    let fake = Fake::start();
    let session = &fake.process.session;
    fake.fail(op::cuMemFree_v2, 1);
    fake.fail(op::cuStreamQuery, 600);
    session.post(issue(op::cuMemFree_v2), &[]).unwrap();
    let ask = || session.call(issue(op::cuStreamQuery), &[]).unwrap().check();
    assert_eq!(ask(), Err(CuError::NOT_READY));
    assert_eq!(ask(), Err(CuError::INVALID_VALUE));
    assert_eq!(ask(), Ok(()));
}

#[test]
fn a_landing_ends_with_the_reply_to_its_call() {
    let fake = Fake::start();
    let session = &fake.process.session;
    let mut memory = [0u8; 64];
    #[expect(unsafe_code, reason = "names memory of the test")]
    // SAFETY: `memory` outlives the calls below, after which it is no longer written to.
    let mut landing = || unsafe { Landing::new(memory.as_mut_ptr(), 64) };
    let number = session.landings().enter(landing());
    fake.fail(op::cuMemcpyDtoH_v2, 700);
    let copy = issue(op::cuMemcpyDtoH_v2);
    let failed = session.call_into(copy, &[], number).unwrap().check();
    assert_eq!(failed, Err(CuError::ILLEGAL_ADDRESS));
    assert!(session.landings().give_up(number), "it has ended");
    let number = session.landings().enter(landing());
    // A call of another kind, so that the worker answers without having put anything.
    let early = session.call_into(issue(op::cuCtxSynchronize), &[], number);
    assert_eq!(early.map(drop), Err(CuError::SYSTEM_NOT_READY));
    assert!(session.landings().give_up(number));
    let late = session.call(issue(op::cuCtxSynchronize), &[]).map(drop);
    assert_eq!(
        late,
        Err(CuError::SYSTEM_NOT_READY),
        "no peer to go on with"
    );
}

#[test]
fn a_panic_of_the_sessions_thread_ends_every_wait() {
    #[derive(Debug)]
    struct Panics(Arc<flexdirect_transport::memory::MemoryLink>);
    impl Link for Panics {
        fn name(&self) -> &'static str {
            self.0.name()
        }
        fn post(&self, batch: &[u8]) -> Result<(), Error> {
            self.0.post(batch)
        }
        fn put(&self, target: Span, bytes: &[u8]) -> Result<(), Error> {
            self.0.put(target, bytes)
        }
        fn post_side(&self, message: &[u8]) -> Result<(), Error> {
            self.0.post_side(message)
        }
        fn receive(
            &self,
            lanes: flexdirect_transport::Lanes,
            sink: &mut dyn flexdirect_transport::Sink,
        ) -> Result<(), Error> {
            self.0.receive(lanes, sink)?;
            std::panic::resume_unwind(Box::new("on purpose"))
        }
        fn wake(&self) {
            self.0.wake();
        }
        fn close(&self, reason: &str) {
            self.0.close(reason);
        }
        fn death(&self) -> Option<Error> {
            self.0.death()
        }
    }
    let (ours, _theirs) = flexdirect_transport::memory::pair();
    let link = Arc::new(Panics(Arc::clone(&ours)));
    let snapshot = crate::fake::snapshot(1);
    let session = Session::start(link, "test:2".to_owned(), &snapshot).unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| session.call(issue(op::cuCtxSynchronize), &[]).map(drop));
        while lock(&session.waiting).is_empty() {
            std::thread::yield_now();
        }
        ours.wake();
        assert_eq!(waiting.join().unwrap(), Err(CuError::SYSTEM_NOT_READY));
    });
}

/// A cheap source of choices; the seed is printed when a test fails.
struct Choices(u64);

impl Choices {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// What one thread of the storm does until the session dies: posted records of all sizes, awaited
/// ones, bulk both ways. Returns the code that ended it.
fn storm(session: &Session, mut choices: Choices) -> CuError {
    let bytes = vec![1; CHUNK_LEN];
    let mut memory = vec![0u8; 64];
    loop {
        let len = usize::try_from(choices.below(60 << 10)).unwrap();
        let done = match choices.below(6) {
            0 | 1 => session.post(issue(op::cuMemFree_v2), &bytes[..len]),
            2 => session.post(issue(op::cuMemFree_v2), &[]),
            3 => session
                .call(issue(op::cuCtxSynchronize), &bytes[..len / 64])
                .and_then(|reply| reply.check()),
            4 => session.stage(&bytes[..=len * 16]).and_then(|position| {
                let piece = ImagePiece {
                    position,
                    len: len as u64 * 16 + 1,
                    ..ImagePiece::default()
                };
                session.post(issue(IMAGE_PIECE), piece.as_bytes())
            }),
            _ => {
                #[expect(unsafe_code, reason = "names memory of the test")]
                // SAFETY: `memory` outlives this loop, and the landing ends within the call.
                let landing = unsafe { Landing::new(memory.as_mut_ptr(), 64) };
                let position = session.landings().enter(landing);
                let copy = HostCopy {
                    device: STORM_ADDRESS,
                    len: 64,
                    position,
                    ..HostCopy::default()
                };
                let copied =
                    session.call_into(issue(op::cuMemcpyDtoH_v2), copy.as_bytes(), position);
                copied.and_then(|reply| reply.check())
            }
        };
        if let Err(code) = done {
            return code;
        }
    }
}

#[test]
fn a_storm_ends_with_the_session() {
    for round in 0..40u64 {
        let seed = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_nanos();
        let seed = u64::try_from(seed & u128::from(u64::MAX)).unwrap() | 1;
        println!("round {round}, seed {seed}");
        let mut choices = Choices(seed);
        let fake = Fake::start();
        fake.give(&[STORM_ADDRESS]);
        let session = &fake.process.session;
        let ask = Alloc {
            width: 64,
            ..Alloc::default()
        };
        session
            .call(issue(op::cuMemAlloc_v2), ask.as_bytes())
            .unwrap();
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    let choices = Choices(choices.below(u64::MAX) | 1);
                    scope.spawn(move || storm(session, choices))
                })
                .collect();
            let (count, how) = (choices.below(500), choices.below(3));
            fake.seen(usize::try_from(count).unwrap());
            match how {
                0 => fake.link.inject(Fault::CloseAfter(0)),
                1 => fake.link.close("storm"),
                _ => session.close("storm"),
            }
            for thread in threads {
                assert_eq!(thread.join().unwrap(), CuError::DEVICE_UNAVAILABLE);
            }
        });
        assert!(lock(&session.waiting).is_empty(), "nobody is left waiting");
    }
}

/// An address that the fake worker gives out and nobody else has.
const STORM_ADDRESS: u64 = 0x3000_0000_0000;
