//! What twins send, and when, against a worker that follows the protocol.

use flexdirect_wire::body::TwinRun;

use super::block::{memory, memory_block};
use super::*;
use crate::fake::Fake;

const DEVICE: u64 = 0x4000;

fn launch() -> Issue {
    issue(op::cuLaunchKernel, 0)
}

#[test]
fn stores_of_the_host_go_before_a_wait() {
    let fake = Fake::start();
    let session = &fake.process.session;
    let bytes = memory(100);
    session.add_twin(memory_block(bytes, DEVICE));
    session.note_twin_work(0);
    bytes[7].store(1, Ordering::Relaxed);
    // The worker here has no twins to tell of, so how the wait ends is of no interest.
    let _ = session.call(issue(op::cuStreamSynchronize, 0), &[0; 8]);
    let seen = fake.seen(2);
    assert_eq!(seen[0].op(), session::TWIN_WRITE);
    assert_eq!(seen[1].op(), op::cuStreamSynchronize);
}

#[test]
fn pages_do_not_go_while_another_thread_gives_work() {
    let fake = Fake::start();
    let session = &fake.process.session;
    let bytes = memory(4096);
    session.add_twin(memory_block(bytes, DEVICE));
    let giving = session.before_work(launch()).unwrap();
    assert!(giving.is_some());
    bytes[7].store(1, Ordering::Relaxed);
    drop(session.send_twins(0).unwrap());
    let seen = fake.seen(1);
    let run: TwinRun = seen[0].reader().get().unwrap();
    assert_eq!((run.address, run.len), (DEVICE + 7, 1));
    drop(giving);
    bytes[8].store(1, Ordering::Relaxed);
    drop(session.send_twins(0).unwrap());
    let seen = fake.seen(2);
    let run: TwinRun = seen[1].reader().get().unwrap();
    assert_eq!((run.address, run.len), (DEVICE, 4096), "nobody does now");
}
