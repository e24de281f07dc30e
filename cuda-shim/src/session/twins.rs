//! Twins: memory of this process that kernels use, which is memory of the worker then.
//!
//! Both ends keep what they have last agreed on, the *base*. Before work is given to a device, what
//! differs from the base here is sent (`TWIN_WRITE`); once the process has waited for a device,
//! what differs from it there is fetched (`TWIN_FETCH`). That is coherence at calls, which is what
//! CUDA promises for a device without concurrent managed access.
//!
//! ```text
//!  launch, copy from or to a twin, wait:  scan ─▶ TWIN_WRITE ─▶ the record itself
//!  wait, query, copy to host:  the reply ─▶ TWIN_FETCH ─▶ merged, byte by byte
//! ```
//! The lock is held while one or the other is under way, so that the bases of both ends are equal
//! whenever it is free. A fetch waits for no work of a GPU, and a write for nothing but room in the
//! window, so the lock is never held for long.

#[expect(
    unsafe_code,
    reason = "compares and changes memory that the application uses"
)]
mod block;
#[expect(unsafe_code, reason = "asks the kernel which pages have been written")]
mod watch;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};

use flexdirect_wire::abi::{CuError, CuResult};
use flexdirect_wire::body::{TwinFetch, TwinFetched, TwinRun, session};
use flexdirect_wire::call::{Op, op};
use flexdirect_wire::limits::TWIN_RUNS_LEN;
use flexdirect_wire::record::{Reader, WireError, Writer};
use zerocopy::IntoBytes;

use super::{Issue, Session, lock};
use block::Scan;

pub(crate) use block::Block;

/// Every twin of the session.
#[derive(Debug, Default)]
pub(super) struct Twins {
    /// Number of blocks: all that a process without any looks at.
    count: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// By device address.
    blocks: BTreeMap<u64, Block>,
    /// Contexts that were given work whose end is not known, and the number of the last.
    at_work: HashMap<u64, u64>,
    last_work: u64,
    /// Calls that are giving work to a device now, and have not noted it yet.
    giving: usize,
}

impl State {
    /// Whether no device may be changing twins.
    fn is_idle(&self) -> bool {
        self.at_work.is_empty() && self.giving == 0
    }
}

/// While a call gives work to a device: that work may change twins before it is noted.
#[derive(Debug)]
pub(crate) struct Giving<'a> {
    session: &'a Session,
}

impl Drop for Giving<'_> {
    fn drop(&mut self) {
        self.session.twins.lock().giving -= 1;
    }
}

impl Twins {
    fn has_any(&self) -> bool {
        self.count.load(Ordering::Acquire) > 0
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Session {
    /// Takes a block in: the worker has its twin, and both are zeros as far as the bases know.
    pub(crate) fn add_twin(&self, block: Block) {
        let mut state = self.twins.lock();
        state.blocks.insert(block.device(), block);
        self.twins
            .count
            .store(state.blocks.len(), Ordering::Release);
    }

    /// Forgets the block at a device address: its memory is looked at no more. Whether there was
    /// one: the blocks of a context go with it.
    pub(crate) fn remove_twin(&self, device: u64) -> bool {
        self.keep_twins(|block| block.device() != device)
    }

    /// Forgets the blocks of a context that is gone.
    pub(super) fn forget_twins(&self, context: u64) {
        self.keep_twins(|block| block.context() != context);
        self.twins.lock().at_work.remove(&context);
    }

    fn keep_twins(&self, keeps: impl Fn(&Block) -> bool) -> bool {
        let mut state = self.twins.lock();
        let before = state.blocks.len();
        state.blocks.retain(|_, block| keeps(block));
        self.twins
            .count
            .store(state.blocks.len(), Ordering::Release);
        state.blocks.len() < before
    }

    /// Sends what the host has changed, before a launch gets its place in the order. What it
    /// returns is kept until that is noted.
    pub(super) fn before_work(&self, issue: Issue) -> Result<Option<Giving<'_>>, CuError> {
        if self.twins.has_any() && LAUNCHES.contains(&issue.op) {
            return self.send_twins(issue.lane).map(Some);
        }
        Ok(None)
    }

    /// Notes that a launch has its place in the order.
    pub(super) fn after_work(&self, issue: Issue) {
        if self.twins.has_any() && LAUNCHES.contains(&issue.op) {
            self.note_twin_work(issue.context);
        }
    }

    /// Notes that a context was given work that changes twins.
    pub(crate) fn note_twin_work(&self, context: u64) {
        let mut state = self.twins.lock();
        state.last_work += 1;
        let number = state.last_work;
        state.at_work.insert(context, number);
    }

    /// The work that was last given to a device before a call that waits for all of it. What is
    /// waited for may itself wait for a store of the host, so those go first.
    ///
    /// # Errors
    /// The code of a dead session.
    pub(super) fn before_wait(&self, issue: Issue) -> Result<u64, CuError> {
        if !self.twins.has_any() || !WAITS.contains(&issue.op) {
            return Ok(0);
        }
        let (last, is_idle) = {
            let state = self.twins.lock();
            (state.last_work, state.is_idle())
        };
        if !is_idle {
            drop(self.send_twins(issue.lane)?);
        }
        Ok(last)
    }

    /// Fetches what devices have changed, when a call that waits has succeeded. What it has waited
    /// for is done: everything of its context before `last`, or a part of that.
    pub(super) fn after_wait(&self, issue: Issue, status: u32, last: u64) -> CuResult {
        // Who asks in a loop may look for what a kernel tells meanwhile.
        let is_polling = issue.op == op::cuStreamQuery && status == NOT_READY;
        let is_wait = WAITS.contains(&issue.op) && (status == 0 || is_polling);
        if !self.twins.has_any() || !is_wait {
            return Ok(());
        }
        let mut state = self.twins.lock();
        if state.at_work.is_empty() {
            return Ok(());
        }
        if WAITS_FOR_ALL.contains(&issue.op) {
            let is_done = |&number: &u64| number <= last;
            if state.at_work.get(&issue.context).is_some_and(is_done) {
                state.at_work.remove(&issue.context);
            }
        }
        self.fetch(&mut state, issue.lane, (1, u64::MAX))
    }

    /// Sends what the host has changed, before a launch, or a copy or memset that uses a twin. What
    /// it returns is kept until that is noted.
    ///
    /// # Errors
    /// The code of a dead session.
    pub(crate) fn send_twins(&self, lane: u16) -> Result<Giving<'_>, CuError> {
        let mut state = self.twins.lock();
        let state = &mut *state;
        let issue = issue(session::TWIN_WRITE, lane);
        // Nothing of a device's is under way: then whole pages may go.
        let scan = if state.is_idle() {
            Scan::Pages
        } else {
            Scan::Bytes
        };
        let mut body = Vec::new();
        for block in state.blocks.values_mut() {
            block.changes(scan, |address, bytes| {
                let mut record = Writer::body(&mut body);
                let len = bytes.len() as u64;
                record.put(&TwinRun { address, len });
                record.raw(bytes);
                if body.len() < TWIN_RUNS_LEN {
                    return Ok(());
                }
                let sent = self.submit(issue, &body, None);
                body.clear();
                sent
            })?;
        }
        if !body.is_empty() {
            self.submit(issue, &body, None)?;
        }
        state.giving += 1;
        Ok(Giving { session: self })
    }

    /// Fetches what one twin holds that is not known here.
    ///
    /// # Errors
    /// The code of a dead session.
    pub(crate) fn fetch_twin(&self, lane: u16, address: u64, len: u64) -> CuResult {
        let mut state = self.twins.lock();
        self.fetch(&mut state, lane, (address, address.saturating_add(len)))
    }

    fn fetch(&self, state: &mut State, lane: u16, (from, to): (u64, u64)) -> CuResult {
        let mut from = from;
        while from != 0 {
            let ask = TwinFetch { from, to };
            let reply = self.call(issue(session::TWIN_FETCH, lane), ask.as_bytes())?;
            from = merge(state, &mut reply.made()?, from).map_err(|error| self.broken(&error))?;
        }
        Ok(())
    }
}

/// Takes what the device has changed into the blocks; returns where to go on.
fn merge(state: &mut State, reply: &mut Reader<'_>, from: u64) -> Result<u64, WireError> {
    let TwinFetched { next, runs } = reply.get()?;
    for _ in 0..runs {
        let run: TwinRun = reply.get()?;
        let bytes = reply.raw(usize::try_from(run.len).unwrap_or(usize::MAX))?;
        if let Some((_, block)) = state.blocks.range_mut(..=run.address).next_back() {
            block.merge(run.address, bytes);
        }
    }
    // A worker that does not get on would be asked for ever.
    Ok(if next > from { next } else { 0 })
}

fn issue(op: Op, lane: u16) -> Issue {
    Issue {
        op,
        lane,
        context: 0,
    }
}

/// Calls that start kernels.
const LAUNCHES: [Op; 3] = [op::cuLaunchKernel, op::cuLaunchKernelEx, op::cuGraphLaunch];

/// Calls after whose success the host may read what a device has written.
const WAITS: [Op; 10] = [
    op::cuCtxSynchronize,
    op::cuCtxSynchronize_v2,
    op::cuStreamSynchronize,
    op::cuStreamQuery,
    op::cuEventSynchronize,
    op::cuEventQuery,
    // A time between two events proves that both are complete.
    op::cuEventElapsedTime,
    op::cuEventElapsedTime_v2,
    op::cuMemcpyDtoH_v2,
    op::cuMemcpy3D_v2,
];

/// Those of them that wait for all work of the context.
const WAITS_FOR_ALL: [Op; 2] = [op::cuCtxSynchronize, op::cuCtxSynchronize_v2];

/// `CUDA_ERROR_NOT_READY`.
const NOT_READY: u32 = 600;

#[cfg(test)]
mod tests;
