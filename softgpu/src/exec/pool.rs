//! Threads that help with launches: kept parked between them, because starting one costs more than
//! a small launch.
//!
//! Whoever launches works too, so a launch ends even if nobody helps; a helper that comes late
//! finds the work closed and turns away. A process that exits, or the child of a fork, owes them
//! nothing: a parked thread holds nothing, and a child makes no launches.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};

/// Calls `work` in this thread, with 0, and meanwhile in up to `helpers` others, with the numbers
/// after it. All calls have returned when this does.
pub(super) fn spread(helpers: usize, work: &(dyn Fn(usize) + Sync)) {
    // SAFETY: two pointer types that differ in a lifetime only; `Job::help` proves each use.
    let work_for_now = unsafe {
        std::mem::transmute::<*const (dyn Fn(usize) + Sync + '_), *const (dyn Fn(usize) + Sync)>(
            work,
        )
    };
    let job = Arc::new(Job {
        work: Work(work_for_now),
        state: Mutex::default(),
        left: Condvar::new(),
    });
    ask(&job, helpers);
    // Closes the job also when `work` panics here: only then may what it borrows go.
    let _close = Close(&job);
    work(0);
}

/// Work that is spread, for as long as it is open.
struct Job {
    work: Work,
    state: Mutex<State>,
    left: Condvar,
}

/// Borrowed by whoever called [`spread`], for longer than any helper is in it.
struct Work(*const (dyn Fn(usize) + Sync));

// SAFETY: what it points to is `Sync`, and is only called.
unsafe impl Send for Work {}
// SAFETY: as above.
unsafe impl Sync for Work {}

#[derive(Default)]
struct State {
    /// No helper may come any more.
    closed: bool,
    /// Helpers that came, and those still at work.
    came: usize,
    working: usize,
}

impl Job {
    fn help(&self) {
        let number = {
            let mut state = lock(&self.state);
            if state.closed {
                return;
            }
            state.working += 1;
            state.came += 1;
            state.came
        };
        // SAFETY: the job was open when this thread was counted as working, and whoever closes it
        // waits in `Close::drop` until none is, before `spread` gives back what `work` borrows.
        let work = unsafe { &*self.work.0 };
        // A helper outlives its jobs; work that panics reports it by itself.
        let _ = catch_unwind(AssertUnwindSafe(|| work(number)));
        lock(&self.state).working -= 1;
        self.left.notify_all();
    }
}

struct Close<'j>(&'j Arc<Job>);

impl Drop for Close<'_> {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        state.closed = true;
        while state.working > 0 {
            let woken = self.0.left.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
        }
        drop(state);
        lock(&POOL).asked.retain(|job| !Arc::ptr_eq(job, self.0));
    }
}

/// The threads of the process.
#[derive(Default)]
struct Pool {
    /// Jobs, once for each helper that is wanted.
    asked: VecDeque<Arc<Job>>,
    parked: usize,
    threads: usize,
}

static POOL: Mutex<Pool> = Mutex::new(Pool {
    asked: VecDeque::new(),
    parked: 0,
    threads: 0,
});
static ASKED: Condvar = Condvar::new();

fn ask(job: &Arc<Job>, helpers: usize) {
    let mut pool = lock(&POOL);
    pool.asked.extend((0..helpers).map(|_| Arc::clone(job)));
    let wanted = pool.asked.len().saturating_sub(pool.parked);
    let started = wanted.min(THREADS_MAX.saturating_sub(pool.threads));
    pool.threads += started;
    drop(pool);
    for _ in 0..helpers {
        ASKED.notify_one();
    }
    for _ in 0..started {
        let thread = std::thread::Builder::new().name("softgpu-worker".to_owned());
        if thread.spawn(serve).is_err() {
            // Fewer helpers, then.
            lock(&POOL).threads -= 1;
        }
    }
}

fn serve() {
    loop {
        let mut pool = lock(&POOL);
        let job = loop {
            if let Some(job) = pool.asked.pop_front() {
                break job;
            }
            if pool.parked >= *PARKED_MAX {
                pool.threads -= 1;
                return;
            }
            pool.parked += 1;
            pool = ASKED.wait(pool).unwrap_or_else(PoisonError::into_inner);
            pool.parked -= 1;
        };
        drop(pool);
        job.help();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Helpers of all launches together, of which many may run at once.
const THREADS_MAX: usize = 1024;
/// Those kept for the next launch: as many as can run.
static PARKED_MAX: LazyLock<usize> =
    LazyLock::new(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get));

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::sync::Barrier;

    #[test]
    fn everybody_who_is_asked_comes() {
        for round in 0..50 {
            let (meet, numbers) = (Barrier::new(5), Mutex::new(BTreeSet::new()));
            spread(4, &|number| {
                // Nobody gets past this alone.
                meet.wait();
                lock(&numbers).insert(number);
            });
            let numbers = numbers.into_inner().unwrap();
            assert_eq!(numbers, (0..5).collect(), "round {round}");
        }
        assert!(lock(&POOL).parked <= *PARKED_MAX);
    }

    #[test]
    fn work_is_over_when_the_call_returns() {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                std::thread::spawn(|| {
                    for _ in 0..500 {
                        let done = Mutex::new(vec![false; 4]);
                        spread(3, &|number| lock(&done)[number] = true);
                        // A helper that came too late would touch `done` after it is gone.
                        assert!(done.into_inner().unwrap()[0]);
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
    }

    #[test]
    fn a_panic_waits_for_the_helpers_and_spares_them() {
        let meet = Barrier::new(2);
        let result = catch_unwind(AssertUnwindSafe(|| {
            spread(1, &|_| {
                meet.wait();
                panic!("as the test wants");
            });
        }));
        assert!(result.is_err());
        let meet = Barrier::new(2);
        spread(1, &|_| {
            meet.wait();
        });
    }
}
