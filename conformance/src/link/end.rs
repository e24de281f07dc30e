//! Waking and ending: every wait has an end, and a dead link is dead for everyone, once.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use flexdirect_transport::{Destination, Error, Lanes, Link, Sink, Span};

use super::Make;
use super::recorder::{Pump, Recorder, bulk, post, record, span};

/// A wake that finds nobody makes the next receive return, once per lane.
pub fn wake_is_kept_for_the_next_receive(make: Make) {
    let (near, far) = make();
    let mut recorder = Recorder::default();
    near.wake();
    near.wake();
    near.receive(Lanes::Main, &mut recorder).expect("woken");
    near.receive(Lanes::Side, &mut recorder).expect("woken");
    assert!(recorder.events.is_empty());
    near.wake();
    near.receive(Lanes::Both, &mut recorder).expect("woken");
    // All wakes are used up: this returns because something arrives.
    post(&far, 0, 0, 20);
    near.receive(Lanes::Both, &mut recorder)
        .expect("the link lives");
    assert_eq!(recorder.events.len(), 1);
}

/// One wake reaches the readers of both lanes, asleep or about to be.
pub fn wake_reaches_each_lane(make: Make) {
    let (near, _far) = make();
    for _ in 0..20 {
        std::thread::scope(|scope| {
            for lanes in [Lanes::Main, Lanes::Side] {
                let near = &near;
                scope.spawn(move || {
                    let mut recorder = Recorder::default();
                    near.receive(lanes, &mut recorder).expect("woken");
                    assert!(recorder.events.is_empty());
                });
            }
            near.wake();
        });
    }
}

/// Close ends receives on every lane and puts that wait, at both ends, whoever closes.
pub fn close_wakes_every_waiter_of_both_ends(make: Make) {
    for near_closes in [true, false] {
        let (near, far) = make();
        let receivers = [
            (&near, Pump::start(&near, Lanes::Main)),
            (&near, Pump::start(&near, Lanes::Side)),
            (&far, Pump::start(&far, Lanes::Side)),
        ];
        let putters = [0, 1].map(|thread| {
            let near = Arc::clone(&near);
            std::thread::spawn(move || {
                let bytes = bulk(thread, 0, 1 << 20);
                loop {
                    if let Err(error) = near.put(span(thread, 0, bytes.len()), &bytes) {
                        return error;
                    }
                }
            })
        });
        // Nobody reads the main lane: once it refuses a post it is full, and the puts wait.
        while near.post(&record(9, 0, 64 << 10)).is_ok() {}
        let (closer, other) = if near_closes {
            (&near, &far)
        } else {
            (&far, &near)
        };
        closer.close("enough");
        for (link, receiver) in receivers {
            let (_, error) = receiver.end();
            assert_eq!(text(&error), text(&link.death().expect("dead")));
        }
        for putter in putters {
            let error = putter.join().expect("a put returns its error");
            assert_eq!(text(&error), text(&near.death().expect("dead")));
        }
        assert_eq!(
            text(&closer.death().expect("dead")),
            "link closed: closed by this end: enough"
        );
        // The other end learns of it in a call, at the latest in the next.
        let error = loop {
            if let Err(error) = other.receive(Lanes::Both, &mut Recorder::default()) {
                break error;
            }
        };
        assert!(matches!(error, Error::Closed(_)), "{error}");
    }
}

/// After close every call of the end returns the same error, and closing again changes nothing.
pub fn close_is_final_and_says_why(make: Make) {
    let (near, far) = make();
    assert!(near.death().is_none());
    near.close("first");
    near.close("second");
    near.wake();
    let expected = "link closed: closed by this end: first";
    let mut recorder = Recorder::default();
    let errors = [
        near.post(&record(0, 0, 64)),
        near.post(&[]),
        near.put(span(0, 0, 4), &bulk(0, 0, 4)),
        near.post_side(b"side"),
        near.receive(Lanes::Main, &mut recorder),
        near.receive(Lanes::Side, &mut recorder),
        near.receive(Lanes::Both, &mut recorder),
        near.death().map_or(Ok(()), Err),
    ];
    for error in errors {
        assert_eq!(text(&error.expect_err("the link is dead")), expected);
    }
    let (_, error) = Pump::start(&far, Lanes::Both).end();
    let told = text(&error);
    assert!(told.contains("peer"), "{told}");
    assert_eq!(text(&far.post(b"x").expect_err("dead")), told);
}

/// An end that goes without a word takes the other end with it.
pub fn drop_ends_the_other_end(make: Make) {
    let (near, far) = make();
    let receivers = [
        Pump::start(&far, Lanes::Main),
        Pump::start(&far, Lanes::Side),
    ];
    drop(near);
    for receiver in receivers {
        receiver.finish();
    }
    assert!(far.death().is_some());
}

/// An error of the sink is the death of its end, and closes the other.
pub fn sink_error_ends_the_link(make: Make) {
    let (near, far) = make();
    // Not a record: the suite's sink refuses it.
    near.post(&[0xFF; 7]).expect("the link lives");
    let mut recorder = Recorder::default();
    let error = far
        .receive(Lanes::Both, &mut recorder)
        .expect_err("refused");
    assert!(matches!(error, Error::Protocol(_)), "{error}");
    assert_eq!(text(&far.death().expect("dead")), text(&error));
    assert_eq!(text(&far.post(&[1]).expect_err("dead")), text(&error));
    Pump::start(&near, Lanes::Both).finish();
}

/// Memory of the wrong length is refused before a byte is written.
pub fn sink_with_too_little_memory_ends_the_link(make: Make) {
    struct Short(Recorder);
    impl Sink for Short {
        fn batch(&mut self, bytes: &[u8]) -> Result<(), Error> {
            self.0.batch(bytes)
        }
        fn destination(&mut self, span: Span) -> Result<Destination, Error> {
            self.0.destination(Span {
                len: span.len - 1,
                ..span
            })
        }
        fn landed(&mut self, _span: Span) -> Result<(), Error> {
            panic!("bulk landed in memory that cannot hold it")
        }
        fn side(&mut self, message: &[u8]) -> Result<(), Error> {
            self.0.side(message)
        }
    }
    let (near, far) = make();
    near.put(span(0, 0, 100), &bulk(0, 0, 100))
        .expect("the link lives");
    let mut sink = Short(Recorder::default());
    assert!(far.receive(Lanes::Main, &mut sink).is_err());
    Pump::start(&near, Lanes::Both).finish();
}

/// A panic of the sink ends the link, so that nobody waits for the thread that is gone.
pub fn panic_of_the_sink_ends_the_link(make: Make) {
    /// Receives within receive, which the contract forbids.
    struct Nested(Arc<dyn Link>);
    impl Sink for Nested {
        fn batch(&mut self, _bytes: &[u8]) -> Result<(), Error> {
            let link = Arc::clone(&self.0);
            link.receive(Lanes::Main, self)
        }
        fn destination(&mut self, _span: Span) -> Result<Destination, Error> {
            unreachable!("nothing is put")
        }
        fn landed(&mut self, _span: Span) -> Result<(), Error> {
            unreachable!("nothing is put")
        }
        fn side(&mut self, _message: &[u8]) -> Result<(), Error> {
            unreachable!("nothing is sent on the side")
        }
    }
    let (near, far) = make();
    let on_side = Pump::start(&far, Lanes::Side);
    post(&near, 0, 0, 20);
    let mut sink = Nested(Arc::clone(&far));
    let receive = AssertUnwindSafe(|| far.receive(Lanes::Main, &mut sink));
    assert!(
        std::panic::catch_unwind(receive).is_err(),
        "two receives on one lane"
    );
    on_side.finish();
    assert!(far.receive(Lanes::Main, &mut Recorder::default()).is_err());
    let mut recorder = Recorder::default();
    while near.receive(Lanes::Both, &mut recorder).is_ok() {}
    assert!(recorder.events.is_empty());
}

fn text(error: &Error) -> String {
    error.to_string()
}
