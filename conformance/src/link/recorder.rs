//! A sink that checks every byte and keeps the order of arrival.
//!
//! What the suite sends carries its own description (thread, number, length) and a pattern that
//! follows from it, so that a lost, doubled or misplaced byte shows wherever it is.

use std::sync::Arc;
use std::thread::JoinHandle;

use flexdirect_transport::{Destination, Error, Lanes, Link, Sink, Span};

/// What has arrived, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A record of a batch: thread, number, length.
    Record(u32, u32, usize),
    /// Bulk that has landed: thread, number, length.
    Landed(u32, u32, usize),
    /// A side message.
    Side(Vec<u8>),
}

/// A sink that keeps events and refuses wrong bytes.
#[derive(Debug, Default)]
pub struct Recorder {
    /// What has arrived.
    pub events: Vec<Event>,
    /// Calls of `batch`.
    pub batch_calls: usize,
    landing: Option<(Span, Vec<u8>)>,
}

impl Recorder {
    /// Records and landed bulk, in order.
    pub fn main_events(&self) -> Vec<Event> {
        let is_main = |event: &&Event| !matches!(event, Event::Side(_));
        self.events.iter().filter(is_main).cloned().collect()
    }

    /// Side messages, in order.
    pub fn side_events(&self) -> Vec<Event> {
        self.events
            .iter()
            .filter(|event| matches!(event, Event::Side(_)))
            .cloned()
            .collect()
    }

    /// Panics unless everything from each thread has arrived in the order of its numbers.
    pub fn check_order_per_thread(&self) {
        let mut last = std::collections::HashMap::new();
        for event in &self.events {
            if let Event::Record(thread, number, _) | Event::Landed(thread, number, _) = event {
                let expected = last.get(thread).map_or(0, |last| last + 1);
                assert_eq!(*number, expected, "from thread {thread}");
                last.insert(*thread, *number);
            }
        }
    }
}

impl Sink for Recorder {
    fn batch(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.batch_calls += 1;
        let mut rest = bytes;
        while !rest.is_empty() {
            let (record, after) = split_record(rest)?;
            rest = after;
            self.events.push(record);
        }
        Ok(())
    }

    fn destination(&mut self, span: Span) -> Result<Destination, Error> {
        assert!(
            self.landing.is_none(),
            "bulk announced while other bulk lands"
        );
        let len = usize::try_from(span.len).expect("bulk is bounded");
        // Not zeros: a byte that nobody wrote must not pass for one that was.
        let (_, memory) = self.landing.insert((span, vec![0xEE; len]));
        let address = memory.as_mut_ptr();
        // SAFETY: the memory is touched again only in `landed`; if that is never called it is
        // leaked by `drop`, so it stays valid for as long as the link.
        Ok(unsafe { Destination::new(address, len) })
    }

    fn landed(&mut self, span: Span) -> Result<(), Error> {
        let (announced, memory) = self.landing.take().expect("landed after destination");
        assert_eq!(span, announced);
        let (thread, number) = named(span);
        if memory != bulk(thread, number, memory.len()) {
            return Err(Error::protocol(format!(
                "bulk {thread}/{number} arrived changed"
            )));
        }
        self.events
            .push(Event::Landed(thread, number, memory.len()));
        Ok(())
    }

    fn side(&mut self, message: &[u8]) -> Result<(), Error> {
        self.events.push(Event::Side(message.to_vec()));
        Ok(())
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        if let Some((_, memory)) = self.landing.take() {
            std::mem::forget(memory);
        }
    }
}

/// A thread that receives until the link dies, as the threads of a session do.
#[derive(Debug)]
pub struct Pump(JoinHandle<(Recorder, Error)>);

impl Pump {
    /// Starts receiving from `lanes`.
    pub fn start(link: &Arc<dyn Link>, lanes: Lanes) -> Self {
        let link = Arc::clone(link);
        Self(std::thread::spawn(move || {
            let mut recorder = Recorder::default();
            loop {
                if let Err(error) = link.receive(lanes, &mut recorder) {
                    return (recorder, error);
                }
            }
        }))
    }

    /// Waits for the death of the link and says what had arrived until then.
    ///
    /// # Panics
    /// If the link did not die by being closed: then something arrived that should not have.
    pub fn finish(self) -> Recorder {
        let (recorder, error) = self.end();
        assert!(matches!(error, Error::Closed(_)), "{error}");
        recorder
    }

    /// The same with the error.
    pub fn end(self) -> (Recorder, Error) {
        self.0
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

/// Receives until `enough` is true of what has arrived.
pub fn collect(
    link: &Arc<dyn Link>,
    lanes: Lanes,
    recorder: &mut Recorder,
    enough: impl Fn(&Recorder) -> bool,
) {
    while !enough(recorder) {
        link.receive(lanes, recorder).expect("the link lives");
    }
}

/// A record of `len` bytes, at least [`RECORD_LEN_MIN`].
pub fn record(thread: u32, number: u32, len: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len);
    bytes.extend_from_slice(
        &u32::try_from(len)
            .expect("a batch is bounded")
            .to_le_bytes(),
    );
    bytes.extend_from_slice(&thread.to_le_bytes());
    bytes.extend_from_slice(&number.to_le_bytes());
    bytes.extend(pattern(thread, number).take(len - RECORD_LEN_MIN));
    bytes
}

/// Bulk of `len` bytes.
pub fn bulk(thread: u32, number: u32, len: usize) -> Vec<u8> {
    pattern(thread, number).take(len).collect()
}

/// The span under which the suite sends bulk.
pub fn span(thread: u32, number: u32, len: usize) -> Span {
    // All bytes of the words in use, so that a link that drops some is found out.
    let region = u64::from(thread) << 40 | u64::from(!thread);
    Span {
        region,
        offset: u64::from(number) << 32,
        len: len as u64,
    }
}

/// Sends a record of `len` bytes.
pub fn post(link: &Arc<dyn Link>, thread: u32, number: u32, len: usize) {
    link.post(&record(thread, number, len))
        .expect("the link lives");
}

/// Sends bulk of `len` bytes.
pub fn put(link: &Arc<dyn Link>, thread: u32, number: u32, len: usize) {
    let bytes = bulk(thread, number, len);
    link.put(span(thread, number, len), &bytes)
        .expect("the link lives");
}

/// A length from 0 to `len_max` that follows from `number`, small ones as often as large ones.
pub fn some_len(number: u32, len_max: usize) -> usize {
    let scrambled = number.wrapping_mul(0x9E37_79B1).rotate_left(7) as usize;
    scrambled % ((len_max >> (scrambled % 5 * 2)) + 1)
}

fn split_record(bytes: &[u8]) -> Result<(Event, &[u8]), Error> {
    let word = |at: usize| {
        let bytes = bytes
            .get(at..at + 4)
            .ok_or_else(|| Error::protocol("record cut short"))?;
        Ok(u32::from_le_bytes(bytes.try_into().expect("four bytes")))
    };
    let (len, thread, number) = (word(0)? as usize, word(4)?, word(8)?);
    let Some((one, rest)) = bytes.split_at_checked(len) else {
        return Err(Error::protocol(format!(
            "record {thread}/{number} cut short"
        )));
    };
    if one != record(thread, number, len) {
        return Err(Error::protocol(format!(
            "record {thread}/{number} arrived changed"
        )));
    }
    Ok((Event::Record(thread, number, len), rest))
}

fn named(span: Span) -> (u32, u32) {
    let thread = u32::try_from(span.region >> 40).expect("the suite's own region");
    let number = u32::try_from(span.offset >> 32).expect("the suite's own offset");
    assert_eq!(
        span,
        self::span(thread, number, usize::try_from(span.len).expect("bounded"))
    );
    (thread, number)
}

/// Bytes without a short period, different for each name.
fn pattern(thread: u32, number: u32) -> impl Iterator<Item = u8> {
    let mut state = (u64::from(thread) << 32 | u64::from(number)) ^ 0x9E37_79B9_7F4A_7C15;
    std::iter::repeat_with(move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    })
}

/// Bytes of a record's description.
pub const RECORD_LEN_MIN: usize = 12;
