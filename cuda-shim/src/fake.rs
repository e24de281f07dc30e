//! A worker for the tests of this crate: it follows the protocol over the in-process link, with
//! bytes for memory and no driver. What it was sent is kept for the test to look at.

mod addresses;

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use flexdirect_transport::memory::{MemoryLink, pair};
use flexdirect_transport::{Destination, Error, Lanes, Link, Sink, Span};
use flexdirect_wire::abi::CuDeviceAttribute as Attribute;
use flexdirect_wire::body::*;
use flexdirect_wire::call::{Op, op};
use flexdirect_wire::control::{Device, Snapshot, VERSION};
use flexdirect_wire::limits::CHUNK_LEN;
use flexdirect_wire::record::{Reader, RecordHeader, ReplyHeader, Writer, split_record};
use zerocopy::IntoBytes;

use crate::objects::Context;
use crate::process::Process;
use crate::session::Session;
use crate::thread;

/// A process of its own for a test, and the worker that it is connected to.
pub(crate) struct Fake {
    pub(crate) process: &'static Process,
    pub(crate) link: Arc<MemoryLink>,
    shared: Arc<Shared>,
}

/// A record as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) header: RecordHeader,
    pub(crate) body: Vec<u8>,
    /// Number of the batch that it came in.
    pub(crate) batch: usize,
}

impl Seen {
    pub(crate) fn op(&self) -> Op {
        Op(self.header.op)
    }

    pub(crate) fn reader(&self) -> Reader<'_> {
        Reader::new(&self.body)
    }
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    is_held: bool,
    seen: Vec<Seen>,
    /// Status with which the next record of this op ends.
    failures: HashMap<u16, u32>,
    /// Addresses that the next allocations are given.
    addresses: Vec<u64>,
    decoys: Vec<u64>,
}

impl Fake {
    /// A process with one device whose primary context is current in the calling thread.
    pub(crate) fn start() -> Self {
        let (ours, theirs) = pair();
        let snapshot = snapshot(1);
        let session = Session::start(ours, "test:1".to_owned(), &snapshot).unwrap();
        let process: &Process = Box::leak(Box::new(Process::new(session, &snapshot, None)));
        let shared = Arc::new(Shared::default());
        let mut worker = Worker::new(Arc::clone(&theirs), Arc::clone(&shared));
        std::thread::spawn(move || worker.run());
        let fake = Self {
            process,
            link: theirs,
            shared,
        };
        fake.context().set_active(true);
        fake.enter();
        fake
    }

    /// Makes the process that of the calling thread, with its context current.
    pub(crate) fn enter(&self) {
        CURRENT.set(Some(self.process));
        thread::replace(Some(self.context()));
    }

    pub(crate) fn context(&self) -> Arc<Context> {
        Arc::clone(&self.process.primaries[0])
    }

    /// Keeps the worker from executing anything.
    pub(crate) fn hold(&self) {
        self.state().is_held = true;
    }

    pub(crate) fn release(&self) {
        self.state().is_held = false;
        self.shared.changed.notify_all();
    }

    /// Lets the next record of an op fail.
    pub(crate) fn fail(&self, op: Op, status: u32) {
        self.state().failures.insert(op.0, status);
    }

    /// Addresses that the next allocations are given, the last first.
    pub(crate) fn give(&self, addresses: &[u64]) {
        self.state().addresses = addresses.to_vec();
    }

    pub(crate) fn decoys(&self) -> Vec<u64> {
        self.state().decoys.clone()
    }

    /// Waits until `count` records have come, and returns all that have.
    pub(crate) fn seen(&self, count: usize) -> Vec<Seen> {
        let mut state = self.state();
        while state.seen.len() < count {
            state = self.shared.changed.wait(state).unwrap();
        }
        state.seen.clone()
    }

    /// How many records of an op have come.
    pub(crate) fn count(&self, op: Op) -> usize {
        self.state()
            .seen
            .iter()
            .filter(|seen| seen.op() == op)
            .count()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.lock()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The process of the calling thread's test.
pub(crate) fn process() -> Option<&'static Process> {
    CURRENT.get()
}

thread_local! {
    static CURRENT: Cell<Option<&'static Process>> = const { Cell::new(None) };
}

/// What a worker with some devices tells.
pub(crate) fn snapshot(devices: u8) -> Snapshot {
    let attributes = [
        (Attribute::MAX_THREADS_PER_BLOCK, 1024),
        (Attribute::MAX_BLOCK_DIM_X, 1024),
        (Attribute::MAX_BLOCK_DIM_Y, 1024),
        (Attribute::MAX_BLOCK_DIM_Z, 64),
        (Attribute::MAX_GRID_DIM_X, i32::MAX),
        (Attribute::MAX_GRID_DIM_Y, 65_535),
        (Attribute::MAX_GRID_DIM_Z, 65_535),
        (Attribute::WARP_SIZE, 32),
        (Attribute::PAGEABLE_MEMORY_ACCESS, 1),
    ];
    let device = |index| Device {
        name: format!("Fake {index}"),
        uuid: [index; 16],
        memory: 1 << 30,
        attributes: attributes
            .iter()
            .map(|&(attribute, value)| (attribute.0, value))
            .collect(),
        priorities: (0, -5),
        pci: "0000:01:00.0".to_owned(),
    };
    Snapshot {
        version: VERSION,
        server_version: "test".to_owned(),
        driver_version: 13_050,
        slab_len: SLAB_LEN as u64,
        devices: (0..devices).map(device).collect(),
    }
}

/// Two pieces: what is longer needs room that was freed.
const SLAB_LEN: usize = 2 * CHUNK_LEN;

struct Worker {
    link: Arc<MemoryLink>,
    shared: Arc<Shared>,
    slab: Vec<u8>,
    pieces: Pieces,
    memory: BTreeMap<u64, Vec<u8>>,
    executed: u64,
    deferred: HashMap<u32, u32>,
    next_handle: u64,
}

/// Pieces in the slab: they come in the order of their positions and become free in it.
#[derive(Default)]
struct Pieces {
    /// End of the last piece that came.
    end: u64,
    /// End of each piece, and whether its record has been executed.
    live: VecDeque<(u64, bool)>,
}

/// What has come and is not executed.
struct Inbox<'a> {
    slab: &'a mut Vec<u8>,
    pieces: &'a mut Pieces,
    batches: Vec<Vec<u8>>,
}

impl Sink for Inbox<'_> {
    fn batch(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.batches.push(bytes.to_vec());
        Ok(())
    }

    fn destination(&mut self, span: Span) -> Result<Destination, Error> {
        if span.region != 0 || span.offset < self.pieces.end {
            return Err(Error::protocol(format!("bulk out of order: {span:?}")));
        }
        self.pieces.end = span.offset + span.len;
        self.pieces.live.push_back((self.pieces.end, false));
        let start = usize::try_from(span.offset).unwrap() % SLAB_LEN;
        let len = usize::try_from(span.len).unwrap();
        let target = &mut self.slab[start..start + len];
        #[expect(unsafe_code, reason = "names the slab of the test to the link")]
        // SAFETY: the slab outlives the link's call, and nothing else touches it meanwhile.
        Ok(unsafe { Destination::new(target.as_mut_ptr(), len) })
    }

    fn landed(&mut self, _: Span) -> Result<(), Error> {
        Ok(())
    }

    fn side(&mut self, _: &[u8]) -> Result<(), Error> {
        Ok(())
    }
}

impl Worker {
    fn new(link: Arc<MemoryLink>, shared: Arc<Shared>) -> Self {
        Self {
            link,
            shared,
            slab: vec![0; SLAB_LEN],
            pieces: Pieces::default(),
            memory: BTreeMap::new(),
            executed: 0,
            deferred: HashMap::new(),
            next_handle: 0x5000,
        }
    }

    fn run(&mut self) {
        let mut batch_number = 0;
        loop {
            let mut inbox = Inbox {
                slab: &mut self.slab,
                pieces: &mut self.pieces,
                batches: Vec::new(),
            };
            if self.link.receive(Lanes::Both, &mut inbox).is_err() {
                return;
            }
            for batch in inbox.batches {
                if self.execute(&batch, batch_number).is_err() {
                    return;
                }
                batch_number += 1;
            }
        }
    }

    fn execute(&mut self, batch: &[u8], number: usize) -> Result<(), Error> {
        let mut rest = batch;
        let mut replies = Vec::new();
        let mut told = 0;
        while !rest.is_empty() {
            let record = split_record(&mut rest).expect("the client sends whole records");
            let seen = Seen {
                header: record.header,
                body: record.body.to_vec(),
                batch: number,
            };
            assert_eq!(
                seen.header.sequence,
                self.executed + 1,
                "the order has no holes"
            );
            let mut state = self.shared.lock();
            state.seen.push(seen.clone());
            self.shared.changed.notify_all();
            while state.is_held {
                state = self.shared.changed.wait(state).unwrap();
            }
            let failure = state.failures.remove(&seen.header.op);
            drop(state);
            let (status, body) = match failure {
                Some(status) => (status, Vec::new()),
                None => (0, self.call(&seen)?),
            };
            self.executed = seen.header.sequence;
            if record.is_awaited() {
                self.reply(&mut replies, &seen, status, &body);
                told = self.executed;
            } else if status != 0 {
                self.deferred.insert(seen.header.thread, status);
            }
        }
        if told < self.executed {
            let header = ReplyHeader {
                executed: self.executed,
                ..Default::default()
            };
            Writer::reply(&mut replies, header).finish().unwrap();
        }
        self.link.post(&replies)
    }

    fn reply(&mut self, replies: &mut Vec<u8>, seen: &Seen, status: u32, body: &[u8]) {
        let header = ReplyHeader {
            status,
            sequence: seen.header.sequence,
            executed: self.executed,
            deferred: self.deferred.remove(&seen.header.thread).unwrap_or(0),
            ..Default::default()
        };
        let mut reply = Writer::reply(replies, header);
        reply.raw(body);
        reply.finish().unwrap();
    }

    /// The body of the reply.
    fn call(&mut self, seen: &Seen) -> Result<Vec<u8>, Error> {
        let mut body = seen.reader();
        Ok(match seen.op() {
            op::cuMemAlloc_v2 => self.allocate(&body.get().unwrap()).as_bytes().to_vec(),
            op::cuMemAddressReserve => self.reserve(&body.get().unwrap()),
            op::cuMemcpyHtoD_v2 | op::cuMemcpyHtoDAsync_v2 => {
                self.copy_in(&body.get().unwrap(), &mut body)?;
                Vec::new()
            }
            op::cuMemcpyDtoH_v2 | op::cuMemcpyDtoHAsync_v2 => {
                self.copy_out(&body.get().unwrap())?
            }
            session::IMAGE_PIECE => {
                let piece: ImagePiece = body.get().unwrap();
                if piece.inline == 0 {
                    self.free_slab(piece.position + piece.len)?;
                }
                Vec::new()
            }
            op::cuModuleLoadData | op::cuLibraryLoadData | op::cuCtxCreate_v2 => {
                self.handle().as_bytes().to_vec()
            }
            op::cuModuleGetFunction | op::cuLibraryGetKernel | op::cuKernelGetFunction => {
                self.found()
            }
            op::cuLibraryGetGlobal => self.global(),
            _ => Vec::new(),
        })
    }

    fn allocate(&mut self, ask: &Alloc) -> Allocated {
        /// Addresses that no process uses of its own accord.
        static NEXT: AtomicU64 = AtomicU64::new(0x2000_0000_0000);
        let mut state = self.shared.lock();
        if ask.decoy != 0 {
            state.decoys.push(ask.decoy);
        }
        let len = ask.width;
        let own = || NEXT.fetch_add(len.next_multiple_of(4 << 20), Ordering::Relaxed);
        let address = state.addresses.pop().unwrap_or_else(own);
        self.memory
            .insert(address, vec![0; usize::try_from(len).unwrap()]);
        Allocated {
            address,
            pitch: 0,
            len,
        }
    }

    fn copy_in(&mut self, copy: &HostCopy, body: &mut Reader<'_>) -> Result<(), Error> {
        let len = usize::try_from(copy.len).unwrap();
        let bytes = if copy.inline == 1 {
            body.raw(len).unwrap().to_vec()
        } else {
            let start = usize::try_from(copy.position).unwrap() % SLAB_LEN;
            self.slab[start..start + len].to_vec()
        };
        self.at(copy.device, len).copy_from_slice(&bytes);
        if copy.inline == 0 {
            self.free_slab(copy.position + copy.len)?;
        }
        Ok(())
    }

    fn copy_out(&mut self, copy: &HostCopy) -> Result<Vec<u8>, Error> {
        let bytes = self
            .at(copy.device, usize::try_from(copy.len).unwrap())
            .to_vec();
        if copy.inline == 1 {
            return Ok(bytes);
        }
        let mut offset = 0;
        for piece in bytes.chunks(CHUNK_LEN) {
            let span = Span {
                region: copy.position,
                offset,
                len: piece.len() as u64,
            };
            self.link.put(span, piece)?;
            offset += span.len;
        }
        Ok(Vec::new())
    }

    /// Notes that the piece that ends there was used, and tells how far the slab is free.
    fn free_slab(&mut self, end: u64) -> Result<(), Error> {
        let live = &mut self.pieces.live;
        let piece = live.iter_mut().find(|piece| piece.0 == end);
        piece.expect("a record names a piece that came").1 = true;
        let mut freed = None;
        while let Some(&(end, true)) = live.front() {
            live.pop_front();
            freed = Some(end);
        }
        let Some(a) = freed else { return Ok(()) };
        let message = Side {
            kind: side::SLAB_FREE,
            a,
            ..Side::default()
        };
        self.link.post_side(message.as_bytes())
    }

    fn global(&mut self) -> Vec<u8> {
        let ask = Alloc {
            width: 4,
            ..Alloc::default()
        };
        let Allocated { address, len, .. } = self.allocate(&ask);
        Global {
            address,
            len,
            ..Global::default()
        }
        .as_bytes()
        .to_vec()
    }

    fn handle(&mut self) -> u64 {
        self.next_handle += 1;
        self.next_handle
    }

    /// A kernel with an `int` and a pointer, 256 threads and 1000 bytes of dynamic shared memory.
    fn found(&mut self) -> Vec<u8> {
        let attributes = [256, 0, 0, 0, 32, 80, 80, 0, 1000];
        let mut body = Vec::new();
        let mut writer = Writer::body(&mut body);
        writer.put(&Found {
            handle: self.handle(),
            parameters: 2,
            attributes: u32::try_from(attributes.len()).unwrap(),
            parameters_len: 16,
            reserved: 0,
        });
        writer.put(&Parameter { offset: 0, len: 4 });
        writer.put(&Parameter { offset: 8, len: 8 });
        let bytes: Vec<u8> = attributes
            .iter()
            .flat_map(|value: &i32| value.to_le_bytes())
            .collect();
        writer.raw(&bytes);
        body
    }

    fn at(&mut self, address: u64, len: usize) -> &mut [u8] {
        let (start, memory) = self.memory.range_mut(..=address).next_back().unwrap();
        let offset = usize::try_from(address - start).unwrap();
        &mut memory[offset..offset + len]
    }
}
