//! One launch of an executable graph: steps in dependency order, those that are ready at the same
//! time on threads of their own, as a device with several queues would.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use flexdirect_wire::abi::{CuError, CuResult};

use super::About;
use super::exec::Plan;
use crate::context::Context;
use crate::event::Moment;
use crate::raw::{self, lock};

/// A launch. Whatever becomes of it, what others may wait for is reached when it goes.
#[derive(Debug)]
pub(super) struct Run {
    plan: Arc<Plan>,
    /// Of each step that is an event.
    moments: Vec<Option<Arc<Moment>>>,
    end: Arc<Moment>,
    /// Whose end, and the failure of another step, end the waits of steps.
    context: Weak<Context>,
    has_failed: AtomicBool,
}

/// What is done and what can be done.
struct Progress {
    /// Of each step, how many it still waits for.
    missing: Vec<usize>,
    ready: VecDeque<usize>,
    left: usize,
    result: CuResult,
}

impl Run {
    /// A launch of now: its events are recorded, as far as others can see.
    pub(super) fn new(plan: Arc<Plan>, context: &Arc<Context>) -> Self {
        let moment = |about: &About| match about {
            About::Record(event) => {
                let moment = Arc::new(Moment::default());
                event.set_latest(Arc::clone(&moment));
                Some(moment)
            }
            About::Wait(event) => event.latest(),
            _ => None,
        };
        let moments = plan.steps.iter().map(|step| moment(&step.action.about));
        Self {
            moments: moments.collect(),
            plan,
            end: Arc::default(),
            context: Arc::downgrade(context),
            has_failed: AtomicBool::new(false),
        }
    }

    /// Reached when it is over.
    pub(super) fn end(&self) -> Arc<Moment> {
        Arc::clone(&self.end)
    }

    /// Executes all steps, or up to the first that fails.
    ///
    /// # Errors
    /// The fault.
    pub(super) fn execute(&self) -> CuResult {
        if self.plan.width <= 1 {
            return (0..self.plan.steps.len()).try_for_each(|step| self.step(step));
        }
        let steps = &self.plan.steps;
        let missing: Vec<usize> = steps.iter().map(|step| step.before.len()).collect();
        let ready = (0..steps.len()).filter(|&step| missing[step] == 0);
        let progress = Mutex::new(Progress {
            ready: ready.collect(),
            missing,
            left: steps.len(),
            result: Ok(()),
        });
        let changed = Condvar::new();
        std::thread::scope(|scope| {
            for _ in 1..self.plan.width.min(WORKERS_MAX) {
                let helper = std::thread::Builder::new().name("softgpu-graph".to_owned());
                // With fewer threads the steps are done all the same.
                let _ = helper.spawn_scoped(scope, || {
                    raw::block_signals();
                    self.work(&progress, &changed);
                });
            }
            self.work(&progress, &changed);
        });
        lock(&progress).result
    }

    /// Executes steps that are ready until there are none left.
    fn work(&self, progress: &Mutex<Progress>, changed: &Condvar) {
        let mut now = lock(progress);
        while now.left > 0 && now.result.is_ok() {
            let Some(step) = now.ready.pop_front() else {
                let woken = changed.wait(now);
                now = woken.unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            drop(now);
            let done = std::panic::AssertUnwindSafe(|| self.step(step));
            let unknown = Err(CuError::UNKNOWN);
            let result = std::panic::catch_unwind(done).unwrap_or(unknown);
            now = lock(progress);
            now.left -= 1;
            if result.is_err() {
                self.has_failed.store(true, Ordering::Relaxed);
            }
            if now.result.is_ok() {
                now.result = result;
            }
            for (index, after) in self.plan.steps.iter().enumerate().skip(step + 1) {
                let waits = after
                    .before
                    .iter()
                    .filter(|&&before| before == step)
                    .count();
                if waits > 0 {
                    now.missing[index] -= waits;
                    if now.missing[index] == 0 {
                        now.ready.push_back(index);
                    }
                }
            }
            changed.notify_all();
        }
    }

    /// Whether nobody needs what is left any more: what a step waits for may then never come.
    fn is_given_up(&self) -> bool {
        let context = self.context.upgrade();
        let is_ended = context.is_none_or(|own| own.cancel.load(Ordering::Relaxed));
        is_ended || self.has_failed.load(Ordering::Relaxed)
    }

    fn step(&self, index: usize) -> CuResult {
        let step = &self.plan.steps[index];
        match (&step.action.about, &self.moments[index]) {
            (About::Record(_), Some(moment)) => moment.reach(Instant::now()),
            (About::Wait(_), Some(moment)) => {
                while !moment.wait_until(Instant::now() + LOOK) {
                    if self.is_given_up() {
                        return Err(CuError::CONTEXT_IS_DESTROYED);
                    }
                }
            }
            _ => {}
        }
        let Some(body) = step.action.body.as_ref().filter(|_| step.is_enabled) else {
            return Ok(());
        };
        let result = body();
        if let (Err(fault), Some(context)) = (result, &step.action.context) {
            context.poison(fault);
        }
        result
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let steps = self.plan.steps.iter().zip(&self.moments);
        for (step, moment) in steps {
            if let (About::Record(_), Some(moment)) = (&step.action.about, moment) {
                moment.reach_if_not(Instant::now());
            }
        }
        self.end.reach_if_not(Instant::now());
    }
}

/// Threads of one launch.
const WORKERS_MAX: usize = 16;

/// How long a step waits before it looks whether the launch has been given up.
const LOOK: Duration = Duration::from_millis(50);
