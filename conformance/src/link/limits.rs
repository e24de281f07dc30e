//! Limits: what is too large is refused before it is sent, and the link goes on.

use flexdirect_transport::link::{
    BATCH_LEN_MAX, PUT_LEN_MAX, QUEUE_LEN_MAX, SIDE_LEN_MAX, SIDE_QUEUE_LEN_MAX,
};
use flexdirect_transport::{Error, Lanes};

use super::Make;
use super::recorder::{Event, Pump, Recorder, bulk, collect, post, put, record, span};

/// The largest batch, bulk and message arrive, more than once.
pub fn largest_things_arrive(make: Make) {
    let (near, far) = make();
    let pump = Pump::start(&near, Lanes::Both);
    let mut recorder = Recorder::default();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..6 {
                match number % 3 {
                    0 => post(&near, 0, number, BATCH_LEN_MAX),
                    1 => put(&near, 0, number, PUT_LEN_MAX),
                    _ => post(&near, 0, number, 64),
                }
                near.post_side(&[7; SIDE_LEN_MAX]).expect("the link lives");
            }
        });
        collect(&far, Lanes::Both, &mut recorder, |recorder| {
            recorder.events.len() == 12
        });
    });
    recorder.check_order_per_thread();
    assert_eq!(
        recorder.side_events(),
        vec![Event::Side(vec![7; SIDE_LEN_MAX]); 6]
    );
    near.close("done");
    pump.finish();
}

/// One byte more than allowed is an error that names the limit; nothing of it is sent.
pub fn oversize_is_refused_and_the_link_lives(make: Make) {
    let (near, far) = make();
    let refusals = [
        (near.post(&vec![0; BATCH_LEN_MAX + 1]), BATCH_LEN_MAX),
        (
            near.put(span(0, 0, PUT_LEN_MAX + 1), &bulk(0, 0, PUT_LEN_MAX + 1)),
            PUT_LEN_MAX,
        ),
        (near.post_side(&[0; SIDE_LEN_MAX + 1]), SIDE_LEN_MAX),
    ];
    for (result, limit) in refusals {
        match result {
            Err(Error::Oversize { len, len_max }) => assert_eq!((len, len_max), (limit + 1, limit)),
            other => panic!("{other:?}"),
        }
    }
    assert!(near.death().is_none());
    post(&near, 0, 0, 100);
    let mut recorder = Recorder::default();
    collect(&far, Lanes::Main, &mut recorder, |recorder| {
        !recorder.events.is_empty()
    });
    assert_eq!(recorder.events, [Event::Record(0, 0, 100)]);
}

/// An empty batch is nothing; empty bulk and empty messages arrive.
pub fn empty_things_arrive_as_promised(make: Make) {
    let (near, far) = make();
    let mut recorder = Recorder::default();
    near.post(&[]).expect("the link lives");
    put(&near, 0, 0, 0);
    post(&near, 0, 1, 20);
    near.post(&[]).expect("the link lives");
    put(&near, 0, 2, 0);
    near.post_side(&[]).expect("the link lives");
    collect(&far, Lanes::Both, &mut recorder, |recorder| {
        recorder.events.len() == 4
    });
    let main = [
        Event::Landed(0, 0, 0),
        Event::Record(0, 1, 20),
        Event::Landed(0, 2, 0),
    ];
    assert_eq!(recorder.main_events(), main);
    assert_eq!(recorder.side_events(), [Event::Side(Vec::new())]);
    assert_eq!(recorder.batch_calls, 1, "an empty batch is not delivered");
}

/// A queue holds what was promised and not without end; what was accepted arrives.
pub fn overrun_is_refused_and_the_link_lives(make: Make) {
    let (near, far) = make();
    let mut posted = 0;
    let refusal = loop {
        match near.post(&record(0, posted, 32 << 10)) {
            Ok(()) => posted += 1,
            Err(error) => break error,
        }
        assert!(
            (posted as usize) << 15 < 64 * QUEUE_LEN_MAX,
            "the queue has no end"
        );
    };
    let Error::Overrun { len, len_max } = refusal else {
        panic!("{refusal}")
    };
    assert_eq!(len_max, QUEUE_LEN_MAX);
    assert!(len > len_max);
    // Frames cost a little beside their bytes, so the last per cent is not promised.
    assert!(
        (posted as usize) << 15 > QUEUE_LEN_MAX / 100 * 99,
        "{posted} batches only"
    );
    assert!(near.death().is_none());
    let pump = Pump::start(&near, Lanes::Both);
    let mut recorder = Recorder::default();
    let count = posted as usize;
    collect(&far, Lanes::Both, &mut recorder, |recorder| {
        recorder.events.len() == count
    });
    post(&near, 0, posted, 50);
    collect(&far, Lanes::Both, &mut recorder, |recorder| {
        recorder.events.len() == count + 1
    });
    recorder.check_order_per_thread();
    near.close("done");
    pump.finish();
}

/// The same for the side lane, whose queue is small.
pub fn overrun_of_the_side_lane_is_refused(make: Make) {
    let (near, far) = make();
    let message = |posted: usize| posted.to_le_bytes();
    let mut posted = 0;
    let refusal = loop {
        match near.post_side(&message(posted)) {
            Ok(()) => posted += 1,
            Err(error) => break error,
        }
    };
    assert!(
        matches!(
            refusal,
            Error::Overrun {
                len_max: SIDE_QUEUE_LEN_MAX,
                ..
            }
        ),
        "{refusal}"
    );
    let pump = Pump::start(&near, Lanes::Both);
    let mut recorder = Recorder::default();
    collect(&far, Lanes::Side, &mut recorder, |recorder| {
        recorder.events.len() == posted
    });
    let expected: Vec<_> = (0..posted)
        .map(|number| Event::Side(message(number).into()))
        .collect();
    assert!(
        recorder.events == expected,
        "side messages lost their order"
    );
    near.close("done");
    pump.finish();
}
