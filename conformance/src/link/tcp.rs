//! What only a stream can do wrong: a peer that speaks by hand, byte by byte or not to the end.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use flexdirect_transport::connect::{Streams, loopback};
use flexdirect_transport::link::{BATCH_LEN_MAX, PUT_LEN_MAX, SIDE_LEN_MAX};
use flexdirect_transport::tcp::{Options, TcpLink};
use flexdirect_transport::{Error, Lanes, Link};

use super::recorder::{Event, Pump, Recorder, bulk, collect, record, span};

/// A link whose other end is two bare sockets.
fn bare_peer() -> (Arc<dyn Link>, Streams) {
    let (near, far) = loopback().expect("loopback");
    let link = TcpLink::new(near.main, near.side, Options::default()).expect("a link");
    (link, far)
}

/// Frames arrive whole however the stream is cut.
pub fn frames_arrive_byte_by_byte() {
    let (link, mut peer) = bare_peer();
    peer.main.set_nodelay(true).expect("an option of TCP");
    peer.side.set_nodelay(true).expect("an option of TCP");
    let pump = std::thread::spawn(move || {
        let mut seen = Recorder::default();
        collect(&link, Lanes::Both, &mut seen, |seen| seen.events.len() == 4);
        seen
    });
    let mut main = batch_frame(&record(0, 0, 40));
    main.extend(bulk_frame(0, 1, 70));
    main.extend(batch_frame(&record(0, 2, 12)));
    for byte in &main {
        peer.main.write_all(&[*byte]).expect("the link reads");
    }
    for byte in side_frame(3, 5, b"hello") {
        peer.side.write_all(&[byte]).expect("the link reads");
    }
    let seen = pump.join().expect("everything arrives");
    let expected = [
        Event::Record(0, 0, 40),
        Event::Landed(0, 1, 70),
        Event::Record(0, 2, 12),
    ];
    assert_eq!(seen.main_events(), expected);
    assert_eq!(seen.side_events(), [Event::Side(b"hello".to_vec())]);
}

/// The bytes on the wire are those of the byte map.
pub fn bytes_on_the_wire_are_fixed() {
    let (link, mut peer) = bare_peer();
    link.post(b"abc").expect("the link lives");
    let target = span(5, 6, 3);
    link.put(target, b"xyz").expect("the link lives");
    link.post_side(b"s").expect("the link lives");
    let mut expected = batch_frame(b"abc");
    expected.extend(header(2, 0, target.region, target.offset, 3));
    expected.extend(b"xyz");
    assert_eq!(read_exactly(&mut peer.main, expected.len()), expected);
    assert_eq!(read_exactly(&mut peer.side, 9), side_frame(3, 1, b"s"));
}

/// A frame that no correct peer sends ends the link at once, and the peer sees the end.
pub fn malformed_frames_end_the_link() {
    let batch_max = BATCH_LEN_MAX as u64;
    let main_frames = [
        header(0, 0, 0, 0, 1),
        header(3, 0, 0, 0, 1),
        header(u32::MAX, 0, 0, 0, 1),
        header(1, 1, 0, 0, 1),
        header(2, 0x8000_0000, 0, 0, 1),
        header(1, 0, 1, 0, 1),
        header(1, 0, 0, 1, 1),
        header(1, 0, 0, 0, 0),
        header(1, 0, 0, 0, batch_max + 1),
        header(1, 0, 0, 0, u64::MAX),
        header(2, 0, 0, 0, PUT_LEN_MAX as u64 + 1),
        header(2, 0, 0, 0, 1 << 32),
        header(2, 0, u64::MAX, u64::MAX, u64::MAX),
    ];
    for frame in main_frames {
        refused(&frame, &[]);
    }
    refused(&[], &side_frame(1, 1, b"s"));
    refused(&[], &side_frame(0, 0, b""));
    refused(&[], &side_frame(3, u32::MAX, b"s"));
    let over = u32::try_from(SIDE_LEN_MAX).expect("small") + 1;
    refused(&[], &side_frame(3, over, &[0; SIDE_LEN_MAX + 1]));
}

/// A good frame, then the bad one.
fn refused(main: &[u8], side: &[u8]) {
    let (link, mut peer) = bare_peer();
    peer.main
        .write_all(&batch_frame(&record(0, 0, 20)))
        .expect("the link lives");
    let mut seen = Recorder::default();
    collect(&link, Lanes::Both, &mut seen, |seen| seen.events.len() == 1);
    peer.main.write_all(main).expect("the link lives");
    peer.side.write_all(side).expect("the link lives");
    let error = loop {
        if let Err(error) = link.receive(Lanes::Both, &mut seen) {
            break error;
        }
    };
    assert!(
        matches!(error, Error::Protocol(_)),
        "{main:?} {side:?}: {error}"
    );
    assert!(matches!(link.post(b"x"), Err(Error::Protocol(_))));
    assert_eq!(seen.events.len(), 1, "{main:?} {side:?}");
    for mut stream in [peer.main, peer.side] {
        // End of stream or a reset: either way the peer does not wait.
        assert!(matches!(stream.read(&mut [0; 16]), Ok(0) | Err(_)));
    }
}

/// A peer that dies in the middle of anything ends the link; nothing half is delivered.
pub fn peer_that_dies_within_a_frame_ends_the_link() {
    let batch = batch_frame(&record(0, 0, 100));
    let bulk = bulk_frame(0, 0, 100);
    let side = side_frame(3, 10, &[1; 10]);
    let cuts = |frame: &[u8], header_len: usize| {
        [
            0,
            1,
            header_len - 1,
            header_len,
            header_len + 1,
            frame.len() - 1,
        ]
        .map(|cut| frame[..cut].to_vec())
    };
    let on_main = cuts(&batch, 32).into_iter().chain(cuts(&bulk, 32));
    let on_side = cuts(&side, 8).into_iter();
    let both = on_main
        .map(|cut| (cut, Vec::new()))
        .chain(on_side.map(|cut| (Vec::new(), cut)));
    for (main, side) in both {
        let (link, mut peer) = bare_peer();
        peer.main.write_all(&main).expect("the link lives");
        peer.side.write_all(&side).expect("the link lives");
        let readers = [
            Pump::start(&link, Lanes::Main),
            Pump::start(&link, Lanes::Side),
        ];
        drop(peer);
        for reader in readers {
            let recorder = reader.finish();
            assert!(recorder.events.is_empty(), "{main:?} {side:?}");
        }
        let death = link.death().expect("dead").to_string();
        assert!(death.contains("peer"), "{death}");
    }
}

/// Either socket's end is the end of the link, though the other socket is well.
pub fn either_socket_ends_the_link() {
    for drops_main in [true, false] {
        let (link, peer) = bare_peer();
        let readers = [
            Pump::start(&link, Lanes::Main),
            Pump::start(&link, Lanes::Side),
        ];
        let mut rest = if drops_main {
            drop(peer.main);
            peer.side
        } else {
            drop(peer.side);
            peer.main
        };
        for reader in readers {
            reader.finish();
        }
        assert!(matches!(rest.read(&mut [0; 1]), Ok(0) | Err(_)));
    }
}

fn header(kind: u32, zero: u32, region: u64, offset: u64, len: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(kind.to_le_bytes());
    bytes.extend(zero.to_le_bytes());
    bytes.extend(region.to_le_bytes());
    bytes.extend(offset.to_le_bytes());
    bytes.extend(len.to_le_bytes());
    bytes
}

fn batch_frame(batch: &[u8]) -> Vec<u8> {
    let mut bytes = header(1, 0, 0, 0, batch.len() as u64);
    bytes.extend(batch);
    bytes
}

fn bulk_frame(thread: u32, number: u32, len: usize) -> Vec<u8> {
    let target = span(thread, number, len);
    let mut bytes = header(2, 0, target.region, target.offset, target.len);
    bytes.extend(bulk(thread, number, len));
    bytes
}

fn side_frame(kind: u32, len: u32, message: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(kind.to_le_bytes());
    bytes.extend(len.to_le_bytes());
    bytes.extend(message);
    bytes
}

fn read_exactly(stream: &mut TcpStream, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    stream.read_exact(&mut bytes).expect("the link has sent it");
    bytes
}
