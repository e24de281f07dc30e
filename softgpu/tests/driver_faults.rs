//! Faults that kernels make, faults on purpose, and launches that only take time.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod driver_support;

use std::process::Command;
use std::time::{Duration, Instant};

use driver_support::*;
use flexdirect_wire::abi::*;
use softgpu_cuda::export::*;

const NONE: CuStream = CuStream(0);

/// The module, and its kernel `set` that stores a word.
fn stage() -> (CuModule, CuFunction) {
    start();
    let module = load(PTX).unwrap();
    (module, function(module, "set").unwrap())
}

fn runs(set: CuFunction, place: CuDevicePtr) -> CuResult {
    launch(set, NONE, &[place.0, 1])?;
    cuCtxSynchronize()
}

#[test]
fn allocations_fail_after_so_many() {
    let name = "allocations_fail_after_so_many";
    alone(name, &[("SOFTGPU_FAULT", "oom:2")], || {
        start();
        let first = allocate(16).unwrap();
        allocate(16).unwrap();
        assert_eq!(allocate(16), Err(CuError::OUT_OF_MEMORY));
        cuMemFree_v2(first).unwrap();
        assert_eq!(allocate(16), Err(CuError::OUT_OF_MEMORY), "and stay so");
        cuCtxSynchronize().unwrap();
    });
}

fn described() -> CudaArray3dDescriptor {
    CudaArray3dDescriptor {
        width: 16,
        height: 16,
        format: CuArrayFormat(0x20),
        channels: 1,
        ..CudaArray3dDescriptor::default()
    }
}

fn made_pitched() -> CuResult {
    let mut place = CuDevicePtr(0);
    out(|pitch| cuMemAllocPitch_v2(Out(&raw mut place), pitch, 64, 4, 4)).map(drop)
}

fn made_virtual() -> CuResult {
    let mut about = CuMemAllocationProp {
        kind: 1,
        ..CuMemAllocationProp::default()
    };
    about.location.kind = 1;
    out(|memory| cuMemCreate(memory, 2 << 20, &raw const about, 0)).map(drop)
}

fn made_from_pool() -> CuResult {
    let pool = out(|pool| cuDeviceGetDefaultMemPool(pool, CuDevice(0)))?;
    out(|place| cuMemAllocFromPoolAsync(place, 16, pool, NONE)).map(drop)
}

fn made_node() -> CuResult {
    let mut graph = CuGraph(0);
    cuGraphCreate(&raw mut graph, 0).unwrap();
    let pool_props = CuMemPoolProps {
        kind: 1,
        handle_types: 0,
        location: CuMemLocation { kind: 1, id: 0 },
        win32_security: std::ptr::null_mut(),
        max_len: 0,
        usage: 0,
        is_rdma_capable: 0,
        reserved: [0; 53],
    };
    let mut about = CudaMemAllocNodeParams {
        pool_props,
        access_descs: std::ptr::null(),
        access_desc_count: 0,
        byte_size: 16,
        dptr: CuDevicePtr(0),
    };
    let (mut node, none) = (CuGraphNode(0), std::ptr::null());
    cuGraphAddMemAllocNode(&raw mut node, graph, none, 0, &raw mut about)
}

#[test]
fn every_allocation_of_device_memory_counts() {
    let name = "every_allocation_of_device_memory_counts";
    const FULL: CuResult = Err(CuError::OUT_OF_MEMORY);
    let described = described();
    let kinds: [(&str, &dyn Fn() -> CuResult); 9] = [
        ("alloc", &|| allocate(16).map(drop)),
        ("pitch", &made_pitched),
        ("managed", &|| {
            out(|place| cuMemAllocManaged(place, 16, 1)).map(drop)
        }),
        ("async", &|| {
            out(|place| cuMemAllocAsync(place, 16, NONE)).map(drop)
        }),
        ("pool", &made_from_pool),
        ("create", &made_virtual),
        ("array", &|| {
            out(|array| cuArray3DCreate_v2(array, &raw const described)).map(drop)
        }),
        ("mipmap", &|| {
            out(|array| cuMipmappedArrayCreate(array, &raw const described, 3)).map(drop)
        }),
        ("node", &made_node),
    ];
    if std::env::var_os("SOFTGPU_TEST_CHILD").is_none() {
        said_alone(name, &[("SOFTGPU_FAULT", "oom:9")]);
        said_alone(name, &[("SOFTGPU_FAULT", "oom:8")]);
        return;
    }
    start();
    let is_short = std::env::var("SOFTGPU_FAULT").unwrap() == "oom:8";
    for (index, (kind, made)) in kinds.iter().enumerate() {
        let wanted = if is_short && index == 8 { FULL } else { Ok(()) };
        assert_eq!(made(), wanted, "{kind}: each counts once");
    }
    for (kind, made) in kinds {
        assert_eq!(made(), FULL, "{kind}");
    }
    // Memory of the host is not the device's.
    out(|place: Out<*mut std::ffi::c_void>| cuMemHostAlloc(place, 64, 0)).unwrap();
}

#[test]
fn a_kernel_faults_at_its_nth_launch() {
    let name = "a_kernel_faults_at_its_nth_launch";
    alone(name, &[("SOFTGPU_FAULT", "illegal:set:2")], || {
        let (module, set) = stage();
        let place = allocate(4).unwrap();
        upload(place, &[0; 4]).unwrap();
        assert_eq!(runs(set, place), Ok(()));
        launch(function(module, "add").unwrap(), NONE, &[place.0, 1]).unwrap();
        assert_eq!(word(place), Ok(2), "another kernel does not count");
        assert_eq!(runs(set, place), Err(CuError::ILLEGAL_ADDRESS));
        assert_eq!(word(place), Err(CuError::ILLEGAL_ADDRESS), "sticky");
    });
}

#[test]
fn copies_take_their_time() {
    let name = "copies_take_their_time";
    alone(name, &[("SOFTGPU_FAULT", "slow-copy:1000000")], || {
        start();
        let place = allocate(200_000).unwrap();
        let before = Instant::now();
        upload(place, &[7; 200_000]).unwrap();
        assert!(before.elapsed() >= Duration::from_millis(200));
        let bytes = download(place, 100_000).unwrap();
        assert!(before.elapsed() >= Duration::from_millis(300) && bytes == [7; 100_000]);
    });
}

#[test]
fn an_ecc_error_is_sticky_and_ends_with_its_context() {
    let name = "an_ecc_error_is_sticky_and_ends_with_its_context";
    alone(name, &[("SOFTGPU_FAULT", "ecc:1")], || {
        let (_, set) = stage();
        let place = allocate(4).unwrap();
        assert_eq!(runs(set, place), Ok(()));
        assert_eq!(runs(set, place), Err(CuError::ECC_UNCORRECTABLE));
        assert_eq!(allocate(4), Err(CuError::ECC_UNCORRECTABLE));
        cuDevicePrimaryCtxReset_v2(CuDevice(0)).unwrap();
        allocate(4).unwrap();
    });
}

#[test]
fn a_lost_device_fails_every_call() {
    let name = "a_lost_device_fails_every_call";
    alone(name, &[("SOFTGPU_FAULT", "lost:1")], || {
        let (_, set) = stage();
        let place = allocate(4).unwrap();
        assert_eq!(runs(set, place), Ok(()));
        let lost = CuError::DEVICE_UNAVAILABLE;
        assert_eq!(runs(set, place), Err(lost));
        assert_eq!(allocate(4), Err(lost));
        assert_eq!(word(place), Err(lost));
        assert_eq!(cuDevicePrimaryCtxReset_v2(CuDevice(0)), Err(lost));
        assert_eq!(
            out(|context| cuCtxCreate_v2(context, 0, CuDevice(0))),
            Err(lost)
        );
    });
}

#[test]
fn memory_begins_where_it_is_wanted() {
    let name = "memory_begins_where_it_is_wanted";
    alone(name, &[("SOFTGPU_FAULT", "base:0x3000_0000_0000")], || {
        start();
        let place = allocate(4).unwrap();
        assert_eq!(place.0 >> 40, 0x30);
    });
}

#[test]
fn a_fault_that_is_misspelt_keeps_the_driver_from_starting() {
    let name = "a_fault_that_is_misspelt_keeps_the_driver_from_starting";
    for variable in ["SOFTGPU_FAULT", "SOFTGPU_KERNEL_TIME", "SOFTGPU_WATCHDOG"] {
        alone(name, &[(variable, "oops:1")], || {
            assert_eq!(cuInit(0), Err(CuError::INVALID_VALUE));
            assert_eq!(allocate(4), Err(CuError::NOT_INITIALIZED));
        });
    }
}

#[test]
fn launches_take_a_fixed_time_and_do_nothing() {
    let name = "launches_take_a_fixed_time_and_do_nothing";
    alone(name, &[("SOFTGPU_KERNEL_TIME", "20ms,set=0")], || {
        let (module, set) = stage();
        let place = allocate(4).unwrap();
        upload(place, &[0; 4]).unwrap();
        let [start, end] = [(); 2].map(|()| out(|event| cuEventCreate(event, 0)).unwrap());
        cuEventRecord(start, NONE).unwrap();
        // `forever` would not end.
        launch(function(module, "forever").unwrap(), NONE, &[]).unwrap();
        launch(set, NONE, &[place.0, 1]).unwrap();
        cuEventRecord(end, NONE).unwrap();
        cuEventSynchronize(end).unwrap();
        let elapsed = out(|time| cuEventElapsedTime_v2(time, start, end)).unwrap();
        assert!(elapsed >= 20.0, "{elapsed} ms");
        assert_eq!(word(place), Ok(0), "nothing was executed");
    });
}

#[test]
fn the_watchdog_ends_an_endless_kernel() {
    let name = "the_watchdog_ends_an_endless_kernel";
    alone(name, &[("SOFTGPU_WATCHDOG", "0.2")], || {
        let (module, set) = stage();
        let place = allocate(4).unwrap();
        assert_eq!(runs(set, place), Ok(()), "in time");
        launch(function(module, "forever").unwrap(), NONE, &[]).unwrap();
        assert_eq!(cuCtxSynchronize(), Err(CuError::LAUNCH_TIMEOUT));
        assert_eq!(word(place), Err(CuError::LAUNCH_TIMEOUT), "sticky");
    });
}

#[test]
fn a_fault_poisons_its_context_alone() {
    alone("a_fault_poisons_its_context_alone", &[], || {
        let (module, _) = stage();
        let primary = out(|context| cuCtxGetCurrent(context)).unwrap();
        let other = out(|context| cuCtxCreate_v2(context, 0, CuDevice(0))).unwrap();
        let place = allocate(4).unwrap();
        cuCtxSetCurrent(primary).unwrap();
        launch(function(module, "wild").unwrap(), NONE, &[]).unwrap();
        assert_eq!(cuCtxSynchronize(), Err(CuError::ILLEGAL_ADDRESS));
        cuCtxSetCurrent(other).unwrap();
        upload(place, &[5, 0, 0, 0]).unwrap();
        assert_eq!(word(place), Ok(5));
        cuMemFree_v2(place).unwrap();
        assert_eq!(
            cuMemFree_v2(place),
            Err(CuError::INVALID_VALUE),
            "freed twice"
        );
    });
}

const BAD: &str = "
.version 7.0
.target sm_80
.address_size 64
.visible .entry put(.param .u64 to)
{
    .reg .u64 %rd<4>; .reg .u32 %r<4>;
    ld.param.u64 %rd1, [to];
    mov.u32 %r1, %tid.x;
    mad.wide.u32 %rd2, %r1, 4, %rd1;
    st.global.u32 [%rd2], %r1;
    ret;
}
.visible .entry mine()
{
    .local .align 4 .b8 room[8]; .shared .align 4 .b8 shared_room[8];
    .reg .u32 %r<4>;
    mov.u32 %r1, 2;
    ld.shared.u32 %r2, [%r1];
    st.local.u32 [room], %r2;
    ret;
}
";

/// What the child of this test writes to stderr.
fn complaint(name: &str, check: &str) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let state = std::env::temp_dir().join(format!("softgpu-{name}-{}", std::process::id()));
    command
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env("SOFTGPU_TEST_CHILD", "1")
        .env("SOFTGPU_MEMORY", "64M")
        .env("SOFTGPU_STATE", &state)
        .env("SOFTGPU_CHECK", check);
    let output = command.output().unwrap();
    let _ = std::fs::remove_file(state);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{text}");
    text
}

fn is_child() -> bool {
    std::env::var_os("SOFTGPU_TEST_CHILD").is_some()
}

fn checked() -> bool {
    std::env::var("SOFTGPU_CHECK").unwrap() == "1"
}

#[test]
fn an_access_beyond_an_allocation_is_named_by_the_checks() {
    let name = "an_access_beyond_an_allocation_is_named_by_the_checks";
    if is_child() {
        start();
        let put = function(load(BAD).unwrap(), "put").unwrap();
        let place = allocate(160).unwrap();
        launch_shape(put, [1, 1, 1], [64, 1, 1], 0, NONE, &[place.0]).unwrap();
        let wanted = if checked() {
            Err(CuError::ILLEGAL_ADDRESS)
        } else {
            Ok(())
        };
        assert_eq!(
            cuCtxSynchronize(),
            wanted,
            "the rest of the granule is within the arena"
        );
        return;
    }
    assert_eq!(complaint(name, "0").matches("Invalid").count(), 0);
    let text = complaint(name, "1");
    let line = "Invalid __global__ write of size 4 bytes at 0x";
    assert!(text.contains(line), "{text}");
    let place = "in kernel put, PTX line 11, by thread (40,0,0) in block (0,0,0): out of bounds, \
                 0 bytes after the nearest allocation at 0x";
    assert!(
        text.contains(place) && text.contains("of size 160 bytes"),
        "{text}"
    );
}

#[test]
fn use_after_free_is_named_by_the_checks() {
    let name = "use_after_free_is_named_by_the_checks";
    if is_child() {
        start();
        let put = function(load(BAD).unwrap(), "put").unwrap();
        let place = allocate(160).unwrap();
        cuMemFree_v2(place).unwrap();
        launch(put, NONE, &[place.0]).unwrap();
        let wanted = if checked() {
            Err(CuError::ILLEGAL_ADDRESS)
        } else {
            Ok(())
        };
        assert_eq!(cuCtxSynchronize(), wanted);
        return;
    }
    complaint(name, "0");
    assert!(complaint(name, "1").contains("Invalid __global__ write of size 4 bytes at 0x"));
}

#[test]
fn misaligned_and_foreign_shared_accesses_are_named_by_the_checks() {
    let name = "misaligned_and_foreign_shared_accesses_are_named_by_the_checks";
    if is_child() {
        start();
        let mine = function(load(BAD).unwrap(), "mine").unwrap();
        launch(mine, NONE, &[]).unwrap();
        assert_eq!(cuCtxSynchronize(), Err(CuError::MISALIGNED_ADDRESS));
        return;
    }
    assert!(!complaint(name, "0").contains("Invalid"));
    let text = complaint(name, "1");
    let line = "Invalid __shared__ read of size 4 bytes at 0x2 in kernel mine, PTX line 19";
    assert!(text.contains(line) && text.contains("misaligned"), "{text}");
}

#[test]
fn a_context_with_an_endless_kernel_can_be_destroyed() {
    alone(
        "a_context_with_an_endless_kernel_can_be_destroyed",
        &[],
        || {
            let (module, _) = stage();
            let primary = out(|context| cuCtxGetCurrent(context)).unwrap();
            launch(function(module, "forever").unwrap(), NONE, &[]).unwrap();
            let event = out(|event| cuEventCreate(event, 2)).unwrap();
            cuEventRecord(event, NONE).unwrap();
            // The other context waits for the first one's kernel, and is ended all the same.
            let other = out(|context| cuCtxCreate_v2(context, 0, CuDevice(0))).unwrap();
            let module = load(PTX).unwrap();
            cuStreamWaitEvent(NONE, event, 0).unwrap();
            launch(function(module, "forever").unwrap(), NONE, &[]).unwrap();
            cuCtxDestroy_v2(other).unwrap();
            cuCtxSetCurrent(primary).unwrap();
            assert_eq!(cuStreamQuery(NONE), Err(CuError::NOT_READY));
            cuDevicePrimaryCtxReset_v2(CuDevice(0)).unwrap();
            cuCtxSynchronize().unwrap();
        },
    );
}

#[test]
fn destructors_of_a_thread_may_make_calls() {
    /// Made before the first call, so destroyed after whatever that call made.
    struct Late;
    impl Drop for Late {
        fn drop(&mut self) {
            let place = allocate(4).unwrap();
            cuMemsetD32Async(place, 7, 1, CuStream::PER_THREAD).unwrap();
            cuStreamSynchronize(CuStream::PER_THREAD).unwrap();
            assert_eq!(word(place), Ok(7));
            SEEN.store(true, std::sync::atomic::Ordering::Relaxed);
        }
    }
    static SEEN: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);
    thread_local! {
        static LATE: Late = const { Late };
    }
    alone("destructors_of_a_thread_may_make_calls", &[], || {
        let context = start();
        let thread = std::thread::spawn(move || {
            LATE.with(|_| ());
            cuCtxSetCurrent(context).unwrap();
            cuStreamQuery(CuStream::PER_THREAD).unwrap();
        });
        thread.join().unwrap();
        assert!(SEEN.load(std::sync::atomic::Ordering::Relaxed));
    });
}
