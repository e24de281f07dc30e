//! Stream-ordered allocation and memory pools.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod driver_support;

use std::ffi::c_void;

use driver_support::*;
use flexdirect_wire::abi::*;
use softgpu_cuda::export::*;

const BAD: Result<(), CuError> = Err(CuError::INVALID_VALUE);
const HERE: CuMemLocation = CuMemLocation { kind: 1, id: 0 };

fn allocate_async(len: usize, stream: CuStream) -> Answer<CuDevicePtr> {
    out(|pointer| cuMemAllocAsync(pointer, len, stream))
}

fn stream() -> CuStream {
    out(|stream| cuStreamCreate(stream, 1)).unwrap()
}

fn default_pool() -> CuMemoryPool {
    out(|pool| cuDeviceGetDefaultMemPool(pool, CuDevice(0))).unwrap()
}

fn number(pool: CuMemoryPool, attribute: u32) -> Answer<u64> {
    let mut value = 0u64;
    let attribute = CuMemPoolAttribute(attribute);
    cuMemPoolGetAttribute(pool, attribute, (&raw mut value).cast())?;
    Ok(value)
}

fn set_number(pool: CuMemoryPool, attribute: u32, mut value: u64) -> CuResult {
    let attribute = CuMemPoolAttribute(attribute);
    cuMemPoolSetAttribute(pool, attribute, (&raw mut value).cast())
}

/// Reserved and used bytes, and the most of each.
fn account(pool: CuMemoryPool) -> [u64; 4] {
    [5, 7, 6, 8].map(|attribute| number(pool, attribute).unwrap())
}

fn properties(device: i32) -> CuMemPoolProps {
    CuMemPoolProps {
        kind: 1,
        handle_types: 0,
        location: CuMemLocation {
            kind: 1,
            id: device,
        },
        win32_security: std::ptr::null_mut(),
        max_len: 0,
        usage: 0,
        is_rdma_capable: 0,
        reserved: [0; 53],
    }
}

fn create(properties: &CuMemPoolProps) -> Answer<CuMemoryPool> {
    out(|pool| cuMemPoolCreate(pool, &raw const *properties))
}

#[test]
fn memory_comes_and_goes_in_stream_order() {
    alone("memory_comes_and_goes_in_stream_order", &[], || {
        start();
        let module = load(PTX).unwrap();
        let add = function(module, "add").unwrap();
        let gate = Gate::new(module);
        let (first, second) = (stream(), stream());
        let pool = default_pool();
        set_number(pool, 4, u64::MAX).unwrap();
        let memory = allocate_async(4096, first).unwrap();
        cuMemsetD32Async(memory, 40, 1, first).unwrap();
        gate.hold(first);
        launch(add, first, &[memory.0, 2]).unwrap();
        let kept = allocate(4).unwrap();
        cuMemcpyDtoDAsync_v2(kept, memory, 4, first).unwrap();
        cuMemFreeAsync(memory, first).unwrap();
        assert_eq!(cuMemFreeAsync(memory, first), BAD, "freed twice");
        assert_eq!(cuMemFree_v2(memory), BAD, "freed already");
        assert_eq!(upload(memory, &[1]), BAD, "nobody's any more");
        let other = allocate_async(4096, second).unwrap();
        assert_ne!(other, memory, "the first stream still uses it");
        let again = allocate_async(4000, first).unwrap();
        assert_eq!(again, memory, "its own stream is behind its use");
        cuMemsetD32Async(again, 7, 1, first).unwrap();
        gate.open();
        cuStreamSynchronize(first).unwrap();
        assert_eq!((word(kept), word(again)), (Ok(42), Ok(7)));
        cuMemFreeAsync(again, first).unwrap();
        cuStreamSynchronize(first).unwrap();
        assert_eq!(
            allocate_async(4096, second),
            Ok(memory),
            "reached: anybody's"
        );
        cuMemFree_v2(memory).unwrap();
        assert_eq!(cuMemFree_v2(memory), BAD, "freed twice");
        cuMemFree_v2(other).unwrap();
        assert_eq!(allocate_async(0, first), Err(CuError::INVALID_VALUE));
        assert_eq!(cuMemFreeAsync(CuDevicePtr(0), first), BAD);
        assert_eq!(cuMemFreeAsync(CuDevicePtr(kept.0 + 1), first), BAD);
        cuMemFreeAsync(kept, first).unwrap();
        assert_eq!(
            cuMemFree_v2(kept),
            BAD,
            "of cuMemAlloc, freed in stream order"
        );
        assert_eq!(word(kept), Err(CuError::INVALID_VALUE));
    });
}

#[test]
fn a_kernel_behind_the_free_faults_nothing_else() {
    alone("a_kernel_behind_the_free_faults_nothing_else", &[], || {
        start();
        let module = load(PTX).unwrap();
        let set = function(module, "set").unwrap();
        let stream = stream();
        let memory = allocate_async(4096, stream).unwrap();
        cuMemFreeAsync(memory, stream).unwrap();
        // Wrong, but within the device: as on a GPU nobody notices.
        launch(set, stream, &[memory.0, 1]).unwrap();
        cuStreamSynchronize(stream).unwrap();
    });
}

#[test]
fn a_pool_keeps_what_its_threshold_allows() {
    alone("a_pool_keeps_what_its_threshold_allows", &[], || {
        start();
        let stream = stream();
        let pool = default_pool();
        assert_eq!(account(pool), [0; 4]);
        let free = || out(|free| cuMemGetInfo_v2(free, Out(std::ptr::null_mut()))).unwrap();
        let before: usize = free();
        let first = allocate_async(1 << 20, stream).unwrap();
        let second = allocate_async(1000, stream).unwrap();
        assert_eq!(
            account(pool),
            [
                (1 << 20) + 1024,
                (1 << 20) + 1024,
                (1 << 20) + 1024,
                (1 << 20) + 1024
            ]
        );
        cuMemFreeAsync(first, stream).unwrap();
        assert_eq!(account(pool)[..2], [(1 << 20) + 1024, 1024]);
        cuStreamSynchronize(stream).unwrap();
        assert_eq!(
            account(pool)[..2],
            [1024, 1024],
            "no threshold, nothing kept"
        );
        set_number(pool, 4, 1 << 30).unwrap();
        assert_eq!(number(pool, 4), Ok(1 << 30));
        cuMemFreeAsync(second, stream).unwrap();
        cuStreamSynchronize(stream).unwrap();
        assert_eq!(account(pool)[..2], [1024, 0], "kept");
        assert!(free() < before, "what is kept is used");
        cuMemPoolTrimTo(pool, 1024).unwrap();
        assert_eq!(account(pool)[0], 1024);
        cuMemPoolTrimTo(pool, 0).unwrap();
        assert_eq!(account(pool)[..2], [0, 0]);
        assert_eq!(free(), before);
        assert_eq!(set_number(pool, 6, 5), BAD, "can only be reset");
        set_number(pool, 6, 0).unwrap();
        set_number(pool, 8, 0).unwrap();
        assert_eq!(account(pool), [0; 4]);
        for read_only in [5, 7, 9, 13, 99] {
            assert_eq!(set_number(pool, read_only, 0), BAD);
        }
        assert_eq!(number(pool, 99).map(drop), BAD);
        assert_eq!(number(pool, 1), Ok(1), "all reuse is allowed at first");
        set_number(pool, 2, 0).unwrap();
        assert_eq!(number(pool, 2), Ok(0));
        let null = cuMemPoolGetAttribute(pool, CuMemPoolAttribute(4), std::ptr::null_mut());
        assert_eq!(null, BAD);
        // What a pool keeps gives way to whoever needs memory.
        let large = allocate_async(40 << 20, stream).unwrap();
        cuMemFreeAsync(large, stream).unwrap();
        cuStreamSynchronize(stream).unwrap();
        assert_eq!(account(pool)[0], 40 << 20);
        let other = allocate(40 << 20).unwrap();
        assert_eq!(account(pool)[0], 0);
        assert_eq!(
            allocate_async(40 << 20, stream),
            Err(CuError::OUT_OF_MEMORY)
        );
        cuMemFree_v2(other).unwrap();
    });
}

#[test]
fn pools_are_created_and_chosen() {
    alone(
        "pools_are_created_and_chosen",
        &[("SOFTGPU_DEVICES", "2")],
        || {
            start();
            let stream = stream();
            let pool = create(&properties(0)).unwrap();
            let current = || out(|pool| cuDeviceGetMemPool(pool, CuDevice(0))).unwrap();
            assert_eq!(current(), default_pool());
            cuDeviceSetMemPool(CuDevice(0), pool).unwrap();
            assert_eq!(current(), pool);
            assert_eq!(
                cuDeviceSetMemPool(CuDevice(1), pool),
                BAD,
                "another device's"
            );
            let memory = allocate_async(512, stream).unwrap();
            assert_eq!(account(pool)[1], 512);
            let mut of = 0u64;
            let attribute = CuPointerAttribute(17);
            cuPointerGetAttribute((&raw mut of).cast(), attribute, memory).unwrap();
            assert_eq!(of, pool.0);
            let mut location = HERE;
            let place = &raw mut location;
            let kind = CuMemAllocationType(1);
            assert_eq!(out(|pool| cuMemGetMemPool(pool, place, kind)), Ok(pool));
            let default = out(|pool| cuMemGetDefaultMemPool(pool, place, kind));
            assert_eq!(default, Ok(default_pool()));
            cuMemSetMemPool(place, kind, default_pool()).unwrap();
            assert_eq!(current(), default_pool());
            cuDeviceSetMemPool(CuDevice(0), pool).unwrap();
            cuMemPoolDestroy(pool).unwrap();
            assert_eq!(current(), default_pool(), "its device falls back");
            assert_eq!(cuMemPoolDestroy(pool), BAD);
            assert_eq!(cuMemPoolDestroy(default_pool()), BAD);
            upload(memory, &[1; 512]).unwrap();
            cuMemFreeAsync(memory, stream).unwrap();
            cuStreamSynchronize(stream).unwrap();
            assert_eq!(
                allocate_from(pool, 512, stream),
                Err(CuError::INVALID_VALUE)
            );
        },
    );
}

fn allocate_from(pool: CuMemoryPool, len: usize, stream: CuStream) -> Answer<CuDevicePtr> {
    out(|memory| cuMemAllocFromPoolAsync(memory, len, pool, stream))
}

#[test]
fn pools_are_made_as_asked_or_not_at_all() {
    let variables = [("SOFTGPU_DEVICES", "2")];
    alone("pools_are_made_as_asked_or_not_at_all", &variables, || {
        start();
        let stream = stream();
        let mut small = properties(0);
        small.max_len = 4096;
        let small = create(&small).unwrap();
        assert_eq!(number(small, 13), Ok(4096));
        let first = allocate_from(small, 512, stream).unwrap();
        let large = allocate_from(small, 4096, stream);
        assert_eq!(large, Err(CuError::OUT_OF_MEMORY));
        cuMemFreeAsync(first, stream).unwrap();
        for (change, expected) in [
            (
                CuMemPoolProps {
                    kind: 0,
                    ..properties(0)
                },
                CuError::INVALID_VALUE,
            ),
            (properties(2), CuError::INVALID_DEVICE),
            (
                CuMemPoolProps {
                    handle_types: 1,
                    ..properties(0)
                },
                CuError::NOT_SUPPORTED,
            ),
            (
                CuMemPoolProps {
                    location: CuMemLocation { kind: 2, id: 0 },
                    ..properties(0)
                },
                CuError::NOT_SUPPORTED,
            ),
        ] {
            assert_eq!(create(&change), Err(expected));
        }
        assert_eq!(
            cuMemPoolCreate(Out(std::ptr::null_mut()), std::ptr::null()),
            BAD
        );
        let mut descriptor = 0u64;
        let place: *mut c_void = (&raw mut descriptor).cast();
        let shared = cuMemPoolExportToShareableHandle(
            place,
            default_pool(),
            CuMemAllocationHandleType(1),
            0,
        );
        assert_eq!(shared, Err(CuError::NOT_SUPPORTED));
    });
}

#[test]
fn other_devices_reach_a_pool_when_allowed() {
    let variables = [("SOFTGPU_DEVICES", "2")];
    alone(
        "other_devices_reach_a_pool_when_allowed",
        &variables,
        || {
            start();
            let stream = stream();
            let pool = default_pool();
            let old = allocate_async(512, stream).unwrap();
            let access = |device, flags| CuMemAccessDesc {
                location: CuMemLocation {
                    kind: 1,
                    id: device,
                },
                flags,
            };
            let give = |access: CuMemAccessDesc| cuMemPoolSetAccess(pool, &raw const access, 1);
            let has = |device| {
                let mut place = CuMemLocation {
                    kind: 1,
                    id: device,
                };
                out(|flags| cuMemPoolGetAccess(flags, pool, &raw mut place))
                    .unwrap()
                    .0
            };
            assert_eq!((has(0), has(1)), (3, 0));
            assert_eq!(give(access(0, 0)), BAD, "a device always reaches its own");
            assert_eq!(give(access(1, 1)), BAD, "not to read alone");
            assert_eq!(give(access(7, 3)), Err(CuError::INVALID_DEVICE));
            give(access(1, 3)).unwrap();
            assert_eq!((has(0), has(1)), (3, 3));
            let new = allocate_async(512, stream).unwrap();
            let second = out(|context| cuDevicePrimaryCtxRetain(context, CuDevice(1))).unwrap();
            cuCtxSetCurrent(second).unwrap();
            let module = load(PTX).unwrap();
            let set = function(module, "set").unwrap();
            for (memory, value) in [(old, 5), (new, 6)] {
                launch(set, CuStream(0), &[memory.0, value]).unwrap();
                cuCtxSynchronize().unwrap();
                assert_eq!(word(memory), Ok(u32::try_from(value).unwrap()));
            }
            give(access(1, 0)).unwrap();
            launch(set, CuStream(0), &[old.0, 1]).unwrap();
            assert_eq!(cuCtxSynchronize(), Err(CuError::ILLEGAL_ADDRESS));
        },
    );
}

/// A small generator (xorshift), so that a failure can be repeated.
fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

#[test]
fn random_allocations_keep_their_bytes() {
    alone("random_allocations_keep_their_bytes", &[], || {
        start();
        let mut seed = match std::env::var("SEED") {
            Ok(seed) => seed.parse().unwrap(),
            Err(_) => u64::from(std::process::id()) * 0x9e37_79b9,
        };
        println!("SEED={seed}");
        let streams = [stream(), stream(), stream()];
        let pool = default_pool();
        set_number(pool, 4, 1 << 20).unwrap();
        // Address, length, value, index of the stream that owns it.
        let mut live: Vec<(CuDevicePtr, usize, u8, usize)> = Vec::new();
        for step in 0..600u32 {
            let which = usize::try_from(next(&mut seed) % 3).unwrap();
            match next(&mut seed) % 8 {
                0..=3 => {
                    let len = 1 + usize::try_from(next(&mut seed) % 60_000).unwrap();
                    let value = step.to_le_bytes()[0];
                    let memory = if next(&mut seed).is_multiple_of(4) {
                        allocate(len).unwrap()
                    } else {
                        allocate_async(len, streams[which]).unwrap()
                    };
                    cuMemsetD8Async(memory, value, len, streams[which]).unwrap();
                    for other in &live {
                        let (low, high) = (memory.0.min(other.0.0), memory.0.max(other.0.0));
                        let low_len = if low == memory.0 { len } else { other.1 };
                        assert!(high - low >= low_len as u64, "step {step}: they overlap");
                    }
                    live.push((memory, len, value, which));
                }
                4..=6 if !live.is_empty() => {
                    let index = usize::try_from(next(&mut seed)).unwrap() % live.len();
                    let (memory, len, value, owner) = live.swap_remove(index);
                    cuStreamSynchronize(streams[owner]).unwrap();
                    let bytes = download(memory, len).unwrap();
                    assert!(bytes.iter().all(|&byte| byte == value), "step {step}");
                    if next(&mut seed).is_multiple_of(5) {
                        cuMemFree_v2(memory).unwrap();
                    } else {
                        cuMemFreeAsync(memory, streams[owner]).unwrap();
                    }
                }
                _ => cuStreamSynchronize(streams[which]).unwrap(),
            }
            let [reserved, used, reserved_high, used_high] = account(pool);
            assert!(used <= reserved && reserved <= reserved_high && used <= used_high);
        }
        for (memory, _, _, owner) in live {
            cuMemFreeAsync(memory, streams[owner]).unwrap();
        }
        cuCtxSynchronize().unwrap();
        cuMemPoolTrimTo(pool, 0).unwrap();
        assert_eq!(account(pool)[..2], [0, 0]);
        assert!(allocate(63 << 20).is_ok(), "nothing is lost");
    });
}
