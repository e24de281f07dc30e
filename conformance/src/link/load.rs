//! Load: both directions full at once, and queues that must drain whoever is busy.

use std::sync::Arc;
use std::sync::mpsc::channel;

use flexdirect_transport::{Error, Lanes, Link};

use super::Make;
use super::recorder::{Pump, RECORD_LEN_MIN, Recorder, collect, post, put, record, some_len};

/// Both ends post, put and send side messages from several threads while both receive.
pub fn both_ends_flood_at_once(make: Make) {
    let (near, far) = make();
    let main_count = 4 * FLOOD as usize;
    let side_count = 4 * (FLOOD as usize).div_ceil(4);
    let receivers = [
        (&near, Lanes::Both, main_count + side_count),
        (&far, Lanes::Main, main_count),
        (&far, Lanes::Side, side_count),
    ];
    let (complete, completed) = channel();
    std::thread::scope(|scope| {
        for (link, lanes, count) in receivers {
            let complete = complete.clone();
            scope.spawn(move || {
                let mut seen = Recorder::default();
                collect(link, lanes, &mut seen, |seen| seen.events.len() == count);
                complete.send(()).expect("somebody counts");
                // What this end has queued is sent by its receivers: they stay until the end.
                while link.receive(lanes, &mut seen).is_ok() {}
                assert_eq!(seen.events.len(), count);
                seen.check_order_per_thread();
            });
        }
        for thread in 0..4 {
            scope.spawn(move || flood(receivers[0].0, thread));
            scope.spawn(move || flood(receivers[1].0, thread));
        }
        for _ in receivers {
            completed.recv().expect("every receiver completes");
        }
        near.close("done");
    });
}

/// What is queued leaves while only a reader of the side lane is there, and so with the main lane.
pub fn queue_drains_through_either_lane(make: Make) {
    for lanes in [Lanes::Side, Lanes::Main] {
        let (near, far) = make();
        let pump = Pump::start(&near, lanes);
        let mut posted = 0;
        loop {
            match near.post(&record(0, posted, 32 << 10)) {
                Ok(()) => posted += 1,
                Err(Error::Overrun { .. }) => break,
                Err(error) => panic!("{error}"),
            }
        }
        let mut seen = Recorder::default();
        collect(&far, Lanes::Both, &mut seen, |seen| {
            seen.events.len() == posted as usize
        });
        seen.check_order_per_thread();
        near.close("done");
        pump.finish();
    }
}

fn flood(link: &Arc<dyn Link>, thread: u32) {
    for number in 0..FLOOD {
        if thread < 2 {
            put(link, thread, number, some_len(number, 512 << 10));
        } else {
            // Less in all than a queue holds: the suite has no credits.
            post(
                link,
                thread,
                number,
                RECORD_LEN_MIN + some_len(number, 24 << 10),
            );
        }
        if number % 4 == 0 {
            link.post_side(&number.to_le_bytes())
                .expect("the link lives");
        }
    }
}

/// Things that each thread sends.
const FLOOD: u32 = 120;
