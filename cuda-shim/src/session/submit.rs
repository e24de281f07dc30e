//! The submission order: records that wait to be sent, and what of them the worker has executed.
//!
//! Plain state under the session's lock; it neither sends nor waits.

use std::collections::VecDeque;

use flexdirect_wire::limits::{BATCH_LEN, WINDOW_LEN};
use flexdirect_wire::record::{RecordHeader, WireError, Writer};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Submit {
    /// Whole records that have not been given to the link.
    queue: Vec<u8>,
    /// Memory of the batch before, to be used again.
    spare: Vec<u8>,
    /// A thread has a batch and will look at the queue again.
    is_sending: bool,
    /// Somebody waits for what is queued.
    is_flush_wanted: bool,
    /// Last sequence given out.
    last: u64,
    last_lane: u16,
    /// Last sequence given to the link.
    posted: u64,
    /// Last sequence that the worker has executed.
    executed: u64,
    /// Bytes of all records that were submitted, and of those that were executed.
    submitted_len: u64,
    executed_len: u64,
    /// Sequence and `submitted_len` after it, of records that were not executed.
    flight: VecDeque<(u64, u64)>,
}

impl Submit {
    /// Whether a record with a body of `len` bytes must wait for the worker or for the link.
    pub(super) fn is_full(&self, len: usize) -> bool {
        let outstanding = self.submitted_len - self.executed_len;
        let window = outstanding > 0 && outstanding + len as u64 > WINDOW_LEN as u64;
        window || (!self.queue.is_empty() && self.queue.len() + len > QUEUE_LEN)
    }

    /// Gives a record its place in the order and queues it; returns its sequence.
    ///
    /// # Errors
    /// A record that is too long: nothing has changed.
    pub(super) fn append(&mut self, header: RecordHeader, body: &[u8]) -> Result<u64, WireError> {
        let sequence = self.last + 1;
        let crosses = self.last > 0 && self.last_lane != header.lane;
        let header = RecordHeader {
            sequence,
            dependency: if crosses { self.last } else { 0 },
            dependency_lane: if crosses { self.last_lane } else { 0 },
            ..header
        };
        let mut record = Writer::record(&mut self.queue, header);
        record.raw(body);
        let len = record.finish()?;
        self.last = sequence;
        self.last_lane = header.lane;
        self.submitted_len += len as u64;
        self.flight.push_back((sequence, self.submitted_len));
        Ok(sequence)
    }

    /// Makes the next [`Submit::take_batch`] take whatever is queued.
    pub(super) fn want_flush(&mut self) {
        self.is_flush_wanted = true;
    }

    /// What is to be sent now, if anything: when the worker has executed all that was sent, when a
    /// batch is full, or when somebody waits.
    pub(super) fn take_batch(&mut self) -> Option<Vec<u8>> {
        if self.queue.is_empty() {
            self.is_flush_wanted = false;
            return None;
        }
        let is_idle = self.executed >= self.posted;
        let is_due = is_idle || self.is_flush_wanted || self.queue.len() >= BATCH_LEN;
        if self.is_sending || !is_due {
            return None;
        }
        self.is_sending = true;
        self.is_flush_wanted = false;
        self.posted = self.last;
        Some(std::mem::replace(
            &mut self.queue,
            std::mem::take(&mut self.spare),
        ))
    }

    /// Takes a batch back that the link has.
    pub(super) fn give_back(&mut self, mut batch: Vec<u8>) {
        batch.clear();
        self.spare = batch;
        self.is_sending = false;
    }

    /// Notes how far the worker has come. False if that is further than anything that was sent.
    pub(super) fn acknowledge(&mut self, executed: u64) -> bool {
        if executed > self.posted {
            return false;
        }
        while let Some(&(sequence, len)) = self.flight.front() {
            if sequence > executed {
                break;
            }
            self.executed_len = len;
            self.flight.pop_front();
        }
        self.executed = self.executed.max(executed);
        true
    }
}

/// Bytes that may wait here while a batch is being sent: with a record on top still one batch.
const QUEUE_LEN: usize = 512 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use flexdirect_wire::record::split_record;

    fn sequences(batch: &[u8]) -> Vec<u64> {
        let mut rest = batch;
        let mut sequences = Vec::new();
        while !rest.is_empty() {
            sequences.push(split_record(&mut rest).unwrap().header.sequence);
        }
        sequences
    }

    fn append(submit: &mut Submit, len: usize) -> u64 {
        submit
            .append(RecordHeader::default(), &vec![0; len])
            .unwrap()
    }

    #[test]
    fn idle_sends_at_once_and_busy_queues() {
        let mut submit = Submit::default();
        append(&mut submit, 0);
        let batch = submit.take_batch().expect("nothing is unacknowledged");
        assert_eq!(sequences(&batch), [1]);
        append(&mut submit, 0);
        assert_eq!(submit.take_batch(), None, "somebody is sending");
        submit.give_back(batch);
        append(&mut submit, 0);
        assert_eq!(submit.take_batch(), None, "the first is unacknowledged");
        assert!(submit.acknowledge(1));
        let batch = submit.take_batch().expect("acknowledged");
        assert_eq!(sequences(&batch), [2, 3]);
        submit.give_back(batch);
        assert!(
            !submit.acknowledge(4),
            "the worker cannot have executed what it was not sent"
        );
    }

    #[test]
    fn a_full_batch_and_a_wish_send_too() {
        let mut submit = Submit::default();
        append(&mut submit, 0);
        let batch = submit.take_batch().unwrap();
        submit.give_back(batch);
        append(&mut submit, 8);
        assert_eq!(submit.take_batch(), None);
        append(&mut submit, BATCH_LEN);
        let batch = submit.take_batch().expect("a batch is full");
        assert_eq!(sequences(&batch), [2, 3]);
        submit.give_back(batch);
        append(&mut submit, 8);
        submit.want_flush();
        let batch = submit.take_batch().expect("somebody waits");
        submit.give_back(batch);
        append(&mut submit, 8);
        assert_eq!(submit.take_batch(), None, "the wish was for what was there");
    }

    #[test]
    fn the_window_bounds_what_is_outstanding() {
        let mut submit = Submit::default();
        let body = 200 << 10;
        let mut count = 0;
        while !submit.is_full(body) {
            append(&mut submit, body);
            if let Some(batch) = submit.take_batch() {
                submit.give_back(batch);
            }
            count += 1;
        }
        assert_eq!(count, WINDOW_LEN / body);
        assert!(submit.acknowledge(1));
        assert!(!submit.is_full(body), "one executed makes room for one");
        append(&mut submit, body);
        assert!(submit.is_full(body));
    }

    #[test]
    fn another_lane_depends_on_the_one_before() {
        let mut submit = Submit::default();
        for lane in [0, 1, 1, 0] {
            submit
                .append(
                    RecordHeader {
                        lane,
                        ..Default::default()
                    },
                    &[],
                )
                .unwrap();
        }
        let batch = submit.take_batch().unwrap();
        let mut rest = &batch[..];
        let mut dependencies = Vec::new();
        while !rest.is_empty() {
            let header = split_record(&mut rest).unwrap().header;
            dependencies.push((header.dependency, header.dependency_lane));
        }
        assert_eq!(dependencies, [(0, 0), (1, 0), (0, 0), (3, 1)]);
    }

    #[test]
    fn an_oversized_record_changes_nothing() {
        let mut submit = Submit::default();
        assert!(
            submit
                .append(RecordHeader::default(), &vec![0; 1 << 20])
                .is_err()
        );
        assert_eq!(submit.take_batch(), None);
        assert_eq!(append(&mut submit, 0), 1);
    }
}
