//! The memory share as a worker sees it: every answer comes from the daemon.
//!
//! Each question carries a ticket; the worker's control thread hands the answers in, and the thread
//! that asked wakes up. What is reserved and not released comes back when the worker ends.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::share::{OverShare, Quota, Usage};
use crate::worker::channel::{Channel, ToDaemon};

/// The share of this worker's lease, asked for over the control channel.
#[derive(Debug)]
pub struct RemoteQuota {
    channel: Arc<Channel>,
    desk: Mutex<Desk>,
    answered: Condvar,
}

#[derive(Debug, Default)]
struct Desk {
    next_ticket: u64,
    answers: HashMap<u64, (bool, Usage)>,
    /// The daemon has gone: every question is answered with no.
    closed: bool,
}

impl RemoteQuota {
    /// A quota whose questions go out on `channel`.
    pub fn new(channel: Arc<Channel>) -> Self {
        Self {
            channel,
            desk: Mutex::default(),
            answered: Condvar::new(),
        }
    }

    /// Hands in the daemon's answer to a question.
    pub fn answer(&self, ticket: u64, granted: bool, usage: Usage) {
        self.desk().answers.insert(ticket, (granted, usage));
        self.answered.notify_all();
    }

    /// Says that no answer will come any more.
    pub fn close(&self) {
        self.desk().closed = true;
        self.answered.notify_all();
    }

    /// Asks and waits for the answer.
    fn ask(&self, question: impl FnOnce(u64) -> ToDaemon) -> Option<(bool, Usage)> {
        let ticket = {
            let mut desk = self.desk();
            desk.next_ticket += 1;
            desk.next_ticket
        };
        if self.channel.send(&question(ticket), None).is_err() {
            return None;
        }
        let mut desk = self.desk();
        loop {
            if let Some(answer) = desk.answers.remove(&ticket) {
                return Some(answer);
            }
            if desk.closed {
                return None;
            }
            desk = self
                .answered
                .wait(desk)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Quota for RemoteQuota {
    fn reserve(&self, device: u16, bytes: u64) -> Result<(), OverShare> {
        let answer = self.ask(|ticket| ToDaemon::Reserve {
            ticket,
            device,
            bytes,
        });
        match answer {
            Some((true, _)) => Ok(()),
            Some((false, usage)) => Err(OverShare {
                asked: bytes,
                used: usage.used,
                limit: usage.limit,
            }),
            None => Err(OverShare {
                asked: bytes,
                used: 0,
                limit: 0,
            }),
        }
    }

    fn release(&self, device: u16, bytes: u64) {
        // Fails only when the daemon has gone, and then nobody counts any more.
        let _ = self
            .channel
            .send(&ToDaemon::Release { device, bytes }, None);
    }

    fn usage(&self, device: u16) -> Usage {
        self.ask(|ticket| ToDaemon::Usage { ticket, device })
            .map_or_else(Usage::default, |(_, u)| u)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn answers_reach_whoever_asked_in_any_order() {
        let (daemon, worker) = Channel::pair().unwrap();
        let quota = Arc::new(RemoteQuota::new(Arc::new(worker)));
        let asking: Vec<_> = (0..4_u16)
            .map(|device| {
                let quota = Arc::clone(&quota);
                thread::spawn(move || (device, quota.reserve(device, 10)))
            })
            .collect();
        let mut questions: Vec<ToDaemon> =
            (0..4).map(|_| daemon.hear().unwrap().unwrap()).collect();
        questions.reverse();
        for question in questions {
            let ToDaemon::Reserve { ticket, device, .. } = question else {
                panic!("{question:?}")
            };
            quota.answer(
                ticket,
                device % 2 == 0,
                Usage {
                    used: 5,
                    limit: u64::from(device),
                },
            );
        }
        for thread in asking {
            let (device, result) = thread.join().unwrap();
            match result {
                Ok(()) => assert_eq!(device % 2, 0),
                Err(over) => assert_eq!(over.limit, u64::from(device)),
            }
        }
    }

    #[test]
    fn without_a_daemon_the_answer_is_no() {
        let (daemon, worker) = Channel::pair().unwrap();
        let quota = RemoteQuota::new(Arc::new(worker));
        drop(daemon);
        quota.close();
        assert!(quota.reserve(0, 1).is_err());
        assert_eq!(quota.usage(0), Usage::default());
    }
}
