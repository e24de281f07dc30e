//! A session on softgpu: calls one after the other, as one client process makes them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod session_client;

use flexdirect_server::session::End;
use flexdirect_wire::body::{
    Alloc, Allocated, Create, EventRecord, Global, HostCopy, One, SetAttribute,
};
use flexdirect_wire::call::{Op, op};
use flexdirect_wire::record::Reader;
use flexdirect_wire::{CuError, Kind, ShadowHandle};
use session_client::{Client, PTX, alloc, handle};

/// Enough for every test but those of the share.
const SHARE: u64 = 256 << 20;

fn words(bytes: &[u8]) -> Vec<u32> {
    bytes
        .chunks(4)
        .map(|word| u32::from_le_bytes(word.try_into().unwrap()))
        .collect()
}

fn bytes(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len)
        .map(|at| u8::try_from(at * 31 % 251).unwrap())
        .collect()
}

fn add_parameters(address: u64, value: u32) -> Vec<u8> {
    [&address.to_le_bytes()[..], &value.to_le_bytes()].concat()
}

#[test]
fn a_kernel_of_ptx_text_computes() {
    let Some(mut client) = Client::connect(SHARE) else {
        return;
    };
    let memory = client.alloc(4096);
    client.upload(op::cuMemcpyHtoD_v2, memory, &bytes(&[1, 2, 3, 4]), 0);
    let module = client.load(op::cuModuleLoadData, PTX);
    let (found, parameters) = client.function(op::cuModuleGetFunction, module, "add");
    let layout: Vec<_> = parameters.iter().map(|p| (p.offset, p.len)).collect();
    assert_eq!(layout, [(0, 8), (8, 4)]);
    assert_eq!(found.parameters_len, 12);
    assert!(found.attributes > 0);
    client.launch(found.handle, 4, 0, &add_parameters(memory, 10));
    assert_eq!(words(&client.download(memory, 16)), [11, 12, 13, 14]);
    let again = client.function(op::cuModuleGetFunction, module, "add").0;
    assert_eq!(
        again.handle, found.handle,
        "the same function has the same name"
    );
    let missing = client.call(op::cuModuleGetFunction, |w| {
        w.put(&One { value: module });
        w.bytes(b"nothing\0");
    });
    assert_eq!(missing.status, CuError::NOT_FOUND.code());
    assert!(matches!(client.close(), End::Closed(_)));
}

#[test]
fn a_kernel_of_a_library_computes() {
    let Some(mut client) = Client::connect(SHARE) else {
        return;
    };
    let library = client.load(op::cuLibraryLoadData, PTX);
    let (kernel, parameters) = client.function(op::cuLibraryGetKernel, library, "add");
    assert_eq!(parameters.len(), 2);
    let memory = client.alloc(64);
    client.upload(op::cuMemcpyHtoD_v2, memory, &bytes(&[5]), 0);
    client.launch(kernel.handle, 1, 0, &add_parameters(memory, 1));
    let body = client.ok(op::cuKernelGetFunction, |w| {
        w.put(&One {
            value: kernel.handle,
        })
    });
    let function: flexdirect_wire::body::Found = Reader::new(&body).get().unwrap();
    client.launch(function.handle, 1, 0, &add_parameters(memory, 1));
    assert_eq!(words(&client.download(memory, 4)), [7]);
    client.ok(op::cuLibraryUnload, |w| w.put(&One { value: library }));
    client.launch(kernel.handle, 1, 0, &add_parameters(memory, 1));
    let next = client.call(op::cuCtxSynchronize, |_| {});
    assert_eq!(
        next.deferred,
        CuError::INVALID_HANDLE.code(),
        "ended with its library"
    );
    client.close();
}

#[test]
fn a_global_is_memory_of_its_module() {
    let Some(mut client) = Client::connect(SHARE) else {
        return;
    };
    let module = client.load(op::cuModuleLoadData, PTX);
    let body = client.ok(op::cuModuleGetGlobal_v2, |w| {
        w.put(&One { value: module });
        w.bytes(b"counter\0");
    });
    let global: Global = Reader::new(&body).get().unwrap();
    assert_eq!(global.len, 16);
    assert_eq!(words(&client.download(global.address, 16)), [1, 2, 3, 4]);
    let copy = HostCopy {
        device: global.address,
        len: 17,
        inline: 1,
        ..HostCopy::default()
    };
    let beyond = client.call(op::cuMemcpyDtoH_v2, |w| w.put(&copy));
    assert_eq!(beyond.status, CuError::INVALID_VALUE.code());
    client.ok(op::cuModuleUnload, |w| w.put(&One { value: module }));
    let copy = HostCopy { len: 16, ..copy };
    let gone = client.call(op::cuMemcpyDtoH_v2, |w| w.put(&copy));
    assert_eq!(gone.status, CuError::INVALID_VALUE.code());
    client.close();
}

#[test]
fn bulk_comes_back_as_it_went() {
    for connect in [Client::connect, Client::connect_tcp] {
        let Some(mut client) = connect(SHARE) else {
            return;
        };
        // Longer than the slab, and no multiple of anything.
        let data = pattern((9 << 20) + 12345);
        let len = data.len() as u64;
        let memory = client.alloc(len);
        client.upload(op::cuMemcpyHtoD_v2, memory, &data, 0);
        let region = client.landing(len);
        let copy = HostCopy {
            device: memory,
            len,
            position: region,
            ..HostCopy::default()
        };
        client.ok(op::cuMemcpyDtoH_v2, |w| w.put(&copy));
        assert!(
            client.landed(region).unwrap() == data,
            "in place before the reply"
        );
        client.drain_slab();
        client.close();
    }
}

#[test]
fn an_asynchronous_copy_is_in_place_when_its_stream_is_synchronised() {
    for connect in [Client::connect, Client::connect_tcp] {
        let Some(client) = connect(SHARE) else {
            return;
        };
        copy_asynchronously(client);
    }
}

fn copy_asynchronously(mut client: Client) {
    let stream = handle(Kind::STREAM, 1);
    let create = Create {
        handle: stream,
        flags: 1,
        priority: 0,
    };
    client.post(op::cuStreamCreateWithPriority, |w| w.put(&create));
    let data = pattern(3 << 20);
    let len = data.len() as u64;
    let memory = client.alloc(len);
    client.upload(op::cuMemcpyHtoDAsync_v2, memory, &data, stream);
    let region = client.landing(len);
    let copy = HostCopy {
        device: memory,
        len,
        stream,
        position: region,
        inline: 0,
        is_async: 1,
    };
    client.post(op::cuMemcpyDtoHAsync_v2, |w| w.put(&copy));
    client.ok(op::cuStreamSynchronize, |w| w.put(&One { value: stream }));
    assert!(client.landed(region).unwrap() == data);
    // Staging memory comes back without any synchronisation: more copies than it holds.
    let regions: Vec<u64> = (0..40)
        .map(|_| {
            let region = client.landing(len);
            let copy = HostCopy {
                position: region,
                ..copy
            };
            client.post(op::cuMemcpyDtoHAsync_v2, |w| w.put(&copy));
            region
        })
        .collect();
    client.ok(op::cuCtxSynchronize, |_| {});
    for region in regions {
        assert!(client.landed(region).unwrap() == data);
    }
    client.close();
}

#[test]
fn a_stream_waits_for_a_synchronous_copy_that_came_before() {
    let Some(mut client) = Client::connect(SHARE) else {
        return;
    };
    let module = client.load(op::cuModuleLoadData, PTX);
    let add = client
        .function(op::cuModuleGetFunction, module, "add")
        .0
        .handle;
    let memory = client.alloc(1 << 20);
    let stream = handle(Kind::STREAM, 0);
    let create = Create {
        handle: stream,
        flags: 1,
        priority: 0,
    };
    client.post(op::cuStreamCreate, |w| w.put(&create));
    for round in 0..20_u32 {
        let data = vec![round; 1 << 18];
        client.upload(op::cuMemcpyHtoD_v2, memory, &bytes(&data), 0);
        client.launch(
            add,
            2,
            stream,
            &add_parameters(memory + (1 << 20) - 8, 1000),
        );
        client.ok(op::cuStreamSynchronize, |w| w.put(&One { value: stream }));
        let end = words(&client.download(memory + (1 << 20) - 12, 12));
        assert_eq!(end, [round, round + 1000, round + 1000]);
    }
    client.close();
}

#[test]
fn events_are_recorded_waited_for_and_timed() {
    let Some(mut client) = Client::connect(SHARE) else {
        return;
    };
    let [first, second] = [1, 2].map(|index| handle(Kind::EVENT, index));
    let stream = handle(Kind::STREAM, 1);
    client.post(op::cuStreamCreate, |w| {
        w.put(&Create {
            handle: stream,
            flags: 1,
            priority: 0,
        });
    });
    for event in [first, second] {
        client.post(op::cuEventCreate, |w| {
            w.put(&Create {
                handle: event,
                flags: 0,
                priority: 0,
            });
        });
    }
    let memory = client.alloc(4096);
    let record = |event, stream| EventRecord {
        event,
        stream,
        ..EventRecord::default()
    };
    client.post(op::cuEventRecord, |w| w.put(&record(first, 0)));
    client.post(op::cuMemsetD8_v2, |w| {
        [memory, 7, 4096].into_iter().for_each(|n| w.u64(n))
    });
    client.post(op::cuEventRecord, |w| w.put(&record(second, 0)));
    client.post(op::cuStreamWaitEvent, |w| {
        [stream, second, 0].into_iter().for_each(|n| w.u64(n));
    });
    client.ok(op::cuStreamSynchronize, |w| w.put(&One { value: stream }));
    client.ok(op::cuEventSynchronize, |w| w.put(&One { value: second }));
    client.ok(op::cuEventQuery, |w| w.put(&One { value: second }));
    let body = client.ok(op::cuEventElapsedTime, |w| {
        w.u64(first);
        w.u64(second);
    });
    assert!(Reader::new(&body).get::<f32>().unwrap() >= 0.0);
    assert_eq!(client.download(memory, 4096), [7; 4096]);
    client.post(op::cuEventDestroy_v2, |w| w.put(&One { value: first }));
    let stale = client.call(op::cuEventQuery, |w| w.put(&One { value: first }));
    assert_eq!(stale.status, CuError::INVALID_HANDLE.code());
    client.post(op::cuStreamDestroy_v2, |w| w.put(&One { value: stream }));
    let stale = client.call(op::cuStreamQuery, |w| w.put(&One { value: stream }));
    assert_eq!(stale.status, CuError::INVALID_HANDLE.code());
    client.close();
}

#[test]
fn a_posted_failure_is_told_to_its_own_thread_once() {
    let Some(mut client) = Client::connect(SHARE) else {
        return;
    };
    let memory = client.alloc(16);
    client.post(op::cuMemsetD32_v2, |w| {
        [memory, 0, 5].into_iter().for_each(|n| w.u64(n))
    });
    client.free(memory + 1);
    client.thread = 2;
    let other = client.call(op::cuCtxSynchronize, |_| {});
    assert_eq!((other.status, other.deferred), (0, 0));
    client.thread = 1;
    let own = client.call(op::cuCtxSynchronize, |_| {});
    assert_eq!(
        (own.status, own.deferred),
        (0, CuError::INVALID_VALUE.code())
    );
    let next = client.call(op::cuCtxSynchronize, |_| {});
    assert_eq!(next.deferred, 0);
    client.close();
}

#[test]
fn a_kernel_fault_is_sticky_and_ends_nothing_else() {
    let Some(mut client) = Client::connect(SHARE) else {
        return;
    };
    let mut other = Client::connect(SHARE).unwrap();
    // In a context of its own: a poisoned primary context would poison the other tests' sessions.
    let body = client.ok(op::cuCtxCreate_v2, |w| {
        w.put(&flexdirect_wire::body::ContextCreate {
            device: 0,
            flags: 0,
        });
    });
    client.context = ShadowHandle(Reader::new(&body).get::<One>().unwrap().value);
    let module = client.load(op::cuModuleLoadData, PTX);
    let bad = client
        .function(op::cuModuleGetFunction, module, "bad")
        .0
        .handle;
    client.launch(bad, 1, 0, &[]);
    for _ in 0..2 {
        let answer = client.call(op::cuCtxSynchronize, |_| {});
        let codes = [answer.status, answer.deferred];
        assert!(
            codes.contains(&CuError::ILLEGAL_ADDRESS.code()),
            "{codes:?}"
        );
    }
    let context = client.context.0;
    client.ok(op::cuCtxDestroy_v2, |w| w.put(&One { value: context }));
    let gone = client.call(op::cuCtxSynchronize, |_| {});
    assert_eq!(gone.status, CuError::INVALID_CONTEXT.code());
    other.alloc(16);
    other.close();
    client.close();
}

#[test]
fn the_share_bounds_what_is_held() {
    let Some(mut client) = Client::connect(8 << 20) else {
        return;
    };
    let first = client.alloc(6 << 20);
    let over = client.call(op::cuMemAlloc_v2, |w| w.put(&alloc(4 << 20)));
    assert_eq!(over.status, CuError::OUT_OF_MEMORY.code());
    let body = client.ok(op::cuMemGetInfo_v2, |_| {});
    let mut reader = Reader::new(&body);
    assert_eq!(
        (reader.u64().unwrap(), reader.u64().unwrap()),
        (2 << 20, 8 << 20)
    );
    client.free(first);
    let second = client.alloc(8 << 20);
    assert_eq!(client.quota.used(), 8 << 20);
    client.free(second);
    let pitched = Alloc {
        width: 1000,
        height: 10,
        element: 4,
        decoy: 0,
    };
    let body = client.ok(op::cuMemAllocPitch_v2, |w| w.put(&pitched));
    let given: Allocated = Reader::new(&body).get().unwrap();
    assert!(given.pitch >= 1000 && given.len == given.pitch * 10);
    client.ok(op::cuCtxSynchronize, |_| {});
    assert_eq!(client.quota.used(), given.len);
    let quota = std::sync::Arc::clone(&client.quota);
    client.close();
    // The session's last thread gives back what is left, some time after the link's end.
    quota.wait_unused();
}

#[test]
fn a_decoy_stays_and_another_address_is_given() {
    let Some(mut client) = Client::connect(SHARE) else {
        return;
    };
    let first = client.alloc(1 << 20);
    let request = Alloc {
        decoy: first,
        ..alloc(1 << 20)
    };
    let body = client.ok(op::cuMemAlloc_v2, |w| w.put(&request));
    let second: Allocated = Reader::new(&body).get().unwrap();
    assert_ne!(second.address, first);
    assert_eq!(client.quota.used(), 2 << 20);
    client.free(first);
    let next = client.call(op::cuCtxSynchronize, |_| {});
    assert_eq!(
        next.deferred,
        CuError::INVALID_VALUE.code(),
        "a decoy is nobody's"
    );
    client.close();
}

#[test]
fn what_is_not_served_is_said_and_harms_nothing() {
    let Some(mut client) = Client::connect(SHARE) else {
        return;
    };
    for op in [
        Op(0xeeee),
        op::cuGetErrorName,
        op::cuMemHostRegister_v2,
        Op(3),
    ] {
        let answer = client.call(op, |_| {});
        assert_eq!(answer.status, CuError::NOT_SUPPORTED.code(), "{op}");
    }
    client.context = ShadowHandle::NULL;
    let none = client.call(op::cuMemAlloc_v2, |w| w.put(&alloc(16)));
    assert_eq!(none.status, CuError::INVALID_CONTEXT.code());
    client.context = ShadowHandle::primary_context(1);
    let beyond = client.call(op::cuMemAlloc_v2, |w| w.put(&alloc(16)));
    assert_eq!(
        beyond.status,
        CuError::INVALID_CONTEXT.code(),
        "not a device of the lease"
    );
    client.context = ShadowHandle::primary_context(0);
    let set = SetAttribute {
        function: handle(Kind::FUNCTION, 9),
        attribute: 8,
        value: 0,
    };
    let unknown = client.call(op::cuFuncSetAttribute, |w| w.put(&set));
    assert_eq!(unknown.status, CuError::INVALID_HANDLE.code());
    client.ping();
    client.close();
}

#[test]
fn what_a_reset_context_held_is_gone() {
    let Some(mut client) = Client::connect(SHARE) else {
        return;
    };
    let body = client.ok(op::cuCtxCreate_v4, |w| {
        w.put(&flexdirect_wire::body::ContextCreate {
            device: 0,
            flags: 0,
        });
    });
    let created = ShadowHandle(Reader::new(&body).get::<One>().unwrap().value);
    client.context = created;
    let memory = client.alloc(1 << 20);
    let event = handle(Kind::EVENT, 3);
    client.post(op::cuEventCreate, |w| {
        w.put(&Create {
            handle: event,
            flags: 2,
            priority: 0,
        })
    });
    client.upload(op::cuMemcpyHtoD_v2, memory, &pattern(1 << 20), 0);
    client.ok(op::cuCtxDestroy_v2, |w| w.put(&One { value: 0 }));
    assert_eq!(client.quota.used(), 0);
    client.context = ShadowHandle::primary_context(0);
    let stale = client.call(op::cuEventQuery, |w| w.put(&One { value: event }));
    assert_eq!(stale.status, CuError::INVALID_HANDLE.code());
    // A thread that has the ended context current still can do what needs none, and a copy that
    // fails gives its piece of the slab back.
    client.context = created;
    client.upload(op::cuMemcpyHtoD_v2, memory, &pattern(1 << 20), 0);
    client.drain_slab();
    let next = client.call(op::cuCtxSynchronize, |_| {});
    let code = CuError::INVALID_CONTEXT.code();
    assert_eq!((next.status, next.deferred), (code, code));
    client.load(op::cuLibraryLoadData, PTX);
    client.context = ShadowHandle::primary_context(0);
    let primary = client.call(op::cuCtxDestroy_v2, |w| w.put(&One { value: 0 }));
    assert_eq!(primary.status, CuError::INVALID_CONTEXT.code());
    let reused = client.call(op::cuEventCreate, |w| {
        w.put(&Create {
            handle: event,
            flags: 2,
            priority: 0,
        });
    });
    assert_eq!(reused.status, 0, "the name is free again");
    client.close();
}
