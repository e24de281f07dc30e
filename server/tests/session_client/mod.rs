//! A client that writes records by hand, and softgpu as the driver.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test program uses a part of it"
)]

use std::collections::HashMap;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use flexdirect_driver_abi::image::{Image, Kind as ImageKind};
use flexdirect_server::session::{End, serve};
use flexdirect_server::shadow::slab::Slab;
use flexdirect_transport::memory::{Fault, MemoryLink, pair};
use flexdirect_transport::tcp::{Options, TcpLink};
use flexdirect_transport::{Destination, Error, Lanes, Link, Sink, Span};
use flexdirect_wire::ShadowHandle;
use flexdirect_wire::body::{
    Alloc, Allocated, Found, HostCall, HostCopy, ImageLoad, ImagePiece, Launch, One, Parameter,
    Side, session, side,
};
use flexdirect_wire::call::{Op, op};
use flexdirect_wire::limits::CHUNK_LEN;
use flexdirect_wire::record::{Reader, RecordHeader, Writer, flags, reply_flags, split_reply};

mod host;

pub use host::{TestQuota, driver};

/// What a reply said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    pub status: u32,
    pub deferred: u32,
    pub executed: u64,
    pub body: Vec<u8>,
}

/// A client process with several threads, played by one.
#[derive(Debug)]
pub struct Client {
    pub link: Arc<dyn Link>,
    memory: Option<Arc<MemoryLink>>,
    pub quota: Arc<TestQuota>,
    pub context: ShadowHandle,
    pub thread: u32,
    pub lane: u16,
    pub sequence: u64,
    last_lane: u16,
    position: u64,
    inbox: Inbox,
    server: Option<JoinHandle<End>>,
}

#[derive(Debug, Default)]
struct Inbox {
    answers: HashMap<u64, Answer>,
    executed: u64,
    freed: u64,
    pongs: u64,
    landings: HashMap<u64, Vec<u8>>,
    landed: HashMap<u64, u64>,
    calls: Vec<HostCall>,
}

impl Sink for Inbox {
    fn batch(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        while !bytes.is_empty() {
            let reply = split_reply(&mut bytes).unwrap();
            let header = reply.header;
            assert!(
                header.executed >= self.executed,
                "execution is told in order"
            );
            self.executed = header.executed;
            let answer = Answer {
                status: header.status,
                deferred: header.deferred,
                executed: header.executed,
                body: reply.body.to_vec(),
            };
            if header.flags & reply_flags::CALLBACK != 0 {
                self.calls.push(Reader::new(reply.body).get().unwrap());
            } else if header.sequence > 0 {
                let before = self.answers.insert(header.sequence, answer);
                assert!(before.is_none(), "one reply for each record");
            }
        }
        Ok(())
    }

    fn destination(&mut self, span: Span) -> Result<Destination, Error> {
        let (offset, len) = (to_usize(span.offset), to_usize(span.len));
        let memory = &mut self.landings.get_mut(&span.region).unwrap()[offset..offset + len];
        // SAFETY: the landing is not touched before the test has its reply.
        #[expect(unsafe_code, reason = "names memory of the test")]
        Ok(unsafe { Destination::new(memory.as_mut_ptr(), len) })
    }

    fn landed(&mut self, span: Span) -> Result<(), Error> {
        *self.landed.entry(span.region).or_default() += span.len;
        Ok(())
    }

    fn side(&mut self, message: &[u8]) -> Result<(), Error> {
        let message: Side = Reader::new(message).get().unwrap();
        match message.kind {
            side::SLAB_FREE => self.freed = message.a,
            side::PONG => self.pongs += 1,
            other => panic!("side message {other}"),
        }
        Ok(())
    }
}

fn to_usize(value: u64) -> usize {
    usize::try_from(value).unwrap()
}

pub const SLAB_LEN: usize = 4 << 20;

impl Client {
    /// A session of its own with this share, on softgpu's first device.
    pub fn connect(limit: u64) -> Option<Self> {
        Self::connect_devices(limit, 1)
    }

    pub fn connect_devices(limit: u64, devices: u16) -> Option<Self> {
        let (link, far) = pair();
        let memory = Some(Arc::clone(&link));
        Self::connect_over(link, far, memory, limit, devices)
    }

    /// The same over sockets.
    pub fn connect_tcp(limit: u64) -> Option<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let lane = || {
            let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            (near, listener.accept().unwrap().0)
        };
        let ((main, far_main), (side, far_side)) = (lane(), lane());
        let options = || Options {
            lost_after: Duration::from_secs(30),
            spin: Duration::ZERO,
        };
        let link = TcpLink::new(main, side, options()).unwrap();
        let far = TcpLink::new(far_main, far_side, options()).unwrap();
        Self::connect_over(link, far, None, limit, 1)
    }

    fn connect_over(
        link: Arc<dyn Link>,
        far: Arc<dyn Link>,
        memory: Option<Arc<MemoryLink>>,
        limit: u64,
        devices: u16,
    ) -> Option<Self> {
        let driver = driver()?;
        let quota = TestQuota::new(limit);
        let own = Arc::clone(&quota);
        let slab = Slab::new(SLAB_LEN).unwrap();
        let server = std::thread::spawn(move || serve(far, driver, own, devices, slab));
        Some(Self {
            link,
            memory,
            quota,
            context: ShadowHandle::primary_context(0),
            thread: 1,
            lane: 0,
            sequence: 0,
            last_lane: 0,
            position: 0,
            inbox: Inbox::default(),
            server: Some(server),
        })
    }

    /// Makes something go wrong with what this client sends.
    pub fn inject(&self, fault: Fault) {
        self.memory.as_ref().unwrap().inject(fault);
    }

    pub fn header(&mut self, op: Op, awaited: bool) -> RecordHeader {
        let dependency = if self.lane == self.last_lane {
            0
        } else {
            self.sequence
        };
        let dependency_lane = self.last_lane;
        self.last_lane = self.lane;
        self.sequence += 1;
        RecordHeader {
            op: op.0,
            flags: if awaited { flags::AWAITED } else { 0 },
            sequence: self.sequence,
            context: self.context.0,
            thread: self.thread,
            lane: self.lane,
            dependency,
            dependency_lane,
            ..RecordHeader::default()
        }
    }

    pub fn send(&mut self, op: Op, awaited: bool, fill: impl FnOnce(&mut Writer<'_>)) -> u64 {
        self.try_send(op, awaited, fill).unwrap()
    }

    pub fn try_send(
        &mut self,
        op: Op,
        awaited: bool,
        fill: impl FnOnce(&mut Writer<'_>),
    ) -> Result<u64, Error> {
        let header = self.header(op, awaited);
        let mut batch = Vec::new();
        let mut writer = Writer::record(&mut batch, header);
        fill(&mut writer);
        writer.finish().unwrap();
        self.link.post(&batch)?;
        Ok(header.sequence)
    }

    pub fn post(&mut self, op: Op, fill: impl FnOnce(&mut Writer<'_>)) {
        self.send(op, false, fill);
    }

    pub fn call(&mut self, op: Op, fill: impl FnOnce(&mut Writer<'_>)) -> Answer {
        let sequence = self.send(op, true, fill);
        self.answer(sequence).unwrap()
    }

    /// The answer to a record; the link's death if that comes first.
    pub fn answer(&mut self, sequence: u64) -> Result<Answer, Error> {
        loop {
            if let Some(answer) = self.inbox.answers.remove(&sequence) {
                return Ok(answer);
            }
            self.link.receive(Lanes::Both, &mut self.inbox)?;
        }
    }

    pub fn has_answer(&self, sequence: u64) -> bool {
        self.inbox.answers.contains_key(&sequence)
    }

    pub fn ok(&mut self, op: Op, fill: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
        let answer = self.call(op, fill);
        assert_eq!((answer.status, answer.deferred), (0, 0), "{op}");
        answer.body
    }

    pub fn alloc(&mut self, len: u64) -> u64 {
        let body = self.ok(op::cuMemAlloc_v2, |w| w.put(&alloc(len)));
        Reader::new(&body).get::<Allocated>().unwrap().address
    }

    pub fn free(&mut self, address: u64) {
        self.post(op::cuMemFree_v2, |w| w.put(&One { value: address }));
    }

    /// Bytes to the device: inline when few, else through the slab.
    pub fn upload(&mut self, op: Op, device: u64, bytes: &[u8], stream: u64) {
        let is_async = u32::from(op == op::cuMemcpyHtoDAsync_v2);
        if bytes.len() <= 1024 {
            let len = bytes.len() as u64;
            let copy = HostCopy {
                device,
                len,
                stream,
                position: 0,
                inline: 1,
                is_async,
            };
            self.post(op, |w| {
                w.put(&copy);
                w.raw(bytes);
            });
            return;
        }
        for (at, piece) in bytes.chunks(CHUNK_LEN).enumerate() {
            let (position, len) = (self.put(piece), piece.len() as u64);
            let device = device + (at * CHUNK_LEN) as u64;
            let copy = HostCopy {
                device,
                len,
                stream,
                position,
                inline: 0,
                is_async,
            };
            self.post(op, |w| w.put(&copy));
        }
    }

    /// Puts a piece to the slab, as soon as there is room, and returns its position.
    pub fn put(&mut self, piece: &[u8]) -> u64 {
        let (slab_len, len) = (SLAB_LEN as u64, piece.len() as u64);
        if self.position % slab_len + len > slab_len {
            self.position = self.position.next_multiple_of(slab_len);
        }
        let position = self.position;
        while position + len > self.inbox.freed + slab_len {
            self.link.receive(Lanes::Both, &mut self.inbox).unwrap();
        }
        self.position += len;
        self.link
            .put(
                Span {
                    region: 0,
                    offset: position,
                    len,
                },
                piece,
            )
            .unwrap();
        position
    }

    /// Waits for the next call of a host function.
    pub fn called(&mut self) -> HostCall {
        while self.inbox.calls.is_empty() {
            self.link.receive(Lanes::Both, &mut self.inbox).unwrap();
        }
        self.inbox.calls.remove(0)
    }

    /// Waits until the slab is free up to what has been sent.
    pub fn drain_slab(&mut self) {
        while self.inbox.freed < self.position {
            self.link.receive(Lanes::Both, &mut self.inbox).unwrap();
        }
    }

    pub fn download(&mut self, device: u64, len: u64) -> Vec<u8> {
        let copy = HostCopy {
            device,
            len,
            inline: 1,
            ..HostCopy::default()
        };
        let body = self.ok(op::cuMemcpyDtoH_v2, |w| w.put(&copy));
        body[..to_usize(len)].to_vec()
    }

    /// Enters a landing and returns its number.
    pub fn landing(&mut self, len: u64) -> u64 {
        let region = self.inbox.landings.len() as u64 + 1;
        self.inbox.landings.insert(region, vec![0; to_usize(len)]);
        region
    }

    /// What has landed, when all of it has.
    pub fn landed(&mut self, region: u64) -> Option<Vec<u8>> {
        let landing = &self.inbox.landings[&region];
        let is_whole = self.inbox.landed.get(&region) == Some(&(landing.len() as u64));
        is_whole.then(|| landing.clone())
    }

    /// Loads PTX through `load` and returns the module's or library's handle.
    pub fn load(&mut self, load: Op, ptx: &str) -> u64 {
        let image = Image::new(ImageKind::Ptx, ptx.as_bytes())
            .unwrap()
            .into_bytes();
        let half = image.len() / 2 / 8 * 8;
        let (first, second) = image.split_at(half);
        let len = first.len() as u64;
        let piece = ImagePiece {
            position: 0,
            len,
            inline: 1,
            first: 1,
        };
        self.post(session::IMAGE_PIECE, |w| {
            w.put(&piece);
            w.raw(first);
        });
        let (position, len) = (self.put(second), second.len() as u64);
        let piece = ImagePiece {
            position,
            len,
            inline: 0,
            first: 0,
        };
        self.post(session::IMAGE_PIECE, |w| w.put(&piece));
        let len = image.len() as u64;
        let body = self.ok(load, |w| w.put(&ImageLoad { reserved: 0, len }));
        Reader::new(&body).get::<One>().unwrap().value
    }

    pub fn function(&mut self, look_up: Op, parent: u64, name: &str) -> (Found, Vec<Parameter>) {
        let body = self.ok(look_up, |w| {
            w.put(&One { value: parent });
            w.bytes(format!("{name}\0").as_bytes());
        });
        let mut reader = Reader::new(&body);
        let found: Found = reader.get().unwrap();
        let parameters = (0..found.parameters)
            .map(|_| reader.get().unwrap())
            .collect();
        (found, parameters)
    }

    pub fn launch(&mut self, function: u64, threads: u32, stream: u64, parameters: &[u8]) {
        let launch = Launch {
            function,
            stream,
            grid: [1; 3],
            block: [threads, 1, 1],
            parameters_len: u32::try_from(parameters.len()).unwrap(),
            ..Launch::default()
        };
        self.post(op::cuLaunchKernel, |w| {
            w.put(&launch);
            w.bytes(parameters);
        });
    }

    pub fn ping(&mut self) {
        let mut bytes = Vec::new();
        Writer::body(&mut bytes).put(&Side {
            kind: side::PING,
            a: 1,
            ..Side::default()
        });
        self.link.post_side(&bytes).unwrap();
        let before = self.inbox.pongs;
        while self.inbox.pongs == before {
            self.link.receive(Lanes::Both, &mut self.inbox).unwrap();
        }
    }

    /// Ends the session and says how the worker saw it end.
    pub fn close(mut self) -> End {
        self.link.close("the test is over");
        self.server.take().unwrap().join().unwrap()
    }

    /// Waits for the worker to end the session by itself.
    pub fn ended(mut self) -> End {
        self.server.take().unwrap().join().unwrap()
    }
}

pub fn alloc(len: u64) -> Alloc {
    Alloc {
        width: len,
        ..Alloc::default()
    }
}

pub fn handle(kind: flexdirect_wire::Kind, index: u32) -> u64 {
    ShadowHandle::new(kind, 0, index, false).0
}

/// Three kernels: `add` adds a number to an array, `wait` runs until a flag in memory is set,
/// `bad` writes to address 0.
pub const PTX: &str = r"
.version 7.0
.target sm_80
.address_size 64
.global .align 4 .u32 counter[4] = {1, 2, 3, 4};
.visible .entry add(.param .u64 p, .param .u32 v)
{
    .reg .b32 %r<5>; .reg .b64 %rd<5>;
    ld.param.u64 %rd1, [p];
    ld.param.u32 %r1, [v];
    cvta.to.global.u64 %rd2, %rd1;
    mov.u32 %r2, %tid.x;
    mul.wide.u32 %rd3, %r2, 4;
    add.s64 %rd4, %rd2, %rd3;
    ld.global.u32 %r3, [%rd4];
    add.s32 %r4, %r3, %r1;
    st.global.u32 [%rd4], %r4;
    ret;
}
.visible .entry wait(.param .u64 p)
{
    .reg .b32 %r<3>; .reg .b64 %rd<3>; .reg .pred %p<2>;
    ld.param.u64 %rd1, [p];
    cvta.to.global.u64 %rd2, %rd1;
again:
    ld.volatile.global.u32 %r1, [%rd2];
    setp.eq.u32 %p1, %r1, 0;
    @%p1 bra again;
    ret;
}
.visible .entry bad()
{
    .reg .b32 %r<3>; .reg .b64 %rd<3>;
    mov.u64 %rd1, 0;
    mov.u32 %r1, 7;
    st.global.u32 [%rd1], %r1;
    ret;
}
";
