//! Order: the main lane keeps it for everything, the side lane overtakes.

use std::sync::{Arc, Barrier};

use flexdirect_transport::link::PUT_LEN_MAX;
use flexdirect_transport::{Destination, Error, Lanes, Link, Sink, Span};

use super::Make;
use super::recorder::{
    Event, Pump, RECORD_LEN_MIN, Recorder, collect, post, put, record, some_len,
};

/// Threads that post at once: the order within each is kept, nothing is lost or doubled.
pub fn batches_of_several_threads_keep_their_order(make: Make) {
    let (near, far) = make();
    let pump = Pump::start(&near, Lanes::Both);
    let mut recorder = Recorder::default();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let near = &near;
            scope.spawn(move || {
                for number in 0..200 {
                    post(
                        near,
                        thread,
                        number,
                        RECORD_LEN_MIN + some_len(number, 8 << 10),
                    );
                }
            });
        }
        let count = THREADS as usize * 200;
        collect(&far, Lanes::Both, &mut recorder, |recorder| {
            recorder.events.len() == count
        });
    });
    recorder.check_order_per_thread();
    near.close("done");
    pump.finish();
}

/// Batches too large for one send stay whole, whoever posts while one is half sent.
pub fn large_batches_of_several_threads_stay_whole(make: Make) {
    for _ in 0..8 {
        let (near, far) = make();
        let pump = Pump::start(&near, Lanes::Both);
        let mut recorder = Recorder::default();
        let start = Barrier::new(THREADS as usize);
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let (near, start) = (&near, &start);
                scope.spawn(move || {
                    // Made beforehand, so that the threads do nothing but post; less in all than a
                    // queue holds.
                    let batches = [0, 1].map(|number| record(thread, number, 900 << 10));
                    start.wait();
                    for batch in batches {
                        near.post(&batch).expect("the link lives");
                    }
                });
            }
            let count = THREADS as usize * 2;
            collect(&far, Lanes::Both, &mut recorder, |seen| {
                seen.events.len() == count
            });
        });
        recorder.check_order_per_thread();
        near.close("done");
        pump.finish();
    }
}

/// What is posted after a put is delivered after its bytes have landed.
pub fn bulk_lands_before_a_later_batch(make: Make) {
    let (near, far) = make();
    let pump = Pump::start(&near, Lanes::Both);
    let len_of = |round| {
        if round % 2 == 0 {
            some_len(round, PUT_LEN_MAX)
        } else {
            PUT_LEN_MAX
        }
    };
    let rounds = 24;
    let mut recorder = Recorder::default();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..rounds {
                put(&near, 0, round * 2, len_of(round));
                post(&near, 0, round * 2 + 1, 64);
            }
        });
        let count = rounds as usize * 2;
        collect(&far, Lanes::Both, &mut recorder, |recorder| {
            recorder.events.len() == count
        });
    });
    let pair = |round| {
        [
            Event::Landed(0, round * 2, len_of(round)),
            Event::Record(0, round * 2 + 1, 64),
        ]
    };
    assert_eq!(
        recorder.events,
        (0..rounds).flat_map(pair).collect::<Vec<_>>()
    );
    near.close("done");
    pump.finish();
}

/// Puts and posts from several threads at once arrive whole and in each thread's order.
pub fn puts_and_posts_of_several_threads_arrive_whole(make: Make) {
    let (near, far) = make();
    let pump = Pump::start(&near, Lanes::Both);
    let mut recorder = Recorder::default();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let near = &near;
            scope.spawn(move || {
                for number in 0..60 {
                    // Two threads mostly put, two mostly post, so that each waits for the other.
                    if (thread + number) % 4 < 2 {
                        put(near, thread, number, some_len(number, PUT_LEN_MAX / 4));
                    } else {
                        post(
                            near,
                            thread,
                            number,
                            RECORD_LEN_MIN + some_len(number, 16 << 10),
                        );
                    }
                }
            });
        }
        let count = THREADS as usize * 60;
        collect(&far, Lanes::Both, &mut recorder, |recorder| {
            recorder.events.len() == count
        });
    });
    recorder.check_order_per_thread();
    near.close("done");
    pump.finish();
}

/// A put that finds a full lane waits for what was posted before, and later posts for the put.
pub fn puts_queue_behind_what_was_posted(make: Make) {
    let (near, far) = make();
    let pump = Pump::start(&near, Lanes::Both);
    // Far more than the transport takes at once, with nobody receiving.
    let posted = 112;
    for number in 0..posted {
        post(&near, 0, number, 64 << 10);
    }
    let mut recorder = Recorder::default();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            put(&near, 0, posted, PUT_LEN_MAX);
            post(&near, 0, posted + 1, 64);
            put(&near, 0, posted + 2, 5);
            post(&near, 0, posted + 3, 64);
        });
        let count = posted as usize + 4;
        collect(&far, Lanes::Main, &mut recorder, |recorder| {
            recorder.events.len() == count
        });
    });
    recorder.check_order_per_thread();
    near.close("done");
    pump.finish();
}

/// Side messages arrive while the main lane is so full that it refuses more.
pub fn side_lane_passes_a_full_main_lane(make: Make) {
    let (near, far) = make();
    let pump = Pump::start(&near, Lanes::Both);
    let mut posted = 0;
    loop {
        match near.post(&record(0, posted, 64 << 10)) {
            Ok(()) => posted += 1,
            Err(Error::Overrun { .. }) => break,
            Err(error) => panic!("{error}"),
        }
    }
    let mut recorder = Recorder::default();
    for round in 0..10_u8 {
        near.post_side(&[round; 24]).expect("the side lane is free");
        let count = usize::from(round) + 1;
        collect(&far, Lanes::Side, &mut recorder, |recorder| {
            recorder.events.len() == count
        });
    }
    assert!(
        recorder.main_events().is_empty(),
        "the main lane was not asked for"
    );
    let count = posted as usize + 10;
    collect(&far, Lanes::Main, &mut recorder, |recorder| {
        recorder.events.len() == count
    });
    recorder.check_order_per_thread();
    near.close("done");
    pump.finish();
}

/// A sink that posts and posts on the side lane from its own callbacks.
pub fn sink_may_answer_from_within(make: Make) {
    struct Echo(Arc<dyn Link>, usize);
    impl Sink for Echo {
        fn batch(&mut self, bytes: &[u8]) -> Result<(), Error> {
            self.1 += 1;
            self.0.post(bytes)
        }
        fn destination(&mut self, _span: Span) -> Result<Destination, Error> {
            unreachable!("nothing is put")
        }
        fn landed(&mut self, _span: Span) -> Result<(), Error> {
            unreachable!("nothing is put")
        }
        fn side(&mut self, message: &[u8]) -> Result<(), Error> {
            self.0.post_side(message)
        }
    }
    let (near, far) = make();
    let echo = std::thread::spawn(move || {
        let mut sink = Echo(Arc::clone(&far), 0);
        while far.receive(Lanes::Both, &mut sink).is_ok() {}
        sink.1
    });
    let mut recorder = Recorder::default();
    for number in 0..100 {
        post(&near, 0, number, RECORD_LEN_MIN + some_len(number, 4 << 10));
        near.post_side(&number.to_le_bytes())
            .expect("the link lives");
        let count = (number as usize + 1) * 2;
        collect(&near, Lanes::Both, &mut recorder, |recorder| {
            recorder.events.len() == count
        });
    }
    recorder.check_order_per_thread();
    assert_eq!(recorder.side_events().len(), 100);
    near.close("done");
    assert!(echo.join().expect("the echo ends with the link") >= 1);
}

/// One thing to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A batch of one record, its length at least that of a description.
    Post(usize),
    /// Bulk.
    Put(usize),
    /// A side message of so many bytes.
    Side(usize),
}

/// Sends `steps` from one thread; everything arrives, identical and in the order of its lane.
pub fn steps_arrive(make: Make, steps: &[Step], lanes_apart: bool) {
    let (near, far) = make();
    let pump = Pump::start(&near, Lanes::Both);
    let (main, side) = expected(steps);
    let (mut main_seen, mut side_seen) = (Recorder::default(), Recorder::default());
    std::thread::scope(|scope| {
        scope.spawn(|| send(&near, steps));
        if lanes_apart {
            scope.spawn(|| {
                collect(&far, Lanes::Side, &mut side_seen, |seen| {
                    seen.events.len() == side.len()
                });
            });
            collect(&far, Lanes::Main, &mut main_seen, |seen| {
                seen.events.len() == main.len()
            });
        } else {
            let count = main.len() + side.len();
            collect(&far, Lanes::Both, &mut main_seen, |seen| {
                seen.events.len() == count
            });
        }
    });
    assert_eq!(main_seen.main_events(), main);
    let on_side = if lanes_apart { &side_seen } else { &main_seen };
    assert_eq!(on_side.side_events(), side);
    near.close("done");
    pump.finish();
}

fn send(link: &Arc<dyn Link>, steps: &[Step]) {
    for (number, step) in (0..).zip(steps) {
        match *step {
            Step::Post(len) => post(link, 1, number, len),
            Step::Put(len) => put(link, 1, number, len),
            Step::Side(len) => {
                link.post_side(&side_message(number, len))
                    .expect("the link lives");
            }
        }
    }
}

fn expected(steps: &[Step]) -> (Vec<Event>, Vec<Event>) {
    let (mut main, mut side) = (Vec::new(), Vec::new());
    for (number, step) in (0..).zip(steps) {
        match *step {
            Step::Post(len) => main.push(Event::Record(1, number, len)),
            Step::Put(len) => main.push(Event::Landed(1, number, len)),
            Step::Side(len) => side.push(Event::Side(side_message(number, len))),
        }
    }
    (main, side)
}

fn side_message(number: u32, len: usize) -> Vec<u8> {
    vec![number.to_le_bytes()[0]; len]
}

/// How many threads send at once.
const THREADS: u32 = 4;
