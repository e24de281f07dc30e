//! What the accounting must hold: nothing is granted twice and everything comes back.

use proptest::prelude::*;

use super::*;
use crate::scheduler::MIB;

fn pool(memories_mib: &[u64]) -> Pool {
    let devices = memories_mib
        .iter()
        .zip(0..)
        .map(|(mib, ordinal)| DeviceState {
            ordinal,
            name: format!("device {ordinal}"),
            uuid: String::new(),
            memory: mib * MIB,
            free: 0,
        });
    Pool::new(13_050, devices.collect())
}

fn secret(fill: u8) -> Secret {
    Secret::new([fill; 32])
}

fn hex(fill: u8) -> String {
    secret(fill).0
}

#[test]
fn a_lease_takes_its_share_and_gives_it_back() {
    let mut pool = pool(&[1000, 1000]);
    let lease = pool.claim(2, Share::Fraction(0.25), secret(1)).unwrap();
    assert_eq!(lease.devices.len(), 2);
    assert_eq!(lease.secret.len(), 64);
    assert!(pool.devices().iter().all(|device| device.free == 750 * MIB));
    pool.end(lease.lease);
    assert!(
        pool.devices()
            .iter()
            .all(|device| device.free == 1000 * MIB)
    );
}

#[test]
fn a_full_pool_refuses_with_what_is_free() {
    let mut pool = pool(&[1000]);
    pool.claim(1, Share::Fraction(0.7), secret(1)).unwrap();
    let refusal = pool.claim(1, Share::Fraction(0.5), secret(2)).unwrap_err();
    assert_eq!(refusal.reason, Reason::Full);
    assert!(refusal.text.contains("300 MiB"), "{}", refusal.text);
    assert_eq!(pool.leases(), 1);
}

#[test]
fn a_session_needs_the_secret() {
    let mut pool = pool(&[1000]);
    let lease = pool
        .claim(1, Share::Fraction(1.0), secret(1))
        .unwrap()
        .lease;
    let wrong = [hex(2), String::new(), hex(1)[..63].to_owned(), hex(1) + "0"];
    for shown in wrong {
        assert_eq!(
            pool.open(lease, &shown, "a").unwrap_err().reason,
            Reason::Denied
        );
    }
    assert_eq!(
        pool.open(lease + 1, &hex(1), "a").unwrap_err().reason,
        Reason::Denied
    );
    let session = pool.open(lease, &hex(1), "a").unwrap();
    assert_eq!(pool.find(lease, &hex(1), "a").unwrap(), session);
    assert_eq!(
        pool.find(lease, &hex(2), "a").unwrap_err().reason,
        Reason::Denied
    );
}

#[test]
fn a_lease_that_is_ending_opens_nothing_and_keeps_its_memory() {
    let mut pool = pool(&[1000]);
    let lease = pool
        .claim(1, Share::Fraction(1.0), secret(1))
        .unwrap()
        .lease;
    let session = pool.open(lease, &hex(1), "a").unwrap();
    assert_eq!(pool.revoke(lease), [session]);
    assert_eq!(
        pool.open(lease, &hex(1), "b").unwrap_err().reason,
        Reason::Denied
    );
    assert_eq!(pool.devices()[0].free, 0);
    pool.close(lease, session);
    pool.end(lease);
    assert_eq!(pool.devices()[0].free, 1000 * MIB);
}

#[test]
fn a_name_serves_one_session() {
    let mut pool = pool(&[1000]);
    let lease = pool
        .claim(1, Share::Fraction(1.0), secret(1))
        .unwrap()
        .lease;
    let first = pool.open(lease, &hex(1), "a").unwrap();
    assert_eq!(
        pool.open(lease, &hex(1), "a").unwrap_err().reason,
        Reason::Bad
    );
    assert_eq!(
        pool.open(lease, &hex(1), "\n").unwrap_err().reason,
        Reason::Bad
    );
    pool.close(lease, first);
    assert!(pool.open(lease, &hex(1), "a").is_ok());
}

#[test]
fn sessions_of_a_lease_share_its_share() {
    let mut pool = pool(&[1000]);
    let lease = pool.claim(1, Share::Memory(100), secret(1)).unwrap().lease;
    let one = pool.open(lease, &hex(1), "one").unwrap();
    let two = pool.open(lease, &hex(1), "two").unwrap();
    pool.reserve(lease, one, 0, 60 * MIB).unwrap();
    let over = pool.reserve(lease, two, 0, 41 * MIB).unwrap_err();
    assert_eq!((over.used, over.limit), (60 * MIB, 100 * MIB));
    pool.reserve(lease, two, 0, 40 * MIB).unwrap();
    pool.close(lease, one);
    assert_eq!(
        pool.usage(lease, 0),
        Usage {
            used: 40 * MIB,
            limit: 100 * MIB
        }
    );
}

#[test]
fn a_worker_cannot_give_back_what_it_has_not_taken() {
    let mut pool = pool(&[1000]);
    let lease = pool.claim(1, Share::Memory(100), secret(1)).unwrap().lease;
    let one = pool.open(lease, &hex(1), "one").unwrap();
    let two = pool.open(lease, &hex(1), "two").unwrap();
    pool.reserve(lease, one, 0, 60).unwrap();
    pool.release(lease, two, 0, u64::MAX);
    assert_eq!(pool.usage(lease, 0).used, 60);
    assert!(pool.reserve(lease, two, 0, u64::MAX).is_err());
    assert!(pool.reserve(lease, two, 9, 1).is_err());
}

#[test]
fn a_secret_does_not_appear_in_debug_output() {
    assert!(!format!("{:?}", secret(0xab)).contains("ab"));
}

#[derive(Clone, Debug)]
enum Step {
    Claim(u32, u64),
    End(u64),
    Open(u64),
    Close(usize),
    Reserve(usize, u64),
    Release(usize, u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (1_u32..4, 1_u64..80).prop_map(|(devices, mib)| Step::Claim(devices, mib)),
        (1_u64..8).prop_map(Step::End),
        (1_u64..8).prop_map(Step::Open),
        (0_usize..8).prop_map(Step::Close),
        (0_usize..8, 0_u64..100 * MIB).prop_map(|(at, bytes)| Step::Reserve(at, bytes)),
        (0_usize..8, 0_u64..100 * MIB).prop_map(|(at, bytes)| Step::Release(at, bytes)),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_the_books_balance(steps in proptest::collection::vec(step(), 0..60)) {
        let mut pool = pool(&[100, 60, 100]);
        let mut open: Vec<(u64, SessionId)> = Vec::new();
        for (step, name) in steps.into_iter().zip(0..) {
            match step {
                Step::Claim(devices, mib) => {
                    let _ = pool.claim(devices, Share::Memory(mib), secret(1));
                }
                Step::End(lease) => {
                    for session in pool.sessions(lease) {
                        pool.close(lease, session);
                    }
                    open.retain(|&(of, _)| of != lease);
                    pool.end(lease);
                }
                Step::Open(lease) => {
                    if let Ok(session) = pool.open(lease, &hex(1), &format!("s{name}")) {
                        open.push((lease, session));
                    }
                }
                Step::Close(at) => if at < open.len() {
                    let (lease, session) = open.swap_remove(at);
                    pool.close(lease, session);
                },
                Step::Reserve(at, bytes) => if let Some(&(lease, session)) = open.get(at) {
                    let _ = pool.reserve(lease, session, 0, bytes);
                },
                Step::Release(at, bytes) => if let Some(&(lease, session)) = open.get(at) {
                    pool.release(lease, session, 0, bytes);
                },
            }
            for (at, device) in pool.devices.iter().enumerate() {
                let held = pool.leases.values().flat_map(|lease| &lease.shares);
                let granted: u64 = held.filter(|held| held.at == at).map(|held| held.limit).sum();
                prop_assert_eq!(granted + device.free, device.memory);
            }
            for lease in pool.leases.values() {
                for (at, held) in lease.shares.iter().enumerate() {
                    let used: u64 = lease.sessions.values().map(|s| s.reserved[at]).sum();
                    prop_assert_eq!(used, held.used);
                    prop_assert!(held.used <= held.limit);
                }
            }
        }
    }
}
