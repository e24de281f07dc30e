//! Calls by hand against a worker that keeps what it was sent.

use std::ffi::c_void;
use std::ptr;

use flexdirect_wire::abi::*;
use flexdirect_wire::body::{HostCopy, One};
use flexdirect_wire::call::op;
use flexdirect_wire::limits::{CHUNK_LEN, CLAIM_TRIES_MAX, INLINE_LEN_MAX};

use crate::fake::Fake;
use crate::thread::PerThreadDefault;
use crate::{hand, local};

mod kernels;
mod vmm;

/// What a call writes.
fn out<T: Default>(call: impl FnOnce(Out<T>) -> CuResult) -> Result<T, CuError> {
    let mut value = T::default();
    call(Out(&raw mut value)).map(|()| value)
}

fn allocate(len: usize) -> u64 {
    out(|at| hand::cuMemAlloc_v2(at, len)).unwrap().0
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len)
        .map(|index| u8::try_from(index % 251).unwrap())
        .collect()
}

fn to_device(to: u64, bytes: &[u8]) -> CuResult {
    let source = InBytes(bytes.as_ptr().cast::<c_void>().cast_mut());
    hand::cuMemcpyHtoD_v2(CuDevicePtr(to), source, bytes.len())
}

fn to_host(bytes: &mut [u8], from: u64) -> CuResult {
    hand::cuMemcpyDtoH_v2(
        OutBytes(bytes.as_mut_ptr().cast()),
        CuDevicePtr(from),
        bytes.len(),
    )
}

#[test]
fn bytes_come_back_whatever_their_number() {
    let fake = Fake::start();
    let lens = [
        1,
        INLINE_LEN_MAX,
        INLINE_LEN_MAX + 1,
        CHUNK_LEN,
        5 * CHUNK_LEN + 3,
    ];
    for len in lens {
        let at = allocate(len + 16);
        let sent = pattern(len);
        to_device(at + 16, &sent).unwrap();
        let mut got = vec![0; len];
        to_host(&mut got, at + 16).unwrap();
        assert!(got == sent, "{len} bytes");
    }
    assert_eq!(
        fake.count(op::cuMemcpyHtoD_v2),
        1 + 1 + 1 + 1 + 6,
        "pieces of CHUNK_LEN"
    );
    assert_eq!(fake.count(op::cuMemcpyDtoH_v2), lens.len());
}

#[test]
fn a_copy_out_of_bounds_fails_at_the_call() {
    let fake = Fake::start();
    let at = allocate(100);
    let mut bytes = [0; 64];
    let invalid = Err(CuError::INVALID_VALUE);
    assert_eq!(to_device(at + 40, &bytes), invalid, "past the end");
    assert_eq!(to_device(0x10, &bytes), invalid, "no device memory");
    assert_eq!(to_host(&mut bytes, at + 37), invalid);
    assert_eq!(to_device(at, &[]), Ok(()), "nothing is copied");
    let null = InBytes(ptr::null_mut());
    assert_eq!(hand::cuMemcpyHtoD_v2(CuDevicePtr(at), null, 4), invalid);
    assert_eq!(
        hand::cuMemcpyDtoD_v2(CuDevicePtr(at), CuDevicePtr(at + 60), 41),
        invalid
    );
    assert_eq!(hand::cuMemsetD32_v2(CuDevicePtr(at), 0, 26), invalid);
    assert_eq!(
        hand::cuMemsetD32_v2(CuDevicePtr(at + 2), 0, 1),
        invalid,
        "not aligned"
    );
    assert_eq!(hand::cuMemsetD8_v2(CuDevicePtr(at), 0, usize::MAX), invalid);
    assert_eq!(hand::cuMemsetD32_v2(CuDevicePtr(at), 0, 25), Ok(()));
    assert_eq!(
        fake.seen(2).len(),
        2,
        "the worker heard of the allocation and the last memset"
    );
}

#[test]
fn cu_memcpy_finds_out_which_way_it_goes() {
    let fake = Fake::start();
    let (one, other) = (allocate(64), allocate(64));
    let (sent, mut got) = (pattern(64), [0u8; 64]);
    let mut copied = [0u8; 64];
    let host = |at: &[u8]| CuDevicePtr(at.as_ptr() as u64);
    local::cuMemcpy(CuDevicePtr(one), host(&sent), 64).unwrap();
    local::cuMemcpy(CuDevicePtr(other), CuDevicePtr(one), 64).unwrap();
    let target = CuDevicePtr(got.as_mut_ptr() as u64);
    local::cuMemcpyAsync(target, CuDevicePtr(one), 64, CuStream(0)).unwrap();
    assert_eq!(got[..], sent[..]);
    local::cuMemcpy(CuDevicePtr(copied.as_mut_ptr() as u64), host(&got), 64).unwrap();
    assert_eq!(copied[..], sent[..]);
    let ops: Vec<_> = fake
        .seen(6)
        .iter()
        .skip(2)
        .map(crate::fake::Seen::op)
        .collect();
    let expected = [
        op::cuMemcpyHtoD_v2,
        op::cuMemcpyDtoD_v2,
        op::cuMemcpyDtoH_v2,
        op::cuStreamSynchronize,
    ];
    assert_eq!(ops, expected, "a copy to pageable memory is synchronous");
}

#[test]
fn a_copy_to_pinned_memory_lands_later() {
    let fake = Fake::start();
    let len = 3 * CHUNK_LEN;
    let at = allocate(len);
    to_device(at, &pattern(len)).unwrap();
    let pinned = out(|at| local::cuMemHostAlloc(at, len, 0)).unwrap();
    hand::cuMemcpyDtoHAsync_v2(OutBytes(pinned), CuDevicePtr(at), len, CuStream(0)).unwrap();
    hand::cuStreamSynchronize(CuStream(0)).unwrap();
    let landed: Vec<u8> = (0..len)
        .map(|index| {
            InOut(pinned.cast::<u8>().wrapping_add(index))
                .read()
                .unwrap()
        })
        .collect();
    assert!(landed == pattern(len));
    assert_eq!(local::cuMemFreeHost(pinned), Ok(()));
    assert_eq!(local::cuMemFreeHost(pinned), Err(CuError::INVALID_VALUE));
    let seen = fake.seen(6);
    let copy = seen
        .iter()
        .find(|seen| seen.op() == op::cuMemcpyDtoHAsync_v2)
        .unwrap();
    let body: HostCopy = copy.reader().get().unwrap();
    assert!(body.is_async == 1 && body.inline == 0 && body.position != 0);
}

#[test]
fn what_a_copy_still_writes_is_not_read_early() {
    let fake = Fake::start();
    let len = 2 * CHUNK_LEN;
    let (one, other) = (allocate(len), allocate(len));
    to_device(one, &pattern(len)).unwrap();
    let pinned = out(|at| local::cuMemHostAlloc(at, len, 0)).unwrap();
    let (stream, source) = (CuStream(0), InBytes(pinned));
    hand::cuMemcpyDtoHAsync_v2(OutBytes(pinned), CuDevicePtr(one), len, stream).unwrap();
    hand::cuMemcpyHtoDAsync_v2(CuDevicePtr(other), source, len, stream).unwrap();
    let mut got = vec![0; len];
    to_host(&mut got, other).unwrap();
    assert!(got == pattern(len));
    drop(fake);
}

#[test]
fn memory_of_the_client_is_never_given_out() {
    let fake = Fake::start();
    let mine = vec![0u8; 1 << 20];
    let collides = (mine.as_ptr() as u64).next_multiple_of(1 << 16);
    fake.give(&[collides, collides]);
    let at = allocate(4096);
    assert_ne!(at, collides);
    assert_eq!(
        fake.decoys(),
        [collides, collides],
        "kept, so that they are not given again"
    );
    let many = vec![collides; CLAIM_TRIES_MAX];
    fake.give(&many);
    let refused = out(|at| hand::cuMemAlloc_v2(at, 4096));
    assert_eq!(refused, Err(CuError::OUT_OF_MEMORY), "in the end");
    assert_eq!(fake.count(op::cuMemAlloc_v2), 3 + CLAIM_TRIES_MAX);
}

#[test]
fn memory_is_freed_once() {
    let fake = Fake::start();
    let at = allocate(64);
    let invalid = Err(CuError::INVALID_VALUE);
    assert_eq!(hand::cuMemFree_v2(CuDevicePtr(at + 1)), invalid);
    assert_eq!(hand::cuMemFree_v2(CuDevicePtr(at)), Ok(()));
    assert_eq!(hand::cuMemFree_v2(CuDevicePtr(at)), invalid, "at the call");
    assert_eq!(hand::cuMemFree_v2(CuDevicePtr(0)), Ok(()));
    hand::cuCtxSynchronize().unwrap();
    assert_eq!(fake.count(op::cuMemFree_v2), 1);
    assert_eq!(to_device(at, &[1]), invalid, "used after it was freed");
    let (freed, other) = (
        InBytes(ptr::with_exposed_provenance_mut(
            usize::try_from(at).unwrap(),
        )),
        allocate(64),
    );
    assert_eq!(
        hand::cuMemcpyHtoD_v2(CuDevicePtr(other), freed, 64),
        invalid,
        "nor is it host memory"
    );
    let host = CuDevicePtr(pattern(64).as_ptr() as u64);
    assert_eq!(local::cuMemcpy(CuDevicePtr(at), host, 64), invalid);
    assert!(out(|at| hand::cuMemAlloc_v2(at, 0)).is_err());
}

#[test]
fn a_finished_event_needs_no_question() {
    let fake = Fake::start();
    let event = out(|event| hand::cuEventCreate(event, 0)).unwrap();
    assert_eq!(hand::cuEventQuery(event), Ok(()), "never recorded");
    hand::cuEventRecord(event, CuStream(0)).unwrap();
    fake.fail(op::cuEventQuery, 600);
    assert_eq!(hand::cuEventQuery(event), Err(CuError::NOT_READY));
    assert_eq!(hand::cuEventSynchronize(event), Ok(()));
    assert_eq!(hand::cuEventQuery(event), Ok(()));
    assert_eq!(hand::cuEventSynchronize(event), Ok(()));
    assert_eq!(hand::cuStreamWaitEvent(CuStream(0), event, 0), Ok(()));
    assert_eq!(fake.seen(4).len(), 4, "create, record, query, synchronise");
    hand::cuEventRecord(event, CuStream(0)).unwrap();
    assert_eq!(hand::cuEventQuery(event), Ok(()));
    assert_eq!(
        fake.count(op::cuEventQuery),
        2,
        "recorded again: asked again"
    );
    hand::cuEventDestroy_v2(event).unwrap();
    let invalid = Err(CuError::INVALID_HANDLE);
    assert_eq!(hand::cuEventQuery(event), invalid);
    assert_eq!(hand::cuEventDestroy_v2(event), invalid);
    assert_eq!(hand::cuEventRecord(CuEvent(0), CuStream(0)), invalid);
    let flags = out(|event| hand::cuEventCreate(event, 8));
    assert_eq!(flags, Err(CuError::INVALID_VALUE));
}

#[test]
fn streams_are_the_clients_own() {
    let fake = Fake::start();
    let stream = out(|stream| hand::cuStreamCreateWithPriority(stream, 1, -99)).unwrap();
    assert_eq!(
        out(|value| local::cuStreamGetPriority(stream, value)),
        Ok(-5),
        "clamped"
    );
    assert_eq!(out(|value| local::cuStreamGetFlags(stream, value)), Ok(1));
    let context = out(|value| local::cuStreamGetCtx(stream, value)).unwrap();
    assert_eq!(context.0, fake.context().handle);
    let capturing = out(|value| local::cuStreamIsCapturing(stream, value)).unwrap();
    assert_eq!(capturing.0, 0);
    hand::cuStreamDestroy_v2(stream).unwrap();
    let invalid = Err(CuError::INVALID_HANDLE);
    assert_eq!(hand::cuStreamSynchronize(stream), invalid);
    assert_eq!(hand::cuStreamDestroy_v2(stream), invalid);
    assert_eq!(hand::cuStreamDestroy_v2(CuStream(0)), invalid);
    assert_eq!(
        out(|stream| hand::cuStreamCreate(stream, 2)),
        Err(CuError::INVALID_VALUE)
    );
}

#[test]
fn a_threads_default_stream_is_a_real_one() {
    let fake = Fake::start();
    let at = allocate(64);
    {
        let _twin = PerThreadDefault::enter();
        hand::cuMemsetD8_v2(CuDevicePtr(at), 7, 64).unwrap();
        hand::cuStreamSynchronize(CuStream(0)).unwrap();
    }
    hand::cuStreamSynchronize(CuStream::PER_THREAD).unwrap();
    hand::cuStreamSynchronize(CuStream::LEGACY).unwrap();
    std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            fake.enter();
            hand::cuStreamSynchronize(CuStream::PER_THREAD).unwrap();
        });
        // Waits for the end of the thread and of what it keeps, not of the closure alone.
        other.join().unwrap();
    });
    hand::cuCtxSynchronize().unwrap();
    let seen = fake.seen(1);
    let asked: Vec<u64> = seen
        .iter()
        .filter(|seen| seen.op() == op::cuStreamSynchronize)
        .map(|seen| seen.reader().get::<One>().unwrap().value)
        .collect();
    assert!(
        asked[0] > 2 && asked[0] == asked[1],
        "one stream for the thread: {asked:x?}"
    );
    assert_eq!(asked[2], 0, "the legacy stream");
    assert!(
        asked[3] > 2 && asked[3] != asked[0],
        "another for another thread"
    );
    assert_eq!(fake.count(op::cuMemsetD8_v2), 0);
    assert_eq!(
        fake.count(op::cuMemsetD8Async),
        1,
        "the call that names its stream"
    );
    assert_eq!(
        fake.count(op::cuStreamDestroy_v2),
        1,
        "the ended thread gave its stream back"
    );
}

#[test]
fn contexts_are_retained_created_and_gone() {
    let fake = Fake::start();
    let device = CuDevice(0);
    assert_eq!(
        local::cuDevicePrimaryCtxRelease_v2(device),
        Err(CuError::INVALID_CONTEXT)
    );
    fake.context().set_active(false);
    let invalid = Err(CuError::INVALID_CONTEXT);
    let gone = Err(CuError::CONTEXT_IS_DESTROYED);
    assert_eq!(hand::cuCtxSynchronize(), gone, "nobody retains it");
    let primary = out(|context| hand::cuDevicePrimaryCtxRetain(context, device)).unwrap();
    out(|context| hand::cuDevicePrimaryCtxRetain(context, device)).unwrap();
    assert_eq!(
        fake.count(op::cuDevicePrimaryCtxRetain),
        1,
        "the second is counted here"
    );
    assert_eq!(primary.0, fake.context().handle);
    hand::cuCtxSynchronize().unwrap();
    let created = out(|context| hand::cuCtxCreate_v2(context, 0, device)).unwrap();
    assert_eq!(out(local::cuCtxGetCurrent), Ok(created), "made current");
    let at = allocate(64);
    hand::cuCtxDestroy_v2(created).unwrap();
    assert_eq!(out(local::cuCtxGetCurrent), Ok(primary));
    assert_eq!(
        hand::cuMemFree_v2(CuDevicePtr(at)),
        Err(CuError::INVALID_VALUE),
        "went with it"
    );
    assert_eq!(local::cuCtxSetCurrent(created), invalid);
    assert_eq!(
        hand::cuCtxDestroy_v2(primary),
        invalid,
        "a primary one is released"
    );
    local::cuCtxSetCurrent(CuContext(0)).unwrap();
    assert_eq!(
        out(|at| hand::cuMemAlloc_v2(at, 1)),
        Err(CuError::INVALID_CONTEXT)
    );
    assert_eq!(local::cuCtxPopCurrent_v2(Out(ptr::null_mut())), invalid);
    assert_eq!(
        hand::cuMemFree_v2(CuDevicePtr(0)),
        invalid,
        "it needs a context as well"
    );
}

#[test]
fn the_last_release_ends_what_a_primary_context_holds() {
    let fake = Fake::start();
    let device = CuDevice(0);
    for _ in 0..2 {
        out(|context| hand::cuDevicePrimaryCtxRetain(context, device)).unwrap();
    }
    let (at, stream) = (allocate(64), out(|stream| hand::cuStreamCreate(stream, 0)));
    let pinned = out(|at| local::cuMemHostAlloc(at, 64, 0)).unwrap();
    local::cuDevicePrimaryCtxRelease_v2(device).unwrap();
    hand::cuStreamSynchronize(stream.unwrap()).unwrap();
    local::cuDevicePrimaryCtxRelease_v2(device).unwrap();
    assert_eq!(fake.count(op::cuDevicePrimaryCtxReset_v2), 1);
    assert_eq!(hand::cuCtxSynchronize(), Err(CuError::CONTEXT_IS_DESTROYED));
    assert_eq!(
        local::cuDevicePrimaryCtxRelease_v2(device),
        Err(CuError::INVALID_CONTEXT)
    );
    out(|context| hand::cuDevicePrimaryCtxRetain(context, device)).unwrap();
    let invalid = Err(CuError::INVALID_VALUE);
    assert_eq!(hand::cuMemFree_v2(CuDevicePtr(at)), invalid);
    assert_eq!(local::cuMemFreeHost(pinned), invalid);
    let stale = hand::cuStreamSynchronize(stream.unwrap());
    assert_eq!(stale, Err(CuError::INVALID_HANDLE));
}
