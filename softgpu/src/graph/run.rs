//! One launch of an executable graph: steps in dependency order, those that are ready at the same
//! time on threads of their own, as a device with several queues would.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::thread::Scope;
use std::time::Instant;

use flexdirect_wire::abi::{CuError, CuResult};

use super::About;
use super::exec::Plan;
use crate::bell::Bell;
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
    /// Wakes its workers.
    bell: Arc<Bell>,
    has_failed: AtomicBool,
}

/// What is done and what can be done.
struct Progress {
    /// Of each step, how many it still waits for.
    missing: Vec<usize>,
    ready: VecDeque<usize>,
    /// Steps that are ready but for the event that they wait for.
    waiting: Vec<usize>,
    left: usize,
    /// Threads that execute steps or could.
    workers: usize,
    sleeping: usize,
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
            bell: Arc::default(),
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
        if let Some(context) = self.context.upgrade() {
            context.hang(&self.bell);
        }
        if self.plan.width <= 1 {
            return (0..self.plan.steps.len()).try_for_each(|step| {
                self.wait(step)?;
                self.step(step)
            });
        }
        let steps = &self.plan.steps;
        let missing: Vec<usize> = steps.iter().map(|step| step.before.len()).collect();
        let ready = (0..steps.len()).filter(|&step| missing[step] == 0);
        let progress = Mutex::new(Progress {
            ready: ready.collect(),
            waiting: Vec::new(),
            missing,
            left: steps.len(),
            workers: 1,
            sleeping: 0,
            result: Ok(()),
        });
        std::thread::scope(|scope| self.work(scope, &progress));
        lock(&progress).result
    }

    /// Executes steps that are ready until there are none left, with another worker for what is
    /// ready at the same time.
    fn work<'s>(&'s self, scope: &'s Scope<'s, '_>, progress: &'s Mutex<Progress>) {
        loop {
            let seen = self.bell.rings();
            let mut now = lock(progress);
            self.look(&mut now);
            if now.left == 0 || now.result.is_err() {
                return;
            }
            let Some(step) = now.ready.pop_front() else {
                now.sleeping += 1;
                drop(now);
                self.bell.wait(seen);
                lock(progress).sleeping -= 1;
                continue;
            };
            let is_blocking = self.is_blocking(step);
            // One that waits for what another step does is not counted: however many wait, there
            // is a worker for that step.
            now.workers -= usize::from(is_blocking);
            let needs_more = is_blocking || !now.ready.is_empty();
            let is_short = now.sleeping == 0 && now.workers < WORKERS_MAX;
            if needs_more && is_short {
                now.workers += 1;
                let helper = std::thread::Builder::new().name("softgpu-graph".to_owned());
                let started = helper.spawn_scoped(scope, || {
                    raw::block_signals();
                    self.work(scope, progress);
                });
                // With fewer threads the steps are done all the same.
                now.workers -= usize::from(started.is_err());
            }
            drop(now);
            let done = std::panic::AssertUnwindSafe(|| self.step(step));
            let unknown = Err(CuError::UNKNOWN);
            let result = std::panic::catch_unwind(done).unwrap_or(unknown);
            let mut now = lock(progress);
            now.workers += usize::from(is_blocking);
            self.finish(&mut now, step, result);
            drop(now);
            self.bell.ring();
        }
    }

    /// Takes note of what steps wait for: those that wait for an event need no worker.
    fn look(&self, now: &mut Progress) {
        loop {
            let all = std::mem::take(&mut now.ready).into_iter();
            let (mut over, mut ready) = (Vec::new(), VecDeque::new());
            for step in all.chain(std::mem::take(&mut now.waiting)) {
                match self.moment_before(step) {
                    None => ready.push_back(step),
                    Some(moment) if moment.reached().is_some() => over.push(step),
                    Some(moment) => {
                        moment.hang(&self.bell);
                        // Should it have been reached meanwhile, the bell need not ring.
                        if moment.reached().is_some() {
                            over.push(step);
                        } else {
                            now.waiting.push(step);
                        }
                    }
                }
            }
            now.ready = ready;
            if now.left > 0 && now.result.is_ok() && !now.waiting.is_empty() && self.is_given_up() {
                now.result = Err(CuError::CONTEXT_IS_DESTROYED);
                self.bell.ring();
            }
            if over.is_empty() {
                return;
            }
            for step in over {
                self.finish(now, step, Ok(()));
            }
            self.bell.ring();
        }
    }

    /// Takes note that a step is done.
    fn finish(&self, now: &mut Progress, step: usize, result: CuResult) {
        now.left -= 1;
        if result.is_err() {
            self.has_failed.store(true, Ordering::Relaxed);
        }
        if now.result.is_ok() {
            now.result = result;
        }
        for (index, after) in self.plan.steps.iter().enumerate().skip(step + 1) {
            let waits = after.before.iter().filter(|&&before| before == step);
            let waits = waits.count();
            if waits > 0 {
                now.missing[index] -= waits;
                if now.missing[index] == 0 {
                    now.ready.push_back(index);
                }
            }
        }
    }

    /// Whether a step may take until another one is done.
    fn is_blocking(&self, step: usize) -> bool {
        matches!(self.plan.steps[step].action.about, About::Batch(_))
    }

    /// What a step waits for, if it is the wait for an event.
    fn moment_before(&self, step: usize) -> Option<&Arc<Moment>> {
        let is_wait = matches!(self.plan.steps[step].action.about, About::Wait(_));
        self.moments[step].as_ref().filter(|_| is_wait)
    }

    /// Waits for what a step waits for.
    fn wait(&self, step: usize) -> CuResult {
        let Some(moment) = self.moment_before(step) else {
            return Ok(());
        };
        moment.hang(&self.bell);
        loop {
            let seen = self.bell.rings();
            if moment.reached().is_some() {
                return Ok(());
            }
            if self.is_given_up() {
                return Err(CuError::CONTEXT_IS_DESTROYED);
            }
            self.bell.wait(seen);
        }
    }

    /// Whether nobody needs what is left any more: what a step waits for may then never come.
    fn is_given_up(&self) -> bool {
        let context = self.context.upgrade();
        let is_ended = context.is_none_or(|own| own.is_cancelled());
        is_ended || self.has_failed.load(Ordering::Relaxed)
    }

    fn step(&self, index: usize) -> CuResult {
        let step = &self.plan.steps[index];
        if let (About::Record(_), Some(moment)) = (&step.action.about, &self.moments[index]) {
            moment.reach(Instant::now());
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

/// Threads of one launch, beside those whose steps wait.
const WORKERS_MAX: usize = 16;
