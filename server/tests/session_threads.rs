//! Several client threads in one session: a call that waits holds up nobody else.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod session_client;

use std::sync::{Mutex, MutexGuard, PoisonError};

use flexdirect_server::session::{End, Fault};
use flexdirect_transport::memory::Fault as LinkFault;
use flexdirect_wire::body::{ContextCreate, Create, EventRecord, HostCopy, One};
use flexdirect_wire::call::op;
use flexdirect_wire::{CuError, Kind, ShadowHandle};
use session_client::{Client, PTX, alloc, handle};

/// A session with a kernel at work on a stream of its own, until `release`.
///
/// One at a time: the sessions of this process share a context, and each would wait for the others'
/// kernels.
struct Held {
    _alone: MutexGuard<'static, ()>,
    client: Client,
    stream: u64,
    other: u64,
    flag: u64,
}

impl Held {
    fn new(share: u64) -> Option<Self> {
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let mut client = Client::connect(share)?;
        let module = client.load(op::cuModuleLoadData, PTX);
        let wait = client
            .function(op::cuModuleGetFunction, module, "wait")
            .0
            .handle;
        let flag = client.alloc(4);
        client.upload(op::cuMemcpyHtoD_v2, flag, &[0; 4], 0);
        let [stream, other] = [1, 2].map(|index| handle(Kind::STREAM, index));
        for stream in [stream, other] {
            let create = Create {
                handle: stream,
                flags: 1,
                priority: 0,
            };
            client.post(op::cuStreamCreate, |w| w.put(&create));
        }
        client.launch(wait, 1, stream, &flag.to_le_bytes());
        Some(Self {
            _alone: alone,
            client,
            stream,
            other,
            flag,
        })
    }

    fn release(&mut self) {
        self.client.upload(
            op::cuMemcpyHtoDAsync_v2,
            self.flag,
            &[1, 0, 0, 0],
            self.other,
        );
    }
}

#[test]
fn a_thread_that_waits_holds_up_no_other() {
    let Some(mut held) = Held::new(64 << 20) else {
        return;
    };
    let stream = held.stream;
    let waits = [
        (
            1,
            held.client.send(op::cuStreamSynchronize, true, |w| {
                w.put(&One { value: stream })
            }),
        ),
        (2, {
            held.client.thread = 2;
            held.client.send(op::cuCtxSynchronize, true, |_| {})
        }),
    ];
    held.client.thread = 3;
    let busy = held
        .client
        .call(op::cuStreamQuery, |w| w.put(&One { value: stream }));
    assert_eq!(busy.status, CuError::NOT_READY.code());
    assert!(
        busy.executed >= waits[1].1,
        "handed to helpers counts as executed"
    );
    let memory = held.client.alloc(1 << 20);
    let region = held.client.landing(16);
    let other = held.other;
    let copy = HostCopy {
        device: memory,
        len: 16,
        stream: other,
        position: region,
        inline: 0,
        is_async: 1,
    };
    held.client.post(op::cuMemcpyDtoHAsync_v2, |w| w.put(&copy));
    held.client
        .ok(op::cuStreamSynchronize, |w| w.put(&One { value: other }));
    assert!(
        held.client.landed(region).is_some(),
        "put although another stream is at work"
    );
    assert!(waits.iter().all(|wait| !held.client.has_answer(wait.1)));
    held.release();
    for (_, sequence) in waits {
        assert_eq!(held.client.answer(sequence).unwrap().status, 0);
    }
    held.client.close();
}

#[test]
fn memory_that_work_may_use_is_freed_behind_it() {
    let Some(mut held) = Held::new(8 << 20) else {
        return;
    };
    let memory = held.client.alloc(4 << 20);
    held.client.free(memory);
    let body = held.client.ok(op::cuMemGetInfo_v2, |_| {});
    let free = u64::from_le_bytes(body[..8].try_into().unwrap());
    assert_eq!(free, (8 << 20) - 4, "free as the client sees it");
    assert_eq!(
        held.client.quota.used(),
        (4 << 20) + 4,
        "and not yet in truth"
    );
    // Over the share until the real free: waits for it instead of failing.
    let sequence = held
        .client
        .send(op::cuMemAlloc_v2, true, |w| w.put(&alloc(6 << 20)));
    held.client.thread = 2;
    let stream = held.stream;
    let busy = held
        .client
        .call(op::cuStreamQuery, |w| w.put(&One { value: stream }));
    assert_eq!(busy.status, CuError::NOT_READY.code());
    assert!(!held.client.has_answer(sequence));
    held.release();
    assert_eq!(held.client.answer(sequence).unwrap().status, 0);
    let quota = std::sync::Arc::clone(&held.client.quota);
    held.client.close();
    quota.wait_unused();
}

/// Copies may go to a stream of another context than the current one (CUDA C++ Programming Guide,
/// "Stream and event behavior").
#[test]
fn copies_go_to_a_stream_of_another_context() {
    let Some(mut held) = Held::new(64 << 20) else {
        return;
    };
    let client = &mut held.client;
    let memory = client.alloc(1 << 20);
    let body = client.ok(op::cuCtxCreate_v2, |w| {
        w.put(&ContextCreate {
            device: 0,
            flags: 0,
        });
    });
    let created = ShadowHandle(u64::from_le_bytes(body[..8].try_into().unwrap()));
    client.context = created;
    // The stream belongs to the first context and is at work.
    let data: Vec<u8> = (0..=250).cycle().take(1 << 20).collect();
    client.upload(op::cuMemcpyHtoDAsync_v2, memory, &data, held.stream);
    let region = client.landing(1 << 20);
    let copy = HostCopy {
        device: memory,
        len: 1 << 20,
        stream: held.stream,
        position: region,
        inline: 0,
        is_async: 1,
    };
    client.post(op::cuMemcpyDtoHAsync_v2, |w| w.put(&copy));
    client.context = ShadowHandle::primary_context(0);
    held.release();
    let stream = held.stream;
    let client = &mut held.client;
    client.ok(op::cuStreamSynchronize, |w| w.put(&One { value: stream }));
    assert!(client.landed(region).unwrap() == data);
    client.drain_slab();
    held.client.close();
}

#[test]
fn an_event_behind_a_kernel_is_not_ready() {
    let Some(mut held) = Held::new(64 << 20) else {
        return;
    };
    let event = handle(Kind::EVENT, 7);
    held.client.post(op::cuEventCreate, |w| {
        w.put(&Create {
            handle: event,
            flags: 2,
            priority: 0,
        });
    });
    let record = EventRecord {
        event,
        stream: held.stream,
        ..EventRecord::default()
    };
    held.client.post(op::cuEventRecord, |w| w.put(&record));
    let busy = held
        .client
        .call(op::cuEventQuery, |w| w.put(&One { value: event }));
    assert_eq!(busy.status, CuError::NOT_READY.code());
    let sequence = held.client.send(op::cuEventSynchronize, true, |w| {
        w.put(&One { value: event })
    });
    held.client.thread = 2;
    held.release();
    assert_eq!(held.client.answer(sequence).unwrap().status, 0);
    held.client.close();
}

#[test]
fn what_a_dead_session_held_is_given_back() {
    let Some(mut held) = Held::new(64 << 20) else {
        return;
    };
    let stream = held.stream;
    held.client.send(op::cuStreamSynchronize, true, |w| {
        w.put(&One { value: stream })
    });
    held.client.thread = 2;
    let memory = held.client.alloc(1 << 20);
    held.client.free(memory);
    held.client.alloc(1 << 20);
    let quota = std::sync::Arc::clone(&held.client.quota);
    assert!(quota.used() > 0);
    // What ends the kernel still arrives, with a call in the driver and a free behind the kernel.
    // The batch that was answered last may count, so there are two.
    held.client.inject(LinkFault::CloseAfter(2));
    let (flag, stream) = (held.flag, held.other);
    for _ in 0..2 {
        let (device, is_async) = (flag, 1);
        let copy = HostCopy {
            device,
            len: 4,
            stream,
            position: 0,
            inline: 1,
            is_async,
        };
        let _ = held.client.try_send(op::cuMemcpyHtoDAsync_v2, false, |w| {
            w.put(&copy);
            w.raw(&[1, 0, 0, 0]);
        });
    }
    assert!(matches!(held.client.ended(), End::Closed(_)));
    quota.wait_unused();
}

/// Runs ignored tests in a process of their own, since their kernels never end.
#[test]
fn sessions_end_although_the_gpu_does_not() {
    for name in [
        "a_link_that_dies_ends_the_session",
        "a_thread_that_awaits_sends_nothing",
    ] {
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", name])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&child.stdout).into_owned();
        assert!(
            child.status.success() && text.contains("1 passed"),
            "{text}"
        );
    }
}

#[test]
#[ignore = "run by sessions_end_although_the_gpu_does_not"]
fn a_link_that_dies_ends_the_session() {
    let Some(mut held) = Held::new(64 << 20) else {
        return;
    };
    let stream = held.stream;
    held.client.send(op::cuStreamSynchronize, true, |w| {
        w.put(&One { value: stream })
    });
    held.client.thread = 2;
    let memory = held.client.alloc(1 << 20);
    held.client.free(memory);
    held.client.ping();
    assert!(matches!(held.client.close(), End::Closed(_)));
}

#[test]
#[ignore = "run by sessions_end_although_the_gpu_does_not"]
fn a_thread_that_awaits_sends_nothing() {
    let Some(mut held) = Held::new(64 << 20) else {
        return;
    };
    let stream = held.stream;
    held.client.send(op::cuStreamSynchronize, true, |w| {
        w.put(&One { value: stream })
    });
    let sequence = held.client.send(op::cuCtxSynchronize, true, |_| {});
    assert!(held.client.answer(sequence).is_err());
    let fault = Fault::Busy {
        thread: 1,
        sequence,
    };
    assert_eq!(held.client.ended(), End::Fault(fault));
}
