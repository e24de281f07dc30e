//! The in-process link: both ends in one process, with faults on demand, for tests of protocols.
//!
//! It keeps the contract of [`Link`] to the letter and adds nothing that a real link would not do:
//! bytes are copied, a put waits while much bulk is outstanding, a dead link is dead at both ends.
//! What a network does once a month it does when told to: see [`Fault`].

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::landing::Landing;
use crate::link::{
    BATCH_LEN_MAX, Error, Lanes, Link, PUT_LEN_MAX, QUEUE_LEN_MAX, SIDE_LEN_MAX,
    SIDE_QUEUE_LEN_MAX, Sink, Span,
};
use fault::Faults;

mod fault;

pub use fault::Fault;

/// Makes two ends that are connected to each other.
pub fn pair() -> (Arc<MemoryLink>, Arc<MemoryLink>) {
    let shared = Arc::new(Shared {
        ends: [End::default(), End::default()].map(Mutex::new),
        changed: [Condvar::new(), Condvar::new()],
        death: Mutex::new([None, None]),
    });
    let end = |index| {
        Arc::new(MemoryLink {
            shared: Arc::clone(&shared),
            index,
        })
    };
    (end(0), end(1))
}

/// One end of an in-process link.
#[derive(Debug)]
pub struct MemoryLink {
    shared: Arc<Shared>,
    index: usize,
}

#[derive(Debug)]
struct Shared {
    /// What has been sent *to* each end.
    ends: [Mutex<End>; 2],
    /// Something has changed for an end: arrivals, room for its peer's bulk, a wake, death.
    changed: [Condvar; 2],
    /// Locked after an end, never before.
    death: Mutex<[Option<Error>; 2]>,
}

/// What waits for one end, and the faults of what is sent to it.
#[derive(Debug, Default)]
struct End {
    main: VecDeque<Message>,
    side: VecDeque<Vec<u8>>,
    batches_len: usize,
    bulk_len: usize,
    side_len: usize,
    woken_main: bool,
    woken_side: bool,
    receives_main: bool,
    receives_side: bool,
    faults: Faults,
}

#[derive(Debug)]
enum Message {
    Batch(Vec<u8>),
    Bulk(Span, Vec<u8>, Option<usize>),
}

impl MemoryLink {
    /// Makes something go wrong with what this end sends from now on.
    pub fn inject(&self, fault: Fault) {
        let mut end = self.peer_end();
        end.faults.inject(fault);
        let dies_now = end.faults.close_after == Some(0);
        drop(end);
        if dies_now {
            self.kill(Error::closed(FAULT));
        }
        self.shared.changed[self.peer()].notify_all();
    }

    fn peer(&self) -> usize {
        1 - self.index
    }

    fn own_end(&self) -> MutexGuard<'_, End> {
        self.shared.ends[self.index]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn peer_end(&self) -> MutexGuard<'_, End> {
        self.shared.ends[self.peer()]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn deaths(&self) -> MutexGuard<'_, [Option<Error>; 2]> {
        self.shared
            .death
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn alive(&self) -> Result<(), Error> {
        self.death().map_or(Ok(()), Err)
    }

    /// Ends the link unless it has ended already; returns what ended it for this end.
    fn kill(&self, error: Error) -> Error {
        let mut deaths = self.deaths();
        deaths[self.peer()].get_or_insert_with(|| Error::closed("peer closed the connection"));
        let death = deaths[self.index].get_or_insert(error).clone();
        drop(deaths);
        for index in 0..2 {
            // Taking the lock orders this after the look of whoever is about to wait.
            drop(
                self.shared.ends[index]
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner),
            );
            self.shared.changed[index].notify_all();
        }
        death
    }

    /// Takes what may be delivered now, `None` if nothing may.
    fn take(&self, end: &mut End, lanes: Lanes) -> Option<Arrived> {
        let mut arrived = Arrived::default();
        if lanes != Lanes::Side {
            let count = end.faults.deliver(end.main.len());
            arrived.main.extend(end.main.drain(..count));
        }
        if lanes != Lanes::Main {
            arrived.side = std::mem::take(&mut end.side);
            end.side_len = 0;
        }
        for message in &arrived.main {
            match message {
                Message::Batch(batch) => end.batches_len -= batch.len(),
                Message::Bulk(_, bytes, _) => end.bulk_len -= bytes.len(),
            }
        }
        let is_empty = arrived.main.is_empty() && arrived.side.is_empty();
        (!is_empty).then_some(arrived)
    }

    /// Sleeps until there is something; `None` after a wake.
    fn wait(&self, lanes: Lanes) -> Result<Option<Arrived>, Error> {
        let mut end = self.own_end();
        loop {
            self.alive()?;
            let woken_main = lanes != Lanes::Side && std::mem::take(&mut end.woken_main);
            let woken_side = lanes != Lanes::Main && std::mem::take(&mut end.woken_side);
            if woken_main || woken_side {
                return Ok(None);
            }
            if let Some(arrived) = self.take(&mut end, lanes) {
                drop(end);
                // The peer's puts wait at our condition variable: the room is ours to announce.
                self.shared.changed[self.index].notify_all();
                return Ok(Some(arrived));
            }
            let changed = &self.shared.changed[self.index];
            end = changed.wait(end).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn deliver(&self, arrived: Arrived, sink: &mut dyn Sink) -> Result<(), Error> {
        for message in arrived.side {
            sink.side(&message)?;
        }
        for message in arrived.main {
            self.alive()?;
            match message {
                Message::Batch(batch) => {
                    sink.batch(&batch)?;
                    self.count_batch()?;
                }
                Message::Bulk(span, bytes, breaks_at) => {
                    let mut landing = Landing::new(span, sink.destination(span)?)?;
                    let len = breaks_at.unwrap_or(bytes.len()).min(bytes.len());
                    landing.copy(&bytes[..len]);
                    if breaks_at.is_some() {
                        return Err(Error::closed(FAULT));
                    }
                    sink.landed(landing.finish())?;
                }
            }
        }
        Ok(())
    }

    fn count_batch(&self) -> Result<(), Error> {
        if let Some(left) = &mut self.own_end().faults.close_after {
            *left = left.saturating_sub(1);
            if *left == 0 {
                return Err(Error::closed(FAULT));
            }
        }
        Ok(())
    }
}

impl Link for MemoryLink {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn post(&self, batch: &[u8]) -> Result<(), Error> {
        self.alive()?;
        check_len(batch.len(), BATCH_LEN_MAX)?;
        if batch.is_empty() {
            return Ok(());
        }
        let mut end = self.peer_end();
        check_queue(end.batches_len + batch.len(), QUEUE_LEN_MAX)?;
        let mut batch = batch.to_vec();
        end.faults.spoil(&mut batch);
        end.batches_len += batch.len();
        end.main.push_back(Message::Batch(batch));
        drop(end);
        self.shared.changed[self.peer()].notify_all();
        Ok(())
    }

    fn put(&self, target: Span, bytes: &[u8]) -> Result<(), Error> {
        assert_eq!(target.len, bytes.len() as u64, "a put fills its span");
        self.alive()?;
        check_len(bytes.len(), PUT_LEN_MAX)?;
        let mut end = self.peer_end();
        let breaks_at = end.faults.break_bulk.take();
        end.bulk_len += bytes.len();
        end.main
            .push_back(Message::Bulk(target, bytes.to_vec(), breaks_at));
        let changed = &self.shared.changed[self.peer()];
        changed.notify_all();
        while end.bulk_len > BULK_LEN_MAX {
            self.alive()?;
            end = changed.wait(end).unwrap_or_else(PoisonError::into_inner);
        }
        Ok(())
    }

    fn post_side(&self, message: &[u8]) -> Result<(), Error> {
        self.alive()?;
        check_len(message.len(), SIDE_LEN_MAX)?;
        let mut end = self.peer_end();
        let len = end.side_len + message.len() + SIDE_COST;
        check_queue(len, SIDE_QUEUE_LEN_MAX)?;
        end.side_len = len;
        end.side.push_back(message.to_vec());
        drop(end);
        self.shared.changed[self.peer()].notify_all();
        Ok(())
    }

    fn receive(&self, lanes: Lanes, sink: &mut dyn Sink) -> Result<(), Error> {
        self.alive()?;
        let _seat = Seat::take(self, lanes);
        let result = self.wait(lanes).and_then(|arrived| match arrived {
            Some(arrived) => self.deliver(arrived, sink),
            None => Ok(()),
        });
        result.map_err(|error| self.kill(error))
    }

    fn wake(&self) {
        let mut end = self.own_end();
        (end.woken_main, end.woken_side) = (true, true);
        drop(end);
        self.shared.changed[self.index].notify_all();
    }

    fn close(&self, reason: &str) {
        self.kill(Error::closed(format!("closed by this end: {reason}")));
    }

    fn death(&self) -> Option<Error> {
        self.deaths()[self.index].clone()
    }
}

impl Drop for MemoryLink {
    fn drop(&mut self) {
        self.kill(Error::closed("dropped"));
    }
}

/// What one look has taken out of an end.
#[derive(Debug, Default)]
struct Arrived {
    main: VecDeque<Message>,
    side: VecDeque<Vec<u8>>,
}

/// Keeps other threads from the lanes that one receives from.
struct Seat<'a> {
    link: &'a MemoryLink,
    lanes: Lanes,
}

impl<'a> Seat<'a> {
    fn take(link: &'a MemoryLink, lanes: Lanes) -> Self {
        let mut end = link.own_end();
        let taken = (lanes != Lanes::Side && end.receives_main)
            || (lanes != Lanes::Main && end.receives_side);
        assert!(!taken, "one thread at a time receives from a lane");
        end.receives_main |= lanes != Lanes::Side;
        end.receives_side |= lanes != Lanes::Main;
        Self { link, lanes }
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.link
                .kill(Error::closed("the receiving thread of this end panicked"));
        }
        let mut end = self.link.own_end();
        end.receives_main &= self.lanes == Lanes::Side;
        end.receives_side &= self.lanes == Lanes::Main;
    }
}

fn check_len(len: usize, len_max: usize) -> Result<(), Error> {
    if len > len_max {
        Err(Error::Oversize { len, len_max })
    } else {
        Ok(())
    }
}

fn check_queue(len: usize, len_max: usize) -> Result<(), Error> {
    if len > len_max {
        Err(Error::Overrun { len, len_max })
    } else {
        Ok(())
    }
}

/// Bulk that may be outstanding before a put waits: about what two sockets hold.
const BULK_LEN_MAX: usize = 2 << 20;

/// What a side message counts for beside its bytes, so that empty ones are bounded too.
const SIDE_COST: usize = 8;

/// The reason that an injected death gives.
const FAULT: &str = "injected fault";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::Destination;

    #[derive(Debug, Default)]
    struct Seen {
        batches: Vec<Vec<u8>>,
        landed: usize,
        memory: Vec<u8>,
    }

    impl Sink for Seen {
        fn batch(&mut self, bytes: &[u8]) -> Result<(), Error> {
            self.batches.push(bytes.to_vec());
            Ok(())
        }

        fn destination(&mut self, span: Span) -> Result<Destination, Error> {
            self.memory = vec![0; usize::try_from(span.len).unwrap()];
            let (address, len) = (self.memory.as_mut_ptr(), self.memory.len());
            // SAFETY: the memory is not touched until the bulk has landed or the link has died.
            #[expect(unsafe_code, reason = "names memory of the test")]
            Ok(unsafe { Destination::new(address, len) })
        }

        fn landed(&mut self, _span: Span) -> Result<(), Error> {
            self.landed += 1;
            Ok(())
        }

        fn side(&mut self, message: &[u8]) -> Result<(), Error> {
            self.batches.push(message.to_vec());
            Ok(())
        }
    }

    #[test]
    fn hold_keeps_the_main_lane_and_lets_the_side_lane_pass() {
        let (near, far) = pair();
        let mut seen = Seen::default();
        near.inject(Fault::HoldAfter(1));
        for batch in [b"a", b"b", b"c"] {
            near.post(batch).unwrap();
        }
        near.post_side(b"s").unwrap();
        far.receive(Lanes::Both, &mut seen).unwrap();
        assert_eq!(seen.batches, [b"s", b"a"]);
        far.wake();
        far.receive(Lanes::Both, &mut seen).unwrap();
        assert_eq!(seen.batches.len(), 2, "a wake delivers nothing");
        near.inject(Fault::Release);
        far.receive(Lanes::Main, &mut seen).unwrap();
        assert_eq!(seen.batches, [b"s", b"a", b"b", b"c"]);
    }

    #[test]
    fn release_reaches_a_receiver_that_sleeps() {
        let (near, far) = pair();
        near.inject(Fault::Hold);
        near.post(b"a").unwrap();
        std::thread::scope(|scope| {
            let receiver = scope.spawn(|| {
                let mut seen = Seen::default();
                far.receive(Lanes::Main, &mut seen).unwrap();
                seen.batches
            });
            near.inject(Fault::Release);
            assert_eq!(receiver.join().unwrap(), [b"a"]);
        });
    }

    #[test]
    fn close_after_delivers_exactly_so_many_batches() {
        let (near, far) = pair();
        let mut seen = Seen::default();
        near.inject(Fault::CloseAfter(2));
        for batch in [b"a", b"b", b"c"] {
            near.post(batch).unwrap();
        }
        let error = far.receive(Lanes::Main, &mut seen).unwrap_err();
        assert_eq!(error.to_string(), "link closed: injected fault");
        assert_eq!(seen.batches, [b"a", b"b"]);
        assert!(matches!(near.post(b"d"), Err(Error::Closed(_))));
        let (near, far) = pair();
        near.inject(Fault::CloseAfter(0));
        assert!(far.death().is_some() && near.death().is_some());
    }

    #[test]
    fn next_batch_is_corrupted_or_truncated_once() {
        let (near, far) = pair();
        let mut seen = Seen::default();
        near.inject(Fault::CorruptNext { at: 1, mask: 0x80 });
        near.inject(Fault::TruncateNext(3));
        near.post(&[1, 2, 3, 4]).unwrap();
        near.post(&[1, 2, 3, 4]).unwrap();
        far.receive(Lanes::Main, &mut seen).unwrap();
        assert_eq!(seen.batches, [vec![1, 0x82, 3], vec![1, 2, 3, 4]]);
    }

    #[test]
    fn broken_bulk_lands_in_part_and_never_reports() {
        let (near, far) = pair();
        let mut seen = Seen::default();
        near.inject(Fault::BreakNextBulk(2));
        near.put(
            Span {
                region: 0,
                offset: 0,
                len: 4,
            },
            &[1, 2, 3, 4],
        )
        .unwrap();
        assert!(matches!(
            far.receive(Lanes::Main, &mut seen),
            Err(Error::Closed(_))
        ));
        assert_eq!((seen.memory, seen.landed), (vec![1, 2, 0, 0], 0));
        assert!(near.death().is_some());
    }
}
