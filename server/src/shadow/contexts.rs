//! What a session holds: contexts, the state of their streams, and what hangs on both.
//!
//! The worker knows of each stream whether work may be left on it, so that it asks the driver only
//! about those: a free of memory on an idle context is immediate, and a synchronisation of an idle
//! stream needs no helper thread.

use std::collections::HashMap;

use flexdirect_driver_abi::layout::KernelLayout;
use flexdirect_wire::abi::{CuContext, CuEvent, CuStream};
use flexdirect_wire::{CuError, CuResult, Kind, ShadowHandle};

use super::arrays::Arrays;
use super::graphs::Graphs;
use super::handles::Handles;
use super::images::Images;
use super::ranges::{Range, Ranges};
use super::spaces::Spaces;
use crate::driver::Driver;
use crate::driver::steps::{EVENT_OWN, Progress};
use crate::hand::pool::Pool;

/// Everything that a session holds, behind one short lock.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    /// Live objects.
    pub(crate) handles: Handles,
    /// Device memory that the client may name.
    pub(crate) ranges: Ranges,
    /// Blocks that the client could not use where they lie, with the context of each.
    pub(crate) decoys: Vec<Range>,
    /// Images on their way in.
    pub(crate) images: Images,
    /// Kernels of modules and libraries, where the driver is too old to tell their parameters.
    pub(crate) layouts: HashMap<ShadowHandle, Vec<KernelLayout>>,
    /// Arrays that the client has names for.
    pub(crate) arrays: Arrays,
    /// Virtual memory.
    pub(crate) spaces: Spaces,
    /// Memory pools that the client has names for.
    pub(crate) pools: HashMap<ShadowHandle, Pool>,
    /// Graphs, captures and the memory that they use.
    pub(crate) graphs: Graphs,
    contexts: Vec<Context>,
    streams: HashMap<ShadowHandle, Stream>,
    copies: Vec<HostCopy>,
    generation: u64,
}

/// One live context.
#[derive(Debug)]
pub(crate) struct Context {
    /// The client's name for it.
    pub(crate) name: ShadowHandle,
    /// The driver's handle.
    pub(crate) driver: CuContext,
    /// Device of the lease.
    pub(crate) device: u16,
    default: Usage,
    events: Vec<CuEvent>,
}

#[derive(Debug)]
struct Stream {
    driver: CuStream,
    context: ShadowHandle,
    is_blocking: bool,
    usage: Usage,
}

/// How far a stream has been used and is known to be done.
#[derive(Clone, Copy, Debug, Default)]
struct Usage {
    uses: u64,
    done: u64,
    /// Newest synchronous copy that it waits for.
    seen: u64,
}

/// One queue of work: a stream, or the default stream of a context where `stream` is null.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Queue {
    /// Its context.
    pub(crate) context: ShadowHandle,
    /// Its stream.
    pub(crate) stream: ShadowHandle,
    /// The driver's handle.
    pub(crate) driver: CuStream,
}

/// What a queue had been given at some moment: done when the queue has been waited for since.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    queue: Queue,
    uses: u64,
}

/// A copy that the client holds for done, since its call was synchronous, and that is still on its
/// way: what is used later waits for it.
#[derive(Clone, Copy, Debug)]
struct HostCopy {
    queue: Queue,
    is_blocking: bool,
    generation: u64,
    /// None as long as every stream that there is waits for it anyway.
    event: Option<CuEvent>,
}

impl Tables {
    /// The context of this name.
    pub(crate) fn context(&self, name: ShadowHandle) -> Option<&Context> {
        self.contexts.iter().find(|context| context.name == name)
    }

    /// All contexts.
    pub(crate) fn contexts(&self) -> &[Context] {
        &self.contexts
    }

    /// Enters a context.
    pub(crate) fn add_context(&mut self, name: ShadowHandle, driver: CuContext, device: u16) {
        let (default, events) = (Usage::default(), Vec::new());
        self.contexts.push(Context {
            name,
            driver,
            device,
            default,
            events,
        });
    }

    /// Forgets a context with everything that it owned; returns what goes back to the share by
    /// that, in bytes by device.
    pub(crate) fn remove_context(&mut self, name: ShadowHandle) -> Vec<(u16, u64)> {
        self.contexts.retain(|context| context.name != name);
        self.streams.retain(|_, stream| stream.context != name);
        let captures: Vec<_> = self.graphs.captures.keys().copied().collect();
        for stream in captures {
            if !self.streams.contains_key(&stream) {
                self.graphs.capture_lost(&mut self.handles, stream);
            }
        }
        self.graphs.forget_context(name);
        self.copies.retain(|copy| copy.queue.context != name);
        let mut freed = Vec::new();
        for (_, owned, _) in self.handles.remove_owned(name) {
            self.layouts.remove(&owned);
            if let Some(array) = self.arrays.remove(owned) {
                freed.push((array.device, array.reserved));
            }
        }
        let mut ranges = self.ranges.remove_owned(name);
        let owns = |range: &Range| {
            matches!(
                range.owner, super::ranges::Owner::Allocation { context, .. } if context == name
            )
        };
        ranges.extend(self.decoys.iter().filter(|range| owns(range)));
        self.decoys.retain(|range| !owns(range));
        let of_ranges = ranges.iter().filter_map(|range| {
            let device = range.device()?;
            Some((device, range.reserved()))
        });
        freed.extend(of_ranges);
        freed
    }

    /// Enters a stream whose handle is in the table already.
    ///
    /// # Errors
    /// What the driver says to the record of an event.
    pub(crate) fn add_stream(
        &mut self,
        driver: &Driver,
        name: ShadowHandle,
        stream: (CuStream, ShadowHandle),
        is_blocking: bool,
    ) -> CuResult {
        let (stream, context) = stream;
        let usage = Usage::default();
        self.streams.insert(
            name,
            Stream {
                driver: stream,
                context,
                is_blocking,
                usage,
            },
        );
        if is_blocking {
            Ok(())
        } else {
            self.record_copies(driver, context)
        }
    }

    /// Forgets a stream.
    pub(crate) fn remove_stream(&mut self, name: ShadowHandle) -> Option<CuStream> {
        self.handles.remove(Kind::STREAM, name)?;
        self.graphs.capture_lost(&mut self.handles, name);
        self.streams.remove(&name).map(|stream| stream.driver)
    }

    /// The queue that a call names: a stream, or the default stream of `context`.
    ///
    /// # Errors
    /// `INVALID_HANDLE` for a stream that is none; `INVALID_CONTEXT` for the default stream of no
    /// context.
    pub(crate) fn queue(
        &self,
        context: ShadowHandle,
        stream: ShadowHandle,
    ) -> Result<Queue, CuError> {
        if stream.is_null() {
            let driver = CuStream::default();
            let known = self.context(context).ok_or(CuError::INVALID_CONTEXT)?;
            return Ok(Queue {
                context: known.name,
                stream,
                driver,
            });
        }
        let object = self
            .handles
            .find(Kind::STREAM, stream)
            .ok_or(CuError::INVALID_HANDLE)?;
        Ok(Queue {
            context: object.context,
            stream,
            driver: CuStream(object.driver),
        })
    }

    /// The queue that a call puts work on: marked as used, and made to wait for the synchronous
    /// copies that came before.
    ///
    /// # Errors
    /// As [`Tables::queue`]; what the driver says to the waits.
    pub(crate) fn use_queue(
        &mut self,
        driver: &Driver,
        context: ShadowHandle,
        stream: ShadowHandle,
    ) -> Result<Queue, CuError> {
        let queue = self.queue(context, stream)?;
        if self.is_captured(driver, queue) {
            // Nothing is done now, and a wait would become part of the graph.
            return Ok(queue);
        }
        let newest = self.generation;
        let has_copies = !self.copies.is_empty();
        let Some(usage) = self.usage(queue) else {
            return Ok(queue);
        };
        usage.uses += 1;
        let seen = std::mem::replace(&mut usage.seen, newest);
        if has_copies && seen < newest {
            self.await_copies(driver, queue, seen)?;
        }
        Ok(queue)
    }

    /// What a queue has been given so far.
    pub(crate) fn mark(&mut self, queue: Queue) -> Mark {
        let uses = self.usage(queue).map_or(0, |usage| usage.uses);
        Mark { queue, uses }
    }

    /// What all queues of a context have been given so far and may still be at work on.
    pub(crate) fn marks(&mut self, context: ShadowHandle) -> Vec<Mark> {
        let default = Queue {
            context,
            stream: ShadowHandle::NULL,
            driver: CuStream::default(),
        };
        let streams = self
            .streams
            .iter()
            .filter(|(_, stream)| stream.context == context);
        let streams = streams.map(|(&name, stream)| Queue {
            context,
            stream: name,
            driver: stream.driver,
        });
        let queues: Vec<Queue> = std::iter::once(default).chain(streams).collect();
        let marks = queues.into_iter().filter_map(|queue| {
            let Usage { uses, done, .. } = *self.usage(queue)?;
            (uses > done).then_some(Mark { queue, uses })
        });
        marks.collect()
    }

    /// What a mark stands for has been waited for.
    pub(crate) fn done(&mut self, mark: Mark) {
        if let Some(usage) = self.usage(mark.queue) {
            usage.done = usage.done.max(mark.uses);
        }
    }

    /// The queues of a context that are at work. The context must be current.
    ///
    /// # Errors
    /// What the driver says, which is what any later call would hear too.
    pub(crate) fn busy(
        &mut self,
        driver: &Driver,
        context: ShadowHandle,
    ) -> Result<Vec<CuStream>, CuError> {
        let mut busy = Vec::new();
        for mark in self.marks(context) {
            if self.is_captured(driver, mark.queue) {
                // A question would end the capture.
                continue;
            }
            match driver.query_stream(mark.queue.driver)? {
                Progress::Busy => busy.push(mark.queue.driver),
                Progress::Done => self.done(mark),
            }
        }
        Ok(busy)
    }

    /// An event of the worker's own in the context that is current.
    ///
    /// # Errors
    /// What the driver says.
    pub(crate) fn take_event(
        &mut self,
        driver: &Driver,
        context: ShadowHandle,
    ) -> Result<CuEvent, CuError> {
        let known = self.contexts.iter_mut().find(|known| known.name == context);
        match known.and_then(|known| known.events.pop()) {
            Some(event) => Ok(event),
            None => driver.create_event(EVENT_OWN),
        }
    }

    /// Gives an event back that nobody waits for any more.
    pub(crate) fn give_event(&mut self, context: ShadowHandle, event: CuEvent) {
        if let Some(known) = self.contexts.iter_mut().find(|known| known.name == context) {
            known.events.push(event);
        }
    }

    /// A synchronous copy has been put on `queue`, in the context that is current: what is used
    /// later waits for it.
    ///
    /// # Errors
    /// What the driver says to the record of an event.
    pub(crate) fn add_copy(&mut self, driver: &Driver, queue: Queue) -> CuResult {
        self.generation += 1;
        let generation = self.generation;
        let is_blocking = self
            .streams
            .get(&queue.stream)
            .is_none_or(|stream| stream.is_blocking);
        let at = self.copies.iter().position(|copy| copy.queue == queue);
        let mut copy = HostCopy {
            queue,
            is_blocking,
            generation,
            event: None,
        };
        if let Some(at) = at {
            copy.event = self.copies.swap_remove(at).event;
        } else {
            self.forget_finished(driver);
        }
        if let Some(usage) = self.usage(queue) {
            // A copy of another dispatcher may have come since the queue was used for this one.
            if usage.seen + 1 == generation {
                usage.seen = generation;
            }
        }
        if copy.event.is_some() || self.needs_event(&copy) {
            let event = match copy.event {
                Some(event) => event,
                None => self.take_event(driver, queue.context)?,
            };
            driver.record_event(event, queue.driver)?;
            copy.event = Some(event);
        }
        self.copies.push(copy);
        Ok(())
    }

    /// Whether some stream does not wait for this copy by itself.
    fn needs_event(&self, copy: &HostCopy) -> bool {
        let is_default = copy.queue.stream.is_null();
        // A stream may be gone when its copy's event is needed.
        self.contexts.len() > 1
            || !is_default
            || self.streams.values().any(|stream| !stream.is_blocking)
    }

    /// Records the events of copies that had none, before a stream comes that needs them.
    fn record_copies(&mut self, driver: &Driver, context: ShadowHandle) -> CuResult {
        for at in 0..self.copies.len() {
            let copy = self.copies[at];
            if copy.event.is_none() && copy.queue.context == context {
                let event = self.take_event(driver, context)?;
                driver.record_event(event, copy.queue.driver)?;
                self.copies[at].event = Some(event);
            }
        }
        Ok(())
    }

    /// A context is about to be entered, whose streams wait for no copy of the others by
    /// themselves. Leaves any context current.
    pub(crate) fn prepare_context(&mut self, driver: &Driver) {
        let names: Vec<_> = self
            .contexts
            .iter()
            .map(|known| (known.name, known.driver))
            .collect();
        for (name, context) in names {
            let recorded = driver
                .set_current(context)
                .and_then(|()| self.record_copies(driver, name));
            if let Err(error) = recorded {
                tracing::debug!("copies of {name:?} are not waited for elsewhere: {error:?}");
            }
        }
    }

    fn await_copies(&mut self, driver: &Driver, queue: Queue, seen: u64) -> CuResult {
        self.forget_finished(driver);
        let is_blocking = self
            .streams
            .get(&queue.stream)
            .is_none_or(|stream| stream.is_blocking);
        for copy in &self.copies {
            let shares_context = copy.queue.context == queue.context;
            let has_default = copy.queue.stream.is_null() || queue.stream.is_null();
            let waits_anyway = shares_context && has_default && copy.is_blocking && is_blocking;
            let event = copy
                .event
                .filter(|_| copy.generation > seen && copy.queue != queue && !waits_anyway);
            if let Some(event) = event {
                driver.wait_event(queue.driver, event)?;
            }
        }
        Ok(())
    }

    fn forget_finished(&mut self, driver: &Driver) {
        let mut at = 0;
        while let Some(&copy) = self.copies.get(at) {
            match copy.event {
                Some(event) if driver.query_event(event) == Ok(Progress::Done) => {
                    self.copies.swap_remove(at);
                    self.give_event(copy.queue.context, event);
                }
                _ => at += 1,
            }
        }
    }

    fn usage(&mut self, queue: Queue) -> Option<&mut Usage> {
        if queue.stream.is_null() {
            let known = self
                .contexts
                .iter_mut()
                .find(|known| known.name == queue.context)?;
            return Some(&mut known.default);
        }
        self.streams
            .get_mut(&queue.stream)
            .map(|stream| &mut stream.usage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_busy_until_its_mark_is_done() {
        let mut tables = Tables::default();
        let name = ShadowHandle::primary_context(0);
        tables.add_context(name, CuContext(7), 0);
        assert!(tables.marks(name).is_empty());
        let queue = tables.queue(name, ShadowHandle::NULL).unwrap();
        tables.usage(queue).unwrap().uses += 1;
        let mark = tables.mark(queue);
        tables.usage(queue).unwrap().uses += 1;
        tables.done(mark);
        assert_eq!(tables.marks(name).len(), 1, "used again since");
        let mark = tables.mark(queue);
        tables.done(mark);
        assert!(tables.marks(name).is_empty());
        assert_eq!(
            tables.queue(ShadowHandle::NULL, ShadowHandle::NULL),
            Err(CuError::INVALID_CONTEXT)
        );
    }
}
