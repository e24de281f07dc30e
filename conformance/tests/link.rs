//! The link suite on every link: those of `connect::LINKS`, their variants, and the in-process one.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use flexdirect_conformance::link::order::{Step, steps_arrive};
use flexdirect_conformance::link::recorder::RECORD_LEN_MIN;
use flexdirect_conformance::link::{self, Ends, Make, within_bounds};
use flexdirect_conformance::link_suite;
use flexdirect_transport::connect::{self, LINKS};
use flexdirect_transport::memory;
use flexdirect_transport::tcp::{Options, TcpLink};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};

link_suite!(memory_link, super::memory);
link_suite!(tcp, super::tcp);
link_suite!(tcp_over_unix_sockets, super::unix);
link_suite!(tcp_spinning, super::tcp_spinning);

fn memory() -> Ends {
    let (near, far) = memory::pair();
    (near, far)
}

fn tcp() -> Ends {
    made_by("tcp", Options::default())
}

fn tcp_spinning() -> Ends {
    made_by(
        "tcp",
        Options {
            spin: Duration::from_micros(50),
            ..Options::default()
        },
    )
}

fn unix() -> Ends {
    let (near_main, far_main) = UnixStream::pair().expect("sockets");
    let (near_side, far_side) = UnixStream::pair().expect("sockets");
    let options = Options::default();
    let near = TcpLink::from_fds(near_main.into(), near_side.into(), options).expect("a link");
    let far = TcpLink::from_fds(far_main.into(), far_side.into(), options).expect("a link");
    (near, far)
}

fn made_by(name: &str, options: Options) -> Ends {
    let mechanism = LINKS
        .iter()
        .find(|link| link.name == name)
        .expect("a link of the list");
    let (near, far) = connect::pair(mechanism, options).expect("a pair");
    assert_eq!((near.name(), far.name()), (name, name));
    (near, far)
}

/// Whoever adds a link to the list adds a line with `link_suite!` above.
#[test]
fn every_link_of_the_list_runs_the_suite() {
    let names: Vec<_> = LINKS.iter().map(|link| link.name).collect();
    assert_eq!(names, ["tcp"]);
}

#[test]
fn tcp_frames_arrive_byte_by_byte() {
    within_bounds(link::tcp::frames_arrive_byte_by_byte);
}

#[test]
fn tcp_bytes_on_the_wire_are_fixed() {
    within_bounds(link::tcp::bytes_on_the_wire_are_fixed);
}

#[test]
fn tcp_malformed_frames_end_the_link() {
    within_bounds(link::tcp::malformed_frames_end_the_link);
}

#[test]
fn tcp_peer_that_dies_within_a_frame_ends_the_link() {
    within_bounds(link::tcp::peer_that_dies_within_a_frame_ends_the_link);
}

#[test]
fn tcp_either_socket_ends_the_link() {
    within_bounds(link::tcp::either_socket_ends_the_link);
}

#[test]
fn any_sequence_arrives_over_memory() {
    any_sequence_arrives(memory);
}

#[test]
fn any_sequence_arrives_over_tcp() {
    any_sequence_arrives(tcp);
}

#[test]
fn any_sequence_arrives_over_unix_sockets() {
    any_sequence_arrives(unix);
}

/// Random sequences; `FLEXDIRECT_SEED` repeats a run whose seed was printed.
fn any_sequence_arrives(make: Make) {
    let given = std::env::var("FLEXDIRECT_SEED").ok();
    let seed: u64 = match given {
        Some(text) => text.parse().expect("FLEXDIRECT_SEED is a number"),
        None => RandomState::new().hash_one(0),
    };
    println!("FLEXDIRECT_SEED={seed}");
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config {
        cases: 24,
        failure_persistence: None,
        ..Config::default()
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let len = prop_oneof![3 => 0_usize..200, 2 => 0_usize..20_000, 1 => 0_usize..(1 << 20)];
    let step = (0..4_u8, len, 0_usize..=64).prop_map(|(kind, len, side_len)| match kind {
        // At most 48 batches of 128 KiB: less than a queue holds.
        0 | 1 => Step::Post(RECORD_LEN_MIN + len % (128 << 10)),
        2 => Step::Put(len),
        _ => Step::Side(side_len),
    });
    let sequences = (proptest::collection::vec(step, 1..48), any::<bool>());
    let result = runner.run(&sequences, |(steps, lanes_apart)| {
        within_bounds(move || steps_arrive(make, &steps, lanes_apart));
        Ok(())
    });
    if let Err(TestError::Fail(reason, input)) = result {
        panic!("FLEXDIRECT_SEED={seed}: {reason}\n{input:?}");
    }
    result.expect("no sequence is rejected");
}
